//! What an operator meets: start, stop, health, a second gate, the command line without a gate.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::harness::{Gate, HOME, run, saas_login};

#[test]
fn it_stops_quickly_and_cleanly_on_sigterm() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        saas_login(&gate, &mut sato).await;
        let _socket = sato.websocket(&gate.url("/notices/ws").replacen("https", "wss", 1)).await.unwrap();
        let at = Instant::now();
        gate.signal("TERM");
        let status = gate.wait();
        assert!(status.success(), "{status}");
        assert!(at.elapsed() < Duration::from_secs(8), "an idle connection and a WebSocket held it up");
        let kinds: Vec<_> = gate.entries(&[]).map(|entry| entry.record.kind().to_owned()).collect();
        // Before the start stand the certificates that were made for it.
        assert_eq!(kinds.iter().find(|kind| *kind != "change").map(String::as_str), Some("start"));
        assert_eq!(kinds.last().map(String::as_str), Some("stop"));
    });
}

#[test]
fn health_and_metrics_answer_on_loopback() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        gate.signed_in("sato").await;
        assert!(gate.observe("/healthz").await.0.contains("200"));
        assert!(gate.observe("/readyz").await.0.contains("200"));
        let (_, text) = gate.observe("/metrics").await;
        for metric in [
            "sekisho_requests_total{app=\"hidamari\",decision=\"permit\",reason=\"rule\"}",
            "sekisho_handshakes_total{outcome=\"ok\"}",
            "sekisho_request_seconds_count{part=\"own\"}",
            "sekisho_request_seconds_count{part=\"upstream\"}",
            "sekisho_journal_commit_seconds_count",
            "sekisho_journal_ready 1",
            "sekisho_sessions 1",
            "sekisho_connections",
            "sekisho_certificate_expiry_timestamp_seconds{certificate=\"hidamari\"}",
            "sekisho_certificate_expiry_timestamp_seconds{certificate=\"device-authority\"}",
            "sekisho_journal_failures_total 0",
            "sekisho_journal_free_bytes",
            "sekisho_configuration_generation 1",
        ] {
            assert!(text.contains(metric), "{metric} is missing:\n{text}");
        }
    });
}

#[test]
fn two_gates_do_not_share_a_data_folder() {
    run(async {
        let first = Gate::usual().await;
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["serve", "--config"])
            .arg(first.config())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("in use"),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut browser = first.browser(HOME);
        assert_eq!(browser.open(&first.url("/")).await.unwrap().status, 200, "the first gate suffered");
    });
}

#[test]
fn commands_work_the_same_with_no_gate_running() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.kill();
        gate.add_staff("sato", &["staff"]);
        let (id, _) = gate.issue_device("sato");
        assert_eq!(gate.json(&["device", "list"])[0]["id"], id.as_str());
        gate.start().await;
        gate.signed_in("sato").await;
        assert_eq!(gate.json(&["staff", "list"])[0]["standing"], "active");
    });
}

/// Promise 7: issuing anything is recorded before it takes effect, the authority itself included.
#[test]
fn promise_7_making_the_authority_is_recorded_before_it_is_made() {
    run(async {
        let mut gate = Gate::usual().await;
        // The gate brings its lists of revoked certificates there as it begins.
        while std::fs::remove_dir_all(gate.data().join("ca")).is_err() {
            tokio::task::yield_now().await;
        }
        let root = gate.path("roots.age");
        let init = ["ca", "init", "--organisation", "あおい会", "--root-out", root.to_str().unwrap()];
        let recorded = |gate: &Gate| {
            let journal = gate.entries(&[]);
            journal
                .filter(
                    |entry| matches!(&entry.record, audit::Record::Change(change) if change.what == "authority-made"),
                )
                .count()
        };
        let running = gate.cli_with_input(&init, "a passphrase for the roots");
        assert_eq!(running.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&running.stderr).contains("stop the gate first"));
        gate.kill();
        // What could not be made anyway is no record.
        assert!(!gate.cli_with_input(&init, "short").status.success());
        assert_eq!(recorded(&gate), 0);
        let made = gate.cli_with_input(&init, "a passphrase for the roots");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        assert_eq!(recorded(&gate), 1);
        assert!(root.exists() && gate.data().join("ca").exists());
        gate.start().await;
    });
}

#[test]
fn a_passphrase_is_typed_twice_and_never_shown() {
    run(async {
        let mut gate = Gate::usual().await;
        // It would bring its lists of revoked certificates back there.
        gate.kill();
        std::fs::remove_dir_all(gate.data().join("ca")).unwrap();
        let root = gate.path("roots.age");
        let init =
            format!("{} ca init --organisation あおい会 --root-out {}", env!("CARGO_BIN_EXE_sekisho"), root.display());
        for (again, made) in [("kaki-no-tane-no-hamabe", false), ("kaki-no-tane-no-umibe", true)] {
            let mut script = std::process::Command::new("script")
                .args(["-qec", &init, "/dev/null"])
                .env("SEKISHO_CONFIG", gate.config())
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut terminal = script.stdout.take().unwrap();
            let mut keyboard = script.stdin.take().unwrap();
            let mut shown = String::new();
            for (prompt, typed) in [("offline root: ", "kaki-no-tane-no-umibe"), ("once more: ", again)] {
                let mut byte = [0];
                while !shown.ends_with(prompt) && terminal.read(&mut byte).unwrap() > 0 {
                    shown.push(char::from(byte[0]));
                }
                keyboard.write_all(format!("{typed}\n").as_bytes()).unwrap();
            }
            terminal.read_to_string(&mut shown).unwrap();
            script.wait().unwrap();
            assert!(!shown.contains("kaki-no-tane"), "{shown}");
            assert_eq!((root.exists(), shown.contains("differ")), (made, !made), "{shown}");
        }
        gate.start().await;
    });
}

#[test]
fn refusals_of_the_command_line_say_what_to_do() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        for (arguments, code, words) in [
            (vec!["staff", "lock", "nobody"], 1, "staff list"),
            (vec!["device", "revoke", "nothing"], 1, "device list"),
            (vec!["staff", "add", "sato", "--name", "x"], 1, "already"),
            (vec!["session", "end", "nothing"], 1, "session list"),
            (vec!["check", "/does/not/exist.yaml"], 2, "/does/not/exist.yaml"),
            (
                vec!["staff", "retire", "sato", "--last-day", "next week"],
                2,
                "write 2026-04-01, 2026/4/1 or 令和8年4月1日",
            ),
            (vec!["policy", "explain", "--app", "hidamri", "--from", "127.0.0.1"], 2, "did you mean `hidamari`?"),
            (
                vec!["policy", "explain", "--app", "hidamari", "--from", "127.0.0.1", "--device", "enroled"],
                2,
                "did you mean `enrolled`?",
            ),
            (vec!["device", "issue", "--owner", "sato", "--name", "x", "--out", "/no/x.p12"], 2, "no such folder"),
            (vec!["staff", "add", "ito", "--name", "伊藤", "--group", "stff"], 0, "did you mean `staff`?"),
        ] {
            let output = gate.cli(&arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
            assert!(said.contains(words), "{arguments:?}: {said}");
        }
        let weak = gate.cli_with_input(&["staff", "password", "sato", "--stdin"], "short");
        assert_eq!(weak.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&weak.stderr).contains("13"));
    });
}
