//! The certificate authority as it stands on disk, opened.

use std::fmt;
use std::path::Path;

use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use vocabulary::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files::read;
use crate::passphrase::{Passphrase, unseal};
use crate::serial::Fingerprint;
use crate::{CertError, Result};

// The files of the folder. The roots' keys are not among them.
pub(crate) const DEVICE_ROOT: &str = "device-root.pem";
pub(crate) const DEVICE_CA: &str = "device-ca.pem";
pub(crate) const SERVER_ROOT: &str = "server-root.pem";
pub(crate) const SERVER_CA: &str = "server-ca.pem";
pub(crate) const KEYS: &str = "ca-keys.age";

/// An opened certificate authority. It only makes; who records, stores and hands out is the caller.
pub struct CertAuthority {
    pub(crate) organisation: String,
    pub(crate) domains: Vec<String>,
    pub(crate) devices: Ca,
    /// The device CAs before this one, newest first. They sign no certificates, but lists of what they signed.
    pub(crate) former: Vec<Ca>,
    pub(crate) servers: Ca,
}

/// One issuing CA with its key.
pub(crate) struct Ca {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl fmt::Debug for CertAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertAuthority")
            .field("organisation", &self.organisation)
            .field("domains", &self.domains)
            .finish_non_exhaustive()
    }
}

impl CertAuthority {
    /// Opens what [`CertAuthority::init`] made. Takes a quarter of a second or more (scrypt), and blocks.
    ///
    /// # Errors
    /// There is none, the passphrase is wrong, or certificates and keys don't belong together.
    pub fn open(dir: &Path, passphrase: &Passphrase) -> Result<Self> {
        if !Self::exists(dir) {
            return Err(CertError::Missing { path: dir.to_owned() });
        }
        let mut keys = unsealed_keys(&dir.join(KEYS), passphrase)?;
        let (devices, former) = load(&dir.join(DEVICE_ROOT), &dir.join(DEVICE_CA), &mut keys)?;
        let (servers, _) = load(&dir.join(SERVER_ROOT), &dir.join(SERVER_CA), &mut keys)?;
        let (organisation, domains) = names(&servers.der)
            .ok_or_else(|| CertError::Damaged { path: dir.join(SERVER_CA), problem: "has unreadable constraints" })?;
        if domains.is_empty() {
            // Never sign with a CA that could sign anything.
            return Err(CertError::Damaged { path: dir.join(SERVER_CA), problem: "is not constrained to any domain" });
        }
        Ok(Self { organisation, domains, devices, former, servers })
    }

    /// Whether `dir` holds a certificate authority.
    pub fn exists(dir: &Path) -> bool {
        dir.join(KEYS).exists()
    }

    /// The name that stands in every certificate.
    pub fn organisation(&self) -> &str {
        &self.organisation
    }

    /// The DNS subtrees the server CA may sign, `localhost` among them.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The device CA: the listener's trust anchor for client certificates, and the CA hint it sends. Devices
    /// present their own certificate only, so the root alone would not do.
    pub const fn device_ca_der(&self) -> &CertificateDer<'static> {
        &self.devices.der
    }

    /// Every device CA that has not ended at `now`, the one that signs first: what the listener trusts, so that a renewed
    /// CA cuts nobody off.
    pub fn device_anchors(&self, now: Timestamp) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.device_cas().filter(move |ca| now < ca.not_after).map(|ca| &ca.der)
    }

    /// Device CAs that others took the place of, the newest first, and when they end.
    pub fn former_device_cas(&self) -> impl Iterator<Item = (&CertificateDer<'static>, Timestamp)> {
        self.former.iter().map(|ca| (&ca.der, ca.not_after))
    }

    pub(crate) fn device_cas(&self) -> impl Iterator<Item = &Ca> {
        std::iter::once(&self.devices).chain(&self.former)
    }

    /// The root above the device CA. To be installed nowhere.
    pub const fn device_root_der(&self) -> &CertificateDer<'static> {
        &self.devices.root
    }

    pub const fn server_ca_der(&self) -> &CertificateDer<'static> {
        &self.servers.der
    }

    /// The root that managed devices may trust; constrained to [`domains`](Self::domains).
    pub const fn server_root_der(&self) -> &CertificateDer<'static> {
        &self.servers.root
    }

    /// [`server_root_der`](Self::server_root_der) for a file.
    pub fn server_root_pem(&self) -> String {
        pem(&self.servers.root)
    }

    pub fn root_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.devices.root)
    }

    pub fn server_root_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.servers.root)
    }

    /// When the device CA ends, for metrics and warnings.
    pub const fn device_ca_not_after(&self) -> Timestamp {
        self.devices.not_after
    }

    /// When the server CA ends, for metrics and warnings.
    pub const fn server_ca_not_after(&self) -> Timestamp {
        self.servers.not_after
    }
}

/// The private keys in a file encrypted with [`seal`](crate::passphrase::seal), whatever else is in it.
pub(crate) fn unsealed_keys(path: &Path, passphrase: &Passphrase) -> Result<Vec<KeyPair>> {
    let damaged = |problem| CertError::Damaged { path: path.to_owned(), problem };
    let key = |key: std::result::Result<PrivatePkcs8KeyDer<'_>, _>| {
        let key = key.map_err(|_| damaged("holds something that is not a key"))?;
        KeyPair::try_from(&key).map_err(|_| damaged("holds a key of a kind that is not ours"))
    };
    PrivatePkcs8KeyDer::pem_slice_iter(&unseal(&read(path)?, passphrase, path)?).map(key).collect()
}

/// Reads one family and takes its keys out of `keys`: the CA that signs, and those before it. There is more than one root
/// once a device CA from elsewhere took over.
fn load(root_path: &Path, ca_path: &Path, keys: &mut Vec<KeyPair>) -> Result<(Ca, Vec<Ca>)> {
    let damaged = |path: &Path, problem| CertError::Damaged { path: path.to_owned(), problem };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>> {
        let content = read(path)?;
        CertificateDer::pem_slice_iter(&content)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| damaged(path, "holds no PEM certificate"))
    };
    let roots = certificates(root_path)?;
    let mut parsed_roots = Vec::new();
    for der in &roots {
        let root = parse(der).ok_or_else(|| damaged(root_path, "holds no X.509 certificate"))?;
        root.verify_signature(None).map_err(|_| damaged(root_path, "is not a self-signed root"))?;
        parsed_roots.push((der, root));
    }
    let mut cas = Vec::new();
    for der in certificates(ca_path)? {
        let ca = parse(&der).ok_or_else(|| damaged(ca_path, "holds no X.509 certificate"))?;
        let (root, _) = parsed_roots
            .iter()
            .find(|(_, root)| ca.verify_signature(Some(root.public_key())).is_ok())
            .ok_or_else(|| damaged(ca_path, "was not signed by the root beside it"))?;
        let position = keys
            .iter()
            .position(|key| key.subject_public_key_info() == ca.public_key().raw)
            .ok_or_else(|| damaged(ca_path, "has no key in the file of keys"))?;
        let (not_before, not_after) = validity(&ca);
        let issuer = Issuer::from_ca_cert_der(&der, keys.swap_remove(position))?;
        cas.push(Ca { root: (*root).clone(), der: der.clone(), issuer, not_before, not_after });
    }
    let mut cas = cas.into_iter();
    let current = cas.next().ok_or_else(|| damaged(ca_path, "holds no PEM certificate"))?;
    Ok((current, cas.collect()))
}

/// A server CA's organisation and DNS subtrees.
pub(crate) fn names(ca: &CertificateDer<'_>) -> Option<(String, Vec<String>)> {
    let ca = parse(ca)?;
    let organisation = ca.subject().iter_organization().find_map(|o| o.as_str().ok()).unwrap_or_default().to_owned();
    let domains = ca
        .name_constraints()
        .ok()?
        .and_then(|extension| extension.value.permitted_subtrees.as_ref())
        .into_iter()
        .flatten()
        .filter_map(|subtree| match subtree.base {
            GeneralName::DNSName(name) => Some(name.to_owned()),
            _ => None,
        })
        .collect();
    Some((organisation, domains))
}

/// A certificate with nothing behind it.
pub(crate) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

pub(crate) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    (Timestamp::from_secs(validity.not_before.timestamp()), Timestamp::from_secs(validity.not_after.timestamp()))
}

/// A certificate in PEM (RFC 7468).
pub fn pem(der: &[u8]) -> String {
    let config = ::pem::EncodeConfig::new().set_line_ending(::pem::LineEnding::LF);
    ::pem::encode_config(&::pem::Pem::new("CERTIFICATE", der), config)
}
