//! The mark that says which login a browser's cookies of a SaaS belong to.
//!
//! The SaaS's cookies stand for its login, and they change as it pleases. So whenever it sets one, the gate sets a mark
//! beside it: the login, and a tag of each cookie that was seen to be set. Both reach the browser in one response and
//! come back in one request, so they fit each other whatever happens in parallel, and after a restart of the gate. A
//! cookie without a tag was not set through the gate: its login began elsewhere.
//!
//! A mark is sealed for an app and a person. It opens nothing; who takes it away only makes a login look foreign.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use smallvec::SmallVec;
use vocabulary::{AppId, LoginId, PersonId};

/// Stands for a cookie's name and value.
pub(super) type Tag = [u8; 12];

/// A tag, and which of the app's hosts the cookie was set by.
pub(super) type Placed = (u8, Tag);

/// Tags in one mark: a SaaS has few session cookies, on few hosts and paths. The oldest go first.
const MOST_TAGS: usize = 16;

/// What a mark says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// None: the cookies stand for nobody yet.
    pub(super) login: Option<LoginId>,
    /// Cookies that nobody saw being set came first: until a login is known, they may stand for one from elsewhere.
    pub(super) foreign: bool,
    pub(super) tags: SmallVec<[Placed; 4]>,
}

impl Mark {
    pub(super) fn add(&mut self, host: u8, tags: impl IntoIterator<Item = Tag>) {
        for tag in tags {
            self.tags.retain(|(_, old)| *old != tag);
            self.tags.push((host, tag));
        }
        let surplus = self.tags.len().saturating_sub(MOST_TAGS);
        self.tags.drain(..surplus);
    }

    pub(super) fn remove(&mut self, tag: &Tag) {
        self.tags.retain(|(_, known)| known != tag);
    }

    pub(super) fn knows(&self, tag: &Tag) -> bool {
        self.tags.iter().any(|(_, known)| known == tag)
    }

    /// A host has set cookies, of which none came back.
    pub(super) fn is_gone_at(&self, host: u8) -> bool {
        self.tags.iter().any(|(by, _)| *by == host)
    }
}

/// Makes marks and reads them.
pub(super) struct Marks(hmac::Key);

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marks(…)")
    }
}

impl Marks {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    pub(super) fn tag(&self, app: &AppId, name: &str, value: &[u8]) -> Tag {
        self.half(&[b"cookie", app.as_str().as_bytes(), name.as_bytes(), value])
    }

    /// Stands for what was typed as login ID.
    pub(super) fn typed(&self, app: &AppId, id: &str) -> [u8; 16] {
        self.half(&[b"login-id", app.as_str().as_bytes(), id.as_bytes()])
    }

    /// `<login>.<tags>.<seal>`, without a login `.<tags>.<seal>`. Before the tags a byte that says whether they are foreign.
    pub(super) fn write(&self, app: &AppId, person: &PersonId, mark: &Mark) -> String {
        let login = mark.login.as_ref().map_or("", LoginId::as_str);
        let mut tags = vec![u8::from(mark.foreign)];
        for (host, tag) in &mark.tags {
            tags.push(*host);
            tags.extend_from_slice(tag);
        }
        let seal = hmac::sign(&self.0, &sealed(app, person, login, &tags));
        format!("{login}.{}.{}", BASE64URL_NOPAD.encode(&tags), BASE64URL_NOPAD.encode(seal.as_ref()))
    }

    /// None: it is not ours, or of another app or person.
    pub(super) fn read(&self, app: &AppId, person: &PersonId, text: &str) -> Option<Mark> {
        let mut parts = text.rsplitn(3, '.');
        let seal = BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok()?;
        let tags = BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok()?;
        let login = parts.next()?;
        hmac::verify(&self.0, &sealed(app, person, login, &tags), &seal).ok()?;
        let login = if login.is_empty() { None } else { Some(LoginId::new(login).ok()?) };
        let (foreign, tags) = tags.split_first()?;
        let placed = |bytes: &[u8; 13]| Some((bytes[0], bytes[1..].try_into().ok()?));
        let tags = tags.as_chunks().0.iter().map(placed).collect::<Option<_>>()?;
        Some(Mark { login, foreign: *foreign != 0, tags })
    }

    fn half<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut half = [0; N];
        half.copy_from_slice(&hmac::sign(&self.0, &joined(parts)).as_ref()[..N]);
        half
    }
}

fn sealed(app: &AppId, person: &PersonId, login: &str, tags: &[u8]) -> Vec<u8> {
    joined(&[b"mark", app.as_str().as_bytes(), person.as_str().as_bytes(), login.as_bytes(), tags])
}

/// Lengths first, so that no two parts run into others.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_app_and_person_and_nobody_else_can_make_it() {
        let (marks, others) = (Marks::new(&[1; 32]), Marks::new(&[2; 32]));
        let (app, person): (AppId, PersonId) = ("care".parse().unwrap(), "sato".parse().unwrap());
        let mut mark = Mark { login: Some(LoginId::new("ab12").unwrap()), ..Mark::default() };
        mark.add(1, [marks.tag(&app, "sid", b"1"), marks.tag(&app, "sid", b"2")]);
        let text = marks.write(&app, &person, &mark);
        assert_eq!(marks.read(&app, &person, &text), Some(mark.clone()));
        assert_eq!(marks.read(&"other".parse().unwrap(), &person, &text), None);
        assert_eq!(marks.read(&app, &"suzuki".parse().unwrap(), &text), None);
        assert_eq!(others.read(&app, &person, &text), None);
        let elsewhere = text.replace("ab12", "ab13");
        for wrong in ["", "..", "ab12", &elsewhere, &text[..text.len() - 1], &text.replace('.', "")] {
            assert_eq!(marks.read(&app, &person, wrong), None, "{wrong}");
        }
        assert!(!text.contains("sato") && !text.contains("sid"));
        (mark.login, mark.foreign) = (None, true);
        assert_eq!(marks.read(&app, &person, &marks.write(&app, &person, &mark)), Some(mark));
    }

    #[test]
    fn a_mark_keeps_the_newest_tags_each_once() {
        let mut mark = Mark::default();
        mark.add(0, (0..20).map(|n| [n; 12]));
        mark.add(1, [[5; 12]]);
        let kept: Vec<(u8, u8)> = mark.tags.iter().map(|(host, tag)| (*host, tag[0])).collect();
        let expected: Vec<_> = [4].into_iter().chain(6..20).map(|n| (0, n)).chain([(1, 5)]).collect();
        assert_eq!(kept, expected);
        assert!(mark.is_gone_at(1) && !mark.is_gone_at(2));
    }
}
