//! Issuing: made, recorded, let in, in this order. A device that is recorded and did not get in is said to be so.

use std::net::IpAddr;
use std::sync::Arc;

use cert_authority::{CertAuthority, CertError, Claim, Device, DeviceKey, DeviceRequest, Issued, PendingDevice};
use identity::Standing;
use serde_json::{Map, Value, json};
use vocabulary::PersonId;

use crate::control::{Actor, Refused, change, record_when_possible};
use crate::core::Core;

/// How a certificate gets to its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A file with key and certificate (PKCS#12), alone or in a profile.
    Pkcs12,
    /// An operator brought a signing request.
    Csr,
    Est,
    Acme,
}

impl Way {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pkcs12 => "pkcs12",
            Self::Csr => "csr",
            Self::Est => "est",
            Self::Acme => "acme",
        }
    }
}

/// A device to be made.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) request: DeviceRequest,
    pub(crate) way: Way,
    /// The invitation that is used up, claimed, and its id.
    pub(crate) invitation: Option<(Claim, String)>,
    /// Where it was asked for.
    pub(crate) source: Option<IpAddr>,
    /// What the device itself says of itself, by attestation.
    pub(crate) more: Map<String, Value>,
}

/// Makes a device with a key of our making.
pub(crate) async fn issue(core: &Arc<Core>, actor: &Actor, order: Order) -> Result<PendingDevice, Refused> {
    let request = order.request.clone();
    let pending = sign(core, move |authority| authority.issue_device(&request)).await?;
    let_in(core, actor, order, &pending.device).await?;
    Ok(pending)
}

/// Makes a device that has its key already.
pub(crate) async fn issue_for_key(
    core: &Arc<Core>,
    actor: &Actor,
    order: Order,
    key: DeviceKey,
) -> Result<Issued, Refused> {
    let request = order.request.clone();
    let issued = sign(core, move |authority| authority.issue_device_for(&request, &key)).await?;
    let_in(core, actor, order, &issued.device).await?;
    Ok(issued)
}

/// Signs away from the threads that serve people.
pub(super) async fn sign<T: Send + 'static>(
    core: &Arc<Core>,
    work: impl FnOnce(&CertAuthority) -> cert_authority::Result<T> + Send + 'static,
) -> Result<T, Refused> {
    let signing = core.clone();
    let made = tokio::task::spawn_blocking(move || signing.authority.as_ref().map(work)).await?;
    let none = || Refused::No("there is no certificate authority yet; make one with `sekisho ca init`".to_owned());
    made.ok_or_else(none)?.map_err(|error| match error {
        CertError::Random | CertError::Make(_) | CertError::P12(_) => Refused::Failed(error.into()),
        other => Refused::No(other.to_string()),
    })
}

/// Whether somebody may be given a device: also before their first day, not once they left or while they are locked.
pub(super) fn may_own(core: &Core, owner: &PersonId) -> Result<(), Refused> {
    match core.identity.roster().standing(owner, core.zone.local(core.now()).date) {
        Standing::Active | Standing::NotYet => Ok(()),
        Standing::NotOnRoster => Err(Refused::No(format!("{owner} is not on the roster; see `sekisho staff list`"))),
        Standing::Retired | Standing::Locked => Err(Refused::No(format!(
            "{owner} has left or is locked, and gets no device; see `sekisho staff show {owner}`"
        ))),
    }
}

async fn let_in(core: &Arc<Core>, actor: &Actor, order: Order, device: &Device) -> Result<(), Refused> {
    let Order { way, invitation, source, more, .. } = order;
    // Once more: an invitation may be older than the last day.
    device.owner.as_ref().map_or(Ok(()), |owner| may_own(core, owner))?;
    let mut details = of_device(device);
    details.insert("way".to_owned(), way.as_str().into());
    details.extend(invitation.as_ref().map(|(_, id)| ("invitation".to_owned(), id.as_str().into())));
    details.extend(source.map(|source| ("source".to_owned(), source.to_string().into())));
    details.extend(more);
    change(core, actor, "device-issued", device.id.as_str(), details).await?;
    let (keeping, kept, now) = (core.clone(), device.clone(), core.now());
    let done = tokio::task::spawn_blocking(move || match invitation {
        Some((claim, _)) => keeping.enrol.invitations.redeem(&claim, &keeping.inventory, &kept, now),
        None => keeping.inventory.add(&kept),
    })
    .await;
    let error = match done {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(CertError::Spent(id))) => Refused::No(CertError::Spent(id).to_string()),
        Ok(Err(error)) => Refused::Failed(error.into()),
        Err(error) => Refused::Failed(error.into()),
    };
    record_when_possible(core, actor, "device-not-issued", device.id.as_str(), Map::new()).await;
    Err(error)
}

/// What records say of a device.
pub(super) fn of_device(device: &Device) -> Map<String, Value> {
    let mut details = Map::from_iter([
        ("serial".to_owned(), device.serial.to_string().into()),
        ("kind".to_owned(), device.kind.as_str().into()),
        ("name".to_owned(), device.name.as_str().into()),
        ("not_after".to_owned(), device.not_after.to_string().into()),
    ]);
    details.extend(device.os.map(|os| ("os".to_owned(), os.as_str().into())));
    match &device.owner {
        Some(owner) => details.insert("owner".to_owned(), owner.as_str().into()),
        None if device.is_shared() => details.insert("shared_by".to_owned(), json!(device.groups)),
        None => details.insert("machine".to_owned(), device.name.as_str().into()),
    };
    details
}
