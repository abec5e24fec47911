//! Certificates and protocols of enrolment, with software that nobody here wrote: strongSwan (EST), certbot's library
//! (ACME), OpenSSL, Python's `cryptography`, Node.js, curl, pkilint, Chromium with a phone's screen, and WebKit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use demo::client::{Certificate, Mode};
use http::{HeaderMap, Method};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::browser::Chromium;
use crate::enrolment::IPHONE;
use crate::harness::{Gate, HOME, OUTSIDE, PASSWORD, eventually, fill_in, run, sign_in, venv};
use crate::webkit::screen;

fn python() -> PathBuf {
    venv("enrolment", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e/enrolment.txt"))
}

fn done(mut command: Command) -> Output {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; deploy/setup.sh test installs it"));
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn openssl(arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(arguments);
    String::from_utf8(done(command).stdout).unwrap()
}

fn certificate(chain: &Path, key: &Path) -> Certificate {
    Certificate {
        chain: CertificateDer::pem_file_iter(chain).unwrap().map(Result::unwrap).collect(),
        key: PrivateKeyDer::from_pem_file(key).unwrap(),
    }
}

impl Gate {
    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A program that takes this machine for every host of the gate. None: it takes root, or user namespaces.
    fn with_hosts(&self, program: &str) -> Option<Command> {
        let hosts = self.path("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost device.gw.localhost enroll.gw.localhost hidamari.gw.localhost\n")
            .unwrap();
        let command = |namespaces: &[&str], program: &str| {
            let mut command = Command::new("unshare");
            let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
            command.args(namespaces).args(["sh", "-c", script]).arg(&hosts).arg(program);
            command
        };
        let ways = [&["--mount"][..], &["--user", "--map-root-user", "--mount"]];
        let can = |way: &&&[&str]| command(way, "true").output().is_ok_and(|output| output.status.success());
        ways.iter().find(can).map(|way| command(way, program))
    }
}

#[test]
fn strongswan_enrols_and_renews_by_est() {
    run(async {
        let rules = "\n  - name: the robot\n    who: { machines: [rpa] }\n    allow: [view]\n";
        let gate = Gate::builder().policy(rules).start().await;
        if gate.with_hosts("pki").is_none() {
            eprintln!("skipped: strongSwan asks the system for names, and another /etc/hosts needs root");
            return;
        }
        // OpenSSL, which strongSwan reads certificates with, does not take ours for a root: it is constrained to our names.
        let own = rcgen::KeyPair::generate().unwrap();
        let host =
            rcgen::CertificateParams::new(vec!["device.gw.localhost".to_owned()]).unwrap().self_signed(&own).unwrap();
        std::fs::write(gate.path("device.pem"), host.pem()).unwrap();
        std::fs::write(gate.path("device.key"), own.serialize_pem()).unwrap();
        gate.rewrite(|text| {
            text.replace("  limits:", "  certificates: [ { certificate: device.pem, key: device.key } ]\n  limits:")
        });
        let reloaded = gate.cli(&["reload"]);
        assert!(reloaded.status.success(), "{}", String::from_utf8_lossy(&reloaded.stderr));
        let (key, csr) = (gate.text("rpa.key"), gate.text("rpa.csr"));
        openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key]);
        openssl(&["req", "-new", "-key", &key, "-subj", "/CN=whatever", "-outform", "DER", "-out", &csr]);
        let conf = gate.path("strongswan.conf");
        std::fs::write(&conf, "libtls { version_max = 1.3 }\npki { load_modular = no }\n").unwrap();
        let url = format!("https://device.gw.localhost:{}", gate.port);
        let root = gate.path("device.pem");
        let device_ca = gate.data().join("ca/device-ca.pem");
        let device_root = gate.data().join("ca/device-root.pem");
        let pki = |arguments: &[&str]| {
            let mut command = gate.with_hosts("pki").unwrap();
            command.env("STRONGSWAN_CONF", &conf).args(arguments);
            for ca in [&root, &device_root, &device_ca] {
                command.arg("--cacert").arg(ca);
            }
            command
        };
        let (_, link) = gate.invite(&["--machine", "rpa", "--unattended", "--approval", "never"]);
        let login = format!("est:{}", link.rsplit('/').next().unwrap());
        let first = done(pki(&["--est", "--url", &url, "--in", &csr, "--userpass", &login, "--outform", "pem"])).stdout;
        let chain = gate.path("rpa.pem");
        std::fs::write(&chain, &first).unwrap();
        let mut robot = gate.browser(OUTSIDE);
        robot.present(Some(certificate(&chain, Path::new(&key))));
        let open = async |robot: &mut demo::client::Browser| {
            robot
                .send(Method::GET, &gate.url("/echo"), Mode::Navigate, HeaderMap::new(), Bytes::new())
                .await
                .unwrap()
                .status
        };
        assert_eq!(open(&mut robot).await, 200);
        // The link is spent.
        assert!(!pki(&["--est", "--url", &url, "--in", &csr, "--userpass", &login]).output().unwrap().status.success());

        let (next, asked) = (gate.text("next.key"), gate.text("next.csr"));
        openssl(&["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", &next]);
        openssl(&["req", "-new", "-key", &next, "-subj", "/CN=whatever", "-outform", "DER", "-out", &asked]);
        let old = chain.to_str().unwrap();
        let renewed =
            done(pki(&["--est", "--url", &url, "--in", &asked, "--cert", old, "--key", &key, "--outform", "pem"]))
                .stdout;
        let chain = gate.path("next.pem");
        std::fs::write(&chain, &renewed).unwrap();
        robot.present(Some(certificate(&chain, Path::new(&next))));
        assert_eq!(open(&mut robot).await, 200);
        let devices = gate.json(&["device", "list"]);
        assert_eq!((devices.as_array().unwrap().len(), &devices[0]["machine"]), (1, &"rpa".into()));

        // What EST says of the authority is what lies in the folder.
        let estca = gate.text("estca");
        done(pki(&["--estca", "--url", &url, "--caout", &estca, "--outform", "pem", "--force"]));
    });
}

#[test]
fn certbots_library_enrols_by_acme() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (_, link) = gate.invite(&["--owner", "suzuki", "--kind", "byod"]);
        let mut phone = gate.browser(HOME);
        phone.call_itself(IPHONE);
        let form = sign_in(&mut phone, &format!("{link}?sign-in=1"), "suzuki", PASSWORD).await;
        let install = fill_in(&mut phone, &form, &[]).await;
        assert!(install.text().contains("sekisho-key.mobileconfig"), "{}", install.text());
        let url = format!("{link}/sekisho-key.mobileconfig");
        let profile = phone.send(Method::GET, &url, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(profile.headers["content-type"], "application/x-apple-aspen-config");
        // Signed by the host's own certificate, as iOS checks it.
        let (signed, plain) = (gate.text("profile"), gate.text("profile.xml"));
        std::fs::write(&signed, &profile.body).unwrap();
        let root = gate.data().join("ca/server-root.pem");
        let verify = ["cms", "-verify", "-inform", "DER", "-in", &signed, "-purpose", "any", "-out", &plain, "-CAfile"];
        openssl(&[&verify[..], &[root.to_str().unwrap()]].concat());
        let mut read = Command::new("python3");
        let script = "import plistlib,sys; p=plistlib.load(open(sys.argv[1],'rb'))['PayloadContent']; \
                      a=[x for x in p if x['PayloadType']=='com.apple.security.acme'][0]; \
                      print(a['DirectoryURL']); print(a['ClientIdentifier'])";
        read.args(["-c", script, &plain]);
        let told = String::from_utf8(done(read).stdout).unwrap();
        let (directory, identifier) = told.trim().split_once('\n').unwrap();

        let (key, chain) = (gate.text("acme.key"), gate.text("acme.pem"));
        let mut acme = Command::new(python());
        acme.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e/enrolment_acme.py"))
            .args([directory, identifier, &key, &chain])
            .env("REQUESTS_CA_BUNDLE", gate.data().join("ca/server-root.pem"));
        let said = String::from_utf8(done(acme).stdout).unwrap();
        assert!(said.contains("again: "), "an identifier is good once: {said}");
        gate.signed_in_outside("suzuki", certificate(Path::new(&chain), Path::new(&key)), true).await;
        let device = &gate.json(&["device", "list"])[0];
        assert_eq!((&device["kind"], &device["os"]), (&"byod".into(), &"ios".into()));
        // Its page goes on standing, the link is spent for everybody else.
        assert_eq!(phone.open(&link).await.unwrap().status, 200);
        assert_eq!(gate.browser(HOME).open(&link).await.unwrap().status, 410);
    });
}

#[test]
fn what_we_issue_is_read_and_accepted_by_others() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let p12 = gate.text("phone.p12");
        let issued = gate.json(&["device", "issue", "--owner", "suzuki", "--name", "鈴木のスマホ", "--out", &p12]);
        let password = issued["password"].as_str().unwrap();
        let (pem, ca, root) =
            (gate.text("phone.pem"), gate.data().join("ca/device-ca.pem"), gate.data().join("ca/device-root.pem"));
        let login = format!("pass:{password}");
        openssl(&["pkcs12", "-in", &p12, "-passin", &login, "-nokeys", "-out", &pem]);
        let (ca, root) = (ca.to_str().unwrap(), root.to_str().unwrap());
        let crl = gate.path("list.crl");
        let bytes = eventually("a list of revoked certificates", async || {
            std::fs::read(gate.data().join("ca/device-ca.crl")).ok()
        });
        std::fs::write(&crl, bytes.await).unwrap();
        let list = gate.text("list.pem");
        openssl(&["crl", "-inform", "DER", "-in", crl.to_str().unwrap(), "-out", &list]);
        openssl(&["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root, "-untrusted", ca, &pem]);
        let checked = ["verify", "-crl_check", "-CRLfile", &list, "-partial_chain", "-CAfile", ca, &pem];
        openssl(&checked);

        let script = "import sys; from cryptography.hazmat.primitives.serialization import pkcs12; \
                      k,c,m=pkcs12.load_key_and_certificates(open(sys.argv[1],'rb').read(), sys.argv[2].encode()); \
                      assert k.public_key()==c.public_key() and not m; print(c.subject.rfc4514_string())";
        let mut cryptography = Command::new(python());
        cryptography.args(["-c", script, &p12, password]);
        let read = String::from_utf8(done(cryptography).stdout).unwrap();
        assert!(read.contains("鈴木のスマホ"), "{read}");

        // Node.js presents it, over HTTP/1.1 and HTTP/2.
        let script = r#"
const [p12, password, root, port] = process.argv.slice(1);
const fs = require("fs");
const options = { pfx: fs.readFileSync(p12), passphrase: password, ca: fs.readFileSync(root), servername: "device.gw.localhost" };
require("https").get({ ...options, host: "127.0.0.1", port, path: "/", headers: { host: "device.gw.localhost" } }, (answer) => {
  let text = ""; answer.on("data", (piece) => text += piece);
  answer.on("end", () => {
    console.log("h1", answer.statusCode, text.includes("鈴木のスマホ"));
    const session = require("http2").connect("https://127.0.0.1:" + port, options);
    const stream = session.request({ ":path": "/", ":authority": "device.gw.localhost" });
    let body = ""; stream.on("response", (head) => console.log("h2", head[":status"]));
    stream.on("data", (piece) => body += piece);
    stream.on("end", () => { console.log(body.includes("鈴木のスマホ")); session.close(); });
  });
});
"#;
        let mut node = Command::new("node");
        let server_root = gate.data().join("ca/server-root.pem");
        node.args(["-e", script, &p12, password]).arg(&server_root).arg(gate.port.to_string());
        let said = String::from_utf8(done(node).stdout).unwrap();
        assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["h1", "200", "true", "h2", "200", "true"], "{said}");

        // A linter, without an error in what devices get.
        let folder = python().parent().unwrap().to_owned();
        let mut lint = Command::new(folder.join("lint_pkix_cert"));
        let bare = gate.text("bare.pem");
        openssl(&["x509", "-in", &pem, "-out", &bare]);
        lint.args(["lint", "-s", "ERROR", &bare]);
        done(lint);

        let id = issued["device"]["id"].as_str().unwrap();
        gate.json(&["device", "lost", id]);
        let newer = eventually("the next list", async || {
            let next = std::fs::read(gate.data().join("ca/device-ca.crl")).ok()?;
            (next != std::fs::read(&crl).unwrap()).then_some(next)
        });
        std::fs::write(&crl, newer.await).unwrap();
        openssl(&["crl", "-inform", "DER", "-in", crl.to_str().unwrap(), "-out", &list]);
        let refused = Command::new("openssl").args(checked).output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("revoked"), "{refused:?}");
    });
}

#[test]
fn a_signing_request_keeps_its_key() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (key, csr, out) = (gate.text("own.key"), gate.text("own.csr"), gate.text("own.pem"));
        openssl(&["genrsa", "-out", &key, "2048"]);
        openssl(&[
            "req",
            "-new",
            "-key",
            &key,
            "-subj",
            "/CN=root of all/O=Evil",
            "-addext",
            "basicConstraints=CA:TRUE",
            "-out",
            &csr,
        ]);
        let arguments = ["device", "issue", "--owner", "suzuki", "--name", "own", "--csr", &csr, "--out", &out];
        let id = gate.json(&arguments)["device"]["id"].as_str().unwrap().to_owned();
        let text = openssl(&["x509", "-in", &out, "-noout", "-text"]);
        assert!(!text.contains("Evil") && !text.contains("CA:TRUE"), "only the key is taken: {text}");
        let own = certificate(Path::new(&out), Path::new(&key));
        gate.signed_in_outside("suzuki", own, false).await;
        let next = gate.text("next.pem");
        gate.json(&["device", "renew", &id, "--csr", &csr, "--out", &next]);
        gate.signed_in_outside("suzuki", certificate(Path::new(&next), Path::new(&key)), false).await;

        let weak = gate.text("weak.csr");
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "rsa:1024",
            "-nodes",
            "-keyout",
            &gate.text("weak.key"),
            "-subj",
            "/CN=x",
            "-out",
            &weak,
        ]);
        let refused = gate.cli(&[
            "device",
            "issue",
            "--owner",
            "suzuki",
            "--name",
            "x",
            "--csr",
            &weak,
            "--out",
            &gate.text("x.pem"),
        ]);
        assert!(!refused.status.success() && !gate.path("x.pem").exists());
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("2,048"),
            "{}",
            String::from_utf8_lossy(&refused.stderr)
        );
    });
}

/// The systems whose steps are drawn, as their browsers name themselves.
const PHONES: [(&str, &str); 7] = [
    ("ios", IPHONE),
    (
        "ios-15",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 15_8 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Mobile/15E148 Safari/604.1",
    ),
    (
        "android",
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
    ),
    (
        "windows",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
    ),
    (
        "chromeos",
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    ),
    (
        "macos",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Safari/605.1.15",
    ),
    (
        "line",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari Line/14.16.0",
    ),
];

#[test]
fn chromium_with_a_phone_s_screen_is_led_through() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let chromium = Chromium::start(&gate, "ja", 390, 844).await;
        for (name, agent) in PHONES {
            let (_, link) = gate.invite(&["--owner", "suzuki"]);
            chromium.devtools("Network.clearBrowserCookies", serde_json::json!({})).await;
            chromium.call_itself(agent).await;
            chromium.client.goto(&link).await.unwrap();
            chromium.shot(&format!("enroll-{name}-1-invitation")).await;
            if name == "line" {
                assert!(chromium.text().await.contains("LINE"), "{}", chromium.text().await);
                continue;
            }
            chromium.press("a.button[href*='sign-in']").await;
            chromium.fill("login_id", "suzuki").await;
            chromium.fill("password", PASSWORD).await;
            chromium.press("form[action=''] button").await;
            chromium.find("input[name=name]").await;
            chromium.shot(&format!("enroll-{name}-2-confirm")).await;
            chromium.press("form button").await;
            chromium.find("ol.walk").await;
            chromium.shot_whole(&format!("enroll-{name}-3-install")).await;
            let text = chromium.text().await;
            assert!(text.contains("確認する"), "{text}");
            chromium.press("a.button[href*='device.gw.localhost']").await;
            chromium.shot(&format!("enroll-{name}-4-not-seen")).await;
            assert!(chromium.text().await.contains("証明書"), "{}", chromium.text().await);
        }

        // An operator's yes: the page goes on by itself. Then the certificate, as if the steps had been followed.
        let (_, link) = gate.invite(&["--owner", "suzuki", "--approval", "always"]);
        chromium.call_itself(PHONES[2].1).await;
        chromium.client.goto(&link).await.unwrap();
        chromium.press("a.button[href*='sign-in']").await;
        chromium.fill("login_id", "suzuki").await;
        chromium.fill("password", PASSWORD).await;
        chromium.press("form[action=''] button").await;
        chromium.find("input[name=name]").await;
        chromium.press("form button").await;
        let code = chromium.find("p.big b").await.text().await.unwrap();
        chromium.shot("enroll-waiting").await;
        // As it is noted down on the telephone.
        let noted = code.to_ascii_lowercase();
        let (start, end) = noted.split_at(3);
        gate.json(&["device", "approve", &format!("{start} {end}")]);
        let again = gate.cli(&["device", "approve", &code]);
        assert!(String::from_utf8_lossy(&again.stderr).contains("was approved already"));
        // The name is settled by now, and is not asked for again.
        chromium.find("form[action='']").await;
        assert!(chromium.text().await.contains("承認されました"));
        assert!(chromium.client.find(fantoccini::Locator::Css("input[name=name]")).await.is_err());
        chromium.shot("enroll-approved").await;
        chromium.press("form button").await;
        let password = chromium.find("code#password").await.text().await.unwrap();
        let path = chromium.url().await;
        // As its link would fetch it, in the same session.
        let cookies = chromium.client.get_all_cookies().await.unwrap();
        let own = cookies.iter().find(|cookie| cookie.name() == "__Host-sekisho").unwrap();
        let mut fetch = gate.browser(HOME);
        fetch.set_cookie("enroll.gw.localhost", &format!("__Host-sekisho={}; Path=/; Secure", own.value()));
        let url = format!("{path}/sekisho.p12");
        let p12 = fetch.send(Method::GET, &url, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(p12.status, 200);
        let p12_file = gate.path("chromium.p12");
        std::fs::write(&p12_file, &p12.body).unwrap();
        chromium.end().await;

        let Some(certified) = Chromium::start_with_certificate(&gate, &p12_file, &password, "ja", 390, 844).await
        else {
            eprintln!("skipped: Chromium takes its policy, by which it shows the certificate, from root alone");
            return;
        };
        certified.client.goto(&format!("https://device.gw.localhost:{}/", gate.port)).await.unwrap();
        certified.until_text("この端末は登録されました").await;
        certified.shot("enroll-seen").await;
        certified.end().await;
    });
}

/// The engine of iPhones and iPads, with the file that a phone gets: it shows the certificate where it is asked for one.
#[test]
fn webkit_shows_the_certificate() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (p12, lost) = (gate.text("webkit.p12"), gate.text("lost.p12"));
        let (mut screen, display) = screen();
        let open = |identity: &[&str]| {
            let mut command = Command::new("/usr/bin/python3");
            command
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e/webkit_certificate.py"))
                .arg(format!("https://device.gw.localhost:{}/", gate.port))
                .args(identity)
                .env("DISPLAY", &display)
                .env("HOME", gate.path("home"))
                .env("LC_ALL", "C.UTF-8")
                .env_remove("LANGUAGE")
                .env("LIBGL_ALWAYS_SOFTWARE", "1")
                .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1");
            String::from_utf8(done(command).stdout).unwrap()
        };
        let issue = |out: &str| {
            let issued = gate.json(&["device", "issue", "--owner", "suzuki", "--name", "訪問用", "--out", out]);
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            (text(&issued["device"]["id"]), text(&issued["password"]))
        };
        let (_, password) = issue(&p12);
        let (id, password_of_lost) = issue(&lost);
        gate.json(&["device", "lost", &id]);
        for (identity, told) in [
            (&[][..], "証明書が見つかりません"),
            (&[p12.as_str(), &password], "この端末は登録されました"),
            (&[lost.as_str(), &password_of_lost], "管理者が止めました"),
        ] {
            let page = open(identity);
            assert!(page.contains(told), "{page}");
            assert!(page.contains("asked for a certificate: device.gw.localhost"), "{page}");
        }
        let _ = (screen.kill(), screen.wait());
    });
}
