//! The service as a browser meets it: cookies kept, forms filled in from the page.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use http::HeaderMap;
use identity::{Begin, Person, Redeem, Settings};
use store::Store;
use vocabulary::{DeviceId, PersonId, Timestamp};

use super::*;
use crate::Lang;
use crate::cookies;
use crate::status as status_of;

const PASSWORD: &str = "ohayou gozaimasu minasan";
const ORIGIN: &str = "https://login.gw.example:8443";
const APP_HOST: &str = "kaipoke.gw.example";

/// Keeps what was recorded, and whether a session was there already when it was.
#[derive(Default)]
struct Book {
    events: Mutex<Vec<LoginEvent>>,
    full: bool,
}

#[async_trait::async_trait]
impl Recorder for Book {
    async fn record(&self, event: LoginEvent) -> Result<(), Unavailable> {
        if self.full {
            return Err(Unavailable);
        }
        self.events.lock().unwrap().push(event);
        Ok(())
    }
}

struct Browser {
    login: LoginApp,
    identity: Identity,
    book: Book,
    cookies: BTreeMap<String, String>,
    headers: HeaderMap,
    device: Option<(DeviceId, Option<PersonId>)>,
    groups: Vec<vocabulary::GroupName>,
    now: Timestamp,
}

struct Ward;

impl Place for Ward {
    fn device_name(&self, device: &DeviceId) -> Option<String> {
        Some(format!("端末{device}"))
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_string()
    }
}

fn id(text: &str) -> PersonId {
    text.parse().unwrap()
}

async fn browser() -> Browser {
    let identity = Identity::open(Store::in_memory().unwrap(), &Settings::default()).unwrap();
    let now = Timestamp::parse("2026-11-20T01:00:00Z", &vocabulary::Zone::UTC).unwrap();
    for (person, name) in [("sato", "佐藤 花子"), ("tanaka", "田中 一郎")] {
        identity.add(Person::new(id(person), name)).unwrap();
        identity.directory().set_password(&id(person), PASSWORD, now).await.unwrap();
    }
    let settings = LoginSettings {
        host: "login.gw.example".into(),
        origin: ORIGIN.into(),
        apps: ["kaipoke", "records"]
            .map(|app| OfferedApp { id: app.parse().unwrap(), url: format!("https://{app}.gw.example:8443/") })
            .into(),
    };
    let mut headers = HeaderMap::new();
    headers.insert("accept-language", "ja".parse().unwrap());
    Browser {
        login: LoginApp::new(identity.clone(), settings),
        identity,
        book: Book::default(),
        cookies: BTreeMap::new(),
        headers,
        device: None,
        groups: Vec::new(),
        now,
    }
}

impl Browser {
    async fn send(&mut self, method: Method, target: &str, body: &str) -> LoginReply {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut headers = self.headers.clone();
        for (name, value) in &self.cookies {
            headers.append("cookie", format!("{name}={value}").parse().unwrap());
        }
        if method == Method::POST {
            headers.entry("origin").or_insert(ORIGIN.parse().unwrap());
            headers.entry("content-type").or_insert("application/x-www-form-urlencoded".parse().unwrap());
        }
        let session = self
            .cookies
            .get(cookies::LOGIN)
            .and_then(|token| self.identity.sessions().lookup(token, "login.gw.example", self.now));
        let request = LoginRequest {
            method: &method,
            path,
            query,
            headers: &headers,
            body: body.as_bytes(),
            source: IpAddr::from([203, 0, 113, 10]),
            device: self.device.as_ref().map(|(id, owner)| LoginDevice {
                id,
                owner: owner.as_ref(),
                groups: &self.groups,
            }),
            renewal: None,
            now: self.now,
            today: "2026-11-20".parse().unwrap(),
            zone: &vocabulary::Zone::UTC,
            session,
            offered: None,
            code: Some("3-07K2"),
            place: &Ward,
        };
        let reply = self.login.handle(request, &self.book).await;
        for (_, cookie) in reply.page.headers.iter().filter(|(name, _)| *name == "set-cookie") {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    async fn get(&mut self, target: &str) -> LoginReply {
        self.send(Method::GET, target, "").await
    }

    /// Fills the visible fields into the first form that the page holds, and sends it off.
    async fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> LoginReply {
        let first = between(&page.body, "<form", "</form>").unwrap();
        let action = match between(first, "action=\"", "\"").unwrap() {
            "" => "/".to_owned(),
            action => action.to_owned(),
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        for input in first.split("<input type=\"hidden\" ").skip(1) {
            form.append_pair(between(input, "name=\"", "\"").unwrap(), between(input, "value=\"", "\"").unwrap());
        }
        for (name, value) in fields {
            form.append_pair(name, value);
        }
        self.send(Method::POST, &action, &form.finish()).await
    }

    async fn sign_in(&mut self, login_id: &str, password: &str) -> LoginReply {
        let form = self.get("/").await.page;
        self.submit(&form, &[("login_id", login_id), ("password", password)]).await
    }

    fn events(&self) -> Vec<LoginEvent> {
        std::mem::take(&mut self.book.events.lock().unwrap())
    }

    fn begin(&self) -> identity::Started {
        self.identity
            .sign_ins()
            .begin(Begin {
                within: None,
                host: APP_HOST,
                target: "/residents?page=2",
                certificate: None,
                remaining_hosts: Vec::new(),
                binder: None,
                source: IpAddr::from([203, 0, 113, 10]),
                now: self.now,
            })
            .unwrap()
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split_once(end).map(|(between, _)| between)
}

fn query<'t>(url: &'t str, name: &str) -> &'t str {
    url.split_once(&format!("{name}=")).unwrap().1
}

#[tokio::test]
async fn somebody_from_an_app_signs_in_and_comes_back_to_where_they_wanted_to_go() {
    let mut browser = browser().await;
    let started = browser.begin();
    let url = browser.login.sign_in_url(&started.handle);
    let form = browser.get(url.strip_prefix(ORIGIN).unwrap()).await.page;
    assert!(form.body.contains("kaipoke") && form.status == 200);
    let reply = browser.submit(&form, &[("login_id", "sato"), ("password", PASSWORD)]).await;
    assert_eq!(reply.page.status, 200);
    let url = between(&reply.page.body, "class=\"button\" href=\"", "\"").unwrap();
    assert!(url.starts_with("https://kaipoke.gw.example:8443/.sekisho/ticket?ticket="), "{url}");
    let redeem = Redeem {
        ticket: query(url, TICKET_PARAM),
        host: APP_HOST,
        certificate: None,
        binder: Some(&started.binder_cookie),
        now: browser.now,
    };
    let redeemed = browser.identity.sign_ins().redeem(redeem).unwrap();
    assert_eq!(redeemed.target, "/residents?page=2");
    assert_eq!(Some(&redeemed.session), reply.began.as_ref());
    let (session, method) = (redeemed.session, SignInMethod::Password);
    assert_eq!(
        browser.events(),
        [LoginEvent::SignedIn { person: id("sato"), factors: 1, method, device: None, session }]
    );
}

#[tokio::test]
async fn who_is_signed_in_goes_to_the_next_app_without_a_form() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    let started = browser.begin();
    let reply = browser.get(&format!("/?handle={}", started.handle.as_str())).await;
    assert_eq!(reply.page.status, 303);
    assert!(reply.page.header("location").unwrap().starts_with("https://kaipoke.gw.example:8443/.sekisho/ticket?"));
    let home = browser.get("/?handle=forgotten").await.page;
    assert_eq!(home.header("location"), Some("/home?late=1"));
    let home = browser.get("/home").await.page;
    assert!(home.body.contains("佐藤 花子") && home.body.contains("https://records.gw.example:8443/"));
}

#[tokio::test]
async fn wrong_and_unknown_read_the_same_and_what_was_typed_is_not_recorded() {
    let mut browser = browser().await;
    let wrong = browser.sign_in("sato", "not this one at all").await.page;
    let unknown = browser.sign_in("himitsu-no-password", "not this one at all").await.page;
    assert_eq!((wrong.status, &wrong.body), (403, &unknown.body));
    assert!(wrong.body.contains(words::WRONG.ja));
    assert_eq!(
        browser.events(),
        [
            LoginEvent::Failed { person: Some(id("sato")), cause: Cause::Password },
            LoginEvent::Failed { person: None, cause: Cause::Password },
        ]
    );
    assert!(browser.identity.sessions().is_empty());
}

#[tokio::test]
async fn a_full_width_id_is_recorded_as_the_person_it_is() {
    let mut browser = browser().await;
    browser.sign_in(" ｓａｔｏ ", "not this one at all").await;
    assert_eq!(browser.events(), [LoginEvent::Failed { person: Some(id("sato")), cause: Cause::Password }]);
}

#[tokio::test]
async fn nothing_takes_effect_that_could_not_be_recorded() {
    let mut browser = browser().await;
    browser.book.full = true;
    let reply = browser.sign_in("sato", PASSWORD).await;
    assert_eq!(reply.page.status, 503);
    assert!(reply.began.is_none() && browser.identity.sessions().is_empty());
    browser.book.full = false;
    browser.sign_in("sato", PASSWORD).await;
    let question = browser.get("/sign-out").await.page;
    browser.book.full = true;
    let reply = browser.submit(&question, &[]).await;
    assert_eq!(reply.page.status, 503);
    assert_eq!(browser.identity.sessions().len(), 1);
}

#[tokio::test]
async fn signing_out_is_asked_recorded_and_ends_the_session() {
    let mut browser = browser().await;
    let began = browser.sign_in("sato", PASSWORD).await.began.unwrap();
    browser.events();
    let question = browser.get("/sign-out").await.page;
    let reply = browser.submit(&question, &[]).await;
    assert_eq!(reply.ended.iter().map(|e| &e.id).collect::<Vec<_>>(), [&began]);
    assert!(browser.identity.sessions().is_empty());
    assert!(!browser.cookies.contains_key(cookies::LOGIN));
    assert!(matches!(browser.events().as_slice(), [LoginEvent::SignedOut { session }] if session.id == began));
    assert_eq!(browser.get("/home").await.page.header("location"), Some("/"));
}

#[tokio::test]
async fn a_form_of_somebody_else_does_nothing() {
    let mut browser = browser().await;
    let form = browser.get("/").await.page;
    let good = [("login_id", "sato"), ("password", PASSWORD)];
    // Another page's origin, one that hides it, another app's page, and no cookie to fit the token.
    for (header, value) in
        [("origin", "https://kaipoke.gw.example:8443"), ("origin", "null"), ("sec-fetch-site", "same-site")]
    {
        browser.headers.insert(header, value.parse().unwrap());
        let reply = browser.submit(&form, &good).await;
        assert_eq!(reply.page.status, 403, "{header}: {value}");
        browser.headers.remove(header);
    }
    let kept = std::mem::take(&mut browser.cookies);
    assert_eq!(browser.submit(&form, &good).await.page.status, 403);
    browser.cookies = kept;
    let altered =
        Page { body: form.body.replace("name=\"token\" value=\"", "name=\"token\" value=\"A"), ..form.clone() };
    assert_eq!(browser.submit(&altered, &good).await.page.status, 403);
    browser.headers.insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(browser.submit(&form, &good).await.page.status, 415);
    browser.headers.remove("content-type");
    assert!(browser.identity.sessions().is_empty() && browser.events().is_empty());
    assert!(browser.submit(&form, &good).await.began.is_some());
}

#[tokio::test]
async fn signing_out_takes_the_sessions_own_token() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    let forged = format!("token={}", request::form_token("sign-out", "guessed"));
    assert_eq!(browser.send(Method::POST, "/sign-out", &forged).await.page.status, 403);
    assert_eq!(browser.identity.sessions().len(), 1);
}

#[tokio::test]
async fn two_tabs_share_one_form_cookie() {
    let mut browser = browser().await;
    let first = browser.get("/").await.page;
    let second = browser.get("/").await.page;
    assert!(first.header("set-cookie").is_some() && second.header("set-cookie").is_none());
    let good = [("login_id", "sato"), ("password", PASSWORD)];
    assert!(browser.submit(&first, &good).await.began.is_some());
}

#[tokio::test]
async fn the_next_person_in_the_same_browser_ends_the_session_of_the_one_before() {
    let mut browser = browser().await;
    let form = browser.get("/").await.page;
    let first = browser.submit(&form, &[("login_id", "sato"), ("password", PASSWORD)]).await.began.unwrap();
    let reply = browser.submit(&form, &[("login_id", "tanaka"), ("password", PASSWORD)]).await;
    assert_eq!(reply.ended.iter().map(|e| &e.id).collect::<Vec<_>>(), [&first]);
    assert_eq!(browser.identity.sessions().len(), 1);
}

#[tokio::test]
async fn right_password_but_locked_or_on_somebody_elses_device() {
    let mut browser = browser().await;
    browser.device = Some(("d-1".parse().unwrap(), Some(id("tanaka"))));
    let page = browser.sign_in("sato", PASSWORD).await.page;
    assert!(page.status == 403 && page.body.contains(words::of_reason(Reason::DeviceNotYours).title.ja));
    browser.device = None;
    browser.identity.lock(&id("sato")).unwrap();
    let page = browser.sign_in("sato", PASSWORD).await.page;
    assert!(page.body.contains(words::of_reason(Reason::StaffLocked).title.ja) && page.body.contains("3-07K2"));
    let causes = [Reason::DeviceNotYours, Reason::StaffLocked];
    let expected = causes.map(|r| LoginEvent::Failed { person: Some(id("sato")), cause: Cause::Refused(r) });
    assert_eq!(browser.events(), expected);
    assert!(browser.identity.sessions().is_empty());
}

#[tokio::test]
async fn a_session_carried_to_another_device_is_asked_to_sign_in() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    browser.device = Some(("d-1".parse().unwrap(), Some(id("sato"))));
    assert_eq!(browser.get("/").await.page.status, 200);
    assert_eq!(browser.get("/home").await.page.header("location"), Some("/"));
}

#[tokio::test]
async fn who_is_locked_while_signed_in_sees_why_and_may_sign_out() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    browser.identity.lock(&id("sato")).unwrap();
    let page = browser.get("/home").await.page;
    assert!(page.status == 403 && page.body.contains("href=\"/sign-out\""));
}

#[tokio::test]
async fn too_many_attempts_are_told_to_wait() {
    let mut browser = browser().await;
    for _ in 0..50 {
        let page = browser.sign_in("sato", "not this one at all").await.page;
        if page.status == 429 {
            assert!(page.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
            assert!(page.body.contains(words::THROTTLED_AFTER.ja));
            assert_eq!(
                browser.events().pop(),
                Some(LoginEvent::Failed { person: Some(id("sato")), cause: Cause::Throttled })
            );
            return;
        }
    }
    panic!("fifty wrong passwords and nobody said stop");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_on_a_page_of_its_own() {
    let mut browser = browser().await;
    let enrolment = browser.identity.directory().totp_enrol(&id("sato")).await.unwrap();
    let code = |at: Timestamp| enrolment.secret.code_at(at);
    browser.identity.directory().totp_confirm(&id("sato"), &code(browser.now), browser.now).await.unwrap();
    browser.now = browser.now.plus_secs(60);
    let step = browser.sign_in("sato", PASSWORD).await;
    assert!(step.began.is_none() && step.page.body.contains("one-time-code"));
    assert!(!step.page.body.contains(PASSWORD));
    let wrong = browser.submit(&step.page, &[("code", "000000")]).await;
    assert!(wrong.page.status == 403 && wrong.page.body.contains(words::WRONG_CODE.ja));
    let other = wrong.page.body.replace("name=\"who\" value=\"sato\"", "name=\"who\" value=\"tanaka\"");
    browser.submit(&Page { body: other, ..wrong.page.clone() }, &[("code", "000001")]).await;
    let reply = browser.submit(&wrong.page, &[("code", &code(browser.now))]).await;
    let session = reply.began.unwrap();
    assert_eq!(
        browser.events(),
        [
            LoginEvent::CodeAsked { person: id("sato") },
            LoginEvent::Failed { person: Some(id("sato")), cause: Cause::Code },
            // Whom the browser named is not believed.
            LoginEvent::Failed { person: None, cause: Cause::Code },
            LoginEvent::SignedIn {
                person: id("sato"),
                factors: 2,
                method: SignInMethod::PasswordAndCode,
                device: None,
                session,
            },
        ]
    );
}

#[tokio::test]
async fn other_paths_and_methods_are_told_so() {
    let mut browser = browser().await;
    assert_eq!(browser.get("/nowhere").await.page.status, 404);
    assert_eq!(browser.send(Method::PUT, "/", "").await.page.status, 405);
    assert_eq!(browser.get("/totp").await.page.status, 303);
    assert_eq!(browser.send(Method::HEAD, "/", "").await.page.status, 200);
    let long = format!("token={}", "a".repeat(BODY_LIMIT));
    assert_eq!(browser.send(Method::POST, "/", &long).await.page.status, 413);
}

#[tokio::test]
async fn no_debug_output_holds_a_token() {
    let mut browser = browser().await;
    let reply = browser.sign_in("sato", PASSWORD).await;
    let token = browser.cookies[cookies::LOGIN].clone();
    let shown = format!("{reply:?} {:?}", browser.login);
    assert!(!shown.contains(&token) && !shown.contains("ticket="));
}

#[test]
fn apps_are_reached_at_the_port_of_the_sign_in_pages() {
    let login = |origin: &str| {
        let identity = Identity::open(Store::in_memory().unwrap(), &Settings::default()).unwrap();
        LoginApp::new(identity, LoginSettings { host: "l".into(), origin: origin.into(), apps: Vec::new() })
    };
    assert_eq!(login("https://login.gw.example").origin_of("a.gw.example"), "https://a.gw.example");
    assert_eq!(login("https://login.gw.example:8443").origin_of("a.gw.example"), "https://a.gw.example:8443");
}

impl Browser {
    /// Presses the button of the form on the page that is sent to `action`.
    async fn press(&mut self, page: &Page, action: &str, fields: &[(&str, &str)]) -> LoginReply {
        let form = format!("<form method=\"post\" action=\"{action}\"");
        let (_, rest) = page.body.split_once(&form).unwrap_or_else(|| panic!("no {action} in {}", page.body));
        self.submit(&Page { body: format!("{form}{rest}"), ..page.clone() }, fields).await
    }

    /// What was changed, and what ended by it, in words.
    fn changes(&self) -> Vec<&'static str> {
        let word = |event: LoginEvent| match event {
            LoginEvent::Changed { change, .. } => Some(change.as_str()),
            LoginEvent::EndedByChange { .. } => Some("ended"),
            LoginEvent::Failed { cause, .. } => Some(cause.as_str()),
            LoginEvent::RecoveryCodeUsed { .. } => Some("recovery-code-used"),
            _ => None,
        };
        self.events().into_iter().filter_map(word).collect()
    }

    /// sato, vouched for by a provider that asked for one factor.
    async fn come_from_provider(&mut self) {
        let account = identity::SessionAccount {
            provider: "workspace".into(),
            issuer: "https://idp.example".into(),
            subject: "117".into(),
            sid: None,
            groups: Vec::new(),
            signed_in: None,
        };
        let begin = identity::BeginSession {
            id: self.identity.sessions().new_id().unwrap(),
            person: id("sato"),
            account: Some(account),
            factors: 1,
            device: None,
            source: IpAddr::from([203, 0, 113, 10]),
            host: "login.gw.example".into(),
            now: self.now,
        };
        let (_, token) = self.identity.sessions().begin(begin).await.unwrap();
        self.cookies.insert(cookies::LOGIN.to_owned(), token.as_str().to_owned());
    }

    /// Sets one-time codes up by the page; the page with the recovery codes.
    async fn set_up_totp(&mut self) -> Page {
        let settings = self.get("/security").await.page;
        let setup = self.press(&settings, "/security/totp", &[]).await.page;
        let code = self.identity.directory().totp_pending(&id("sato")).unwrap().secret.code_at(self.now);
        let codes = self.press(&setup, "/security/totp/confirm", &[("code", &code)]).await.page;
        assert_eq!(codes.status, 200);
        codes
    }
}

#[tokio::test]
async fn after_ten_minutes_a_change_asks_for_the_password_again() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    let fresh = browser.get("/security").await.page;
    browser.now = browser.now.plus_secs(identity::FRESH_SECS);
    let stale = browser.get("/security").await.page;
    assert!(!stale.body.contains("action=\"/security/totp\"") && stale.body.contains("action=\"/security/confirm\""));
    // A page that was left open does nothing either, nor does a passkey begun from it.
    for action in ["/security/totp", "/security/passkey"] {
        let reply = browser.press(&fresh, action, &[]).await;
        assert!(reply.page.status == 403 && reply.page.body.contains(words::CONFIRM_FIRST.ja), "{action}");
    }
    let token = between(&fresh.body, "name=\"token\" value=\"", "\"").unwrap();
    let asked = browser.send(Method::POST, "/security/passkey/ask", &format!("token={token}")).await.page;
    assert!(asked.status == 403 && !asked.body.contains("challenge"));
    assert!(!browser.identity.directory().factors(&id("sato")).totp_pending);
    browser.events();
    let wrong = browser.press(&stale, "/security/confirm", &[("password", "not this one at all")]).await.page;
    assert!(wrong.status == 403 && wrong.body.contains(words::CONFIRM_WRONG.ja));
    assert_eq!(browser.press(&stale, "/security/confirm", &[("password", PASSWORD)]).await.page.status, 303);
    assert_eq!(browser.changes(), ["confirmation"]);
    browser.set_up_totp().await;
    assert_eq!(browser.changes(), ["totp-set", "recovery-codes-made"]);
}

#[tokio::test]
async fn no_change_takes_effect_that_could_not_be_recorded() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    let settings = browser.get("/security").await.page;
    let setup = browser.press(&settings, "/security/totp", &[]).await.page;
    let directory = browser.identity.directory().clone();
    let code = directory.totp_pending(&id("sato")).unwrap().secret.code_at(browser.now);
    browser.book.full = true;
    assert_eq!(browser.press(&setup, "/security/totp/confirm", &[("code", &code)]).await.page.status, 503);
    assert!(!directory.factors(&id("sato")).second());
    let form = browser.get("/password").await.page;
    let new = [("old", PASSWORD), ("new", "another-long-password"), ("again", "another-long-password")];
    assert_eq!(browser.submit(&form, &new).await.page.status, 503);
    assert!(directory.is_password(&id("sato"), PASSWORD).await.unwrap());

    browser.book.full = false;
    let codes = browser.set_up_totp().await;
    let code = between(&codes.body, "<code>", "</code>").unwrap().to_owned();
    let settings = browser.get("/security").await.page;
    browser.book.full = true;
    for action in ["/security/totp/remove", "/security/recovery"] {
        assert_eq!(browser.press(&settings, action, &[]).await.page.status, 503, "{action}");
    }
    assert!(directory.factors(&id("sato")).totp);
    browser.book.full = false;
    browser.cookies.clear();
    browser.now = browser.now.plus_secs(60);
    let step = browser.sign_in("sato", PASSWORD).await.page;
    browser.book.full = true;
    assert_eq!(browser.press(&step, "/recovery", &[("code", &code)]).await.page.status, 503);
    assert_eq!(directory.factors(&id("sato")).recovery_codes, 10, "the code is still good");
    browser.book.full = false;
    browser.events();
    assert!(browser.press(&step, "/recovery", &[("code", &code)]).await.began.is_some());
    assert_eq!(browser.changes(), ["recovery-code-used"]);
}

#[tokio::test]
async fn who_is_locked_keeps_the_recovery_code() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    let codes = browser.set_up_totp().await;
    let code = between(&codes.body, "<code>", "</code>").unwrap().to_owned();
    browser.cookies.clear();
    let step = browser.sign_in("sato", PASSWORD).await.page;
    browser.identity.lock(&id("sato")).unwrap();
    assert_eq!(browser.press(&step, "/recovery", &[("code", &code)]).await.page.status, 403);
    assert_eq!(browser.identity.directory().factors(&id("sato")).recovery_codes, 10);
}

#[tokio::test]
async fn secrets_that_are_shown_once_are_in_no_debug_output_and_not_kept_by_browsers() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    let settings = browser.get("/security").await.page;
    let setup = browser.press(&settings, "/security/totp", &[]).await;
    let key = between(&setup.page.body, "<code>", "</code>").unwrap().replace(' ', "");
    assert!(!format!("{setup:?} {:?}", browser.login).contains(&key));
    let codes = browser.set_up_totp().await;
    for page in [&setup.page, &codes] {
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    // Style attributes would be refused by that policy.
    assert!(!setup.page.body.contains("style=\"") && !codes.body.contains("style=\""));
}

#[tokio::test]
async fn who_signs_in_elsewhere_finds_nothing_to_change() {
    let mut browser = browser().await;
    browser.identity.add(Person::new(id("suzuki"), "鈴木")).unwrap();
    let begin = identity::BeginSession {
        id: browser.identity.sessions().new_id().unwrap(),
        person: id("suzuki"),
        account: None,
        factors: 1,
        device: None,
        source: IpAddr::from([203, 0, 113, 10]),
        host: "login.gw.example".into(),
        now: browser.now,
    };
    let (_, token) = browser.identity.sessions().begin(begin).await.unwrap();
    browser.cookies.insert(cookies::LOGIN.to_owned(), token.as_str().to_owned());
    let page = browser.get("/security").await.page;
    assert!(page.body.contains(words::NOTHING_HERE.ja) && !page.body.contains("<form"));
    assert!(!browser.get("/home").await.page.body.contains("/security"));
}

/// Whoever knows the password may sit in a session that began before there was a second factor, or come from a provider
/// that asks for less.
#[tokio::test]
async fn a_password_alone_puts_nothing_in_the_place_of_a_second_factor() {
    let mut browser = browser().await;
    browser.sign_in("sato", PASSWORD).await;
    let elsewhere = browser.cookies.clone();
    browser.cookies.clear();
    browser.sign_in("sato", PASSWORD).await;
    let own = browser.cookies.clone();
    assert_eq!(browser.identity.sessions().list().len(), 2);
    browser.set_up_totp().await;
    assert_eq!(browser.identity.sessions().list().len(), 1, "a session without the factor outlived setting it up");
    browser.cookies = elsewhere;
    assert_eq!(browser.get("/security").await.page.status, 303);
    // In the one where it was set up, more can be.
    browser.cookies = own;
    let settings = browser.get("/security").await.page;
    assert_eq!(browser.press(&settings, "/security/recovery", &[]).await.page.status, 200);

    browser.come_from_provider().await;
    let settings = browser.get("/security").await.page;
    browser.press(&settings, "/security/confirm", &[("password", PASSWORD)]).await;
    let settings = browser.get("/security").await.page;
    assert!(settings.body.contains("/?again=1"), "{}", settings.body);
    browser.events();
    for action in ["/security/totp/remove", "/security/recovery"] {
        let refused = browser.press(&settings, action, &[]).await.page;
        assert!(refused.status == 403 && refused.body.contains(words::SECOND_FIRST.ja), "{action}");
    }
    let form = browser.get("/password").await.page;
    let new = [("old", PASSWORD), ("new", "another-long-password"), ("again", "another-long-password")];
    assert_eq!(browser.submit(&form, &new).await.page.status, 403);
    assert!(browser.changes().is_empty() && browser.identity.directory().factors(&id("sato")).totp);
}

#[tokio::test]
async fn who_comes_from_a_provider_shows_the_password_before_changing_what_belongs_to_it() {
    let mut browser = browser().await;
    browser.identity.directory().set_first_password(&id("sato"), PASSWORD, browser.now).await.unwrap();
    browser.come_from_provider().await;
    // The provider may have vouched without asking anybody.
    let page = browser.get("/security").await.page;
    assert!(page.body.contains("action=\"/security/confirm\"") && !page.body.contains("action=\"/security/totp\""));
    // A password that was not used here keeps nobody from the services.
    assert_eq!(browser.get("/home").await.page.status, 200);
    assert!(browser.get("/password").await.page.body.contains("name=\"old\""));
}

#[tokio::test]
async fn an_unknown_passkey_and_a_made_up_answer_read_the_same_for_everybody() {
    let mut browser = browser().await;
    let form = browser.get("/").await.page;
    let token = between(&form.body.replace("action=\"/\"", ""), "action=\"/passkey\"", "</form>").unwrap().to_owned();
    let token = between(&token, "name=\"token\" value=\"", "\"").unwrap().to_owned();
    let asked = browser.send(Method::POST, "/passkey/ask", &format!("token={token}")).await.page;
    assert_eq!(asked.status, 200);
    let asked: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert!(asked["publicKey"]["challenge"].is_string());
    let answer = format!("token={token}&ceremony={}&credential=%7B%7D", asked["ceremony"].as_str().unwrap());
    let wrong = browser.send(Method::POST, "/passkey", &answer).await.page;
    assert!(wrong.status == 403 && wrong.body.contains(words::PASSKEY_FAILED.ja));
    assert_eq!(browser.events(), [LoginEvent::Failed { person: None, cause: Cause::Passkey }]);
    // From another page or without the cookie there is no question.
    browser.headers.insert("sec-fetch-site", "same-site".parse().unwrap());
    assert_eq!(browser.send(Method::POST, "/passkey/ask", &format!("token={token}")).await.page.status, 403);
    browser.headers.remove("sec-fetch-site");
    browser.cookies.clear();
    assert_eq!(browser.send(Method::POST, "/passkey/ask", &format!("token={token}")).await.page.status, 403);
}

/// `cargo test -p sekisho-apps -- --ignored`, then open the files: pages are to be looked at.
#[tokio::test]
#[ignore = "writes every page to the folder sekisho-pages among temporary files, to be looked at"]
async fn write_every_page() {
    let folder = std::env::temp_dir().join("sekisho-pages");
    std::fs::create_dir_all(&folder).unwrap();
    let keep = |name: String, page: &Page| std::fs::write(folder.join(name + ".html"), &page.body).unwrap();
    for lang in Lang::ALL {
        let tag = lang.tag();
        for reason in Reason::ALL {
            let sign_in = (status_of(*reason) == 401).then_some("https://login.gw.example/");
            let deny = Deny { reason: *reason, code: Some("3-07K2"), sign_in, set_up: false, app: Some("kaipoke") };
            keep(format!("{reason}-{tag}"), &deny_page(&deny, lang));
        }
        let mut browser = browser().await;
        browser.headers.insert("accept-language", tag.parse().unwrap());
        let enrolment = browser.identity.directory().totp_enrol(&id("tanaka")).await.unwrap();
        let code = enrolment.secret.code_at(browser.now);
        browser.identity.directory().totp_confirm(&id("tanaka"), &code, browser.now).await.unwrap();
        keep(format!("link-expired-{tag}"), &crate::link_expired_page(lang, "/", Some("3-07K2")));
        let step = browser.sign_in("tanaka", PASSWORD).await.page;
        keep(format!("code-step-{tag}"), &step);
        keep(format!("code-wrong-{tag}"), &browser.submit(&step, &[("code", "1")]).await.page);
        keep(format!("wrong-{tag}"), &browser.sign_in("sato", "x").await.page);
        let started = browser.begin();
        keep(format!("sign-in-{tag}"), &browser.get(&format!("/?handle={}", started.handle.as_str())).await.page);
        keep(format!("handle-gone-{tag}"), &browser.get("/?handle=x").await.page);
        keep(format!("opening-{tag}"), &browser.sign_in("sato", PASSWORD).await.page);
        keep(format!("home-{tag}"), &browser.get("/home").await.page);
        keep(format!("home-late-{tag}"), &browser.get("/home?late=1").await.page);
        keep(format!("not-found-{tag}"), &browser.get("/nowhere").await.page);
        let question = browser.get("/sign-out").await.page;
        keep(format!("sign-out-{tag}"), &question);
        keep(format!("signed-out-{tag}"), &browser.submit(&question, &[]).await.page);
    }
}
