//! The plan: which records become the next leaves. It is on the disk before any of them is written, so that whatever
//! breaks off in between is done again with the same result.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use vocabulary::Timestamp;

/// How far the journal is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) boot: u32,
    /// All numbers of the boot below this one are sealed, or lost.
    pub(crate) next_seq: u64,
    /// Outcomes from there on that already stand in a request's leaf.
    pub(crate) merged: BTreeSet<u64>,
}

/// What a planned leaf says of its request's end; see [`super::leaf::Ending`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    Open,
    Unknown,
    /// The outcome's number.
    Told(u64),
}

/// Leaves to be added together, and signed together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) v: u8,
    /// When it was made.
    pub(crate) at: Timestamp,
    /// Size of the log before.
    pub(crate) first_leaf: u64,
    pub(crate) before: Cursor,
    /// Boot and number of each leaf, in order.
    pub(crate) leaves: Vec<(u32, u64, End)>,
    pub(crate) after: Cursor,
}

pub(crate) const VERSION: u8 = 1;

impl Plan {
    /// Size of the log afterwards.
    pub(crate) fn end(&self) -> u64 {
        self.first_leaf + self.leaves.len() as u64
    }
}
