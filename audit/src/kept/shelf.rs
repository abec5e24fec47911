//! Where it is written down what was brought to a place, and where receipts lie: `<data>/audit/kept/<id>/`.
//!
//! | file | what |
//! |---|---|
//! | `state.json` | [`State`] |
//! | `<YYYY-MM>/<size>.checkpoint` | a checkpoint with a receipt, as it was sent; of a witness, with its cosignature |
//! | `<YYYY-MM>/<size>.tsr` | the time stamp of that file (RFC 3161) |

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use vocabulary::{Timestamp, Zone};

use super::state::State;
use crate::journal::durable::{Disk as _, FileSystem};
use crate::{AuditError, Checkpoint};

/// What a place gave back, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The checkpoint as it is to be kept.
    pub note: String,
    /// The time stamp of `note`.
    pub timestamp: Option<Vec<u8>>,
}

/// The folder of one place.
#[derive(Clone, Debug)]
pub struct Shelf {
    dir: PathBuf,
}

impl Shelf {
    /// `kept` is `<data>/audit/kept`. Nothing is made or read yet.
    pub fn new(kept: &Path, id: &str) -> Self {
        Self { dir: kept.join(id) }
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// What is known of the place; of one that nothing was ever brought to, nothing.
    ///
    /// # Errors
    /// The file can't be read, or is none of ours.
    pub fn load(&self) -> Result<State, AuditError> {
        let path = self.dir.join("state.json");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|problem| AuditError::log(&path, problem)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(AuditError::io("could not read", &path)(error)),
        }
    }

    /// Replaces what is known, durably.
    ///
    /// # Errors
    /// It can't be written.
    pub fn store(&self, state: &State) -> Result<(), AuditError> {
        let path = self.dir.join("state.json");
        let mut bytes = serde_json::to_vec_pretty(state).map_err(|problem| AuditError::log(&path, problem))?;
        bytes.push(b'\n');
        make(&self.dir)?;
        FileSystem.replace(&path, &bytes).map_err(AuditError::io("could not write", &path))
    }

    /// Keeps a receipt, durably; where it lies, counted from the place's folder.
    ///
    /// # Errors
    /// It can't be written.
    pub fn keep(&self, checkpoint: &Checkpoint, receipt: &Receipt, at: Timestamp) -> Result<String, AuditError> {
        let month = Zone::UTC.local(at).date.to_string();
        let month = month.get(..7).unwrap_or("0000-00");
        let folder = self.dir.join(month);
        make(&folder)?;
        let name = format!("{month}/{}.checkpoint", checkpoint.size);
        let write = |path: &Path, bytes: &[u8]| {
            FileSystem.replace(path, bytes).map_err(AuditError::io("could not write", path))
        };
        if let Some(timestamp) = &receipt.timestamp {
            write(&folder.join(format!("{}.tsr", checkpoint.size)), timestamp)?;
        }
        write(&self.dir.join(&name), receipt.note.as_bytes())?;
        Ok(name)
    }
}

fn make(dir: &Path) -> Result<(), AuditError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(AuditError::io("could not make the folder", dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hash, SigningKey};

    fn checkpoint(size: u64, leaf: &[u8]) -> Checkpoint {
        let key = SigningKey::new("gw.example/audit", &[1; 32]).unwrap();
        Checkpoint::sign(&[key], size, Hash::leaf(leaf))
    }

    #[test]
    fn what_is_stored_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path(), "tsa");
        assert_eq!(shelf.load().unwrap(), State::default());
        let at = Timestamp::parse("2026-11-30T23:59:59Z", &Zone::UTC).unwrap();
        let (sent, mut state) = (checkpoint(7, b"x"), State::default());
        state.take(&sent, at);
        let receipt = Receipt { note: sent.as_str().to_owned(), timestamp: Some(b"stamp".to_vec()) };
        let name = shelf.keep(&sent, &receipt, at).unwrap();
        assert_eq!(name, "2026-11/7.checkpoint");
        state.succeeded(&sent, Some(name.clone()), "ok".to_owned(), at);
        shelf.store(&state).unwrap();
        assert_eq!(Shelf::new(dir.path(), "tsa").load().unwrap(), state);
        assert_eq!(std::fs::read_to_string(shelf.path().join(name)).unwrap(), sent.as_str());
        assert_eq!(std::fs::read(shelf.path().join("2026-11/7.tsr")).unwrap(), b"stamp");
        std::fs::write(shelf.path().join("state.json"), "{").unwrap();
        assert!(shelf.load().is_err(), "damage is not taken for nothing");
    }
}
