//! Following the journal while it is written, for `audit tail`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::journal::frame::{self, Frame, FrameKind, HeaderProblem, SEGMENT_HEADER, SegmentHeader};
use crate::journal::reader::{read_outcome, read_record, segments};
use crate::journal::runs::Runs;
use crate::{AuditError, Entry, Filter, Position, Record};

/// How long a request is held back for its outcome, which is written up to a second later.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than the longest frame, so that every read makes progress.
const CHUNK: usize = 256 << 10;

/// Follows the journal from where it stood when this was made.
#[derive(Debug)]
pub struct Follow {
    dir: PathBuf,
    filter: Filter,
    /// The segment being read and where in it; None: none is there yet.
    place: Option<(PathBuf, usize)>,
    /// Of the boot being read.
    seen: Runs,
    seen_of: u32,
    pending: BTreeMap<Position, (Entry, Instant)>,
    chunk: Vec<u8>,
}

impl Follow {
    /// Begins at the present end of the journal. The filter's `limit` has no meaning here.
    ///
    /// # Errors
    /// The folder or a file can't be read, or is of a later version.
    pub fn from_end(dir: &Path, filter: Filter) -> Result<Self, AuditError> {
        let (seen, seen_of, pending) = (Runs::default(), 0, BTreeMap::new());
        let mut follow = Self { dir: dir.to_owned(), filter, place: None, seen, seen_of, pending, chunk: Vec::new() };
        // The files before the last two can hold nothing new: the newest may be one written ahead.
        let all = segments(dir)?;
        follow.place = all.get(all.len().saturating_sub(2)).map(|(_, path)| (path.clone(), SEGMENT_HEADER));
        follow.advance(|_, _, _, _| Ok(()))?;
        Ok(follow)
    }

    /// What came since the last call, in order. A permitted request is handed out once, with its outcome if that
    /// comes within two seconds, else without.
    ///
    /// # Errors
    /// As [`Follow::from_end`].
    pub fn poll(&mut self) -> Result<Vec<Entry>, AuditError> {
        let now = Instant::now();
        let filter = self.filter.clone();
        self.advance(|pending, kind, position, payload| {
            if kind == FrameKind::Outcome {
                let wanted = |of: &Position| pending.contains_key(of);
                if let Some((of, outcome)) = read_outcome(payload, position, wanted)?
                    && let Some((entry, _)) = pending.get_mut(&of)
                {
                    entry.outcome = Some(outcome);
                }
            } else {
                let entry = read_record(payload, position)?;
                if filter.takes_position(position) && filter.takes(&entry) {
                    pending.insert(position, (entry, now));
                }
            }
            Ok(())
        })?;
        // Order is kept: an entry leaves after those before it.
        let mut out = Vec::new();
        while let Some(first) = self.pending.first_entry() {
            let (entry, since) = first.get();
            let waits = matches!(entry.record, Record::Request(_)) && entry.outcome.is_none();
            if waits && since.elapsed() < PATIENCE {
                break;
            }
            let (entry, _) = first.remove();
            out.extend(Some(entry).filter(|entry| self.filter.takes_decision(entry)));
        }
        Ok(out)
    }

    /// Reads on to the present end.
    fn advance(
        &mut self,
        mut take: impl FnMut(&mut Pending, FrameKind, Position, &[u8]) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        loop {
            let next = self.next_segment()?;
            // The writer never returns to a segment after it has begun the next one; so when there is a next one,
            // what is read now of this one is all of it.
            self.read_on(&mut take)?;
            let Some(next) = next else { return Ok(()) };
            self.place = Some((next, SEGMENT_HEADER));
        }
    }

    /// The next segment that has been begun.
    fn next_segment(&self) -> Result<Option<PathBuf>, AuditError> {
        for (_, path) in segments(&self.dir)? {
            if self.place.as_ref().is_none_or(|(current, _)| path > *current)
                && Reading::open(&path)?.is_some_and(|r| r.begun())
            {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn read_on(
        &mut self,
        take: &mut impl FnMut(&mut Pending, FrameKind, Position, &[u8]) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let Some((path, at)) = &mut self.place else { return Ok(()) };
        let Some(reading) = Reading::open(path)? else { return Ok(()) };
        if std::mem::replace(&mut self.seen_of, reading.header.boot) != reading.header.boot {
            self.seen = Runs::default();
        }
        loop {
            let read = reading.chunk(&mut self.chunk, *at).map_err(AuditError::io("could not read", path))?;
            let mut used = 0;
            while let Some(frame) = frame::read(&self.chunk[..read], &reading.header, used) {
                used = frame.span.end;
                let position = Position { boot: reading.header.boot, seq: frame.seq };
                if frame.kind.is_numbered() && self.seen.insert(frame.seq) {
                    take(&mut self.pending, frame.kind, position, frame.payload(&self.chunk))?;
                }
            }
            *at += used;
            if used == 0 {
                return Ok(());
            }
        }
    }
}

type Pending = BTreeMap<Position, (Entry, Instant)>;

struct Reading {
    file: File,
    header: SegmentHeader,
}

impl Reading {
    /// None: the file has gone, or has no header (yet).
    fn open(path: &Path) -> Result<Option<Self>, AuditError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AuditError::io("could not open", path)(error)),
        };
        let mut bytes = [0; SEGMENT_HEADER];
        let read = read_at(&file, &mut bytes, 0).map_err(AuditError::io("could not read", path))?;
        match SegmentHeader::decode(&bytes[..read]) {
            Ok(header) => Ok(Some(Self { file, header })),
            Err(HeaderProblem::Newer(version)) => Err(AuditError::Newer { path: path.to_owned(), version }),
            Err(HeaderProblem::Unreadable) => Ok(None),
        }
    }

    fn begun(&self) -> bool {
        let mut bytes = Vec::new();
        let read = self.chunk(&mut bytes, SEGMENT_HEADER).unwrap_or(0);
        matches!(frame::read(&bytes[..read], &self.header, 0), Some(Frame { .. }))
    }

    fn chunk(&self, into: &mut Vec<u8>, at: usize) -> io::Result<usize> {
        into.resize(CHUNK, 0);
        read_at(&self.file, into, at as u64)
    }
}

/// Reads until the buffer is full or the file ends.
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match file.read_at(&mut into[read..], at + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}
