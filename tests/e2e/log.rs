//! The log that outsiders verify: what the gate sealed, checked by a program that shares nothing with it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::durability::SmallDisk;
use crate::harness::{Gate, Shim, eventually, free_port, run};

/// `audit-verify`, which is built beside the gate.
fn verify(arguments: &[&str]) -> (bool, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho")).with_file_name("audit-verify");
    let Output { status, stdout, stderr } = Command::new(program).args(arguments).output().unwrap();
    (status.success(), [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat())
}

fn holds(arguments: &[&str]) -> String {
    let (verified, words) = verify(arguments);
    assert!(verified, "{words}");
    words
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn busy() -> Gate {
    let gate = Gate::builder().more("audit: { log: { seal_every: 1s } }\n").start().await;
    for person in ["sato", "tanaka"] {
        gate.add_staff(person, &["staff"]);
        let mut browser = gate.signed_in(person).await;
        for room in 1..=20 {
            browser.open(&gate.url(&format!("/echo-{person}-{room}"))).await.unwrap();
        }
    }
    gate
}

fn log(gate: &Gate) -> PathBuf {
    gate.data().join("audit/log")
}

/// Waits until all that was recorded so far is sealed, and returns the checkpoint.
async fn sealed(gate: &Gate) -> String {
    let requests = gate.requests(&[]).len();
    eventually("all requests are sealed", async || {
        let leaves = zcat(&log(gate));
        let all = leaves.lines().filter(|leaf| leaf.contains("\"kind\":\"request\"")).count() >= requests;
        // The bundle has its name before it is signed.
        std::fs::read_to_string(log(gate).join("checkpoint")).ok().filter(|_| all)
    })
    .await
}

/// The log as somebody reads it who has only the format page, by the commands that stand there.
fn zcat(log: &Path) -> String {
    let page = include_str!("../../audit/verify/FORMAT.md");
    let command = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let output = Command::new("sh").args(["-c", command]).current_dir(log).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn promise_6_a_month_taken_home_is_proven_there() {
    run(async {
        let mut gate = busy().await;
        let kept = sealed(&gate).await;
        let home = tempfile::tempdir().unwrap();
        let at_home = |name: &str| home.path().join(name);
        std::fs::write(at_home("kept"), &kept).unwrap();
        let key = std::fs::read_to_string(log(&gate).join("log.vkey")).unwrap();
        let key = key.trim();

        // One person's month, and one record by the code that a page shows.
        let export = at_home("sato.sekisho-export");
        let told = gate.cli(&[
            "audit",
            "export",
            "--proof",
            "--person",
            "sato",
            "--period",
            "this-month",
            "-o",
            text(&export),
        ]);
        assert!(told.status.success(), "{told:?}");
        let words = holds(&["bundle", text(&export), "--key", key]);
        let bundle = std::fs::read_to_string(&export).unwrap();
        assert!(bundle.contains("/echo-sato-20") && !bundle.contains("/echo-tanaka"), "{words}");
        let code =
            gate.requests(&["--person", "sato", "--path", "/echo-sato-7"])[0]["code"].as_str().unwrap().to_owned();
        let proof = at_home("seven.tlog-proof");
        assert!(gate.cli(&["audit", "prove", &code, "-o", text(&proof)]).status.success());
        assert!(holds(&["proof", text(&proof), "--key", key]).contains("/echo-sato-7"));

        // Somebody changes a word at home.
        std::fs::write(&export, bundle.replacen("/echo-sato-20", "/echo-sato-02", 1)).unwrap();
        assert!(!verify(&["bundle", text(&export), "--key", key]).0);

        // The log went on, and continues what was kept; the whole of it verifies, once the gate has ended too.
        let since = at_home("since.tlog-consistency");
        assert!(gate.cli(&["audit", "prove", "--since", text(&at_home("kept")), "-o", text(&since)]).status.success());
        holds(&["consistency", text(&at_home("kept")), text(&since), "--key", key]);
        gate.signal("TERM");
        gate.wait();
        holds(&["log", text(&log(&gate)), "--strict", "--key", key, "--checkpoint", text(&at_home("kept"))]);
        let last = zcat(&log(&gate));
        assert!(last.lines().last().unwrap().contains("\"kind\":\"stop\""), "{last}");

        // What was done with the record stands in the record.
        let what: Vec<&str> =
            ["export", "prove"].into_iter().filter(|what| last.contains(&format!("\"what\":\"{what}\""))).collect();
        assert_eq!(what, ["export", "prove"]);
    });
}

#[test]
fn promise_6_an_older_state_put_back_is_found_out() {
    run(async {
        let mut gate = busy().await;
        sealed(&gate).await;
        gate.kill();
        let audit = gate.data().join("audit");
        let older = gate.data().join("older");
        assert!(Command::new("cp").args(["-a", text(&audit), text(&older)]).status().unwrap().success());
        gate.start().await;
        let mut sato = gate.signed_in("sato").await;
        let kept = gate.data().join("kept");
        // Twice, or what is put back would be the state from which the gate finishes what it had planned.
        for page in ["/echo-later", "/echo-last"] {
            sato.open(&gate.url(page)).await.unwrap();
            std::fs::write(&kept, sealed(&gate).await).unwrap();
        }
        gate.kill();
        let key = std::fs::read_to_string(log(&gate).join("log.vkey")).unwrap();
        holds(&["log", text(&log(&gate)), "--key", key.trim(), "--checkpoint", text(&kept)]);

        // Without its key no other one is made, nor published; and what somebody puts beside the log is not handed on.
        let own = audit.join("log.key");
        std::fs::rename(&own, gate.data().join("away")).unwrap();
        let refused = gate.start_with(|_| ()).await.unwrap_err();
        assert!(refused.contains("log.key is missing") && !own.exists(), "{refused}");
        std::fs::rename(gate.data().join("away"), &own).unwrap();
        let strange = "x+12345678+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh\n";
        std::fs::write(log(&gate).join("log.vkey"), format!("{key}{strange}")).unwrap();
        assert_eq!(gate.json(&["audit", "checkpoint"])["keys"], serde_json::json!([key.trim()]));

        // The log's folder alone: the gate itself sees that it does not fit.
        std::fs::rename(log(&gate), gate.data().join("newer")).unwrap();
        assert!(
            Command::new("cp").args(["-a", text(&older.join("log")), text(&log(&gate))]).status().unwrap().success()
        );
        let refused = gate.start_with(|_| ()).await.unwrap_err();
        assert!(refused.contains("put back to an older state"), "{refused}");
        // All of it: who kept a checkpoint sees it.
        let (verified, words) = verify(&["log", text(&log(&gate)), "--key", key.trim(), "--checkpoint", text(&kept)]);
        assert!(!verified && words.contains("CUT OFF"), "{words}");
        std::fs::remove_dir_all(&audit).unwrap();
        std::fs::rename(&older, &audit).unwrap();
        gate.start().await;
        let since = || {
            let output = gate.cli(&["audit", "prove", "--since", text(&kept)]);
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let (code, words) = since();
        assert!(code == Some(1) && words.contains("was cut off or put back to an older state"), "{words}");
        // Once it has grown beyond, too: each look is a record more.
        let (code, words) = eventually("it is as long again", async || {
            Some(since()).filter(|(_, words)| !words.contains("was cut off"))
        })
        .await;
        assert!(code == Some(1) && words.contains("A key of this log has signed the checkpoint"), "{words}");
    });
}

#[test]
fn a_printed_checkpoint_is_one_to_keep_and_another_log_s_is_contradicted() {
    run(async {
        let gate = busy().await;
        let note = sealed(&gate).await;
        let kept = gate.path("kept");
        let printed = gate.cli(&["audit", "checkpoint"]);
        std::fs::write(&kept, &printed.stdout).unwrap();
        assert!(audit::Checkpoint::parse(&String::from_utf8(printed.stdout).unwrap()).is_ok());
        let told = String::from_utf8(printed.stderr).unwrap();
        assert!(told.contains("records: ") && told.contains("key:     gw.localhost/audit+"), "{told}");
        let since = gate.path("since");
        assert!(gate.cli(&["audit", "prove", "--since", text(&kept), "-o", text(&since)]).status.success());
        let key = log(&gate).join("log.vkey");
        holds(&["consistency", text(&kept), text(&since), "--key", text(&key)]);

        // One of the same name and size, as of a test machine's gate.
        let lines: Vec<&str> = note.lines().collect();
        let other = note.replacen(lines[2], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1);
        std::fs::write(&kept, other).unwrap();
        let refused = gate.cli(&["audit", "prove", "--since", text(&kept), "-o", text(&gate.path("never"))]);
        let words = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{words}");
        assert!(words.contains("the log contradicts this checkpoint") && words.contains(lines[2]), "{words}");
        assert!(words.contains("No key of this log has signed the checkpoint"), "{words}");
        assert!(!gate.path("never").exists());
    });
}

#[test]
fn an_export_counts_what_it_holds_misses_nothing_and_is_private() {
    run(async {
        let gate = busy().await;
        // Longer than the log waits for an answer, whose end then is a leaf of its own.
        let mut sato = gate.signed_in("sato").await;
        assert_eq!(sato.open(&gate.url("/slow?ms=11000")).await.unwrap().status, 200);
        eventually("its end is sealed", async || zcat(&log(&gate)).contains("\"kind\":\"outcome\"").then_some(()))
            .await;
        let mut number = 0;
        let (file, told) = eventually("all that there is, is sealed", async || {
            number += 1;
            let file = gate.path(&format!("all-{number}"));
            let output = gate.cli(&["audit", "export", "--proof", "-o", text(&file)]);
            assert!(output.status.success(), "{output:?}");
            // What was recorded by the one before may not be sealed yet; its own record never is.
            let said = String::from_utf8(output.stderr).unwrap();
            said.is_empty().then(|| (file, String::from_utf8(output.stdout).unwrap()))
        })
        .await;
        let leaves = std::fs::read_to_string(&file).unwrap().lines().filter(|line| line.starts_with("leaf ")).count();
        assert!(told.contains(&format!("holds {leaves} records")), "{told}");
        let key = log(&gate).join("log.vkey");
        assert!(holds(&["bundle", text(&file), "--key", text(&key)]).contains(&leaves.to_string()));
        let proof = gate.path("proof");
        assert!(gate.cli(&["audit", "prove", "0", "-o", text(&proof)]).status.success());
        for file in [file, proof] {
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }

        for (arguments, words) in [
            (&["export", "--proof", "--app", "hidamarii"][..], "did you mean `hidamari`?"),
            (&["export", "--proof", "--person", "satoo"], "did you mean `sato`?"),
            (&["prove", "1-ZZZZ"], "No record has the code 1-ZZZZ."),
        ] {
            let never = gate.path("never");
            let output = gate.cli(&[&["audit"], arguments, &["-o", text(&never)]].concat());
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.code() == Some(1) && told.contains(words), "{told}");
            assert!(!never.exists());
        }
        // Only root can make a disk to fill.
        if let Some(disk) = SmallDisk::mount(&gate.path("disk"), "64k") {
            let _ = std::fs::write(disk.path().join("ballast"), vec![0; 1 << 20]);
            let proof = disk.path().join("proof");
            let output = gate.cli(&["audit", "prove", "0", "-o", text(&proof)]);
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(told.contains(text(&proof)) && told.contains("No space left"), "{told}");
        }
    });
}

/// A process that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder behind an ordinary web server, as `deploy/` configures it, read by C2SP's paths.
#[test]
fn the_folder_is_served_by_nginx_as_it_lies() {
    run(async {
        let mut gate = busy().await;
        sealed(&gate).await;
        gate.signal("TERM");
        gate.wait();
        let folder = tempfile::tempdir().unwrap();
        assert!(
            Command::new("cp")
                .args(["-a", text(&log(&gate)), text(&folder.path().join("log"))])
                .status()
                .unwrap()
                .success()
        );
        assert!(Command::new("chmod").args(["-R", "a+rX", text(folder.path())]).status().unwrap().success());
        let port = free_port();
        let locations =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/nginx-log.conf")).unwrap();
        let locations = locations.replace("/srv/sekisho-log", text(&folder.path().join("log")));
        let conf = folder.path().join("nginx.conf");
        std::fs::write(
            &conf,
            format!(
                "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log; events {{}}\n\
                 http {{ access_log off; server {{ listen 127.0.0.1:{port};\n{locations}\n}} }}\n",
                text(folder.path())
            ),
        )
        .unwrap();
        // One process, which ends with the test, and holds nothing open of what the test was given.
        let mut nginx = Command::new("nginx");
        nginx.args(["-p", text(folder.path()), "-e", "stderr", "-c", text(&conf)]);
        nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let nginx = Ended(nginx.spawn().unwrap());
        let fetch = |path: &str| {
            let url = format!("http://127.0.0.1:{port}/audit/{path}");
            let output =
                Command::new("curl").args(["-sS", "--fail", "--compressed", "-D", "-", &url]).output().unwrap();
            output.status.success().then_some(output.stdout)
        };
        let checkpoint = eventually("nginx answers", async || fetch("checkpoint")).await;
        let size: u64 = String::from_utf8(checkpoint)
            .unwrap()
            .split("\r\n\r\n")
            .nth(1)
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let bundle = fetch(&format!("tile/entries/000.p/{size}")).unwrap();
        let tile = fetch(&format!("tile/0/000.p/{size}")).unwrap();
        drop(nginx);
        let head = String::from_utf8_lossy(&bundle);
        assert!(head.contains("Content-Encoding: gzip") && head.contains("{\"v\":1,\"boot\":1,\"seq\":1,"), "{head}");
        let body = tile.len() - (tile.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4);
        assert_eq!(body as u64, 32 * size);
    });
}

#[test]
fn records_that_can_not_be_sealed_are_told_of_until_they_can() {
    run(async {
        let gate = busy().await;
        sealed(&gate).await;
        let known = || {
            let output = gate.cli(&["audit", "checkpoint"]);
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        assert_eq!(known().0, Some(0));
        // The log can be opened, but no plan be written.
        let obstacle = gate.data().join("audit/sealing.json.tmp");
        std::fs::create_dir_all(obstacle.join("x")).unwrap();
        gate.add_staff("suzuki", &["staff"]);
        for times in [1.0, 2.0] {
            eventually("it fails", async || (gate.metric("sekisho_log_failures_total").await >= times).then_some(()))
                .await;
            let (code, told) = known();
            assert!(
                code == Some(1) && told.contains("records can't be sealed") && told.contains("sealing.json"),
                "{told}"
            );
        }
        assert!(!gate.log().contains("sealed again"), "{}", gate.log());
        assert_eq!(gate.log().matches("records can't be sealed").count(), 1, "{}", gate.log());
        std::fs::remove_dir_all(&obstacle).unwrap();
        eventually("it can be sealed", async || gate.log().contains("records can be sealed again").then_some(())).await;
        assert_eq!(known().0, Some(0));
    });
}

#[test]
fn an_index_that_can_not_be_written_is_told_of_and_one_that_was_taken_away_is_made_anew() {
    run(async {
        let gate = busy().await;
        sealed(&gate).await;
        let index = || {
            let names = std::fs::read_dir(gate.data().join("audit")).unwrap().map(|entry| entry.unwrap().path());
            names.filter(|path| path.extension().is_some_and(|end| end == "db")).max()
        };
        let file = eventually("there is an index", async || index()).await;
        std::fs::remove_file(&file).unwrap();
        eventually("it is there again", async || index()).await;
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir_all(file.join("x")).unwrap();
        let output = gate.cli(&["audit", "reindex"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(text(&file)) && told.contains("Look at that file"), "{told}");
        std::fs::remove_dir_all(&file).unwrap();
        let output = gate.cli(&["audit", "reindex"]);
        assert!(output.status.success(), "{output:?}");
    });
}

#[test]
fn a_check_says_what_a_lowered_setting_would_drop() {
    run(async {
        let gate = Gate::builder().more("audit: { log: { seal_every: 1s, keep_months: 1 } }\n").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        for room in 1..=260 {
            sato.open(&gate.url(&format!("/echo-{room}"))).await.unwrap();
        }
        sealed(&gate).await;
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::build(folder.path());
        let check = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
            command.arg("check").env("SEKISHO_CONFIG", gate.config());
            command.env("LD_PRELOAD", shim.library()).env("SHIM_CLOCK", shim.clock());
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        assert!(!check().contains("keep_months"), "{}", check());
        shim.shift(70 * 86_400 * 1_000_000);
        let told = check();
        assert!(told.contains("audit.log.keep_months: 1 drops for good what was recorded before"), "{told}");
    });
}
