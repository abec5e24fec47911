use policy::{Criterion, Rung, Verdict};
use vocabulary::{Action, Reason};

use crate::ladder::rules;
use crate::world::*;

#[test]
fn an_explanation_names_every_part_that_kept_a_rule_from_matching() {
    let policy = compile(&rules());
    let request = Request { address: OUTSIDE, action: Action::Delete, local: at(6, 23, 5), ..request() };
    let text = with_facts(&policy, &request, |facts| policy.explain(facts).to_string());
    let expected = "\
deny: action-denied (decided at: rules; by rule \"nobody deletes outside\")
  allow \"in the facility\": does not match
    network: asks for home; found no network of ours
    action: asks for view, edit, upload, download; found delete
  allow \"visiting nurses\": does not match
    who: asks for group visiting-nurses; found sato, in staff
    factors: asks for 2 factors; found 1 factor (1 from the sign-in; no device of their own)
    device: asks for an enrolled device; found no certificate
    time: asks for 06:00-22:00; found 2026-11-06 fri 23:05
  deny \"nobody deletes outside\": matches
";
    assert_eq!(text, expected);
}

#[test]
fn an_explanation_is_also_data() {
    let policy = compile(&rules());
    with_facts(&policy, &Request { person: None, address: SHARED, ..request() }, |facts| {
        let explanation = policy.explain(facts);
        assert_eq!(explanation.decision, Verdict::Deny);
        assert_eq!((explanation.reason, explanation.rung), (Reason::DeviceNeeded, Rung::SignIn));
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(json["decision"], "deny");
        assert_eq!(json["reason"], "device-needed");
        assert_eq!(json["rung"], "sign-in");
        assert_eq!(json["rules"][0]["effect"], "allow");
        assert_eq!(json["rules"][0]["unmet"][0]["criterion"], "who");
        assert_eq!(json["rules"][0]["unmet"][0]["found"], "nobody is signed in");
        assert_eq!(json["rules"][0]["unmet"][1]["found"], "perhaps ds-lite (shared with others)");
    });
}

#[test]
fn rules_are_explained_also_where_a_rung_above_them_decided() {
    let policy = compile(&rules());
    with_facts(&policy, &Request { device: Device::Revoked, ..request() }, |facts| {
        let explanation = policy.explain(facts);
        assert_eq!((explanation.reason, explanation.rung), (Reason::DeviceRevoked, Rung::Device));
        assert!(explanation.rules[0].matched);
        assert_eq!(explanation.rules[1].unmet[0].criterion, Criterion::Who);
    });
}

#[test]
fn an_explanation_does_not_repeat_the_path() {
    let mut rules = rules();
    rules[0].paths = vec!["/residents".to_owned()];
    let policy = compile(&rules);
    let request = Request { path: "/reset/eyJhbGciOiJIUzI1NiJ9", ..request() };
    with_facts(&policy, &request, |facts| {
        assert!(!policy.explain(facts).to_string().contains("eyJ"));
        assert!(!format!("{facts:?}").contains("eyJ"));
    });
}
