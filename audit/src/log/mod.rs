//! The log that anybody can verify: an RFC 6962 tree in the C2SP tlog-tiles layout. `audit/verify/FORMAT.md` is its
//! specification.

pub(crate) mod note;
pub(crate) mod tiles;
pub(crate) mod tree;
