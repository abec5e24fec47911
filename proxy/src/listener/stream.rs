//! What pingora reads from and writes to: a TLS stream that reports its progress to the watchdog and carries
//! its [`Connection`] along to every request on it.
//!
//! A response's head is written apart from its body. It is held back until the body, or a flush, comes, so that both
//! leave in one TLS record and one system call.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pingora_core::listeners::ALPN;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Connection;
use super::connection::Cut;
use super::frames::Frames;

/// What is longer is not held back. Pingora's own streams hold back as much, so whatever it writes it also flushes.
const HELD_BACK: usize = 1460;

/// Of HTTP/1.1, what comes with it included: pingora would keep a megabyte of a head in memory for anybody. The heads of
/// HTTP/2 are bounded by h2.
const LONGEST_HEAD: u64 = 128 * 1024;

pub(super) struct GateStream {
    tls: Box<TlsStream<TcpStream>>,
    /// Taken from pingora, not yet given to TLS. Has no capacity while it is empty: idle connections are many.
    held: Vec<u8>,
    connection: Arc<Connection>,
    /// On HTTP/2.
    frames: Option<Frames>,
    /// Pingora hands this to every HTTP session that it makes of the stream; [`Connection::of`] reads it back.
    digest: Arc<ProxyDigest>,
}

impl GateStream {
    pub(super) fn new(tls: TlsStream<TcpStream>, connection: Arc<Connection>, digest: Arc<ProxyDigest>) -> Self {
        let frames = connection.http2.then(Frames::new);
        Self { tls: Box::new(tls), held: Vec::new(), connection, frames, digest }
    }
}

impl fmt::Debug for GateStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GateStream({})", self.connection.id)
    }
}

impl AsyncRead for GateStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.tls).poll_read(cx, buf);
        match &polled {
            Poll::Pending => self.connection.progress.read_waits(),
            Poll::Ready(_) => {
                let this = &mut *self;
                let read = &buf.filled()[before..];
                let of_head = this.connection.progress.read(read.len());
                match &mut this.frames {
                    Some(frames) => frames.read(read, &this.connection.frames),
                    None if of_head > LONGEST_HEAD => {
                        this.connection.cut_because(Cut::LongHead);
                        return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
                    }
                    None => {}
                }
            }
        }
        polled
    }
}

impl GateStream {
    fn wrote<T>(&self, polled: &Poll<io::Result<T>>, bytes: impl FnOnce(&T) -> usize) {
        match polled {
            Poll::Pending => self.connection.progress.write_waits(),
            Poll::Ready(written) => self.connection.progress.wrote(written.as_ref().map_or(0, bytes)),
        }
    }

    /// Gives TLS what is held back and, behind it, `more`. Returns how much of `more` it took.
    fn poll_pass_on(&mut self, cx: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        while !self.held.is_empty() {
            let both = [io::IoSlice::new(&self.held), io::IoSlice::new(more)];
            let taken = ready!(Pin::new(&mut *self.tls).poll_write_vectored(cx, &both))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if taken < self.held.len() {
                self.held.drain(..taken);
                continue;
            }
            let beyond = taken - self.held.len();
            self.held = Vec::new();
            if beyond > 0 {
                return Poll::Ready(Ok(beyond));
            }
        }
        if more.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Pin::new(&mut *self.tls).poll_write(cx, more)
    }
}

impl AsyncWrite for GateStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() + buf.len() <= HELD_BACK {
            self.held.extend_from_slice(buf);
            self.connection.progress.wrote(buf.len());
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = self.poll_pass_on(cx, buf);
        self.wrote(&polled, |n| *n);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.held.is_empty() {
            let polled = Pin::new(&mut *self.tls).poll_write_vectored(cx, bufs);
            self.wrote(&polled, |n| *n);
            return polled;
        }
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        self.poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = match self.poll_pass_on(cx, &[]) {
            Poll::Ready(Ok(_)) => Pin::new(&mut *self.tls).poll_flush(cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        self.wrote(&polled, |()| 0);
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on(cx, &[]))?;
        Pin::new(&mut *self.tls).poll_shutdown(cx)
    }
}

#[async_trait::async_trait]
impl Shutdown for GateStream {
    async fn shutdown(&mut self) {
        // The peer may be gone already; closing a closed connection is no error.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for GateStream {
    fn id(&self) -> UniqueIDType {
        self.tls.get_ref().0.as_raw_fd()
    }
}

impl Ssl for GateStream {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match self.tls.get_ref().1.alpn_protocol() {
            Some(b"h2") => Some(ALPN::H2),
            Some(_) => Some(ALPN::H1),
            None => None,
        }
    }
}

#[async_trait::async_trait]
impl Peek for GateStream {}

impl GetTimingDigest for GateStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for GateStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.digest.clone())
    }
}

impl GetSocketDigest for GateStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }

    fn set_socket_digest(&mut self, _: SocketDigest) {}
}
