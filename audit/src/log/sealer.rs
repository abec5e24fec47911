//! The thread that seals: it reads what the journal has on disk, plans the next leaves, adds them to the log, and lets
//! go of the journal's files that are no longer needed. Here is when it does so; `work.rs` has what it does.
//!
//! ```text
//! journal ─→ source.rs ─→ plan.rs ─→ leaf.rs ─→ writer.rs ─→ checkpoint ─→ index ─→ journal files removed
//!            records and   on disk    bundles, tiles, each on disk   on disk
//!            outcomes
//! ```
//!
//! Broken off anywhere, it goes on from the plan: the same records become the same leaves with the same signature.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Map;
use vocabulary::{Clock as _, SystemClock, Timestamp, Zone};

use super::files::OnDisk;
use super::indexing::{IndexState, Indexing};
use super::note::{Checkpoint, SigningKey};
use super::retaining::Retaining;
use super::work::{Parts, Shared, Work};
use crate::{AuditError, Heartbeat, Journal, Position, Record};

/// How records are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealOptions {
    /// How often a checkpoint is signed while records come. Default 5 s.
    pub every: Duration,
    /// How long a request's outcome is waited for before the request is sealed without. Default 10 s.
    pub patience: Duration,
    /// After so long without a record a heartbeat is recorded. Default 1 h.
    pub heartbeat: Duration,
    /// At most so many records under one checkpoint. Default 16,384.
    pub batch: usize,
    /// So many whole months are kept, besides the one that runs. Default 60.
    pub keep_months: u32,
}

impl Default for SealOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            patience: Duration::from_secs(10),
            heartbeat: Duration::from_secs(3_600),
            batch: 16_384,
            keep_months: 60,
        }
    }
}

/// How the sealing stands, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealStats {
    /// Records under the newest checkpoint.
    pub size: u64,
    /// When it was signed; None: not by this process.
    pub signed: Option<Timestamp>,
    /// Numbers of the journal that were read and are not sealed yet.
    pub waiting: u64,
    /// How often sealing failed.
    pub failures: u64,
    /// Why it stands still, if it does.
    pub problem: Option<String>,
}

/// The sealing of one journal into one log.
#[derive(Debug)]
pub struct Sealer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Sealer {
    /// Opens the log in `audit`'s `log` folder, finishes what the last run left unfinished, and starts to seal what is
    /// in its `journal` folder, which `journal` writes. `keys`: the log's key, and others that sign beside it. Blocks
    /// while it opens.
    ///
    /// # Errors
    /// The log is not what was signed, belongs to another key, or can't be written.
    pub fn start(
        audit: &Path,
        journal: &Journal,
        keys: Vec<SigningKey>,
        zone: &Zone,
        options: SealOptions,
    ) -> Result<Self, AuditError> {
        let shared = Arc::new(Shared::default());
        let parts = Parts {
            audit: audit.to_owned(),
            files: Arc::new(OnDisk),
            keys: keys.into(),
            zone: zone.clone(),
            options,
            shared: shared.clone(),
        };
        let work = Work::open(parts, journal.durable())?;
        let journal = journal.clone();
        let thread = thread::Builder::new()
            .name("audit-sealer".to_owned())
            .spawn(move || run(work, &journal))
            .map_err(AuditError::Thread)?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    pub fn stats(&self) -> SealStats {
        let told = self.shared.told();
        SealStats {
            size: self.shared.size.load(Relaxed),
            signed: told.signed,
            waiting: self.shared.waiting.load(Relaxed),
            failures: self.shared.failures.load(Relaxed),
            problem: told.problem.clone(),
        }
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.shared.told().checkpoint.clone()
    }

    /// How the index stands.
    pub fn index(&self) -> &IndexState {
        &self.shared.index
    }

    /// Waits until everything that the journal has is sealed, or could not be. The journal must be closed before.
    pub fn finish(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

/// How often it is looked whether there is something to seal.
const TICK: Duration = Duration::from_millis(500);
/// How long it rests between two parts of the index.
const BREATH: Duration = Duration::from_millis(20);
/// How long a log that can't be written is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// How often it is tried when the gate ends.
const LAST_TRIES: u32 = 3;

/// Seals until the journal is closed and everything in it is sealed.
fn run(work: Work, journal: &Journal) {
    // Whoever waits for an answer goes first. A thread of a process that may not even ask stays as it is.
    let _ = rustix::process::nice(5);
    let parts = work.parts.clone();
    let shared = parts.shared.clone();
    let mut retaining = Retaining::new(work.plan.at);
    let mut work = Some(work);
    let mut failed_in_a_row = 0;
    let mut heart = Heart { seen: journal.durable(), since: Instant::now() };
    let mut last = Instant::now();
    let mut indexing = Indexing::new(&parts.audit, &parts.zone, shared.index.clone());
    loop {
        // Asked before it is read: what comes after that is not missed.
        let closed = journal.is_closed();
        let done = match &mut work {
            Some(work) => turn(work, journal, closed, &mut last),
            None => Work::open(parts.clone(), journal.durable()).map(|opened| {
                work = Some(opened);
                Turn::Waits
            }),
        };
        let behind = work.as_mut().is_some_and(|work| work.index(&mut indexing));
        match done {
            Ok(Turn::Over) => return,
            // That it could be opened again says nothing of whether it can be written to.
            Ok(Turn::Waits) => {}
            Ok(Turn::Works) => {
                if failed_in_a_row > 0 {
                    tracing::info!("records can be sealed again");
                    shared.told().problem = None;
                    failed_in_a_row = 0;
                }
            }
            Err(error) => {
                // What is in memory may be ahead of the disk: it is opened anew.
                work = None;
                failed_in_a_row += 1;
                shared.failures.fetch_add(1, Relaxed);
                shared.told().problem = Some(error.to_string());
                if failed_in_a_row == 1 || closed {
                    tracing::error!(%error, "records can't be sealed; they are kept in the journal until they can");
                }
                if closed && failed_in_a_row >= LAST_TRIES {
                    return;
                }
                thread::park_timeout(if closed { TICK } else { PAUSE });
            }
        }
        if !closed {
            let retained = work.as_mut().map_or(Ok(false), |work| retaining.turn(work, journal, &mut indexing));
            let busy = retained.unwrap_or_else(|error| {
                shared.failures.fetch_add(1, Relaxed);
                tracing::error!(%error, "records whose time is over could not be dropped; it is tried again tomorrow");
                false
            });
            heart.beat(journal, parts.options.heartbeat);
            // An index that has a lot to make up for, or a long month that is dropped, leaves the sealing its turn, and no more.
            thread::park_timeout(if behind || busy { BREATH } else { TICK.min(parts.options.every) });
        }
    }
}

/// What came of a turn that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It is not time yet, or what there is can't be sealed yet.
    Waits,
    /// Something was sealed, or there is nothing to be sealed.
    Works,
    /// The journal is closed, and all of it is sealed.
    Over,
}

/// Seals what is due.
fn turn(work: &mut Work, journal: &Journal, closed: bool, last: &mut Instant) -> Result<Turn, AuditError> {
    let live = journal.durable();
    let full = work.read_on(live, closed)?;
    if !closed && !full && last.elapsed() < work.parts.options.every {
        return Ok(Turn::Waits);
    }
    let sealed = work.seal(live, closed, SystemClock.now())?;
    if sealed > 0 {
        *last = Instant::now();
    }
    Ok(match (sealed, closed) {
        (0, true) => Turn::Over,
        (0, false) if work.holds_some() => Turn::Waits,
        _ => Turn::Works,
    })
}

/// Records that all is well when nothing else is recorded.
struct Heart {
    seen: Position,
    since: Instant,
}

impl Heart {
    fn beat(&mut self, journal: &Journal, every: Duration) {
        let durable = journal.durable();
        if durable != self.seen {
            *self = Self { seen: durable, since: Instant::now() };
        } else if self.since.elapsed() >= every {
            // If it can't be written now, it is tried again.
            let beat = Record::Heartbeat(Heartbeat { more: Map::new() });
            if journal.append_blocking(SystemClock.now(), &beat).is_ok() {
                self.since = Instant::now();
            }
        }
    }
}

/// Seals and indexes everything that need not wait, in this thread.
pub(crate) fn seal_what_is_there(audit: &Path, keys: Vec<SigningKey>, zone: &Zone) -> Result<u64, AuditError> {
    let (files, keys, zone) = (Arc::new(OnDisk), keys.into(), zone.clone());
    let parts =
        Parts { audit: audit.to_owned(), files, keys, zone, options: SealOptions::default(), shared: Arc::default() };
    let everything = Position { boot: u32::MAX, seq: 0 };
    let mut indexing = Indexing::new(audit, &parts.zone, Arc::default());
    let mut work = Work::open(parts, everything)?;
    while work.seal(everything, false, SystemClock.now())? > 0 {
        while work.index(&mut indexing) {}
    }
    Ok(work.writer.size())
}

/// Whether the journal holds files, for the tests.
#[cfg(test)]
pub(super) fn journal_files(audit: &Path) -> usize {
    crate::journal::reader::segments(&super::work::journal_dir(audit)).map_or(0, |files| files.len())
}
