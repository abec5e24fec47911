//! Time, moved by the test: the gate's wall clock stands where a file says (`tests/faults.c`), nobody sleeps.

use std::time::Duration;

use bytes::Bytes;
use demo::client::{Browser, Mode};
use futures_util::StreamExt;
use http::{HeaderMap, Method};
use serde_json::Value;
use vocabulary::{Clock, Date, SystemClock, Timestamp, Weekday, Zone};

use crate::harness::{Gate, HOME, OUTSIDE, PASSWORD, Shim, eventually, run, saas_login, sign_in};

/// Sessions that outlast a test's night.
const LONG_SESSIONS: &str = "identity: { session: { idle: 12h, absolute: 12h } }";

struct World {
    gate: Gate,
    shim: Shim,
    _folder: tempfile::TempDir,
}

async fn world(zone: &str, policy: Option<&str>, more: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let shim = Shim::build(folder.path());
    let mut builder = Gate::builder()
        .time_zone(zone)
        .more(more)
        .environment("LD_PRELOAD", shim.library())
        .environment("SHIM_CLOCK", shim.clock());
    if let Some(rules) = policy {
        builder = builder.policy(rules);
    }
    World { gate: builder.start().await, shim, _folder: folder }
}

/// The date of the day after tomorrow in Tokyo, and its midnight: always to come, so that the clock moves forward.
fn midnight() -> (Date, Timestamp) {
    let tokyo = Zone::named("Asia/Tokyo").unwrap();
    let date = tokyo.local(SystemClock.now()).date.tomorrow().unwrap().tomorrow().unwrap();
    (date, Timestamp::parse(&date.to_string(), &tokyo).unwrap())
}

/// Status and error word of a request that a script makes.
async fn fetch(browser: &mut Browser, url: &str) -> (u16, String) {
    let answer = browser.send(Method::GET, url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
    let error = serde_json::from_str::<Value>(&answer.text()).ok().and_then(|v| Some(v["error"].as_str()?.to_owned()));
    (answer.status.as_u16(), error.unwrap_or_default())
}

fn history(gate: &Gate, filter: &[&str]) -> Vec<Value> {
    let output = gate.cli(&[&["audit", "sign-ins", "--json"], filter].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn session_ended(gate: &Gate, person: &str, cause: &str) -> Value {
    eventually(cause, async || {
        history(gate, &["--person", person, "--result", "ok"]).into_iter().rfind(|line| line["cause"] == cause)
    })
    .await
}

/// Promise 3: last days are judged per request, not by a nightly job.
#[test]
fn promise_3_a_last_day_ends_at_midnight_in_the_facility() {
    run(async {
        let World { gate, shim, _folder } = world("Asia/Tokyo", None, "").await;
        let (_, midnight) = midnight();
        gate.add_staff("sato", &["staff"]);
        gate.add_staff("suzuki", &["visiting-nurses"]);
        shim.stand(midnight.plus_secs(-600));
        let (phone_id, phone) = gate.issue_device("suzuki");
        let mut sato = gate.signed_in("sato").await;
        let mut suzuki = gate.signed_in_outside("suzuki", phone.clone(), true).await;
        let last_day = gate.json(&["staff", "retire", "sato"])["last_day"].clone();
        assert_eq!(last_day, Zone::named("Asia/Tokyo").unwrap().local(midnight.plus_secs(-1)).date.to_string());
        let day = last_day.as_str().unwrap();
        assert_eq!(gate.json(&["staff", "retire", "suzuki", "--last-day", day])["sessions_ended"], 0);
        saas_login(&gate, &mut sato).await;
        let mut socket = sato.websocket(&gate.url("/notices/ws").replacen("https", "wss", 1)).await.unwrap();

        shim.stand(Timestamp(midnight.0 - 1));
        for nurse in [&mut sato, &mut suzuki] {
            assert_eq!(fetch(nurse, &gate.url("/echo")).await.0, 200, "the last day lasts until midnight");
        }
        let handshakes = gate.metric("sekisho_handshakes_total{outcome=\"ok\"}").await;
        shim.stand(midnight);
        let refused = (403, "staff-retired".to_owned());
        assert_eq!(fetch(&mut sato, &gate.url("/echo")).await, refused);
        assert_eq!(fetch(&mut suzuki, &gate.url("/echo")).await, refused);
        let after = gate.metric("sekisho_handshakes_total{outcome=\"ok\"}").await;
        assert_eq!(after, handshakes, "the refusal came on a new connection");
        let cut =
            tokio::time::timeout(Duration::from_secs(5), async { while let Some(Ok(_)) = socket.next().await {} });
        assert!(cut.await.is_ok(), "the WebSocket is still open after five seconds");

        // The certificate is worth nothing any more, whoever holds it: not even a sign-in page.
        let mut found = gate.browser(OUTSIDE);
        found.present(Some(phone));
        let page = found.open(&gate.url("/residents")).await.unwrap();
        assert_eq!((page.status.as_u16(), page.url.as_str()), (403, gate.url("/residents").as_str()));
        let devices = gate.json(&["device", "list"]);
        assert!(
            devices.as_array().unwrap().iter().any(|d| d["id"] == phone_id.as_str() && d["status"] == "owner-left")
        );
        for person in ["sato", "suzuki"] {
            let line = session_ended(&gate, person, "retired").await;
            assert_eq!(line["duration_s"], 600);
            let again = sign_in(&mut gate.browser(HOME), &gate.url("/"), person, PASSWORD).await;
            assert_eq!(again.status, 403);
            assert_eq!(history(&gate, &["--result", "not-allowed"]).last().unwrap()["reason"], "staff-retired");
        }
    });
}

#[test]
fn a_first_day_begins_at_midnight_in_the_facility() {
    run(async {
        let World { gate, shim, _folder } = world("Asia/Tokyo", None, "").await;
        let (first_day, midnight) = midnight();
        let day = first_day.to_string();
        let add =
            ["staff", "add", "ito", "--name", "伊藤", "--group", "staff", "--first-day", &day, "--password-stdin"];
        assert!(gate.cli_with_input(&add, PASSWORD).status.success());
        shim.stand(Timestamp(midnight.0 - 1));
        let early = sign_in(&mut gate.browser(HOME), &gate.url("/echo"), "ito", PASSWORD).await;
        assert_eq!(early.status, 403);
        assert_eq!(history(&gate, &[]).last().unwrap()["reason"], "staff-not-yet");
        shim.stand(midnight);
        gate.signed_in("ito").await;
    });
}

#[test]
fn hours_hold_across_midnight() {
    let night = r#"
  - name: the night shift
    apps: [hidamari]
    who: { groups: [staff] }
    from: { networks: [facility] }
    when: { hours: "22:00-06:00" }
    allow: [view, login]
"#;
    run(async {
        let World { gate, shim, _folder } = world("Asia/Tokyo", Some(night), LONG_SESSIONS).await;
        let (_, midnight) = midnight();
        gate.add_staff("sato", &["staff"]);
        let refused = (403, "outside-hours".to_owned());
        shim.stand(Timestamp(midnight.plus_secs(-2 * 3600).0 - 1));
        assert_eq!(fetch(&mut gate.browser(HOME), &gate.url("/echo")).await, refused, "nobody even signs in");
        shim.stand(midnight.plus_secs(-2 * 3600));
        let mut sato = gate.signed_in("sato").await;
        for at in [Timestamp(midnight.0 - 1), midnight, Timestamp(midnight.plus_secs(6 * 3600).0 - 1)] {
            shim.stand(at);
            assert_eq!(fetch(&mut sato, &gate.url("/echo")).await.0, 200, "{at}");
        }
        shim.stand(midnight.plus_secs(6 * 3600));
        assert_eq!(fetch(&mut sato, &gate.url("/echo")).await, refused);
    });
}

/// New York: clocks skip from 2:00 to 3:00 on the second Sunday of March and repeat 1:00 to 2:00 on the first of
/// November. What a wall clock shows is what counts.
#[test]
fn hours_follow_the_wall_clock_where_it_is_put_forward_and_back() {
    let early = r#"
  - name: early
    apps: [hidamari]
    who: { groups: [staff] }
    from: { networks: [facility] }
    when: { hours: "01:00-02:30" }
    allow: [view, login]
"#;
    run(async {
        let World { gate, shim, _folder } = world("America/New_York", Some(early), LONG_SESSIONS).await;
        gate.add_staff("sato", &["staff"]);
        let utc = |date: Date, time: &str| Timestamp::parse(&format!("{date}T{time}Z"), &Zone::UTC).unwrap();
        let now = SystemClock.now();
        let day = |month, nth| {
            let year = Zone::UTC.local(now).date.year();
            let of = |year| Date::new(year, month, 1).unwrap().nth_weekday_of_month(nth, Weekday::Sunday).unwrap();
            let this = of(year);
            if utc(this, "00:00:00") > now.plus_secs(86_400) { this } else { of(year + 1) }
        };
        let skipped = day(3, 2);
        let skipped = (skipped, ["05:59:59", "06:00:00", "06:59:59", "07:00:00"].map(|time| utc(skipped, time)));
        let repeated = day(11, 1);
        // 1:00 summer time, 1:59:59 summer time, 1:00 winter time, 2:29:59 winter time.
        let fine = ["05:00:00", "05:59:59", "06:00:00", "07:29:59"].map(|time| utc(repeated, time));
        let mut days = [
            (skipped.0, skipped.1[0], vec![skipped.1[1], skipped.1[2]], skipped.1[3]),
            (repeated, utc(repeated, "04:59:59"), fine.to_vec(), utc(repeated, "07:30:00")),
        ];
        days.sort();
        for (date, before, during, after) in days {
            shim.stand(before);
            let refused = (403, "outside-hours".to_owned());
            assert_eq!(fetch(&mut gate.browser(HOME), &gate.url("/echo")).await, refused, "{date} {before}");
            shim.stand(during[0]);
            let mut sato = gate.signed_in("sato").await;
            for at in during {
                shim.stand(at);
                assert_eq!(fetch(&mut sato, &gate.url("/echo")).await.0, 200, "{date} {at}");
            }
            shim.stand(after);
            assert_eq!(fetch(&mut sato, &gate.url("/echo")).await, refused, "{date} {after}");
        }
    });
}

#[test]
fn sessions_end_when_nobody_is_there_and_after_their_longest_time() {
    run(async {
        let sessions = "identity: { session: { idle: 15m, absolute: 1h } }";
        let World { gate, shim, _folder } = world("Asia/Tokyo", None, sessions).await;
        let (_, start) = midnight();
        gate.add_staff("sato", &["staff"]);
        let refused = (401, "sign-in-needed".to_owned());
        shim.stand(start);
        let mut idle = gate.signed_in("sato").await;
        shim.stand(start.plus_secs(14 * 60));
        assert_eq!(idle.open(&gate.url("/echo")).await.unwrap().status, 200);
        // What a page left open asks for again and again keeps no session alive.
        assert_eq!(fetch(&mut idle, &gate.url("/echo")).await.0, 200);
        shim.stand(start.plus_secs(29 * 60 - 1));
        assert_eq!(fetch(&mut idle, &gate.url("/echo")).await.0, 200);
        shim.stand(start.plus_secs(29 * 60));
        assert_eq!(fetch(&mut idle, &gate.url("/echo")).await, refused);
        session_ended(&gate, "sato", "idle").await;

        let start = start.plus_secs(3600);
        shim.stand(start);
        let mut busy = gate.signed_in("sato").await;
        for minutes in [14, 28, 42, 56] {
            shim.stand(start.plus_secs(minutes * 60));
            assert_eq!(busy.open(&gate.url("/echo")).await.unwrap().status, 200, "{minutes}");
        }
        shim.stand(start.plus_secs(3600 - 1));
        assert_eq!(fetch(&mut busy, &gate.url("/echo")).await.0, 200);
        shim.stand(start.plus_secs(3600));
        assert_eq!(fetch(&mut busy, &gate.url("/echo")).await, refused);
        session_ended(&gate, "sato", "absolute").await;
    });
}

#[test]
fn a_clock_that_leaps_back_refuses_everything_until_somebody_accepts_it() {
    run(async {
        let World { gate, shim, _folder } = world("Asia/Tokyo", None, "").await;
        let (_, at) = midnight();
        gate.add_staff("sato", &["staff"]);
        shim.stand(at);
        let mut sato = gate.signed_in("sato").await;
        shim.stand(at.plus_secs(-5 * 60));
        assert_eq!(fetch(&mut sato, &gate.url("/echo")).await.0, 200, "five minutes are tolerated");
        shim.stand(at.plus_secs(-5 * 60 - 1));
        let (status, error) = fetch(&mut sato, &gate.url("/echo")).await;
        assert_eq!((status, error.as_str()), (503, "clock"));
        let (stranger, error) = fetch(&mut gate.browser(OUTSIDE), &gate.url("/")).await;
        assert_eq!((stranger, error.as_str()), (503, "clock"));
        let (head, body) = gate.observe("/readyz").await;
        assert!(head.contains("503") && body.contains("sekisho clock accept"), "{head} {body}");
        gate.recorded("clock").await;
        let accepted = gate.cli(&["clock", "accept"]);
        assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
        assert_eq!(fetch(&mut sato, &gate.url("/echo")).await.0, 200);
        assert!(gate.observe("/readyz").await.0.contains("200"));
    });
}

#[test]
fn a_ticket_is_good_for_thirty_seconds() {
    run(async {
        let World { gate, shim, _folder } = world("Asia/Tokyo", None, "").await;
        let (_, at) = midnight();
        gate.add_staff("sato", &["staff"]);
        shim.stand(at);
        let mut sato = gate.signed_in("sato").await;
        for (after, good) in [(30, false), (29, true)] {
            shim.stand(at);
            sato.set_cookie("hidamari.gw.localhost", "__Host-sekisho=; Max-Age=0");
            let mut open = async |url: &str| {
                sato.send(Method::GET, url, Mode::Navigate, HeaderMap::new(), Bytes::new()).await.unwrap()
            };
            let begun = open(&gate.url("/echo")).await;
            let minted = open(begun.headers["location"].to_str().unwrap()).await;
            let ticket = minted.headers["location"].to_str().unwrap().to_owned();
            shim.stand(at.plus_secs(after));
            assert_eq!(open(&ticket).await.status.is_redirection(), good, "after {after} s");
        }
    });
}

/// A link and a certificate end in their time; with a certificate that has just expired one can renew, and nothing else.
#[test]
fn a_link_and_a_certificate_end_in_their_time() {
    run(async {
        let World { gate, shim, _folder } = world("Asia/Tokyo", None, "enrolment: { grace: 7d }\n").await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (_, link) = gate.invite(&["--owner", "suzuki"]);
        let (_, phone) = gate.issue_device("suzuki");
        let hour = 3_600_000_000;
        shim.shift(23 * hour);
        let mut browser = gate.browser(HOME);
        assert_eq!(browser.open(&link).await.unwrap().status, 200);
        shim.shift(24 * hour);
        assert_eq!(browser.open(&link).await.unwrap().status, 410);
        assert_eq!(gate.json(&["device", "invitations"])[0]["state"], "expired");

        let renew = format!("https://device.gw.localhost:{}/renew", gate.port);
        let mut nurse = gate.browser(OUTSIDE);
        nurse.present(Some(phone));
        // The day after its last, and within the grace.
        shim.shift(366 * 24 * hour);
        assert_eq!(fetch(&mut nurse, &gate.url("/echo")).await, (403, "device-expired".to_owned()));
        let form = sign_in(&mut nurse, &renew, "suzuki", PASSWORD).await;
        assert!(form.text().contains("<form"), "{}", form.text());
        assert_eq!(fetch(&mut nurse, &gate.url("/echo")).await, (403, "device-expired".to_owned()));
        shim.shift(373 * 24 * hour);
        let late = nurse.open(&renew).await.unwrap();
        assert!(!late.text().contains("<form") && late.status == 403, "{}", late.text());
    });
}
