//! The index: finds records in the log without reading it. It is derived: whatever happens to it, it is made anew from
//! the log.
//!
//! ```text
//! leaves ─→ leaf.rs ─→ block.rs ─→ month.rs ─→ index-YYYY-MM.db ─→ search.rs ─→ numbers of leaves that may fit
//!           what is     columns     one SQLite   one per month
//!           looked at   of 1,024    file
//! ```
//!
//! A file holds a contiguous range of leaves: those sealed while the highest time seen so far lay in its month. Leaves are
//! kept in blocks of 1,024, column by column, texts as numbers (`value`). `posting` says in which blocks a text occurs; a
//! search intersects those of what it looks for, newest first, and decodes only the blocks that are left. What it finds may
//! fit; whoever searches reads the leaf itself and decides.
//!
//! Two things are answered from a file alone, because to read them out of the log would take seconds: `kept.rs` has the
//! leaves of rare kinds whole, so that a month's logins are read one after the other; and the columns of a request say
//! enough for a person's timeline (`Step`). What is to be proven is read from the log all the same.
//!
//! What does not live here: the merged view with what is not indexed or not sealed yet (`history`).

pub(crate) mod block;
pub(crate) mod kept;
pub(crate) mod leaf;
pub(crate) mod month;
mod posting;
pub(crate) mod search;
mod trim;
mod writer;

pub use writer::Index;
pub(crate) use writer::files;

/// Version of the files. A file of another one is made anew.
pub(crate) const FORMAT: i64 = 3;

/// Leaves per block, as a power of two.
pub(crate) const BLOCK_BITS: u32 = 10;

pub(crate) const fn block_of(leaf: u64) -> u64 {
    leaf >> BLOCK_BITS
}

/// What a column holds; texts of different dimensions never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Column {
    Kind,
    App,
    Action,
    Decision,
    Reason,
    Rule,
    /// Who did it.
    Person,
    /// To whom or what it was done; shares its texts with `Person`.
    Subject,
    Session,
    Device,
    Source,
    Path,
    Method,
    /// What was done, in the app's recipe.
    Operation,
    /// Bits of [`flag`].
    Flags,
}

/// How many columns hold texts.
pub(crate) const TEXTS: usize = Column::Flags as usize;
pub(crate) const COLUMNS: usize = TEXTS + 1;

impl Column {
    pub(crate) const ALL: [Self; COLUMNS] = [
        Self::Kind,
        Self::App,
        Self::Action,
        Self::Decision,
        Self::Reason,
        Self::Rule,
        Self::Person,
        Self::Subject,
        Self::Session,
        Self::Device,
        Self::Source,
        Self::Path,
        Self::Method,
        Self::Operation,
        Self::Flags,
    ];

    /// The number that its texts stand under in `value`.
    pub(crate) const fn dimension(self) -> u8 {
        match self {
            Self::Subject => Self::Person as u8,
            other => other as u8,
        }
    }
}

/// What is true of a record beside its texts. Each has a row in `value` too, under [`Column::Flags`].
pub(crate) mod flag {
    /// The source lies outside of all facilities.
    pub(crate) const OUTSIDE: u32 = 1;
    /// Refused, or gone wrong.
    pub(crate) const FAILED: u32 = 2;
    /// A request whose outcome was not known when it was sealed.
    pub(crate) const OPEN: u32 = 4;
    /// A request whose operation a recipe named.
    pub(crate) const NAMED: u32 = 8;

    pub(crate) const ALL: [(u32, &str); 4] =
        [(OUTSIDE, "outside"), (FAILED, "failed"), (OPEN, "open"), (NAMED, "named")];
}
