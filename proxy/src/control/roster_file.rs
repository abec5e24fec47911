//! A roster file against the roster: what it would change, and changing it.

use std::sync::Arc;

use audit::{Change, Record};
use futures_util::future::try_join_all;
use identity::Person;
use identity::import::{Changed, Difference, FieldChange, Guard, Missing, Problem, Sheet};
use serde_json::{Map, Value, json};
use vocabulary::PersonId;

use super::execute::{change, record_ends, record_when_possible, say_no};
use super::{Actor, Import, Refused};
use crate::core::Core;

/// More problems than this are counted only: somebody chose the wrong file.
const PROBLEMS_TOLD: usize = 1_000;
/// Records under way at once. They share their way to the disk.
const RECORDS_AT_ONCE: usize = 256;

/// Checks, tells, and unless it is a dry run: records each change and the import as a whole, then changes all at once.
pub(super) async fn import(core: &Arc<Core>, actor: &Actor, import: Import) -> Result<Value, Refused> {
    let today = core.zone.local(core.now()).date;
    let working = core.clone();
    let (import, planned) = tokio::task::spawn_blocking(move || {
        let planned = plan(&working, &import, today);
        (import, planned)
    })
    .await?;
    let Plan { sheet, difference, file } = match planned {
        Ok(plan) => plan,
        Err(problems) => return Ok(told(&problems)),
    };
    let mut answer = shown(&difference, &sheet, &file);
    let name = sha256(answer.to_string().as_bytes());
    answer["difference"] = name.as_str().into();
    answer["applied"] = false.into();
    if import.dry_run {
        return Ok(answer);
    }
    if import.agreed.is_some_and(|agreed| agreed != name) {
        return Err(Refused::No("the roster was changed meanwhile; look at the difference again".to_owned()));
    }
    for guard in difference.guards() {
        object(&guard, import.force, import.reinstate)?;
    }

    let mut details = Map::from_iter([
        ("file".to_owned(), import.name.chars().take(200).collect::<String>().into()),
        ("retire_missing".to_owned(), import.retire_missing.into()),
    ]);
    for key in ["sha256", "bytes", "encoding", "rows"] {
        details.insert(key.to_owned(), answer["file"][key].clone());
    }
    for (key, count) in counts(&difference) {
        details.insert(key.to_owned(), count.into());
    }
    if let Err(refused) = record_and_apply(core, actor, details, difference, &file.sha256).await {
        // The import stands in the record, maybe with all of its changes, or gets there yet: a disk may be late. Say that
        // they did not happen.
        let details = Map::from_iter([("sha256".to_owned(), file.sha256.into())]);
        record_when_possible(core, actor, "staff-import-failed", "roster", details).await;
        return Err(refused);
    }
    let ended = core.identity.end_departed(today).await?;
    record_ends(core, &ended).await?;
    answer["applied"] = true.into();
    answer["sessions_ended"] = ended.len().into();
    Ok(answer)
}

async fn record_and_apply(
    core: &Arc<Core>,
    actor: &Actor,
    details: Map<String, Value>,
    difference: Difference,
    sha256: &str,
) -> Result<(), Refused> {
    change(core, actor, "staff-imported", "roster", details).await?;
    record_each(core, actor, &difference, sha256).await?;
    let identity = core.identity.clone();
    tokio::task::spawn_blocking(move || identity.import(&difference)).await?.map_err(say_no)
}

struct Plan {
    sheet: Sheet,
    difference: Difference,
    file: FileFacts,
}

struct FileFacts {
    sha256: String,
    bytes: usize,
}

fn plan(core: &Core, import: &Import, today: vocabulary::Date) -> Result<Plan, Vec<Problem>> {
    let sheet = identity::import::read(&import.file, import.encoding)?;
    let missing = if import.retire_missing { Missing::Retire } else { Missing::Stay };
    let managed = core.identity.scim().managed();
    let difference = Difference::between(&core.identity.roster(), &sheet, &managed, missing, today)?;
    let file = FileFacts { sha256: sha256(&import.file), bytes: import.file.len() };
    Ok(Plan { sheet, difference, file })
}

fn told(problems: &[Problem]) -> Value {
    json!({
        "problems": problems.iter().take(PROBLEMS_TOLD).collect::<Vec<_>>(),
        "problems_in_all": problems.len(),
        "applied": false,
    })
}

fn object(guard: &Guard, force: bool, reinstate: bool) -> Result<(), Refused> {
    match guard {
        Guard::MostWouldLeave { leaving, of } if !force => Err(Refused::No(format!(
            "{leaving} of the {of} people who have not left would leave: more than half. Is it the right file? \
             Say --force if it is meant so"
        ))),
        Guard::WouldStay { back, longer } if !reinstate => {
            let told = [(back, "who left would come back"), (longer, "would stay longer than was set")];
            let told: Vec<_> =
                told.into_iter().filter(|(people, _)| !people.is_empty()).map(|(p, what)| some_of(p, what)).collect();
            Err(Refused::No(format!("{}. Write their last day into the file, or say --reinstate", told.join(", and "))))
        }
        _ => Ok(()),
    }
}

/// `3 people who left would come back (a, b, c)`
fn some_of(people: &[PersonId], what: &str) -> String {
    let some: Vec<_> = people.iter().take(10).map(|id| id.as_str()).collect();
    format!(
        "{} {what} ({}{})",
        if people.len() == 1 { "somebody".to_owned() } else { format!("{} people", people.len()) },
        some.join(", "),
        if people.len() > some.len() { ", …" } else { "" }
    )
}

fn counts(difference: &Difference) -> [(&'static str, usize); 5] {
    [
        ("added", difference.added.len()),
        ("changed", difference.changed.len()),
        ("retired", difference.retired.len()),
        ("unchanged", difference.unchanged),
        ("missing", difference.missing.len()),
    ]
}

/// One record for each change, each on disk when this returns.
async fn record_each(core: &Core, actor: &Actor, difference: &Difference, sha256: &str) -> Result<(), Refused> {
    let mut records = Vec::new();
    for person in &difference.added {
        records.push(record(actor, "staff-added", &person.id, details_of_new(person), sha256));
    }
    for (what, list) in [("staff-changed", &difference.changed), ("staff-retired", &difference.retired)] {
        for changed in list {
            records.push(record(actor, what, &changed.after.id, details(changed), sha256));
        }
    }
    let now = core.now();
    for some in records.chunks(RECORDS_AT_ONCE) {
        let mut under_way = Vec::with_capacity(some.len());
        for record in some {
            under_way.push(core.journal.append(now, record));
        }
        try_join_all(under_way).await?;
    }
    Ok(())
}

/// What the record of a changed entry says: the fields that give or take rights with their values, the others by name
/// only.
pub(super) fn details(changed: &Changed) -> Map<String, Value> {
    let (mut names, mut old, mut new) = (Vec::new(), Map::new(), Map::new());
    for field in changed.fields() {
        if bears_on_rights(&field) {
            old.insert(field.field.to_owned(), field.old.into());
            new.insert(field.field.to_owned(), field.new.into());
        }
        names.push(field.field);
    }
    Map::from_iter([
        ("person".to_owned(), changed.after.id.as_str().into()),
        ("fields".to_owned(), json!(names)),
        ("old".to_owned(), old.into()),
        ("new".to_owned(), new.into()),
    ])
}

/// As [`details`], of an entry that was not there before.
pub(super) fn details_of_new(person: &Person) -> Map<String, Value> {
    let mut details = details(&Changed { before: nobody(person), after: person.clone() });
    details.remove("old");
    details
}

fn bears_on_rights(field: &FieldChange) -> bool {
    matches!(field.field, "mail" | "groups" | "first_day" | "last_day")
}

fn record(actor: &Actor, what: &str, person: &PersonId, mut details: Map<String, Value>, sha256: &str) -> Record {
    details.insert("import".to_owned(), sha256.into());
    Record::Change(Change {
        by: actor.who.clone(),
        channel: actor.channel.to_owned(),
        what: what.to_owned(),
        subject: person.to_string(),
        details,
        more: Map::new(),
    })
}

fn nobody(person: &Person) -> Arc<Person> {
    Arc::new(Person::new(person.id.clone(), ""))
}

fn shown(difference: &Difference, sheet: &Sheet, file: &FileFacts) -> Value {
    let short = |person: &Person| {
        let mut row = json!({ "id": person.id, "name": person.name });
        if let Some(provider) = difference.managed.get(&person.id) {
            row["provider"] = json!(provider);
        }
        row
    };
    let changed = |changed: &Changed| {
        let mut row = short(&changed.after);
        row["fields"] = json!(changed.fields());
        row
    };
    let added = |person: &Person| {
        let fields = Changed { before: nobody(person), after: person.clone() }.fields();
        let mut row = json!(person);
        // The name stands beside the id already.
        row["fields"] = json!(fields.into_iter().filter(|field| field.field != "name").collect::<Vec<_>>());
        row
    };
    let staying = difference.guards().into_iter().find_map(|guard| match guard {
        Guard::WouldStay { back, longer } => Some((back, longer)),
        Guard::MostWouldLeave { .. } => None,
    });
    let (returning, staying_longer) = staying.unwrap_or_default();
    json!({
        "file": {
            "sha256": file.sha256, "bytes": file.bytes, "encoding": sheet.encoding, "rows": sheet.rows.len(),
            "unused_columns": sheet.unused,
        },
        "added": difference.added.iter().map(added).collect::<Vec<_>>(),
        "changed": difference.changed.iter().map(changed).collect::<Vec<_>>(),
        "retired": difference.retired.iter().map(changed).collect::<Vec<_>>(),
        "missing": difference.missing.iter().map(|person| short(person)).collect::<Vec<_>>(),
        "unchanged": difference.unchanged,
        "left": difference.left,
        "returning": returning,
        "staying_longer": staying_longer,
        "lost_zeros": difference.lost_zeros(),
    })
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
