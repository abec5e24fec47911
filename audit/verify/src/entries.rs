//! Entry bundles: gzip around leaves with their lengths before them.

use std::ops::Range;

use zlib_rs::{Inflate, InflateFlush, Status};

use crate::folder::TILE_WIDTH;

/// No bundle unpacks to more: 256 leaves of 65,535 bytes, each with two bytes of length. What unpacks to more is a bomb.
pub const BUNDLE_LIMIT: usize = 256 * (65_535 + 2);
/// No compressed bundle is longer. gzip adds 5 bytes to 64 KiB of what it can't compress, and a header, which may hold a name.
pub(crate) const FILE_LIMIT: usize = BUNDLE_LIMIT + BUNDLE_LIMIT / 1000 + 65_536;

/// A bundle is written as one gzip member. RFC 1952 allows for more; thousands of empty ones only cost time.
const MEMBERS_LIMIT: usize = 256;
/// Gzip header and trailer, largest window.
const GZIP: u8 = 16 + 15;

/// Unpacks bundles into memory that is used again.
#[derive(Debug, Default)]
pub struct Unpacker {
    unpacked: Vec<u8>,
    leaves: Vec<Range<usize>>,
}

/// What a bundle holds. It may be more or less than it should.
#[derive(Debug, Clone, Copy)]
pub struct Unpacked<'a> {
    bytes: &'a [u8],
    leaves: &'a [Range<usize>],
    /// Why it is no bundle, although it may hold leaves up to some point.
    pub damage: Option<&'static str>,
}

impl Unpacker {
    /// Unpacks as much as can be.
    pub fn unpack(&mut self, file: &[u8]) -> Unpacked<'_> {
        if self.unpacked.is_empty() {
            // One more than allowed, to see what is too long. Pages of it that are never written take no memory.
            self.unpacked = vec![0; BUNDLE_LIMIT + 1];
        }
        let (length, damage) = inflate(file, &mut self.unpacked);
        let damage = self.split(length).or(damage);
        Unpacked { bytes: &self.unpacked, leaves: &self.leaves, damage }
    }

    /// Where the leaves are.
    fn split(&mut self, length: usize) -> Option<&'static str> {
        self.leaves.clear();
        let mut at = 0;
        while at < length {
            let Some(&[high, low]) = self.unpacked[at..length].first_chunk::<2>() else {
                return Some("it ends within a length");
            };
            let leaf = at + 2..at + 2 + usize::from(u16::from_be_bytes([high, low]));
            if leaf.end > length {
                return Some("it ends within a leaf");
            }
            if self.leaves.len() as u64 == TILE_WIDTH {
                return Some("it holds more than 256 leaves");
            }
            at = leaf.end;
            self.leaves.push(leaf);
        }
        None
    }
}

impl<'a> Unpacked<'a> {
    /// How many leaves there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The leaves, newline included.
    pub fn leaves(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        self.leaves.iter().map(move |leaf| &bytes[leaf.clone()])
    }
}

/// Unpacks all members of a gzip file (RFC 1952, section 2.2). Gives how much was unpacked, and what is wrong.
fn inflate(file: &[u8], into: &mut [u8]) -> (usize, Option<&'static str>) {
    let (mut read, mut written, mut members) = (0, 0, 0);
    while read < file.len() || read == 0 {
        members += 1;
        if members > MEMBERS_LIMIT {
            return (written, Some("it is made of more than 256 gzip members"));
        }
        let mut member = Inflate::new(true, GZIP);
        let status = member.decompress(&file[read..], &mut into[written..], InflateFlush::Finish);
        written += usize::try_from(member.total_out()).unwrap_or(usize::MAX).min(into.len() - written);
        if written == into.len() {
            return (written - 1, Some("it unpacks to more than 256 leaves can hold"));
        }
        match status {
            Ok(Status::StreamEnd) => {
                read += usize::try_from(member.total_in()).unwrap_or(usize::MAX).clamp(1, file.len() - read);
            }
            Ok(_) => return (written, Some("its gzip ends too early")),
            Err(_) => return (written, Some("its gzip is damaged, or its checksum is wrong")),
        }
    }
    (written, None)
}
