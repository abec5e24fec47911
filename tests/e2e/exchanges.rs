//! Exchanges that don't go the usual way: upgrades that are none, pipelining, interim answers, ends before the end.

use std::time::Duration;

use bytes::Bytes;
use demo::client::{Browser, Mode};
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::attack::ambiguous;
use crate::harness::{Answer, Gate, HOME, Heard, PASSWORD, RawSaas, SAAS_HOST, Then, eventually, run, sign_in};

const HOST: &str = "hidamari.gw.localhost";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What the SaaS of these tests does, by path.
fn odd(heard: &Heard) -> Answer {
    static INTERIM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    static ENDLESS: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    static LONG: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    match heard.target().split('?').next().unwrap_or_default() {
        // A WebSocket of another version is not opened (RFC 6455, 4.4).
        "/notices/ws" if heard.values("sec-websocket-version") != ["13"] => Answer(
            "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
            Then::GoOn,
        ),
        "/notices/ws" => Answer(SWITCHING, Then::Wait),
        "/plain" => Answer::fine(),
        // Nobody asked for it.
        "/unasked" => Answer(SWITCHING, Then::Wait),
        "/unasked-h2c" => {
            Answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", Then::Wait)
        }
        "/interim" => {
            let many = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(3);
            let fine = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine";
            Answer(INTERIM.get_or_init(|| format!("{many}{fine}")), Then::GoOn)
        }
        "/interim-endless" => {
            Answer(ENDLESS.get_or_init(|| "HTTP/1.1 100 Continue\r\n\r\n".repeat(20_000)), Then::Close)
        }
        "/head-endless" => {
            let line = format!("X-Long: {}\r\n", "a".repeat(1_000));
            Answer(LONG.get_or_init(|| format!("HTTP/1.1 200 OK\r\n{}", line.repeat(2_000))), Then::Close)
        }
        // Answers while the body still comes, and hangs up.
        "/early" => {
            Answer("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge", Then::Close)
        }
        _ => Answer::fine(),
    }
}

struct World {
    saas: RawSaas,
    gate: Gate,
    sato: Browser,
    lines: String,
}

impl World {
    async fn new() -> Self {
        let saas = RawSaas::start(odd).await;
        let gate = Gate::builder()
            .upstream(&saas)
            .limits("head: 2s, idle: 3s, body_stall: 1s")
            .app(&["timeouts: { response: 2s, idle: 2s }"])
            .start()
            .await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        assert_eq!(sign_in(&mut sato, &gate.url("/plain"), "sato", PASSWORD).await.text(), "fine");
        let host = format!("{HOST}:{}", gate.port);
        let lines = format!("Host: {host}\r\nOrigin: https://{host}\r\nCookie: {}\r\n", sato.cookies(HOST));
        Self { saas, gate, sato, lines }
    }

    /// Sends bytes on a connection of their own, and reads until the gate ends it. LINES stands for who asks whom.
    async fn say(&self, bytes: &str) -> String {
        let mut stream = self.sato.raw(HOST, &[b"http/1.1"]).await.unwrap();
        let _ = stream.write_all(bytes.replace("LINES\r\n", &self.lines).as_bytes()).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the connection is not ended: {bytes}");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn fine(&mut self) {
        let url = self.gate.url("/plain");
        let answer = self.sato.send(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(answer.text(), "fine");
    }

    /// Every request that reached the SaaS reads one way, and stands in the record as permitted.
    fn nothing_was_smuggled(&self) {
        let authority = format!("{SAAS_HOST}:{}", self.saas.port);
        let permitted = self.gate.requests(&["--decision", "permit", "--app", "hidamari"]);
        for one in self.saas.heard() {
            assert_eq!(ambiguous(&one, &authority), None, "{one:?}");
            let path = one.target().split('?').next().unwrap().to_owned();
            assert!(
                permitted.iter().any(|r| r["path"].as_str().unwrap().split('?').next() == Some(&path)),
                "in no record: {}",
                one.head
            );
            assert!(!path.contains("smuggled"), "{}", one.head);
        }
    }
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n";

#[test]
fn an_upgrade_that_is_refused_opens_no_tunnel() {
    run(async {
        let mut world = World::new().await;
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let ways = [
            ("version", format!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1337\r\n{key}")),
            ("no-version", format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{key}")),
            (
                "two-versions",
                format!(
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8\r\n{key}"
                ),
            ),
            ("no-key", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n".to_owned()),
        ];
        for (name, lines) in &ways {
            let path = format!("/notices/ws?{name}");
            let answer = world.say(&format!("GET {path} HTTP/1.1\r\nLINES\r\n{lines}\r\n{SMUGGLED}")).await;
            assert!(!answer.starts_with("HTTP/1.1 101"), "{name}: {answer}");
        }
        // Onto a path that opens none, as other protocols, with other methods.
        let h2c = |path: &str| {
            format!(
                "GET {path} HTTP/1.1\r\nLINES\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                 HTTP2-Settings: AAMAAABk\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            )
        };
        let ways = [
            format!(
                "GET /plain HTTP/1.1\r\nLINES\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{key}\r\n{SMUGGLED}"
            ),
            h2c("/plain"),
            h2c("/unasked-h2c"),
            format!("GET /plain HTTP/1.1\r\nLINES\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n{SMUGGLED}"),
            format!(
                "GET /plain HTTP/1.1\r\nLINES\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Version: 13\r\n{key}\r\n{SMUGGLED}"
            ),
            format!(
                "POST /notices/ws?post HTTP/1.1\r\nLINES\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{key}Content-Length: 0\r\n\r\n{SMUGGLED}"
            ),
            format!(
                "GET /notices/ws?1.0 HTTP/1.0\r\nLINES\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{key}\r\n{SMUGGLED}"
            ),
            format!("GET /unasked HTTP/1.1\r\nLINES\r\n\r\n{SMUGGLED}"),
        ];
        for bytes in &ways {
            let answer = world.say(bytes).await;
            println!("{} -> {}", bytes.lines().next().unwrap(), answer.lines().next().unwrap_or("closed"));
            assert!(!answer.starts_with("HTTP/1.1 101"), "{bytes}: {answer}");
        }
        for one in world.saas.heard() {
            let upgrade = one.values("upgrade");
            assert!(upgrade.is_empty() || upgrade == ["websocket"], "{}", one.head);
            assert!(one.values("http2-settings").is_empty(), "{}", one.head);
        }
        world.nothing_was_smuggled();
        world.fine().await;
        assert!(!world.gate.log().contains("panicked"), "{}", world.gate.log());
    });
}

#[test]
fn pipelined_requests_are_judged_one_by_one() {
    run(async {
        let mut world = World::new().await;
        let one = |path: &str, lines: &str| format!("GET {path} HTTP/1.1\r\nLINES\r\n{lines}\r\n");
        let stranger = format!("GET /smuggled HTTP/1.1\r\nHost: {HOST}:{}\r\n\r\n", world.gate.port);
        let bytes = [one("/first", ""), one("/second", ""), stranger, one("/third", "Connection: close\r\n")].concat();
        let answer = world.say(&bytes).await;
        // Answered in order, or the connection is closed after one of them: never by another's answer.
        let answered = answer.matches("HTTP/1.1 200").count();
        let heard: Vec<String> = world.saas.heard().iter().map(|one| one.target().to_owned()).collect();
        println!("{answered} answered, {heard:?}");
        for path in ["/first", "/second", "/third"] {
            assert!(heard.iter().filter(|heard| *heard == path).count() <= 1, "{heard:?}");
        }
        assert!(heard.contains(&"/first".to_owned()));
        world.nothing_was_smuggled();
        world.fine().await;
    });
}

#[test]
fn interim_answers_and_heads_without_end_are_bounded() {
    run(async {
        let mut world = World::new().await;
        let answer = world.say("GET /interim HTTP/1.1\r\nLINES\r\nConnection: close\r\n\r\n").await;
        assert!(answer.ends_with("fine"), "{answer}");
        for path in ["/interim-endless", "/head-endless"] {
            let answer = world.say(&format!("GET {path} HTTP/1.1\r\nLINES\r\nConnection: close\r\n\r\n")).await;
            let last = answer.rsplit("HTTP/1.1 ").next().unwrap_or_default();
            println!("{path}: {} bytes, at last {}", answer.len(), last.lines().next().unwrap_or_default());
            assert!(last.starts_with("502"), "{path}: {}", &answer[..answer.len().min(400)]);
            let outcome = outcome(&world, path).await;
            assert_eq!(outcome["end"], "upstream-failed", "{path}");
        }
        world.fine().await;
    });
}

async fn outcome(world: &World, path: &str) -> serde_json::Value {
    eventually("the outcome is written", async || {
        let newest = world.gate.requests(&["--person", "sato"]).into_iter().rfind(|r| r["path"] == path)?;
        Some(newest["outcome"].clone()).filter(|o| o["end"].is_string() && o["end"] != "outcome-unknown")
    })
    .await
}

#[test]
fn ends_before_the_end_leave_nothing_behind() {
    run(async {
        let mut world = World::new().await;
        // The client goes away within its body, within a chunk, before the answer.
        let ways = [
            ("/gone-length", "POST /gone-length HTTP/1.1\r\nLINES\r\nContent-Length: 100\r\n\r\nhalf"),
            ("/gone-chunk", "POST /gone-chunk HTTP/1.1\r\nLINES\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf"),
        ];
        for (path, bytes) in ways {
            let mut stream = world.sato.raw(HOST, &[b"http/1.1"]).await.unwrap();
            stream.write_all(bytes.replace("LINES\r\n", &world.lines).as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            eventually("it is on its way", async || {
                world.gate.requests(&["--decision", "permit"]).iter().any(|r| r["path"] == path).then_some(())
            })
            .await;
            drop(stream);
            assert_eq!(outcome(&world, path).await["end"], "aborted", "{path}");
            eventually("its connection to the SaaS is closed", async || {
                world.saas.heard_of(path).pop().is_none_or(|one| world.saas.is_closed(one.connection)).then_some(())
            })
            .await;
        }
        // The SaaS answers early, and hangs up. Its answer arrives, or a failure does: not somebody else's.
        let mut stream = world.sato.raw(HOST, &[b"http/1.1"]).await.unwrap();
        let head =
            "POST /early HTTP/1.1\r\nLINES\r\nContent-Length: 5000000\r\n\r\n".replace("LINES\r\n", &world.lines);
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut from, mut to) = tokio::io::split(stream);
        let sends = async {
            for _ in 0..5_000 {
                if to.write_all(&[b'x'; 1_000]).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut answer = vec![0; 12];
        tokio::select! {
            () = sends => {}
            read = from.read_exact(&mut answer) => { read.expect("the gate said nothing"); }
        }
        let status = String::from_utf8_lossy(&answer).into_owned();
        assert!(status.starts_with("HTTP/1.1 413") || status.starts_with("HTTP/1.1 502"), "{status}");
        for _ in 0..5 {
            world.fine().await;
        }
        world.nothing_was_smuggled();
    });
}
