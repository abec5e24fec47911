//! Tokens for identity providers, and taking a person out of a provider's hands.

use std::sync::Arc;

use identity::scim::{NewToken, ScimToken, Scopes};
use serde_json::{Map, Value, json};
use vocabulary::PersonId;

use super::execute::{Refused, blocking, change, record_when_possible, say_no};
use super::{Actor, NewScimToken};
use crate::core::Core;

/// A token that nobody renews should not outlive who made it by much.
const LONGEST_DAYS: u64 = 3 * 366;

pub(super) async fn token_add(core: &Arc<Core>, actor: &Actor, new: NewScimToken) -> Result<Value, Refused> {
    let no = |why: &str| Err(Refused::No(why.to_owned()));
    let is_line = |text: &str| !text.trim().is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
    if !is_line(&new.name) {
        return no("the token's name is not 1 to 200 bytes on one line");
    }
    if !is_line(&new.provider) || new.provider.contains(char::is_whitespace) {
        return no("the provider is not a name without spaces, such as `entra`");
    }
    if new.scopes == Scopes::NONE {
        return no("a token without a scope is good for nothing; add one with --scope");
    }
    let seconds = new.expires.0.as_secs();
    if seconds == 0 || seconds > LONGEST_DAYS * 86_400 {
        return no("a token is good for some time, at most three years");
    }
    let now = core.now();
    let expires = now.plus_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let made = NewToken::make(new.name, new.provider, new.scopes, expires, now)?;
    let token = made.token.clone();
    let details = Map::from_iter([
        ("name".to_owned(), token.name.as_str().into()),
        ("provider".to_owned(), token.provider.as_str().into()),
        ("scopes".to_owned(), token.scopes.to_string().into()),
        ("expires".to_owned(), token.expires.to_string().into()),
    ]);
    change(core, actor, "scim-token-added", &token.id, details).await?;
    let (tokens, secret) = (core.identity.scim().tokens().clone(), made.danger_expose());
    blocking(move || tokens.insert(&made)).await?;
    Ok(json!({ "id": token.id, "token": secret, "expires": core.zone.display(token.expires) }))
}

pub(super) fn token_list(core: &Core) -> Value {
    let now = core.now();
    core.identity.scim().tokens().list().iter().map(|token| row(core, token, now)).collect()
}

fn row(core: &Core, token: &ScimToken, now: vocabulary::Timestamp) -> Value {
    let seen = token.summary();
    let live = core.identity.scim().tokens().is_live(token, now);
    json!({
        "id": seen.id, "name": seen.name, "provider": seen.provider, "scopes": seen.scopes,
        "status": if live { "active" } else { "expired" },
        "created": core.zone.display(seen.created), "expires": core.zone.display(seen.expires),
        "last_used": seen.last_used.map(|at| core.zone.display(at)), "last_used_from": seen.last_used_from,
    })
}

pub(super) async fn token_revoke(core: &Arc<Core>, actor: &Actor, id: &str) -> Result<Value, Refused> {
    let tokens = core.identity.scim().tokens().clone();
    let Some(token) = tokens.get(id) else {
        return Err(Refused::No(format!("there is no token {id}; see `sekisho scim token list`")));
    };
    let details = Map::from_iter([("name".to_owned(), token.name.as_str().into())]);
    change(core, actor, "scim-token-revoked", &token.id, details).await?;
    let id = token.id.clone();
    blocking(move || tokens.revoke(&id)).await?;
    Ok(json!({ "id": token.id }))
}

pub(super) async fn release(core: &Arc<Core>, actor: &Actor, person: &PersonId) -> Result<Value, Refused> {
    let scim = core.identity.scim();
    let writing = scim.writing().await;
    let Some(planned) = scim.release(person, &writing) else {
        return Err(Refused::No(format!("no identity provider has {person} in its hands")));
    };
    for record in planned.records() {
        change(core, actor, record.what, &record.subject, record.details.clone()).await?;
    }
    let identity = core.identity.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || identity.carry_out_scim(planned, &writing)).await? {
        let details = Map::from_iter([("what".to_owned(), "scim-released".into())]);
        record_when_possible(core, actor, "scim-change-failed", person.as_str(), details).await;
        return Err(say_no(error));
    }
    let locked = core.identity.roster().get(person).is_some_and(|entry| entry.locked);
    Ok(json!({ "person": person, "locked": locked }))
}
