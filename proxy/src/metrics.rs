//! What can be counted and timed. Labels are closed lists or names of the configuration, never what a client sent.

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

/// All metrics of the gate, in one registry.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) handshakes: IntCounterVec,
    pub(crate) refused_before_request: IntCounter,
    pub(crate) seconds: HistogramVec,
    pub(crate) journal_commit: Histogram,
    pub(crate) journal_ready: IntGauge,
    pub(crate) journal_records: IntCounter,
    pub(crate) journal_failures: IntCounter,
    pub(crate) journal_free: IntGauge,
    pub(crate) lost_outcomes: IntCounter,
    pub(crate) log_size: IntGauge,
    pub(crate) log_signed: Gauge,
    pub(crate) seal_waiting: IntGauge,
    pub(crate) seal_failures: IntCounter,
    pub(crate) refused_responses: IntCounterVec,
    pub(crate) upstream_failures: IntCounterVec,
    pub(crate) aggregated: IntCounter,
    pub(crate) cut: IntCounterVec,
    pub(crate) connections: IntGauge,
    pub(crate) sessions: IntGauge,
    pub(crate) certificate_expiry: GaugeVec,
    pub(crate) reloads: IntCounterVec,
    pub(crate) generation: IntGauge,
    pub(crate) started: Gauge,
    pub(crate) checkpoint_kept: GaugeVec,
    pub(crate) checkpoint_kept_size: GaugeVec,
    pub(crate) checkpoint_failures: IntCounterVec,
    pub(crate) checkpoint_contradictions: IntCounterVec,
}

/// Seconds; from the cost of a decision to that of a slow SaaS.
const BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

impl Metrics {
    /// # Errors
    /// Two metrics share a name.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let made = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        };
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let made = IntCounter::new(name, help)?;
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let made = IntGauge::new(name, help)?;
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        };
        let requests = counters("sekisho_requests_total", "Requests judged", &["app", "decision", "reason"])?;
        let handshakes =
            counters("sekisho_handshakes_total", "TLS connections by how the handshake ended", &["outcome"])?;
        let cut = counters(
            "sekisho_cut_total",
            "Connections cut: by the reason for which what was under way may not go on, or for how the peer behaved",
            &["reason"],
        )?;
        let reloads = counters("sekisho_reloads_total", "Configuration reloads", &["result"])?;
        let refused_before_request = counter(
            "sekisho_refused_before_request_total",
            "Requests that came, or began to come, and could not be read",
        )?;
        let journal_records = counter("sekisho_journal_records_total", "Records made durable")?;
        let journal_failures =
            counter("sekisho_journal_failures_total", "Writes and synchronisations of the journal that failed")?;
        let lost_outcomes = counter(
            "sekisho_journal_lost_outcomes_total",
            "Outcomes dropped because the disk took nothing for long; readers show outcome-unknown",
        )?;
        let journal_free = gauge("sekisho_journal_free_bytes", "Free space where the journal lies; -1: not known yet")?;
        let log_size = gauge("sekisho_log_records", "Records under the newest checkpoint")?;
        let log_signed = Gauge::new(
            "sekisho_log_checkpoint_timestamp_seconds",
            "When the newest checkpoint was signed, Unix time; 0: not since the start",
        )?;
        let seal_waiting =
            gauge("sekisho_log_waiting", "Records and outcomes read from the journal and not sealed yet")?;
        let seal_failures = counter("sekisho_log_failures_total", "How often sealing failed")?;
        let refused_responses = counters(
            "sekisho_refused_responses_total",
            "Permitted requests whose response was refused, such as downloads",
            &["app", "reason"],
        )?;
        let upstream_failures = counters(
            "sekisho_upstream_failures_total",
            "Permitted requests that the SaaS did not answer, or broke off",
            &["app"],
        )?;
        let aggregated =
            counter("sekisho_aggregated_total", "Strangers' requests counted instead of recorded one by one")?;
        let journal_ready = gauge("sekisho_journal_ready", "1 if records can be written")?;
        let connections = gauge("sekisho_connections", "Open TLS connections")?;
        let sessions = gauge("sekisho_sessions", "Sessions that have neither ended nor expired")?;
        let generation = gauge("sekisho_configuration_generation", "How many configurations have been loaded")?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("sekisho_request_seconds", "Time spent on permitted requests: part is own or upstream")
                .buckets(BUCKETS.to_vec()),
            &["part"],
        )?;
        let journal_commit = Histogram::with_opts(
            HistogramOpts::new("sekisho_journal_commit_seconds", "From a record's handing over to its being durable")
                .buckets(BUCKETS.to_vec()),
        )?;
        let certificate_expiry = GaugeVec::new(
            Opts::new("sekisho_certificate_expiry_timestamp_seconds", "When a certificate expires, Unix time"),
            &["certificate"],
        )?;
        let checkpoint_kept = GaugeVec::new(
            Opts::new(
                "sekisho_checkpoint_kept_timestamp_seconds",
                "When a place last kept a checkpoint, Unix time; 0: never",
            ),
            &["place"],
        )?;
        let checkpoint_kept_size = GaugeVec::new(
            Opts::new("sekisho_checkpoint_kept_size", "Records under the newest checkpoint that a place keeps"),
            &["place"],
        )?;
        let checkpoint_failures = counters(
            "sekisho_checkpoint_failures_total",
            "Attempts to have a checkpoint kept elsewhere that failed",
            &["place"],
        )?;
        let checkpoint_contradictions = counters(
            "sekisho_checkpoint_contradictions_total",
            "Times that the log did not go on from what a place vouches for: it was rolled back or rewritten",
            &["place"],
        )?;
        let started = Gauge::new("sekisho_start_timestamp_seconds", "When the gate started, Unix time")?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(journal_commit.clone()))?;
        registry.register(Box::new(certificate_expiry.clone()))?;
        registry.register(Box::new(started.clone()))?;
        registry.register(Box::new(log_signed.clone()))?;
        registry.register(Box::new(checkpoint_kept.clone()))?;
        registry.register(Box::new(checkpoint_kept_size.clone()))?;
        Ok(Self {
            registry,
            requests,
            handshakes,
            refused_before_request,
            seconds,
            journal_commit,
            journal_ready,
            journal_records,
            journal_failures,
            journal_free,
            lost_outcomes,
            log_size,
            log_signed,
            seal_waiting,
            seal_failures,
            refused_responses,
            upstream_failures,
            aggregated,
            cut,
            connections,
            sessions,
            certificate_expiry,
            reloads,
            generation,
            started,
            checkpoint_kept,
            checkpoint_kept_size,
            checkpoint_failures,
            checkpoint_contradictions,
        })
    }

    /// The text exposition format.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 * 1024);
        // Writing to a Vec fails only if a metric family is empty, which a scrape can do without.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        out
    }
}
