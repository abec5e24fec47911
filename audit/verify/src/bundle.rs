//! One entry bundle against the tree: its leaves' hashes, their tile, their form.

use crate::entries::{FILE_LIMIT, Unpacker};
use crate::error::Error;
use crate::finding::{Finding, Place, What};
use crate::folder::{Folder, Read, TILE_WIDTH};
use crate::hash::{Hash, leaf_hash, root_over};
use crate::leaf::{Checker, Leaf, Role};
use crate::tiles::{Cache, Tree};

/// Reads bundles, one after the other, in memory that is used again. Each thread has one.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    file: Vec<u8>,
    unpacker: Unpacker,
    /// Whether all of each leaf is checked to be in form.
    pub(crate) strict: bool,
    checker: Checker,
    pub(crate) cache: Cache,
}

/// What a bundle holds, whether it is right or not.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) hashes: Vec<Hash>,
    /// The leaves up to the first that is not in form.
    pub(crate) leaves: Vec<Leaf>,
    /// Why the next one is not.
    pub(crate) form: Option<&'static str>,
    /// Why the file is no bundle.
    pub(crate) damage: Option<String>,
    pub(crate) absent: bool,
    pub(crate) file: String,
    /// Its leaves took too much memory to wait for their turn, and have to be read once more.
    pub(crate) put_aside: bool,
}

/// A bundle, checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) bundle: Bundle,
    pub(crate) finding: Option<Finding>,
}

impl Reader {
    /// Reads a bundle. `width`: how many leaves the tree has in it.
    pub(crate) fn read(&mut self, folder: &Folder, index: u64, width: u64) -> Result<Bundle, Error> {
        let mut bundle = Bundle {
            hashes: Vec::with_capacity(width as usize),
            leaves: Vec::with_capacity(width as usize),
            form: None,
            damage: None,
            absent: true,
            put_aside: false,
            file: Folder::entries_path(index, width),
        };
        let mut of_width = width;
        let mut read = folder.read_into(&bundle.file, FILE_LIMIT, &mut self.file)?;
        if matches!(read, Read::Absent) && width < TILE_WIDTH {
            // A partial one may go once the full one is there.
            of_width = TILE_WIDTH;
            let full = Folder::entries_path(index, TILE_WIDTH);
            read = folder.read_into(&full, FILE_LIMIT, &mut self.file)?;
            if !matches!(read, Read::Absent) {
                bundle.file = full;
            }
        }
        match read {
            Read::Absent => return Ok(bundle),
            Read::Bad(why) => bundle.damage = Some(why),
            Read::Is(()) => {
                let unpacked = self.unpacker.unpack(&self.file);
                bundle.damage = unpacked.damage.map(str::to_owned);
                // Of the full bundle, what comes after the tree's end is not asked about.
                let asked = if of_width == width { usize::MAX } else { width as usize };
                for leaf in unpacked.leaves().take(asked) {
                    bundle.hashes.push(leaf_hash(leaf));
                    if bundle.form.is_none() {
                        let parsed =
                            if self.strict { Leaf::parse_strictly(leaf, &mut self.checker) } else { Leaf::parse(leaf) };
                        match parsed {
                            Ok(leaf) => bundle.leaves.push(leaf),
                            Err(why) => bundle.form = Some(why),
                        }
                    }
                }
            }
        }
        bundle.absent = false;
        Ok(bundle)
    }

    /// Checks a bundle of a tree.
    pub(crate) fn check(&mut self, tree: &Tree<'_>, index: u64) -> Result<Checked, Error> {
        let width = tree.width_at(index);
        let bundle = self.read(tree.folder, index, width)?;
        let finding = if width < TILE_WIDTH {
            // The tile is part of the edge, which is checked before.
            let tile = tree.edge.first().map_or(&[][..], Vec::as_slice);
            if bundle.hashes == tile && bundle.damage.is_none() {
                None
            } else {
                Some(crate::diagnose::leaves(tree, self, index, &bundle, tile)?)
            }
        } else {
            match tree.hash(1, index, &mut self.cache)? {
                Err(broken) => Some(crate::diagnose::tile(tree, &broken)?),
                Ok(expected) => {
                    let tile = tree.folder.read_tile(0, index, TILE_WIDTH)?;
                    match &tile {
                        Read::Is(tile)
                            if bundle.hashes == *tile
                                && bundle.damage.is_none()
                                && root_over(&bundle.hashes) == Some(expected) =>
                        {
                            None
                        }
                        _ => Some(crate::diagnose::full_bundle(tree, self, index, &bundle, tile, expected)?),
                    }
                }
            }
        };
        let finding = match finding {
            None => self.other_files(tree, index, &bundle)?,
            finding => finding,
        };
        let finding = finding.or_else(|| bundle.not_in_form(index));
        Ok(Checked { bundle, finding })
    }

    /// Other files of the same bundle hold more or less of it, and nothing else: who reads a log by hand doesn't know which one counts.
    fn other_files(&mut self, tree: &Tree<'_>, index: u64, bundle: &Bundle) -> Result<Option<Finding>, Error> {
        for width in tree.folder.widths(index)? {
            let file = Folder::entries_path(index, width);
            if file == bundle.file || !matches!(tree.folder.read_into(&file, FILE_LIMIT, &mut self.file)?, Read::Is(()))
            {
                continue;
            }
            let unpacked = self.unpacker.unpack(&self.file);
            // One that is being written just now may end anywhere.
            let differs = unpacked.leaves().zip(&bundle.hashes).position(|(leaf, hash)| leaf_hash(leaf) != *hash);
            if let Some(at) = differs {
                let place = Place { file: Some(file), leaf: Some(index * TILE_WIDTH + at as u64), ..Place::default() };
                let why =
                    format!("{} beside it holds what was sealed here, and this file something else.", bundle.file);
                return Ok(Some(Finding::new(What::Changed, place, why)));
            }
        }
        Ok(None)
    }
}

impl Bundle {
    /// How many ranges its `recovery` leaves name: what takes memory.
    pub(crate) fn ranges(&self) -> usize {
        let of = |leaf: &Leaf| match leaf {
            Leaf::Known(_, Role::Recovery { lost, unconfirmed, .. }) => lost.len() + unconfirmed.len(),
            _ => 0,
        };
        self.leaves.iter().map(of).sum()
    }

    fn not_in_form(&self, index: u64) -> Option<Finding> {
        let why = self.form?;
        let at = self.leaves.len() as u64;
        let place = Place { file: Some(self.file.clone()), leaf: Some(index * TILE_WIDTH + at), ..Place::default() };
        Some(Finding::new(What::NotInForm, place, format!("The leaf was sealed as it stands there, but {why}.")))
    }
}

impl Tree<'_> {
    /// How many leaves the tree has in a bundle.
    pub(crate) fn width_at(&self, bundle: u64) -> u64 {
        self.size.saturating_sub(bundle.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH)
    }
}
