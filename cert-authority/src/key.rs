//! The public key of a device that made its key itself.

use rcgen::{PublicKeyData, SignatureAlgorithm, SubjectPublicKeyInfo};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo as Parsed;

use crate::{CertError, Fingerprint, Result};

/// RSA moduli we sign, in bits. NIST SP 800-57 part 1 rev. 5 table 2 allows nothing shorter; longer ones cost a phone
/// seconds per handshake, and us the work of checking them.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// A public key that we sign: P-256, P-384, or RSA of 2,048 to 4,096 bits. All that is taken from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey(SubjectPublicKeyInfo);

impl DeviceKey {
    /// Reads an RFC 5280 SubjectPublicKeyInfo in DER. Whether a point lies on its curve is not asked: a key that nobody
    /// can sign with is of no use to anybody.
    ///
    /// # Errors
    /// It is none, or of a kind that is not signed.
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        let refused = |problem: &str| CertError::invalid("the public key", problem);
        let (rest, parsed) = Parsed::from_der(der).map_err(|_| refused("can't be read"))?;
        if !rest.is_empty() {
            return Err(refused("has bytes behind it"));
        }
        match parsed.parsed() {
            // Uncompressed (SEC 1 §2.3.3): what every device writes, and the one form that ring reads.
            Ok(PublicKey::EC(point)) if matches!((point.data().first(), point.data().len()), (Some(4), 65 | 97)) => {}
            Ok(PublicKey::RSA(rsa)) if rsa_bits(rsa.modulus).is_some_and(|bits| RSA_BITS.contains(&bits)) => {}
            Ok(PublicKey::RSA(_)) => return Err(refused("is RSA of fewer than 2,048 bits or more than 4,096")),
            _ => return Err(refused(UNSIGNED_KIND)),
        }
        let key = SubjectPublicKeyInfo::from_der(der).map_err(|_| refused(UNSIGNED_KIND))?;
        Ok(Self(key))
    }
}

const UNSIGNED_KIND: &str = "is of a kind that is not signed; make one on P-256";

/// The length of a positive DER INTEGER's content. `None` if the modulus is even, so no modulus.
fn rsa_bits(modulus: &[u8]) -> Option<usize> {
    let start = modulus.iter().position(|byte| *byte != 0)?;
    let digits = &modulus[start..];
    let odd = digits.last()? & 1 == 1;
    odd.then(|| digits.len() * 8 - digits[0].leading_zeros() as usize)
}

impl DeviceKey {
    /// SHA-256 of the SubjectPublicKeyInfo, to tell keys apart.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.subject_public_key_info())
    }
}

impl PublicKeyData for DeviceKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}
