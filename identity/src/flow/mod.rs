//! The way from an app's host to the sign-in page and back.
//!
//! An app's host [`begin`](SignIns::begin)s a sign-in: where somebody wanted to go stays here, on the server side,
//! and only a handle travels. The sign-in page [`mint`](SignIns::mint_ticket)s a one-time ticket for that handle and
//! sends the browser back, where the host [`redeem`](SignIns::redeem)s it. A ticket is worth something for 30 s,
//! once, on that host, with the same client certificate, in the browser that began (the *binder* cookie): nobody
//! can be signed in as somebody else by following a link.
//!
//! An app of several hosts is led through each of them: redeeming on one yields a handle for the next, which the
//! next host [`bind`](SignIns::bind)s to the browser, and the sign-in page mints again.
//!
//! All of it lives in memory, bounded; a restart only means that who is on the way starts again.

mod table;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::hmac;
use vocabulary::{SessionId, Timestamp};

use crate::IdentityError;
use crate::secret::{self, Digest, Token};
use crate::source::Source;
use table::{Entry, Table, Ticket};

/// Seconds a ticket may be redeemed for.
const TICKET_SECS: i64 = 30;
/// Seconds somebody may take to sign in.
const PENDING_SECS: i64 = 600;
/// The longest target kept, in bytes. Longer ones lead to the app's front page.
const LONGEST_TARGET: usize = 4096;

/// Somebody wants to go to an app and has to sign in first.
pub struct Begin<'a> {
    /// The host that will redeem the ticket; lower case, as in [`Sessions::lookup`](crate::Sessions::lookup).
    pub host: &'a str,
    /// Path and query to return to.
    pub target: &'a str,
    /// SHA-256 of the client certificate on this connection.
    pub certificate: Option<[u8; 32]>,
    /// Further hosts of the app that need a cookie of their own.
    pub remaining_hosts: Vec<String>,
    /// The binder cookie the browser sent, if any.
    pub binder: Option<&'a str>,
    /// The sign-in must not be older than so many seconds: a rule asks for it.
    pub within: Option<i64>,
    pub source: IpAddr,
    pub now: Timestamp,
}

/// The next host of an app takes over a handle.
#[derive(Clone, Copy)]
pub struct Bind<'a> {
    pub handle: &'a str,
    pub host: &'a str,
    pub certificate: Option<[u8; 32]>,
    pub binder: Option<&'a str>,
    pub now: Timestamp,
}

/// Somebody comes back with a ticket.
#[derive(Clone, Copy)]
pub struct Redeem<'a> {
    pub ticket: &'a str,
    pub host: &'a str,
    pub certificate: Option<[u8; 32]>,
    pub binder: Option<&'a str>,
    pub now: Timestamp,
}

/// A sign-in under way.
pub struct Started {
    /// For the sign-in page's URL.
    pub handle: Token,
    /// The value the binder cookie must have from now on. The same as before, where the browser had one of ours:
    /// one cookie serves all tabs.
    pub binder_cookie: String,
}

/// Where a sign-in leads.
#[derive(Clone, PartialEq, Eq)]
pub struct Pending {
    /// The host that redeems the ticket.
    pub host: String,
    /// The host the person wanted to see; another one while the app's further hosts are visited.
    pub target_host: String,
    /// Path and query there; begins with exactly one `/`.
    pub target: String,
    /// The sign-in must not be older than so many seconds.
    pub within: Option<i64>,
}

/// A ticket was good.
pub struct Redeemed {
    pub session: SessionId,
    pub target_host: String,
    pub target: String,
    /// Hosts still to be visited, the next one first.
    pub remaining_hosts: Vec<String>,
    /// For `remaining_hosts[0]`: the handle it is to [`bind`](SignIns::bind). None at the end of the way.
    pub next: Option<Token>,
}

/// A ticket or a handle is not good. Whatever the cause, the way out is to start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Never issued, used before, or forgotten.
    #[error("the ticket is not known")]
    Unknown,
    #[error("the ticket has expired")]
    Expired,
    #[error("the ticket is for another host")]
    WrongHost,
    #[error("the ticket was asked for with another certificate")]
    WrongDevice,
    #[error("the ticket was asked for by another browser")]
    WrongBrowser,
    #[error("the operating system gave no random bytes")]
    Random,
}

/// All sign-ins under way. Clones share them. Locked for moments only, and never on the path of a signed-in
/// request.
#[derive(Clone)]
pub struct SignIns {
    table: Arc<Mutex<Table>>,
    /// Marks binders as ours and as one host's. New at every start, as is the table.
    key: Arc<hmac::Key>,
}

impl fmt::Debug for SignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIns").field("pending", &self.len()).finish_non_exhaustive()
    }
}

impl SignIns {
    /// None under way yet.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn new() -> Result<Self, IdentityError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret::random::<32>()?);
        Ok(Self { table: Arc::default(), key: Arc::new(key) })
    }

    /// Remembers where somebody wanted to go.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn begin(&self, begin: Begin<'_>) -> Result<Started, IdentityError> {
        let handle = Token::random()?;
        let binder_cookie = self.binder(begin.binder, begin.host)?;
        let pending = Pending {
            host: begin.host.to_owned(),
            target_host: begin.host.to_owned(),
            target: clean_target(begin.target).to_owned(),
            within: begin.within,
        };
        let entry = Entry {
            pending,
            remaining_hosts: begin.remaining_hosts,
            certificate: begin.certificate,
            binder: Some(binder_hash(&binder_cookie)),
            source: Source::from(begin.source),
            expires: begin.now.plus_secs(PENDING_SECS),
            ticket: None,
        };
        self.table().insert(handle_hash(&handle), entry, begin.now);
        Ok(Started { handle, binder_cookie })
    }

    /// Where the sign-in behind a handle leads, if it is still under way.
    pub fn get(&self, handle: &str, now: Timestamp) -> Option<Pending> {
        let key = parse("handle", handle)?;
        self.table().get(&key, now).map(|entry| entry.pending.clone())
    }

    /// Makes the ticket that lets `session` in where the handle leads. An earlier ticket for it is worth nothing
    /// from now on.
    ///
    /// # Errors
    /// The handle is not known or not yet bound to a browser.
    pub fn mint_ticket(&self, handle: &str, session: &SessionId, now: Timestamp) -> Result<Token, TicketError> {
        let key = parse("handle", handle).ok_or(TicketError::Unknown)?;
        let token = Token::random().map_err(|_| TicketError::Random)?;
        let hash = parse("ticket", token.as_str()).ok_or(TicketError::Random)?;
        let ticket = Ticket { hash, session: session.clone(), expires: now.plus_secs(TICKET_SECS) };
        self.table().set_ticket(&key, ticket, now).then_some(token).ok_or(TicketError::Unknown)
    }

    /// Takes a ticket back. It is used up whatever the outcome.
    ///
    /// # Errors
    /// Says what doesn't fit.
    pub fn redeem(&self, redeem: Redeem<'_>) -> Result<Redeemed, TicketError> {
        let hash = parse("ticket", redeem.ticket).ok_or(TicketError::Unknown)?;
        let mut table = self.table();
        let (key, ticket) = table.take_ticket(&hash).ok_or(TicketError::Unknown)?;
        if redeem.now >= ticket.expires {
            return Err(TicketError::Expired);
        }
        let entry = table.get(&key, redeem.now).ok_or(TicketError::Unknown)?;
        if entry.pending.host != redeem.host {
            return Err(TicketError::WrongHost);
        }
        if entry.certificate != redeem.certificate {
            return Err(TicketError::WrongDevice);
        }
        let binder = redeem.binder.filter(|b| self.is_ours(b, redeem.host)).map(binder_hash);
        if binder.is_none() || binder != entry.binder {
            return Err(TicketError::WrongBrowser);
        }
        let entry = table.remove(&key).ok_or(TicketError::Unknown)?;
        let mut redeemed = Redeemed {
            session: ticket.session,
            target_host: entry.pending.target_host.clone(),
            target: entry.pending.target.clone(),
            remaining_hosts: entry.remaining_hosts.clone(),
            next: None,
        };
        if let Some((host, rest)) = entry.remaining_hosts.split_first() {
            let handle = Token::random().map_err(|_| TicketError::Random)?;
            let next = Entry {
                pending: Pending { host: host.clone(), ..entry.pending },
                remaining_hosts: rest.to_vec(),
                certificate: None,
                binder: None,
                expires: redeem.now.plus_secs(PENDING_SECS),
                ticket: None,
                source: entry.source,
            };
            table.insert(handle_hash(&handle), next, redeem.now);
            redeemed.next = Some(handle);
        }
        Ok(redeemed)
    }

    /// Binds the handle for an app's next host to the browser and certificate that come with it; once.
    ///
    /// # Errors
    /// The handle is not known, is for another host, or has been bound.
    pub fn bind(&self, bind: Bind<'_>) -> Result<Started, TicketError> {
        let bytes = secret::parse(bind.handle).ok_or(TicketError::Unknown)?;
        let binder_cookie = self.binder(bind.binder, bind.host).map_err(|_| TicketError::Random)?;
        let mut table = self.table();
        let entry = table.get_mut(&secret::digest("handle", &bytes), bind.now).ok_or(TicketError::Unknown)?;
        if entry.pending.host != bind.host {
            return Err(TicketError::WrongHost);
        }
        if entry.binder.is_some() {
            return Err(TicketError::Unknown);
        }
        entry.binder = Some(binder_hash(&binder_cookie));
        entry.certificate = bind.certificate;
        Ok(Started { handle: Token::encode(&bytes), binder_cookie })
    }

    /// How many sign-ins are under way.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The browser's binder if we made it for this host, or a new one: 32 random bytes and a mark over them and
    /// the host. Scripts on the app's host could set a cookie of that name, but not make one.
    fn binder(&self, present: Option<&str>, host: &str) -> Result<String, IdentityError> {
        if let Some(present) = present.filter(|b| self.is_ours(b, host)) {
            return Ok(present.to_owned());
        }
        let random = Token::random()?;
        let mark = hmac::sign(&self.key, marked(random.as_str(), host).as_bytes());
        Ok(format!("{}.{}", random.as_str(), data_encoding::BASE64URL_NOPAD.encode(mark.as_ref())))
    }

    fn is_ours(&self, binder: &str, host: &str) -> bool {
        let Some((random, mark)) = binder.split_once('.') else { return false };
        let Some(mark) = secret::parse(mark) else { return false };
        secret::parse(random).is_some() && hmac::verify(&self.key, marked(random, host).as_bytes(), &mark).is_ok()
    }
}

fn marked(random: &str, host: &str) -> String {
    format!("binder {random} {host}")
}

fn binder_hash(binder: &str) -> Digest {
    secret::digest("binder", binder.as_bytes())
}

fn handle_hash(handle: &Token) -> Digest {
    // A token we made always parses.
    secret::digest("handle", &secret::parse(handle.as_str()).unwrap_or_default())
}

fn parse(scope: &str, token: &str) -> Option<Digest> {
    Some(secret::digest(scope, &secret::parse(token)?))
}

/// A path and query of the same host, or the front page: `//host` and `/\host` would lead elsewhere.
fn clean_target(target: &str) -> &str {
    let leads_away = target.starts_with("//") || target.contains('\\');
    let odd = target.len() > LONGEST_TARGET || target.bytes().any(|b| b <= b' ' || b == 0x7f);
    if !target.starts_with('/') || leads_away || odd { "/" } else { target }
}

macro_rules! opaque {
    ($($name:ident),*) => { $(
        /// Shows the host only: the rest is secret or says where somebody went.
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("host", &self.host).finish_non_exhaustive()
            }
        }
    )* };
}
opaque!(Begin, Bind, Redeem);

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Started(…)")
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("host", &self.host).finish_non_exhaustive()
    }
}

impl fmt::Debug for Redeemed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redeemed").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
