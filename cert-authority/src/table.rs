//! Devices by serial number, for a lookup with each request: no lock, and as few far reads of memory as can be.
//!
//! A hundred thousand devices don't fit into a processor's near caches, and each read that misses them takes as long as
//! all else. So a device's serial number and what decides whether it stands lie side by side, in tables that are copied when
//! they change; there are many small ones, so that a change copies little.

use std::sync::Arc;

use arc_swap::ArcSwap;
use vocabulary::Timestamp;

use crate::{Device, DeviceStanding, Serial};

/// Each with about two hundred devices where there are a hundred thousand.
const SHARDS: usize = 512;

/// One of a device's certificates.
#[derive(Clone)]
struct Slot {
    serial: Serial,
    /// When it counts as expired, in microseconds; the least number if it is revoked.
    until: i64,
    device: Arc<Device>,
}

/// Open addressing with linear probing; a power of two of places, at most half of them taken.
#[derive(Clone, Default)]
struct Shard {
    places: Box<[Option<Slot>]>,
    taken: usize,
}

/// All certificates of all devices.
pub(crate) struct Table(Box<[ArcSwap<Shard>]>);

const REVOKED: i64 = i64::MIN;

impl Default for Table {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| ArcSwap::default()).collect())
    }
}

impl Table {
    pub(crate) fn get(&self, serial: Serial) -> Option<Arc<Device>> {
        self.shard(serial).load().find(serial).map(|slot| Arc::clone(&slot.device))
    }

    /// What a certificate is worth at `now`. `None`: it is no device's.
    pub(crate) fn standing(&self, serial: Serial, now: Timestamp) -> Option<DeviceStanding> {
        let shard = self.shard(serial).load();
        Some(match shard.find(serial)?.until {
            REVOKED => DeviceStanding::Revoked,
            until if now.0 > until => DeviceStanding::Expired,
            _ => DeviceStanding::Active,
        })
    }

    /// Puts a device in under one of its serial numbers, in place of what stood there. One writer at a time.
    pub(crate) fn insert(&self, serial: Serial, device: &Arc<Device>) {
        let until = match device.is_revoked() {
            true => REVOKED,
            false => device.until(serial).0,
        };
        let shard = self.shard(serial);
        let changed = shard.load().with(Slot { serial, until, device: Arc::clone(device) });
        shard.store(Arc::new(changed));
    }

    /// One writer at a time.
    pub(crate) fn remove(&self, serial: Serial) {
        let shard = self.shard(serial);
        let changed = shard.load().without(serial);
        shard.store(Arc::new(changed));
    }

    fn shard(&self, serial: Serial) -> &ArcSwap<Shard> {
        &self.0[serial.low() as usize % SHARDS]
    }
}

impl Shard {
    fn find(&self, serial: Serial) -> Option<&Slot> {
        if self.places.is_empty() {
            return None;
        }
        let mut place = self.first(serial);
        // Half of the places are free, so this ends.
        while let Some(slot) = &self.places[place] {
            if slot.serial == serial {
                return Some(slot);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
        None
    }

    /// Serial numbers are random: their own bits serve as hash, other ones than those that chose the shard.
    fn first(&self, serial: Serial) -> usize {
        (serial.low() >> 32) as usize & (self.places.len() - 1)
    }

    fn with(&self, slot: Slot) -> Self {
        let mut changed = match self.places.len() > 2 * self.taken {
            true => self.clone(),
            false => self.of_size((2 * self.places.len()).max(4)),
        };
        changed.put(slot);
        changed
    }

    fn without(&self, serial: Serial) -> Self {
        let mut changed = Self { places: vec![None; self.places.len()].into(), taken: 0 };
        self.places.iter().flatten().filter(|slot| slot.serial != serial).for_each(|slot| changed.put(slot.clone()));
        changed
    }

    fn of_size(&self, places: usize) -> Self {
        let mut changed = Self { places: vec![None; places].into(), taken: 0 };
        self.places.iter().flatten().for_each(|slot| changed.put(slot.clone()));
        changed
    }

    fn put(&mut self, slot: Slot) {
        let mut place = self.first(slot.serial);
        while self.places[place].as_ref().is_some_and(|there| there.serial != slot.serial) {
            place = (place + 1) & (self.places.len() - 1);
        }
        if self.places[place].replace(slot).is_none() {
            self.taken += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use vocabulary::{DeviceId, DeviceKind, PersonId};

    use super::*;
    use crate::Status;
    use crate::device::LastSeen;

    const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);

    fn device(number: u128, revoked: bool) -> Arc<Device> {
        let by = || Status::Revoked { at: NOW, by: String::new(), cause: crate::RevocationCause::Lost };
        Arc::new(Device {
            id: DeviceId::new(format!("d-{number}")).unwrap(),
            serial: Serial::from_bytes(&number.to_be_bytes()).unwrap(),
            fingerprint: None,
            former: None,
            owner: Some(PersonId::new("hanako").unwrap()),
            groups: Vec::new(),
            name: "x".to_owned(),
            kind: DeviceKind::Byod,
            os: None,
            not_before: NOW,
            not_after: NOW.plus_secs(i64::try_from(number % 7).unwrap() - 3),
            status: if revoked { by() } else { Status::Active },
            last_seen: LastSeen::default(),
        })
    }

    proptest! {
        /// As a plain map, whatever is put in and taken out; numbers that collide in every bit that is looked at included.
        #[test]
        fn it_holds_what_a_map_holds(
            steps in prop::collection::vec((1_u128..40, 0_u128..3, any::<bool>(), any::<bool>()), 0..200),
        ) {
            let (table, mut map) = (Table::default(), HashMap::new());
            for (low, high, revoked, out) in steps {
                let number = low << 32 | high << 100 | 1;
                let device = device(number, revoked);
                match out {
                    true => {
                        table.remove(device.serial);
                        map.remove(&device.serial);
                    }
                    false => {
                        table.insert(device.serial, &device);
                        map.insert(device.serial, device);
                    }
                }
                for (serial, device) in &map {
                    let found = table.get(*serial);
                    prop_assert_eq!(found.as_ref(), Some(device));
                    prop_assert_eq!(table.standing(*serial, NOW), Some(device.standing_of(*serial, NOW)));
                }
            }
            for low in 1_u128..40 {
                let serial = Serial::from_bytes(&(low << 32 | 1 << 90 | 1).to_be_bytes()).unwrap();
                prop_assert!(table.get(serial).is_none() && table.standing(serial, NOW).is_none());
            }
        }
    }
}
