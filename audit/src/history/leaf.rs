//! Leaves of the log as records.

use serde::Deserialize as _;
use serde_json::{Map, Value};

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
