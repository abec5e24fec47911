//! Names that rules mention, as small numbers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use vocabulary::{AppId, GroupName, MachineName, PersonId};

/// An app of a policy's catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppIndex {
    pub(crate) index: u32,
    pub(crate) stamp: u32,
}

/// Those of a person's groups that rules mention. Worth keeping per person as long as the policy stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSet {
    /// Sorted, without duplicates.
    pub(crate) groups: Box<[u32]>,
    pub(crate) stamp: u32,
}

/// Which number a name has, for each kind of name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) apps: Interned<AppId>,
    pub(crate) groups: Interned<GroupName>,
    pub(crate) people: Interned<PersonId>,
    pub(crate) machines: Interned<MachineName>,
    pub(crate) methods: Interned<String>,
}

/// Distinct values in the order of their first mention.
#[derive(Debug)]
pub(crate) struct Interned<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    pub(crate) fn intern(&mut self, value: &T) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.numbers.insert(value.clone(), number);
        self.values.push(value.clone());
        number
    }

    pub(crate) fn number(&self, value: &T) -> Option<u32> {
        if self.values.is_empty() { None } else { self.numbers.get(value).copied() }
    }

    pub(crate) fn value(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)
    }

    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }

    /// Tells numberings apart, so that a number of one is not taken for a number of another.
    pub(crate) fn stamp(&self) -> u32 {
        stamp(&self.values)
    }
}

/// A hash of `value`, the same in every run. It finds mistakes, it doesn't withstand forgery.
pub(crate) fn stamp(value: &impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    u32::try_from(hasher.finish() >> 32).unwrap_or(0)
}
