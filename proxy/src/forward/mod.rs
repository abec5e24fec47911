//! The last station: to the SaaS and back.
//!
//! Where a request may go is fixed when the configuration is loaded; what is sent and returned is mapped by
//! `saas`. Nothing is forwarded without a [`policy::Permit`].

mod resolve;
mod upgrade;
mod upstream;

pub(crate) use resolve::{ResolveError, Resolver};
pub(crate) use upstream::{Protocol, Timeouts, Upstream, UpstreamError};
