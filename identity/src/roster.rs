//! The roster: the people a facility knows, from their first day to their last.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use store::{Row, Store, Transaction, Value};
use vocabulary::{Date, GroupName, PersonId};

use crate::{IdentityError, Scim, schema};

/// One entry of the roster. Leavers stay on it, so that old records keep their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    pub id: PersonId,
    /// As the facility writes it, such as 佐藤 花子.
    pub name: String,
    /// The reading, for sorting and searching.
    pub kana: Option<String>,
    pub mail: Option<String>,
    pub facility: Option<String>,
    pub groups: Vec<GroupName>,
    /// The first day on which the person may come in, in the gateway's time zone. None: from ever.
    #[serde(serialize_with = "written")]
    pub first_day: Option<Date>,
    /// The last day on which the person may come in. None: no end in sight.
    #[serde(serialize_with = "written")]
    pub last_day: Option<Date>,
    pub locked: bool,
    /// An identity provider that pushes people keeps this one out. Only SCIM says so and takes it back; it is stored
    /// with the provider's entry, not here.
    pub deactivated: bool,
}

/// Whether a person may come in at all, whatever the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Active,
    NotOnRoster,
    /// The first day is yet to come.
    NotYet,
    /// The last day has passed.
    Retired,
    Locked,
}

impl Person {
    /// A person in no group, without first and last day.
    pub fn new(id: PersonId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            kana: None,
            mail: None,
            facility: None,
            groups: Vec::new(),
            first_day: None,
            last_day: None,
            locked: false,
            deactivated: false,
        }
    }

    /// How the person stands on `today`, the date in the gateway's time zone. A lock is told first: somebody
    /// did it on purpose.
    pub fn standing(&self, today: Date) -> Standing {
        if self.locked || self.deactivated {
            Standing::Locked
        } else if self.last_day.is_some_and(|last| today > last) {
            Standing::Retired
        } else if self.first_day.is_some_and(|first| today < first) {
            Standing::NotYet
        } else {
            Standing::Active
        }
    }

    /// The entry of somebody whose last day is `last`. Who was yet to begin then never does.
    pub fn leaving_on(&self, last: Date) -> Self {
        let mut person = self.clone();
        person.last_day = Some(last);
        if self.first_day.is_some_and(|first| first > last) {
            person.first_day = None;
            person.last_day = Some(last.yesterday().unwrap_or(last));
        }
        person
    }

    /// Whether the entry makes sense by itself.
    ///
    /// # Errors
    /// What does not: no name, a text too long or with control characters, a last day before the first.
    pub fn check(&self) -> Result<(), IdentityError> {
        let fail = |what, problem| Err(IdentityError::Person { person: self.id.clone(), what, problem });
        if self.name.trim().is_empty() {
            return fail("the name", "is empty");
        }
        let texts = [("the reading", &self.kana), ("the mail address", &self.mail), ("the facility", &self.facility)];
        let texts = texts.into_iter().filter_map(|(what, text)| text.as_deref().map(|t| (what, t)));
        for (what, text) in texts.chain([("the name", self.name.as_str())]) {
            if text.len() > 200 {
                return fail(what, "is longer than 200 bytes");
            }
            if text.chars().any(char::is_control) {
                return fail(what, "holds a control character");
            }
        }
        if self.first_day.zip(self.last_day).is_some_and(|(first, last)| last < first) {
            return fail("the last day", "is before the first");
        }
        Ok(())
    }
}

fn written<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.collect_str(date),
        None => serializer.serialize_none(),
    }
}

/// Everybody, as of one moment. A change makes a new roster; who holds an old one sees no change in it.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    pub(crate) people: HashMap<PersonId, Arc<Person>>,
}

impl Roster {
    /// Everybody as the state database has them, for a process that is not the gate and changes nothing: `store` may be
    /// one that only reads ([`Store::open_to_read`]). Blocks.
    ///
    /// # Errors
    /// The state database fails, or was written by another version.
    pub fn read(store: &Store) -> Result<Self, IdentityError> {
        store.migrate(schema::OWNER, schema::MIGRATIONS)?;
        let mut roster = store.transaction(load)?;
        roster.deactivate(&Scim::read_deactivated(store)?);
        Ok(roster)
    }

    pub fn get(&self, id: &PersonId) -> Option<&Arc<Person>> {
        self.people.get(id)
    }

    /// How somebody stands on `today`, also if nobody of that name is known.
    pub fn standing(&self, id: &PersonId, today: Date) -> Standing {
        self.get(id).map_or(Standing::NotOnRoster, |person| person.standing(today))
    }

    /// Everybody, by id.
    pub fn people(&self) -> Vec<Arc<Person>> {
        let mut people: Vec<_> = self.people.values().cloned().collect();
        people.sort_by(|a, b| a.id.cmp(&b.id));
        people
    }

    /// Those whom a provider keeps out, as the roster is read.
    pub(crate) fn deactivate(&mut self, people: &[PersonId]) {
        for id in people {
            if let Some(person) = self.people.get_mut(id) {
                Arc::make_mut(person).deactivated = true;
            }
        }
    }

    /// Everybody, in no order.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = &Arc<Person>> {
        self.people.values()
    }

    /// Stores an entry and shows it in this roster, which nobody sees yet.
    pub(crate) fn put(&mut self, tx: &mut Transaction<'_>, person: Person) -> Result<(), IdentityError> {
        person.check()?;
        save(tx, &person)?;
        self.people.insert(person.id.clone(), Arc::new(person));
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.people.len()
    }

    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }
}

const COLUMNS: &str = "id, name, kana, mail, facility, groups, first_day, last_day, locked";

pub(crate) fn load(tx: &mut Transaction<'_>) -> Result<Roster, IdentityError> {
    let rows = tx.query(&format!("SELECT {COLUMNS} FROM person"), &[])?;
    let people = rows.iter().map(|row| read(row).map(|p| (p.id.clone(), Arc::new(p)))).collect::<Result<_, _>>()?;
    Ok(Roster { people })
}

pub(crate) fn save(tx: &mut Transaction<'_>, person: &Person) -> Result<(), IdentityError> {
    let groups = person.groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join("\n");
    tx.execute(
        &format!(
            "INSERT INTO person ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (id) DO UPDATE SET name = $2, kana = $3, mail = $4, facility = $5, groups = $6,
                first_day = $7, last_day = $8, locked = $9"
        ),
        &[
            person.id.as_str().into(),
            person.name.as_str().into(),
            person.kana.as_deref().into(),
            person.mail.as_deref().into(),
            person.facility.as_deref().into(),
            groups.into(),
            day(person.first_day),
            day(person.last_day),
            person.locked.into(),
        ],
    )?;
    Ok(())
}

fn day(date: Option<Date>) -> Value {
    date.map(|d| d.to_string()).into()
}

fn read(row: &Row) -> Result<Person, IdentityError> {
    let wrong = |cause: String| IdentityError::row("a person", &cause);
    let text = |column| row.opt_text(column).map(|t| t.map(str::to_owned));
    let date = |column| -> Result<Option<Date>, IdentityError> {
        row.opt_text(column)?.map(|t| t.parse().map_err(|_| wrong(format!("`{t}` is not a date")))).transpose()
    };
    Ok(Person {
        id: PersonId::new(row.text(0)?).map_err(|e| wrong(e.to_string()))?,
        name: row.text(1)?.to_owned(),
        kana: text(2)?,
        mail: text(3)?,
        facility: text(4)?,
        groups: row.text(5)?.lines().map(GroupName::new).collect::<Result<_, _>>().map_err(|e| wrong(e.to_string()))?,
        first_day: date(6)?,
        last_day: date(7)?,
        locked: row.int(8)? != 0,
        deactivated: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn first_and_last_day_are_days_of_work() {
        let mut person = Person::new(PersonId::new("sato").unwrap(), "佐藤");
        person.first_day = Some(date("2026-04-01"));
        person.last_day = Some(date("2026-10-31"));
        for (today, standing) in [
            ("2026-03-31", Standing::NotYet),
            ("2026-04-01", Standing::Active),
            ("2026-10-31", Standing::Active),
            ("2026-11-01", Standing::Retired),
        ] {
            assert_eq!(person.standing(date(today)), standing, "{today}");
        }
        person.locked = true;
        assert_eq!(person.standing(date("2026-05-01")), Standing::Locked);
    }

    #[test]
    fn who_is_unknown_is_not_on_the_roster() {
        let nobody = PersonId::new("nobody").unwrap();
        assert_eq!(Roster::default().standing(&nobody, date("2026-01-01")), Standing::NotOnRoster);
    }

    #[test]
    fn an_entry_that_makes_no_sense_is_refused() {
        let good = Person::new(PersonId::new("sato").unwrap(), "佐藤");
        assert!(good.check().is_ok());
        assert!(Person { name: " ".into(), ..good.clone() }.check().is_err());
        assert!(Person { kana: Some("a\nb".into()), ..good.clone() }.check().is_err());
        let backwards = Person { first_day: Some(date("2026-02-01")), last_day: Some(date("2026-01-01")), ..good };
        assert!(backwards.check().is_err());
    }
}
