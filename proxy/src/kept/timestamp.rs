//! A time stamp of the whole note (RFC 3161), over HTTP.

use audit::Checkpoint;
use audit::kept::timestamp::Request as StampRequest;
use audit::kept::{Receipt, TimestampAuthority};
use http::{Method, Request, header};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::place::{Brought, Failure};
use crate::forward::{Outbound, Plain, Resolver, RootsError};

/// An authority's clock that differs from ours by more than this is told: one of the two is wrong.
const LEEWAY_SECS: i64 = 5 * 60;

/// Asks an authority for time stamps.
#[derive(Debug)]
pub(super) struct Stamper {
    authority: TimestampAuthority,
    outbound: Outbound,
}

impl Stamper {
    pub(super) fn new(authority: TimestampAuthority, resolver: &Resolver) -> Result<Self, RootsError> {
        let outbound = Outbound::new(resolver.clone(), &authority.server.roots, &["http/1.1"])?;
        Ok(Self { authority, outbound })
    }

    pub(super) async fn bring(&self, checkpoint: &Checkpoint) -> Result<Brought, Failure> {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| Failure::no("the machine gave no random numbers"))?;
        let wanted = StampRequest::new(checkpoint.as_str().as_bytes(), random);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.authority.url.danger_expose())
            .header(header::CONTENT_TYPE, "application/timestamp-query")
            .body(wanted.der())
            .map_err(Failure::no)?;
        // What is sent is a hash, and what comes back is signed: neither needs TLS.
        let response = self.outbound.send(request, Plain::Anywhere).await;
        let response = response.map_err(|error| Failure::unanswered(&self.authority.url, error))?;
        if !response.status().is_success() {
            let (host, status) = (self.authority.url.host(), response.status().as_u16());
            return Err(Failure::no(format!("{host} answered {status}")));
        }
        let answer = response.into_body();
        let stamped = wanted.check(&answer, &self.authority.roots).map_err(Failure::no)?;
        let now = vocabulary::Clock::now(&vocabulary::SystemClock);
        if stamped.at.secs_since(now).abs() > LEEWAY_SECS {
            tracing::warn!(authority = %stamped.at, own = %now, "the time stamp's time is not ours: one clock is wrong");
        }
        let receipt = Receipt { note: checkpoint.as_str().to_owned(), timestamp: Some(answer) };
        Ok(Brought { receipt: Some(receipt), word: format!("stamped {}", stamped.at) })
    }
}
