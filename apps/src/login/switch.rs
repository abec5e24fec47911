//! Fast change of person: the session ends everywhere, what it left in the browser is cleared, and the next person
//! has the form before them.
//!
//! The browser is led through each host where the session had a token; each clears its own data (see
//! [`identity::Clearings`]). The way ends at the one app the session used, whose host asks for the sign-in and keeps
//! where it leads, or at our own form.

use askama::Template;
use identity::{Clearing, EndCause, SessionSummary};

use super::request::{Asked, form_token};
use super::{LoginApp, LoginEvent, LoginReply, Recorder, Stop};
use crate::notice::rendered;
use crate::page::{Page, STYLE};
use crate::{Lang, cookies, words};

#[derive(Template)]
#[template(path = "switch.html")]
struct Switch<'a> {
    lang: Lang,
    style: &'static str,
    shared: bool,
    token: &'a str,
    name: &'a str,
}

/// GET `/switch`.
pub(super) fn ask(login: &LoginApp, asked: &Asked<'_>, status: u16) -> Page {
    let Some(session) = &asked.request.session else { return Page::redirect("/".to_owned(), []) };
    let cookie = cookies::read(asked.request.headers, cookies::LOGIN).unwrap_or_default();
    let roster = login.0.identity.roster();
    let template = Switch {
        lang: asked.lang,
        style: STYLE,
        shared: asked.is_shared(),
        token: &form_token("switch", cookie),
        name: roster.get(session.person()).map_or(session.person().as_str(), |p| p.name.as_str()),
    };
    rendered(&template, status, asked.lang)
}

/// POST `/switch`.
pub(super) async fn change(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder) -> Result<LoginReply, Stop> {
    if asked.request.session.is_none() {
        return Ok(Page::redirect("/".to_owned(), []).into());
    }
    if !asked.token_fits(cookies::LOGIN, "switch") {
        return Ok(ask(login, asked, 403).into());
    }
    end_and_clear(login, asked, recorder).await
}

/// The session ends, and the browser is on its way. The form that led here has shown its token.
pub(super) async fn end_and_clear(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
) -> Result<LoginReply, Stop> {
    let Some(session) = &asked.request.session else { return Ok(Page::redirect("/".to_owned(), []).into()) };
    let summary = session.summary();
    recorder.record(LoginEvent::SignedOut { session: summary.clone() }).await?;
    let ended = login.0.identity.sessions().end(session.id(), EndCause::SignOut).await?;
    let end = login.after_clearing(&summary);
    let hosts = summary.hosts.into_iter().filter(|host| *host != login.0.settings.host).collect();
    let url = login.clearing_url(login.0.identity.clearings().begin(&summary.person, hosts, end, asked.request.now)?);
    let page = crate::clearing_page(asked.lang, &url).with_cookies([cookies::clear(cookies::LOGIN)]);
    Ok(LoginReply { page, began: None, ended: ended.into_iter().collect() })
}

impl LoginApp {
    /// Where a step of a clearing leads.
    pub fn clearing_url(&self, clearing: Clearing) -> String {
        match clearing {
            Clearing::Next { host, handle } => {
                format!("{}{}?{}={}", self.origin_of(&host), super::TICKET_PATH, super::CLEAR_PARAM, handle.as_str())
            }
            Clearing::End(end) => end,
        }
    }

    /// The front page of the app that the session used, if it used one alone; else our own form.
    fn after_clearing(&self, session: &SessionSummary) -> String {
        let mut used: Vec<_> = session.hosts.iter().filter_map(|host| self.app_of(host)).collect();
        used.dedup_by_key(|app| app.id.clone());
        match used[..] {
            [app] => app.url.clone(),
            _ => format!("{}/", self.0.settings.origin),
        }
    }
}
