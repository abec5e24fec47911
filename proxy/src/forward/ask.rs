//! Asking an identity provider: one request, one answer, bounded in time and size, verified TLS, no redirects.

use std::time::Duration;

use http::{Request, Response};
use identity::{Fetch, FetchError};

use super::Resolver;
use super::outbound::{Outbound, OutboundError, Plain, RootsError};

/// Questions to one provider.
#[derive(Debug)]
pub(crate) struct Ask {
    outbound: Outbound,
    timeout: Duration,
}

impl Ask {
    /// `roots` (DER): instead of the public ones, if there are any.
    pub(crate) fn new(resolver: Resolver, roots: &[Vec<u8>], timeout: Duration) -> Result<Self, RootsError> {
        Ok(Self { outbound: Outbound::new(resolver, roots, &["http/1.1"])?, timeout })
    }
}

#[async_trait::async_trait]
impl Fetch for Ask {
    async fn fetch(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let answer = match tokio::time::timeout(self.timeout, self.outbound.send(request, Plain::Never)).await {
            Ok(answer) => answer.map_err(|error| match error {
                OutboundError::NotHttps => FetchError::NotHttps,
                OutboundError::Oversized(most) => FetchError::Oversized(most),
                other => FetchError::Unreachable(other.to_string()),
            }),
            Err(_) => Err(FetchError::Timeout),
        };
        if let Err(error) = &answer {
            tracing::warn!(%error, "an identity provider gave no answer");
        }
        answer
    }
}
