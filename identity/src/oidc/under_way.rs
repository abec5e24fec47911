//! Who is on the way to a provider, and which logout tokens came before. In memory and bounded: a restart only means
//! that who is on the way starts again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vocabulary::Timestamp;

use super::OidcCause;
use crate::secret::{self, Digest, Token};
use crate::source::Source;

/// Seconds somebody may take at the provider.
const SECS: i64 = 600;
/// At most so many on the way, a few hundred bytes each.
const MOST: usize = 10_000;
/// At most a tenth of them from one source.
const MOST_PER_SOURCE: usize = 1_000;
/// Logout tokens remembered. One that is forgotten may end the same sessions again, which have ended.
const MOST_TOKENS: usize = 10_000;

/// One on the way. What it holds is secret but for the provider's id.
#[derive(Clone)]
pub(super) struct Traveller {
    pub(super) provider: String,
    pub(super) nonce: String,
    pub(super) pkce: String,
    pub(super) handle: Option<String>,
    pub(super) within: Option<i64>,
    /// Of what marks the browser.
    pub(super) browser: Digest,
    pub(super) source: Source,
}

/// All on the way. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    by_state: HashMap<Digest, (Timestamp, Traveller)>,
    /// In the order they set out; may name some that are back.
    order: VecDeque<Digest>,
}

impl UnderWay {
    /// The state that the traveller comes back with.
    pub(super) fn set_out(&self, traveller: Traveller, now: Timestamp) -> Result<Token, OidcCause> {
        let state = Token::random().map_err(|_| OidcCause::Random)?;
        let key = key(state.as_str()).ok_or(OidcCause::Random)?;
        let mut table = self.table();
        let of_source = table.by_state.values().filter(|(_, t)| t.source == traveller.source).count();
        let victim = match of_source {
            MOST_PER_SOURCE.. => {
                let same = |k: &&Digest| table.by_state.get(*k).is_some_and(|(_, t)| t.source == traveller.source);
                table.order.iter().find(same).copied()
            }
            _ => None,
        };
        if let Some(victim) = victim {
            table.by_state.remove(&victim);
        }
        while let Some(oldest) = table.order.front().copied() {
            let keep = table.by_state.get(&oldest).is_some_and(|(expires, _)| now < *expires);
            if keep && table.by_state.len() < MOST {
                break;
            }
            table.order.pop_front();
            table.by_state.remove(&oldest);
        }
        // Those that are back stay in the order until it is cleaned, now and then.
        if table.order.len() >= 2 * MOST {
            let Table { by_state, order } = &mut *table;
            order.retain(|key| by_state.contains_key(key));
        }
        table.order.push_back(key);
        table.by_state.insert(key, (now.plus_secs(SECS), traveller));
        Ok(state)
    }

    /// Takes one back, once: with this state, from this provider, in this browser. Another browser's attempt leaves
    /// it where it is, so that nobody can spoil somebody else's sign-in.
    pub(super) fn come_back(&self, state: &str, provider: &str, browser: &str, now: Timestamp) -> Option<Traveller> {
        // Without a mark every browser would be the same.
        let key = key(state).filter(|_| !browser.is_empty())?;
        let browser = browser_hash(browser);
        let mut table = self.table();
        let (expires, traveller) = table.by_state.get(&key)?;
        if traveller.browser != browser || traveller.provider != provider {
            return None;
        }
        let late = now >= *expires;
        let (_, traveller) = table.by_state.remove(&key)?;
        (!late).then_some(traveller)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn browser_hash(browser: &str) -> Digest {
    secret::digest("oidc browser", browser.as_bytes())
}

fn key(state: &str) -> Option<Digest> {
    Some(secret::digest("oidc state", &secret::parse(state)?))
}

/// Names (`jti`) of logout tokens that came, until they expire.
#[derive(Clone, Default)]
pub(crate) struct SeenTokens(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    until: HashMap<Digest, Timestamp>,
    order: VecDeque<Digest>,
}

impl SeenTokens {
    /// What the token asked for came to nothing; the provider may send it again.
    pub(super) fn forget(&self, issuer: &str, jti: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.until.remove(&secret::digest(issuer, jti.as_bytes()));
    }

    /// Whether it is the first time.
    pub(super) fn first(&self, issuer: &str, jti: &str, until: Timestamp, now: Timestamp) -> bool {
        let key = secret::digest(issuer, jti.as_bytes());
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.until.get(&key).is_some_and(|until| now < *until) {
            return false;
        }
        while seen.order.len() >= MOST_TOKENS
            || seen.order.front().is_some_and(|k| seen.until.get(k).is_none_or(|until| *until <= now))
        {
            let Some(oldest) = seen.order.pop_front() else { break };
            seen.until.remove(&oldest);
        }
        seen.order.push_back(key);
        seen.until.insert(key, until);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn traveller(browser: &str, source: [u8; 4]) -> Traveller {
        Traveller {
            provider: "google".into(),
            nonce: "n".into(),
            pkce: "p".into(),
            handle: None,
            within: None,
            browser: browser_hash(browser),
            source: IpAddr::from(source).into(),
        }
    }

    #[test]
    fn a_state_is_good_once_for_ten_minutes_in_one_browser_at_one_provider() {
        let under_way = UnderWay::default();
        let state = under_way.set_out(traveller("mine", [192, 0, 2, 1]), NOW).unwrap();
        let back = |browser, provider, secs| {
            under_way.come_back(state.as_str(), provider, browser, NOW.plus_secs(secs)).is_some()
        };
        assert!(!back("thief", "google", 1));
        assert!(!back("mine", "other", 1));
        assert!(back("mine", "google", SECS - 1));
        assert!(!back("mine", "google", SECS - 1), "good twice");
        let state = under_way.set_out(traveller("mine", [192, 0, 2, 1]), NOW).unwrap();
        assert!(under_way.come_back(state.as_str(), "google", "mine", NOW.plus_secs(SECS)).is_none());
        assert!(under_way.come_back("made-up", "google", "mine", NOW).is_none());
    }

    #[test]
    fn several_tabs_of_one_browser_each_come_back() {
        let under_way = UnderWay::default();
        let states: Vec<_> =
            (0..5).map(|_| under_way.set_out(traveller("mine", [192, 0, 2, 1]), NOW).unwrap()).collect();
        for state in states.iter().rev() {
            assert!(under_way.come_back(state.as_str(), "google", "mine", NOW).is_some());
        }
    }

    #[test]
    fn who_fills_the_table_only_pushes_out_their_own() {
        let under_way = UnderWay::default();
        let first = under_way.set_out(traveller("mine", [192, 0, 2, 1]), NOW).unwrap();
        for _ in 0..MOST_PER_SOURCE + 50 {
            under_way.set_out(traveller("flood", [198, 51, 100, 1]), NOW).unwrap();
        }
        assert_eq!(under_way.table().by_state.len(), MOST_PER_SOURCE + 1);
        assert!(under_way.come_back(first.as_str(), "google", "mine", NOW).is_some());
    }

    #[test]
    fn a_logout_token_is_seen_once_until_it_expires() {
        let seen = SeenTokens::default();
        assert!(seen.first("https://a", "1", NOW.plus_secs(60), NOW));
        assert!(!seen.first("https://a", "1", NOW.plus_secs(60), NOW.plus_secs(59)));
        assert!(seen.first("https://b", "1", NOW.plus_secs(60), NOW));
        assert!(seen.first("https://a", "1", NOW.plus_secs(120), NOW.plus_secs(60)));
        for n in 0..MOST_TOKENS + 10 {
            seen.first("https://c", &n.to_string(), NOW.plus_secs(9_999), NOW.plus_secs(61));
        }
        let table = seen.0.lock().unwrap();
        assert!(table.until.len() <= MOST_TOKENS && table.order.len() <= MOST_TOKENS);
    }
}
