//! What the binaries tell each other. A plan is the one argument of the binary it is for.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// For `origin`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OriginPlan {
    pub listen: SocketAddr,
    /// PEM files. Without them the origin speaks plain HTTP.
    pub tls: Option<KeyPair>,
    pub body_bytes: usize,
}

/// For `raw-pingora`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PingoraPlan {
    pub listen: SocketAddr,
    pub server: KeyPair,
    pub client_ca: PathBuf,
    pub origin: SocketAddr,
    pub origin_name: String,
    pub origin_ca: PathBuf,
    /// For its pid file and upgrade socket.
    pub folder: PathBuf,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyPair {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// For `load`, which says `ready` when connections stand and the warm-up is over, waits for a line, does the work, prints
/// one [`LoadResult`] and ends when its input does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadPlan {
    pub mode: Mode,
    pub address: SocketAddr,
    /// SNI and Host.
    pub host: String,
    pub path: String,
    pub ca: PathBuf,
    pub client: KeyPair,
    /// The whole `Cookie` header.
    pub cookie: Option<String>,
    pub connections: usize,
    /// Requests in flight on each HTTP/2 connection.
    pub streams: usize,
    pub warmup: usize,
    pub requests: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// HTTP/1.1, kept alive.
    H1,
    /// HTTP/2, kept alive.
    H2,
    /// A TCP connection and a full handshake for each request (HTTP/1.1).
    Newconn,
    /// One request on each connection, then silence until the end.
    Idle,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LoadResult {
    pub requests: usize,
    pub seconds: f64,
    pub rps: f64,
    pub p50_us: u64,
    pub p99_us: u64,
}
