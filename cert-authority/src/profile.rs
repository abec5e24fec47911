//! Certificate profiles: what stands in each kind of certificate we make (RFC 5280).
//!
//! All keys are P-256. Every certificate carries SKI and AKI, critical basic constraints and key usage, and is
//! backdated by five minutes, because clocks of phones stand behind.
//!
//! What `pkilint` 0.13 (`lint_pkix_cert`, `lint_crl`) finds in them, and why it stays:
//!
//! - *unknown subject key identifier calculation method*, a notice, in each: rcgen takes the first 160 bits of SHA-256
//!   over the whole SubjectPublicKeyInfo. RFC 5280 §4.2.1.2 leaves the method open, and nobody computes it anew.
//! - *invalid domain name syntax "localhost"*, in the name constraints of the server root and CA: pkilint expects two
//!   labels, RFC 1034 §3.5 asks for one. Without it the demo could have no certificate.
//!
//! Device certificates, the device CA, its root and CRLs get nothing but that notice.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use time::OffsetDateTime;
use vocabulary::{DeviceId, Timestamp};

use crate::serial::{Fingerprint, Serial};
use crate::{CertError, Result};

const DAY: u64 = 86_400;
pub(crate) const BACKDATE: i64 = 300;

/// A device's certificate unless the configuration says otherwise.
pub const DEVICE_VALIDITY: Duration = Duration::from_secs(365 * DAY);
/// Three years: about as long as a phone is used.
pub const DEVICE_VALIDITY_MAX: Duration = Duration::from_secs(1_095 * DAY);
/// A server's certificate unless the configuration says otherwise.
pub const SERVER_VALIDITY: Duration = Duration::from_secs(90 * DAY);
/// Apple's limit for servers is 398 days to the second (support.apple.com/102028); one less is safe to round.
pub const SERVER_VALIDITY_MAX: Duration = Duration::from_secs(397 * DAY);

const ROOT_VALIDITY: Duration = Duration::from_secs(20 * 365 * DAY);
/// Signed anew with the offline root before it ends.
const CA_VALIDITY: Duration = Duration::from_secs(10 * 365 * DAY);

/// X.520 upper bounds `ub-common-name` and `ub-organization-name` (RFC 5280 appendix A.1), in characters.
const LONGEST_NAME: usize = 64;

/// Which of the two families a certificate belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family<'a> {
    Device,
    /// With the DNS subtrees it is constrained to.
    Server(&'a [String]),
}

impl Family<'_> {
    const fn word(self) -> &'static str {
        match self {
            Self::Device => "Device",
            Self::Server(_) => "Server",
        }
    }

    const fn usage(self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Device => ExtendedKeyUsagePurpose::ClientAuth,
            Self::Server(_) => ExtendedKeyUsagePurpose::ServerAuth,
        }
    }

    /// Devices have none: rustls-webpki refuses kinds of constraint other than DNS and IP address, and a device
    /// bears neither name. Servers are bound to their subtrees, and every address is excluded.
    fn constraints(self) -> Option<NameConstraints> {
        let Self::Server(domains) = self else { return None };
        Some(NameConstraints {
            permitted_subtrees: domains.iter().cloned().map(GeneralSubtree::DnsName).collect(),
            excluded_subtrees: vec![
                GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
                GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
            ],
        })
    }
}

pub(crate) fn new_key() -> Result<KeyPair> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

/// A self-signed root. It may have one CA below it, and no CA below that.
pub(crate) fn root(family: Family<'_>, organisation: &str, key: &KeyPair, now: Timestamp) -> Result<CertificateParams> {
    let name = format!("Sekisho {} Root {}", family.word(), tag(key));
    let mut params = base(organisation, &name, now, Timestamp::plus_secs(now, secs(ROOT_VALIDITY)))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = family.constraints();
    Ok(params)
}

/// The CA that signs from day to day; no CA may stand below it. The constraints stand here as well as in the
/// root, since not everything that trusts a root reads the root's own extensions.
pub(crate) fn issuing_ca(
    family: Family<'_>,
    organisation: &str,
    key: &KeyPair,
    now: Timestamp,
) -> Result<CertificateParams> {
    let name = format!("Sekisho {} CA {}", family.word(), tag(key));
    let mut params = base(organisation, &name, now, now.plus_secs(secs(CA_VALIDITY)))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![family.usage()];
    params.name_constraints = family.constraints();
    Ok(params)
}

/// A device's own certificate. It names the device, not its owner: whose it is stands in the inventory alone,
/// so that nothing can come to trust what an old certificate says.
pub(crate) fn device(
    organisation: &str,
    name: &str,
    id: &DeviceId,
    now: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams> {
    let mut params = base(organisation, name, now, until)?;
    let id = id.as_str().try_into().map_err(|_| CertError::invalid("the device's id", "is not printable ASCII"))?;
    // X.520 serialNumber, the attribute for a device's number.
    params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), DnValue::PrintableString(id));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// A server's certificate for DNS names; the caller has checked them.
pub(crate) fn server(
    organisation: &str,
    hosts: &[String],
    now: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams> {
    // Names are read from the SAN; the common name only tells people what they look at.
    let shown = hosts.iter().find(|h| h.len() <= LONGEST_NAME).map_or("Sekisho", String::as_str);
    let mut params = base(organisation, shown, now, until)?;
    params.subject_alt_names =
        hosts.iter().map(|h| Ok(SanType::DnsName(h.as_str().try_into()?))).collect::<Result<_>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// Text for a subject: one line of 1 to 64 characters.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(CertError::invalid(field, "is empty"));
    }
    if name.chars().count() > LONGEST_NAME {
        return Err(CertError::invalid(field, format!("is longer than {LONGEST_NAME} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(CertError::invalid(field, "holds a control character"));
    }
    if name.chars().any(is_unseen) {
        return Err(CertError::invalid(field, "holds a character that nobody sees"));
    }
    Ok(())
}

/// Characters that change what is seen and are not seen themselves: directions, spaces of no width. The joiner of emoji is
/// none.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// When a certificate made now ends, given when its CA does: never after it.
pub(crate) fn end(now: Timestamp, validity: Duration, ca_ends: Timestamp) -> Timestamp {
    now.plus_secs(secs(validity)).min(ca_ends)
}

/// rcgen's own defaults (a fixed subject, valid until 4096, serial from the key, no AKI) are all replaced.
fn base(organisation: &str, name: &str, now: Timestamp, until: Timestamp) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = instant(now.plus_secs(-BACKDATE))?;
    params.not_after = instant(until)?;
    params.serial_number = Some(Serial::random()?.to_bytes().to_vec().into());
    params.use_authority_key_identifier_extension = true;
    // "No CA" said aloud: it also makes rcgen write the SKI.
    params.is_ca = IsCa::ExplicitNoCa;
    Ok(params)
}

/// Two generations of one CA must not share a name, or path building confuses them.
fn tag(key: &KeyPair) -> String {
    let [a, b, ..] = Fingerprint::of(&key.subject_public_key_info()).0;
    format!("{a:02x}{b:02x}")
}

fn secs(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

pub(crate) fn instant(at: Timestamp) -> Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.secs()).map_err(|_| CertError::invalid("the time", "is out of range"))
}
