//! Profiles as python's `plistlib` and the `openssl` command read them.

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
