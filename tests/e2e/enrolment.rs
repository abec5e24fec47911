//! A pass for every phone: from the invitation's link to the certificate in use, and all that can go wrong on the way.

use bytes::Bytes;
use cert_authority::parse_client_certificate;
use demo::client::{Browser, Certificate, Mode, Response};
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::checkpoints::peers::MailServer;
use crate::harness::{Gate, HOME, OUTSIDE, PASSWORD, Shim, eventually, fill_in, run, sign_in};

pub(crate) const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36";

impl Gate {
    /// An invitation's link, by the command line.
    pub(crate) fn invite(&self, arguments: &[&str]) -> (String, String) {
        let invited = self.json(&[&["device", "invite"], arguments].concat());
        let text = |key: &str| invited[key].as_str().unwrap().to_owned();
        (text("id"), text("link"))
    }

    fn changes(&self, what: &str) -> Vec<audit::Change> {
        let of_kind = |entry: audit::Entry| match entry.record {
            audit::Record::Change(change) if change.what == what => Some(change),
            _ => None,
        };
        self.entries(&["change"]).filter_map(of_kind).collect()
    }
}

/// A phone with nothing on it.
fn phone(gate: &Gate, from: std::net::IpAddr, agent: &str) -> Browser {
    let mut browser = gate.browser(from);
    browser.call_itself(agent);
    browser
}

/// Follows a link to where the device is named.
async fn follow(browser: &mut Browser, link: &str, person: &str) -> Response {
    sign_in(browser, &format!("{link}?sign-in=1"), person, PASSWORD).await
}

/// What stands on the page after a label.
fn secret(page: &str) -> String {
    let from = page.find("<code id=\"password\">").expect(page) + "<code id=\"password\">".len();
    let text = &page[from..][..page[from..].find("</code>").unwrap()];
    text.replace("<wbr>", "")
}

fn code(page: &str) -> String {
    let from = page.find("<b>").expect(page) + 3;
    page[from..][..6].to_owned()
}

async fn fetch(browser: &mut Browser, url: &str) -> Response {
    browser.send(Method::GET, url, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap()
}

/// The certificate that was handed out on this page.
async fn download(browser: &mut Browser, page: &Response) -> Certificate {
    let link = page.url.split('?').next().unwrap();
    let file = fetch(browser, &format!("{link}/sekisho.p12")).await;
    assert_eq!((file.status.as_u16(), file.headers["content-type"].to_str().unwrap()), (200, "application/x-pkcs12"));
    assert!(file.headers["cache-control"].to_str().unwrap().contains("no-store"));
    Certificate::from_p12(&file.body, &secret(&page.text())).unwrap()
}

#[test]
fn a_nurse_enrols_her_phone_from_outside() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (id, link) = gate.invite(&["--owner", "suzuki", "--kind", "byod"]);
        let secret_of_link = link.rsplit('/').next().unwrap();
        let mut phone = phone(&gate, OUTSIDE, ANDROID);

        // Previews and scanners follow links, and burn nothing.
        for method in [Method::GET, Method::HEAD, Method::GET] {
            let seen = phone.send(method, &link, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
            assert_eq!(seen.status, 200);
        }
        let form = follow(&mut phone, &link, "suzuki").await;
        assert_eq!(form.status, 200, "{}", form.text());
        assert!(form.text().contains("name=\"name\""), "{}", form.text());

        // From outside somebody of the facility has to say yes, who is read the code on the screen.
        let waiting = fill_in(&mut phone, &form, &[("name", "鈴木のスマホ")]).await;
        assert!(waiting.headers.contains_key("refresh"), "{}", waiting.text());
        let code = code(&waiting.text());
        let requests = gate.json(&["device", "requests"]);
        assert_eq!((&requests[0]["code"], &requests[0]["person"]), (&code.clone().into(), &"suzuki".into()));
        assert!(!gate.cli(&["device", "approve", "AAAAAA"]).status.success());
        gate.json(&["device", "approve", &code.to_lowercase()]);

        let form = phone.open(&link).await.unwrap();
        let install = fill_in(&mut phone, &form, &[]).await;
        assert_eq!(install.status, 200, "{}", install.text());
        let certificate = download(&mut phone, &install).await;
        // A download may break off.
        download(&mut phone, &install).await;

        let device = &gate.json(&["device", "list"])[0];
        assert_eq!(device["kind"], "byod");
        assert_eq!((&device["name"], &device["os"]), (&"鈴木のスマホ".into(), &"android".into()));
        assert_eq!(device["owner"], "suzuki");

        let check = format!("https://device.gw.localhost:{}/", gate.port);
        let seen = phone.open(&check).await.unwrap();
        assert!(seen.status == 200 && !seen.text().contains("鈴木"), "no certificate yet: {}", seen.text());
        phone.present(Some(certificate));
        let seen = phone.open(&check).await.unwrap();
        assert!(seen.text().contains("鈴木のスマホ"), "{}", seen.text());
        let landed = sign_in(&mut phone, &gate.url("/echo"), "suzuki", PASSWORD).await;
        assert_eq!(landed.status, 200, "{}", landed.text());

        // Once, and every step of it is in the record.
        let mut other = self::phone(&gate, HOME, IPHONE);
        assert_eq!(other.open(&link).await.unwrap().status, 410);
        for (what, by) in [
            ("device-invited", "os:"),
            ("enrolment-asked", "suzuki"),
            ("enrolment-approved", "os:"),
            ("device-issued", "suzuki"),
        ] {
            let changes = gate.changes(what);
            assert_eq!(changes.len(), 1, "{what}");
            assert!(changes[0].by.starts_with(by), "{what}: {}", changes[0].by);
        }
        assert_eq!(gate.changes("device-issued")[0].details["invitation"], id.as_str());
        let asked = gate.requests(&[]).into_iter().rfind(|r| r["host"] == "enroll.gw.localhost").unwrap();
        assert_eq!((&asked["path"], &asked["app"]), (&"/i/***".into(), &"enroll".into()));
        for line in gate.entries(&[]).map(|entry| format!("{entry:?}")) {
            assert!(!line.contains(secret_of_link), "{line}");
        }
        assert!(!gate.log().contains(secret_of_link));
    });
}

#[test]
fn a_link_is_good_once_for_one_person_and_for_a_while() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        gate.add_staff("sato", &["staff"]);
        let status = |page: &Response| page.status.as_u16();

        // In the facility nobody has to say yes.
        let (_, link) = gate.invite(&["--owner", "suzuki"]);
        let mut first = phone(&gate, HOME, ANDROID);
        let form = follow(&mut first, &link, "suzuki").await;
        assert!(form.text().contains("name=\"name\""), "{}", form.text());

        // Another person, who is signed in as herself; it is recorded and burns nothing.
        let mut other = phone(&gate, HOME, IPHONE);
        let refused = follow(&mut other, &link, "sato").await;
        assert_eq!(status(&refused), 403);
        let refused = gate.changes("invitation-refused");
        assert_eq!((refused[0].by.as_str(), &refused[0].details["cause"]), ("sato", &"not-yours".into()));

        // A form that is not from our page.
        let forged = first.submit(&link, &[("token", "x"), ("name", "mine")]).await.unwrap();
        assert_eq!(status(&forged), 403);
        assert!(gate.json(&["device", "list"]).as_array().unwrap().is_empty());

        let install = fill_in(&mut first, &form, &[]).await;
        assert_eq!(status(&install), 200);
        // Pressed twice: the same device, not another one.
        let again = fill_in(&mut first, &form, &[]).await;
        assert_eq!(status(&again), 200, "{}", again.text());
        assert_eq!(gate.json(&["device", "list"]).as_array().unwrap().len(), 1);
        // The files are for the browser that they were made for.
        let file = format!("{link}/sekisho.mobileconfig");
        let mut thief = phone(&gate, HOME, ANDROID);
        follow(&mut thief, &gate.invite(&["--owner", "suzuki"]).1, "suzuki").await;
        assert_eq!(status(&fetch(&mut thief, &file).await), 410);
        assert_eq!(status(&fetch(&mut first, &file).await), 200);

        for wrong in ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "x", "", "../../etc/passwd"] {
            let guessed = format!("https://enroll.gw.localhost:{}/i/{wrong}", gate.port);
            let page = phone(&gate, OUTSIDE, IPHONE).open(&guessed).await.unwrap();
            assert!(matches!(status(&page), 400 | 404), "{wrong}: {}", page.status);
        }
        let (id, withdrawn) = gate.invite(&["--owner", "suzuki"]);
        gate.json(&["device", "withdraw", &id]);
        assert_eq!(status(&first.open(&withdrawn).await.unwrap()), 410);
        assert_eq!(status(&first.open(&withdrawn).await.unwrap()), 410);
        let causes: Vec<_> =
            gate.changes("invitation-refused").into_iter().map(|c| c.details["cause"].clone()).collect();
        assert_eq!(causes, ["not-yours", "used", "withdrawn"], "each once");
        assert!(!gate.cli(&["device", "withdraw", &id]).status.success());
    });
}

#[test]
fn an_approval_is_for_the_browser_that_asked() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (_, link) = gate.invite(&["--owner", "suzuki"]);
        let (mut nurse, mut thief) = (phone(&gate, OUTSIDE, ANDROID), phone(&gate, OUTSIDE, IPHONE));
        let of_nurse = follow(&mut nurse, &link, "suzuki").await;
        let of_thief = follow(&mut thief, &link, "suzuki").await;
        let waiting = fill_in(&mut nurse, &of_nurse, &[]).await;
        gate.json(&["device", "approve", &code(&waiting.text())]);
        // Who has her password and her link all the same has not her screen.
        assert_eq!(fill_in(&mut thief, &of_thief, &[]).await.status, 403);
        assert_eq!(thief.open(&link).await.unwrap().status, 403);
        let form = nurse.open(&link).await.unwrap();
        assert_eq!(fill_in(&mut nurse, &form, &[]).await.status, 200);

        let (_, declined) = gate.invite(&["--owner", "suzuki"]);
        let form = nurse.open(&declined).await.unwrap();
        let waiting = fill_in(&mut nurse, &form, &[]).await;
        gate.json(&["device", "decline", &code(&waiting.text())]);
        assert_eq!(nurse.open(&declined).await.unwrap().status, 410);
        assert_eq!(gate.json(&["device", "list"]).as_array().unwrap().len(), 1);
    });
}

#[test]
fn an_invitation_opens_the_sign_in_page_and_nothing_else() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let mut stranger = phone(&gate, OUTSIDE, IPHONE);
        let login = format!("https://login.gw.localhost:{}/", gate.port);
        assert_eq!(stranger.open(&login).await.unwrap().status, 403);
        let (_, link) = gate.invite(&["--owner", "suzuki", "--approval", "never"]);
        let form = follow(&mut stranger, &link, "suzuki").await;
        assert_eq!(form.status, 200);
        // Signed in, but not on a device of hers.
        assert_eq!(stranger.open(&gate.url("/echo")).await.unwrap().status, 403);
        // Without an invitation nobody sees a form, whatever handle they make up.
        let made_up = format!("{login}?handle={}", "A".repeat(43));
        assert_eq!(phone(&gate, OUTSIDE, IPHONE).open(&made_up).await.unwrap().status, 403);
        // Nor does the place where certificates are looked at lead to one.
        let renew = format!("https://device.gw.localhost:{}/renew", gate.port);
        let page = phone(&gate, OUTSIDE, IPHONE).open(&renew).await.unwrap();
        assert!(page.url.starts_with("https://device."), "{}", page.url);
    });
}

#[test]
fn one_tap_renews_while_the_certificate_is_good() {
    run(async {
        let gate = Gate::builder().more("enrolment: { remind: [365d] }\n").start().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        gate.add_staff("sato", &["visiting-nurses"]);
        let (id, first) = gate.issue_device("suzuki");
        let renew = format!("https://device.gw.localhost:{}/renew", gate.port);
        let mut phone = phone(&gate, OUTSIDE, ANDROID);
        phone.present(Some(first.clone()));
        let form = sign_in(&mut phone, &renew, "suzuki", PASSWORD).await;
        assert_eq!(form.status, 200, "{}", form.text());
        let install = fill_in(&mut phone, &form, &[]).await;
        assert!(install.url.ends_with("/renew/install"), "{}", install.text());
        let second = download(&mut phone, &install).await;
        assert_eq!(gate.changes("device-renewed").len(), 1);
        // Gone back and pressed again: the same, not another one.
        let again = fill_in(&mut phone, &form, &[]).await;
        assert!(again.url.ends_with("/renew/install"), "{}", again.text());
        assert_eq!(gate.changes("device-renewed").len(), 1);
        let devices = gate.json(&["device", "list"]);
        assert_eq!((devices.as_array().unwrap().len(), &devices[0]["id"]), (1, &id.as_str().into()));
        let serial = parse_client_certificate(&second.chain[0]).unwrap().serial.to_string();
        assert_eq!(devices[0]["serial"], serial.as_str());

        // Both are good for a while, and both are out at once.
        gate.rewrite(|text| text.replace("remind: [365d]", "remind: [7d]"));
        assert!(gate.cli(&["reload"]).status.success());
        gate.signed_in_outside("suzuki", first.clone(), false).await;
        let mut own = gate.signed_in_outside("suzuki", second, true).await;
        // The newest was shown: with the one before it nothing can be renewed any more.
        gate.rewrite(|text| text.replace("remind: [7d]", "remind: [365d]"));
        assert!(gate.cli(&["reload"]).status.success());
        let mut old = self::phone(&gate, OUTSIDE, ANDROID);
        old.present(Some(first.clone()));
        let page = old.open(&renew).await.unwrap();
        assert!(!page.text().contains("<form"), "{}", page.text());
        gate.json(&["device", "lost", &id]);
        assert_eq!(own.open(&gate.url("/echo")).await.unwrap().status, 403);
        phone.present(Some(first));
        assert_eq!(phone.open(&gate.url("/echo")).await.unwrap().status, 403);

        // Nobody renews another's.
        let (_, hers) = gate.issue_device("sato");
        let mut thief = self::phone(&gate, HOME, ANDROID);
        thief.present(Some(hers));
        let refused = sign_in(&mut thief, &renew, "suzuki", PASSWORD).await;
        assert_eq!(refused.status, 403);
        assert_eq!(gate.changes("device-renewed").len(), 1);
    });
}

#[test]
fn who_signs_in_is_told_that_the_certificate_ends_soon() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        gate.rewrite(|text| {
            text.replace("passphrase_file: passphrase }", "passphrase_file: passphrase, device_validity: 20d }")
        });
        gate.kill();
        gate.start().await;
        let (_, certificate) = gate.issue_device("suzuki");
        let mut phone = phone(&gate, OUTSIDE, ANDROID);
        phone.present(Some(certificate));
        let due = sign_in(&mut phone, &gate.url("/echo"), "suzuki", PASSWORD).await.text();
        let mut links = due.split("href=\"").filter_map(|rest| rest.split('"').next());
        assert!(links.clone().any(|url| url.contains("device.gw.localhost") && url.ends_with("/renew")), "{due}");
        // She may go on to work, however long she reads.
        let later = links.find(|url| url.contains("?handle=")).unwrap().replace("&amp;", "&");
        assert_eq!(phone.open(&later).await.unwrap().status, 200);
        assert_eq!(phone.open(&gate.url("/echo")).await.unwrap().status, 200);
    });
}

#[test]
fn a_leaver_s_devices_end_with_the_last_day() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (id, _) = gate.issue_device("suzuki");
        let (_, link) = gate.invite(&["--owner", "suzuki"]);
        let retired = gate.json(&["staff", "retire", "suzuki", "--now"]);
        assert_eq!((&retired["devices_revoked"], &retired["invitations_withdrawn"]), (&1.into(), &1.into()));
        assert_eq!(gate.json(&["device", "invitations"])[0]["state"], "withdrawn");
        let revoked = || gate.json(&["device", "list"])[0]["status"] == "revoked";
        assert!(revoked());
        let gone = phone(&gate, HOME, IPHONE).open(&link).await.unwrap();
        assert!(gone.status.is_client_error(), "{}", gone.text());
        // The list of what is revoked follows.
        let crl = eventually("the list of revoked certificates", async || {
            let url = format!("https://enroll.gw.localhost:{}/device-ca.crl", gate.port);
            let crl = fetch(&mut phone(&gate, OUTSIDE, "curl"), &url).await;
            let serial = gate.json(&["device", "list"])[0]["serial"].as_str().unwrap().to_owned();
            let serial: Vec<u8> = (0..16).map(|n| u8::from_str_radix(&serial[2 * n..][..2], 16).unwrap()).collect();
            let digits = &serial[serial.iter().take_while(|byte| **byte == 0).count()..];
            crl.body.windows(digits.len()).any(|bytes| bytes == digits).then_some(crl)
        });
        assert_eq!(crl.await.headers["content-type"], "application/pkix-crl");
        assert_eq!(gate.changes("device-revoked")[0].subject, id);
        // Who left gets no device any more, one way or the other; and no file is left behind.
        let out = gate.path("suzuki.p12");
        let issue = ["device", "issue", "--owner", "suzuki", "--name", "x", "--out", out.to_str().unwrap()];
        for command in [&["device", "invite", "--owner", "suzuki"][..], &issue] {
            let refused = gate.cli(command);
            assert!(!refused.status.success());
            let why = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(why.contains("suzuki has left or is locked"), "{why}");
        }
        assert!(!out.exists());
        assert_eq!((gate.changes("device-issued").len(), gate.changes("device-invited").len()), (1, 1));
    });
}

#[test]
fn a_machine_has_a_certificate_and_rules_of_its_own() {
    run(async {
        let rules = r#"
  - name: in the facility
    apps: [hidamari]
    from: { networks: [facility] }
    allow: [view]
  - name: the robot
    apps: [hidamari]
    who: { machines: [rpa] }
    from: { device: { kind: machine } }
    allow: [view]
"#;
        let gate = Gate::builder().policy(rules).start().await;
        let out = gate.path("rpa.p12");
        let issued = gate.json(&["device", "issue", "--machine", "rpa", "--out", out.to_str().unwrap()]);
        let p12 = std::fs::read(&out).unwrap();
        let robot = Certificate::from_p12(&p12, issued["password"].as_str().unwrap()).unwrap();
        let mut browser = phone(&gate, OUTSIDE, "rpa/1");
        browser.present(Some(robot));
        let seen = fetch(&mut browser, &gate.url("/echo")).await;
        assert_eq!(seen.status, 200, "{}", seen.text());
        let request: Value = gate.requests(&[]).into_iter().rfind(|r| r["path"] == "/echo").unwrap();
        assert_eq!((&request["client"], &request["rule"]), (&"machine:rpa".into(), &"the robot".into()));
        assert_eq!(request["person"], Value::Null);
        // Another machine has none, in the facility neither.
        let out = gate.path("other.p12");
        let issued = gate.json(&["device", "issue", "--machine", "other", "--out", out.to_str().unwrap()]);
        let other = Certificate::from_p12(&std::fs::read(&out).unwrap(), issued["password"].as_str().unwrap()).unwrap();
        let mut browser = phone(&gate, HOME, "rpa/1");
        browser.present(Some(other));
        assert_eq!(fetch(&mut browser, &gate.url("/echo")).await.status, 403);
    });
}

#[test]
fn a_list_invites_everybody_or_nobody() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        gate.add_staff("mori", &["visiting-nurses"]);
        gate.json(&["staff", "lock", "mori"]);
        let (list, sheet) = (gate.path("list.csv"), gate.path("sheets.html"));
        let all = ["device", "invite-all", list.to_str().unwrap(), "--sheet", sheet.to_str().unwrap()];
        std::fs::write(&list, "職員ID,種別,端末名\nsuzuki,,\nmori,,\nnobody,byod,\n").unwrap();
        let refused = gate.cli(&all);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(why.contains("nobody was invited"), "{why}");
        assert!(why.contains("list.csv:3: mori has left or is locked"), "{why}");
        assert!(why.contains("list.csv:4: nobody is not on the roster"), "{why}");
        assert!(gate.json(&["device", "invitations"]).as_array().unwrap().is_empty() && !sheet.exists());
        std::fs::write(&list, "職員ID,種別,端末名\nsuzuki,,訪問用1\nsuzuki,byod,\n").unwrap();
        assert_eq!(gate.json(&all).as_array().unwrap().len(), 2);
        assert_eq!(gate.json(&["device", "invitations", "--open"]).as_array().unwrap().len(), 2);
        assert_eq!(std::fs::read_to_string(&sheet).unwrap().matches("class=\"qr\"").count(), 2);
        // What no rule asks for is told while it can still be mended.
        gate.add_staff("kitchen", &["kitchen"]);
        for (owner, warned) in [("suzuki", false), ("kitchen", true)] {
            let invited = gate.cli(&["device", "invite", "--owner", owner]);
            let warning = String::from_utf8_lossy(&invited.stderr).contains("no rule lets");
            assert_eq!((invited.status.success(), warning), (true, warned), "{owner}");
        }
        // A program gets what it needs, and no page.
        let machine = gate.cli(&["device", "invite", "--machine", "rpa"]);
        let told = String::from_utf8_lossy(&machine.stdout).into_owned();
        assert!(told.contains("/.well-known/est") && told.contains("password: ") && !told.contains("/i/"), "{told}");
    });
}

/// Promise 7: issuing is recorded before it takes effect, whenever the gate dies.
#[test]
fn promise_7_no_device_without_a_record_when_the_gate_is_killed() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        for round in 0..6_u64 {
            let (_, link) = gate.invite(&["--owner", "suzuki"]);
            let mut phone = phone(&gate, HOME, ANDROID);
            let form = follow(&mut phone, &link, "suzuki").await;
            let pressed = tokio::spawn(async move { phone.fill_in(&form, &[]).await.map(|page| page.status) });
            // Somewhere between the form's arrival and the page after it, which takes about 20 ms.
            let until = std::time::Instant::now() + std::time::Duration::from_millis(3 * round);
            while std::time::Instant::now() < until && !pressed.is_finished() {
                tokio::task::yield_now().await;
            }
            gate.kill();
            let _ = pressed.await;
            gate.start().await;
            let invitation = gate.json(&["device", "invitations"])[0].clone();
            let issued: Vec<String> = gate.changes("device-issued").into_iter().map(|change| change.subject).collect();
            let listed = gate.json(&["device", "list"]);
            let listed: Vec<&str> = listed.as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap()).collect();
            for device in &listed {
                assert!(issued.iter().any(|id| id == device), "{device} has no record: {issued:?}");
            }
            // The invitation is spent if, and only if, its device is there.
            let of_round = gate.changes("device-issued").into_iter().any(|change| {
                change.details["invitation"] == invitation["id"] && listed.contains(&change.subject.as_str())
            });
            assert_eq!(invitation["state"] == "used", of_round, "{invitation}");
        }
    });
}

#[test]
fn mail_tells_whom_it_concerns_and_no_secret_but_the_link() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::build(folder.path());
        let server = MailServer::start("plain", &[]).await;
        let mail = format!(
            "mail: {{ server: \"127.0.0.1:{}\", security: none, from: gate@gw.example, operators: [it@gw.example] }}\n",
            server.port
        );
        let builder = Gate::builder().more(&mail).environment("LD_PRELOAD", shim.library());
        let gate = builder.environment("SHIM_CLOCK", shim.clock()).start().await;
        let add = ["staff", "add", "suzuki", "--name", "鈴木 一", "--mail", "suzuki@gw.example", "--password-stdin"];
        let added = gate.cli_with_input(&[&add[..], &["--group", "visiting-nurses"]].concat(), PASSWORD);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let mails = async |count: usize| {
            let what = format!("{count} mails");
            eventually(&what, async || Some(server.mails()).filter(|mails| mails.len() >= count)).await
        };
        let to = |mail: &Value| mail["to"].to_string();

        let (_, link) = gate.invite(&["--owner", "suzuki", "--mail"]);
        let invitation = mails(1).await.remove(0);
        assert!(to(&invitation).contains("suzuki@gw.example") && invitation["text"].as_str().unwrap().contains(&link));

        let mut phone = phone(&gate, OUTSIDE, ANDROID);
        let form = follow(&mut phone, &link, "suzuki").await;
        let code = code(&fill_in(&mut phone, &form, &[]).await.text());
        let asked = mails(2).await.remove(1);
        assert!(to(&asked).contains("it@gw.example") && asked["text"].as_str().unwrap().contains("鈴木"), "{asked}");
        assert!(!asked.to_string().contains(&code), "the code is compared by telephone: {asked}");

        gate.json(&["device", "approve", &code]);
        let form = phone.open(&link).await.unwrap();
        fill_in(&mut phone, &form, &[]).await;
        let id = gate.json(&["device", "list"])[0]["id"].as_str().unwrap().to_owned();

        // 30 days before the end, once.
        shim.shift(336 * 24 * 3_600_000_000);
        let reminder = mails(3).await.remove(2);
        assert!(to(&reminder).contains("suzuki@gw.example") && reminder["text"].as_str().unwrap().contains("/renew"));
        gate.json(&["device", "lost", &id]);
        let told = mails(5).await;
        let receivers: Vec<String> = told[3..5].iter().map(to).collect();
        assert!(receivers.iter().any(|to| to.contains("suzuki")) && receivers.iter().any(|to| to.contains("it@")));
        assert_eq!(server.mails().len(), 5);
        assert_eq!(gate.changes("renewal-reminded").len(), 1);
    });
}
