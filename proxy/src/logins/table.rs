//! Logins as they go on: in memory for every request, in the state database for the next start.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use audit::LoginEnd;
use store::{Migration, Row, Store, StoreError};
use vocabulary::{AppId, LoginId, PersonId, Timestamp};

use super::mark::Tag;

pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    name: "logins to SaaS",
    sql: "CREATE TABLE saas_login (
        id TEXT PRIMARY KEY,
        app TEXT NOT NULL,
        person TEXT NOT NULL,
        last BIGINT NOT NULL,
        requests BIGINT NOT NULL,
        idle_secs BIGINT,
        state TEXT NOT NULL,
        earlier TEXT);
      CREATE TABLE saas_login_key (only_one INTEGER PRIMARY KEY, bytes BYTEA NOT NULL);
      CREATE TABLE saas_login_id (app TEXT NOT NULL, tag BYTEA NOT NULL, PRIMARY KEY (app, tag))",
}];

/// Until when a login without a request goes on, where it isn't known when the SaaS ends it.
const QUIET: Duration = Duration::from_secs(24 * 3600);
/// How long an ended login is remembered: its cookies may still come.
const REMEMBERED_SECS: i64 = 8 * 86_400;

/// Cookies of logins from elsewhere that are told apart, per person: a program could make up any number.
const MOST_FOREIGN: usize = 256;

/// Whose a login is, to what, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) app: &'a AppId,
    pub(crate) person: &'a PersonId,
    pub(crate) idle: Option<Duration>,
    pub(crate) now: Timestamp,
}

/// What is known of a login.
#[derive(Clone, Debug)]
struct Going {
    app: AppId,
    person: PersonId,
    /// Its newest request.
    last: Timestamp,
    requests: u64,
    /// After how long the SaaS ends it, if that is known.
    idle: Option<Duration>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing came for so long that the SaaS should have ended it. If something does, it has not.
    Quiet,
    Ended,
    /// It came to nothing, or to nothing yet: what went on before goes on. What was typed is not written anywhere; it may
    /// be a password in the wrong field.
    Idle {
        before: Option<LoginId>,
        typed: Option<Typed>,
    },
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Quiet => "quiet",
            Self::Ended => "ended",
            Self::Idle { .. } => "idle",
        }
    }

    fn read(word: &str, before: Option<&str>) -> Self {
        match word {
            "open" => Self::Open,
            "quiet" => Self::Quiet,
            "idle" => Self::Idle { before: before.and_then(|id| LoginId::new(id).ok()), typed: None },
            _ => Self::Ended,
        }
    }
}

/// What was typed at the first step of a login.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) id: Option<Box<str>>,
    pub(crate) account: Option<Box<str>>,
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed(…)")
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    logins: HashMap<LoginId, Going>,
    changed: HashSet<LoginId>,
    /// Logins that began elsewhere, by their cookies: several requests may come before the browser has its mark.
    foreign: HashMap<(PersonId, Tag), LoginId>,
    /// Tags of login IDs that a SaaS has accepted.
    accepted: HashSet<(AppId, [u8; 16])>,
    newly_accepted: Vec<(AppId, [u8; 16])>,
}

impl Table {
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        store.transaction(|tx| {
            let mut table = Self::default();
            for row in
                tx.query("SELECT id, app, person, last, requests, idle_secs, state, earlier FROM saas_login", &[])?
            {
                // What no longer reads as an identifier is not worth failing for.
                if let Some((id, going)) = read(&row)? {
                    table.logins.insert(id, going);
                }
            }
            for row in tx.query("SELECT app, tag FROM saas_login_id", &[])? {
                if let (Ok(app), Ok(tag)) = (AppId::new(row.text(0)?), row.bytes(1)?.try_into()) {
                    table.accepted.insert((app, tag));
                }
            }
            Ok(table)
        })
    }

    /// The login that a mark's stands for now. None also for one that nobody here has heard of: nothing is told of it.
    pub(super) fn resolve(&self, id: &LoginId) -> Option<LoginId> {
        let mut id = id;
        // Refused in a row; in a circle never, but this must end.
        for _ in 0..64 {
            match &self.logins.get(id)?.state {
                State::Open | State::Quiet => return Some(id.clone()),
                State::Ended => return None,
                State::Idle { before, .. } => id = before.as_ref()?,
            }
        }
        None
    }

    /// The login that any of a person's cookies, which nobody saw being set, is known to stand for; else `fresh`, for all of
    /// them.
    pub(super) fn found(&mut self, person: &PersonId, tags: &[Tag], fresh: &LoginId) -> LoginId {
        let goes_on = |id: &&LoginId| self.resolve(id).is_some();
        let known = tags.iter().find_map(|tag| self.foreign.get(&(person.clone(), *tag)).filter(goes_on));
        let many = || {
            let theirs: Vec<_> = self.foreign.iter().filter(|((whose, _), _)| whose == person).collect();
            (theirs.len() >= MOST_FOREIGN).then(|| theirs.into_iter().map(|(_, id)| id).find(goes_on)).flatten()
        };
        let known = known.or_else(many).unwrap_or(fresh).clone();
        if self.foreign.iter().filter(|((whose, _), _)| whose == person).count() < MOST_FOREIGN {
            self.foreign.extend(tags.iter().map(|tag| ((person.clone(), *tag), known.clone())));
        }
        known
    }

    /// A request under a login.
    pub(super) fn request(&mut self, id: &LoginId, now: Timestamp) {
        let Some(going) = self.logins.get_mut(id) else { return };
        going.requests += 1;
        going.last = going.last.max(now);
        if going.state == State::Quiet {
            going.state = State::Open;
        }
        self.changed.insert(id.clone());
    }

    /// It goes on from now on.
    pub(super) fn begin(&mut self, id: &LoginId, of: Of<'_>) {
        self.put(id, of, State::Open);
    }

    /// It came to nothing, or with `typed` to nothing yet.
    pub(super) fn put_off(&mut self, id: &LoginId, of: Of<'_>, before: Option<LoginId>, typed: Option<Typed>) {
        let before = before.filter(|before| before != id);
        self.put(id, of, State::Idle { before, typed });
    }

    fn put(&mut self, id: &LoginId, of: Of<'_>, state: State) {
        let (app, person) = (of.app.clone(), of.person.clone());
        self.logins.insert(id.clone(), Going { app, person, last: of.now, requests: 0, idle: of.idle, state });
        self.changed.insert(id.clone());
    }

    /// What was typed at the first step of a login that waits for a further one, and what went on before.
    pub(super) fn waiting(&self, id: &LoginId) -> Option<(Typed, Option<LoginId>)> {
        match &self.logins.get(id)?.state {
            State::Idle { typed: Some(typed), before } => Some((typed.clone(), before.clone())),
            _ => None,
        }
    }

    /// None: it had ended, or never began.
    pub(super) fn end(&mut self, id: &LoginId, cause: &str, now: Timestamp) -> Option<LoginEnd> {
        let going = self.logins.get_mut(id).filter(|going| matches!(going.state, State::Open | State::Quiet))?;
        going.state = State::Ended;
        self.changed.insert(id.clone());
        Some(going.end(id, cause, now))
    }

    /// Ends what nothing was heard of for long, and forgets what ended long ago.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Vec<LoginEnd> {
        let mut ends = Vec::new();
        for (id, going) in &mut self.logins {
            let quiet = going.idle.unwrap_or(QUIET);
            let until = Timestamp(going.last.0.saturating_add(i64::try_from(quiet.as_micros()).unwrap_or(i64::MAX)));
            if going.state == State::Open && until < now {
                going.state = State::Quiet;
                self.changed.insert(id.clone());
                ends.push(match going.idle {
                    Some(_) => going.end(id, "idle", until),
                    None => going.end(id, "unknown", going.last),
                });
            }
        }
        let forgotten: Vec<_> = self
            .logins
            .iter()
            .filter(|(_, going)| going.state != State::Open && now.secs_since(going.last) > REMEMBERED_SECS)
            .map(|(id, _)| id.clone())
            .collect();
        for id in forgotten {
            self.logins.remove(&id);
            self.changed.insert(id);
        }
        self.foreign.retain(|_, id| self.logins.contains_key(id));
        ends
    }

    /// The SaaS has accepted a login ID. It is none that may be a password from then on.
    pub(super) fn accept(&mut self, app: &AppId, tag: [u8; 16]) {
        if self.accepted.insert((app.clone(), tag)) {
            self.newly_accepted.push((app.clone(), tag));
        }
    }

    pub(super) fn has_accepted(&self, app: &AppId, tag: [u8; 16]) -> bool {
        self.accepted.contains(&(app.clone(), tag))
    }

    /// What is to be written to the database.
    pub(super) fn take_changes(&mut self) -> Changes {
        let logins = self.changed.drain().map(|id| {
            let going = self.logins.get(&id).cloned();
            (id, going)
        });
        Changes { logins: logins.collect(), accepted: std::mem::take(&mut self.newly_accepted) }
    }

    /// They could not be written.
    pub(super) fn give_back(&mut self, changes: Changes) {
        self.changed.extend(changes.logins.into_iter().map(|(id, _)| id));
        self.newly_accepted.extend(changes.accepted);
    }
}

impl Going {
    fn end(&self, id: &LoginId, cause: &str, ended: Timestamp) -> LoginEnd {
        LoginEnd {
            app: self.app.clone(),
            login: id.clone(),
            person: Some(self.person.clone()),
            cause: cause.to_owned(),
            ended,
            requests: self.requests,
            more: serde_json::Map::new(),
        }
    }
}

fn read(row: &Row) -> Result<Option<(LoginId, Going)>, StoreError> {
    let (Ok(id), Ok(app), Ok(person)) =
        (LoginId::new(row.text(0)?), AppId::new(row.text(1)?), PersonId::new(row.text(2)?))
    else {
        return Ok(None);
    };
    let idle = row.opt_int(5)?.and_then(|secs| u64::try_from(secs).ok()).map(Duration::from_secs);
    let requests = u64::try_from(row.int(4)?).unwrap_or(0);
    let state = State::read(row.text(6)?, row.opt_text(7)?);
    Ok(Some((id, Going { app, person, last: Timestamp(row.int(3)?), requests, idle, state })))
}

/// What has changed since the last time.
#[derive(Debug)]
pub(super) struct Changes {
    /// None: it is forgotten.
    logins: Vec<(LoginId, Option<Going>)>,
    accepted: Vec<(AppId, [u8; 16])>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.logins.is_empty() && self.accepted.is_empty()
    }

    pub(super) fn write(&self, store: &Store) -> Result<(), StoreError> {
        store.transaction(|tx| {
            for (id, going) in &self.logins {
                let Some(going) = going else {
                    tx.execute("DELETE FROM saas_login WHERE id = $1", &[id.as_str().into()])?;
                    continue;
                };
                let earlier = match &going.state {
                    State::Idle { before, .. } => before.as_ref().map(LoginId::as_str),
                    _ => None,
                };
                let idle = going.idle.map(|idle| i64::try_from(idle.as_secs()).unwrap_or(i64::MAX));
                tx.execute(
                    "INSERT INTO saas_login (id, app, person, last, requests, idle_secs, state, earlier)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                     ON CONFLICT (id) DO UPDATE
                     SET last = $4, requests = $5, idle_secs = $6, state = $7, earlier = $8",
                    &[
                        id.as_str().into(),
                        going.app.as_str().into(),
                        going.person.as_str().into(),
                        going.last.0.into(),
                        i64::try_from(going.requests).unwrap_or(i64::MAX).into(),
                        idle.into(),
                        going.state.word().into(),
                        earlier.into(),
                    ],
                )?;
            }
            for (app, tag) in &self.accepted {
                tx.execute(
                    "INSERT INTO saas_login_id (app, tag) VALUES ($1, $2) ON CONFLICT (app, tag) DO NOTHING",
                    &[app.as_str().into(), tag[..].into()],
                )?;
            }
            Ok(())
        })
    }
}
