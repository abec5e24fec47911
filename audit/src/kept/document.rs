//! `audit.checkpoints`, as an operator writes it and as resolved.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use vocabulary::{DocumentError, PathStep, Span};

use super::secret::SecretSource;
use super::witness::CosignerKey;

/// Where checkpoints are kept beside this machine, so that nobody who holds it can rewrite the record unnoticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointsDocument {
    /// How often the newest checkpoint is brought to each place. Default 1h; from 1m to 7d. What was sealed since the
    /// last time could be rewritten unnoticed by whoever holds the gateway.
    pub every: Span,
    /// The places. Default: none, which is warned of.
    pub kept: Vec<KeptDocument>,
}

impl Default for CheckpointsDocument {
    fn default() -> Self {
        Self { every: Span::secs(3600), kept: Vec::new() }
    }
}

/// One place where checkpoints are kept. It should be in the hands of somebody else than the gateway is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeptDocument {
    /// A short name for messages, metrics and folders: a-z, 0-9 and `-`, at most 40.
    pub id: String,
    pub kind: KeptKind,
    /// How long one attempt may take. Default 30s, from 1s to 5m. It is made again, later and later, until it
    /// succeeds or a newer checkpoint takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// `webhook`, `timestamp` and `witness`, required: where to send it. `https://`; a time stamp may be asked for by
    /// `http://` too, because it is checked by its own signature, and the others on loopback. Of a witness, what stands
    /// before `/add-checkpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `mail`, `webhook` and `timestamp`, `witness` by `https://`: a PEM file of the roots that the server's certificate
    /// is verified against, instead of the public ones. For servers of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_ca: Option<PathBuf>,
    /// `mail` only, required: host and port of the mail server, such as smtp.example.jp:587.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `mail` only: how the way to the server is protected. Default starttls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<MailSecurity>,
    /// `mail` only, required: the sender's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `mail` only, required: the addresses of those who keep it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// `mail` only: the name to sign in with at the mail server. Default: without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `mail` only, with `user`: the file that holds the password, and nothing else. Excludes `credential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// `webhook` only: the file that holds the key of the HMAC-SHA256 over the body, which the header
    /// `X-Hub-Signature-256` then carries. Default: no signature. Excludes `credential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// `mail` and `webhook` only: the systemd credential that holds the password or key, instead of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// `file` only, required: a folder that is there, best on a mount whose files can't be changed once written. Each
    /// checkpoint gets a file of its own, named by its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// `timestamp` only, required: a PEM file of the roots that the authority's certificate is verified against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_ca: Option<PathBuf>,
    /// `witness` only, required: its verifier key for Ed25519 cosignatures, `<name>+<ID>+<key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// How a checkpoint is brought to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeptKind {
    /// A mail to people, who file it.
    Mail,
    /// An HTTP POST of JSON.
    Webhook,
    /// A file on another mount.
    File,
    /// A time stamp of an authority (RFC 3161): proves that the checkpoint was there by then.
    Timestamp,
    /// A witness (C2SP tlog-witness), which sees to it that the log only grows.
    Witness,
}

impl KeptKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::File => "file",
            Self::Timestamp => "timestamp",
            Self::Witness => "witness",
        }
    }
}

/// How the way to a mail server is protected. Its certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// TLS, asked for after connecting; without it nothing is sent.
    #[default]
    Starttls,
    /// TLS from the first byte on.
    Tls,
    /// None; to a server on this machine alone.
    None,
}

/// `audit.checkpoints`, checked and with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub every: Duration,
    /// In the order of the file; ids are unique.
    pub targets: Vec<Target>,
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub id: String,
    /// Of one attempt.
    pub timeout: Duration,
    pub how: How,
}

impl Target {
    pub const fn kind(&self) -> KeptKind {
        match self.how {
            How::Mail(_) => KeptKind::Mail,
            How::Webhook(_) => KeptKind::Webhook,
            How::File(_) => KeptKind::File,
            How::Timestamp(_) => KeptKind::Timestamp,
            How::Witness(_) => KeptKind::Witness,
        }
    }
}

/// What it takes to bring a checkpoint there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    Mail(Mail),
    Webhook(Webhook),
    /// The folder.
    File(PathBuf),
    Timestamp(TimestampAuthority),
    Witness(Witness),
}

/// A mail server and the people behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    pub from: String,
    pub to: Vec<String>,
    /// Name and password.
    pub account: Option<(String, SecretSource)>,
    pub server: ServerRoots,
}

/// A receiver of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: HiddenUrl,
    pub secret: Option<SecretSource>,
    pub server: ServerRoots,
}

/// An authority of time stamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampAuthority {
    pub url: HiddenUrl,
    /// Where the roots were written, and what stood there (DER) once it was read.
    pub timestamp_ca: PathBuf,
    pub roots: Vec<Vec<u8>>,
    pub server: ServerRoots,
}

/// A witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Without a `/` at the end.
    pub url: HiddenUrl,
    pub key: CosignerKey,
    pub server: ServerRoots,
}

/// What a server's certificate is verified against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerRoots {
    /// The file that names them; none: the public roots.
    pub file: Option<PathBuf>,
    /// What stood there (DER) once it was read.
    pub roots: Vec<Vec<u8>>,
}

/// An address of which only the host is ever shown: the rest may be what keeps others out.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenUrl(Url);

impl std::fmt::Debug for HiddenUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A change of what is hidden still is a change: see `Settings::needs_restart` of the whole configuration.
        let digest = ring::digest::digest(&ring::digest::SHA256, self.0.as_str().as_bytes());
        write!(f, "{}#{:02x?}", self.host(), &digest.as_ref()[..8])
    }
}

impl HiddenUrl {
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Only to ask what stands there.
    pub fn danger_expose(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const EVERY: std::ops::RangeInclusive<Duration> = MINUTE..=Duration::from_secs(7 * 86_400);
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
const LONGEST_ID: usize = 40;

impl CheckpointsDocument {
    /// Checks and fills in. Files are not read; relative paths are as written.
    ///
    /// # Errors
    /// Everything that is wrong, with paths from the whole configuration's root (`audit.checkpoints.kept[0].url`).
    pub fn resolve(&self) -> Result<Settings, Vec<DocumentError>> {
        let mut errors = Vec::new();
        if !EVERY.contains(&self.every.0) {
            let path = ["audit".into(), "checkpoints".into(), "every".into()];
            errors.push(DocumentError::new(path, self.every.to_string(), "must lie between 1m and 7d"));
        }
        let mut ids = HashSet::new();
        let targets = self.kept.iter().enumerate().filter_map(|(index, written)| {
            let mut entry = Entry { written, index, errors: &mut errors };
            if !ids.insert(&written.id) {
                entry.wrong("id", &written.id, "is there twice");
            }
            entry.resolve()
        });
        let targets = targets.collect();
        if errors.is_empty() { Ok(Settings { every: self.every.0, targets }) } else { Err(errors) }
    }
}

/// One entry while it is checked.
struct Entry<'a> {
    written: &'a KeptDocument,
    index: usize,
    errors: &'a mut Vec<DocumentError>,
}

impl Entry<'_> {
    fn resolve(&mut self) -> Option<Target> {
        let written = self.written;
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if written.id.is_empty() || written.id.len() > LONGEST_ID || !written.id.bytes().all(letters) {
            self.wrong("id", &written.id, "must be 1 to 40 of a-z, 0-9 and `-`");
        }
        let timeout = written.timeout.unwrap_or(Span::secs(30));
        if !TIMEOUT.contains(&timeout.0) {
            self.wrong("timeout", &timeout.to_string(), "must lie between 1s and 5m");
        }
        self.nothing_else();
        let how = match written.kind {
            KeptKind::Mail => self.mail().map(How::Mail),
            KeptKind::Webhook => self.webhook().map(How::Webhook),
            KeptKind::File => self.needed("folder", written.folder.as_ref(), "name a folder").cloned().map(How::File),
            KeptKind::Timestamp => self.timestamp().map(How::Timestamp),
            KeptKind::Witness => self.witness().map(How::Witness),
        };
        Some(Target { id: written.id.clone(), timeout: timeout.0, how: how? })
    }

    /// Keys that another kind has.
    fn nothing_else(&mut self) {
        use KeptKind::{File, Mail, Timestamp, Webhook, Witness};
        let w = self.written;
        let keys: [(&str, bool, &[KeptKind]); 13] = [
            ("url", w.url.is_some(), &[Webhook, Timestamp, Witness]),
            ("server_ca", w.server_ca.is_some(), &[Mail, Webhook, Timestamp, Witness]),
            ("server", w.server.is_some(), &[Mail]),
            ("security", w.security.is_some(), &[Mail]),
            ("from", w.from.is_some(), &[Mail]),
            ("to", !w.to.is_empty(), &[Mail]),
            ("user", w.user.is_some(), &[Mail]),
            ("password_file", w.password_file.is_some(), &[Mail]),
            ("secret_file", w.secret_file.is_some(), &[Webhook]),
            ("credential", w.credential.is_some(), &[Mail, Webhook]),
            ("folder", w.folder.is_some(), &[File]),
            ("timestamp_ca", w.timestamp_ca.is_some(), &[Timestamp]),
            ("key", w.key.is_some(), &[Witness]),
        ];
        for (key, _, kinds) in keys.into_iter().filter(|(_, there, kinds)| *there && !kinds.contains(&w.kind)) {
            let kinds: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.as_str())).collect();
            self.wrong(key, "", &format!("belongs to the kind {}; leave it out here", kinds.join(", ")));
        }
    }

    fn mail(&mut self) -> Option<Mail> {
        let w = self.written;
        let security = w.security.unwrap_or_default();
        let server = self.needed("server", w.server.as_ref(), "write host and port, such as smtp.example.jp:587");
        let parts = server.and_then(|text| {
            let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
            let parts = parts.filter(|(host, port)| *port != 0 && is_host(host));
            if parts.is_none() {
                self.wrong("server", text, "is not a host with a port; write one such as smtp.example.jp:587");
            }
            parts
        });
        if security == MailSecurity::None
            && let Some((host, _)) = parts
            && !is_loopback(host)
        {
            self.wrong("security", "none", "is for a server on this machine alone; use starttls or tls");
        }
        let from = self.needed("from", w.from.as_ref(), "write the sender's address");
        if let Some(from) = from.filter(|from| !is_address(from)) {
            self.wrong("from", from, "is not a mail address; write one such as sekisho@example.jp");
        }
        if w.to.is_empty() {
            self.wrong("to", "", "is missing; write the addresses of those who keep it");
        }
        for (index, to) in w.to.iter().enumerate().filter(|(_, to)| !is_address(to)) {
            let path = self.path("to").into_iter().chain([index.into()]);
            let problem = "is not a mail address; write one such as audit@example.jp";
            self.errors.push(DocumentError::new(path, to, problem));
        }
        let password = self.secret("password_file", w.password_file.as_ref());
        let account = match (&w.user, password) {
            (Some(user), Some(password)) => Some((user.clone(), password)),
            (Some(_), None) => {
                self.wrong("password_file", "", "is missing: `user` needs the file or `credential` of a password");
                None
            }
            (None, Some(_)) => {
                self.wrong("user", "", "is missing: a password is for somebody");
                None
            }
            (None, None) => None,
        };
        let (host, port) = parts?;
        Some(Mail {
            host: host.to_owned(),
            port,
            security,
            from: from?.clone(),
            to: w.to.clone(),
            account,
            server: self.server_roots(),
        })
    }

    fn webhook(&mut self) -> Option<Webhook> {
        let url = self.url(false);
        let secret = self.secret("secret_file", self.written.secret_file.as_ref());
        Some(Webhook { url: url?, secret, server: self.server_roots() })
    }

    fn timestamp(&mut self) -> Option<TimestampAuthority> {
        let url = self.url(true);
        let problem = "name a PEM file of the roots that vouch for the authority";
        let timestamp_ca = self.needed("timestamp_ca", self.written.timestamp_ca.as_ref(), problem).cloned();
        let server = self.server_roots();
        Some(TimestampAuthority { url: url?, timestamp_ca: timestamp_ca?, roots: Vec::new(), server })
    }

    fn witness(&mut self) -> Option<Witness> {
        let url = self.url(false);
        let text = self.needed("key", self.written.key.as_ref(), "write the verifier key that the witness publishes");
        let key = text.and_then(|text| {
            let key: Result<CosignerKey, _> = text.parse();
            key.map_err(|problem| self.wrong("key", text, &format!("can't be used: {problem}"))).ok()
        });
        Some(Witness { url: url?, key: key?, server: self.server_roots() })
    }

    /// Of what stands in it nothing is repeated: the path may be what keeps others out.
    fn url(&mut self, plain: bool) -> Option<HiddenUrl> {
        let text = self.needed("url", self.written.url.as_ref(), "write where to send it")?;
        let url = Url::parse(text).ok().filter(Url::has_host);
        let problem = match &url {
            None => "is not an address; write one such as https://audit.example.jp/checkpoints",
            Some(url) if !matches!(url.scheme(), "https" | "http") => "must begin with https://",
            Some(url) if !url.username().is_empty() || url.password().is_some() => "may not hold a user or password",
            Some(url) if url.fragment().is_some() => "may not hold a `#`",
            Some(url) if url.query().is_some() && self.written.kind == KeptKind::Witness => "may not hold a `?`",
            Some(url) if url.scheme() == "http" && !plain && !is_loopback(url.host_str().unwrap_or_default()) => {
                "must begin with https://; http:// is for this machine alone"
            }
            Some(_) => return url.map(HiddenUrl),
        };
        self.wrong("url", "", problem);
        None
    }

    fn secret(&mut self, key: &str, file: Option<&PathBuf>) -> Option<SecretSource> {
        match (file, &self.written.credential) {
            (Some(_), Some(_)) => {
                self.wrong("credential", "", &format!("excludes `{key}`: keep one of the two"));
                None
            }
            (Some(file), None) => Some(SecretSource::File(file.clone())),
            (None, Some(name)) if name.is_empty() || name.starts_with('.') || name.contains('/') => {
                let problem = "is not a credential's name: it may not be empty, begin with `.` or hold `/`";
                self.wrong("credential", "", problem);
                None
            }
            (None, Some(name)) => Some(SecretSource::Credential(name.clone())),
            (None, None) => None,
        }
    }

    fn server_roots(&self) -> ServerRoots {
        ServerRoots { file: self.written.server_ca.clone(), roots: Vec::new() }
    }

    fn needed<'t, T>(&mut self, key: &str, value: Option<&'t T>, what_to_do: &str) -> Option<&'t T> {
        if value.is_none() {
            self.wrong(key, "", &format!("is missing; {what_to_do}"));
        }
        value
    }

    fn path(&self, key: &str) -> Vec<PathStep> {
        vec!["audit".into(), "checkpoints".into(), "kept".into(), self.index.into(), key.into()]
    }

    fn wrong(&mut self, key: &str, value: &str, problem: &str) {
        let path = self.path(key);
        self.errors.push(DocumentError::new(path, value, problem));
    }
}

fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
            !host.is_empty() && host.len() <= 253 && host.bytes().all(letters)
        }
    }
}

/// Whether who is asked by this name is on this machine. A name that leads elsewhere in spite of RFC 6761 is not
/// connected to: see the proxy.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A bare address (RFC 5321, 4.1.2), without quoted forms and without a name before it.
fn is_address(text: &str) -> bool {
    let word = |part: &str| {
        let good = |c: char| c.is_ascii_graphic() && !"()<>[]:;@\\,\"".contains(c);
        !part.is_empty() && part.len() <= 253 && part.chars().all(good)
    };
    text.split_once('@').is_some_and(|(local, domain)| word(local) && word(domain) && is_host(domain))
}
