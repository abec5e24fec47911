//! Connections to a SaaS for WebSockets.
//!
//! Pingora 0.9.1 (`proxy_handle_upstream`) waits for two things at once: the response, and the note that an upgrade
//! request has no body. It takes one of those that are ready, by chance, and takes a note that comes after the 101 for
//! the end of the WebSocket. A SaaS on the same machine can answer before the note is looked at; on a busy machine every
//! few WebSockets to the demo's SaaS were closed as they began. Here reading yields once after each write, so that the note is always taken first.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_error::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Connects by TCP to streams that yield between writing and reading.
#[derive(Debug)]
pub(super) struct Yielding;

#[async_trait::async_trait]
impl Connect for Yielding {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Error::e_explain(ErrorType::ConnectNoRoute, "a SaaS is reached by TCP only");
        };
        let tcp = TcpStream::connect(address).await.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
                _ => ErrorType::ConnectError,
            };
            Error::because(kind, "connecting for a WebSocket", error)
        })?;
        Ok(VirtualSocketStream::new(Box::new(YieldingStream { tcp, wrote: false })).into())
    }
}

#[derive(Debug)]
struct YieldingStream {
    tcp: TcpStream,
    /// Nothing was read since something was written.
    wrote: bool,
}

impl VirtualSocket for YieldingStream {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.tcp.set_nodelay(true),
            // Nothing else is asked for: see the options in `upstream.rs`.
            _ => Ok(()),
        }
    }
}

impl AsyncRead for YieldingStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.wrote) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for YieldingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wrote = true;
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
