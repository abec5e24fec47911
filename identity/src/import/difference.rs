//! What a file would change.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use vocabulary::{Date, GroupName, PersonId};

use super::columns::Column;
use super::{Problem, Sheet};
use crate::scim::{Managed, ManagedBy};
use crate::{Person, Roster};

/// What becomes of people whom the file does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Stay,
    /// Today is their last day.
    Retire,
}

/// From the roster as it is to the roster as the file has it. Nobody is ever deleted: who left stays, so that old
/// records keep their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub added: Vec<Person>,
    pub changed: Vec<Changed>,
    /// People who are in the file and on the roster with the same words.
    pub unchanged: usize,
    /// People of the roster who have not left and are not in the file, by id.
    pub missing: Vec<Arc<Person>>,
    /// Those of them who get a last day, because it was asked for.
    pub retired: Vec<Changed>,
    /// People of the roster who are not in the file and left before.
    pub left: usize,
    /// Those in the file or missing whom a provider manages, and which: what it says counts again with its next push.
    pub managed: BTreeMap<PersonId, Box<str>>,
    /// People who have not left today, before the change.
    staying: usize,
    today: Date,
}

/// One entry, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub before: Arc<Person>,
    pub after: Person,
}

/// One value of an entry, as it is written in a file; `None`: there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    pub field: &'static str,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Why a difference is not carried out unless somebody says so again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// More than half of those who have not left would leave.
    MostWouldLeave { leaving: usize, of: usize },
    /// A last day that was set would be taken away or moved later: these have left and would come back, those would
    /// stay longer.
    WouldStay { back: Vec<PersonId>, longer: Vec<PersonId> },
}

impl Difference {
    /// What `sheet` says, against the roster as it is on `today`, with some people `managed` by providers: a file that
    /// does not name them retires none of them.
    ///
    /// # Errors
    /// Rows that don't go with what is known already: a last day before the known first day; without a group that a
    /// provider gives, which it would give again.
    pub fn between(
        roster: &Roster,
        sheet: &Sheet,
        managed: &Managed,
        missing: Missing,
        today: Date,
    ) -> Result<Self, Vec<Problem>> {
        let mut difference = Self { today, ..Self::default() };
        let mut named = HashSet::with_capacity(sheet.rows.len());
        let mut problems = Vec::new();
        for row in &sheet.rows {
            named.insert(&row.id);
            let known = roster.get(&row.id);
            let after = row.over(known.map(Arc::as_ref));
            if let Err(error) = after.check() {
                problems.push(Problem::of_line(row.line, format!("{error}, with what is known already")));
                continue;
            }
            if let Some(by) = managed.get(&row.id) {
                let goes = |group: &&GroupName| {
                    known.is_some_and(|k| k.groups.contains(group)) && !after.groups.contains(group)
                };
                if let Some(group) = by.groups.iter().find(goes) {
                    problems.push(Problem::of_line(row.line, would_be_given_again(&row.id, group, by)));
                    continue;
                }
                difference.managed.insert(row.id.clone(), by.provider.clone());
            }
            match known {
                None => difference.added.push(after),
                Some(known) if **known == after => difference.unchanged += 1,
                Some(known) => difference.changed.push(Changed { before: Arc::clone(known), after }),
            }
        }
        for person in roster.people() {
            let left = has_left(&person, today);
            difference.staying += usize::from(!left);
            if named.contains(&person.id) {
                continue;
            }
            if left {
                difference.left += 1;
                continue;
            }
            if let Some(by) = managed.get(&person.id) {
                difference.managed.insert(person.id.clone(), by.provider.clone());
            } else if missing == Missing::Retire && person.last_day != Some(today) {
                let after = person.leaving_on(today);
                difference.retired.push(Changed { before: Arc::clone(&person), after });
            }
            difference.missing.push(person);
        }
        if problems.is_empty() { Ok(difference) } else { Err(problems) }
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.retired.is_empty()
    }

    /// All entries that would be others than before.
    pub fn changes(&self) -> impl Iterator<Item = &Changed> {
        self.changed.iter().chain(&self.retired)
    }

    /// What somebody should look at twice.
    pub fn guards(&self) -> Vec<Guard> {
        let mut guards = Vec::new();
        let today_or_before = |p: &Person| p.last_day.is_some_and(|last| last <= self.today);
        let leaving = self.changes().filter(|c| !today_or_before(&c.before) && today_or_before(&c.after)).count();
        if leaving * 2 > self.staying {
            guards.push(Guard::MostWouldLeave { leaving, of: self.staying });
        }
        let stays = |c: &&Changed| {
            let set = c.before.last_day;
            set.is_some() && !has_left(&c.after, self.today) && c.after.last_day.is_none_or(|last| Some(last) > set)
        };
        let (back, longer): (Vec<_>, Vec<_>) =
            self.changes().filter(stays).partition(|c| has_left(&c.before, self.today));
        if !back.is_empty() || !longer.is_empty() {
            let ids = |changes: Vec<&Changed>| changes.into_iter().map(|c| c.after.id.clone()).collect();
            guards.push(Guard::WouldStay { back: ids(back), longer: ids(longer) });
        }
        guards
    }

    /// Pairs such as `12` (new) and `0012` (missing): a spreadsheet may have taken zeros away.
    pub fn lost_zeros(&self) -> Vec<(PersonId, PersonId)> {
        let missing: std::collections::HashMap<&str, &PersonId> = self
            .missing
            .iter()
            .filter(|person| person.id.as_str().starts_with('0'))
            .map(|person| (person.id.as_str().trim_start_matches('0'), &person.id))
            .collect();
        let pair = |person: &Person| Some((person.id.clone(), (*missing.get(person.id.as_str())?).clone()));
        self.added.iter().filter_map(pair).collect()
    }
}

impl Changed {
    /// What is new, field by field.
    pub fn fields(&self) -> Vec<FieldChange> {
        let change = |column: Column| {
            let (old, new) = (written(&self.before, column), written(&self.after, column));
            (old != new).then_some(FieldChange { field: column.word(), old, new })
        };
        Column::ALL.into_iter().filter_map(change).collect()
    }
}

fn would_be_given_again(person: &PersonId, group: &GroupName, by: &ManagedBy) -> String {
    format!(
        "takes the group `{group}` away from {person}, to whom the provider `{}` gives it; leave it in, take it away \
         there, or say `sekisho scim release {person}` before",
        by.provider
    )
}

fn has_left(person: &Person, today: Date) -> bool {
    person.last_day.is_some_and(|last| last < today)
}

/// A value as files write it.
pub(super) fn written(person: &Person, column: Column) -> Option<String> {
    match column {
        Column::Id => Some(person.id.to_string()),
        Column::Name => Some(person.name.clone()),
        Column::Kana => person.kana.clone(),
        Column::Mail => person.mail.clone(),
        Column::Facility => person.facility.clone(),
        Column::Groups => {
            let names = person.groups.iter().map(|group| group.as_str()).collect::<Vec<_>>().join(";");
            Some(names).filter(|names| !names.is_empty())
        }
        Column::FirstDay => person.first_day.map(|day| day.to_string()),
        Column::LastDay => person.last_day.map(|day| day.to_string()),
    }
}
