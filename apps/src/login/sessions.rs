//! A person's own sessions: seen, and ended one by one or all others at once.

use askama::Template;
use identity::{EndCause, Session};
use vocabulary::SessionId;

use super::request::{Asked, form_token};
use super::{LoginApp, LoginEvent, LoginReply, Recorder, Stop};
use crate::notice::rendered;
use crate::page::{Page, STYLE};
use crate::{Lang, cookies, words};

struct Row {
    id: SessionId,
    device: String,
    since: String,
    last_active: String,
    from: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage<'a> {
    lang: Lang,
    style: &'static str,
    token: &'a str,
    rows: Vec<Row>,
}

/// GET `/sessions`.
pub(super) fn list(login: &LoginApp, asked: &Asked<'_>, status: u16) -> Page {
    let Some(session) = asked.session() else { return Page::redirect("/".to_owned(), []) };
    if let Some(refused) = login.person_refused(asked, session) {
        return refused;
    }
    let cookie = cookies::read(asked.request.headers, cookies::LOGIN).unwrap_or_default();
    let mut rows: Vec<_> = own(login, asked, session).map(|other| row(asked, &other, session)).collect();
    rows.sort_by_key(|row| !row.current);
    let template = SessionsPage { lang: asked.lang, style: STYLE, token: &form_token("sessions", cookie), rows };
    rendered(&template, status, asked.lang)
}

/// POST `/sessions`: recorded, then ended. Only a person's own: another's id is like none.
pub(super) async fn end(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder) -> Result<LoginReply, Stop> {
    let Some(session) = asked.session() else { return Ok(Page::redirect("/".to_owned(), []).into()) };
    if !asked.token_fits(cookies::LOGIN, "sessions") {
        return Ok(list(login, asked, 403).into());
    }
    let which = asked.field("end").unwrap_or_default();
    let to_end: Vec<_> = own(login, asked, session)
        .filter(|other| other.id() != session.id())
        .filter(|other| which == "others" || other.id().as_str() == which)
        .collect();
    let mut ended = Vec::new();
    for other in to_end {
        recorder.record(LoginEvent::SignedOut { session: other.summary() }).await?;
        ended.extend(login.0.identity.sessions().end(other.id(), EndCause::SignOut).await?);
    }
    Ok(LoginReply { page: Page::redirect("/sessions".to_owned(), []), began: None, ended })
}

fn own<'a>(
    login: &'a LoginApp,
    asked: &'a Asked<'_>,
    session: &'a Session,
) -> impl Iterator<Item = std::sync::Arc<Session>> + 'a {
    let sessions = login.0.identity.sessions();
    let now = asked.request.now;
    sessions.list().into_iter().filter(move |s| s.person() == session.person() && sessions.is_live(s, now))
}

fn row(asked: &Asked<'_>, session: &Session, current: &Session) -> Row {
    let name = session.device().and_then(|device| asked.request.place.device_name(device));
    Row {
        id: session.id().clone(),
        device: name.unwrap_or_else(|| words::NO_DEVICE.get(asked.lang).to_owned()),
        since: asked.request.place.time(session.started()),
        last_active: asked.request.place.time(session.last_active()),
        from: session.source().to_string(),
        current: session.id() == current.id(),
    }
}
