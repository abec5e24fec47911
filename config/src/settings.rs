//! The configuration as resolved: parsed, defaults filled in, files read. What the gate runs on.
//!
//! What an operator writes is in `written`; how one becomes the other is in `resolve`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use policy::Policy;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use vocabulary::{Timestamp, Zone};

use crate::written::LogLevel;

/// A whole configuration that holds together.
#[derive(Clone, Debug)]
pub struct Settings {
    pub gateway: Gateway,
    pub identity: identity::Settings,
    /// In the order of the file; ids and hosts are unique.
    pub apps: Vec<App>,
    /// Compiled with the apps and networks of the file. With no rules it denies everything.
    pub policy: Arc<Policy>,
    pub audit: Audit,
    pub ca: cert_authority::CaSettings,
    pub enrolment: cert_authority::EnrolmentSettings,
    /// Nothing: people get no mail.
    pub mail: Option<Mail>,
    pub log: Log,
}

impl Settings {
    /// The keys in which `new` differs and that a running gate can't take over: they need a restart.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        // Settings of parts that are opened once, compared as they are shown: none of them shows a secret.
        let differs = |old: &dyn fmt::Debug, new: &dyn fmt::Debug| format!("{old:?}") != format!("{new:?}");
        let parts = [
            ("audit", differs(&self.audit, &new.audit)),
            ("ca", differs(&self.ca, &new.ca)),
            ("log", differs(&self.log, &new.log)),
        ];
        let (old, new) = (&self.gateway, &new.gateway);
        let changed = [
            ("gateway.time_zone", old.time_zone != new.time_zone),
            ("gateway.listen", old.listen != new.listen),
            ("gateway.data", old.data != new.data),
            ("gateway.metrics_listen", old.metrics_listen != new.metrics_listen),
            ("gateway.workers", old.workers != new.workers),
        ];
        changed.into_iter().chain(parts).filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }
}

/// The gate itself: where it listens, under which names, within which limits.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Lower case, without a final dot. Apps live at `<app>.<domain>`.
    pub domain: String,
    /// Host of the sign-in pages. Not a host of any app.
    pub login_host: String,
    /// Where invitations lead: `enroll.<domain>`.
    pub enroll_host: String,
    /// Where a device's certificate is looked at and renewed: `device.<domain>`.
    pub device_host: String,
    /// For hours, last days and reports.
    pub time_zone: Zone,
    /// At least one; unique. Port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// The port people see in addresses: as written, else that of the first of `listen`. It is 0 only if that one is
    /// 0 and nobody said yet which port it was bound to (see [`load_bound`](crate::load_bound)).
    pub public_port: u16,
    /// Everything that must be backed up lives below this folder.
    pub data: PathBuf,
    /// Metrics and health; always a loopback address.
    pub metrics_listen: SocketAddr,
    /// Threads that serve connections, at least 1.
    pub workers: usize,
    /// PEM certificates by the hosts they are for. No host is in two of them.
    pub certificates: Vec<Certificate>,
    pub tls: Tls,
    pub limits: Limits,
}

/// One SaaS behind the gate, with the files it names.
#[derive(Clone, Debug)]
pub struct App {
    pub saas: saas::App,
    /// What the SaaS's certificate is verified against. Empty: the public roots.
    pub roots: Vec<CertificateDer<'static>>,
    /// The app's own. Nothing: one of the gateway's that covers its hosts, else the bundled authority makes one.
    pub certificate: Option<Certificate>,
}

/// How mail gets to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Without receivers: each mail has its own.
    pub server: audit::kept::Mail,
    /// Who is told what operators have to know.
    pub operators: Vec<String>,
}

/// How requests are recorded.
#[derive(Clone, Debug)]
pub struct Audit {
    pub options: audit::Options,
    pub strangers: audit::StrangerLimits,
    pub log: audit::LogSettings,
    /// Where checkpoints are kept beside this machine.
    pub checkpoints: audit::kept::Settings,
}

/// A server certificate read from PEM files; chain and key fit together.
pub struct Certificate {
    /// Exact names in lower case, or one wildcard label in front (`*.gw.example`).
    pub hosts: Vec<String>,
    /// The server's own first.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// When the first certificate that ends does so.
    pub not_after: Timestamp,
    /// Where the chain was read from, for messages.
    pub file: PathBuf,
}

impl Certificate {
    /// Whether it is for `host` (lower case).
    pub fn covers(&self, host: &str) -> bool {
        self.hosts.iter().any(|name| covers(name, host))
    }
}

/// Whether a certificate's name covers a host: the same, or a wildcard in place of its first label (RFC 6125, 6.4.3).
pub(crate) fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == host,
    }
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Self {
            hosts: self.hosts.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            not_after: self.not_after,
            file: self.file.clone(),
        }
    }
}

/// Without the key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("hosts", &self.hosts).field("file", &self.file).finish_non_exhaustive()
    }
}

/// TLS towards people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls {
    /// TLS 1.2 beside 1.3, with ECDHE and AEAD suites only.
    pub allow_tls12: bool,
}

/// How long and how many. Times are from the first byte awaited to the last, so that one byte a second doesn't
/// stretch them, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a TLS handshake as a whole.
    pub handshake: Duration,
    /// For a request's head as a whole.
    pub head: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// Without any progress of a body in either direction.
    pub body_stall: Duration,
    pub max_connections: usize,
    /// Source: an IPv4 address or an IPv6 /64.
    pub per_source_connections: usize,
}

/// What is logged for operators (not the record of requests, which `audit` keeps).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    pub level: LogLevel,
}
