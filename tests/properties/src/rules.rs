use ::policy::document::{From, When, Who};
use ::policy::{MachineFact, Policy, RuleDocument, Standing, TokenFact};
use vocabulary::{
    Action, AppId, DeviceKind, GroupName, LocalTime, MachineName, NetworkName, Os, PersonId, Reason, Span,
};

use crate::naive::{self, PATHS, times};
use crate::source::Source;
use crate::world::*;

/// Rules as JSON, which is what a document's rules are read from.
pub fn policy(data: &[u8]) {
    let Ok(rules) = serde_json::from_slice::<Vec<RuleDocument>>(data) else { return };
    let written = serde_json::to_vec(&rules).unwrap();
    assert_eq!(serde_json::from_slice::<Vec<RuleDocument>>(&written).unwrap(), rules, "read otherwise");
    let policy = match Policy::compile(&rules, &catalog()) {
        Ok(policy) => policy,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a word");
            for error in errors {
                assert!(!error.problem.is_empty(), "{error:?}");
            }
            return;
        }
    };
    for address in ADDRESSES {
        for app in APPS {
            let to = if app == "console" { To::Console } else { To::App(app) };
            for person in [None, Some(sato(&["staff"])), Some(sato(&GROUPS))] {
                let request = Request { to: to.clone(), address, person, ..request() };
                let (permitted, reason, rule) = decide(&policy, &request);
                assert_eq!((permitted, reason, rule.clone()), decide(&policy, &request), "decided otherwise");
                let named = rules.iter().find(|known| Some(known.name.to_string()) == rule);
                match reason {
                    Reason::Rule => assert!(permitted && named.is_some_and(|rule| !rule.allow.is_empty())),
                    _ => assert!(!permitted, "{reason:?} permits"),
                }
                assert!(!permitted || request.person.is_some(), "nobody is let in");
            }
        }
    }
}

/// The decision is that of the plain reading, and what permits names itself.
pub fn ladder(data: &[u8]) {
    let mut source = Source::new(data);
    let rules: Vec<RuleDocument> = (0..source.below(7)).map(|n| rule(&mut source, n)).collect();
    let policy = Policy::compile(&rules, &catalog()).unwrap();
    for _ in 0..4 {
        let request = request_of(&mut source);
        let (permitted, reason, rule) = decide(&policy, &request);
        assert_eq!((permitted, reason, rule.clone()), naive::decide(&rules, &request), "{request:?}\n{rules:#?}");
        let named = rules.iter().find(|known| Some(known.name.to_string()) == rule);
        match reason {
            Reason::Rule => assert!(permitted && named.is_some_and(|rule| !rule.allow.is_empty())),
            Reason::BuiltIn | Reason::Ticket | Reason::Preflight | Reason::Static => {
                assert!(permitted && rule.is_none());
            }
            _ => assert!(!permitted, "{reason:?} permits"),
        }
    }
}

fn rule(source: &mut Source<'_>, number: usize) -> RuleDocument {
    let allow = !source.chance(80);
    let actions = match source.some(&Action::ALL) {
        none if none.is_empty() => vec![Action::View],
        actions => actions,
    };
    let mut rule = blank(&format!("rule {number}"));
    rule.apps = some_of(source, &APPS).into_iter().map(|app| AppId::new(app).unwrap()).collect();
    let people = some_of(source, &PEOPLE).into_iter().map(|one| PersonId::new(one).unwrap()).collect();
    let groups = some_of(source, &GROUPS).into_iter().map(|one| GroupName::new(one).unwrap()).collect();
    let machines: Vec<MachineName> = match source.chance(60) {
        true => source.some(&MACHINES).into_iter().map(|one| MachineName::new(one).unwrap()).collect(),
        false => Vec::new(),
    };
    let may_ask = allow && machines.is_empty();
    let factors = (may_ask && source.chance(60)).then(|| 1 + source.byte() % 3);
    let within = (may_ask && source.chance(60)).then(|| Span::secs(source.pick(&[60, 600, 1800])));
    let who = Who { people, groups, machines, factors, signed_in_within: within };
    rule.who = (who != Who::default()).then_some(who);
    rule.from = source.chance(140).then(|| from(source, 3)).flatten();
    rule.when = source.chance(80).then(|| source.pick(&times().map(|(when, _)| when)) as When);
    rule.methods = some_of(source, &["GET", "POST", "PUT"]).into_iter().map(str::to_owned).collect();
    rule.paths = some_of(source, &PATHS.map(|(pattern, _)| pattern)).into_iter().map(str::to_owned).collect();
    if allow {
        rule.allow = actions;
    } else {
        rule.deny = actions;
    }
    rule
}

fn some_of(source: &mut Source<'_>, all: &[&'static str]) -> Vec<&'static str> {
    if source.chance(120) { source.some(all) } else { Vec::new() }
}

fn from(source: &mut Source<'_>, depth: usize) -> Option<From> {
    let names = source.some(&NETWORKS.map(|(name, ..)| name));
    let networks = names.into_iter().map(|name| NetworkName::new(name).unwrap()).collect();
    let place = match source.below(6) {
        0 => enrolled(),
        1 => {
            let kinds = source.some(DeviceKind::ALL);
            let oses = source.some(&[Os::Ios, Os::Android, Os::Windows]);
            let unseen =
                (kinds.is_empty() && oses.is_empty() || source.chance(60)).then(|| source.pick(&[3_600, 7_200]));
            device(&kinds, &oses, unseen)
        }
        _ => From::default(),
    };
    let not = if depth > 0 && source.chance(100) { from(source, depth - 1) } else { None };
    let from = From { networks, not: not.map(Into::into), ..place };
    (from != From::default()).then_some(from)
}

fn request_of(source: &mut Source<'_>) -> Request {
    let standings = [Standing::NotOnRoster, Standing::NotYet, Standing::Retired, Standing::Locked];
    let rarely = |source: &mut Source<'_>| source.chance(12);
    let to = match source.below(16) {
        0..8 => To::App(source.pick(&["kaipoke", "records"])),
        8 => To::Login,
        9 => To::Console,
        10 | 11 => To::Ticket(source.pick(&["kaipoke", "records"])),
        12 => To::Enroll,
        13 => To::ProviderLogout,
        14 => {
            let token = source.pick(&[TokenFact::None, TokenFact::Narrow, TokenFact::Good]);
            To::Scim(MachineFact { place: source.chance(128), token })
        }
        _ => source.pick(&[To::UnknownHost, To::Misdirected]),
    };
    let device = match source.below(10) {
        0..4 => source.pick(&[Device::None, Device::Expired, Device::Shared, Device::SharedByOthers]),
        4..6 => Device::Of(source.pick(&PEOPLE)),
        6 => Device::Their(
            source.pick(&PEOPLE),
            source.pick(&[DeviceKind::Lent, DeviceKind::Byod]),
            source.pick(&[None, Some(Os::Ios), Some(Os::Linux)]),
            source.pick(&[0, 3_599, 3_600, 7_200, u32::MAX]),
        ),
        7 => Device::Machine(source.pick(&["rpa", "backup", "stranger"]), source.pick(&[0, 3_600, 7_200])),
        8 => source.pick(&[Device::Revoked, Device::Unknown]),
        _ => Device::OwnerOut(source.pick(&standings)),
    };
    let person = source.chance(180).then(|| Person {
        id: source.pick(&PEOPLE),
        groups: source.some(&GROUPS),
        standing: if source.chance(24) { source.pick(&standings) } else { Standing::Active },
        factors: source.byte() % 5,
        signed_in_ago: source.pick(&[0, 59, 60, 61, 600, 601, 1800, 1801, u32::MAX]),
        session_matches_device: !rarely(source),
    });
    let day = i8::try_from(source.below(8)).unwrap() + 1;
    let minute = u16::from(source.byte()) * 6 % 1440;
    Request {
        record_ready: !rarely(source),
        clock_ok: !rarely(source),
        ambiguous: rarely(source),
        cross_site: rarely(source),
        preflight: source.chance(24),
        static_ok: rarely(source),
        stale: rarely(source),
        to,
        address: source.pick(&ADDRESSES),
        device,
        person,
        local: LocalTime { minute, ..at(day, 0, 0) },
        method: source.pick(&["GET", "POST", "post", "OPTIONS", "PUT"]),
        path: source.pick(&[
            "/",
            "/residents",
            "/residents/7",
            "/Residents/7",
            "/residents/7/notes",
            "/resources",
            "/RES",
        ]),
        action: source.pick(&Action::ALL),
        wrong_account: rarely(source),
        invited: rarely(source),
    }
}
