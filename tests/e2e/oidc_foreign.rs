//! A provider nobody here wrote: npm `oidc-provider` with its own pages, signed in through in headless Chromium.
//!
//! It is installed into `target/oidc-provider` from the lock file in `tests/oidc-provider`, once.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustls_pki_types::PrivateKeyDer;
use serde_json::json;

use crate::browser::Chromium;
use crate::harness::{Gate, certificate, eventually, pem, run};

const HOST: &str = "sso.localhost";
const SECRET: &str = "a-secret-of-the-gate-and-the-foreign-provider";

/// The running provider; it ends with the value.
struct Foreign {
    process: Child,
    issuer: String,
    folder: tempfile::TempDir,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Foreign {
    /// Its files stay: the gate's configuration names them.
    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The folder it is installed in.
fn installed() -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (from, to) = (root.join("tests/oidc-provider"), root.join("target/oidc-provider"));
    std::fs::create_dir_all(&to).unwrap();
    let lock = std::fs::read(from.join("package-lock.json")).unwrap();
    if std::fs::read(to.join("installed.json")).ok().as_ref() != Some(&lock) {
        for file in ["package.json", "package-lock.json", ".npmrc", "provider.mjs"] {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
        let npm = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&to)
            .output()
            .expect("npm is missing; `make test` installs it");
        assert!(npm.status.success(), "{}", String::from_utf8_lossy(&npm.stderr));
        std::fs::write(to.join("installed.json"), lock).unwrap();
    }
    std::fs::copy(from.join("provider.mjs"), to.join("provider.mjs")).unwrap();
    to
}

/// Its address and files, before it runs: the gate's configuration names them.
struct Prepared {
    port: u16,
    issuer: String,
    cert: String,
    key: String,
    folder: tempfile::TempDir,
}

fn prepare() -> Prepared {
    let folder = tempfile::Builder::new().prefix("sekisho-foreign-").tempdir().unwrap();
    let (root, chain, key) = certificate(&[HOST]);
    std::fs::write(folder.path().join("root.pem"), root).unwrap();
    std::fs::write(folder.path().join("secret"), SECRET).unwrap();
    let PrivateKeyDer::Pkcs8(key) = key else { panic!("not PKCS#8") };
    // It takes a port by number only: one that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Prepared {
        port,
        issuer: format!("https://{HOST}:{port}"),
        cert: pem("CERTIFICATE", &chain[0]),
        key: pem("PRIVATE KEY", key.secret_pkcs8_der()),
        folder,
    }
}

impl Prepared {
    fn start(self, gate: &Gate) -> Foreign {
        let mut process = Command::new("node")
            .arg("provider.mjs")
            .current_dir(installed())
            .env("NODE_EXTRA_CA_CERTS", gate.data().join("ca/server-root.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("node is missing; `make test` installs it");
        let setup = json!({
            "issuer": self.issuer,
            "port": self.port,
            "cert": self.cert,
            "key": self.key,
            "cookieKey": "only-for-this-test",
            "client": {
                "client_id": "sekisho",
                "client_secret": SECRET,
                "redirect_uris": [gate.login_url("/oidc/foreign/callback")],
                "post_logout_redirect_uris": [gate.login_url("/oidc/foreign/signed-out")],
                "backchannel_logout_uri": gate.login_url("/oidc/foreign/back-channel-logout"),
                "backchannel_logout_session_required": true,
            },
            "accounts": {
                "sato": { "email": "sato@sakura-kai.example", "email_verified": true, "groups": ["care", "other"] },
            },
        });
        process.stdin.take().unwrap().write_all(setup.to_string().as_bytes()).unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().map_while(Result::ok).any(|line| line == "ready"), "the provider did not start");
        std::thread::spawn(move || lines.for_each(drop));
        Foreign { process, issuer: self.issuer, folder: self.folder }
    }
}

#[test]
fn somebody_signs_in_through_a_provider_nobody_here_wrote() {
    run(async {
        let prepared = prepare();
        let path = prepared.folder.path().display().to_string();
        let identity = format!(
            "identity:\n  providers:\n    - {{ id: foreign, kind: oidc, name: 法人アカウント, issuer: \"{}\", \
             client_id: sekisho, client_secret_file: {path}/secret, issuer_ca: {path}/root.pem, \
             domains: [sakura-kai.example], groups: {{ claim: groups, map: {{ care: staff }} }} }}\n    \
             - {{ id: staff, kind: directory }}\n",
            prepared.issuer
        );
        let gate = Gate::builder().more(&identity).start().await;
        gate.add_colleague("sato", &[], "sato@sakura-kai.example");
        let mut foreign = prepared.start(&gate);
        let roots = [gate.data().join("ca/server-root.pem"), foreign.folder.path().join("root.pem")];
        let chromium = Chromium::start_trusting(&[&roots[0], &roots[1]], "ja", 390, 844).await;

        // The deep link leads to the choice, from there to the provider …
        chromium.client.goto(&gate.url("/echo?room=203")).await.unwrap();
        chromium.find(".providers a").await;
        chromium.shot("oidc-choose-ja").await;
        chromium.press(".providers a").await;
        chromium.find("[name=login]").await;
        assert!(chromium.url().await.starts_with(&foreign.issuer), "{}", chromium.url().await);
        chromium.shot("oidc-foreign-login").await;
        chromium.fill("login", "sato").await;
        chromium.fill("password", "whatever-it-takes-any").await;
        chromium.press("button[type=submit]").await;
        chromium.find("input[name=prompt][value=consent]").await;
        chromium.shot("oidc-foreign-consent").await;
        chromium.press("button[type=submit]").await;

        // … and back to where she wanted to go. The group that lets her in is the provider's.
        chromium.until_url(&gate.url("/echo?room=203")).await;
        chromium.shot("oidc-arrived").await;
        let sessions = gate.json(&["session", "list"]);
        assert_eq!((sessions[0]["person"].as_str(), sessions[0]["provider"].as_str()), (Some("sato"), Some("foreign")));

        // She signs out at the provider's own page, and the provider's servers tell ours.
        chromium.client.goto(&format!("{}/session/end", foreign.issuer)).await.unwrap();
        chromium.press("button[name=logout]").await;
        eventually("the session ended", async || {
            gate.json(&["session", "list"]).as_array().unwrap().is_empty().then_some(())
        })
        .await;
        assert_eq!(gate.sign_outs(), ["back-channel"]);

        // Signed out here, the page offers to sign out there; that comes back with words.
        chromium.client.goto(&gate.url("/echo")).await.unwrap();
        chromium.press(".providers a").await;
        chromium.fill("login", "sato").await;
        chromium.fill("password", "whatever-it-takes-any").await;
        chromium.press("button[type=submit]").await;
        chromium.find("input[name=prompt][value=consent]").await;
        chromium.press("button[type=submit]").await;
        chromium.until_url(&gate.url("/echo")).await;
        chromium.client.goto(&gate.login_url("/sign-out")).await.unwrap();
        chromium.press("form button").await;
        chromium.until_text("まだログインしています").await;
        chromium.shot("oidc-signed-out-here-ja").await;
        chromium.press(".act a").await;
        chromium.press("button[name=logout]").await;
        chromium.until_text("アカウントからログアウトしました").await;
        chromium.shot("oidc-signed-out-there-ja").await;

        // The provider goes away: the page says so in words.
        foreign.stop();
        gate.rewrite(|text| text.replace("name: 法人アカウント", "name: 法人"));
        assert!(gate.cli(&["reload"]).status.success());
        chromium.client.goto(&gate.url("/echo")).await.unwrap();
        chromium.press(".providers a").await;
        chromium.until_text("ログイン先につながりません").await;
        chromium.shot("oidc-away-ja").await;
        chromium.end().await;
    });
}
