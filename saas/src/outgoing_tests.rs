use proptest::prelude::*;

use super::*;
use crate::host_map::tests::{records, records_on_a_port};

fn head(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn sent(pairs: &[(&str, &str)]) -> HeaderMap {
    sent_as(pairs, false)
}

fn sent_as(pairs: &[(&str, &str)], websocket: bool) -> HeaderMap {
    let mut headers = head(pairs);
    outgoing(&headers, &records(), HostIndex::MAIN, websocket).apply(&mut headers);
    headers
}

#[test]
fn the_saas_sees_its_own_name() {
    let headers = sent(&[
        ("host", "records.gw.example"),
        ("origin", "https://assets.records.gw.example"),
        ("referer", "https://records.gw.example/residents?q=1"),
    ]);
    assert_eq!(headers["host"], "r.saas.jp");
    assert_eq!(headers["origin"], "https://assets.saas.jp:8443");
    assert_eq!(headers["referer"], "https://r.saas.jp/residents?q=1");
    // HTTP/2 may come without a Host line.
    assert_eq!(sent(&[])["host"], "r.saas.jp");
}

#[test]
fn our_port_is_part_of_our_name() {
    let mut headers = head(&[("host", "records.gw.example:8443"), ("origin", "https://records.gw.example:8443")]);
    outgoing(&headers, &records_on_a_port(), HostIndex::MAIN, false).apply(&mut headers);
    assert_eq!(
        (&headers["host"], &headers["origin"]),
        (&"r.saas.jp".parse().unwrap(), &"https://r.saas.jp".parse().unwrap())
    );
}

#[test]
fn the_gateways_other_names_stay_here_and_foreign_ones_pass() {
    for ours in ["https://login.gw.example/?x", "https://gw.example", "https://other.gw.example:9/"] {
        assert!(sent(&[("referer", ours)]).get("referer").is_none(), "{ours}");
    }
    assert!(sent(&[("origin", "https://login.gw.example")]).get("origin").is_none());
    assert_eq!(sent(&[("origin", "null")])["origin"], "null");
    assert_eq!(sent(&[("referer", "https://idp.example/")])["referer"], "https://idp.example/");
}

#[test]
fn nobody_claims_to_be_somebody() {
    for name in [
        "X-Forwarded-For",
        "X-Forwarded-User",
        "x-forwarded",
        "Forwarded",
        "X-Real-IP",
        "Via",
        "X-Client-Cert",
        "X-Client-Cert-Chain",
        "Client-Cert",
        "X-SSL-Client-S-DN",
        "SSL-Client-Cert",
        "Remote-User",
        "X-Remote-User",
        "X-Remote-Groups",
        "X-Auth-User",
        "X-Auth-Username",
        "X-Auth-Request-Email",
        "Sekisho-Person",
        "X-Sekisho-Person",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "X-Original-URL",
        "X-Original-Host",
        "X-Rewrite-URL",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Proxy",
        "X-Host",
        "X-Forwarded-Host",
        "X-Envoy-External-Address",
        "X-Amzn-Oidc-Identity",
        "X-Ms-Client-Principal-Name",
        "X-Goog-Authenticated-User-Email",
        "WL-Proxy-Client-IP",
        "Front-End-Https",
        "X-User",
        "Tailscale-User-Login",
        "X-WebAuth-User",
        "X_Forwarded_For",
        "Remote_User",
        "x_anything",
        "any_thing",
        "SSL_CLIENT_CERT",
        "X-Client-IP",
    ] {
        let headers = sent(&[("host", "records.gw.example"), (name, "admin")]);
        assert_eq!(headers.len(), 1, "{name}");
    }
}

#[test]
fn what_a_saas_needs_stays() {
    let kept = [
        ("accept", "text/html"),
        ("accept-encoding", "gzip, br"),
        ("authorization", "Bearer x"),
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("sec-fetch-site", "same-origin"),
        ("user-agent", "x"),
        ("x-auth-token", "x"),
        ("x-csrf-token", "x"),
        ("x-requested-with", "XMLHttpRequest"),
        ("x-cybozu-authorization", "x"),
        ("if-none-match", "\"x\""),
        ("range", "bytes=0-"),
        ("cookie", "s=1"),
    ];
    let headers = sent(&kept);
    for (name, value) in kept {
        assert_eq!(headers[name], value);
    }
    assert_eq!(sent(&[("transfer-encoding", "chunked")])["transfer-encoding"], "chunked");
}

#[test]
fn hop_by_hop_headers_and_nominated_ones_end_here() {
    let headers = sent(&[
        ("connection", "keep-alive, X-Mine, Content-Length, Cookie"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("upgrade", "h2c"),
        ("http2-settings", "x"),
        ("x-mine", "1"),
        ("content-length", "5"),
        ("cookie", "s=1"),
    ]);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>().len(), 3, "{:?}", headers.keys());
    assert!(headers.contains_key("content-length") && headers.contains_key("cookie"));
}

#[test]
fn a_websocket_keeps_its_upgrade_and_nothing_else() {
    let headers = sent_as(
        &[
            ("connection", "keep-alive, Upgrade, x-mine"),
            ("upgrade", "WebSocket"),
            ("x-mine", "1"),
            ("sec-websocket-key", "x"),
            ("origin", "https://records.gw.example"),
        ],
        true,
    );
    assert_eq!(
        (&headers["connection"], &headers["upgrade"]),
        (&"Upgrade".parse().unwrap(), &"websocket".parse().unwrap())
    );
    assert_eq!(headers["origin"], "https://r.saas.jp");
    assert!(headers.contains_key("sec-websocket-key") && !headers.contains_key("x-mine"));
}

#[test]
fn our_cookie_goes_and_theirs_stays() {
    let headers = sent(&[("cookie", "__Host-sekisho=SECRET; s=1")]);
    assert_eq!(headers["cookie"], "s=1");
    assert!(sent(&[("cookie", "__Host-sekisho=SECRET")]).get("cookie").is_none());
    let headers = head(&[("cookie", "__Host-sekisho=SECRET; s=SECRET")]);
    let edits = outgoing(&headers, &records(), HostIndex::MAIN, false);
    assert!(!format!("{edits:?}").contains("SECRET"));
}

#[test]
fn a_preflight_goes_bare() {
    let mut headers = head(&[
        ("host", "assets.records.gw.example"),
        ("origin", "https://records.gw.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "x-a"),
        ("cookie", "s=1"),
        ("authorization", "x"),
        ("x-anything", "x"),
        ("connection", "close"),
    ]);
    let hosts = records();
    let to = hosts.find("assets.records.gw.example").unwrap();
    outgoing_preflight(&headers, &hosts, to).apply(&mut headers);
    assert_eq!(headers["host"], "assets.saas.jp:8443");
    assert_eq!(headers["origin"], "https://r.saas.jp");
    assert_eq!(headers.len(), 4);
}

proptest! {
    #[test]
    fn no_underscore_and_no_nominated_header_passes(
        names in proptest::collection::vec("[a-z_-]{1,12}", 0..12), nominate in any::<u16>(),
    ) {
        let mut headers = HeaderMap::new();
        let mut nominated = Vec::new();
        for (at, name) in names.iter().enumerate() {
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("x"));
            if nominate >> at & 1 == 1 {
                nominated.push(name.clone());
            }
        }
        headers.insert(header::CONNECTION, HeaderValue::from_str(&nominated.join(", ")).unwrap());
        outgoing(&headers, &records(), HostIndex::MAIN, false).apply(&mut headers);
        prop_assert!(!headers.keys().any(|n| n.as_str().contains('_')));
        for name in nominated.iter().filter(|name| !decides(name)) {
            prop_assert!(!headers.contains_key(name.as_str()), "{}", name);
        }
    }
}
