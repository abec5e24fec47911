//! Software of others in Python, in exact versions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// A Python with these requirements in the folder `name` below `target`; installed there if it isn't yet.
pub(crate) fn venv(name: &str, requirements: &Path) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").canonicalize().unwrap().join(name);
    let python = folder.join("bin/python");
    let done = folder.join("installed");
    let wanted = std::fs::read(requirements).unwrap();
    if std::fs::read(&done).is_ok_and(|there| there == wanted) {
        return python;
    }
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
            panic!("{} can't be run ({error}); deploy/setup.sh test installs it", program.display())
        });
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(Path::new("python3"), &["-m", "venv", "--clear", folder.to_str().unwrap()]);
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(&python, &[&install[..], &[requirements.to_str().unwrap()]].concat());
    std::fs::write(done, wanted).unwrap();
    python
}
