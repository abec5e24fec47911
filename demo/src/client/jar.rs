//! Cookies, by the rules that matter between our hosts: host-only or Domain, expiry by Max-Age 0.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Jar {
    /// By (domain, host-only, name).
    cookies: BTreeMap<(String, bool, String), String>,
}

impl Jar {
    pub(super) fn take(&mut self, host: &str, set_cookie: &str) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let mut domain = None;
        let mut ended = false;
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.to_ascii_lowercase().as_str() {
                "domain" => domain = Some(value.trim_start_matches('.').to_ascii_lowercase()),
                "max-age" => ended = value.parse::<i64>().is_ok_and(|age| age <= 0),
                _ => {}
            }
        }
        // A browser refuses a cookie for somebody else's domain.
        if domain.as_ref().is_some_and(|d| !covers(d, host)) {
            return;
        }
        let key = (domain.clone().unwrap_or_else(|| host.to_owned()), domain.is_none(), name.to_owned());
        if ended {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }

    pub(super) fn header(&self, host: &str) -> String {
        self.cookies
            .iter()
            .filter(|((domain, host_only, _), _)| if *host_only { domain == host } else { covers(domain, host) })
            .map(|((_, _, name), value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
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
        assert_eq!(jar.header("a.x.example"), "one=1; two=2");
        assert_eq!(jar.header("b.x.example"), "two=2");
        jar.take("a.x.example", "one=; Max-Age=0");
        assert_eq!(jar.header("a.x.example"), "two=2");
    }
}
