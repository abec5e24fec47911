//! Planning changes to users, and what they mean for the roster.

use serde_json::{Map, Value, json};
use vocabulary::PersonId;

use super::change::{PersonEdit, ScimChange};
use super::handle::{Context, Handled};
use super::problem::Problem;
use super::request::ScimAnswer;
use super::resource::{Group, User, department, is_inactive, mail, new_id, shown_name};
use super::schema::USERS;
use super::{patch, render, shape};

pub(super) fn create(context: &Context<'_>, body: &Value) -> Result<Handled, Problem> {
    let mut attributes = shape::resource(&USERS, body)?;
    attributes.entry("active").or_insert(true.into());
    let provider = context.provider();
    let user_name = user_name_of(&attributes)?;
    let known = context.resources.by_name(provider, &user_name);
    if known.is_some_and(|user| !user.deleted) {
        return Err(Problem::taken("there is a user with this userName"));
    }
    let mut change = ScimChange::default();
    let id = new_id().map_err(|_| Problem::new(500, "no id could be made"))?;
    let (what, person, adopted) = match known {
        Some(gone) => {
            refuse_somebody_else(gone, &attributes)?;
            refuse_namesakes(context, Some(&gone.person), &attributes)?;
            change.removed_users.push(gone.id.clone());
            ("scim-user-returned", gone.person.clone(), gone.adopted)
        }
        None => match adoptable(context, &attributes)? {
            Some(person) => ("scim-user-adopted", person, true),
            None => ("scim-user-created", person_id(context, &user_name)?, false),
        },
    };
    let user = User {
        id,
        provider: provider.into(),
        person,
        inactive: is_inactive(&attributes).unwrap_or_default(),
        attributes,
        created: context.request.now,
        modified: context.request.now,
        given: Vec::new(),
        last_day: None,
        deleted: false,
        adopted,
    };
    let last_day = known.and_then(|gone| gone.last_day);
    let entry = context.roster.get(&user.person);
    let still = entry.and_then(|p| p.last_day);
    let mut edit = edit(None, &user)?;
    edit.create = entry.is_none();
    // The last day that our DELETE set goes with it; one that an operator set stays.
    edit.last_day = last_day.filter(|day| still == Some(*day)).map(|_| None);
    record(&mut change, what, &user, None);
    change.people.push(edit);
    Ok(finish(context, change, user, 201))
}

pub(super) fn replace(context: &Context<'_>, id: &str, body: &Value) -> Result<Handled, Problem> {
    let old = context.user(id)?;
    let mut attributes = shape::resource(&USERS, body)?;
    // Leaving `active` out must let nobody in again.
    if let Some(active) = old.attributes.get("active").filter(|_| !attributes.contains_key("active")) {
        attributes.insert("active".to_owned(), active.clone());
    }
    update(context, old, attributes)
}

pub(super) fn patch(context: &Context<'_>, id: &str, body: &Value) -> Result<Handled, Problem> {
    let old = context.user(id)?;
    update(context, old, patch::apply(&USERS, &old.attributes, body)?)
}

fn update(context: &Context<'_>, old: &User, attributes: Map<String, Value>) -> Result<Handled, Problem> {
    if attributes == old.attributes {
        return Ok(Handled::Answer(context.show_user(old, 200)));
    }
    let user_name = user_name_of(&attributes)?;
    let taken = context.resources.by_name(&old.provider, &user_name).is_some_and(|other| other.id != old.id);
    if taken {
        return Err(Problem::taken("there is, or was, another user with this userName"));
    }
    if user_name != old.user_name() || mail(&attributes) != mail(&old.attributes) {
        refuse_namesakes(context, Some(&old.person), &attributes)?;
    }
    // Taking `active` away leaves the person in or out, as it was said last.
    let inactive = is_inactive(&attributes).unwrap_or(old.inactive);
    let user = User { attributes, inactive, modified: context.request.now, ..old.clone() };
    let mut change = ScimChange::default();
    record(&mut change, "scim-user-changed", &user, Some(old));
    change.people.push(edit(Some(old), &user)?);
    Ok(finish(context, change, user, 200))
}

/// The person stays on the roster, so that old records keep their name, and is out from now on.
pub(super) fn delete(context: &Context<'_>, id: &str) -> Result<Handled, Problem> {
    let old = context.user(id)?;
    let person = context.roster.get(&old.person);
    let today = context.request.today;
    // One that an operator set stays, whichever it is: the return takes back only what was set here. A last day before
    // the first would make no sense of the entry; the lock alone keeps them out then.
    let sets_last_day = person.is_some_and(|p| p.last_day.is_none() && p.first_day.is_none_or(|first| first <= today));
    let mut change = ScimChange::default();
    for group in context.resources.groups_of(&old.id) {
        let mut group = Group { modified: context.request.now, ..Group::clone(group) };
        group.members.remove(&old.id);
        change.groups.push(group);
    }
    let last_day = sets_last_day.then_some(today);
    record(&mut change, "scim-user-deleted", old, None);
    change.people.push(PersonEdit {
        deactivated: Some(true),
        last_day: last_day.map(Some),
        remove: old.given.clone(),
        ..PersonEdit::of(&old.person)
    });
    change.record_groups(&old.provider);
    let modified = context.request.now;
    change.users.push(User { given: Vec::new(), last_day, deleted: true, modified, ..User::clone(old) });
    change.answer = ScimAnswer::empty(204);
    Ok(Handled::Change(Box::new(change)))
}

fn finish(context: &Context<'_>, mut change: ScimChange, user: User, status: u16) -> Handled {
    change.answer = context.show_user(&user, status);
    change.users.push(user);
    Handled::Change(Box::new(change))
}

fn user_name_of(attributes: &Map<String, Value>) -> Result<String, Problem> {
    let name = attributes.get("userName").and_then(Value::as_str).unwrap_or_default();
    match name.len() {
        0 => Err(Problem::value("`userName` is required")),
        1..=200 => Ok(name.to_owned()),
        _ => Err(Problem::value("`userName` is longer than 200 bytes")),
    }
}

/// What the roster takes over. What the provider never said stays as operators wrote it.
fn edit(old: Option<&User>, user: &User) -> Result<PersonEdit, Problem> {
    let (new, none) = (&user.attributes, Map::new());
    let old = old.map_or(&none, |o| &o.attributes);
    let said = |now: Option<&str>, before: Option<&str>| match (now, before) {
        (None, None) => None,
        (now, _) => Some(now.map(str::to_owned)),
    };
    let name = shown_name(new);
    for (what, text) in
        [("the name", Some(name.as_str())), ("the mail address", mail(new)), ("`department`", department(new))]
    {
        if text.is_some_and(|t| t.len() > 200) {
            return Err(Problem::value(format!("{what} is longer than 200 bytes")));
        }
    }
    Ok(PersonEdit {
        name: Some(name),
        // Sign-ins of other providers are linked by it: with another address the entry would be opened to them.
        mail: said(mail(new), mail(old)).filter(|_| !user.adopted),
        facility: said(department(new), department(old)),
        deactivated: Some(user.deactivated()),
        ..PersonEdit::of(&user.person)
    })
}

fn record(change: &mut ScimChange, what: &'static str, user: &User, old: Option<&User>) {
    let mut details = json!({
        "scim_id": user.id, "provider": user.provider, "user_name": user.user_name(), "active": !user.inactive,
    });
    if let Some(old) = old {
        let names = user.attributes.keys().chain(old.attributes.keys());
        let mut changed: Vec<_> =
            names.filter(|n| user.attributes.get(*n) != old.attributes.get(*n)).map(String::as_str).collect();
        changed.sort_unstable();
        changed.dedup();
        details["changed"] = changed.into();
    }
    change.record(what, user.person.as_str(), details);
}

/// A user name that was given to somebody else must not bring back what its former holder signs in with.
fn refuse_somebody_else(gone: &User, attributes: &Map<String, Value>) -> Result<(), Problem> {
    let external_id = attributes.get("externalId").and_then(Value::as_str);
    match gone.external_id().zip(external_id) {
        Some((before, now)) if before != now => Err(Problem::taken(
            "this userName was somebody else's, with another externalId, whose entry would come back; an operator lets it \
             go with `sekisho scim release` and takes its mail address away",
        )),
        _ => Ok(()),
    }
}

/// Others of the roster who go by the same user name or mail address.
fn namesakes(context: &Context<'_>, except: Option<&PersonId>, attributes: &Map<String, Value>) -> Vec<PersonId> {
    let user_name = attributes.get("userName").and_then(Value::as_str).unwrap_or_default();
    let mail = mail(attributes);
    let same = |text: &str| text.eq_ignore_ascii_case(user_name) || mail.is_some_and(|m| m.eq_ignore_ascii_case(text));
    context
        .roster
        .everybody()
        .filter(|person| except != Some(&person.id))
        .filter(|person| same(person.id.as_str()) || person.mail.as_deref().is_some_and(same))
        .map(|person| person.id.clone())
        .collect()
}

fn refuse_namesakes(
    context: &Context<'_>,
    except: Option<&PersonId>,
    attributes: &Map<String, Value>,
) -> Result<(), Problem> {
    match namesakes(context, except, attributes).is_empty() {
        true => Ok(()),
        false => Err(Problem::taken("somebody else on the roster has this user name or mail address")),
    }
}

/// The one operator-made entry that goes by the same name, if the configuration lets providers take entries over.
fn adoptable(context: &Context<'_>, attributes: &Map<String, Value>) -> Result<Option<PersonId>, Problem> {
    let namesakes = namesakes(context, None, attributes);
    let [one] = &namesakes[..] else {
        return match namesakes.is_empty() {
            true => Ok(None),
            false => Err(Problem::taken("several people on the roster have this user name or mail address")),
        };
    };
    if context.resources.of_person(one).is_some() {
        return Err(Problem::taken("another user has this user name or mail address"));
    }
    if !context.settings.adopt {
        let detail = "an operator put somebody with this user name or mail address on the roster; \
                      `identity.scim.adopt` would let you take the entry over";
        return Err(Problem::taken(detail));
    }
    Ok(Some(one.clone()))
}

/// A free id for a new person: the user name's part before `@`, with what an id can't hold replaced.
fn person_id(context: &Context<'_>, user_name: &str) -> Result<PersonId, Problem> {
    let local = user_name.split('@').next().unwrap_or_default().to_lowercase();
    let mut base: String =
        local.chars().map(|c| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    // Room for a number, within the 64 bytes of an id.
    while base.len() > 56 {
        base.pop();
    }
    if base.trim_matches(['-', '.']).is_empty() {
        base = "person".to_owned();
    }
    (1u32..10_000)
        .map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") })
        .filter_map(|id| PersonId::new(id).ok())
        .find(|id| context.roster.get(id).is_none())
        .ok_or_else(|| Problem::taken("there are too many people of this name"))
}

pub(super) fn show(context: &Context<'_>, user: &User) -> Map<String, Value> {
    let groups = context.resources.groups_of(&user.id);
    render::user(user, groups.into_iter().map(AsRef::as_ref), context.request.origin)
}
