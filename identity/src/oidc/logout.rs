//! What a provider says of people who signed out there (OpenID Connect Back-Channel Logout 1.0), and the way to its
//! own sign-out (OpenID Connect RP-Initiated Logout 1.0).

use oauth2::CsrfToken;
use openidconnect::core::CoreJwsSigningAlgorithm;
use openidconnect::{ClientId, EndSessionUrl, LogoutRequest, PostLogoutRedirectUrl};
use serde_json::Value;
use vocabulary::Timestamp;

use super::OidcCause;
use super::jws::Unverified;
use super::known::Known;
use super::provider::Provider;
use super::token::seconds;

/// Whose sessions end: those of one session at the provider, else all of one subject.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutScope {
    pub issuer: String,
    pub sid: Option<String>,
    pub subject: Option<String>,
    /// Of the token that said so (`jti`).
    pub token: Option<String>,
}

impl std::fmt::Debug for LogoutScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogoutScope").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

impl Provider {
    pub(super) async fn logout_token(&self, token: &str, now: Timestamp) -> Result<LogoutScope, OidcCause> {
        let known = self.known(now).await?;
        let algorithms: Vec<CoreJwsSigningAlgorithm> = known.algorithms();
        let unverified = Unverified::read(token, &algorithms)?;
        // Another token of the same provider must not pass for a logout token.
        if unverified.typ.as_deref().is_some_and(|typ| !matches!(typ, "jwt" | "logout+jwt" | "application/logout+jwt"))
        {
            return Err(OidcCause::LogoutToken);
        }
        let claims = match unverified.verify(&known.keys) {
            Err(OidcCause::UnknownKey) => unverified.verify(&self.keys_again(&known, now).await?.keys)?,
            other => other?,
        };
        self.read_logout(&claims, now)
    }

    fn read_logout(&self, claims: &Value, now: Timestamp) -> Result<LogoutScope, OidcCause> {
        let leeway = self.leeway();
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(self.issuer.as_str()) {
            return Err(OidcCause::Issuer);
        }
        let ours = |aud: &Value| aud.as_str() == Some(self.settings.client_id.as_str());
        let for_us = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(ours),
            Some(one) => ours(one),
            None => false,
        };
        if !for_us {
            return Err(OidcCause::Audience);
        }
        let time = |name: &str| claims.get(name).and_then(seconds);
        let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else { return Err(OidcCause::LogoutToken) };
        if issued > now.secs() + leeway {
            return Err(OidcCause::NotYet);
        }
        if expires <= now.secs() - leeway {
            return Err(OidcCause::Expired);
        }
        let is_logout = claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
        // An ID token has a nonce, a logout token never (2.4): neither may pass for the other.
        if !is_logout || claims.get("nonce").is_some() {
            return Err(OidcCause::LogoutToken);
        }
        let scope = LogoutScope {
            issuer: self.issuer.as_str().to_owned(),
            sid: text("sid").map(str::to_owned),
            subject: text("sub").map(str::to_owned),
            token: text("jti").map(str::to_owned),
        };
        let (Some(jti), true) = (text("jti"), scope.sid.is_some() || scope.subject.is_some()) else {
            return Err(OidcCause::LogoutToken);
        };
        let until = Timestamp::from_secs(expires.min(now.secs() + 86_400)).plus_secs(leeway + 1);
        if !self.seen.first(self.issuer.as_str(), jti, until, now) {
            return Err(OidcCause::Replayed);
        }
        Ok(scope)
    }

    /// The ends that a token asked for could not be recorded, so they did not happen: it may come again.
    pub(super) fn logout_failed(&self, scope: &LogoutScope) {
        if let Some(jti) = &scope.token {
            self.seen.forget(self.issuer.as_str(), jti);
        }
    }

    /// Without `id_token_hint`: that would mean keeping tokens. Some providers ask the person once more therefore.
    pub(super) async fn sign_out_url(&self, back: &str, state: &str, now: Timestamp) -> Option<String> {
        let known = self.known(now).await.ok()?;
        end_session(&known, &self.settings.client_id, back, state)
    }
}

fn end_session(known: &Known, client_id: &str, back: &str, state: &str) -> Option<String> {
    let endpoint = known.metadata.additional_metadata().end_session_endpoint.clone()?;
    let url = EndSessionUrl::new(endpoint).ok().filter(|url| url.url().scheme() == "https")?;
    let request = LogoutRequest::from(url)
        .set_client_id(ClientId::new(client_id.to_owned()))
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(back.to_owned()).ok()?)
        .set_state(CsrfToken::new(state.to_owned()));
    Some(request.http_get_url().into())
}
