//! A library that the gate's process loads before libc's (`tests/faults.c`): the disk and the wall clock do what the
//! test says. The product has no hook for either.

use std::path::{Path, PathBuf};
use std::process::Command;

use vocabulary::Timestamp;

pub(crate) struct Shim {
    library: PathBuf,
    control: PathBuf,
    clock: PathBuf,
}

impl Shim {
    pub(crate) fn build(folder: &Path) -> Self {
        let (library, control, clock) = (folder.join("faults.so"), folder.join("fault"), folder.join("clock"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/faults.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .args(["-ldl"])
            .status();
        assert!(built.is_ok_and(|s| s.success()), "cc could not build tests/faults.c");
        std::fs::write(&control, "").unwrap();
        std::fs::write(&clock, "").unwrap();
        Self { library, control, clock }
    }

    pub(crate) fn library(&self) -> String {
        self.library.display().to_string()
    }

    pub(crate) fn control(&self) -> String {
        self.control.display().to_string()
    }

    /// The file that says what the wall clock shows.
    pub(crate) fn clock(&self) -> String {
        self.clock.display().to_string()
    }

    /// What happens to the journal's files from now on.
    pub(crate) fn set(&self, fault: &str) {
        replace(&self.control, fault);
    }

    /// From now on the gate's wall clock goes so many microseconds wrong.
    pub(crate) fn shift(&self, micros: i64) {
        replace(&self.clock, &if micros == 0 { String::new() } else { format!("+{micros}") });
    }

    /// From now on the gate's wall clock stands at this instant.
    pub(crate) fn stand(&self, at: Timestamp) {
        replace(&self.clock, &format!("={}", at.0));
    }
}

/// Renamed into place, so that it is never read half written.
fn replace(file: &Path, text: &str) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, file).unwrap();
}
