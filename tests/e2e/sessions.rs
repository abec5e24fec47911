//! Sessions: seen and ended by those whose they are; several tabs, late and replayed steps, cookies that are off; the
//! notice between signing in and the first app.

use bytes::Bytes;
use demo::client::{Browser, Mode, Response};
use http::{HeaderMap, Method};

use crate::harness::{Gate, HOME, PASSWORD, eventually, fill_in, run, sign_in};

const APP: &str = "hidamari.gw.localhost";
const LOGIN: &str = "login.gw.localhost";

async fn get(browser: &mut Browser, url: &str, mode: Mode) -> Response {
    browser.send(Method::GET, url, mode, HeaderMap::new(), Bytes::new()).await.unwrap()
}

async fn post(browser: &mut Browser, url: &str, body: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    headers.insert("origin", origin.parse().unwrap());
    browser.send(Method::POST, url, Mode::Navigate, headers, Bytes::from(body.to_owned())).await.unwrap()
}

#[test]
fn people_see_and_end_their_own_sessions_and_nobody_elses() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let (mut ward, mut office) = (gate.signed_in("sato").await, gate.signed_in("sato").await);
        let mut tanaka = gate.signed_in("tanaka").await;
        let page = ward.open(&gate.login_url("/sessions")).await.unwrap();
        assert_eq!(page.status, 200);
        assert_eq!(page.text().matches("<li>").count(), 2, "her two sessions and not his: {}", page.text());
        assert!(page.text().contains("127.0.0.1") && page.text().contains("This one"));

        // Somebody else's id does nothing, even with a token that fits.
        let token = field(&page, "token");
        let his = gate.json(&["session", "list", "--person", "tanaka"])[0]["id"].as_str().unwrap().to_owned();
        post(&mut ward, &gate.login_url("/sessions"), &format!("token={token}&end={his}")).await;
        assert_eq!(get(&mut tanaka, &gate.url("/echo"), Mode::Fetch).await.status, 200);
        // Nor does the right id with a token that doesn't.
        let refused = post(&mut ward, &gate.login_url("/sessions"), "token=guessed&end=others").await;
        assert_eq!(refused.status, 403);
        assert_eq!(get(&mut office, &gate.url("/echo"), Mode::Fetch).await.status, 200);

        post(&mut ward, &gate.login_url("/sessions"), &format!("token={token}&end=others")).await;
        assert_eq!(get(&mut office, &gate.url("/echo"), Mode::Fetch).await.status, 401);
        assert_eq!(get(&mut ward, &gate.url("/echo"), Mode::Fetch).await.status, 200);
        assert_eq!(gate.json(&["session", "list", "--person", "sato"]).as_array().unwrap().len(), 1);

        // And the operator ends all of a person.
        let ended = gate.json(&["session", "end", "--person", "sato"]);
        assert_eq!(ended["sessions_ended"], 1);
        assert_eq!(get(&mut ward, &gate.url("/echo"), Mode::Fetch).await.status, 401);
    });
}

/// What stands in the journal around a word, as bytes on disk.
fn recorded(gate: &Gate, word: &str) -> String {
    let folder = gate.data().join("audit/journal");
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default());
    let all = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect::<String>();
    let (before, after) = all.split_once(word).unwrap_or_else(|| panic!("no record says {word}"));
    let before: String = before.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
    format!("{before}{word}{}", after.chars().take(300).collect::<String>())
}

fn field(page: &Response, name: &str) -> String {
    let text = page.text();
    let (_, rest) = text.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {text}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn a_script_that_polls_gets_json_with_the_way_to_sign_in_and_keeps_nobody_signed_in() {
    run(async {
        let gate = Gate::builder().more("identity: { session: { idle: 1m } }").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        assert_eq!(get(&mut sato, &gate.url("/echo?t=0"), Mode::Fetch).await.status, 200);
        let active = || gate.json(&["session", "list"])[0]["last_active"].as_str().unwrap().to_owned();
        let before = active();
        // Times are shown to the second: polls in the next one would show.
        eventually("a second has passed", async || {
            let polled = get(&mut sato, &gate.url("/echo?t=1"), Mode::Fetch).await;
            assert_eq!(polled.status, 200);
            let now = vocabulary::Clock::now(&vocabulary::SystemClock).secs();
            (now % 60 != before.rsplit(':').next()?.get(..2)?.parse::<i64>().ok()?).then_some(())
        })
        .await;
        get(&mut sato, &gate.url("/echo?t=2"), Mode::Fetch).await;
        assert_eq!(active(), before, "polling counted as activity");
        eventually("opening a page counts", async || {
            get(&mut sato, &gate.url("/echo"), Mode::Navigate).await;
            (active() != before).then_some(())
        })
        .await;

        gate.json(&["session", "end", "--person", "sato"]);
        let refused = get(&mut sato, &gate.url("/api/summary"), Mode::Fetch).await;
        assert_eq!(
            (refused.status.as_u16(), refused.headers["content-type"].to_str().unwrap()),
            (401, "application/json")
        );
        assert_eq!(refused.json()["error"], "sign-in-needed");
        assert_eq!(refused.json()["sign_in"], gate.login_url("/"));
    });
}

#[test]
fn two_tabs_of_one_person_end_up_where_each_wanted_to_go_in_one_session() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let first = sato.open(&gate.url("/echo?tab=1")).await.unwrap();
        let second = sato.open(&gate.url("/echo?tab=2")).await.unwrap();
        let fields = [("login_id", "sato"), ("password", PASSWORD)];
        let landed = fill_in(&mut sato, &second, &fields).await;
        assert_eq!(landed.url, gate.url("/echo?tab=2"));
        let session = gate.json(&["session", "list"])[0]["id"].clone();
        let landed = fill_in(&mut sato, &first, &fields).await;
        assert_eq!(landed.url, gate.url("/echo?tab=1"));
        let sessions = gate.json(&["session", "list"]);
        assert_eq!(sessions.as_array().unwrap().len(), 1);
        assert_eq!(sessions[0]["id"], session, "the first tab's session was ended under it");
    });
}

#[test]
fn a_replayed_ticket_an_old_handle_and_the_back_button_are_told_in_words() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let form = sato.open(&gate.url("/echo")).await.unwrap();
        fill_in(&mut sato, &form, &[("login_id", "sato"), ("password", PASSWORD)]).await;
        // Back to the form: she is signed in, and its handle is used up.
        let back = sato.open(&form.url).await.unwrap();
        assert_eq!((back.status.as_u16(), back.url.as_str()), (200, &*gate.login_url("/home?late=1")));
        let replayed = sato.open(&gate.url("/.sekisho/ticket?ticket=AAAA")).await.unwrap();
        assert_eq!(replayed.status, 400);
        assert!(replayed.text().contains("can&#39;t be used") || replayed.text().contains("can't be used"));
        // An old handle without a session still leads to the form, and from there home.
        let mut late = gate.browser(HOME);
        let form = late.open(&gate.login_url("/?handle=gone")).await.unwrap();
        assert!(form.text().contains("no longer know which page"), "{}", form.text());
        let home = fill_in(&mut late, &form, &[("login_id", "sato"), ("password", PASSWORD)]).await;
        assert!(home.url.starts_with(&gate.login_url("/home")), "{}", home.url);
    });
}

#[test]
fn who_has_cookies_switched_off_reads_so_instead_of_going_round_in_circles() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let form = sato.open(&gate.url("/echo")).await.unwrap();
        sato.set_cookie(LOGIN, "__Host-sekisho-form=; Path=/; Max-Age=0");
        let told = fill_in(&mut sato, &form, &[("login_id", "sato"), ("password", PASSWORD)]).await;
        assert_eq!(told.status, 403);
        assert!(told.text().contains("Cookies are switched off"), "{}", told.text());
        assert!(gate.json(&["session", "list"]).as_array().unwrap().is_empty());
        // On the app's host alone: told there.
        let form = sato.open(&gate.url("/echo")).await.unwrap();
        sato.set_cookie(APP, "__Host-sekisho-begin=; Path=/; Max-Age=0");
        let told = fill_in(&mut sato, &form, &[("login_id", "sato"), ("password", PASSWORD)]).await;
        assert!(told.text().contains("Cookies are switched off"), "{} {}", told.url, told.text());
    });
}

#[test]
fn nobody_is_led_elsewhere_and_nobody_is_signed_in_as_somebody_else() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "mallory"] {
            gate.add_staff(person, &["staff"]);
        }
        // Open redirects: whatever the address or the form says, the way leads to hosts of ours.
        for target in ["//evil.example/", "/\\evil.example/", "/%2f/evil.example"] {
            let mut browser = gate.browser(HOME);
            let url = format!("https://{APP}:{}{target}", gate.port);
            let answer = get(&mut browser, &url, Mode::Navigate).await;
            let location = answer.headers.get("location").map(|l| l.to_str().unwrap().to_owned()).unwrap_or_default();
            assert!(location.is_empty() || location.starts_with(&gate.login_url("/?handle=")), "{target}: {location}");
        }
        let mut sato = gate.browser(HOME);
        for query in ["next=https://evil.example/", "handle=https://evil.example/", "redirect_uri=//evil.example"] {
            let form = sato.open(&gate.login_url(&format!("/?{query}"))).await.unwrap();
            let landed = fill_in(&mut sato, &form, &[("login_id", "sato"), ("password", PASSWORD)]).await;
            assert!(landed.url.starts_with(&gate.login_url("/home")), "{query}: {}", landed.url);
            sato = gate.browser(HOME);
        }

        // Login CSRF: mallory's own ticket, handle or form, carried into sato's browser, signs nobody in.
        let mut mallory = gate.browser(HOME);
        let form = mallory.open(&gate.url("/echo")).await.unwrap();
        let body = format!(
            "token={}&handle={}&login_id=mallory&password={PASSWORD}",
            field(&form, "token"),
            field(&form, "handle")
        );
        sato.open(&gate.login_url("/")).await.unwrap();
        post(&mut sato, &gate.login_url("/"), &body).await;
        assert!(gate.json(&["session", "list", "--person", "mallory"]).as_array().unwrap().is_empty());
        let opening = post(&mut mallory, &gate.login_url("/"), &body).await;
        let text = opening.text();
        let ticket =
            text.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
        let stolen = sato.open(&ticket).await.unwrap();
        assert!(stolen.status.is_client_error());
        assert!(!sato.cookies(APP).contains("__Host-sekisho="), "{}", sato.cookies(APP));
    });
}

#[test]
fn cookies_of_ours_do_not_pile_up() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let mut browser = gate.browser(HOME);
        for turn in 0..20 {
            let person = if turn % 2 == 0 { "sato" } else { "tanaka" };
            let landed = sign_in(&mut browser, &gate.url(&format!("/echo?turn={turn}")), person, PASSWORD).await;
            assert_eq!(landed.status, 200, "{turn}: {}", landed.text());
            gate.json(&["session", "end", "--person", person]);
        }
        for (host, most) in [(APP, 4), (LOGIN, 2)] {
            let cookies = browser.cookies(host);
            let ours = cookies.matches("sekisho").count();
            assert!(ours <= most && cookies.len() < 600, "{host}: {cookies}");
        }
    });
}

const NOTICE: &str = r#"identity:
  notice: { text: { ja: "操作は記録されています。", en: "What you do is recorded." }, every: sign-in }
"#;

#[test]
fn a_notice_stands_between_signing_in_and_the_first_app() {
    run(async {
        let gate = Gate::builder().more(NOTICE).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let notice = sign_in(&mut sato, &gate.url("/echo?room=203"), "sato", PASSWORD).await;
        assert!(notice.text().contains("What you do is recorded."), "{}", notice.text());
        // Until it is confirmed no app opens, whichever way she goes.
        let again = sato.open(&gate.url("/echo")).await.unwrap();
        assert!(again.text().contains("What you do is recorded."), "{} {}", again.url, again.text());
        let home = sato.open(&gate.login_url("/home")).await.unwrap();
        assert!(home.text().contains("What you do is recorded."));
        let forged =
            post(&mut sato, &gate.login_url("/"), &format!("token=x&notice={}", field(&notice, "notice"))).await;
        assert_eq!(forged.status, 403);
        assert_eq!(get(&mut sato, &gate.url("/echo"), Mode::Fetch).await.status, 401);

        let landed = fill_in(&mut sato, &notice, &[]).await;
        assert_eq!(landed.url, gate.url("/echo?room=203"), "{}", landed.text());
        let confirmed = recorded(&gate, "notice-acknowledged");
        assert!(confirmed.contains("\"sato\"") && confirmed.contains("text_sha256"), "{confirmed}");

        // The next sign-in is asked again; so is she when the text changes.
        gate.json(&["session", "end", "--person", "sato"]);
        let notice = sign_in(&mut sato, &gate.url("/echo"), "sato", PASSWORD).await;
        assert!(notice.text().contains("What you do is recorded."));
        gate.rewrite(|text| {
            text.replace("What you do is recorded.", "Everything is recorded.").replace("every: sign-in", "every: 30d")
        });
        assert!(gate.cli(&["reload"]).status.success());
        let changed = fill_in(&mut sato, &notice, &[]).await;
        assert!(changed.text().contains("Everything is recorded."), "{}", changed.text());
        let landed = fill_in(&mut sato, &changed, &[]).await;
        assert_eq!(landed.url, gate.url("/echo"));
        // Within thirty days it is not asked again.
        let mut elsewhere = gate.browser(HOME);
        let landed = sign_in(&mut elsewhere, &gate.url("/echo"), "sato", PASSWORD).await;
        assert_eq!(landed.url, gate.url("/echo"), "{}", landed.text());
    });
}
