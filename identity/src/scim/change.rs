//! A change as planned: what is to be recorded, and what is to be done once it is.

use serde_json::{Map, Value};
use vocabulary::{Date, GroupName, PersonId};

use super::request::ScimAnswer;
use super::resource::{Group, User};

/// Planned under [`Writing`](super::Writing); worth nothing without it.
#[derive(Debug, Default)]
pub struct ScimChange {
    pub(crate) users: Vec<User>,
    pub(crate) removed_users: Vec<Box<str>>,
    pub(crate) groups: Vec<Group>,
    pub(crate) removed_groups: Vec<Box<str>>,
    pub(crate) people: Vec<PersonEdit>,
    pub(crate) records: Vec<ScimRecord>,
    pub(crate) answer: ScimAnswer,
}

/// What the record of a change says: a word, to whom or what, and details without secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct ScimRecord {
    pub what: &'static str,
    pub subject: String,
    pub details: Map<String, Value>,
}

/// A change to one entry of the roster, carried out on the entry as it then is. `None` leaves a field alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PersonEdit {
    pub(crate) id: PersonId,
    pub(crate) create: bool,
    pub(crate) name: Option<String>,
    pub(crate) mail: Option<Option<String>>,
    pub(crate) facility: Option<Option<String>>,
    pub(crate) last_day: Option<Option<Date>>,
    pub(crate) deactivated: Option<bool>,
    /// An operator's lock takes the place of the provider's.
    pub(crate) lock: bool,
    pub(crate) add: Vec<GroupName>,
    pub(crate) remove: Vec<GroupName>,
}

impl PersonEdit {
    pub(crate) fn of(id: &PersonId) -> Self {
        Self {
            id: id.clone(),
            create: false,
            name: None,
            mail: None,
            facility: None,
            last_day: None,
            deactivated: None,
            lock: false,
            add: Vec::new(),
            remove: Vec::new(),
        }
    }
}

/// A record holds at most this many people: its size is bounded (64 KiB).
const PEOPLE_PER_RECORD: usize = 200;

impl ScimChange {
    /// To be made durable before the change is carried out, in this order.
    pub fn records(&self) -> &[ScimRecord] {
        &self.records
    }

    pub(crate) fn record(&mut self, what: &'static str, subject: &str, details: Value) {
        let details = match details {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        self.records.push(ScimRecord { what, subject: subject.to_owned(), details });
    }

    /// Who got and who lost which of the roster's groups, from the edits planned so far.
    pub(crate) fn record_groups(&mut self, provider: &str) {
        let mut records = Vec::new();
        for (what, groups_of) in [
            ("scim-groups-given", (|e: &PersonEdit| &e.add) as fn(&PersonEdit) -> &Vec<GroupName>),
            ("scim-groups-taken", |e: &PersonEdit| &e.remove),
        ] {
            let mut by_group: std::collections::BTreeMap<&GroupName, Vec<&str>> = std::collections::BTreeMap::new();
            for edit in &self.people {
                for group in groups_of(edit) {
                    by_group.entry(group).or_default().push(edit.id.as_str());
                }
            }
            for (group, people) in by_group {
                for people in people.chunks(PEOPLE_PER_RECORD) {
                    let details = serde_json::json!({ "people": people, "provider": provider });
                    records.push((what, group.as_str().to_owned(), details));
                }
            }
        }
        for (what, subject, details) in records {
            self.record(what, &subject, details);
        }
    }
}
