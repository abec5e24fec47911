//! `sekisho serve`: from a configuration file to a running gate, and to its end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use audit::{Record, Reload, SealStats, Start, Stop};
use clap::Args;
use config::{Loaded, Settings};
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::cli::{ConfigFile, settings};
use crate::control::{self, Actor, Command, Refused, Reply};
use crate::core::{Core, socket_path, start_sealing};
use crate::forward::Resolver;
use crate::gate::Gate;
use crate::kept::{Keeping, advice};
use crate::line::{Generation, Line, reconcile, rejudge, rejudge_regularly};
use crate::listener::Cut;
use crate::metrics::Metrics;
use crate::{listener, observe};

/// How long requests under way may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    file: ConfigFile,
}

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let loaded = settings(&args.file.config)?;
    start_logging(&loaded.settings);
    install_crypto()?;
    let runtime = runtime(&loaded.settings)?;
    runtime.block_on(async {
        let running = Running::start(args.file.config.clone(), loaded).await?;
        running.until_told_to_stop().await
    })?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn runtime(settings: &Settings) -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.gateway.workers)
        .thread_name("gate")
        .enable_all()
        .build()
        .context("the runtime could not be started")
}

/// ring for everything; a second provider in the process would make rustls ask which one is meant.
pub(crate) fn install_crypto() -> anyhow::Result<()> {
    // An earlier installation of the same provider is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match rustls::crypto::CryptoProvider::get_default() {
        Some(_) => Ok(()),
        None => bail!("no cryptography could be set up"),
    }
}

pub(crate) fn start_logging(settings: &Settings) {
    use tracing_subscriber::EnvFilter;
    let level = settings.log.level.as_str();
    // The level is that of our own crates. Of others only what went wrong is told: at debug, h2 prints targets that it
    // refuses, and others what else is sent.
    let others = if level == "error" { "error" } else { "warn" };
    // Pingora's own lines say less than the record does, and its error lines hold paths with queries. What webauthn-rs
    // tells is the answer to a stranger's try, which is recorded.
    let filter = EnvFilter::new(format!(
        "{others},sekisho={level},\
         pingora=off,pingora_core=off,pingora_proxy=off,pingora_pool=off,webauthn_rs=off,webauthn_rs_core=off"
    ));
    // Under test, or with `demo`, somebody may have set it up already.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init();
}

/// A gate that serves.
pub(crate) struct Running {
    pub(crate) gate: Arc<Gate>,
    /// As bound, in the order of the configuration.
    pub(crate) addresses: Vec<SocketAddr>,
    config: PathBuf,
    reloading: Arc<Reloader>,
    keeping: Arc<Keeping>,
    shutdown: watch::Sender<bool>,
    proxy: Arc<HttpProxy<Line>>,
}

impl Running {
    /// Opens the state, binds every address and begins to serve. Nothing is served before all of it stands.
    pub(crate) async fn start(config: PathBuf, loaded: Loaded) -> anyhow::Result<Self> {
        let settings = loaded.settings;
        let (listeners, addresses) = bind_all(&settings.gateway.listen)?;
        let metrics_listener = listener::bind(settings.gateway.metrics_listen)
            .with_context(|| format!("the metrics address {} can't be used", settings.gateway.metrics_listen))?;

        let metrics_at = metrics_listener.local_addr()?;

        // Asked for any port, the system chose one, and people see it in addresses.
        let settings = match (settings.gateway.listen.first(), addresses.first()) {
            (Some(asked), Some(bound)) if asked.port() == 0 => reload_file(&config, Some(bound.port()))?.settings,
            _ => settings,
        };
        let settings = Arc::new(settings);
        let opening = settings.clone();
        let core = Arc::new(tokio::task::spawn_blocking(move || Core::open(&opening)).await??);
        report_recovery(&core);
        let (sealing, sealed) = (core.clone(), settings.clone());
        let sealer = tokio::task::spawn_blocking(move || start_sealing(&sealed, &sealing)).await??;
        let metrics = Metrics::new().context("metrics could not be set up")?;
        let bound = settings
            .gateway
            .listen
            .first()
            .filter(|a| a.port() == 0)
            .and_then(|_| addresses.first())
            .map(SocketAddr::port);
        let resolver = Resolver::system()?;
        let first = Generation::new(1, &settings, bound, &core, &resolver, &metrics)?;
        core.serves();
        let registry = Arc::new(listener::Registry::default());
        let gate = Arc::new(Gate::new(core, sealer, registry, metrics, resolver, first));
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double exactly")]
        gate.metrics.started.set(gate.core.now().secs() as f64);
        gate.core
            .journal
            .append(
                gate.core.now(),
                &Record::Start(Start {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    configuration: Some(digest(&config)?),
                    more: serde_json::Map::new(),
                }),
            )
            .await
            .context("the start could not be recorded")?;
        reconcile(&gate.core).await;
        gate.core.end_unoffered(&settings.identity).await;

        let socket =
            control::listen(&socket_path(&settings.gateway.data)).context("the control socket can't be made")?;
        let (shutdown, stopping) = watch::channel(false);
        let proxy = proxy(&gate, &settings);
        for socket in listeners {
            tokio::spawn(listener::serve(socket, gate.clone(), proxy.clone(), stopping.clone()));
        }
        tokio::spawn(observe::serve(metrics_listener, gate.clone(), stopping.clone()));
        tokio::spawn(listener::watch(gate.clone()));
        tokio::spawn(rejudge_regularly(gate.clone()));
        tokio::spawn(housekeeping(gate.clone()));

        let (keep, of) = (settings.clone(), gate.clone());
        let keeping = Arc::new(tokio::task::spawn_blocking(move || Keeping::new(&keep, &of)).await??);
        keeping.begin();
        for advice in advice(&settings) {
            tracing::warn!("{advice}");
        }
        let reloading = Arc::new(Reloader {
            gate: gate.clone(),
            config: config.clone(),
            keeping: keeping.clone(),
            one_at_a_time: Mutex::new(()),
        });
        tokio::spawn(renew(reloading.clone()));
        tokio::spawn(control::serve(socket, reloading.clone()));
        tracing::info!(address = %metrics_at, "metrics listening");
        for address in &addresses {
            tracing::info!(%address, "listening");
        }
        Ok(Self { gate, addresses, config, reloading, keeping, shutdown, proxy })
    }

    /// SIGHUP reloads; SIGTERM and SIGINT end it.
    pub(crate) async fn until_told_to_stop(self) -> anyhow::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        notify(&[sd_notify::NotifyState::Ready]);
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    notify(&[sd_notify::NotifyState::Reloading]);
                    // The outcome stands in the log, the metrics and the record.
                    let _ = self.reloading.reload().await;
                    notify(&[sd_notify::NotifyState::Ready]);
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        self.stop("terminated").await
    }

    /// Stops accepting, lets requests under way end, closes the journal.
    pub(crate) async fn stop(self, cause: &str) -> anyhow::Result<()> {
        use pingora_core::apps::HttpServerApp;
        notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!(config = %self.config.display(), "stopping");
        let _ = self.shutdown.send(true);
        // Idle kept-alive connections end at once; the others after their request.
        self.proxy.http_cleanup().await;
        let deadline = tokio::time::Instant::now() + GRACE;
        while self.gate.registry.len() > 0 && tokio::time::Instant::now() < deadline {
            // What lasts for ever (WebSockets, event streams) is not waited for.
            for connection in self.gate.registry.all() {
                if connection.only_streams() {
                    connection.cut_because(Cut::Stopping);
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for connection in self.gate.registry.all() {
            connection.cut_because(Cut::Stopping);
        }
        self.gate.core.record_aggregates(true).await;
        self.gate.core.keep_token_uses().await;
        self.gate.core.keep_logins().await;
        let stop = Record::Stop(Stop { cause: cause.to_owned(), more: serde_json::Map::new() });
        if let Err(error) = self.gate.core.journal.append(self.gate.core.now(), &stop).await {
            tracing::error!(%error, "the stop could not be recorded");
        }
        let journal = self.gate.core.journal.clone();
        let gate = self.gate.clone();
        let closed = tokio::task::spawn_blocking(move || {
            let closed = journal.close();
            gate.sealer.finish();
            closed
        });
        closed.await??;
        self.keeping.farewell().await;
        Ok(())
    }
}

fn reload_file(path: &Path, bound: Option<u16>) -> anyhow::Result<Loaded> {
    let loaded = match bound {
        Some(port) => config::load_bound(path, port),
        None => config::load(path),
    };
    loaded.map_err(|report| anyhow::anyhow!("{report}"))
}

/// SHA-256 of the configuration file, in hex: which one was in force when.
fn digest(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &text);
    Ok(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(state);
}

fn bind_all(addresses: &[SocketAddr]) -> anyhow::Result<(Vec<TcpListener>, Vec<SocketAddr>)> {
    let mut listeners = Vec::new();
    let mut bound = Vec::new();
    for address in addresses {
        let listener = listener::bind(*address).with_context(|| format!("{address} can't be listened on"))?;
        bound.push(listener.local_addr()?);
        listeners.push(listener);
    }
    Ok((listeners, bound))
}

fn report_recovery(core: &Core) {
    let recovery = &core.recovery;
    if recovery.truncated_bytes > 0 || !recovery.quarantined.is_empty() {
        tracing::warn!(
            truncated_bytes = recovery.truncated_bytes,
            quarantined = ?recovery.quarantined,
            "the journal was not closed cleanly; what had been confirmed is all there"
        );
    }
}

fn proxy(gate: &Arc<Gate>, settings: &Settings) -> Arc<HttpProxy<Line>> {
    let conf = ServerConf {
        threads: settings.gateway.workers,
        upstream_keepalive_pool_size: 512,
        max_retries: 4,
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(Line { gate: gate.clone() }, Arc::new(conf));
    let mut h2 = pingora_core::protocols::http::v2::server::H2Options::new();
    h2.max_concurrent_streams(100)
        .max_header_list_size(64 * 1024)
        .initial_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buffer_size(256 * 1024)
        .max_concurrent_reset_streams(20)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(256));
    proxy.h2_options = Some(h2);
    let mut options = pingora_core::apps::HttpServerOptions::default();
    options.h2_idle_timeout = Some(settings.gateway.limits.idle);
    proxy.server_options = Some(options);
    proxy.handle_init_modules();
    Arc::new(proxy)
}

/// Every few seconds: counted strangers to the journal, expired sessions away, last-seen times to the store.
async fn housekeeping(gate: Arc<Gate>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        gate.core.record_aggregates(false).await;
        gate.core.sweep().await;
    }
}

/// Certificates that the bundled authority made are replaced after two thirds of their time, by reading the
/// configuration again.
async fn renew(reloading: Arc<Reloader>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(600));
    loop {
        ticks.tick().await;
        let gate = &reloading.gate;
        if gate.peek().renew_at.is_some_and(|at| gate.core.now() >= at) {
            // The outcome stands in the log, the metrics and the record; it is tried again next time.
            let _ = reloading.reload().await;
        }
    }
}

/// Carries out what the control socket asks for, and reloads.
pub(crate) struct Reloader {
    gate: Arc<Gate>,
    config: PathBuf,
    keeping: Arc<Keeping>,
    one_at_a_time: Mutex<()>,
}

impl Reloader {
    /// Reads the file again: puts it in force, or leaves everything as it is and says why.
    async fn reload(&self) -> Result<u64, String> {
        let _turn = self.one_at_a_time.lock().await;
        let result = self.try_reload().await;
        let (accepted, digest) = match &result {
            Ok((_, digest)) => (true, Some(digest.clone())),
            Err(_) => (false, None),
        };
        let record = Record::Reload(Reload { accepted, configuration: digest, more: serde_json::Map::new() });
        if let Err(error) = self.gate.core.journal.append(self.gate.core.now(), &record).await {
            tracing::error!(%error, "a reload could not be recorded");
        }
        let label = if accepted { "ok" } else { "refused" };
        self.gate.metrics.reloads.with_label_values(&[label]).inc();
        match result {
            Ok((generation, _)) => {
                tracing::info!(generation, "the configuration was read again and is in force");
                rejudge(&self.gate);
                Ok(generation)
            }
            Err(error) => {
                tracing::error!("the configuration was not taken over, the old one stays in force: {error:#}");
                Err(format!("{error:#}"))
            }
        }
    }

    async fn try_reload(&self) -> anyhow::Result<(u64, String)> {
        let path = self.config.clone();
        let current = self.gate.generation();
        let port = current.bound_port;
        let (next, digest) = tokio::task::spawn_blocking(move || {
            Ok::<_, anyhow::Error>((reload_file(&path, port)?.settings, digest(&path)?))
        })
        .await??;
        let fixed = current.settings.needs_restart(&next);
        if !fixed.is_empty() {
            bail!("{} can't change while the gate runs; restart it", fixed.join(", "));
        }
        let gate = self.gate.clone();
        let (number, next) = tokio::task::spawn_blocking(move || {
            let number = current.number + 1;
            let made = Generation::new(number, &next, port, &gate.core, &gate.resolver, &gate.metrics)?;
            gate.core.identity.apply(&next.identity);
            gate.core.enrol.apply(&next, gate.core.authority.as_ref());
            Ok::<_, anyhow::Error>((number, made))
        })
        .await??;
        self.gate.swap(next);
        reconcile(&self.gate.core).await;
        self.gate.core.end_unoffered(&self.gate.generation().settings.identity).await;
        Ok((number, digest))
    }
}

#[async_trait::async_trait]
impl control::AsyncCommand for Reloader {
    async fn carry_out(&self, actor: Actor, command: Command) -> Reply {
        if matches!(command, Command::Reload) {
            return match self.reload().await {
                Ok(generation) => Reply::Done(serde_json::json!({ "generation": generation })),
                Err(why) => Reply::Refused(format!("{why}\nThe old configuration stays in force.")),
            };
        }
        if let Command::AuditIndex { anew } = command {
            let (index, sealing) = (self.gate.sealer.index(), self.gate.sealer.stats());
            if anew {
                index.begin_anew();
            }
            return Reply::Done(serde_json::json!({
                "indexed": index.indexed(), "size": sealing.size, "problem": index.problem(), "sealing": sealing.problem,
            }));
        }
        if matches!(command, Command::AuditSealing) {
            let SealStats { waiting, problem, .. } = self.gate.sealer.stats();
            return Reply::Done(serde_json::json!({ "waiting": waiting, "problem": problem }));
        }
        if matches!(command, Command::CheckpointSend) {
            return Reply::Done(serde_json::Value::Array(self.keeping.send_now().await));
        }
        let done = control::execute(&self.gate.core, &actor, command).await;
        // What was changed may end what is under way: look now, not at the next round.
        rejudge(&self.gate);
        match done {
            Ok(value) => Reply::Done(value),
            Err(Refused::No(why)) => Reply::Refused(why),
            Err(Refused::Failed(error)) => Reply::Failed(format!("{error:#}")),
        }
    }
}
