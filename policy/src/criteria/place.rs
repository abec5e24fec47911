//! Where a request comes from: networks and the device, which an address may leave in doubt.

use super::{DeviceNeed, Effect};
use crate::facts::DeviceAbout;

/// A rule's `from`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Numbers of the network table; empty asks for none.
    pub(crate) networks: Box<[u32]>,
    /// `None` asks for no device.
    pub(crate) device: Option<DeviceNeed>,
    pub(crate) not: Option<Box<Place>>,
}

/// What was seen of a request's origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// Networks the address certainly belongs to, sorted.
    pub(crate) sure: &'a [u32],
    /// Networks it may belong to, sorted.
    pub(crate) unsure: &'a [u32],
    /// The enrolled one, if it is.
    pub(crate) device: Option<DeviceAbout>,
}

/// Kleene's three values, in the order in which "and" is the least of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    No,
    Perhaps,
    Yes,
}

impl Truth {
    fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Perhaps => Self::Perhaps,
            Self::Yes => Self::No,
        }
    }

    /// Doubt never allows and always denies.
    fn suffices(self, effect: Effect) -> bool {
        match effect {
            Effect::Allow => self == Self::Yes,
            Effect::Deny => self != Self::No,
        }
    }
}

impl Place {
    /// Whether it fails by the network and whether by the device. A `not` that fails counts to the network if it
    /// speaks of one. Neither: the place is right.
    pub(crate) fn unmet(&self, seen: &Seen<'_>, effect: Effect) -> (bool, bool) {
        let mut network = !self.networks(seen).suffices(effect);
        let mut device = !self.device(seen).suffices(effect);
        if let Some(not) = &self.not
            && !not.truth(seen).not().suffices(effect)
        {
            if not.speaks_of_networks() { network = true } else { device = true }
        }
        (network, device)
    }

    fn truth(&self, seen: &Seen<'_>) -> Truth {
        let not = self.not.as_ref().map_or(Truth::Yes, |not| not.truth(seen).not());
        self.networks(seen).min(self.device(seen)).min(not)
    }

    fn networks(&self, seen: &Seen<'_>) -> Truth {
        let any_of = |networks: &[u32]| self.networks.iter().any(|n| networks.binary_search(n).is_ok());
        if self.networks.is_empty() || any_of(seen.sure) {
            Truth::Yes
        } else if any_of(seen.unsure) {
            Truth::Perhaps
        } else {
            Truth::No
        }
    }

    fn device(&self, seen: &Seen<'_>) -> Truth {
        Truth::of(self.device.as_ref().is_none_or(|need| need.is_met(seen.device)))
    }

    /// All that it asks of devices.
    pub(crate) fn device_needs(&self) -> impl Iterator<Item = &DeviceNeed> {
        let mut place = Some(self);
        std::iter::from_fn(move || {
            let this = place?;
            place = this.not.as_deref();
            Some(this.device.as_ref())
        })
        .flatten()
    }

    fn speaks_of_networks(&self) -> bool {
        !self.networks.is_empty() || self.not.as_ref().is_some_and(|not| not.speaks_of_networks())
    }
}

#[cfg(test)]
mod tests {
    use vocabulary::DeviceKind;

    use super::*;

    const HOME: u32 = 3;

    fn at(networks: &[u32]) -> Place {
        Place { networks: networks.into(), ..Place::default() }
    }

    fn not(place: Place) -> Place {
        Place { not: Some(place.into()), ..Place::default() }
    }

    const TABLET: DeviceAbout = DeviceAbout { kind: DeviceKind::Shared, os: None, unseen: 0 };

    fn enrolled() -> Option<DeviceNeed> {
        Some(DeviceNeed::default())
    }

    fn met(place: &Place, sure: &[u32], unsure: &[u32], enrolled: bool, effect: Effect) -> bool {
        place.unmet(&Seen { sure, unsure, device: enrolled.then_some(TABLET) }, effect) == (false, false)
    }

    #[test]
    fn a_network_we_are_unsure_of_allows_nothing_and_denies_either_way_it_is_written() {
        for place in [at(&[HOME]), not(at(&[HOME])), not(not(at(&[HOME])))] {
            assert!(!met(&place, &[], &[HOME], false, Effect::Allow), "{place:?}");
            assert!(met(&place, &[], &[HOME], false, Effect::Deny), "{place:?}");
        }
    }

    #[test]
    fn doubt_about_one_network_does_not_spoil_certainty_about_another() {
        let either = at(&[HOME, 5]);
        assert!(met(&either, &[5], &[HOME], false, Effect::Allow));
        assert!(!met(&not(either), &[5], &[HOME], false, Effect::Deny));
    }

    #[test]
    fn not_negates_the_whole() {
        let inside_on_our_device = Place { device: enrolled(), ..at(&[HOME]) };
        let place = not(inside_on_our_device);
        assert!(!met(&place, &[HOME], &[], true, Effect::Allow));
        assert!(met(&place, &[HOME], &[], false, Effect::Allow));
        assert!(met(&place, &[], &[], true, Effect::Allow));
        // An unsure network without the device: certainly not both.
        assert!(met(&place, &[], &[HOME], false, Effect::Allow));
    }

    #[test]
    fn a_failure_is_told_as_network_or_device() {
        let both = Place { device: enrolled(), ..at(&[HOME]) };
        let seen = Seen { sure: &[], unsure: &[], device: None };
        assert_eq!(both.unmet(&seen, Effect::Allow), (true, true));
        assert_eq!(both.unmet(&Seen { sure: &[HOME], ..seen }, Effect::Allow), (false, true));
        assert_eq!(both.unmet(&Seen { device: Some(TABLET), ..seen }, Effect::Allow), (true, false));
        let outside = not(at(&[HOME]));
        assert_eq!(outside.unmet(&Seen { sure: &[HOME], ..seen }, Effect::Allow), (true, false));
        let without_device = not(Place { device: enrolled(), ..Place::default() });
        assert_eq!(without_device.unmet(&Seen { device: Some(TABLET), ..seen }, Effect::Allow), (false, true));
    }
}
