//! ひだまり認証: a small but real OpenID Connect provider, for `sekisho demo` and for the tests.
//!
//! The code flow with PKCE and client secrets, user info, sessions, RP-initiated and back-channel logout, keys that
//! rotate. It lives in memory. What no provider should do stands in [`Mischief`] alone: a test asks for it, and the
//! next tokens are wrong in that way.

mod flow;
mod keys;
mod logout;
mod state;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::routing::{get, post};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::ServeError;
use state::Idp;

pub use state::ProviderAccount;

/// Somebody who trusts the provider's word.
#[derive(Clone, Debug)]
pub struct ProviderClient {
    pub id: String,
    pub secret: String,
    pub redirect_uris: Vec<String>,
    pub post_logout_redirect_uris: Vec<String>,
    pub back_channel: Option<BackChannel>,
}

/// Where the provider says that somebody signed out.
#[derive(Clone, Debug)]
pub struct BackChannel {
    pub url: String,
    pub server: SocketAddr,
    /// What the server's certificate is verified against.
    pub roots: Vec<CertificateDer<'static>>,
}

/// What no provider should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// `alg: none`, without a signature.
    Unsigned,
    /// The right key and signature, under the name of an algorithm that the key is not for.
    Algorithm(String),
    /// HS256, with the provider's public key, which everybody knows, for the secret.
    PublicKeyAsSecret,
    /// HS256 with the client secret: honest, but symmetric.
    ClientSecretAsKey,
    /// Signed by somebody else, under the name of the provider's key.
    ForeignKey,
    /// Signed with a key that the provider does not show.
    HiddenKey,
    Issuer(String),
    Audience(String),
    /// A second audience beside the right one.
    SecondAudience(String),
    AuthorizedParty(String),
    Nonce(String),
    NoNonce,
    /// Seconds added to `exp`.
    Expires(i64),
    /// Seconds added to `iat`.
    Issued(i64),
    /// Seconds from now for `nbf`.
    NotBefore(i64),
    /// Seconds added to `auth_time`, or no `auth_time`.
    AuthTime(Option<i64>),
    /// A token longer than any should be.
    LongToken,
    /// An endless token response.
    LongAnswer,
    NoToken,
    Garbage,
    /// The user info is another person's.
    OtherUserInfo,
    /// `iss` of the authorization response.
    ResponseIssuer(Option<String>),
    /// The authorization response is an error, with a description full of markup.
    Error(String),
    /// The token endpoint answers with this status.
    TokenStatus(u16),
}

/// What the caller may choose.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// The provider's host name, without port.
    pub host: String,
    pub accounts: Vec<ProviderAccount>,
    /// Mail and groups stand in the ID token; else only in the user info, as many providers have it.
    pub claims_in_token: bool,
}

/// A running provider. Dropping it ends it.
pub struct ProviderHandle {
    addr: SocketAddr,
    idp: Arc<Idp>,
    _stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Starts the provider on `listener` in the current tokio runtime. `tls` carries the certificate for the host.
///
/// # Errors
/// The listener has no local address, or the system gives no random bytes for a key.
pub fn serve_provider(
    listener: TcpListener,
    mut tls: ServerConfig,
    options: ProviderOptions,
) -> Result<ProviderHandle, ServeError> {
    let addr = listener.local_addr().map_err(ServeError::Listener)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let idp = Arc::new(Idp::new(options, addr.port()).ok_or(ServeError::Random)?);
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(flow::discovery))
        .route("/jwks", get(flow::jwks))
        .route("/authorize", get(flow::authorize))
        .route("/login", post(flow::login))
        .route("/token", post(flow::token))
        .route("/userinfo", get(flow::user_info))
        .route("/end-session", get(logout::end_session))
        .with_state(idp.clone());
    let (stop, stopped) = watch::channel(false);
    let accept = crate::serve::accept(listener, TlsAcceptor::from(Arc::new(tls)), router, stopped, Arc::default());
    Ok(ProviderHandle { addr, idp, _stop: stop, task: tokio::spawn(accept) })
}

impl ProviderHandle {
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn issuer(&self) -> &str {
        &self.idp.issuer
    }

    pub fn register(&self, client: ProviderClient) {
        self.idp.state().clients.push(client);
    }

    /// From now on, until it is told otherwise.
    pub fn misbehave(&self, mischief: impl Into<Option<Mischief>>) {
        self.idp.state().mischief = mischief.into();
    }

    /// Signs with a new key from now on; the old one is no longer shown.
    pub fn rotate_key(&self) {
        self.idp.state().rotate();
    }

    /// How often the keys were asked for.
    pub fn key_reads(&self) -> u64 {
        self.idp.key_reads.load(Ordering::Relaxed)
    }

    /// The last parameters of an authorization request.
    pub fn last_request(&self) -> Vec<(String, String)> {
        self.idp.state().last_request.clone()
    }

    /// A logout token for a client, with `change` made to its claims before it is signed.
    pub fn logout_token(&self, client: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
        logout::token(&self.idp, client, change)
    }

    /// Its own names of the sessions of an account: subject and sid.
    pub fn sessions(&self, login: &str) -> Vec<(String, String)> {
        self.idp.sessions_of(login)
    }
}

impl Drop for ProviderHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for ProviderHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderHandle").field("issuer", &self.idp.issuer).finish_non_exhaustive()
    }
}
