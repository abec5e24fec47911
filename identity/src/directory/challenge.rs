//! People who have shown their password and are asked for a one-time code.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vocabulary::{PersonId, Timestamp};

use crate::IdentityError;
use crate::secret::{self, Digest, Token};

/// Seconds somebody may take to find the phone.
const SECS: i64 = 300;
/// Codes that may be wrong before the password is asked for again.
const TRIES: u8 = 5;
/// Only who knows a password gets one, so this is far more than a facility needs.
const MOST: usize = 1_000;

#[derive(Default)]
pub(super) struct Challenges(Mutex<Table>);

#[derive(Default)]
struct Table {
    open: HashMap<Digest, Challenge>,
    /// In the order asked; may name some that are closed.
    order: VecDeque<Digest>,
}

struct Challenge {
    person: PersonId,
    expires: Timestamp,
    tries: u8,
}

impl Challenges {
    pub(super) fn ask(&self, person: PersonId, now: Timestamp) -> Result<Token, IdentityError> {
        let token = Token::random()?;
        let Some(key) = key(token.as_str()) else { return Err(IdentityError::Random) };
        let mut table = self.table();
        while let Some(oldest) = table.order.front().copied() {
            let keep = table.open.get(&oldest).is_some_and(|c| now < c.expires) && table.order.len() < MOST;
            if keep {
                break;
            }
            table.order.pop_front();
            table.open.remove(&oldest);
        }
        table.order.push_back(key);
        table.open.insert(key, Challenge { person, expires: now.plus_secs(SECS), tries: TRIES });
        Ok(token)
    }

    /// Whose challenge it is, while it is open.
    pub(super) fn person(&self, token: &str, now: Timestamp) -> Option<PersonId> {
        let key = key(token)?;
        self.table().open.get(&key).filter(|c| now < c.expires).map(|c| c.person.clone())
    }

    /// A code or passkey was wrong.
    pub(super) fn missed(&self, token: &str) {
        let Some(key) = key(token) else { return };
        let mut table = self.table();
        if let Some(challenge) = table.open.get_mut(&key) {
            challenge.tries -= 1;
            if challenge.tries == 0 {
                table.open.remove(&key);
            }
        }
    }

    pub(super) fn close(&self, token: &str) {
        if let Some(key) = key(token) {
            self.table().open.remove(&key);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(token: &str) -> Option<Digest> {
    Some(secret::digest("challenge", &secret::parse(token)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn sato() -> PersonId {
        PersonId::new("sato").unwrap()
    }

    #[test]
    fn a_challenge_ends_with_its_time_its_tries_or_its_answer() {
        let challenges = Challenges::default();
        let token = challenges.ask(sato(), NOW).unwrap();
        assert_eq!(challenges.person(token.as_str(), NOW.plus_secs(SECS - 1)), Some(sato()));
        assert_eq!(challenges.person(token.as_str(), NOW.plus_secs(SECS)), None);
        for _ in 0..TRIES {
            assert!(challenges.person(token.as_str(), NOW).is_some());
            challenges.missed(token.as_str());
        }
        assert_eq!(challenges.person(token.as_str(), NOW), None);
        challenges.missed(token.as_str());

        let token = challenges.ask(sato(), NOW).unwrap();
        challenges.close(token.as_str());
        assert_eq!(challenges.person(token.as_str(), NOW), None);
    }

    #[test]
    fn there_are_never_more_than_the_bound_and_the_newest_stay() {
        let challenges = Challenges::default();
        let first = challenges.ask(sato(), NOW).unwrap();
        let mut last = None;
        for _ in 0..MOST {
            last = Some(challenges.ask(sato(), NOW).unwrap());
        }
        assert_eq!(challenges.table().open.len(), MOST);
        assert_eq!(challenges.table().order.len(), MOST);
        assert!(challenges.person(first.as_str(), NOW).is_none());
        assert!(challenges.person(last.unwrap().as_str(), NOW).is_some());
    }
}
