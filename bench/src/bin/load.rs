//! The clients of the bench: a fixed number of requests, as fast as the answers come. One thread. See
//! [`LoadPlan`] for the conversation with the runner.
#![expect(clippy::print_stdout, reason = "standard output is how it answers")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use sekisho_bench::pki;
use sekisho_bench::plan::{LoadPlan, LoadResult, Mode};
use sekisho_bench::process::allow_files;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet, spawn_blocking};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type NoBody = Empty<Bytes>;

fn main() -> Result<()> {
    let plan: LoadPlan = serde_json::from_str(&std::env::args().nth(1).context("a plan is needed")?)?;
    allow_files(plan.connections as u64 + 1_000)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work(Rc::new(plan)))
}

async fn work(plan: Rc<LoadPlan>) -> Result<()> {
    let clients = Rc::new(Clients::new(Rc::clone(&plan))?);
    let mut lanes = clients.open().await?;
    if plan.warmup > 0 {
        lanes = clients.spend(lanes, plan.warmup, &Rc::default()).await?;
    }
    println!("ready");
    // A thread waits for the runner, so that connections are served meanwhile.
    let told = spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    if told > 0 {
        let taken = Rc::new(RefCell::new(Vec::with_capacity(plan.requests)));
        let begun = Instant::now();
        lanes = clients.spend(lanes, plan.requests, &taken).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let mut taken = taken.take();
        taken.sort_unstable();
        let at = |share: f64| taken.get((taken.len() as f64 * share) as usize).copied().unwrap_or_default();
        let result = LoadResult {
            requests: taken.len(),
            seconds,
            rps: taken.len() as f64 / seconds,
            p50_us: at(0.50),
            p99_us: at(0.99),
        };
        println!("{}", serde_json::to_string(&result)?);
        // Connections stay until the runner has read the counters.
        spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    }
    drop(lanes);
    Ok(())
}

/// Something that carries one request after the other.
enum Lane {
    H1(http1::SendRequest<NoBody>),
    H2(http2::SendRequest<NoBody>),
    /// Connects anew each time.
    Fresh,
}

struct Clients {
    plan: Rc<LoadPlan>,
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Clients {
    fn new(plan: Rc<LoadPlan>) -> Result<Self> {
        let alpn: &[u8] = if plan.mode == Mode::H2 { b"h2" } else { b"http/1.1" };
        let connector = TlsConnector::from(Arc::new(pki::client(&plan.ca, &plan.client, alpn)?));
        let name = ServerName::try_from(plan.host.clone())?;
        Ok(Self { plan, connector, name })
    }

    async fn open(self: &Rc<Self>) -> Result<Vec<Lane>> {
        let mut lanes = Vec::new();
        match self.plan.mode {
            Mode::Newconn => lanes.extend((0..self.plan.connections).map(|_| Lane::Fresh)),
            Mode::H1 => {
                for _ in 0..self.plan.connections {
                    lanes.push(Lane::H1(self.h1().await?));
                }
            }
            Mode::H2 => {
                for _ in 0..self.plan.connections {
                    let sender = self.h2().await?;
                    lanes.extend((0..self.plan.streams).map(|_| Lane::H2(sender.clone())));
                }
            }
            Mode::Idle => {
                for _ in 0..self.plan.connections {
                    let mut sender = self.h1().await?;
                    read(sender.send_request(self.request()?).await?).await?;
                    lanes.push(Lane::H1(sender));
                }
            }
        }
        Ok(lanes)
    }

    /// Sends `count` requests over all lanes, each taking the next when its last is answered.
    async fn spend(
        self: &Rc<Self>,
        lanes: Vec<Lane>,
        count: usize,
        taken: &Rc<RefCell<Vec<u64>>>,
    ) -> Result<Vec<Lane>> {
        let left = Rc::new(Cell::new(count));
        let mut tasks = JoinSet::new();
        for mut lane in lanes {
            let (clients, left, taken) = (Rc::clone(self), Rc::clone(&left), Rc::clone(taken));
            tasks.spawn_local(async move {
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    let begun = Instant::now();
                    clients.one(&mut lane).await?;
                    taken.borrow_mut().push(u64::try_from(begun.elapsed().as_micros())?);
                }
                anyhow::Ok(lane)
            });
        }
        tasks.join_all().await.into_iter().collect()
    }

    async fn one(&self, lane: &mut Lane) -> Result<()> {
        let response = match lane {
            Lane::H1(sender) => {
                sender.ready().await?;
                sender.send_request(self.request()?).await?
            }
            Lane::H2(sender) => {
                sender.ready().await?;
                sender.send_request(self.request()?).await?
            }
            Lane::Fresh => {
                let mut sender = self.h1().await?;
                // The sender must outlive the body, or the connection is closed under it.
                let response = sender.send_request(self.request()?).await?;
                return read(response).await;
            }
        };
        read(response).await
    }

    fn request(&self) -> Result<Request<NoBody>> {
        let LoadPlan { mode, host, path, cookie, address, .. } = &*self.plan;
        let authority = format!("{host}:{}", address.port());
        let uri = if *mode == Mode::H2 { format!("https://{authority}{path}") } else { path.clone() };
        let mut request = Request::builder().uri(uri).body(Empty::new())?;
        let headers = request.headers_mut();
        if *mode != Mode::H2 {
            headers.insert(header::HOST, authority.parse()?);
        }
        if let Some(cookie) = cookie {
            headers.insert(header::COOKIE, cookie.parse()?);
        }
        // What a browser sends along, so that every proxy parses a realistic head.
        for (name, value) in BROWSER {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        Ok(request)
    }

    async fn tls(&self) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.plan.address).await?;
        stream.set_nodelay(true)?;
        Ok(self.connector.connect(self.name.clone(), stream).await?)
    }

    async fn h1(&self) -> Result<http1::SendRequest<NoBody>> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.tls().await?)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn h2(&self) -> Result<http2::SendRequest<NoBody>> {
        let io = TokioIo::new(self.tls().await?);
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .handshake(io)
            .await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

const BROWSER: &[(&str, &str)] = &[
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("accept-language", "ja,en-US;q=0.9,en;q=0.8"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("upgrade-insecure-requests", "1"),
];

async fn read(response: http::Response<Incoming>) -> Result<()> {
    let status = response.status();
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    ensure!(status == StatusCode::OK && bytes > 0, "answered {status} with {bytes} bytes");
    Ok(())
}
