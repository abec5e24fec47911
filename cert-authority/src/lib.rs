//! The gateway's own certificates: roots and issuing CAs, certificate profiles, and the inventory of devices.
//!
//! Two families that never meet:
//!
//! - **devices**: *device root* → *device CA* → one certificate per device. Trusted by the gateway alone and
//!   installed nowhere as a root. The listener's trust anchor is the *device CA*, because a device presents its
//!   own certificate and nothing above it.
//! - **servers**: *server root* → *server CA* → certificates of the gateway's own hosts, for the demo and for
//!   managed devices. Both are constrained to the gateway's domains and `localhost`, with every IP address
//!   excluded.
//!
//! Both roots' keys leave the machine when they are made, in one file encrypted with a passphrase of its own, and come
//! back for the moment in which [a CA is renewed](CertAuthority::renew_device_ca). The CA keys stay, encrypted at rest. A
//! facility that has a CA of its own can [bring it](CertAuthority::import) in place of ours for devices, at once or
//! [later](CertAuthority::replace_device_ca).
//!
//! A device comes by its certificate in a PKCS#12 file, or makes its key itself and sends a [request](DeviceKey::from_csr):
//! by hand, by [`est`], or by [`acme`], which can also prove that the key can't leave the device. [`mobileconfig`] and
//! [`cms`] write the files that Apple's devices install.
//!
//! What an attacker who can write here gains:
//!
//! - `ca/`: no signature of ours. [`CertAuthority::open`] refuses certificates that don't fit the keys or their
//!   roots; they can make the gateway not start, or go back to a former device CA that has not ended.
//! - the `device` table: whoever can write to it can give an issued device to another person and undo a
//!   revocation at the next start. A certificate that our device CA didn't sign still ends at the handshake.
//!
//! What does not live here: HTTP, the TLS listener, the record of what was issued or revoked (the caller writes it
//! *before* it stores or hands out anything), enrolment pages, and certificates from elsewhere.

pub mod acme;
mod authority;
mod client;
pub mod cms;
mod crl;
mod csr;
mod device;
mod document;
mod enrolment;
mod error;
pub mod est;
mod files;
mod host;
mod import;
mod init;
mod inventory;
mod invitation;
mod issue;
mod key;
pub mod mobileconfig;
mod p12;
mod passphrase;
mod plist;
mod profile;
mod renew;
mod serial;
mod signer;
mod table;

#[cfg(test)]
mod house;
#[cfg(test)]
mod openssl_tests;

pub use authority::{CertAuthority, pem};
pub use client::{ClientCertificate, parse_client_certificate};
pub use crl::Revoked;
pub use device::{Device, DeviceStanding, Former, Status};
pub use document::{CaDocument, CaSettings, PassphraseSource};
pub use enrolment::{EnrolmentDocument, EnrolmentSettings};
pub use error::{CertError, Result};
pub use import::{DeviceCa, Import};
pub use init::{Init, InitReport};
pub use inventory::Inventory;
pub use invitation::{
    Approval, Approved, Ask, Claim, INVITATION_VALIDITY, INVITATION_VALIDITY_MAX, Invitation, InvitationFor,
    InvitationState, Invitations, NewInvitation, is_invitation_token,
};
pub use issue::{DeviceRequest, Issued, PendingDevice, Renewal, ServerCertificate};
pub use key::DeviceKey;
pub use p12::P12Cipher;
pub use passphrase::Passphrase;
pub use profile::{DEVICE_VALIDITY, DEVICE_VALIDITY_MAX, SERVER_VALIDITY, SERVER_VALIDITY_MAX};
pub use renew::{CaRenewal, CaRenewed};
pub use serial::{Fingerprint, Serial};
pub use vocabulary::{DeviceKind, Os, ParseWordError, RevocationCause};
