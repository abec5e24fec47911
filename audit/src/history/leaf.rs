//! Leaves of the log as records.

use serde::Deserialize as _;
use serde_json::{Map, Value};
use vocabulary::Timestamp;

use crate::journal::reader;
use crate::{Entry, Outcome, Position, Record};

/// What a leaf says.
#[derive(Debug)]
pub(super) enum Leaf {
    Record(Box<Entry>),
    /// The end of a request that was sealed without one.
    Outcome {
        position: Position,
        of: Position,
        outcome: Box<Outcome>,
    },
}

impl Leaf {
    pub(super) fn position(&self) -> Position {
        match self {
            Self::Record(entry) => entry.position,
            Self::Outcome { position, .. } => *position,
        }
    }
}

/// Reads a leaf. One that this version can't make sense of becomes [`Record::Other`], in the worst case without a word of
/// what it says: whether the log is as it was sealed is the verifier's business.
pub(super) fn read(leaf: &[u8]) -> Leaf {
    read_rare(leaf).unwrap_or_else(|| read_any(leaf))
}

/// Histories consist of these by the ten thousand, so they are read without detours. None: it is another kind, or not
/// written as leaves are.
fn read_rare(leaf: &[u8]) -> Option<Leaf> {
    let text = std::str::from_utf8(leaf).ok()?;
    let (boot, rest) = number(text.strip_prefix("{\"v\":1,\"boot\":")?)?;
    let (seq, rest) = number(rest.strip_prefix(",\"seq\":")?)?;
    let (kind, rest) = rest.strip_prefix(",\"kind\":\"")?.split_once('"')?;
    let (at, rest) = number(rest.strip_prefix(",\"at\":")?)?;
    let rest = rest.strip_prefix(",\"salt\":\"")?;
    let (salt, rest) = (rest.get(..16)?, rest.get(16..)?.strip_prefix("\",")?);
    if !salt.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let fields = format!("{{{rest}");
    let record = match kind {
        "sign-in" => Record::SignIn(serde_json::from_str(&fields).ok()?),
        "sign-out" => Record::SignOut(serde_json::from_str(&fields).ok()?),
        "login" => Record::Login(serde_json::from_str(&fields).ok()?),
        "login-end" => Record::LoginEnd(serde_json::from_str(&fields).ok()?),
        "change" => Record::Change(serde_json::from_str(&fields).ok()?),
        _ => return None,
    };
    let more = match &record {
        Record::SignIn(fields) => &fields.more,
        Record::SignOut(fields) => &fields.more,
        Record::Login(fields) => &fields.more,
        Record::LoginEnd(fields) => &fields.more,
        Record::Change(fields) => &fields.more,
        _ => return None,
    };
    // Head and outcome are no fields of a record, wherever they stand.
    if ["v", "boot", "seq", "outcome_seq", "kind", "at", "salt", "outcome"].iter().any(|key| more.contains_key(*key)) {
        return None;
    }
    let position = Position { boot: boot.parse().ok()?, seq: seq.parse().ok()? };
    let at = Timestamp(at.parse().ok()?);
    Some(Leaf::Record(Box::new(Entry { position, at, salt: salt.to_owned(), record, outcome: None })))
}

fn number(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'-').count();
    (digits > 0).then(|| text.split_at(digits))
}

fn read_any(leaf: &[u8]) -> Leaf {
    let mut fields: Map<String, Value> = serde_json::from_slice(leaf).unwrap_or_default();
    let boot = fields.remove("boot").and_then(|boot| u32::try_from(boot.as_u64()?).ok()).unwrap_or_default();
    let seq = fields.remove("seq").and_then(|seq| seq.as_u64()).unwrap_or_default();
    let position = Position { boot, seq };
    fields.remove("outcome_seq");
    if fields.get("kind").is_some_and(|kind| kind == "outcome")
        && let Some(of) = fields.remove("of").and_then(|of| <(u32, u64)>::deserialize(of).ok())
        && let Some(outcome) = outcome(fields.clone())
    {
        return Leaf::Outcome { position, of: Position { boot: of.0, seq: of.1 }, outcome: Box::new(outcome) };
    }
    let outcome = match fields.remove("outcome") {
        // One that was lost has no time of its own.
        Some(Value::Object(mut of)) => {
            if !of.contains_key("at") {
                of.insert("at".to_owned(), fields.get("at").cloned().unwrap_or_default());
            }
            outcome(of)
        }
        _ => None,
    };
    let mut entry = reader::entry(&mut fields, position);
    entry.outcome = outcome.filter(|_| matches!(entry.record, Record::Request(_)));
    Leaf::Record(Box::new(entry))
}

fn outcome(mut fields: Map<String, Value>) -> Option<Outcome> {
    for key in ["v", "kind", "salt"] {
        fields.remove(key);
    }
    Outcome::deserialize(Value::Object(fields)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_kind_reads_the_same_on_both_ways() {
        let fields = [
            (
                "login",
                r#""app":"kaipoke","result":"ok","login":"l-1","request":[1,7],"saas_id":"a\"b","person":"sato","source":"192.0.2.1","inside":true,"later":{"x":[1]}"#,
            ),
            ("login-end", r#""app":"kaipoke","login":"l-1","person":"sato","cause":"idle","ended":5,"requests":3"#),
            (
                "sign-in",
                r#""result":"wrong","person":"sato","provider":"staff","factors":1,"source":"::1","inside":false"#,
            ),
            ("sign-out", r#""person":"sato","session":"s-1","cause":"idle""#),
            ("change", r#""by":"os:0","channel":"offline","what":"staff-locked","subject":"sato","details":{"a":1}"#),
        ];
        for (kind, fields) in fields {
            let head = r#""at":-5,"salt":"00112233aabbccdd""#;
            let leaf = format!("{{\"v\":1,\"boot\":3,\"seq\":17,\"kind\":\"{kind}\",{head},{fields}}}\n");
            let Some(Leaf::Record(rare)) = read_rare(leaf.as_bytes()) else { panic!("{leaf}") };
            let Leaf::Record(any) = read_any(leaf.as_bytes()) else { panic!("{leaf}") };
            assert_eq!((rare.record.kind(), &rare), (kind, &any));
            // A later version is nobody's who reads this one.
            let later = leaf.replace("\"v\":1", "\"v\":2");
            assert!(read_rare(later.as_bytes()).is_none(), "{later}");
        }
    }
}
