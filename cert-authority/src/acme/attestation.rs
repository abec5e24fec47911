//! Apple's device attestation, as a `device-attest-01` challenge is answered with it (draft-ietf-acme-device-attest §5).
//!
//! The answer is a WebAuthn attestation object in CBOR, `{fmt: "apple", attStmt: {x5c: [leaf, intermediate]}}`, without
//! the `authData` that a browser's has. Apple's server signs the leaf for the key that the Secure Enclave just made; it
//! says of which device, and in an extension (1.2.840.113635.100.8.11.1) that it is fresh: the SHA-256 of the
//! challenge's *token*. The draft would have the key authorization there; that Apple takes the token alone is what
//! smallstep's server checks and Apple's engineers say in their forum (thread 783599).

use std::collections::BTreeMap;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_cbor_2::Value;
use vocabulary::Timestamp;
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use x509_parser::prelude::X509Certificate;

use super::problem::{Kind, Problem, Result};
use crate::DeviceKey;
use crate::authority::parse;

/// What an attestation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// Apple leaves both out for devices that are enrolled as their owner's (BYOD).
    pub serial_number: Option<String>,
    pub udid: Option<String>,
    /// As Apple writes it, such as `22.1.0`.
    pub sep_os_version: Option<String>,
    /// The key in the device's Secure Enclave.
    pub key: DeviceKey,
}

/// The Apple Enterprise Attestation Root CA (P-384, until 2047-02-20), from apple.com/certificateauthority/private/.
pub(crate) const APPLE_ROOT: &[u8] = include_bytes!("apple_enterprise_attestation_root.pem");

const SERIAL_NUMBER: &str = "1.2.840.113635.100.8.9.1";
const UDID: &str = "1.2.840.113635.100.8.9.2";
const SEP_OS_VERSION: &str = "1.2.840.113635.100.8.10.2";
const FRESHNESS: &str = "1.2.840.113635.100.8.11.1";

/// Apple sends two certificates.
const LONGEST_CHAIN: usize = 6;

/// The certificates in an attestation object, the leaf first. `None` if the device has none to show: its format is
/// `none`, or there is nothing in it at all. serde_cbor_2 ends a nesting at 128.
pub(crate) fn read(object: &[u8]) -> Result<Option<Vec<CertificateDer<'static>>>> {
    // A device that was not asked to attest sends an empty JSON object for CBOR (smallstep looks for it, too).
    if object.is_empty() || object == b"{}" {
        return Ok(None);
    }
    let bad = |detail| Problem::new(Kind::BadAttestationStatement, detail);
    let Ok(Value::Map(mut object)) = serde_cbor_2::from_slice(object) else {
        return Err(bad("the attestation object is not a CBOR map"));
    };
    let mut statement = match take(&mut object, "attStmt") {
        Some(Value::Map(statement)) => statement,
        None => BTreeMap::new(),
        Some(_) => return Err(bad("the attestation statement is not a map")),
    };
    let chain = take(&mut statement, "x5c");
    match (take(&mut object, "fmt"), chain) {
        (Some(Value::Text(format)), _) if format == "none" => Ok(None),
        (Some(Value::Text(format)), None) if format == "apple" => Ok(None),
        (Some(Value::Text(format)), Some(Value::Array(chain))) if format == "apple" => {
            let certificate = |value| match value {
                Value::Bytes(der) => Ok(CertificateDer::from(der)),
                _ => Err(bad("the chain holds something else than certificates")),
            };
            if chain.is_empty() || chain.len() > LONGEST_CHAIN {
                return Err(bad("the chain is empty or too long"));
            }
            chain.into_iter().map(certificate).collect::<Result<_>>().map(Some)
        }
        _ => Err(bad("the attestation is not in Apple's format")),
    }
}

fn take(map: &mut BTreeMap<Value, Value>, key: &str) -> Option<Value> {
    map.remove(&Value::Text(key.to_owned()))
}

/// Checks a chain against the roots at `now`, and that it was made for this token.
pub(crate) fn verify(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    token: &str,
    now: Timestamp,
) -> Result<Attested> {
    let bad = |detail| Problem::new(Kind::BadAttestationStatement, detail);
    let (leaf, intermediates) = chain.split_first().ok_or_else(|| bad("the chain is empty"))?;
    let anchors: Vec<_> = roots.iter().filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.secs()).unwrap_or_default()));
    EndEntityCert::try_from(leaf)
        .and_then(|leaf| {
            let algorithms = webpki::ALL_VERIFICATION_ALGS;
            leaf.verify_for_usage(algorithms, &anchors, intermediates, at, AnyUsage, None, None).map(drop)
        })
        .map_err(|_| bad("the chain does not lead to a root of device attestation, or has ended"))?;

    let parsed = parse(leaf).ok_or_else(|| bad("the certificate can't be read"))?;
    let freshness =
        extension(&parsed, FRESHNESS).ok_or_else(|| bad("the attestation does not say that it is fresh"))?;
    let expected = digest(&SHA256, token.as_bytes());
    // Apple writes the hash without a tag of its own; one around it would mean the same.
    if freshness.strip_prefix(&[0x04, 0x20]).unwrap_or(freshness) != expected.as_ref() && freshness != expected.as_ref()
    {
        return Err(bad("the attestation was made for another challenge"));
    }
    let key =
        DeviceKey::from_spki(parsed.public_key().raw).map_err(|_| bad("the attested key is of an unknown kind"))?;
    let text = |oid| extension(&parsed, oid).and_then(text);
    Ok(Attested { serial_number: text(SERIAL_NUMBER), udid: text(UDID), sep_os_version: text(SEP_OS_VERSION), key })
}

/// The content of an extension.
fn extension<'a>(certificate: &'a X509Certificate<'_>, oid: &str) -> Option<&'a [u8]> {
    certificate.iter_extensions().find(|extension| extension.oid.to_id_string() == oid).map(|extension| extension.value)
}

/// What is shown to people and kept in the record: short and printable, or not at all.
fn text(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    ((1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

/// What an attestation's certificate may be used for is not ours to say: Apple names no usage.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, mut usages: KeyPurposeIdIter<'_, '_>) -> std::result::Result<(), Error> {
        usages.try_for_each(|usage| usage.map(drop))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn the_root_is_apples() {
        let root = CertificateDer::from_pem_slice(APPLE_ROOT).unwrap();
        let parsed = parse(&root).unwrap();
        assert!(parsed.verify_signature(None).is_ok());
        let name = parsed.subject().iter_common_name().next().unwrap().as_str().unwrap();
        assert_eq!(name, "Apple Enterprise Attestation Root CA");
        assert_eq!(crate::Fingerprint::of(&root).to_string(), FINGERPRINT);
    }

    const FINGERPRINT: &str =
        "CC:F5:9E:F8:FC:B3:01:7D:97:F8:B5:FA:6F:A9:0E:7A:3F:92:83:F7:6B:55:AC:6C:F6:ED:A8:B8:B9:49:F0:5B";

    #[test]
    fn a_device_may_have_nothing_to_show() {
        let encode = |value: &Value| serde_cbor_2::to_vec(value).unwrap();
        let text = |text: &str| Value::Text(text.to_owned());
        let object = |format: &str, statement| {
            encode(&Value::Map([(text("fmt"), text(format)), (text("attStmt"), statement)].into()))
        };
        for nothing in [b"".to_vec(), b"{}".to_vec(), object("none", Value::Map(BTreeMap::new()))] {
            assert_eq!(read(&nothing), Ok(None));
        }
        for bad in [
            b"x".to_vec(),
            encode(&Value::Null),
            object("tpm", Value::Map(BTreeMap::new())),
            object("apple", Value::Null),
        ] {
            assert_eq!(read(&bad).unwrap_err().kind, Kind::BadAttestationStatement);
        }
        for chain in [
            Value::Null,
            Value::Array(vec![]),
            Value::Array(vec![Value::Null]),
            Value::Array(vec![Value::Bytes(vec![]); 7]),
        ] {
            let statement = Value::Map([(text("x5c"), chain)].into());
            assert_eq!(read(&object("apple", statement)).unwrap_err().kind, Kind::BadAttestationStatement);
        }
        // A thousand arrays in each other.
        assert!(read(&[0x81; 1_000]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let chain = [CertificateDer::from(bytes)];
            prop_assert!(verify(&chain, &[], "token", Timestamp::from_secs(1_793_491_200)).is_err());
        }
    }
}
