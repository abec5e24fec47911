//! A person's day: what happened, in order.

use std::sync::Arc;

use vocabulary::{PersonId, Timestamp};

use super::{History, Query, Step};
use crate::{AuditError, Change, Decision, Filter, Login, LoginEnd, Position, Record, SignIn, SignOut};

/// Longer than that without a request is told.
const GAP_SECS: i64 = 15 * 60;

/// A line of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub at: Timestamp,
    pub position: Position,
    pub what: Happening,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    SignIn(Box<SignIn>),
    SignOut(SignOut),
    Login(Box<Login>),
    LoginEnd(LoginEnd),
    /// Something was done to the person, or the person changed something.
    Change(Change),
    /// An operation, or a request that was refused; the same one, several times in a row, is told once, by its first.
    Operation {
        step: Box<Step>,
        times: u64,
        last: Timestamp,
    },
    /// Requests in a row that no recipe names.
    Unnamed {
        app: Option<Arc<str>>,
        requests: u64,
        last: Timestamp,
    },
    /// More than a quarter of an hour without a request while signed in.
    Gap {
        until: Timestamp,
    },
}

impl History {
    /// What a person did, and what was done to them, at `from` or later and before `to`, oldest first. What is sealed and
    /// indexed is told without opening the log.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn timeline(
        &self,
        person: &PersonId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Vec<Moment>, AuditError> {
        let filter = Filter { from, to, person: Some(person.clone()), ..Filter::default() };
        let kinds = ["sign-in", "sign-out", "login", "login-end", "change"].map(str::to_owned).to_vec();
        let rare = Filter { kinds, ..filter.clone() };
        let mut rare = self.read(Query { filter: rare, ..Query::default() })?.peekable();
        let mut timeline = Timeline::default();
        for step in self.steps(Query { filter, ..Query::default() })? {
            let step = step?;
            while let Some(entry) = rare.next_if(|entry| entry.as_ref().map_or(true, |e| e.position < step.position)) {
                timeline.rare(entry?);
            }
            timeline.request(step);
        }
        for entry in rare {
            timeline.rare(entry?);
        }
        Ok(timeline.moments)
    }
}

#[derive(Debug, Default)]
struct Timeline {
    moments: Vec<Moment>,
    /// The last request, or the sign-in, of a session that goes on.
    busy: Option<Timestamp>,
}

impl Timeline {
    fn rare(&mut self, entry: crate::Entry) {
        let what = match entry.record {
            Record::SignIn(sign_in) => {
                if sign_in.session.is_some() {
                    self.busy = Some(entry.at);
                }
                Happening::SignIn(sign_in)
            }
            Record::SignOut(sign_out) => {
                self.busy = None;
                Happening::SignOut(sign_out)
            }
            Record::Login(login) => Happening::Login(login),
            Record::LoginEnd(end) => Happening::LoginEnd(end),
            Record::Change(change) => Happening::Change(change),
            _ => return,
        };
        self.moments.push(Moment { at: entry.at, position: entry.position, what });
    }

    fn request(&mut self, step: Step) {
        let (at, position) = (step.at, step.position);
        if let Some(busy) = self.busy.replace(at)
            && at.secs_since(busy) > GAP_SECS
        {
            self.moments.push(Moment { at: busy, position, what: Happening::Gap { until: at } });
        }
        if step.is_own() {
            return;
        }
        let tells = step.operation.is_some() || step.decision == Decision::Deny;
        match self.moments.last_mut().map(|moment| &mut moment.what) {
            Some(Happening::Operation { step: before, times, last }) if tells && same(before, &step) => {
                *times += 1;
                *last = at;
            }
            Some(Happening::Unnamed { app, requests, last }) if !tells && *app == step.app => {
                *requests += 1;
                *last = at;
            }
            _ => {
                let what = match tells {
                    true => Happening::Operation { step: Box::new(step), times: 1, last: at },
                    false => Happening::Unnamed { app: step.app, requests: 1, last: at },
                };
                self.moments.push(Moment { at, position, what });
            }
        }
    }
}

/// The same thing once more.
fn same(a: &Step, b: &Step) -> bool {
    let of = |step: &Step| (step.app.clone(), step.operation.clone(), step.subject.clone());
    let how = |step: &Step| (step.action, step.decision, step.reason, step.failed, step.outside);
    // Two refused requests are the same if they went to the same place.
    of(a) == of(b) && how(a) == how(b) && (a.operation.is_some() || a.path == b.path)
}
