//! Our own pages: the sign-in service, the ticket that brings a sign-in to an app's host, and refusals, some of
//! which lead to a sign-in.

use std::sync::Arc;

use apps::{Deny, LoginDevice, LoginRequest, cookies};
use http::{HeaderMap, Method};
use identity::{Begin, Bind, Redeem};
use pingora_error::Result;
use pingora_proxy::Session;
use vocabulary::{AppId, DeviceId, PersonId, Reason, Timestamp, Zone};

use super::exchange::{Destination, Exchange};
use super::facts::{Known, PersonState};
use super::judge::{Page, Refusal};
use super::record::SignInRecorder;
use super::{Passage, handover, held, rejudge};
use crate::answer::{self, WayOn};

/// Answers a permitted request for one of our pages.
pub(super) async fn answer(
    passage: &mut Passage,
    session: &mut Session,
    exchange: &Arc<Exchange>,
    page: Page,
) -> Result<()> {
    let page = match page {
        Page::Ticket => ticket(passage, session, exchange).await,
        // The line asks `scim` and `enroll` itself for their own; nothing of them comes here.
        Page::Login | Page::Scim | Page::Enroll => login(passage, session, exchange).await?,
    };
    answer::write(session, passage, page).await
}

/// Refuses: a page, JSON, or, where signing in would help somebody who opens a page, the way to the sign-in page.
pub(super) async fn refuse(
    passage: &mut Passage,
    session: &mut Session,
    exchange: &Arc<Exchange>,
    refusal: Refusal,
) -> Result<()> {
    passage.refused(exchange.clone());
    if matches!(exchange.destination, Destination::Scim) {
        return super::scim::refuse(passage, session, refusal.reason).await;
    }
    let headers = &session.req_header().headers;
    let help = help(passage, exchange, refusal.reason);
    let helped = help.is_some();
    // What was sent, not what the SaaS would have made of it: that is what a browser can or can't send again.
    let sent = session.req_header().method.clone();
    let keeps = help == Some(Help::SignIn) && sent == Method::POST;
    // How recent the sign-in must be, where the rule asks for a recent one.
    let stale = refusal.rule.as_ref().filter(|_| refusal.reason == Reason::SignInStale);
    let within = stale.and_then(|rule| passage.generation.policy.signed_in_within(rule)).map(i64::from);
    let begun = match &exchange.destination {
        Destination::App { .. } if helped && exchange.wants_page => {
            // A form can't be sent again by a redirect: it waits on a page of its own, or its page is opened anew.
            let target = match sent {
                Method::GET | Method::HEAD => target_of(session),
                _ if keeps => held::page_address(),
                _ => exchange.path.clone(),
            };
            begin(passage, headers, exchange, &target, within)
        }
        _ => None,
    };
    let set_up = help == Some(Help::SetUp);
    let page = match begun {
        Some((url, cookie)) if help == Some(Help::SignIn) && matches!(sent, Method::GET | Method::HEAD) => {
            apps::Page::redirect(url, [cookie])
        }
        Some((url, cookie)) if keeps => held::keep(passage, session, exchange, &url).await?.with_cookies([cookie]),
        Some((url, cookie)) => {
            let url = help.map_or(url.clone(), |help| help.lead(passage, &url));
            let way = WayOn { url: &url, set_up };
            answer::refusal(passage, headers, refusal.reason, true, Some(way)).with_cookies([cookie])
        }
        None => {
            let url = help.map(|help| help.lead(passage, &format!("{}/", passage.generation.login_origin)));
            let way = url.as_deref().map(|url| WayOn { url, set_up });
            answer::refusal(passage, headers, refusal.reason, exchange.wants_page, way)
        }
    };
    answer::write(session, passage, page).await
}

/// What the person could do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Help {
    SignIn,
    /// With the second factor this time: the session was begun without.
    SignInAgain,
    /// The person has no second factor; with one, they could sign in with it and come in.
    SetUp,
}

impl Help {
    /// The address that helps, made of that of the sign-in page.
    fn lead(self, passage: &Passage, sign_in: &str) -> String {
        let origin = &passage.generation.login_origin;
        let query = sign_in.strip_prefix(origin.as_str()).and_then(|rest| rest.split_once('?')).map(|(_, query)| query);
        match (self, query) {
            (Self::SignIn, _) => sign_in.to_owned(),
            (Self::SignInAgain, Some(query)) => format!("{origin}/?{}=1&{query}", apps::AGAIN_PARAM),
            (Self::SignInAgain, None) => format!("{origin}/?{}=1", apps::AGAIN_PARAM),
            (Self::SetUp, Some(query)) => format!("{origin}/security?{query}"),
            (Self::SetUp, None) => format!("{origin}/security"),
        }
    }
}

fn help(passage: &Passage, exchange: &Exchange, reason: Reason) -> Option<Help> {
    match reason {
        Reason::SignInNeeded | Reason::SessionElsewhere | Reason::SignInStale => Some(Help::SignIn),
        Reason::FactorsNeeded => {
            let connection = passage.connection.as_ref()?;
            let known = Known::look_up(&passage.gate, &passage.generation, connection, exchange, passage.now);
            let facts = known.facts_with_second_factor(exchange)?;
            // Two factors of the sign-in would do, so it is worth the trouble.
            if !passage.generation.policy.decide(&facts).is_permit() {
                return None;
            }
            // A provider's sign-in gets no second factor from ours.
            exchange.session.as_ref().filter(|session| session.account().is_none())?;
            let factors = passage.gate.core.identity.directory().factors(&known.person.as_ref()?.id);
            match (factors.second(), factors.password) {
                (true, _) => Some(Help::SignInAgain),
                (false, true) => Some(Help::SetUp),
                // Signs in elsewhere, and nothing of that is in our hands.
                (false, false) => None,
            }
        }
        _ => None,
    }
}

pub(super) fn target_of(session: &Session) -> String {
    String::from_utf8_lossy(session.req_header().raw_path()).into_owned()
}

/// Remembers where somebody wanted to go; the address of the sign-in page and the cookie that marks the browser.
fn begin(
    passage: &Passage,
    headers: &HeaderMap,
    exchange: &Exchange,
    target: &str,
    within: Option<i64>,
) -> Option<(String, String)> {
    let app = exchange.destination.app()?;
    let connection = passage.connection.as_ref()?;
    let others = app.map.iter().map(|(_, host)| host.our_host()).filter(|host| *host != exchange.host);
    let started = passage
        .gate
        .core
        .identity
        .sign_ins()
        .begin(Begin {
            host: &exchange.host,
            target,
            certificate: connection.certificate.as_ref().map(|c| c.fingerprint.0),
            remaining_hosts: others.map(str::to_owned).collect(),
            binder: cookies::read(headers, cookies::BEGIN),
            within,
            source: connection.ip(),
            now: passage.now,
        })
        .map_err(|error| tracing::error!(%error, "a sign-in could not begin"))
        .ok()?;
    let url = passage.generation.login.sign_in_url(&started.handle);
    Some((url, cookies::set(cookies::BEGIN, &started.binder_cookie)))
}

/// The reserved path of an app's host: a ticket is redeemed, or a handle bound to this browser. By top-level
/// navigation only, so that no page can do it behind somebody's back.
async fn ticket(passage: &mut Passage, session: &Session, exchange: &Exchange) -> apps::Page {
    let headers = &session.req_header().headers;
    let lang = apps::Lang::from_accept_language(headers);
    let code = answer::code(passage.position());
    let expired = || apps::link_expired_page(lang, "/", code.as_deref());
    if session.req_header().method != Method::GET || !is_top_level(headers) {
        return expired();
    }
    let Some(connection) = passage.connection.clone() else { return expired() };
    let identity = passage.gate.core.identity.clone();
    let login = &passage.generation.login;
    let target = target_of(session);
    let (binder, certificate) =
        (cookies::read(headers, cookies::BEGIN), connection.certificate.as_ref().map(|c| c.fingerprint.0));
    let (host, now) = (exchange.host.as_str(), passage.now);

    let known = Known::look_up(&passage.gate, &passage.generation, &connection, exchange, now);
    if parameter(&target, apps::HELD_PARAM).is_some() {
        // Addresses of forms say something of residents: only for who could also send them.
        let may_see = known.person.as_ref().is_some_and(PersonState::is_here);
        if may_see && let Some(page) = held::page(passage, headers, exchange) {
            return page;
        }
        let begun = begin(passage, headers, exchange, &held::page_address(), None);
        return begun.map_or_else(expired, |(url, cookie)| apps::Page::redirect(url, [cookie]));
    }
    if let Some(handle) = parameter(&target, apps::CLEAR_PARAM) {
        let owners = identity.owners();
        // Whose the data are that stand here, if anybody's.
        let mark = cookies::read(headers, cookies::OWNER);
        let theirs = |person: &PersonId| mark.is_none_or(|mark| handover::is_of(owners, host, mark, person));
        return match (identity.clearings().step(handle, host, theirs, now), exchange.destination.app()) {
            (Ok(Some(next)), Some(app)) => {
                // Not a redirect: WebKit clears nothing on the way of one.
                apps::clearing_page(lang, &login.clearing_url(next))
                    .with_cookies(handover::at_clearing(app, host, headers))
                    .clearing("\"cache\", \"cookies\", \"storage\"")
            }
            _ => expired(),
        };
    }
    if let Some(handle) = parameter(&target, apps::HANDLE_PARAM) {
        return match identity.sign_ins().bind(Bind { handle, host, certificate, binder, now }) {
            Ok(started) => {
                let cookie = cookies::set(cookies::BEGIN, &started.binder_cookie);
                apps::Page::redirect(login.sign_in_url(&started.handle), [cookie])
            }
            Err(_) => expired(),
        };
    }
    let Some(ticket) = parameter(&target, apps::TICKET_PARAM) else { return expired() };
    let redeemed = match identity.sign_ins().redeem(Redeem { ticket, host, certificate, binder, now }) {
        Ok(redeemed) => redeemed,
        Err(error) => {
            tracing::info!(record = %passage.summary_for_log(), %error, "a ticket was not good");
            return match binder {
                // Set when the sign-in began, and not sent back.
                None => apps::cookies_off_page(lang, "/", code.as_deref()),
                Some(_) => expired(),
            };
        }
    };
    // A browser may show its certificate to one host and not to the other: it would be led in circles.
    let device = known.device.enrolled().map(|device| &device.id);
    if identity.sessions().get(&redeemed.session).is_some_and(|session| !session.matches_device(device)) {
        let reason = Reason::SessionElsewhere;
        let deny = Deny { reason, code: code.as_deref(), sign_in: None, set_up: false, app: None };
        return apps::deny_page(&deny, lang);
    }
    let token = match identity.sessions().token_for_host(&redeemed.session, host).await {
        Ok(token) => token,
        Err(error) => {
            tracing::warn!(%error, "a session could not be brought to an app's host");
            return expired();
        }
    };
    let next = match (&redeemed.next, redeemed.remaining_hosts.first()) {
        (Some(handle), Some(next)) => login.bind_url(next, handle),
        _ => format!("{}{}", login.origin_of(&redeemed.target_host), redeemed.target),
    };
    let person = identity.sessions().get(&redeemed.session).map(|session| session.person().clone());
    let (Some(app), Some(person)) = (exchange.destination.app(), person) else { return expired() };
    let (mut set, clear) = handover::at_ticket(&passage.gate, app, host, &person, headers);
    set.push(cookies::set(cookies::APP, token.as_str()));
    match clear {
        // Not a redirect: WebKit clears nothing on the way of one.
        Some(kinds) => apps::opening_page(lang, &next).with_cookies(set).clearing(kinds),
        None => apps::Page::redirect(next, set),
    }
}

pub(super) fn is_top_level(headers: &HeaderMap) -> bool {
    let says = |name: &str, wanted: &[u8]| headers.get(name).is_none_or(|v| v.as_bytes() == wanted);
    // A service worker gets the answer to its preload (Service Workers, 3.3), though it looks like a navigation.
    let by_worker = headers.contains_key("service-worker-navigation-preload");
    says("sec-fetch-mode", b"navigate") && says("sec-fetch-dest", b"document") && !by_worker
}

/// A query parameter's value; ours are base64url and need no decoding.
pub(super) fn parameter<'t>(target: &'t str, name: &str) -> Option<&'t str> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name).map(|(_, value)| value))
}

async fn login(passage: &mut Passage, session: &mut Session, exchange: &Arc<Exchange>) -> Result<apps::Page> {
    let body = read_body(session).await?;
    let generation = passage.generation.clone();
    let Some(connection) = passage.connection.clone() else {
        return Ok(apps::Page::redirect("/".to_owned(), []));
    };
    let known = Known::look_up(&passage.gate, &generation, &connection, exchange, passage.now);
    let offered = offered(passage, exchange, &known);
    let device = known.device.enrolled().cloned();
    let rules = passage.gate.core.enrol.rules();
    let url = format!("{}/renew", rules.device_origin);
    let first = rules.settings.remind.first().map_or(0, |span| i64::try_from(span.as_secs()).unwrap_or(0));
    let left = device.as_ref().map(|device| device.not_after.secs_since(passage.now));
    let renewal =
        left.filter(|left| *left <= first).map(|left| apps::RenewalDue { days_left: left / 86_400, url: &url });
    let place = Facility { inventory: &passage.gate.core.inventory, zone: &generation.zone };
    let target = target_of(session);
    let code = answer::code(passage.position());
    let recorder = SignInRecorder::new(passage, session, &known, &connection);
    let request = LoginRequest {
        method: &exchange.method,
        path: &exchange.path,
        query: target.split_once('?').map(|(_, query)| query),
        headers: &session.req_header().headers,
        body: &body,
        source: connection.ip(),
        device: device.as_ref().map(|device| LoginDevice {
            id: &device.id,
            owner: device.owner.as_ref(),
            groups: &device.groups,
        }),
        renewal,
        now: passage.now,
        today: generation.zone.local(passage.now).date,
        zone: &generation.zone,
        session: exchange.session.clone(),
        offered: Some(&offered),
        code: code.as_deref(),
        place: &place,
    };
    let reply = generation.login.handle(request, &recorder).await;
    if !reply.ended.is_empty() {
        rejudge(&passage.gate);
    }
    passage.began = reply.began;
    Ok(reply.page.with_cookies(invited_cookie(exchange, &target)))
}

/// Marks the browser of who came with an invitation, for the steps of signing in that have no handle in their address.
fn invited_cookie(exchange: &Exchange, target: &str) -> Option<String> {
    let handle = parameter(target, apps::HANDLE_PARAM).filter(|_| exchange.invited)?;
    Some(cookies::set(cookies::INVITED, handle))
}

/// Devices by the names people gave them, times by the facility's clock.
struct Facility<'a> {
    inventory: &'a cert_authority::Inventory,
    zone: &'a Zone,
}

impl apps::Place for Facility<'_> {
    fn device_name(&self, device: &DeviceId) -> Option<String> {
        self.inventory.by_id(device).map(|device| device.name.clone())
    }

    fn time(&self, at: Timestamp) -> String {
        self.zone.display(at)
    }
}

/// The apps whose front page this person could open from here.
fn offered(passage: &Passage, exchange: &Exchange, known: &Known) -> Vec<AppId> {
    let generation = &passage.generation;
    generation
        .apps
        .iter()
        .filter(|app| {
            let Some(index) = generation.policy.app(&app.id) else { return false };
            generation.policy.decide(&known.facts_for_front_page(exchange, index)).is_permit()
        })
        .map(|app| app.id.clone())
        .collect()
}

/// The whole body of a form, or one byte more than a form may have: then the page says that it is too long.
async fn read_body(session: &mut Session) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    if session.req_header().headers.contains_key(http::header::EXPECT) {
        session.write_continue_response().await?;
    }
    while body.len() <= apps::BODY_LIMIT {
        match session.read_request_body().await? {
            Some(piece) => body.extend_from_slice(&piece),
            None => break,
        }
    }
    body.truncate(apps::BODY_LIMIT + 1);
    Ok(body)
}
