//! Station: login. What the SaaS answers to a login, when a login ends, and whose login its cookies stand for.

use apps::cookies;
use audit::{Login, LoginResult, Record};
use http::header::SET_COOKIE;
use pingora_error::Result;
use pingora_http::ResponseHeader;
use saas::{Answer, Answered};
use vocabulary::{LoginId, PersonId, Timestamp};

use super::Passage;
use super::exchange::{Destination, Exchange};
use super::generation::App;
use crate::logins::{Logins, SaasCookies, Typed, Whose};

/// A login whose answer is awaited.
pub(super) struct LoggingIn {
    answer: Answer,
    answered: Option<Answered>,
    id: LoginId,
    typed: Typed,
}

impl LoggingIn {
    /// The answer must come uncompressed.
    pub(super) fn wants_text(&self) -> bool {
        self.answer.wants_text()
    }

    pub(super) fn body(&mut self, piece: &[u8]) {
        if self.answered.is_none() {
            self.answered = self.answer.body(piece);
        }
    }
}

/// The request goes to the SaaS.
pub(super) fn begin(passage: &Passage, exchange: &Exchange) -> Option<LoggingIn> {
    let (app, person) = parties(exchange)?;
    let recipe = app.recipe.as_ref()?;
    let (logins, now) = (&passage.gate.core.logins, passage.now);
    if let Some(login) = &exchange.saas_cookies.login {
        logins.request(login, &app.id, person, recipe.idle(), now);
    }
    let attempt = exchange.recognised.login.as_ref()?;
    let mut typed = Typed { id: attempt.id().map(Into::into), account: attempt.account().map(Into::into) };
    let mut id = None;
    if attempt.is_further_step()
        && let Some(under_way) = exchange.saas_cookies.under_way()
        && let Some(before) = logins.typed(under_way)
    {
        (id, typed) = (Some(under_way.clone()), before);
    }
    let id = id.or_else(Logins::new_id)?;
    Some(LoggingIn { answer: recipe.answer(attempt), answered: None, id, typed })
}

/// The answer's head as the SaaS sent it: what it says of logins. Returns the mark to set beside it.
pub(super) fn head(passage: &mut Passage, exchange: &Exchange, response: &ResponseHeader) -> Option<String> {
    let (app, person) = parties(exchange)?;
    let recipe = app.recipe.as_ref()?;
    let fresh = SaasCookies::default();
    // What was somebody else's did not reach the SaaS.
    let came = if passage.scopes.take_away() { &fresh } else { &exchange.saas_cookies };
    let (status, headers) = (response.status, &response.headers);
    let core = &passage.gate.core;
    let now = core.now();
    let fine = !status.is_client_error() && !status.is_server_error();
    let whose = if let Some(login) = &mut passage.logging_in {
        login.answered = login.answer.head(status, headers);
        match login.answered {
            Some(Answered::Failed(_)) => Whose::Before,
            Some(Answered::Unknown) if !fine => Whose::Before,
            _ => Whose::Login(login.id.clone()),
        }
    } else if let Some(login) = &came.login {
        let logged_out = exchange.recognised.logout && fine;
        let cause = if logged_out { Some("logout") } else { recipe.has_expired(status, headers).then_some("expired") };
        match cause {
            Some(cause) => {
                if let Some(end) = core.logins.end(login, cause, now) {
                    core.observe(&Record::LoginEnd(end));
                }
                Whose::Nobody
            }
            None => Whose::Before,
        }
    } else if came.foreign && fine && is_screen(exchange) && !recipe.has_expired(status, headers) {
        elsewhere(passage, app, person, came, now).map_or(Whose::Before, Whose::Login)
    } else {
        Whose::Before
    };
    let several = app.map.iter().len() > 1;
    let mark = core_logins(passage).mark(&app.id, person, came, (headers, recipe.session_cookies()), whose, several)?;
    Some(cookies::set_saas(&mark, several.then(|| app.map.main().our_host())))
}

/// One of the SaaS's screens, which it shows to nobody who is not logged in; a login page is none.
fn is_screen(exchange: &Exchange) -> bool {
    exchange.recognised.operation.is_some() && !exchange.recognised.logout
}

pub(super) fn set_mark(response: &mut ResponseHeader, mark: Option<String>) -> Result<()> {
    mark.map_or(Ok(()), |mark| response.append_header(SET_COOKIE, mark).map(|_| ()))
}

fn core_logins(passage: &Passage) -> &Logins {
    &passage.gate.core.logins
}

/// Its cookies were not set through the gate, and the SaaS takes them: somebody logged in somewhere else.
fn elsewhere(passage: &Passage, app: &App, person: &PersonId, came: &SaasCookies, now: Timestamp) -> Option<LoginId> {
    let logins = core_logins(passage);
    let (id, first) = logins.found(came)?;
    if first && let Some(record) = passage.login_record.clone() {
        let idle = app.recipe.as_ref().and_then(|recipe| recipe.idle());
        let end = logins.begin(&id, &app.id, person, idle, None, now);
        debug_assert!(end.is_none(), "it replaces nothing");
        let record = Login { result: LoginResult::Elsewhere, login: Some(id.clone()), ..*record };
        passage.gate.core.observe(&Record::Login(Box::new(record)));
    }
    Some(id)
}

/// All of the answer is here, or there will be no more of it.
pub(super) fn conclude(passage: &mut Passage, exchange: &Exchange) {
    let (Some(login), Some(record)) = (passage.logging_in.take(), passage.login_record.take()) else { return };
    let Some((app, person)) = parties(exchange) else { return };
    let LoggingIn { mut answer, answered, id, typed } = login;
    let answered = match answered {
        Some(answered) => answered,
        None if passage.answered() => answer.end(),
        None => Answered::Unknown,
    };
    let core = &passage.gate.core;
    let (logins, now) = (&core.logins, core.now());
    let before = exchange.saas_cookies.login.clone();
    let idle = app.recipe.as_ref().and_then(|recipe| recipe.idle());
    let account = typed.account.as_deref().map(str::to_owned);
    let typed_id = typed.id.as_deref().map(str::to_owned);
    let (result, cause, goes_on) = match answered {
        Answered::Ok => (LoginResult::Ok, None, true),
        Answered::SecondStep => (LoginResult::SecondStep, None, false),
        Answered::Failed(cause) => (LoginResult::Failed, cause.map(|cause| cause.to_string()), false),
        Answered::Unknown => (LoginResult::Unknown, None, passage.answered() && passage.status < 400),
    };
    let mut end = None;
    if result == LoginResult::Ok
        && let Some(id) = &typed_id
    {
        logins.accept(&app.id, id);
    }
    if goes_on {
        end = logins.begin(&id, &app.id, person, idle, before.as_ref(), now);
    } else if result == LoginResult::SecondStep {
        logins.wait(&id, &app.id, person, typed, now);
    } else if exchange.saas_cookies.under_way() != Some(&id) {
        logins.refuse(&id, &app.id, person, before, now);
    }
    let (saas_id, saas_id_hash) = match typed_id {
        None => (None, None),
        Some(typed) => match logins.name(&app.id, &typed) {
            Ok(()) => (Some(typed), None),
            Err(hash) => (None, Some(hash)),
        },
    };
    if let Some(end) = end {
        core.observe(&Record::LoginEnd(end));
    }
    let login = goes_on.then_some(id);
    core.observe(&Record::Login(Box::new(Login { result, cause, login, account, saas_id, saas_id_hash, ..*record })));
}

/// Whose login to which app it would be.
fn parties(exchange: &Exchange) -> Option<(&App, &PersonId)> {
    let Destination::App { app, .. } = &exchange.destination else { return None };
    Some((app, exchange.session.as_ref()?.person()))
}
