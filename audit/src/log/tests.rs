//! Sealing, against files that fail and lose power: the same records become the same leaves, once, in order, and no
//! checkpoint that anybody could have read is ever contradicted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use vocabulary::{Timestamp, Zone};

use super::files::{Files, OnDisk};
use super::keeping::overdue;
use super::leaf;
use super::note::{Checkpoint, SigningKey};
use super::plan::sealed_in;
use super::retention;
use super::sealer::SealOptions;
use super::simulated::{Failing, Simulated};
use super::tiles::{LogFolder, tile_path};
use super::tree::{Hash, TILE_WIDTH};
use super::work::{Parts, Work, journal_dir, log_dir};
use crate::journal::sample::{NOON, change, request, stranger};
use crate::{AuditError, End, Journal, Options, Outcome, Position, inside, json};

fn small() -> Options {
    Options { segment_bytes: 128 << 10, ..Options::default() }
}

fn options(batch: usize) -> SealOptions {
    SealOptions { patience: Duration::ZERO, batch, ..SealOptions::default() }
}

fn keys() -> Vec<SigningKey> {
    vec![SigningKey::new("gw.example/audit", &[7; 32]).unwrap()]
}

fn ended() -> Outcome {
    Outcome { at: Timestamp(NOON.0 + 1_000), end: End::Ok, status: Some(200), bytes_out: 5_120, ..Outcome::default() }
}

/// Requests with their outcomes at once, later, or never; changes and strangers in between.
fn write_some(journal: &Journal, many: usize) {
    let mut later = Vec::new();
    for i in 0..many {
        match i % 7 {
            3 => _ = journal.append_blocking(NOON, &change("device")).unwrap(),
            5 => _ = journal.note(&stranger("/nothing")).unwrap(),
            _ => {
                let position = journal.note(&request(&format!("/records/{i}"))).unwrap();
                match i % 5 {
                    0 => later.push(position),
                    1 => {}
                    _ => journal.outcome(position, &ended()),
                }
            }
        }
        if i % 50 == 49 {
            later.drain(..).for_each(|position| journal.outcome(position, &ended()));
        }
    }
    let _ = journal.append_blocking(NOON, &change("last")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// A folder whose journal holds two boots, the first of which was killed.
fn two_boots(many: usize) -> tempfile::TempDir {
    let first = tempfile::tempdir().unwrap();
    let journal = Journal::open(&journal_dir(first.path()), small()).unwrap().0;
    write_some(&journal, many);
    let dir = tempfile::tempdir().unwrap();
    copy(&journal_dir(first.path()), &journal_dir(dir.path()));
    drop(journal);
    let journal = Journal::open(&journal_dir(dir.path()), small()).unwrap().0;
    write_some(&journal, many / 3);
    journal.close().unwrap();
    dir
}

const ALL: Position = Position { boot: u32::MAX, seq: 0 };

fn open(audit: &Path, files: &Arc<dyn Files>, batch: usize) -> Result<Work, AuditError> {
    Work::open(Parts::new(audit, files.clone(), keys(), options(batch)), ALL)
}

/// Seals everything, beginning anew after each failure as the thread does.
fn seal_all(audit: &Path, files: &Arc<dyn Files>, batch: usize, mut failed: impl FnMut(&AuditError)) {
    let mut work = None;
    for _ in 0..1_000 {
        let done = match &mut work {
            None => open(audit, files, batch).map(|opened| {
                work = Some(opened);
                1
            }),
            Some(work) => work.seal(ALL, true, NOON),
        };
        match done {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                failed(&error);
                work = None;
            }
        }
    }
    panic!("it does not come to an end");
}

/// All leaves of the log, checked against its tiles and its checkpoint.
fn leaves(log: &Path) -> Vec<Vec<u8>> {
    let folder = LogFolder::new(log);
    let Some(checkpoint) = folder.checkpoint().unwrap() else { return Vec::new() };
    keys()[0].verifier().verify(&checkpoint).unwrap();
    let size = checkpoint.size;
    let mut all = Vec::new();
    for index in 0..size.div_ceil(TILE_WIDTH) {
        let bundle = folder.bundle(index, size).unwrap();
        let hashes: Vec<Hash> = bundle.iter().map(|(_, leaf)| Hash::leaf(leaf)).collect();
        assert_eq!(hashes, folder.tile(0, index, size).unwrap());
        all.extend(bundle.iter().map(|(_, leaf)| leaf.to_vec()));
    }
    assert_eq!(all.len() as u64, size);
    assert_eq!(naive_root(&all), checkpoint.root);
    assert_eq!(folder.hashes(size).root_at(size).unwrap(), checkpoint.root);
    all
}

/// The same by the verifier, which shares no code with the writer; `kept`: checkpoints that somebody kept.
fn verify(audit: &Path, kept: &[String]) -> audit_verify::Report {
    let log = log_dir(audit);
    let mut verifier = audit_verify::Keys::default();
    verifier.add_log(&keys()[0].verifier().to_string()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |(number, note): (usize, &String)| {
        let path = folder.path().join(number.to_string());
        std::fs::write(&path, note).unwrap();
        path
    };
    let kept = kept.iter().enumerate().map(write).collect();
    let options =
        audit_verify::LogOptions { folder: log, keys: verifier, kept, jobs: 1, strict: true, ..Default::default() };
    audit_verify::verify_log(&options, &|_, _| ()).unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// RFC 6962, 2.1.
fn naive_root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => Hash::empty(),
        [leaf] => Hash::leaf(leaf),
        more => {
            let (left, right) = more.split_at(1 << (more.len() - 1).ilog2());
            Hash::node(naive_root(left), naive_root(right))
        }
    }
}

/// The rules 1 and 2 of FORMAT.md.
fn assert_no_gap(leaves: &[Vec<u8>]) {
    let mut numbers: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    let mut last = Position { boot: 0, seq: 0 };
    for leaf in leaves {
        let leaf::Head { position, outcome_seq: outcome, .. } = leaf::head(leaf).unwrap();
        assert!(last < position, "{last} before {position}");
        last = position;
        let numbers = numbers.entry(position.boot).or_default();
        for seq in [Some(position.seq), outcome].into_iter().flatten() {
            assert!(numbers.insert(seq), "{seq} twice");
        }
    }
    for numbers in numbers.values() {
        assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&(numbers.len() as u64))));
    }
}

fn on_disk() -> Arc<dyn Files> {
    Arc::new(OnDisk)
}

#[test]
fn everything_is_sealed_once_in_order_with_its_end() {
    let dir = two_boots(700);
    let files_before = journal_files(dir.path());
    seal_all(dir.path(), &on_disk(), 300, |error| panic!("{error}"));
    let leaves = leaves(&log_dir(dir.path()));
    assert_no_gap(&leaves);
    let texts: Vec<String> = leaves.into_iter().map(|leaf| String::from_utf8(leaf).unwrap()).collect();
    let count = |what: &str| texts.iter().filter(|leaf| leaf.contains(what)).count();
    // Of the killed boot and of the closed one alike.
    assert_eq!(count("\"path\":\"/records/"), 500 + 167);
    assert!(count("\"kind\":\"recovery\"") == 1 && count("\"kind\":\"outcome\"") == 0);
    assert!(count("\"outcome_seq\":") > 300 && count("\"end\":\"outcome-unknown\"") > 100);
    assert!(texts.iter().all(|leaf| leaf.ends_with("}\n") && leaf.matches('\n').count() == 1));
    // Only the last file is needed: it tells the next boot's number.
    assert!(files_before > 3, "{files_before}");
    assert_eq!(journal_files(dir.path()), 1);
    let (next, recovery) = Journal::open(&journal_dir(dir.path()), small()).unwrap();
    assert_eq!((next.boot(), recovery.clean), (3, true));
}

fn journal_files(audit: &Path) -> usize {
    super::sealer::journal_files(audit)
}

#[test]
fn what_still_goes_on_is_sealed_open_and_its_end_follows() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&journal_dir(dir.path()), small()).unwrap().0;
    let position = journal.note(&request("/stream")).unwrap();
    let _ = journal.append_blocking(NOON, &change("one")).unwrap();
    let mut work = Work::open(
        Parts::new(dir.path(), on_disk(), keys(), SealOptions { patience: Duration::from_secs(3_600), ..options(9) }),
        ALL,
    )
    .unwrap();
    assert_eq!(work.seal(journal.durable(), false, NOON).unwrap(), 0, "its outcome is waited for");
    let mut work = open(dir.path(), &on_disk(), 9).unwrap();
    assert_eq!(work.seal(journal.durable(), false, NOON).unwrap(), 2);
    journal.outcome(position, &ended());
    let _ = journal.append_blocking(NOON, &change("two")).unwrap();
    assert_eq!(work.seal(journal.durable(), false, NOON).unwrap(), 2);
    let leaves = leaves(&log_dir(dir.path()));
    assert_no_gap(&leaves);
    let end = String::from_utf8(leaves[2].clone()).unwrap();
    assert!(end.contains("\"kind\":\"outcome\"") && end.contains("\"of\":[1,1],\"end\":\"ok\""), "{end}");
}

/// A journal whose first boot holds these numbers alone, and was followed by another one.
fn with_numbers(numbers: impl IntoIterator<Item = u64>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut payload = Vec::new();
    json::request(&mut payload, &request("/records")).unwrap();
    let mut file = inside::header(1, 1, 7);
    for (place, seq) in numbers.into_iter().enumerate() {
        if place == 0 {
            file.extend(inside::write(1, 7, (128, seq, 0), &NOON.0.to_le_bytes()).unwrap());
        }
        file.extend(inside::write(1, 7, (1, seq, 0), &payload).unwrap());
    }
    std::fs::create_dir_all(journal_dir(dir.path())).unwrap();
    std::fs::write(journal_dir(dir.path()).join(inside::name(1, 1)), file).unwrap();
    let journal = Journal::open(&journal_dir(dir.path()), small()).unwrap().0;
    write_some(&journal, 10);
    journal.close().unwrap();
    dir
}

#[test]
fn what_stands_behind_a_long_gap_is_sealed_and_the_gap_is_told() {
    for numbers in [
        vec![1..=5, 300_001..=300_010],
        vec![1..=5, 140_000..=140_010],
        vec![1..=5, 131_000..=135_000],
        vec![300_001..=300_010],
        vec![1..=1, 400_000..=400_001, 900_000..=900_001],
    ] {
        let numbers: Vec<u64> = numbers.into_iter().flatten().collect();
        let dir = with_numbers(numbers.iter().copied());
        seal_all(dir.path(), &on_disk(), 1_000, |error| panic!("{error}"));
        let leaves = leaves(&log_dir(dir.path()));
        let of_boot: Vec<u64> = leaves
            .iter()
            .map(|leaf| leaf::head(leaf).unwrap().position)
            .filter(|position| position.boot == 1)
            .map(|position| position.seq)
            .collect();
        assert!(of_boot == numbers, "{} of {}", of_boot.len(), numbers.len());
        verify(dir.path(), &[]);
        if numbers.len() > 20 {
            continue;
        }
        // Broken off anywhere, it goes on from its plan.
        for at in 0.. {
            let again = tempfile::tempdir().unwrap();
            copy(&with_numbers(numbers.iter().copied()).path().join("journal"), &journal_dir(again.path()));
            let disk = Simulated::default();
            disk.fail_at(at, Failing::NotDone, true);
            let mut failed = false;
            seal_all(again.path(), &(Arc::new(disk.clone()) as Arc<dyn Files>), 3, |error| {
                assert!(matches!(error, AuditError::Io { .. }), "{error}");
                disk.restart(None);
                failed = true;
            });
            disk.write_out();
            assert_eq!(self::leaves(&log_dir(again.path())).len(), leaves.len(), "step {at}");
            if !failed {
                break;
            }
        }
    }
}

#[test]
fn a_number_that_is_missing_in_a_boot_that_goes_on_is_told() {
    let dir = with_numbers([1, 2, 5]);
    for (_, path) in crate::journal::reader::segments(&journal_dir(dir.path())).unwrap().into_iter().skip(1) {
        std::fs::remove_file(path).unwrap();
    }
    let mut work = open(dir.path(), &on_disk(), 100).unwrap();
    assert_eq!(work.seal(ALL, false, NOON).unwrap(), 2);
    assert_eq!(work.seal(ALL, false, NOON).unwrap(), 0);
    let problem = work.parts.shared.told().problem.clone().unwrap();
    assert!(problem.contains("record 3 of boot 1 is missing"), "{problem}");
}

#[test]
fn behind_a_gap_no_request_is_waited_for() {
    let dir = with_numbers([2, 400_000, 400_001, 900_000, 900_001]);
    let options = SealOptions { patience: Duration::from_secs(3_600), ..options(1_000) };
    let mut work = Work::open(Parts::new(dir.path(), on_disk(), keys(), options), ALL).unwrap();
    while work.seal(ALL, false, NOON).unwrap() > 0 {}
    let of_boot = |leaf: &Vec<u8>| leaf::head(leaf).unwrap().position.boot == 1;
    assert_eq!(leaves(&log_dir(dir.path())).iter().filter(|leaf| of_boot(leaf)).count(), 5);
    verify(dir.path(), &[]);
}

#[test]
fn nothing_that_is_not_on_the_disk_is_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let journal =
        Journal::open(&journal_dir(dir.path()), Options { durability: crate::Durability::Relaxed, ..small() })
            .unwrap()
            .0;
    let one = journal.append_blocking(NOON, &change("one")).unwrap();
    let mut work = open(dir.path(), &on_disk(), 9).unwrap();
    // Written, but for all that is known not synchronised.
    assert_eq!(work.seal(Position { seq: 0, ..one }, false, NOON).unwrap(), 0);
    assert_eq!(work.seal(journal.durable(), false, NOON).unwrap(), 1);
}

/// Every step of a run fails once, done or not done, and the process goes on, is killed, or loses power.
#[test]
fn whatever_fails_the_log_comes_out_the_same() {
    let template = two_boots(330);
    let run = |at: Option<(usize, Failing, bool)>, power: Option<u64>| {
        let dir = tempfile::tempdir().unwrap();
        copy(&journal_dir(template.path()), &journal_dir(dir.path()));
        let disk = Simulated::default();
        if let Some((at, failing, kill)) = at {
            disk.fail_at(at, failing, kill);
        }
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let mut state = power.unwrap_or(1);
        let mut coin = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 63 == 1
        };
        seal_all(dir.path(), &files, 130, |error| {
            assert!(matches!(error, AuditError::Io { .. }), "{error}");
            disk.restart(if power.is_some() { Some(&mut coin) } else { None });
        });
        disk.write_out();
        let all = leaves(&log_dir(dir.path()));
        let kept: Vec<String> = disk.checkpoints().into_iter().collect();
        assert_eq!(verify(dir.path(), &kept).to, all.len() as u64);
        for note in kept {
            let seen = Checkpoint::parse(&note).unwrap();
            let size = usize::try_from(seen.size).unwrap();
            assert_eq!(seen.root, naive_root(&all[..size]), "{at:?} {power:?}: a checkpoint of {size} is contradicted");
        }
        (all, disk.steps())
    };
    let (expected, steps) = run(None, None);
    assert_no_gap(&expected);
    assert!(steps > 60, "{steps}");
    for at in 0..steps {
        for failing in [Failing::Done, Failing::NotDone] {
            for (kill, power) in [(false, None), (true, None), (true, Some(at as u64)), (true, Some(at as u64 + 1_000))]
            {
                let (found, _) = run(Some((at, failing, kill)), power);
                // Of the recovery record only the salt differs between journals, and the journal is the same here.
                assert!(found == expected, "step {at}, {failing:?}, killed: {kill}, power: {power:?}");
            }
        }
    }
}

/// What a stranger or an operator did to the files behind our back stops the sealing, with words that say where.
#[test]
fn a_log_that_was_changed_is_not_added_to() {
    let template = two_boots(300);
    let sealed = |change: &dyn Fn(&Simulated, PathBuf)| {
        let dir = tempfile::tempdir().unwrap();
        copy(&journal_dir(template.path()), &journal_dir(dir.path()));
        let disk = Simulated::default();
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let mut work = open(dir.path(), &files, 100).unwrap();
        work.seal(ALL, true, NOON).unwrap();
        work.seal(ALL, true, NOON).unwrap();
        change(&disk, dir.path().to_owned());
        open(dir.path(), &files, 200).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(sealed(&|_, _| ()), Ok(()));
    let log = |audit: &Path, name: &str| log_dir(audit).join(name);
    let wrong = |change: &dyn Fn(&Simulated, PathBuf), words: &str| {
        let error = sealed(change).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    wrong(&|disk, dir| disk.change(&log(&dir, &tile_path(0, 0, 200)), |tile| tile[40] ^= 1), "they were changed");
    wrong(&|disk, dir| disk.change(&log(&dir, "checkpoint"), |note| note[20] ^= 1), "checkpoint does not fit the log");
    wrong(&|disk, dir| disk.remove(&log(&dir, &tile_path(0, 0, 200))).unwrap(), "it is missing");
    wrong(&|disk, dir| disk.remove(&log(&dir, "checkpoint")).unwrap(), "it was put back to an older state");
    wrong(&|disk, dir| disk.remove(&dir.join("sealing.json")).unwrap(), "it is missing, but 200 records were sealed");
    let other: Vec<SigningKey> = vec![SigningKey::new("gw.example/audit", &[8; 32]).unwrap()];
    let signed = Checkpoint::sign(&other, 200, Hash::empty());
    wrong(
        &|disk, dir| disk.change(&log(&dir, "checkpoint"), |note| *note = signed.as_str().into()),
        "no signature in it is of the log's key",
    );
}

#[test]
fn partial_files_go_once_the_full_one_is_there_and_a_day_leaves_its_head() {
    let dir = two_boots(700);
    let disk = Simulated::default();
    let files: Arc<dyn Files> = Arc::new(disk.clone());
    let mut work = open(dir.path(), &files, 150).unwrap();
    work.seal(ALL, true, NOON).unwrap();
    let log = log_dir(dir.path());
    assert!(disk.has(&log.join("tile/0/000.p/150")) && disk.has(&log.join("tile/entries/000.p/150")));
    work.seal(ALL, true, NOON.plus_secs(86_400)).unwrap();
    assert!(!disk.has(&log.join("tile/0/000.p/150")) && !disk.has(&log.join("tile/entries/000.p/150")));
    assert!(disk.has(&log.join("tile/0/001.p/44")) && disk.has(&log.join("tile/1/000.p/1")));
    let head = disk.read(&log.join("heads/2026-11-01")).unwrap().unwrap();
    assert_eq!(Checkpoint::parse(std::str::from_utf8(&head).unwrap()).unwrap().size, 150);
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Seal(usize),
    FailAt(usize, Failing, bool, Option<u64>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1usize..80).prop_map(Step::Write),
        3 => (1usize..400).prop_map(Step::Seal),
        1 => (0usize..40, any::<bool>(), any::<bool>(), prop::option::of(any::<u64>())).prop_map(|(at, done, kill, power)| {
            Step::FailAt(at, if done { Failing::Done } else { Failing::NotDone }, kill, power)
        }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Random histories of writing, sealing, failing and starting anew: the log has the naive tree's root, no gap, and
    /// contradicts no checkpoint that was ever there.
    #[test]
    fn random_histories_end_in_a_log_without_gap(history in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let disk = Simulated::default();
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let mut journal = Journal::open(&journal_dir(dir.path()), small()).unwrap().0;
        let mut work = None;
        let mut loss = None;
        for step in history {
            match step {
                Step::Write(many) => write_some(&journal, many),
                Step::FailAt(after, failing, kill, power) => {
                    disk.fail_at(disk.steps() + after, failing, kill);
                    loss = power;
                }
                Step::Seal(batch) => {
                    let live = journal.durable();
                    let parts = || Parts::new(dir.path(), files.clone(), keys(), options(batch));
                    let mut current = match work.take() {
                        Some(work) => Some(work),
                        None => Work::open(parts(), live).ok(),
                    };
                    let sealed = current.as_mut().map(|work| work.seal(live, false, NOON));
                    if let Some(Ok(_)) = sealed {
                        work = current;
                    } else {
                        let mut state = loss.unwrap_or(1);
                        let mut coin = || { state = state.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15); state >> 63 == 1 };
                        disk.restart(if loss.take().is_some() { Some(&mut coin) } else { None });
                    }
                }
                Step::Reopen => {
                    journal.close().unwrap();
                    let sealed = sealed_in(&*files, dir.path()).unwrap();
                    journal = Journal::open(&journal_dir(dir.path()), Options { sealed, ..small() }).unwrap().0;
                }
            }
        }
        journal.close().unwrap();
        disk.restart(None);
        seal_all(dir.path(), &files, 1_000, |error| panic!("{error}"));
        disk.write_out();
        let all = leaves(&log_dir(dir.path()));
        assert_no_gap(&all);
        if !all.is_empty() {
            let kept: Vec<String> = disk.checkpoints().into_iter().collect();
            prop_assert_eq!(verify(dir.path(), &kept).to, all.len() as u64);
        }
        for note in disk.checkpoints() {
            let seen = Checkpoint::parse(&note).unwrap();
            prop_assert_eq!(seen.root, naive_root(&all[..usize::try_from(seen.size).unwrap()]));
        }
    }
}

/// What is over goes in whole bundles, after the record of it; the tree can still be computed from what stays.
#[test]
fn months_that_are_over_are_dropped_and_the_tree_stays() {
    let dir = two_boots(900);
    seal_all(dir.path(), &on_disk(), 500, |error| panic!("{error}"));
    let log = LogFolder::new(&log_dir(dir.path()));
    let work = |keep_months| {
        let options = SealOptions { keep_months, ..options(500) };
        Work::open(Parts::new(dir.path(), on_disk(), keys(), options), ALL).unwrap()
    };
    let due = |work: &Work, now| {
        let log = work.folder();
        let mut look = work.look_for_due(now).unwrap().unwrap();
        while look.go_on(&log).unwrap() {}
        look.found(&log, now).unwrap()
    };
    // All is of November 2026.
    let december = NOON.plus_secs(31 * 86_400);
    assert_eq!(due(&work(1), december), None);
    assert_eq!(overdue(&log, &Zone::UTC, 1, december).unwrap(), None);
    let known = overdue(&log, &Zone::UTC, 1, december.plus_secs(31 * 86_400)).unwrap().unwrap();
    assert_eq!((known.months, known.before.to_string().as_str()), (1, "2026-12-01T00:00:00.000000Z"));
    // A clock that is wrong, by months or by years, before the log has gone by it for a week.
    let january = december.plus_secs(31 * 86_400);
    for ahead in [0, 1, 60] {
        assert_eq!(due(&work(1), january.plus_secs(ahead * 31 * 86_400)), None);
    }
    let later = |at| {
        let journal = Journal::open(&journal_dir(dir.path()), small()).unwrap().0;
        let _ = journal.append_blocking(at, &change("later")).unwrap();
        journal.close().unwrap();
        seal_all(dir.path(), &on_disk(), 500, |error| panic!("{error}"));
    };
    later(january.plus_secs(-6 * 86_400));
    assert_eq!(due(&work(1), january), None);
    later(january.plus_secs(-2 * 86_400));
    let now = january.plus_secs(2 * 86_400);
    let mut work = work(1);
    let due_now = due(&work, now).unwrap();
    let checkpoint = log.checkpoint().unwrap().unwrap();
    let full = checkpoint.size / TILE_WIDTH * TILE_WIDTH;
    let record = &due_now.record;
    assert_eq!((record.dropped_to, record.before.to_string().as_str()), (full, "2026-12-01T00:00:00.000000Z"));
    assert_eq!(record.root, log.hashes(checkpoint.size).root_at(full).unwrap().to_string());
    work.begin_to_drop(&due_now).unwrap();
    // Broken off after some of it, the rest goes before it is looked for anew.
    let (all, now_is) = (0..full / TILE_WIDTH, std::time::Instant::now());
    assert_eq!(work.remove_dropped(all.clone(), now_is).unwrap(), all);
    retention::remove(&*on_disk(), &log, 0).unwrap();
    assert!(log.bundle(1, checkpoint.size).is_ok());
    assert_eq!(work.left_over().unwrap(), Some(1..all.end));
    assert!(work.remove_dropped(1..all.end, now_is + Duration::from_secs(600)).unwrap().is_empty());
    assert_eq!(work.left_over().unwrap(), None);
    assert_eq!(due(&work, now), None, "what is left is not a whole bundle");

    assert_eq!(log.minimum_index().unwrap(), full);
    assert!(log.bundle(0, checkpoint.size).is_err() && log.tile(0, 0, checkpoint.size).is_err());
    assert!(!log.bundle(full / TILE_WIDTH, checkpoint.size).unwrap().is_empty());
    assert_eq!(log.hashes(checkpoint.size).root_at(checkpoint.size).unwrap(), checkpoint.root);
    // The running gate records it before.
    let journal = Journal::open(&journal_dir(dir.path()), small()).unwrap().0;
    let record = crate::Record::Retention(due_now.record);
    let _ = journal.append_blocking(now, &record).unwrap();
    journal.close().unwrap();
    seal_all(dir.path(), &on_disk(), 500, |error| panic!("{error}"));
    assert_eq!(verify(dir.path(), &[checkpoint.as_str().to_owned()]).dropped, full);
    let dropped = crate::History::new(dir.path()).dropped().unwrap().unwrap();
    assert_eq!((dropped.below, dropped.before), (full, Some(known.before)));
}
