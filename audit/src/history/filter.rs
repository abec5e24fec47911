//! Which records are asked for.

use std::net::IpAddr;

use ipnet::IpNet;
use vocabulary::{Action, AppId, DeviceId, PersonId, Reason, RuleName, SessionId, Timestamp, Zone};

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

impl Filter {
    /// Whether a record fits. A request's outcome may still be missing; then it is looked at as if it had none.
    pub fn takes(&self, entry: &Entry) -> bool {
        let request = match &entry.record {
            Record::Request(request) => Some(&**request),
            _ => None,
        };
        let sign_in = match &entry.record {
            Record::SignIn(sign_in) => Some(&**sign_in),
            _ => None,
        };
        self.takes_time(entry.at)
            && self.position.is_none_or(|position| position == entry.position)
            && self.takes_kind(entry.record.kind())
            && self.person.as_ref().is_none_or(|person| entry.record.concerns(person))
            && self.app.as_ref().is_none_or(|app| request.is_some_and(|r| r.app.as_ref() == Some(app)))
            && self.action.is_none_or(|action| request.is_some_and(|r| entry.action(r) == action))
            && self.decision.is_none_or(|decision| request.is_some_and(|r| entry.decision(r) == decision))
            && self.reason.is_none_or(|reason| match request {
                Some(request) => entry.reason(request) == reason,
                None => sign_in.is_some_and(|s| s.reason == Some(reason)),
            })
            && self.rule.as_ref().is_none_or(|rule| request.is_some_and(|r| entry.rule(r) == Some(rule)))
            && self.session.as_ref().is_none_or(|session| entry.record.session() == Some(session))
            && self.device.as_ref().is_none_or(|device| {
                let named = request.map_or_else(|| sign_in.and_then(|s| s.device.as_ref()), |r| r.device.as_ref());
                named == Some(device)
            })
            && self.source.is_none_or(|net| entry.record.came_from(&net))
            && self.path.as_ref().is_none_or(|path| request.is_some_and(|r| path.takes(&r.path)))
            && (!self.outside || request.map(|r| r.inside).or(sign_in.map(|s| s.inside)) == Some(false))
            && (!self.failed || entry.failed())
    }

    pub(crate) fn takes_time(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
            && self.night.as_ref().is_none_or(|zone| {
                let minute = zone.local(at).minute;
                !(NIGHT_ENDS..NIGHT_BEGINS).contains(&minute)
            })
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
