//! Changes to what people sign in with. The caller has recorded them before.

use std::sync::Arc;

use vocabulary::{PersonId, Timestamp};
use zeroize::Zeroizing;

use super::password;
use super::rows::{self, Credential};
use super::{Directory, Factors, TotpEnrolment, TotpSecret, factor_rows};
use crate::error::blocking;
use crate::{IdentityError, Person};

impl Directory {
    /// Sets a password: 13 characters or more, or 8 or more beside a second factor in force; not the person's
    /// own name, not a common word. Sessions go on; end them if the old password may have leaked.
    ///
    /// # Errors
    /// Nobody has the id, the password breaks a rule, or the state database fails.
    pub async fn set_password(&self, person: &PersonId, password: &str, now: Timestamp) -> Result<(), IdentityError> {
        self.new_password(person, password, false, now).await
    }

    /// Sets a password that somebody else will know, who hands it over: the person has to choose another one after
    /// signing in with it, before anything else. The rules are those of [`Self::set_password`].
    ///
    /// # Errors
    /// As [`Self::set_password`].
    pub async fn set_first_password(
        &self,
        person: &PersonId,
        password: &str,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        self.new_password(person, password, true, now).await
    }

    async fn new_password(
        &self,
        person: &PersonId,
        password: &str,
        due: bool,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let roster = self.0.roster.load_full();
        let entry = roster.get(person).ok_or_else(|| IdentityError::NoSuchPerson(person.clone()))?;
        password::check(password, entry, self.factors(person).second())?;
        let long = password::is_long(password);
        let hash = self.0.hasher.hash(password).await?;
        self.change(person, move |credential| {
            let (totp, pending) = credential.map(|c| (c.totp.clone(), c.pending.clone())).unwrap_or_default();
            Ok(Credential { hash, long, due, changed: now, totp, pending })
        })
        .await
    }

    /// Whether a password would do for somebody who is about to be put on the roster.
    ///
    /// # Errors
    /// It would not, and why.
    pub fn check_password(&self, person: &Person, password: &str) -> Result<(), IdentityError> {
        Ok(password::check(password, person, self.factors(&person.id).second())?)
    }

    /// Makes one-time codes, in force once [`Self::totp_confirm`] has seen one. Those already in force stay so until
    /// then.
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

    /// What waits to be confirmed, to be shown again after a wrong code.
    pub fn totp_pending(&self, person: &PersonId) -> Option<TotpEnrolment> {
        let secret = self.0.credential(person)?.pending.clone()?;
        Some(TotpEnrolment::new(secret, &self.0.issuer.load(), person.as_str()))
    }

    /// Whether [`Self::totp_confirm`] would take the code.
    ///
    /// # Errors
    /// It would not, and why.
    pub fn totp_check(&self, person: &PersonId, code: &str, now: Timestamp) -> Result<(), IdentityError> {
        let credential = self.0.credential(person).ok_or_else(|| IdentityError::NoPassword(person.clone()))?;
        let secret = credential.pending.as_ref().ok_or_else(|| IdentityError::NothingToConfirm(person.clone()))?;
        secret.matches(code, now).map(|_| ()).ok_or(IdentityError::WrongCode)
    }

    /// Puts the one-time codes in force. The code counts as used.
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

    /// Takes one-time codes away, and those that wait to be confirmed; with the last second factor the recovery
    /// codes go as well.
    ///
    /// # Errors
    /// The password is too short to stand alone, nobody has a password, or the state database fails.
    pub async fn totp_remove(&self, person: &PersonId) -> Result<(), IdentityError> {
        let (directory, name) = (self.clone(), person.clone());
        self.change(person, move |credential| {
            let credential = credential.ok_or_else(|| IdentityError::NoPassword(name.clone()))?.clone();
            directory.may_remove_totp(&name)?;
            Ok(Credential { totp: None, pending: None, ..credential })
        })
        .await
    }

    /// Whether [`Self::totp_remove`] would.
    ///
    /// # Errors
    /// The password is too short to stand alone.
    pub fn may_remove_totp(&self, person: &PersonId) -> Result<(), IdentityError> {
        let factors = self.factors(person);
        if !factors.long && factors.passkeys == 0 {
            return Err(IdentityError::PasswordNeedsSecondFactor(person.clone()));
        }
        Ok(())
    }

    /// Takes every second factor away, recovery codes included: for who has lost the phone. The password stays, so
    /// set a long one first where it is short.
    ///
    /// # Errors
    /// The password is too short to stand alone, nobody has one, or the state database fails.
    pub async fn reset_factors(&self, person: &PersonId) -> Result<(), IdentityError> {
        let (directory, person) = (self.clone(), person.clone());
        blocking(move || {
            let inner = &directory.0;
            let _one_at_a_time = inner.one_at_a_time();
            let credential = inner.credential(&person).ok_or_else(|| IdentityError::NoPassword(person.clone()))?;
            if !credential.long {
                return Err(IdentityError::PasswordNeedsSecondFactor(person));
            }
            let credential = Credential { totp: None, pending: None, ..Credential::clone(&credential) };
            let passkeys = inner.passkeys_of(&person);
            inner.store.transaction(|tx| {
                rows::save(tx, &person, &credential, None)?;
                for key in passkeys.iter().flat_map(|p| &p.keys) {
                    factor_rows::delete_passkey(tx, &key.id)?;
                }
                factor_rows::delete_recovery(tx, &person)
            })?;
            if let Some(passkeys) = passkeys {
                let none = factor_rows::Passkeys { handle: passkeys.handle, keys: Vec::new() };
                inner.passkeys.pin().insert(person.clone(), Arc::new(none));
            }
            inner.recovery.pin().remove(&person);
            inner.credentials.pin().insert(person, Arc::new(credential));
            Ok(())
        })
        .await
    }

    /// What the person can sign in with; from memory.
    pub fn factors(&self, person: &PersonId) -> Factors {
        self.0.credential(person).map_or_else(Factors::default, |c| Factors {
            password: true,
            long: c.long,
            password_due: c.due,
            totp: c.totp.is_some(),
            totp_pending: c.pending.is_some(),
            passkeys: self.0.passkeys_of(person).map_or(0, |p| p.keys.len()),
            recovery_codes: self.0.recovery.pin().get(person).map_or(0, |set| set.hashes.len()),
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
            let _one_at_a_time = inner.one_at_a_time();
            let (credential, step) = change(inner.credential(&person).as_deref())?;
            let bare = credential.totp.is_none() && inner.passkeys_of(&person).is_none_or(|p| p.keys.is_empty());
            inner.store.transaction(|tx| {
                rows::save(tx, &person, &credential, step)?;
                if bare {
                    // They stand in for a second factor, and there is none.
                    factor_rows::delete_recovery(tx, &person)?;
                }
                Ok::<_, IdentityError>(())
            })?;
            if bare {
                inner.recovery.pin().remove(&person);
            }
            inner.credentials.pin().insert(person, Arc::new(credential));
            Ok(())
        })
        .await
    }
}
