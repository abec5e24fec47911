use http::header::{CONNECTION, COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use saas::{HostIndex, HostMap, OverrideSet, ShapeSet, Target, incoming, mask_target, outgoing, shape};

use crate::source::Source;

fn hosts() -> HostMap {
    let pairs =
        [("records.gw.example", "https://r.saas.jp"), ("assets.records.gw.example", "https://assets.saas.jp:8443")];
    HostMap::new(pairs, 443, "gw.example").unwrap()
}

fn lines<'d>(data: &'d [u8], name: &HeaderName) -> (HeaderMap, Vec<&'d [u8]>) {
    let (mut headers, mut kept) = (HeaderMap::new(), Vec::new());
    for line in data.split(|b| *b == b'\n').take(100) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name.clone(), value);
            kept.push(line);
        }
    }
    (headers, kept)
}

/// Name and value as a SaaS would read a pair: blanks and quotation marks around the name mean nothing, and a pair without
/// a name is one whose value may be taken for it.
fn name_of(pair: &[u8]) -> String {
    let text = String::from_utf8_lossy(pair).to_lowercase();
    let text = text.trim_start_matches(['=', ' ', '\t', '"']);
    text.split('=').next().unwrap_or_default().trim_end_matches([' ', '\t', '"']).to_owned()
}

fn is_ours(pair: &[u8]) -> bool {
    let name = name_of(pair);
    let bare = ["__host-http-", "__host-", "__http-", "__secure-"].iter().find_map(|prefix| name.strip_prefix(prefix));
    bare.unwrap_or(&name).starts_with("sekisho")
}

pub fn cookies(data: &[u8]) {
    let (headers, lines) = lines(data, &COOKIE);
    let pairs = |line: &[u8]| -> Vec<Vec<u8>> {
        let pairs = line.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        pairs.filter(|pair| !pair.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let sent: Vec<Vec<u8>> = lines.iter().flat_map(|line| pairs(line)).collect();

    let mut after = headers.clone();
    outgoing(&headers, &hosts(), HostIndex::MAIN, false).apply(&mut after);
    let all: Vec<&HeaderValue> = after.get_all(COOKIE).iter().collect();
    assert!(all.len() <= 1, "several Cookie lines reach the SaaS");
    let arrived: Vec<Vec<u8>> = all.iter().flat_map(|line| pairs(line.as_bytes())).collect();
    if let Some(ours) = arrived.iter().find(|pair| is_ours(pair)) {
        panic!("{} reaches the SaaS", name_of(ours));
    }
    let theirs: Vec<Vec<u8>> = sent.iter().filter(|pair| !is_ours(pair)).cloned().collect();
    assert_eq!(arrived, theirs, "of the SaaS's own cookies some are lost or changed");
    for name in saas::saas_cookie_names(&headers) {
        assert!(!is_ours(name.as_bytes()), "{name} counts as the SaaS's");
    }

    for name in [apps::cookies::APP, apps::cookies::LOGIN, apps::cookies::BEGIN, apps::cookies::OWNER_BELOW] {
        let values: Vec<&[u8]> = sent
            .iter()
            .filter_map(|pair| {
                let at = pair.iter().position(|b| *b == b'=')?;
                (pair[..at].trim_ascii() == name.as_bytes()).then(|| pair[at + 1..].trim_ascii())
            })
            .collect();
        let agreed = values.first().copied().filter(|first| !first.is_empty() && values.iter().all(|v| v == first));
        let expected = agreed.and_then(|value| std::str::from_utf8(value).ok());
        assert_eq!(apps::cookies::read(&headers, name), expected, "{name}");
        let every: Vec<&str> = values.iter().filter_map(|value| std::str::from_utf8(value).ok()).collect();
        assert_eq!(apps::cookies::read_all(&headers, name).collect::<Vec<_>>(), every, "{name}");
    }
}

pub fn set_cookie(data: &[u8]) {
    let (headers, lines) = lines(data, &SET_COOKIE);
    let hosts = hosts();
    for (host, _) in hosts.iter() {
        let mut after = headers.clone();
        incoming(StatusCode::OK, &headers, &hosts, host).apply(&mut after);
        let set: Vec<&[u8]> = after.get_all(SET_COOKIE).iter().map(HeaderValue::as_bytes).collect();
        assert!(set.len() <= lines.len(), "cookies are made up");
        for line in set {
            let mut parts = line.split(|b| *b == b';');
            let pair = parts.next().unwrap_or_default();
            assert!(!is_ours(pair), "the SaaS sets {}", name_of(pair));
            // The pair is one that the SaaS sent.
            assert!(lines.iter().any(|sent| sent.split(|b| *b == b';').next().unwrap_or_default().trim_ascii() == pair.trim_ascii()));
            for part in parts {
                let part = String::from_utf8_lossy(part).to_lowercase();
                let Some((name, value)) = part.split_once('=') else { continue };
                if name.trim() == "domain" {
                    assert_eq!(value.trim(), "records.gw.example", "a Domain beyond the app");
                }
            }
        }
        saas::cookie_scopes(&after, "/a/b");
    }
}

/// A second list of what claims somebody, by beginnings of names with `_` read as `-`.
const CLAIMS: [&str; 26] = [
    "x-forward",
    "forwarded",
    "x-real-ip",
    "x-original-",
    "x-rewrite-",
    "x-remote-",
    "remote-",
    "proxy-",
    "cf-",
    "x-sekisho",
    "sekisho",
    "x-auth-request-",
    "x-auth-user",
    "x-authenticated-",
    "x-webauth-",
    "x-ssl-",
    "ssl-",
    "x-client-cert",
    "x-authentik-",
    "x-pomerium-",
    "x-vouch-",
    "tailscale-",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-amzn-oidc-",
    "x-envoy-",
];

const EXACTLY: [&str; 8] =
    ["via", "proxy", "client-cert", "client-cert-chain", "client-ip", "x-client-ip", "true-client-ip", "x-host"];

pub fn forwarded(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|b| *b == b'\n').take(100) {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    for websocket in [false, true] {
        let mut after = headers.clone();
        outgoing(&headers, &hosts(), HostIndex::MAIN, websocket).apply(&mut after);
        assert_eq!(after.get_all(HOST).iter().collect::<Vec<_>>(), ["r.saas.jp"]);
        for name in after.keys() {
            let plain = name.as_str().replace('_', "-");
            assert!(!name.as_str().contains('_'), "{name} reaches the SaaS");
            let claims = CLAIMS.iter().any(|claim| plain.starts_with(claim)) || EXACTLY.contains(&plain.as_str());
            assert!(!claims, "{name} reaches the SaaS");
        }
        // Only what a WebSocket needs is left of what Connection says, and nothing that it named but what decides.
        for value in after.get_all(CONNECTION) {
            assert!(websocket && value == "Upgrade", "Connection reaches the SaaS");
        }
        assert_eq!(after.contains_key("upgrade"), websocket);
        let nominated = headers.get_all(CONNECTION).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
        let readable = headers.get_all(CONNECTION).iter().all(|v| v.to_str().is_ok());
        for name in nominated.filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok()) {
            let text = name.as_str();
            let decides = ["content-", "sec-", "access-control-", "if-"].iter().any(|p| text.starts_with(p))
                || ["host", "cookie", "authorization", "origin", "referer", "transfer-encoding", "range", "expect"]
                    .contains(&text);
            let hop = ["keep-alive", "close", "upgrade", "connection"].contains(&text);
            assert!(decides || hop || !readable || !after.contains_key(&name), "{name} was nominated and stays");
        }
    }
}

/// First line: the target. Second: Host. Third: `:authority`, where there is one.
pub fn request_target(data: &[u8]) {
    let mut parts = data.splitn(3, |b| *b == b'\n');
    let raw = parts.next().unwrap_or_default();
    let host = parts.next().unwrap_or(b"records.gw.example");
    let authority = parts.next().and_then(|text| std::str::from_utf8(text).ok()).filter(|text| !text.is_empty());
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(host) {
        headers.insert(HOST, value);
    }
    let Ok(shaped) =
        shape(Target { method: &Method::GET, raw, authority }, &headers, ShapeSet::NONE, OverrideSet::NONE)
    else {
        mask_target(raw);
        return;
    };
    let path = shaped.path.as_str();
    assert!(path.starts_with('/'), "{path:?}");
    assert!(!path.contains("//") && !path.contains('\\') && !path.chars().any(char::is_control), "{path:?}");
    assert!(!path.split('/').any(|segment| matches!(segment, "." | "..")), "{path:?}");

    // The one host that is named, by a second reading.
    let named = authority.map(str::as_bytes).or(headers.get(HOST).map(HeaderValue::as_bytes));
    let named = named.expect("no host is named but by the target");
    let named = std::str::from_utf8(named).expect("a host that is no text");
    let bare = match named.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(_, port)| port),
        None => named.find(':').map(|at| &named[at..]).or(Some("")),
    };
    let port = bare.unwrap_or(":");
    assert!(port.is_empty() || port.starts_with(':') && port[1..].bytes().all(|b| b.is_ascii_digit()), "{named}");
    assert!(!named.contains(['@', ',', ' ', '/', '?', '#', '\\', '%']), "{named}");

    // Other ways to read the same target give the same path.
    let absolute = if raw.starts_with(b"/") { None } else { raw.windows(3).position(|three| three == b"://") };
    let line = absolute.map_or(raw, |at| {
        let rest = &raw[at + 3..];
        rest.iter().position(|b| *b == b'/').map_or(b"/", |slash| &rest[slash..])
    });
    let raw_path = line.split(|b| *b == b'?').next().unwrap_or_default();
    let once = decode(&cut(raw_path));
    assert_eq!(String::from_utf8_lossy(&once), path, "decoded once, parameters cut before");
    // Only where a segment has none: a parameter may hold anything that is no structure.
    if !raw_path.contains(&b';') {
        assert_eq!(String::from_utf8_lossy(&cut(&decode(raw_path))), path, "decoded once, parameters cut after");
    }
    assert_eq!(String::from_utf8_lossy(&decode(&once)), path, "decoded twice");
    assert_eq!(resolved(path), path, "dots resolved");
    // And what we read, read again, is what we read.
    let again: String = path
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b == b'/' { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let twice = shape(
        Target { method: &Method::GET, raw: again.as_bytes(), authority: None },
        &{
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("records.gw.example"));
            headers
        },
        ShapeSet::NONE,
        OverrideSet::NONE,
    );
    // A path with a `;` in it does not occur, since an encoded one is refused.
    assert_eq!(twice.map(|shaped| shaped.path).as_deref(), Ok(path), "read twice");
    assert!(!shaped.masked.chars().any(char::is_control), "{:?}", shaped.masked);
}

/// Each segment up to its first `;`.
fn cut(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|b| *b == b'/').map(|s| s.split(|b| *b == b';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join(&b'/')
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        match digits.filter(|_| *byte == b'%') {
            Some(two) => {
                out.push(u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap());
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// RFC 3986, 5.2.4.
fn resolved(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment {
            "." => {}
            ".." => {
                out.pop();
            }
            segment => out.push(segment),
        }
    }
    out.join("/")
}

/// What is marked stands where the record keeps nothing: in values of the query and of path parameters.
pub fn mask(data: &[u8]) {
    const MARK: &str = "hunter2";
    let mut source = Source::new(data);
    let mut target = String::from("/");
    let word = |source: &mut Source<'_>| {
        let length = source.below(24);
        let bytes = source.take(length);
        let text: String = bytes.iter().map(|b| char::from(b % 95 + 32)).filter(|c| !" ?#&=;/".contains(*c)).collect();
        text.replace(MARK, "")
    };
    let secret = |source: &mut Source<'_>| {
        let (before, after) = (word(source), word(source));
        format!("{before}{MARK}{after}")
    };
    for _ in 0..source.below(6) {
        target.push_str(&word(&mut source));
        if source.chance(100) {
            let (name, value) = (word(&mut source), secret(&mut source));
            target.push_str(&format!(";{name}={value}"));
        }
        if source.chance(40) {
            target.push_str(&format!(";{}", secret(&mut source)));
        }
        target.push('/');
    }
    for nth in 0..source.below(8) {
        target.push(if nth == 0 { '?' } else { '&' });
        if source.chance(220) {
            target.push_str(&format!("{}=", word(&mut source)));
        }
        target.push_str(&secret(&mut source));
    }
    if source.chance(60) {
        target.push_str(&format!("#{}", secret(&mut source)));
    }
    let masked = mask_target(target.as_bytes());
    assert!(!masked.contains(MARK), "{target:?} is recorded as {masked:?}");
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("records.gw.example"));
    if let Ok(shaped) = shape(
        Target { method: &Method::GET, raw: target.as_bytes(), authority: None },
        &headers,
        ShapeSet::NONE,
        OverrideSet::NONE,
    ) {
        assert!(!shaped.masked.contains(MARK), "{target:?} is recorded as {:?}", shaped.masked);
        assert!(!shaped.path.contains(MARK), "{target:?} is matched as {:?}", shaped.path);
    }
}
