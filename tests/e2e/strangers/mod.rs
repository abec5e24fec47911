//! Software nobody here wrote behind the gate, used in headless Chromium as its users do, and compared with the same
//! use without the gate: what the browser complains of, which requests fail, where requests go.
//!
//! | file | whose software | what it is strict about |
//! |---|---|---|
//! | `dokuwiki.rs` | Debian's DokuWiki (PHP) | form tokens, sessions, uploads by script, downloads |
//! | `django.rs` | Django's admin (PyPI) | Origin and Referer of every form, `__Host-` cookies, pop-up windows |
//! | `jupyter.rs` | JupyterLab (PyPI) | Host, Origin and XSRF tokens; WebSockets with a subprotocol, which carry all work |
//!
//! Debian's packages come from `deploy/setup.sh test`, Python's into `target/strangers` from
//! `tests/strangers/requirements.txt`, once. Screenshots of both runs are left in `target/screenshots`.

mod django;
mod dokuwiki;
mod jupyter;
mod server;
mod traffic;

use std::collections::BTreeSet;
use std::path::Path;

use fantoccini::key::Key;
use serde_json::Value;

use crate::browser::Chromium;
use crate::harness::{Gate, PASSWORD, eventually};

use server::Stranger;
use traffic::Traffic;

/// What people type at the stranger's own login.
const LOGIN: &str = "hanako";
const LOGIN_PASSWORD: &str = "momo-kuri-3-nen-kaki-8-nen";

/// One use of an application, in one browser.
struct Visit<'a> {
    chromium: Chromium,
    /// Where the browser finds the application, without a path.
    base: String,
    /// `straight` or `gated`.
    run: &'static str,
    stranger: &'a Stranger,
    traffic: Traffic,
    /// What must not be written down by the gate: passwords, cookies, form tokens.
    secrets: BTreeSet<String>,
    full_addresses: BTreeSet<String>,
}

/// How an application is set up behind the gate today, and what of it does not work there yet.
struct Setup {
    /// Its first page, from which signing in to the gate begins.
    home: &'static str,
    /// The app's `actions` as an operator would write them, in flow style.
    actions: &'static str,
    /// Paths that browsers fetch without cookies by themselves: the gate can't know who asks and answers 401. Only hosts that
    /// are called `static` have such requests pass; with crossorigin="use-credentials" on their links these would too.
    without_cookies: &'static [&'static str],
    /// Where pages name their own host in full: tag, attribute, and the address in its normal form. Bodies pass unread,
    /// so these lead around the gate, until they are rewritten. No browser follows them by itself.
    full_addresses: &'static [&'static str],
}

/// What the gate has written down of an application.
struct Recorded {
    /// Its requests.
    requests: Vec<Value>,
    /// Logins to it, as `sekisho audit logins` tells them.
    logins: Vec<Value>,
}

/// The same scenario straight to the application and through the gate, and what has to hold of the two.
#[allow(clippy::print_stdout, reason = "the counts are what people want to see of it")]
async fn compare(start: impl AsyncFn() -> Stranger, setup: Setup, scenario: impl AsyncFn(&mut Visit<'_>)) -> Recorded {
    let stranger = start().await;
    let theirs = stranger.authority();
    let root = stranger.folder().join("root.pem");
    let chromium = Chromium::start_watched(&[&root], "en", 1280, 900).await;
    let mut visit = Visit::new(chromium, stranger.origin(), "straight", &stranger);
    scenario(&mut visit).await;
    let (straight, ..) = visit.end().await;
    println!("{} without the gate: {straight}", stranger.id);
    drop(stranger);

    let stranger = start().await;
    let gate = stranger.gate(setup.actions).await;
    gate.add_staff("sato", &["staff"]);
    let base = format!("https://{}.gw.localhost:{}", stranger.id, gate.port);
    // The gate's root alone: what went around the gate would not even get a TLS connection.
    let root = gate.data().join("ca/server-root.pem");
    let chromium = Chromium::start_watched(&[&root], "en", 1280, 900).await;
    let mut visit = Visit::new(chromium, base, "gated", &stranger);
    visit.sign_in_to_the_gate(setup.home).await;
    scenario(&mut visit).await;
    let (gated, secrets, full_addresses) = visit.end().await;
    println!("{} through the gate: {gated}", stranger.id);

    let known = |line: &str| setup.without_cookies.iter().any(|path| line.contains(path));
    let new = |gated: &BTreeSet<String>, straight: &BTreeSet<String>| -> Vec<String> {
        gated.difference(straight).filter(|line| !known(line)).cloned().collect()
    };
    assert_eq!(new(&gated.errors, &straight.errors), [""; 0], "console errors that come with the gate");
    assert_eq!(new(&gated.failed, &straight.failed), [""; 0], "requests that fail with the gate");
    for path in setup.without_cookies {
        let refused = format!("GET https://HOST{path}: 401");
        assert!(gated.failed.contains(&refused), "{path} is no longer refused: a gap was closed");
    }
    assert_eq!(straight.hosts, BTreeSet::from([theirs]), "without the gate, requests went elsewhere");
    let ours = ["login", stranger.id].map(|label| format!("{label}.gw.localhost:{}", gate.port));
    assert_eq!(gated.hosts, BTreeSet::from(ours), "requests went around the gate");
    assert_eq!(gated.sockets, straight.sockets, "WebSockets, and what was spoken in them");
    assert_eq!(full_addresses.iter().map(String::as_str).collect::<Vec<_>>(), setup.full_addresses);

    // Every request of the application's stands in the record, as hers.
    let recorded = gate.requests(&["--app", stranger.id]);
    let (hers, before): (Vec<_>, Vec<_>) = recorded.iter().partition(|r| r["person"] == "sato");
    for request in &hers {
        assert_eq!(request["decision"], "permit", "{request}");
    }
    for request in &before {
        let path = request["path"].as_str().unwrap();
        let signing_in = path == setup.home || path.starts_with("/.sekisho/ticket");
        assert!(signing_in || setup.without_cookies.contains(&path), "nobody's: {request}");
    }
    let at_the_door = gate.requests(&["--app", "login"]).len();
    assert!(recorded.len() + at_the_door >= gated.sent(), "{} + {at_the_door} of {gated}", recorded.len());
    keeps_no_secret(&gate, &secrets);
    // Nothing went wrong, so nothing may wake anybody: pages are left and requests given up all day long.
    assert_eq!(gate.warnings(), [""; 0], "the gate warns of what went well");
    // The end of a logout's answer is written a moment later.
    let logins = eventually("every login but elsewhere's has ended", async || {
        let output = gate.cli(&["audit", "logins", "--json"]);
        let lines = String::from_utf8(output.stdout).unwrap();
        let logins: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        logins.iter().all(|login| login["result"] != "ok" || login["ended"].is_string()).then_some(logins)
    })
    .await;
    Recorded { requests: recorded, logins }
}

/// That somebody did this, by the recipe: an operation and its subject.
fn assert_named(recorded: &Recorded, operation: &str, subject: Option<&str>) {
    let wanted = (&Value::from(operation), &Value::from(subject));
    let found = recorded.requests.iter().any(|r| (&r["operation"], &r["subject"]) == wanted);
    let all = || -> BTreeSet<String> {
        let named = recorded.requests.iter().map(|r| format!("{} {} {}", r["operation"], r["subject"], r["path"]));
        named.collect()
    };
    assert!(found, "no {operation} {subject:?} in {:#?}", all());
}

/// One that failed, and one that went well until its end.
fn assert_logged_in(recorded: &Recorded) {
    let told = recorded.logins.iter().map(|login| {
        let word = |key: &str| login[key].as_str().unwrap_or("-").to_owned();
        [word("person"), word("result"), word("cause"), word("end_cause")].join(" ")
    });
    assert_eq!(told.collect::<Vec<_>>(), ["sato failed wrong-password -", "sato ok - logout"]);
    assert_eq!(recorded.logins[1]["saas_id"], LOGIN);
    assert_eq!(recorded.logins[0]["saas_id"].as_str().map(|id| id.starts_with('#')), Some(true));
}

/// That somebody did this, by the record; `path`: masked, as it stands there.
fn assert_recorded(recorded: &Recorded, action: &str, method: &str, path: &str) {
    let wanted = (&Value::from(action), &Value::from(method), &Value::from(path));
    let found = recorded.requests.iter().any(|r| {
        // What looked like a view may have turned out to be a download.
        let action = r["outcome"].get("action").unwrap_or(&r["action"]);
        r["person"] == "sato" && (action, &r["method"], &r["path"]) == wanted
    });
    let lines = || -> BTreeSet<String> {
        recorded.requests.iter().map(|r| format!("{} {} {}", r["action"], r["method"], r["path"])).collect()
    };
    assert!(found, "no {action} {method} {path} in {:#?}", lines());
}

/// None of these stands in any file of the gate's data folder, or in its log at debug level.
fn keeps_no_secret(gate: &Gate, secrets: &BTreeSet<String>) {
    assert!(secrets.len() > 2, "hardly any secrets were met: {}", secrets.len());
    let mut written = vec![("the log".to_owned(), gate.log())];
    assert!(gate.log().contains("DEBUG"), "the log is not at debug level");
    collect(gate.data(), &mut written);
    assert!(written.iter().any(|(_, text)| text.contains(r#""person":"sato""#)), "the record was not found");
    for secret in secrets {
        for (place, text) in &written {
            assert!(!text.contains(secret), "{secret} stands in {place}");
        }
    }
}

fn collect(folder: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, into),
            // Sockets can't be read, and hold nothing.
            false => into.extend(
                std::fs::read(&path)
                    .ok()
                    .map(|bytes| (path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned())),
            ),
        }
    }
}

impl<'a> Visit<'a> {
    fn new(chromium: Chromium, base: String, run: &'static str, stranger: &'a Stranger) -> Self {
        let secrets = BTreeSet::from([LOGIN_PASSWORD.to_owned()]);
        let (traffic, full_addresses) = (Traffic::default(), BTreeSet::new());
        Self { chromium, base, run, stranger, traffic, secrets, full_addresses }
    }

    async fn sign_in_to_the_gate(&mut self, home: &str) {
        self.open(home).await;
        self.chromium.fill("login_id", "sato").await;
        self.chromium.fill("password", PASSWORD).await;
        self.chromium.press("form button").await;
        let base = self.base.clone();
        self.until(&format!("return location.origin === '{base}'")).await;
        self.secrets.insert(PASSWORD.to_owned());
    }

    async fn open(&self, path: &str) {
        self.chromium.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// Clicks by script: some pages scroll themselves, slowly, and a pointer would miss.
    async fn click(&self, css: &str) {
        self.chromium.find(css).await;
        self.chromium.client.execute(&format!("document.querySelector({css:?}).click()"), vec![]).await.unwrap();
    }

    /// Types into a field, in place of what stood there.
    async fn fill(&self, css: &str, text: &str) {
        let field = self.chromium.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Sends keys to whatever has the focus.
    async fn keys(&self, keys: &[Key]) {
        let text: String = keys.iter().map(|key| char::from(*key)).collect();
        self.chromium.client.active_element().await.unwrap().send_keys(&text).await.unwrap();
    }

    /// Waits until a script's answer is true.
    async fn until(&self, script: &str) {
        self.chromium.until_true(script).await;
    }

    /// Waits until an element holds these words.
    async fn until_in(&self, css: &str, words: &str) {
        self.until(&format!(
            "return [...document.querySelectorAll({css:?})].some(e => e.textContent.includes({words:?}))"
        ))
        .await;
    }

    /// A picture of the page, and a look at the addresses in it.
    async fn shot(&mut self, name: &str) {
        let script = "return [...document.querySelectorAll('*')].flatMap(e => [...e.attributes]\
            .filter(a => a.value.includes(arguments[0])).map(a => `${e.localName} ${a.name}: ${a.value}`))";
        let authority = vec![self.stranger.authority().into()];
        let found = self.chromium.client.execute(script, authority).await.unwrap();
        self.full_addresses.extend(found.as_array().unwrap().iter().filter_map(Value::as_str).map(traffic::normal));
        self.chromium.shot(&format!("stranger-{}-{name}-{}", self.stranger.id, self.run)).await;
    }

    /// Remembers the cookies of this page, and the values of these fields, as secrets.
    async fn note_secrets(&mut self, fields: &str) {
        let cookies = self.chromium.client.get_all_cookies().await.unwrap();
        let mut met: Vec<String> = cookies.iter().map(|cookie| cookie.value().to_owned()).collect();
        let script = format!("return [...document.querySelectorAll({fields:?})].map(e => e.value || '')");
        let tokens = self.chromium.client.execute(&script, vec![]).await.unwrap();
        met.extend(tokens.as_array().unwrap().iter().filter_map(Value::as_str).map(str::to_owned));
        // What is shorter is a setting, not a secret.
        self.secrets.extend(met.into_iter().filter(|value| value.len() >= 16));
    }

    async fn end(mut self) -> (Traffic, BTreeSet<String>, BTreeSet<String>) {
        self.traffic.take(&self.chromium).await;
        self.chromium.end().await;
        (self.traffic, self.secrets, self.full_addresses)
    }
}
