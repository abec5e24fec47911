//! The whole of it, opened from the state database, and changes to the roster.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use store::{Store, Transaction};
use vocabulary::{Date, PersonId};

use crate::import::Difference;
use crate::oidc::{Links, SeenTokens, UnderWay};
use crate::{
    Acknowledgements, Clearings, Directory, EndCause, Ended, HeldForms, IdentityError, Owners, Person, Roster, Scim,
    Sessions, Settings, SignIns, Standing, roster, schema,
};

/// Roster, directory, sessions and sign-ins under way. Clones share all of it.
#[derive(Clone)]
pub struct Identity {
    store: Store,
    roster: Arc<ArcSwap<Roster>>,
    generation: Arc<AtomicU64>,
    /// Held from reading the roster to swapping it, so that no change is lost.
    changes: Arc<Mutex<()>>,
    directory: Directory,
    sessions: Sessions,
    sign_ins: SignIns,
    owners: Owners,
    clearings: Clearings,
    held_forms: HeldForms,
    acknowledgements: Acknowledgements,
    scim: Scim,
    links: Links,
    /// Outlives a configuration: who is at a provider during a reload comes back.
    oidc: (UnderWay, SeenTokens),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("directory", &self.directory)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Brings the tables up to date and reads them. Blocks.
    ///
    /// # Errors
    /// The state database fails or holds what this version can't read.
    pub fn open(store: Store, settings: &Settings) -> Result<Self, IdentityError> {
        store.migrate(schema::OWNER, schema::MIGRATIONS)?;
        let mut roster = store.transaction(roster::load)?;
        let scim = Scim::open(&store, settings.scim.clone())?;
        roster.deactivate(&scim.deactivated());
        let roster = Arc::new(ArcSwap::from_pointee(roster));
        Ok(Self {
            directory: Directory::open(store.clone(), Arc::clone(&roster), settings)?,
            sessions: Sessions::open(store.clone(), settings)?,
            sign_ins: SignIns::new()?,
            scim,
            links: Links::open(store.clone())?,
            oidc: Default::default(),
            owners: Owners::open(&store)?,
            clearings: Clearings::default(),
            held_forms: HeldForms::default(),
            acknowledgements: Acknowledgements::open(store.clone())?,
            generation: Arc::default(),
            changes: Arc::default(),
            roster,
            store,
        })
    }

    /// Takes over new settings, except `hashing`, which needs a restart. Sessions feel new times at once.
    pub fn apply(&self, settings: &Settings) {
        self.sessions.apply(settings);
        self.directory.apply(settings);
        self.scim.apply(settings.scim.clone());
    }

    /// The roster as it is now; from memory, without a lock.
    pub fn roster(&self) -> Arc<Roster> {
        self.roster.load_full()
    }

    /// Grows with every change to the roster: what was derived from it under an older number is stale.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub fn sign_ins(&self) -> &SignIns {
        &self.sign_ins
    }

    /// What identity providers push.
    pub fn scim(&self) -> &Scim {
        &self.scim
    }

    /// Accounts of providers, and whose they are.
    pub fn links(&self) -> &Links {
        &self.links
    }

    pub(crate) fn oidc_state(&self) -> (UnderWay, SeenTokens) {
        self.oidc.clone()
    }

    /// Whose the data of a SaaS in a browser are.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Browsers on their way through the hosts whose data are cleared.
    pub fn clearings(&self) -> &Clearings {
        &self.clearings
    }

    /// Forms that came after their session had ended.
    pub fn held_forms(&self) -> &HeldForms {
        &self.held_forms
    }

    /// Who has acknowledged which notice.
    pub fn acknowledgements(&self) -> &Acknowledgements {
        &self.acknowledgements
    }

    /// Puts somebody on the roster. Blocks.
    ///
    /// # Errors
    /// The id is taken, the entry makes no sense, or the state database fails.
    pub fn add(&self, person: Person) -> Result<Arc<Person>, IdentityError> {
        self.change(&person.id.clone(), |known| match known {
            Some(_) => Err(IdentityError::PersonExists(person.id.clone())),
            None => Ok(person),
        })
    }

    /// Replaces an entry by one of the same id. Blocks.
    ///
    /// # Errors
    /// Nobody has the id, the entry makes no sense, or the state database fails.
    pub fn update(&self, person: Person) -> Result<Arc<Person>, IdentityError> {
        self.change(&person.id.clone(), |known| match known {
            Some(_) => Ok(person),
            None => Err(IdentityError::NoSuchPerson(person.id.clone())),
        })
    }

    /// Locks somebody out, from the next request on. Their sessions stay until [`Sessions::end_person`]. Blocks.
    ///
    /// # Errors
    /// Nobody has the id, or the state database fails.
    pub fn lock(&self, id: &PersonId) -> Result<Arc<Person>, IdentityError> {
        self.set_locked(id, true)
    }

    /// Takes a lock away. Blocks.
    ///
    /// # Errors
    /// Nobody has the id, or the state database fails.
    pub fn unlock(&self, id: &PersonId) -> Result<Arc<Person>, IdentityError> {
        self.set_locked(id, false)
    }

    /// Gives somebody a last day; they stay on the roster. Who was yet to begin then never does. Blocks.
    ///
    /// # Errors
    /// Nobody has the id, or the state database fails.
    pub fn retire(&self, id: &PersonId, last: Date) -> Result<Arc<Person>, IdentityError> {
        self.change(id, |known| match known {
            Some(person) => Ok(person.leaving_on(last)),
            None => Err(IdentityError::NoSuchPerson(id.clone())),
        })
    }

    /// Carries out all of a difference, in one transaction; requests see all of it at once. Blocks.
    ///
    /// # Errors
    /// An entry is another one than the difference was made from, or the state database fails; then nothing changes.
    pub fn import(&self, difference: &Difference) -> Result<(), IdentityError> {
        let _one_at_a_time = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut roster = Roster::clone(&self.roster.load());
        let changes = difference.changes().map(|changed| (Some(&changed.before), &changed.after));
        let people: Vec<_> = difference.added.iter().map(|person| (None, person)).chain(changes).collect();
        for (before, after) in &people {
            if roster.get(&after.id) != *before {
                return Err(IdentityError::RosterChanged(after.id.clone()));
            }
            after.check()?;
        }
        self.store.transaction(|tx| people.iter().try_for_each(|(_, person)| roster::save(tx, person)))?;
        roster.people.extend(people.into_iter().map(|(_, person)| (person.id.clone(), Arc::new(person.clone()))));
        self.roster.store(Arc::new(roster));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Ends the sessions of people who left, are locked or are gone from the roster. To be called every few seconds:
    /// requests are judged by the roster itself, so this is for memory and for the record of how a session ended.
    ///
    /// # Errors
    /// The state database fails.
    pub async fn end_departed(&self, today: Date) -> Result<Vec<Ended>, IdentityError> {
        let roster = self.roster();
        self.sessions
            .end_where(|session| match roster.standing(session.person(), today) {
                Standing::Retired => Some(EndCause::Retired),
                Standing::Locked | Standing::NotOnRoster => Some(EndCause::Person),
                // Judged per request; a clock that was wrong for a moment must not end what begins tomorrow.
                Standing::NotYet | Standing::Active => None,
            })
            .await
    }

    fn set_locked(&self, id: &PersonId, locked: bool) -> Result<Arc<Person>, IdentityError> {
        self.change(id, |known| match known {
            Some(person) => Ok(Person { locked, ..person.clone() }),
            None => Err(IdentityError::NoSuchPerson(id.clone())),
        })
    }

    /// Stored first, then seen by requests.
    fn change(
        &self,
        id: &PersonId,
        change: impl FnOnce(Option<&Person>) -> Result<Person, IdentityError>,
    ) -> Result<Arc<Person>, IdentityError> {
        let _one_at_a_time = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut roster = Roster::clone(&self.roster.load());
        let known = roster.get(id).map(Arc::as_ref);
        // Only SCIM takes back what SCIM said.
        let deactivated = known.is_some_and(|person| person.deactivated);
        let person = Arc::new(Person { deactivated, ..change(known)? });
        person.check()?;
        self.store.transaction(|tx| roster::save(tx, &person))?;
        roster.people.insert(id.clone(), Arc::clone(&person));
        self.roster.store(Arc::new(roster));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(person)
    }

    /// As [`Self::change`], for several entries and other tables in one transaction. `work` changes a roster that
    /// requests see only once all of it is stored.
    pub(crate) fn change_many<T>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>, &mut Roster) -> Result<T, IdentityError>,
    ) -> Result<T, IdentityError> {
        let _one_at_a_time = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut roster = Roster::clone(&self.roster.load());
        let done = self.store.transaction(|tx| work(tx, &mut roster))?;
        self.roster.store(Arc::new(roster));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sato() -> Person {
        let mut person = Person::new(PersonId::new("sato").unwrap(), "佐藤 花子");
        person.kana = Some("さとう はなこ".into());
        person.groups = vec!["staff".parse().unwrap(), "visiting-nurses".parse().unwrap()];
        person.last_day = Some("2026-10-31".parse().unwrap());
        person
    }

    #[test]
    fn what_was_added_and_changed_is_there_after_a_restart() -> Result<(), IdentityError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        {
            let identity = Identity::open(Store::open(&path)?, &Settings::default())?;
            identity.add(sato())?;
            identity.add(Person::new("tanaka".parse().unwrap(), "田中"))?;
            identity.lock(&"tanaka".parse().unwrap())?;
        }
        let identity = Identity::open(Store::open(&path)?, &Settings::default())?;
        let roster = identity.roster();
        assert_eq!(roster.len(), 2);
        assert_eq!(**roster.get(&sato().id).unwrap(), sato());
        assert!(roster.people()[1].locked);
        Ok(())
    }

    #[test]
    fn every_change_is_seen_at_once_and_raises_the_generation() -> Result<(), IdentityError> {
        let identity = Identity::open(Store::in_memory()?, &Settings::default())?;
        let before = identity.generation();
        identity.add(sato())?;
        assert!(identity.generation() > before);
        let held = identity.roster();
        identity.lock(&sato().id)?;
        assert!(identity.roster().get(&sato().id).unwrap().locked);
        assert!(!held.get(&sato().id).unwrap().locked);
        identity.unlock(&sato().id)?;
        assert!(!identity.roster().get(&sato().id).unwrap().locked);
        Ok(())
    }

    #[test]
    fn nobody_is_added_twice_or_changed_unseen() -> Result<(), IdentityError> {
        let identity = Identity::open(Store::in_memory()?, &Settings::default())?;
        assert!(matches!(identity.update(sato()), Err(IdentityError::NoSuchPerson(_))));
        assert!(matches!(identity.lock(&sato().id), Err(IdentityError::NoSuchPerson(_))));
        identity.add(sato())?;
        assert!(matches!(identity.add(sato()), Err(IdentityError::PersonExists(_))));
        let generation = identity.generation();
        assert!(identity.update(Person { name: String::new(), ..sato() }).is_err());
        assert_eq!(identity.generation(), generation);
        assert_eq!(identity.roster().get(&sato().id).unwrap().name, "佐藤 花子");
        Ok(())
    }
}
