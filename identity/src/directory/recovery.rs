//! Recovery codes: ten, each good once, in place of the second factor when the phone is lost or broken.
//!
//! A code is 12 characters of Crockford's base 32 in groups of four, 60 random bits. That is far too many to be
//! guessed online, where codes are throttled like one-time codes, but within reach of who steals the database and has
//! fast hashing hardware: so they are kept as argon2id like passwords. All of a person's share one salt, so that a
//! try costs one hash and not ten.

use std::fmt;
use std::sync::Arc;

use vocabulary::PersonId;
use zeroize::Zeroizing;

use super::factor_rows::{self, RecoverySet};
use super::throttle::Admission;
use super::{Answer, BUSY, Directory, Verdict, Who, password};
use crate::error::blocking;
use crate::{IdentityError, secret};

/// How many are made at once.
const CODES: usize = 10;
const CHARS: usize = 12;
/// Without I, L, O and U, which are read as something else; I and L typed are taken for 1, O for 0.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// New codes, to be shown once: `7KQF-9M2X-HT4R`. `Debug` shows none.
#[derive(Clone)]
pub struct RecoveryCodes(pub Vec<Zeroizing<String>>);

/// A code that was right and is not used up yet.
pub struct RightCode {
    pub person: PersonId,
    /// How many will be left once it is spent.
    pub left: usize,
    hash: [u8; 32],
}

/// What came of a recovery code.
#[derive(Debug)]
pub enum Recovery {
    /// Record it, then [`Directory::spend_recovery_code`].
    Right(RightCode),
    /// As [`Verdict::Wrong`], [`Verdict::Expired`], [`Verdict::Throttled`].
    Not(Verdict),
}

impl Directory {
    /// Makes ten codes in place of those there were.
    ///
    /// # Errors
    /// The person has no second factor that they could stand in for, or the state database fails.
    pub async fn make_recovery_codes(&self, person: &PersonId) -> Result<RecoveryCodes, IdentityError> {
        if !self.factors(person).second() {
            return Err(IdentityError::NoSecondFactor(person.clone()));
        }
        let codes: Vec<_> = (0..CODES).map(|_| new_code()).collect::<Result<_, _>>()?;
        let salt: [u8; 16] = secret::random()?;
        let typed = codes.clone();
        let hashes = move || typed.iter().map(|code| hash(code, &salt)).collect::<Result<Vec<_>, _>>();
        let hashes = self.0.hasher.work(hashes).await?;
        let (directory, person) = (self.clone(), person.clone());
        blocking(move || {
            let inner = &directory.0;
            let _one_at_a_time = inner.one_at_a_time();
            if !directory.factors(&person).second() {
                return Err(IdentityError::NoSecondFactor(person));
            }
            let set = RecoverySet { salt, hashes };
            inner.store.transaction(|tx| factor_rows::save_recovery(tx, &person, &set))?;
            inner.recovery.pin().insert(person, Arc::new(set));
            Ok(())
        })
        .await?;
        Ok(RecoveryCodes(codes.iter().map(|code| shown(code)).collect()))
    }

    /// Checks a recovery code in place of the second factor that [`Verdict::NeedSecondFactor`] asked for. It is not
    /// used up by that.
    ///
    /// # Errors
    /// The state database fails.
    pub async fn check_recovery_code(&self, answer: Answer<'_>) -> Result<Recovery, IdentityError> {
        let inner = &self.0;
        let Some(person) = inner.challenges.person(answer.challenge, answer.now) else {
            return Ok(Recovery::Not(Verdict::Expired));
        };
        let who = Who { name: person.as_str(), source: answer.source.into(), now: answer.now };
        let known = inner.is_known(&person, who.source, who.now);
        if let Admission::Wait(retry_after) = inner.throttle.admit_code(who.name, who.source, known, who.now) {
            return Ok(Recovery::Not(Verdict::Throttled { retry_after }));
        }
        let set = inner.recovery.pin().get(&person).cloned();
        if let (Some(code), Some(set)) = (read(answer.code), set) {
            let salt = set.salt;
            let Some(hash) = inner.hasher.work_in_lane(known, move || hash(&code, &salt)).await? else {
                return Ok(Recovery::Not(Verdict::Throttled { retry_after: BUSY }));
            };
            // Of hashes a comparison that stops early tells nothing.
            if set.hashes.contains(&hash) {
                let left = set.hashes.len() - 1;
                return Ok(Recovery::Right(RightCode { person, left, hash }));
            }
        }
        inner.challenges.missed(answer.challenge);
        Ok(Recovery::Not(Verdict::Wrong))
    }

    /// Uses the code up, and with it the challenge. False: another request was faster.
    ///
    /// # Errors
    /// The state database fails.
    pub async fn spend_recovery_code(&self, answer: Answer<'_>, code: RightCode) -> Result<bool, IdentityError> {
        let (directory, person) = (self.clone(), code.person.clone());
        let spent = blocking(move || {
            let inner = &directory.0;
            let _one_at_a_time = inner.one_at_a_time();
            let Some(set) = inner.recovery.pin().get(&person).cloned() else { return Ok(false) };
            let mut rest = RecoverySet::clone(&set);
            rest.hashes.retain(|hash| *hash != code.hash);
            if rest.hashes.len() == set.hashes.len() {
                return Ok(false);
            }
            inner.store.transaction(|tx| factor_rows::spend_recovery(tx, &person, &code.hash))?;
            inner.recovery.pin().insert(person, Arc::new(rest));
            Ok(true)
        })
        .await?;
        if spent {
            let who = Who { name: code.person.as_str(), source: answer.source.into(), now: answer.now };
            let known = self.0.is_known(&code.person, who.source, who.now);
            self.0.throttle.forgive_code(who.name, who.source, known);
            self.0.challenges.close(answer.challenge);
            self.signed_in(code.person.clone(), 2, &who).await?;
        }
        Ok(spent)
    }
}

fn new_code() -> Result<Zeroizing<String>, IdentityError> {
    let bytes = Zeroizing::new(secret::random::<CHARS>()?);
    Ok(Zeroizing::new(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()))
}

fn shown(code: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for (place, c) in code.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        text.push(c);
    }
    text
}

/// A code as people type it: with or without hyphens and spaces, in any case, full-width too.
fn read(typed: &str) -> Option<Zeroizing<String>> {
    let mut code = Zeroizing::new(String::new());
    for c in super::fold(typed).chars() {
        let c = match c.to_ascii_uppercase() {
            '-' | '‐' | '–' | '—' | '−' | 'ー' | '・' | '.' => continue,
            c if c.is_whitespace() => continue,
            'I' | 'L' => '1',
            'O' => '0',
            c => c,
        };
        if code.len() == CHARS || !u8::try_from(c).is_ok_and(|c| ALPHABET.contains(&c)) {
            return None;
        }
        code.push(c);
    }
    (code.len() == CHARS).then_some(code)
}

fn hash(code: &str, salt: &[u8; 16]) -> Result<[u8; 32], IdentityError> {
    let mut out = [0; 32];
    password::argon2()?.hash_password_into(code.as_bytes(), salt, &mut out).map_err(|_| IdentityError::Hash)?;
    Ok(out)
}

impl fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryCodes({})", self.0.len())
    }
}

impl fmt::Debug for RightCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RightCode").field("person", &self.person).field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_however_it_is_typed() -> Result<(), IdentityError> {
        let code = new_code()?;
        assert_eq!(shown(&code).len(), 14);
        assert_eq!(read(&shown(&code)).as_deref(), Some(&*code));
        assert_eq!(read(&shown(&code).to_lowercase().replace('-', " ")).as_deref(), Some(&*code));
        assert_eq!(read("７ｋqf ー9m2x-HT4R").unwrap().as_str(), "7KQF9M2XHT4R");
        assert_eq!(read("oilO-0000-1111").unwrap().as_str(), "011000001111");
        for wrong in ["", "7KQF-9M2X", "7KQF-9M2X-HT4R-7", "7KQF-9M2X-HT4U", "7KQF-9M2X-HT4あ", "123456"] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
        Ok(())
    }

    #[test]
    fn codes_differ_and_are_shown_by_nothing_but_themselves() -> Result<(), IdentityError> {
        let codes: std::collections::HashSet<_> =
            (0..1_000).map(|_| new_code().map(|code| code.to_string())).collect::<Result<_, _>>()?;
        assert_eq!(codes.len(), 1_000);
        assert_eq!(format!("{:?}", RecoveryCodes(vec![shown("7KQF9M2XHT4R")])), "RecoveryCodes(1)");
        Ok(())
    }
}
