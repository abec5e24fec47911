//! The program as an auditor runs it: exit codes, and what it prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic: that is how it fails")]

mod support;

use std::process::{Command, Output};

use support::vectors;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-verify"));
    command.env("LC_ALL", "C.UTF-8").current_dir(vectors()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn verified() {
    let output = run(&[
        "log",
        "logs/700",
        "--key",
        "keys/log.vkey",
        "--witness-key",
        "keys/witness.vkey",
        "--checkpoint",
        "kept/700-at-257",
    ]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "VERIFIED.",
        "Verified: the whole log, records 0 to 699 (700 in all)",
        "Seen by a witness: witness.example/w1",
        "Continues the kept checkpoint kept/700-at-257 (257 records).",
        "Records that it declares lost: 2; never confirmed to anybody: 5.",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(said.contains("--strict checks all of it."), "{said}");
    let output = run(&["log", "logs/700", "--key", "keys/log.vkey", "--strict"]);
    assert!(output.status.success() && !text(&output.stdout).contains("--strict"));
    // A kept checkpoint that is called like one of the folder's own is counted as what it was given as.
    let folder = vectors().join("logs/700");
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-verify"));
    command.current_dir(folder).args(["log", ".", "--key", "log.vkey", "--checkpoint", "heads/2026-11-01"]);
    let said = text(&command.output().unwrap().stdout);
    assert_eq!(said.matches("Continues the kept checkpoint").count(), 1, "{said}");
    assert!(said.contains("Daily tree heads in the folder that it continues: 2."), "{said}");
    // A key as text; quietly.
    let key = std::fs::read_to_string(vectors().join("keys/log.vkey")).unwrap();
    let output = run(&["log", "logs/700", "--key", key.trim(), "--from", "3", "--to", "300", "--quiet"]);
    assert_eq!((output.status.code(), output.stdout.len(), output.stderr.len()), (Some(0), 0, 0));
}

/// Nobody has looked for the record that says so if only a range was looked at.
#[test]
fn dropped_records_are_told_of() {
    let whole = run(&["log", "logs/pruned", "--key", "keys/log.vkey"]);
    let said = text(&whole.stdout);
    assert!(said.contains("the 512 oldest records were dropped because their time was over; a record"), "{said}");
    let range = run(&["log", "logs/pruned", "--key", "keys/log.vkey", "--from", "600", "--to", "700"]);
    let said = text(&range.stdout);
    assert!(
        said.contains("the records before 512 are not in this folder.") && !said.contains("time was over"),
        "{said}"
    );
}

#[test]
fn the_answer_is_no() {
    let output = run(&["log", "logs/700", "--key", "keys/other.vkey"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("NOT VERIFIED.\nBAD SIGNATURE: in checkpoint. "));
    let output = run(&["log", "logs/257", "--key", "keys/log.vkey", "--checkpoint", "kept/700-at-700", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    assert_eq!((&json["verified"], &json["findings"][0]["what"]), (&false.into(), &"cut-off".into()));
}

/// The second key is there so that a stolen first one is not enough.
#[test]
fn a_key_that_has_not_signed() {
    let keys = ["--key", "keys/log.vkey", "--key", "keys/second.vkey"];
    let of = |what: &[&str], options: &[&str]| {
        let output = run(&[what, &keys, options].concat());
        (output.status.code(), text(&output.stdout))
    };
    let one_signed = ["log", "logs/257"];
    let (code, said) = of(&one_signed, &[]);
    let second = std::fs::read_to_string(vectors().join("keys/second.vkey")).unwrap();
    let id = second.split('+').nth(1).unwrap();
    assert_eq!(code, Some(0));
    assert!(said.contains(&format!("key {id}, was given, too, and has not signed this checkpoint.")), "{said}");
    let (code, said) = of(&one_signed, &["--require-all-keys"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("BAD SIGNATURE: in checkpoint. ") && said.contains(id), "{said}");
    for both_signed in [
        &["log", "logs/700"][..],
        &["bundle", "taken/p001.sekisho-export"],
        &["proof", "taken/14.tlog-proof"],
        &["consistency", "kept/700-at-257", "taken/257.tlog-consistency"],
        &["consistency", "kept/700-at-257", "kept/700-at-512", "--log", "logs/700"],
    ] {
        let (code, said) = of(both_signed, &["--require-all-keys"]);
        assert!(code == Some(0) && !said.contains("has not signed"), "{said}");
        let (code, said) = of(both_signed, &["--require-all-keys", "--key", "keys/other.vkey"]);
        assert!(code == Some(1) && said.contains("BAD SIGNATURE"), "{said}");
        let (code, said) = of(both_signed, &["--key", "keys/other.vkey", "--key", "keys/other.vkey"]);
        let notes = if both_signed[0] == "consistency" { 0 } else { 1 };
        assert_eq!((code, said.matches("has not signed").count()), (Some(0), notes), "{said}");
    }
}

/// A witness's word is asked for by its key; it may stand below a kept checkpoint.
#[test]
fn a_witness() {
    let keys = ["--key", "keys/log.vkey", "--witness-key", "keys/witness.vkey"];
    let of = |what: &[&str]| {
        let output = run(&[what, &keys].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let head = ["log", "logs/700"];
    let (code, said, _) = of(&[&head[..], &["--checkpoint", "kept/700-at-257-witnessed"]].concat());
    assert_eq!((code, said.matches("Seen by a witness: witness.example/w1").count()), (Some(0), 2), "{said}");
    assert!(
        said.contains("kept/700-at-257-witnessed (257 records).\n  Seen by a witness: witness.example/w1, key "),
        "{said}"
    );
    assert!(!said.contains("Note: the witness"), "{said}");

    // The same log under a checkpoint that the witness has not signed.
    let folder = tempfile::tempdir().unwrap();
    assert!(
        Command::new("cp")
            .args(["-r", "logs/700/.", folder.path().to_str().unwrap()])
            .current_dir(vectors())
            .status()
            .unwrap()
            .success()
    );
    std::fs::copy(vectors().join("kept/700-at-700"), folder.path().join("checkpoint")).unwrap();
    let log = ["log", folder.path().to_str().unwrap()];
    let (code, said, _) = of(&[&log[..], &["--checkpoint", "kept/700-at-257-witnessed"]].concat());
    assert!(code == Some(0) && said.contains("Note: the witness witness.example/w1 has not signed this"), "{said}");

    let unseen = |taken: &str| {
        let text = std::fs::read_to_string(vectors().join("taken").join(taken)).unwrap();
        let head = std::fs::read_to_string(vectors().join("kept/700-at-700")).unwrap();
        let path = folder.path().join(taken);
        std::fs::write(&path, format!("{}\n\n{head}", text.split_once("\n\n").unwrap().0)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (what, quiet) in [
        (&log[..], &[][..]),
        (&log, &["--quiet"]),
        (&log, &["--checkpoint", "kept/700-at-257"]),
        (&["bundle", &unseen("p001.sekisho-export")], &[]),
        (&["proof", &unseen("14.tlog-proof")], &[]),
        (&["consistency", "kept/700-at-257", &unseen("257.tlog-consistency")], &[]),
        (&["consistency", "kept/700-at-1", "kept/700-at-257", "--log", log[1]], &[]),
    ] {
        let (code, said, error) = of(&[what, quiet].concat());
        assert!(
            code == Some(2) && said.is_empty() && error.contains("the witness witness.example/w1 ("),
            "{said}{error}"
        );
    }
    // What is wrong with the log is the answer all the same.
    let (code, said, _) = of(&[&log[..], &["--checkpoint", "logs/257/checkpoint"]].concat());
    assert!(code == Some(1) && said.contains("REWRITTEN"), "{said}");
}

/// Whoever made the folder could have put a file there that is called like the key.
#[test]
fn a_key_is_no_file() {
    let key = std::fs::read_to_string(vectors().join("keys/log.vkey")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(key.trim());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::copy(vectors().join("keys/other.vkey"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-verify"));
    let log = vectors().join("logs/700").canonicalize().unwrap();
    let output = command.current_dir(&folder).arg("log").arg(log).args(["--key", key.trim()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

/// Two keys made so that they have the same ID: neither may be taken for the other.
#[test]
fn keys_of_one_name_and_id() {
    let log = "witness.example/w1+826ee757+AQ4Bfpq4TMQwIMle5S3upPREKiAro65ilhh1qfg1HrMT";
    let witness = "witness.example/w1+826ee757+BMfTb+XrBIy5VreLdO9NdxI88D0NcbAyx+V/Cu1lZS55";
    let keys = ["log", "logs/700", "--key", "keys/log.vkey", "--key", log];
    assert_eq!(run(&keys).status.code(), Some(0));
    assert_eq!(run(&[&keys[..], &["--key", log]].concat()).status.code(), Some(0));
    let output = run(&[&keys[..], &["--witness-key", witness]].concat());
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("has the same name and ID"), "{said}");
}

/// What a stranger's file holds does not reach the terminal as it is.
#[test]
fn nothing_moves_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let unfit = ['\u{1b}', '\u{9b}', '\u{202e}', '\u{61c}', '\u{2028}'];
    for c in unfit {
        let key = folder.path().join("key");
        std::fs::write(&key, format!("a{c}VERIFIED+00000000+AA==\n")).unwrap();
        let kept = folder.path().join(format!("kept{c}"));
        std::fs::copy(vectors().join("kept/700-at-699"), &kept).unwrap();
        let (key, kept) = (key.to_str().unwrap(), kept.to_str().unwrap());
        for arguments in [
            &["log", "logs/700", "--key", key][..],
            &["log", "logs/700", "--key", "keys/log.vkey", "--checkpoint", kept],
            &["log", "logs/257", "--key", "keys/log.vkey", "--checkpoint", kept],
            &["bundle", "taken/p001.sekisho-export", "--key", "keys/log.vkey", "--checkpoint", kept],
        ] {
            for json in [&[][..], &["--json"]] {
                let output = run(&[arguments, json].concat());
                for said in [text(&output.stdout), text(&output.stderr)] {
                    assert!(!said.contains(unfit), "{said:?}");
                    if json.is_empty() || said.is_empty() {
                        continue;
                    }
                    serde_json::from_str::<serde_json::Value>(&said).unwrap();
                }
            }
        }
    }
}

/// What an auditor in Japan sees: all of it but what was seen in the files, on each exit code.
#[test]
fn in_japanese() {
    let of = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-verify"));
        command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env("LANG", "ja_JP.UTF-8").current_dir(vectors());
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let log = ["log", "logs/700", "--key", "keys/log.vkey", "--witness-key", "keys/witness.vkey"];
    let (code, said) = of(&[&log[..], &["--checkpoint", "kept/700-at-257"]].concat());
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "VERIFIED（検証できました）",
        "検証したもの：ログ全体、0 番から 699 番までの記録 700 件（2026-",
        " 日本時間 までの記録）。",
        "証人の署名：witness.example/w1",
        "残されていたチェックポイント kept/700-at-257（257 件）の続きです。",
        "失われたとされる記録：2 件、書き込みの完了を誰にも返していない記録：5 件。",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(!said.contains("Note") && !said.contains("Verified"), "{said}");
    let (code, said) = of(&["log", "logs/257", "--key", "keys/log.vkey", "--checkpoint", "kept/700-at-700"]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("NOT VERIFIED（問題が見つかりました）\nCUT OFF（末尾の欠落）："), "{said}");
    let (code, said) = of(&["log", "logs/700", "--key", "keys/witness.vkey"]);
    assert!(code == Some(2) && said.starts_with("検証できませんでした：鍵 "), "{said}");
    let (_, said) = of(&[&log[..], &["--lang", "en"]].concat());
    assert!(said.starts_with("VERIFIED.\n"), "{said}");
}

/// What people do by mistake says nothing about the log.
#[test]
fn mistakes() {
    let key = ["--key", "keys/log.vkey"];
    for (arguments, hint) in [
        (&["log", "logs"][..], "logs is no log: it holds neither `checkpoint` nor `tile`"),
        (&["bundle", "taken/14.tlog-proof"], "`audit-verify proof` verifies it"),
        (&["proof", "taken/p001.sekisho-export"], "`audit-verify bundle` verifies it"),
        (&["consistency", "taken/257.tlog-consistency", "kept/700-at-257"], "which comes second"),
        (&["log", "logs/700", "--checkpoint", "taken/14.tlog-proof"], "is no checkpoint: "),
        (&["log", "logs/700", "--checkpoint", "keys/log.vkey"], "is no checkpoint: "),
    ] {
        let output = run(&[arguments, &key].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(hint), "{arguments:?}: {said}");
    }
    // What mail programs and editors do to a checkpoint and a key.
    let folder = tempfile::tempdir().unwrap();
    let given = folder.path().join("given");
    let checkpoint = std::fs::read_to_string(vectors().join("kept/700-at-257")).unwrap();
    for changed in [
        checkpoint.replace('\n', "\r\n"),
        format!("\u{feff}{checkpoint}"),
        checkpoint.trim_end().to_owned(),
        format!("{checkpoint}\n\n"),
    ] {
        std::fs::write(&given, changed).unwrap();
        let log = ["log", "logs/700", "--checkpoint", given.to_str().unwrap()];
        let output = run(&[&log[..], &key].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    }
    std::fs::write(&given, checkpoint.replacen("257", "256", 1)).unwrap();
    let output = run(&[&["log", "logs/700", "--checkpoint", given.to_str().unwrap()], &key[..]].concat());
    assert!(output.status.code() == Some(1) && text(&output.stdout).contains("BAD SIGNATURE"));
    let line = std::fs::read_to_string(vectors().join("keys/log.vkey")).unwrap();
    std::fs::write(&given, format!("\u{feff}{}", line.replace('\n', "\r\n"))).unwrap();
    assert_eq!(run(&["log", "logs/700", "--key", given.to_str().unwrap()]).status.code(), Some(0));
    let bundle = std::fs::read_to_string(vectors().join("taken/p001.sekisho-export")).unwrap();
    std::fs::write(&given, bundle.replace('\n', "\r\n")).unwrap();
    let output = run(&[&["bundle", given.to_str().unwrap()], &key[..]].concat());
    assert!(
        output.status.code() == Some(1) && text(&output.stdout).contains("a mail program or an editor changed them")
    );
}

#[test]
fn no_answer() {
    for arguments in [
        &["log", "logs/nowhere", "--key", "keys/log.vkey"][..],
        &["log", "logs/700", "--key", "keys/nowhere.vkey"],
        &["log", "logs/700", "--key", "keys/witness.vkey"],
        &["log", "logs/700"],
        &["log", "logs/700", "--key", "keys/log.vkey", "--from", "7", "--to", "700"],
        &["proof", "nowhere", "--key", "keys/log.vkey"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}

/// A checkpoint that was named and can't be compared: no answer, be it quiet or not.
#[test]
fn not_compared() {
    let pruned = ["log", "logs/pruned", "--key", "keys/log.vkey", "--checkpoint", "logs/pruned/heads/2026-10-31"];
    let proof = ["proof", "taken/14.tlog-proof", "--key", "keys/log.vkey", "--checkpoint", "kept/700-at-256"];
    let bundle = ["bundle", "taken/p001.sekisho-export", "--key", "keys/log.vkey", "--checkpoint", "kept/700-at-699"];
    let what = ["the kept checkpoint logs/pruned/heads/2026-10-31 (300 records)", "kept/700-at-256", "kept/700-at-699"];
    for (arguments, what) in [&pruned[..], &proof, &bundle].into_iter().zip(what) {
        for quiet in [&[][..], &["--quiet"]] {
            let output = run(&[arguments, quiet].concat());
            let said = text(&output.stderr);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
            assert!(said.starts_with("Could not verify: ") && said.contains(what), "{said}");
            assert!(said.contains("could not be compared") && said.contains("consistency proof"), "{said}");
        }
        let output = run(&[arguments, &["--json"]].concat());
        let json = serde_json::from_slice::<serde_json::Value>(&output.stderr).unwrap();
        assert_eq!((output.status.code(), &json["verified"]), (Some(2), &serde_json::Value::Null));
        assert!(json["not_compared"][0]["size"].is_u64(), "{json}");
        // Without it there is an answer, and it says what is missing.
        let output = run(&arguments[..4]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("Note: no checkpoint kept elsewhere was given."));
    }
}

#[test]
fn what_is_taken_from_a_log() {
    let output = run(&["proof", "taken/699.tlog-proof", "--key", "keys/log.vkey"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("{\"v\":1,\"boot\":4,"));
    let output = run(&["bundle", "taken/p001.sekisho-export", "--key", "keys/log.vkey", "--json"]);
    let json = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    assert_eq!((&json["verified"], &json["report"]["leaves"]), (&true.into(), &24.into()));
    for newer in [&["taken/257.tlog-consistency"][..], &["kept/700-at-512", "--log", "logs/700"]] {
        let output = run(&[&["consistency", "kept/700-at-257", "--key", "keys/log.vkey"], newer].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    }
}
