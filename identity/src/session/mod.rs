//! Server-side sessions: who signed in, on which device, with how many factors, and until when.
//!
//! A session has a public name ([`SessionId`]) and one token per host: what one host's cookie says is worth
//! nothing on another. What happens to sessions stands in `map.rs`, their rows in `rows.rs`.

mod map;
mod rows;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use vocabulary::{DeviceId, GroupName, PersonId, SessionId, Timestamp};

use crate::secret::Digest;

pub use map::Sessions;

/// What a session begins with.
#[derive(Clone, Debug)]
pub struct BeginSession {
    /// From [`Sessions::new_id`]; made before, so that the record of the sign-in can name it.
    pub id: SessionId,
    pub person: PersonId,
    /// How many factors the person showed, 1 or 2.
    pub factors: u8,
    /// The device whose certificate was there at the sign-in.
    pub device: Option<DeviceId>,
    pub source: IpAddr,
    /// The host that gets the first token: that of the sign-in pages.
    pub host: String,
    /// Where the person signed in, if not in the built-in directory.
    pub account: Option<SessionAccount>,
    pub now: Timestamp,
}

/// The account at a provider that a session stands on.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionAccount {
    /// Id of the configuration.
    pub provider: String,
    pub issuer: String,
    pub subject: String,
    /// The provider's own name of its session.
    pub sid: Option<String>,
    /// Groups that the provider gave, for as long as the session lasts.
    pub groups: Vec<GroupName>,
    /// When the person signed in there, if the provider said so.
    pub signed_in: Option<Timestamp>,
}

impl fmt::Debug for SessionAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAccount").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// For how long a sign-in counts as just done: ten minutes.
pub const FRESH_SECS: i64 = 600;

/// How many GET targets a session remembers to tell a repeated one.
const REMEMBERED: usize = 32;

/// One sign-in. Shared between requests; what changes in it is atomic.
pub struct Session {
    id: SessionId,
    person: PersonId,
    factors: u8,
    device: Option<DeviceId>,
    source: IpAddr,
    started: Timestamp,
    account: Option<SessionAccount>,
    active: AtomicI64,
    /// When the person last showed that it is they who sit there: at the beginning, or later with the password. In
    /// memory only. Long ago for who came from a provider: it may have vouched without asking anybody.
    confirmed: AtomicI64,
    /// The second factor was shown after the session began: the person set it up in it. In memory only.
    second: AtomicBool,
    /// What of `active` is in the state database.
    saved: AtomicI64,
    ended: AtomicBool,
    targets: [AtomicU64; REMEMBERED],
    next_target: AtomicUsize,
    tokens: Mutex<Vec<HostToken>>,
}

/// A host's token, as it is kept.
#[derive(Clone)]
struct HostToken {
    host: String,
    hash: Digest,
    /// Counts up within the session, so that the oldest is known.
    made: i64,
}

impl Session {
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    pub fn person(&self) -> &PersonId {
        &self.person
    }

    pub fn factors(&self) -> u8 {
        self.factors
    }

    pub fn device(&self) -> Option<&DeviceId> {
        self.device.as_ref()
    }

    /// Where the sign-in came from. The person may have moved since.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The account at a provider; none for who signed in to the built-in directory.
    pub fn account(&self) -> Option<&SessionAccount> {
        self.account.as_ref()
    }

    /// When the person last showed who they are; None if the provider didn't say.
    pub fn signed_in(&self) -> Option<Timestamp> {
        match &self.account {
            Some(account) => account.signed_in,
            None => Some(self.started),
        }
    }

    /// Whether the person showed who they are within so many seconds before `now`.
    pub fn is_fresh(&self, within: i64, now: Timestamp) -> bool {
        self.signed_in().is_some_and(|at| now.secs_since(at) <= within)
    }

    pub fn last_active(&self) -> Timestamp {
        Timestamp(self.active.load(Ordering::Relaxed))
    }

    /// Notes that the person has just shown the password again.
    pub fn confirm(&self, now: Timestamp) {
        self.confirmed.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Notes that the person has just shown a second factor, by setting it up. The session's factors stay what they
    /// were at its beginning.
    pub fn show_second(&self) {
        self.second.store(true, Ordering::Relaxed);
    }

    /// Whether a second factor was shown in this session, at its beginning or later.
    pub fn has_shown_second(&self) -> bool {
        self.factors >= 2 || self.second.load(Ordering::Relaxed)
    }

    /// Whether the person signed in here, or showed the password again, within [`FRESH_SECS`]. Only then may they
    /// change what they sign in with.
    pub fn is_confirmed(&self, now: Timestamp) -> bool {
        now.secs_since(Timestamp(self.confirmed.load(Ordering::Relaxed))) < FRESH_SECS
    }

    /// Whether it was ended. A session that merely ran out says `false`; see [`Sessions::is_live`].
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether a request with this device may use the session: only from where it began, be that one device or
    /// none. A cookie carried elsewhere is worth nothing.
    pub fn matches_device(&self, device: Option<&DeviceId>) -> bool {
        self.device.as_ref() == device
    }

    /// Whether a request shows that somebody is there: a page opened, or anything but a GET that repeats. Pages
    /// left open poll the same few targets; that must not keep a session alive.
    ///
    /// `target` is a hash of host and path. Leave the query out: pollers put the time into it.
    pub fn is_activity(&self, method: &str, target: u64, navigation: bool) -> bool {
        if navigation || !matches!(method, "GET" | "HEAD" | "OPTIONS") {
            return true;
        }
        // 0 marks an empty place.
        let target = target.max(1);
        if self.targets.iter().any(|seen| seen.load(Ordering::Relaxed) == target) {
            return false;
        }
        let place = self.next_target.fetch_add(1, Ordering::Relaxed) % REMEMBERED;
        if let Some(place) = self.targets.get(place) {
            place.store(target, Ordering::Relaxed);
        }
        true
    }

    pub fn summary(&self) -> SessionSummary {
        SessionSummary {
            id: self.id.clone(),
            person: self.person.clone(),
            factors: self.factors,
            device: self.device.clone(),
            source: self.source,
            started: self.started,
            last_active: self.last_active(),
            provider: self.account.as_ref().map(|account| account.provider.clone()),
            hosts: self.hosts(),
        }
    }

    fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<_> = self.with_tokens(|tokens| tokens.iter().map(|t| t.host.clone()).collect());
        hosts.sort();
        hosts.dedup();
        hosts
    }

    fn with_tokens<T>(&self, work: impl FnOnce(&mut Vec<HostToken>) -> T) -> T {
        work(&mut self.tokens.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).field("person", &self.person).finish_non_exhaustive()
    }
}

/// What an administrator sees of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionSummary {
    pub id: SessionId,
    pub person: PersonId,
    pub factors: u8,
    pub device: Option<DeviceId>,
    pub source: IpAddr,
    pub started: Timestamp,
    pub last_active: Timestamp,
    /// Where the person signed in, if not in the built-in directory.
    pub provider: Option<String>,
    /// Where the session has a cookie.
    pub hosts: Vec<String>,
}

/// A session that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub id: SessionId,
    pub person: PersonId,
    pub cause: EndCause,
}

/// Why a session ended; the word stands in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndCause {
    /// The person signed out.
    SignOut,
    /// An administrator ended it.
    Administrator,
    /// Nobody was there for too long.
    Idle,
    /// The longest time a session may last was over.
    Absolute,
    /// The person was locked, or is not on the roster any more.
    Person,
    /// The person's last day is over.
    Retired,
    /// The device was revoked.
    Device,
    /// The password or the second factor was changed.
    Credential,
    /// The provider's page told the browser that the person signed out there.
    FrontChannel,
    /// The provider told us that the person signed out there.
    BackChannel,
    /// The provider that vouched for the person, or the directory, is not in the configuration any more.
    Provider,
}

impl EndCause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignOut => "sign-out",
            Self::Administrator => "administrator",
            Self::Idle => "idle",
            Self::Absolute => "absolute",
            Self::Person => "person",
            Self::Retired => "retired",
            Self::Device => "device",
            Self::Credential => "credential",
            Self::FrontChannel => "front-channel",
            Self::BackChannel => "back-channel",
            Self::Provider => "provider-removed",
        }
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
