//! What people see, in headless Chromium: sign in, follow a deep link, work, sign out. Screenshots of each step are
//! left in `target/screenshots`.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

use crate::harness::{Gate, PASSWORD, run};

/// Chromium with its driver, a home of its own, and the gate's root among its trusted authorities.
pub(crate) struct Chromium {
    pub(crate) client: Client,
    driver: Child,
    pub(crate) home: tempfile::TempDir,
    shots: PathBuf,
}

impl Chromium {
    pub(crate) async fn start(gate: &Gate, language: &str, width: u32, height: u32) -> Self {
        Self::start_trusting(&[&gate.data().join("ca/server-root.pem")], language, width, height).await
    }

    /// With these roots among its trusted authorities.
    pub(crate) async fn start_trusting(roots: &[&Path], language: &str, width: u32, height: u32) -> Self {
        Self::start_logging(&json!({ "browser": "ALL" }), roots, language, width, height).await
    }

    /// As [`Self::start_trusting`]; [`Self::log`] tells of every request as well (`performance`).
    pub(crate) async fn start_watched(roots: &[&Path], language: &str, width: u32, height: u32) -> Self {
        Self::start_logging(&json!({ "browser": "ALL", "performance": "ALL" }), roots, language, width, height).await
    }

    /// With a client certificate among its own, which it shows to our hosts without asking. None: that takes root.
    pub(crate) async fn start_with_certificate(
        gate: &Gate,
        p12: &Path,
        password: &str,
        language: &str,
        width: u32,
        height: u32,
    ) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let root = gate.data().join("ca/server-root.pem");
        trust(home.path(), &[&root]);
        let database = format!("sql:{}", home.path().join(".pki/nssdb").display());
        let imported = Command::new("pk12util")
            .args(["-i", p12.to_str().unwrap(), "-d", &database, "-W", password, "-K", ""])
            .output()
            .expect("pk12util is missing; `make test` installs it");
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        // Only a policy of the whole machine keeps it from asking; it is about hosts of tests alone.
        let policies = Path::new("/etc/chromium/policies/managed");
        if std::fs::create_dir_all(policies).is_err() {
            return None;
        }
        let policy = json!({ "AutoSelectCertificateForUrls":
            [json!({ "pattern": "https://[*.]gw.localhost", "filter": {} }).to_string()] });
        std::fs::write(policies.join("sekisho-tests.json"), policy.to_string()).ok()?;
        Some(Self::start_in(home, &json!({ "browser": "ALL" }), language, width, height).await)
    }

    async fn start_logging(logs: &Value, roots: &[&Path], language: &str, width: u32, height: u32) -> Self {
        let home = tempfile::tempdir().unwrap();
        trust(home.path(), roots);
        Self::start_in(home, logs, language, width, height).await
    }

    async fn start_in(home: tempfile::TempDir, logs: &Value, language: &str, width: u32, height: u32) -> Self {
        // It takes a free port for IPv4 and wants the same for IPv6; where somebody has that one, it ends.
        let (driver, port) = (0..5).find_map(|_| driver(home.path())).expect("chromedriver found no port");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", home.path().join("profile").display()),
            &format!("--window-size={width},{height}"),
            &format!("--lang={language}"),
            &format!("--accept-lang={language}"),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments, "prefs": { "intl.accept_languages": language } },
            "goog:loggingPrefs": logs,
        });
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium did not start");
        let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
        std::fs::create_dir_all(&shots).unwrap();
        Self { client, driver, home, shots }
    }

    pub(crate) async fn shot(&self, name: &str) {
        let png = self.client.screenshot().await.unwrap();
        std::fs::write(self.shots.join(format!("{name}.png")), png).unwrap();
    }

    /// Another name in `User-Agent`, from the next page on.
    pub(crate) async fn call_itself(&self, agent: &str) {
        self.devtools("Network.setUserAgentOverride", json!({ "userAgent": agent })).await;
    }

    /// The page from top to bottom.
    pub(crate) async fn shot_whole(&self, name: &str) {
        use base64::Engine as _;
        let shot = self.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let png = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(self.shots.join(format!("{name}.png")), png).unwrap();
    }

    pub(crate) async fn fill(&self, name: &str, value: &str) {
        self.find(&format!("[name={name}]")).await.send_keys(value).await.unwrap();
    }

    pub(crate) async fn find(&self, css: &str) -> fantoccini::elements::Element {
        let waited = self.client.wait().at_most(Duration::from_secs(15)).for_element(Locator::Css(css)).await;
        match waited {
            Ok(element) => element,
            Err(error) => {
                self.shot("failure").await;
                panic!("{css} is not on {}: {error}\n{}", self.url().await, self.text().await);
            }
        }
    }

    pub(crate) async fn press(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Presses as soon as nothing else lies above it: pages scroll and move while they load.
    pub(crate) async fn press_when_possible(&self, css: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(15);
        while let Err(error) = self.find(css).await.click().await {
            if std::time::Instant::now() > deadline {
                self.shot("failure").await;
                panic!("{css} can't be pressed on {}: {error}", self.url().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    pub(crate) async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    pub(crate) async fn until_text(&self, words: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(15);
        while !self.text().await.contains(words) {
            if std::time::Instant::now() > deadline {
                self.shot("failure").await;
                panic!("「{words}」 does not appear on {}: {}", self.url().await, self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn until_url(&self, url: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(15);
        while self.url().await != url {
            if std::time::Instant::now() > deadline {
                self.shot("failure").await;
                panic!("{url} was not reached, but {}: {}", self.url().await, self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a script's answer is true.
    pub(crate) async fn until_true(&self, script: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !matches!(self.client.execute(script, vec![]).await, Ok(Value::Bool(true))) {
            if std::time::Instant::now() > deadline {
                self.shot("failure").await;
                panic!("`{script}` is never true on {}: {}", self.url().await, self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A command of the DevTools protocol.
    pub(crate) async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        #[derive(Debug)]
        struct DevTools(Value);
        impl WebDriverCompatibleCommand for DevTools {
            fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
                base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
            }
            fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
                (http::Method::POST, Some(self.0.to_string()))
            }
        }
        self.client.issue_cmd(DevTools(json!({ "cmd": command, "params": parameters }))).await.unwrap()
    }

    /// What was logged since the last call: `browser`, the console; `performance`, the network
    /// ([`Self::start_watched`]).
    pub(crate) async fn log(&self, kind: &'static str) -> Vec<Value> {
        #[derive(Debug)]
        struct Log(&'static str);
        impl WebDriverCompatibleCommand for Log {
            fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
                base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
            }
            fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
                (http::Method::POST, Some(json!({ "type": self.0 }).to_string()))
            }
        }
        let log = self.client.issue_cmd(Log(kind)).await.unwrap();
        log.as_array().cloned().unwrap_or_default()
    }

    /// Nothing is wider than the screen.
    pub(crate) async fn assert_fits(&self) {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let overflow = self.client.execute(script, vec![]).await.unwrap();
        assert!(overflow.as_i64().unwrap_or(1) <= 0, "{} is wider than the screen", self.url().await);
    }

    pub(crate) async fn end(self) {
        let _ = self.client.clone().close().await;
    }
}

/// A driver that listens, and on which port. None if it ended before.
fn driver(home: &Path) -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .process_group(0)
        .env("HOME", home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is missing; `make test` installs it");
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        line.rsplit_once("on port ")?.1.trim_end_matches('.').parse::<u16>().ok().filter(|port| *port != 0)
    });
    let Some(port) = port else {
        let _ = driver.wait();
        return None;
    };
    std::thread::spawn(move || lines.for_each(drop));
    Some((driver, port))
}

/// Also when a test panics: a driver left behind would keep its browser, and whatever it inherited, for ever.
impl Drop for Chromium {
    fn drop(&mut self) {
        // Driver and browser are a process group of their own.
        let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", self.driver.id())]).status();
        let _ = self.driver.wait();
    }
}

/// Puts roots among those that Chromium trusts (its NSS database below the home folder).
fn trust(home: &Path, roots: &[&Path]) {
    let database = home.join(".pki/nssdb");
    std::fs::create_dir_all(&database).unwrap();
    let database = format!("sql:{}", database.display());
    let mut commands = vec![vec!["-N", "-d", &database, "--empty-password"]];
    let names: Vec<_> = (0..roots.len()).map(|n| format!("root {n}")).collect();
    for (root, name) in roots.iter().zip(&names) {
        commands.push(vec!["-A", "-d", &database, "-t", "C,,", "-n", name, "-i", root.to_str().unwrap()]);
    }
    for arguments in commands {
        let done =
            Command::new("certutil").args(&arguments).output().expect("certutil is missing; `make test` installs it");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn somebody_signs_in_follows_a_deep_link_works_and_signs_out() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let chromium = Chromium::start(&gate, "ja", 1280, 800).await;

        // The deep link with a query leads to the sign-in page …
        chromium.client.goto(&gate.url("/residents?q=203")).await.unwrap();
        chromium.find("[name=password]").await;
        assert!(chromium.url().await.starts_with(&gate.login_url("/")), "{}", chromium.url().await);
        chromium.shot("sign-in-ja").await;
        chromium.fill("login_id", "sato").await;
        chromium.fill("password", "wrong-password-here").await;
        chromium.press("form button").await;
        chromium.find("[name=password]").await;
        chromium.shot("sign-in-wrong-ja").await;
        if chromium.find("[name=login_id]").await.prop("value").await.unwrap().unwrap_or_default().is_empty() {
            chromium.fill("login_id", "sato").await;
        }
        chromium.fill("password", PASSWORD).await;
        chromium.press("form button").await;

        // … and on to the SaaS, which asks for its own login and then shows what was asked for.
        chromium.until_text("ひだまりケア").await;
        let at = chromium.url().await;
        assert!(at.starts_with(&gate.url("/")), "{at}");
        chromium.shot("saas-login").await;
        chromium.fill("login_id", "sato").await;
        chromium.fill("password", "Himawari-2026").await;
        chromium.press("form button").await;
        chromium.client.goto(&gate.url("/residents?q=203")).await.unwrap();
        chromium.until_url(&gate.url("/residents?q=203")).await;
        chromium.shot("residents").await;
        // The style sheet comes from the SaaS's second host.
        let styled = chromium.client.execute("return document.styleSheets.length", vec![]).await.unwrap();
        assert!(styled.as_u64().unwrap_or(0) > 0, "no style sheet was loaded");

        // The WebSocket and the event stream work in a page's own scripts.
        chromium.client.goto(&gate.url("/notices")).await.unwrap();
        gate.saas.handle.post_notice("関所からのお知らせ");
        chromium.until_text("関所からのお知らせ").await;
        chromium.shot("notices").await;
        chromium.client.goto(&gate.url("/sensors")).await.unwrap();
        chromium.find("[data-reading], tbody tr, li, article").await;
        chromium.shot("sensors").await;

        // Signed out, everywhere.
        chromium.client.goto(&gate.login_url("/sign-out")).await.unwrap();
        chromium.find("form button").await;
        chromium.shot("sign-out-ja").await;
        chromium.press("form button").await;
        chromium.until_text("ログアウトしました").await;
        chromium.shot("signed-out-ja").await;
        chromium.client.goto(&gate.url("/residents")).await.unwrap();
        chromium.find("[name=password]").await;
        chromium.end().await;
    });
}

#[test]
fn refusals_read_well_on_a_phone_in_both_languages() {
    run(async {
        let gate = Gate::builder().policy("  []").start().await;
        for (language, words) in [("ja", "管理者"), ("en", "administrator")] {
            let chromium = Chromium::start(&gate, language, 390, 844).await;
            chromium.client.goto(&gate.url("/residents")).await.unwrap();
            chromium.until_text(words).await;
            chromium.shot(&format!("deny-{language}")).await;
            // Nothing of ours is loaded from elsewhere, and nothing is wider than the screen.
            chromium.assert_fits().await;
            chromium.end().await;
        }
    });
}

#[test]
fn a_fragment_survives_signing_in() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let chromium = Chromium::start(&gate, "ja", 390, 844).await;
        chromium.client.goto(&gate.url("/echo?room=203#today")).await.unwrap();
        chromium.fill("login_id", "sato").await;
        chromium.fill("password", PASSWORD).await;
        chromium.press("form button").await;
        chromium.until_url(&gate.url("/echo?room=203#today")).await;
        // Also for who is signed in already, and comes from a browser without a session on this host.
        chromium.client.delete_cookie("__Host-sekisho").await.unwrap();
        chromium.client.goto(&gate.url("/echo?room=204#tomorrow")).await.unwrap();
        chromium.until_url(&gate.url("/echo?room=204#tomorrow")).await;
        chromium.end().await;
    });
}

#[test]
fn people_change_in_one_browser_and_the_next_inherits_nothing() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let chromium = Chromium::start(&gate, "ja", 820, 1180).await;
        let sign_in = async |person: &str| {
            chromium.fill("login_id", person).await;
            chromium.fill("password", PASSWORD).await;
            chromium.press("form button").await;
        };
        let left = async || chromium.client.execute("return localStorage.getItem('left')", vec![]).await.unwrap();
        chromium.client.goto(&gate.url("/residents")).await.unwrap();
        sign_in("sato").await;
        chromium.until_text("ひだまりケア").await;
        chromium.fill("login_id", "sato").await;
        chromium.fill("password", "Himawari-2026").await;
        chromium.press("form button").await;
        chromium.until_url(&gate.url("/residents")).await;
        chromium.client.execute("localStorage.setItem('left', 'behind')", vec![]).await.unwrap();

        // Her session ends, and she signs in again: all is where it was.
        gate.json(&["session", "end", "--person", "sato"]);
        chromium.client.goto(&gate.url("/residents")).await.unwrap();
        sign_in("sato").await;
        chromium.until_url(&gate.url("/residents")).await;
        assert_eq!(left().await, "behind");

        // It ends, and somebody else signs in: the SaaS asks who it is, and its storage is empty.
        gate.json(&["session", "end", "--person", "sato"]);
        chromium.client.goto(&gate.url("/residents")).await.unwrap();
        sign_in("tanaka").await;
        chromium.until_url(&gate.url("/login?next=/residents")).await;
        assert!(left().await.is_null(), "{}", left().await);

        // By the button: the form at once, and nothing left either.
        chromium.client.execute("localStorage.setItem('left', 'behind')", vec![]).await.unwrap();
        chromium.client.goto(&gate.login_url("/sessions")).await.unwrap();
        chromium.shot("sessions-ja").await;
        chromium.client.goto(&gate.login_url("/switch")).await.unwrap();
        chromium.shot("switch-ja").await;
        let began = std::time::Instant::now();
        chromium.press("form button").await;
        sign_in("sato").await;
        chromium.until_url(&gate.url("/login?next=/")).await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(left().await.is_null(), "{}", left().await);
        chromium.end().await;
    });
}

#[test]
fn a_form_sent_too_late_is_kept_and_sent_by_a_button() {
    run(async {
        let gate = Gate::builder()
            .more("identity: { notice: { text: { ja: \"操作は記録されています。\", en: \"What you do is recorded.\" } } }")
            .start()
            .await;
        gate.add_staff("sato", &["staff"]);
        let chromium = Chromium::start(&gate, "ja", 390, 844).await;
        let sign_in = async || {
            chromium.fill("login_id", "sato").await;
            chromium.fill("password", PASSWORD).await;
            chromium.press("form button").await;
            chromium.until_text("操作は記録されています").await;
            chromium.shot("notice-ja").await;
            chromium.press("form button").await;
        };
        chromium.client.goto(&gate.url("/residents/101")).await.unwrap();
        sign_in().await;
        chromium.until_text("ひだまりケア").await;
        chromium.fill("login_id", "sato").await;
        chromium.fill("password", "Himawari-2026").await;
        chromium.press("form button").await;
        chromium.until_url(&gate.url("/residents/101")).await;
        chromium.fill("text", "夜間は3回巡視。異常なし。").await;
        gate.json(&["session", "end", "--person", "sato"]);
        chromium.press("form[action*='notes'] button").await;
        chromium.until_text("入力した内容を預かりました").await;
        chromium.shot("form-kept-ja").await;
        chromium.press("a.button").await;
        sign_in().await;
        chromium.until_text("送信していない入力があります").await;
        chromium.shot("form-waiting-ja").await;
        chromium.press("form button").await;
        chromium.until_text("夜間は3回巡視").await;
        assert!(chromium.url().await.starts_with(&gate.url("/residents/101")), "{}", chromium.url().await);
        chromium.shot("form-sent").await;
        chromium.end().await;
    });
}
