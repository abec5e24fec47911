//! Device certificates: whose they are, and when they are worth nothing any more.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cert_authority::{DeviceKind, DeviceRequest, Inventory, P12Cipher};
use demo::client::{Browser, Certificate, Mode, Setup};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use tokio_tungstenite::tungstenite::Message;
use vocabulary::{Clock, SystemClock};

use crate::harness::{Gate, HOME, OUTSIDE, PASSWORD, eventually, run, saas_login, sign_in};

#[test]
fn outside_a_device_and_its_owner_are_both_needed() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        gate.add_staff("tanaka", &["visiting-nurses"]);
        let (_, phone) = gate.issue_device("suzuki");

        let mut bare = gate.browser(OUTSIDE);
        assert_eq!(bare.open(&gate.url("/")).await.unwrap().status, 403);

        gate.signed_in_outside("suzuki", phone.clone(), true).await;

        let mut other = gate.browser(OUTSIDE);
        other.present(Some(phone));
        let refused = sign_in(&mut other, &gate.url("/"), "tanaka", PASSWORD).await;
        assert_eq!(refused.status, 403, "a colleague's phone let somebody in");
        let attempts = gate.requests(&["--person", "tanaka", "--decision", "permit", "--app", "hidamari"]);
        assert!(attempts.is_empty(), "{attempts:?}");
    });
}

/// Promise 3: revoking bites on the very next request, also on kept-alive and HTTP/2 connections.
#[test]
fn promise_3_a_revoked_device_is_out_on_its_next_request() {
    run(async {
        let gate = Gate::usual().await;
        for (person, http2) in [("suzuki", false), ("tanaka", true)] {
            gate.add_staff(person, &["visiting-nurses"]);
            let (id, phone) = gate.issue_device(person);
            let mut nurse = gate.signed_in_outside(person, phone, http2).await;
            let fine = fetch(&mut nurse, &gate.url("/echo")).await;
            assert_eq!(fine, 200);
            let handshakes = gate.metric("sekisho_handshakes_total{outcome=\"ok\"}").await;
            assert!(gate.cli(&["device", "revoke", &id]).status.success());
            assert_eq!(fetch(&mut nurse, &gate.url("/echo")).await, 403, "{person}");
            assert_eq!(
                gate.metric("sekisho_handshakes_total{outcome=\"ok\"}").await,
                handshakes,
                "{person}: the refusal came on a new connection"
            );
            eventually("the refusal is recorded", async || {
                gate.requests(&["--decision", "deny"])
                    .pop()
                    .filter(|r| r["device"] == id.as_str() && r["reason"] == "device-revoked")
            })
            .await;
        }
    });
}

async fn fetch(browser: &mut Browser, url: &str) -> u16 {
    browser.send(Method::GET, url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap().status.as_u16()
}

#[test]
fn promise_3_open_streams_are_cut_when_the_device_the_session_or_the_person_goes() {
    run(async {
        let gate = Gate::usual().await;
        for (person, command) in [("suzuki", "device"), ("tanaka", "session"), ("ito", "staff")] {
            gate.add_staff(person, &["visiting-nurses"]);
            let (id, phone) = gate.issue_device(person);
            let mut nurse = gate.signed_in_outside(person, phone, false).await;
            saas_login(&gate, &mut nurse).await;
            let mut socket = nurse.websocket(&gate.url("/notices/ws").replacen("https", "wss", 1)).await.unwrap();
            socket.send(Message::text("{\"text\":\"見えますか\"}")).await.unwrap();
            let (head, mut events) = nurse
                .stream(Method::GET, &gate.url("/sensors/events"), Mode::Fetch, event_stream(), Bytes::new())
                .await
                .unwrap();
            assert_eq!(head.status, 200);
            assert!(events.frame().await.unwrap().is_ok(), "no event came");

            let done = match command {
                "device" => gate.cli(&["device", "revoke", &id]),
                "session" => gate.cli(&["session", "end", "--person", person]),
                _ => gate.cli(&["staff", "lock", person]),
            };
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let at = Instant::now();
            let cut = tokio::time::timeout(Duration::from_secs(5), async {
                while let Some(Ok(_)) = socket.next().await {}
                while let Some(Ok(_)) = events.frame().await {}
            });
            assert!(cut.await.is_ok(), "{command}: still open after five seconds");
            assert!(at.elapsed() < Duration::from_secs(5));
        }
    });
}

fn event_stream() -> HeaderMap {
    HeaderMap::from_iter([(http::header::ACCEPT, http::HeaderValue::from_static("text/event-stream"))])
}

#[test]
fn an_expired_certificate_reaches_a_page_that_says_so() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let request = DeviceRequest {
            owner: Some("suzuki".parse().unwrap()),
            groups: Vec::new(),
            name: "古いiPhone".to_owned(),
            kind: DeviceKind::Lent,
            os: None,
            now: SystemClock.now().plus_secs(-120),
            validity: Duration::from_secs(60),
            cipher: P12Cipher::default(),
        };
        let issued = gate.authority().issue_device(&request).unwrap();
        gate.kill();
        Inventory::open(&store::Store::open(&gate.data().join("state.db")).unwrap())
            .unwrap()
            .add(&issued.device)
            .unwrap();
        gate.start().await;
        let mut phone = gate.browser(OUTSIDE);
        phone.present(Some(Certificate::from_p12(&issued.p12, &issued.password).unwrap()));
        let page = phone.open(&gate.url("/")).await.unwrap();
        assert_eq!(page.status, 403);
        gate.recorded("device-expired").await;
    });
}

#[test]
fn a_certificate_of_another_authority_ends_at_the_handshake() {
    run(async {
        let gate = Gate::usual().await;
        let (_, chain, key) = crate::harness::certificate(&["suzuki"]);
        let setup = Setup { certificate: Some(Certificate { chain, key }), ..gate.setup(HOME) };
        let mut browser = Browser::new(setup);
        let answer = browser.send(Method::GET, &gate.url("/"), Mode::Bare, HeaderMap::new(), Bytes::new()).await;
        assert!(answer.is_err());
        eventually("the refused handshake is counted", async || {
            (gate.metric("sekisho_handshakes_total{outcome=\"bad-certificate\"}").await >= 1.0).then_some(())
        })
        .await;
    });
}

#[test]
fn a_cookie_is_worth_nothing_on_another_device() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (_, phone) = gate.issue_device("suzuki");
        let (_, tablet) = gate.issue_device("suzuki");
        let mut nurse = gate.signed_in_outside("suzuki", phone, false).await;
        nurse.present(Some(tablet));
        assert_ne!(fetch(&mut nurse, &gate.url("/echo")).await, 200);
        gate.recorded("session-elsewhere").await;
    });
}

/// Browsers ask for a certificate host by host: who chose it on one and not on the other is told so, not led in circles.
#[test]
fn a_certificate_shown_to_one_host_only_is_told_on_a_page() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let (_, phone) = gate.issue_device("sato");
        let mut browser = gate.browser(HOME);
        let app = gate.url("/echo");
        let begun = browser.send(Method::GET, &app, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        browser.present(Some(phone));
        let landed = sign_in(&mut browser, &gate.login_url("/"), "sato", PASSWORD).await;
        assert!(landed.url.ends_with("/home"), "{}", landed.url);
        let led = begun.headers["location"].to_str().unwrap();
        let minted = browser.send(Method::GET, led, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        let ticket = minted.headers["location"].to_str().unwrap().to_owned();
        browser.present(None);
        let told = browser.send(Method::GET, &ticket, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert!(told.status == 401 && told.text().contains("another device or certificate"), "{}", told.text());
    });
}

#[test]
fn a_p12_file_opens_with_openssl_and_curl() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let file = gate.path("phone.p12");
        let issued =
            gate.json(&["device", "issue", "--owner", "suzuki", "--name", "phone", "--out", file.to_str().unwrap()]);
        let password = issued["password"].as_str().unwrap();
        let opened = std::process::Command::new("openssl")
            .args([
                "pkcs12",
                "-legacy",
                "-nodes",
                "-in",
                file.to_str().unwrap(),
                "-passin",
                &format!("pass:{password}"),
            ])
            .output()
            .unwrap();
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        assert!(String::from_utf8_lossy(&opened.stdout).contains("PRIVATE KEY"));
    });
}
