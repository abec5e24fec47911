//! The runner: `run [--rounds 15] [--requests 6000] [--idle 5000] [--people 100000] [--sessions 20000]
//! [--peers nginx,sekisho] [--h1-only true] [--out target/bench/report.json]`. Names of peers as the report has them;
//! a ratio needs both.
#![expect(clippy::print_stderr, reason = "shows how far it is")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use sekisho_bench::decision::Size;
use sekisho_bench::machine::Machine;
use sekisho_bench::measure::{self, Effort};
use sekisho_bench::peers::{self, Peer, Setting};
use sekisho_bench::pki::Pki;
use sekisho_bench::plan::{Mode, OriginPlan};
use sekisho_bench::process::{self, LOAD_CORE, Running, free_address, sibling};
use sekisho_bench::report::{Decision, Report};
use sekisho_bench::{decision, sekisho};

const BODY_BYTES: usize = 10_000;

struct Wish {
    rounds: usize,
    effort: Effort,
    people: usize,
    sessions: usize,
    /// None: all.
    peers: Option<Vec<String>>,
    h1_only: bool,
    out: PathBuf,
}

fn main() -> Result<()> {
    let wish = wish()?;
    process::allow_files(20_000)?;
    let folder = tempfile::Builder::new().prefix("sekisho-bench-").tempdir()?;
    let (_origin, setting) = stage(folder.path().to_owned())?;

    let mut peers = Vec::new();
    let mut start = |name: &str, start: &dyn Fn() -> Result<Peer>| -> Result<()> {
        if wish.peers.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name)) {
            peers.push(start()?);
        }
        Ok(())
    };
    start("nginx", &|| peers::nginx(&setting))?;
    start("nginx_auth_request", &|| peers::nginx_auth_request(&setting))?;
    start("haproxy", &|| peers::haproxy(&setting))?;
    start("pingora", &|| peers::raw_pingora(&setting))?;
    start(sekisho::ONE, &|| sekisho::start(&setting))?;
    start(sekisho::CROWDED, &|| sekisho::start_crowded(&setting, wish.people, wish.sessions))?;
    let modes: &[Mode] = if wish.h1_only { &[Mode::H1] } else { &[Mode::H1, Mode::H2, Mode::Newconn] };

    let mut runs = Vec::new();
    for round in 0..wish.rounds {
        for &mode in modes {
            for peer in in_turn(&peers, round).filter(|peer| takes_part(peer, mode)) {
                let run = measure::load(&setting, peer, mode, wish.effort, round)
                    .with_context(|| format!("{} {mode:?}", peer.name))?;
                eprintln!(
                    "round {round} {mode:?} {:<20} {:7.1} CPU µs/request {:8.0}/s  p50 {} µs  p99 {} µs",
                    peer.name, run.cpu_us, run.rps, run.p50_us, run.p99_us
                );
                runs.push(run);
            }
        }
    }
    let mut idle = BTreeMap::new();
    for peer in peers.iter().filter(|peer| !wish.h1_only && takes_part(peer, Mode::Idle)) {
        let kb = measure::idle_kb(&setting, peer, wish.effort).with_context(|| format!("{} idle", peer.name))?;
        eprintln!("{:<20} {kb:6.1} KB per idle connection", peer.name);
        idle.insert(peer.name.to_owned(), kb);
    }
    drop(peers);
    let decision = Decision {
        many_rules: decision::nanoseconds(Size { rules: 1_000, cidrs: 50 })?,
        few_networks: decision::nanoseconds(Size { rules: 50, cidrs: 10 })?,
        many_networks: decision::nanoseconds(Size { rules: 50, cidrs: 10_000 })?,
    };
    let Decision { many_rules, few_networks, many_networks } = decision;
    eprintln!("a decision at 1,000 rules: {many_rules:.0} ns");
    eprintln!("a decision at 50 rules: {few_networks:.0} ns with 10 address ranges, {many_networks:.0} ns with 10,000");

    let report = Report::new(runs, idle, decision, Machine::read());
    if let Some(folder) = wish.out.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&wish.out, serde_json::to_string_pretty(&report)? + "\n")?;
    eprintln!("{}", wish.out.display());
    Ok(())
}

/// Certificates and the origin.
fn stage(folder: PathBuf) -> Result<(Running, Setting)> {
    let pki = Pki::make(&folder)?;
    let address = free_address()?;
    let plan = OriginPlan { listen: address, tls: Some(pki.origin.clone()), body_bytes: BODY_BYTES };
    let (program, plan) = (sibling("origin")?, serde_json::to_string(&plan)?);
    let mut origin = Running::start(LOAD_CORE, "origin", &folder, &[program.as_os_str(), OsStr::new(&plan)])?;
    origin.wait_for(address)?;
    Ok((origin, Setting { folder, pki, origin: address }))
}

/// How many people there are matters to what a request costs; the crowded gate is asked for that alone.
fn takes_part(peer: &Peer, mode: Mode) -> bool {
    peer.name != sekisho::CROWDED || mode == Mode::H1
}

/// Another order each round, so that nobody always follows the same neighbour.
fn in_turn(peers: &[Peer], round: usize) -> impl Iterator<Item = &Peer> {
    peers.iter().cycle().skip(round % peers.len().max(1)).take(peers.len())
}

fn wish() -> Result<Wish> {
    let mut wish = Wish {
        // Many short rounds rather than few long ones: what disturbs a machine for a minute spoils few of the ratios,
        // each of which is of two runs that stood seconds apart.
        rounds: 15,
        effort: Effort { requests: 6_000, idle_connections: 5_000 },
        people: sekisho::CROWD,
        sessions: sekisho::SESSIONS,
        peers: None,
        h1_only: false,
        out: PathBuf::from("target/bench/report.json"),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--rounds" => wish.rounds = value.parse()?,
            "--requests" => wish.effort.requests = value.parse()?,
            "--idle" => wish.effort.idle_connections = value.parse()?,
            "--people" => wish.people = value.parse()?,
            "--sessions" => wish.sessions = value.parse()?,
            "--peers" => wish.peers = Some(value.split(',').map(str::to_owned).collect()),
            "--h1-only" => wish.h1_only = value.parse()?,
            "--out" => wish.out = value.into(),
            _ => {
                bail!(
                    "{argument} is not known; there are --rounds, --requests, --idle, --people, --sessions, --peers, \
                     --h1-only and --out"
                )
            }
        }
    }
    Ok(wish)
}
