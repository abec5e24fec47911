//! What the gate knows of a third-party SaaS: its hosts, how its requests and responses are mapped, and what a
//! request does to the records behind it.
//!
//! Pure: bytes and header maps in, findings and edits out; no input or output, no clock, no async. Who may do what
//! is decided in `policy`; connecting to the SaaS is the proxy's.
//!
//! In the order in which one request meets it:
//!
//! 1. [`HostMap::find`]: which of the app's hosts is meant
//! 2. [`shape`]: the path that rules match and the path that the record keeps, or the request is ambiguous
//! 3. [`origin`]: whether another site made the browser send it, and whether a page or data is awaited
//! 4. [`Recipe::recognise`]: what it is by the SaaS's recipe, if it has one; where that says nothing, [`Actions::guess`]:
//!    what it does, by the method that the SaaS will execute ([`OverrideSet`])
//! 5. [`outgoing`]: what changes in its head on the way to the SaaS
//! 6. [`incoming`]: what changes in the response's head on the way back
//! 7. [`Actions::on_response`]: what it does after all, judged by the response's head; [`Answer`]: how a login went
//!
//! Of bodies only what a recipe asks for is read: see [`recipe`].

mod action;
mod address;
mod app;
mod authority;
mod canonical;
mod cookie;
mod cookie_scope;
mod document;
mod edits;
mod field;
mod glob;
mod host_map;
mod incoming;
mod mask;
mod method;
mod named_cookie;
pub mod origin;
mod outgoing;
pub mod recipe;
mod request;
mod worker;

pub use action::{Actions, Guess};
pub use app::{App, CertificateFiles, Gateway, RESERVED_IDS, Timeouts, compile};
pub use cookie_scope::{CookieScope, cookie_scopes, saas_cookie_names};
pub use document::{ActionDocument, AppDocument, HostDocument, OverridePlace, Protocol, Shape, TimeoutsDocument};
pub use edits::Edits;
pub use host_map::{HostIndex, HostMap, HostMapError, MappedHost};
pub use incoming::incoming;
pub use mask::mask_target;
pub use method::OverrideSet;
pub use named_cookie::{cookies_sent, cookies_set};
pub use outgoing::{outgoing, outgoing_preflight};
pub use recipe::{
    Answer, Answered, Attempt, MOST_OF_BODY, Operation, Output, Recipe, RecipeDocument, RecipeSet, Recognised,
    RequestHead,
};
pub use request::{Ambiguity, ShapeSet, Shaped, Target, shape, without_authority};
pub use worker::keep_workers_away;
