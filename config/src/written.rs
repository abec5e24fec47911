//! The configuration as an operator writes it: its top level and the `gateway` and `log` parts.
//!
//! The other parts are the leaves' own document types. Nothing here is checked beyond its type; what values mean,
//! and whether they fit together, is found out in `resolve`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use audit::AuditDocument;
use audit::kept::MailSecurity;
use cert_authority::{CaDocument, EnrolmentDocument};
use identity::IdentityDocument;
use policy::{NetworkDocument, RuleDocument};
use saas::AppDocument;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{NetworkName, Span};

/// A configuration of Sekisho.
///
/// Paths that are not absolute count from the folder of the configuration file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Sekisho configuration")]
pub struct Written {
    pub gateway: GatewayDocument,
    /// Networks by name, for rules to refer to.
    #[serde(default)]
    pub networks: BTreeMap<NetworkName, NetworkDocument>,
    /// Who may vouch for people, and how long a sign-in lasts.
    #[serde(default)]
    pub identity: IdentityDocument,
    /// Files of further recipes, for `apps[].recipe`: what is known of a SaaS. A recipe is called as its file is, without
    /// `.yaml`, and takes the place of a shipped one of that name.
    #[serde(default)]
    pub recipes: Vec<PathBuf>,
    /// The SaaS behind the gate.
    #[serde(default)]
    pub apps: Vec<AppDocument>,
    /// Who may do what. Deny wins over allow; what no rule allows is denied.
    #[serde(default)]
    pub policy: Vec<RuleDocument>,
    /// The record of every request.
    #[serde(default)]
    pub audit: AuditDocument,
    /// The bundled certificate authority.
    #[serde(default)]
    pub ca: CaDocument,
    /// How people get their devices enrolled.
    #[serde(default)]
    pub enrolment: EnrolmentDocument,
    /// How the gate sends mail: invitations, reminders, devices that are lost. Default: it sends none.
    #[serde(default)]
    pub mail: Option<MailDocument>,
    #[serde(default)]
    pub log: LogDocument,
}

/// The gate itself: where it listens, under which names, within which limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayDocument {
    /// The domain that people's addresses end with: an app lives at `<app>.<domain>`.
    pub domain: String,
    /// Name in the IANA time zone database, such as Asia/Tokyo. Hours of rules, last days and reports are in it.
    pub time_zone: String,
    /// Addresses and ports to serve people on, such as `0.0.0.0:443` and `[::]:443`.
    #[schemars(length(min = 1))]
    pub listen: Vec<String>,
    /// The folder for everything that must be backed up. It is made if it isn't there.
    pub data: PathBuf,
    /// The port people see in addresses, if a router or load balancer gives them another one than `listen`.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub public_port: Option<u16>,
    /// Host of the sign-in pages. Default: `login.<domain>`. It may stand under another domain than the apps.
    #[serde(default)]
    pub login_domain: Option<String>,
    /// Loopback address for metrics and health. Default: `127.0.0.1:9464`.
    #[serde(default)]
    pub metrics_listen: Option<String>,
    /// Threads that serve connections. Default: as many as the machine has cores.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<u16>,
    /// PEM file with one certificate chain for all names, the server's own first. Excludes `certificates`.
    /// Without any, the bundled authority makes them.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// PEM file with the key of `certificate`.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// One certificate per name, so that browsers keep the apps' connections apart. Excludes `certificate`.
    #[serde(default)]
    pub certificates: Vec<CertificateDocument>,
    #[serde(default)]
    pub tls: TlsDocument,
    #[serde(default)]
    pub limits: LimitsDocument,
}

/// A server certificate in PEM files. They are read again on reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateDocument {
    /// Hosts it is used for. Default: the names in the certificate.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// PEM file with the chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// TLS towards people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsDocument {
    /// Default "1.3". With "1.2", older devices are let in too, with ECDHE and AEAD suites only.
    pub min_version: MinVersion,
}

/// The oldest TLS version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MinVersion {
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
    #[serde(rename = "1.2")]
    Tls12,
}

/// A mail server, and who is told what operators have to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailDocument {
    /// Host and port of the mail server, such as smtp.example.jp:587.
    pub server: String,
    /// How the way to the server is protected. Default starttls.
    #[serde(default)]
    pub security: Option<MailSecurity>,
    /// The sender's address.
    pub from: String,
    /// The addresses of those who run the gate: they are told who waits to be let in, and which device was lost.
    #[schemars(length(min = 1))]
    pub operators: Vec<String>,
    /// The name to sign in with at the mail server. Default: without.
    #[serde(default)]
    pub user: Option<String>,
    /// With `user`: the file that holds the password, and nothing else. Excludes `credential`.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The systemd credential that holds the password, instead of a file.
    #[serde(default)]
    pub credential: Option<String>,
    /// A PEM file of the roots that the server's certificate is verified against, instead of the public ones.
    #[serde(default)]
    pub server_ca: Option<PathBuf>,
}

/// How long a client may take and how many connections there may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsDocument {
    /// For a TLS handshake as a whole. Default 10s.
    pub handshake: Span,
    /// For a request's head as a whole. Default 15s.
    pub head: Span,
    /// Between two requests of a connection. Default 60s.
    pub idle: Span,
    /// A body that makes no progress for this long is given up. Default 30s.
    pub body_stall: Span,
    /// Connections at a time. Default 10000; each takes up to 40 KB while idle.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// Connections at a time from one source (an IPv4 address or an IPv6 /64). Default 2000: a whole facility
    /// may stand behind one address.
    #[schemars(range(min = 1))]
    pub per_source_connections: u32,
}

impl Default for LimitsDocument {
    fn default() -> Self {
        Self {
            handshake: Span::secs(10),
            head: Span::secs(15),
            idle: Span::secs(60),
            body_stall: Span::secs(30),
            max_connections: 10_000,
            per_source_connections: 2_000,
        }
    }
}

/// What is logged for operators; the record of requests is under `audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogDocument {
    /// Default info.
    pub level: LogLevel,
}

/// How much is logged. No level ever shows a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
