//! What the end-to-end tests are written with: a real gate in a process of its own, the care SaaS behind it, people
//! with browsers, and the operator's command line.

mod gate;
pub(crate) mod h2;
mod raw_saas;
mod relay;
mod saas;
mod shim;
mod sso;
mod venv;
mod wire;

use std::time::Duration;

use demo::client::{Browser, Response};

pub(crate) use gate::{Gate, GateBuilder, HOME, OUTSIDE};
pub(crate) use raw_saas::{Answer, Heard, LOOKED_UP, RawSaas, Then};
pub(crate) use relay::{Relay, Way};
pub(crate) use saas::{SAAS_HOST, Saas, certificate, pem};
pub(crate) use shim::Shim;
pub(crate) use sso::{IDP_PASSWORD, Sso, account, start_link};
pub(crate) use venv::venv;
pub(crate) use wire::{Stream, Wire, frames};

/// Passwords long enough for the rules.
pub(crate) const PASSWORD: &str = "himawari-no-hana";

/// Runs a test on a runtime of its own.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Some install first what they need; long forms last minutes by intent.
    let most = if std::env::var_os("SEKISHO_SOAK").is_some() { 1_800 } else { 600 };
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(most), test).await.expect("the test took too long");
    });
}

/// Asks again until it is so, or ten seconds have passed. For what happens in another process.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "{what}: not within ten seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// For programs that can't report a port which they chose themselves.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Opens a page that needs signing in, fills in the form and returns what follows.
pub(crate) async fn sign_in(browser: &mut Browser, url: &str, person: &str, password: &str) -> Response {
    let page = browser.open(url).await.unwrap();
    assert_eq!(page.status, 200, "no sign-in page: {} {}", page.url, page.text());
    fill_in(browser, &page, &[("login_id", person), ("password", password)]).await
}

/// Logs in to the SaaS itself, with its shared account.
pub(crate) async fn saas_login(gate: &Gate, browser: &mut Browser) {
    let fields = [("login_id", "sakura-kyoyo"), ("password", "Hidamari-1234")];
    let home = browser.submit(&gate.url("/login"), &fields).await.unwrap();
    assert_eq!(home.status, 200, "{}", home.text());
}

/// Sends the one form of a page, hidden fields included.
pub(crate) async fn fill_in(browser: &mut Browser, page: &Response, fields: &[(&str, &str)]) -> Response {
    match browser.fill_in(page, fields).await {
        Ok(response) => response,
        Err(error) => panic!("{error}: {}", page.text()),
    }
}
