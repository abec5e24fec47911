//! People of the roster, one at a time: shown, and taken off duty.

use std::sync::Arc;

use identity::import::Changed;
use identity::{EndCause, Person, Standing};
use serde_json::{Value, json};
use vocabulary::{Date, PersonId};

use super::devices::row as device_row;
use super::execute::{change, record_ends, say_no, session_list};
use super::{Actor, Refused, factors, links, roster_file};
use crate::core::Core;
use crate::enrol;

/// The roster as a file, as `staff import` reads it.
pub(super) fn export(core: &Core) -> Value {
    let people = core.identity.roster().people();
    json!({ "csv": identity::import::write(people.iter().map(Arc::as_ref)) })
}

/// All that is known of one person, secrets apart.
pub(super) fn show(core: &Core, person: &PersonId) -> Result<Value, Refused> {
    let entry = entry(core, person)?;
    let today = core.zone.local(core.now()).date;
    let provider = core.identity.scim().kept_out_by(person);
    let devices: Value = core.inventory.of_owner(person).iter().map(|device| device_row(core, device)).collect();
    Ok(json!({
        "person": &*entry,
        "standing": entry.standing(today),
        "why": why(&entry, provider.as_deref(), today),
        "factors": factors::list(core, person)?,
        "links": links::list(core, Some(person)),
        "sessions": session_list(core, Some(person)),
        "devices": devices,
    }))
}

/// The same of an entry that was just changed, on today's date.
pub(super) fn standing_in_words(core: &Core, person: &Person) -> String {
    why(person, None, core.zone.local(core.now()).date)
}

/// The standing in words; `provider` is the one that keeps the person out, if one does.
fn why(person: &Person, provider: Option<&str>, today: Date) -> String {
    let day = |date: Option<Date>| date.map(|d| d.to_string()).unwrap_or_default();
    match person.standing(today) {
        Standing::Locked => {
            let id = &person.id;
            let lock = format!("locked; `sekisho staff unlock {id}` takes the lock away");
            let out = format!(
                "the identity provider {} keeps {id} out and has to let them in again; `sekisho scim release {id}` takes \
                 the person out of its hands",
                provider.unwrap_or_default()
            );
            match (person.locked, person.deactivated) {
                (true, true) => format!("{lock}. Besides, {out}"),
                (false, true) => out,
                _ => lock,
            }
        }
        Standing::Retired => format!("the last day was {}", day(person.last_day)),
        Standing::NotYet => format!("the first day is {}", day(person.first_day)),
        Standing::NotOnRoster => "not on the roster".to_owned(),
        Standing::Active => match person.last_day {
            Some(last) if last == today => "today is the last day".to_owned(),
            Some(last) => format!("may come in until {last}"),
            None => "may come in, with no last day in sight".to_owned(),
        },
    }
}

/// Gives somebody a last day: they may come in until midnight of it, in the facility's time zone. With `at_once`,
/// that day is yesterday, their devices are revoked and their invitations withdrawn. They stay on the roster, so that old records keep a name.
pub(super) async fn retire(
    core: &Arc<Core>,
    actor: &Actor,
    person: PersonId,
    last_day: Option<Date>,
    at_once: bool,
) -> Result<Value, Refused> {
    let entry = entry(core, &person)?;
    let today = core.zone.local(core.now()).date;
    let last = if at_once {
        let yesterday = today.yesterday()?;
        entry.last_day.map_or(yesterday, |known| known.min(yesterday))
    } else {
        last_day.unwrap_or(today)
    };
    if let (Some(known), false) = (entry.last_day, at_once)
        && known < today
    {
        return Err(Refused::No(format!(
            "{person} left on {known}; --now revokes their devices too, and who comes back needs \
             `sekisho staff import --reinstate`"
        )));
    }
    if let (Some(first), false) = (entry.first_day, at_once)
        && first > last
    {
        return Err(Refused::No(format!("{person} begins on {first}, after {last}; say --now if they never will")));
    }

    // Who was yet to begin loses the first day as well.
    let after = Changed { before: entry.clone(), after: entry.leaving_on(last) };
    let mut details = roster_file::details(&after);
    details.insert("at_once".to_owned(), at_once.into());
    change(core, actor, "staff-retired", person.as_str(), details).await?;
    let (identity, id) = (core.identity.clone(), person.clone());
    let after = tokio::task::spawn_blocking(move || identity.retire(&id, last)).await?.map_err(say_no)?;
    let ended = match after.standing(today) {
        Standing::Active => Vec::new(),
        _ => core.identity.sessions().end_person(&person, EndCause::Retired).await?,
    };
    record_ends(core, &ended).await?;
    let (revoked, withdrawn) = if at_once { enrol::shut_out_person(core, actor, &person).await? } else { (0, 0) };
    Ok(json!({
        "person": person, "last_day": after.last_day.map(|d| d.to_string()), "standing": after.standing(today),
        "sessions_ended": ended.len(), "devices_revoked": revoked, "invitations_withdrawn": withdrawn,
    }))
}

fn entry(core: &Core, person: &PersonId) -> Result<Arc<Person>, Refused> {
    let no = || Refused::No(format!("{person} is not on the roster; see `sekisho staff list`"));
    core.identity.roster().get(person).cloned().ok_or_else(no)
}
