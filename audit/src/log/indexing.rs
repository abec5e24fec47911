//! Keeping the index up with the log, behind the sealing. Whatever happens to the index, sealing goes on.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vocabulary::Zone;

use super::tiles::LogFolder;
use crate::{AuditError, Index};

/// How long the sealing is held up at most to make up for what the index lacks.
const TURN: Duration = Duration::from_millis(300);
/// How long an index that can't be written is left alone.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Indexing {
    audit: PathBuf,
    zone: Zone,
    index: Option<Index>,
    rests_until: Option<Instant>,
    failing: bool,
}

impl Indexing {
    pub(super) fn new(audit: &Path, zone: &Zone) -> Self {
        Self { audit: audit.to_owned(), zone: zone.clone(), index: None, rests_until: None, failing: false }
    }

    /// Takes in the leaves that were just sealed, from `first` on; what is missing before is made up for in parts.
    pub(super) fn keep_up<'l>(
        &mut self,
        log: &LogFolder,
        size: u64,
        first: u64,
        leaves: impl Iterator<Item = &'l [u8]>,
    ) {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        match self.try_to_keep_up(log, size, first, leaves) {
            Ok(()) if self.failing => {
                tracing::info!("the index of the log can be written again");
                (self.failing, self.rests_until) = (false, None);
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the index of the log can't be written; searching is slow until it can");
                }
                self.index = None;
                self.rests_until = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Lets go of what was dropped from the log.
    pub(super) fn drop_before(&mut self, leaf: u64) -> Result<(), AuditError> {
        self.index.as_mut().map_or(Ok(()), |index| index.drop_before(leaf))
    }

    fn try_to_keep_up<'l>(
        &mut self,
        log: &LogFolder,
        size: u64,
        first: u64,
        leaves: impl Iterator<Item = &'l [u8]>,
    ) -> Result<(), AuditError> {
        let index = match &mut self.index {
            Some(index) => index,
            none => none.insert(Index::open(&self.audit, self.zone.clone())?),
        };
        if index.append(first, leaves)? < size {
            let began = Instant::now();
            index.catch_up(log, size, |_| {
                if began.elapsed() < TURN { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        Ok(())
    }
}
