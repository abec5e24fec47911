//! Promise 4: secrets are never recorded. A mark is sent in every place where a secret can stand; then every file, log line,
//! metric, page and answer of the command line is searched for it, in every spelling it may have got.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use bytes::Bytes;
use demo::client::{Browser, Mode};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bypass::wire;
use crate::factors::code;
use crate::harness::{Answer, Gate, HOME, Heard, IDP_PASSWORD, OUTSIDE, RawSaas, Sso, Then, account, run, sign_in};

/// What all marks begin with, so that one search finds any. It looks as random as the secrets it stands for.
const STEM: &str = "Zq7Mk3Xk9Lp1Tv5Rn8Ws";

/// A mark that says where it was sent.
macro_rules! mark {
    ($place:literal) => {
        concat!("Zq7Mk3Xk9Lp1Tv5Rn8Ws", $place)
    };
}

/// A SaaS that answers with secrets of its own, and badly.
fn saas(heard: &Heard) -> Answer {
    match heard.target().split(['?', ';']).next().unwrap_or_default() {
        "/sets-cookie" => Answer(
            concat!(
                "HTTP/1.1 200 OK\r\nSet-Cookie: sid=",
                mark!("SetCookie"),
                "; Path=/; HttpOnly\r\nSet-Cookie: ",
                mark!("SetCookieName"),
                "=x; Domain=",
                mark!("SetCookieDomain"),
                ".example\r\nX-Auth-Token: ",
                mark!("ResponseHeader"),
                "\r\nContent-Length: 4\r\n\r\nfine"
            ),
            Then::GoOn,
        ),
        "/redirects" => Answer(
            concat!(
                "HTTP/1.1 302 Found\r\nLocation: https://me:",
                mark!("LocationUser"),
                "@elsewhere.example/",
                mark!("LocationPath"),
                "?code=",
                mark!("LocationQuery"),
                "#access_token=",
                mark!("LocationFragment"),
                "\r\nRefresh: 0; url=/?t=",
                mark!("Refresh"),
                "\r\nContent-Length: 0\r\n\r\n"
            ),
            Then::GoOn,
        ),
        "/challenges" => Answer(
            concat!(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"",
                mark!("Challenge"),
                "\"\r\nAuthentication-Info: nextnonce=\"",
                mark!("AuthenticationInfo"),
                "\"\r\nContent-Length: 4\r\n\r\nfine"
            ),
            Then::GoOn,
        ),
        "/fails" => Answer(
            concat!(
                "HTTP/1.1 500 ",
                mark!("StatusText"),
                "\r\nContent-Length: 45\r\n\r\nexception: ",
                mark!("ErrorPage"),
                "....."
            ),
            Then::Close,
        ),
        "/downloads" => Answer(
            concat!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"",
                mark!("DownloadName"),
                ".csv\"\r\nContent-Length: 4\r\n\r\nfine"
            ),
            Then::GoOn,
        ),
        "/trailers" => Answer(
            concat!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Token\r\n\r\n4\r\nfine\r\n0\r\nX-Token: ",
                mark!("Trailer"),
                "\r\n\r\n"
            ),
            Then::GoOn,
        ),
        "/no-http" => Answer(concat!(mark!("NoHttp"), " is not HTTP\r\n\r\n"), Then::Close),
        "/bad-head" => Answer(
            concat!("HTTP/1.1 200 OK\r\n", mark!("BadLine"), "\r\nX: ", mark!("BadValue"), "\u{1}\r\n\r\n"),
            Then::Close,
        ),
        "/bad-length" => {
            Answer(concat!("HTTP/1.1 200 OK\r\nContent-Length: ", mark!("BadLength"), "\r\n\r\nfine"), Then::Close)
        }
        "/bad-chunk" => Answer(
            concat!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", mark!("BadChunk"), "\r\nfine\r\n"),
            Then::Close,
        ),
        "/breaks-off" => {
            Answer(concat!("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n", mark!("BreaksOff")), Then::Close)
        }
        "/saas-login" => Answer(
            concat!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: sid=",
                mark!("SessionCookie"),
                "; Path=/\r\nContent-Length: 42\r\n\r\nwrong: ",
                mark!("LoginAnswer"),
                "...."
            ),
            Then::GoOn,
        ),
        "/saas-login.json" => Answer(
            concat!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 42\r\n\r\n{\"ok\":\"",
                mark!("JsonAnswer"),
                "\"   }"
            ),
            Then::GoOn,
        ),
        "/notices/ws" => Answer(
            concat!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: bearer.",
                mark!("SocketProtocolBack"),
                "\r\n\r\n\u{1}\u{25}",
                mark!("SocketPayloadBack")
            ),
            Then::Wait,
        ),
        _ => Answer::fine(),
    }
}

/// Method, target, header lines, body.
type Asked = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

/// Requests to the app as somebody who is signed in.
const REQUESTS: &[Asked] = &[
    (
        "GET",
        concat!(
            "/echo;jsessionid=",
            mark!("PathParameter"),
            ";",
            mark!("PathParameterBare"),
            "/",
            mark!("Segment"),
            "/x.",
            mark!("SegmentPart"),
            "?token=",
            mark!("Query"),
            "&",
            mark!("QueryName"),
            "=1&",
            mark!("QueryBare"),
            "&",
            mark!("QueryPadded"),
            "==&a[",
            mark!("QueryIndex"),
            "]=1&x=%5A%71%37Mk3Xk9Lp1Tv5Rn8WsQueryEncoded;",
            mark!("QuerySemicolon"),
            "=1"
        ),
        &[
            ("Authorization", concat!("Bearer ", mark!("Bearer"))),
            ("Proxy-Authorization", concat!("Basic ", mark!("ProxyAuthorization"))),
            ("X-Api-Key", mark!("ApiKey")),
            ("X-Csrf-Token", mark!("Csrf")),
            (mark!("HeaderName"), "x"),
            ("Cookie2", mark!("CookieTwo")),
            ("Referer", concat!("https://hidamari.gw.localhost/", mark!("RefererPath"), "?t=", mark!("Referer"))),
            ("Accept-Language", mark!("Language")),
            ("X-Forwarded-For", mark!("ForwardedFor")),
            ("If-None-Match", concat!("\"", mark!("ETag"), "\"")),
            ("Range", concat!("bytes=", mark!("Range"))),
        ],
        "",
    ),
    (
        "GET",
        "/echo",
        &[(
            "Cookie",
            concat!(
                mark!("CookieBare"),
                "; ",
                mark!("CookieName"),
                "=1; a=\"",
                mark!("CookieQuoted"),
                "\";;=x; b = ",
                mark!("CookieBlank")
            ),
        )],
        "",
    ),
    ("GET", "/echo", &[("Authorization", "Basic WnE3TWszWGs5THAxVHY1Um44V3M6cGFzc3dvcmQ=")], ""),
    ("GET", concat!("/echo#", mark!("Fragment")), &[], ""),
    ("GET", concat!("https://me:", mark!("UserInfo"), "@hidamari.gw.localhost/echo"), &[], ""),
    ("GET", concat!("https://hidamari.gw.localhost/", mark!("Absolute"), "?", mark!("AbsoluteQuery")), &[], ""),
    ("GET", concat!(mark!("TargetOnly"), "@host"), &[], ""),
    (
        "GET",
        concat!("/echo/%2f/", mark!("AmbiguousSegment"), "?q=", mark!("AmbiguousQuery"), ";", mark!("Ambiguous")),
        &[],
        "",
    ),
    ("GET", concat!("/echo\\", mark!("Backslash"), "?", mark!("BackslashQuery"), "="), &[], ""),
    ("GET", concat!("/echo?a=", mark!("Control"), "\u{1}"), &[], ""),
    (
        "OPTIONS",
        concat!("/echo?", mark!("Preflight"), "=1"),
        &[
            ("Origin", concat!("https://", mark!("Origin"), ".example")),
            ("Access-Control-Request-Method", mark!("RequestMethod")),
            ("Access-Control-Request-Headers", mark!("RequestHeaders")),
        ],
        "",
    ),
    (mark!("Method"), "/echo", &[], ""),
    ("GET", "/echo", &[("X-HTTP-Method-Override", mark!("Override"))], ""),
    ("POST", concat!("/echo?_method=", mark!("OverrideQuery")), &[], ""),
    (
        "POST",
        "/echo",
        &[("Content-Type", "application/x-www-form-urlencoded")],
        concat!("password=", mark!("Form"), "&", mark!("FormName"), "=1"),
    ),
    (
        "POST",
        "/echo",
        &[("Content-Type", "application/json")],
        concat!("{\"password\":\"", mark!("Json"), "\",\"", mark!("JsonName"), "\":1}"),
    ),
    (
        "POST",
        "/login",
        &[("Content-Type", "application/x-www-form-urlencoded")],
        concat!("login_id=", mark!("SaasLogin"), "&password=", mark!("SaasPassword")),
    ),
    (
        "POST",
        "/echo",
        &[("Content-Type", concat!("multipart/form-data; boundary=", mark!("Boundary")))],
        concat!(
            "--",
            mark!("Boundary"),
            "\r\nContent-Disposition: form-data; name=\"",
            mark!("MultipartName"),
            "\"; filename=\"",
            mark!("FileName"),
            "\"\r\n\r\n",
            mark!("File"),
            "\r\n--",
            mark!("Boundary"),
            "--\r\n"
        ),
    ),
    (
        "POST",
        "/echo",
        &[
            ("Content-Type", mark!("ContentType")),
            ("Content-Disposition", concat!("attachment; filename=", mark!("UploadName"))),
        ],
        mark!("Upload"),
    ),
    (
        "POST",
        concat!("/saas-login?next=", mark!("RecipeQuery")),
        &[("Content-Type", "application/x-www-form-urlencoded")],
        concat!(
            "kind=normal&office=",
            mark!("RecipeAccount"),
            "&login_id=",
            mark!("RecipeId"),
            "&password=",
            mark!("RecipePassword"),
            "&other=",
            mark!("RecipeOther")
        ),
    ),
    (
        "POST",
        "/saas-login",
        &[("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", concat!("sid=", mark!("Foreign")))],
        concat!("kind=", mark!("RecipeCondition"), "&login_id=x&password=", mark!("RecipePasswordUnmet")),
    ),
    (
        "POST",
        "/saas-login.json",
        &[("Content-Type", "application/json")],
        concat!(
            "{\"user\":{\"name\":\"",
            mark!("RecipeJsonId"),
            "\",\"office\":\"",
            mark!("RecipeJsonAccount"),
            "\",\"password\":\"",
            mark!("RecipeJsonPassword"),
            "\"}}"
        ),
    ),
    (
        "POST",
        "/saas-login.multipart",
        &[("Content-Type", "multipart/form-data; boundary=b")],
        concat!(
            "--b\r\nContent-Disposition: form-data; name=\"login_id\"\r\n\r\n",
            mark!("RecipeMultipartId"),
            "\r\n--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n",
            mark!("RecipeMultipartPassword"),
            "\r\n--b--\r\n"
        ),
    ),
    (
        "POST",
        "/saas-code",
        &[("Content-Type", "application/x-www-form-urlencoded")],
        concat!("code=", mark!("RecipeCode")),
    ),
    ("GET", concat!("/saas-logout?sure=", mark!("RecipeLogout")), &[], ""),
    (
        "GET",
        concat!("/screen/", mark!("RecipePath"), "?id=", mark!("RecipeSubject"), "&screen=", mark!("RecipeScreen")),
        &[],
        "",
    ),
    ("GET", concat!("/by-path/", mark!("RecipeSegment")), &[], ""),
    (
        "POST",
        "/by-form",
        &[("Content-Type", "application/x-www-form-urlencoded")],
        concat!("save=", mark!("RecipeSave"), "&id=", mark!("RecipeFormSubject")),
    ),
    (
        "POST",
        "/by-json",
        &[("Content-Type", "application/json")],
        concat!("{\"resident\":{\"id\":\"", mark!("RecipeJsonSubject"), "\"}}"),
    ),
    (
        "DELETE",
        concat!("/not-allowed/", mark!("Denied"), "?", mark!("DeniedQuery")),
        &[("Origin", concat!("https://x.example/", mark!("CrossSite")))],
        "",
    ),
    (
        "GET",
        concat!("/.sekisho/ticket?ticket=", mark!("Ticket"), "&handle=", mark!("Handle")),
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")],
        "",
    ),
    ("GET", concat!("/.sekisho/ticket/", mark!("TicketPath")), &[], ""),
    ("GET", concat!("/sets-cookie?", mark!("ToSaas")), &[], ""),
    ("GET", concat!("/redirects?", mark!("ToSaas")), &[], ""),
    ("GET", concat!("/challenges?", mark!("ToSaas")), &[], ""),
    ("GET", concat!("/fails?", mark!("ToSaas")), &[], ""),
    ("GET", concat!("/downloads?", mark!("ToSaas")), &[], ""),
    ("GET", concat!("/trailers?", mark!("ToSaas")), &[("TE", "trailers")], ""),
    ("GET", concat!("/no-http?", mark!("ToSaas")), &[("X-Api-Key", mark!("NoHttpKey"))], ""),
    ("GET", concat!("/bad-head?", mark!("ToSaas")), &[], ""),
    ("GET", concat!("/bad-length?", mark!("ToSaas")), &[], ""),
    ("GET", concat!("/bad-chunk?", mark!("ToSaas")), &[], ""),
    ("GET", concat!("/breaks-off?", mark!("ToSaas")), &[], ""),
];

/// What pingora refuses before the gate sees it, and hosts that are nobody's. HOST stands for the app's.
const RAW: &[&str] = &[
    concat!("GET /", mark!("NoVersion"), "\r\n\r\n"),
    concat!(mark!("NoHttpAtAll"), "\r\n\r\n"),
    concat!("GET /x?", mark!("BadVersion"), " HTTP/9.9\r\nHost: HOST\r\n\r\n"),
    concat!("GET /x HTTP/1.1\r\nHost: HOST\r\n", mark!("NoColon"), "\r\n\r\n"),
    concat!("GET /x HTTP/1.1\r\nHost: HOST\r\nX-Key: ", mark!("Nul"), "\0\r\n\r\n"),
    concat!(
        "GET /x HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer ",
        mark!("Folded"),
        "\r\n ",
        mark!("Fold"),
        "\r\n\r\n"
    ),
    concat!("POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: ", mark!("Length"), "\r\n\r\n"),
    concat!("POST /x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: ", mark!("Coding"), "\r\n\r\n"),
    concat!("POST /x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n", mark!("Chunk"), "\r\n\r\n"),
    concat!("POST /x HTTP/1.1\r\nHost: HOST\r\nExpect: ", mark!("Expect"), "\r\nContent-Length: 0\r\n\r\n"),
    concat!("CONNECT ", mark!("Connect"), ":443 HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    concat!("GET /x HTTP/1.1\r\nHost: me:", mark!("HostPassword"), "@HOST\r\n\r\n"),
    concat!("GET /x HTTP/1.1\r\nHost: ", mark!("HostUser"), "@HOST\r\n\r\n"),
    concat!("GET /x HTTP/1.1\r\nHost: hidamari.gw.localhost/reset?token=", mark!("HostPath"), "\r\n\r\n"),
    concat!("GET /x HTTP/1.1\r\nHost: HOST\r\nHost: ", mark!("HostTwice"), "/\r\n\r\n"),
    // What is left of one request and taken for the next.
    concat!(
        "POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n",
        mark!("NextRequest"),
        " / HTTP/1.1\r\nHost: HOST\r\n\r\n"
    ),
    concat!("POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\npassword=", mark!("NextForm"), "\r\n\r\n"),
];

/// A mark in the spellings that a program may give it. None: it did not get in.
fn spellings() -> Vec<String> {
    let bytes = STEM.as_bytes();
    let hex = |upper| {
        let byte = |b: &u8| if upper { format!("{b:02X}") } else { format!("{b:02x}") };
        bytes.iter().map(byte).collect::<String>()
    };
    let mut all = vec![STEM.to_owned(), STEM.to_lowercase(), STEM.to_uppercase(), hex(false), hex(true)];
    all.push(bytes.iter().map(|b| format!("%{b:02X}")).collect());
    all.push(bytes.iter().map(|b| format!("%{b:02x}")).collect());
    all.push(bytes.iter().map(|b| format!("\\u00{b:02x}")).collect());
    all.push(bytes.iter().map(|b| format!("\\x{b:02x}")).collect());
    // As Rust prints bytes for debugging.
    all.push(bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
    // In base64 it looks different at each of three offsets; what of it depends on its neighbours is left out.
    for offset in 0..3 {
        let padded = [&[b' '; 2][..offset], bytes].concat();
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&padded);
        let (from, to) = ([0, 2, 3][offset], padded.len() / 3 * 4);
        all.push(text[from..to].to_owned());
        all.push(text[from..to].replace('+', "-").replace('/', "_"));
    }
    all.dedup();
    all
}

/// Where a word stands, with some of what stands around it.
fn find(place: &str, content: &str, word: &str) -> Vec<String> {
    let around = |at: usize| {
        let before: String = content[..at].chars().rev().take(80).collect::<String>().chars().rev().collect();
        format!("{place}: …{before}{}…", content[at..].chars().take(120).collect::<String>())
    };
    content.match_indices(word).map(|(at, _)| around(at)).take(10).collect()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files.extend(walk(&entry.path())),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}

/// Every request to the app, over both versions of HTTP. What comes of it is not what this is about: the gate may hang up
/// on some while they are being sent, and the system then resets the connection.
async fn ask_the_app(gate: &Gate, cookie: &str) {
    let host = format!("hidamari.gw.localhost:{}", gate.port);
    for (method, target, lines, body) in REQUESTS {
        let target = target.replace("hidamari.gw.localhost", &host);
        for alpn in [&b"http/1.1"[..], b"h2"] {
            let mut all = vec![("User-Agent", "somebody/1"), ("Cookie", cookie)];
            all.extend_from_slice(lines);
            let mut request = wire::Bytes { method, target: &target, host: &host, lines: all, body };
            let Ok(stream) = gate.browser(HOME).raw("hidamari.gw.localhost", &[alpn]).await else { continue };
            if alpn == b"h2" {
                wire::over_http2(stream, &request).await;
            } else {
                request.lines.push(("Connection", "close"));
                wire::over_http1(stream, &request).await;
            }
        }
    }
    for (number, bytes) in RAW.iter().enumerate() {
        // From an address of its own each, so that none is only counted.
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, number as u8 + 1));
        for name in ["hidamari.gw.localhost", "login.gw.localhost"] {
            let Ok(mut stream) = gate.browser(from).raw(name, &[b"http/1.1"]).await else { continue };
            let bytes = bytes.replace("HOST", &format!("{name}:{}", gate.port));
            let _ = stream.write_all(bytes.as_bytes()).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
    // A user in the place of the host, where pingora lets it through.
    for (number, user) in [mark!("AuthorityUser"), concat!("me:", mark!("AuthorityPassword"))].into_iter().enumerate() {
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 2, number as u8 + 1));
        let stream = gate.browser(from).raw("hidamari.gw.localhost", &[b"h2"]).await.unwrap();
        let request =
            wire::Bytes { method: "GET", target: "/x", host: &format!("{user}@{host}"), lines: vec![], body: "" };
        assert_eq!(wire::over_http2(stream, &request).await, "answered");
    }
    // A WebSocket: subprotocol, payload.
    let mut socket = gate.browser(HOME).raw("hidamari.gw.localhost", &[b"http/1.1"]).await.unwrap();
    let head = format!(
        "GET /notices/ws?token={} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nCookie: {cookie}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bearer.{}\r\n\r\n",
        mark!("SocketQuery"),
        mark!("SocketProtocol")
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    socket.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 101");
    socket.write_all(&[&[0x81, 0x25][..], mark!("SocketPayload").as_bytes()].concat()).await.unwrap();
    drop(socket);
}

async fn fetch(browser: &mut Browser, method: Method, url: &str, headers: &[(&str, &str)], body: &str) {
    let mut sent = HeaderMap::new();
    for (name, value) in headers {
        sent.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    // As above.
    let _ = browser.send(method, url, Mode::Bare, sent, Bytes::from(body.to_owned())).await;
}

/// Our own pages: sign-in, factors, passwords, provider, SCIM. What is secret in earnest comes back, and who is signed in.
async fn ask_our_pages(gate: &Gate, sso: &Sso) -> (Vec<String>, Browser) {
    let mut secrets = Vec::new();
    let mut sato = gate.browser(HOME);
    let deep = gate.url(concat!("/echo?deep=", mark!("DeepLink")));
    sign_in(&mut sato, &deep, "sato", mark!("WrongPassword")).await;
    sign_in(&mut sato, &deep, mark!("LoginId"), "a-password-typed-into-the-other-field").await;
    let landed = sign_in(&mut sato, &deep, "sato", mark!("FirstPassword")).await;
    assert_eq!((landed.status.as_u16(), landed.text().as_str()), (200, "fine"));

    // A second factor, and steps that fail.
    let settings = sato.open(&gate.login_url("/security")).await.unwrap();
    let setup = sato.fill_in_form(&settings, "action=\"/security/totp\"", &[]).await.unwrap();
    let text = setup.text();
    let key = text.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0.to_owned();
    let confirm = "action=\"/security/totp/confirm\"";
    let wrong = sato.fill_in_form(&setup, confirm, &[("code", mark!("Code"))]).await.unwrap();
    let codes = sato.fill_in_form(&wrong, confirm, &[("code", &code(&key, 0))]).await.unwrap();
    let list = codes.text();
    let codes: Vec<String> = list.split("<code>").skip(1).map(|c| c.split('<').next().unwrap().to_owned()).collect();
    assert!(codes.len() >= 10, "{list}");
    secrets.push(key.replace(' ', ""));
    secrets.push(key.clone());
    let mut phone = gate.browser(HOME);
    let step = sign_in(&mut phone, &deep, "sato", mark!("FirstPassword")).await;
    phone.fill_in(&step, &[("code", mark!("CodeAtSignIn"))]).await.unwrap();
    phone.fill_in_form(&step, "action=\"/recovery\"", &[("code", mark!("RecoveryCode"))]).await.unwrap();
    phone.fill_in_form(&step, "action=\"/recovery\"", &[("code", &codes[0])]).await.unwrap();
    secrets.extend(codes);

    // A new password, refused and taken.
    let page = sato.open(&gate.login_url("/password")).await.unwrap();
    let fields = |old, new, again| [("old", old), ("new", new), ("again", again)];
    let (first, new) = (mark!("FirstPassword"), mark!("NewPassword"));
    for fields in
        [fields(mark!("OldWrong"), new, new), fields(first, new, mark!("AgainWrong")), fields(first, new, new)]
    {
        sato.fill_in_form(&page, "action=\"/password\"", &fields).await.unwrap();
    }

    // Steps that nobody began.
    for (path, body) in [
        (
            "/",
            concat!(
                "login_id=",
                mark!("Id"),
                "&password=",
                mark!("Password"),
                "&token=",
                mark!("FormToken"),
                "&handle=",
                mark!("FormHandle")
            ),
        ),
        ("/totp", concat!("challenge=", mark!("Challenge"), "&code=", mark!("StrayCode"))),
        ("/recovery", concat!("challenge=", mark!("Challenge"), "&code=", mark!("StrayRecovery"))),
        ("/passkey", concat!("ceremony=", mark!("Ceremony"), "&credential=", mark!("Credential"), "&handle=x")),
        (
            "/passkey",
            concat!(
                "ceremony=x&credential={\"id\":\"",
                mark!("CredentialId"),
                "\",\"response\":{\"signature\":\"",
                mark!("Signature"),
                "\"}}"
            ),
        ),
        ("/oidc/idp/back-channel-logout", concat!("logout_token=eyJ", mark!("LogoutToken"), ".eyJ.x")),
        ("/sign-out", concat!("token=", mark!("SignOutToken"))),
    ] {
        let origin = gate.login_url("");
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", origin.as_str())];
        fetch(&mut phone, Method::POST, &gate.login_url(path), &headers, body).await;
    }
    for path in [
        concat!("/?handle=", mark!("LooseHandle")),
        concat!("/oidc/idp/callback?code=", mark!("OidcCode"), "&state=", mark!("OidcState")),
        concat!("/oidc/idp/callback?error=", mark!("OidcError"), "&error_description=", mark!("OidcText"), "&state=x"),
        concat!("/oidc/idp/front-channel-logout?sid=", mark!("Sid"), "&iss=", mark!("Issuer")),
        concat!("/oidc/", mark!("ProviderId"), "/start?handle=", mark!("StartHandle")),
        concat!("/", mark!("LoginPath"), "?invitation=", mark!("Invitation")),
    ] {
        let headers = [(
            "cookie",
            concat!("__Host-sekisho-login=", mark!("OwnCookie"), "; __Host-sekisho-begin=", mark!("Binder")),
        )];
        fetch(&mut phone, Method::GET, &gate.login_url(path), &headers, "").await;
    }

    // At the provider, and from it.
    let mut suzuki = sso.browser(gate);
    let landed = sso.sign_in(&mut suzuki, &deep, "suzuki").await;
    assert_eq!(landed.text(), "fine", "{}", landed.url);
    let made = gate.json(&["scim", "token", "add", "--name", "entra", "--scope", "users:write", "--expires", "30d"]);
    let token = made["token"].as_str().unwrap().to_owned();
    let users = format!("https://scim.gw.localhost:{}/scim/v2/Users", gate.port);
    let user = concat!(
        "{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\"],\"userName\":\"mori\",\"password\":\"",
        mark!("ScimPassword"),
        "\"}"
    );
    let mut provider = gate.browser(OUTSIDE);
    for bearer in [&token, mark!("ScimToken")] {
        let authorization = format!("Bearer {bearer}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/scim+json")];
        fetch(&mut provider, Method::POST, &users, &headers, user).await;
        let filter = format!("{users}?filter=userName%20eq%20%22{}%22", mark!("ScimFilter"));
        fetch(&mut provider, Method::GET, &filter, &headers, "").await;
    }
    secrets.push(token);

    let browsers = [&sato, &phone, &suzuki];
    let hosts = ["hidamari.gw.localhost", "login.gw.localhost"];
    let cookies = browsers.iter().flat_map(|b| hosts.map(|host| b.cookies(host)));
    let values: Vec<String> = cookies
        .flat_map(|all| all.split("; ").map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pair| pair.split_once('=').map(|(_, value)| value.to_owned()))
        .filter(|value| value.len() > 20 && !value.contains(STEM))
        .collect();
    assert!(values.len() >= 4, "{values:?}");
    secrets.extend(values);
    (secrets, sato)
}

/// What the command line says of wrong configurations and commands: standard output and error.
fn ask_the_command_line(gate: &Gate) -> Vec<(String, Vec<u8>)> {
    let mut said = Vec::new();
    let mut told = |what: &str, output: &std::process::Output| {
        said.push((what.to_owned(), [&output.stdout[..], &output.stderr[..]].concat()));
    };
    let good = std::fs::read_to_string(gate.config()).unwrap();
    let wrong = gate.path("wrong.yaml");
    for (number, (from, to)) in [
        ("ca: {", concat!("ca: { passphrase: ", mark!("InlinePassphrase"), ", ")),
        ("ca: { passphrase_file: passphrase }", concat!("ca: ", mark!("CaValue"))),
        ("client_id: sekisho,", concat!("client_id: sekisho, client_secret: ", mark!("InlineSecret"), ",")),
        ("client_id: sekisho,", concat!("client_id: { secret: ", mark!("NestedSecret"), " },")),
        ("https://hidamari-care", concat!("https://me:", mark!("UpstreamPassword"), "@hidamari-care")),
        ("policy:", concat!("password: ", mark!("TopLevel"), "\npolicy:")),
        ("policy:", concat!("token: [", mark!("Unclosed"), "\npolicy:")),
        ("policy:", concat!("\"", mark!("UnclosedText"), "\npolicy:")),
        ("domain: gw.localhost", concat!("domain: gw.localhost\n  secret: *", mark!("Alias"))),
        ("upstream: https://", concat!("authorization: Bearer ", mark!("AppKey"), "\n    upstream: https://")),
    ]
    .into_iter()
    .enumerate()
    {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        std::fs::write(&wrong, text).unwrap();
        let output = gate.cli(&["check", wrong.to_str().unwrap()]);
        assert!(!output.status.success(), "{to} passed");
        told(&format!("check {number}"), &output);
    }
    // A secret where the name of its file belongs. That the passphrase's is not there is only a warning.
    for (from, to) in [
        ("passphrase_file: passphrase", concat!("passphrase_file: ", mark!("PassphraseAsFile"))),
        ("passphrase_file: passphrase", concat!("credential: ", mark!("PassphraseAsCredential"), "/")),
    ] {
        std::fs::write(&wrong, good.replacen(from, to, 1)).unwrap();
        told("check", &gate.cli(&["check", wrong.to_str().unwrap()]));
        let serve = gate.cli(&["serve", "--config", wrong.to_str().unwrap()]);
        assert!(!serve.status.success());
        told("serve", &serve);
    }
    let secret = good.split_once("client_secret_file: ").unwrap().1.split(',').next().unwrap();
    std::fs::write(&wrong, good.replace(secret, mark!("SecretAsFile"))).unwrap();
    told("check", &gate.cli(&["check", wrong.to_str().unwrap()]));
    // Secrets in the files that the configuration names, in a form that is not theirs.
    std::fs::write(gate.path("wrong.secret"), concat!(mark!("SecretFile"), "\n", mark!("SecretFileMore"), "\n"))
        .unwrap();
    for name in ["issuer_ca", "client_secret_file"] {
        let line = good.lines().find(|line| line.contains("client_secret_file")).unwrap();
        let (_, value) = line.split_once(&format!("{name}: ")).unwrap();
        let value = value.split([',', ' ']).next().unwrap();
        std::fs::write(&wrong, good.replace(value, gate.path("wrong.secret").to_str().unwrap())).unwrap();
        told(name, &gate.cli(&["check", wrong.to_str().unwrap()]));
    }
    told("staff add", &gate.cli_with_input(&["staff", "add", "mori2", "--name", "x", "--password-stdin"], "Zq7Mk3"));
    told("staff password", &gate.cli_with_input(&["staff", "password", "sato", "--stdin"], mark!("CliPassword")));
    told(
        "staff password of nobody",
        &gate.cli_with_input(&["staff", "password", "nobody", "--stdin"], mark!("NobodyPassword")),
    );
    let explain = ["policy", "explain", "--app", "hidamari", "--person", "sato", "--from", "127.0.0.1", "--path"];
    for json in [&[][..], &["--json"]] {
        let path = concat!("/x;jsessionid=", mark!("ExplainParameter"), "?token=", mark!("ExplainQuery"));
        told("explain", &gate.cli(&[&explain[..], &[path], json].concat()));
        told("requests", &gate.cli(&[&["audit", "requests"][..], json].concat()));
        told("sign-ins", &gate.cli(&[&["audit", "sign-ins"][..], json].concat()));
        told("sessions", &gate.cli(&[&["session", "list"][..], json].concat()));
        told("staff list", &gate.cli(&[&["staff", "list"][..], json].concat()));
        for asked in
            [&["logins"][..], &["operations"], &["person", "sato"], &["shared-ids"], &["subject", "resident/1"]]
        {
            told(asked[0], &gate.cli(&[&["audit"], asked, json].concat()));
        }
        told("coverage", &gate.cli(&[&["recipe", "coverage", "hidamari"], json].concat()));
        told("tokens", &gate.cli(&[&["scim", "token", "list"][..], json].concat()));
    }
    // Secrets where no secret is asked for; a terminal shows what is typed there already, a log of commands does not.
    told("an argument", &gate.cli(&["staff", "password", "sato", concat!("--password=", mark!("Argument"))]));
    said
}

/// What is told on the control socket, in every shape.
async fn ask_the_control_socket(gate: &Gate) {
    let Some(socket) = walk_sockets(gate.data()) else { panic!("no control socket in {}", gate.data().display()) };
    for line in [
        concat!("{\"command\":\"", mark!("ControlCommand"), "\"}\n"),
        concat!("{\"staff_password\":{\"person\":\"nobody\",\"password\":\"", mark!("ControlPassword"), "\"}}\n"),
        concat!(mark!("ControlNoise"), "\n"),
    ] {
        let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
        let _ = stream.write_all(line.as_bytes()).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

fn walk_sockets(folder: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::FileTypeExt as _;
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().unwrap().is_socket()).map(|entry| entry.path()).next()
}

/// `sekisho audit tail --json`, from before the first request; what it said until it is killed.
struct Tail(std::process::Child, std::thread::JoinHandle<String>);

impl Tail {
    fn start(gate: &Gate) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["audit", "tail", "--json"])
            .env("SEKISHO_CONFIG", gate.config())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let read = std::thread::spawn(move || stdout.lines().map_while(Result::ok).map(|line| line + "\n").collect());
        Self(child, read)
    }

    fn end(mut self) -> String {
        let _ = self.0.kill();
        let _ = self.0.wait();
        self.1.join().unwrap()
    }
}

/// At the default level and at the loudest. Sent in earnest is the same.
#[test]
fn promise_4_secrets_are_never_recorded() {
    for level in ["info", "trace"] {
        run(async {
            let upstream = RawSaas::start(saas).await;
            let sso = Sso::start(vec![account("suzuki", &[])]).await;
            let more = format!("log: {{ level: {level} }}\n");
            let recipes = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/recipes/marked.yaml");
            let recipes = format!("recipes: [ \"{recipes}\" ]\n");
            let scim = "  scim: {}\n";
            let limits = "handshake: 20s, head: 2s, idle: 2s, body_stall: 1s";
            let builder = Gate::builder()
                .upstream(&upstream)
                .limits(limits)
                .app(&["recipe: marked", "timeouts: { response: 2s }"])
                .environment("RUST_LOG", "trace")
                .environment("SEKISHO_LOG", "trace");
            let providers =
                format!("identity:\n{scim}  providers:\n{}    - {{ id: staff, kind: directory }}\n", sso.entry(""));
            let mut gate = builder.more(&providers).more(&more).more(&recipes).start().await;
            sso.register(&gate);
            let tail = Tail::start(&gate);
            let arguments = ["staff", "add", "sato", "--name", "sato", "--group", "staff", "--password-stdin"];
            assert!(gate.cli_with_input(&arguments, mark!("FirstPassword")).status.success());
            gate.add_colleague("suzuki", &["staff"], "suzuki@sakura-kai.example");

            let (mut secrets, mut sato) = ask_our_pages(&gate, &sso).await;
            secrets.push(IDP_PASSWORD.to_owned());
            // Of the tokens that the provider sent. What else begins so is no JWT.
            secrets.push("eyJhbGciOi".to_owned());
            ask_the_app(&gate, &sato.cookies("hidamari.gw.localhost")).await;
            // Else nothing was sent, and nothing shown.
            let reached = upstream.heard().iter().filter(|heard| heard.head.contains(STEM)).count();
            assert!(reached >= 30, "only {reached} marks reached the SaaS");
            // A SaaS that does not speak TLS.
            let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = plain.local_addr().unwrap().port();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = plain.accept().await {
                    let _ = stream.write_all(concat!(mark!("NoTls"), " speaks no TLS\r\n").as_bytes()).await;
                }
            });
            gate.rewrite(|text| {
                text.replace(
                    &format!("assets.hidamari-care.localhost:{}", upstream.port),
                    &format!("assets.hidamari-care.localhost:{port}"),
                )
            });
            assert!(gate.cli(&["reload"]).status.success());
            let url = gate.assets_url(concat!("/x?", mark!("NoTlsQuery"), "=1"));
            let answer = sato.send(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
            assert_eq!(answer.status, 502, "{}", answer.text());
            ask_the_control_socket(&gate).await;

            let limits = std::fs::read_to_string(format!("/proc/{}/limits", gate.pid())).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
            assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");

            let mut places = ask_the_command_line(&gate);
            for page in ["/metrics", "/healthz", "/readyz"] {
                places.push((page.to_owned(), gate.observe(page).await.1.into_bytes()));
            }
            let others = gate.browser(OUTSIDE).open(&gate.url("/")).await.unwrap();
            places.push(("somebody else's page".to_owned(), others.body.to_vec()));
            // The recipe did look: else nothing of it is shown here. (What came over HTTP/2 says not how long it is, and is not
            // looked into.)
            let logins: Vec<audit::Login> = gate
                .entries(&["login"])
                .filter_map(|entry| match entry.record {
                    audit::Record::Login(login) => Some(*login),
                    _ => None,
                })
                .collect();
            let failed = logins.iter().filter(|login| login.result == audit::LoginResult::Failed);
            assert!(failed.clone().count() >= 1, "{logins:#?}");
            assert!(failed.clone().all(|login| login.cause.as_deref() == Some("wrong-password")));
            assert!(logins.len() >= 6 && logins.iter().all(|login| login.saas_id.is_none()), "{logins:#?}");
            assert!(failed.clone().all(|login| login.saas_id_hash.is_some() && login.account.is_none()));
            let operations = gate.requests(&["--path", "/by-form"]);
            assert!(operations.iter().any(|request| request["operation"] == "by-form"), "{operations:#?}");
            assert!(operations.iter().all(|request| request["subject"].is_null()));
            // What is in memory only reaches the disk at the end, if it ever does.
            gate.signal("TERM");
            assert!(gate.wait().success());
            let tail = tail.end();
            assert!(tail.lines().count() > 50, "{tail}");
            places.push(("audit tail".to_owned(), tail.into_bytes()));
            places.push(("log".to_owned(), gate.log().into_bytes()));
            let files = walk(gate.data());
            for name in ["state.db", "ca/", "audit/journal/"] {
                assert!(files.iter().any(|file| file.display().to_string().contains(name)), "no {name} in {files:?}");
            }
            for file in files {
                // Segments are written ahead with zeros.
                let mut content = std::fs::read(&file).unwrap();
                content.retain(|b| *b != 0);
                places.push((file.display().to_string(), content));
            }
            let words: Vec<String> = spellings().into_iter().chain(secrets).collect();
            let mut found = Vec::new();
            for (place, content) in &places {
                let content = String::from_utf8_lossy(content);
                found.extend(words.iter().flat_map(|word| find(place, &content, word)));
            }
            assert!(found.is_empty(), "{} times, level {level}:\n{}", found.len(), found.join("\n"));
            // What carries a secret by name is there, without it.
            let journal = places
                .iter()
                .filter(|(place, _)| place.contains("journal"))
                .flat_map(|(_, c)| c.clone())
                .collect::<Vec<u8>>();
            let journal = String::from_utf8_lossy(&journal).into_owned();
            for name in ["handle", "ticket", "code", "state", "token"] {
                let values: Vec<&str> = journal.split(&format!("{name}=")).skip(1).collect();
                assert!(!values.is_empty(), "nothing with {name} was recorded");
                assert!(values.iter().all(|rest| rest.starts_with('*')), "{name} stands in the journal");
            }
        });
    }
}
