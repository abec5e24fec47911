//! What can go wrong here, apart from people being refused: that is an answer, not an error.

use store::StoreError;
use vocabulary::{PersonId, SessionId};

use crate::PasswordProblem;

/// A change or a check could not be carried out. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("`{0}` is already on the roster")]
    PersonExists(PersonId),
    #[error("`{0}` is not on the roster")]
    NoSuchPerson(PersonId),
    #[error("{what} of `{person}` {problem}")]
    Person { person: PersonId, what: &'static str, problem: &'static str },
    #[error("the account is linked to `{0}`; take that link away first")]
    LinkedToSomebodyElse(PersonId),
    #[error("the roster was changed meanwhile (`{0}`); look at the difference again")]
    RosterChanged(PersonId),
    #[error("session `{0}` has ended")]
    NoSuchSession(SessionId),
    #[error("the password {0}")]
    Password(#[from] PasswordProblem),
    #[error("`{0}` has no password yet; set one first")]
    NoPassword(PersonId),
    #[error("`{0}` has no second factor waiting to be confirmed; start again")]
    NothingToConfirm(PersonId),
    #[error("the code is not right for this second factor; wait for the next one and check the phone's clock")]
    WrongCode,
    #[error(
        "`{0}` has a password shorter than 13 characters, which stands only with a second factor; set a longer one first"
    )]
    PasswordNeedsSecondFactor(PersonId),
    #[error("`{0}` has no second factor that recovery codes could stand in for; set one up first")]
    NoSecondFactor(PersonId),
    #[error("there is no passkey `{0}`")]
    NoSuchPasskey(String),
    #[error("this passkey belongs to somebody already")]
    PasskeyExists,
    #[error("nobody may have more than {0} passkeys; remove one first")]
    TooManyPasskeys(usize),
    #[error("passkeys can't be used with the sign-in pages on {host}: {cause}")]
    RelyingParty { host: String, cause: String },
    #[error("a question for a passkey could not be made: {0}")]
    Passkey(String),
    #[error("the state database holds {what} that this version can't read: {cause}")]
    Row { what: &'static str, cause: String },
    #[error("the operating system gave no random bytes")]
    Random,
    #[error("a password could not be hashed")]
    Hash,
    #[error("the work was stopped before it was done, because the gateway is shutting down")]
    Stopped,
}

impl IdentityError {
    pub(crate) fn passkey(cause: &webauthn_rs::prelude::WebauthnError) -> Self {
        Self::Passkey(cause.to_string())
    }

    pub(crate) fn row(what: &'static str, cause: &impl ToString) -> Self {
        Self::Row { what, cause: cause.to_string() }
    }
}

/// Runs what blocks (the state database, password hashing) away from the threads that serve requests.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, IdentityError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| IdentityError::Stopped)?
}
