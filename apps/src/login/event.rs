//! What the sign-in service has recorded before it takes effect.

use identity::{EndCause, OidcCause, SessionSummary};
use vocabulary::{DeviceId, PersonId, Reason, SessionId};

/// The event could not be recorded. Nothing of it takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record can't be written")]
pub struct Unavailable;

/// Writes events down, durably: when it returns `Ok`, the record survives power loss.
#[async_trait::async_trait]
pub trait Recorder: Send + Sync {
    async fn record(&self, event: LoginEvent) -> Result<(), Unavailable>;
}

/// What is about to happen, or was refused. Where it came from stands in the record of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginEvent {
    /// A session is about to begin.
    SignedIn { person: PersonId, factors: u8, method: SignInMethod, device: Option<DeviceId>, session: SessionId },
    /// The password was right; a second factor is asked for.
    CodeAsked { person: PersonId },
    /// A recovery code was right and is about to be used up.
    RecoveryCodeUsed { person: PersonId, left: usize },
    /// Somebody was not let in. `person` is None where nobody has the login ID: what was typed is not kept, since
    /// people type passwords there.
    Failed { person: Option<PersonId>, cause: Cause },
    /// A session is about to end because the person signed out, or somebody else signs in in the same browser.
    SignedOut { session: SessionSummary },
    /// A session is about to begin, on an identity provider's word.
    ProviderSignedIn { provider: String, subject: String, person: PersonId, factors: u8, session: SessionId },
    /// Nobody was let in although a provider sent them, or a provider's word was not good. `reason`: it was good, and
    /// the person may not come in all the same.
    ProviderFailed {
        provider: String,
        subject: Option<String>,
        person: Option<PersonId>,
        cause: Option<OidcCause>,
        reason: Option<Reason>,
    },
    /// An account of a provider is about to be linked to a person.
    Linked { provider: String, subject: String, person: PersonId },
    /// A session is about to end because the provider says that the person signed out there.
    EndedByProvider { session: SessionSummary, cause: EndCause },
    /// Somebody signed in is about to change what they sign in with.
    Changed { person: PersonId, session: SessionId, change: CredentialChange },
    /// A session is about to end because what its person signs in with is changed.
    EndedByChange { session: SessionSummary },
    /// The notice after signing in was read and confirmed; `digest` (SHA-256, hex) says which text.
    NoticeAcknowledged { person: PersonId, session: SessionId, digest: String },
}

/// What somebody showed to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInMethod {
    Password,
    PasswordAndCode,
    PasswordAndRecoveryCode,
    /// With the passkey's id.
    PasswordAndPasskey(String),
    /// A passkey that verified the person, with its id.
    Passkey(String),
}

impl SignInMethod {
    /// The word, as it stands in records.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PasswordAndCode => "password+totp",
            Self::PasswordAndRecoveryCode => "password+recovery-code",
            Self::PasswordAndPasskey(_) => "password+passkey",
            Self::Passkey(_) => "passkey",
        }
    }

    pub fn passkey(&self) -> Option<&str> {
        match self {
            Self::PasswordAndPasskey(id) | Self::Passkey(id) => Some(id),
            Self::Password | Self::PasswordAndCode | Self::PasswordAndRecoveryCode => None,
        }
    }
}

/// A change to what somebody signs in with, by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialChange {
    TotpSet,
    TotpRemoved,
    /// With the passkey's id.
    PasskeyAdded(String),
    PasskeyRemoved(String),
    RecoveryCodesMade,
    PasswordChanged,
}

impl CredentialChange {
    /// The word, as it stands in records.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TotpSet => "totp-set",
            Self::TotpRemoved => "totp-removed",
            Self::PasskeyAdded(_) => "passkey-added",
            Self::PasskeyRemoved(_) => "passkey-removed",
            Self::RecoveryCodesMade => "recovery-codes-made",
            Self::PasswordChanged => "password-changed",
        }
    }

    pub fn passkey(&self) -> Option<&str> {
        match self {
            Self::PasskeyAdded(id) | Self::PasskeyRemoved(id) => Some(id),
            _ => None,
        }
    }
}

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Unknown ID or wrong password; people are not told which.
    Password,
    /// Wrong one-time code.
    Code,
    /// Wrong or used recovery code.
    RecoveryCode,
    /// A passkey that is not ours, or did not verify its holder.
    Passkey,
    /// Somebody signed in gave a wrong password before a change.
    Confirmation,
    /// The code came too late.
    CodeExpired,
    /// Too many attempts; nothing was checked.
    Throttled,
    /// All right but for this: not on the roster, locked, or on somebody else's device.
    Refused(Reason),
}

impl Cause {
    /// The word, as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Code => "code",
            Self::RecoveryCode => "recovery-code",
            Self::Passkey => "passkey",
            Self::Confirmation => "confirmation",
            Self::CodeExpired => "code-expired",
            Self::Throttled => "throttled",
            Self::Refused(reason) => reason.as_str(),
        }
    }
}
