use policy::document::Who;
use policy::{Decision, MachineFact, Policy, RuleDocument, Standing, TokenFact};
use vocabulary::{Action, Reason};

use crate::world::*;

/// The three rules of the README's first configuration.
pub(crate) fn rules() -> Vec<RuleDocument> {
    vec![
        RuleDocument {
            apps: apps(&["kaipoke", "records"]),
            who: Some(groups(&["staff"])),
            from: Some(networks(&["home"])),
            allow: vec![Action::View, Action::Edit, Action::Upload, Action::Download],
            ..blank("in the facility")
        },
        RuleDocument {
            apps: apps(&["kaipoke"]),
            who: Some(Who { factors: Some(2), ..groups(&["visiting-nurses"]) }),
            from: Some(enrolled()),
            when: Some(hours("06:00-22:00")),
            allow: vec![Action::View, Action::Edit, Action::Delete],
            ..blank("visiting nurses")
        },
        RuleDocument {
            from: Some(not(networks(&["home"]))),
            deny: vec![Action::Delete],
            ..blank("nobody deletes outside")
        },
    ]
}

/// A visiting nurse with her own phone and two factors, outside.
fn visit() -> Request {
    let nurse = Person { factors: 2, ..sato(&["staff", "visiting-nurses"]) };
    Request { address: OUTSIDE, device: Device::Of("sato"), person: Some(nurse), ..request() }
}

fn person(change: impl FnOnce(&mut Person)) -> Option<Person> {
    let mut person = sato(&["staff"]);
    change(&mut person);
    Some(person)
}

fn standing(standing: Standing) -> Option<Person> {
    person(|p| p.standing = standing)
}

fn scim(place: bool, token: TokenFact) -> To {
    To::Scim(MachineFact { place, token })
}

#[test]
fn each_rung_decides_in_its_turn() {
    let stranger = || Request { person: None, ..request() };
    let nurse = |change: fn(&mut Person)| {
        let mut nurse = visit().person.unwrap();
        change(&mut nurse);
        Some(nurse)
    };
    let table: Vec<(&str, Request, Reason, Option<&str>)> = vec![
        // 1
        (
            "without a record nothing passes",
            Request { record_ready: false, clock_ok: false, to: To::Enroll, ..request() },
            Reason::RecordUnavailable,
            None,
        ),
        ("nor under a wrong clock", Request { clock_ok: false, to: To::UnknownHost, ..request() }, Reason::Clock, None),
        // 2
        (
            "an unknown host is no app",
            Request { to: To::UnknownHost, ambiguous: true, ..request() },
            Reason::NoApp,
            None,
        ),
        (
            "a host that TLS did not name is misdirected",
            Request { to: To::Misdirected, ambiguous: true, ..request() },
            Reason::Misdirected,
            None,
        ),
        (
            "what can be read in two ways is ambiguous",
            Request { ambiguous: true, cross_site: true, ..request() },
            Reason::Ambiguous,
            None,
        ),
        (
            "ambiguous holds for our own pages too",
            Request { ambiguous: true, to: To::Login, ..request() },
            Reason::Ambiguous,
            None,
        ),
        (
            "a page of another site may not act",
            Request { cross_site: true, preflight: true, ..request() },
            Reason::CrossSite,
            None,
        ),
        (
            "but it may lead to the sign-in page",
            Request { cross_site: true, to: To::Login, ..request() },
            Reason::BuiltIn,
            None,
        ),
        // 3
        (
            "enrolment is reachable from anywhere",
            Request { to: To::Enroll, address: OUTSIDE, ..stranger() },
            Reason::BuiltIn,
            None,
        ),
        (
            "also with a revoked certificate in hand",
            Request { to: To::Enroll, device: Device::Revoked, ..stranger() },
            Reason::BuiltIn,
            None,
        ),
        (
            "who stands in the facility sees a sign-in page",
            Request { to: To::Login, ..stranger() },
            Reason::BuiltIn,
            None,
        ),
        (
            "who stands outside with a device does too",
            Request { to: To::Login, address: OUTSIDE, device: Device::Shared, ..stranger() },
            Reason::BuiltIn,
            None,
        ),
        (
            "who stands outside without one does not",
            Request { to: To::Login, address: OUTSIDE, ..stranger() },
            Reason::DeviceNeeded,
            Some("visiting nurses"),
        ),
        (
            "outside at night a device does not help",
            Request { to: To::Login, address: OUTSIDE, device: Device::Shared, local: at(2, 23, 0), ..stranger() },
            Reason::UnknownNetwork,
            Some("in the facility"),
        ),
        (
            "who is signed in may sign out from anywhere",
            Request { to: To::Login, address: OUTSIDE, ..request() },
            Reason::BuiltIn,
            None,
        ),
        (
            "a provider's good token is good from where it may come, whoever is signed in or not",
            Request { to: scim(true, TokenFact::Good), address: OUTSIDE, ..stranger() },
            Reason::BuiltIn,
            None,
        ),
        (
            "from elsewhere it is worth nothing",
            Request { to: scim(false, TokenFact::Good), ..request() },
            Reason::UnknownNetwork,
            None,
        ),
        (
            "without a token a signed-in manager pushes nobody",
            Request { to: scim(true, TokenFact::None), ..request() },
            Reason::TokenNeeded,
            None,
        ),
        (
            "a token for one thing is not good for another",
            Request { to: scim(true, TokenFact::Narrow), ..stranger() },
            Reason::TokenScope,
            None,
        ),
        (
            "nor with a revoked certificate in hand",
            Request { to: scim(true, TokenFact::Good), device: Device::Revoked, ..stranger() },
            Reason::DeviceRevoked,
            None,
        ),
        (
            "a revoked device sees no sign-in page",
            Request { to: To::Login, device: Device::Revoked, ..request() },
            Reason::DeviceRevoked,
            None,
        ),
        (
            "a ticket is redeemed where signing in could help",
            Request { to: To::Ticket("records"), ..stranger() },
            Reason::Ticket,
            None,
        ),
        (
            "and not where this app is closed, though another is open",
            Request { to: To::Ticket("records"), address: OUTSIDE, device: Device::Shared, ..stranger() },
            Reason::UnknownNetwork,
            Some("in the facility"),
        ),
        (
            "nor on a revoked device",
            Request { to: To::Ticket("records"), device: Device::Revoked, ..stranger() },
            Reason::DeviceRevoked,
            None,
        ),
        ("no rule opens the console", Request { to: To::Console, ..request() }, Reason::NoRule, None),
        // 4
        (
            "a preflight carries no credentials",
            Request { preflight: true, method: "OPTIONS", device: Device::Revoked, address: OUTSIDE, ..stranger() },
            Reason::Preflight,
            None,
        ),
        (
            "a preflight that is no OPTIONS is none",
            Request { preflight: true, method: "POST", address: OUTSIDE, ..stranger() },
            Reason::DeviceNeeded,
            Some("visiting nurses"),
        ),
        // 5
        (
            "a revoked device is out, though the network is right",
            Request { device: Device::Revoked, person: standing(Standing::Locked), ..request() },
            Reason::DeviceRevoked,
            None,
        ),
        (
            "the device of somebody who left is out, though the network is right",
            Request { device: Device::OwnerOut(Standing::Retired), ..request() },
            Reason::StaffRetired,
            None,
        ),
        (
            "nor does it lead to a sign-in page outside",
            Request { to: To::Login, address: OUTSIDE, device: Device::OwnerOut(Standing::Retired), ..stranger() },
            Reason::StaffRetired,
            None,
        ),
        (
            "a certificate we don't know is out",
            Request { device: Device::Unknown, ..request() },
            Reason::DeviceUnknown,
            None,
        ),
        (
            "an expired one counts as none",
            Request { device: Device::Expired, ..request() },
            Reason::Rule,
            Some("in the facility"),
        ),
        // 6
        ("in the facility a stranger is asked to sign in", stranger(), Reason::SignInNeeded, None),
        (
            "outside at once refused",
            Request { address: OUTSIDE, ..stranger() },
            Reason::DeviceNeeded,
            Some("visiting nurses"),
        ),
        (
            "outside with an expired certificate told so",
            Request { address: OUTSIDE, device: Device::Expired, ..stranger() },
            Reason::DeviceExpired,
            Some("visiting nurses"),
        ),
        (
            "a shared address is not the facility",
            Request { address: SHARED, ..stranger() },
            Reason::DeviceNeeded,
            Some("visiting nurses"),
        ),
        ("fonts are fetched without credentials", Request { static_ok: true, ..stranger() }, Reason::Static, None),
        (
            "but nothing is changed without them",
            Request { static_ok: true, method: "POST", ..stranger() },
            Reason::SignInNeeded,
            None,
        ),
        // 7
        (
            "who is on no roster is out",
            Request { person: standing(Standing::NotOnRoster), ..request() },
            Reason::NotOnRoster,
            None,
        ),
        (
            "who has not begun is out",
            Request { person: standing(Standing::NotYet), ..request() },
            Reason::StaffNotYet,
            None,
        ),
        (
            "who has left is out",
            Request { person: standing(Standing::Retired), device: Device::Of("suzuki"), ..request() },
            Reason::StaffRetired,
            None,
        ),
        (
            "who is locked is out",
            Request { person: standing(Standing::Locked), ..request() },
            Reason::StaffLocked,
            None,
        ),
        (
            "a colleague's phone is not yours",
            Request { device: Device::Of("suzuki"), ..visit() },
            Reason::DeviceNotYours,
            None,
        ),
        ("nor in the facility", Request { device: Device::Of("suzuki"), ..request() }, Reason::DeviceNotYours, None),
        (
            "a shared device serves its group",
            Request { device: Device::Shared, ..visit() },
            Reason::Rule,
            Some("visiting nurses"),
        ),
        (
            "and nobody of other groups",
            Request { device: Device::SharedByOthers, ..visit() },
            Reason::DeviceNotYours,
            None,
        ),
        (
            "nor in the facility, whatever else is right",
            Request { device: Device::SharedByOthers, ..request() },
            Reason::DeviceNotYours,
            None,
        ),
        (
            "a session stays on its device",
            Request { person: person(|p| p.session_matches_device = false), ..request() },
            Reason::SessionElsewhere,
            None,
        ),
        (
            "another facility's account is nobody's business here",
            Request { wrong_account: true, ..request() },
            Reason::WrongAccount,
            None,
        ),
        (
            "and that is not told to who has left",
            Request { wrong_account: true, person: standing(Standing::Retired), ..request() },
            Reason::StaffRetired,
            None,
        ),
        // 8
        ("staff work in the facility", request(), Reason::Rule, Some("in the facility")),
        (
            "also over IPv4 inside IPv6",
            Request { address: "::ffff:203.0.113.10", ..request() },
            Reason::Rule,
            Some("in the facility"),
        ),
        ("a nurse works on her round", visit(), Reason::Rule, Some("visiting nurses")),
        (
            "deny wins over allow",
            Request { action: Action::Delete, ..visit() },
            Reason::ActionDenied,
            Some("nobody deletes outside"),
        ),
        (
            "an unsure network counts as outside in a deny",
            Request { action: Action::Delete, address: SHARED, ..visit() },
            Reason::ActionDenied,
            Some("nobody deletes outside"),
        ),
        (
            "in the facility that deny is silent",
            Request { action: Action::Delete, address: AT_DESK, ..visit() },
            Reason::Rule,
            Some("visiting nurses"),
        ),
        (
            "what can't be told is not allowed",
            Request { action: Action::Unknown, ..request() },
            Reason::ActionNotAllowed,
            Some("in the facility"),
        ),
        (
            "a nurse needs two factors",
            Request { person: nurse(|p| p.factors = 1), device: Device::Shared, ..visit() },
            Reason::FactorsNeeded,
            Some("visiting nurses"),
        ),
        (
            "her own phone is one of the two",
            Request { person: nurse(|p| p.factors = 1), ..visit() },
            Reason::Rule,
            Some("visiting nurses"),
        ),
        (
            "a shared device will do beside two of her own",
            Request { device: Device::Shared, ..visit() },
            Reason::Rule,
            Some("visiting nurses"),
        ),
        (
            "a nurse needs her phone",
            Request { device: Device::None, ..visit() },
            Reason::DeviceNeeded,
            Some("visiting nurses"),
        ),
        (
            "one that has not expired",
            Request { device: Device::Expired, ..visit() },
            Reason::DeviceExpired,
            Some("visiting nurses"),
        ),
        (
            "staff without rounds need the facility",
            Request { person: Some(sato(&["staff"])), ..visit() },
            Reason::UnknownNetwork,
            Some("in the facility"),
        ),
        (
            "who may download in the facility is told so outside",
            Request { action: Action::Download, ..visit() },
            Reason::UnknownNetwork,
            Some("in the facility"),
        ),
        (
            "the managers have no rule",
            Request { person: Some(sato(&["managers"])), ..request() },
            Reason::NotForYou,
            Some("in the facility"),
        ),
        ("the console still has no rule", Request { to: To::Console, ..visit() }, Reason::NoRule, None),
    ];
    let policy = compile(&rules());
    for (sentence, request, reason, rule) in table {
        let permitted =
            matches!(reason, Reason::Rule | Reason::BuiltIn | Reason::Ticket | Reason::Preflight | Reason::Static);
        assert_eq!(decide(&policy, &request), (permitted, reason, rule.map(str::to_owned)), "{sentence}");
    }
}

#[test]
fn at_night_a_nurse_is_outside_her_hours() {
    let policy = compile(&rules());
    let nurse = Person { factors: 2, ..sato(&["visiting-nurses"]) };
    let night = Request { local: at(2, 22, 0), person: Some(nurse), ..visit() };
    assert_eq!(decide(&policy, &night), (false, Reason::OutsideHours, Some("visiting nurses".to_owned())));
}

#[test]
fn other_methods_and_paths_are_told_as_such() {
    let policy = compile(&[RuleDocument {
        methods: vec!["GET".to_owned()],
        paths: vec!["/residents/**".to_owned()],
        allow: vec![Action::View],
        ..blank("reading")
    }]);
    let told = |request| decide(&policy, &request).1;
    assert_eq!(told(request()), Reason::Rule);
    assert_eq!(told(Request { method: "POST", ..request() }), Reason::PathNotAllowed);
    assert_eq!(told(Request { method: "get", ..request() }), Reason::PathNotAllowed);
    assert_eq!(told(Request { path: "/Residents/7", ..request() }), Reason::PathNotAllowed);
}

#[test]
fn a_deny_rule_is_not_evaded_by_spelling() {
    let policy = compile(&[
        RuleDocument { allow: Action::ALL.to_vec(), ..blank("everything") },
        RuleDocument {
            methods: vec!["POST".to_owned()],
            paths: vec!["/admin/**".to_owned()],
            deny: vec![Action::View],
            ..blank("no changes to settings")
        },
    ]);
    for (method, path) in [("POST", "/admin"), ("post", "/admin/x"), ("POST", "/ADMIN/x")] {
        assert_eq!(decide(&policy, &Request { method, path, ..request() }).1, Reason::ActionDenied, "{method} {path}");
    }
    assert_eq!(decide(&policy, &Request { method: "POST", path: "/administration", ..request() }).1, Reason::Rule);
}

#[test]
fn every_app_does_not_mean_the_console() {
    let everything = RuleDocument { allow: Action::ALL.to_vec(), ..blank("everything") };
    let console = Request { to: To::Console, ..request() };
    assert_eq!(decide(&compile(std::slice::from_ref(&everything)), &console).1, Reason::NoRule);
    let by_name = RuleDocument { apps: apps(&["console"]), allow: vec![Action::View], ..blank("auditors") };
    assert_eq!(decide(&compile(&[everything.clone(), by_name.clone()]), &console).2.as_deref(), Some("auditors"));
    let deny_all = RuleDocument { deny: vec![Action::View], ..blank("maintenance") };
    assert_eq!(decide(&compile(&[by_name, deny_all]), &console).1, Reason::ActionDenied);
}

#[test]
fn where_everything_is_denied_to_everybody_there_is_no_use_in_signing_in() {
    let open = RuleDocument { allow: vec![Action::View, Action::Edit], ..blank("open") };
    let closed = RuleDocument { from: Some(not(networks(&["home"]))), ..blank("closed outside") };
    let stranger = Request { person: None, address: OUTSIDE, ..request() };
    let partly = RuleDocument { deny: vec![Action::Edit], ..closed.clone() };
    assert_eq!(decide(&compile(&[open.clone(), partly]), &stranger).1, Reason::SignInNeeded);
    let wholly = RuleDocument { deny: Action::ALL.to_vec(), ..closed.clone() };
    let policy = compile(&[open.clone(), wholly]);
    let refused = (false, Reason::ActionDenied, Some("closed outside".to_owned()));
    for to in [To::App("kaipoke"), To::Ticket("kaipoke"), To::Login] {
        assert_eq!(decide(&policy, &Request { to, ..stranger.clone() }), refused);
    }
    // Whom a rule denies by name may be another: then signing in could help.
    let some = RuleDocument { deny: Action::ALL.to_vec(), who: Some(groups(&["vendor"])), ..closed };
    assert_eq!(decide(&compile(&[open, some]), &stranger).1, Reason::SignInNeeded);
}

#[test]
fn the_response_is_judged_by_what_it_turned_out_to_be() {
    let policy = compile(&rules());
    let nurse = Person { factors: 2, ..sato(&["visiting-nurses"]) };
    with_facts(&policy, &Request { person: Some(nurse), ..visit() }, |facts| {
        let Decision::Permit(permit) = policy.decide(facts) else { panic!("the nurse may view") };
        assert_eq!(outcome(&policy.decide_response(&permit, facts, Action::View)).1, Reason::Rule);
        let download = policy.decide_response(&permit, facts, Action::Download);
        assert_eq!(outcome(&download), (false, Reason::ActionNotAllowed, Some("visiting nurses".to_owned())));
        with_facts(&policy, &Request { to: To::App("records"), ..request() }, |other| {
            assert!(!policy.decide_response(&permit, other, Action::View).is_permit(), "the permit is for another app");
        });
    });
    with_facts(&policy, &Request { to: To::Login, ..request() }, |facts| {
        let Decision::Permit(permit) = policy.decide(facts) else { panic!("the sign-in page is open") };
        assert_eq!(policy.decide_response(&permit, facts, Action::Download).reason(), Reason::BuiltIn);
    });
}

#[test]
fn a_policy_denies_facts_made_with_another() {
    let all = RuleDocument { allow: Action::ALL.to_vec(), ..blank("everything") };
    let one = compile(&[all.clone(), RuleDocument { who: Some(groups(&["staff"])), ..rules().remove(0) }]);
    let mut catalog = catalog();
    catalog.apps.swap(0, 1);
    let other = Policy::compile(&[all], &catalog).unwrap();
    with_facts(&one, &request(), |facts| {
        assert_eq!(one.decide(facts).reason(), Reason::Rule);
        assert_eq!(other.decide(facts).reason(), Reason::NoRule);
        assert!(other.explain(facts).rules.is_empty());
    });
    // A reload that changes no name leaves handles good.
    let again = compile(&[rules().remove(0)]);
    with_facts(&one, &request(), |facts| assert_eq!(again.decide(facts).reason(), Reason::Rule));
}

#[test]
fn no_policy_denies() {
    let none = Policy::denying();
    let networks = none.networks().lookup(AT_HOME.parse().unwrap());
    assert!(none.networks().sure(networks).is_empty());
    let login = Request { to: To::Login, person: None, ..request() };
    assert_eq!(decide(&none, &login), (false, Reason::NoRule, None));
    assert_eq!(decide(&none, &Request { to: To::Console, ..request() }), (false, Reason::NoRule, None));
    let empty = compile(&[]);
    assert_eq!(decide(&empty, &request()), (false, Reason::NoRule, None));
}

#[test]
fn a_rule_that_wants_a_recent_sign_in_asks_to_sign_in_again() {
    let within = vocabulary::Span::secs(1800);
    let rules = [
        RuleDocument {
            who: Some(Who { signed_in_within: Some(within), ..groups(&["staff"]) }),
            allow: vec![Action::Download],
            ..blank("exports")
        },
        RuleDocument { who: Some(groups(&["staff"])), allow: vec![Action::View], ..blank("views") },
    ];
    let policy = compile(&rules);
    let ask = |action, ago| {
        let request = Request { action, person: person(|p| p.signed_in_ago = ago), ..request() };
        decide(&policy, &request)
    };
    assert_eq!(ask(Action::Download, 1800), (true, Reason::Rule, Some("exports".to_owned())));
    assert_eq!(ask(Action::Download, 1801), (false, Reason::SignInStale, Some("exports".to_owned())));
    assert_eq!(ask(Action::Download, u32::MAX).1, Reason::SignInStale);
    assert_eq!(ask(Action::View, u32::MAX), (true, Reason::Rule, Some("views".to_owned())));
    let name = |n: usize| &rules[n].name;
    assert_eq!((policy.signed_in_within(name(0)), policy.signed_in_within(name(1))), (Some(1800), None));
    // Signing in again would not help somebody whom no rule is for.
    let stranger = Request {
        action: Action::Download,
        person: person(|p| {
            p.groups.clear();
            p.signed_in_ago = 9999;
        }),
        ..request()
    };
    assert_eq!(decide(&policy, &stranger).1, Reason::NotForYou);
}

#[test]
fn a_providers_sign_out_comes_from_anywhere_but_not_past_the_record() {
    let policy = compile(&[]);
    let said = Request { to: To::ProviderLogout, person: None, address: OUTSIDE, device: Device::Revoked, ..request() };
    assert_eq!(decide(&policy, &said), (true, Reason::BuiltIn, None));
    assert_eq!(decide(&policy, &Request { record_ready: false, ..said.clone() }).1, Reason::RecordUnavailable);
    assert_eq!(decide(&policy, &Request { ambiguous: true, ..said }).1, Reason::Ambiguous);
}

/// Nobody is signed in.
fn stranger() -> Request {
    Request { person: None, ..request() }
}

#[test]
fn a_machine_has_rules_of_its_own_and_no_others() {
    let robot = |name| Request { device: Device::Machine(name, 0), address: OUTSIDE, ..stranger() };
    let open = RuleDocument { allow: vec![Action::View], ..blank("everybody") };
    let own = RuleDocument { who: Some(machines(&["rpa"])), allow: vec![Action::View], ..blank("the robot") };
    let rules = [open.clone(), own.clone()];
    let by = |rule: &str| (true, Reason::Rule, Some(rule.to_owned()));
    assert_eq!(decide(&compile(&rules), &robot("rpa")), by("the robot"));
    assert_eq!(decide(&compile(&rules), &robot("backup")).1, Reason::NotForYou, "a rule for everybody is for people");
    // Whoever is signed in on its machine is nobody.
    let with_person = Request { person: Some(sato(&["managers"])), ..robot("backup") };
    assert!(!decide(&compile(&rules), &with_person).0);
    let rung = |request: &Request| with_facts(&compile(&rules), request, |facts| compile(&rules).explain(facts).rung);
    assert_eq!(rung(&robot("rpa")).to_string(), "rules");
    // What is denied to all is denied to machines.
    let nobody = RuleDocument { deny: vec![Action::View], ..blank("nobody") };
    assert_eq!(decide(&compile(&[nobody, own.clone()]), &robot("rpa")).1, Reason::ActionDenied);
    // A rule for machines shows nobody a sign-in page, and nobody signs in on a machine.
    assert_eq!(decide(&compile(std::slice::from_ref(&own)), &stranger()).1, Reason::NotForYou);
    assert_eq!(
        decide(&compile(std::slice::from_ref(&own)), &Request { to: To::Login, ..stranger() }).1,
        Reason::NotForYou
    );
    assert_eq!(decide(&compile(&[open]), &Request { to: To::Login, ..robot("rpa") }).1, Reason::NotForYou);
}

#[test]
fn a_rule_may_ask_what_kind_of_device_it_is() {
    use vocabulary::{DeviceKind, Os};
    let asks = |from| compile(&[RuleDocument { from: Some(from), allow: vec![Action::View], ..blank("r") }]);
    let phone = |kind, os, unseen| Request { device: Device::Their("sato", kind, os, unseen), ..request() };
    let lent_ios = phone(DeviceKind::Lent, Some(Os::Ios), 0);
    for (from, holds) in [
        (device(&[DeviceKind::Lent], &[], None), true),
        (device(&[DeviceKind::Byod, DeviceKind::Shared], &[], None), false),
        (device(&[], &[Os::Ios, Os::Android], None), true),
        (device(&[DeviceKind::Lent], &[Os::Android], None), false),
        (device(&[], &[], Some(3_600)), false),
        (not(device(&[], &[], Some(3_600))), true),
    ] {
        assert_eq!(decide(&asks(from.clone()), &lent_ios).0, holds, "{from:?}");
        assert!(!decide(&asks(device(&[], &[Os::Ios], None)), &phone(DeviceKind::Lent, None, 0)).0, "not known");
    }
    let stale =
        RuleDocument { from: Some(device(&[], &[], Some(30 * 86_400))), deny: vec![Action::View], ..blank("stale") };
    let rules = compile(&[stale, RuleDocument { allow: vec![Action::View], ..blank("all") }]);
    assert!(decide(&rules, &phone(DeviceKind::Byod, None, 30 * 86_400 - 1)).0);
    assert_eq!(decide(&rules, &phone(DeviceKind::Byod, None, 30 * 86_400)).1, Reason::ActionDenied);
}

#[test]
fn an_invitation_opens_the_sign_in_pages_and_nothing_else() {
    let rules = compile(&[RuleDocument { from: Some(enrolled()), allow: vec![Action::View], ..blank("devices") }]);
    let outside = Request { address: OUTSIDE, ..stranger() };
    let login = Request { to: To::Login, ..outside.clone() };
    assert_eq!(decide(&rules, &login).1, Reason::DeviceNeeded);
    for device in [Device::None, Device::Expired, Device::Revoked, Device::Unknown] {
        assert!(decide(&rules, &Request { invited: true, device, ..login.clone() }).0, "{device:?}");
    }
    let left = Device::OwnerOut(Standing::Retired);
    assert_eq!(decide(&rules, &Request { invited: true, device: left, ..login }).1, Reason::StaffRetired);
    assert_eq!(decide(&rules, &Request { invited: true, ..outside }).1, Reason::DeviceNeeded);
}
