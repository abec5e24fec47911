//! A block of up to 1,024 leaves as it stands in an index file: one column after the other, each with its length before it,
//! so that a reader decodes only what it looks at.
//!
//! ```text
//! positions  per leaf a varint: (seq − the last one's) · 2, or, with another boot, (boot − the last one's) · 2 + 1 and seq;
//!            before the first leaf stands 0/0
//! times      per leaf a zigzag varint: microseconds since the last one's
//! others     how many different values, the values in ascending order as differences, and per leaf a value's place in
//!            that list, in as few bits as it takes (none if there is only one value)
//! ```
//!
//! Varints are LEB128. 0 stands for "absent".

use vocabulary::Timestamp;

use super::{COLUMNS, Column};
use crate::Position;

/// A block that is being filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) positions: Vec<Position>,
    pub(crate) times: Vec<i64>,
    columns: [Vec<u32>; COLUMNS],
}

impl Block {
    pub(crate) fn push(&mut self, position: Position, at: Timestamp, values: &[u32; COLUMNS]) {
        self.positions.push(position);
        self.times.push(at.0);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(*value);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.positions.clear();
        self.times.clear();
        self.columns.iter_mut().for_each(Vec::clear);
    }

    /// Writes it; hands each value that occurs in a column to `occurs`, once per column.
    pub(crate) fn encode(&self, mut occurs: impl FnMut(Column, u32)) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 * self.len() + 256);
        part(&mut out, |out| {
            let mut last = Position::default();
            for position in &self.positions {
                // A number that goes back has no short form; there is none in a log as it should be.
                if position.boot == last.boot && (last.seq..=last.seq | u64::MAX >> 2).contains(&position.seq) {
                    varint(out, (position.seq - last.seq) << 1);
                } else {
                    varint(out, u64::from(position.boot.wrapping_sub(last.boot)) << 1 | 1);
                    varint(out, position.seq);
                }
                last = *position;
            }
        });
        part(&mut out, |out| {
            let mut last = 0i64;
            for at in &self.times {
                let change = at.wrapping_sub(last);
                varint(out, (change << 1 ^ change >> 63).cast_unsigned());
                last = *at;
            }
        });
        let mut distinct = Vec::new();
        for (column, values) in Column::ALL.into_iter().zip(&self.columns) {
            distinct_of(values, &mut distinct);
            distinct.iter().for_each(|value| occurs(column, *value));
            part(&mut out, |out| {
                varint(out, distinct.len() as u64);
                let mut last = 0;
                for value in &distinct {
                    varint(out, u64::from(value - last));
                    last = *value;
                }
                pack(out, values, &distinct);
            });
        }
        out
    }

    /// Reads a block of `rows` leaves; none if it is not one.
    pub(crate) fn decode(bytes: &[u8], rows: usize) -> Option<Self> {
        let view = View::new(bytes, rows)?;
        let mut columns = [const { Vec::new() }; COLUMNS];
        for (place, column) in columns.iter_mut().zip(Column::ALL) {
            let read = view.column(column)?;
            *place = (0..rows).map(|row| read.value(row)).collect();
        }
        Some(Self { positions: view.positions()?, times: view.times()?, columns })
    }
}

/// The values that occur, in ascending order.
fn distinct_of(values: &[u32], into: &mut Vec<u32>) {
    into.clear();
    // Neighbours are often alike.
    let mut last = None;
    for value in values {
        if last != Some(*value) {
            into.push(*value);
            last = Some(*value);
        }
    }
    into.sort_unstable();
    into.dedup();
}

/// Bits that a place in a list of so many takes.
fn bits_for(distinct: usize) -> u32 {
    usize::BITS - distinct.saturating_sub(1).leading_zeros()
}

fn pack(out: &mut Vec<u8>, values: &[u32], distinct: &[u32]) {
    let bits = bits_for(distinct.len());
    if bits == 0 {
        return;
    }
    let (mut held, mut many) = (0u64, 0u32);
    let mut last = (u32::MAX, 0u64);
    for value in values {
        if last.0 != *value || last.0 == u32::MAX {
            last = (*value, distinct.binary_search(value).unwrap_or_default() as u64);
        }
        held |= last.1 << many;
        many += bits;
        while many >= 8 {
            out.push((held & 0xff) as u8);
            held >>= 8;
            many -= 8;
        }
    }
    if many > 0 {
        out.push((held & 0xff) as u8);
    }
}

/// What `write` writes, with its length before it.
fn part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A block in a file, decoded column by column.
#[derive(Debug)]
pub(crate) struct View<'b> {
    parts: [&'b [u8]; COLUMNS + 2],
    rows: usize,
}

impl<'b> View<'b> {
    pub(crate) fn new(bytes: &'b [u8], rows: usize) -> Option<Self> {
        let mut parts = [&[][..]; COLUMNS + 2];
        let mut rest = bytes;
        for part in &mut parts {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            (*part, rest) = behind.split_at_checked(length)?;
        }
        rest.is_empty().then_some(Self { parts, rows })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn positions(&self) -> Option<Vec<Position>> {
        let mut bytes = self.parts[0];
        let mut last = Position::default();
        let mut positions = Vec::with_capacity(self.rows);
        for _ in 0..self.rows {
            let read = read_varint(&mut bytes)?;
            if read & 1 == 0 {
                last.seq = last.seq.wrapping_add(read >> 1);
            } else {
                last.boot = last.boot.wrapping_add(u32::try_from(read >> 1).ok()?);
                last.seq = read_varint(&mut bytes)?;
            }
            positions.push(last);
        }
        Some(positions)
    }

    pub(crate) fn times(&self) -> Option<Vec<i64>> {
        let mut bytes = self.parts[1];
        let mut last = 0i64;
        let mut times = Vec::with_capacity(self.rows);
        for _ in 0..self.rows {
            let read = read_varint(&mut bytes)?;
            last = last.wrapping_add((read >> 1).cast_signed() ^ -(read & 1).cast_signed());
            times.push(last);
        }
        Some(times)
    }

    pub(crate) fn column(&self, column: Column) -> Option<Values<'b>> {
        let mut bytes = *self.parts.get(2 + column as usize)?;
        let many = usize::try_from(read_varint(&mut bytes)?).ok()?;
        if many > self.rows {
            return None;
        }
        let mut distinct = Vec::with_capacity(many);
        let mut last = 0u32;
        for _ in 0..many {
            last = last.checked_add(u32::try_from(read_varint(&mut bytes)?).ok()?)?;
            distinct.push(last);
        }
        let bits = bits_for(many);
        (bytes.len() == (self.rows * bits as usize).div_ceil(8)).then_some(Values { distinct, bits, packed: bytes })
    }
}

/// A column of a block.
#[derive(Debug)]
pub(crate) struct Values<'b> {
    /// In ascending order.
    pub(crate) distinct: Vec<u32>,
    bits: u32,
    packed: &'b [u8],
}

impl Values<'_> {
    /// Place in `distinct` of a leaf's value.
    pub(crate) fn place(&self, row: usize) -> usize {
        if self.bits == 0 {
            return 0;
        }
        let (bits, first) = (self.bits as usize, row * self.bits as usize);
        let mut held = 0usize;
        for (n, byte) in self.packed.iter().skip(first / 8).take(3).enumerate() {
            held |= usize::from(*byte) << (8 * n);
        }
        held >> (first % 8) & ((1 << bits) - 1)
    }

    pub(crate) fn value(&self, row: usize) -> u32 {
        self.distinct.get(self.place(row)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_block_reads_back(
            rows in prop::collection::vec(
                ((0u32..3, any::<u64>()), any::<i64>(), prop::array::uniform15(prop_oneof![0u32..4, any::<u32>()])),
                0..200,
            ),
        ) {
            let mut block = Block::default();
            for ((boot, seq), at, values) in &rows {
                block.push(Position { boot: *boot, seq: seq >> 1 }, Timestamp(*at), values);
            }
            let mut occurs = std::collections::BTreeSet::new();
            let bytes = block.encode(|column, value| assert!(occurs.insert((column as usize, value)), "told twice"));
            let all = rows.iter().flat_map(|(_, _, values)| values.iter().copied().enumerate()).collect();
            prop_assert_eq!(occurs, all);
            prop_assert_eq!(Block::decode(&bytes, rows.len()), Some(block));
        }

        #[test]
        fn reading_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), rows in 0usize..1_200) {
            let _ = Block::decode(&bytes, rows);
        }

        #[test]
        fn a_damaged_block_never_panics(flip in any::<prop::sample::Index>(), to: u8) {
            let mut block = Block::default();
            for n in 0..40u32 {
                block.push(Position { boot: 1, seq: n.into() }, Timestamp(n.into()), &[n % 7; COLUMNS]);
            }
            let mut bytes = block.encode(|_, _| {});
            let at = flip.index(bytes.len());
            bytes[at] = to;
            if let Some(view) = View::new(&bytes, 40) && let Some(values) = view.column(Column::Path) {
                for row in 0..40 {
                    let _ = values.value(row);
                }
            }
        }
    }
}
