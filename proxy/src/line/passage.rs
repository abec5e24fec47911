//! One request on its way: what the stations have found out so far, and the guard that sees to it that an
//! outcome is recorded however the way ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{End, Login, Outcome, Position};
use bytes::Bytes;
use pingora_error::{Error, ErrorType, Result};
use pingora_proxy::Session;
use policy::Permit;
use vocabulary::{Action, SessionId, Timestamp};

use super::exchange::Exchange;
use super::generation::{App, Generation};
use super::handover::Scopes;
use super::held::Resumed;
use super::judge::Refusal;
use super::login::{self, LoggingIn};
use crate::gate::Gate;
use crate::listener::Connection;

/// How many addresses of a SaaS are tried.
const ATTEMPTS: usize = 3;

pub(crate) struct Passage {
    pub(crate) gate: Arc<Gate>,
    pub(crate) generation: Arc<Generation>,
    pub(super) arrived: Instant,
    pub(super) now: Timestamp,
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) permit: Option<Permit>,
    pub(super) exchange: Option<Arc<Exchange>>,
    /// Where the intent stands; an outcome is owed from then on.
    pub(super) position: Option<Position>,
    pub(super) attempt: usize,
    receiving: bool,
    forwarded_at: Option<Instant>,
    /// From the request's head to forwarding, the record's commit included.
    own_time: Duration,
    first_byte: Option<Duration>,
    pub(super) status: u16,
    bytes_in: u64,
    bytes_out: u64,
    /// The response was judged otherwise than the request.
    pub(super) refused_response: Option<Refusal>,
    /// The action that the response's head showed, where it is another one than the request's.
    pub(super) action_found: Option<Action>,
    /// The session that began with this request, for its outcome.
    pub(super) began: Option<SessionId>,
    /// Whose the cookies are that came with the request.
    pub(super) scopes: Scopes,
    /// The request's body, where it was read ahead of being sent.
    pub(super) ahead: Option<Bytes>,
    /// Whether the request stands for a form that was kept.
    pub(super) resumed: Resumed,
    /// The request logs in to the SaaS, and its answer is awaited.
    pub(super) logging_in: Option<LoggingIn>,
    /// What is recorded of who logs in, if the request shows anything of a login.
    pub(super) login_record: Option<Box<Login>>,
    end: Option<End>,
}

impl std::fmt::Debug for Passage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.summary())
    }
}

impl Passage {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        let generation = gate.generation();
        let now = gate.core.now();
        Self {
            gate,
            generation,
            arrived: Instant::now(),
            now,
            connection: None,
            permit: None,
            exchange: None,
            position: None,
            attempt: 0,
            receiving: false,
            forwarded_at: None,
            own_time: Duration::ZERO,
            first_byte: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            refused_response: None,
            action_found: None,
            began: None,
            scopes: Scopes::default(),
            ahead: None,
            resumed: Resumed::default(),
            logging_in: None,
            login_record: None,
            end: None,
        }
    }

    pub(super) fn enter(&mut self, session: &mut Session) -> Result<Arc<Connection>> {
        let Some(connection) = Connection::of(session).cloned() else {
            return Error::e_explain(ErrorType::InternalError, "a request came past the listener");
        };
        connection.head_read();
        self.connection = Some(connection.clone());
        // A body that nobody will read is drained for a moment only, so that the answer is not lost to a reset.
        session.set_total_drain_timeout(Some(Duration::from_secs(2)));
        if connection.http2 {
            // The watchdog sees bytes of the connection; whether one stream's window is ever opened, it can't see. Pingora
            // times a whole piece (64 KB at most), and slow phones load several at once: hence four times as long.
            session.set_write_timeout(Some(self.generation.patience.stall * 4));
        }
        Ok(connection)
    }

    /// Somebody who is signed in was seen lately at the app from where this request comes.
    pub(super) fn is_near_somebody(&self, app: &App) -> bool {
        self.connection.as_ref().is_some_and(|connection| self.gate.is_near_somebody(&app.id, connection.ip()))
    }

    /// From here on the request is on its way to the SaaS; it is judged again for as long as it lasts.
    pub(super) fn forward(&mut self, exchange: Arc<Exchange>, body_follows: bool) {
        if let Some(connection) = &self.connection {
            connection.exchange_begins(exchange.clone());
            if body_follows {
                self.receiving = true;
                connection.receiving(true);
            }
        }
        self.exchange = Some(exchange);
        self.own_time = self.arrived.elapsed();
        self.forwarded_at = Some(Instant::now());
    }

    /// Answered by us; kept for what the page says.
    pub(super) fn refused(&mut self, exchange: Arc<Exchange>) {
        self.exchange = Some(exchange);
    }

    pub(super) fn request_body(&mut self, bytes: usize, end: bool) {
        self.bytes_in += bytes as u64;
        if end {
            self.received();
        }
    }

    fn received(&mut self) {
        if std::mem::take(&mut self.receiving)
            && let Some(connection) = &self.connection
        {
            connection.receiving(false);
        }
    }

    pub(super) fn response_head(&mut self, status: u16) {
        self.status = status;
        if self.first_byte.is_none() {
            self.first_byte = self.forwarded_at.map(|at| at.elapsed());
        }
    }

    pub(super) fn response_body(&mut self, piece: &[u8], end: bool) {
        self.bytes_out += piece.len() as u64;
        if self.logging_in.is_some() {
            login::body(self, piece, end);
        }
    }

    /// Answered by us, without the SaaS.
    pub(crate) fn answered_here(&mut self, status: u16, bytes: usize) {
        self.status = status;
        self.bytes_out = bytes as u64;
    }

    /// The SaaS has begun to answer.
    pub(crate) fn answered(&self) -> bool {
        self.first_byte.is_some()
    }

    /// Moves on to the SaaS's next address, if one may still be tried.
    pub(super) fn next_address(&mut self) -> bool {
        self.attempt += 1;
        self.attempt < ATTEMPTS
    }

    /// The response may not pass; the error carries nothing, what is said stands in the passage.
    pub(super) fn refuse_response(&mut self, refusal: Refusal) -> Box<Error> {
        self.refused_response = Some(refusal);
        Error::explain(ErrorType::Custom("response refused"), "by policy")
    }

    pub(crate) fn refused_response(&self) -> Option<&Refusal> {
        self.refused_response.as_ref()
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.position
    }

    pub(crate) fn exchange(&self) -> Option<&Arc<Exchange>> {
        self.exchange.as_ref()
    }

    pub(crate) fn ends(&mut self, end: End) {
        self.end = Some(end);
    }

    /// For pingora's own log lines: where in our record to look, and nothing of the request.
    pub(super) fn summary(&self) -> String {
        match self.position {
            Some(position) => format!("record {position}"),
            None => "no record".to_owned(),
        }
    }

    /// The same for our log.
    pub(crate) fn summary_for_log(&self) -> String {
        self.summary()
    }

    /// The app's id, for pages.
    pub(crate) fn app_name(&self) -> Option<&str> {
        self.exchange.as_ref()?.destination.app_id().map(vocabulary::AppId::as_str)
    }

    /// What else an outcome tells.
    fn more(&self) -> serde_json::Map<String, serde_json::Value> {
        let began = self.began.iter().map(|id| ("session_began".to_owned(), id.as_str().into()));
        let resumed = matches!(self.resumed, Resumed::Form { .. }).then(|| ("resumed".to_owned(), true.into()));
        began.chain(resumed).collect()
    }

    /// Records the outcome that is owed, once.
    pub(super) fn conclude(&mut self) {
        self.received();
        let exchange = self.exchange.take();
        if let (Some(connection), Some(exchange)) = (&self.connection, &exchange) {
            connection.exchange_ends(exchange);
        }
        if let Some(exchange) = &exchange {
            login::conclude(self, exchange, self.end == Some(End::Ok));
        }
        let Some(position) = self.position.take() else { return };
        let total = self.arrived.elapsed();
        let upstream = self.first_byte.or_else(|| self.forwarded_at.map(|at| at.elapsed()));
        let cut = self.connection.as_ref().is_some_and(|c| c.is_cut());
        let end = match self.end {
            _ if self.refused_response.is_some() => End::DeniedResponse,
            Some(end) => end,
            // Dropped on the way: by the watchdog or a decision, or because the client went away.
            None if cut => End::Cut,
            None => End::Aborted,
        };
        let refused = self.refused_response.as_ref();
        if let Some(app) = exchange.as_ref().and_then(|exchange| exchange.destination.app_id()) {
            self.count(app.as_str(), end, refused);
        }
        self.gate.core.journal.outcome(
            position,
            &Outcome {
                at: self.gate.core.now(),
                end,
                status: (self.status != 0).then_some(self.status),
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                upstream_us: upstream.map(micros),
                total_us: micros(total),
                action: refused.map_or(self.action_found, |r| Some(r.action)),
                reason: refused.map(|r| r.reason),
                rule: refused.and_then(|r| r.rule.clone()),
                more: self.more(),
            },
        );
        if self.forwarded_at.is_some() {
            let timers = &self.generation.timers;
            timers.upstream.observe(upstream.unwrap_or_default().as_secs_f64());
            timers.own.observe(self.own_time.as_secs_f64());
        }
    }

    /// What a permitted request met on its way back, where that is not its answer.
    fn count(&self, app: &str, end: End, refused: Option<&Refusal>) {
        match (refused, end) {
            (Some(refusal), _) => {
                let labels = [app, refusal.reason.as_str()];
                self.gate.metrics.refused_responses.with_label_values(&labels).inc();
            }
            (None, End::UpstreamFailed) => self.gate.metrics.upstream_failures.with_label_values(&[app]).inc(),
            (None, _) => {}
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.conclude();
        if let Some(connection) = self.connection.take() {
            connection.answered();
        }
    }
}
