//! Which path belongs to whom, and what every request passes first: it is noted, its host and origin are checked.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::state::{App, Site};
use crate::{accounts, assets, dashboard, files, notices, pages, probes, residents, sensors};

/// Forms are small; uploads and `/echo` stream and have no limit.
const FORM_BYTES: usize = 64 * 1024;

pub(crate) fn router(app: &Arc<App>) -> Router {
    let unlimited = Router::new()
        .route("/files", get(files::list).post(files::upload))
        .route("/echo", any(probes::echo))
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/login", get(accounts::form).post(accounts::sign_in))
        .route("/logout", post(accounts::sign_out))
        .route("/", get(dashboard::page))
        .route("/api/summary", get(dashboard::summary))
        .route("/api/residents", get(residents::json))
        .route("/residents", get(residents::list).post(residents::create))
        .route("/residents/new", get(residents::blank))
        .route("/residents/export", get(residents::export))
        .route("/residents/{id}", get(residents::detail).post(residents::update))
        .route("/residents/{id}/edit", get(residents::edit))
        .route("/residents/{id}/delete", get(residents::confirm).post(residents::delete))
        .route("/residents/{id}/notes", post(residents::add_note))
        .route("/files/{id}", get(files::download))
        .route("/files/{id}/delete", post(files::delete))
        .route("/notices", get(notices::page))
        .route("/notices/ws", get(notices::socket))
        .route("/sensors", get(sensors::page))
        .route("/sensors/events", get(sensors::events))
        .route("/assets/{name}", get(assets::file))
        .route("/slow", any(probes::slow))
        .route("/drip", get(probes::drip))
        .route("/big", get(probes::big))
        .route("/reply", any(probes::reply))
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .merge(unlimited)
        .layer(middleware::from_fn_with_state(Arc::clone(app), gate))
        .with_state(Arc::clone(app))
}

async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let authority = authority(&parts.headers, &parts.uri);
    app.seen.note(&parts, &authority);
    let name = authority.rsplit_once(':').map_or(authority.as_str(), |(name, _)| name);
    let on_assets = name.eq_ignore_ascii_case(&app.site.assets_host);
    if !on_assets && !name.eq_ignore_ascii_case(&app.site.host) {
        return (StatusCode::MISDIRECTED_REQUEST, "このホスト名ではサービスを提供していません。\n").into_response();
    }
    if on_assets && !parts.uri.path().starts_with("/assets/") {
        return (StatusCode::NOT_FOUND, "見つかりません。\n").into_response();
    }
    let probe = matches!(parts.uri.path(), "/echo" | "/reply" | "/slow");
    if !probe && changes_something(&parts.method, &parts.headers) && !own_origin(&app.site, &parts.headers) {
        return (StatusCode::FORBIDDEN, "ほかのサイトからの操作は受け付けません。\n").into_response();
    }
    let plain = probe || on_assets;
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if !plain {
        guard(&app.site, response.headers_mut());
    }
    response
}

fn authority(headers: &HeaderMap, uri: &http::Uri) -> String {
    // h2 has `:authority`, which hyper leaves in the URI.
    uri.authority()
        .map(|authority| authority.as_str().to_owned())
        .unwrap_or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned())
}

fn changes_something(method: &Method, headers: &HeaderMap) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || headers.contains_key(header::UPGRADE)
}

/// Browsers name the page a POST or WebSocket comes from; clients that are no browser name none and pass.
fn own_origin(site: &Site, headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_none_or(|origin| origin.as_bytes() == site.origin.as_bytes())
}

/// What a careful SaaS sends with every page. Handlers that know better set their own before.
fn guard(site: &Site, headers: &mut HeaderMap) {
    let Site { origin, assets_origin, .. } = site;
    let socket = origin.replacen("https:", "wss:", 1);
    let csp = format!(
        "default-src 'self' {assets_origin}; connect-src 'self' {origin} {socket}; img-src 'self' {assets_origin} data:; \
         frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    );
    let mut set = |name, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    if let Ok(csp) = HeaderValue::from_str(&csp) {
        set(header::CONTENT_SECURITY_POLICY, csp);
    }
    set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    set(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
