//! The journal on a real file system: locks, damage, reading and following.

use std::fs;
use std::path::Path;

use vocabulary::PersonId;

use crate::history::written::WrittenLog;
use crate::journal::durable::FileSystem;
use crate::journal::frame::{FRAME_HEADER, SEGMENT_HEADER};
use crate::journal::inside;
use crate::journal::recovery::recover;
use crate::journal::sample::{NOON, all, change, request, stranger};
use crate::{AuditError, Decision, End, Filter, Follow, History, Journal, Options, Outcome, Position, Query, Record};

fn open(dir: &Path) -> (Journal, crate::Recovery) {
    Journal::open(dir, Options { segment_bytes: 128 << 10, ..Options::default() }).unwrap()
}

fn segment(dir: &Path) -> std::path::PathBuf {
    crate::journal::reader::segments(dir).unwrap().first().unwrap().1.clone()
}

/// Three changes, each in a batch of its own; the files as a killed process leaves them.
fn killed(dir: &Path) -> Vec<usize> {
    let (journal, _) = open(dir);
    for subject in ["one", "two", "three"] {
        journal.append_blocking(NOON, &change(subject)).unwrap();
    }
    let copy = fs::read(segment(dir)).unwrap();
    journal.close().unwrap();
    fs::write(segment(dir), &copy).unwrap();
    let mut ends = vec![SEGMENT_HEADER + FRAME_HEADER + 8];
    for _ in 0..3 {
        let last = ends[ends.len() - 1];
        ends.push(last + crate::journal::frame::total_length(&copy[last..]));
    }
    ends
}

fn subjects(dir: &Path) -> Vec<String> {
    all(dir)
        .into_iter()
        .map(|entry| match entry.record {
            Record::Change(change) => change.subject,
            other => other.kind().to_owned(),
        })
        .collect()
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    assert!(matches!(Journal::open(dir.path(), Options::default()), Err(AuditError::Locked(_))));
    journal.close().unwrap();
    assert!(Journal::open(dir.path(), Options::default()).is_ok());
}

#[test]
fn a_torn_tail_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let ends = killed(dir.path());
    let mut bytes = fs::read(segment(dir.path())).unwrap();
    // The last record lost its end.
    bytes[ends[3] - 10..ends[3]].fill(0);
    fs::write(segment(dir.path()), &bytes).unwrap();

    let (journal, recovery) = open(dir.path());
    assert_eq!((recovery.clean, recovery.records), (false, 2));
    assert_eq!(recovery.truncated_bytes, (ends[3] - 10 - ends[2]) as u64);
    assert!(recovery.quarantined.is_empty() && recovery.lost.is_empty());
    assert_eq!(fs::metadata(segment(dir.path())).unwrap().len(), ends[2] as u64);
    journal.close().unwrap();
    assert_eq!(subjects(dir.path()), ["one", "two", "recovery"]);
}

#[test]
fn damage_before_good_records_is_kept_for_inspection_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let ends = killed(dir.path());
    let mut bytes = fs::read(segment(dir.path())).unwrap();
    bytes[ends[1] + 40] ^= 1;
    fs::write(segment(dir.path()), &bytes).unwrap();

    let (journal, recovery) = open(dir.path());
    assert_eq!(recovery.lost, [(2, 2)]);
    assert_eq!(recovery.quarantined.len(), 1);
    assert_eq!(fs::read(&recovery.quarantined[0]).unwrap(), bytes);
    journal.close().unwrap();
    assert_eq!(subjects(dir.path()), ["one", "three", "recovery"]);
    let Some(Record::Recovery(told)) = all(dir.path()).pop().map(|entry| entry.record) else { panic!("no recovery") };
    assert_eq!(
        (told.of_boot, told.lost, told.quarantined),
        (1, vec![(2, 2)], vec!["000001-000001.quarantined".to_owned()])
    );

    let (_journal, again) = open(dir.path());
    assert!(again.clean);
    assert_eq!(again.boot, 3);
}

#[test]
fn what_a_start_found_and_did_not_come_to_tell_the_next_one_tells() {
    let dir = tempfile::tempdir().unwrap();
    let ends = killed(dir.path());
    let mut bytes = fs::read(segment(dir.path())).unwrap();
    bytes[ends[1] + 40] ^= 1;
    fs::write(segment(dir.path()), &bytes).unwrap();
    // Brought in order, the next file begun, and killed before anything was written to it.
    recover(&FileSystem, dir.path(), Position { boot: 0, seq: 0 }).unwrap();
    let mut begun = inside::header(2, 1, 5);
    begun.resize(8_192, 0);
    fs::write(dir.path().join(inside::name(2, 1)), begun).unwrap();

    let (journal, recovery) = open(dir.path());
    journal.close().unwrap();
    assert_eq!((recovery.boot, recovery.last_boot, recovery.lost), (3, 1, vec![(2, 2)]));
    let Some(Record::Recovery(told)) = all(dir.path()).pop().map(|entry| entry.record) else { panic!("no recovery") };
    assert_eq!(
        (told.of_boot, told.lost, told.quarantined),
        (1, vec![(2, 2)], vec!["000001-000001.quarantined".to_owned()])
    );
}

#[test]
fn what_a_boot_without_a_record_left_damaged_is_told_however_well_the_one_before_had_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let _ = journal.append_blocking(NOON, &change("one")).unwrap();
    journal.close().unwrap();
    let mut damaged = inside::header(2, 1, 5);
    damaged[3] ^= 1;
    fs::write(dir.path().join(inside::name(2, 1)), &damaged).unwrap();
    // Told by the start that finds it, or by the next one if that is broken off.
    for broken_off in [true, false] {
        let found = match broken_off {
            true => recover(&FileSystem, dir.path(), Position { boot: 0, seq: 0 }).unwrap(),
            false => open(dir.path()).1,
        };
        assert_eq!((found.boot, found.last_boot, found.clean, found.quarantined.len()), (3, 1, false, 1));
    }
    assert_eq!(subjects(dir.path()), ["one", "recovery"]);
}

#[test]
fn records_that_are_sealed_are_not_told_lost() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    fs::write(dir.path().join(inside::name(2, 1)), [1; 100]).unwrap();
    let found = recover(&FileSystem, dir.path(), Position { boot: 2, seq: 500 }).unwrap();
    assert_eq!((found.boot, found.last_boot, found.clean), (3, 2, false));
    assert!(found.lost.is_empty() && found.unconfirmed.is_empty());
}

#[test]
fn a_file_without_its_head_is_kept_for_inspection() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    let mut bytes = fs::read(segment(dir.path())).unwrap();
    bytes[3] ^= 1;
    fs::write(segment(dir.path()), &bytes).unwrap();
    let (_journal, recovery) = open(dir.path());
    assert_eq!((recovery.boot, recovery.clean, recovery.quarantined.len()), (2, false, 1));
}

#[test]
fn what_a_crash_leaves_of_a_file_in_the_making_goes() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    fs::write(dir.path().join("000001-000007"), vec![0; 4096]).unwrap();
    fs::write(dir.path().join("000001-000008"), []).unwrap();
    fs::write(dir.path().join("000001-000001.tmp"), b"half").unwrap();
    fs::write(dir.path().join("notes.txt"), b"not ours").unwrap();
    let (_journal, recovery) = open(dir.path());
    assert_eq!((recovery.truncated_bytes, recovery.quarantined.len()), (0, 0));
    for gone in ["000001-000007", "000001-000008", "000001-000001.tmp"] {
        assert!(!dir.path().join(gone).exists(), "{gone}");
    }
    assert!(dir.path().join("notes.txt").exists());
}

#[test]
fn a_later_format_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    let mut bytes = fs::read(segment(dir.path())).unwrap();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..32]);
    bytes[32..36].copy_from_slice(&crc.to_le_bytes());
    fs::write(segment(dir.path()), &bytes).unwrap();
    assert!(matches!(Journal::open(dir.path(), Options::default()), Err(AuditError::Newer { version: 9, .. })));
    assert!(matches!(crate::journal::reader::tail(dir.path(), None), Err(AuditError::Newer { .. })));
}

/// Two requests, one of them finished, a refusal and a change.
fn various(journal: &Journal) -> [Position; 4] {
    let first = journal.note(&request("/first")).unwrap();
    journal.outcome(first, &Outcome { at: NOON, end: End::DeniedResponse, status: Some(403), ..Outcome::default() });
    let mut late = request("/second");
    late.at = NOON.plus_secs(60);
    let second = journal.note(&late).unwrap();
    let third = journal.note(&stranger("/third")).unwrap();
    [first, second, third, journal.append_blocking(NOON, &change("phone")).unwrap()]
}

#[test]
fn filters_take_what_fits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (journal, _) = open(&path);
    let [first, second, third, fourth] = various(&journal);
    let history = History::new(dir.path());
    let read =
        |query: Query| -> Vec<Position> { history.read(query).unwrap().map(|entry| entry.unwrap().position).collect() };
    let any = Filter::default;
    let fitting = |filter: Filter| read(Query { filter, ..Query::default() });
    assert_eq!(fitting(any()), [first, second, third, fourth]);
    let person = Some(PersonId::new("佐藤.花子").unwrap());
    assert_eq!(fitting(Filter { person, ..any() }), [first, second]);
    assert_eq!(fitting(Filter { person: Some(PersonId::new("phone").unwrap()), ..any() }), [fourth]);
    assert_eq!(fitting(Filter { app: Some("kaipoke".parse().unwrap()), ..any() }), [first, second]);
    assert_eq!(fitting(Filter { from: Some(NOON.plus_secs(60)), ..any() }), [second]);
    assert_eq!(fitting(Filter { to: Some(NOON.plus_secs(60)), ..any() }), [first, third, fourth]);
    assert_eq!(fitting(Filter { decision: Some(Decision::Deny), ..any() }), [first, third]);
    assert_eq!(fitting(Filter { decision: Some(Decision::Permit), ..any() }), [second]);
    assert_eq!(fitting(Filter { kinds: vec!["change".to_owned()], ..any() }), [fourth]);
    assert_eq!(fitting(Filter { position: Some(third), ..any() }), [third]);
    let newest = Query { newest_first: true, limit: Some(2), ..Query::default() };
    assert_eq!(read(newest.clone()), [fourth, third]);
    assert_eq!(read(Query { before: Some(third), ..newest }), [second, first]);
    assert_eq!(read(Query { after: Some(third), ..Query::default() }), [fourth]);

    // The boot goes on, so the second request may too.
    let outcome = |at: usize| all(&path)[at].outcome.as_ref().map(|o| o.end);
    assert_eq!((outcome(0), outcome(1), outcome(2)), (Some(End::DeniedResponse), None, None));
    journal.close().unwrap();
    assert_eq!((outcome(1), outcome(2)), (Some(End::OutcomeUnknown), None));
}

#[test]
fn an_entry_is_one_flat_object() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    various(&journal);
    let json = serde_json::to_value(&all(dir.path())[0]).unwrap();
    assert_eq!((&json["boot"], &json["seq"], &json["v"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!((&json["kind"], &json["person"]), (&"request".into(), &"佐藤.花子".into()));
    assert_eq!((&json["outcome"]["end"], &json["outcome"]["status"]), (&"denied-response".into(), &403.into()));
    assert_eq!(json["at"], NOON.0);
    assert_eq!(json["salt"].as_str().map(str::len), Some(16));
}

#[test]
fn a_follower_sees_what_comes_and_only_that() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(&dir.path().join("journal"));
    journal.append_blocking(NOON, &change("before")).unwrap();
    let mut follow = Follow::from_end(dir.path(), Filter::default()).unwrap();
    assert_eq!(follow.poll().unwrap(), []);

    // Enough to go through several files.
    let long = "/x".repeat(1000);
    let mut expected = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..300 {
        let position = journal.note(&request(&long)).unwrap();
        journal.outcome(position, &Outcome { at: NOON, end: End::Ok, ..Outcome::default() });
        expected.push(position);
    }
    expected.push(journal.append_blocking(NOON, &change("last")).unwrap());
    while seen.len() < expected.len() {
        seen.extend(follow.poll().unwrap());
    }
    assert!(seen[..300].iter().all(|entry| entry.outcome.as_ref().is_some_and(|o| o.end == End::Ok)));
    assert_eq!(seen.into_iter().map(|entry| entry.position).collect::<Vec<_>>(), expected);

    // And over the end of a boot.
    journal.close().unwrap();
    let (journal, _) = open(&dir.path().join("journal"));
    let next = journal.append_blocking(NOON, &change("next boot")).unwrap();
    let next_boot = loop {
        if let Some(entry) = follow.poll().unwrap().pop() {
            break entry;
        }
    };
    assert_eq!(next_boot.position, next);
}

#[test]
fn a_deleted_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    journal.append_blocking(NOON, &change("gone with the file")).unwrap();
    // The one being written and the one written ahead.
    for (_, path) in crate::journal::reader::segments(dir.path()).unwrap() {
        fs::remove_file(path).unwrap();
    }
    let kept = journal.append_blocking(NOON, &change("kept")).unwrap();
    assert_eq!(subjects(dir.path()), ["kept"]);
    assert_eq!((kept.seq, journal.stats().failures > 0), (2, true));
}

/// CPU time of this process so far, in clock ticks of 10 ms.
fn cpu_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
#[ignore = "a measurement, to be run by hand and alone"]
fn measure_the_cost_of_a_request() {
    const EACH: u32 = 2_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for tasks in [1u32, 8, 64] {
        let dir = tempfile::Builder::new().tempdir_in(".").unwrap();
        let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
        let (ticks, began) = (cpu_ticks(), std::time::Instant::now());
        runtime.block_on(async {
            let workers: Vec<_> = (0..tasks)
                .map(|_| {
                    let journal = journal.clone();
                    tokio::spawn(async move {
                        for _ in 0..EACH {
                            let position = journal
                                .intent(&request("/kaipokebiz/various_outputs/HNC096201.do?id=*"))
                                .await
                                .unwrap();
                            let outcome = Outcome { at: NOON, end: End::Ok, status: Some(200), ..Outcome::default() };
                            journal.outcome(position, &outcome);
                        }
                    })
                })
                .collect();
            for worker in workers {
                worker.await.unwrap();
            }
        });
        let requests = u64::from(tasks * EACH);
        let (cpu_us, took) = ((cpu_ticks() - ticks) * 10_000 / requests, began.elapsed());
        let stats = journal.stats();
        println!(
            "{tasks} at once: {cpu_us} µs CPU a request, {} requests/s, {:.1} confirmed per commit, {} µs a commit",
            u128::from(requests) * 1_000_000 / took.as_micros(),
            stats.batch.sum as f64 / stats.commits as f64,
            stats.commit_us.sum / stats.commits,
        );
    }
}

#[test]
fn a_follower_that_fell_behind_the_sealing_reads_on_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    fs::create_dir_all(&journal).unwrap();
    let record = |seq: u64| format!("{{\"v\":1,\"kind\":\"stop\",\"at\":{seq},\"salt\":\"00\",\"cause\":\"{seq}\"}}");
    let write = |number: u32, first: u64, last: u64| {
        let mut bytes = inside::header(1, number, 7);
        bytes.extend(inside::write(1, 7, (128, first, 0), &0i64.to_le_bytes()).unwrap());
        for seq in first..=last {
            bytes.extend(inside::write(1, 7, (1, seq, 0), record(seq).as_bytes()).unwrap());
        }
        fs::write(journal.join(inside::name(1, number)), bytes).unwrap();
    };
    write(1, 1, 3);
    let mut follow = Follow::from_end(dir.path(), Filter::default()).unwrap();
    assert_eq!(follow.poll().unwrap(), []);
    // It looked away, while the rest of the file, all of a second one and the beginning of a third one were written, sealed
    // and removed.
    let leaf = |seq: u64| record(seq).replacen("\"v\":1", &format!("\"v\":1,\"boot\":1,\"seq\":{seq}"), 1) + "\n";
    let leaves: Vec<String> = (1..=9).map(leaf).collect();
    WrittenLog::new(dir.path()).seal(leaves.iter().map(String::as_bytes));
    fs::remove_file(journal.join(inside::name(1, 1))).unwrap();
    write(3, 9, 10);
    let told = |follow: &mut Follow| follow.poll().unwrap().iter().map(|entry| entry.position.seq).collect::<Vec<_>>();
    assert_eq!(told(&mut follow), [4, 5, 6, 7, 8, 9, 10]);
    write(4, 11, 11);
    assert_eq!(told(&mut follow), [11]);
}
