//! A file in a folder on another mount.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::kept::{Contradiction, Filed, file, largest};
use audit::{Checkpoint, VerifierKey};
use tokio::sync::Mutex;

use super::place::{Brought, Failure};

/// Writes into a folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Where the record lies.
    data: PathBuf,
    /// Held by whoever writes, even when nobody waits any more: a mount that hangs holds up one thread and no more.
    writing: Arc<Mutex<()>>,
}

impl Folder {
    pub(super) fn new(path: &Path, data: &Path) -> Self {
        Self { path: path.to_owned(), data: data.to_owned(), writing: Arc::default() }
    }

    /// `was_apart`: it once lay on another file system than the data.
    pub(super) async fn bring(&self, checkpoint: &Checkpoint, was_apart: bool) -> Result<Found, Failure> {
        let Ok(turn) = self.writing.clone().try_lock_owned() else {
            return Err(Failure::no(format!("{} still does not answer", self.path.display())));
        };
        let (path, data, sent) = (self.path.clone(), self.data.clone(), checkpoint.clone());
        let filed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let apart = path.metadata()?.dev() != data.metadata()?.dev();
            if was_apart && !apart {
                return Ok(None);
            }
            // Looked for before: what is written then is not larger than itself.
            // A folder into which one may write, and not look, is one all the same.
            let larger = largest(&path, &sent.origin, &signers(&data, &sent)).unwrap_or_else(|error| {
                tracing::debug!(folder = %path.display(), %error, "what is kept there can't be looked at");
                None
            });
            let larger = larger.filter(|held| *held > sent.size);
            file(&path, &sent).map(|filed| Some((filed, apart, larger)))
        });
        let filed: io::Result<_> = filed.await.map_err(Failure::no)?;
        let shown = self.path.display();
        let filed = filed.map_err(|cause| Failure::no(format!("{shown} can't be written to: {cause}")))?;
        let Some((filed, apart, larger)) = filed else {
            return Err(Failure::no(format!(
                "{shown} lay on another file system before, and lies on that of gateway.data now: mount what belongs there, or, if \
                 it is meant, give the place another id"
            )));
        };
        let word = match filed {
            Filed::Written(name) => format!("written as {name}"),
            Filed::There(name) => format!("is there as {name}"),
            Filed::Other(_) => {
                return Err(Contradiction::Forked { held: checkpoint.size, size: checkpoint.size }.into());
            }
        };
        let held = larger.map(|held| Contradiction::RolledBack { held, size: checkpoint.size });
        Ok(Found { brought: Brought { receipt: None, word }, apart, contradiction: held })
    }
}

/// The keys that lie beside the log and have signed this checkpoint.
fn signers(log: &Path, checkpoint: &Checkpoint) -> Vec<VerifierKey> {
    let published = std::fs::read_to_string(log.join("log.vkey")).unwrap_or_default();
    let keys = published.lines().filter_map(VerifierKey::parse);
    keys.filter(|key| key.verify(checkpoint).is_ok()).collect()
}

/// It is written, and what else was seen there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) brought: Brought,
    /// The folder lies on another file system than the data.
    pub(super) apart: bool,
    /// A larger checkpoint of the log lies there.
    pub(super) contradiction: Option<Contradiction>,
}
