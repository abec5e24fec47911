//! A YAML file as a tree in which every node knows its place.
//!
//! Stricter than YAML: one document, text keys, no tags, no merge keys, no key twice. What the nodes mean is no
//! matter of this folder's.

mod build;
mod typed;

use vocabulary::{DocumentError, PathStep};

pub(crate) use build::parse;
pub(crate) use typed::typed;

/// Line and column, from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Something is wrong, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) place: Place,
    pub(crate) error: DocumentError,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
    /// Already complained about; it takes no part in what follows.
    pub(crate) dropped: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    /// With the text as written: a staff number `0123` is text where text is wanted.
    Integer(i64, String),
    Float(f64, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) const fn new(place: Place, data: Data) -> Self {
        Self { place, data, dropped: false }
    }

    /// What it is, for a message.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Integer(..) | Data::Float(..) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// A single value as written; empty for lists, mappings and nothing.
    pub(crate) fn text(&self) -> String {
        match &self.data {
            Data::Bool(value) => value.to_string(),
            Data::Integer(_, text) | Data::Float(_, text) | Data::Text(text) => text.clone(),
            Data::Null | Data::List(_) | Data::Map(_) => String::new(),
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    pub(crate) fn entry_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.data {
            Data::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
            _ => None,
        }
    }

    /// Whether something was dropped from it.
    pub(crate) fn has_dropped(&self) -> bool {
        match &self.data {
            Data::List(items) => items.iter().any(|item| item.dropped || item.has_dropped()),
            Data::Map(entries) => entries.iter().any(|entry| entry.value.dropped || entry.value.has_dropped()),
            _ => false,
        }
    }

    /// Drops the deepest node that `path` leads to.
    pub(crate) fn drop_at(&mut self, path: &[PathStep]) {
        let next = match (path.first(), &mut self.data) {
            (Some(PathStep::Index(index)), Data::List(items)) => items.get_mut(*index),
            (Some(PathStep::Key(key)), Data::Map(entries)) => {
                entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.value)
            }
            _ => None,
        };
        match next {
            Some(next) => next.drop_at(&path[1..]),
            None => self.dropped = true,
        }
    }

    /// The node that `path` leads to, if all of it is there.
    pub(crate) fn at(&self, path: &[PathStep]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match (step, &node.data) {
            (PathStep::Key(key), _) => node.entry(key).map(|entry| &entry.value),
            (PathStep::Index(index), Data::List(items)) => items.get(*index),
            _ => None,
        })
    }

    /// The path in the file of what a type read from this tree calls `path`: dropped items don't count there.
    /// Nothing if it leads to something dropped, or to what something was dropped from.
    pub(crate) fn path_in_file(&self, path: &[PathStep]) -> Option<Vec<PathStep>> {
        let mut whole = Vec::new();
        let mut node = self;
        for step in path {
            let next = match (step, &node.data) {
                (PathStep::Index(index), Data::List(items)) => items
                    .iter()
                    .enumerate()
                    .filter(|(_, item)| !item.dropped)
                    .nth(*index)
                    .map(|(position, item)| (PathStep::Index(position), Some(item))),
                (PathStep::Key(key), Data::Map(_)) => Some((step.clone(), node.entry(key).map(|entry| &entry.value))),
                _ => None,
            };
            let (step, next) = next.unwrap_or_else(|| (step.clone(), None));
            whole.push(step);
            match next {
                Some(next) if next.dropped => return None,
                Some(next) => node = next,
                // Missing in the file: the rest of the path names it.
                None => {
                    whole.extend(path.iter().skip(whole.len()).cloned());
                    break;
                }
            }
        }
        (!node.has_dropped()).then_some(whole)
    }

    /// Where `path` stands in the file: its value, or the key of a whole list or mapping. A missing value stands
    /// where it would be looked for: at what it is missing from.
    pub(crate) fn place_of(&self, path: &[PathStep]) -> Place {
        let (mut node, mut place) = (self, self.place);
        for step in path {
            let next = match (step, &node.data) {
                (PathStep::Key(key), Data::Map(_)) => node.entry(key).map(|e| (&e.value, e.place())),
                (PathStep::Index(index), Data::List(items)) => items.get(*index).map(|item| (item, item.place)),
                _ => None,
            };
            let Some(found) = next else { break };
            (node, place) = found;
        }
        place
    }
}

impl Entry {
    /// Of the value if it is a single one, else of the key: a mapping's own place is its first key's.
    pub(crate) const fn place(&self) -> Place {
        match self.value.data {
            Data::Null | Data::List(_) | Data::Map(_) => self.key_place,
            _ => self.value.place,
        }
    }
}
