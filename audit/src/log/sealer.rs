//! The thread that seals: it reads what the journal has on disk, plans the next leaves, adds them to the log, and lets
//! go of the journal's files that are no longer needed.
//!
//! ```text
//! journal ─→ source.rs ─→ plan.rs ─→ leaf.rs ─→ writer.rs ─→ checkpoint ─→ index ─→ journal files removed
//!            records and   on disk    bundles, tiles, each on disk   on disk
//!            outcomes
//! ```
//!
//! Broken off anywhere, it goes on from the plan: the same records become the same leaves with the same signature.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Map;
use vocabulary::{Clock as _, SystemClock, Timestamp, Zone};

use super::files::{Files, OnDisk};
use super::indexing::{IndexState, Indexing};
use super::note::{Checkpoint, SigningKey};
use super::plan::{Plan, VERSION};
use super::retention::{self, Due, Recorded};
use super::source::{Item, Source};
use super::tiles::LogFolder;
use super::writer::Writer;
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

#[derive(Debug, Default)]
struct Shared {
    size: AtomicU64,
    waiting: AtomicU64,
    failures: AtomicU64,
    index: Arc<IndexState>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    checkpoint: Option<Checkpoint>,
    signed: Option<Timestamp>,
    problem: Option<String>,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sealing of one journal into one log.
#[derive(Debug)]
pub struct Sealer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where the parts lie below the folder of the audit.
pub(crate) fn log_dir(audit: &Path) -> PathBuf {
    audit.join("log")
}

pub(crate) fn journal_dir(audit: &Path) -> PathBuf {
    audit.join("journal")
}

fn plan_path(audit: &Path) -> PathBuf {
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
    let sealed = read_plan(files, audit)?.map(|plan| plan.after).unwrap_or_default();
    Ok(Position { boot: sealed.boot, seq: sealed.next_seq })
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

/// What stays the same when the log is opened again after a failure.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) audit: PathBuf,
    pub(super) files: Arc<dyn Files>,
    pub(super) keys: Arc<[SigningKey]>,
    pub(super) zone: Zone,
    pub(super) options: SealOptions,
    shared: Arc<Shared>,
}

impl Parts {
    #[cfg(test)]
    pub(super) fn new(audit: &Path, files: Arc<dyn Files>, keys: Vec<SigningKey>, options: SealOptions) -> Self {
        let (audit, keys, zone) = (audit.to_owned(), keys.into(), Zone::UTC);
        Self { audit, files, keys, zone, options, shared: Arc::default() }
    }
}

/// A log that is open for sealing.
#[derive(Debug)]
pub(super) struct Work {
    parts: Parts,
    writer: Writer,
    source: Source,
    /// The last one, which is carried out.
    plan: Plan,
    newest: Leaves,
}

/// Leaves one after the other.
#[derive(Debug, Default)]
struct Leaves {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Leaves {
    fn compose(&mut self, items: &[Item]) {
        self.clear();
        for item in items {
            item.compose(&mut self.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        // What once was long to seal need not stay.
        self.bytes.shrink_to(1 << 20);
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

impl Work {
    /// Opens the log and carries out what was planned. `live`: up to where the journal is on the disk.
    pub(super) fn open(parts: Parts, live: Position) -> Result<Self, AuditError> {
        let (audit, files) = (&parts.audit, &parts.files);
        let journal = journal_dir(audit);
        let mut writer = Writer::open(&log_dir(audit), files.clone(), parts.keys.clone())?;
        let plan = read_plan(&**files, audit)?;
        let size = writer.size();
        let plan = match plan {
            None if size == 0 => Plan::default(),
            None => {
                let problem = format!(
                    "it is missing, but {size} records were sealed: it says how far the journal is in the log. Bring it back, or move both away to begin a new log"
                );
                return Err(AuditError::log(&plan_path(audit), problem));
            }
            Some(plan) if plan.end() == size => plan,
            Some(plan) if plan.first_leaf == size => {
                let mut source = Source::new(&journal, &plan.before, parts.options.patience);
                let items = source.take_planned(&plan, live)?;
                let mut leaves = Leaves::default();
                leaves.compose(&items);
                writer.add(leaves.iter())?;
                plan
            }
            Some(plan) => {
                let problem = format!(
                    "it holds {size} records, but {} were sealed: it was put back to an older state, or belongs to another journal",
                    plan.first_leaf
                );
                return Err(AuditError::log(&log_dir(audit), problem));
            }
        };
        let source = Source::new(&journal, &plan.after, parts.options.patience);
        let work = Self { parts, writer, source, plan, newest: Leaves::default() };
        work.tell();
        Ok(work)
    }

    /// Seals what is ready, under one checkpoint. `closed`: the journal is closed, nothing more will come. Returns how
    /// many records were sealed.
    pub(super) fn seal(&mut self, live: Position, closed: bool, now: Timestamp) -> Result<usize, AuditError> {
        self.read_on(live, closed)?;
        let mut items = self.source.take(self.parts.options.batch);
        while self.source.in_gap() {
            self.source.read_on(live)?;
            let more = self.source.take(self.parts.options.batch);
            if more.is_empty() {
                let problem = "records are missing in it, and nothing in it says that they were lost";
                return Err(AuditError::log(&journal_dir(&self.parts.audit), problem));
            }
            items.extend(more);
        }
        if items.is_empty() {
            self.let_go();
            return Ok(0);
        }
        self.keep_head(now)?;
        let plan = Plan {
            v: VERSION,
            at: now,
            first_leaf: self.writer.size(),
            before: std::mem::take(&mut self.plan.after),
            leaves: items.iter().map(Item::planned).collect(),
            after: self.source.cursor(),
        };
        write_plan(&*self.parts.files, &self.parts.audit, &plan)?;
        self.plan = plan;
        self.newest.compose(&items);
        self.writer.add(self.newest.iter())?;
        self.tell();
        self.parts.shared.told().signed = Some(now);
        self.let_go();
        Ok(items.len())
    }

    /// Reads what the journal has; returns whether there is a batch of it.
    fn read_on(&mut self, live: Position, closed: bool) -> Result<bool, AuditError> {
        let more = self.source.read_on(live)?;
        if closed && !more {
            self.source.closed();
        }
        self.parts.shared.waiting.store(self.source.held() as u64, Relaxed);
        Ok(more || self.source.held() >= self.parts.options.batch)
    }

    /// Keeps the last checkpoint of a day that is over.
    fn keep_head(&mut self, now: Timestamp) -> Result<(), AuditError> {
        let (last, today) = (day(self.plan.at), day(now));
        let Some(head) = self.writer.checkpoint().filter(|_| last < today).map(|head| head.as_str().to_owned()) else {
            return Ok(());
        };
        // A clock that was set back may bring a day twice; the first one stays.
        match self.writer.keep(&format!("heads/{last}"), head.as_bytes()) {
            Err(AuditError::Log { .. }) => Ok(()),
            other => other,
        }
    }

    /// Hands what was just sealed to the index. True: the index has more to make up for.
    fn index(&mut self, indexing: &mut Indexing) -> bool {
        let log = LogFolder::new(&log_dir(&self.parts.audit));
        let size = self.writer.size();
        let first = size - self.newest.ends.len() as u64;
        let behind = indexing.keep_up(&log, size, first, self.newest.iter());
        self.newest.clear();
        behind
    }

    /// Removes journal files that nobody needs any more.
    fn let_go(&mut self) {
        for path in self.source.done_with(&self.plan.after) {
            if let Err(error) = self.parts.files.remove(&path) {
                tracing::warn!(%error, path = %path.display(), "a sealed journal file could not be removed");
            }
        }
    }

    /// What has been kept long enough.
    pub(super) fn due(&self, now: Timestamp) -> Result<Option<Due>, AuditError> {
        let log = LogFolder::new(&log_dir(&self.parts.audit));
        retention::finish(&*self.parts.files, &log)?;
        retention::due(&log, &self.parts.zone, self.parts.options.keep_months, now)
    }

    /// Drops it.
    pub(super) fn drop_due(&mut self, due: &Due) -> Result<(), AuditError> {
        let log = LogFolder::new(&log_dir(&self.parts.audit));
        retention::drop_due(&mut self.writer, &*self.parts.files, &log, due)?;
        tracing::info!(records = due.record.dropped_to, before = %due.record.before, "records whose time is over were dropped");
        Ok(())
    }

    fn tell(&self) {
        let shared = &self.parts.shared;
        shared.size.store(self.writer.size(), Relaxed);
        let mut told = shared.told();
        told.checkpoint = self.writer.checkpoint().cloned();
        told.problem = None;
    }
}

/// `2026-11-28`, UTC.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn read_plan(files: &dyn Files, audit: &Path) -> Result<Option<Plan>, AuditError> {
    let path = plan_path(audit);
    let Some(bytes) = files.read(&path).map_err(AuditError::io("could not read", &path))? else { return Ok(None) };
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| AuditError::log(&path, error))?;
    match plan.v {
        VERSION => Ok(Some(plan)),
        newer => Err(AuditError::Newer { path, version: newer.into() }),
    }
}

fn write_plan(files: &dyn Files, audit: &Path, plan: &Plan) -> Result<(), AuditError> {
    let path = plan_path(audit);
    let temporary = path.with_added_extension("tmp");
    let bytes = serde_json::to_vec(plan).map_err(|error| AuditError::log(&path, error))?;
    let written = files
        .write(&temporary, &bytes)
        .and_then(|()| files.rename(&temporary, &path))
        .and_then(|()| files.sync_folder(audit));
    written.map_err(AuditError::io("could not write", &path))
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
    let mut work = Some(work);
    let mut failed_in_a_row = 0;
    let mut heart = Heart { seen: journal.durable(), since: Instant::now() };
    let mut last = Instant::now();
    let mut retaining = Retaining::default();
    let mut indexing = Indexing::new(&parts.audit, &parts.zone, shared.index.clone());
    loop {
        // Asked before it is read: what comes after that is not missed.
        let closed = journal.is_closed();
        let done = match &mut work {
            Some(work) => turn(work, journal, closed, &mut last),
            None => Work::open(parts.clone(), journal.durable()).map(|opened| {
                work = Some(opened);
                false
            }),
        };
        let behind = work.as_mut().is_some_and(|work| work.index(&mut indexing));
        match done {
            Ok(true) => return,
            Ok(false) => {
                if failed_in_a_row > 0 && work.is_some() {
                    tracing::info!("records can be sealed again");
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
            if let Some(work) = &mut work
                && let Err(error) = retaining.turn(work, journal, &mut indexing)
            {
                shared.failures.fetch_add(1, Relaxed);
                tracing::error!(%error, "records whose time is over could not be dropped; it is tried again tomorrow");
            }
            heart.beat(journal, parts.options.heartbeat);
            // An index that has a lot to make up for leaves the sealing its turn, and no more.
            thread::park_timeout(if behind { BREATH } else { TICK.min(parts.options.every) });
        }
    }
}

/// Seals what is due. True: the journal is closed, and all of it is sealed.
fn turn(work: &mut Work, journal: &Journal, closed: bool, last: &mut Instant) -> Result<bool, AuditError> {
    let live = journal.durable();
    let full = work.read_on(live, closed)?;
    if !closed && !full && last.elapsed() < work.parts.options.every {
        return Ok(false);
    }
    let sealed = work.seal(live, closed, SystemClock.now())?;
    if sealed > 0 {
        *last = Instant::now();
    }
    Ok(closed && sealed == 0)
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

/// How often it is looked whether a month is over.
const DAILY: Duration = Duration::from_secs(86_400);

/// Drops what has been kept long enough: first it is recorded, then the record is sealed, then it goes.
#[derive(Debug, Default)]
struct Retaining {
    looked: Option<Instant>,
    recorded: Option<Recorded>,
}

impl Retaining {
    fn turn(&mut self, work: &mut Work, journal: &Journal, indexing: &mut Indexing) -> Result<(), AuditError> {
        if let Some(Recorded { at, .. }) = &self.recorded {
            let after = &work.plan.after;
            let sealed = (at.boot, at.seq) < (after.boot, after.next_seq);
            return match self.recorded.take_if(|_| sealed) {
                Some(recorded) => {
                    work.drop_due(&recorded.due)?;
                    indexing.drop_before(recorded.due.record.dropped_to)
                }
                None => Ok(()),
            };
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < DAILY) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let now = SystemClock.now();
        if let Some(due) = work.due(now)? {
            let at = journal.append_blocking(now, &Record::Retention(due.record.clone()))?;
            self.recorded = Some(Recorded { due, at });
        }
        Ok(())
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
    crate::journal::reader::segments(&journal_dir(audit)).map_or(0, |files| files.len())
}
