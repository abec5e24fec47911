//! The files of a log (C2SP tlog-tiles), read with bounds: somebody else made them.
//!
//! Every path is made of numbers here. Of names that lie in the folder only dates are used.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::hash::{HASH_BYTES, Hash};

/// How many hashes a full tile holds, and how many leaves a full entry bundle.
pub const TILE_WIDTH: u64 = 256;

/// A folder that holds a log.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
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
        Self { root: root.to_owned() }
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
        let mut dates = std::collections::BTreeSet::new();
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
