//! A SaaS that is silent, breaks off or lies; and which HTTP is spoken to one that does not.

use bytes::Bytes;
use demo::client::{Browser, Mode, Setup};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Answer, Gate, HOME, Heard, PASSWORD, RawSaas, SAAS_HOST, Then, eventually, run, sign_in};

/// Begins a WebSocket, for the one key that the tests send (RFC 6455, 1.3).
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What the SaaS of these tests does, by path.
fn misbehave(heard: &Heard) -> Answer {
    match heard.target() {
        "/silent" => Answer("", Then::Wait),
        "/stops" => {
            Answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf of it", Then::Wait)
        }
        "/stops-chunked" => Answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf of it\r\n",
            Then::Wait,
        ),
        "/short" => {
            Answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf of it", Then::Close)
        }
        "/short-chunked" => Answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf of it\r\n",
            Then::Close,
        ),
        "/long" => Answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine\
             HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nforged",
            Then::GoOn,
        ),
        "/long-later" => Answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine",
            Then::Say("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nforged"),
        ),
        "/events" => Answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", Then::Wait),
        "/notices/ws" => Answer(SWITCHING, Then::Wait),
        "/notices/ws?ends" => Answer(SWITCHING, Then::Vanish),
        "/no-http" => Answer("this is not HTTP\r\n\r\n", Then::GoOn),
        "/closes" => Answer("", Then::Close),
        _ => Answer::fine(),
    }
}

struct World {
    saas: RawSaas,
    gate: Gate,
}

impl World {
    async fn new() -> Self {
        Self::with(&["timeouts: { response: 1s, idle: 2s }"]).await
    }

    async fn with(app: &[&str]) -> Self {
        let saas = RawSaas::start(misbehave).await;
        let gate = Gate::builder().upstream(&saas).app(app).start().await;
        gate.add_staff("sato", &["staff"]);
        Self { saas, gate }
    }

    async fn sato(&self, http2: bool) -> Browser {
        let mut browser = Browser::new(Setup { http2, ..self.gate.setup(HOME) });
        let landed = sign_in(&mut browser, &self.gate.url("/fine"), "sato", PASSWORD).await;
        assert_eq!(landed.text(), "fine");
        browser
    }

    async fn ask(&self, browser: &mut Browser, method: Method, path: &str) -> demo::client::Response {
        let url = self.gate.url(path);
        browser.send(method, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap()
    }

    /// The outcome of the newest request for this path.
    async fn outcome(&self, path: &str) -> Value {
        eventually("the outcome is written", async || {
            let newest = self.gate.requests(&["--person", "sato"]).into_iter().rfind(|r| r["path"] == path)?;
            Some(newest["outcome"].clone()).filter(|o| o["end"].is_string() && o["end"] != "outcome-unknown")
        })
        .await
    }

    /// A WebSocket that begins, until its connection ends, said goodbye to or not.
    async fn websocket(&self, path: &str) {
        let sato = self.sato(false).await;
        let mut socket = sato.raw("hidamari.gw.localhost", &[b"http/1.1"]).await.unwrap();
        let host = format!("hidamari.gw.localhost:{}", self.gate.port);
        let cookies = sato.cookies("hidamari.gw.localhost");
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nCookie: {cookies}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    }

    /// Nothing was logged for which operators are called, and no failure of the SaaS counted.
    async fn nothing_failed(&self) {
        assert_eq!(self.gate.warnings(), [""; 0]);
        assert_eq!(self.gate.metric("sekisho_upstream_failures_total{app=\"hidamari\"}").await, 0.0);
    }

    /// The connection of the newest request for this path is given up, and the next answer is the next request's.
    async fn goes_on(&self, browser: &mut Browser, path: &str) {
        let spoilt = self.saas.heard_of(path).pop().unwrap().connection;
        eventually("its connection is closed", async || self.saas.is_closed(spoilt).then_some(())).await;
        assert_eq!(self.ask(browser, Method::GET, "/fine").await.text(), "fine", "after {path}");
        assert_ne!(self.saas.heard().pop().unwrap().connection, spoilt, "after {path}");
    }
}

#[test]
fn a_saas_that_never_answers_gives_a_page_and_hinders_nobody_else() {
    run(async {
        let world = World::new().await;
        let mut other = world.sato(true).await;
        for http2 in [false, true] {
            let mut sato = world.sato(http2).await;
            let asked = world.saas.heard_of("/silent").len();
            let url = world.gate.url("/silent");
            let waits =
                async { sato.send(Method::GET, &url, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap() };
            let others = async {
                eventually("it was asked", async || (world.saas.heard_of("/silent").len() > asked).then_some(())).await;
                assert_eq!(world.ask(&mut other, Method::GET, "/fine").await.status, 200);
            };
            let (page, ()) = tokio::join!(waits, others);
            assert_eq!(page.status, 504);
            assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
            let outcome = world.outcome("/silent").await;
            assert_eq!((&outcome["end"], &outcome["status"]), (&"upstream-failed".into(), &504.into()));
            // It may be at work on it: asking again would do it twice.
            assert_eq!(world.saas.heard_of("/silent").len(), asked + 1, "HTTP/2: {http2}");
            world.goes_on(&mut sato, "/silent").await;
        }
    });
}

#[test]
fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    run(async {
        let world = World::new().await;
        for http2 in [false, true] {
            let mut sato = world.sato(http2).await;
            for path in ["/stops", "/stops-chunked", "/short", "/short-chunked"] {
                let url = world.gate.url(path);
                let (head, body) = sato
                    .stream(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new())
                    .await
                    .unwrap_or_else(|e| panic!("{path}, HTTP/2: {http2}: {e}"));
                assert_eq!(head.status, 200);
                assert!(body.collect().await.is_err(), "{path} came to a good end, HTTP/2: {http2}");
                let outcome = world.outcome(path).await;
                assert_eq!(outcome["end"], "upstream-failed", "{path}, HTTP/2: {http2}: {outcome}");
                assert_eq!((&outcome["status"], &outcome["bytes_out"]), (&200.into(), &10.into()), "{path}");
                world.goes_on(&mut sato, path).await;
            }
        }
    });
}

#[test]
fn a_stream_on_which_the_saas_says_nothing_for_long_is_ended() {
    run(async {
        let world = World::new().await;
        for http2 in [false, true] {
            let mut sato = world.sato(http2).await;
            let mut accept = HeaderMap::new();
            accept.insert("accept", HeaderValue::from_static("text/event-stream"));
            let url = world.gate.url("/events");
            let (head, body) = sato.stream(Method::GET, &url, Mode::Fetch, accept, Bytes::new()).await.unwrap();
            assert_eq!(head.status, 200);
            assert!(body.collect().await.is_err(), "HTTP/2: {http2}");
            let outcome = world.outcome("/events").await;
            assert_eq!(outcome["end"], "upstream-failed");
            assert!(outcome["total_us"].as_u64().unwrap() >= 2_000_000, "{outcome}");
        }
        world.websocket("/notices/ws").await;
        assert_eq!(world.outcome("/notices/ws").await["end"], "upstream-failed");
    });
}

#[test]
fn a_websocket_that_the_saas_ends_did_not_fail() {
    run(async {
        let world = World::new().await;
        world.websocket("/notices/ws?ends").await;
        let outcome = world.outcome("/notices/ws?*").await;
        assert_eq!((&outcome["end"], &outcome["status"]), (&"ok".into(), &101.into()), "{outcome}");
        world.nothing_failed().await;
    });
}

/// Browsers do so whenever a page is left.
#[test]
fn a_request_that_is_given_up_is_no_failure_of_the_saas() {
    run(async {
        let world = World::with(&[]).await;
        for http2 in [true, false] {
            let mut sato = world.sato(http2).await;
            let asked = world.saas.heard_of("/silent").len();
            let waits = world.ask(&mut sato, Method::POST, "/silent");
            let asked =
                eventually("it was asked", async || (world.saas.heard_of("/silent").len() > asked).then_some(()));
            tokio::select! {
                answer = waits => panic!("{}", answer.status),
                () = asked => {}
            }
            // A browser's page goes on; here the connection does, if it can.
            assert_eq!(world.ask(&mut sato, Method::GET, "/fine").await.text(), "fine", "HTTP/2: {http2}");
            let outcome = world.outcome("/silent").await;
            assert_eq!((&outcome["end"], &outcome["status"]), (&"aborted".into(), &Value::Null), "HTTP/2: {http2}");
        }
        world.nothing_failed().await;
    });
}

#[test]
fn what_a_saas_says_beyond_its_answer_answers_nobody() {
    run(async {
        let world = World::new().await;
        for http2 in [false, true] {
            let mut sato = world.sato(http2).await;
            for path in ["/long", "/long-later"] {
                assert_eq!(world.ask(&mut sato, Method::GET, path).await.text(), "fine", "{path}");
                let outcome = world.outcome(path).await;
                assert_eq!((&outcome["end"], &outcome["bytes_out"]), (&"ok".into(), &4.into()), "{path}");
                world.goes_on(&mut sato, path).await;
            }
        }
    });
}

#[test]
fn a_saas_that_speaks_no_http_or_hangs_up_gives_a_page() {
    run(async {
        let world = World::new().await;
        let mut sato = world.sato(false).await;
        for (method, path) in [(Method::GET, "/no-http"), (Method::POST, "/closes")] {
            let answer = world.ask(&mut sato, method, path).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (502, &"upstream-failed".into()), "{path}");
            assert_eq!(world.outcome(path).await["end"], "upstream-failed");
            world.goes_on(&mut sato, path).await;
        }
        // What changes something is sent once, whatever became of it.
        assert_eq!(world.saas.heard_of("/closes").len(), 1);
    });
}

/// A POST with everything that could get lost on the way, as the SaaS saw it.
async fn seen_by_the_saas(gate: &Gate, http2: bool) -> Value {
    let mut sato = Browser::new(Setup { http2, ..gate.setup(HOME) });
    sign_in(&mut sato, &gate.url("/echo"), "sato", PASSWORD).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-kept", HeaderValue::from_static("kept"));
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    headers
        .insert("cookie", HeaderValue::from_str(&format!("a=1; {}", sato.cookies("hidamari.gw.localhost"))).unwrap());
    let url = gate.url("/echo?room=203&name=%E4%BD%90%E8%97%A4");
    let answer = sato.send(Method::POST, &url, Mode::Fetch, headers, Bytes::from_static(b"hello, care")).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn is_what_was_sent(gate: &Gate, seen: &Value, version: &str) {
    let headers: Vec<(&str, &str)> = seen["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect();
    let values = |name| headers.iter().filter(|(n, _)| *n == name).map(|(_, v)| *v).collect::<Vec<_>>();
    assert_eq!(seen["version"], version);
    assert_eq!(seen["method"], "POST");
    let target = seen["target"].as_str().unwrap();
    assert!(target.ends_with("/echo?room=203&name=%E4%BD%90%E8%97%A4"), "{target}");
    let host = format!("{SAAS_HOST}:{}", gate.saas.port());
    match version {
        "HTTP/2.0" => assert!(target.starts_with(&format!("https://{host}/")) || values("host") == [&host], "{seen}"),
        _ => assert_eq!(values("host"), [&host]),
    }
    assert_eq!(seen["body_bytes"], 11);
    let digest = ring::digest::digest(&ring::digest::SHA256, b"hello, care");
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(seen["body_sha256"], hex);
    assert_eq!(values("x-kept"), ["kept"]);
    assert_eq!(values("cookie"), ["a=1"]);
    assert_eq!(values("content-length"), ["11"]);
    for never in ["connection", "transfer-encoding", "upgrade", "te"] {
        assert!(values(never).is_empty(), "{never} in {seen}");
    }
}

#[test]
fn the_saas_is_spoken_to_in_http_1_1_where_the_app_says_so() {
    run(async {
        let gate = Gate::builder().app(&["protocol: h1"]).start().await;
        gate.add_staff("sato", &["staff"]);
        for http2 in [false, true] {
            is_what_was_sent(&gate, &seen_by_the_saas(&gate, http2).await, "HTTP/1.1");
        }
    });
}

#[test]
fn the_saas_is_spoken_to_in_http_2_where_the_app_says_so_or_the_saas_likes_it() {
    run(async {
        for keys in [&["protocol: h2"][..], &["protocol: auto"], &[]] {
            let gate = Gate::builder().app(keys).start().await;
            gate.add_staff("sato", &["staff"]);
            for http2 in [false, true] {
                is_what_was_sent(&gate, &seen_by_the_saas(&gate, http2).await, "HTTP/2.0");
            }
        }
    });
}

#[test]
fn a_saas_that_does_not_speak_the_http_it_should_is_not_spoken_to() {
    run(async {
        let saas = RawSaas::start(misbehave).await;
        let gate = Gate::builder().upstream(&saas).app(&["protocol: h2"]).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let page = sign_in(&mut sato, &gate.url("/fine"), "sato", PASSWORD).await;
        assert_eq!(page.status, 502);
        assert_eq!(saas.heard().len(), 0);
    });
}
