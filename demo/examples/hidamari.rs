//! Runs the SaaS alone, without a gate, to look at its pages: `cargo run -p sekisho-demo --example hidamari`.
#![expect(clippy::print_stdout, reason = "says where to go")]

use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = "hidamari.localhost";
    let made = generate_simple_self_signed([host.to_owned(), format!("assets.{host}")])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let tls = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let absolute = std::env::args().any(|argument| argument == "--absolute");
    let links = if absolute { demo::Links::Absolute } else { demo::Links::HostRelative };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let saas = demo::serve(listener, tls, demo::Options { host: host.to_owned(), links, ..demo::Options::default() })?;
    println!("{}", saas.origin());
    for account in demo::ACCOUNTS {
        println!("{} / {} ({})", account.login_id, account.password, account.name);
    }
    tokio::signal::ctrl_c().await?;
    saas.shutdown().await;
    Ok(())
}
