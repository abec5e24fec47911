//! How fast and how large the index is: `cargo test --release -p sekisho-audit -- --ignored --nocapture the_index_is_measured`.
//! (with `--config 'profile.release.lto="off"'` it builds sooner and is as fast.) `RECORDS` says how many records (default 1 million).

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use vocabulary::Zone;

use super::records::Leaves;
use super::written::WrittenLog;
use super::{History, Query};
use crate::index::leaf::Row;
use crate::{Filter, Index, PathPattern, Record};

const BATCH: usize = 16_384;

fn cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap())
}

fn size(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap().filter_map(|entry| entry.ok()?.metadata().ok());
    files.filter(|data| data.is_file()).map(|data| data.len()).sum()
}

#[test]
#[ignore = "it measures"]
fn the_index_is_measured() {
    let records: usize = std::env::var("RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut log = WrittenLog::new(dir.path());
    let mut index = Index::open(dir.path(), Zone::named("Asia/Tokyo").unwrap()).unwrap();
    let mut leaves = Leaves::new(1);
    let (mut parse, mut took, mut bytes, mut slowest) = (Duration::ZERO, Duration::ZERO, 0u64, Duration::ZERO);
    let mut first = 0;
    while first < records {
        let batch: Vec<String> = leaves.by_ref().take(BATCH.min(records - first)).collect();
        bytes += batch.iter().map(|leaf| leaf.len() as u64).sum::<u64>();
        log.seal(batch.iter().map(String::as_bytes));
        let started = cpu();
        for leaf in &batch {
            black_box(Row::read(leaf.as_bytes()));
        }
        let parsed = cpu();
        let next = index.append(first as u64, batch.iter().map(|leaf| leaf.as_bytes())).unwrap();
        let appended = cpu();
        first += batch.len();
        assert_eq!(next, first as u64);
        parse += parsed - started;
        took += appended - parsed;
        slowest = slowest.max(appended - parsed);
    }
    let per = |duration: Duration| duration.as_secs_f64() * 1e6 / records as f64;
    println!("{records} records, {:.0} bytes per leaf", bytes as f64 / records as f64);
    println!("parse {:.2} us/record, append in all {:.2} us/record, slowest batch {slowest:?}", per(parse), per(took));
    drop(index);
    println!("index {:.1} bytes/record", size(dir.path()) as f64 / records as f64);

    let history = History::new(dir.path());
    let newest = |filter: Filter| Query { filter, newest_first: true, limit: Some(50), ..Query::default() };
    let measure = |name: &str, query: Query| {
        let mut best = Duration::MAX;
        let mut rows = 0;
        for _ in 0..5 {
            let started = Instant::now();
            rows = history.read(query.clone()).unwrap().map(Result::unwrap).count();
            best = best.min(started.elapsed());
        }
        println!("{name}: {rows} rows, {:.2} ms", best.as_secs_f64() * 1e3);
    };
    let requests = || vec!["request".to_owned()];
    let some = history.read(newest(Filter { kinds: requests(), ..Filter::default() })).unwrap().map(Result::unwrap);
    let some = some.filter_map(|entry| match entry.record {
        Record::Request(request) if request.person.is_some() => Some((entry.position, request)),
        _ => None,
    });
    let some: Vec<_> = some.collect();
    let (position, request) = &some[0];
    let newest_of_all = Query { newest_first: true, limit: Some(1), ..Query::default() };
    let request_at = history.read(newest_of_all).unwrap().next().unwrap().unwrap().at;
    let person = request.person.clone();
    measure("newest page", newest(Filter { kinds: requests(), ..Filter::default() }));
    for (n, (_, request)) in some.iter().enumerate().step_by(17) {
        measure(
            &format!("a person's page ({n})"),
            newest(Filter { kinds: requests(), person: request.person.clone(), ..Filter::default() }),
        );
    }
    for who in [3, 100, 202, 303] {
        let id =
            if who % 5 == 0 { format!("staff.{who:03}@sakura-kai.example") } else { format!("{:05}", 20_000 + who) };
        let person = Some(id.parse().unwrap());
        measure(&format!("page of {id}"), newest(Filter { kinds: requests(), person, ..Filter::default() }));
    }
    let downloads = Some(vocabulary::Action::Download);
    measure("a person's downloads", newest(Filter { person: person.clone(), action: downloads, ..Filter::default() }));
    measure("a person's failures", newest(Filter { person: person.clone(), failed: true, ..Filter::default() }));
    measure("failures", newest(Filter { failed: true, ..Filter::default() }));
    measure(
        "a person's sign-ins",
        newest(Filter { person: person.clone(), kinds: vec!["sign-in".into()], ..Filter::default() }),
    );
    measure("a code", newest(Filter { position: Some(*position), ..Filter::default() }));
    let path = Some(PathPattern::Contains("care-plan".into()));
    measure("paths", newest(Filter { path, ..Filter::default() }));
    measure("a network", newest(Filter { source: Some("198.51.7.0/24".parse().unwrap()), ..Filter::default() }));
    measure("nobody", newest(Filter { person: Some("nobody".parse().unwrap()), ..Filter::default() }));
    let night = Some(Zone::named("Asia/Tokyo").unwrap());
    measure("a person's nights", newest(Filter { person: person.clone(), night, ..Filter::default() }));
    for _ in 0..5 {
        let began = Instant::now();
        let logins = history.logins(Query::default()).unwrap().map(Result::unwrap).count();
        println!("all logins: {logins}, {:.2} ms", began.elapsed().as_secs_f64() * 1e3);
    }
    let (zone, last) = (Zone::named("Asia/Tokyo").unwrap(), request_at);
    let (from, to) = (zone.day_start(zone.day_start(last).plus_secs(-1)), zone.day_start(last));
    for (_, request) in some.iter().step_by(9) {
        let began = Instant::now();
        let day = history.timeline(request.person.as_ref().unwrap(), Some(from), Some(to)).unwrap().len();
        println!("a person's day: {day} moments, {:.2} ms", began.elapsed().as_secs_f64() * 1e3);
    }
    let began = Instant::now();
    let coverage = history.coverage(Filter { app: "kaipoke".parse().ok(), ..Filter::default() }, 20).unwrap();
    println!("coverage of {} requests, {:.2} ms", coverage.requests, began.elapsed().as_secs_f64() * 1e3);
    let oldest = Query { newest_first: false, ..newest(Filter { person, ..Filter::default() }) };
    measure("a person's oldest page", oldest);
}
