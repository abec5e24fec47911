//! All sessions: in memory for requests, written through so that they survive a restart.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use store::Store;
use vocabulary::{DeviceId, PersonId, SessionId, Timestamp};

use super::{BeginSession, EndCause, Ended, HostToken, Session, rows};
use crate::error::blocking;
use crate::secret::{self, Digest, Token};
use crate::{IdentityError, LogoutScope, Settings};

/// How many tokens a session keeps per host. More than one, because tabs that sign in at the same time each
/// get theirs, and a request under way must not lose its own.
const TOKENS_PER_HOST: usize = 4;

/// Activity is noted to the second: several requests at once need not all write.
const TOUCH_STEP: i64 = 1_000_000;

/// All sessions. Clones share them.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    store: Store,
    by_token: papaya::HashMap<Digest, Arc<Session>>,
    by_id: papaya::HashMap<SessionId, Arc<Session>>,
    idle: AtomicI64,
    absolute: AtomicI64,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("live", &self.len()).finish_non_exhaustive()
    }
}

impl Sessions {
    pub(crate) fn open(store: Store, settings: &Settings) -> Result<Self, IdentityError> {
        let inner = Inner {
            by_token: papaya::HashMap::new(),
            by_id: papaya::HashMap::new(),
            idle: AtomicI64::new(micros(settings.idle)),
            absolute: AtomicI64::new(micros(settings.absolute)),
            store,
        };
        for session in inner.store.transaction(rows::load)? {
            inner.insert(&Arc::new(session));
        }
        Ok(Self(Arc::new(inner)))
    }

    pub(crate) fn apply(&self, settings: &Settings) {
        self.0.idle.store(micros(settings.idle), Ordering::Relaxed);
        self.0.absolute.store(micros(settings.absolute), Ordering::Relaxed);
    }

    /// The session behind a cookie of `host`, if it is live. No lock, no I/O, about as dear as one SHA-256.
    ///
    /// `host` must be written as it was for [`Self::token_for_host`]: lower case, without a default port.
    pub fn lookup(&self, token: &str, host: &str, now: Timestamp) -> Option<Arc<Session>> {
        let hash = secret::digest(host, &secret::parse(token)?);
        let session = self.0.by_token.pin().get(&hash).cloned()?;
        self.is_live(&session, now).then_some(session)
    }

    /// Whether the session still stands at `now`. Streams and WebSockets ask again while they last.
    pub fn is_live(&self, session: &Session, now: Timestamp) -> bool {
        !session.has_ended() && self.0.run_out(session, now).is_none()
    }

    /// Notes that somebody is there; ask [`Session::is_activity`] first. Reaches the disk with
    /// [`Self::maintain`].
    pub fn touch(&self, session: &Session, now: Timestamp) {
        if now.0.saturating_sub(session.active.load(Ordering::Relaxed)) >= TOUCH_STEP {
            session.active.fetch_max(now.0, Ordering::Relaxed);
        }
    }

    /// A name for a session that is about to begin.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn new_id(&self) -> Result<SessionId, IdentityError> {
        new_id()
    }

    /// Begins a session and makes the token for its first host. Must have been recorded before.
    ///
    /// # Errors
    /// The state database fails; then there is no session.
    pub async fn begin(&self, begin: BeginSession) -> Result<(SessionId, Token), IdentityError> {
        let token = Token::random()?;
        let hash = hash(&token, &begin.host);
        let session = Arc::new(Session {
            id: begin.id,
            person: begin.person,
            factors: begin.factors,
            device: begin.device,
            source: begin.source.to_canonical(),
            started: begin.now,
            confirmed: if begin.account.is_none() { begin.now.0 } else { 0 }.into(),
            second: false.into(),
            account: begin.account,
            active: begin.now.0.into(),
            saved: begin.now.0.into(),
            ended: false.into(),
            targets: Default::default(),
            next_target: 0.into(),
            tokens: vec![HostToken { host: begin.host, hash, made: 0 }].into(),
        });
        let inner = Arc::clone(&self.0);
        blocking(move || {
            inner.store.transaction(|tx| rows::insert(tx, &session))?;
            inner.insert(&session);
            Ok((session.id.clone(), token))
        })
        .await
    }

    /// Makes a token by which `host` knows the session. Older ones of that host go on for a while.
    ///
    /// # Errors
    /// The session has ended, or the state database fails.
    pub async fn token_for_host(&self, id: &SessionId, host: &str) -> Result<Token, IdentityError> {
        let gone = || IdentityError::NoSuchSession(id.clone());
        let session = self.get(id).ok_or_else(gone)?;
        let token = Token::random()?;
        let hash = hash(&token, host);
        let (added, dropped) = session.with_tokens(|tokens| {
            let made = tokens.iter().map(|t| t.made).max().unwrap_or(0) + 1;
            let added = HostToken { host: host.to_owned(), hash, made };
            tokens.push(added.clone());
            let of_host = tokens.iter().filter(|t| t.host == host).count();
            let oldest = tokens.iter().filter(|t| t.host == host).min_by_key(|t| t.made).map(|t| t.hash);
            let dropped = oldest.filter(|_| of_host > TOKENS_PER_HOST);
            tokens.retain(|t| Some(t.hash) != dropped);
            (added, dropped)
        });
        let inner = Arc::clone(&self.0);
        let keep = Arc::clone(&session);
        blocking(move || {
            inner.store.transaction(|tx| rows::insert_token(tx, &keep.id, &added, dropped.as_ref()))?;
            let map = inner.by_token.pin();
            map.insert(hash, keep);
            if let Some(dropped) = dropped {
                map.remove(&dropped);
            }
            Ok(())
        })
        .await?;
        // Ended meanwhile: the token opens nothing, since `lookup` asks the session too.
        if session.has_ended() { Err(gone()) } else { Ok(token) }
    }

    /// A live session by its public name. It may have run out; see [`Self::is_live`].
    pub fn get(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.0.by_id.pin().get(id).filter(|s| !s.has_ended()).cloned()
    }

    /// All sessions that have not ended, newest first.
    pub fn list(&self) -> Vec<Arc<Session>> {
        let mut sessions = self.unordered();
        sessions.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| a.id.cmp(&b.id)));
        sessions
    }

    fn unordered(&self) -> Vec<Arc<Session>> {
        self.0.by_id.pin().values().filter(|s| !s.has_ended()).cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.0.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends one session: no request finds it once this has been called, even before it is awaited to its end.
    /// `None` if it had ended before. What it holds open is for the caller to cut.
    ///
    /// # Errors
    /// The state database fails. The session has ended all the same, but would be back after a restart.
    pub async fn end(&self, id: &SessionId, cause: EndCause) -> Result<Option<Ended>, IdentityError> {
        let sessions = self.get(id).into_iter().map(|s| (s, cause)).collect();
        Ok(self.end_these(sessions).await?.pop())
    }

    /// Ends every session of a person.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub async fn end_person(&self, person: &PersonId, cause: EndCause) -> Result<Vec<Ended>, IdentityError> {
        let sessions = self.list().into_iter().filter(|s| s.person == *person).map(|s| (s, cause)).collect();
        self.end_these(sessions).await
    }

    /// The sessions that a provider's sign-out ends: of its session if one is named, else all of its subject. Those
    /// whose provider's session has no name that we know of go by the subject.
    pub fn of_account(&self, scope: &LogoutScope) -> Vec<Arc<Session>> {
        let mut sessions = self.list();
        sessions.retain(|session| {
            session.account().filter(|account| account.issuer == scope.issuer).is_some_and(|account| {
                let same_subject = scope.subject.as_ref().is_none_or(|subject| *subject == account.subject);
                match &scope.sid {
                    Some(sid) => match &account.sid {
                        Some(known) => known == sid && same_subject,
                        None => scope.subject.is_some() && same_subject,
                    },
                    None => scope.subject.is_some() && same_subject,
                }
            })
        });
        sessions
    }

    /// Ends every session of a person but one.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub async fn end_others(
        &self,
        person: &PersonId,
        keep: &SessionId,
        cause: EndCause,
    ) -> Result<Vec<Ended>, IdentityError> {
        let others = self.list().into_iter().filter(|s| s.person == *person && s.id != *keep);
        self.end_these(others.map(|s| (s, cause)).collect()).await
    }

    /// Ends every session that began on a device.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub async fn end_device(&self, device: &DeviceId, cause: EndCause) -> Result<Vec<Ended>, IdentityError> {
        let sessions =
            self.list().into_iter().filter(|s| s.device.as_ref() == Some(device)).map(|s| (s, cause)).collect();
        self.end_these(sessions).await
    }

    /// Ends every session for which there is a cause.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub async fn end_where(&self, cause: impl Fn(&Session) -> Option<EndCause>) -> Result<Vec<Ended>, IdentityError> {
        let sessions = self.unordered().into_iter().filter_map(|s| cause(&s).map(|cause| (s, cause))).collect();
        self.end_these(sessions).await
    }

    /// To be called every minute or so: ends what has run out and saves when people were last active. Without it
    /// sessions still end in time, but take up memory, and after a restart seem idle for longer than they were.
    ///
    /// # Errors
    /// The state database fails.
    pub async fn maintain(&self, now: Timestamp) -> Result<Vec<Ended>, IdentityError> {
        let (over, live): (Vec<_>, Vec<_>) =
            self.unordered().into_iter().map(|s| (self.0.run_out(&s, now), s)).partition(|(cause, _)| cause.is_some());
        let ended = self.end_these(over.into_iter().filter_map(|(cause, s)| Some((s, cause?))).collect()).await?;
        let moved: Vec<_> = live
            .into_iter()
            .map(|(_, session)| (session.last_active().0, session))
            .filter(|(active, session)| session.saved.load(Ordering::Relaxed) < *active)
            .collect();
        if !moved.is_empty() {
            let inner = Arc::clone(&self.0);
            blocking(move || {
                inner.store.transaction(|tx| rows::save_activity(tx, &moved))?;
                for (active, session) in moved {
                    session.saved.store(active, Ordering::Relaxed);
                }
                Ok(())
            })
            .await?;
        }
        Ok(ended)
    }

    async fn end_these(&self, sessions: Vec<(Arc<Session>, EndCause)>) -> Result<Vec<Ended>, IdentityError> {
        // In memory first and all at once: it must bite on the next request, whatever the disk does.
        let ended: Vec<_> = sessions
            .into_iter()
            .filter(|(session, _)| self.0.remove(session))
            .map(|(session, cause)| Ended { id: session.id.clone(), person: session.person.clone(), cause })
            .collect();
        if ended.is_empty() {
            return Ok(ended);
        }
        let inner = Arc::clone(&self.0);
        blocking(move || {
            inner.store.transaction(|tx| rows::delete(tx, ended.iter().map(|e| &e.id)))?;
            Ok(ended)
        })
        .await
    }
}

impl Inner {
    fn insert(&self, session: &Arc<Session>) {
        let by_token = self.by_token.pin();
        for token in session.with_tokens(|tokens| tokens.clone()) {
            by_token.insert(token.hash, Arc::clone(session));
        }
        self.by_id.pin().insert(session.id.clone(), Arc::clone(session));
    }

    /// Whether it was there to be ended.
    fn remove(&self, session: &Session) -> bool {
        let was_live = !session.ended.swap(true, Ordering::AcqRel);
        self.by_id.pin().remove(&session.id);
        let by_token = self.by_token.pin();
        for token in session.with_tokens(|tokens| tokens.clone()) {
            by_token.remove(&token.hash);
        }
        was_live
    }

    fn run_out(&self, session: &Session, now: Timestamp) -> Option<EndCause> {
        if now.0.saturating_sub(session.started.0) >= self.absolute.load(Ordering::Relaxed) {
            Some(EndCause::Absolute)
        } else if now.0.saturating_sub(session.active.load(Ordering::Relaxed)) >= self.idle.load(Ordering::Relaxed) {
            Some(EndCause::Idle)
        } else {
            None
        }
    }
}

fn hash(token: &Token, host: &str) -> Digest {
    // A token we made always parses; were it not so, the hash of nothing would match no token either.
    secret::digest(host, &secret::parse(token.as_str()).unwrap_or_default())
}

/// `s-` and 80 random bits: enough that no two are the same, short enough to read out.
pub(super) fn new_id() -> Result<SessionId, IdentityError> {
    let name = data_encoding::BASE32_NOPAD.encode(&secret::random::<10>()?).to_ascii_lowercase();
    SessionId::new(format!("s-{name}")).map_err(|e| IdentityError::row("a session", &e))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
