//! Random histories of writes, failures and power losses: whatever was confirmed is read back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use crate::journal::sample::{NOON, all, change, request};
use crate::journal::simulated::{Failing, Simulated};
use crate::{Durability, End, Journal, Options, Outcome, Position, Record};

#[derive(Clone, Debug)]
enum Step {
    /// A change, confirmed by the disk itself.
    Append,
    /// A request that nobody waits for, and its outcome.
    Note,
    FailAppend(Failing),
    FailSync(Failing),
    /// Closed and opened again.
    Reopen,
    /// The process was killed, and is started again.
    Kill,
    /// Power was lost: fates of the sectors that were not synchronised.
    PowerLoss(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let failing = || prop_oneof![Just(Failing::Written), Just(Failing::NotWritten)];
    let step = prop_oneof![
        6 => Just(Step::Append),
        4 => Just(Step::Note),
        1 => failing().prop_map(Step::FailAppend),
        1 => failing().prop_map(Step::FailSync),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        2 => prop::collection::vec(any::<u8>(), 1..8).prop_map(Step::PowerLoss),
    ];
    prop::collection::vec(step, 1..25)
}

fn options() -> Options {
    Options { segment_bytes: 128 << 10, durability: Durability::Strict, ..Options::default() }
}

fn open(disk: &Simulated) -> Journal {
    Journal::open_on(Path::new("journal"), options(), Arc::new(disk.clone())).unwrap().0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn promise_1_whatever_was_confirmed_is_read_back(history in steps()) {
        let mut disk = Simulated::new();
        let mut journal = open(&disk);
        let mut confirmed: BTreeMap<Position, String> = BTreeMap::new();
        let mut noted: BTreeMap<Position, String> = BTreeMap::new();
        let mut uncertain: BTreeMap<Position, String> = BTreeMap::new();
        for (number, step) in history.into_iter().enumerate() {
            match step {
                Step::Append => {
                    let subject = format!("device-{number}");
                    // It may be refused right after a failure; then nothing is promised.
                    if let Ok(position) = journal.append_blocking(NOON, &change(&subject)) {
                        prop_assert!(confirmed.insert(position, subject).is_none());
                        // What was taken in before stands before it.
                        confirmed.append(&mut noted);
                    }
                }
                Step::Note => {
                    let path = format!("/{number}");
                    if let Ok(position) = journal.note(&request(&path)) {
                        journal.outcome(position, &Outcome { at: NOON, end: End::Ok, ..Outcome::default() });
                        prop_assert!(noted.insert(position, path).is_none());
                    }
                }
                Step::FailAppend(failing) => disk.set(|d| d.fail_append = Some(failing)),
                Step::FailSync(failing) => disk.set(|d| d.fail_sync = Some(failing)),
                Step::Reopen => {
                    let written = journal.close().is_ok();
                    if written { &mut confirmed } else { &mut uncertain }.append(&mut noted);
                    journal = open(&disk);
                }
                Step::Kill => {
                    let after = disk.after_kill();
                    drop(journal);
                    disk = after;
                    uncertain.extend(never_given_again(std::mem::take(&mut noted), &disk));
                    journal = open(&disk);
                }
                Step::PowerLoss(fates) => {
                    let mut fates = fates.into_iter().cycle();
                    let after = disk.after_power_loss(|| fates.next().unwrap());
                    prop_assert!(disk.kept_its_distance());
                    drop(journal);
                    disk = after;
                    uncertain.extend(never_given_again(std::mem::take(&mut noted), &disk));
                    journal = open(&disk);
                }
            }
        }
        prop_assert!(disk.kept_its_distance());
        disk.set(|d| (d.fail_append, d.fail_sync) = (None, None));
        journal.close().unwrap();
        confirmed.append(&mut noted);

        let folder = disk.to_folder();
        let read = all(folder.path());
        let found: BTreeMap<Position, String> = read.iter().map(|entry| (entry.position, subject(&entry.record))).collect();
        for (position, subject) in &confirmed {
            prop_assert_eq!(found.get(position), Some(subject));
        }
        // Nothing was made up either, and no number was given out twice.
        for (position, what) in &found {
            let known = confirmed.get(position).or(noted.get(position)).or(uncertain.get(position));
            prop_assert!(
                known.is_none_or(|known| known == what),
                "{position}: {what}, known as {known:?}; found {found:?}, confirmed {confirmed:?}, uncertain {uncertain:?}"
            );
        }
        prop_assert!(read.is_sorted_by_key(|entry| entry.position));
    }
}

/// Those of the numbers that are of a boot that has left something: a boot that left nothing may be given its number again. A gate's
/// first record, that it was started, is on the disk before anybody is answered.
fn never_given_again(noted: BTreeMap<Position, String>, disk: &Simulated) -> BTreeMap<Position, String> {
    let folder = disk.to_folder();
    let boots: BTreeSet<u32> = all(folder.path()).iter().map(|entry| entry.position.boot).collect();
    noted.into_iter().filter(|(position, _)| boots.contains(&position.boot)).collect()
}

fn subject(record: &Record) -> String {
    match record {
        Record::Change(change) => change.subject.clone(),
        Record::Request(request) => request.path.clone(),
        other => other.kind().to_owned(),
    }
}
