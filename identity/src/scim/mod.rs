//! SCIM 2.0 (RFC 7643, 7644): an identity provider pushes people and groups onto the roster.
//!
//! What lives here: resources and their mapping to the roster, filters, patches, the documents about ourselves, and
//! tokens. What does not: HTTP, judging and recording, which are `proxy`'s. A change is planned here
//! ([`Scim::answer`]), recorded by who asked for it, and only then carried out (`Identity::carry_out_scim`).
//!
//! ```text
//! bytes ─ request ─→ handle ─ shape, patch ─→ users, groups ─→ change ─ recorded ─→ commit
//!                      └ list ─ filter ─→ render
//! ```

mod change;
mod commit;
mod directory;
mod discovery;
mod document;
mod evaluate;
mod filter;
mod groups;
mod handle;
mod list;
mod patch;
mod path;
mod problem;
mod projection;
mod render;
mod request;
mod resource;
mod rows;
mod schema;
mod shape;
mod token;
mod token_map;
mod users;

pub use change::{ScimChange, ScimRecord};
pub use directory::{Managed, ManagedBy, Scim, Writing};
pub use document::{ScimDocument, ScimSettings};
pub use filter::{AttributePath, Filter, FilterError, Literal, Operator};
pub use handle::Handled;
pub use problem::Problem;
pub use request::{ScimAnswer, ScimRequest, needed_scope};
pub use token::{ScimToken, Scope, ScopeError, Scopes, TokenSummary};
pub use token_map::{NewToken, ScimTokens};

/// Where the protocol begins on its host. The version is part of it (RFC 7644, 3.13).
pub const BASE_PATH: &str = "/scim/v2";

/// The longest body that is read, in bytes.
pub const BODY_LIMIT: usize = 256 * 1024;

/// Announced as `filter.maxResults`, and the length of a page where none is asked for.
pub(crate) const MAX_RESULTS: usize = 500;

#[cfg(test)]
mod tests;
