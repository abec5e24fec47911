//! How many connections may stand at once, and who gives way when there is no place left.
//!
//! A place is taken before the handshake. When there is none left, whoever comes takes the place of somebody whom
//! nobody knows and who has been waiting longest: of a handshake under way, then of a stranger's connection. Connections
//! of known people never give way. So silent strangers can't keep anybody out, however many they are: who is there for a
//! reason says something within moments, and gets on.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::connection::{Connection, Cut};

/// How many connections may stand at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) total: usize,
    /// From one IPv4 address or IPv6 /64.
    pub(crate) per_source: usize,
}

impl Limits {
    /// A quarter of the places may be taken by handshakes. Few places are not divided: browsers open several
    /// connections at once.
    const fn handshakes(places: usize) -> usize {
        if places / 4 > 16 { places / 4 } else { 16 }
    }
}

/// One connection's place among the limited number; given back when dropped, or when somebody else needs it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Weak<Places>,
    number: u64,
    source: IpAddr,
    given_back: AtomicBool,
    displaced: Notify,
}

impl Place {
    /// Resolves when somebody else has taken the place of this handshake.
    pub(super) async fn displaced(&self) {
        self.displaced.notified().await;
    }

    /// The handshake is over. Whether the place still stands: somebody may have taken it at the last moment.
    pub(super) fn established(&self) -> bool {
        let Some(places) = self.places.upgrade() else { return false };
        let mut book = places.lock();
        book.no_handshake(self);
        !self.given_back.load(Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Somebody may hold the book's lock while they drop a place that they have taken away.
        if !self.given_back.load(Relaxed)
            && let Some(places) = self.places.upgrade()
        {
            places.lock().give_back(self);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Places {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    total: usize,
    by_source: HashMap<IpAddr, Source>,
    /// Handshakes under way, by number, so oldest first.
    handshakes: BTreeSet<u64>,
    places: HashMap<u64, Weak<Place>>,
    /// Strangers' connections, who waits longest last. As the watchdog last saw them.
    strangers: Vec<(IpAddr, Weak<Connection>)>,
}

/// What was looked at under the book's lock, and may be dropped only after it: dropping a place takes the lock.
#[derive(Default)]
struct Spent(Vec<Arc<Place>>, Vec<Arc<Connection>>);

#[derive(Debug, Default)]
struct Source {
    places: usize,
    handshakes: BTreeSet<u64>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a connection that is about to shake hands; None if only known people's connections stand.
    pub(super) fn admit(self: &Arc<Self>, source: IpAddr, limits: Limits) -> Option<Arc<Place>> {
        let source = prefix(source);
        let mut spent = Spent::default();
        let mut book = self.lock();
        let (places, handshakes) =
            book.by_source.get(&source).map_or((0, 0), |here| (here.places, here.handshakes.len()));
        if places >= limits.per_source {
            let made =
                book.displace_handshake(Some(source), &mut spent) || book.displace_stranger(Some(source), &mut spent);
            made.then_some(())?;
        } else if handshakes >= Limits::handshakes(limits.per_source) {
            book.displace_handshake(Some(source), &mut spent);
        }
        if book.total >= limits.total {
            let made = book.displace_handshake(None, &mut spent) || book.displace_stranger(None, &mut spent);
            made.then_some(())?;
        } else if book.handshakes.len() >= Limits::handshakes(limits.total) {
            book.displace_handshake(None, &mut spent);
        }
        Some(book.take(self, source))
    }

    /// Whether newcomers are about to need others' places.
    pub(super) fn are_scarce(&self, limits: Limits) -> bool {
        let book = self.lock();
        book.total >= limits.total / 2 || book.by_source.values().any(|here| here.places >= limits.per_source / 2)
    }

    /// Whose places may be taken: strangers' connections, who waits longest last.
    pub(super) fn strangers(&self, strangers: &[Arc<Connection>]) {
        let listed = strangers.iter().map(|one| (prefix(one.ip()), Arc::downgrade(one))).collect();
        self.lock().strangers = listed;
    }
}

impl Book {
    fn take(&mut self, places: &Arc<Places>, source: IpAddr) -> Arc<Place> {
        let number = self.next;
        self.next += 1;
        self.total += 1;
        self.handshakes.insert(number);
        let here = self.by_source.entry(source).or_default();
        here.places += 1;
        here.handshakes.insert(number);
        let place = Arc::new(Place {
            places: Arc::downgrade(places),
            number,
            source,
            given_back: AtomicBool::new(false),
            displaced: Notify::new(),
        });
        self.places.insert(number, Arc::downgrade(&place));
        place
    }

    fn no_handshake(&mut self, place: &Place) {
        self.handshakes.remove(&place.number);
        self.places.remove(&place.number);
        if let Some(here) = self.by_source.get_mut(&place.source) {
            here.handshakes.remove(&place.number);
        }
    }

    fn give_back(&mut self, place: &Place) {
        if place.given_back.swap(true, Relaxed) {
            return;
        }
        self.no_handshake(place);
        self.total -= 1;
        if let Some(here) = self.by_source.get_mut(&place.source) {
            here.places -= 1;
            if here.places == 0 {
                self.by_source.remove(&place.source);
            }
        }
    }

    /// Takes the place of the oldest handshake, of this source if one is given.
    fn displace_handshake(&mut self, source: Option<IpAddr>, spent: &mut Spent) -> bool {
        let oldest = match source {
            Some(source) => self.by_source.get(&source).and_then(|here| here.handshakes.first()),
            None => self.handshakes.first(),
        };
        let Some(place) = oldest.and_then(|number| self.places.get(number)).and_then(Weak::upgrade) else {
            return false;
        };
        self.give_back(&place);
        place.displaced.notify_one();
        spent.0.push(place);
        true
    }

    /// Takes the place of the stranger who waits longest, of this source if one is given.
    fn displace_stranger(&mut self, source: Option<IpAddr>, spent: &mut Spent) -> bool {
        let of_source = |(of, _): &(IpAddr, Weak<Connection>)| source.is_none_or(|source| source == *of);
        while let Some(at) = self.strangers.iter().rposition(of_source) {
            let Some(connection) = self.strangers.remove(at).1.upgrade() else { continue };
            let gives_way = connection.waits_as_stranger();
            if gives_way {
                self.give_back(&connection.place);
                connection.cut_because(Cut::Displaced);
            }
            spent.1.push(connection);
            if gives_way {
                return true;
            }
        }
        false
    }
}

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 customer has at least.
fn prefix(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    fn established(places: &Arc<Places>, source: IpAddr, limits: Limits) -> Option<Arc<Place>> {
        let place = places.admit(source, limits)?;
        assert!(place.established());
        Some(place)
    }

    #[test]
    fn places_are_limited_in_all_and_per_source_and_given_back() {
        let places = Arc::new(Places::default());
        let limits = Limits { total: 3, per_source: 2 };
        let first = established(&places, HERE, limits).unwrap();
        let _second = established(&places, HERE, limits).unwrap();
        assert!(places.admit(HERE, limits).is_none(), "three from one source");
        let _third = established(&places, THERE, limits).unwrap();
        assert!(places.admit(THERE, limits).is_none(), "four in all");
        drop(first);
        assert!(places.admit(HERE, limits).is_some());
    }

    #[tokio::test]
    async fn the_oldest_handshake_gives_way() {
        let places = Arc::new(Places::default());
        let limits = Limits { total: 3, per_source: 3 };
        let oldest = places.admit(HERE, limits).unwrap();
        let _finished = established(&places, HERE, limits).unwrap();
        let newer = places.admit(THERE, limits).unwrap();
        let newest = places.admit(THERE, limits).unwrap();
        oldest.displaced().await;
        assert!(!oldest.established(), "it shook hands at the last moment and kept a place that is another's");
        drop(oldest);
        assert_eq!(places.lock().total, 3, "a place was given back twice");
        let _again = places.admit(THERE, limits).unwrap();
        newer.displaced().await;
        drop((newer, newest));
        assert_eq!(places.lock().total, 2);
    }

    #[test]
    fn handshakes_of_one_source_leave_places_for_the_others() {
        let places = Arc::new(Places::default());
        let limits = Limits { total: 1_000, per_source: 200 };
        let flood: Vec<_> = (0..500).map(|_| places.admit(HERE, limits).unwrap()).collect();
        let book = places.lock();
        assert_eq!((book.total, book.handshakes.len()), (50, 50), "a quarter of one source's places");
        drop(book);
        drop(flood);
        let book = places.lock();
        assert_eq!((book.total, book.places.len(), book.by_source.len()), (0, 0, 0));
    }

    #[test]
    fn ipv6_sources_are_told_apart_by_their_64_bit_prefix() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(prefix(address("2001:db8:1:2::1")), prefix(address("2001:db8:1:2:ffff::9")));
        assert_ne!(prefix(address("2001:db8:1:2::1")), prefix(address("2001:db8:1:3::1")));
        assert_eq!(prefix(address("::ffff:127.0.0.1")), HERE);
    }
}
