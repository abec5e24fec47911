//! The journal: records on disk before anything happens, in segment files that are sealed later.
//!
//! ```text
//! request ─→ json.rs ─→ queue.rs ─→ writer.rs ─→ segment files ─→ reader.rs, follow.rs
//!                       one buffer   one thread,  frame.rs
//!                       for all      one fsync    durable.rs
//!                                    per batch    recovery.rs (when opened)
//! ```

pub(crate) mod durable;
pub(crate) mod follow;
pub(crate) mod frame;
pub mod inside;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod recovery;
pub(crate) mod runs;
pub(crate) mod segments;
pub(crate) mod stats;
mod watch;
mod writer;

#[cfg(test)]
mod failures;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod on_disk;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod simulated;

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Map;
use tokio::sync::oneshot;
use vocabulary::{Clock as _, SystemClock, Timestamp};

use crate::journal::durable::{Disk, FileSystem, Lock};
use crate::journal::frame::FrameKind;
use crate::journal::queue::{Position, Reply, Shared, Told, Urgency, Verdict};
use crate::journal::segments::Segments;
use crate::{AuditError, Durability, End, Outcome, Record, Recovery, RequestIntent, Stats, Unavailable, json};

/// How the journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub durability: Durability,
    /// Length of a segment file. Default 8 MiB.
    pub segment_bytes: u64,
    /// With less disk space free, strangers get no records of their own. Default 256 MiB.
    pub reserve_bytes: u64,
    /// So many records waiting are written without lingering. Default 32.
    pub max_batch: usize,
    /// How long records wait for company when there is any. Default 1 ms.
    pub linger: Duration,
    /// After so long without confirmation a request is refused. Default 2 s.
    pub commit_timeout: Duration,
    /// Records before this place stand in the log, whatever the journal's folder holds: their numbers are not given out
    /// again. Default: none do.
    pub sealed: Position,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Strict,
            segment_bytes: 8 << 20,
            reserve_bytes: 256 << 20,
            max_batch: 32,
            linger: Duration::from_millis(1),
            commit_timeout: Duration::from_secs(2),
            sealed: Position { boot: 0, seq: 0 },
        }
    }
}

/// The longest record and what stands around it must fit.
const SHORTEST_SEGMENT: u64 = 128 << 10;

/// The durable journal. Clones share it; when the last one goes, what is queued is written and the files are
/// closed (blocking; [`Journal::close`] does it on purpose and tells whether it worked).
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    segments: Arc<Segments>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<Verdict>,
    others: Vec<JoinHandle<()>>,
    /// Held until all threads have ended.
    lock: Lock,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.inner.shared;
        f.debug_struct("Journal").field("boot", &shared.boot).field("ready", &shared.is_ready()).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in `dir`, which is made if need be: brings what the last boot left behind in order,
    /// begins a new boot and starts the threads that write. Blocks.
    ///
    /// # Errors
    /// Another process writes it, the disk refuses, or the files are of a later version.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), AuditError> {
        Self::open_on(dir, options, Arc::new(FileSystem))
    }

    pub(crate) fn open_on(dir: &Path, options: Options, disk: Arc<dyn Disk>) -> Result<(Self, Recovery), AuditError> {
        let lock = disk.lock(dir)?;
        let recovery = recovery::recover(&*disk, dir, options.sealed)?;
        let newest = recovery.newest.unwrap_or_default();
        let shared = Arc::new(Shared::new(options, recovery.boot, newest));
        let length = options.segment_bytes.max(SHORTEST_SEGMENT);
        let segments = Arc::new(Segments::new(dir, disk, recovery.boot, length));
        segments.prepare(&shared).map_err(AuditError::io("could not begin a journal file in", dir))?;

        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(work).map_err(AuditError::Thread)
        };
        let (s, f) = (Arc::clone(&shared), Arc::clone(&segments));
        let maker = spawn("audit-segments", Box::new(move || f.keep_ready(&s)))?;
        let s = Arc::clone(&shared);
        let watch = spawn("audit-watch", Box::new(move || watch::watch(&s)))?;
        let (s, f) = (Arc::clone(&shared), Arc::clone(&segments));
        let writer = thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(move || writer::write(&s, &f))
            .map_err(AuditError::Thread)?;

        let threads = Mutex::new(Some(Threads { writer, others: vec![watch, maker], lock }));
        let journal = Self { inner: Arc::new(Inner { shared, segments, threads }) };
        if let Some(recovered) = recovery.record() {
            journal.append_blocking(SystemClock.now(), &Record::Recovery(recovered))?;
        }
        Ok((journal, recovery))
    }

    /// Records a request. When this returns `Ok`, the record is as durable as the options promise, and the
    /// request may go on; otherwise it must not.
    ///
    /// If the future is dropped before, or the confirmation comes too late, the journal itself records that the
    /// request never left.
    ///
    /// # Errors
    /// The record is not on disk, or not in time.
    pub async fn intent(&self, intent: &RequestIntent<'_>) -> Result<Position, Unavailable> {
        let shared = &*self.inner.shared;
        self.reserve(intent)?;
        let (reply, confirmed) = oneshot::channel();
        let urgency = Urgency::Awaited(Reply::Task(reply));
        let position = self.counted(encoded(
            |out| json::request(out, intent),
            |bytes| shared.push(FrameKind::Record, intent.at, bytes, urgency),
        ))?;
        let mut unclaimed = Unclaimed { journal: self, position: Some(position) };
        told(confirmed).await?;
        unclaimed.position = None;
        Ok(position)
    }

    /// Records a request that goes nowhere (a refusal, a page without effect) without waiting for the disk.
    ///
    /// # Errors
    /// The journal can't take it.
    pub fn note(&self, intent: &RequestIntent<'_>) -> Result<Position, Unavailable> {
        self.reserve(intent)?;
        let shared = &*self.inner.shared;
        self.counted(encoded(
            |out| json::request(out, intent),
            |bytes| shared.push(FrameKind::Record, intent.at, bytes, Urgency::Riding),
        ))
    }

    /// Records what became of a request. Never waits: it is written with the next batch, within a second at the
    /// latest. If the disk takes nothing for long, outcomes are dropped and counted; readers then show
    /// `outcome-unknown`.
    pub fn outcome(&self, of: Position, outcome: &Outcome) {
        let shared = &*self.inner.shared;
        let pushed = encoded(
            |out| json::outcome(out, of, outcome),
            |bytes| shared.push(FrameKind::Outcome, outcome.at, bytes, Urgency::Riding),
        );
        if pushed.is_err() {
            shared.counters.lost_outcomes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records a change, a sign-in or the like. When this returns `Ok` it is on the disk itself, with `relaxed`
    /// durability too.
    ///
    /// # Errors
    /// The record is not on disk, or not in time. It may get there later all the same; what it describes must
    /// not happen.
    pub async fn append(&self, at: Timestamp, record: &Record) -> Result<Position, Unavailable> {
        let (reply, confirmed) = oneshot::channel();
        let position = self.push(at, record, Urgency::Synced(Reply::Task(reply)))?;
        told(confirmed).await?;
        Ok(position)
    }

    /// Records what was seen to happen, and what nothing waits for. Written with the next batch, within a second at the
    /// latest.
    ///
    /// # Errors
    /// The journal can't take it.
    pub fn observe(&self, at: Timestamp, record: &Record) -> Result<Position, Unavailable> {
        self.push(at, record, Urgency::Riding)
    }

    /// [`Journal::append`] for a thread that may block.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_blocking(&self, at: Timestamp, record: &Record) -> Result<Position, Unavailable> {
        let (reply, confirmed) = mpsc::channel();
        let position = self.push(at, record, Urgency::Synced(Reply::Thread(reply)))?;
        confirmed.recv().unwrap_or(Err(Unavailable::Closed))?;
        Ok(position)
    }

    /// False while the journal can't be written: every request must be refused. It turns true by itself once the
    /// disk takes records again.
    pub fn ready(&self) -> bool {
        self.inner.shared.is_ready()
    }

    /// False: disk space is short, and strangers' requests are to be counted, not recorded one by one.
    pub fn has_room_for_strangers(&self) -> bool {
        !self.inner.shared.is_tight()
    }

    /// Time of the newest record, those of earlier boots included; the epoch if there is none.
    pub fn newest(&self) -> Timestamp {
        self.inner.shared.newest()
    }

    /// The highest number of this boot that is on the disk itself, with all before it.
    pub fn durable(&self) -> Position {
        let shared = &self.inner.shared;
        Position { boot: shared.boot, seq: shared.durable() }
    }

    /// Everything was written that ever will be.
    pub fn is_closed(&self) -> bool {
        self.inner.shared.is_closed()
    }

    /// How many times this journal has been opened.
    pub fn boot(&self) -> u32 {
        self.inner.shared.boot
    }

    pub fn stats(&self) -> Stats {
        let shared = &self.inner.shared;
        Stats { queued_bytes: shared.queued(), free_bytes: shared.free(), ..shared.counters.snapshot() }
    }

    /// Writes what is queued, ends the boot cleanly and closes the files. Other clones get
    /// [`Unavailable::Closed`] from now on. Blocks until done.
    ///
    /// # Errors
    /// The disk did not take what was left.
    pub fn close(self) -> Result<(), AuditError> {
        Ok(self.inner.close()?)
    }

    /// Strangers have no claim on the last of the disk.
    fn reserve(&self, intent: &RequestIntent<'_>) -> Result<(), Unavailable> {
        if intent.is_stranger() && self.inner.shared.is_tight() { Err(Unavailable::Reserved) } else { Ok(()) }
    }

    fn push(&self, at: Timestamp, record: &Record, urgency: Urgency) -> Result<Position, Unavailable> {
        let shared = &*self.inner.shared;
        self.counted(encoded(
            |out| json::record(out, at, record),
            |bytes| shared.push(FrameKind::Record, at, bytes, urgency),
        ))
    }

    fn counted(&self, pushed: Result<Position, Unavailable>) -> Result<Position, Unavailable> {
        if pushed.is_err() {
            self.inner.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
        }
        pushed
    }
}

impl Inner {
    fn close(&self) -> Verdict {
        let Some(threads) = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        self.shared.shut();
        let written = threads.writer.join().unwrap_or(Err(Unavailable::Down));
        self.shared.ended();
        self.segments.stop();
        for thread in threads.others {
            thread.thread().unpark();
            drop(thread.join());
        }
        drop(threads.lock);
        written
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.close().is_err() {
            tracing::error!("the journal could not write everything that was queued when it was closed");
        }
    }
}

/// Waits for the writer's word, and passes it on to who waited for the same batch.
async fn told(confirmed: oneshot::Receiver<Told>) -> Verdict {
    let Ok(Told { verdict, others }) = confirmed.await else { return Err(Unavailable::Closed) };
    drop(others);
    verdict
}

/// A record that nobody has been allowed to act on. If that stays so, the journal says so: history must not
/// leave open whether the SaaS saw the request.
struct Unclaimed<'j> {
    journal: &'j Journal,
    position: Option<Position>,
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if let Some(position) = self.position {
            let refused = Outcome { at: SystemClock.now(), end: End::Refused, more: Map::new(), ..Outcome::default() };
            self.journal.outcome(position, &refused);
        }
    }
}

/// Encodes into this thread's buffer and hands it on.
fn encoded(
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Unavailable>,
    push: impl FnOnce(&[u8]) -> Result<Position, Unavailable>,
) -> Result<Position, Unavailable> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        encode(buffer)?;
        push(buffer)
    })
}
