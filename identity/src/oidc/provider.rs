//! One provider: the way there and back.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AuthType, AuthorizationCode, CsrfToken, ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};
use openidconnect::core::{CoreAuthPrompt, CoreClient, CoreClientAuthMethod, CoreJsonWebKeySet, CoreResponseType};
use openidconnect::{AuthenticationContextClass, AuthenticationFlow, ClientId, IssuerUrl, LanguageTag, Nonce};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vocabulary::Timestamp;

use super::document::{OidcSettings, Prompt};
use super::fetch::{self, Fetch, FetchError};
use super::known::{Current, Known};
use super::token::{self, seconds};
use super::under_way::{SeenTokens, Traveller, UnderWay, browser_hash};
use super::{Account, Arrived, ComeBack, Failed, OidcCause, SetOut};

/// Where the provider is to ask whatever it remembers, the sign-in there may be so many seconds old when it is used:
/// `prompt` stands in an address that the person can edit, so it is `auth_time` that counts.
const ANEW: i64 = 180;
/// The longest subject (OpenID Connect Core 1.0, 2).
const LONGEST_SUBJECT: usize = 255;
/// The longest code taken to the token endpoint, in bytes.
const LONGEST_CODE: usize = 4096;

pub(super) struct Provider {
    pub(super) settings: OidcSettings,
    pub(super) issuer: IssuerUrl,
    pub(super) fetch: Arc<dyn Fetch>,
    under_way: UnderWay,
    pub(super) seen: SeenTokens,
    pub(super) current: Current,
}

/// A token response; the ID token is kept as it came.
type Tokens = StandardTokenResponse<IdTokenField, BasicTokenType>;

#[derive(Serialize, Deserialize)]
struct IdTokenField {
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenField {}

impl std::fmt::Debug for IdTokenField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdTokenField(…)")
    }
}

impl Provider {
    pub(super) fn new(settings: OidcSettings, fetch: Arc<dyn Fetch>, under_way: UnderWay, seen: SeenTokens) -> Self {
        Self { issuer: settings.issuer.clone(), settings, fetch, under_way, seen, current: Current::default() }
    }

    pub(super) async fn set_out(&self, out: SetOut<'_>) -> Result<String, OidcCause> {
        let known = self.known_to_answer(out.now).await?;
        let endpoint = known.metadata.authorization_endpoint().clone();
        if endpoint.url().scheme() != "https" {
            return Err(OidcCause::Answer);
        }
        let within = if out.anew { Some(out.within.map_or(ANEW, |within| within.min(ANEW))) } else { out.within };
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = Nonce::new_random();
        let traveller = Traveller {
            provider: self.settings.id.clone(),
            nonce: nonce.secret().clone(),
            pkce: verifier.secret().clone(),
            handle: out.handle.map(str::to_owned),
            within,
            browser: browser_hash(out.browser),
            source: out.source.into(),
        };
        let state = self.under_way.set_out(traveller, out.now)?;
        let redirect = RedirectUrl::new(out.redirect_uri.to_owned()).map_err(|_| OidcCause::Answer)?;
        let client = CoreClient::new(self.client_id(), self.issuer.clone(), CoreJsonWebKeySet::default())
            .set_auth_uri(endpoint)
            .set_redirect_uri(redirect);
        let mut request = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || CsrfToken::new(state.as_str().to_owned()),
                move || nonce,
            )
            .add_scopes(self.settings.scopes.iter().filter(|s| *s != "openid").cloned().map(Scope::new))
            .add_ui_locale(LanguageTag::new(out.language.to_owned()))
            .set_pkce_challenge(challenge);
        for value in &self.settings.acr_values {
            request = request.add_auth_context_value(AuthenticationContextClass::new(value.clone()));
        }
        if let Some(within) = within {
            // So much less that the answer, by whichever clock, is still fresh for a minute when it is used.
            let max_age = (within - self.leeway() - 60).max(0);
            request = request.set_max_age(Duration::from_secs(max_age.unsigned_abs()));
        }
        let prompt = match self.settings.prompt {
            _ if out.anew => Some(CoreAuthPrompt::Login),
            Some(Prompt::Login) => Some(CoreAuthPrompt::Login),
            Some(Prompt::SelectAccount) => Some(CoreAuthPrompt::SelectAccount),
            Some(Prompt::Consent) => Some(CoreAuthPrompt::Consent),
            None => None,
        };
        if let Some(prompt) = prompt {
            request = request.add_prompt(prompt);
        }
        let (url, _, _) = request.url();
        Ok(url.into())
    }

    pub(super) async fn come_back(&self, back: ComeBack<'_>) -> Result<Arrived, Failed> {
        let traveller = self.under_way.come_back(back.state, &self.settings.id, back.browser, back.now);
        let Some(traveller) = traveller else {
            return Err(Failed { cause: OidcCause::State, handle: None, subject: None });
        };
        let mut subject = None;
        match self.account(&traveller, &back, &mut subject).await {
            Ok(account) => Ok(Arrived { handle: traveller.handle, account }),
            Err(cause) => Err(Failed { cause, handle: traveller.handle, subject }),
        }
    }

    /// `subject` is noted as soon as the provider has vouched for it.
    async fn account(
        &self,
        traveller: &Traveller,
        back: &ComeBack<'_>,
        subject: &mut Option<String>,
    ) -> Result<Account, OidcCause> {
        let known = self.known(back.now).await?;
        let must_say = known.metadata.additional_metadata().authorization_response_iss_parameter_supported;
        match back.iss {
            Some(iss) if iss == self.issuer.as_str() => {}
            None if !must_say => {}
            _ => return Err(OidcCause::ResponseIssuer),
        }
        if let Some(error) = back.error {
            return Err(told(error));
        }
        let code = back.code.filter(|code| code.len() <= LONGEST_CODE).ok_or(OidcCause::Answer)?;
        let tokens = self.exchange(&known, code, traveller, back.redirect_uri).await?;
        let id_token = tokens.extra_fields().id_token.as_deref().ok_or(OidcCause::NoToken)?;
        let mut claims = self.verified(&known, id_token, &traveller.nonce, back.now).await?;
        let name = claims.get("sub").and_then(Value::as_str).filter(|s| (1..=LONGEST_SUBJECT).contains(&s.len()));
        let name = name.ok_or(OidcCause::Subject)?.to_owned();
        *subject = Some(name.clone());
        let auth_time = self.auth_time(&claims, traveller.within, back.now)?;
        if self.lacks_something(&claims) {
            self.add_user_info(&known, tokens.access_token().secret(), &name, &mut claims).await?;
        }
        let text = |key: &str| claims.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Account {
            provider: self.settings.id.clone(),
            issuer: self.issuer.as_str().to_owned(),
            subject: name,
            sid: text("sid").filter(|sid| sid.len() <= LONGEST_SUBJECT),
            mail: text("email"),
            // A string "true" is no promise.
            mail_verified: claims.get("email_verified") == Some(&Value::Bool(true)),
            groups: self.settings.groups.as_ref().map(|groups| groups.groups(&claims)).unwrap_or_default(),
            factors: self.settings.factors.count(&claims),
            auth_time,
        })
    }

    async fn exchange(
        &self,
        known: &Known,
        code: &str,
        traveller: &Traveller,
        redirect_uri: &str,
    ) -> Result<Tokens, OidcCause> {
        let endpoint = known.metadata.token_endpoint().ok_or(OidcCause::Answer)?;
        let methods = known.metadata.token_endpoint_auth_methods_supported();
        // OpenID Connect Discovery 1.0, 3: where nothing is announced, it is client_secret_basic.
        let basic = methods.is_none_or(|all| all.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let client = oauth2::Client::<
            BasicErrorResponse,
            Tokens,
            BasicTokenIntrospectionResponse,
            StandardRevocableToken,
            BasicRevocationErrorResponse,
        >::new(self.client_id())
        .set_client_secret(oauth2::ClientSecret::new(self.settings.client_secret.danger_expose().to_owned()))
        .set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody })
        .set_token_uri(TokenUrl::new(endpoint.as_str().to_owned()).map_err(|_| OidcCause::Answer)?)
        .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| OidcCause::Answer)?);
        let asked = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(traveller.pkce.clone()))
            .request_async(&|request| fetch::call(self.fetch.clone(), request))
            .await;
        asked.map_err(|error| {
            let (cause, detail) = match &error {
                RequestTokenError::ServerResponse(said) => (OidcCause::CodeRefused, refusal(said.error())),
                RequestTokenError::Request(error) => (unreachable(error), "no answer"),
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => (OidcCause::Answer, "unreadable"),
            };
            tracing::warn!(provider = %self.settings.id, %cause, detail, "the token endpoint gave no token");
            cause
        })
    }

    /// The ID token's claims. A key that is not known may be a new one.
    async fn verified(&self, known: &Known, token: &str, nonce: &str, now: Timestamp) -> Result<Value, OidcCause> {
        let check = |known: &Known| {
            let algorithms = known.algorithms();
            token::verify(
                token,
                &token::Expected {
                    issuer: &self.issuer,
                    client_id: &self.settings.client_id,
                    nonce,
                    algorithms: &algorithms,
                    keys: &known.keys,
                    leeway: self.leeway(),
                    now,
                },
            )
        };
        match check(known) {
            Err(OidcCause::UnknownKey) => check(&*self.keys_again(known, now).await?),
            other => other,
        }
    }

    fn auth_time(&self, claims: &Value, within: Option<i64>, now: Timestamp) -> Result<Option<Timestamp>, OidcCause> {
        let told = claims.get("auth_time").and_then(seconds);
        if told.is_some_and(|at| at > now.secs() + self.leeway()) {
            return Err(OidcCause::AuthTime);
        }
        if let Some(within) = within
            && told.is_none_or(|at| at < now.secs() - within)
        {
            return Err(OidcCause::AuthTime);
        }
        Ok(told.map(|at| Timestamp::from_secs(at.min(now.secs()))))
    }

    /// Many providers leave these out of the ID token (OpenID Connect Core 1.0, 5.4).
    fn lacks_something(&self, claims: &Value) -> bool {
        let lacks_mail = !self.settings.domains.is_empty() && claims.get("email").is_none();
        let groups = self.settings.groups.as_ref();
        lacks_mail || groups.is_some_and(|groups| super::claims::find(claims, &groups.claim).is_empty())
    }

    /// Adds what the user info endpoint knows; what the ID token says stands.
    async fn add_user_info(
        &self,
        known: &Known,
        access_token: &str,
        subject: &str,
        claims: &mut Value,
    ) -> Result<(), OidcCause> {
        let Some(endpoint) = known.metadata.userinfo_endpoint() else { return Ok(()) };
        let request = http::Request::get(endpoint.as_str())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Bearer {access_token}"))
            .body(Vec::new())
            .map_err(|_| OidcCause::Answer)?;
        let response = fetch::call(self.fetch.clone(), request).await.map_err(|error| unreachable(&error))?;
        let info: Value = match response.status().as_u16() {
            200 => serde_json::from_slice(response.body()).map_err(|_| OidcCause::Answer)?,
            _ => return Err(OidcCause::Answer),
        };
        // Core 1.0, 5.3.2: else somebody else's claims could be put in.
        if info.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(OidcCause::Subject);
        }
        let (Value::Object(claims), Value::Object(info)) = (claims, info) else { return Err(OidcCause::Answer) };
        // A mail address and whether it is verified come from one place.
        if claims.contains_key("email") {
            claims.entry("email_verified").or_insert(Value::Null);
        }
        for (key, value) in info {
            claims.entry(key).or_insert(value);
        }
        Ok(())
    }

    pub(super) fn leeway(&self) -> i64 {
        i64::try_from(self.settings.leeway.as_secs()).unwrap_or_default()
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.settings.client_id.clone())
    }
}

pub(super) fn unreachable(error: &FetchError) -> OidcCause {
    match error {
        FetchError::Oversized(_) => OidcCause::Oversized,
        FetchError::NotHttps => OidcCause::Answer,
        FetchError::Unreachable(_) | FetchError::Timeout | FetchError::Status(_) => OidcCause::Unavailable,
    }
}

/// An error code of the authorization endpoint (RFC 6749, 4.1.2.1; OpenID Connect Core 1.0, 3.1.2.6). The
/// description that comes with it is anybody's text and is not looked at.
fn told(error: &str) -> OidcCause {
    match error {
        "access_denied" => OidcCause::AccessDenied,
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            OidcCause::LoginRequired
        }
        "temporarily_unavailable" | "server_error" => OidcCause::TemporarilyUnavailable,
        _ => OidcCause::ProviderError,
    }
}

/// For the log: which of the standard refusals it was, never the provider's own text.
fn refusal(error: &BasicErrorResponseType) -> &'static str {
    match error {
        BasicErrorResponseType::InvalidClient => "invalid_client: check client_id and client_secret_file",
        BasicErrorResponseType::InvalidGrant => "invalid_grant",
        BasicErrorResponseType::InvalidRequest => "invalid_request",
        BasicErrorResponseType::InvalidScope => "invalid_scope",
        BasicErrorResponseType::UnauthorizedClient => "unauthorized_client",
        BasicErrorResponseType::UnsupportedGrantType => "unsupported_grant_type",
        BasicErrorResponseType::Extension(_) => "an error of its own",
    }
}
