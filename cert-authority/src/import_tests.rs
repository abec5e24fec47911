//! CAs as the `openssl` command makes them, taken over or refused.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::house::{DAY, WORK, house_at, must, nurse, openssl, passphrase, root_passphrase};
use crate::renew::{Which, renew_with_work};
use crate::{CaRenewal, authority::pem};

const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const CA: &str =
    "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";

/// A root and a CA below it, with its key encrypted.
struct Pki(TempDir);

impl Pki {
    fn new(key: &[&str], subject: &str, extensions: &str) -> Self {
        let pki = Self(tempfile::tempdir().unwrap());
        pki.run(&[&["genpkey", "-out", "root.key"], P256].concat());
        pki.run(&[&["genpkey", "-out", "plain.key"], key].concat());
        let seal =
            ["pkcs8", "-topk8", "-v2", "aes256", "-in", "plain.key", "-out", "ca.key", "-passout", "pass:himitsu"];
        pki.run(&seal);
        pki.sign_root("/O=Old Home/CN=Root");
        pki.sign(subject, extensions, "3650");
        pki
    }

    fn run(&self, args: &[&str]) {
        must(&openssl(self.0.path(), args));
    }

    fn sign_root(&self, subject: &str) {
        self.run(&["req", "-x509", "-new", "-key", "root.key", "-out", "root.pem", "-subj", subject, "-days", "7300"]);
    }

    fn sign(&self, subject: &str, extensions: &str, days: &str) {
        fs::write(self.0.path().join("ca.ext"), extensions).unwrap();
        self.run(&["req", "-new", "-utf8", "-multivalue-rdn", "-key", "plain.key", "-out", "ca.csr", "-subj", subject]);
        let sign = ["x509", "-req", "-in", "ca.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial"];
        self.run(&[&sign[..], &["-extfile", "ca.ext", "-days", days, "-out", "ca.pem"]].concat());
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn device_ca(&self) -> DeviceCa {
        DeviceCa {
            certificate: self.read("ca.pem"),
            key: Zeroizing::new(self.read("ca.key")),
            key_passphrase: Some(Passphrase::new("himitsu")),
            root: Some(self.read("root.pem")),
        }
    }

    fn init(&self) -> Init {
        Init {
            organisation: "さくら会".to_owned(),
            domain: "gw.sakura-kai.example".to_owned(),
            other_domains: Vec::new(),
            passphrase: passphrase(),
            root_passphrase: root_passphrase(),
            export_to: self.0.path().join("roots.age"),
            now: now(),
        }
    }

    fn import(&self) -> Import {
        Import { init: self.init(), device_ca: self.device_ca() }
    }

    fn take(&self, import: &Import) -> Result<InitReport> {
        import_with_work(&self.ca(), import, WORK)
    }

    fn ca(&self) -> std::path::PathBuf {
        self.0.path().join("ca")
    }

    fn refusal(&self, device_ca: DeviceCa) -> String {
        let error = self.take(&Import { init: self.init(), device_ca }).unwrap_err();
        assert!(matches!(error, CertError::Import(_)), "{error}");
        assert!(!self.ca().exists() && !self.0.path().join("roots.age").exists());
        error.to_string()
    }
}

/// `openssl` goes by the machine's clock.
fn now() -> Timestamp {
    use vocabulary::{Clock, SystemClock};
    Timestamp::from_secs(SystemClock.now().secs())
}

fn good() -> Pki {
    Pki::new(P256, "/O=Old Home/CN=Device CA", CA)
}

#[test]
fn a_ca_of_each_kind_of_key_is_taken_over_and_signs() {
    let p384 = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"][..];
    for (kind, extensions) in [
        (P256, CA.to_owned()),
        (p384, format!("{CA}extendedKeyUsage=clientAuth,emailProtection\n")),
        (&["-algorithm", "RSA"][..], "basicConstraints=CA:true,pathlen:0\n".to_owned()),
        (P256, format!("{CA}nameConstraints=permitted;DNS:old.example\n")),
    ] {
        let pki = Pki::new(kind, "/C=JP/O=古い家/CN=Device CA", &extensions);
        let report = pki.take(&pki.import()).unwrap();
        let authority = CertAuthority::open(&pki.ca(), &passphrase()).unwrap();
        assert_eq!(report.root_fingerprint, authority.root_fingerprint());
        assert_eq!(authority.organisation(), "さくら会");
        assert_eq!(pem(authority.device_ca_der()), pki.read("ca.pem"));
        assert!(!authority.domains().is_empty());

        let pending = authority.issue_device(&crate::DeviceRequest { now: now(), ..nurse() }).unwrap();
        fs::write(pki.0.path().join("device.pem"), pem(&pending.certificate)).unwrap();
        pki.run(&["verify", "-purpose", "sslclient", "-CAfile", "root.pem", "-untrusted", "ca.pem", "device.pem"]);
        let list = authority.crls([], 1, now(), now().plus_secs(DAY)).unwrap().remove(0);
        fs::write(pki.0.path().join("crl.der"), list).unwrap();
        pki.run(&["crl", "-inform", "DER", "-in", "crl.der", "-out", "crl.pem", "-CAfile", "ca.pem"]);
        let checked = ["verify", "-crl_check", "-CAfile", "root.pem", "-untrusted", "ca.pem", "-CRLfile", "crl.pem"];
        pki.run(&[&checked[..], &["device.pem"]].concat());

        let roots = pki.0.path().join("roots.age");
        let renewal = CaRenewal { passphrase: passphrase(), roots, root_passphrase: root_passphrase(), now: now() };
        let refused = renew_with_work(&pki.ca(), &renewal, Which::Device, WORK).unwrap_err();
        assert!(matches!(refused, CertError::NotThisRoot { .. }), "{refused}");
        assert!(renew_with_work(&pki.ca(), &renewal, Which::Server, WORK).is_ok());
    }
}

#[test]
fn a_ca_that_signed_itself_is_its_own_root() {
    let pki = good();
    pki.run(&["req", "-x509", "-new", "-key", "plain.key", "-out", "ca.pem", "-subj", "/CN=Alone", "-days", "365"]);
    let plain = Zeroizing::new(pki.read("plain.key"));
    let device_ca = DeviceCa { root: None, key: plain, key_passphrase: None, ..pki.device_ca() };
    let import = Import { init: pki.init(), device_ca };
    pki.take(&import).unwrap();
    let authority = CertAuthority::open(&pki.ca(), &passphrase()).unwrap();
    assert_eq!(authority.device_root_der(), authority.device_ca_der());
    assert!(matches!(pki.take(&import), Err(CertError::Exists { .. })));
}

#[test]
fn a_key_that_does_not_open_or_fit_is_refused() {
    let pki = good();
    let with = |change: &dyn Fn(&mut DeviceCa)| {
        let mut ca = pki.device_ca();
        change(&mut ca);
        pki.refusal(ca)
    };
    assert!(with(&|i| i.key_passphrase = Some(Passphrase::new("wrong"))).contains("does not open"));
    assert!(with(&|i| i.key_passphrase = None).contains("no passphrase"));
    let key = |name: &str| Zeroizing::new(pki.read(name));
    assert!(with(&|i| i.key = key("root.key")).contains("not that of the CA"));
    assert!(with(&|i| i.key = Zeroizing::new("x".to_owned())).contains("not in PEM"));
    pki.run(&["pkey", "-in", "plain.key", "-traditional", "-out", "old.key"]);
    assert!(with(&|i| i.key = key("old.key")).contains("openssl pkcs8"));
    pki.run(&[
        "pkcs8",
        "-topk8",
        "-v1",
        "PBE-SHA1-3DES",
        "-in",
        "plain.key",
        "-out",
        "v1.key",
        "-passout",
        "pass:himitsu",
    ]);
    assert!(
        with(&|i| i.key = key("v1.key")).contains("passphrase") || with(&|i| i.key = key("v1.key")).contains("old way")
    );
    for kind in [&["-algorithm", "ED25519"][..], &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]] {
        let pki = Pki::new(kind, "/CN=CA", CA);
        assert!(pki.refusal(pki.device_ca()).contains("neither P-256"));
    }
}

#[test]
fn what_is_no_ca_for_devices_is_refused_in_clear_words() {
    let usage = "basicConstraints=CA:true\nkeyUsage=critical,";
    for (extensions, words) in [
        ("basicConstraints=CA:false\n".to_owned(), "CA:TRUE"),
        ("subjectKeyIdentifier=hash\n".to_owned(), "CA:TRUE"),
        (format!("{usage}cRLSign\n"), "keyCertSign"),
        (format!("{CA}extendedKeyUsage=serverAuth\n"), "clientAuth"),
        (format!("{CA}certificatePolicies=2.23.140.1.2.1\n"), "public web"),
        (format!("{CA}nameConstraints=permitted;email:old.example\n"), "DNS names"),
        (format!("{CA}1.2.3.4=critical,DER:0500\n"), "critical extension"),
        (format!("{CA}policyConstraints=critical,requireExplicitPolicy:0\n"), "critical extension"),
    ] {
        let pki = Pki::new(P256, "/CN=CA", &extensions);
        let refusal = pki.refusal(pki.device_ca());
        assert!(refusal.contains(words), "{words} in {refusal}");
    }
    for name in ["/O=a/OU=b/OU=c/CN=CA", "/O=a/OU=b+CN=CA"] {
        let pki = Pki::new(P256, name, CA);
        assert!(pki.refusal(pki.device_ca()).contains("name"), "{name}");
    }
}

#[test]
fn a_ca_out_of_its_time_or_under_another_root_is_refused() {
    let pki = good();
    let at = |now: Timestamp| {
        let mut import = pki.import();
        import.init.now = now;
        pki.take(&import).unwrap_err().to_string()
    };
    assert!(at(now().plus_secs(11 * 365 * DAY)).contains("the CA ended at"));
    assert!(at(now().plus_secs(21 * 365 * DAY)).contains("the root ended at"));
    assert!(at(now().plus_secs(-DAY)).contains("is good only from"));

    let other = good();
    let ca = DeviceCa { root: Some(other.read("root.pem")), ..pki.device_ca() };
    assert!(pki.refusal(ca).contains("did not sign this CA"));
    assert!(pki.refusal(DeviceCa { root: None, ..pki.device_ca() }).contains("did not sign itself"));
    let chain = pki.read("ca.pem") + &pki.read("root.pem");
    assert!(pki.refusal(DeviceCa { certificate: chain, ..pki.device_ca() }).contains("not a chain"));
    assert!(pki.refusal(DeviceCa { certificate: "x".to_owned(), ..pki.device_ca() }).contains("no PEM certificate"));
    // The same key under another name is another CA.
    pki.sign_root("/CN=Renamed");
    assert!(pki.refusal(pki.device_ca()).contains("not the one that the CA names"));
}

#[test]
fn no_secret_shows() {
    let printed = format!("{:?}", good().import());
    assert!(!printed.contains("PRIVATE") && !printed.contains("himitsu"), "{printed}");
}

#[test]
fn a_cas_successor_takes_over_and_no_device_is_cut_off() {
    // From ours to the facility's own, whose CA is then renewed under another root, then under the same key.
    let house = house_at(now());
    let dir = house.dir.path().join("ca");
    let issue = || {
        let authority = CertAuthority::open(&dir, &passphrase()).unwrap();
        authority.issue_device(&crate::DeviceRequest { now: now(), ..nurse() }).unwrap().certificate
    };
    let mut devices = vec![issue()];
    let (first, second) = (good(), good());
    let replace = |pki: &Pki| replace_with_work(&dir, &passphrase(), &pki.device_ca(), now(), WORK);
    for (pki, former) in [(&first, 1), (&second, 2)] {
        assert_eq!(replace(pki).unwrap().former, former);
        assert!(matches!(replace(pki), Err(CertError::Import(_))), "twice");
        devices.push(issue());
    }
    second.sign("/O=Old Home/CN=Device CA 2", CA, "3650");
    assert_eq!(replace(&second).unwrap().former, 3);
    devices.push(issue());

    let authority = CertAuthority::open(&dir, &passphrase()).unwrap();
    let root = CertificateDer::from_pem_slice(second.read("root.pem").as_bytes()).unwrap();
    assert_eq!(authority.device_root_der(), &root);
    assert_eq!(authority.organisation(), "さくら会");
    let anchors: Vec<_> =
        authority.device_anchors(now()).map(|ca| webpki::anchor_from_trusted_cert(ca).unwrap()).collect();
    assert_eq!(anchors.len(), 4);
    for device in &devices {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now().secs()).unwrap()));
        let device = webpki::EndEntityCert::try_from(device).unwrap();
        let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, webpki::KeyUsage::client_auth());
        assert!(device.verify_for_usage(algorithms, &anchors, &[], at, usage, None, None).is_ok());
    }
    assert_eq!(authority.crls([], 1, now(), now().plus_secs(DAY)).unwrap().len(), 4);
    assert!(crate::est::cacerts(&authority).is_ok());
}
