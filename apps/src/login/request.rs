//! A request to the sign-in pages and its form.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use identity::Session;
use vocabulary::{AppId, Date, DeviceId, GroupName, PersonId, Reason, Timestamp, Zone};

use super::{HANDLE_PARAM, LoginSettings};
use crate::forms::{comes_from_elsewhere, same, value};
pub(super) use crate::forms::{form_token, is_token};
use crate::notice::Tone;
use crate::page::Page;
use crate::{Lang, cookies, words};

/// The longest body of a form, in bytes. Who reads the request refuses longer ones, with 413.
pub const BODY_LIMIT: usize = 16 * 1024;

/// A request as the line has judged it.
#[derive(Clone)]
pub struct LoginRequest<'a> {
    pub method: &'a Method,
    /// Canonical, without query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// At most [`BODY_LIMIT`] bytes.
    pub body: &'a [u8],
    pub source: IpAddr,
    /// The enrolled, valid device on this connection.
    pub device: Option<LoginDevice<'a>>,
    /// The certificate of that device ends soon.
    pub renewal: Option<RenewalDue<'a>>,
    pub now: Timestamp,
    /// The date in the gateway's time zone.
    pub today: Date,
    pub zone: &'a Zone,
    /// Of the cookie [`cookies::LOGIN`] on this host.
    pub session: Option<Arc<Session>>,
    /// The apps this person could open from here, for the list; None for all.
    pub offered: Option<&'a [AppId]>,
    /// Of this request's record.
    pub code: Option<&'a str>,
    pub place: &'a dyn Place,
}

/// The device, as far as signing in is concerned.
#[derive(Clone, Copy, Debug)]
pub struct LoginDevice<'a> {
    pub id: &'a DeviceId,
    /// None for a device that the facility shares.
    pub owner: Option<&'a PersonId>,
    /// Whom a shared device is for; empty for everybody.
    pub groups: &'a [GroupName],
}

/// A certificate that ends soon.
#[derive(Clone, Copy, Debug)]
pub struct RenewalDue<'a> {
    pub days_left: i64,
    /// Where it is renewed, in full.
    pub url: &'a str,
}

/// Where and when, in the words people know.
pub trait Place: Send + Sync {
    /// What people call a device.
    fn device_name(&self, device: &DeviceId) -> Option<String>;
    /// A moment in the facility's time zone.
    fn time(&self, at: Timestamp) -> String;
}

/// Shows neither query, headers nor body: all may hold secrets.
impl fmt::Debug for LoginRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// A request and what is read from it more than once.
pub(super) struct Asked<'r> {
    pub(super) request: &'r LoginRequest<'r>,
    pub(super) lang: Lang,
    origin: &'r str,
}

impl<'r> Asked<'r> {
    pub(super) fn new(request: &'r LoginRequest<'r>, settings: &'r LoginSettings) -> Self {
        Self { request, lang: Lang::from_accept_language(request.headers), origin: &settings.origin }
    }

    /// The session, if it began on this device.
    pub(super) fn session(&self) -> Option<&'r Arc<Session>> {
        let device = self.request.device.map(|d| d.id);
        self.request.session.as_ref().filter(|session| session.matches_device(device))
    }

    /// A query parameter that is there once.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        value(self.request.query.unwrap_or_default().as_bytes(), name)
    }

    /// The handle of the form, if it has the shape of one.
    pub(super) fn handle(&self) -> Option<String> {
        self.field(HANDLE_PARAM).filter(|handle| is_token(handle))
    }

    /// A day in the gateway's zone, as 2026-11-20.
    pub(super) fn day(&self, at: Timestamp) -> String {
        self.request.zone.local(at).date.to_string()
    }

    /// What people may call a passkey on this device, until they write something else.
    pub(super) fn device_name(&self) -> &'static str {
        let agent = self.request.headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
        let known = [
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Android", "Android"),
            ("CrOS", "Chromebook"),
            ("Windows", "Windows"),
            ("Macintosh", "Mac"),
            ("Linux", "Linux"),
        ];
        known.iter().find(|(mark, _)| agent.contains(mark)).map_or("", |(_, name)| *name)
    }

    /// The value of a cookie that only this browser has.
    pub(super) fn browser(&self, cookie: &str) -> Option<&'r str> {
        cookies::read(self.request.headers, cookie).filter(|value| is_token(value))
    }

    /// A field of the form that is there once.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        value(self.request.body, name)
    }

    /// The page for a POST that didn't come from a form of ours, as far as the head tells; the token is checked
    /// where it is known what it should be.
    pub(super) fn refused_form(&self) -> Option<Page> {
        if self.request.body.len() > BODY_LIMIT {
            return Some(self.notice(Tone::Wait, words::FORM_EXPIRED).page(413));
        }
        if comes_from_elsewhere(self.request.headers, self.origin) {
            return Some(self.deny(Reason::CrossSite));
        }
        let kind = self.request.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        (!kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
            .then(|| self.notice(Tone::Wait, words::FORM_EXPIRED).page(415))
    }

    /// Whether the form's token fits the browser's cookie of this name.
    pub(super) fn token_fits(&self, cookie: &str, purpose: &str) -> bool {
        let Some(cookie) = cookies::read(self.request.headers, cookie) else { return false };
        self.field("token").is_some_and(|token| same(token.as_bytes(), form_token(purpose, cookie).as_bytes()))
    }
}
