//! How much of what is done in an app its recipe names.

use std::cmp::Reverse;
use std::collections::HashMap;

use vocabulary::Action;

use super::{History, Query};
use crate::{AuditError, Decision, Filter};

/// So many different requests are told apart; further ones count, and are not listed.
const MOST: usize = 100_000;

/// Permitted requests of a period, by whether the recipe names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub requests: u64,
    pub named: u64,
    /// Those without an operation, the most frequent first.
    pub unnamed: Vec<Unnamed>,
}

/// Requests that look alike and have no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnamed {
    pub method: String,
    /// As it is recorded, with `*` for what is a number.
    pub path: String,
    pub action: Action,
    pub requests: u64,
}

impl Coverage {
    /// From 0 to 1; none: there was no request.
    pub fn share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.named as f64 / self.requests as f64)
    }
}

impl History {
    /// What of the requests that fit, and were permitted, has an operation; the `most` most frequent ones that have none.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn coverage(&self, filter: Filter, most: usize) -> Result<Coverage, AuditError> {
        let filter = Filter { decision: Some(Decision::Permit), ..filter };
        let mut coverage = Coverage::default();
        let mut unnamed: HashMap<(String, Action), HashMap<String, u64>> = HashMap::new();
        let mut different = 0;
        for step in self.steps(Query { filter, ..Query::default() })? {
            let step = step?;
            if step.is_own() {
                continue;
            }
            coverage.requests += 1;
            if step.operation.is_some() {
                coverage.named += 1;
                continue;
            }
            let alike = unnamed.entry((step.method.as_ref().to_owned(), step.action)).or_default();
            let path = without_numbers(&step.path);
            if let Some(requests) = alike.get_mut(&path) {
                *requests += 1;
            } else if different < MOST {
                different += 1;
                alike.insert(path, 1);
            }
        }
        let all = unnamed.into_iter().flat_map(|((method, action), paths)| {
            paths.into_iter().map(move |(path, requests)| Unnamed { method: method.clone(), path, action, requests })
        });
        coverage.unnamed = all.collect();
        coverage.unnamed.sort_by(|a, b| {
            let key = |of: &Unnamed| (Reverse(of.requests), of.path.clone(), of.method.clone(), of.action);
            key(a).cmp(&key(b))
        });
        coverage.unnamed.truncate(most);
        Ok(coverage)
    }
}

/// Numbers between slashes are records of one screen.
fn without_numbers(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let is_number = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let segments = path.split('/').map(|segment| if is_number(segment) { "*" } else { segment });
    let mut out = segments.collect::<Vec<_>>().join("/");
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::without_numbers;

    #[test]
    fn records_of_one_screen_look_alike() {
        for (path, alike) in [
            ("/residents/1234/summary?tab=*", "/residents/*/summary?tab=*"),
            ("/k/12/show", "/k/*/show"),
            ("/HNC096201.do?x=1/2", "/HNC096201.do?x=1/2"),
            ("//7", "//*"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(path), alike);
        }
    }
}
