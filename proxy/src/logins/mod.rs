//! Logins to SaaS, as the gate sees them go by: which go on, what a browser's cookies of a SaaS say of them, and which
//! login IDs a SaaS has accepted. What is recorded of them is the line's business.

mod mark;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apps::cookies;
use audit::LoginEnd;
use data_encoding::HEXLOWER;
use http::HeaderMap;
use ring::rand::{SecureRandom, SystemRandom};
use smallvec::SmallVec;
use store::{Store, StoreError};
use vocabulary::{AppId, LoginId, PersonId, Timestamp};

pub(crate) use table::Typed;

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
    came: SmallVec<[Tag; 4]>,
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
    /// This one's, from now on.
    Login(LoginId),
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

    /// Reads a request's session cookies, which have these names.
    pub(crate) fn read(&self, app: &AppId, person: &PersonId, headers: &HeaderMap, names: &[String]) -> SaasCookies {
        let marks = &self.0.marks;
        let came: SmallVec<[Tag; 4]> =
            saas::cookies_sent(headers, names).take(8).map(|(name, value)| marks.tag(app, name, value)).collect();
        let text = cookies::read(headers, cookies::SAAS).or_else(|| cookies::read(headers, cookies::SAAS_WIDE));
        let mark = text.and_then(|text| marks.read(app, person, text));
        // Where nobody knows which cookies stand for a login, the mark alone does.
        let known =
            mark.as_ref().is_some_and(|mark| names.is_empty() || came.iter().any(|tag| mark.tags.contains(tag)));
        let login = mark.as_ref().filter(|_| known).and_then(|mark| mark.login.as_ref());
        let login = login.and_then(|id| self.table().resolve(id));
        SaasCookies { foreign: !known && !came.is_empty(), came, mark, login }
    }

    /// The mark to set beside what a response sets, if there is anything to say. `several_hosts`: a host that gets no
    /// session cookie may be another one's of the app.
    pub(crate) fn mark(
        &self,
        app: &AppId,
        person: &PersonId,
        cookies: &SaasCookies,
        answer: (&HeaderMap, &[String]),
        whose: Whose,
        several_hosts: bool,
    ) -> Option<String> {
        let marks = &self.0.marks;
        let set: SmallVec<[Tag; 4]> =
            saas::cookies_set(answer.0, answer.1).take(8).map(|(name, value)| marks.tag(app, name, value)).collect();
        if set.is_empty() && whose == Whose::Before {
            return None;
        }
        let unnamed = answer.1.is_empty();
        let goes_on = if cookies.came.is_empty() { several_hosts || unnamed } else { !cookies.foreign };
        let mut mark = cookies.mark.clone().filter(|_| goes_on).unwrap_or_default();
        match whose {
            Whose::Before => {}
            Whose::Login(id) => {
                mark.login = Some(id);
                mark.add(cookies.came.iter().copied());
            }
            Whose::Nobody => mark.login = None,
        }
        mark.add(set);
        Some(marks.write(app, person, &mark))
    }

    /// The login that began elsewhere and whose cookies came, and whether this is the first that is seen of it.
    pub(crate) fn found(&self, cookies: &SaasCookies) -> Option<(LoginId, bool)> {
        let fresh = Self::new_id()?;
        let found = self.table().found(&cookies.came, &fresh);
        let first = found == fresh;
        Some((found, first))
    }

    /// A request goes to the SaaS under this login.
    pub(crate) fn request(&self, id: &LoginId, app: &AppId, person: &PersonId, idle: Option<Duration>, now: Timestamp) {
        self.table().request(id, app, person, idle, now);
    }

    /// The SaaS accepted it. The end of the one that it replaces, if there is one.
    pub(crate) fn begin(
        &self,
        id: &LoginId,
        app: &AppId,
        person: &PersonId,
        idle: Option<Duration>,
        replaced: Option<&LoginId>,
        now: Timestamp,
    ) -> Option<LoginEnd> {
        let mut table = self.table();
        table.begin(id, app, person, idle, now);
        table.end(replaced.filter(|replaced| *replaced != id)?, "replaced", now)
    }

    /// The SaaS refused it; what went on before goes on.
    pub(crate) fn refuse(&self, id: &LoginId, app: &AppId, person: &PersonId, before: Option<LoginId>, now: Timestamp) {
        self.table().refuse(id, app, person, before, now);
    }

    /// The SaaS asks for something more.
    pub(crate) fn wait(&self, id: &LoginId, app: &AppId, person: &PersonId, typed: Typed, now: Timestamp) {
        self.table().wait(id, app, person, typed, now);
    }

    /// What was typed at the first step of a login that waits for a further one.
    pub(crate) fn typed(&self, id: &LoginId) -> Option<Typed> {
        self.table().typed(id)
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

/// Logins can't be looked after.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the system gives no random numbers")]
    Random,
}
