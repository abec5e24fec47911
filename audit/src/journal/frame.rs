//! The journal's bytes: a segment's header, and frames with their checksums. No files here.
//!
//! ```text
//! segment  "SKSHJRNL"  version u16  0 u16  boot u32  number u32  salt u32  created i64  crc u32  0 …     64 bytes
//! frame    length u32  crc u32  type u8  place u24  boot u32  seq u64  payload                     24 bytes + payload
//! ```
//!
//! All little-endian. `length` is the payload's, never 0, so that written-ahead zeros end a segment. The CRC-32C
//! starts from the segment's random salt and covers the frame but for itself: bytes of an older file in a
//! block given out again don't pass for frames of this one. `place` is the frame's place in the batch it was
//! written with, from 0: a frame of a later batch proves that all earlier ones had been synchronised.

use std::ops::Range;

use vocabulary::Timestamp;

pub(crate) const SEGMENT_HEADER: usize = 64;
pub(crate) const FRAME_HEADER: usize = 24;
/// Longest payload. A request's record is bounded well below it, and a leaf of the log, which adds some words and the
/// outcome, holds less than 64 KiB.
pub(crate) const MAX_PAYLOAD: usize = 60 * 1024;
pub(crate) const FORMAT: u16 = 1;

const MAGIC: &[u8; 8] = b"SKSHJRNL";

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// A record; takes a number.
    Record = 1,
    /// An outcome; takes a number.
    Outcome = 2,
    /// First frame of a segment: the number of the next frame, and as payload the newest time so far.
    Begin = 128,
    /// Last frame of a boot that ended cleanly.
    End = 129,
}

impl FrameKind {
    const fn read(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Record),
            2 => Some(Self::Outcome),
            128 => Some(Self::Begin),
            129 => Some(Self::End),
            _ => None,
        }
    }

    pub(crate) const fn is_numbered(self) -> bool {
        matches!(self, Self::Record | Self::Outcome)
    }
}

/// What stands at the head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) boot: u32,
    pub(crate) number: u32,
    pub(crate) salt: u32,
    pub(crate) created: Timestamp,
}

/// A segment's header is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderProblem {
    /// It was never written, or is damaged.
    Unreadable,
    Newer(u16),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        out[12..16].copy_from_slice(&self.boot.to_le_bytes());
        out[16..20].copy_from_slice(&self.number.to_le_bytes());
        out[20..24].copy_from_slice(&self.salt.to_le_bytes());
        out[24..32].copy_from_slice(&self.created.0.to_le_bytes());
        let crc = crc32c::crc32c(&out[..32]);
        out[32..36].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(segment: &[u8]) -> Result<Self, HeaderProblem> {
        let header = segment.get(..SEGMENT_HEADER).ok_or(HeaderProblem::Unreadable)?;
        if &header[..8] != MAGIC || u32_at(header, 32) != crc32c::crc32c(&header[..32]) {
            return Err(HeaderProblem::Unreadable);
        }
        match u16::from_le_bytes([header[8], header[9]]) {
            FORMAT => {}
            newer => return Err(HeaderProblem::Newer(newer)),
        }
        Ok(Self {
            boot: u32_at(header, 12),
            number: u32_at(header, 16),
            salt: u32_at(header, 20),
            created: Timestamp(u64_at(header, 24).cast_signed()),
        })
    }
}

/// Appends a frame that still lacks its checksum and place; [`seal`] adds them once the segment is known.
pub(crate) fn push(out: &mut Vec<u8>, kind: FrameKind, boot: u32, seq: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, kind as u8, 0, 0, 0]);
    out.extend_from_slice(&boot.to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Gives the frame at the start of `frames` its place and its checksum under `salt`; returns its length.
pub(crate) fn seal(frames: &mut [u8], salt: u32, place: u32) -> usize {
    let total = total_length(frames);
    let [b0, b1, b2, _] = place.min(0x00FF_FFFF).to_le_bytes();
    frames[9..12].copy_from_slice(&[b0, b1, b2]);
    let crc = checksum(&frames[..total], salt);
    frames[4..8].copy_from_slice(&crc.to_le_bytes());
    total
}

/// Length, header included, of the frame at the start of `frames`.
pub(crate) fn total_length(frames: &[u8]) -> usize {
    FRAME_HEADER + u32_at(frames, 0) as usize
}

pub(crate) fn seq_of(frame: &[u8]) -> u64 {
    u64_at(frame, 16)
}

fn checksum(frame: &[u8], salt: u32) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &frame[..4]), &frame[8..])
}

/// A frame found in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) seq: u64,
    pub(crate) place: u32,
    /// Where it stands in the segment, header included.
    pub(crate) span: Range<usize>,
}

impl Frame {
    pub(crate) fn payload<'s>(&self, segment: &'s [u8]) -> &'s [u8] {
        segment.get(self.span.start + FRAME_HEADER..self.span.end).unwrap_or_default()
    }

    /// Number of the first frame of its batch.
    pub(crate) fn batch(&self) -> u64 {
        self.seq.saturating_sub(u64::from(self.place))
    }
}

/// The frame at `at`, if a whole and undamaged one stands there.
pub(crate) fn read(segment: &[u8], header: &SegmentHeader, at: usize) -> Option<Frame> {
    let rest = segment.get(at..)?;
    if rest.len() < FRAME_HEADER {
        return None;
    }
    let length = u32_at(rest, 0) as usize;
    // The boot is looked at before the checksum is computed: a search through a damaged file stays cheap.
    if length == 0 || length > MAX_PAYLOAD || u32_at(rest, 12) != header.boot {
        return None;
    }
    let kind = FrameKind::read(rest[8])?;
    let frame = rest.get(..FRAME_HEADER + length)?;
    if checksum(frame, header.salt) != u32_at(frame, 4) {
        return None;
    }
    let place = u32::from_le_bytes([frame[9], frame[10], frame[11], 0]);
    Some(Frame { kind, seq: seq_of(frame), place, span: at..at + frame.len() })
}

/// Nothing but zeros from `at` on: written ahead, and not used.
pub(crate) fn is_unused(segment: &[u8], at: usize) -> bool {
    segment.get(at..).unwrap_or_default().iter().all(|byte| *byte == 0)
}

/// The next undamaged frame after a damaged place.
pub(crate) fn find(segment: &[u8], header: &SegmentHeader, from: usize) -> Option<Frame> {
    (from..segment.len()).find_map(|at| read(segment, header, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: SegmentHeader = SegmentHeader { boot: 7, number: 3, salt: 0xDEAD_BEEF, created: Timestamp(5) };

    fn segment(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut out = HEADER.encode().to_vec();
        for (place, payload) in (0u32..).zip(payloads) {
            let start = out.len();
            push(&mut out, FrameKind::Record, HEADER.boot, 100 + u64::from(place), payload);
            seal(&mut out[start..], HEADER.salt, place);
        }
        out
    }

    #[test]
    fn a_header_reads_back_and_damage_to_it_shows() {
        let mut bytes = HEADER.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(HEADER));
        bytes[13] ^= 1;
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderProblem::Unreadable));
        assert_eq!(SegmentHeader::decode(&[0; SEGMENT_HEADER]), Err(HeaderProblem::Unreadable));
        assert_eq!(SegmentHeader::decode(&[]), Err(HeaderProblem::Unreadable));
    }

    #[test]
    fn a_newer_format_is_told_apart_from_damage() {
        let mut bytes = HEADER.encode();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..32]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderProblem::Newer(2)));
    }

    #[test]
    fn a_frame_of_another_segment_is_not_a_frame_here() {
        let bytes = segment(&[b"hello".to_vec()]);
        let other = SegmentHeader { salt: 1, ..HEADER };
        assert!(read(&bytes, &HEADER, SEGMENT_HEADER).is_some());
        assert_eq!(read(&bytes, &other, SEGMENT_HEADER), None);
    }

    proptest! {
        #[test]
        fn frames_read_back_and_any_changed_bit_shows(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..8),
            flip in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let mut bytes = segment(&payloads);
            let mut at = SEGMENT_HEADER;
            let mut spans = Vec::new();
            for (place, payload) in (0u32..).zip(&payloads) {
                let frame = read(&bytes, &HEADER, at).unwrap();
                prop_assert_eq!(frame.payload(&bytes), &payload[..]);
                prop_assert_eq!((frame.seq, frame.place, frame.batch()), (100 + u64::from(place), place, 100));
                at = frame.span.end;
                spans.push(frame.span);
            }
            prop_assert_eq!(at, bytes.len());

            let flipped = SEGMENT_HEADER + flip.index(bytes.len() - SEGMENT_HEADER);
            bytes[flipped] ^= 1 << bit;
            for span in spans {
                prop_assert_eq!(read(&bytes, &HEADER, span.start).is_some(), !span.contains(&flipped));
            }
        }

        #[test]
        fn reading_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..400) {
            let _ = SegmentHeader::decode(&bytes);
            let _ = read(&bytes, &HEADER, at);
            let _ = find(&bytes, &HEADER, at);
            let _ = is_unused(&bytes, at);
        }
    }
}
