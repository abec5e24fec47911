//! The decision once more: slow, plain, straight from the documents, sharing no code with the crate.

use policy::document::{DeviceRequirement, From, OneOrMore, When};
use policy::{RuleDocument, Standing, TokenFact};
use vocabulary::{DeviceKind, LocalTime, Os, Reason};

use crate::world::*;

type PathMeaning = fn(&str) -> bool;
type TimeMeaning = fn(LocalTime) -> bool;

/// Patterns, and what they mean.
pub(crate) const PATHS: [(&str, PathMeaning); 7] = [
    ("/residents/**", |p| p == "/residents" || p.starts_with("/residents/")),
    ("/residents/*", |p| p.strip_prefix("/residents/").is_some_and(|rest| !rest.contains('/'))),
    ("/res*", |p| p.starts_with("/res") && !p[1..].contains('/')),
    ("/**", |_| true),
    ("/**/notes", |p| p.ends_with("/notes")),
    ("/residents", |p| p == "/residents"),
    ("/*/7", |p| p.strip_suffix("/7").is_some_and(|rest| rest.rfind('/') == Some(0))),
];

/// Times as written, and what they mean on the first days of November 2026; the 1st is a Sunday.
pub(crate) fn times() -> [(When, TimeMeaning); 10] {
    let when = |days: &str, hours: &str, from: &str, until: &str| {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        When { days: said(days), hours: said(hours), from_date: said(from), until_date: said(until) }
    };
    [
        (when("", "06:00-22:00", "", ""), |t| (360..1320).contains(&t.minute)),
        (when("sat-mon", "", "", ""), |t| [1, 2, 7, 8].contains(&t.date.day())),
        (when("fri", "22:00-05:00", "", ""), |t| {
            (t.date.day() == 6 && t.minute >= 1320) || (t.date.day() == 7 && t.minute < 300)
        }),
        (when("", "", "", "2026-11-02"), |t| t.date.day() <= 2),
        (when("", "22:00-05:00", "", ""), |t| t.minute >= 1320 || t.minute < 300),
        (when("", "06:00-10:00,20:00-23:00", "", ""), |t| {
            (360..600).contains(&t.minute) || (1200..1380).contains(&t.minute)
        }),
        (when("", "", "2026-11-05", "2026-11-06"), |t| [5, 6].contains(&t.date.day())),
        // A night belongs to the day it begins on, the last one too.
        (when("", "22:00-05:00", "", "2026-11-03"), |t| {
            (t.date.day() <= 3 && t.minute >= 1320) || (t.date.day() <= 4 && t.minute < 300)
        }),
        (when("", "22:00-05:00", "2026-11-05", ""), |t| {
            (t.date.day() >= 5 && t.minute >= 1320) || (t.date.day() >= 6 && t.minute < 300)
        }),
        (when("mon,wed,fri", "08:00-12:00", "", ""), |t| {
            [2, 4, 6].contains(&t.date.day()) && (480..720).contains(&t.minute)
        }),
    ]
}

/// The same criteria as the crate's, easiest to mend first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lacks {
    SignedIn,
    Factors,
    Device,
    Network,
    Time,
    Action,
    Method,
    Path,
    Who,
}

fn allows(rule: &RuleDocument) -> bool {
    !rule.allow.is_empty()
}

fn about(rule: &RuleDocument, app: &str) -> bool {
    rule.apps.iter().any(|a| a.as_str() == app) || (rule.apps.is_empty() && (!allows(rule) || app != "console"))
}

fn in_network(request: &Request, name: &str, doubt_counts: bool) -> bool {
    let address = request.address.parse::<std::net::IpAddr>().unwrap().to_canonical();
    NETWORKS.iter().any(|(n, range, shared)| {
        *n == name && range.parse::<ipnet::IpNet>().unwrap().contains(&address) && (doubt_counts || !shared)
    })
}

fn enrolled(request: &Request) -> bool {
    known(request).is_some()
}

/// Kind, system and for how long it was not seen, of an enrolled device.
fn known(request: &Request) -> Option<(DeviceKind, Option<Os>, u32)> {
    match request.device {
        Device::Shared | Device::SharedByOthers => Some((DeviceKind::Shared, Some(Os::Android), 60)),
        Device::Of(_) => Some((DeviceKind::Byod, Some(Os::Ios), 60)),
        Device::Their(_, kind, os, unseen) => Some((kind, os, unseen)),
        Device::Machine(_, unseen) => Some((DeviceKind::Machine, None, unseen)),
        _ => None,
    }
}

fn owner(request: &Request) -> Option<&'static str> {
    match request.device {
        Device::Of(owner) | Device::Their(owner, ..) => Some(owner),
        _ => None,
    }
}

fn lists<T: PartialEq>(list: &OneOrMore<T>, value: Option<&T>) -> bool {
    match list {
        OneOrMore::One(one) => value == Some(one),
        OneOrMore::More(more) => more.is_empty() || more.iter().any(|one| value == Some(one)),
    }
}

fn networks_hold(from: &From, request: &Request, doubt_counts: bool) -> bool {
    from.networks.is_empty() || from.networks.iter().any(|n| in_network(request, n.as_str(), doubt_counts))
}

fn device_holds(from: &From, request: &Request) -> bool {
    match (&from.device, known(request)) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(DeviceRequirement::Any(_)), Some(_)) => true,
        (Some(DeviceRequirement::Of(asked)), Some((kind, os, unseen))) => {
            lists(&asked.kind, Some(&kind))
                && lists(&asked.os, os.as_ref())
                && asked.not_seen_for.is_none_or(|span| u64::from(unseen) >= span.0.as_secs())
        }
    }
}

/// Doubt is read the one way outside a `not` and the other way within.
fn holds(from: &From, request: &Request, doubt_counts: bool) -> bool {
    networks_hold(from, request, doubt_counts)
        && device_holds(from, request)
        && from.not.as_ref().is_none_or(|not| !holds(not, request, !doubt_counts))
}

fn speaks_of_networks(from: &From) -> bool {
    !from.networks.is_empty() || from.not.as_ref().is_some_and(|not| speaks_of_networks(not))
}

fn place(rule: &RuleDocument, request: &Request) -> Vec<Lacks> {
    let mut lacks = Vec::new();
    if let Some(from) = &rule.from {
        let doubt_counts = !allows(rule);
        let not_fails = from.not.as_ref().is_some_and(|not| holds(not, request, !doubt_counts));
        let by_network = from.not.as_ref().is_some_and(|not| speaks_of_networks(not));
        if !networks_hold(from, request, doubt_counts) || (not_fails && by_network) {
            lacks.push(Lacks::Network);
        }
        if !device_holds(from, request) || (not_fails && !by_network) {
            lacks.push(Lacks::Device);
        }
    }
    if let Some(when) = &rule.when
        && !times().iter().find(|(t, _)| t == when).unwrap().1(request.local)
    {
        lacks.push(Lacks::Time);
    }
    lacks
}

fn everything(rule: &RuleDocument, request: &Request) -> Vec<Lacks> {
    let mut lacks = place(rule, request);
    if let Device::Machine(name, _) = request.device {
        let who = rule.who.clone().unwrap_or_default();
        let of_people = !who.people.is_empty() || !who.groups.is_empty();
        let to_all = !allows(rule) && !of_people && who.machines.is_empty();
        if !to_all && !who.machines.iter().any(|machine| machine.as_str() == name) {
            lacks.push(Lacks::Who);
        }
        if who.factors.is_some() {
            lacks.push(Lacks::Factors);
        }
        if who.signed_in_within.is_some() {
            lacks.push(Lacks::SignedIn);
        }
    } else if let Some(who) = &rule.who {
        let person = request.person.as_ref().unwrap();
        let by_id = who.people.iter().any(|p| p.as_str() == person.id);
        let by_group = who.groups.iter().any(|g| person.groups.contains(&g.as_str()));
        if !(by_id || by_group || (who.people.is_empty() && who.groups.is_empty() && who.machines.is_empty())) {
            lacks.push(Lacks::Who);
        }
        let own_device = u8::from(person.factors > 0 && owner(request) == Some(person.id));
        if who.factors.is_some_and(|f| person.factors.min(2) + own_device < f) {
            lacks.push(Lacks::Factors);
        }
        if who.signed_in_within.is_some_and(|within| u64::from(person.signed_in_ago) > within.0.as_secs()) {
            lacks.push(Lacks::SignedIn);
        }
    }
    let (method, path) = if allows(rule) {
        (request.method.to_owned(), request.path.to_owned())
    } else {
        (request.method.to_uppercase(), request.path.to_lowercase())
    };
    let without_end = path.strip_suffix('/').filter(|rest| !allows(rule) && !rest.is_empty()).unwrap_or(&path);
    if !rule.methods.is_empty() && !rule.methods.contains(&method) {
        lacks.push(Lacks::Method);
    }
    let meaning = |pattern: &String| PATHS.iter().find(|(p, _)| p == pattern).unwrap().1;
    if !rule.paths.is_empty() && !rule.paths.iter().any(|p| meaning(p)(&path) || meaning(p)(without_end)) {
        lacks.push(Lacks::Path);
    }
    if !rule.allow.contains(&request.action) && !rule.deny.contains(&request.action) {
        lacks.push(Lacks::Action);
    }
    lacks
}

fn blanket<'r>(rules: &'r [RuleDocument], request: &Request, app: &str) -> Vec<&'r RuleDocument> {
    let to_all =
        |rule: &RuleDocument| !allows(rule) && rule.who.is_none() && rule.methods.is_empty() && rule.paths.is_empty();
    rules.iter().filter(|r| to_all(r) && about(r, app) && place(r, request).is_empty()).collect()
}

fn for_machines_alone(rule: &RuleDocument) -> bool {
    rule.who.as_ref().is_some_and(|who| !who.machines.is_empty() && who.people.is_empty() && who.groups.is_empty())
}

/// Whoever it may be who comes: a rule for machines alone is not for them.
fn place_of_people(rule: &RuleDocument, request: &Request) -> Vec<Lacks> {
    let lacks = place(rule, request);
    if for_machines_alone(rule) { lacks.into_iter().chain([Lacks::Who]).collect() } else { lacks }
}

fn could_allow(rules: &[RuleDocument], request: &Request, app: &str) -> bool {
    let denied = blanket(rules, request, app);
    rules.iter().any(|rule| {
        about(rule, app)
            && !for_machines_alone(rule)
            && place(rule, request).is_empty()
            && rule.allow.iter().any(|action| !denied.iter().any(|d| d.deny.contains(action)))
    })
}

fn denial(rule: &RuleDocument, lacks: &[Lacks], request: &Request) -> Outcome {
    let reason = match lacks.iter().max().unwrap() {
        Lacks::SignedIn => Reason::SignInStale,
        Lacks::Factors => Reason::FactorsNeeded,
        Lacks::Device if request.device == Device::Expired => Reason::DeviceExpired,
        Lacks::Device if enrolled(request) => Reason::NoRule,
        Lacks::Device => Reason::DeviceNeeded,
        Lacks::Network => Reason::UnknownNetwork,
        Lacks::Time => Reason::OutsideHours,
        Lacks::Action => Reason::ActionNotAllowed,
        Lacks::Method | Lacks::Path => Reason::PathNotAllowed,
        Lacks::Who => Reason::NotForYou,
    };
    (false, reason, Some(rule.name.to_string()))
}

/// `apps`: those that count; the rules that lack least of what `lacks` asks decide.
fn closest(
    rules: &[RuleDocument],
    request: &Request,
    apps: &[&str],
    lacks: fn(&RuleDocument, &Request) -> Vec<Lacks>,
) -> Outcome {
    let candidates = rules.iter().filter(|r| allows(r) && apps.iter().any(|app| about(r, app)));
    let closest =
        candidates.map(|r| (r, lacks(r, request))).min_by_key(|(_, lacks)| (lacks.len(), lacks.iter().max().copied()));
    match closest {
        None => (false, Reason::NoRule, None),
        Some((_, lacks)) if lacks.is_empty() => {
            let denying = rules.iter().find(|r| apps.iter().any(|app| blanket(rules, request, app).contains(r)));
            (false, Reason::ActionDenied, denying.map(|r| r.name.to_string()))
        }
        Some((rule, lacks)) => denial(rule, &lacks, request),
    }
}

pub(crate) fn decide(rules: &[RuleDocument], request: &Request) -> Outcome {
    let deny = |reason| (false, reason, None);
    let permit = |reason| (true, reason, None);
    if !request.record_ready {
        return deny(Reason::RecordUnavailable);
    }
    if !request.clock_ok {
        return deny(Reason::Clock);
    }
    let app = match request.to {
        To::UnknownHost => return deny(Reason::NoApp),
        To::Misdirected => return deny(Reason::Misdirected),
        To::App(app) | To::Ticket(app) => app,
        To::Console => "console",
        To::Login | To::Enroll | To::Scim(_) | To::ProviderLogout => "",
    };
    if request.ambiguous {
        return deny(Reason::Ambiguous);
    }
    let on_app = matches!(request.to, To::App(_));
    if request.cross_site && (on_app || matches!(request.to, To::Console)) {
        return deny(Reason::CrossSite);
    }
    if request.stale {
        return deny(Reason::NoRule);
    }
    if matches!(request.to, To::Enroll | To::ProviderLogout) {
        return permit(Reason::BuiltIn);
    }
    if on_app && request.preflight && request.method == "OPTIONS" {
        return permit(Reason::Preflight);
    }
    if matches!(request.to, To::Login) {
        match request.device {
            Device::None | Device::Expired | Device::Revoked | Device::Unknown if request.invited => {
                return permit(Reason::BuiltIn);
            }
            Device::Machine(..) => return deny(Reason::NotForYou),
            _ => {}
        }
    }
    match request.device {
        Device::Revoked => return deny(Reason::DeviceRevoked),
        Device::Unknown => return deny(Reason::DeviceUnknown),
        Device::OwnerOut(Standing::NotOnRoster) => return deny(Reason::NotOnRoster),
        Device::OwnerOut(Standing::NotYet) => return deny(Reason::StaffNotYet),
        Device::OwnerOut(Standing::Retired) => return deny(Reason::StaffRetired),
        Device::OwnerOut(Standing::Locked) => return deny(Reason::StaffLocked),
        _ => {}
    }
    match request.to {
        To::Login if request.person.is_some() || request.invited => return permit(Reason::BuiltIn),
        To::Login if APPS.iter().any(|app| could_allow(rules, request, app)) => return permit(Reason::BuiltIn),
        To::Login => return closest(rules, request, &APPS, place_of_people),
        To::Ticket(app) if could_allow(rules, request, app) => return permit(Reason::Ticket),
        To::Ticket(app) => return closest(rules, request, &[app], place_of_people),
        To::Scim(machine) if !machine.place => return deny(Reason::UnknownNetwork),
        To::Scim(machine) => match machine.token {
            TokenFact::None => return deny(Reason::TokenNeeded),
            TokenFact::Narrow => return deny(Reason::TokenScope),
            TokenFact::Good => return permit(Reason::BuiltIn),
        },
        _ => {}
    }
    let matching = |rule: &&RuleDocument| about(rule, app) && everything(rule, request).is_empty();
    let by_rules = || {
        if let Some(rule) = rules.iter().filter(|r| !allows(r)).find(matching) {
            return (false, Reason::ActionDenied, Some(rule.name.to_string()));
        }
        if let Some(rule) = rules.iter().filter(|r| allows(r)).find(matching) {
            return (true, Reason::Rule, Some(rule.name.to_string()));
        }
        closest(rules, request, &[app], everything)
    };
    if matches!(request.device, Device::Machine(..)) {
        return if request.wrong_account { deny(Reason::WrongAccount) } else { by_rules() };
    }
    let Some(person) = &request.person else {
        if on_app && request.static_ok && request.method == "GET" {
            return permit(Reason::Static);
        }
        if could_allow(rules, request, app) {
            return deny(Reason::SignInNeeded);
        }
        return closest(rules, request, &[app], place_of_people);
    };
    match person.standing {
        Standing::NotOnRoster => return deny(Reason::NotOnRoster),
        Standing::NotYet => return deny(Reason::StaffNotYet),
        Standing::Retired => return deny(Reason::StaffRetired),
        Standing::Locked => return deny(Reason::StaffLocked),
        Standing::Active => {}
    }
    if request.device == Device::SharedByOthers || owner(request).is_some_and(|owner| owner != person.id) {
        return deny(Reason::DeviceNotYours);
    }
    if !person.session_matches_device {
        return deny(Reason::SessionElsewhere);
    }
    if request.wrong_account {
        return deny(Reason::WrongAccount);
    }
    by_rules()
}
