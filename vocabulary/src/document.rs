//! What configuration documents of every crate have in common: places, problems and lengths of time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step from a document's root towards a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathStep {
    Key(String),
    Index(usize),
}

impl From<&str> for PathStep {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for PathStep {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A value of a document is wrong. Where it stands in the file is added by who read the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    /// From the document's root, such as `policy`, 3, `apps`, 0.
    pub path: Vec<PathStep>,
    /// The value as written, or empty if one is missing.
    pub value: String,
    /// What is wrong and what to do, as one clause: "is not an app".
    pub problem: String,
    /// Values that would be right here; the nearest is offered as "did you mean".
    pub candidates: Vec<String>,
}

impl DocumentError {
    pub fn new(path: impl IntoIterator<Item = PathStep>, value: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into_iter().collect(), value: value.into(), problem: problem.into(), candidates: Vec::new() }
    }

    #[must_use]
    pub fn candidates(mut self, candidates: impl IntoIterator<Item = String>) -> Self {
        self.candidates = candidates.into_iter().collect();
        self
    }
}

/// `policy[3].apps[0]`
#[derive(Clone, Copy, Debug)]
pub struct DisplayPath<'a>(pub &'a [PathStep]);

impl fmt::Display for DisplayPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Index(index) => write!(f, "[{index}]")?,
                PathStep::Key(key) if position == 0 => f.write_str(key)?,
                PathStep::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// A length of time as a document writes it: a whole number and one unit of `ms s m h d`, such as `15m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Span(pub Duration);

/// The text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time; write a whole number and a unit: 500ms, 30s, 15m, 10h or 365d")]
pub struct SpanError(pub String);

impl Span {
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let fail = || SpanError(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| fail())?;
        let millis_each: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(fail()),
        };
        // A hundred years bound it, so that sums of spans and timestamps can't overflow.
        let millis = number.checked_mul(millis_each).filter(|m| *m <= 36_525 * 86_400_000).ok_or_else(fail)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (each, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
            if millis > 0 && millis.is_multiple_of(each) {
                return write!(f, "{}{unit}", millis / each);
            }
        }
        write!(f, "{millis}ms")
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_and_wrong_ones_are_refused() {
        for text in ["500ms", "30s", "15m", "10h", "365d"] {
            assert_eq!(text.parse::<Span>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "15", "m", "-1s", "1.5h", "15 m", "99999999999d"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_reads_as_an_operator_would_say_it() {
        let path = ["policy".into(), 3.into(), "apps".into(), 0.into()];
        assert_eq!(DisplayPath(&path).to_string(), "policy[3].apps[0]");
    }
}
