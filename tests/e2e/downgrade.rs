//! HTTP/2 that becomes HTTP/1.1 on its way to the SaaS: whatever has a meaning there and none here (RFC 9113, 8.2 and
//! 8.3; 10.3 says what comes of it) is refused, or reaches the SaaS as exactly one request.

use std::collections::HashSet;

use futures_util::future::join_all;

use crate::attack::ambiguous;
use crate::harness::h2::{Answered, CONTINUATION, DATA, END_HEADERS, END_STREAM, H2, HEADERS, block, frame, settings};
use crate::harness::{Answer, Gate, HOME, RawSaas, SAAS_HOST, eventually, run, sign_in};

type Fields = Vec<(String, String)>;

struct Case {
    name: String,
    fields: Fields,
    /// Sent behind the head, which then doesn't end the stream.
    body: Option<Vec<u8>>,
    passes: Passes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passes {
    Yes,
    No,
    /// As one request that reads one way.
    AsOne,
}

fn usual(name: &str, host: &str, cookie: &str) -> Fields {
    [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", host),
        (":path", &format!("/h2/{name}")),
        ("cookie", cookie),
    ]
    .map(|(n, v)| (n.to_owned(), v.to_owned()))
    .into()
}

fn cases(host: &str, cookie: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name: &str, passes, change: &dyn Fn(&mut Fields), body: Option<&[u8]>| {
        let mut fields = usual(name, host, cookie);
        change(&mut fields);
        cases.push(Case { name: name.to_owned(), fields, body: body.map(<[u8]>::to_vec), passes });
    };
    let set = |fields: &mut Fields, name: &str, value: &str| {
        fields.iter_mut().find(|(n, _)| n == name).unwrap().1 = value.to_owned();
    };
    let add = |fields: &mut Fields, name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));

    case("control", Passes::Yes, &|_| {}, None);
    case("control-post", Passes::Yes, &|f| set(f, ":method", "POST"), Some(b"hello"));
    case(
        "control-length",
        Passes::Yes,
        &|f| {
            set(f, ":method", "POST");
            add(f, "content-length", "5");
        },
        Some(b"hello"),
    );

    // Connection-specific fields (8.2.2) and other ways to say where a request ends.
    let smuggled = format!("0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (number, (name, value)) in [
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "keep-alive"),
        ("connection", "transfer-encoding"),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, chunked"),
    ]
    .into_iter()
    .enumerate()
    {
        let change = |f: &mut Fields| {
            set(f, ":method", "POST");
            add(f, name, value);
        };
        case(&format!("connection-field-{number}"), Passes::AsOne, &change, Some(smuggled.as_bytes()));
    }
    case("te-trailers", Passes::AsOne, &|f| add(f, "te", "trailers"), None);
    case("http2-settings", Passes::AsOne, &|f| add(f, "http2-settings", "AAMAAABk"), None);

    // Lengths (8.1.1).
    for (number, length) in
        ["0", "3", "500", "5, 5", "5, 6", "+5", "-5", " 5", "0x5", "5\u{b}", "", "99999999999999999999"]
            .into_iter()
            .enumerate()
    {
        let change = |f: &mut Fields| {
            set(f, ":method", "POST");
            add(f, "content-length", length);
        };
        case(&format!("length-{number}"), Passes::AsOne, &change, Some(b"hello"));
    }
    case(
        "length-twice",
        Passes::AsOne,
        &|f| {
            set(f, ":method", "POST");
            add(f, "content-length", "5");
            add(f, "content-length", "6");
        },
        Some(b"hello"),
    );
    case("length-on-get", Passes::AsOne, &|f| add(f, "content-length", "47"), None);

    // Lines within a value or a name (8.2.1).
    for (number, text) in
        ["a\r\nx-evil: 1", "a\nx-evil: 1", "a\rx-evil: 1", "a\0b", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"]
            .into_iter()
            .enumerate()
    {
        case(&format!("value-{number}"), Passes::No, &|f| add(f, "x-value", text), None);
        case(&format!("name-{number}"), Passes::No, &|f| add(f, text, "x"), None);
        case(&format!("path-{number}"), Passes::No, &|f| set(f, ":path", &format!("/h2/{text}")), None);
        case(&format!("method-{number}"), Passes::No, &|f| set(f, ":method", &format!("GET {text}")), None);
        case(&format!("authority-{number}"), Passes::No, &|f| set(f, ":authority", &format!("{host}{text}")), None);
        case(&format!("cookie-{number}"), Passes::No, &|f| add(f, "cookie", text), None);
    }
    for (number, name) in ["X-Upper", "x y", "x:y", "", "x\t", "x\u{7f}", ":x", "x\u{e9}"].into_iter().enumerate() {
        case(&format!("odd-name-{number}"), Passes::No, &|f| add(f, name, "y"), None);
    }

    // Pseudo-header fields (8.3).
    for missing in [":method", ":scheme", ":path"] {
        case(&format!("without{}", missing.replace(':', "-")), Passes::No, &|f| f.retain(|(n, _)| n != missing), None);
    }
    for twice in [":method", ":scheme", ":path", ":authority"] {
        let change =
            |f: &mut Fields| f.insert(0, (twice.to_owned(), if twice == ":method" { "POST" } else { "/x" }.to_owned()));
        case(&format!("twice{}", twice.replace(':', "-")), Passes::No, &change, None);
    }
    case("late-pseudo", Passes::No, &|f| add(f, ":path", "/h2/other"), None);
    case(
        "pseudo-behind",
        Passes::No,
        &|f| {
            let path = f.remove(3);
            f.push(path);
        },
        None,
    );
    case("status", Passes::No, &|f| f.insert(0, (":status".to_owned(), "200".to_owned())), None);
    case(
        "protocol",
        Passes::No,
        &|f| {
            set(f, ":method", "CONNECT");
            f.insert(0, (":protocol".to_owned(), "websocket".to_owned()));
        },
        None,
    );
    case(
        "connect",
        Passes::No,
        &|f| {
            set(f, ":method", "CONNECT");
            f.retain(|(n, _)| n != ":scheme" && n != ":path");
        },
        None,
    );
    case("scheme-http", Passes::AsOne, &|f| set(f, ":scheme", "http"), None);
    case("scheme-file", Passes::AsOne, &|f| set(f, ":scheme", "file"), None);
    case("scheme-tricks", Passes::No, &|f| set(f, ":scheme", "https://evil.example/?"), None);
    case("method-empty", Passes::No, &|f| set(f, ":method", ""), None);
    case("method-lower", Passes::AsOne, &|f| set(f, ":method", "get"), None);
    case("path-empty", Passes::No, &|f| set(f, ":path", ""), None);
    case("path-absolute", Passes::No, &|f| set(f, ":path", "https://evil.example/h2/path-absolute"), None);
    case("path-relative", Passes::No, &|f| set(f, ":path", "h2/path-relative"), None);
    case("path-two-slashes", Passes::No, &|f| set(f, ":path", "//evil.example/h2/path-two-slashes"), None);
    case("path-blank", Passes::No, &|f| set(f, ":path", "/h2/path-blank HTTP/1.1"), None);
    case("path-fragment", Passes::AsOne, &|f| set(f, ":path", "/h2/path-fragment#x"), None);
    case("path-asterisk", Passes::AsOne, &|f| set(f, ":path", "*"), None);

    // Whom it is for (8.3.1).
    case(
        "host-only",
        Passes::AsOne,
        &|f| {
            f.retain(|(n, _)| n != ":authority");
            add(f, "host", host);
        },
        None,
    );
    case("host-same", Passes::AsOne, &|f| add(f, "host", host), None);
    case("host-other", Passes::No, &|f| add(f, "host", "evil.example"), None);
    case("host-other-app", Passes::No, &|f| add(f, "host", "login.gw.localhost"), None);
    case(
        "host-twice",
        Passes::No,
        &|f| {
            add(f, "host", host);
            add(f, "host", "evil.example");
        },
        None,
    );
    case("host-none", Passes::No, &|f| f.retain(|(n, _)| n != ":authority"), None);
    case("authority-user", Passes::No, &|f| set(f, ":authority", &format!("user@{host}")), None);
    case("authority-foreign", Passes::No, &|f| set(f, ":authority", "evil.example"), None);
    case("authority-login", Passes::No, &|f| set(f, ":authority", "login.gw.localhost"), None);
    case("authority-list", Passes::No, &|f| set(f, ":authority", &format!("{host},evil.example")), None);
    case("authority-empty", Passes::No, &|f| set(f, ":authority", ""), None);
    cases
}

#[test]
fn no_http_2_makes_one_request_here_and_two_at_the_saas() {
    run(async {
        let saas = RawSaas::start(|_| Answer::fine()).await;
        let limits = "head: 2s, idle: 4s, body_stall: 1s";
        let gate = Gate::builder().upstream(&saas).limits(limits).app(&["timeouts: { response: 5s }"]).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        sign_in(&mut sato, &gate.url("/fine"), "sato", crate::harness::PASSWORD).await;
        let host = format!("hidamari.gw.localhost:{}", gate.port);
        let cookie = sato.cookies("hidamari.gw.localhost");
        let cases = cases(&host, &cookie);
        let names: HashSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len(), "two cases have one name");

        let send = async |case: &Case| {
            let mut wire = H2::open(&gate.browser(HOME), "hidamari.gw.localhost", &[]).await;
            let fields: Vec<(&str, &str)> = case.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let end = if case.body.is_none() { END_STREAM } else { 0 };
            let mut bytes = frame(HEADERS, END_HEADERS | end, 1, &block(&fields));
            if let Some(body) = &case.body {
                bytes.extend(frame(DATA, END_STREAM, 1, body));
            }
            // The gate may hang up while it is still being sent.
            wire.send(&bytes).await;
            let answered = wire.answer(1).await;
            // One stream's malformed request is nobody else's business (10.3), unless the connection is over.
            if matches!(answered, Answered::Reset(_) | Answered::Status(_)) {
                let control = usual("sibling", &host, &cookie);
                let fields: Vec<(&str, &str)> = control.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                wire.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&fields))).await;
                assert_eq!(wire.answer(3).await, Answered::Status(0x88), "behind {}", case.name);
            }
            answered
        };
        let answers = join_all(cases.iter().map(send)).await;

        let heard = saas.heard();
        let authority = format!("{SAAS_HOST}:{}", saas.port);
        let recorded: Vec<String> =
            gate.requests(&["--app", "hidamari"]).iter().map(|r| r["path"].as_str().unwrap().to_owned()).collect();
        let mut wrong = Vec::new();
        for one in &heard {
            if let Some(why) = ambiguous(one, &authority) {
                wrong.push(format!("{why}: {:?} {:?}", one.head, String::from_utf8_lossy(&one.body)));
            }
            if one.head.contains("evil") || one.head.contains("smuggled") {
                wrong.push(format!("reached the SaaS: {:?}", one.head));
            }
        }
        for (case, answered) in cases.iter().zip(&answers) {
            let path = format!("/h2/{}", case.name);
            let of_case = heard.iter().filter(|one| one.target().split(['?', '#']).next() == Some(&path)).count();
            println!("{:<24} {answered:?} {of_case}", case.name);
            let expected = match case.passes {
                Passes::Yes => of_case == 1 && *answered == Answered::Status(0x88),
                Passes::No => of_case == 0 && *answered != Answered::Status(0x88),
                Passes::AsOne => of_case <= 1,
            };
            if !expected {
                wrong.push(format!("{}: {answered:?}, {of_case} reached the SaaS", case.name));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));

        // What stands in no record is counted at least.
        let judged = |case: &Case| recorded.iter().any(|path| *path == format!("/h2/{}", case.name));
        let unseen = cases.iter().filter(|case| case.passes == Passes::No && !judged(case)).count();
        let refused = async |least: usize| {
            eventually("refusals are counted", async || {
                let refused = gate.metric("sekisho_refused_before_request_total").await
                    + gate.metric("sekisho_aggregated_total").await
                    + gate.requests(&["--decision", "deny"]).len() as f64;
                (refused >= least as f64).then_some(())
            })
            .await;
        };
        refused(unseen).await;
    });
}

#[test]
fn a_head_in_many_frames_is_one_request_and_one_without_end_is_none() {
    run(async {
        let saas = RawSaas::start(|_| Answer::fine()).await;
        let gate = Gate::builder().upstream(&saas).limits("idle: 1s").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        sign_in(&mut sato, &gate.url("/fine"), "sato", crate::harness::PASSWORD).await;
        let host = format!("hidamari.gw.localhost:{}", gate.port);
        let cookie = sato.cookies("hidamari.gw.localhost");
        let fields = usual("split", &host, &cookie);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let whole = block(&fields);
        let mut wire = H2::open(&gate.browser(HOME), "hidamari.gw.localhost", &[]).await;
        let pieces: Vec<&[u8]> = whole.chunks(7).collect();
        let mut bytes = frame(HEADERS, END_STREAM, 1, pieces[0]);
        for (at, piece) in pieces.iter().enumerate().skip(1) {
            bytes.extend(frame(CONTINUATION, if at + 1 == pieces.len() { END_HEADERS } else { 0 }, 1, piece));
        }
        wire.send(&bytes).await;
        // As many as this are taken for a flood (CVE-2024-27316).
        let answered = wire.answer(1).await;
        assert!(matches!(answered, Answered::Status(0x88) | Answered::GoAway(11)), "{answered:?}");

        // Settings between the frames of one head end the connection (6.10).
        let mut wire = H2::open(&gate.browser(HOME), "hidamari.gw.localhost", &[]).await;
        wire.send(&[frame(HEADERS, END_STREAM, 1, pieces[0]), settings(&[])].concat()).await;
        assert!(matches!(wire.answer(1).await, Answered::GoAway(_) | Answered::Closed));

        let mut wire = H2::open(&gate.browser(HOME), "hidamari.gw.localhost", &[]).await;
        wire.send(&frame(HEADERS, END_STREAM, 1, pieces[0])).await;
        wire.closed().await;
        let split = saas.heard_of("/h2/split").len();
        assert_eq!(split, usize::from(answered == Answered::Status(0x88)));
    });
}
