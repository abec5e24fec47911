//! What somebody signs in with, and changes to it, by themselves.
//!
//! Changes ask for a sign-in, or the password once more, within the last ten minutes: a terminal that somebody left
//! open must not become somebody else's. Who has a second factor must have shown it in this session as well: a password
//! alone, however it was come by, must not put another factor in its place. Each is recorded before it takes effect. Where something is taken away or
//! the password is changed, the person's other sessions end.

use http::Method;
use identity::{EndCause, IdentityError, PasskeyAnswer, PasswordProblem, Session, Verdict};
use vocabulary::PersonId;

use super::request::{Asked, is_token};
use super::security_pages as pages;
use super::{
    AGAIN_PARAM, Cause, CredentialChange, HANDLE_PARAM, LoginApp, LoginEvent, LoginReply, Recorder, Stop, passkey,
    sign_in,
};
use crate::page::Page;
use crate::words::Text;
use crate::{cookies, words};

/// Answers what belongs here; None: it is another page's.
pub(super) async fn route(
    login: &LoginApp,
    asked: &Asked<'_>,
    method: &Method,
    recorder: &dyn Recorder,
) -> Result<Option<LoginReply>, Stop> {
    let path = asked.request.path;
    if path != "/password" && path != "/security" && !path.starts_with("/security/") {
        return Ok(None);
    }
    let Some(session) = asked.session() else { return Ok(Some(Page::redirect("/".to_owned(), []).into())) };
    if let Some(refused) = login.person_refused(asked, session) {
        return Ok(Some(refused.into()));
    }
    let person = session.person();
    let owner = Owner { login, asked, recorder, session, person };
    if *method == Method::POST && !asked.token_fits(cookies::LOGIN, pages::TOKEN) {
        return Ok(Some(owner.overview(Some(words::FORM_GONE), 403).into()));
    }
    let reply: LoginReply = match (path, method) {
        ("/password", &Method::GET) => owner.password_form(None, 200).into(),
        ("/password", &Method::POST) if owner.lacks_second() => owner.stale(words::SECOND_FIRST).into(),
        ("/password", &Method::POST) => owner.change_password().await?,
        // Nothing else before the password is one's own.
        _ if login.password_first(session, None).is_some() => {
            let handle = owner.handle();
            Page::redirect(login.password_first(session, handle.as_deref()).unwrap_or_default(), []).into()
        }
        ("/security", &Method::GET) => owner.overview(None, 200).into(),
        ("/security/confirm", &Method::POST) => owner.confirm().await?,
        (_, &Method::POST) if !owner.is_fresh() => owner.stale(words::CONFIRM_FIRST).into(),
        (_, &Method::POST) if owner.lacks_second() => owner.stale(words::SECOND_FIRST).into(),
        ("/security/totp", &Method::POST) => owner.begin_totp().await?,
        ("/security/totp/confirm", &Method::POST) => owner.confirm_totp().await?,
        ("/security/totp/remove", &Method::POST) => owner.remove_totp().await?,
        ("/security/passkey/ask", &Method::POST) => owner.ask_for_new_passkey().await?,
        ("/security/passkey", &Method::POST) => owner.add_passkey().await?,
        ("/security/passkey/remove", &Method::POST) => owner.remove_passkey().await?,
        ("/security/recovery", &Method::POST) => owner.make_recovery_codes(None).await?,
        // Somebody went back or reloaded.
        (_, &Method::GET) => Page::redirect("/security".to_owned(), []).into(),
        _ => return Ok(None),
    };
    Ok(Some(reply))
}

/// Somebody signed in, at work on what they sign in with.
pub(super) struct Owner<'a> {
    pub(super) login: &'a LoginApp,
    pub(super) asked: &'a Asked<'a>,
    recorder: &'a dyn Recorder,
    pub(super) session: &'a Session,
    pub(super) person: &'a PersonId,
}

impl Owner<'_> {
    pub(super) fn is_fresh(&self) -> bool {
        self.session.is_confirmed(self.asked.request.now)
    }

    fn directory(&self) -> &identity::Directory {
        self.login.0.identity.directory()
    }

    pub(super) fn factors(&self) -> identity::Factors {
        self.directory().factors(self.person)
    }

    /// Where somebody wanted to go who was led here for want of a second factor.
    pub(super) fn handle(&self) -> Option<String> {
        let query = || self.asked.query(HANDLE_PARAM).filter(|handle| is_token(handle));
        let handle = self.asked.handle().or_else(query)?;
        let pending = self.login.0.identity.sign_ins().get(&handle, self.asked.request.now);
        pending.map(|_| handle)
    }

    /// Where they sign in again: to go where they wanted with what they have set up, or to change what they have.
    pub(super) fn again(&self) -> Option<String> {
        if !self.factors().second() || self.session.factors() >= 2 {
            return None;
        }
        match self.handle() {
            Some(handle) => Some(format!("/?{AGAIN_PARAM}=1&{HANDLE_PARAM}={handle}")),
            None => self.lacks_second().then(|| format!("/?{AGAIN_PARAM}=1")),
        }
    }

    /// There is a second factor, and nobody has shown it in this session.
    pub(super) fn lacks_second(&self) -> bool {
        self.factors().second() && !self.session.has_shown_second()
    }

    fn stale(&self, first: Text) -> Page {
        if self.asked.request.path.ends_with("/ask") {
            return passkey::no(403, first.get(self.asked.lang));
        }
        self.overview(Some(first), 403)
    }

    /// Back to the list, with a word about what was done.
    fn done(&self, what: &str) -> Page {
        let handle = self.handle().map(|handle| format!("&{HANDLE_PARAM}={handle}")).unwrap_or_default();
        Page::redirect(format!("/security?done={what}{handle}"), [])
    }

    async fn record(&self, change: CredentialChange) -> Result<(), Stop> {
        let (person, session) = (self.person.clone(), self.session.id().clone());
        Ok(self.recorder.record(LoginEvent::Changed { person, session, change }).await?)
    }

    /// Ends the person's sessions elsewhere, each recorded before.
    async fn end_others(&self, page: Page) -> Result<LoginReply, Stop> {
        let sessions = self.login.0.identity.sessions();
        for session in sessions.list() {
            if session.person() == self.person && session.id() != self.session.id() {
                self.recorder.record(LoginEvent::EndedByChange { session: session.summary() }).await?;
            }
        }
        let ended = sessions.end_others(self.person, self.session.id(), EndCause::Credential).await?;
        Ok(LoginReply { page, began: None, ended })
    }

    /// Whether the password is right; if not, the page that says so.
    async fn password_right(&self, field: &str, again: impl Fn(Text, u16) -> Page) -> Result<Option<Page>, Stop> {
        let (request, password) = (self.asked.request, self.asked.field(field).unwrap_or_default());
        let verdict = self.directory().confirm_password(self.person, &password, request.source, request.now).await?;
        let failed = |cause| LoginEvent::Failed { person: Some(self.person.clone()), cause };
        Ok(match verdict {
            Verdict::Ok { .. } => None,
            Verdict::Throttled { retry_after } => {
                self.recorder.record(failed(Cause::Throttled)).await?;
                let page = self.overview_saying(&sign_in::wait(retry_after, self.asked.lang), 429);
                Some(sign_in::throttled(page, retry_after))
            }
            Verdict::Wrong | Verdict::Expired | Verdict::NeedSecondFactor { .. } => {
                self.recorder.record(failed(Cause::Confirmation)).await?;
                Some(again(words::CONFIRM_WRONG, 403))
            }
        })
    }

    async fn confirm(&self) -> Result<LoginReply, Stop> {
        if let Some(wrong) =
            self.password_right("password", |problem, status| self.overview(Some(problem), status)).await?
        {
            return Ok(wrong.into());
        }
        self.session.confirm(self.asked.request.now);
        Ok(self.done("").into())
    }

    async fn begin_totp(&self) -> Result<LoginReply, Stop> {
        // Takes no effect before it is confirmed, so there is nothing to record.
        let enrolment = self.directory().totp_enrol(self.person).await?;
        Ok(self.totp_page(&enrolment, None, 200).into())
    }

    async fn confirm_totp(&self) -> Result<LoginReply, Stop> {
        let (code, now) = (self.asked.field("code").unwrap_or_default(), self.asked.request.now);
        match self.directory().totp_check(self.person, &code, now) {
            Ok(()) => {}
            Err(IdentityError::WrongCode) => {
                let Some(enrolment) = self.directory().totp_pending(self.person) else {
                    return Ok(self.overview(Some(words::TOTP_OVER), 403).into());
                };
                return Ok(self.totp_page(&enrolment, Some(words::WRONG_CODE), 403).into());
            }
            Err(_) => return Ok(self.overview(Some(words::TOTP_OVER), 403).into()),
        }
        self.record(CredentialChange::TotpSet).await?;
        let first = !self.factors().second();
        self.directory().totp_confirm(self.person, &code, now).await?;
        self.after_setting_up(words::DONE_TOTP, "totp", first).await
    }

    /// The first second factor brings recovery codes along, and ends the sessions that began without one: whoever
    /// else knows the password may sit in one.
    async fn after_setting_up(&self, done: Text, word: &str, first: bool) -> Result<LoginReply, Stop> {
        self.session.show_second();
        let reply = match self.factors().recovery_codes {
            0 => self.make_recovery_codes(Some(done)).await?,
            _ => self.done(word).into(),
        };
        match first {
            true => self.end_others(reply.page).await,
            false => Ok(reply),
        }
    }

    async fn remove_totp(&self) -> Result<LoginReply, Stop> {
        if !self.factors().totp {
            return Ok(self.done("").into());
        }
        if self.directory().may_remove_totp(self.person).is_err() {
            return Ok(self.overview(Some(words::LAST_FACTOR), 403).into());
        }
        self.record(CredentialChange::TotpRemoved).await?;
        self.directory().totp_remove(self.person).await?;
        self.end_others(self.done("totp-removed")).await
    }

    async fn ask_for_new_passkey(&self) -> Result<LoginReply, Stop> {
        let (Some(rp), Some(browser)) = (&self.login.0.passkeys, self.asked.browser(cookies::LOGIN)) else {
            return Ok(passkey::no(403, words::FORM_GONE.get(self.asked.lang)).into());
        };
        match self.directory().ask_for_new_passkey(rp, self.person, browser, self.asked.request.now).await {
            Ok(question) => Ok(passkey::question_page(&question).into()),
            Err(IdentityError::TooManyPasskeys(_)) => {
                Ok(passkey::no(403, words::TOO_MANY_PASSKEYS.get(self.asked.lang)).into())
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn add_passkey(&self) -> Result<LoginReply, Stop> {
        let failed = || self.overview(Some(words::PASSKEY_ADD_FAILED), 403);
        let (Some(rp), Some(browser)) = (&self.login.0.passkeys, self.asked.browser(cookies::LOGIN)) else {
            return Ok(failed().into());
        };
        let request = self.asked.request;
        let answer = PasskeyAnswer {
            challenge: None,
            ceremony: &self.asked.field("ceremony").unwrap_or_default(),
            credential: &self.asked.field("credential").unwrap_or_default(),
            browser,
            source: request.source,
            now: request.now,
        };
        let Some(new) = self.directory().check_new_passkey(rp, self.person, &answer) else {
            return Ok(failed().into());
        };
        let name = self.asked.field("name").filter(|name| !name.trim().is_empty());
        let name = name.unwrap_or_else(|| words::PASSKEY_DEFAULT_NAME.get(self.asked.lang).to_owned());
        self.record(CredentialChange::PasskeyAdded(new.id.clone())).await?;
        let first = !self.factors().second();
        match self.directory().add_passkey(self.person, new, &name, request.now).await {
            Ok(_) => self.after_setting_up(words::DONE_PASSKEY_ADDED, "passkey", first).await,
            Err(IdentityError::PasskeyExists) => Ok(self.overview(Some(words::PASSKEY_EXISTS), 403).into()),
            Err(other) => Err(other.into()),
        }
    }

    async fn remove_passkey(&self) -> Result<LoginReply, Stop> {
        let id = self.asked.field("passkey").unwrap_or_default();
        match self.directory().may_remove_passkey(self.person, &id) {
            Ok(()) => {}
            Err(IdentityError::PasswordNeedsSecondFactor(_)) => {
                return Ok(self.overview(Some(words::LAST_FACTOR), 403).into());
            }
            Err(_) => return Ok(self.done("").into()),
        }
        self.record(CredentialChange::PasskeyRemoved(id.clone())).await?;
        self.directory().remove_passkey(self.person, &id).await?;
        self.end_others(self.done("passkey-removed")).await
    }

    async fn make_recovery_codes(&self, done: Option<Text>) -> Result<LoginReply, Stop> {
        if !self.factors().second() {
            return Ok(self.done("").into());
        }
        self.record(CredentialChange::RecoveryCodesMade).await?;
        let codes = self.directory().make_recovery_codes(self.person).await?;
        Ok(self.codes_page(&codes, done).into())
    }

    /// The old password is asked for, unless somebody else chose it and it was typed just now.
    pub(super) fn asks_old_password(&self) -> bool {
        !(self.factors().password_due && self.is_fresh())
    }

    async fn change_password(&self) -> Result<LoginReply, Stop> {
        let asked = self.asked;
        let again = |problem: Text, status| self.password_form(Some(problem), status);
        let (new, repeated) = (asked.field("new").unwrap_or_default(), asked.field("again").unwrap_or_default());
        if new != repeated {
            return Ok(again(words::PASSWORDS_DIFFER, 403).into());
        }
        if self.asks_old_password()
            && let Some(wrong) = self.password_right("old", again).await?
        {
            return Ok(wrong.into());
        }
        let roster = self.login.0.identity.roster();
        let Some(entry) = roster.get(self.person) else { return Ok(again(words::FORM_GONE, 403).into()) };
        if let Err(IdentityError::Password(problem)) = self.directory().check_password(entry, &new) {
            return Ok(again(why(problem), 403).into());
        }
        if self.directory().is_password(self.person, &new).await? {
            return Ok(again(words::PASSWORD_SAME, 403).into());
        }
        self.record(CredentialChange::PasswordChanged).await?;
        self.directory().set_password(self.person, &new, asked.request.now).await?;
        self.session.confirm(asked.request.now);
        let way = asked.handle().and_then(|handle| self.login.way_on(asked, &handle, self.session.id()));
        let page = match way {
            Some(url) => super::pages::going_on(asked, words::DONE_PASSWORD, &url),
            None => self.done("password"),
        };
        self.end_others(page).await
    }
}

/// Why a password won't do, in the person's words.
const fn why(problem: PasswordProblem) -> Text {
    match problem {
        PasswordProblem::TooShort { needed: 13 } => words::PASSWORD_SHORT_13,
        PasswordProblem::TooShort { .. } => words::PASSWORD_SHORT_8,
        PasswordProblem::TooLong => words::PASSWORD_LONG,
        PasswordProblem::ControlCharacter => words::PASSWORD_CONTROL,
        PasswordProblem::LikeThePerson => words::PASSWORD_LIKE_YOU,
        PasswordProblem::Common => words::PASSWORD_COMMON,
    }
}
