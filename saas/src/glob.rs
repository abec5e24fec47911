//! Path patterns: `*` stands for anything within a segment, `**` for anything at all.
//!
//! A pattern meets the canonical path, decoded. `/a/**` meets `/a` too, so that a pattern for a folder holds for
//! the folder itself.

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    pieces: Vec<Piece>,
    /// What the pattern's `/**` stands behind: the folder itself matches too.
    folder: Option<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Within,
    Across,
}

impl Glob {
    /// # Errors
    /// Says what is wrong with the pattern, as a clause.
    pub(crate) fn compile(pattern: &str) -> Result<Self, &'static str> {
        if !pattern.starts_with('/') && pattern != "**" {
            return Err("must begin with `/`");
        }
        if pattern.contains("***") {
            return Err("holds `***`; write `*` for anything within a segment or `**` for anything");
        }
        if pattern.contains("//") {
            return Err("holds `//`, which no path that is matched contains");
        }
        if pattern.contains(['?', '#']) {
            return Err("holds `?` or `#`; only the path is matched, never the query");
        }
        if pattern.split('/').any(|segment| segment == "." || segment == "..") {
            return Err("holds a `.` or `..` segment, which no path that is matched contains");
        }
        if pattern.as_bytes().windows(3).any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit()) {
            return Err(
                "holds a percent-encoded character; write it decoded, paths are decoded before they are matched",
            );
        }
        if pattern.chars().any(char::is_control) {
            return Err("holds a control character");
        }
        let folder = pattern.strip_suffix("/**").filter(|f| !f.is_empty()).map(pieces);
        Ok(Self { pieces: pieces(pattern), folder })
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        self.meets(path, Case::Told)
    }

    /// As [`Self::matches`], as a server has it that tells neither capitals from small letters nor `/a/` from `/a`.
    pub(crate) fn matches_alike(&self, path: &str) -> bool {
        let without_end = || path.strip_suffix('/').filter(|rest| !rest.is_empty());
        self.meets(path, Case::Ignored) || without_end().is_some_and(|path| self.meets(path, Case::Ignored))
    }

    /// Whether [`Self::matches_alike`] may hold, by how the pattern begins and ends: for most paths it doesn't, and this
    /// costs little.
    pub(crate) fn may_match(&self, path: &str) -> bool {
        let path = path.as_bytes();
        let begins = match self.pieces.first() {
            Some(Piece::Literal(text)) if self.folder.is_some() && self.pieces.len() == 2 => {
                // `/a/**` holds for `/a` as well.
                begins_with(path, &text[..text.len() - 1], Case::Ignored)
            }
            Some(Piece::Literal(text)) => begins_with(path, text, Case::Ignored),
            _ => true,
        };
        let end = &path[..path.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1)];
        begins
            && match self.pieces.last() {
                Some(Piece::Literal(text)) => {
                    let text = text.trim_end_matches('/');
                    end.len().checked_sub(text.len()).is_some_and(|at| begins_with(&end[at..], text, Case::Ignored))
                }
                _ => true,
            }
    }

    fn meets(&self, path: &str, case: Case) -> bool {
        meets(&self.pieces, path, case) || self.folder.as_ref().is_some_and(|folder| meets(folder, path, case))
    }
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let star = rest.find('*').unwrap_or(rest.len());
        if star > 0 {
            pieces.push(Piece::Literal(rest[..star].to_owned()));
        }
        rest = &rest[star..];
        if let Some(after) = rest.strip_prefix("**") {
            pieces.push(Piece::Across);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('*') {
            pieces.push(Piece::Within);
            rest = after;
        }
    }
    pieces
}

/// Whether ASCII letters match in either case.
#[derive(Clone, Copy)]
enum Case {
    Told,
    Ignored,
}

fn begins_with(path: &[u8], text: &str, case: Case) -> bool {
    match case {
        Case::Told => path.starts_with(text.as_bytes()),
        Case::Ignored => path.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes())),
    }
}

/// Where matching goes on when it fails: a star, and how much it has swallowed so far.
#[derive(Clone, Copy)]
struct Retry {
    piece: usize,
    at: usize,
}

/// Greedy with two places to return to, so the cost is bounded by the square of the path's length.
fn meets(pieces: &[Piece], path: &str, case: Case) -> bool {
    let path = path.as_bytes();
    let (mut piece, mut at) = (0, 0);
    let (mut within, mut across): (Option<Retry>, Option<Retry>) = (None, None);
    loop {
        match pieces.get(piece) {
            None if at == path.len() => return true,
            Some(Piece::Within) => {
                within = Some(Retry { piece, at });
                piece += 1;
                continue;
            }
            Some(Piece::Across) => {
                across = Some(Retry { piece, at });
                // What a star before this one swallowed no longer matters: `**` can swallow any rest.
                within = None;
                piece += 1;
                continue;
            }
            Some(Piece::Literal(text)) if begins_with(&path[at..], text, case) => {
                at += text.len();
                piece += 1;
                continue;
            }
            None | Some(Piece::Literal(_)) => {}
        }
        if let Some(retry) = within.as_mut().filter(|r| path.get(r.at).is_some_and(|b| *b != b'/')) {
            retry.at += 1;
            (piece, at) = (retry.piece + 1, retry.at);
        } else if let Some(retry) = across.as_mut().filter(|r| r.at < path.len()) {
            retry.at += 1;
            within = None;
            (piece, at) = (retry.piece + 1, retry.at);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meets_pattern(pattern: &str, path: &str) -> bool {
        Glob::compile(pattern).unwrap().matches(path)
    }

    #[test]
    fn one_star_stays_within_a_segment_and_two_cross() {
        assert!(meets_pattern("/residents/*/delete", "/residents/12/delete"));
        assert!(!meets_pattern("/residents/*/delete", "/residents/12/notes/delete"));
        assert!(meets_pattern("/residents/**/delete", "/residents/12/notes/delete"));
        assert!(meets_pattern("/**/*.csv", "/a/b/out.csv"));
        assert!(!meets_pattern("/*.csv", "/a/out.csv"));
        assert!(meets_pattern("/**", "/"));
        assert!(meets_pattern("/a/*", "/a/"));
    }

    #[test]
    fn a_folder_pattern_holds_for_the_folder_itself() {
        assert!(meets_pattern("/admin/**", "/admin"));
        assert!(meets_pattern("/*/admin/**", "/x/admin"));
        assert!(!meets_pattern("/admin/**", "/administrator"));
    }

    #[test]
    fn patterns_that_can_never_match_are_refused() {
        for wrong in ["", "residents", "/a//b", "/a?b", "/a/../b", "/a%2fb", "/a/***", "/a\n"] {
            assert!(Glob::compile(wrong).is_err(), "{wrong:?}");
        }
    }

    /// The same language, by trying everything.
    fn naive(pattern: &[u8], path: &[u8]) -> bool {
        match pattern {
            [] => path.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=path.len()).any(|n| naive(rest, &path[n..])),
            [b'*', rest @ ..] => {
                (0..=path.len()).take_while(|n| !path[..*n].contains(&b'/')).any(|n| naive(rest, &path[n..]))
            }
            [literal, rest @ ..] => path.first() == Some(literal) && naive(rest, &path[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_trying_everything(pattern in "/[ab/*]{0,8}", path in "/[ab/]{0,10}") {
            if let Ok(glob) = Glob::compile(&pattern) {
                let folder = pattern.strip_suffix("/**").is_some_and(|f| !f.is_empty() && naive(f.as_bytes(), path.as_bytes()));
                prop_assert_eq!(glob.matches(&path), folder || naive(pattern.as_bytes(), path.as_bytes()));
            }
        }

        #[test]
        fn what_is_passed_over_quickly_would_not_have_matched(pattern in "/[abA/*]{0,8}", path in "/[abA/]{0,10}") {
            if let Ok(glob) = Glob::compile(&pattern) {
                prop_assert!(glob.may_match(&path) || !glob.matches_alike(&path));
            }
        }
    }
}
