//! Station: our pages of enrolment. Where invitations lead (`enroll.<domain>`), and where a device's certificate is looked
//! at and renewed (`device.<domain>`): a host of its own, to which a browser that has just been given a certificate opens
//! a connection of its own.
//!
//! | host | path | what |
//! |---|---|---|
//! | enroll | `/i/<secret>` and beneath | an invitation: `invitation.rs` |
//! | enroll | `/acme/…` | ACME (RFC 8555): `acme.rs` |
//! | enroll | `/device-ca.crl`, `/device-ca-former-1.crl`, … | what is revoked (RFC 5280), by each CA |
//! | device | `/` | whether the certificate is seen: `device.rs` |
//! | device | `/renew` and beneath | the next certificate: `device.rs` |
//! | both | `/.well-known/est/…` | EST (RFC 7030): `est.rs` |
//! | both | `/.sekisho/ticket` | a sign-in comes to this host |
//!
//! The line has judged and recorded the request. What takes effect here is recorded before it does (`crate::enrol`), and
//! goes on to its end when the client goes away in the middle.

mod acme;
mod device;
mod download;
mod est;
mod invitation;

use std::net::IpAddr;
use std::sync::Arc;

use apps::enroll::{Client, Problem, Visit};
use apps::{Lang, cookies, forms};
use http::{HeaderMap, Method, StatusCode};
use identity::{Begin, Redeem};
use pingora_error::Result;
use pingora_proxy::Session;
use vocabulary::{PersonId, Reason, Timestamp};

use super::Passage;
use super::exchange::{Destination, Exchange};
use super::facts::{DeviceState, Known};
use super::generation::Generation;
use super::sign_in::{is_top_level, parameter, target_of};
use crate::answer;
use crate::control::Actor;
use crate::core::Core;
use crate::gate::Gate;
use crate::listener::Connection;

/// The longest body of a program's request, and of a form.
const BODY_LIMIT: usize = 32 * 1024;
const FORM_LIMIT: usize = 4 * 1024;

/// Answers a permitted request.
pub(super) async fn answer(passage: &mut Passage, session: &mut Session, exchange: &Arc<Exchange>) -> Result<()> {
    let Some(connection) = passage.connection.clone() else {
        return write(session, passage, Reply::Page(apps::Page::redirect("/".to_owned(), []))).await;
    };
    let body = read_body(session, &exchange.path).await?;
    let known = Known::look_up(&passage.gate, &passage.generation, &connection, exchange, passage.now);
    let head = session.req_header();
    let asked = Asked {
        gate: passage.gate.clone(),
        generation: passage.generation.clone(),
        exchange: exchange.clone(),
        is_inside: !passage.generation.policy.networks().sure(known.network).is_empty(),
        person: known.person.as_ref().filter(|person| person.is_here()).map(|person| person.id.clone()),
        device: known.device,
        connection,
        headers: head.headers.clone(),
        target: target_of(session),
        body,
        now: passage.now,
        code: answer::code(passage.position()),
    };
    let reply = match tokio::spawn(asked.answer()).await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::error!(%error, "a page of enrolment could not be made");
            Reply::status(StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    write(session, passage, reply).await
}

/// What stands in records for a path: the secret of a link does not, however it was written.
pub(super) fn masked(path: &str) -> String {
    let Some(at) = path.find("/i/") else { return path.to_owned() };
    let (before, rest) = path.split_at(at + "/i/".len());
    let rest = rest.trim_start_matches('/');
    let end = rest.find(['/', '?', ';']).unwrap_or(rest.len());
    format!("{before}***{}", &rest[end..])
}

/// A request with all that is needed to answer it, away from its connection.
struct Asked {
    gate: Arc<Gate>,
    generation: Arc<Generation>,
    exchange: Arc<Exchange>,
    connection: Arc<Connection>,
    device: DeviceState,
    /// Signed in on this host, on duty, and with the certificate that the session began with.
    person: Option<PersonId>,
    /// From a network of the configuration, for sure.
    is_inside: bool,
    headers: HeaderMap,
    target: String,
    body: Vec<u8>,
    now: Timestamp,
    code: Option<String>,
}

/// What is sent.
enum Reply {
    Page(apps::Page),
    Raw { status: StatusCode, headers: Vec<(&'static str, String)>, body: Vec<u8> },
}

impl Reply {
    fn status(status: StatusCode) -> Self {
        Self::Raw { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A file to be opened by the system, not shown by the browser.
    fn file(kind: &'static str, name: &str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", kind.to_owned()),
            ("content-disposition", format!("attachment; filename=\"{name}\"")),
            ("cache-control", "no-store".to_owned()),
        ];
        Self::Raw { status: StatusCode::OK, headers, body }
    }
}

impl From<apps::Page> for Reply {
    fn from(page: apps::Page) -> Self {
        Self::Page(page)
    }
}

impl Asked {
    async fn answer(self) -> Reply {
        let path = self.exchange.path.as_str();
        let on_enroll = matches!(self.exchange.destination, Destination::Enroll);
        if let Some(rest) = path.strip_prefix("/.well-known/est/") {
            return est::answer(&self, rest).await;
        }
        if on_enroll && let Some(rest) = path.strip_prefix(acme::BASE).filter(|rest| rest.starts_with('/')) {
            return acme::answer(&self, rest).await;
        }
        match path {
            apps::TICKET_PATH => self.ticket().await,
            apps::enroll::SCRIPT_PATH => {
                let version = self.parameter("v");
                apps::enroll::script_page(version.as_deref()).into()
            }
            _ if on_enroll && path.ends_with(".crl") && self.is_read() => {
                let name = path.trim_start_matches('/');
                match self.core().enrol.crl.der(name) {
                    Some(der) => Reply::file("application/pkix-crl", name, der),
                    None => self.problem(Problem::Unknown),
                }
            }
            _ if on_enroll => match path.strip_prefix("/i/") {
                Some(rest) => invitation::answer(&self, rest).await,
                None => self.problem(Problem::Unknown),
            },
            _ => device::answer(&self).await,
        }
    }

    /// A step of a clearing: what stands here is taken away, and the browser goes on to the next host.
    fn clear(&self, handle: &str) -> Reply {
        let expired = || apps::link_expired_page(self.lang(), "/", self.code.as_deref()).into();
        if self.exchange.method != Method::GET || !is_top_level(&self.headers) {
            return expired();
        }
        // Nothing of a SaaS stands here, so whose it is makes no difference.
        match self.core().identity.clearings().step(handle, &self.exchange.host, |_| true, self.now) {
            Ok(Some(next)) => apps::clearing_page(self.lang(), &self.generation.login.clearing_url(next))
                .with_cookies([cookies::APP, cookies::BEGIN, cookies::FORM].map(cookies::clear))
                .clearing("\"cache\", \"cookies\", \"storage\"")
                .into(),
            _ => expired(),
        }
    }

    fn core(&self) -> &Arc<Core> {
        &self.gate.core
    }

    fn client(&self) -> Client {
        Client::of(&self.headers)
    }

    fn lang(&self) -> Lang {
        Lang::from_accept_language(&self.headers)
    }

    fn is_read(&self) -> bool {
        matches!(self.exchange.method, Method::GET | Method::HEAD)
    }

    fn source(&self) -> IpAddr {
        self.connection.ip()
    }

    fn origin(&self) -> String {
        let rules = self.core().enrol.rules();
        match self.exchange.destination {
            Destination::Enroll => rules.enroll_origin.clone(),
            _ => rules.device_origin.clone(),
        }
    }

    fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    fn parameter(&self, name: &str) -> Option<String> {
        forms::value(self.query().as_bytes(), name)
    }

    fn field(&self, name: &str) -> Option<String> {
        forms::value(&self.body, name)
    }

    /// Who is signed in, as the one who acts.
    fn actor(&self, person: &PersonId) -> Actor {
        Actor { who: person.to_string(), channel: "enroll" }
    }

    fn with_visit<T>(&self, page: impl FnOnce(&Visit<'_>) -> T) -> T {
        page(&Visit { lang: self.lang(), client: &self.client(), code: self.code.as_deref() })
    }

    fn problem(&self, problem: Problem) -> Reply {
        self.problem_with(problem, None)
    }

    fn problem_with(&self, problem: Problem, way: Option<(&str, apps::words::Text)>) -> Reply {
        let rules = self.core().enrol.rules();
        self.with_visit(|visit| apps::enroll::problem_page(visit, problem, way, rules.settings.contact.as_deref()))
            .into()
    }

    fn deny(&self, reason: Reason) -> Reply {
        let deny = apps::Deny { reason, code: self.code.as_deref(), sign_in: None, set_up: false, app: None };
        apps::deny_page(&deny, self.lang()).into()
    }

    /// Whether a POST came from a form of ours on this host.
    fn is_our_form(&self, purpose: &str) -> bool {
        !forms::comes_from_elsewhere(&self.headers, &self.origin())
            && forms::token_fits(&self.headers, &self.body, purpose)
    }

    /// The way to the sign-in pages and back to `target` on this host.
    fn begin_sign_in(&self, target: &str) -> Reply {
        let begun = self.core().identity.sign_ins().begin(Begin {
            host: &self.exchange.host,
            target,
            certificate: self.connection.certificate.as_ref().map(|certificate| certificate.fingerprint.0),
            remaining_hosts: Vec::new(),
            binder: cookies::read(&self.headers, cookies::BEGIN),
            within: None,
            source: self.source(),
            now: self.now,
        });
        match begun {
            Ok(started) => {
                let cookie = cookies::set(cookies::BEGIN, &started.binder_cookie);
                apps::Page::redirect(self.generation.login.sign_in_url(&started.handle), [cookie]).into()
            }
            Err(error) => {
                tracing::error!(%error, "a sign-in could not begin");
                Reply::status(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }

    /// A sign-in comes to this host, or people change in this browser; by top-level navigation only.
    async fn ticket(&self) -> Reply {
        if let Some(handle) = parameter(&self.target, apps::CLEAR_PARAM) {
            return self.clear(handle);
        }
        let expired = || Reply::Page(apps::link_expired_page(self.lang(), "/", self.code.as_deref()));
        let ticket = parameter(&self.target, apps::TICKET_PARAM);
        let (true, true, Some(ticket)) = (self.exchange.method == Method::GET, is_top_level(&self.headers), ticket)
        else {
            return expired();
        };
        let binder = cookies::read(&self.headers, cookies::BEGIN);
        let identity = &self.core().identity;
        let redeemed = identity.sign_ins().redeem(Redeem {
            ticket,
            host: &self.exchange.host,
            certificate: self.connection.certificate.as_ref().map(|certificate| certificate.fingerprint.0),
            binder,
            now: self.now,
        });
        let Ok(redeemed) = redeemed else {
            return match binder {
                None => apps::cookies_off_page(self.lang(), "/", self.code.as_deref()).into(),
                Some(_) => expired(),
            };
        };
        // A browser may show its certificate to one host and not to the other: it would be led in circles.
        let device = self.device.enrolled().map(|device| &device.id);
        if identity.sessions().get(&redeemed.session).is_some_and(|session| !session.matches_device(device)) {
            return self.deny(Reason::SessionElsewhere);
        }
        match identity.sessions().token_for_host(&redeemed.session, &self.exchange.host).await {
            Ok(token) => apps::Page::redirect(redeemed.target, [cookies::set(cookies::APP, token.as_str())]).into(),
            Err(error) => {
                tracing::warn!(%error, "a session could not be brought to a page of enrolment");
                expired()
            }
        }
    }
}

/// The whole body, or one byte more than it may have. Nothing is read where none is wanted: anybody can send it.
async fn read_body(session: &mut Session, path: &str) -> Result<Vec<u8>> {
    let limit = match session.req_header().method {
        Method::POST if path.starts_with("/.well-known/est/") || path.starts_with(acme::BASE) => BODY_LIMIT,
        Method::POST => FORM_LIMIT,
        _ => return Ok(Vec::new()),
    };
    let mut body = Vec::new();
    if session.req_header().headers.contains_key(http::header::EXPECT) {
        session.write_continue_response().await?;
    }
    while body.len() <= limit {
        match session.read_request_body().await? {
            Some(piece) => body.extend_from_slice(&piece),
            None => break,
        }
    }
    body.truncate(limit + 1);
    Ok(body)
}

async fn write(session: &mut Session, passage: &mut Passage, reply: Reply) -> Result<()> {
    match reply {
        Reply::Page(page) => answer::write(session, passage, page).await,
        Reply::Raw { status, headers, body } => answer::write_bytes(session, passage, status, headers, body).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_s_secret_does_not_stand_in_records() {
        for (path, told) in [
            ("/i/abcdefghjkmnpqrstuvwxyz23", "/i/***"),
            ("/i/abcdefghjkmnpqrstuvwxyz23/device.p12", "/i/***/device.p12"),
            ("/i/abc?os=ios", "/i/***?os=ios"),
            ("/i/abc;x=1/y", "/i/***;x=1/y"),
            ("/i/", "/i/***"),
            ("/device-ca.crl", "/device-ca.crl"),
            ("/x/i//abcdefgh/y", "/x/i/***/y"),
        ] {
            assert_eq!(masked(path), told);
        }
    }
}
