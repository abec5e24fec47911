//! Metrics and health, on a listener of their own that belongs on loopback.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::gate::Gate;

/// Serves until `shutdown` turns true.
pub(crate) async fn serve(
    listener: tokio::net::TcpListener,
    gate: Arc<Gate>,
    mut shutdown: tokio::sync::watch::Receiver<bool>,
) {
    let metrics = gate.clone();
    let ready = gate;
    let router = Router::new()
        .route(
            "/metrics",
            get(async move || {
                metrics.refresh_gauges();
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.metrics.text())
            }),
        )
        .route("/healthz", get(async || "ok\n"))
        .route(
            "/readyz",
            get(async move || match ready.readiness() {
                Ok(()) => (StatusCode::OK, "ready\n".to_owned()).into_response(),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
            }),
        );
    let stop = async move {
        // A dropped sender means that the gate has stopped as well.
        let _ = shutdown.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "the metrics listener stopped");
    }
}
