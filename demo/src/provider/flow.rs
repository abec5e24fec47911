//! Discovery, keys, the form, codes for tokens, user info.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use askama::Template;
use axum::Form;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use openidconnect::core::CoreJsonWebKeySet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Mischief;
use super::keys::{Key, random, symmetric, unsigned};
use super::state::{Idp, ProviderAccount, Request, Session, back, now};

pub(super) const COOKIE_NAME: &str = "__Host-hidamari-id";

type Shared = State<Arc<Idp>>;

/// What a client sends; every value once.
type Fields = Vec<(String, String)>;

fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    let mut values = fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

pub(super) async fn discovery(State(idp): Shared) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", idp.issuer);
    Json(json!({
        "issuer": idp.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "end_session_endpoint": at("/end-session"),
        "jwks_uri": at("/jwks"),
        "scopes_supported": ["openid", "email", "profile"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        // As careless providers do, it also announces what must not be used.
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    }))
}

pub(super) async fn jwks(State(idp): Shared) -> Json<CoreJsonWebKeySet> {
    idp.key_reads.fetch_add(1, Ordering::Relaxed);
    Json(CoreJsonWebKeySet::new(vec![idp.state().key.public()]))
}

#[derive(Template)]
#[template(path = "provider_login.html")]
struct LoginPage<'a> {
    request: &'a str,
    wrong: bool,
}

fn login_page(request: &str, wrong: bool) -> Response {
    let html = LoginPage { request, wrong }.render().unwrap_or_default();
    (if wrong { StatusCode::FORBIDDEN } else { StatusCode::OK }, Html(html)).into_response()
}

pub(super) async fn authorize(State(idp): Shared, Query(fields): Query<Fields>, headers: HeaderMap) -> Response {
    let mut state = idp.state();
    state.last_request.clone_from(&fields);
    let text = |name: &str| field(&fields, name).unwrap_or_default();
    let known = state
        .client(text("client_id"))
        .is_some_and(|client| client.redirect_uris.iter().any(|uri| uri == text("redirect_uri")));
    // Nobody is sent to an address that isn't registered (RFC 6749, 4.1.2.1).
    if !known {
        return (StatusCode::BAD_REQUEST, "unknown client or redirect_uri").into_response();
    }
    let scopes: Vec<_> = text("scope").split(' ').collect();
    let whole = text("response_type") == "code" && scopes.contains(&"openid");
    let pkce = text("code_challenge_method") == "S256" && text("code_challenge").len() == 43;
    let refuse = |error: &str| {
        let pairs = [("error", error.to_owned()), ("state", text("state").to_owned()), ("iss", idp.issuer.clone())];
        Redirect::to(&back(text("redirect_uri"), &pairs)).into_response()
    };
    if !whole || !pkce {
        return refuse("invalid_request");
    }
    let request = Request {
        client: text("client_id").to_owned(),
        redirect_uri: text("redirect_uri").to_owned(),
        state: text("state").to_owned(),
        nonce: field(&fields, "nonce").map(str::to_owned),
        challenge: text("code_challenge").to_owned(),
    };
    let session = cookie(&headers).and_then(|cookie| state.sessions.get(&cookie).cloned());
    let max_age: Option<i64> = field(&fields, "max_age").and_then(|age| age.parse().ok());
    let fresh = |session: &Session| max_age.is_none_or(|max| now() - session.auth_time <= max);
    match (session.filter(fresh), text("prompt")) {
        (_, "login") | (None, "") => {
            let id = random().unwrap_or_default();
            state.asked.insert(id.clone(), request);
            login_page(&id, false)
        }
        (Some(session), _) => Redirect::to(&state.grant(&idp.issuer, request, session)).into_response(),
        (None, _) => refuse("login_required"),
    }
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    request: String,
    login_id: String,
    password: String,
}

pub(super) async fn login(State(idp): Shared, Form(form): Form<LoginForm>) -> Response {
    let mut state = idp.state();
    let right = |account: &ProviderAccount| account.login == form.login_id && account.password == form.password;
    let Some(account) = idp.accounts.iter().position(right) else { return login_page(&form.request, true) };
    let Some(request) = state.asked.remove(&form.request) else {
        return (StatusCode::BAD_REQUEST, "this form was sent before").into_response();
    };
    let (cookie, sid) = (random().unwrap_or_default(), random().unwrap_or_default());
    let session = Session { sid, account, auth_time: now() };
    state.sessions.insert(cookie.clone(), session.clone());
    let set = format!("{COOKIE_NAME}={cookie}; Path=/; Secure; HttpOnly; SameSite=Lax");
    ([(SET_COOKIE, set)], Redirect::to(&state.grant(&idp.issuer, request, session))).into_response()
}

pub(super) async fn token(State(idp): Shared, headers: HeaderMap, Form(fields): Form<Fields>) -> Response {
    let mut state = idp.state();
    let refuse = |status: StatusCode, error: &str| (status, Json(json!({ "error": error }))).into_response();
    if let Some(Mischief::TokenStatus(status)) = state.mischief {
        return (StatusCode::from_u16(status).unwrap_or_default(), "down").into_response();
    }
    let (id, secret) = credentials(&headers, &fields);
    let client = state.client(&id).filter(|client| client.secret == secret).cloned();
    let Some(client) = client else { return refuse(StatusCode::UNAUTHORIZED, "invalid_client") };
    let text = |name: &str| field(&fields, name).unwrap_or_default();
    let grant = state.codes.remove(text("code"));
    let good = grant.filter(|grant| {
        let digest = ring::digest::digest(&ring::digest::SHA256, text("code_verifier").as_bytes());
        text("grant_type") == "authorization_code"
            && grant.request.client == client.id
            && grant.request.redirect_uri == text("redirect_uri")
            && grant.request.challenge == URL_SAFE_NO_PAD.encode(digest)
    });
    let Some(grant) = good else { return refuse(StatusCode::BAD_REQUEST, "invalid_grant") };
    let access = random().unwrap_or_default();
    state.access.insert(access.clone(), grant.session.account);
    let mut claims = json!({
        "iss": idp.issuer, "aud": client.id, "iat": now(), "exp": now() + 300, "sid": grant.session.sid,
        "auth_time": grant.session.auth_time, "nonce": grant.request.nonce,
    });
    if let Some(account) = idp.accounts.get(grant.session.account) {
        claims["sub"] = account.subject.clone().into();
        claims["amr"] = account.amr.clone().into();
        if idp.claims_in_token {
            add(&mut claims, account);
        }
    }
    let id_token = signed(state.mischief.as_ref(), &state.key, &client.secret, &mut claims);
    let mut answer = json!({ "access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": id_token });
    match state.mischief {
        Some(Mischief::NoToken) => drop(answer.as_object_mut().and_then(|map| map.remove("id_token"))),
        Some(Mischief::LongAnswer) => answer["filler"] = "x".repeat(4 << 20).into(),
        _ => {}
    }
    Json(answer).into_response()
}

/// The token, wrong in the way that was asked for.
fn signed(mischief: Option<&Mischief>, key: &Key, secret: &str, claims: &mut Value) -> String {
    let shift = |claims: &mut Value, name: &str, by: i64| {
        claims[name] = (claims[name].as_i64().unwrap_or_default() + by).into();
    };
    let drop_claim = |claims: &mut Value, name: &str| {
        claims.as_object_mut().map(|map| map.remove(name));
    };
    match mischief {
        Some(Mischief::Issuer(other)) => claims["iss"] = other.clone().into(),
        Some(Mischief::Audience(other)) => claims["aud"] = other.clone().into(),
        Some(Mischief::SecondAudience(other)) => claims["aud"] = json!([claims["aud"], other]),
        Some(Mischief::AuthorizedParty(other)) => claims["azp"] = other.clone().into(),
        Some(Mischief::Nonce(other)) => claims["nonce"] = other.clone().into(),
        Some(Mischief::NoNonce) => drop_claim(claims, "nonce"),
        Some(Mischief::Expires(by)) => shift(claims, "exp", *by),
        Some(Mischief::Issued(by)) => shift(claims, "iat", *by),
        Some(Mischief::NotBefore(by)) => claims["nbf"] = (now() + by).into(),
        Some(Mischief::AuthTime(Some(by))) => shift(claims, "auth_time", *by),
        Some(Mischief::AuthTime(None)) => drop_claim(claims, "auth_time"),
        Some(Mischief::LongToken) => claims["filler"] = "x".repeat(20_000).into(),
        _ => {}
    }
    let other = || Key::new();
    match mischief {
        Some(Mischief::Unsigned) => unsigned(claims),
        Some(Mischief::Algorithm(name)) => key.sign_as(name, &key.kid, claims),
        Some(Mischief::PublicKeyAsSecret) => symmetric(&key.public_bytes(), &key.kid, claims),
        Some(Mischief::ClientSecretAsKey) => symmetric(secret.as_bytes(), &key.kid, claims),
        Some(Mischief::ForeignKey) => other().map(|foreign| foreign.sign(&key.kid, claims)).unwrap_or_default(),
        Some(Mischief::HiddenKey) => other().map(|hidden| hidden.sign(&hidden.kid, claims)).unwrap_or_default(),
        Some(Mischief::Garbage) => "not.a.token".to_owned(),
        _ => key.sign(&key.kid, claims),
    }
}

pub(super) async fn user_info(State(idp): Shared, headers: HeaderMap) -> Response {
    let state = idp.state();
    let token = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let account = token.and_then(|token| state.access.get(token)).and_then(|at| idp.accounts.get(*at));
    let Some(account) = account else { return StatusCode::UNAUTHORIZED.into_response() };
    let mut claims = json!({ "sub": account.subject });
    if state.mischief == Some(Mischief::OtherUserInfo) {
        claims["sub"] = "somebody-else".into();
    }
    add(&mut claims, account);
    Json(claims).into_response()
}

fn add(claims: &mut Value, account: &ProviderAccount) {
    claims["name"] = account.name.clone().into();
    claims["realm_access"] = json!({ "roles": account.roles });
    if let Some(mail) = &account.mail {
        claims["email"] = mail.clone().into();
        claims["email_verified"] = account.mail_verified.into();
    }
}

/// By HTTP Basic, percent-encoded (RFC 6749, 2.3.1), or in the form.
fn credentials(headers: &HeaderMap, fields: &Fields) -> (String, String) {
    let text = |name: &str| field(fields, name).unwrap_or_default().to_owned();
    let basic = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Basic "));
    let decoded = basic.and_then(|b| STANDARD.decode(b).ok()).and_then(|bytes| String::from_utf8(bytes).ok());
    let plain =
        |text: &str| form_urlencoded::parse(format!("v={text}").as_bytes()).next().map(|(_, value)| value.into_owned());
    match decoded.as_deref().and_then(|d| d.split_once(':')) {
        Some((id, secret)) => (plain(id).unwrap_or_default(), plain(secret).unwrap_or_default()),
        None => (text("client_id"), text("client_secret")),
    }
}

pub(super) fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split("; "));
    all.filter_map(|crumb| crumb.split_once('=')).find(|(n, _)| *n == COOKIE_NAME).map(|(_, value)| value.to_owned())
}
