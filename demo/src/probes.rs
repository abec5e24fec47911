//! Pages no product would have: they show what reached the SaaS, or answer as told. For tests and demonstrations only;
//! they need no login.
//!
//! - `/echo` any method: what arrived, as JSON, with the length and SHA-256 of the body
//! - `/reply?status=201&header=Name:value&header=…&body=…` any method: that answer
//! - `/slow?ms=500`: an answer after a while
//! - `/drip?chunks=10&ms=100`: a body in pieces
//! - `/big?bytes=1048576&name=…&chunked=1`: a body of any size; with `name` as a download; the bytes are [`pattern`]

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use ring::digest::{Context, SHA256};
use serde::Deserialize;

use crate::files::hex;
use crate::pages;

const CHUNK: usize = 64 * 1024;
const LONGEST_WAIT: u64 = 600_000;

pub(crate) async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let mut digest = Context::new(&SHA256);
    let mut bytes = 0u64;
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        digest.update(&chunk);
        bytes += chunk.len() as u64;
    }
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| [name.as_str().into(), String::from_utf8_lossy(value.as_bytes())])
        .collect();
    Json(serde_json::json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body_bytes": bytes,
        "body_sha256": hex(digest.finish().as_ref()),
    }))
    .into_response()
}

#[derive(Deserialize)]
pub(crate) struct Slow {
    #[serde(default = "half_a_second")]
    ms: u64,
}

const fn half_a_second() -> u64 {
    500
}

pub(crate) async fn slow(Query(Slow { ms }): Query<Slow>) -> Response {
    tokio::time::sleep(Duration::from_millis(ms.min(LONGEST_WAIT))).await;
    format!("{ms} ミリ秒お待たせしました。\n").into_response()
}

#[derive(Deserialize)]
pub(crate) struct Drip {
    #[serde(default = "ten")]
    chunks: u64,
    #[serde(default = "half_a_second")]
    ms: u64,
}

const fn ten() -> u64 {
    10
}

pub(crate) async fn drip(Query(Drip { chunks, ms }): Query<Drip>) -> Response {
    let wait = Duration::from_millis(ms.min(LONGEST_WAIT));
    let drops = stream::iter(1..=chunks).then(move |number| async move {
        tokio::time::sleep(wait).await;
        Ok::<_, Infallible>(Bytes::from(format!("{number}\n")))
    });
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(drops)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Big {
    bytes: u64,
    /// As a download under this name.
    name: Option<String>,
    /// Without a Content-Length.
    #[serde(default)]
    chunked: u8,
}

pub(crate) async fn big(Query(ask): Query<Big>) -> Response {
    let chunks = stream::unfold(0u64, move |at| async move {
        let count = usize::try_from(ask.bytes - at).unwrap_or(CHUNK).min(CHUNK);
        (count > 0).then(|| (Ok::<_, Infallible>(pattern(at, count)), at + count as u64))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if ask.chunked == 0 {
        headers.insert(header::CONTENT_LENGTH, ask.bytes.into());
    }
    if let Some(name) = ask.name {
        headers.insert(header::CONTENT_DISPOSITION, pages::disposition("attachment", &name));
    }
    response
}

/// The bytes `at..at + count` of an endless file in which a lost or doubled piece shows: byte n is n + n/251 mod 256.
fn pattern(at: u64, count: usize) -> Bytes {
    (at..at + count as u64).map(|n| (n.wrapping_add(n / 251) & 0xff) as u8).collect()
}

/// Repeated `header` keys need more than a map.
pub(crate) async fn reply(Query(pairs): Query<Vec<(String, String)>>) -> Response {
    let mut response = Response::new(Body::empty());
    for (key, value) in pairs {
        match key.as_str() {
            "status" => match value.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok()) {
                Some(status) => *response.status_mut() = status,
                None => return StatusCode::BAD_REQUEST.into_response(),
            },
            "header" => {
                let pair = value.split_once(':').and_then(|(name, value)| {
                    Some((name.trim().parse::<HeaderName>().ok()?, value.trim().parse::<HeaderValue>().ok()?))
                });
                let Some((name, value)) = pair else {
                    return StatusCode::BAD_REQUEST.into_response();
                };
                response.headers_mut().append(name, value);
            }
            "body" => *response.body_mut() = Body::from(value),
            _ => return StatusCode::BAD_REQUEST.into_response(),
        }
    }
    response
}
