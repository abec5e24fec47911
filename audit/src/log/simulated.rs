//! Files for tests: the n-th step fails, done or not done, and power is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::files::{Barrier, Files, OnDisk, Written};

/// What happens to the step that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It took effect all the same.
    Done,
    NotDone,
}

#[derive(Debug, Default)]
struct State {
    /// As the process sees it.
    names: BTreeMap<PathBuf, Vec<u8>>,
    /// Written and not synchronised: power loss would leave anything of it, so it must not get its name.
    dirty: BTreeSet<PathBuf>,
    /// What power loss leaves of it for certain.
    durable: BTreeMap<PathBuf, Vec<u8>>,
    folders: BTreeSet<PathBuf>,
    steps: usize,
    fail: Option<(usize, Failing)>,
    /// Every step after the failing one fails as well: the process was killed.
    killed: bool,
    kill: bool,
    /// Checkpoints that anybody could have read.
    checkpoints: BTreeSet<String>,
}

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Simulated(Arc<Mutex<State>>);

impl Simulated {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How many steps were taken.
    pub(crate) fn steps(&self) -> usize {
        self.state().steps
    }

    /// Has step number `at` fail, counted from the first of all; with `kill`, all after it too.
    pub(crate) fn fail_at(&self, at: usize, failing: Failing, kill: bool) {
        let mut state = self.state();
        (state.fail, state.kill) = (Some((at, failing)), kill);
    }

    /// The process starts anew on the same disk. With `power`, power was lost before: of what was not synchronised, each
    /// name is as it was before or after, as `power` says.
    pub(crate) fn restart(&self, power: Option<&mut dyn FnMut() -> bool>) {
        let mut state = self.state();
        (state.killed, state.fail) = (false, None);
        if let Some(kept) = power {
            let names: BTreeSet<_> = state.names.keys().chain(state.durable.keys()).cloned().collect();
            for name in names {
                if kept() {
                    continue;
                }
                match state.durable.get(&name).cloned() {
                    Some(content) => state.names.insert(name, content),
                    None => state.names.remove(&name),
                };
            }
        }
        state.durable = state.names.clone();
    }

    pub(crate) fn checkpoints(&self) -> BTreeSet<String> {
        self.state().checkpoints.clone()
    }

    /// Writes everything out, for readers.
    pub(crate) fn write_out(&self) {
        for (path, content) in &self.state().names {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }

    pub(crate) fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.state().names.get_mut(path).unwrap());
    }

    pub(crate) fn has(&self, path: &Path) -> bool {
        self.state().names.contains_key(path)
    }

    fn step(&self, take_effect: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.state();
        if state.killed {
            return Err(io::ErrorKind::Other.into());
        }
        let step = state.steps;
        state.steps += 1;
        let failing = state.fail.filter(|(at, _)| *at == step).map(|(_, failing)| failing);
        if failing != Some(Failing::NotDone) {
            take_effect(&mut state);
        }
        if failing.is_some() {
            state.killed = state.kill;
            return Err(io::ErrorKind::Other.into());
        }
        Ok(())
    }
}

impl Files for Simulated {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state().names.get(path).cloned())
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<Written> {
        self.step(|state| {
            assert!(
                state.folders.contains(path.parent().unwrap()) || !path.to_string_lossy().contains("/log/"),
                "{path:?}"
            );
            state.names.insert(path.to_owned(), content.to_vec());
            state.dirty.insert(path.to_owned());
        })
        .map(|()| Written::default())
    }

    fn barrier(&self, _: &Path) -> io::Result<Barrier> {
        Ok(Barrier::default())
    }

    fn sync_files(&self, _: &Barrier, written: &[(PathBuf, Written)]) -> io::Result<()> {
        self.step(|state| written.iter().for_each(|(path, _)| assert!(state.dirty.remove(path))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|state| {
            let content = state.names.remove(from).unwrap();
            assert!(!state.dirty.contains(from), "{from:?} is not on the disk");
            if to.ends_with("log/checkpoint") {
                state.checkpoints.insert(String::from_utf8(content.clone()).unwrap());
            }
            state.names.insert(to.to_owned(), content);
        })
    }

    fn sync_folder(&self, dir: &Path) -> io::Result<()> {
        self.step(|state| {
            let within = |path: &Path| path.parent() == Some(dir);
            state.durable.retain(|path, _| !within(path));
            let synced: Vec<_> =
                state.names.iter().filter(|(path, _)| within(path)).map(|(p, c)| (p.clone(), c.clone())).collect();
            state.durable.extend(synced);
        })
    }

    fn make_folder(&self, dir: &Path) -> io::Result<()> {
        self.step(|state| {
            state.folders.insert(dir.to_owned());
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        // Files of the journal are real.
        if path.to_string_lossy().contains("/journal/") {
            self.step(|_| ())?;
            return OnDisk.remove(path);
        }
        self.step(|state| {
            state.names.remove(path);
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let within = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(within.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }
}
