//! Tells what was done to leaves, from the hashes that should be there and those that are.

use crate::hash::Hash;

/// How the leaves that are there differ from those that should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The first place that is wrong.
    pub(crate) at: usize,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Another leaf, unknown, stands in this place.
    Changed,
    /// So many are not there; what follows has moved up, or nothing follows.
    Missing(usize),
    /// So many are there that were not sealed there.
    Inserted(usize),
    /// The leaf of this place is there, later, and another one stands in its place.
    Reordered,
}

/// Compares; `None` if there is no difference.
///
/// Both may go on with what comes after (`expected_after`, `found_after`), because leaves move over the border when one is
/// taken out before it.
pub(crate) fn difference(
    expected: &[Hash],
    found: &[Hash],
    expected_after: &[Hash],
    found_after: &[Hash],
) -> Option<Difference> {
    let Some(at) = expected.iter().zip(found).position(|(expected, found)| expected != found) else {
        let at = expected.len().min(found.len());
        let how = match found.len().checked_sub(expected.len()) {
            Some(0) => return None,
            Some(more) => How::Inserted(more),
            None => How::Missing(expected.len() - found.len()),
        };
        return Some(Difference { at, how });
    };
    let all_expected = || expected[at..].iter().chain(expected_after);
    let all_found = || found[at..].iter().chain(found_after);
    // Where what stands here belongs, and where what belongs here stands; both count from here.
    let belongs = all_expected().position(|hash| *hash == found[at]);
    let stands = all_found().position(|hash| *hash == expected[at]);
    let how = match (belongs, stands) {
        (None, None) => How::Changed,
        (Some(skipped), None) => How::Missing(skipped),
        (None, Some(put_in)) => How::Inserted(put_in),
        (Some(_), Some(put_in)) => {
            // A copy of a later leaf was put in if that one still stands, too, in its place.
            let twice = all_found().filter(|hash| **hash == found[at]).count() > 1;
            if twice { How::Inserted(put_in) } else { How::Reordered }
        }
    };
    Some(Difference { at, how })
}

#[cfg(test)]
mod tests {
    use super::{Difference, How, difference};
    use crate::hash::Hash;

    fn hashes(of: &str) -> Vec<Hash> {
        of.bytes().map(|byte| Hash([byte; 32])).collect()
    }

    #[test]
    fn each_kind_of_tampering_has_its_word() {
        for (expected, found, after, found_after, at, how) in [
            ("abcdef", "abXdef", "g", "g", 2, How::Changed),
            ("abcdef", "abdefg", "ghi", "hi", 2, How::Missing(1)),
            ("abcdef", "abfghi", "ghi", "", 2, How::Missing(3)),
            ("abcdef", "abdef", "", "", 2, How::Missing(1)),
            ("abcdef", "abcd", "", "", 4, How::Missing(2)),
            ("abcdef", "abXcde", "ghi", "fghi", 2, How::Inserted(1)),
            ("abcdef", "abcdefX", "", "", 6, How::Inserted(1)),
            ("abcdef", "abacde", "ghi", "fghi", 2, How::Inserted(1)),
            ("abcdef", "abecde", "ghi", "fghi", 2, How::Inserted(1)),
            ("abcdef", "abdcef", "ghi", "ghi", 2, How::Reordered),
            ("abcdef", "abhdef", "ghi", "gci", 2, How::Reordered),
            ("abcdef", "abdefc", "ghi", "ghi", 2, How::Reordered),
        ] {
            let seen = difference(&hashes(expected), &hashes(found), &hashes(after), &hashes(found_after));
            assert_eq!(seen, Some(Difference { at, how }), "{expected} → {found}");
        }
        assert_eq!(difference(&hashes("abc"), &hashes("abc"), &[], &[]), None);
    }
}
