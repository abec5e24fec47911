//! Station: forward. The permitted request to the SaaS, mapped, and its response back, mapped.

use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, EXPECT, UPGRADE};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use saas::Edits;

use super::exchange::{Destination, Exchange};
use super::login::LoggingIn;
use super::{Passage, handover, login};

/// Marks the passage as forwarded. Needs the permit that only a decision makes.
pub(super) async fn prepare(passage: &mut Passage, session: &mut Session, exchange: Arc<Exchange>) -> Result<()> {
    if passage.permit.is_none() || passage.position.is_none() {
        return Error::e_explain(ErrorType::InternalError, "forwarding without a permit or without a record");
    }
    let body_follows = !session.is_body_done();
    if session.req_header().headers.contains_key(EXPECT) {
        // Answered here, because the decision has been made here; the SaaS is sent the body right away.
        session.write_continue_response().await?;
    }
    passage.scopes = handover::of_request(&passage.gate, &exchange, &session.req_header().headers);
    passage.logging_in = login::begin(passage, &exchange);
    passage.forward(exchange, body_follows);
    Ok(())
}

pub(super) async fn peer(passage: &mut Passage, _session: &Session) -> Result<Box<HttpPeer>> {
    let (Some(exchange), Some(_permit)) = (&passage.exchange, &passage.permit) else {
        return Error::e_explain(ErrorType::InternalError, "a SaaS was asked for without a permit");
    };
    let Destination::App { app, host } = &exchange.destination else {
        return Error::e_explain(ErrorType::InternalError, "a built-in page has no upstream");
    };
    let upstream = app.upstream(*host);
    upstream.peer(&passage.gate.resolver, passage.attempt, exchange.upgrade, exchange.streaming).await.map_err(
        |error| {
            tracing::warn!(app = %app.id, %error, "the SaaS's address is not known");
            Error::explain(ErrorType::ConnectNoRoute, "name resolution").into_up()
        },
    )
}

/// The request's head on its way out.
pub(super) fn outgoing(passage: &mut Passage, request: &mut RequestHeader) -> Result<()> {
    let Some(exchange) = passage.exchange.clone() else {
        return Error::e_explain(ErrorType::InternalError, "forwarding without an exchange");
    };
    let Destination::App { app, host } = &exchange.destination else {
        return Error::e_explain(ErrorType::InternalError, "a built-in page has no upstream");
    };
    if request.uri.authority().is_some() {
        // On HTTP/2 the authority is ours; what the SaaS is told is in Host.
        let target = request.raw_path().to_vec();
        request.set_raw_path(&target)?;
    }
    let edits = match exchange.preflight {
        true => saas::outgoing_preflight(&request.headers, &app.map, *host),
        false => saas::outgoing(&request.headers, &app.map, *host, exchange.upgrade),
    };
    apply_to_request(edits, request)?;
    handover::outgoing(passage, request);
    if passage.logging_in.as_ref().is_some_and(LoggingIn::wants_text) {
        request.insert_header(ACCEPT_ENCODING, "identity")?;
    }
    request.remove_header(&EXPECT);
    Ok(())
}

/// Not an interim response. 101 is final: the connection changes hands.
pub(super) fn is_final(response: &ResponseHeader) -> bool {
    !response.status.is_informational() || response.status == http::StatusCode::SWITCHING_PROTOCOLS
}

/// The response's head on its way back.
pub(super) async fn incoming(passage: &mut Passage, session: &Session, response: &mut ResponseHeader) -> Result<()> {
    let Some(exchange) = passage.exchange.clone() else {
        return Error::e_explain(ErrorType::InternalError, "a response without an exchange");
    };
    let Destination::App { app, host } = &exchange.destination else {
        return Error::e_explain(ErrorType::InternalError, "a built-in page has no upstream");
    };
    if response.status == http::StatusCode::SWITCHING_PROTOCOLS && !opens_what_was_asked(&exchange, response) {
        // The bytes behind it would be nobody's: neither side agreed on what they mean (RFC 9110, 7.8).
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, "the SaaS changed protocols unasked").into_up());
    }
    let mark = login::head(passage, &exchange, response).await;
    let edits = saas::incoming(response.status, &response.headers, &app.map, *host);
    apply_to_response(edits, response)?;
    let path = session.req_header().uri.path();
    apply_to_response(saas::keep_workers_away(path, apps::TICKET_PATH, &response.headers), response)?;
    handover::incoming(passage, &exchange, path, response)?;
    login::set_mark(response, mark)
}

/// A WebSocket, and nothing else, where one was asked for.
fn opens_what_was_asked(exchange: &Exchange, response: &ResponseHeader) -> bool {
    let mut upgrades = response.headers.get_all(UPGRADE).iter();
    exchange.upgrade
        && upgrades.next().is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && upgrades.next().is_none()
}

fn apply_to_request(edits: Edits, request: &mut RequestHeader) -> Result<()> {
    for name in &edits.remove {
        request.remove_header(name);
    }
    for (name, value) in edits.set {
        request.insert_header(name, value)?;
    }
    for (name, value) in edits.append {
        request.append_header(name, value)?;
    }
    Ok(())
}

fn apply_to_response(edits: Edits, response: &mut ResponseHeader) -> Result<()> {
    for name in &edits.remove {
        response.remove_header(name);
    }
    for (name, value) in edits.set {
        response.insert_header(name, value)?;
    }
    for (name, value) in edits.append {
        response.append_header(name, value)?;
    }
    Ok(())
}

/// Whether the answer may stay silent for long: an event stream was asked for.
pub(super) fn is_streaming(headers: &http::HeaderMap) -> bool {
    headers.get(ACCEPT).is_some_and(|v| v.as_bytes().starts_with(b"text/event-stream"))
        || headers.get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}
