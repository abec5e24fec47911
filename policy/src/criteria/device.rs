//! What a rule may ask of an enrolled device, and the few kinds of device that a policy's rules tell apart.

use vocabulary::{DeviceKind, Os};

use crate::facts::DeviceAbout;

/// A rule's `device`: an enrolled one, of which every part written holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct DeviceNeed {
    /// Empty asks for none in particular.
    pub(crate) kinds: Box<[DeviceKind]>,
    /// The same; a device of which it isn't known has none of them.
    pub(crate) oses: Box<[Os]>,
    /// Seconds for which it must not have been let in; 0 asks for nothing.
    pub(crate) not_seen_for: u32,
}

impl DeviceNeed {
    pub(crate) fn is_met(&self, device: Option<DeviceAbout>) -> bool {
        device.is_some_and(|device| {
            (self.kinds.is_empty() || self.kinds.contains(&device.kind))
                && (self.oses.is_empty() || device.os.is_some_and(|os| self.oses.contains(&os)))
                && device.unseen >= self.not_seen_for
        })
    }
}

/// Numbers for devices, the same for two between which no rule of a policy tells. 0 is no enrolled device.
#[derive(Debug, Default)]
pub(crate) struct DeviceClasses {
    kinds: Vec<DeviceKind>,
    oses: Vec<Os>,
    /// The times that rules ask for, shortest first.
    unseen: Vec<u32>,
}

impl DeviceClasses {
    pub(crate) fn of<'n>(needs: impl Iterator<Item = &'n DeviceNeed>) -> Self {
        let mut classes = Self::default();
        for need in needs {
            classes.kinds.extend(&need.kinds);
            classes.oses.extend(&need.oses);
            classes.unseen.extend(Some(need.not_seen_for).filter(|secs| *secs > 0));
        }
        classes.kinds.sort_unstable();
        classes.kinds.dedup();
        classes.oses.sort_unstable();
        classes.oses.dedup();
        classes.unseen.sort_unstable();
        classes.unseen.dedup();
        classes
    }

    pub(crate) fn class(&self, device: Option<DeviceAbout>) -> usize {
        let Some(device) = device else { return 0 };
        let kind = self.kinds.binary_search(&device.kind).unwrap_or(self.kinds.len());
        let os = device.os.and_then(|os| self.oses.binary_search(&os).ok()).unwrap_or(self.oses.len());
        let unseen = self.unseen.partition_point(|secs| *secs <= device.unseen);
        1 + (kind * (self.oses.len() + 1) + os) * (self.unseen.len() + 1) + unseen
    }

    /// A device of each class, in the order of their numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = Option<DeviceAbout>> {
        // Of the kinds and systems that no rule names, one stands for all.
        let other_kind = DeviceKind::ALL.iter().find(|kind| !self.kinds.contains(kind));
        let kinds = self.kinds.iter().copied().chain([other_kind.copied().unwrap_or(DeviceKind::Byod)]);
        let devices = kinds.flat_map(move |kind| {
            let oses = self.oses.iter().copied().map(Some).chain([None]);
            oses.flat_map(move |os| {
                let unseen = [0].into_iter().chain(self.unseen.iter().copied());
                unseen.map(move |unseen| Some(DeviceAbout { kind, os, unseen }))
            })
        });
        [None].into_iter().chain(devices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_of_the_class_of_one_that_meets_the_same() {
        let needs = [
            DeviceNeed::default(),
            DeviceNeed { kinds: [DeviceKind::Lent].into(), ..DeviceNeed::default() },
            DeviceNeed { oses: [Os::Ios, Os::Android].into(), not_seen_for: 600, ..DeviceNeed::default() },
            DeviceNeed { not_seen_for: 60, kinds: [DeviceKind::Machine].into(), ..DeviceNeed::default() },
        ];
        for count in 0..=needs.len() {
            let needs = &needs[..count];
            let classes = DeviceClasses::of(needs.iter());
            let all: Vec<_> = classes.all().collect();
            for (number, device) in all.iter().enumerate() {
                assert_eq!(classes.class(*device), number, "{device:?}");
            }
            for kind in DeviceKind::ALL {
                for os in Os::ALL.iter().copied().map(Some).chain([None]) {
                    for unseen in [0, 59, 60, 61, 600, u32::MAX] {
                        let device = Some(DeviceAbout { kind: *kind, os, unseen });
                        let stands_for_it = all[classes.class(device)];
                        for need in needs {
                            assert_eq!(need.is_met(device), need.is_met(stands_for_it), "{device:?} {need:?}");
                        }
                    }
                }
            }
        }
        assert_eq!(DeviceClasses::of(needs[..1].iter()).all().count(), 2, "enrolled or not, where no more is asked");
    }
}
