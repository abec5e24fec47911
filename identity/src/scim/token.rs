//! Bearer tokens (RFC 6750) of providers: what they may do, for which provider, and until when.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use vocabulary::Timestamp;

use crate::secret::Digest;

/// One thing a token may be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    UsersRead,
    UsersWrite,
    GroupsRead,
    GroupsWrite,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::UsersRead, Self::UsersWrite, Self::GroupsRead, Self::GroupsWrite];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UsersRead => "users:read",
            Self::UsersWrite => "users:write",
            Self::GroupsRead => "groups:read",
            Self::GroupsWrite => "groups:write",
        }
    }
}

/// A set of scopes. Whoever may write may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes(u8);

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self(1 << scope as u8)
    }
}

impl Scopes {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub fn and(self, scope: Scope) -> Self {
        Self(self.0 | Self::from(scope).0)
    }

    pub const fn contains(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    fn has(self, scope: Scope) -> bool {
        self.contains(scope.into())
    }
}

/// The text names no scope that there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope; write users:read, users:write, groups:read, groups:write, or users and groups for both")]
pub struct ScopeError(String);

impl FromStr for Scopes {
    type Err = ScopeError;

    /// Scopes separated by commas; `users` is both of its scopes.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let mut scopes = Self::NONE;
        for word in text.split(',').map(str::trim) {
            scopes = match word {
                "users:read" => scopes.and(Scope::UsersRead),
                "users" | "users:write" => scopes.and(Scope::UsersRead).and(Scope::UsersWrite),
                "groups:read" => scopes.and(Scope::GroupsRead),
                "groups" | "groups:write" => scopes.and(Scope::GroupsRead).and(Scope::GroupsWrite),
                other => return Err(ScopeError(other.chars().take(80).collect())),
            };
        }
        Ok(scopes)
    }
}

impl TryFrom<String> for Scopes {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = Scope::ALL.iter().filter(|s| self.has(**s)).map(|s| s.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

/// A token as it is kept: by its hash. It is shown once, when it is made.
pub struct ScimToken {
    /// Its public name; it stands in records as `scim:<id>`.
    pub id: String,
    pub name: String,
    /// Whose people and groups it sees.
    pub provider: String,
    pub scopes: Scopes,
    pub created: Timestamp,
    pub expires: Timestamp,
    pub(crate) hash: Digest,
    pub(crate) revoked: AtomicBool,
    /// 0: never.
    pub(crate) used: AtomicI64,
    pub(crate) used_from: Mutex<Option<IpAddr>>,
    /// What of `used` is in the state database.
    pub(crate) saved: AtomicI64,
}

/// What an operator sees of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenSummary {
    pub id: String,
    pub name: String,
    pub provider: String,
    pub scopes: Scopes,
    pub created: Timestamp,
    pub expires: Timestamp,
    pub last_used: Option<Timestamp>,
    pub last_used_from: Option<IpAddr>,
}

impl ScimToken {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        !self.revoked.load(Ordering::Acquire) && now < self.expires
    }

    pub(crate) fn touch(&self, from: IpAddr, now: Timestamp) {
        self.used.store(now.0, Ordering::Relaxed);
        *self.used_from.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
    }

    pub fn summary(&self) -> TokenSummary {
        let used = self.used.load(Ordering::Relaxed);
        TokenSummary {
            id: self.id.clone(),
            name: self.name.clone(),
            provider: self.provider.clone(),
            scopes: self.scopes,
            created: self.created,
            expires: self.expires,
            last_used: (used != 0).then_some(Timestamp(used)),
            last_used_from: *self.used_from.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl fmt::Debug for ScimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScimToken").field("id", &self.id).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}
