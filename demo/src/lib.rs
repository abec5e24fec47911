//! ひだまりケア: a small but real care SaaS, for `sekisho demo` and for the tests.
//!
//! It plays the third party: it knows nothing of the gate, has a login, sessions and rules of its own, and
//! answers only under its own host names. What it holds lives in memory (uploads in temporary files) and ends
//! with the process. Pages that a product would not have, and that exist so that tests can see what reached the
//! SaaS, stand in [`probes`](crate) alone: `/echo`, `/reply`, `/slow`, `/drip`, `/big`.
//!
//! [`provider`] is an identity provider, another third party of the same make-believe.
//!
//! Not here: certificates (the caller brings a [`rustls::ServerConfig`]) and any notion of the gate's policy.

mod accounts;
mod assets;
pub mod client;
mod dashboard;
mod files;
mod notices;
mod pages;
mod probes;
pub mod provider;
mod records;
mod residents;
mod router;
mod seeds;
mod seen;
mod sensors;
mod serve;
mod state;
mod wall_clock;

pub use accounts::{ACCOUNTS, Account, Role};
pub use seen::{MARKER_HEADER, Seen};
pub use serve::{Handle, Links, Options, ServeError, serve};
