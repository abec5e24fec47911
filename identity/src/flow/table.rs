//! The bounded table behind sign-ins under way.
//!
//! Strangers may fill it, so it forgets: first what has expired, then the oldest of whoever fills it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use vocabulary::{SessionId, Timestamp};

use super::Pending;
use crate::secret::Digest;
use crate::source::Source;

/// At most 10,000 sign-ins under way, about 50 MB if each target is as long as allowed.
pub(super) const MOST: usize = 10_000;
/// At most a tenth of them from one source.
pub(super) const MOST_PER_SOURCE: usize = 1_000;

pub(super) struct Entry {
    pub(super) pending: Pending,
    pub(super) remaining_hosts: Vec<String>,
    pub(super) certificate: Option<[u8; 32]>,
    /// None until the browser has come to this host.
    pub(super) binder: Option<Digest>,
    pub(super) source: Source,
    pub(super) expires: Timestamp,
    pub(super) ticket: Option<Ticket>,
}

pub(super) struct Ticket {
    pub(super) hash: Digest,
    pub(super) session: SessionId,
    pub(super) expires: Timestamp,
}

#[derive(Default)]
pub(super) struct Table {
    entries: HashMap<Digest, (u64, Entry)>,
    by_age: BTreeMap<u64, Digest>,
    by_source: HashMap<Source, BTreeSet<u64>>,
    tickets: HashMap<Digest, Digest>,
    next: u64,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, key: Digest, entry: Entry, now: Timestamp) {
        // All live equally long, so the oldest expire first.
        while let Some(oldest) = self.oldest().filter(|k| self.entries.get(k).is_some_and(|(_, e)| e.expires <= now)) {
            self.remove(&oldest);
        }
        if self.by_source.get(&entry.source).is_some_and(|ages| ages.len() >= MOST_PER_SOURCE)
            || self.entries.len() >= MOST
        {
            let of_source = self.by_source.get(&entry.source).and_then(BTreeSet::first);
            let victim = of_source.and_then(|age| self.by_age.get(age)).copied().or_else(|| self.oldest());
            if let Some(victim) = victim {
                self.remove(&victim);
            }
        }
        let age = self.next;
        self.next += 1;
        self.by_age.insert(age, key);
        self.by_source.entry(entry.source).or_default().insert(age);
        self.entries.insert(key, (age, entry));
    }

    pub(super) fn get(&self, key: &Digest, now: Timestamp) -> Option<&Entry> {
        self.entries.get(key).map(|(_, entry)| entry).filter(|entry| now < entry.expires)
    }

    pub(super) fn get_mut(&mut self, key: &Digest, now: Timestamp) -> Option<&mut Entry> {
        self.entries.get_mut(key).map(|(_, entry)| entry).filter(|entry| now < entry.expires)
    }

    pub(super) fn remove(&mut self, key: &Digest) -> Option<Entry> {
        let (age, entry) = self.entries.remove(key)?;
        self.by_age.remove(&age);
        if let Some(ages) = self.by_source.get_mut(&entry.source) {
            ages.remove(&age);
            if ages.is_empty() {
                self.by_source.remove(&entry.source);
            }
        }
        if let Some(ticket) = &entry.ticket {
            self.tickets.remove(&ticket.hash);
        }
        Some(entry)
    }

    /// Whether the handle was known and bound to a browser.
    pub(super) fn set_ticket(&mut self, key: &Digest, ticket: Ticket, now: Timestamp) -> bool {
        let Some(entry) = self.get_mut(key, now).filter(|entry| entry.binder.is_some()) else { return false };
        let hash = ticket.hash;
        let earlier = entry.ticket.replace(ticket);
        if let Some(earlier) = earlier {
            self.tickets.remove(&earlier.hash);
        }
        self.tickets.insert(hash, *key);
        true
    }

    /// The ticket, which from now on nobody else finds, and the entry it belongs to.
    pub(super) fn take_ticket(&mut self, hash: &Digest) -> Option<(Digest, Ticket)> {
        let key = self.tickets.remove(hash)?;
        let ticket = self.entries.get_mut(&key)?.1.ticket.take()?;
        Some((key, ticket))
    }

    fn oldest(&self) -> Option<Digest> {
        self.by_age.first_key_value().map(|(_, key)| *key)
    }

    /// Whether every index holds exactly what is in the table.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let by_source: usize = self.by_source.values().map(BTreeSet::len).sum();
        let tickets = self.entries.values().filter(|(_, entry)| entry.ticket.is_some()).count();
        by_source == self.entries.len()
            && self.by_age.len() == self.entries.len()
            && self.tickets.len() == tickets
            && self.by_age.iter().all(|(age, key)| self.entries.get(key).is_some_and(|(a, _)| a == age))
            && self.tickets.iter().all(|(hash, key)| {
                self.entries.get(key).and_then(|(_, e)| e.ticket.as_ref()).is_some_and(|t| t.hash == *hash)
            })
    }
}
