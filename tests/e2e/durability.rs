//! Promise 1: no request reaches the SaaS before the record of it is on disk.
//!
//! `make test` runs the short forms; `SEKISHO_SOAK=1` (`make soak`) the long ones.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use demo::client::{Browser, Mode};
use http::{HeaderMap, HeaderValue, Method};

use crate::harness::{Gate, HOME, OUTSIDE, Shim, eventually, run};

pub(crate) fn long() -> bool {
    std::env::var_os("SEKISHO_SOAK").is_some()
}

/// Requests with numbered paths until told to stop; what the client saw answered.
fn load(
    browsers: Vec<Browser>,
    url: &str,
    stop: &Arc<AtomicBool>,
    next: &Arc<AtomicU64>,
) -> Vec<tokio::task::JoinHandle<()>> {
    browsers
        .into_iter()
        .map(|mut browser| {
            let (url, stop, next) = (url.to_owned(), stop.clone(), next.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let mut headers = HeaderMap::new();
                    headers.insert(demo::MARKER_HEADER, HeaderValue::from(number));
                    let url = format!("{url}/{number}");
                    if browser.send(Method::POST, &url, Mode::Fetch, headers, Bytes::new()).await.is_err() {
                        browser.disconnect();
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect()
}

/// Everything the SaaS saw stands in the record as permitted.
pub(crate) fn nothing_is_missing(gate: &Gate) -> usize {
    // Before the record is read: people may be at work.
    let seen = gate.saas.handle.seen();
    let recorded: HashSet<String> = gate
        .entries(&[])
        .filter_map(|entry| match entry.record {
            audit::Record::Request(request) if request.decision == audit::Decision::Permit => Some(request.path),
            _ => None,
        })
        .collect();
    let missing: Vec<_> = seen.iter().filter(|s| s.marker.is_some() && !recorded.contains(&s.path)).collect();
    assert!(
        missing.is_empty(),
        "{} of {} requests that the SaaS saw are in no record: {:?}",
        missing.len(),
        seen.len(),
        missing.first()
    );
    seen.len()
}

#[test]
fn promise_1_kill_9_under_load_loses_no_record_of_what_the_saas_saw() {
    run(async {
        let mut gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let cookies = gate.signed_in("sato").await.cookies("hidamari.gw.localhost");
        let next = Arc::new(AtomicU64::new(0));
        let rounds = if long() { 300 } else { 100 };
        for round in 0..rounds {
            let stop = Arc::new(AtomicBool::new(false));
            let browsers = (0..8)
                .map(|n| {
                    let mut browser = if n % 2 == 0 { gate.browser(HOME) } else { gate.browser_h2(HOME) };
                    for cookie in cookies.split("; ") {
                        browser.set_cookie("hidamari.gw.localhost", cookie);
                    }
                    browser
                })
                .collect();
            let clients = load(browsers, &gate.url("/echo-load"), &stop, &next);
            let reached = gate.saas.handle.seen_total();
            eventually("requests pass", async || {
                (gate.saas.handle.seen_total() > reached + 20 + round % 7).then_some(())
            })
            .await;
            gate.kill();
            stop.store(true, Ordering::Relaxed);
            for client in clients {
                client.await.unwrap();
            }
            gate.start().await;
        }
        let seen = nothing_is_missing(&gate);
        assert!(seen > rounds as usize * 20, "only {seen} requests in all");
        // And the log reads on: what was under way when it died is told as such.
        let unknown = gate
            .requests(&["--decision", "permit"])
            .iter()
            .filter(|r| r["outcome"]["end"] == "outcome-unknown")
            .count();
        assert!(unknown > 0, "a hundred kills under load, and no request was under way");
    });
}

/// A file system of its own, of a few megabytes; root alone can make one.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(at)
            .status()
            .is_ok_and(|s| s.success());
        mounted.then(|| Self(at.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn promise_1_a_full_disk_refuses_with_a_page_and_recovers_when_space_returns() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = SmallDisk::mount(&folder.path().join("data"), "24m") else {
            eprintln!("skipped: this needs root, to mount a small file system");
            return;
        };
        let gate = Gate::builder().data(&disk.0).more("audit: { segment: 1MiB, reserve: 4MiB }\n").start().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        // Something else fills the disk to the last byte.
        let ballast = disk.0.join("ballast");
        fill(&ballast);
        let mut refused = None;
        for _ in 0..20_000 {
            let answer = post(&mut sato, &gate.url("/echo-fill")).await;
            if answer.0 != 200 && answer.0 != 404 {
                refused = Some(answer);
                break;
            }
        }
        let (status, error) = refused.expect("twenty thousand requests fit into a full disk");
        assert_eq!((status, error.as_str()), (503, "record-unavailable"));
        let before = gate.saas.handle.seen_total();
        for _ in 0..5 {
            assert_eq!(post(&mut sato, &gate.url("/echo-fill")).await.0, 503);
        }
        assert_eq!(gate.saas.handle.seen_total(), before, "something reached the SaaS without a record");
        assert!(gate.observe("/readyz").await.0.contains("503"));
        std::fs::remove_file(&ballast).unwrap();
        eventually("it recovers by itself", async || {
            (post(&mut sato, &gate.url("/echo-fill")).await.0 != 503).then_some(())
        })
        .await;
        nothing_is_missing(&gate);
    });
}

fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [65_536, 4_096] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

async fn post(browser: &mut Browser, url: &str) -> (u16, String) {
    let answer = browser.send(Method::POST, url, Mode::Fetch, HeaderMap::new(), Bytes::new()).await.unwrap();
    (answer.status.as_u16(), answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn promise_1_a_disk_that_turns_read_only_or_breaks_refuses_and_recovers() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::build(folder.path());
        let gate = Gate::builder()
            .environment("LD_PRELOAD", shim.library())
            .environment("SHIM_CONTROL", shim.control())
            .start()
            .await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        for fault in ["EROFS", "EIO"] {
            shim.set(fault);
            let (status, error) = eventually("requests are refused", async || {
                let answer = post(&mut sato, &gate.url("/echo-fault")).await;
                (answer.0 == 503).then_some(answer)
            })
            .await;
            assert_eq!((status, error.as_str()), (503, "record-unavailable"), "{fault}");
            let before = gate.saas.handle.seen_total();
            assert_eq!(post(&mut sato, &gate.url("/echo-fault")).await.0, 503);
            assert_eq!(gate.saas.handle.seen_total(), before);
            shim.set("");
            eventually("it recovers by itself", async || {
                (post(&mut sato, &gate.url("/echo-fault")).await.0 != 503).then_some(())
            })
            .await;
        }
        nothing_is_missing(&gate);
    });
}

#[test]
fn promise_1_a_disk_that_does_not_answer_refuses_in_time() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::build(folder.path());
        let gate = Gate::builder()
            .environment("LD_PRELOAD", shim.library())
            .environment("SHIM_CONTROL", shim.control())
            .start()
            .await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        shim.set("SLOW");
        let before = gate.saas.handle.seen_total();
        let (status, error) = post(&mut sato, &gate.url("/echo-slow")).await;
        assert_eq!((status, error.as_str()), (503, "record-unavailable"));
        assert_eq!(gate.saas.handle.seen_total(), before, "it left without its record");
        shim.set("");
        eventually("it recovers by itself", async || {
            (post(&mut sato, &gate.url("/echo-slow")).await.0 != 503).then_some(())
        })
        .await;
        nothing_is_missing(&gate);
    });
}

#[test]
fn promise_1_a_flood_of_strangers_neither_fills_the_disk_nor_hinders_known_people() {
    run(async {
        let gate = Gate::usual().await;
        gate.add_staff("sato", &["staff"]);
        let mut sato = gate.signed_in("sato").await;
        let floods = if long() { 20_000 } else { 3_000 };
        let strangers: Vec<_> = (0..4)
            .map(|_| {
                let (mut stranger, url) = (gate.browser(OUTSIDE), gate.url("/flood"));
                tokio::spawn(async move {
                    for _ in 0..floods / 4 {
                        let answer =
                            stranger.send(Method::GET, &url, Mode::Bare, HeaderMap::new(), Bytes::new()).await.unwrap();
                        assert_eq!(answer.status, 403);
                    }
                })
            })
            .collect();
        let mut served = 0;
        while !strangers.iter().all(tokio::task::JoinHandle::is_finished) {
            let answer = tokio::time::timeout(Duration::from_secs(5), post(&mut sato, &gate.url("/echo-known"))).await;
            assert_ne!(answer.expect("a known person had to wait").0, 503);
            served += 1;
        }
        for stranger in strangers {
            stranger.await.unwrap();
        }
        assert!(served > 10, "{served}");
        let single = gate.requests(&["--decision", "deny"]).iter().filter(|r| r["path"] == "/flood").count();
        assert!(single <= 3 * 30, "{single} records for one stranger");
        gate.signal("TERM");
        let counted = eventually("the count is recorded", async || {
            let counts: u64 = gate
                .entries(&["aggregate"])
                .map(|entry| match entry.record {
                    audit::Record::Aggregate(aggregate) => aggregate.count,
                    _ => 0,
                })
                .sum();
            (counts + single as u64 >= floods).then_some(counts)
        })
        .await;
        assert!(counted > 0);
    });
}
