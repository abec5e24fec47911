//! The `audit` part of the configuration, as an operator writes it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::DocumentError;

use crate::kept::CheckpointsDocument;
use crate::{LogDocument, Options, StrangerLimits};

/// How records are kept. Everything has a default; a document that says nothing is a good one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditDocument {
    /// `strict` (default): a request leaves only after its record is on the disk itself. `relaxed`: after it
    /// is with the operating system; a crash of the gateway loses nothing, power loss up to a second.
    pub durability: Durability,
    /// Disk space kept for known people: with less than this free, strangers are only counted.
    /// Default `256MiB`.
    pub reserve: Option<Size>,
    /// Length of a journal file, written ahead as a whole. `1MiB` to `1GiB`, default `8MiB`.
    pub segment: Option<Size>,
    pub strangers: StrangersDocument,
    pub log: LogDocument,
    /// Checkpoints of the log, kept elsewhere.
    pub checkpoints: CheckpointsDocument,
}

/// Which requests of strangers get a record of their own; the others are counted by source and minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StrangersDocument {
    /// Records per source (IPv4 address or IPv6 /64) and minute. Default 30.
    pub per_minute: u32,
    /// Sources told apart per minute; the others share one count. Default 1000.
    pub sources: u32,
}

impl Default for StrangersDocument {
    fn default() -> Self {
        let limits = StrangerLimits::default();
        Self { per_minute: limits.per_minute, sources: limits.sources }
    }
}

/// When a record counts as kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it is on the disk.
    #[default]
    Strict,
    /// When the operating system has it.
    Relaxed,
}

const SEGMENT: std::ops::RangeInclusive<u64> = (1 << 20)..=(1 << 30);
const SOURCES: std::ops::RangeInclusive<u32> = 1..=1_000_000;

impl AuditDocument {
    /// Fills in what is not written.
    ///
    /// # Errors
    /// All values that are out of their range, with paths from the whole configuration's root.
    pub fn resolve(&self) -> Result<(Options, StrangerLimits), Vec<DocumentError>> {
        let mut problems = Vec::new();
        let mut options = Options { durability: self.durability, ..Options::default() };
        if let Some(reserve) = self.reserve {
            options.reserve_bytes = reserve.0;
        }
        if let Some(segment) = self.segment {
            if !SEGMENT.contains(&segment.0) {
                let path = ["audit".into(), "segment".into()];
                problems.push(DocumentError::new(path, segment.to_string(), "is not between 1MiB and 1GiB"));
            }
            options.segment_bytes = segment.0;
        }
        if !SOURCES.contains(&self.strangers.sources) {
            let path = ["audit".into(), "strangers".into(), "sources".into()];
            let value = self.strangers.sources.to_string();
            problems.push(DocumentError::new(path, value, "is not between 1 and 1000000"));
        }
        let limits = StrangerLimits { per_minute: self.strangers.per_minute, sources: self.strangers.sources };
        if problems.is_empty() { Ok((options, limits)) } else { Err(problems) }
    }
}

/// A number of bytes as a document writes it: a whole number and one unit of `B KiB MiB GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Size(pub u64);

/// The text is not a number of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size; write a whole number and a unit: 64KiB, 8MiB or 1GiB")]
pub struct SizeError(pub String);

const UNITS: [(u64, &str); 4] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let fail = || SizeError(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| fail())?;
        let (each, _) = UNITS.into_iter().find(|(_, name)| *name == unit).ok_or_else(fail)?;
        number.checked_mul(each).map(Self).ok_or_else(fail)
    }
}

impl TryFrom<String> for Size {
    type Error = SizeError;

    fn try_from(text: String) -> Result<Self, SizeError> {
        text.parse()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = UNITS.into_iter().find(|(each, _)| self.0 != 0 && self.0.is_multiple_of(*each));
        let (each, unit) = fits.unwrap_or((1, "B"));
        write!(f, "{}{unit}", self.0 / each)
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_a_good_one() {
        let (options, limits) = AuditDocument::default().resolve().unwrap();
        assert_eq!(options, Options::default());
        assert_eq!(limits, StrangerLimits::default());
        let read: AuditDocument = serde_json::from_str("{}").unwrap();
        assert_eq!(read, AuditDocument::default());
    }

    #[test]
    fn every_value_out_of_range_is_told_at_once() {
        let written = r#"{"segment": "1KiB", "strangers": {"per_minute": 5, "sources": 0}}"#;
        let document: AuditDocument = serde_json::from_str(written).unwrap();
        let problems = document.resolve().unwrap_err();
        let paths: Vec<_> = problems.iter().map(|p| vocabulary::DisplayPath(&p.path).to_string()).collect();
        assert_eq!(paths, ["audit.segment", "audit.strangers.sources"]);
    }

    #[test]
    fn sizes_read_back_and_wrong_ones_are_refused() {
        for text in ["0B", "1B", "64KiB", "8MiB", "3GiB"] {
            assert_eq!(text.parse::<Size>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "8", "MiB", "8MB", "8 MiB", "-1MiB", "99999999999999999999B", "99999999999999GiB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
