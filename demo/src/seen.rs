//! What reached the SaaS, so that tests can compare it with what the gate recorded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use http::{Method, Version, request::Parts};

/// A test puts a number of its own into this header and finds it again in [`Seen::marker`].
pub const MARKER_HEADER: &str = "x-demo-marker";

/// Requests remembered; older ones are forgotten first.
const KEPT: usize = 1_000_000;

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub method: Method,
    /// Path and query, as sent.
    pub path: String,
    /// The `Host` header or `:authority`, with its port.
    pub host: String,
    pub version: Version,
    /// The value of [`MARKER_HEADER`].
    pub marker: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct SeenLog {
    total: AtomicU64,
    kept: Mutex<VecDeque<Seen>>,
}

impl SeenLog {
    pub(crate) fn note(&self, parts: &Parts, host: &str) {
        let seen = Seen {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned()),
            host: host.to_owned(),
            version: parts.version,
            marker: parts
                .headers
                .get(MARKER_HEADER)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(seen);
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}
