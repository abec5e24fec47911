//! Certificate requests (PKCS#10, RFC 2986), of which the public key is taken and nothing else.
//!
//! What a request asks for — subject, names, extensions, a challenge password — is not read: who the device is says the
//! enrolment, and what stands in its certificate says the profile. So a request is unpacked here only as far as its
//! key, and what Windows, Android or a router put into the rest can't make it fail.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use x509_parser::asn1_rs::{Any, BitString};
use x509_parser::oid_registry::{
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
};
use x509_parser::prelude::FromDer;
use x509_parser::verify::verify_signature;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::{CertError, DeviceKey, Result};

/// An RSA request with many names is about 2 KiB; Windows adds a few hundred bytes.
const LONGEST: usize = 16 * 1024;

/// The identifier octet: universal, constructed, 16.
const SEQUENCE: u8 = 0x30;

/// Clients leave out the padding or don't, and RFC 7030 is silent.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl DeviceKey {
    /// Reads a certificate request in PEM, DER or base64 without armour, of at most 16 KiB, and has it prove that who
    /// sent it has the private key. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// It is none, its signature does not fit its key, or either is of a kind that is not signed.
    pub fn from_csr(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LONGEST {
            return Err(CertError::Request("is longer than 16 KiB"));
        }
        let der = unarmour(bytes)?;
        let request = Request::read(&der).ok_or(CertError::Request("is not PKCS#10"))?;
        // The key first: that a device must make another one is worth more to know than what is wrong with a signature.
        let key = Self::from_spki(request.key.raw)?;
        request.prove_possession()?;
        Ok(key)
    }
}

/// DER begins with the octet of a SEQUENCE, which is the digit `0` in text; base64 of DER begins with `M`.
fn unarmour(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    let text = bytes.trim_ascii();
    if text.starts_with(b"-----") {
        let armoured = pem::parse(text).map_err(|_| CertError::Request("is damaged PEM"))?;
        // The second is what Windows' certreq writes.
        return match armoured.tag() {
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Ok(armoured.into_contents().into()),
            tag if tag.ends_with("PRIVATE KEY") => {
                Err(CertError::Request("is a private key, which stays where it is; make a request with it"))
            }
            _ => Err(CertError::Request("is PEM of something else")),
        };
    }
    if bytes.first() == Some(&SEQUENCE) {
        return Ok(bytes.into());
    }
    let digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(digits).map(Cow::Owned).map_err(|_| CertError::Request("is neither PEM, DER nor base64"))
}

/// RFC 2986 §4.2, as far as it matters.
struct Request<'a> {
    /// What was signed.
    info: &'a [u8],
    key: SubjectPublicKeyInfo<'a>,
    algorithm: AlgorithmIdentifier<'a>,
    signature: BitString<'a>,
}

impl<'a> Request<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let (rest, request) = sequence(der)?;
        let (outer, info) = sequence(request)?;
        let signed = request.get(..request.len() - outer.len())?;
        // The parser takes any tag for the algorithm's.
        sequence(outer)?;
        let (outer, algorithm) = AlgorithmIdentifier::from_der(outer).ok()?;
        let (outer, signature) = BitString::from_der(outer).ok()?;
        let (inner, _version) = Any::from_der(info).ok()?;
        let (inner, _subject) = Any::from_der(inner).ok()?;
        let (_attributes, key) = SubjectPublicKeyInfo::from_der(inner).ok()?;
        let whole = rest.is_empty() && outer.is_empty() && signature.unused_bits == 0;
        whole.then_some(Self { info: signed, key, algorithm, signature })
    }

    /// RFC 2986 §3 note 2: the signature keeps anyone from having another's key certified as their own.
    fn prove_possession(&self) -> Result<()> {
        let strong = [
            OID_SIG_ECDSA_WITH_SHA256,
            OID_SIG_ECDSA_WITH_SHA384,
            OID_PKCS1_SHA256WITHRSA,
            OID_PKCS1_SHA384WITHRSA,
            OID_PKCS1_SHA512WITHRSA,
            OID_PKCS1_RSASSAPSS,
        ];
        // x509-parser would accept SHA-1.
        if !strong.contains(&self.algorithm.algorithm) {
            return Err(CertError::Request("is signed in a way that is not accepted; sign it with SHA-256"));
        }
        verify_signature(&self.key, &self.algorithm, &self.signature, self.info)
            .map_err(|_| CertError::Request("was not signed with the key it asks a certificate for"))
    }
}

/// What follows a SEQUENCE, and what is in it.
fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(der).ok()?;
    (der.first() == Some(&SEQUENCE)).then_some((rest, any.data))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;
    use rcgen::PublicKeyData;

    use super::*;

    /// Runs `openssl` in a fresh folder; the request stands in `request.pem` afterwards.
    fn openssl_req(key: &[&str], more: &[&str]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| {
            let output = Command::new("openssl").args(args).current_dir(dir.path()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run(&[&["genpkey", "-out", "key.pem"], key].concat());
        let config = "[req]\nprompt=no\ndistinguished_name=dn\nattributes=att\n[dn]\nCN=x\n[att]\n\
            challengePassword=himitsu\nunstructuredName=somebody\n";
        std::fs::write(dir.path().join("req.cnf"), config).unwrap();
        let req = ["req", "-new", "-config", "req.cnf", "-key", "key.pem", "-out", "request.pem"];
        run(&[&req, more].concat());
        std::fs::read(dir.path().join("request.pem")).unwrap()
    }

    const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

    fn rsa(bits: &str) -> Vec<u8> {
        openssl_req(&["-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")], &[])
    }

    fn refusal(request: &[u8]) -> String {
        DeviceKey::from_csr(request).unwrap_err().to_string()
    }

    #[test]
    fn what_openssl_requests_is_read_whatever_else_it_asks_for() {
        let p384 = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
        let names = ["-addext", "subjectAltName=DNS:bank.example,email:a@b.example"];
        // What Windows sends: an extension nobody else knows (szOID_ENROLL_CERTTYPE), with content that is not DER.
        let odd = ["-addext", "1.3.6.1.4.1.311.20.2=DER:1e0200ff77", "-addext", "basicConstraints=critical,CA:true"];
        let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-sha256"];
        for request in [
            openssl_req(P256, &[]),
            openssl_req(P256, &names),
            openssl_req(P256, &odd),
            openssl_req(p384, &["-sha384"]),
            rsa("2048"),
            openssl_req(&["-algorithm", "RSA"], &pss),
        ] {
            let key = DeviceKey::from_csr(&request).unwrap();
            let der = pem::parse(&request).unwrap().into_contents();
            assert!(der.windows(key.der_bytes().len()).any(|part| part == key.der_bytes()));
            let base64 = base64::engine::general_purpose::STANDARD.encode(&der);
            let lines: String = base64.as_bytes().chunks(64).map(|l| String::from_utf8_lossy(l) + "\r\n").collect();
            for form in [der.as_slice(), base64.as_bytes(), base64.trim_end_matches('=').as_bytes(), lines.as_bytes()] {
                assert_eq!(DeviceKey::from_csr(form).unwrap(), key);
            }
            let windows = String::from_utf8_lossy(&request).replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
            assert_eq!(DeviceKey::from_csr(windows.as_bytes()).unwrap(), key);
        }
    }

    #[test]
    fn weak_and_unknown_keys_are_refused_by_name() {
        assert!(refusal(&rsa("1024")).contains("2,048"));
        for kind in [&["-algorithm", "ED25519"][..], &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]] {
            assert!(refusal(&openssl_req(kind, &[])).contains("P-256"));
        }
        let explicit = [P256, &["-pkeyopt", "ec_param_enc:explicit"]].concat();
        assert!(refusal(&openssl_req(&explicit, &[])).contains("P-256"), "a curve of one's own");
        assert!(refusal(&openssl_req(&["-algorithm", "RSA"], &["-sha1"])).contains("SHA-256"));
    }

    #[test]
    fn who_has_not_the_key_gets_no_certificate_for_it() {
        let der = |request: Vec<u8>| pem::parse(request).unwrap().into_contents();
        let mut request = der(openssl_req(P256, &[]));
        let last = request.len() - 1;
        request[last] ^= 1;
        assert!(refusal(&request).contains("was not signed with the key"));

        // Another's key in a request of one's own.
        let (own, other) = (der(openssl_req(P256, &[])), der(openssl_req(P256, &[])));
        let other = DeviceKey::from_csr(&other).unwrap();
        let own_key = DeviceKey::from_csr(&own).unwrap();
        let place = own.windows(65).position(|part| part == own_key.der_bytes()).unwrap();
        let mut mixed = own;
        mixed[place..place + 65].copy_from_slice(other.der_bytes());
        assert!(refusal(&mixed).contains("was not signed with the key"));
    }

    #[test]
    fn other_files_are_refused() {
        let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert!(refusal(certificate.as_bytes()).contains("something else"));
        assert!(refusal(&[0x30; 17 * 1024]).contains("16 KiB"));
        assert!(refusal(b"").contains("PKCS#10"));
        let mut longer = pem::parse(openssl_req(P256, &[])).unwrap().into_contents();
        longer.push(0);
        assert!(refusal(&longer).contains("PKCS#10"), "bytes behind it");
    }

    /// What is not signed (tags around the signature) may change; the key may not.
    #[test]
    fn no_bit_of_a_request_can_be_changed_so_that_another_key_is_taken() {
        let key = DeviceKey::from_csr(request()).unwrap();
        for bit in 0..request().len() * 8 {
            let mut changed = request().to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(DeviceKey::from_csr(&changed).map_or(true, |read| read == key), "bit {bit}");
        }
    }

    fn request() -> &'static [u8] {
        static REQUEST: std::sync::LazyLock<Vec<u8>> =
            std::sync::LazyLock::new(|| pem::parse(openssl_req(P256, &[])).unwrap().into_contents());
        &REQUEST
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(DeviceKey::from_csr(&bytes).is_err());
            prop_assert!(DeviceKey::from_spki(&bytes).is_err());
        }

        #[test]
        fn a_garbled_request_never_passes_with_another_key(
            changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut garbled = request().to_vec();
            for (place, mask) in changes {
                let place = place.index(garbled.len());
                garbled[place] ^= mask;
            }
            let key = DeviceKey::from_csr(request()).unwrap();
            prop_assert!(DeviceKey::from_csr(&garbled).map_or(true, |read| read == key));
            prop_assert!(DeviceKey::from_csr(&request()[..cut.index(request().len())]).is_err());
        }
    }
}
