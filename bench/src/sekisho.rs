//! The gate as a peer, with everything on: certificate, session, 50 rules, 1,000 CIDRs, strict record.

use std::fmt::Write as _;

use anyhow::Result;

use crate::peers::{Peer, Setting};

pub const RULES: usize = 50;
pub const CIDRS: usize = 1_000;

/// Starts the gate on the proxies' core, enrols the client's device and signs somebody in.
///
/// `None` while the binary has no command line for that: the report then holds the other peers only.
///
/// # Errors
/// The gate does not start, or the sign-in fails.
pub fn start(setting: &Setting) -> Result<Option<Peer>> {
    let _ = setting;
    Ok(None)
}

/// The `networks` section: one that holds loopback, and [`CIDRS`] ranges around it.
pub fn networks() -> String {
    let mut yaml = "networks:\n  inside:\n    cidrs: [127.0.0.0/8]\n  elsewhere:\n    cidrs:\n".to_owned();
    for number in 0..CIDRS {
        let _ = writeln!(yaml, "      - 10.{}.{}.0/25", number / 256, number % 256);
    }
    yaml
}

/// The `policy` section: [`RULES`] rules, of which the last one allows what the bench does.
pub fn policy(app: &str, group: &str) -> String {
    let mut yaml = "policy:\n".to_owned();
    for number in 1..RULES {
        let _ = write!(
            yaml,
            "  - name: rule {number}\n    apps: [{app}]\n    who: {{ groups: [group-{number}] }}\n    \
             from: {{ networks: [elsewhere] }}\n    when: {{ days: mon-sun, hours: \"06:00-22:00\" }}\n    \
             allow: [view, edit]\n"
        );
    }
    let _ = write!(
        yaml,
        "  - name: the bench\n    apps: [{app}]\n    who: {{ groups: [{group}] }}\n    \
         from: {{ networks: [inside], device: enrolled }}\n    allow: [view]\n"
    );
    yaml
}
