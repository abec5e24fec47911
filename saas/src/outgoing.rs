//! What changes in a request's head on the way to the SaaS.
//!
//! The SaaS sees its own host name, none of our cookies, and no header by which a client could claim to be
//! somebody: whatever a reverse proxy in front of it might have set is taken away, since it has none but us.
//! Body framing (Content-Length, Transfer-Encoding) is the proxy's and stays.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::cookie::{self, Fate};
use crate::edits::Edits;
use crate::field;
use crate::host_map::{HostIndex, HostMap};
use crate::request::decides;

/// `host`: the one the request was sent to; `websocket`: [`crate::origin::is_websocket`] of this request.
pub fn outgoing(headers: &HeaderMap, hosts: &HostMap, host: HostIndex, websocket: bool) -> Edits {
    let mut edits = Edits::default();
    edits.set.push((header::HOST, hosts.get(host).upstream_authority_value.clone()));
    for name in headers.keys() {
        match fate(name.as_str()) {
            Head::Keep => {}
            Head::Strip => edits.remove.push(name.clone()),
            Head::Upgrade if websocket => {}
            Head::Upgrade => edits.remove.push(name.clone()),
            Head::Connection => strip_nominated(&mut edits, headers, websocket),
            Head::Cookie => match cookie::to_saas(headers) {
                Fate::Keep => {}
                Fate::Drop => edits.remove.push(header::COOKIE),
                Fate::Change(value) => edits.set.push((header::COOKIE, value)),
            },
            Head::Origin | Head::Referer => map_page(&mut edits, headers, name, hosts),
        }
    }
    if websocket {
        edits.set.push((header::CONNECTION, HeaderValue::from_static("Upgrade")));
        edits.set.push((header::UPGRADE, HeaderValue::from_static("websocket")));
    }
    edits
}

/// A CORS preflight, bare: only what it asks, nothing by which anybody could be known.
pub fn outgoing_preflight(headers: &HeaderMap, hosts: &HostMap, host: HostIndex) -> Edits {
    const KEPT: [HeaderName; 7] = [
        header::HOST,
        header::ORIGIN,
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::USER_AGENT,
        header::ACCESS_CONTROL_REQUEST_METHOD,
        header::ACCESS_CONTROL_REQUEST_HEADERS,
    ];
    let mut edits = Edits::default();
    edits.set.push((header::HOST, hosts.get(host).upstream_authority_value.clone()));
    for name in headers.keys() {
        if !KEPT.contains(name) {
            edits.remove.push(name.clone());
        } else if *name == header::ORIGIN {
            map_page(&mut edits, headers, name, hosts);
        }
    }
    edits
}

/// What is done with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Keep,
    Strip,
    Upgrade,
    Connection,
    Cookie,
    Origin,
    Referer,
}

/// By the first letter, because this runs for every header of every request.
fn fate(name: &str) -> Head {
    // CGI and its descendants read `-` and `_` alike: `Remote_User` would arrive as REMOTE_USER.
    if name.contains('_') {
        return Head::Strip;
    }
    let strip = match name.as_bytes().first() {
        Some(b'a') => name.starts_with("ali-cdn-"),
        Some(b'c') => match name {
            "cookie" => return Head::Cookie,
            "connection" => return Head::Connection,
            "client-ip" | "client-cert" | "client-cert-chain" | "cookie2" => true,
            _ => name.starts_with("cf-") || name.starts_with("cloudfront-"),
        },
        Some(b'f') => {
            name.starts_with("forwarded")
                || name.starts_with("fastly-")
                || matches!(name, "fly-client-ip" | "front-end-https")
        }
        Some(b'h') => matches!(name, "http2-settings" | "http-method-override"),
        Some(b'k') => name == "keep-alive",
        Some(b'o') => {
            if name == "origin" {
                return Head::Origin;
            }
            false
        }
        Some(b'm') => name == "method-override",
        // `Proxy` alone becomes HTTP_PROXY in CGI (CVE-2016-5385).
        Some(b'p') => name == "proxy" || name.starts_with("proxy-"),
        Some(b'r') => {
            if name == "referer" {
                return Head::Referer;
            }
            name.starts_with("remote-")
        }
        Some(b's') => name.starts_with("sekisho") || name.starts_with("ssl-"),
        Some(b't') => {
            matches!(name, "te" | "trailer" | "true-client-ip")
                || name.starts_with("tailscale-")
                || name.starts_with("tls-client-")
        }
        Some(b'u') => {
            if name == "upgrade" {
                return Head::Upgrade;
            }
            false
        }
        Some(b'v') => name == "via",
        Some(b'w') => name.starts_with("wl-proxy-"),
        Some(b'x') => name.strip_prefix("x-").is_some_and(claims),
        _ => false,
    };
    if strip { Head::Strip } else { Head::Keep }
}

/// Whether `X-` and this claims where a request comes from, who sent it, or what was really asked for: names that
/// nginx, Apache, IIS, Envoy, load balancers, application servers and sign-in proxies set for what stands behind them.
/// Tokens that a SaaS's own scripts send (`X-Auth-Token`, `X-CSRF-Token`, `X-User-Id`) are not among them.
fn claims(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "real-ip",
        "client-ip",
        "cluster-client-ip",
        "originating-ip",
        "source-ip",
        "akamai-client-ip",
        "azure-clientip",
        "azure-socketip",
        "proxyuser-ip",
        "proxy-user",
        "remote-user",
        "rewrite-url",
        "host",
        "host-override",
        "http-host-override",
        "http-path-override",
        "http-destinationurl",
        "proxy-url",
        "path-info",
        "script-name",
        "method",
        "requested-method",
        "tunneled-method",
        "matched-path",
        "user",
    ];
    const BEGINNINGS: &[&str] = &[
        "forward",
        "real-",
        "original-",
        "rewrite-",
        "remote-",
        "override-",
        "request-uri",
        "accel-",
        "sendfile-",
        "invoke-",
        // Next.js took its caller's word for this one (CVE-2025-29927); its scripts send `X-Middleware-Prefetch`.
        "middleware-subrequest",
        "sekisho",
        "client-cert",
        "client-dn",
        "client-s-dn",
        "client-i-dn",
        "client-verif",
        "client-ssl",
        "client-serial",
        "client-subject",
        "ssl-",
        "tls-client-",
        "auth-user",
        "auth-email",
        "auth-name",
        "auth-group",
        "auth-role",
        "auth-subject",
        "auth-request-",
        "authenticated-",
        "authentik-",
        "pomerium-",
        "vouch-",
        "webauth-",
        "envoy-",
        "arr-",
        "amzn-oidc-",
        "appengine-user-",
        "vercel-forwarded-",
        "goog-authenticated-user-",
        "ms-client-principal",
    ];
    match name.as_bytes().first() {
        Some(
            b'a' | b'c' | b'e' | b'f' | b'g' | b'h' | b'i' | b'm' | b'o' | b'p' | b'r' | b's' | b't' | b'u' | b'v'
            | b'w',
        ) => NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)),
        _ => false,
    }
}

/// Removes Connection and what it nominates (RFC 9110 §7.6.1). Headers that decide are never taken away on a
/// client's word; `shape` refuses such requests already.
fn strip_nominated(edits: &mut Edits, headers: &HeaderMap, websocket: bool) {
    for option in field::list(headers, &header::CONNECTION) {
        let known = ["keep-alive", "close", "upgrade"].iter().any(|o| option.eq_ignore_ascii_case(o));
        if known || decides(option) {
            continue;
        }
        if let Ok(name) = HeaderName::from_bytes(option.as_bytes())
            && headers.contains_key(&name)
        {
            edits.remove.push(name);
        }
    }
    if !websocket {
        edits.remove.push(header::CONNECTION);
    }
}

/// Origin and Referer name the page that asks: one of the app's becomes the SaaS's, any other of the gateway's is
/// no business of the SaaS. A foreign page stays as it is.
fn map_page(edits: &mut Edits, headers: &HeaderMap, name: &HeaderName, hosts: &HostMap) {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return edits.remove.push(name.clone()) };
    let bytes = value.as_bytes();
    let Some(rest) = bytes.get(..8).filter(|s| s.eq_ignore_ascii_case(b"https://")).map(|_| &bytes[8..]) else {
        return;
    };
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Ok(authority) = std::str::from_utf8(authority) else { return edits.remove.push(name.clone()) };
    match hosts.find(authority).map(|index| hosts.get(index)) {
        Some(host) if path.is_empty() => edits.set.push((name.clone(), host.upstream_origin_value.clone())),
        Some(host) => {
            let mut mapped: Vec<u8> = Vec::with_capacity(bytes.len() + host.upstream_authority().len());
            mapped.extend_from_slice(host.upstream_origin_value.as_bytes());
            mapped.extend_from_slice(path);
            match HeaderValue::try_from(mapped) {
                Ok(mapped) => edits.set.push((name.clone(), mapped)),
                Err(_) => edits.remove.push(name.clone()),
            }
        }
        None if hosts.is_gateway(authority) => edits.remove.push(name.clone()),
        None => {}
    }
}

/// Sizes of the lists are chosen for browsers' usual requests; this keeps the type honest about it.
const _: () = assert!(size_of::<Edits>() < 2_048, "Edits travel by value");

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
