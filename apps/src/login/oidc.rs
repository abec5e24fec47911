//! Signing in at an OpenID Connect provider: there, back, and signing out, here and there.
//!
//! | path | method | what |
//! |---|---|---|
//! | `/oidc/<id>/start` | GET | to the provider; the state is bound to the browser by the form's cookie |
//! | `/oidc/<id>/callback` | GET | back from it |
//! | `/oidc/<id>/signed-out` | GET | back from the provider's own sign-out |
//! | `/oidc/<id>/front-channel-logout` | GET | the provider's page, in a frame, says that a session there ended |
//! | `/oidc/<id>/back-channel-logout` | POST | the provider's servers say so |
//!
//! The last two are reached without a session, from any network (`policy::BuiltIn::ProviderLogout`); they never show a
//! page. What a provider sends along as text is shown to nobody.

use http::Method;
use identity::{Account, Arrived, ComeBack, EndCause, Failed, Link, LinkDecision, LogoutScope, OidcCause, SetOut};
use vocabulary::{PersonId, Reason};

use super::request::{Asked, form_token, is_token};
use super::sign_in::{By, Proven, begin_with};
use super::{HANDLE_PARAM, LoginApp, LoginEvent, LoginReply, Recorder, Stop};
use crate::notice::Tone;
use crate::page::Page;
use crate::{Lang, cookies, words};

/// A path of a provider: its id, and which.
pub(super) fn path(path: &str) -> Option<(&str, &str)> {
    let (id, step) = path.strip_prefix("/oidc/")?.split_once('/')?;
    (!id.is_empty() && !step.contains('/')).then_some((id, step))
}

pub(super) async fn answer(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    (id, step): (&str, &str),
    method: &Method,
) -> Result<LoginReply, Stop> {
    if login.0.oidc.settings(id).is_none() {
        return Ok(no_page(asked).into());
    }
    match (step, method) {
        ("start", &Method::GET) => start(login, asked, recorder, id).await,
        ("callback", &Method::GET) => callback(login, asked, recorder, id).await,
        ("signed-out", &Method::GET) => Ok(signed_out(asked).into()),
        (FRONT_CHANNEL, &Method::GET) => front_channel(login, asked, recorder, id).await,
        (BACK_CHANNEL, &Method::POST) => back_channel(login, asked, recorder, id).await,
        _ => Ok(no_page(asked).into()),
    }
}

const FRONT_CHANNEL: &str = "front-channel-logout";
const BACK_CHANNEL: &str = "back-channel-logout";

async fn start(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder, id: &str) -> Result<LoginReply, Stop> {
    let request = asked.request;
    let handle = asked.query(HANDLE_PARAM).filter(|handle| is_token(handle));
    let pending = handle.as_deref().and_then(|h| login.0.identity.sign_ins().get(h, request.now));
    let (browser, cookie) = asked.form_cookie();
    let set_out = SetOut {
        browser: &browser,
        handle: handle.as_deref().filter(|_| pending.is_some()),
        within: pending.as_ref().and_then(|p| p.within),
        // What the one before left at the provider must not let the next one in.
        anew: request.device.is_some_and(|device| device.owner.is_none()),
        redirect_uri: &login.provider_url(id, "callback"),
        language: asked.lang.tag(),
        source: request.source,
        now: request.now,
    };
    match login.0.oidc.set_out(id, set_out).await {
        Ok(url) => Ok(Page::redirect(url, cookie).into()),
        Err(cause) => refused(asked, recorder, id, Failed { cause, handle, subject: None }).await,
    }
}

async fn callback(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder, id: &str) -> Result<LoginReply, Stop> {
    let (state, code) = (asked.query("state").unwrap_or_default(), asked.query("code"));
    let (error, iss) = (asked.query("error"), asked.query("iss"));
    let back = ComeBack {
        browser: cookies::read(asked.request.headers, cookies::FORM).unwrap_or_default(),
        state: &state,
        code: code.as_deref(),
        error: error.as_deref(),
        iss: iss.as_deref(),
        redirect_uri: &login.provider_url(id, "callback"),
        now: asked.request.now,
    };
    match login.0.oidc.come_back(id, back).await {
        Ok(arrived) => accept(login, asked, recorder, arrived).await,
        // Back button or reload, after all went well.
        Err(Failed { cause: OidcCause::State, .. }) if asked.session().is_some() => {
            Ok(Page::redirect("/home?late=1".to_owned(), []).into())
        }
        Err(failed) => refused(asked, recorder, id, failed).await,
    }
}

/// The provider vouched for an account: whose is it?
async fn accept(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    Arrived { handle, account }: Arrived,
) -> Result<LoginReply, Stop> {
    let identity = &login.0.identity;
    let domains = login.0.oidc.settings(&account.provider).map(|s| s.domains.as_slice()).unwrap_or_default();
    let person = match identity.links().decide(&account, &identity.roster(), domains) {
        LinkDecision::Known(person) => person,
        LinkDecision::New(person) => {
            // Who may not come in anyway gets no link either; `begin_with` says why.
            if login.refused(asked, &person).is_none() {
                link(login, asked, recorder, &account, &person).await?;
            }
            person
        }
        LinkDecision::Refused(cause) => {
            let reason = match cause {
                OidcCause::MailAmbiguous | OidcCause::LinkedOtherwise => Reason::LinkAmbiguous,
                _ => Reason::NotOnRoster,
            };
            let event = LoginEvent::ProviderFailed {
                provider: account.provider,
                subject: Some(account.subject),
                person: None,
                cause: Some(cause),
                reason: Some(reason),
            };
            recorder.record(event).await?;
            return Ok(asked.deny(reason).into());
        }
    };
    let proven = Proven { person, factors: account.factors, by: By::Provider(account) };
    begin_with(login, asked, recorder, proven, handle.as_deref()).await
}

/// Recorded, then made.
async fn link(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    account: &Account,
    person: &PersonId,
) -> Result<(), Stop> {
    let (provider, subject) = (account.provider.clone(), account.subject.clone());
    recorder.record(LoginEvent::Linked { provider, subject, person: person.clone() }).await?;
    let link = Link {
        issuer: account.issuer.clone(),
        subject: account.subject.clone(),
        person: person.clone(),
        made: asked.request.now,
    };
    Ok(login.0.identity.links().make(link).await?)
}

/// Recorded with its cause, and told in words.
async fn refused(
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    id: &str,
    Failed { cause, handle, subject }: Failed,
) -> Result<LoginReply, Stop> {
    // A state that isn't known is anybody's invention; the request's own record says enough.
    if cause != OidcCause::State {
        let event = LoginEvent::ProviderFailed {
            provider: id.to_owned(),
            subject,
            person: None,
            cause: Some(cause),
            reason: None,
        };
        recorder.record(event).await?;
    }
    let (notice, tone, status) = match cause {
        OidcCause::State => (words::PROVIDER_LATE, Tone::Wait, 400),
        OidcCause::Unavailable | OidcCause::TemporarilyUnavailable => (words::PROVIDER_AWAY, Tone::Wait, 503),
        OidcCause::AccessDenied => (words::PROVIDER_DENIED, Tone::Stop, 403),
        OidcCause::LoginRequired | OidcCause::AuthTime => (words::PROVIDER_AGAIN, Tone::Key, 403),
        _ => (words::PROVIDER_UNTRUSTED, Tone::Stop, 403),
    };
    let way = match handle.as_deref() {
        Some(handle) => format!("/?{HANDLE_PARAM}={handle}"),
        None => "/".to_owned(),
    };
    Ok(asked.notice(tone, notice).way(&way, words::SIGN_IN.get(asked.lang)).page(status).into())
}

/// Signed out here: the page offers to sign out at the provider as well, where it has a way to.
pub(super) async fn offer_sign_out(login: &LoginApp, asked: &Asked<'_>, provider: &str) -> Option<Page> {
    let name = &login.0.oidc.settings(provider)?.name;
    let (cookie, set) = asked.form_cookie();
    let back = login.provider_url(provider, "signed-out");
    let state = form_token("signed-out", &cookie);
    let url = login.0.oidc.sign_out_url(provider, &back, &state, asked.request.now).await?;
    let label = match asked.lang {
        Lang::Ja => format!("{name}からもログアウト"),
        Lang::En => format!("Sign out of {name} too"),
    };
    let page = asked.notice(Tone::Done, words::SIGNED_OUT_HERE).way(&url, &label).code(None).page(200);
    Some(page.with_cookies(set).with_cookies([cookies::clear(cookies::LOGIN)]))
}

/// The provider sent the browser back after its own sign-out. It changes nothing here.
fn signed_out(asked: &Asked<'_>) -> Page {
    let cookie = cookies::read(asked.request.headers, cookies::FORM);
    let ours = cookie.zip(asked.query("state")).is_some_and(|(c, state)| form_token("signed-out", c) == state);
    let notice = if ours { words::SIGNED_OUT_THERE } else { words::SIGNED_OUT };
    asked.notice(Tone::Done, notice).way("/", words::SIGN_IN.get(asked.lang)).code(None).page(200)
}

async fn front_channel(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    id: &str,
) -> Result<LoginReply, Stop> {
    let issuer = login.0.oidc.settings(id).map(|s| s.issuer.as_str().to_owned());
    let (iss, sid) = (asked.query("iss"), asked.query("sid").filter(|sid| !sid.is_empty()));
    match (issuer, sid) {
        // Both or nothing (Front-Channel Logout 1.0, 2): without `sid` it would be anybody's guess whose session.
        (Some(issuer), Some(sid)) if iss.as_deref() == Some(&issuer) => {
            let scope = LogoutScope { issuer, sid: Some(sid), subject: None, token: None };
            end(login, recorder, &scope, EndCause::FrontChannel).await
        }
        _ => Ok(Page::json(400, r#"{"error":"invalid_request"}"#.to_owned()).into()),
    }
}

async fn back_channel(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    id: &str,
) -> Result<LoginReply, Stop> {
    let token = asked.field("logout_token").unwrap_or_default();
    match login.0.oidc.logout_token(id, &token, asked.request.now).await {
        Ok(scope) => {
            let ended = end(login, recorder, &scope, EndCause::BackChannel).await;
            if ended.is_err() {
                login.0.oidc.logout_failed(id, &scope);
            }
            ended
        }
        Err(cause) => {
            let event = LoginEvent::ProviderFailed {
                provider: id.to_owned(),
                subject: None,
                person: None,
                cause: Some(cause),
                reason: None,
            };
            recorder.record(event).await?;
            let status = if cause == OidcCause::Unavailable { 503 } else { 400 };
            Ok(Page::json(status, r#"{"error":"invalid_request"}"#.to_owned()).into())
        }
    }
}

/// Each end is recorded before it takes effect. That nobody was signed in is no error, and is not told.
async fn end(
    login: &LoginApp,
    recorder: &dyn Recorder,
    scope: &LogoutScope,
    cause: EndCause,
) -> Result<LoginReply, Stop> {
    let sessions = login.0.identity.sessions();
    let mut ended = Vec::new();
    for session in sessions.of_account(scope) {
        recorder.record(LoginEvent::EndedByProvider { session: session.summary(), cause }).await?;
        ended.extend(sessions.end(session.id(), cause).await?);
    }
    Ok(LoginReply { ended, ..Page::json(200, "{}".to_owned()).into() })
}

fn no_page(asked: &Asked<'_>) -> Page {
    asked.notice(Tone::Wait, words::NO_PAGE).way("/", words::HOME.get(asked.lang)).page(404)
}

impl LoginApp {
    /// Whether a request is what a provider says of people who signed out there.
    pub fn is_provider_logout(&self, method: &Method, path: &str) -> bool {
        let known = |id: &str| self.0.oidc.settings(id).is_some();
        self::path(path).is_some_and(|(id, step)| match step {
            FRONT_CHANNEL => *method == Method::GET && known(id),
            BACK_CHANNEL => *method == Method::POST && known(id),
            _ => false,
        })
    }

    /// An address of ours that a provider knows.
    fn provider_url(&self, id: &str, step: &str) -> String {
        format!("{}/oidc/{id}/{step}", self.0.settings.origin)
    }

    /// Where to begin with the one provider there is, where nothing else could be chosen.
    pub(super) fn only_start(&self, handle: &str) -> Option<String> {
        let mut offered = self.0.oidc.offered();
        match (self.0.directory, offered.next(), offered.next()) {
            (false, Some((id, _)), None) => Some(format!("/oidc/{id}/start?{HANDLE_PARAM}={handle}")),
            _ => None,
        }
    }
}
