//! Apple's configuration profiles (`.mobileconfig`), which bring an identity onto an iPhone, iPad or Mac.
//!
//! The keys are those of Apple's device management reference (developer.apple.com/documentation/devicemanagement):
//! *TopLevel*, *CommonPayloadKeys*, *CertificatePKCS12*, *ACMECertificate*, *CertificateRoot*. What is made here is plain
//! XML; [`cms::sign`](crate::cms::sign) puts a signature around it, without which the device says "unsigned".
//!
//! Python's `plistlib` reads them, and `openssl` verifies them signed. No device has installed one yet.

use ring::digest::{Context, SHA256};
use rustls_pki_types::CertificateDer;

use crate::plist::Value;
use crate::{CertError, Result};

/// Everything that is written into a profile. Texts are shown to whoever installs it, so they come in their language.
#[derive(Clone, Copy, Debug)]
pub struct Profile<'a> {
    /// The facility: shown below the profile's name.
    pub organisation: &'a str,
    pub display_name: &'a str,
    pub description: &'a str,
    /// In reverse DNS, such as [`reverse_dns`] makes. A device that has a profile of this name replaces it by this one,
    /// so that a renewed identity takes the place of the former.
    pub identifier: &'a str,
    /// Random bytes, of which the profile's UUIDs are made: the same bytes give the same profile.
    pub seed: [u8; 16],
    pub payload: Payload<'a>,
    /// A root to be trusted for servers, such as [`CertAuthority::server_root_der`](crate::CertAuthority::server_root_der):
    /// for the demo, and for devices that the facility manages.
    pub root: Option<&'a CertificateDer<'a>>,
}

/// How the device comes by its identity.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// It is in the profile, and the device asks for its password: that is left out, because a profile travels and is
    /// kept in the clear.
    Pkcs12 { p12: &'a [u8], name: &'a str },
    /// The device makes a key in its Secure Enclave and asks our ACME server for a certificate.
    Acme(AcmePayload<'a>),
}

/// Apple's *ACMECertificate*: iOS 16, macOS 13.1 with Apple silicon or a T2.
#[derive(Clone, Copy)]
pub struct AcmePayload<'a> {
    /// `https://…`: what [`Acme`](crate::acme::Acme) answers as its directory.
    pub directory_url: &'a str,
    /// Good for one enrolment. A secret for as long as it is.
    pub client_identifier: &'a str,
    /// What the device asks to be called. Our certificates don't go by it; the device shows it while it waits.
    pub common_name: &'a str,
    pub curve: Curve,
    /// Whether the device is to have Apple attest its key. Macs before macOS 14 can't.
    pub attest: bool,
}

/// A curve of the Secure Enclave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curve {
    #[default]
    P256,
    P384,
}

impl std::fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pkcs12 { .. } => "Pkcs12(…)",
            Self::Acme(_) => "Acme(…)",
        })
    }
}

impl std::fmt::Debug for AcmePayload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcmePayload")
            .field("directory_url", &self.directory_url)
            .field("attest", &self.attest)
            .finish_non_exhaustive()
    }
}

/// id-kp-clientAuth.
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
/// `UsageFlags`: 1 is digital signature, 4 is key encipherment.
const SIGNING: u32 = 1;

impl Profile<'_> {
    /// The profile as XML, not signed.
    ///
    /// # Errors
    /// The identifier is not reverse DNS, or the ACME directory is not at an `https` address.
    pub fn to_xml(&self) -> Result<Vec<u8>> {
        let letters = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !self.identifier.split('.').all(letters) {
            return Err(CertError::invalid("the profile's identifier", "is not reverse DNS"));
        }
        let mut payloads = Vec::new();
        // The root first: whatever the identity is for is trusted by the time it is there.
        if let Some(root) = self.root {
            let mut entries = self.payload("com.apple.security.root", "server-root", self.organisation);
            entries.push(("PayloadCertificateFileName", Value::text("server-root.cer")));
            entries.push(("PayloadContent", Value::Data(root.to_vec())));
            payloads.push(Value::Dict(entries));
        }
        payloads.push(Value::Dict(match self.payload {
            Payload::Pkcs12 { p12, name } => {
                let mut entries = self.payload("com.apple.security.pkcs12", "identity", name);
                entries.push(("PayloadCertificateFileName", Value::text("device.p12")));
                entries.push(("PayloadContent", Value::Data(p12.to_vec())));
                // For Macs; phones never let a key out again.
                entries.push(("KeyIsExtractable", Value::Bool(false)));
                entries
            }
            Payload::Acme(acme) => self.acme(&acme)?,
        }));
        Ok(Value::Dict(vec![
            ("PayloadType", Value::text("Configuration")),
            ("PayloadVersion", Value::Number(1)),
            ("PayloadIdentifier", Value::text(self.identifier)),
            ("PayloadUUID", Value::text(self.uuid("profile"))),
            ("PayloadDisplayName", Value::text(self.display_name)),
            ("PayloadDescription", Value::text(self.description)),
            ("PayloadOrganization", Value::text(self.organisation)),
            // Whose phone it is may always take it off again; the gate then no longer knows the device, and that is all.
            ("PayloadRemovalDisallowed", Value::Bool(false)),
            ("PayloadContent", Value::Array(payloads)),
        ])
        .document())
    }

    fn acme(&self, acme: &AcmePayload<'_>) -> Result<Vec<(&'static str, Value)>> {
        if !acme.directory_url.starts_with("https://") {
            return Err(CertError::invalid("the ACME directory", "has no https address"));
        }
        let bits = match acme.curve {
            Curve::P256 => 256,
            Curve::P384 => 384,
        };
        let name =
            |kind: &str, value: &str| Value::Array(vec![Value::Array(vec![Value::text(kind), Value::text(value)])]);
        let mut entries = self.payload("com.apple.security.acme", "identity", acme.common_name);
        entries.extend([
            ("DirectoryURL", Value::text(acme.directory_url)),
            ("ClientIdentifier", Value::text(acme.client_identifier)),
            ("KeyType", Value::text("ECSECPrimeRandom")),
            ("KeySize", Value::Number(bits)),
            // A key that could be copied is what this payload is there to avoid.
            ("HardwareBound", Value::Bool(true)),
            ("Attest", Value::Bool(acme.attest)),
            ("Subject", Value::Array(vec![name("O", self.organisation), name("CN", acme.common_name)])),
            ("ExtendedKeyUsage", Value::Array(vec![Value::text(CLIENT_AUTH)])),
            ("UsageFlags", Value::Number(SIGNING)),
        ]);
        Ok(entries)
    }

    /// What stands in each payload.
    fn payload(&self, kind: &str, part: &str, display_name: &str) -> Vec<(&'static str, Value)> {
        vec![
            ("PayloadType", Value::text(kind)),
            ("PayloadVersion", Value::Number(1)),
            ("PayloadIdentifier", Value::text(format!("{}.{part}", self.identifier))),
            ("PayloadUUID", Value::text(self.uuid(part))),
            ("PayloadDisplayName", Value::text(display_name)),
        ]
    }

    /// RFC 9562 §5.8: version 8, whose bits are ours to choose.
    fn uuid(&self, part: &str) -> String {
        let mut context = Context::new(&SHA256);
        context.update(&self.seed);
        context.update(part.as_bytes());
        let hash = context.finish();
        let mut number = hash.as_ref().iter().take(16).fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
        number = number & !(0xf << 76) | 8 << 76;
        number = number & !(0b11 << 62) | 0b10 << 62;
        let digits = format!("{number:032X}");
        let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        groups.join("-")
    }
}

/// `gw.sakura-kai.example` as `example.sakura-kai.gw`.
pub fn reverse_dns(domain: &str) -> String {
    domain.rsplit('.').collect::<Vec<_>>().join(".")
}

#[cfg(test)]
#[path = "mobileconfig_tests.rs"]
mod tests;
