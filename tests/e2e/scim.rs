//! An identity provider pushes people and groups: SCIM 2.0 over real TLS, and what it does to who is signed in.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use demo::client::{Browser, Mode, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use vocabulary::{Clock, SystemClock, Timestamp, Zone};

use crate::harness::{Gate, HOME, OUTSIDE, Shim, eventually, run, venv};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// A gate that providers can push to.
async fn gate() -> Gate {
    gate_with("groups: { 職員: staff }").await
}

async fn gate_with(scim: &str) -> Gate {
    Gate::builder().more(&format!("identity: {{ scim: {{ {scim} }} }}\n")).start().await
}

fn url(gate: &Gate, path: &str) -> String {
    format!("https://scim.gw.localhost:{}/scim/v2{path}", gate.port)
}

/// A token as an operator makes it: its id and its text.
fn token(gate: &Gate, scope: &str, expires: &str) -> (String, String) {
    let made = gate.json(&["scim", "token", "add", "--name", "entra", "--scope", scope, "--expires", expires]);
    (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

/// A provider's cloud, which comes from anywhere.
struct Provider {
    browser: Browser,
    token: String,
}

impl Provider {
    fn new(gate: &Gate, token: &str) -> Self {
        Self { browser: gate.browser(OUTSIDE), token: token.to_owned() }
    }

    async fn ask(&mut self, method: Method, url: &str, body: Value) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", self.token)).unwrap());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        self.browser.send(method, url, Mode::Bare, headers, body).await.unwrap()
    }

    async fn create(&mut self, gate: &Gate, user_name: &str) -> String {
        let body = json!({ "schemas": [USER], "userName": user_name, "displayName": "佐藤 花子" });
        let made = self.ask(Method::POST, &url(gate, "/Users"), body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    }
}

fn patch(operations: Value) -> Value {
    let mut body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"] });
    body["Operations"] = operations;
    body
}

/// Everything in the journal, as it stands on disk.
fn journal(gate: &Gate) -> String {
    let folder = gate.data().join("audit/journal");
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        all.push_str(&String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()));
    }
    all
}

/// The records of changes, oldest first, cut out of the journal's frames.
fn changes(gate: &Gate) -> Vec<Value> {
    let journal = journal(gate);
    journal
        .match_indices("{\"v\":1,\"kind\":\"change\"")
        .filter_map(|(at, _)| serde_json::Deserializer::from_str(&journal[at..]).into_iter::<Value>().next()?.ok())
        .collect()
}

fn person<'p>(staff: &'p Value, id: &str) -> &'p Value {
    staff.as_array().unwrap().iter().find(|p| p["id"] == id).unwrap_or_else(|| panic!("{id} is not in {staff}"))
}

/// Promise 3: who is deactivated by the provider is out on the very next request, on a connection kept alive.
#[test]
fn promise_3_whom_the_provider_deactivates_is_out_on_the_next_request() {
    run(async {
        let gate = gate().await;
        let (id, secret) = token(&gate, "users,groups", "365d");
        let mut entra = Provider::new(&gate, &secret);
        let user = entra.create(&gate, "sato@sakura-kai.example").await;
        let group = json!({ "schemas": [GROUP], "displayName": "職員", "members": [{ "value": user }] });
        let group = entra.ask(Method::POST, &url(&gate, "/Groups"), group).await;
        assert_eq!(group.status, 201, "{}", group.text());
        assert_eq!(group.headers["content-type"], "application/scim+json");
        assert_eq!(person(&gate.json(&["staff", "list"]), "sato")["groups"], json!(["staff"]));

        let set = gate.cli_with_input(&["staff", "password", "sato", "--stdin"], crate::harness::PASSWORD);
        assert!(set.status.success());
        let mut sato = gate.signed_in("sato").await;
        let fetch = async |sato: &mut Browser| {
            sato.send(Method::GET, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new())
                .await
                .unwrap()
                .status
        };
        assert_eq!(fetch(&mut sato).await, 200);
        let handshakes = gate.metric("sekisho_handshakes_total{outcome=\"ok\"}").await;
        let off = patch(json!([{ "op": "Replace", "path": "active", "value": "False" }]));
        let done = entra.ask(Method::PATCH, &url(&gate, &format!("/Users/{user}")), off).await;
        assert_eq!((done.status.as_u16(), &done.json()["active"]), (200, &json!(false)));
        assert_ne!(fetch(&mut sato).await, 200, "somebody deactivated went on working");
        assert_eq!(gate.metric("sekisho_handshakes_total{outcome=\"ok\"}").await, handshakes, "on a new connection");
        assert_eq!(gate.json(&["session", "list"]), json!([]));
        assert_eq!(person(&gate.json(&["staff", "list"]), "sato")["standing"], "locked");
        let why = gate.json(&["staff", "show", "sato"])["why"].as_str().unwrap().to_owned();
        assert!(why.contains("provider scim") && why.contains("scim release") && !why.contains("unlock"), "{why}");
        let unlocked = gate.cli(&["staff", "unlock", "sato"]);
        assert!(String::from_utf8_lossy(&unlocked.stdout).contains("scim release"), "the operator was told nothing");

        // What was done is recorded, by the token's name and never its text.
        let by = format!("scim:{id}");
        let recorded: Vec<_> = changes(&gate).into_iter().filter(|c| c["by"] == by.as_str()).collect();
        let words: Vec<_> = recorded.iter().map(|c| c["what"].as_str().unwrap()).collect();
        assert_eq!(words, ["scim-user-created", "scim-group-created", "scim-groups-given", "scim-user-changed"]);
        assert_eq!((&recorded[3]["subject"], &recorded[3]["details"]["active"]), (&json!("sato"), &json!(false)));
        assert_eq!(recorded[2]["details"]["people"], json!(["sato"]));
        let asked = gate.requests(&["--app", "scim"]);
        assert!(asked.iter().all(|r| r["client"] == by.as_str() && r["decision"] == "permit"), "{asked:?}");
        assert!(journal(&gate).contains("\"cause\":\"person\""), "the session's end is not recorded");
        let random = secret.strip_prefix("sekisho_scim_").unwrap();
        assert!(!journal(&gate).contains(random) && !gate.log().contains(random), "a token was written down");
    });
}

#[test]
fn a_token_is_good_for_its_scopes_until_it_expires_or_is_revoked() {
    run(async {
        let gate = gate().await;
        let users = url(&gate, "/Users");
        let (reader, secret) = token(&gate, "users:read", "365d");
        let mut entra = Provider::new(&gate, &secret);
        assert_eq!(entra.ask(Method::GET, &users, Value::Null).await.status, 200);
        assert_eq!(entra.ask(Method::GET, &url(&gate, "/Schemas"), Value::Null).await.status, 200);
        let body = json!({ "schemas": [USER], "userName": "x" });
        let refused = entra.ask(Method::POST, &users, body).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["status"]), (403, &json!("403")));
        assert_eq!(gate.recorded("token-scope").await["client"], format!("scim:{reader}"));
        assert_eq!(entra.ask(Method::GET, &url(&gate, "/Groups"), Value::Null).await.status, 403);

        let listed = gate.json(&["scim", "token", "list"]);
        assert_eq!((&listed[0]["last_used_from"], &listed[0]["scopes"]), (&json!("127.0.0.2"), &json!("users:read")));
        assert!(gate.cli(&["scim", "token", "revoke", &reader]).status.success());
        let refused = entra.ask(Method::GET, &users, Value::Null).await;
        assert_eq!(refused.status, 401, "a revoked token was good on a kept connection");
        assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        assert!(gate.recorded("token-needed").await["client"].is_null());
        assert_eq!(gate.cli(&["scim", "token", "revoke", &reader]).status.code(), Some(1));

        for wrong in ["", "sekisho_scim_", "x", "sekisho_scim_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            let answer = Provider::new(&gate, wrong).ask(Method::GET, &users, Value::Null).await;
            assert_eq!(answer.status, 401, "{wrong}");
        }
    });
}

#[test]
fn a_token_expires_to_the_second() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::build(folder.path());
        let gate = Gate::builder()
            .more("identity: { scim: {} }\n")
            .environment("LD_PRELOAD", shim.library())
            .environment("SHIM_CLOCK", shim.clock())
            .start()
            .await;
        let start = SystemClock.now().plus_secs(3600);
        shim.stand(start);
        let (_, secret) = token(&gate, "users", "1h");
        let mut entra = Provider::new(&gate, &secret);
        let users = url(&gate, "/Users");
        shim.stand(Timestamp(start.plus_secs(3600).0 - 1));
        assert_eq!(entra.ask(Method::GET, &users, Value::Null).await.status, 200);
        shim.stand(start.plus_secs(3600));
        assert_eq!(entra.ask(Method::GET, &users, Value::Null).await.status, 401, "good after its end");
        assert_eq!(gate.json(&["scim", "token", "list"])[0]["status"], "expired");
    });
}

#[test]
fn when_a_token_was_last_used_is_known_after_a_restart() {
    run(async {
        let mut gate = gate().await;
        let (_, secret) = token(&gate, "users", "1d");
        let last_used = |gate: &Gate| gate.json(&["scim", "token", "list"])[0]["last_used"].clone();
        assert_eq!(last_used(&gate), Value::Null);
        let asked = Provider::new(&gate, &secret).ask(Method::GET, &url(&gate, "/Users"), Value::Null).await;
        assert_eq!(asked.status, 200);
        let used = last_used(&gate);
        assert!(used.is_string());
        gate.signal("TERM");
        assert!(gate.wait().success());
        assert_eq!(last_used(&gate), used, "a stop forgot it");

        // Now and then as well, so that a crash forgets little.
        gate.start().await;
        let asked = Provider::new(&gate, &secret).ask(Method::GET, &url(&gate, "/Groups"), Value::Null).await;
        assert_eq!(asked.status, 403, "known, and of no use for groups");
        eventually("the use is written down", async || {
            let store = store::Store::open_to_read(&gate.data().join("state.db")).unwrap();
            let rows = store.transaction(|tx| tx.query("SELECT used FROM scim_token", &[])).unwrap();
            let kept = Timestamp(rows[0].int(0).unwrap());
            let known = Zone::named("Asia/Tokyo").unwrap().display(kept);
            (last_used(&gate) == known.as_str()).then_some(())
        })
        .await;
    });
}

/// What stands in the record and could not be done is said to have failed.
#[test]
fn a_change_that_was_recorded_and_could_not_be_stored_is_told() {
    run(async {
        let gate = gate().await;
        let (id, secret) = token(&gate, "users", "1d");
        let mut entra = Provider::new(&gate, &secret);
        // Somebody else holds the database for longer than the gate waits for it.
        let state = store::Store::open(&gate.data().join("state.db")).unwrap();
        let ((held, holds), (release, released)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let holder = std::thread::spawn(move || {
            state.transaction(|_| {
                held.send(()).unwrap();
                let _ = released.recv();
                Ok::<_, store::StoreError>(())
            })
        });
        holds.recv().unwrap();
        let body = json!({ "schemas": [USER], "userName": "sato@x.example" });
        let refused = entra.ask(Method::POST, &url(&gate, "/Users"), body).await;
        drop(release);
        holder.join().unwrap().unwrap();
        assert_eq!(refused.status, 500, "{}", refused.text());
        let by = format!("scim:{id}");
        let recorded: Vec<_> = changes(&gate).into_iter().filter(|c| c["by"] == by.as_str()).collect();
        let words: Vec<_> = recorded.iter().map(|c| c["what"].as_str().unwrap()).collect();
        assert_eq!(words, ["scim-user-created", "scim-change-failed"]);
        assert_eq!(
            (&recorded[1]["subject"], &recorded[1]["details"]["what"]),
            (&recorded[0]["subject"], &recorded[0]["what"])
        );
        assert_eq!(gate.json(&["staff", "list"]), json!([]));
        entra.create(&gate, "sato@x.example").await;
    });
}

/// What an operator's file says of people whom a provider pushes.
#[test]
fn a_file_neither_retires_whom_a_provider_pushes_nor_takes_what_it_gives() {
    run(async {
        let gate = gate().await;
        let (_, secret) = token(&gate, "users,groups", "1d");
        let mut entra = Provider::new(&gate, &secret);
        let user = entra.create(&gate, "sato@sakura-kai.example").await;
        let group = json!({ "schemas": [GROUP], "displayName": "職員", "members": [{ "value": user }] });
        assert_eq!(entra.ask(Method::POST, &url(&gate, "/Groups"), group).await.status, 201);
        gate.add_staff("tanaka", &["staff"]);
        let file = |text: &str| {
            std::fs::write(gate.path("r.csv"), text).unwrap();
            gate.path("r.csv").to_str().unwrap().to_owned()
        };
        let without = file("id,name,groups\nsato,佐藤 花子,\n");
        let refused = gate.cli(&["staff", "import", &without, "--yes"]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1));
        assert!(why.contains("sekisho scim release sato"), "{why}");
        let others = file("id,name\ntanaka,田中\n");
        let done = gate.json(&["staff", "import", &others, "--yes", "--retire-missing"]);
        assert_eq!((&done["retired"], &done["missing"][0]["provider"]), (&json!([]), &json!("scim")));
        let shown = String::from_utf8(gate.cli(&["staff", "import", &others, "--dry-run"]).stdout).unwrap();
        assert!(shown.contains("? sato  佐藤 花子  (pushed by scim)"), "{shown}");
        assert!(person(&gate.json(&["staff", "list"]), "sato")["last_day"].is_null());
    });
}

/// Promise 1: strangers at the door are counted beyond the rate.
#[test]
fn promise_1_strangers_without_a_token_are_counted() {
    run(async {
        let gate = gate().await;
        let mut stranger = Provider::new(&gate, "guess");
        // Two minutes' worth of single records are 60, should a minute turn meanwhile.
        for _ in 0..100 {
            assert_eq!(stranger.ask(Method::GET, &url(&gate, "/Users"), Value::Null).await.status, 401);
        }
        let records = eventually("the first are recorded one by one", async || {
            Some(gate.requests(&["--app", "scim"])).filter(|records| records.len() >= 30)
        })
        .await;
        assert!(records.len() <= 60, "{} records of one stranger", records.len());
        assert!(records.iter().all(|r| r["reason"] == "token-needed"));
        assert!(gate.metric("sekisho_aggregated_total").await >= 40.0);
    });
}

#[test]
fn without_the_setting_there_is_no_such_host_and_networks_restrict_it() {
    run(async {
        let gate = Gate::usual().await;
        let answer = gate.browser(HOME).raw("scim.gw.localhost", &[b"http/1.1"]).await;
        // The gateway's own certificate is shown, which is not for this name.
        assert!(answer.is_err());

        let gate = gate_with("from: [facility]").await;
        let (_, secret) = token(&gate, "users", "1d");
        let mut outside = Provider::new(&gate, &secret);
        assert_eq!(outside.ask(Method::GET, &url(&gate, "/Users"), Value::Null).await.status, 403);
        gate.recorded("unknown-network").await;
        outside.browser.move_to(HOME);
        assert_eq!(outside.ask(Method::GET, &url(&gate, "/Users"), Value::Null).await.status, 200);
        // Nor does a token open anything else, nor a session this.
        let other = outside.ask(Method::GET, &gate.url("/echo"), Value::Null).await;
        assert_ne!(other.status, 200);
    });
}

#[test]
fn what_is_too_large_or_of_another_type_is_not_read() {
    run(async {
        let gate = gate().await;
        let (_, secret) = token(&gate, "users", "1d");
        let mut entra = Provider::new(&gate, &secret);
        let body = json!({ "schemas": [USER], "userName": "x".repeat(300_000) });
        let refused = entra.ask(Method::POST, &url(&gate, "/Users"), body).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["status"]), (413, &json!("413")));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {secret}")).unwrap());
        for (media, status) in [("application/json", 400), ("text/plain", 415)] {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
            let sent = entra
                .browser
                .send(Method::POST, &url(&gate, "/Users"), Mode::Bare, headers.clone(), deep.clone().into())
                .await;
            assert_eq!(sent.unwrap().status, status, "{media}");
        }
    });
}

/// People and groups survive the process, and a reload gives other groups.
#[test]
fn what_was_pushed_survives_a_restart_and_a_reload_maps_groups_anew() {
    run(async {
        let mut gate = gate().await;
        let (_, secret) = token(&gate, "users,groups", "1d");
        let mut entra = Provider::new(&gate, &secret);
        let user = entra.create(&gate, "sato@sakura-kai.example").await;
        let group = json!({ "schemas": [GROUP], "displayName": "職員", "members": [{ "value": user }] });
        assert_eq!(entra.ask(Method::POST, &url(&gate, "/Groups"), group).await.status, 201);
        gate.rewrite(|text| text.replace("職員: staff", "職員: visiting-nurses"));
        assert!(gate.cli(&["reload"]).status.success());
        assert_eq!(person(&gate.json(&["staff", "list"]), "sato")["groups"], json!(["visiting-nurses"]));
        gate.kill();
        gate.start().await;
        let mut entra = Provider::new(&gate, &secret);
        let found = entra.ask(Method::GET, &url(&gate, &format!("/Users/{user}")), Value::Null).await;
        assert_eq!((found.status.as_u16(), found.json()["groups"][0]["display"].clone()), (200, json!("職員")));
        assert_eq!(entra.ask(Method::DELETE, &url(&gate, &format!("/Users/{user}")), Value::Null).await.status, 204);
        let staff = gate.json(&["staff", "list"]);
        assert_eq!(
            (&person(&staff, "sato")["standing"], &person(&staff, "sato")["groups"]),
            (&json!("locked"), &json!([]))
        );
    });
}

/// `scim2-tester`, which nobody here wrote, finds nothing against RFC 7643 and 7644.
#[test]
fn an_independent_suite_finds_nothing() {
    run(async {
        let gate = gate().await;
        let (_, secret) = token(&gate, "users,groups", "1d");
        let root = gate.data().join("ca/server-root.pem");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e");
        let (url, script) = (url(&gate, ""), folder.join("scim_tester.py"));
        let tester = tokio::task::spawn_blocking(move || {
            let python = venv("scim-tester", &folder.join("scim_tester.txt"));
            Command::new(python).arg(script).arg(url).arg(root).env("SCIM_TOKEN", secret).output().unwrap()
        });
        let output = tester.await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        println!("{said}");
    });
}
