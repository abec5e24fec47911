//! The public key of a device that made its key itself.

use rcgen::{PublicKeyData, SignatureAlgorithm, SubjectPublicKeyInfo};

use crate::{CertError, Result};

/// A public key that we sign: P-256, P-384, or RSA of 2,048 bits and more. All that is taken from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey(SubjectPublicKeyInfo);

impl DeviceKey {
    /// Reads an RFC 5280 SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// It is none, or of a kind that is not signed.
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        let key = SubjectPublicKeyInfo::from_der(der)
            .map_err(|_| CertError::invalid("the public key", "is of a kind that is not signed; make one on P-256"))?;
        Ok(Self(key))
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
