//! The SaaS of the bench: one body over TLS (or plain HTTP), as cheaply as it goes. One thread.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use sekisho_bench::pki;
use sekisho_bench::plan::{KeyPair, OriginPlan};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let plan: OriginPlan = serde_json::from_str(&std::env::args().nth(1).context("a plan is needed")?)?;
    let body = Bytes::from("介護記録 ".bytes().cycle().take(plan.body_bytes).collect::<Vec<u8>>());
    let acceptor = plan.tls.as_ref().map(acceptor).transpose()?;
    let listener = TcpListener::bind(plan.listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (body, acceptor) = (body.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, body).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, body).await;
                    }
                }
            }
        });
    }
}

fn acceptor(pair: &KeyPair) -> Result<TlsAcceptor> {
    let mut config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(pki::certificates(&pair.chain)?, pki::key(&pair.key)?)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send, body: Bytes) {
    let service = service_fn(move |_| {
        let mut response = Response::new(Full::new(body.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        async move { Ok::<_, Infallible>(response) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
