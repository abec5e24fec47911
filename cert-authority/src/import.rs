//! Taking over a device CA that a facility has already: its certificate and key come from elsewhere, its root stays there.
//!
//! What is taken over must do what ours does: sign client certificates that rustls and other programs accept. So beside
//! what its certificate says of itself (RFC 5280 §6.1.4), a certificate is signed with it and put before the gate's own
//! verifier. The server family is made anew, as in `ca init`: no facility's CA is constrained as ours has to be.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rcgen::{Issuer, KeyPair, PKCS_ED25519, PublicKeyData};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use vocabulary::{DeviceId, Timestamp};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;
use zeroize::Zeroizing;

use crate::authority::{parse, validity};
use crate::init::{Init, InitReport, Made, Work, check, make, write};
use crate::passphrase::{ISSUING_WORK_FACTOR, Passphrase, ROOT_WORK_FACTOR};
use crate::profile::{self, Family};
use crate::renew::{Successor, Which, succeed};
use crate::{CaRenewed, CertAuthority, CertError, DeviceKey, Result};

/// A device CA from elsewhere.
#[derive(Clone)]
pub struct DeviceCa {
    /// One certificate in PEM.
    pub certificate: String,
    /// Its key: PKCS#8 in PEM, encrypted (PBES2, RFC 8018) or not. P-256, P-384, or RSA.
    pub key: Zeroizing<String>,
    /// Opens the key, if it is encrypted.
    pub key_passphrase: Option<Passphrase>,
    /// The root that signed it, in PEM. `None` if it signed itself.
    pub root: Option<String>,
}

impl fmt::Debug for DeviceCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCa").finish_non_exhaustive()
    }
}

/// What a certificate authority around such a CA is made from.
#[derive(Clone, Debug)]
pub struct Import {
    /// As for a new certificate authority. The organisation stands in the devices' certificates, and the export holds the
    /// server root alone.
    pub init: Init,
    pub device_ca: DeviceCa,
}

const WORK: Work = Work { root: ROOT_WORK_FACTOR, issuing: ISSUING_WORK_FACTOR };

impl CertAuthority {
    /// Makes a certificate authority in `dir` around a device CA from elsewhere. Takes a second or two, and blocks.
    ///
    /// # Errors
    /// As of [`init`](Self::init), or the CA can't be taken over; then it says why. Nothing is left behind.
    pub fn import(dir: &Path, import: &Import) -> Result<InitReport> {
        import_with_work(dir, import, WORK)
    }

    /// Has a device CA from elsewhere take over from the one in `dir`, which is trusted until it ends: how a CA that was
    /// imported is renewed (its root is not ours), and how a facility moves to its own. As
    /// [`renew_device_ca`](Self::renew_device_ca) otherwise.
    ///
    /// # Errors
    /// The passphrase is wrong, the CA can't be taken over, or a file can't be written.
    pub fn replace_device_ca(dir: &Path, passphrase: &Passphrase, ca: &DeviceCa, now: Timestamp) -> Result<CaRenewed> {
        replace_with_work(dir, passphrase, ca, now, WORK)
    }
}

pub(crate) fn import_with_work(dir: &Path, import: &Import, work: Work) -> Result<InitReport> {
    let Import { init, device_ca } = import;
    let domains = check(dir, init)?;
    let (devices, _) = take_over(device_ca, &init.organisation, init.now)?;
    let servers = make(Family::Server(&domains), init)?;
    write(dir, init, domains, &devices, &servers, work)
}

pub(crate) fn replace_with_work(
    dir: &Path,
    passphrase: &Passphrase,
    ca: &DeviceCa,
    now: Timestamp,
    work: Work,
) -> Result<CaRenewed> {
    succeed(dir, passphrase, now, Which::Device, work, |authority| {
        let (made, not_after) = take_over(ca, &authority.organisation, now)?;
        if authority.device_cas().any(|known| known.der == made.ca) {
            return Err(refused("this CA is here already"));
        }
        Ok(Successor { root: made.root, der: made.ca, key: read_key(ca)?, not_after })
    })
}

/// Also returns when it ends.
fn take_over(given: &DeviceCa, organisation: &str, now: Timestamp) -> Result<(Made, Timestamp)> {
    let ca_der = one_certificate("the CA", &given.certificate)?;
    let root_der = match &given.root {
        Some(root) => one_certificate("the root", root)?,
        None => ca_der.clone(),
    };
    let read = |der, what: &str| parse(der).ok_or_else(|| refused(format!("{what} is no X.509 certificate")));
    let (ca, root) = (read(&ca_der, "the CA")?, read(&root_der, "the root")?);
    for (what, certificate) in [("the root", &root), ("the CA", &ca)] {
        is_living_ca(what, certificate, now)?;
    }
    root.verify_signature(None).map_err(|_| refused("the root did not sign itself; give the root above it"))?;
    ca.verify_signature(Some(root.public_key())).map_err(|_| refused("the root given did not sign this CA"))?;
    if ca.issuer().as_raw() != root.subject().as_raw() {
        return Err(refused("the root given is not the one that the CA names"));
    }
    signs_devices(&ca)?;
    is_our_kind_of_name(&ca)?;
    let key = read_key(given)?;
    if key.subject_public_key_info() != ca.public_key().raw {
        return Err(refused("the key is not that of the CA"));
    }
    let ca_key = Zeroizing::new(key.serialize_pem());
    try_out(&ca_der, key, organisation, now)?;
    let (_, not_after) = validity(&ca);
    Ok((Made { root: root_der.clone(), root_key: None, ca: ca_der.clone(), ca_key }, not_after))
}

fn one_certificate(what: &str, pem: &str) -> Result<CertificateDer<'static>> {
    let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    match (certificates.next(), certificates.next()) {
        (Some(Ok(certificate)), None) => Ok(certificate),
        (Some(Ok(_)), Some(_)) => Err(refused(format!("{what} must be one certificate, not a chain"))),
        _ => Err(refused(format!("{what} holds no PEM certificate"))),
    }
}

/// RFC 5280 §4.2.1.9, §4.2.1.3 and §4.1.2.5. A CA without a key usage extension may do everything: what `openssl req
/// -x509` makes has none.
fn is_living_ca(what: &str, certificate: &X509Certificate<'_>, now: Timestamp) -> Result<()> {
    if !certificate.is_ca() {
        return Err(refused(format!("{what} is not a CA: its basic constraints don't say CA:TRUE")));
    }
    let usage = certificate.key_usage().map_err(|_| refused(format!("{what} has an unreadable key usage")))?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(refused(format!("{what} may not sign certificates: its key usage lacks keyCertSign")));
    }
    let (not_before, not_after) = validity(certificate);
    if now >= not_after {
        return Err(refused(format!("{what} ended at {not_after}")));
    }
    if now < not_before {
        return Err(refused(format!("{what} is good only from {not_before} on")));
    }
    Ok(())
}

fn signs_devices(ca: &X509Certificate<'_>) -> Result<()> {
    let usage = ca.extended_key_usage().map_err(|_| refused("the CA has an unreadable extended key usage"))?;
    // The gate's verifier does not take anyExtendedKeyUsage for it.
    if usage.is_some_and(|usage| !usage.value.client_auth) {
        return Err(refused("the CA may not sign client certificates: its extended key usage lacks clientAuth"));
    }
    for extension in ca.iter_extensions() {
        match extension.parsed_extension() {
            // CA/Browser Forum: 2.23.140.1.*. Its rules forbid what a facility would use it for.
            ParsedExtension::CertificatePolicies(policies)
                if policies.iter().any(|policy| policy.policy_id.to_id_string().starts_with("2.23.140.1.")) =>
            {
                return Err(refused("the CA is one of the public web's, and must not sign devices"));
            }
            ParsedExtension::NameConstraints(constraints) => {
                let permitted = constraints.permitted_subtrees.iter().flatten();
                let supported =
                    |name: &GeneralName<'_>| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_));
                if !permitted.chain(constraints.excluded_subtrees.iter().flatten()).all(|tree| supported(&tree.base)) {
                    return Err(refused(
                        "the CA is constrained to names of a kind that the gate can't check; only DNS names and IP \
                         addresses are",
                    ));
                }
            }
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_) => {}
            // RFC 5280 §4.2: who does not know it must refuse. The gate would not look, because the CA is its anchor.
            _ if extension.critical => {
                let oid = extension.oid.to_id_string();
                return Err(refused(format!("the CA bears a critical extension that is not known here ({oid})")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A certificate names its issuer octet by octet as the issuer is named. rcgen writes names anew, and knows each kind of
/// attribute once, one to a level.
fn is_our_kind_of_name(ca: &X509Certificate<'_>) -> Result<()> {
    let mut kinds = Vec::new();
    for level in ca.subject().iter() {
        let attributes: Vec<_> = level.iter().map(|attribute| attribute.attr_type().to_id_string()).collect();
        match attributes.as_slice() {
            [kind] if !kinds.contains(kind) => kinds.push(kind.clone()),
            _ => return Err(refused("the CA's name holds the same kind of part twice, or several in one")),
        }
    }
    Ok(())
}

fn read_key(ca: &DeviceCa) -> Result<KeyPair> {
    let pem = pem::parse(ca.key.as_bytes()).map_err(|_| refused("the key is not in PEM"))?;
    let convert = "; convert it with `openssl pkcs8 -topk8 -v2 aes256`";
    let der = match (pem.tag(), &ca.key_passphrase) {
        ("PRIVATE KEY", _) => Zeroizing::new(pem.contents().to_vec()),
        ("ENCRYPTED PRIVATE KEY", None) => return Err(refused("the key is encrypted, and there is no passphrase")),
        ("ENCRYPTED PRIVATE KEY", Some(passphrase)) => {
            let sealed = pkcs8::EncryptedPrivateKeyInfoRef::try_from(pem.contents())
                .map_err(|_| refused(format!("the key is encrypted in an old way{convert}")))?;
            let opened = sealed.decrypt(passphrase.danger_expose());
            let opened = opened.map_err(|_| refused("the passphrase does not open the key"))?;
            Zeroizing::new(opened.as_bytes().to_vec())
        }
        _ => return Err(refused(format!("the key is not in PKCS#8{convert}"))),
    };
    let unknown = || refused("the key is neither P-256, P-384, nor RSA of 2,048 to 4,096 bits");
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(der.as_slice())).map_err(|_| unknown())?;
    if key.is_compatible(&PKCS_ED25519) || DeviceKey::from_spki(&key.subject_public_key_info()).is_err() {
        return Err(unknown());
    }
    Ok(key)
}

/// Whatever else may be odd about it: signs a device's certificate and shows it to the gate's verifier.
fn try_out(ca: &CertificateDer<'_>, key: KeyPair, organisation: &str, now: Timestamp) -> Result<()> {
    let issuer = Issuer::from_ca_cert_der(ca, key).map_err(|_| refused("the CA's name can't be written anew"))?;
    let id = DeviceId::new("d-trial").map_err(|error| refused(error.to_string()))?;
    let params = profile::device(organisation, "trial", &id, now, now.plus_secs(60))?;
    let trial = params.signed_by(&profile::new_key()?, &issuer)?;
    let accepted = || {
        let anchor = webpki::anchor_from_trusted_cert(ca)?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.secs()).unwrap_or_default()));
        webpki::EndEntityCert::try_from(trial.der())?
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &[anchor],
                &[],
                at,
                webpki::KeyUsage::client_auth(),
                None,
                None,
            )
            .map(drop)
    };
    accepted().map_err(|error: webpki::Error| refused(format!("what it signs would not be accepted ({error})")))
}

fn refused(why: impl Into<String>) -> CertError {
    CertError::Import(why.into())
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
