//! Keeping the index up with the log, behind the sealing. Whatever happens to the index, sealing goes on.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use vocabulary::Zone;

use super::tiles::LogFolder;
use crate::{AuditError, Index};

/// How long the sealing is held up at most to make up for what the index lacks.
const TURN: Duration = Duration::from_millis(300);
/// How long an index that can't be written is left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// How the index stands; shared with who asks.
#[derive(Debug, Default)]
pub struct IndexState {
    indexed: AtomicU64,
    failures: AtomicU64,
    anew: AtomicBool,
    problem: Mutex<Option<String>>,
}

impl IndexState {
    /// How many records are indexed, those that were dropped since counted as well.
    pub fn indexed(&self) -> u64 {
        self.indexed.load(Relaxed)
    }

    /// How often it could not be written.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Why it can't be written; none: it could be, when that was tried last.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Has it thrown away and made anew, which takes a while. Meanwhile the log itself is searched.
    pub fn begin_anew(&self) {
        self.indexed.store(0, Relaxed);
        self.has_problem(None);
        self.anew.store(true, Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct Indexing {
    audit: PathBuf,
    zone: Zone,
    index: Option<Index>,
    rests_until: Option<Instant>,
    failing: bool,
    /// Something was dropped whose traces may still be in it.
    trims: bool,
    state: Arc<IndexState>,
}

impl Indexing {
    pub(super) fn new(audit: &Path, zone: &Zone, state: Arc<IndexState>) -> Self {
        let (audit, zone) = (audit.to_owned(), zone.clone());
        Self { audit, zone, index: None, rests_until: None, failing: false, trims: true, state }
    }

    /// Takes in the leaves that were just sealed, from `first` on; what is missing before is made up for in parts. True: there
    /// is more to make up for.
    pub(super) fn keep_up<'l>(
        &mut self,
        log: &LogFolder,
        size: u64,
        first: u64,
        leaves: impl Iterator<Item = &'l [u8]>,
    ) -> bool {
        let asked = self.state.anew.load(Relaxed);
        if !asked && self.rests_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let kept_up = self.try_to_keep_up(log, size, first, leaves);
        self.state.indexed.store(self.index.as_ref().map_or(0, Index::next_leaf), Relaxed);
        match kept_up {
            Ok(behind) => {
                self.state.has_problem(None);
                if self.failing {
                    tracing::info!("the index of the log can be written again");
                    (self.failing, self.rests_until) = (false, None);
                }
                behind
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the index of the log can't be written; searching is slow until it can");
                }
                self.state.has_problem(Some(error.to_string()));
                self.state.failures.fetch_add(1, Relaxed);
                self.index = None;
                self.rests_until = Some(Instant::now() + PAUSE);
                false
            }
        }
    }

    /// Lets go of what was dropped from the log.
    pub(super) fn drop_before(&mut self, leaf: u64) -> Result<(), AuditError> {
        self.trims = true;
        self.index.as_mut().map_or(Ok(()), |index| index.drop_before(leaf))
    }

    fn try_to_keep_up<'l>(
        &mut self,
        log: &LogFolder,
        size: u64,
        first: u64,
        leaves: impl Iterator<Item = &'l [u8]>,
    ) -> Result<bool, AuditError> {
        if self.index.as_ref().is_some_and(|index| !index.is_there()) {
            tracing::warn!(folder = %self.audit.display(), "files of the index were taken away; they are made anew");
            self.index = None;
        }
        // One that was just opened may be of another log, or damaged: looking at that is part of catching up.
        let new = self.index.is_none();
        let index = match &mut self.index {
            Some(index) => index,
            none => none.insert(Index::open(&self.audit, self.zone.clone())?),
        };
        if self.state.anew.swap(false, Relaxed) {
            index.clear()?;
        }
        let mut reached = if new { index.next_leaf() } else { index.append(first, leaves)? };
        let began = Instant::now();
        let turn = |_| if began.elapsed() < TURN { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        if new || reached < size {
            reached = index.catch_up(log, size, turn)?;
        }
        if reached >= size && self.trims {
            self.trims = match index.trim(log, size, turn) {
                Ok(more) => more,
                Err(error @ AuditError::Index { .. }) => return Err(error),
                // Of the log itself. That must not keep the index from being written; it is tried again with the next start or drop.
                Err(error) => {
                    tracing::warn!(%error, "what dropped records have left behind in the index stays for now");
                    false
                }
            };
            reached = index.next_leaf();
        }
        Ok(reached < size || self.trims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::History;
    use crate::history::model::{Happened, tokyo};
    use crate::history::written::WrittenLog;

    fn bytes(leaves: &[String]) -> impl Iterator<Item = &[u8]> {
        leaves.iter().map(String::as_bytes)
    }

    #[test]
    fn it_follows_catches_up_and_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let leaves = Happened::by_chance(5, 1_800).leaves(1_800);
        let mut log = WrittenLog::new(dir.path());
        let folder = History::new(dir.path()).log();
        let state = Arc::new(IndexState::default());
        let mut indexing = Indexing::new(dir.path(), &tokyo(), state.clone());
        log.seal(bytes(&leaves[..300]));
        assert!(!indexing.keep_up(&folder, 300, 200, bytes(&leaves[200..300])));
        log.seal(bytes(&leaves[300..400]));
        assert!(!indexing.keep_up(&folder, 400, 300, bytes(&leaves[300..400])));
        assert_eq!(state.indexed(), 400);

        state.begin_anew();
        assert_eq!(state.indexed(), 0);
        log.seal(bytes(&leaves[400..900]));
        while indexing.keep_up(&folder, 900, 400, bytes(&leaves[400..900])) {}
        assert_eq!((state.indexed(), state.failures()), (900, 0));

        // The log was put back to an older state while nobody looked.
        drop(indexing);
        let other = tempfile::tempdir().unwrap();
        let mut log = WrittenLog::new(other.path());
        log.seal(bytes(&leaves[..500]));
        let mut indexing = Indexing::new(dir.path(), &tokyo(), state.clone());
        let folder = History::new(other.path()).log();
        while indexing.keep_up(&folder, 500, 500, std::iter::empty()) {}
        assert_eq!((state.indexed(), state.failures()), (500, 0));
    }

    #[test]
    fn a_folder_that_takes_no_index_is_no_reason_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let leaves = Happened::by_chance(5, 700).leaves(700);
        WrittenLog::new(dir.path()).seal(bytes(&leaves));
        // Where the files should be are folders.
        for month in ["2026-10", "2026-11"] {
            std::fs::create_dir_all(dir.path().join(format!("index-{month}.db/x"))).unwrap();
        }
        let state = Arc::new(IndexState::default());
        let mut indexing = Indexing::new(dir.path(), &tokyo(), state.clone());
        let (folder, size) = (History::new(dir.path()).log(), leaves.len() as u64);
        assert!(!indexing.keep_up(&folder, size, 0, bytes(&leaves)));
        assert!(!indexing.keep_up(&folder, size, size, std::iter::empty()));
        assert_eq!((state.indexed(), state.failures()), (0, 1));
    }
}
