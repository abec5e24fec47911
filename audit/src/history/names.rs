//! What people were called when something happened: as their last sign-in or login before it says.

use std::collections::{BTreeMap, HashMap};

use vocabulary::{PersonId, Timestamp};

use super::{History, Query};
use crate::{AuditError, Filter, Position, Record};

/// A person's name and facility, as the roster had them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    pub name: Option<String>,
    pub facility: Option<String>,
}

impl Called {
    fn of(record: &Record) -> Option<(&PersonId, Self)> {
        let (person, name, facility) = match record {
            Record::SignIn(sign_in) => (&sign_in.person, &sign_in.name, &sign_in.facility),
            Record::Login(login) => (&login.person, &login.name, &login.facility),
            _ => return None,
        };
        let called = Self { name: name.clone(), facility: facility.clone() };
        (called != Self::default()).then_some((person.as_ref()?, called))
    }
}

/// Names at the time of the event, for what happened in a period.
#[derive(Debug)]
pub struct NamesThen {
    history: History,
    /// From where on each person was called so; only where that changed.
    people: HashMap<PersonId, BTreeMap<Position, Called>>,
}

impl History {
    /// Reads what people, or one of them, were called in a period.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn names(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        person: Option<&PersonId>,
    ) -> Result<NamesThen, AuditError> {
        let filter = Filter { from, to, person: person.cloned(), kinds: kinds(), ..Filter::default() };
        let mut people: HashMap<PersonId, BTreeMap<Position, Called>> = HashMap::new();
        for entry in self.read(Query { filter, ..Query::default() })? {
            let entry = entry?;
            let Some((person, called)) = Called::of(&entry.record) else { continue };
            let known = people.entry(person.clone()).or_default();
            if known.values().next_back() != Some(&called) {
                known.insert(entry.position, called);
            }
        }
        Ok(NamesThen { history: self.clone(), people })
    }
}

impl NamesThen {
    /// What the person was called at a position of the period; none: no record up to it has a name.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn at(&mut self, person: &PersonId, position: Position) -> Result<Option<&Called>, AuditError> {
        let known = self.people.entry(person.clone()).or_default();
        // Before the first of the period stands what was before the period.
        if known.range(..=position).next().is_none() {
            let filter = Filter { person: Some(person.clone()), kinds: kinds(), ..Filter::default() };
            let query = Query { filter, before: Some(position), newest_first: true, ..Query::default() };
            let mut before = Called::default();
            for entry in self.history.read(query)? {
                if let Some((_, called)) = Called::of(&entry?.record) {
                    before = called;
                    break;
                }
            }
            known.insert(Position::default(), before);
        }
        let known = known.range(..=position).next_back().map(|(_, called)| called);
        Ok(known.filter(|called| **called != Called::default()))
    }
}

fn kinds() -> Vec<String> {
    ["sign-in", "login"].map(str::to_owned).to_vec()
}
