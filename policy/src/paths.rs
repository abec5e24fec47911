//! Which rules a path may concern, found by the fixed beginnings of their patterns.

use crate::bits::{Row, Rows, clear, join, set};
use crate::criteria::Rule;

/// The distinct beginnings of all patterns in sorted order, each with the rules it leaves possible.
///
/// Letters count as equal in either case, so that one table serves allow and deny rules; what it leaves possible
/// is matched exactly afterwards.
#[derive(Debug, Default)]
pub(crate) struct PathIndex {
    beginnings: Vec<Beginning>,
    /// For each beginning: rules without paths, or with a pattern that begins with it or with a beginning of it.
    rows: Rows,
    /// Rules without paths.
    anywhere: Row,
}

#[derive(Debug)]
struct Beginning {
    /// In lower case.
    text: Box<[u8]>,
    /// The next shorter beginning that this one begins with.
    within: Option<usize>,
}

impl PathIndex {
    pub(crate) fn build(rules: &[Rule]) -> Self {
        let mut anywhere = clear(rules.len());
        let mut found: Vec<(Box<[u8]>, usize)> = Vec::new();
        for (position, rule) in rules.iter().enumerate() {
            if rule.paths.is_empty() {
                set(&mut anywhere, position);
            }
            found.extend(rule.paths.iter().map(|glob| (glob.prefix().to_ascii_lowercase().into(), position)));
        }
        found.sort_unstable();
        let mut index = Self { beginnings: Vec::new(), rows: Rows::new(0, rules.len()), anywhere };
        for same in found.chunk_by(|a, b| a.0 == b.0) {
            let text = &same[0].0;
            let within = index.longest(text);
            let mut row: Row = within.map_or(&*index.anywhere, |w| index.rows.row(w)).into();
            let mut here = clear(rules.len());
            same.iter().for_each(|(_, rule)| set(&mut here, *rule));
            join(&mut row, &here);
            index.rows.push(&row);
            index.beginnings.push(Beginning { text: text.clone(), within });
        }
        index
    }

    /// The rules whose paths may match, and all those without paths.
    pub(crate) fn row(&self, path: &str) -> &[u64] {
        self.longest(path.as_bytes()).map_or(&*self.anywhere, |beginning| self.rows.row(beginning))
    }

    /// The longest beginning that `path` begins with. Any that it begins with is the last one not after it in the
    /// order, or one that this begins with.
    fn longest(&self, path: &[u8]) -> Option<usize> {
        let not_after =
            self.beginnings.partition_point(|b| b.text.iter().copied().le(path.iter().map(u8::to_ascii_lowercase)));
        let mut candidate = not_after.checked_sub(1);
        while let Some(position) = candidate {
            let beginning = &self.beginnings[position];
            if path.get(..beginning.text.len()).is_some_and(|start| start.eq_ignore_ascii_case(&beginning.text)) {
                return Some(position);
            }
            candidate = beginning.within;
        }
        None
    }
}
