//! Orders other than that of the record.

use std::cmp::Ordering;
use std::net::IpAddr;

use vocabulary::Timestamp;

use crate::{Entry, Record, Request};

/// So many records are held in memory to be sorted.
pub(super) const MOST: usize = 50_000;

/// What to sort requests by. What has no value comes last; what is alike stays in the order of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By the gateway's clock, which may have been set back meanwhile.
    Clock,
    Person,
    App,
    Action,
    Decision,
    Reason,
    Status,
    Source,
    Device,
    Path,
    /// Bytes to the client.
    BytesOut,
    /// From the request's head to the end.
    Duration,
}

/// A column's value; the derived order is that of the variants' content, since a column has one variant only.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'e> {
    Text(&'e str),
    Number(u64),
    Address(IpAddr),
    Time(Timestamp),
}

impl Sort {
    pub const ALL: [(&'static str, Self); 12] = [
        ("clock", Self::Clock),
        ("person", Self::Person),
        ("app", Self::App),
        ("action", Self::Action),
        ("decision", Self::Decision),
        ("reason", Self::Reason),
        ("status", Self::Status),
        ("source", Self::Source),
        ("device", Self::Device),
        ("path", Self::Path),
        ("bytes-out", Self::BytesOut),
        ("duration", Self::Duration),
    ];

    pub(super) fn sort(self, entries: &mut [Entry], descending: bool) {
        entries.sort_by(|a, b| match (self.key(a), self.key(b)) {
            (Some(a), Some(b)) if descending => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
    }

    fn key(self, entry: &Entry) -> Option<Key<'_>> {
        if self == Self::Clock {
            return Some(Key::Time(entry.at));
        }
        let Record::Request(request) = &entry.record else { return None };
        let request: &Request = request;
        let outcome = entry.outcome.as_ref();
        Some(match self {
            Self::Clock => Key::Time(entry.at),
            Self::Person => Key::Text(request.person.as_ref()?.as_str()),
            Self::App => Key::Text(request.app.as_ref()?.as_str()),
            Self::Action => Key::Text(entry.action(request).as_str()),
            Self::Decision => Key::Text(entry.decision(request).as_str()),
            Self::Reason => Key::Text(entry.reason(request).as_str()),
            Self::Status => Key::Number(outcome?.status?.into()),
            Self::Source => Key::Address(request.source),
            Self::Device => Key::Text(request.device.as_ref()?.as_str()),
            Self::Path => Key::Text(&request.path),
            Self::BytesOut => Key::Number(outcome?.bytes_out),
            Self::Duration => Key::Number(outcome?.total_us),
        })
    }
}
