//! Where a SaaS's cookies stand in a browser, as far as a proxy can tell: their names in a request, their paths in a
//! response. For forgetting them when people change.

use http::{HeaderMap, header};

use crate::cookie::{domain_of, is_ours, split};

/// Where a cookie is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieScope {
    /// Begins with `/`; never `/` itself.
    pub path: String,
    /// It has a Domain: it is sent to all hosts of the app, not to the answering one alone.
    pub whole_app: bool,
}

/// The distinct names of a request's cookies, without the gate's own. Names that could not stand in a header of a
/// response are left out.
pub fn saas_cookie_names(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in headers.get_all(header::COOKIE) {
        for crumb in split(line.as_bytes()).filter(|crumb| !crumb.is_empty() && !is_ours(crumb)) {
            let name = crumb.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii();
            let Ok(name) = std::str::from_utf8(name) else { continue };
            if name.bytes().all(|b| b.is_ascii_graphic() && b != b';') && !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// The scopes below `/` of the cookies that a response sets, its head already mapped to our names. `request_path` is
/// the raw path of the request: what a cookie without a Path takes its own from (RFC 6265, 5.1.4 and 5.2.4).
pub fn cookie_scopes(response: &HeaderMap, request_path: &str) -> Vec<CookieScope> {
    let mut scopes: Vec<CookieScope> = Vec::new();
    for line in response.get_all(header::SET_COOKIE) {
        let mut parts = split(line.as_bytes());
        if is_ours(parts.next().unwrap_or_default()) {
            continue;
        }
        let (mut path, mut whole_app, mut ends) = (None, false, false);
        for attribute in parts {
            if domain_of(attribute).is_some_and(|domain| !domain.is_empty()) {
                whole_app = true;
            }
            let (name, value) = std::str::from_utf8(attribute).unwrap_or_default().split_once('=').unwrap_or_default();
            if name.trim().eq_ignore_ascii_case("path") {
                path = Some(value.trim());
            } else if name.trim().eq_ignore_ascii_case("max-age") {
                ends = value.trim().parse::<i64>().is_ok_and(|age| age <= 0);
            }
        }
        let path = path.filter(|path| path.starts_with('/')).unwrap_or_else(|| default_path(request_path));
        // A path parameter can't stand in a cookie: from there on it would be an attribute.
        let path = path.split(';').next().and_then(|before| match before.len() == path.len() {
            true => Some(before),
            false => before.rfind('/').map(|end| &before[..end]),
        });
        let path = path.filter(|path| !path.is_empty()).unwrap_or("/");
        let scope = CookieScope { path: path.to_owned(), whole_app };
        if path != "/" && !ends && !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

fn default_path(request_path: &str) -> &str {
    match request_path.rfind('/') {
        Some(end) if end > 0 && request_path.starts_with('/') => &request_path[..end],
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &header::HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn names_are_the_saas_s_own_each_once() {
        let lines = ["JSESSIONID=1; __Host-sekisho=x; lang=ja", "JSESSIONID=2; =odd; flag"];
        assert_eq!(saas_cookie_names(&headers(&header::COOKIE, &lines)), ["JSESSIONID", "lang", "", "flag"]);
    }

    #[test]
    fn only_what_stands_below_the_root_has_a_scope() {
        let scope = |path: &str, whole_app| CookieScope { path: path.into(), whole_app };
        let scopes = |lines: &[&str], path| cookie_scopes(&headers(&header::SET_COOKIE, lines), path);
        assert_eq!(scopes(&["a=1; Path=/; HttpOnly"], "/x/y"), []);
        assert_eq!(scopes(&["a=1; Path=/kaipokebiz; Secure"], "/"), [scope("/kaipokebiz", false)]);
        assert_eq!(scopes(&["a=1", "b=2; path=relative"], "/x/y"), [scope("/x", false)]);
        assert_eq!(scopes(&["a=1"], "/x"), []);
        assert_eq!(scopes(&["a=1"], "/x/y;Domain=gw.example/z"), [scope("/x", false)]);
        assert_eq!(scopes(&["a=1"], "/x;Domain=gw.example/z"), []);
        assert_eq!(scopes(&["a=1; Path=/k; Domain=a.gw.example"], "/"), [scope("/k", true)]);
        assert_eq!(scopes(&["a=; Path=/k; Max-Age=0", "__Secure-sekisho-x=1; Path=/k"], "/"), []);
    }
}
