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
//! journal they go to ([`Journal`]), the counting of strangers ([`Strangers`]) and the reader ([`read`],
//! [`Follow`]). What a decision means lives in `policy`; the clock, and which requests are recorded, is the
//! proxy's business.

mod document;
mod durable;
mod error;
mod follow;
mod frame;
#[doc(hidden)]
pub mod inside;
mod journal;
mod json;
mod queue;
mod reader;
mod record;
mod recovery;
mod runs;
mod segments;
mod stats;
mod strangers;
mod watch;
mod writer;

#[cfg(test)]
mod failures;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod on_disk;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod simulated;

pub use document::{AuditDocument, Durability, Size, SizeError, StrangersDocument};
pub use error::{AuditError, Unavailable};
pub use follow::Follow;
pub use journal::{Journal, Options};
pub use queue::Position;
pub use reader::{Entry, Filter, read};
pub use record::{
    Aggregate, Change, ClockAccepted, Decision, End, Outcome, Record, Recovered, Reload, Request, RequestIntent,
    SignIn, SignInResult, SignOut, Start, Stop,
};
pub use recovery::Recovery;
pub use stats::{Histogram, Stats};
pub use strangers::{Admit, StrangerLimits, Strangers};
