//! Cookies, by the rules that matter between our hosts: host-only or Domain, Path, expiry by Max-Age 0. One without a
//! Path is taken to be for `/`.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Jar {
    /// By (domain, host-only, name, path).
    cookies: BTreeMap<(String, bool, String, String), String>,
}

impl Jar {
    pub(super) fn take(&mut self, host: &str, set_cookie: &str) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let mut domain = None;
        let mut path = "/".to_owned();
        let mut ended = false;
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.to_ascii_lowercase().as_str() {
                "domain" => domain = Some(value.trim_start_matches('.').to_ascii_lowercase()),
                "path" if value.starts_with('/') => value.clone_into(&mut path),
                "max-age" => ended = value.parse::<i64>().is_ok_and(|age| age <= 0),
                _ => {}
            }
        }
        // A browser refuses a cookie for somebody else's domain.
        if domain.as_ref().is_some_and(|d| !covers(d, host)) {
            return;
        }
        let key = (domain.clone().unwrap_or_else(|| host.to_owned()), domain.is_none(), name.to_owned(), path);
        if ended {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }

    /// What is sent with a request for `path`, which has no query.
    pub(super) fn header(&self, host: &str, path: &str) -> String {
        self.cookies
            .iter()
            .filter(|((domain, host_only, ..), _)| if *host_only { domain == host } else { covers(domain, host) })
            .filter(|((.., below), _)| reaches(below, path))
            .map(|((_, _, name, _), value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// `Clear-Site-Data: "cookies"`: all of the registrable domain, neighbours included (Clear Site Data, 3.1). Good
    /// for domains under a public suffix of one label.
    pub(super) fn clear(&mut self, host: &str) {
        let labels: Vec<_> = host.rsplit('.').take(2).collect();
        let registrable = labels.into_iter().rev().collect::<Vec<_>>().join(".");
        self.cookies.retain(|(domain, ..), _| !covers(&registrable, domain));
    }
}

/// RFC 6265, 5.1.4.
fn reaches(below: &str, path: &str) -> bool {
    path.strip_prefix(below).is_some_and(|rest| rest.is_empty() || below.ends_with('/') || rest.starts_with('/'))
}

fn covers(domain: &str, host: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_only_cookies_stay_with_their_host() {
        let mut jar = Jar::default();
        jar.take("a.x.example", "one=1; Path=/; Secure");
        jar.take("a.x.example", "two=2; Domain=x.example");
        jar.take("a.x.example", "three=3; Domain=y.example");
        assert_eq!(jar.header("a.x.example", "/"), "one=1; two=2");
        assert_eq!(jar.header("b.x.example", "/"), "two=2");
        jar.take("a.x.example", "four=4; Path=/k");
        assert_eq!(jar.header("a.x.example", "/k/l"), "four=4; one=1; two=2");
        assert_eq!(jar.header("a.x.example", "/kk"), "one=1; two=2");
        jar.take("a.x.example", "four=; Path=/k; Max-Age=0");
        jar.take("a.x.example", "one=; Max-Age=0");
        assert_eq!(jar.header("a.x.example", "/"), "two=2");
    }
}
