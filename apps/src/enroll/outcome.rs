//! Whether the certificate works, and what is told where it can't go on.

use askama::Template;
use vocabulary::Os;

use super::client::Browser;
use super::drawings::Scene;
use super::pages::Visit;
use crate::notice::{NoticePage, Tone, rendered};
use crate::page::{Page, STYLE};
use crate::words::Text;
use crate::words::enroll as text;
use crate::{Lang, words};

/// What a new connection to our own host has shown.
#[derive(Clone, Copy, Debug)]
pub enum Check<'a> {
    Seen {
        /// Of the device.
        name: &'a str,
        owner: Option<&'a str>,
        /// When the certificate ends.
        until: &'a str,
        /// Where the services are.
        home: &'a str,
    },
    NotSeen {
        os: Option<Os>,
        /// Where to look again.
        again: &'a str,
        /// Back to the steps.
        steps: Option<&'a str>,
    },
    Expired {
        renew: Option<&'a str>,
    },
    Revoked,
    NotYours {
        /// The device has one owner, who could sign in on it.
        owner_hint: bool,
    },
}

#[derive(Template)]
#[template(path = "enroll_check.html")]
struct CheckTemplate<'a> {
    lang: Lang,
    style: &'static str,
    visit: &'a Visit<'a>,
    seen: Option<(&'a str, Option<&'a str>, &'a str, &'a str)>,
    points: Vec<&'static str>,
    /// What the browser asks, drawn.
    asked: Option<String>,
    again: &'a str,
    steps: Option<&'a str>,
}

/// Tells whether the certificate was seen, and if not, what to do. Status 200 for what was asked (seen or not), 403
/// for a certificate that isn't good here.
pub fn check_page(visit: &Visit<'_>, check: &Check<'_>) -> Page {
    let lang = visit.lang;
    let told = |tone, notice| NoticePage::new(lang, tone, notice).code(visit.code);
    let mut template = CheckTemplate {
        lang,
        style: STYLE,
        visit,
        seen: None,
        points: Vec::new(),
        asked: None,
        again: "",
        steps: None,
    };
    match *check {
        Check::Seen { name, owner, until, home } => template.seen = Some((name, owner, until, home)),
        Check::NotSeen { os, again, steps } => {
            let os = os.or(visit.client.os);
            template.points = points(visit, os);
            template.asked = os.and_then(asked).map(|scene| scene.svg(lang));
            (template.again, template.steps) = (again, steps);
        }
        Check::Expired { renew } => {
            let page = told(Tone::Wait, text::CERTIFICATE_EXPIRED);
            return match renew {
                Some(renew) => page.way(renew, text::RENEW.get(lang)).page(403),
                None => page.page(403),
            };
        }
        Check::Revoked => return told(Tone::Stop, text::CERTIFICATE_REVOKED).page(403),
        Check::NotYours { owner_hint } => {
            let notice = if owner_hint { text::OTHERS_DEVICE_OWNER } else { text::OTHERS_DEVICE };
            return told(Tone::Stop, notice).page(403);
        }
    }
    rendered(&template, 200, lang)
}

fn asked(os: Os) -> Option<Scene> {
    let guide = match os {
        Os::Ios => return None,
        Os::Android => &text::ANDROID,
        Os::Windows => &text::WINDOWS,
        Os::Macos => &text::MACOS_FILE,
        Os::Chromeos => &text::CHROMEOS,
        Os::Linux => &text::LINUX,
    };
    guide.asked.and_then(|step| step.scene)
}

/// What to try, the likeliest first.
fn points(visit: &Visit<'_>, os: Option<Os>) -> Vec<&'static str> {
    let client = visit.client;
    let first = match (os, client.browser) {
        _ if client.in_app.is_some() => Some(text::UNSEEN_IN_APP),
        (Some(Os::Ios | Os::Macos), Browser::Safari)
        | (Some(Os::Android), Browser::Chrome | Browser::Edge | Browser::Samsung)
        | (Some(Os::Windows | Os::Macos), Browser::Chrome | Browser::Edge)
        | (Some(Os::Chromeos), Browser::Chrome) => None,
        (Some(Os::Windows | Os::Macos | Os::Linux) | None, Browser::Firefox) => Some(text::UNSEEN_FIREFOX),
        (os, _) => text::right_browser(os),
    };
    first.iter().chain(text::unseen(os)).map(|point| point.get(visit.lang)).collect()
}

/// Why a registration can't begin or go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    Unknown,
    Expired,
    Used,
    Withdrawn,
    /// Somebody else is signed in than it was made for.
    NotYours,
    Declined,
    /// Another device or browser has begun.
    InUseElsewhere,
    TooMany,
    /// Nothing issues certificates right now.
    NoAuthority,
    /// The form was too old, or forged.
    FormGone,
}

impl Problem {
    pub const ALL: [Self; 10] = [
        Self::Unknown,
        Self::Expired,
        Self::Used,
        Self::Withdrawn,
        Self::NotYours,
        Self::Declined,
        Self::InUseElsewhere,
        Self::TooMany,
        Self::NoAuthority,
        Self::FormGone,
    ];

    const fn told(self) -> (Tone, words::Notice, u16) {
        match self {
            Self::Unknown => (Tone::Stop, text::UNKNOWN, 404),
            Self::Expired => (Tone::Wait, text::EXPIRED, 410),
            Self::Used => (Tone::Stop, text::USED, 410),
            Self::Withdrawn => (Tone::Stop, text::WITHDRAWN, 410),
            Self::NotYours => (Tone::Key, text::NOT_YOURS, 403),
            Self::Declined => (Tone::Stop, text::DECLINED, 410),
            Self::InUseElsewhere => (Tone::Stop, text::IN_USE_ELSEWHERE, 403),
            Self::TooMany => (Tone::Wait, text::TOO_MANY, 429),
            Self::NoAuthority => (Tone::Wait, text::NO_AUTHORITY, 503),
            Self::FormGone => (Tone::Wait, text::FORM_GONE, 403),
        }
    }
}

/// Says what happened and what to do. `way` is where it could go on and what its button says; `contact`, whom to ask.
pub fn problem_page(visit: &Visit<'_>, problem: Problem, way: Option<(&str, Text)>, contact: Option<&str>) -> Page {
    let (tone, notice, status) = problem.told();
    let page = NoticePage::new(visit.lang, tone, notice).code(visit.code).contact(contact);
    match way {
        Some((url, label)) => page.way(url, label.get(visit.lang)).page(status),
        None => page.page(status),
    }
}
