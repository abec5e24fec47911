//! The files of a log (C2SP tlog-tiles), read with bounds: somebody else made them.
//!
//! Every path is made of numbers here. Of names that lie in the folder only dates are used.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::error::Error;
use crate::hash::{HASH_BYTES, Hash};

/// How many hashes a full tile holds, and how many leaves a full entry bundle.
pub const TILE_WIDTH: u64 = 256;
/// No tree has more bundles.
const BUNDLES_LIMIT: u64 = (1 << 63) / TILE_WIDTH;

/// A folder that holds a log.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    /// See [`Self::bundles`].
    bundles: Arc<OnceLock<BTreeSet<u64>>>,
}

/// What became of reading a file of the log.
#[derive(Debug)]
pub(crate) enum Read<T> {
    Is(T),
    Absent,
    /// It is there and can't be what it should be.
    Bad(String),
}

impl Folder {
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), bundles: Arc::default() }
    }

    /// Path of a tile of hashes, relative to the folder. `width` is 256 for a full one.
    #[must_use]
    pub fn tile_path(level: u32, index: u64, width: u64) -> String {
        format!("tile/{level}/{}", numbered(index, width))
    }

    /// Path of a bundle of leaves, relative to the folder.
    #[must_use]
    pub fn entries_path(index: u64, width: u64) -> String {
        format!("tile/entries/{}", numbered(index, width))
    }

    /// Reads a file if it is a plain one and at most `limit` bytes long.
    pub(crate) fn read(&self, path: &str, limit: usize) -> Result<Read<Vec<u8>>, Error> {
        let mut bytes = Vec::new();
        Ok(match self.read_into(path, limit, &mut bytes)? {
            Read::Is(()) => Read::Is(bytes),
            Read::Absent => Read::Absent,
            Read::Bad(why) => Read::Bad(why),
        })
    }

    /// [`Self::read`] into a buffer that is used again.
    pub(crate) fn read_into(&self, path: &str, limit: usize, bytes: &mut Vec<u8>) -> Result<Read<()>, Error> {
        bytes.clear();
        let full = self.root.join(path);
        let failed = |source| Error::Read { path: full.clone(), source };
        let about = match fs::symlink_metadata(&full) {
            Ok(about) => about,
            Err(error) if is_absent(&error) => return Ok(Read::Absent),
            Err(error) => return Err(failed(error)),
        };
        // A pipe would never end, and a link leads elsewhere.
        if !about.is_file() {
            return Ok(Read::Bad("it is not a plain file".to_owned()));
        }
        let file = File::open(&full).map_err(failed)?;
        file.take(limit as u64 + 1).read_to_end(bytes).map_err(failed)?;
        if bytes.len() > limit {
            return Ok(Read::Bad(format!("it is longer than {limit} bytes")));
        }
        Ok(Read::Is(()))
    }

    /// Whether a file is there, whatever it is.
    pub(crate) fn is_there(&self, path: &str) -> bool {
        fs::symlink_metadata(self.root.join(path)).is_ok()
    }

    /// Of which bundles there is a file, full or partial. Somebody may claim that a log has 2⁶³ leaves: what lies in the folder is
    /// listed, once, and not what is claimed gone through.
    pub(crate) fn bundles(&self) -> Result<&BTreeSet<u64>, Error> {
        if let Some(bundles) = self.bundles.get() {
            return Ok(bundles);
        }
        let bundles = self.numbers("tile/entries")?;
        Ok(self.bundles.get_or_init(|| bundles))
    }

    /// The same of tiles of leaves.
    pub(crate) fn tiles_of_leaves(&self) -> Result<BTreeSet<u64>, Error> {
        self.numbers("tile/0")
    }

    fn numbers(&self, path: &str) -> Result<BTreeSet<u64>, Error> {
        let mut numbers = BTreeSet::new();
        numbers_below(&self.root.join(path), 0, &mut numbers)?;
        Ok(numbers)
    }

    /// The widths of which there is a file of a bundle, ascending.
    pub(crate) fn widths(&self, index: u64) -> Result<Vec<u64>, Error> {
        let mut path = self.root.join(Self::entries_path(index, TILE_WIDTH)).into_os_string();
        let mut widths = Vec::new();
        if self.is_there(&Self::entries_path(index, TILE_WIDTH)) {
            widths.push(TILE_WIDTH);
        }
        path.push(".p");
        match fs::read_dir(&path) {
            Ok(folder) => {
                let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
                let partial = names.filter_map(|name| crate::note::decimal(&name));
                widths.extend(partial.filter(|width| (1..TILE_WIDTH).contains(width)));
            }
            Err(error) if is_absent(&error) => {}
            Err(source) => return Err(Error::Read { path: path.into(), source }),
        }
        widths.sort_unstable();
        Ok(widths)
    }

    /// The first `width` hashes of a tile: from the tile of that width, or else from the full one.
    pub(crate) fn read_tile(&self, level: u32, index: u64, width: u64) -> Result<Read<Vec<Hash>>, Error> {
        let mut found = Read::Absent;
        for stored in [width, TILE_WIDTH] {
            let bytes = stored as usize * HASH_BYTES;
            match self.read(&Self::tile_path(level, index, stored), bytes)? {
                Read::Is(tile) if tile.len() == bytes => {
                    let hashes = tile.as_chunks::<HASH_BYTES>().0.iter().map(|hash| Hash(*hash));
                    return Ok(Read::Is(hashes.take(width as usize).collect()));
                }
                Read::Is(tile) => found = Read::Bad(format!("it has {} bytes instead of {bytes}", tile.len())),
                Read::Bad(why) => found = Read::Bad(why),
                Read::Absent => {}
            }
            if stored == TILE_WIDTH {
                break;
            }
        }
        Ok(found)
    }

    /// The dates that have a file in `heads/`, ascending, at most so many: the newest.
    pub(crate) fn heads(&self, at_most: usize) -> Result<Vec<String>, Error> {
        let path = self.root.join("heads");
        let failed = |source| Error::Read { path: path.clone(), source };
        let folder = match fs::read_dir(&path) {
            Ok(folder) => folder,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut dates = BTreeSet::new();
        for entry in folder {
            if let Some(date) = entry.map_err(failed)?.file_name().to_str()
                && is_date(date)
            {
                dates.insert(date.to_owned());
                if dates.len() > at_most {
                    dates.pop_first();
                }
            }
        }
        Ok(dates.into_iter().collect())
    }
}

/// `thousands`: what the names of the folders on the way here stand for.
fn numbers_below(path: &Path, thousands: u64, numbers: &mut BTreeSet<u64>) -> Result<(), Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let folder = match fs::read_dir(path) {
        Ok(folder) => folder,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in folder {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let group = name.strip_prefix('x');
        let digits = group.unwrap_or(name.strip_suffix(".p").unwrap_or(name));
        let is_group = digits.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let number = digits.parse::<u64>().ok().filter(|_| is_group);
        let number = number.and_then(|number| thousands.checked_mul(1000)?.checked_add(number));
        match (number, group) {
            // No number begins with zeros, and no tree has a bundle that lies deeper: links that go round in a circle end here.
            (Some(number), Some(_)) if (1..BUNDLES_LIMIT).contains(&number) => {
                numbers_below(&entry.path(), number, numbers)?;
            }
            (Some(number), None) => {
                numbers.insert(number);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads a file that the user named; whatever it is, but no more than `limit` bytes of it.
pub(crate) fn read_given(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(Error::TooLong { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// `<N>` or `<N>.p/<W>`: groups of three digits, all but the last with an `x` before.
fn numbered(index: u64, width: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH { format!("{path}.p/{width}") } else { path }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_date(name: &str) -> bool {
    name.len() == 10
        && name
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
}
