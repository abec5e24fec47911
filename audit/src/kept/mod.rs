//! Checkpoints kept elsewhere: what whoever holds the gateway can't take back.
//!
//! Changing sealed records goes unnoticed by nobody who has an earlier checkpoint. So every hour the newest one is
//! brought to places that the gateway has no power over. What lives here is all that needs no network: the
//! configuration ([`Settings`]), when a place is due ([`State`]), where receipts lie ([`Shelf`]), time stamps
//! ([`timestamp`]) and witnesses ([`witness`]). Who goes there is the proxy's business.

mod document;
mod secret;
mod shelf;
mod state;
pub mod timestamp;
pub mod witness;

pub use document::{
    CheckpointsDocument, HiddenUrl, How, KeptDocument, KeptKind, Mail, MailSecurity, ServerRoots, Settings, Target,
    TimestampAuthority, Webhook, Witness,
};
pub use secret::{Secret, SecretError, SecretSource};
pub use shelf::{Filed, Receipt, Shelf, file};
pub use state::{Contradiction, Kept, Pending, State};
