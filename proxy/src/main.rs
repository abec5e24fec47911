//! `sekisho`: the gate, its command line, and the adapters between the crates.
//!
//! The way of one request is in [`line`]; its stations are [`listener`], and the files beside `line/mod.rs`.

mod answer;
mod cli;
mod control;
mod core;
mod core_dump;
mod demo;
mod descriptors;
mod enrol;
mod forward;
mod gate;
mod kept;
mod line;
mod listener;
mod logins;
mod mail;
mod metrics;
mod observe;
mod serve;
mod terminal;

/// Why not the system's: see the workspace's `Cargo.toml`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    core_dump::forbid();
    cli::run()
}
