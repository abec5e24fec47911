//! Leaves of rare kinds, which stand in the index whole: sign-ins, sign-outs, logins to a SaaS, their ends, and changes. A
//! month has some ten thousand of them among ten million requests, so reading them out of the log would open most of
//! its bundles.
//!
//! `kept` has a row per leaf (its text with a CRC-32C over it), `kept_of` one for each person that it concerns.

use std::ops::Range;

use rusqlite::{Connection, ffi};
use vocabulary::Timestamp;

use crate::Filter;

/// In the order of their bits in the column `kind`.
const KINDS: [&str; 5] = ["sign-in", "sign-out", "login", "login-end", "change"];

/// The bit of a kind; none: its leaves are not kept.
pub(super) fn bit(kind: &str) -> Option<u32> {
    KINDS.iter().position(|kept| *kept == kind).map(|place| 1 << place)
}

/// What is looked for among the kept leaves of one file. What is found may fit.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    kinds: u32,
    from: Option<i64>,
    to: Option<i64>,
    /// The number of a person's id.
    pub(super) person: Option<u32>,
}

impl Wanted {
    /// None: the filter asks for other leaves, too.
    pub(super) fn of(filter: &Filter) -> Option<Self> {
        let bits: Option<Vec<u32>> = filter.kinds.iter().map(|kind| bit(kind)).collect();
        let kinds = bits?.into_iter().fold(0, |all, bit| all | bit);
        let time = |at: Option<Timestamp>| at.map(|at| at.0);
        (kinds != 0).then(|| Self { kinds, from: time(filter.from), to: time(filter.to), person: None })
    }
}

pub(super) fn write(
    connection: &Connection,
    leaf: u64,
    (kind, at): (u32, Timestamp),
    people: [u32; 2],
    text: &[u8],
) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        leaf.cast_signed(),
        kind,
        at.0,
        crc32c::crc32c(text),
        text,
    ))?;
    for person in people.into_iter().filter(|person| *person != 0) {
        connection
            .prepare_cached("INSERT OR IGNORE INTO kept_of VALUES (?1, ?2)")?
            .execute((person, leaf.cast_signed()))?;
    }
    Ok(())
}

const ALL: &str = "SELECT leaf, crc, data FROM kept
    WHERE leaf >= ?1 AND leaf < ?2 AND (kind & ?3) != 0 AND (?4 IS NULL OR at >= ?4) AND (?5 IS NULL OR at < ?5)
    ORDER BY leaf";
const OF_PERSON: &str = "SELECT leaf, crc, data FROM kept_of JOIN kept USING (leaf)
    WHERE kept_of.leaf >= ?1 AND kept_of.leaf < ?2 AND (kind & ?3) != 0 AND (?4 IS NULL OR at >= ?4)
        AND (?5 IS NULL OR at < ?5) AND person = ?6
    ORDER BY kept_of.leaf";

/// At most so many kept leaves of the range with their texts, the lowest or the highest ones, in that order.
pub(super) fn read(
    connection: &Connection,
    wanted: &Wanted,
    range: &Range<u64>,
    ascending: bool,
    most: usize,
) -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
    let Wanted { kinds, from, to, person } = wanted;
    let (select, order) = (if person.is_some() { OF_PERSON } else { ALL }, if ascending { "" } else { " DESC" });
    let mut statement = connection.prepare_cached(&format!("{select}{order} LIMIT {most}"))?;
    let (first, end) = (range.start.cast_signed(), range.end.cast_signed());
    let mut rows = match person {
        Some(person) => statement.query((first, end, kinds, from, to, person))?,
        None => statement.query((first, end, kinds, from, to))?,
    };
    let mut leaves = Vec::new();
    while let Some(row) = rows.next()? {
        let (leaf, text): (i64, Vec<u8>) = (row.get(0)?, row.get(2)?);
        if crc32c::crc32c(&text) != row.get::<_, u32>(1)? {
            let problem = format!("the kept leaf {leaf} can't be read");
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(problem)));
        }
        leaves.push((leaf.cast_unsigned(), text));
    }
    Ok(leaves)
}
