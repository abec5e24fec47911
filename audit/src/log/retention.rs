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
use crate::{AuditError, Retention};

/// What is to be dropped, found before it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) record: Retention,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// The search for what is due, in parts: whole bundles at the beginning of which every record is of a month that is over for more
/// than so many months. A record with a time of later on keeps what follows it: a clock that once went wrong must not drop
/// anything early.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    before: Timestamp,
    size: u64,
    from: u64,
    end: u64,
}

/// So long the log must have gone by the present time before anything is dropped by it.
pub(super) const SETTLED_SECS: i64 = 7 * 86_400;
/// A gate that was off for so long, or a clock that leapt so far, has to settle anew.
pub(super) const HOLE_SECS: i64 = 10 * 86_400;

impl Look {
    /// None: there is no log yet.
    pub(crate) fn begin(
        log: &LogFolder,
        zone: &Zone,
        keep_months: u32,
        now: Timestamp,
    ) -> Result<Option<Self>, AuditError> {
        let before = zone.month_start(now, keep_months);
        let from = log.minimum_index()? / TILE_WIDTH;
        let look = |size| Self { before, size, from, end: from };
        Ok(log.checkpoint()?.map(|checkpoint| look(checkpoint.size)))
    }

    /// Looks at one more bundle. False: the search is over.
    pub(crate) fn go_on(&mut self, log: &LogFolder) -> Result<bool, AuditError> {
        // The last, partial bundle stays.
        if self.end >= self.size / TILE_WIDTH {
            return Ok(false);
        }
        let bundle = log.bundle(self.end, self.size)?;
        let over = bundle.iter().all(|(_, leaf)| leaf::at(leaf).is_some_and(|at| at < self.before));
        self.end += u64::from(over);
        Ok(over)
    }

    /// What the search has found.
    pub(crate) fn found(self, log: &LogFolder, now: Timestamp) -> Result<Option<Due>, AuditError> {
        let Self { before, size, from, end } = self;
        if end == from {
            return Ok(None);
        }
        if !has_settled(log, size, now)? {
            tracing::warn!(
                "records are older than they are to be kept, and stay: within the last week the clock leapt by more than ten days, \
                 or the gate was off for as long. If the clock is right, they are dropped a week after"
            );
            return Ok(None);
        }
        let root = log.hashes(size).root_at(end * TILE_WIDTH)?.to_string();
        let record = Retention { before, dropped_to: end * TILE_WIDTH, root, more: Map::new() };
        Ok(Some(Due { record, from, to: end }))
    }
}

/// Whether the log has gone by the present time for a week: a clock that is years ahead, as of a machine whose battery is
/// empty, must not drop what was recorded a moment ago.
fn has_settled(log: &LogFolder, size: u64, now: Timestamp) -> Result<bool, AuditError> {
    let then = now.plus_secs(-SETTLED_SECS);
    let first_at = |index| -> Result<Option<Timestamp>, AuditError> {
        Ok(log.bundle(index, size)?.iter().next().and_then(|(_, leaf)| leaf::at(leaf)))
    };
    // The last bundle that begins before.
    let (mut low, mut high) = (log.minimum_index()? / TILE_WIDTH, size.div_ceil(TILE_WIDTH));
    while low < high {
        let middle = low + (high - low) / 2;
        if first_at(middle)?.is_some_and(|at| at <= then) { low = middle + 1 } else { high = middle }
    }
    let Some(index) = low.checked_sub(1) else { return Ok(false) };
    let mut times: Vec<Timestamp> = Vec::new();
    // With the one behind it: what a clock that was wrong for a moment has left is followed by times of long before.
    for index in index..(index + 2).min(size.div_ceil(TILE_WIDTH)) {
        times.extend(log.bundle(index, size)?.iter().filter_map(|(_, leaf)| leaf::at(leaf)));
    }
    let newest = (0..times.len()).filter(|place| times[*place] <= then).max_by_key(|place| times[*place]);
    Ok(newest.is_some_and(|newest| {
        let near = |at: &Timestamp| times[newest].secs_since(*at) <= HOLE_SECS;
        then.secs_since(times[newest]) <= HOLE_SECS && times[newest..].iter().all(near)
    }))
}

/// Says that it is dropped, once the record of it is sealed. Then [`remove`] goes over it.
pub(crate) fn begin_to_drop(writer: &mut Writer, due: &Due) -> Result<(), AuditError> {
    writer.replace("minimum-index", format!("{}\n", due.to * TILE_WIDTH).as_bytes())
}

/// The first bundle of what an earlier run had begun to drop and did not come to; none: all of it has gone. Bundles go from the
/// first one on, so what is left lies just before the end.
pub(crate) fn left_over(files: &dyn Files, log: &LogFolder) -> Result<Option<u64>, AuditError> {
    let end = log.minimum_index()? / TILE_WIDTH;
    let mut first = end;
    while let Some(index) = first.checked_sub(1) {
        let names = [bundle_path(index, TILE_WIDTH), tile_path(0, index, TILE_WIDTH)];
        let there = |name: &String| {
            let path = log.path().join(name);
            files.read(&path).map(|found| found.is_some()).map_err(AuditError::io("could not read", &path))
        };
        if !there(&names[0])? && !there(&names[1])? {
            break;
        }
        first = index;
    }
    Ok((first < end).then_some(first))
}

/// Drops a bundle.
pub(crate) fn remove(files: &dyn Files, log: &LogFolder, index: u64) -> Result<(), AuditError> {
    for name in [bundle_path(index, TILE_WIDTH), tile_path(0, index, TILE_WIDTH)] {
        let path = log.path().join(name);
        files.remove(&path).map_err(AuditError::io("could not remove", &path))?;
    }
    Ok(())
}
