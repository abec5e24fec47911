//! Cuts connections whose peer makes us wait: a slow head, a trickling body, an answer nobody takes.
//!
//! Timeouts per read can be stretched for ever by one byte now and then. So progress is measured over time
//! instead: bytes that arrived, or were taken, while we were waiting for the peer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Listening;
use super::connection::{Connection, Cut, Phase};
use super::frames::Counts;

const PERIOD: Duration = Duration::from_millis(500);

/// Below this many bytes per second a peer we wait for counts as stalled.
const SLOWEST: u64 = 240;

/// How long a peer may send 10,000 empty frames, or give up 200 requests, a second.
const FLOOD: Duration = Duration::from_secs(2);

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
pub(crate) async fn watch(gate: Arc<impl Listening>) {
    let registry = gate.registry().clone();
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        registry.clock.tick();
        let patience = gate.patience();
        let connections = registry.all();
        for connection in &connections {
            let seen = seen.entry(connection.id).or_default();
            if let Some(why) = seen.look(connection, patience) {
                connection.cut_because(why);
            }
        }
        if registry.places.are_scarce(gate.limits()) {
            registry.places.strangers(&who_waits_longest_last(&connections));
        }
        if seen.len() > connections.len() {
            let live: std::collections::HashSet<_> = connections.iter().map(|c| c.id).collect();
            seen.retain(|id, _| live.contains(id));
        }
    }
}

/// Strangers whose places others may have. Who is being answered comes before who is not.
fn who_waits_longest_last(connections: &[Arc<Connection>]) -> Vec<Arc<Connection>> {
    let mut strangers: Vec<_> = connections.iter().filter(|c| c.waits_as_stranger()).cloned().collect();
    strangers.sort_by_cached_key(|connection| {
        let (phase, since) = connection.progress.phase();
        (phase != Phase::Busy, since)
    });
    strangers
}

/// What the watchdog remembers of a connection from its last look.
#[derive(Debug, Default)]
struct Seen {
    bytes_in: u64,
    bytes_out: u64,
    opened: u64,
    resets: u64,
    control: u64,
    flooded: u32,
    read_stalled: Duration,
    write_stalled: Duration,
}

impl Seen {
    /// Why the peer's time is up, if it is.
    fn look(&mut self, connection: &Connection, patience: Patience) -> Option<Cut> {
        let progress = &connection.progress;
        let (phase, since) = progress.phase();
        let out = progress.bytes_out.load(Relaxed);
        let taken = out - self.bytes_out;
        let enough = |bytes: u64| bytes >= SLOWEST * PERIOD.as_millis() as u64 / 1000;
        self.write_stalled = match progress.write_waiting.load(Relaxed) && !enough(taken) {
            true => self.write_stalled + PERIOD,
            false => Duration::ZERO,
        };
        self.bytes_out = out;

        let into = progress.bytes_in.load(Relaxed);
        let receiving = phase == Phase::Busy && progress.receiving.load(Relaxed) > 0;
        self.read_stalled = match receiving && progress.read_waiting.load(Relaxed) && !enough(into - self.bytes_in) {
            true => self.read_stalled + PERIOD,
            false => Duration::ZERO,
        };
        self.bytes_in = into;

        let idle = match phase {
            // An idle HTTP/2 connection receives frames that begin no request.
            Phase::Head if connection.http2 => since > patience.idle,
            Phase::Head if since > patience.head => return Some(Cut::SlowHead),
            Phase::Idle => since > patience.idle,
            Phase::Head | Phase::Busy => false,
        };
        if idle {
            return Some(Cut::Idle);
        }
        if self.write_stalled > patience.stall || self.read_stalled > patience.stall {
            return Some(Cut::Stalled);
        }
        self.is_flood(&connection.frames, taken).then_some(Cut::Flood)
    }

    /// Frames that cost us work and ask for nothing, over [`FLOOD`]. A browser that leaves a page gives up what it asked
    /// for there, and one that takes a download tells that it did; neither goes on like this.
    fn is_flood(&mut self, frames: &Counts, taken: u64) -> bool {
        let since = |now: &AtomicU64, before: &mut u64| {
            let now = now.load(Relaxed);
            now - std::mem::replace(before, now)
        };
        let opened = since(&frames.opened, &mut self.opened);
        let resets = since(&frames.resets, &mut self.resets);
        let control = since(&frames.control, &mut self.control);
        let given_up = resets >= 100 && resets * 2 > opened;
        // At least a window update for every 256 bytes that were taken.
        let empty = control >= 5_000 && control * 256 > taken;
        self.flooded = if given_up || empty { self.flooded + 1 } else { 0 };
        PERIOD * self.flooded >= FLOOD
    }
}
