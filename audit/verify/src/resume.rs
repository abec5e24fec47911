//! What a verification has seen so far, to go on from there: after an interruption, or when the log has grown.
//!
//! The file belongs to whoever verifies, and is believed like this program. It is bound to the log: what it says was
//! verified has to be a beginning of the log that is verified now.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::folder::read_given;
use crate::hash::Hash;
use crate::order::Order;

const FORM: &str = "sekisho-audit-verify/state/2";
/// Millions of open requests and owed outcomes, at 40 bytes.
const FILE_LIMIT: usize = 512 << 20;

/// All that is needed to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    form: String,
    pub(crate) origin: String,
    /// The tree head under which it was verified.
    pub(crate) size: u64,
    pub(crate) root: Hash,
    /// Leaves below this one were verified; and the root of the tree over them.
    pub(crate) verified: u64,
    pub(crate) verified_root: Hash,
    /// Where the verification began: what was dropped then.
    pub(crate) began: u64,
    /// The highest `dropped_to` of a `retention` leaf.
    pub(crate) dropped_to: u64,
    /// Whether all of each leaf was checked to be in form.
    pub(crate) strict: bool,
    pub(crate) order: Order,
}

impl State {
    pub(crate) fn new(origin: &str, began: u64, size: u64, root: Hash) -> Self {
        Self {
            form: FORM.to_owned(),
            origin: origin.to_owned(),
            size,
            root,
            verified: began,
            verified_root: crate::hash::empty_root(),
            began,
            dropped_to: 0,
            strict: false,
            order: Order::default(),
        }
    }

    /// Reads a state; `None` if there is no such file yet.
    pub(crate) fn load(path: &Path, origin: &str) -> Result<Option<Self>, Error> {
        let error = |why: &str| Error::State { path: path.to_owned(), why: why.to_owned() };
        if !path.exists() {
            return Ok(None);
        }
        let file = read_given(path, FILE_LIMIT)?;
        // A checksum against accidents, not against people.
        let (sum, json) = file.split_at_checked(65).ok_or_else(|| error("it is too short"))?;
        if sum != checksum(json).as_bytes() {
            return Err(error("it is damaged"));
        }
        let state: Self = serde_json::from_slice(json).map_err(|_| error("it was not written by this program"))?;
        if state.form != FORM {
            return Err(error("it was written by another version of this program"));
        }
        if state.origin != origin {
            return Err(error("it belongs to another log"));
        }
        if state.verified > state.size || state.began > state.verified {
            return Err(error("it contradicts itself"));
        }
        Ok(Some(state))
    }

    /// Writes the state so that the file is always a whole one.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::WriteState { path: path.to_owned(), source };
        let json = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let mut file = File::create(&beside).map_err(failed)?;
        file.write_all(checksum(&json).as_bytes()).map_err(failed)?;
        file.write_all(&json).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)
    }
}

fn checksum(json: &[u8]) -> String {
    let digest = Sha256::digest(json);
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n"
}
