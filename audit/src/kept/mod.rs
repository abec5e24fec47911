//! Checkpoints kept elsewhere: what whoever holds the gateway can't take back.
//!
//! Changing sealed records goes unnoticed by nobody who has an earlier checkpoint. So every hour the newest one is
//! brought to places that the gateway has no power over. What lives here is all that needs no network: the
//! configuration ([`Settings`]), when a place is due ([`State`]), where receipts lie ([`Shelf`]), time stamps
//! ([`timestamp`]) and witnesses ([`witness`]). Who goes there is the proxy's business.

mod check;
mod document;
mod folder;
mod secret;
mod settings;
mod shelf;
mod state;
pub mod timestamp;
pub mod witness;

pub use document::{CheckpointsDocument, KeptDocument, KeptKind, MailSecurity};
pub use folder::{Filed, file, largest};
pub use secret::{Secret, SecretError, SecretSource};
pub use settings::{HiddenUrl, How, Mail, ServerRoots, Settings, Target, TimestampAuthority, Webhook, Witness};
pub use shelf::{Receipt, Shelf};
pub use state::{Contradiction, Kept, Pending, State};
