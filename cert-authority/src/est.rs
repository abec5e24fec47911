//! The bodies of Enrollment over Secure Transport (EST, RFC 7030, as RFC 8951 clarifies it): what routers, printers and
//! Linux machines enrol with. Bytes in, bytes out; the paths, who may enrol, and the record are the caller's.
//!
//! | path | request | response |
//! |---|---|---|
//! | `/cacerts` | – | [`cacerts`], [`CERTS_ONLY`] |
//! | `/csrattrs` | – | [`csrattrs`], [`CSR_ATTRIBUTES`] |
//! | `/simpleenroll`, `/simplereenroll` | [`read_request`], [`REQUEST`] | [`response`], [`ENROLLED`] |
//!
//! Every body is base64 with `Content-Transfer-Encoding: base64`, which RFC 8951 §3 has readers ignore.
//! `simplereenroll` asks for the subject of the former certificate (§4.2.2); we take that from the inventory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use const_oid::db::rfc5912::{ECDSA_WITH_SHA_256, ID_EC_PUBLIC_KEY, SECP_256_R_1};
use der::Encode;
use der::asn1::{Any, ObjectIdentifier, SetOfVec};
use rustls_pki_types::CertificateDer;
use x509_cert::attr::Attribute;

use crate::cms::certs_only;
use crate::{CertAuthority, CertError, DeviceKey, Result};

/// The media type of [`cacerts`].
pub const CERTS_ONLY: &str = "application/pkcs7-mime";
/// The media type of [`response`] (§4.2.3).
pub const ENROLLED: &str = "application/pkcs7-mime; smime-type=certs-only";
/// The media type of [`csrattrs`].
pub const CSR_ATTRIBUTES: &str = "application/csrattrs";
/// The media type of what [`read_request`] reads.
pub const REQUEST: &str = "application/pkcs10";

/// The body of `/cacerts` (§4.1.3): the device CA and its root, and the former ones, which a client may still meet.
///
/// # Errors
/// A certificate can't be written.
pub fn cacerts(authority: &CertAuthority) -> Result<String> {
    let certificates: Vec<_> = authority.device_cas().flat_map(|ca| [&ca.der, &ca.root]).cloned().collect();
    Ok(encoded(&certs_only(&certificates)?))
}

/// Reads the body of an enrolment: PKCS#10 in base64, or in DER or PEM, as some clients send it.
///
/// # Errors
/// As of [`DeviceKey::from_csr`].
pub fn read_request(body: &[u8]) -> Result<DeviceKey> {
    DeviceKey::from_csr(body)
}

/// The body that answers an enrolment (§4.2.3): the certificate, and nothing else.
///
/// # Errors
/// It is no certificate.
pub fn response(certificate: &CertificateDer<'_>) -> Result<String> {
    Ok(encoded(&certs_only(std::slice::from_ref(certificate))?))
}

/// The body of `/csrattrs` (§4.5.2, in the form of RFC 8951 §4): a key on P-256, and a request signed with SHA-256. A
/// hint: [`read_request`] takes every key that we sign.
///
/// # Errors
/// None in fact; encoding is fallible by type.
pub fn csrattrs() -> Result<String> {
    /// CsrAttrs ::= SEQUENCE OF AttrOrOID, where an attribute says of which kind the key is.
    fn encode() -> der::Result<Vec<u8>> {
        let key = Attribute {
            oid: ID_EC_PUBLIC_KEY,
            values: SetOfVec::<Any>::try_from(vec![Any::encode_from::<ObjectIdentifier>(&SECP_256_R_1)?])?,
        };
        vec![Any::encode_from(&key)?, Any::encode_from::<ObjectIdentifier>(&ECDSA_WITH_SHA_256)?].to_der()
    }
    encode().map(|der| encoded(&der)).map_err(|error| CertError::Cms(error.to_string()))
}

/// Base64 in one piece (RFC 4648, 4): RFC 8951 §3 has readers bear with line breaks, and strongSwan does not.
fn encoded(der: &[u8]) -> String {
    STANDARD.encode(der)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::house::{House, house, must, nurse};

    fn openssl(house: &House, body: &str, command: &[&str]) -> String {
        assert!(!body.contains(char::is_whitespace));
        fs::write(house.dir.path().join("body"), body).unwrap();
        must(&house.openssl(&["base64", "-d", "-A", "-in", "body", "-out", "body.der"]));
        must(&house.openssl(&[command, &["-inform", "DER", "-in", "body.der"]].concat()))
    }

    const LIST: &[&str] = &["pkcs7", "-print_certs", "-noout"];

    #[test]
    fn openssl_reads_the_cas_and_the_certificate() {
        let house = house();
        let listed = openssl(&house, &cacerts(&house.authority).unwrap(), LIST);
        assert_eq!(listed.matches("subject=").count(), 2, "{listed}");
        assert!(listed.contains("Sekisho Device Root") && listed.contains("Sekisho Device CA"), "{listed}");

        must(&house.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"]));
        must(&house.openssl(&[
            "req",
            "-new",
            "-key",
            "key.pem",
            "-subj",
            "/CN=printer",
            "-outform",
            "DER",
            "-out",
            "csr",
        ]));
        let request = fs::read(house.dir.path().join("csr")).unwrap();
        let key = read_request(encoded(&request).as_bytes()).unwrap();
        assert_eq!(read_request(&request).unwrap(), key, "raw DER");
        let issued = house.authority.issue_device_for(&nurse(), &key).unwrap();
        let listed = openssl(&house, &response(&issued.certificate).unwrap(), LIST);
        assert_eq!(listed.matches("subject=").count(), 1, "{listed}");
        must(&house.openssl(&["pkcs7", "-inform", "DER", "-in", "body.der", "-print_certs", "-out", "device.pem"]));
        let own = must(&house.openssl(&["pkey", "-in", "key.pem", "-pubout"]));
        assert_eq!(must(&house.openssl(&["x509", "-in", "device.pem", "-noout", "-pubkey"])), own);
    }

    #[test]
    fn openssl_reads_the_attributes() {
        let house = house();
        let parsed = openssl(&house, &csrattrs().unwrap(), &["asn1parse"]);
        let objects: Vec<_> = parsed.lines().filter_map(|line| line.split("OBJECT").nth(1)).collect();
        let names: Vec<_> = objects.iter().map(|object| object.trim_start_matches([' ', ':'])).collect();
        assert_eq!(names, ["id-ecPublicKey", "prime256v1", "ecdsa-with-SHA256"], "{parsed}");
    }
}
