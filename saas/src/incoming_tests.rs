use proptest::prelude::*;

use super::*;
use crate::host_map::tests::records;

fn head(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn answered(pairs: &[(&str, &str)]) -> HeaderMap {
    answered_with(StatusCode::OK, pairs)
}

fn answered_with(status: StatusCode, pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = head(pairs);
    incoming(status, &headers, &records(), HostIndex::MAIN).apply(&mut headers);
    headers
}

fn value(name: &str, before: &str) -> Option<String> {
    answered(&[(name, before)]).get(name).map(|v| v.to_str().unwrap().to_owned())
}

#[test]
fn addresses_become_ours() {
    for name in ["location", "content-location", "sourcemap"] {
        assert_eq!(value(name, "https://r.saas.jp/a").unwrap(), "https://records.gw.example/a");
        assert_eq!(value(name, "/a").unwrap(), "/a");
    }
    assert_eq!(value("refresh", "0;url=https://r.saas.jp/a").unwrap(), "0;url=https://records.gw.example/a");
    assert_eq!(value("link", "<https://r.saas.jp/a>; rel=next").unwrap(), "<https://records.gw.example/a>; rel=next");
    let csp = value("content-security-policy", "img-src https://r.saas.jp").unwrap();
    assert_eq!(csp, "img-src https://records.gw.example");
}

#[test]
fn cors_answers_for_our_origin() {
    let name = "access-control-allow-origin";
    assert_eq!(value(name, "https://r.saas.jp").unwrap(), "https://records.gw.example");
    for stays in ["*", "null", "https://other.example"] {
        assert_eq!(value(name, stays).unwrap(), stays);
    }
}

#[test]
fn every_cookie_is_looked_at_and_the_others_stay_in_order() {
    let headers = answered(&[
        ("set-cookie", "a=1; Secure"),
        ("set-cookie", "__Host-sekisho=evil; Secure; Path=/"),
        ("set-cookie", "b=2; Domain=saas.jp"),
    ]);
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Secure", "b=2; Domain=records.gw.example"]);
    assert!(incoming(StatusCode::OK, &head(&[("set-cookie", "a=1")]), &records(), HostIndex::MAIN).is_empty());
}

#[test]
fn a_saas_speaks_for_no_other_name_and_opens_no_other_way() {
    for gone in [
        "alt-svc",
        "public-key-pins",
        "public-key-pins-report-only",
        "expect-ct",
        "nel",
        "report-to",
        "reporting-endpoints",
        "set-cookie2",
        "keep-alive",
        "proxy-authenticate",
        "upgrade",
        "connection",
        "sekisho-person",
        "x-sekisho-person",
        "trailer",
    ] {
        assert_eq!(value(gone, "x"), None, "{gone}");
    }
    let name = "strict-transport-security";
    assert_eq!(value(name, "max-age=31536000; includeSubDomains; preload").unwrap(), "max-age=31536000");
    assert_eq!(value(name, "includeSubDomains ; Max-Age = \"60\"").unwrap(), "max-age=60");
    for gone in ["max-age=0", "includeSubDomains", "max-age=x", "max-age=00; includeSubDomains", "max-age=00"] {
        assert_eq!(value(name, gone), None, "{gone}");
    }
}

#[test]
fn a_saas_clears_its_data_but_not_our_session() {
    let name = "clear-site-data";
    assert_eq!(value(name, "\"*\"").unwrap(), "\"cache\", \"storage\"");
    assert_eq!(value(name, "\"cache\",\"cookies\"").unwrap(), "\"cache\"");
    assert_eq!(value(name, "\"cookies\""), None);
    assert_eq!(value(name, "\"cache\"").unwrap(), "\"cache\"");
}

#[test]
fn an_open_websocket_keeps_its_upgrade() {
    let headers = answered_with(
        StatusCode::SWITCHING_PROTOCOLS,
        &[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "x")],
    );
    assert_eq!(headers.len(), 3);
}

#[test]
fn what_a_connection_nominates_ends_here_but_not_what_protects() {
    let headers = answered(&[
        ("connection", "x-mine, Content-Security-Policy"),
        ("x-mine", "1"),
        ("content-security-policy", "sandbox"),
    ]);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-security-policy"]);
}

#[test]
fn a_usual_response_stays_as_it_is() {
    let headers = head(&[
        ("content-type", "text/html; charset=Shift_JIS"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("cache-control", "no-store"),
        ("x-frame-options", "SAMEORIGIN"),
        ("content-security-policy", "default-src 'self'; upgrade-insecure-requests"),
        ("service-worker-allowed", "/"),
        ("www-authenticate", "Basic"),
        ("content-disposition", "attachment"),
    ]);
    assert!(incoming(StatusCode::OK, &headers, &records(), HostIndex::MAIN).is_empty());
}

proptest! {
    #[test]
    fn any_value_of_a_mapped_header_is_read(
        name in "(location|link|refresh|content-security-policy|set-cookie|strict-transport-security|clear-site-data|connection)",
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let mut headers = HeaderMap::new();
            headers.append(name.parse::<HeaderName>().unwrap(), value);
            incoming(StatusCode::OK, &headers, &records(), HostIndex::MAIN).apply(&mut headers);
        }
    }
}
