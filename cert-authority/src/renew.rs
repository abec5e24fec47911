//! A new issuing CA under the old root, before the former ends: the one moment at which a root's key comes back.
//!
//! The former *device* CA goes on being trusted until it ends, so that no device is cut off, and its key stays, so that
//! lists of what it signed can still be signed. The former *server* CA and its key go: servers present the CA with their
//! certificate, and what they have now stays good under the root.
//!
//! Two files change, the keys first: between the two stands a folder with a key too many, which opens as the old one.

use std::path::{Path, PathBuf};

use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use vocabulary::Timestamp;
use zeroize::Zeroizing;

use crate::authority::{Ca, DEVICE_CA, KEYS, SERVER_CA, parse, pem, unsealed_keys, validity};
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
    if !CertAuthority::exists(dir) {
        return Err(CertError::Missing { path: dir.to_owned() });
    }
    let held = Held::hold(dir)?;
    let authority = CertAuthority::open(dir, &renewal.passphrase)?;
    let (root, family, name) = match which {
        Which::Device => (&authority.devices.root, Family::Device, "device root"),
        Which::Server => (&authority.servers.root, Family::Server(&authority.domains), "server root"),
    };
    let key = profile::new_key()?;
    let (der, not_after) = sign(&authority, root, family, name, &key, renewal)?;

    // Newest first; those that have ended are of no use to anyone.
    let former: Vec<&Ca> = match which {
        Which::Device => authority.device_cas().filter(|ca| renewal.now < ca.not_after).collect(),
        Which::Server => Vec::new(),
    };
    let certificates: String =
        std::iter::once(&der).chain(former.iter().map(|ca| &ca.der)).map(|der| pem(der)).collect();
    let kept: Vec<&KeyPair> = match which {
        Which::Device => former.iter().copied().chain([&authority.servers]).map(|ca| ca.issuer.key()).collect(),
        Which::Server => authority.device_cas().map(|ca| ca.issuer.key()).collect(),
    };
    let all: Vec<&KeyPair> =
        authority.device_cas().chain([&authority.servers]).map(|ca| ca.issuer.key()).chain([&key]).collect();
    let sealed = |keys: &[&KeyPair]| {
        let pem: Vec<_> = keys.iter().map(|key| Zeroizing::new(key.serialize_pem())).collect();
        let pem = Zeroizing::new(pem.iter().map(|pem| pem.as_str()).collect::<String>());
        seal(&pem, &renewal.passphrase, work.issuing, &dir.join(KEYS))
    };
    held.replace_secret(KEYS, &sealed(&all)?)?;
    held.replace_public(if which == Which::Device { DEVICE_CA } else { SERVER_CA }, &certificates)?;
    if kept.len() + 1 < all.len() {
        held.replace_secret(KEYS, &sealed(&[kept.as_slice(), &[&key]].concat())?)?;
    }
    Ok(CaRenewed { fingerprint: Fingerprint::of(&der), not_after, former: former.len() })
}

/// Signs the new CA's certificate with the root's key, which is forgotten again.
fn sign(
    authority: &CertAuthority,
    root: &CertificateDer<'static>,
    family: Family<'_>,
    name: &'static str,
    key: &KeyPair,
    renewal: &CaRenewal,
) -> Result<(CertificateDer<'static>, Timestamp)> {
    let parsed = parse(root).ok_or_else(|| CertError::invalid("the root", "can't be read"))?;
    let (_, root_ends) = validity(&parsed);
    if renewal.now >= root_ends {
        return Err(CertError::CaExpired { ca: name });
    }
    let root_key = unsealed_keys(&renewal.roots, &renewal.root_passphrase)?
        .into_iter()
        .find(|key| key.subject_public_key_info() == parsed.public_key().raw)
        .ok_or_else(|| CertError::NotThisRoot { path: renewal.roots.clone(), root: name })?;
    let mut params = profile::issuing_ca(family, &authority.organisation, key, renewal.now)?;
    params.not_after = params.not_after.min(instant(root_ends)?);
    let not_after = Timestamp::from_secs(params.not_after.unix_timestamp());
    let certificate = params.signed_by(key, &Issuer::from_ca_cert_der(root, root_key)?)?;
    Ok((certificate.der().clone(), not_after))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::house::{DAY, House, NOW, WORK, house, must, nurse, passphrase, root_passphrase, said};
    use crate::{DeviceRequest, RevocationCause, Revoked, SERVER_VALIDITY};

    const LATER: Timestamp = Timestamp::from_secs(NOW.secs() + 9 * 365 * DAY);

    fn renewal(house: &House) -> CaRenewal {
        let roots = house.dir.path().join("roots.age");
        CaRenewal { passphrase: passphrase(), roots, root_passphrase: root_passphrase(), now: LATER }
    }

    fn renew(house: &House, which: Which) -> Result<CaRenewed> {
        renew_with_work(&house.dir.path().join("ca"), &renewal(house), which, WORK)
    }

    fn open(house: &House) -> CertAuthority {
        CertAuthority::open(&house.dir.path().join("ca"), &passphrase()).unwrap()
    }

    fn verify(house: &House, certificate: &CertificateDer<'_>, family: &str, at: Timestamp) -> std::process::Output {
        fs::write(house.dir.path().join("leaf.pem"), pem(certificate)).unwrap();
        let (root, ca) = (format!("ca/{family}-root.pem"), format!("ca/{family}-ca.pem"));
        let at = at.secs().to_string();
        house.openssl(&["verify", "-x509_strict", "-attime", &at, "-CAfile", &root, "-untrusted", &ca, "leaf.pem"])
    }

    #[test]
    fn a_new_device_ca_signs_and_the_former_is_trusted_until_it_ends() {
        let house = house();
        let request = DeviceRequest { now: LATER.plus_secs(-DAY), ..nurse() };
        let old = house.authority.issue_device(&request).unwrap();
        let renewed = renew(&house, Which::Device).unwrap();
        assert_eq!((renewed.former, renewed.not_after), (1, LATER.plus_secs(10 * 365 * DAY)));

        let authority = open(&house);
        assert_eq!(Fingerprint::of(authority.device_ca_der()), renewed.fingerprint);
        let anchors: Vec<_> = authority.device_anchors(LATER).cloned().collect();
        assert_eq!(anchors, [authority.device_ca_der().clone(), house.authority.device_ca_der().clone()]);
        assert_eq!(authority.device_anchors(house.authority.device_ca_not_after()).count(), 1, "the former has ended");

        let new = authority.issue_device(&DeviceRequest { now: LATER, ..nurse() }).unwrap();
        for certificate in [&old.certificate, &new.certificate] {
            must(&verify(&house, certificate, "device", LATER));
        }
        let subject = |ca: &CertAuthority| parse(ca.device_ca_der()).unwrap().subject().to_string();
        assert_ne!(subject(&authority), subject(&house.authority), "another name");
        assert_eq!(authority.organisation(), "さくら会");

        // Each CA's own list catches its own devices.
        let revoked =
            [&old, &new].map(|p| Revoked { serial: p.device.serial, at: LATER, cause: RevocationCause::Lost });
        let lists = authority.crls(revoked, 1, LATER, LATER.plus_secs(DAY)).unwrap();
        assert_eq!(lists.len(), 2);
        let lists: Vec<_> = lists.iter().map(|list| pem::encode(&pem::Pem::new("X509 CRL", list.as_slice()))).collect();
        fs::write(house.dir.path().join("crls.pem"), lists.concat()).unwrap();
        for certificate in [&old.certificate, &new.certificate] {
            fs::write(house.dir.path().join("leaf.pem"), pem(certificate)).unwrap();
            let at = LATER.secs().to_string();
            let verify = ["verify", "-crl_check", "-attime", &at, "-CAfile", "ca/device-root.pem", "-untrusted"];
            let rest = ["ca/device-ca.pem", "-CRLfile", "crls.pem", "leaf.pem"];
            assert!(said(&house.openssl(&[&verify[..], &rest].concat())).contains("certificate revoked"));
        }
    }

    #[test]
    fn a_new_server_ca_has_the_same_constraints_and_the_former_key_is_gone() {
        let house = house();
        let hosts = ["a.gw.sakura-kai.example".to_owned()];
        renew(&house, Which::Server).unwrap();
        let authority = open(&house);
        assert_eq!(authority.domains(), house.authority.domains());
        let server = authority.issue_server(&hosts, LATER, SERVER_VALIDITY).unwrap();
        must(&verify(&house, &server.chain_der[0], "server", LATER));
        assert!(authority.issue_server(&["bank.example".to_owned()], LATER, SERVER_VALIDITY).is_err());
        let keys = unsealed_keys(&house.dir.path().join("ca").join(KEYS), &passphrase()).unwrap();
        assert_eq!(keys.len(), 2);
        renew(&house, Which::Device).unwrap();
        assert_eq!(renew(&house, Which::Device).unwrap().former, 2);
        assert_eq!(open(&house).device_anchors(LATER).count(), 3);
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_or_the_new() {
        let house = house();
        let ca = house.dir.path().join("ca");
        let before = fs::read(ca.join(DEVICE_CA)).unwrap();
        renew(&house, Which::Device).unwrap();
        let after = fs::read(ca.join(DEVICE_CA)).unwrap();
        // Between the two renames: the new keys with the old certificates.
        fs::write(ca.join(DEVICE_CA), &before).unwrap();
        assert_eq!(open(&house).device_ca_der(), house.authority.device_ca_der());
        // Within a write: something half beside the file. The next renewal starts over it.
        fs::write(ca.join("ca-keys.age.new"), "half").unwrap();
        fs::write(ca.join("device-ca.pem.new"), "half").unwrap();
        fs::write(ca.join(DEVICE_CA), &after).unwrap();
        assert_eq!(renew(&house, Which::Device).unwrap().former, 2);
        assert!(!ca.join("ca-keys.age.new").exists() && !ca.join("device-ca.pem.new").exists());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(ca.join(KEYS)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let (house, other) = (house(), house());
        let ca = house.dir.path().join("ca");
        let read = || [DEVICE_CA, KEYS].map(|name| fs::read(ca.join(name)).unwrap());
        let before = read();
        let with = |change: &dyn Fn(&mut CaRenewal)| {
            let mut renewal = renewal(&house);
            change(&mut renewal);
            renew_with_work(&ca, &renewal, Which::Device, WORK).unwrap_err()
        };
        assert!(matches!(with(&|r| r.passphrase = root_passphrase()), CertError::Decrypt { .. }));
        assert!(matches!(with(&|r| r.root_passphrase = passphrase()), CertError::Decrypt { .. }));
        let roots = other.dir.path().join("roots.age");
        assert!(matches!(with(&|r| r.roots = roots.clone()), CertError::NotThisRoot { .. }));
        assert!(matches!(with(&|r| r.now = NOW.plus_secs(20 * 365 * DAY)), CertError::CaExpired { ca: "device root" }));
        let held = Held::hold(&ca).unwrap();
        assert!(matches!(with(&|_| {}), CertError::Busy { .. }));
        drop(held);
        assert_eq!(read(), before);
        // A CA never outlives its root.
        let late = CaRenewal { now: NOW.plus_secs(15 * 365 * DAY), ..renewal(&house) };
        let renewed = renew_with_work(&ca, &late, Which::Device, WORK).unwrap();
        assert_eq!((renewed.not_after, renewed.former), (NOW.plus_secs(20 * 365 * DAY), 0), "the former has ended");
    }
}
