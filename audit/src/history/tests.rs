//! Reading through all three layers.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::model::{Happened, PEOPLE, filters, tokyo};
use super::written::WrittenLog;
use super::{History, Query, Sort, Step};
use crate::{AuditError, Entry, Filter, Index, Position};

fn read(history: &History, query: Query) -> Vec<Entry> {
    history.read(query).unwrap().collect::<Result<_, _>>().unwrap()
}

fn everything(audit: &Path) -> Vec<Entry> {
    read(&History::new(audit), Query::default())
}

/// Page by page, each beginning where the one before ended.
fn paged(history: &History, filter: &Filter, newest_first: bool, limit: usize) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let last = all.last().map(|entry| entry.position);
        let (after, before) = if newest_first { (None, last) } else { (last, None) };
        let query = Query { filter: filter.clone(), after, before, newest_first, limit: Some(limit) };
        let page = read(history, query);
        let full = page.len() == limit;
        all.extend(page);
        if !full {
            return all;
        }
    }
}

fn positions(entries: &[Entry]) -> Vec<Position> {
    entries.iter().map(|entry| entry.position).collect()
}

fn check(happened: &Happened, audit: &Path, filter: &Filter, limit: usize) -> Result<(), TestCaseError> {
    let history = History::new(audit);
    let mut expected = happened.expected(filter);
    let all = read(&history, Query { filter: filter.clone(), ..Query::default() });
    prop_assert_eq!(positions(&all), positions(&expected));
    prop_assert_eq!(&all, &expected);
    prop_assert_eq!(positions(&paged(&history, filter, false, limit)), positions(&expected));
    expected.reverse();
    let all = read(&history, Query { filter: filter.clone(), newest_first: true, ..Query::default() });
    prop_assert_eq!(&all, &expected);
    prop_assert_eq!(positions(&paged(&history, filter, true, limit)), positions(&expected));
    // In short they are the same, with the index and without.
    let short: Vec<_> = expected.iter().filter_map(Step::of).collect();
    let query = Query { filter: filter.clone(), newest_first: true, ..Query::default() };
    let steps: Vec<_> = history.steps(query).unwrap().collect::<Result<_, _>>().unwrap();
    if filter.takes_kind("request") {
        prop_assert_eq!(&steps, &short);
    }
    if let Some(entry) = expected.get(limit % expected.len().max(1)) {
        let only = Filter { position: Some(entry.position), ..filter.clone() };
        let found = read(&history, Query { filter: only, ..Query::default() });
        prop_assert_eq!(&found, std::slice::from_ref(entry));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn each_record_is_found_once_wherever_it_lies(
        seed: u64, many in 1usize..300, filter in filters(), (kept, sealed, indexed) in any::<[prop::sample::Index; 3]>().prop_map(|[a, b, c]| (a, b, c)),
        part in 1usize..80, limit in 1usize..40,
    ) {
        let happened = Happened::by_chance(seed, many);
        let dir = tempfile::tempdir().unwrap();
        let many = happened.len() + 1;
        happened.lay_out(dir.path(), (kept.index(many), sealed.index(many), indexed.index(many)), part);
        check(&happened, dir.path(), &filter, limit)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Blocks, bundles and months enough that some are skipped.
    #[test]
    fn each_record_of_many_is_found_once(
        seed: u64, many in 2_000usize..6_000, all in prop::collection::vec(filters(), 5), unsealed in 0usize..200,
        unindexed in prop::sample::select(&[0usize, 0, 7, 700, 6_000][..]), limit in 20usize..400,
    ) {
        let happened = Happened::by_chance(seed, many);
        let dir = tempfile::tempdir().unwrap();
        let sealed = happened.len() - unsealed;
        let leaves = happened.leaves(sealed).len();
        happened.lay_out(dir.path(), (sealed.saturating_sub(300), sealed, leaves.saturating_sub(unindexed)), 500);
        for filter in all {
            check(&happened, dir.path(), &filter, limit)?;
        }
    }

    #[test]
    fn sorting_takes_what_reading_takes(seed: u64, filter in filters(), limit in 1usize..50, descending: bool) {
        let happened = Happened::by_chance(seed, 400);
        let dir = tempfile::tempdir().unwrap();
        happened.lay_out(dir.path(), (300, 350, 300), 100);
        let history = History::new(dir.path());
        let mut all = positions(&happened.expected(&filter));
        all.sort_unstable();
        for (_, by) in Sort::ALL {
            let query = Query { filter: filter.clone(), ..Query::default() };
            let sorted = history.sorted(query.clone(), by, descending).unwrap();
            let page = history.sorted(Query { limit: Some(limit), ..query }, by, descending).unwrap();
            prop_assert_eq!(&page[..], &sorted[..limit.min(sorted.len())]);
            let mut there = positions(&sorted);
            there.sort_unstable();
            prop_assert_eq!(&there, &all);
        }
    }
}

fn index_files(audit: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(audit).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "db")).collect();
    files.sort();
    files
}

fn catch_up(audit: &Path, size: u64) -> Index {
    let mut index = Index::open(audit, tokyo()).unwrap();
    let reached = index.catch_up(&History::new(audit).log(), size, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(reached, size);
    index
}

/// Everything sealed and indexed, over several months.
fn several_months(audit: &Path) -> (Happened, u64) {
    let happened = Happened::by_chance(7, 3_000);
    happened.lay_out(audit, (happened.len(), happened.len(), usize::MAX), 900);
    assert!(index_files(audit).len() >= 3, "{:?}", index_files(audit));
    let size = happened.leaves(happened.len()).len() as u64;
    (happened, size)
}

#[test]
fn a_deleted_or_damaged_index_is_made_anew_and_meanwhile_nothing_is_missing() {
    let any = Filter::default();
    let by_person = Filter { person: Some(PEOPLE[0].parse().unwrap()), failed: true, ..Filter::default() };
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("the first is gone", |audit| fs::remove_file(&index_files(audit)[0]).unwrap()),
        ("one in the middle is gone", |audit| fs::remove_file(&index_files(audit)[1]).unwrap()),
        ("all are gone", |audit| index_files(audit).iter().for_each(|file| fs::remove_file(file).unwrap())),
        ("the newest is no database", |audit| fs::write(index_files(audit).last().unwrap(), b"hello").unwrap()),
        ("one is empty", |audit| fs::write(&index_files(audit)[1], b"").unwrap()),
        ("a block of one is gone", |audit| {
            let connection = rusqlite::Connection::open(&index_files(audit)[1]).unwrap();
            connection.execute("DELETE FROM block WHERE number = (SELECT max(number) FROM block)", []).unwrap();
        }),
        ("one is of another version", |audit| {
            let connection = rusqlite::Connection::open(&index_files(audit)[1]).unwrap();
            connection.pragma_update(None, "user_version", 99).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let (happened, size) = several_months(dir.path());
        damage(dir.path());
        for filter in [&any, &by_person] {
            check(&happened, dir.path(), filter, 100).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        drop(catch_up(dir.path(), size));
        let before: Vec<_> = index_files(dir.path());
        for filter in [&any, &by_person] {
            check(&happened, dir.path(), filter, 100).unwrap_or_else(|e| panic!("{name}, caught up: {e}"));
        }
        assert_eq!(Index::open(dir.path(), tokyo()).unwrap().next_leaf(), size, "{name}");
        assert_eq!(index_files(dir.path()), before);
    }
}

#[test]
fn a_page_of_an_index_file_that_is_overwritten_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (happened, size) = several_months(dir.path());
    let file = index_files(dir.path())[1].clone();
    // What is in the side file goes to the file itself.
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "wal_checkpoint", "TRUNCATE").ok();
    let mut bytes = fs::read(&file).unwrap();
    let pages = bytes.len() / 4096;
    for page in 2..pages {
        bytes[page * 4096..page * 4096 + 64].fill(0xEE);
    }
    fs::write(&file, bytes).unwrap();
    let by_person = Filter { person: Some(PEOPLE[1].parse().unwrap()), ..Filter::default() };
    check(&happened, dir.path(), &by_person, 100).unwrap();
    let mut index = Index::open(dir.path(), tokyo()).unwrap();
    index.clear().unwrap();
    assert_eq!((index.next_leaf(), index_files(dir.path()).len()), (0, 0));
    drop(catch_up(dir.path(), size));
    check(&happened, dir.path(), &by_person, 100).unwrap();
}

#[test]
fn an_index_that_was_left_behind_catches_up_and_one_of_another_log_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let happened = Happened::by_chance(3, 2_500);
    happened.lay_out(dir.path(), (2_500, happened.len(), 1_111), 1_000);
    let leaves = happened.leaves(happened.len());
    let size = leaves.len() as u64;
    let mut index = Index::open(dir.path(), tokyo()).unwrap();
    assert_eq!(index.next_leaf(), 1_111);
    // The sealer's next leaves don't fit on: it hears so.
    let next = index.append(1_500, leaves[1_500..1_600].iter().map(String::as_bytes)).unwrap();
    assert_eq!(next, 1_111);
    // Broken off and gone on with.
    let log = History::new(dir.path()).log();
    assert_eq!(index.catch_up(&log, size, |_| ControlFlow::Break(())).unwrap(), 1_111);
    drop(index);
    let mut index = catch_up(dir.path(), size);
    // What is there already is passed over.
    assert_eq!(index.append(0, leaves.iter().map(String::as_bytes)).unwrap(), size);
    check(&happened, dir.path(), &Filter::default(), 500).unwrap();

    // A log restored from before: shorter.
    let other = tempfile::tempdir().unwrap();
    WrittenLog::new(other.path()).seal(leaves[..700].iter().map(String::as_bytes));
    let reached = index.catch_up(&History::new(other.path()).log(), 700, |_| ControlFlow::Continue(()));
    assert_eq!(reached.unwrap(), 700);
    // Another one of the same length.
    let third = tempfile::tempdir().unwrap();
    let others = Happened::by_chance(4, 2_500).leaves(2_500);
    WrittenLog::new(third.path()).seal(others[..700].iter().map(String::as_bytes));
    let mut from = Vec::new();
    let reached = index.catch_up(&History::new(third.path()).log(), 700, |at| {
        from.push(at);
        ControlFlow::Continue(())
    });
    assert_eq!((reached.unwrap(), from[0]), (700, 0));
}

#[test]
fn what_was_dropped_is_not_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (happened, size) = several_months(dir.path());
    let leaves = happened.leaves(happened.len());
    let mut log = WrittenLog::new(dir.path());
    log.seal(leaves.iter().map(String::as_bytes));
    log.drop_before(512);
    let begin = super::leaf::read(leaves[512].as_bytes()).position();
    let expected = || {
        let mut all = happened.expected(&Filter::default());
        all.retain(|entry| entry.position >= begin);
        positions(&all)
    };
    assert_eq!(positions(&everything(dir.path())), expected());
    let mut index = Index::open(dir.path(), tokyo()).unwrap();
    let files = index_files(dir.path()).len();
    index.drop_before(512).unwrap();
    let left = index_files(dir.path()).len();
    assert!(left <= files);
    assert_eq!(positions(&everything(dir.path())), expected());
    // The same if it has to be made anew.
    index.clear().unwrap();
    assert_eq!(positions(&everything(dir.path())), expected());
    drop(index);
    drop(catch_up(dir.path(), size));
    assert_eq!(positions(&everything(dir.path())), expected());
    // Months that are over as a whole go.
    let mut index = Index::open(dir.path(), tokyo()).unwrap();
    index.drop_before(size).unwrap();
    assert_eq!(index_files(dir.path()).len(), 1, "the month that goes on stays");
}

#[test]
fn too_many_to_sort_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = WrittenLog::new(dir.path());
    let leaf = |seq: usize| {
        format!("{{\"v\":1,\"boot\":1,\"seq\":{seq},\"kind\":\"stop\",\"at\":1,\"salt\":\"00\",\"cause\":\"x\"}}\n")
    };
    let leaves: Vec<_> = (1..=super::sort::MOST + 1).map(leaf).collect();
    log.seal(leaves.iter().map(String::as_bytes));
    fs::create_dir_all(dir.path().join("journal")).unwrap();
    let history = History::new(dir.path());
    let sorted = history.sorted(Query::default(), Sort::Person, false);
    assert!(matches!(sorted, Err(AuditError::TooMany(_))));
    let fewer = Query { before: Some(Position { boot: 1, seq: 100 }), ..Query::default() };
    assert_eq!(history.sorted(fewer, Sort::Clock, false).unwrap().len(), 99);
}

/// The sealer's moves, one after the other, while somebody reads again and again.
#[test]
fn while_the_sealer_goes_on_every_record_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let happened = Happened::by_chance(11, 4_000);
    happened.write_journal(dir.path(), 0);
    let expected = happened.expected(&Filter::default());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = WrittenLog::new(dir.path());
            let mut index = Index::open(dir.path(), tokyo()).unwrap();
            let mut before = 0;
            for end in (0..=happened.len()).step_by(173).chain([happened.len()]) {
                let leaves = happened.leaves(end);
                let new = || leaves[before..].iter().map(String::as_bytes);
                log.seal(new());
                index.append(before as u64, new()).unwrap();
                before = leaves.len();
                // Files go as a whole once all of them is sealed; here the frames that are go.
                if end % 2 == 0 {
                    replace_journal(&happened, dir.path(), end);
                }
            }
            done.store(true, Ordering::Release);
        });
        let mut rounds = 0;
        while !done.load(Ordering::Acquire) || rounds < 2 {
            let newest_first = rounds % 2 == 1;
            let mut all = read(&History::new(dir.path()), Query { newest_first, ..Query::default() });
            if newest_first {
                all.reverse();
            }
            assert_eq!(positions(&all), positions(&expected), "round {rounds}");
            assert_eq!(all, expected, "round {rounds}");
            rounds += 1;
        }
    });
}

/// Files come and go as wholes, so a reader sees one or the other.
fn replace_journal(happened: &Happened, audit: &Path, begin: usize) {
    let new = audit.join("new");
    happened.write_journal(&new, begin);
    let name = |entry: fs::DirEntry| entry.file_name();
    let list = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| name(entry.unwrap())).collect::<Vec<_>>();
    let (old, now) = (list(&audit.join("journal")), list(&new.join("journal")));
    for file in &now {
        fs::rename(new.join("journal").join(file), audit.join("journal").join(file)).unwrap();
    }
    for file in old.iter().filter(|file| !now.contains(file)) {
        fs::remove_file(audit.join("journal").join(file)).unwrap();
    }
    fs::remove_dir_all(new).unwrap();
}

#[test]
fn what_an_index_leaves_out_is_found_where_it_is_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (_, size) = several_months(dir.path());
    let person: vocabulary::PersonId = PEOPLE[1].parse().unwrap();
    let leaves = |thorough| {
        let filter = Filter { person: Some(person.clone()), ..Filter::default() };
        let history = History::new(dir.path()).thorough(thorough);
        history.leaves(Query { filter, ..Query::default() }, size).unwrap()
    };
    let all = leaves(false);
    assert!(all.indices.len() > 100);
    for file in index_files(dir.path()) {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute("UPDATE value SET text = 'nobody' WHERE text = ?1", [person.as_str()]).unwrap();
    }
    assert!(leaves(false).indices.is_empty());
    assert_eq!(leaves(true), all);
}
