//! The next certificate of a device, while the one in hand is good or within its grace.

use std::net::IpAddr;
use std::sync::Arc;

use cert_authority::{CertError, Device, DeviceKey, DeviceStanding, Issued, P12Cipher, PendingDevice, Renewal};
use serde_json::Map;
use vocabulary::Timestamp;

use super::issue::{Way, of_device, sign};
use crate::control::{Actor, Refused, change, record_when_possible};
use crate::core::Core;

/// Whether a device's certificate can be renewed with at `now`: it is good, or has expired not longer ago than the
/// configuration forgives.
pub(crate) fn may_renew(core: &Core, device: &Device, now: Timestamp) -> bool {
    let grace = i64::try_from(core.enrol.rules().settings.grace.as_secs()).unwrap_or(0);
    match device.standing(now) {
        DeviceStanding::Active => true,
        DeviceStanding::Expired => now <= device.not_after.plus_secs(grace),
        DeviceStanding::Revoked => false,
    }
}

/// Gives a device its next certificate, with a key of our making.
pub(crate) async fn renew(
    core: &Arc<Core>,
    actor: &Actor,
    device: &Arc<Device>,
    source: Option<IpAddr>,
) -> Result<PendingDevice, Refused> {
    let (renewal, before) = (renewal(core, device), device.clone());
    let pending = sign(core, move |authority| authority.renew_device(&before, renewal)).await?;
    take_over(core, actor, device, &pending.device, Way::Pkcs12, source).await?;
    Ok(pending)
}

/// The same for a key that the device made.
pub(crate) async fn renew_for_key(
    core: &Arc<Core>,
    actor: &Actor,
    device: &Arc<Device>,
    key: DeviceKey,
    way: Way,
    source: Option<IpAddr>,
) -> Result<Issued, Refused> {
    let (renewal, before) = (renewal(core, device), device.clone());
    let issued = sign(core, move |authority| authority.renew_device_for(&before, renewal, &key)).await?;
    take_over(core, actor, device, &issued.device, way, source).await?;
    Ok(issued)
}

fn renewal(core: &Core, device: &Device) -> Renewal {
    let now = core.now();
    let overlap = i64::try_from(core.enrol.rules().settings.overlap.as_secs()).unwrap_or(0);
    // Not longer than it would have been good anyway.
    let former_until = device.not_after.min(now.plus_secs(overlap));
    Renewal { now, validity: core.device_validity, cipher: P12Cipher::default(), former_until }
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
    details.insert("former_serial".to_owned(), before.serial.to_string().into());
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
