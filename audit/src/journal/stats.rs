//! What the journal counts about itself, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the commit latency buckets, in microseconds; one more bucket holds the rest.
const LATENCY_US: [u64; 12] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_000_000];
/// Upper bounds of the batch size buckets, in confirmed records; one more bucket holds the rest.
const BATCH: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// How often values fell into which range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Inclusive upper bound and count of each bucket, not cumulated; the last bound is `u64::MAX`.
    pub buckets: Vec<(u64, u64)>,
    pub sum: u64,
}

/// Counts since the journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Batches written.
    pub commits: u64,
    /// Records and outcomes written.
    pub frames: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Files begun.
    pub segments: u64,
    /// Writes or synchronisations that failed.
    pub failures: u64,
    /// Records refused because the journal could not take or confirm them.
    pub refused: u64,
    /// Outcomes that could not be kept in memory while the disk did not take them.
    pub lost_outcomes: u64,
    /// Microseconds of writing and synchronising one batch.
    pub commit_us: Histogram,
    /// Records confirmed by one batch.
    pub batch: Histogram,
    /// Bytes that wait to be written.
    pub queued_bytes: u64,
    /// Free disk space at the last look; None: not known yet.
    pub free_bytes: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) lost_outcomes: AtomicU64,
    commit_us: Buckets<13>,
    batch: Buckets<9>,
}

#[derive(Debug)]
struct Buckets<const N: usize> {
    counts: [AtomicU64; N],
    sum: AtomicU64,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; N], sum: AtomicU64::new(0) }
    }
}

impl<const N: usize> Buckets<N> {
    fn add(&self, bounds: &[u64], value: u64) {
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(N - 1);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    fn snapshot(&self, bounds: &[u64]) -> Histogram {
        let bounds = bounds.iter().copied().chain([u64::MAX]);
        let buckets = bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        Histogram { buckets, sum: self.sum.load(Relaxed) }
    }
}

impl Counters {
    pub(crate) fn committed(&self, frames: u64, confirmed: u64, bytes: u64, took: Duration) {
        self.commits.fetch_add(1, Relaxed);
        self.frames.fetch_add(frames, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.commit_us.add(&LATENCY_US, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.batch.add(&BATCH, confirmed);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            commits: self.commits.load(Relaxed),
            frames: self.frames.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            segments: self.segments.load(Relaxed),
            failures: self.failures.load(Relaxed),
            refused: self.refused.load(Relaxed),
            lost_outcomes: self.lost_outcomes.load(Relaxed),
            commit_us: self.commit_us.snapshot(&LATENCY_US),
            batch: self.batch.snapshot(&BATCH),
            queued_bytes: 0,
            free_bytes: None,
        }
    }
}
