//! The templates of the sign-in service, filled in.

use askama::Template;
use identity::{Session, Token};
use vocabulary::PersonId;

use super::request::{Asked, RenewalDue, form_token};
use super::sign_in::Begun;
use super::{HANDLE_PARAM, LoginApp, OfferedApp, script};
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
    passkey: Option<PasskeyForm<'a>>,
    script: &'static str,
}

/// A provider to choose.
struct ProviderWay<'a> {
    url: String,
    name: &'a str,
}

/// The form by which our script asks for a passkey; hidden without the script.
pub(super) struct PasskeyForm<'a> {
    pub(super) action: &'static str,
    pub(super) ask: &'static str,
    /// One is made, not shown.
    pub(super) make: bool,
    pub(super) token: &'a str,
    /// Of the second step of signing in.
    pub(super) challenge: Option<&'a str>,
    pub(super) who: &'a str,
    pub(super) mark: &'a str,
    pub(super) name: &'a str,
    pub(super) label: &'static str,
    /// The button is the page's first choice.
    pub(super) first: bool,
}

#[derive(Template)]
#[template(path = "code_step.html")]
struct SecondStep<'a> {
    lang: Lang,
    style: &'static str,
    problem: Option<&'a str>,
    totp: bool,
    passkey: Option<PasskeyForm<'a>>,
    /// The recovery code is what went wrong.
    recovery_open: bool,
    script: &'static str,
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
    /// There is something to look after.
    settings: bool,
    shared: bool,
    /// The device's certificate ends soon: what is said, and where it is renewed.
    renewal: Option<(String, &'a str)>,
}

#[derive(Template)]
#[template(path = "renewal_due.html")]
struct RenewalDuePage<'a> {
    lang: Lang,
    style: &'static str,
    hint: String,
    renew: &'a str,
    later: &'a str,
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
    let passkey_token = form_token("passkey", &cookie);
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
        passkey: login.0.passkeys.is_some().then_some(PasskeyForm {
            action: "/passkey",
            ask: "/passkey/ask",
            make: false,
            token: &passkey_token,
            challenge: None,
            who: "",
            mark: "",
            name: "",
            label: words::PASSKEY_SIGN_IN.get(asked.lang),
            first: false,
        }),
        script: &script::ELEMENT,
    };
    let page = rendered(&template, status, asked.lang).with_cookies(set);
    if template.passkey.is_some() { page.with_script() } else { page }
}

/// Whose code is awaited, and for what.
pub(super) struct Awaited<'a> {
    pub(super) challenge: &'a str,
    pub(super) person: Option<&'a PersonId>,
    pub(super) handle: Option<&'a str>,
}

/// The second step: a one-time code, a passkey, or a recovery code, as far as the person has them.
pub(super) fn second_step(
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
    // Closed meanwhile, after too many tries: the form for a code says so when it is sent.
    let factors = login.0.identity.directory().awaited(awaited.challenge, asked.request.now).unwrap_or_default();
    let totp = factors.totp || factors.passkeys == 0;
    let (mark, passkey_token) = (login.mark(awaited.challenge, who), form_token("passkey", &cookie));
    let template = SecondStep {
        lang: asked.lang,
        style: STYLE,
        problem,
        totp,
        passkey: (login.0.passkeys.is_some() && factors.passkeys > 0).then_some(PasskeyForm {
            action: "/passkey",
            ask: "/passkey/ask",
            make: false,
            token: &passkey_token,
            challenge: Some(awaited.challenge),
            who,
            mark: &mark,
            name: "",
            label: words::PASSKEY_USE.get(asked.lang),
            first: !totp,
        }),
        recovery_open: asked.request.path == "/recovery",
        script: &script::ELEMENT,
        token: &form_token("totp", &cookie),
        challenge: awaited.challenge,
        who,
        mark: &mark,
        handle: awaited.handle,
        start_over: &start_over,
    };
    let page = rendered(&template, status, asked.lang).with_cookies(set);
    if template.passkey.is_some() { page.with_script() } else { page }
}

#[derive(Template)]
#[template(path = "recovery_used.html")]
struct RecoveryUsed<'a> {
    lang: Lang,
    style: &'static str,
    left: usize,
    url: &'a str,
}

/// Signed in with a recovery code: told, before it goes on.
pub(super) fn recovery_used(asked: &Asked<'_>, begun: &Begun, left: usize) -> Page {
    let template = RecoveryUsed { lang: asked.lang, style: STYLE, left, url: &begun.url };
    rendered(&template, 200, asked.lang).with_cookies([cookies::set(cookies::LOGIN, begun.token.as_str())])
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
        settings: login.0.identity.directory().factors(session.person()).password,
        shared: asked.is_shared(),
        renewal: asked.request.renewal.map(|due| (crate::enroll::renewal_hint(asked.lang, due.days_left), due.url)),
    };
    rendered(&template, 200, asked.lang)
}

/// Signed in on a device whose certificate ends soon. `later` leads on, with a ticket that is made then: one that was made
/// now would not live as long as somebody reads.
pub(super) fn renewal_due(asked: &Asked<'_>, due: RenewalDue<'_>, later: &str, login_token: &Token) -> Page {
    let hint = crate::enroll::renewal_hint(asked.lang, due.days_left);
    let template = RenewalDuePage { lang: asked.lang, style: STYLE, hint, renew: due.url, later };
    rendered(&template, 200, asked.lang).with_cookies([cookies::set(cookies::LOGIN, login_token.as_str())])
}

/// The question whether to sign out. The token is bound to the session's own cookie.
pub(super) fn sign_out(asked: &Asked<'_>, status: u16) -> Page {
    let cookie = cookies::read(asked.request.headers, cookies::LOGIN).unwrap_or_default();
    let template = SignOut { lang: asked.lang, style: STYLE, token: &form_token("sign-out", cookie) };
    rendered(&template, status, asked.lang)
}

/// Signed in: on to the app. Not a redirect, because browsers hold `form-action` against every redirect after a
/// form, and the apps' hosts, and wherever they lead on, are not to be listed there.
pub(super) fn opening(asked: &Asked<'_>, url: &str, login_token: Option<&Token>) -> Page {
    crate::opening::opening_page(asked.lang, url)
        .with_cookies(login_token.map(|token| cookies::set(cookies::LOGIN, token.as_str())))
}

/// Done, and on to the app: as [`opening`], for who is signed in already.
pub(super) fn going_on(asked: &Asked<'_>, done: words::Text, url: &str) -> Page {
    let notice = words::Notice { title: done, what: words::OPENING_WHAT, next: words::OPENING_NEXT };
    crate::notice::NoticePage::new(asked.lang, crate::notice::Tone::Done, notice)
        .way(url, words::OPEN.get(asked.lang))
        .page(200)
        .with_header("refresh", format!("0; url={url}"))
}

impl LoginApp {
    /// The app whose front page stands on this host or above it.
    pub(super) fn app_of(&self, host: &str) -> Option<&OfferedApp> {
        self.0.settings.apps.iter().find(|app| {
            let name = app.host().split(':').next().unwrap_or_default();
            host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
        })
    }
}
