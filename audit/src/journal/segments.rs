//! Segment files: the next one is written ahead in the background, the last one is finished there.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use vocabulary::{Clock as _, SystemClock};

use crate::journal::durable::{Disk, SegmentFile};
use crate::journal::frame::{SEGMENT_HEADER, SegmentHeader};
use crate::journal::queue::Shared;

/// How often free space is looked at, and a file that could not be made is tried again.
const TICK: Duration = Duration::from_millis(250);

/// Name of a segment. Numbers are padded so that a listing is in order.
pub(crate) fn name(boot: u32, number: u32) -> String {
    format!("{boot:06}-{number:06}")
}

/// Boot and number, if it is a segment's name.
pub(crate) fn parse_name(name: &str) -> Option<(u32, u32)> {
    let (boot, number) = name.split_once('-')?;
    let read = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
    Some((read(boot)?, read(number)?))
}

/// A segment that is being filled.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// Something in it was confirmed to somebody: the file must stay.
    pub(crate) holds_confirmed: bool,
    pub(crate) file: Box<dyn SegmentFile>,
    pub(crate) salt: u32,
    pub(crate) used: u64,
    pub(crate) length: u64,
}

impl Segment {
    pub(crate) fn room(&self) -> u64 {
        self.length - self.used
    }
}

#[derive(Debug, Default)]
struct Slot {
    spare: Option<Segment>,
    /// How often a file could not be made, and why the last time.
    failures: u64,
    problem: Option<io::Error>,
    full: VecDeque<Segment>,
    next_number: u32,
    stopped: bool,
}

/// Makes and finishes the segments of one boot.
#[derive(Debug)]
pub(crate) struct Segments {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    boot: u32,
    length: u64,
    slot: Mutex<Slot>,
    changed: Condvar,
}

impl Segments {
    pub(crate) fn new(dir: &Path, disk: Arc<dyn Disk>, boot: u32, length: u64) -> Self {
        let slot = Mutex::new(Slot { next_number: 1, ..Slot::default() });
        Self { dir: dir.to_owned(), disk, boot, length, slot, changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh segment. Waits for it if it is still being made.
    pub(crate) fn take(&self) -> io::Result<Segment> {
        let mut slot = self.lock();
        let seen = slot.failures;
        loop {
            if let Some(segment) = slot.spare.take() {
                drop(slot);
                self.changed.notify_all();
                return Ok(segment);
            }
            if slot.failures != seen {
                let problem = slot.problem.as_ref().map_or(io::ErrorKind::Other, io::Error::kind);
                return Err(problem.into());
            }
            if slot.stopped {
                return Err(io::ErrorKind::Interrupted.into());
            }
            slot = self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes a filled segment, to cut off what it did not use.
    pub(crate) fn finish(&self, segment: Segment) {
        self.lock().full.push_back(segment);
        self.changed.notify_all();
    }

    /// Lets go of a segment that failed. One that holds nothing confirmed is removed, so that a disk which takes new
    /// files and no writes isn't filled with them.
    pub(crate) fn abandon(&self, segment: Segment) {
        let Segment { path, holds_confirmed, file, .. } = segment;
        drop(file);
        if !holds_confirmed {
            drop(self.disk.remove(&path));
        }
    }

    /// Makes the spare segment if there is none. Only one thread at a time may call this.
    pub(crate) fn prepare(&self, shared: &Shared) -> io::Result<()> {
        let mut slot = self.lock();
        if slot.spare.is_some() {
            return Ok(());
        }
        // A number is never used twice: a file that could neither be made nor removed would stand in the way.
        let number = slot.next_number;
        slot.next_number += 1;
        drop(slot);
        let path = self.dir.join(name(self.boot, number));
        let made = self.make(&path, number);
        let mut slot = self.lock();
        let result = match made {
            Ok(segment) => {
                shared.counters.segments.fetch_add(1, Ordering::Relaxed);
                slot.problem = None;
                slot.spare = Some(segment);
                Ok(())
            }
            Err(problem) => {
                let kind = problem.kind();
                slot.failures += 1;
                slot.problem = Some(problem);
                Err(kind.into())
            }
        };
        drop(slot);
        self.changed.notify_all();
        result
    }

    fn make(&self, path: &Path, number: u32) -> io::Result<Segment> {
        let mut salt = [0; 4];
        SystemRandom::new().fill(&mut salt).map_err(|_| io::Error::other("no random numbers"))?;
        let salt = u32::from_le_bytes(salt);
        let header = SegmentHeader { boot: self.boot, number, salt, created: SystemClock.now() };
        let file = self.disk.create(path, &header.encode(), self.length)?;
        let (path, used) = (path.to_owned(), SEGMENT_HEADER as u64);
        Ok(Segment { path, holds_confirmed: false, file, salt, used, length: self.length })
    }

    /// Keeps a spare segment ready and an eye on free space until [`Segments::stop`].
    pub(crate) fn keep_ready(&self, shared: &Shared) {
        loop {
            self.finish_full();
            if let Ok(free) = self.disk.free(&self.dir) {
                shared.set_free(free);
            }
            if let Err(problem) = self.prepare(shared) {
                shared.counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%problem, "the next journal file could not be made");
            }
            let slot = self.lock();
            if slot.stopped {
                break;
            }
            // After a failure even a waiting writer must let the tick pass, or the two would spin.
            let idle = |slot: &mut Slot| {
                let made = slot.spare.is_some() || slot.problem.is_some();
                !slot.stopped && slot.full.is_empty() && made
            };
            drop(self.changed.wait_timeout_while(slot, TICK, idle));
        }
        self.finish_full();
        let spare = self.lock().spare.take();
        if let Some(Segment { path, .. }) = spare {
            drop(self.disk.remove(&path));
        }
    }

    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn finish_full(&self) {
        while let Some(mut segment) = { self.lock().full.pop_front() } {
            // Everything in it is on disk already; this only gives space back.
            if let Err(problem) = segment.file.shorten(segment.used) {
                tracing::warn!(%problem, "a full journal file could not be shortened");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_left_alone() {
        assert_eq!(parse_name(&name(3, 12)), Some((3, 12)));
        assert_eq!(parse_name("1234567-1234567"), Some((1_234_567, 1_234_567)));
        for other in ["lock", "000001-000001.tmp", "000001-000001.quarantined", "+1-2", "1-", "-1", "1-2-3"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
