//! Questions put to somebody's passkey that are not answered yet: what a WebAuthn ceremony needs to be finished.
//!
//! Each is kept on the server, answered once, for five minutes, and only by the browser it was put to (the digest of
//! its form cookie): an answer that somebody else's browser brings is worth nothing (no login CSRF). A browser has
//! one question open at a time, since it shows one dialog at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vocabulary::{PersonId, Timestamp};
use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyAuthentication, PasskeyRegistration};

use crate::IdentityError;
use crate::secret::{self, Digest, Token};

/// Seconds somebody may take: the time that WebAuthn Level 3 recommends with user verification.
const SECS: i64 = 300;
/// The oldest is forgotten beyond that. Who asks without a password is limited per source before.
const MOST: usize = 4_096;

/// What is being asked.
pub(super) enum Question {
    Register(PersonId, Box<PasskeyRegistration>),
    /// After the password.
    SecondFactor(PersonId, Box<PasskeyAuthentication>),
    /// Whoever the passkey says.
    Anybody(Box<DiscoverableAuthentication>),
}

#[derive(Default)]
pub(super) struct Ceremonies(Mutex<Table>);

#[derive(Default)]
struct Table {
    open: HashMap<Digest, Open>,
    of_browser: HashMap<Digest, Digest>,
    /// In the order asked; may name some that are closed.
    order: VecDeque<Digest>,
}

struct Open {
    question: Question,
    browser: Digest,
    expires: Timestamp,
}

impl Ceremonies {
    /// `browser`: a value of a cookie that only this browser has.
    pub(super) fn ask(&self, question: Question, browser: &str, now: Timestamp) -> Result<Token, IdentityError> {
        let token = Token::random()?;
        let Some(key) = key(token.as_str()) else { return Err(IdentityError::Random) };
        let browser = secret::digest("passkey browser", browser.as_bytes());
        let mut table = self.table();
        while let Some(oldest) = table.order.front().copied() {
            let keep = table.open.get(&oldest).is_some_and(|open| now < open.expires) && table.order.len() < MOST;
            if keep {
                break;
            }
            table.order.pop_front();
            table.close(&oldest);
        }
        if let Some(earlier) = table.of_browser.insert(browser, key) {
            table.open.remove(&earlier);
        }
        table.order.push_back(key);
        table.open.insert(key, Open { question, browser, expires: now.plus_secs(SECS) });
        Ok(token)
    }

    /// The question, which is closed by this whoever asks.
    pub(super) fn take(&self, token: &str, browser: &str, now: Timestamp) -> Option<Question> {
        let open = self.table().close(&key(token)?)?;
        let same = open.browser == secret::digest("passkey browser", browser.as_bytes());
        (same && now < open.expires).then_some(open.question)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn close(&mut self, key: &Digest) -> Option<Open> {
        let open = self.open.remove(key)?;
        if self.of_browser.get(&open.browser) == Some(key) {
            self.of_browser.remove(&open.browser);
        }
        Some(open)
    }
}

fn key(token: &str) -> Option<Digest> {
    Some(secret::digest("passkey ceremony", &secret::parse(token)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RelyingParty;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn question() -> Question {
        let rp = RelyingParty::new("login.gw.example", "https://login.gw.example", "Sekisho").unwrap();
        Question::Anybody(Box::new(rp.0.start_discoverable_authentication().unwrap().1))
    }

    #[test]
    fn a_question_is_answered_once_in_time_by_the_browser_it_was_put_to() {
        let ceremonies = Ceremonies::default();
        let ask = || ceremonies.ask(question(), "a browser", NOW).unwrap();
        let token = ask();
        assert!(ceremonies.take(token.as_str(), "a browser", NOW.plus_secs(SECS - 1)).is_some());
        assert!(ceremonies.take(token.as_str(), "a browser", NOW).is_none(), "twice");
        assert!(ceremonies.take(ask().as_str(), "a browser", NOW.plus_secs(SECS)).is_none(), "too late");
        let token = ask();
        assert!(ceremonies.take(token.as_str(), "another browser", NOW).is_none());
        assert!(ceremonies.take(token.as_str(), "a browser", NOW).is_none(), "after another browser had tried");
        let (first, second) = (ask(), ask());
        assert!(ceremonies.take(first.as_str(), "a browser", NOW).is_none(), "only the newest of a browser");
        assert!(ceremonies.take(second.as_str(), "a browser", NOW).is_some());
        assert!(ceremonies.table().of_browser.is_empty() && ceremonies.table().open.is_empty());
    }

    #[test]
    fn there_are_never_more_than_the_bound_and_the_newest_stay() {
        let ceremonies = Ceremonies::default();
        let ask = |n: usize| ceremonies.ask(question(), &format!("browser {n}"), NOW).unwrap();
        let first = ask(0);
        let mut last = ask(1);
        for n in 2..=MOST {
            last = ask(n);
        }
        assert_eq!(ceremonies.table().open.len(), MOST);
        assert_eq!(ceremonies.table().order.len(), MOST);
        assert_eq!(ceremonies.table().of_browser.len(), MOST);
        assert!(ceremonies.take(first.as_str(), "browser 0", NOW).is_none());
        assert!(ceremonies.take(last.as_str(), &format!("browser {MOST}"), NOW).is_some());
    }
}
