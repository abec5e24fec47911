//! The way of one request, station by station.
//!
//! ```text
//! accept ─ TLS ─→ route ─→ recognise ─→ facts ─→ decide ─→ record ─→ forward ─→ response ─→ decide ─→ login ─→ record
//! listener        route    recognise    facts    judge     record    forward    forward     judge     login    record
//! ```
//!
//! This file calls the stations in order and holds no logic of its own: pingora's hooks come in here, and each
//! does what the station of its name says.

mod enroll;
mod exchange;
mod facts;
mod forward;
mod generation;
mod handover;
mod held;
mod judge;
mod login;
mod passage;
mod recognise;
mod record;
mod rejudge;
mod route;
mod scim;
mod sign_in;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

pub(crate) use exchange::Exchange;
pub(crate) use generation::Generation;
pub(crate) use held::keep_again;
pub(crate) use passage::Passage;
pub(crate) use rejudge::{rejudge, rejudge_regularly};
pub(crate) use scim::reconcile;

use crate::answer;
use crate::gate::Gate;
use judge::{Page, Verdict};

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) gate: Arc<Gate>,
}

#[async_trait::async_trait]
impl ProxyHttp for Line {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        Passage::new(self.gate.clone())
    }

    /// The request's head is here. `Ok(true)`: answered by us; `Ok(false)`: permitted, recorded, to be forwarded.
    async fn request_filter(&self, session: &mut Session, passage: &mut Passage) -> Result<bool> {
        let connection = passage.enter(session)?;
        route::to_origin_form(session)?;
        let routed = route::find(passage, session);
        held::resume(passage, session, &routed).await?;
        let shape = facts::shape(passage, session, &routed);
        let body = recognise::body(passage, session, &routed, &shape).await?;
        let exchange = facts::of_request(passage, session, routed, shape, body.as_deref());
        let verdict = judge::request(passage, &connection, &exchange);
        match record::intent(passage, session, &exchange, verdict).await {
            Verdict::Forward => match held::take(passage, session, &exchange) {
                Some(page) => answer::write(session, passage, page).await.map(|()| true),
                None => forward::prepare(passage, session, exchange).await.map(|()| false),
            },
            Verdict::BuiltIn(Page::Scim) => scim::answer(passage, session, &exchange).await.map(|()| true),
            Verdict::BuiltIn(Page::Enroll) => enroll::answer(passage, session, &exchange).await.map(|()| true),
            Verdict::BuiltIn(page) => sign_in::answer(passage, session, &exchange, page).await.map(|()| true),
            Verdict::Refuse(refusal) => sign_in::refuse(passage, session, &exchange, refusal).await.map(|()| true),
        }
    }

    async fn upstream_peer(&self, session: &mut Session, passage: &mut Passage) -> Result<Box<HttpPeer>> {
        forward::peer(passage, session).await
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        passage: &mut Passage,
    ) -> Result<()> {
        forward::outgoing(passage, request)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        passage: &mut Passage,
    ) -> Result<()> {
        held::replace_body(passage, body, end);
        passage.request_body(body.as_ref().map_or(0, Bytes::len), end);
        Ok(())
    }

    /// The response's head is here: judged once more, then mapped.
    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        passage: &mut Passage,
    ) -> Result<()> {
        if !forward::is_final(response) {
            return Ok(());
        }
        if let Some(refusal) = judge::response(passage, response) {
            return Err(passage.refuse_response(refusal));
        }
        forward::incoming(passage, session, response).await
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        passage: &mut Passage,
    ) -> Result<Option<Duration>> {
        passage.response_body(body.as_deref().unwrap_or_default(), end);
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, passage: &mut Passage) -> FailToProxy {
        answer::failure(passage, session, error).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, passage: &mut Passage) {
        record::outcome(passage, session, error);
    }

    // What pingora would log of a request holds its path and query: our own record stands for it.
    fn request_summary(&self, _session: &Session, passage: &Passage) -> String {
        passage.summary()
    }

    fn suppress_error_log(&self, _session: &Session, _passage: &Passage, _error: &Error) -> bool {
        true
    }

    /// A request that had reached the SaaS on a reused connection is tried again only if it changes nothing.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        passage: &mut Passage,
        reused: bool,
    ) -> Box<Error> {
        let safe = session.req_header().method.is_safe() && !session.as_ref().retry_buffer_truncated();
        if safe && !passage.answered() {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        error
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        passage: &mut Passage,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing was sent yet, so any method may try the next address.
        let again = passage.next_address() && *error.etype() != ErrorType::InvalidCert;
        error.set_retry(again);
        error
    }
}
