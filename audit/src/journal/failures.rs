//! The journal against a disk that is slow, full, broken, or comes back.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::journal::sample::{NOON, all, change, request, stranger};
use crate::journal::simulated::{Failing, Simulated};
use crate::{Durability, End, History, Journal, Options, Outcome, Query, Record, Recovery, Unavailable};

fn open_with(disk: &Simulated, options: Options) -> (Journal, Recovery) {
    Journal::open_on(Path::new("journal"), options, Arc::new(disk.clone())).unwrap()
}

fn open(disk: &Simulated) -> Journal {
    open_with(disk, Options { segment_bytes: 128 << 10, ..Options::default() }).0
}

fn hasty() -> Options {
    Options { commit_timeout: Duration::from_millis(20), segment_bytes: 128 << 10, ..Options::default() }
}

#[tokio::test]
async fn promise_1_a_request_waits_for_the_disk() {
    let disk = Simulated::new();
    let journal = open(&disk);
    disk.set(|d| d.hold = true);
    let record = request("/a");
    let mut intent = pin!(journal.intent(&record));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(intent.as_mut().poll(&mut context), Poll::Pending));
    disk.await_held(1);
    assert!(matches!(intent.as_mut().poll(&mut context), Poll::Pending), "written is not enough");
    disk.set(|d| d.hold = false);
    let position = intent.await.unwrap();
    let after = disk.after_power_loss(|| 0).to_folder();
    assert_eq!(all(after.path())[0].position, position);
}

#[tokio::test]
async fn those_who_wait_while_the_disk_works_share_the_next_commit() {
    let disk = Simulated::new();
    let journal = open(&disk);
    disk.set(|d| d.hold = true);
    let first = tokio::spawn({
        let journal = journal.clone();
        async move { journal.intent(&request("/first")).await }
    });
    tokio::task::yield_now().await;
    disk.await_held(1);
    let others: Vec<_> = (0..40)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.intent(&request("/other")).await })
        })
        .collect();
    tokio::task::yield_now().await;
    disk.set(|d| d.hold = false);
    let mut positions = vec![first.await.unwrap().unwrap()];
    for other in others {
        positions.push(other.await.unwrap().unwrap());
    }
    assert_eq!(positions.iter().map(|p| p.seq).collect::<Vec<_>>(), (1..=41).collect::<Vec<_>>());
    let stats = journal.stats();
    assert_eq!((stats.commits, stats.frames, disk.state().syncs), (2, 41, 2));
    assert_eq!(stats.batch.sum, 41);
}

#[test]
fn a_file_that_failed_is_left_alone_and_its_frames_go_to_a_new_one() {
    for failing in [Failing::Written, Failing::NotWritten] {
        for sync in [true, false] {
            let disk = Simulated::new();
            let journal = open(&disk);
            journal.append_blocking(NOON, &change("one")).unwrap();
            disk.set(|d| if sync { d.fail_sync = Some(failing) } else { d.fail_append = Some(failing) });
            let second = journal.append_blocking(NOON, &change("two")).unwrap();
            assert_eq!(second.seq, 2);
            assert!(disk.kept_its_distance());
            assert_eq!(journal.stats().failures, 1);
            let after = disk.after_power_loss(|| 0).to_folder();
            assert_eq!(all(after.path()).len(), 2, "{failing:?} {sync}");
        }
    }
}

/// Of the failed file the later record survives and the earlier does not; the next file has both.
#[test]
fn what_is_left_of_a_failed_file_hides_nothing_of_the_next() {
    let disk = Simulated::new();
    let journal = open(&disk);
    journal.append_blocking(NOON, &change("one")).unwrap();
    disk.set(|d| d.fail_append = Some(Failing::Written));
    journal.note(&request("/two")).unwrap();
    journal.append_blocking(NOON, &change("three")).unwrap();
    let mut fates = [0, 2].into_iter().cycle();
    let after = disk.after_power_loss(|| fates.next().unwrap());
    let recovery = open_with(&after, hasty()).1;
    assert_eq!((recovery.quarantined.len(), recovery.lost), (1, vec![]));
    let seqs: Vec<_> = all(after.to_folder().path()).iter().map(|e| e.position.seq).take(3).collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[tokio::test]
async fn while_the_disk_refuses_so_does_the_journal_and_it_comes_back_by_itself() {
    let disk = Simulated::new();
    let (journal, _) = open_with(&disk, hasty());
    disk.set(|d| d.down = true);
    assert_eq!(journal.intent(&request("/late")).await, Err(Unavailable::TimedOut));
    assert!(!journal.ready());
    assert_eq!(journal.intent(&request("/refused")).await, Err(Unavailable::Down));
    assert_eq!(journal.append(NOON, &change("refused")).await, Err(Unavailable::Down));

    disk.set(|d| d.down = false);
    while !journal.ready() {
        thread::yield_now();
    }
    journal.intent(&request("/after")).await.unwrap();
    journal.close().unwrap();
    let read = all(disk.to_folder().path());
    let told: Vec<_> = read.iter().map(|e| (path(&e.record), e.outcome.as_ref().unwrap().end)).collect();
    // The one that was given up got to the disk after all: it says of itself that it never left.
    assert_eq!(told, [("/late".to_owned(), End::Refused), ("/after".to_owned(), End::OutcomeUnknown)]);
}

#[tokio::test]
async fn a_disk_that_hangs_is_noticed_though_the_writer_hangs_with_it() {
    let disk = Simulated::new();
    let (journal, _) = open_with(&disk, hasty());
    disk.set(|d| d.hold = true);
    assert_eq!(journal.intent(&request("/late")).await, Err(Unavailable::TimedOut));
    assert!(!journal.ready());
    disk.set(|d| d.hold = false);
    while !journal.ready() {
        thread::yield_now();
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_its_record_is_kept_never_reached_the_saas() {
    let disk = Simulated::new();
    let journal = open(&disk);
    disk.set(|d| d.hold = true);
    {
        let record = request("/left");
        let mut intent = pin!(journal.intent(&record));
        let _ = intent.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        disk.await_held(1);
    }
    disk.set(|d| d.hold = false);
    journal.close().unwrap();
    let read = all(disk.to_folder().path());
    assert_eq!(read[0].outcome.as_ref().unwrap().end, End::Refused);
}

#[tokio::test]
async fn the_last_of_the_disk_is_for_known_people() {
    let disk = Simulated::new();
    disk.set(|d| d.free = 1000);
    let journal = open(&disk);
    while journal.stats().free_bytes.is_none() {
        thread::yield_now();
    }
    assert!(!journal.has_room_for_strangers());
    assert_eq!(journal.note(&stranger("/")), Err(Unavailable::Reserved));
    assert_eq!(journal.intent(&stranger("/")).await, Err(Unavailable::Reserved));
    assert!(journal.intent(&request("/")).await.is_ok());
    assert!(journal.ready());
}

#[test]
fn relaxed_durability_waits_for_the_operating_system_and_changes_for_the_disk() {
    let disk = Simulated::new();
    let options = Options { durability: Durability::Relaxed, segment_bytes: 128 << 10, ..Options::default() };
    let (journal, _) = open_with(&disk, options);
    // As a request waits, without a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    disk.set(|d| d.hold = true);
    runtime.block_on(journal.intent(&request("/a"))).unwrap();
    assert_eq!(all(disk.after_kill().to_folder().path()).len(), 1);
    disk.set(|d| d.hold = false);
    journal.append_blocking(NOON, &change("one")).unwrap();
    assert_eq!(all(disk.after_power_loss(|| 0).to_folder().path()).len(), 2);
}

#[test]
fn outcomes_and_notes_are_written_though_nobody_waits() {
    let disk = Simulated::new();
    let journal = open(&disk);
    let position = journal.note(&request("/a")).unwrap();
    journal.outcome(position, &Outcome { at: NOON, end: End::Ok, status: Some(200), ..Outcome::default() });
    while journal.stats().frames < 2 {
        thread::yield_now();
    }
    let read = all(disk.after_power_loss(|| 0).to_folder().path());
    assert_eq!(read[0].outcome.as_ref().unwrap().status, Some(200));
}

#[test]
fn files_follow_one_another_without_a_gap() {
    let disk = Simulated::new();
    let journal = open(&disk);
    let long = "/x".repeat(1000);
    let expected: Vec<_> = (0..400).map(|_| journal.note(&request(&long)).unwrap()).collect();
    journal.close().unwrap();
    let folder = disk.to_folder();
    assert!(crate::journal::reader::segments(folder.path()).unwrap().len() > 3);
    let read: Vec<_> = all(folder.path()).into_iter().map(|entry| entry.position).collect();
    assert_eq!(read, expected);
}

#[test]
fn a_clean_end_is_told_from_a_kill_and_a_boot_is_never_repeated() {
    let disk = Simulated::new();
    let (journal, first) = open_with(&disk, hasty());
    assert_eq!((first.boot, first.clean, first.newest), (1, true, None));
    journal.append_blocking(NOON, &change("one")).unwrap();
    journal.close().unwrap();

    let (journal, second) = open_with(&disk, hasty());
    assert_eq!((second.boot, second.clean, second.newest, second.records), (2, true, Some(NOON), 1));
    assert_eq!(journal.newest(), NOON);
    journal.append_blocking(NOON.plus_secs(5), &change("two")).unwrap();

    let killed = disk.after_kill();
    let (journal, third) = open_with(&killed, hasty());
    assert_eq!((third.boot, third.clean, third.newest), (3, false, Some(NOON.plus_secs(5))));
    journal.close().unwrap();
    let kinds: Vec<_> = all(killed.to_folder().path()).iter().map(|e| e.record.kind().to_owned()).collect();
    assert_eq!(kinds, ["change", "change", "recovery"]);
}

#[test]
fn a_closed_journal_takes_nothing() {
    let disk = Simulated::new();
    let journal = open(&disk);
    let other = journal.clone();
    journal.close().unwrap();
    assert_eq!(other.append_blocking(NOON, &change("one")), Err(Unavailable::Closed));
    assert!(!other.ready());
}

#[test]
fn closing_a_journal_whose_disk_refuses_ends_and_says_so() {
    let disk = Simulated::new();
    let journal = open(&disk);
    journal.note(&request("/a")).unwrap();
    disk.set(|d| d.down = true);
    assert!(journal.close().is_err());
}

#[test]
fn nothing_longer_than_a_journal_takes_is_taken() {
    let disk = Simulated::new();
    let journal = open(&disk);
    assert_eq!(journal.append_blocking(NOON, &change(&"x".repeat(70_000))), Err(Unavailable::TooLong));
    let endless = "/x".repeat(50_000);
    assert!(journal.note(&request(&endless)).is_ok(), "a path is cut, not refused");
    assert!(History::new(Path::new("/nowhere")).read(Query::default()).is_err());
}

fn path(record: &Record) -> String {
    match record {
        Record::Request(request) => request.path.clone(),
        other => other.kind().to_owned(),
    }
}
