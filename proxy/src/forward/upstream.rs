//! One origin of a SaaS, ready to be connected to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::listeners::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls_pki_types::CertificateDer;

use super::resolve::Host;
use super::upgrade::Yielding;
use super::{ResolveError, Resolver};

/// A root of the configuration is no certificate that TLS towards the SaaS could use.
#[derive(Debug, thiserror::Error)]
#[error("a certificate of `upstream_ca` can't be read: {0}")]
pub(crate) struct UpstreamError(String);

/// Time limits towards a SaaS. Each is of one step; none bounds a whole download or stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    /// To wait for a response's head, and for each further piece of its body.
    pub(crate) response: Duration,
    /// To wait for the SaaS to take a piece of the request's body, or to say something on a stream.
    pub(crate) idle: Duration,
    /// How long an unused connection is kept.
    pub(crate) keep: Duration,
}

/// Which HTTP versions may be spoken to the SaaS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Auto,
    Http1,
    Http2,
}

pub(crate) struct Upstream {
    host: Host,
    /// TLS server name, which is also what the certificate is verified against; never empty, because an empty
    /// one would switch verification off.
    server_name: String,
    /// Connections are pooled by this as well: two apps never share one.
    group: u64,
    roots: Option<Arc<[WrappedX509]>>,
    protocol: Protocol,
    timeouts: Timeouts,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({})", self.server_name)
    }
}

impl Upstream {
    pub(crate) fn new(
        host: &str,
        port: u16,
        group: u64,
        roots: &[CertificateDer<'_>],
        protocol: Protocol,
        timeouts: Timeouts,
    ) -> Result<Self, UpstreamError> {
        let roots = if roots.is_empty() { None } else { Some(parsed(roots)?) };
        Ok(Self {
            host: Host::new(host, port),
            server_name: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            group,
            roots,
            protocol,
            timeouts,
        })
    }

    /// The peer for one attempt. `upgrade`: a WebSocket, which goes over HTTP/1.1 only.
    pub(crate) async fn peer(
        &self,
        resolver: &Resolver,
        attempt: usize,
        upgrade: bool,
        streaming: bool,
    ) -> Result<Box<HttpPeer>, ResolveError> {
        let address = self.host.address(resolver, attempt).await?;
        let mut peer = HttpPeer::new(address, true, self.server_name.clone());
        peer.group_key = self.group;
        let options = &mut peer.options;
        options.connection_timeout = Some(self.timeouts.connect);
        options.total_connection_timeout = Some(self.timeouts.connect * 2);
        // A WebSocket or an event stream may be silent for long, but not for ever: its SaaS may be gone without a word.
        let silence = if upgrade || streaming { self.timeouts.idle } else { self.timeouts.response };
        options.read_timeout = Some(silence);
        options.write_timeout = Some(self.timeouts.idle);
        options.idle_timeout = Some(self.timeouts.keep);
        options.ca.clone_from(&self.roots);
        if upgrade {
            options.custom_l4 = Some(Arc::new(Yielding));
            // Never one that was made otherwise: the pool does not tell them apart by itself.
            peer.group_key = self.group.wrapping_add(1);
        }
        options.max_h2_streams = 100;
        options.alpn = match self.protocol {
            _ if upgrade => ALPN::H1,
            Protocol::Auto => ALPN::H2H1,
            Protocol::Http1 => ALPN::H1,
            Protocol::Http2 => ALPN::H2,
        };
        debug_assert!(peer.verify_cert() && peer.verify_hostname() && !peer.sni().is_empty());
        Ok(Box::new(peer))
    }
}

fn parsed(roots: &[CertificateDer<'_>]) -> Result<Arc<[WrappedX509]>, UpstreamError> {
    roots
        .iter()
        .map(|der| {
            // Pingora parses it once more and panics if it can't, so it is tried here first.
            x509_parser::parse_x509_certificate(der).map_err(|e| UpstreamError(e.to_string()))?;
            Ok(WrappedX509::new(der.to_vec(), parse_x509))
        })
        .collect()
}
