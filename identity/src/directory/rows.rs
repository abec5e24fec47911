//! Credentials and known sources in the state database.

use store::{Row, Transaction, Value};
use vocabulary::{PersonId, Timestamp};

use super::totp::TotpSecret;
use crate::IdentityError;
use crate::source::Source;

/// What a person signs in with. No `Debug`: all of it is secret.
#[derive(Clone)]
pub(super) struct Credential {
    /// A PHC string of argon2id.
    pub(super) hash: String,
    /// 13 characters or more: stands without a second factor.
    pub(super) long: bool,
    /// Set by somebody else: to be changed at the next sign-in.
    pub(super) due: bool,
    pub(super) changed: Timestamp,
    pub(super) totp: Option<TotpSecret>,
    /// Made, but not yet confirmed.
    pub(super) pending: Option<TotpSecret>,
}

type Loaded = (Vec<(PersonId, Credential)>, Vec<((PersonId, Source), Timestamp)>);

pub(super) fn load(tx: &mut Transaction<'_>) -> Result<Loaded, IdentityError> {
    let credentials = tx
        .query("SELECT person, password, long, changed, totp, totp_pending, due FROM credential", &[])?
        .iter()
        .map(|row| {
            let credential = Credential {
                hash: row.text(1)?.to_owned(),
                long: row.int(2)? != 0,
                changed: Timestamp(row.int(3)?),
                totp: secret(row, 4)?,
                pending: secret(row, 5)?,
                due: row.int(6)? != 0,
            };
            Ok((person(row)?, credential))
        })
        .collect::<Result<_, IdentityError>>()?;
    let known = tx
        .query("SELECT person, source, seen FROM known_source", &[])?
        .iter()
        .map(|row| {
            let source = row.text(1)?.parse().map_err(|e| IdentityError::row("a source", &e))?;
            Ok(((person(row)?, Source(source)), Timestamp(row.int(2)?)))
        })
        .collect::<Result<_, IdentityError>>()?;
    Ok((credentials, known))
}

fn person(row: &Row) -> Result<PersonId, IdentityError> {
    PersonId::new(row.text(0)?).map_err(|e| IdentityError::row("a credential", &e))
}

fn secret(row: &Row, column: usize) -> Result<Option<TotpSecret>, IdentityError> {
    row.opt_bytes(column)?
        .map(|bytes| {
            TotpSecret::from_bytes(bytes).ok_or_else(|| IdentityError::row("a second factor", &"wrong length"))
        })
        .transpose()
}

/// With `step`, codes up to it count as used; without, what counts as used stays.
pub(super) fn save(
    tx: &mut Transaction<'_>,
    person: &PersonId,
    credential: &Credential,
    step: Option<i64>,
) -> Result<(), IdentityError> {
    let secret = |s: &Option<TotpSecret>| s.as_ref().map_or(Value::Null, |s| s.as_bytes().into());
    tx.execute(
        "INSERT INTO credential (person, password, long, changed, totp, totp_pending, totp_step, due)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7)
         ON CONFLICT (person) DO UPDATE
         SET password = $2, long = $3, changed = $4, totp = $5, totp_pending = $6, due = $7",
        &[
            person.as_str().into(),
            credential.hash.as_str().into(),
            credential.long.into(),
            credential.changed.0.into(),
            secret(&credential.totp),
            secret(&credential.pending),
            credential.due.into(),
        ],
    )?;
    if let Some(step) = step {
        // A new secret: steps of the old one say nothing about it.
        tx.execute("UPDATE credential SET totp_step = $2 WHERE person = $1", &[person.as_str().into(), step.into()])?;
    }
    Ok(())
}

/// Whether no code of this step or a later one had been accepted before (RFC 6238, 5.2: a code only once).
pub(super) fn accept_step(tx: &mut Transaction<'_>, person: &PersonId, step: i64) -> Result<bool, IdentityError> {
    let changed = tx.execute(
        "UPDATE credential SET totp_step = $2 WHERE person = $1 AND totp_step < $2",
        &[person.as_str().into(), step.into()],
    )?;
    Ok(changed == 1)
}

/// Notes a source and forgets the person's that were last seen before `old`.
pub(super) fn note_source(
    tx: &mut Transaction<'_>,
    person: &PersonId,
    source: Source,
    now: Timestamp,
    old: Timestamp,
) -> Result<(), IdentityError> {
    tx.execute(
        "INSERT INTO known_source (person, source, seen) VALUES ($1, $2, $3)
         ON CONFLICT (person, source) DO UPDATE SET seen = $3",
        &[person.as_str().into(), source.0.to_string().into(), now.0.into()],
    )?;
    tx.execute("DELETE FROM known_source WHERE person = $1 AND seen <= $2", &[person.as_str().into(), old.0.into()])?;
    Ok(())
}
