//! What is wrong with a tile or a bundle that does not fit. Runs once per verification: it may take its time.

use crate::align::{How, difference};
use crate::bundle::{Bundle, Reader};
use crate::error::Error;
use crate::finding::{Finding, Place, What};
use crate::folder::{Folder, Read, TILE_WIDTH};
use crate::hash::{Hash, root_over};
use crate::leaf::Leaf;
use crate::tiles::{Broken, Tree, leaves_below};

/// A tile above the lowest level that is not what the tile above it says.
pub(crate) fn tile(tree: &Tree<'_>, broken: &Broken) -> Result<Finding, Error> {
    let Broken { level, index, expected, .. } = *broken;
    let below_one = leaves_below(level);
    let first = index.saturating_mul(TILE_WIDTH).saturating_mul(below_one);
    let file = Folder::tile_path(level, index, TILE_WIDTH);
    let place = |leaf: u64, before: u64| Place {
        file: Some(file.clone()),
        leaf: Some(leaf),
        before_leaf: Some(before.min(tree.size)),
        ..Place::default()
    };
    let stored = match tree.folder.read_tile(level, index, TILE_WIDTH)? {
        Read::Is(stored) => Some(stored),
        Read::Absent | Read::Bad(_) => None,
    };
    let computed = from_below(tree.folder, level, index, TILE_WIDTH, stored.as_deref())?;
    if computed.as_deref().and_then(root_over) == Some(expected) {
        let differs =
            stored.iter().flatten().zip(computed.iter().flatten()).position(|(stored, computed)| stored != computed);
        let at = first + differs.unwrap_or(0) as u64 * below_one;
        let why = match &broken.unreadable {
            Some(why) => format!("The hashes of the level below lead to what is vouched for; of this file, {why}."),
            None => format!(
                "The hashes of the level below lead to what is vouched for; hash {} of this file does not.",
                differs.unwrap_or(0)
            ),
        };
        return Ok(Finding::new(What::TileDamaged, place(at, at + below_one), why));
    }
    let why = "The hashes in this file, and those of the files below it, do not lead to what the signed tree head vouches for: \
               records and hashes were changed together, so it can't be told by hashes which record it is.";
    Ok(Finding::new(What::Changed, place(first, first.saturating_add(below_one.saturating_mul(TILE_WIDTH))), why))
}

/// The hashes of a tile, made anew from the tiles below it. Where one of those is not there (dropped), the stored hash is taken.
pub(crate) fn from_below(
    folder: &Folder,
    level: u32,
    index: u64,
    width: u64,
    stored: Option<&[Hash]>,
) -> Result<Option<Vec<Hash>>, Error> {
    let Some(below) = level.checked_sub(1) else { return Ok(None) };
    let mut hashes = Vec::new();
    for at in 0..width {
        let hash = match folder.read_tile(below, index * TILE_WIDTH + at, TILE_WIDTH)? {
            Read::Is(tile) => root_over(&tile),
            Read::Absent | Read::Bad(_) => stored.and_then(|stored| stored.get(at as usize)).copied(),
        };
        let Some(hash) = hash else { return Ok(None) };
        hashes.push(hash);
    }
    Ok(Some(hashes))
}

/// A full bundle and its tile, at least one of which does not lead to the hash above.
pub(crate) fn full_bundle(
    tree: &Tree<'_>,
    reader: &mut Reader,
    index: u64,
    bundle: &Bundle,
    tile: Read<Vec<Hash>>,
    expected: Hash,
) -> Result<Finding, Error> {
    let first = index * TILE_WIDTH;
    let (tile, why) = match tile {
        Read::Is(tile) => (Some(tile), String::new()),
        Read::Absent => (None, "The file is not there.".to_owned()),
        Read::Bad(why) => (None, format!("It can't be used: {why}.")),
    };
    if let Some(tile) = &tile
        && root_over(tile) == Some(expected)
    {
        return leaves(tree, reader, index, bundle, tile);
    }
    let file = Folder::tile_path(0, index, TILE_WIDTH);
    if root_over(&bundle.hashes) == Some(expected) && bundle.hashes.len() as u64 == TILE_WIDTH {
        let differs = tile.iter().flatten().zip(&bundle.hashes).position(|(stored, computed)| stored != computed);
        let why = match differs {
            Some(at) => {
                format!("Hash {at} of this file is not that of its record. The records are as they were sealed.")
            }
            None => format!("{why} The records are as they were sealed."),
        };
        let leaf = Some(first + differs.unwrap_or(0) as u64);
        return Ok(Finding::new(What::TileDamaged, Place { file: Some(file), leaf, ..Place::default() }, why));
    }
    if bundle.absent {
        return absent(tree, index, bundle);
    }
    let (at, why) = match tile.as_deref().map(|tile| difference(tile, &bundle.hashes, &[], &[])) {
        Some(Some(difference)) => (Some(difference.at), "its hashes were altered as well, differently"),
        Some(None) => (None, "its hashes were made anew to fit"),
        None => (None, "its hashes are gone"),
    };
    let place = Place {
        file: Some(bundle.file.clone()),
        leaf: Some(first),
        before_leaf: Some(first + TILE_WIDTH),
        ..Place::default()
    };
    let hint =
        at.map_or(String::new(), |at| format!(" The two contradict each other first at leaf {}.", first + at as u64));
    let why = format!(
        "The records of this file do not lead to the hash that the signed tree head vouches for, and {why}; so it can't be told \
         by hashes which of them it is.{hint}"
    );
    Ok(Finding::new(What::Changed, place, why))
}

/// A bundle against a tile that is vouched for.
pub(crate) fn leaves(
    tree: &Tree<'_>,
    reader: &mut Reader,
    index: u64,
    bundle: &Bundle,
    tile: &[Hash],
) -> Result<Finding, Error> {
    if bundle.absent {
        return absent(tree, index, bundle);
    }
    let (tile_after, bundle_after) = after(tree, reader, index)?;
    let Some(difference) = difference(tile, &bundle.hashes, &tile_after, &bundle_after) else {
        let damage = bundle.damage.as_deref().unwrap_or("it could not be read");
        let why = format!("All of its records are as they were sealed, but the file is not as it should be: {damage}.");
        return Ok(Finding::in_file(What::Unreadable, &bundle.file, why));
    };
    let leaf = index * TILE_WIDTH + difference.at as u64;
    let is_last = index * TILE_WIDTH + tile.len() as u64 == tree.size;
    let records = |count: usize| if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
    let damage =
        bundle.damage.as_ref().map_or(String::new(), |why| format!(" The file itself is not as it should be: {why}."));
    let (what, why) = match difference.how {
        How::Missing(count) if difference.at == bundle.hashes.len() && is_last => {
            (What::CutOff, format!("The last {} of the log are not in the file.", records(count)))
        }
        How::Missing(count) if difference.at == bundle.hashes.len() && bundle.damage.is_some() => {
            (What::Unreadable, format!("From here on {} can't be read.", records(count)))
        }
        How::Missing(count) => (What::Missing, format!("{} that were sealed here are not there.", records(count))),
        How::Inserted(count) => (What::Inserted, format!("{} stand here that were not sealed here.", records(count))),
        How::Reordered => (What::Reordered, reordered(bundle, difference.at)),
        How::Changed => elsewhere(tree, reader, leaf, &bundle.hashes[difference.at], &tile[difference.at])?,
    };
    let mut place = Place { file: Some(bundle.file.clone()), leaf: Some(leaf), ..Place::default() };
    // What stands there tells its own number; of a record that is gone, nothing does.
    if what != What::Missing
        && let Some(Leaf::Known(head, _)) = bundle.leaves.get(difference.at)
    {
        place.record = Some(head.record);
        place.at = Some(head.at);
    }
    Ok(Finding::new(what, place, why + &damage))
}

fn reordered(bundle: &Bundle, at: usize) -> String {
    match bundle.leaves.get(at) {
        Some(Leaf::Known(head, _)) => {
            format!("Record {} of boot {} stands here and belongs later.", head.record.seq, head.record.boot)
        }
        _ => "A record stands here that belongs later.".to_owned(),
    }
}

/// The hashes of the next tile and those of the leaves of the next bundle.
fn after(tree: &Tree<'_>, reader: &mut Reader, index: u64) -> Result<(Vec<Hash>, Vec<Hash>), Error> {
    let width = tree.width_at(index + 1);
    if width == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let tile = match tree.folder.read_tile(0, index + 1, width)? {
        Read::Is(tile) => tile,
        Read::Absent | Read::Bad(_) => Vec::new(),
    };
    Ok((tile, reader.read(tree.folder, index + 1, width)?.hashes))
}

/// A leaf that belongs nowhere near: is it one of the log's at all?
fn elsewhere(
    tree: &Tree<'_>,
    reader: &mut Reader,
    leaf: u64,
    found: &Hash,
    expected: &Hash,
) -> Result<(What, String), Error> {
    for index in tree.folder.tiles_of_leaves()?.range(..tree.size.div_ceil(TILE_WIDTH)).copied() {
        let width = tree.width_at(index);
        let Read::Is(tile) = tree.folder.read_tile(0, index, width)? else { continue };
        let Some(at) = tile.iter().position(|hash| hash == found) else { continue };
        let belongs = index * TILE_WIDTH + at as u64;
        let bundle = reader.read(tree.folder, index, width)?;
        return Ok(if bundle.hashes.contains(expected) {
            (
                What::Reordered,
                format!("The record that stands here was sealed as leaf {belongs}, and they were exchanged."),
            )
        } else if belongs > leaf && bundle.hashes.get(at) != Some(found) {
            (
                What::Missing,
                format!("The record that stands here was sealed as leaf {belongs}: those before it are not there."),
            )
        } else {
            (
                What::Changed,
                format!("A copy of the record that was sealed as leaf {belongs} was put in place of another."),
            )
        });
    }
    Ok((What::Changed, "The record that stands here is not the one that was sealed here.".to_owned()))
}

/// A bundle that is not there.
fn absent(tree: &Tree<'_>, index: u64, bundle: &Bundle) -> Result<Finding, Error> {
    let is_there = |later: u64| {
        tree.folder.is_there(&Folder::entries_path(later, tree.width_at(later)))
            || tree.folder.is_there(&Folder::entries_path(later, TILE_WIDTH))
    };
    let leaf = index * TILE_WIDTH;
    let mut place = Place { file: Some(bundle.file.clone()), leaf: Some(leaf), ..Place::default() };
    let bundles = tree.folder.bundles()?;
    let mut later = bundles.range(index + 1..tree.size.div_ceil(TILE_WIDTH).max(index + 1)).copied();
    Ok(match later.find(|later| is_there(*later)) {
        Some(later) => {
            place.before_leaf = Some(later * TILE_WIDTH);
            Finding::new(
                What::Missing,
                place,
                format!("The records of leaves {leaf} to {} are not there.", later * TILE_WIDTH - 1),
            )
        }
        None => {
            let why =
                format!("The log has {} records by its signed tree head; those from here on are not there.", tree.size);
            Finding::new(What::CutOff, place, why)
        }
    })
}
