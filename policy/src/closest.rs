//! Which allow rule came closest, for the reason of a denial.
//!
//! The closest rule has the fewest unmet criteria; among equals it is the one whose hardest criterion is the
//! easiest to mend, then the first in the document. Unmet criteria are counted for 64 rules at once, by an adder
//! over four words: bit n of each is a digit of rule n's count.

use crate::bits::{WORD, ones};
use crate::criteria::{Criteria, Criterion, Rule};
use crate::index::{Index, Probe};

/// The rule that came closest, and what keeps it from matching.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closest<'p> {
    pub(crate) rule: &'p Rule,
    pub(crate) unmet: Criteria,
}

/// What a rule is compared by, least is closest: how many criteria, how hard the hardest, where it stands.
type Distance = (u32, usize, usize);

fn distance(unmet: Criteria, position: usize) -> Distance {
    (unmet.len(), unmet.hardest().unwrap_or(0), position)
}

/// How many criteria rows answer: all but the app, the first ones of [`Criterion::EASIEST_FIRST`].
const BY_ROW: usize = Criterion::EASIEST_FIRST.len() - 1;

impl Index {
    /// `None`: no rule is about the app.
    pub(crate) fn closest(&self, probe: &Probe<'_>) -> Option<Closest<'_>> {
        let mut best: Option<(Distance, Criteria)> = None;
        for word in 0..self.words() {
            if probe.app[word] != 0 {
                self.closest_in(word, probe, &mut best);
            }
        }
        best.map(|((_, _, position), unmet)| Closest { rule: &self.rules[position], unmet })
    }

    fn closest_in(&self, word: usize, probe: &Probe<'_>, best: &mut Option<(Distance, Criteria)>) {
        let app = probe.app[word];
        // In the order of `Criterion::EASIEST_FIRST`.
        let met = [
            probe.fresh[word],
            probe.factors[word],
            probe.device[word],
            probe.network[word],
            probe.time[word],
            probe.action[word],
            probe.method[word],
            probe.path[word],
            probe.who.word(word),
        ];
        let unmet = met.map(|met| !met & app);
        let digits = count(&unmet);
        for level in 0..=9 {
            // Dates and paths can only add to the count.
            if best.is_some_and(|((count, ..), _)| count < level) {
                return;
            }
            let mut at_level = having(digits, level) & app;
            if at_level == 0 {
                continue;
            }
            // Harder criteria come off first, so that what is left of a row is where it is the hardest; what is
            // left at the end meets every row.
            let mut hardest = [0; BY_ROW];
            for (row, unmet) in unmet.iter().enumerate().rev() {
                hardest[row] = at_level & unmet;
                at_level &= !unmet;
            }
            hardest[0] |= at_level;
            for (hardness, rules) in hardest.into_iter().enumerate() {
                for bit in ones(rules) {
                    let position = word * WORD + bit;
                    if best.is_some_and(|(distance, _)| distance < (level, hardness, position)) {
                        return;
                    }
                    let unmet = self.exactly(word, bit, &unmet, probe);
                    let distance = distance(unmet, position);
                    if best.is_none_or(|(other, _)| distance < other) {
                        *best = Some((distance, unmet));
                    }
                }
            }
        }
    }

    /// What row by row, and beyond what rows can say, keeps one rule from matching.
    fn exactly(&self, word: usize, bit: usize, unmet: &[u64; BY_ROW], probe: &Probe<'_>) -> Criteria {
        let rule = &self.rules[word * WORD + bit];
        let by_row = Criterion::EASIEST_FIRST.into_iter().zip(unmet);
        by_row
            .fold(Criteria::default(), |set, (criterion, unmet)| set.with_if(criterion, unmet >> bit & 1 == 1))
            .with_if(Criterion::Time, !self.holds(word, bit, probe))
            .with_if(Criterion::Path, probe.exact_path.is_some_and(|path| !rule.takes_path(path)))
    }
}

/// For each bit, in how many of the words it is set: four binary digits, lowest first.
fn count(words: &[u64; BY_ROW]) -> [u64; 4] {
    words.iter().fold([0; 4], |[one, two, four, eight], word| {
        let to_two = one & word;
        let to_four = two & to_two;
        let to_eight = four & to_four;
        [one ^ word, two ^ to_two, four ^ to_four, eight ^ to_eight]
    })
}

/// The bits whose count is `level`.
fn having(digits: [u64; 4], level: u32) -> u64 {
    (0..).zip(digits).fold(u64::MAX, |all, (place, digit)| all & if level >> place & 1 == 1 { digit } else { !digit })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_adder_counts(words in any::<[u64; BY_ROW]>()) {
            let digits = count(&words);
            for bit in 0..64 {
                let expected = words.iter().map(|w| u32::from(w >> bit & 1 == 1)).sum::<u32>();
                for level in 0..=8 {
                    prop_assert_eq!(having(digits, level) >> bit & 1 == 1, level == expected);
                }
            }
        }
    }
}
