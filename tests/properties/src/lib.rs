//! What must hold of everything that reads what strangers send, as functions of any bytes: they panic if it doesn't.
//!
//! `make fuzz` runs them under libFuzzer (`fuzz/`), `make test` over the kept corpora (`fuzz/seeds/`) and some random
//! changes of them (`tests/kept.rs`). Most hold our reader against a second one, written plainly and sharing no code.
//!
//! | function | reads | holds |
//! |---|---|---|
//! | [`cookies`] | Cookie lines | none of ours is left for the SaaS, none of the SaaS's is lost; what we read as ours stands there |
//! | [`set_cookie`] | Set-Cookie lines of a SaaS | none has a name of ours or a Domain beyond the app |
//! | [`tickets`] | handles, tickets, binders | a ticket is good once, for the host, certificate and browser it was made for |
//! | [`forwarded`] | header lines | no header that claims somebody, nor one that Connection names, reaches the SaaS |
//! | [`request_target`] | target, Host, `:authority` | one reading: the same decoded once or twice, cut before or after, with dots resolved |
//! | [`mask`] | query values, path parameters | none of them is recorded |
//! | [`configuration`] | YAML | every error has a place within the text, and no secret stands in one |
//! | [`recipe_file`] | a recipe | as for [`configuration`] |
//! | [`recipe`] | a request and the answer to it | the password changes nothing; the ID is what a plain reader finds; pieces mean what the whole means |
//! | [`policy`] | rules | what is read means the same written down again; without an allow rule nothing is permitted by one |
//! | [`ladder`] | rules and requests | the decision is that of a second, plain implementation |
//! | [`frames`] | a journal segment | a frame that is read is written to the same bytes |
//! | [`recovery`] | a damaged journal | what is left was written, what is missing was damaged or not confirmed, or is reported |
//! | [`certificate`] | a client certificate | number and dates are those that a plain walk through the DER finds |
//! | [`signing_request`] | a certificate request | the key is the one that a plain walk finds, and no bit of it can be changed on its way |
//! | [`roster`] | a roster file | problems name lines of the file; what is read survives being written |
//! | [`scim_filter`] | a SCIM filter | it means the same written down again |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that doesn't hold panics: that is how it is told"
)]

mod documents;
mod headers;
mod identities;
mod journal;
mod recipes;
mod rules;
mod source;

// The second implementation of the ladder, and what it is asked, are those of the policy's own tests.
#[path = "../../../policy/tests/judge/naive.rs"]
mod naive;
#[expect(dead_code, reason = "the policy's tests use the rest")]
#[path = "../../../policy/tests/judge/world.rs"]
mod world;

pub use documents::{configuration, recipe_file, roster, scim_filter};
pub use headers::{cookies, forwarded, mask, request_target, set_cookie};
pub use identities::{certificate, signing_request, tickets};
pub use journal::{frames, recovery};
pub use recipes::recipe;
pub use rules::{ladder, policy};

/// A property, by the name of its target and its folder.
pub type Property = fn(&[u8]);

/// All of them.
pub const ALL: [(&str, Property); 17] = [
    ("cookies", cookies),
    ("set_cookie", set_cookie),
    ("tickets", tickets),
    ("forwarded", forwarded),
    ("request_target", request_target),
    ("mask", mask),
    ("configuration", configuration),
    ("recipe_file", recipe_file),
    ("recipe", recipe),
    ("policy", policy),
    ("ladder", ladder),
    ("frames", frames),
    ("recovery", recovery),
    ("certificate", certificate),
    ("signing_request", signing_request),
    ("roster", roster),
    ("scim_filter", scim_filter),
];
