//! Numbers that are missing, and which no `recovery` leaf has accounted for so far (FORMAT.md, rule 2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Ranges of missing numbers. None touches another.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Gap>", into = "Vec<Gap>")]
pub(crate) struct Gaps(BTreeMap<(u32, u64), Rest>);

#[derive(Debug, Clone, Copy)]
struct Rest {
    last: u64,
    before: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    pub(crate) boot: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Index of the leaf before which the numbers would stand.
    pub(crate) before: u64,
}

impl Gaps {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn first(&self) -> Option<Gap> {
        self.iter().next()
    }

    pub(crate) fn add(&mut self, gap: Gap) {
        self.0.insert((gap.boot, gap.first), Rest { last: gap.last, before: gap.before });
    }

    pub(crate) fn contains(&self, (boot, number): (u32, u64)) -> bool {
        let at_or_before = self.0.range((boot, 0)..=(boot, number)).next_back();
        at_or_before.is_some_and(|(_, rest)| number <= rest.last)
    }

    /// Takes these numbers out. The time is that of what is taken out, not of what is there: a leaf may name thousands of ranges,
    /// and there may be thousands of such leaves.
    pub(crate) fn remove(&mut self, boot: u32, first: u64, last: u64) {
        if let Some((&(_, begin), &rest)) = self.0.range((boot, 0)..(boot, first)).next_back()
            && rest.last >= first
        {
            self.0.insert((boot, begin), Rest { last: first - 1, ..rest });
            if rest.last > last {
                self.0.insert((boot, last + 1), rest);
            }
        }
        while let Some((&(_, begin), &rest)) = self.0.range((boot, first)..=(boot, last)).next() {
            self.0.remove(&(boot, begin));
            if rest.last > last {
                self.0.insert((boot, last + 1), rest);
            }
        }
    }

    /// Empties it, and gives how many numbers there were.
    pub(crate) fn take(&mut self) -> u64 {
        let count = self.iter().fold(0, |sum: u64, gap| sum.saturating_add(gap.last - gap.first + 1));
        self.0.clear();
        count
    }

    fn iter(&self) -> impl Iterator<Item = Gap> {
        self.0.iter().map(|(&(boot, first), &Rest { last, before })| Gap { boot, first, last, before })
    }
}

impl From<Vec<Gap>> for Gaps {
    fn from(gaps: Vec<Gap>) -> Self {
        let mut from = Self::default();
        gaps.into_iter().filter(|gap| gap.first <= gap.last).for_each(|gap| from.add(gap));
        from
    }
}

impl From<Gaps> for Vec<Gap> {
    fn from(gaps: Gaps) -> Self {
        gaps.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(first: u64, last: u64) -> Gap {
        Gap { boot: 2, first, last, before: first }
    }

    /// Numbers 1 to 20 by hand: which are there is known for each.
    #[test]
    fn what_is_taken_out_is_gone_and_nothing_else() {
        for first in 0..=20 {
            for last in first..=21 {
                let mut gaps: Gaps = vec![gap(3, 5), gap(7, 7), gap(9, 14), gap(16, 19)].into();
                gaps.add(Gap { boot: 1, ..gap(1, 21) });
                gaps.add(Gap { boot: 3, ..gap(1, 21) });
                let there: Vec<u64> = (1..=21).filter(|number| gaps.contains((2, *number))).collect();
                assert_eq!(there, [3, 4, 5, 7, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19]);
                gaps.remove(2, first, last);
                for number in 1..=21 {
                    let stays = there.contains(&number) && !(first..=last).contains(&number);
                    assert_eq!(gaps.contains((2, number)), stays, "{first} to {last}: {number}");
                    assert!(gaps.contains((1, number)) && gaps.contains((3, number)));
                }
                let of_2: Vec<Gap> = gaps.iter().filter(|gap| gap.boot == 2).collect();
                assert!(of_2.is_sorted_by(|one, other| one.last < other.first));
                assert!(of_2.iter().all(|gap| gap.first <= gap.last));
            }
        }
    }
}
