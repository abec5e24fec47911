//! Names of SaaS hosts to addresses, without blocking and without asking for each request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::Mutex;

/// How long addresses are used at least and at most, whatever the record's TTL says.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// How long the last good answer is used when the name servers are gone.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// A host's addresses could not be found.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("the name servers of this machine can't be read: {0}")]
    System(String),
    #[error("{host} has no address: {cause}")]
    Lookup { host: String, cause: String },
}

/// The machine's name servers and hosts file.
#[derive(Clone, Debug)]
pub(crate) struct Resolver(TokioResolver);

impl Resolver {
    /// # Errors
    /// The machine's resolver configuration can't be read.
    pub(crate) fn system() -> Result<Self, ResolveError> {
        let built = TokioResolver::builder(TokioRuntimeProvider::default()).and_then(|b| b.build());
        built.map(Self).map_err(|e| ResolveError::System(e.to_string()))
    }
}

/// One host's addresses, kept fresh.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    port: u16,
    known: ArcSwapOption<Known>,
    /// Held by who asks the name servers; the others use what is known, or wait.
    asking: Mutex<()>,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    fresh_until: Instant,
    usable_until: Instant,
}

impl Host {
    pub(crate) fn new(name: &str, port: u16) -> Self {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let known = bare.parse::<IpAddr>().ok().map(|ip| {
            let forever = Instant::now() + Duration::from_secs(100 * 365 * 86_400);
            Arc::new(Known { addresses: vec![SocketAddr::new(ip, port)], fresh_until: forever, usable_until: forever })
        });
        Self { name: name.to_owned(), port, known: ArcSwapOption::new(known), asking: Mutex::new(()) }
    }

    /// The address for an attempt: IPv4 first, the next one for each further attempt.
    pub(crate) async fn address(&self, resolver: &Resolver, attempt: usize) -> Result<SocketAddr, ResolveError> {
        let known = self.fresh(resolver).await?;
        // `fresh` never returns an empty list.
        Ok(known.addresses[attempt % known.addresses.len()])
    }

    async fn fresh(&self, resolver: &Resolver) -> Result<Arc<Known>, ResolveError> {
        let now = Instant::now();
        if let Some(known) = self.known.load_full() {
            if now < known.fresh_until {
                return Ok(known);
            }
            if now < known.usable_until {
                // Stale but usable: one request asks anew, the others go on.
                let Ok(_asking) = self.asking.try_lock() else { return Ok(known) };
                return Ok(self.ask(resolver).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "using the last known addresses");
                    known
                }));
            }
        }
        let _asking = self.asking.lock().await;
        match self.known.load_full() {
            Some(known) if now < known.fresh_until => Ok(known),
            _ => self.ask(resolver).await,
        }
    }

    async fn ask(&self, resolver: &Resolver) -> Result<Arc<Known>, ResolveError> {
        let fail = |cause: String| ResolveError::Lookup { host: self.name.clone(), cause };
        // A final dot keeps the machine's search domains out: `kaipoke.biz.local` is nobody's business.
        let absolute = format!("{}.", self.name.trim_end_matches('.'));
        let answer = resolver.0.lookup_ip(absolute).await.map_err(|e| fail(e.to_string()))?;
        let mut addresses: Vec<_> = answer.iter().map(|ip| SocketAddr::new(ip, self.port)).collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        if addresses.is_empty() {
            return Err(fail("the answer was empty".to_owned()));
        }
        let now = Instant::now();
        let ttl = answer.valid_until().saturating_duration_since(now).clamp(SHORTEST, LONGEST);
        let known = Arc::new(Known { addresses, fresh_until: now + ttl, usable_until: now + STALE });
        self.known.store(Some(known.clone()));
        Ok(known)
    }
}
