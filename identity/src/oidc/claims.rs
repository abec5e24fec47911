//! Claims by path, and the groups they stand for.

use std::collections::BTreeSet;

use serde_json::Value;
use vocabulary::GroupName;

use super::document::GroupClaims;

/// More groups than this of one claim are not looked at: some directories list thousands.
const MOST_VALUES: usize = 2_000;
/// More than this are not kept with a session.
const MOST_GROUPS: usize = 64;

impl GroupClaims {
    /// The groups that the claims give, each once, sorted. With a map only what it names; without one every value
    /// that can be a group's name.
    pub(crate) fn groups(&self, claims: &Value) -> Vec<GroupName> {
        let values = find(claims, &self.claim).into_iter().flat_map(strings).take(MOST_VALUES);
        let groups: BTreeSet<GroupName> = match &self.map {
            Some(map) => values.filter_map(|value| map.get(value).cloned()).collect(),
            None => values.filter_map(|value| GroupName::new(value).ok()).collect(),
        };
        groups.into_iter().take(MOST_GROUPS).collect()
    }
}

/// Everything at a path. Dots separate keys; keys that hold dots themselves (`https://example.com/groups`) are found
/// as well, because the longest key that is there is taken first. An array on the way stands for each of its items.
pub(super) fn find<'v>(claims: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    walk(claims, path, &mut found);
    found
}

fn walk<'v>(value: &'v Value, path: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            if let Some(inner) = map.get(path) {
                found.push(inner);
                return;
            }
            for (at, _) in path.rmatch_indices('.') {
                let (key, rest) = (&path[..at], &path[at + 1..]);
                let before = found.len();
                if let Some(inner) = map.get(key) {
                    walk(inner, rest, found);
                }
                if found.len() > before {
                    return;
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, found)),
        _ => {}
    }
}

/// A string by itself, or the strings of an array.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn groups(claim: &str, map: Option<&[(&str, &str)]>, claims: &Value) -> Vec<String> {
        let map = map.map(|pairs| {
            let pair = |(theirs, ours): &(&str, &str)| ((*theirs).to_owned(), GroupName::new(*ours).unwrap());
            pairs.iter().map(pair).collect::<BTreeMap<_, _>>()
        });
        let claims = GroupClaims { claim: claim.to_owned(), map }.groups(claims);
        claims.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn strings_arrays_and_nested_claims_give_groups() {
        for (claim, claims) in [
            ("groups", json!({"groups": ["staff", "night"]})),
            ("realm_access.roles", json!({"realm_access": {"roles": ["staff", "night"]}})),
            ("a.b.c", json!({"a": {"b": {"c": ["night", "staff", "staff"]}}})),
            ("https://example.com/groups", json!({"https://example.com/groups": ["staff", "night"]})),
            ("https://example.com/claims.roles", json!({"https://example.com/claims": {"roles": ["staff", "night"]}})),
            ("orgs.role", json!({"orgs": [{"role": "staff"}, {"role": "night"}, {"other": 1}]})),
            ("groups", json!({"groups": ["staff", 7, null, {"x": 1}, ["deep"], "night"]})),
        ] {
            assert_eq!(groups(claim, None, &claims), ["night", "staff"], "{claim}");
        }
        assert_eq!(groups("role", None, &json!({"role": "staff"})), ["staff"]);
        assert!(groups("groups", None, &json!({"groups": {"staff": true}})).is_empty());
        assert!(groups("groups.x", None, &json!({"groups": "staff"})).is_empty());
    }

    #[test]
    fn a_key_with_dots_is_preferred_to_a_path_of_keys() {
        let claims = json!({"a.b": "whole", "a": {"b": "parts"}});
        assert_eq!(groups("a.b", None, &claims), ["whole"]);
    }

    #[test]
    fn with_a_map_only_what_it_names_counts() {
        let claims = json!({"groups": ["/Sakura/Nurses", "admins", "staff"]});
        let map = [("/Sakura/Nurses", "visiting-nurses"), ("staff", "staff")];
        assert_eq!(groups("groups", Some(&map), &claims), ["staff", "visiting-nurses"]);
        assert!(groups("groups", Some(&[]), &claims).is_empty());
    }

    #[test]
    fn what_can_not_be_a_group_is_left_out_and_floods_are_bounded() {
        assert_eq!(groups("g", None, &json!({"g": ["", "a\nb", "staff"]})), ["staff"]);
        let many: Vec<_> = (0..10_000).map(|n| format!("g{n}")).collect();
        assert_eq!(groups("g", None, &json!({ "g": many })).len(), MOST_GROUPS);
    }

    /// Any JSON of a few levels.
    fn json_value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c.]{0,3}".prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c.]{1,3}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        /// Whatever stands there: it ends, and finds what was put at the path when nothing else stands in its way.
        #[test]
        fn a_path_finds_what_was_put_there(mut claims in json_value(), keys in prop::collection::vec("[x-z/:]{1,4}", 1..5)) {
            let path = keys.join(".");
            prop_assert!(find(&claims, &path).is_empty());
            let mut nested = json!("staff");
            for key in keys.iter().skip(1).rev() {
                nested = json!({ key.as_str(): nested });
            }
            if let Value::Object(map) = &mut claims {
                map.insert(keys[0].clone(), nested);
                let staff = json!("staff");
                prop_assert_eq!(find(&claims, &path), vec![&staff]);
            }
        }

        #[test]
        fn any_path_ends_on_any_claims(claims in json_value(), path in "[a-c.]{0,8}") {
            find(&claims, &path);
        }
    }
}
