//! The tokens there are, in memory by their hashes and written through to the state database.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use data_encoding::BASE32_NOPAD;
use store::Store;
use vocabulary::Timestamp;

use super::rows;
use super::token::{ScimToken, Scopes};
use crate::secret::{self, Digest};
use crate::{IdentityError, Token};

/// What stands before a token's random part, so that scanners for leaked secrets can know it.
const PREFIX: &str = "sekisho_scim_";
/// Hashed together with a token.
const SCOPE: &str = "scim";

type Map = HashMap<Digest, Arc<ScimToken>>;

/// Every token that was made and not revoked. Clones share all of it.
#[derive(Clone, Debug)]
pub struct ScimTokens {
    store: Store,
    map: Arc<ArcSwap<Map>>,
    /// Held while the map changes.
    changes: Arc<Mutex<()>>,
}

/// A token that was made and is not yet in force.
#[derive(Debug)]
pub struct NewToken {
    pub token: Arc<ScimToken>,
    secret: Token,
}

impl NewToken {
    /// Makes a token; [`ScimTokens::insert`] puts it in force.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn make(
        name: String,
        provider: String,
        scopes: Scopes,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        let bytes = secret::random::<32>()?;
        let id = BASE32_NOPAD.encode(&secret::random::<5>()?).to_ascii_lowercase();
        let token = ScimToken {
            id,
            name,
            provider,
            scopes,
            created: now,
            expires,
            hash: secret::digest(SCOPE, &bytes),
            revoked: AtomicBool::new(false),
            used: AtomicI64::new(0),
            used_from: Mutex::new(None),
            saved: AtomicI64::new(0),
        };
        Ok(Self { token: Arc::new(token), secret: Token::encode(&bytes) })
    }

    /// What the provider is given, once.
    pub fn danger_expose(&self) -> String {
        format!("{PREFIX}{}", self.secret.as_str())
    }
}

impl ScimTokens {
    pub(crate) fn open(store: Store) -> Result<Self, IdentityError> {
        let map = store.transaction(rows::tokens)?.into_iter().map(|t| (t.hash, Arc::new(t))).collect();
        Ok(Self { store, map: Arc::new(ArcSwap::from_pointee(map)), changes: Arc::default() })
    }

    /// The token of an `Authorization` header, if it is one of ours and good at this moment. From memory.
    pub fn lookup(&self, authorization: &str, from: IpAddr, now: Timestamp) -> Option<Arc<ScimToken>> {
        let (scheme, token) = authorization.split_once(' ')?;
        let token = token.trim_matches(' ');
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let bytes = secret::parse(token.strip_prefix(PREFIX)?)?;
        let token = self.map.load().get(&secret::digest(SCOPE, &bytes)).cloned()?;
        if !token.is_live(now) {
            return None;
        }
        token.touch(from, now);
        Some(token)
    }

    /// Whether a token that was good still is.
    pub fn is_live(&self, token: &ScimToken, now: Timestamp) -> bool {
        token.is_live(now)
    }

    /// All that were not revoked, expired ones too, oldest first.
    pub fn list(&self) -> Vec<Arc<ScimToken>> {
        let mut tokens: Vec<_> = self.map.load().values().cloned().collect();
        tokens.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        tokens
    }

    pub fn get(&self, id: &str) -> Option<Arc<ScimToken>> {
        self.map.load().values().find(|t| t.id == id).cloned()
    }

    /// Puts a token in force. Blocks.
    ///
    /// # Errors
    /// The state database fails.
    pub fn insert(&self, new: &NewToken) -> Result<(), IdentityError> {
        self.store.transaction(|tx| rows::insert_token(tx, &new.token))?;
        self.change(|map| map.insert(new.token.hash, new.token.clone()));
        Ok(())
    }

    /// Takes a token out of force, from the next request on. Blocks.
    ///
    /// # Errors
    /// The state database fails. The token is out of force nevertheless, until the next start.
    pub fn revoke(&self, id: &str) -> Result<Option<Arc<ScimToken>>, IdentityError> {
        let Some(token) = self.get(id) else { return Ok(None) };
        token.revoked.store(true, Ordering::Release);
        self.store.transaction(|tx| rows::delete_token(tx, id))?;
        self.change(|map| map.remove(&token.hash));
        Ok(Some(token))
    }

    /// Writes down when tokens were last used, where that has changed. Blocks.
    ///
    /// # Errors
    /// The state database fails; the next call tries again.
    pub fn flush(&self) -> Result<(), IdentityError> {
        let stale: Vec<_> = self
            .list()
            .into_iter()
            .filter(|t| t.used.load(Ordering::Relaxed) != t.saved.load(Ordering::Relaxed))
            .map(|t| (t.summary(), t))
            .collect();
        if stale.is_empty() {
            return Ok(());
        }
        self.store.transaction(|tx| stale.iter().try_for_each(|(seen, _)| rows::touch_token(tx, seen)))?;
        for (seen, token) in stale {
            token.saved.store(seen.last_used.unwrap_or_default().0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Map) -> T) {
        let _one_at_a_time = self.changes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut map = Map::clone(&self.map.load());
        change(&mut map);
        self.map.store(Arc::new(map));
    }
}
