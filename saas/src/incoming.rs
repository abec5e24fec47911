//! What changes in a response's head on the way back from the SaaS.
//!
//! Addresses of the app's hosts become ours, one to one; the SaaS sets no cookie of our names, switches browsers
//! to no other address, and makes no promise that outlasts it for names that are ours. Security policies are
//! mapped, never dropped. Body framing (Content-Length, Transfer-Encoding) is the proxy's and stays.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use smallvec::SmallVec;

use crate::address;
use crate::cookie::{self, Fate};
use crate::edits::Edits;
use crate::field;
use crate::host_map::{HostIndex, HostMap};

/// `host`: the one that the request was sent to.
pub fn incoming(status: StatusCode, headers: &HeaderMap, hosts: &HostMap, host: HostIndex) -> Edits {
    let mut edits = Edits::default();
    let switching = status == StatusCode::SWITCHING_PROTOCOLS;
    // Values of one name stand side by side; they are decided on together, at the first.
    let mut before = None;
    for (name, value) in headers {
        if before.replace(name) == Some(name) {
            continue;
        }
        match fate(name.as_str()) {
            Head::Keep => {}
            Head::Strip => edits.remove.push(name.clone()),
            Head::Upgrade if switching => {}
            Head::Upgrade => edits.remove.push(name.clone()),
            Head::Connection => strip_nominated(&mut edits, headers, switching),
            Head::Address => each(&mut edits, headers, name, value, |v| changed(address::url(v, hosts))),
            Head::Links => each(&mut edits, headers, name, value, |v| changed(address::links(v, hosts))),
            Head::Refresh => each(&mut edits, headers, name, value, |v| changed(address::refresh(v, hosts))),
            Head::Sources => each(&mut edits, headers, name, value, |v| changed(address::sources(v, hosts))),
            Head::SetCookie => each(&mut edits, headers, name, value, |v| cookie::from_saas(v, hosts, host)),
            Head::TransportSecurity => each(&mut edits, headers, name, value, transport_security),
            Head::ClearSiteData => each(&mut edits, headers, name, value, clear_site_data),
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
    Address,
    Links,
    Refresh,
    Sources,
    SetCookie,
    TransportSecurity,
    ClearSiteData,
}

fn fate(name: &str) -> Head {
    match name.as_bytes().first() {
        Some(b'a') => match name {
            // Another server for our names would be one without a gate.
            "alt-svc" => Head::Strip,
            "access-control-allow-origin" => Head::Sources,
            _ => Head::Keep,
        },
        Some(b'c') => match name {
            "content-location" => Head::Address,
            "content-security-policy" | "content-security-policy-report-only" => Head::Sources,
            "clear-site-data" => Head::ClearSiteData,
            "connection" => Head::Connection,
            _ => Head::Keep,
        },
        Some(b'e') if name == "expect-ct" => Head::Strip,
        Some(b'k') if name == "keep-alive" => Head::Strip,
        Some(b'l') => match name {
            "location" => Head::Address,
            "link" => Head::Links,
            _ => Head::Keep,
        },
        // Network error reports would tell the SaaS's collectors of our names.
        Some(b'n') if name == "nel" => Head::Strip,
        Some(b'p') if name.starts_with("public-key-pins") || name.starts_with("proxy-") => Head::Strip,
        Some(b'r') => match name {
            "refresh" => Head::Refresh,
            "report-to" | "reporting-endpoints" => Head::Strip,
            _ => Head::Keep,
        },
        Some(b's') => match name {
            "set-cookie" => Head::SetCookie,
            "strict-transport-security" => Head::TransportSecurity,
            "sourcemap" => Head::Address,
            "set-cookie2" => Head::Strip,
            _ if name.starts_with("sekisho") => Head::Strip,
            _ => Head::Keep,
        },
        Some(b't') => match name {
            "te" | "trailer" => Head::Strip,
            "timing-allow-origin" => Head::Sources,
            _ => Head::Keep,
        },
        Some(b'u') if name == "upgrade" => Head::Upgrade,
        Some(b'x') => match name {
            "x-content-security-policy" | "x-webkit-csp" | "x-frame-options" => Head::Sources,
            "x-sourcemap" => Head::Address,
            _ if name.starts_with("x-sekisho") => Head::Strip,
            _ => Head::Keep,
        },
        _ => Head::Keep,
    }
}

fn changed(mapped: Option<Vec<u8>>) -> Fate<Vec<u8>> {
    mapped.map_or(Fate::Keep, Fate::Change)
}

/// Decides on every value of `name`; nothing is edited if all of them stay.
fn each(
    edits: &mut Edits,
    headers: &HeaderMap,
    name: &HeaderName,
    first: &HeaderValue,
    decide: impl Fn(&[u8]) -> Fate<Vec<u8>>,
) {
    if headers.len() == headers.keys_len() {
        match decide(first.as_bytes()) {
            Fate::Keep => {}
            Fate::Drop => edits.remove.push(name.clone()),
            Fate::Change(bytes) => match HeaderValue::try_from(bytes) {
                Ok(after) => edits.set.push((name.clone(), after)),
                Err(_) => edits.remove.push(name.clone()),
            },
        }
        return;
    }
    let values = headers.get_all(name);
    let fates: SmallVec<[Fate<Vec<u8>>; 4]> = values.iter().map(|value| decide(value.as_bytes())).collect();
    if fates.iter().all(|fate| *fate == Fate::Keep) {
        return;
    }
    edits.remove.push(name.clone());
    for (value, fate) in values.iter().zip(fates) {
        let after = match fate {
            Fate::Keep => Some(value.clone()),
            Fate::Drop => None,
            Fate::Change(bytes) => HeaderValue::try_from(bytes).ok(),
        };
        edits.append.extend(after.map(|after| (name.clone(), after)));
    }
}

fn strip_nominated(edits: &mut Edits, headers: &HeaderMap, switching: bool) {
    // What a SaaS may not take away by nominating it: framing, and what keeps its pages safe.
    const ESSENTIAL: [&str; 5] = ["content-", "transfer-encoding", "set-cookie", "location", "x-frame-options"];
    for option in field::list(headers, &header::CONNECTION) {
        let option = option.to_ascii_lowercase();
        let known = matches!(option.as_str(), "keep-alive" | "close" | "upgrade");
        if known || ESSENTIAL.iter().any(|essential| option.starts_with(essential)) {
            continue;
        }
        if let Ok(name) = HeaderName::from_bytes(option.as_bytes())
            && headers.contains_key(&name)
        {
            edits.remove.push(name);
        }
    }
    if !switching {
        edits.remove.push(header::CONNECTION);
    }
}

/// Only the age stays (RFC 6797 §6.1): the SaaS speaks for no name below or beside its own, and can't switch
/// protection of our names off.
fn transport_security(value: &[u8]) -> Fate<Vec<u8>> {
    // As most write it. A leading zero takes the long way, since `00` is nothing too.
    let usual = |age: &[u8]| age.first() > Some(&b'0') && age.iter().all(u8::is_ascii_digit);
    if value.strip_prefix(b"max-age=").is_some_and(usual) {
        return Fate::Keep;
    }
    let age = value.split(|b| *b == b';').find_map(|directive| {
        let mut parts = directive.splitn(2, |b| *b == b'=');
        let is_age = parts.next()?.trim_ascii().eq_ignore_ascii_case(b"max-age");
        let digits = parts.next()?.trim_ascii();
        let digits = digits.strip_prefix(b"\"").and_then(|d| d.strip_suffix(b"\"")).unwrap_or(digits);
        (is_age && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(digits)
    });
    match age {
        Some(age) if age.iter().any(|d| *d != b'0') => {
            let only_age = [b"max-age=", age].concat();
            if only_age == value { Fate::Keep } else { Fate::Change(only_age) }
        }
        _ => Fate::Drop,
    }
}

/// Everything but cookies may be cleared: clearing these would sign people out of the gate as well. The SaaS ends
/// its own session on its own side.
fn clear_site_data(value: &[u8]) -> Fate<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut touched = false;
    let mut push = |kind: &[u8]| {
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(kind);
    };
    for kind in value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|kind| !kind.is_empty()) {
        match kind {
            b"\"cookies\"" => touched = true,
            b"\"*\"" => {
                touched = true;
                push(b"\"cache\"");
                push(b"\"storage\"");
            }
            kind => push(kind),
        }
    }
    match (touched, out.is_empty()) {
        (false, _) => Fate::Keep,
        (true, true) => Fate::Drop,
        (true, false) => Fate::Change(out),
    }
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
