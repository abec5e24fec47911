//! Carrying a command out: check, record durably, then do. What can't be recorded is not done.

use std::sync::Arc;

use audit::{Change, ClockAccepted, Reading, Record, SignOut};
use identity::{EndCause, Ended, IdentityError, Person};
use serde_json::{Map, Value, json};
use vocabulary::{Date, PersonId};

use super::{Actor, Command, NewPerson, devices, factors, links, roster, roster_file};
use crate::core::Core;

/// Why a command was not carried out.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The answer is no: no such person, a weak password, …
    No(String),
    /// It could not be done.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Waits for the disk and for hashing; run it where nobody is kept waiting.
pub(crate) async fn execute(core: &Arc<Core>, actor: &Actor, command: Command) -> Result<Value, Refused> {
    let now = core.now();
    let (sessions, directory) = (core.identity.sessions(), core.identity.directory());
    match command {
        Command::StaffAdd(person) => staff_add(core, actor, person).await,
        Command::StaffList => Ok(staff_list(core)),
        Command::StaffExport => Ok(roster::export(core)),
        Command::StaffShow { person } => roster::show(core, &person),
        Command::StaffImport(import) => roster_file::import(core, actor, import).await,
        Command::StaffRetire { person, last_day, at_once } => {
            roster::retire(core, actor, person, day(last_day.as_deref())?, at_once).await
        }
        Command::StaffLock { person, cause } => {
            known(core, &person)?;
            if cause.as_ref().is_some_and(|cause| cause.len() > 200) {
                return Err(Refused::No("the cause is longer than 200 bytes".to_owned()));
            }
            let details = cause.map(|cause| ("cause".to_owned(), cause.into()));
            change(core, actor, "staff-locked", person.as_str(), details.into_iter().collect()).await?;
            let (identity, id) = (core.identity.clone(), person.clone());
            blocking(move || identity.lock(&id)).await?;
            let ended = sessions.end_person(&person, EndCause::Person).await?;
            record_ends(core, &ended).await?;
            Ok(json!({ "person": person, "sessions_ended": ended.len() }))
        }
        Command::StaffUnlock { person } => {
            known(core, &person)?;
            change(core, actor, "staff-unlocked", person.as_str(), Map::new()).await?;
            let (identity, id) = (core.identity.clone(), person.clone());
            let entry = blocking(move || identity.unlock(&id)).await?;
            let why = roster::standing_in_words(core, &entry);
            Ok(json!({ "person": person, "deactivated": entry.deactivated, "why": why }))
        }
        Command::StaffPassword { person, password } => {
            known(core, &person)?;
            let (password, made) = given_or_made(password)?;
            if let Some(entry) = core.identity.roster().get(&person) {
                directory.check_password(entry, &password).map_err(say_no)?;
            }
            change(core, actor, "password-set", person.as_str(), Map::new()).await?;
            match made {
                // Whoever said the command has read it: the person has to choose another one.
                true => directory.set_first_password(&person, &password, now).await.map_err(say_no)?,
                false => directory.set_password(&person, &password, now).await.map_err(say_no)?,
            }
            let ended = sessions.end_person(&person, EndCause::Credential).await?;
            record_ends(core, &ended).await?;
            Ok(json!({ "person": person, "password": made.then_some(password), "sessions_ended": ended.len() }))
        }
        Command::StaffTotp { person } => {
            known(core, &person)?;
            if !directory.factors(&person).password {
                return Err(say_no(IdentityError::NoPassword(person)));
            }
            change(core, actor, "totp-enrolment-begun", person.as_str(), Map::new()).await?;
            let enrolment = directory.totp_enrol(&person).await.map_err(say_no)?;
            Ok(json!({ "person": person, "url": enrolment.url.as_str() }))
        }
        Command::StaffTotpConfirm { person, code } => {
            known(core, &person)?;
            change(core, actor, "totp-confirmation-tried", person.as_str(), Map::new()).await?;
            directory.totp_confirm(&person, &code, now).await.map_err(say_no)?;
            Ok(json!({ "person": person }))
        }
        Command::StaffLinks { person } => Ok(links::list(core, person.as_ref())),
        Command::StaffLink { person, issuer, subject } => links::link(core, actor, person, issuer, subject).await,
        Command::StaffUnlink { person, issuer } => links::unlink(core, actor, person, issuer).await,
        Command::StaffFactors { person } => factors::list(core, &person),
        Command::StaffResetFactors { person } => factors::reset(core, actor, &person).await,
        Command::StaffRecoveryCodes { person } => factors::recovery_codes(core, actor, &person).await,
        Command::SessionList { person } => Ok(session_list(core, person.as_ref())),
        Command::SessionEnd { session } => {
            let Some(live) = sessions.get(&session) else {
                return Err(Refused::No(format!("there is no session {session}; see `sekisho session list`")));
            };
            change(core, actor, "session-ended", session.as_str(), of_person(live.person())).await?;
            let ended: Vec<_> = sessions.end(&session, EndCause::Administrator).await?.into_iter().collect();
            record_ends(core, &ended).await?;
            Ok(json!({ "sessions_ended": ended.len() }))
        }
        Command::SessionEndPerson { person } => {
            change(core, actor, "sessions-ended", person.as_str(), of_person(&person)).await?;
            let ended = sessions.end_person(&person, EndCause::Administrator).await?;
            record_ends(core, &ended).await?;
            Ok(json!({ "sessions_ended": ended.len() }))
        }
        Command::DeviceIssue(new) => devices::issue(core, actor, new).await,
        Command::DeviceRenew { device, csr } => devices::renew(core, actor, &device, &csr).await,
        Command::DeviceList => Ok(devices::list(core)),
        Command::DeviceRevoke { device, cause } => devices::revoke(core, actor, &device, cause).await,
        Command::DeviceInvite(new) => devices::invite(core, actor, new).await,
        Command::DeviceInvitations => Ok(devices::invitations(core)),
        Command::DeviceWithdraw { invitation } => devices::withdraw(core, actor, &invitation).await,
        Command::DeviceApprove { code } => devices::approve(core, actor, &code).await,
        Command::DeviceDecline { code } => devices::decline(core, actor, &code).await,
        Command::ScimTokenAdd(new) => super::scim::token_add(core, actor, new).await,
        Command::ScimTokenList => Ok(super::scim::token_list(core)),
        Command::ScimTokenRevoke { token } => super::scim::token_revoke(core, actor, &token).await,
        Command::ScimRelease { person } => super::scim::release(core, actor, &person).await,
        Command::ClockAccept => {
            let newest = core.journal.newest();
            let accepted = ClockAccepted { by: actor.who.clone(), newest, more: Map::new() };
            core.journal.append(now, &Record::ClockAccepted(accepted)).await?;
            core.accept_clock();
            Ok(json!({ "newest": newest.to_string() }))
        }
        Command::AuditReading { what, filter } => {
            let record = reading(actor, what, filter);
            core.journal.append(now, &record).await?;
            Ok(json!({}))
        }
        Command::Reload | Command::AuditIndex { .. } | Command::AuditSealing | Command::CheckpointSend => {
            Err(Refused::No("no gate is running that could do that".to_owned()))
        }
    }
}

/// An error of the person who said the command, told in the words of the crate that found it.
pub(super) fn say_no(error: IdentityError) -> Refused {
    match error {
        IdentityError::Store(_) => Refused::Failed(error.into()),
        other => Refused::No(other.to_string()),
    }
}

pub(super) async fn blocking<T: Send + 'static, E: Into<anyhow::Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Refused> {
    Ok(tokio::task::spawn_blocking(work).await?.map_err(Into::into)?)
}

pub(super) fn known(core: &Core, person: &PersonId) -> Result<(), Refused> {
    match core.identity.roster().get(person) {
        Some(_) => Ok(()),
        None => Err(Refused::No(format!("{person} is not on the roster; see `sekisho staff list`"))),
    }
}

pub(super) fn of_person(person: &PersonId) -> Map<String, Value> {
    Map::from_iter([("person".to_owned(), person.as_str().into())])
}

pub(crate) async fn change(
    core: &Core,
    actor: &Actor,
    what: &str,
    subject: &str,
    details: Map<String, Value>,
) -> Result<(), Refused> {
    let change = Change {
        by: actor.who.clone(),
        channel: actor.channel.to_owned(),
        what: what.to_owned(),
        subject: subject.to_owned(),
        details,
        more: Map::new(),
    };
    core.journal.append(core.now(), &Record::Change(change)).await?;
    Ok(())
}

/// Somebody looks at records.
pub(crate) fn reading(actor: &Actor, what: String, filter: Map<String, Value>) -> Record {
    let (by, channel) = (actor.who.clone(), actor.channel.to_owned());
    Record::Reading(Reading { by, channel, what, filter, rows: None, more: Map::new() })
}

/// A change that tells that one before it did not happen. The disk may have been why, so this goes on trying, after it
/// has returned, until the journal takes it or is closed.
pub(crate) async fn record_when_possible(
    core: &Arc<Core>,
    actor: &Actor,
    what: &'static str,
    subject: &str,
    details: Map<String, Value>,
) {
    let Err(_) = change(core, actor, what, subject, details.clone()).await else { return };
    tracing::error!(what, "a change stands in the record that did not happen; that it did not follows once it can");
    let (core, actor, subject) = (core.clone(), actor.clone(), subject.to_owned());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            match change(&core, &actor, what, &subject, details.clone()).await {
                Err(Refused::Failed(error)) if !is_closed(&error) => {}
                _ => return,
            }
        }
    });
}

fn is_closed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(audit::Unavailable::Closed))
}

/// The sessions that a recorded change has ended, one record each. The change itself stands before them.
pub(crate) async fn record_ends(core: &Core, ended: &[Ended]) -> Result<(), Refused> {
    for end in ended {
        core.journal.append(core.now(), &Record::SignOut(sign_out(end))).await?;
    }
    Ok(())
}

/// A session's end as a record.
pub(crate) fn sign_out(end: &Ended) -> SignOut {
    SignOut {
        person: end.person.clone(),
        session: end.id.clone(),
        cause: end.cause.as_str().to_owned(),
        source: None,
        more: Map::new(),
    }
}

pub(super) fn given_or_made(password: Option<String>) -> Result<(String, bool), Refused> {
    match password {
        Some(password) => Ok((password, false)),
        None => Ok((cert_authority::Passphrase::random()?.danger_expose().to_owned(), true)),
    }
}

async fn staff_add(core: &Arc<Core>, actor: &Actor, new: NewPerson) -> Result<Value, Refused> {
    let person = Person {
        kana: new.kana,
        mail: new.mail,
        facility: new.facility,
        groups: new.groups,
        first_day: day(new.first_day.as_deref())?,
        last_day: day(new.last_day.as_deref())?,
        ..Person::new(new.id.clone(), new.name)
    };
    if core.identity.roster().get(&person.id).is_some() {
        return Err(Refused::No(format!("{} is on the roster already", person.id)));
    }
    person.check().map_err(say_no)?;
    let (password, made) = given_or_made(new.password)?;
    core.identity.directory().check_password(&person, &password).map_err(say_no)?;
    let details = roster_file::details_of_new(&person);
    change(core, actor, "staff-added", person.id.as_str(), details).await?;
    let (identity, entry) = (core.identity.clone(), person.clone());
    tokio::task::spawn_blocking(move || identity.add(entry)).await?.map_err(say_no)?;
    let directory = core.identity.directory();
    match made {
        true => directory.set_first_password(&person.id, &password, core.now()).await.map_err(say_no)?,
        false => directory.set_password(&person.id, &password, core.now()).await.map_err(say_no)?,
    }
    Ok(json!({ "person": person, "password": made.then_some(password) }))
}

fn day(text: Option<&str>) -> Result<Option<Date>, Refused> {
    text.map(|t| t.parse().map_err(|_| Refused::No(format!("`{t}` is not a day; write 2026-04-01")))).transpose()
}

fn staff_list(core: &Core) -> Value {
    let today = core.zone.local(core.now()).date;
    core.identity
        .roster()
        .people()
        .iter()
        .map(|person| {
            let mut row = json!(&**person);
            row["standing"] = json!(person.standing(today));
            row
        })
        .collect()
}

pub(super) fn session_list(core: &Core, person: Option<&PersonId>) -> Value {
    let now = core.now();
    let sessions = core.identity.sessions();
    sessions
        .list()
        .iter()
        .filter(|s| sessions.is_live(s, now) && person.is_none_or(|p| s.person() == p))
        .map(|session| {
            let mut row = json!(session.summary());
            row["started"] = core.zone.display(session.started()).into();
            row["last_active"] = core.zone.display(session.last_active()).into();
            row
        })
        .collect()
}
