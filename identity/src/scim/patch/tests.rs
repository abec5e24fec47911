use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scim::schema::{GROUPS, USERS};

fn op(operations: Value) -> Value {
    let mut body = json!({ "schemas": [SCHEMA] });
    body["Operations"] = operations;
    body
}

fn user() -> Map<String, Value> {
    let Value::Object(map) = json!({
        "userName": "bjensen@example.com",
        "displayName": "Babs Jensen",
        "active": true,
        "name": { "familyName": "Jensen", "givenName": "Barbara" },
        "emails": [
            { "value": "bjensen@example.com", "type": "work", "primary": true },
            { "value": "babs@jensen.org", "type": "home" },
        ],
    }) else {
        unreachable!()
    };
    map
}

fn group() -> Map<String, Value> {
    let Value::Object(map) = json!({
        "displayName": "Nurses",
        "members": [{ "value": "a", "type": "User" }, { "value": "b", "type": "User" }],
    }) else {
        unreachable!()
    };
    map
}

fn patched(operations: Value) -> Value {
    apply(&USERS, &user(), &op(operations)).unwrap_or_else(|problem| panic!("{problem:?}")).into()
}

fn refused(operations: Value) -> Option<&'static str> {
    apply(&USERS, &user(), &op(operations)).unwrap_err().scim_type
}

fn members(operations: Value) -> Vec<String> {
    let group = apply(&GROUPS, &group(), &op(operations)).unwrap_or_else(|problem| panic!("{problem:?}"));
    let members = group.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
    members.iter().map(|m| m["value"].as_str().unwrap().to_owned()).collect()
}

/// RFC 7644, 3.5.2.1 to 3.5.2.3, as its examples have it.
#[test]
fn the_examples_of_the_rfc_do_what_the_rfc_says() {
    let added = patched(json!([{ "op": "add", "value": {
        "emails": [{ "value": "babs@jensen.example", "type": "home" }], "nickname": "Babs",
    }}]));
    assert_eq!(added["emails"].as_array().unwrap().len(), 3);
    let member = json!([{ "op": "add", "path": "members", "value": [{
        "display": "Babs Jensen", "$ref": "https://example.com/v2/Users/2819c223", "value": "2819c223",
    }]}]);
    assert_eq!(members(member), ["a", "b", "2819c223"]);
    assert_eq!(members(json!([{ "op": "remove", "path": "members[value eq \"a\"]" }])), ["b"]);
    assert_eq!(members(json!([{ "op": "remove", "path": "members" }])), [""; 0]);
    let removed = patched(json!([{
        "op": "remove", "path": "emails[type eq \"work\" and value ew \"example.com\"]",
    }]));
    assert_eq!(removed["emails"], json!([{ "value": "babs@jensen.org", "type": "home" }]));
    let swapped = json!([
        { "op": "remove", "path": "members[value eq \"a\"]" },
        { "op": "add", "path": "members", "value": [{ "value": "c" }] },
    ]);
    assert_eq!(members(swapped), ["b", "c"]);
    assert_eq!(
        members(json!([{ "op": "replace", "path": "members", "value": [{ "value": "c" }, { "value": "d" }] }])),
        ["c", "d"]
    );
    let replaced = patched(json!([{
        "op": "replace", "path": "emails[type eq \"work\"]",
        "value": { "type": "work", "value": "new@example.com", "primary": true },
    }]));
    assert_eq!(replaced["emails"][0]["value"], "new@example.com");
    let part =
        patched(json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "n@example.com" }]));
    assert_eq!(part["emails"][0], json!({ "value": "n@example.com", "type": "work", "primary": true }));
    let whole = patched(json!([{ "op": "replace", "value": {
        "emails": [{ "value": "only@example.com", "type": "work" }], "nickname": "Babs",
    }}]));
    assert_eq!(whole["emails"], json!([{ "value": "only@example.com", "type": "work" }]));
}

#[test]
fn what_entra_sends_is_understood() {
    assert_eq!(patched(json!([{ "op": "Replace", "path": "active", "value": "False" }]))["active"], false);
    assert_eq!(patched(json!([{ "op": "Add", "path": "active", "value": "True" }]))["active"], true);
    let dotted = patched(json!([{ "op": "replace", "value": {
        "displayName": "B", "name.familyName": "Jansen",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "訪問看護",
        "emails[type eq \"work\"].value": "w@example.com",
    }}]));
    assert_eq!(dotted["name"], json!({ "familyName": "Jansen", "givenName": "Barbara" }));
    assert_eq!(dotted[crate::scim::schema::ENTERPRISE.id]["department"], "訪問看護");
    assert_eq!(dotted["emails"][0]["value"], "w@example.com");
    let made = patched(json!([{ "op": "Add", "path": "emails[type eq \"other\"].value", "value": "o@example.com" }]));
    assert_eq!(made["emails"][2], json!({ "type": "other", "value": "o@example.com" }));
    let dropped = patched(json!([{ "op": "Replace", "path": "addresses[type eq \"work\"].formatted", "value": "x" }]));
    assert_eq!(dropped, Value::from(user()));
    assert_eq!(members(json!([{ "op": "Remove", "path": "members", "value": [{ "value": "a" }] }])), ["b"]);
}

#[test]
fn what_okta_sends_is_understood() {
    assert_eq!(patched(json!([{ "op": "replace", "value": { "active": false } }]))["active"], false);
    let renamed = json!([{ "op": "replace", "value": { "id": "abf4dd94", "displayName": "Other" } }]);
    assert_eq!(apply(&GROUPS, &group(), &op(renamed)).unwrap()["displayName"], "Other");
}

#[test]
fn refusals_carry_the_word_of_the_rfc() {
    assert_eq!(refused(json!([{ "op": "remove" }])), Some("noTarget"));
    assert_eq!(
        refused(json!([{ "op": "replace", "path": "emails[type eq \"x\"].value", "value": "y" }])),
        Some("noTarget")
    );
    assert_eq!(refused(json!([{ "op": "replace", "path": "id", "value": "x" }])), Some("mutability"));
    assert_eq!(refused(json!([{ "op": "add", "path": "groups", "value": [{ "value": "x" }] }])), Some("mutability"));
    assert_eq!(refused(json!([{ "op": "add", "path": "nobody.knows", "value": 1 }])), Some("invalidPath"));
    assert_eq!(refused(json!([{ "op": "add", "path": "emails[", "value": 1 }])), Some("invalidPath"));
    assert_eq!(refused(json!([{ "op": "add", "path": "displayName", "value": 1 }])), Some("invalidValue"));
    assert_eq!(refused(json!([{ "op": "add", "path": "active", "value": "perhaps" }])), Some("invalidValue"));
    assert_eq!(refused(json!([{ "op": "remove", "path": "userName" }])), Some("invalidValue"));
    assert_eq!(refused(json!([{ "op": "move", "path": "userName" }])), Some("invalidSyntax"));
    let schemas = apply(&USERS, &user(), &json!({ "Operations": [] })).unwrap_err();
    assert_eq!(schemas.scim_type, Some("invalidSyntax"));
}

#[test]
fn one_address_is_primary_and_the_last_to_become_so_is() {
    let moved =
        patched(json!([{ "op": "add", "path": "emails", "value": [{ "value": "n@x.example", "primary": true }] }]));
    let primary: Vec<_> = moved["emails"].as_array().unwrap().iter().map(|m| m["primary"] == true).collect();
    assert_eq!(primary, [false, false, true]);
    let two = json!([{ "op": "replace", "path": "emails", "value": [
        { "value": "a@x.example", "primary": true }, { "value": "b@x.example", "primary": true },
    ]}]);
    assert_eq!(refused(two), Some("invalidValue"));
}

fn operation() -> impl Strategy<Value = Value> {
    let path = prop::sample::select(vec![
        "active",
        "displayName",
        "name",
        "name.familyName",
        "emails",
        "emails[type eq \"work\"]",
        "userName",
        "nobody",
        "emails[type eq \"home\"].value",
        "emails.display",
        "title",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    ]);
    let value = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!("False"),
        json!("text"),
        json!(1),
        json!([]),
        json!({}),
        json!({ "value": "x@example.com", "type": "work" }),
        json!([{ "value": "y@example.com", "primary": true }]),
        json!({ "familyName": "N" }),
        json!({ "department": "D" }),
    ]);
    let op = prop::sample::select(vec!["add", "replace", "remove", "Add"]);
    (op, prop::option::weighted(0.9, path), prop::option::weighted(0.9, value)).prop_map(|(op, path, value)| {
        let mut operation = json!({ "op": op });
        if let Some(path) = path {
            operation["path"] = path.into();
        }
        if let Some(value) = value {
            operation["value"] = value;
        }
        operation
    })
}

proptest! {
    /// All or nothing: a request fails exactly if one of its operations does on what the ones before it left, and
    /// what comes out is well shaped, so that shaping it again changes nothing.
    #[test]
    fn a_request_is_its_operations_one_after_the_other(operations in prop::collection::vec(operation(), 0..6)) {
        let at_once = apply(&USERS, &user(), &op(operations.clone().into()));
        let mut one_by_one = Ok(user());
        for operation in operations {
            one_by_one = one_by_one.and_then(|user| {
                let mut user = user;
                carry_out(&USERS, &mut user, &operation).map(|()| user)
            });
        }
        let one_by_one = one_by_one.and_then(|user| shape::complete(&USERS, &user).map(|()| user));
        prop_assert_eq!(&at_once, &one_by_one);
        if let Ok(patched) = at_once {
            let mut again: Value = patched.clone().into();
            again["schemas"] = json!([USERS.schema.id]);
            prop_assert_eq!(shape::resource(&USERS, &again), Ok(patched));
        }
    }

    /// An empty list of operations, or one that is refused, changes nothing; the same replacement twice is as once.
    #[test]
    fn replacing_twice_is_as_once(mut operation in operation()) {
        operation["op"] = "replace".into();
        if let Ok(once) = apply(&USERS, &user(), &op(json!([operation.clone()]))) {
            prop_assert_eq!(apply(&USERS, &once, &op(json!([operation]))), Ok(once));
        }
    }
}
