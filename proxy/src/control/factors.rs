//! Second factors, in the operator's hands.

use std::sync::Arc;

use identity::EndCause;
use serde_json::{Map, Value, json};
use vocabulary::PersonId;

use super::Actor;
use super::execute::{Refused, change, given_or_made, known, record_ends, say_no};
use crate::core::Core;

/// What somebody signs in with. Nothing secret: names, dates and counts.
pub(super) fn list(core: &Core, person: &PersonId) -> Result<Value, Refused> {
    known(core, person)?;
    let directory = core.identity.directory();
    let factors = directory.factors(person);
    let passkeys: Vec<_> = directory
        .passkeys(person)
        .into_iter()
        .map(|key| {
            let (added, used) = (core.zone.display(key.added), key.used.map(|used| core.zone.display(used)));
            json!({ "id": key.id, "name": key.name, "added": added, "used": used })
        })
        .collect();
    Ok(json!({
        "person": person, "password": factors.password, "password_long": factors.long,
        "password_due": factors.password_due, "totp": factors.totp, "totp_pending": factors.totp_pending,
        "passkeys": passkeys, "recovery_codes": factors.recovery_codes,
    }))
}

/// The phone is lost: every second factor goes, and every session ends. A password too short to stand alone is
/// replaced by one that has to be changed at the next sign-in.
pub(super) async fn reset(core: &Arc<Core>, actor: &Actor, person: &PersonId) -> Result<Value, Refused> {
    known(core, person)?;
    let directory = core.identity.directory();
    let factors = directory.factors(person);
    if !factors.password {
        return Err(Refused::No(format!("{person} has no password here, and so no second factor either")));
    }
    let details = Map::from_iter([
        ("totp".to_owned(), factors.totp.into()),
        ("passkeys".to_owned(), factors.passkeys.into()),
        ("recovery_codes".to_owned(), factors.recovery_codes.into()),
    ]);
    change(core, actor, "factors-reset", person.as_str(), details).await?;
    let password = match factors.long {
        true => None,
        false => {
            let (password, _) = given_or_made(None)?;
            change(core, actor, "password-set", person.as_str(), Map::new()).await?;
            directory.set_first_password(person, &password, core.now()).await.map_err(say_no)?;
            Some(password)
        }
    };
    directory.reset_factors(person).await.map_err(say_no)?;
    let ended = core.identity.sessions().end_person(person, EndCause::Credential).await?;
    record_ends(core, &ended).await?;
    Ok(json!({ "person": person, "password": password, "sessions_ended": ended.len() }))
}

/// Ten new codes in place of those there were.
pub(super) async fn recovery_codes(core: &Arc<Core>, actor: &Actor, person: &PersonId) -> Result<Value, Refused> {
    known(core, person)?;
    let directory = core.identity.directory();
    if !directory.factors(person).second() {
        return Err(say_no(identity::IdentityError::NoSecondFactor(person.clone())));
    }
    change(core, actor, "recovery-codes-made", person.as_str(), Map::new()).await?;
    let codes = directory.make_recovery_codes(person).await.map_err(say_no)?;
    let codes: Vec<&str> = codes.0.iter().map(|code| code.as_str()).collect();
    Ok(json!({ "person": person, "codes": codes }))
}
