//! What a file would change.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;
use vocabulary::{Date, PersonId};

use super::columns::Column;
use super::{Problem, Sheet};
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
    /// These have left and would come back.
    WouldReturn(Vec<PersonId>),
}

impl Difference {
    /// What `sheet` says, against the roster as it is on `today`.
    ///
    /// # Errors
    /// Rows that don't go with what is known already: a last day before the known first day.
    pub fn between(roster: &Roster, sheet: &Sheet, missing: Missing, today: Date) -> Result<Self, Vec<Problem>> {
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
            if missing == Missing::Retire && person.last_day != Some(today) {
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
        let back = self.changes().filter(|c| has_left(&c.before, self.today) && !has_left(&c.after, self.today));
        let back: Vec<_> = back.map(|c| c.after.id.clone()).collect();
        if !back.is_empty() {
            guards.push(Guard::WouldReturn(back));
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
