//! The state database: opening it, transactions and migrations. It owns no tables.
//!
//! One SQL dialect for every store that may stand behind this: parameters are `$1 … $n`, column types are
//! `BIGINT`, `TEXT` and `BYTEA`, identifiers are made by us, and `ON CONFLICT` and `RETURNING` are allowed.
//! For SQLite `$n` is rewritten to `?n`.
//!
//! Reads on the request path never come here: the crates that own tables keep what they must know per
//! request in memory, and write through.

mod sqlite;
mod value;

pub use sqlite::{Migration, Store, Transaction};
pub use value::{Row, Value};

/// The state database refused or broke.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the state database {path} could not be opened: {cause}")]
    Open { path: String, cause: rusqlite::Error },
    #[error("the state database {path} could not be created or written: {cause}")]
    Create { path: String, cause: std::io::Error },
    #[error("the state database failed: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error(
        "migration `{name}` of `{owner}` was changed after it had been applied; restore the old text or add a new migration"
    )]
    MigrationChanged { owner: &'static str, name: String },
    #[error(
        "the state database was written by a newer version: it holds migration `{name}` of `{owner}`, which this version does not know"
    )]
    Newer { owner: String, name: String },
    #[error(
        "the state database was written by an older version: it lacks migration `{name}` of `{owner}`; start the gateway \
         once"
    )]
    Older { owner: &'static str, name: &'static str },
    #[error("column {column} of a row holds {found}, not {wanted}")]
    Column { column: usize, found: &'static str, wanted: &'static str },
    /// A transaction was left open. Nothing we know of does that.
    #[error("the state database is in the middle of a transaction nobody owns; restart the gateway")]
    Poisoned,
}
