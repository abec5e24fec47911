//! Enrollment over Secure Transport (RFC 7030): programs enrol and renew by themselves.
//!
//! The invitation is the first credential: its secret is the password of HTTP Basic, whatever the user name. It must have
//! been made for this (`unattended`), or be a machine's: anything else asks for a person's sign-in. Where the configuration
//! asks for an operator's yes, a program waits for it, with the key that it asked with: 202 with `Retry-After`, until then.
//! Renewal asks for the certificate itself, of a machine or of a device that was enrolled without a browser.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cert_authority::{Ask, Device, DeviceKey, DeviceKind, DeviceRequest, Invitation, P12Cipher, est};
use http::{Method, StatusCode, header};
use serde_json::Map;

use super::{Asked, BODY_LIMIT, Reply};
use crate::control::{Actor, Refused};
use crate::enrol::{self, Order, Way};
use crate::line::facts::DeviceState;

const RETRY_SECS: u32 = 15;

pub(super) async fn answer(asked: &Asked, operation: &str) -> Reply {
    let Some(authority) = &asked.core().authority else { return Reply::status(StatusCode::SERVICE_UNAVAILABLE) };
    match (operation, &asked.exchange.method) {
        ("cacerts", &Method::GET | &Method::HEAD) => sent(est::CERTS_ONLY, est::cacerts(authority)),
        ("csrattrs", &Method::GET | &Method::HEAD) => sent(est::CSR_ATTRIBUTES, est::csrattrs()),
        ("simpleenroll", &Method::POST) => enroll(asked).await,
        ("simplereenroll", &Method::POST) => renew(asked).await,
        ("cacerts" | "csrattrs" | "simpleenroll" | "simplereenroll", _) => {
            Reply::status(StatusCode::METHOD_NOT_ALLOWED)
        }
        _ => said(StatusCode::NOT_FOUND, "there is no such operation"),
    }
}

async fn enroll(asked: &Asked) -> Reply {
    let core = asked.core();
    let invitation = secret(asked).and_then(|secret| core.enrol.invitations.by_token(&secret));
    let Some(invitation) = invitation else {
        let mut reply = said(StatusCode::UNAUTHORIZED, "the invitation's secret is wanted as the password");
        if let Reply::Raw { headers, .. } = &mut reply {
            headers.push(("www-authenticate", "Basic realm=\"EST\", charset=\"UTF-8\"".to_owned()));
        }
        return reply;
    };
    if !invitation.is_unspent() || invitation.is_over(asked.now) {
        return said(StatusCode::FORBIDDEN, &format!("the invitation is {}", invitation.word(asked.now)));
    }
    let key = match key(asked) {
        Ok(key) => key,
        Err(reply) => return reply,
    };
    if !invitation.wants.unattended && invitation.wants.kind != DeviceKind::Machine {
        return said(StatusCode::FORBIDDEN, "the invitation is for a person, who opens its link");
    }
    let actor = Actor { who: format!("invitation:{}", invitation.id), channel: "est" };
    if let Some(reply) = wait(asked, &actor, &invitation, &key).await {
        return reply;
    }
    let Some(claim) = core.enrol.invitations.claim(&invitation.id) else {
        return said(StatusCode::CONFLICT, "the invitation is being used this moment");
    };
    let wants = invitation.wants.clone();
    let name = wants.name.unwrap_or_else(|| default_name(asked, &invitation));
    let request = DeviceRequest {
        kind: wants.kind,
        owner: wants.owner,
        groups: wants.groups,
        name,
        os: None,
        now: core.now(),
        validity: core.device_validity,
        cipher: P12Cipher::default(),
    };
    let invitation = Some((claim, invitation.id.clone()));
    let order = Order { request, way: Way::Est, invitation, source: Some(asked.source()), more: Map::new() };
    match enrol::issue_for_key(core, &actor, order, key).await {
        Ok(issued) => sent(est::ENROLLED, est::response(&issued.certificate)),
        Err(error) => refused(error),
    }
}

fn default_name(asked: &Asked, invitation: &Invitation) -> String {
    let owner = enrol::owner_name(asked.core(), invitation.wants.owner.as_ref());
    let name = owner.map_or("EST".to_owned(), |owner| format!("{owner} (EST)"));
    name.chars().take(64).collect()
}

/// The answer to who has to wait for an operator's yes, who is asked now if nobody was.
async fn wait(asked: &Asked, actor: &Actor, invitation: &Invitation, key: &DeviceKey) -> Option<Reply> {
    if !enrol::needs_approval(invitation.wants.approval, asked.is_inside) {
        return None;
    }
    let (source, key) = (asked.source().to_string(), Some(key.fingerprint().to_string()));
    match invitation.ask() {
        // For this key alone: who else has the secret has not got it.
        Some(ask) if ask.key == key => match ask.approved {
            Some(_) => return None,
            None => return Some(patience(&ask.code)),
        },
        Some(ask) if ask.approved.is_some() => {
            return Some(said(StatusCode::FORBIDDEN, "the invitation is being used elsewhere"));
        }
        _ => {}
    }
    let code = match Ask::new_code() {
        Ok(code) => code,
        Err(error) => return Some(refused(Refused::Failed(error.into()))),
    };
    let ask = Ask {
        code,
        at: asked.now,
        person: None,
        session: None,
        key,
        source: source.clone(),
        os: None,
        name: invitation.wants.name.clone().unwrap_or_else(|| default_name(asked, invitation)),
        approved: None,
    };
    match enrol::ask(asked.core(), actor, &invitation.id, ask, false).await {
        Ok(invitation) => {
            enrol::tell_operators(asked.core(), &invitation.id, &actor.who, None, &source).await;
            Some(patience(invitation.ask().map_or("", |ask| &ask.code)))
        }
        Err(error) => Some(refused(error)),
    }
}

fn patience(code: &str) -> Reply {
    let mut reply = said(StatusCode::ACCEPTED, &format!("waits for an operator's yes; the code is {code}"));
    if let Reply::Raw { headers, .. } = &mut reply {
        headers.push(("retry-after", RETRY_SECS.to_string()));
    }
    reply
}

/// The certificate in hand is the credential; it may be within its grace.
async fn renew(asked: &Asked) -> Reply {
    let core = asked.core();
    let Some(shown) = &asked.connection.certificate else {
        return said(StatusCode::UNAUTHORIZED, "a device's certificate is wanted");
    };
    let device: Option<&Arc<Device>> = match &asked.device {
        DeviceState::Enrolled(device, _) | DeviceState::Machine(device, ..) | DeviceState::Expired(device) => {
            Some(device)
        }
        _ => None,
    };
    let Some(device) = device.filter(|device| enrol::may_renew(core, device, shown.serial, asked.now)) else {
        return said(StatusCode::FORBIDDEN, "the certificate is not good; enrol anew");
    };
    // A phone's certificate is renewed by its owner, who signs in for it.
    if device.kind != DeviceKind::Machine && device.os.is_some() {
        return said(StatusCode::FORBIDDEN, "this device is renewed in its browser");
    }
    let key = match key(asked) {
        Ok(key) => key,
        Err(reply) => return reply,
    };
    let who = match device.kind {
        DeviceKind::Machine => format!("machine:{}", device.name),
        _ => format!("device:{}", device.id),
    };
    let actor = Actor { who, channel: "est" };
    match enrol::renew_for_key(core, &actor, device, shown.serial, key, Way::Est, Some(asked.source())).await {
        Ok(issued) => sent(est::ENROLLED, est::response(&issued.certificate)),
        Err(error) => refused(error),
    }
}

fn key(asked: &Asked) -> Result<DeviceKey, Reply> {
    if asked.body.len() > BODY_LIMIT {
        return Err(said(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long"));
    }
    est::read_request(&asked.body).map_err(|error| said(StatusCode::BAD_REQUEST, &error.to_string()))
}

/// The password of HTTP Basic (RFC 7617).
fn secret(asked: &Asked) -> Option<String> {
    let header = asked.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

fn sent(kind: &'static str, body: cert_authority::Result<String>) -> Reply {
    match body {
        Ok(body) => {
            let headers = vec![("content-type", kind.to_owned()), ("content-transfer-encoding", "base64".to_owned())];
            Reply::Raw { status: StatusCode::OK, headers, body: body.into_bytes() }
        }
        Err(error) => refused(Refused::Failed(error.into())),
    }
}

fn refused(error: Refused) -> Reply {
    match error {
        Refused::No(why) => said(StatusCode::FORBIDDEN, &why),
        Refused::Failed(error) => {
            tracing::error!(%error, "a program could not be enrolled");
            said(StatusCode::SERVICE_UNAVAILABLE, "the request could not be carried out; try again")
        }
    }
}

/// In plain text, as RFC 7030 (4.2.3) has it.
fn said(status: StatusCode, text: &str) -> Reply {
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    Reply::Raw { status, headers, body: format!("{text}\n").into_bytes() }
}
