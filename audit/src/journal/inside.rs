//! The journal's bytes, for the properties that `tests/properties` holds against them. Nothing else uses this.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vocabulary::Timestamp;

use crate::journal::durable::{Disk, Lock, SegmentFile};
use crate::journal::frame::{self, FrameKind, SegmentHeader};
use crate::{AuditError, Recovery};

/// A frame as it stands in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// As written: 1 record, 2 outcome, 128 begin, 129 end.
    pub kind: u8,
    pub seq: u64,
    pub place: u32,
    pub payload: Vec<u8>,
    /// All of it, header included.
    pub bytes: Vec<u8>,
    /// Where it begins in the segment.
    pub at: usize,
}

/// Boot, number and salt of a segment, and its frames up to the first place where none stands; `None` without a header.
pub fn read(segment: &[u8]) -> Option<((u32, u32, u32), Vec<Frame>)> {
    let header = SegmentHeader::decode(segment).ok()?;
    let mut frames = Vec::new();
    let mut at = frame::SEGMENT_HEADER;
    while let Some(found) = frame::read(segment, &header, at) {
        at = found.span.end;
        frames.push(Frame {
            kind: found.kind as u8,
            seq: found.seq,
            place: found.place,
            payload: found.payload(segment).to_vec(),
            at: found.span.start,
            bytes: segment.get(found.span).unwrap_or_default().to_vec(),
        });
    }
    Some(((header.boot, header.number, header.salt), frames))
}

/// A segment's header.
pub fn header(boot: u32, number: u32, salt: u32) -> Vec<u8> {
    SegmentHeader { boot, number, salt, created: Timestamp(1) }.encode().to_vec()
}

/// A frame's bytes; `None` for a kind that there isn't.
pub fn write(boot: u32, salt: u32, (kind, seq, place): (u8, u64, u32), payload: &[u8]) -> Option<Vec<u8>> {
    let kinds = [FrameKind::Record, FrameKind::Outcome, FrameKind::Begin, FrameKind::End];
    let kind = kinds.into_iter().find(|known| *known as u8 == kind)?;
    let mut out = Vec::new();
    frame::push(&mut out, kind, boot, seq, payload);
    frame::seal(&mut out, salt, place);
    Some(out)
}

/// A segment's file name.
pub fn name(boot: u32, number: u32) -> String {
    crate::journal::segments::name(boot, number)
}

/// Brings the files of a journal's folder in order, as opening it does; they are changed in place.
///
/// # Errors
/// As [`Journal::open`](crate::Journal::open).
pub fn recover(files: &mut BTreeMap<String, Vec<u8>>) -> Result<Recovery, AuditError> {
    let memory = Memory(Mutex::new(std::mem::take(files)));
    let recovery =
        crate::journal::recovery::recover(&memory, Path::new("journal"), crate::Position { boot: 0, seq: 0 });
    *files = memory.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    recovery
}

/// Seals and indexes what the files of `audit`'s journal hold, but for what waits for its outcome, in this thread; returns the
/// log's size. For benches.
///
/// # Errors
/// As [`Sealer::start`](crate::Sealer::start).
pub fn seal(audit: &Path, keys: Vec<crate::SigningKey>, zone: &vocabulary::Zone) -> Result<u64, AuditError> {
    crate::log::sealer::seal_what_is_there(audit, keys, zone)
}

/// A folder in memory, as far as recovery needs one.
#[derive(Debug)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Memory {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Disk for Memory {
    fn lock(&self, dir: &Path) -> Result<Lock, AuditError> {
        Err(AuditError::io("could not lock", dir)(io::ErrorKind::Unsupported.into()))
    }

    fn create(&self, _: &Path, _: &[u8], _: u64) -> io::Result<Box<dyn SegmentFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.files().insert(file(path), content.to_vec());
        Ok(())
    }

    fn shorten(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut files = self.files();
        let content = files.get_mut(&file(path)).ok_or(io::ErrorKind::NotFound)?;
        content.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files().remove(&file(path)).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files().get(&file(path)).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}
