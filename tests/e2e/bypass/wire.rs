//! One request as bytes, over HTTP/1.1 and HTTP/2, so that nothing on our side tidies it up.

use demo::client::TlsStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request as a case wants it.
#[derive(Clone)]
pub(crate) struct Bytes<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) host: &'a str,
    pub(crate) lines: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a str,
}

impl Bytes<'_> {
    /// With its host, and its body's length if it has one.
    pub(crate) fn http1(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.lines {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        text.push_str(self.body);
        text.into_bytes()
    }

    /// The client's whole side of a connection: preface, settings, and this on stream 1 (RFC 9113, 3.4 and 8.3).
    fn http2(&self) -> Vec<u8> {
        let mut block = Vec::new();
        let pseudo =
            [(":method", self.method), (":scheme", "https"), (":authority", self.host), (":path", self.target)];
        for (name, value) in pseudo {
            literal(&mut block, name, value);
        }
        for (name, value) in &self.lines {
            literal(&mut block, &name.to_ascii_lowercase(), value);
        }
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(&mut bytes, 4, 0, 0, &[]);
        let (end_stream, end_headers) = (1, 4);
        if self.body.is_empty() {
            frame(&mut bytes, 1, end_headers | end_stream, 1, &block);
        } else {
            frame(&mut bytes, 1, end_headers, 1, &block);
            frame(&mut bytes, 0, end_stream, 1, self.body.as_bytes());
        }
        bytes
    }
}

/// A field that is in no table, as it is (RFC 7541, 6.2.2).
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        // An integer with a prefix of 7 bits (RFC 7541, 5.1).
        match text.len() {
            length @ 0..127 => block.push(length as u8),
            length => {
                block.push(127);
                let mut rest = length - 127;
                while rest >= 128 {
                    block.push((rest % 128 + 128) as u8);
                    rest /= 128;
                }
                block.push(rest as u8);
            }
        }
        block.extend_from_slice(text.as_bytes());
    }
}

/// RFC 9113, 4.1.
fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// Sends it; how the gate answered, in a word.
pub(crate) async fn over_http1(mut stream: TlsStream, request: &Bytes<'_>) -> String {
    // The gate may hang up while it is still being sent.
    let _ = stream.write_all(&request.http1()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    answer.lines().next().and_then(|line| line.split(' ').nth(1)).unwrap_or("closed").to_owned()
}

/// Sends it, and waits until its stream ends.
pub(crate) async fn over_http2(mut stream: TlsStream, request: &Bytes<'_>) -> String {
    let _ = stream.write_all(&request.http2()).await;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return "closed".to_owned();
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags, id) = (head[3], head[4], u32::from_be_bytes([head[5] & 127, head[6], head[7], head[8]]));
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).await.is_err() {
            return "closed".to_owned();
        }
        match kind {
            0 | 1 if id == 1 && flags & 1 == 1 => return "answered".to_owned(),
            3 if id == 1 => return "reset".to_owned(),
            7 => return "gone away".to_owned(),
            _ => {}
        }
    }
}
