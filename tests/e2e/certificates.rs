//! Client certificates that no authority should have signed, or that nobody should be able to use; server names that
//! don't fit the hosts asked for. Real handshakes, and the gate goes on serving everybody else.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use demo::client::{Certificate, Setup};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::harness::{Gate, HOME, OUTSIDE, Wire, run};
use crate::impostor::two_apps;

const APP: &str = "hidamari.gw.localhost";

/// What became of who presented a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Met {
    /// No HTTP was spoken.
    Nobody,
    Answer(u16),
}

impl Met {
    /// Whether the device was taken for one of ours: outside, only such a one is led to the sign-in page.
    fn is_let_in(&self) -> bool {
        matches!(self, Self::Answer(200..=399 | 401))
    }
}

/// Presents a chain as it is, whether or not it makes sense and the key belongs to it.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

async fn present(gate: &Gate, chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> Met {
    let mut roots = RootCertStore::empty();
    for root in &gate.roots {
        roots.add(root.clone()).unwrap();
    }
    let key = rustls::crypto::ring::sign::any_supported_type(key).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Shows(Arc::new(CertifiedKey::new(chain, key)))));
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((OUTSIDE, 0).into()).unwrap();
    let tcp = socket.connect(([127, 0, 0, 1], gate.port).into()).await.unwrap();
    let name = ServerName::try_from(APP).unwrap();
    let Ok(mut stream) = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await else {
        return Met::Nobody;
    };
    let request =
        format!("GET / HTTP/1.1\r\nHost: {APP}:{}\r\nAccept: text/html\r\nConnection: close\r\n\r\n", gate.port);
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    status(&String::from_utf8_lossy(&answer)).map_or(Met::Nobody, Met::Answer)
}

fn status(answer: &str) -> Option<u16> {
    answer.lines().find_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

/// As our authority makes them, but for what the case changes.
fn usual() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, "さくら会");
    params.distinguished_name.push(DnType::CommonName, "訪問用");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(vec![0x5e; 16].into());
    params
}

/// The content octets of a certificate's serial number.
fn serial_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    X509Certificate::from_der(certificate).unwrap().1.raw_serial().to_vec()
}

struct Case {
    name: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// None: it is enough that nobody is let in.
    expected: Option<Met>,
}

struct Cases {
    all: Vec<Case>,
    key: KeyPair,
}

impl Cases {
    fn add(
        &mut self,
        name: &str,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        expected: Option<Met>,
    ) {
        self.all.push(Case { name: name.to_owned(), chain, key, expected });
    }

    /// A leaf of this issuer, with a key of its own, alone.
    fn leaf(
        &mut self,
        name: &str,
        issuer: &Issuer<'_, KeyPair>,
        expected: Option<Met>,
        change: impl FnOnce(&mut CertificateParams),
    ) {
        let mut params = usual();
        change(&mut params);
        let certificate = params.signed_by(&self.key, issuer).unwrap().der().clone();
        let key = der(&self.key);
        self.add(name, vec![certificate], key, expected);
    }
}

fn extension(oid: &[u64], content: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(oid, content.to_vec())
}

/// Extensions that mean nothing to anybody.
fn extensions(count: u64) -> Vec<CustomExtension> {
    (0..count).map(|n| extension(&[1, 3, 6, 1, 4, 1, 99_999, n], b"\x05\x00")).collect()
}

/// Promise 7, and 3: the device CA's signature and the inventory's entry are needed both, whatever is presented.
#[test]
fn promise_7_no_certificate_but_an_enrolled_one_is_a_device() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        gate.add_staff("sato", &["staff"]);
        let (_, phone) = gate.issue_device("suzuki");
        let (id, lost) = gate.issue_device("suzuki");
        assert!(gate.cli(&["device", "revoke", &id]).status.success());
        let Certificate { chain: phone, key: phone_key } = phone;
        let phone = phone[0].clone();
        let ca = gate.device_ca();
        let authority = gate.authority();

        // An authority of a stranger, named as ours is.
        let foreign_key = KeyPair::generate().unwrap();
        let foreign = Issuer::from_ca_cert_der(authority.device_ca_der(), foreign_key).unwrap();
        // The person's own phone as an authority.
        let phone_pair = KeyPair::try_from(phone_key.secret_der()).unwrap();
        let by_phone = Issuer::from_ca_cert_der(&phone, phone_pair).unwrap();

        // The authority itself is older: it is backdated by five minutes.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let a_minute_ago = date_time_ymd(1970, 1, 1) + now - std::time::Duration::from_secs(60);
        let refused = || Some(Met::Nobody);
        let unknown = || Some(Met::Answer(403));
        let mut cases = Cases { all: Vec::new(), key: KeyPair::generate().unwrap() };
        cases.leaf("another authority of the same name", &foreign, refused(), |_| {});
        cases.leaf("the same with a known serial", &foreign, refused(), |p| {
            p.serial_number = Some(serial_of(&phone).into());
        });
        cases.leaf("the same, expired", &foreign, refused(), |p| p.not_after = date_time_ymd(2024, 1, 1));
        cases.leaf("the same, not yet valid", &foreign, refused(), |p| p.not_before = date_time_ymd(2080, 1, 1));
        let expired_oddly = |p: &mut CertificateParams| {
            p.not_after = date_time_ymd(2024, 1, 1);
            p.custom_extensions = extensions(600);
            p.custom_extensions.push(extension(&[2, 5, 29, 17], b"\x30\x84\xff\xff\xff\xff\x82"));
        };
        cases.leaf("expired, of a stranger, with a garbled SAN", &foreign, refused(), expired_oddly);
        cases.leaf("older than time", &foreign, refused(), |p| {
            p.not_before = date_time_ymd(1950, 1, 1);
            p.not_after = date_time_ymd(1951, 1, 1);
        });
        cases.leaf("signed by the person's own phone", &by_phone, refused(), |_| {});

        // By our own device CA: what its profile never makes.
        cases.leaf("not in the inventory", &ca, unknown(), |_| {});
        cases.leaf("for servers only", &ca, refused(), |p| {
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        cases.leaf("for anything", &ca, None, |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
        cases.leaf("for nothing in particular", &ca, unknown(), |p| p.extended_key_usages.clear());
        cases.leaf("not yet valid", &ca, refused(), |p| p.not_before = date_time_ymd(2080, 1, 1));
        cases.leaf("expired and unknown", &ca, unknown(), |p| p.not_after = a_minute_ago);
        cases.leaf("older than the authority", &ca, unknown(), |p| p.not_after = date_time_ymd(2024, 1, 1));
        cases.leaf("ends before it begins", &ca, None, |p| {
            p.not_before = date_time_ymd(2024, 1, 1);
            p.not_after = date_time_ymd(2023, 1, 1);
        });
        cases.leaf("itself an authority", &ca, refused(), |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
        cases.leaf("a known serial under another key", &ca, unknown(), |p| {
            p.serial_number = Some(serial_of(&phone).into());
        });
        cases.leaf("the same, expired", &ca, unknown(), |p| {
            p.serial_number = Some(serial_of(&phone).into());
            p.not_after = a_minute_ago;
        });
        cases.leaf("a serial of 20 octets", &ca, refused(), |p| p.serial_number = Some(vec![0x7f; 20].into()));
        cases.leaf("the serial zero", &ca, refused(), |p| p.serial_number = Some(vec![0].into()));
        cases.leaf("1,500 extensions", &ca, None, |p| p.custom_extensions = extensions(1_500));
        cases.leaf("10,000 extensions", &ca, None, |p| p.custom_extensions = extensions(10_000));
        cases.leaf("15 KiB of one extension", &ca, None, |p| {
            p.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 99_999, 1], &vec![0x30; 15 << 10])];
        });
        cases.leaf("80 KiB of one extension", &ca, None, |p| {
            p.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 99_999, 1], &vec![0x30; 80 << 10])];
        });
        for (what, oid) in
            [("SAN", 17), ("basic constraints", 19), ("name constraints", 30), ("usage", 37), ("odd", 99)]
        {
            for (nth, content) in
                [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\xff\xff\xff", &[0x30, 0x80].repeat(200)]
                    .into_iter()
                    .enumerate()
            {
                cases.leaf(&format!("garbled {what} {nth}"), &ca, None, |p| {
                    p.is_ca = IsCa::NoCa;
                    p.custom_extensions = vec![extension(&[2, 5, 29, oid], content)];
                });
            }
        }

        // Chains. A leaf is no authority.
        let key = || der(&cases_key());
        let leaf_key = cases_key();
        let mut between = usual();
        between.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        between.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let mut leaf_named = usual();
        leaf_named.is_ca = IsCa::NoCa;
        let middle_key = KeyPair::generate().unwrap();
        for (name, params, issuer, expected) in [
            // webpki asks no path length of its anchors; that the inventory knows nothing of such a leaf is what counts.
            ("below an authority below ours", &between, &ca, unknown()),
            ("below one without basic constraints", &leaf_named, &ca, refused()),
            ("below a forged one that the phone signed", &between, &by_phone, refused()),
            ("below one of a stranger", &between, &foreign, refused()),
        ] {
            let middle = params.signed_by(&middle_key, issuer).unwrap().der().clone();
            let issuer = Issuer::from_ca_cert_der(&middle, &middle_key).unwrap();
            let leaf = usual().signed_by(&leaf_key, &issuer).unwrap().der().clone();
            let chain = vec![leaf, middle, phone.clone(), authority.device_ca_der().clone()];
            cases.add(name, chain, key(), expected);
        }
        let mut long = vec![phone.clone()];
        for number in 0..100_u64 {
            let mut params = between.clone();
            params.distinguished_name.push(DnType::CommonName, format!("{number}"));
            long.push(params.signed_by(&middle_key, &foreign).unwrap().der().clone());
        }
        cases.add("the phone's, with a hundred behind it", long.clone(), phone_key.clone_key(), None);
        long[0] = usual()
            .signed_by(&leaf_key, &Issuer::from_ca_cert_der(&long[1], &middle_key).unwrap())
            .unwrap()
            .der()
            .clone();
        cases.add("a stranger's, with a hundred behind it", long, key(), refused());
        cases.add("the phone's under another key", vec![phone.clone()], key(), refused());
        cases.add("the device CA itself", vec![authority.device_ca_der().clone()], key(), refused());
        let own = usual().self_signed(&leaf_key).unwrap().der().clone();
        cases.add("self-signed", vec![own], key(), refused());
        let Certificate { chain: lost, key: lost_key } = lost;
        cases.add("revoked", lost, lost_key, unknown());

        // Bytes that are no certificate, and the phone's with a bit turned over.
        for (name, bytes) in [("one byte", vec![0x30]), ("zeros", vec![0; 300]), ("nested", [0x30, 0x80].repeat(4_000))]
        {
            cases.add(name, vec![bytes.into()], key(), refused());
        }
        cases.add(
            "half of the phone's",
            vec![phone[..phone.len() / 2].to_vec().into()],
            phone_key.clone_key(),
            refused(),
        );
        cases.add("the phone's and more", vec![[&phone[..], b"x"].concat().into()], phone_key.clone_key(), refused());
        for place in (0..phone.len()).step_by(11) {
            let mut turned = phone.to_vec();
            turned[place] ^= 1 << (place % 8);
            cases.add(&format!("turned at {place}"), vec![turned.into()], phone_key.clone_key(), refused());
        }

        // What must pass, so that it is known that the others could.
        for chain in [vec![phone.clone()], vec![phone.clone(), authority.device_ca_der().clone()]] {
            let met = present(&gate, chain, &phone_key).await;
            assert!(met.is_let_in(), "the phone was not let in: {met:?}");
        }
        let mut wrong = Vec::new();
        for Case { name, chain, key, expected } in cases.all {
            let with_phone = name.starts_with("the phone's, with");
            let met = present(&gate, chain, &key).await;
            println!("{name:<44} {met:?}");
            if expected.as_ref().is_some_and(|expected| *expected != met) || (met.is_let_in() && !with_phone) {
                wrong.push(format!("{name}: {met:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        for kind in ["rsa:1024", "rsa:2048", "ec:secp521r1", "ec:secp256k1", "ec:brainpoolP256r1", "ed25519"] {
            let answer = with_openssl(&gate, kind);
            println!("{kind:<44} {answer:?}");
            // OpenSSL sends no certificate at all where the gate verifies no signature of its kind.
            assert!(matches!(answer, None | Some(403)), "{kind}: {answer:?}");
        }
        // Whatever came: the gate serves on, and nothing in it fell over.
        gate.signed_in("sato").await;
        assert!(present(&gate, vec![phone], &phone_key).await.is_let_in());
        assert!(!gate.log().contains("panicked"), "{}", gate.log());
    });
}

/// One key for all leaves of a chain's end: making keys is slow.
fn cases_key() -> KeyPair {
    static KEY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let made = KEY.get_or_init(|| KeyPair::generate().unwrap().serialize_der());
    KeyPair::try_from(made.as_slice()).unwrap()
}

/// A self-signed certificate with a key that ring would not make, presented by OpenSSL; the status of the answer.
fn with_openssl(gate: &Gate, kind: &str) -> Option<u16> {
    let file = |name: &str| gate.path(&format!("{}.{name}", kind.replace(':', "-"))).display().to_string();
    let (certificate, key) = (file("pem"), file("key"));
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/O=さくら会/CN=訪問用", "-addext"]);
    make.args(["extendedKeyUsage=clientAuth", "-keyout", &key, "-out", &certificate]);
    match kind.split_once(':') {
        Some(("ec", curve)) => make.args(["-newkey", "ec", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")]),
        _ => make.args(["-newkey", kind]),
    };
    let made = make.output().unwrap();
    assert!(made.status.success(), "{kind}: {}", String::from_utf8_lossy(&made.stderr));
    let request = format!("GET / HTTP/1.1\r\nHost: {APP}:{}\r\nConnection: close\r\n\r\n", gate.port);
    openssl(gate, &["-bind", "127.0.0.2:0", "-servername", APP, "-cert", &certificate, "-key", &key], &request)
}

/// What the gate answers to OpenSSL's client.
fn openssl(gate: &Gate, arguments: &[&str], request: &str) -> Option<u16> {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{}", gate.port)])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ = client.stdin.as_mut().unwrap().write_all(request.as_bytes());
    let output = client.wait_with_output().unwrap();
    status(&String::from_utf8_lossy(&output.stdout))
}

/// Promise 5: a Host that belongs to another app than the server name gets 421, in whatever way either is written.
#[test]
fn promise_5_a_server_name_opens_its_own_app_only_however_it_is_written() {
    run(async {
        let gate = two_apps().await;
        let ask = |name: Option<&str>, host: &str| {
            let request = format!("GET /echo HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let arguments = name.map_or(vec!["-noservername"], |name| vec!["-servername", name]);
            openssl(&gate, &arguments, &request)
        };
        let own = format!("{APP}:{}", gate.port);
        let login = format!("login.gw.localhost:{}", gate.port);
        // 401: the app's own answer to who is not signed in. 421: another app's. 404: nobody's. 400: ambiguous.
        for (name, host, expected) in [
            (Some(APP), own.as_str(), &[401][..]),
            (Some(APP), APP, &[401]),
            (Some("HIDAMARI.GW.LOCALHOST"), &own, &[401]),
            (Some("assets.hidamari.gw.localhost"), &own, &[401]),
            (Some(APP), "HIDAMARI.gw.LOCALHOST", &[401]),
            (Some(APP), "hidamari.gw.localhost:1", &[401]),
            (None, &own, &[421]),
            (None, &login, &[421]),
            (None, "nobody.gw.localhost", &[404]),
            (Some("nobody.gw.localhost"), &own, &[421]),
            (Some("gw.localhost"), &own, &[421]),
            (Some("other.gw.localhost"), &own, &[421]),
            (Some("login.gw.localhost"), &own, &[421]),
            (Some(APP), &login, &[421]),
            (Some(APP), "other.gw.localhost", &[421]),
            (Some("x.hidamari.gw.localhost"), &own, &[421]),
            (Some("hidamari.gw.localhost."), "other.gw.localhost", &[421]),
            (Some(APP), "hidamari.gw.localhost.", &[404]),
            (Some(APP), "127.0.0.1", &[404]),
            (Some(APP), "[::1]", &[404]),
            (Some(APP), "hidamari.gw.localhost:x", &[400]),
            (Some(APP), "hidamari.gw.localhost@login.gw.localhost", &[400, 404]),
            (Some(APP), "hidamari.gw.localhost, login.gw.localhost", &[400, 404]),
            (Some(APP), "", &[400, 404]),
        ] {
            let met = ask(name, host);
            println!("{name:?} {host:<44} {met:?}");
            assert!(met.is_some_and(|status| expected.contains(&status)), "{name:?} {host}: {met:?}");
        }
        // An address or a pattern is no server name (RFC 6066, 3), and one with a dot behind it is the name itself, to who
        // drops the dot: let the handshake fail, or nothing follow but a refusal or the app's own answer.
        for (name, allowed) in [("127.0.0.1", 421), ("*.gw.localhost", 421), ("hidamari.gw.localhost.", 401)] {
            let met = ask(Some(name), &own);
            println!("{name} {met:?}");
            assert!(met.is_none_or(|status| status == 421 || status == allowed), "{name}: {met:?}");
        }

        // Several hosts on one connection: each is judged by its own name, and none spoils the others.
        let mut wire = Wire::open(Setup { http2: true, ..gate.setup(HOME) }, APP).await;
        for _ in 0..3 {
            for (host, expected) in [
                (APP, 401),
                ("assets.hidamari.gw.localhost", 401),
                ("other.gw.localhost", 421),
                ("login.gw.localhost", 421),
                ("nobody.gw.localhost", 404),
                ("HIDAMARI.gw.localhost", 401),
            ] {
                let got = wire.get(&format!("{host}:{}", gate.port), "/echo", &[]).await;
                assert_eq!(got.status, expected, "{host}");
            }
        }
        assert_eq!(gate.saas.handle.seen_total(), 0);
    });
}
