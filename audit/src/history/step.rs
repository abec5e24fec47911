//! A request in short: as much of it as stands in the columns of the index, so that thousands are told without the log.

use std::sync::Arc;

use vocabulary::{Action, Reason, Timestamp};

use crate::index::search::Columns;
use crate::index::{Column, flag};
use crate::{Decision, End, Entry, Outcome, Position, Record};

/// What a request was, as it was judged in the end. The fields are those of [`crate::RequestIntent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub position: Position,
    pub at: Timestamp,
    pub app: Option<Arc<str>>,
    pub person: Option<Arc<str>>,
    pub session: Option<Arc<str>>,
    pub device: Option<Arc<str>>,
    pub source: Arc<str>,
    pub outside: bool,
    pub method: Arc<str>,
    pub path: Arc<str>,
    pub action: Action,
    pub operation: Option<Arc<str>>,
    pub subject: Option<Arc<str>>,
    pub decision: Decision,
    /// None: one of a later version.
    pub reason: Option<Reason>,
    pub rule: Option<Arc<str>>,
    /// It was refused or went wrong, as [`Entry::failed`] tells.
    pub failed: bool,
}

/// The one path on apps' hosts that is the gate's own.
const OWN_PATH: &str = "/.sekisho/";

impl Step {
    /// It asked for a page of the gate's own. What was done there is a record of its own.
    pub(super) fn is_own(&self) -> bool {
        self.reason == Some(Reason::BuiltIn) || self.path.starts_with(OWN_PATH)
    }

    /// None: it is not a request.
    pub fn of(entry: &Entry) -> Option<Self> {
        let Record::Request(request) = &entry.record else { return None };
        let text = |text: Option<&str>| text.map(Arc::from);
        Some(Self {
            position: entry.position,
            at: entry.at,
            app: text(request.app.as_ref().map(|app| app.as_str())),
            person: text(request.person.as_ref().map(|person| person.as_str())),
            session: text(request.session.as_ref().map(|session| session.as_str())),
            device: text(request.device.as_ref().map(|device| device.as_str())),
            source: request.source.to_string().into(),
            outside: !request.inside,
            method: request.method.as_str().into(),
            path: request.path.as_str().into(),
            action: entry.action(request),
            operation: text(request.operation.as_deref()),
            subject: text(request.subject.as_deref()),
            decision: entry.decision(request),
            reason: Some(entry.reason(request)),
            rule: text(entry.rule(request).map(|rule| rule.as_str())),
            failed: entry.failed(),
        })
    }

    /// None: it is not a request that this version can read.
    pub(super) fn of_columns(columns: Columns) -> Option<Self> {
        let Columns { position, at, mut texts, flags, .. } = columns;
        let mut text = |column: Column| texts.get_mut(column as usize).and_then(Option::take);
        if text(Column::Kind).as_deref() != Some("request") {
            return None;
        }
        let decision = match text(Column::Decision)?.as_ref() {
            "permit" => Decision::Permit,
            "deny" => Decision::Deny,
            _ => return None,
        };
        Some(Self {
            position,
            at,
            app: text(Column::App),
            person: text(Column::Person),
            session: text(Column::Session),
            device: text(Column::Device),
            source: text(Column::Source)?,
            outside: flags & flag::OUTSIDE != 0,
            method: text(Column::Method)?,
            path: text(Column::Path)?,
            action: text(Column::Action)?.parse().ok()?,
            operation: text(Column::Operation),
            subject: text(Column::Subject),
            decision,
            reason: text(Column::Reason)?.parse().ok(),
            rule: text(Column::Rule),
            failed: flags & flag::FAILED != 0,
        })
    }

    /// Brings in an outcome that came after it had been sealed.
    pub(super) fn settle(&mut self, outcome: &Outcome) {
        self.action = outcome.action.unwrap_or(self.action);
        self.reason = outcome.reason.or(self.reason);
        if let Some(rule) = &outcome.rule {
            self.rule = Some(rule.as_str().into());
        }
        if outcome.end == End::DeniedResponse {
            self.decision = Decision::Deny;
        }
        let went_wrong = matches!(outcome.end, End::UpstreamFailed | End::Refused);
        self.failed |=
            self.decision == Decision::Deny || went_wrong || outcome.status.is_some_and(|status| status >= 400);
    }
}
