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

/// Who is asked for addresses.
pub(super) trait Lookup {
    /// All addresses of an absolute name, and how long they may be used; else why there are none.
    fn look_up(&self, name: &str) -> impl Future<Output = Result<(Vec<IpAddr>, Duration), String>> + Send;
}

impl Lookup for Resolver {
    async fn look_up(&self, name: &str) -> Result<(Vec<IpAddr>, Duration), String> {
        let answer = self.0.lookup_ip(name).await.map_err(|e| e.to_string())?;
        Ok((answer.iter().collect(), answer.valid_until().saturating_duration_since(Instant::now())))
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

#[derive(Clone, Debug)]
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
        let known = self.known_at(Instant::now(), resolver).await?;
        // Never an empty list.
        Ok(known.addresses[attempt % known.addresses.len()])
    }

    async fn known_at(&self, now: Instant, lookup: &impl Lookup) -> Result<Arc<Known>, ResolveError> {
        if let Some(known) = self.known.load_full() {
            if now < known.fresh_until {
                return Ok(known);
            }
            if now < known.usable_until {
                // Stale but usable: one request asks anew, the others go on.
                let Ok(_asking) = self.asking.try_lock() else { return Ok(known) };
                return Ok(self.ask(now, lookup).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "using the last known addresses");
                    // Not asked for again at once: each time somebody waits until the name servers are given up.
                    let fresh_until = known.usable_until.min(now + SHORTEST);
                    let known = Known { fresh_until, ..Known::clone(&known) };
                    self.keep(known)
                }));
            }
        }
        let _asking = self.asking.lock().await;
        match self.known.load_full() {
            Some(known) if now < known.fresh_until => Ok(known),
            _ => self.ask(now, lookup).await,
        }
    }

    async fn ask(&self, now: Instant, lookup: &impl Lookup) -> Result<Arc<Known>, ResolveError> {
        let fail = |cause: String| ResolveError::Lookup { host: self.name.clone(), cause };
        // A final dot keeps the machine's search domains out: `kaipoke.biz.local` is nobody's business.
        let absolute = format!("{}.", self.name.trim_end_matches('.'));
        let (found, ttl) = lookup.look_up(&absolute).await.map_err(fail)?;
        let mut addresses: Vec<_> = found.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        if addresses.is_empty() {
            return Err(fail("the answer was empty".to_owned()));
        }
        let fresh_until = now + ttl.clamp(SHORTEST, LONGEST);
        Ok(self.keep(Known { addresses, fresh_until, usable_until: now + STALE }))
    }

    fn keep(&self, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        self.known.store(Some(known.clone()));
        known
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Script;

    use super::*;

    /// Name servers that say what the test says, and count how often they were asked.
    #[derive(Default)]
    struct Servers {
        answer: Script<Option<(Vec<IpAddr>, Duration)>>,
        asked: Script<Vec<String>>,
    }

    impl Servers {
        fn say(&self, addresses: &[&str], ttl_secs: u64) {
            let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
            *self.answer.lock().unwrap() = Some((addresses, Duration::from_secs(ttl_secs)));
        }

        fn are_gone(&self) {
            *self.answer.lock().unwrap() = None;
        }

        fn asked(&self) -> usize {
            self.asked.lock().unwrap().len()
        }
    }

    impl Lookup for Servers {
        async fn look_up(&self, name: &str) -> Result<(Vec<IpAddr>, Duration), String> {
            self.asked.lock().unwrap().push(name.to_owned());
            self.answer.lock().unwrap().clone().ok_or_else(|| "nobody answers".to_owned())
        }
    }

    struct World {
        host: Host,
        servers: Servers,
        start: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { host: Host::new("records.example.jp", 443), servers: Servers::default(), start: Instant::now() }
        }

        /// The first address so many seconds after the start, or why there is none.
        fn at(&self, secs: u64) -> Result<String, String> {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let known = runtime.block_on(self.host.known_at(self.start + Duration::from_secs(secs), &self.servers));
            known.map(|known| known.addresses[0].ip().to_string()).map_err(|error| error.to_string())
        }
    }

    #[test]
    fn an_answer_is_used_for_its_time_within_five_seconds_and_five_minutes() {
        for (ttl, used) in [(0, 5), (4, 5), (60, 60), (300, 300), (86_400, 300)] {
            let world = World::new();
            world.servers.say(&["192.0.2.1"], ttl);
            assert_eq!(world.at(0).unwrap(), "192.0.2.1");
            world.servers.say(&["192.0.2.2"], ttl);
            assert_eq!(world.at(used - 1).unwrap(), "192.0.2.1", "TTL {ttl}");
            assert_eq!(world.servers.asked(), 1, "TTL {ttl}");
            assert_eq!(world.at(used).unwrap(), "192.0.2.2", "TTL {ttl}");
        }
    }

    #[test]
    fn the_last_answer_is_used_for_a_day_when_the_name_servers_are_gone() {
        let world = World::new();
        world.servers.say(&["192.0.2.1"], 60);
        world.at(0).unwrap();
        world.servers.are_gone();
        assert_eq!(world.at(60).unwrap(), "192.0.2.1");
        // Asked again, but not by every request: each waits until the name servers are given up.
        assert_eq!(world.at(64).unwrap(), "192.0.2.1");
        assert_eq!(world.servers.asked(), 2);
        assert_eq!(world.at(65).unwrap(), "192.0.2.1");
        assert_eq!(world.servers.asked(), 3);
        assert_eq!(world.at(86_399).unwrap(), "192.0.2.1");
        let error = world.at(86_400).unwrap_err();
        assert_eq!(error, "records.example.jp has no address: nobody answers");
        // And they come back.
        world.servers.say(&["192.0.2.3"], 60);
        assert_eq!(world.at(86_401).unwrap(), "192.0.2.3");
    }

    #[test]
    fn a_failure_is_not_remembered() {
        let world = World::new();
        assert!(world.at(0).is_err());
        world.servers.say(&[], 60);
        assert_eq!(world.at(0).unwrap_err(), "records.example.jp has no address: the answer was empty");
        world.servers.say(&["192.0.2.1"], 60);
        assert_eq!(world.at(0).unwrap(), "192.0.2.1");
        // Search domains of the machine are never tried.
        assert!(world.servers.asked.lock().unwrap().iter().all(|name| name == "records.example.jp."));
    }

    #[test]
    fn an_empty_answer_does_not_take_away_what_is_known() {
        let world = World::new();
        world.servers.say(&["2001:db8::1", "192.0.2.1"], 5);
        assert_eq!(world.at(0).unwrap(), "192.0.2.1", "IPv4 first");
        world.servers.say(&[], 5);
        assert_eq!(world.at(10).unwrap(), "192.0.2.1");
    }

    #[test]
    fn an_address_is_nobody_to_ask_about() {
        for (written, address) in [("192.0.2.7", "192.0.2.7"), ("[2001:db8::7]", "2001:db8::7")] {
            let world = World { host: Host::new(written, 8443), ..World::new() };
            assert_eq!(world.at(10 * 365 * 86_400).unwrap(), address);
            assert_eq!(world.servers.asked(), 0);
        }
    }
}
