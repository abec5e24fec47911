//! Signing out: asked first, then everywhere at once.

use identity::EndCause;

use super::request::Asked;
use super::{LoginApp, LoginEvent, LoginReply, Recorder, Stop, oidc, pages};
use crate::notice::Tone;
use crate::page::Page;
use crate::{cookies, words};

/// GET `/sign-out`.
pub(super) fn ask(asked: &Asked<'_>) -> Page {
    // A session that began on another device may be ended here all the same.
    match &asked.request.session {
        Some(_) => pages::sign_out(asked, 200),
        None => signed_out(asked),
    }
}

/// POST `/sign-out`: recorded, then ended for every host.
pub(super) async fn end(login: &LoginApp, asked: &Asked<'_>, recorder: &dyn Recorder) -> Result<LoginReply, Stop> {
    let Some(session) = &asked.request.session else { return Ok(signed_out(asked).into()) };
    if !asked.token_fits(cookies::LOGIN, "sign-out") {
        return Ok(pages::sign_out(asked, 403).into());
    }
    // What is left on a shared device would be the next person's.
    if asked.is_shared() {
        return super::switch::end_and_clear(login, asked, recorder).await;
    }
    recorder.record(LoginEvent::SignedOut { session: session.summary() }).await?;
    let ended = login.0.identity.sessions().end(session.id(), EndCause::SignOut).await?;
    let there = match session.account() {
        Some(account) => oidc::offer_sign_out(login, asked, &account.provider).await,
        None => None,
    };
    Ok(LoginReply { page: there.unwrap_or_else(|| signed_out(asked)), began: None, ended: ended.into_iter().collect() })
}

fn signed_out(asked: &Asked<'_>) -> Page {
    asked
        .notice(Tone::Done, words::SIGNED_OUT)
        .way("/", words::SIGN_IN.get(asked.lang))
        .code(None)
        .page(200)
        .with_cookies([cookies::clear(cookies::LOGIN)])
}
