//! The end of a device: the next request is refused, its sessions end, what it holds open is cut, and people are told.

use std::sync::Arc;

use apps::Lang;
use cert_authority::{Device, Invitation, RevocationCause};
use identity::{EndCause, Standing};
use serde_json::{Map, Value};
use vocabulary::{DeviceId, PersonId};

use super::crl::republish;
use super::invite::withdraw;
use super::letters::{Letter, post};
use crate::control::{Actor, Refused, change, record_ends};
use crate::core::Core;

/// Shuts a device out; how many sessions ended. What lasts on its connections is cut by who calls, or by the next round
/// of the rejudging.
pub(crate) async fn shut_out(
    core: &Arc<Core>,
    actor: &Actor,
    id: &DeviceId,
    cause: RevocationCause,
) -> Result<usize, Refused> {
    let Some(device) = core.inventory.by_id(id) else {
        return Err(Refused::No(format!("there is no device {id}; see `sekisho device list`")));
    };
    // One that a failing disk did not keep is shut out once more.
    if device.is_revoked() && !core.inventory.is_unkept(id) {
        return Err(Refused::No(format!("{id} is revoked already")));
    }
    record(core, actor, &device, cause).await?;
    let ended = end(core, actor, &device, cause).await;
    republish(core).await;
    tell(core, &device, cause).await;
    ended
}

async fn record(core: &Core, actor: &Actor, device: &Device, cause: RevocationCause) -> Result<(), Refused> {
    let mut details = Map::from_iter([("cause".to_owned(), Value::from(cause.as_str()))]);
    details.extend(device.owner.as_ref().map(|owner| ("owner".to_owned(), owner.as_str().into())));
    change(core, actor, "device-revoked", device.id.as_str(), details).await
}

/// What is recorded is done: refused from now on, sessions ended. All of it is tried, whatever fails; how many sessions
/// ended.
async fn end(core: &Arc<Core>, actor: &Actor, device: &Device, cause: RevocationCause) -> Result<usize, Refused> {
    let (revoking, id, by) = (core.clone(), device.id.clone(), actor.who.clone());
    let revoked =
        tokio::task::spawn_blocking(move || revoking.inventory.revoke(&id, revoking.now(), &by, cause)).await?;
    let ended = core.identity.sessions().end_device(&device.id, EndCause::Device).await;
    let recorded = match &ended {
        Ok(ended) => record_ends(core, ended).await,
        Err(_) => Ok(()),
    };
    revoked?;
    recorded?;
    Ok(ended?.len())
}

/// All devices of somebody who has left, and the invitations to others; how many of each. The roster says already that
/// they left, so nothing new comes meanwhile.
pub(crate) async fn shut_out_person(
    core: &Arc<Core>,
    actor: &Actor,
    person: &PersonId,
) -> Result<(usize, usize), Refused> {
    let theirs = |invitation: &Arc<Invitation>| {
        let owner = invitation.wants.owner.as_ref();
        owner == Some(person) && invitation.is_unspent() && !invitation.is_over(core.now())
    };
    let invitations: Vec<_> = core.enrol.invitations.list().into_iter().filter(theirs).collect();
    // All of it is tried, whatever fails: an invitation may be used up this moment, and that must keep no device in.
    let mut failed = None;
    for invitation in &invitations {
        failed = withdraw(core, actor, &invitation.id).await.err().or(failed);
    }
    let mut devices = core.inventory.of_owner(person);
    // One that a failing disk did not keep is shut out once more.
    devices.retain(|device| !device.is_revoked() || core.inventory.is_unkept(&device.id));
    for device in &devices {
        let ended = match record(core, actor, device, RevocationCause::OwnerLeft).await {
            Ok(()) => end(core, actor, device, RevocationCause::OwnerLeft).await.map(drop),
            Err(error) => Err(error),
        };
        failed = ended.err().or(failed);
    }
    if !devices.is_empty() {
        republish(core).await;
    }
    failed.map_or(Ok((devices.len(), invitations.len())), Err)
}

/// How many days after its owner's last day a device is revoked for good. Until then it is refused all the same, for its
/// owner may not come in; and a last day that was a mistake costs nobody a new phone.
const LEFT_DAYS: i64 = 7;
/// At a time: thousands at once are a wrong clock or a wrong file.
const LEAVERS: usize = 50;

/// Devices of people who left a while ago: nobody will use them again.
pub(crate) async fn shut_out_leavers(core: &Arc<Core>) {
    let then = core.zone.local(core.now().plus_secs(-LEFT_DAYS * 86_400)).date;
    let roster = core.identity.roster();
    let left = |device: &Arc<Device>| {
        let owner = device.owner.as_ref().filter(|_| !device.is_revoked());
        owner.is_some_and(|owner| roster.standing(owner, then) == Standing::Retired)
    };
    let leavers: Vec<_> = core.inventory.list().into_iter().filter(left).take(LEAVERS).collect();
    if leavers.is_empty() {
        return;
    }
    let actor = Actor { who: "gate".to_owned(), channel: "gate" };
    for device in &leavers {
        let done = match record(core, &actor, device, RevocationCause::OwnerLeft).await {
            Ok(()) => end(core, &actor, device, RevocationCause::OwnerLeft).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            // The ladder refuses it all the same; it is tried again.
            tracing::error!(device = %device.id, ?error, "the device of somebody who left could not be revoked");
            break;
        }
    }
    republish(core).await;
}

/// Its owner, who may find it again and wonder, and those who run the gate.
async fn tell(core: &Arc<Core>, device: &Device, cause: RevocationCause) {
    let rules = core.enrol.rules();
    let roster = core.identity.roster();
    let owner = device.owner.as_ref().and_then(|owner| roster.get(owner)).cloned();
    let (subject, body) = apps::enroll::lost_mail(
        Lang::Ja,
        &rules.facility,
        &device.name,
        owner.as_ref().map(|owner| owner.name.as_str()),
        &core.zone.display(core.now()),
        cause,
    );
    // Somebody who left has no business with it.
    let of_owner = owner.and_then(|owner| owner.mail.clone()).filter(|_| cause != RevocationCause::OwnerLeft);
    let operators = rules.mail.as_ref().map(|mail| mail.operators.clone()).unwrap_or_default();
    for to in of_owner.map(|to| vec![to]).into_iter().chain([operators]).filter(|to| !to.is_empty()) {
        post(core, Letter { to, subject: subject.clone(), body: body.clone() }).await;
    }
}
