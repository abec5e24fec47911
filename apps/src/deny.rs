//! What somebody is told whose request was refused: a page for people, JSON for scripts.

use serde::Serialize;
use vocabulary::Reason;

use crate::notice::{NoticePage, Tone};
use crate::page::Page;
use crate::{Lang, words};

/// A refusal, as told.
#[derive(Clone, Copy, Debug)]
pub struct Deny<'a> {
    pub reason: Reason,
    /// From [`crate::code::encode`]; none if there is no record of its own.
    pub code: Option<&'a str>,
    /// Where to sign in, if that could help. A full address or a path; never shown unless it begins with `https://`
    /// or `/`.
    pub sign_in: Option<&'a str>,
    /// For [`Reason::FactorsNeeded`]: `sign_in` leads to where a second factor is set up, because the person has none.
    pub set_up: bool,
    /// The app's name.
    pub app: Option<&'a str>,
}

/// The status that goes with a reason: 401 where signing in helps, 403 for other refusals, and what HTTP has for
/// the rest (RFC 9110).
pub const fn status(reason: Reason) -> u16 {
    match reason {
        Reason::SignInNeeded | Reason::SessionElsewhere | Reason::SignInStale | Reason::TokenNeeded => 401,
        Reason::RecordUnavailable | Reason::Clock => 503,
        Reason::NoApp => 404,
        Reason::Misdirected => 421,
        Reason::Ambiguous => 400,
        Reason::TooMany => 429,
        Reason::UpstreamFailed => 502,
        // Permits are here for completeness: who shows a refusal for one has made a mistake, and 403 is the safe one.
        Reason::Rule | Reason::BuiltIn | Reason::Ticket | Reason::Preflight | Reason::Static => 403,
        Reason::CrossSite
        | Reason::TokenScope
        | Reason::DeviceRevoked
        | Reason::DeviceUnknown
        | Reason::NotOnRoster
        | Reason::LinkAmbiguous
        | Reason::StaffNotYet
        | Reason::StaffRetired
        | Reason::StaffLocked
        | Reason::DeviceNotYours
        | Reason::WrongAccount
        | Reason::ActionDenied
        | Reason::NoRule
        | Reason::UnknownNetwork
        | Reason::DeviceNeeded
        | Reason::DeviceExpired
        | Reason::NotForYou
        | Reason::FactorsNeeded
        | Reason::OutsideHours
        | Reason::ActionNotAllowed
        | Reason::PathNotAllowed => 403,
    }
}

/// The page for people.
pub fn deny_page(deny: &Deny<'_>, lang: Lang) -> Page {
    let tone = match status(deny.reason) {
        401 => Tone::Key,
        403 => Tone::Stop,
        _ => Tone::Wait,
    };
    let (notice, label) = told(deny);
    let mut page = NoticePage::new(lang, tone, notice).code(deny.code);
    page.app = deny.app;
    if let Some(url) = sign_in(deny) {
        page = page.way(url, label.get(lang));
    }
    with_retry(page.page(status(deny.reason)), deny.reason)
}

/// The answer for scripts: `error` is the reason's word; `code` and `sign_in` are left out where there is none.
pub fn deny_json(deny: &Deny<'_>, lang: Lang) -> Page {
    #[derive(Serialize)]
    struct Body<'a> {
        error: Reason,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        sign_in: Option<&'a str>,
    }
    let (notice, _) = told(deny);
    let space = if lang == Lang::En { " " } else { "" };
    let message = format!("{}{space}{}", notice.what.get(lang), notice.next.get(lang));
    let body = Body { error: deny.reason, code: deny.code, message, sign_in: sign_in(deny) };
    // Strings and an enum of words: this can't fail, and if it did, the status still tells.
    let body = serde_json::to_string(&body).unwrap_or_else(|_| "{}".to_owned());
    with_retry(Page::json(status(deny.reason), body), deny.reason)
}

/// What is said, and what the way on is called.
fn told(deny: &Deny<'_>) -> (words::Notice, words::Text) {
    match (deny.reason, sign_in(deny), deny.set_up) {
        (Reason::FactorsNeeded, Some(_), true) => (words::FACTOR_TO_SET_UP, words::SET_UP_SECOND_FACTOR),
        (Reason::FactorsNeeded, Some(_), false) => (words::FACTOR_TO_SHOW, words::SIGN_IN_AGAIN),
        (reason, ..) => (words::of_reason(reason), words::SIGN_IN),
    }
}

fn sign_in<'a>(deny: &Deny<'a>) -> Option<&'a str> {
    deny.sign_in.filter(|url| url.starts_with("https://") || (url.starts_with('/') && !url.starts_with("//")))
}

fn with_retry(page: Page, reason: Reason) -> Page {
    match reason {
        Reason::TooMany => page.with_header("retry-after", "60".to_owned()),
        Reason::RecordUnavailable => page.with_header("retry-after", "10".to_owned()),
        _ => page,
    }
}

#[cfg(test)]
mod tests;
