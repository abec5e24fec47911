//! `audit.checkpoints`, as an operator writes it. What it means is found out in `check.rs`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::Span;

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
