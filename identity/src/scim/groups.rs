//! Planning changes to groups, and what they mean for their members.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::change::ScimChange;
use super::directory::regrouped;
use super::handle::{Context, Handled};
use super::problem::Problem;
use super::request::ScimAnswer;
use super::resource::{Group, new_id};
use super::schema::GROUPS;
use super::{patch, render, shape};

/// Ids of users.
type Members = BTreeSet<Box<str>>;

pub(super) fn create(context: &Context<'_>, body: &Value) -> Result<Handled, Problem> {
    let id = new_id().map_err(|_| Problem::new(500, "no id could be made"))?;
    let now = context.request.now;
    let (attributes, members) = parts(context, shape::resource(&GROUPS, body)?)?;
    let provider = context.provider().into();
    let group = Group { id, provider, attributes, members, created: now, modified: now };
    change(context, None, Some(group), "scim-group-created", 201)
}

pub(super) fn replace(context: &Context<'_>, id: &str, body: &Value) -> Result<Handled, Problem> {
    let old = context.group(id)?;
    update(context, old, shape::resource(&GROUPS, body)?)
}

pub(super) fn patch(context: &Context<'_>, id: &str, body: &Value) -> Result<Handled, Problem> {
    let old = context.group(id)?;
    let mut whole = old.attributes.clone();
    let members: Vec<Value> = old.members.iter().map(|id| json!({ "value": id, "type": "User" })).collect();
    if !members.is_empty() {
        whole.insert("members".to_owned(), members.into());
    }
    update(context, old, patch::apply(&GROUPS, &whole, body)?)
}

fn update(context: &Context<'_>, old: &Group, whole: Map<String, Value>) -> Result<Handled, Problem> {
    let (attributes, members) = parts(context, whole)?;
    if attributes == old.attributes && members == old.members {
        return Ok(Handled::Answer(context.show_group(old, 200)));
    }
    let group = Group { attributes, members, modified: context.request.now, ..old.clone() };
    change(context, Some(old), Some(group), "scim-group-changed", 200)
}

pub(super) fn delete(context: &Context<'_>, id: &str) -> Result<Handled, Problem> {
    let old = context.group(id)?;
    change(context, Some(old), None, "scim-group-deleted", 204)
}

/// Attributes and members apart; every member is a user of the same provider.
fn parts(context: &Context<'_>, mut attributes: Map<String, Value>) -> Result<(Map<String, Value>, Members), Problem> {
    let mut members = BTreeSet::new();
    let named = attributes.remove("members");
    for member in named.as_ref().and_then(Value::as_array).into_iter().flatten() {
        if member["type"].as_str().is_some_and(|kind| !kind.eq_ignore_ascii_case("User")) {
            return Err(Problem::value("groups in groups are not served: a member's `type` is User"));
        }
        let Some(id) = member["value"].as_str() else {
            return Err(Problem::value("a member has no `value`, the id of a user"));
        };
        if context.resources.user(context.provider(), id).is_none() {
            return Err(Problem::value("a member is not the id of a user"));
        }
        members.insert(id.into());
    }
    if attributes.get("displayName").and_then(Value::as_str).is_none_or(|name| name.len() > 200) {
        return Err(Problem::value("`displayName` is required and at most 200 bytes long"));
    }
    Ok((attributes, members))
}

fn change(
    context: &Context<'_>,
    old: Option<&Group>,
    new: Option<Group>,
    what: &'static str,
    status: u16,
) -> Result<Handled, Problem> {
    let mut change = ScimChange::default();
    let new = new.map(Arc::new);
    let none = BTreeSet::new();
    let before = old.map_or(&none, |g| &g.members);
    let after = new.as_ref().map_or(&none, |g| &g.members);
    let old_name = old.map(Group::display_name);
    let new_name = new.as_ref().map(|g| g.display_name());
    if let Some(name) = new_name.filter(|name| old_name != Some(name)) {
        refuse_same_name(context, old, name)?;
    }
    let gives = |name: Option<&str>| name.and_then(|n| context.settings.gives(n));
    // With another name the group may give something else, to all of its members.
    let affected: Vec<_> = match gives(old_name) == gives(new_name) {
        true => before.symmetric_difference(after).collect(),
        false => before.union(after).collect(),
    };
    for id in affected {
        let Some(user) = context.resources.user(context.provider(), id) else { continue };
        let mut groups = context.resources.groups_of(id);
        groups.retain(|g| old.is_none_or(|old| g.id != old.id));
        groups.extend(new.iter().filter(|g| g.members.contains(id)));
        let person = context.roster.get(&user.person);
        if let Some((user, edit)) = regrouped(user, &groups, context.settings, person) {
            change.users.push(user);
            change.people.push(edit);
        }
    }
    let details = json!({
        "scim_id": new.as_ref().map(|g| &g.id).or(old.map(|g| &g.id)),
        "provider": context.provider(),
        "gives": gives(new_name).or_else(|| gives(old_name)),
        "members_added": after.difference(before).count(),
        "members_removed": before.difference(after).count(),
    });
    change.record(what, new_name.or(old_name).unwrap_or_default(), details);
    change.record_groups(context.provider());
    match new {
        Some(group) => {
            change.answer = context.show_group(&group, status);
            change.groups.push(Arc::unwrap_or_clone(group));
        }
        None => {
            change.removed_groups.extend(old.map(|g| g.id.clone()));
            change.answer = ScimAnswer::empty(status);
        }
    }
    Ok(Handled::Change(Box::new(change)))
}

/// Providers match groups by name; with two of a name they would change the wrong one.
fn refuse_same_name(context: &Context<'_>, old: Option<&Group>, name: &str) -> Result<(), Problem> {
    let name = name.to_lowercase();
    let same = |group: &Arc<Group>| {
        &*group.provider == context.provider()
            && old.is_none_or(|old| old.id != group.id)
            && group.display_name().to_lowercase() == name
    };
    match context.resources.groups().any(same) {
        true => Err(Problem::taken("there is a group with this displayName")),
        false => Ok(()),
    }
}

pub(super) fn show(context: &Context<'_>, group: &Group) -> Map<String, Value> {
    render::group(group, context.request.origin)
}
