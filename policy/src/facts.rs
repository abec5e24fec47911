//! What is known of one request when it is judged. Gathering it is the proxy's work.

use std::fmt;

use vocabulary::{Action, DeviceKind, LocalTime, MachineName, Os, PersonId};

use crate::names::{AppIndex, GroupSet};
use crate::networks::NetworkFact;

/// Everything a decision depends on; equal facts and an equal policy give an equal decision.
///
/// `network`, the app of `route` and a person's `groups` are made by the policy that judges. With those of
/// another policy (after a reload, say) everything is denied, unless both speak of the same things.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The journal can be written.
    pub record_ready: bool,
    /// The clock does not stand before the newest record, or an operator accepted it.
    pub clock_ok: bool,
    pub route: Route,
    /// The request can be read in more than one way.
    pub ambiguous: bool,
    /// A page of another site or another app made the request. Counts on apps and on the console.
    pub cross_site: bool,
    /// A well-formed CORS preflight among the app's own origins.
    pub preflight: bool,
    /// From [`crate::NetworkTable::lookup`].
    pub network: NetworkFact,
    pub device: DeviceFact<'a>,
    /// Who is signed in, if somebody is.
    pub person: Option<PersonFact<'a>>,
    /// Somebody is on the way to enrol a device, with an invitation in hand: the sign-in pages are open to them.
    pub invited: bool,
    /// The wall clock in the facility's time zone.
    pub local: LocalTime,
    /// As the client wrote it.
    pub method: &'a str,
    /// Canonical and decoded, beginning with `/`, without query and path parameters.
    pub path: &'a str,
    pub action: Action,
    /// A recipe marks the host static and a live session uses this address.
    pub static_ok: bool,
    /// A recipe sees that it is about another account at the SaaS than the facility's.
    pub wrong_account: bool,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// No app has this Host.
    UnknownHost,
    /// The Host belongs to another app than the TLS server name.
    Misdirected,
    App(AppIndex),
    BuiltIn(BuiltIn),
}

/// Pages of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Sign-in, the signed-in home, sign-out.
    Login,
    /// Where an identity provider says that somebody signed out there (OpenID Connect Back-Channel and Front-Channel
    /// Logout 1.0). Reachable from anywhere; it shows no page, and acts on nothing but what the provider vouches for.
    ProviderLogout,
    /// Takes rules like an app, under the app id `console`.
    Console,
    /// Asks for an invitation itself; reachable from anywhere, also with a revoked certificate in hand.
    Enroll,
    /// The reserved path on this app's host where a one-time ticket is redeemed.
    Ticket(AppIndex),
    /// Where identity providers push people, by SCIM.
    Scim(MachineFact),
}

/// What is known of a program that comes without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineFact {
    /// It comes from where the configuration lets it come from.
    pub place: bool,
    pub token: TokenFact,
}

/// What the bearer token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFact {
    /// None, or one that is unknown, revoked or expired: to a stranger these are the same.
    None,
    /// Good, but not for this request.
    Narrow,
    Good,
}

/// What the client certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFact<'a> {
    /// None was presented.
    None,
    /// Of ours, but past its last day: counts as none.
    Expired,
    Revoked,
    /// Issued by our CA, but not in the inventory.
    Unknown,
    /// Of ours, but its owner may not come in today, for this reason: as bad as revoked, until that changes.
    OwnerOut(Standing),
    Enrolled {
        /// `None` for a shared device: it belongs to the facility.
        owner: Option<&'a PersonId>,
        /// False for a shared device that is for other groups than those of who is signed in.
        serves: bool,
        about: DeviceAbout,
    },
    /// Of ours, and a program's: it is who it is, and nobody signs in.
    Machine {
        name: &'a MachineName,
        about: DeviceAbout,
    },
}

/// What rules may ask of an enrolled device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAbout {
    pub kind: DeviceKind,
    /// `None` if it isn't known.
    pub os: Option<Os>,
    /// How many seconds ago it was last let in, before this request.
    pub unseen: u32,
}

/// How many factors stand behind a request, and where they come from.
///
/// This is the one place where factors are counted:
///
/// - the sign-in's own, 2 at most: a password is 1; a password with a one-time code, a recovery code or a passkey is
///   2; a passkey that has verified the person is 2, because it was held (possession) and unlocked (knowledge or
///   biometrics);
/// - one more for an enrolled device that belongs to the person who is signed in (厚労省 guideline 6.0, シス14: a
///   device's certificate together with knowledge or biometrics at the sign-in are two). A device that the facility
///   shares is in many hands and counts for nobody.
///
/// A network is not a factor, and without a sign-in there are none, whatever device it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactorCount {
    /// Of the sign-in: 0 to 2.
    pub sign_in: u8,
    /// The person's own enrolled device counted.
    pub device: bool,
}

impl FactorCount {
    /// 0 to 3.
    pub const fn total(self) -> u8 {
        self.sign_in + self.device as u8
    }
}

impl Facts<'_> {
    /// The factors that rules are held against.
    pub fn factors(&self) -> FactorCount {
        self.person.as_ref().map_or_else(FactorCount::default, |person| self.factors_of(person))
    }

    pub(crate) fn factors_of(&self, person: &PersonFact<'_>) -> FactorCount {
        let owner = match self.device {
            DeviceFact::Enrolled { owner, .. } => owner,
            DeviceFact::Machine { .. }
            | DeviceFact::None
            | DeviceFact::Expired
            | DeviceFact::Revoked
            | DeviceFact::Unknown
            | DeviceFact::OwnerOut(_) => None,
        };
        let sign_in = person.factors.min(2);
        FactorCount { sign_in, device: sign_in > 0 && owner == Some(person.id) }
    }
}

impl DeviceFact<'_> {
    /// What is known of it, if it is enrolled.
    pub(crate) const fn about(&self) -> Option<DeviceAbout> {
        match self {
            Self::Enrolled { about, .. } | Self::Machine { about, .. } => Some(*about),
            Self::None | Self::Expired | Self::Revoked | Self::Unknown | Self::OwnerOut(_) => None,
        }
    }
}

/// Who is signed in.
#[derive(Clone, Copy, Debug)]
pub struct PersonFact<'a> {
    pub id: &'a PersonId,
    /// From [`crate::Policy::groups`].
    pub groups: &'a GroupSet,
    pub standing: Standing,
    /// How many factors the sign-in had: 1 for a password, 2 with a second factor or a passkey. What a rule is held
    /// against is [`Facts::factors`].
    pub factors: u8,
    /// How many seconds ago the person last showed who they are; the greatest number if that isn't known.
    pub signed_in_ago: u32,
    /// The session began with the certificate that this request presents (or both have none).
    pub session_matches_device: bool,
}

/// What the roster says of a person today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Active,
    NotOnRoster,
    /// The first day is yet to come.
    NotYet,
    /// The last day has passed.
    Retired,
    Locked,
}

/// Leaves the path out: a segment of it may be a token.
impl fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("route", &self.route)
            .field("network", &self.network)
            .field("device", &self.device)
            .field("person", &self.person)
            .field("local", &self.local)
            .field("method", &self.method)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_in_counts_up_to_two_and_ones_own_device_one_more() {
        let (sato, tanaka) = (PersonId::new("sato").unwrap(), PersonId::new("tanaka").unwrap());
        let groups = GroupSet { groups: Box::default(), stamp: 0 };
        let about = DeviceAbout { kind: DeviceKind::Lent, os: None, unseen: 0 };
        let own = DeviceFact::Enrolled { owner: Some(&sato), serves: true, about };
        let others = DeviceFact::Enrolled { owner: Some(&tanaka), serves: true, about };
        let shared = DeviceFact::Enrolled { owner: None, serves: true, about };
        for (sign_in, device, total) in [
            (0, DeviceFact::None, 0),
            (0, own, 0),
            (1, DeviceFact::None, 1),
            (1, own, 2),
            (1, shared, 1),
            (1, others, 1),
            (1, DeviceFact::Expired, 1),
            (1, DeviceFact::Revoked, 1),
            (1, DeviceFact::Unknown, 1),
            (2, DeviceFact::None, 2),
            (2, shared, 2),
            (2, own, 3),
            (9, own, 3),
        ] {
            let person = PersonFact {
                id: &sato,
                groups: &groups,
                standing: Standing::Active,
                factors: sign_in,
                signed_in_ago: 0,
                session_matches_device: true,
            };
            let facts = Facts {
                record_ready: true,
                clock_ok: true,
                route: Route::UnknownHost,
                ambiguous: false,
                cross_site: false,
                preflight: false,
                network: NetworkFact { set: 0, stamp: 0 },
                device,
                person: Some(person),
                local: LocalTime { date: vocabulary::Date::constant(2026, 11, 4), minute: 600 },
                method: "GET",
                path: "/",
                action: Action::View,
                static_ok: false,
                wrong_account: false,
                invited: false,
            };
            assert_eq!(facts.factors().total(), total, "{sign_in} with {device:?}");
            assert_eq!(Facts { person: None, ..facts }.factors().total(), 0);
        }
    }
}
