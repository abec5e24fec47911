//! Bringing in order what the last boot left behind, before a new one begins.
//!
//! Only the files of the last boot that wrote something are looked at: those of earlier boots were brought in order, and what
//! is missing of them was recorded, when the boot after them began. Every step can be broken off at any moment, up to and
//! including that record, and is done again by the next start.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use serde_json::Map;
use vocabulary::Timestamp;

use crate::journal::durable::Disk;
use crate::journal::frame::{self, Frame, FrameKind, HeaderProblem, SegmentHeader};
use crate::journal::runs::Runs;
use crate::journal::segments::{name, parse_name};
use crate::{AuditError, Position, Recovered};

/// What opening the journal found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The boot that begins now.
    pub boot: u32,
    /// The boot before it that wrote something; 0: none.
    pub last_boot: u32,
    /// Time of the newest record; None: there is none yet.
    pub newest: Option<Timestamp>,
    /// The last boot ended by [`Journal::close`](crate::Journal::close), or there was none.
    pub clean: bool,
    /// Records of the last boot, outcomes not counted.
    pub records: u64,
    /// Bytes cut off after the last good record; none of them had been confirmed to anybody.
    pub truncated_bytes: u64,
    /// Copies of damaged files, as they were found.
    pub quarantined: Vec<PathBuf>,
    /// Numbers (first and last) of the last boot that are lost though they may have been confirmed.
    pub lost: Vec<(u64, u64)>,
    /// Numbers of the last boot that are missing as well, and were never confirmed to anybody.
    pub unconfirmed: Vec<(u64, u64)>,
}

impl Recovery {
    /// The record to be made of it; none if all was well.
    pub(crate) fn record(&self) -> Option<Recovered> {
        let quarantined =
            self.quarantined.iter().filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect();
        let whole = self.lost.is_empty() && self.unconfirmed.is_empty();
        (!self.clean || !whole).then(|| Recovered {
            of_boot: self.last_boot,
            truncated_bytes: self.truncated_bytes,
            quarantined,
            lost: self.lost.clone(),
            unconfirmed: self.unconfirmed.clone(),
            more: Map::new(),
        })
    }
}

/// Brings the journal in `dir` in order. `sealed`: records before this place may stand in the log alone.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path, sealed: Position) -> Result<Recovery, AuditError> {
    let files = disk.list(dir).map_err(AuditError::io("could not list", dir))?;
    for left_over in files.iter().filter(|file| is_temporary(file)) {
        let path = dir.join(left_over);
        disk.remove(&path).map_err(AuditError::io("could not remove", &path))?;
    }
    let mut segments: Vec<_> = files.iter().filter_map(|file| parse_name(file)).collect();
    segments.sort_unstable();
    // A quarantined file keeps its boot's number from being given out again.
    let highest = files.iter().filter_map(|file| segment_of(file)).map(|(boot, _)| boot).max();
    let boot = highest.unwrap_or(0).max(sealed.boot).saturating_add(1);

    let found = Recovery { boot, ..Recovery::default() };
    let mut order = Order { disk, dir, found, runs: Runs::default(), begins: 1, proven: 0, without_record: Vec::new() };
    // A start that was broken off before it had told what it found left files without a record; what it had to tell is told now.
    // But a boot of which something is sealed did write something.
    for of_boot in segments.chunk_by(|(boot, _), (next, _)| boot == next).rev() {
        let last_boot = of_boot.first().map_or(0, |(boot, _)| *boot);
        if last_boot < sealed.boot && order.found.last_boot > 0 {
            break;
        }
        order.begins = match last_boot.cmp(&sealed.boot) {
            // All of it is sealed.
            Ordering::Less => u64::MAX,
            Ordering::Equal => sealed.seq,
            Ordering::Greater => 1,
        };
        (order.found.last_boot, order.found.clean) = (last_boot, false);
        of_boot.iter().try_for_each(|(boot, number)| order.segment(*boot, *number))?;
        if order.runs.first().is_some() {
            break;
        }
        order.without_record.push((last_boot, order.found.clean));
    }
    if order.runs.first().is_none()
        && let Some((boot, clean)) = order.without_record.first()
    {
        (order.found.last_boot, order.found.clean) = (*boot, *clean);
    }
    order.add_earlier_copies(&files, sealed);
    // What a boot without a record left damaged is told, however well the one before it had ended.
    order.found.clean &= order.found.quarantined.is_empty() && order.found.truncated_bytes == 0;
    let last_boot = order.found.last_boot;
    let (lost, unconfirmed, mut found) = (order.lost(), order.unconfirmed(), order.found);
    (found.lost, found.unconfirmed) = (lost, unconfirmed);
    found.clean |= last_boot == 0 && found.quarantined.is_empty();
    if !found.clean {
        let Recovery { last_boot, truncated_bytes, ref quarantined, ref lost, .. } = found;
        tracing::warn!(last_boot, truncated_bytes, ?quarantined, ?lost, "the journal was not closed; it was recovered");
    }
    Ok(found)
}

/// The segment that a file is, or is a copy of.
fn segment_of(file: &str) -> Option<(u32, u32)> {
    parse_name(file.split('.').next()?)
}

fn is_temporary(file: &str) -> bool {
    file.strip_suffix(".tmp").is_some_and(|of| segment_of(of).is_some())
}

struct Order<'d> {
    disk: &'d dyn Disk,
    dir: &'d Path,
    found: Recovery,
    /// Numbers that are there.
    runs: Runs,
    /// Numbers below this one are sealed, or never were.
    begins: u64,
    /// A batch began with this number, so all before it had been synchronised.
    proven: u64,
    /// Boots that were looked at and hold no record, from the last one on, and whether they were closed.
    without_record: Vec<(u32, bool)>,
}

impl Order<'_> {
    fn segment(&mut self, boot: u32, number: u32) -> Result<(), AuditError> {
        let path = self.dir.join(name(boot, number));
        let bytes = self.disk.read(&path).map_err(AuditError::io("could not read", &path))?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) if (header.boot, header.number) == (boot, number) => header,
            Err(HeaderProblem::Newer(version)) => return Err(AuditError::Newer { path, version }),
            // A crash while it was being made: nothing was ever written to it.
            Err(HeaderProblem::Unreadable) if frame::is_unused(&bytes, 0) => return self.remove(&path),
            Ok(_) | Err(HeaderProblem::Unreadable) => {
                self.quarantine(&path, &bytes)?;
                return self.remove(&path);
            }
        };
        let scan = scan(&bytes, &header);
        for frame in &scan.frames {
            self.take_note(frame, frame.payload(&bytes));
        }
        if scan.damaged {
            self.quarantine(&path, &bytes)?;
            if !scan.frames.iter().any(|frame| frame.kind.is_numbered()) {
                self.found.truncated_bytes += scan.torn;
                return self.remove(&path);
            }
            let mut good = header.encode().to_vec();
            scan.frames.iter().for_each(|frame| good.extend_from_slice(&bytes[frame.span.clone()]));
            self.disk.replace(&path, &good).map_err(AuditError::io("could not rewrite", &path))?;
        } else if !scan.frames.iter().any(|frame| frame.kind.is_numbered()) {
            self.remove(&path)?;
        } else if scan.end < bytes.len() {
            self.disk.shorten(&path, scan.end as u64).map_err(AuditError::io("could not shorten", &path))?;
        }
        self.found.truncated_bytes += scan.torn;
        Ok(())
    }

    fn take_note(&mut self, frame: &Frame, payload: &[u8]) {
        let at = match frame.kind {
            FrameKind::Begin => payload.try_into().ok().map(i64::from_le_bytes),
            FrameKind::End => {
                self.found.clean = true;
                None
            }
            FrameKind::Record | FrameKind::Outcome => written_at(payload),
        };
        // 0 stands in a Begin before the first record.
        self.found.newest = self.found.newest.max(at.filter(|at| *at != 0).map(Timestamp));
        if !frame.kind.is_numbered() {
            return;
        }
        self.proven = self.proven.max(frame.batch());
        let first_seen = self.runs.insert(frame.seq);
        if first_seen && frame.kind == FrameKind::Record {
            self.found.records += 1;
        }
    }

    /// Numbers that are missing between those that are there, as far as a later batch proves that they had been
    /// synchronised.
    fn lost(&self) -> Vec<(u64, u64)> {
        let confirmed = self.proven.saturating_sub(1);
        self.gaps().map(|(from, to)| (from, to.min(confirmed))).filter(|(from, to)| from <= to).collect()
    }

    /// First and last numbers of what is missing before and between what is there.
    fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let before = self.runs.first().map(|first| (self.begins, first - 1)).filter(|(from, to)| from <= to);
        before.into_iter().chain(self.runs.gaps()).filter(|(_, to)| *to >= self.begins)
    }

    /// The other missing numbers: of a batch that the crash broke off.
    fn unconfirmed(&self) -> Vec<(u64, u64)> {
        self.gaps().map(|(from, to)| (from.max(self.proven), to)).filter(|(from, to)| from <= to).collect()
    }

    /// Copies that a start which was broken off has made: those of the last boot with a record and of later ones, which nobody
    /// has told yet.
    fn add_earlier_copies(&mut self, files: &[String], sealed: Position) {
        let from = if self.runs.first().is_some() { self.found.last_boot } else { sealed.boot.max(1) };
        let untold = |file: &&String| {
            file.contains(".quarantined")
                && !is_temporary(file)
                && segment_of(file).is_some_and(|(boot, _)| boot >= from)
        };
        let copies = files.iter().filter(untold).map(|file| self.dir.join(file));
        let copies: Vec<_> = copies.filter(|copy| !self.found.quarantined.contains(copy)).collect();
        self.found.quarantined.splice(0..0, copies);
    }

    /// Keeps a copy of a damaged file as it was found.
    fn quarantine(&mut self, path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
        let taken = self.disk.list(self.dir).map_err(AuditError::io("could not list", self.dir))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let copy = (1u32..)
            .map(|n| if n == 1 { format!("{file}.quarantined") } else { format!("{file}.quarantined-{n}") })
            .find(|copy| !taken.contains(copy))
            .unwrap_or(file);
        let copy = self.dir.join(copy);
        self.disk.replace(&copy, bytes).map_err(AuditError::io("could not copy to", &copy))?;
        self.found.quarantined.push(copy);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), AuditError> {
        self.disk.remove(path).map_err(AuditError::io("could not remove", path))
    }
}

/// What stands in a segment.
struct Scan {
    frames: Vec<Frame>,
    /// Something unreadable stands before good frames.
    damaged: bool,
    /// Where the last good frame ends.
    end: usize,
    /// Bytes after it that are not zero ahead.
    torn: u64,
}

fn scan(bytes: &[u8], header: &SegmentHeader) -> Scan {
    let mut scan = Scan { frames: Vec::new(), damaged: false, end: frame::SEGMENT_HEADER, torn: 0 };
    loop {
        if let Some(frame) = frame::read(bytes, header, scan.end) {
            scan.end = frame.span.end;
            scan.frames.push(frame);
        } else if frame::is_unused(bytes, scan.end) {
            return scan;
        } else if let Some(frame) = frame::find(bytes, header, scan.end + 1) {
            scan.damaged = true;
            scan.end = frame.span.end;
            scan.frames.push(frame);
        } else {
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            scan.torn = used.saturating_sub(scan.end) as u64;
            return scan;
        }
    }
}

/// The time of a record or outcome, without reading the rest: `"at"` stands third.
fn written_at(payload: &[u8]) -> Option<i64> {
    const KEY: &[u8] = b"\"at\":";
    let head = payload.get(..payload.len().min(96))?;
    let start = head.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let digits = head[start..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
    std::str::from_utf8(&head[start..start + digits]).ok()?.parse().ok()
}
