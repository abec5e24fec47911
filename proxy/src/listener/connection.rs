//! Live connections: who is at the other end, how far along they are, and how to cut them off.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pingora_proxy::Session;
use tokio::sync::Notify;

use super::Presented;
use super::frames::Counts;
use super::places::{Place, Places};
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
    /// What came on HTTP/2, frame by frame.
    pub(super) frames: Counts,
    pub(super) place: Arc<Place>,
    /// Somebody signed in, an enrolled device or a machine client was seen on it.
    known: AtomicBool,
    refused: Arc<AtomicU64>,
    cut: Notify,
    why: OnceLock<Cut>,
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
    pub(crate) fn cut_because(&self, why: Cut) {
        // The first reason stands.
        let _ = self.why.set(why);
        self.cut.notify_one();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.why.get().is_some()
    }

    pub(super) fn why_cut(&self) -> Option<Cut> {
        self.why.get().copied()
    }

    pub(super) async fn until_cut(&self) {
        self.cut.notified().await;
    }

    /// Somebody we know uses it: it never gives way to others from now on.
    pub(crate) fn becomes_known(&self) {
        // Reading a line that others read too is cheap, writing it each time is not.
        if !self.known.load(Relaxed) {
            self.known.store(true, Relaxed);
        }
    }

    /// Nobody we know has used it, and nothing has happened on it for a second: a place that somebody else may have.
    pub(super) fn waits_as_stranger(&self) -> bool {
        !self.known.load(Relaxed) && !self.is_cut() && self.progress.phase().1 >= Duration::from_secs(1)
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

    /// Requests that came, or began to come, and were never shown to us: malformed, refused by pingora or h2, given up.
    fn never_shown(&self) -> u64 {
        match self.http2 {
            true => self.frames.opened.load(Relaxed).saturating_sub(self.progress.heads.load(Relaxed)),
            false => u64::from(self.progress.phase().0 == Phase::Head),
        }
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

impl Drop for Connection {
    fn drop(&mut self) {
        // Every request holds the connection, so what is counted now is final.
        self.refused.fetch_add(self.never_shown(), Relaxed);
    }
}

/// Why a connection was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// What is under way on it may not go on. Counted with the decision's reason where that is made.
    Refused,
    /// Nothing was under way for long.
    Idle,
    /// A request's head took too long.
    SlowHead,
    /// A request's head is longer than any.
    LongHead,
    /// A body, or the taking of an answer, made too little progress.
    Stalled,
    /// Frames that ask for nothing, or requests that are given up at once, in masses.
    Flood,
    /// Somebody else needed a stranger's place.
    Displaced,
    /// The gate stops.
    Stopping,
}

impl Cut {
    /// Its word in the metrics. None: it is no refusal, or is counted elsewhere.
    pub(super) const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Refused | Self::Idle | Self::Stopping => None,
            Self::SlowHead => Some("slow-head"),
            Self::LongHead => Some("long-head"),
            Self::Stalled => Some("stalled"),
            Self::Flood => Some("flood"),
            Self::Displaced => Some("displaced"),
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
    /// Requests that were shown to us.
    heads: AtomicU64,
    pub(super) receiving: AtomicU32,
    pub(super) bytes_in: AtomicU64,
    /// What had come when the head that is being read began.
    head_from: AtomicU64,
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
            heads: AtomicU64::new(0),
            receiving: AtomicU32::new(0),
            bytes_in: AtomicU64::new(0),
            head_from: AtomicU64::new(0),
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
            // Requests of HTTP/2 begin and end on several threads: what is written last need not be what is so.
            _ if self.active.load(Relaxed) > 0 => Phase::Busy,
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        };
        (phase, self.clock.since(self.since.load(Relaxed)))
    }

    pub(super) fn read_waits(&self) {
        self.read_waiting.store(true, Relaxed);
    }

    /// Returns how much of a head has come by now, if one is being read.
    pub(super) fn read(&self, bytes: usize) -> u64 {
        self.read_waiting.store(false, Relaxed);
        let before = self.bytes_in.fetch_add(bytes as u64, Relaxed);
        match self.phase.load(Relaxed) {
            phase if phase == Phase::Idle as u8 && bytes > 0 => {
                self.head_from.store(before, Relaxed);
                self.enter(Phase::Head);
                bytes as u64
            }
            phase if phase == Phase::Head as u8 => (before + bytes as u64).saturating_sub(self.head_from.load(Relaxed)),
            _ => 0,
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
        self.heads.fetch_add(1, Relaxed);
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

impl Default for CoarseClock {
    fn default() -> Self {
        Self { began: Instant::now(), millis: AtomicU32::new(0) }
    }
}

impl CoarseClock {
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

/// How a connection or its attempt ended, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The handshake was completed.
    Established,
    HandshakeTimeout,
    /// The client's certificate was refused in the handshake.
    BadCertificate,
    HandshakeFailed,
    /// Somebody else needed the place while it went on.
    Displaced,
    TooMany,
}

impl Ended {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Established => "ok",
            Self::HandshakeTimeout => "timeout",
            Self::BadCertificate => "bad-certificate",
            Self::HandshakeFailed => "failed",
            Self::Displaced => "displaced",
            Self::TooMany => "too-many",
        }
    }
}

/// All live connections.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(super) clock: Arc<CoarseClock>,
    pub(super) places: Arc<Places>,
    next: AtomicU64,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    refused: Arc<AtomicU64>,
}

/// What the handshake told about a connection.
pub(super) struct Handshake {
    pub(super) source: SocketAddr,
    pub(super) server_name: Option<String>,
    pub(super) certificate: Option<Presented>,
    pub(super) tls_version: &'static str,
    pub(super) http2: bool,
}

impl Registry {
    pub(super) fn add(&self, handshake: Handshake, place: Arc<Place>) -> Arc<Connection> {
        let Handshake { source, server_name, certificate, tls_version, http2 } = handshake;
        let connection = Arc::new(Connection {
            id: self.next.fetch_add(1, Relaxed),
            source,
            server_name,
            certificate,
            tls_version,
            http2,
            progress: Progress::new(self.clock.clone()),
            frames: Counts::default(),
            place,
            known: AtomicBool::new(false),
            refused: self.refused.clone(),
            cut: Notify::new(),
            why: OnceLock::new(),
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

    /// Requests that came, or began to come, and were never shown to us.
    pub(crate) fn refused_before_request(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
