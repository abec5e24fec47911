//! What can be wrong with a log: a closed list, and the sentences for it.

use std::fmt;

use serde::Serialize;

use crate::error::Error;

/// What is wrong. The words are those of the README, and of `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A record is not the one that was sealed in its place.
    Changed,
    /// A record that was sealed is not there, and others are, after it.
    Missing,
    /// A record stands there that was not sealed there.
    Inserted,
    /// Records stand in another order than they were sealed in.
    Reordered,
    /// The end of the log is not there.
    CutOff,
    /// A record's number is skipped, and nothing in the log says why.
    SequenceGap,
    /// No signature of a given key, or one that does not verify.
    BadSignature,
    /// Two signed tree heads of one log that contradict each other, after a beginning that is proven to be the same.
    Forked,
    /// The log is not a continuation of an earlier tree head: what was sealed then was written anew.
    Rewritten,
    /// A file of hashes contradicts the signed tree head. Records are not concerned.
    TileDamaged,
    /// A file can't be read as what it should be.
    Unreadable,
    /// Something is not written as the format says, though the hashes are right.
    NotInForm,
    /// Old records are gone, and no record says so.
    DroppedWithoutRecord,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub what: What,
    #[serde(rename = "where")]
    pub place: Box<Place>,
    /// What was seen, in sentences.
    pub why: String,
}

/// Where something is wrong, as exactly as it can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Relative to the log's folder, or as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The first leaf that is wrong; the log's first one is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// If it can't be told exactly: it is one up to, but without, this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_leaf: Option<u64>,
    /// Number of that record, where it is readable: how many times the journal had been opened, and the number therein.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// When it was recorded by the gateway's clock, in microseconds since 1970, where it is readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
}

/// A record's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Record {
    pub boot: u32,
    pub seq: u64,
}

/// Why there is no report: the answer is no, or there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What is wrong. There is at least one; the first one is what to look at.
    #[error("{}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))]
    Tampered(Vec<Finding>),
    #[error(transparent)]
    CouldNotRun(#[from] Error),
}

impl Failure {
    /// The first thing that is wrong, if that is the answer.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Tampered(findings) => findings.first(),
            Self::CouldNotRun(_) => None,
        }
    }
}

impl From<Finding> for Failure {
    fn from(finding: Finding) -> Self {
        Self::Tampered(vec![finding])
    }
}

impl Finding {
    pub(crate) fn new(what: What, place: Place, why: impl Into<String>) -> Self {
        Self { what, place: Box::new(place), why: why.into() }
    }

    pub(crate) fn in_file(what: What, file: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, Place { file: Some(file.into()), ..Place::default() }, why)
    }

    /// What sorts findings by where they are.
    pub(crate) fn first_leaf(&self) -> u64 {
        self.place.leaf.unwrap_or(0)
    }
}

impl What {
    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Changed => "CHANGED",
            Self::Missing => "MISSING",
            Self::Inserted => "INSERTED",
            Self::Reordered => "REORDERED",
            Self::CutOff => "CUT OFF",
            Self::SequenceGap => "GAP IN SEQUENCE",
            Self::BadSignature => "BAD SIGNATURE",
            Self::Forked => "FORKED",
            Self::Rewritten => "REWRITTEN",
            Self::TileDamaged => "TILE DAMAGED",
            Self::Unreadable => "UNREADABLE",
            Self::NotInForm => "NOT IN FORM",
            Self::DroppedWithoutRecord => "DROPPED WITHOUT A RECORD",
        }
    }

    /// What it means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Changed => {
                "What stands there is not what was sealed there: it was altered afterwards, or the disk is faulty."
            }
            Self::Missing => "Records that were sealed have been taken out.",
            Self::Inserted => "A record was put in after sealing, or stands there twice.",
            Self::Reordered => "Records were put into another order after sealing.",
            Self::CutOff => {
                "The newest records are not there: removed, or an older copy of the folder was put in place."
            }
            Self::SequenceGap => {
                "Records were left out before sealing, or records of a crash were; no record of the log accounts for them."
            }
            Self::BadSignature => {
                "Nobody vouches for it: it was signed with another key, or altered after it was signed, or this is the wrong key."
            }
            Self::Forked => "Whoever holds the log's key has signed two histories that part from each other.",
            Self::Rewritten => {
                "Whoever holds the log's key has written anew what had been sealed, and signed it again: what this log says of \
                 that time is not what it said then."
            }
            Self::TileDamaged => {
                "A file of hashes was altered or lost. Records are not concerned by that, but proofs made from it would be wrong."
            }
            Self::Unreadable => "The file was damaged or replaced, so that what it held is not vouched for.",
            Self::NotInForm => {
                "The writer of the log, or whoever has its key, wrote something that the format does not allow."
            }
            Self::DroppedWithoutRecord => {
                "Old records may be dropped only with a record of kind `retention` that says so; there is none."
            }
        }
    }

    /// What to do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::TileDamaged | Self::Unreadable => {
                "Compare with a backup copy of the folder; keep this one as it is until it is clear what happened."
            }
            Self::BadSignature => {
                "Ask the facility for the log's key by another way (paper, telephone) and try again with that."
            }
            Self::Forked | Self::Rewritten => {
                "Keep this folder and the earlier checkpoint: together they are the evidence. Ask who held the key."
            }
            Self::CutOff => {
                "Ask for the newest folder, and keep the checkpoint that vouches for more. A copy that is taken while the gateway runs \
                 has to begin with the file `checkpoint`."
            }
            Self::NotInForm => {
                "Try a newer version of this program first; then ask the maintainers of Sekisho, with the record."
            }
            _ => "Keep this as it is, get an earlier copy, and compare the two from this record on.",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = printable(&self.why, 4000);
        write!(out, "{}: {}{why} {} {}", self.what.word(), self.place, self.what.meaning(), self.what.advice())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaf = match (self.leaf, self.before_leaf) {
            (Some(leaf), Some(before)) if before > leaf + 1 => {
                Some(format!("between leaf {leaf} and leaf {}", before - 1))
            }
            (Some(leaf), _) => Some(format!("at leaf {leaf}")),
            (None, before) => before.map(|before| format!("before leaf {before}")),
        };
        let parts = [
            leaf,
            self.record.map(|Record { boot, seq }| format!("record {seq} of boot {boot}")),
            self.at.map(|at| format!("by what stands there recorded {}", crate::time::utc(at))),
            self.file.as_ref().map(|file| format!("in {}", printable(file, 1000))),
        ];
        let parts = parts.into_iter().flatten().collect::<Vec<_>>();
        if parts.is_empty() { Ok(()) } else { write!(out, "{}. ", parts.join(", ")) }
    }
}

/// Text from a stranger's file, fit for a terminal: no control characters, no changes of direction, so many characters.
#[must_use]
pub fn printable(text: &str, at_most: usize) -> String {
    text.chars().map(|c| if is_unfit(c) { '\u{fffd}' } else { c }).take(at_most).collect()
}

/// JSON text that means the same and is fit for a terminal, too.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut printable = String::with_capacity(json.len());
    for c in json.chars() {
        // Those that are control characters of ASCII are escaped already; all of these stand in strings, and are of the basic plane.
        if is_unfit(c) {
            printable.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            printable.push(c);
        }
    }
    printable
}

/// Control characters, line and paragraph separators, and what changes the direction of writing.
fn is_unfit(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}
