//! One connection to the gate, to say what no browser says: HTTP by a library that sends the header lines it is given,
//! and HTTP/2 frames written by hand.

use bytes::Bytes;
use demo::client::{Browser, Setup, TlsStream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::h2::{Answered, DATA, END_HEADERS, END_STREAM, H2, HEADERS, block, frame};

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

/// Fields of an HTTP/2 request, pseudo-header fields among them, byte for byte, so that nothing on this side corrects them.
pub(crate) async fn frames(
    stream: TlsStream,
    fields: &[(&[u8], &[u8])],
    body: Option<&[u8]>,
    trailers: &[(&[u8], &[u8])],
) -> Stream {
    let end = |last: bool| if last { END_STREAM } else { 0 };
    let mut h2 = H2::on(stream, &[]).await;
    let mut out = frame(HEADERS, END_HEADERS | end(body.is_none() && trailers.is_empty()), 1, &block(fields));
    if let Some(body) = body {
        out.extend(frame(DATA, end(trailers.is_empty()), 1, body));
    }
    if !trailers.is_empty() {
        out.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers)));
    }
    h2.send(&out).await;
    match h2.answer(1).await {
        Answered::Status(status) => Stream::Answered { ok: status == 0x88 },
        Answered::Reset(_) => Stream::Reset,
        Answered::GoAway(_) | Answered::Closed => Stream::Gone,
    }
}
