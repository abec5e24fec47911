//! Apple's configuration profiles (`.mobileconfig`), which bring an identity onto an iPhone, iPad or Mac.
//!
//! The keys are those of Apple's device management reference (developer.apple.com/documentation/devicemanagement):
//! *TopLevel*, *CommonPayloadKeys*, *CertificatePKCS12*, *ACMECertificate*, *CertificateRoot*. What is made here is plain
//! XML; [`cms::sign`](crate::cms::sign) puts a signature around it, without which the device says "unsigned".
//!
//! [M] python's `plistlib` reads it, and `openssl` verifies it signed. [?] No device has read one of these yet.

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
mod tests {
    use std::fs;
    use std::io::Write;
    use std::process::{Command, Stdio};

    use rustls_pki_types::PrivateKeyDer;
    use serde_json::{Value as Json, json};
    use vocabulary::Timestamp;

    use super::*;
    use crate::profile as certificate_profile;

    fn profile(payload: Payload<'_>) -> Profile<'_> {
        Profile {
            organisation: "社会福祉法人 <さくら会> & \"Co\"",
            display_name: "さくら会の端末証明書",
            description: "1 行目\n2 行目 ]]> <!-- &amp;",
            identifier: "example.sakura-kai.gw.device",
            seed: [7; 16],
            payload,
            root: None,
        }
    }

    /// As python's `plistlib` understands it; bytes come back as hexadecimal digits.
    fn read(xml: &[u8]) -> Json {
        let script = "import sys,json,plistlib;\
            print(json.dumps(plistlib.loads(sys.stdin.buffer.read()), default=lambda b: b.hex()))";
        let mut python = Command::new("python3");
        let mut python = python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        python.stdin.take().unwrap().write_all(xml).unwrap();
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn a_p12_comes_without_its_password_and_texts_come_through() {
        let profile = profile(Payload::Pkcs12 { p12: b"\x30\x00p12", name: "花子のiPhone 📱" });
        let xml = profile.to_xml().unwrap();
        assert_eq!(xml, profile.to_xml().unwrap(), "the same bytes give the same profile");
        let read = read(&xml);
        assert_eq!(read["PayloadOrganization"], profile.organisation);
        assert_eq!(read["PayloadDescription"], profile.description);
        assert_eq!(read["PayloadRemovalDisallowed"], false);
        assert_eq!((&read["PayloadType"], &read["PayloadVersion"]), (&json!("Configuration"), &json!(1)));
        let payload = &read["PayloadContent"][0];
        assert_eq!(payload["PayloadType"], "com.apple.security.pkcs12");
        assert_eq!(payload["PayloadContent"], "3000703132");
        assert_eq!(payload["PayloadDisplayName"], "花子のiPhone 📱");
        assert_eq!(payload["PayloadIdentifier"], "example.sakura-kai.gw.device.identity");
        assert!(payload.get("Password").is_none());
        assert_ne!(payload["PayloadUUID"], read["PayloadUUID"]);
        let uuid = read["PayloadUUID"].as_str().unwrap();
        assert!(uuid.len() == 36 && uuid.as_bytes()[14] == b'8' && b"89AB".contains(&uuid.as_bytes()[19]), "{uuid}");
    }

    fn acme() -> AcmePayload<'static> {
        AcmePayload {
            directory_url: "https://gw.sakura-kai.example/acme/directory",
            client_identifier: "one-time",
            common_name: "花子のiPhone",
            curve: Curve::P384,
            attest: true,
        }
    }

    #[test]
    fn an_acme_payload_says_what_apple_asks_for() {
        let root = CertificateDer::from(vec![0x30, 0]);
        let xml = Profile { root: Some(&root), ..profile(Payload::Acme(acme())) }.to_xml().unwrap();
        let read = read(&xml);
        assert_eq!(read["PayloadContent"][0]["PayloadType"], "com.apple.security.root");
        assert_eq!(read["PayloadContent"][0]["PayloadContent"], "3000");
        let payload = &read["PayloadContent"][1];
        for (key, value) in [
            ("PayloadType", json!("com.apple.security.acme")),
            ("DirectoryURL", json!("https://gw.sakura-kai.example/acme/directory")),
            ("ClientIdentifier", json!("one-time")),
            ("KeyType", json!("ECSECPrimeRandom")),
            ("KeySize", json!(384)),
            ("HardwareBound", json!(true)),
            ("Attest", json!(true)),
            ("Subject", json!([[["O", "社会福祉法人 <さくら会> & \"Co\""]], [["CN", "花子のiPhone"]]])),
            ("ExtendedKeyUsage", json!(["1.3.6.1.5.5.7.3.2"])),
            ("UsageFlags", json!(1)),
        ] {
            assert_eq!(payload[key], value, "{key}");
        }
    }

    #[test]
    fn what_a_device_would_refuse_is_refused_here() {
        let http = AcmePayload { directory_url: "http://gw.example/acme", ..acme() };
        assert!(profile(Payload::Acme(http)).to_xml().is_err());
        assert!(Profile { identifier: "a..b", ..profile(Payload::Acme(acme())) }.to_xml().is_err());
        assert_eq!(reverse_dns("gw.sakura-kai.example"), "example.sakura-kai.gw");
    }

    #[test]
    fn openssl_verifies_a_signed_profile() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_secs(1_793_491_200);
        let key = certificate_profile::new_key().unwrap();
        let hosts = ["gw.example".to_owned()];
        let mut params = certificate_profile::server("さくら会", &hosts, now, now.plus_secs(86_400)).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("root.pem"), certificate.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let xml = profile(Payload::Acme(acme())).to_xml().unwrap();
        let signed = crate::cms::sign(&xml, &key, &[certificate.der().clone()], now).unwrap();
        fs::write(dir.path().join("signed.mobileconfig"), signed).unwrap();
        let output = Command::new("openssl")
            .args(["cms", "-verify", "-binary", "-inform", "DER", "-in", "signed.mobileconfig", "-CAfile", "root.pem"])
            .args(["-purpose", "any", "-attime", &now.secs().to_string()])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, xml);
    }
}
