//! How a provider is asked: by somebody who has connections.

use std::sync::Arc;

use http::{Request, Response};

/// Sends one request and returns the whole answer.
///
/// Whoever implements it verifies TLS, follows no redirect, and bounds time and size.
#[async_trait::async_trait]
pub trait Fetch: Send + Sync {
    async fn fetch(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError>;
}

/// No answer. Nothing of the request or the answer is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer in time")]
    Timeout,
    #[error("the answer is longer than {0} bytes")]
    Oversized(usize),
    #[error("the address is not https")]
    NotHttps,
    #[error("the provider answered with status {0}")]
    Status(u16),
}

/// As the library wants its HTTP client. A provider that says it is broken (5xx) is as good as one that is away.
pub(super) async fn call(fetch: Arc<dyn Fetch>, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
    let response = fetch.fetch(request).await?;
    match response.status().as_u16() {
        status @ 500.. => Err(FetchError::Status(status)),
        _ => Ok(response),
    }
}
