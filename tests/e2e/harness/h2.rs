//! HTTP/2 as no browser speaks it: frame by frame (RFC 9113).

use demo::client::{Browser, TlsStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// On DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 1;
/// On SETTINGS and PING.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY (RFC 9113, 7).
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, &payload)
}

/// A header block of literals that enter no table, not compressed (RFC 7541, 6.2.2).
pub(crate) fn block<T: AsRef<[u8]>>(fields: &[(T, T)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            length(text.len(), &mut bytes);
            bytes.extend(text);
        }
    }
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541, 5.1).
fn length(length: usize, bytes: &mut Vec<u8>) {
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
        return;
    }
    bytes.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).unwrap());
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

pub(crate) struct H2 {
    stream: TlsStream,
}

impl H2 {
    /// Shakes hands for `host`, and says the preface and these settings. What is answered is asked for without a table,
    /// so that a status can be read off its first byte.
    pub(crate) async fn open(browser: &Browser, host: &str, values: &[(u16, u32)]) -> Self {
        Self::on(browser.raw(host, &[b"h2"]).await.unwrap(), values).await
    }

    /// The same on a connection that stands.
    pub(crate) async fn on(stream: TlsStream, values: &[(u16, u32)]) -> Self {
        let mut own = Self { stream };
        assert!(own.send(PREFACE).await);
        let no_table = [&[(1, 0)], values].concat();
        assert!(own.send(&settings(&no_table)).await);
        own
    }

    /// Whether the gate still takes bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The next frame that isn't about the connection itself; None: the gate closed it.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let mut header = [0; 9];
            self.stream.read_exact(&mut header).await.ok()?;
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes(header[5..].try_into().unwrap());
            let read = Frame { kind: header[3], flags: header[4], stream, payload };
            match read.kind {
                SETTINGS if read.flags & ACK == 0 => {
                    self.send(&frame(SETTINGS, ACK, 0, &[])).await;
                }
                SETTINGS | WINDOW_UPDATE | PING => {}
                _ => return Some(read),
            }
        }
    }

    /// How this stream was answered: the first byte of its header block, or the code of its end.
    pub(crate) async fn answer(&mut self, stream: u32) -> Answered {
        while let Some(read) = self.next().await {
            match read.kind {
                HEADERS if read.stream == stream => {
                    // A change of the table's size may come first (RFC 7541, 6.3).
                    let status = read.payload.iter().find(|byte| **byte & 0xe0 != 0x20);
                    return Answered::Status(*status.unwrap());
                }
                RST_STREAM if read.stream == stream => return Answered::Reset(read.code()),
                GOAWAY => return Answered::GoAway(read.code()),
                _ => {}
            }
        }
        Answered::Closed
    }

    /// Reads until the gate closes the connection.
    pub(crate) async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Says this again and again, until the gate closes the connection or takes no more of it. Returns how many bytes
    /// were sent. Who is deaf reads nothing meanwhile.
    pub(crate) async fn flood(self, mut say: impl FnMut() -> Vec<u8>, deaf: bool) -> usize {
        let (mut from, mut to) = tokio::io::split(self.stream);
        let listens = async {
            match deaf {
                true => std::future::pending().await,
                false => tokio::io::copy(&mut from, &mut tokio::io::sink()).await.map(|_| ()),
            }
        };
        let mut sent = 0;
        let says = async {
            loop {
                let bytes = say();
                if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                    return;
                }
                sent += bytes.len();
            }
        };
        tokio::select! {
            () = says => {}
            _ = listens => {}
        }
        sent
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// See the static table of RFC 7541, appendix A: 0x88 is 200, 0x8c is 400.
    Status(u8),
    Reset(u32),
    GoAway(u32),
    Closed,
}
