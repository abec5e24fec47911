//! Histories on the command line: logins to the SaaS, operations, a person's day, shared IDs, coverage. What they are made of is
//! written into the journal here, so that each line is known; then the gate seals it, and nothing may change.

use std::net::IpAddr;
use std::process::Output;

use audit::{
    Decision, End, Journal, Login, LoginEnd, LoginResult, Outcome, Position, Record, RequestIntent, SignIn, SignOut,
};
use serde_json::{Value, json};
use vocabulary::{Action, PersonId, Reason, Timestamp, Zone};

use crate::harness::{Gate, eventually, run};

fn words(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-11-02T{time}"), &Zone::named("Asia/Tokyo").unwrap()).unwrap()
}

fn typed<T: serde::de::DeserializeOwned>(fields: Value) -> T {
    serde_json::from_value(fields).unwrap()
}

/// A night in November: two people share an ID, one attempt fails, one login came from elsewhere, and one is still open.
async fn write_a_night(journal: &Journal) {
    let record = |time: &str, record: Record| journal.append_blocking(at(time), &record).unwrap();
    let sign_in = |person: &str, name: &str| -> Record {
        Record::SignIn(Box::new(typed::<SignIn>(json!({
            "result": "ok", "person": person, "name": name, "facility": "さくら", "provider": "staff", "factors": 2,
            "method": "password+totp", "session": format!("s-{person}"), "source": "203.0.113.7", "inside": false,
        }))))
    };
    let login = |person: &str, result: LoginResult, more: Value| -> Record {
        let mut fields = json!({
            "app": "hidamari", "result": result, "request": [1, 1], "person": person, "name": "佐藤 花子",
            "facility": "さくら", "session": format!("s-{person}"), "source": "203.0.113.7", "inside": false,
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Record::Login(Box::new(typed::<Login>(fields)))
    };
    let end = |login: &str, person: &str, cause: &str, ended: &str, requests: u64| {
        Record::LoginEnd(typed::<LoginEnd>(json!({
            "app": "hidamari", "login": login, "person": person, "cause": cause, "ended": at(ended), "requests": requests,
        })))
    };
    record("22:00", sign_in("sato", "佐藤 花子"));
    record("22:01", login("sato", LoginResult::Failed, json!({ "cause": "wrong-password", "saas_id_hash": "5f3a" })));
    record("22:02", login("sato", LoginResult::Ok, json!({ "login": "l-1", "account": "0123", "saas_id": "kyoyu" })));
    request(journal, "22:03", "sato", ("/residents/1234", Some("care-plan"), Some("resident/1234")), Action::View)
        .await;
    request(journal, "22:04", "sato", ("/residents/1234", Some("care-plan"), Some("resident/1234")), Action::View)
        .await;
    request(journal, "22:05", "sato", ("/assets/app.js", None, None), Action::View).await;
    request(journal, "22:30", "sato", ("/export/11.csv", Some("export"), None), Action::Download).await;
    record("22:40", end("l-1", "sato", "logout", "22:39:30", 4));
    record(
        "22:41",
        Record::SignOut(typed::<SignOut>(json!({ "person": "sato", "session": "s-sato", "cause": "signed-out" }))),
    );
    record("23:00", sign_in("0012", "山田 太郎"));
    record(
        "23:01",
        login(
            "0012",
            LoginResult::Ok,
            json!({ "login": "l-2", "account": "0123", "saas_id": "kyoyu", "name": "山田 太郎" }),
        ),
    );
    request(journal, "23:02", "0012", ("/residents/1234", Some("care-plan"), Some("resident/1234")), Action::View)
        .await;
    record("23:30", login("0012", LoginResult::Elsewhere, json!({ "login": "l-3", "name": "山田 太郎" })));
}

async fn request(
    journal: &Journal,
    time: &str,
    person: &str,
    (path, operation, subject): (&str, Option<&str>, Option<&str>),
    action: Action,
) {
    let (app, person) = ("hidamari".parse().unwrap(), person.parse::<PersonId>().unwrap());
    let session = format!("s-{person}").parse().unwrap();
    let intent = RequestIntent {
        at: at(time),
        app: Some(&app),
        host: "hidamari.example",
        method: "GET",
        path,
        action,
        guessed: operation.is_none(),
        decision: Decision::Permit,
        reason: Reason::Rule,
        rule: None,
        person: Some(&person),
        session: Some(&session),
        factors: Some(2),
        factor_device: false,
        device: None,
        client: None,
        serial: None,
        source: IpAddr::from([203, 0, 113, 7]),
        networks: &[],
        inside: false,
        tls: Some("1.3"),
        http: "2",
        user_agent: None,
        navigation: true,
        operation,
        subject,
        login: None,
    };
    let of: Position = journal.intent(&intent).await.unwrap();
    let outcome =
        Outcome { at: at(time), end: End::Ok, status: Some(200), bytes_in: 0, bytes_out: 5, ..Outcome::default() };
    journal.outcome(of, &outcome);
}

/// A gate that has ended, with that night in its record.
async fn a_gate_after_a_night() -> Gate {
    let more = "audit: { log: { seal_every: 1s } }\n";
    let mut gate = Gate::builder().time_zone("Asia/Tokyo").more(more).start().await;
    gate.add_staff("sato", &["staff"]);
    gate.add_staff("0012", &["staff"]);
    gate.signal("TERM");
    gate.wait();
    let audit = gate.data().join("audit");
    let options = audit::Options { sealed: audit::sealed_to(&audit).unwrap(), ..audit::Options::default() };
    let (journal, _) = Journal::open(&audit.join("journal"), options).unwrap();
    write_a_night(&journal).await;
    journal.close().unwrap();
    gate
}

const DAY: [&str; 4] = ["--from", "2026-11-02", "--to", "2026-11-03"];

/// What each history says, but for the codes.
fn told(gate: &Gate) -> Vec<(String, Vec<Value>)> {
    let asked: [&[&str]; 12] = [
        &["logins"],
        &["logins", "--failures"],
        &["logins", "--person", "0012", "--result", "ok"],
        &["logins", "--facility", "さくら", "-n", "1"],
        &["operations"],
        &["operations", "--exports"],
        &["operations", "--named", "--person", "sato"],
        &["subject", "resident/1234"],
        &["shared-ids"],
        &["person", "sato"],
        &["sign-ins", "--person", "0012"],
        &["logins", "--outside", "--night", "--saas-id", "kyoyu"],
    ];
    let tell = |arguments: &&[&str]| {
        let (out, _) = words(&gate.cli(&[&["audit"], *arguments, &DAY, &["--json"]].concat()));
        (arguments.join(" "), out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    };
    asked.iter().map(tell).collect()
}

fn column<'v>(rows: &'v [Value], key: &str) -> Vec<&'v str> {
    rows.iter().map(|row| row[key].as_str().unwrap_or("-")).collect()
}

#[test]
fn who_was_in_the_saas_last_night_and_what_did_they_open() {
    run(async {
        let mut gate = a_gate_after_a_night().await;
        let unsealed = told(&gate);
        let rows = |asked: &str| &unsealed.iter().find(|(a, _)| a == asked).unwrap().1[..];

        let logins = rows("logins");
        assert_eq!(column(logins, "person"), ["sato", "sato", "0012", "0012"]);
        assert_eq!(column(logins, "result"), ["failed", "ok", "ok", "elsewhere"]);
        assert_eq!(column(logins, "saas_id"), ["#5f3a", "kyoyu", "kyoyu", "-"]);
        assert_eq!(column(logins, "name"), ["佐藤 花子", "佐藤 花子", "山田 太郎", "山田 太郎"]);
        assert_eq!(column(logins, "end_cause"), ["-", "logout", "継続中", "継続中"]);
        assert_eq!(column(logins, "cause"), ["wrong-password", "-", "-", "-"]);
        assert_eq!((&logins[1]["duration_s"], &logins[1]["requests"]), (&json!(2_250), &json!(4)));
        assert_eq!(
            (&logins[1]["time"], &logins[1]["ended"]),
            (&json!("2026/11/02 22:02:00"), &json!("2026/11/02 22:39:30"))
        );
        assert_eq!((&logins[1]["account"], &logins[1]["inside"]), (&json!("0123"), &json!(false)));
        assert_eq!(column(rows("logins --failures"), "cause"), ["wrong-password"]);
        assert_eq!(column(rows("logins --person 0012 --result ok"), "time"), ["2026/11/02 23:01:00"]);
        assert_eq!(column(rows("logins --facility さくら -n 1"), "result"), ["elsewhere"]);
        assert_eq!(rows("logins --outside --night --saas-id kyoyu").len(), 2);

        let operations = rows("operations");
        assert_eq!(column(operations, "operation"), ["care-plan", "care-plan", "-", "export", "care-plan"]);
        assert_eq!(column(operations, "facility"), ["さくら"; 5]);
        assert_eq!(operations[0]["bytes_out"], json!(5));
        assert_eq!(column(rows("operations --exports"), "path"), ["/export/11.csv"]);
        assert_eq!(rows("operations --named --person sato").len(), 3);
        assert_eq!(column(rows("subject resident/1234"), "name"), ["佐藤 花子", "佐藤 花子", "山田 太郎"]);

        let shared = rows("shared-ids");
        assert_eq!(column(shared, "person"), ["0012", "sato"]);
        assert_eq!(column(shared, "saas_id"), ["kyoyu", "kyoyu"]);

        let day = rows("person sato");
        assert_eq!(
            column(day, "event"),
            ["sign-in", "login", "login", "view", "requests", "gap", "download", "login-end", "sign-out"]
        );
        assert_eq!((&day[3]["times"], &day[3]["subject"]), (&json!(2), &json!("resident/1234")));
        assert_eq!(day[5]["until"], json!("2026/11/02 22:30:00"));
        assert_eq!(column(rows("sign-ins --person 0012"), "name"), ["山田 太郎"]);

        // The same once the gate has sealed and indexed it.
        gate.start().await;
        eventually("it is sealed", async || {
            let log = audit::History::new(&gate.data().join("audit")).log();
            (log.checkpoint().unwrap().is_some_and(|checkpoint| checkpoint.size >= 20)).then_some(())
        })
        .await;
        for ((asked, before), (_, after)) in unsealed.iter().zip(told(&gate)) {
            assert_eq!(&after, before, "{asked}");
        }
        words(&gate.cli(&["audit", "reindex"]));
        for ((asked, before), (_, after)) in unsealed.iter().zip(told(&gate)) {
            assert_eq!(&after, before, "{asked}, indexed anew");
        }
        let readings = gate.entries(&["reading"]).filter(|entry| {
            matches!(&entry.record, Record::Reading(reading) if reading.what == "logins" && reading.filter["from"] == "2026-11-02")
        });
        assert!(readings.count() >= 15, "each look is recorded");
    });
}

#[test]
fn histories_as_tables_and_files() {
    run(async {
        let gate = a_gate_after_a_night().await;
        let cli = |arguments: &[&str]| words(&gate.cli(&[arguments, &DAY].concat()));
        let (table, _) = cli(&["audit", "shared-ids"]);
        let expected = "\
SHARED  APP       ACCOUNT  SAAS ID  PERSON  NAME  LOGINS  FAILED  FIRST                LAST
id      hidamari  0123     kyoyu    0012    0012  1       0       2026/11/02 23:01:00  2026/11/02 23:01:00
id      hidamari  0123     kyoyu    sato    sato  1       0       2026/11/02 22:02:00  2026/11/02 22:02:00
";
        assert_eq!(table, expected);
        let (table, _) = cli(&["recipe", "coverage", "hidamari"]);
        let expected = "\
4 of 5 requests of hidamari have a name (80.0 %).
REQUESTS  METHOD  PATH            ACTION
1         GET     /assets/app.js  view
";
        assert_eq!(table, expected);
        let (day, whose) = cli(&["audit", "person", "sato"]);
        assert_eq!(whose.trim_end(), "sato  佐藤 花子  さくら");
        assert!(day.starts_with("TIME ") && day.contains("\n2026/11/02 22:05:00  2026/11/02 22:30:00  gap"), "{day}");

        let out = gate.path("logins.csv");
        let (nothing, said) =
            cli(&["audit", "logins", "--csv", "--csv-encoding", "cp932", "--out", out.to_str().unwrap()]);
        assert!(nothing.is_empty() && said.starts_with("4 rows in 1 file, told about in "), "{said}");
        let bytes = std::fs::read(&out).unwrap();
        assert_eq!(bytes[..4], [0x93, 0xfa, 0x8e, 0x9e], "日時 in CP932");
        let about: Value = serde_json::from_slice(&std::fs::read(gate.path("logins.csv.about.json")).unwrap()).unwrap();
        assert_eq!((&about["rows"], &about["asked"]["from"]), (&json!(4), &json!("2026-11-02")));
        let (csv, _) = cli(&["audit", "logins", "--csv", "--person", "0012", "--result", "ok"]);
        let mut lines = csv.split("\r\n");
        assert!(lines.next().unwrap().starts_with("\u{feff}日時,番号,職員ID,氏名,事業所,アプリ,結果,"));
        let row = lines.next().unwrap();
        assert!(row.contains(",'0012,山田 太郎,さくら,hidamari,ok,,'0123,kyoyu,203.0.113.7,外,"), "{row}");

        for (arguments, sentence) in [
            (
                &["audit", "logins", "--person", "satoo"][..],
                "Nobody on the roster has the ID satoo, and no login to a SaaS is of such a person; did you mean `sato`?",
            ),
            (
                &["audit", "logins", "--app", "hidamarii"],
                "The configuration has no app hidamarii, and no login to a SaaS of one of that name is recorded; did you mean `hidamari`?",
            ),
            (&["audit", "operations", "--operation", "none"], "No request fits."),
            (
                &["audit", "subject", "resident/9"],
                "Nothing that was done to resident/9 is recorded; subjects are what an app's recipe names.",
            ),
            (
                &["audit", "person", "satoo"],
                "Nobody on the roster has the ID satoo, and nothing of such a person is recorded; did you mean `sato`?",
            ),
            (
                &["recipe", "coverage", "hidamarii"],
                "The configuration has no app hidamarii, and no permitted request of one of that name is recorded; did you mean `hidamari`?",
            ),
        ] {
            let (out, err) = cli(arguments);
            assert_eq!((&*out, err.trim_end()), ("", sentence), "{arguments:?}");
        }
        let output = gate.cli(&["audit", "subject", "1234"]);
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && err.contains("write kind/id, such as resident/1234"), "{err}");
    });
}
