//! A form posted after the session ended: kept for its person, sent when they say so, never twice, never silently lost.

use bytes::Bytes;
use demo::client::{Browser, Mode, Response};
use http::{HeaderMap, Method};

use crate::harness::{Gate, HOME, PASSWORD, Saas, eventually, fill_in, run, sign_in};

const APP: &str = "hidamari.gw.localhost";
/// Words that must be nowhere but in memory, the browser and the SaaS.
const WORDS: &str = "yoru-no-kansatsu-nikki";

async fn post(gate: &Gate, browser: &mut Browser, path: &str, kind: &str, body: &[u8]) -> Response {
    try_to_post(gate, browser, path, kind, body).await.unwrap()
}

/// None: the gate hung up while the body was still being sent. It waits two seconds for one that it won't read, which on a
/// loaded machine may be too short.
async fn try_to_post(gate: &Gate, browser: &mut Browser, path: &str, kind: &str, body: &[u8]) -> Option<Response> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", kind.parse().unwrap());
    headers.insert("origin", gate.url("").parse().unwrap());
    browser.send(Method::POST, &gate.url(path), Mode::Navigate, headers, Bytes::copy_from_slice(body)).await.ok()
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The way of the page's button, and through the sign-in to what waits there.
async fn sign_in_from(browser: &mut Browser, page: &Response, person: &str) -> Response {
    let text = page.text();
    let url = text.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    sign_in(browser, &url, person, PASSWORD).await
}

async fn gate() -> Gate {
    let gate = Gate::usual().await;
    for person in ["sato", "tanaka"] {
        gate.add_staff(person, &["staff"]);
    }
    gate
}

fn sha256(body: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, body).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn a_form_is_kept_and_sent_once_by_its_person_as_a_request_of_its_own() {
    run(async {
        let gate = gate().await;
        for (kind, body) in [
            (FORM, format!("text={WORDS}&kind=1").into_bytes()),
            // Bytes that are no text, as files are.
            (
                "multipart/form-data; boundary=x",
                [b"--x\r\n\r\n\xff\xfe\x00".as_slice(), WORDS.as_bytes(), b"\r\n--x--"].concat(),
            ),
        ] {
            let mut sato = gate.signed_in("sato").await;
            gate.json(&["session", "end", "--person", "sato"]);
            let told = post(&gate, &mut sato, "/echo?note=5", kind, &body).await;
            assert_eq!(told.status, 401);
            assert!(told.text().contains("What you entered is safe"), "{}", told.text());
            let waiting = sign_in_from(&mut sato, &told, "sato").await;
            assert!(waiting.text().contains("Send this"), "{} {}", waiting.url, waiting.text());
            let sent = fill_in(&mut sato, &waiting, &[]).await;
            let echoed = sent.json();
            assert_eq!(echoed["method"], "POST", "{}", sent.text());
            assert!(echoed["target"].as_str().unwrap().ends_with("/echo?note=5"), "{}", echoed["target"]);
            assert_eq!(echoed["body_sha256"], sha256(&body), "the SaaS got something else");
            let header = |name: &str| {
                let headers = echoed["headers"].as_array().unwrap();
                headers.iter().find(|h| h[0] == name).map(|h| h[1].as_str().unwrap().to_owned())
            };
            assert_eq!(header("content-type").as_deref(), Some(kind));
            // Pressed again, or the page reloaded: told, not sent.
            let again = fill_in(&mut sato, &waiting, &[]).await;
            assert_eq!(again.status, 410);
            assert!(again.text().contains("Nothing is kept"), "{}", again.text());
            gate.json(&["session", "end", "--person", "sato"]);
        }
        let recorded = gate.requests(&["--person", "sato"]);
        assert!(
            recorded.iter().any(|r| r["method"] == "POST" && r["decision"] == "permit" && r["path"] == "/echo?note=*"),
            "{recorded:?}"
        );
        // Promise 4: nothing of it on disk or in the log.
        assert!(!gate.log().contains(WORDS));
        let output = std::process::Command::new("grep").args(["-rl", WORDS]).arg(gate.data()).output().unwrap();
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    });
}

/// Where nothing reached the SaaS, nothing is lost either.
#[test]
fn a_form_that_could_not_be_sent_is_still_kept() {
    run(async {
        let mut gate = gate().await;
        let mut sato = gate.signed_in("sato").await;
        gate.json(&["session", "end", "--person", "sato"]);
        let told = post(&gate, &mut sato, "/echo", FORM, format!("text={WORDS}").as_bytes()).await;
        let waiting = sign_in_from(&mut sato, &told, "sato").await;
        // The SaaS goes away: another one stands elsewhere.
        drop(std::mem::replace(&mut gate.saas, Saas::start(demo::Options::default()).await));
        let unsent = fill_in(&mut sato, &waiting, &[]).await;
        assert_eq!(unsent.status, 502);
        assert!(unsent.text().contains("It has not been sent"), "{}", unsent.text());
        let link =
            unsent.text().split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let waiting = sato.open(&gate.url(&link)).await.unwrap();
        assert!(waiting.text().contains("Send this"), "{}", waiting.text());
    });
}

#[test]
fn over_http2_too_and_what_is_merely_as_long_as_the_button_goes_its_way() {
    run(async {
        let gate = gate().await;
        let mut sato = gate.browser_h2(HOME);
        sign_in(&mut sato, &gate.url("/echo"), "sato", PASSWORD).await;
        gate.json(&["session", "end", "--person", "sato"]);
        let told = post(&gate, &mut sato, "/echo", FORM, format!("text={WORDS}").as_bytes()).await;
        let waiting = sign_in_from(&mut sato, &told, "sato").await;
        let ordinary = format!("text={}", "a".repeat(58 - 5));
        let echoed = post(&gate, &mut sato, "/echo", FORM, ordinary.as_bytes()).await.json();
        assert_eq!(echoed["body_sha256"], sha256(ordinary.as_bytes()));
        let echoed = fill_in(&mut sato, &waiting, &[]).await.json();
        assert_eq!(echoed["body_sha256"], sha256(format!("text={WORDS}").as_bytes()));
    });
}

#[test]
fn somebody_else_gets_nothing_of_it_and_is_told() {
    run(async {
        let gate = gate().await;
        let mut browser = gate.signed_in("sato").await;
        gate.json(&["session", "end", "--person", "sato"]);
        let told = post(&gate, &mut browser, "/echo", FORM, format!("text={WORDS}").as_bytes()).await;
        let page = sign_in_from(&mut browser, &told, "tanaka").await;
        assert_eq!(page.status, 410, "{} {}", page.url, page.text());
        assert!(page.text().contains("entered by somebody else"), "{}", page.text());
        assert!(!browser.cookies(APP).contains("sekisho-held"));
    });
}

#[test]
fn what_can_not_be_kept_is_said_at_once_and_what_is_gone_is_said_later() {
    run(async {
        let mut gate = gate().await;
        let mut sato = gate.signed_in("sato").await;
        gate.json(&["session", "end", "--person", "sato"]);
        let big = vec![b'a'; 64 * 1024 + 1];
        let told = eventually("it is told", async || {
            sato.disconnect();
            try_to_post(&gate, &mut sato, "/echo", FORM, &big).await
        });
        let told = told.await;
        assert!(told.status == 401 && told.text().contains("too big to be kept"), "{}", told.text());
        sato.disconnect();
        let told = post(&gate, &mut sato, "/echo", "text/plain", b"x=1").await;
        assert!(told.status == 401 && told.text().contains("was not sent"), "{}", told.text());
        // A browser nobody has signed in with: whose would it be?
        let mut stranger = gate.browser(HOME);
        let told = post(&gate, &mut stranger, "/echo", FORM, b"x=1").await;
        assert!(told.status == 401 && told.text().contains("was not sent"), "{}", told.text());
        // Another site's form is refused as ever, and not kept.
        let mut headers = HeaderMap::new();
        headers.insert("content-type", FORM.parse().unwrap());
        headers.insert("origin", "https://evil.example".parse().unwrap());
        headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
        let foreign =
            sato.send(Method::POST, &gate.url("/echo"), Mode::Navigate, headers, Bytes::from("x=1")).await.unwrap();
        assert_eq!(foreign.status, 403);
        assert!(!sato.cookies(APP).contains("sekisho-held"));
        // A script's request is answered in JSON.
        let mut headers = HeaderMap::new();
        headers.insert("content-type", FORM.parse().unwrap());
        let scripted =
            sato.send(Method::POST, &gate.url("/echo"), Mode::Fetch, headers, Bytes::from("x=1")).await.unwrap();
        assert_eq!((scripted.status.as_u16(), scripted.json()["error"].as_str()), (401, Some("sign-in-needed")));

        // Kept, but the gate was restarted meanwhile.
        let told = post(&gate, &mut sato, "/echo", FORM, b"x=1").await;
        assert!(told.text().contains("What you entered is safe"));
        gate.kill();
        gate.start().await;
        let mut after = gate.browser(HOME);
        for cookie in sato.cookies(APP).split("; ") {
            after.set_cookie(APP, &format!("{cookie}; Path=/"));
        }
        sign_in(&mut after, &gate.url("/echo"), "sato", PASSWORD).await;
        let page = after.open(&gate.url("/.sekisho/ticket?held=1")).await.unwrap();
        assert!(page.status == 410 && page.text().contains("Nothing is kept"), "{}", page.text());
    });
}

#[test]
fn a_kept_form_is_judged_when_it_goes_and_one_that_is_refused_is_not_lost() {
    run(async {
        let gate = gate().await;
        let mut sato = gate.signed_in("sato").await;
        gate.json(&["session", "end", "--person", "sato"]);
        let told = post(&gate, &mut sato, "/echo", FORM, b"x=1").await;
        let waiting = sign_in_from(&mut sato, &told, "sato").await;
        gate.rewrite(|text| text.replacen("allow: [view, edit, upload", "allow: [view, upload", 1));
        assert!(gate.cli(&["reload"]).status.success());
        let refused = fill_in(&mut sato, &waiting, &[]).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        gate.rewrite(|text| text.replacen("allow: [view, upload", "allow: [view, edit, upload", 1));
        assert!(gate.cli(&["reload"]).status.success());
        let sent = fill_in(&mut sato, &waiting, &[]).await;
        assert_eq!(sent.json()["body_sha256"], sha256(b"x=1"), "{}", sent.text());
    });
}
