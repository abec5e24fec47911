//! The strangers' servers: each on a port of its own, with a certificate of an authority that only the gate knows.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustls_pki_types::PrivateKeyDer;

use crate::harness::{Gate, certificate, pem, venv};

/// A running application; its processes end with the value.
pub(super) struct Stranger {
    /// Also its name behind the gate.
    pub(super) id: &'static str,
    port: u16,
    folder: tempfile::TempDir,
    processes: Vec<(&'static str, Child)>,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        for (_, process) in &mut self.processes {
            // Servers have children; each is the first of a process group.
            let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", process.id())]).status();
            let _ = process.wait();
        }
    }
}

impl Stranger {
    /// A folder with `root.pem`, `chain.pem` and `key.pem`, a port that was free a moment ago, and nothing running.
    pub(super) fn prepare(id: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("sekisho-{id}-")).tempdir().unwrap();
        let (root, chain, key) = certificate(&[&format!("{id}.localhost")]);
        let PrivateKeyDer::Pkcs8(key) = key else { panic!("not PKCS#8") };
        for (file, text) in [
            ("root.pem", root),
            ("chain.pem", pem("CERTIFICATE", &chain[0])),
            ("key.pem", pem("PRIVATE KEY", key.secret_pkcs8_der())),
        ] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { id, port, folder, processes: Vec::new() }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn host(&self) -> String {
        format!("{}.localhost", self.id)
    }

    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host(), self.port)
    }

    pub(super) fn origin(&self) -> String {
        format!("https://{}", self.authority())
    }

    /// Starts a server; what it says is in `<name>.log`.
    pub(super) fn run(&mut self, name: &'static str, command: &mut Command) {
        let log = std::fs::File::create(self.folder().join(format!("{name}.log"))).unwrap();
        let process = command
            .current_dir(self.folder())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} can't be run ({error}); `deploy/setup.sh test` installs it"));
        self.processes.push((name, process));
    }

    /// nginx before it, with TLS; `site`: what stands in the server's block, from `tests/strangers/<id>/site.conf`.
    pub(super) fn run_nginx(&mut self, more: &[(&str, String)]) {
        let read = |file: &str| std::fs::read_to_string(assets().join(file)).unwrap();
        let mut text = read("nginx.conf").replace("{site}", &read(&format!("{}/site.conf", self.id)));
        let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        let words = [
            ("user", if root { "user root;" } else { "" }.to_owned()),
            ("folder", self.folder().display().to_string()),
            ("host", self.host()),
            ("port", self.port.to_string()),
        ];
        for (word, value) in words.iter().chain(more) {
            text = text.replace(&format!("{{{word}}}"), value);
        }
        let path = self.folder().join("nginx.conf");
        std::fs::write(&path, text).unwrap();
        let folder = self.folder().to_owned();
        self.run("nginx", Command::new("nginx").arg("-p").arg(&folder).arg("-e").arg("stderr").arg("-c").arg(path));
    }

    /// Waits until something listens on its port, for up to a minute.
    pub(super) async fn ready(mut self) -> Self {
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let ended = self.processes.iter_mut().find_map(|(name, p)| p.try_wait().unwrap().map(|_| *name));
            if ended.is_some() || began.elapsed() > Duration::from_secs(60) {
                panic!("{} does not start, {ended:?} ended:\n{}", self.id, self.said());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self
    }

    /// What its servers have said.
    pub(super) fn said(&self) -> String {
        let said = |(name, _): &(&str, Child)| {
            let log = std::fs::read(self.folder().join(format!("{name}.log"))).unwrap_or_default();
            format!("{name}:\n{}", String::from_utf8_lossy(&log))
        };
        self.processes.iter().map(said).collect()
    }

    /// A gate with this app behind it, which logs all it can.
    pub(super) async fn gate(&self, actions: &str) -> Gate {
        let recipe = recipe(self.id);
        let app = format!(
            "  - id: {}\n    {}upstream: {}\n    upstream_ca: {}\n    actions: {actions}\n",
            self.id,
            recipe.as_ref().map(|_| format!("recipe: {}\n    ", self.id)).unwrap_or_default(),
            self.origin(),
            self.folder().join("root.pem").display(),
        );
        let rules = format!(
            "  - name: in the facility\n    apps: [{}]\n    who: {{ groups: [staff] }}\n    \
             from: {{ networks: [facility] }}\n    allow: [view, edit, upload, download, login, delete]\n",
            self.id
        );
        let recipes = recipe.map(|file| format!("recipes: [ {} ]\n", file.display())).unwrap_or_default();
        let more = format!("log: {{ level: debug }}\n{recipes}");
        Gate::builder().apps(&app).policy(&rules).more(&more).start().await
    }
}

/// What is known of an application, in YAML alone.
fn recipe(id: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/fixtures/recipes/{id}.yaml"));
    file.canonicalize().ok()
}

/// `tests/strangers`.
pub(super) fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/strangers").canonicalize().unwrap()
}

/// Python with the strangers' packages.
pub(super) fn python() -> PathBuf {
    venv("strangers", &assets().join("requirements.txt"))
}
