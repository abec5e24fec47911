//! How many records a second are verified: writes a log of realistic leaves and verifies it.
//!
//!     cargo run --release -p sekisho-audit-verify --example throughput -- [LEAVES] [JOBS] [strict]
//!
//! The figure is by the CPU time of the verification, user and system, so that other programs don't count.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use audit_verify::LogOptions;
use support::{Gate, Log, verify};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let leaves = arguments.next().map_or(1_000_000, |leaves| leaves.parse::<usize>().unwrap());
    let jobs = arguments.next().map_or(1, |jobs| jobs.parse::<usize>().unwrap());
    let strict = arguments.next().is_some_and(|word| word == "strict");
    let mut gate = Gate::new(1);
    (0..leaves).for_each(|_| request(&mut gate));
    let bytes = gate.leaves.iter().map(Vec::len).sum::<usize>() / leaves;
    let log = Log::of(&gate.leaves);
    drop(gate);
    let options = LogOptions { jobs, strict, ..log.options() };
    for _ in 0..3 {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        verify(&options).unwrap();
        let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!(
            "{leaves} leaves of {bytes} bytes, {jobs} jobs: {:.0}/s by CPU time, {:.0}/s by the clock",
            leaves as f64 / cpu,
            leaves as f64 / wall
        );
    }
}

/// A request as a gateway in front of two SaaS sees it.
fn request(gate: &mut Gate) {
    let (seq, outcome) = (gate.take(), gate.take());
    let person = gate.random.below(400);
    let app = ["kaipoke", "kintone"][gate.random.below(2) as usize];
    let path = match gate.random.below(4) {
        0 => format!("/js/app.{:08x}.js", gate.random.below(500)),
        1 => "/k/v1/records.json?app=***&query=***".to_owned(),
        2 => "/biz/plan/edit.do?id=***".to_owned(),
        _ => format!("/img/icon{}.png", gate.random.below(60)),
    };
    let (sent, took) = (gate.random.below(60_000), gate.random.below(80_000));
    let source = gate.random.below(250);
    let fields = format!(
        ",\"app\":\"{app}\",\"host\":\"{app}.gate.example.jp\",\"method\":\"GET\",\"path\":\"{path}\",\"action\":\"view\",\
         \"decision\":\"permit\",\"reason\":\"rule\",\"rule\":\"{app}-inside\",\"person\":\"p{person:03}\",\"session\":\"s{person:05}\",\
         \"factors\":2,\"device\":\"d{person:03}\",\"source\":\"192.0.2.{source}\",\"networks\":[\"office\"],\"inside\":true,\
         \"tls\":\"1.3\",\"http\":\"2\",\"user_agent\":\"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)\",\
         \"outcome\":{{\"at\":1793500000000000,\"end\":\"ok\",\"status\":200,\"bytes_in\":0,\"bytes_out\":{sent},\
         \"upstream_us\":{took},\"total_us\":{took}}}"
    );
    gate.leaf(seq, Some(outcome), "request", &fields);
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name in parentheses: state is field 3, utime 14, stime 15, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().collect::<Vec<_>>();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
