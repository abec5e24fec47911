//! ACME (RFC 8555), by which a phone gets a certificate for a key that it made itself. The protocol is in
//! `cert_authority::acme`; here stand the record before, and the inventory after it.

use cert_authority::acme::{AcmeReply, AcmeRequest, AcmeStep, Issue};
use cert_authority::{DeviceRequest, P12Cipher};
use http::{StatusCode, header};
use serde_json::Map;

use super::invitation::is_for;
use super::{Asked, Reply};
use crate::control::{Actor, Refused};
use crate::enrol::{self, Awaited, Of, Order, Way};

/// Below which path of the host it stands.
pub(super) const BASE: &str = "/acme";

pub(super) async fn answer(asked: &Asked, path: &str) -> Reply {
    let core = asked.core();
    let base_url = format!("{}{BASE}", core.enrol.rules().enroll_origin);
    let request = AcmeRequest {
        method: asked.exchange.method.as_str(),
        path,
        content_type: asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()),
        body: &asked.body,
        base_url: &base_url,
        now: asked.now,
    };
    // Nobody is on the way: strangers get nothing that takes a place.
    if path != "/directory" && core.enrol.awaiting.is_empty(asked.now) {
        return Reply::Raw {
            status: StatusCode::FORBIDDEN,
            headers: vec![("content-type", "application/problem+json".to_owned())],
            body: br#"{"type":"urn:ietf:params:acme:error:unauthorized","detail":"no enrolment is under way"}"#
                .to_vec(),
        };
    }
    match core.enrol.acme.answer(&request, &core.enrol.awaiting.at(asked.now)) {
        AcmeStep::Reply(reply) => sent(reply),
        AcmeStep::Issue(issue) => sent(carry_out(asked, &issue).await),
    }
}

async fn carry_out(asked: &Asked, issue: &Issue) -> AcmeReply {
    let core = asked.core();
    let refused = |detail: &str| core.enrol.acme.refused(issue, detail, core.now());
    let Some(awaited) = core.enrol.awaiting.by_identifier(&issue.client_identifier, asked.now) else {
        return refused("the enrolment has ended");
    };
    match certificate(asked, issue, &awaited).await {
        Ok(certificate) => {
            core.enrol.awaiting.came(&issue.client_identifier);
            let issuer = core.authority.as_ref().map(|authority| authority.device_ca_der().clone());
            let chain: Vec<_> = [Some(certificate), issuer].into_iter().flatten().collect();
            core.enrol.acme.issued(issue, &chain, core.now())
        }
        Err(Refused::No(why)) => refused(&why),
        Err(Refused::Failed(error)) => {
            tracing::error!(%error, "a device that made its own key could not be enrolled");
            refused("the enrolment could not be carried out")
        }
    }
}

async fn certificate(
    asked: &Asked,
    issue: &Issue,
    awaited: &Awaited,
) -> Result<rustls_pki_types::CertificateDer<'static>, Refused> {
    let core = asked.core();
    let actor = Actor { who: awaited.person.to_string(), channel: "acme" };
    // The person may have left, or signed out, since the profile was fetched.
    let sessions = core.identity.sessions();
    let today = core.zone.local(core.now()).date;
    let is_live = sessions.get(&awaited.session).is_some_and(|session| sessions.is_live(&session, core.now()));
    if !is_live || core.identity.roster().standing(&awaited.person, today) != identity::Standing::Active {
        return Err(Refused::No("whoever began this is not signed in any more".to_owned()));
    }
    let id = match &awaited.of {
        Of::Invitation(id) => id,
        Of::Renewal(device, in_hand) => {
            let device = core.inventory.by_id(device);
            let device = device.filter(|device| enrol::may_renew(core, device, *in_hand, core.now()));
            let device = device.ok_or_else(|| Refused::No("the device can't be renewed any more".to_owned()))?;
            let key = issue.key.clone();
            let issued =
                enrol::renew_for_key(core, &actor, &device, *in_hand, key, Way::Acme, Some(asked.source())).await?;
            return Ok(issued.certificate);
        }
    };
    let gone = || Refused::No("the invitation is used, withdrawn or over".to_owned());
    let invitation = core.enrol.invitations.get(id).filter(|i| is_for(core, i, &awaited.person)).ok_or_else(gone)?;
    let claim = core.enrol.invitations.claim(id).ok_or_else(gone)?;
    let request = DeviceRequest {
        owner: invitation.wants.owner.clone(),
        groups: invitation.wants.groups.clone(),
        name: awaited.name.clone(),
        kind: invitation.wants.kind,
        os: Some(awaited.os),
        now: core.now(),
        validity: core.device_validity,
        cipher: P12Cipher::default(),
    };
    let order = Order {
        request,
        way: Way::Acme,
        invitation: Some((claim, id.clone())),
        source: Some(asked.source()),
        more: attested(issue),
    };
    Ok(enrol::issue_for_key(core, &actor, order, issue.key.clone()).await?.certificate)
}

/// What the device's maker says of it.
fn attested(issue: &Issue) -> Map<String, serde_json::Value> {
    let mut details = Map::from_iter([("attested".to_owned(), issue.attested.is_some().into())]);
    let Some(attested) = &issue.attested else { return details };
    for (key, value) in [
        ("hardware_serial", &attested.serial_number),
        ("udid", &attested.udid),
        ("sep_os_version", &attested.sep_os_version),
    ] {
        // From a certificate below Apple's root, and text all the same.
        let text = |value: &String| value.chars().filter(|c| !c.is_control()).take(64).collect::<String>();
        details.extend(value.as_ref().map(|value| (key.to_owned(), text(value).into())));
    }
    details
}

fn sent(reply: AcmeReply) -> Reply {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = reply.content_type.map(|kind| ("content-type", kind.to_owned()));
    // Names of headers in lower case, as HTTP/2 has them.
    let headers = reply.headers.into_iter().map(|(name, value)| (lower(name), value));
    Reply::Raw { status, headers: headers.chain(kind).collect(), body: reply.body }
}

fn lower(name: &'static str) -> &'static str {
    match name {
        "Link" => "link",
        "Cache-Control" => "cache-control",
        "Replay-Nonce" => "replay-nonce",
        "Location" => "location",
        "Retry-After" => "retry-after",
        "Allow" => "allow",
        other => other,
    }
}
