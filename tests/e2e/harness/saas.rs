//! The care SaaS behind the gate, with a certificate of an authority that is not ours.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) const SAAS_HOST: &str = "hidamari-care.localhost";

pub(crate) struct Saas {
    pub(crate) handle: demo::Handle,
    pub(crate) root_pem: String,
}

impl Saas {
    pub(crate) async fn start(options: demo::Options) -> Self {
        let (root_pem, chain, key) = certificate(&[SAAS_HOST, &format!("assets.{SAAS_HOST}")]);
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = demo::Options { host: SAAS_HOST.to_owned(), ..options };
        let handle = demo::serve(listener, tls, options).unwrap();
        Self { handle, root_pem }
    }

    pub(crate) fn port(&self) -> u16 {
        self.handle.addr().port()
    }
}

/// A root of its own (PEM), and a chain and key for these hosts.
pub(crate) fn certificate(hosts: &[&str]) -> (String, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(rcgen::DnType::CommonName, "test root");
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    (root_certificate.pem(), vec![leaf.der().clone()], key)
}

/// One object in PEM (RFC 7468).
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
