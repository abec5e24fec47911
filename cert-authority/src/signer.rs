//! A private key that signs CMS messages, in any of the forms that private keys come in.

use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ID_EC_PUBLIC_KEY, ID_SHA_256, ID_SHA_384, RSA_ENCRYPTION, SECP_256_R_1,
    SECP_384_R_1,
};
use der::asn1::{Any, ObjectIdentifier, OctetStringRef};
use der::{AnyRef, Encode};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};
use ring::digest::{self, Digest, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use crate::{CertError, Result};

pub(crate) enum Signer {
    P256(EcdsaKeyPair),
    /// Hashes with SHA-384: ring signs on this curve with nothing else.
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// `None` if the key is of another kind.
    pub(crate) fn new(key: &PrivateKeyDer<'_>) -> Option<Self> {
        match key {
            PrivateKeyDer::Pkcs8(key) => {
                let key = key.secret_pkcs8_der();
                p256(key).or_else(|| p384(key)).or_else(|| RsaKeyPair::from_pkcs8(key).ok().map(Self::Rsa))
            }
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok().map(Self::Rsa),
            PrivateKeyDer::Sec1(key) => {
                let wrapped = |curve| wrap(key.secret_sec1_der(), curve);
                wrapped(SECP_256_R_1)
                    .and_then(|key| p256(&key))
                    .or_else(|| wrapped(SECP_384_R_1).and_then(|key| p384(&key)))
            }
            _ => None,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::P256(key) | Self::P384(key) => {
                key.sign(&random, message).map(|signature| signature.as_ref().to_vec())
            }
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
        }
        .map_err(|_| CertError::Random)
    }

    pub(crate) fn digest(&self, message: &[u8]) -> Digest {
        match self {
            Self::P256(_) | Self::Rsa(_) => digest(&digest::SHA256, message),
            Self::P384(_) => digest(&digest::SHA384, message),
        }
    }

    /// As it stands in a SubjectPublicKeyInfo.
    pub(crate) fn public_key(&self) -> &[u8] {
        match self {
            Self::P256(key) | Self::P384(key) => key.public_key().as_ref(),
            Self::Rsa(key) => key.public_key().as_ref(),
        }
    }

    /// RFC 5754 §2: without parameters.
    pub(crate) fn digest_algorithm(&self) -> AlgorithmIdentifierOwned {
        let oid = match self {
            Self::P256(_) | Self::Rsa(_) => ID_SHA_256,
            Self::P384(_) => ID_SHA_384,
        };
        AlgorithmIdentifierOwned { oid, parameters: None }
    }

    /// RFC 5754 §3: ECDSA without parameters, RSA with NULL.
    pub(crate) fn signature_algorithm(&self) -> AlgorithmIdentifierOwned {
        match self {
            Self::P256(_) => AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA_256, parameters: None },
            Self::P384(_) => AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA_384, parameters: None },
            Self::Rsa(_) => AlgorithmIdentifierOwned { oid: RSA_ENCRYPTION, parameters: Some(Any::null()) },
        }
    }
}

fn p256(pkcs8: &[u8]) -> Option<Signer> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &SystemRandom::new()).ok().map(Signer::P256)
}

fn p384(pkcs8: &[u8]) -> Option<Signer> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8, &SystemRandom::new()).ok().map(Signer::P384)
}

/// An RFC 5915 key in PKCS#8, the one form in which ring reads keys on curves.
fn wrap(sec1: &[u8], curve: ObjectIdentifier) -> Option<Zeroizing<Vec<u8>>> {
    let algorithm = AlgorithmIdentifierRef { oid: ID_EC_PUBLIC_KEY, parameters: Some(AnyRef::from(&curve)) };
    PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(sec1).ok()?).to_der().ok().map(Zeroizing::new)
}
