use http::{HeaderName, HeaderValue};

use super::*;
use crate::host_map::tests::records;

const OWN: &str = "https://records.gw.example";
const OWN_ASSETS: &str = "https://assets.records.gw.example";
const OTHER_APP: &str = "https://kaipoke.gw.example";

fn head(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn cross(method: &Method, pairs: &[(&str, &str)]) -> bool {
    is_cross_site(method, &head(pairs), &records(), HostIndex::MAIN, false)
}

#[test]
fn the_apps_own_pages_are_one_site() {
    assert!(!cross(&Method::POST, &[("origin", OWN), ("sec-fetch-site", "same-origin")]));
    assert!(!cross(&Method::POST, &[("origin", OWN_ASSETS), ("sec-fetch-site", "same-site")]));
    assert!(!cross(&Method::GET, &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]));
    assert!(!cross(&Method::GET, &[("sec-fetch-site", "same-site"), ("referer", "https://records.gw.example/a")]));
    assert!(!cross(&Method::POST, &[("origin", "null"), ("sec-fetch-site", "same-origin")]));
    assert!(!cross(&Method::GET, &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")]));
}

#[test]
fn another_apps_pages_are_another_site() {
    assert!(cross(&Method::POST, &[("origin", OTHER_APP), ("sec-fetch-site", "same-site")]));
    assert!(cross(&Method::POST, &[("origin", OTHER_APP)]));
    assert!(cross(&Method::GET, &[("origin", OTHER_APP), ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")]));
    assert!(cross(&Method::GET, &[("sec-fetch-site", "same-site"), ("sec-fetch-dest", "image")]));
    assert!(cross(&Method::GET, &[("sec-fetch-site", "same-site"), ("referer", "https://kaipoke.gw.example/")]));
    assert!(cross(&Method::POST, &[("origin", "https://records.gw.example:8443")]));
    assert!(cross(&Method::POST, &[("origin", "http://records.gw.example")]));
}

#[test]
fn a_link_leads_here_from_anywhere_but_a_frame_or_form_does_not() {
    let from = |dest| [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", dest)];
    assert!(!cross(&Method::GET, &from("document")));
    assert!(cross(&Method::GET, &from("iframe")));
    assert!(cross(&Method::POST, &from("document")));
    assert!(cross(&Method::POST, &[("origin", "null"), ("sec-fetch-site", "cross-site")]));
    assert!(cross(&Method::POST, &[("origin", "null")]));
    assert!(cross(&Method::GET, &[("sec-fetch-site", "invented")]));
}

#[test]
fn browsers_without_fetch_metadata_are_told_by_origin_and_referer() {
    let foreign = ("referer", "https://evil.example/");
    assert!(cross(&Method::POST, &[foreign]));
    assert!(cross(&Method::GET, &[foreign, ("accept", "image/*")]));
    assert!(!cross(&Method::GET, &[foreign, ("accept", "text/html,*/*")]));
    assert!(!cross(&Method::POST, &[]));
    assert!(!cross(&Method::GET, &[]));
    assert!(!cross(&Method::POST, &[("referer", "https://records.gw.example/a")]));
    assert!(cross(&Method::POST, &[("referer", "https://records.gw.example.evil.example/")]));
}

#[test]
fn a_further_host_gives_parts_of_pages_to_pages_that_hide_their_name() {
    let hosts = records();
    let assets = hosts.find("assets.records.gw.example").unwrap();
    let is_cross = |method: &Method, site, dest| {
        let headers = head(&[("sec-fetch-site", site), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", dest)]);
        is_cross_site(method, &headers, &hosts, assets, false)
    };
    assert!(!is_cross(&Method::GET, "same-site", "style"));
    assert!(is_cross(&Method::GET, "same-site", "empty"));
    assert!(is_cross(&Method::GET, "same-site", "iframe"));
    assert!(is_cross(&Method::POST, "same-site", "style"));
    assert!(is_cross(&Method::GET, "cross-site", "style"));
}

#[test]
fn a_websocket_needs_an_origin_of_the_app() {
    let open = |origin: Option<&str>| {
        let mut pairs = vec![("sec-fetch-site", "same-origin"), ("upgrade", "websocket"), ("connection", "Upgrade")];
        pairs.extend(origin.map(|o| ("origin", o)));
        let headers = head(&pairs);
        assert!(is_websocket(&Method::GET, &headers));
        is_cross_site(&Method::GET, &headers, &records(), HostIndex::MAIN, true)
    };
    assert!(!open(Some(OWN)));
    for foreign in [Some(OTHER_APP), Some("null"), Some("https://evil.example"), None] {
        assert!(open(foreign), "{foreign:?}");
    }
}

#[test]
fn a_websocket_is_a_get_with_both_headers() {
    let upgrade = ("upgrade", "WebSocket");
    assert!(is_websocket(&Method::GET, &head(&[upgrade, ("connection", "keep-alive, upgrade")])));
    assert!(!is_websocket(&Method::POST, &head(&[upgrade, ("connection", "upgrade")])));
    assert!(!is_websocket(&Method::GET, &head(&[upgrade])));
    assert!(!is_websocket(&Method::GET, &head(&[("upgrade", "h2c"), ("connection", "upgrade")])));
}

#[test]
fn only_the_apps_own_preflight_without_credentials_counts() {
    let hosts = records();
    let asked = [("origin", OWN), ("access-control-request-method", "PUT")];
    let counts =
        |method: &Method, more: &[(&str, &str)]| is_own_preflight(method, &head(&[&asked[..], more].concat()), &hosts);
    assert!(counts(&Method::OPTIONS, &[]));
    assert!(counts(&Method::OPTIONS, &[("content-length", "0")]));
    assert!(!counts(&Method::GET, &[]));
    for more in [("cookie", "a=1"), ("authorization", "x"), ("content-length", "5"), ("transfer-encoding", "chunked")] {
        assert!(!counts(&Method::OPTIONS, &[more]), "{more:?}");
    }
    let foreign = head(&[("origin", OTHER_APP), ("access-control-request-method", "PUT")]);
    assert!(!is_own_preflight(&Method::OPTIONS, &foreign, &hosts));
    assert!(!is_own_preflight(&Method::OPTIONS, &head(&[("origin", OWN)]), &hosts));
}

#[test]
fn scripts_get_no_pages() {
    let html = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    let page = |pairs: &[(&str, &str)]| wants_page(&Method::GET, &head(pairs));
    assert!(page(&[("sec-fetch-mode", "navigate")]));
    assert!(page(&[html]));
    assert!(!page(&[("sec-fetch-mode", "cors"), html]));
    assert!(!page(&[("sec-fetch-mode", "no-cors"), html]));
    assert!(!page(&[html, ("x-requested-with", "XMLHttpRequest")]));
    assert!(!page(&[("accept", "*/*")]));
    assert!(!page(&[]));
    assert!(!page(&[html, ("upgrade", "websocket"), ("connection", "upgrade")]));
}
