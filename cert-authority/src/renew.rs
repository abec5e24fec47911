//! A new issuing CA before the former ends. Under our own root, that is the one moment at which the root's key comes back.
//!
//! The former *device* CA goes on being trusted until it ends, so that no device is cut off, and its key stays, so that
//! lists of what it signed can still be signed. The former *server* CA and its key go: servers present the CA with their
//! certificate, and what they have now stays good under the root.
//!
//! The keys change first, then the roots, then the CA: until that stands a folder with a key and a root too many, which
//! opens as the old one.

use std::path::{Path, PathBuf};

use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use vocabulary::Timestamp;
use zeroize::Zeroizing;

use crate::authority::{Ca, DEVICE_CA, DEVICE_ROOT, KEYS, SERVER_CA, parse, pem, unsealed_keys, validity};
use crate::files::Held;
use crate::init::Work;
use crate::passphrase::{ISSUING_WORK_FACTOR, Passphrase, ROOT_WORK_FACTOR, seal};
use crate::profile::{self, Family, instant};
use crate::{CertAuthority, CertError, Fingerprint, Result};

/// What a new issuing CA is made with.
#[derive(Clone, Debug)]
pub struct CaRenewal {
    /// The one that the gateway starts with.
    pub passphrase: Passphrase,
    /// The file that [`CertAuthority::init`] exported the roots' keys to.
    pub roots: PathBuf,
    pub root_passphrase: Passphrase,
    pub now: Timestamp,
}

/// What was made, to be recorded and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CaRenewed {
    pub fingerprint: Fingerprint,
    /// Ten years on, or when the root ends.
    pub not_after: Timestamp,
    /// How many former CAs are still trusted.
    pub former: usize,
}

impl CertAuthority {
    /// Makes a new device CA in `dir`. The gateway has to open the folder anew. Takes a second or two, and blocks.
    ///
    /// # Errors
    /// A passphrase is wrong, `roots` are not of this CA (one that was imported has its root elsewhere), the root has
    /// ended, or a file can't be written. The folder is then as it was.
    pub fn renew_device_ca(dir: &Path, renewal: &CaRenewal) -> Result<CaRenewed> {
        renew_with_work(dir, renewal, Which::Device, WORK)
    }

    /// Makes a new server CA in `dir`, with the same constraints.
    ///
    /// # Errors
    /// As of [`renew_device_ca`](Self::renew_device_ca).
    pub fn renew_server_ca(dir: &Path, renewal: &CaRenewal) -> Result<CaRenewed> {
        renew_with_work(dir, renewal, Which::Server, WORK)
    }
}

const WORK: Work = Work { root: ROOT_WORK_FACTOR, issuing: ISSUING_WORK_FACTOR };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Device,
    Server,
}

pub(crate) fn renew_with_work(dir: &Path, renewal: &CaRenewal, which: Which, work: Work) -> Result<CaRenewed> {
    succeed(dir, &renewal.passphrase, renewal.now, which, work, |authority| sign(authority, which, renewal))
}

/// The CA that takes over.
pub(crate) struct Successor {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: KeyPair,
    pub(crate) not_after: Timestamp,
}

pub(crate) fn succeed(
    dir: &Path,
    passphrase: &Passphrase,
    now: Timestamp,
    which: Which,
    work: Work,
    make: impl FnOnce(&CertAuthority) -> Result<Successor>,
) -> Result<CaRenewed> {
    if !CertAuthority::exists(dir) {
        return Err(CertError::Missing { path: dir.to_owned() });
    }
    let held = Held::hold(dir)?;
    let authority = CertAuthority::open(dir, passphrase)?;
    let new = make(&authority)?;
    // Newest first; those that have ended are of no use to anyone.
    let former: Vec<&Ca> = match which {
        Which::Device => authority.device_cas().filter(|ca| now < ca.not_after).collect(),
        Which::Server => Vec::new(),
    };
    let others: Vec<&Ca> = match which {
        Which::Device => vec![&authority.servers],
        Which::Server => authority.device_cas().collect(),
    };
    let sealed = |cas: &[&Ca]| {
        let keys = cas.iter().map(|ca| ca.issuer.key()).chain([&new.key]);
        let pem: Vec<_> = keys.map(|key| Zeroizing::new(key.serialize_pem())).collect();
        let pem = Zeroizing::new(pem.iter().map(|pem| pem.as_str()).collect::<String>());
        seal(&pem, passphrase, work.issuing, &dir.join(KEYS))
    };
    let before: Vec<&Ca> = authority.device_cas().chain([&authority.servers]).collect();
    held.replace_secret(KEYS, &sealed(&before)?)?;
    match which {
        Which::Device => {
            // Roots stay: nothing is trusted because of them, but the CAs of the folder have to fit one.
            let mut roots = vec![&new.root];
            for ca in authority.device_cas() {
                if !roots.contains(&&ca.root) {
                    roots.push(&ca.root);
                }
            }
            held.replace_public(DEVICE_ROOT, &roots.into_iter().map(|der| pem(der)).collect::<String>())?;
            let cas = std::iter::once(&new.der).chain(former.iter().map(|ca| &ca.der));
            held.replace_public(DEVICE_CA, &cas.map(|der| pem(der)).collect::<String>())?;
        }
        Which::Server => held.replace_public(SERVER_CA, &pem(&new.der))?,
    }
    let kept = [former.as_slice(), &others].concat();
    if kept.len() < before.len() {
        held.replace_secret(KEYS, &sealed(&kept)?)?;
    }
    Ok(CaRenewed { fingerprint: Fingerprint::of(&new.der), not_after: new.not_after, former: former.len() })
}

/// Signs the new CA's certificate with the root's key, which is forgotten again.
fn sign(authority: &CertAuthority, which: Which, renewal: &CaRenewal) -> Result<Successor> {
    let (root, family, name) = match which {
        Which::Device => (&authority.devices.root, Family::Device, "device root"),
        Which::Server => (&authority.servers.root, Family::Server(&authority.domains), "server root"),
    };
    let parsed = parse(root).ok_or_else(|| CertError::invalid("the root", "can't be read"))?;
    let (_, root_ends) = validity(&parsed);
    if renewal.now >= root_ends {
        return Err(CertError::CaExpired { ca: name });
    }
    let root_key = unsealed_keys(&renewal.roots, &renewal.root_passphrase)?
        .into_iter()
        .find(|key| key.subject_public_key_info() == parsed.public_key().raw)
        .ok_or_else(|| CertError::NotThisRoot { path: renewal.roots.clone(), root: name })?;
    let key = profile::new_key()?;
    let mut params = profile::issuing_ca(family, &authority.organisation, &key, renewal.now)?;
    params.not_after = params.not_after.min(instant(root_ends)?);
    let not_after = Timestamp::from_secs(params.not_after.unix_timestamp());
    let certificate = params.signed_by(&key, &Issuer::from_ca_cert_der(root, root_key)?)?;
    Ok(Successor { root: root.clone(), der: certificate.der().clone(), key, not_after })
}

#[cfg(test)]
#[path = "renew_tests.rs"]
mod tests;
