//! Rules for passwords, and hashing them without letting anybody take all of the machine for it.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::error::blocking;
use crate::{IdentityError, Person};

/// Characters a password needs on its own, and beside a second factor (厚労省 guideline 6.0, シス14).
const LONG: usize = 13;
const SHORT: usize = 8;
/// Far more than anybody types (NIST SP 800-63B asks for 64 or more to be taken).
const LONGEST_BYTES: usize = 1_024;

/// Why a password won't do. Never holds the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// `needed`: 13, or 8 beside a second factor.
    #[error("is too short; it needs {needed} characters")]
    TooShort { needed: usize },
    #[error("is longer than 1024 bytes")]
    TooLong,
    #[error("holds a control character")]
    ControlCharacter,
    #[error("is made of the person's own ID, name or mail address")]
    LikeThePerson,
    #[error("is one that people try first; take words that have nothing to do with each other")]
    Common,
}

/// What others try first, as far as length leaves it. Compared without digits and signs around, and repeated.
const COMMON: &str = "\
    password passw passwd pasuwado pass qwerty qwertyuiop qwertyuiopasdfghjkl asdfgh asdfghjkl zxcvbn \
    zxcvbnm qazwsx qazwsxedc abc abcd abcde abcdef abcdefg abcdefgh abcdefghijklm abcdefghijklmn admin \
    administrator root user guest test login welcome letmein iloveyou sunshine princess football baseball \
    dragon monkey master superman secret changeme default sakura nihon japan tokyo osaka kaigo kango \
    byouin clinic hospital nurse staff shokuin care kaipoke kintone codmon sekisho arigatou konnichiwa \
    ohayou doraemon pikachu パスワード ぱすわーど";

pub(super) fn is_long(password: &str) -> bool {
    password.chars().count() >= LONG
}

pub(super) fn check(password: &str, person: &Person, second_factor: bool) -> Result<(), PasswordProblem> {
    let needed = if second_factor { SHORT } else { LONG };
    if password.chars().count() < needed {
        return Err(PasswordProblem::TooShort { needed });
    }
    if password.len() > LONGEST_BYTES {
        return Err(PasswordProblem::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordProblem::ControlCharacter);
    }
    let core = core(password);
    let own = [Some(person.id.as_str()), Some(&person.name), person.kana.as_deref(), person.mail.as_deref()];
    let mail = person.mail.as_deref().and_then(|m| m.split_once('@')).map(|(local, _)| local);
    let words = person.name.split_whitespace().chain(person.kana.iter().flat_map(|k| k.split_whitespace()));
    let own: Vec<_> = own.into_iter().flatten().chain(mail).chain(words).map(self::core).collect();
    if own.iter().any(|own| repeats(&core, own)) {
        return Err(PasswordProblem::LikeThePerson);
    }
    let mut distinct: Vec<char> = password.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    // Nothing but digits and signs is a date or a number on some paper.
    if core.is_empty() || distinct.len() < 5 || COMMON.split_whitespace().any(|word| repeats(&core, word)) {
        return Err(PasswordProblem::Common);
    }
    Ok(())
}

/// Letters and digits in lower case, without digits at either end: `Sato.2026!` is `sato`.
fn core(text: &str) -> String {
    let whole: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    whole.trim_matches(char::is_numeric).to_owned()
}

/// Whether `text` is `word`, once or several times over.
fn repeats(text: &str, word: &str) -> bool {
    !word.is_empty() && !text.is_empty() && text.split(word).all(str::is_empty)
}

/// OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane. About 25 ms.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What is checked when nobody has the ID, so that it takes as long. No password has this hash: it was made up.
pub(super) const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn argon2() -> Result<Argon2<'static>, IdentityError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| IdentityError::Hash)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Tries that may wait in a lane. One more is told to come back.
const QUEUE: usize = 64;

/// Hashes passwords in two lanes, so that strangers who try passwords don't hold up people who come from where
/// they always come from.
pub(super) struct Hasher {
    known: Lane,
    others: Lane,
}

struct Lane {
    queue: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new(at_once: usize) -> Self {
        let lane = || Lane {
            queue: Arc::new(Semaphore::new(QUEUE)),
            running: Arc::new(Semaphore::new(at_once.clamp(1, 1_024))),
        };
        Self { known: lane(), others: lane() }
    }

    /// Whether the password is the hash's, or `None` if too many are waiting. `slow` is waited for first.
    pub(super) async fn verify(
        &self,
        known: bool,
        slow: Duration,
        password: &str,
        hash: &str,
    ) -> Result<Option<bool>, IdentityError> {
        let lane = if known { &self.known } else { &self.others };
        let Ok(_place) = Arc::clone(&lane.queue).try_acquire_owned() else { return Ok(None) };
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        // One that is too long was never set. It takes the same time to say so.
        let (password, hash) = if password.len() > LONGEST_BYTES { ("", NOBODYS) } else { (password, hash) };
        let (password, hash) = (Zeroizing::new(password.to_owned()), hash.to_owned());
        lane.run(move || {
            let hash = PasswordHash::new(&hash).map_err(|e| IdentityError::row("a password's hash", &e))?;
            Ok(argon2()?.verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
        .map(Some)
    }

    /// A new PHC string with a salt of its own.
    pub(super) async fn hash(&self, password: &str) -> Result<String, IdentityError> {
        let password = Zeroizing::new(password.to_owned());
        self.work(move || match argon2()?.hash_password(password.as_bytes()) {
            Ok(hash) => Ok(hash.to_string()),
            Err(_) => Err(IdentityError::Hash),
        })
        .await
    }

    /// Other hashing, for somebody who is signed in or an operator.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T, IdentityError> {
        self.known.run(work).await
    }

    /// Other hashing for somebody who signs in, or `None` if too many are waiting.
    pub(super) async fn work_in_lane<T: Send + 'static>(
        &self,
        known: bool,
        work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<Option<T>, IdentityError> {
        let lane = if known { &self.known } else { &self.others };
        let Ok(_place) = Arc::clone(&lane.queue).try_acquire_owned() else { return Ok(None) };
        lane.run(work).await.map(Some)
    }
}

impl Lane {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(|_| IdentityError::Stopped)?;
        // The permit goes with the work: who hangs up doesn't free it before the hashing is over.
        blocking(move || {
            let _permit: OwnedSemaphorePermit = permit;
            work()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sato() -> Person {
        let mut person = Person::new("sato.hanako".parse().unwrap(), "佐藤 花子");
        person.kana = Some("さとう はなこ".into());
        person.mail = Some("hanako-sato@sakura-kai.example".into());
        person
    }

    #[test]
    fn thirteen_characters_or_eight_beside_a_second_factor() {
        let too_short = |needed| Err(PasswordProblem::TooShort { needed });
        assert_eq!(check("tsukue-kaban", &sato(), false), too_short(13));
        assert_eq!(check("tsukue-kabann", &sato(), false), Ok(()));
        assert_eq!(check("tsukuek", &sato(), true), too_short(8));
        assert_eq!(check("tsukueka", &sato(), true), Ok(()));
        // Characters, not bytes.
        assert_eq!(check("つくえかばんえんぴつ", &sato(), false), too_short(13));
        assert_eq!(check("つくえかばんえんぴつのいろ", &sato(), false), Ok(()));
    }

    #[test]
    fn the_person_is_no_password() {
        for own in [
            "Sato.Hanako!2026",
            "sato.hanakosato.hanako",
            "さとうはなこさとうはなこさとうはなこ",
            "12hanako-SATO34567",
            "hanako-sato@sakura-kai.example",
        ] {
            assert_eq!(check(own, &sato(), false), Err(PasswordProblem::LikeThePerson), "{own}");
        }
    }

    #[test]
    fn what_others_try_first_is_no_password() {
        for common in ["Password-12345", "passwordpassword", "1234567890123", "2026-11-01 09:00", "aaaaaaaaaaaaab"] {
            assert_eq!(check(common, &sato(), false), Err(PasswordProblem::Common), "{common}");
        }
    }

    #[test]
    fn what_cannot_be_typed_is_no_password() {
        assert_eq!(check("tsukue-kaban\u{0}-enpitsu", &sato(), false), Err(PasswordProblem::ControlCharacter));
        assert_eq!(check(&"tsukue-kaban".repeat(100), &sato(), false), Err(PasswordProblem::TooLong));
    }

    /// Otherwise the answer for an unknown ID would come at another time than for a wrong password.
    #[tokio::test]
    async fn nobodys_hash_costs_as_much_as_a_new_one() -> Result<(), IdentityError> {
        let hasher = Hasher::new(1);
        let hash = hasher.hash("tsukue-kabann").await?;
        let of = |text: &str| {
            PasswordHash::new(text).map(|h| (h.algorithm, h.version, h.params.clone(), h.hash.map(|o| o.len())))
        };
        assert_eq!(of(&hash).unwrap(), of(NOBODYS).unwrap());
        assert_eq!(hasher.verify(false, Duration::ZERO, "tsukue-kabann", &hash).await?, Some(true));
        assert_eq!(hasher.verify(false, Duration::ZERO, "tsukue-kaban", &hash).await?, Some(false));
        assert_eq!(hasher.verify(false, Duration::ZERO, "", NOBODYS).await?, Some(false));
        Ok(())
    }

    /// The others' lane is full to the brim; a known person is served all the same.
    #[tokio::test]
    async fn strangers_queue_by_themselves_and_not_without_end() -> Result<(), IdentityError> {
        let hasher = Hasher::new(1);
        let _running = Arc::clone(&hasher.others.running).acquire_owned().await.unwrap();
        let _queue = Arc::clone(&hasher.others.queue).acquire_many_owned(QUEUE as u32).await.unwrap();
        assert_eq!(hasher.verify(false, Duration::ZERO, "x", NOBODYS).await?, None);
        assert_eq!(hasher.verify(true, Duration::ZERO, "x", NOBODYS).await?, Some(false));
        Ok(())
    }
}
