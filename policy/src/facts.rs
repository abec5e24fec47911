//! What is known of one request when it is judged. Gathering it is the proxy's work.

use std::fmt;

use vocabulary::{Action, LocalTime, PersonId};

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
    /// The wall clock in the facility's time zone.
    pub local: LocalTime,
    /// As the client wrote it.
    pub method: &'a str,
    /// Canonical and decoded, beginning with `/`, without query and path parameters.
    pub path: &'a str,
    pub action: Action,
    /// A recipe marks the host static and a live session uses this address.
    pub static_ok: bool,
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
    Enrolled {
        /// `None` for a shared device: it belongs to the facility.
        owner: Option<&'a PersonId>,
    },
}

impl DeviceFact<'_> {
    pub(crate) const fn is_enrolled(&self) -> bool {
        matches!(self, Self::Enrolled { .. })
    }
}

/// Who is signed in.
#[derive(Clone, Copy, Debug)]
pub struct PersonFact<'a> {
    pub id: &'a PersonId,
    /// From [`crate::Policy::groups`].
    pub groups: &'a GroupSet,
    pub standing: Standing,
    /// How many factors the sign-in had.
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
