//! What reaches the SaaS, and what comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use demo::client::{Browser, Mode, Setup};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Gate, HOME, OUTSIDE, SAAS_HOST, eventually, run};

async fn staffed() -> (Gate, Browser) {
    let gate = Gate::usual().await;
    gate.add_staff("sato", &["staff"]);
    let sato = gate.signed_in("sato").await;
    (gate, sato)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Promise 5: none of our cookies and headers reach the SaaS, and nobody injects an identity, whatever the spelling.
#[test]
fn promise_5_the_saas_sees_neither_our_cookies_nor_smuggled_identities() {
    run(async {
        let (gate, mut sato) = staffed().await;
        for http2 in [false, true] {
            let cookies = sato.cookies("hidamari.gw.localhost");
            assert!(cookies.contains("__Host-sekisho="));
            let mut browser = if http2 { gate.browser_h2(HOME) } else { gate.browser(HOME) };
            let sent = headers(&[
                ("cookie", &format!("mine=1; {cookies}; other=2")),
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-user", "admin"),
                ("forwarded", "for=6.6.6.6"),
                ("x-real-ip", "6.6.6.6"),
                ("remote_user", "admin"),
                ("x_forwarded_for", "6.6.6.6"),
                ("remote-user", "admin"),
                ("sekisho-person", "admin"),
                ("x-sekisho-person", "admin"),
                ("x-kept", "kept"),
            ]);
            let answer = browser.send(Method::GET, &gate.url("/echo"), Mode::Fetch, sent, Bytes::new()).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            let seen = answer.text().to_ascii_lowercase();
            for never in ["sekisho", "6.6.6.6", "admin", "gw.localhost"] {
                assert!(!seen.contains(never), "{never} reached the SaaS: {seen}");
            }
            assert!(seen.contains("mine=1") && seen.contains("other=2") && seen.contains("kept"), "{seen}");
            assert!(seen.contains(SAAS_HOST));
        }
        let _ = sato.open(&gate.url("/echo")).await;
    });
}

#[test]
fn origin_and_referer_name_the_saas() {
    run(async {
        let (gate, mut sato) = staffed().await;
        let sent = headers(&[
            ("origin", &gate.url("")),
            ("referer", &gate.url("/residents?x=1")),
            ("content-type", "application/x-www-form-urlencoded"),
        ]);
        let answer =
            sato.send(Method::POST, &gate.url("/echo"), Mode::Fetch, sent, Bytes::from_static(b"a=b")).await.unwrap();
        let seen = answer.text();
        let saas = format!("https://{SAAS_HOST}:{}", gate.saas.port());
        assert!(seen.contains(&format!("{saas}/residents?x=1")), "{seen}");
        assert!(!seen.contains("gw.localhost"), "{seen}");
    });
}

#[test]
fn a_page_of_another_site_can_do_nothing_here() {
    run(async {
        let (gate, mut sato) = staffed().await;
        for origin in ["https://evil.example", "https://other.gw.localhost", "null"] {
            let sent = headers(&[("origin", origin), ("content-type", "application/x-www-form-urlencoded")]);
            let answer = sato
                .send(Method::POST, &gate.url("/echo"), Mode::Bare, sent, Bytes::from_static(b"a=b"))
                .await
                .unwrap();
            assert_eq!(answer.status, 403, "{origin}");
            gate.recorded("cross-site").await;
        }
    });
}

fn preflight(origin: &str) -> HeaderMap {
    headers(&[("origin", origin), ("access-control-request-method", "PUT"), ("access-control-request-headers", "x-a")])
}

#[test]
fn a_preflight_of_an_own_page_reaches_the_saas_bare_and_recorded() {
    run(async {
        let gate = Gate::usual().await;
        for (http2, from) in [(false, OUTSIDE), (true, OUTSIDE), (false, HOME)] {
            let mut browser = Browser::new(Setup { http2, ..gate.setup(from) });
            let mut sent = preflight(&gate.assets_url(""));
            sent.extend(headers(&[
                ("x-api-key", "smuggled"),
                ("x-forwarded-user", "smuggled"),
                ("referer", "smuggled"),
            ]));
            let url = gate.url("/echo");
            let answer = browser.send(Method::OPTIONS, &url, Mode::Bare, sent, Bytes::new()).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            let seen = answer.json();
            assert_eq!(seen["method"], "OPTIONS");
            assert_eq!(seen["body_bytes"], 0);
            let arrived: BTreeMap<_, _> = seen["headers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|h| (h[0].as_str().unwrap().to_owned(), h[1].as_str().unwrap().to_owned()))
                .collect();
            let saas = format!("{SAAS_HOST}:{}", gate.saas.port());
            assert_eq!(arrived["origin"], format!("https://assets.{saas}"));
            assert_eq!(arrived["access-control-request-method"], "PUT");
            assert_eq!(arrived["access-control-request-headers"], "x-a");
            let asked = ["origin", "access-control-request-method", "access-control-request-headers"];
            let usual = ["host", "accept", "user-agent"];
            let more: Vec<_> =
                arrived.keys().filter(|n| !asked.contains(&n.as_str()) && !usual.contains(&n.as_str())).collect();
            assert!(more.is_empty(), "{more:?} went with it");

            let record = gate.recorded("preflight").await;
            assert_eq!((&record["decision"], &record["method"]), (&"permit".into(), &"OPTIONS".into()));
            assert_eq!((&record["person"], &record["session"]), (&Value::Null, &Value::Null));
        }
        assert_eq!(gate.requests(&[]).iter().filter(|r| r["reason"] == "preflight").count(), 3);
    });
}

#[test]
fn a_preflight_of_a_foreign_page_or_with_credentials_is_none() {
    run(async {
        let gate = Gate::usual().await;
        let mut browser = gate.browser(OUTSIDE);
        for origin in ["https://evil.example", "https://other.gw.localhost", "null"] {
            let answer =
                browser.send(Method::OPTIONS, &gate.url("/echo"), Mode::Bare, preflight(origin), Bytes::new()).await;
            assert_eq!(answer.unwrap().status, 403, "{origin}");
            assert_eq!(gate.recorded("cross-site").await["method"], "OPTIONS");
        }
        for (name, value) in [("cookie", "a=b"), ("authorization", "Basic YTpi")] {
            let mut sent = preflight(&gate.url(""));
            sent.extend(headers(&[(name, value)]));
            let answer = browser.send(Method::OPTIONS, &gate.url("/echo"), Mode::Bare, sent, Bytes::new()).await;
            assert_eq!(answer.unwrap().status, 403, "{name}");
        }
        assert_eq!(gate.saas.handle.seen_total(), 0);
    });
}

/// Promise 1: a preflight of a stranger does not leave without a record of its own, nor fill the disk with them.
#[test]
fn promise_1_a_flood_of_preflights_is_counted_and_goes_nowhere() {
    run(async {
        let gate = Gate::usual().await;
        let ask = async |browser: &mut Browser, origin: String| {
            let url = gate.url("/echo");
            let answer =
                browser.send(Method::OPTIONS, &url, Mode::Bare, preflight(&origin), Bytes::new()).await.unwrap();
            answer.status.as_u16()
        };
        let mut stranger = gate.browser_h2(OUTSIDE);
        let flood = 200;
        let mut passed = 0;
        for _ in 0..flood {
            match ask(&mut stranger, gate.url("")).await {
                200 => passed += 1,
                status => assert_eq!(status, 429),
            }
        }
        // 30 a minute, and a minute may begin meanwhile.
        assert!((30..=60).contains(&passed), "{passed}");
        assert_eq!(gate.saas.handle.seen_total(), passed);
        let records = gate.requests(&[]);
        assert_eq!(records.iter().filter(|r| r["reason"] == "preflight").count() as u64, passed);
        assert_eq!(records.len() as u64, passed, "what was counted was recorded as well");
        let counted = (flood - passed) as f64;
        assert_eq!(gate.metric("sekisho_aggregated_total").await, counted);
        let of = |decision, reason| {
            format!("sekisho_requests_total{{app=\"hidamari\",decision=\"{decision}\",reason=\"{reason}\"}}")
        };
        assert_eq!(gate.metric(&of("permit", "preflight")).await, passed as f64);
        assert_eq!(gate.metric(&of("deny", "too-many")).await, counted);

        // Those of a facility, where many people share an address and preflights bear no name, are not held up.
        let mut inside = gate.browser_h2(HOME);
        for _ in 0..100 {
            assert_eq!(ask(&mut inside, gate.url("")).await, 200);
        }
    });
}

#[test]
fn redirects_and_cookies_of_the_saas_are_ours_to_follow() {
    run(async {
        let gate = Gate::builder()
            .saas(demo::Options { links: demo::Links::Absolute, ..demo::Options::default() })
            .start()
            .await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        // Not logged in to the SaaS: it redirects to its own login by an absolute address.
        let asked = sato
            .send(Method::GET, &gate.url("/residents"), Mode::Navigate, HeaderMap::new(), Bytes::new())
            .await
            .unwrap();
        assert!(asked.status.is_redirection(), "{}", asked.status);
        let location = asked.headers["location"].to_str().unwrap();
        assert!(location.starts_with(&gate.url("/login")) || location.starts_with("/login"), "{location}");
        // Its login sets a session cookie and one with a Domain; both come back to it.
        let home =
            sato.submit(&gate.url("/login"), &[("login_id", "sato"), ("password", "Himawari-2026")]).await.unwrap();
        assert_eq!(home.status, 200);
        let list = sato.open(&gate.url("/residents")).await.unwrap();
        assert_eq!(list.status, 200, "{}", list.url);
    });
}

/// Promise 5: a SaaS sets none of our cookies.
#[test]
fn promise_5_a_saas_can_set_none_of_our_cookies() {
    run(async {
        let (gate, mut sato) = staffed().await;
        let before = sato.cookies("hidamari.gw.localhost");
        let url = gate.url(
            "/reply?header=set-cookie:__Host-sekisho%3Dstolen%3B%20Path%3D%2F%3B%20Secure&header=set-cookie:fine%3D1",
        );
        let answer = sato.send(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
        let set: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
        assert!(set.iter().all(|c| !c.to_ascii_lowercase().contains("sekisho")), "{set:?}");
        assert!(set.iter().any(|c| c.starts_with("fine=1")), "the probe did not work: {set:?} {}", answer.text());
        assert!(sato.cookies("hidamari.gw.localhost").contains(&before));
    });
}

#[test]
fn uploads_and_downloads_of_any_size_pass_in_flat_memory() {
    run(async {
        let (gate, mut sato) = staffed().await;
        sato.submit(&gate.url("/login"), &[("login_id", "sato"), ("password", "Himawari-2026")]).await.unwrap();
        let before = resident(gate.pid());
        let bytes = 200 << 20;
        let (head, mut body) = sato
            .stream(Method::GET, &gate.url(&format!("/big?bytes={bytes}")), Mode::Fetch, HeaderMap::new(), Bytes::new())
            .await
            .unwrap();
        assert_eq!(head.status, 200);
        let mut received = 0usize;
        while let Some(frame) = body.frame().await {
            received += frame.unwrap().into_data().map_or(0, |d| d.len());
        }
        assert_eq!(received, bytes);

        let upload = Bytes::from(vec![7u8; 64 << 20]);
        let sent = headers(&[("content-type", "application/octet-stream")]);
        let answer = sato.send(Method::POST, &gate.url("/echo"), Mode::Fetch, sent, upload).await.unwrap();
        assert!(answer.status.is_success() || answer.status.is_client_error(), "{}", answer.status);
        let grown = resident(gate.pid()).saturating_sub(before);
        assert!(grown < 64 << 10, "the gate grew by {grown} KiB");

        let big = eventually("the outcome is written", async || {
            let all = gate.requests(&["--person", "sato"]);
            all.into_iter().rfind(|r| r["path"].as_str().unwrap().starts_with("/big") && r["outcome"].is_object())
        })
        .await;
        assert_eq!(big["outcome"]["bytes_out"], bytes);
        assert_eq!(big["outcome"]["end"], "ok");
    });
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_download_is_judged_by_the_responses_head() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["staff", "visiting-nurses"]);
        let (_, phone) = gate.issue_device("suzuki");
        for http2 in [false, true] {
            let mut outside = gate.signed_in_outside("suzuki", phone.clone(), http2).await;
            outside.submit(&gate.url("/login"), &[("login_id", "suzuki"), ("password", "Asagao-2026")]).await.unwrap();
            let export = outside.open(&gate.url("/residents/export")).await.unwrap();
            assert_eq!(export.status, 403);
            assert!(!export.text().contains("203"), "some of the export came through");
            let last = eventually("the outcome is written", async || {
                gate.requests(&["--person", "suzuki"]).pop().filter(|r| r["outcome"]["end"] == "denied-response")
            })
            .await;
            assert_eq!(last["outcome"]["action"], "download");
            // In the facility it would be allowed, so that is what she is told.
            assert_eq!(last["outcome"]["reason"], "unknown-network");
        }
        let refused = "sekisho_refused_responses_total{app=\"hidamari\",reason=\"unknown-network\"}";
        assert_eq!(gate.metric(refused).await, 2.0);
        let mut inside = gate.signed_in("suzuki").await;
        inside.submit(&gate.url("/login"), &[("login_id", "suzuki"), ("password", "Asagao-2026")]).await.unwrap();
        let export = inside.open(&gate.url("/residents/export")).await.unwrap();
        assert_eq!(export.status, 200);
    });
}

#[test]
fn websockets_and_event_streams_pass_both_ways() {
    run(async {
        let (gate, mut sato) = staffed().await;
        sato.submit(&gate.url("/login"), &[("login_id", "sato"), ("password", "Himawari-2026")]).await.unwrap();
        let mut socket = sato.websocket(&gate.url("/notices/ws").replacen("https", "wss", 1)).await.unwrap();
        socket.send(Message::text("{\"text\":\"おはようございます\"}")).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let message = socket.next().await.unwrap().unwrap();
                if message.to_text().is_ok_and(|t| t.contains("おはようございます")) {
                    return;
                }
            }
        });
        assert!(heard.await.is_ok(), "the WebSocket stayed silent");
        let accept = headers(&[("accept", "text/event-stream")]);
        let (head, mut events) =
            sato.stream(Method::GET, &gate.url("/sensors/events"), Mode::Fetch, accept, Bytes::new()).await.unwrap();
        assert_eq!(head.headers["content-type"], "text/event-stream");
        assert!(events.frame().await.unwrap().is_ok());
    });
}

#[test]
fn a_saas_that_is_down_gives_a_page_with_a_code_and_a_record() {
    run(async {
        let gone = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let gate = Gate::builder().upstream_port(gone).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let page = crate::harness::sign_in(&mut sato, &gate.url("/residents"), "sato", crate::harness::PASSWORD).await;
        assert_eq!(page.status, 502);
        let record = eventually("the outcome is written", async || {
            gate.requests(&["--person", "sato"]).pop().filter(|r| r["outcome"]["status"] == 502)
        })
        .await;
        assert_eq!(record["outcome"]["end"], "upstream-failed");
        assert!(gate.metric("sekisho_upstream_failures_total{app=\"hidamari\"}").await >= 1.0);
        // The code on the page leads to the record.
        let text = page.text();
        let code = text.split(|c: char| c.is_whitespace() || c == '<' || c == '>').find(|word| {
            let (boot, rest) = word.split_once('-').unwrap_or(("", ""));
            !boot.is_empty()
                && rest.len() >= 4
                && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-')
        });
        let found = gate.requests(&["--code", code.expect("no code on the page")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["seq"], record["seq"]);
    });
}

#[test]
fn a_saas_with_a_certificate_of_somebody_else_is_not_spoken_to() {
    run(async {
        let (gate, mut sato) = staffed().await;
        let (other_root, ..) = crate::harness::certificate(&["somebody.else"]);
        std::fs::write(gate.path("saas-root.pem"), other_root).unwrap();
        assert!(gate.cli(&["reload"]).status.success());
        let before = gate.saas.handle.seen().len();
        // A connection from before the reload may still be pooled for the old roots; new ones must fail.
        let answer = eventually("the SaaS is not trusted any more", async || {
            let answer =
                sato.send(Method::GET, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
            (answer.status == 502).then_some(answer)
        })
        .await;
        assert_eq!(answer.json()["error"], "upstream-failed");
        assert!(gate.saas.handle.seen().len() <= before + 1);
    });
}
