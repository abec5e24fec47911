//! Counting strangers, so that a flood of them neither fills the journal nor slows it down.
//!
//! A source is an IPv4 address or an IPv6 /64 (what one customer of an access provider holds). Its first
//! requests of a minute get records of their own; the others are counted, and become one record per source
//! and minute. No clock and no disk here: both are handed in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};

use serde_json::Map;
use vocabulary::Timestamp;

use crate::Aggregate;

const MINUTE_US: i64 = 60_000_000;

/// How much one source, and all of them together, may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrangerLimits {
    /// Records of their own, per source and minute.
    pub per_minute: u32,
    /// Sources told apart per minute.
    pub sources: u32,
}

impl Default for StrangerLimits {
    fn default() -> Self {
        Self { per_minute: 30, sources: 1_000 }
    }
}

/// What becomes of a stranger's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// It gets a record of its own.
    Single,
    /// It was counted; [`Strangers::drain`] hands the count out once the minute is over.
    Counted,
}

/// The counts of the current minute.
#[derive(Debug)]
pub struct Strangers {
    limits: StrangerLimits,
    /// Start of the minute that is being counted.
    minute: Timestamp,
    sources: HashMap<IpAddr, Count>,
    rest: Count,
    finished: Vec<Aggregate>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    singles: u32,
    counted: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Count {
    fn add(&mut self, now: Timestamp) {
        if self.counted == 0 {
            self.first = now;
        }
        self.counted += 1;
        self.last = now;
    }

    fn aggregate(self, source: Option<String>, minute: Timestamp) -> Option<Aggregate> {
        let Self { counted: count, first, last, .. } = self;
        (count > 0).then(|| Aggregate { source, minute, count, first, last, more: Map::new() })
    }
}

impl Strangers {
    pub fn new(limits: StrangerLimits) -> Self {
        let (sources, rest, finished) = (HashMap::new(), Count::default(), Vec::new());
        Self { limits, minute: Timestamp::default(), sources, rest, finished }
    }

    /// Takes in one request.
    pub fn admit(&mut self, source: IpAddr, now: Timestamp) -> Admit {
        self.turn(now);
        let full = self.sources.len() >= self.limits.sources as usize;
        let count = match self.sources.entry(bucket(source)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if full => {
                self.rest.add(now);
                return Admit::Counted;
            }
            Entry::Vacant(entry) => entry.insert(Count::default()),
        };
        if count.singles < self.limits.per_minute {
            count.singles += 1;
            return Admit::Single;
        }
        count.add(now);
        Admit::Counted
    }

    /// Counts without offering a record of its own, for when disk space is short.
    pub fn count(&mut self, source: IpAddr, now: Timestamp) {
        self.turn(now);
        let full = self.sources.len() >= self.limits.sources as usize;
        match self.sources.entry(bucket(source)) {
            Entry::Occupied(mut entry) => entry.get_mut().add(now),
            Entry::Vacant(_) if full => self.rest.add(now),
            Entry::Vacant(entry) => entry.insert(Count::default()).add(now),
        }
    }

    /// The counts of minutes that are over, each handed out once. To be called every few seconds.
    pub fn drain(&mut self, now: Timestamp) -> Vec<Aggregate> {
        self.turn(now);
        std::mem::take(&mut self.finished)
    }

    /// All counts, those of the current minute too; for the end of the process.
    pub fn finish(&mut self) -> Vec<Aggregate> {
        self.close_minute();
        std::mem::take(&mut self.finished)
    }

    /// A clock that was set back also begins a new minute: counts are never added to a minute gone by.
    fn turn(&mut self, now: Timestamp) {
        let minute = Timestamp(now.0 - now.0.rem_euclid(MINUTE_US));
        if minute != self.minute {
            self.close_minute();
            self.minute = minute;
        }
    }

    fn close_minute(&mut self) {
        let minute = self.minute;
        let counted = self.sources.drain().filter_map(|(source, c)| c.aggregate(Some(written(source)), minute));
        self.finished.extend(counted);
        self.finished.extend(std::mem::take(&mut self.rest).aggregate(None, minute));
    }
}

/// An IPv4 address, also one written as IPv6; or the /64 of an IPv6 address.
fn bucket(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn written(bucket: IpAddr) -> String {
    match bucket {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{v6}/64"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn small() -> Strangers {
        Strangers::new(StrangerLimits { per_minute: 2, sources: 2 })
    }

    const NOON: Timestamp = Timestamp::from_secs(12 * 3600);

    #[test]
    fn beyond_the_rate_a_source_becomes_one_record_per_minute() {
        let mut strangers = small();
        let admitted: Vec<_> = (0..5).map(|s| strangers.admit(ip("192.0.2.1"), NOON.plus_secs(s))).collect();
        assert_eq!(admitted, [Admit::Single, Admit::Single, Admit::Counted, Admit::Counted, Admit::Counted]);
        assert_eq!(strangers.drain(NOON.plus_secs(59)), []);

        let drained = strangers.drain(NOON.plus_secs(60));
        assert_eq!(drained.len(), 1);
        assert_eq!(drained[0].source.as_deref(), Some("192.0.2.1"));
        assert_eq!((drained[0].minute, drained[0].count), (NOON, 3));
        assert_eq!((drained[0].first, drained[0].last), (NOON.plus_secs(2), NOON.plus_secs(4)));
        assert_eq!(strangers.drain(NOON.plus_secs(61)), []);
        assert_eq!(strangers.admit(ip("192.0.2.1"), NOON.plus_secs(62)), Admit::Single);
    }

    #[test]
    fn a_slash_64_is_one_source_and_so_is_a_mapped_address() {
        let mut strangers = small();
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"] {
            strangers.admit(ip(host), NOON);
        }
        let mut sources: Vec<_> = strangers.finish().into_iter().map(|a| (a.source.unwrap(), a.count)).collect();
        sources.sort();
        assert_eq!(sources, [("192.0.2.1".to_owned(), 1), ("2001:db8::/64".to_owned(), 1)]);
    }

    #[test]
    fn sources_beyond_the_limit_share_one_count() {
        let mut strangers = small();
        for last in 1..=9 {
            strangers.admit(ip(&format!("192.0.2.{last}")), NOON);
        }
        let drained = strangers.finish();
        assert_eq!(drained.len(), 1);
        assert_eq!((drained[0].source.as_deref(), drained[0].count), (None, 7));
    }

    #[test]
    fn with_space_short_nothing_is_single() {
        let mut strangers = small();
        strangers.count(ip("192.0.2.1"), NOON);
        assert_eq!(strangers.finish()[0].count, 1);
    }

    proptest! {
        /// Every request is accounted for exactly once, and what is written is bounded, whatever comes.
        #[test]
        fn nothing_is_lost_and_the_written_is_bounded(steps in prop::collection::vec((0u8..6, 0i64..40), 0..300)) {
            let mut strangers = small();
            let (mut now, mut singles, mut counted, mut minutes) = (NOON, 0u64, 0u64, 1u64);
            let requests = steps.len() as u64;
            for (host, wait) in steps {
                let before = now.0 / MINUTE_US;
                now = now.plus_secs(wait);
                minutes += u64::from(now.0 / MINUTE_US != before);
                if strangers.admit(ip(&format!("192.0.2.{host}")), now) == Admit::Single { singles += 1; }
                counted += strangers.drain(now).iter().map(|a| a.count).sum::<u64>();
            }
            counted += strangers.finish().iter().map(|a| a.count).sum::<u64>();
            prop_assert_eq!(singles + counted, requests);
            prop_assert!(singles <= minutes * 4);
        }
    }
}
