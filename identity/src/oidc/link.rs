//! Which person of the roster an account of a provider belongs to.
//!
//! A link is made by a verified mail address or by an administrator, and never moves by itself: mail addresses are
//! given to other people when somebody leaves. It is kept by issuer, not by the configuration's id for it, so that
//! an id that comes to mean another provider brings nobody in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use store::{Store, Transaction};
use vocabulary::{PersonId, Timestamp};

use super::{Account, OidcCause};
use crate::{IdentityError, Roster};

/// An account and the person it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    pub issuer: String,
    /// What the provider calls the person.
    pub subject: String,
    pub person: PersonId,
    pub made: Timestamp,
}

/// Whose an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkDecision {
    /// Linked before.
    Known(PersonId),
    /// By mail; to be recorded, then made with [`Links::link`].
    New(PersonId),
    /// Nobody's, or it can't be told whose.
    Refused(OidcCause),
}

/// All links. Clones share them. Asked at sign-in only.
#[derive(Clone)]
pub struct Links {
    store: Store,
    by_account: Arc<Mutex<HashMap<(String, String), Link>>>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("links", &self.links().len()).finish_non_exhaustive()
    }
}

impl Links {
    pub(crate) fn open(store: Store) -> Result<Self, IdentityError> {
        let links = store.transaction(load)?;
        let by_account = links.into_iter().map(|link| ((link.issuer.clone(), link.subject.clone()), link)).collect();
        Ok(Self { store, by_account: Arc::new(Mutex::new(by_account)) })
    }

    /// By issuer and subject; else by mail, if the provider says that it is verified, its domain is one of `domains`
    /// (lower case), exactly one person has it, and that person has no other account at this provider.
    pub fn decide(&self, account: &Account, roster: &Roster, domains: &[String]) -> LinkDecision {
        let links = self.links();
        if let Some(link) = links.get(&(account.issuer.clone(), account.subject.clone())) {
            return LinkDecision::Known(link.person.clone());
        }
        let Some(mail) = account.mail.as_deref() else { return LinkDecision::Refused(OidcCause::NoMail) };
        if !account.mail_verified {
            return LinkDecision::Refused(OidcCause::MailUnverified);
        }
        let domain = mail.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        if !domain.is_some_and(|domain| domains.contains(&domain)) {
            return LinkDecision::Refused(OidcCause::MailDomain);
        }
        let people = roster.people();
        // ASCII alone: what Unicode folds together is not what mail servers do.
        let has_it = |known: &str| known.trim().eq_ignore_ascii_case(mail);
        let mut owners = people.iter().filter(|person| person.mail.as_deref().is_some_and(has_it));
        match (owners.next(), owners.next()) {
            (None, _) => LinkDecision::Refused(OidcCause::MailUnknown),
            (Some(_), Some(_)) => LinkDecision::Refused(OidcCause::MailAmbiguous),
            (Some(owner), None) => {
                let otherwise = links.values().any(|link| link.person == owner.id && link.issuer == account.issuer);
                match otherwise {
                    true => LinkDecision::Refused(OidcCause::LinkedOtherwise),
                    false => LinkDecision::New(owner.id.clone()),
                }
            }
        }
    }

    /// Makes a link. Must have been recorded before. One that is there already stays. Blocks.
    ///
    /// # Errors
    /// The account is somebody else's, nobody has that id, or the state database fails.
    pub fn link(&self, link: &Link) -> Result<(), IdentityError> {
        let mut links = self.links();
        let key = (link.issuer.clone(), link.subject.clone());
        if let Some(present) = links.get(&key) {
            return match present.person == link.person {
                true => Ok(()),
                false => Err(IdentityError::LinkedToSomebodyElse(present.person.clone())),
            };
        }
        self.store.transaction(|tx| insert(tx, link))?;
        links.insert(key, link.clone());
        Ok(())
    }

    /// As [`Self::link`], away from the threads that serve requests.
    ///
    /// # Errors
    /// As [`Self::link`].
    pub async fn make(&self, link: Link) -> Result<(), IdentityError> {
        let links = self.clone();
        crate::error::blocking(move || links.link(&link)).await
    }

    /// Takes away every link of a person, or that to one issuer. What was taken away. Blocks.
    ///
    /// # Errors
    /// The state database fails.
    pub fn unlink(&self, person: &PersonId, issuer: Option<&str>) -> Result<Vec<Link>, IdentityError> {
        let mut links = self.links();
        let meant = |link: &Link| link.person == *person && issuer.is_none_or(|issuer| link.issuer == issuer);
        let gone: Vec<Link> = links.values().filter(|link| meant(link)).cloned().collect();
        self.store.transaction(|tx| delete(tx, &gone))?;
        links.retain(|_, link| !meant(link));
        Ok(gone)
    }

    /// Whom an account belongs to, if it is linked.
    pub fn person(&self, issuer: &str, subject: &str) -> Option<PersonId> {
        self.links().get(&(issuer.to_owned(), subject.to_owned())).map(|link| link.person.clone())
    }

    /// All, or those of one person; by person, issuer and subject.
    pub fn list(&self, person: Option<&PersonId>) -> Vec<Link> {
        let links = self.links();
        let mut list: Vec<Link> =
            links.values().filter(|link| person.is_none_or(|person| link.person == *person)).cloned().collect();
        list.sort_by(|a, b| (&a.person, &a.issuer, &a.subject).cmp(&(&b.person, &b.issuer, &b.subject)));
        list
    }

    fn links(&self) -> MutexGuard<'_, HashMap<(String, String), Link>> {
        self.by_account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(tx: &mut Transaction<'_>) -> Result<Vec<Link>, IdentityError> {
    let rows = tx.query("SELECT issuer, subject, person, made FROM link", &[])?;
    let read = |row: &store::Row| {
        Ok(Link {
            issuer: row.text(0)?.to_owned(),
            subject: row.text(1)?.to_owned(),
            person: PersonId::new(row.text(2)?).map_err(|e| IdentityError::row("a link", &e))?,
            made: Timestamp(row.int(3)?),
        })
    };
    rows.iter().map(read).collect()
}

fn insert(tx: &mut Transaction<'_>, link: &Link) -> Result<(), IdentityError> {
    tx.execute(
        "INSERT INTO link (issuer, subject, person, made) VALUES ($1, $2, $3, $4)",
        &[link.issuer.as_str().into(), link.subject.as_str().into(), link.person.as_str().into(), link.made.0.into()],
    )?;
    Ok(())
}

fn delete(tx: &mut Transaction<'_>, links: &[Link]) -> Result<(), IdentityError> {
    for link in links {
        let key = [link.issuer.as_str().into(), link.subject.as_str().into()];
        tx.execute("DELETE FROM link WHERE issuer = $1 AND subject = $2", &key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Person, Settings};

    const ISSUER: &str = "https://idp.example";

    fn person(id: &str, mail: Option<&str>) -> Person {
        Person { mail: mail.map(str::to_owned), ..Person::new(PersonId::new(id).unwrap(), id) }
    }

    fn account(subject: &str, mail: Option<&str>) -> Account {
        Account {
            provider: "workspace".into(),
            issuer: ISSUER.into(),
            subject: subject.into(),
            sid: None,
            mail: mail.map(str::to_owned),
            mail_verified: true,
            groups: Vec::new(),
            factors: 1,
            auth_time: None,
        }
    }

    fn identity() -> Identity {
        let identity = Identity::open(Store::in_memory().unwrap(), &Settings::default()).unwrap();
        for (id, mail) in [
            ("sato", Some("Sato@Sakura-kai.example")),
            ("suzuki", Some("suzuki@sakura-kai.example")),
            ("twin-1", Some("twin@sakura-kai.example")),
            ("twin-2", Some("TWIN@sakura-kai.example")),
            ("outsider", Some("outsider@elsewhere.example")),
            ("nobody", None),
        ] {
            identity.add(person(id, mail)).unwrap();
        }
        identity
    }

    fn id(text: &str) -> PersonId {
        PersonId::new(text).unwrap()
    }

    fn made(subject: &str, person: &str) -> Link {
        Link { issuer: ISSUER.into(), subject: subject.into(), person: id(person), made: Timestamp::from_secs(1) }
    }

    #[test]
    fn a_verified_mail_of_a_listed_domain_finds_its_one_owner() {
        use LinkDecision::{New, Refused};
        let identity = identity();
        let domains = ["sakura-kai.example".to_owned()];
        let decide = |account: &Account| identity.links().decide(account, &identity.roster(), &domains);
        assert_eq!(decide(&account("1", Some("sato@sakura-kai.EXAMPLE"))), New(id("sato")));
        let unverified = Account { mail_verified: false, ..account("1", Some("sato@sakura-kai.example")) };
        for (account, cause) in [
            (account("1", None), OidcCause::NoMail),
            (unverified, OidcCause::MailUnverified),
            (account("1", Some("outsider@elsewhere.example")), OidcCause::MailDomain),
            (account("1", Some("sato@sakura-kai.example.evil.example")), OidcCause::MailDomain),
            (account("1", Some("sato@evil.example@notsakura-kai.example")), OidcCause::MailDomain),
            (account("1", Some("no-at-sign")), OidcCause::MailDomain),
            (account("1", Some("stranger@sakura-kai.example")), OidcCause::MailUnknown),
            (account("1", Some("twin@sakura-kai.example")), OidcCause::MailAmbiguous),
        ] {
            assert_eq!(decide(&account), Refused(cause), "{:?}", account.mail);
        }
        let none = identity.links().decide(&account("1", Some("sato@sakura-kai.example")), &identity.roster(), &[]);
        assert_eq!(none, Refused(OidcCause::MailDomain));
    }

    #[test]
    fn a_link_decides_before_any_mail_and_never_moves() {
        let identity = identity();
        let links = identity.links();
        let domains = ["sakura-kai.example".to_owned()];
        links.link(&made("1", "sato")).unwrap();
        // Her mail address is somebody else's now: the account is still hers …
        let theirs = account("1", Some("suzuki@sakura-kai.example"));
        assert_eq!(links.decide(&theirs, &identity.roster(), &domains), LinkDecision::Known(id("sato")));
        // … and another account that brings her address is not.
        let newcomer = account("2", Some("sato@sakura-kai.example"));
        let refused = LinkDecision::Refused(OidcCause::LinkedOtherwise);
        assert_eq!(links.decide(&newcomer, &identity.roster(), &domains), refused);
        // At another issuer the same subject is somebody else.
        let elsewhere = Account { issuer: "https://other.example".into(), ..account("1", None) };
        assert_eq!(links.decide(&elsewhere, &identity.roster(), &domains), LinkDecision::Refused(OidcCause::NoMail));
        links.link(&made("1", "sato")).unwrap();
        let moved = links.link(&made("1", "suzuki"));
        assert!(matches!(moved, Err(IdentityError::LinkedToSomebodyElse(person)) if person == id("sato")));
        assert_eq!(links.list(None).len(), 1);
    }

    #[test]
    fn links_are_there_after_a_restart_until_they_are_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let open = || Identity::open(Store::open(&path).unwrap(), &Settings::default()).unwrap();
        {
            let identity = open();
            identity.add(person("sato", None)).unwrap();
            identity.links().link(&made("1", "sato")).unwrap();
            assert!(identity.links().link(&made("2", "not-there")).is_err());
        }
        {
            let identity = open();
            assert_eq!(identity.links().person(ISSUER, "1"), Some(id("sato")));
            assert!(identity.links().unlink(&id("sato"), Some("https://other.example")).unwrap().is_empty());
            assert_eq!(identity.links().unlink(&id("sato"), None).unwrap().len(), 1);
        }
        assert!(open().links().list(Some(&id("sato"))).is_empty());
    }
}
