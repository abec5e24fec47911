//! Path patterns of a rule.

use super::Effect;

/// A path pattern: `*` is any run within a segment, `**` any number of whole segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    /// `*`
    Run,
    /// `/**`: nothing, or a slash and anything. What follows it begins with a slash or is the end.
    Folders,
}

/// Longer patterns are mistakes; the bound also bounds the work of matching.
const LONGEST: usize = 1_024;

impl Glob {
    /// # Errors
    /// What is wrong, as a clause.
    pub(crate) fn parse(pattern: &str) -> Result<Self, &'static str> {
        if !pattern.starts_with('/') {
            return Err("is not a path pattern; it must begin with `/`");
        }
        if pattern.len() > LONGEST {
            return Err("is longer than 1024 bytes");
        }
        if pattern.chars().any(char::is_control) {
            return Err("holds a control character");
        }
        if pattern.contains(['?', '#', ';', '\\']) {
            return Err("can never match: paths are matched without query, fragment, path parameters and `\\`");
        }
        if holds_percent_encoding(pattern) {
            return Err("can never match: paths are matched decoded, so write the character itself");
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for segment in pattern[1..].split('/') {
            match segment {
                "." | ".." => return Err("can never match: paths are matched without `.` and `..`"),
                "**" => pieces.push(Piece::Folders),
                _ if segment.contains("**") => {
                    return Err(
                        "holds `**` as part of a segment; it stands for whole segments, as in `/files/**/*.pdf`",
                    );
                }
                _ => {
                    literal(&mut pieces, b"/");
                    for (position, text) in segment.split('*').enumerate() {
                        if position > 0 {
                            pieces.push(Piece::Run);
                        }
                        literal(&mut pieces, text.as_bytes());
                    }
                }
            }
        }
        Ok(Self(pieces.into()))
    }

    /// What every matching path begins with.
    pub(crate) fn prefix(&self) -> &[u8] {
        match self.0.first() {
            Some(Piece::Literal(text)) => text,
            _ => b"",
        }
    }

    /// In a deny rule, ASCII letters match in either case, and `/a/` is `/a`: many servers don't tell them apart.
    pub(crate) fn matches(&self, path: &str, effect: Effect) -> bool {
        let path = path.as_bytes();
        let without_end = || path.strip_suffix(b"/").filter(|rest| effect == Effect::Deny && !rest.is_empty());
        self.meets(path, effect) || without_end().is_some_and(|path| self.meets(path, effect))
    }

    fn meets(&self, path: &[u8], effect: Effect) -> bool {
        let (mut piece, mut at) = (0, 0);
        // Where to go on when a match fails: the piece behind the last wildcard, and how far the wildcard reached.
        // Earlier wildcards need no second chance: the last one can take whatever they would have.
        let mut run: Option<(usize, usize)> = None;
        let mut folders: Option<(usize, usize)> = None;
        loop {
            match self.0.get(piece) {
                None if at == path.len() => return true,
                Some(Piece::Literal(text)) if begins_with(&path[at..], text, effect) => {
                    at += text.len();
                    piece += 1;
                    continue;
                }
                Some(Piece::Run) => {
                    piece += 1;
                    run = Some((piece, at));
                    continue;
                }
                Some(Piece::Folders) if path.get(at).is_none_or(|b| *b == b'/') => {
                    piece += 1;
                    if piece == self.0.len() {
                        return true;
                    }
                    folders = Some((piece, at));
                    run = None;
                    continue;
                }
                None | Some(Piece::Literal(_) | Piece::Folders) => {}
            }
            if let Some((behind, reached)) = run
                && path.get(reached).is_some_and(|b| *b != b'/')
            {
                run = Some((behind, reached + 1));
                (piece, at) = (behind, reached + 1);
                continue;
            }
            run = None;
            let Some((behind, reached)) = folders else { return false };
            let Some(step) = path.get(reached + 1..).and_then(|rest| rest.iter().position(|b| *b == b'/')) else {
                return false;
            };
            folders = Some((behind, reached + 1 + step));
            (piece, at) = (behind, reached + 1 + step);
        }
    }
}

fn literal(pieces: &mut Vec<Piece>, text: &[u8]) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Literal(before)) => *before = [before, text].concat().into(),
        _ => pieces.push(Piece::Literal(text.into())),
    }
}

fn begins_with(path: &[u8], text: &[u8], effect: Effect) -> bool {
    match effect {
        Effect::Allow => path.starts_with(text),
        Effect::Deny => path.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text)),
    }
}

fn holds_percent_encoding(pattern: &str) -> bool {
    pattern.as_bytes().windows(3).any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allows(pattern: &str, path: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(path, Effect::Allow)
    }

    #[test]
    fn a_star_stays_within_its_segment() {
        assert!(allows("/residents/*", "/residents/7"));
        assert!(allows("/residents/*", "/residents/"));
        assert!(!allows("/residents/*", "/residents"));
        assert!(!allows("/residents/*", "/residents/7/notes"));
        assert!(allows("/r/*/notes/*.csv", "/r/7/notes/2026-11.csv"));
        assert!(!allows("/r/*.csv", "/r/a.csv/b"));
        assert!(allows("/*a*b", "/xaxxaxb"));
        assert!(!allows("/*a*b", "/xbxa"));
    }

    #[test]
    fn two_stars_are_any_number_of_whole_segments() {
        for path in ["/admin", "/admin/", "/admin/users/7"] {
            assert!(allows("/admin/**", path), "{path}");
        }
        assert!(!allows("/admin/**", "/administrators"));
        assert!(allows("/**", "/"));
        assert!(allows("/a/**/z", "/a/z"));
        assert!(allows("/a/**/z", "/a/b/c/z"));
        assert!(!allows("/a/**/z", "/a/bz"));
        assert!(allows("/a/**/b/**", "/a/bc/b"));
        assert!(allows("/**/*.pdf", "/files/2026/a.pdf"));
        assert!(!allows("/**/*.pdf", "/files/a.pdf/x"));
    }

    #[test]
    fn letters_outside_ascii_are_themselves() {
        assert!(allows("/利用者/*", "/利用者/佐藤"));
        assert!(!allows("/利用者/*", "/利用/佐藤"));
    }

    #[test]
    fn a_deny_rule_is_not_evaded_by_another_case() {
        let admin = Glob::parse("/Admin/**").unwrap();
        assert!(admin.matches("/aDMIN/x", Effect::Deny));
        assert!(!admin.matches("/aDMIN/x", Effect::Allow));
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        let long = format!("/{}", "a".repeat(LONGEST));
        for wrong in
            ["", "admin", "*", "**", "/a?b", "/a;b", "/a%20b", "/a/../b", "/a/.", "/a**", "/***", "/a\n", &long]
        {
            assert!(Glob::parse(wrong).is_err(), "{wrong}");
        }
        assert!(allows("/100%", "/100%"));
    }

    #[test]
    fn a_hostile_path_costs_little() {
        let glob = Glob::parse("/**/*a*a*a*a/**/*a*a*ab").unwrap();
        assert!(!glob.matches(&"/aaaaaaaaaaaaaaaa".repeat(500), Effect::Deny));
        assert!(!glob.matches(&format!("/{}", "a".repeat(8_000)), Effect::Deny));
    }

    /// The same meaning, straight from the definition.
    fn naive(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => (0..=path.len()).any(|taken| naive(rest, &path[taken..])),
            (Some((segment, rest)), Some((text, others))) => {
                naive_segment(segment.as_bytes(), text.as_bytes()) && naive(rest, others)
            }
            _ => false,
        }
    }

    fn naive_segment(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|taken| naive_segment(rest, &text[taken..])),
            Some((byte, rest)) => {
                text.split_first().is_some_and(|(t, others)| t == byte && naive_segment(rest, others))
            }
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(
            pattern in prop::collection::vec(prop_oneof![2 => "[ab]{0,2}", 2 => "[ab]?\\*[ab]?\\*?", 1 => Just("**".to_owned())], 1..5),
            path in prop::collection::vec("[ab]{0,3}", 1..6),
        ) {
            prop_assume!(pattern.iter().all(|s| s == "**" || !s.contains("**")));
            let written = format!("/{}", pattern.join("/"));
            let segments: Vec<&str> = pattern.iter().map(String::as_str).collect();
            let texts: Vec<&str> = path.iter().map(String::as_str).collect();
            let glob = Glob::parse(&written).unwrap();
            let path = format!("/{}", path.join("/"));
            prop_assert_eq!(glob.matches(&path, Effect::Allow), naive(&segments, &texts), "{} on {}", written, path);
            if glob.matches(&path, Effect::Allow) {
                prop_assert!(path.as_bytes().starts_with(glob.prefix()));
            }
        }
    }
}
