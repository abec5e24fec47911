//! Connections: TCP from a chosen address, TLS 1.3 with or without a client certificate, HTTP/1.1 or HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::{ClientError, Setup, TlsStream};

pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Whether the connection still takes requests.
    pub(super) async fn ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        Ok(match self {
            Self::Http1(sender) => sender.send_request(request).await?,
            Self::Http2(sender) => sender.send_request(request).await?,
        })
    }
}

pub(super) async fn tls(setup: &Setup, server_name: &str, alpn: &[&[u8]]) -> Result<TlsStream, ClientError> {
    let mut roots = RootCertStore::empty();
    for root in &setup.roots {
        roots.add(root.clone()).map_err(|e| ClientError::Tls(e.to_string()))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| ClientError::Tls(e.to_string()))?
        .with_root_certificates(roots);
    let mut config = match &setup.certificate {
        Some(certificate) => builder
            .with_client_auth_cert(certificate.chain.clone(), certificate.key.clone_key())
            .map_err(|e| ClientError::Tls(e.to_string()))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    let socket = match setup.server {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(ClientError::Connect)?;
    if let Some(from) = setup.from {
        socket.bind(SocketAddr::new(from, 0)).map_err(ClientError::Connect)?;
    }
    let tcp = socket.connect(setup.server).await.map_err(ClientError::Connect)?;
    tcp.set_nodelay(true).map_err(ClientError::Connect)?;
    let name = ServerName::try_from(server_name.to_owned()).map_err(|e| ClientError::Tls(e.to_string()))?;
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|e| ClientError::Tls(e.to_string()))
}

pub(super) async fn http(setup: &Setup, host: &str) -> Result<Sender, ClientError> {
    let alpn: &[&[u8]] = if setup.http2 { &[b"h2"] } else { &[b"http/1.1"] };
    let stream = TokioIo::new(tls(setup, host, alpn).await?);
    if setup.http2 {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        Ok(Sender::Http2(sender))
    } else {
        let (sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(Sender::Http1(sender))
    }
}
