//! What the sealing does, turn by turn: planning the next leaves, adding them, letting go of what is no longer needed.
//! When it is called is the business of `sealer.rs`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use vocabulary::{Timestamp, Zone};

use super::files::Files;
use super::indexing::{IndexState, Indexing};
use super::keeping::{self, Overdue};
use super::note::{Checkpoint, SigningKey};
use super::plan::{self, Plan, VERSION};
use super::retention::{self, Due, Look};
use super::sealer::SealOptions;
use super::source::{Item, Source};
use super::tiles::LogFolder;
use super::tree::TILE_WIDTH;
use super::writer::Writer;
use crate::{AuditError, Position};

/// Where the parts lie below the folder of the audit.
pub(crate) fn log_dir(audit: &Path) -> PathBuf {
    audit.join("log")
}

pub(crate) fn journal_dir(audit: &Path) -> PathBuf {
    audit.join("journal")
}

/// What stays the same when the log is opened again after a failure.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) audit: PathBuf,
    pub(super) files: Arc<dyn Files>,
    pub(super) keys: Arc<[SigningKey]>,
    pub(super) zone: Zone,
    pub(super) options: SealOptions,
    pub(super) shared: Arc<Shared>,
}

impl Parts {
    #[cfg(test)]
    pub(super) fn new(audit: &Path, files: Arc<dyn Files>, keys: Vec<SigningKey>, options: SealOptions) -> Self {
        let (audit, keys, zone) = (audit.to_owned(), keys.into(), Zone::UTC);
        Self { audit, files, keys, zone, options, shared: Arc::default() }
    }
}

/// How the sealing stands, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) size: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) index: Arc<IndexState>,
    pub(super) told: Mutex<Told>,
}

#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) signed: Option<Timestamp>,
    pub(super) problem: Option<String>,
}

impl Shared {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log that is open for sealing.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) parts: Parts,
    pub(super) writer: Writer,
    source: Source,
    /// The last one, which is carried out.
    pub(super) plan: Plan,
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
        self.bytes.clear();
        self.ends.clear();
        for item in items {
            item.compose(&mut self.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    /// Lets go of them, but for room for as many.
    fn let_go(&mut self) {
        let used = self.bytes.len();
        self.bytes.clear();
        self.bytes.shrink_to(2 * used);
        self.ends.clear();
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
        let plan = plan::read(&**files, audit)?;
        let size = writer.size();
        let plan = match plan {
            None if size == 0 => Plan::default(),
            None => {
                let problem = format!(
                    "it is missing, but {size} records were sealed: it says how far the journal is in the log. Bring it back, or move both away to begin a new log"
                );
                return Err(AuditError::log(&plan::path(audit), problem));
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
            self.tell_of_standstill();
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
        plan::write(&*self.parts.files, &self.parts.audit, &plan)?;
        self.plan = plan;
        self.newest.compose(&items);
        self.writer.add(self.newest.iter())?;
        self.tell();
        let mut told = self.parts.shared.told();
        (told.signed, told.problem) = (Some(now), None);
        drop(told);
        self.let_go();
        Ok(items.len())
    }

    /// A number that is missing in the journal of a running gate keeps what follows it from being sealed: that is told, once.
    fn tell_of_standstill(&self) {
        let Some(Position { boot, seq }) = self.source.stands_before(6 * self.parts.options.patience) else { return };
        let problem = format!(
            "record {seq} of boot {boot} is missing in the journal, whose files were damaged or removed; what came after it is kept \
             there, and is sealed after a restart of the gate, which records that it is missing"
        );
        let mut told = self.parts.shared.told();
        if told.problem.as_deref() != Some(&problem) {
            tracing::error!(%problem, "records are not sealed");
            told.problem = Some(problem);
        }
    }

    /// Reads what the journal has; returns whether there is a batch of it.
    pub(super) fn read_on(&mut self, live: Position, closed: bool) -> Result<bool, AuditError> {
        let more = self.source.read_on(live)?;
        if closed && !more {
            self.source.closed();
        }
        self.parts.shared.waiting.store(self.source.held() as u64, Relaxed);
        Ok(more || self.source.held() >= self.parts.options.batch)
    }

    /// Whether something was read that is not sealed.
    pub(super) fn holds_some(&self) -> bool {
        self.source.held() > 0
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
    pub(super) fn index(&mut self, indexing: &mut Indexing) -> bool {
        let log = self.folder();
        let size = self.writer.size();
        let first = size - self.newest.ends.len() as u64;
        let behind = indexing.keep_up(&log, size, first, self.newest.iter());
        self.newest.let_go();
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

    /// Begins to look for what has been kept long enough.
    pub(super) fn look_for_due(&self, now: Timestamp) -> Result<Option<Look>, AuditError> {
        Look::begin(&self.folder(), &self.parts.zone, self.parts.options.keep_months, now)
    }

    /// Until when nothing is dropped because the setting is new, or lower than it was.
    pub(super) fn keeping_rests_until(&self, now: Timestamp) -> Result<Option<Timestamp>, AuditError> {
        let Parts { files, audit, options, .. } = &self.parts;
        keeping::rests_until(&**files, audit, options.keep_months, now)
    }

    /// What would be dropped now.
    pub(super) fn overdue(&self, now: Timestamp) -> Result<Option<Overdue>, AuditError> {
        keeping::overdue(&self.folder(), &self.parts.zone, self.parts.options.keep_months, now)
    }

    /// The bundles that an earlier run had begun to drop and did not come to.
    pub(super) fn left_over(&self) -> Result<Option<Range<u64>>, AuditError> {
        let log = self.folder();
        let end = log.minimum_index()? / TILE_WIDTH;
        Ok(retention::left_over(&*self.parts.files, &log)?.map(|first| first..end))
    }

    pub(super) fn folder(&self) -> LogFolder {
        LogFolder::new(&log_dir(&self.parts.audit))
    }

    /// Says that it is dropped. Then its bundles may be removed.
    pub(super) fn begin_to_drop(&mut self, due: &Due) -> Result<(), AuditError> {
        retention::begin_to_drop(&mut self.writer, due)?;
        tracing::info!(records = due.record.dropped_to, before = %due.record.before, "records whose time is over are dropped");
        Ok(())
    }

    /// Removes bundles that are dropped until the time is up; returns those that are left.
    pub(super) fn remove_dropped(&self, bundles: Range<u64>, until: Instant) -> Result<Range<u64>, AuditError> {
        let log = self.folder();
        for index in bundles.clone() {
            if Instant::now() >= until {
                return Ok(index..bundles.end);
            }
            retention::remove(&*self.parts.files, &log, index)?;
        }
        Ok(bundles.end..bundles.end)
    }

    fn tell(&self) {
        let shared = &self.parts.shared;
        shared.size.store(self.writer.size(), Relaxed);
        let mut told = shared.told();
        told.checkpoint = self.writer.checkpoint().cloned();
    }
}

/// `2026-11-28`, UTC.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
