//! The gate as a peer, with everything on: certificate, session, 50 rules, 1,000 CIDRs, strict record.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use demo::client::{Browser, Certificate, Setup};
use identity::{BeginSession, Identity};
use store::Store;
use vocabulary::{Clock, PersonId, SystemClock};

use crate::peers::{Peer, Setting};
use crate::pki::ORIGIN_HOST;
use crate::process::{PROXY_CORE, Running, free_address, sibling};

const DOMAIN: &str = "gw.bench.localhost";
const APP: &str = "records";
const PERSON: &str = "bench";
const GROUP: &str = "staff";
const PASSWORD: &str = "five hundred benches";

pub const RULES: usize = 50;
pub const CIDRS: usize = 1_000;

/// The gate with one person.
pub const ONE: &str = "sekisho";
/// The gate with [`CROWD`] people and [`SESSIONS`] live sessions.
pub const CROWDED: &str = "sekisho-100k";
/// The gate that can't seal.
pub const UNSEALED: &str = "sekisho-unsealed";
pub const CROWD: usize = 100_000;
pub const SESSIONS: usize = 20_000;

/// Starts the gate on the proxies' core, enrols the client's device and signs somebody in.
///
/// # Errors
/// The gate does not start, or the sign-in fails.
pub fn start(setting: &Setting) -> Result<Peer> {
    start_with(setting, ONE, |_, _| Ok(()))
}

/// The same, but its log can't be written, so that it does not seal.
///
/// # Errors
/// As [`start`].
pub fn start_without_sealing(setting: &Setting) -> Result<Peer> {
    // A folder stands where the plan's file is written.
    start_with(setting, UNSEALED, |folder, _| Ok(fs::create_dir_all(folder.join("data/audit/sealing.json.tmp"))?))
}

/// The same among so many people, of whom so many are signed in.
///
/// # Errors
/// As [`start`].
pub fn start_crowded(setting: &Setting, people: usize, sessions: usize) -> Result<Peer> {
    start_with(setting, CROWDED, |folder, run| {
        let mut roster = "id,name,kana,mail,facility,groups,first_day\n".to_owned();
        for number in 0..people {
            let _ = writeln!(
                roster,
                "p{number:06},職員 {number},ショクイン,p{number}@bench.example,事業所{},{GROUP};group-{},2026-04-01",
                number % 800,
                number % RULES,
            );
        }
        fs::write(folder.join("roster.csv"), roster)?;
        // The answer names everybody; nobody reads it.
        run(&["staff", "import", "roster.csv", "--yes"], "")?;
        sign_in_many(&folder.join("data/state.db"), sessions)
    })
}

/// Sessions as the gate itself keeps them, begun through its own crate while it does not run.
fn sign_in_many(state: &Path, sessions: usize) -> Result<()> {
    let identity = Identity::open(Store::open(state)?, &identity::Settings::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let now = SystemClock.now();
        for number in 0..sessions {
            let begin = BeginSession {
                id: identity.sessions().new_id()?,
                person: PersonId::new(format!("p{number:06}"))?,
                account: None,
                factors: 1,
                device: None,
                source: [127, 0, 0, 1].into(),
                host: format!("login.{DOMAIN}"),
                now,
            };
            identity.sessions().begin(begin).await?;
        }
        Ok(())
    })
}

/// Runs a command of the gate's, with this input.
type Run<'a> = &'a dyn Fn(&[&str], &str) -> Result<Vec<u8>>;

fn start_with(
    setting: &Setting,
    name: &'static str,
    prepare: impl FnOnce(&Path, Run<'_>) -> Result<()>,
) -> Result<Peer> {
    let folder = setting.folder.join(name);
    fs::create_dir_all(&folder)?;
    let address = free_address()?;
    let config = folder.join("sekisho.yaml");
    fs::write(&config, configuration(setting, address)?)?;
    for name in ["passphrase", "root-passphrase"] {
        fs::write(folder.join(name), format!("nothing secret: {name} of a bench"))?;
    }
    let program = sibling("sekisho")?;
    let run = |arguments: &[&str], input: &str| command(&program, &config, &folder, arguments, input);
    run(
        &[
            "ca",
            "init",
            "--organisation",
            "bench",
            "--root-out",
            "roots.age",
            "--root-passphrase-file",
            "root-passphrase",
        ],
        "",
    )?;
    prepare(&folder, &run)?;
    run(&["staff", "add", PERSON, "--name", "Bench", "--group", GROUP, "--password-stdin"], PASSWORD)?;
    let issue = ["device", "issue", "--owner", PERSON, "--name", "bench", "--out", "device.p12", "--json"];
    let issued: serde_json::Value = serde_json::from_slice(&run(&issue, "")?)?;
    let password = issued["password"].as_str().context("no password for the .p12")?;
    let device = Certificate::from_p12(&fs::read(folder.join("device.p12"))?, password)?;
    let client = crate::plan::KeyPair { chain: folder.join("device.pem"), key: folder.join("device.key") };
    fs::write(&client.chain, crate::pki::pem("CERTIFICATE", device.chain.first().context("no certificate")?))?;
    fs::write(&client.key, crate::pki::pem("PRIVATE KEY", device.key.secret_der()))?;
    let ca = folder.join("data/ca/server-root.pem");

    let command = [program.as_os_str(), OsStr::new("serve"), OsStr::new("--config"), config.as_os_str()];
    let mut process = Running::start(PROXY_CORE, name, &setting.folder, &command)?;
    process.wait_for(address)?;
    let cookie = sign_in(address, &ca, device)?;
    let mut peer = Peer::new(name, address, vec![process]);
    peer.host = format!("{APP}.{DOMAIN}");
    peer.cookie = format!("hidamari_session={}; {cookie}", "5".repeat(64));
    peer.ca = Some(ca);
    peer.client = Some(client);
    Ok(peer)
}

fn configuration(setting: &Setting, address: SocketAddr) -> Result<String> {
    let metrics = free_address()?;
    Ok(format!(
        "gateway:
  domain: {DOMAIN}
  time_zone: Asia/Tokyo
  listen: [\"{address}\"]
  metrics_listen: \"{metrics}\"
  data: data
  workers: 1
  limits: {{ idle: 10m, max_connections: 20000, per_source_connections: 20000 }}
identity: {{ session: {{ idle: 2h, absolute: 10h }} }}
apps:
  - {{ id: {APP}, upstream: \"https://{ORIGIN_HOST}:{}\", upstream_ca: {}, protocol: h1 }}
ca: {{ passphrase_file: passphrase }}
log: {{ level: warn }}
{}{}",
        setting.origin.port(),
        setting.pki.site_ca.display(),
        networks(),
        policy(APP, GROUP),
    ))
}

fn command(program: &Path, config: &Path, folder: &Path, arguments: &[&str], input: &str) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("SEKISHO_CONFIG", config)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("sekisho {} failed: {}", arguments.join(" "), output.status);
    }
    Ok(output.stdout)
}

/// Signs in as a browser would; the cookie that the app's host got.
fn sign_in(server: SocketAddr, ca: &Path, device: Certificate) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut browser = Browser::new(Setup {
            server,
            roots: crate::pki::certificates(ca)?,
            certificate: Some(device),
            from: None,
            http2: false,
            language: "en",
        });
        let page = browser.open(&format!("https://{APP}.{DOMAIN}:{}/", server.port())).await?;
        let landed = browser.fill_in(&page, &[("login_id", PERSON), ("password", PASSWORD)]).await?;
        let cookies = browser.cookies(&format!("{APP}.{DOMAIN}"));
        let ours = cookies.split("; ").find(|pair| pair.starts_with("__Host-sekisho="));
        Ok(ours.with_context(|| format!("the sign-in failed: {} {}", landed.status, landed.text()))?.to_owned())
    })
}

/// The `networks` section: one that holds loopback, and [`CIDRS`] ranges around it.
pub fn networks() -> String {
    let mut yaml = "networks:\n  inside:\n    cidrs: [127.0.0.0/8]\n  elsewhere:\n    cidrs:\n".to_owned();
    for number in 0..CIDRS {
        let _ = writeln!(yaml, "      - 10.{}.{}.0/25", number / 256, number % 256);
    }
    yaml
}

/// The `policy` section: [`RULES`] rules, of which the last one allows what the bench does.
pub fn policy(app: &str, group: &str) -> String {
    let mut yaml = "policy:\n".to_owned();
    for number in 1..RULES {
        let _ = write!(
            yaml,
            "  - name: rule {number}\n    apps: [{app}]\n    who: {{ groups: [group-{number}] }}\n    \
             from: {{ networks: [elsewhere] }}\n    when: {{ days: mon-sun, hours: \"06:00-22:00\" }}\n    \
             allow: [view, edit]\n"
        );
    }
    let _ = write!(
        yaml,
        "  - name: the bench\n    apps: [{app}]\n    who: {{ groups: [{group}] }}\n    \
         from: {{ networks: [inside], device: enrolled }}\n    allow: [view]\n"
    );
    yaml
}
