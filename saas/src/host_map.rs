//! Which of our hosts stands for which of the SaaS's, one to one, both ways.

use std::fmt;

use http::HeaderValue;

use crate::authority;

/// One of an app's hosts: what people's browsers call it and what the SaaS calls it.
#[derive(Clone, Debug)]
pub struct MappedHost {
    our_host: String,
    our_authority: String,
    our_origin: String,
    upstream_host: String,
    upstream_port: u16,
    upstream_authority: String,
    is_static: bool,
    pub(crate) upstream_authority_value: HeaderValue,
    pub(crate) upstream_origin_value: HeaderValue,
}

impl MappedHost {
    /// Our host name in lower case, without a port: `records.gw.example`.
    pub fn our_host(&self) -> &str {
        &self.our_host
    }

    /// Our host with the public port unless it is 443: what a browser sends as Host.
    pub fn our_authority(&self) -> &str {
        &self.our_authority
    }

    /// `https://` and our authority: what a browser sends as Origin.
    pub fn our_origin(&self) -> &str {
        &self.our_origin
    }

    /// The SaaS's host name in lower case; also the name its certificate is verified for. Never empty.
    pub fn upstream_host(&self) -> &str {
        &self.upstream_host
    }

    pub fn upstream_port(&self) -> u16 {
        self.upstream_port
    }

    /// The SaaS's host with its port unless that is 443: what the SaaS awaits as Host.
    pub fn upstream_authority(&self) -> &str {
        &self.upstream_authority
    }

    /// Whether it serves style sheets, fonts and scripts only.
    pub fn is_static(&self) -> bool {
        self.is_static
    }
}

/// A host's place in its app's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostIndex(pub(crate) usize);

impl HostIndex {
    /// The app's main host.
    pub const MAIN: Self = Self(0);
}

/// A pair can't stand in the map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostMapError {
    #[error("`{0}` {1}")]
    Name(String, &'static str),
    #[error("`{0}` stands for two hosts")]
    Twice(String),
    #[error("an app needs at least one host")]
    Empty,
}

/// All hosts of one app. The first is its main host; the others lie below it.
#[derive(Clone, Debug)]
pub struct HostMap {
    hosts: Vec<MappedHost>,
    port: u16,
    domain: String,
}

impl HostMap {
    /// `pairs`: our host name and the SaaS's `https://host[:port]`; `port`: the one people's browsers use;
    /// `domain`: the gateway's, whose other names mean nothing to the SaaS and are not told to it.
    ///
    /// # Errors
    /// A name is not a host name, or one stands twice on either side.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        port: u16,
        domain: &str,
    ) -> Result<Self, HostMapError> {
        let mut hosts: Vec<MappedHost> = Vec::new();
        for (ours, upstream) in pairs {
            let host = mapped(ours, upstream, port)?;
            if hosts.iter().any(|h| h.our_host == host.our_host) {
                return Err(HostMapError::Twice(host.our_host));
            }
            if hosts.iter().any(|h| h.upstream_authority == host.upstream_authority) {
                return Err(HostMapError::Twice(host.upstream_authority));
            }
            hosts.push(host);
        }
        if hosts.is_empty() {
            return Err(HostMapError::Empty);
        }
        Ok(Self { hosts, port, domain: domain.to_ascii_lowercase() })
    }

    /// Says that the host at `place`, from 0, serves style sheets, fonts and scripts only.
    #[must_use]
    pub fn with_static(mut self, place: usize) -> Self {
        if let Some(host) = self.hosts.get_mut(place) {
            host.is_static = true;
        }
        self
    }

    /// Whether the host at `index` serves style sheets, fonts and scripts only.
    pub fn is_static(&self, index: HostIndex) -> bool {
        self.get(index).is_static
    }

    /// The host that a Host header or authority names, with or without our port, in any case.
    pub fn find(&self, host: &str) -> Option<HostIndex> {
        let (name, port) = authority::split(host)?;
        if port.is_some_and(|p| p != self.port) {
            return None;
        }
        self.hosts.iter().position(|h| h.our_host.eq_ignore_ascii_case(name)).map(HostIndex)
    }

    /// The host at `index`. An index of another app's map names the main host.
    pub fn get(&self, index: HostIndex) -> &MappedHost {
        self.hosts.get(index.0).unwrap_or(&self.hosts[0])
    }

    pub fn main(&self) -> &MappedHost {
        &self.hosts[0]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (HostIndex, &MappedHost)> {
        self.hosts.iter().enumerate().map(|(at, host)| (HostIndex(at), host))
    }

    /// The port people's browsers use.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host whose origin a browser would send as `origin`.
    pub fn upstream_for(&self, our_origin: &str) -> Option<&MappedHost> {
        self.hosts.iter().find(|h| h.our_origin.eq_ignore_ascii_case(our_origin))
    }

    /// The host that stands for the SaaS's `host[:port]`; `port` is the scheme's own if the text has none.
    pub fn ours_for(&self, upstream_authority: &str, port: u16) -> Option<&MappedHost> {
        let (name, written) = authority::split(upstream_authority)?;
        let port = written.unwrap_or(port);
        self.hosts.iter().find(|h| h.upstream_port == port && h.upstream_host.eq_ignore_ascii_case(name))
    }

    /// Whether `authority` is a name of the gateway: one of this app's, or any other below its domain.
    pub(crate) fn is_gateway(&self, authority: &str) -> bool {
        let host = authority::split(authority).map_or(authority, |(host, _)| host);
        authority::is_within(host, &self.domain) || self.hosts.iter().any(|h| authority::is_within(host, &h.our_host))
    }
}

fn mapped(ours: &str, upstream: &str, port: u16) -> Result<MappedHost, HostMapError> {
    let our_host = ours.to_ascii_lowercase();
    authority::check_host(&our_host).map_err(|problem| HostMapError::Name(ours.to_owned(), problem))?;
    let (upstream_host, upstream_port) =
        authority::parse_https(upstream).map_err(|problem| HostMapError::Name(upstream.to_owned(), problem))?;
    let our_authority = authority::write(&our_host, port);
    let upstream_authority = authority::write(&upstream_host, upstream_port);
    let our_origin = format!("https://{our_authority}");
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| HostMapError::Name(text.to_owned(), "can't stand in a header"))
    };
    Ok(MappedHost {
        upstream_authority_value: value(&upstream_authority)?,
        upstream_origin_value: value(&format!("https://{upstream_authority}"))?,
        our_host,
        our_authority,
        our_origin,
        upstream_host,
        upstream_port,
        upstream_authority,
        is_static: false,
    })
}

impl fmt::Display for MappedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.our_authority, self.upstream_authority)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two hosts on 443, and a SaaS whose second host has a port.
    pub(crate) fn records() -> HostMap {
        HostMap::new(
            [("records.gw.example", "https://r.saas.jp"), ("assets.records.gw.example", "https://assets.saas.jp:8443")],
            443,
            "gw.example",
        )
        .unwrap()
    }

    /// The same behind port 8443.
    pub(crate) fn records_on_a_port() -> HostMap {
        HostMap::new(
            [("records.gw.example", "https://r.saas.jp"), ("assets.records.gw.example", "https://assets.saas.jp")],
            8443,
            "gw.example",
        )
        .unwrap()
    }

    #[test]
    fn a_host_is_found_with_our_port_or_none_and_with_no_other() {
        let map = records_on_a_port();
        assert_eq!(map.find("Records.gw.example"), Some(HostIndex::MAIN));
        assert_eq!(map.find("records.gw.example:8443"), Some(HostIndex::MAIN));
        for other in ["records.gw.example:443", "records.gw.example:", "records.gw.example.", "", "x.gw.example"] {
            assert_eq!(map.find(other), None, "{other}");
        }
    }

    #[test]
    fn both_ways_lead_back() {
        let map = records();
        for (_, host) in map.iter() {
            assert_eq!(map.upstream_for(host.our_origin()).unwrap().our_host(), host.our_host());
            assert_eq!(map.ours_for(host.upstream_authority(), 443).unwrap().our_host(), host.our_host());
        }
        assert!(map.ours_for("assets.saas.jp", 443).is_none());
        assert!(map.ours_for("xr.saas.jp", 443).is_none());
    }

    #[test]
    fn a_host_stands_once_on_either_side() {
        let twice = |pairs: [(&'static str, &'static str); 2]| HostMap::new(pairs, 443, "gw.example").unwrap_err();
        assert!(matches!(twice([("a.gw", "https://x.jp"), ("A.gw", "https://y.jp")]), HostMapError::Twice(_)));
        assert!(matches!(twice([("a.gw", "https://x.jp"), ("b.gw", "https://x.jp:443")]), HostMapError::Twice(_)));
    }
}
