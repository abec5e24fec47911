//! What breaks while people work: the SaaS, the names, the disk, the clock, descriptors, memory, the processor. Nothing
//! is lost, and when it is over the gate works on, without a restart.
//!
//! `make test` lets each last for moments, `SEKISHO_SOAK=1` (`make soak`) for two minutes. Both print figures.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use demo::client::{Browser, Mode};
use http::{HeaderMap, HeaderValue, Method};
use tokio::net::UdpSocket;
use vocabulary::{Clock, SystemClock};

use crate::durability::{long, nothing_is_missing};
use crate::floods::{held, silent};
use crate::harness::{Answer, Gate, HOME, LOOKED_UP, RawSaas, Relay, SAAS_HOST, Shim, Way, eventually, run};

const HOST: &str = "hidamari.gw.localhost";

/// How long a fault lasts.
fn spell() -> Duration {
    Duration::from_secs(if long() { 120 } else { 2 })
}

/// What came of the requests since the last look.
#[derive(Debug, Default)]
struct Tally {
    answers: BTreeMap<String, u64>,
    longest: Duration,
}

/// People at work, on HTTP/1.1 and HTTP/2, until it is dropped.
struct Work {
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn begin(gate: &Gate, cookies: &str, next: &Arc<AtomicU64>) -> Self {
        let work = Self { tally: Arc::default(), stop: Arc::default() };
        for n in 0..6 {
            let mut browser = if n % 2 == 0 { gate.browser(HOME) } else { gate.browser_h2(HOME) };
            for cookie in cookies.split("; ") {
                browser.set_cookie(HOST, cookie);
            }
            let (tally, stop, next, url) =
                (work.tally.clone(), work.stop.clone(), next.clone(), gate.url("/echo-faults"));
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    let number = next.fetch_add(1, Relaxed);
                    let asked = Instant::now();
                    let came = ask(&mut browser, &format!("{url}/{number}"), number).await;
                    let mut tally = tally.lock().unwrap();
                    tally.longest = tally.longest.max(asked.elapsed());
                    *tally.answers.entry(came).or_default() += 1;
                }
            });
        }
        work
    }

    fn take(&self) -> Tally {
        std::mem::take(&mut self.tally.lock().unwrap())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// Answered by the SaaS, or our status and reason, or a connection that broke.
async fn ask(browser: &mut Browser, url: &str, number: u64) -> String {
    let mut headers = HeaderMap::new();
    headers.insert(demo::MARKER_HEADER, HeaderValue::from(number));
    let sent = browser.send(Method::POST, url, Mode::Fetch, headers, Bytes::new());
    match tokio::time::timeout(Duration::from_secs(30), sent).await {
        Err(_) => "no answer".to_owned(),
        Ok(Err(_)) => {
            browser.disconnect();
            tokio::task::yield_now().await;
            "broken".to_owned()
        }
        Ok(Ok(answer)) => {
            let status = answer.status.as_u16();
            let reason = serde_json::from_str::<serde_json::Value>(&answer.text()).ok();
            match reason.as_ref().and_then(|json| json["error"].as_str()) {
                Some(reason) => format!("{status} {reason}"),
                None => "answered".to_owned(),
            }
        }
    }
}

struct World {
    gate: Gate,
    shim: Shim,
    relay: Relay,
    cookies: String,
    next: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

/// What may be answered while a fault lasts, beside answers of the SaaS.
type Allowed = &'static [&'static str];

impl World {
    async fn new(data: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::build(folder.path());
        let mut builder = Gate::builder()
            .environment("LD_PRELOAD", shim.library())
            .environment("SHIM_CONTROL", shim.control())
            .environment("SHIM_CLOCK", shim.clock())
            .more("audit: { segment: 1MiB }\n")
            .app(&["timeouts: { connect: 2s, response: 2s, idle: 3s }"]);
        if let Some(data) = data {
            builder = builder.data(data);
        }
        let gate = builder.start().await;
        let relay = Relay::to(gate.saas.port()).await;
        gate.rewrite(|text| text.replace(&format!(":{}", gate.saas.port()), &format!(":{}", relay.port)));
        assert!(gate.cli(&["reload"]).status.success());
        gate.add_staff("sato", &["staff"]);
        let cookies = gate.signed_in("sato").await.cookies(HOST);
        Self { gate, shim, relay, cookies, next: Arc::default(), _folder: folder }
    }

    #[expect(clippy::print_stdout, reason = "figures are what a soak is run for")]
    /// People work, `begin` breaks something, it lasts a while, `end` mends it, and all is well again.
    async fn fault(&self, name: &str, allowed: Allowed, begin: impl AsyncFnOnce(&Self), end: impl AsyncFnOnce(&Self)) {
        let pid = self.gate.pid();
        let work = Work::begin(&self.gate, &self.cookies, &self.next);
        eventually("people work", async || (work.tally.lock().unwrap().answers.get("answered")? > &20).then_some(()))
            .await;
        work.take();
        begin(self).await;
        let (mut most_kb, mut most_descriptors) = (0, 0);
        let until = Instant::now() + spell();
        while Instant::now() < until {
            let held = held(&self.gate);
            (most_kb, most_descriptors) = (most_kb.max(held.resident_kb), most_descriptors.max(held.descriptors));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let during = work.take();
        let ended = Instant::now();
        end(self).await;
        // What was asked while it lasted is answered yet; then everything is.
        eventually(&format!("{name}: all is well again"), async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let since = work.take();
            (since.answers.keys().all(|came| came == "answered") && since.answers.get("answered")? > &20).then_some(())
        })
        .await;
        println!(
            "{name:<34} during {:?}, longest {:?}; well again after {:?}; {most_kb} KB, {most_descriptors} descriptors at most",
            during.answers,
            during.longest,
            ended.elapsed(),
        );
        for came in during.answers.keys() {
            assert!(came == "answered" || allowed.contains(&came.as_str()), "{name}: {came}, {:?}", during.answers);
        }
        drop(work);
        assert_eq!(self.gate.pid(), pid);
        assert!(std::fs::metadata(format!("/proc/{pid}")).is_ok(), "{name}: the gate is gone");
        nothing_is_missing(&self.gate);
        assert!(!self.gate.log().contains("panicked"), "{name}: {}", self.gate.log());
    }
}

#[test]
fn a_saas_that_is_down_slow_or_silent_under_load() {
    run(async {
        let world = World::new(None).await;
        let down: Allowed = &["502 upstream-failed", "504 upstream-failed"];
        for (name, way, allowed) in [
            ("the SaaS is down", Way::Down, down),
            ("the SaaS is slow", Way::Slow, down),
            ("the SaaS is silent", Way::Silent, down),
        ] {
            let begin = async |world: &World| world.relay.set(way);
            world.fault(name, allowed, begin, async |world| world.relay.set(Way::Open)).await;
        }
    });
}

#[test]
fn promise_1_a_disk_that_fails_is_full_or_slow_under_load() {
    run(async {
        let world = World::new(None).await;
        let refused: Allowed = &["503 record-unavailable"];
        for (name, fault) in [
            ("fsync and writes fail (EIO)", "EIO"),
            ("the disk is full (ENOSPC)", "ENOSPC"),
            ("the disk is read-only (EROFS)", "EROFS"),
            ("the disk takes 3 s each time", "SLOW"),
        ] {
            let reached = world.gate.saas.handle.seen_total();
            world.fault(name, refused, async |world| world.shim.set(fault), async |world| world.shim.set("")).await;
            assert!(world.gate.saas.handle.seen_total() > reached);
        }
        assert!(world.gate.metric("sekisho_journal_failures_total").await > 0.0);
    });
}

#[test]
fn a_clock_that_is_a_day_wrong_under_load() {
    run(async {
        const DAY: i64 = 86_400_000_000;
        let world = World::new(None).await;
        // Sessions have their hours; the record does not mind.
        let gone: Allowed = &["401 sign-in-needed", "401 session-ended"];
        let now = SystemClock.now();
        world
            .fault(
                "the clock a day behind",
                &["503 clock"],
                async |world| world.shim.shift(-DAY),
                async |world| world.shim.shift(0),
            )
            .await;
        // Forward everybody's session is over: whoever works signs in again, which is not this test's matter.
        world.shim.shift(DAY);
        let mut sato = world.gate.browser(HOME);
        for cookie in world.cookies.split("; ") {
            sato.set_cookie(HOST, cookie);
        }
        let came = ask(&mut sato, &world.gate.url("/echo-faults/forward"), 0).await;
        assert!(gone.contains(&came.as_str()), "{came}");
        world.gate.signed_in("sato").await;
        // And back: the newest record is of tomorrow now.
        world.shim.shift(0);
        let mut sato = world.gate.browser(HOME);
        assert_eq!(ask(&mut sato, &world.gate.url("/echo-faults/back"), 0).await, "503 clock");
        assert!(world.gate.observe("/readyz").await.0.contains("503"));
        assert!(world.gate.cli(&["clock", "accept"]).status.success());
        assert!(world.gate.observe("/readyz").await.0.contains("200"));
        world.gate.signed_in("sato").await;
        nothing_is_missing(&world.gate);
        assert!(SystemClock.now() >= now);
    });
}

#[test]
fn descriptors_memory_and_the_processor_are_taken_away_under_load() {
    run(async {
        let world = World::new(None).await;
        let waiting = Mutex::new(Vec::new());
        let no_more = async |world: &World| {
            descriptors(world.gate.pid(), &format!("{}:", held(&world.gate).descriptors + 1));
            // And more come.
            for n in 1..=20 {
                let came = silent(&world.gate, [127, 4, 0, n]).await;
                waiting.lock().unwrap().extend(came);
            }
        };
        // New segments can't be opened either, so the record may be out for a while.
        let allowed: Allowed = &["503 record-unavailable", "502 upstream-failed", "504 upstream-failed", "broken"];
        world
            .fault("no descriptors left", allowed, no_more, async |world| descriptors(world.gate.pid(), "20000:"))
            .await;

        world
            .fault(
                "stopped (SIGSTOP)",
                &["502 upstream-failed", "504 upstream-failed", "503 record-unavailable", "broken", "no answer"],
                async |world| world.gate.signal("STOP"),
                async |world| world.gate.signal("CONT"),
            )
            .await;

        match Memory::group(world.gate.pid()) {
            Some(memory) => {
                let most = held(&world.gate).resident_kb * 1_024 + 16 * 1_024 * 1_024;
                let press = async |_: &World| memory.limit(most);
                world.fault("16 MB above what it holds", &[], press, async |_| memory.limit(u64::MAX / 4_096)).await;
            }
            None => eprintln!("skipped: memory pressure needs root and a memory control group"),
        }
    });
}

/// Changes how many descriptors a process may have, as `soft:hard`.
fn descriptors(pid: u32, limit: &str) {
    let limited =
        std::process::Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--nofile={limit}")]).status();
    assert!(limited.is_ok_and(|status| status.success()), "prlimit could not set {limit}");
}

/// A control group for the gate's memory, of either version.
struct Memory {
    folder: PathBuf,
    file: &'static str,
}

impl Memory {
    fn group(pid: u32) -> Option<Self> {
        let name = format!("sekisho-e2e-{pid}");
        for (root, file) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
            let memory = Self { folder: Path::new(root).join(&name), file };
            if std::fs::create_dir(&memory.folder).is_ok()
                && memory.folder.join(file).exists()
                && std::fs::write(memory.folder.join("cgroup.procs"), pid.to_string()).is_ok()
            {
                return Some(memory);
            }
        }
        None
    }

    fn limit(&self, bytes: u64) {
        std::fs::write(self.folder.join(self.file), bytes.to_string()).unwrap();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Goes with its last process; what is left of it is empty.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

#[test]
fn crowds_and_reloads_under_load() {
    run(async {
        let world = World::new(None).await;
        // No request may be refused for any of this.
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
        // A gate with fewer descriptors has fewer places, and strangers would give way.
        let room = u32::try_from((most / 2).saturating_sub(700)).unwrap_or(u32::MAX);
        let idle: u32 = if long() { room.min(10_000) } else { 300 };
        world.gate.rewrite(|text| {
            text.replace("max_connections: 4000,", "max_connections: 12000, per_source_connections: 12000, idle: 10m")
        });
        assert!(world.gate.cli(&["reload"]).status.success());
        let mut crowd = Vec::new();
        let gather = async |world: &World| {
            for n in 0..idle {
                // Whoever does not get in is counted below.
                let browser = world.gate.browser(Ipv4Addr::new(127, 0, 2, (n % 250 + 1) as u8).into());
                crowd.extend(browser.raw(HOST, &[b"h2"]).await);
            }
        };
        world.fault(&format!("{idle} idle connections"), &[], gather, async |_| ()).await;
        assert_eq!(crowd.len(), usize::try_from(idle).unwrap());
        assert!(world.gate.metric("sekisho_connections").await >= f64::from(idle), "somebody had to give way");
        drop(crowd);

        let stop = Arc::new(AtomicBool::new(false));
        let opened = AtomicU64::new(0);
        let half_open = async |world: &World| {
            let until = Instant::now() + spell();
            let mut open = std::collections::VecDeque::new();
            while Instant::now() < until {
                let n = opened.fetch_add(1, Relaxed);
                open.extend(silent(&world.gate, [127, 3, (n / 250 % 250) as u8, (n % 250 + 1) as u8]).await);
                if open.len() > 2_000 {
                    open.pop_front();
                }
                tokio::time::sleep(Duration::from_micros(700)).await;
            }
        };
        world.fault("1,000 half-open handshakes a second", &[], half_open, async |_| ()).await;
        println!("{} half-open handshakes in {:?}", opened.load(Relaxed), spell());

        let config = world.gate.config();
        let reloads = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (stop.clone(), reloads.clone());
        // Each reload makes the bundled authority issue new certificates.
        let each_second = async |_: &World| {
            std::thread::spawn(move || {
                while !stopped.load(Relaxed) {
                    let done = std::process::Command::new(env!("CARGO_BIN_EXE_sekisho"))
                        .args(["reload", "--config"])
                        .arg(&config)
                        .output()
                        .unwrap();
                    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                    counted.fetch_add(1, Relaxed);
                    std::thread::sleep(Duration::from_millis(if long() { 1_000 } else { 200 }));
                }
            });
        };
        let over = async |_: &World| stop.store(true, Relaxed);
        world.fault("reload and new certificates", &[], each_second, over).await;
        assert!(reloads.load(Relaxed) >= 3, "{reloads:?}");
    });
}

/// A name server that knows one name, until it falls silent.
async fn name_server(at: Ipv4Addr, silent: Arc<AtomicBool>) -> Option<()> {
    let socket = UdpSocket::bind((at, 53)).await.ok()?;
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            if silent.load(Relaxed) || length < 17 {
                continue;
            }
            // The question again; then, for A, one answer that must not be kept (RFC 1035, 4.1).
            let end = 12 + question[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            let address = question[end - 3] == 1;
            let mut answer = question[..end].to_vec();
            answer[2..4].copy_from_slice(&[0x85, 0x80]);
            answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(address), 0, 0, 0, 0]);
            if address {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    Some(())
}

#[test]
fn names_that_can_not_be_looked_up_any_more() {
    run(async {
        let saas = RawSaas::start(|_| Answer::fine()).await;
        let folder = tempfile::tempdir().unwrap();
        let [.., third, fourth] = std::process::id().to_be_bytes();
        let at = Ipv4Addr::new(127, 53, third, fourth.max(1));
        let silent = Arc::new(AtomicBool::new(false));
        let resolv = folder.path().join("resolv.conf");
        std::fs::write(&resolv, format!("nameserver {at}\noptions timeout:1 attempts:1\n")).unwrap();
        if name_server(at, silent.clone()).await.is_none() {
            eprintln!("skipped: a name server needs root, for port 53");
            return;
        }
        let mut gate = Gate::builder().upstream(&saas).resolver(&resolv).start().await;
        gate.rewrite(|text| text.replace(&format!("https://{SAAS_HOST}"), &format!("https://{LOOKED_UP}")));
        assert!(gate.cli(&["reload"]).status.success());
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let url = gate.url("/echo");
        assert_eq!(ask(&mut sato, &url, 0).await, "answered");

        // Gone: what was known is used, far beyond its time.
        silent.store(true, Relaxed);
        let until = Instant::now() + Duration::from_secs(if long() { 120 } else { 8 });
        while Instant::now() < until {
            assert_eq!(ask(&mut sato, &url, 0).await, "answered");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(gate.log().contains("using the last known addresses"), "{}", gate.log());

        // Gone from the start: a page says so, and when they are back, it works.
        gate.kill();
        gate.start().await;
        let mut sato = gate.browser(HOME);
        sato.open(&gate.login_url("/")).await.unwrap();
        let page =
            crate::harness::sign_in(&mut sato, &url.replace("/echo", "/"), "sato", crate::harness::PASSWORD).await;
        assert!(page.status == 502 || page.status == 504, "{}", page.status);
        silent.store(false, Relaxed);
        eventually("the name is found again", async || (ask(&mut sato, &url, 0).await == "answered").then_some(()))
            .await;
    });
}
