//! Second factors, as people set them up, use them and lose them, and how rules count them.

use bytes::Bytes;
use demo::client::{Browser, Mode, Response};
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::harness::{Gate, HOME, OUTSIDE, PASSWORD, fill_in, run, sign_in};

const NEW_PASSWORD: &str = "kaban-tsukue-enpitsu";

/// The facility's network, and two factors.
pub(crate) const TWO: &str = r#"
  - name: in the facility
    apps: [hidamari]
    who: { groups: [staff], factors: 2 }
    from: { networks: [facility] }
    allow: [view, edit, upload, download, login, delete]
  - name: visiting nurses
    apps: [hidamari]
    who: { groups: [visiting-nurses], factors: 2 }
    from: { device: enrolled }
    allow: [view, edit, login]
"#;

/// What an authenticator app shows (RFC 6238), `steps` after now.
pub(crate) fn code(key: &str, steps: u64) -> String {
    let mut secret = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for c in key.bytes().filter(|c| !c.is_ascii_whitespace()) {
        let digit = if c.is_ascii_digit() { c - b'2' + 26 } else { c - b'A' };
        (bits, held) = (bits << 5 | u32::from(digit), held + 5);
        if held >= 8 {
            held -= 8;
            secret.push((bits >> held) as u8);
        }
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = ring::hmac::sign(&key, &(now / 30 + steps).to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let four: [u8; 4] = tag.as_ref()[offset..offset + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let found = text.split_once(start).and_then(|(_, rest)| rest.split_once(end));
    found.unwrap_or_else(|| panic!("no {start} … {end} in {text}")).0
}

async fn press(browser: &mut Browser, page: &Response, action: &str, fields: &[(&str, &str)]) -> Response {
    match browser.fill_in_form(page, &format!("action=\"{action}\""), fields).await {
        Ok(response) => response,
        Err(error) => panic!("{error}: {}", page.text()),
    }
}

/// Sets an authenticator app up from the page given; its key, and the page with the recovery codes.
async fn set_up(browser: &mut Browser, page: &Response) -> (String, Response) {
    let setup = press(browser, page, "/security/totp", &[]).await;
    assert_eq!(setup.status, 200, "{}", setup.text());
    let key = between(&setup.text(), "<code>", "</code>").to_owned();
    let wrong = press(browser, &setup, "/security/totp/confirm", &[("code", "000000")]).await;
    assert!(wrong.status == 403 && wrong.text().contains(&key), "{}", wrong.text());
    let codes = press(browser, &wrong, "/security/totp/confirm", &[("code", &code(&key, 0))]).await;
    assert_eq!(codes.status, 200, "{}", codes.text());
    (key, codes)
}

fn recovery_codes(page: &Response) -> Vec<String> {
    let text = page.text();
    let list = between(&text, "<ol class=\"codes\">", "</ol>");
    list.split("<code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

/// All records of the journal, oldest first.
fn records(gate: &Gate) -> Vec<Value> {
    let entries = gate.entries(&[]);
    entries.map(|entry| serde_json::to_value(entry).unwrap()).collect()
}

/// The changes of this kind, newest last.
fn changes(gate: &Gate, what: &str) -> Vec<Value> {
    records(gate).into_iter().filter(|record| record["kind"] == "change" && record["what"] == what).collect()
}

async fn get(browser: &mut Browser, url: &str) -> Response {
    browser.send(Method::GET, url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap()
}

#[test]
fn who_lacks_a_second_factor_is_led_to_set_one_up_and_then_comes_in() {
    run(async {
        let gate = Gate::builder().policy(TWO).start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let refused = sign_in(&mut sato, &gate.url("/echo?room=203"), "sato", PASSWORD).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        let record = gate.recorded("factors-needed").await;
        assert_eq!((&record["factors"], &record["factor_device"]), (&1.into(), &Value::Null));
        let text = refused.text();
        let lead = between(&text, "class=\"button\" href=\"", "\"").replace("&#38;", "&").replace("&amp;", "&");
        assert!(lead.starts_with(&gate.login_url("/security?handle=")), "{lead}");

        let settings = sato.open(&lead).await.unwrap();
        let (key, codes) = set_up(&mut sato, &settings).await;
        assert_eq!(recovery_codes(&codes).len(), 10);
        let text = codes.text();
        let kept = between(&text, "class=\"button\" href=\"", "\"").to_owned();
        let settings = sato.open(&gate.login_url(&kept)).await.unwrap();
        let text = settings.text();
        let again = between(&text, "class=\"button\" href=\"", "\"").replace("&#38;", "&").replace("&amp;", "&");
        assert!(again.starts_with("/?again=1&handle="), "{again}");

        // Signed in with both, she is where she wanted to go.
        let form = sato.open(&gate.login_url(&again)).await.unwrap();
        let step = fill_in(&mut sato, &form, &[("login_id", "sato"), ("password", PASSWORD)]).await;
        let landed = fill_in(&mut sato, &step, &[("code", &code(&key, 1))]).await;
        assert_eq!((landed.status.as_u16(), landed.url.as_str()), (200, gate.url("/echo?room=203").as_str()));
        let record = gate.recorded("rule").await;
        assert_eq!((&record["factors"], &record["factor_device"]), (&2.into(), &Value::Null));
        let set = changes(&gate, "totp-set");
        assert_eq!((set.len(), &set[0]["by"], &set[0]["channel"]), (1, &"sato".into(), &"login".into()));
        let begun: Vec<_> =
            records(&gate).into_iter().filter(|r| r["kind"] == "sign-in" && r["result"] == "ok").collect();
        let methods: Vec<_> = begun.iter().map(|r| r["method"].as_str().unwrap()).collect();
        assert_eq!(methods, ["password", "password+totp"]);

        assert!(!gate.log().contains(&key.replace(' ', "")));
    });
}

#[test]
fn a_script_is_told_where_a_second_factor_is_set_up_and_who_can_do_nothing_is_not() {
    run(async {
        let gate = Gate::builder().policy(TWO).start().await;
        gate.add_staff("sato", &["staff"]);
        gate.add_staff("suzuki", &["cooks"]);
        let mut sato = gate.browser(HOME);
        sign_in(&mut sato, &gate.url("/echo"), "sato", PASSWORD).await;
        let told = get(&mut sato, &gate.url("/api/summary")).await;
        assert_eq!((told.status.as_u16(), told.json()["error"].as_str()), (403, Some("factors-needed")));
        assert_eq!(told.json()["sign_in"], gate.login_url("/security"));
        // A rule that is not about her would not let her in with ten factors.
        let mut suzuki = gate.browser(HOME);
        sign_in(&mut suzuki, &gate.url("/echo"), "suzuki", PASSWORD).await;
        let told = get(&mut suzuki, &gate.url("/api/summary")).await;
        assert_eq!((told.json()["error"].as_str(), &told.json()["sign_in"]), (Some("not-for-you"), &Value::Null));
    });
}

#[test]
fn an_own_device_is_a_factor_and_the_record_and_explain_say_so() {
    run(async {
        let gate = Gate::builder().policy(TWO).start().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (_, certificate) = gate.issue_device("suzuki");
        let mut suzuki = gate.signed_in_outside("suzuki", certificate, false).await;
        assert_eq!(suzuki.open(&gate.url("/echo")).await.unwrap().status, 200);
        let record = gate.recorded("rule").await;
        assert_eq!((&record["factors"], &record["factor_device"]), (&2.into(), &true.into()));
        let explain = |device: &str| {
            let arguments = ["policy", "explain", "--app", "hidamari", "--from", "127.0.0.2", "--person", "suzuki"];
            let output = gate.cli(&[&arguments[..], &["--group", "visiting-nurses", "--device", device]].concat());
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(explain("enrolled").0, Some(0));
        let (status, text) = explain("shared");
        assert_eq!(status, Some(1));
        let counted =
            "factors: asks for 2 factors; found 1 factor (1 from the sign-in; a shared device counts for nobody)";
        assert!(text.contains(counted), "{text}");
    });
}

#[test]
fn a_recovery_code_signs_in_once_and_is_told_and_recorded() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let settings = sato.open(&gate.login_url("/security")).await.unwrap();
        let (_, page) = set_up(&mut sato, &settings).await;
        let codes = recovery_codes(&page);

        // The phone is gone.
        let mut laptop = gate.browser(HOME);
        let step = sign_in(&mut laptop, &gate.url("/echo"), "sato", PASSWORD).await;
        let wrong = press(&mut laptop, &step, "/recovery", &[("code", "0000-0000-0000")]).await;
        assert_eq!(wrong.status, 403);
        let told = press(&mut laptop, &wrong, "/recovery", &[("code", &codes[0].to_lowercase())]).await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert!(told.text().contains("Recovery codes left: 9."), "{}", told.text());
        let text = told.text();
        let url = between(&text, "class=\"button\" href=\"", "\"").to_owned();
        assert_eq!(laptop.open(&url).await.unwrap().url, gate.url("/echo"));
        let used = changes(&gate, "recovery-code-used");
        assert_eq!((used.len(), &used[0]["subject"], &used[0]["details"]["left"]), (1, &"sato".into(), &9.into()));

        let mut another = gate.browser(HOME);
        let step = sign_in(&mut another, &gate.url("/echo"), "sato", PASSWORD).await;
        assert_eq!(press(&mut another, &step, "/recovery", &[("code", &codes[0])]).await.status, 403, "used twice");

        // New ones replace the old: from the page, and from the operator.
        let settings = laptop.open(&gate.login_url("/security")).await.unwrap();
        let new = recovery_codes(&press(&mut laptop, &settings, "/security/recovery", &[]).await);
        assert_eq!(new.len(), 10);
        assert_eq!(press(&mut another, &step, "/recovery", &[("code", &codes[1])]).await.status, 403, "replaced");
        let printed = gate.json(&["staff", "recovery-codes", "sato"]);
        let printed = printed["codes"].as_array().unwrap()[0].as_str().unwrap().to_owned();
        assert_eq!(press(&mut another, &step, "/recovery", &[("code", &new[0])]).await.status, 403, "replaced");
        assert_eq!(press(&mut another, &step, "/recovery", &[("code", &printed)]).await.status, 200);
        assert_eq!(changes(&gate, "recovery-codes-made").len(), 3);
        // Nowhere in clear text.
        let record = serde_json::to_string(&records(&gate)).unwrap();
        for code in codes.iter().chain(&new).chain([&printed]) {
            assert!(!record.contains(code.as_str()) && !gate.log().contains(code.as_str()));
        }
    });
}

#[test]
fn changes_ask_for_the_password_once_the_sign_in_is_old_and_come_from_our_page_alone() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        // A form of somebody else's.
        for path in ["/security/totp", "/security/confirm", "/security/recovery", "/password"] {
            let forged = sato.submit(&gate.login_url(path), &[("token", "made-up"), ("new", NEW_PASSWORD)]).await;
            assert_eq!(forged.unwrap().status, 403, "{path}");
        }
        // Nobody signed in has nothing to look after.
        let mut nobody = gate.browser(HOME);
        assert_eq!(nobody.open(&gate.login_url("/security")).await.unwrap().url, gate.login_url("/"));
    });
}

#[test]
fn people_change_their_own_password_and_other_sessions_end() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut elsewhere = gate.signed_in("sato").await;
        let mut sato = gate.signed_in("sato").await;
        let form = sato.open(&gate.login_url("/password")).await.unwrap();
        let change = async |browser: &mut Browser, old: &str, new: &str, again: &str| {
            let fields = [("old", old), ("new", new), ("again", again), ("username", "sato")];
            fill_in(browser, &form, &fields).await
        };
        for (old, new, again, said) in [
            ("not-her-password", NEW_PASSWORD, NEW_PASSWORD, "The password is wrong"),
            (PASSWORD, NEW_PASSWORD, "something-else-entirely", "not the same"),
            (PASSWORD, "short-one", "short-one", "at least 13"),
            (PASSWORD, "passwordpassword1", "passwordpassword1", "people try first"),
            (PASSWORD, PASSWORD, PASSWORD, "must not be the current one"),
        ] {
            let told = change(&mut sato, old, new, again).await;
            assert!(told.status == 403 && told.text().contains(said), "{said}: {}", told.text());
        }
        let done = change(&mut sato, PASSWORD, NEW_PASSWORD, NEW_PASSWORD).await;
        assert!(done.status == 200 && done.text().contains("Your password was changed."), "{}", done.text());
        assert_eq!(sato.open(&gate.url("/echo")).await.unwrap().status, 200, "this session goes on");
        assert_eq!(get(&mut elsewhere, &gate.url("/echo")).await.status, 401);
        assert_eq!(changes(&gate, "password-changed").len(), 1);
        let causes: Vec<_> = records(&gate).into_iter().filter(|r| r["kind"] == "sign-out").collect();
        assert_eq!((causes.len(), &causes[0]["cause"]), (1, &"credential".into()));
        let mut old = gate.browser(HOME);
        assert_eq!(sign_in(&mut old, &gate.url("/echo"), "sato", PASSWORD).await.status, 403);
        assert_eq!(sign_in(&mut old, &gate.url("/echo"), "sato", NEW_PASSWORD).await.status, 200);
    });
}

#[test]
fn a_password_that_the_operator_was_told_is_changed_before_anything_else() {
    run(async {
        let gate = Gate::usual().await;
        let added = gate.json(&["staff", "add", "sato", "--name", "佐藤", "--group", "staff"]);
        let first = added["password"].as_str().unwrap();
        assert_eq!(gate.json(&["staff", "factors", "sato"])["password_due"], true);
        let mut sato = gate.browser(HOME);
        let due = sign_in(&mut sato, &gate.url("/echo?room=203"), "sato", first).await;
        assert!(due.url.starts_with(&gate.login_url("/password?handle=")), "{}", due.url);
        // There is no way round.
        for path in ["/home", "/security", "/"] {
            let led = sato.open(&gate.login_url(path)).await.unwrap();
            assert!(led.url.starts_with(&gate.login_url("/password")), "{path}: {}", led.url);
        }
        let led = sato.open(&gate.url("/echo")).await.unwrap();
        assert!(led.url.starts_with(&gate.login_url("/password")), "{}", led.url);
        let fields = |new| [("new", new), ("again", new), ("username", "sato")];
        let same = fill_in(&mut sato, &due, &fields(first)).await;
        assert!(same.status == 403 && same.text().contains("must not be the current one"), "{}", same.text());
        let landed = fill_in(&mut sato, &due, &fields(NEW_PASSWORD)).await;
        assert_eq!((landed.status.as_u16(), landed.url.as_str()), (200, gate.url("/echo?room=203").as_str()));
        assert_eq!(gate.json(&["staff", "factors", "sato"])["password_due"], false);
        // One that somebody typed in is theirs.
        gate.add_staff("tanaka", &["staff"]);
        assert_eq!(gate.json(&["staff", "factors", "tanaka"])["password_due"], false);
        let made = gate.json(&["staff", "password", "tanaka"]);
        assert!(made["password"].is_string());
        assert_eq!(gate.json(&["staff", "factors", "tanaka"])["password_due"], true);
    });
}

#[test]
fn a_lost_phone_is_reset_by_the_operator_and_the_sessions_end() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let settings = sato.open(&gate.login_url("/security")).await.unwrap();
        set_up(&mut sato, &settings).await;
        // Beside a second factor a short one will do.
        let set = gate.cli_with_input(&["staff", "password", "sato", "--stdin"], "tsukueka");
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
        let factors = gate.json(&["staff", "factors", "sato"]);
        assert_eq!((&factors["totp"], &factors["recovery_codes"]), (&true.into(), &10.into()));
        let text = gate.cli(&["staff", "factors", "sato"]);
        let text = String::from_utf8(text.stdout).unwrap();
        assert!(text.contains("One-time codes:  in force") && text.contains("a second factor must stay"), "{text}");

        let reset = gate.json(&["staff", "reset-factors", "sato"]);
        let password = reset["password"].as_str().expect("the short one can't stand alone");
        let factors = gate.json(&["staff", "factors", "sato"]);
        assert_eq!((&factors["totp"], &factors["recovery_codes"]), (&false.into(), &0.into()));
        assert_eq!((&factors["password_due"], &factors["password_long"]), (&true.into(), &true.into()));
        assert_eq!(get(&mut sato, &gate.url("/echo")).await.status, 401);
        let change = &changes(&gate, "factors-reset")[0];
        assert_eq!((&change["subject"], &change["details"]["totp"]), (&"sato".into(), &true.into()));
        let mut again = gate.browser(HOME);
        let due = sign_in(&mut again, &gate.url("/echo"), "sato", password).await;
        assert!(due.url.starts_with(&gate.login_url("/password")), "{}", due.url);
        for (arguments, status) in [
            (["staff", "factors", "nobody"], Some(1)),
            (["staff", "reset-factors", "nobody"], Some(1)),
            (["staff", "recovery-codes", "sato"], Some(1)),
        ] {
            assert_eq!(gate.cli(&arguments).status.code(), status, "{arguments:?}");
        }
    });
}

#[test]
fn removing_a_factor_ends_the_sessions_elsewhere_and_a_short_password_keeps_its_last() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut elsewhere = gate.signed_in("sato").await;
        let mut sato = gate.signed_in("sato").await;
        let settings = sato.open(&gate.login_url("/security")).await.unwrap();
        set_up(&mut sato, &settings).await;
        assert_eq!(elsewhere.open(&gate.url("/echo")).await.unwrap().status, 200, "adding ends nothing");
        let settings = sato.open(&gate.login_url("/security")).await.unwrap();
        let form = sato.open(&gate.login_url("/password")).await.unwrap();
        let short = [("old", PASSWORD), ("new", "tsukueka"), ("again", "tsukueka"), ("username", "sato")];
        assert_eq!(fill_in(&mut sato, &form, &short).await.status, 200);
        let kept = press(&mut sato, &settings, "/security/totp/remove", &[]).await;
        assert!(kept.status == 403 && kept.text().contains("Your password is short"), "{}", kept.text());
        let long = [("old", "tsukueka"), ("new", NEW_PASSWORD), ("again", NEW_PASSWORD), ("username", "sato")];
        assert_eq!(fill_in(&mut sato, &form, &long).await.status, 200);
        // Somebody signs in elsewhere once more, by a recovery code of the operator's.
        let codes = gate.json(&["staff", "recovery-codes", "sato"]);
        let mut elsewhere = gate.browser(HOME);
        let step = sign_in(&mut elsewhere, &gate.url("/echo"), "sato", NEW_PASSWORD).await;
        let code = codes["codes"].as_array().unwrap()[0].as_str().unwrap();
        assert_eq!(press(&mut elsewhere, &step, "/recovery", &[("code", code)]).await.status, 200);
        assert_eq!(gate.json(&["session", "list"]).as_array().unwrap().len(), 2);
        let done = press(&mut sato, &settings, "/security/totp/remove", &[]).await;
        assert!(done.text().contains("The authenticator app was removed."), "{}", done.text());
        assert_eq!(gate.json(&["session", "list"]).as_array().unwrap().len(), 1);
        assert_eq!(changes(&gate, "totp-removed").len(), 1);
        assert_eq!(gate.json(&["staff", "factors", "sato"])["recovery_codes"], 0);
    });
}

#[test]
fn guessing_second_factors_is_throttled() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let settings = sato.open(&gate.login_url("/security")).await.unwrap();
        set_up(&mut sato, &settings).await;
        let mut guesser = gate.browser(OUTSIDE);
        let (_, certificate) = {
            gate.add_staff("suzuki", &["visiting-nurses"]);
            gate.issue_device("suzuki")
        };
        guesser.present(Some(certificate));
        let mut throttled = false;
        for guess in 0..8 {
            let step = sign_in(&mut guesser, &gate.url("/"), "sato", PASSWORD).await;
            let typed = format!("0000-0000-{guess:04}");
            throttled |= press(&mut guesser, &step, "/recovery", &[("code", &typed)]).await.status == 429;
        }
        assert!(throttled, "eight guesses were all tried");
    });
}

#[test]
fn the_script_is_served_with_care_and_only_pages_that_need_it_allow_it() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut browser = gate.browser(HOME);
        let page = browser.open(&gate.url("/")).await.unwrap();
        let text = page.text();
        let source = between(&text, "<script src=\"", "\"").to_owned();
        let csp = page.headers["content-security-policy"].to_str().unwrap().to_owned();
        assert!(csp.contains("default-src 'none'") && csp.contains("script-src 'self'"), "{csp}");
        assert!(!csp.contains("unsafe"), "{csp}");
        let script = get(&mut browser, &gate.login_url(&source)).await;
        assert_eq!(script.status, 200);
        assert_eq!(script.headers["content-type"], "text/javascript; charset=utf-8");
        assert_eq!(script.headers["x-content-type-options"], "nosniff");
        assert_eq!(script.headers["cache-control"], "public, max-age=31536000, immutable");
        let old = get(&mut browser, &gate.login_url("/passkey.js?v=0123")).await;
        assert_eq!(old.headers["cache-control"], "no-store");
        let mut sato = gate.signed_in("sato").await;
        for (path, scripted) in [("/home", false), ("/sign-out", false), ("/password", false), ("/security", true)] {
            let page = sato.open(&gate.login_url(path)).await.unwrap();
            let csp = page.headers["content-security-policy"].to_str().unwrap().to_owned();
            assert_eq!(csp.contains("script-src"), scripted, "{path}");
            assert_eq!(page.text().contains("<script"), scripted, "{path}");
        }
    });
}
