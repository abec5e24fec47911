//! Nonces against replay (RFC 8555 §6.5). One is a time with random bytes and a MAC around both, so that handing them out
//! keeps nothing: only those that came back with a good signature are remembered, until they would be too old anyway.

use std::collections::{HashSet, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use vocabulary::Timestamp;

use crate::Result;
use crate::serial::random;

/// Seconds. A client takes one from each reply to the next request, and a longer pause costs it one `badNonce`.
const LIFE: i64 = 900;
/// Each costs its sender a signature and us the check of it: more in a quarter of an hour is no enrolment.
const MOST: usize = 50_000;

pub(crate) struct Nonces {
    key: hmac::Key,
    used: HashSet<[u8; LENGTH]>,
    /// The same, the oldest first.
    order: VecDeque<([u8; LENGTH], Timestamp)>,
}

/// Eight bytes of time and sixteen of chance.
const LENGTH: usize = 24;

impl Nonces {
    pub(crate) fn new() -> Result<Self> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()?);
        Ok(Self { key, used: HashSet::new(), order: VecDeque::new() })
    }

    pub(crate) fn issue(&self, now: Timestamp) -> Result<String> {
        let mut bytes = Vec::from(now.secs().to_be_bytes());
        bytes.extend(random::<16>()?);
        let tag = hmac::sign(&self.key, &bytes);
        bytes.extend(tag.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads one that may be used. It still can be, until [`spend`](Self::spend) takes it.
    pub(crate) fn check(&self, nonce: &str, now: Timestamp) -> Option<Nonce> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (content, tag) = bytes.split_first_chunk::<LENGTH>()?;
        hmac::verify(&self.key, content, tag).ok()?;
        let issued = Timestamp::from_secs(i64::from_be_bytes(*content.first_chunk()?));
        let fresh = (0..=LIFE).contains(&now.secs_since(issued)) && !self.used.contains(content);
        fresh.then_some(Nonce(*content))
    }

    /// False if there are too many to remember one more.
    pub(crate) fn spend(&mut self, Nonce(nonce): Nonce, now: Timestamp) -> bool {
        // Used no earlier than it was issued: when it is forgotten, it has been too old for long.
        while self.order.front().is_some_and(|(_, used)| now.secs_since(*used) > LIFE) {
            if let Some((old, _)) = self.order.pop_front() {
                self.used.remove(&old);
            }
        }
        if self.order.len() >= MOST {
            return false;
        }
        self.order.push_back((nonce, now));
        self.used.insert(nonce)
    }
}

/// One of ours, not too old and not used.
pub(crate) struct Nonce([u8; LENGTH]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_and_for_a_while() {
        let now = Timestamp::from_secs(1_793_491_200);
        let mut nonces = Nonces::new().unwrap();
        let nonce = nonces.issue(now).unwrap();
        assert_ne!(nonce, nonces.issue(now).unwrap());
        assert!(nonces.check(&nonce, now.plus_secs(LIFE + 1)).is_none(), "too old");
        assert!(nonces.check(&nonce, now.plus_secs(-1)).is_none(), "from the future");
        assert!(Nonces::new().unwrap().check(&nonce, now).is_none(), "another server's");
        assert!(nonces.check("", now).is_none() && nonces.check(&nonce[1..], now).is_none());
        let taken = nonces.check(&nonce, now).unwrap();
        assert!(nonces.spend(taken, now));
        assert!(nonces.check(&nonce, now).is_none(), "used");
        let other = nonces.check(&nonces.issue(now.plus_secs(2 * LIFE)).unwrap(), now.plus_secs(2 * LIFE)).unwrap();
        assert!(nonces.spend(other, now.plus_secs(2 * LIFE)));
        assert_eq!(nonces.used.len(), 1, "the old one is forgotten");
        assert!(nonces.check(&nonce, now.plus_secs(2 * LIFE)).is_none(), "and too old all the same");
    }
}
