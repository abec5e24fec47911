//! Answers of our own: pages for people, JSON for scripts, and what is said when the SaaS fails.

use std::io;

use audit::{End, Position};
use bytes::Bytes;
use http::HeaderMap;
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::{FailToProxy, Session};
use vocabulary::Reason;

use crate::line::{Passage, keep_again};

/// Writes a page and leaves the connection usable.
pub(crate) async fn write(session: &mut Session, passage: &mut Passage, page: apps::Page) -> Result<()> {
    let body = Bytes::from(page.body);
    let mut head = ResponseHeader::build(page.status, Some(page.headers.len() + 2))?;
    for (name, value) in page.headers {
        head.append_header(name, value)?;
    }
    // These two have no body by definition (RFC 9110, 8.6).
    if !matches!(page.status, 204 | 304) {
        head.insert_header(http::header::CONTENT_LENGTH, body.len().to_string())?;
    }
    let bodyless = session.req_header().method == http::Method::HEAD || body.is_empty();
    passage.answered_here(page.status, if bodyless { 0 } else { body.len() });
    session.write_response_header(Box::new(head), bodyless).await?;
    if !bodyless {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// As [`write`], for what is no page of ours.
pub(crate) async fn write_bytes(
    session: &mut Session,
    passage: &mut Passage,
    status: http::StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
) -> Result<()> {
    let mut head = ResponseHeader::build(status, Some(headers.len() + 3))?;
    for (name, value) in headers {
        head.append_header(name, value)?;
    }
    head.insert_header("x-content-type-options", "nosniff")?;
    head.insert_header(http::header::CONTENT_LENGTH, body.len().to_string())?;
    let bodyless = session.req_header().method == http::Method::HEAD || body.is_empty();
    passage.answered_here(status.as_u16(), if bodyless { 0 } else { body.len() });
    session.write_response_header(Box::new(head), bodyless).await?;
    if !bodyless {
        session.write_response_body(Some(Bytes::from(body)), true).await?;
    }
    Ok(())
}

/// The code by which an administrator finds the record of what somebody was shown.
pub(crate) fn code(position: Option<Position>) -> Option<String> {
    position.map(|p| apps::code::encode(p.boot, p.seq))
}

/// Where somebody who is refused may go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WayOn<'a> {
    pub(crate) url: &'a str,
    /// It leads to where a second factor is set up, not to a sign-in.
    pub(crate) set_up: bool,
}

/// What to say to a request that is refused.
pub(crate) fn refusal(
    passage: &Passage,
    headers: &HeaderMap,
    reason: Reason,
    wants_page: bool,
    way: Option<WayOn<'_>>,
) -> apps::Page {
    let lang = apps::Lang::from_accept_language(headers);
    let code = code(passage.position());
    let deny = apps::Deny {
        reason,
        code: code.as_deref(),
        sign_in: way.map(|way| way.url),
        set_up: way.is_some_and(|way| way.set_up),
        app: passage.app_name(),
    };
    match wants_page {
        true => apps::deny_page(&deny, lang),
        false => apps::deny_json(&deny, lang),
    }
}

/// The SaaS closed a WebSocket's connection without TLS's own farewell, as many do. A frame says whether a WebSocket came
/// to its end (RFC 6455, 5.5.1), and the server closes first (7.1.1): so this is no failure.
pub(crate) fn ends_a_websocket(session: &Session, error: &Error) -> bool {
    session.response_written().is_some_and(|head| head.status == 101)
        && *error.esource() == ErrorSource::Upstream
        && error.root_cause().downcast_ref().is_some_and(|e: &io::Error| e.kind() == io::ErrorKind::UnexpectedEof)
}

/// The SaaS failed, or its response was refused: the page for it, unless an answer has begun already.
pub(crate) async fn failure(passage: &mut Passage, session: &mut Session, error: &Error) -> FailToProxy {
    let reason = match passage.refused_response() {
        Some(refusal) => refusal.reason,
        None => Reason::UpstreamFailed,
    };
    // On HTTP/2 a browser that leaves a page resets the streams of what it awaits no longer (`H2Error`).
    let gone = passage.refused_response().is_none()
        && *error.esource() == ErrorSource::Downstream
        && matches!(
            error.etype(),
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed | ErrorType::H2Error
        );
    let begun = session.response_written().is_some_and(|head| !head.status.is_informational() || head.status == 101);
    if gone || begun {
        if begun && !gone {
            if !ends_a_websocket(session, error) {
                let record = passage.summary_for_log();
                tracing::warn!(%record, error = error.etype().as_str(), "a response broke off");
            }
            // What was held back to leave with more: a browser that gets no head at all takes the connection for one
            // that had been idle too long, and sends the request again.
            // Pingora flushes at a failure if it is not the only task it was given.
            if !session.is_http2() {
                let failed = || HttpTask::Failed(Error::new(ErrorType::ConnectionClosed));
                let _ = session.as_mut().response_duplex_vec(vec![failed(), failed()]).await;
            }
        }
        return FailToProxy { error_code: 0, can_reuse_downstream: false };
    }
    if reason == Reason::UpstreamFailed {
        tracing::warn!(record = %passage.summary_for_log(), error = error.etype().as_str(), "the SaaS failed");
        passage.ends(End::UpstreamFailed);
    }
    let headers = &session.req_header().headers;
    let wants_page = passage.exchange().is_none_or(|exchange| exchange.wants_page);
    // Before there is a connection, nothing was sent.
    let unsent = matches!(
        error.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::TLSHandshakeFailure
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::InvalidCert
    );
    let kept = if unsent { keep_again(passage, session) } else { None };
    let mut page = kept.unwrap_or_else(|| refusal(passage, headers, reason, wants_page, None));
    if reason == Reason::UpstreamFailed {
        page.status = match error.etype() {
            ErrorType::ConnectTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::TLSHandshakeTimedout => 504,
            _ if *error.esource() == ErrorSource::Downstream => 400,
            _ => 502,
        };
    }
    let status = page.status;
    session.set_keepalive(None);
    if write(session, passage, page).await.is_err() {
        return FailToProxy { error_code: 0, can_reuse_downstream: false };
    }
    FailToProxy { error_code: status, can_reuse_downstream: false }
}
