//! The way of a browser through the hosts whose data are cleared when people change.
//!
//! `Clear-Site-Data` acts on the origin that sends it, so the browser is led through each host where the session had
//! a token, one step each. A step is good once, for its host, for a minute: no page can make a browser forget a SaaS
//! by linking there. Nobody is signed in on the way, and nothing of the next person is there yet: what a browser
//! clears on one host may reach its neighbours (Clear-Site-Data, 3.1: cookies of the whole registrable domain; so does
//! Chromium, while WebKit keeps to the host).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use vocabulary::{PersonId, Timestamp};

use crate::IdentityError;
use crate::secret::{self, Digest, Token};

/// At most this many hosts are visited: each costs the next person a round trip.
const MOST_HOSTS: usize = 16;
/// At most this many browsers are on their way.
const MOST: usize = 2_000;
const SECS: i64 = 60;

/// All of them. Clones share the table.
#[derive(Clone, Default)]
pub struct Clearings(Arc<Mutex<HashMap<Digest, Entry>>>);

struct Entry {
    person: PersonId,
    host: String,
    rest: Vec<String>,
    end: String,
    expires: Timestamp,
}

/// Where the browser goes next.
pub enum Clearing {
    /// To this host, with this handle.
    Next { host: String, handle: Token },
    /// All hosts are done; to this address.
    End(String),
}

impl Clearings {
    /// Begins: the first step. `end` is where the way leads to, a whole address of ours.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn begin(
        &self,
        person: &PersonId,
        mut hosts: Vec<String>,
        end: String,
        now: Timestamp,
    ) -> Result<Clearing, IdentityError> {
        hosts.truncate(MOST_HOSTS);
        self.next(person.clone(), hosts, end, now)
    }

    /// Takes a step: `host` is to be cleared now. None if the handle is not good here, or the data there are not of
    /// the person who began: `is_theirs` knows. Else somebody could make a colleague's browser forget by a link.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn step(
        &self,
        handle: &str,
        host: &str,
        is_theirs: impl FnOnce(&PersonId) -> bool,
        now: Timestamp,
    ) -> Result<Option<Clearing>, IdentityError> {
        let Some(bytes) = secret::parse(handle) else { return Ok(None) };
        let key = secret::digest("clearing", &bytes);
        let entry = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        match entry.filter(|entry| now < entry.expires && entry.host == host && is_theirs(&entry.person)) {
            Some(entry) => self.next(entry.person, entry.rest, entry.end, now).map(Some),
            None => Ok(None),
        }
    }

    fn next(
        &self,
        person: PersonId,
        mut hosts: Vec<String>,
        end: String,
        now: Timestamp,
    ) -> Result<Clearing, IdentityError> {
        if hosts.is_empty() {
            return Ok(Clearing::End(end));
        }
        let host = hosts.remove(0);
        let handle = Token::random()?;
        let key = secret::digest("clearing", &secret::parse(handle.as_str()).unwrap_or_default());
        let entry = Entry { person, host: host.clone(), rest: hosts, end, expires: now.plus_secs(SECS) };
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MOST {
            table.retain(|_, entry| now < entry.expires);
        }
        // Only who is signed in begins a way, so this is far off; what is lost is a step, not safety: the next
        // person's sign-in clears again.
        if table.len() < MOST {
            table.insert(key, entry);
        }
        Ok(Clearing::Next { host, handle })
    }
}

impl fmt::Debug for Clearings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clearings(…)")
    }
}

impl fmt::Debug for Clearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clearing(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);

    fn sato() -> PersonId {
        "sato".parse().unwrap()
    }

    fn next(clearing: Clearing) -> (String, Token) {
        match clearing {
            Clearing::Next { host, handle } => (host, handle),
            Clearing::End(end) => panic!("ended at {end}"),
        }
    }

    #[test]
    fn each_host_is_visited_once_and_in_its_turn() -> Result<(), IdentityError> {
        let clearings = Clearings::default();
        let (host, first) = next(clearings.begin(&sato(), vec!["a".into(), "b".into()], "https://end/".into(), NOW)?);
        assert_eq!(host, "a");
        assert!(clearings.step("nonsense", "a", |_| true, NOW)?.is_none());
        let (host, second) = next(clearings.step(first.as_str(), "a", |_| true, NOW)?.unwrap());
        assert_eq!(host, "b");
        assert!(clearings.step(first.as_str(), "a", |_| true, NOW)?.is_none(), "a step was good twice");
        assert!(
            matches!(clearings.step(second.as_str(), "b", |_| true, NOW)?, Some(Clearing::End(end)) if end == "https://end/")
        );
        Ok(())
    }

    #[test]
    fn a_step_is_for_its_host_and_for_a_minute_and_hosts_are_bounded() -> Result<(), IdentityError> {
        let clearings = Clearings::default();
        let (_, handle) = next(clearings.begin(&sato(), vec!["a".into()], String::new(), NOW)?);
        assert!(clearings.step(handle.as_str(), "b", |_| true, NOW)?.is_none());
        let (_, handle) = next(clearings.begin(&sato(), vec!["a".into()], String::new(), NOW)?);
        assert!(clearings.step(handle.as_str(), "a", |_| true, NOW.plus_secs(60))?.is_none());
        let (_, handle) = next(clearings.begin(&sato(), vec!["a".into()], String::new(), NOW)?);
        let others = |person: &PersonId| person.as_str() != "sato";
        assert!(clearings.step(handle.as_str(), "a", others, NOW)?.is_none(), "a colleague's data were cleared");
        let mut clearing = clearings.begin(&sato(), vec!["a".into(); 100], String::new(), NOW)?;
        let mut steps = 0;
        while let Clearing::Next { handle, .. } = clearing {
            clearing = clearings.step(handle.as_str(), "a", |_| true, NOW)?.unwrap();
            steps += 1;
        }
        assert_eq!(steps, 16);
        Ok(())
    }
}
