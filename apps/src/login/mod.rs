//! The sign-in service: what answers on the host of the sign-in pages.
//!
//! | path | method | what |
//! |---|---|---|
//! | `/` | GET | the form; who is signed in goes on to where the handle leads, or home |
//! | `/` | POST | checks ID and password |
//! | `/totp` | POST | checks the one-time code |
//! | `/recovery` | POST | checks a recovery code in its place |
//! | `/passkey/ask`, `/passkey` | POST | asks for a passkey, checks it; alone or after the password |
//! | `/security` and beneath | GET, POST | what somebody signs in with, and changes to it |
//! | `/password` | GET, POST | a new password |
//! | `/passkey.js` | GET | the one script |
//! | `/home` | GET | the apps to choose from |
//! | `/oidc/<id>/…` | | identity providers, see `oidc.rs` |
//! | `/sign-out` | GET, POST | asks, and ends the session everywhere |
//! | `/switch` | GET, POST | the same, and clears what the session left in the browser, for the next person |
//! | `/sessions` | GET, POST | a person's own sessions; ends one, or all others |
//!
//! A POST to `/` may also be a later step of the same sign-in (a code, a notice that was read): those forms are sent to
//! the address they stand at, because that keeps the fragment of where somebody wanted to go.
//!
//! It passes the same line as any app: whoever calls it has judged and recorded the request. What takes effect here,
//! a session that begins or ends, is recorded through the [`Recorder`] *before* it does.

mod acknowledge;
mod event;
mod oidc;
mod pages;
mod passkey;
mod request;
mod script;
mod security;
mod security_pages;
mod sessions;
mod sign_in;
mod sign_out;
mod switch;

use std::fmt;
use std::sync::Arc;

use http::Method;
use identity::{Ended, Identity, Oidc, RelyingParty, Session, Standing};
use ring::hmac;
use ring::rand::SystemRandom;
use vocabulary::{AppId, Reason, SessionId};

use crate::notice::{NoticePage, Tone};
use crate::page::Page;
use crate::{Deny, deny_page, words};
use request::Asked;

pub use event::{Cause, CredentialChange, LoginEvent, Recorder, SignInMethod, Unavailable};
pub use request::{BODY_LIMIT, LoginDevice, LoginRequest, Place, RenewalDue};

/// The one reserved path on an app's host: there a ticket is redeemed ([`TICKET_PARAM`]), or a handle bound to the
/// browser ([`HANDLE_PARAM`]).
pub const TICKET_PATH: &str = "/.sekisho/ticket";
/// The query parameter that carries a ticket.
pub const TICKET_PARAM: &str = "ticket";
/// The query parameter that carries a handle, on the sign-in pages and at [`TICKET_PATH`].
pub const HANDLE_PARAM: &str = "handle";
/// The query parameter that shows the form to somebody who is signed in: to sign in with more than before.
pub const AGAIN_PARAM: &str = "again";

/// At [`TICKET_PATH`]: carries a step of a clearing.
pub const CLEAR_PARAM: &str = "clear";
/// At [`TICKET_PATH`]: asks for the forms that are kept for this browser.
pub const HELD_PARAM: &str = "held";

/// What the service must know of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSettings {
    /// The host of the sign-in pages, lower case, without port: what session tokens are bound to.
    pub host: String,
    /// The same as browsers write it in `Origin`: `https://login.gw.example`, with the port unless it is 443. The
    /// apps' hosts are reached at the same port.
    pub origin: String,
    /// All apps, in the order in which they are shown.
    pub apps: Vec<OfferedApp>,
}

/// An app on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedApp {
    pub id: AppId,
    /// Its front page, in full.
    pub url: String,
}

/// The sign-in service. Clones share it.
#[derive(Clone)]
pub struct LoginApp(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    identity: Identity,
    settings: LoginSettings,
    id_label: Option<String>,
    /// People may sign in with a password of ours.
    directory: bool,
    oidc: Oidc,
    /// None: the host can't have passkeys; nobody is offered any.
    passkeys: Option<RelyingParty>,
    notice: Option<identity::NoticeDocument>,
    /// Marks whose code is awaited, so that a wrong one is recorded under the right name. New with each
    /// configuration: who is just typing a code then fails nameless, and nothing else is lost.
    key: Option<hmac::Key>,
}

impl fmt::Debug for LoginApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginApp").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// What is to be sent, and what came to pass.
#[derive(Debug)]
pub struct LoginReply {
    pub page: Page,
    /// The session that began; it belongs into the outcome of this request.
    pub began: Option<SessionId>,
    /// Sessions that ended: what they hold open is to be cut.
    pub ended: Vec<Ended>,
}

impl From<Page> for LoginReply {
    fn from(page: Page) -> Self {
        Self { page, began: None, ended: Vec::new() }
    }
}

/// Why a request got no further.
enum Stop {
    /// The event could not be recorded, so nothing took effect.
    Unrecorded,
    Broken(identity::IdentityError),
}

impl From<Unavailable> for Stop {
    fn from(_: Unavailable) -> Self {
        Self::Unrecorded
    }
}

impl From<identity::IdentityError> for Stop {
    fn from(cause: identity::IdentityError) -> Self {
        Self::Broken(cause)
    }
}

/// What stands on the built-in directory alone.
fn of_directory(path: &str, method: &Method) -> bool {
    matches!(path, "/passkey/ask" | "/password" | "/security")
        || path.starts_with("/security/")
        || (*method == Method::POST && matches!(path, "/totp" | "/recovery" | "/passkey"))
}

impl LoginApp {
    pub fn new(identity: Identity, settings: LoginSettings) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        let passkeys = RelyingParty::new(&settings.host, &settings.origin, "Sekisho")
            .map_err(|cause| tracing::warn!(%cause, "passkeys are not offered"))
            .ok();
        let (directory, oidc) = (true, Oidc::default());
        Self(Arc::new(Inner { identity, settings, id_label: None, notice: None, directory, oidc, passkeys, key }))
    }

    /// The same, calling the login ID what the provider of the configuration is called (職員ID by default).
    #[must_use]
    pub fn with_id_label(mut self, label: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).id_label = Some(label.into());
        self
    }

    /// The same, with identity providers to choose from.
    #[must_use]
    pub fn with_oidc(mut self, oidc: Oidc) -> Self {
        Arc::make_mut(&mut self.0).oidc = oidc;
        self
    }

    /// The same, where nobody signs in with a password of ours.
    #[must_use]
    pub fn without_directory(mut self) -> Self {
        Arc::make_mut(&mut self.0).directory = false;
        self
    }

    /// The same, with a notice that people confirm before they go on.
    #[must_use]
    pub fn with_notice(mut self, notice: Option<identity::NoticeDocument>) -> Self {
        Arc::make_mut(&mut self.0).notice = notice;
        self
    }

    /// Where an app's host sends somebody to sign in.
    pub fn sign_in_url(&self, handle: &identity::Token) -> String {
        format!("{}/?{HANDLE_PARAM}={}", self.0.settings.origin, handle.as_str())
    }

    /// Where on an app's host (lower case, without port) a ticket is redeemed.
    pub fn ticket_url(&self, host: &str, ticket: &identity::Token) -> String {
        format!("{}{TICKET_PATH}?{TICKET_PARAM}={}", self.origin_of(host), ticket.as_str())
    }

    /// Where on an app's next host a handle is bound to the browser.
    pub fn bind_url(&self, host: &str, handle: &identity::Token) -> String {
        format!("{}{TICKET_PATH}?{HANDLE_PARAM}={}", self.origin_of(host), handle.as_str())
    }

    /// An app's host as an origin, at the port at which the sign-in pages are.
    pub fn origin_of(&self, host: &str) -> String {
        let authority = self.0.settings.origin.strip_prefix("https://").unwrap_or(&self.0.settings.origin);
        match authority.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|b| b.is_ascii_digit()) => format!("https://{host}:{port}"),
            _ => format!("https://{host}"),
        }
    }

    /// Answers a request that has been judged and recorded.
    pub async fn handle(&self, request: LoginRequest<'_>, recorder: &dyn Recorder) -> LoginReply {
        let asked = Asked::new(&request, &self.0.settings);
        match self.route(&asked, recorder).await {
            Ok(reply) => reply,
            Err(Stop::Unrecorded) => asked.deny(Reason::RecordUnavailable).into(),
            Err(Stop::Broken(cause)) => {
                tracing::error!(%cause, "a sign-in page could not be answered");
                asked.notice(Tone::Wait, words::FAILED).page(503).into()
            }
        }
    }

    async fn route(&self, asked: &Asked<'_>, recorder: &dyn Recorder) -> Result<LoginReply, Stop> {
        let method = match *asked.request.method {
            Method::HEAD => &Method::GET,
            _ => asked.request.method,
        };
        if let Some(of_provider) = oidc::path(asked.request.path) {
            return oidc::answer(self, asked, recorder, of_provider, method).await;
        }
        if *method == Method::POST
            && let Some(refused) = asked.refused_form()
        {
            return Ok(refused.into());
        }
        // Without the directory nothing of it opens anything: no password, no passkey, no change to either.
        if !self.0.directory && of_directory(asked.request.path, method) {
            return Ok(Page::redirect("/".to_owned(), []).into());
        }
        if let Some(reply) = security::route(self, asked, method, recorder).await? {
            return Ok(reply);
        }
        match (asked.request.path, method) {
            ("/", &Method::GET) => Ok(self.form(asked)),
            ("/", &Method::POST) if asked.field("notice").is_some() => {
                acknowledge::confirm(self, asked, recorder).await
            }
            ("/", &Method::POST) if !self.0.directory => Ok(Page::redirect("/".to_owned(), []).into()),
            ("/", &Method::POST) if asked.field("challenge").is_some() => sign_in::code(self, asked, recorder).await,
            ("/", &Method::POST) => sign_in::password(self, asked, recorder).await,
            ("/totp", &Method::POST) => sign_in::code(self, asked, recorder).await,
            ("/recovery", &Method::POST) => sign_in::recovery_code(self, asked, recorder).await,
            ("/passkey/ask", &Method::POST) => passkey::ask(self, asked),
            ("/passkey", &Method::POST) => passkey::answer(self, asked, recorder).await,
            (script::PATH, &Method::GET) => Ok(script::page(asked).into()),
            // Somebody went back or reloaded: the step is over, its beginning is not.
            ("/totp" | "/recovery" | "/passkey", &Method::GET) => Ok(Page::redirect("/".to_owned(), []).into()),
            ("/home", &Method::GET) => Ok(self.home(asked).into()),
            ("/sign-out", &Method::GET) => Ok(sign_out::ask(asked).into()),
            ("/sign-out", &Method::POST) => sign_out::end(self, asked, recorder).await,
            ("/switch", &Method::GET) => Ok(switch::ask(self, asked, 200).into()),
            ("/switch", &Method::POST) => switch::change(self, asked, recorder).await,
            ("/sessions", &Method::GET) => Ok(sessions::list(self, asked, 200).into()),
            ("/sessions", &Method::POST) => sessions::end(self, asked, recorder).await,
            ("/" | "/totp" | "/recovery" | "/passkey" | "/home" | "/sign-out" | "/switch" | "/sessions", _) => {
                let page = asked.notice(Tone::Wait, words::NO_PAGE).way("/", words::HOME.get(asked.lang)).page(405);
                Ok(page.with_header("allow", "GET, HEAD, POST".to_owned()).into())
            }
            _ => Ok(asked.notice(Tone::Wait, words::NO_PAGE).way("/", words::HOME.get(asked.lang)).page(404).into()),
        }
    }

    /// The form, unless it is not needed.
    fn form(&self, asked: &Asked<'_>) -> LoginReply {
        let handle = asked.query(HANDLE_PARAM);
        let pending = handle.as_deref().and_then(|h| self.0.identity.sign_ins().get(h, asked.request.now));
        let again = asked.query(AGAIN_PARAM).is_some();
        let within = pending.as_ref().and_then(|p| p.within);
        let fresh = |session: &Session| within.is_none_or(|within| session.is_fresh(within, asked.request.now));
        let Some(session) = asked.session().filter(|session| !again && fresh(session)) else {
            if let Some(start) = handle.as_deref().filter(|_| pending.is_some()).and_then(|h| self.only_start(h)) {
                return Page::redirect(start, []).into();
            }
            let problem = if handle.is_some() && pending.is_none() {
                Some(words::HANDLE_GONE.get(asked.lang))
            } else {
                within.map(|_| words::SIGN_IN_STALE.get(asked.lang))
            };
            return pages::sign_in(self, asked, handle.as_deref(), problem, 200).into();
        };
        if let Some(refused) = self.person_refused(asked, session) {
            return refused.into();
        }
        if let Some(first) = self.password_first(session, handle.as_deref()) {
            return Page::redirect(first, []).into();
        }
        if let Some(notice) = acknowledge::due_in(self, asked, session, handle.as_deref()) {
            return notice.into();
        }
        let way = handle.as_deref().and_then(|handle| self.way_on(asked, handle, session.id()));
        let gone = if handle.is_some() { "/home?late=1" } else { "/home" };
        Page::redirect(way.unwrap_or_else(|| gone.to_owned()), []).into()
    }

    /// Where somebody signed in goes from here: to the app's host, with a ticket. Nowhere, while the password is
    /// one that somebody else knows; see [`Self::password_first`].
    fn way_on(&self, asked: &Asked<'_>, handle: &str, session: &SessionId) -> Option<String> {
        let sign_ins = self.0.identity.sign_ins();
        let begun = self.0.identity.sessions().get(session)?;
        if self.password_first(&begun, None).is_some() {
            return None;
        }
        // The one place where tickets are made: none before the notice is confirmed, whichever way somebody comes.
        if self.notice_is_due(begun.person(), session, asked.request.now) {
            return Some(format!("{}/?{HANDLE_PARAM}={handle}", self.0.settings.origin));
        }
        let pending = sign_ins.get(handle, asked.request.now)?;
        let ticket = sign_ins.mint_ticket(handle, session, asked.request.now).ok()?;
        Some(self.ticket_url(&pending.host, &ticket))
    }

    /// Where somebody goes first who signed in with a password that was set by somebody else: to choose another one.
    fn password_first(&self, session: &Session, handle: Option<&str>) -> Option<String> {
        let due = session.account().is_none() && self.0.identity.directory().factors(session.person()).password_due;
        due.then(|| match handle.filter(|handle| request::is_token(handle)) {
            Some(handle) => format!("/password?{HANDLE_PARAM}={handle}"),
            None => "/password".to_owned(),
        })
    }

    fn home(&self, asked: &Asked<'_>) -> Page {
        let Some(session) = asked.session() else { return Page::redirect("/".to_owned(), []) };
        if let Some(first) = self.password_first(session, None) {
            return Page::redirect(first, []);
        }
        if let Some(refused) = self.person_refused(asked, session) {
            return refused;
        }
        match acknowledge::due_in(self, asked, session, None) {
            Some(_) => Page::redirect("/".to_owned(), []),
            None => pages::home(self, asked, session),
        }
    }

    /// Signed in, but may not come in any more.
    fn person_refused(&self, asked: &Asked<'_>, session: &Session) -> Option<Page> {
        let reason = self.standing_refused(asked, session.person())?;
        let page = asked.notice(Tone::Stop, words::of_reason(reason)).way("/sign-out", words::SIGN_OUT.get(asked.lang));
        Some(page.page(403))
    }

    /// Why this person may not begin a session here and now.
    fn refused(&self, asked: &Asked<'_>, person: &vocabulary::PersonId) -> Option<Reason> {
        let others_device = asked.request.device.and_then(|d| d.owner).is_some_and(|owner| owner != person);
        let for_others = asked.request.device.is_some_and(|device| !self.is_for(device.groups, person));
        self.standing_refused(asked, person).or((others_device || for_others).then_some(Reason::DeviceNotYours))
    }

    fn standing_refused(&self, asked: &Asked<'_>, person: &vocabulary::PersonId) -> Option<Reason> {
        match self.0.identity.roster().standing(person, asked.request.today) {
            Standing::Active => None,
            Standing::NotOnRoster => Some(Reason::NotOnRoster),
            Standing::NotYet => Some(Reason::StaffNotYet),
            Standing::Retired => Some(Reason::StaffRetired),
            Standing::Locked => Some(Reason::StaffLocked),
        }
    }
}

impl OfferedApp {
    /// Host and port, to be shown.
    pub(crate) fn host(&self) -> &str {
        self.url.strip_prefix("https://").unwrap_or(&self.url).trim_end_matches('/')
    }
}

impl<'r> Asked<'r> {
    fn notice(&self, tone: Tone, notice: words::Notice) -> NoticePage<'r> {
        NoticePage::new(self.lang, tone, notice).code(self.request.code)
    }

    /// Whether this device belongs to the facility and goes from hand to hand.
    fn is_shared(&self) -> bool {
        self.request.device.is_some_and(|device| device.owner.is_none())
    }

    fn deny(&self, reason: Reason) -> Page {
        deny_page(&Deny { reason, code: self.request.code, sign_in: None, set_up: false, app: None }, self.lang)
    }

    /// The cookie that a form's token goes with: the browser's, or a new one.
    fn form_cookie(&self) -> (String, Option<String>) {
        crate::forms::form_cookie(self.request.headers)
    }
}

#[cfg(test)]
mod tests;
