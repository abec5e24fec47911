//! "Did you mean": the candidate nearest to what somebody wrote.

/// The nearest candidate, if it is near enough to be what was meant: about one slip in three characters, counting a
/// swap of two neighbours as one. A difference in case alone is always near.
pub(crate) fn nearest(written: &str, candidates: &[String]) -> Option<String> {
    if written.is_empty() {
        return None;
    }
    let lower = written.to_lowercase();
    candidates
        .iter()
        .filter(|candidate| candidate.as_str() != written)
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(slips, candidate)| *slips <= tolerated(candidate))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate.clone())
}

/// `; did you mean `kaipoke`?`, to stand behind what somebody wrote; nothing if no candidate is near.
pub fn did_you_mean(written: &str, candidates: &[String]) -> String {
    nearest(written, candidates).map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

fn tolerated(candidate: &str) -> usize {
    match candidate.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        more => more / 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_word_is_offered() {
        let keys = ["domain", "data", "listen", "time_zone"].map(str::to_owned);
        assert_eq!(nearest("domian", &keys).as_deref(), Some("domain"));
        assert_eq!(nearest("Listen", &keys).as_deref(), Some("listen"));
        assert_eq!(nearest("timezone", &keys).as_deref(), Some("time_zone"));
        assert_eq!(nearest("backup", &keys), None);
        assert_eq!(nearest("", &keys), None);
        assert_eq!(nearest("data", &keys), None, "the word itself is no suggestion");
    }
}
