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

const RECIPE: &str = "\
recipe: care
title: { ja: ケア, en: Care }
confidence: { level: guessed, as_of: 2026-11, known: a, unknown: b, terms: c }
upstream: https://{account}.care.example
hosts: [{ name: assets, upstream: 'https://assets.care.example', static: true }]
logins: [{ path: /login, id: [{ form: user }], account: { form: office }, password: { form: pw }, ok: [{ status: [302] }] }]
";

/// A configuration of one app beside a recipe of its own.
fn with_recipe(app: &str, recipe: &str) -> Result<config::Loaded, config::Report> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("recipes")).unwrap();
    fs::write(folder.path().join("recipes/care.yaml"), recipe).unwrap();
    let text = SMALLEST.replace("{ id: care, upstream: 'https://care.example.com' }", app);
    let text = format!("{text}recipes: [recipes/care.yaml]\n");
    config::read(&text, &folder.path().join("sekisho.yaml"), Some(443))
}

#[test]
fn an_app_gets_its_addresses_from_its_recipe_and_its_account() {
    let loaded = with_recipe("{ id: care, recipe: care, account: sakura-kai }", RECIPE).unwrap();
    assert_eq!(loaded.warnings, []);
    let app = &loaded.settings.apps[0].saas;
    let hosts: Vec<_> = app.hosts.iter().map(|(_, host)| (host.to_string(), host.is_static())).collect();
    assert_eq!(
        hosts,
        [
            ("care.gw.example → sakura-kai.care.example".to_owned(), false),
            ("assets.care.gw.example → assets.care.example".to_owned(), true)
        ]
    );
    assert_eq!((app.recipe.as_ref().unwrap().id(), app.account.as_deref()), ("care", Some("sakura-kai")));
}

#[test]
fn what_the_app_says_itself_goes_before_its_recipe() {
    let app = "{ id: care, recipe: care, upstream: 'https://own.example', hosts: [{ name: x, upstream: 'https://x.example' }] }";
    let loaded = with_recipe(app, RECIPE).unwrap();
    let hosts: Vec<_> = loaded.settings.apps[0].saas.hosts.iter().map(|(_, host)| host.to_string()).collect();
    assert_eq!(hosts, ["care.gw.example → own.example", "x.care.gw.example → x.example"]);
    assert!(loaded.warnings[0].to_string().contains("apps[0].account: is missing"), "{}", loaded.warnings[0]);
}

#[test]
fn a_recipe_of_ones_own_takes_the_place_of_a_shipped_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("generic.yaml"), RECIPE.replace("recipe: care", "recipe: generic")).unwrap();
    let text = SMALLEST.replace("id: care,", "id: care, recipe: generic, account: a,");
    let file = folder.path().join("sekisho.yaml");
    let knows_logins = |text: &str| {
        config::read(text, &file, None).unwrap().settings.apps[0].saas.recipe.as_ref().unwrap().knows_logins()
    };
    assert!(!knows_logins(&text));
    assert!(knows_logins(&format!("{text}recipes: [generic.yaml]\n")));
}

#[test]
fn a_wrong_recipe_is_told_with_its_file_and_its_place_and_once() {
    let wrong = RECIPE.replace("static: true", "static: true, kind: fonts");
    let report = with_recipe("{ id: care, recipe: care }", &wrong).unwrap_err();
    assert_eq!(report.problems.len(), 1, "{report}");
    let problem = &report.problems[0];
    assert!(problem.file.ends_with("recipes/care.yaml"));
    assert_eq!((problem.line, problem.path.as_str()), (5, "hosts[0].kind"));
}

#[test]
fn an_address_without_its_account_is_told_once() {
    let report = with_recipe("{ id: care, recipe: care }", RECIPE).unwrap_err();
    assert_eq!(report.problems.len(), 1, "{report}");
    assert_eq!(report.problems[0].path, "apps[0].account");
    let report = with_recipe("{ id: care, recipe: care, account: 'a.b' }", RECIPE).unwrap_err();
    assert_eq!((report.problems.len(), report.problems[0].path.as_str()), (1, "apps[0].account"), "{report}");
}
