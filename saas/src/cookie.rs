//! Cookies: ours never reach a SaaS, a SaaS's never take our names, and its Domain becomes ours.

use http::{HeaderMap, HeaderValue, header};

use crate::authority;
use crate::host_map::{HostIndex, HostMap};

/// Beginnings of the names that are the gate's own, in lower case. Browsers compare prefixes in any case
/// (RFC 6265bis §4.1.3), so do we.
const OURS: [&[u8]; 5] =
    [b"__host-sekisho", b"__host-http-sekisho", b"__http-sekisho", b"__secure-sekisho", b"sekisho"];

/// What becomes of a header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate<T> {
    Keep,
    Drop,
    Change(T),
}

/// The request's Cookie lines as one, without ours. HTTP/2 sends crumbs, which HTTP/1.1 awaits joined (RFC 9113
/// §8.2.3).
pub(crate) fn to_saas(headers: &HeaderMap) -> Fate<HeaderValue> {
    let lines = headers.get_all(header::COOKIE);
    let mut joined = Vec::with_capacity(lines.iter().map(|line| line.len() + 2).sum());
    let (mut count, mut dropped) = (0, false);
    for line in &lines {
        count += 1;
        for crumb in split(line.as_bytes()) {
            if is_ours(crumb) {
                dropped = true;
            } else if !crumb.is_empty() {
                if !joined.is_empty() {
                    joined.extend_from_slice(b"; ");
                }
                joined.extend_from_slice(crumb);
            }
        }
    }
    if count <= 1 && !dropped {
        return Fate::Keep;
    }
    if joined.is_empty() {
        return Fate::Drop;
    }
    // Pieces of header values joined by `; ` are a header value; if ever not, none is sent.
    HeaderValue::try_from(joined).map_or(Fate::Drop, |mut value| {
        value.set_sensitive(true);
        Fate::Change(value)
    })
}

/// One Set-Cookie line of the SaaS, as answered by `host`.
///
/// A Domain that reaches further hosts of the app becomes the app's own, below which they all lie; one that
/// reaches only the answering host goes, which means the same. A cookie whose Domain doesn't reach the answering
/// host is one that browsers would refuse, so it goes too.
pub(crate) fn from_saas(line: &[u8], hosts: &HostMap, host: HostIndex) -> Fate<Vec<u8>> {
    let mut parts = split(line);
    if is_ours(parts.next().unwrap_or_default()) {
        return Fate::Drop;
    }
    // Of several Domain attributes the last one counts (RFC 6265 §5.3).
    let Some(domain) = parts.filter_map(domain_of).last() else { return Fate::Keep };
    let reaches = |upstream: &str| {
        std::str::from_utf8(domain).is_ok_and(|domain| domain.is_empty() || authority::is_within(upstream, domain))
    };
    if !reaches(hosts.get(host).upstream_host()) {
        return Fate::Drop;
    }
    let reached = if domain.is_empty() { 1 } else { hosts.iter().filter(|(_, h)| reaches(h.upstream_host())).count() };
    let mut out = Vec::with_capacity(line.len() + 32);
    for (nth, part) in split(line).enumerate() {
        if nth > 0 && domain_of(part).is_some() {
            continue;
        }
        if nth > 0 {
            out.extend_from_slice(b"; ");
        }
        out.extend_from_slice(part);
    }
    if reached > 1 {
        out.extend_from_slice(b"; Domain=");
        out.extend_from_slice(hosts.main().our_host().as_bytes());
    }
    Fate::Change(out)
}

/// The value of a trimmed Domain attribute, without the leading dot that older specifications asked for.
pub(crate) fn domain_of(attribute: &[u8]) -> Option<&[u8]> {
    let rest = attribute.get(6..).filter(|_| attribute[..6].eq_ignore_ascii_case(b"domain"))?.trim_ascii_start();
    let value = match rest {
        [] => rest,
        [b'=', value @ ..] => value.trim_ascii_start(),
        _ => return None,
    };
    Some(value.strip_prefix(b".").unwrap_or(value))
}

/// Whether a `name=value` pair has a name of ours. A pair that begins with `=` has no name, and browsers send its
/// value alone: what the value looks like is then the name.
pub(crate) fn is_ours(pair: &[u8]) -> bool {
    let start = pair.iter().position(|b| !matches!(b, b'=' | b' ' | b'\t' | b'"')).unwrap_or(pair.len());
    let name = &pair[start..];
    if !matches!(name.first(), Some(b'_' | b's' | b'S')) {
        return false;
    }
    OURS.iter().any(|ours| name.get(..ours.len()).is_some_and(|head| head.eq_ignore_ascii_case(ours)))
}

/// The parts between `;`, trimmed.
pub(crate) fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b';', line).chain([line.len()]);
    ends.scan(0, |start, end| {
        let part = &line[*start..end];
        *start = end + 1;
        Some(part.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host_map::tests::records;

    fn sent(lines: &[&str]) -> Fate<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_str(line).unwrap());
        }
        match to_saas(&headers) {
            Fate::Keep => Fate::Keep,
            Fate::Drop => Fate::Drop,
            Fate::Change(value) => Fate::Change(value.to_str().unwrap().to_owned()),
        }
    }

    fn answered(line: &str, host: usize) -> Fate<String> {
        match from_saas(line.as_bytes(), &records(), HostIndex(host)) {
            Fate::Keep => Fate::Keep,
            Fate::Drop => Fate::Drop,
            Fate::Change(value) => Fate::Change(String::from_utf8(value).unwrap()),
        }
    }

    #[test]
    fn ours_stay_here_whatever_the_spelling() {
        assert_eq!(sent(&["a=1; __Host-sekisho=x; b=\"q\""]), Fate::Change("a=1; b=\"q\"".into()));
        assert_eq!(sent(&["__HOST-Sekisho=x"]), Fate::Drop);
        assert_eq!(sent(&["=__Host-sekisho=x; a=1"]), Fate::Change("a=1".into()));
        assert_eq!(sent(&["__Host-Http-sekisho-begin=x; a=1;sekisho_y"]), Fate::Change("a=1".into()));
        assert_eq!(sent(&["a=1; b=2"]), Fate::Keep);
        assert_eq!(sent(&[]), Fate::Keep);
    }

    #[test]
    fn crumbs_are_joined() {
        assert_eq!(sent(&["a=1", "b=2", "__Secure-sekisho=x"]), Fate::Change("a=1; b=2".into()));
    }

    #[test]
    fn a_saas_sets_no_cookie_of_our_name() {
        for line in ["__Host-sekisho=x; Path=/; Secure", "=__host-sekisho=x", "SEKISHO", " __Host-Http-sekisho = x"] {
            assert_eq!(answered(line, 0), Fate::Drop, "{line}");
        }
    }

    #[test]
    fn a_domain_becomes_the_apps_or_goes() {
        assert_eq!(answered("s=1; Path=/; Secure; HttpOnly", 0), Fate::Keep);
        assert_eq!(
            answered("s=1; domain=.SAAS.jp; Path=/; Secure", 1),
            Fate::Change("s=1; Path=/; Secure; Domain=records.gw.example".into())
        );
        assert_eq!(answered("s=1; Domain=r.saas.jp; Secure", 0), Fate::Change("s=1; Secure".into()));
        assert_eq!(answered("s=1; Domain=; Secure", 0), Fate::Change("s=1; Secure".into()));
        assert_eq!(
            answered("s=1; Domain=other.jp; Domain=saas.jp", 0),
            Fate::Change("s=1; Domain=records.gw.example".into())
        );
        assert_eq!(answered("s=1; Domain=other.jp", 0), Fate::Drop);
        assert_eq!(answered("s=1; Domain=r.saas.jp", 1), Fate::Drop);
    }

    proptest! {
        #[test]
        fn nothing_of_ours_passes(
            before in "[a-z0-9=; \"]{0,20}", name in "(__Host-|__host-Http-|__Secure-|)[sS]ekisho[a-z-]{0,6}", after in "[a-z0-9=; ]{0,20}",
        ) {
            let line = format!("{before};{name}=SECRET;{after}");
            if let Ok(value) = HeaderValue::from_str(&line) {
                let mut headers = HeaderMap::new();
                headers.insert(header::COOKIE, value);
                match to_saas(&headers) {
                    Fate::Keep => prop_assert!(false, "kept"),
                    Fate::Drop => {}
                    Fate::Change(v) => prop_assert!(!v.to_str().unwrap().contains("SECRET")),
                }
            }
        }

        #[test]
        fn any_line_is_read(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_saas(&line, &records(), HostIndex::MAIN);
        }
    }
}
