//! Certificates for one bench: a site root, a client root, and what they signed. P-256 throughout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair as Key, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::plan::KeyPair;

/// The name of the app, as clients call it.
pub const APP_HOST: &str = "records.gw.bench.test";
/// The name of the origin, as proxies call it.
pub const ORIGIN_HOST: &str = "origin.bench.localhost";

/// The files of one bench.
#[derive(Clone, Debug)]
pub struct Pki {
    /// Signed `server` and `origin`.
    pub site_ca: PathBuf,
    /// Signed `client`.
    pub client_ca: PathBuf,
    pub server: KeyPair,
    /// Chain and key of `server` in one file, as HAProxy wants them.
    pub server_bundle: PathBuf,
    pub origin: KeyPair,
    pub client: KeyPair,
}

impl Pki {
    /// # Errors
    /// No randomness, or the folder can't be written.
    pub fn make(folder: &Path) -> Result<Self> {
        let (site, site_ca) = root(folder, "site-ca")?;
        let (people, client_ca) = root(folder, "client-ca")?;
        let server =
            leaf(folder, "server", &site, &[APP_HOST, "*.gw.bench.test"], ExtendedKeyUsagePurpose::ServerAuth)?;
        let origin = leaf(folder, "origin", &site, &[ORIGIN_HOST], ExtendedKeyUsagePurpose::ServerAuth)?;
        let client = leaf(folder, "client", &people, &[], ExtendedKeyUsagePurpose::ClientAuth)?;
        let server_bundle = folder.join("server-bundle.pem");
        fs::write(&server_bundle, fs::read_to_string(&server.chain)? + &fs::read_to_string(&server.key)?)?;
        Ok(Self { site_ca, client_ca, server, server_bundle, origin, client })
    }
}

fn root(folder: &Path, name: &str) -> Result<(Issuer<'static, Key>, PathBuf)> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("bench {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = Key::generate()?;
    let path = folder.join(format!("{name}.pem"));
    fs::write(&path, params.self_signed(&key)?.pem())?;
    Ok((Issuer::new(params, key), path))
}

fn leaf(
    folder: &Path,
    name: &str,
    issuer: &Issuer<'static, Key>,
    hosts: &[&str],
    usage: ExtendedKeyUsagePurpose,
) -> Result<KeyPair> {
    let mut params = CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, format!("bench {name}"));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let key = Key::generate()?;
    let pair = KeyPair { chain: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    fs::write(&pair.chain, params.signed_by(&key, issuer)?.pem())?;
    fs::write(&pair.key, key.serialize_pem())?;
    Ok(pair)
}

/// Certificates of a PEM file.
///
/// # Errors
/// The file can't be read.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .with_context(|| format!("reading {}", path.display()))
}

/// # Errors
/// The file can't be read.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).with_context(|| format!("reading {}", path.display()))
}

/// # Errors
/// The file can't be read or is no trust anchor.
pub fn roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// A client of TLS 1.3 with a certificate, which never resumes: every connection is a full handshake.
///
/// # Errors
/// A file can't be read.
pub fn client(ca: &Path, pair: &KeyPair, alpn: &[u8]) -> Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(ca)?)
        .with_client_auth_cert(certificates(&pair.chain)?, key(&pair.key)?)?;
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// DER as a PEM file (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    for (position, character) in text.chars().enumerate() {
        if position > 0 && position % 64 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines + &format!("\n-----END {label}-----\n")
}
