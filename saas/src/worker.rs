//! Service workers: scripts of a SaaS that stand, in the browser, between people and a host of its app.
//!
//! One whose scope holds the reserved path could read tickets, keep them from us, and show a page of its own for ours. How
//! far a worker may reach is told by the folder of its script or, instead of that, by `Service-Worker-Allowed` (Service
//! Workers, "Update"): so no response may let one reach the reserved path.

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::edits::Edits;

const ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");
/// Where nothing is, so that nothing below it is worth having.
const NOWHERE: HeaderValue = HeaderValue::from_static("/.sekisho-none/");

/// What changes in a response so that no worker made of it reaches `reserved`. `path`: the request's, as the browser wrote
/// it, which is what it takes the folder from.
pub fn keep_workers_away(path: &str, reserved: &str, response: &HeaderMap) -> Edits {
    let mut edits = Edits::default();
    let mut allowed = response.get_all(ALLOWED).iter();
    let reaches = match (allowed.next(), allowed.next()) {
        (Some(value), None) => !is_elsewhere(value.as_bytes()),
        (Some(_), Some(_)) => true,
        (None, _) => path.rfind('/').is_some_and(|end| reserved.starts_with(&path[..=end])) && is_script(response),
    };
    if reaches {
        edits.set.push((ALLOWED, NOWHERE));
    }
    edits
}

/// A path of plain segments, of which the first is not ours: in one way only, whatever a browser makes of it.
fn is_elsewhere(value: &[u8]) -> bool {
    let plain = |segment: &[u8]| {
        segment.first() != Some(&b'.')
            && segment.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~'))
    };
    match value {
        [b'/', rest @ ..] if !rest.is_empty() && rest[0] != b'/' => rest.split(|b| *b == b'/').all(plain),
        _ => false,
    }
}

/// All types that browsers run as script say so in their name (MIME Sniffing, 4.6). Of several lines the last that is a
/// type counts (Fetch, 2.2.2, extract a MIME type), so each is looked at.
fn is_script(response: &HeaderMap) -> bool {
    let names_script = |kind: &[u8]| kind.windows(6).any(|word| word.eq_ignore_ascii_case(b"script"));
    response.get_all(CONTENT_TYPE).iter().any(|kind| names_script(kind.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(path: &str, kind: &str, values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        for value in values {
            headers.append(ALLOWED, value.parse().unwrap());
        }
        keep_workers_away(path, "/.sekisho/ticket", &headers).apply(&mut headers);
        headers.get(ALLOWED).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_script_reaches_its_own_folder_but_never_the_reserved_path() {
        const JS: &str = "text/javascript; charset=utf-8";
        let nowhere = Some(NOWHERE.to_str().unwrap().to_owned());
        for path in ["/sw.js", "/", "/.sekisho/sw.js", "/sw.js;a=b"] {
            assert_eq!(allowed(path, JS, &[]), nowhere, "{path}");
        }
        for (path, kind) in [("/k/sw.js", JS), ("/.sekisho/ticket/sw.js", JS), ("/k/", JS), ("/", "text/html")] {
            assert_eq!(allowed(path, kind, &[]), None, "{path} {kind}");
        }
        assert_eq!(allowed("/sw.js", "application/ECMAScript", &[]), nowhere);
        assert_eq!(allowed("/sw.js", JS, &["/k/"]), Some("/k/".to_owned()));
        assert_eq!(allowed("/k/l/sw.js", JS, &["/k/v1.2"]), Some("/k/v1.2".to_owned()));
        for wide in [
            "/",
            "",
            ".",
            "..",
            "../",
            "/.",
            "/.sekisho/",
            "/./",
            "/k/../",
            "/k/%2e%2e/",
            "/k/.\t./",
            "//host/",
            "/\\host/",
            "https://records.gw.example/",
            "?",
            "#",
            "/%2Esekisho/",
            "k",
            "/k/..",
            " /",
        ] {
            assert_eq!(allowed("/k/sw.js", JS, &[wide]), nowhere, "{wide}");
        }
        assert_eq!(allowed("/k/sw.js", JS, &["/k/", "/"]), nowhere);
        // Two types: browsers take the last.
        let mut two = HeaderMap::new();
        two.append(CONTENT_TYPE, "text/plain".parse().unwrap());
        two.append(CONTENT_TYPE, JS.parse().unwrap());
        keep_workers_away("/sw.js", "/.sekisho/ticket", &two).apply(&mut two);
        assert_eq!(two.get(ALLOWED), Some(&NOWHERE));
    }
}
