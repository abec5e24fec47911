//! WebKit, as on iPhones and iPads: signs in, works in the SaaS, changes people, signs out. Debian's WebKitGTK, driven by
//! its WebDriver on a screen of its own. Screenshots are left in `target/screenshots`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::json;

use crate::harness::{Gate, PASSWORD, free_port, run};

struct WebKit {
    client: Client,
    /// The driver and the screen.
    processes: [Child; 2],
    _home: tempfile::TempDir,
    shots: PathBuf,
}

impl WebKit {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (mut screen, display) = screen();
        let port = free_port();
        let mut driver = Command::new("WebKitWebDriver")
            .arg(format!("--port={port}"))
            .env("DISPLAY", display)
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("data"))
            .env("XDG_CACHE_HOME", home.path().join("cache"))
            // No language is asked for, so that pages are in Japanese.
            .env("LC_ALL", "C.UTF-8")
            .env_remove("LANGUAGE")
            // Neither a graphics card nor a desktop is there.
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("WebKitWebDriver is missing; `make test` installs it");
        let browser = std::fs::read_dir("/usr/lib")
            .unwrap()
            .flatten()
            .flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten())
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("webkit2gtk-4"))
            .map(|entry| entry.path().join("MiniBrowser"))
            .find(|path| path.is_file())
            .expect("WebKit's MiniBrowser is missing; `make test` installs it");
        let capabilities = json!({
            // WebKitGTK takes its roots from the whole system, which a test must not change.
            "acceptInsecureCerts": true,
            "webkitgtk:browserOptions": { "binary": browser, "args": ["--automation"] },
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        let client = loop {
            let tried = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
                .capabilities(capabilities.as_object().unwrap().clone())
                .connect(&format!("http://127.0.0.1:{port}"))
                .await;
            match tried {
                Ok(client) => break client,
                Err(error) if Instant::now() > deadline => {
                    let _ = (driver.kill(), screen.kill());
                    panic!("WebKit did not start: {error}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
        std::fs::create_dir_all(&shots).unwrap();
        Self { client, processes: [driver, screen], _home: home, shots }
    }

    async fn shot(&self, name: &str) {
        // Asked for a picture in the middle of things, the driver now and then never answers, and hears nothing more:
        // only before them and after.
        if let Ok(Ok(png)) = tokio::time::timeout(Duration::from_secs(10), self.client.screenshot()).await {
            std::fs::write(self.shots.join(format!("{name}.png")), png).unwrap();
        }
    }

    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        match self.client.wait().at_most(Duration::from_secs(20)).for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => {
                let (url, text) = (self.url().await, self.text().await);
                self.shot("webkit-failure").await;
                panic!("{css} is not on {url}: {error}\n{text}");
            }
        }
    }

    async fn fill(&self, name: &str, value: &str) {
        self.find(&format!("[name={name}]")).await.send_keys(value).await.unwrap();
    }

    async fn press(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    async fn url(&self) -> String {
        self.client.current_url().await.map(|url| url.to_string()).unwrap_or_default()
    }

    async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !so().await {
            if Instant::now() > deadline {
                // The picture comes last: the driver may hear nothing after it.
                let (url, text) = (self.url().await, self.text().await);
                self.shot("webkit-failure").await;
                panic!("{what}: not on {url}: {text}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_text(&self, words: &str) {
        self.until(words, async || self.text().await.contains(words)).await;
    }

    async fn sign_in(&self, person: &str) {
        self.fill("login_id", person).await;
        self.fill("password", PASSWORD).await;
        self.press("form button").await;
    }

    async fn end(self) {
        let _ = tokio::time::timeout(Duration::from_secs(5), self.client.clone().close()).await;
    }
}

/// Driver and screen end with the test, however it ends; the browser ends with its driver.
impl Drop for WebKit {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A screen in memory, and what it is called.
pub(crate) fn screen() -> (Child, String) {
    let mut screen = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb is missing; `make test` installs it");
    let number = BufReader::new(screen.stdout.take().unwrap()).lines().map_while(Result::ok).next();
    (screen, format!(":{}", number.expect("Xvfb named no screen")))
}

#[test]
fn webkit_signs_in_works_changes_people_and_signs_out() {
    run(async {
        // Asked for a client certificate, MiniBrowser opens a dialogue to choose a file, which no driver can close.
        let gate = Gate::builder().certificates_from_files().start().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let webkit = WebKit::start().await;
        webkit.client.goto(&gate.url("/residents?q=203#list")).await.unwrap();
        webkit.find("[name=password]").await;
        webkit.shot("webkit-sign-in").await;
        webkit.sign_in("sato").await;
        webkit.until_text("ひだまりケア").await;
        assert!(webkit.url().await.starts_with(&gate.url("/login")), "{}", webkit.url().await);
        webkit.fill("login_id", "sato").await;
        webkit.fill("password", "Himawari-2026").await;
        webkit.press("form button").await;
        webkit.until("the records", async || webkit.url().await.starts_with(&gate.url("/residents"))).await;
        // Scripts of the SaaS work: its WebSocket, and the event stream.
        webkit.client.goto(&gate.url("/notices")).await.unwrap();
        gate.saas.handle.post_notice("関所からのお知らせ");
        webkit.until_text("関所からのお知らせ").await;

        // The next person gets nothing of hers.
        webkit.client.goto(&gate.login_url("/switch")).await.unwrap();
        webkit.press("form button").await;
        webkit.find("[name=password]").await;
        webkit.sign_in("tanaka").await;
        webkit.until("the SaaS's login", async || webkit.url().await.starts_with(&gate.url("/login"))).await;

        webkit.client.goto(&gate.login_url("/sign-out")).await.unwrap();
        webkit.press("form button").await;
        webkit.until_text("ログアウトしました").await;
        assert!(gate.json(&["session", "list"]).as_array().unwrap().is_empty());
        webkit.shot("webkit-signed-out").await;
        webkit.end().await;
    });
}
