//! The last station: to the SaaS and back; and what the gate itself says to others, such as identity providers.
//!
//! Where a request may go is fixed when the configuration is loaded; what is sent and returned is mapped by
//! `saas`. Nothing is forwarded without a [`policy::Permit`].

mod ask;
mod outbound;
mod resolve;
mod upgrade;
mod upstream;

pub(crate) use ask::Ask;
pub(crate) use outbound::{Outbound, Plain, RootsError, roots};
pub(crate) use resolve::{ResolveError, Resolver};
pub(crate) use upstream::{Protocol, Timeouts, Upstream, UpstreamError};
