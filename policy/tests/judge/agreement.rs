use policy::document::{From, Who};
use policy::{Effect, MachineFact, RuleDocument, Standing, TokenFact, Verdict};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use vocabulary::{
    Action, AppId, DeviceKind, GroupName, LocalTime, MachineName, NetworkName, Os, PersonId, Reason, RuleName, Span,
};

use crate::naive::{self, PATHS, times};
use crate::world::*;

/// None of them, mostly; else one or two.
fn some_of<T: Clone + std::fmt::Debug + 'static>(all: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![2 => Just(Vec::new()), 3 => subsequence(all, 1..=2)]
}

fn some_from() -> impl Strategy<Value = From> {
    let names = NETWORKS.iter().map(|(n, ..)| NetworkName::new(n).unwrap()).collect::<Vec<_>>();
    let leaf = (some_of(names.clone()), some_device())
        .prop_map(|(networks, device)| From { networks, ..device })
        .prop_filter("says something", |from| *from != From::default())
        .boxed();
    leaf.clone().prop_recursive(3, 4, 1, move |inner| {
        (prop::option::of(leaf.clone()), inner)
            .prop_map(|(beside, inner)| From { not: Some(inner.into()), ..beside.unwrap_or_default() })
    })
}

/// None, any, or one of some kind.
fn some_device() -> impl Strategy<Value = From> {
    let of = (
        some_of(DeviceKind::ALL.to_vec()),
        some_of(vec![Os::Ios, Os::Android, Os::Windows]),
        prop::option::weighted(0.3, select(vec![3_600_u64, 7_200])),
    );
    let of = of.prop_filter("asks for something", |(kinds, oses, unseen)| {
        !kinds.is_empty() || !oses.is_empty() || unseen.is_some()
    });
    prop_oneof![
        3 => Just(From::default()),
        2 => Just(enrolled()),
        2 => of.prop_map(|(kinds, oses, unseen)| device(&kinds, &oses, unseen)),
    ]
}

/// Allows with a probability of `allow`, or else denies.
fn some_rule(allow: f64) -> impl Strategy<Value = RuleDocument> {
    let who = (
        some_of(PEOPLE.map(|p| PersonId::new(p).unwrap()).to_vec()),
        some_of(GROUPS.map(|g| GroupName::new(g).unwrap()).to_vec()),
        prop_oneof![3 => Just(Vec::new()), 1 => some_of(MACHINES.map(|m| MachineName::new(m).unwrap()).to_vec())],
        prop::option::of(1_u8..=3),
        prop::option::weighted(0.4, select(vec![60, 600, 1800].into_iter().map(Span::secs).collect::<Vec<_>>())),
    );
    let when = select(times().map(|(when, _)| when).to_vec());
    let scope = (some_of(APPS.map(|a| AppId::new(a).unwrap()).to_vec()), who, prop::option::weighted(0.4, some_from()));
    let rest = (
        prop::option::weighted(0.3, when),
        some_of(["GET", "POST"].map(str::to_owned).to_vec()),
        some_of(PATHS.map(|(p, _)| p.to_owned()).to_vec()),
        subsequence(Action::ALL.to_vec(), 1..=8),
        prop::bool::weighted(allow),
    );
    (scope, rest).prop_map(
        |((apps, (people, groups, machines, factors, within), from), (when, methods, paths, actions, allow))| {
            let may_ask = allow && machines.is_empty();
            let (factors, signed_in_within) = (factors.filter(|_| may_ask), within.filter(|_| may_ask));
            let who = Who { people, groups, machines, factors, signed_in_within };
            let (allow, deny) = if allow { (actions, Vec::new()) } else { (Vec::new(), actions) };
            RuleDocument {
                apps,
                who: (who != Who::default()).then_some(who),
                from,
                when,
                methods,
                paths,
                allow,
                deny,
                ..blank("to be named")
            }
        },
    )
}

/// Few rules, where each counts, or more than a word of bits holds.
fn some_rules() -> impl Strategy<Value = Vec<RuleDocument>> {
    prop_oneof![4 => prop::collection::vec(some_rule(0.7), 0..8), 1 => prop::collection::vec(some_rule(0.7), 60..150)]
        .prop_map(|mut rules| {
            for (n, rule) in rules.iter_mut().enumerate() {
                rule.name = RuleName::new(format!("rule {n}")).unwrap();
            }
            rules
        })
}

/// Around the times that rules ask for, and ages that aren't known.
fn some_ages() -> impl Strategy<Value = u32> {
    select(vec![0, 59, 60, 61, 600, 601, 1800, 1801, 90_000, u32::MAX])
}

fn some_person() -> impl Strategy<Value = Person> {
    let standing = prop_oneof![
        12 => Just(Standing::Active),
        1 => select(vec![Standing::NotOnRoster, Standing::NotYet, Standing::Retired, Standing::Locked]),
    ];
    (
        select(PEOPLE.to_vec()),
        subsequence(GROUPS.to_vec(), 0..=3),
        standing,
        0_u8..5,
        some_ages(),
        prop::bool::weighted(0.95),
    )
        .prop_map(|(id, groups, standing, factors, signed_in_ago, session_matches_device)| Person {
            id,
            groups,
            standing,
            factors,
            signed_in_ago,
            session_matches_device,
        })
}

fn some_request() -> impl Strategy<Value = Request> {
    let to = prop_oneof![
        10 => select(vec![To::App("kaipoke"), To::App("records")]),
        6 => select(vec![To::Login, To::Console, To::Ticket("kaipoke"), To::Ticket("records")]),
        1 => select(vec![To::UnknownHost, To::Misdirected, To::Enroll, To::ProviderLogout]),
        1 => (any::<bool>(), select(vec![TokenFact::None, TokenFact::Narrow, TokenFact::Good]))
            .prop_map(|(place, token)| To::Scim(MachineFact { place, token })),
    ];
    let device = prop_oneof![
        4 => select(vec![Device::None, Device::Expired, Device::Shared, Device::SharedByOthers]),
        2 => select(PEOPLE.map(Device::Of).to_vec()),
        2 => (
            select(PEOPLE.to_vec()),
            select(vec![DeviceKind::Lent, DeviceKind::Byod]),
            prop::option::of(select(vec![Os::Ios, Os::Android, Os::Windows, Os::Linux])),
            select(vec![0, 3_599, 3_600, 7_200, u32::MAX]),
        )
            .prop_map(|(owner, kind, os, unseen)| Device::Their(owner, kind, os, unseen)),
        2 => (select(vec!["rpa", "backup", "stranger"]), select(vec![0, 3_600, 7_200]))
            .prop_map(|(name, unseen)| Device::Machine(name, unseen)),
        1 => select(vec![Device::Revoked, Device::Unknown]),
        1 => select(vec![Standing::NotOnRoster, Standing::NotYet, Standing::Retired, Standing::Locked]).prop_map(Device::OwnerOut),
    ];
    let rarely = || prop::bool::weighted(0.04);
    let flags = (
        (rarely(), rarely(), rarely(), rarely()),
        (prop::bool::weighted(0.1), rarely(), rarely(), rarely(), prop::bool::weighted(0.1)),
    );
    let local = (1_i8..9, 0_u16..1440).prop_map(|(day, minute)| LocalTime { minute, ..at(day, 0, 0) });
    let paths = vec!["/", "/residents", "/residents/7", "/Residents/7", "/residents/7/notes", "/resources", "/RES"];
    let head = (select(vec!["GET", "POST", "post", "OPTIONS", "PUT"]), select(paths), select(Action::ALL.to_vec()));
    (to, select(ADDRESSES.to_vec()), device, prop::option::weighted(0.7, some_person()), flags, local, head).prop_map(
        |(to, address, device, person, flags, local, (method, path, action))| Request {
            record_ready: !flags.0.0,
            clock_ok: !flags.0.1,
            ambiguous: flags.0.2,
            cross_site: flags.0.3,
            preflight: flags.1.0,
            static_ok: flags.1.1,
            stale: flags.1.2,
            wrong_account: flags.1.3,
            invited: flags.1.4,
            to,
            address,
            device,
            person,
            local,
            method,
            path,
            action,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_fast_and_the_plain_decision_agree(rules in some_rules(), requests in prop::collection::vec(some_request(), 8)) {
        let policy = compile(&rules);
        for request in &requests {
            prop_assert_eq!(decide(&policy, request), naive::decide(&rules, request), "{:?}\n{:#?}", request, rules);
        }
    }

    #[test]
    fn nothing_is_permitted_without_a_matching_allow_rule_or_a_built_in_rung(
        rules in some_rules(),
        request in some_request(),
    ) {
        let policy = compile(&rules);
        let (explanation, decision) =
            with_facts(&policy, &request, |facts| (policy.explain(facts), outcome(&policy.decide(facts))));
        let (permitted, reason, rule) = decision;
        prop_assert_eq!(explanation.decision == Verdict::Permit, permitted);
        prop_assert_eq!(explanation.reason, reason);
        prop_assert_eq!(explanation.rule.map(|r| r.to_string()), rule.clone());
        let matched = |effect| {
            let mut matching = explanation.rules.iter().filter(move |f| f.effect == effect && f.matched);
            matching.next().map(|f| f.rule.to_string())
        };
        match reason {
            Reason::Rule => {
                prop_assert!(permitted);
                prop_assert_eq!(rule, matched(Effect::Allow), "the first that matches");
                prop_assert_eq!(matched(Effect::Deny), None, "deny wins");
                prop_assert!(request.person.is_some() || matches!(request.device, Device::Machine(..)));
            }
            Reason::BuiltIn | Reason::Ticket | Reason::Preflight | Reason::Static => {
                prop_assert!(permitted);
                prop_assert_eq!(rule, None);
            }
            _ => prop_assert!(!permitted),
        }
        for finding in &explanation.rules {
            prop_assert_eq!(finding.matched, finding.unmet.is_empty());
        }
    }

    #[test]
    fn one_more_deny_rule_never_permits_more(rules in some_rules(), more in some_rule(0.0), request in some_request()) {
        let before = decide(&compile(&rules), &request);
        let after = decide(&compile(&[rules, vec![more]].concat()), &request);
        prop_assert!(before.0 || !after.0, "{:?} became {:?}", before, after);
    }
}
