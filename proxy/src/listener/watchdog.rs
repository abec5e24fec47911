//! Cuts connections whose peer makes us wait: a slow head, a trickling body, an answer nobody takes.
//!
//! Timeouts per read can be stretched for ever by one byte now and then. So progress is measured over time
//! instead: bytes that arrived, or were taken, while we were waiting for the peer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Registry;
use super::connection::{Phase, Progress};

const PERIOD: Duration = Duration::from_millis(500);

/// Below this many bytes per second a peer we wait for counts as stalled.
const SLOWEST: u64 = 240;

/// How long a peer may take over each thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a request's whole head, from its first byte.
    pub(crate) head: Duration,
    /// Between an answer and the next request.
    pub(crate) idle: Duration,
    /// For time spent below the slowest rate while we wait, for bodies and answers.
    pub(crate) stall: Duration,
}

/// Runs until the process ends.
pub(crate) async fn watch(registry: Arc<Registry>, patience: impl Fn() -> Patience + Send) {
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        registry.clock.tick();
        let patience = patience();
        let connections = registry.all();
        for connection in &connections {
            let seen = seen.entry(connection.id).or_default();
            if seen.look(&connection.progress, connection.http2, patience) {
                connection.cut();
            }
        }
        if seen.len() > connections.len() {
            let live: std::collections::HashSet<_> = connections.iter().map(|c| c.id).collect();
            seen.retain(|id, _| live.contains(id));
        }
    }
}

/// What the watchdog remembers of a connection from its last look.
#[derive(Debug, Default)]
struct Seen {
    bytes_in: u64,
    bytes_out: u64,
    read_stalled: Duration,
    write_stalled: Duration,
}

impl Seen {
    /// Whether the peer's time is up.
    fn look(&mut self, progress: &Progress, http2: bool, patience: Patience) -> bool {
        let (phase, since) = progress.phase();
        let out = progress.bytes_out.load(Relaxed);
        let enough = |before: u64, now: u64| now - before >= SLOWEST * PERIOD.as_millis() as u64 / 1000;
        self.write_stalled = match progress.write_waiting.load(Relaxed) && !enough(self.bytes_out, out) {
            true => self.write_stalled + PERIOD,
            false => Duration::ZERO,
        };
        self.bytes_out = out;

        let into = progress.bytes_in.load(Relaxed);
        let receiving = phase == Phase::Busy && progress.receiving.load(Relaxed) > 0;
        self.read_stalled = match receiving && progress.read_waiting.load(Relaxed) && !enough(self.bytes_in, into) {
            true => self.read_stalled + PERIOD,
            false => Duration::ZERO,
        };
        self.bytes_in = into;

        let phase_over = match phase {
            // An idle HTTP/2 connection receives frames that begin no request.
            Phase::Head if http2 => since > patience.idle,
            Phase::Head => since > patience.head,
            Phase::Idle => since > patience.idle,
            Phase::Busy => false,
        };
        phase_over || self.write_stalled > patience.stall || self.read_stalled > patience.stall
    }
}
