//! Which records are asked for.

use std::net::IpAddr;

use ipnet::IpNet;
use vocabulary::{Action, AppId, DeviceId, PersonId, Reason, RuleName, SessionId, Timestamp, Zone};

use super::step::Step;
use crate::{Decision, End, Entry, LoginResult, Position, Record, Request, SignInResult};

/// Which records to read. Everything that is given must fit.
///
/// A request counts as it was judged in the end: a download that was refused on the response's head is denied, for the
/// reason and by the rule of that refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// By the word in `"kind"`, such as `request` or `sign-in`; none: all.
    pub kinds: Vec<String>,
    /// Who did it, or to whom it was done.
    pub person: Option<PersonId>,
    pub app: Option<AppId>,
    pub action: Option<Action>,
    pub decision: Option<Decision>,
    pub reason: Option<Reason>,
    pub rule: Option<RuleName>,
    pub session: Option<SessionId>,
    pub device: Option<DeviceId>,
    /// Came from there.
    pub source: Option<IpNet>,
    pub path: Option<PathPattern>,
    /// Did this, by the operation's id in the app's recipe.
    pub operation: Option<String>,
    /// Was done to this, as `<kind>/<id>`.
    pub subject: Option<String>,
    /// A recipe named what was done.
    pub named: bool,
    /// Came from outside of all facilities.
    pub outside: bool,
    /// Was refused or went wrong: denied, answered with a status of 400 or more, not forwarded, not signed in.
    pub failed: bool,
    /// Happened between 22:00 and 05:00 on the wall clock of this zone.
    pub night: Option<Zone>,
    /// The record at this place only.
    pub position: Option<Position>,
}

/// Which paths, queries included, as they stand in the record: masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// They begin so.
    Prefix(String),
    /// This stands somewhere in them.
    Contains(String),
}

impl PathPattern {
    pub(crate) fn takes(&self, path: &str) -> bool {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Self::Contains(part) => path.contains(part.as_str()),
        }
    }
}

const NIGHT_BEGINS: u16 = 22 * 60;
const NIGHT_ENDS: u16 = 5 * 60;

/// What a filter looks at, of a record or of what the index knows of a request.
struct Facts<'f> {
    at: Timestamp,
    position: Position,
    kind: &'f str,
    app: Option<&'f str>,
    action: Option<Action>,
    decision: Option<Decision>,
    reason: Option<Reason>,
    rule: Option<&'f str>,
    session: Option<&'f str>,
    device: Option<&'f str>,
    path: Option<&'f str>,
    operation: Option<&'f str>,
    subject: Option<&'f str>,
    outside: bool,
    failed: bool,
}

impl<'f> Facts<'f> {
    fn of(entry: &'f Entry) -> Self {
        let mut facts = Self {
            at: entry.at,
            position: entry.position,
            kind: entry.record.kind(),
            app: None,
            action: None,
            decision: None,
            reason: None,
            rule: None,
            session: entry.record.session().map(SessionId::as_str),
            device: None,
            path: None,
            operation: None,
            subject: None,
            outside: false,
            failed: entry.failed(),
        };
        match &entry.record {
            Record::Request(request) => {
                facts.app = request.app.as_ref().map(AppId::as_str);
                facts.action = Some(entry.action(request));
                facts.decision = Some(entry.decision(request));
                facts.reason = Some(entry.reason(request));
                facts.rule = entry.rule(request).map(RuleName::as_str);
                facts.device = request.device.as_ref().map(DeviceId::as_str);
                facts.path = Some(&request.path);
                facts.operation = request.operation.as_deref();
                facts.subject = request.subject.as_deref();
                facts.outside = !request.inside;
            }
            Record::SignIn(sign_in) => {
                facts.reason = sign_in.reason;
                facts.device = sign_in.device.as_ref().map(DeviceId::as_str);
                facts.outside = !sign_in.inside;
            }
            Record::Login(login) => {
                facts.app = Some(login.app.as_str());
                facts.device = login.device.as_ref().map(DeviceId::as_str);
                facts.outside = !login.inside;
            }
            Record::LoginEnd(end) => facts.app = Some(end.app.as_str()),
            _ => {}
        }
        facts
    }

    fn of_step(step: &'f Step) -> Self {
        Self {
            at: step.at,
            position: step.position,
            kind: "request",
            app: step.app.as_deref(),
            action: Some(step.action),
            decision: Some(step.decision),
            reason: step.reason,
            rule: step.rule.as_deref(),
            session: step.session.as_deref(),
            device: step.device.as_deref(),
            path: Some(&step.path),
            operation: step.operation.as_deref(),
            subject: step.subject.as_deref(),
            outside: step.outside,
            failed: step.failed,
        }
    }
}

impl Filter {
    /// Whether a record fits. A request's outcome may still be missing; then it is looked at as if it had none.
    pub fn takes(&self, entry: &Entry) -> bool {
        self.takes_facts(&Facts::of(entry))
            && self.person.as_ref().is_none_or(|person| entry.record.concerns(person))
            && self.source.is_none_or(|net| entry.record.came_from(&net))
    }

    /// [`Filter::takes`] of a request that is known by the index alone.
    pub(crate) fn takes_step(&self, step: &Step) -> bool {
        self.takes_facts(&Facts::of_step(step))
            && self.person.as_ref().is_none_or(|person| step.person.as_deref() == Some(person.as_str()))
            && self.source.is_none_or(|net| source_lies_in(&step.source, &net))
    }

    fn takes_facts(&self, facts: &Facts<'_>) -> bool {
        let is = |wanted: Option<&str>, there: Option<&str>| wanted.is_none() || wanted == there;
        self.takes_time(facts.at)
            && self.position.is_none_or(|position| position == facts.position)
            && self.takes_kind(facts.kind)
            && is(self.app.as_ref().map(AppId::as_str), facts.app)
            && (self.action.is_none() || self.action == facts.action)
            && (self.decision.is_none() || self.decision == facts.decision)
            && (self.reason.is_none() || self.reason == facts.reason)
            && is(self.rule.as_ref().map(RuleName::as_str), facts.rule)
            && is(self.session.as_ref().map(SessionId::as_str), facts.session)
            && is(self.device.as_ref().map(DeviceId::as_str), facts.device)
            && is(self.operation.as_deref(), facts.operation)
            && is(self.subject.as_deref(), facts.subject)
            && self.path.as_ref().is_none_or(|pattern| facts.path.is_some_and(|path| pattern.takes(path)))
            && (!self.named || facts.operation.is_some())
            && (!self.outside || facts.outside)
            && (!self.failed || facts.failed)
    }

    pub(crate) fn takes_time(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to) && self.is_at_night(at)
    }

    /// Whether that is a time of the night, if only the night is asked for.
    pub fn is_at_night(&self, at: Timestamp) -> bool {
        self.night.as_ref().is_none_or(|zone| !(NIGHT_ENDS..NIGHT_BEGINS).contains(&zone.local(at).minute))
    }

    pub(crate) fn takes_kind(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind)
    }
}

/// Whether an address, or a network of addresses, as it is recorded lies within `net`.
pub(crate) fn source_lies_in(source: &str, net: &IpNet) -> bool {
    if let Ok(address) = source.parse::<IpAddr>() {
        return net.contains(&address.to_canonical());
    }
    source.parse::<IpNet>().is_ok_and(|counted| net.contains(&counted))
}

impl Entry {
    /// What the request did, as far as its response told.
    pub fn action(&self, request: &Request) -> Action {
        self.outcome.as_ref().and_then(|outcome| outcome.action).unwrap_or(request.action)
    }

    /// Judged twice: a download that was refused on the response's head was refused.
    pub fn decision(&self, request: &Request) -> Decision {
        match self.outcome.as_ref().map(|outcome| outcome.end) {
            Some(End::DeniedResponse) => Decision::Deny,
            _ => request.decision,
        }
    }

    /// Why it was so judged in the end.
    pub fn reason(&self, request: &Request) -> Reason {
        self.outcome.as_ref().and_then(|outcome| outcome.reason).unwrap_or(request.reason)
    }

    /// The rule that so judged it in the end.
    pub fn rule<'e>(&'e self, request: &'e Request) -> Option<&'e RuleName> {
        self.outcome.as_ref().and_then(|outcome| outcome.rule.as_ref()).or(request.rule.as_ref())
    }

    /// It was refused or went wrong.
    pub fn failed(&self) -> bool {
        match &self.record {
            Record::Request(request) => {
                self.decision(request) == Decision::Deny
                    || self.outcome.as_ref().is_some_and(|outcome| {
                        matches!(outcome.end, End::UpstreamFailed | End::Refused)
                            || outcome.status.is_some_and(|status| status >= 400)
                    })
            }
            Record::SignIn(sign_in) => !matches!(sign_in.result, SignInResult::Ok | SignInResult::SecondFactor),
            Record::Login(login) => login.result == LoginResult::Failed,
            _ => false,
        }
    }
}

impl Record {
    /// The person did it, or it was done to them.
    pub(crate) fn concerns(&self, person: &PersonId) -> bool {
        match self {
            Self::Request(request) => request.person.as_ref() == Some(person),
            Self::SignIn(sign_in) => sign_in.person.as_ref() == Some(person),
            Self::SignOut(sign_out) => sign_out.person == *person,
            Self::Login(login) => login.person.as_ref() == Some(person),
            Self::LoginEnd(end) => end.person.as_ref() == Some(person),
            Self::Change(change) => change.by == person.as_str() || change.subject == person.as_str(),
            Self::Reading(reading) => reading.by == person.as_str(),
            Self::ClockAccepted(accepted) => accepted.by == person.as_str(),
            _ => false,
        }
    }

    fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Request(request) => request.session.as_ref(),
            Self::SignIn(sign_in) => sign_in.session.as_ref(),
            Self::SignOut(sign_out) => Some(&sign_out.session),
            Self::Login(login) => login.session.as_ref(),
            _ => None,
        }
    }

    fn came_from(&self, net: &IpNet) -> bool {
        match self {
            Self::Request(request) => net.contains(&request.source.to_canonical()),
            Self::SignIn(sign_in) => net.contains(&sign_in.source.to_canonical()),
            Self::Login(login) => net.contains(&login.source.to_canonical()),
            Self::SignOut(sign_out) => sign_out.source.is_some_and(|source| net.contains(&source.to_canonical())),
            Self::Aggregate(counted) => counted.source.as_deref().is_some_and(|source| source_lies_in(source, net)),
            _ => false,
        }
    }
}
