//! One connection to the gate, to say what no browser says: HTTP by a library that sends the header lines it is given,
//! and HTTP/2 frames written by hand.

use bytes::Bytes;
use demo::client::{Browser, Setup, TlsStream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Requests as they are built, line by line, on one connection.
pub(crate) enum Wire {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Wire {
    pub(crate) async fn open(setup: Setup, server_name: &str) -> Self {
        let http2 = setup.http2;
        let alpn: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
        let stream = TokioIo::new(Browser::new(setup).raw(server_name, &[alpn]).await.unwrap());
        if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            Self::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            Self::Http1(sender)
        }
    }

    /// Asks for `https://authority/target` with these lines, in English, and nothing else but Host or `:authority`.
    pub(crate) async fn get(&mut self, authority: &str, target: &str, lines: &[(&str, &[u8])]) -> Got {
        let uri = match self {
            Self::Http1(_) => target.to_owned(),
            Self::Http2(_) => format!("https://{authority}{target}"),
        };
        let mut request = Request::builder().uri(uri).body(Full::new(Bytes::new())).unwrap();
        let headers = request.headers_mut();
        if matches!(self, Self::Http1(_)) {
            headers.insert("host", authority.parse().unwrap());
        }
        headers.insert("accept-language", http::HeaderValue::from_static("en"));
        for (name, value) in lines {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, http::HeaderValue::from_bytes(value).unwrap());
        }
        let response = match self {
            Self::Http1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Self::Http2(sender) => sender.send_request(request).await.unwrap(),
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Got { status: head.status, headers: head.headers, body }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether it sets a cookie of this name to a value.
    pub(crate) fn sets(&self, name: &str) -> bool {
        let set = self.headers.get_all("set-cookie").iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        set.filter_map(|line| line.split(';').next().map(str::to_owned))
            .filter_map(|pair| pair.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())))
            .any(|(n, value)| n == name && !value.is_empty())
    }
}

/// How a stream ended that was written by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Answered {
        ok: bool,
    },
    Reset,
    /// The connection went with it.
    Gone,
}

/// Fields of an HTTP/2 request, pseudo-header fields among them, byte for byte: HPACK literals without Huffman or index
/// (RFC 7541, 6.2.2), so that nothing on this side corrects them.
pub(crate) async fn frames(
    mut stream: TlsStream,
    fields: &[(&[u8], &[u8])],
    body: Option<&[u8]>,
    trailers: &[(&[u8], &[u8])],
) -> Stream {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut out, 4, 0, 0, &[]);
    let ends = body.is_none() && trailers.is_empty();
    frame(&mut out, 1, 4 | u8::from(ends), 1, &block(fields));
    if let Some(body) = body {
        frame(&mut out, 0, u8::from(trailers.is_empty()), 1, body);
    }
    if !trailers.is_empty() {
        frame(&mut out, 1, 5, 1, &block(trailers));
    }
    let _ = stream.write_all(&out).await;
    let mut seen = Vec::new();
    loop {
        while seen.len() >= 9 {
            let length = usize::from(seen[0]) << 16 | usize::from(seen[1]) << 8 | usize::from(seen[2]);
            if seen.len() < 9 + length {
                break;
            }
            let (kind, id) = (seen[3], seen[8]);
            let payload: Vec<u8> = seen.drain(..9 + length).skip(9).collect();
            match (kind, id) {
                // `:status: 200` is entry 8 of the static table; table size updates may stand before it.
                (1, 1) => {
                    let first = payload.iter().find(|b| !(0x20..0x40).contains(*b));
                    return Stream::Answered { ok: first == Some(&0x88) };
                }
                (3, 1) => return Stream::Reset,
                (7, _) => return Stream::Gone,
                _ => {}
            }
        }
        if !matches!(stream.read_buf(&mut seen).await, Ok(1..)) {
            return Stream::Gone;
        }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    out.extend([length[1], length[2], length[3], kind, flags, 0, 0, 0, stream]);
    out.extend_from_slice(payload);
}

fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            // An integer with a prefix of seven bits (RFC 7541, 5.1).
            match text.len() {
                short @ ..127 => out.push(u8::try_from(short).unwrap()),
                long => {
                    out.push(127);
                    let mut rest = long - 127;
                    while rest >= 128 {
                        out.push(u8::try_from(rest % 128).unwrap() | 0x80);
                        rest /= 128;
                    }
                    out.push(u8::try_from(rest).unwrap());
                }
            }
            out.extend_from_slice(text);
        }
    }
    out
}
