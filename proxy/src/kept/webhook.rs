//! An HTTP POST of JSON.

use audit::Checkpoint;
use audit::kept::Webhook;
use http::{Method, Request, header};
use ring::hmac;
use serde_json::json;

use super::place::{Brought, Failure};
use crate::forward::{Outbound, Plain, Resolver, RootsError};

/// Calls a receiver of checkpoints.
#[derive(Debug)]
pub(super) struct Caller {
    webhook: Webhook,
    outbound: Outbound,
}

impl Caller {
    pub(super) fn new(webhook: Webhook, resolver: &Resolver) -> Result<Self, RootsError> {
        let outbound = Outbound::new(resolver.clone(), &webhook.server.roots, &["http/1.1"])?;
        Ok(Self { webhook, outbound })
    }

    /// Headers: `Idempotency-Key`, the same whenever the same checkpoint is sent, and `X-Hub-Signature-256`, HMAC-SHA256
    /// of the body in hex after `sha256=`, if there is a secret.
    pub(super) async fn bring(&self, checkpoint: &Checkpoint) -> Result<Brought, Failure> {
        let body = body(checkpoint);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.webhook.url.danger_expose())
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key(checkpoint));
        if let Some(source) = &self.webhook.secret {
            let secret = crate::mail::secret(source).await.map_err(Failure::no)?;
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.danger_expose().as_bytes()), &body);
            request = request.header("x-hub-signature-256", format!("sha256={}", hex(mac.as_ref())));
        }
        let request = request.body(body).map_err(Failure::no)?;
        let response = self.outbound.send(request, Plain::Loopback).await;
        let response = response.map_err(|error| Failure::unanswered(&self.webhook.url, error))?;
        match response.status() {
            status if status.is_success() => {
                Ok(Brought { receipt: None, word: format!("answered {}", status.as_u16()) })
            }
            status => Err(Failure::no(format!("{} answered {}", self.webhook.url.host(), status.as_u16()))),
        }
    }
}

fn body(checkpoint: &Checkpoint) -> Vec<u8> {
    let message = json!({
        "type": "sekisho.checkpoint",
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.to_string(),
        "note": checkpoint.as_str(),
    });
    message.to_string().into_bytes()
}

fn key(checkpoint: &Checkpoint) -> String {
    hex(&ring::digest::digest(&ring::digest::SHA256, checkpoint.as_str().as_bytes()).as_ref()[..16])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
