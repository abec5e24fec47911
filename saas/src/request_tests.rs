use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn head(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn of(raw: &[u8], tolerate: &[Shape]) -> Result<Shaped, Ambiguity> {
    let target = Target { method: &Method::GET, raw, authority: None };
    shape(target, &head(&[("host", "a.gw")]), tolerate.iter().copied().collect(), OverrideSet::NONE)
}

fn with(headers: &[(&str, &str)]) -> Result<Shaped, Ambiguity> {
    shape(
        Target { method: &Method::POST, raw: b"/", authority: None },
        &head(headers),
        ShapeSet::NONE,
        OverrideSet::NONE,
    )
}

fn path(raw: &str) -> String {
    of(raw.as_bytes(), &[]).unwrap().path
}

#[test]
fn usual_paths_are_decoded_once() {
    assert_eq!(path("/"), "/");
    assert_eq!(path("/a/b.html?x=//%2f"), "/a/b.html");
    assert_eq!(path("/%E4%BD%90%e8%97%a4/%41%20b"), "/佐藤/A b");
    assert_eq!(path("/佐藤"), "/佐藤");
    assert_eq!(path("/100%25"), "/100%");
    assert_eq!(path("/a/"), "/a/");
    assert_eq!(path("/.well-known/.x..y"), "/.well-known/.x..y");
    assert_eq!(path("/資料／令和８年　１１月．pdf"), "/資料／令和８年　１１月．pdf");
}

#[test]
fn one_host_is_named_and_nothing_else() {
    for host in ["a.gw", "a.gw:8443", "A.GW", "xn--a_b.gw", "[::1]:443", "[::1]"] {
        assert!(with(&[("host", host)]).is_ok(), "{host}");
    }
    for host in
        ["", ":443", "a.gw, b.gw", "a.gw:443, b.gw", "a.gw:x", "x@a.gw", "a.gw:80:80", "a gw", "a.gw/", "[::1]x"]
    {
        assert_eq!(with(&[("host", host)]).unwrap_err(), Ambiguity::NoHost, "{host}");
    }
}

#[test]
fn an_absolute_form_stands_for_an_origin_form_of_the_same_host() {
    let of = |raw: &'static str| without_authority(raw.as_bytes(), b"a.gw:8443");
    assert_eq!(of("https://a.gw:8443/x?y=//z"), Some(&b"/x?y=//z"[..]));
    assert_eq!(of("HTTPS://A.GW:8443/x"), Some(&b"/x"[..]));
    assert_eq!(of("https://a.gw:8443"), Some(&b"/"[..]));
    for other in [
        "/x",
        "*",
        "https://a.gw/x",
        "https://b.gw:8443/x",
        "https://a.gw:8443@b.gw/x",
        "file://a.gw:8443/x",
        "a.gw:8443",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
}

#[test]
fn path_parameters_take_no_part_in_matching() {
    let shaped = of(b"/a;jsessionid=0123/b;x?q=secret", &[]).unwrap();
    assert_eq!(shaped.path, "/a/b");
    assert_eq!(shaped.masked, "/a/b;jsessionid=*;*?q=*");
}

#[test]
fn what_reads_in_two_ways_is_refused() {
    use Ambiguity as A;
    for (raw, why) in [
        ("/a%2fb", A::EncodedSlash),
        ("/a%2Fb", A::EncodedSlash),
        ("/a\\b", A::Backslash),
        ("/a%5cb", A::Backslash),
        ("//a", A::DoubleSlash),
        ("/a//b", A::DoubleSlash),
        ("/;x/a", A::DoubleSlash),
        ("/a%252fb", A::DoubleEncoding),
        ("/%252e%252e/a", A::DoubleEncoding),
        ("/%2541dmin", A::DoubleEncoding),
        ("/%25%32%66admin", A::DoubleEncoding),
        ("/%25%341dmin", A::DoubleEncoding),
        ("/a%3bx", A::EncodedSemicolon),
        ("/../a", A::DotSegment),
        ("/a/..", A::DotSegment),
        ("/./a", A::DotSegment),
        ("/%2e%2E/a", A::DotSegment),
        ("/.%2e", A::DotSegment),
        ("/a/..;x/b", A::DotSegment),
        ("/a%00", A::Control),
        ("/a%0ab", A::Control),
        ("/a%7f", A::Control),
        ("/a b", A::Control),
        ("/a%c2%80", A::Control),
        ("/a;x%00", A::Control),
        ("/a?x=\u{1}", A::Control),
        ("/a;x%2f../b", A::EncodedSlash),
        ("/a;x\\b", A::Backslash),
        ("/a%", A::InvalidPercent),
        ("/a%2", A::InvalidPercent),
        ("/a%zz", A::InvalidPercent),
        ("/a%u002f", A::InvalidPercent),
        ("/%c0%ae%c0%ae/", A::InvalidUtf8),
        ("/%95%5c", A::Backslash),
        ("/%83e", A::InvalidUtf8),
        ("/a%3fb", A::EncodedDelimiter),
        ("/a%23b", A::EncodedDelimiter),
        ("/a%253fb", A::DoubleEncoding),
        ("/.well-known/...", A::TrimmedName),
        ("/a./b", A::TrimmedName),
        ("/a/b%2e", A::TrimmedName),
        ("/files../b", A::TrimmedName),
        ("/a%20/b", A::TrimmedName),
        ("/a/%20b", A::TrimmedName),
        ("/a%c2%a0/b", A::TrimmedName),
        ("/a/b%e3%80%80", A::TrimmedName),
        ("/a/b.txt::$DATA", A::TrimmedName),
        ("/a¥b", A::Backslash),
        ("/a%c2%a5..%c2%a5b", A::Backslash),
        ("/a＼b", A::Backslash),
        ("/．．/b", A::DotSegment),
        ("/a%ef%bc%8f..%ef%bc%8fb", A::DotSegment),
        ("/․․/b", A::DotSegment),
        ("/‥/b", A::DotSegment),
        ("/a#b", A::Fragment),
        ("*", A::TargetForm),
        ("", A::TargetForm),
        ("a/b", A::TargetForm),
        ("ftp://a.gw/", A::TargetForm),
        ("http://a.gw?x", A::TargetForm),
    ] {
        assert_eq!(of(raw.as_bytes(), &[]), Err(why), "{raw:?}");
    }
}

#[test]
fn a_tolerated_shape_passes_and_brings_no_other_along() {
    let path = |raw: &str, shapes: &[Shape]| of(raw.as_bytes(), shapes).map(|s| s.path);
    assert_eq!(path("/a%2fb", &[Shape::EncodedSlash]).unwrap(), "/a/b");
    assert_eq!(path("/a%2f..%2fb", &[Shape::EncodedSlash]), Err(Ambiguity::DotSegment));
    assert_eq!(path("/a%2f%2fb", &[Shape::EncodedSlash]), Err(Ambiguity::DoubleSlash));
    assert_eq!(path("/a\\b", &[Shape::Backslash]).unwrap(), "/a\\b");
    assert_eq!(path("/a\\..\\b", &[Shape::Backslash]), Err(Ambiguity::DotSegment));
    assert_eq!(path("//a///b/", &[Shape::DoubleSlash]).unwrap(), "/a/b/");
    assert_eq!(path("/%2541", &[Shape::DoubleEncoding]).unwrap(), "/%41");
    assert_eq!(path("/%252f", &[Shape::DoubleEncoding]), Err(Ambiguity::DoubleEncoding));
    assert_eq!(path("/a%3bb", &[Shape::EncodedSemicolon]).unwrap(), "/a;b");
    assert_eq!(path("/%83e", &[Shape::InvalidUtf8]).unwrap(), "/\u{fffd}e");
    assert_eq!(path("/what%3f", &[Shape::EncodedDelimiter]).unwrap(), "/what?");
    assert_eq!(path("/a./b%20", &[Shape::TrimmedName]).unwrap(), "/a./b ");
    assert_eq!(path("/and so on...", &[Shape::TrimmedName]), Err(Ambiguity::Control));
    assert_eq!(path("/and%20so%20on...", &[Shape::TrimmedName]).unwrap(), "/and so on...");
    assert_eq!(path("/files../b", &[Shape::TrimmedName]), Err(Ambiguity::TrimmedName));
    assert_eq!(path("/a/%2e.", &[Shape::TrimmedName]), Err(Ambiguity::DotSegment));
    assert_eq!(path("/a¥b", &[Shape::Backslash]).unwrap(), "/a¥b");
    assert_eq!(path("/a¥..¥b", &[Shape::Backslash]), Err(Ambiguity::DotSegment));
    assert_eq!(path("/%83e%2f", &[Shape::InvalidUtf8]), Err(Ambiguity::EncodedSlash));
}

#[test]
fn one_host_is_named_however_often() {
    let of = |raw: &str, authority: Option<&str>, headers: &[(&str, &str)]| {
        shape(
            Target { method: &Method::OPTIONS, raw: raw.as_bytes(), authority },
            &head(headers),
            ShapeSet::NONE,
            OverrideSet::NONE,
        )
        .map(|s| s.path)
    };
    let host = [("host", "A.gw:8443")];
    assert_eq!(of("https://a.gw:8443/x?y", None, &host).unwrap(), "/x");
    assert_eq!(of("https://a.gw:8443", None, &host).unwrap(), "/");
    assert_eq!(of("/x", Some("a.gw:8443"), &[]).unwrap(), "/x");
    assert_eq!(of("*", None, &host).unwrap(), "*");
    assert_eq!(of("https://b.gw/x", None, &host), Err(Ambiguity::HostMismatch));
    assert_eq!(of("https://a.gw/x", None, &host), Err(Ambiguity::HostMismatch));
    assert_eq!(of("/x", Some("b.gw"), &host), Err(Ambiguity::HostMismatch));
    assert_eq!(of("https://b.gw/x", Some("a.gw:8443"), &host), Err(Ambiguity::HostMismatch));
    assert_eq!(of("/x", None, &[]), Err(Ambiguity::NoHost));
    assert_eq!(of("/x", None, &[("host", "")]), Err(Ambiguity::NoHost));
}

#[test]
fn a_header_that_stands_once_stands_once() {
    for name in SINGLE {
        if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
            continue;
        }
        let mut headers = head(&[("host", "a.gw")]);
        headers.append(&name, HeaderValue::from_static("a.gw"));
        headers.append(&name, HeaderValue::from_static("a.gw"));
        let target = Target { method: &Method::GET, raw: b"/", authority: None };
        assert_eq!(
            shape(target, &headers, ShapeSet::NONE, OverrideSet::NONE),
            Err(Ambiguity::DuplicateHeader),
            "{name}"
        );
    }
    assert!(with(&[("host", "a.gw"), ("cookie", "a=1"), ("cookie", "b=2"), ("accept", "a"), ("accept", "b")]).is_ok());
}

#[test]
fn a_bodys_length_reads_in_one_way() {
    for headers in
        [&[("content-length", "5"), ("content-length", "6")][..], &[("content-length", "5"), ("content-length", "5")]]
    {
        assert_eq!(with(&[&[("host", "a.gw")], headers].concat()), Err(Ambiguity::DuplicateHeader));
    }
    for headers in [
        &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
        &[("content-length", "5, 5")],
        &[("content-length", "+5")],
        &[("content-length", "")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "xchunked")],
    ] {
        assert_eq!(with(&[&[("host", "a.gw")], headers].concat()), Err(Ambiguity::Framing), "{headers:?}");
    }
    assert!(with(&[("host", "a.gw"), ("transfer-encoding", "Chunked")]).is_ok());
}

#[test]
fn nobody_overrides_the_method_or_nominates_what_decides() {
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        assert_eq!(with(&[("host", "a.gw"), (name, "DELETE")]), Err(Ambiguity::MethodOverride));
    }
    for nominated in ["Host", "close, Cookie", "content-length", "Origin", "Sec-Fetch-Site", "X-Forwarded-For"] {
        assert_eq!(with(&[("host", "a.gw"), ("connection", nominated)]), Err(Ambiguity::NominatedHeader));
    }
    assert!(with(&[("host", "a.gw"), ("connection", "keep-alive, Upgrade, x-mine")]).is_ok());
}

#[test]
fn nothing_secret_shows_in_debug() {
    let shaped = of(b"/reset/5ECRET0b1c2d3e4f5ECRET0b1c2d3e4f;s=5ECRET?t=5ECRET", &[]).unwrap();
    assert!(!format!("{shaped:?}").contains("ECRET"));
    let target = Target { method: &Method::GET, raw: b"/SECRET", authority: None };
    assert!(!format!("{target:?}").contains("SECRET"));
}

fn any_shapes() -> impl Strategy<Value = Vec<Shape>> {
    use Shape as S;
    let all = [
        S::EncodedSlash,
        S::Backslash,
        S::DoubleSlash,
        S::DoubleEncoding,
        S::EncodedSemicolon,
        S::InvalidUtf8,
        S::EncodedDelimiter,
        S::TrimmedName,
    ];
    proptest::sample::subsequence(all.to_vec(), 0..=8)
}

proptest! {
    #[test]
    fn whatever_passes_is_canonical(
        raw in "/([a-c./;%\\\\?#]|%2[05ef]|%5[cC]|%3b|%25|%00|佐|[ -~]){0,24}", shapes in any_shapes(),
    ) {
        if let Ok(shaped) = of(raw.as_bytes(), &shapes) {
            prop_assert!(shaped.path.starts_with('/'));
            prop_assert!(!shaped.path.contains("//"));
            prop_assert!(!shaped.path.split(['/', '\\']).any(|s| s == "." || s == ".."));
            prop_assert!(!shaped.path.chars().any(char::is_control));
            if shapes.is_empty() {
                // Read once more, nothing changes: no second reading exists.
                let again = shaped.path.replace('%', "%25").replace(' ', "%20");
                prop_assert!(!shaped.path.contains(['\\', ';', '?', '#']));
                prop_assert!(!shaped.path.split('/').any(|s| s.ends_with(['.', ' ']) || s.starts_with(' ')));
                if !shaped.path.contains('%') {
                    prop_assert_eq!(of(again.as_bytes(), &[]).unwrap().path, shaped.path);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(raw in proptest::collection::vec(any::<u8>(), 0..200), shapes in any_shapes()) {
        let _ = of(&raw, &shapes);
    }

    #[test]
    fn encoding_plain_letters_changes_nothing(path in "(/[a-z0-9_.~-]{1,6}x){1,4}", which in any::<u64>()) {
        let encoded: String = path
            .bytes()
            .enumerate()
            .map(|(at, b)| if b != b'/' && which >> (at % 64) & 1 == 1 { format!("%{b:02x}") } else { char::from(b).to_string() })
            .collect();
        prop_assert_eq!(of(encoded.as_bytes(), &[]).unwrap().path, path);
    }
}
