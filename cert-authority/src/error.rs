//! What can go wrong here, in words an operator may read. No variant carries a secret.

use std::path::PathBuf;

use store::StoreError;
use vocabulary::DeviceId;

pub type Result<T> = std::result::Result<T, CertError>;

/// The certificate authority or the inventory refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertError {
    #[error("{path} already holds a certificate authority; to start afresh, move it away first")]
    Exists { path: PathBuf },
    #[error("{path} holds no certificate authority; `sekisho ca init` makes one")]
    Missing { path: PathBuf },
    #[error("{path}: {cause}")]
    Io { path: PathBuf, cause: std::io::Error },
    #[error("{path} is being changed by another process")]
    Busy { path: PathBuf },
    #[error("{path} does not hold the key of the {root}")]
    NotThisRoot { path: PathBuf, root: &'static str },
    #[error("the CA can't be taken over: {0}")]
    Import(String),
    #[error("the roots must not be exported into {path}, beside the keys they are kept apart from")]
    ExportInside { path: PathBuf },
    #[error("{what} is too short: it needs at least 12 characters")]
    WeakPassphrase { what: &'static str },
    #[error("the roots need a passphrase of their own, different from the one the gateway starts with")]
    SamePassphrase,
    #[error("{path} could not be decrypted: the passphrase is wrong or the file is damaged")]
    Decrypt { path: PathBuf },
    #[error("{path} asks for more work to decrypt than is ever ours (scrypt 2^{work_factor})")]
    ExcessiveWork { path: PathBuf, work_factor: u8 },
    #[error("{path} could not be encrypted: {cause}")]
    Encrypt { path: PathBuf, cause: std::io::Error },
    #[error("{path} {problem}")]
    Damaged { path: PathBuf, problem: &'static str },
    #[error("the passphrase could not be read: {0}")]
    NoPassphrase(String),
    #[error("{field} {problem}")]
    Invalid { field: &'static str, problem: String },
    #[error("`{host}` is outside what the server CA may sign: {allowed}")]
    HostNotAllowed { host: String, allowed: String },
    #[error("the {ca} is not valid at this time, so nothing it signs would be")]
    CaExpired { ca: &'static str },
    #[error("the certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the PKCS#12 file could not be made: {0}")]
    P12(String),
    #[error("the CMS message could not be made: {0}")]
    Cms(String),
    #[error("the system gave no random numbers")]
    Random,
    #[error("this is not a client certificate of ours: {0}")]
    NotAClientCertificate(&'static str),
    #[error("the certificate request {0}")]
    Request(&'static str),
    #[error("device `{0}` is not in the inventory")]
    NoSuchDevice(DeviceId),
    #[error("device `{0}` or its serial number is in the inventory already")]
    DeviceExists(DeviceId),
    #[error("invitation `{0}` is used, withdrawn or over")]
    Spent(String),
    #[error("device `{0}` was revoked, or given another certificate, a moment ago; look again")]
    Overtaken(DeviceId),
    #[error(
        "device `{device}` is refused from now on, but the state database did not keep it: {cause}; revoke it again"
    )]
    RevokedInMemoryOnly { device: DeviceId, cause: StoreError },
    #[error("the inventory of devices is unreadable: {0}")]
    Inventory(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a thread panicked while it changed the inventory; restart the gateway")]
    Poisoned,
}

impl CertError {
    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }
}
