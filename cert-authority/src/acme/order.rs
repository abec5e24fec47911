//! What the server keeps for an hour at most: accounts, and orders of one identifier each. An order has exactly one
//! authorization, and that exactly one challenge, so all three are one value with one id.

use std::collections::HashMap;

use serde_json::{Value, json};
use vocabulary::Timestamp;

use super::attestation::Attested;
use super::jws::Key;
use super::problem::{Kind, Problem, Result};
use crate::serial::random_text;

/// Seconds. A device goes through an enrolment in a few of them; its owner may be slow to allow it.
const LIFE: i64 = 3_600;
/// Many more than devices are enrolled in an hour. Accounts cost strangers nothing, so theirs are forgotten first.
const MOST_ACCOUNTS: usize = 1_000;
const MOST_ORDERS: usize = 1_000;
/// A device that fails begins anew, each time with another account.
const MOST_ORDERS_OF_ONE: usize = 10;

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(crate) struct Account {
    pub(crate) key: Key,
    expires: Timestamp,
}

pub(crate) struct Order {
    pub(crate) account: String,
    /// The one-time *ClientIdentifier*.
    pub(crate) identifier: String,
    /// RFC 8555 §8.1: base64url, and at least 128 bits; these are 258.
    pub(crate) token: String,
    pub(crate) attestation_required: bool,
    pub(crate) challenge: Challenge,
    pub(crate) progress: Progress,
    expires: Timestamp,
}

pub(crate) enum Challenge {
    Pending,
    /// Passed, with an attestation or, where none is required, without.
    Valid {
        at: Timestamp,
        attested: Option<Attested>,
    },
    Invalid(Problem),
}

pub(crate) enum Progress {
    /// Pending or ready, as the challenge is.
    Open,
    /// The caller is at it.
    Processing,
    Issued {
        chain_pem: String,
    },
    Refused(Problem),
}

#[derive(Default)]
pub(crate) struct Book {
    accounts: HashMap<String, Account>,
    orders: HashMap<String, Order>,
}

impl Book {
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.orders.retain(|_, order| now < order.expires);
        // An account lives as long as an order of it.
        let orders = &self.orders;
        self.accounts.retain(|id, account| now < account.expires || orders.values().any(|order| order.account == *id));
    }

    pub(crate) fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.get(id)
    }

    pub(crate) fn account_of(&self, key: &Key) -> Option<&str> {
        self.accounts.iter().find(|(_, account)| account.key == *key).map(|(id, _)| id.as_str())
    }

    pub(crate) fn open_account(&mut self, key: Key, now: Timestamp) -> Result<String> {
        if self.accounts.len() >= MOST_ACCOUNTS {
            let idle = |id: &String| !self.orders.values().any(|order| order.account == *id);
            let oldest = self.accounts.iter().filter(|(id, _)| idle(id)).min_by_key(|(_, account)| account.expires);
            let oldest = oldest.map(|(id, _)| id.clone()).ok_or_else(full)?;
            self.accounts.remove(&oldest);
        }
        let id = random(22)?;
        self.accounts.insert(id.clone(), Account { key, expires: now.plus_secs(LIFE) });
        Ok(id)
    }

    pub(crate) fn close_account(&mut self, id: &str) {
        self.accounts.remove(id);
        self.orders.retain(|_, order| order.account != id);
    }

    pub(crate) fn open_order(
        &mut self,
        account: &str,
        identifier: &str,
        attestation_required: bool,
        now: Timestamp,
    ) -> Result<String> {
        let same = self.orders.values().filter(|order| order.identifier == identifier).count();
        if self.orders.len() >= MOST_ORDERS || same >= MOST_ORDERS_OF_ONE {
            return Err(full());
        }
        let id = random(22)?;
        let order = Order {
            account: account.to_owned(),
            identifier: identifier.to_owned(),
            token: random(43)?,
            attestation_required,
            challenge: Challenge::Pending,
            progress: Progress::Open,
            expires: now.plus_secs(LIFE),
        };
        self.orders.insert(id.clone(), order);
        Ok(id)
    }

    /// The order, if it is this account's: of another's nobody learns that it is there.
    pub(crate) fn order(&mut self, id: &str, account: &str) -> Result<&mut Order> {
        let order = self.orders.get_mut(id).filter(|order| order.account == account);
        order.ok_or_else(|| Problem::new(Kind::Unauthorized, "this account has no such order"))
    }

    /// For the caller, who got the id from us.
    pub(crate) fn processing(&mut self, id: &str) -> Option<&mut Order> {
        self.orders.get_mut(id).filter(|order| matches!(order.progress, Progress::Processing))
    }

    /// Whether a certificate was issued for this identifier, or is just about to be.
    pub(crate) fn is_taken(&self, identifier: &str) -> bool {
        let taken = |order: &Order| matches!(order.progress, Progress::Processing | Progress::Issued { .. });
        self.orders.values().any(|order| order.identifier == identifier && taken(order))
    }

    pub(crate) fn orders_of<'a>(&'a self, account: &'a str) -> impl Iterator<Item = &'a str> {
        self.orders.iter().filter(move |(_, order)| order.account == account).map(|(id, _)| id.as_str())
    }
}

impl Order {
    /// RFC 8555 §7.1.6.
    pub(crate) const fn status(&self) -> &'static str {
        match (&self.progress, &self.challenge) {
            (Progress::Issued { .. }, _) => "valid",
            (Progress::Processing, _) => "processing",
            (Progress::Refused(_), _) | (Progress::Open, Challenge::Invalid(_)) => "invalid",
            (Progress::Open, Challenge::Valid { .. }) => "ready",
            (Progress::Open, Challenge::Pending) => "pending",
        }
    }

    /// RFC 8555 §7.1.3.
    pub(crate) fn document(&self, base: &str, id: &str) -> Value {
        let mut document = json!({
            "status": self.status(),
            "expires": rfc3339(self.expires),
            "identifiers": [self.identifier_document()],
            "authorizations": [format!("{base}/authz/{id}")],
            "finalize": format!("{base}/order/{id}/finalize"),
        });
        match (&self.progress, &self.challenge) {
            (Progress::Issued { .. }, _) => document["certificate"] = json!(format!("{base}/cert/{id}")),
            (Progress::Refused(problem), _) | (Progress::Open, Challenge::Invalid(problem)) => {
                document["error"] = problem.document();
            }
            _ => {}
        }
        document
    }

    /// RFC 8555 §7.1.4.
    pub(crate) fn authorization(&self, base: &str, id: &str) -> Value {
        json!({
            "status": self.challenge.status(),
            "expires": rfc3339(self.expires),
            "identifier": self.identifier_document(),
            "challenges": [self.challenge_document(base, id)],
        })
    }

    /// RFC 8555 §7.1.5.
    pub(crate) fn challenge_document(&self, base: &str, id: &str) -> Value {
        let mut document = json!({
            "type": "device-attest-01",
            "url": format!("{base}/chall/{id}"),
            "status": self.challenge.status(),
            "token": self.token,
        });
        match &self.challenge {
            Challenge::Pending => {}
            Challenge::Valid { at, .. } => document["validated"] = json!(rfc3339(*at)),
            Challenge::Invalid(problem) => document["error"] = problem.document(),
        }
        document
    }

    fn identifier_document(&self) -> Value {
        json!({ "type": "permanent-identifier", "value": self.identifier })
    }
}

impl Challenge {
    const fn status(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Valid { .. } => "valid",
            Self::Invalid(_) => "invalid",
        }
    }
}

fn random(length: usize) -> Result<String> {
    random_text(LETTERS, length).map_err(|error| Problem::new(Kind::ServerInternal, error.to_string()))
}

fn full() -> Problem {
    Problem::new(Kind::RateLimited, "too much is going on; try again in an hour")
}

/// In whole seconds: not every reader of RFC 3339 takes a fraction.
fn rfc3339(at: Timestamp) -> String {
    let text = Timestamp::from_secs(at.secs()).to_string();
    text.split_once('.').map_or(text.clone(), |(whole, _)| format!("{whole}Z"))
}
