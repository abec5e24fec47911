//! The roster: files, leavers, locks, and the gate's own login history.

use std::process::Output;

use bytes::Bytes;
use demo::client::{Browser, Mode};
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::harness::{Gate, HOME, PASSWORD, fill_in, run, sign_in};

const FILE: &str = "職員ID,氏名,フリガナ,グループ,入職日,退職日,備考\r\n\
    0012,佐藤 花子,サトウ ハナコ,staff、leaders,令和8年4月1日,,髙\r\n\
    0013,田中 一郎,タナカ イチロウ,staff,R2.4.1,R8.10.31,\r\n";

fn words(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn file(gate: &Gate, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = gate.path(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn people(gate: &Gate) -> Vec<Value> {
    gate.json(&["staff", "list"]).as_array().unwrap().clone()
}

fn changes(gate: &Gate, what: &str) -> Vec<audit::Change> {
    gate.entries(&[])
        .filter_map(|entry| match entry.record {
            audit::Record::Change(change) if change.what == what => Some(change),
            _ => None,
        })
        .collect()
}

async fn fetch(browser: &mut Browser, gate: &Gate) -> u16 {
    let url = gate.url("/echo");
    browser.send(Method::GET, &url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap().status.as_u16()
}

#[test]
fn a_file_is_shown_asked_about_recorded_and_then_in_force() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.add_staff("0013", &["staff"]);
        gate.add_staff("yamada", &["staff"]);
        let bytes = std::process::Command::new("iconv")
            .args(["-f", "utf-8", "-t", "cp932", &file(&gate, "utf8.csv", FILE)])
            .output()
            .unwrap()
            .stdout;
        let roster = file(&gate, "名簿.csv", &bytes);

        let (code, shown, _) = words(&gate.cli(&["staff", "import", &roster, "--dry-run"]));
        assert_eq!(code, Some(0));
        for line in [
            "  + 0012  佐藤 花子",
            "      groups: (none) → staff;leaders",
            "      first_day: (none) → 2026-04-01",
            "  ~ 0013  田中 一郎",
            "      name: 0013 → 田中 一郎",
            "      last_day: (none) → 2026-10-31",
            "  ? yamada  yamada",
            "Columns not used: 備考",
            "Dry run: nothing was changed.",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line} is missing in:\n{shown}");
        }
        assert_eq!(people(&gate).len(), 2);

        let (code, _, why) = words(&gate.cli(&["staff", "import", &roster]));
        assert_eq!(code, Some(2));
        assert!(why.contains("--yes"), "{why}");

        let done = gate.json(&["staff", "import", &roster, "--yes"]);
        assert_eq!((&done["applied"], &done["file"]["encoding"]), (&Value::from(true), &Value::from("cp932")));
        let now = people(&gate);
        assert_eq!(now.iter().map(|p| p["id"].as_str().unwrap()).collect::<Vec<_>>(), ["0012", "0013", "yamada"]);
        assert_eq!(now[0]["groups"], serde_json::json!(["staff", "leaders"]));
        assert_eq!(now[1]["standing"], "retired");
        assert_eq!(now[2]["standing"], "active", "a person who was left out of the file stays");

        let whole = changes(&gate, "staff-imported");
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!((whole.len(), whole[0].details["sha256"].as_str()), (1, Some(hex.as_str())));
        assert_eq!((&whole[0].details["added"], &whole[0].details["changed"]), (&1.into(), &1.into()));
        let changed = changes(&gate, "staff-changed");
        assert_eq!(changed[0].subject, "0013");
        assert_eq!(changed[0].details["new"]["last_day"], "2026-10-31");
        assert_eq!(changed[0].details["fields"], serde_json::json!(["name", "kana", "first_day", "last_day"]));

        // What it says survives, and what it writes it reads.
        gate.kill();
        gate.start().await;
        let exported = gate.cli(&["staff", "list", "--csv"]);
        let again = gate.json(&["staff", "import", &file(&gate, "again.csv", exported.stdout), "--dry-run"]);
        assert_eq!((&again["unchanged"], &again["missing"]), (&3.into(), &serde_json::json!([])));
    });
}

#[test]
fn on_a_terminal_it_asks_and_no_means_no() {
    run(async {
        let gate = Gate::usual().await;
        let roster = file(&gate, "roster.csv", FILE);
        for (answer, count) in [("no\n", 0), ("yes\n", 2)] {
            let command = format!("{} staff import {roster}", env!("CARGO_BIN_EXE_sekisho"));
            let script = std::process::Command::new("script")
                .args(["-qec", &command, "/dev/null"])
                .env("SEKISHO_CONFIG", gate.config())
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut script.stdin.as_ref().unwrap(), answer.as_bytes()).unwrap();
            let output = script.wait_with_output().unwrap();
            let shown = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(shown.contains("+ 0012  佐藤 花子") && shown.contains("Type yes"), "{shown}");
            assert_eq!(people(&gate).len(), count, "{shown}");
        }
    });
}

#[test]
fn every_wrong_line_is_told_at_once_and_nothing_changes() {
    run(async {
        let gate = Gate::usual().await;
        let roster = file(&gate, "wrong.csv", "id,氏名,入職日\n1,佐藤,4月1日\n2,,2026-04-01\n1,田中,2026-04-01\n");
        let (code, _, told) = words(&gate.cli(&["staff", "import", &roster, "--yes"]));
        assert_eq!(code, Some(1));
        for line in [
            format!("{roster}:2: 入職日 \"4月1日\": is not a date; write 2026-04-01, 2026/4/1 or 令和8年4月1日"),
            format!("{roster}:3: 氏名 \"\": is empty; every person has a name"),
            "2 problem(s); nothing was changed.".to_owned(),
        ] {
            assert!(told.contains(&line), "{line} is missing in:\n{told}");
        }
        assert!(people(&gate).is_empty() && changes(&gate, "staff-imported").is_empty());
    });
}

#[test]
fn guards_stand_before_a_file_that_would_empty_the_house() {
    run(async {
        let gate = Gate::usual().await;
        let many: String = (0..4_000).map(|n| format!("n{n:05},職員{n},staff\n")).collect();
        let all = file(&gate, "all.csv", format!("id,name,groups\n{many}"));
        assert!(many.len() > 64 * 1024, "longer than a command may be");
        assert_eq!(gate.json(&["staff", "import", &all, "--yes"])["added"].as_array().unwrap().len(), 4_000);
        assert_eq!(changes(&gate, "staff-added").len(), 4_000);

        let few = file(&gate, "few.csv", "id,name\nn00000,職員0\n");
        let import = |more: &[&str]| words(&gate.cli(&[&["staff", "import", &few, "--yes"], more].concat()));
        assert_eq!(import(&[]).0, Some(0));
        assert!(people(&gate).iter().all(|p| p["last_day"].is_null()));
        let (code, _, why) = import(&["--retire-missing"]);
        assert_eq!(code, Some(1));
        assert!(why.contains("3999 of the 4000"), "{why}");
        assert_eq!(import(&["--retire-missing", "--force"]).0, Some(0));
        let left = people(&gate).iter().filter(|p| !p["last_day"].is_null()).count();
        assert_eq!((people(&gate).len(), left), (4_000, 3_999), "leavers stay on the roster");
    });
}

#[test]
fn who_leaves_by_a_file_is_out_on_the_next_request_and_does_not_slip_back() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "tanaka", "ito"] {
            gate.add_staff(person, &["staff"]);
        }
        let mut sato = gate.signed_in("sato").await;
        assert_eq!(fetch(&mut sato, &gate).await, 200);
        let leaver = file(&gate, "leaver.csv", "id,name,last_day\nsato,佐藤,2026-01-31\n");
        assert_eq!(gate.json(&["staff", "import", &leaver, "--yes"])["sessions_ended"], 1);
        assert_ne!(fetch(&mut sato, &gate).await, 200);
        let stale = file(&gate, "stale.csv", "id,name,last_day\nsato,佐藤,\n");
        let (code, _, why) = words(&gate.cli(&["staff", "import", &stale, "--yes"]));
        assert_eq!(code, Some(1));
        assert!(why.contains("sato") && why.contains("--reinstate"), "{why}");
        assert!(gate.cli(&["staff", "import", &stale, "--yes", "--reinstate"]).status.success());
        gate.signed_in("sato").await;
    });
}

#[test]
fn an_old_file_does_not_undo_a_last_day() {
    run(async {
        let gate = Gate::usual().await;
        for person in ["sato", "tanaka", "ito"] {
            gate.add_staff(person, &["staff"]);
        }
        let old = file(&gate, "old.csv", gate.cli(&["staff", "list", "--csv"]).stdout);
        assert!(gate.cli(&["staff", "retire", "sato"]).status.success());
        assert!(gate.cli(&["staff", "retire", "tanaka", "--last-day", "2199-12-31"]).status.success());
        let (code, _, why) = words(&gate.cli(&["staff", "import", &old, "--yes"]));
        assert_eq!(code, Some(1));
        assert!(why.contains("2 people would stay longer than was set (sato, tanaka)"), "{why}");
        let (_, shown, _) = words(&gate.cli(&["staff", "import", &old, "--dry-run"]));
        assert!(shown.contains("stay longer than was set (--reinstate): sato, tanaka"), "{shown}");
        assert!(people(&gate).iter().filter(|p| p["last_day"].is_string()).count() == 2);
        assert!(gate.cli(&["staff", "import", &old, "--yes", "--reinstate"]).status.success());
        assert!(people(&gate).iter().all(|p| p["last_day"].is_null()));
    });
}

#[test]
fn everything_that_is_known_of_somebody_is_added_recorded_and_shown() {
    run(async {
        let gate = Gate::usual().await;
        let add = |more: &[&str]| {
            let usual = ["staff", "add", "suzuki", "--name", "鈴木 一", "--password-stdin"];
            gate.cli_with_input(&[&usual[..], more].concat(), PASSWORD)
        };
        let all = ["--kana", "スズキ ハジメ", "--mail", "suzuki@sakura.example", "--facility", "さくら訪問看護"];
        let days = ["--first-day", "2199-04-01", "--last-day", "2199-12-31"];
        let groups = ["--group", "visiting-nurses", "--group", "leaders"];
        assert!(add(&[&all[..], &days[..], &groups[..]].concat()).status.success());
        let added = &changes(&gate, "staff-added")[0].details;
        assert_eq!(
            added["new"],
            serde_json::json!({ "mail": "suzuki@sakura.example", "groups": "visiting-nurses;leaders",
                "first_day": "2199-04-01", "last_day": "2199-12-31" })
        );
        let fields = ["name", "kana", "mail", "facility", "groups", "first_day", "last_day"];
        assert_eq!(added["fields"], serde_json::json!(fields));

        let (phone, _) = gate.issue_device("suzuki");
        assert_eq!(gate.json(&["device", "list"])[0]["status"], "owner-not-yet");
        assert!(gate.cli(&["staff", "totp", "suzuki"]).status.success());
        let shown = gate.json(&["staff", "show", "suzuki"]);
        assert_eq!(
            shown["person"],
            serde_json::json!({ "id": "suzuki", "name": "鈴木 一", "kana": "スズキ ハジメ",
                "mail": "suzuki@sakura.example", "facility": "さくら訪問看護", "groups": ["visiting-nurses", "leaders"],
                "first_day": "2199-04-01", "last_day": "2199-12-31", "locked": false, "deactivated": false })
        );
        assert_eq!((&shown["standing"], &shown["why"]), (&"not-yet".into(), &"the first day is 2199-04-01".into()));
        assert_eq!(shown["factors"], gate.json(&["staff", "factors", "suzuki"]));
        assert_eq!((&shown["links"], &shown["sessions"]), (&serde_json::json!([]), &serde_json::json!([])));
        assert_eq!(shown["devices"][0]["id"], phone.as_str());
        let (_, text, _) = words(&gate.cli(&["staff", "show", "suzuki"]));
        for line in [
            "  One-time codes:  waiting for a first code",
            "  Recovery codes:  0 left",
            "  Passkeys:        0",
            "  links: 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
        }

        // They never begin: the record says what became of both days.
        assert!(gate.cli(&["staff", "retire", "suzuki", "--now"]).status.success());
        let (retired, entry) = (&changes(&gate, "staff-retired")[0].details, &people(&gate)[0]);
        assert_eq!(retired["old"], serde_json::json!({ "first_day": "2199-04-01", "last_day": "2199-12-31" }));
        assert_eq!(
            retired["new"],
            serde_json::json!({ "first_day": entry["first_day"], "last_day": entry["last_day"] })
        );
        assert!(entry["first_day"].is_null() && entry["last_day"].is_string());
    });
}

#[test]
fn what_makes_no_sense_is_refused_before_it_is_recorded() {
    run(async {
        let gate = Gate::usual().await;
        let add = |more: &[&str]| gate.cli_with_input(&[&["staff", "add", "sato"], more].concat(), PASSWORD);
        for (more, why) in [
            (&["--name", " ", "--password-stdin"][..], "the name of `sato` is empty"),
            (&["--name", "佐藤", "--first-day", "2026-02-01", "--last-day", "2026-01-31"], "is before the first"),
            (&["--name", "佐藤", "--mail", "a\nb"], "holds a control character"),
        ] {
            let (code, _, told) = words(&add(more));
            assert_eq!(code, Some(1), "{told}");
            assert!(told.contains(why), "{told}");
        }
        let roster = file(&gate, "r.csv", "id,name\nito,伊藤\n");
        assert!(gate.cli(&["staff", "import", &roster, "--yes"]).status.success());
        assert_eq!(gate.cli(&["staff", "totp", "ito"]).status.code(), Some(1));
        assert!(changes(&gate, "totp-enrolment-begun").is_empty(), "who has no password can't begin");
        assert_eq!(changes(&gate, "staff-added").len(), 1, "who was never added is in the record");
    });
}

#[test]
fn an_import_that_could_not_be_recorded_whole_is_told_to_have_failed() {
    run(async {
        let gate = Gate::usual().await;
        let groups: Vec<_> = (0..8_000).map(|n| format!("group-{n}")).collect();
        let roster = file(&gate, "r.csv", format!("id,name,groups\na,あ,\nb,い,{}\n", groups.join(";")));
        let (code, _, why) = words(&gate.cli(&["staff", "import", &roster, "--yes"]));
        assert_eq!(code, Some(2));
        assert!(why.contains("longer than a journal takes"), "{why}");
        assert!(people(&gate).is_empty());
        let (begun, failed) = (changes(&gate, "staff-imported"), changes(&gate, "staff-import-failed"));
        assert_eq!((begun.len(), failed.len()), (1, 1));
        assert_eq!(begun[0].details["sha256"], failed[0].details["sha256"]);
    });
}

/// Commands that only read leave a database of another version to the gate that holds it.
#[test]
fn reading_changes_nothing_in_the_database() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let explain = |gate: &Gate| {
            words(&gate.cli(&["policy", "explain", "--app", "hidamari", "--from", "127.0.0.1", "--person", "sato"]))
        };
        assert_eq!(explain(&gate).0, Some(0), "beside a running gate");
        gate.kill();
        assert_eq!(explain(&gate).0, Some(0), "with no gate there");
        for side in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(gate.data().join(side));
        }
        // As an older version left it: none of the tables are there yet.
        let state = gate.data().join("state.db");
        drop(store::Store::open(&state).unwrap());
        let (code, _, why) = explain(&gate);
        assert_eq!(code, Some(2));
        assert!(why.contains("an older version"), "{why}");
        let (code, _, why) = words(&gate.cli(&["audit", "sign-ins"]));
        assert_eq!(code, Some(0));
        assert!(why.contains("names are left out"), "{why}");
        let store = store::Store::open_to_read(&state).unwrap();
        let tables =
            store.transaction(|tx| tx.query("SELECT name FROM sqlite_master WHERE type = 'table'", &[])).unwrap();
        assert_eq!(tables.len(), 1, "a command that only reads made tables");
    });
}

#[test]
fn retiring_at_once_ends_sessions_and_revokes_devices_and_show_tells_all() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("suzuki", &["visiting-nurses"]);
        let (id, phone) = gate.issue_device("suzuki");
        let mut nurse = gate.signed_in_outside("suzuki", phone, false).await;
        let shown = gate.json(&["staff", "show", "suzuki"]);
        assert_eq!((&shown["standing"], &shown["factors"]["password"]), (&"active".into(), &true.into()));
        assert_eq!(shown["sessions"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&shown["devices"][0]["id"], &shown["devices"][0]["status"]),
            (&id.as_str().into(), &"active".into())
        );

        let retired = gate.json(&["staff", "retire", "suzuki", "--now"]);
        assert_eq!((&retired["sessions_ended"], &retired["devices_revoked"]), (&1.into(), &1.into()));
        assert_eq!(fetch(&mut nurse, &gate).await, 403);
        let shown = gate.json(&["staff", "show", "suzuki"]);
        assert_eq!((&shown["standing"], &shown["devices"][0]["status"]), (&"retired".into(), &"revoked".into()));
        assert!(shown["why"].as_str().unwrap().starts_with("the last day was "));
        let text = words(&gate.cli(&["staff", "show", "suzuki"])).1;
        assert!(text.contains("standing   the last day was") && text.contains(&id), "{text}");
        assert_eq!(changes(&gate, "staff-retired")[0].details["at_once"], true);
        assert_eq!(changes(&gate, "device-revoked")[0].details["cause"], "owner-left");

        let (code, _, why) = words(&gate.cli(&["staff", "retire", "suzuki"]));
        assert_eq!(code, Some(1));
        assert!(why.contains("left on"), "{why}");
        assert_eq!(gate.cli(&["staff", "retire", "nobody"]).status.code(), Some(1));
    });
}

#[test]
fn the_login_history_tells_who_how_from_where_and_how_it_ended() {
    run(async {
        let gate = Gate::usual().await;
        let roster = file(
            &gate,
            "r.csv",
            "id,name,facility,groups\nsato,佐藤 花子,さくら,staff\nsuzuki,鈴木,,visiting-nurses\n",
        );
        assert!(gate.cli(&["staff", "import", &roster, "--yes"]).status.success());
        for person in ["sato", "suzuki"] {
            assert!(gate.cli_with_input(&["staff", "password", person, "--stdin"], PASSWORD).status.success());
        }
        let wrong = sign_in(&mut gate.browser(HOME), &gate.url("/"), "sato", "not-the-password").await;
        assert_eq!(wrong.status, 403);
        let mut sato = gate.signed_in("sato").await;
        let ask = sato.open(&gate.login_url("/sign-out")).await.unwrap();
        fill_in(&mut sato, &ask, &[]).await;
        let (device, phone) = gate.issue_device("suzuki");
        gate.signed_in_outside("suzuki", phone, false).await;
        assert!(gate.cli(&["session", "end", "--person", "suzuki"]).status.success());
        assert!(gate.cli(&["staff", "lock", "sato", "--cause", "スマートフォンを紛失"]).status.success());

        let history = |filter: &[&str]| -> Vec<Value> {
            let (code, text, why) = words(&gate.cli(&[&["audit", "sign-ins", "--json"], filter].concat()));
            assert_eq!(code, Some(0), "{why}");
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let events: Vec<_> = history(&[])
            .iter()
            .map(|l| {
                [&l["event"], &l["person"], &l["result"], &l["cause"]].map(|v| v.as_str().unwrap_or("-").to_owned())
            })
            .collect();
        let expected = [
            ["password-set", "sato", "-", "-"],
            ["password-set", "suzuki", "-", "-"],
            ["sign-in", "sato", "wrong", "-"],
            ["sign-in", "sato", "ok", "sign-out"],
            ["sign-in", "suzuki", "ok", "administrator"],
            ["sessions-ended", "suzuki", "-", "-"],
            ["staff-locked", "sato", "-", "-"],
        ];
        assert_eq!(events, expected.map(|line| line.map(str::to_owned)));
        assert_eq!(history(&[]).last().unwrap()["detail"], "スマートフォンを紛失");
        let outside = &history(&["--person", "suzuki", "--result", "ok"])[0];
        assert_eq!((&outside["device"], &outside["device_name"]), (&device.as_str().into(), &"訪問用".into()));
        assert_eq!((&outside["inside"], &outside["source"]), (&false.into(), &"127.0.0.2".into()));
        assert!(outside["serial"].as_str().is_some() && outside["duration_s"].as_i64().is_some());
        let inside = &history(&["--result", "ok", "--provider", "staff"])[0];
        assert_eq!((&inside["name"], &inside["facility"]), (&"佐藤 花子".into(), &"さくら".into()));
        assert!(history(&["--to", "2020-01-01"]).is_empty() && history(&["--from", "2020-01-01"]).len() == 7);
        let (_, csv, _) = words(&gate.cli(&["audit", "sign-ins", "--csv", "--result", "ok"]));
        assert!(csv.starts_with("\u{feff}日時,") && csv.contains(",佐藤 花子,さくら,ok,"), "{csv}");
        assert!(words(&gate.cli(&["audit", "sign-ins"])).1.contains("佐藤 花子"));
    });
}
