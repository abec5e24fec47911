//! The templates of the sign-in service, filled in.

use askama::Template;
use identity::{Session, Token};
use vocabulary::PersonId;

use super::request::{Asked, form_token};
use super::{HANDLE_PARAM, LoginApp, OfferedApp};
use crate::notice::rendered;
use crate::page::{Page, STYLE};
use crate::{Lang, cookies, words};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    lang: Lang,
    style: &'static str,
    app: Option<&'a str>,
    problem: Option<&'a str>,
    /// The problem is no mistake of the person's.
    mild: bool,
    token: &'a str,
    handle: Option<&'a str>,
    id_label: &'a str,
    directory: bool,
    providers: Vec<ProviderWay<'a>>,
}

/// A provider to choose.
struct ProviderWay<'a> {
    url: String,
    name: &'a str,
}

#[derive(Template)]
#[template(path = "code_step.html")]
struct CodeStep<'a> {
    lang: Lang,
    style: &'static str,
    problem: Option<&'a str>,
    token: &'a str,
    challenge: &'a str,
    who: &'a str,
    mark: &'a str,
    handle: Option<&'a str>,
    start_over: &'a str,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    lang: Lang,
    style: &'static str,
    problem: Option<&'a str>,
    apps: Vec<&'a OfferedApp>,
    name: &'a str,
}

#[derive(Template)]
#[template(path = "sign_out.html")]
struct SignOut<'a> {
    lang: Lang,
    style: &'static str,
    token: &'a str,
}

/// The form for ID and password.
pub(super) fn sign_in(
    login: &LoginApp,
    asked: &Asked<'_>,
    handle: Option<&str>,
    problem: Option<&str>,
    status: u16,
) -> Page {
    let (cookie, set) = asked.form_cookie();
    let pending = handle.and_then(|h| login.0.identity.sign_ins().get(h, asked.request.now));
    let app = pending.as_ref().and_then(|p| login.app_of(&p.target_host));
    let handle = handle.filter(|_| pending.is_some());
    let query = handle.map(|handle| format!("?{HANDLE_PARAM}={handle}")).unwrap_or_default();
    let offered = login.0.oidc.offered();
    let template = SignIn {
        lang: asked.lang,
        style: STYLE,
        app: app.map(|app| app.id.as_str()),
        problem,
        mild: status == 200,
        token: &form_token("sign-in", &cookie),
        handle,
        directory: login.0.directory,
        providers: offered.map(|(id, name)| ProviderWay { url: format!("/oidc/{id}/start{query}"), name }).collect(),
        id_label: login.0.id_label.as_deref().unwrap_or(words::LOGIN_ID.get(asked.lang)),
    };
    rendered(&template, status, asked.lang).with_cookies(set)
}

/// Whose code is awaited, and for what.
pub(super) struct Awaited<'a> {
    pub(super) challenge: &'a str,
    pub(super) person: Option<&'a PersonId>,
    pub(super) handle: Option<&'a str>,
}

/// The form for the one-time code.
pub(super) fn code_step(
    login: &LoginApp,
    asked: &Asked<'_>,
    awaited: &Awaited<'_>,
    problem: Option<&str>,
    status: u16,
) -> Page {
    let (cookie, set) = asked.form_cookie();
    let who = awaited.person.map(PersonId::as_str).unwrap_or_default();
    let start_over = match awaited.handle {
        Some(handle) => format!("/?{HANDLE_PARAM}={handle}"),
        None => "/".to_owned(),
    };
    let template = CodeStep {
        lang: asked.lang,
        style: STYLE,
        problem,
        token: &form_token("totp", &cookie),
        challenge: awaited.challenge,
        who,
        mark: &login.mark(awaited.challenge, who),
        handle: awaited.handle,
        start_over: &start_over,
    };
    rendered(&template, status, asked.lang).with_cookies(set)
}

/// The apps to choose from.
pub(super) fn home(login: &LoginApp, asked: &Asked<'_>, session: &Session) -> Page {
    let roster = login.0.identity.roster();
    let offered = asked.request.offered;
    let apps = login.0.settings.apps.iter().filter(|app| offered.is_none_or(|ids| ids.contains(&app.id))).collect();
    let template = Home {
        lang: asked.lang,
        style: STYLE,
        problem: asked.query("late").map(|_| words::HOME_NOTICE.get(asked.lang)),
        apps,
        name: roster.get(session.person()).map_or(session.person().as_str(), |p| p.name.as_str()),
    };
    rendered(&template, 200, asked.lang)
}

/// The question whether to sign out. The token is bound to the session's own cookie.
pub(super) fn sign_out(asked: &Asked<'_>, status: u16) -> Page {
    let cookie = cookies::read(asked.request.headers, cookies::LOGIN).unwrap_or_default();
    let template = SignOut { lang: asked.lang, style: STYLE, token: &form_token("sign-out", cookie) };
    rendered(&template, status, asked.lang)
}

/// Signed in: on to the app. Not a redirect, because browsers hold `form-action` against every redirect after a
/// form, and the apps' hosts, and wherever they lead on, are not to be listed there.
pub(super) fn opening(asked: &Asked<'_>, url: &str, login_token: &Token) -> Page {
    let notice = words::Notice { title: words::OPENING, what: words::OPENING_WHAT, next: words::OPENING_NEXT };
    crate::notice::NoticePage::new(asked.lang, crate::notice::Tone::Done, notice)
        .way(url, words::OPEN.get(asked.lang))
        .page(200)
        .with_header("refresh", format!("0; url={url}"))
        .with_cookies([cookies::set(cookies::LOGIN, login_token.as_str())])
}

impl LoginApp {
    /// The app whose front page stands on this host or above it.
    fn app_of(&self, host: &str) -> Option<&OfferedApp> {
        self.0.settings.apps.iter().find(|app| {
            let name = app.host().split(':').next().unwrap_or_default();
            host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
        })
    }
}
