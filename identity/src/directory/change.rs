//! Changes to what people sign in with. The caller has recorded them before.

use std::sync::{Arc, PoisonError};

use vocabulary::{PersonId, Timestamp};
use zeroize::Zeroizing;

use super::password;
use super::rows::{self, Credential};
use super::{Directory, Factors, TotpEnrolment, TotpSecret};
use crate::error::blocking;
use crate::{IdentityError, Person};

impl Directory {
    /// Sets a password: 13 characters or more, or 8 or more beside a second factor in force; not the person's
    /// own name, not a common word. Sessions go on; end them if the old password may have leaked.
    ///
    /// # Errors
    /// Nobody has the id, the password breaks a rule, or the state database fails.
    pub async fn set_password(&self, person: &PersonId, password: &str, now: Timestamp) -> Result<(), IdentityError> {
        let roster = self.0.roster.load_full();
        let entry = roster.get(person).ok_or_else(|| IdentityError::NoSuchPerson(person.clone()))?;
        password::check(password, entry, self.factors(person).totp)?;
        let long = password::is_long(password);
        let hash = self.0.hasher.hash(password).await?;
        self.change(person, move |credential| {
            let (totp, pending) = credential.map(|c| (c.totp.clone(), c.pending.clone())).unwrap_or_default();
            Ok(Credential { hash, long, changed: now, totp, pending })
        })
        .await
    }

    /// Whether a password would do for somebody who is about to be put on the roster.
    ///
    /// # Errors
    /// It would not, and why.
    pub fn check_password(&self, person: &Person, password: &str) -> Result<(), IdentityError> {
        Ok(password::check(password, person, self.factors(&person.id).totp)?)
    }

    /// Makes a second factor, in force once [`Self::totp_confirm`] has seen a code of it. One already in force
    /// stays so until then.
    ///
    /// # Errors
    /// The person has no password, or the state database fails.
    pub async fn totp_enrol(&self, person: &PersonId) -> Result<TotpEnrolment, IdentityError> {
        let secret = TotpSecret::random()?;
        let enrolment = TotpEnrolment::new(secret.clone(), &self.0.issuer.load(), person.as_str());
        let nobody = IdentityError::NoPassword(person.clone());
        self.change(person, |credential| {
            let credential = credential.ok_or(nobody)?.clone();
            Ok(Credential { pending: Some(secret), ..credential })
        })
        .await?;
        Ok(enrolment)
    }

    /// Puts the second factor in force. The code counts as used.
    ///
    /// # Errors
    /// Nothing waits to be confirmed, the code is wrong, or the state database fails.
    pub async fn totp_confirm(&self, person: &PersonId, code: &str, now: Timestamp) -> Result<(), IdentityError> {
        let (name, code) = (person.clone(), Zeroizing::new(code.to_owned()));
        self.change_with_step(person, move |credential| {
            let credential = credential.ok_or_else(|| IdentityError::NoPassword(name.clone()))?.clone();
            let Some(secret) = credential.pending else { return Err(IdentityError::NothingToConfirm(name)) };
            let step = secret.matches(&code, now).ok_or(IdentityError::WrongCode)?;
            Ok((Credential { totp: Some(secret), pending: None, ..credential }, Some(step)))
        })
        .await
    }

    /// Takes the second factor away, and one that waits to be confirmed.
    ///
    /// # Errors
    /// The password is too short to stand alone, nobody has a password, or the state database fails.
    pub async fn totp_remove(&self, person: &PersonId) -> Result<(), IdentityError> {
        let name = person.clone();
        self.change(person, move |credential| {
            let credential = credential.ok_or_else(|| IdentityError::NoPassword(name.clone()))?.clone();
            if !credential.long {
                return Err(IdentityError::PasswordNeedsSecondFactor(name));
            }
            Ok(Credential { totp: None, pending: None, ..credential })
        })
        .await
    }

    /// What the person can sign in with; from memory.
    pub fn factors(&self, person: &PersonId) -> Factors {
        self.0.credential(person).map_or_else(Factors::default, |c| Factors {
            password: true,
            totp: c.totp.is_some(),
            totp_pending: c.pending.is_some(),
        })
    }

    async fn change(
        &self,
        person: &PersonId,
        change: impl FnOnce(Option<&Credential>) -> Result<Credential, IdentityError> + Send + 'static,
    ) -> Result<(), IdentityError> {
        self.change_with_step(person, |credential| Ok((change(credential)?, None))).await
    }

    /// Stored first, then seen by sign-ins. A step marks codes up to it as used.
    async fn change_with_step(
        &self,
        person: &PersonId,
        change: impl FnOnce(Option<&Credential>) -> Result<(Credential, Option<i64>), IdentityError> + Send + 'static,
    ) -> Result<(), IdentityError> {
        let (directory, person) = (self.clone(), person.clone());
        blocking(move || {
            let inner = &directory.0;
            let _one_at_a_time = inner.changes.lock().unwrap_or_else(PoisonError::into_inner);
            let (credential, step) = change(inner.credential(&person).as_deref())?;
            inner.store.transaction(|tx| rows::save(tx, &person, &credential, step))?;
            inner.credentials.pin().insert(person, Arc::new(credential));
            Ok(())
        })
        .await
    }
}
