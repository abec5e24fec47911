use policy::document::{From, When, Who};
use policy::{NetworkDocument, Policy, RuleDocument};
use vocabulary::{Action, DisplayPath, NetworkName};

use crate::world::*;

fn told(rules: &[RuleDocument]) -> Vec<String> {
    told_with(rules, &catalog())
}

fn told_with(rules: &[RuleDocument], catalog: &policy::Catalog) -> Vec<String> {
    let errors = Policy::compile(rules, catalog).unwrap_err();
    errors.iter().map(|e| format!("{}: `{}` {}", DisplayPath(&e.path), e.value, e.problem)).collect()
}

fn view(name: &str) -> RuleDocument {
    RuleDocument { allow: vec![Action::View], ..blank(name) }
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let mut catalog = catalog();
    catalog.networks.push((
        NetworkName::new("cafe").unwrap(),
        NetworkDocument { cidrs: vec!["10.0.0.0/8".to_owned(), "10.0.0.1/8".to_owned()], shared: false },
    ));
    let rules = [
        RuleDocument { apps: apps(&["kaipoke", "kaipok"]), ..view("a") },
        RuleDocument { who: Some(groups(&["staff", "staf"])), ..view("b") },
        RuleDocument { from: Some(networks(&["hom"])), ..view("c") },
        RuleDocument { from: Some(From { device: enrolled().device, ..not(networks(&["home", "dsk"])) }), ..view("d") },
        RuleDocument { methods: vec!["GET".to_owned(), "get".to_owned()], ..view("e") },
        RuleDocument { paths: vec!["/a".to_owned(), "b".to_owned()], ..view("f") },
        blank("g"),
        RuleDocument { deny: vec![Action::View], ..view("h") },
        view("a"),
    ];
    assert_eq!(
        told_with(&rules, &catalog),
        [
            "networks.cafe.cidrs[1]: `10.0.0.1/8` has bits set behind its prefix; write 10.0.0.0/8 or 10.0.0.1/32",
            "policy[0].apps[1]: `kaipok` is not an app",
            "policy[1].who.groups[1]: `staf` is not a group",
            "policy[2].from.networks[0]: `hom` is not a network",
            "policy[3].from.not.networks[1]: `dsk` is not a network",
            "policy[4].methods[1]: `get` is not an HTTP method; methods are written in capitals",
            "policy[5].paths[1]: `b` is not a path pattern; it must begin with `/`",
            "policy[6]: `g` says neither `allow` nor `deny`; write one of them",
            "policy[7].deny: `h` stands beside `allow`; write two rules, one for each",
            "policy[8].name: `a` is the name of policy[0] too; records name rules, so each needs its own",
        ]
    );
}

#[test]
fn a_part_that_says_nothing_is_a_mistake() {
    let rules = [
        RuleDocument { who: Some(Who::default()), ..view("a") },
        RuleDocument { from: Some(From::default()), ..view("b") },
        RuleDocument { from: Some(not(From::default())), ..view("c") },
        RuleDocument { when: Some(When::default()), ..view("d") },
    ];
    let places: Vec<String> = told(&rules).iter().map(|t| t.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(places, ["policy[0].who", "policy[1].from", "policy[2].from.not", "policy[3].when"]);
}

#[test]
fn times_that_cannot_be_read_are_mistakes() {
    let when = |days: &str, hours: &str, from: &str, until: &str| {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let when = When { days: some(days), hours: some(hours), from_date: some(from), until_date: some(until) };
        RuleDocument { when: Some(when), ..view("a") }
    };
    let one = |rule| told(&[rule]).remove(0);
    assert!(one(when("mo-fr", "", "", "")).starts_with("policy[0].when.days: `mo-fr` is not a list of days"));
    assert!(one(when("", "9-17", "", "")).starts_with("policy[0].when.hours: `9-17` is not a list of hours"));
    assert!(one(when("", "", "1.11.2026", "")).starts_with("policy[0].when.from_date: `1.11.2026` is not a date"));
    assert_eq!(
        one(when("", "", "2026-11-02", "2026-11-01")),
        "policy[0].when.until_date: `2026-11-01` lies before `from_date` 2026-11-02"
    );
    assert_eq!(told(&[when("x", "x", "x", "x")]).len(), 4);
}

#[test]
fn factors_are_asked_for_by_allow_rules_only() {
    let factors = |factors| Some(Who { factors: Some(factors), ..Who::default() });
    for wrong in [0, 4] {
        assert!(told(&[RuleDocument { who: factors(wrong), ..view("a") }])[0].contains("is not a number of factors"));
    }
    let deny = RuleDocument { deny: vec![Action::View], who: factors(2), ..blank("a") };
    assert_eq!(
        told(&[deny]),
        ["policy[0].who.factors: `2` can't stand in a deny rule; ask for factors in the allow rules"]
    );
}

#[test]
fn what_exists_is_offered_for_what_does_not() {
    let rule = RuleDocument { apps: apps(&["kaipok"]), ..view("a") };
    let errors = Policy::compile(&[rule], &catalog()).unwrap_err();
    assert_eq!(errors[0].candidates, APPS);
}

#[test]
fn groups_are_not_checked_where_they_are_not_known() {
    let rule = RuleDocument { who: Some(groups(&["anything"])), ..view("a") };
    let catalog = policy::Catalog { groups: None, ..catalog() };
    assert!(Policy::compile(&[rule], &catalog).is_ok());
}

#[test]
fn a_recent_sign_in_is_asked_for_in_allow_rules_and_within_reason() {
    let who = |within: &str| Some(Who { signed_in_within: Some(within.parse().unwrap()), ..groups(&["staff"]) });
    let rules = [
        RuleDocument { who: who("10s"), ..view("a") },
        RuleDocument { who: who("48h"), ..view("b") },
        RuleDocument { who: who("30m"), deny: vec![Action::View], ..blank("c") },
    ];
    assert_eq!(
        told(&rules),
        [
            "policy[0].who.signed_in_within: `10s` is shorter than 1m: people would sign in again at every page",
            "policy[1].who.signed_in_within: `2d` is longer than 24h, and no session lasts longer; leave it out",
            "policy[2].who.signed_in_within: `30m` can't stand in a deny rule; ask for a recent sign-in in the allow rules",
        ]
    );
}
