//! When people change in one browser: nobody inherits what a SaaS left there for somebody else.
//!
//! The SaaS's cookies are its own; the gate can neither read what they mean nor rename what scripts rely on. So it
//! marks whose they are. Each sign-in leaves a mark of its person on the app's host ([`cookies::OWNER`]), and each
//! cookie that the SaaS sets below a path is joined by a mark of the same scope ([`cookies::OWNER_BELOW`]): where the
//! SaaS's cookie is sent, its mark is sent too, also after a restart of the gate and a year later.
//!
//! - **At the ticket**, before the person's first request: if the mark is not theirs, every cookie that came is taken
//!   away by name and `Clear-Site-Data` empties storage and cache. Not by its `"cookies"`, which in browsers reaches
//!   the whole registrable domain: our own sign-in of a moment ago would go.
//! - **On the first request after it**: a ticket that was followed from another site comes without `SameSite=Strict`
//!   cookies. So the ticket leaves a provisional mark; the next request, which our own page leads to, brings them, and
//!   they are taken away before the person's mark is set.
//! - **On every request** below a path where somebody else's mark stands: the SaaS gets no cookie at all, so that it
//!   shows its login page; the answer takes away what stood there.
//! - **At a switch** (`/switch`, where nobody is signed in any more) the browser is led through the hosts and clears
//!   everything: see [`identity::Clearings`].
//!
//! What is left: a cookie that a script set for a path of its own has no mark, and only a switch takes it away.

use apps::cookies;
use data_encoding::BASE64URL_NOPAD;
use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use identity::Owners;
use pingora_error::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use vocabulary::PersonId;

use super::Passage;
use super::exchange::{Destination, Exchange};
use super::generation::App;
use crate::gate::Gate;

/// Marks below paths that we follow, at most, per request.
const MOST_SCOPES: usize = 8;
/// Names that are taken away, at most, per answer. A browser keeps 180 per domain.
const MOST_NAMES: usize = 180;

/// What a request's marks say.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// Paths that are marked for who is signed in.
    own: Vec<String>,
    /// `Set-Cookie` values that take away what is somebody else's; not empty: the SaaS gets no cookies.
    taken_away: Vec<String>,
    /// `Set-Cookie` value of the person's own mark, where the provisional one stood.
    settled: Option<String>,
}

impl Scopes {
    /// The SaaS is sent no cookies.
    pub(super) fn take_away(&self) -> bool {
        !self.taken_away.is_empty()
    }
}

/// For a redeemed ticket: the cookies to set, and whether storage and cache are to be cleared.
pub(super) fn at_ticket(
    gate: &Gate,
    app: &App,
    host: &str,
    person: &PersonId,
    headers: &HeaderMap,
) -> (Vec<String>, Option<&'static str>) {
    let owners = gate.core.identity.owners();
    let mark = cookies::read(headers, cookies::OWNER);
    if mark.is_some_and(|mark| owners.is_of(host, mark, person)) {
        return (vec![cookies::set_for_long(cookies::OWNER, &owners.mark(host, person))], None);
    }
    let mut set = vec![cookies::set_for_long(cookies::OWNER, &provisional(owners, host, person))];
    let names = saas::saas_cookie_names(headers);
    let fresh = mark.is_none() && names.is_empty();
    set.extend(take_away(&names, &["/"], app, host));
    // A browser that brings nothing may still have something in its storage.
    (set, Some(if fresh { "\"storage\"" } else { "\"cache\", \"storage\"" }))
}

/// Takes away everything that came with a request, on its way through a clearing.
pub(super) fn at_clearing(app: &App, host: &str, headers: &HeaderMap) -> Vec<String> {
    let ours = [cookies::APP, cookies::BEGIN, cookies::HELD, cookies::SAAS].map(cookies::clear);
    let wide = cookies::expire(cookies::SAAS_WIDE, "/", Some(app.map.main().our_host()));
    ours.into_iter().chain(wide).chain(take_away(&saas::saas_cookie_names(headers), &["/"], app, host)).collect()
}

/// Reads the marks of a request that is about to be forwarded.
pub(super) fn of_request(gate: &Gate, exchange: &Exchange, headers: &HeaderMap) -> Scopes {
    let mut scopes = Scopes::default();
    let (Destination::App { app, .. }, Some(session)) = (&exchange.destination, &exchange.session) else {
        return scopes;
    };
    let owners = gate.core.identity.owners();
    let mark = cookies::read(headers, cookies::OWNER).filter(|mark| mark.starts_with(PROVISIONAL));
    if mark.is_some_and(|mark| mark == provisional(owners, &exchange.host, session.person())) {
        scopes.taken_away = take_away(&saas::saas_cookie_names(headers), &["/"], app, &exchange.host);
        let mark = owners.mark(&exchange.host, session.person());
        scopes.settled = Some(cookies::set_for_long(cookies::OWNER, &mark));
    }
    let mut foreign: Vec<String> = Vec::new();
    for value in cookies::read_all(headers, cookies::OWNER_BELOW).take(MOST_SCOPES * 4) {
        let Some((mark, path)) = value.split_once('.').and_then(|(mark, path)| Some((mark, decode(path)?))) else {
            continue;
        };
        let scope = scope(app, &path);
        if owners.is_of(&scope, mark, session.person()) {
            scopes.own.push(path);
        } else if owners.is_ours(&scope, mark) && !foreign.contains(&path) {
            foreign.push(path);
        }
    }
    if !foreign.is_empty() {
        let mut names = saas::saas_cookie_names(headers);
        names.push(cookies::OWNER_BELOW.to_owned());
        let paths: Vec<&str> = foreign.iter().map(String::as_str).collect();
        scopes.taken_away.extend(take_away(&names, &paths, app, &exchange.host));
    }
    scopes
}

/// The SaaS is shown nothing of somebody else's.
pub(super) fn outgoing(passage: &Passage, request: &mut RequestHeader) {
    if passage.scopes.take_away() {
        request.remove_header(&COOKIE);
    }
}

/// What was somebody else's is taken away, and what the SaaS sets below a path is marked.
pub(super) fn incoming(
    passage: &Passage,
    exchange: &Exchange,
    request_path: &str,
    response: &mut ResponseHeader,
) -> Result<()> {
    let (Destination::App { app, .. }, Some(session)) = (&exchange.destination, &exchange.session) else {
        return Ok(());
    };
    let scopes = &passage.scopes;
    if scopes.take_away() {
        // Before what the SaaS sets now, which is for who is signed in.
        let set_now: Vec<_> = response.headers.get_all(SET_COOKIE).iter().cloned().collect();
        response.remove_header(&SET_COOKIE);
        for value in &scopes.taken_away {
            response.append_header(SET_COOKIE, value.as_str())?;
        }
        for value in set_now {
            response.append_header(SET_COOKIE, value)?;
        }
    }
    if let Some(mark) = &scopes.settled {
        response.append_header(SET_COOKIE, mark.as_str())?;
    }
    if !response.headers.contains_key(SET_COOKIE) || scopes.own.len() >= MOST_SCOPES {
        return Ok(());
    }
    let owners = passage.gate.core.identity.owners();
    for below in saas::cookie_scopes(&response.headers, request_path).into_iter().take(MOST_SCOPES) {
        // A taken-away cookie is a scope as well, and one of somebody else's.
        if scopes.own.contains(&below.path) || below.path.len() > 200 {
            continue;
        }
        let mark = owners.mark(&scope(app, &below.path), session.person());
        let value = format!("{mark}.{}", BASE64URL_NOPAD.encode(below.path.as_bytes()));
        let domain = below.whole_app.then(|| app.map.main().our_host());
        response.append_header(SET_COOKIE, cookies::set_below(&value, &below.path, domain))?;
    }
    Ok(())
}

/// Whether a host's mark is a person's, provisional or not.
pub(super) fn is_of(owners: &Owners, host: &str, mark: &str, person: &PersonId) -> bool {
    owners.is_of(host, mark, person) || mark == provisional(owners, host, person)
}

/// Begins a provisional mark, so that nothing needs to be hashed to tell it from a person's own.
const PROVISIONAL: &str = "p.";

/// The mark that a ticket leaves: of the person, once what the browser did not send along is gone.
fn provisional(owners: &Owners, host: &str, person: &PersonId) -> String {
    format!("{PROVISIONAL}{}", owners.mark(&format!("{host} provisional"), person))
}

/// For an app as a whole: a mark with a Domain is sent to each of its hosts.
fn scope(app: &App, path: &str) -> String {
    format!("{} {path}", app.map.main().our_host())
}

fn decode(path: &str) -> Option<String> {
    String::from_utf8(BASE64URL_NOPAD.decode(path.as_bytes()).ok()?)
        .ok()
        .filter(|path| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b';'))
}

/// Each name at each path, as a cookie of this host alone and of each domain above it that a script could have named.
fn take_away(names: &[String], paths: &[&str], app: &App, host: &str) -> Vec<String> {
    let mut domains: Vec<Option<&str>> = vec![None, Some(host)];
    let mut above = host;
    // Not the last label: no browser keeps a cookie for it. What is refused besides does no harm.
    while let Some((_, rest)) = above.split_once('.').filter(|(_, rest)| rest.contains('.')) {
        domains.push(Some(rest));
        above = rest;
    }
    if !domains.contains(&Some(app.map.main().our_host())) {
        domains.push(Some(app.map.main().our_host()));
    }
    let mut out = Vec::new();
    for name in names.iter().take(MOST_NAMES) {
        for path in paths {
            // A `__Host-` cookie has neither Domain nor another path.
            let domains = if name.starts_with("__Host-") { &domains[..1] } else { &domains[..] };
            out.extend(domains.iter().flat_map(|domain| cookies::expire(name, path, *domain)));
        }
    }
    out
}
