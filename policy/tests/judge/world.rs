use std::net::IpAddr;

use policy::document::{AnyDevice, DeviceDocument, DeviceRequirement, From, OneOrMore, When, Who};
use policy::{
    BuiltIn, Catalog, Decision, DeviceAbout, DeviceFact, Facts, MachineFact, NetworkDocument, PersonFact, Policy,
    Route, RuleDocument, Standing,
};
use vocabulary::{
    Action, AppId, Date, DeviceKind, GroupName, LocalTime, MachineName, NetworkName, Os, PersonId, Reason, RuleName,
    Span,
};

pub(crate) const APPS: [&str; 3] = ["kaipoke", "records", "console"];
pub(crate) const GROUPS: [&str; 4] = ["staff", "visiting-nurses", "managers", "vendor"];
pub(crate) const MACHINES: [&str; 2] = ["rpa", "backup"];
pub(crate) const PEOPLE: [&str; 3] = ["sato", "suzuki", "takahashi"];
/// Name, range, shared.
pub(crate) const NETWORKS: [(&str, &str, bool); 4] = [
    ("home", "203.0.113.0/24", false),
    ("desk", "203.0.113.10/32", false),
    ("ds-lite", "192.0.2.0/24", true),
    ("branch", "2001:db8:1::/48", false),
];
pub(crate) const AT_HOME: &str = "203.0.113.77";
pub(crate) const AT_DESK: &str = "203.0.113.10";
pub(crate) const SHARED: &str = "192.0.2.9";
pub(crate) const OUTSIDE: &str = "198.51.100.1";
pub(crate) const ADDRESSES: [&str; 6] = [AT_HOME, AT_DESK, SHARED, OUTSIDE, "2001:db8:1::7", "::ffff:203.0.113.10"];

#[derive(Clone, Debug)]
pub(crate) enum To {
    UnknownHost,
    Misdirected,
    App(&'static str),
    Ticket(&'static str),
    Login,
    Console,
    Enroll,
    Scim(MachineFact),
    ProviderLogout,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Device {
    None,
    Expired,
    Revoked,
    Unknown,
    Shared,
    /// Shared, but by groups that the person is not in.
    SharedByOthers,
    /// Of somebody who may not come in today.
    OwnerOut(Standing),
    Of(&'static str),
    /// One of these people's, more closely.
    Their(&'static str, DeviceKind, Option<Os>, u32),
    Machine(&'static str, u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: &'static str,
    pub(crate) groups: Vec<&'static str>,
    pub(crate) standing: Standing,
    pub(crate) factors: u8,
    pub(crate) signed_in_ago: u32,
    pub(crate) session_matches_device: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) record_ready: bool,
    pub(crate) clock_ok: bool,
    pub(crate) to: To,
    pub(crate) ambiguous: bool,
    pub(crate) cross_site: bool,
    pub(crate) preflight: bool,
    pub(crate) address: &'static str,
    pub(crate) device: Device,
    pub(crate) person: Option<Person>,
    pub(crate) local: LocalTime,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) action: Action,
    pub(crate) static_ok: bool,
    pub(crate) wrong_account: bool,
    pub(crate) invited: bool,
    /// Where the request comes from was looked up in the networks of another policy.
    pub(crate) stale: bool,
}

/// Sato of the staff reads a record of kaipoke, in the facility, on a Monday morning.
pub(crate) fn request() -> Request {
    Request {
        record_ready: true,
        clock_ok: true,
        to: To::App("kaipoke"),
        ambiguous: false,
        cross_site: false,
        preflight: false,
        address: AT_HOME,
        device: Device::None,
        person: Some(sato(&["staff"])),
        local: at(2, 9, 0),
        method: "GET",
        path: "/residents/7",
        action: Action::View,
        static_ok: false,
        wrong_account: false,
        invited: false,
        stale: false,
    }
}

pub(crate) fn sato(groups: &[&'static str]) -> Person {
    Person {
        id: "sato",
        groups: groups.to_vec(),
        standing: Standing::Active,
        factors: 1,
        signed_in_ago: 600,
        session_matches_device: true,
    }
}

/// A day of November 2026 (the 2nd is a Monday).
pub(crate) fn at(day: i8, hour: u16, minute: u16) -> LocalTime {
    LocalTime { date: Date::constant(2026, 11, day), minute: hour * 60 + minute }
}

pub(crate) fn catalog() -> Catalog {
    Catalog {
        apps: APPS.iter().map(|a| AppId::new(a).unwrap()).collect(),
        networks: NETWORKS
            .iter()
            .map(|(name, range, shared)| {
                (NetworkName::new(name).unwrap(), NetworkDocument { cidrs: vec![(*range).to_owned()], shared: *shared })
            })
            .collect(),
        groups: Some(GROUPS.iter().map(|g| GroupName::new(g).unwrap()).collect()),
    }
}

pub(crate) fn blank(name: &str) -> RuleDocument {
    RuleDocument {
        name: RuleName::new(name).unwrap(),
        apps: Vec::new(),
        who: None,
        from: None,
        when: None,
        methods: Vec::new(),
        paths: Vec::new(),
        allow: Vec::new(),
        deny: Vec::new(),
    }
}

pub(crate) fn apps(names: &[&str]) -> Vec<AppId> {
    names.iter().map(|a| AppId::new(a).unwrap()).collect()
}

pub(crate) fn groups(names: &[&str]) -> Who {
    Who { groups: names.iter().map(|g| GroupName::new(g).unwrap()).collect(), ..Who::default() }
}

pub(crate) fn networks(names: &[&str]) -> From {
    From { networks: names.iter().map(|n| NetworkName::new(n).unwrap()).collect(), ..From::default() }
}

pub(crate) fn not(from: From) -> From {
    From { not: Some(from.into()), ..From::default() }
}

pub(crate) fn enrolled() -> From {
    From { device: Some(DeviceRequirement::Any(AnyDevice::Enrolled)), ..From::default() }
}

pub(crate) fn device(kinds: &[DeviceKind], oses: &[Os], not_seen_for: Option<u64>) -> From {
    let document = DeviceDocument {
        kind: OneOrMore::More(kinds.to_vec()),
        os: OneOrMore::More(oses.to_vec()),
        not_seen_for: not_seen_for.map(Span::secs),
    };
    From { device: Some(DeviceRequirement::Of(document)), ..From::default() }
}

pub(crate) fn machines(names: &[&str]) -> Who {
    Who { machines: names.iter().map(|name| MachineName::new(name).unwrap()).collect(), ..Who::default() }
}

pub(crate) fn hours(hours: &str) -> When {
    When { hours: Some(hours.to_owned()), ..When::default() }
}

pub(crate) fn compile(rules: &[RuleDocument]) -> Policy {
    Policy::compile(rules, &catalog()).unwrap()
}

/// Builds the facts for `request` and hands them to `then`.
pub(crate) fn with_facts<R>(policy: &Policy, request: &Request, then: impl FnOnce(&Facts<'_>) -> R) -> R {
    let app = |name: &str| policy.app(&AppId::new(name).unwrap()).unwrap();
    let route = match request.to {
        To::UnknownHost => Route::UnknownHost,
        To::Misdirected => Route::Misdirected,
        To::App(name) => Route::App(app(name)),
        To::Ticket(name) => Route::BuiltIn(BuiltIn::Ticket(app(name))),
        To::Login => Route::BuiltIn(BuiltIn::Login),
        To::Console => Route::BuiltIn(BuiltIn::Console),
        To::Enroll => Route::BuiltIn(BuiltIn::Enroll),
        To::Scim(machine) => Route::BuiltIn(BuiltIn::Scim(machine)),
        To::ProviderLogout => Route::BuiltIn(BuiltIn::ProviderLogout),
    };
    let address = request.address.parse::<IpAddr>().unwrap();
    let owner = match request.device {
        Device::Of(owner) | Device::Their(owner, ..) => Some(PersonId::new(owner).unwrap()),
        _ => None,
    };
    let machine = match request.device {
        Device::Machine(name, _) => MachineName::new(name).unwrap(),
        _ => MachineName::new("none").unwrap(),
    };
    let about = |kind, os, unseen| DeviceAbout { kind, os, unseen };
    let tablet = about(DeviceKind::Shared, Some(Os::Android), 60);
    let device = match request.device {
        Device::None => DeviceFact::None,
        Device::Expired => DeviceFact::Expired,
        Device::Revoked => DeviceFact::Revoked,
        Device::Unknown => DeviceFact::Unknown,
        Device::Shared => DeviceFact::Enrolled { owner: None, serves: true, about: tablet },
        Device::Of(_) => DeviceFact::Enrolled {
            owner: owner.as_ref(),
            serves: true,
            about: about(DeviceKind::Byod, Some(Os::Ios), 60),
        },
        Device::Their(_, kind, os, unseen) => {
            DeviceFact::Enrolled { owner: owner.as_ref(), serves: true, about: about(kind, os, unseen) }
        }
        Device::SharedByOthers => DeviceFact::Enrolled { owner: None, serves: false, about: tablet },
        Device::Machine(_, unseen) => {
            DeviceFact::Machine { name: &machine, about: about(DeviceKind::Machine, None, unseen) }
        }
        Device::OwnerOut(standing) => DeviceFact::OwnerOut(standing),
    };
    let person = request.person.as_ref().map(|p| {
        let names: Vec<GroupName> = p.groups.iter().map(|g| GroupName::new(g).unwrap()).collect();
        (PersonId::new(p.id).unwrap(), policy.groups(names.iter()))
    });
    let person = request.person.as_ref().zip(person.as_ref()).map(|(p, (id, groups))| PersonFact {
        id,
        groups,
        standing: p.standing,
        factors: p.factors,
        signed_in_ago: p.signed_in_ago,
        session_matches_device: p.session_matches_device,
    });
    then(&Facts {
        record_ready: request.record_ready,
        clock_ok: request.clock_ok,
        route,
        ambiguous: request.ambiguous,
        cross_site: request.cross_site,
        preflight: request.preflight,
        network: if request.stale { elsewhere() } else { policy.networks() }.lookup(address),
        device,
        person,
        local: request.local,
        method: request.method,
        path: request.path,
        action: request.action,
        static_ok: request.static_ok,
        wrong_account: request.wrong_account,
        invited: request.invited,
    })
}

/// The networks of a policy that knows others.
fn elsewhere() -> &'static policy::NetworkTable {
    static OTHER: std::sync::OnceLock<Policy> = std::sync::OnceLock::new();
    let networks = [("elsewhere", "203.0.113.0/24")].map(|(name, range)| {
        let network = NetworkDocument { cidrs: vec![range.to_owned()], shared: false };
        (NetworkName::new(name).unwrap(), network)
    });
    let other = || Policy::compile(&[], &Catalog { networks: networks.into(), ..catalog() }).unwrap();
    OTHER.get_or_init(other).networks()
}

/// Permit or not, why, and by which rule.
pub(crate) type Outcome = (bool, Reason, Option<String>);

pub(crate) fn outcome(decision: &Decision) -> Outcome {
    (decision.is_permit(), decision.reason(), decision.rule().map(ToString::to_string))
}

pub(crate) fn decide(policy: &Policy, request: &Request) -> Outcome {
    with_facts(policy, request, |facts| outcome(&policy.decide(facts)))
}
