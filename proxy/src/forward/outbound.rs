//! What the gate itself says to other servers than the SaaS: one request, one answer, bounded in size, over TLS that is
//! verified. Redirects are not followed. How long it may take is the caller's business.

use std::fmt;
use std::sync::Arc;

use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Resolver;
use super::resolve::Host;

/// The longest answer, in bytes. Metadata and key sets have some ten thousand, time stamps and cosignatures less.
const LONGEST: usize = 256 * 1024;
/// How many of a name's addresses are tried.
const ATTEMPTS: usize = 2;

/// Roots can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootsError {
    #[error("the public roots of this machine can't be read: {0}")]
    Public(String),
    #[error("a root certificate of the file can't be used: {0}")]
    Root(rustls::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// No answer. Nothing of the request or the answer is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    #[error("{0}")]
    Unreachable(String),
    #[error("the answer broke off")]
    BrokeOff,
    #[error("the answer is longer than {0} bytes")]
    Oversized(usize),
    #[error("the address is not https")]
    NotHttps,
    #[error("{0} is not on this machine, and what is sent would not be protected on its way")]
    NotLoopback(String),
}

/// Whether a server may be spoken to without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Never,
    /// On this machine.
    Loopback,
    /// What is exchanged is public, and checked otherwise.
    Anywhere,
}

/// Connections to one server, a new one for each request: there are few.
#[derive(Clone)]
pub(crate) struct Outbound {
    resolver: Resolver,
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound")
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Outbound {
    /// `roots` (DER): instead of the public ones, if there are any. `speaks`: the protocols that TLS offers (RFC 7301).
    pub(crate) fn new(resolver: Resolver, roots: &[Vec<u8>], speaks: &[&str]) -> Result<Self, RootsError> {
        let mut store = RootCertStore::empty();
        for root in self::roots(roots)? {
            store.add(root).map_err(RootsError::Root)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        tls.alpn_protocols = speaks.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Self { resolver, tls: Arc::new(tls) })
    }

    pub(crate) async fn send(
        &self,
        request: Request<Vec<u8>>,
        plain: Plain,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let (mut parts, body) = request.into_parts();
        let uri = parts.uri.clone();
        let authority = uri.authority().ok_or(OutboundError::NotHttps)?;
        let port = |default| authority.port_u16().unwrap_or(default);
        let stream: Box<dyn Stream> = match (uri.scheme_str(), plain) {
            (Some("https"), _) => {
                let stream = self.reach(authority.host(), port(443), false).await?;
                Box::new(self.secure(authority.host(), stream).await?)
            }
            (Some("http"), Plain::Loopback) => Box::new(self.reach(authority.host(), port(80), true).await?),
            (Some("http"), Plain::Anywhere) => Box::new(self.reach(authority.host(), port(80), false).await?),
            _ => return Err(OutboundError::NotHttps),
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
        // Ends with the sender.
        tokio::spawn(connection);
        let host = http::HeaderValue::from_str(authority.as_str()).map_err(unreachable)?;
        parts.headers.insert(header::HOST, host);
        parts.headers.insert(header::USER_AGENT, http::HeaderValue::from_static("sekisho"));
        parts.uri = uri.path_and_query().map_or_else(http::Uri::default, |path| http::Uri::from(path.clone()));
        let request = Request::from_parts(parts, Full::new(Bytes::from(body)));
        let response = sender.send_request(request).await.map_err(unreachable)?;
        let (parts, body) = response.into_parts();
        let body =
            Limited::new(body, LONGEST).collect().await.map_err(|error| match error.is::<LengthLimitError>() {
                true => OutboundError::Oversized(LONGEST),
                false => OutboundError::BrokeOff,
            })?;
        Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
    }

    /// A connection to one of a name's addresses; with `loopback`, to one on this machine or none.
    pub(crate) async fn reach(&self, host: &str, port: u16, loopback: bool) -> Result<TcpStream, OutboundError> {
        let names = Host::new(host, port);
        let mut last = OutboundError::Unreachable("no address was tried".to_owned());
        for attempt in 0..ATTEMPTS {
            let address = names.address(&self.resolver, attempt).await.map_err(unreachable)?;
            if loopback && !address.ip().is_loopback() {
                return Err(OutboundError::NotLoopback(host.to_owned()));
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = unreachable(error),
            }
        }
        Err(last)
    }

    /// TLS on a connection to `host`.
    pub(crate) async fn secure(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, OutboundError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(unreachable)?;
        TlsConnector::from(self.tls.clone()).connect(name, stream).await.map_err(unreachable)
    }
}

/// The given roots, or else the public ones of this machine.
pub(crate) fn roots(given: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    if !given.is_empty() {
        return Ok(given.iter().map(|root| CertificateDer::from(root.clone())).collect());
    }
    let public = rustls_native_certs::load_native_certs().map_err(|e| RootsError::Public(e.to_string()))?;
    // A machine's store may hold what rustls can't read; the others still count.
    let mut probe = RootCertStore::empty();
    Ok(public.into_iter().filter(|root| probe.add(root.clone()).is_ok()).collect())
}

fn unreachable(error: impl fmt::Display) -> OutboundError {
    OutboundError::Unreachable(error.to_string())
}
