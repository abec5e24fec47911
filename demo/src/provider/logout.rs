//! Signing out at the provider (OpenID Connect RP-Initiated Logout 1.0), and telling those who trusted its word
//! (Back-Channel Logout 1.0).

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::flow::cookie;
use super::keys::random;
use super::state::{Idp, Session, back, now};
use super::{BackChannel, ProviderClient};
use crate::client::{Browser, Mode, Setup, encode};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

pub(super) async fn end_session(
    State(idp): State<Arc<Idp>>,
    Query(fields): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let text = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (ended, clients) = {
        let mut state = idp.state();
        let ended = cookie(&headers).and_then(|cookie| state.sessions.remove(&cookie));
        (ended, state.clients.clone())
    };
    if let Some(session) = &ended {
        for client in &clients {
            tell(&idp, client, session).await;
        }
    }
    let client = clients.iter().find(|client| Some(client.id.as_str()) == text("client_id"));
    let target = text("post_logout_redirect_uri");
    let registered = |uri: &&str| client.is_some_and(|c| c.post_logout_redirect_uris.iter().any(|known| known == uri));
    match target {
        None => Html("<!doctype html><title>ひだまり認証</title><p>ログアウトしました。</p>").into_response(),
        Some(uri) if registered(&uri) => {
            let state: Vec<_> = text("state").map(|state| ("state", state.to_owned())).into_iter().collect();
            Redirect::to(&back(uri, &state)).into_response()
        }
        Some(_) => (StatusCode::BAD_REQUEST, "unknown post_logout_redirect_uri").into_response(),
    }
}

async fn tell(idp: &Idp, client: &ProviderClient, session: &Session) {
    let Some(BackChannel { url, server, roots }) = client.back_channel.clone() else { return };
    let subject = idp.accounts.get(session.account).map(|account| account.subject.clone());
    let token = token(idp, &client.id, |claims| {
        claims["sub"] = subject.into();
        claims["sid"] = session.sid.clone().into();
    });
    let setup = Setup { server, roots, certificate: None, from: None, http2: false, language: "ja" };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let body = Bytes::from(format!("logout_token={}", encode(&token)));
    let sent = Browser::new(setup).send(Method::POST, &url, Mode::Bare, headers, body).await;
    match sent {
        Ok(answer) if answer.status.is_success() => {}
        Ok(answer) => tracing::warn!(status = %answer.status, "a client refused a logout token"),
        Err(error) => tracing::warn!(%error, "a client could not be told of a sign-out"),
    }
}

pub(super) fn token(idp: &Idp, client: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "iss": idp.issuer, "aud": client, "iat": now(), "exp": now() + 120, "jti": random(), "events": { EVENT: {} },
    });
    change(&mut claims);
    let state = idp.state();
    state.key.sign(&state.key.kid, &claims)
}
