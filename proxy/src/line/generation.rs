//! One configuration, made ready: what the stations look up for each request. Never changed, only replaced.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use audit::{Change, Decision, Record};
use config::Settings;
use policy::Policy;
use prometheus::{Histogram, IntCounter};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use saas::{Actions, HostIndex, HostMap, OverrideSet, Recipe, ShapeSet};
use vocabulary::{AppId, Reason, Timestamp, Zone};

use super::exchange::Exchange;
use crate::core::Core;
use crate::forward::{Ask, Protocol, Resolver, RootsError, Timeouts, Upstream, UpstreamError};
use crate::listener::{Certificates, Limits, Patience, TlsError, TlsOptions, certified_key, server_config};
use crate::metrics::Metrics;

/// A configuration is valid by itself but can't be put in force here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerationError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("app {app}: {cause}")]
    Upstream { app: AppId, cause: UpstreamError },
    #[error(
        "there is no certificate for {0}: name PEM files under `gateway.certificates`, or let the bundled authority \
         make one (`sekisho ca init`)"
    )]
    NoCertificate(String),
    #[error("the bundled authority could not make a certificate for {host}: {cause}")]
    Issue { host: String, cause: Box<cert_authority::CertError> },
    #[error("the making of a certificate could not be recorded, so none is used: {0}")]
    Record(#[from] audit::Unavailable),
    #[error("identity provider {provider}: {cause}")]
    Provider { provider: String, cause: RootsError },
    #[error("{0}")]
    Name(#[from] vocabulary::IdError),
}

pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) policy: Arc<Policy>,
    pub(crate) zone: Zone,
    pub(crate) hosts: HashMap<String, Named>,
    pub(crate) apps: Vec<Arc<App>>,
    pub(crate) login_id: AppId,
    pub(crate) scim_id: AppId,
    pub(crate) enroll_id: AppId,
    /// The built-in directory's id, for records.
    pub(crate) provider: String,
    /// What it was made from, to be held against what comes after it.
    pub(crate) settings: Settings,
    /// The port the system chose, where the configuration leaves it to the system.
    pub(crate) bound_port: Option<u16>,
    /// What people's browsers call the sign-in host: `https://login.gw.example[:port]`.
    pub(crate) login_origin: String,
    pub(crate) login: apps::LoginApp,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    /// Chain and key of the host where devices are enrolled: profiles are signed with them, as iOS shows.
    pub(crate) enroll_signer: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// The bundled authority made it, so that no device trusts it by itself.
    pub(crate) enroll_is_ours: bool,
    /// When the first of the certificates that the bundled authority made is to be replaced.
    pub(crate) renew_at: Option<Timestamp>,
    pub(crate) limits: Limits,
    pub(crate) patience: Patience,
    pub(crate) handshake: Duration,
    pub(crate) timers: Timers,
    counters: Counters,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generation({})", self.number)
    }
}

/// What a host name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Named {
    Login,
    Scim,
    Enroll,
    Device,
    App { app: Arc<App>, host: HostIndex },
}

/// An app, ready to be matched and forwarded to.
pub(crate) struct App {
    pub(crate) id: AppId,
    pub(crate) map: HostMap,
    pub(crate) actions: Actions,
    pub(crate) tolerate: ShapeSet,
    pub(crate) overrides: OverrideSet,
    pub(crate) recipe: Option<Arc<Recipe>>,
    /// One of its hosts serves nothing but style sheets and the like.
    pub(crate) has_static: bool,
    /// The facility's account at the SaaS.
    pub(crate) account: Option<String>,
    upstreams: Vec<Upstream>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App({})", self.id)
    }
}

impl App {
    /// Its cookies may be meant for more than one host.
    pub(crate) fn has_several_hosts(&self) -> bool {
        self.map.iter().len() > 1
    }

    pub(crate) fn upstream(&self, host: HostIndex) -> &Upstream {
        let position = self.map.iter().position(|(index, _)| index == host).unwrap_or(0);
        &self.upstreams[position]
    }
}

/// Histograms looked up once.
pub(crate) struct Timers {
    pub(crate) own: Histogram,
    pub(crate) upstream: Histogram,
    pub(crate) commit: Histogram,
}

/// Counters of the commonest case looked up once: permitted by a rule, per app.
struct Counters {
    all: prometheus::IntCounterVec,
    permitted: HashMap<AppId, IntCounter>,
}

impl Generation {
    pub(crate) fn new(
        number: u64,
        settings: &Settings,
        bound_port: Option<u16>,
        core: &Core,
        resolver: &Resolver,
        metrics: &Metrics,
    ) -> Result<Self, GenerationError> {
        let gateway = &settings.gateway;
        let mut hosts = HashMap::new();
        let mut apps_made = Vec::new();
        for settings_of_app in &settings.apps {
            let app = Arc::new(app(settings_of_app)?);
            for (index, mapped) in app.map.iter() {
                hosts.insert(mapped.our_host().to_owned(), Named::App { app: app.clone(), host: index });
            }
            apps_made.push(app);
        }
        hosts.insert(gateway.login_host.clone(), Named::Login);
        hosts.extend(settings.identity.scim.iter().map(|scim| (scim.host.clone(), Named::Scim)));

        // Without an authority nothing can be enrolled.
        if core.authority.is_some() {
            hosts.insert(gateway.enroll_host.clone(), Named::Enroll);
            hosts.insert(gateway.device_host.clone(), Named::Device);
        }
        if let Some(authority) = &core.authority {
            expires(metrics, "device-authority", authority.device_ca_not_after());
            expires(metrics, "server-authority", authority.server_ca_not_after());
        }
        let (certificates, made) = certificates(settings, core, metrics, &apps_made)?;
        let anchors: Vec<_> = core.authority.iter().flat_map(|a| a.device_anchors(core.now())).cloned().collect();
        let tls = server_config(TlsOptions { allow_tls12: gateway.tls.allow_tls12 }, certificates, &anchors)?;
        let login_origin = match gateway.public_port {
            443 => format!("https://{}", gateway.login_host),
            port => format!("https://{}:{port}", gateway.login_host),
        };
        let limits = &gateway.limits;
        Ok(Self {
            number,
            policy: settings.policy.clone(),
            zone: gateway.time_zone.clone(),
            login: login(settings, core, resolver, &apps_made, &login_origin)?,
            hosts,
            login_id: AppId::new("login")?,
            scim_id: AppId::new("scim")?,
            enroll_id: AppId::new("enroll")?,
            provider: settings.identity.directory().map(|p| p.id.clone()).unwrap_or_default(),
            settings: settings.clone(),
            bound_port,
            login_origin,
            tls,
            enroll_is_ours: made.is_ours,
            enroll_signer: made.enroll,
            renew_at: made.renew_at,
            limits: Limits {
                total: crate::descriptors::connections(limits.max_connections),
                per_source: limits.per_source_connections,
            },
            patience: Patience { head: limits.head, idle: limits.idle, stall: limits.body_stall },
            handshake: limits.handshake,
            timers: Timers {
                own: metrics.seconds.with_label_values(&["own"]),
                upstream: metrics.seconds.with_label_values(&["upstream"]),
                commit: metrics.journal_commit.clone(),
            },
            counters: Counters {
                all: metrics.requests.clone(),
                permitted: apps_made
                    .iter()
                    .map(|app| {
                        let labels = [app.id.as_str(), Decision::Permit.as_str(), Reason::Rule.as_str()];
                        (app.id.clone(), metrics.requests.with_label_values(&labels))
                    })
                    .collect(),
            },
            apps: apps_made,
        })
    }

    /// `https://scim.gw.example[:port]`, if providers can push.
    pub(super) fn scim_origin(&self) -> String {
        let host = self.settings.identity.scim.as_ref().map_or("", |scim| scim.host.as_str());
        match self.settings.gateway.public_port {
            443 => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        }
    }

    /// Counts a judged request.
    pub(super) fn count(&self, exchange: &Exchange, decision: Decision, reason: Reason) {
        let app = exchange.destination.app_id();
        if reason == Reason::Rule
            && let Some(counter) = app.and_then(|id| self.counters.permitted.get(id))
        {
            return counter.inc();
        }
        let app = app.map_or("-", AppId::as_str);
        self.counters.all.with_label_values(&[app, decision.as_str(), reason.as_str()]).inc();
    }
}

fn app(settings: &config::App) -> Result<App, GenerationError> {
    let app = &settings.saas;
    let group = pool(settings);
    let timeouts = Timeouts {
        connect: app.timeouts.connect,
        response: app.timeouts.response,
        idle: app.timeouts.idle,
        keep: app.timeouts.keep,
    };
    let protocol = match app.protocol {
        saas::Protocol::Auto => Protocol::Auto,
        saas::Protocol::H1 => Protocol::Http1,
        saas::Protocol::H2 => Protocol::Http2,
    };
    let upstreams = app
        .hosts
        .iter()
        .map(|(_, host)| {
            Upstream::new(host.upstream_host(), host.upstream_port(), group, &settings.roots, protocol, timeouts)
        })
        .collect::<Result<_, _>>()
        .map_err(|cause| GenerationError::Upstream { app: app.id.clone(), cause })?;
    Ok(App {
        id: app.id.clone(),
        map: app.hosts.clone(),
        actions: app.actions.clone(),
        tolerate: app.tolerate,
        overrides: app.overrides,
        recipe: app.recipe.clone(),
        has_static: app.hosts.iter().any(|(_, host)| host.is_static()),
        account: app.account.clone(),
        upstreams,
    })
}

/// Connections are shared only among requests of one app, and only while what the SaaS is verified against stays:
/// after a change of roots nothing goes over a connection that the old ones had vouched for.
fn pool(settings: &config::App) -> u64 {
    let mut hasher = DefaultHasher::new();
    settings.saas.id.hash(&mut hasher);
    for root in &settings.roots {
        root.as_ref().hash(&mut hasher);
    }
    hasher.finish()
}

fn login(
    settings: &Settings,
    core: &Core,
    resolver: &Resolver,
    apps_made: &[Arc<App>],
    origin: &str,
) -> Result<apps::LoginApp, GenerationError> {
    let offered = apps_made
        .iter()
        .map(|app| apps::OfferedApp { id: app.id.clone(), url: format!("{}/", app.map.main().our_origin()) })
        .collect();
    let settings_of_login =
        apps::LoginSettings { host: settings.gateway.login_host.clone(), origin: origin.to_owned(), apps: offered };
    let oidc = identity::Oidc::new(&core.identity, &settings.identity, |provider| {
        let ask = Ask::new(resolver.clone(), &provider.roots, provider.timeout);
        let ask = ask.map_err(|cause| GenerationError::Provider { provider: provider.id.clone(), cause })?;
        Ok::<_, GenerationError>(Arc::new(ask) as Arc<dyn identity::Fetch>)
    })?;
    let login = apps::LoginApp::new(core.identity.clone(), settings_of_login)
        .with_oidc(oidc)
        .with_notice(settings.identity.notice.clone());
    Ok(match settings.identity.directory() {
        Some(directory) => login.with_id_label(directory.name.clone()),
        None => login.without_directory(),
    })
}

/// What else is known of the certificates once they are there.
struct Made {
    renew_at: Option<Timestamp>,
    enroll: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    is_ours: bool,
}

/// Each app has a certificate of its own, so that browsers don't coalesce connections across apps.
fn certificates(
    settings: &Settings,
    core: &Core,
    metrics: &Metrics,
    apps_made: &[Arc<App>],
) -> Result<(Certificates, Made), GenerationError> {
    let mut enroll = None;
    let mut is_ours = false;
    let mut by_host = HashMap::new();
    let mut renew_at: Option<Timestamp> = None;
    let mut earliest = |at: Option<Timestamp>| renew_at = [renew_at, at].into_iter().flatten().min();
    for (app, settings_of_app) in apps_made.iter().zip(&settings.apps) {
        let hosts: Vec<String> = app.map.iter().map(|(_, host)| host.our_host().to_owned()).collect();
        let pem = settings_of_app.certificate.as_ref().or_else(|| covering(settings, &hosts));
        let One { key, renew_at, .. } = certificate(pem, core, metrics, app.id.as_str(), &hosts)?;
        earliest(renew_at);
        for host in hosts {
            by_host.insert(host, key.clone());
        }
    }
    let login = settings.gateway.login_host.clone();
    let hosts = [login.clone()];
    let One { key: own, renew_at, .. } = certificate(covering(settings, &hosts), core, metrics, "login", &hosts)?;
    earliest(renew_at);
    by_host.insert(login, own.clone());
    if core.authority.is_some() {
        for (name, host) in [("enroll", &settings.gateway.enroll_host), ("device", &settings.gateway.device_host)] {
            let hosts = [host.clone()];
            let pem = covering(settings, &hosts);
            let one = certificate(pem, core, metrics, name, &hosts)?;
            earliest(one.renew_at);
            by_host.insert(host.clone(), one.key);
            if name == "enroll" {
                is_ours = pem.is_none();
                enroll = Some((one.chain, one.private));
            }
        }
    }
    if let Some(scim) = &settings.identity.scim {
        let hosts = [scim.host.clone()];
        let One { key, renew_at, .. } = certificate(covering(settings, &hosts), core, metrics, "scim", &hosts)?;
        earliest(renew_at);
        by_host.insert(scim.host.clone(), key);
    }
    Ok((Certificates { by_host, own }, Made { renew_at, enroll, is_ours }))
}

/// A certificate of the gateway's that is good for all of these hosts.
fn covering<'s>(settings: &'s Settings, hosts: &[String]) -> Option<&'s config::Certificate> {
    settings.gateway.certificates.iter().find(|certificate| hosts.iter().all(|host| certificate.covers(host)))
}

/// A host's certificate, for the listener and as it is.
struct One {
    key: Arc<CertifiedKey>,
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
    renew_at: Option<Timestamp>,
}

fn certificate(
    pem: Option<&config::Certificate>,
    core: &Core,
    metrics: &Metrics,
    name: &str,
    hosts: &[String],
) -> Result<One, GenerationError> {
    let first = hosts.first().map_or(name, String::as_str);
    let (chain, key, not_after, renew_at) = match (pem, &core.authority) {
        (Some(pem), _) => (pem.chain.clone(), pem.key.clone_key(), pem.not_after, None),
        (None, Some(authority)) => {
            let made = authority
                .issue_server(hosts, core.now(), core.server_validity)
                .map_err(|cause| GenerationError::Issue { host: first.to_owned(), cause: Box::new(cause) })?;
            let issued = Change {
                by: "gate".to_owned(),
                channel: "gate".to_owned(),
                what: "server-certificate-issued".to_owned(),
                subject: name.to_owned(),
                details: serde_json::Map::from_iter([("hosts".to_owned(), hosts.iter().map(String::as_str).collect())]),
                more: serde_json::Map::new(),
            };
            core.journal.append_blocking(core.now(), &Record::Change(issued))?;
            let renew_at = made.renew_at();
            (made.chain_der, made.key_der, made.not_after, Some(renew_at))
        }
        (None, None) => return Err(GenerationError::NoCertificate(first.to_owned())),
    };
    expires(metrics, name, not_after);
    let (made, private) = (certified_key(first, chain.clone(), key.clone_key())?, key);
    Ok(One { key: made, chain, private, renew_at })
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double exactly")]
fn expires(metrics: &Metrics, certificate: &str, at: Timestamp) {
    metrics.certificate_expiry.with_label_values(&[certificate]).set(at.secs() as f64);
}
