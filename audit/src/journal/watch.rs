//! The thread that looks at the clock, so that neither requests nor the writer have to.

use std::thread;
use std::time::Duration;

use crate::journal::queue::Shared;
use crate::{Durability, Unavailable};

/// Outcomes that nobody waits for are written after one to two of these when nothing else is.
const TICK: Duration = Duration::from_millis(250);

/// Ticks until the journal is closed: has riders written, has relaxed records synchronised, and refuses who waits
/// too long. The writer can't do the last, because it may be the one that is stuck.
pub(crate) fn watch(shared: &Shared) {
    let mut ticks = 0u32;
    while !shared.is_shut() {
        thread::park_timeout(TICK);
        ticks = ticks.wrapping_add(1);
        let relaxed = shared.options.durability == Durability::Relaxed;
        shared.flush(relaxed && ticks.is_multiple_of(2));
        shared.give_up(shared.options.commit_timeout, Unavailable::TimedOut);
    }
    // Closing may be stuck as well.
    while shared.is_ready() {
        thread::park_timeout(TICK);
        shared.give_up(shared.options.commit_timeout, Unavailable::TimedOut);
    }
}
