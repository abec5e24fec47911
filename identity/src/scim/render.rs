//! Resources as clients see them (RFC 7643, 3).

use serde_json::{Map, Value, json};
use vocabulary::Timestamp;

use super::BASE_PATH;
use super::resource::{Group, User};
use super::schema::{ENTERPRISE, GROUP, GROUPS, ResourceType, USER, USERS};
use crate::secret;

/// Where a resource stands. `origin`: `https://scim.gw.example`.
pub(crate) fn location(origin: &str, kind: &ResourceType, id: &str) -> String {
    format!("{origin}{BASE_PATH}{}/{id}", kind.endpoint)
}

/// `groups`: those that the user is a member of.
pub(crate) fn user<'g>(user: &User, groups: impl Iterator<Item = &'g Group>, origin: &str) -> Map<String, Value> {
    let mut schemas = vec![USER.id];
    if user.attributes.contains_key(ENTERPRISE.id) {
        schemas.push(ENTERPRISE.id);
    }
    let mut map = begin(&schemas, &user.id, &user.attributes);
    let groups: Vec<Value> = groups
        .map(|group| {
            json!({
                "value": group.id, "$ref": location(origin, &GROUPS, &group.id),
                "display": group.display_name(), "type": "direct",
            })
        })
        .collect();
    if !groups.is_empty() {
        map.insert("groups".to_owned(), groups.into());
    }
    finish(map, &USERS, &user.id, (user.created, user.modified), origin)
}

pub(crate) fn group(group: &Group, origin: &str) -> Map<String, Value> {
    let mut map = begin(&[GROUP.id], &group.id, &group.attributes);
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|id| json!({ "value": id, "$ref": location(origin, &USERS, id), "type": "User" }))
        .collect();
    if !members.is_empty() {
        map.insert("members".to_owned(), members.into());
    }
    finish(map, &GROUPS, &group.id, (group.created, group.modified), origin)
}

fn begin(schemas: &[&str], id: &str, attributes: &Map<String, Value>) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("schemas".to_owned(), schemas.iter().copied().collect());
    map.insert("id".to_owned(), id.into());
    map.extend(attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
    map
}

fn finish(
    mut map: Map<String, Value>,
    kind: &ResourceType,
    id: &str,
    (created, modified): (Timestamp, Timestamp),
    origin: &str,
) -> Map<String, Value> {
    let version = version(&map);
    let meta = json!({
        "resourceType": kind.name,
        "created": created.to_string(),
        "lastModified": modified.to_string(),
        "location": location(origin, kind, id),
        "version": version,
    });
    map.insert("meta".to_owned(), meta);
    map
}

/// A weak ETag over what is shown: what looks the same is the same (RFC 7644, 3.14).
fn version(map: &Map<String, Value>) -> String {
    let text = serde_json::to_vec(map).unwrap_or_default();
    let hash = secret::digest("scim version", &text);
    format!("W/\"{}\"", data_encoding::HEXLOWER.encode(&hash[..8]))
}
