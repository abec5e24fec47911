//! What the inventory knows about a device.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};
use vocabulary::{DeviceId, DeviceKind, GroupName, Os, PersonId, RevocationCause, Timestamp};

use crate::profile::BACKDATE;
use crate::{Fingerprint, Serial};

/// An enrolled device: its certificate, for a while after a renewal also the one before, and whose it is.
///
/// A value is a snapshot, except for when it was last seen: that is shared by all clones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    pub id: DeviceId,
    pub serial: Serial,
    /// Of the newest certificate. `None` if it was issued before this was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The certificate before this one, which is good for a while longer: phones go on showing the old one until their
    /// browser is told of the new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// `None` for a shared device, which belongs to the facility, and for a machine.
    pub owner: Option<PersonId>,
    /// Whom a shared device is for; empty means everybody on the roster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// What people call it, 1 to 64 characters.
    pub name: String,
    pub kind: DeviceKind,
    /// What runs on it, as its browser said when it was enrolled, or an operator.
    pub os: Option<Os>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub status: Status,
    pub(crate) last_seen: LastSeen,
}

impl Device {
    /// Whether a certificate is this device's. The serial number alone would do as long as nobody else signs with our
    /// CA's key: should that key be stolen, a certificate made with it and a known serial number is still none of ours.
    pub fn has_certificate(&self, serial: Serial, fingerprint: Fingerprint) -> bool {
        let is = |own: Serial, print: Option<Fingerprint>| own == serial && print.is_none_or(|own| own == fingerprint);
        is(self.serial, self.fingerprint) || self.former.as_ref().is_some_and(|f| is(f.serial, f.fingerprint))
    }

    /// Of all certificates that are this device's, the newest first.
    pub fn serials(&self) -> impl Iterator<Item = Serial> {
        std::iter::once(self.serial).chain(self.former.as_ref().map(|former| former.serial))
    }

    /// Whether the device may be used at `now`. Revoked outranks expired.
    pub fn standing(&self, now: Timestamp) -> DeviceStanding {
        self.standing_until(self.not_after, now)
    }

    /// The same of one of its certificates.
    pub fn standing_of(&self, serial: Serial, now: Timestamp) -> DeviceStanding {
        self.standing_until(self.until(serial), now)
    }

    /// When one of its certificates counts as expired.
    pub(crate) fn until(&self, serial: Serial) -> Timestamp {
        let former = self.former.as_ref().filter(|former| former.serial == serial);
        former.map_or(self.not_after, |former| former.until)
    }

    fn standing_until(&self, until: Timestamp, now: Timestamp) -> DeviceStanding {
        match self.status {
            Status::Revoked { .. } => DeviceStanding::Revoked,
            Status::Active if now > until => DeviceStanding::Expired,
            Status::Active => DeviceStanding::Active,
        }
    }

    /// Whether it is for somebody of these groups, as far as groups go: an owner is asked for apart from this.
    pub fn serves(&self, groups: &[GroupName]) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|group| groups.contains(group))
    }

    pub fn is_shared(&self) -> bool {
        self.kind == DeviceKind::Shared
    }

    pub const fn is_revoked(&self) -> bool {
        matches!(self.status, Status::Revoked { .. })
    }

    /// From which address it was then.
    pub fn last_seen_from(&self) -> Option<IpAddr> {
        self.last_seen.from()
    }

    /// How many seconds ago it was last let in; one that never was counts from when its certificate was made. A renewal
    /// changes nothing about it.
    pub fn unseen(&self, now: Timestamp) -> i64 {
        now.secs_since(self.last_seen().unwrap_or(self.not_before.plus_secs(BACKDATE))).max(0)
    }

    /// The certificate in hand, as what the next one will follow, good until `until` and not longer than it is anyway.
    /// `None`: it can't be renewed with, because it is none of this device's, or the device has shown a newer one.
    pub fn as_former(&self, serial: Serial, until: Timestamp) -> Option<Former> {
        if serial == self.serial {
            return Some(Former { serial, fingerprint: self.fingerprint, until: until.min(self.not_after) });
        }
        // The next one did not get there: a download that broke off, a profile that was not installed.
        self.former.filter(|former| former.serial == serial && !self.last_seen.has_shown_newest())
    }

    /// To the minute. `None` if it was never seen.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.last_seen.get()
    }
}

/// A certificate that another one took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Former {
    pub serial: Serial,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// When it counts as expired.
    pub until: Timestamp,
}

/// What a certificate in hand is worth at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceStanding {
    Active,
    Expired,
    Revoked,
}

/// Whether a device is still trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Status {
    Active,
    /// For good: a device that comes back gets a new certificate.
    Revoked {
        at: Timestamp,
        /// Who did it: a person's id, or the channel such as `cli:root`.
        by: String,
        cause: RevocationCause,
    },
}

/// When a device was last seen, written by every request without a lock.
#[derive(Clone, Default)]
pub(crate) struct LastSeen(Arc<LastSeenCell>);

#[derive(Default)]
struct LastSeenCell {
    /// Microseconds; 0 means never.
    seen: AtomicI64,
    /// What the state database holds.
    flushed: AtomicI64,
    /// Written once a minute, with `seen`.
    from: Mutex<Option<IpAddr>>,
    /// The device has shown its newest certificate.
    newest: AtomicBool,
}

/// Finer than this nobody asks; and a busy device's cache line stays shared between the cores.
const RESOLUTION_SECS: i64 = 60;

impl LastSeen {
    pub(crate) fn stored(at: Option<Timestamp>, from: Option<IpAddr>) -> Self {
        let micros = at.map_or(0, |t| t.0);
        let (seen, flushed) = (AtomicI64::new(micros), AtomicI64::new(micros));
        Self(Arc::new(LastSeenCell { seen, flushed, from: Mutex::new(from), newest: AtomicBool::new(false) }))
    }

    pub(crate) fn get(&self) -> Option<Timestamp> {
        Some(self.0.seen.load(Ordering::Relaxed)).filter(|micros| *micros != 0).map(Timestamp)
    }

    /// The same, as of a device that has just been given its next certificate.
    pub(crate) fn of_next(&self) -> Self {
        Self::stored(self.get(), self.from())
    }

    pub(crate) fn shows_newest(&self) {
        if !self.0.newest.load(Ordering::Relaxed) {
            self.0.newest.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn has_shown_newest(&self) -> bool {
        self.0.newest.load(Ordering::Relaxed)
    }

    pub(crate) fn from(&self) -> Option<IpAddr> {
        *self.0.from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn touch(&self, now: Timestamp, from: IpAddr) {
        let before = Timestamp(self.0.seen.load(Ordering::Relaxed));
        if before.0 == 0 || now.secs_since(before) >= RESOLUTION_SECS {
            *self.0.from.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
            self.0.seen.fetch_max(now.0, Ordering::Relaxed);
        }
    }

    /// What has to be flushed, if anything.
    pub(crate) fn unflushed(&self) -> Option<Timestamp> {
        self.get().filter(|at| at.0 != self.0.flushed.load(Ordering::Relaxed))
    }

    pub(crate) fn flushed(&self, at: Timestamp) {
        self.0.flushed.store(at.0, Ordering::Relaxed);
    }
}

impl fmt::Debug for LastSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl PartialEq for LastSeen {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for LastSeen {}

impl Serialize for LastSeen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn last_seen_moves_by_the_minute_and_never_back() {
        let seen = LastSeen::default();
        assert_eq!(seen.get(), None);
        for (at, shown) in [(1_000, 1_000), (1_059, 1_000), (1_060, 1_060), (900, 1_060)] {
            seen.touch(Timestamp::from_secs(at), HOME);
            assert_eq!(seen.get(), Some(Timestamp::from_secs(shown)), "at {at}");
        }
    }
}
