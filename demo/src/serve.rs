//! The listener: TCP, TLS, HTTP/1.1 and HTTP/2, and an orderly end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::seen::Seen;
use crate::state::App;

/// How long open connections may take to end after [`Handle::shutdown`].
const DRAIN: Duration = Duration::from_secs(3);
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(30);

/// How links, redirects and asset addresses are written into pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// `/residents`, `/assets/app.css`: the page works under any name.
    #[default]
    HostRelative,
    /// `https://hidamari.example/residents`, `https://assets.hidamari.example/assets/app.css`: what most SaaS do.
    Absolute,
}

/// What the caller may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The SaaS's own host name, without port. Requests for any other host than this and `assets.<host>` get 421.
    pub host: String,
    /// Default: [`Links::HostRelative`].
    pub links: Links,
    /// Time between two readings on the 見守りセンサー stream. Default: 2 s.
    pub sensor_interval: Duration,
    /// Bytes of uploads kept on disk; what is uploaded beyond is counted and hashed only. Default: 4 GiB.
    pub keep_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "hidamari.example".to_owned(),
            links: Links::default(),
            sensor_interval: Duration::from_secs(2),
            keep_bytes: 4 << 30,
        }
    }
}

/// The SaaS could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the listener's address can't be read")]
    Listener(#[source] std::io::Error),
    #[error("no temporary folder for uploads")]
    Folder(#[source] std::io::Error),
    #[error("the system gave no random bytes")]
    Random,
    #[error("`{0}` is not a host name")]
    Host(String),
}

/// A running SaaS. Dropping it ends it at once; [`Handle::shutdown`] ends it politely.
pub struct Handle {
    addr: SocketAddr,
    app: Arc<App>,
    counts: Arc<Counts>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    handshakes: AtomicU64,
}

/// Starts the SaaS on `listener` (bound by the caller, any port) in the current tokio runtime.
///
/// `tls` carries the certificate for `options.host` and `assets.<host>`; where it names no ALPN protocols, `h2` and
/// `http/1.1` are offered.
///
/// # Errors
/// The listener has no local address, the host is not a name, or there is no room for a temporary folder.
pub fn serve(listener: TcpListener, mut tls: ServerConfig, options: Options) -> Result<Handle, ServeError> {
    let addr = listener.local_addr().map_err(ServeError::Listener)?;
    if tls.alpn_protocols.is_empty() {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    let (stop, stopped) = watch::channel(false);
    let interval = options.sensor_interval;
    let app = Arc::new(App::new(options, addr.port(), stopped.clone())?);
    let counts = Arc::new(Counts::default());
    let router = crate::router::router(&app);
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let sensors = crate::sensors::run(Arc::clone(&app), interval);
    let accept = accept(listener, acceptor, router, stopped, Arc::clone(&counts));
    let task = tokio::spawn(async move {
        // The sensors never end by themselves: the listener decides.
        tokio::select! {
            () = accept => {}
            () = sensors => {}
        }
    });
    Ok(Handle { addr, app, counts, stop, task })
}

pub(crate) async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    counts: Arc<Counts>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                counts.accepted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(connection(
                    stream,
                    acceptor.clone(),
                    router.clone(),
                    stopped.clone(),
                    Arc::clone(&counts),
                ));
            }
            Err(error) => {
                // Out of descriptors, mostly: waiting is all that helps, and the loop must not spin.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    counts: Arc<Counts>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    counts.handshakes.fetch_add(1, Ordering::Relaxed);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(256);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = stopped.changed() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

impl Handle {
    /// Where the SaaS listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `https://<host>:<port>`, the origin its pages believe in.
    pub fn origin(&self) -> &str {
        &self.app.site.origin
    }

    /// `https://assets.<host>:<port>`.
    pub fn assets_origin(&self) -> &str {
        &self.app.site.assets_origin
    }

    /// Every request that arrived, oldest first: noted as soon as its head was read, before any answer.
    pub fn seen(&self) -> Vec<Seen> {
        self.app.seen.all()
    }

    /// How many requests arrived since the start; never goes down.
    pub fn seen_total(&self) -> u64 {
        self.app.seen.total()
    }

    /// Empties [`Handle::seen`]; the total stays.
    pub fn forget_seen(&self) {
        self.app.seen.forget();
    }

    /// TCP connections accepted since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// TLS handshakes completed since the start.
    pub fn handshakes(&self) -> u64 {
        self.counts.handshakes.load(Ordering::Relaxed)
    }

    /// WebSockets and event streams open now.
    pub fn open_streams(&self) -> u64 {
        self.app.open_streams()
    }

    /// Residents in the list now, so that a test sees whether a deletion got through.
    pub fn residents(&self) -> usize {
        self.app.records.count()
    }

    /// Uploads listed now.
    pub fn files(&self) -> usize {
        self.app.files.count()
    }

    /// Posts a notice as the office would, to everybody on the お知らせ page.
    pub fn post_notice(&self, text: &str) {
        self.app.notices.post("事務局", text);
    }

    /// Stops accepting, ends streams, lets requests finish for a moment, and waits until all is over.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Ends the accept loop and with it every connection; upgraded ones see `stop` go.
        self.task.abort();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("addr", &self.addr).field("origin", &self.origin()).finish_non_exhaustive()
    }
}
