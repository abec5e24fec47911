//! What the index looks at in a leaf.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
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
        match serde_json::from_slice::<Written<'l>>(leaf) {
            Ok(written) => written.into_row(),
            Err(_) => read_what_is_readable(leaf),
        }
    }

    pub(crate) fn text(&self, column: Column) -> Option<&str> {
        self.texts.get(column as usize)?.as_deref()
    }

    fn set(&mut self, column: Column, text: Option<Text<'l>>) {
        if let (Some(place), Some(Text(text))) = (self.texts.get_mut(column as usize), text) {
            *place = Some(text);
        }
    }
}

/// Fields in the order in which a leaf has them.
#[derive(Default, Deserialize)]
struct Written<'l> {
    #[serde(default)]
    boot: u32,
    #[serde(default)]
    seq: u64,
    #[serde(borrow, default)]
    kind: Option<Text<'l>>,
    #[serde(default)]
    at: i64,
    #[serde(default)]
    of: Option<(u32, u64)>,
    #[serde(borrow, default)]
    app: Option<Text<'l>>,
    #[serde(borrow, default)]
    path: Option<Text<'l>>,
    #[serde(borrow, default)]
    action: Option<Text<'l>>,
    #[serde(borrow, default)]
    decision: Option<Text<'l>>,
    #[serde(borrow, default)]
    reason: Option<Text<'l>>,
    #[serde(borrow, default)]
    rule: Option<Text<'l>>,
    #[serde(borrow, default)]
    result: Option<Text<'l>>,
    #[serde(borrow, default)]
    by: Option<Text<'l>>,
    #[serde(borrow, default)]
    subject: Option<Text<'l>>,
    #[serde(borrow, default)]
    person: Option<Text<'l>>,
    #[serde(borrow, default)]
    session: Option<Text<'l>>,
    #[serde(borrow, default)]
    device: Option<Text<'l>>,
    #[serde(borrow, default)]
    source: Option<Text<'l>>,
    #[serde(default)]
    inside: Option<bool>,
    #[serde(borrow, default)]
    outcome: Option<End<'l>>,
    // An `outcome` leaf has these at the top; they are few.
    #[serde(borrow, default)]
    end: Option<Text<'l>>,
    #[serde(default)]
    status: Option<u16>,
}

#[derive(Default, Deserialize)]
struct End<'l> {
    #[serde(borrow, default)]
    end: Option<Text<'l>>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(borrow, default)]
    action: Option<Text<'l>>,
    #[serde(borrow, default)]
    reason: Option<Text<'l>>,
    #[serde(borrow, default)]
    rule: Option<Text<'l>>,
}

impl<'l> Written<'l> {
    fn into_row(self) -> Row<'l> {
        let mut row = Row {
            position: Position { boot: self.boot, seq: self.seq },
            at: Timestamp(self.at),
            of: self.of.map(|(boot, seq)| Position { boot, seq }),
            ..Row::default()
        };
        let is = |text: &Option<Text<'_>>, word: &str| text.as_ref().is_some_and(|text| text.0 == word);
        let request = is(&self.kind, "request");
        if request && self.outcome.is_none() {
            row.flags |= flag::OPEN;
        }
        if self.inside == Some(false) {
            row.flags |= flag::OUTSIDE;
        }
        let of_leaf = End { end: self.end, status: self.status, ..End::default() };
        let end = self.outcome.unwrap_or(of_leaf);
        let denied = is(&end.end, "denied-response");
        let failed = denied
            || is(&self.decision, "deny")
            || is(&end.end, "upstream-failed")
            || is(&end.end, "refused")
            || end.status.is_some_and(|status| status >= 400)
            || self.result.as_ref().is_some_and(|result| !matches!(&*result.0, "ok" | "second-factor"));
        if failed {
            row.flags |= flag::FAILED;
        }
        row.set(Column::Kind, self.kind);
        row.set(Column::App, self.app);
        row.set(Column::Action, end.action.or(self.action));
        row.set(Column::Decision, if denied { Some(Text(Cow::Borrowed("deny"))) } else { self.decision });
        row.set(Column::Reason, end.reason.or(self.reason));
        row.set(Column::Rule, end.rule.or(self.rule));
        row.set(Column::Person, self.person.or(self.by));
        row.set(Column::Subject, self.subject);
        row.set(Column::Session, self.session);
        row.set(Column::Device, self.device);
        row.set(Column::Source, self.source);
        row.set(Column::Path, self.path);
        row
    }
}

/// Of a leaf in which a field is not what this version expects.
fn read_what_is_readable(leaf: &[u8]) -> Row<'static> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(leaf) else { return Row::default() };
    let number = |key: &str| fields.get(key).and_then(Value::as_u64);
    let mut row = Row {
        position: Position {
            boot: number("boot").and_then(|boot| boot.try_into().ok()).unwrap_or_default(),
            seq: number("seq").unwrap_or_default(),
        },
        at: Timestamp(fields.get("at").and_then(Value::as_i64).unwrap_or_default()),
        ..Row::default()
    };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(|text| Text(Cow::Owned(text.to_owned())));
    for (column, key) in [
        (Column::Kind, "kind"),
        (Column::App, "app"),
        (Column::Action, "action"),
        (Column::Decision, "decision"),
        (Column::Reason, "reason"),
        (Column::Rule, "rule"),
        (Column::Person, "by"),
        (Column::Person, "person"),
        (Column::Subject, "subject"),
        (Column::Session, "session"),
        (Column::Device, "device"),
        (Column::Source, "source"),
        (Column::Path, "path"),
    ] {
        row.set(column, text(key));
    }
    row
}

/// A string that is copied only if it holds escapes. (`Option<Cow<str>>` would always copy.)
struct Text<'l>(Cow<'l, str>);

impl<'de: 'l, 'l> Deserialize<'de> for Text<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;

        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrow)
    }
}

#[cfg(test)]
mod tests {
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
        let odd = r#"{"v":9,"boot":1,"seq":2,"kind":"vote","at":7,"subject":{"a":1},"person":"sato","source":5}"#;
        assert_eq!(told(odd), [(Column::Kind, "vote".to_owned()), (Column::Person, "sato".to_owned())]);
        assert_eq!(Row::read(odd.as_bytes()).position, Position { boot: 1, seq: 2 });
        assert_eq!(Row::read(b"\xff{"), Row::default());
    }

    #[test]
    fn a_request_without_outcome_is_open_and_an_outcome_names_it() {
        assert_eq!(Row::read(br#"{"kind":"request","decision":"permit"}"#).flags, flag::OPEN);
        let late = Row::read(br#"{"kind":"outcome","of":[2,9],"end":"ok","status":500}"#);
        assert_eq!((late.of, late.flags), (Some(Position { boot: 2, seq: 9 }), flag::FAILED));
    }
}
