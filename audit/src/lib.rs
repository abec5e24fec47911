//! The record of every request: written to disk before the request leaves, read back by auditors.
//!
//! ```text
//! request ─→ record.rs ─→ queue.rs ─→ writer.rs ─→ segment files ─→ reader.rs ─→ auditor
//!            json.rs      one buffer   one thread,   frame.rs        follow.rs
//!                         for all      one fsync     durable.rs
//!                                      per batch     recovery.rs (when opened)
//! ```
//!
//! What lives here: the written form of records ([`Record`], [`RequestIntent`], [`Outcome`]), the durable
//! journal they go to ([`Journal`]), the counting of strangers ([`Strangers`]), the index ([`Index`]) and reading it all
//! back ([`History`], [`Follow`]), and what it takes to keep checkpoints elsewhere ([`kept`]). What a decision means lives in `policy`; the clock, and which requests are recorded, is the
//! proxy's business.

mod document;
mod error;
mod history;
mod index;
mod journal;
mod json;
pub mod kept;
mod log;
mod record;
mod strangers;

pub use document::{AuditDocument, Durability, Size, SizeError, StrangersDocument};
pub use error::{AuditError, Unavailable};
pub use history::filter::{Filter, PathPattern};
pub use history::{
    AppLogin, Called, Coverage, Dropped, Entries, Happening, History, Leaves, Logins, Moment, NamesThen, Query,
    SaasAccount, SharedIds, Sort, Step, Steps, Unnamed, Use,
};
pub use index::Index;
pub use journal::follow::Follow;
#[doc(hidden)]
pub use journal::inside;
pub use journal::queue::Position;
pub use journal::reader::Entry;
pub use journal::recovery::Recovery;
pub use journal::stats::{Histogram, Stats};
pub use journal::{Journal, Options};
pub use log::document::{LogDocument, LogSettings};
pub use log::indexing::IndexState;
pub use log::keeping::{Overdue, overdue};
pub use log::key::{read_key, read_or_make_key};
pub use log::note::{Checkpoint, NoteError, SigningKey, VerifierKey};
pub use log::plan::sealed_to;
pub use log::proof;
pub use log::sealer::{SealOptions, SealStats, Sealer};
pub use log::tiles::{Bundle, LogFolder, TileHashes};
pub use log::tree::{Hash, TILE_WIDTH};
pub use record::{
    Aggregate, Change, ClockAccepted, Decision, End, Heartbeat, Login, LoginEnd, LoginResult, Outcome, Reading, Record,
    Recovered, Reload, Request, RequestIntent, Retention, SignIn, SignInResult, SignOut, Start, Stop,
};
pub use strangers::{Admit, StrangerLimits, Strangers};
