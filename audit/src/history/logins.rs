//! Logins to the SaaS, each with its end.

use std::collections::HashMap;
use std::sync::Arc;

use vocabulary::{LoginId, Timestamp};

use super::{Entries, History, Query};
use crate::{AuditError, Entry, Filter, Login, LoginEnd, Position, Record};

/// How far behind a period ends are looked for. Most logins end within hours, some that a SaaS remembers go on for weeks.
const END_COMES_WITHIN_SECS: i64 = 45 * 86_400;

/// A login to a SaaS, or an attempt at one.
#[derive(Clone, Debug, PartialEq)]
pub struct AppLogin {
    pub position: Position,
    pub at: Timestamp,
    pub login: Login,
    /// None: it still goes on, its end is not recorded yet, or it came to nothing.
    pub end: Option<Arc<LoginEnd>>,
}

impl AppLogin {
    /// From the SaaS's answer to the end.
    pub fn duration_secs(&self) -> Option<i64> {
        self.end.as_ref().map(|end| end.ended.secs_since(self.at))
    }

    /// It goes on, as far as is recorded.
    pub fn is_open(&self) -> bool {
        self.login.login.is_some() && self.end.is_none()
    }
}

/// Logins as they are read. After an error nothing more comes.
#[derive(Debug)]
pub struct Logins {
    entries: Entries,
    ends: HashMap<LoginId, Arc<LoginEnd>>,
}

impl History {
    /// Logins that fit, whenever they ended, in the order asked for.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn logins(&self, query: Query) -> Result<Logins, AuditError> {
        let Query { filter, after, .. } = &query;
        let ended = Filter {
            kinds: vec!["login-end".to_owned()],
            from: filter.from,
            to: filter.to.map(|to| to.plus_secs(END_COMES_WITHIN_SECS)),
            person: filter.person.clone(),
            app: filter.app.clone(),
            ..Filter::default()
        };
        let mut ends = HashMap::new();
        for entry in self.read(Query { filter: ended, after: *after, ..Query::default() })? {
            if let Entry { record: Record::LoginEnd(end), .. } = entry? {
                ends.insert(end.login.clone(), Arc::new(end));
            }
        }
        let filter = Filter { kinds: vec!["login".to_owned()], ..query.filter };
        Ok(Logins { entries: self.read(Query { filter, ..query })?, ends })
    }
}

impl Iterator for Logins {
    type Item = Result<AppLogin, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Entry { position, at, record, .. } = match self.entries.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            if let Record::Login(login) = record {
                let end = login.login.as_ref().and_then(|id| self.ends.get(id)).cloned();
                return Some(Ok(AppLogin { position, at, login: *login, end }));
            }
        }
    }
}
