//! One measurement of one peer.

use std::ffi::OsStr;

use anyhow::Result;

use crate::peers::{Peer, Setting};
use crate::plan::{LoadPlan, LoadResult, Mode};
use crate::process::{Dialogue, LOAD_CORE, cpu_ns, resident_bytes, sibling};
use crate::report::Run;

/// How much work a measurement is.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Requests on kept connections; new connections get a tenth.
    pub requests: usize,
    pub idle_connections: usize,
}

/// CPU per request and latency.
///
/// # Errors
/// A request failed: a bench with errors measures nothing.
pub fn load(setting: &Setting, peer: &Peer, mode: Mode, effort: Effort, round: usize) -> Result<Run> {
    let (connections, streams, requests) = match mode {
        Mode::H1 => (64, 1, effort.requests),
        Mode::H2 => (16, 4, effort.requests),
        Mode::Newconn | Mode::Idle => (16, 1, effort.requests / 10),
    };
    let plan = plan(setting, peer, mode, connections, streams, requests);
    let mut clients = start(&plan)?;
    let pids = peer.pids();
    let before = cpu_ns(&pids)?;
    let result: LoadResult = serde_json::from_str(&clients.go()?)?;
    let cpu = cpu_ns(&pids)? - before;
    let cpu_us = cpu as f64 / 1000.0 / result.requests as f64;
    let LoadResult { rps, p50_us, p99_us, requests, .. } = result;
    Ok(Run { round, peer: peer.name.to_owned(), mode, requests, cpu_us, rps, p50_us, p99_us })
}

/// Kilobytes (of 1,000 bytes) of resident memory per connection that has had one request and is silent now.
///
/// # Errors
/// A connection could not be made.
pub fn idle_kb(setting: &Setting, peer: &Peer, effort: Effort) -> Result<f64> {
    // What one connection brings into memory for all is not what each costs.
    drop(start(&plan(setting, peer, Mode::Idle, 64, 1, 64))?);
    let pids = peer.pids();
    let before = resident_bytes(&pids)?;
    let clients = start(&plan(setting, peer, Mode::Idle, effort.idle_connections, 1, 0))?;
    let after = resident_bytes(&pids)?;
    drop(clients);
    Ok(after.saturating_sub(before) as f64 / 1000.0 / effort.idle_connections as f64)
}

fn plan(setting: &Setting, peer: &Peer, mode: Mode, connections: usize, streams: usize, requests: usize) -> LoadPlan {
    LoadPlan {
        mode,
        address: peer.address,
        host: peer.host.clone(),
        path: "/residents/101".to_owned(),
        ca: peer.ca.clone().unwrap_or_else(|| setting.pki.site_ca.clone()),
        client: peer.client.clone().unwrap_or_else(|| setting.pki.client.clone()),
        cookie: Some(peer.cookie.clone()),
        connections,
        streams,
        warmup: requests / 10,
        requests,
    }
}

fn start(plan: &LoadPlan) -> Result<Dialogue> {
    let (program, plan) = (sibling("load")?, serde_json::to_string(plan)?);
    Dialogue::start(LOAD_CORE, &[program.as_os_str(), OsStr::new(&plan)])
}
