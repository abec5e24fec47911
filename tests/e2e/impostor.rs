//! Somebody else's identity: cookies, tickets and handles that are forged, swapped, replayed or planted, and headers that
//! claim to be somebody.

use bytes::Bytes;
use demo::client::{Browser, Mode, Response, Setup};
use futures_util::future::join_all;
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Answer, Gate, HOME, OUTSIDE, PASSWORD, RawSaas, Stream, Wire, fill_in, frames, run, sign_in};

const APP: &str = "hidamari.gw.localhost";
const ASSETS: &str = "assets.hidamari.gw.localhost";
const OTHER: &str = "other.gw.localhost";
const LOGIN: &str = "login.gw.localhost";
/// The session's cookie on an app's host, and on the sign-in pages'.
const SESSION: &str = "__Host-sekisho";
const SIGNED_IN: &str = "__Host-sekisho-login";
const BINDER: &str = "__Host-sekisho-begin";

const EVERY_APP: &str = r#"
  - name: in the facility
    who: { groups: [staff] }
    from: { networks: [facility] }
    allow: [view, edit, upload, download, login, delete]
  - name: visiting nurses
    who: { groups: [visiting-nurses] }
    from: { device: enrolled }
    allow: [view, edit, login]
"#;

/// A gate with a second app, `other`, before the same SaaS.
pub(crate) async fn two_apps() -> Gate {
    let gate = Gate::builder().policy(EVERY_APP).start().await;
    gate.rewrite(|text| {
        let port = gate.saas.port();
        let other = format!(
            "  - id: other\n    upstream: https://hidamari-care.localhost:{port}\n    upstream_ca: saas-root.pem\npolicy:\n"
        );
        text.replace("policy:\n", &other)
    });
    assert!(gate.cli(&["reload"]).status.success());
    gate
}

async fn get(browser: &mut Browser, url: &str, mode: Mode) -> Response {
    browser.send(Method::GET, url, mode, HeaderMap::new(), Bytes::new()).await.unwrap()
}

fn url(gate: &Gate, host: &str, path: &str) -> String {
    format!("https://{host}:{}{path}", gate.port)
}

/// The value of one cookie of a browser.
fn cookie(browser: &Browser, host: &str, name: &str) -> String {
    let all = browser.cookies(host);
    let found = all.split("; ").find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    found.unwrap_or_else(|| panic!("no {name} at {host} in {all}"))
}

/// What somebody could make of a token to have it taken for another one, or for itself where it isn't.
fn altered(token: &str) -> Vec<String> {
    let (start, last) = token.split_at(token.len() - 1);
    let swapped: String = token
        .chars()
        .map(|c| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
        .collect();
    let mut all = vec![
        start.to_owned(),
        token[1..].to_owned(),
        format!("{token}A"),
        format!("A{token}"),
        format!("{token}="),
        format!("{token}."),
        format!("{token}{token}"),
        token.to_ascii_lowercase(),
        token.to_ascii_uppercase(),
        swapped,
        format!("\"{token}\""),
        format!("%{:02X}{}", token.as_bytes()[0], &token[1..]),
        format!("{start} {last}"),
        format!("{token},{token}"),
        "A".repeat(43),
        "_".repeat(43),
    ];
    // 43 letters hold two bits more than a token has: no other last letter may stand for the same one.
    let alphabet = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_', '+', '/']);
    all.extend(alphabet.filter(|c| !last.contains(*c)).map(|c| format!("{start}{c}")));
    all
}

/// Promise 3 and 5: a cookie opens what it was set for, and nothing else, however it is spelt.
#[test]
fn no_cookie_but_the_persons_own_on_its_own_host_opens_anything() {
    run(async {
        let gate = two_apps().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let mut sato = gate.signed_in("sato").await;
        assert_eq!(sato.open(&url(&gate, OTHER, "/echo")).await.unwrap().status, 200);
        let tanaka = gate.signed_in("tanaka").await;
        let (own, theirs) = (cookie(&sato, APP, SESSION), cookie(&tanaka, APP, SESSION));
        let login = cookie(&sato, LOGIN, SIGNED_IN);

        let named = |name: &str, value: &str| vec![format!("{name}={value}")];
        let mut lines: Vec<Vec<String>> = altered(&own).iter().map(|value| named(SESSION, value)).collect();
        for name in [
            "__host-sekisho",
            "__HOST-SEKISHO",
            "__Host-Sekisho",
            "__Host_sekisho",
            "__Secure-sekisho",
            "__Host-Http-sekisho",
            "Host-sekisho",
            "sekisho",
            "=__Host-sekisho",
            "\"__Host-sekisho\"",
            "__Host-sekisho-login",
            "__Host-sekisho-begin",
            "__Host-sekisho[]",
            "%5F_Host-sekisho",
            "$__Host-sekisho",
        ] {
            lines.push(named(name, &own));
        }
        // Of her own, but of another host or another use.
        for (host, name) in [(ASSETS, SESSION), (OTHER, SESSION), (LOGIN, SIGNED_IN), (APP, BINDER)] {
            lines.push(named(SESSION, &cookie(&sato, host, name)));
        }
        // Two: nobody can say which of them is hers.
        for second in [theirs.as_str(), "", "garbage", &format!("\"{own}\""), &own[..42]] {
            for pair in [[own.as_str(), second], [second, own.as_str()]] {
                let [one, two] = pair.map(|value| format!("{SESSION}={value}"));
                lines.push(vec![format!("{one}; {two}")]);
                lines.push(vec![format!("{one}; a=1; {two};")]);
                lines.push(vec![one.clone(), two.clone()]);
                lines.push(vec!["a=1".to_owned(), one, "b=2".to_owned(), two]);
            }
        }
        lines.push(vec![format!("$Version=1, {SESSION}={own}")]);
        lines.push(vec![format!("a=\"; {SESSION}={own}, x\"")]);

        // And what must go on working, so that it is known that the others could.
        let fine = [
            vec![format!("{SESSION}={own}")],
            vec!["a=1".to_owned(), format!("b=2; {SESSION}={own}"), "c=3".to_owned()],
            vec![format!("{SESSION}={own}; {SESSION}={own}")],
            vec![format!("$Version=1; {SESSION}={own}; $Path=/; $Domain={APP}")],
        ];

        let authority = format!("{APP}:{}", gate.port);
        for http2 in [false, true] {
            let mut wire = Wire::open(Setup { http2, ..gate.setup(HOME) }, APP).await;
            let mut ask = async |lines: &[String]| {
                let lines: Vec<_> = lines.iter().map(|line| ("cookie", line.as_bytes())).collect();
                wire.get(&authority, "/echo", &lines).await.status.as_u16()
            };
            for line in &fine {
                assert_eq!(ask(line).await, 200, "HTTP/2 {http2}: {line:?}");
            }
            let passed = gate.saas.handle.seen_total();
            for line in &lines {
                assert_eq!(ask(line).await, 401, "HTTP/2 {http2}: {line:?}");
            }
            assert_eq!(gate.saas.handle.seen_total(), passed, "something of it reached the SaaS");
        }
        // The sign-in pages take no token of an app's host, nor somebody else's form of theirs.
        let mut wire = Wire::open(gate.setup(HOME), LOGIN).await;
        let authority = format!("{LOGIN}:{}", gate.port);
        let mut at_login = async |value: &str| {
            let line = format!("{SIGNED_IN}={value}");
            wire.get(&authority, "/sessions", &[("cookie", line.as_bytes())]).await.text().contains("This one")
        };
        assert!(at_login(&login).await);
        for value in altered(&login).iter().chain([&own, &theirs]) {
            assert!(!at_login(value).await, "{value}");
        }
        // None of it ended anything.
        assert_eq!(gate.json(&["session", "list"]).as_array().unwrap().len(), 2);
        assert_eq!(get(&mut sato, &gate.url("/echo"), Mode::Fetch).await.status, 200);
    });
}

/// Scripts of a SaaS, and of its neighbours under the same domain, write cookies in any encoding beside ours.
#[test]
fn a_cookie_that_is_not_ascii_locks_nobody_out() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let sato = gate.signed_in("sato").await;
        let (own, login) = (cookie(&sato, APP, SESSION), cookie(&sato, LOGIN, SIGNED_IN));
        for memo in ["利用者=佐藤".as_bytes(), b"memo=\x8d\xb2\x93\xa1", b"\xff\xfe"] {
            for http2 in [false, true] {
                let line = |name: &str, value: &str| [memo, format!("; {name}={value}").as_bytes()].concat();
                let setup = Setup { http2, ..gate.setup(HOME) };
                let mut wire = Wire::open(setup.clone(), APP).await;
                let authority = format!("{APP}:{}", gate.port);
                let got = wire.get(&authority, "/echo", &[("cookie", &line(SESSION, &own))]).await;
                assert_eq!(got.status, 200, "HTTP/2 {http2}: {}", got.text());
                let mut wire = Wire::open(setup, LOGIN).await;
                let authority = format!("{LOGIN}:{}", gate.port);
                let got = wire.get(&authority, "/sessions", &[("cookie", &line(SIGNED_IN, &login))]).await;
                assert!(got.text().contains("This one"), "HTTP/2 {http2}: {}", got.text());
            }
        }
    });
}

/// A ticket on its way to the app's host: the address that a browser, signed in, is sent to.
async fn catch(gate: &Gate, browser: &mut Browser) -> String {
    browser.set_cookie(APP, &format!("{SESSION}=; Max-Age=0"));
    let begun = get(browser, &gate.url("/echo"), Mode::Navigate).await;
    let led = begun.headers["location"].to_str().unwrap().to_owned();
    let minted = get(browser, &led, Mode::Navigate).await;
    let ticket = minted.headers["location"].to_str().unwrap().to_owned();
    assert!(ticket.starts_with(&gate.url("/.sekisho/ticket?ticket=")), "{ticket}");
    ticket
}

fn opened(answer: &Response) -> bool {
    let set = answer.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap());
    set.filter_map(|line| line.strip_prefix(SESSION)?.strip_prefix('=')).any(|value| !value.starts_with(';'))
}

#[test]
fn of_tickets_redeemed_at_once_one_is_good() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        for round in 0..4 {
            let ticket = catch(&gate, &mut sato).await;
            let target = ticket.split_once(&gate.port.to_string()).unwrap().1;
            let cookies = sato.cookies(APP);
            let mut wires = Vec::new();
            for number in 0..12 {
                wires.push(Wire::open(Setup { http2: number % 2 == 0, ..gate.setup(HOME) }, APP).await);
            }
            let authority = format!("{APP}:{}", gate.port);
            let tries = wires.iter_mut().map(async |wire| {
                let lines =
                    [("cookie", cookies.as_bytes()), ("sec-fetch-mode", b"navigate"), ("sec-fetch-dest", b"document")];
                wire.get(&authority, target, &lines).await.sets(SESSION)
            });
            let good = join_all(tries).await.into_iter().filter(|good| *good).count();
            assert_eq!(good, 1, "round {round}");
        }
    });
}

#[test]
fn a_ticket_is_worth_nothing_anywhere_else_or_after_the_session() {
    run(async {
        let gate = two_apps().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let (_, phone) = gate.issue_device("sato");
        let mut sato = gate.signed_in("sato").await;
        sato.open(&url(&gate, OTHER, "/echo")).await.unwrap();
        let mut tanaka = gate.signed_in("tanaka").await;
        catch(&gate, &mut tanaka).await;

        for host in [ASSETS, OTHER, LOGIN] {
            let ticket = catch(&gate, &mut sato).await;
            let before = sato.cookies(host);
            let elsewhere = get(&mut sato, &ticket.replace(APP, host), Mode::Navigate).await;
            assert!(!elsewhere.status.is_redirection() && !opened(&elsewhere), "{host}: {}", elsewhere.status);
            assert_eq!(sato.cookies(host), before, "{host}");
        }
        // Another browser, also one that has begun a sign-in of its own.
        let ticket = catch(&gate, &mut sato).await;
        assert!(!opened(&get(&mut tanaka, &ticket, Mode::Navigate).await));
        assert!(!opened(&get(&mut sato, &ticket, Mode::Navigate).await), "a try by somebody else left it good");
        // A browser with the binder alone, from a script that could read it nowhere: it is still the ticket's use that
        // counts, so the other half is tried as well.
        let mut half = gate.browser(HOME);
        half.set_cookie(APP, &format!("{BINDER}={}", cookie(&sato, APP, BINDER)));
        assert!(!opened(&get(&mut half, &gate.url("/.sekisho/ticket?ticket="), Mode::Navigate).await));

        // With a certificate that was not there before.
        let ticket = catch(&gate, &mut sato).await;
        sato.present(Some(phone));
        let changed = get(&mut sato, &ticket, Mode::Navigate).await;
        assert!(!opened(&changed), "{}", changed.text());
        sato.present(None);

        // Signed out, ended or locked meanwhile.
        let ticket = catch(&gate, &mut sato).await;
        let page = sato.open(&gate.login_url("/sign-out")).await.unwrap();
        fill_in(&mut sato, &page, &[]).await;
        assert!(!opened(&get(&mut sato, &ticket, Mode::Navigate).await), "after sign-out");
        for command in [["session", "end", "--person", "sato"].as_slice(), &["staff", "lock", "sato"]] {
            let mut sato = gate.signed_in("sato").await;
            let ticket = catch(&gate, &mut sato).await;
            assert!(gate.cli(command).status.success());
            let after = get(&mut sato, &ticket, Mode::Navigate).await;
            assert!(!opened(&after), "after {command:?}: {}", after.text());
            let asked = get(&mut sato, &gate.url("/echo"), Mode::Fetch).await;
            assert!(asked.status.is_client_error(), "after {command:?}: {}", asked.status);
        }
    });
}

#[test]
fn a_ticket_is_redeemed_as_it_was_written_and_by_nothing_but_a_navigation() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;

        // Misspelt, and the value tried on: nothing opens, and nothing of ours reaches the SaaS.
        let ticket = catch(&gate, &mut sato).await;
        let (_, value) = ticket.split_once("ticket=").unwrap();
        let mut tries: Vec<String> = altered(value)
            .iter()
            .filter(|v| !v.contains([' ', '"']))
            .map(|value| format!("/.sekisho/ticket?ticket={value}"))
            .collect();
        for path in [
            "/.sekisho/ticket/?ticket=",
            "/.Sekisho/ticket?ticket=",
            "/.sekisho/TICKET?ticket=",
            "/.sekisho//ticket?ticket=",
            "/.sekisho/./ticket?ticket=",
            "/x/../.sekisho/ticket?ticket=",
            "/.sekisho/ticket;x=1?ticket=",
            "/.sekisho%2fticket?ticket=",
            "/%2esekisho/ticket?ticket=",
            "/.sekisho/ticket?TICKET=",
            "/.sekisho/ticket?%74icket=",
            "/.sekisho/ticket?ticket=x&ticket=",
            "/.sekisho/ticket?ticket[]=",
            "/.sekisho/ticket#?ticket=",
        ] {
            tries.push(format!("{path}{value}"));
        }
        for target in &tries {
            let mut stream = gate.browser(HOME).raw(APP, &[b"http/1.1"]).await.unwrap();
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: {APP}:{}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
                gate.port,
                sato.cookies(APP)
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
            assert!(!answer.contains(&format!("set-cookie: {}=", SESSION.to_ascii_lowercase())), "{target}: {answer}");
            assert!(!answer.starts_with("http/1.1 200"), "{target}: {answer}");
        }

        // As scripts, frames and workers would ask: refused, and the ticket is still the person's own.
        let attempts: [(Method, &[(&'static str, &str)]); 9] = [
            (Method::GET, &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]),
            (Method::GET, &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]),
            (Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]),
            (Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "empty")]),
            (Method::GET, &[("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "document")]),
            (Method::GET, &[("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "serviceworker")]),
            (Method::GET, &[("service-worker-navigation-preload", "true")]),
            (Method::HEAD, &[]),
            (Method::POST, &[]),
        ];
        for (method, pairs) in attempts {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            let answer = sato.send(method.clone(), &ticket, Mode::Navigate, headers, Bytes::new()).await.unwrap();
            assert!(!opened(&answer) && !answer.status.is_redirection(), "{method} {pairs:?}: {}", answer.status);
        }
        assert!(opened(&get(&mut sato, &ticket, Mode::Navigate).await), "the person's own navigation came too late");
    });
}

/// What somebody planted before a sign-in is worth nothing to them after it, and makes nobody somebody else.
#[test]
fn what_was_planted_before_a_sign_in_is_worth_nothing_after_it() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "mallory"] {
            gate.add_staff(person, &["staff"]);
        }
        let person_at = |session: &str| {
            let all = gate.json(&["session", "list"]);
            let found = all.as_array().unwrap().iter().find(|s| s["id"] == session).cloned();
            found.map(|s| s["person"].as_str().unwrap().to_owned())
        };
        let sessions = || {
            let all = gate.json(&["session", "list", "--person", "sato"]);
            all.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let last = |person: &str| gate.requests(&["--person", person, "--decision", "permit"]).len();

        // Mallory's session, on both hosts, in the browser that sato then signs in with.
        let mut mallory = gate.signed_in("mallory").await;
        let hers = gate.json(&["session", "list", "--person", "mallory"])[0]["id"].as_str().unwrap().to_owned();
        let planted = cookie(&mallory, APP, SESSION);
        let mut sato = gate.browser(HOME);
        sato.set_cookie(APP, &format!("{SESSION}={planted}"));
        let landed = sign_in(&mut sato, &gate.login_url("/"), "sato", PASSWORD).await;
        assert_eq!(landed.status, 200, "{}", landed.text());
        assert!(!sessions().contains(&hers), "the planted session became sato's");
        assert_eq!(person_at(&hers).as_deref(), Some("mallory"));
        // The app's host is mallory's until sato comes with a ticket; then it is hers, under a new token.
        sato.set_cookie(APP, &format!("{SESSION}=; Max-Age=0"));
        let landed = sato.open(&gate.url("/echo")).await.unwrap();
        assert_eq!(landed.status, 200);
        assert_ne!(cookie(&sato, APP, SESSION), planted);
        let before = last("sato");
        assert_eq!(get(&mut mallory, &gate.url("/echo"), Mode::Fetch).await.status, 200);
        assert_eq!(last("sato"), before, "mallory's browser became sato's");

        // A token survives no sign-in: signing in again, with a form as if for the first time, gives others.
        let was = cookie(&sato, APP, SESSION);
        gate.json(&["session", "end", "--person", "sato"]);
        let page = sato.open(&gate.url("/echo")).await.unwrap();
        let landed = fill_in(&mut sato, &page, &[("login_id", "sato"), ("password", PASSWORD)]).await;
        assert_eq!(landed.status, 200);
        assert_ne!(cookie(&sato, APP, SESSION), was);

        // Mallory's handle and mallory's binder, in sato's browser: sato is signed in, and mallory gets nothing of it.
        let mut mallory = gate.browser(HOME);
        let begun = get(&mut mallory, &gate.url("/echo?of=mallory"), Mode::Navigate).await;
        let handle = begun.headers["location"].to_str().unwrap().to_owned();
        let binder = cookie(&mallory, APP, BINDER);
        let mut sato = gate.browser(HOME);
        sato.set_cookie(APP, &format!("{BINDER}={binder}"));
        let landed = sign_in(&mut sato, &handle, "sato", PASSWORD).await;
        assert_eq!(landed.url, gate.url("/echo?of=mallory"), "{}", landed.text());
        assert_eq!(get(&mut mallory, &gate.url("/echo"), Mode::Fetch).await.status, 401);
        let again = get(&mut mallory, &handle, Mode::Navigate).await;
        assert!(!again.status.is_redirection(), "mallory was led on by a handle that sato had used");

        // The handle alone: sato's browser did not begin it, so the app stays closed, to both.
        let begun = get(&mut mallory, &gate.url("/echo?of=mallory"), Mode::Navigate).await;
        let handle = begun.headers["location"].to_str().unwrap().to_owned();
        let mut sato = gate.browser(HOME);
        let landed = sign_in(&mut sato, &handle, "sato", PASSWORD).await;
        assert!(landed.status.is_client_error() && !sato.cookies(APP).contains(SESSION), "{}", landed.url);
        assert_eq!(get(&mut mallory, &gate.url("/echo"), Mode::Fetch).await.status, 401);
        // A binder that nobody here made binds nothing.
        let begun = get(&mut mallory, &gate.url("/echo"), Mode::Navigate).await;
        let handle = begun.headers["location"].to_str().unwrap().to_owned();
        let mut forger = gate.browser(HOME);
        let binder = cookie(&mallory, APP, BINDER);
        let (random, mark) = binder.split_once('.').unwrap();
        for forged in
            [format!("{mark}.{random}"), format!("{random}.{random}"), format!("{random}."), random.to_owned()]
        {
            forger.set_cookie(APP, &format!("{BINDER}={forged}"));
            let begun = get(&mut forger, &gate.url("/echo"), Mode::Navigate).await;
            assert!(begun.headers["set-cookie"].to_str().unwrap().starts_with(BINDER));
            assert_ne!(cookie(&forger, APP, BINDER), forged, "a forged binder was taken for ours");
        }
        let landed = sign_in(&mut forger, &handle, "sato", PASSWORD).await;
        assert!(landed.status.is_client_error(), "{}", landed.url);
    });
}

/// Names by which reverse proxies and sign-in proxies tell what stands behind them who asks, and from where.
const CLAIMS: [&str; 78] = [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-Prefix",
    "X-Forwarded",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-Original-Forwarded-For",
    "Forwarded",
    "Forwarded-For",
    "X-Forward-For",
    "X-Real-IP",
    "X-Client-IP",
    "Client-IP",
    "X-Originating-IP",
    "X-Source-IP",
    "X-Remote-IP",
    "X-Remote-Addr",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-Access-Authenticated-User-Email",
    "CloudFront-Viewer-Address",
    "Fastly-Client-IP",
    "Ali-CDN-Real-IP",
    "WL-Proxy-Client-IP",
    "Proxy-Client-IP",
    "Fly-Client-IP",
    "X-Azure-ClientIP",
    "X-Azure-SocketIP",
    "X-Vercel-Forwarded-For",
    "X-Appengine-User-Ip",
    "X-Appengine-User-Email",
    "X-Akamai-Client-IP",
    "X-ProxyUser-IP",
    "Via",
    "Proxy",
    "Remote-User",
    "Remote-Addr",
    "X-Remote-User",
    "X-Remote-Groups",
    "X-Proxy-User",
    "X-User",
    "X-Auth-User",
    "X-Auth-Email",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Authenticated-User",
    "X-Authenticated-Userid",
    "X-Webauth-User",
    "X-Authentik-Username",
    "X-Pomerium-Jwt-Assertion",
    "X-Vouch-User",
    "Tailscale-User-Login",
    "X-Goog-Authenticated-User-Email",
    "X-MS-Client-Principal-Name",
    "X-Amzn-Oidc-Identity",
    "X-Envoy-External-Address",
    "X-Arr-ClientCert",
    "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN",
    "SSL-Client-Cert",
    "X-Client-Cert",
    "X-Client-Verify",
    "Client-Cert",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Host",
    "Front-End-Https",
    "Sekisho-Person",
    "X-Sekisho-Person",
];
/// What they claim. Reaches no SaaS.
const CLAIMED: &str = "203.0.113.66";

/// Promise 5: nobody injects an identity, whatever the spelling; and none of it says from which network somebody comes.
#[test]
fn promise_5_no_header_makes_a_request_somebody_elses_or_come_from_elsewhere() {
    run(async {
        let saas = RawSaas::start(|_| Answer::fine()).await;
        let gate = Gate::builder().upstream(&saas).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        sign_in(&mut sato, &gate.url("/fine"), "sato", PASSWORD).await;
        let authority = format!("{APP}:{}", gate.port);
        let session = sato.cookies(APP);

        type Spelling = fn(&str) -> String;
        let spellings: [(&str, Spelling); 5] = [
            ("as-usual", str::to_owned),
            ("lower", str::to_ascii_lowercase),
            ("upper", str::to_ascii_uppercase),
            ("underscores", |name| name.replace('-', "_")),
            ("one-underscore", |name| name.replacen('-', "_", 1)),
        ];
        for (name, spell) in spellings {
            for http2 in [false, true] {
                let mut wire = Wire::open(Setup { http2, ..gate.setup(HOME) }, APP).await;
                let names: Vec<String> = CLAIMS.iter().map(|name| spell(name)).collect();
                // Each twice, kept apart, and one of them named by Connection where there is one.
                let mut lines: Vec<(&str, &[u8])> = vec![("cookie", session.as_bytes()), ("x-kept", b"kept")];
                lines.extend(names.iter().map(|name| (name.as_str(), CLAIMED.as_bytes())));
                lines.extend(names.iter().map(|name| (name.as_str(), CLAIMED.as_bytes())));
                if !http2 {
                    lines.push(("connection", b"keep-alive, x-dropped, sekisho-person, x-real-ip"));
                    lines.push(("x-dropped", CLAIMED.as_bytes()));
                }
                let target = format!("/claims/{name}/{http2}");
                let got = wire.get(&authority, &target, &lines).await;
                assert_eq!(got.status, 200, "{target}: {}\n{}", got.text(), gate.log());
                let heard = saas.heard_of(&target).pop().unwrap();
                let through: Vec<_> = heard.head.split("\r\n").filter(|line| line.contains(CLAIMED)).collect();
                assert!(through.is_empty(), "{target}: {through:?}");
                assert_eq!(heard.values("x-kept"), ["kept"]);
                assert!(!heard.head.to_ascii_lowercase().contains("sekisho"), "{}", heard.head);
                let record = gate.requests(&["--person", "sato"]).pop().unwrap();
                assert_eq!(
                    (&record["source"], &record["networks"]),
                    (&"127.0.0.1".into(), &serde_json::json!(["facility"]))
                );
            }
        }

        // What decides is not taken away on a client's word.
        let mut wire = Wire::open(gate.setup(HOME), APP).await;
        for nominated in ["cookie", "x-forwarded-for", "X-Forwarded-Host", "host"] {
            let lines = [("cookie", session.as_bytes()), ("connection", nominated.as_bytes())];
            assert_eq!(wire.get(&authority, "/claims/nominated", &lines).await.status, 400, "{nominated}");
            assert_eq!(gate.recorded("ambiguous").await["person"], "sato");
        }
        assert!(saas.heard_of("/claims/nominated").is_empty());

        // From anywhere else, they name the facility: refused as before, and recorded as where it came from.
        for http2 in [false, true] {
            let mut wire = Wire::open(Setup { http2, ..gate.setup(OUTSIDE) }, APP).await;
            let mut lines: Vec<(&str, &[u8])> = vec![("cookie", session.as_bytes())];
            lines.extend(CLAIMS.iter().map(|name| (*name, b"127.0.0.1".as_slice())));
            lines.push(("forwarded", b"for=127.0.0.1;proto=https;host=hidamari.gw.localhost"));
            let got = wire.get(&authority, "/claims/outside", &lines).await;
            assert_eq!(got.status, 403, "{}", got.text());
            assert_eq!(gate.recorded("unknown-network").await["source"], "127.0.0.2");
        }
        assert!(saas.heard_of("/claims/outside").is_empty());
    });
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Frames by hand: what an HTTP/2 library would not send.
#[test]
fn promise_5_nothing_hides_in_http_2_fields_or_trailers() {
    run(async {
        let saas = RawSaas::start(|_| Answer::fine()).await;
        let limits = "head: 2s, idle: 2s, body_stall: 1s";
        let gate = Gate::builder().upstream(&saas).limits(limits).app(&["timeouts: { response: 5s }"]).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        sign_in(&mut sato, &gate.url("/fine"), "sato", PASSWORD).await;
        let (authority, session) = (format!("{APP}:{}", gate.port), sato.cookies(APP));
        let (authority, session) = (authority.as_bytes(), session.as_bytes());
        let other = format!("{LOGIN}:{}", gate.port);
        let injected = format!("y\r\nX-Forwarded-User: {CLAIMED}\r\nX: y");
        let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: {APP}\r\n\r\n");

        let usual: [(&[u8], &[u8]); 5] = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", authority),
            (b":path", b"/h2/TARGET"),
            (b"cookie", session),
        ];
        /// Replaces the field of this name, or takes it away.
        fn with<'a>(usual: &[(&'a [u8], &'a [u8])], name: &[u8], value: Option<&'a [u8]>) -> Vec<(&'a [u8], &'a [u8])> {
            let fields = usual.iter().map(|(n, v)| (*n, if *n == name { value } else { Some(*v) }));
            fields.filter_map(|(n, v)| Some((n, v?))).collect()
        }
        let and = |more: &[(&'static [u8], &[u8])]| -> Fields {
            usual.iter().chain(more).map(|(n, v)| (n.to_vec(), v.to_vec())).collect()
        };
        let instead = |name: &[u8], value: Option<&[u8]>| -> Fields {
            with(&usual, name, value).into_iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect()
        };
        let injected = injected.as_bytes();
        let path_smuggled =
            format!("/h2/x HTTP/1.1\r\nHost: {SAAS}\r\n\r\n{smuggled}", SAAS = crate::harness::SAAS_HOST);
        let cookie_injected = [session, b"\r\nX-Forwarded-User: 203.0.113.66"].concat();
        let with_user = [b"sato@", authority].concat();
        let cases: Vec<(&str, Fields)> = vec![
            ("control", and(&[])),
            ("control-crumbs", and(&[(b"cookie", b"a=1"), (b"cookie", b"b=2")])),
            ("value-crlf", and(&[(b"x-a", injected)])),
            ("value-lf", and(&[(b"x-a", b"y\nx-forwarded-user: 203.0.113.66")])),
            ("value-cr", and(&[(b"x-a", b"y\rx-forwarded-user: 203.0.113.66")])),
            ("value-nul", and(&[(b"x-a", b"y\x00203.0.113.66")])),
            ("value-smuggled", and(&[(b"x-a", smuggled.as_bytes())])),
            ("name-crlf", and(&[(b"x-a: y\r\nx-forwarded-user", b"203.0.113.66")])),
            ("name-colon", and(&[(b"x-forwarded-user:", b"203.0.113.66")])),
            ("name-blank", and(&[(b"x-forwarded-user ", b"203.0.113.66")])),
            ("name-upper", and(&[(b"X-Forwarded-User", b"203.0.113.66")])),
            ("name-empty", and(&[(b"", b"203.0.113.66")])),
            ("cookie-crlf", instead(b"cookie", Some(&cookie_injected))),
            ("unknown-pseudo", and(&[(b":sekisho-person", b"203.0.113.66")])),
            ("protocol-pseudo", and(&[(b":protocol", b"websocket")])),
            ("status-pseudo", and(&[(b":status", b"200")])),
            ("authority-twice", and(&[(b":authority", other.as_bytes())])),
            ("path-twice", and(&[(b":path", b"/smuggled")])),
            ("method-twice", and(&[(b":method", b"DELETE")])),
            ("host-other", and(&[(b"host", other.as_bytes())])),
            ("host-other-app", and(&[(b"host", b"other.gw.localhost")])),
            ("host-twice", and(&[(b"host", authority), (b"host", other.as_bytes())])),
            ("host-alone-twice", {
                let mut fields = instead(b":authority", None);
                fields.extend([(b"host".to_vec(), authority.to_vec()), (b"host".to_vec(), other.as_bytes().to_vec())]);
                fields
            }),
            ("authority-user", instead(b":authority", Some(&with_user))),
            ("authority-crlf", instead(b":authority", Some(b"hidamari.gw.localhost\r\nx: y"))),
            ("authority-empty", instead(b":authority", Some(b""))),
            ("authority-none", instead(b":authority", None)),
            ("path-crlf", instead(b":path", Some(path_smuggled.as_bytes()))),
            ("path-blank", instead(b":path", Some(b"/h2/path-blank HTTP/1.1"))),
            ("path-absolute", instead(b":path", Some(b"https://evil.example/h2/path-absolute"))),
            ("path-empty", instead(b":path", Some(b""))),
            ("path-none", instead(b":path", None)),
            ("method-crlf", instead(b":method", Some(smuggled.as_bytes()))),
            ("method-blank", instead(b":method", Some(b"GET /smuggled HTTP/1.1"))),
            ("scheme-odd", instead(b":scheme", Some(b"https://evil.example/smuggled?"))),
            ("scheme-http", instead(b":scheme", Some(b"http"))),
            ("connection", and(&[(b"connection", b"cookie")])),
            ("te", and(&[(b"transfer-encoding", b"chunked")])),
            ("te-header", and(&[(b"te", b"gzip")])),
            ("upgrade", and(&[(b"upgrade", b"h2c"), (b"http2-settings", b"AAMAAABk")])),
            ("proxy-connection", and(&[(b"proxy-connection", b"keep-alive")])),
            ("length-twice", and(&[(b"content-length", b"0"), (b"content-length", b"5")])),
            ("length-wrong", and(&[(b"content-length", b"5")])),
            ("pseudo-last", {
                let mut fields = instead(b":path", None);
                fields.push((b":path".to_vec(), b"/h2/pseudo-last".to_vec()));
                fields
            }),
        ];
        let send = async |fields: &Fields, name: &str, body: Option<&[u8]>, trailers: &[(&[u8], &[u8])]| {
            let target = format!("/h2/{name}").into_bytes();
            let fields: Vec<(&[u8], &[u8])> = fields
                .iter()
                .map(|(n, v)| (n.as_slice(), if v == b"/h2/TARGET" { target.as_slice() } else { v.as_slice() }))
                .collect();
            let stream = gate.browser(HOME).raw(APP, &[b"h2"]).await.unwrap();
            frames(stream, &fields, body, trailers).await
        };
        for (name, fields) in &cases {
            let how = send(fields, name, None, &[]).await;
            println!("{name:<20} {how:?}");
            assert!(!name.starts_with("control") || how == Stream::Answered { ok: true }, "{name}: {how:?}");
        }
        // A body with trailers, by both versions: what they say reaches nobody as a header, nor as a trailer of ours.
        let mut posts = and(&[(b"content-type", b"text/plain")]);
        posts[0].1 = b"POST".to_vec();
        let trailers: [(&[u8], &[u8]); 3] = [
            (b"x-forwarded-user", b"203.0.113.66"),
            (b"cookie", b"a=203.0.113.66"),
            (b"sekisho-person", b"203.0.113.66"),
        ];
        let how = send(&posts, "trailers", Some(b"hello"), &trailers).await;
        println!("trailers             {how:?}");
        send(&posts, "trailers-pseudo", Some(b"hello"), &[(b":path", b"/smuggled")]).await;
        send(&posts, "trailers-crlf", Some(b"hello"), &[(b"x-a", injected)]).await;
        let mut stream = gate.browser(HOME).raw(APP, &[b"http/1.1"]).await.unwrap();
        let chunked = format!(
            "POST /h1/trailers HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\n\
             Connection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Forwarded-User: {CLAIMED}\r\nSekisho-Person: {CLAIMED}\r\n\r\n",
            String::from_utf8_lossy(authority),
            String::from_utf8_lossy(session)
        );
        stream.write_all(chunked.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;

        let upstream = format!("{}:{}", crate::harness::SAAS_HOST, saas.port);
        for heard in saas.heard() {
            let all = format!("{}{}", heard.head, String::from_utf8_lossy(&heard.body)).to_ascii_lowercase();
            for never in [CLAIMED, "smuggled", "sekisho", "evil.example", "h2c", "gw.localhost"] {
                assert!(!all.contains(never), "{never} reached the SaaS: {all}");
            }
            assert_eq!(heard.values("host"), [upstream.as_str()], "{}", heard.head);
        }
        for name in ["control", "control-crumbs"] {
            assert_eq!(saas.heard_of(&format!("/h2/{name}")).len(), 1, "{name}");
        }
        assert!(!gate.log().contains("panicked"), "{}", gate.log());
    });
}
