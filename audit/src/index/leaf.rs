//! What the index looks at in a leaf.
//!
//! Leaves have one written form (`audit/verify/FORMAT.md`): an object without white space. So they are scanned, not parsed;
//! one that is written otherwise is brought into that form first.

use std::borrow::Cow;

use serde_json::Value;
use vocabulary::Timestamp;

use super::{Column, TEXTS, flag};
use crate::Position;

/// A leaf as the index sees it. What can't be read is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row<'l> {
    pub(crate) position: Position,
    pub(crate) at: Timestamp,
    /// By column.
    pub(crate) texts: [Option<Cow<'l, str>>; TEXTS],
    pub(crate) flags: u32,
    /// Of an `outcome` leaf: the request that it belongs to.
    pub(crate) of: Option<Position>,
}

impl<'l> Row<'l> {
    /// Reads a leaf of any kind and version, as far as it can be read.
    pub(crate) fn read(leaf: &'l [u8]) -> Self {
        if let Some(row) = std::str::from_utf8(leaf).ok().and_then(Self::scan) {
            return row;
        }
        let Ok(value @ Value::Object(_)) = serde_json::from_slice(leaf) else { return Row::default() };
        let row = value.to_string();
        Row::scan(&row).map_or_else(Row::default, Row::into_owned)
    }

    fn scan(leaf: &'l str) -> Option<Self> {
        let mut seen = Seen::default();
        let rest = seen.object(leaf, false)?;
        matches!(rest, "" | "\n").then(|| seen.into_row())
    }

    pub(crate) fn text(&self, column: Column) -> Option<&str> {
        self.texts.get(column as usize)?.as_deref()
    }

    fn into_owned(self) -> Row<'static> {
        let Self { position, at, texts, flags, of } = self;
        let texts = texts.map(|text| text.map(|text| Cow::Owned(text.into_owned())));
        Row { position, at, texts, flags, of }
    }
}

/// What was met so far.
#[derive(Default)]
struct Seen<'l> {
    row: Row<'l>,
    by: Option<Cow<'l, str>>,
    outcome: bool,
    denied: bool,
}

impl<'l> Seen<'l> {
    /// Takes in the fields of the object that `text` begins with; returns what stands behind it. None: it is none, or not written
    /// as leaves are. `outcome`: it is a request's.
    fn object(&mut self, text: &'l str, outcome: bool) -> Option<&'l str> {
        let mut rest = text.strip_prefix('{')?;
        if let Some(rest) = rest.strip_prefix('}') {
            return Some(rest);
        }
        loop {
            let (Found::Text(key) | Found::Escaped(key), behind) = scan_string(rest)? else { return None };
            let mut behind = behind.strip_prefix(':')?;
            if key == "outcome" && !outcome && behind.starts_with('{') {
                // Its fields say better what the request's own say; and its `at` is another one.
                let at = self.row.at;
                behind = self.object(behind, true)?;
                self.row.at = at;
                self.outcome = true;
            } else {
                let (value, after) = scan_value(behind)?;
                self.take(key, value);
                behind = after;
            }
            match behind.strip_prefix(',') {
                Some(next) => rest = next,
                None => return behind.strip_prefix('}'),
            }
        }
    }

    fn take(&mut self, key: &str, value: Found<'l>) {
        // By length first, which is one jump instead of twenty comparisons.
        let column = match (key.len(), key) {
            (3, "app") => Column::App,
            (4, "kind") => Column::Kind,
            (4, "rule") => Column::Rule,
            (4, "path") => Column::Path,
            (6, "action") => Column::Action,
            (6, "reason") => Column::Reason,
            (6, "person") => Column::Person,
            (6, "device") => Column::Device,
            (6, "source") => Column::Source,
            (6, "method") => Column::Method,
            (7, "subject") => Column::Subject,
            (7, "session") => Column::Session,
            (8, "decision") => {
                self.fails(value.is("deny"));
                Column::Decision
            }
            (9, "operation") => Column::Operation,
            (2, "at") => return self.row.at = Timestamp(value.number().unwrap_or_default()),
            (2, "of") => return self.row.of = value.position(),
            (2, "by") => return self.by = value.text(),
            (3, "seq") => return self.row.position.seq = value.number().unwrap_or_default(),
            (3, "end") => {
                self.denied |= value.is("denied-response");
                return self.fails(self.denied || value.is("upstream-failed") || value.is("refused"));
            }
            (4, "boot") => return self.row.position.boot = value.number().unwrap_or_default(),
            (6, "inside") => {
                if matches!(value, Found::Other("false")) {
                    self.row.flags |= flag::OUTSIDE;
                }
                return;
            }
            (6, "result") => {
                let failed = match self.row.text(Column::Kind) {
                    Some("login") => value.is("failed"),
                    _ => matches!(&value, Found::Text(_)) && !value.is("ok") && !value.is("second-factor"),
                };
                return self.fails(failed);
            }
            (6, "status") => return self.fails(value.number().is_some_and(|status: u16| status >= 400)),
            _ => return,
        };
        if let Some(text) = value.text() {
            self.row.texts[column as usize] = Some(text);
        }
    }

    fn fails(&mut self, failed: bool) {
        if failed {
            self.row.flags |= flag::FAILED;
        }
    }

    fn into_row(self) -> Row<'l> {
        let mut row = self.row;
        if row.text(Column::Kind) == Some("request") {
            row.flags |= if self.outcome { 0 } else { flag::OPEN };
            row.flags |= if row.text(Column::Operation).is_some() { flag::NAMED } else { 0 };
        }
        if self.denied {
            row.texts[Column::Decision as usize] = Some(Cow::Borrowed("deny"));
        }
        let person = &mut row.texts[Column::Person as usize];
        if person.is_none() {
            *person = self.by;
        }
        row
    }
}

/// A value as it stands there.
#[derive(Clone, Copy)]
enum Found<'l> {
    /// A string without escapes.
    Text(&'l str),
    /// A string with escapes, quotes included.
    Escaped(&'l str),
    /// Anything else.
    Other(&'l str),
}

impl<'l> Found<'l> {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Text(text) if *text == word)
    }

    fn text(&self) -> Option<Cow<'l, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Escaped(quoted) => serde_json::from_str(quoted).ok().map(Cow::Owned),
            Self::Other(_) => None,
        }
    }

    fn number<N: std::str::FromStr>(&self) -> Option<N> {
        match self {
            Self::Other(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// `[3,17]`
    fn position(&self) -> Option<Position> {
        let Self::Other(pair) = self else { return None };
        let (boot, seq) = pair.strip_prefix('[')?.strip_suffix(']')?.split_once(',')?;
        Some(Position { boot: boot.parse().ok()?, seq: seq.parse().ok()? })
    }
}

fn scan_value(text: &str) -> Option<(Found<'_>, &str)> {
    match text.as_bytes().first()? {
        b'"' => scan_string(text),
        b'{' | b'[' => {
            let end = end_of_nested(text)?;
            Some((Found::Other(&text[..end]), &text[end..]))
        }
        _ => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
            let end = text.bytes().position(|byte| !plain(byte))?;
            let ends = end > 0 && matches!(text.as_bytes()[end], b',' | b'}' | b']');
            ends.then(|| (Found::Other(&text[..end]), &text[end..]))
        }
    }
}

fn scan_string(text: &str) -> Option<(Found<'_>, &str)> {
    let inner = text.strip_prefix('"')?;
    let end = quote_or_backslash(inner.as_bytes())?;
    if inner.as_bytes()[end] == b'"' {
        return Some((Found::Text(&inner[..end]), &inner[end + 1..]));
    }
    let length = end_of_string(text.as_bytes())?;
    Some((Found::Escaped(&text[..length]), &text[length..]))
}

/// Where the first of the two stands. Most strings of a leaf are over before a vectorised search has begun.
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const WORDS: usize = 3;
    const ONES: u64 = u64::MAX / 0xFF;
    // The lowest bit that is set belongs to the first byte that is zero.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    for (place, word) in text.as_chunks::<8>().0.iter().take(WORDS).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(8 * place + found.trailing_zeros() as usize / 8);
        }
    }
    let rest = (8 * WORDS).min(text.len() / 8 * 8);
    memchr::memchr2(b'"', b'\\', &text[rest..]).map(|at| rest + at)
}

/// Length, quotes included, of the string that `text` begins with.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += quote_or_backslash(text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Length of the object or array that `text` begins with.
fn end_of_nested(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0u32);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += end_of_string(&bytes[at..])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(leaf: &str) -> Vec<(Column, String)> {
        let row = Row::read(leaf.as_bytes());
        Column::ALL.into_iter().filter_map(|column| Some((column, row.text(column)?.to_owned()))).collect()
    }

    #[test]
    fn a_request_counts_as_it_was_judged_in_the_end() {
        let leaf = r#"{"v":1,"boot":3,"seq":17,"outcome_seq":18,"kind":"request","at":-5,"salt":"00","app":"kaipoke","path":"/a\"b","action":"view","decision":"permit","reason":"rule","rule":"in","source":"192.0.2.1","inside":false,"outcome":{"at":6,"end":"denied-response","status":403,"action":"download","reason":"action-denied"}}"#;
        let row = Row::read(leaf.as_bytes());
        assert_eq!((row.position, row.at), (Position { boot: 3, seq: 17 }, Timestamp(-5)));
        assert_eq!(row.flags, flag::OUTSIDE | flag::FAILED);
        let text = |column| row.text(column).unwrap();
        assert_eq!(text(Column::Path), "/a\"b");
        assert_eq!((text(Column::Action), text(Column::Decision)), ("download", "deny"));
        assert_eq!((text(Column::Reason), text(Column::Rule)), ("action-denied", "in"));
        assert!(matches!(row.texts[Column::App as usize], Some(Cow::Borrowed(_))), "texts are not copied");
    }

    #[test]
    fn what_is_readable_of_an_odd_leaf_is_read() {
        let odd =
            r#"{"v":9,"boot":1,"seq":2,"kind":"vote","at":7,"subject":{"a":[1,"]}"]},"person":"sato","source":5}"#;
        let spaced = r#" { "v" : 9, "boot":1, "seq":2,"kind":"vo\u0074e","at":7, "subject":{}, "person":"sato" } "#;
        for leaf in [odd, spaced] {
            assert_eq!(told(leaf), [(Column::Kind, "vote".to_owned()), (Column::Person, "sato".to_owned())]);
            let row = Row::read(leaf.as_bytes());
            assert_eq!((row.position, row.at), (Position { boot: 1, seq: 2 }, Timestamp(7)));
        }
        for nothing in
            [&b"\xff{"[..], b"", b"{", b"[]", b"{\"kind\":\"request\"", b"{\"kind\"", b"{\"kind\":", b"{\"kind\":\"\\"]
        {
            assert_eq!(Row::read(nothing), Row::default());
        }
    }

    #[test]
    fn a_request_without_outcome_is_open_and_an_outcome_names_it() {
        assert_eq!(Row::read(br#"{"kind":"request","decision":"permit"}"#).flags, flag::OPEN);
        let late = Row::read(br#"{"kind":"outcome","of":[2,9],"end":"ok","status":500}"#);
        assert_eq!((late.of, late.flags), (Some(Position { boot: 2, seq: 9 }), flag::FAILED));
    }

    #[test]
    fn what_was_done_to_whom_is_read_and_a_login_fails_in_its_own_words() {
        let leaf =
            r#"{"kind":"request","method":"POST","operation":"care-plan","subject":"resident/1234","outcome":{}}"#;
        let row = Row::read(leaf.as_bytes());
        let text = |column| row.text(column).unwrap();
        assert_eq!((text(Column::Operation), text(Column::Subject)), ("care-plan", "resident/1234"));
        assert_eq!((text(Column::Method), row.flags), ("POST", flag::NAMED));
        for (kind, result, failed) in [
            ("login", "failed", true),
            ("login", "unknown", false),
            ("login", "elsewhere", false),
            ("sign-in", "wrong", true),
            ("sign-in", "second-factor", false),
        ] {
            let leaf = format!("{{\"kind\":\"{kind}\",\"at\":1,\"result\":\"{result}\"}}");
            assert_eq!(Row::read(leaf.as_bytes()).flags & flag::FAILED != 0, failed, "{leaf}");
        }
    }

    proptest! {
        /// What stands in a leaf otherwise than leaves are written is read all the same, and in the same way.
        #[test]
        fn white_space_makes_no_difference(person in "\\PC{0,12}", path in "[a-z\"\\\\\u{0}-\u{1f}{}:,あ]{0,20}", denied: bool, at: i64) {
            let end = if denied { "denied-response" } else { "ok" };
            let leaf = serde_json::json!({
                "v": 1, "boot": 1, "seq": 5, "outcome_seq": 6, "kind": "request", "at": at, "path": path, "decision": "permit",
                "person": person, "networks": ["a", "b]}"], "inside": false, "outcome": {"at": 9, "end": end, "status": 200},
            });
            let (tight, pretty) = (leaf.to_string() + "\n", serde_json::to_string_pretty(&leaf).unwrap());
            let row = Row::read(tight.as_bytes());
            prop_assert!(Row::scan(&tight).is_some() && Row::scan(&pretty).is_none());
            prop_assert_eq!(&row, &Row::read(pretty.as_bytes()));
            prop_assert_eq!((row.text(Column::Path), row.text(Column::Person)), (Some(&*path), Some(&*person)));
            prop_assert_eq!((row.at, row.flags & flag::FAILED != 0), (Timestamp(at), denied));
        }

        #[test]
        fn ends_of_strings_are_found(text in "[a-zé\"\\\\]{0,60}", plain in "[a-zé]{0,60}") {
            for text in [text.clone(), plain.clone() + &text] {
                let found = text.bytes().position(|byte| matches!(byte, b'"' | b'\\'));
                prop_assert_eq!(quote_or_backslash(text.as_bytes()), found);
            }
        }

        #[test]
        fn reading_anything_never_panics(leaf in "[{}\\[\\]\"\\\\:,a0-]{0,40}") {
            let _ = Row::read(leaf.as_bytes());
        }
    }
}
