//! How often a password or a code may be tried.
//!
//! - Each person *and* source: a few tries are free, then each costs a wait that doubles.
//! - Each source, over all people: many are free (a facility shares one address), then waits grow.
//! - Each person, over all sources: nobody is refused, but answers come slower. A stranger can't lock anybody
//!   out, and a crowd of them gains little.
//! - One-time codes: only who knows the password gets to try those, so a person's are limited over all sources.
//!
//! Who has signed in from a source before is *known* there, and feels only what was tried there in their own
//! name. A try is counted before it is checked, so that many at once gain nothing; a good one is taken back.
//! What is counted drains away with time.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vocabulary::Timestamp;

use crate::source::Source;

/// Independent locks, so that sign-ins hardly ever meet.
const SHARDS: usize = 64;
/// Counters per shard: about 260,000 in all, 15 MB. Beyond that the ones that matter least are forgotten.
const MOST_PER_SHARD: usize = 4_096;

const SECOND: i64 = 1_000_000;

/// `free` tries cost nothing; each further one makes the next wait for `first`, doubling every `every` tries up to
/// `longest`.
/// One try is forgotten per `drain`. All times in microseconds.
struct Limit {
    free: u32,
    first: i64,
    every: u32,
    longest: i64,
    drain: i64,
}

const PAIR: Limit = Limit { free: 3, first: SECOND, every: 1, longest: 900 * SECOND, drain: 600 * SECOND };
/// Shorter: behind a facility's one address colleagues could otherwise lock each other out.
const KNOWN_PAIR: Limit = Limit { free: 5, first: SECOND, every: 1, longest: 60 * SECOND, drain: 120 * SECOND };
const SOURCE: Limit = Limit { free: 30, first: SECOND, every: 5, longest: 60 * SECOND, drain: 20 * SECOND };
/// Makes slower, refuses nobody.
const PERSON: Limit = Limit { free: 10, first: SECOND / 4, every: 5, longest: 4 * SECOND, drain: 60 * SECOND };
const CODE_PAIR: Limit = Limit { free: 5, first: SECOND, every: 1, longest: 900 * SECOND, drain: 600 * SECOND };
const CODE_PERSON: Limit = Limit { free: 10, first: 30 * SECOND, every: 1, longest: 900 * SECOND, drain: 600 * SECOND };

/// Whether a try may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Yes, after having waited for `slow`.
    Go {
        slow: Duration,
    },
    Wait(Duration),
}

#[derive(Hash)]
enum Key<'a> {
    Pair(&'a str, Source),
    Source(Source),
    Person(&'a str),
    CodePair(&'a str, Source),
    CodePerson(&'a str),
    /// Apart from wrong passwords: who fills that counter keeps nobody behind the same address from a passkey.
    Question(Source),
}

#[derive(Clone, Copy, Default)]
struct Counter {
    tries: u32,
    /// When the last try was counted or drained.
    since: i64,
    /// No try before.
    until: i64,
    /// When all of it will have drained.
    gone: i64,
}

pub(super) struct Throttle {
    shards: [Mutex<HashMap<u64, Counter>>; SHARDS],
    /// Keyed anew at each start, so that nobody can aim at somebody else's counter.
    hash: RandomState,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hash: RandomState::new() }
    }
}

impl Throttle {
    /// Counts a try with a password.
    pub(super) fn admit(&self, name: &str, source: Source, known: bool, now: Timestamp) -> Admission {
        if known {
            return match self.count(&Key::Pair(name, source), &KNOWN_PAIR, now) {
                Ok(_) => Admission::Go { slow: Duration::ZERO },
                Err(wait) => Admission::Wait(wait),
            };
        }
        // The source first: one that is refused must not make new counters by making up names.
        if let Err(wait) = self.count(&Key::Source(source), &SOURCE, now) {
            return Admission::Wait(wait);
        }
        if let Err(wait) = self.count(&Key::Pair(name, source), &PAIR, now) {
            self.take_back(&Key::Source(source));
            return Admission::Wait(wait);
        }
        Admission::Go { slow: self.slowed(&Key::Person(name), &PERSON, now) }
    }

    /// Counts a try with a one-time code.
    pub(super) fn admit_code(&self, name: &str, source: Source, known: bool, now: Timestamp) -> Admission {
        if let Err(wait) = self.count(&Key::CodePair(name, source), &CODE_PAIR, now) {
            return Admission::Wait(wait);
        }
        if !known && let Err(wait) = self.count(&Key::CodePerson(name), &CODE_PERSON, now) {
            self.take_back(&Key::CodePair(name, source));
            return Admission::Wait(wait);
        }
        Admission::Go { slow: Duration::ZERO }
    }

    /// Counts a question for anybody's passkey. There is nothing to guess, but each takes up memory and the
    /// processor's time.
    pub(super) fn admit_question(&self, source: Source, now: Timestamp) -> Admission {
        match self.count(&Key::Question(source), &SOURCE, now) {
            Ok(_) => Admission::Go { slow: Duration::ZERO },
            Err(wait) => Admission::Wait(wait),
        }
    }

    /// The passkey was good.
    pub(super) fn forgive_question(&self, source: Source) {
        self.take_back(&Key::Question(source));
    }

    /// The password was right. Only this try is taken back from the source and the person: one good account
    /// must not buy tries at others.
    pub(super) fn forgive(&self, name: &str, source: Source, known: bool) {
        self.clear(&Key::Pair(name, source));
        if !known {
            self.take_back(&Key::Source(source));
            self.take_back(&Key::Person(name));
        }
    }

    pub(super) fn forgive_code(&self, name: &str, source: Source, known: bool) {
        self.clear(&Key::CodePair(name, source));
        if !known {
            self.take_back(&Key::CodePerson(name));
        }
    }

    /// The try was not made after all.
    pub(super) fn refund(&self, name: &str, source: Source, known: bool) {
        self.take_back(&Key::Pair(name, source));
        if !known {
            self.take_back(&Key::Source(source));
            self.take_back(&Key::Person(name));
        }
    }

    /// Refused while an earlier try's wait lasts.
    fn count(&self, key: &Key<'_>, limit: &Limit, now: Timestamp) -> Result<(), Duration> {
        self.with(key, now, |counter| {
            // A known source may have become so since the wait was set: its own limit holds.
            let wait = counter.until.saturating_sub(now.0).min(limit.longest);
            if wait > 0 {
                return Err(micros(wait));
            }
            counter.until = now.0.saturating_add(counter.count(limit, now.0));
            Ok(())
        })
    }

    fn slowed(&self, key: &Key<'_>, limit: &Limit, now: Timestamp) -> Duration {
        micros(self.with(key, now, |counter| counter.count(limit, now.0)))
    }

    fn take_back(&self, key: &Key<'_>) {
        let (hash, mut shard) = self.shard(key);
        if let Some(counter) = shard.get_mut(&hash) {
            counter.tries = counter.tries.saturating_sub(1);
        }
    }

    fn clear(&self, key: &Key<'_>) {
        let (hash, mut shard) = self.shard(key);
        shard.remove(&hash);
    }

    fn with<T>(&self, key: &Key<'_>, now: Timestamp, work: impl FnOnce(&mut Counter) -> T) -> T {
        let (hash, mut shard) = self.shard(key);
        if shard.len() >= MOST_PER_SHARD && !shard.contains_key(&hash) {
            make_room(&mut shard, now.0);
        }
        work(shard.entry(hash).or_insert(Counter { since: now.0, ..Counter::default() }))
    }

    fn shard(&self, key: &Key<'_>) -> (u64, MutexGuard<'_, HashMap<u64, Counter>>) {
        let hash = self.hash.hash_one(key);
        let shard = &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)];
        (hash, shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Forgets what has drained; if that is not enough, the quarter that would drain first.
fn make_room(shard: &mut HashMap<u64, Counter>, now: i64) {
    shard.retain(|_, counter| counter.gone > now);
    let mut surplus = (shard.len() + MOST_PER_SHARD / 4).saturating_sub(MOST_PER_SHARD);
    let mut gone: Vec<i64> = shard.values().map(|counter| counter.gone).collect();
    if surplus == 0 || surplus >= gone.len() {
        return;
    }
    let (_, &mut last, _) = gone.select_nth_unstable(surplus);
    shard.retain(|_, counter| {
        let keep = counter.gone > last || surplus == 0;
        surplus -= usize::from(!keep);
        keep
    });
}

impl Counter {
    /// Counts one more try; how long the next has to wait.
    fn count(&mut self, limit: &Limit, now: i64) -> i64 {
        let drained = now.saturating_sub(self.since).max(0) / limit.drain;
        if drained >= i64::from(self.tries) {
            self.tries = 0;
            self.since = now;
        } else {
            self.tries -= u32::try_from(drained).unwrap_or(self.tries);
            self.since = self.since.saturating_add(drained * limit.drain);
        }
        self.tries = self.tries.saturating_add(1);
        self.gone = self.since.saturating_add(i64::from(self.tries).saturating_mul(limit.drain));
        limit.wait(self.tries)
    }
}

impl Limit {
    fn wait(&self, tries: u32) -> i64 {
        let Some(over) = tries.checked_sub(self.free + 1) else { return 0 };
        // Thirty doublings of a quarter of a second are far beyond any longest wait.
        let doublings = (over / self.every).min(30);
        (self.first << doublings).min(self.longest)
    }
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const GO: Admission = Admission::Go { slow: Duration::ZERO };

    fn source(n: u32) -> Source {
        Source::from(std::net::IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn waits_double_and_end() {
        let throttle = Throttle::default();
        let mut now = NOW;
        for _ in 0..4 {
            assert_eq!(throttle.admit("sato", source(1), false, now), GO);
        }
        for wait in [1, 2, 4, 8, 16] {
            assert_eq!(throttle.admit("sato", source(1), false, now), Admission::Wait(Duration::from_secs(wait)));
            now = now.plus_secs(i64::try_from(wait).unwrap());
            assert!(matches!(throttle.admit("sato", source(1), false, now), Admission::Go { .. }));
        }
    }

    #[test]
    fn no_wait_is_longer_than_its_limit() {
        for limit in [PAIR, KNOWN_PAIR, SOURCE, PERSON, CODE_PAIR, CODE_PERSON] {
            assert_eq!(limit.wait(limit.free), 0);
            assert_eq!(limit.wait(limit.free + 1), limit.first);
            assert_eq!(limit.wait(u32::MAX), limit.longest);
        }
    }

    #[test]
    fn what_was_counted_drains_away() {
        let throttle = Throttle::default();
        for _ in 0..4 {
            assert_eq!(throttle.admit("sato", source(1), false, NOW), GO);
        }
        assert!(matches!(throttle.admit("sato", source(1), false, NOW), Admission::Wait(_)));
        // Four tries drain in four times ten minutes: then three are free again.
        let later = NOW.plus_secs(2_400);
        for _ in 0..4 {
            assert_eq!(throttle.admit("sato", source(1), false, later), GO);
        }
        assert!(matches!(throttle.admit("sato", source(1), false, later), Admission::Wait(_)));
    }

    #[test]
    fn a_source_that_tries_many_names_is_slowed_and_a_good_account_buys_it_nothing() {
        let throttle = Throttle::default();
        for n in 0..31 {
            assert_eq!(throttle.admit(&format!("p{n}"), source(1), false, NOW), GO);
            if n >= 20 {
                continue;
            }
            // Signs in with an account of its own between the tries.
            assert_eq!(throttle.admit("mallory", source(1), false, NOW), GO);
            throttle.forgive("mallory", source(1), false);
        }
        assert!(matches!(throttle.admit("another", source(1), false, NOW), Admission::Wait(_)));
        assert_eq!(throttle.admit("another", source(2), false, NOW), GO);
    }

    #[test]
    fn a_refused_source_makes_no_new_counters() {
        let throttle = Throttle::default();
        for n in 0..1_000 {
            throttle.admit(&format!("p{n}"), source(1), false, NOW);
        }
        let counters: usize = throttle.shards.iter().map(|s| s.lock().unwrap().len()).sum();
        assert!(counters < 100, "{counters}");
    }

    #[test]
    fn a_crowd_trying_one_person_is_slowed_but_nobody_is_refused() {
        let throttle = Throttle::default();
        let mut slowest = Duration::ZERO;
        for n in 0..1_000 {
            match throttle.admit("sato", source(n), false, NOW) {
                Admission::Go { slow } => slowest = slowest.max(slow),
                wait @ Admission::Wait(_) => panic!("{wait:?}"),
            }
        }
        assert_eq!(slowest, Duration::from_secs(4));
    }

    #[test]
    fn codes_are_limited_over_all_sources_but_not_where_the_person_is_known() {
        let throttle = Throttle::default();
        let admitted = (0..100).filter(|n| throttle.admit_code("sato", source(*n), false, NOW) == GO).count();
        assert_eq!(admitted, 11);
        assert_eq!(throttle.admit_code("sato", source(1_000), true, NOW), GO);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let many = u32::try_from(SHARDS * MOST_PER_SHARD).unwrap();
        for n in 0..many {
            throttle.admit("sato", source(n), false, NOW);
        }
        assert!(throttle.shards.iter().all(|s| s.lock().unwrap().len() <= MOST_PER_SHARD));
    }

    proptest! {
        /// Whatever strangers do elsewhere, and whatever colleagues do beside in their own names, a known person
        /// gets through.
        #[test]
        fn no_stranger_locks_anybody_out(tries in prop::collection::vec((0u32..4, 0u32..20, any::<bool>(), 0i64..5), 0..400)) {
            let throttle = Throttle::default();
            let home = source(1_000);
            let mut now = NOW;
            for (name, from, code, secs) in tries {
                now = now.plus_secs(secs);
                // 0 is the person, who is tried from anywhere but home; the others also from there.
                let (name, from) = (["sato", "a", "b", "c"][name as usize], if name > 0 && from == 0 { home } else { source(from) });
                if code {
                    throttle.admit_code(name, from, false, now);
                } else {
                    throttle.admit(name, from, false, now);
                }
            }
            prop_assert_eq!(throttle.admit("sato", home, true, now), GO);
            prop_assert_eq!(throttle.admit_code("sato", home, true, now), GO);
        }

        /// A clock that jumps breaks nothing and never makes a wait longer than the longest.
        #[test]
        fn waits_are_bounded_whatever_the_clock_does(times in prop::collection::vec(any::<i64>(), 0..60)) {
            let throttle = Throttle::default();
            for time in times {
                if let Admission::Wait(wait) = throttle.admit("sato", source(1), false, Timestamp(time)) {
                    prop_assert!(wait <= Duration::from_secs(900));
                }
            }
        }
    }
}
