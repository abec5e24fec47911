//! Which numbers were seen, kept as runs without gaps: there are few, whatever there are of numbers.

use std::ops::RangeInclusive;

/// A set of numbers of one boot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    /// In order, apart from one another by at least one number.
    runs: Vec<RangeInclusive<u64>>,
}

impl Runs {
    /// Adds a number; false: it was there already. Numbers come nearly in order, so the last run is looked at first.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        // The first run that ends no earlier than just before the number.
        let mut at = self.runs.len();
        while at > 0 && *self.runs[at - 1].end() >= number.saturating_sub(1) {
            at -= 1;
        }
        let Some(run) = self.runs.get(at).cloned() else {
            self.runs.push(number..=number);
            return true;
        };
        if run.contains(&number) {
            return false;
        }
        if number + 1 < *run.start() {
            self.runs.insert(at, number..=number);
        } else if number < *run.start() {
            self.runs[at] = number..=*run.end();
        } else {
            // It stands just behind this run, and perhaps just before the next.
            let end = match self.runs.get(at + 1) {
                Some(next) if *next.start() <= number + 1 => {
                    let end = *next.end();
                    if *next.start() == number {
                        return false;
                    }
                    self.runs.remove(at + 1);
                    end
                }
                _ => number,
            };
            self.runs[at] = *run.start()..=end;
        }
        true
    }

    /// The lowest number.
    pub(crate) fn first(&self) -> Option<u64> {
        self.runs.first().map(|run| *run.start())
    }

    /// First and last numbers of what is missing in between.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.runs.windows(2).map(|pair| (pair[0].end() + 1, pair[1].start() - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_and_knows_its_gaps(numbers in prop::collection::vec(1u64..40, 1..60)) {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(runs.insert(number), set.insert(number));
            }
            let (first, last) = (*set.first().unwrap(), *set.last().unwrap());
            let missing: Vec<u64> = (first..=last).filter(|n| !set.contains(n)).collect();
            let told: Vec<u64> = runs.gaps().flat_map(|(from, to)| from..=to).collect();
            prop_assert_eq!(told, missing);
            prop_assert!(runs.gaps().all(|(from, to)| from <= to));
        }
    }
}
