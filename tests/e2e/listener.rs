//! The listener: what TLS it speaks, whose name it answers to, and how long it waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use demo::client::{Browser, Mode, Setup};
use http::{HeaderMap, HeaderValue, Method};
use rustls::client::{ClientConfig, Resumption};
use rustls::{HandshakeKind, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Gate, HOME, PASSWORD, eventually, run, sign_in};

async fn handshake(
    gate: &Gate,
    config: &Arc<ClientConfig>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(("127.0.0.1", gate.port)).await?;
    let name = ServerName::try_from("hidamari.gw.localhost").unwrap();
    tokio_rustls::TlsConnector::from(config.clone()).connect(name, tcp).await
}

fn client(gate: &Gate, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in &gate.roots {
        roots.add(root.clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(16);
    Arc::new(config)
}

/// Promise 8: TLS 1.3 towards people, 1.2 only by explicit opt-in.
#[test]
fn promise_8_tls_1_2_is_refused_unless_the_operator_asks_for_it() {
    run(async {
        let gate = Gate::usual().await;
        assert!(handshake(&gate, &client(&gate, &[&rustls::version::TLS12])).await.is_err());
        assert!(handshake(&gate, &client(&gate, &[&rustls::version::TLS13])).await.is_ok());

        gate.rewrite(|text| {
            text.replace("  domain: gw.localhost", "  domain: gw.localhost\n  tls: { min_version: \"1.2\" }")
        });
        assert!(gate.cli(&["reload"]).status.success());
        let old = handshake(&gate, &client(&gate, &[&rustls::version::TLS12])).await.unwrap();
        let suite = format!("{:?}", old.get_ref().1.negotiated_cipher_suite().unwrap().suite());
        assert!(suite.contains("ECDHE") && (suite.contains("GCM") || suite.contains("POLY1305")), "{suite}");
    });
}

/// Promise 8: rustls with ring is the only TLS in the tree.
#[test]
fn promise_8_no_second_tls_is_in_the_tree() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let others = ["openssl", "native-tls", "aws-lc", "boring", "s2n-tls"];
    let found: Vec<_> = names
        .filter(|name| others.iter().any(|other| name.starts_with(other)))
        // Finds where the machine keeps its roots, and speaks no TLS.
        .filter(|name| *name != "openssl-probe")
        .collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(lock.contains("name = \"rustls\"") && lock.contains("name = \"ring\""));
}

/// Promise 3: a resumed session would bring back an old identity.
#[test]
fn promise_3_nothing_is_resumed() {
    run(async {
        let gate = Gate::usual().await;
        let config = client(&gate, &[&rustls::version::TLS13]);
        for _ in 0..3 {
            let mut stream = handshake(&gate, &config).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: hidamari.gw.localhost\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0, "a ticket was sent");
        }
    });
}

/// Promise 5: a Host that belongs to another app than the server name gets 421.
#[test]
fn promise_5_a_host_of_another_app_is_misdirected() {
    run(async {
        let gate = Gate::builder().more("log: { level: info }\n").start().await;
        gate.rewrite(|text| {
            let port = gate.saas.port();
            text.replace(
                "policy:\n",
                &format!("  - id: other\n    upstream: https://hidamari-care.localhost:{port}\n    upstream_ca: saas-root.pem\npolicy:\n"),
            )
        });
        assert!(gate.cli(&["reload"]).status.success());
        for http2 in [false, true] {
            let browser = Browser::new(Setup { http2, ..gate.setup(HOME) });
            let alpn: &[&[u8]] = &[b"http/1.1"];
            if http2 {
                continue;
            }
            let mut stream = browser.raw("hidamari.gw.localhost", alpn).await.unwrap();
            for host in ["other.gw.localhost", "login.gw.localhost"] {
                let request = format!("GET / HTTP/1.1\r\nHost: {host}:{}\r\n\r\n", gate.port);
                stream.write_all(request.as_bytes()).await.unwrap();
                let answer = read_head(&mut stream).await;
                assert!(answer.starts_with("HTTP/1.1 421"), "{host}: {answer}");
                stream = browser.raw("hidamari.gw.localhost", alpn).await.unwrap();
            }
        }
    });
}

async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

#[test]
fn an_unknown_host_gets_a_page_that_says_so() {
    run(async {
        let gate = Gate::usual().await;
        let browser = gate.browser(HOME);
        let mut stream = browser.raw("login.gw.localhost", &[b"http/1.1"]).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: nobody.gw.localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.contains("text/html"));
        gate.recorded("no-app").await;
    });
}

#[test]
fn each_app_has_a_certificate_of_its_own() {
    run(async {
        let gate = Gate::usual().await;
        let browser = gate.browser(HOME);
        let mut leaves = Vec::new();
        for host in ["hidamari.gw.localhost", "assets.hidamari.gw.localhost", "login.gw.localhost"] {
            let stream = browser.raw(host, &[b"h2"]).await.unwrap();
            leaves.push(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec());
        }
        assert_eq!(leaves[0], leaves[1], "the hosts of one app share one");
        assert_ne!(leaves[0], leaves[2], "the sign-in pages could be coalesced with an app");
    });
}

#[test]
fn a_client_that_says_nothing_or_trickles_is_cut() {
    run(async {
        let gate = Gate::builder().limits("handshake: 1s, head: 1s, body_stall: 1s").start().await;
        gate.add_staff("sato", &["staff"]);

        // No handshake at all.
        let mut silent = TcpStream::connect(("127.0.0.1", gate.port)).await.unwrap();
        let at = Instant::now();
        assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
        assert!(at.elapsed() < Duration::from_secs(8));

        // A head, one byte now and then.
        let browser = gate.browser(HOME);
        let mut slow = browser.raw("hidamari.gw.localhost", &[b"http/1.1"]).await.unwrap();
        let trickle = async {
            for byte in b"GET / HTTP/1.1\r\nX-Long: ".iter().chain(std::iter::repeat(&b'a')) {
                if slow.write_all(&[*byte]).await.is_err() || slow.flush().await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(8), trickle).await.is_ok(), "a trickling head was not cut");

        // A body, one byte now and then.
        let mut sato = gate.browser(HOME);
        sign_in(&mut sato, &gate.url("/echo"), "sato", PASSWORD).await;
        let cookies = sato.cookies("hidamari.gw.localhost");
        let mut slow = sato.raw("hidamari.gw.localhost", &[b"http/1.1"]).await.unwrap();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: hidamari.gw.localhost:{}\r\nCookie: {cookies}\r\nContent-Length: 100000\r\n\r\n",
            gate.port
        );
        slow.write_all(head.as_bytes()).await.unwrap();
        let trickle = async {
            while slow.write_all(b"a").await.is_ok() && slow.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), trickle).await.is_ok(), "a trickling body was not cut");
    });
}

#[test]
fn a_kept_connection_on_which_nothing_comes_is_closed() {
    run(async {
        let gate = Gate::builder().limits("idle: 1s").start().await;
        for http2 in [false, true] {
            let handshakes = "sekisho_handshakes_total{outcome=\"ok\"}";
            let before = gate.metric(handshakes).await;
            let mut browser = Browser::new(Setup { http2, ..gate.setup(HOME) });
            for _ in 0..2 {
                assert_eq!(browser.open(&gate.login_url("/")).await.unwrap().status, 200);
            }
            assert_eq!(gate.metric(handshakes).await, before + 1.0, "it was not kept, HTTP/2: {http2}");
            eventually("it is closed", async || (gate.metric("sekisho_connections").await == 0.0).then_some(())).await;
        }
        assert_eq!(gate.metric("sekisho_refused_before_request_total").await, 0.0);
    });
}

#[test]
fn what_pingora_refuses_by_itself_is_counted() {
    run(async {
        let gate = Gate::usual().await;
        let browser = gate.browser(HOME);
        let mut stream = browser.raw("hidamari.gw.localhost", &[b"http/1.1"]).await.unwrap();
        stream.write_all(b"THIS IS NOT HTTP\r\n\r\n").await.unwrap();
        let _ = read_head(&mut stream).await;
        drop(stream);
        eventually("the refusal is counted", async || {
            (gate.metric("sekisho_refused_before_request_total").await >= 1.0).then_some(())
        })
        .await;
    });
}

#[test]
fn certificates_are_replaced_without_dropping_a_connection() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let before = leaf(&sato).await;
        assert!(gate.cli(&["reload"]).status.success());
        let handshakes = gate.metric("sekisho_handshakes_total{outcome=\"ok\"}").await;
        let kept =
            sato.send(Method::GET, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(kept.status, 200);
        assert_eq!(
            gate.metric("sekisho_handshakes_total{outcome=\"ok\"}").await,
            handshakes,
            "a connection was dropped"
        );
        assert_ne!(leaf(&sato).await, before, "the certificate is still the old one");
    });
}

async fn leaf(browser: &Browser) -> Vec<u8> {
    let stream = browser.raw("hidamari.gw.localhost", &[b"h2"]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn ipv6_is_an_address_like_any_other() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    }
    run(async {
        let gate = Gate::builder().listen("[::1]:0").start().await;
        gate.rewrite(|text| text.replace("[127.0.0.1/32]", "[127.0.0.1/32, \"::1/128\"]"));
        assert!(gate.cli(&["reload"]).status.success());
        gate.add_staff("sato", &["staff"]);
        let server = (std::net::Ipv6Addr::LOCALHOST, gate.port).into();
        for http2 in [false, true] {
            let mut sato = Browser::new(Setup { server, from: None, http2, ..gate.setup(HOME) });
            let landed = sign_in(&mut sato, &gate.url("/echo"), "sato", PASSWORD).await;
            assert_eq!(landed.status, 200, "{}", landed.text());
            let last = gate.requests(&["--person", "sato", "--app", "hidamari"]).pop().unwrap();
            assert_eq!((&last["source"], &last["networks"]), (&"::1".into(), &serde_json::json!(["facility"])));
        }
    });
}

#[test]
fn http_1_1_and_http_2_both_work() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        for http2 in [false, true] {
            let mut sato = Browser::new(Setup { http2, ..gate.setup(HOME) });
            let landed = sign_in(&mut sato, &gate.url("/echo"), "sato", PASSWORD).await;
            assert_eq!(landed.status, 200);
            let mut headers = HeaderMap::new();
            headers.insert("x-demo-marker", HeaderValue::from_static("both"));
            let answer = sato.send(Method::GET, &gate.url("/echo"), Mode::Fetch, headers, Bytes::new()).await.unwrap();
            assert_eq!(answer.status, 200);
            let last = gate.requests(&["--person", "sato"]).pop().unwrap();
            assert_eq!(last["http"], if http2 { "2" } else { "1.1" });
        }
    });
}
