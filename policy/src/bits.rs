//! Rows of bits, one bit per rule.

use std::collections::HashMap;

/// How many bits a word holds.
pub(crate) const WORD: usize = u64::BITS as usize;

/// A row of bits.
pub(crate) type Row = Box<[u64]>;

pub(crate) fn words_for(bits: usize) -> usize {
    bits.div_ceil(WORD)
}

/// A row of `bits` bits, all clear.
pub(crate) fn clear(bits: usize) -> Row {
    vec![0; words_for(bits)].into()
}

pub(crate) fn set(row: &mut [u64], bit: usize) {
    row[bit / WORD] |= 1 << (bit % WORD);
}

/// Sets those bits of `row` that are set in `other`.
pub(crate) fn join(row: &mut [u64], other: &[u64]) {
    for (word, more) in row.iter_mut().zip(other) {
        *word |= more;
    }
}

/// The positions of a word's set bits, lowest first.
pub(crate) fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros() as usize;
        word &= word - 1;
        Some(bit)
    })
}

/// For each value of a dimension (each app, each action, ...), which rules that value satisfies.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    words: usize,
    bits: Vec<u64>,
}

impl Rows {
    /// `rows` rows, each with as many bits as there are rules, all clear.
    pub(crate) fn new(rows: usize, rules: usize) -> Self {
        let words = words_for(rules);
        Self { words, bits: vec![0; rows * words] }
    }

    pub(crate) fn row(&self, row: usize) -> &[u64] {
        &self.bits[row * self.words..][..self.words]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [u64] {
        &mut self.bits[row * self.words..][..self.words]
    }

    pub(crate) fn set(&mut self, row: usize, rule: usize) {
        set(self.row_mut(row), rule);
    }

    pub(crate) fn push(&mut self, row: &[u64]) {
        debug_assert_eq!(row.len(), self.words);
        self.bits.extend_from_slice(row);
    }
}

/// Rows that are joined from parts, each distinct one kept once.
#[derive(Debug)]
pub(crate) struct RowTable {
    numbers: HashMap<Vec<bool>, u32>,
    rows: Rows,
}

impl RowTable {
    pub(crate) fn new(rules: usize) -> Self {
        Self { numbers: HashMap::new(), rows: Rows::new(0, rules) }
    }

    /// The number of the row that joins `base` with those `parts` that `takes` takes. Base and parts are the same
    /// in every call.
    pub(crate) fn join<P>(&mut self, base: &[u64], parts: &[(P, Row)], mut takes: impl FnMut(&P) -> bool) -> u32 {
        let taken: Vec<bool> = parts.iter().map(|(part, _)| takes(part)).collect();
        if let Some(number) = self.numbers.get(&taken) {
            return *number;
        }
        let mut row: Row = base.into();
        parts.iter().zip(&taken).filter(|(_, taken)| **taken).for_each(|((_, part), _)| join(&mut row, part));
        self.rows.push(&row);
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(taken, number);
        number
    }

    pub(crate) fn into_rows(self) -> Rows {
        self.rows
    }
}
