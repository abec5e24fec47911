//! ID tokens (OpenID Connect Core 1.0, 3.1.3.7). The library checks signature, issuer, audience, expiry and nonce;
//! here stands what it leaves to us, and how its answers are called.

use chrono::DateTime;
use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{ClaimsVerificationError, ClientId, IssuerUrl, Nonce, SignatureVerificationError};
use serde_json::Value;
use vocabulary::Timestamp;

use super::OidcCause;
use super::jws::Unverified;

/// What an ID token is held against.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a IssuerUrl,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) algorithms: &'a [CoreJwsSigningAlgorithm],
    pub(super) keys: &'a CoreJsonWebKeySet,
    /// Seconds that the provider's clock may differ from ours.
    pub(super) leeway: i64,
    pub(super) now: Timestamp,
}

/// All claims of a token that holds.
pub(super) fn verify(token: &str, expected: &Expected<'_>) -> Result<Value, OidcCause> {
    let Expected { client_id, leeway, now, .. } = *expected;
    let unverified = Unverified::read(token, expected.algorithms)?;
    let parsed: CoreIdToken = token.parse().map_err(|_| OidcCause::Malformed)?;
    let earliest = DateTime::from_timestamp(now.secs() - leeway, 0).ok_or(OidcCause::Expired)?;
    // As a public client, so that the client secret can't become a key.
    let verifier = CoreIdTokenVerifier::new_public_client(
        ClientId::new(client_id.to_owned()),
        expected.issuer.clone(),
        expected.keys.clone(),
    )
    .set_allowed_algs(expected.algorithms.iter().cloned())
    .set_time_fn(move || earliest);
    let verified = parsed.claims(&verifier, &Nonce::new(expected.nonce.to_owned())).map_err(|e| cause(&e))?;
    if verified.issue_time().timestamp() > now.secs() + leeway {
        return Err(OidcCause::NotYet);
    }
    // The same bytes that the signature is over.
    let claims = unverified.danger_unverified_claims()?;
    if claims.get("nbf").and_then(seconds).is_some_and(|nbf| nbf > now.secs() + leeway) {
        return Err(OidcCause::NotYet);
    }
    if claims.get("azp").is_some_and(|azp| azp.as_str() != Some(client_id)) {
        return Err(OidcCause::AuthorizedParty);
    }
    Ok(claims)
}

/// A NumericDate (RFC 7519, 2) in whole seconds.
#[expect(clippy::cast_possible_truncation, reason = "a float that is out of range becomes the nearest whole number")]
pub(super) fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
}

fn cause(error: &ClaimsVerificationError) -> OidcCause {
    use ClaimsVerificationError as Claims;
    use SignatureVerificationError as Signature;
    match error {
        Claims::Expired(_) => OidcCause::Expired,
        Claims::InvalidAudience(_) => OidcCause::Audience,
        Claims::InvalidIssuer(_) => OidcCause::Issuer,
        Claims::InvalidNonce(_) => OidcCause::Nonce,
        Claims::InvalidSubject(_) => OidcCause::Subject,
        Claims::SignatureVerification(error) => match error {
            Signature::NoMatchingKey => OidcCause::UnknownKey,
            Signature::NoSignature | Signature::DisallowedAlg(_) | Signature::UnsupportedAlg(_) => OidcCause::Algorithm,
            _ => OidcCause::Signature,
        },
        _ => OidcCause::Malformed,
    }
}
