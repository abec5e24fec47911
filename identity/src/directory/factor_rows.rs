//! Passkeys and recovery codes in the state database.

use std::collections::BTreeMap;

use store::{Transaction, Value};
use vocabulary::{PersonId, Timestamp};
use webauthn_rs::prelude::{Passkey, Uuid};

use crate::IdentityError;

/// A person's passkeys.
#[derive(Clone)]
pub(super) struct Passkeys {
    /// What authenticators know the person by: random, and never another person's (WebAuthn, 14.6.1).
    pub(super) handle: Uuid,
    pub(super) keys: Vec<StoredPasskey>,
}

/// A passkey: its public half and what is known of it. Nothing of it is secret.
#[derive(Clone)]
pub(super) struct StoredPasskey {
    /// Ours, short, for lists and commands.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) key: Passkey,
    pub(super) added: Timestamp,
    pub(super) used: Option<Timestamp>,
}

/// A person's recovery codes that are left.
#[derive(Clone)]
pub(super) struct RecoverySet {
    pub(super) salt: [u8; 16],
    pub(super) hashes: Vec<[u8; 32]>,
}

type Loaded = (BTreeMap<PersonId, Passkeys>, BTreeMap<PersonId, RecoverySet>);

pub(super) fn load(tx: &mut Transaction<'_>) -> Result<Loaded, IdentityError> {
    let mut people = BTreeMap::new();
    for row in &tx.query("SELECT person, handle FROM passkey_user", &[])? {
        let handle = Uuid::from_slice(row.bytes(1)?).map_err(|e| IdentityError::row("a passkey's user", &e))?;
        people.insert(person(row.text(0)?)?, Passkeys { handle, keys: Vec::new() });
    }
    for row in &tx.query("SELECT person, id, name, credential, added, used FROM passkey ORDER BY added, id", &[])? {
        let (owner, key) = (person(row.text(0)?)?, serde_json::from_str(row.text(3)?));
        let key = StoredPasskey {
            id: row.text(1)?.to_owned(),
            name: row.text(2)?.to_owned(),
            key: key.map_err(|e| IdentityError::row("a passkey", &e))?,
            added: Timestamp(row.int(4)?),
            used: row.opt_int(5)?.map(Timestamp),
        };
        match people.get_mut(&owner) {
            Some(passkeys) => passkeys.keys.push(key),
            None => return Err(IdentityError::row("a passkey", &"it is nobody's")),
        }
    }
    let mut recovery: BTreeMap<PersonId, RecoverySet> = BTreeMap::new();
    for row in &tx.query("SELECT person, salt, hash FROM recovery_code", &[])? {
        let wrong = || IdentityError::row("a recovery code", &"wrong length");
        let owner = person(row.text(0)?)?;
        let salt: [u8; 16] = row.bytes(1)?.try_into().map_err(|_| wrong())?;
        let hash: [u8; 32] = row.bytes(2)?.try_into().map_err(|_| wrong())?;
        recovery.entry(owner).or_insert(RecoverySet { salt, hashes: Vec::new() }).hashes.push(hash);
    }
    Ok((people, recovery))
}

fn person(text: &str) -> Result<PersonId, IdentityError> {
    PersonId::new(text).map_err(|e| IdentityError::row("a second factor", &e))
}

pub(super) fn save_handle(tx: &mut Transaction<'_>, person: &PersonId, handle: Uuid) -> Result<(), IdentityError> {
    tx.execute(
        "INSERT INTO passkey_user (person, handle) VALUES ($1, $2)",
        &[person.as_str().into(), handle.as_bytes().as_slice().into()],
    )?;
    Ok(())
}

/// Adds a passkey, or takes over what has changed in one.
pub(super) fn save_passkey(
    tx: &mut Transaction<'_>,
    person: &PersonId,
    passkey: &StoredPasskey,
) -> Result<(), IdentityError> {
    let key = serde_json::to_string(&passkey.key).map_err(|e| IdentityError::row("a passkey", &e))?;
    tx.execute(
        "INSERT INTO passkey (id, person, name, credential_id, credential, added, used)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET name = $3, credential = $5, used = $7",
        &[
            passkey.id.as_str().into(),
            person.as_str().into(),
            passkey.name.as_str().into(),
            passkey.key.cred_id().as_slice().into(),
            key.into(),
            passkey.added.0.into(),
            passkey.used.map_or(Value::Null, |used| used.0.into()),
        ],
    )?;
    Ok(())
}

pub(super) fn delete_passkey(tx: &mut Transaction<'_>, id: &str) -> Result<(), IdentityError> {
    tx.execute("DELETE FROM passkey WHERE id = $1", &[id.into()])?;
    Ok(())
}

pub(super) fn save_recovery(
    tx: &mut Transaction<'_>,
    person: &PersonId,
    set: &RecoverySet,
) -> Result<(), IdentityError> {
    delete_recovery(tx, person)?;
    for hash in &set.hashes {
        tx.execute(
            "INSERT INTO recovery_code (person, salt, hash) VALUES ($1, $2, $3)",
            &[person.as_str().into(), set.salt.as_slice().into(), hash.as_slice().into()],
        )?;
    }
    Ok(())
}

pub(super) fn spend_recovery(tx: &mut Transaction<'_>, person: &PersonId, hash: &[u8]) -> Result<(), IdentityError> {
    tx.execute("DELETE FROM recovery_code WHERE person = $1 AND hash = $2", &[person.as_str().into(), hash.into()])?;
    Ok(())
}

pub(super) fn delete_recovery(tx: &mut Transaction<'_>, person: &PersonId) -> Result<(), IdentityError> {
    tx.execute("DELETE FROM recovery_code WHERE person = $1", &[person.as_str().into()])?;
    Ok(())
}
