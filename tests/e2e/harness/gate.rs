//! A gate as an operator would set it up, started from the real binary.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use cert_authority::{CertAuthority, Init, Passphrase};
use demo::client::{Browser, Certificate, Setup};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tempfile::TempDir;
use vocabulary::{Clock, SystemClock};

use super::{PASSWORD, RawSaas, SAAS_HOST, Saas};

/// The facility's network.
pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
/// Anywhere else.
pub(crate) const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

const PASSPHRASE: &str = "a passphrase for tests alone";

/// The rules that most tests go by.
const POLICY: &str = r#"
  - name: in the facility
    apps: [hidamari]
    who: { groups: [staff] }
    from: { networks: [facility] }
    allow: [view, edit, upload, download, login, delete]
  - name: visiting nurses
    apps: [hidamari]
    who: { groups: [visiting-nurses] }
    from: { device: enrolled }
    allow: [view, edit, login]
  - name: nobody deletes outside
    from: { not: { networks: [facility] } }
    deny: [delete]
"#;

pub(crate) struct GateBuilder {
    policy: String,
    limits: String,
    more: String,
    saas: demo::Options,
    environment: Vec<(String, String)>,
    data: Option<PathBuf>,
    upstream_port: Option<u16>,
    upstream_root: String,
    app: String,
    apps: String,
    listen: String,
    pem: bool,
    time_zone: String,
    resolver: Option<PathBuf>,
}

impl GateBuilder {
    /// Certificates from PEM files and no bundled authority: then no browser is asked for a certificate of its own.
    pub(crate) fn certificates_from_files(mut self) -> Self {
        self.pem = true;
        self
    }

    /// Another zone than Asia/Tokyo.
    pub(crate) fn time_zone(mut self, name: &str) -> Self {
        name.clone_into(&mut self.time_zone);
        self
    }

    /// Rules instead of the usual ones; indented by two spaces.
    pub(crate) fn policy(mut self, rules: &str) -> Self {
        rules.clone_into(&mut self.policy);
        self
    }

    /// A `resolv.conf` for the gate's process alone; root only.
    pub(crate) fn resolver(mut self, file: &Path) -> Self {
        self.resolver = Some(file.to_owned());
        self
    }

    /// What stands in `gateway.limits`, as a flow mapping.
    pub(crate) fn limits(mut self, limits: &str) -> Self {
        limits.clone_into(&mut self.limits);
        self
    }

    /// Further top-level keys.
    pub(crate) fn more(mut self, yaml: &str) -> Self {
        self.more.push_str(yaml);
        self
    }

    pub(crate) fn saas(mut self, options: demo::Options) -> Self {
        self.saas = options;
        self
    }

    /// A variable in the gate's environment.
    pub(crate) fn environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Another data folder than one beside the configuration.
    pub(crate) fn data(mut self, path: &Path) -> Self {
        self.data = Some(path.to_owned());
        self
    }

    /// Another port than the demo SaaS's.
    pub(crate) fn upstream_port(mut self, port: u16) -> Self {
        self.upstream_port = Some(port);
        self
    }

    /// A SaaS of the test's own instead of the demo's.
    pub(crate) fn upstream(mut self, saas: &RawSaas) -> Self {
        self.upstream_root.clone_from(&saas.root_pem);
        self.upstream_port(saas.port)
    }

    /// Further keys of the app, one `key: value` each.
    pub(crate) fn app(mut self, keys: &[&str]) -> Self {
        self.app = keys.iter().map(|key| format!("    {key}\n")).collect();
        self
    }

    /// Further apps beside the usual one; entries of the list, indented by two spaces.
    pub(crate) fn apps(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.apps);
        self
    }

    /// Another address to listen on than IPv4's loopback.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    pub(crate) async fn start(self) -> Gate {
        let folder = tempfile::Builder::new().prefix("sekisho-e2e-").tempdir().unwrap();
        let saas = Saas::start(self.saas).await;
        let path = folder.path();
        std::fs::write(path.join("passphrase"), PASSPHRASE).unwrap();
        std::fs::write(path.join("saas-root.pem"), format!("{}{}", saas.root_pem, self.upstream_root)).unwrap();
        let data = self.data.unwrap_or_else(|| path.join("data"));
        let mut certificates = String::new();
        match self.pem {
            false => copy_authority(&data.join("ca")),
            true => {
                for (name, hosts) in [
                    ("login", vec!["login.gw.localhost"]),
                    ("app", vec!["hidamari.gw.localhost", "assets.hidamari.gw.localhost"]),
                ] {
                    let key = rcgen::KeyPair::generate().unwrap();
                    let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
                    let own = rcgen::CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
                    std::fs::write(path.join(format!("{name}.pem")), own.pem()).unwrap();
                    std::fs::write(path.join(format!("{name}.key")), key.serialize_pem()).unwrap();
                    certificates.push_str(&format!("{{ certificate: {name}.pem, key: {name}.key }}, "));
                }
                certificates = format!("\n  certificates: [ {} ]", certificates.trim_end_matches(", "));
            }
        }
        // Fewer than by default, which machines with few descriptors would be warned of.
        let limits = match self.limits.contains("max_connections") {
            true => self.limits,
            false => format!("max_connections: 4000, {}", self.limits),
        };
        let upstream_port = self.upstream_port.unwrap_or_else(|| saas.port());
        let text = format!(
            r#"gateway:
  domain: gw.localhost
  time_zone: {}
  listen: ["{}"]
  metrics_listen: "127.0.0.1:0"
  data: {}
  limits: {{ {} }}{certificates}
networks:
  facility: {{ cidrs: [127.0.0.1/32] }}
apps:
  - id: hidamari
    upstream: https://{SAAS_HOST}:{upstream_port}
    upstream_ca: saas-root.pem
{}    hosts:
      - {{ name: assets, upstream: "https://assets.{SAAS_HOST}:{upstream_port}" }}
    actions:
      - {{ path: /login, methods: [POST], action: login }}
      - {{ path: /notices/ws, action: view }}
      - {{ path: "/residents/*/delete", methods: [POST], action: delete }}
{}policy:
{}
ca: {{ passphrase_file: passphrase }}
{}
"#,
            self.time_zone,
            self.listen,
            data.display(),
            limits,
            self.app,
            self.apps,
            self.policy,
            self.more,
        );
        std::fs::write(path.join("sekisho.yaml"), text).unwrap();
        let server_root = match self.pem {
            false => std::fs::read_to_string(data.join("ca/server-root.pem")).unwrap(),
            true => ["login.pem", "app.pem"].map(|file| std::fs::read_to_string(path.join(file)).unwrap()).concat(),
        };
        let roots = CertificateDer::pem_slice_iter(server_root.as_bytes()).map(Result::unwrap).collect();
        let mut gate = Gate {
            folder,
            data,
            saas,
            roots,
            environment: self.environment,
            resolver: self.resolver,
            process: None,
            port: 0,
            metrics_port: 0,
            log: Arc::default(),
        };
        gate.start().await;
        gate
    }
}

/// A running gate; it ends with the value.
pub(crate) struct Gate {
    folder: TempDir,
    data: PathBuf,
    pub(crate) saas: Saas,
    pub(crate) roots: Vec<CertificateDer<'static>>,
    environment: Vec<(String, String)>,
    resolver: Option<PathBuf>,
    process: Option<Child>,
    pub(crate) port: u16,
    metrics_port: u16,
    log: Arc<Mutex<String>>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Gate {
    /// The usual gate: a facility, a SaaS of two hosts, three rules.
    pub(crate) async fn usual() -> Self {
        Self::builder().start().await
    }

    pub(crate) fn builder() -> GateBuilder {
        GateBuilder {
            policy: POLICY.to_owned(),
            limits: String::new(),
            more: String::new(),
            saas: demo::Options::default(),
            environment: Vec::new(),
            data: None,
            upstream_port: None,
            upstream_root: String::new(),
            app: String::new(),
            apps: String::new(),
            listen: "127.0.0.1:0".to_owned(),
            pem: false,
            time_zone: "Asia/Tokyo".to_owned(),
            resolver: None,
        }
    }

    /// Starts the process and waits until it listens. After a kill, it takes the same port if it is free.
    pub(crate) async fn start(&mut self) {
        self.start_with(|_| {}).await.unwrap_or_else(|log| panic!("the gate did not start:\n{log}"));
    }

    /// As [`Self::start`], but a gate that refuses to start is an answer: its log.
    pub(crate) async fn start_with(&mut self, adjust: impl FnOnce(&mut Command)) -> Result<(), String> {
        let mut command = match &self.resolver {
            None => Command::new(env!("CARGO_BIN_EXE_sekisho")),
            Some(file) => {
                let mut command = Command::new("unshare");
                let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
                command.args(["--mount", "sh", "-c", script]).arg(file).arg(env!("CARGO_BIN_EXE_sekisho"));
                command
            }
        };
        command.args(["serve", "--config"]).arg(self.config()).stderr(Stdio::piped()).stdout(Stdio::null());
        command.envs(self.environment.iter().map(|(n, v)| (n, v)));
        adjust(&mut command);
        let mut child = command.spawn().unwrap();
        let (told, listening) = mpsc::channel();
        let stderr = child.stderr.take().unwrap();
        let log = self.log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let plain: String = strip_colour(&line);
                for (what, which) in [("metrics listening", 1), ("listening", 0)] {
                    if plain.contains(what)
                        && let Some(port) = port_of(&plain)
                    {
                        let _ = told.send((which, port));
                        break;
                    }
                }
                log.lock().unwrap().push_str(&(plain + "\n"));
            }
        });
        self.process = Some(child);
        let mut ports = [0u16; 2];
        while ports.contains(&0) {
            match listening.recv_timeout(Duration::from_secs(60)) {
                Ok((which, port)) => ports[which] = port,
                Err(_) => {
                    self.kill();
                    return Err(self.log());
                }
            }
        }
        [self.port, self.metrics_port] = ports;
        Ok(())
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("sekisho.yaml")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// What the gate has said on standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What operators are called for, but for the warning that every start of a gate without places for checkpoints gives.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let log = self.log();
        let called = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR "));
        called.filter(|line| !line.contains("no checkpoint is kept elsewhere")).map(str::to_owned).collect()
    }

    /// Changes the configuration file.
    pub(crate) fn rewrite(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), change(text)).unwrap();
    }

    /// As power loss would end it, as far as a process can tell.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal by name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.process.take().unwrap().wait().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://hidamari.gw.localhost:{}{path}", self.port)
    }

    pub(crate) fn assets_url(&self, path: &str) -> String {
        format!("https://assets.hidamari.gw.localhost:{}{path}", self.port)
    }

    pub(crate) fn login_url(&self, path: &str) -> String {
        format!("https://login.gw.localhost:{}{path}", self.port)
    }

    /// The operator's command line.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_with_input(arguments, "")
    }

    pub(crate) fn cli_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(arguments)
            .env("SEKISHO_CONFIG", self.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// A command that must succeed; its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let output = self.cli(&all);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Puts somebody on the roster, with the password of the tests.
    pub(crate) fn add_staff(&self, id: &str, groups: &[&str]) {
        let mut arguments = vec!["staff", "add", id, "--name", id, "--password-stdin"];
        for group in groups {
            arguments.extend(["--group", group]);
        }
        let output = self.cli_with_input(&arguments, PASSWORD);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Issues a device certificate by the command line; its id, and the certificate from the .p12 file.
    pub(crate) fn issue_device(&self, owner: &str) -> (String, Certificate) {
        let out = self.path(&format!("{owner}-{}.p12", std::fs::read_dir(self.folder.path()).unwrap().count()));
        let issued =
            self.json(&["device", "issue", "--owner", owner, "--name", "訪問用", "--out", out.to_str().unwrap()]);
        let p12 = std::fs::read(&out).unwrap();
        let certificate = Certificate::from_p12(&p12, issued["password"].as_str().unwrap()).unwrap();
        (issued["device"]["id"].as_str().unwrap().to_owned(), certificate)
    }

    /// The authority, opened beside the gate: for certificates that it would not make.
    pub(crate) fn authority(&self) -> CertAuthority {
        CertAuthority::open(&self.data.join("ca"), &Passphrase::new(PASSPHRASE)).unwrap()
    }

    /// The device CA with its key in hand: for certificates that it should never sign.
    pub(crate) fn device_ca(&self) -> rcgen::Issuer<'static, rcgen::KeyPair> {
        let sealed = std::fs::read(self.data.join("ca/ca-keys.age")).unwrap();
        let identity = age::scrypt::Identity::new(age::secrecy::SecretString::from(PASSPHRASE.to_owned()));
        let keys = age::decrypt(&identity, &sealed).unwrap();
        let certificate = self.authority().device_ca_der().clone();
        let key = PrivatePkcs8KeyDer::pem_slice_iter(&keys)
            .map(|key| rcgen::KeyPair::try_from(&key.unwrap()).unwrap())
            .find(|key| certificate.windows(key.public_key_raw().len()).any(|bytes| bytes == key.public_key_raw()));
        rcgen::Issuer::from_ca_cert_der(&certificate, key.unwrap()).unwrap()
    }

    pub(crate) fn setup(&self, from: IpAddr) -> Setup {
        Setup {
            server: SocketAddr::from(([127, 0, 0, 1], self.port)),
            roots: self.roots.clone(),
            certificate: None,
            from: Some(from),
            http2: false,
            language: "en",
        }
    }

    pub(crate) fn browser(&self, from: IpAddr) -> Browser {
        Browser::new(self.setup(from))
    }

    pub(crate) fn browser_h2(&self, from: IpAddr) -> Browser {
        Browser::new(Setup { http2: true, ..self.setup(from) })
    }

    /// Somebody of the staff, signed in, in the facility.
    pub(crate) async fn signed_in(&self, person: &str) -> Browser {
        let mut browser = self.browser(HOME);
        let landed = super::sign_in(&mut browser, &self.url("/echo"), person, PASSWORD).await;
        assert_eq!(landed.status, 200, "{person} could not sign in: {}", landed.text());
        browser
    }

    /// A nurse outside, signed in on her device.
    pub(crate) async fn signed_in_outside(&self, person: &str, certificate: Certificate, http2: bool) -> Browser {
        let setup = Setup { certificate: Some(certificate), http2, ..self.setup(OUTSIDE) };
        let mut browser = Browser::new(setup);
        let landed = super::sign_in(&mut browser, &self.url("/echo"), person, PASSWORD).await;
        assert_eq!(landed.status, 200, "{person} could not sign in outside: {}", landed.text());
        browser
    }

    /// Records of these kinds (none: of all), oldest first, as they lie in the data folder.
    pub(crate) fn entries(&self, kinds: &[&str]) -> impl Iterator<Item = audit::Entry> + use<> {
        let filter =
            audit::Filter { kinds: kinds.iter().map(ToString::to_string).collect(), ..audit::Filter::default() };
        let query = audit::Query { filter, ..audit::Query::default() };
        audit::History::new(&self.data.join("audit")).read(query).unwrap().map(Result::unwrap)
    }

    /// The record of requests, oldest first.
    pub(crate) fn requests(&self, filter: &[&str]) -> Vec<Value> {
        let mut arguments = vec!["audit", "requests", "--json"];
        arguments.extend(filter);
        let output = self.cli(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
            .stdout
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect()
    }

    /// The newest record of a request for this reason, once it is written.
    pub(crate) async fn recorded(&self, reason: &str) -> Value {
        super::eventually(reason, async || self.requests(&[]).into_iter().rfind(|r| r["reason"] == reason)).await
    }

    /// What the metrics listener answers at a path: status line and body.
    pub(crate) async fn observe(&self, path: &str) -> (String, String) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.metrics_port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// A metric's value by its name with labels, 0 if it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.observe("/metrics").await;
        text.lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .next()
            .unwrap_or_default()
    }
}

/// One authority serves all tests: making one takes seconds, on purpose.
fn copy_authority(to: &Path) {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        CertAuthority::init(
            &folder.path().join("ca"),
            &Init {
                organisation: "さくら会".to_owned(),
                domain: "gw.localhost".to_owned(),
                other_domains: Vec::new(),
                passphrase: Passphrase::new(PASSPHRASE),
                root_passphrase: Passphrase::new("another passphrase, for the roots"),
                export_to: folder.path().join("roots.age"),
                now: SystemClock.now(),
            },
        )
        .unwrap();
        folder
    });
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(made.path().join("ca")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn strip_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, after)| after);
    }
    plain + rest
}

fn port_of(line: &str) -> Option<u16> {
    line.rsplit_once("address=").and_then(|(_, address)| address.trim().parse::<SocketAddr>().ok()).map(|a| a.port())
}
