//! Addresses of the SaaS within header values, mapped to ours. `None` means that nothing changes.

use crate::authority::{self, HTTPS};
use crate::host_map::{HostMap, MappedHost};

/// A URL reference as Location has it: absolute or scheme-relative; a path stays.
pub(crate) fn url(value: &[u8], hosts: &HostMap) -> Option<Vec<u8>> {
    let (scheme, rest) = split_scheme(value);
    let rest = if scheme == Scheme::None { value.strip_prefix(b"//")? } else { rest };
    // Browsers read `\` as `/` here.
    let end = rest.iter().position(|b| matches!(b, b'/' | b'\\' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let name_at = authority.iter().rposition(|b| *b == b'@').map_or(0, |at| at + 1);
    let (user, name) = authority.split_at(name_at);
    let host = mapped(scheme, std::str::from_utf8(name).ok()?, hosts)?;
    Some([scheme.ours(), b"//", user, host.our_authority().as_bytes(), path].concat())
}

/// `5; url=https://…`
pub(crate) fn refresh(value: &[u8], hosts: &HostMap) -> Option<Vec<u8>> {
    let start = value.windows(4).position(|w| w.eq_ignore_ascii_case(b"url="))? + 4;
    let rest = &value[start..];
    let skipped = rest.iter().position(|b| !matches!(b, b' ' | b'\t' | b'"' | b'\'')).unwrap_or(rest.len());
    let start = start + skipped;
    Some([&value[..start], &url(&value[start..], hosts)?].concat())
}

/// `<https://…>; rel=preload, <…>` (RFC 8288)
pub(crate) fn links(value: &[u8], hosts: &HostMap) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len() + 32);
    let mut touched = false;
    let mut rest = value;
    while let Some(open) = rest.iter().position(|b| *b == b'<') {
        let Some(close) = rest[open..].iter().position(|b| *b == b'>').map(|at| open + at) else { break };
        out.extend_from_slice(&rest[..=open]);
        let target = &rest[open + 1..close];
        match url(target, hosts) {
            Some(mapped) => {
                touched = true;
                out.extend_from_slice(&mapped);
            }
            None => out.extend_from_slice(target),
        }
        rest = &rest[close..];
    }
    out.extend_from_slice(rest);
    touched.then_some(out)
}

/// Words of a Content-Security-Policy or a list of origins: sources with or without scheme, port and path become
/// ours; a wildcard stays, followed by those of our hosts whose originals it meant.
pub(crate) fn sources(value: &[u8], hosts: &HostMap) -> Option<Vec<u8>> {
    let separates = |b: &u8| matches!(b, b' ' | b'\t' | b';' | b',');
    let mut out = Vec::new();
    // How much of `value` stands in `out` already.
    let mut copied = 0;
    let mut start = 0;
    while start < value.len() {
        let end = value[start..].iter().position(separates).map_or(value.len(), |at| start + at);
        if let Some(mapped) = source(&value[start..end], hosts) {
            out.extend_from_slice(&value[copied..start]);
            out.extend_from_slice(&mapped);
            copied = end;
        }
        start = end + 1;
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(&value[copied..]);
    Some(out)
}

fn source(word: &[u8], hosts: &HostMap) -> Option<Vec<u8>> {
    // Keywords, hashes and nonces are quoted; a host of fewer than three letters is none of a SaaS's.
    if word.len() < 3 || word[0] == b'\'' {
        return None;
    }
    let (scheme, rest) = split_scheme(word);
    let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = std::str::from_utf8(authority).ok()?;
    if let Some(domain) = authority.strip_prefix("*.") {
        return wildcard(word, scheme, domain, path, hosts);
    }
    let host = match authority.strip_suffix(":*") {
        Some(name) => hosts.iter().map(|(_, h)| h).find(|h| h.upstream_host().eq_ignore_ascii_case(name))?,
        None => mapped(scheme, authority, hosts)?,
    };
    Some([scheme.ours(), scheme.slashes(), host.our_authority().as_bytes(), path].concat())
}

fn wildcard(word: &[u8], scheme: Scheme, domain: &str, path: &[u8], hosts: &HostMap) -> Option<Vec<u8>> {
    let domain = authority::split(domain.strip_suffix(":*").unwrap_or(domain))?.0;
    let mut out = word.to_vec();
    for (_, host) in hosts.iter() {
        let name = host.upstream_host();
        if name.len() > domain.len() && authority::is_within(name, domain) {
            out.push(b' ');
            out.extend_from_slice(scheme.ours());
            out.extend_from_slice(scheme.slashes());
            out.extend_from_slice(host.our_authority().as_bytes());
            out.extend_from_slice(path);
        }
    }
    (out.len() > word.len()).then_some(out)
}

/// The schemes whose addresses are ours to map. All of ours are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    None,
    Http,
    Https,
    Ws,
    Wss,
}

impl Scheme {
    fn ours(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Http | Self::Https => b"https:",
            Self::Ws | Self::Wss => b"wss:",
        }
    }

    fn slashes(self) -> &'static [u8] {
        if self == Self::None { b"" } else { b"//" }
    }
}

fn split_scheme(value: &[u8]) -> (Scheme, &[u8]) {
    const SCHEMES: [(&[u8], Scheme); 4] =
        [(b"https://", Scheme::Https), (b"http://", Scheme::Http), (b"wss://", Scheme::Wss), (b"ws://", Scheme::Ws)];
    if !matches!(value.first(), Some(b'h' | b'H' | b'w' | b'W')) {
        return (Scheme::None, value);
    }
    SCHEMES
        .into_iter()
        .find_map(|(text, scheme)| {
            let head = value.get(..text.len())?;
            head.eq_ignore_ascii_case(text).then(|| (scheme, &value[text.len()..]))
        })
        .unwrap_or((Scheme::None, value))
}

/// An unencrypted address on its default port means the same host as the encrypted one on its own: a SaaS on
/// https only ever redirects from there.
fn mapped<'a>(scheme: Scheme, authority: &str, hosts: &'a HostMap) -> Option<&'a MappedHost> {
    let plain = matches!(scheme, Scheme::Http | Scheme::Ws);
    match authority::split(authority)? {
        (name, Some(80)) if plain => hosts.ours_for(name, HTTPS),
        (_, Some(_)) if plain => None,
        _ => hosts.ours_for(authority, HTTPS),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host_map::tests::{records, records_on_a_port};

    fn text(mapped: Option<Vec<u8>>) -> Option<String> {
        mapped.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn an_address_of_the_app_becomes_ours_and_others_stay() {
        let map = |v: &str| text(url(v.as_bytes(), &records()));
        assert_eq!(
            map("https://r.saas.jp/a?b=https://r.saas.jp#c").unwrap(),
            "https://records.gw.example/a?b=https://r.saas.jp#c"
        );
        assert_eq!(map("HTTPS://R.SAAS.JP").unwrap(), "https://records.gw.example");
        assert_eq!(map("http://r.saas.jp:80/a").unwrap(), "https://records.gw.example/a");
        assert_eq!(map("//assets.saas.jp:8443/x").unwrap(), "//assets.records.gw.example/x");
        assert_eq!(map("https://u@r.saas.jp?x").unwrap(), "https://u@records.gw.example?x");
        for stays in [
            "/a",
            "",
            "a/b",
            "https://other.jp/",
            "https://assets.saas.jp/",
            "https://r.saas.jp.evil.example/",
            "https://r.saas.jp@evil.example/",
            "http://r.saas.jp:8080/",
            "http://assets.saas.jp:8443/",
            "mailto:a@r.saas.jp",
        ] {
            assert_eq!(map(stays), None, "{stays}");
        }
    }

    #[test]
    fn our_port_is_written_where_it_is_not_443() {
        let map = records_on_a_port();
        assert_eq!(text(url(b"https://r.saas.jp/a", &map)).unwrap(), "https://records.gw.example:8443/a");
        assert_eq!(text(sources(b"img-src r.saas.jp", &map)).unwrap(), "img-src records.gw.example:8443");
    }

    #[test]
    fn refresh_and_links_hold_addresses() {
        assert_eq!(
            text(refresh(b"5; URL='https://r.saas.jp/a'", &records())).unwrap(),
            "5; URL='https://records.gw.example/a'"
        );
        assert_eq!(refresh(b"5", &records()), None);
        assert_eq!(
            text(links(
                b"<https://r.saas.jp/a.css>; rel=preload, </b>; x=\"https://r.saas.jp\", <//r.saas.jp",
                &records()
            ))
            .unwrap(),
            "<https://records.gw.example/a.css>; rel=preload, </b>; x=\"https://r.saas.jp\", <//r.saas.jp"
        );
    }

    #[test]
    fn a_policys_sources_are_mapped_one_to_one() {
        let map = |v: &str| text(sources(v.as_bytes(), &records()));
        assert_eq!(
            map("default-src 'self' https://r.saas.jp; img-src r.saas.jp/img/ data: cdn.jp;connect-src wss://r.saas.jp ws://r.saas.jp:*; report-uri https://r.saas.jp/csp").unwrap(),
            "default-src 'self' https://records.gw.example; img-src records.gw.example/img/ data: cdn.jp;connect-src wss://records.gw.example wss://records.gw.example; report-uri https://records.gw.example/csp"
        );
        assert_eq!(
            map("script-src 'nonce-a.b' https://*.saas.jp").unwrap(),
            "script-src 'nonce-a.b' https://*.saas.jp https://records.gw.example https://assets.records.gw.example"
        );
        assert_eq!(map("script-src *.r.saas.jp * 'none'"), None);
    }

    proptest! {
        #[test]
        fn anything_is_read_and_a_mapped_address_is_not_mapped_again(value in "(https?:|)(//|)(r.saas.jp|assets.saas.jp:8443|[a-z.:@*]{0,9})[/?#a-z;, <>]{0,12}") {
            let hosts = records();
            for map in [url, refresh, links] {
                if let Some(once) = map(value.as_bytes(), &hosts) {
                    prop_assert_eq!(map(&once, &hosts), None);
                }
            }
            let _ = sources(value.as_bytes(), &hosts);
        }
    }
}
