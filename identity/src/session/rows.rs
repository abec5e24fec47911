//! Sessions in the state database.

use std::collections::HashMap;
use std::sync::Arc;

use store::{Row, Transaction};
use vocabulary::{DeviceId, GroupName, PersonId, SessionId, Timestamp};

use super::{HostToken, Session, SessionAccount};
use crate::IdentityError;
use crate::secret::Digest;

pub(super) fn load(tx: &mut Transaction<'_>) -> Result<Vec<Session>, IdentityError> {
    let mut tokens: HashMap<String, Vec<HostToken>> = HashMap::new();
    for row in tx.query("SELECT session, host, hash, made FROM session_token", &[])? {
        let hash = Digest::try_from(row.bytes(2)?).map_err(|e| IdentityError::row("a session's token", &e))?;
        let token = HostToken { host: row.text(1)?.to_owned(), hash, made: row.int(3)? };
        tokens.entry(row.text(0)?.to_owned()).or_default().push(token);
    }
    let mut accounts = HashMap::new();
    let columns = "session, provider, issuer, subject, sid, groups, signed_in";
    for row in tx.query(&format!("SELECT {columns} FROM session_account"), &[])? {
        accounts.insert(row.text(0)?.to_owned(), account(&row)?);
    }
    tx.query("SELECT id, person, factors, device, source, started, active FROM session", &[])?
        .iter()
        .map(|row| {
            let id = row.text(0)?;
            read(row, tokens.remove(id).unwrap_or_default(), accounts.remove(id))
        })
        .collect()
}

const WHAT: &str = "a session";

fn account(row: &Row) -> Result<SessionAccount, IdentityError> {
    let groups = row.text(5)?.lines().map(GroupName::new).collect::<Result<_, _>>();
    Ok(SessionAccount {
        provider: row.text(1)?.to_owned(),
        issuer: row.text(2)?.to_owned(),
        subject: row.text(3)?.to_owned(),
        sid: row.opt_text(4)?.map(str::to_owned),
        groups: groups.map_err(|e| IdentityError::row(WHAT, &e))?,
        signed_in: row.opt_int(6)?.map(Timestamp),
    })
}

fn read(row: &Row, tokens: Vec<HostToken>, account: Option<SessionAccount>) -> Result<Session, IdentityError> {
    let active = row.int(6)?;
    Ok(Session {
        id: SessionId::new(row.text(0)?).map_err(|e| IdentityError::row(WHAT, &e))?,
        person: PersonId::new(row.text(1)?).map_err(|e| IdentityError::row(WHAT, &e))?,
        factors: row.int(2)?.try_into().map_err(|e| IdentityError::row(WHAT, &e))?,
        device: row.opt_text(3)?.map(DeviceId::new).transpose().map_err(|e| IdentityError::row(WHAT, &e))?,
        source: row.text(4)?.parse().map_err(|e| IdentityError::row(WHAT, &e))?,
        started: Timestamp(row.int(5)?),
        confirmed: if account.is_none() { row.int(5)? } else { 0 }.into(),
        second: false.into(),
        account,
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
    if let Some(account) = &session.account {
        insert_account(tx, &session.id, account)?;
    }
    Ok(())
}

fn insert_account(
    tx: &mut Transaction<'_>,
    session: &SessionId,
    account: &SessionAccount,
) -> Result<(), IdentityError> {
    let groups = account.groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join("\n");
    tx.execute(
        "INSERT INTO session_account (session, provider, issuer, subject, sid, groups, signed_in)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            session.as_str().into(),
            account.provider.as_str().into(),
            account.issuer.as_str().into(),
            account.subject.as_str().into(),
            account.sid.as_deref().into(),
            groups.into(),
            account.signed_in.map(|at| at.0).into(),
        ],
    )?;
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
