//! The rules an operator writes, their compiler, and the decision: facts in, permit or denial out.
//!
//! Everything here is pure: no input or output, no clock, no async, no state that a decision changes. Where
//! facts come from, how a decision is recorded and which words a person reads for it live elsewhere.
//!
//! | to learn | read |
//! |---|---|
//! | what a rule may say | [`document`] |
//! | in which order things are decided | `ladder.rs` |
//! | what one part of a rule means | `criteria/` |
//! | how it stays fast with many rules | `index.rs`, `closest.rs` |
//! | how an address becomes networks | `networks.rs` |
//!
//! A [`Permit`] is the only thing with which a request may be forwarded, and only a decision makes one:
//!
//! ```compile_fail
//! let forged = policy::Permit { reason: vocabulary::Reason::Rule, rule: None, app: None };
//! ```
//!
//! ```compile_fail
//! fn twice(permit: &policy::Permit) -> policy::Permit { permit.clone() }
//! ```

mod bits;
mod closest;
mod compile;
mod criteria;
mod decision;
pub mod document;
mod explain;
mod facts;
mod index;
mod ladder;
mod names;
mod networks;
mod paths;
mod policy;
mod times;

pub use compile::Catalog;
pub use criteria::{Criterion, Effect};
pub use decision::{Decision, Denial, Permit};
pub use document::{DeviceRequirement, NetworkDocument, RuleDocument};
pub use explain::{Explanation, RuleFinding, Unmet, Verdict};
pub use facts::{
    BuiltIn, DeviceAbout, DeviceFact, FactorCount, Facts, MachineFact, PersonFact, Route, Standing, TokenFact,
};
pub use ladder::Rung;
pub use names::{AppIndex, GroupSet};
pub use networks::{NetworkFact, NetworkTable};
pub use policy::Policy;
