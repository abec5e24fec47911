//! Commands about devices: invitations, certificates, shutting out.

use std::sync::Arc;

use apps::Lang;
use cert_authority::{
    CertError, Device, DeviceKey, DeviceRequest, DeviceStanding, Invitation, InvitationFor, P12Cipher, RevocationCause,
    Status,
};
use serde_json::{Map, Value, json};
use vocabulary::{DeviceId, DeviceKind};

use super::{Actor, NewDevice, NewInvitation, Refused};
use crate::core::Core;
use crate::enrol;

/// Issues a certificate: with a key of our making in a file, or for a signing request.
pub(super) async fn issue(core: &Arc<Core>, actor: &Actor, new: NewDevice) -> Result<Value, Refused> {
    let key = new.csr.as_deref().map(|csr| DeviceKey::from_csr(csr.as_bytes())).transpose();
    let key = key.map_err(|error| Refused::No(error.to_string()))?;
    let request = DeviceRequest {
        kind: new.kind,
        owner: new.owner,
        groups: new.groups,
        name: new.name,
        os: new.os,
        now: core.now(),
        validity: core.device_validity,
        cipher: if new.aes { P12Cipher::Aes256 } else { P12Cipher::default() },
    };
    let way = if key.is_some() { enrol::Way::Csr } else { enrol::Way::Pkcs12 };
    let order = enrol::Order { request, way, invitation: None, source: None, more: Map::new() };
    match key {
        None => {
            let issued = enrol::issue(core, actor, order).await?;
            Ok(json!({
                "device": row(core, &issued.device),
                "p12": super::json_from_bytes(&issued.p12),
                "password": issued.password.as_str(),
            }))
        }
        Some(key) => {
            let issued = enrol::issue_for_key(core, actor, order, key).await?;
            Ok(json!({ "device": row(core, &issued.device), "chain": chain(core, &issued.certificate) }))
        }
    }
}

/// The next certificate of a device, for a signing request.
pub(super) async fn renew(core: &Arc<Core>, actor: &Actor, id: &DeviceId, csr: &str) -> Result<Value, Refused> {
    let device = there(core, id)?;
    if !enrol::may_renew(core, &device, device.serial, core.now()) {
        return Err(Refused::No(format!("{id} is {}; invite it anew", status(core, &device))));
    }
    let key = DeviceKey::from_csr(csr.as_bytes()).map_err(|error| Refused::No(error.to_string()))?;
    let issued = enrol::renew_for_key(core, actor, &device, device.serial, key, enrol::Way::Csr, None).await?;
    Ok(json!({ "device": row(core, &issued.device), "chain": chain(core, &issued.certificate) }))
}

/// The device's certificate and what signed it, in PEM.
fn chain(core: &Core, certificate: &[u8]) -> String {
    let issuer = core.authority.as_ref().map(|authority| authority.device_ca_der().as_ref());
    [Some(certificate), issuer].into_iter().flatten().map(cert_authority::pem).collect()
}

pub(super) async fn revoke(
    core: &Arc<Core>,
    actor: &Actor,
    id: &DeviceId,
    cause: RevocationCause,
) -> Result<Value, Refused> {
    let ended = enrol::shut_out(core, actor, id, cause).await?;
    Ok(json!({ "device": id, "sessions_ended": ended }))
}

pub(super) async fn invite(core: &Arc<Core>, actor: &Actor, new: NewInvitation) -> Result<Value, Refused> {
    let rules = core.enrol.rules();
    let invite = enrol::Invite {
        wants: InvitationFor {
            kind: new.kind,
            owner: new.owner,
            groups: new.groups,
            name: new.name,
            approval: new.approval.unwrap_or(rules.settings.approval),
            unattended: new.unattended,
        },
        validity: new.valid.map_or(rules.settings.invitation, |span| span.0),
        mail: new.mail.map(|english| if english { Lang::En } else { Lang::Ja }),
    };
    if new.check {
        return enrol::check(core, actor, &invite).map(|()| Value::Null);
    }
    let invited = enrol::invite(core, actor, invite).await?;
    let mut row = invitation_row(core, &invited.invitation);
    row["link"] = invited.link.as_str().into();
    let owner = invited.invitation.wants.owner.as_ref();
    row["owner_groups"] = json!(owner.and_then(|owner| Some(core.identity.roster().get(owner)?.groups.clone())));
    if invited.invitation.wants.kind == DeviceKind::Machine || invited.invitation.wants.unattended {
        row["est"] = format!("{}/.well-known/est", rules.device_origin).into();
        row["secret"] = invited.link.rsplit('/').next().into();
    }
    row["facility"] = rules.facility.as_str().into();
    row["contact"] = rules.settings.contact.as_deref().into();
    if let Some(mailed) = invited.mailed {
        let (key, value) = match mailed {
            Ok(to) => ("mailed_to", to),
            Err(why) => ("not_mailed", why),
        };
        row[key] = value.into();
    }
    Ok(row)
}

pub(super) fn invitations(core: &Core) -> Value {
    core.enrol.invitations.list().iter().map(|invitation| invitation_row(core, invitation)).collect()
}

pub(super) async fn withdraw(core: &Arc<Core>, actor: &Actor, id: &str) -> Result<Value, Refused> {
    let invitation = enrol::withdraw(core, actor, id).await?;
    Ok(invitation_row(core, &invitation))
}

pub(super) async fn approve(core: &Arc<Core>, actor: &Actor, code: &str) -> Result<Value, Refused> {
    let invitation = enrol::approve(core, actor, code).await?;
    Ok(invitation_row(core, &invitation))
}

pub(super) async fn decline(core: &Arc<Core>, actor: &Actor, code: &str) -> Result<Value, Refused> {
    let invitation = enrol::decline(core, actor, code).await?;
    Ok(invitation_row(core, &invitation))
}

pub(super) fn list(core: &Core) -> Value {
    core.inventory.list().iter().map(|device| row(core, device)).collect()
}

fn there(core: &Core, id: &DeviceId) -> Result<Arc<Device>, Refused> {
    let none = || Refused::No(CertError::NoSuchDevice(id.clone()).to_string());
    core.inventory.by_id(id).ok_or_else(none)
}

fn invitation_row(core: &Core, invitation: &Invitation) -> Value {
    let wants = &invitation.wants;
    let ask = invitation.ask();
    json!({
        "id": invitation.id,
        "kind": wants.kind,
        "owner": wants.owner,
        "owner_name": enrol::owner_name(core, wants.owner.as_ref()),
        "groups": wants.groups,
        "name": wants.name.as_deref().or(ask.map(|ask| ask.name.as_str())),
        "approval": wants.approval,
        "unattended": wants.unattended,
        "made_by": invitation.made_by,
        "made_at": core.zone.display(invitation.made_at),
        "until": core.zone.display(invitation.expires_at),
        "state": invitation.word(core.now()),
        "code": ask.map(|ask| ask.code.as_str()),
        "asked_at": ask.map(|ask| core.zone.display(ask.at)),
        "person": ask.and_then(|ask| ask.person.as_ref()),
        "person_name": enrol::owner_name(core, ask.and_then(|ask| ask.person.as_ref())),
        "source": ask.map(|ask| ask.source.as_str()),
        "os": ask.and_then(|ask| ask.os),
    })
}

/// A device whose owner left, is locked or is yet to begin is worth nothing, whatever its certificate says.
pub(super) fn status(core: &Core, device: &Device) -> &'static str {
    let today = core.zone.local(core.now()).date;
    let owner = device.owner.as_ref().map(|owner| core.identity.roster().standing(owner, today));
    match (device.standing(core.now()), owner) {
        (DeviceStanding::Active, Some(identity::Standing::Retired)) => "owner-left",
        (DeviceStanding::Active, Some(identity::Standing::Locked)) => "owner-locked",
        (DeviceStanding::Active, Some(identity::Standing::NotYet)) => "owner-not-yet",
        (at, _) => standing(at),
    }
}

const fn standing(standing: DeviceStanding) -> &'static str {
    match standing {
        DeviceStanding::Active => "active",
        DeviceStanding::Expired => "expired",
        DeviceStanding::Revoked => "revoked",
    }
}

pub(super) fn row(core: &Core, device: &Device) -> Value {
    json!({
        "id": device.id, "owner": device.owner, "groups": device.groups, "name": device.name,
        "kind": device.kind, "os": device.os,
        "machine": (device.kind == DeviceKind::Machine).then_some(&device.name),
        "serial": device.serial, "not_after": core.zone.display(device.not_after),
        "status": status(core, device),
        "revoked": match &device.status {
            Status::Active => Value::Null,
            Status::Revoked { at, by, cause } => json!({ "at": core.zone.display(*at), "by": by, "cause": cause }),
        },
        "last_seen": device.last_seen().map(|t| core.zone.display(t)),
        "last_seen_from": device.last_seen_from(),
        "unseen_secs": device.unseen(core.now()),
    })
}
