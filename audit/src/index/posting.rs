//! In which blocks a text occurs. `posting` has a row for each text and each 64 blocks that it occurs in, with a bit per
//! block: what occurs all the time, as most people, apps and addresses do, is a few rows, however many records say it.

use std::collections::BTreeSet;

use rusqlite::Connection;

pub(super) const SCHEMA: &str = "
    CREATE TABLE posting (
        value INTEGER NOT NULL, part INTEGER NOT NULL, blocks INTEGER NOT NULL, PRIMARY KEY (value, part)) WITHOUT ROWID;";

/// Blocks of one row, as a power of two.
const PART_BITS: u32 = u64::BITS.ilog2();
const WITHIN: u64 = (1 << PART_BITS) - 1;

/// Adds blocks to those of values, and leaves the list empty. May be done twice.
pub(super) fn write(connection: &Connection, postings: &mut Vec<(u32, u64)>) -> rusqlite::Result<()> {
    // In the order of the table, so that neighbours land on the same page.
    postings.sort_unstable();
    let mut add = connection.prepare_cached(
        "INSERT INTO posting VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET blocks = blocks | excluded.blocks",
    )?;
    for row in
        postings.chunk_by(|(value, block), (other, next)| value == other && block >> PART_BITS == next >> PART_BITS)
    {
        let Some((value, block)) = row.first() else { continue };
        let bits = row.iter().fold(0u64, |bits, (_, block)| bits | 1 << (block & WITHIN));
        add.execute((value, (block >> PART_BITS).cast_signed(), bits.cast_signed()))?;
    }
    postings.clear();
    Ok(())
}

/// The first block from `from` on in which the value occurs, or, not `ascending`, the last one up to `from`.
pub(super) fn next(connection: &Connection, value: u32, from: u64, ascending: bool) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection.prepare_cached(if ascending {
        "SELECT part, blocks FROM posting WHERE value = ?1 AND part >= ?2 ORDER BY part LIMIT 2"
    } else {
        "SELECT part, blocks FROM posting WHERE value = ?1 AND part <= ?2 ORDER BY part DESC LIMIT 2"
    })?;
    let mut rows = statement.query((value, (from >> PART_BITS).cast_signed()))?;
    while let Some(row) = rows.next()? {
        let (part, mut blocks) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned());
        if part == from >> PART_BITS {
            let within = from & WITHIN;
            blocks &= if ascending { u64::MAX << within } else { u64::MAX >> (WITHIN - within) };
        }
        let found =
            if ascending { blocks.trailing_zeros() } else { u64::BITS.wrapping_sub(1 + blocks.leading_zeros()) };
        // Of two rows at most the first lies on the wrong side of `from`.
        if blocks != 0 {
            return Ok(Some(part << PART_BITS | u64::from(found)));
        }
    }
    Ok(None)
}

/// All blocks in which one of the values occurs.
pub(super) fn all(connection: &Connection, values: &[u32]) -> rusqlite::Result<BTreeSet<u64>> {
    let mut statement = connection.prepare_cached("SELECT part, blocks FROM posting WHERE value = ?1")?;
    let mut found = BTreeSet::new();
    for value in values {
        let mut rows = statement.query([value])?;
        while let Some(row) = rows.next()? {
            let (part, blocks) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned());
            found.extend((0..=WITHIN).filter(|bit| blocks >> bit & 1 != 0).map(|bit| part << PART_BITS | bit));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_lead_to_the_blocks_that_were_written(
            batches in prop::collection::vec(prop::collection::vec((0u32..3, 0u64..300), 0..20), 0..6),
            from in 0u64..320,
            value in 0u32..3,
        ) {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(SCHEMA).unwrap();
            for batch in &batches {
                let mut batch = batch.clone();
                write(&connection, &mut batch).unwrap();
                prop_assert!(batch.is_empty());
            }
            let of = |values: &[u32]| -> BTreeSet<u64> {
                batches.iter().flatten().filter(|(v, _)| values.contains(v)).map(|(_, block)| *block).collect()
            };
            prop_assert_eq!(all(&connection, &[0, 2]).unwrap(), of(&[0, 2]));
            let blocks = of(&[value]);
            prop_assert_eq!(next(&connection, value, from, true).unwrap(), blocks.range(from..).next().copied());
            prop_assert_eq!(next(&connection, value, from, false).unwrap(), blocks.range(..=from).next_back().copied());
        }
    }
}
