//! Forms that came after their session had ended: kept for a while, so that what somebody has written is not lost.
//!
//! Kept in memory alone, at most [`FORM_LIMIT`] bytes each, [`MOST`] in all, ten minutes long. Each is encrypted under
//! a key of which we hold one half and the browser the other, in a cookie: neither a dump of our memory nor the
//! cookie gives the form away. It is handed back to the person whose mark (see [`Owners`](crate::Owners)) the browser
//! bore when it was sent, once, and to nobody else.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use vocabulary::Timestamp;
use zeroize::Zeroizing;

use crate::secret::{self, Digest, Token};
use crate::source::Source;

/// The longest body kept, in bytes.
pub const FORM_LIMIT: usize = 64 * 1024;
/// At most this many forms, about 14 MB.
const MOST: usize = 200;
/// At most this many from one source: a facility behind one address may lose them all at once, but not fill all.
const MOST_PER_SOURCE: usize = 100;
/// At most this many of one browser.
const MOST_PER_BROWSER: usize = 8;
const SECS: i64 = 600;

/// A form as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    /// Path and query.
    pub target: String,
    pub content_type: String,
    pub referer: Option<String>,
    pub body: Vec<u8>,
}

/// A form to be kept.
pub struct Keep<'a> {
    /// The host it was sent to.
    pub host: &'a str,
    /// The mark of whose form it is.
    pub owner: &'a str,
    /// The browser's half of the key, if it has one of ours.
    pub browser: Option<&'a str>,
    pub source: IpAddr,
    pub form: Form,
    pub now: Timestamp,
}

/// The form is kept.
pub struct Kept {
    /// The browser's half of the key, for its cookie.
    pub browser: Token,
}

/// The form is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    TooBig,
    /// Too many are kept already.
    Full,
    /// It could not be encrypted.
    Failed,
}

/// Names a form among those of one browser.
#[derive(Clone, PartialEq, Eq)]
pub struct FormId(Token);

impl FormId {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A kept form, as far as it can be told without opening it.
#[derive(Clone, Debug)]
pub struct HeldForm {
    pub id: FormId,
    pub at: Timestamp,
    /// Whether it is of the person who asks.
    pub yours: bool,
}

/// All forms kept. Clones share them.
#[derive(Clone, Default)]
pub struct HeldForms(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    entries: HashMap<Digest, Entry>,
}

struct Entry {
    id: FormId,
    /// Hash of host and the browser's half.
    browser: Digest,
    owner: String,
    source: Source,
    at: Timestamp,
    half: Zeroizing<[u8; 32]>,
    sealed: Vec<u8>,
}

impl HeldForms {
    /// Keeps a form.
    ///
    /// # Errors
    /// Says why it is not kept; the person is to be told.
    pub fn keep(&self, keep: &Keep<'_>) -> Result<Kept, NotKept> {
        if keep.form.body.len() > FORM_LIMIT {
            return Err(NotKept::TooBig);
        }
        let theirs = keep.browser.and_then(secret::parse);
        let theirs = match theirs {
            Some(bytes) => bytes,
            None => secret::random().map_err(|_| NotKept::Failed)?,
        };
        let half = Zeroizing::new(secret::random::<32>().map_err(|_| NotKept::Failed)?);
        let id = FormId(Token::random().map_err(|_| NotKept::Failed)?);
        let mut sealed = keep.form.written();
        let key = key(&half, &theirs).ok_or(NotKept::Failed)?;
        key.seal_in_place_append_tag(nonce(), Aad::from(id.as_str().as_bytes()), &mut sealed)
            .map_err(|_| NotKept::Failed)?;
        let browser = browser(keep.host, &theirs);
        let source = Source::from(keep.source);
        let mut table = self.table(keep.now);
        let of_browser: Vec<_> = table.entries.values().filter(|e| e.browser == browser).map(|e| e.at).collect();
        let of_source = table.entries.values().filter(|e| e.source == source).count();
        if of_browser.len() >= MOST_PER_BROWSER || of_source >= MOST_PER_SOURCE || table.entries.len() >= MOST {
            return Err(NotKept::Full);
        }
        let entry = Entry { id: id.clone(), browser, owner: keep.owner.to_owned(), source, at: keep.now, half, sealed };
        table.entries.insert(name(&id), entry);
        Ok(Kept { browser: Token::encode(&theirs) })
    }

    /// The forms of a browser on a host, the oldest first. `owner`: the mark of who asks.
    pub fn list(&self, host: &str, browser_half: &str, owner: &str, now: Timestamp) -> Vec<HeldForm> {
        let Some(theirs) = secret::parse(browser_half) else { return Vec::new() };
        let browser = browser(host, &theirs);
        let table = self.table(now);
        let mut forms: Vec<_> = table
            .entries
            .values()
            .filter(|e| e.browser == browser)
            .map(|e| HeldForm { id: e.id.clone(), at: e.at, yours: e.owner == owner })
            .collect();
        forms.sort_by_key(|form| form.at);
        forms
    }

    /// Opens a form and leaves it where it is: to say what would be sent.
    pub fn look(&self, id: &str, host: &str, browser_half: &str, owner: &str, now: Timestamp) -> Option<Form> {
        self.find(id, host, browser_half, owner, now, false)
    }

    /// Takes a form out; nobody finds it again.
    pub fn take(&self, id: &str, host: &str, browser_half: &str, owner: &str, now: Timestamp) -> Option<Form> {
        self.find(id, host, browser_half, owner, now, true)
    }

    /// Drops what a browser left that is not of who asks; how many those were.
    pub fn drop_of_others(&self, host: &str, browser_half: &str, owner: &str, now: Timestamp) -> usize {
        let Some(theirs) = secret::parse(browser_half) else { return 0 };
        let browser = browser(host, &theirs);
        let mut table = self.table(now);
        let before = table.entries.len();
        table.entries.retain(|_, e| e.browser != browser || e.owner == owner);
        before - table.entries.len()
    }

    fn find(&self, id: &str, host: &str, half: &str, owner: &str, now: Timestamp, take: bool) -> Option<Form> {
        let theirs = secret::parse(half)?;
        let key_of = secret::digest("held form", &secret::parse(id)?);
        let browser = browser(host, &theirs);
        let mut table = self.table(now);
        let entry = table.entries.get(&key_of).filter(|e| e.browser == browser && e.owner == owner)?;
        let mut sealed = Zeroizing::new(entry.sealed.clone());
        let key = key(&entry.half, &theirs)?;
        let plain = key.open_in_place(nonce(), Aad::from(entry.id.as_str().as_bytes()), &mut sealed).ok();
        let form = plain.and_then(|bytes| Form::read(bytes));
        if take {
            table.entries.remove(&key_of);
        }
        form
    }

    /// The table without what is too old.
    fn table(&self, now: Timestamp) -> MutexGuard<'_, Table> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.entries.retain(|_, e| now < e.at.plus_secs(SECS));
        table
    }
}

impl Form {
    fn written(&self) -> Vec<u8> {
        let referer = self.referer.as_deref().unwrap_or_default();
        let mut out = Vec::with_capacity(self.body.len() + self.target.len() + referer.len() + 128);
        for part in [self.target.as_bytes(), self.content_type.as_bytes(), referer.as_bytes(), &self.body] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut part = || {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
            bytes = rest;
            Some(part.to_vec())
        };
        let mut text = || String::from_utf8(part()?).ok();
        let (target, content_type, referer) = (text()?, text()?, text()?);
        Some(Self { target, content_type, referer: Some(referer).filter(|r| !r.is_empty()), body: part()? })
    }
}

/// Fresh for every form, so that the nonce may be fixed.
fn key(ours: &[u8; 32], theirs: &[u8; 32]) -> Option<LessSafeKey> {
    let both = Zeroizing::new([*ours, *theirs].concat());
    let key = Zeroizing::new(secret::digest("held form key", &both));
    UnboundKey::new(&AES_256_GCM, &key[..]).ok().map(LessSafeKey::new)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn browser(host: &str, theirs: &[u8; 32]) -> Digest {
    secret::digest(&format!("held form of {host}"), theirs)
}

fn name(id: &FormId) -> Digest {
    secret::digest("held form", &secret::parse(id.as_str()).unwrap_or_default())
}

macro_rules! opaque {
    ($($name:ty),*) => { $(
        /// Shows nothing: what people wrote, and what opens it.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )* };
}
opaque!(Form, Keep<'_>, Kept, FormId, HeldForms);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);
    const HOST: &str = "a.gw.example";

    fn form(body: &[u8]) -> Form {
        Form {
            target: "/notes?id=5".into(),
            content_type: "application/x-www-form-urlencoded".into(),
            referer: None,
            body: body.to_vec(),
        }
    }

    fn keep<'a>(owner: &'a str, browser: Option<&'a str>, body: &[u8]) -> Keep<'a> {
        let source = IpAddr::from([203, 0, 113, 10]);
        Keep { host: HOST, owner, browser, source, form: form(body), now: NOW }
    }

    #[test]
    fn a_form_comes_back_whole_once_and_to_its_person_alone() {
        let held = HeldForms::default();
        let kept = held.keep(&keep("sato", None, b"note=secret+words")).unwrap();
        let half = kept.browser.as_str();
        let id = held.list(HOST, half, "sato", NOW).pop().unwrap().id;
        assert!(!held.list(HOST, half, "suzuki", NOW)[0].yours);
        for (host, half, owner) in
            [("b.gw.example", half, "sato"), (HOST, half, "suzuki"), (HOST, Token::encode(&[1; 32]).as_str(), "sato")]
        {
            assert!(held.take(id.as_str(), host, half, owner, NOW).is_none());
        }
        assert_eq!(held.look(id.as_str(), HOST, half, "sato", NOW), Some(form(b"note=secret+words")));
        assert_eq!(held.take(id.as_str(), HOST, half, "sato", NOW), Some(form(b"note=secret+words")));
        assert!(held.take(id.as_str(), HOST, half, "sato", NOW).is_none(), "taken twice");
    }

    #[test]
    fn what_lies_in_memory_can_not_be_read_without_the_browsers_half() {
        let held = HeldForms::default();
        held.keep(&keep("sato", None, b"note=secret+words")).unwrap();
        let table = held.0.lock().unwrap();
        let entry = table.entries.values().next().unwrap();
        let shows = |needle: &[u8]| entry.sealed.windows(needle.len()).any(|w| w == needle);
        assert!(!shows(b"secret") && !shows(b"/notes"));
        assert!(!format!("{held:?}").contains("secret"));
    }

    #[test]
    fn it_is_kept_ten_minutes_and_not_longer() {
        let held = HeldForms::default();
        let half = held.keep(&keep("sato", None, b"x")).unwrap().browser;
        assert_eq!(held.list(HOST, half.as_str(), "sato", NOW.plus_secs(599)).len(), 1);
        assert!(held.list(HOST, half.as_str(), "sato", NOW.plus_secs(600)).is_empty());
    }

    #[test]
    fn bounds_hold_and_are_told() {
        let held = HeldForms::default();
        assert_eq!(held.keep(&keep("sato", None, &vec![0; FORM_LIMIT + 1])).err(), Some(NotKept::TooBig));
        let half = held.keep(&keep("sato", None, &vec![0; FORM_LIMIT])).unwrap().browser;
        for _ in 1..MOST_PER_BROWSER {
            assert!(held.keep(&keep("sato", Some(half.as_str()), b"x")).is_ok());
        }
        assert_eq!(held.keep(&keep("sato", Some(half.as_str()), b"x")).err(), Some(NotKept::Full));
        for _ in MOST_PER_BROWSER..MOST_PER_SOURCE {
            assert!(held.keep(&keep("sato", None, b"x")).is_ok());
        }
        assert_eq!(held.keep(&keep("sato", None, b"x")).err(), Some(NotKept::Full));
    }

    #[test]
    fn what_somebody_else_left_is_dropped_and_counted() {
        let held = HeldForms::default();
        let half = held.keep(&keep("sato", None, b"x")).unwrap().browser;
        held.keep(&keep("suzuki", Some(half.as_str()), b"y")).unwrap();
        assert_eq!(held.drop_of_others(HOST, half.as_str(), "suzuki", NOW), 1);
        assert!(held.list(HOST, half.as_str(), "suzuki", NOW).iter().all(|form| form.yours));
    }
}
