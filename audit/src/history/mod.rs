//! Reading the record, wherever it lies by now.
//!
//! ```text
//!            sealed and indexed        sealed        not sealed
//! leaves  0 ──────────────────── index ──────── log ────────────→ now
//!           index → log            log           journal
//! ```
//!
//! The three are read as one, in the order of positions, each record once and with its outcome. The gateway goes on
//! meanwhile: it seals, indexes, and then removes what it sealed from the journal. So the journal is read first; what has
//! gone from it is in the log by then, and what is in both is left out of the former.
//!
//! The index says where to look; the log says what is there. Without an index, or with one that can't be used, the log is
//! read from end to end.

mod coverage;
mod dropped;
pub(crate) mod filter;
mod leaf;
mod leaves;
mod logins;
mod names;
mod sealed;
mod shared;
mod sort;
mod step;
mod timeline;

#[cfg(test)]
mod histories_tests;
#[cfg(test)]
mod measure;
#[cfg(test)]
pub(crate) mod model;
#[cfg(test)]
#[path = "../../../bench/src/records.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is the bench's, which uses more of it")]
mod records;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod written;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::history::sealed::Sealed;
use crate::journal::reader::{self, Tail};
use crate::{AuditError, Entry, Filter, LogFolder, Position, TILE_WIDTH};

pub use coverage::{Coverage, Unnamed};
pub use dropped::Dropped;
pub use leaves::Leaves;
pub use logins::{AppLogin, Logins};
pub use names::{Called, NamesThen};
pub use shared::{SaasAccount, SharedIds, Use};
pub use sort::Sort;
pub use step::Step;
pub use timeline::{Happening, Moment};

/// The record below a gateway's audit folder (`<data>/audit`).
#[derive(Clone, Debug)]
pub struct History {
    audit: PathBuf,
    thorough: bool,
}

/// What to read, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub filter: Filter,
    /// Only what stands behind this position.
    pub after: Option<Position>,
    /// Only what stands before this position.
    pub before: Option<Position>,
    /// Newest first; otherwise oldest first. Either way in the order of positions, which clocks that are set don't change.
    pub newest_first: bool,
    /// At most so many, the first ones in that order.
    pub limit: Option<usize>,
}

/// Positions asked for, the second not included.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    from: Position,
    to: Position,
}

impl Bounds {
    fn of(query: &Query) -> Self {
        let next = |position: Position| Position { boot: position.boot, seq: position.seq.saturating_add(1) };
        let only = query.filter.position;
        let from = query.after.map(next).max(only).unwrap_or_default();
        let end = Position { boot: u32::MAX, seq: u64::MAX };
        let to = query.before.unwrap_or(end).min(only.map_or(end, next));
        Self { from, to }
    }

    fn take(&self, position: Position) -> bool {
        (self.from..self.to).contains(&position)
    }
}

impl History {
    pub fn new(audit: &Path) -> Self {
        Self { audit: audit.to_owned(), thorough: false }
    }

    /// Reads all of the log, and asks no index where to look: what is left out of an index, which anybody who can write to
    /// the folder could see to, is found all the same.
    pub fn thorough(self, thorough: bool) -> Self {
        Self { thorough, ..self }
    }

    /// Folder of the log.
    pub fn log(&self) -> LogFolder {
        LogFolder::new(&self.audit.join("log"))
    }

    /// Reads what is asked for, as it is taken from the iterator.
    ///
    /// # Errors
    /// There is neither a journal nor a log, or one of them can't be read or is of a later version.
    pub fn read(&self, query: Query) -> Result<Entries, AuditError> {
        let log = self.log();
        let journal = self.audit.join("journal");
        // What was sealed before the journal is looked at need not be read there, although it may still be there.
        let (size, sealed) = end_of(&log)?;
        if size == 0 && !journal.exists() {
            return Err(AuditError::io("could not list", &journal)(std::io::ErrorKind::NotFound.into()));
        }
        let tail = reader::tail(&journal, sealed)?;
        // What has gone from the journal meanwhile lies before this end.
        let (size, sealed) = end_of(&log)?;
        Entries::new(self, log, query, (size, sealed), tail)
    }

    /// Requests in short, in the order asked for: out of the index alone, as far as it reaches.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn steps(&self, query: Query) -> Result<Steps, AuditError> {
        let filter = Filter { kinds: vec!["request".to_owned()], ..query.filter };
        let mut entries = self.read(Query { filter, ..query })?;
        entries.sealed = entries.sealed.in_short();
        Ok(Steps(entries))
    }

    /// All that fits, sorted by something else than the place in the record. At most 50,000 can be.
    ///
    /// # Errors
    /// As [`History::read`], or [`AuditError::TooMany`].
    pub fn sorted(&self, query: Query, by: Sort, descending: bool) -> Result<Vec<Entry>, AuditError> {
        let limit = query.limit;
        let mut entries = Vec::new();
        for entry in self.read(Query { limit: None, ..query })? {
            entries.push(entry?);
            if entries.len() > sort::MOST {
                return Err(AuditError::TooMany(sort::MOST));
            }
        }
        by.sort(&mut entries, descending);
        entries.truncate(limit.unwrap_or(usize::MAX));
        Ok(entries)
    }
}

/// How many leaves are sealed, and where the last one stands in the journal.
fn end_of(log: &LogFolder) -> Result<(u64, Option<Position>), AuditError> {
    let size = log.checkpoint()?.map_or(0, |checkpoint| checkpoint.size);
    if size == 0 || log.minimum_index()? >= size {
        return Ok((size, None));
    }
    let bundle = log.bundle((size - 1) / TILE_WIDTH, size)?;
    let last = bundle.leaf(size - 1).map(|leaf| leaf::read(leaf).position());
    Ok((size, last))
}

/// Records as they are read. After an error nothing more comes.
#[derive(Debug)]
pub struct Entries {
    query: Query,
    bounds: Bounds,
    sealed: Sealed,
    /// Not sealed yet, in the order asked for.
    tail: VecDeque<Entry>,
    /// How many more.
    left: usize,
}

impl Entries {
    fn new(
        history: &History,
        log: LogFolder,
        query: Query,
        (size, last): (u64, Option<Position>),
        tail: Tail,
    ) -> Result<Self, AuditError> {
        let bounds = Bounds::of(&query);
        let Tail { mut entries, outcomes: mut later, ended } = tail;
        // What was sealed since the journal was read stands in both.
        if let Some(last) = last {
            let unsealed = entries.split_off(&Position { seq: last.seq.saturating_add(1), ..last });
            later.extend(entries.into_iter().filter_map(|(position, entry)| Some((position, entry.outcome?))));
            entries = unsealed;
        }
        let tail = Tail { entries, outcomes: Default::default(), ended }.into_entries();
        let tail = tail.filter(|entry| bounds.take(entry.position) && query.filter.takes(entry));
        let mut tail: VecDeque<_> = tail.collect();
        if query.newest_first {
            tail.make_contiguous().reverse();
        }
        let index = (!history.thorough).then_some(&*history.audit);
        let sealed = Sealed::new(index, log, size, &query, bounds, later, ended)?;
        let left = query.limit.unwrap_or(usize::MAX);
        Ok(Self { query, bounds, sealed, tail, left })
    }

    fn advance(&mut self) -> Result<Option<Entry>, AuditError> {
        if self.query.newest_first
            && let Some(entry) = self.tail.pop_front()
        {
            return Ok(Some(entry));
        }
        while let Some(entry) = self.sealed.next()? {
            if self.bounds.take(entry.position) && self.query.filter.takes(&entry) {
                return Ok(Some(entry));
            }
        }
        Ok(self.tail.pop_front())
    }
}

/// Requests in short, as they are read. After an error nothing more comes.
#[derive(Debug)]
pub struct Steps(Entries);

impl Steps {
    fn advance(&mut self) -> Result<Option<Step>, AuditError> {
        let Entries { query, bounds, sealed, tail, .. } = &mut self.0;
        let mut unsealed = || tail.pop_front().as_ref().and_then(Step::of);
        if query.newest_first
            && let Some(step) = unsealed()
        {
            return Ok(Some(step));
        }
        while let Some(step) = sealed.next_step()? {
            if bounds.take(step.position) && query.filter.takes_step(&step) {
                return Ok(Some(step));
            }
        }
        Ok(unsealed())
    }
}

impl Iterator for Steps {
    type Item = Result<Step, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.left = self.0.left.checked_sub(1)?;
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.0.left = 0;
        }
        next
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.left = 0;
        }
        next
    }
}
