//! Live connections: who is at the other end, how far along they are, and how to cut them off.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pingora_proxy::Session;
use tokio::sync::Notify;

use super::Presented;
use crate::line::Exchange;

/// One TLS connection, from the end of its handshake on.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) source: SocketAddr,
    /// The TLS server name the client asked for, in lower case.
    pub(crate) server_name: Option<String>,
    pub(crate) certificate: Option<Presented>,
    /// `1.3` or `1.2`.
    pub(crate) tls_version: &'static str,
    pub(crate) http2: bool,
    pub(super) progress: Progress,
    cut: Notify,
    is_cut: AtomicBool,
    /// What is under way on it, to be judged again while it lasts.
    live: Mutex<Vec<Arc<Exchange>>>,
}

impl Connection {
    /// The connection a request came on; `None` for what did not come through our listener.
    pub(crate) fn of(session: &Session) -> Option<&Arc<Self>> {
        session.digest()?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.source.ip().to_canonical()
    }

    /// Ends it: the task that serves it stops at its next step, in-flight exchanges included.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Relaxed);
        self.cut.notify_one();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Relaxed)
    }

    pub(super) async fn until_cut(&self) {
        self.cut.notified().await;
    }

    /// An exchange begins; it counts as under way until [`Self::exchange_ends`].
    pub(crate) fn exchange_begins(&self, exchange: Arc<Exchange>) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
    }

    pub(crate) fn exchange_ends(&self, exchange: &Arc<Exchange>) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = live.iter().position(|e| Arc::ptr_eq(e, exchange)) {
            live.swap_remove(position);
        }
    }

    pub(crate) fn live(&self) -> Vec<Arc<Exchange>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything under way on it is a stream that may last for ever.
    pub(crate) fn only_streams(&self) -> bool {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        !live.is_empty() && live.iter().all(|exchange| exchange.upgrade || exchange.streaming)
    }

    /// A request's head has been read.
    pub(crate) fn head_read(&self) {
        self.progress.head_read();
    }

    /// A request is answered, or given up.
    pub(crate) fn answered(&self) {
        self.progress.answered();
    }

    /// Bytes of a request came, but it was never shown to us: malformed, refused by pingora, or given up.
    pub(super) fn ended_within_a_head(&self) -> bool {
        // On HTTP/2 frames that belong to no request come and go, so this can't be told there.
        !self.http2 && self.progress.phase().0 == Phase::Head
    }

    /// A request body begins to arrive, or has arrived.
    pub(crate) fn receiving(&self, yes: bool) {
        if yes {
            self.progress.receiving.fetch_add(1, Relaxed);
        } else {
            self.progress.receiving.fetch_sub(1, Relaxed);
        }
    }
}

/// Where a connection stands between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nothing has arrived since the last answer.
    Idle = 0,
    /// Some of a request's head has arrived.
    Head = 1,
    /// At least one request is being answered.
    Busy = 2,
}

/// What the watchdog looks at. Written on every read and write, so: plain atomics, and a clock that ticks
/// only as often as the watchdog looks.
#[derive(Debug)]
pub(super) struct Progress {
    clock: Arc<CoarseClock>,
    phase: AtomicU8,
    /// Tick at which the phase began.
    since: AtomicU32,
    active: AtomicU32,
    pub(super) receiving: AtomicU32,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) read_waiting: AtomicBool,
    pub(super) write_waiting: AtomicBool,
}

impl Progress {
    fn new(clock: Arc<CoarseClock>) -> Self {
        let now = clock.now();
        Self {
            clock,
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU32::new(now),
            active: AtomicU32::new(0),
            receiving: AtomicU32::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            read_waiting: AtomicBool::new(false),
            write_waiting: AtomicBool::new(false),
        }
    }

    fn enter(&self, phase: Phase) {
        self.since.store(self.clock.now(), Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    pub(super) fn phase(&self) -> (Phase, Duration) {
        let phase = match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        };
        (phase, self.clock.since(self.since.load(Relaxed)))
    }

    pub(super) fn read_waits(&self) {
        self.read_waiting.store(true, Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.read_waiting.store(false, Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
        if bytes > 0 && self.phase.load(Relaxed) == Phase::Idle as u8 {
            self.enter(Phase::Head);
        }
    }

    pub(super) fn write_waits(&self) {
        self.write_waiting.store(true, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.write_waiting.store(false, Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    fn head_read(&self) {
        self.active.fetch_add(1, Relaxed);
        self.enter(Phase::Busy);
    }

    fn answered(&self) {
        if self.active.fetch_sub(1, Relaxed) == 1 {
            self.enter(Phase::Idle);
        }
    }
}

/// Time in ticks of the watchdog's period, so that reading it costs one load.
#[derive(Debug)]
pub(crate) struct CoarseClock {
    began: Instant,
    millis: AtomicU32,
}

impl CoarseClock {
    fn new() -> Self {
        Self { began: Instant::now(), millis: AtomicU32::new(0) }
    }

    fn now(&self) -> u32 {
        self.millis.load(Relaxed)
    }

    fn since(&self, then: u32) -> Duration {
        Duration::from_millis(u64::from(self.now().wrapping_sub(then)))
    }

    /// Moves the clock on; called by the watchdog alone.
    pub(super) fn tick(&self) {
        // Wraps after 49 days; differences stay right.
        #[expect(clippy::cast_possible_truncation, reason = "differences are taken modulo 2^32")]
        self.millis.store(self.began.elapsed().as_millis() as u32, Relaxed);
    }
}

/// How many connections may stand at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) total: usize,
    /// From one IPv4 address or IPv6 /64.
    pub(crate) per_source: usize,
}

/// How a connection or its attempt ended, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The handshake was completed.
    Established,
    HandshakeTimeout,
    /// The client's certificate was refused in the handshake.
    BadCertificate,
    HandshakeFailed,
    TooMany,
}

impl Ended {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Established => "ok",
            Self::HandshakeTimeout => "timeout",
            Self::BadCertificate => "bad-certificate",
            Self::HandshakeFailed => "failed",
            Self::TooMany => "too-many",
        }
    }
}

/// All live connections.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(super) clock: Arc<CoarseClock>,
    next: AtomicU64,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            clock: Arc::new(CoarseClock::new()),
            next: AtomicU64::new(1),
            connections: Mutex::default(),
            places: Mutex::default(),
        }
    }

    /// Takes a place for a connection that is about to shake hands.
    pub(super) fn admit(self: &Arc<Self>, source: IpAddr, limits: Limits) -> Option<Place> {
        let source = prefix(source);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.total >= limits.total {
            return None;
        }
        let here = places.by_source.entry(source).or_default();
        if *here >= limits.per_source {
            return None;
        }
        *here += 1;
        places.total += 1;
        Some(Place { registry: self.clone(), source })
    }

    pub(super) fn add(
        &self,
        source: SocketAddr,
        server_name: Option<String>,
        certificate: Option<Presented>,
        tls_version: &'static str,
        http2: bool,
    ) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            id: self.next.fetch_add(1, Relaxed),
            source,
            server_name,
            certificate,
            tls_version,
            http2,
            progress: Progress::new(self.clock.clone()),
            cut: Notify::new(),
            is_cut: AtomicBool::new(false),
            live: Mutex::default(),
        });
        self.lock().insert(connection.id, connection.clone());
        connection
    }

    pub(super) fn remove(&self, connection: &Connection) {
        self.lock().remove(&connection.id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 customer has at least.
fn prefix(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
    }
}

/// A connection's place among the limited number; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    registry: Arc<Registry>,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.registry.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.total -= 1;
        if let Some(here) = places.by_source.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                places.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_all_and_per_source_and_given_back() {
        let registry = Arc::new(Registry::new());
        let limits = Limits { total: 3, per_source: 2 };
        let here = IpAddr::from([127, 0, 0, 1]);
        let there = IpAddr::from([127, 0, 0, 2]);
        let first = registry.admit(here, limits).unwrap();
        let _second = registry.admit(here, limits).unwrap();
        assert!(registry.admit(here, limits).is_none(), "two from one source");
        let _third = registry.admit(there, limits).unwrap();
        assert!(registry.admit(there, limits).is_none(), "three in all");
        drop(first);
        assert!(registry.admit(here, limits).is_some());
    }
}
