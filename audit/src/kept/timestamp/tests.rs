//! Against time stamps that OpenSSL makes.

use std::process::Command;

use super::*;

#[test]
fn times_are_read_with_and_without_fractions() {
    let read = |text: &str| time(text.as_bytes()).map(|at| at.to_string());
    assert_eq!(read("20261101000512Z").as_deref(), Some("2026-11-01T00:05:12.000000Z"));
    assert_eq!(read("20261101000512.25Z").as_deref(), Some("2026-11-01T00:05:12.250000Z"));
    for wrong in ["20261101000512", "2026110100051Z", "20261301000512Z", "20261101000512.Z", "2026110100051xZ"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

/// An authority in a folder of its own: a root, an intermediate CA, and a certificate for time stamping.
struct Authority {
    folder: tempfile::TempDir,
    root: Vec<u8>,
}

impl Authority {
    /// `key`: what `openssl genpkey` takes. `usage`: the extended key usage of the certificate.
    fn new(key: &[&str], usage: &str, days: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n");
        write("own.ext", &format!("basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n"));
        let own = Self { folder, root: Vec::new() };
        let p256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
        for (name, key) in [("root", p256), ("ca", p256), ("own", key)] {
            let file = format!("{name}.key");
            own.openssl(&[&["genpkey", "-out", &file], key].concat());
            own.openssl(&[
                "req",
                "-new",
                "-key",
                &file,
                "-subj",
                &format!("/CN={name}"),
                "-out",
                &format!("{name}.csr"),
            ]);
        }
        let sign = |name: &str, by: &[&str], ext: &str, days: &str| {
            let (csr, pem) = (format!("{name}.csr"), format!("{name}.pem"));
            let serial = format!("{}", 1 + name.len());
            let fixed = ["x509", "-req", "-in", &csr, "-out", &pem, "-extfile", ext, "-days", days];
            own.openssl(&[&fixed[..], &["-set_serial", &serial], by].concat());
        };
        sign("root", &["-signkey", "root.key"], "ca.ext", "3650");
        sign("ca", &["-CA", "root.pem", "-CAkey", "root.key"], "ca.ext", "3650");
        sign("own", &["-CA", "ca.pem", "-CAkey", "ca.key"], "own.ext", days);
        own.openssl(&["x509", "-in", "root.pem", "-outform", "DER", "-out", "root.der"]);
        let root = std::fs::read(own.folder.path().join("root.der")).unwrap();
        Self { root, ..own }
    }

    fn openssl(&self, arguments: &[&str]) {
        let run = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// What it answers to a request.
    fn stamp(&self, request: &Request, digest: &str, certificate_hash: &str) -> Vec<u8> {
        let path = |name: &str| self.folder.path().join(name);
        let settings = format!(
            "[tsa]\nserial = serial\nsigner_digest = {digest}\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n\
             ess_cert_id_alg = {certificate_hash}\ncerts = ca.pem\n"
        );
        std::fs::write(path("tsa.cnf"), settings).unwrap();
        std::fs::write(path("serial"), "01\n").unwrap();
        std::fs::write(path("query.tsq"), request.der()).unwrap();
        let signer = ["-signer", "own.pem", "-inkey", "own.key", "-config", "tsa.cnf", "-section", "tsa"];
        self.openssl(&[&["ts", "-reply", "-queryfile", "query.tsq", "-out", "answer.tsr"], &signer[..]].concat());
        std::fs::read(path("answer.tsr")).unwrap()
    }
}

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const USAGE: &str = "critical,timeStamping";
const NOTE: &[u8] = b"gw.example/audit\n7\nAAAA\n\n";

fn request() -> Request {
    Request::new(NOTE, [0xff, 1, 2, 3, 4, 5, 6, 7])
}

#[test]
fn openssl_reads_the_request_and_its_stamps_are_accepted_whichever_way_they_are_signed() {
    for (key, digest, certificate_hash) in [
        (RSA, "sha256", "sha256"),
        (RSA, "sha384", "sha1"),
        (RSA, "sha512", "sha512"),
        (P256, "sha256", "sha1"),
        (P384, "sha384", "sha384"),
    ] {
        let authority = Authority::new(key, USAGE, "30");
        let answer = authority.stamp(&request(), digest, certificate_hash);
        let now = vocabulary::Clock::now(&vocabulary::SystemClock);
        let stamped = request().check(&answer, std::slice::from_ref(&authority.root)).unwrap();
        assert!((0..120).contains(&now.secs_since(stamped.at)), "{} {now}", stamped.at);
        // What is kept is what OpenSSL verifies later.
        std::fs::write(authority.folder.path().join("note"), NOTE).unwrap();
        authority.openssl(&["ts", "-verify", "-data", "note", "-in", "answer.tsr", "-CAfile", "root.pem"]);
    }
}

#[test]
fn other_bytes_another_request_another_root_and_another_certificate_are_refused() {
    let authority = Authority::new(P256, USAGE, "30");
    let roots = [authority.root.clone()];
    let answer = authority.stamp(&request(), "sha256", "sha256");
    let other = Request::new(b"other", [0xff, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(other.check(&answer, &roots), Err(TimestampError::Imprint));
    let other = Request::new(NOTE, [0xff, 1, 2, 3, 4, 5, 6, 8]);
    assert_eq!(other.check(&answer, &roots), Err(TimestampError::Nonce));
    let stranger = Authority::new(P256, USAGE, "30");
    let refused = request().check(&answer, std::slice::from_ref(&stranger.root));
    assert!(matches!(refused, Err(TimestampError::Chain(_))), "{refused:?}");
    assert!(matches!(request().check(&answer, &[]), Err(TimestampError::Chain(_))));
    assert!(matches!(request().check(&answer, &[b"x".to_vec()]), Err(TimestampError::Root(_))));
    // The signer's certificate in place of a root does not do: it is no CA.
    let own = request().check(&answer, &[std::fs::read(authority.folder.path().join("own.pem")).unwrap()]);
    assert!(own.is_err());
}

/// OpenSSL does not stamp with such certificates, so the token is signed as CMS.
#[test]
fn a_certificate_for_something_else_or_of_another_time_stamps_nothing() {
    let good = Authority::new(RSA, USAGE, "30");
    let answer = good.stamp(&request(), "sha256", "sha256");
    // As if it had been stamped before the certificate was made: the content is changed, and signed anew.
    let (_, token) = response(&answer).unwrap();
    let info = signed::Signed::read(token.unwrap()).unwrap().content().to_vec();
    let resign = |authority: &Authority, info: &[u8]| {
        let folder = authority.folder.path();
        std::fs::write(folder.join("info"), info).unwrap();
        let how = ["-econtent_type", "1.2.840.113549.1.9.16.1.4", "-cades", "-md", "sha256", "-binary", "-nodetach"];
        let who = ["-signer", "own.pem", "-inkey", "own.key", "-certfile", "ca.pem"];
        let files = ["-in", "info", "-outform", "DER", "-out", "token"];
        authority.openssl(&[&["cms", "-sign"], &how[..], &who[..], &files[..]].concat());
        // TimeStampResp: status granted, and the token.
        let token = std::fs::read(folder.join("token")).unwrap();
        let body = [&[0x30, 0x03, 0x02, 0x01, 0x00][..], &token].concat();
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[0x30, 0x82], &length[..], &body].concat()
    };
    let check = |authority: &Authority, info: &[u8]| {
        request().check(&resign(authority, info), std::slice::from_ref(&authority.root))
    };
    assert!(check(&good, &info).is_ok(), "signed as CMS it is accepted like any other");
    let year = info.windows(3).position(|w| w == [0x18, 0x0f, b'2']).unwrap() + 2;
    let mut early = info.clone();
    early[year..year + 4].copy_from_slice(b"2001");
    assert!(matches!(check(&good, &early), Err(TimestampError::Chain(_))), "{:?}", check(&good, &early));
    for usage in ["critical,serverAuth", "timeStamping", "critical,timeStamping,serverAuth"] {
        let other = Authority::new(RSA, usage, "30");
        assert_eq!(check(&other, &info), Err(TimestampError::Purpose), "{usage}");
    }
}

#[test]
fn whatever_byte_is_changed_nothing_but_the_unsigned_changes_and_nothing_panics() {
    let authority = Authority::new(P256, USAGE, "30");
    let roots = [authority.root.clone()];
    let answer = authority.stamp(&request(), "sha256", "sha256");
    let stamped = request().check(&answer, &roots).unwrap();
    let mut accepted = 0;
    for place in 0..answer.len() {
        let mut changed = answer.clone();
        changed[place] ^= 0x01;
        if let Ok(read) = request().check(&changed, &roots) {
            assert_eq!(read, stamped, "byte {place}");
            accepted += 1;
        }
    }
    // What is not signed and not looked at: versions, names of the signer, algorithms said twice.
    assert!(accepted < 120, "{accepted} of {} bytes", answer.len());
    for end in 0..answer.len() {
        assert!(request().check(&answer[..end], &roots).is_err(), "cut off at {end}");
    }
}

#[test]
fn a_refusal_is_told_in_the_authoritys_words() {
    let refusal = b"\x30\x14\x30\x12\x02\x01\x02\x30\x0d\x0c\x0btoo\x0amany..!";
    let told = request().check(refusal, &[]).unwrap_err();
    assert_eq!(told.to_string(), "the authority did not grant it (status 2: toomany..!)");
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        proptest::prop_assert!(request().check(&bytes, &[]).is_err());
    }
}
