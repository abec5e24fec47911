//! The tiles of hashes, each believed only as far as the hash above it reaches.

use crate::error::Error;
use crate::folder::{Folder, Read, TILE_WIDTH};
use crate::hash::{Hash, empty_root, root_in_place, root_over};

/// A tree of which the right edge is known: the hashes of the tiles that are not full. Every other tile is checked against
/// the one above it.
#[derive(Debug, Clone)]
pub(crate) struct Tree<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) size: u64,
    /// By level, the hashes of its last tile, which is not full.
    pub(crate) edge: Vec<Vec<Hash>>,
}

/// The tiles that were read last, one per level. Who walks along the leaves needs no more.
#[derive(Debug, Default)]
pub(crate) struct Cache(Vec<Option<(u64, Vec<Hash>)>>);

/// A full tile that is not what the tile above says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) level: u32,
    pub(crate) index: u64,
    pub(crate) expected: Hash,
    /// Why there is nothing to compare, if that is so.
    pub(crate) unreadable: Option<String>,
}

/// How many levels of tiles a tree of so many leaves has.
pub(crate) fn levels(size: u64) -> u32 {
    size.checked_ilog2().map_or(0, |log| log / 8 + 1)
}

/// How many hashes a tree of so many leaves has at a level of tiles.
pub(crate) fn hashes_at(size: u64, level: u32) -> u64 {
    size.checked_shr(8 * level).unwrap_or(0)
}

/// How many leaves lie below one hash of a level of tiles.
pub(crate) fn leaves_below(level: u32) -> u64 {
    1_u64.checked_shl(8 * level).unwrap_or(u64::MAX)
}

/// Root of a tree, from the last tile of each level.
pub(crate) fn root_of_edge(edge: &[Vec<Hash>]) -> Hash {
    let mut right = None;
    for tile in edge {
        let mut hashes = tile.clone();
        hashes.extend(right);
        right = root_in_place(&mut hashes);
    }
    right.unwrap_or_else(empty_root)
}

impl Tree<'_> {
    /// The hash of a subtree of 256^`level` leaves.
    pub(crate) fn hash(&self, level: u32, index: u64, cache: &mut Cache) -> Result<Result<Hash, Broken>, Error> {
        let at = (index % TILE_WIDTH) as usize;
        Ok(match self.tile(level, index / TILE_WIDTH, cache)? {
            Ok(tile) => match tile.get(at) {
                Some(hash) => Ok(*hash),
                None => Err(Broken::absent(level, index / TILE_WIDTH)),
            },
            Err(broken) => Err(broken),
        })
    }

    /// A tile as the tile above it vouches for it.
    pub(crate) fn tile<'c>(
        &'c self,
        level: u32,
        index: u64,
        cache: &'c mut Cache,
    ) -> Result<Result<&'c [Hash], Broken>, Error> {
        let place = level as usize;
        if index == hashes_at(self.size, level) / TILE_WIDTH {
            return Ok(self.edge.get(place).map(Vec::as_slice).ok_or_else(|| Broken::absent(level, index)));
        }
        if cache.0.len() <= place {
            cache.0.resize_with(place + 1, || None);
        }
        if cache.0[place].as_ref().is_none_or(|(cached, _)| *cached != index) {
            let expected = match self.hash(level + 1, index, cache)? {
                Ok(expected) => expected,
                Err(broken) => return Ok(Err(broken)),
            };
            let broken = |unreadable| Broken { level, index, expected, unreadable };
            match self.folder.read_tile(level, index, TILE_WIDTH)? {
                Read::Is(tile) if root_over(&tile) == Some(expected) => cache.0[place] = Some((index, tile)),
                Read::Is(_) => return Ok(Err(broken(None))),
                Read::Absent => return Ok(Err(broken(Some("it is not there".to_owned())))),
                Read::Bad(why) => return Ok(Err(broken(Some(why)))),
            }
        }
        match &cache.0[place] {
            Some((_, tile)) => Ok(Ok(tile)),
            None => Ok(Err(Broken::absent(level, index))),
        }
    }

    /// Root of the tree of the first `size` leaves.
    pub(crate) fn root_of(&self, size: u64, cache: &mut Cache) -> Result<Result<Hash, Broken>, Error> {
        let mut edge = Vec::new();
        for level in 0..levels(size) {
            let hashes = hashes_at(size, level);
            let width = (hashes % TILE_WIDTH) as usize;
            let mut tile = Vec::new();
            if width > 0 {
                match self.tile(level, hashes / TILE_WIDTH, cache)? {
                    Ok(whole) => tile.extend(whole.iter().take(width)),
                    Err(broken) => return Ok(Err(broken)),
                }
                if tile.len() < width {
                    return Ok(Err(Broken::absent(level, hashes / TILE_WIDTH)));
                }
            }
            edge.push(tile);
        }
        Ok(Ok(root_of_edge(&edge)))
    }
}

impl Broken {
    fn absent(level: u32, index: u64) -> Self {
        Self { level, index, expected: empty_root(), unreadable: Some("it is beyond the end of the tree".to_owned()) }
    }
}
