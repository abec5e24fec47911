//! The notice between signing in and the first app: read, confirmed, recorded. No ticket is minted before.

use askama::Template;
use identity::Session;
use vocabulary::{PersonId, SessionId, Timestamp};

use super::request::{Asked, form_token};
use super::{HANDLE_PARAM, LoginApp, LoginEvent, LoginReply, Recorder, Stop, pages};
use crate::notice::rendered;
use crate::page::{Page, STYLE};
use crate::{Lang, cookies, words};

#[derive(Template)]
#[template(path = "acknowledge.html")]
struct Acknowledge<'a> {
    lang: Lang,
    style: &'static str,
    text: &'a str,
    token: &'a str,
    digest: &'a str,
    handle: Option<&'a str>,
}

/// The page, if this person has yet to confirm the notice. `cookie`: the value of the login cookie, to which the form
/// is bound.
pub(super) fn due(
    login: &LoginApp,
    asked: &Asked<'_>,
    session: (&SessionId, &PersonId),
    handle: Option<&str>,
    cookie: &str,
) -> Option<Page> {
    let notice = login.0.notice.as_ref()?;
    let (session, person) = session;
    if !login.notice_is_due(person, session, asked.request.now) {
        return None;
    }
    let text = match asked.lang {
        Lang::Ja => &notice.text.ja,
        Lang::En => &notice.text.en,
    };
    let (digest, token) = (notice.digest(), form_token("notice", cookie));
    let template = Acknowledge { lang: asked.lang, style: STYLE, text, token: &token, digest: &digest, handle };
    Some(rendered(&template, 200, asked.lang))
}

/// The same for who comes with a session.
pub(super) fn due_in(login: &LoginApp, asked: &Asked<'_>, session: &Session, handle: Option<&str>) -> Option<Page> {
    let cookie = cookies::read(asked.request.headers, cookies::LOGIN)?;
    due(login, asked, (session.id(), session.person()), handle, cookie)
}

/// POST `/` with a notice's digest: recorded, then noted, then on to where the handle leads.
pub(super) async fn confirm(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder) -> Result<LoginReply, Stop> {
    let Some(session) = asked.session() else { return Ok(Page::redirect("/".to_owned(), []).into()) };
    let handle = asked.handle();
    let digest = asked.field("notice").unwrap_or_default();
    // Another text by now, or not our form: it is shown again.
    let current = login.0.notice.as_ref().map(identity::NoticeDocument::digest);
    if asked.token_fits(cookies::LOGIN, "notice") && current.as_deref() == Some(&*digest) {
        let (person, id) = (session.person().clone(), session.id().clone());
        let event = LoginEvent::NoticeAcknowledged { person, session: id, digest: digest.clone() };
        recorder.record(event).await?;
        let acknowledgements = login.0.identity.acknowledgements();
        acknowledgements.acknowledge(session.person(), session.id(), &digest, asked.request.now).await?;
    } else if let Some(page) = due_in(login, asked, session, handle.as_deref()) {
        return Ok(Page { status: 403, ..page }.into());
    }
    let url = match handle {
        Some(handle) => login
            .way_on(asked, &handle, session.id())
            .unwrap_or_else(|| format!("{}/?{HANDLE_PARAM}={handle}", login.0.settings.origin)),
        None => format!("{}/home", login.0.settings.origin),
    };
    Ok(pages::opening(asked, &url, None).into())
}

impl LoginApp {
    /// Whether this person has yet to confirm the notice in this session.
    pub(super) fn notice_is_due(&self, person: &PersonId, session: &SessionId, now: Timestamp) -> bool {
        let acknowledgements = self.0.identity.acknowledgements();
        self.0.notice.as_ref().is_some_and(|notice| acknowledgements.is_due(notice, person, session, now))
    }
}
