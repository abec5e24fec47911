//! `ca init`: makes both families, exports the roots' keys once, and keeps the CA keys encrypted.

use std::path::{Path, PathBuf};

use rcgen::{CertifiedIssuer, KeyPair};
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use vocabulary::Timestamp;
use zeroize::Zeroizing;

use crate::authority::{DEVICE_CA, DEVICE_ROOT, KEYS, SERVER_CA, SERVER_ROOT, pem};
use crate::files::{NewFolder, write_new_secret};
use crate::host::is_dns_name;
use crate::passphrase::{ISSUING_WORK_FACTOR, Passphrase, ROOT_WORK_FACTOR, seal};
use crate::profile::{self, Family, check_name};
use crate::serial::Fingerprint;
use crate::{CertAuthority, CertError, Result};

/// What a new certificate authority is made from.
#[derive(Clone, Debug)]
pub struct Init {
    /// The facility's or group's name, 1 to 64 characters; stands in every certificate.
    pub organisation: String,
    /// The gateway's domain. The server CA can sign it, everything below it, and `localhost`.
    pub domain: String,
    /// Further domains the server CA may sign, such as one that the sign-in pages stand under.
    pub other_domains: Vec<String>,
    /// Encrypts the CA keys; the gateway needs it at each start. At least 12 characters.
    pub passphrase: Passphrase,
    /// Encrypts the exported roots; kept away from the gateway. At least 12 characters, and another one.
    pub root_passphrase: Passphrase,
    /// The file to export the roots' keys to: new, and outside of the CA's own folder.
    pub export_to: PathBuf,
    pub now: Timestamp,
}

/// What was made, to be shown and written down.
#[derive(Clone, Debug, Serialize)]
pub struct InitReport {
    pub root_fingerprint: Fingerprint,
    pub server_root_fingerprint: Fingerprint,
    /// Holds the only copy of the roots' keys.
    pub exported_to: PathBuf,
    /// The DNS subtrees the server CA may sign.
    pub domains: Vec<String>,
}

impl CertAuthority {
    /// Whether [`CertAuthority::init`] would accept `init`, as far as it can be told beforehand. Makes nothing.
    ///
    /// # Errors
    /// `dir` holds something, or `init` is not acceptable.
    pub fn check_init(dir: &Path, init: &Init) -> Result<()> {
        check(dir, init).map(drop)
    }

    /// Makes a new certificate authority in `dir`. Takes a second or two, and blocks.
    ///
    /// # Errors
    /// `dir` holds something, `init` is not acceptable, or a file can't be written. Nothing is left behind then.
    pub fn init(dir: &Path, init: &Init) -> Result<InitReport> {
        init_with_work(dir, init, Work { root: ROOT_WORK_FACTOR, issuing: ISSUING_WORK_FACTOR })
    }
}

/// The scrypt work factors (log2 N): the parameter that tests lower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) root: u8,
    pub(crate) issuing: u8,
}

pub(crate) fn init_with_work(dir: &Path, init: &Init, work: Work) -> Result<InitReport> {
    let domains = check(dir, init)?;
    let devices = make(Family::Device, init)?;
    let servers = make(Family::Server(&domains), init)?;
    write(dir, init, domains, &devices, &servers, work)
}

/// Writes a folder and the export of the roots' keys, as far as they are ours.
pub(crate) fn write(
    dir: &Path,
    init: &Init,
    domains: Vec<String>,
    devices: &Made,
    servers: &Made,
    work: Work,
) -> Result<InitReport> {
    let folder = NewFolder::begin(dir)?;
    folder.write_public(DEVICE_ROOT, &pem(&devices.root))?;
    folder.write_public(DEVICE_CA, &pem(&devices.ca))?;
    folder.write_public(SERVER_ROOT, &pem(&servers.root))?;
    folder.write_public(SERVER_CA, &pem(&servers.ca))?;
    let keys = Zeroizing::new(format!("{}{}", *devices.ca_key, *servers.ca_key));
    folder.write_secret(KEYS, &seal(&keys, &init.passphrase, work.issuing, &dir.join(KEYS))?)?;

    let mut roots = Zeroizing::new(format!(
        "Sekisho: the roots of {}, made at {}.\nKeep this file and its passphrase apart from the gateway and from each other.\n",
        init.organisation, init.now,
    ));
    for (name, made) in [("Device", devices), ("Server", servers)] {
        if let Some(key) = &made.root_key {
            roots.push_str(&format!("\n{name} root\n{}{}", pem(&made.root), **key));
        }
    }
    // The export first: a CA whose root was lost can never be renewed, while an export too many is only noise.
    write_new_secret(&init.export_to, &seal(&roots, &init.root_passphrase, work.root, &init.export_to)?)?;
    if let Err(error) = folder.finish() {
        // Made by us a moment ago, and of no use without the folder.
        let _ = std::fs::remove_file(&init.export_to);
        return Err(error);
    }
    Ok(InitReport {
        root_fingerprint: Fingerprint::of(&devices.root),
        server_root_fingerprint: Fingerprint::of(&servers.root),
        exported_to: init.export_to.clone(),
        domains,
    })
}

/// One family, with its keys in PEM.
pub(crate) struct Made {
    pub(crate) root: CertificateDer<'static>,
    /// `None` if somebody else keeps it.
    pub(crate) root_key: Option<Zeroizing<String>>,
    pub(crate) ca: CertificateDer<'static>,
    pub(crate) ca_key: Zeroizing<String>,
}

pub(crate) fn make(family: Family<'_>, init: &Init) -> Result<Made> {
    let (root_key, ca_key) = (profile::new_key()?, profile::new_key()?);
    let root = profile::root(family, &init.organisation, &root_key, init.now)?;
    let pem = |key: &KeyPair| Zeroizing::new(key.serialize_pem());
    let (root_pem, ca_pem) = (pem(&root_key), pem(&ca_key));
    let root = CertifiedIssuer::self_signed(root, root_key)?;
    let ca = profile::issuing_ca(family, &init.organisation, &ca_key, init.now)?.signed_by(&ca_key, &root)?;
    Ok(Made { root: root.der().clone(), root_key: Some(root_pem), ca: ca.der().clone(), ca_key: ca_pem })
}

/// Everything that can be known before a key is made. Returns the server CA's subtrees.
pub(crate) fn check(dir: &Path, init: &Init) -> Result<Vec<String>> {
    check_name("the organisation", &init.organisation)?;
    let mut domains = Vec::new();
    for domain in std::iter::once(&init.domain).chain(&init.other_domains) {
        // One label such as `jp` would be a CA for a whole country; `localhost` never leaves the machine.
        if !is_dns_name(domain) || !(domain.contains('.') || domain == "localhost") {
            let problem = format!("is not a domain of two or more labels in lower case: `{domain}`");
            return Err(CertError::invalid("the domain", problem));
        }
        domains.push(domain.clone());
    }
    domains.push("localhost".to_owned());
    domains.sort_unstable();
    domains.dedup();
    init.passphrase.strong_enough("the gateway's passphrase")?;
    init.root_passphrase.strong_enough("the roots' passphrase")?;
    if init.passphrase.danger_expose() == init.root_passphrase.danger_expose() {
        return Err(CertError::SamePassphrase);
    }
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if absolute(&init.export_to).starts_with(absolute(dir)) {
        return Err(CertError::ExportInside { path: dir.to_owned() });
    }
    Ok(domains)
}
