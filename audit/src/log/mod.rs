//! The log that anybody can verify: an RFC 6962 tree in the C2SP tlog-tiles layout. `audit/verify/FORMAT.md` is its
//! specification.

pub(crate) mod document;
mod files;
pub(crate) mod indexing;
pub(crate) mod keeping;
pub(crate) mod key;
pub(crate) mod leaf;
pub(crate) mod note;
pub(crate) mod plan;
pub mod proof;
mod retaining;
mod retention;
pub(crate) mod sealer;
mod source;
pub(crate) mod tiles;
pub(crate) mod tree;
pub(crate) mod work;
mod writer;

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
