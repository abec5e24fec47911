//! What is not there any more because its time was over.

use vocabulary::Timestamp;

use super::{History, Query};
use crate::{AuditError, Filter, Record};

/// What was dropped from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Leaves below this index are gone.
    pub below: u64,
    /// Whole bundles of what lay before this time went; none: no record tells.
    pub before: Option<Timestamp>,
}

impl History {
    /// What was dropped; none: nothing.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn dropped(&self) -> Result<Option<Dropped>, AuditError> {
        let below = self.log().minimum_index()?;
        if below == 0 {
            return Ok(None);
        }
        let filter = Filter { kinds: vec!["retention".to_owned()], ..Filter::default() };
        let newest = self.read(Query { filter, newest_first: true, limit: Some(1), ..Query::default() })?.next();
        let before = newest.transpose()?.and_then(|entry| match entry.record {
            Record::Retention(retention) => Some(retention.before),
            _ => None,
        });
        Ok(Some(Dropped { below, before }))
    }
}
