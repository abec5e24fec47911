//! The words every part of the gate speaks: identifiers, actions, reasons and time.
//!
//! What lives here is small, does no input or output, and depends on no other crate of the workspace.
//! What a word *means* to a decision lives in `policy`; how it is told to people lives in `apps`.

mod action;
mod device;
mod document;
mod id;
mod reason;
mod time;

pub use action::{Action, ActionSet, ParseActionError};
pub use device::{DeviceKind, Os, ParseWordError, RevocationCause};
pub use document::{DisplayPath, DocumentError, PathStep, Span, SpanError};
pub use id::{AppId, DeviceId, GroupName, IdError, LoginId, MachineName, NetworkName, PersonId, RuleName, SessionId};
pub use reason::{ParseReasonError, Reason};
pub use time::{Clock, Date, LocalTime, SystemClock, TimeError, Timestamp, Weekday, Zone};
