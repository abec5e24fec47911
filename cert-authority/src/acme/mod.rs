//! A server of the Automatic Certificate Management Environment (ACME, RFC 8555) for one purpose: a device that makes its
//! key in its own hardware asks for a certificate with a one-time identifier, and shows what its maker attests of it
//! (`device-attest-01` for a `permanent-identifier`, draft-ietf-acme-device-attest). Apple's *ACMECertificate* payload
//! makes iPhones and Macs do so.
//!
//! ```text
//! directory → new-nonce → new-account → new-order → authz → chall ⇒ attestation.rs → finalize ⇒ AcmeStep::Issue → cert
//! ```
//!
//! Pure: bytes in, bytes out, with the caller's clock; nothing is recorded, stored or fetched. Which identifiers are good
//! says the caller's [`Permission`], at new-order and again at finalize. Where a certificate is due, [`Acme::answer`]
//! gives the caller an [`Issue`]: it records, issues, and answers with what [`Acme::issued`] or [`Acme::refused`] says.
//! All state is in memory, bounded, and gone after an hour; a restart ends enrolments that are under way.
//!
//! What is not there: revocation (the inventory's), change of keys, contacts, external accounts, `notBefore`/`notAfter`
//! (how long a certificate is good is not the device's to say; they are ignored), and any challenge for host names.
//!
//! A client in the tests speaks the whole protocol, and certbot's `acme` library 5 has gone through it once by hand, with
//! an attestation made by python's `cryptography` and `cbor2`. No real device has yet: that Apple's client takes `Attest: false`
//! for an answer without attestation, that it reads these documents, and what a device outside of a device management
//! service gets attested, is only known from Apple's reference and from smallstep/certificates (`acme/challenge.go`,
//! `acme/api/middleware.go`), which real devices use.

mod attestation;
mod jws;
mod nonce;
mod order;
mod problem;
mod reply;
mod routes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use vocabulary::Timestamp;

pub use attestation::Attested;
pub use reply::AcmeReply;

use crate::authority::pem;
use crate::{CertError, DeviceKey, Result};
use nonce::Nonces;
use order::{Book, Progress};
use problem::{Kind, Problem};

/// More than any request needs: an attestation is about 3 KiB. For whoever reads the body.
pub const LONGEST_BODY: usize = 64 * 1024;

/// The server. One for all requests; it locks itself.
pub struct Acme {
    roots: Vec<CertificateDer<'static>>,
    state: Mutex<State>,
}

struct State {
    nonces: Nonces,
    book: Book,
}

/// One HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct AcmeRequest<'a> {
    pub method: &'a str,
    /// Below `base_url`, such as `/directory`.
    pub path: &'a str,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
    /// As devices know it, such as `https://gw.example/acme`, without a slash at its end. The same for every request.
    pub base_url: &'a str,
    pub now: Timestamp,
}

/// Says which identifiers may enrol. Asked while the server is locked: answer from memory, and don't call back.
pub trait Permission {
    /// `None` unless an enrolment goes by this *ClientIdentifier*, is approved, alive and not used yet.
    fn permit(&self, client_identifier: &str) -> Option<Permit>;
}

/// What an enrolment asks of its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Whether the device has to show an attestation. One that it shows unasked is checked all the same.
    pub attestation_required: bool,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum AcmeStep {
    /// Send this.
    Reply(AcmeReply),
    /// Record and issue, then send what [`Acme::issued`] or [`Acme::refused`] returns.
    Issue(Issue),
}

/// A certificate is due. Until it is answered the order is in process, and its identifier is good for no other.
#[derive(Debug)]
pub struct Issue {
    pub client_identifier: String,
    pub key: DeviceKey,
    /// `None` only if none was required.
    pub attested: Option<Attested>,
    order: String,
    base_url: String,
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme").finish_non_exhaustive()
    }
}

impl Acme {
    /// Trusts Apple's attestations.
    ///
    /// # Errors
    /// The system gave no random numbers.
    pub fn new() -> Result<Self> {
        let root = CertificateDer::from_pem_slice(attestation::APPLE_ROOT)
            .map_err(|_| CertError::invalid("the attestation root", "is no certificate"))?;
        Self::trusting(vec![root])
    }

    /// Trusts attestations below these roots: for tests and for other makers that use Apple's format.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn trusting(roots: Vec<CertificateDer<'static>>) -> Result<Self> {
        Ok(Self { roots, state: Mutex::new(State { nonces: Nonces::new()?, book: Book::default() }) })
    }

    /// Answers one request. Never panics, whatever is sent; takes a millisecond at most.
    pub fn answer(&self, request: &AcmeRequest<'_>, gate: &dyn Permission) -> AcmeStep {
        let mut state = self.lock();
        state.book.expire(request.now);
        let reply = match routes::answer(&mut state, &self.roots, request, gate) {
            Ok(AcmeStep::Issue(issue)) => return AcmeStep::Issue(issue),
            Ok(AcmeStep::Reply(reply)) => reply,
            Err(problem) => problem.reply(),
        };
        AcmeStep::Reply(state.finish(reply, request.base_url, request.now))
    }

    /// The reply to the device whose certificate is made: `chain` is the device's own, then the device CA.
    pub fn issued(&self, issue: &Issue, chain: &[CertificateDer<'_>], now: Timestamp) -> AcmeReply {
        self.settle(issue, Progress::Issued { chain_pem: chain.iter().map(|der| pem(der)).collect() }, now)
    }

    /// The reply to the device that gets none after all. `detail` is for its log, in English.
    pub fn refused(&self, issue: &Issue, detail: &str, now: Timestamp) -> AcmeReply {
        self.settle(issue, Progress::Refused(Problem::new(Kind::Unauthorized, detail)), now)
    }

    fn settle(&self, issue: &Issue, progress: Progress, now: Timestamp) -> AcmeReply {
        let mut state = self.lock();
        let reply = match state.book.processing(&issue.order) {
            Some(order) => {
                order.progress = progress;
                AcmeReply::json(200, &order.document(&issue.base_url, &issue.order))
                    .header("Location", format!("{}/order/{}", issue.base_url, issue.order))
            }
            // The caller took over an hour, or answered twice.
            None => Problem::malformed("the order has ended").with_status(404).reply(),
        };
        state.finish(reply, &issue.base_url, now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below panics; and if it did, each change is whole by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// RFC 8555 §6.5 and §7.1: a nonce for the next request, and where the directory is.
    fn finish(&self, reply: AcmeReply, base_url: &str, now: Timestamp) -> AcmeReply {
        let reply = reply
            .header("Link", format!("<{base_url}/directory>;rel=\"index\""))
            .header("Cache-Control", "no-store".to_owned());
        match self.nonces.issue(now) {
            Ok(nonce) => reply.header("Replay-Nonce", nonce),
            Err(_) => reply,
        }
    }
}
