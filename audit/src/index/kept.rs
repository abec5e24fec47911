//! Leaves of rare kinds, which stand in the index whole: sign-ins, sign-outs, logins to a SaaS, their ends, and changes. A
//! month has some ten thousand of them among ten million requests, so reading them out of the log would open most of
//! its bundles.
//!
//! `kept` has a row per leaf (its text with a CRC-32C over it), `kept_of` one for each person that it concerns. Both are
//! numbered by kind and leaf, so that those of one kind stand together.

use std::ops::Range;

use rusqlite::{Connection, ffi};
use vocabulary::Timestamp;

use crate::Filter;

/// In the order of their places.
const KINDS: [&str; 5] = ["sign-in", "sign-out", "login", "login-end", "change"];

/// Leaves have smaller numbers.
const KIND_BITS: u32 = 56;

/// The place of a kind; none: its leaves are not kept.
pub(super) fn place(kind: &str) -> Option<u8> {
    KINDS.iter().position(|kept| *kept == kind).and_then(|place| u8::try_from(place).ok())
}

fn number(kind: u8, leaf: u64) -> i64 {
    (u64::from(kind) << KIND_BITS | leaf & !(u64::MAX << KIND_BITS)).cast_signed()
}

fn leaf_of(number: i64) -> u64 {
    number.cast_unsigned() & !(u64::MAX << KIND_BITS)
}

/// What is looked for among the kept leaves of one file. What is found may fit.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    kinds: Vec<u8>,
    from: Option<i64>,
    to: Option<i64>,
    /// The number of a person's id.
    pub(super) person: Option<u32>,
}

impl Wanted {
    /// None: the filter asks for other leaves, too.
    pub(super) fn of(filter: &Filter) -> Option<Self> {
        let mut kinds: Vec<u8> = filter.kinds.iter().map(|kind| place(kind)).collect::<Option<_>>()?;
        kinds.sort_unstable();
        kinds.dedup();
        let time = |at: Option<Timestamp>| at.map(|at| at.0);
        (!kinds.is_empty()).then(|| Self { kinds, from: time(filter.from), to: time(filter.to), person: None })
    }
}

pub(super) fn write(
    connection: &Connection,
    (kind, leaf, at): (u8, u64, Timestamp),
    people: [u32; 2],
    text: &[u8],
) -> rusqlite::Result<()> {
    let number = number(kind, leaf);
    connection.prepare_cached("INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3, ?4)")?.execute((
        number,
        at.0,
        crc32c::crc32c(text),
        text,
    ))?;
    for person in people.into_iter().filter(|person| *person != 0) {
        connection.prepare_cached("INSERT OR IGNORE INTO kept_of VALUES (?1, ?2)")?.execute((person, number))?;
    }
    Ok(())
}

const ALL: &str = "SELECT number, crc, data FROM kept
    WHERE number >= ?1 AND number < ?2 AND (?3 IS NULL OR at >= ?3) AND (?4 IS NULL OR at < ?4) ORDER BY number";
const OF_PERSON: &str = "SELECT kept_of.number, crc, data FROM kept_of JOIN kept USING (number)
    WHERE kept_of.number >= ?1 AND kept_of.number < ?2 AND (?3 IS NULL OR at >= ?3) AND (?4 IS NULL OR at < ?4)
        AND person = ?5
    ORDER BY kept_of.number";

/// Kept leaves, in the order asked for.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    pub(crate) leaves: Vec<(u64, T)>,
    /// The last leaf that was looked at; none: all of the range was.
    pub(crate) to: Option<u64>,
}

/// Kept leaves of the range, as `take` reads their texts, the lowest or the highest ones; at most so many of each kind.
pub(super) fn read<T>(
    connection: &Connection,
    wanted: &Wanted,
    range: &Range<u64>,
    ascending: bool,
    most: usize,
    mut take: impl FnMut(&[u8]) -> T,
) -> rusqlite::Result<Kept<T>> {
    let Wanted { kinds, from, to, person } = wanted;
    let (select, order) = (if person.is_some() { OF_PERSON } else { ALL }, if ascending { "" } else { " DESC" });
    let mut statement = connection.prepare_cached(&format!("{select}{order} LIMIT {most}"))?;
    let mut kept = Kept { leaves: Vec::new(), to: None };
    for kind in kinds {
        let (first, end) = (number(*kind, range.start), number(*kind, range.end));
        let mut rows = match person {
            Some(person) => statement.query((first, end, from, to, person))?,
            None => statement.query((first, end, from, to))?,
        };
        let before = kept.leaves.len();
        while let Some(row) = rows.next()? {
            let (leaf, text) = (leaf_of(row.get(0)?), row.get_ref(2)?.as_blob()?);
            if crc32c::crc32c(text) != row.get::<_, u32>(1)? {
                let problem = format!("the kept leaf {leaf} can't be read");
                return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(problem)));
            }
            kept.leaves.push((leaf, take(text)));
        }
        if kept.leaves.len() - before == most {
            // Of this kind there may be more behind its last one, so the others count only up to there.
            let last = kept.leaves.last().map(|(leaf, _)| *leaf);
            let nearer =
                if ascending { kept.to.into_iter().chain(last).min() } else { kept.to.into_iter().chain(last).max() };
            kept.to = nearer;
        }
    }
    if let Some(to) = kept.to {
        kept.leaves.retain(|(leaf, _)| if ascending { *leaf <= to } else { *leaf >= to });
    }
    if kinds.len() > 1 {
        kept.leaves.sort_unstable_by_key(|(leaf, _)| if ascending { *leaf } else { u64::MAX - leaf });
    }
    Ok(kept)
}
