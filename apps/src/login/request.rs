//! A request to the sign-in pages, its form, and whether the form came from our own page.
//!
//! A form is ours if its token is the hash of a cookie that only we can have set (`__Host-`) and that no page of
//! another origin can read; and if the browser names our own origin, where it names one. Nothing is kept on the
//! server, so a form survives a restart and a reload.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use http::header::{CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, Method};
use identity::Session;
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use vocabulary::{AppId, Date, DeviceId, GroupName, PersonId, Reason, Timestamp, Zone};

use super::{HANDLE_PARAM, LoginSettings};
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
        once(self.request.query.unwrap_or_default().as_bytes(), name)
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
        once(self.request.body, name)
    }

    /// The page for a POST that didn't come from a form of ours, as far as the head tells; the token is checked
    /// where it is known what it should be.
    pub(super) fn refused_form(&self) -> Option<Page> {
        if self.request.body.len() > BODY_LIMIT {
            return Some(self.notice(Tone::Wait, words::FORM_EXPIRED).page(413));
        }
        if self.comes_from_elsewhere() {
            return Some(self.deny(Reason::CrossSite));
        }
        let kind = self.request.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        (!kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
            .then(|| self.notice(Tone::Wait, words::FORM_EXPIRED).page(415))
    }

    /// Whether the browser says so. One that says nothing still has to show the token.
    fn comes_from_elsewhere(&self) -> bool {
        let headers = self.request.headers;
        let mut origins = headers.get_all(ORIGIN).into_iter();
        let other_origin = origins.any(|origin| origin.as_bytes() != self.origin.as_bytes());
        let mut sites = headers.get_all("sec-fetch-site").into_iter();
        let other_site = sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
        other_origin || other_site
    }

    /// Whether the form's token fits the browser's cookie of this name.
    pub(super) fn token_fits(&self, cookie: &str, purpose: &str) -> bool {
        let Some(cookie) = cookies::read(self.request.headers, cookie) else { return false };
        self.field("token").is_some_and(|token| same(token.as_bytes(), form_token(purpose, cookie).as_bytes()))
    }
}

/// What a form carries to show that it is ours: a hash, so that the page does not give the cookie away.
pub(super) fn form_token(purpose: &str, cookie: &str) -> String {
    let mut context = Context::new(&SHA256);
    for part in ["sekisho form token", purpose, cookie] {
        // Lengths first, so that no two parts run into others.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    BASE64URL_NOPAD.encode(context.finish().as_ref())
}

/// A new value for [`cookies::FORM`]. Should the system have no random bytes, an empty one, which fits nothing.
pub(super) fn new_form_cookie() -> String {
    let mut bytes = [0u8; 32];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => BASE64URL_NOPAD.encode(&bytes),
        Err(_) => String::new(),
    }
}

/// Whether it looks like a token of ours: 256 bits in base64url.
pub(super) fn is_token(cookie: &str) -> bool {
    cookie.len() == 43 && cookie.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Takes as long whether the first byte differs or the last. Both are hashes or made from them, so that even their
/// order would tell little.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (x, y)| different | (x ^ y)) == 0
}

fn once(encoded: &[u8], name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(encoded).filter(|(key, _)| key == name);
    let value = values.next()?.1.into_owned();
    values.next().is_none().then_some(value)
}
