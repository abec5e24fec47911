//! Default deny, and how an operator finds out why.

use bytes::Bytes;
use demo::client::Mode;
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Gate, HOME, run};

/// Promise 2: no rule, no access.
#[test]
fn promise_2_without_a_rule_nobody_gets_in() {
    run(async {
        let gate = Gate::builder().policy("  []").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        let answer = sato.open(&gate.url("/")).await.unwrap();
        assert_eq!(answer.status, 403);
        gate.recorded("no-rule").await;
        assert!(gate.saas.handle.seen().is_empty());
    });
}

/// Promise 2: what can be read in two ways is refused.
#[test]
fn promise_2_what_reads_in_two_ways_is_refused() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let sato = gate.signed_in("sato").await;
        let cookies = sato.cookies("hidamari.gw.localhost");
        let before = gate.saas.handle.seen().len();
        for (target, more) in [
            ("/residents%2f1", ""),
            ("/residents\\1", ""),
            ("/a/../residents", ""),
            ("/a/%2e%2e/residents", ""),
            ("/%252e%252e/x", ""),
            ("/residents//1", ""),
            ("/residents", "X-HTTP-Method-Override: DELETE\r\n"),
            ("/residents", "Content-Type: a/b\r\nContent-Type: c/d\r\n"),
        ] {
            let mut stream = sato.raw("hidamari.gw.localhost", &[b"http/1.1"]).await.unwrap();
            let port = gate.port;
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: hidamari.gw.localhost:{port}\r\nCookie: {cookies}\r\n{more}Connection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 400"), "{target} {more}: {}", answer.lines().next().unwrap_or(""));
            gate.recorded("ambiguous").await;
        }
        assert_eq!(gate.saas.handle.seen().len(), before, "something ambiguous reached the SaaS");
    });
}

#[test]
fn explain_names_the_rule_and_why_every_other_did_not_match() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let base = ["policy", "explain", "--app", "hidamari", "--person", "suzuki", "--from", "127.0.0.2"];
        let permitted = gate.cli(&[&base[..], &["--device", "enrolled"]].concat());
        assert_eq!(permitted.status.code(), Some(0), "{}", String::from_utf8_lossy(&permitted.stdout));
        let denied = gate.cli(&[&base[..], &["--device", "enrolled", "--action", "delete"]].concat());
        assert_eq!(denied.status.code(), Some(1));
        let told = String::from_utf8_lossy(&denied.stdout);
        assert!(told.contains("nobody deletes outside") && told.contains("visiting nurses"), "{told}");
        assert!(told.contains("action-denied"), "{told}");
        let json = gate.cli(&[&base[..], &["--json"]].concat());
        assert_eq!(json.status.code(), Some(1));
        let explained: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert!(explained.to_string().contains("device-needed"), "{explained}");
        // The path is read as that of a request is.
        let of = |path: &str| {
            let output = gate.cli(&[&base[..], &["--device", "enrolled", "--method", "POST", "--path", path]].concat());
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        assert!(of("/residents%2f7").contains("ambiguous: the path holds an encoded `/`"), "{}", of("/residents%2f7"));
        assert!(of("/%72esidents/7/delete?x=y").contains("nobody deletes outside"), "{}", of("/residents/7/delete"));
    });
}

#[test]
fn check_reports_every_error_with_its_place_and_a_broken_file_never_runs() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.rewrite(|text| {
            text.replace("apps: [hidamari]", "apps: [hidamary]").replace("allow: [view, edit, login]", "allow: [veiw]")
        });
        let checked = gate.cli(&["check"]);
        assert_eq!(checked.status.code(), Some(1));
        let report = String::from_utf8_lossy(&checked.stderr);
        for part in ["sekisho.yaml:", "hidamary", "hidamari", "veiw", "view", "policy[0].apps[0]", "policy[1]"] {
            assert!(report.contains(part), "{part} is missing: {report}");
        }
        // At reload the last good one stays …
        let reload = gate.cli(&["reload"]);
        assert_eq!(reload.status.code(), Some(1));
        gate.signal("HUP");
        crate::harness::eventually("the refused reload is counted", async || {
            (gate.metric("sekisho_reloads_total{result=\"refused\"}").await >= 1.0).then_some(())
        })
        .await;
        let mut browser = gate.browser(HOME);
        assert!(browser.open(&gate.url("/")).await.unwrap().url.contains("login."), "the old rules are gone");
        // … and at start it is an error.
        gate.kill();
        let refused = gate.start_with(|_| {}).await;
        assert!(refused.unwrap_err().contains("hidamary"));
    });
}

#[test]
fn a_reload_changes_what_the_next_request_on_a_kept_connection_may_do() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        gate.rewrite(|text| text.replace("groups: [staff]", "groups: [nobody]"));
        let reload = gate.cli(&["reload"]);
        assert!(reload.status.success(), "{}", String::from_utf8_lossy(&reload.stderr));
        let after =
            sato.send(Method::GET, &gate.url("/echo"), Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(after.status, 403);
        assert_eq!(after.json()["error"], "not-for-you");
    });
}

#[test]
fn the_schema_describes_the_configuration() {
    run(async {
        let gate = Gate::usual().await;
        let schema = gate.cli(&["check", "--schema"]);
        assert!(schema.status.success());
        let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
        for key in ["gateway", "networks", "apps", "policy", "audit", "ca", "identity"] {
            assert!(schema["properties"][key].is_object(), "{key}");
        }
    });
}
