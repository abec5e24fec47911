//! A whole policy against whole requests.
//!
//! - `world`: the facility, its people and networks, and a request as a test writes it
//! - `ladder`: which rung decides, a sentence each
//! - `mistakes`: what an operator may get wrong in rules
//! - `explain`: what is told of a decision
//! - `naive`: the decision written a second time, slowly and from the documents
//! - `agreement`: random rules and requests, judged by both

#![expect(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod agreement;
mod explain;
mod ladder;
mod mistakes;
mod naive;
mod world;
