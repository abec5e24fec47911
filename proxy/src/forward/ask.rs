//! Asking an identity provider: one request, one answer, bounded in time and size, verified TLS, no redirects.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use identity::{Fetch, FetchError};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Resolver;
use super::resolve::Host;

/// The longest answer, in bytes. Metadata and key sets have some ten thousand.
const LONGEST: usize = 256 * 1024;
/// How many of a name's addresses are tried.
const ATTEMPTS: usize = 2;

/// A provider's roots can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the public roots of this machine can't be read: {0}")]
    PublicRoots(String),
    #[error("a certificate of `issuer_ca` can't be used: {0}")]
    Root(rustls::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Connections to one provider, a new one for each request: there are few.
pub(crate) struct Ask {
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask")
    }
}

impl Ask {
    /// `roots` (DER): instead of the public ones, if there are any.
    pub(crate) fn new(resolver: Resolver, roots: &[Vec<u8>], timeout: Duration) -> Result<Self, AskError> {
        let mut store = RootCertStore::empty();
        if roots.is_empty() {
            let public = rustls_native_certs::load_native_certs().map_err(|e| AskError::PublicRoots(e.to_string()))?;
            // A machine's store may hold what rustls can't read; the others still count.
            store.add_parsable_certificates(public);
        }
        for root in roots {
            store.add(CertificateDer::from(root.clone())).map_err(AskError::Root)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { resolver, tls: Arc::new(tls), timeout })
    }

    async fn ask(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let (mut parts, body) = request.into_parts();
        let uri = parts.uri.clone();
        let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(FetchError::NotHttps);
        };
        let stream = self.connect(authority.host(), authority.port_u16().unwrap_or(443)).await?;
        let unreachable = |error: &dyn fmt::Display| FetchError::Unreachable(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| unreachable(&e))?;
        // Ends with the sender.
        tokio::spawn(connection);
        let host = http::HeaderValue::from_str(authority.as_str()).map_err(|e| unreachable(&e))?;
        parts.headers.insert(header::HOST, host);
        parts.headers.insert(header::USER_AGENT, http::HeaderValue::from_static("sekisho"));
        parts.uri = uri.path_and_query().map_or_else(http::Uri::default, |path| http::Uri::from(path.clone()));
        let request = Request::from_parts(parts, Full::new(Bytes::from(body)));
        let response = sender.send_request(request).await.map_err(|e| unreachable(&e))?;
        let (parts, body) = response.into_parts();
        let body =
            Limited::new(body, LONGEST).collect().await.map_err(|error| match error.is::<LengthLimitError>() {
                true => FetchError::Oversized(LONGEST),
                false => FetchError::Unreachable("the answer broke off".to_owned()),
            })?;
        Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
    }

    async fn connect(&self, host: &str, port: u16) -> Result<tokio_rustls::client::TlsStream<TcpStream>, FetchError> {
        let unreachable = |error: &dyn fmt::Display| FetchError::Unreachable(error.to_string());
        let names = Host::new(host, port);
        let mut last = FetchError::Unreachable("no address was tried".to_owned());
        for attempt in 0..ATTEMPTS {
            let address = names.address(&self.resolver, attempt).await.map_err(|e| unreachable(&e))?;
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                    let name = ServerName::try_from(bare).map_err(|e| unreachable(&e))?;
                    let tls = TlsConnector::from(self.tls.clone());
                    return tls.connect(name, stream).await.map_err(|e| unreachable(&e));
                }
                Err(error) => last = unreachable(&error),
            }
        }
        Err(last)
    }
}

#[async_trait::async_trait]
impl Fetch for Ask {
    async fn fetch(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let answer = tokio::time::timeout(self.timeout, self.ask(request)).await;
        let answer = answer.unwrap_or(Err(FetchError::Timeout));
        if let Err(error) = &answer {
            tracing::warn!(%error, "an identity provider gave no answer");
        }
        answer
    }
}
