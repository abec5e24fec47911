//! Checkpoints kept elsewhere: brought to real peers, again until it works, once for each hour, and what is said when
//! somebody keeps another log than ours.

pub(crate) mod peers;
mod witness;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use audit::Checkpoint;
use ring::hmac;
use serde_json::Value;

use self::peers::{Authority, MailServer, Receiver, serve, tls};
use self::witness::{Mischief, Witness, hex};
use crate::durability::SmallDisk;
use crate::harness::{Gate, Shim, eventually, free_port, run};

const HOUR: i64 = 3_600_000_000;

/// A gate with these places.
struct World {
    gate: Gate,
    shim: Shim,
    _folder: tempfile::TempDir,
}

/// `places`: entries of the list, in flow style.
async fn world(places: &[String]) -> World {
    let folder = tempfile::tempdir().unwrap();
    let shim = Shim::build(folder.path());
    let list: String = places.iter().map(|place| format!("      - {place}\n")).collect();
    let audit = format!("audit:\n  log: {{ seal_every: 1s }}\n  checkpoints:\n    kept:\n{list}");
    let builder = Gate::builder().data(&folder.path().join("data")).more(&audit);
    let builder = builder.environment("LD_PRELOAD", shim.library()).environment("SHIM_CLOCK", shim.clock());
    World { gate: builder.start().await, shim, _folder: folder }
}

/// The newest checkpoint as it lies there, once there is one.
async fn newest(gate: &Gate) -> Checkpoint {
    eventually("there is a checkpoint", async || {
        let note = std::fs::read_to_string(gate.data().join("audit/log/checkpoint")).ok()?;
        Some(Checkpoint::parse(&note).unwrap())
    })
    .await
}

/// Records something, and waits until it is sealed: the newest checkpoint then.
async fn grow(gate: &Gate) -> Checkpoint {
    let before = newest(gate).await.size;
    // Two, lest what is sealed next was recorded by somebody else: a start, a stranger.
    for _ in 0..2 {
        let id =
            format!("p{}", before + u64::try_from(gate.json(&["staff", "list"]).as_array().unwrap().len()).unwrap());
        gate.add_staff(&id, &["staff"]);
    }
    eventually("it is sealed", async || Some(newest(gate).await).filter(|newest| newest.size > before)).await
}

fn checkpoint(gate: &Gate) -> (Value, Output) {
    let output = gate.cli(&["audit", "checkpoint", "--json"]);
    (serde_json::from_slice(&output.stdout).unwrap(), output)
}

/// What is known of a place.
fn place(gate: &Gate, id: &str) -> Value {
    let (shown, _) = checkpoint(gate);
    shown["kept"].as_array().unwrap().iter().find(|place| place["id"] == id).unwrap().clone()
}

/// What is known of a place once it keeps more than so many records, and nothing is on its way there.
async fn kept_beyond(gate: &Gate, id: &str, size: u64) -> Value {
    eventually(&format!("{id} keeps more than {size}"), async || {
        Some(place(gate, id)).filter(|place| size_of(place) > size && place["error"].is_null())
    })
    .await
}

fn size_of(row: &Value) -> u64 {
    row["size"].as_u64().unwrap_or_default()
}

async fn failing(gate: &Gate, id: &str) -> String {
    eventually(&format!("{id} fails"), async || place(gate, id)["error"].as_str().map(str::to_owned)).await
}

/// `audit checkpoint --send`: what became of it at each place, and whether all was well.
fn send(gate: &Gate) -> (Vec<Value>, bool) {
    let output = gate.cli(&["audit", "checkpoint", "--send", "--json"]);
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (rows, output.status.success())
}

fn vkey(gate: &Gate) -> String {
    std::fs::read_to_string(gate.data().join("audit/log/log.vkey")).unwrap()
}

#[test]
fn every_kind_of_place_keeps_the_newest_checkpoint_and_a_restart_sends_nothing_again() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // On another file system than the data folder, as a mount would be.
        let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
        let mail = MailServer::start("starttls", &["sekisho", "hunter2"]).await;
        let relay = MailServer::start("tls", &[]).await;
        let local = MailServer::start("plain", &[]).await;
        std::fs::write(path("password"), "hunter2\n").unwrap();
        std::fs::write(path("secret"), "shared with the receiver\n").unwrap();
        let receiver = Receiver::failing(2);
        let hook = serve(receiver.app(), Some(tls(&path("hook.pem")))).await;
        let authority = Authority::new();
        let tsa = serve(authority.app(), None).await;
        let witness = Witness::new("witness.example/w1");
        let w1 = serve(witness.app(), None).await;
        let dir = folder.path().display();
        let file = |size: u64| elsewhere.path().join(format!("gw.localhost_audit-{size:020}.checkpoint"));
        let World { mut gate, shim, _folder } = world(&[
            format!(
                "{{ id: office, kind: mail, server: \"localhost:{}\", server_ca: {}, from: sekisho@gw.example, to: \
                 [audit@example.jp, backup@example.jp], user: sekisho, password_file: {dir}/password }}",
                mail.port,
                mail.root()
            ),
            format!(
                "{{ id: relay, kind: mail, server: \"localhost:{}\", server_ca: {}, security: tls, from: \
                 sekisho@gw.example, to: [audit@example.jp] }}",
                relay.port,
                relay.root()
            ),
            format!(
                "{{ id: local, kind: mail, server: \"127.0.0.1:{}\", security: none, from: sekisho@gw.example, to: \
                 [audit@example.jp] }}",
                local.port
            ),
            format!(
                "{{ id: siem, kind: webhook, url: \"https://localhost:{hook}/hook\", server_ca: {dir}/hook.pem, \
                 secret_file: {dir}/secret }}"
            ),
            format!("{{ id: worm, kind: file, folder: {} }}", elsewhere.path().display()),
            format!(
                "{{ id: tsa, kind: timestamp, url: \"http://127.0.0.1:{tsa}/\", timestamp_ca: {} }}",
                authority.root()
            ),
            format!("{{ id: w1, kind: witness, url: \"http://127.0.0.1:{w1}\", key: \"{}\" }}", witness.key()),
        ])
        .await;
        let ids = ["office", "relay", "local", "siem", "worm", "tsa", "w1"];
        newest(&gate).await;
        witness.knows(&vkey(&gate));
        for id in ids.iter().filter(|id| !["siem", "w1"].contains(id)) {
            kept_beyond(&gate, id, 0).await;
        }
        // The receiver is out of order twice, and the witness may not have known us yet. Nobody waits for real: the
        // gate's clock goes on.
        assert!(failing(&gate, "siem").await.contains("503"));
        shim.shift(6_000_000);
        eventually("the second attempt", async || (receiver.heard().len() == 2).then_some(())).await;
        kept_beyond(&gate, "w1", 0).await;
        shim.shift(17_000_000);
        kept_beyond(&gate, "siem", 0).await;

        // What each of them has.
        for (id, server, user) in [("office", &mail, Some("sekisho")), ("relay", &relay, None), ("local", &local, None)]
        {
            let mails = server.mails();
            assert_eq!(mails.len(), 1);
            let mail = &mails[0];
            let note = mail["attachment"].as_str().unwrap();
            let size = size_of(&place(&gate, id));
            assert_eq!(Checkpoint::parse(note).unwrap().size, size);
            assert!(witness.vouches_for_log(note), "{note}");
            assert!(mail["text"].as_str().unwrap().contains(note.trim_end()), "{mail}");
            assert!(mail["text"].as_str().unwrap().contains("保管してください"), "{mail}");
            assert_eq!(mail["name"], format!("{size}.checkpoint"));
            let subject = format!("[Sekisho] 監査記録のチェックポイント / Audit checkpoint: gw.localhost/audit {size}");
            assert_eq!(mail["subject"], subject);
            assert_eq!((mail["user"].as_str(), &mail["from"]), (user, &"sekisho@gw.example".into()));
        }
        assert_eq!(mail.mails()[0]["to"], serde_json::json!(["audit@example.jp", "backup@example.jp"]));
        let over_tls = [&mail, &relay, &local].map(|server| server.mails()[0]["tls"].clone());
        assert_eq!(over_tls, [true, true, false].map(Value::from));
        let heard = receiver.heard();
        assert_eq!(heard.len(), 3);
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"shared with the receiver");
        for (headers, body) in &heard {
            assert_eq!((&headers["idempotency-key"], body), (&heard[0].0["idempotency-key"], &heard[0].1));
            let signature = headers["x-hub-signature-256"].to_str().unwrap();
            assert_eq!(signature, format!("sha256={}", hex(hmac::sign(&key, body).as_ref())));
            let body: Value = serde_json::from_slice(body).unwrap();
            assert_eq!(size_of(&body), size_of(&place(&gate, "siem")));
            assert!(witness.vouches_for_log(body["note"].as_str().unwrap()), "{body}");
        }
        let worm = size_of(&place(&gate, "worm"));
        assert!(witness.vouches_for_log(&std::fs::read_to_string(file(worm)).unwrap()));
        stamped(&gate, &authority, &witness).await;
        let note = receipt(&gate, "w1");
        let witnessed = size_of(&place(&gate, "w1"));
        assert!(witness.vouches_for_log(&note) && witness.cosigned(&note), "{note}");
        assert_eq!(witness.asked().last(), Some(&(0, witnessed, 200)));

        let (shown, output) = checkpoint(&gate);
        assert!(output.status.success(), "{shown}");
        assert_eq!(shown["note"].as_str(), Some(newest(&gate).await.as_str()));
        assert_eq!(shown["keys"][0].as_str().unwrap(), vkey(&gate).trim());
        assert!(shown["kept"].as_array().unwrap().iter().all(|place| place["standing"] == "ok"), "{shown}");
        for id in ids {
            let size = gate.metric(&format!("sekisho_checkpoint_kept_size{{place=\"{id}\"}}")).await;
            assert_eq!(size.to_string(), size_of(&place(&gate, id)).to_string(), "{id}");
            assert!(gate.metric(&format!("sekisho_checkpoint_kept_timestamp_seconds{{place=\"{id}\"}}")).await > 1e9);
        }
        assert_eq!(gate.metric("sekisho_checkpoint_failures_total{place=\"siem\"}").await, 2.0);
        assert_eq!(gate.metric("sekisho_checkpoint_failures_total{place=\"tsa\"}").await, 0.0);

        // It was killed: nothing of this hour goes out again, though there is something newer.
        gate.kill();
        gate.start().await;
        grow(&gate).await;
        let asked = witness.asked().len();
        for _ in 0..20 {
            assert_eq!(size_of(&place(&gate, "w1")), witnessed);
        }
        assert_eq!((receiver.heard().len(), mail.mails().len(), witness.asked().len()), (3, 1, asked));

        // By hand, and with a proof from where the witness was.
        let (rows, well) = send(&gate);
        assert!(well && rows.len() == ids.len(), "{rows:?}");
        assert!(rows.iter().all(|row| row["result"] == "kept" && size_of(row) > witnessed), "{rows:?}");
        let by_hand = size_of(&rows[6]);
        assert_eq!(witness.asked()[asked..], [(witnessed, by_hand, 200)]);
        assert_eq!((receiver.heard().len(), mail.mails().len()), (4, 2));
        assert_ne!(receiver.heard()[3].0["idempotency-key"], heard[0].0["idempotency-key"]);
        assert_ne!(mail.mails()[1]["id"], mail.mails()[0]["id"]);
        let (rows, well) = send(&gate);
        assert!(well && rows.iter().all(|row| row["result"] == "there"), "{rows:?}");
        assert_eq!((receiver.heard().len(), mail.mails().len()), (4, 2), "what is there is not sent again");

        // An hour later once more; and the last one when the gate is stopped.
        grow(&gate).await;
        shim.shift(HOUR + 60_000_000);
        for id in ids {
            kept_beyond(&gate, id, by_hand).await;
        }
        let hourly = size_of(&place(&gate, "w1"));
        gate.signal("TERM");
        assert!(gate.wait().success());
        let last = newest(&gate).await;
        assert!(last.size > hourly, "the stop itself is a record");
        assert_eq!(witness.asked()[asked + 1..], [(by_hand, hourly, 200), (hourly, last.size, 200)]);
        assert_eq!(std::fs::read_to_string(file(last.size)).unwrap(), last.as_str());
        assert!(!gate.log().contains("hunter2"), "{}", gate.log());
    });
}

/// The checkpoint that lies with a place's newest receipt.
fn receipt(gate: &Gate, id: &str) -> String {
    let name = place(gate, id)["receipt"].as_str().unwrap().to_owned();
    std::fs::read_to_string(gate.data().join("audit/kept").join(id).join(name)).unwrap()
}

/// The time stamp verifies with OpenSSL against the note that is kept beside it, and no other.
async fn stamped(gate: &Gate, authority: &Authority, witness: &Witness) {
    assert!(witness.vouches_for_log(&receipt(gate, "tsa")));
    let name = place(gate, "tsa")["receipt"].as_str().unwrap().to_owned();
    let kept = gate.data().join("audit/kept/tsa").join(name);
    let verify = |data: &Path| {
        let (root, answer) = (authority.root(), kept.with_extension("tsr"));
        let verify = ["ts", "-verify", "-CAfile", &root, "-in", answer.to_str().unwrap(), "-data"];
        Command::new("openssl").args(verify).arg(data).output().unwrap().status.success()
    };
    assert!(verify(&kept));
    assert!(!verify(&gate.config()));
}

#[test]
fn a_place_that_answers_wrongly_keeps_nothing_and_holds_up_nobody_else() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display().to_string();
        let good = Receiver::default();
        let hook = serve(good.app(), None).await;
        let unknown = serve(good.app(), Some(tls(&folder.path().join("unknown.pem")))).await;
        // Takes the connection and says nothing.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hangs = silent.local_addr().unwrap().port();
        let elsewhere = axum::routing::post(async || axum::response::Redirect::temporary("/hook"));
        let moved = serve(good.app().route("/moved", elsewhere), None).await;
        let plain = MailServer::start("plain", &[]).await;
        let account = MailServer::start("starttls", &["sekisho", "hunter2"]).await;
        std::fs::write(folder.path().join("password"), "another one\n").unwrap();
        let (authority, stranger) = (Authority::new(), Authority::new());
        let tsa = serve(authority.app(), None).await;
        let witness = Witness::new("witness.example/w1");
        let w1 = serve(witness.app(), None).await;
        let nobody = free_port();
        let mail = |id: &str, port: u16, ca: &str, more: &str| {
            format!(
                "{{ id: {id}, kind: mail, server: \"localhost:{port}\", server_ca: {ca}, from: sekisho@gw.example, to: \
                 [audit@example.jp]{more} }}"
            )
        };
        let hook_at = |id: &str, url: &str| format!("{{ id: {id}, kind: webhook, timeout: 1s, url: \"{url}\" }}");
        let mut places = vec![
            hook_at("good", &format!("http://127.0.0.1:{hook}/hook")),
            hook_at("hangs", &format!("http://127.0.0.1:{hangs}/hook")),
            hook_at("public-roots", &format!("https://localhost:{unknown}/hook")),
            hook_at("other-name", &format!("https://127.0.0.1:{unknown}/hook"))
                .replace(" }", &format!(", server_ca: {dir}/unknown.pem }}")),
            hook_at("moved", &format!("http://127.0.0.1:{moved}/moved")),
            mail("no-tls", plain.port, &plain.root(), ""),
            mail("other-root", account.port, &plain.root(), ""),
            mail("password", account.port, &account.root(), &format!(", user: sekisho, password_file: {dir}/password")),
            format!(
                "{{ id: other-tsa, kind: timestamp, url: \"http://127.0.0.1:{tsa}/\", timestamp_ca: {} }}",
                stranger.root()
            ),
            format!("{{ id: w1, kind: witness, url: \"http://127.0.0.1:{w1}\", key: \"{}\" }}", witness.key()),
            format!("{{ id: no-folder, kind: file, folder: {dir}/missing }}"),
            mail("no-server", nobody, &plain.root(), ""),
            format!("{{ id: w2, kind: witness, url: \"http://127.0.0.1:{nobody}\", key: \"{}\" }}", witness.key()),
        ];
        // Only root can make a disk to fill.
        let disk = SmallDisk::mount(&folder.path().join("disk"), "64k");
        if let Some(disk) = &disk {
            let _ = std::fs::write(disk.path().join("ballast"), vec![0; 1 << 20]);
            places.push(format!("{{ id: full, kind: file, folder: {} }}", disk.path().display()));
        }
        let World { gate, _folder, .. } = world(&places).await;
        kept_beyond(&gate, "good", 0).await;
        let mut expected = vec![
            ("hangs", "no answer within 1 s"),
            ("public-roots", "UnknownIssuer"),
            ("other-name", "not valid for name"),
            ("moved", "answered 307"),
            ("no-tls", "STARTTLS"),
            ("other-root", "invalid peer certificate"),
            ("password", "535"),
            ("other-tsa", "does not lead to a root"),
            ("w1", "does not know the log gw.localhost/audit"),
            ("no-folder", "can't be written to"),
            ("no-server", "(`audit.checkpoints.kept[no-server].server`)"),
            ("w2", "127.0.0.1: "),
        ];
        if disk.is_some() {
            expected.push(("full", "No space left"));
        }
        for (id, words) in &expected {
            let error = failing(&gate, id).await;
            assert!(error.contains(words), "{id}: {error}");
            let failures = gate.metric(&format!("sekisho_checkpoint_failures_total{{place=\"{id}\"}}")).await;
            assert!(failures >= 1.0, "{id}");
            assert_eq!(gate.metric(&format!("sekisho_checkpoint_kept_size{{place=\"{id}\"}}")).await, 0.0, "{id}");
        }
        assert_eq!((good.heard().len(), plain.mails().len(), account.mails().len()), (1, 0, 0));
        if let Some(disk) = &disk {
            let names: Vec<_> = std::fs::read_dir(disk.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(names, ["ballast"], "nothing half written is left");
        }
        // The witness knows the log now, and lies in two ways.
        witness.knows(&vkey(&gate));
        for (mischief, words) in [(Mischief::OtherKey, "does not hold"), (Mischief::OtherText, "does not hold")] {
            witness.misbehave(mischief);
            grow(&gate).await;
            let (rows, well) = send(&gate);
            let row = rows.iter().find(|row| row["id"] == "w1").unwrap();
            assert!(!well && row["result"] == "failed" && row["word"].as_str().unwrap().contains(words), "{row}");
        }
        assert!(std::fs::read_dir(gate.data().join("audit/kept/w1")).unwrap().count() == 1, "no receipt is kept");
        // A cosignature of it was never believed, so it is told 0, answers with what it holds, and gets its proof.
        let held = witness.asked().last().unwrap().1;
        witness.misbehave(Mischief::None);
        grow(&gate).await;
        let (rows, _) = send(&gate);
        let row = rows.iter().find(|row| row["id"] == "w1").unwrap();
        assert_eq!(row["result"], "kept", "{row}");
        let asked = witness.asked();
        assert_eq!(asked[asked.len() - 2..], [(0, size_of(row), 409), (held, size_of(row), 200)]);

        let output = gate.cli(&["audit", "checkpoint"]);
        assert_eq!(output.status.code(), Some(0), "nothing is late yet");
        let table = String::from_utf8(output.stderr).unwrap();
        let line = |id: &str| table.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
        assert!(line("hangs").contains("not yet: no answer within 1 s"), "{table}");
        assert!(line("good").ends_with("ok"), "{table}");
        assert!(!gate.log().contains("another one"));
    });
}

#[test]
fn a_witness_that_holds_more_or_another_log_is_told_of_loudly_recorded_and_counted() {
    run(async {
        let (more, other, behind) =
            (Witness::new("w.example/more"), Witness::new("w.example/other"), Witness::new("w.example/behind"));
        let mut places = Vec::new();
        for (id, witness) in [("more", &more), ("other", &other), ("behind", &behind)] {
            let port = serve(witness.app(), None).await;
            let key = witness.key();
            places.push(format!("{{ id: {id}, kind: witness, url: \"http://127.0.0.1:{port}/\", key: \"{key}\" }}"));
        }
        let World { gate, shim, _folder } = world(&places).await;
        newest(&gate).await;
        for witness in [&more, &other, &behind] {
            witness.knows(&vkey(&gate));
        }
        // Whoever was asked before it knew the log is asked again.
        shim.shift(6_000_000);
        for id in ["more", "other", "behind"] {
            kept_beyond(&gate, id, 0).await;
        }
        let first = receipt(&gate, "behind");
        let (first, before) =
            (Checkpoint::parse(&first).unwrap(), ["more", "other"].map(|id| size_of(&place(&gate, id))));
        grow(&gate).await;
        more.hold(Some((1_000_000, [1; 32])));
        other.hold(Some((before[1], [2; 32])));
        let (rows, well) = send(&gate);
        assert!(!well);
        let word = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap()["word"].as_str().unwrap().to_owned();
        assert!(word("more").contains("rolled back") && word("more").contains("1000000"), "{}", word("more"));
        assert!(word("other").contains("rewritten"), "{}", word("other"));
        let brought = size_of(&place(&gate, "behind"));
        assert!(brought > first.size);
        // A witness that lost what it knew is brought on from there.
        behind.hold(Some((first.size, first.root.0)));
        grow(&gate).await;
        let (rows, _) = send(&gate);
        let size = size_of(rows.iter().find(|row| row["id"] == "behind").unwrap());
        let asked = behind.asked();
        assert_eq!(asked[asked.len() - 2..], [(brought, size, 409), (first.size, size, 200)]);

        for (id, standing, size) in [("more", "rolled-back", before[0]), ("other", "forked", before[1])] {
            let shown = place(&gate, id);
            assert_eq!((shown["standing"].as_str(), size_of(&shown)), (Some(standing), size), "{shown}");
            let name = format!("sekisho_checkpoint_contradictions_total{{place=\"{id}\"}}");
            assert_eq!(gate.metric(&name).await, 1.0, "once, however often it is tried");
        }
        assert_eq!(gate.metric("sekisho_checkpoint_contradictions_total{place=\"behind\"}").await, 0.0);
        assert!(gate.log().contains("ERROR") && gate.log().contains("the log was rolled back"), "{}", gate.log());
        let output = gate.cli(&["audit", "checkpoint"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains("the log was rolled back"), "{told}");
        let recorded: Vec<_> = gate
            .entries(&["change"])
            .filter_map(|entry| match entry.record {
                audit::Record::Change(change) if change.what == "checkpoint-contradicted" => {
                    Some((change.subject, change.details["what"].clone(), change.details["held"].clone()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(recorded.len(), 2, "{recorded:?}");
        assert!(recorded.contains(&("more".to_owned(), "rolled-back".into(), 1_000_000.into())), "{recorded:?}");
        assert!(recorded.contains(&("other".to_owned(), "forked".into(), before[1].into())), "{recorded:?}");
    });
}

#[test]
fn a_log_that_was_put_back_is_noticed_by_what_was_kept_without_any_witness() {
    run(async {
        let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
        let place_of = format!("{{ id: worm, kind: file, folder: {} }}", elsewhere.path().display());
        let World { mut gate, _folder, .. } = world(&[place_of]).await;
        let file = |size: u64| elsewhere.path().join(format!("gw.localhost_audit-{size:020}.checkpoint"));
        kept_beyond(&gate, "worm", 0).await;
        let (audit, backup, full) = grown_past_a_backup(&mut gate, 5).await;
        // An old copy of journal and log; what is known of the place stays.
        let kept = gate.data().join("kept");
        std::fs::rename(audit.join("kept"), &kept).unwrap();
        std::fs::remove_dir_all(&audit).unwrap();
        std::fs::rename(&backup, &audit).unwrap();
        std::fs::remove_dir_all(audit.join("kept")).unwrap();
        std::fs::rename(&kept, audit.join("kept")).unwrap();
        gate.start().await;
        grow(&gate).await;
        let (rows, well) = send(&gate);
        assert!(
            well && rows[0]["result"] == "kept" && size_of(&rows[0]) < full,
            "evidence is kept all the same: {rows:?}"
        );
        assert_eq!(gate.metric("sekisho_checkpoint_contradictions_total{place=\"worm\"}").await, 1.0);
        assert_eq!(place(&gate, "worm")["standing"], "rolled-back");
        assert!(std::fs::exists(file(full)).unwrap());
        // Another tree of a size that is there already: nothing is overwritten.
        let size = grow(&gate).await.size;
        for size in size..size + 10 {
            if !std::fs::exists(file(size)).unwrap() {
                std::fs::write(file(size), "somebody else's\n").unwrap();
            }
        }
        let (rows, well) = send(&gate);
        assert!(!well && rows[0]["word"].as_str().unwrap().contains("rewritten"), "{rows:?}");
        assert_eq!(std::fs::read_to_string(file(size)).unwrap(), "somebody else's\n");
    });
}

#[test]
fn a_folder_whose_mount_is_gone_is_not_written_to_and_one_that_holds_more_is_believed() {
    run(async {
        let (elsewhere, near) = (tempfile::tempdir_in("/dev/shm").unwrap(), tempfile::tempdir().unwrap());
        let device = |dir: &Path| dir.metadata().unwrap().dev();
        assert_ne!(device(elsewhere.path()), device(near.path()), "/dev/shm must be another file system than TMPDIR");
        let mount = near.path().join("mount");
        let mounted = |at: &Path| {
            let _ = std::fs::remove_file(&mount);
            std::os::unix::fs::symlink(at, &mount).unwrap();
        };
        mounted(elsewhere.path());
        let World { mut gate, _folder, .. } =
            world(&[format!("{{ id: worm, kind: file, folder: {} }}", mount.display())]).await;
        let kept = size_of(&kept_beyond(&gate, "worm", 0).await);

        let under = near.path().join("under");
        std::fs::create_dir(&under).unwrap();
        mounted(&under);
        grow(&gate).await;
        let (rows, well) = send(&gate);
        assert!(!well && rows[0]["word"].as_str().unwrap().contains("lay on another file system before"), "{rows:?}");
        assert_eq!(std::fs::read_dir(&under).unwrap().count(), 0);
        let told = String::from_utf8(gate.cli(&["audit", "checkpoint"]).stderr).unwrap();
        assert!(told.contains("same file system as gateway.data"), "{told}");
        assert!(told.contains("ok, but the newest is not there yet"), "{told}");
        mounted(elsewhere.path());
        let (rows, well) = send(&gate);
        assert!(well && size_of(&rows[0]) > kept, "{rows:?}");

        // What somebody else has put there is not believed.
        let file = |size: u64| elsewhere.path().join(format!("gw.localhost_audit-{size:020}.checkpoint"));
        let note = std::fs::read_to_string(file(size_of(&rows[0]))).unwrap();
        let forged = note.replacen(&format!("\n{}\n", size_of(&rows[0])), "\n5000\n", 1);
        assert_ne!(forged, note);
        std::fs::write(file(5000), forged).unwrap();
        grow(&gate).await;
        let (rows, well) = send(&gate);
        assert!(well && place(&gate, "worm")["standing"] == "ok", "{rows:?}");

        // After a restore of all of the data, what is known here is as old as the log.
        let (audit, backup, full) = grown_past_a_backup(&mut gate, size_of(&rows[0])).await;
        std::fs::remove_dir_all(&audit).unwrap();
        std::fs::rename(&backup, &audit).unwrap();
        gate.start().await;
        grow(&gate).await;
        let (rows, well) = send(&gate);
        assert!(well && rows[0]["result"] == "kept", "evidence is kept all the same: {rows:?}");
        assert_eq!(place(&gate, "worm")["standing"], "rolled-back");
        assert_eq!(gate.metric("sekisho_checkpoint_contradictions_total{place=\"worm\"}").await, 1.0);
        assert!(gate.log().contains(&format!("{full} had been vouched for")), "{}", gate.log());
    });
}

/// Copies the record while the gate is stopped, and lets the log grow beyond the copy, until its only place keeps that: so far that a
/// start or two do not make up for it. The gate is stopped then. Gives the record's folder, the copy, and the size that is kept.
async fn grown_past_a_backup(gate: &mut Gate, size: u64) -> (PathBuf, PathBuf, u64) {
    gate.signal("TERM");
    assert!(gate.wait().success());
    let (audit, backup) = (gate.data().join("audit"), gate.data().join("backup"));
    copy(&audit, &backup);
    gate.start().await;
    for n in 0..20 {
        gate.add_staff(&format!("n{n}"), &["staff"]);
    }
    let full = eventually("they are kept", async || {
        let (rows, _) = send(gate);
        Some(size_of(&rows[0])).filter(|kept| *kept > size + 20)
    })
    .await;
    gate.kill();
    (audit, backup, full)
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

#[test]
fn whoever_keeps_no_checkpoint_elsewhere_is_told_what_that_means() {
    run(async {
        let gate = Gate::usual().await;
        let said = "no checkpoint is kept elsewhere, so whoever holds the gateway could rewrite the record unnoticed";
        assert!(gate.log().contains(said), "{}", gate.log());
        for arguments in [&["check"][..], &["audit", "checkpoint"]] {
            let output = gate.cli(arguments);
            let told = [output.stdout, output.stderr].concat();
            assert!(String::from_utf8_lossy(&told).contains(said), "{arguments:?}");
        }
        let nobody = gate.cli(&["audit", "checkpoint", "--send"]);
        assert_eq!(nobody.status.code(), Some(1));

        // A folder on the same file system is no other place, and neither is one that is not there.
        let near = tempfile::tempdir().unwrap();
        gate.rewrite(|text| {
            let near = near.path().display();
            let list =
                format!("{{ id: near, kind: file, folder: {near} }}, {{ id: gone, kind: file, folder: {near}/x }}");
            format!("{text}\naudit: {{ checkpoints: {{ kept: [ {list} ] }} }}\n")
        });
        let told = String::from_utf8(gate.cli(&["check"]).stdout).unwrap();
        assert!(told.contains("`near`") && told.contains("same file system as gateway.data"), "{told}");
        assert!(told.contains("`gone`") && told.contains("is not there"), "{told}");
        assert!(!told.contains(said), "{told}");
    });
}
