//! Login IDs of a SaaS that several people use, and people who use several.

use std::collections::BTreeMap;

use vocabulary::{AppId, PersonId, Timestamp};

use super::{History, Query};
use crate::{AuditError, Filter, Login, LoginResult, Record};

/// A login of a SaaS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SaasAccount {
    pub app: AppId,
    /// The SaaS's account of the facility (法人ID, sub-domain).
    pub account: Option<String>,
    /// The SaaS's login ID, or, where only that is known, its keyed hash.
    pub id: String,
    pub hashed: bool,
}

/// One person's logins with one login ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub account: SaasAccount,
    pub person: PersonId,
    pub logins: u64,
    /// Attempts that failed; they make nobody share anything.
    pub failed: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// What is shared in a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedIds {
    /// Login IDs with which several people logged in: whose uses stand together.
    pub by_several: Vec<Use>,
    /// People who logged in to one app with several IDs: whose uses stand together.
    pub several_of_one: Vec<Use>,
}

impl SaasAccount {
    /// None: nothing is known of the ID.
    fn of(login: &Login) -> Option<Self> {
        let (id, hashed) = match (&login.saas_id, &login.saas_id_hash) {
            (Some(id), _) => (id, false),
            (None, Some(hash)) => (hash, true),
            (None, None) => return None,
        };
        Some(Self { app: login.app.clone(), account: login.account.clone(), id: id.clone(), hashed })
    }
}

impl History {
    /// Who shares what, by the logins that fit.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn shared_ids(&self, filter: Filter) -> Result<SharedIds, AuditError> {
        let filter = Filter { kinds: vec!["login".to_owned()], ..filter };
        let mut uses: BTreeMap<(SaasAccount, PersonId), Use> = BTreeMap::new();
        for entry in self.read(Query { filter, ..Query::default() })? {
            let entry = entry?;
            let Record::Login(login) = &entry.record else { continue };
            let (Some(account), Some(person)) = (SaasAccount::of(login), &login.person) else { continue };
            let of = uses.entry((account.clone(), person.clone())).or_insert_with(|| Use {
                account,
                person: person.clone(),
                logins: 0,
                failed: 0,
                first: entry.at,
                last: entry.at,
            });
            match login.result {
                LoginResult::Ok => of.logins += 1,
                LoginResult::Failed => of.failed += 1,
                _ => {}
            }
            of.first = of.first.min(entry.at);
            of.last = of.last.max(entry.at);
        }
        let mut people: BTreeMap<&SaasAccount, u64> = BTreeMap::new();
        let mut ids: BTreeMap<(&PersonId, &AppId), u64> = BTreeMap::new();
        for of in uses.values().filter(|of| of.logins > 0) {
            *people.entry(&of.account).or_default() += 1;
            *ids.entry((&of.person, &of.account.app)).or_default() += 1;
        }
        let several = |many: Option<&u64>| many.is_some_and(|many| *many > 1);
        let by_several = uses.values().filter(|of| several(people.get(&of.account))).cloned().collect();
        let mut several_of_one: Vec<Use> =
            uses.values().filter(|of| several(ids.get(&(&of.person, &of.account.app)))).cloned().collect();
        several_of_one.sort_by(|a, b| (&a.person, &a.account).cmp(&(&b.person, &b.account)));
        Ok(SharedIds { by_several, several_of_one })
    }
}
