//! Why a verification could not be done. That says nothing about the log.

use std::io;
use std::path::PathBuf;

use serde::Serialize;

use crate::taken::Taken;

/// Not the answer "no", but no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder that was named on the command line, or one of the log that is there and may not be read.
    #[error("cannot read {}: {source}. Check the name and the right to read it", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {}: it is longer than {limit} bytes. It can't be what it was given as", path.display())]
    TooLong { path: PathBuf, limit: usize },
    /// A key that was given, and why it can't be used.
    #[error(
        "the key {0} can't be used: {1}. Ask the facility for the line of `log.vkey` again, by another way than the log itself"
    )]
    Key(String, &'static str),
    #[error("no key was given. Without the log's key, got from elsewhere than the log, nothing can be verified")]
    NoKey,
    #[error(
        "leaves {from} to {to} can't be verified: the log has {size} leaves (the first one is 0) and holds those from {minimum}"
    )]
    Range { from: u64, to: u64, size: u64, minimum: u64 },
    #[error("the state in {} can't be used: {why}. Delete it to begin anew", path.display())]
    State { path: PathBuf, why: String },
    /// A checkpoint that was given, and is none.
    #[error(
        "{} is no checkpoint: {why}. A checkpoint is three lines (name of the log, number of records, hash), an empty line, and lines \
         that begin with —. Give the file as it was kept{}", path.display(), is.map_or(String::new(), |is| format!(". {}", is.hint()))
    )]
    NoCheckpoint { path: PathBuf, why: String, is: Option<Taken> },
    /// A file that was given as something else than it is.
    #[error("{} is something else. {}", path.display(), is.hint())]
    OtherKind { path: PathBuf, is: Taken },
    /// A folder that was given as a log.
    #[error(
        "{} is no log: it holds neither `checkpoint` nor `tile`. Give the folder that holds both; of a gateway's data it is `audit/log`",
        path.display()
    )]
    NoLog { path: PathBuf },
    /// All else was shown.
    #[error("{}. {advice}", list(checkpoints))]
    NotCompared { checkpoints: Vec<NotCompared>, advice: &'static str },
    /// Witnesses whose keys were given. All else was shown.
    #[error(
        "the witness {} has signed none of the checkpoints that were looked at: neither the newest one nor one that was given by \
         --checkpoint. Nothing else is wrong; but nobody vouches then for this log but the holder of its key. Give the checkpoint \
         that the witness has signed by --checkpoint, or ask the witness what it has seen; or verify without that witness's key, \
         knowing this",
        .0.join(", ")
    )]
    NotWitnessed(Vec<String>),
    /// Of a log, a bundle or a proof. The hashes were shown, and nothing else.
    #[error(
        "of what was looked at, {count} record(s) are of a later version of the format, the first of them leaf {first}. They are as \
         they were sealed, but this program can't tell what they say, nor whether records are missing around them. Get a newer audit-verify"
    )]
    LaterVersion { count: u64, first: u64 },
    #[error("cannot write the state to {}: {source}", path.display())]
    WriteState { path: PathBuf, source: io::Error },
    #[error("cannot start a thread: {0}. Use fewer by --jobs")]
    Thread(io::Error),
}

/// A checkpoint that was given and could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotCompared {
    /// The checkpoint's file.
    pub source: String,
    pub size: u64,
    pub why: String,
}

fn list(checkpoints: &[NotCompared]) -> String {
    let one = |NotCompared { source, size, why }: &NotCompared| {
        format!("the kept checkpoint {source} ({size} records) could not be compared: {why}")
    };
    checkpoints.iter().map(one).collect::<Vec<_>>().join("; ")
}
