//! Signing in at an OpenID Connect provider: the way there and back, whose account it is, and every token that must
//! not be believed.

use bytes::Bytes;
use demo::client::{Browser, Mode};
use demo::provider::Mischief;
use http::{HeaderMap, Method, StatusCode};

use crate::harness::{
    Gate, HOME, IDP_PASSWORD, OUTSIDE, PASSWORD, Shim, Sso, account, fill_in, run, sign_in, start_link,
};

const SATO: &str = "sato@sakura-kai.example";

/// So many attempts from one address in a minute would be counted instead of recorded one by one.
const MANY: &str = "audit: { strangers: { per_minute: 1000 } }\n";

#[test]
fn one_provider_alone_leads_straight_there_and_back_to_the_deep_link() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let gate = sso.gate(Gate::builder(), "", false).await;
        gate.add_colleague("sato", &["staff"], "Sato@Sakura-kai.example");
        let mut sato = sso.browser(&gate);
        let deep = gate.url("/echo?room=203&q=%E3%81%82");
        let landed = sso.sign_in(&mut sato, &deep, "sato").await;
        assert_eq!((landed.status, landed.url.as_str()), (StatusCode::OK, deep.as_str()), "{}", landed.text());
        let sent = sso.provider.last_request();
        let sent = |name: &str| sent.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!((sent("response_type"), sent("code_challenge_method")), (Some("code"), Some("S256")));
        assert_eq!(sent("scope"), Some("openid email profile"));
        assert_eq!((sent("max_age"), sent("prompt"), sent("ui_locales")), (None, None, Some("en")));
        assert!(sent("nonce").is_some() && sent("state").is_some());

        // Every app's host goes straight through, and the session says where it comes from.
        assert_eq!(sato.open(&gate.url("/echo")).await.unwrap().status, 200);
        assert_eq!(gate.json(&["session", "list"])[0]["provider"], "idp");
        let recorded = gate.sign_ins().pop().unwrap();
        assert_eq!((recorded.result, recorded.provider.as_str()), (audit::SignInResult::Ok, "idp"));
        assert_eq!(recorded.account.as_deref(), Some("subject-of-sato"));
        let links = gate.json(&["staff", "links"]);
        assert_eq!(
            (links[0]["person"].as_str(), links[0]["account"].as_str()),
            (Some("sato"), Some("subject-of-sato"))
        );

        // No directory: its form is not there, and what is posted to it is not looked at.
        let mut other = gate.browser(HOME);
        let page = other.open(&gate.login_url("/")).await.unwrap();
        assert!(start_link(&page).is_some() && !page.text().contains("type=\"password\""), "{}", page.text());
        let tried = other.submit(&gate.login_url("/"), &[("login_id", "sato"), ("password", PASSWORD)]).await.unwrap();
        assert!(start_link(&tried).is_some(), "{}", tried.text());
        for path in ["/totp", "/recovery", "/passkey", "/passkey/ask", "/password", "/security", "/security/totp"] {
            let tried = other.submit(&gate.login_url(path), &[("login_id", "sato")]).await.unwrap();
            assert_eq!(tried.url, gate.login_url("/"), "{path} answers without a directory");
        }
        assert_eq!(gate.json(&["session", "list"]).as_array().unwrap().len(), 1);
    });
}

#[test]
fn beside_the_directory_people_choose_and_both_ways_work() {
    run(async {
        let sso = Sso::start_with(vec![account("sato", &["care"])], false).await;
        let more = ", groups: { claim: realm_access.roles, map: { care: staff } }";
        let gate = sso.gate(Gate::builder(), more, true).await;
        gate.add_colleague("sato", &[], SATO);
        gate.add_staff("suzuki", &["staff"]);
        let mut suzuki = gate.browser(HOME);
        let form = suzuki.open(&gate.url("/echo")).await.unwrap();
        assert!(form.text().contains("ひだまり認証") && start_link(&form).is_some(), "{}", form.text());
        let landed = sign_in(&mut suzuki, &gate.url("/echo"), "suzuki", PASSWORD).await;
        assert_eq!(landed.url, gate.url("/echo"));

        // Mail and groups are in the user info alone; the group is the provider's, not the roster's.
        let mut sato = sso.browser(&gate);
        let landed = sso.sign_in(&mut sato, &gate.url("/echo"), "sato").await;
        assert_eq!((landed.status, landed.url), (StatusCode::OK, gate.url("/echo")));
        let sessions = gate.json(&["session", "list"]);
        let mut providers: Vec<_> = sessions.as_array().unwrap().iter().map(|s| s["provider"].clone()).collect();
        providers.sort_by_key(ToString::to_string);
        assert_eq!(providers, [serde_json::json!("idp"), serde_json::Value::Null]);
    });
}

#[test]
fn groups_of_the_provider_and_sessions_survive_a_restart() {
    run(async {
        let sso = Sso::start(vec![account("sato", &["staff"])]).await;
        let mut gate = sso.gate(Gate::builder(), ", groups: { claim: realm_access.roles }", false).await;
        gate.add_colleague("sato", &[], SATO);
        let mut sato = sso.browser(&gate);
        assert_eq!(sso.sign_in(&mut sato, &gate.url("/echo"), "sato").await.status, 200);
        let cookies = sato.cookies("hidamari.gw.localhost");
        gate.kill();
        gate.start().await;
        let mut again = gate.browser(HOME);
        for cookie in cookies.split("; ") {
            again.set_cookie("hidamari.gw.localhost", cookie);
        }
        assert_eq!(again.open(&gate.url("/echo")).await.unwrap().status, 200);
    });
}

#[test]
fn factors_come_from_what_the_provider_says() {
    run(async {
        let mut strong = account("sato", &[]);
        strong.amr = vec!["pwd".to_owned(), "otp".to_owned()];
        let sso = Sso::start(vec![strong, account("suzuki", &[])]).await;
        let rules =
            "  - { name: two, who: { groups: [staff], factors: 2 }, from: { networks: [facility] }, allow: [view] }\n";
        let gate = sso.gate(Gate::builder().policy(rules), "", false).await;
        gate.add_colleague("sato", &["staff"], SATO);
        gate.add_colleague("suzuki", &["staff"], "suzuki@sakura-kai.example");
        for (login, status) in [("sato", 200), ("suzuki", 403)] {
            let mut browser = sso.browser(&gate);
            let landed = sso.sign_in(&mut browser, &gate.url("/echo"), login).await;
            assert_eq!(landed.status.as_u16(), status, "{login}: {}", landed.text());
        }
        gate.recorded("factors-needed").await;
    });
}

#[test]
fn no_token_that_is_wrong_in_any_way_signs_anybody_in() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let gate = sso.gate(Gate::builder().more(MANY), "", false).await;
        gate.add_colleague("sato", &["staff"], SATO);
        let other = || "https://other.example".to_owned();
        let table = [
            (Mischief::Unsigned, "algorithm"),
            (Mischief::Algorithm("RS256".to_owned()), "algorithm"),
            (Mischief::Algorithm("ES256".to_owned()), "algorithm"),
            (Mischief::PublicKeyAsSecret, "algorithm"),
            (Mischief::ClientSecretAsKey, "algorithm"),
            (Mischief::ForeignKey, "signature"),
            (Mischief::HiddenKey, "unknown-key"),
            (Mischief::Issuer(other()), "issuer"),
            (Mischief::Audience("other-client".to_owned()), "audience"),
            (Mischief::SecondAudience("other-client".to_owned()), "audience"),
            (Mischief::AuthorizedParty("other-client".to_owned()), "authorized-party"),
            (Mischief::Nonce("made-up".to_owned()), "nonce"),
            (Mischief::NoNonce, "nonce"),
            (Mischief::Expires(-300 - 61), "expired"),
            (Mischief::Issued(120), "not-yet"),
            (Mischief::NotBefore(120), "not-yet"),
            (Mischief::AuthTime(Some(120)), "auth-time"),
            (Mischief::LongToken, "oversized"),
            (Mischief::LongAnswer, "oversized"),
            (Mischief::NoToken, "no-token"),
            (Mischief::Garbage, "malformed"),
            (Mischief::ResponseIssuer(Some(other())), "response-issuer"),
            (Mischief::ResponseIssuer(None), "response-issuer"),
            (Mischief::TokenStatus(503), "provider-unavailable"),
            (Mischief::TokenStatus(404), "provider-answer"),
        ];
        for (mischief, cause) in table {
            sso.misbehave(mischief.clone());
            let mut sato = sso.browser(&gate);
            let refused = sso.sign_in(&mut sato, &gate.url("/echo"), "sato").await;
            assert!(refused.url.starts_with(&gate.login_url("/oidc/idp/callback")), "{mischief:?}: {}", refused.url);
            assert!(refused.status.is_client_error() || refused.status == 503, "{mischief:?}: {}", refused.status);
            let recorded = gate.sign_ins().pop().unwrap();
            assert_eq!(recorded.cause.as_deref(), Some(cause), "{mischief:?}");
            assert_eq!((recorded.result, recorded.person), (audit::SignInResult::ProviderFailed, None));
            assert!(gate.json(&["session", "list"]).as_array().unwrap().is_empty(), "{mischief:?}");
        }
        // Clocks may differ by a minute.
        for good in [Mischief::Issued(50), Mischief::Expires(-300 - 50), Mischief::NotBefore(50)] {
            sso.misbehave(good.clone());
            let mut sato = sso.browser(&gate);
            assert_eq!(sso.sign_in(&mut sato, &gate.url("/echo"), "sato").await.url, gate.url("/echo"), "{good:?}");
        }
        let log = gate.log();
        for secret in ["eyJ", "kaki-no-tane", "shared-by-the-gate", SATO] {
            assert!(!log.contains(secret), "{secret} is in the log");
        }
    });
}

#[test]
fn user_info_of_somebody_else_is_not_mixed_in() {
    run(async {
        let sso = Sso::start_with(vec![account("sato", &[])], false).await;
        let gate = sso.gate(Gate::builder(), "", false).await;
        gate.add_colleague("sato", &["staff"], SATO);
        sso.misbehave(Mischief::OtherUserInfo);
        let refused = sso.sign_in(&mut sso.browser(&gate), &gate.url("/echo"), "sato").await;
        assert!(refused.status.is_client_error());
        assert_eq!(gate.sign_ins().pop().unwrap().cause.as_deref(), Some("subject"));
    });
}

#[test]
fn errors_of_the_provider_are_told_in_our_words() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let gate = sso.gate(Gate::builder().more(MANY), "", false).await;
        gate.add_colleague("sato", &["staff"], SATO);
        for (error, cause, words) in [
            ("access_denied", "access-denied", "cancelled"),
            ("login_required", "login-required", "sign in again"),
            ("consent_required", "login-required", "sign in again"),
            ("temporarily_unavailable", "temporarily-unavailable", "does not answer"),
            ("<b>bold</b>", "provider-error", "could not be verified"),
        ] {
            sso.misbehave(Mischief::Error(error.to_owned()));
            let mut sato = sso.browser(&gate);
            let told = sso.sign_in(&mut sato, &gate.url("/echo"), "sato").await;
            let text = told.text();
            assert!(text.to_lowercase().contains(words), "{error}: {text}");
            assert!(!text.contains("<script>") && !text.contains("bold") && !text.contains("夜露死苦"), "{text}");
            assert_eq!(gate.sign_ins().pop().unwrap().cause.as_deref(), Some(cause));
            // The way on still knows where she wanted to go.
            sso.misbehave(None);
            let way = text.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            let landed = sato.open(&gate.login_url(&way)).await.unwrap();
            assert_eq!(landed.url, gate.url("/echo"), "{}", landed.text());
        }
    });
}

#[test]
fn keys_rotate_without_a_restart_and_unknown_ones_are_looked_for_once() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let gate = sso.gate(Gate::builder(), "", false).await;
        gate.add_colleague("sato", &["staff"], SATO);
        let signed_in =
            async || sso.sign_in(&mut sso.browser(&gate), &gate.url("/echo"), "sato").await.url == gate.url("/echo");
        assert_eq!(sso.provider.key_reads(), 0, "nothing is asked before somebody signs in");
        assert!(signed_in().await && signed_in().await);
        assert_eq!(sso.provider.key_reads(), 1);
        sso.provider.rotate_key();
        assert!(signed_in().await);
        assert_eq!(sso.provider.key_reads(), 2);
        sso.misbehave(Mischief::HiddenKey);
        assert!(!signed_in().await && !signed_in().await);
        assert_eq!(sso.provider.key_reads(), 2, "anybody can name a key; it was looked for a moment ago");
        sso.misbehave(None);
        assert!(signed_in().await);
    });
}

#[test]
fn while_the_provider_is_away_those_signed_in_go_on() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::build(folder.path());
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let moved = Gate::builder().environment("LD_PRELOAD", shim.library()).environment("SHIM_CLOCK", shim.clock());
        let gate = sso.gate(moved, "", true).await;
        gate.add_colleague("sato", &["staff"], SATO);
        gate.add_staff("suzuki", &["staff"]);
        let mut sato = sso.browser(&gate);
        let mut late = sso.browser(&gate);
        assert_eq!(sso.sign_in(&mut sato, &gate.url("/echo"), "sato").await.status, 200);
        // Ten minutes later, for the gate's clock: it may not send people to where nobody answers.
        drop(sso.provider);
        shim.stand(vocabulary::Clock::now(&vocabulary::SystemClock).plus_secs(600));
        assert_eq!(sato.open(&gate.url("/echo")).await.unwrap().status, 200);
        let form = late.open(&gate.url("/echo")).await.unwrap();
        let start = start_link(&form).unwrap();
        let told = late.open(&gate.login_url(&start)).await.unwrap();
        assert_eq!(told.status, 503);
        assert!(told.text().contains("does not answer right now"), "{}", told.text());
        assert_eq!(gate.sign_ins().pop().unwrap().cause.as_deref(), Some("provider-unavailable"));
        // The directory is not concerned.
        gate.signed_in("suzuki").await;
    });
}

/// Whom a provider vouched for is worth nothing once the operator has taken the provider away, or what it may give.
#[test]
fn promise_3_a_provider_that_is_taken_away_takes_its_sessions_along() {
    run(async {
        let sso = Sso::start(vec![account("sato", &["care"])]).await;
        let more = ", groups: { claim: realm_access.roles, map: { care: staff } }";
        let gate = sso.gate(Gate::builder(), more, true).await;
        gate.add_colleague("sato", &[], SATO);
        gate.add_staff("suzuki", &["staff"]);
        let mut sato = sso.browser(&gate);
        let mut suzuki = gate.signed_in("suzuki").await;
        assert_eq!(sso.sign_in(&mut sato, &gate.url("/echo"), "sato").await.status, 200);
        let fetch = async |browser: &mut Browser| {
            let url = gate.url("/echo");
            browser.send(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap().status
        };
        gate.rewrite(|text| text.replace("care: staff", "care: cooks"));
        assert!(gate.cli(&["reload"]).status.success());
        assert_eq!(fetch(&mut sato).await, 403, "a group that the provider may not give any more");
        gate.rewrite(|text| text.replace("care: cooks", "care: staff"));
        assert!(gate.cli(&["reload"]).status.success());
        assert_eq!(fetch(&mut sato).await, 200);

        let entry = sso.entry(more);
        gate.rewrite(|text| text.replace(&entry, ""));
        assert!(gate.cli(&["reload"]).status.success());
        assert_eq!(fetch(&mut sato).await, 401);
        assert_eq!(fetch(&mut suzuki).await, 200);
        assert_eq!(gate.sign_outs(), ["provider-removed"]);
    });
}

/// A shared tablet: the one before is signed out here, and still signed in at the provider.
#[test]
fn on_a_shared_device_the_one_before_does_not_come_back_by_an_edited_address() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let gate = sso.gate(Gate::builder(), "", true).await;
        gate.add_colleague("sato", &["staff", "visiting-nurses"], SATO);
        let (_, tablet) = gate.issue_shared(&[]);
        let mut browser = sso.browser(&gate);
        browser.present(Some(tablet));
        assert_eq!(sso.sign_in(&mut browser, &gate.url("/echo"), "sato").await.status, 200);
        let sent = sso.provider.last_request();
        let sent = |name: &str| sent.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!((sent("prompt"), sent("max_age")), (Some("login"), Some("60")));
        gate.json(&["session", "end", "--person", "sato"]);

        sso.misbehave(Mischief::AuthTime(Some(-181)));
        let form = browser.open(&gate.url("/echo")).await.unwrap();
        let there = step(&mut browser, &gate.login_url(&start_link(&form).unwrap())).await;
        let edited = location(&there).replace("&prompt=login", "").replace("&max_age=60", "");
        assert!(!edited.contains("prompt") && !edited.contains("max_age"), "{edited}");
        let back = browser.open(&edited).await.unwrap();
        assert_eq!(back.status, 403, "{}", back.text());
        assert_eq!(gate.sign_ins().pop().unwrap().cause.as_deref(), Some("auth-time"));
        assert!(gate.json(&["session", "list"]).as_array().unwrap().is_empty());
    });
}

/// Two providers and the directory: each stands for itself.
#[test]
fn people_choose_among_providers_and_none_answers_for_another() {
    run(async {
        let (google, entra) =
            (Sso::start(vec![account("sato", &[])]).await, Sso::start(vec![account("sato", &[])]).await);
        let second = entra.entry("").replace("id: idp", "id: entra").replace("ひだまり認証", "ひまわり認証");
        let providers =
            format!("identity:\n  providers:\n{}{second}    - {{ id: staff, kind: directory }}\n", google.entry(""));
        let gate = Gate::builder().more(&providers).start().await;
        google.register(&gate);
        entra.register_as(&gate, "entra");
        gate.add_colleague("sato", &["staff"], SATO);
        let mut browser = google.browser(&gate);
        let form = browser.open(&gate.url("/echo")).await.unwrap().text();
        for words in ["ひだまり認証", "ひまわり認証", "/oidc/idp/start", "/oidc/entra/start", "type=\"password\""]
        {
            assert!(form.contains(words), "{words} is not offered: {form}");
        }
        assert_eq!(google.sign_in(&mut browser, &gate.url("/echo"), "sato").await.url, gate.url("/echo"));

        // The other one vouches for the same mail address: who is linked at one is found by mail at the other, once.
        let mut elsewhere = entra.browser(&gate);
        let form = elsewhere.open(&gate.url("/echo")).await.unwrap().text();
        let start = form.split("href=\"/oidc/entra/start").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let page = elsewhere.open(&gate.login_url(&format!("/oidc/entra/start{start}"))).await.unwrap();
        let landed = fill_in(&mut elsewhere, &page, &[("login_id", "sato"), ("password", IDP_PASSWORD)]).await;
        assert_eq!(landed.url, gate.url("/echo"), "{}", landed.text());
        let mut ids: Vec<_> =
            gate.json(&["session", "list"]).as_array().unwrap().iter().map(|s| s["provider"].to_string()).collect();
        ids.sort();
        assert_eq!(ids, ["\"entra\"", "\"idp\""]);

        // A state that began at one is worth nothing at the other's callback.
        let mut mixed = google.browser(&gate);
        mixed.open(&gate.url("/echo")).await.unwrap();
        let there = step(&mut mixed, &gate.login_url("/oidc/idp/start")).await;
        let state = location(&there).split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let refused = step(&mut mixed, &gate.login_url(&format!("/oidc/entra/callback?state={state}&code=x"))).await;
        assert_eq!(refused.status, 400);
    });
}

#[test]
fn accounts_find_their_person_by_verified_mail_once_and_never_move() {
    run(async {
        let mail = |login: &str, mail: Option<&str>, verified: bool| {
            let mut account = account(login, &[]);
            (account.mail, account.mail_verified) = (mail.map(str::to_owned), verified);
            account
        };
        let sso = Sso::start(vec![
            account("sato", &[]),
            mail("second", Some(SATO), true),
            mail("unverified", Some(SATO), false),
            mail("elsewhere", Some("sato@elsewhere.example"), true),
            mail("unknown", Some("nobody@sakura-kai.example"), true),
            mail("twin", Some("twin@sakura-kai.example"), true),
            mail("nameless", None, true),
            mail("locked", Some("locked@sakura-kai.example"), true),
        ])
        .await;
        let gate = sso.gate(Gate::builder(), "", false).await;
        for (id, mail) in [
            ("sato", SATO),
            ("twin-1", "twin@sakura-kai.example"),
            ("twin-2", "Twin@sakura-kai.example"),
            ("locked", "locked@sakura-kai.example"),
            ("tanaka", "tanaka@elsewhere.example"),
        ] {
            gate.add_colleague(id, &["staff"], mail);
        }
        assert!(gate.cli(&["staff", "lock", "locked"]).status.success());
        let signed_in = async |login: &str| {
            let mut browser = sso.browser(&gate);
            let landed = sso.sign_in(&mut browser, &gate.url("/echo"), login).await;
            (landed.url == gate.url("/echo"), browser)
        };
        assert!(signed_in("sato").await.0);
        for (login, cause, reason) in [
            ("second", Some("linked-otherwise"), "link-ambiguous"),
            ("unverified", Some("mail-unverified"), "not-on-roster"),
            ("elsewhere", Some("mail-domain"), "not-on-roster"),
            ("unknown", Some("mail-unknown"), "not-on-roster"),
            ("twin", Some("mail-ambiguous"), "link-ambiguous"),
            ("nameless", Some("no-mail"), "not-on-roster"),
            ("locked", None, "staff-locked"),
        ] {
            assert!(!signed_in(login).await.0, "{login} was let in");
            let recorded = gate.sign_ins().pop().unwrap();
            assert_eq!(recorded.cause.as_deref(), cause, "{login}");
            assert_eq!(recorded.reason.map(|r| r.as_str()), Some(reason), "{login}");
            assert_eq!(recorded.result, audit::SignInResult::NotAllowed);
            assert_eq!(recorded.account, Some(format!("subject-of-{login}")));
        }
        assert_eq!(gate.json(&["staff", "links"]).as_array().unwrap().len(), 1, "a refusal linked somebody");

        // An administrator says whose it is; taking it away ends the session at once.
        let link = |person: &str| {
            gate.cli(&["staff", "link", person, "--provider", "idp", "--account", "subject-of-nameless"])
        };
        assert!(link("tanaka").status.success());
        assert_eq!(link("sato").status.code(), Some(1), "a link moved");
        let (there, mut tanaka) = signed_in("nameless").await;
        assert!(there);
        assert_eq!(tanaka.open(&gate.url("/echo")).await.unwrap().status, 200);
        let unlinked = gate.json(&["staff", "unlink", "tanaka"]);
        assert_eq!(unlinked["sessions_ended"], 1);
        let after =
            tanaka.send(Method::GET, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(after.status, 401);
        assert!(!signed_in("nameless").await.0);

        // The login history tells it to who has to know.
        let history = gate.cli(&["audit", "sign-ins", "--json"]);
        let history: Vec<serde_json::Value> =
            String::from_utf8(history.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let has = |fields: &[(&str, &str)]| history.iter().any(|line| fields.iter().all(|(k, v)| line[k] == *v));
        assert!(has(&[("event", "account-linked"), ("person", "sato"), ("by", "provider:idp")]), "{history:?}");
        assert!(has(&[("event", "account-linked"), ("person", "tanaka")]));
        assert!(has(&[("event", "account-unlinked"), ("person", "tanaka")]));
        assert!(has(&[("account", "subject-of-twin"), ("reason", "link-ambiguous"), ("detail", "mail-ambiguous")]));
    });
}

/// What a browser meets on its way, without following it.
async fn step(browser: &mut Browser, url: &str) -> demo::client::Response {
    browser.send(Method::GET, url, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap()
}

fn location(response: &demo::client::Response) -> String {
    response.headers["location"].to_str().unwrap().to_owned()
}

#[test]
fn several_tabs_share_one_cookie_and_each_gets_where_it_wanted() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let gate = sso.gate(Gate::builder(), "", false).await;
        gate.add_colleague("sato", &["staff"], SATO);
        let mut sato = sso.browser(&gate);
        let mut forms = Vec::new();
        for tab in 0..4 {
            forms.push(sato.open(&gate.url(&format!("/echo?tab={tab}"))).await.unwrap());
        }
        assert_eq!(sato.cookies("login.gw.localhost").split("; ").count(), 1, "cookies pile up");
        for (tab, form) in forms.iter().enumerate().rev() {
            let fields = [("login_id", "sato"), ("password", IDP_PASSWORD)];
            let landed = fill_in(&mut sato, form, &fields).await;
            assert_eq!(landed.url, gate.url(&format!("/echo?tab={tab}")), "{}", landed.text());
        }
        assert_eq!(sato.cookies("login.gw.localhost").split("; ").count(), 2);
    });
}

#[test]
fn a_callback_is_good_once_in_the_browser_that_set_out() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[]), account("thief", &[])]).await;
        let gate = sso.gate(Gate::builder(), "", false).await;
        gate.add_colleague("sato", &["staff"], SATO);
        gate.add_colleague("thief", &["staff"], "thief@sakura-kai.example");
        // The thief signs in at the provider and keeps the callback for somebody else (login CSRF).
        let mut thief = sso.browser(&gate);
        let form = thief.open(&gate.url("/echo")).await.unwrap();
        let action = format!("{}/login", sso.provider.issuer());
        let hidden =
            form.text().split("name=\"request\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let body = format!("request={hidden}&login_id=thief&password={IDP_PASSWORD}");
        let headers = HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/x-www-form-urlencoded"),
        )]);
        let back = thief.send(Method::POST, &action, Mode::Navigate, headers, Bytes::from(body)).await.unwrap();
        let callback = location(&back);
        assert!(callback.starts_with(&gate.login_url("/oidc/idp/callback?")), "{callback}");

        let mut sato = sso.browser(&gate);
        sato.open(&gate.url("/echo")).await.unwrap();
        let caught = step(&mut sato, &callback).await;
        assert_eq!(caught.status, 400, "{}", caught.text());
        assert!(!sato.cookies("login.gw.localhost").contains("sekisho-login"), "somebody was signed in as the thief");
        let blind = step(&mut gate.browser(HOME), &callback).await;
        assert_eq!(blind.status, 400, "a browser without cookies");
        assert!(blind.text().contains("Cookies must be allowed"), "{}", blind.text());

        // In its own browser it is good, once; afterwards it leads home, with words.
        assert_eq!(thief.open(&callback).await.unwrap().url, gate.url("/echo"));
        let again = thief.open(&callback).await.unwrap();
        assert_eq!((again.status, again.url), (StatusCode::OK, gate.login_url("/home?late=1")));
        // Another provider's address, or none of ours, is nothing.
        assert_eq!(step(&mut thief, &callback.replace("/oidc/idp/", "/oidc/other/")).await.status, 404);
    });
}

#[test]
fn nothing_in_an_address_leads_elsewhere() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let gate = sso.gate(Gate::builder(), "", false).await;
        let mut browser = sso.browser(&gate);
        for query in
            ["handle=https://evil.example", "handle=//evil.example&redirect_uri=https://evil.example", "return=x"]
        {
            let away = step(&mut browser, &gate.login_url(&format!("/oidc/idp/start?{query}"))).await;
            let to = location(&away);
            assert!(to.starts_with(sso.provider.issuer()), "{to}");
            assert!(!to.contains("evil"), "{to}");
        }
        // From outside nobody even gets to the provider.
        let outside = step(&mut gate.browser(OUTSIDE), &gate.login_url("/oidc/idp/start")).await;
        assert_eq!(outside.status, 403);
    });
}

#[test]
fn a_rule_that_wants_a_recent_sign_in_sends_people_to_the_provider_again() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let rules = "  - { name: fresh, who: { groups: [staff], signed_in_within: 30m }, from: { networks: [facility] }, allow: [view] }\n";
        let gate = sso.gate(Gate::builder().policy(rules), "", true).await;
        gate.add_colleague("sato", &["staff"], SATO);
        gate.add_staff("suzuki", &["staff"]);
        // A password that was just shown is fresh.
        gate.signed_in("suzuki").await;

        // She signed in at the provider an hour ago, or it doesn't say when: that opens a session, not this door.
        for (stale, told) in [(Mischief::AuthTime(Some(-3600)), "auth-time"), (Mischief::AuthTime(None), "auth-time")] {
            sso.misbehave(stale);
            let mut sato = sso.browser(&gate);
            let home = sso.sign_in(&mut sato, &gate.login_url("/"), "sato").await;
            assert_eq!(home.url, gate.login_url("/home"), "{}", home.text());
            let script = sato.send(Method::GET, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await;
            let script = script.unwrap();
            assert_eq!((script.status.as_u16(), script.json()["error"].as_str()), (401, Some("sign-in-needed")));
            let page = sato.open(&gate.url("/echo")).await.unwrap();
            assert!(page.text().contains("not so long ago"), "{}", page.text());
            // The provider is asked for a recent sign-in, and lies about it: no loop, but words.
            let start = gate.login_url(&start_link(&page).unwrap());
            let refused = sato.open(&start).await.unwrap();
            assert_eq!(refused.status, 403, "{} {}", refused.url, refused.text());
            let sent = sso.provider.last_request();
            assert!(sent.contains(&("max_age".to_owned(), "1680".to_owned())), "{sent:?}");
            assert_eq!(gate.sign_ins().pop().unwrap().cause.as_deref(), Some(told));
            // It tells the truth: in.
            sso.misbehave(None);
            let page = sato.open(&gate.url("/echo")).await.unwrap();
            let landed = sato.open(&gate.login_url(&start_link(&page).unwrap())).await.unwrap();
            assert_eq!((landed.status, landed.url), (StatusCode::OK, gate.url("/echo")));
        }
        gate.recorded("sign-in-stale").await;
    });
}

#[test]
fn the_provider_is_asked_as_the_configuration_says() {
    run(async {
        let sso = Sso::start(vec![account("sato", &[])]).await;
        let gate = sso
            .gate(
                Gate::builder(),
                ", prompt: select_account, acr_values: [gold, silver], scopes: [openid, email, groups]",
                false,
            )
            .await;
        gate.add_colleague("sato", &["staff"], SATO);
        let mut sato = sso.browser(&gate);
        let to = location(&step(&mut sato, &gate.login_url("/oidc/idp/start")).await);
        for part in ["prompt=select_account", "acr_values=gold+silver", "scope=openid+email+groups&"] {
            assert!(to.contains(part), "{part} in {to}");
        }
    });
}
