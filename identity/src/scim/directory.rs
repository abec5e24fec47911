//! Everything that providers have pushed, in memory, and the one place from which it is changed.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use store::Store;
use tokio::sync::{Mutex, OwnedMutexGuard};
use vocabulary::{GroupName, PersonId};

use super::change::{PersonEdit, ScimChange};
use super::resource::{Group, User};
use super::{ScimSettings, ScimTokens, rows};
use crate::{IdentityError, Person, Roster};

/// Users and groups of all providers, as of one moment. A change makes a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    /// Deleted ones too.
    users: HashMap<Box<str>, Arc<User>>,
    /// Provider and user name in small letters → id.
    names: HashMap<(Box<str>, String), Box<str>>,
    people: HashMap<PersonId, Box<str>>,
    groups: HashMap<Box<str>, Arc<Group>>,
}

fn name_of(user: &User) -> (Box<str>, String) {
    (user.provider.clone(), user.user_name().to_lowercase())
}

impl Resources {
    pub(crate) fn user(&self, provider: &str, id: &str) -> Option<&Arc<User>> {
        self.users.get(id).filter(|u| !u.deleted && &*u.provider == provider)
    }

    /// By user name, without case; deleted ones too.
    pub(crate) fn by_name(&self, provider: &str, user_name: &str) -> Option<&Arc<User>> {
        self.users.get(self.names.get(&(provider.into(), user_name.to_lowercase()))?)
    }

    /// Whoever's it is, deleted or not.
    pub(crate) fn of_person(&self, person: &PersonId) -> Option<&Arc<User>> {
        self.users.get(self.people.get(person)?)
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    pub(crate) fn group(&self, provider: &str, id: &str) -> Option<&Arc<Group>> {
        self.groups.get(id).filter(|g| &*g.provider == provider)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// The groups that a user is a member of, by name.
    pub(crate) fn groups_of(&self, user: &str) -> Vec<&Arc<Group>> {
        let mut groups: Vec<_> = self.groups.values().filter(|g| g.members.contains(user)).collect();
        groups.sort_by(|a, b| (a.display_name(), &a.id).cmp(&(b.display_name(), &b.id)));
        groups
    }

    pub(crate) fn put_user(&mut self, user: User) {
        self.remove_user(&user.id.clone());
        let user = Arc::new(user);
        self.names.insert(name_of(&user), user.id.clone());
        self.people.insert(user.person.clone(), user.id.clone());
        self.users.insert(user.id.clone(), user);
    }

    pub(crate) fn remove_user(&mut self, id: &str) {
        if let Some(old) = self.users.remove(id) {
            self.names.remove(&name_of(&old));
            self.people.remove(&old.person);
        }
    }

    pub(crate) fn put_group(&mut self, group: Group) {
        self.groups.insert(group.id.clone(), Arc::new(group));
    }

    pub(crate) fn remove_group(&mut self, id: &str) {
        self.groups.remove(id);
    }
}

/// People in providers' hands.
pub type Managed = HashMap<PersonId, ManagedBy>;

/// In whose hands somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedBy {
    pub provider: Box<str>,
    /// The roster's groups that the person has through the provider and nobody else.
    pub groups: Vec<GroupName>,
}

/// SCIM's state: resources, tokens and settings. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Scim {
    pub(crate) resources: Arc<ArcSwap<Resources>>,
    pub(crate) settings: Arc<ArcSwapOption<ScimSettings>>,
    tokens: ScimTokens,
    writing: Arc<Mutex<()>>,
}

/// Nobody else plans or carries out a change while one holds this: what was planned is what is carried out.
#[derive(Debug)]
pub struct Writing {
    _one_at_a_time: OwnedMutexGuard<()>,
}

impl Scim {
    /// Brings the tables up to date and reads them. Blocks.
    pub(crate) fn open(store: &Store, settings: Option<ScimSettings>) -> Result<Self, IdentityError> {
        store.migrate(rows::OWNER, rows::MIGRATIONS)?;
        let mut resources = Resources::default();
        for user in store.transaction(rows::users)? {
            resources.put_user(user);
        }
        for group in store.transaction(rows::groups)? {
            resources.put_group(group);
        }
        Ok(Self {
            resources: Arc::new(ArcSwap::from_pointee(resources)),
            settings: Arc::new(ArcSwapOption::from_pointee(settings)),
            tokens: ScimTokens::open(store.clone())?,
            writing: Arc::default(),
        })
    }

    /// The people whom providers keep out, from the state database alone. Blocks.
    pub(crate) fn read_deactivated(store: &Store) -> Result<Vec<PersonId>, IdentityError> {
        store.migrate(rows::OWNER, rows::MIGRATIONS)?;
        let users = store.transaction(rows::users)?;
        Ok(users.into_iter().filter(User::deactivated).map(|user| user.person).collect())
    }

    pub(crate) fn apply(&self, settings: Option<ScimSettings>) {
        self.settings.store(settings.map(Arc::new));
    }

    pub fn tokens(&self) -> &ScimTokens {
        &self.tokens
    }

    /// To be held from before a change is planned until it has been carried out.
    pub async fn writing(&self) -> Writing {
        Writing { _one_at_a_time: self.writing.clone().lock_owned().await }
    }

    /// Whether the provider, not an operator, says who this person is.
    pub fn manages(&self, person: &PersonId) -> bool {
        self.resources.load().of_person(person).is_some()
    }

    /// Everybody whom a provider, not an operator, says who they are; deleted ones are the operator's to change.
    pub fn managed(&self) -> Managed {
        let resources = self.resources.load();
        let users = resources.users().filter(|u| !u.deleted);
        let by = |user: &Arc<User>| ManagedBy { provider: user.provider.clone(), groups: user.given.clone() };
        users.map(|user| (user.person.clone(), by(user))).collect()
    }

    /// The provider that keeps a person out, if one does.
    pub fn kept_out_by(&self, person: &PersonId) -> Option<Box<str>> {
        let resources = self.resources.load();
        resources.of_person(person).filter(|user| user.deactivated()).map(|user| user.provider.clone())
    }

    /// The people whom providers keep out.
    pub(crate) fn deactivated(&self) -> Vec<PersonId> {
        self.resources.load().users().filter(|u| u.deactivated()).map(|u| u.person.clone()).collect()
    }

    /// What is to change because the configuration maps groups differently than when they were pushed.
    pub fn reconcile(&self, roster: &Roster, _held: &Writing) -> Option<ScimChange> {
        let settings = self.settings.load_full()?;
        let resources = self.resources.load();
        let mut change = ScimChange::default();
        for user in resources.users().filter(|u| !u.deleted) {
            let groups = resources.groups_of(&user.id);
            if let Some((user, edit)) = regrouped(user, &groups, &settings, roster.get(&user.person)) {
                change.users.push(user);
                change.people.push(edit);
            }
        }
        change.record_groups("");
        (!change.people.is_empty()).then_some(change)
    }

    /// Takes a person out of a provider's hands: what the roster says of them stays, save the lock. Who was deleted by
    /// the provider stays out, by a lock of the operator's: a name made free again lets no leaver in.
    pub fn release(&self, person: &PersonId, _held: &Writing) -> Option<ScimChange> {
        let resources = self.resources.load();
        let user = resources.of_person(person)?;
        let mut change = ScimChange::default();
        change.removed_users.push(user.id.clone());
        for group in resources.groups_of(&user.id) {
            let mut group = Group::clone(group);
            group.members.remove(&user.id);
            change.groups.push(group);
        }
        let edit = PersonEdit { deactivated: Some(false), lock: user.deleted, ..PersonEdit::of(person) };
        change.people.push(edit);
        let details = serde_json::json!({ "provider": user.provider, "locked": user.deleted });
        change.record("scim-released", person.as_str(), details);
        Some(change)
    }
}

/// What a user's memberships mean for the roster, if that is something else than before. A group that an operator
/// gave stays the operator's: the provider can't take it away.
pub(crate) fn regrouped(
    user: &User,
    groups: &[&Arc<Group>],
    settings: &ScimSettings,
    person: Option<&Arc<Person>>,
) -> Option<(User, PersonEdit)> {
    let has: &[_] = person.map_or(&[], |p| &p.groups);
    let mut given: Vec<_> = groups.iter().filter_map(|g| settings.gives(g.display_name())).collect();
    given.sort();
    given.dedup();
    given.retain(|g| !has.contains(g) || user.given.contains(g));
    let add: Vec<_> = given.iter().filter(|g| !has.contains(g)).cloned().collect();
    let remove: Vec<_> = user.given.iter().filter(|g| !given.contains(g)).cloned().collect();
    if given == user.given && add.is_empty() && remove.is_empty() {
        return None;
    }
    let edit = PersonEdit { add, remove, ..PersonEdit::of(&user.person) };
    Some((User { given, ..user.clone() }, edit))
}
