//! Finding records again: filters, pages, files for spreadsheets, the index, and that looking is itself recorded.

use std::process::Output;

use serde_json::Value;

use crate::harness::{Gate, OUTSIDE, eventually, run};

fn words(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// A gate that seals every second, with requests of two people and a stranger.
async fn a_busy_gate() -> Gate {
    let gate = Gate::builder().more("audit: { log: { seal_every: 1s } }\n").start().await;
    gate.add_staff("sato", &["staff"]);
    gate.add_staff("0012", &["staff"]);
    let mut sato = gate.signed_in("sato").await;
    for room in 1..=7 {
        sato.open(&gate.url(&format!("/echo-{room}"))).await.unwrap();
    }
    gate.signed_in("0012").await;
    gate.browser(OUTSIDE).open(&gate.url("/wp-login.php")).await.unwrap();
    gate
}

/// The number of the last record that is sealed.
fn sealed_to(gate: &Gate) -> u64 {
    let log = audit::History::new(&gate.data().join("audit")).log();
    let Some(size) = log.checkpoint().unwrap().map(|checkpoint| checkpoint.size) else { return 0 };
    let bundle = log.bundle((size - 1) / audit::TILE_WIDTH, size).unwrap();
    let leaf: Value = serde_json::from_slice(bundle.leaf(size - 1).unwrap()).unwrap();
    leaf["seq"].as_u64().unwrap()
}

fn codes(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["code"].as_str().unwrap()).collect()
}

#[test]
fn requests_are_found_by_what_is_known_of_them_sealed_or_not() {
    run(async {
        let gate = a_busy_gate().await;
        eventually("all is written", async || {
            (gate.requests(&["--person", "sato", "--path", "/echo-"]).len() == 7
                && gate.requests(&["--failures", "--outside"]).len() == 1)
                .then_some(())
        })
        .await;
        let reason = gate.requests(&["--failures", "--outside"])[0]["reason"].as_str().unwrap().to_owned();
        let reason = ["--outside", "--reason", &reason];
        let shown = |gate: &Gate| {
            let mut all = Vec::new();
            for filter in [
                &["--person", "sato", "--path", "/echo-"][..],
                &["--path-prefix", "/wp-"],
                &["--failures", "--outside"],
                &["--source", "127.0.0.0/8", "--app", "hidamari", "--action", "view"],
                &reason,
                &["--rule", "in the facility", "--period", "today"],
                &["--person", "sato", "--path", "/echo-", "-n", "3"],
                &["--person", "sato", "--path", "/echo-", "--reverse"],
                &["--person", "sato", "--path", "/echo-", "--sort", "path", "--desc"],
                &["--downloads"],
            ] {
                all.push((filter, gate.requests(filter)));
            }
            all
        };
        let paths = |rows: &[Value]| -> Vec<String> {
            rows.iter().map(|row| row["path"].as_str().unwrap().to_owned()).collect()
        };
        let before = shown(&gate);
        let numbers: Vec<_> = before.iter().map(|(_, rows)| rows.len()).collect();
        assert_eq!(numbers[..3], [7, 1, 1], "{numbers:?}");
        assert!(numbers[3] >= 7 && numbers[4] == 1 && numbers[5] >= 7 && numbers[9] == 0, "{numbers:?}");
        assert_eq!(paths(&before[6].1), ["/echo-5", "/echo-6", "/echo-7"]);
        assert_eq!(paths(&before[7].1)[0], "/echo-7");
        assert_eq!(paths(&before[8].1), paths(&before[7].1));
        let session = before[0].1[0]["session"].as_str().unwrap();
        assert!(gate.requests(&["--session", session]).len() >= 7);

        // Page by page, both ways.
        let all = gate.requests(&["--person", "sato", "--path", "/echo-"]);
        let all = codes(&all);
        let back = gate.requests(&["--person", "sato", "--path", "/echo-", "-n", "3", "--before", all[4]]);
        assert_eq!(codes(&back), all[1..4]);
        let on = gate.requests(&["--person", "sato", "--path", "/echo-", "-n", "3", "--after", all[1]]);
        assert_eq!(codes(&on), all[2..5]);
        let (_, further) = words(&gate.cli(&["audit", "requests", "--person", "sato", "-n", "2"]));
        assert!(further.starts_with("Further back: --before "), "{further}");
        let echoes = ["audit", "requests", "--person", "sato", "--path", "/echo-"];
        let (_, cut) = words(&gate.cli(&[&echoes[..], &["--sort", "time", "-n", "2"]].concat()));
        assert!(cut.starts_with("The first 2 of 7"), "{cut}");
        let (_, whole) = words(&gate.cli(&[&echoes[..], &["--sort", "time", "-n", "7"]].concat()));
        assert!(whole.is_empty(), "{whole}");

        // The same once it is sealed, and once it is indexed.
        let last = before.iter().flat_map(|(_, rows)| rows).map(|row| row["seq"].as_u64().unwrap()).max().unwrap();
        eventually("it is sealed", async || (sealed_to(&gate) > last).then_some(())).await;
        for ((filter, before), (_, after)) in before.iter().zip(shown(&gate)) {
            assert_eq!(&after, before, "{filter:?}");
        }
        let (told, progress) = words(&gate.cli(&["audit", "reindex"]));
        assert!(told.contains("records are indexed") && progress.contains("100 %"), "{told} {progress}");
        for ((filter, before), (_, after)) in before.iter().zip(shown(&gate)) {
            assert_eq!(&after, before, "{filter:?}, indexed anew");
        }
    });
}

#[test]
fn the_request_log_goes_into_a_spreadsheet() {
    run(async {
        let gate = a_busy_gate().await;
        let csv = eventually("all is written", async || {
            let (csv, _) = words(&gate.cli(&["audit", "requests", "--csv", "--path", "/"]));
            csv.contains("/wp-login.php").then_some(csv)
        })
        .await;
        assert!(csv.starts_with("\u{feff}日時,番号,職員ID,氏名,"), "{csv}");
        assert!(csv.lines().skip(1).all(|line| line.len() > 20) && csv.ends_with("\r\n"));
        let of = |id: &str| csv.lines().find(|line| line.contains(id)).unwrap().to_owned();
        let row: Vec<_> = of(",sato,").split(',').map(str::to_owned).collect();
        let (date, time) = row[0].split_once(' ').unwrap();
        assert!(date.starts_with("20") && date.matches('/').count() == 2 && time.matches(':').count() == 2);
        assert!(of("'0012").contains(",127.0.0.1,内,"), "{}", of("'0012"));
        let (english, _) = words(&gate.cli(&["audit", "requests", "--csv", "--lang", "en", "-n", "1"]));
        assert!(english.starts_with("\u{feff}time,code,person,name,facility,app,action,"), "{english}");
    });
}

#[test]
fn what_is_not_there_is_said_in_words() {
    run(async {
        let gate = a_busy_gate().await;
        for (arguments, sentence) in [
            (
                &["--person", "satoo"][..],
                "Nobody on the roster has the ID satoo, and no request is of such a person; did you mean `sato`?",
            ),
            (
                &["--app", "hidamarii"],
                "The configuration has no app hidamarii, and no request was made to one of that name; did you mean `hidamari`?",
            ),
            (&["--code", "9-ZZZZ"], "No record has the code 9-ZZZZ."),
            (&["--person", "sato", "--from", "2999-01-01"], "No request fits."),
        ] {
            let (out, err) = words(&gate.cli(&[&["audit", "requests"], arguments].concat()));
            assert_eq!((&*out, err.trim_end()), ("", sentence), "{arguments:?}");
        }
        gate.add_staff("kato", &["staff"]);
        let (_, err) = words(&gate.cli(&["audit", "requests", "--person", "kato"]));
        assert_eq!(err.trim_end(), "kato is on the roster, and has made no request yet.");
        let (out, err) = words(&gate.cli(&["audit", "sign-ins", "--person", "nobody"]));
        assert!(out.is_empty() && err.contains("Nobody on the roster has the ID nobody"), "{out}{err}");
        for (arguments, what) in [
            (&["--code", "hello"][..], "is not a code"),
            (&["--reason", "unknown-netwrk"], "did you mean `unknown-network`?"),
            (&["--source", "here"], "neither an address nor a network"),
            (&["--reason", "foo"], "The reasons are rule, built-in, "),
            (&["--sort", "colour"], "the columns are"),
            (&["-n", "0"], "0 is not in 1.."),
            (&["--lang", "en"], "--csv"),
            (&["--period", "never"], "write today, yesterday"),
            (
                &["--from", "2026-11-02", "--to", "2026/11/01"],
                "--from 2026/11/02 00:00:00 is not before --to 2026/11/01",
            ),
        ] {
            let output = gate.cli(&[&["audit", "requests"], arguments].concat());
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && err.contains(what), "{err}");
        }
    });
}

#[test]
fn who_looks_is_recorded_before_anything_is_shown() {
    run(async {
        let mut gate = a_busy_gate().await;
        let looked = |gate: &Gate| -> Vec<Value> {
            gate.entries(&["reading"]).map(|entry| serde_json::to_value(entry).unwrap()).collect()
        };
        let before = looked(&gate).len();
        words(&gate.cli(&["audit", "requests", "--person", "sato", "--from", "2026-01-01", "-n", "5", "--csv"]));
        words(&gate.cli(&["audit", "sign-ins"]));
        let told = looked(&gate).split_off(before);
        let filter = serde_json::json!({
            "from": "2026-01-01", "from_at": "2025-12-31T15:00:00.000000Z", "person": "sato", "limit": 5, "as": "csv",
        });
        assert_eq!((&told[0]["what"], &told[0]["filter"]), (&"requests".into(), &filter));
        assert_eq!((&told[1]["what"], &told[1]["filter"]), (&"sign-ins".into(), &Value::Null));
        assert!(told.iter().all(|r| r["channel"] == "control-socket" && r["by"].as_str().unwrap().starts_with("os:")));

        // With no gate running as well, and nobody else's passphrase is needed for it.
        gate.signal("TERM");
        gate.wait();
        std::fs::remove_file(gate.config().with_file_name("passphrase")).unwrap();
        let before = looked(&gate).len();
        let (shown, _) = words(&gate.cli(&["audit", "requests", "--person", "sato"]));
        assert!(shown.contains("/echo-7"));
        let told = looked(&gate).split_off(before);
        assert_eq!((told.len(), &told[0]["channel"]), (1, &"offline".into()));
        let (told, _) = words(&gate.cli(&["audit", "reindex"]));
        assert!(told.contains("records are indexed"), "{told}");

        // What can't be recorded is not shown.
        let journal = gate.data().join("audit/journal");
        std::fs::rename(&journal, gate.data().join("audit/elsewhere")).unwrap();
        std::fs::write(&journal, "no folder").unwrap();
        let output = gate.cli(&["audit", "requests"]);
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.stdout.is_empty(), "{why}");
        assert!(
            why.contains("nothing is shown, because that somebody looks at the record could not be recorded"),
            "{why}"
        );
    });
}

#[test]
fn who_looked_and_who_changed_something_can_be_asked_and_is_a_look_too() {
    run(async {
        let mut gate = a_busy_gate().await;
        words(&gate.cli(&["audit", "requests", "--person", "sato", "--period", "2026/11/30"]));
        let rows = |gate: &Gate, arguments: &[&str]| -> Vec<Value> {
            let (out, _) = words(&gate.cli(&[&["audit"], arguments, &["--json"]].concat()));
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let looks = rows(&gate, &["readings", "--what", "requests"]);
        let filter = serde_json::json!({
            "person": "sato", "period": "2026-11-30",
            "from_at": "2026-11-29T15:00:00.000000Z", "to_at": "2026-11-30T15:00:00.000000Z",
        });
        assert_eq!(looks.last().unwrap()["filter"], filter);
        let by = looks[0]["by"].as_str().unwrap().to_owned();
        assert!(by.starts_with("os:"), "{by}");
        let newest = rows(&gate, &["readings", "--by", &by, "-n", "2"]);
        let what: Vec<_> = newest.iter().map(|row| row["what"].as_str().unwrap()).collect();
        assert_eq!(what, ["readings", "readings"], "each look at the looks is one");
        let (table, _) = words(&gate.cli(&["audit", "readings", "--what", "requests"]));
        assert!(table.starts_with("TIME ") && table.contains("period=2026-11-30 from_at="), "{table}");
        let added = rows(&gate, &["changes", "--what", "staff-added"]);
        let subjects: Vec<_> = added.iter().map(|row| row["subject"].as_str().unwrap()).collect();
        assert_eq!(subjects, ["sato", "0012"]);
        let (csv, _) = words(&gate.cli(&["audit", "changes", "--csv", "--what", "staff-added"]));
        assert!(csv.starts_with("\u{feff}日時,番号,実行者,経路,行為,対象,内容") && csv.contains(",'0012,"), "{csv}");
        let (out, err) = words(&gate.cli(&["audit", "readings", "--by", "nobody"]));
        assert_eq!((&*out, err.trim_end()), ("", "No reading fits."));

        // A folder in which there is nothing is another folder.
        gate.signal("TERM");
        gate.wait();
        let elsewhere = gate.path("elsewhere");
        gate.rewrite(|text| {
            let data = gate.data().display().to_string();
            text.replace(&format!("data: {data}"), &format!("data: {}", elsewhere.display()))
        });
        for (made, said) in [(false, "does not exist"), (true, "holds no record")] {
            if made {
                std::fs::create_dir(&elsewhere).unwrap();
            }
            for what in ["requests", "checkpoint", "reindex", "tail", "readings"] {
                let output = gate.cli(&["audit", what]);
                let told = String::from_utf8(output.stderr).unwrap();
                assert_eq!(output.status.code(), Some(2), "{told}");
                assert!(told.contains(said) && told.contains("`gateway.data`"), "{what}: {told}");
            }
        }
    });
}

#[test]
fn strangers_who_were_only_counted_are_not_passed_over() {
    run(async {
        let mut gate = a_busy_gate().await;
        for _ in 0..45 {
            gate.browser(OUTSIDE).open(&gate.url("/wp-login.php")).await.unwrap();
        }
        let of = OUTSIDE.to_string();
        let asked = ["audit", "requests", "--period", "this-month", "--source", &of];
        // What was counted last is recorded when the gate ends.
        gate.signal("TERM");
        gate.wait();
        let counted: u64 = gate
            .entries(&["aggregate"])
            .map(|entry| match entry.record {
                audit::Record::Aggregate(counted) => counted.count,
                _ => 0,
            })
            .sum();
        let (table, told) = words(&gate.cli(&asked));
        let single = table.lines().filter(|line| line.contains("/wp-login.php")).count();
        assert_eq!(single as u64 + counted, 46);
        assert!(
            told.starts_with(&format!("{counted} more requests of strangers were only counted, from 1 source, ")),
            "{told}"
        );
        let listed = format!("`sekisho audit strangers --period this-month --source {of}` lists them.");
        assert!(told.contains(&listed), "{told}");
        let (listed, _) = words(&gate.cli(&["audit", "strangers", "--json", "--source", &of]));
        let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(listed.iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>(), counted);
        for (others, said) in [
            (&["--source", "192.0.2.1"][..], ""),
            (&["--person", "sato"], ""),
            (&["--source", &of, "--path", "/wp-"], "; whether they fit is not known: `"),
            (&["--from", "2026-01-01", "--to", "2026/01/02"], "No request fits."),
        ] {
            let (_, told) = words(&gate.cli(&[&["audit", "requests"], others].concat()));
            assert!(told.contains(said) && (said.starts_with(';') || !told.contains("counted")), "{told}");
        }
    });
}
