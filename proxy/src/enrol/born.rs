//! Devices that are about to make their own key: the one-time identifiers by which our ACME server knows them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cert_authority::acme::{Permission, Permit};
use ring::rand::{SecureRandom, SystemRandom};
use vocabulary::{Os, PersonId, SessionId, Timestamp};

use super::Of;

/// A device asks within minutes; a person may take a while to find the way through the settings.
const KEPT_SECS: i64 = 3600;
/// More at a time are not kept; the oldest goes.
const MOST: usize = 1_000;

/// One device that is awaited.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// Stands in the profile; a secret while it is good.
    pub(crate) identifier: String,
    pub(crate) of: Of,
    pub(crate) session: SessionId,
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) os: Os,
    pub(crate) until: Timestamp,
    /// It has come.
    pub(crate) used: bool,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Awaiting(Mutex<Vec<Awaited>>);

impl Awaiting {
    /// Awaits a device, in place of one that was awaited for the same; `None` if the system has no random bytes.
    pub(crate) fn add(
        &self,
        of: Of,
        session: SessionId,
        person: PersonId,
        name: String,
        os: Os,
        now: Timestamp,
    ) -> Option<Awaited> {
        let mut secret = [0; 24];
        SystemRandom::new().fill(&mut secret).ok()?;
        let identifier = data_encoding::BASE64URL_NOPAD.encode(&secret);
        let until = now.plus_secs(KEPT_SECS);
        let awaited = Awaited { identifier, of, session, person, name, os, until, used: false };
        let mut all = self.lock();
        all.retain(|one| one.until > now && one.of != awaited.of);
        if all.len() >= MOST {
            all.remove(0);
        }
        all.push(awaited.clone());
        Some(awaited)
    }

    pub(crate) fn get(&self, of: &Of, session: &SessionId, now: Timestamp) -> Option<Awaited> {
        self.lock().iter().find(|one| one.of == *of && one.session == *session && one.until > now).cloned()
    }

    pub(crate) fn by_identifier(&self, identifier: &str, now: Timestamp) -> Option<Awaited> {
        self.lock().iter().find(|one| one.identifier == identifier && !one.used && one.until > now).cloned()
    }

    /// Nobody is awaited, nor has come within the hour.
    pub(crate) fn is_empty(&self, now: Timestamp) -> bool {
        !self.lock().iter().any(|one| one.until > now)
    }

    pub(crate) fn came(&self, identifier: &str) {
        self.lock().iter_mut().filter(|one| one.identifier == identifier).for_each(|one| one.used = true);
    }

    /// For one request to the server.
    pub(crate) fn at(&self, now: Timestamp) -> At<'_> {
        At { awaiting: self, now }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Awaited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is awaited at a moment.
pub(crate) struct At<'a> {
    awaiting: &'a Awaiting,
    now: Timestamp,
}

impl Permission for At<'_> {
    fn permit(&self, client_identifier: &str) -> Option<Permit> {
        // What a device shows is checked and recorded. Asked for is it not: which devices outside of a device management
        // get one from Apple is not known, and the identifier is what lets somebody in.
        self.awaiting.by_identifier(client_identifier, self.now).map(|_| Permit { attestation_required: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);

    #[test]
    fn an_identifier_is_good_once_for_an_hour_and_in_one_browser() {
        let awaiting = Awaiting::default();
        let (person, session) = (PersonId::new("suzuki").unwrap(), SessionId::new("s-1").unwrap());
        let of = Of::Invitation("i-1".to_owned());
        let add = || awaiting.add(of.clone(), session.clone(), person.clone(), "x".to_owned(), Os::Ios, NOW).unwrap();
        let first = add();
        assert!(awaiting.at(NOW).permit(&first.identifier).is_some());
        let second = add();
        assert!(awaiting.at(NOW).permit(&first.identifier).is_none(), "the next one takes its place");
        assert!(awaiting.at(NOW.plus_secs(KEPT_SECS)).permit(&second.identifier).is_none());
        assert!(awaiting.at(NOW).permit("").is_none());
        awaiting.came(&second.identifier);
        assert!(awaiting.at(NOW).permit(&second.identifier).is_none());
        assert!(awaiting.get(&of, &session, NOW).is_some_and(|one| one.used), "its page still stands");
        assert!(awaiting.get(&of, &SessionId::new("s-2").unwrap(), NOW).is_none());
    }
}
