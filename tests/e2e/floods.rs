//! Who is silent, sends in masses, or takes nothing. Others stay served, every connection ends, and what it cost is given
//! back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use demo::client::{Browser, Mode};
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::h2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, H2, HEADERS, PING, PRIORITY, RST_STREAM, WINDOW_UPDATE, block, frame,
    settings,
};
use crate::harness::{Answer, Gate, HOME, OUTSIDE, PASSWORD, RawSaas, Then, eventually, run, sign_in};

const HOST: &str = "hidamari.gw.localhost";
const CUT: &str = "sekisho_cut_total{reason=\"flood\"}";

/// What the gate's process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) resident_kb: u64,
    pub(crate) descriptors: usize,
}

pub(crate) fn held(gate: &Gate) -> Held {
    let process = format!("/proc/{}", gate.pid());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    Held {
        resident_kb: resident.trim().trim_end_matches(" kB").parse().unwrap(),
        // Root alone may count those of a process that forbids core dumps.
        descriptors: std::fs::read_dir(format!("{process}/fd")).map_or(0, Iterator::count),
    }
}

/// Somebody works on, on a kept connection, while this happens. Returns what it returns, and the longest wait.
async fn while_somebody_works<T>(gate: &Gate, sato: &mut Browser, what: impl Future<Output = T>) -> (T, Duration) {
    let mut what = std::pin::pin!(what);
    let (mut done, mut longest) = (None, Duration::ZERO);
    let url = gate.url("/echo");
    // Whatever happens, the request that is under way when it ends is waited for.
    while done.is_none() {
        let asked = Instant::now();
        let mut answer = std::pin::pin!(sato.send(Method::POST, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()));
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer.unwrap(),
                finished = &mut what, if done.is_none() => done = Some(finished),
            }
        };
        assert_eq!(answer.status, 200, "{}", answer.text());
        longest = longest.max(asked.elapsed());
        assert!(longest < Duration::from_secs(5), "somebody had to wait for {longest:?}");
    }
    (done.unwrap(), longest)
}

/// The head of a stranger's request.
fn head(stream: u32, flags: u8, method: &str) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", "/flood")];
    frame(HEADERS, flags, stream, &block(&fields))
}

#[test]
fn floods_of_frames_are_ended_and_hinder_nobody() {
    run(async {
        let gate = Gate::builder().limits("idle: 4s, body_stall: 1s").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let before = held(&gate);
        // Said once, said again and again, and whether the answers are read.
        type Said = Box<dyn FnMut() -> Vec<u8> + Send>;
        let same = |bytes: Vec<u8>| -> Said { Box::new(move || bytes.clone()) };
        let mut newest = 1;
        let mut resets = move |at_once: u32| {
            (0..at_once)
                .flat_map(|_| {
                    newest += 2;
                    [head(newest, END_HEADERS | END_STREAM, "GET"), frame(RST_STREAM, 0, newest, &8u32.to_be_bytes())]
                })
                .collect::<Vec<_>>()
                .concat()
        };
        let mut singly = resets;
        let mut refused = 1;
        let attacks: Vec<(&str, Vec<u8>, Said, bool)> = vec![
            ("rapid reset, many at once", vec![], Box::new(move || resets(100)), false),
            ("rapid reset, one by one", vec![], Box::new(move || singly(1)), false),
            // The gate is made to reset (CVE-2025-8671).
            (
                "made to reset",
                vec![],
                Box::new(move || {
                    refused += 2;
                    let update = frame(WINDOW_UPDATE, 0, refused, &0u32.to_be_bytes());
                    [head(refused, END_HEADERS, "POST"), update].concat()
                }),
                false,
            ),
            ("pings", vec![], same(frame(PING, 0, 0, &[7; 8]).repeat(500)), false),
            ("pings, unread", vec![], same(frame(PING, 0, 0, &[7; 8]).repeat(500)), true),
            ("settings", vec![], same(settings(&[(3, 100)]).repeat(500)), false),
            ("settings, unread", vec![], same(settings(&[(3, 100)]).repeat(500)), true),
            ("window updates", vec![], same(frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()).repeat(500)), false),
            ("priorities", vec![], same(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]).repeat(500)), false),
            ("unknown frames", vec![], same(frame(0xfa, 0, 0, &[0; 8]).repeat(500)), false),
            ("empty data", head(1, END_HEADERS, "POST"), same(frame(DATA, 0, 1, &[]).repeat(500)), false),
            ("continuations", head(1, END_STREAM, "GET"), same(frame(CONTINUATION, 0, 1, &[0, 1, 97, 1, 98])), false),
            ("empty continuations", head(1, END_STREAM, "GET"), same(frame(CONTINUATION, 0, 1, &[])), false),
            // A table entry of 4,000 bytes, named again and again (RFC 7541, 7.3).
            (
                "a bomb of indices",
                vec![],
                Box::new(|| {
                    let mut bomb = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
                    bomb.extend([b'x'; 4_000]);
                    bomb.extend([0xbe; 10_000]);
                    frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)
                }),
                false,
            ),
            ("a frame too long", vec![], same(frame(DATA, 0, 1, &[0; 16_385])), false),
            ("data for nobody", vec![], same(frame(DATA, 0, 7, &[0; 100])), false),
            ("no HTTP/2 at all", vec![], same(b"GET / HTTP/1.1\r\n\r\n".to_vec()), false),
        ];
        for (name, once, said, deaf) in attacks {
            let flood = async {
                let mut wire = H2::open(&gate.browser(OUTSIDE), HOST, &[]).await;
                wire.send(&once).await;
                tokio::time::timeout(Duration::from_secs(20), wire.flood(said, deaf)).await
            };
            let (sent, longest) = while_somebody_works(&gate, &mut sato, flood).await;
            let sent = sent.unwrap_or_else(|_| panic!("{name}: it was not ended"));
            println!("{name:<28} {:>8} KB sent, others waited {longest:?} at most, {:?}", sent / 1_024, held(&gate));
        }
        assert!(gate.metric(CUT).await >= 3.0, "{}", gate.observe("/metrics").await.1);
        let refused = gate.metric("sekisho_refused_before_request_total").await;
        assert!(refused > 0.0, "streams that were never shown are counted");
        eventually("connections are given back", async || {
            (held(&gate).descriptors <= before.descriptors + 2).then_some(())
        })
        .await;
        let after = held(&gate);
        assert!(after.resident_kb < before.resident_kb + 64 * 1_024, "{before:?}, {after:?}");
    });
}

/// A hundred kilobytes.
fn big(heard: &crate::harness::Heard) -> Answer {
    static BIG: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    match heard.target() {
        "/big" => {
            let body = "0123456789".repeat(10_000);
            let whole = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n{body}");
            Answer(BIG.get_or_init(|| whole), Then::GoOn)
        }
        _ => Answer::fine(),
    }
}

#[test]
fn whoever_opens_no_window_or_sends_no_body_is_ended() {
    run(async {
        let saas = RawSaas::start(big).await;
        let gate = Gate::builder().upstream(&saas).limits("idle: 4s, body_stall: 1s").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        sign_in(&mut sato, &gate.url("/fine"), "sato", PASSWORD).await;
        let cookie = sato.cookies(HOST);
        let host = format!("{HOST}:{}", gate.port);
        let known = |stream: u32, flags: u8, method: &str, path: &str| {
            let fields = [
                (":method", method),
                (":scheme", "https"),
                (":authority", &host),
                (":path", path),
                ("cookie", &cookie),
            ];
            frame(HEADERS, flags, stream, &block(&fields))
        };
        let before = held(&gate);

        // A hundred answers that nobody takes: strangers' pages, and what the SaaS sends.
        for from in [OUTSIDE, HOME] {
            let mut wire = H2::open(&gate.browser(from), HOST, &[(4, 0)]).await;
            let asked: Vec<u8> = (0..100)
                .flat_map(|n| match from {
                    OUTSIDE => head(2 * n + 1, END_HEADERS | END_STREAM, "GET"),
                    _ => known(2 * n + 1, END_HEADERS | END_STREAM, "GET", "/big"),
                })
                .collect();
            let ends = async {
                wire.send(&asked).await;
                let mut ended = std::collections::HashSet::new();
                while ended.len() < 100 {
                    match wire.next().await {
                        Some(frame) if frame.kind == RST_STREAM => ended.insert(frame.stream),
                        Some(_) => true,
                        None => break,
                    };
                }
            };
            let (ends, longest) =
                while_somebody_works(&gate, &mut sato, tokio::time::timeout(Duration::from_secs(20), ends)).await;
            ends.expect("a window that never opens keeps its stream");
            println!("zero windows from {from}: others waited {longest:?} at most, {:?}", held(&gate));
        }

        // More streams than there may be, each with a body that never comes.
        let mut wire = H2::open(&gate.browser(HOME), HOST, &[]).await;
        let asked: Vec<u8> = (0..150).flat_map(|n| known(2 * n + 1, END_HEADERS, "POST", "/fine")).collect();
        let ends = async {
            wire.send(&asked).await;
            let mut refused = 0;
            while let Some(frame) = wire.next().await {
                refused += usize::from(frame.kind == RST_STREAM && frame.code() == 7);
            }
            refused
        };
        let (refused, _) =
            while_somebody_works(&gate, &mut sato, tokio::time::timeout(Duration::from_secs(20), ends)).await;
        assert!(refused.expect("bodies that never come keep the connection") >= 50, "only 100 streams at a time");
        assert!(gate.metric("sekisho_cut_total{reason=\"stalled\"}").await >= 1.0);
        eventually("connections are given back", async || {
            (gate.metric("sekisho_connections").await <= 1.0).then_some(())
        })
        .await;
        let after = held(&gate);
        assert!(after.resident_kb < before.resident_kb + 64 * 1_024, "{before:?}, {after:?}");
    });
}

#[test]
fn heads_that_are_too_long_are_refused_and_cost_little() {
    run(async {
        let gate = Gate::builder().limits("per_source_connections: 400, head: 4s").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let long = "a".repeat(8_000);
        let begin = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n");
        let say = async |bytes: String| {
            let mut stream = gate.browser(OUTSIDE).raw(HOST, &[b"http/1.1"]).await.unwrap();
            // The gate may hang up while it is still being sent.
            let _ = stream.write_all(bytes.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
            String::from_utf8_lossy(&answer).lines().next().unwrap_or("closed").to_owned()
        };
        for (name, bytes) in [
            ("a long line", format!("{begin}X-Long: {}\r\n\r\n", long.repeat(30))),
            ("a long target", format!("GET /{} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", long.repeat(30))),
            ("many lines", format!("{begin}{}\r\n", format!("X-Long: {long}\r\n").repeat(30))),
            ("a thousand lines", format!("{begin}{}\r\n", "X: y\r\n".repeat(1_000))),
            ("blank lines", "\r\n".repeat(100_000)),
        ] {
            let answer = say(bytes).await;
            println!("{name}: {answer}");
            assert!(answer == "closed" || answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
        }
        assert!(gate.metric("sekisho_cut_total{reason=\"long-head\"}").await >= 3.0);
        assert!(gate.metric("sekisho_refused_before_request_total").await >= 4.0);
        // What people may have in a browser full of cookies still passes (RFC 6265, 6.1).
        let fits = say(format!("{begin}Connection: close\r\n{}\r\n", format!("X-Long: {long}\r\n").repeat(12))).await;
        assert!(fits.starts_with("HTTP/1.1 403"), "{fits}");

        // HTTP/2: 431 up to four times the limit, and the end of the connection beyond.
        for times in [9, 40] {
            let mut h2 = H2::open(&gate.browser(OUTSIDE), HOST, &[]).await;
            let mut fields = vec![(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/flood")];
            fields.extend(std::iter::repeat_n(("x-long", long.as_str()), times));
            let whole = block(&fields);
            let pieces: Vec<&[u8]> = whole.chunks(16_000).collect();
            let mut bytes = frame(HEADERS, END_STREAM, 1, pieces[0]);
            for (at, piece) in pieces.iter().enumerate().skip(1) {
                bytes.extend(frame(CONTINUATION, if at + 1 == pieces.len() { END_HEADERS } else { 0 }, 1, piece));
            }
            h2.send(&bytes).await;
            let answer = h2.answer(1).await;
            println!("{times} fields of 8,000 bytes on HTTP/2: {answer:?}");
            assert_ne!(answer, crate::harness::h2::Answered::Status(0x88));
        }

        // Three hundred heads that stop just before the limit, and are never ended.
        let before = held(&gate);
        let flood = async {
            let mut open = Vec::new();
            let bytes = format!("{begin}X-Long: {}", long.repeat(15));
            for _ in 0..300 {
                let mut stream = gate.browser(OUTSIDE).raw(HOST, &[b"http/1.1"]).await.unwrap();
                let _ = stream.write_all(bytes.as_bytes()).await;
                open.push(stream);
            }
            (held(&gate), open)
        };
        let ((most, open), longest) = while_somebody_works(&gate, &mut sato, flood).await;
        println!("{before:?}, with 300 heads of 120 KB {most:?}, others waited {longest:?} at most");
        assert!(most.resident_kb < before.resident_kb + 300 * 256, "{before:?}, {most:?}");
        eventually("slow heads are ended", async || {
            (gate.metric("sekisho_cut_total{reason=\"slow-head\"}").await >= 300.0).then_some(())
        })
        .await;
        drop(open);
    });
}

/// Connects from an address of the loopback network, and says nothing.
pub(crate) async fn silent(gate: &Gate, from: [u8; 4]) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::from(from), 0).into()).unwrap();
    let to = (std::net::Ipv4Addr::LOCALHOST, gate.port).into();
    tokio::time::timeout(Duration::from_secs(5), socket.connect(to)).await.ok()?.ok()
}

#[test]
fn half_open_handshakes_keep_nobody_out() {
    run(async {
        let limits = "max_connections: 200, per_source_connections: 100, handshake: 60s";
        let gate = Gate::builder().limits(limits).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let flood = async {
            let mut open = Vec::new();
            for n in 0..1_000u16 {
                let [high, low] = n.to_be_bytes();
                // Also from the facility's own address.
                let from = if n % 5 == 0 { [127, 0, 0, 1] } else { [127, 1, high, low] };
                open.extend(silent(&gate, from).await);
            }
            open
        };
        let (open, longest) = while_somebody_works(&gate, &mut sato, flood).await;
        assert_eq!(open.len(), 1_000);
        println!("1,000 half-open handshakes: others waited {longest:?} at most");
        // Somebody new, from the facility and from elsewhere, while they all still stand.
        for from in [HOME, OUTSIDE] {
            let mut newcomer = gate.browser(from);
            let page = newcomer.open(&gate.login_url("/")).await.unwrap();
            assert!(page.status == 200 || page.status == 403, "{}", page.status);
        }
        assert!(gate.metric("sekisho_handshakes_total{outcome=\"displaced\"}").await >= 800.0);
        assert!(held(&gate).descriptors < 200 + 60, "{:?}", held(&gate));
        drop(open);
    });
}

#[test]
fn strangers_connections_give_way_and_known_peoples_never_do() {
    run(async {
        let gate = Gate::builder().limits("idle: 60s").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut known = vec![gate.signed_in("sato").await, gate.signed_in("sato").await];
        let handshakes = "sekisho_handshakes_total{outcome=\"ok\"}";
        let theirs = gate.metric("sekisho_connections").await;
        let limits = format!("max_connections: {}, per_source_connections: {}", theirs + 8.0, theirs + 4.0);
        gate.rewrite(|text| text.replace("max_connections: 4000", &limits));
        assert!(gate.cli(&["reload"]).status.success());
        // These people's and four strangers' connections are all that one source may have, and with four others all there
        // may be.
        let mut strangers = Vec::new();
        for from in [HOME, OUTSIDE] {
            for _ in 0..4 {
                strangers.push(gate.browser(from).raw("login.gw.localhost", &[b"h2"]).await.unwrap());
            }
        }
        // Whoever comes gets in all the same, from here and from there, until it is others' places that they take.
        eventually("strangers give way", async || {
            for from in [HOME, OUTSIDE] {
                strangers.extend(gate.browser(from).raw("login.gw.localhost", &[b"h2"]).await);
            }
            (gate.metric("sekisho_cut_total{reason=\"displaced\"}").await >= 2.0).then_some(())
        })
        .await;
        let before = gate.metric(handshakes).await;
        for sato in &mut known {
            let answer =
                sato.send(Method::POST, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
            assert_eq!(answer.status, 200);
        }
        assert_eq!(gate.metric(handshakes).await, before, "a known person's connection had to give way");
        drop(strangers);

        // Where only known people stand, nobody gives way.
        eventually("strangers are gone", async || (gate.metric("sekisho_connections").await <= theirs).then_some(()))
            .await;
        let limits = format!("max_connections: {theirs}, per_source_connections: {theirs},");
        gate.rewrite(|text| {
            let lines = text.lines().map(|line| match line.trim_start().starts_with("limits: {") {
                true => format!("  limits: {{ {limits} idle: 60s }}"),
                false => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        });
        assert!(gate.cli(&["reload"]).status.success());
        // On the connections to the sign-in page nobody was known yet: those still give way.
        let mut more = Vec::new();
        eventually("nobody gives way", async || match gate.browser(HOME).raw("login.gw.localhost", &[b"h2"]).await {
            Ok(stream) => {
                more.push(stream);
                None
            }
            Err(_) => Some(()),
        })
        .await;
        assert!(gate.metric("sekisho_handshakes_total{outcome=\"too-many\"}").await >= 1.0);
        let before = gate.metric(handshakes).await;
        for sato in &mut known {
            let answer =
                sato.send(Method::POST, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
            assert_eq!(answer.status, 200);
        }
        assert_eq!(gate.metric(handshakes).await, before, "a known person's connection had to give way");
    });
}

#[test]
fn who_runs_out_of_descriptors_still_keeps_the_record() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let pid = gate.pid().to_string();
        let lowered = std::process::Command::new("prlimit").args(["--pid", &pid, "--nofile=200:200"]).status().unwrap();
        assert!(lowered.success());
        assert!(gate.cli(&["reload"]).status.success());
        assert!(gate.log().contains("too few descriptors"), "{}", gate.log());
        let flood = async {
            let mut open = Vec::new();
            for n in 0..400u16 {
                let [high, low] = n.to_be_bytes();
                open.extend(silent(&gate, [127, 2, high, low]).await);
            }
            // And strangers who complete their handshakes.
            for _ in 0..60 {
                if let Ok(stream) = gate.browser(OUTSIDE).raw("login.gw.localhost", &[b"h2"]).await {
                    drop(stream);
                }
            }
            open
        };
        let (open, longest) = while_somebody_works(&gate, &mut sato, flood).await;
        println!("200 descriptors, {} half-open: others waited {longest:?} at most, {:?}", open.len(), held(&gate));
        assert!(held(&gate).descriptors < 200);
        assert!(!gate.log().contains("could not be accepted"), "{}", gate.log());
        assert!(gate.observe("/readyz").await.0.contains("200"));
    });
}

/// A program nobody here wrote that attacks servers by being slow.
#[test]
fn slowhttptest_finds_the_service_available() {
    run(async {
        let limits = "head: 2s, idle: 2s, body_stall: 1s, handshake: 2s";
        let gate = Gate::builder().limits(limits).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let url = format!("https://127.0.0.1:{}/", gate.port);
        // Slow heads, slow bodies, slow reading.
        for mode in ["-H", "-B", "-X"] {
            let attack = tokio::process::Command::new("slowhttptest")
                .args([mode, "-c", "150", "-r", "150", "-i", "1", "-l", "8", "-p", "3", "-u", &url])
                .output();
            let (output, longest) = while_somebody_works(&gate, &mut sato, attack).await;
            let output = output.expect("slowhttptest is installed by `deploy/setup.sh test`");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let last = said.rsplit("service available:").next().unwrap_or_default();
            assert!(last.contains("YES"), "{mode}: {said}");
            println!("slowhttptest {mode}: available, others waited {longest:?} at most");
        }
        eventually("all of it is given back", async || (gate.metric("sekisho_connections").await <= 1.0).then_some(()))
            .await;
    });
}

/// A program nobody here wrote that looks for weak TLS.
#[test]
fn promise_8_sslscan_finds_tls_1_3_and_nothing_else() {
    run(async {
        let gate = Gate::usual().await;
        let output = tokio::process::Command::new("sslscan")
            .args(["--no-colour", "--show-client-cas", &format!("127.0.0.1:{}", gate.port)])
            .output()
            .await
            .expect("sslscan is installed by `deploy/setup.sh test`");
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{said}");
        for old in ["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2"] {
            let line = said.lines().find(|line| line.starts_with(old)).unwrap_or_default();
            assert!(line.ends_with("disabled"), "{old}: {line:?}");
        }
        assert!(said.lines().any(|line| line.starts_with("TLSv1.3") && line.ends_with("enabled")));
        assert!(!said.contains("vulnerable to heartbleed") || said.contains("not vulnerable to heartbleed"));
        let weak = ["Insecure", "compression enabled", "RC4", "3DES", "NULL", "EXP"];
        assert!(!weak.iter().any(|weak| said.contains(weak)), "{said}");
    });
}
