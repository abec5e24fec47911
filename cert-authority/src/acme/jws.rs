//! Requests signed as flattened JSON Web Signatures (RFC 7515 §7.2.2, RFC 8555 §6.2), and the keys they are signed with
//! (RFC 7517, 7518): ES256, ES384 and RS256.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem, Result};

/// What was sent: nothing of it is to be believed before [`verify`](Self::verify).
pub(crate) struct Request {
    pub(crate) header: Header,
    algorithm: Algorithm,
    signed: String,
    signature: Vec<u8>,
    /// Empty for POST-as-GET (RFC 8555 §6.3).
    pub(crate) payload: Vec<u8>,
}

/// Without any unprotected header, and with one signature: RFC 8555 §6.2.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    protected: String,
    payload: String,
    signature: String,
}

#[derive(Deserialize)]
pub(crate) struct Header {
    alg: String,
    #[serde(default)]
    pub(crate) nonce: String,
    #[serde(default)]
    pub(crate) url: String,
    jwk: Option<Jwk>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// Who signed: a key that is new to us, or an account.
pub(crate) enum Signer {
    Key(Key),
    Account(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Es256,
    Es384,
    Rs256,
}

impl Request {
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let malformed = |detail| Problem::malformed(detail);
        let envelope: Envelope =
            serde_json::from_slice(body).map_err(|_| malformed("the body is not a flattened JWS"))?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed("a part is not base64url"));
        let header: Header = serde_json::from_slice(&decode(&envelope.protected)?)
            .map_err(|_| malformed("the protected header can't be read"))?;
        if header.crit.is_some() {
            return Err(malformed("the header says `crit`, and nothing critical is known here"));
        }
        let algorithm = match header.alg.as_str() {
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            "RS256" => Algorithm::Rs256,
            _ => return Err(Problem::new(Kind::BadSignatureAlgorithm, "the algorithm is not accepted")),
        };
        let (signature, payload) = (decode(&envelope.signature)?, decode(&envelope.payload)?);
        let signed = format!("{}.{}", envelope.protected, envelope.payload);
        Ok(Self { header, algorithm, signed, signature, payload })
    }

    /// RFC 8555 §6.2: exactly one of `jwk` and `kid`.
    pub(crate) fn signer(&self) -> Result<Signer> {
        match (&self.header.jwk, &self.header.kid) {
            (Some(jwk), None) => Key::read(jwk).map(Signer::Key),
            (None, Some(kid)) => Ok(Signer::Account(kid.clone())),
            _ => Err(Problem::malformed("the header must have either `jwk` or `kid`")),
        }
    }

    pub(crate) fn verify(&self, key: &Key) -> Result<()> {
        if key.algorithm() != self.algorithm {
            return Err(Problem::new(Kind::BadSignatureAlgorithm, "the algorithm is not that of the key"));
        }
        if key.verify(self.signed.as_bytes(), &self.signature) {
            return Ok(());
        }
        Err(Problem::new(Kind::Unauthorized, "the signature is wrong"))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.payload).map_err(|_| Problem::malformed("the payload can't be read"))
    }
}

#[derive(Deserialize)]
#[serde(tag = "kty")]
enum Jwk {
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(other)]
    Other,
}

/// An account's key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Key {
    P256([u8; 65]),
    P384([u8; 97]),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Key {
    fn read(jwk: &Jwk) -> Result<Self> {
        let bad = || Problem::new(Kind::BadPublicKey, "the key is neither P-256, P-384 nor RSA of 2,048 to 4,096 bits");
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| bad());
        match jwk {
            Jwk::Ec { crv, x, y } => match crv.as_str() {
                "P-256" => point(&decode(x)?, &decode(y)?).map(Self::P256).ok_or_else(bad),
                "P-384" => point(&decode(x)?, &decode(y)?).map(Self::P384).ok_or_else(bad),
                _ => Err(bad()),
            },
            Jwk::Rsa { n, e } => {
                let strip = |number: Vec<u8>| number.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
                let (n, e) = (strip(decode(n)?), strip(decode(e)?));
                // The smaller bound is ring's; a longer key would only make us work.
                if !(256..=512).contains(&n.len()) || e.len() > 4 {
                    return Err(bad());
                }
                Ok(Self::Rsa { n, e })
            }
            Jwk::Other => Err(bad()),
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::Es256,
            Self::P384(_) => Algorithm::Es384,
            Self::Rsa { .. } => Algorithm::Rs256,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let on_curve = |algorithm: &'static dyn VerificationAlgorithm, point: &[u8], length| {
            let key = UnparsedPublicKey::new(algorithm, point);
            whole(signature, length).iter().any(|signature| key.verify(message, signature).is_ok())
        };
        match self {
            Self::P256(point) => on_curve(&ECDSA_P256_SHA256_FIXED, point, 64),
            Self::P384(point) => on_curve(&ECDSA_P384_SHA384_FIXED, point, 96),
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
        }
    }
}

/// SEC 1 §2.3.3. RFC 7518 §6.2.1.2 wants both coordinates in full length; one that lost a leading zero is made whole.
fn point<const LENGTH: usize>(x: &[u8], y: &[u8]) -> Option<[u8; LENGTH]> {
    let size = (LENGTH - 1) / 2;
    let mut point = [0; LENGTH];
    point[0] = 4;
    point[1 + size.checked_sub(x.len())?..=size].copy_from_slice(x);
    point[1 + size + size.checked_sub(y.len())?..].copy_from_slice(y);
    Some(point)
}

/// The signatures that one may have been. Apple's client leaves out the first octet of `r` and of `s` where it is zero
/// (seen by smallstep, whose `retryVerificationWithPatchedSignatures` does the same), which RFC 7518 §3.4 forbids: one
/// signature of 128 would fail. Each candidate is checked in full, so nothing passes that the key did not sign.
fn whole(signature: &[u8], length: usize) -> Vec<Cow<'_, [u8]>> {
    let half = length / 2;
    let joined = |parts: &[&[u8]]| Cow::Owned(parts.concat());
    match length.checked_sub(signature.len()) {
        Some(0) => vec![Cow::Borrowed(signature)],
        Some(1) => {
            let (r, s) = signature.split_at(half);
            vec![joined(&[&[0], signature]), joined(&[r, &[0], s])]
        }
        Some(2) => {
            let (r, s) = signature.split_at(half - 1);
            vec![joined(&[&[0], r, &[0], s])]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_signature_without_its_zeros_is_made_whole() {
        let mut signature = [7; 64];
        signature[0] = 0;
        signature[32] = 0;
        let without: Vec<u8> = signature.iter().copied().filter(|byte| *byte != 0).collect();
        assert_eq!(whole(&without, 64), [&signature[..]]);
        assert!(whole(&signature[1..], 64).iter().any(|candidate| **candidate == signature));
        let without_s = [&signature[..32], &signature[33..]].concat();
        assert!(whole(&without_s, 64).iter().any(|candidate| **candidate == signature));
        assert!(whole(&[0; 65], 64).is_empty() && whole(&[0; 61], 64).is_empty());
    }

    #[test]
    fn what_apples_client_leaves_out_is_found_again() {
        use ring::rand::SystemRandom;
        use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let key = Key::P256(signer.public_key().as_ref().try_into().unwrap());
        let mut found = [0, 0];
        while found.contains(&0) {
            let signature = signer.sign(&random, b"message").unwrap();
            let (r, s) = signature.as_ref().split_at(32);
            let (short_r, short_s) = (r.strip_prefix(&[0]).unwrap_or(r), s.strip_prefix(&[0]).unwrap_or(s));
            found[0] += usize::from(short_r.len() < 32);
            found[1] += usize::from(short_s.len() < 32);
            let short = [short_r, short_s].concat();
            assert!(key.verify(b"message", &short));
            assert!(!key.verify(b"another", &short) && !key.verify(b"message", &short[1..]));
        }
    }

    #[test]
    fn a_coordinate_without_its_zero_is_made_whole() {
        let point = point::<65>(&[1; 31], &[2; 32]).unwrap();
        assert_eq!((point[0], point[1], point[2], point[33]), (4, 0, 1, 2));
        assert!(super::point::<65>(&[1; 33], &[2; 32]).is_none());
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused_without_a_panic(
            body in prop::collection::vec(any::<u8>(), 0..300),
            parts in prop::array::uniform3("[A-Za-z0-9_-]{0,40}"),
            header in "\\{\"alg\":\"(ES256|RS256|none)\",\"jwk\":\\{\"kty\":\"(EC|RSA)\",\"crv\":\"P-256\",\"x\":\"A{0,50}\",\"y\":\"A\",\"n\":\"\",\"e\":\"\"\\}\\}",
        ) {
            let _ = Request::read(&body);
            for protected in [&parts[0], &URL_SAFE_NO_PAD.encode(header)] {
                let json = serde_json::json!({"protected": protected, "payload": parts[1], "signature": parts[2]});
                if let Ok(request) = Request::read(json.to_string().as_bytes())
                    && let Ok(Signer::Key(key)) = request.signer() {
                    prop_assert!(request.verify(&key).is_err());
                }
            }
        }
    }
}
