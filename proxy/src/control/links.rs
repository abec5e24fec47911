//! Accounts of identity providers and the people they belong to.

use std::sync::Arc;

use identity::{EndCause, Link, LogoutScope};
use serde_json::{Map, Value, json};
use vocabulary::PersonId;

use super::Actor;
use super::execute::{Refused, change, known, record_ends, say_no};
use crate::core::Core;

pub(super) fn list(core: &Core, person: Option<&PersonId>) -> Value {
    let links = core.identity.links().list(person);
    let row = |link: &Link| {
        json!({
            "person": link.person, "issuer": link.issuer, "account": link.subject,
            "made": core.zone.display(link.made),
        })
    };
    links.iter().map(row).collect()
}

pub(super) async fn link(
    core: &Arc<Core>,
    actor: &Actor,
    person: PersonId,
    issuer: String,
    subject: String,
) -> Result<Value, Refused> {
    known(core, &person)?;
    let links = core.identity.links();
    if let Some(owner) = links.person(&issuer, &subject).filter(|owner| *owner != person) {
        return Err(Refused::No(format!("that account is linked to {owner}; see `sekisho staff unlink`")));
    }
    change(core, actor, "account-linked", person.as_str(), details(&issuer, &subject)).await?;
    let link = Link { issuer, subject, person: person.clone(), made: core.now() };
    links.make(link).await.map_err(say_no)?;
    Ok(json!({ "person": person }))
}

/// Takes links away and ends the sessions that stand on them.
pub(super) async fn unlink(
    core: &Arc<Core>,
    actor: &Actor,
    person: PersonId,
    issuer: Option<String>,
) -> Result<Value, Refused> {
    let links = core.identity.links().clone();
    let meant: Vec<Link> =
        links.list(Some(&person)).into_iter().filter(|l| issuer.as_ref().is_none_or(|i| l.issuer == *i)).collect();
    if meant.is_empty() {
        return Err(Refused::No(format!("{person} has no such link; see `sekisho staff links`")));
    }
    for link in &meant {
        change(core, actor, "account-unlinked", person.as_str(), details(&link.issuer, &link.subject)).await?;
    }
    let (unlinking, whose) = (links, person.clone());
    let gone =
        tokio::task::spawn_blocking(move || unlinking.unlink(&whose, issuer.as_deref())).await?.map_err(say_no)?;
    let sessions = core.identity.sessions();
    let mut ended = Vec::new();
    for link in gone {
        let scope = LogoutScope { issuer: link.issuer, sid: None, subject: Some(link.subject), token: None };
        for session in sessions.of_account(&scope) {
            ended.extend(sessions.end(session.id(), EndCause::Credential).await?);
        }
    }
    record_ends(core, &ended).await?;
    Ok(json!({ "person": person, "unlinked": meant.len(), "sessions_ended": ended.len() }))
}

fn details(issuer: &str, subject: &str) -> Map<String, Value> {
    Map::from_iter([("issuer".to_owned(), issuer.into()), ("account".to_owned(), subject.into())])
}
