//! What can go wrong, apart for who opens or reads a journal and for who asks it to record something.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

/// A journal could not be opened, closed or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the journal {} is being written by another process", .0.display())]
    Locked(PathBuf),
    #[error("{doing} {}: {cause}", path.display())]
    Io { doing: &'static str, path: PathBuf, cause: io::Error },
    #[error("{} is written in version {version} of the journal's format, which this program does not know", path.display())]
    Newer { path: PathBuf, version: u16 },
    #[error("a record of the journal can't be read at {boot}/{seq}: {problem}")]
    Record { boot: u32, seq: u64, problem: String },
    #[error("{} does not fit the log: {problem}", path.display())]
    Log { path: PathBuf, problem: String },
    /// `damaged`: the file itself is wrong, as opposed to the disk or the moment.
    #[error("the index file {} can't be used: {problem}", path.display())]
    Index { path: PathBuf, problem: String, damaged: bool },
    #[error("more than {0} records fit; narrow the period or the filter, or leave them in the order of the record")]
    TooMany(usize),
    #[error("the journal could not start a thread: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl AuditError {
    pub(crate) fn log(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Log { path: path.to_owned(), problem: problem.to_string() }
    }

    pub(crate) fn index(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + '_ {
        move |cause| {
            let damaged = match &cause {
                rusqlite::Error::SqliteFailure(failure, _) => {
                    matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
                        || failure.extended_code == ffi::SQLITE_IOERR_SHORT_READ
                }
                // A table, column or row is not what it should be.
                _ => true,
            };
            Self::Index { path: path.to_owned(), problem: cause.to_string(), damaged }
        }
    }

    pub(crate) fn unfit_index(path: &Path, problem: &str) -> Self {
        Self::Index { path: path.to_owned(), problem: problem.to_owned(), damaged: true }
    }

    pub(crate) fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Self + 'p {
        move |cause| Self::Io { doing, path: path.to_owned(), cause }
    }
}

/// The record is not on disk, so what it describes must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("the journal can't be written at the moment")]
    Down,
    #[error("the journal did not confirm the record in time")]
    TimedOut,
    #[error("disk space is short, and what is left is reserved for known people")]
    Reserved,
    #[error("the record is longer than a journal takes")]
    TooLong,
    #[error("the machine gave no random numbers")]
    Random,
    #[error("the journal is closed")]
    Closed,
}
