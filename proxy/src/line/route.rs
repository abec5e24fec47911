//! Station: route. The host name asked for, held against the TLS server name, gives the app.

use pingora_error::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::Passage;
use super::exchange::Destination;
use super::generation::{Generation, Named};

pub(super) struct Routed {
    pub(super) destination: Destination,
    /// Lower case, without port.
    pub(super) host: String,
}

/// An absolute form of the target becomes the origin form that it stands for, so that nothing behind here (the reserved
/// path, the SaaS) has to know two. One that names another host stays, and is refused as ambiguous.
pub(super) fn to_origin_form(session: &mut Session) -> Result<()> {
    let request = session.req_header_mut();
    let host = request.headers.get(http::header::HOST).map_or(&[][..], |host| host.as_bytes());
    match saas::without_authority(request.raw_path(), host).map(<[u8]>::to_vec) {
        Some(target) => request.set_raw_path(&target),
        None => Ok(()),
    }
}

pub(super) fn find(passage: &Passage, session: &Session) -> Routed {
    let request = session.req_header();
    let host = host_of(request);
    let server_name = passage.connection.as_ref().and_then(|c| c.server_name.as_deref());
    Routed { destination: destination(&passage.generation, &host, server_name, request.raw_path()), host }
}

fn destination(generation: &Generation, host: &str, server_name: Option<&str>, target: &[u8]) -> Destination {
    let Some(asked) = generation.hosts.get(host) else { return Destination::Nowhere };
    let shaken_hands_for = server_name.and_then(|name| generation.hosts.get(name));
    match (asked, shaken_hands_for) {
        (Named::Login, Some(Named::Login)) => Destination::Login,
        (Named::Scim, Some(Named::Scim)) => Destination::Scim,
        (Named::Enroll, Some(Named::Enroll)) => Destination::Enroll,
        (Named::Device, Some(Named::Device)) => Destination::Device,
        (Named::App { app, host }, Some(Named::App { app: other, .. })) if app.id == other.id => {
            let path = target.split(|b| *b == b'?').next().unwrap_or_default();
            match path == apps::TICKET_PATH.as_bytes() {
                true => Destination::Ticket { app: app.clone() },
                false => Destination::App { app: app.clone(), host: *host },
            }
        }
        // HTTP/2 connections are coalesced across names, and a client may lie: RFC 9110, 15.5.20.
        _ => Destination::Misdirected,
    }
}

/// `:authority` on HTTP/2, else Host. That the two agree is seen to where ambiguity is.
fn host_of(request: &RequestHeader) -> String {
    let authority = request
        .uri
        .authority()
        .map(|a| a.as_str().as_bytes())
        .or_else(|| request.headers.get(http::header::HOST).map(|h| h.as_bytes()))
        .unwrap_or_default();
    let host = match authority.iter().position(|b| *b == b']') {
        _ if authority.contains(&b'@') => authority,
        Some(end) => &authority[..=end],
        None => authority.split(|b| *b == b':').next().unwrap_or_default(),
    };
    // What is no name may be a password in the wrong place (`user:password@host`), and is recorded.
    if !host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']')) {
        return "-".to_owned();
    }
    // Names are at most 253 bytes long; what is longer is nobody's and only its beginning is recorded.
    String::from_utf8_lossy(&host[..host.len().min(253)]).to_ascii_lowercase()
}
