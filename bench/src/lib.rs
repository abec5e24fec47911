//! `make bench`: the gate beside other proxies, on the same origin, with the same certificates, on one core.
//!
//! | binary | what it is |
//! |---|---|
//! | `run` | the runner: starts everything, measures in interleaved rounds, writes `target/bench/report.json` |
//! | `load` | the clients: HTTP/1.1, HTTP/2, a new connection for each request, or idle connections |
//! | `origin` | the SaaS: 10 KB over TLS, as cheaply as it goes |
//! | `raw-pingora` | pingora alone: no checks, no record |
//!
//! The binaries speak JSON with each other: the types are in [`plan`]. Every proxy talks verified TLS and HTTP/1.1 to
//! the origin, because the gate does.

pub mod decision;
pub mod machine;
pub mod measure;
pub mod peers;
pub mod pki;
pub mod plan;
pub mod process;
pub mod recognise;
pub mod records;
pub mod report;
pub mod sekisho;
