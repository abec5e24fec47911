//! The accept loop: a place, a handshake, a connection, and then pingora.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::ServerApp;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::connection::{Cut, Ended, Handshake};
use super::places::{Limits, Place};
use super::stream::GateStream;
use super::{Patience, Presented, Registry};

const BACKLOG: u32 = 4096;

/// What the accept loop asks of the gate for each connection; the answers may change with a reload.
pub(crate) trait Listening: Send + Sync + 'static {
    fn tls(&self) -> Arc<rustls::ServerConfig>;
    fn limits(&self) -> Limits;
    fn handshake_timeout(&self) -> Duration;
    fn patience(&self) -> Patience;
    fn registry(&self) -> &Arc<Registry>;
    /// Counts how an attempt ended.
    fn ended(&self, how: Ended);
    /// Counts a connection that was cut, by the word for why.
    fn cut(&self, why: &'static str);
}

/// Binds an address, so that a taken port is an error at start and not a log line later.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        // `[::]` beside `0.0.0.0` must not claim IPv4 as well.
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until `shutdown` turns true.
pub(crate) async fn serve<A: ServerApp + Send + Sync + 'static>(
    listener: TcpListener,
    gate: Arc<impl Listening>,
    app: Arc<A>,
    mut shutdown: ShutdownWatch,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((tcp, source)) => {
                let Some(place) = gate.registry().places.admit(source.ip(), gate.limits()) else {
                    gate.ended(Ended::TooMany);
                    continue;
                };
                let (gate, app, shutdown) = (gate.clone(), app.clone(), shutdown.clone());
                tokio::spawn(async move {
                    connection(tcp, source, place, gate, app, shutdown).await;
                });
            }
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                // Out of descriptors: accept fails at once, for ever; wait for some to be given back.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection<A: ServerApp + Send + Sync + 'static>(
    tcp: TcpStream,
    source: SocketAddr,
    place: Arc<Place>,
    gate: Arc<impl Listening>,
    app: Arc<A>,
    shutdown: ShutdownWatch,
) {
    let _ = tcp.set_nodelay(true);
    let acceptor = TlsAcceptor::from(gate.tls());
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(gate.handshake_timeout(), Box::pin(acceptor.accept(tcp))) => handshake,
        () = place.displaced() => return gate.ended(Ended::Displaced),
    };
    let tls = match handshake {
        Err(_) => return gate.ended(Ended::HandshakeTimeout),
        Ok(Err(error)) => {
            let certificate = error
                .get_ref()
                .and_then(|e| e.downcast_ref::<rustls::Error>())
                .is_some_and(|e| matches!(e, rustls::Error::InvalidCertificate(_)));
            tracing::debug!(%source, %error, "TLS handshake failed");
            return gate.ended(if certificate { Ended::BadCertificate } else { Ended::HandshakeFailed });
        }
        Ok(Ok(tls)) => tls,
    };
    if !place.established() {
        return gate.ended(Ended::Displaced);
    }
    gate.ended(Ended::Established);
    let handshake = {
        let session = tls.get_ref().1;
        Handshake {
            source,
            server_name: session.server_name().map(str::to_ascii_lowercase),
            certificate: Presented::from_chain(session.peer_certificates()),
            tls_version: match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
                _ => "1.3",
            },
            http2: session.alpn_protocol() == Some(b"h2"),
        }
    };
    let connection = gate.registry().add(handshake, place);
    let Ok(header) = ResponseHeader::build(200, Some(0)) else { return };
    let digest = Arc::new(ProxyDigest::new(Box::new(header), Some(Box::new(connection.clone()))));
    let stream = GateStream::new(tls, connection.clone(), digest);

    tokio::select! {
        _ = app.process_new(Box::new(stream), &shutdown) => {}
        () = connection.until_cut() => {}
    }
    if let Some(why) = connection.why_cut().and_then(Cut::as_str) {
        gate.cut(why);
    }
    gate.registry().remove(&connection);
}
