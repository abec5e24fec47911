//! The one thread that writes: batch, write, synchronise, confirm.

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::journal::frame::{self, FrameKind};
use crate::journal::queue::{self, Batch, Reply, Shared, Verdict};
use crate::journal::segments::{Segment, Segments};
use crate::{Durability, Unavailable};

/// Two records at once within this time make a crowd: it pays to wait for company.
const CROWD: Duration = Duration::from_millis(10);
/// How long a disk that refuses is left alone.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a closing journal tries a disk that refuses.
const LAST_TRIES: u32 = 3;

/// Writes until the journal is closed. An error: what was left could not be written.
pub(crate) fn write(shared: &Shared, segments: &Segments) -> Verdict {
    let mut writer =
        Writer { shared, segments, segment: None, dirty: false, appended: 0, failures: 0, told: Vec::new() };
    let mut batch = Batch::default();
    let mut crowded: Option<Instant> = None;
    while shared.take(&mut batch, crowded.is_some_and(|at| at.elapsed() < CROWD)) {
        let awaited = batch.awaited;
        let behind = writer.commit(&mut batch)?;
        if awaited.max(behind) > 1 {
            crowded = Some(Instant::now());
        }
        batch.clear();
    }
    writer.end()
}

struct Writer<'s> {
    shared: &'s Shared,
    segments: &'s Segments,
    segment: Option<Segment>,
    /// Something was appended and not yet synchronised.
    dirty: bool,
    /// The highest number that was.
    appended: u64,
    /// How often in a row the disk has refused.
    failures: u32,
    /// Reused.
    told: Vec<Reply>,
}

/// What one write held.
struct Part {
    bytes: usize,
    frames: u64,
    last: u64,
}

impl Writer<'_> {
    /// Brings a batch to disk, however often that must be tried, and confirms it. Returns how many wait for the
    /// next one.
    fn commit(&mut self, batch: &mut Batch) -> Result<usize, Unavailable> {
        let sync = batch.sync || self.shared.options.durability == Durability::Strict;
        let mut rest = &mut batch.bytes[..];
        let mut behind = 0;
        loop {
            let started = Instant::now();
            match self.write_part(rest, sync) {
                Ok(part) => {
                    if self.failures > 0 {
                        tracing::info!("the journal can be written again");
                        self.failures = 0;
                    }
                    self.shared.set_ready(true);
                    if part.frames > 0 {
                        behind = self.shared.confirmed(part.last, &mut self.told);
                        let (confirmed, bytes) = (self.told.len() as u64, part.bytes as u64);
                        // Counted first, so that whoever has been told is in the figures.
                        self.shared.counters.committed(part.frames, confirmed, bytes, started.elapsed());
                        queue::tell_all(&mut self.told);
                    }
                    rest = &mut rest[part.bytes..];
                    if rest.is_empty() {
                        return Ok(behind);
                    }
                }
                Err(problem) => self.failed(&problem)?,
            }
        }
    }

    /// Writes as many of the frames as fit into the current segment, or into a new one if none does. When this
    /// returns, they may be confirmed.
    fn write_part(&mut self, frames: &mut [u8], sync: bool) -> io::Result<Part> {
        let mut part = Part { bytes: 0, frames: 0, last: 0 };
        if frames.is_empty() {
            if sync {
                self.sync()?;
            }
            return Ok(part);
        }
        let segment = self.room_for(&frames[..frame::total_length(frames)])?;
        while part.bytes < frames.len() {
            let next = &mut frames[part.bytes..];
            let length = frame::total_length(next);
            if (part.bytes + length) as u64 > segment.room() {
                break;
            }
            part.last = frame::seq_of(next);
            frame::seal(next, segment.salt, u32::try_from(part.frames).unwrap_or(u32::MAX));
            part.frames += 1;
            part.bytes += length;
        }
        segment.file.append(segment.used, &frames[..part.bytes])?;
        segment.used += part.bytes as u64;
        (self.dirty, self.appended) = (true, part.last);
        if sync {
            self.sync()?;
        }
        self.check_link()?;
        Ok(part)
    }

    /// The current segment if `frame` fits, or else a new one, begun.
    fn room_for(&mut self, frame: &[u8]) -> io::Result<&mut Segment> {
        let fits = self.segment.as_ref().is_some_and(|segment| frame.len() as u64 <= segment.room());
        if !fits {
            // With relaxed durability the old file may not be on disk yet, and order must hold.
            self.sync()?;
            if let Some(full) = self.segment.take() {
                self.segments.finish(full);
            }
            let mut segment = self.segments.take()?;
            let begun = self.control(&mut segment, FrameKind::Begin, frame::seq_of(frame));
            self.segment = Some(segment);
            begun?;
        }
        self.segment.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Appends a frame that takes no number.
    fn control(&mut self, segment: &mut Segment, kind: FrameKind, next_seq: u64) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame::push(&mut bytes, kind, self.shared.boot, next_seq, &self.shared.newest().0.to_le_bytes());
        frame::seal(&mut bytes, segment.salt, 0);
        segment.file.append(segment.used, &bytes)?;
        segment.used += bytes.len() as u64;
        self.dirty = true;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(segment) = self.segment.as_mut().filter(|_| self.dirty) {
            segment.file.sync()?;
            self.shared.set_durable(self.appended);
        }
        self.dirty = false;
        Ok(())
    }

    /// A file that somebody deleted takes writes without complaint, and keeps none of them. Asking costs a hundredth
    /// of what a synchronisation does.
    fn check_link(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        if !segment.file.is_linked()? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the journal file was deleted while it was written"));
        }
        segment.holds_confirmed = true;
        Ok(())
    }

    /// Lets go of the segment: what a file holds whose write or synchronisation failed is not known any more, and
    /// trying again would not tell. Its unconfirmed frames go to the next one.
    fn failed(&mut self, problem: &io::Error) -> Verdict {
        self.shared.set_ready(false);
        self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        self.failures += 1;
        if self.failures == 1 {
            tracing::error!(%problem, "the journal can't be written; requests are refused until it can");
        }
        if let Some(segment) = self.segment.take() {
            self.segments.abandon(segment);
        }
        self.dirty = false;
        if self.shared.is_shut() && self.failures >= LAST_TRIES {
            return Err(Unavailable::Down);
        }
        // The first time a new file is tried at once.
        if self.failures > 1 {
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Says that this boot ended cleanly.
    fn end(mut self) -> Verdict {
        let Some(mut segment) = self.segment.take() else { return Ok(()) };
        let ended = self
            .control(&mut segment, FrameKind::End, self.shared.next_seq())
            .and_then(|()| segment.file.shorten(segment.used));
        ended.map_err(|problem| {
            tracing::error!(%problem, "the journal's last file could not be closed");
            Unavailable::Down
        })?;
        self.shared.set_durable(self.appended);
        Ok(())
    }
}
