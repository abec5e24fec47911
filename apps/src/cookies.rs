//! Our cookies: their names, how they are set, and how they are read.
//!
//! All are `__Host-`: `Secure`, without `Domain`, for `/`, so that no other host of the domain can set them
//! (RFC 6265bis, 4.1.3.2), but for [`OWNER_BELOW`]. They last as long as the browser is open, and how long they are
//! worth something is decided on the server; marks of whose a browser's data are last longer, and open nothing.

use http::HeaderMap;
use http::header::COOKIE;

/// The session, on an app's host.
pub const APP: &str = "__Host-sekisho";
/// The session, on the host of the sign-in pages.
pub const LOGIN: &str = "__Host-sekisho-login";
/// Marks the browser that began a sign-in, on an app's host.
pub const BEGIN: &str = "__Host-sekisho-begin";
/// Marks the browser that was shown a form, on the host of the sign-in pages.
pub const FORM: &str = "__Host-sekisho-form";

/// Marks the browser that was led to the sign-in pages with an invitation, on their host: the handle of where it goes.
pub const INVITED: &str = "__Host-sekisho-invited";

/// Whose a host's data in this browser are, on an app's host. Lasts longer than what a SaaS leaves there.
pub const OWNER: &str = "__Host-sekisho-owner";
/// The same for what stands below a path. Not `__Host-`, which would tie it to `/`.
pub const OWNER_BELOW: &str = "__Secure-sekisho-owner";
/// The browser's half of the key to forms that are kept for it, on an app's host.
pub const HELD: &str = "__Host-sekisho-held";

/// Which login to the SaaS its cookies belong to, on an app's host.
pub const SAAS: &str = "__Host-sekisho-saas";
/// The same for an app with several hosts, which share it.
pub const SAAS_WIDE: &str = "__Secure-sekisho-saas";

/// 400 days, the longest that browsers keep a cookie (RFC 6265bis, 5.5).
const LONGEST: u32 = 400 * 24 * 3600;

/// As [`set`], for as long as browsers keep a cookie at all.
pub fn set_for_long(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Max-Age={LONGEST}; Secure; HttpOnly; SameSite=Lax")
}

/// Marks what stands below a path: of one host, or with `domain` of all hosts below it.
pub fn set_below(value: &str, path: &str, domain: Option<&str>) -> String {
    let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
    format!("{OWNER_BELOW}={value}; Path={path}{domain}; Max-Age={LONGEST}; Secure; HttpOnly; SameSite=Lax")
}

/// Sets the mark of a SaaS's cookies: of one host, or with `domain` of all hosts below it. For as long as cookies last at
/// all: those of the SaaS may.
pub fn set_saas(value: &str, domain: Option<&str>) -> String {
    match domain {
        None => set_for_long(SAAS, value),
        Some(domain) => {
            format!("{SAAS_WIDE}={value}; Path=/; Domain={domain}; Max-Age={LONGEST}; Secure; HttpOnly; SameSite=Lax")
        }
    }
}

/// Takes any cookie away, whoever set it; it must be named as it was set. Twice, because a browser keeps what was set
/// as `Partitioned` in another place under the same name.
pub fn expire(name: &str, path: &str, domain: Option<&str>) -> [String; 2] {
    let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
    ["", "; Partitioned"].map(|partitioned| format!("{name}=; Path={path}{domain}; Max-Age=0; Secure{partitioned}"))
}

/// Every value of a cookie that may be there for several paths.
pub fn read_all<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    values(headers, name).filter_map(|value| std::str::from_utf8(value).ok())
}

/// The values of a cookie as they came. Bytes, not text: what a SaaS or a neighbour's script puts beside our cookies may
/// be in any encoding, and must not hide ours.
fn values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h [u8]> {
    let crumbs = headers.get_all(COOKIE).into_iter().flat_map(|line| line.as_bytes().split(|b| *b == b';'));
    crumbs.filter_map(move |crumb| {
        let end = crumb.iter().position(|b| *b == b'=')?;
        (crumb[..end].trim_ascii() == name.as_bytes()).then(|| crumb[end + 1..].trim_ascii())
    })
}

/// The value of `Set-Cookie` that sets a cookie of ours. `Lax`, because people come from other hosts.
pub fn set(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax")
}

/// The value of `Set-Cookie` that takes a cookie of ours away.
pub fn clear(name: &str) -> String {
    format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
}

/// A cookie's value. None also if it was sent twice with different values: then we can't tell which is ours.
pub fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut all = values(headers, name);
    let first = all.next()?;
    if first.is_empty() || all.any(|other| other != first) {
        return None;
    }
    std::str::from_utf8(first).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, cookie.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_is_found_among_others_and_in_crumbs() {
        assert_eq!(read(&headers(&["a=1; __Host-sekisho=x; b=2"]), APP), Some("x"));
        assert_eq!(read(&headers(&["a=1", "__Host-sekisho=x=="]), APP), Some("x=="));
        assert_eq!(read(&headers(&["__Host-sekisho-login=y"]), APP), None);
        assert_eq!(read(&headers(&["__Host-sekisho="]), APP), None);
    }

    #[test]
    fn what_others_put_beside_ours_hides_nothing() {
        for beside in ["memo=\u{4f50}\u{85e4}".as_bytes(), b"memo=\x82\xa0", b"\xff", b"=", b"\"; x"] {
            let mut line = beside.to_vec();
            line.extend_from_slice(b"; __Host-sekisho=x");
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, http::HeaderValue::from_bytes(&line).unwrap());
            assert_eq!(read(&headers, APP), Some("x"), "{beside:?}");
            assert_eq!(read_all(&headers, APP).collect::<Vec<_>>(), ["x"]);
        }
    }

    #[test]
    fn two_different_values_are_none() {
        assert_eq!(read(&headers(&["__Host-sekisho=x; __Host-sekisho=x"]), APP), Some("x"));
        assert_eq!(read(&headers(&["__Host-sekisho=x", "__Host-sekisho=y"]), APP), None);
    }

    #[test]
    fn every_cookie_keeps_what_its_prefix_promises() {
        for name in [APP, LOGIN, BEGIN, FORM, OWNER, HELD] {
            assert!(name.starts_with("__Host-"));
            for value in [set(name, "v"), set_for_long(name, "v"), clear(name)] {
                assert!(value.contains("; Secure") && value.contains("; Path=/;") && value.contains("; HttpOnly"));
                assert!(!value.to_ascii_lowercase().contains("domain"));
            }
        }
    }
}
