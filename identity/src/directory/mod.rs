//! The built-in directory: passwords and one-time codes, checked without telling a stranger anything.
//!
//! What people are refused for stands in `throttle.rs`, the rules for passwords in `password.rs`, one-time codes
//! in `totp.rs`, recovery codes in `recovery.rs`, passkeys in `passkey.rs`, changes to what people sign in with in
//! `change.rs`, the rows in `rows.rs` and `factor_rows.rs`.

mod ceremony;
mod challenge;
mod change;
mod factor_rows;
mod passkey;
mod password;
mod recovery;
mod rows;
mod throttle;
mod totp;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use store::Store;
use vocabulary::{PersonId, Timestamp};
use webauthn_rs::prelude::Uuid;

use crate::error::blocking;
use crate::secret::Token;
use crate::source::Source;
use crate::{IdentityError, Roster, Settings};
use ceremony::Ceremonies;
use challenge::Challenges;
use factor_rows::{Passkeys, RecoverySet};
use password::Hasher;
use rows::Credential;
use throttle::{Admission, Throttle};

pub use passkey::{NewPasskey, PasskeyAnswer, PasskeyQuestion, PasskeySummary, PasskeyVerdict, RelyingParty};
pub use password::PasswordProblem;
pub use recovery::{Recovery, RecoveryCodes, RightCode};
pub use totp::{TotpEnrolment, TotpSecret};

/// Somebody wants to sign in. `Debug` shows the source only: people type passwords into the wrong field.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// As typed; spaces around it are dropped and full-width letters read as ASCII.
    pub login_id: &'a str,
    pub password: &'a str,
    /// The one-time code, where the form asks for it at once.
    pub totp: Option<&'a str>,
    pub source: IpAddr,
    pub now: Timestamp,
}

/// Somebody answers the question for a one-time code.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// From [`Verdict::NeedSecondFactor`].
    pub challenge: &'a str,
    pub code: &'a str,
    pub source: IpAddr,
    pub now: Timestamp,
}

/// What came of it. `Wrong` says neither what was wrong nor whether anybody has that ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The person is who they say. Whether they may come in is for the roster and the rules to say.
    Ok {
        person: PersonId,
        /// 1 for a password, 2 with a one-time code.
        factors: u8,
    },
    Wrong,
    /// The password is right; a second factor is needed as well. Keep the challenge and call
    /// [`Directory::answer`], [`Directory::check_recovery_code`] or [`Directory::ask_for_passkey`]: the password need
    /// not be asked for, or kept, again. It lives 5 minutes.
    NeedSecondFactor {
        challenge: Token,
    },
    /// The challenge is over: the password has to be asked for again.
    Expired,
    /// Too many attempts; the same whether or not the ID exists. To be told in whole seconds, rounded up.
    Throttled {
        retry_after: Duration,
    },
}

/// What a person can sign in with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Factors {
    pub password: bool,
    /// The password has 13 characters or more and stands without a second factor.
    pub long: bool,
    /// Somebody else knows the password, who set it: the person has to choose another one before anything else.
    pub password_due: bool,
    /// One-time codes are in force.
    pub totp: bool,
    /// One-time codes wait to be confirmed.
    pub totp_pending: bool,
    /// How many.
    pub passkeys: usize,
    /// How many are left.
    pub recovery_codes: usize,
}

impl Factors {
    /// The password alone does not sign in.
    pub const fn second(&self) -> bool {
        self.totp || self.passkeys > 0
    }
}

/// The built-in directory. Clones share it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    store: Store,
    roster: Arc<ArcSwap<Roster>>,
    credentials: papaya::HashMap<PersonId, Arc<Credential>>,
    known: papaya::HashMap<(PersonId, Source), Timestamp>,
    /// See [`Inner::one_at_a_time`].
    changes: Mutex<()>,
    throttle: Throttle,
    challenges: Challenges,
    passkeys: papaya::HashMap<PersonId, Arc<Passkeys>>,
    passkey_users: papaya::HashMap<Uuid, PersonId>,
    recovery: papaya::HashMap<PersonId, Arc<RecoverySet>>,
    ceremonies: Ceremonies,
    hasher: Hasher,
    issuer: ArcSwap<String>,
}

/// Somebody who signed in from a source is known there for this long.
const KNOWN_SECS: i64 = 90 * 24 * 3600;
/// How old a note of that may be before it is written anew.
const NOTE_SECS: i64 = 24 * 3600;
/// What a busy lane tells people.
const BUSY: Duration = Duration::from_secs(2);

impl Directory {
    pub(crate) fn open(store: Store, roster: Arc<ArcSwap<Roster>>, settings: &Settings) -> Result<Self, IdentityError> {
        let (credentials, known) = store.transaction(rows::load)?;
        let (passkeys, recovery) = store.transaction(factor_rows::load)?;
        let inner = Inner {
            credentials: credentials.into_iter().map(|(person, c)| (person, Arc::new(c))).collect(),
            known: known.into_iter().collect(),
            changes: Mutex::default(),
            throttle: Throttle::default(),
            challenges: Challenges::default(),
            passkey_users: passkeys.iter().map(|(person, p)| (p.handle, person.clone())).collect(),
            passkeys: passkeys.into_iter().map(|(person, p)| (person, Arc::new(p))).collect(),
            recovery: recovery.into_iter().map(|(person, set)| (person, Arc::new(set))).collect(),
            ceremonies: Ceremonies::default(),
            hasher: Hasher::new(settings.hashing),
            issuer: ArcSwap::from_pointee(settings.issuer.clone()),
            roster,
            store,
        };
        Ok(Self(Arc::new(inner)))
    }

    pub(crate) fn apply(&self, settings: &Settings) {
        self.0.issuer.store(Arc::new(settings.issuer.clone()));
    }

    /// Checks a password, and a one-time code if there is one. An ID that nobody has takes the same way and the
    /// same time as a wrong password.
    ///
    /// # Errors
    /// The state database fails.
    pub async fn authenticate(&self, attempt: Attempt<'_>) -> Result<Verdict, IdentityError> {
        let inner = &self.0;
        let login_id = fold(attempt.login_id);
        let person = PersonId::new(&login_id).ok();
        let who = Who { name: &login_id, source: attempt.source.into(), now: attempt.now };
        let known = person.as_ref().is_some_and(|p| inner.is_known(p, who.source, who.now));
        let (person, credential) = match self.check_password_of(person, known, attempt.password, &who).await? {
            Ok(found) => found,
            Err(verdict) => return Ok(verdict),
        };
        let second = credential.totp.is_some() || inner.passkeys_of(&person).is_some_and(|p| !p.keys.is_empty());
        match (&credential.totp, attempt.totp) {
            _ if !second => {
                inner.throttle.forgive(who.name, who.source, known);
                self.signed_in(person, 1, &who).await
            }
            (Some(secret), Some(code)) => {
                let verdict = self.check_code(person, secret, code, known, &who).await?;
                if matches!(verdict, Verdict::Ok { .. }) {
                    inner.throttle.forgive(who.name, who.source, known);
                }
                Ok(verdict)
            }
            _ => {
                inner.throttle.forgive(who.name, who.source, known);
                Ok(Verdict::NeedSecondFactor { challenge: inner.challenges.ask(person, who.now)? })
            }
        }
    }

    /// Checks the password of somebody who is signed in already and is about to change something. Throttled like a
    /// sign-in. `Ok` has one factor; no second one is asked for.
    ///
    /// # Errors
    /// The state database fails.
    pub async fn confirm_password(
        &self,
        person: &PersonId,
        password: &str,
        source: IpAddr,
        now: Timestamp,
    ) -> Result<Verdict, IdentityError> {
        let who = Who { name: person.as_str(), source: source.into(), now };
        let known = self.0.is_known(person, who.source, now);
        Ok(match self.check_password_of(Some(person.clone()), known, password, &who).await? {
            Ok((person, _)) => {
                self.0.throttle.forgive(who.name, who.source, known);
                Verdict::Ok { person, factors: 1 }
            }
            Err(verdict) => verdict,
        })
    }

    /// Whether it is the person's password, for who has shown that before: not throttled, so it must not be asked of
    /// what somebody types who has not.
    ///
    /// # Errors
    /// The hash can't be read.
    pub async fn is_password(&self, person: &PersonId, password: &str) -> Result<bool, IdentityError> {
        let Some(credential) = self.0.credential(person) else { return Ok(false) };
        Ok(self.0.hasher.verify(true, Duration::ZERO, password, &credential.hash).await? == Some(true))
    }

    /// The person whose password it is, or `Wrong` or `Throttled`. The try is counted; who calls forgives it.
    async fn check_password_of(
        &self,
        person: Option<PersonId>,
        known: bool,
        password: &str,
        who: &Who<'_>,
    ) -> Result<Result<(PersonId, Arc<Credential>), Verdict>, IdentityError> {
        let inner = &self.0;
        let slow = match inner.throttle.admit(who.name, who.source, known, who.now) {
            Admission::Go { slow } => slow,
            Admission::Wait(retry_after) => return Ok(Err(Verdict::Throttled { retry_after })),
        };
        let found = person.and_then(|p| inner.credential(&p).map(|c| (p, c)));
        let hash = found.as_ref().map_or(password::NOBODYS, |(_, c)| c.hash.as_str());
        let Some(right) = inner.hasher.verify(known, slow, password, hash).await? else {
            inner.throttle.refund(who.name, who.source, known);
            return Ok(Err(Verdict::Throttled { retry_after: BUSY }));
        };
        Ok(found.filter(|_| right).ok_or(Verdict::Wrong))
    }

    /// What the person can answer [`Verdict::NeedSecondFactor`] with, while the question is open.
    pub fn awaited(&self, challenge: &str, now: Timestamp) -> Option<Factors> {
        self.0.challenges.person(challenge, now).map(|person| self.factors(&person))
    }

    /// Checks a one-time code in answer to [`Verdict::NeedSecondFactor`].
    ///
    /// # Errors
    /// The state database fails.
    pub async fn answer(&self, answer: Answer<'_>) -> Result<Verdict, IdentityError> {
        let inner = &self.0;
        let Some(person) = inner.challenges.person(answer.challenge, answer.now) else { return Ok(Verdict::Expired) };
        let credential = inner.credential(&person);
        let Some(secret) = credential.as_ref().and_then(|c| c.totp.as_ref()) else {
            // Taken away meanwhile, with the second factor or the whole credential: begin again. Who has a passkey
            // alone has no code that could be right.
            return Ok(if self.factors(&person).second() { Verdict::Wrong } else { Verdict::Expired });
        };
        let name = person.clone();
        let who = Who { name: name.as_str(), source: answer.source.into(), now: answer.now };
        let known = inner.is_known(&person, who.source, who.now);
        let verdict = self.check_code(person, secret, answer.code, known, &who).await?;
        match verdict {
            Verdict::Ok { .. } => inner.challenges.close(answer.challenge),
            Verdict::Wrong => inner.challenges.missed(answer.challenge),
            _ => {}
        }
        Ok(verdict)
    }

    async fn check_code(
        &self,
        person: PersonId,
        secret: &TotpSecret,
        code: &str,
        known: bool,
        who: &Who<'_>,
    ) -> Result<Verdict, IdentityError> {
        let inner = &self.0;
        if let Admission::Wait(retry_after) = inner.throttle.admit_code(who.name, who.source, known, who.now) {
            return Ok(Verdict::Throttled { retry_after });
        }
        let Some(step) = secret.matches(code, who.now) else { return Ok(Verdict::Wrong) };
        let (directory, name) = (self.clone(), person.clone());
        // The database decides, so that of two requests with the same code one is refused.
        let fresh = blocking(move || directory.0.store.transaction(|tx| rows::accept_step(tx, &name, step))).await?;
        if !fresh {
            return Ok(Verdict::Wrong);
        }
        inner.throttle.forgive_code(who.name, who.source, known);
        self.signed_in(person, 2, who).await
    }

    /// Notes that the person comes from here.
    async fn signed_in(&self, person: PersonId, factors: u8, who: &Who<'_>) -> Result<Verdict, IdentityError> {
        let (source, now) = (who.source, who.now);
        let noted = self.0.known.pin().get(&(person.clone(), source)).copied();
        if noted.is_none_or(|seen| now.secs_since(seen) >= NOTE_SECS) {
            let (directory, name) = (self.clone(), person.clone());
            let old = now.plus_secs(-KNOWN_SECS);
            blocking(move || {
                directory.0.store.transaction(|tx| rows::note_source(tx, &name, source, now, old))?;
                let known = directory.0.known.pin();
                known.insert((name.clone(), source), now);
                known.retain(|(p, _), seen| *p != name || *seen > old);
                Ok(())
            })
            .await?;
        }
        Ok(Verdict::Ok { person, factors })
    }
}

/// Whom the limits count.
struct Who<'a> {
    /// The login ID as folded; not necessarily anybody's.
    name: &'a str,
    source: Source,
    now: Timestamp,
}

impl Inner {
    /// Held from reading what people sign in with to swapping it, so that memory and store agree.
    fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passkeys_of(&self, person: &PersonId) -> Option<Arc<Passkeys>> {
        self.passkeys.pin().get(person).cloned()
    }

    fn credential(&self, person: &PersonId) -> Option<Arc<Credential>> {
        self.credentials.pin().get(person).cloned()
    }

    /// Whether the person has signed in from there before.
    fn is_known(&self, person: &PersonId, source: Source, now: Timestamp) -> bool {
        let seen = self.known.pin().get(&(person.clone(), source)).copied();
        seen.is_some_and(|seen| now.secs_since(seen) < KNOWN_SECS)
    }
}

/// Drops spaces around, and reads full-width letters, digits and signs as what they stand for: a Japanese keyboard
/// left in its usual mode types those.
fn fold(typed: &str) -> String {
    let half = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    // No ID is longer; what is keeps its beginning only, and matches nobody.
    typed.trim().chars().take(200).map(half).collect()
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("source", &self.source).finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("source", &self.source).finish_non_exhaustive()
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("people", &self.0.credentials.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
