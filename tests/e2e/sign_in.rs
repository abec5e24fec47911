//! One sign-in for every app, and its end.

use bytes::Bytes;
use demo::client::Mode;
use http::{HeaderMap, Method};

use crate::harness::{Gate, HOME, OUTSIDE, PASSWORD, fill_in, run, sign_in};

#[test]
fn a_deep_link_with_a_query_survives_signing_in() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let landed = sign_in(&mut sato, &gate.url("/echo?room=203&q=%E3%81%82"), "sato", PASSWORD).await;
        assert_eq!(landed.status, 200);
        assert_eq!(landed.url, gate.url("/echo?room=203&q=%E3%81%82"));
        // Every further request goes straight through, on each of the app's hosts.
        let again = sato.open(&gate.url("/echo")).await.unwrap();
        assert_eq!(again.status, 200);
        let style = gate.assets_url("/assets/app.css");
        let asset = sato.send(Method::GET, &style, Mode::Bare, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(asset.status, 200);
    });
}

#[test]
fn a_wrong_password_and_an_unknown_person_get_the_same_answer() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut texts = Vec::new();
        for person in ["sato", "nobody-has-this-id"] {
            let mut browser = gate.browser(HOME);
            let answer = sign_in(&mut browser, &gate.url("/"), person, "not-the-password").await;
            assert!(answer.status.is_client_error());
            // What was typed and the form's one-time values differ; what is said does not.
            texts.push((answer.status, said(&answer.text(), person)));
        }
        assert_eq!(texts[0], texts[1]);
    });
}

fn said(page: &str, person: &str) -> String {
    let mut text = String::new();
    let mut tag = false;
    for c in page.replace(person, "").chars() {
        match c {
            '<' => tag = true,
            '>' => tag = false,
            c if !tag => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn guessing_is_throttled_without_locking_the_person_out_elsewhere() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        // She has signed in from the facility before, so the gate knows her there.
        gate.signed_in("sato").await;
        let (_, certificate) = {
            gate.add_staff("suzuki", &["staff", "visiting-nurses"]);
            gate.issue_device("suzuki")
        };
        let mut guesser = gate.browser(OUTSIDE);
        guesser.present(Some(certificate));
        let page = guesser.open(&gate.url("/")).await.unwrap();
        let mut throttled = false;
        for guess in 0..12 {
            let password = format!("guess-number-{guess}");
            let answer = fill_in(&mut guesser, &page, &[("login_id", "sato"), ("password", &password)]).await;
            throttled |= answer.status == 429;
        }
        assert!(throttled, "twelve guesses in a row were all tried");
        gate.signed_in("sato").await;
    });
}

#[test]
fn signing_out_ends_the_session_on_every_host() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let ask = sato.open(&gate.login_url("/sign-out")).await.unwrap();
        assert_eq!(ask.status, 200, "{}", ask.text());
        let done = fill_in(&mut sato, &ask, &[]).await;
        assert_eq!(done.status, 200);
        let after =
            sato.send(Method::GET, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(after.status, 401);
        assert_eq!(after.json()["error"], "sign-in-needed");
        assert!(gate.json(&["session", "list"]).as_array().unwrap().is_empty());
    });
}

#[test]
fn a_script_gets_json_and_never_a_redirect() {
    run(async {
        let gate = Gate::usual().await;
        let mut browser = gate.browser(HOME);
        let answer = browser
            .send(Method::GET, &gate.url("/api/summary"), Mode::Fetch, HeaderMap::new(), Bytes::new())
            .await
            .unwrap();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.json()["error"], "sign-in-needed");
        let page =
            browser.send(Method::GET, &gate.url("/"), Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert!(page.status.is_redirection());
    });
}

#[test]
fn a_ticket_is_good_once_in_one_browser_on_one_host() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        // A second tab begins; the ticket it gets is caught on its way.
        sato.set_cookie("hidamari.gw.localhost", "__Host-sekisho=; Max-Age=0");
        let begun =
            sato.send(Method::GET, &gate.url("/echo"), Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        let login = begun.headers["location"].to_str().unwrap().to_owned();
        let minted = sato.send(Method::GET, &login, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        let ticket = minted.headers["location"].to_str().unwrap().to_owned();
        assert!(ticket.starts_with(&gate.url("/.sekisho/ticket?ticket=")), "{ticket}");

        let mut thief = gate.browser(HOME);
        let stolen = thief.send(Method::GET, &ticket, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert!(!stolen.status.is_redirection(), "another browser redeemed the ticket");
        assert!(thief.cookies("hidamari.gw.localhost").is_empty());
        // The theft burnt it.
        let late = sato.send(Method::GET, &ticket, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert!(!late.status.is_redirection(), "a ticket was good twice");
    });
}

#[test]
fn from_an_unknown_network_nobody_even_sees_a_sign_in_page() {
    run(async {
        let gate = Gate::usual().await;
        let mut cafe = gate.browser(OUTSIDE);
        let refused = cafe.open(&gate.url("/residents")).await.unwrap();
        assert_eq!(refused.status, 403);
        assert_eq!(refused.url, gate.url("/residents"), "no redirect");
        let login = cafe.open(&gate.login_url("/")).await.unwrap();
        assert_eq!(login.status, 403);
        assert!(!login.text().contains("type=\"password\""));
    });
}

#[test]
fn a_second_factor_is_asked_for_and_a_code_is_good_once() {
    run(async {
        use vocabulary::{Clock, SystemClock};
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let url = gate.json(&["staff", "totp", "sato"])["url"].as_str().unwrap().to_owned();
        let secret = url.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let now = SystemClock.now();
        let before = totp(&secret, now.plus_secs(-30));
        let confirmed = gate.cli(&["staff", "totp-confirm", "sato", &before]);
        assert!(confirmed.status.success(), "{}", String::from_utf8_lossy(&confirmed.stderr));

        let code = totp(&secret, SystemClock.now());
        let mut sato = gate.browser(HOME);
        let asked = sign_in(&mut sato, &gate.url("/echo"), "sato", PASSWORD).await;
        assert!(asked.text().contains("name=\"code\""), "{}", asked.text());
        let landed = fill_in(&mut sato, &asked, &[("code", &code)]).await;
        assert_eq!(landed.url, gate.url("/echo"), "{}", landed.text());

        let mut again = gate.browser(HOME);
        let asked = sign_in(&mut again, &gate.url("/echo"), "sato", PASSWORD).await;
        let replayed = fill_in(&mut again, &asked, &[("code", &code)]).await;
        assert_ne!(replayed.url, gate.url("/echo"), "a code was good twice");
    });
}

/// RFC 6238 with SHA-1, 30 s, six digits; by an implementation that is not the gate's.
fn totp(base32: &str, at: vocabulary::Timestamp) -> String {
    let mut bits = 0u64;
    let mut count = 0;
    let mut secret = Vec::new();
    for c in base32.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => continue,
        };
        bits = bits << 5 | u64::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            secret.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let step = u64::try_from(at.secs() / 30).unwrap().to_be_bytes();
    let tag = ring::hmac::sign(&key, &step);
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 0xf);
    let word = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}
