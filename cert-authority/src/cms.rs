//! Messages in the Cryptographic Message Syntax (CMS, RFC 5652): certificates in a bag, and content with a signature.
//!
//! The structures are the `cms` crate's; the signatures are ring's.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_TIME};
use der::asn1::{Any, GeneralizedTime, ObjectIdentifier, OctetString, SetOfVec, UtcTime};
use der::{Decode, Encode, Tag};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::time::Duration;
use vocabulary::Timestamp;
use x509_cert::Certificate;
use x509_cert::attr::{Attribute, AttributeValue};
use x509_cert::time::Time;

use crate::signer::Signer;
use crate::{CertError, Result};

/// The "degenerate case" of RFC 5652 §5.2, which RFC 7030 calls certs-only: certificates, and nobody's signature. DER.
/// It is a set: the order is lost, and readers find out themselves what signed what.
///
/// # Errors
/// One of them is no certificate in DER.
pub fn certs_only(certificates: &[CertificateDer<'_>]) -> Result<Vec<u8>> {
    let content = EncapsulatedContentInfo { econtent_type: ID_DATA, econtent: None };
    message(&SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::default(),
        encap_content_info: content,
        certificates: Some(certificate_set(&parse(certificates)?)?),
        crls: None,
        signer_infos: SignerInfos::from(SetOfVec::default()),
    })
}

/// Content with a signature around it, in DER: what Apple's devices read as a signed configuration profile.
///
/// `chain` is the certificate of `key`, then those above it; the root may be left out. The hash is SHA-256, but with a
/// key on P-384 it is SHA-384.
///
/// # Errors
/// The key is of another kind (P-256, P-384, RSA of 2,048 bits and more), or not that of the first certificate.
pub fn sign(content: &[u8], key: &PrivateKeyDer<'_>, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Vec<u8>> {
    let signer = Signer::new(key).ok_or(CertError::Cms("the key is neither P-256, P-384 nor RSA".to_owned()))?;
    let certificates = parse(chain)?;
    let own = certificates.first().ok_or(CertError::Cms("there is no certificate to sign with".to_owned()))?;
    let public = own.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
    if public != signer.public_key() {
        return Err(CertError::Cms("the key is not that of the first certificate".to_owned()));
    }

    // RFC 5652 §5.4: what is signed are these, as a SET OF; the content is signed by its hash among them.
    let attributes = signed_attributes(signer.digest(content).as_ref(), now).map_err(encoding)?;
    let signature = signer.sign(&attributes.to_der().map_err(encoding)?)?;
    let info = SignerInfo {
        // Version 1 goes with issuer and serial number, which every reader knows.
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: own.tbs_certificate().issuer().clone(),
            serial_number: own.tbs_certificate().serial_number().clone(),
        }),
        digest_alg: signer.digest_algorithm(),
        signed_attrs: Some(attributes),
        signature_algorithm: signer.signature_algorithm(),
        signature: OctetString::new(signature).map_err(encoding)?,
        unsigned_attrs: None,
    };
    message(&SignedData {
        version: CmsVersion::V1,
        digest_algorithms: one(signer.digest_algorithm()).map_err(encoding)?,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: ID_DATA,
            econtent: Some(Any::new(Tag::OctetString, content).map_err(encoding)?),
        },
        certificates: Some(certificate_set(&certificates)?),
        crls: None,
        signer_infos: SignerInfos::from(one(info).map_err(encoding)?),
    })
}

fn message(data: &SignedData) -> Result<Vec<u8>> {
    let content = Any::encode_from(data).map_err(encoding)?;
    ContentInfo { content_type: ID_SIGNED_DATA, content }.to_der().map_err(encoding)
}

/// RFC 5652 §11: content type and hash must stand there; the time lets a profile be good after its signer has expired.
fn signed_attributes(digest: &[u8], now: Timestamp) -> der::Result<SignedAttributes> {
    let since = Duration::from_secs(u64::try_from(now.secs()).unwrap_or_default());
    // RFC 5652 §11.3: UTCTime through the year 2049.
    let time = match UtcTime::from_unix_duration(since) {
        Ok(time) => Time::UtcTime(time),
        Err(_) => Time::GeneralTime(GeneralizedTime::from_unix_duration(since)?),
    };
    let attribute = |oid: ObjectIdentifier, value: AttributeValue| -> der::Result<Attribute> {
        Ok(Attribute { oid, values: one(value)? })
    };
    SetOfVec::try_from(vec![
        attribute(ID_CONTENT_TYPE, Any::encode_from(&ID_DATA)?)?,
        attribute(ID_MESSAGE_DIGEST, Any::new(Tag::OctetString, digest)?)?,
        attribute(ID_SIGNING_TIME, Any::encode_from(&time)?)?,
    ])
}

fn one<T: der::DerOrd>(value: T) -> der::Result<SetOfVec<T>> {
    let mut set = SetOfVec::new();
    set.insert(value)?;
    Ok(set)
}

fn parse(certificates: &[CertificateDer<'_>]) -> Result<Vec<Certificate>> {
    let parse = |der: &CertificateDer<'_>| {
        let certificate = Certificate::from_der(der).map_err(encoding)?;
        // They are written anew from what was parsed; a certificate whose bytes change on the way is signed no longer.
        if certificate.to_der().map_err(encoding)? != der.as_ref() {
            return Err(CertError::Cms("a certificate is not in DER".to_owned()));
        }
        Ok(certificate)
    };
    certificates.iter().map(parse).collect()
}

fn certificate_set(certificates: &[Certificate]) -> Result<CertificateSet> {
    let mut set = SetOfVec::new();
    for (position, certificate) in certificates.iter().enumerate() {
        // In a set, the same one twice would be an error.
        if !certificates[..position].contains(certificate) {
            set.insert(CertificateChoices::Certificate(certificate.clone())).map_err(encoding)?;
        }
    }
    Ok(CertificateSet::from(set))
}

fn encoding(error: der::Error) -> CertError {
    CertError::Cms(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Output};

    use rustls_pki_types::pem::PemObject;

    use super::*;

    /// 2026-11-01T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);

    fn openssl(dir: &Path, args: &[&str]) -> Output {
        Command::new("openssl").args(args).current_dir(dir).output().unwrap()
    }

    fn must(output: &Output) -> String {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A self-signed certificate in `NAME.pem` with its key in `NAME.key`.
    fn certificate(dir: &Path, name: &str, kind: &[&str]) -> CertificateDer<'static> {
        let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
        must(&openssl(dir, &[&["genpkey", "-out", &key], kind].concat()));
        let subject = format!("/CN={name}");
        must(&openssl(dir, &["req", "-x509", "-new", "-key", &key, "-out", &pem, "-subj", &subject, "-days", "3650"]));
        CertificateDer::from_pem_file(dir.join(pem)).unwrap()
    }

    const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    const RSA: &[&str] = &["-algorithm", "RSA"];

    #[test]
    fn openssl_finds_the_certificates_in_the_bag() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (certificate(dir.path(), "a", P256), certificate(dir.path(), "b", RSA));
        fs::write(dir.path().join("bag.p7"), certs_only(&[a.clone(), b, a]).unwrap()).unwrap();
        let listed =
            must(&openssl(dir.path(), &["pkcs7", "-inform", "DER", "-in", "bag.p7", "-print_certs", "-noout"]));
        assert_eq!(listed.matches("subject=").count(), 2, "{listed}");
        assert!(listed.contains("CN = a") && listed.contains("CN = b"), "{listed}");
        let structure = must(&openssl(dir.path(), &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "bag.p7"]));
        assert!(structure.contains("pkcs7-signedData"), "{structure}");
        assert!(certs_only(&[CertificateDer::from(&b"0\x03\x02\x01\x00"[..])]).is_err());
    }

    #[test]
    fn openssl_verifies_what_each_kind_of_key_signed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, kind, hash) in [("p256", P256, "sha256"), ("p384", P384, "sha384"), ("rsa", RSA, "sha256")] {
            let chain = [certificate(dir.path(), name, kind)];
            let key = PrivateKeyDer::from_pem_file(dir.path().join(format!("{name}.key"))).unwrap();
            let signed = sign("<plist>こんにちは</plist>".as_bytes(), &key, &chain, NOW).unwrap();
            fs::write(dir.path().join("signed"), &signed).unwrap();
            let root = format!("{name}.pem");
            let verify = ["cms", "-verify", "-binary", "-inform", "DER", "-in", "signed", "-CAfile", &root];
            assert_eq!(must(&openssl(dir.path(), &verify)), "<plist>こんにちは</plist>", "{name}");
            let print = must(&openssl(dir.path(), &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "signed"]));
            for expected in [hash, "signingTime", "Nov  1 00:00:00 2026 GMT", "messageDigest", "contentType"] {
                assert!(print.contains(expected), "{name}: {expected} in {print}");
            }

            let place = signed.windows(7).position(|part| part == b"<plist>").unwrap();
            let mut changed = signed;
            changed[place] ^= 1;
            fs::write(dir.path().join("signed"), &changed).unwrap();
            assert!(!openssl(dir.path(), &verify).status.success(), "{name}: changed content");
        }
    }

    #[test]
    fn keys_are_read_in_the_forms_that_come_with_public_certificates() {
        let dir = tempfile::tempdir().unwrap();
        for (name, kind) in [("p256", P256), ("p384", P384), ("rsa", RSA)] {
            let chain = [certificate(dir.path(), name, kind)];
            let (key, old) = (format!("{name}.key"), format!("{name}.old"));
            must(&openssl(dir.path(), &["pkey", "-traditional", "-in", &key, "-out", &old]));
            let old = PrivateKeyDer::from_pem_file(dir.path().join(old)).unwrap();
            assert!(!matches!(old, PrivateKeyDer::Pkcs8(_)));
            assert!(sign(b"x", &old, &chain, NOW).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_key_that_does_not_fit_signs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let chain = [certificate(dir.path(), "a", P256)];
        certificate(dir.path(), "b", P256);
        let other = PrivateKeyDer::from_pem_file(dir.path().join("b.key")).unwrap();
        assert!(matches!(sign(b"x", &other, &chain, NOW), Err(CertError::Cms(_))));
        assert!(matches!(sign(b"x", &other, &[], NOW), Err(CertError::Cms(_))));
        certificate(dir.path(), "e", &["-algorithm", "ED25519"]);
        let unknown = PrivateKeyDer::from_pem_file(dir.path().join("e.key")).unwrap();
        assert!(matches!(sign(b"x", &unknown, &chain, NOW), Err(CertError::Cms(_))));
    }
}
