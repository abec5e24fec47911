//! Logins to SaaS, as the gate sees them go by: which go on, what a browser's cookies of a SaaS say of them, and which
//! login IDs a SaaS has accepted. What is recorded of them is the line's business.

mod mark;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apps::cookies;
use audit::LoginEnd;
use data_encoding::HEXLOWER;
use http::HeaderMap;
use ring::rand::{SecureRandom, SystemRandom};
use smallvec::SmallVec;
use store::{Store, StoreError};
use vocabulary::{AppId, LoginId, PersonId, Timestamp};

pub(crate) use table::{Of, Typed};

use mark::{Mark, Marks, Tag};
use table::Table;

/// Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Logins(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    marks: Marks,
    table: Mutex<Table>,
}

/// What the cookies of a request say about logins to its app.
#[derive(Clone, Debug, Default)]
pub(crate) struct SaasCookies {
    /// With the place of each one's name.
    came: SmallVec<[(usize, Tag); 4]>,
    mark: Option<Mark>,
    /// The login that they stand for.
    pub(crate) login: Option<LoginId>,
    /// Cookies of a session that was not begun through the gate.
    pub(crate) foreign: bool,
}

impl SaasCookies {
    /// The login that goes on, or that waits for a further step.
    pub(crate) fn under_way(&self) -> Option<&LoginId> {
        self.mark.as_ref()?.login.as_ref()
    }
}

/// Whose login an answer's cookies stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Whose they did before.
    Before,
    /// This one's, from now on. `sure`: the SaaS is known to have accepted it; else the answer's body will tell.
    Login { id: LoginId, sure: bool },
    /// Nobody's any more.
    Nobody,
}

impl Logins {
    /// Opens what the last process left.
    pub(crate) fn open(store: &Store) -> Result<Self, LoginsError> {
        store.migrate("logins", table::MIGRATIONS)?;
        let mut fresh = [0; 32];
        SystemRandom::new().fill(&mut fresh).map_err(|_| LoginsError::Random)?;
        let key = store.transaction(|tx| {
            tx.execute(
                "INSERT INTO saas_login_key (only_one, bytes) VALUES (1, $1) ON CONFLICT (only_one) DO NOTHING",
                &[fresh[..].into()],
            )?;
            let rows = tx.query("SELECT bytes FROM saas_login_key", &[])?;
            rows.first().map(|row| Ok::<_, StoreError>(row.bytes(0)?.to_vec())).transpose()
        })?;
        let marks = Marks::new(key.as_deref().unwrap_or(&fresh));
        Ok(Self(Arc::new(Inner { store: store.clone(), marks, table: Mutex::new(Table::load(store)?) })))
    }

    pub(crate) fn new_id() -> Option<LoginId> {
        let mut bytes = [0; 10];
        SystemRandom::new().fill(&mut bytes).ok()?;
        LoginId::new(HEXLOWER.encode(&bytes)).ok()
    }

    /// Reads a request's session cookies, which have these names. `several_hosts`: the app's hosts share a mark.
    pub(crate) fn read(
        &self,
        app: &AppId,
        person: &PersonId,
        headers: &HeaderMap,
        names: &[String],
        several_hosts: bool,
    ) -> SaasCookies {
        let marks = &self.0.marks;
        let tag = |(name, value): (&str, &[u8])| (place(names, name), marks.tag(app, name, value));
        let came: SmallVec<[(usize, Tag); 4]> = saas::cookies_sent(headers, names).take(8).map(tag).collect();
        let text = cookies::read(headers, if several_hosts { cookies::SAAS_WIDE } else { cookies::SAAS });
        let mark = text.and_then(|text| marks.read(app, person, text));
        // Where nobody knows which cookies stand for a login, the mark alone does. Of two of one name nobody knows which one
        // the SaaS takes, so all of them must be known.
        let known = mark
            .as_ref()
            .is_some_and(|mark| names.is_empty() || (!came.is_empty() && came.iter().all(|(_, tag)| mark.knows(tag))));
        let login = mark.as_ref().filter(|_| known).and_then(|mark| mark.login.as_ref());
        let login = login.and_then(|id| self.table().resolve(id));
        let doubtful = login.is_none() && mark.as_ref().is_some_and(|mark| mark.foreign);
        SaasCookies { foreign: !came.is_empty() && (!known || doubtful), came, mark, login }
    }

    /// The mark to set beside what a response sets, if there is anything to say. `host`: which of the app's answers.
    pub(crate) fn mark(
        &self,
        app: &AppId,
        person: &PersonId,
        cookies: &SaasCookies,
        answer: (&HeaderMap, &[String]),
        whose: Whose,
        host: u8,
    ) -> Option<String> {
        let marks = &self.0.marks;
        let tag = |(name, value): (&str, &[u8])| (place(answer.1, name), marks.tag(app, name, value));
        let set: SmallVec<[(usize, Tag); 4]> = saas::cookies_set(answer.0, answer.1).take(8).map(tag).collect();
        // That a login has ended, the table knows; a mark without a cookie would undo one that came meanwhile.
        if set.is_empty() && !matches!(whose, Whose::Login { .. }) {
            return None;
        }
        let goes_on = |mark: &Mark| if cookies.came.is_empty() { !mark.is_gone_at(host) } else { !cookies.foreign };
        let mut mark = cookies.mark.clone().filter(goes_on).unwrap_or_default();
        match whose {
            Whose::Before => mark.foreign = cookies.foreign,
            Whose::Login { id, sure } => {
                mark.login = Some(id);
                mark.foreign = cookies.foreign && !sure;
                mark.add(host, cookies.came.iter().map(|(_, tag)| *tag));
            }
            Whose::Nobody => (mark.login, mark.foreign) = (None, false),
        }
        for (name, tag) in set {
            // The one that it takes the place of; of two, for two paths, that can't be told.
            let mut before = cookies.came.iter().filter(|(came, _)| *came == name);
            if let (Some((_, before)), None) = (before.next(), before.next()) {
                mark.remove(before);
            }
            mark.add(host, [tag]);
        }
        Some(marks.write(app, person, &mark))
    }

    /// The login that began elsewhere and whose cookies came, and whether this is the first that is seen of it.
    pub(crate) fn found(&self, person: &PersonId, cookies: &SaasCookies) -> Option<(LoginId, bool)> {
        let fresh = Self::new_id()?;
        let came: SmallVec<[Tag; 4]> = cookies.came.iter().map(|(_, tag)| *tag).collect();
        let found = self.table().found(person, &came, &fresh);
        let first = found == fresh;
        Some((found, first))
    }

    /// A request goes to the SaaS under this login.
    pub(crate) fn request(&self, id: &LoginId, now: Timestamp) {
        self.table().request(id, now);
    }

    /// The SaaS accepted it. The end of the one that it replaces, if there is one.
    pub(crate) fn begin(&self, id: &LoginId, of: Of<'_>, replaced: Option<&LoginId>) -> Option<LoginEnd> {
        let mut table = self.table();
        table.begin(id, of);
        table.end(replaced.filter(|replaced| *replaced != id)?, "replaced", of.now)
    }

    /// The SaaS refused it, or with `typed` asks for something more; what went on before goes on.
    pub(crate) fn put_off(&self, id: &LoginId, of: Of<'_>, before: Option<LoginId>, typed: Option<Typed>) {
        self.table().put_off(id, of, before, typed);
    }

    /// What was typed at the first step of a login that waits for a further one, and what went on before.
    pub(crate) fn waiting(&self, id: &LoginId) -> Option<(Typed, Option<LoginId>)> {
        self.table().waiting(id)
    }

    /// None: it had ended already.
    pub(crate) fn end(&self, id: &LoginId, cause: &str, now: Timestamp) -> Option<LoginEnd> {
        self.table().end(id, cause, now)
    }

    /// Takes a login ID for one from now on: the SaaS has accepted it.
    pub(crate) fn accept(&self, app: &AppId, id: &str) {
        let tag = self.0.marks.typed(app, id);
        self.table().accept(app, tag);
    }

    /// What may stand in a record for what was typed as login ID: itself, if the SaaS ever accepted it, else a hash.
    pub(crate) fn name(&self, app: &AppId, id: &str) -> Result<(), String> {
        let tag = self.0.marks.typed(app, id);
        if self.table().has_accepted(app, tag) { Ok(()) } else { Err(HEXLOWER.encode(&tag)) }
    }

    /// Ends what nothing was heard of for long.
    pub(crate) fn sweep(&self, now: Timestamp) -> Vec<LoginEnd> {
        self.table().sweep(now)
    }

    /// Writes what has changed to the state database. Blocks.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let changes = self.table().take_changes();
        if changes.is_empty() {
            return Ok(());
        }
        let written = changes.write(&self.0.store);
        if written.is_err() {
            self.table().give_back(changes);
        }
        written
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(names: &[String], name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_default()
}

/// Logins can't be looked after.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the system gives no random numbers")]
    Random,
}
