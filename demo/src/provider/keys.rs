//! A signing key, and tokens signed with it or in ways that no provider should.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJsonWebKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

/// An Ed25519 key and its name.
pub(super) struct Key {
    pub(super) kid: String,
    key: CoreEdDsaPrivateSigningKey,
}

impl Key {
    pub(super) fn new() -> Option<Self> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).ok()?;
        // PKCS#8, version 1 (RFC 8410, 7): the key as it is.
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend_from_slice(&seed);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        let kid = random()?;
        let key = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(kid.clone()))).ok()?;
        Some(Self { kid, key })
    }

    pub(super) fn public(&self) -> CoreJsonWebKey {
        self.key.as_verification_key()
    }

    /// The bytes of the public key, as everybody can read them from the key set.
    pub(super) fn public_bytes(&self) -> Vec<u8> {
        let jwk = serde_json::to_value(self.public()).unwrap_or_default();
        URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap_or_default()).unwrap_or_default()
    }

    /// Signs claims under `kid`, which need not be this key's.
    pub(super) fn sign(&self, kid: &str, claims: &Value) -> String {
        self.sign_as("EdDSA", kid, claims)
    }

    /// The same, with another algorithm's name in the head.
    pub(super) fn sign_as(&self, algorithm: &str, kid: &str, claims: &Value) -> String {
        let message = message(&json!({ "alg": algorithm, "typ": "JWT", "kid": kid }), claims);
        let signature = self.key.sign(&CoreJwsSigningAlgorithm::EdDsa, message.as_bytes()).unwrap_or_default();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// HS256 with any secret.
pub(super) fn symmetric(secret: &[u8], kid: &str, claims: &Value) -> String {
    let message = message(&json!({ "alg": "HS256", "typ": "JWT", "kid": kid }), claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// `alg: none`.
pub(super) fn unsigned(claims: &Value) -> String {
    format!("{}.", message(&json!({ "alg": "none", "typ": "JWT" }), claims))
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// 128 random bits.
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}
