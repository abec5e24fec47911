//! The ward's tablet, and any browser that goes from hand to hand: whom a shared device serves, how fast people change,
//! and that nobody inherits the SaaS of the one before.

use bytes::Bytes;
use demo::client::{Browser, Certificate, Mode, Response};
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::harness::{Gate, HOME, OUTSIDE, PASSWORD, fill_in, run, saas_login, sign_in};

const APP: &str = "hidamari.gw.localhost";

impl Gate {
    pub(crate) fn issue_shared(&self, groups: &[&str]) -> (String, Certificate) {
        let out = self.path(&format!("shared-{}.p12", groups.join("-")));
        let mut arguments = vec!["device", "issue", "--shared", "--name", "2階のタブレット", "--out"];
        arguments.push(out.to_str().unwrap());
        for group in groups {
            arguments.extend(["--group", group]);
        }
        let issued = self.json(&arguments);
        assert_eq!((&issued["device"]["kind"], &issued["device"]["owner"]), (&"shared".into(), &Value::Null));
        let p12 = std::fs::read(&out).unwrap();
        let certificate = Certificate::from_p12(&p12, issued["password"].as_str().unwrap()).unwrap();
        (issued["device"]["id"].as_str().unwrap().to_owned(), certificate)
    }
}

async fn open(browser: &mut Browser, url: &str) -> Response {
    browser.open(url).await.unwrap()
}

#[test]
fn a_shared_device_serves_its_groups_and_nobody_else() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        gate.add_staff("tanaka", &["visiting-nurses", "night"]);
        let (_, tablet) = gate.issue_shared(&["night"]);
        let (_, everybodys) = gate.issue_shared(&[]);

        // Its certificate lets a member in from outside, by the rule that asks for a device …
        gate.signed_in_outside("tanaka", tablet.clone(), true).await;
        // … and nobody of other groups, whatever their rules say.
        let mut other = gate.browser(OUTSIDE);
        other.present(Some(tablet));
        let refused = sign_in(&mut other, &gate.url("/echo"), "suzuki", PASSWORD).await;
        assert_eq!(refused.status, 403);
        gate.signed_in_outside("suzuki", everybodys, false).await;

        let explained = gate.cli(&[
            "policy",
            "explain",
            "--app",
            "hidamari",
            "--from",
            "127.0.0.2",
            "--person",
            "suzuki",
            "--device",
            "shared-by-others",
        ]);
        assert_eq!(explained.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&explained.stdout).contains("device-not-yours"));
        let wrong =
            gate.cli(&["device", "issue", "--shared", "--owner", "suzuki", "--name", "x", "--out", "/dev/null"]);
        assert_eq!(wrong.status.code(), Some(2), "a shared device has no owner");
    });
}

#[test]
fn who_leaves_the_group_is_out_of_the_shared_device_on_the_next_request() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("tanaka", &["visiting-nurses", "staff"]);
        let (_, tablet) = gate.issue_shared(&["visiting-nurses"]);
        let mut tanaka = gate.signed_in_outside("tanaka", tablet, true).await;
        let fetch = async |browser: &mut Browser| {
            let url = gate.url("/echo");
            browser.send(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap()
        };
        assert_eq!(fetch(&mut tanaka).await.status, 200);
        let handshakes = "sekisho_handshakes_total{outcome=\"ok\"}";
        let before = gate.metric(handshakes).await;
        let roster = gate.path("roster.csv");
        std::fs::write(&roster, "id,name,groups\ntanaka,tanaka,staff\n").unwrap();
        gate.json(&["staff", "import", roster.to_str().unwrap(), "--yes"]);
        let refused = fetch(&mut tanaka).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (403, &"device-not-yours".into()));
        assert_eq!(gate.metric(handshakes).await, before, "the refusal came on a new connection");
    });
}

#[test]
fn a_session_on_a_shared_device_is_worth_nothing_without_it() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("tanaka", &["visiting-nurses"]);
        let (_, tablet) = gate.issue_shared(&[]);
        let mut tanaka = gate.signed_in_outside("tanaka", tablet, true).await;
        tanaka.present(None);
        tanaka.move_to(HOME);
        let url = gate.url("/echo");
        let answer = tanaka.send(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_ne!(answer.status, 200);
    });
}

/// One tap, and the next person has the form before them; two fields and a tap later they are in.
#[test]
fn people_change_on_a_shared_device_in_a_few_steps() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["suzuki", "tanaka"] {
            gate.add_staff(person, &["visiting-nurses"]);
        }
        let (_, tablet) = gate.issue_shared(&["visiting-nurses"]);
        let mut browser = gate.signed_in_outside("suzuki", tablet, true).await;
        saas_login(&gate, &mut browser).await;
        assert!(open(&mut browser, &gate.url("/residents")).await.url.ends_with("/residents"));
        let suzukis = gate.json(&["session", "list"])[0]["id"].clone();

        let ask = open(&mut browser, &gate.login_url("/home")).await;
        assert!(ask.text().contains("href=\"/switch\""), "{}", ask.text());
        let ask = open(&mut browser, &gate.login_url("/switch")).await;
        let before = gate.requests(&[]).len();
        let form = fill_in(&mut browser, &ask, &[]).await;
        assert!(form.text().contains("type=\"password\""), "{} {}", form.url, form.text());
        assert!(gate.json(&["session", "list"]).as_array().unwrap().is_empty());
        // Of ours, the next sign-in has begun; of hers, nothing is left.
        let left = browser.cookies(APP);
        assert!(left.starts_with("__Host-sekisho-begin=") && !left.contains(';'), "something is left: {left}");
        let landed = fill_in(&mut browser, &form, &[("login_id", "tanaka"), ("password", PASSWORD)]).await;
        // The SaaS asks who it is: nothing of suzuki's login was left.
        assert_eq!(landed.url, gate.url("/login?next=/"), "{}", landed.text());
        let made = gate.requests(&[]).len() - before;
        assert!(made <= 14, "{made} requests for one change of person");
        assert_ne!(gate.json(&["session", "list"])[0]["id"], suzukis);
    });
}

/// Without a switch: the one before just walked away, and the session ran out or not.
#[test]
fn nobody_inherits_the_saas_session_of_the_one_before() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let mut browser = gate.signed_in("sato").await;
        saas_login(&gate, &mut browser).await;
        assert!(browser.cookies(APP).contains("hidamari_session"));
        // The same person comes back to their work …
        gate.json(&["session", "end", "--person", "sato"]);
        let landed = sign_in(&mut browser, &gate.url("/residents"), "sato", PASSWORD).await;
        assert_eq!(landed.url, gate.url("/residents"), "the SaaS asked sato again");
        // … the next one does not, whichever way the first went.
        gate.json(&["session", "end", "--person", "sato"]);
        let landed = sign_in(&mut browser, &gate.url("/residents"), "tanaka", PASSWORD).await;
        assert_eq!(landed.url, gate.url("/login?next=/residents"), "tanaka sees sato's records");
        assert!(!browser.cookies(APP).contains("hidamari_"), "{}", browser.cookies(APP));
        // Nor does it depend on what the gate remembers.
        saas_login(&gate, &mut browser).await;
        let mut gate = gate;
        let cookies = browser.cookies(APP);
        gate.json(&["session", "end", "--person", "tanaka"]);
        gate.kill();
        gate.start().await;
        let mut browser = gate.browser(HOME);
        for cookie in cookies.split("; ") {
            browser.set_cookie(APP, &format!("{cookie}; Path=/"));
        }
        let landed = sign_in(&mut browser, &gate.url("/residents"), "sato", PASSWORD).await;
        assert_eq!(landed.url, gate.url("/login?next=/residents"), "sato sees tanaka's records");
    });
}

/// A ticket that was followed from another site comes without `SameSite=Strict` cookies: the browser shows them with
/// the next request only.
#[test]
fn a_strict_cookie_that_the_ticket_did_not_see_is_not_inherited() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let mut browser = gate.signed_in("sato").await;
        saas_login(&gate, &mut browser).await;
        gate.json(&["session", "end", "--person", "sato"]);
        assert!(sign_in(&mut browser, &gate.login_url("/"), "tanaka", PASSWORD).await.url.ends_with("/home"));

        let hers = browser.cookies(APP).split("; ").find(|c| c.starts_with("hidamari_session=")).unwrap().to_owned();
        browser.set_cookie(APP, "hidamari_session=; Path=/; Max-Age=0");
        let mut url = gate.url("/echo");
        for _ in 0..2 {
            let led = browser.send(Method::GET, &url, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
            url = led.headers["location"].to_str().unwrap().to_owned();
        }
        assert!(url.contains("/.sekisho/ticket?ticket="), "{url}");
        browser.send(Method::GET, &url, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        browser.set_cookie(APP, &format!("{hers}; Path=/"));
        for _ in 0..2 {
            let echoed = open(&mut browser, &gate.url("/echo")).await.json();
            assert!(
                !echoed["headers"].to_string().contains("hidamari_session"),
                "tanaka's request bore sato's session"
            );
        }
        assert!(!browser.cookies(APP).contains("hidamari_session"), "{}", browser.cookies(APP));
        // What the SaaS sets for tanaka now stays.
        saas_login(&gate, &mut browser).await;
        let echoed = open(&mut browser, &gate.url("/echo")).await.json();
        assert!(echoed["headers"].to_string().contains("hidamari_session"));
    });
}

/// As JSF does: the session cookie stands below a path, where the ticket never sees it.
#[test]
fn a_cookie_below_a_path_is_not_inherited_either() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "tanaka"] {
            gate.add_staff(person, &["staff"]);
        }
        let mut browser = gate.signed_in("sato").await;
        let set = "/reply?header=set-cookie:JSESSIONID%3Dsatos%3B%20Path%3D/echo%3B%20Secure%3B%20HttpOnly";
        open(&mut browser, &gate.url(set)).await;
        let sent = async |browser: &mut Browser| {
            let echoed = browser.open(&gate.url("/echo")).await.unwrap().json();
            let headers = echoed["headers"].as_array().unwrap().clone();
            headers.iter().find(|h| h[0] == "cookie").map(|h| h[1].as_str().unwrap().to_owned()).unwrap_or_default()
        };
        assert_eq!(sent(&mut browser).await, "JSESSIONID=satos", "ours must not reach the SaaS, theirs must");

        gate.json(&["session", "end", "--person", "sato"]);
        let landed = sign_in(&mut browser, &gate.url("/reply?body=in"), "tanaka", PASSWORD).await;
        assert_eq!(landed.text(), "in");
        assert_eq!(sent(&mut browser).await, "", "tanaka's request bore sato's SaaS session");
        // It is gone from the browser, and what the SaaS sets now stays.
        open(&mut browser, &gate.url(&set.replace("satos", "tanakas"))).await;
        assert_eq!(sent(&mut browser).await, "JSESSIONID=tanakas");
        assert_eq!(sent(&mut browser).await, "JSESSIONID=tanakas");
    });
}

#[test]
fn no_page_can_make_a_browser_forget_by_linking() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut browser = gate.signed_in("sato").await;
        let forged = format!("/.sekisho/ticket?clear={}", "A".repeat(43));
        let answer = open(&mut browser, &gate.url(&forged)).await;
        assert_eq!(answer.status, 400);
        assert!(answer.headers.get("clear-site-data").is_none());
        assert_eq!(open(&mut browser, &gate.url("/echo")).await.status, 200);
    });
}
