//! The certificates and files as another implementation reads them: the `openssl` command, and rustls-webpki
//! for what the gate itself will check. Both must be satisfied, and both must refuse what is out of bounds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tempfile::TempDir;
use vocabulary::{PersonId, Timestamp};

use crate::init::{Work, init_with_work};
use crate::*;

/// 2026-11-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);
const DAY: i64 = 86_400;

struct House {
    dir: TempDir,
    authority: CertAuthority,
    report: InitReport,
}

fn passphrase() -> Passphrase {
    Passphrase::new("gateway passphrase")
}

fn request(dir: &Path) -> Init {
    Init {
        organisation: "さくら会".to_owned(),
        domain: "gw.sakura-kai.example".to_owned(),
        other_domains: Vec::new(),
        passphrase: passphrase(),
        root_passphrase: Passphrase::new("the roots' passphrase"),
        export_to: dir.join("roots.age"),
        now: NOW,
    }
}

fn make(init: &Init, dir: &Path) -> Result<InitReport> {
    init_with_work(dir, init, Work { root: 4, issuing: 4 })
}

fn house() -> House {
    house_at(NOW)
}

fn house_at(now: Timestamp) -> House {
    let dir = tempfile::tempdir().unwrap();
    let report = make(&Init { now, ..request(dir.path()) }, &dir.path().join("ca")).unwrap();
    let authority = CertAuthority::open(&dir.path().join("ca"), &passphrase()).unwrap();
    House { dir, authority, report }
}

fn nurse() -> DeviceRequest {
    DeviceRequest {
        owner: Some(PersonId::new("hanako").unwrap()),
        groups: Vec::new(),
        name: "花子のiPhone 📱".to_owned(),
        kind: DeviceKind::Byod,
        os: Some(Os::Ios),
        now: NOW,
        validity: DEVICE_VALIDITY,
        cipher: P12Cipher::TripleDes,
    }
}

impl House {
    fn ca(&self, name: &str) -> PathBuf {
        self.dir.path().join("ca").join(name)
    }

    fn write_pem(&self, name: &str, der: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, pem::encode(&pem::Pem::new("CERTIFICATE", der))).unwrap();
        path
    }

    /// `openssl verify` at `NOW`.
    fn verify(&self, purpose: &str, root: &str, ca: &str, certificate: &Path, extra: &[&str]) -> Output {
        Command::new("openssl")
            .args(["verify", "-x509_strict", "-attime", &NOW.secs().to_string(), "-purpose", purpose, "-CAfile"])
            .arg(self.ca(root))
            .arg("-untrusted")
            .arg(self.ca(ca))
            .args(extra)
            .arg(certificate)
            .output()
            .unwrap()
    }

    fn text(path: &Path) -> String {
        let args = ["x509", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus", "-in"];
        let output = Command::new("openssl").args(args).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn openssl_accepts_a_device_as_a_client_and_as_nothing_else() {
    let house = house();
    let pending = house.authority.issue_device(&nurse()).unwrap();
    let path = house.write_pem("device.pem", &pending.certificate);
    let output = house.verify("sslclient", "device-root.pem", "device-ca.pem", &path, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let output = house.verify("sslserver", "device-root.pem", "device-ca.pem", &path, &[]);
    assert!(!output.status.success(), "a device must not be a server");
    let output = house.verify("sslclient", "server-root.pem", "server-ca.pem", &path, &[]);
    assert!(!output.status.success(), "the families must not meet");

    let text = House::text(&path);
    for expected in
        ["CN=花子のiPhone 📱", "O=さくら会", "Digital Signature\n", "TLS Web Client Authentication\n", "CA:FALSE"]
    {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    for expected in
        ["Subject Key Identifier", "Authority Key Identifier", "Oct 31 23:55:00 2026", "Nov  1 00:00:00 2027"]
    {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(text.contains(pending.device.id.as_str()));
    assert!(!text.contains("hanako"), "whose it is stands in the inventory only");
}

#[test]
fn the_cas_are_constrained_as_their_profile_says() {
    let house = house();
    let device_ca = House::text(&house.ca("device-ca.pem"));
    let server_ca = House::text(&house.ca("server-ca.pem"));
    for (text, usage) in [(&device_ca, "TLS Web Client Authentication"), (&server_ca, "TLS Web Server Authentication")]
    {
        assert!(text.contains("CA:TRUE, pathlen:0"), "{text}");
        assert!(text.contains("Certificate Sign, CRL Sign\n"), "{text}");
        assert!(text.contains(usage), "{text}");
        assert!(text.contains("NIST CURVE: P-256"), "{text}");
    }
    assert!(!device_ca.contains("Name Constraints"));
    for text in [server_ca, House::text(&house.ca("server-root.pem"))] {
        for expected in [
            "X509v3 Name Constraints: critical",
            "DNS:gw.sakura-kai.example",
            "DNS:localhost",
            "IP:0.0.0.0/0.0.0.0",
            "IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
    for (ca, root) in [("device-ca.pem", "device-root.pem"), ("server-ca.pem", "server-root.pem")] {
        let output = house.verify("any", root, ca, &house.ca(ca), &[]);
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn a_device_certificate_passes_the_gates_own_verifier_with_the_device_ca_as_anchor() {
    let house = house();
    let pending = house.authority.issue_device(&nurse()).unwrap();
    let anchor = webpki::anchor_from_trusted_cert(house.authority.device_ca_der()).unwrap();
    let check = |at: Timestamp, usage| {
        let certificate = webpki::EndEntityCert::try_from(&pending.certificate).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.secs()).unwrap()));
        certificate
            .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, std::slice::from_ref(&anchor), &[], at, usage, None, None)
            .map(|_| ())
    };
    assert_eq!(check(NOW, webpki::KeyUsage::client_auth()), Ok(()));
    assert_eq!(check(NOW.plus_secs(-299), webpki::KeyUsage::client_auth()), Ok(()), "a phone's clock stands behind");
    assert!(check(NOW.plus_secs(366 * DAY), webpki::KeyUsage::client_auth()).is_err());
    assert!(check(NOW, webpki::KeyUsage::server_auth()).is_err());
}

#[test]
fn a_server_certificate_is_accepted_for_its_hosts_only() {
    let house = house();
    let hosts = ["records.gw.sakura-kai.example".to_owned(), "*.records.gw.sakura-kai.example".to_owned()];
    let server = house.authority.issue_server(&hosts, NOW, SERVER_VALIDITY).unwrap();
    let path = house.write_pem("server.pem", &server.chain_der[0]);
    for host in ["records.gw.sakura-kai.example", "assets.records.gw.sakura-kai.example"] {
        let output = house.verify("sslserver", "server-root.pem", "server-ca.pem", &path, &["-verify_hostname", host]);
        assert!(output.status.success(), "{host}: {}", said(&output));
    }
    let other = ["-verify_hostname", "kaipoke.gw.sakura-kai.example"];
    assert!(!house.verify("sslserver", "server-root.pem", "server-ca.pem", &path, &other).status.success());
    assert!(!house.verify("sslclient", "server-root.pem", "server-ca.pem", &path, &[]).status.success());

    assert_eq!(server.not_after, NOW.plus_secs(90 * DAY));
    assert!(server.renew_at() > NOW.plus_secs(59 * DAY) && server.renew_at() < NOW.plus_secs(61 * DAY));
    let anchors = [webpki::anchor_from_trusted_cert(house.authority.server_root_der()).unwrap()];
    let certificate = webpki::EndEntityCert::try_from(&server.chain_der[0]).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(NOW.secs()).unwrap()));
    let usage = webpki::KeyUsage::server_auth();
    let verified = certificate.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &server.chain_der[1..],
        at,
        usage,
        None,
        None,
    );
    assert!(verified.is_ok(), "{:?}", verified.map(|_| ()));
    let name = ServerName::try_from("records.gw.sakura-kai.example").unwrap();
    assert!(certificate.verify_is_valid_for_subject_name(&name).is_ok());
}

#[test]
fn a_server_certificate_out_of_bounds_is_neither_made_nor_accepted() {
    let house = house();
    let bank = ["bank.example".to_owned()];
    let refused = house.authority.issue_server(&bank, NOW, SERVER_VALIDITY);
    assert!(matches!(refused, Err(CertError::HostNotAllowed { .. })));

    // Signed all the same, as a thief of the key would: the constraints hold it back.
    let stolen = house.authority.sign_server(&bank, NOW, SERVER_VALIDITY).unwrap();
    let path = house.write_pem("bank.pem", &stolen.chain_der[0]);
    let output = house.verify("sslserver", "server-root.pem", "server-ca.pem", &path, &[]);
    assert!(said(&output).contains("permitted subtree violation"), "{}", said(&output));

    for address in ["127.0.0.1", "2001:db8::1"] {
        let key = profile::new_key().unwrap();
        let hosts = ["localhost".to_owned()];
        let mut params = profile::server("さくら会", &hosts, NOW, NOW.plus_secs(DAY)).unwrap();
        params.subject_alt_names.push(rcgen::SanType::IpAddress(address.parse().unwrap()));
        let certificate = params.signed_by(&key, &house.authority.servers.issuer).unwrap();
        let path = house.write_pem("address.pem", certificate.der());
        let output = house.verify("sslserver", "server-root.pem", "server-ca.pem", &path, &[]);
        assert!(said(&output).contains("excluded subtree violation"), "{address}: {}", said(&output));
    }
}

#[test]
fn openssl_opens_the_p12_with_its_password_and_finds_no_ca_in_it() {
    let house = house();
    for (cipher, listed) in [
        (P12Cipher::TripleDes, ["MAC: sha1", "pbeWithSHA1And3-KeyTripleDES-CBC"]),
        (P12Cipher::Aes256, ["MAC: sha256", "AES-256-CBC"]),
    ] {
        let pending = house.authority.issue_device(&DeviceRequest { cipher, ..nurse() }).unwrap();
        let path = house.dir.path().join("device.p12");
        fs::write(&path, &*pending.p12).unwrap();
        let open = |password: &str, options: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(["pkcs12", "-in"]).arg(&path).args(["-passin", &format!("pass:{password}")]).args(options);
            command.output().unwrap()
        };
        let info = said(&open(&pending.password, &["-info", "-noout"]));
        for expected in listed {
            assert!(info.contains(expected), "{expected} in {info}");
        }
        let output = open(&pending.password, &["-noenc"]);
        assert!(output.status.success(), "{}", said(&output));
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(&output.stdout).map(std::result::Result::unwrap).collect();
        assert_eq!(certificates, [pending.certificate], "the device's own and no CA's");
        let key = PrivateKeyDer::from_pem_slice(&output.stdout).unwrap();
        assert_eq!(key.secret_der(), pending.key.secret_der());
        assert!(!open("wrong-password", &["-noenc"]).status.success());
        assert!(pending.password.len() >= 20);
    }
}

#[test]
fn curl_reaches_a_server_of_ours_with_the_p12_and_not_without_it() {
    let house = house_at(today());
    let pending = house.authority.issue_device(&nurse_today()).unwrap();
    let p12 = house.dir.path().join("device.p12");
    fs::write(&p12, &*pending.p12).unwrap();
    let server = house.authority.issue_server(&["localhost".to_owned()], today(), SERVER_VALIDITY).unwrap();
    let key = pem::encode(&pem::Pem::new("PRIVATE KEY", server.key_der.secret_der()));
    fs::write(house.dir.path().join("server.key"), key).unwrap();
    let listener = Listener::start(&house, &house.write_pem("server.pem", &server.chain_der[0]));
    let fetch = |certificate: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20", "--output", "/dev/null", "--noproxy", "*"]);
        curl.arg("--cacert").arg(house.ca("server-root.pem")).args(certificate);
        curl.arg(format!("https://localhost:{}/", listener.port)).output().unwrap()
    };
    let with = fetch(&["--cert-type", "P12", "--cert", &format!("{}:{}", p12.display(), *pending.password)]);
    assert!(with.status.success(), "{}", said(&with));
    assert!(!fetch(&[]).status.success(), "the server asks for a certificate");
}

/// curl and `s_server` go by the machine's clock.
fn today() -> Timestamp {
    use vocabulary::{Clock, SystemClock};
    SystemClock.now()
}

fn nurse_today() -> DeviceRequest {
    DeviceRequest { now: today(), ..nurse() }
}

/// `openssl s_server` on a port of its own choice, trusting the device CA only.
struct Listener {
    process: std::process::Child,
    port: u16,
}

impl Listener {
    fn start(house: &House, certificate: &Path) -> Self {
        use std::io::{BufRead, BufReader};
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-Verify", "1", "-verify_return_error"])
            .args(["-partial_chain", "-tls1_3", "-cert"])
            .arg(certificate)
            .arg("-key")
            .arg(house.dir.path().join("server.key"))
            .arg("-cert_chain")
            .arg(house.ca("server-ca.pem"))
            .arg("-CAfile")
            .arg(house.ca("device-ca.pem"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let port = loop {
            said.clear();
            assert_ne!(lines.read_line(&mut said).unwrap(), 0, "s_server ended");
            if let Some(address) = said.trim().strip_prefix("ACCEPT ") {
                break address.rsplit(':').next().unwrap().parse().unwrap();
            }
        };
        // Read on, so that it never blocks on a full pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { process, port }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_exported_roots_open_with_their_own_passphrase_and_stay_off_the_gateway() {
    let house = house();
    let exported = house.dir.path().join("roots.age");
    let sealed = fs::read(&exported).unwrap();
    assert!(passphrase::unseal(&sealed, &passphrase(), &exported).is_err());
    let opened = passphrase::unseal(&sealed, &Passphrase::new("the roots' passphrase"), &exported).unwrap();
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&opened).map(std::result::Result::unwrap).collect();
    assert_eq!(roots, [house.authority.device_root_der().clone(), house.authority.server_root_der().clone()]);
    let keys: Vec<_> = rustls_pki_types::PrivatePkcs8KeyDer::pem_slice_iter(&opened).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(house.report.root_fingerprint, Fingerprint::of(&roots[0]));

    for entry in fs::read_dir(house.dir.path().join("ca")).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains("PRIVATE KEY"), "no key in the clear");
    }
    let keys = fs::read(house.ca("ca-keys.age")).unwrap();
    let keys = passphrase::unseal(&keys, &passphrase(), Path::new("ca-keys.age")).unwrap();
    assert_eq!(rustls_pki_types::PrivatePkcs8KeyDer::pem_slice_iter(&keys).count(), 2, "the CAs' keys, not the roots'");
}

#[test]
fn files_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let house = house();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&house.dir.path().join("ca")), 0o700);
    assert_eq!(mode(&house.ca("ca-keys.age")), 0o600);
    assert_eq!(mode(&house.dir.path().join("roots.age")), 0o600);
}

#[test]
fn a_second_init_is_refused_and_changes_nothing() {
    let house = house();
    let before = fs::read(house.ca("ca-keys.age")).unwrap();
    let mut again = request(house.dir.path());
    again.export_to = house.dir.path().join("again.age");
    let refused = make(&again, &house.dir.path().join("ca"));
    assert!(matches!(refused, Err(CertError::Exists { .. })));
    assert_eq!(fs::read(house.ca("ca-keys.age")).unwrap(), before);
    assert!(!again.export_to.exists());
}

#[test]
fn a_failed_init_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("ca");
    let mut init = request(dir.path());
    fs::write(&init.export_to, "somebody's file").unwrap();
    assert!(matches!(make(&init, &target), Err(CertError::Io { .. })));
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["roots.age"]);
    assert_eq!(fs::read_to_string(&init.export_to).unwrap(), "somebody's file");

    init.export_to = target.join("roots.age");
    assert!(matches!(make(&init, &target), Err(CertError::ExportInside { .. })));
}

#[test]
fn what_is_not_acceptable_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let good = request(dir.path());
    let with = |change: &dyn Fn(&mut Init)| {
        let mut init = good.clone();
        change(&mut init);
        make(&init, &dir.path().join("ca")).map(|_| ()).unwrap_err()
    };
    assert!(matches!(with(&|i| i.passphrase = Passphrase::new("short")), CertError::WeakPassphrase { .. }));
    assert!(matches!(with(&|i| i.root_passphrase = passphrase()), CertError::SamePassphrase));
    for domain in ["jp", "GW.example", "10.0.0.1", "*.gw.example", ""] {
        let error = with(&|i| i.domain = domain.to_owned());
        assert!(matches!(error, CertError::Invalid { field: "the domain", .. }), "{domain}");
    }
    assert!(matches!(with(&|i| i.organisation = "あ".repeat(65)), CertError::Invalid { .. }));
    assert!(!dir.path().join("ca").exists());
}

#[test]
fn files_that_do_not_belong_together_do_not_open() {
    let (house, other) = (house(), house());
    let dir = house.dir.path().join("ca");
    let wrong = CertAuthority::open(&dir, &Passphrase::new("not the passphrase"));
    assert!(matches!(wrong, Err(CertError::Decrypt { .. })));
    assert!(matches!(CertAuthority::open(other.dir.path(), &passphrase()), Err(CertError::Missing { .. })));

    for swapped in ["device-ca.pem", "device-root.pem", "server-ca.pem", "server-root.pem", "ca-keys.age"] {
        let (path, original) = (house.ca(swapped), fs::read(house.ca(swapped)).unwrap());
        fs::copy(other.ca(swapped), &path).unwrap();
        let opened = CertAuthority::open(&dir, &passphrase());
        assert!(matches!(opened, Err(CertError::Damaged { .. })), "{swapped}");
        fs::write(&path, original).unwrap();
    }
    assert!(CertAuthority::open(&dir, &passphrase()).is_ok());
}

#[test]
fn a_device_request_must_make_sense() {
    let house = house();
    let issue = |change: &dyn Fn(&mut DeviceRequest)| {
        let mut request = nurse();
        change(&mut request);
        house.authority.issue_device(&request).map(|pending| pending.device)
    };
    assert!(issue(&|r| r.owner = None).is_err(), "lent or own, and nobody's");
    assert!(issue(&|r| r.kind = DeviceKind::Shared).is_err(), "shared, and somebody's");
    assert!(issue(&|r| r.name = "a\nb".to_owned()).is_err());
    assert!(issue(&|r| r.validity = DEVICE_VALIDITY_MAX + Duration::from_secs(1)).is_err());
    let shared = issue(&|r| (r.kind, r.owner) = (DeviceKind::Shared, None)).unwrap();
    assert_eq!(shared.owner, None);

    // The CA ends ten years on: a certificate never outlives it, and after that none is made.
    let last = house.authority.device_ca_not_after();
    let device = issue(&|r| r.now = last.plus_secs(-DAY)).unwrap();
    assert_eq!(device.not_after, last);
    assert!(matches!(issue(&|r| r.now = last), Err(CertError::CaExpired { .. })));
}

#[test]
fn what_is_read_from_a_certificate_is_what_was_put_in() {
    let house = house();
    let pending = house.authority.issue_device(&nurse()).unwrap();
    let read = parse_client_certificate(&pending.certificate).unwrap();
    assert_eq!(read.serial, pending.device.serial);
    assert_eq!((read.not_before, read.not_after), (pending.device.not_before, pending.device.not_after));
    assert_eq!(read.name, "花子のiPhone 📱");
    assert!(!read.is_expired(NOW) && read.is_expired(NOW.plus_secs(366 * DAY)));
    let mut longer = pending.certificate.to_vec();
    longer.push(0);
    assert!(parse_client_certificate(&longer).is_err(), "bytes behind it");
}

#[test]
fn no_secret_shows_in_a_debug_print() {
    let house = house();
    let pending = house.authority.issue_device(&nurse()).unwrap();
    let server = house.authority.issue_server(&["localhost".to_owned()], NOW, SERVER_VALIDITY).unwrap();
    let printed = format!("{pending:?} {server:?} {:?} {:?}", house.authority, request(house.dir.path()));
    assert!(!printed.contains(pending.password.as_str()), "{printed}");
    assert!(!printed.contains("gateway passphrase") && !printed.contains("the roots' passphrase"), "{printed}");
    assert!(!printed.contains("p12") && !printed.contains("key"), "{printed}");
}
