//! SCIM's tables in the state database. They are migrated under a name of their own, beside the roster's.

use std::net::IpAddr;
use std::sync::Mutex;

use serde_json::{Map, Value};
use store::{Migration, Row, Transaction};
use vocabulary::{GroupName, PersonId, Timestamp};

use super::resource::{Group, User, is_inactive};
use super::token::{ScimToken, TokenSummary};
use crate::IdentityError;

pub(crate) const OWNER: &str = "scim";

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "scim",
        // `hash`: SHA-256 over a token; the token itself is nowhere but with the provider.
        // `attributes`: what the provider wrote, as JSON. `given`: one group per line.
        sql: "CREATE TABLE scim_token (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, provider TEXT NOT NULL, scopes TEXT NOT NULL, hash BYTEA NOT NULL,
            created BIGINT NOT NULL, expires BIGINT NOT NULL, used BIGINT NOT NULL, used_from TEXT);
          CREATE TABLE scim_user (
            id TEXT PRIMARY KEY, provider TEXT NOT NULL, person TEXT NOT NULL UNIQUE REFERENCES person (id),
            attributes TEXT NOT NULL, created BIGINT NOT NULL, modified BIGINT NOT NULL, given TEXT NOT NULL,
            last_day TEXT, deleted BIGINT NOT NULL);
          CREATE TABLE scim_group (
            id TEXT PRIMARY KEY, provider TEXT NOT NULL, attributes TEXT NOT NULL, created BIGINT NOT NULL,
            modified BIGINT NOT NULL);
          CREATE TABLE scim_member (
            member_of TEXT NOT NULL REFERENCES scim_group (id) ON DELETE CASCADE, member TEXT NOT NULL,
            PRIMARY KEY (member_of, member))",
    },
    Migration {
        name: "adopted and inactive",
        sql: "ALTER TABLE scim_user ADD COLUMN adopted BIGINT NOT NULL DEFAULT 0;
              ALTER TABLE scim_user ADD COLUMN inactive BIGINT NOT NULL DEFAULT 0",
    },
];

const USER: &str = "a SCIM user";
const GROUP: &str = "a SCIM group";
const TOKEN: &str = "a SCIM token";

pub(crate) fn users(tx: &mut Transaction<'_>) -> Result<Vec<User>, IdentityError> {
    let columns = "id, provider, person, attributes, created, modified, given, last_day, deleted, adopted, inactive";
    tx.query(&format!("SELECT {columns} FROM scim_user"), &[])?.iter().map(user).collect()
}

fn user(row: &Row) -> Result<User, IdentityError> {
    let attributes = attributes(row.text(3)?, USER)?;
    Ok(User {
        id: row.text(0)?.into(),
        provider: row.text(1)?.into(),
        person: PersonId::new(row.text(2)?).map_err(|e| IdentityError::row(USER, &e))?,
        // Rows that were written before there was the column have the attribute alone.
        inactive: row.int(10)? != 0 || is_inactive(&attributes).unwrap_or_default(),
        attributes,
        created: Timestamp(row.int(4)?),
        modified: Timestamp(row.int(5)?),
        given: row
            .text(6)?
            .lines()
            .map(GroupName::new)
            .collect::<Result<_, _>>()
            .map_err(|e| IdentityError::row(USER, &e))?,
        last_day: row.opt_text(7)?.map(str::parse).transpose().map_err(|e| IdentityError::row(USER, &e))?,
        deleted: row.int(8)? != 0,
        adopted: row.int(9)? != 0,
    })
}

fn attributes(text: &str, what: &'static str) -> Result<Map<String, Value>, IdentityError> {
    serde_json::from_str(text).map_err(|e| IdentityError::row(what, &e))
}

fn written(attributes: &Map<String, Value>) -> String {
    serde_json::to_string(attributes).unwrap_or_default()
}

pub(crate) fn save_user(tx: &mut Transaction<'_>, user: &User) -> Result<(), IdentityError> {
    let given = user.given.iter().map(GroupName::as_str).collect::<Vec<_>>().join("\n");
    tx.execute(
        "INSERT INTO scim_user (id, provider, person, attributes, created, modified, given, last_day, deleted, adopted,
            inactive)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (id) DO UPDATE SET attributes = $4, modified = $6, given = $7, last_day = $8, deleted = $9,
            inactive = $11",
        &[
            (&*user.id).into(),
            (&*user.provider).into(),
            user.person.as_str().into(),
            written(&user.attributes).into(),
            user.created.0.into(),
            user.modified.0.into(),
            given.into(),
            user.last_day.map(|d| d.to_string()).into(),
            user.deleted.into(),
            user.adopted.into(),
            user.inactive.into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_user(tx: &mut Transaction<'_>, id: &str) -> Result<(), IdentityError> {
    tx.execute("DELETE FROM scim_user WHERE id = $1", &[id.into()])?;
    Ok(())
}

pub(crate) fn groups(tx: &mut Transaction<'_>) -> Result<Vec<Group>, IdentityError> {
    let rows = tx.query("SELECT id, provider, attributes, created, modified FROM scim_group", &[])?;
    let mut groups = Vec::with_capacity(rows.len());
    for row in &rows {
        let members = tx.query("SELECT member FROM scim_member WHERE member_of = $1", &[row.text(0)?.into()])?;
        groups.push(Group {
            id: row.text(0)?.into(),
            provider: row.text(1)?.into(),
            attributes: attributes(row.text(2)?, GROUP)?,
            members: members.iter().map(|m| Ok(m.text(0)?.into())).collect::<Result<_, IdentityError>>()?,
            created: Timestamp(row.int(3)?),
            modified: Timestamp(row.int(4)?),
        });
    }
    Ok(groups)
}

/// `before`: the group as it is in the database, so that one new member of ten thousand is one row.
pub(crate) fn save_group(tx: &mut Transaction<'_>, group: &Group, before: Option<&Group>) -> Result<(), IdentityError> {
    let id = &*group.id;
    tx.execute(
        "INSERT INTO scim_group (id, provider, attributes, created, modified) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (id) DO UPDATE SET attributes = $3, modified = $5",
        &[
            id.into(),
            (&*group.provider).into(),
            written(&group.attributes).into(),
            group.created.0.into(),
            group.modified.0.into(),
        ],
    )?;
    let none = std::collections::BTreeSet::new();
    let old = before.map_or(&none, |g| &g.members);
    for gone in old.difference(&group.members) {
        let delete = "DELETE FROM scim_member WHERE member_of = $1 AND member = $2";
        tx.execute(delete, &[id.into(), (&**gone).into()])?;
    }
    for new in group.members.difference(old) {
        let insert = "INSERT INTO scim_member (member_of, member) VALUES ($1, $2)";
        tx.execute(insert, &[id.into(), (&**new).into()])?;
    }
    Ok(())
}

pub(crate) fn delete_group(tx: &mut Transaction<'_>, id: &str) -> Result<(), IdentityError> {
    tx.execute("DELETE FROM scim_member WHERE member_of = $1", &[id.into()])?;
    tx.execute("DELETE FROM scim_group WHERE id = $1", &[id.into()])?;
    Ok(())
}

pub(crate) fn tokens(tx: &mut Transaction<'_>) -> Result<Vec<ScimToken>, IdentityError> {
    let columns = "id, name, provider, scopes, hash, created, expires, used, used_from";
    tx.query(&format!("SELECT {columns} FROM scim_token"), &[])?.iter().map(token).collect()
}

fn token(row: &Row) -> Result<ScimToken, IdentityError> {
    let used = row.int(7)?;
    let from: Option<IpAddr> =
        row.opt_text(8)?.map(str::parse).transpose().map_err(|e| IdentityError::row(TOKEN, &e))?;
    Ok(ScimToken {
        id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        provider: row.text(2)?.to_owned(),
        scopes: row.text(3)?.parse().map_err(|e| IdentityError::row(TOKEN, &e))?,
        hash: row.bytes(4)?.try_into().map_err(|e| IdentityError::row(TOKEN, &e))?,
        created: Timestamp(row.int(5)?),
        expires: Timestamp(row.int(6)?),
        revoked: false.into(),
        used: used.into(),
        used_from: Mutex::new(from),
        saved: used.into(),
    })
}

pub(crate) fn insert_token(tx: &mut Transaction<'_>, token: &ScimToken) -> Result<(), IdentityError> {
    tx.execute(
        "INSERT INTO scim_token (id, name, provider, scopes, hash, created, expires, used)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
        &[
            token.id.as_str().into(),
            token.name.as_str().into(),
            token.provider.as_str().into(),
            token.scopes.to_string().into(),
            (&token.hash[..]).into(),
            token.created.0.into(),
            token.expires.0.into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn touch_token(tx: &mut Transaction<'_>, seen: &TokenSummary) -> Result<(), IdentityError> {
    tx.execute(
        "UPDATE scim_token SET used = $2, used_from = $3 WHERE id = $1",
        &[
            seen.id.as_str().into(),
            seen.last_used.unwrap_or_default().0.into(),
            seen.last_used_from.map(|ip| ip.to_string()).into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete_token(tx: &mut Transaction<'_>, id: &str) -> Result<(), IdentityError> {
    tx.execute("DELETE FROM scim_token WHERE id = $1", &[id.into()])?;
    Ok(())
}
