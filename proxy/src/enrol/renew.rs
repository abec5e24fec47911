//! The next certificate of a device, while the one in hand is good or within its grace.

use std::net::IpAddr;
use std::sync::Arc;

use cert_authority::{CertError, Device, DeviceKey, DeviceStanding, Issued, P12Cipher, PendingDevice, Renewal, Serial};
use identity::Standing;
use serde_json::Map;
use vocabulary::Timestamp;

use super::issue::{Way, of_device, sign};
use crate::control::{Actor, Refused, change, record_when_possible};
use crate::core::Core;

/// Whether a device's certificate `in_hand` can be renewed with at `now`: its owner may come in, and it is good, or the
/// newest and expired not longer ago than the configuration forgives.
pub(crate) fn may_renew(core: &Core, device: &Device, in_hand: Serial, now: Timestamp) -> bool {
    let today = core.zone.local(now).date;
    let owner = device.owner.as_ref().map(|owner| core.identity.roster().standing(owner, today));
    if owner.is_some_and(|standing| standing != Standing::Active) || device.as_former(in_hand, now).is_none() {
        return false;
    }
    let grace = i64::try_from(core.enrol.rules().settings.grace.as_secs()).unwrap_or(0);
    match device.standing_of(in_hand, now) {
        DeviceStanding::Active => true,
        DeviceStanding::Expired => in_hand == device.serial && now <= device.not_after.plus_secs(grace),
        DeviceStanding::Revoked => false,
    }
}

/// Whether it is time for people to renew: before, there is no need for another key.
pub(crate) fn is_due(core: &Core, device: &Device, now: Timestamp) -> bool {
    let first = core.enrol.rules().settings.remind.first().map_or(0, |span| i64::try_from(span.as_secs()).unwrap_or(0));
    device.not_after.secs_since(now) <= first
}

/// Gives a device its next certificate, with a key of our making.
pub(crate) async fn renew(
    core: &Arc<Core>,
    actor: &Actor,
    device: &Arc<Device>,
    in_hand: Serial,
    source: Option<IpAddr>,
) -> Result<PendingDevice, Refused> {
    let (renewal, before) = (renewal(core, device, in_hand)?, device.clone());
    let pending = sign(core, move |authority| authority.renew_device(&before, renewal)).await?;
    take_over(core, actor, device, &pending.device, Way::Pkcs12, source).await?;
    Ok(pending)
}

/// The same for a key that the device made.
pub(crate) async fn renew_for_key(
    core: &Arc<Core>,
    actor: &Actor,
    device: &Arc<Device>,
    in_hand: Serial,
    key: DeviceKey,
    way: Way,
    source: Option<IpAddr>,
) -> Result<Issued, Refused> {
    let (renewal, before) = (renewal(core, device, in_hand)?, device.clone());
    let issued = sign(core, move |authority| authority.renew_device_for(&before, renewal, &key)).await?;
    take_over(core, actor, device, &issued.device, way, source).await?;
    Ok(issued)
}

fn renewal(core: &Core, device: &Device, in_hand: Serial) -> Result<Renewal, Refused> {
    let now = core.now();
    let overlap = i64::try_from(core.enrol.rules().settings.overlap.as_secs()).unwrap_or(0);
    let former = device.as_former(in_hand, now.plus_secs(overlap));
    let former = former.ok_or_else(|| Refused::No(CertError::Overtaken(device.id.clone()).to_string()))?;
    Ok(Renewal { now, validity: core.device_validity, cipher: P12Cipher::default(), former })
}

async fn take_over(
    core: &Arc<Core>,
    actor: &Actor,
    before: &Device,
    next: &Device,
    way: Way,
    source: Option<IpAddr>,
) -> Result<(), Refused> {
    let mut details = of_device(next);
    details.insert("way".to_owned(), way.as_str().into());
    let former = next.former.map_or(before.serial, |former| former.serial);
    details.insert("former_serial".to_owned(), former.to_string().into());
    details.extend(source.map(|source| ("source".to_owned(), source.to_string().into())));
    change(core, actor, "device-renewed", next.id.as_str(), details).await?;
    let (keeping, kept) = (core.clone(), next.clone());
    let error = match tokio::task::spawn_blocking(move || keeping.inventory.replace(&kept)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error @ CertError::Overtaken(_))) => Refused::No(error.to_string()),
        Ok(Err(error)) => Refused::Failed(error.into()),
        Err(error) => Refused::Failed(error.into()),
    };
    record_when_possible(core, actor, "device-not-renewed", next.id.as_str(), Map::new()).await;
    Err(error)
}
