//! Where in the log records stand, for what is taken out of it with its proof.

use std::collections::BTreeSet;

use crate::history::{History, Query};
use crate::log::leaf;
use crate::{AuditError, Bundle, Entry, LogFolder, Position, Record, TILE_WIDTH};

/// Leaves of what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaves {
    /// Indices in the log, ascending; those of outcomes that came late are among them.
    pub indices: BTreeSet<u64>,
    /// How many records fit.
    pub records: u64,
    /// How many of them are not sealed yet.
    pub unsealed: u64,
}

impl History {
    /// The leaves of what fits, in a log of `size` leaves.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn leaves(&self, query: Query, size: u64) -> Result<Leaves, AuditError> {
        let log = self.log();
        let mut finder = Finder::new(&log, size)?;
        let mut leaves = Leaves::default();
        for entry in self.read(Query { newest_first: false, ..query })? {
            let entry = entry?;
            leaves.records += 1;
            match finder.find(entry.position)? {
                Some(index) => {
                    leaves.indices.insert(index);
                    leaves.indices.extend(finder.late_outcome(&entry, index)?);
                }
                None => leaves.unsealed += 1,
            }
        }
        Ok(leaves)
    }

    /// The leaf of the record at a position; None: it is not sealed, or was dropped.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn leaf(&self, position: Position, size: u64) -> Result<Option<u64>, AuditError> {
        Finder::new(&self.log(), size)?.find(position)
    }
}

/// Finds leaves by their positions, whose order they stand in.
struct Finder<'l> {
    log: &'l LogFolder,
    size: u64,
    /// The first bundle that was not dropped.
    first: u64,
    bundle: Option<Bundle>,
}

impl<'l> Finder<'l> {
    fn new(log: &'l LogFolder, size: u64) -> Result<Self, AuditError> {
        Ok(Self { log, size, first: log.minimum_index()? / TILE_WIDTH, bundle: None })
    }

    fn find(&mut self, position: Position) -> Result<Option<u64>, AuditError> {
        // Whoever asks for many asks in order: mostly it is in the same bundle as the last one, or in the next.
        let same = self.bundle.as_ref().map(|bundle| bundle.first() / TILE_WIDTH);
        let (mut low, mut high) = (self.first, self.size.div_ceil(TILE_WIDTH));
        if let Some(at) = same {
            if let Some(index) = self.within(at, position)? {
                return Ok(Some(index));
            }
            match self.begins(at)? {
                Some(begins) if begins <= position => low = at,
                _ => high = at,
            }
        }
        while high.saturating_sub(low) > 1 {
            let middle = low + (high - low) / 2;
            match self.begins(middle)? {
                Some(begins) if begins <= position => low = middle,
                _ => high = middle,
            }
        }
        if low < high { self.within(low, position) } else { Ok(None) }
    }

    /// The leaf that tells the end of a request which was sealed without one.
    fn late_outcome(&mut self, entry: &Entry, index: u64) -> Result<Option<u64>, AuditError> {
        let told = self.leaf(index)?.and_then(leaf::head).is_some_and(|head| head.outcome_seq.is_some());
        if told || !matches!(entry.record, Record::Request(_)) || entry.outcome.is_none() {
            return Ok(None);
        }
        let of = format!("\"of\":[{},{}],", entry.position.boot, entry.position.seq);
        for number in index / TILE_WIDTH..self.size.div_ceil(TILE_WIDTH) {
            let bundle = self.log.bundle(number, self.size)?;
            let found =
                bundle.iter().find(|(_, leaf)| leaf::is_outcome_of(leaf, of.as_bytes())).map(|(found, _)| found);
            // A boot that has ended tells nothing more.
            let over = bundle
                .iter()
                .any(|(_, leaf)| leaf::head(leaf).is_some_and(|head| head.position.boot > entry.position.boot));
            if found.is_some() || over {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn load(&mut self, number: u64) -> Result<&Bundle, AuditError> {
        let loaded = self.bundle.take().filter(|bundle| bundle.first() / TILE_WIDTH == number);
        let bundle = match loaded {
            Some(bundle) => bundle,
            None => self.log.bundle(number, self.size)?,
        };
        Ok(self.bundle.insert(bundle))
    }

    fn leaf(&mut self, index: u64) -> Result<Option<&[u8]>, AuditError> {
        Ok(self.load(index / TILE_WIDTH)?.leaf(index))
    }

    fn begins(&mut self, number: u64) -> Result<Option<Position>, AuditError> {
        let first = self.load(number)?.iter().next().and_then(|(_, leaf)| leaf::head(leaf));
        Ok(first.map(|head| head.position))
    }

    fn within(&mut self, number: u64, position: Position) -> Result<Option<u64>, AuditError> {
        let at = |leaf: &[u8]| leaf::head(leaf).is_some_and(|head| head.position == position);
        Ok(self.load(number)?.iter().find(|(_, leaf)| at(leaf)).map(|(index, _)| index))
    }
}
