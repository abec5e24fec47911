//! What the record says, and what it never says.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;

use crate::harness::{Gate, HOME, OUTSIDE, eventually, run, sign_in};

#[test]
fn a_permitted_request_is_recorded_with_who_where_what_and_how_it_ended() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        sato.open(&gate.url("/echo?room=203")).await.unwrap();
        let record = eventually("the outcome is written", async || {
            gate.requests(&["--person", "sato", "--app", "hidamari"]).pop().filter(|r| r["outcome"]["status"] == 200)
        })
        .await;
        for (field, value) in [
            ("v", serde_json::json!(1)),
            ("kind", "request".into()),
            ("app", "hidamari".into()),
            ("method", "GET".into()),
            ("path", "/echo?room=*".into()),
            ("action", "view".into()),
            ("guessed", true.into()),
            ("decision", "permit".into()),
            ("reason", "rule".into()),
            ("rule", "in the facility".into()),
            ("person", "sato".into()),
            ("source", "127.0.0.1".into()),
            ("networks", serde_json::json!(["facility"])),
            ("inside", true.into()),
            ("tls", "1.3".into()),
        ] {
            assert_eq!(record[field], value, "{field} in {record}");
        }
        assert_eq!(record["outcome"]["end"], "ok");
        assert_eq!(record["salt"].as_str().unwrap().len(), 16);
        assert!(record["session"].is_string() && record["at"].is_i64());
    });
}

/// `sekisho audit tail` while it runs; it ends with the value.
struct Tail {
    child: Child,
    told: BufReader<ChildStderr>,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tail {
    fn start(gate: &Gate, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["audit", "tail"])
            .args(arguments)
            .env("SEKISHO_CONFIG", gate.config())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(told.send(line))));
        Self { child, told: stderr, lines, seen: Vec::new() }
    }

    /// The first line of which this holds, once it is printed.
    fn has(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().find(|line| wanted(line)).cloned()
    }
}

#[test]
fn audit_tail_tells_what_is_written_while_it_is_written() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        sato.open(&gate.url("/echo-before")).await.unwrap();
        let mut plain = Tail::start(&gate, &[]);
        let mut json = Tail::start(&gate, &["--json"]);
        // It begins at the journal's end as it finds it, so requests go on until both have begun.
        eventually("both follow", async || {
            sato.open(&gate.url("/echo")).await.unwrap();
            (plain.has(|line| line.contains("GET /echo")).is_some() && json.has(|_| true).is_some()).then_some(())
        })
        .await;
        sato.open(&gate.url("/echo?room=203")).await.unwrap();
        gate.add_staff("suzuki", &["staff"]);
        gate.signed_in("suzuki").await;
        assert!(gate.cli(&["staff", "lock", "suzuki"]).status.success());
        for words in [
            &["sato", "hidamari", "view", "permit", "rule", "200", "127.0.0.1", "GET /echo?room=*"][..],
            &["change", "os:", "staff-added", "suzuki"],
            &["sign-in", "suzuki", "ok", "password", "127.0.0.1"],
            &["change", "os:", "staff-locked", "suzuki"],
        ] {
            let all = |line: &str| words.iter().all(|word| line.contains(word));
            eventually(&words.join(" "), async || plain.has(all)).await;
        }
        let of = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let request =
            eventually("the request as JSON", async || json.has(|line| of(line)["path"] == "/echo?room=*")).await;
        assert_eq!((&of(&request)["person"], &of(&request)["outcome"]["end"]), (&"sato".into(), &"ok".into()));
        eventually("the lock as JSON", async || {
            json.has(|line| of(line)["what"] == "staff-locked" && of(line)["subject"] == "suzuki")
        })
        .await;
        for tail in [&mut plain, &mut json] {
            assert_eq!(tail.has(|line| line.contains("/echo-before")), None, "what was there before is not told");
        }
        // With no gate running it waits for one, and says so.
        gate.signal("TERM");
        gate.wait();
        let mut waiting = Tail::start(&gate, &[]);
        let mut told = String::new();
        waiting.told.read_line(&mut told).unwrap();
        assert!(told.starts_with("No gate is running."), "{told}");
        gate.start().await;
        eventually("the start", async || waiting.has(|line| line.contains("  start  "))).await;
    });
}

#[test]
fn filters_find_what_they_name() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        gate.signed_in("sato").await;
        gate.browser(OUTSIDE).open(&gate.url("/")).await.unwrap();
        assert!(gate.requests(&["--decision", "deny"]).iter().all(|r| r["decision"] == "deny"));
        assert!(gate.requests(&["--person", "nobody"]).is_empty());
        assert!(!gate.requests(&["--app", "login"]).is_empty());
        assert!(gate.requests(&["--from", "2999-01-01"]).is_empty());
        assert!(!gate.requests(&["--to", "2999-01-01T00:00"]).is_empty());
        assert_eq!(gate.requests(&["-n", "1"]).len(), 1);
    });
}

#[test]
fn changes_are_recorded_before_they_take_effect_with_who_made_them() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (id, _) = gate.issue_device("suzuki");
        gate.cli(&["device", "revoke", &id, "--cause", "stolen"]);
        gate.cli(&["staff", "lock", "suzuki"]);
        let entries: Vec<_> = gate.entries(&["change"]).collect();
        let changes: Vec<_> = entries
            .iter()
            .filter_map(|entry| match &entry.record {
                audit::Record::Change(change) if change.channel == "control-socket" => {
                    Some((change.what.as_str(), change.subject.as_str(), change.by.as_str()))
                }
                _ => None,
            })
            .collect();
        let by = changes[0].2;
        assert!(by.starts_with("os:"), "{by}");
        assert_eq!(
            changes.iter().map(|(what, subject, _)| (*what, *subject)).collect::<Vec<_>>(),
            [("staff-added", "suzuki"), ("device-issued", &id), ("device-revoked", &id), ("staff-locked", "suzuki")]
        );
    });
}

#[test]
fn sign_ins_are_recorded_with_their_result() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.browser(HOME);
        sign_in(&mut sato, &gate.url("/"), "sato", "not-the-password").await;
        gate.signed_in("sato").await;
        let results: Vec<_> = gate
            .entries(&["sign-in"])
            .filter_map(|entry| match entry.record {
                audit::Record::SignIn(sign_in) => Some((sign_in.result, sign_in.person.map(|p| p.to_string()))),
                _ => None,
            })
            .collect();
        let sato = Some("sato".to_owned());
        assert_eq!(results, [(audit::SignInResult::Wrong, sato.clone()), (audit::SignInResult::Ok, sato)]);
    });
}
