//! Carrying a planned change out: the state database first, in one transaction, then what requests see.

use std::sync::Arc;

use vocabulary::PersonId;

use super::change::{PersonEdit, ScimChange};
use super::directory::{Resources, Writing};
use super::request::ScimAnswer;
use super::rows;
use crate::{Identity, IdentityError, Person};

impl Identity {
    /// Carries out what was planned under `_held` and has been recorded. Returns the answer to give, and the people
    /// who are kept out by it: their sessions are to be ended. Blocks.
    ///
    /// # Errors
    /// The roster has changed so that the change makes no sense any more, or the state database fails; nothing has
    /// been changed then.
    pub fn carry_out_scim(
        &self,
        change: ScimChange,
        _held: &Writing,
    ) -> Result<(ScimAnswer, Vec<PersonId>), IdentityError> {
        let mut resources = Resources::clone(&self.scim().resources.load());
        let out = self.change_many(|tx, roster| {
            let mut out = Vec::new();
            for edit in &change.people {
                let person = edited(roster.get(&edit.id).map(Arc::as_ref), edit)?;
                if person.deactivated && edit.deactivated.is_some() {
                    out.push(person.id.clone());
                }
                roster.put(tx, person)?;
            }
            for id in &change.removed_users {
                rows::delete_user(tx, id)?;
            }
            for user in &change.users {
                rows::save_user(tx, user)?;
            }
            for group in &change.groups {
                let before = resources.group(&group.provider, &group.id).map(Arc::as_ref);
                rows::save_group(tx, group, before)?;
            }
            for id in &change.removed_groups {
                rows::delete_group(tx, id)?;
            }
            Ok(out)
        })?;
        for id in &change.removed_users {
            resources.remove_user(id);
        }
        for user in change.users {
            resources.put_user(user);
        }
        for group in change.groups {
            resources.put_group(group);
        }
        for id in &change.removed_groups {
            resources.remove_group(id);
        }
        self.scim().resources.store(Arc::new(resources));
        Ok((change.answer, out))
    }
}

fn edited(known: Option<&Person>, edit: &PersonEdit) -> Result<Person, IdentityError> {
    let mut person = match (known, edit.create) {
        (Some(person), false) => person.clone(),
        (None, true) => Person::new(edit.id.clone(), edit.name.clone().unwrap_or_default()),
        (Some(_), true) => return Err(IdentityError::PersonExists(edit.id.clone())),
        (None, false) => return Err(IdentityError::NoSuchPerson(edit.id.clone())),
    };
    let PersonEdit { name, mail, facility, last_day, deactivated, add, remove, .. } = edit.clone();
    if let Some(name) = name {
        person.name = name;
    }
    if let Some(mail) = mail {
        person.mail = mail;
    }
    if let Some(facility) = facility {
        person.facility = facility;
    }
    if let Some(last_day) = last_day {
        person.last_day = last_day;
    }
    if let Some(deactivated) = deactivated {
        person.deactivated = deactivated;
    }
    person.locked |= edit.lock;
    person.groups.retain(|group| !remove.contains(group));
    person.groups.extend(add.into_iter().filter(|group| !person.groups.contains(group)).collect::<Vec<_>>());
    Ok(person)
}
