//! A file in a folder on another mount.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::Checkpoint;
use audit::kept::{Contradiction, Filed, file};
use tokio::sync::Mutex;

use super::place::{Brought, Failure};

/// Writes into a folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Held by whoever writes, even when nobody waits any more: a mount that hangs holds up one thread and no more.
    writing: Arc<Mutex<()>>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), writing: Arc::default() }
    }

    pub(super) async fn bring(&self, checkpoint: &Checkpoint) -> Result<Brought, Failure> {
        let Ok(turn) = self.writing.clone().try_lock_owned() else {
            return Err(Failure::no(format!("{} still does not answer", self.path.display())));
        };
        let (path, sent) = (self.path.clone(), checkpoint.clone());
        let filed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            file(&path, &sent)
        });
        let filed = filed.await.map_err(Failure::no)?;
        match filed.map_err(|cause| Failure::no(format!("{} can't be written to: {cause}", self.path.display())))? {
            Filed::Written(name) => Ok(Brought { receipt: None, word: format!("written as {name}") }),
            Filed::There(name) => Ok(Brought { receipt: None, word: format!("is there as {name}") }),
            Filed::Other(_) => Err(Contradiction::Forked { held: checkpoint.size, size: checkpoint.size }.into()),
        }
    }
}
