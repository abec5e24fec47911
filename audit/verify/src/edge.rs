//! The right edge of the tree: the tiles that are not full. Together they lead to the signed root, and all else hangs on them.

use crate::bundle::Reader;
use crate::diagnose::from_below;
use crate::error::Error;
use crate::finding::{Finding, Place, What};
use crate::folder::{Folder, Read, TILE_WIDTH};
use crate::hash::Hash;
use crate::tiles::{Tree, hashes_at, leaves_below, levels, root_of_edge};

/// The edge as far as it can be had.
#[derive(Debug)]
pub(crate) struct Edge {
    /// By level, from the leaves up.
    pub(crate) tiles: Vec<Vec<Hash>>,
    /// Whether it leads to the signed root. If not, nothing in the folder is vouched for.
    pub(crate) vouched: bool,
    /// Tiles of it that had to be made anew from what lies below.
    pub(crate) damaged: Vec<Finding>,
    /// Whether something of it is not there at all, and can't be made anew.
    pub(crate) incomplete: bool,
}

/// Reads the edge of the tree of `size` leaves. A tile that is damaged is made anew from below if that leads to the root.
pub(crate) fn read(folder: &Folder, reader: &mut Reader, size: u64, root: Hash) -> Result<Edge, Error> {
    let mut stored = Vec::new();
    for level in 0..levels(size) {
        let hashes = hashes_at(size, level);
        stored.push(match hashes % TILE_WIDTH {
            0 => Ok(Vec::new()),
            width => match folder.read_tile(level, hashes / TILE_WIDTH, width)? {
                Read::Is(tile) => Ok(tile),
                Read::Absent => Err("it is not there".to_owned()),
                Read::Bad(why) => Err(why),
            },
        });
    }
    if let Ok(tiles) = stored.iter().cloned().collect::<Result<Vec<_>, _>>()
        && root_of_edge(&tiles) == root
    {
        return Ok(Edge { tiles, vouched: true, damaged: Vec::new(), incomplete: false });
    }
    let mut computed = Vec::new();
    for (level, stored) in (0_u32..).zip(&stored) {
        let hashes = hashes_at(size, level);
        let (index, width) = (hashes / TILE_WIDTH, hashes % TILE_WIDTH);
        computed.push(match (level, width) {
            (_, 0) => None,
            (0, _) => Some(reader.read(folder, index, width)?.hashes).filter(|hashes| hashes.len() as u64 == width),
            _ => from_below(folder, level, index, width, stored.as_deref().ok())?,
        });
    }
    // Each tile as it is stored or as it is made anew. A log of 2⁶³ leaves has eight of them.
    for choice in 0_u32..1 << stored.len().min(8) {
        let anew = |level: usize| choice >> level & 1 == 1;
        let tiles = stored.iter().zip(&computed).enumerate().map(|(level, (stored, computed))| {
            if anew(level) { computed.clone() } else { stored.as_ref().ok().cloned() }
        });
        let Some(tiles) = tiles.collect::<Option<Vec<_>>>() else { continue };
        if root_of_edge(&tiles) != root {
            continue;
        }
        let damaged = (0_u32..).zip(stored.iter().zip(&tiles));
        let mut damaged =
            damaged.filter_map(|(level, (stored, tile))| damage(size, level, stored, tile)).collect::<Vec<_>>();
        damaged.sort_by_key(Finding::first_leaf);
        return Ok(Edge { tiles, vouched: true, damaged, incomplete: false });
    }
    let best = stored.into_iter().zip(computed).map(|(stored, computed)| stored.ok().or(computed));
    let best = best.collect::<Vec<_>>();
    let incomplete = best.iter().any(Option::is_none);
    let tiles = best.into_iter().map(Option::unwrap_or_default).collect();
    Ok(Edge { tiles, vouched: false, damaged: Vec::new(), incomplete })
}

fn damage(size: u64, level: u32, stored: &Result<Vec<Hash>, String>, tile: &[Hash]) -> Option<Finding> {
    let hashes = hashes_at(size, level);
    let (index, width) = (hashes / TILE_WIDTH, hashes % TILE_WIDTH);
    let (at, why) = match stored {
        Ok(stored) => {
            let at = stored.iter().zip(tile).position(|(stored, tile)| stored != tile)?;
            (at as u64, format!("what lies below leads to the signed tree head; hash {at} of this file does not"))
        }
        Err(why) => (0, format!("what lies below leads to the signed tree head; of this file, {why}")),
    };
    let leaf = (index * TILE_WIDTH + at).saturating_mul(leaves_below(level));
    let place = Place {
        file: Some(Folder::tile_path(level, index, width)),
        leaf: Some(leaf),
        before_leaf: Some(leaf.saturating_add(leaves_below(level)).min(size)),
        ..Place::default()
    };
    Some(Finding::new(What::TileDamaged, place, format!("{}.", capital(&why))))
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + rest.as_str())
}

/// How many leaves are there, counted by the bundles from the end.
pub(crate) fn leaves_there(folder: &Folder, reader: &mut Reader, size: u64) -> Result<u64, Error> {
    for index in folder.bundles()?.range(..size.div_ceil(TILE_WIDTH)).rev().copied() {
        let width = size.saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH);
        let widths = folder.widths(index)?;
        if let Some(width) = widths.iter().find(|there| **there == width).or(widths.last()).copied() {
            let held = reader.read(folder, index, width)?.hashes.len() as u64;
            return Ok(index * TILE_WIDTH + held.min(width));
        }
    }
    Ok(0)
}

/// The edge of the tree of the first `size` leaves, from tiles that nothing vouches for.
pub(crate) fn prefix(whole: &Tree<'_>, size: u64) -> Result<Option<Vec<Vec<Hash>>>, Error> {
    let mut edge = Vec::new();
    for level in 0..levels(size) {
        let hashes = hashes_at(size, level);
        let (index, width) = (hashes / TILE_WIDTH, (hashes % TILE_WIDTH) as usize);
        let of_whole = hashes_at(whole.size, level).saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH);
        let mut tile = match whole.folder.read_tile(level, index, of_whole)? {
            _ if width == 0 => Vec::new(),
            Read::Is(tile) => tile,
            // It is not there if the end is cut off; the one of that size may be.
            Read::Absent | Read::Bad(_) => match whole.folder.read_tile(level, index, width as u64)? {
                Read::Is(tile) => tile,
                Read::Absent | Read::Bad(_) => return Ok(None),
            },
        };
        if tile.len() < width {
            return Ok(None);
        }
        tile.truncate(width);
        edge.push(tile);
    }
    Ok(Some(edge))
}
