//! A leaf: its head, read without parsing the whole, and the few kinds that the rules of the log need more of.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::finding::Record;
use crate::folder::TILE_WIDTH;
pub use crate::form::Checker;
use crate::hash::Hash;

/// A leaf has no more bytes, its newline included.
pub const LEAF_LIMIT: usize = 65_535;

/// A record's outcome has a number that is higher by no more. So in a boot of which not all was seen, what is missing beyond that
/// is not the outcome of something unseen.
pub const OUTCOME_REACH: u64 = 262_144;

/// What every leaf begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub record: Record,
    /// The number of the record's outcome in the same boot.
    pub outcome_seq: Option<u64>,
    /// Microseconds since 1970 by the gateway's clock.
    pub at: i64,
}

/// What a leaf means for the rules of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Nothing but that it has a number.
    Plain,
    /// A request that was still going on; or a record that could not be read when it was sealed, which may have been one.
    Open,
    /// The end of one that was.
    Outcome { of: Record },
    /// Accounts for numbers of an earlier boot: `lost`, then `unconfirmed`, each range with its last.
    Recovery { of_boot: u32, lost: Vec<(u64, u64)>, unconfirmed: Vec<(u64, u64)> },
    /// Leaves below `dropped_to` were dropped.
    Retention { dropped_to: u64, root: Hash },
}

/// A leaf, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    Known(Head, Role),
    /// Of a later version of the format: it is hashed, and that is all.
    UnknownVersion(u64),
}

impl Leaf {
    /// Reads a leaf, newline included: its head, and the whole of those kinds of which the rules need more. The error says what is
    /// not in form.
    pub fn parse(leaf: &[u8]) -> Result<Self, &'static str> {
        Self::read(leaf).map(|(leaf, _)| leaf)
    }

    /// The leaf, and where in it the name of the field `outcome` stands if it has an `outcome_seq`.
    fn read(leaf: &[u8]) -> Result<(Self, Option<usize>), &'static str> {
        let Some(line) = leaf.strip_suffix(b"\n") else { return Err("it does not end with a newline") };
        if leaf.len() > LEAF_LIMIT {
            return Err("it is longer than 65,535 bytes");
        }
        if memchr::memchr(b'\n', line).is_some() {
            return Err("it is more than one line");
        }
        if std::str::from_utf8(line).is_err() {
            return Err("it is not UTF-8");
        }
        if line.last() != Some(&b'}') {
            return Err("it does not end with }");
        }
        let mut scan = Scan(line);
        scan.expect(b"{\"v\":", "it does not begin with {\"v\":")?;
        match scan.number()? {
            1 => {}
            0 => return Err("its version is 0"),
            newer => return Ok((Self::UnknownVersion(newer), None)),
        }
        scan.expect(b",\"boot\":", "after `v` comes no `boot`")?;
        let boot = scan.number()?;
        let boot = u32::try_from(boot).ok().filter(|boot| *boot > 0).ok_or("`boot` is not within 1 … 2³²−1")?;
        scan.expect(b",\"seq\":", "after `boot` comes no `seq`")?;
        let seq = scan.number()?;
        if seq == 0 {
            return Err("`seq` is 0");
        }
        let mut outcome_seq = None;
        if scan.take(b",\"outcome_seq\":") {
            let outcome = scan.number()?;
            if outcome <= seq {
                return Err("`outcome_seq` is not greater than `seq`");
            }
            if outcome - seq > OUTCOME_REACH {
                return Err("`outcome_seq` is greater than `seq` by more than 262,144");
            }
            outcome_seq = Some(outcome);
        }
        scan.expect(b",\"kind\":\"", "after the numbers comes no `kind`")?;
        let kind = scan.kind()?;
        scan.expect(b",\"at\":", "after `kind` comes no `at`")?;
        let at = scan.time()?;
        scan.expect(b",\"salt\":\"", "after `at` comes no `salt`")?;
        scan.salt()?;
        let head = Head { record: Record { boot, seq }, outcome_seq, at };
        let outcome_at = outcome_seq.is_some().then(|| told_outcome(kind, line)).transpose()?.flatten();
        Ok((Self::Known(head, Role::parse(kind, outcome_seq.is_some(), line)?), outcome_at))
    }
}

/// Where the outcome stands that a leaf with `outcome_seq` has to have: otherwise a record could be left out, and its number given
/// to an outcome that nobody sees. That it is a field of the leaf itself and not of an object in it, only the whole form tells.
fn told_outcome(kind: &[u8], line: &[u8]) -> Result<Option<usize>, &'static str> {
    // The comma can't stand in a string: the quote behind it would have a backslash before it there.
    static FIELD: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b",\"outcome\":{\"at\":"));
    match kind {
        b"request" => {}
        // What it was, and its end with it, can't be read.
        b"unreadable" => return Ok(None),
        _ => return Err("`outcome_seq` stands in a leaf of a kind that has no outcome"),
    }
    let at = FIELD.find(line).ok_or("it has `outcome_seq`, and no `outcome` that begins with `at`")?;
    let mut rest = Scan(line.get(at + FIELD.needle().len()..).unwrap_or_default());
    rest.time()?;
    rest.expect(b",\"end\":\"", "in `outcome`, after `at` comes no `end`")?;
    if rest.take(b"outcome-unknown\"") {
        return Err("it has `outcome_seq`, and its `outcome` is unknown");
    }
    Ok(Some(at + 1))
}

impl Leaf {
    /// [`Self::parse`], and all of the leaf has to be what the format says of every kind: what is shown to people, or handed on, is the
    /// same for every program then. Nothing is known of the form of a later version.
    pub fn parse_strictly(leaf: &[u8], checker: &mut Checker) -> Result<Self, &'static str> {
        let (parsed, outcome_at) = Self::read(leaf)?;
        if let Self::Known(..) = parsed {
            checker.check(leaf.strip_suffix(b"\n").unwrap_or(leaf))?;
            if outcome_at.is_some_and(|at| !checker.is_field(at)) {
                return Err("it has `outcome_seq`, and no field `outcome` of its own");
            }
        }
        Ok(parsed)
    }
}

impl Role {
    /// Only of the few kinds that matter is the whole parsed: there are few of them in a log.
    fn parse(kind: &[u8], has_outcome: bool, line: &[u8]) -> Result<Self, &'static str> {
        match kind {
            b"request" if !has_outcome => {
                let fields: Request = parse(line)?;
                match fields.outcome {
                    None => Ok(Self::Open),
                    Some(Outcome { end, at: None }) if end == "outcome-unknown" => Ok(Self::Plain),
                    Some(_) => Err("a request without `outcome_seq` has an outcome other than `outcome-unknown`"),
                }
            }
            b"unreadable" if !has_outcome => Ok(Self::Open),
            b"outcome" => {
                let EndOf { of: (boot, seq) } = parse(line)?;
                Ok(Self::Outcome { of: Record { boot, seq } })
            }
            b"recovery" => {
                let Recovery { of_boot, lost, unconfirmed } = parse(line)?;
                if lost.iter().chain(&unconfirmed).any(|(first, last)| *first == 0 || first > last) {
                    return Err("a range of numbers in `lost` or `unconfirmed` ends before it begins");
                }
                Ok(Self::Recovery { of_boot, lost, unconfirmed })
            }
            b"retention" => {
                let Retention { dropped_to, root } = parse(line)?;
                if dropped_to % TILE_WIDTH != 0 {
                    return Err("`dropped_to` is not a multiple of 256");
                }
                Ok(Self::Retention { dropped_to, root })
            }
            _ => Ok(Self::Plain),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, &'static str> {
    serde_json::from_slice(line)
        .map_err(|_| "it is not JSON, or a field that its kind must have is missing or of another form")
}

#[derive(Deserialize)]
struct Request {
    outcome: Option<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    end: String,
    at: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct EndOf {
    of: (u32, u64),
}

#[derive(Deserialize)]
struct Recovery {
    of_boot: u32,
    #[serde(default)]
    lost: Vec<(u64, u64)>,
    #[serde(default)]
    unconfirmed: Vec<(u64, u64)>,
}

#[derive(Deserialize)]
struct Retention {
    dropped_to: u64,
    root: Hash,
}

/// What is left of a leaf to read.
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    fn take(&mut self, text: &[u8]) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, text: &[u8], otherwise: &'static str) -> Result<(), &'static str> {
        if self.take(text) { Ok(()) } else { Err(otherwise) }
    }

    /// A number from 0 to 2⁶³−1 without leading zeros.
    fn number(&mut self) -> Result<u64, &'static str> {
        const ERROR: &str = "a number of its head is not an integer within 0 … 2⁶³−1";
        let mut value = 0_u64;
        let mut digits = 0;
        while let Some(digit @ b'0'..=b'9') = self.0.get(digits) {
            // 19 digits fit.
            if digits == 19 {
                return Err(ERROR);
            }
            value = value * 10 + u64::from(digit - b'0');
            digits += 1;
        }
        if digits == 0 || (digits > 1 && self.0[0] == b'0') || value > i64::MAX as u64 {
            return Err(ERROR);
        }
        self.0 = &self.0[digits..];
        Ok(value)
    }

    fn time(&mut self) -> Result<i64, &'static str> {
        let negative = self.take(b"-");
        let value = i64::try_from(self.number()?).map_err(|_| "`at` is too large")?;
        match (negative, value) {
            (true, 0) => Err("`at` is -0"),
            (true, value) => Ok(-value),
            (false, value) => Ok(value),
        }
    }

    /// The rest of a string, and its closing quote.
    fn kind(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        match length.and_then(|length| self.0.split_at_checked(length)) {
            Some((kind, [b'"', rest @ ..])) => {
                self.0 = rest;
                Ok(kind)
            }
            _ => Err("`kind` is not a plain string"),
        }
    }

    fn salt(&mut self) -> Result<(), &'static str> {
        match self.0.split_at_checked(16) {
            Some((salt, [b'"', b',' | b'}', ..]))
                if salt.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) =>
            {
                Ok(())
            }
            _ => Err("`salt` is not 16 lower-case hex digits"),
        }
    }
}
