//! What a running gate holds: the state that outlives a configuration, and the configuration in force.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use audit::Sealer;
use moka::sync::Cache;
use vocabulary::AppId;

use crate::core::Core;
use crate::forward::Resolver;
use crate::line::Generation;
use crate::listener::{Ended, Limits, Listening, Patience, Registry};
use crate::metrics::Metrics;

/// How long a page may go on loading its style sheets.
const NEAR: Duration = Duration::from_secs(600);

/// Shared by every request, the control socket and the background tasks.
pub(crate) struct Gate {
    pub(crate) core: Arc<Core>,
    pub(crate) sealer: Sealer,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Metrics,
    pub(crate) resolver: Resolver,
    /// From where somebody who is signed in was seen lately at an app that has static hosts.
    near: Cache<(AppId, IpAddr), Arc<identity::Session>>,
    generation: ArcSwap<Generation>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate(generation {})", self.generation.load().number)
    }
}

impl Gate {
    pub(crate) fn new(
        core: Arc<Core>,
        sealer: Sealer,
        registry: Arc<Registry>,
        metrics: Metrics,
        resolver: Resolver,
        first: Generation,
    ) -> Self {
        let near = Cache::builder().max_capacity(100_000).time_to_live(NEAR).build();
        Self { core, sealer, registry, metrics, resolver, near, generation: ArcSwap::from_pointee(first) }
    }

    /// Somebody who is signed in was permitted something at the app.
    pub(crate) fn note_somebody(&self, app: &AppId, source: IpAddr, session: &Arc<identity::Session>) {
        self.near.insert((app.clone(), source), session.clone());
    }

    /// Whether somebody was, from the same address and lately, and still is signed in: then a style sheet that is asked for without cookies belongs
    /// to a page of theirs.
    pub(crate) fn is_near_somebody(&self, app: &AppId, source: IpAddr) -> bool {
        let seen = self.near.get(&(app.clone(), source));
        seen.is_some_and(|session| self.core.identity.sessions().is_live(&session, self.core.now()))
    }

    /// The configuration in force, to be held for the length of one request.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    pub(crate) fn peek(&self) -> Guard<Arc<Generation>> {
        self.generation.load()
    }

    /// Puts a new configuration in force. Requests under way finish with the one they began with; what lasts
    /// longer is judged anew by the next round of [`crate::line::rejudge`].
    pub(crate) fn swap(&self, next: Generation) {
        self.generation.store(Arc::new(next));
    }

    /// Why the gate should not be sent requests now, if it should not.
    pub(crate) fn readiness(&self) -> Result<(), &'static str> {
        if !self.core.journal.ready() {
            return Err("records can't be written");
        }
        if !self.core.clock_is_right() {
            return Err("the clock stands before the newest record; see `sekisho clock accept`");
        }
        Ok(())
    }

    pub(crate) fn refresh_gauges(&self) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let stats = self.core.journal.stats();
        let catch_up = |counter: &prometheus::IntCounter, now: u64| counter.inc_by(now.saturating_sub(counter.get()));
        catch_up(&self.metrics.journal_records, stats.frames);
        catch_up(&self.metrics.journal_failures, stats.failures);
        catch_up(&self.metrics.lost_outcomes, stats.lost_outcomes);
        catch_up(&self.metrics.refused_before_request, self.registry.refused_before_request());
        self.metrics.journal_free.set(stats.free_bytes.map_or(-1, |free| i64::try_from(free).unwrap_or(i64::MAX)));
        let sealing = self.sealer.stats();
        catch_up(&self.metrics.seal_failures, sealing.failures);
        self.metrics.log_size.set(i64::try_from(sealing.size).unwrap_or(i64::MAX));
        self.metrics.seal_waiting.set(i64::try_from(sealing.waiting).unwrap_or(i64::MAX));
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double exactly")]
        self.metrics.log_signed.set(sealing.signed.map_or(0.0, |at| at.secs() as f64));
        self.metrics.connections.set(count(self.registry.len()));
        self.metrics.sessions.set(count(self.core.identity.sessions().len()));
        self.metrics.journal_ready.set(i64::from(self.core.journal.ready()));
        self.metrics.generation.set(i64::try_from(self.peek().number).unwrap_or(i64::MAX));
    }
}

impl Listening for Gate {
    fn tls(&self) -> Arc<rustls::ServerConfig> {
        self.peek().tls.clone()
    }

    fn limits(&self) -> Limits {
        self.peek().limits
    }

    fn handshake_timeout(&self) -> Duration {
        self.peek().handshake
    }

    fn patience(&self) -> Patience {
        self.peek().patience
    }

    fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    fn ended(&self, how: Ended) {
        self.metrics.handshakes.with_label_values(&[how.as_str()]).inc();
    }

    fn cut(&self, why: &'static str) {
        self.metrics.cut.with_label_values(&[why]).inc();
    }
}
