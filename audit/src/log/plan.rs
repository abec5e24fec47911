//! The plan: which records become the next leaves. It is on the disk before any of them is written, so that whatever
//! breaks off in between is done again with the same result.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vocabulary::Timestamp;

use super::files::{Files, OnDisk, replace};
use crate::{AuditError, Position};

/// How far the journal is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) boot: u32,
    /// All numbers of the boot below this one are sealed, or lost.
    pub(crate) next_seq: u64,
    /// Outcomes from there on that already stand in a request's leaf.
    pub(crate) merged: BTreeSet<u64>,
}

/// What a planned leaf says of its request's end; see [`super::leaf::Ending`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    Open,
    Unknown,
    /// The outcome's number.
    Told(u64),
}

/// Leaves to be added together, and signed together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) v: u8,
    /// When it was made.
    pub(crate) at: Timestamp,
    /// Size of the log before.
    pub(crate) first_leaf: u64,
    pub(crate) before: Cursor,
    /// Boot and number of each leaf, in order.
    pub(crate) leaves: Vec<(u32, u64, End)>,
    pub(crate) after: Cursor,
}

/// Version of its written form.
pub(super) const VERSION: u8 = 1;

impl Plan {
    /// Size of the log afterwards.
    pub(crate) fn end(&self) -> u64 {
        self.first_leaf + self.leaves.len() as u64
    }
}

/// Where it lies below the folder of the audit.
pub(super) fn path(audit: &Path) -> PathBuf {
    audit.join("sealing.json")
}

/// The place up to which the log holds records, itself not included. The next boot's number must be higher than this
/// one's, whatever the journal's folder says.
///
/// # Errors
/// The file can't be read.
pub fn sealed_to(audit: &Path) -> Result<Position, AuditError> {
    sealed_in(&OnDisk, audit)
}

/// [`sealed_to`] through these files.
pub(super) fn sealed_in(files: &dyn Files, audit: &Path) -> Result<Position, AuditError> {
    let sealed = read(files, audit)?.map(|plan| plan.after).unwrap_or_default();
    Ok(Position { boot: sealed.boot, seq: sealed.next_seq })
}

pub(super) fn read(files: &dyn Files, audit: &Path) -> Result<Option<Plan>, AuditError> {
    let path = path(audit);
    let Some(bytes) = files.read(&path).map_err(AuditError::io("could not read", &path))? else { return Ok(None) };
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| AuditError::log(&path, error))?;
    match plan.v {
        VERSION => Ok(Some(plan)),
        newer => Err(AuditError::Newer { path, version: newer.into() }),
    }
}

pub(super) fn write(files: &dyn Files, audit: &Path, plan: &Plan) -> Result<(), AuditError> {
    let path = path(audit);
    let bytes = serde_json::to_vec(plan).map_err(|error| AuditError::log(&path, error))?;
    replace(files, audit, &path, &bytes).map_err(AuditError::io("could not write", &path))
}
