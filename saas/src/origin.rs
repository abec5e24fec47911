//! Who made the browser send a request, and what the browser does with the answer.
//!
//! Apps of one gateway are same-site to browsers, and a SaaS's scripts run on its app's hosts: so "same site"
//! proves nothing here, and only the app's own origins count as one site (Fetch metadata, RFC 6454 Origin).

use http::{HeaderMap, Method, header};

use crate::field::{self, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE, X_REQUESTED_WITH};
use crate::host_map::{HostIndex, HostMap};

/// Whether a page of another site, or of another app, made this request.
///
/// A top-level GET navigation is nobody's forgery: the address may come from a mail, a bookmark or a link. A
/// request that no browser has marked (no Sec-Fetch-Site, no Origin, no Referer) comes from no page: every browser
/// since 2020 sends Origin with what isn't GET. A WebSocket needs the Origin of one of the app's pages.
/// `host`: the one the request was sent to; `websocket`: [`is_websocket`] of this request.
pub fn is_cross_site(method: &Method, headers: &HeaderMap, hosts: &HostMap, host: HostIndex, websocket: bool) -> bool {
    let origin = field::get(headers, &header::ORIGIN);
    let own_origin = origin.is_some_and(|o| hosts.upstream_for(o).is_some());
    if own_origin {
        return false;
    }
    if websocket {
        return true;
    }
    let top_level = matches!(*method, Method::GET | Method::HEAD)
        && field::get(headers, &SEC_FETCH_MODE) == Some("navigate")
        && field::get(headers, &SEC_FETCH_DEST) == Some("document");
    if top_level {
        return false;
    }
    // `null` hides the origin, also a page's own under `Referrer-Policy: no-referrer`; the browser's verdict decides.
    if origin.is_some_and(|o| o != "null") {
        return true;
    }
    match field::get(headers, &SEC_FETCH_SITE) {
        Some("same-origin" | "none") => false,
        Some("same-site") => match referer_is_own(headers, hosts) {
            Some(own) => !own,
            None => host == HostIndex::MAIN || !is_page_part(method, headers),
        },
        Some(_) => true,
        None => origin.is_some() || unmarked_is_foreign(method, headers, hosts),
    }
}

/// Whether this is a CORS preflight that one of the app's pages caused. It carries nothing by which anybody could
/// be known, and no body; forward it with [`crate::outgoing_preflight`].
pub fn is_own_preflight(method: &Method, headers: &HeaderMap, hosts: &HostMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && field::get(headers, &header::ORIGIN).is_some_and(|o| hosts.upstream_for(o).is_some())
        && !headers.contains_key(header::COOKIE)
        && !headers.contains_key(header::AUTHORIZATION)
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && headers.get(header::CONTENT_LENGTH).is_none_or(|v| v.as_bytes() == b"0")
}

/// Whether a browser loads a page, in a tab or a frame. Browsers without fetch metadata are told by what they accept.
pub fn is_navigation(headers: &HeaderMap) -> bool {
    match headers.get(&SEC_FETCH_MODE) {
        Some(mode) => mode.as_bytes() == b"navigate",
        None => !headers.contains_key(&X_REQUESTED_WITH) && accepts_html(headers),
    }
}

/// Whether a refusal should be a page. Scripts, pictures and other parts of a page get a machine-readable body
/// instead, and never a redirect.
pub fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    !is_websocket(method, headers) && is_navigation(headers)
}

/// Whether this asks for a WebSocket (RFC 6455 §4.1).
pub fn is_websocket(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && headers.get(header::UPGRADE).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && field::list(headers, &header::CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
}

/// A part of a page, fetched without credentials of its own making. Pages under `Referrer-Policy: same-origin` ask
/// for these at the app's further hosts without naming themselves; the main host gives nobody this benefit.
fn is_page_part(method: &Method, headers: &HeaderMap) -> bool {
    const PARTS: [&str; 7] = ["style", "script", "image", "font", "audio", "video", "track"];
    matches!(*method, Method::GET | Method::HEAD)
        && field::get(headers, &SEC_FETCH_DEST).is_some_and(|dest| PARTS.contains(&dest))
}

/// Without fetch metadata and Origin: a foreign Referer tells on everything but what may be a top-level navigation.
fn unmarked_is_foreign(method: &Method, headers: &HeaderMap, hosts: &HostMap) -> bool {
    let foreign = referer_is_own(headers, hosts) == Some(false);
    let navigation = matches!(*method, Method::GET | Method::HEAD) && is_navigation(headers);
    foreign && !navigation
}

/// `None` without a Referer.
fn referer_is_own(headers: &HeaderMap, hosts: &HostMap) -> Option<bool> {
    let referer = field::get(headers, &header::REFERER)?;
    let Some(rest) = referer.strip_prefix("https://") else { return Some(false) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    Some(hosts.iter().any(|(_, h)| h.our_authority().eq_ignore_ascii_case(authority)))
}

fn accepts_html(headers: &HeaderMap) -> bool {
    field::list(headers, &header::ACCEPT).any(|range| {
        let essence = field::essence(range);
        essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml")
    })
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
