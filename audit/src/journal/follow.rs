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
use crate::{AuditError, Entry, Filter, History, Position, Query, Record};

/// How long a request is held back for its outcome, which is written up to a second later.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than the longest frame, so that every read makes progress.
const CHUNK: usize = 256 << 10;

/// Follows the journal from where it stood when this was made.
///
/// Files that have been sealed are removed. Who falls so far behind that some of them went unread reads on in the log.
#[derive(Debug)]
pub struct Follow {
    dir: PathBuf,
    history: History,
    filter: Filter,
    /// The segment being read and where in it; None: none is there yet.
    place: Option<(PathBuf, usize)>,
    /// Of the boot being read.
    seen: Runs,
    seen_of: u32,
    /// The last one seen, of any boot.
    last: Position,
    pending: Pending,
    chunk: Vec<u8>,
}

impl Follow {
    /// Begins at the present end of the journal in the audit folder.
    ///
    /// # Errors
    /// The folder or a file can't be read, or is of a later version.
    pub fn from_end(audit: &Path, filter: Filter) -> Result<Self, AuditError> {
        let mut follow = Self {
            dir: audit.join("journal"),
            history: History::new(audit),
            filter,
            place: None,
            seen: Runs::default(),
            seen_of: 0,
            last: Position::default(),
            pending: BTreeMap::new(),
            chunk: Vec::new(),
        };
        // The files before the last two can hold nothing new: the newest may be one written ahead.
        let all = segments(&follow.dir)?;
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
        self.advance(|pending, kind, position, payload| {
            if kind == FrameKind::Outcome {
                let wanted = |of: &Position| pending.contains_key(of);
                if let Some((of, outcome)) = read_outcome(payload, position, wanted)?
                    && let Some((entry, _)) = pending.get_mut(&of)
                {
                    entry.outcome = Some(outcome);
                }
            } else {
                pending.insert(position, (read_record(payload, position)?, now));
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
            out.extend(Some(entry).filter(|entry| self.filter.takes(entry)));
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
            let was_there = self.read_on(&mut take)?;
            let Some((next, begins)) = next else { return Ok(()) };
            if !was_there && self.place.is_some() {
                self.catch_up(begins)?;
            }
            self.place = Some((next, SEGMENT_HEADER));
        }
    }

    /// Reads in the log what stood in files that have gone.
    fn catch_up(&mut self, before: Position) -> Result<(), AuditError> {
        let query = Query { after: Some(self.last), before: Some(before), ..Query::default() };
        let now = Instant::now();
        for entry in self.history.read(query)? {
            let entry = entry?;
            self.last = self.last.max(entry.position);
            self.pending.insert(entry.position, (entry, now));
        }
        Ok(())
    }

    /// The next segment that has been begun, and where it begins.
    fn next_segment(&self) -> Result<Option<(PathBuf, Position)>, AuditError> {
        for (_, path) in segments(&self.dir)? {
            if self.place.as_ref().is_none_or(|(current, _)| path > *current)
                && let Some(begins) = Reading::open(&path)?.and_then(|reading| reading.begins())
            {
                return Ok(Some((path, begins)));
            }
        }
        Ok(None)
    }

    /// False: the file has gone, or there is none.
    fn read_on(
        &mut self,
        take: &mut impl FnMut(&mut Pending, FrameKind, Position, &[u8]) -> Result<(), AuditError>,
    ) -> Result<bool, AuditError> {
        let Some((path, at)) = &mut self.place else { return Ok(false) };
        let Some(reading) = Reading::open(path)? else { return Ok(false) };
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
                    self.last = self.last.max(position);
                    take(&mut self.pending, frame.kind, position, frame.payload(&self.chunk))?;
                }
            }
            *at += used;
            if used == 0 {
                return Ok(true);
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

    /// Where its first frame stands, if it has one.
    fn begins(&self) -> Option<Position> {
        let mut bytes = Vec::new();
        let read = self.chunk(&mut bytes, SEGMENT_HEADER).unwrap_or(0);
        let Frame { seq, .. } = frame::read(&bytes[..read], &self.header, 0)?;
        Some(Position { boot: self.header.boot, seq })
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
