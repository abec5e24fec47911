//! What stands between requests and the writer: one buffer of frames, and who waits for them.
//!
//! Requests append to the buffer under a short lock and wait; the writer swaps it for an empty one. A number
//! is given out under that same lock, so numbers have no gap and stand in the file in order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use vocabulary::Timestamp;

use crate::journal::frame::{self, FrameKind, MAX_PAYLOAD};
use crate::journal::stats::Counters;
use crate::{Options, Unavailable};

/// More than this waiting for the disk: outcomes are dropped (they become `outcome-unknown`), records refused.
const QUEUE_BYTES: usize = 16 << 20;
/// With this much riding along and nobody waiting, the writer writes anyway.
const FLUSH_BYTES: usize = 256 << 10;

/// Where a record stands. Numbers of one boot begin at 1 and have no gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// How many times the journal had been opened, this time included.
    pub boot: u32,
    pub seq: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.boot, self.seq)
    }
}

pub(crate) type Verdict = Result<(), Unavailable>;

/// Who is told that a record is on disk.
#[derive(Debug)]
pub(crate) enum Reply {
    Task(oneshot::Sender<Told>),
    Thread(std::sync::mpsc::Sender<Verdict>),
}

impl Reply {
    /// Nobody listens any more? Then whoever stopped listening has seen to it.
    pub(crate) fn tell(self, verdict: Verdict) {
        match self {
            Self::Task(sender) => drop(sender.send(Told { verdict, others: Others::default() })),
            Self::Thread(sender) => drop(sender.send(verdict)),
        }
    }
}

/// Tells everybody that their records are on disk.
pub(crate) fn tell_all(told: &mut Vec<Reply>) {
    let mut tasks = Others::default();
    for reply in told.drain(..) {
        match reply {
            Reply::Task(sender) => tasks.0.push(sender),
            Reply::Thread(_) => reply.tell(Ok(())),
        }
    }
    tasks.tell();
}

/// What a waiting task is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) verdict: Verdict,
    /// Let go of, it tells them.
    pub(crate) others: Others,
}

/// Tasks whose records went to disk in the same batch. The writer wakes one task, which wakes these: a task that
/// another one wakes costs no system call, while each one woken from the writer's thread may cost two switches.
#[derive(Debug, Default)]
pub(crate) struct Others(Vec<oneshot::Sender<Told>>);

impl Drop for Others {
    fn drop(&mut self) {
        for sender in self.0.drain(..) {
            drop(sender.send(Told { verdict: Ok(()), others: Self::default() }));
        }
    }
}

impl Others {
    /// Tells all of them through the first that still listens.
    fn tell(mut self) {
        while let Some(first) = self.0.pop() {
            match first.send(Told { verdict: Ok(()), others: Self(std::mem::take(&mut self.0)) }) {
                Ok(()) => return,
                Err(mut unheard) => std::mem::swap(&mut self, &mut unheard.others),
            }
        }
    }
}

/// Whether somebody waits for a frame.
#[derive(Debug)]
pub(crate) enum Urgency {
    /// Nobody; it goes with the next batch, or within a second.
    Riding,
    /// Somebody, for what the configured durability promises.
    Awaited(Reply),
    /// Somebody, for the disk itself, whatever the configuration says.
    Synced(Reply),
}

#[derive(Debug)]
struct Waiter {
    seq: u64,
    since: Instant,
    reply: Reply,
}

/// Frames to be written together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: u64,
    /// How many of them somebody waits for.
    pub(crate) awaited: usize,
    /// It must reach the disk itself.
    pub(crate) sync: bool,
    /// Since when the first one waits.
    oldest: Option<Instant>,
}

impl Batch {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        // A burst must not pin its memory for good.
        self.bytes.shrink_to(1 << 20);
        (self.frames, self.awaited, self.sync, self.oldest) = (0, 0, false, None);
    }
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    next_seq: u64,
    waiters: VecDeque<Waiter>,
    /// The writer sleeps until somebody waits.
    asleep: bool,
    /// The writer sleeps until its batch is full or its time is up.
    lingering: bool,
    flush: bool,
    sync: bool,
    closing: bool,
}

/// The state that requests, the writer and the other threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) boot: u32,
    queue: Mutex<Queue>,
    work: Condvar,
    ready: AtomicBool,
    tight: AtomicBool,
    free: AtomicU64,
    newest: AtomicI64,
    closed: AtomicBool,
    durable: AtomicU64,
    pub(crate) counters: Counters,
}

impl Shared {
    pub(crate) fn new(options: Options, boot: u32, newest: Timestamp) -> Self {
        Self {
            options,
            boot,
            queue: Mutex::new(Queue { next_seq: 1, ..Queue::default() }),
            work: Condvar::new(),
            ready: AtomicBool::new(true),
            tight: AtomicBool::new(false),
            free: AtomicU64::new(u64::MAX),
            newest: AtomicI64::new(newest.0),
            closed: AtomicBool::new(false),
            durable: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a frame in and gives it its number.
    pub(crate) fn push(
        &self,
        kind: FrameKind,
        at: Timestamp,
        payload: &[u8],
        urgency: Urgency,
    ) -> Result<Position, Unavailable> {
        if payload.len() > MAX_PAYLOAD {
            return Err(Unavailable::TooLong);
        }
        if kind == FrameKind::Record && !self.is_ready() {
            return Err(if self.closed.load(Ordering::Relaxed) { Unavailable::Closed } else { Unavailable::Down });
        }
        let mut queue = self.lock();
        if queue.closing {
            return Err(Unavailable::Closed);
        }
        if queue.batch.bytes.len() > QUEUE_BYTES {
            return Err(Unavailable::Down);
        }
        let seq = queue.next_seq;
        queue.next_seq += 1;
        frame::push(&mut queue.batch.bytes, kind, self.boot, seq, payload);
        queue.batch.frames += 1;
        let (reply, sync) = match urgency {
            Urgency::Riding => (None, false),
            Urgency::Awaited(reply) => (Some(reply), false),
            Urgency::Synced(reply) => (Some(reply), true),
        };
        let awaited = reply.is_some();
        if let Some(reply) = reply {
            let since = Instant::now();
            queue.waiters.push_back(Waiter { seq, since, reply });
            queue.batch.oldest.get_or_insert(since);
            queue.batch.awaited += 1;
            queue.batch.sync |= sync;
        }
        let wake = if queue.asleep {
            awaited || queue.batch.bytes.len() >= FLUSH_BYTES
        } else {
            queue.lingering && (queue.batch.awaited >= self.options.max_batch || sync)
        };
        if wake {
            (queue.asleep, queue.lingering) = (false, false);
        }
        drop(queue);
        // Only a writer that sleeps costs a system call, and only once.
        if wake {
            self.work.notify_one();
        }
        self.newest.fetch_max(at.0, Ordering::Relaxed);
        Ok(Position { boot: self.boot, seq })
    }

    /// Waits for something to write and exchanges it for `batch`, which must be empty. False: the journal was
    /// closed and everything is written.
    ///
    /// With `crowd`, company is expected: it waits for a full batch, at most the linger time.
    pub(crate) fn take(&self, batch: &mut Batch, crowd: bool) -> bool {
        let mut queue = self.lock();
        loop {
            let urgent = queue.closing || queue.flush || queue.batch.sync || queue.batch.bytes.len() >= FLUSH_BYTES;
            if queue.batch.frames == 0 {
                if queue.closing {
                    return false;
                }
                queue.flush = false;
                if std::mem::take(&mut queue.sync) {
                    break;
                }
            } else if urgent {
                break;
            } else if let Some(oldest) = queue.batch.oldest {
                let waited = oldest.elapsed();
                if !crowd || queue.batch.awaited >= self.options.max_batch || waited >= self.options.linger {
                    break;
                }
                queue.lingering = true;
                let left = self.options.linger - waited;
                queue = self.work.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
                queue.lingering = false;
                continue;
            }
            queue.asleep = true;
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.asleep = false;
        }
        std::mem::swap(&mut queue.batch, batch);
        queue.flush = false;
        batch.sync |= std::mem::take(&mut queue.sync);
        true
    }

    /// Moves to `told` everybody who waits for a frame up to `seq`, to be told that it is on disk. Returns how many wait
    /// already for later ones.
    pub(crate) fn confirmed(&self, seq: u64, told: &mut Vec<Reply>) -> usize {
        let mut queue = self.lock();
        while queue.waiters.front().is_some_and(|waiter| waiter.seq <= seq) {
            told.extend(queue.waiters.pop_front().map(|waiter| waiter.reply));
        }
        queue.waiters.len()
    }

    /// Refuses whoever has waited longer than `longest`. From then on the journal is not ready, until the writer
    /// gets through.
    pub(crate) fn give_up(&self, longest: Duration, told: Unavailable) {
        let mut queue = self.lock();
        let mut late = Vec::new();
        while queue.waiters.front().is_some_and(|waiter| waiter.since.elapsed() >= longest) {
            late.extend(queue.waiters.pop_front().map(|waiter| waiter.reply));
        }
        if !late.is_empty() {
            self.ready.store(false, Ordering::Release);
        }
        drop(queue);
        self.counters.refused.fetch_add(late.len() as u64, Ordering::Relaxed);
        for reply in late {
            reply.tell(Err(told));
        }
    }

    /// Has what rides along written now; with `sync`, also what is with the operating system brought to disk.
    pub(crate) fn flush(&self, sync: bool) {
        let mut queue = self.lock();
        queue.flush |= queue.batch.frames > 0;
        queue.sync |= sync;
        let wake = (queue.flush || queue.sync) && std::mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.work.notify_one();
        }
    }

    /// Takes nothing more in; the writer ends when all is written.
    pub(crate) fn shut(&self) {
        let mut queue = self.lock();
        queue.closing = true;
        (queue.asleep, queue.lingering) = (false, false);
        drop(queue);
        self.work.notify_all();
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.lock().closing
    }

    /// The writer has ended.
    pub(crate) fn ended(&self) {
        self.closed.store(true, Ordering::Release);
        self.ready.store(false, Ordering::Release);
        self.give_up(Duration::ZERO, Unavailable::Closed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Numbers up to this one are on the disk itself.
    pub(crate) fn set_durable(&self, seq: u64) {
        self.durable.fetch_max(seq, Ordering::Release);
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.lock().next_seq
    }

    pub(crate) fn queued(&self) -> u64 {
        self.lock().batch.bytes.len() as u64
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    pub(crate) fn is_tight(&self) -> bool {
        self.tight.load(Ordering::Relaxed)
    }

    pub(crate) fn set_free(&self, free: u64) {
        self.free.store(free, Ordering::Relaxed);
        self.tight.store(free < self.options.reserve_bytes, Ordering::Relaxed);
    }

    pub(crate) fn free(&self) -> Option<u64> {
        Some(self.free.load(Ordering::Relaxed)).filter(|free| *free != u64::MAX)
    }

    pub(crate) fn newest(&self) -> Timestamp {
        Timestamp(self.newest.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(shared: &Shared, many: usize) -> Vec<oneshot::Receiver<Told>> {
        let wait = |_| {
            let (sender, receiver) = oneshot::channel();
            shared.push(FrameKind::Record, Timestamp(1), b"{}", Urgency::Awaited(Reply::Task(sender))).unwrap();
            receiver
        };
        (0..many).map(wait).collect()
    }

    /// Whoever of a batch has gone away meanwhile, told or not: the others hear that their records are on disk.
    #[test]
    fn everybody_of_a_batch_is_told_whoever_has_gone() {
        const MANY: usize = 4;
        for gone in 0..MANY {
            for heard in [true, false] {
                let shared = Shared::new(Options::default(), 1, Timestamp(0));
                let mut waiting = waiting(&shared, MANY);
                let leaves = Some(waiting.remove(gone)).filter(|_| heard);
                let mut told = Vec::new();
                shared.confirmed(MANY as u64, &mut told);
                assert_eq!(told.len(), MANY);
                tell_all(&mut told);
                drop(leaves);
                // Tasks run until each has what it waited for; those not told yet are told by those that were.
                let mut left = waiting;
                while !left.is_empty() {
                    let before = left.len();
                    left.retain_mut(|receiver| match receiver.try_recv() {
                        Ok(told) => {
                            assert_eq!(told.verdict, Ok(()));
                            false
                        }
                        Err(oneshot::error::TryRecvError::Empty) => true,
                        Err(oneshot::error::TryRecvError::Closed) => panic!("somebody was forgotten"),
                    });
                    assert!(left.len() < before, "nobody tells the rest ({gone} gone, heard: {heard})");
                }
            }
        }
    }
}
