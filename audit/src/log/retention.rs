//! Dropping what has been kept long enough: whole months, told by a record in the log before anything goes.
//!
//! Bundles and tiles of level 0 go (C2SP tlog-tiles, pruning); the tiles above stay, so the tree can still be computed.

use serde_json::Map;
use vocabulary::{Timestamp, Zone};

use super::files::Files;
use super::leaf;
use super::tiles::{LogFolder, bundle_path, tile_path};
use super::tree::TILE_WIDTH;
use super::writer::Writer;
use crate::{AuditError, Position, Retention};

/// What is to be dropped, found before it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) record: Retention,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Looks for whole bundles at the beginning of which every record is of a month that is over for more than `keep_months`.
/// A record with a time of later on keeps what follows it: a clock that once went wrong must not drop anything early.
pub(crate) fn due(log: &LogFolder, zone: &Zone, keep_months: u32, now: Timestamp) -> Result<Option<Due>, AuditError> {
    let before = zone.month_start(now, keep_months);
    let Some(checkpoint) = log.checkpoint()? else { return Ok(None) };
    let from = log.minimum_index()? / TILE_WIDTH;
    let mut end = from;
    // The last, partial bundle stays.
    while end < checkpoint.size / TILE_WIDTH {
        let bundle = log.bundle(end, checkpoint.size)?;
        if !bundle.iter().all(|(_, leaf)| leaf::at(leaf).is_some_and(|at| at < before)) {
            break;
        }
        end += 1;
    }
    if end == from {
        return Ok(None);
    }
    let root = log.hashes(checkpoint.size).root_at(end * TILE_WIDTH)?.to_string();
    let record = Retention { before, dropped_to: end * TILE_WIDTH, root, more: Map::new() };
    Ok(Some(Due { record, from, to: end }))
}

/// Drops, once the record of it is sealed.
pub(crate) fn drop_due(writer: &mut Writer, files: &dyn Files, log: &LogFolder, due: &Due) -> Result<(), AuditError> {
    writer.replace("minimum-index", format!("{}\n", due.to * TILE_WIDTH).as_bytes())?;
    // From the beginning on, so that what is left if this breaks off lies just before the end.
    (due.from..due.to).try_for_each(|index| remove(files, log, index))
}

/// Drops what an earlier run had begun to.
pub(crate) fn finish(files: &dyn Files, log: &LogFolder) -> Result<(), AuditError> {
    let mut end = log.minimum_index()? / TILE_WIDTH;
    while let Some(index) = end.checked_sub(1) {
        let last = log.path().join(tile_path(0, index, TILE_WIDTH));
        if files.read(&last).map_err(AuditError::io("could not read", &last))?.is_none() {
            break;
        }
        remove(files, log, index)?;
        end = index;
    }
    Ok(())
}

fn remove(files: &dyn Files, log: &LogFolder, index: u64) -> Result<(), AuditError> {
    for name in [bundle_path(index, TILE_WIDTH), tile_path(0, index, TILE_WIDTH)] {
        let path = log.path().join(name);
        files.remove(&path).map_err(AuditError::io("could not remove", &path))?;
    }
    Ok(())
}

/// What is to be dropped, and where the record of it stands.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) due: Due,
    pub(crate) at: Position,
}
