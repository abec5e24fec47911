//! The journal, read for sealing: numbered frames in order, requests brought together with their outcomes.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use super::leaf::{self, Ending};
use super::plan::{Cursor, End, Plan};
use crate::journal::frame::{self, Frame, FrameKind, SEGMENT_HEADER, SegmentHeader};
use crate::{AuditError, Position};

/// Read at once at most, and at least: more than the longest frame, so that every read makes progress. What was read stays in
/// memory as long as one record of it waits, so the few records of quiet hours must not hold much.
const CHUNK: usize = 1 << 20;
const SHORT: usize = 1 << 16;
/// With so many numbers held, nobody's outcome is waited for any more.
const MANY: usize = 1 << 17;

/// A record on its way into the log.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) position: Position,
    /// A part of what was read at once, as are outcomes: nothing is copied on the way to the leaf.
    payload: Bytes,
    end: End,
    outcome: Bytes,
}

impl Item {
    pub(crate) fn planned(&self) -> (u32, u64, End) {
        (self.position.boot, self.position.seq, self.end)
    }

    /// Appends its leaf.
    pub(crate) fn compose(&self, out: &mut Vec<u8>) {
        let ending = match self.end {
            End::Open => Ending::Open,
            End::Unknown => Ending::Unknown,
            End::Told(seq) => Ending::Told(seq, &self.outcome),
        };
        // Its number must not be missing, and what stands there must not stop everything behind it.
        if leaf::compose(out, self.position, &self.payload, ending).is_err() {
            leaf::unreadable(out, self.position, self.end, &self.payload);
        }
    }
}

/// What is known of a number.
#[derive(Debug)]
enum Slot {
    /// Not read yet, or lost.
    Missing,
    Record {
        payload: Bytes,
        /// It is a request, and its outcome has not come: since when it waits.
        waits: Option<Instant>,
        outcome: Option<(u64, Bytes)>,
    },
    /// An outcome whose record was sealed without it.
    Outcome(Bytes),
    /// An outcome that stands in its record's leaf.
    Merged,
}

/// A file that was begun.
#[derive(Debug)]
struct Begun {
    boot: u32,
    path: PathBuf,
    /// Highest number in it; 0: none.
    highest: u64,
}

/// Reads the journal from a cursor on.
#[derive(Debug)]
pub(crate) struct Source {
    dir: PathBuf,
    patience: Duration,
    boot: u32,
    /// Number of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    /// Files from the oldest on; the last one is being read.
    files: VecDeque<Begun>,
    /// Where in it.
    at: usize,
    /// The newest boot that is known to have begun.
    newest: u32,
    /// A later boot has begun: what is missing of the one being read will not come.
    ended: bool,
    /// The journal was closed: outcomes that are missing will not come.
    closed: bool,
    /// Since when it stands before a number that is missing.
    stands_since: Option<Instant>,
    /// Numbers that are missing were passed over, and the record of their loss, the next boot's first, was not taken yet.
    in_gap: bool,
    merged: Cursor,
    /// How much is read next.
    room: usize,
    /// What was read last, to be read into again once nothing of it is held.
    chunks: VecDeque<Bytes>,
}

impl Source {
    /// `patience`: how long a request's outcome is waited for.
    pub(crate) fn new(dir: &Path, cursor: &Cursor, patience: Duration) -> Self {
        Self {
            dir: dir.to_owned(),
            patience,
            boot: cursor.boot,
            first: cursor.next_seq.max(1),
            slots: VecDeque::new(),
            files: VecDeque::new(),
            at: SEGMENT_HEADER,
            newest: 0,
            ended: false,
            closed: false,
            stands_since: None,
            in_gap: false,
            merged: cursor.clone(),
            room: SHORT,
            chunks: VecDeque::new(),
        }
    }

    /// Reads on to what is on the disk: of the boot that is being written numbers up to `durable`, of earlier ones
    /// all. Returns whether there may be more to read once something was taken.
    pub(crate) fn read_on(&mut self, live: Position) -> Result<bool, AuditError> {
        let now = Instant::now();
        loop {
            if self.ended && !self.slots.is_empty() {
                return Ok(true);
            }
            // The writer never returns to a file after it has begun the next one; so when there is a next one, what is
            // read now of this one is all of it.
            let next = self.next_file()?;
            if !self.files.is_empty() && !self.read_file(live, next.is_some(), now)? {
                let more = self.slots.len() >= MANY;
                if !more {
                    self.chunks.clear();
                }
                return Ok(more);
            }
            let Some((boot, path)) = next else {
                // Everything is read. The live boot ends when its journal is closed.
                self.chunks.clear();
                return Ok(false);
            };
            if boot != self.boot && !self.slots.is_empty() {
                self.ended = true;
                continue;
            }
            if boot > self.boot {
                (self.boot, self.first, self.ended) = (boot, 1, false);
            }
            self.at = SEGMENT_HEADER;
            self.files.push_back(Begun { boot, path, highest: 0 });
        }
    }

    /// The journal was closed, and all of it is read.
    pub(crate) fn closed(&mut self) {
        self.closed = true;
    }

    /// The number that has been missing for so long, before later ones that are there: it comes no more, and is only passed over
    /// once its boot has ended.
    pub(crate) fn stands_before(&self, long: Duration) -> Option<Position> {
        let stands = self.stands_since.is_some_and(|since| since.elapsed() >= long);
        stands.then_some(Position { boot: self.boot, seq: self.first })
    }

    /// What was taken must not be signed without what comes next: it tells what is missing.
    pub(crate) fn in_gap(&self) -> bool {
        self.in_gap
    }

    /// The next items to be sealed, at most so many.
    pub(crate) fn take(&mut self, many: usize) -> Vec<Item> {
        let mut items = Vec::with_capacity(many.min(self.slots.len()));
        let crowded = self.slots.len() >= MANY;
        while items.len() < many {
            let Some(slot) = self.slots.front_mut() else { break };
            let position = Position { boot: self.boot, seq: self.first };
            let item = match slot {
                Slot::Missing if !self.ended => {
                    self.stands_since.get_or_insert_with(Instant::now);
                    break;
                }
                Slot::Missing => {
                    self.in_gap = true;
                    None
                }
                Slot::Merged => None,
                Slot::Outcome(payload) => {
                    Some(Item { position, payload: std::mem::take(payload), end: End::Open, outcome: Bytes::new() })
                }
                Slot::Record { waits: Some(since), .. }
                    if !self.ended && !self.closed && !crowded && !self.in_gap && since.elapsed() < self.patience =>
                {
                    break;
                }
                Slot::Record { payload, waits, outcome } => {
                    let (end, outcome) = match outcome.take() {
                        Some((seq, outcome)) => (End::Told(seq), outcome),
                        None if (self.ended || self.closed)
                            && waits.is_some()
                            && leaf::is_permitted_request(payload) =>
                        {
                            (End::Unknown, Bytes::new())
                        }
                        None => (End::Open, Bytes::new()),
                    };
                    Some(Item { position, payload: std::mem::take(payload), end, outcome })
                }
            };
            // The first record of a boot tells what the one before it lost.
            if item.is_some() && self.first == 1 {
                self.in_gap = false;
            }
            self.slots.pop_front();
            self.first += 1;
            self.stands_since = None;
            items.extend(item);
        }
        items
    }

    /// Finds the items of a plan again, which is nothing but what [`Source::take`] once gave. This source is of no use
    /// afterwards.
    pub(crate) fn take_planned(&mut self, plan: &Plan, live: Position) -> Result<Vec<Item>, AuditError> {
        let mut items = Vec::with_capacity(plan.leaves.len());
        for &(boot, seq, end) in &plan.leaves {
            let position = Position { boot, seq };
            let item = loop {
                self.pass_over_to(position);
                if let Some(item) = self.planned_item(position, end) {
                    break item;
                }
                let before = (self.boot, self.at, self.files.len(), self.slots.len());
                self.read_on(live)?;
                if before == (self.boot, self.at, self.files.len(), self.slots.len()) {
                    let gone = format!("it no longer holds record {boot}/{seq}, which was being sealed");
                    return Err(AuditError::log(&self.dir, gone));
                }
            };
            items.push(item);
        }
        Ok(items)
    }

    /// Lets go of what lies before a planned item: nothing of it is wanted.
    fn pass_over_to(&mut self, position: Position) {
        if self.boot < position.boot {
            self.slots.clear();
            self.ended = false;
        } else if self.boot == position.boot {
            let before = usize::try_from(position.seq.saturating_sub(self.first)).unwrap_or(usize::MAX);
            self.slots.drain(..before.min(self.slots.len()));
            self.first = self.first.max(position.seq);
        }
    }

    fn planned_item(&mut self, position: Position, end: End) -> Option<Item> {
        if (self.boot, self.first) != (position.boot, position.seq) {
            return None;
        }
        match (self.slots.front_mut()?, end) {
            (Slot::Record { payload, outcome, .. }, End::Told(wanted)) => {
                let (_, outcome) = outcome.take_if(|(seq, _)| *seq == wanted)?;
                Some(Item { position, payload: std::mem::take(payload), end, outcome })
            }
            (Slot::Record { payload, outcome, .. }, _) => {
                let item = Item { position, payload: std::mem::take(payload), end, outcome: Bytes::new() };
                // It had not come when this was planned, and so is planned for itself.
                if let Some((seq, outcome)) = outcome.take()
                    && let Some(place) = seq.checked_sub(self.first)
                    && let Some(slot) = usize::try_from(place).ok().and_then(|place| self.slots.get_mut(place))
                {
                    *slot = Slot::Outcome(outcome);
                }
                Some(item)
            }
            (Slot::Outcome(payload), _) => {
                Some(Item { position, payload: std::mem::take(payload), end, outcome: Bytes::new() })
            }
            (Slot::Missing | Slot::Merged, _) => None,
        }
    }

    /// How far everything was taken.
    pub(crate) fn cursor(&self) -> Cursor {
        let numbered = (self.first..).zip(&self.slots);
        let mut merged: BTreeSet<u64> =
            numbered.filter(|(_, slot)| matches!(slot, Slot::Merged)).map(|(seq, _)| seq).collect();
        // Those whose records are still held are given to them again.
        for slot in &self.slots {
            if let Slot::Record { outcome: Some((seq, _)), .. } = slot {
                merged.remove(seq);
            }
        }
        Cursor { boot: self.boot, next_seq: self.first, merged }
    }

    /// How many numbers are held that were not taken.
    pub(crate) fn held(&self) -> usize {
        self.slots.len()
    }

    /// Files of which everything lies below `sealed`, and which nobody needs to tell the last boot's number.
    pub(crate) fn done_with(&mut self, sealed: &Cursor) -> Vec<PathBuf> {
        let mut done = Vec::new();
        while let Some(file) = self.files.front() {
            let below = (file.boot, file.highest) < (sealed.boot, sealed.next_seq);
            if !below || !self.files.iter().skip(1).any(|later| later.highest > 0) {
                break;
            }
            done.extend(self.files.pop_front().map(|file| file.path));
        }
        done
    }

    /// The next file that has been begun.
    fn next_file(&self) -> Result<Option<(u32, PathBuf)>, AuditError> {
        let current = self.files.back().map(|file| &file.path);
        for (boot, path) in crate::journal::reader::segments(&self.dir)? {
            if current.is_none_or(|current| path > *current) && begun(&path)? {
                return Ok(Some((boot, path)));
            }
        }
        Ok(None)
    }

    /// Reads on in the last file. False: it stopped before the end of what is on the disk.
    fn read_file(&mut self, live: Position, complete: bool, now: Instant) -> Result<bool, AuditError> {
        let Some(file) = self.files.back() else { return Ok(true) };
        let (boot, path) = (file.boot, file.path.clone());
        // Sealed wholly by an earlier run that had no time to remove it.
        if boot < self.boot {
            return Ok(true);
        }
        let limit = if boot == live.boot { live.seq } else { u64::MAX };
        let failed = AuditError::io("could not read", &path);
        let Some((open, header)) = open(&path)? else { return Ok(true) };
        let mut read_all = true;
        let result = loop {
            let chunk = match self.read_at(&open) {
                Ok(chunk) => chunk,
                Err(error) => break Err(failed(error)),
            };
            let mut used = 0;
            let mut stopped = false;
            while let Some(frame) = frame::read(&chunk, &header, used) {
                if frame.kind.is_numbered() && (frame.seq > limit || !self.has_room_for(frame.seq)?) {
                    stopped = true;
                    break;
                }
                used = frame.span.end;
                self.accept(&frame, &chunk, now);
            }
            self.at += used;
            self.room = if used > self.room / 2 { (2 * self.room).min(CHUNK) } else { SHORT };
            if stopped {
                read_all = false;
                break Ok(());
            }
            if used > 0 {
                continue;
            }
            // A damaged place of a file that is not written any more: what follows it is good all the same.
            if complete && !chunk.is_empty() {
                let rest = match std::fs::read(&path) {
                    Ok(rest) => rest,
                    Err(error) => break Err(failed(error)),
                };
                if !frame::is_unused(&rest, self.at)
                    && let Some(good) = frame::find(&rest, &header, self.at + 1)
                {
                    self.at = good.span.start;
                    continue;
                }
            }
            break Ok(());
        };
        result.map(|()| read_all)
    }

    /// Reads what stands there.
    fn read_at(&mut self, file: &File) -> io::Result<Bytes> {
        if self.room < CHUNK {
            return read_part(file, self.at, Vec::with_capacity(self.room)).map(Bytes::from);
        }
        let mut room = self.chunks.pop_front_if(|chunk| chunk.is_unique()).map(Vec::from).unwrap_or_default();
        room.clear();
        room.reserve(CHUNK);
        let chunk = Bytes::from(read_part(file, self.at, room)?);
        self.chunks.push_back(chunk.clone());
        Ok(chunk)
    }

    /// Whether a frame can be taken in now. False: what is held must be taken first, or, if it begins with numbers that are
    /// missing, the boot must have ended.
    ///
    /// Frames come nearly in order: after a failed write those that nobody was promised stand in the next file once more,
    /// and any of them may be missing in the failed one. They are far fewer than [`MANY`], so a number that is missing while
    /// that many later ones are there will not come.
    ///
    /// An outcome is therefore never given to a record that is 2·[`MANY`] numbers before it, which verifiers rely on (FORMAT.md,
    /// rule 2).
    fn has_room_for(&mut self, seq: u64) -> Result<bool, AuditError> {
        let far = 2 * MANY as u64;
        let leaps = seq.saturating_sub(self.first) >= far;
        if !leaps && self.slots.len() < MANY {
            return Ok(true);
        }
        let held_up = self.slots.front().map_or(leaps, |slot| matches!(slot, Slot::Missing));
        if !held_up || !self.boot_is_over()? {
            return Ok(false);
        }
        let missing = self.slots.iter().take_while(|slot| matches!(slot, Slot::Missing)).count();
        let gone = if leaps { missing } else { missing.min(self.slots.len() + 1 - MANY) };
        self.slots.drain(..gone);
        self.first += gone as u64;
        self.in_gap |= gone > 0;
        if !leaps {
            return Ok(true);
        }
        if self.slots.is_empty() {
            // What is missing of the last ones before it may stand in the next file.
            self.in_gap = true;
            self.first = seq - far / 2;
        }
        Ok(self.slots.is_empty())
    }

    /// A later boot has begun, so this one has written all that it will.
    fn boot_is_over(&mut self) -> Result<bool, AuditError> {
        if self.newest <= self.boot {
            for (boot, path) in crate::journal::reader::segments(&self.dir)? {
                if boot > self.newest && begun(&path)? {
                    self.newest = boot;
                }
            }
        }
        Ok(self.newest > self.boot)
    }

    fn accept(&mut self, frame: &Frame, chunk: &Bytes, now: Instant) {
        if let Some(file) = self.files.back_mut().filter(|_| frame.kind.is_numbered()) {
            file.highest = file.highest.max(frame.seq);
        }
        let Some(place) = frame.seq.checked_sub(self.first).filter(|_| frame.kind.is_numbered()) else { return };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        while self.slots.len() <= place {
            self.slots.push_back(Slot::Missing);
        }
        if !matches!(self.slots.get(place), Some(Slot::Missing)) {
            return;
        }
        let payload = chunk.slice_ref(frame.payload(chunk));
        let slot = match frame.kind {
            FrameKind::Outcome => self.outcome(frame.seq, payload),
            _ => {
                let waits = leaf::is_request(&payload).then_some(now);
                Slot::Record { payload, waits, outcome: None }
            }
        };
        if let Some(held) = self.slots.get_mut(place) {
            *held = slot;
        }
    }

    /// Gives an outcome to its record, if that is not sealed yet.
    fn outcome(&mut self, seq: u64, payload: Bytes) -> Slot {
        if self.boot == self.merged.boot && self.merged.merged.contains(&seq) {
            return Slot::Merged;
        }
        let of = leaf::Outcome::read(&payload).map(|outcome| outcome.of).filter(|of| of.boot == self.boot);
        let place = of.and_then(|of| usize::try_from(of.seq.checked_sub(self.first)?).ok());
        match place.and_then(|place| self.slots.get_mut(place)) {
            Some(Slot::Record { waits: waits @ Some(_), outcome, .. }) => {
                *waits = None;
                *outcome = Some((seq, payload));
                Slot::Merged
            }
            _ => Slot::Outcome(payload),
        }
    }
}

/// None: the file has gone, or has no header (yet).
fn open(path: &Path) -> Result<Option<(File, SegmentHeader)>, AuditError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AuditError::io("could not open", path)(error)),
    };
    let header =
        read_part(&file, 0, Vec::with_capacity(SEGMENT_HEADER)).map_err(AuditError::io("could not read", path))?;
    Ok(SegmentHeader::decode(&header).ok().map(|header| (file, header)))
}

/// It has a frame.
fn begun(path: &Path) -> Result<bool, AuditError> {
    let Some((file, header)) = open(path)? else { return Ok(false) };
    let bytes =
        read_part(&file, SEGMENT_HEADER, Vec::with_capacity(128)).map_err(AuditError::io("could not read", path))?;
    Ok(frame::read(&bytes, &header, 0).is_some())
}

/// Reads until the room is full, or the file ends.
fn read_part(file: &File, at: usize, mut room: Vec<u8>) -> io::Result<Vec<u8>> {
    while room.len() < room.capacity() {
        let from = (at + room.len()) as u64;
        match pread(file, spare_capacity(&mut room), from) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(room)
}
