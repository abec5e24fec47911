//! Passkeys (WebAuthn Level 3): set up, asked for, removed. The library checks signatures, origins, counters and
//! backup flags; this keeps the questions apart, the keys, and who they belong to.
//!
//! A passkey must verify its holder (PIN, fingerprint, face): so it is two factors by itself, possession and
//! knowledge or biometrics, with the password or without. Attestation is not asked for.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use vocabulary::{PersonId, Timestamp};
use webauthn_rs::prelude::{AuthenticationResult, Passkey, Url, Uuid, Webauthn, WebauthnBuilder};

use super::ceremony::Question;
use super::factor_rows::{self, Passkeys, StoredPasskey};
use super::throttle::Admission;
use super::{Directory, Inner, Verdict, Who};
use crate::IdentityError;
use crate::error::blocking;
use crate::secret::{self, Token};

/// More than anybody has devices.
const MOST: usize = 10;
/// Characters of a passkey's name.
const NAME_CHARS: usize = 40;

/// The sign-in pages as authenticators know them.
#[derive(Clone)]
pub struct RelyingParty(pub(super) Webauthn);

impl RelyingParty {
    /// `host`: of the sign-in pages, without port: the RP ID. `origin`: as browsers write it, with a port unless it
    /// is 443. `name`: what authenticators may show.
    ///
    /// # Errors
    /// The origin is not the host's.
    pub fn new(host: &str, origin: &str, name: &str) -> Result<Self, IdentityError> {
        let fail = |cause: String| IdentityError::RelyingParty { host: host.to_owned(), cause };
        let origin = Url::parse(origin).map_err(|e| fail(e.to_string()))?;
        let builder = WebauthnBuilder::new(host, &origin).map_err(|e| fail(e.to_string()))?;
        builder.rp_name(name).build().map(Self).map_err(|e| fail(e.to_string()))
    }
}

/// A passkey, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PasskeySummary {
    pub id: String,
    pub name: String,
    pub added: Timestamp,
    pub used: Option<Timestamp>,
}

/// A question for the browser's `navigator.credentials`.
#[derive(Clone)]
pub struct PasskeyQuestion {
    /// To be brought along with the answer.
    pub ceremony: Token,
    /// `publicKey` of the options, binary values in base64url (WebAuthn, 5.1.8 and 5.1.9: the JSON forms).
    pub options: serde_json::Value,
}

/// A passkey that is proven to be there and not kept yet.
pub struct NewPasskey {
    /// What it will be called in lists and records.
    pub id: String,
    key: Passkey,
}

/// An answer to [`Directory::ask_for_passkey`].
#[derive(Clone, Copy)]
pub struct PasskeyAnswer<'a> {
    /// From [`Verdict::NeedSecondFactor`], where the password came first.
    pub challenge: Option<&'a str>,
    pub ceremony: &'a str,
    /// `PublicKeyCredential` in its JSON form.
    pub credential: &'a str,
    /// What the question was bound to.
    pub browser: &'a str,
    pub source: IpAddr,
    pub now: Timestamp,
}

/// What came of it.
#[derive(Debug)]
pub enum PasskeyVerdict {
    /// Two factors; with the id of the passkey, for the record.
    Ok { person: PersonId, passkey: String },
    /// Not ours, not this person's, not verified, or a copy. `person`: whose passkey it claims to be, where the
    /// password said so before.
    Wrong { person: Option<PersonId> },
    /// The question is over.
    Expired,
}

impl Directory {
    /// The person's passkeys, oldest first.
    pub fn passkeys(&self, person: &PersonId) -> Vec<PasskeySummary> {
        let passkeys = self.0.passkeys_of(person);
        passkeys.map(|p| p.keys.iter().map(StoredPasskey::summary).collect()).unwrap_or_default()
    }

    /// Asks a browser to make a passkey.
    ///
    /// # Errors
    /// The person has no password or too many passkeys, or the state database fails.
    pub async fn ask_for_new_passkey(
        &self,
        rp: &RelyingParty,
        person: &PersonId,
        browser: &str,
        now: Timestamp,
    ) -> Result<PasskeyQuestion, IdentityError> {
        let roster = self.0.roster.load_full();
        let entry = roster.get(person).ok_or_else(|| IdentityError::NoSuchPerson(person.clone()))?;
        let passkeys = self.passkey_user(person).await?;
        if passkeys.keys.len() >= MOST {
            return Err(IdentityError::TooManyPasskeys(MOST));
        }
        let known = passkeys.keys.iter().map(|stored| stored.key.cred_id().clone()).collect();
        let (options, state) =
            rp.0.start_passkey_registration(passkeys.handle, person.as_str(), &entry.name, Some(known))
                .map_err(|e| IdentityError::passkey(&e))?;
        let mut options = public_key(&options)?;
        // So that it can be found without an ID typed first, where the authenticator has room for that.
        if let Some(selection) = options.get_mut("authenticatorSelection").and_then(|s| s.as_object_mut()) {
            selection.insert("residentKey".to_owned(), "preferred".into());
            selection.insert("requireResidentKey".to_owned(), false.into());
        }
        let ceremony = self.0.ceremonies.ask(Question::Register(person.clone(), Box::new(state)), browser, now)?;
        Ok(PasskeyQuestion { ceremony, options })
    }

    /// Checks what the browser has made. Nothing is kept yet: record it, then [`Self::add_passkey`]. None: the
    /// question is over, or the answer is not good.
    pub fn check_new_passkey(
        &self,
        rp: &RelyingParty,
        person: &PersonId,
        answer: &PasskeyAnswer<'_>,
    ) -> Option<NewPasskey> {
        let question = self.0.ceremonies.take(answer.ceremony, answer.browser, answer.now)?;
        let Question::Register(asked, state) = question else { return None };
        let credential = serde_json::from_str(answer.credential).ok()?;
        (asked == *person).then_some(())?;
        let key = rp.0.finish_passkey_registration(&credential, &state).ok()?;
        let id = data_encoding::BASE32_NOPAD.encode(&secret::random::<5>().ok()?).to_ascii_lowercase();
        Some(NewPasskey { id: format!("pk-{id}"), key })
    }

    /// Keeps a passkey. `name`: as the person calls it; 40 characters are kept.
    ///
    /// # Errors
    /// Somebody has it already, there are too many, or the state database fails.
    pub async fn add_passkey(
        &self,
        person: &PersonId,
        new: NewPasskey,
        name: &str,
        now: Timestamp,
    ) -> Result<PasskeySummary, IdentityError> {
        let name: String = name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect();
        let stored = StoredPasskey { id: new.id, name, key: new.key, added: now, used: None };
        let summary = stored.summary();
        let nobody = IdentityError::NoPassword(person.clone());
        self.change_passkeys(person, move |inner, passkeys| {
            let taken = |p: &Passkeys| p.keys.iter().any(|k| k.key.cred_id() == stored.key.cred_id());
            if inner.passkeys.pin().values().any(|p| taken(p)) {
                return Err(IdentityError::PasskeyExists);
            }
            let Some(passkeys) = passkeys else { return Err(nobody) };
            if passkeys.keys.len() >= MOST {
                return Err(IdentityError::TooManyPasskeys(MOST));
            }
            let mut passkeys = passkeys.clone();
            let added = stored.clone();
            passkeys.keys.push(stored);
            Ok((passkeys, Row::Save(Box::new(added))))
        })
        .await?;
        Ok(summary)
    }

    /// Takes a passkey away; with the last second factor the recovery codes go as well.
    ///
    /// # Errors
    /// There is none of this id, the password is too short to stand alone, or the state database fails.
    pub async fn remove_passkey(&self, person: &PersonId, id: &str) -> Result<(), IdentityError> {
        self.may_remove_passkey(person, id)?;
        let (name, id) = (person.clone(), id.to_owned());
        let directory = self.clone();
        self.change_passkeys(person, move |_, passkeys| {
            directory.may_remove_passkey(&name, &id)?;
            let mut passkeys = passkeys.cloned().ok_or_else(|| IdentityError::NoSuchPasskey(id.clone()))?;
            passkeys.keys.retain(|key| key.id != id);
            Ok((passkeys, Row::Delete(id)))
        })
        .await
    }

    /// Whether it could be removed.
    ///
    /// # Errors
    /// As [`Self::remove_passkey`].
    pub fn may_remove_passkey(&self, person: &PersonId, id: &str) -> Result<(), IdentityError> {
        let passkeys = self.passkeys(person);
        if !passkeys.iter().any(|key| key.id == id) {
            return Err(IdentityError::NoSuchPasskey(id.to_owned()));
        }
        let factors = self.factors(person);
        if passkeys.len() == 1 && !factors.totp && !factors.long {
            return Err(IdentityError::PasswordNeedsSecondFactor(person.clone()));
        }
        Ok(())
    }

    /// Asks a browser for a passkey: after the password with that verdict's challenge, else for anybody's. The
    /// answer to the latter is the same whoever has passkeys. `Expired`, `Wrong` (this person has none) and
    /// `Throttled` as for codes.
    ///
    /// # Errors
    /// The state database fails.
    pub fn ask_for_passkey(
        &self,
        rp: &RelyingParty,
        challenge: Option<&str>,
        browser: &str,
        source: IpAddr,
        now: Timestamp,
    ) -> Result<Result<PasskeyQuestion, Verdict>, IdentityError> {
        let (options, question) = match challenge {
            Some(challenge) => {
                let Some(person) = self.0.challenges.person(challenge, now) else { return Ok(Err(Verdict::Expired)) };
                let keys: Vec<_> = self
                    .0
                    .passkeys_of(&person)
                    .map_or_else(Vec::new, |passkeys| passkeys.keys.iter().map(|stored| stored.key.clone()).collect());
                if keys.is_empty() {
                    return Ok(Err(Verdict::Wrong));
                }
                let (options, state) =
                    rp.0.start_passkey_authentication(&keys).map_err(|e| IdentityError::passkey(&e))?;
                (options, Question::SecondFactor(person, Box::new(state)))
            }
            None => {
                if let Admission::Wait(retry_after) = self.0.throttle.admit_question(source.into(), now) {
                    return Ok(Err(Verdict::Throttled { retry_after }));
                }
                let (options, state) =
                    rp.0.start_discoverable_authentication().map_err(|e| IdentityError::passkey(&e))?;
                (options, Question::Anybody(Box::new(state)))
            }
        };
        let ceremony = self.0.ceremonies.ask(question, browser, now)?;
        Ok(Ok(PasskeyQuestion { ceremony, options: public_key(&options)? }))
    }

    /// Checks what the passkey has said.
    ///
    /// # Errors
    /// The state database fails.
    pub async fn answer_with_passkey(
        &self,
        rp: &RelyingParty,
        answer: PasskeyAnswer<'_>,
    ) -> Result<PasskeyVerdict, IdentityError> {
        let question = self.0.ceremonies.take(answer.ceremony, answer.browser, answer.now);
        let Ok(credential) = serde_json::from_str(answer.credential) else {
            return Ok(PasskeyVerdict::Wrong { person: None });
        };
        let (person, result) = match (question, answer.challenge) {
            (Some(Question::SecondFactor(person, state)), Some(challenge)) => {
                // The password is still good, and was this person's.
                if self.0.challenges.person(challenge, answer.now).as_ref() != Some(&person) {
                    return Ok(PasskeyVerdict::Expired);
                }
                let result = rp.0.finish_passkey_authentication(&credential, &state);
                (person, result.ok())
            }
            (Some(Question::Anybody(state)), None) => {
                let Some((person, key)) = self.found(rp, &credential) else {
                    return Ok(PasskeyVerdict::Wrong { person: None });
                };
                let result = rp.0.finish_discoverable_authentication_v2(&credential, *state, &key);
                (person, result.ok())
            }
            _ => return Ok(PasskeyVerdict::Expired),
        };
        let who = Who { name: person.as_str(), source: answer.source.into(), now: answer.now };
        let used = match result.filter(AuthenticationResult::user_verified) {
            Some(result) => self.used(&person, result, answer.now).await?,
            None => None,
        };
        let Some(passkey) = used else {
            if let Some(challenge) = answer.challenge {
                self.0.challenges.missed(challenge);
            }
            let person = answer.challenge.map(|_| person);
            return Ok(PasskeyVerdict::Wrong { person });
        };
        match answer.challenge {
            Some(challenge) => self.0.challenges.close(challenge),
            None => self.0.throttle.forgive_question(who.source),
        }
        self.signed_in(person.clone(), 2, &who).await?;
        Ok(PasskeyVerdict::Ok { person, passkey })
    }

    /// Whose passkey it says it is, by the user handle *and* the credential's own id.
    fn found(
        &self,
        rp: &RelyingParty,
        credential: &webauthn_rs::prelude::PublicKeyCredential,
    ) -> Option<(PersonId, webauthn_rs::prelude::DiscoverableKey)> {
        let (handle, id) = rp.0.identify_discoverable_authentication(credential).ok()?;
        let person = self.0.passkey_users.pin().get(&handle).cloned()?;
        let passkeys = self.0.passkeys_of(&person)?;
        let stored = passkeys.keys.iter().find(|stored| stored.key.cred_id().as_slice() == id)?;
        Some((person, (&stored.key).into()))
    }

    /// Keeps the counter and the backup state (WebAuthn, 7.2, step 24), and that it was used. None: it was removed
    /// meanwhile, or its counter was seen before.
    async fn used(
        &self,
        person: &PersonId,
        result: AuthenticationResult,
        now: Timestamp,
    ) -> Result<Option<String>, IdentityError> {
        let gone = IdentityError::NoSuchPasskey(String::new());
        let found = self
            .change_passkeys_with(person, move |_, passkeys| {
                let Some(mut passkeys) = passkeys.cloned() else { return Err(gone) };
                let Some(stored) = passkeys.keys.iter_mut().find(|k| k.key.cred_id() == result.cred_id()) else {
                    return Err(gone);
                };
                // Another request has shown this count or a later one since the question was put: a copy, perhaps.
                if stored.key.update_credential(&result) == Some(false) && result.counter() > 0 {
                    return Err(gone);
                }
                stored.used = Some(now);
                let stored = stored.clone();
                Ok((passkeys, Row::Save(Box::new(stored.clone())), stored.id))
            })
            .await;
        match found {
            Ok(id) => Ok(Some(id)),
            Err(IdentityError::NoSuchPasskey(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The person's passkeys, with a handle made if there is none.
    async fn passkey_user(&self, person: &PersonId) -> Result<Arc<Passkeys>, IdentityError> {
        if !self.factors(person).password {
            return Err(IdentityError::NoPassword(person.clone()));
        }
        let (directory, person) = (self.clone(), person.clone());
        blocking(move || {
            let inner = &directory.0;
            let _one_at_a_time = inner.one_at_a_time();
            if let Some(known) = inner.passkeys_of(&person) {
                return Ok(known);
            }
            let handle = Uuid::from_bytes(secret::random()?);
            inner.store.transaction(|tx| factor_rows::save_handle(tx, &person, handle))?;
            let made = Arc::new(Passkeys { handle, keys: Vec::new() });
            inner.passkey_users.pin().insert(handle, person.clone());
            inner.passkeys.pin().insert(person, Arc::clone(&made));
            Ok(made)
        })
        .await
    }

    async fn change_passkeys(
        &self,
        person: &PersonId,
        change: impl FnOnce(&Inner, Option<&Passkeys>) -> Result<(Passkeys, Row), IdentityError> + Send + 'static,
    ) -> Result<(), IdentityError> {
        self.change_passkeys_with(person, |inner, passkeys| change(inner, passkeys).map(|(p, row)| (p, row, ()))).await
    }

    /// Stored first, then seen by sign-ins.
    async fn change_passkeys_with<T: Send + 'static>(
        &self,
        person: &PersonId,
        change: impl FnOnce(&Inner, Option<&Passkeys>) -> Result<(Passkeys, Row, T), IdentityError> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let (directory, person) = (self.clone(), person.clone());
        blocking(move || {
            let inner = &directory.0;
            let _one_at_a_time = inner.one_at_a_time();
            let (passkeys, row, value) = change(inner, inner.passkeys_of(&person).as_deref())?;
            let bare = passkeys.keys.is_empty() && inner.credential(&person).is_none_or(|c| c.totp.is_none());
            inner.store.transaction(|tx| {
                match &row {
                    Row::Save(stored) => factor_rows::save_passkey(tx, &person, stored)?,
                    Row::Delete(id) => factor_rows::delete_passkey(tx, id)?,
                }
                if bare {
                    factor_rows::delete_recovery(tx, &person)?;
                }
                Ok::<_, IdentityError>(())
            })?;
            if bare {
                inner.recovery.pin().remove(&person);
            }
            inner.passkeys.pin().insert(person, Arc::new(passkeys));
            Ok(value)
        })
        .await
    }
}

enum Row {
    Save(Box<StoredPasskey>),
    Delete(String),
}

/// What the browser needs of the options; `mediation` is the page's to choose.
fn public_key(options: &impl serde::Serialize) -> Result<serde_json::Value, IdentityError> {
    let mut options = serde_json::to_value(options).map_err(|e| IdentityError::row("a passkey's options", &e))?;
    Ok(options["publicKey"].take())
}

impl StoredPasskey {
    fn summary(&self) -> PasskeySummary {
        PasskeySummary { id: self.id.clone(), name: self.name.clone(), added: self.added, used: self.used }
    }
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.get_allowed_origins().iter().map(Url::as_str)).finish()
    }
}

/// Shows neither the token nor the challenge.
impl fmt::Debug for PasskeyQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasskeyQuestion(…)")
    }
}

impl fmt::Debug for NewPasskey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPasskey(…)")
    }
}

impl fmt::Debug for PasskeyAnswer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasskeyAnswer").field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "passkey_tests.rs"]
mod tests;
