//! Who people are: the roster, the built-in directory of passwords and second factors, sessions, and the way
//! from an app to the sign-in page and back.
//!
//! What lives here: [`Identity`] and its parts [`Roster`], [`Directory`], [`Sessions`], [`SignIns`] and [`Scim`], and
//! the tables behind them. What does not: the pages (`apps`), what a person may do (`policy`), devices
//! (`cert-authority`), and recording. Whoever calls something with an effect here has recorded it before.
//!
//! Reads on the request path ([`Identity::roster`], [`Sessions::lookup`]) come from memory and take no lock.
//! Secrets are held as hashes wherever a hash will do, and no `Debug`, `Display` or error shows one.

mod acknowledgement;
mod clearing;
mod directory;
mod document;
mod error;
mod flow;
mod held;
mod identity;
pub mod import;
mod oidc;
mod owner;
mod roster;
mod schema;
pub mod scim;
mod secret;
mod session;
mod source;

pub use acknowledgement::{Acknowledgements, Every, NoticeDocument, NoticeText};
pub use clearing::{Clearing, Clearings};
pub use directory::{
    Answer, Attempt, Directory, Factors, NewPasskey, PasskeyAnswer, PasskeyQuestion, PasskeySummary, PasskeyVerdict,
    PasswordProblem, Recovery, RecoveryCodes, RelyingParty, RightCode, TotpEnrolment, TotpSecret, Verdict,
};
pub use document::{IdentityDocument, Provider, ProviderDocument, ProviderKind, SessionDocument, Settings};
pub use error::IdentityError;
pub use flow::{Begin, Bind, Pending, Redeem, Redeemed, SignIns, Started, TicketError};
pub use held::{FORM_LIMIT, Form, FormId, HeldForm, HeldForms, Keep, Kept, NotKept};
pub use identity::Identity;
pub use oidc::{
    Account, Arrived, ClientSecret, ComeBack, FactorsDocument, Failed, Fetch, FetchError, GroupClaims, GroupsDocument,
    Link, LinkDecision, Links, LogoutScope, Oidc, OidcCause, OidcSettings, Prompt, ProviderFactors, SetOut,
};
pub use owner::Owners;
pub use roster::{Person, Roster, Standing};
pub use scim::Scim;
pub use secret::Token;
pub use session::{BeginSession, EndCause, Ended, FRESH_SECS, Session, SessionAccount, SessionSummary, Sessions};
