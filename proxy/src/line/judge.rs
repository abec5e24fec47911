//! Station: decide. Facts in, one of three verdicts out; nothing is forwarded without the permit that only
//! the policy makes.

use std::sync::Arc;

use pingora_http::ResponseHeader;
use policy::{Decision, Permit};
use saas::Actions;
use vocabulary::{Action, Reason, RuleName};

use super::Passage;
use super::exchange::{Destination, Exchange};
use super::facts::{self, Known};
use crate::listener::Connection;

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// To the SaaS; the permit stands in the passage.
    Forward,
    BuiltIn(Page),
    Refuse(Refusal),
}

/// Pages that are answered by ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Login,
    Ticket,
    Scim,
    /// Enrolment, or a look at a device.
    Enroll,
}

/// Why not.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) rule: Option<RuleName>,
    pub(crate) action: Action,
}

/// A judged request: the verdict, and what was known, for the record.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    pub(super) rule: Option<RuleName>,
    pub(super) known: Known,
}

pub(super) fn request(passage: &mut Passage, connection: &Connection, exchange: &Arc<Exchange>) -> Judged {
    let known = Known::look_up(&passage.gate, &passage.generation, connection, exchange, passage.now);
    let decision = passage.generation.policy.decide(&known.facts(exchange, exchange.guess.action));
    let (reason, rule) = (decision.reason(), decision.rule().cloned());
    let verdict = match decision {
        Decision::Deny(denial) => {
            Verdict::Refuse(Refusal { reason: denial.reason, rule: denial.rule, action: exchange.guess.action })
        }
        Decision::Permit(permit) => {
            facts::note_activity(&passage.gate, exchange, passage.now);
            if let Destination::App { app, .. } = &exchange.destination
                && app.has_static
                && let Some(session) = exchange.session.as_ref().filter(|_| known.person.is_some())
            {
                passage.gate.note_somebody(&app.id, connection.ip(), session);
            }
            // What is refused does not count: a device that is kept out for long does not get in by trying twice.
            if let (Reason::Rule, Some(device), Some(shown)) =
                (reason, known.device.enrolled(), connection.certificate.as_ref())
            {
                passage.gate.core.inventory.touch_last_seen(device, shown.serial, passage.now, connection.ip());
            }
            permitted(passage, exchange, permit)
        }
    };
    Judged { verdict, reason, rule, known }
}

fn permitted(passage: &mut Passage, exchange: &Exchange, permit: Permit) -> Verdict {
    match exchange.destination {
        Destination::App { .. } => {
            passage.permit = Some(permit);
            Verdict::Forward
        }
        Destination::Ticket { .. } => Verdict::BuiltIn(Page::Ticket),
        Destination::Login => Verdict::BuiltIn(Page::Login),
        Destination::Scim => Verdict::BuiltIn(Page::Scim),
        Destination::Enroll | Destination::Device => Verdict::BuiltIn(Page::Enroll),
        // The policy permits nothing there; if it ever did, there would be nowhere to go.
        Destination::Nowhere | Destination::Misdirected => {
            Verdict::Refuse(Refusal { reason: Reason::NoApp, rule: None, action: exchange.guess.action })
        }
    }
}

/// Once more on the response's head: what looked like a view may turn out to be a download.
pub(super) fn response(passage: &mut Passage, response: &ResponseHeader) -> Option<Refusal> {
    let exchange = passage.exchange.clone()?;
    let action = Actions::on_response(&exchange.guess, response.status, &response.headers, exchange.navigation);
    passage.response_head(response.status.as_u16());
    if action == exchange.guess.action {
        return None;
    }
    passage.action_found = Some(action);
    let (Some(connection), Some(permit)) = (passage.connection.clone(), passage.permit.as_ref()) else {
        // It was forwarded without either, which can't be: nothing more goes through.
        return Some(Refusal { reason: Reason::NoRule, rule: None, action });
    };
    let now = passage.gate.core.now();
    let known = Known::look_up(&passage.gate, &passage.generation, &connection, &exchange, now);
    match passage.generation.policy.decide_response(permit, &known.facts(&exchange, action), action) {
        Decision::Permit(permit) => {
            passage.permit = Some(permit);
            None
        }
        Decision::Deny(denial) => Some(Refusal { reason: denial.reason, rule: denial.rule, action }),
    }
}

/// Whether what lasts may go on, by what is known now and the configuration now in force.
pub(super) fn still(gate: &crate::gate::Gate, connection: &Connection, exchange: &Exchange) -> Result<(), Reason> {
    let generation = gate.generation();
    let known = Known::look_up(gate, &generation, connection, exchange, gate.core.now());
    match generation.policy.decide(&known.facts(exchange, exchange.guess.action)) {
        Decision::Permit(_) => Ok(()),
        Decision::Deny(denial) => Err(denial.reason),
    }
}
