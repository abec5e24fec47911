//! `audit.checkpoints` as resolved: what the gate goes by.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::document::{KeptKind, MailSecurity};
use super::secret::SecretSource;
use super::witness::CosignerKey;

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
pub struct HiddenUrl(pub(super) Url);

impl fmt::Debug for HiddenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
