//! `audit-verify`.
fn main() {}
