//! A SaaS of the test's own, over HTTP/1.1: it keeps every byte that reaches it, and answers as badly as the test wants.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{SAAS_HOST, certificate};

/// The same SaaS by a name that has to be looked up: what ends in `.localhost` is not.
pub(crate) const LOOKED_UP: &str = "hidamari-care.example";

/// A request as it came over the wire. What was left when the connection ended, and is no request, counts as one.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    /// Up to the empty line and with it.
    pub(crate) head: String,
    /// With the framing of chunks.
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a header, in the order they came in.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

/// What is sent back, and then.
pub(crate) struct Answer(pub(crate) &'static str, pub(crate) Then);

impl Answer {
    pub(crate) fn fine() -> Self {
        Self("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine", Then::GoOn)
    }
}

pub(crate) enum Then {
    /// Reads the next request.
    GoOn,
    /// Says more without being asked, and reads the next request.
    Say(&'static str),
    /// As [`Then::Say`], what is no text.
    SayBytes(&'static [u8]),
    /// Says nothing more and keeps the connection open.
    Wait,
    Close,
    /// Ends the connection without TLS's farewell.
    Vanish,
}

pub(crate) struct RawSaas {
    pub(crate) port: u16,
    pub(crate) root_pem: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    heard: Vec<Heard>,
    connections: usize,
    closed: Vec<usize>,
}

impl RawSaas {
    pub(crate) async fn start(answer: fn(&Heard) -> Answer) -> Self {
        let (root_pem, chain, key) = certificate(&[SAAS_HOST, &format!("assets.{SAAS_HOST}"), LOOKED_UP]);
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(tcp).await else { return };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.connections += 1;
                        seen.connections - 1
                    };
                    let mut wire = Wire { stream, number, bytes: Vec::new() };
                    wire.serve(&seen, answer).await;
                    seen.lock().unwrap().closed.push(number);
                });
            }
        });
        Self { port, root_pem, seen }
    }

    /// Everything that came in, oldest first.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.seen.lock().unwrap().heard.clone()
    }

    /// What came in for this target.
    pub(crate) fn heard_of(&self, target: &str) -> Vec<Heard> {
        self.heard().into_iter().filter(|heard| heard.target() == target).collect()
    }

    /// Whether the gate closed this connection.
    pub(crate) fn is_closed(&self, connection: usize) -> bool {
        self.seen.lock().unwrap().closed.contains(&connection)
    }
}

struct Wire {
    stream: TlsStream<TcpStream>,
    number: usize,
    bytes: Vec<u8>,
}

impl Wire {
    async fn serve(&mut self, seen: &Mutex<Seen>, answer: fn(&Heard) -> Answer) {
        while let Some(heard) = self.request().await {
            let Answer(bytes, then) = answer(&heard);
            seen.lock().unwrap().heard.push(heard);
            if !self.say(bytes.as_bytes()).await {
                return;
            }
            match then {
                Then::GoOn => {}
                Then::Say(more) => {
                    self.say(more.as_bytes()).await;
                }
                Then::SayBytes(more) => {
                    self.say(more).await;
                }
                Then::Wait => {
                    while self.more().await {}
                    return;
                }
                Then::Close => {
                    let _ = self.stream.shutdown().await;
                    return;
                }
                Then::Vanish => return,
            }
        }
    }

    async fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.bytes).await, Ok(1..))
    }

    /// Reads on until this many bytes are there.
    async fn reach(&mut self, count: usize) -> bool {
        while self.bytes.len() < count {
            if !self.more().await {
                return false;
            }
        }
        true
    }

    /// The end of the next line that begins at `from`, its CRLF included.
    async fn line(&mut self, from: usize) -> Option<usize> {
        loop {
            if let Some(at) = self.bytes[from..].windows(2).position(|pair| pair == b"\r\n") {
                return Some(from + at + 2);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// None: the connection ended between two requests.
    async fn request(&mut self) -> Option<Heard> {
        let mut head = 0;
        let whole = loop {
            match self.line(head).await {
                Some(end) if end == head + 2 => break true,
                Some(end) => head = end,
                None => break false,
            }
        };
        let head = if whole { head + 2 } else { self.bytes.len() };
        let text = String::from_utf8_lossy(&self.bytes[..head]).into_owned();
        let mut heard = Heard { connection: self.number, head: text, body: Vec::new() };
        let chunked = !heard.values("transfer-encoding").is_empty();
        let length = heard.values("content-length").first().and_then(|v| v.parse::<usize>().ok()).unwrap_or(0);
        let end = match chunked {
            true => self.chunks(head).await,
            false => Some(head + length).filter(|_| whole),
        };
        let end = match end {
            Some(end) if self.reach(end).await => end,
            _ => self.bytes.len(),
        };
        if end == 0 {
            return None;
        }
        let mut taken: Vec<u8> = self.bytes.drain(..end).collect();
        heard.body = taken.split_off(head);
        Some(heard)
    }

    /// The end of a chunked body that begins at `at`.
    async fn chunks(&mut self, mut at: usize) -> Option<usize> {
        loop {
            let data = self.line(at).await?;
            let line = String::from_utf8_lossy(&self.bytes[at..data]).into_owned();
            let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            if size == 0 {
                // Trailers, up to the empty line.
                let mut from = data;
                loop {
                    let end = self.line(from).await?;
                    if end == from + 2 {
                        return Some(end);
                    }
                    from = end;
                }
            }
            at = data + size + 2;
            if !self.reach(at).await {
                return None;
            }
        }
    }
}
