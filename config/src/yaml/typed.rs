//! From a node to a value of a document type, finding every value that doesn't fit and not just the first.
//!
//! serde stops at the first error. So what it stops at is reported and dropped from the tree, and it tries again.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use serde_yaml::Value;
use vocabulary::{DocumentError, PathStep};

use super::{Data, Finding, Node};

/// More errors than this in one part help nobody.
const MOST: usize = 200;

/// Reads `node`, which stands at `at` in its document. What is dropped already is passed over; what doesn't fit is
/// dropped. Nothing comes out if too little is left.
pub(crate) fn typed<T: DeserializeOwned>(node: &mut Node, at: &[PathStep]) -> (Option<T>, Vec<Finding>) {
    let mut findings = Vec::new();
    while !node.dropped && findings.len() < MOST {
        let error = match serde_path_to_error::deserialize::<_, T>(value(node)) {
            Ok(read) => return (Some(read), findings),
            Err(error) => error,
        };
        let message = error.inner().to_string();
        let (path, culprit) = find(node, error.path().iter(), &message);
        // What follows from something dropped earlier, such as a list that is empty now, has been told.
        if !culprit.has_dropped() {
            let whole = at.iter().cloned().chain(path.iter().cloned());
            let error = DocumentError::new(whole, culprit.text(), message);
            findings.push(Finding { place: culprit.place, error });
        }
        node.drop_at(&path);
    }
    (None, findings)
}

/// The deepest node on serde's way to its error, and its path in the file.
fn find<'n, 's>(node: &'n Node, steps: impl Iterator<Item = &'s Segment>, message: &str) -> (Vec<PathStep>, &'n Node) {
    let mut path = Vec::new();
    let mut node = node;
    for step in steps {
        let next = match (step, &node.data) {
            (Segment::Seq { index }, Data::List(items)) => {
                items.iter().enumerate().filter(|(_, item)| !item.dropped).nth(*index).map(|(i, item)| (i.into(), item))
            }
            (Segment::Map { key } | Segment::Enum { variant: key }, Data::Map(_)) => {
                node.entry(key).map(|entry| (key.as_str().into(), &entry.value))
            }
            _ => None,
        };
        let Some((step, next)) = next else { break };
        path.push(step);
        node = next;
    }
    // A key that isn't of the right shape (a network's name) is reported at the mapping: serde has no place for it.
    if let Data::Map(entries) = &node.data {
        let named = |key: &str| message.contains(&format!("`{key}` "));
        if let Some(entry) = entries.iter().find(|entry| !entry.value.dropped && named(&entry.key)) {
            path.push(entry.key.as_str().into());
            node = &entry.value;
        }
    }
    (path, node)
}

fn value(node: &Node) -> Value {
    match &node.data {
        Data::Null => Value::Null,
        Data::Bool(value) => Value::Bool(*value),
        Data::Integer(value, _) => Value::Number((*value).into()),
        Data::Float(value, _) => Value::Number((*value).into()),
        Data::Text(text) => Value::String(text.clone()),
        Data::List(items) => Value::Sequence(items.iter().filter(|item| !item.dropped).map(value).collect()),
        Data::Map(entries) => Value::Mapping(
            entries
                .iter()
                .filter(|entry| !entry.value.dropped)
                .map(|entry| (Value::String(entry.key.clone()), value(&entry.value)))
                .collect(),
        ),
    }
}
