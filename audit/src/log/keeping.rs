//! Since when records have been kept for so long. A setting that was lowered drops nothing for a day: a slip can be taken
//! back. It is written down, so that a restart neither shortens the day nor begins it anew.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vocabulary::{Timestamp, Zone};

use super::files::{Files, replace};
use super::leaf;
use super::tiles::LogFolder;
use super::tree::TILE_WIDTH;
use crate::AuditError;

/// So long a lowered setting drops nothing.
const GRACE_SECS: i64 = 86_400;

/// What is written down.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Keeping {
    keep_months: u32,
    /// Since then it has been so many, or fewer.
    since: Timestamp,
}

/// Until when nothing is dropped because the setting is new, or lower than it was; none: it may be.
pub(super) fn rests_until(
    files: &dyn Files,
    audit: &Path,
    keep_months: u32,
    now: Timestamp,
) -> Result<Option<Timestamp>, AuditError> {
    let path = path(audit);
    let known = files.read(&path).map_err(AuditError::io("could not read", &path))?;
    let known: Option<Keeping> = known.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    // A clock that was set back must not make it last longer than a day.
    let since = known.as_ref().filter(|known| keep_months >= known.keep_months && known.since <= now);
    let keeping = Keeping { keep_months, since: since.map_or(now, |known| known.since) };
    if known.as_ref() != Some(&keeping) {
        write(files, audit, &keeping)?;
    }
    let until = keeping.since.plus_secs(GRACE_SECS);
    Ok((now < until).then_some(until))
}

fn path(audit: &Path) -> PathBuf {
    audit.join("keeping.json")
}

fn write(files: &dyn Files, audit: &Path, keeping: &Keeping) -> Result<(), AuditError> {
    let path = path(audit);
    let bytes = serde_json::to_vec(keeping).map_err(|error| AuditError::log(&path, error))?;
    replace(files, audit, &path, &bytes).map_err(AuditError::io("could not write", &path))
}

/// Records that a log holds beyond the months that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Of the first of them.
    pub oldest: Timestamp,
    /// What lies before is to be dropped.
    pub before: Timestamp,
    /// How many months lie between the two, begun ones counted.
    pub months: u32,
}

/// What would be dropped from a log now, as far as its beginning tells.
///
/// # Errors
/// The log can't be read.
pub fn overdue(log: &LogFolder, zone: &Zone, keep_months: u32, now: Timestamp) -> Result<Option<Overdue>, AuditError> {
    let first = log.minimum_index()? / TILE_WIDTH;
    let Some(size) = log.checkpoint()?.map(|checkpoint| checkpoint.size) else { return Ok(None) };
    let before = zone.month_start(now, keep_months);
    // The last, partial bundle stays.
    if first >= size / TILE_WIDTH {
        return Ok(None);
    }
    let bundle = log.bundle(first, size)?;
    let times: Option<Vec<Timestamp>> = bundle.iter().map(|(_, leaf)| leaf::at(leaf)).collect();
    let Some(times) = times.filter(|times| times.iter().all(|at| *at < before)) else { return Ok(None) };
    let Some(oldest) = times.into_iter().min() else { return Ok(None) };
    let months = (1..=1_200).find(|months| zone.month_start(before, *months) <= oldest).unwrap_or(1_200);
    Ok(Some(Overdue { oldest, before, months }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::files::OnDisk;

    #[test]
    fn a_lowered_setting_waits_for_a_day_over_restarts_and_a_raised_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |hours: i64| Timestamp::from_secs(1_793_500_000 + hours * 3_600);
        let rests = |months, hours| rests_until(&OnDisk, dir.path(), months, at(hours)).unwrap();
        assert_eq!(rests(60, 0), Some(at(24)), "it is not known what was before");
        assert_eq!((rests(60, 23), rests(60, 24)), (Some(at(24)), None));
        assert_eq!((rests(3, 30), rests(3, 40)), (Some(at(54)), Some(at(54))));
        assert_eq!(rests(12, 41), Some(at(54)), "still lower than it was");
        assert_eq!(rests(2, 42), Some(at(66)));
        assert_eq!((rests(2, 66), rests(60, 67), rests(60, 68)), (None, None, None));
        assert_eq!(rests(59, 100), Some(at(124)));
        assert_eq!(rests(59, 10), Some(at(34)), "the clock was set back");
        std::fs::write(dir.path().join("keeping.json"), "{").unwrap();
        assert_eq!(rests(59, 500), Some(at(524)));
    }
}
