//! The two steps of signing in: ID and password, then a one-time code or a recovery code where the person has a second
//! factor. Passkeys are in `passkey.rs`.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use identity::{Account, Answer, Attempt, BeginSession, EndCause, Recovery, Verdict};
use ring::hmac;
use vocabulary::PersonId;

use super::pages::{self, Awaited};
use super::request::Asked;
use super::{Cause, LoginApp, LoginEvent, LoginReply, Recorder, SignInMethod, Stop, acknowledge};
use crate::page::Page;
use crate::{Lang, cookies, words};

/// Within so many days of its end a certificate is spoken of at each sign-in.
const REMIND_DAYS: i64 = 30;

/// POST `/`: ID and password.
pub(super) async fn password(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder) -> Result<LoginReply, Stop> {
    let handle = asked.handle();
    let again = |problem: &str, status| pages::sign_in(login, asked, handle.as_deref(), Some(problem), status);
    if cookies::read(asked.request.headers, cookies::FORM).is_none() {
        return Ok(cookies_off(asked, handle.as_deref()).into());
    }
    if !asked.token_fits(cookies::FORM, "sign-in") {
        return Ok(again(words::FORM_GONE.get(asked.lang), 403).into());
    }
    let (Some(login_id), Some(password)) = (asked.field("login_id"), asked.field("password")) else {
        return Ok(again(words::WRONG.get(asked.lang), 403).into());
    };
    let attempt = Attempt {
        login_id: &login_id,
        password: &password,
        totp: None,
        source: asked.request.source,
        now: asked.request.now,
    };
    match login.0.identity.directory().authenticate(attempt).await? {
        Verdict::Ok { person, factors } => {
            begin(login, asked, recorder, person, factors, SignInMethod::Password, handle.as_deref()).await
        }
        Verdict::NeedSecondFactor { challenge } => {
            let person = login.known(&login_id);
            if let Some(person) = person.clone() {
                recorder.record(LoginEvent::CodeAsked { person }).await?;
            }
            let awaited = Awaited { challenge: challenge.as_str(), person: person.as_ref(), handle: handle.as_deref() };
            Ok(pages::second_step(login, asked, &awaited, None, 200).into())
        }
        Verdict::Wrong | Verdict::Expired => {
            recorder.record(failed(login.known(&login_id), Cause::Password)).await?;
            Ok(again(words::WRONG.get(asked.lang), 403).into())
        }
        Verdict::Throttled { retry_after } => {
            recorder.record(failed(login.known(&login_id), Cause::Throttled)).await?;
            Ok(throttled(again(&wait(retry_after, asked.lang), 429), retry_after).into())
        }
    }
}

/// POST `/totp`: the one-time code.
pub(super) async fn code(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder) -> Result<LoginReply, Stop> {
    let handle = asked.handle();
    let over = |problem: &str| pages::sign_in(login, asked, handle.as_deref(), Some(problem), 403);
    if !asked.token_fits(cookies::FORM, "totp") {
        return Ok(over(words::FORM_GONE.get(asked.lang)).into());
    }
    let challenge = asked.field("challenge").unwrap_or_default();
    let code = asked.field("code").unwrap_or_default();
    let person = login.marked(asked, &challenge);
    let awaited = Awaited { challenge: &challenge, person: person.as_ref(), handle: handle.as_deref() };
    let answer = Answer { challenge: &challenge, code: &code, source: asked.request.source, now: asked.request.now };
    match login.0.identity.directory().answer(answer).await? {
        Verdict::Ok { person, factors } => {
            begin(login, asked, recorder, person, factors, SignInMethod::PasswordAndCode, handle.as_deref()).await
        }
        Verdict::Wrong => {
            recorder.record(failed(person.clone(), Cause::Code)).await?;
            Ok(pages::second_step(login, asked, &awaited, Some(words::WRONG_CODE.get(asked.lang)), 403).into())
        }
        Verdict::Expired | Verdict::NeedSecondFactor { .. } => {
            recorder.record(failed(person, Cause::CodeExpired)).await?;
            Ok(over(words::CODE_EXPIRED.get(asked.lang)).into())
        }
        Verdict::Throttled { retry_after } => {
            recorder.record(failed(person.clone(), Cause::Throttled)).await?;
            let page = pages::second_step(login, asked, &awaited, Some(&wait(retry_after, asked.lang)), 429);
            Ok(throttled(page, retry_after).into())
        }
    }
}

/// POST `/recovery`: a recovery code in place of the second factor. Recorded before it is used up, and told on the next
/// page.
pub(super) async fn recovery_code(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
) -> Result<LoginReply, Stop> {
    let handle = asked.handle();
    let over = |problem: &str| pages::sign_in(login, asked, handle.as_deref(), Some(problem), 403);
    if !asked.token_fits(cookies::FORM, "totp") {
        return Ok(over(words::FORM_GONE.get(asked.lang)).into());
    }
    let challenge = asked.field("challenge").unwrap_or_default();
    let code = asked.field("code").unwrap_or_default();
    let person = login.marked(asked, &challenge);
    let awaited = Awaited { challenge: &challenge, person: person.as_ref(), handle: handle.as_deref() };
    let answer = Answer { challenge: &challenge, code: &code, source: asked.request.source, now: asked.request.now };
    let directory = login.0.identity.directory();
    let verdict = match directory.check_recovery_code(answer).await? {
        Recovery::Right(code) => {
            let left = code.left;
            let by = By::Directory(SignInMethod::PasswordAndRecoveryCode);
            let proven = Proven { person: code.person.clone(), factors: 2, by };
            // Who may not come in keeps the code.
            if let Some(refused) = refused(login, asked, recorder, &proven).await? {
                return Ok(refused);
            }
            recorder.record(LoginEvent::RecoveryCodeUsed { person: proven.person.clone(), left }).await?;
            if directory.spend_recovery_code(answer, code).await? {
                let mut begun = start(login, asked, recorder, proven, handle.as_deref()).await?;
                begun.reply.page = pages::recovery_used(asked, &begun, left);
                return Ok(begun.reply);
            }
            Verdict::Wrong
        }
        Recovery::Not(verdict) => verdict,
    };
    match verdict {
        Verdict::Throttled { retry_after } => {
            recorder.record(failed(person.clone(), Cause::Throttled)).await?;
            let page = pages::second_step(login, asked, &awaited, Some(&wait(retry_after, asked.lang)), 429);
            Ok(throttled(page, retry_after).into())
        }
        Verdict::Wrong => {
            recorder.record(failed(person.clone(), Cause::RecoveryCode)).await?;
            let problem = words::RECOVERY_WRONG.get(asked.lang);
            Ok(pages::second_step(login, asked, &awaited, Some(problem), 403).into())
        }
        Verdict::Ok { .. } | Verdict::Expired | Verdict::NeedSecondFactor { .. } => {
            recorder.record(failed(person, Cause::CodeExpired)).await?;
            Ok(over(words::CODE_EXPIRED.get(asked.lang)).into())
        }
    }
}

/// The page set a cookie and none came back: asking again and again would not help.
fn cookies_off(asked: &Asked<'_>, handle: Option<&str>) -> Page {
    let again = handle.map_or("/".to_owned(), |handle| format!("/?{}={handle}", super::HANDLE_PARAM));
    crate::cookies_off_page(asked.lang, &again, asked.request.code)
}

/// Who somebody is, is known. Whether they may come in is asked; then it is recorded; then the session begins.
pub(super) async fn begin(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    person: PersonId,
    factors: u8,
    method: SignInMethod,
    handle: Option<&str>,
) -> Result<LoginReply, Stop> {
    let proven = Proven { person, factors, by: By::Directory(method) };
    begin_with(login, asked, recorder, proven, handle).await
}

/// Who somebody has shown to be.
pub(super) struct Proven {
    pub(super) person: PersonId,
    pub(super) factors: u8,
    pub(super) by: By,
}

/// Who vouches for it.
pub(super) enum By {
    Directory(SignInMethod),
    Provider(Account),
}

/// As [`begin`], whoever vouches.
pub(super) async fn begin_with(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    proven: Proven,
    handle: Option<&str>,
) -> Result<LoginReply, Stop> {
    if let Some(refused) = refused(login, asked, recorder, &proven).await? {
        return Ok(refused);
    }
    Ok(start(login, asked, recorder, proven, handle).await?.reply)
}

/// The page for who may not come in, recorded.
async fn refused(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    proven: &Proven,
) -> Result<Option<LoginReply>, Stop> {
    let Some(reason) = login.refused(asked, &proven.person) else { return Ok(None) };
    let person = Some(proven.person.clone());
    let event = match &proven.by {
        By::Directory(_) => failed(person, Cause::Refused(reason)),
        By::Provider(Account { provider, subject, .. }) => LoginEvent::ProviderFailed {
            provider: provider.clone(),
            subject: Some(subject.clone()),
            person,
            cause: None,
            reason: Some(reason),
        },
    };
    recorder.record(event).await?;
    Ok(Some(asked.deny(reason).into()))
}

/// A session that has begun, with where it leads.
pub(super) struct Begun {
    pub(super) reply: LoginReply,
    pub(super) url: String,
    pub(super) token: identity::Token,
}

async fn start(
    login: &LoginApp,
    asked: &Asked<'_>,
    recorder: &dyn Recorder,
    Proven { person, factors, by }: Proven,
    handle: Option<&str>,
) -> Result<Begun, Stop> {
    let request = asked.request;
    let device = request.device.map(|d| d.id.clone());
    // A second tab of the same person: the session goes on, or the first tab would be thrown out of its work. Not where
    // a rule asks for a recent sign-in, nor on a provider's word, which is about a session of its own.
    let pending = handle.and_then(|handle| login.0.identity.sign_ins().get(handle, request.now));
    let any_age = pending.is_none_or(|pending| pending.within.is_none());
    let going_on = asked.session().filter(|session| {
        any_age && matches!(by, By::Directory(_)) && *session.person() == person && session.factors() >= factors
    });
    let id = match going_on {
        Some(session) => session.id().clone(),
        None => login.0.identity.sessions().new_id()?,
    };
    let event = match &by {
        By::Directory(method) => LoginEvent::SignedIn {
            person: person.clone(),
            factors,
            method: method.clone(),
            device: device.clone(),
            session: id.clone(),
        },
        By::Provider(Account { provider, subject, .. }) => LoginEvent::ProviderSignedIn {
            provider: provider.clone(),
            subject: subject.clone(),
            person: person.clone(),
            factors,
            session: id.clone(),
        },
    };
    recorder.record(event).await?;
    let home = || format!("{}/home{}", login.0.settings.origin, if handle.is_some() { "?late=1" } else { "" });
    if let Some(session) = going_on {
        let token = login.0.identity.sessions().token_for_host(session.id(), &login.0.settings.host).await?;
        let url = handle.and_then(|handle| login.way_on(asked, handle, session.id())).unwrap_or_else(home);
        return Ok(Begun { reply: pages::opening(asked, &url, Some(&token)).into(), url, token });
    }
    // Whoever used this browser before is signed out everywhere: two people in one browser would be a mix-up.
    let mut ended = Vec::new();
    if let Some(earlier) = &request.session {
        recorder.record(LoginEvent::SignedOut { session: earlier.summary() }).await?;
        ended.extend(login.0.identity.sessions().end(earlier.id(), EndCause::SignOut).await?);
    }
    let account = match by {
        By::Directory(_) => None,
        By::Provider(account) => Some(account),
    };
    let begin = BeginSession {
        id,
        person: person.clone(),
        factors,
        device,
        source: request.source,
        host: login.0.settings.host.clone(),
        account: account.map(Into::into),
        now: request.now,
    };
    let (session, token) = login.0.identity.sessions().begin(begin).await?;
    let begun = login.0.identity.sessions().get(&session);
    let first = begun.and_then(|session| login.password_first(&session, handle));
    let has_first = first.is_some();
    // Only where nothing else comes first, and only to who is on the way to work.
    let due = request.renewal.filter(|due| due.days_left <= REMIND_DAYS && !has_first);
    if let (Some(due), Some(handle)) = (due, handle)
        && !login.notice_is_due(&person, &session, request.now)
    {
        let url = format!("{}/?{}={handle}", login.0.settings.origin, super::HANDLE_PARAM);
        let page = pages::renewal_due(asked, due, &url, &token);
        return Ok(Begun { reply: LoginReply { page, began: Some(session), ended }, url, token });
    }
    let url = match first {
        Some(path) => format!("{}{path}", login.0.settings.origin),
        None => handle.and_then(|handle| login.way_on(asked, handle, &session)).unwrap_or_else(home),
    };
    let notice = acknowledge::due(login, asked, (&session, &person), handle, token.as_str()).filter(|_| !has_first);
    let page = match notice {
        Some(page) => page.with_cookies([cookies::set(cookies::LOGIN, token.as_str())]),
        None => pages::opening(asked, &url, Some(&token)),
    };
    let reply = LoginReply { page, began: Some(session), ended };
    Ok(Begun { reply, url, token })
}

fn failed(person: Option<PersonId>, cause: Cause) -> LoginEvent {
    LoginEvent::Failed { person, cause }
}

pub(super) fn throttled(page: Page, retry_after: Duration) -> Page {
    page.with_header("retry-after", seconds(retry_after).to_string())
}

fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// How long to wait, in seconds or rounded up to minutes.
pub(super) fn wait(retry_after: Duration, lang: Lang) -> String {
    let length = match seconds(retry_after) {
        1 => words::ONE_SECOND.get(lang).to_owned(),
        seconds @ ..90 => format!("{seconds}{}", words::SECONDS.get(lang)),
        seconds => format!("{}{}", seconds.div_ceil(60), words::MINUTES.get(lang)),
    };
    format!("{}{length}{}", words::THROTTLED_BEFORE.get(lang), words::THROTTLED_AFTER.get(lang))
}

impl LoginApp {
    /// Whether a device of these groups is for this person.
    pub(super) fn is_for(&self, groups: &[vocabulary::GroupName], person: &PersonId) -> bool {
        let roster = self.0.identity.roster();
        groups.is_empty() || roster.get(person).is_some_and(|p| p.groups.iter().any(|group| groups.contains(group)))
    }

    /// The person of the roster who has this login ID, as the directory reads what was typed.
    fn known(&self, typed: &str) -> Option<PersonId> {
        let half = |c: char| match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            c => c,
        };
        let id = PersonId::new(typed.trim().chars().map(half).collect::<String>()).ok()?;
        self.0.identity.roster().get(&id).map(|person| person.id.clone())
    }

    /// Vouches that this challenge was put to this person.
    pub(super) fn mark(&self, challenge: &str, who: &str) -> String {
        let sign = |key| BASE64URL_NOPAD.encode(hmac::sign(key, marked(challenge, who).as_bytes()).as_ref());
        self.0.key.as_ref().map(sign).unwrap_or_default()
    }

    /// Whom the challenge was put to, if we vouch for it.
    pub(super) fn marked(&self, asked: &Asked<'_>, challenge: &str) -> Option<PersonId> {
        let who = asked.field("who")?;
        let mark = BASE64URL_NOPAD.decode(asked.field("mark")?.as_bytes()).ok()?;
        hmac::verify(self.0.key.as_ref()?, marked(challenge, &who).as_bytes(), &mark).ok()?;
        PersonId::new(who).ok()
    }
}

fn marked(challenge: &str, who: &str) -> String {
    format!("{}:{challenge}{who}", challenge.len())
}
