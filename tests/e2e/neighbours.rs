//! What a SaaS's scripts can do, in headless Chromium: to other apps under the same domain, by cookies; to our reserved
//! path on their own host, by a service worker.

use crate::browser::Chromium;
use crate::harness::{Answer, Gate, HOME, Heard, PASSWORD, RawSaas, Then, run, sign_in};

const RULE: &str = r#"
  - name: in the facility
    who: { groups: [staff] }
    from: { networks: [facility] }
    allow: [view, edit, download, login]
"#;

/// Runs what stands behind `#` as cookies, one per `|`, and says when it is done.
const TOSS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<body><script>\
    decodeURIComponent(location.hash.slice(1)).split('|').forEach(c => document.cookie = c);\
    document.body.append('tossed');</script>";

/// Sets so many cookies of so many bytes for all hosts under the domain.
const FLOOD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<body><script>\
    const [count, size] = location.hash.slice(1).split(',').map(Number);\
    for (let n = 0; n < count; n++) document.cookie = `flood${n}=${'x'.repeat(size)}; Domain=gw.localhost; Path=/; Secure`;\
    document.body.append('flooded');</script>";

/// Registers a worker: `#script,scope`.
const REGISTER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<body><script>\
    const [script, scope] = location.hash.slice(1).split(',');\
    navigator.serviceWorker.register(script, { scope, updateViaCache: 'all' })\
    .then(() => document.body.append('registered'), e => document.body.append('refused: ' + e.name));</script>";

/// A worker that keeps tickets to itself and answers in our place.
const WORKER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nCache-Control: max-age=3600\r\nConnection: close\r\n\r\n\
    self.addEventListener('install', () => self.skipWaiting());\
    self.addEventListener('activate', e => e.waitUntil(clients.claim()));\
    self.addEventListener('fetch', e => { if (e.request.url.includes('ticket='))\
    e.respondWith(new Response('forged', { headers: { 'content-type': 'text/html' } })); });";

const WIDE_WORKER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nService-Worker-Allowed: /\r\n\
    Connection: close\r\n\r\nself.addEventListener('fetch', e => e.respondWith(new Response('forged')));";

fn answer(heard: &Heard) -> Answer {
    let page = match heard.target() {
        "/toss" => TOSS,
        "/flood" => FLOOD,
        "/register" => REGISTER,
        "/sw.js" | "/k/sw.js" => WORKER,
        "/k/wide.js" => WIDE_WORKER,
        _ => return Answer::fine(),
    };
    Answer(page, Then::Close)
}

/// Two apps, `hidamari` and `other`, with scripts of the test's own.
async fn scripted() -> (Gate, RawSaas) {
    let saas = RawSaas::start(answer).await;
    let gate = Gate::builder().policy(RULE).upstream(&saas).start().await;
    gate.rewrite(|text| {
        let other = format!(
            "  - id: other\n    upstream: https://hidamari-care.localhost:{}\n    upstream_ca: saas-root.pem\npolicy:\n",
            saas.port
        );
        text.replace("policy:\n", &other)
    });
    assert!(gate.cli(&["reload"]).status.success());
    for person in ["sato", "mallory"] {
        gate.add_staff(person, &["staff"]);
    }
    (gate, saas)
}

fn other(gate: &Gate, path: &str) -> String {
    format!("https://other.gw.localhost:{}{path}", gate.port)
}

async fn sign_in_with(chromium: &Chromium, url: &str) {
    chromium.client.goto(url).await.unwrap();
    chromium.fill("login_id", "sato").await;
    chromium.fill("password", PASSWORD).await;
    chromium.press("form button").await;
    chromium.until_url(url).await;
}

fn encode(text: &str) -> String {
    demo::client::encode(text)
}

/// Whose the newest forwarded request of an app was.
fn last_person(gate: &Gate, app: &str) -> String {
    let last = gate.requests(&["--app", app, "--decision", "permit"]).pop().unwrap();
    last["person"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_neighbours_script_signs_nobody_in_or_out_elsewhere() {
    run(async {
        let (gate, _saas) = scripted().await;
        let mut mallory = gate.browser(HOME);
        sign_in(&mut mallory, &gate.url("/fine"), "mallory", PASSWORD).await;
        let stolen = |host: &str, name: &str| {
            let all = mallory.cookies(host);
            let value = all.split("; ").find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
            value.unwrap_or_else(|| panic!("no {name} in {all}"))
        };
        let (app, login) =
            (stolen("hidamari.gw.localhost", "__Host-sekisho"), stolen("login.gw.localhost", "__Host-sekisho-login"));

        let chromium = Chromium::start(&gate, "en", 800, 600).await;
        sign_in_with(&chromium, &gate.url("/fine")).await;
        chromium.client.goto(&other(&gate, "/toss#a=1")).await.unwrap();
        chromium.until_text("tossed").await;
        // Mallory's own tokens, and nothing, under our names and names like them, for every host there is.
        let mut cookies = Vec::new();
        for (name, value) in [
            ("__Host-sekisho", &app),
            ("__Host-sekisho-login", &login),
            ("__Host-sekisho-begin", &app),
            ("__Host-sekisho-owner", &app),
        ] {
            let like = [
                name.to_owned(),
                name.to_lowercase(),
                name.replace("__Host-", "__Secure-"),
                format!("={name}"),
                format!(" {name}"),
            ];
            for name in like {
                for value in [value.as_str(), "", "\u{4f50}\u{85e4}"] {
                    cookies.push(format!("{name}={value}; Path=/; Secure; Domain=gw.localhost"));
                    cookies.push(format!("{name}={value}; Path=/.sekisho/ticket; Secure; Domain=gw.localhost"));
                    cookies.push(format!("{name}={value}; Path=/; Secure"));
                }
            }
        }
        cookies.push(format!("__Secure-sekisho-owner=x.Lw; Path=/{}; Secure; Domain=gw.localhost", "a/".repeat(400)));
        cookies.push("__Secure-sekisho-owner=x.Lw; Path=/; Secure; Domain=gw.localhost".to_owned());
        chromium.client.goto(&other(&gate, &format!("/toss#{}", encode(&cookies.join("|"))))).await.unwrap();
        chromium.client.refresh().await.unwrap();
        chromium.until_text("tossed").await;

        for path in ["/fine?1", "/fine?2"] {
            chromium.client.goto(&gate.url(path)).await.unwrap();
            chromium.until_text("fine").await;
            assert_eq!(last_person(&gate, "hidamari"), "sato");
        }
        chromium.client.goto(&gate.login_url("/sessions")).await.unwrap();
        chromium.until_text("This one").await;
        // The neighbour itself goes on as sato, or asks to sign in, but never as mallory.
        chromium.client.goto(&other(&gate, "/fine")).await.unwrap();
        chromium.until_text("fine").await;
        assert_eq!(last_person(&gate, "other"), "sato");
        chromium.end().await;
    });
}

#[test]
fn too_many_cookies_of_a_neighbour_lead_nobody_in_circles() {
    run(async {
        let (gate, _saas) = scripted().await;
        let chromium = Chromium::start(&gate, "en", 800, 600).await;
        sign_in_with(&chromium, &gate.url("/fine")).await;
        // More than a browser keeps for a domain: ours may go, and then people sign in again.
        chromium.client.goto(&other(&gate, "/flood#400,20")).await.unwrap();
        chromium.until_text("flooded").await;
        chromium.client.goto(&gate.url("/fine")).await.unwrap();
        if !chromium.text().await.contains("fine") {
            sign_in_with(&chromium, &gate.url("/fine?again")).await;
        }
        chromium.until_text("fine").await;

        // More than a request's head may hold: one answer that says so, on each host; and beyond all measure, none. But no
        // redirect, and the gate and everybody else go on.
        chromium.end().await;
        for (flood, expected) in [("/flood#100,700", 431), ("/flood#100,3000", 0)] {
            let chromium = Chromium::start(&gate, "en", 800, 600).await;
            sign_in_with(&chromium, &other(&gate, "/fine")).await;
            chromium.client.goto(&other(&gate, flood)).await.unwrap();
            chromium.until_text("flooded").await;
            for url in [gate.url("/fine"), gate.login_url("/"), other(&gate, "/fine")] {
                let _ = chromium.client.goto(&url).await;
                let script = "const n = performance.getEntriesByType('navigation')[0]; return [n.responseStatus, n.redirectCount]";
                let met = chromium.client.execute(script, vec![]).await.unwrap();
                assert_eq!(met, serde_json::json!([expected, 0]), "{url}: {}", chromium.text().await);
            }
            chromium.end().await;
        }
        gate.signed_in("mallory").await;
    });
}

#[test]
fn no_service_worker_of_a_saas_stands_before_the_reserved_path() {
    run(async {
        let (gate, _saas) = scripted().await;
        let chromium = Chromium::start(&gate, "en", 800, 600).await;
        sign_in_with(&chromium, &gate.url("/fine")).await;
        // From the browser's cache as well: what was fetched as a script before.
        chromium.client.goto(&gate.url("/fine")).await.unwrap();
        chromium.client.execute("return fetch('/sw.js').then(r => r.status)", vec![]).await.unwrap();
        for (script, scope, expected) in [
            ("/sw.js", "/", "refused: SecurityError"),
            ("/sw.js", "/.sekisho/", "refused: SecurityError"),
            ("/sw.js", "/.sekisho/ticket", "refused: SecurityError"),
            ("/k/wide.js", "/", "refused: SecurityError"),
            ("/k/sw.js", "/", "refused: SecurityError"),
            // Within its own folder a worker does what it is for.
            ("/k/sw.js", "/k/", "registered"),
        ] {
            chromium.client.goto("about:blank").await.unwrap();
            chromium.client.goto(&gate.url(&format!("/register#{script},{scope}"))).await.unwrap();
            chromium.until_text(expected).await;
        }
        // So a ticket gets through, and its page is ours.
        gate.json(&["session", "end", "--person", "sato"]);
        sign_in_with(&chromium, &gate.url("/fine?again")).await;
        chromium.until_text("fine").await;
        chromium.end().await;
    });
}
