//! From the link to the form that registers, the wait for approval, and the form that renews.

use askama::Template;
use vocabulary::DeviceKind;

use super::client::Client;
use super::guide::Out;
use super::script;
use crate::notice::rendered;
use crate::page::{Page, STYLE};
use crate::words::Text;
use crate::{Lang, words};

/// Who looks at a page.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    pub lang: Lang,
    pub client: &'a Client,
    /// Short code of the record, shown so that an administrator finds it.
    pub code: Option<&'a str>,
}

/// What a link is for.
#[derive(Clone, Copy, Debug)]
pub struct Invited<'a> {
    pub facility: &'a str,
    pub kind: DeviceKind,
    /// Whose device it will be.
    pub owner: Option<&'a str>,
    /// When the link ends, in the facility's time zone.
    pub until: &'a str,
}

#[derive(Template)]
#[template(path = "enroll_invitation.html")]
struct Invitation<'a> {
    lang: Lang,
    style: &'static str,
    script: &'static str,
    visit: &'a Visit<'a>,
    invited: &'a Invited<'a>,
    kind: &'static str,
    system: Option<&'static str>,
    out: Option<Out>,
    /// Signing in right here is not the best way.
    aside: bool,
    sign_in: &'a str,
}

/// Nobody signed in yet. Shows what the link is for and leads to the sign-in at `sign_in`. In the window of an app it
/// shows how to get out of it first; on an iPhone with another browser, that Safari is needed.
pub fn invitation_page(visit: &Visit<'_>, invited: &Invited<'_>, sign_in: &str) -> Page {
    let lang = visit.lang;
    let template = Invitation {
        lang,
        style: STYLE,
        script: &script::ELEMENT,
        visit,
        invited,
        kind: words::enroll::kind(invited.kind).get(lang),
        system: visit.client.os.map(|os| {
            if visit.client.may_be_ipad() {
                words::enroll::MAC_OR_IPAD.get(lang)
            } else {
                words::enroll::os(os).get(lang)
            }
        }),
        out: Out::of(visit.client, lang),
        aside: visit.client.in_app.is_some() || visit.client.wants_safari(),
        sign_in,
    };
    let page = rendered(&template, 200, lang);
    if visit.client.wants_safari() { page.with_quiet_script() } else { page }
}

/// What the device will be called.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// Asked for, with this as a start.
    Asked(&'a str),
    /// An administrator said so when inviting.
    Settled(&'a str),
    /// An administrator said yes to this one.
    Approved(&'a str),
}

impl<'a> Name<'a> {
    const fn asked(&self) -> Option<&'a str> {
        match *self {
            Self::Asked(name) => Some(name),
            Self::Settled(_) | Self::Approved(_) => None,
        }
    }

    const fn fixed(&self) -> Option<&'a str> {
        match *self {
            Self::Asked(_) => None,
            Self::Settled(name) | Self::Approved(name) => Some(name),
        }
    }

    const fn title(&self) -> Text {
        match self {
            Self::Asked(_) => words::enroll::CONFIRM,
            Self::Settled(_) => words::enroll::SETTLED,
            Self::Approved(_) => words::enroll::APPROVED,
        }
    }

    const fn what(&self) -> Text {
        match self {
            Self::Asked(_) => words::enroll::CONFIRM_WHAT,
            Self::Settled(_) | Self::Approved(_) => words::enroll::SETTLED_WHAT,
        }
    }
}

/// What is asked before a device is registered.
#[derive(Clone, Copy)]
pub struct Confirm<'a> {
    /// Against forged forms; the field `token`.
    pub token: &'a str,
    /// Who is signed in.
    pub who: &'a str,
    pub name: Name<'a>,
    /// An administrator will have to say yes first.
    pub asks_approval: bool,
    pub problem: Option<Text>,
}

/// Shows no token.
impl std::fmt::Debug for Confirm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirm").field("who", &self.who).finish_non_exhaustive()
    }
}

#[derive(Template)]
#[template(path = "enroll_confirm.html")]
struct ConfirmTemplate<'a> {
    lang: Lang,
    style: &'static str,
    visit: &'a Visit<'a>,
    invited: &'a Invited<'a>,
    kind: &'static str,
    confirm: &'a Confirm<'a>,
}

/// Signed in as the right person: the form that registers the device. It is sent by POST to the page's own address,
/// with the fields `token` and, if it is asked for, `name` (at most 40 characters, unless a browser was told otherwise).
pub fn confirm_page(visit: &Visit<'_>, invited: &Invited<'_>, confirm: &Confirm<'_>, status: u16) -> Page {
    let lang = visit.lang;
    let kind = words::enroll::kind(invited.kind).get(lang);
    rendered(&ConfirmTemplate { lang, style: STYLE, visit, invited, kind, confirm }, status, lang)
}

/// A registration that waits for an administrator.
#[derive(Clone, Copy)]
pub struct Waiting<'a> {
    /// Read out on the telephone, and compared.
    pub code: &'a str,
    pub contact: Option<&'a str>,
    /// After how many seconds the page looks again.
    pub refresh_secs: u32,
}

/// Shows no code.
impl std::fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("refresh_secs", &self.refresh_secs).finish_non_exhaustive()
    }
}

#[derive(Template)]
#[template(path = "enroll_waiting.html")]
struct WaitingTemplate<'a> {
    lang: Lang,
    style: &'static str,
    visit: &'a Visit<'a>,
    waiting: &'a Waiting<'a>,
}

/// Waits for an administrator; loads itself again and again.
pub fn waiting_page(visit: &Visit<'_>, waiting: &Waiting<'_>) -> Page {
    let template = WaitingTemplate { lang: visit.lang, style: STYLE, visit, waiting };
    rendered(&template, 200, visit.lang).with_header("refresh", waiting.refresh_secs.to_string())
}

/// A certificate that ends soon, or has ended within the time in which it can still be renewed.
#[derive(Clone, Copy)]
pub struct Renewal<'a> {
    /// Of the device.
    pub name: &'a str,
    pub ends: &'a str,
    pub days_left: i64,
    pub token: &'a str,
    pub expired: bool,
}

/// Shows no token.
impl std::fmt::Debug for Renewal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewal").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Template)]
#[template(path = "enroll_renew.html")]
struct Renew<'a> {
    lang: Lang,
    style: &'static str,
    visit: &'a Visit<'a>,
    renewal: &'a Renewal<'a>,
    hint: String,
}

/// One button, sent by POST to the page's own address with the field `token`.
pub fn renew_page(visit: &Visit<'_>, renewal: &Renewal<'_>) -> Page {
    let days = if renewal.expired { -1 } else { renewal.days_left };
    let hint = renewal_hint(visit.lang, days);
    rendered(&Renew { lang: visit.lang, style: STYLE, visit, renewal, hint }, 200, visit.lang)
}

/// A line for pages that people see anyway: the certificate ends soon. As plain text.
pub fn renewal_hint(lang: Lang, days_left: i64) -> String {
    use words::enroll as words;
    match days_left {
        ..=-1 => words::HINT_OVER.get(lang).to_owned(),
        0 => words::HINT_TODAY.get(lang).to_owned(),
        1 => words::HINT_TOMORROW.get(lang).to_owned(),
        days => format!("{}{days}{}", words::HINT_BEFORE.get(lang), words::HINT_AFTER.get(lang)),
    }
}
