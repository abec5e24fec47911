//! What a request is: a login, a further step of one, a logout, an operation.

use std::sync::Arc;

use http::header;
use vocabulary::Action;

use super::answer::Attempt;
use super::document::BodyKind;
use super::fields::Selector;
use super::route::{self, Candidate, Kind, Login};
use super::scan::Cell;
use super::values::{self, Body, Held, Values};
use super::{Operation, Recipe, Recognised, RequestHead};
use crate::{action, field, mask, origin};

/// The most characters of a subject's or an account's ID.
const LONGEST_PLAIN: usize = 64;

impl Recipe {
    /// Whether [`Self::recognise`] needs this request's body to tell everything about it. A body that says that it is
    /// longer than [`super::MOST_OF_BODY`], or of a kind that can't be read, is not wanted.
    pub fn wants_body(&self, head: &RequestHead<'_>) -> bool {
        let length = field::get(head.headers, &header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        let too_long = length.is_some_and(|length| length > super::MOST_OF_BODY as u64);
        !self.rules.is_empty()
            && !too_long
            && values::has_body(head) != Some(false)
            && values::kind(head).is_some()
            && route::candidates(&self.rules, head).iter().any(|candidate| candidate.rule.asks_for_body())
    }

    /// `body`: all of it, if that is at most [`super::MOST_OF_BODY`]. None: there is none, or it was not read, and then what
    /// would stand there is unclear. `account`: the facility's at this SaaS, if it is known.
    pub fn recognise(&self, head: &RequestHead<'_>, body: Option<&[u8]>, account: Option<&str>) -> Recognised {
        let candidates = route::candidates(&self.rules, head);
        if candidates.is_empty() {
            return Recognised::default();
        }
        let values = Values::read(self, head, body, &candidates);
        let mut found = self.operation_of(head, &values, &candidates);
        for candidate in &candidates {
            match &candidate.rule.kind {
                Kind::Operation { .. } => break,
                Kind::Login(login) if found.login.is_none() => {
                    log_in(&mut found, candidate, login, head, &values, account);
                }
                Kind::Step(answers) if found.login.is_none() => {
                    let held = values.hold(&candidate.rule.conditions);
                    if held != Held::No {
                        found.login = Some(Attempt::further(Arc::clone(answers), head.path, held == Held::Unclear));
                    }
                    act(&mut found, candidate, held);
                }
                Kind::Login(_) | Kind::Step(_) => {}
                Kind::Logout => {
                    let held = values.hold(&candidate.rule.conditions);
                    found.logout |= held == Held::Yes;
                    // Whoever may log in may log out; a recipe that says something else has an operation for it.
                    if held == Held::Yes && found.action.is_none() && candidate.exact {
                        found.action = Some(Action::Login);
                    }
                }
            }
        }
        found
    }

    /// Operation, action and subject. Takes the same care as [`crate::Actions::guess`].
    fn operation_of(&self, head: &RequestHead<'_>, values: &Values<'_>, candidates: &[Candidate<'_>]) -> Recognised {
        let unknown = || Recognised { action: Some(Action::Unknown), ..Recognised::default() };
        let mut alike: Option<&Arc<Operation>> = None;
        // Something in the body tells such requests apart, and it was none of those that the recipe knows.
        let mut missed = false;
        for Candidate { rule, exact } in candidates {
            let Kind::Operation { operation, subject } = &rule.kind else { continue };
            match values.hold(&rule.conditions) {
                Held::Unclear => return unknown(),
                Held::No => {
                    missed |= rule.is_told_by_body() && values.body != Body::None;
                    continue;
                }
                Held::Yes => {}
            }
            let first = *alike.get_or_insert(operation);
            if !exact {
                continue;
            }
            if first.action != operation.action {
                return unknown();
            }
            let subject =
                subject.as_ref().and_then(|(kind, selector)| plain(values, *selector).map(|id| format!("{kind}/{id}")));
            let operation = Arc::clone(operation);
            return Recognised {
                action: Some(operation.action),
                operation: Some(operation),
                subject,
                ..Default::default()
            };
        }
        let guessed = || {
            let content_type = field::get(head.headers, &header::CONTENT_TYPE);
            action::by_head(head.method, content_type, origin::is_websocket(head.method, head.headers))
        };
        match alike {
            // As written it is none, and to some servers it is this one.
            Some(alike) if alike.action != guessed() => unknown(),
            _ if missed => unknown(),
            _ => Recognised::default(),
        }
    }
}

/// An unclear login or step makes the action unknown, and so does one that only some servers take for one.
fn act(found: &mut Recognised, candidate: &Candidate<'_>, held: Held) {
    match held {
        Held::No => {}
        Held::Yes if candidate.exact => found.action = Some(Action::Login),
        Held::Yes | Held::Unclear => found.action = Some(Action::Unknown),
    }
}

fn log_in(
    found: &mut Recognised,
    candidate: &Candidate<'_>,
    login: &Login,
    head: &RequestHead<'_>,
    values: &Values<'_>,
    account: Option<&str>,
) {
    let by_conditions = values.hold(&candidate.rule.conditions);
    let fits = |wanted: BodyKind| values.body == Body::Read(wanted);
    let held = match by_conditions {
        // In a body of another kind the SaaS may read the same values, or none.
        Held::Yes if !login.body.is_none_or(fits) && values.body != Body::None => Held::Unclear,
        Held::Yes if login.body.is_some() && values.body == Body::None => Held::No,
        held => held,
    };
    if held == Held::No {
        return;
    }
    if let (Some(ours), Some(selector)) = (account, login.account) {
        found.wrong_account |= match values.get(selector) {
            _ if held == Held::Unclear => true,
            Cell::Found(Some(theirs)) => !theirs.trim().eq_ignore_ascii_case(ours),
            Cell::Found(None) | Cell::Unclear => true,
            // Without one the SaaS logs in to none but the one that the address names.
            Cell::Absent => false,
        };
    }
    act(found, candidate, held);
    // Also where the body is too long, of another kind or says a field twice: nobody can log in unseen by that.
    let account = login.account.and_then(|selector| plain(values, selector));
    let attempt = Attempt::first(Arc::clone(&login.answers), head.path, id(login, values), account);
    found.login = Some(if by_conditions == Held::Yes { attempt } else { attempt.unclear() });
}

/// The login ID, if each of its parts is there and on one line.
fn id(login: &Login, values: &Values<'_>) -> Option<Box<str>> {
    let mut whole = String::new();
    for (nth, selector) in login.id.iter().enumerate() {
        let Cell::Found(Some(part)) = values.get(*selector) else { return None };
        let part = part.trim();
        if part.is_empty() || part.chars().any(char::is_control) {
            return None;
        }
        if nth > 0 {
            whole.push_str(&login.join);
        }
        whole.push_str(part);
    }
    Some(whole.into())
}

/// A value that may stand in a record, if it is there.
fn plain(values: &Values<'_>, selector: Selector) -> Option<Box<str>> {
    match values.get(selector) {
        Cell::Found(Some(value)) if is_plain(&value) => Some(value),
        _ => None,
    }
}

/// Letters of any script, digits and `-_.@:`, and nothing that looks like a token.
pub(crate) fn is_plain(value: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':');
    !value.is_empty()
        && value.chars().take(LONGEST_PLAIN + 1).count() <= LONGEST_PLAIN
        && value.chars().all(plain)
        && !mask::holds_token(value)
}
