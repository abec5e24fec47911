//! Who was in the SaaS, under which of its login IDs, and what they opened there: as the gate sees it go by, told by
//! the command line.

use std::path::Path;

use bytes::Bytes;
use demo::client::{Browser, Mode};
use http::{HeaderMap, Method};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Gate, GateBuilder, HOME, Heard, RawSaas, SAAS_HOST, Then, eventually, run};

const HOST: &str = "hidamari.gw.localhost";
const SHARED: &str = "sakura-kyoyo";
const SHARED_PASSWORD: &str = "Hidamari-1234";

fn demo_gate() -> GateBuilder {
    Gate::builder().app(&["recipe: demo"]).more("audit: { log: { seal_every: 1s } }\n")
}

async fn log_in(gate: &Gate, browser: &mut Browser, id: &str, password: &str) -> u16 {
    browser.submit(&gate.url("/login"), &[("login_id", id), ("password", password)]).await.unwrap().status.as_u16()
}

/// Each `column` of `sekisho audit …`, once there are so many rows: what is seen in passing is written a moment later.
async fn rows(gate: &Gate, asked: &[&str], many: usize) -> Vec<Value> {
    eventually(&format!("{many} rows of {asked:?}"), async || {
        let output = gate.cli(&[&["audit"], asked, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(rows.len() <= many, "{} rows instead of {many}: {rows:#?}", rows.len());
        (rows.len() == many).then_some(rows)
    })
    .await
}

fn column<'v>(rows: &'v [Value], key: &str) -> Vec<&'v str> {
    rows.iter().map(|row| row[key].as_str().unwrap_or("-")).collect()
}

#[test]
fn a_night_in_the_demo_is_told_as_it_was() {
    run(async {
        let mut gate = demo_gate().start().await;
        gate.add_staff("sato", &["staff"]);
        gate.add_staff("suzuki", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        assert_eq!(log_in(&gate, &mut sato, SHARED, "wrong").await, 401);
        assert_eq!(log_in(&gate, &mut sato, "my-password-in-the-wrong-field", "x").await, 401);
        assert_eq!(log_in(&gate, &mut sato, SHARED, SHARED_PASSWORD).await, 200);
        assert_eq!(sato.open(&gate.url("/residents/101")).await.unwrap().status, 200);
        assert_eq!(sato.open(&gate.url("/residents/export")).await.unwrap().status, 200);
        sato.submit(&gate.url("/logout"), &[]).await.unwrap();

        // A colleague comes in under the same ID; in the middle of it the gate is killed and starts again.
        let mut suzuki = gate.signed_in("suzuki").await;
        log_in(&gate, &mut suzuki, SHARED, SHARED_PASSWORD).await;
        rows(&gate, &["logins", "--person", "suzuki"], 1).await;
        gate.kill();
        gate.start().await;
        suzuki.find_at(HOST, ([127, 0, 0, 1], gate.port).into());
        assert_eq!(suzuki.open(&gate.url("/residents/102")).await.unwrap().status, 200);
        // The SaaS ends the session by itself.
        let cookie = saas_cookie(&suzuki);
        past_the_gate(&gate, Method::POST, "/logout", &cookie).await;
        assert!(suzuki.open(&gate.url("/residents")).await.unwrap().url.ends_with("/login?next=/residents"));

        let logins = rows(&gate, &["logins"], 4).await;
        assert_eq!(column(&logins, "person"), ["sato", "sato", "sato", "suzuki"]);
        assert_eq!(column(&logins, "result"), ["failed", "failed", "ok", "ok"]);
        assert_eq!(column(&logins, "cause"), ["wrong-password", "wrong-password", "-", "-"]);
        let ids = column(&logins, "saas_id");
        // What was typed stands there only if the SaaS has accepted it before.
        assert!(ids[0].starts_with('#') && ids[1].starts_with('#') && ids[0] != ids[1], "{ids:?}");
        assert_eq!(&ids[2..], [SHARED, SHARED]);
        let ended = rows(&gate, &["logins", "--result", "ok"], 2).await;
        assert_eq!(column(&ended, "end_cause"), ["logout", "expired"]);
        // The page after the login, two more, and what ended it. Of those before a crash the newest may not be counted.
        assert_eq!(ended[0]["requests"], json!(4));
        assert!((2..=3).contains(&ended[1]["requests"].as_u64().unwrap()), "{}", ended[1]);
        assert_eq!(column(&ended, "inside"), ["-", "-"], "told as booleans");
        assert_eq!(ended[0]["inside"], json!(true));

        let shared = rows(&gate, &["shared-ids"], 2).await;
        assert_eq!(column(&shared, "person"), ["sato", "suzuki"]);
        let opened = rows(&gate, &["subject", "resident/101"], 1).await;
        assert_eq!((&opened[0]["person"], &opened[0]["operation"]), (&json!("sato"), &json!("resident")));
        let exports = rows(&gate, &["operations", "--exports"], 1).await;
        assert_eq!((&exports[0]["operation"], &exports[0]["action"]), (&json!("residents-export"), &json!("download")));
        // In a table it has its name, and what has none says so.
        let table = |arguments: &[&str]| String::from_utf8(gate.cli(arguments).stdout).unwrap();
        let operations = table(&["audit", "operations", "--person", "sato", "--lang", "ja"]);
        assert!(operations.contains("利用者一覧のCSV出力"), "{operations}");
        assert!(operations.lines().any(|line| line.contains("/echo") && line.contains("特定不可")), "{operations}");
        let inouts = rows(&gate, &["operations", "--person", "sato", "--operation", "login"], 3).await;
        assert_eq!(column(&inouts, "path"), ["/login"; 3]);
        let coverage = table(&["recipe", "coverage", "hidamari"]);
        assert!(coverage.contains("/echo") && !coverage.contains("/.sekisho/"), "{coverage}");
        // Requests name the login that they were made under, through the restart too.
        let hers = gate.requests(&["--person", "suzuki", "--app", "hidamari"]);
        let of = |path: &str| hers.iter().find(|request| request["path"] == path).unwrap()["login"].clone();
        assert!(of("/residents/102").is_string());
        assert_eq!(of("/residents/102"), of("/"), "{hers:#?}");
        let day = table(&["audit", "person", "suzuki", "--lang", "en"]);
        assert!(["login", "login-end", "A resident's record"].iter().all(|word| day.contains(word)), "{day}");
        let warnings = gate.warnings();
        assert!(warnings.iter().all(|warning| warning.contains("the journal was not closed")), "{warnings:?}");
    });
}

/// The demo's own cookie in a browser.
fn saas_cookie(browser: &Browser) -> String {
    let all = browser.cookies(HOST);
    all.split("; ").find(|cookie| cookie.starts_with("hidamari_session=")).unwrap().to_owned()
}

/// Asks the SaaS itself.
async fn past_the_gate(gate: &Gate, method: Method, path: &str, cookie: &str) {
    let mut setup = gate.setup(HOME);
    setup.roots = CertificateDer::pem_slice_iter(gate.saas.root_pem.as_bytes()).map(Result::unwrap).collect();
    setup.server = ([127, 0, 0, 1], gate.saas.port()).into();
    let mut browser = Browser::new(setup);
    browser.set_cookie(SAAS_HOST, &format!("{cookie}; Path=/; Secure"));
    let origin = format!("https://{SAAS_HOST}:{}", gate.saas.port());
    let headers = HeaderMap::from_iter([(http::header::ORIGIN, origin.parse().unwrap())]);
    let answer = browser.send(method, &format!("{origin}{path}"), Mode::Fetch, headers, Bytes::new()).await.unwrap();
    assert!(
        !answer.status.is_client_error() && !answer.status.is_server_error(),
        "{} {}",
        answer.status,
        answer.text()
    );
}

#[test]
fn a_login_that_began_elsewhere_is_told_as_such() {
    run(async {
        let gate = demo_gate().start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        log_in(&gate, &mut sato, SHARED, SHARED_PASSWORD).await;
        let cookie = saas_cookie(&sato);
        // The same session in a browser where nobody logged in through the gate.
        let mut other = gate.signed_in("sato").await;
        other.set_cookie(HOST, "hidamari_session=nobody-s; Path=/; Secure");
        assert!(other.open(&gate.url("/residents")).await.unwrap().url.contains("/login"), "the SaaS does not take it");
        other.set_cookie(HOST, &format!("{cookie}; Path=/; Secure"));
        for _ in 0..3 {
            assert_eq!(other.open(&gate.url("/residents")).await.unwrap().status, 200);
        }
        let logins = rows(&gate, &["logins"], 2).await;
        assert_eq!(column(&logins, "result"), ["ok", "elsewhere"]);
        assert_eq!(column(&logins, "saas_id"), [SHARED, "-"]);
        // A further login in the same browser takes its place; one that fails does not.
        assert_eq!(log_in(&gate, &mut sato, SHARED, "wrong").await, 401);
        assert_eq!(sato.open(&gate.url("/residents/101")).await.unwrap().status, 200);
        log_in(&gate, &mut sato, SHARED, SHARED_PASSWORD).await;
        let logins = rows(&gate, &["logins"], 4).await;
        assert_eq!(column(&logins, "result"), ["ok", "elsewhere", "failed", "ok"]);
        assert_eq!(column(&logins, "saas_id"), [SHARED, "-", SHARED, SHARED], "by now the ID is known");
        assert_eq!(column(&logins, "end_cause"), ["replaced", "継続中", "-", "継続中"]);
    });
}

/// Kaipoke's JSF login: everything is a POST to one page, and a failure is that page again.
fn kaipoke(heard: &Heard) -> Answer {
    const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=UTF-8\r\nSet-Cookie: JSESSIONID=anonymous; \
                        Path=/kaipokebiz; Secure; HttpOnly\r\nContent-Length: 6\r\n\r\n<html>";
    const IN: &str = "HTTP/1.1 302 Found\r\nLocation: /kaipokebiz/common/COM020101.do?fromBP=true\r\n\
                      Content-Length: 0\r\n\r\n";
    const OUT: &str = "HTTP/1.1 302 Found\r\nLocation: /kaipokebiz/login/COM020102.do\r\nContent-Length: 0\r\n\r\n";
    let body = String::from_utf8_lossy(&heard.body);
    match heard.target().split('?').next().unwrap_or_default() {
        "/kaipokebiz/login/COM020102.do" if body.contains("password=right") => Answer(IN, Then::GoOn),
        "/kaipokebiz/login/COM020102.do" => Answer(PAGE, Then::GoOn),
        "/kaipokebiz/business/MEM087101.do" if heard.target().contains("late") => Answer(OUT, Then::GoOn),
        _ => Answer::fine(),
    }
}

#[test]
fn kaipoke_s_login_is_read_and_another_facility_s_account_is_refused() {
    run(async {
        let saas = RawSaas::start(kaipoke).await;
        let gate = Gate::builder()
            .upstream(&saas)
            .app(&["recipe: kaipoke", "account: \"1234567890\""])
            .more("audit: { log: { seal_every: 1s } }\n")
            .start()
            .await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let login = gate.url("/kaipokebiz/login/COM020102.do?code=login/");
        let fields = |account: &'static str, id: &'static str, password: &'static str| {
            [
                ("form", "form"),
                ("form:corporation_id", account),
                ("form:member_login_id", id),
                ("form:password", password),
                ("form:logn_nochklogin", "ログイン"),
                ("javax.faces.ViewState", "j_id1"),
            ]
        };
        sato.open(&login).await.unwrap();
        sato.submit(&login, &fields("1234567890", "sato01", "wrong")).await.unwrap();
        let home = sato.submit(&login, &fields("1234567890", "sato01", "right")).await.unwrap();
        assert!(home.url.contains("COM020101.do"), "{}", home.url);
        let heard = saas.heard().iter().filter(|heard| heard.head.starts_with("POST")).count();
        let refused = sato.submit(&login, &fields("9999999999", "sato01", "right")).await.unwrap();
        assert_eq!(refused.status, 403, "{}", refused.text());
        let after = saas.heard().iter().filter(|heard| heard.head.starts_with("POST")).count();
        assert_eq!((heard, after), (2, 2), "what is another's does not reach the SaaS");
        assert_eq!(gate.recorded("wrong-account").await["person"], "sato");
        sato.open(&gate.url("/kaipokebiz/business/MEM087101.do?conversationContext=3")).await.unwrap();
        sato.open(&gate.url("/kaipokebiz/business/MEM087101.do?late")).await.unwrap();

        let logins = rows(&gate, &["logins"], 2).await;
        assert_eq!(column(&logins, "result"), ["failed", "ok"]);
        assert_eq!(column(&logins, "account"), ["1234567890"; 2]);
        assert_eq!(column(&logins, "saas_id")[1], "sato01");
        assert_eq!(column(&logins, "end_cause"), ["-", "expired"]);
        let operations = rows(&gate, &["operations", "--operation", "monthly-results-view"], 2).await;
        assert_eq!(column(&operations, "action"), ["view"; 2]);
        // What the SaaS got is what the browser sent.
        let sent =
            saas.heard().into_iter().find(|heard| String::from_utf8_lossy(&heard.body).contains("right")).unwrap();
        let body = String::from_utf8(sent.body.clone()).unwrap();
        assert!(body.starts_with("form=form&form%3Acorporation_id=1234567890&"), "{body}");
        assert_eq!(sent.values("content-length"), [body.len().to_string()]);
    });
}

/// cybozu.com's login: JSON first, then a form that leads on.
fn cybozu(heard: &Heard) -> Answer {
    let body = String::from_utf8_lossy(&heard.body);
    match heard.target().split('?').next().unwrap_or_default() {
        "/api/auth/login.json" if body.contains("right") => Answer(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 42\r\n\r\n",
            Then::Say("{\"success\":true,\"redirect\":\"/api/auth/re\"}"),
        ),
        "/api/auth/login.json" => Answer(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n",
            Then::Say("{\"success\":false}"),
        ),
        "/api/auth/redirect.do" => {
            Answer("HTTP/1.1 302 Found\r\nLocation: /k/\r\nContent-Length: 0\r\n\r\n", Then::GoOn)
        }
        _ => Answer::fine(),
    }
}

#[test]
fn cybozu_s_two_steps_are_one_login() {
    run(async {
        let saas = RawSaas::start(cybozu).await;
        let gate = Gate::builder()
            .upstream(&saas)
            .app(&["recipe: cybozu", "account: sakura"])
            .more("audit: { log: { seal_every: 1s } }\n")
            .start()
            .await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        for (password, many) in [("wrong", 1), ("right", 2)] {
            let body = json!({ "username": "sato@sakura", "password": password, "keepUsername": false }).to_string();
            let headers = HeaderMap::from_iter([
                (http::header::CONTENT_TYPE, "application/json".parse().unwrap()),
                (http::header::ORIGIN, gate.url("").trim_end_matches('/').parse().unwrap()),
            ]);
            let answer =
                sato.send(Method::POST, &gate.url("/api/auth/login.json"), Mode::Fetch, headers, body.into()).await;
            assert_eq!(answer.unwrap().status, 200);
            rows(&gate, &["logins"], many).await;
        }
        let home = sato
            .submit(&gate.url("/api/auth/redirect.do"), &[("username", "sato@sakura"), ("password", "right")])
            .await
            .unwrap();
        assert!(home.url.ends_with("/k/"), "{}", home.url);
        sato.open(&gate.url("/k/v1/record.json?app=8&id=100")).await.unwrap();
        let logins = rows(&gate, &["logins"], 3).await;
        assert_eq!(column(&logins, "result"), ["failed", "second-step", "ok"]);
        assert_eq!(column(&logins, "saas_id")[2], "sato@sakura");
        let operations = rows(&gate, &["operations", "--operation", "kintone-record-read"], 1).await;
        assert_eq!(operations[0]["person"], "sato");
        let request = &gate.requests(&["--path", "/k/v1/record.json"])[0];
        assert!(request["login"].is_string(), "{request}");
    });
}

/// An old system: Shift_JIS, and one address for everything.
fn old(heard: &Heard) -> Answer {
    // `メニュー` and `暗証が違います`.
    const MENU: &[u8] = b"<h1>\x83\x81\x83\x6a\x83\x85\x81\x5b</h1>";
    const WRONG: &[u8] = b"<p>\x88\xc3\x8f\xd8\x82\xaa\x88\xe1\x82\xa2\x82\xdc\x82\xb7</p>";
    const HEAD: [&str; 2] = [
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=Shift_JIS\r\nSet-Cookie: SESSID=1; Path=/\r\n\
         Content-Length: 17\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=Shift_JIS\r\nContent-Length: 21\r\n\r\n",
    ];
    match String::from_utf8_lossy(&heard.body) {
        body if body.contains("right") => Answer(HEAD[0], Then::SayBytes(MENU)),
        body if body.contains("wrong") => Answer(HEAD[1], Then::SayBytes(WRONG)),
        _ => Answer::fine(),
    }
}

/// As a browser encodes a form on a Shift_JIS page.
fn shift_jis(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode(text);
        let plain = |byte: &u8| byte.is_ascii_alphanumeric();
        bytes.iter().map(|b| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

#[test]
fn a_shift_jis_page_is_read_as_its_people_do() {
    run(async {
        let saas = RawSaas::start(old).await;
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/recipes/old-care.yaml");
        let more = format!("recipes: [ \"{}\" ]\naudit: {{ log: {{ seal_every: 1s }} }}\n", recipe.display());
        let gate = Gate::builder().upstream(&saas).app(&["recipe: old-care"]).more(&more).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let login =
            |password| shift_jis(&[("処理", "ログイン"), ("事業所", "さくら"), ("職員番号", "12"), ("暗証", password)]);
        let bodies = [
            login("wrong"),
            login("right"),
            shift_jis(&[("処理", "照会"), ("番号", "0042")]),
            shift_jis(&[("処理", "印刷")]),
            shift_jis(&[("処理", "その他")]),
        ];
        for (body, status) in bodies.into_iter().zip([200, 200, 200, 200, 403]) {
            let headers = HeaderMap::from_iter([
                (http::header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap()),
                (http::header::ORIGIN, gate.url("").trim_end_matches('/').parse().unwrap()),
            ]);
            let answer =
                sato.send(Method::POST, &gate.url("/main.cgi"), Mode::Fetch, headers, body.into()).await.unwrap();
            // What the recipe can't tell apart is unknown, which no rule here allows.
            assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        }
        let logins = rows(&gate, &["logins"], 2).await;
        assert_eq!(column(&logins, "result"), ["failed", "ok"]);
        assert_eq!(column(&logins, "cause"), ["wrong-password", "-"]);
        assert_eq!(column(&logins, "saas_id")[1], "さくら/12");
        let opened = rows(&gate, &["subject", "resident/0042"], 1).await;
        assert_eq!(opened[0]["operation"], "resident");
        let printed = rows(&gate, &["operations", "--operation", "list"], 1).await;
        assert_eq!(printed[0]["action"], "download");
    });
}

/// What a page of the app sends.
async fn post(gate: &Gate, browser: &mut Browser, path: &str, more: &[(&str, &str)], body: String) -> u16 {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let origin = gate.url("");
    let lines = [kind, ("origin", origin.trim_end_matches('/'))].into_iter().chain(more.iter().copied());
    let headers: HeaderMap =
        lines.map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect();
    let answer = browser.send(Method::POST, &gate.url(path), Mode::Fetch, headers, body.into()).await.unwrap();
    answer.status.as_u16()
}

/// A body is read once. One that is as long as the button of a kept form is looked at by two, and neither may make the
/// other see nothing.
#[test]
fn what_is_as_long_as_our_own_button_is_recognised_all_the_same() {
    run(async {
        let saas = RawSaas::start(|_| Answer::fine()).await;
        let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/recipes/marked.yaml");
        let more = format!("recipes: [ \"{recipe}\" ]\naudit: {{ log: {{ seal_every: 1s }} }}\n");
        let gate = Gate::builder().upstream(&saas).app(&["recipe: marked"]).more(&more).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        sato.set_cookie(HOST, "__Host-sekisho-held=anything; Path=/; Secure");
        let pad = |body: &str| format!("{body}&pad={}", "x".repeat(58 - 5 - body.len()));
        assert_eq!(post(&gate, &mut sato, "/by-form", &[], pad("save=1&id=7")).await, 200);
        assert_eq!(
            post(&gate, &mut sato, "/saas-login", &[], pad("kind=normal&office=1&login_id=2&password=3")).await,
            200
        );
        let heard = saas.heard();
        let bodies: Vec<_> =
            heard.iter().filter(|heard| heard.head.starts_with("POST")).map(|h| h.body.len()).collect();
        assert_eq!(bodies, [58, 58]);
        let saved = rows(&gate, &["operations", "--operation", "by-form"], 1).await;
        assert_eq!(saved[0]["subject"], "resident/7");
        rows(&gate, &["logins"], 1).await;
        // One that doesn't match what a recipe tells apart by its body stays unknown, which no rule allows here.
        assert_eq!(post(&gate, &mut sato, "/by-form", &[], pad("other=1")).await, 403);
        // Too long to be looked into: nobody logs in unseen.
        let long = format!("kind=normal&office=1&login_id=2&password=3&pad={}", "x".repeat(70_000));
        assert_eq!(post(&gate, &mut sato, "/saas-login", &[], long).await, 403);
        let fits = format!("save=1&id=8&pad={}", "x".repeat(65_536 - 16));
        assert_eq!(post(&gate, &mut sato, "/by-form", &[("expect", "100-continue")], fits).await, 200);
        let heard = saas.heard_of("/by-form");
        assert_eq!(heard.last().unwrap().body.len(), 65_536, "what pingora keeps is sent whole");
    });
}

/// A page that fails, but breaks off before it says so; one that says so after more than is looked at.
fn breaks_off(heard: &Heard) -> Answer {
    match heard.target() {
        "/login" if heard.body.starts_with(b"early") => Answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: hidamari_session=1; Path=/\r\nContent-Length: 400\r\n\r\n<html>",
            Then::Close,
        ),
        _ => Answer::fine(),
    }
}

#[test]
fn an_answer_that_broke_off_is_no_success() {
    run(async {
        let saas = RawSaas::start(breaks_off).await;
        let folder = tempfile::tempdir().unwrap();
        let recipe = folder.path().join("broken.yaml");
        std::fs::write(
            &recipe,
            r#"
recipe: broken
title: { ja: 途中, en: Broken }
confidence: { level: verified, as_of: 2026-11, known: a, unknown: b, terms: c }
session: { cookies: [hidamari_session] }
logins:
  - path: /login
    id: [{ form: early }]
    password: { form: password }
    ok: [{ status: [200], cookie: hidamari_session }]
    failed: [{ status: [200], text: wrong password }]
"#,
        )
        .unwrap();
        let more = format!("recipes: [ {} ]\naudit: {{ log: {{ seal_every: 1s }} }}\n", recipe.display());
        let gate = Gate::builder().upstream(&saas).app(&["recipe: broken"]).more(&more).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let origin = gate.url("");
        let headers: HeaderMap = [kind, ("origin", origin.trim_end_matches('/'))]
            .into_iter()
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let body = Bytes::from("early=my-secret-word&password=x");
        let _ = sato.send(Method::POST, &gate.url("/login"), Mode::Fetch, headers, body).await;
        let logins = rows(&gate, &["logins"], 1).await;
        assert_eq!(logins[0]["result"], "unknown");
        assert!(logins[0]["saas_id"].as_str().unwrap().starts_with('#'), "{}", logins[0]);
    });
}
