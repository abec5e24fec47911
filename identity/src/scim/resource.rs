//! Users and groups as we keep them: what the provider wrote, and what became of it on the roster.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use vocabulary::{Date, GroupName, PersonId, Timestamp};

use super::schema::ENTERPRISE;
use crate::{IdentityError, secret};

/// A person whom a provider manages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User {
    /// Opaque, never given twice (RFC 7643, 3.1).
    pub(crate) id: Box<str>,
    /// Whose it is: a token sees only the resources of its provider.
    pub(crate) provider: Box<str>,
    pub(crate) person: PersonId,
    /// What the provider wrote, shaped; `userName` is always there.
    pub(crate) attributes: Map<String, Value>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    /// The roster's groups that the person has through the provider and nobody else.
    pub(crate) given: Vec<GroupName>,
    /// The last day that DELETE set, to be taken back if the person returns.
    pub(crate) last_day: Option<Date>,
    /// Gone for the provider; kept, so that the same person is known if they return.
    pub(crate) deleted: bool,
    /// The entry was an operator's before, whose mail address stays.
    pub(crate) adopted: bool,
    /// What the provider said last of `active` was false.
    pub(crate) inactive: bool,
}

/// A provider's group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) id: Box<str>,
    pub(crate) provider: Box<str>,
    /// Without `members`; `displayName` is always there.
    pub(crate) attributes: Map<String, Value>,
    /// Ids of users.
    pub(crate) members: BTreeSet<Box<str>>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

/// 122 random bits in the form of a UUID (RFC 9562, 5.4).
pub(crate) fn new_id() -> Result<Box<str>, IdentityError> {
    let mut bytes = secret::random::<16>()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]).into())
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

impl User {
    pub(crate) fn user_name(&self) -> &str {
        text(&self.attributes, "userName").unwrap_or_default()
    }

    pub(crate) fn external_id(&self) -> Option<&str> {
        text(&self.attributes, "externalId")
    }

    /// Whether the person is kept out because of what the provider said.
    pub(crate) fn deactivated(&self) -> bool {
        self.deleted || self.inactive
    }
}

impl Group {
    pub(crate) fn display_name(&self) -> &str {
        text(&self.attributes, "displayName").unwrap_or_default()
    }
}

/// What attributes say of `active`, if they do.
pub(crate) fn is_inactive(attributes: &Map<String, Value>) -> Option<bool> {
    attributes.get("active").and_then(Value::as_bool).map(|active| !active)
}

/// The primary address, else the one for work, else the first.
pub(crate) fn mail(attributes: &Map<String, Value>) -> Option<&str> {
    let emails = attributes.get("emails").and_then(Value::as_array)?;
    let is_work = |mail: &&Value| mail["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case("work"));
    let with_value = || emails.iter().filter(|mail| mail["value"].is_string());
    let chosen = with_value().find(|mail| mail["primary"] == true).or_else(|| with_value().find(is_work));
    chosen.or_else(|| with_value().next()).and_then(|mail| mail["value"].as_str())
}

/// The name for the roster: `displayName`, `name.formatted`, family and given name, or `userName`.
pub(crate) fn shown_name(attributes: &Map<String, Value>) -> String {
    let part = |name: &str| attributes.get("name").and_then(|n| n[name].as_str());
    if let Some(name) = text(attributes, "displayName").or_else(|| part("formatted")) {
        return name.to_owned();
    }
    let parts: Vec<_> = [part("familyName"), part("givenName")].into_iter().flatten().collect();
    match parts.is_empty() {
        true => text(attributes, "userName").unwrap_or_default().to_owned(),
        false => parts.join(" "),
    }
}

pub(crate) fn department(attributes: &Map<String, Value>) -> Option<&str> {
    attributes.get(ENTERPRISE.id).and_then(|e| e["department"].as_str())
}
