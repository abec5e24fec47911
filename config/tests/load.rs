//! What becomes of a right configuration, and of a file that can't be read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what helps a test may panic as the test may")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use sekisho_config as config;

const SMALLEST: &str = "\
gateway: { domain: GW.Example., time_zone: Asia/Tokyo, listen: ['127.0.0.1:0'], data: /var/lib/sekisho }
networks: { office: { cidrs: [192.0.2.0/24] } }
apps: [{ id: care, upstream: 'https://care.example.com' }]
policy: [{ name: in the office, from: { networks: [office] }, allow: [view] }]
";

#[test]
fn what_is_not_written_has_its_documented_default() {
    let loaded = config::read(SMALLEST, Path::new("/etc/sekisho/sekisho.yaml"), None).unwrap();
    let gateway = &loaded.settings.gateway;
    assert_eq!(gateway.domain, "gw.example");
    assert_eq!(gateway.login_host, "login.gw.example");
    assert_eq!(gateway.metrics_listen.to_string(), "127.0.0.1:9464");
    assert_eq!(gateway.limits.handshake, Duration::from_secs(10));
    assert_eq!(gateway.limits.head, Duration::from_secs(15));
    assert_eq!(gateway.limits.idle, Duration::from_secs(60));
    assert_eq!(gateway.limits.body_stall, Duration::from_secs(30));
    assert!(gateway.workers >= 1);
    assert!(!gateway.tls.allow_tls12);
    assert_eq!(loaded.settings.log.level, config::LogLevel::Info);
    assert_eq!(loaded.settings.identity.idle, Duration::from_secs(900));
    assert_eq!(loaded.settings.identity.issuer, "gw.example");
    assert_eq!(loaded.settings.apps.len(), 1);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_port_people_see_is_the_written_one_else_the_one_bound() {
    let file = Path::new("sekisho.yaml");
    let port = |text: &str, bound| config::read(text, file, bound).unwrap().settings.gateway.public_port;
    assert_eq!(port(SMALLEST, None), 0);
    assert_eq!(port(SMALLEST, Some(40_123)), 40_123);
    assert_eq!(port(&SMALLEST.replace("127.0.0.1:0", "127.0.0.1:8443"), Some(40_123)), 8443);
    let behind = SMALLEST.replace("data:", "public_port: 443, data:");
    assert_eq!(port(&behind, Some(40_123)), 443);
    let settings = config::read(SMALLEST, file, Some(40_123)).unwrap().settings;
    assert!(settings.apps[0].saas.hosts.main().our_authority().ends_with(":40123"));
}

#[test]
fn without_a_rule_everything_is_denied_and_that_is_worth_a_warning() {
    let text = SMALLEST.split("policy:").next().unwrap();
    let loaded = config::read(text, Path::new("sekisho.yaml"), None).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].to_string().contains("everything is denied"));
}

#[test]
fn a_file_that_is_not_there_is_told_apart_from_one_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let report = config::load(&folder.path().join("gone.yaml")).unwrap_err();
    assert!(report.unreadable, "{report}");

    let latin = folder.path().join("latin.yaml");
    fs::write(&latin, b"gateway:\n  domain: \xe9\n").unwrap();
    let report = config::load(&latin).unwrap_err();
    assert!(!report.unreadable);
    assert!(report.to_string().contains("line 2"), "{report}");
}

#[test]
fn problems_come_as_data_too() {
    let report = config::read("gatway: {}\n", Path::new("sekisho.yaml"), None).unwrap_err();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["problems"][0]["file"], "sekisho.yaml");
    let problem = &json["problems"][0];
    assert_eq!(problem["path"], "gatway");
    assert_eq!(problem["value"], "gatway");
    assert_eq!(problem["suggestion"], "gateway");
    assert_eq!((&problem["line"], &problem["column"]), (&1.into(), &1.into()));
    assert_eq!(json["problems"].as_array().unwrap().len(), 1, "it is not missing as well");
}

#[test]
fn what_a_running_gate_cannot_take_over_is_named() {
    let settings = |text: &str| config::read(text, Path::new("sekisho.yaml"), None).unwrap().settings;
    let old = settings(SMALLEST);
    assert_eq!(old.needs_restart(&settings(&SMALLEST.replace("[view]", "[edit]"))), [] as [&str; 0]);
    let new = settings(&SMALLEST.replace("127.0.0.1:0", "127.0.0.1:8443").replace("/var/lib/", "/srv/"));
    assert_eq!(old.needs_restart(&new), ["gateway.listen", "gateway.data"]);
}

#[test]
fn the_passphrase_file_counts_from_the_configurations_folder() {
    let text = format!("{SMALLEST}ca: {{ passphrase_file: secrets/ca }}\n");
    let loaded = config::read(&text, Path::new("/nowhere/sekisho.yaml"), None).unwrap();
    assert_eq!(
        loaded.settings.ca.passphrase,
        cert_authority::PassphraseSource::File("/nowhere/secrets/ca".into()),
        "counted from the configuration's folder"
    );
    assert!(loaded.warnings[0].to_string().ends_with("is not there"));
}
