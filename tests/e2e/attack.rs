//! Request smuggling: two servers that take the same bytes for different requests. Raw bytes go in; in front of them
//! stands the real gate, and behind it a SaaS that keeps every byte it gets.

use std::collections::HashSet;

use bytes::Bytes;
use demo::client::Mode;
use futures_util::StreamExt as _;
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Answer, Gate, HOME, Heard, RawSaas, SAAS_HOST, run};

/// What no SaaS may take for a request. It bears no cookie, so the gate never passes it on for what it is.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n";

/// Bytes for the gate: HOST stands for its authority, COOKIE for the session's, SIZE for the body's length, CHUNK for the
/// length of what is smuggled, TARGET for the case's path.
struct Case {
    name: String,
    bytes: String,
}

/// A POST with these further header lines.
fn post(name: &str, lines: &str, body: &str) -> Case {
    let (lines, body) = (lines.replace("SMUGGLED", SMUGGLED), body.replace("SMUGGLED", SMUGGLED));
    Case { name: name.to_owned(), bytes: format!("POST TARGET HTTP/1.1\r\nHost: HOST\r\nCOOKIE\r\n{lines}\r\n{body}") }
}

/// Bytes as they are.
fn raw(name: &str, bytes: &str) -> Case {
    Case { name: name.to_owned(), bytes: bytes.replace("SMUGGLED", SMUGGLED) }
}

fn framing() -> Vec<Case> {
    let hidden = "0\r\n\r\nSMUGGLED";
    let mut cases = vec![
        post("cl-te", "Content-Length: SIZE\r\nTransfer-Encoding: chunked\r\n", hidden),
        post("te-cl", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "CHUNK\r\nSMUGGLED\r\n0\r\n\r\n"),
        post("te-te", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", hidden),
        post("te-te-reversed", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", hidden),
        post("te-twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", hidden),
        post(
            "te-cow-after",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\nContent-Length: SIZE\r\n",
            hidden,
        ),
        post("te-nominated", "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", hidden),
        post("cl-nominated", "Connection: content-length\r\nContent-Length: SIZE\r\n", "SMUGGLED"),
        raw(
            "te-http-1-0",
            &format!("POST TARGET HTTP/1.0\r\nHost: HOST\r\nCOOKIE\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}"),
        ),
        raw("get-with-body", "GET TARGET HTTP/1.1\r\nHost: HOST\r\nCOOKIE\r\nContent-Length: SIZE\r\n\r\nSMUGGLED"),
        raw(
            "get-chunked",
            &format!("GET TARGET HTTP/1.1\r\nHost: HOST\r\nCOOKIE\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}"),
        ),
        post("expect", "Expect: 100-continue\r\nContent-Length: 5\r\n", "helloSMUGGLED"),
        post(
            "h2c",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n",
            "helloSMUGGLED",
        ),
        post("websocket", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", "helloSMUGGLED"),
    ];
    let spellings = [
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "xchunked",
        "chunkedx",
        "chunked,",
        ",chunked",
        "\tchunked",
        "chunked\t",
        "\u{b}chunked",
        "chunked\u{b}",
        "\"chunked\"",
        "chunked;q=1",
        "CHUNKED",
        "chunked chunked",
        "identity",
        "",
    ];
    for (number, spelling) in spellings.into_iter().enumerate() {
        let line = format!("Transfer-Encoding: {spelling}\r\n");
        cases.push(post(&format!("te-spelling-{number}"), &line, hidden));
        cases.push(post(&format!("te-spelling-cl-{number}"), &format!("{line}Content-Length: SIZE\r\n"), hidden));
    }
    let names = [
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "X: \0\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding\0: chunked\r\n",
        "\u{b}Transfer-Encoding: chunked\r\n",
        "Transfer-\u{212a}ncoding: chunked\r\n",
        ": x\r\nTransfer-Encoding: chunked\r\n",
        "X\r\nTransfer-Encoding: chunked\r\n",
    ];
    for (number, line) in names.into_iter().enumerate() {
        cases.push(post(&format!("te-name-{number}"), &format!("{line}Content-Length: SIZE\r\n"), hidden));
    }
    let lengths = [
        "5\r\nContent-Length: 5",
        "0\r\nContent-Length: SIZE",
        "SIZE\r\nContent-Length: 0",
        "+5",
        "-5",
        "5, 5",
        "5, SIZE",
        "0x5",
        "5 5",
        "05",
        "5e0",
        "18446744073709551621",
        "",
        "5\u{b}",
        "5;",
        "5\r\n ",
        "0\r\n 5",
        "5\nContent-Length: 0",
        "5\rX: y",
    ];
    for (number, length) in lengths.into_iter().enumerate() {
        cases.push(post(&format!("cl-{number}"), &format!("Content-Length: {length}\r\n"), "helloSMUGGLED"));
    }
    cases
}

fn chunks() -> Vec<Case> {
    let bodies = [
        ("extension", "5;a=b\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("extension-quoted", "5;a=\"\r\n\r\n0\r\n\r\nSMUGGLED\"\r\nhello\r\n0\r\n\r\n"),
        ("extension-lf", "5;a\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("extension-cr", "5;a\rhello\r\n0\r\n\r\nSMUGGLED"),
        ("lf", "5\nhello\n0\n\nSMUGGLED"),
        ("blank-behind", "5 \r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("blank-before", " 5\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("hex", "0x5\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("signed", "+5\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("negative", "-5\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("zeros", "00000000000000000000000000000005\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("overflow", "10000000000000005\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("huge", "ffffffffffffffff\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("huge-signed", "7fffffffffffffff\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("no-size", "\r\nhello\r\n0\r\n\r\nSMUGGLED"),
        ("not-terminated", "5\r\nhelloXX0\r\n\r\nSMUGGLED"),
        ("terminated-lf", "5\r\nhello\n0\r\n\r\nSMUGGLED"),
        ("too-long", "5\r\nhello hello\r\n0\r\n\r\nSMUGGLED"),
        ("zero-and-data", "0\r\nhello\r\n\r\nSMUGGLED"),
        ("many-zeros", "5\r\nhello\r\n000\r\n\r\nSMUGGLED"),
        ("trailers", "5\r\nhello\r\n0\r\nContent-Length: 47\r\nHost: evil.example\r\n\r\nSMUGGLED"),
        ("trailer-lf", "5\r\nhello\r\n0\r\nX: y\n\r\nSMUGGLED"),
        ("last-lf", "5\r\nhello\r\n0\r\n\nSMUGGLED"),
    ];
    bodies.map(|(name, body)| post(&format!("chunk-{name}"), "Transfer-Encoding: chunked\r\n", body)).into()
}

fn lines() -> Vec<Case> {
    let get = |name: &str, line: &str, more: &str| {
        raw(name, &format!("{line}\r\nHost: HOST\r\nCOOKIE\r\n{more}\r\nSMUGGLED"))
    };
    vec![
        raw("bare-lf", "GET TARGET HTTP/1.1\nHost: HOST\nCOOKIE\n\nSMUGGLED"),
        raw("bare-cr", "GET TARGET HTTP/1.1\rHost: HOST\rCOOKIE\r\rSMUGGLED"),
        raw("half-empty-line", "GET TARGET HTTP/1.1\r\nHost: HOST\r\nCOOKIE\r\n\nSMUGGLED"),
        get("obs-fold", "GET TARGET HTTP/1.1", "X-A: b\r\n c\r\n"),
        get("obs-fold-tab", "GET TARGET HTTP/1.1", "X-A: b\r\n\tContent-Length: 47\r\n"),
        get("value-lf", "GET TARGET HTTP/1.1", "X-A: b\nContent-Length: 47\r\n"),
        get("value-nul", "GET TARGET HTTP/1.1", "X-A: b\0c\r\n"),
        get("two-blanks", "GET  TARGET  HTTP/1.1", ""),
        get("tabs", "GET\tTARGET\tHTTP/1.1", ""),
        get("version-twice", "GET TARGET HTTP/1.1 HTTP/1.1", ""),
        get("version-2", "GET TARGET HTTP/2.0", ""),
        get("version-1-2", "GET TARGET HTTP/1.2", ""),
        get("version-lower", "GET TARGET http/1.1", ""),
        get("no-version", "GET TARGET", ""),
        get("method-odd", "G\u{b}ET TARGET HTTP/1.1", ""),
        get("fragment", "GET TARGET#x HTTP/1.1", ""),
        get("blank-in-target", "GET TARGET x HTTP/1.1", ""),
        get("absolute-own", "GET https://HOSTTARGET HTTP/1.1", ""),
        get("absolute-ticket", "GET https://HOST/.sekisho/ticket?ticket=TARGET HTTP/1.1", ""),
        get("absolute-own-upper", "GET HTTPS://HOSTTARGET HTTP/1.1", ""),
        get("absolute-http", "GET http://HOSTTARGET HTTP/1.1", ""),
        get("absolute-other-app", "GET https://other.gw.localhostTARGET HTTP/1.1", ""),
        get("absolute-login", "GET https://login.gw.localhostTARGET HTTP/1.1", ""),
        get("absolute-foreign", "GET http://evil.exampleTARGET HTTP/1.1", ""),
        get("absolute-user", "GET https://HOST@evil.exampleTARGET HTTP/1.1", ""),
        get("absolute-file", "GET file://HOSTTARGET HTTP/1.1", ""),
        get("two-slashes", "GET //evil.exampleTARGET HTTP/1.1", ""),
        get("no-slash", "GET evil.exampleTARGET HTTP/1.1", ""),
        get("connect", "CONNECT evil.example:443 HTTP/1.1", ""),
        get("asterisk", "OPTIONS * HTTP/1.1", ""),
        get("host-twice", "GET TARGET HTTP/1.1", "Host: HOST\r\n"),
        get("host-other", "GET TARGET HTTP/1.1", "Host: evil.example\r\n"),
        raw("host-other-first", "GET TARGET HTTP/1.1\r\nHost: evil.example\r\nHost: HOST\r\nCOOKIE\r\n\r\n"),
        raw("host-none", "GET TARGET HTTP/1.1\r\nCOOKIE\r\n\r\n"),
        raw("host-none-1-0", "GET TARGET HTTP/1.0\r\nCOOKIE\r\n\r\n"),
        raw("host-empty", "GET TARGET HTTP/1.1\r\nHost:\r\nCOOKIE\r\n\r\n"),
        raw("host-list", "GET TARGET HTTP/1.1\r\nHost: HOST, evil.example\r\nCOOKIE\r\n\r\n"),
        raw("host-user", "GET TARGET HTTP/1.1\r\nHost: HOST@evil.example\r\nCOOKIE\r\n\r\n"),
        raw("host-blank", "GET TARGET HTTP/1.1\r\nHost : HOST\r\nCOOKIE\r\n\r\n"),
        raw("host-folded", "GET TARGET HTTP/1.1\r\nHost:\r\n HOST\r\nCOOKIE\r\n\r\n"),
        raw("host-underscore", "GET TARGET HTTP/1.1\r\nHost: HOST\r\nX_Forwarded_Host: evil.example\r\nCOOKIE\r\n\r\n"),
    ]
}

/// Why two servers could read this in two ways; None: there is one way to read it.
pub(crate) fn ambiguous(heard: &Heard, authority: &str) -> Option<&'static str> {
    let head = heard.head.strip_suffix("\r\n\r\n");
    let Some(head) = head else { return Some("the head has no end") };
    let lines: Vec<&str> = head.split("\r\n").collect();
    if lines.iter().any(|line| line.contains(['\r', '\n', '\0', '\u{b}', '\u{fffd}'])) {
        return Some("a line within a line, or a byte that ends one elsewhere");
    }
    let parts: Vec<&str> = lines[0].split(' ').collect();
    let origin_form = parts.get(1).is_some_and(|target| target.starts_with('/') && !target.starts_with("//"));
    let of_all = parts[..] == ["OPTIONS", "*", "HTTP/1.1"];
    if !of_all && (parts.len() != 3 || !origin_form || parts[2] != "HTTP/1.1") {
        return Some("the request line");
    }
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^`|~".contains(c);
    if lines[1..].iter().any(|line| line.split_once(':').is_none_or(|(n, _)| n.is_empty() || !n.chars().all(token))) {
        return Some("a header's name");
    }
    if heard.values("host") != [authority] {
        return Some("the host");
    }
    match (&heard.values("content-length")[..], &heard.values("transfer-encoding")[..]) {
        ([], []) => None,
        ([length], []) if length.parse() == Ok(heard.body.len()) && !length.starts_with('+') => None,
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => None,
        // The gate gave it up on the way, and with it the connection.
        ([length], []) if length.parse().is_ok_and(|length: usize| length > heard.body.len()) => None,
        _ => Some("where it ends"),
    }
}

#[test]
fn no_bytes_make_one_request_here_and_two_at_the_saas() {
    run(async {
        let saas = RawSaas::start(|_| Answer::fine()).await;
        let limits = "handshake: 20s, head: 2s, idle: 2s, body_stall: 1s";
        let gate = Gate::builder().upstream(&saas).limits(limits).app(&["timeouts: { response: 5s }"]).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        crate::harness::sign_in(&mut sato, &gate.url("/fine"), "sato", crate::harness::PASSWORD).await;
        let host = format!("hidamari.gw.localhost:{}", gate.port);
        let cookie = format!("Cookie: {}", sato.cookies("hidamari.gw.localhost"));

        let mut cases = vec![
            // What must pass, so that it is known that the others could.
            post("control-length", "Content-Length: 5\r\n", "hello"),
            post("control-chunked", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            raw("control-get", "GET TARGET HTTP/1.1\r\nHost: HOST\r\nCOOKIE\r\n\r\nSMUGGLED"),
        ];
        cases.extend(framing().into_iter().chain(chunks()).chain(lines()));
        let names: HashSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len(), "two cases have one name");

        let send = async |case: &Case| {
            let target = format!("/c/{}", case.name);
            let bytes = case.bytes.replace("HOST", &host).replace("COOKIE", &cookie).replace("TARGET", &target);
            let body = bytes.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
            let chunk = SMUGGLED.replace("HOST", &host).len();
            let bytes = bytes.replace("SIZE", &body.to_string()).replace("CHUNK", &format!("{chunk:x}"));
            let mut stream = gate.browser(HOME).raw("hidamari.gw.localhost", &[b"http/1.1"]).await.unwrap();
            // The gate may hang up while it is still being sent.
            let _ = stream.write_all(bytes.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).lines().next().unwrap_or("closed").to_owned()
        };
        // Not all at once: a busy machine must not let a head take longer than the gate waits for it.
        let answers: Vec<_> = futures_util::stream::iter(&cases).map(send).buffered(64).collect().await;
        // Whoever comes next on the connections to the SaaS gets an answer to what they asked.
        for number in 0..20 {
            let url = gate.url(&format!("/after/{number}"));
            let answer = sato.send(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
            assert_eq!(answer.text(), "fine");
        }

        let heard = saas.heard();
        let authority = format!("{SAAS_HOST}:{}", saas.port);
        let recorded: HashSet<String> = gate
            .requests(&["--decision", "permit", "--app", "hidamari"])
            .iter()
            .map(|r| r["path"].as_str().unwrap().to_owned())
            .collect();
        let mut wrong = Vec::new();
        for one in &heard {
            if let Some(why) = ambiguous(one, &authority) {
                wrong.push(format!("{why}: {:?} {:?}", one.head, String::from_utf8_lossy(&one.body)));
            }
            if !recorded.contains(one.target()) {
                wrong.push(format!("in no record: {:?}", one.head));
            }
        }
        for (case, answer) in cases.iter().zip(&answers) {
            let path = format!("/c/{}", case.name);
            let of_case = |one: &&Heard| one.target().split(['?', '#']).next().is_some_and(|t| t.ends_with(&path));
            let reached: Vec<_> = heard.iter().filter(of_case).map(|one| one.head.lines().next()).collect();
            println!("{:<24} {answer:<28} {reached:?}", case.name);
            let two_lengths = ["cl-te", "te-cl", "te-spelling-cl-", "te-name-5", "te-name-7"];
            if two_lengths.iter().any(|name| case.name.starts_with(name)) && !reached.is_empty() {
                wrong.push(format!("{} tells two lengths and passed", case.name));
            }
            if case.name.starts_with("control") && (reached.len() != 1 || !answer.contains("200")) {
                wrong.push(format!("{} did not pass: {answer}", case.name));
            }
        }
        for number in 0..20 {
            let after = heard.iter().filter(|one| one.target() == format!("/after/{number}")).count();
            if after != 1 {
                wrong.push(format!("/after/{number} came {after} times"));
            }
        }
        let targets: Vec<&str> = heard.iter().map(Heard::target).filter(|t| t.starts_with("/c/")).collect();
        let distinct: HashSet<_> = targets.iter().collect();
        if distinct.len() != targets.len()
            || heard.iter().any(|one| one.head.contains("smuggled") || one.head.contains(".sekisho"))
        {
            wrong.push(format!("something came twice or was smuggled: {targets:?}"));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
