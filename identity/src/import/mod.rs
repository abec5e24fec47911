//! Roster files: reading one, telling what it would change, and writing one. Pure: bytes in, rows and a difference
//! out; what is on disk changes elsewhere ([`crate::Identity::import`]).
//!
//! A file is CSV (RFC 4180) in UTF-8 or CP932, its first row names the columns. Columns that it lacks leave entries
//! as they are; an empty cell takes a value away.

mod cell;
mod columns;
mod dates;
mod difference;
mod encoding;
mod sheet;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

pub use cell::{guarded, guarded_id};
pub use dates::parse as parse_date;
pub use difference::{Changed, Difference, FieldChange, Guard, Missing};
pub use encoding::{Encoding, ParseEncodingError, decode};
pub use sheet::{MAX_BYTES, Sheet, SheetRow, read};
pub use write::write;

/// One thing that is wrong with a file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Counted from 1; of a row that goes over several lines, the first.
    pub line: u64,
    /// As the file's head names it; none if the whole line is meant.
    pub column: Option<String>,
    /// What stands there, up to 40 characters.
    pub value: Option<String>,
    pub problem: String,
}

impl Problem {
    fn of_line(line: u64, problem: impl Into<String>) -> Self {
        Self { line, column: None, value: None, problem: shown(&problem.into()) }
    }

    fn of_cell(line: u64, column: &str, value: &str, problem: impl Into<String>) -> Self {
        Self { line, column: Some(short(column)), value: Some(short(value)), problem: shown(&problem.into()) }
    }
}

/// `line 12, column 退職日, "R99.1.1": is not a date; …`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(value) = &self.value {
            write!(f, ", {value:?}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// For a terminal: a file may hold what moves its cursor or changes its colours.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn short(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut out: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}
