//! What goes wrong, as RFC 8555 §6.7 has it said: a problem document (RFC 7807).

use serde_json::{Value, json};

use super::AcmeReply;

pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// Of RFC 8555 §6.7, and the one that draft-ietf-acme-device-attest adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AccountDoesNotExist,
    BadAttestationStatement,
    BadCsr,
    BadNonce,
    BadPublicKey,
    BadSignatureAlgorithm,
    Malformed,
    OrderNotReady,
    RateLimited,
    RejectedIdentifier,
    ServerInternal,
    Unauthorized,
    UnsupportedIdentifier,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::AccountDoesNotExist => "accountDoesNotExist",
            Self::BadAttestationStatement => "badAttestationStatement",
            Self::BadCsr => "badCSR",
            Self::BadNonce => "badNonce",
            Self::BadPublicKey => "badPublicKey",
            Self::BadSignatureAlgorithm => "badSignatureAlgorithm",
            Self::Malformed => "malformed",
            Self::OrderNotReady => "orderNotReady",
            Self::RateLimited => "rateLimited",
            Self::RejectedIdentifier => "rejectedIdentifier",
            Self::ServerInternal => "serverInternal",
            Self::Unauthorized => "unauthorized",
            Self::UnsupportedIdentifier => "unsupportedIdentifier",
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::OrderNotReady | Self::Unauthorized | Self::RejectedIdentifier => 403,
            Self::RateLimited => 429,
            Self::ServerInternal => 500,
            _ => 400,
        }
    }
}

/// For the client's log. It says nothing that the client did not send, or is not in the RFCs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    status: u16,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), status: kind.status() }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    /// With another status than its kind has.
    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:ietf:params:acme:error:{}", self.kind.name()),
            "detail": self.detail,
            "status": self.status,
        });
        if self.kind == Kind::BadSignatureAlgorithm {
            // §6.2: the client may try again with one of these.
            document["algorithms"] = json!(["ES256", "ES384", "RS256"]);
        }
        document
    }

    pub(crate) fn reply(&self) -> AcmeReply {
        AcmeReply { content_type: Some("application/problem+json"), ..AcmeReply::json(self.status, &self.document()) }
    }
}
