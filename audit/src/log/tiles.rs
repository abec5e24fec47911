//! The log's folder (C2SP tlog-tiles): names of its files, what stands in them, and reading them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

use super::note::Checkpoint;
use super::tree::{Hash, Subtrees, TILE_HEIGHT, TILE_WIDTH, complete};
use crate::AuditError;

/// Level 1 gives 109 bytes per record of `make bench-audit` in 1.1 to 1.8 µs, level 2 gives 83 in 2.0 to 2.6 µs. So many bytes are to
/// spare, and the machine is the one that serves.
const LEVEL: Compression = Compression::new(1);

/// Longest leaf, newline included: its length is written in 16 bits.
pub(crate) const LONGEST_LEAF: usize = u16::MAX as usize;

/// `1234067` → `x001/x234/067`
fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    path
}

/// Path of a tile or bundle below the log's folder; `width` is 1 to 256.
fn path(kind: &str, index: u64, width: u64) -> String {
    let partial = if width < TILE_WIDTH { format!(".p/{width}") } else { String::new() };
    format!("tile/{kind}/{}{partial}", index_path(index))
}

pub(crate) fn tile_path(level: u32, index: u64, width: u64) -> String {
    path(&level.to_string(), index, width)
}

pub(crate) fn bundle_path(index: u64, width: u64) -> String {
    path("entries", index, width)
}

/// How many hashes tile `index` of `level` has in a tree of `size`.
pub(crate) fn width(level: u32, index: u64, size: u64) -> u64 {
    (size >> (TILE_HEIGHT * level)).saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH)
}

pub(crate) fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

pub(crate) fn decode_tile(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.iter().copied().map(Hash).collect())
}

/// Writes gzip (RFC 1952) without name and time: the same leaves give the same bytes. All bundles in the same memory, because to
/// lay that out anew costs a good part of what it costs to compress one.
#[derive(Debug)]
pub(crate) struct Gzip(Compress);

impl Default for Gzip {
    fn default() -> Self {
        Self(Compress::new_gzip(LEVEL, 15))
    }
}

impl Gzip {
    /// A bundle as it stands in its file.
    pub(crate) fn bundle(&mut self, bundle: &Bundle) -> io::Result<Vec<u8>> {
        let Self(deflate) = self;
        deflate.reset();
        let mut out = Vec::new();
        loop {
            let read = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
            out.reserve(bundle.bytes.len() / 3 + 64);
            let rest = bundle.bytes.get(read..).unwrap_or_default();
            if deflate.compress_vec(rest, &mut out, FlushCompress::Finish)? == Status::StreamEnd {
                return Ok(out);
            }
        }
    }
}

/// Leaves of one bundle.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// Index of the first one.
    first: u64,
    bytes: Vec<u8>,
    leaves: Vec<Range<usize>>,
}

impl Bundle {
    pub(crate) fn new(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// An empty one behind this one, with room for as much: bundles of one log are about as long.
    pub(crate) fn next(&self) -> Self {
        let room = self.bytes.len() + self.bytes.len() / 8;
        let (bytes, leaves) = (Vec::with_capacity(room), Vec::with_capacity(self.leaves.len()));
        Self { first: self.first + self.len() as u64, bytes, leaves }
    }

    /// Adds a leaf, which must not be longer than [`LONGEST_LEAF`].
    pub(crate) fn push(&mut self, leaf: &[u8]) {
        let length = u16::try_from(leaf.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        let start = self.bytes.len();
        self.bytes.extend_from_slice(leaf);
        self.leaves.push(start..self.bytes.len());
    }

    /// Reads what a bundle's file decompresses to.
    fn decode(first: u64, bytes: Vec<u8>) -> Option<Self> {
        let mut leaves = Vec::with_capacity(256);
        let mut at = 0;
        while let Some(length) = bytes.get(at..at + 2) {
            let start = at + 2;
            at = start + usize::from(u16::from_be_bytes([length[0], length[1]]));
            leaves.push(start..at);
        }
        (at == bytes.len() && leaves.len() as u64 <= TILE_WIDTH).then_some(Self { first, bytes, leaves })
    }

    /// Reads a bundle's file. None: it does not hold so many leaves.
    pub(crate) fn decompress(index: u64, width: u64, file: &[u8]) -> Option<Self> {
        Self::read(index, file).ok().flatten().filter(|bundle| bundle.len() as u64 == width)
    }

    fn read(index: u64, file: impl io::Read) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        // The most that 256 leaves can be, and one byte more.
        let longest = TILE_WIDTH * (LONGEST_LEAF as u64 + 2) + 1;
        MultiGzDecoder::new(file).take(longest).read_to_end(&mut bytes)?;
        Ok(Self::decode(index * TILE_WIDTH, bytes))
    }

    pub(crate) fn same_leaves(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }

    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Index in the log of the first leaf.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The leaf of this index in the log, newline included.
    pub fn leaf(&self, index: u64) -> Option<&[u8]> {
        let place = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.bytes.get(self.leaves.get(place)?.clone())
    }

    /// All leaves with their indices in the log.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.first..).zip(self.leaves.iter().map(|leaf| self.bytes.get(leaf.clone()).unwrap_or_default()))
    }
}

/// The log's folder, to be read. Any process may; files of a signed size never change.
#[derive(Clone, Debug)]
pub struct LogFolder {
    dir: PathBuf,
}

impl LogFolder {
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The newest checkpoint as it stands there; its signatures are not looked at. None: nothing was sealed yet.
    ///
    /// # Errors
    /// The file can't be read or is no checkpoint.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, AuditError> {
        let path = self.dir.join("checkpoint");
        let note = match fs::read_to_string(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AuditError::io("could not read", &path)(error)),
        };
        Checkpoint::parse(&note).map(Some).map_err(|problem| AuditError::log(&path, problem))
    }

    /// How many leaves at the beginning were dropped.
    ///
    /// # Errors
    /// The file can't be read or holds no number.
    pub fn minimum_index(&self) -> Result<u64, AuditError> {
        let path = self.dir.join("minimum-index");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim_end().parse().map_err(|_| AuditError::log(&path, "it does not hold a number")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(AuditError::io("could not read", &path)(error)),
        }
    }

    /// Bundle `index` of a tree of `size` leaves.
    ///
    /// # Errors
    /// The file is missing, can't be read, or holds something else.
    pub fn bundle(&self, index: u64, size: u64) -> Result<Bundle, AuditError> {
        let width = width(0, index, size);
        let (path, file) = self.open(|width| bundle_path(index, width), width)?;
        let bundle = Bundle::read(index, file).map_err(AuditError::io("could not read", &path))?;
        let bundle = bundle.filter(|bundle| bundle.len() as u64 >= width);
        let mut bundle = bundle.ok_or_else(|| AuditError::log(&path, "it does not hold the leaves that it should"))?;
        bundle.leaves.truncate(usize::try_from(width).unwrap_or(usize::MAX));
        bundle.bytes.truncate(bundle.leaves.last().map_or(0, |last| last.end));
        Ok(bundle)
    }

    /// Tile `index` of `level` of a tree of `size` leaves.
    ///
    /// # Errors
    /// As [`LogFolder::bundle`].
    pub fn tile(&self, level: u32, index: u64, size: u64) -> Result<Vec<Hash>, AuditError> {
        let width = width(level, index, size);
        let (path, mut file) = self.open(|width| tile_path(level, index, width), width)?;
        let mut bytes = Vec::with_capacity(TILE_WIDTH as usize * 32);
        file.read_to_end(&mut bytes).map_err(AuditError::io("could not read", &path))?;
        let hashes = decode_tile(&bytes).filter(|hashes| hashes.len() as u64 >= width);
        let mut hashes = hashes.ok_or_else(|| AuditError::log(&path, "it does not hold the hashes that it should"))?;
        hashes.truncate(usize::try_from(width).unwrap_or(usize::MAX));
        Ok(hashes)
    }

    /// Hashes of subtrees, for proofs.
    pub fn hashes(&self, size: u64) -> TileHashes<'_> {
        TileHashes { folder: self, size, tiles: HashMap::new() }
    }

    /// A partial file may be gone once the full one is there.
    fn open(&self, name: impl Fn(u64) -> String, width: u64) -> Result<(PathBuf, File), AuditError> {
        let path = self.dir.join(name(width));
        match File::open(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && width < TILE_WIDTH => {
                let full = self.dir.join(name(TILE_WIDTH));
                let file = File::open(&full).map_err(|_| AuditError::io("could not open", &path)(error))?;
                Ok((full, file))
            }
            Err(error) => Err(AuditError::io("could not open", &path)(error)),
        }
    }
}

/// Hashes of complete subtrees from tiles; keeps those that it has read.
#[derive(Debug)]
pub struct TileHashes<'f> {
    folder: &'f LogFolder,
    size: u64,
    tiles: HashMap<(u32, u64), Vec<Hash>>,
}

impl TileHashes<'_> {
    /// Audit path of a leaf (RFC 6962, 2.1.1), from its sibling up.
    ///
    /// # Errors
    /// A tile can't be read.
    pub fn inclusion_proof(&mut self, index: u64) -> Result<Vec<Hash>, AuditError> {
        self.inclusion(index, self.size)
    }

    /// Proof that the tree of `old` leaves is a prefix of this one (RFC 6962, 2.1.2).
    ///
    /// # Errors
    /// A tile can't be read.
    pub fn consistency_proof(&mut self, old: u64) -> Result<Vec<Hash>, AuditError> {
        self.consistency(old, self.size)
    }

    /// Root of the tree of the first `size` leaves.
    ///
    /// # Errors
    /// A tile can't be read.
    pub fn root_at(&mut self, size: u64) -> Result<Hash, AuditError> {
        self.range(0, size)
    }
}

impl Subtrees for TileHashes<'_> {
    type Error = AuditError;

    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, AuditError> {
        let (tile_level, inner) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        // The first hash of the tile's level that lies below the subtree, and how many do.
        let (first, many) = (index << inner, 1usize << inner);
        let tile = (tile_level, first / TILE_WIDTH);
        if !self.tiles.contains_key(&tile) {
            // An export may touch every tile of a large log.
            if self.tiles.len() >= 4_096 {
                self.tiles.clear();
            }
            self.tiles.insert(tile, self.folder.tile(tile.0, tile.1, self.size)?);
        }
        let start = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        let hashes = self.tiles.get(&tile).and_then(|hashes| hashes.get(start..start + many));
        let path = || self.folder.dir.join(tile_path(tile.0, tile.1, width(tile.0, tile.1, self.size)));
        hashes.map(complete).ok_or_else(|| AuditError::log(&path(), "it does not hold the hashes that it should"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(bundle_path(0, 256), "tile/entries/000");
        assert_eq!(bundle_path(1_000, 17), "tile/entries/x001/000.p/17");
        // The example of the page: a tree of size 70,000.
        assert_eq!((width(0, 272, 70_000), width(0, 273, 70_000)), (256, 112));
        assert_eq!((width(1, 0, 70_000), width(1, 1, 70_000), width(2, 0, 70_000)), (256, 17, 1));
        assert_eq!((width(0, 0, 256), width(0, 1, 256), width(1, 0, 256)), (256, 0, 1));
    }

    #[test]
    fn the_same_leaves_give_the_same_file_whatever_was_written_before() {
        let mut noise = 1u64;
        let mut long = Bundle::new(256);
        for _ in 0..40 {
            let leaf: Vec<u8> = (0..LONGEST_LEAF)
                .map(|_| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    noise.to_be_bytes()[0]
                })
                .collect();
            long.push(&leaf);
        }
        let mut short = Bundle::new(0);
        short.push(b"{\"v\":1}\n");
        let mut gzip = Gzip::default();
        let files = [&short, &long, &short, &Bundle::new(0), &long].map(|bundle| gzip.bundle(bundle).unwrap());
        assert!(files[0] == files[2] && files[1] == files[4] && files[1].len() > long.bytes.len());
        for (file, bundle) in files.iter().zip([&short, &long, &short]) {
            let read = Bundle::decompress(bundle.first / TILE_WIDTH, bundle.len() as u64, file).unwrap();
            assert!(read.same_leaves(bundle));
        }
    }

    #[test]
    fn bundles_read_back_and_odd_ones_are_refused() {
        let mut bundle = Bundle::new(512);
        for leaf in [&b"{\"v\":1}\n"[..], b"", b"x"] {
            bundle.push(leaf);
        }
        let read = Bundle::decode(512, bundle.bytes.clone()).unwrap();
        assert!(read.same_leaves(&bundle) && read.len() == 3);
        assert_eq!(
            (read.leaf(512), read.leaf(514), read.leaf(515), read.leaf(511)),
            (Some(&b"{\"v\":1}\n"[..]), Some(&b"x"[..]), None, None)
        );
        for end in [1, 5, bundle.bytes.len() - 1] {
            assert!(Bundle::decode(0, bundle.bytes[..end].to_vec()).is_none(), "{end}");
        }
        let many: Vec<u8> = [0, 0].repeat(257);
        assert!(Bundle::decode(0, many).is_none());
    }
}
