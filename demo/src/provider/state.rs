//! What the provider knows: accounts, clients, who is signed in, which codes are out.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::keys::{Key, random};
use super::{Mischief, ProviderClient, ProviderOptions};

/// Somebody who can sign in at the provider.
#[derive(Clone, Debug)]
pub struct ProviderAccount {
    pub login: String,
    pub password: String,
    /// What the provider calls the person towards clients.
    pub subject: String,
    pub name: String,
    pub mail: Option<String>,
    pub mail_verified: bool,
    /// Shown as `realm_access.roles`.
    pub roles: Vec<String>,
    /// Authentication methods (RFC 8176).
    pub amr: Vec<String>,
}

pub(super) struct Idp {
    pub(super) issuer: String,
    pub(super) accounts: Vec<ProviderAccount>,
    pub(super) claims_in_token: bool,
    pub(super) key_reads: AtomicU64,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) key: Key,
    pub(super) clients: Vec<ProviderClient>,
    pub(super) mischief: Option<Mischief>,
    pub(super) last_request: Vec<(String, String)>,
    /// By the browser's cookie.
    pub(super) sessions: HashMap<String, Session>,
    /// Authorization requests whose form is shown.
    pub(super) asked: HashMap<String, Request>,
    pub(super) codes: HashMap<String, Grant>,
    pub(super) access: HashMap<String, usize>,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) sid: String,
    /// Position among the accounts.
    pub(super) account: usize,
    pub(super) auth_time: i64,
}

/// An authorization request that holds together.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) state: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: String,
}

pub(super) struct Grant {
    pub(super) request: Request,
    pub(super) session: Session,
}

impl Idp {
    pub(super) fn new(options: ProviderOptions, port: u16) -> Option<Self> {
        Some(Self {
            issuer: format!("https://{}:{port}", options.host),
            accounts: options.accounts,
            claims_in_token: options.claims_in_token,
            key_reads: AtomicU64::new(0),
            state: Mutex::new(State {
                key: Key::new()?,
                clients: Vec::new(),
                mischief: None,
                last_request: Vec::new(),
                sessions: HashMap::new(),
                asked: HashMap::new(),
                codes: HashMap::new(),
                access: HashMap::new(),
            }),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sessions_of(&self, login: &str) -> Vec<(String, String)> {
        let state = self.state();
        let of = |session: &Session| self.accounts.get(session.account).filter(|account| account.login == login);
        state.sessions.values().filter_map(|s| of(s).map(|a| (a.subject.clone(), s.sid.clone()))).collect()
    }
}

impl State {
    pub(super) fn rotate(&mut self) {
        if let Some(key) = Key::new() {
            self.key = key;
        }
    }

    pub(super) fn client(&self, id: &str) -> Option<&ProviderClient> {
        self.clients.iter().find(|client| client.id == id)
    }

    /// The address that a granted request leads back to.
    pub(super) fn grant(&mut self, issuer: &str, request: Request, session: Session) -> String {
        let code = random().unwrap_or_default();
        let mut pairs = vec![("state", request.state.clone())];
        match &self.mischief {
            Some(Mischief::Error(error)) => {
                pairs.push(("error", error.clone()));
                pairs.push(("error_description", "<script>alert('夜露死苦')</script>".to_owned()));
            }
            _ => pairs.push(("code", code.clone())),
        }
        match &self.mischief {
            Some(Mischief::ResponseIssuer(None)) => {}
            Some(Mischief::ResponseIssuer(Some(other))) => pairs.push(("iss", other.clone())),
            _ => pairs.push(("iss", issuer.to_owned())),
        }
        let location = back(&request.redirect_uri, &pairs);
        self.codes.insert(code, Grant { request, session });
        location
    }
}

/// An address with a query.
pub(super) fn back(uri: &str, pairs: &[(&str, String)]) -> String {
    let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", crate::client::encode(value))).collect();
    format!("{uri}{}{}", if uri.contains('?') { '&' } else { '?' }, query.join("&"))
}

pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
