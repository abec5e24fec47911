//! Style sheet, script and logo, on both hosts: `/assets/<name>`.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::state::App;
use std::sync::Arc;

pub(crate) async fn file(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    let (kind, body) = match name.as_str() {
        "app.css" => ("text/css; charset=utf-8", include_str!("../assets/app.css")),
        "app.js" => ("text/javascript; charset=utf-8", include_str!("../assets/app.js")),
        "logo.svg" => ("image/svg+xml", include_str!("../assets/logo.svg")),
        _ => return (StatusCode::NOT_FOUND, "見つかりません。\n").into_response(),
    };
    let mut response =
        ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=600")], body).into_response();
    // The pages of the main host may read them by fetch, nobody else's.
    if let Ok(origin) = HeaderValue::from_str(&app.site.origin) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    response
}
