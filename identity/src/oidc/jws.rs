//! Signed tokens as such (RFC 7515, compact form): which algorithm and key they name, and whether the signature is
//! the provider's. For tokens that the library has no type for, and to tell what is wrong with those it has.

use data_encoding::BASE64URL_NOPAD;
use openidconnect::JsonWebKey;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm as Alg};
use serde_json::Value;

use super::OidcCause;

/// The longest token read, in bytes. Providers that put hundreds of groups into one stay below it.
pub(super) const LONGEST: usize = 16 * 1024;

/// What a token may be signed with. Nothing symmetric: a public key, known to everybody, could then pass for the
/// secret. And never `none`.
pub(super) const ASYMMETRIC: [Alg; 9] = [
    Alg::RsaSsaPkcs1V15Sha256,
    Alg::RsaSsaPkcs1V15Sha384,
    Alg::RsaSsaPkcs1V15Sha512,
    Alg::RsaSsaPssSha256,
    Alg::RsaSsaPssSha384,
    Alg::RsaSsaPssSha512,
    Alg::EcdsaP256Sha256,
    Alg::EcdsaP384Sha384,
    Alg::EdDsa,
];

/// A token whose signature nobody has looked at yet.
pub(super) struct Unverified<'t> {
    pub(super) alg: Alg,
    pub(super) kid: Option<String>,
    /// `typ` of the header, in lower case.
    pub(super) typ: Option<String>,
    /// Header and payload, as signed.
    message: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Reads the header; the algorithm must be among `allowed`.
    pub(super) fn read(token: &'t str, allowed: &[Alg]) -> Result<Self, OidcCause> {
        if token.len() > LONGEST {
            return Err(OidcCause::Oversized);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(OidcCause::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(OidcCause::Malformed)?;
        let header = object(header)?;
        // Extensions that must be understood are not understood (RFC 7515, 4.1.11).
        if header.get("crit").is_some() {
            return Err(OidcCause::Malformed);
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        let alg = header.get("alg").cloned().ok_or(OidcCause::Algorithm)?;
        let alg: Alg = serde_json::from_value(alg).map_err(|_| OidcCause::Algorithm)?;
        if !ASYMMETRIC.contains(&alg) || !allowed.contains(&alg) {
            return Err(OidcCause::Algorithm);
        }
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| OidcCause::Malformed)?;
        Ok(Self {
            alg,
            kid: text("kid"),
            typ: text("typ").map(|t| t.to_ascii_lowercase()),
            message,
            payload,
            signature,
        })
    }

    /// The claims, whoever made them up.
    pub(super) fn danger_unverified_claims(&self) -> Result<Value, OidcCause> {
        object(self.payload)
    }

    /// The claims, if one of the keys that the header can mean has signed them.
    pub(super) fn verify(&self, keys: &CoreJsonWebKeySet) -> Result<Value, OidcCause> {
        let meant = |key: &&CoreJsonWebKey| match &self.kid {
            Some(kid) => key.key_id().is_some_and(|id| id.as_str() == kid),
            None => true,
        };
        let mut candidates = keys.keys().iter().filter(meant).peekable();
        if candidates.peek().is_none() {
            return Err(OidcCause::UnknownKey);
        }
        // The key's own kind, use and algorithm are checked against `alg` by the library.
        let good = candidates.any(|k| k.verify_signature(&self.alg, self.message.as_bytes(), &self.signature).is_ok());
        if good { object(self.payload) } else { Err(OidcCause::Signature) }
    }
}

fn object(part: &str) -> Result<Value, OidcCause> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| OidcCause::Malformed)?;
    serde_json::from_slice(&bytes).ok().filter(Value::is_object).ok_or(OidcCause::Malformed)
}
