//! How long ago the person showed who they are.

use std::time::Duration;

use vocabulary::Span;

const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What is wrong with a time as written, if anything.
pub(crate) fn within_problem(within: Span) -> Option<&'static str> {
    if within.0 < SHORTEST {
        Some("is shorter than 1m: people would sign in again at every page")
    } else if within.0 > LONGEST {
        Some("is longer than 24h, and no session lasts longer; leave it out")
    } else if within.0.subsec_nanos() != 0 {
        Some("is no whole number of seconds")
    } else {
        None
    }
}

/// Whole seconds, as facts count them.
pub(crate) fn seconds(within: Span) -> u32 {
    u32::try_from(within.0.as_secs()).unwrap_or(u32::MAX)
}

/// The end belongs to it: `30m` is met 30 minutes later, and not a second after. Nobody signed in meets nothing.
pub(crate) fn is_met(within: Option<u32>, signed_in_ago: Option<u32>) -> bool {
    within.is_none_or(|within| signed_in_ago.is_some_and(|ago| ago <= within))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_second_counts_and_who_is_not_known_to_be_fresh_is_not() {
        assert!(is_met(None, None));
        assert!(!is_met(Some(1800), None));
        assert!(is_met(Some(1800), Some(1800)));
        assert!(!is_met(Some(1800), Some(1801)));
        assert!(!is_met(Some(86_400), Some(u32::MAX)));
    }

    #[test]
    fn too_short_too_long_and_fractions_are_refused() {
        for (text, good) in
            [("59s", false), ("1m", true), ("30m", true), ("24h", true), ("25h", false), ("60500ms", false)]
        {
            assert_eq!(within_problem(text.parse().unwrap()).is_none(), good, "{text}");
        }
    }
}
