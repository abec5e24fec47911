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
use crate::logins::{Logins, Of, SaasCookies, Typed, Whose};

/// A login whose answer is awaited.
pub(super) struct LoggingIn {
    answer: Answer,
    id: LoginId,
    typed: Typed,
    /// What went on before it.
    before: Option<LoginId>,
    /// It may be none: what tells it can't be read.
    unclear: bool,
}

impl LoggingIn {
    /// The answer must come uncompressed.
    pub(super) fn wants_text(&self) -> bool {
        self.answer.wants_text()
    }
}

/// The request goes to the SaaS.
pub(super) fn begin(passage: &Passage, exchange: &Exchange) -> Option<LoggingIn> {
    let (app, _) = parties(exchange)?;
    let recipe = app.recipe.as_ref()?;
    let logins = core_logins(passage);
    if let Some(login) = &exchange.saas_cookies.login {
        logins.request(login, passage.now);
    }
    let attempt = exchange.recognised.login.as_ref()?;
    let answer = recipe.answer(attempt);
    let under_way = exchange.saas_cookies.under_way().filter(|_| attempt.is_further_step());
    if let Some((id, (typed, before))) = under_way.and_then(|id| Some((id.clone(), logins.waiting(id)?))) {
        return Some(LoggingIn { answer, id, typed, before, unclear: attempt.is_unclear() });
    }
    Some(LoggingIn {
        answer,
        id: Logins::new_id()?,
        typed: Typed { id: attempt.id().map(Into::into), account: attempt.account().map(Into::into) },
        before: exchange.saas_cookies.login.clone(),
        unclear: attempt.is_unclear(),
    })
}

/// The answer's head as the SaaS sent it: what it says of logins. Returns the mark to set beside it. What it ends or begins is
/// in the state database before the answer goes on.
pub(super) async fn head(passage: &mut Passage, exchange: &Exchange, response: &ResponseHeader) -> Option<String> {
    let (app, person) = parties(exchange)?;
    let recipe = app.recipe.as_ref()?;
    let fresh = SaasCookies::default();
    // What was somebody else's did not reach the SaaS.
    let came = if passage.scopes.take_away() { &fresh } else { &exchange.saas_cookies };
    let (status, headers) = (response.status, &response.headers);
    let fine = !status.is_client_error() && !status.is_server_error();
    let mut changed = false;
    let whose = if let Some(mut login) = passage.logging_in.take() {
        let (id, answered) = (login.id.clone(), login.answer.head(status, headers));
        let unclear = login.unclear;
        let whose = match &answered {
            Some(Answered::Failed(_)) => Whose::Before,
            Some(Answered::Unknown) if !fine => Whose::Before,
            _ if unclear => Whose::Before,
            answered => Whose::Login { id, sure: *answered == Some(Answered::Ok) },
        };
        match answered {
            Some(answered) => {
                settle(passage, exchange, login, &answered, fine);
                changed = true;
            }
            None => passage.logging_in = Some(login),
        }
        whose
    } else if let Some(login) = &came.login {
        let logged_out = exchange.recognised.logout && fine;
        let cause = if logged_out { Some("logout") } else { recipe.has_expired(status, headers).then_some("expired") };
        if let Some(cause) = cause {
            let core = &passage.gate.core;
            if let Some(end) = core.logins.end(login, cause, core.now()) {
                core.observe(&Record::LoginEnd(end));
                changed = true;
            }
        }
        if cause.is_some() { Whose::Nobody } else { Whose::Before }
    } else if came.foreign && recipe.has_expired(status, headers) {
        Whose::Nobody
    } else if came.foreign && fine && is_screen(exchange) {
        changed = true;
        elsewhere(passage, app, person, came).map_or(Whose::Before, |id| Whose::Login { id, sure: true })
    } else {
        Whose::Before
    };
    if changed {
        passage.gate.core.keep_logins().await;
    }
    let host = host_number(exchange);
    let mark = core_logins(passage).mark(&app.id, person, came, (headers, recipe.session_cookies()), whose, host)?;
    let domain = app.has_several_hosts().then(|| app.map.main().our_host());
    Some(cookies::set_saas(&mark, domain))
}

/// A piece of the answer's body. `end`: there is no more.
pub(super) fn body(passage: &mut Passage, piece: &[u8], end: bool) {
    let Some(mut login) = passage.logging_in.take() else { return };
    let answered = login.answer.body(piece).or_else(|| end.then(|| login.answer.end()));
    match (answered, passage.exchange.clone()) {
        (Some(answered), Some(exchange)) => {
            let fine = passage.status < 400;
            settle(passage, &exchange, login, &answered, fine);
            let core = passage.gate.core.clone();
            tokio::spawn(async move { core.keep_logins().await });
        }
        _ => passage.logging_in = Some(login),
    }
}

/// There will be no more of the answer: one that broke off says nothing.
pub(super) fn conclude(passage: &mut Passage, exchange: &Exchange, whole: bool) {
    let Some(mut login) = passage.logging_in.take() else { return };
    let answered = if whole && passage.answered() { login.answer.end() } else { Answered::Unknown };
    let fine = whole && passage.answered() && passage.status < 400;
    settle(passage, exchange, login, &answered, fine);
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
fn elsewhere(passage: &Passage, app: &App, person: &PersonId, came: &SaasCookies) -> Option<LoginId> {
    let core = &passage.gate.core;
    let (id, first) = core.logins.found(person, came)?;
    if first && let Some(record) = passage.login_record.clone() {
        core.logins.begin(&id, of(app, person, core.now()), None);
        let record = Login { result: LoginResult::Elsewhere, login: Some(id.clone()), ..*record };
        core.observe(&Record::Login(Box::new(record)));
    }
    Some(id)
}

/// How a login went. `fine`: the answer is no error.
fn settle(passage: &mut Passage, exchange: &Exchange, login: LoggingIn, answered: &Answered, fine: bool) {
    let Some(record) = passage.login_record.take() else { return };
    let Some((app, person)) = parties(exchange) else { return };
    let LoggingIn { id, typed, before, unclear, .. } = login;
    let core = &passage.gate.core;
    let (logins, of) = (&core.logins, of(app, person, core.now()));
    let account = typed.account.as_deref().map(str::to_owned);
    let typed_id = typed.id.as_deref().map(str::to_owned);
    let (result, cause, goes_on) = match answered {
        Answered::Failed(cause) => (LoginResult::Failed, cause.as_ref().map(ToString::to_string), false),
        // What looks like a success may be the answer to something else.
        _ if unclear => (LoginResult::Unknown, None, false),
        Answered::Ok => (LoginResult::Ok, None, true),
        Answered::SecondStep => (LoginResult::SecondStep, None, false),
        Answered::Unknown => (LoginResult::Unknown, None, fine),
    };
    if result == LoginResult::Ok
        && let Some(id) = &typed_id
    {
        logins.accept(&app.id, id);
    }
    if goes_on {
        if let Some(end) = logins.begin(&id, of, before.as_ref()) {
            core.observe(&Record::LoginEnd(end));
        }
    } else if result == LoginResult::SecondStep {
        logins.put_off(&id, of, before, Some(typed));
    } else if exchange.saas_cookies.under_way() != Some(&id) {
        logins.put_off(&id, of, before, None);
    }
    let (saas_id, saas_id_hash) = match typed_id {
        None => (None, None),
        Some(typed) => match logins.name(&app.id, &typed) {
            Ok(()) => (Some(typed), None),
            Err(hash) => (None, Some(hash)),
        },
    };
    // What was typed there may be a password as well.
    let ours = |account: &String| app.account.as_ref().is_some_and(|ours| ours.eq_ignore_ascii_case(account));
    let account = account.filter(|account| result == LoginResult::Ok || ours(account));
    let login = goes_on.then_some(id);
    core.observe(&Record::Login(Box::new(Login { result, cause, login, account, saas_id, saas_id_hash, ..*record })));
}

fn of<'a>(app: &'a App, person: &'a PersonId, now: Timestamp) -> Of<'a> {
    Of { app: &app.id, person, idle: app.recipe.as_ref().and_then(|recipe| recipe.idle()), now }
}

/// Which of the app's hosts answers, for the mark.
fn host_number(exchange: &Exchange) -> u8 {
    match &exchange.destination {
        Destination::App { app, host } => {
            let place = app.map.iter().position(|(index, _)| index == *host);
            place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
        }
        _ => u8::MAX,
    }
}

/// Whose login to which app it would be.
fn parties(exchange: &Exchange) -> Option<(&App, &PersonId)> {
    let Destination::App { app, .. } = &exchange.destination else { return None };
    Some((app, exchange.session.as_ref()?.person()))
}
