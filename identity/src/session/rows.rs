//! Sessions in the state database.

use std::collections::HashMap;
use std::sync::Arc;

use store::{Row, Transaction};
use vocabulary::{DeviceId, PersonId, SessionId, Timestamp};

use super::{HostToken, Session};
use crate::IdentityError;
use crate::secret::Digest;

pub(super) fn load(tx: &mut Transaction<'_>) -> Result<Vec<Session>, IdentityError> {
    let mut tokens: HashMap<String, Vec<HostToken>> = HashMap::new();
    for row in tx.query("SELECT session, host, hash, made FROM session_token", &[])? {
        let hash = Digest::try_from(row.bytes(2)?).map_err(|e| IdentityError::row("a session's token", &e))?;
        let token = HostToken { host: row.text(1)?.to_owned(), hash, made: row.int(3)? };
        tokens.entry(row.text(0)?.to_owned()).or_default().push(token);
    }
    tx.query("SELECT id, person, factors, device, source, started, active FROM session", &[])?
        .iter()
        .map(|row| read(row, tokens.remove(row.text(0)?).unwrap_or_default()))
        .collect()
}

const WHAT: &str = "a session";

fn read(row: &Row, tokens: Vec<HostToken>) -> Result<Session, IdentityError> {
    let active = row.int(6)?;
    Ok(Session {
        id: SessionId::new(row.text(0)?).map_err(|e| IdentityError::row(WHAT, &e))?,
        person: PersonId::new(row.text(1)?).map_err(|e| IdentityError::row(WHAT, &e))?,
        factors: row.int(2)?.try_into().map_err(|e| IdentityError::row(WHAT, &e))?,
        device: row.opt_text(3)?.map(DeviceId::new).transpose().map_err(|e| IdentityError::row(WHAT, &e))?,
        source: row.text(4)?.parse().map_err(|e| IdentityError::row(WHAT, &e))?,
        started: Timestamp(row.int(5)?),
        active: active.into(),
        saved: active.into(),
        ended: false.into(),
        targets: Default::default(),
        next_target: 0.into(),
        tokens: tokens.into(),
    })
}

pub(super) fn insert(tx: &mut Transaction<'_>, session: &Session) -> Result<(), IdentityError> {
    tx.execute(
        "INSERT INTO session (id, person, factors, device, source, started, active)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            session.id.as_str().into(),
            session.person.as_str().into(),
            i64::from(session.factors).into(),
            session.device.as_ref().map(DeviceId::as_str).into(),
            session.source.to_string().into(),
            session.started.0.into(),
            session.last_active().0.into(),
        ],
    )?;
    for token in session.with_tokens(|tokens| tokens.clone()) {
        insert_token(tx, &session.id, &token, None)?;
    }
    Ok(())
}

/// Fails if the session has been deleted meanwhile: the token's row refers to it.
pub(super) fn insert_token(
    tx: &mut Transaction<'_>,
    session: &SessionId,
    token: &HostToken,
    dropped: Option<&Digest>,
) -> Result<(), IdentityError> {
    tx.execute(
        "INSERT INTO session_token (hash, session, host, made) VALUES ($1, $2, $3, $4)",
        &[(&token.hash[..]).into(), session.as_str().into(), token.host.as_str().into(), token.made.into()],
    )?;
    if let Some(dropped) = dropped {
        tx.execute("DELETE FROM session_token WHERE hash = $1", &[(&dropped[..]).into()])?;
    }
    Ok(())
}

pub(super) fn save_activity(tx: &mut Transaction<'_>, moved: &[(i64, Arc<Session>)]) -> Result<(), IdentityError> {
    for (active, session) in moved {
        tx.execute("UPDATE session SET active = $2 WHERE id = $1", &[session.id.as_str().into(), (*active).into()])?;
    }
    Ok(())
}

pub(super) fn delete<'a>(
    tx: &mut Transaction<'_>,
    ids: impl Iterator<Item = &'a SessionId>,
) -> Result<(), IdentityError> {
    for id in ids {
        tx.execute("DELETE FROM session WHERE id = $1", &[id.as_str().into()])?;
    }
    Ok(())
}
