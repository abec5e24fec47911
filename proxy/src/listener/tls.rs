//! The TLS side of one configuration: versions, certificates by server name, client certificates.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::client_certificate::DeviceVerifier;

/// The listener's TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the certificate for {host} and its key don't fit together: {cause}")]
    Key { host: String, cause: rustls::Error },
    #[error("the device authority's certificate can't be used: {0}")]
    Anchor(rustls::Error),
    #[error("client certificates can't be verified: {0}")]
    Verifier(String),
    #[error("TLS could not be set up: {0}")]
    Protocol(rustls::Error),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct TlsOptions {
    /// TLS 1.2 beside 1.3, with its ECDHE and AEAD suites only (the only ones rustls has).
    pub(crate) allow_tls12: bool,
}

/// Certificates by exact host name, and the gateway's own for everything else.
pub(crate) struct Certificates {
    pub(crate) by_host: HashMap<String, Arc<CertifiedKey>>,
    pub(crate) own: Arc<CertifiedKey>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_host.keys()).finish()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.by_host.get(&name.to_ascii_lowercase()));
        Some(named.unwrap_or(&self.own).clone())
    }
}

pub(crate) fn certified_key(
    host: &str,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider)
        .map(Arc::new)
        .map_err(|cause| TlsError::Key { host: host.to_owned(), cause })
}

/// `anchors`: the device authority; none if there is no authority yet, and then no certificate is asked for.
pub(crate) fn server_config(
    options: TlsOptions,
    certificates: Certificates,
    anchors: &[CertificateDer<'static>],
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match options.allow_tls12 {
        true => &[&rustls::version::TLS13, &rustls::version::TLS12],
        false => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(TlsError::Protocol)?;
    let builder = match anchors {
        [] => builder.with_no_client_auth(),
        _ => builder.with_client_cert_verifier(Arc::new(DeviceVerifier::new(anchors, provider)?)),
    };
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session would bring back an old identity: every connection shakes hands in full.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
