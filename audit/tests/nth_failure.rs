//! Journal and log together, in a process of their own, whose n-th write, synchronisation, rename or removal fails,
//! "done" and "not done", or is where it is killed. Whatever happens: it recovers, and the whole log holds each record
//! that was confirmed, once, in order.
//!
//! `make test` takes some n; with SEKISHO_SOAK=1 it is every n of a run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic: that is how it fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use audit::{
    Change, Decision, End, Journal, LogFolder, Options, Outcome, Position, Record, RequestIntent, SealOptions, Sealer,
    TILE_WIDTH,
};
use sekisho_audit as audit;
use serde_json::{Map, Value};
use vocabulary::{Action, Clock as _, Reason, SystemClock, Zone};

const FOLDER: &str = "NTH_FOLDER";

fn change(subject: &str) -> Record {
    let (by, channel, what) = ("root(0)".to_owned(), "control-socket".to_owned(), "device-revoked".to_owned());
    Record::Change(Change { by, channel, what, subject: subject.to_owned(), details: Map::new(), more: Map::new() })
}

fn request() -> RequestIntent<'static> {
    RequestIntent {
        at: SystemClock.now(),
        app: None,
        host: "nth.example",
        method: "GET",
        path: "/",
        action: Action::View,
        guessed: true,
        decision: Decision::Permit,
        reason: Reason::Rule,
        rule: None,
        person: None,
        session: None,
        factors: None,
        factor_device: false,
        device: None,
        client: None,
        serial: None,
        source: [192, 0, 2, 1].into(),
        networks: &[],
        inside: false,
        tls: None,
        http: "2",
        user_agent: None,
        navigation: false,
        operation: None,
        subject: None,
        login: None,
    }
}

/// What the process does: writes, tells what was confirmed, seals, ends. An error ends it early.
#[expect(clippy::print_stdout, reason = "that is how it tells what was confirmed")]
fn work(audit: &Path, many: usize) -> Result<(), audit::AuditError> {
    let options = Options {
        segment_bytes: 128 << 10,
        commit_timeout: Duration::from_secs(10),
        sealed: audit::sealed_to(audit)?,
        ..Options::default()
    };
    let (journal, _) = Journal::open(&audit.join("journal"), options)?;
    let key = audit::read_or_make_key(&audit.join("log.key"), "nth.example/audit")?;
    let seal = SealOptions { every: Duration::from_millis(1), patience: Duration::ZERO, ..SealOptions::default() };
    let sealer = Sealer::start(audit, &journal, vec![key], &Zone::UTC, seal)?;
    for number in 0..many {
        // Long ones, so that several files are filled.
        let subject = format!("{number}-{}", "x".repeat(8_000));
        let noted = journal.note(&request());
        if let Some(position) = noted.as_ref().ok().filter(|_| number % 3 > 0) {
            journal.outcome(*position, &Outcome { end: End::Ok, ..Outcome::default() });
        }
        if let Ok(position) = journal.append_blocking(SystemClock.now(), &change(&subject)) {
            // What was taken in before it is on the disk, too.
            for Position { boot, seq } in noted.into_iter().chain([position]) {
                println!("\nconfirmed {boot} {seq}");
            }
        }
        // Now and then the sealing catches up, so that its calls and the journal's fall together in many ways.
        if number % 8 == 7 {
            let size = sealer.stats().size;
            for _ in 0..200 {
                if sealer.stats().size > size || sealer.stats().failures > 0 {
                    break;
                }
                std::thread::yield_now();
            }
        }
    }
    let closed = journal.close();
    sealer.finish();
    closed
}

/// The other process; does nothing when the tests are run.
#[test]
fn the_process_that_fails() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let many = std::env::var("NTH_MANY").unwrap().parse().unwrap();
    if let Err(error) = work(Path::new(&folder), many) {
        eprintln!("{error}");
        std::process::exit(3);
    }
}

/// Runs the process; returns what it confirmed, and what it complained of.
fn run(audit: &Path, many: usize, environment: &[(&str, &str)]) -> (BTreeSet<Position>, String, bool) {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_fails", "--nocapture"])
        .env(FOLDER, audit)
        .env("NTH_MANY", many.to_string())
        .envs(environment.iter().copied())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    let confirmed = text.lines().filter_map(|line| {
        let (boot, seq) = line.strip_prefix("confirmed ")?.split_once(' ')?;
        Some(Position { boot: boot.parse().ok()?, seq: seq.parse().ok()? })
    });
    (confirmed.collect(), String::from_utf8_lossy(&run.stderr).into_owned(), run.status.success())
}

/// Positions of all leaves, in order; every number of a leaf or its outcome once.
fn sealed(audit: &Path) -> Vec<Position> {
    let folder = LogFolder::new(&audit.join("log"));
    let size = folder.checkpoint().unwrap().unwrap().size;
    let mut found = Vec::new();
    for index in 0..size.div_ceil(TILE_WIDTH) {
        for (_, leaf) in folder.bundle(index, size).unwrap().iter() {
            let leaf: Value = serde_json::from_slice(leaf).unwrap();
            let boot = u32::try_from(leaf["boot"].as_u64().unwrap()).unwrap();
            found.push(Position { boot, seq: leaf["seq"].as_u64().unwrap() });
        }
    }
    found
}

/// By the verifier, which shares no code with the writer.
fn verify(audit: &Path) {
    let folder = audit.join("log");
    let mut keys = audit_verify::Keys::default();
    keys.add_log(folder.join("log.vkey").to_str().unwrap()).unwrap();
    let options = audit_verify::LogOptions { folder, keys, jobs: 1, strict: true, ..Default::default() };
    if let Err(failure) = audit_verify::verify_log(&options, &|_, _| ()) {
        panic!("{failure:?}");
    }
}

#[test]
fn whichever_call_fails_what_was_confirmed_is_in_the_log_once() {
    let tools = tempfile::tempdir().unwrap();
    let library = tools.path().join("nth.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nth.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(built.is_ok_and(|status| status.success()), "cc could not build tests/nth.c");

    let stride = if std::env::var_os("SEKISHO_SOAK").is_some() { 1 } else { 61 };
    let ways = [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")];
    let mut failed = 0;
    for (way, (done, kill)) in ways.into_iter().enumerate() {
        // Each way begins elsewhere, so that together they take more of the calls.
        let mut nth = way * 15 % stride;
        loop {
            let dir = tempfile::tempdir().unwrap();
            let audit = dir.path().join("audit");
            std::fs::create_dir(&audit).unwrap();
            let told = tools.path().join("told");
            let _ = std::fs::remove_file(&told);
            let environment = [
                ("LD_PRELOAD", library.to_str().unwrap()),
                ("NTH_CALL", &nth.to_string()),
                ("NTH_DONE", done),
                ("NTH_KILL", kill),
                ("NTH_TOLD", told.to_str().unwrap()),
            ];
            let (confirmed, complaint, _) = run(&audit, 40, &environment);
            if !told.exists() {
                assert!(nth > 100, "only {nth} calls: {complaint}");
                break;
            }
            failed += 1;
            let (after, complaint, well) = run(&audit, 3, &[]);
            let what = format!("call {nth}, done: {done}, killed: {kill}");
            assert!(well && after.len() == 6, "{what}: it did not recover: {complaint}");
            verify(&audit);
            let sealed = sealed(&audit);
            assert!(sealed.is_sorted_by(|a, b| a < b), "{what}: twice, or out of order");
            for position in confirmed.iter().chain(&after) {
                assert!(
                    sealed.binary_search(position).is_ok(),
                    "{what}: {position} was confirmed and is not in the log"
                );
            }
            nth += stride;
        }
    }
    println!("{failed} calls failed");
}
