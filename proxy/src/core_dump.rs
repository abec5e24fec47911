//! What this process holds in memory (keys, passwords, what it forwards) is not written to a file when it crashes, and not
//! shown to other processes of the same user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// For the whole process, and before it reads any secret. Where the system refuses, as systemd's `SystemCallFilter` may, the
/// unit's `LimitCORE=0` stands.
pub(crate) fn forbid() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    // A core_pattern that is a program is started whatever the limit; for a process that is not dumpable it is not.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
