//! Verifies Sekisho's audit log, and what was taken from it, without anything of Sekisho.
//!
//! Written from `FORMAT.md` and the pages that it names, and from nothing else: it shares no code with the writer. Everything
//! it reads may have been made by an adversary, so nothing is believed that does not lead to a signature by a key that was
//! given, memory is bounded, and no input makes it panic.
//!
//! - [`verify_log`]: a log's folder, the whole of it or a range;
//! - [`verify_export`]: an export bundle; [`verify_proof`]: one record; [`verify_consistency_proof`] and
//!   [`verify_consistency_by_log`]: two checkpoints.
//!
//! Each gives a report if all is well, and a [`Failure`] otherwise: [`Finding`]s, the first of which is what to look at, or an
//! [`Error`] if there is no answer.
//!
//! Below that: [`note`] and [`key`] (signatures), [`hash`] and [`tree`] (RFC 6962), [`entries`] and [`leaf`] (records).
//! What lives in none of them: writing logs, fetching them, and the meaning of a record.

mod align;
mod bundle;
mod diagnose;
mod edge;
pub mod entries;
mod error;
mod export;
mod finding;
mod folder;
mod form;
mod gaps;
pub mod hash;
mod kept;
pub mod key;
pub mod leaf;
mod log;
pub mod note;
mod order;
mod proof;
mod resume;
mod shapes;
mod taken;
mod tiles;
pub mod time;
pub mod tree;
mod walk;

pub use error::{Error, NotCompared};
pub use export::{ExportReport, verify_export};
pub use finding::{Failure, Finding, Place, Record, What, printable, printable_json};
pub use folder::{Folder, TILE_WIDTH};
pub use kept::Continues;
pub use key::{Keys, VerifierKey};
pub use log::{LogOptions, Progress, Report, verify_consistency_by_log, verify_log};
pub use note::{By, Checkpoint, Seen, Signed};
pub use order::Tally;
pub use proof::{
    ConsistencyProof, Proof, ProofReport, parse_consistency_proof, parse_proof, verify_consistency_proof, verify_proof,
};
pub use taken::Taken;
