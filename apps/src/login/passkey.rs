//! Signing in with a passkey: asked for by our script, answered by a form like any other.

use identity::{PasskeyAnswer, PasskeyQuestion, PasskeyVerdict, Verdict};
use serde::Serialize;

use super::pages::{self, Awaited};
use super::request::Asked;
use super::{Cause, LoginApp, LoginEvent, LoginReply, Recorder, SignInMethod, Stop, sign_in};
use crate::page::Page;
use crate::{cookies, words};

/// POST `/passkey/ask`, by the script: what the browser is to be asked. With a challenge it is the second step of
/// signing in, without it anybody's passkey will do; then the answer is the same for everybody.
pub(super) fn ask(login: &LoginApp, asked: &Asked<'_>) -> Result<LoginReply, Stop> {
    let (Some(rp), Some(browser)) = (&login.0.passkeys, asked.browser(cookies::FORM)) else {
        return Ok(no(403, words::FORM_GONE.get(asked.lang)).into());
    };
    if !asked.token_fits(cookies::FORM, "passkey") {
        return Ok(no(403, words::FORM_GONE.get(asked.lang)).into());
    }
    let request = asked.request;
    let challenge = asked.field("challenge");
    let directory = login.0.identity.directory();
    let page = match directory.ask_for_passkey(rp, challenge.as_deref(), browser, request.source, request.now)? {
        Ok(question) => question_page(&question),
        Err(Verdict::Throttled { retry_after }) => {
            sign_in::throttled(no(429, &sign_in::wait(retry_after, asked.lang)), retry_after)
        }
        Err(Verdict::Wrong) => no(403, words::PASSKEY_FAILED.get(asked.lang)),
        Err(_) => no(403, words::CODE_EXPIRED.get(asked.lang)),
    };
    Ok(page.into())
}

/// The question as the script reads it.
pub(super) fn question_page(question: &PasskeyQuestion) -> Page {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        ceremony: &'a str,
        public_key: &'a serde_json::Value,
    }
    let body = Body { ceremony: question.ceremony.as_str(), public_key: &question.options };
    // Values in memory: this can't fail, and if it did, the script would say that it did not work.
    Page::json(200, serde_json::to_string(&body).unwrap_or_default())
}

/// Why there is no question, for the script to show.
pub(super) fn no(status: u16, message: &str) -> Page {
    Page::json(status, serde_json::json!({ "message": message }).to_string())
}

/// POST `/passkey`: what the passkey has said.
pub(super) async fn answer(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder) -> Result<LoginReply, Stop> {
    let handle = asked.handle();
    let start_over = |problem: &str| pages::sign_in(login, asked, handle.as_deref(), Some(problem), 403);
    let (Some(rp), Some(browser)) = (&login.0.passkeys, asked.browser(cookies::FORM)) else {
        return Ok(start_over(words::FORM_GONE.get(asked.lang)).into());
    };
    if !asked.token_fits(cookies::FORM, "passkey") {
        return Ok(start_over(words::FORM_GONE.get(asked.lang)).into());
    }
    let challenge = asked.field("challenge");
    let (ceremony, credential) = (asked.field("ceremony").unwrap_or_default(), asked.field("credential"));
    let answer = PasskeyAnswer {
        challenge: challenge.as_deref(),
        ceremony: &ceremony,
        credential: credential.as_deref().unwrap_or_default(),
        browser,
        source: asked.request.source,
        now: asked.request.now,
    };
    match login.0.identity.directory().answer_with_passkey(rp, answer).await? {
        PasskeyVerdict::Ok { person, passkey } => {
            let method = match challenge {
                Some(_) => SignInMethod::PasswordAndPasskey(passkey),
                None => SignInMethod::Passkey(passkey),
            };
            sign_in::begin(login, asked, recorder, person, 2, method, handle.as_deref()).await
        }
        PasskeyVerdict::Wrong { person } => {
            recorder.record(LoginEvent::Failed { person, cause: Cause::Passkey }).await?;
            let Some(challenge) = challenge else {
                return Ok(start_over(words::PASSKEY_FAILED.get(asked.lang)).into());
            };
            let person = login.marked(asked, &challenge);
            let awaited = Awaited { challenge: &challenge, person: person.as_ref(), handle: handle.as_deref() };
            let problem = words::PASSKEY_STEP_FAILED.get(asked.lang);
            Ok(pages::second_step(login, asked, &awaited, Some(problem), 403).into())
        }
        PasskeyVerdict::Expired => {
            let person = challenge.as_deref().and_then(|challenge| login.marked(asked, challenge));
            recorder.record(LoginEvent::Failed { person, cause: Cause::CodeExpired }).await?;
            Ok(start_over(words::CODE_EXPIRED.get(asked.lang)).into())
        }
    }
}
