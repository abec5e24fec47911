//! The log's figures: `audit [--records 10000000] [--rounds 5] [--requests 40000] [--out target/bench/audit.json]`.
//!
//! Records as `records.rs` makes them go through a journal's files, are sealed and indexed as the gate does it, searched,
//! and verified by `audit-verify`. Then the gate serves with sealing and without. What a recipe costs a request is told as
//! well. CPU time, so that what else the machine does matters little; all of it on one core.
#![expect(clippy::print_stderr, reason = "shows how far it is")]

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::time::{ClockId, clock_gettime};
use sekisho_audit as audit;
use sekisho_bench::measure::{self, Effort};
use sekisho_bench::peers::{Peer, Setting};
use sekisho_bench::pki::Pki;
use sekisho_bench::plan::{Mode, OriginPlan};
use sekisho_bench::process::{LOAD_CORE, Running, allow_files, free_address, sibling, thread_ns};
use sekisho_bench::recognise::{self, Recognition};
use sekisho_bench::records::{Records, START};
use sekisho_bench::report::median;
use sekisho_bench::sekisho;
use serde::Serialize;
use vocabulary::{PersonId, Zone};

/// As in the gate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Numbers of the journal that are written before they are sealed.
const CHUNK: usize = 400_000;
/// What one file of the journal holds, as in the gate unless its configuration says otherwise.
const SEGMENT_BYTES: usize = 8 << 20;

#[derive(Debug, Serialize)]
struct Figures {
    /// Records sealed and indexed per second of CPU time.
    ingest_per_s: f64,
    /// Files of the log and the index.
    bytes_per_record: f64,
    log_bytes_per_record: f64,
    index_bytes_per_record: f64,
    /// The newest 50 requests of a person, median of twenty people.
    person_page_ms: f64,
    /// One month's whole login history, as `sekisho audit logins` reads it.
    month_logins_ms: f64,
    /// How many logins that were.
    month_logins: u64,
    /// A person's timeline of a day, median of twenty people.
    person_day_ms: f64,
    /// Records verified per second of CPU time.
    verify_per_s: f64,
    /// CPU time per request of the threads that serve, with sealing against without.
    serving_overhead: Option<f64>,
    /// The same of the whole process.
    process_overhead: Option<f64>,
    rows_measured: u64,
    /// What a recipe costs a request.
    #[serde(flatten)]
    recognition: Recognition,
}

struct Wish {
    records: u64,
    rounds: usize,
    requests: usize,
    out: PathBuf,
}

fn main() -> Result<()> {
    let wish = wish()?;
    let folder = tempfile::Builder::new().prefix("sekisho-bench-audit-").tempdir_in("/var/tmp")?;
    let audit = folder.path().join("audit");
    let key = ingest_key(&audit)?;
    let (rows, cpu) = ingest(&audit, wish.records)?;
    let log_bytes = bytes_below(&audit.join("log"))?;
    let index_bytes: u64 = bytes_below(&audit)? - log_bytes - bytes_below(&audit.join("journal"))?;
    let per_record = |bytes: u64| bytes as f64 / rows as f64;
    let person_page_ms = person_pages(&audit)?;
    let (month_logins, month_logins_ms) = month_logins(&audit)?;
    let person_day_ms = person_days(&audit)?;
    let verify_per_s = rows as f64 / verify(&audit, &key)?.as_secs_f64();
    let (serving_overhead, process_overhead) = match wish.rounds {
        0 => (None, None),
        rounds => serving(folder.path(), rounds, wish.requests)?,
    };
    let figures = Figures {
        ingest_per_s: rows as f64 / cpu.as_secs_f64(),
        bytes_per_record: per_record(log_bytes + index_bytes),
        log_bytes_per_record: per_record(log_bytes),
        index_bytes_per_record: per_record(index_bytes),
        person_page_ms,
        month_logins_ms,
        month_logins,
        person_day_ms,
        verify_per_s,
        serving_overhead,
        process_overhead,
        rows_measured: rows,
        recognition: recognise::microseconds()?,
    };
    let text = serde_json::to_string_pretty(&figures)?;
    if let Some(parent) = wish.out.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&wish.out, &text)?;
    eprintln!("{text}");
    Ok(())
}

fn ingest_key(audit: &Path) -> Result<String> {
    fs::create_dir_all(audit.join("journal"))?;
    Ok(audit::read_or_make_key(&audit.join("log.key"), "bench.example/audit")?.verifier().to_string())
}

fn thread_cpu() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}

/// Writes the journal in parts and has each sealed; returns how many records there are, and the CPU time of sealing.
fn ingest(audit: &Path, records: u64) -> Result<(u64, Duration)> {
    let mut source = Records::new(1);
    let (mut sealed, mut cpu, mut file) = (0, Duration::ZERO, 0);
    let zone = Zone::named("Asia/Tokyo")?;
    let began = Instant::now();
    while sealed < records {
        let mut left = CHUNK;
        while left > 0 {
            file += 1;
            left -= write_segment(audit, file, &mut source, left)?;
        }
        let key = audit::read_key(&audit.join("log.key"))?;
        let before = thread_cpu();
        sealed = audit::inside::seal(audit, vec![key], &zone)?;
        cpu += thread_cpu() - before;
        let rate = sealed as f64 / cpu.as_secs_f64();
        eprintln!("{sealed} of {records} sealed, {rate:.0}/s, {:.0} s", began.elapsed().as_secs_f64());
    }
    Ok((sealed, cpu))
}

/// One file of the journal; returns how many numbers it holds.
fn write_segment(audit: &Path, number: u32, source: &mut Records, most: usize) -> Result<usize> {
    const BOOT: u32 = 1;
    const SALT: u32 = 7;
    const RECORD: u8 = 1;
    const OUTCOME: u8 = 2;
    const BEGIN: u8 = 128;
    let mut bytes = audit::inside::header(BOOT, number, SALT);
    let mut many = 0;
    for written in source.take(most) {
        if many == 0 {
            let begin = audit::inside::write(BOOT, SALT, (BEGIN, written.seq, 0), &written.at.to_le_bytes());
            bytes.extend(begin.context("a frame")?);
        }
        let kind = if written.of.is_some() { OUTCOME } else { RECORD };
        let frame = audit::inside::write(BOOT, SALT, (kind, written.seq, 0), written.payload().as_bytes());
        bytes.extend(frame.context("a frame")?);
        many += 1;
        if bytes.len() >= SEGMENT_BYTES {
            break;
        }
    }
    fs::File::create(audit.join("journal").join(audit::inside::name(BOOT, number)))?.write_all(&bytes)?;
    Ok(many)
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += if data.is_dir() { bytes_below(&entry.path())? } else { data.len() };
    }
    Ok(sum)
}

/// People of the newest requests.
fn people(audit: &Path) -> Result<Vec<PersonId>> {
    let newest = audit::Query { newest_first: true, limit: Some(20_000), ..audit::Query::default() };
    let mut people: Vec<PersonId> = Vec::new();
    for entry in audit::History::new(audit).read(newest)? {
        if let audit::Record::Request(request) = entry?.record
            && let Some(person) = request.person
            && !people.contains(&person)
        {
            people.push(person);
        }
        if people.len() == 20 {
            break;
        }
    }
    Ok(people)
}

/// The first month of the records, which is the longest: how many logins, and the median of five readings in milliseconds.
fn month_logins(audit: &Path) -> Result<(u64, f64)> {
    let (from, zone) = (vocabulary::Timestamp(START), Zone::named("Asia/Tokyo")?);
    let to = zone.month_start(from.plus_secs(40 * 86_400), 0);
    let (mut times, mut logins) = (Vec::new(), 0);
    for _ in 0..5 {
        let began = Instant::now();
        let filter = audit::Filter { from: Some(from), to: Some(to), ..audit::Filter::default() };
        let found = audit::History::new(audit).logins(audit::Query { filter, ..audit::Query::default() })?;
        logins = 0;
        for login in found {
            login?;
            logins += 1;
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok((logins, median(times).context("no time")?))
}

/// The last whole day that lies before the newest records, as `sekisho audit person` reads it.
fn person_days(audit: &Path) -> Result<f64> {
    let newest = audit::Query { newest_first: true, limit: Some(1), ..audit::Query::default() };
    let last = audit::History::new(audit).read(newest)?.next().context("no record")??.at;
    let zone = Zone::named("Asia/Tokyo")?;
    let to = zone.day_start(last);
    let from = zone.day_start(to.plus_secs(-1));
    let (mut times, mut moments) = (Vec::new(), 0);
    for person in people(audit)? {
        let began = Instant::now();
        moments += audit::History::new(audit).timeline(&person, Some(from), Some(to))?.len();
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    if moments == 0 {
        bail!("nobody did anything on the last day");
    }
    median(times).context("nobody made a request")
}

/// As `sekisho audit requests --person … -n 50` reads it.
fn person_pages(audit: &Path) -> Result<f64> {
    let mut times = Vec::new();
    for person in people(audit)? {
        let began = Instant::now();
        let filter =
            audit::Filter { person: Some(person), kinds: vec!["request".to_owned()], ..audit::Filter::default() };
        let query = audit::Query { filter, newest_first: true, limit: Some(50), ..audit::Query::default() };
        let found = audit::History::new(audit).read(query)?.collect::<Result<Vec<_>, _>>()?;
        if found.len() != 50 {
            bail!("a page of {} requests", found.len());
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    median(times).context("nobody made a request")
}

/// CPU time of `audit-verify` over the whole log, on one core.
fn verify(audit: &Path, key: &str) -> Result<Duration> {
    let before = children_cpu()?;
    let log = audit.join("log");
    let arguments =
        [OsStr::new("log"), log.as_os_str(), "--key".as_ref(), key.as_ref(), "--jobs".as_ref(), "1".as_ref()];
    let status = Command::new(sibling("audit-verify")?).args(arguments).arg("--quiet").status()?;
    if !status.success() {
        bail!("the log does not verify");
    }
    Ok(children_cpu()? - before)
}

/// CPU time of the children that have ended; a hundredth of a second exact.
fn children_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let ticks: u64 = rest.split_whitespace().skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The gate with sealing and one whose log can't be written, which therefore does not seal: round by round.
fn serving(folder: &Path, rounds: usize, requests: usize) -> Result<(Option<f64>, Option<f64>)> {
    allow_files(20_000)?;
    let (_origin, setting) = stage(folder)?;
    let sealing = sekisho::start(&setting)?;
    let not_sealing = sekisho::start_without_sealing(&setting)?;
    let (mut serving, mut process) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let with = || used(&setting, &sealing, requests, round);
        let without = || used(&setting, &not_sealing, requests, round);
        let (with, without) = if round % 2 == 0 {
            let with = with()?;
            (with, without()?)
        } else {
            let without = without()?;
            (with()?, without)
        };
        // What it costs to fail to seal is not what serving costs.
        let bare = without.all - without.sealer;
        serving.push(with.serving / without.serving);
        process.push(with.all / bare);
        eprintln!(
            "round {}: with sealing {:.1} us per request ({:.1} serving, {:.1} sealing), without {:.1} ({:.1} serving)",
            round + 1,
            with.all,
            with.serving,
            with.sealer,
            bare,
            without.serving
        );
    }
    Ok((median(serving), median(process)))
}

/// CPU time per request, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Used {
    serving: f64,
    sealer: f64,
    all: f64,
}

fn used(setting: &Setting, peer: &Peer, requests: usize, round: usize) -> Result<Used> {
    let pids = peer.pids();
    let now = || -> Result<[u64; 3]> {
        Ok([thread_ns(&pids, "gate")?, thread_ns(&pids, "audit-sealer")?, thread_ns(&pids, "")?])
    };
    let before = now()?;
    let effort = Effort { requests, idle_connections: 0 };
    let run = measure::load(setting, peer, Mode::H1, effort, round)?;
    // What it still has to seal belongs to these requests: until its thread has rested for some seconds.
    // One that can't seal tries again every few seconds and may never rest; its thread's time is taken off anyway.
    let mut last = (thread_ns(&pids, "audit-sealer")?, Instant::now());
    let began = Instant::now();
    while last.1.elapsed() < Duration::from_secs(7) && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(250));
        let sealer = thread_ns(&pids, "audit-sealer")?;
        if sealer - last.0 > 2_000_000 {
            last = (sealer, Instant::now());
        }
    }
    let after = now()?;
    let per = |which: usize| (after[which] - before[which]) as f64 / 1_000.0 / run.requests as f64;
    Ok(Used { serving: per(0), sealer: per(1), all: per(2) })
}

fn stage(folder: &Path) -> Result<(Running, Setting)> {
    let folder = folder.join("serving");
    fs::create_dir_all(&folder)?;
    let pki = Pki::make(&folder)?;
    let address = free_address()?;
    let plan = OriginPlan { listen: address, tls: Some(pki.origin.clone()), body_bytes: 10_000 };
    let (program, plan) = (sibling("origin")?, serde_json::to_string(&plan)?);
    let mut origin = Running::start(LOAD_CORE, "origin", &folder, &[program.as_os_str(), OsStr::new(&plan)])?;
    origin.wait_for(address)?;
    Ok((origin, Setting { folder, pki, origin: address }))
}

fn wish() -> Result<Wish> {
    let out = PathBuf::from("target/bench/audit.json");
    let mut wish = Wish { records: 10_000_000, rounds: 5, requests: 40_000, out };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--records" => wish.records = value.parse()?,
            "--rounds" => wish.rounds = value.parse()?,
            "--requests" => wish.requests = value.parse()?,
            "--out" => wish.out = value.into(),
            other => bail!("{other} is not an option; there are --records, --rounds, --requests and --out"),
        }
    }
    Ok(wish)
}
