//! Certificates that a configuration names: read, matched with their keys, and spread over hosts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what helps a test may panic as the test may")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use sekisho_config::{self as config, Loaded, Report};

/// Writes `<name>.pem` and `<name>.key` for `hosts`.
fn certificate(folder: &Path, name: &str, hosts: &[&str]) {
    let key = KeyPair::generate().unwrap();
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    let file = folder.join(format!("{name}.key"));
    fs::write(&file, key.serialize_pem()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A configuration in `folder` whose gateway also says `gateway` and whose app also says `app`.
fn load(folder: &Path, gateway: &str, app: &str) -> Result<Loaded, Report> {
    let text = format!(
        "gateway: {{ domain: gw.example, time_zone: Asia/Tokyo, listen: ['127.0.0.1:0'], data: data{gateway} }}\n\
         apps: [{{ id: care, upstream: 'https://care.example.com'{app} }}]\n\
         policy: [{{ name: all, allow: [view] }}]\n"
    );
    let file = folder.join("sekisho.yaml");
    fs::write(&file, text).unwrap();
    config::load(&file)
}

#[test]
fn a_pair_for_all_hosts_is_read_from_the_configurations_folder() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "all", &["*.gw.example", "gw.example"]);
    let loaded = load(folder.path(), ", certificate: all.pem, key: all.key", "").unwrap();
    let [one] = &loaded.settings.gateway.certificates[..] else { panic!("{loaded:?}") };
    assert_eq!(one.hosts, ["*.gw.example", "gw.example"]);
    assert!(one.covers("care.gw.example") && one.covers("gw.example") && !one.covers("assets.care.gw.example"));
    assert_eq!(one.chain.len(), 1);
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.settings.gateway.data, folder.path().join("data"));
}

#[test]
fn a_key_of_another_certificate_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "one", &["care.gw.example"]);
    certificate(folder.path(), "other", &["login.gw.example"]);
    let report = load(folder.path(), "", ", certificate: one.pem, key: other.key").unwrap_err();
    assert_eq!(report.problems.len(), 1, "{report}");
    assert_eq!(report.problems[0].path, "apps[0].key");
    assert!(report.to_string().contains("is not the key of the certificate"));
}

#[test]
fn two_certificates_for_one_host_need_a_word_on_which_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "one", &["care.gw.example"]);
    certificate(folder.path(), "two", &["care.gw.example", "login.gw.example"]);
    let both = ", certificates: [{ certificate: one.pem, key: one.key }, { certificate: two.pem, key: two.key }]";
    let report = load(folder.path(), both, "").unwrap_err();
    assert_eq!(report.problems[0].path, "gateway.certificates[1].certificate");

    let chosen = both.replace("key: two.key", "key: two.key, hosts: [login.gw.example]");
    assert_eq!(load(folder.path(), &chosen, "").unwrap().warnings, []);

    let mistaken = both.replace("key: two.key", "key: two.key, hosts: [logon.gw.example]");
    let report = load(folder.path(), &mistaken, "").unwrap_err();
    assert_eq!(report.problems[0].path, "gateway.certificates[1].hosts[0]");
    assert_eq!(report.problems[0].suggestion.as_deref(), Some("login.gw.example"));
}

#[test]
fn a_host_that_was_forgotten_and_a_key_that_lies_open_are_worth_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "login", &["login.gw.example"]);
    fs::set_permissions(folder.path().join("login.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let loaded = load(folder.path(), ", certificate: login.pem, key: login.key", "").unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("every user of this machine"));
    assert!(warnings[1].contains("covers care.gw.example"));
}

#[test]
fn no_key_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "all", &["*.gw.example"]);
    let loaded = load(folder.path(), ", certificate: all.pem, key: all.key", "").unwrap();
    let shown = format!("{loaded:?}");
    assert!(!shown.contains("PrivateKey") && !shown.contains("PRIVATE"), "{shown}");
}
