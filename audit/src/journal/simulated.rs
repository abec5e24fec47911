//! A disk for tests: it fails when told to, holds syncs back, and loses power.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::AuditError;
use crate::journal::durable::{Disk, Lock, SegmentFile};

/// What happens to a step that is told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It took effect all the same.
    Written,
    /// It did not.
    NotWritten,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    files: BTreeMap<PathBuf, Content>,
    pub(crate) fail_append: Option<Failing>,
    pub(crate) fail_sync: Option<Failing>,
    /// Every append, sync and create fails until it is false again.
    pub(crate) down: bool,
    /// Syncs wait until it is false again.
    pub(crate) hold: bool,
    pub(crate) held: usize,
    pub(crate) syncs: usize,
    pub(crate) free: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    durable: Vec<u8>,
    volatile: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
    /// It refused an append or sync, and must not be touched again.
    failed: bool,
    touched_after_failure: bool,
}

impl Content {
    fn settled(bytes: &[u8]) -> Self {
        Self { durable: bytes.to_vec(), volatile: bytes.to_vec(), ..Self::default() }
    }

    fn shorten(&mut self, length: u64) {
        self.settle();
        let length = usize::try_from(length).unwrap();
        self.durable.truncate(length);
        self.volatile.truncate(length);
    }

    fn settle(&mut self) {
        for (at, bytes) in self.unsynced.drain(..) {
            self.durable[at..at + bytes.len()].copy_from_slice(&bytes);
        }
    }
}

/// Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Simulated {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

impl Simulated {
    pub(crate) fn new() -> Self {
        let state = State { free: u64::MAX - 1, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::new(Condvar::new()) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until so many syncs are held back.
    pub(crate) fn await_held(&self, held: usize) {
        drop(self.changed.wait_while(self.state(), |state| state.held < held).unwrap());
    }

    /// No file was written or synchronised again after it had failed.
    pub(crate) fn kept_its_distance(&self) -> bool {
        !self.state().files.values().any(|file| file.touched_after_failure)
    }

    /// The disk after power was lost: of what was not synchronised, each sector is there, missing or garbled, as
    /// `fate` says.
    pub(crate) fn after_power_loss(&self, mut fate: impl FnMut() -> u8) -> Self {
        let after = Self::new();
        for (path, file) in &self.state().files {
            let mut bytes = file.durable.clone();
            for (at, written) in &file.unsynced {
                let mut start = *at;
                let end = at + written.len();
                while start < end {
                    let sector_end = (start / 512 * 512 + 512).min(end);
                    let sector = &written[start - at..sector_end - at];
                    match fate() % 4 {
                        0 => {}
                        1 => bytes[start..sector_end].fill(0xA5),
                        _ => bytes[start..sector_end].copy_from_slice(sector),
                    }
                    start = sector_end;
                }
            }
            after.state().files.insert(path.clone(), Content::settled(&bytes));
        }
        after
    }

    /// The disk after the process was killed: the operating system has all that was written.
    pub(crate) fn after_kill(&self) -> Self {
        let after = Self::new();
        for (path, file) in &self.state().files {
            after.state().files.insert(path.clone(), Content::settled(&file.volatile));
        }
        after
    }

    /// Writes the files out, for the reader.
    pub(crate) fn to_folder(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, file) in &self.state().files {
            std::fs::write(dir.path().join(path.file_name().unwrap()), &file.volatile).unwrap();
        }
        dir
    }
}

impl Disk for Simulated {
    fn lock(&self, _: &Path) -> Result<Lock, AuditError> {
        Ok(Lock::none())
    }

    fn create(&self, path: &Path, header: &[u8], length: u64) -> io::Result<Box<dyn SegmentFile>> {
        let mut state = self.state();
        if state.down {
            return Err(io::ErrorKind::StorageFull.into());
        }
        assert!(!state.files.contains_key(path), "{path:?} is there already");
        let mut bytes = header.to_vec();
        bytes.resize(usize::try_from(length).unwrap(), 0);
        state.files.insert(path.to_owned(), Content::settled(&bytes));
        Ok(Box::new(OpenFile { disk: self.clone(), path: path.to_owned() }))
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.state().files.insert(path.to_owned(), Content::settled(content));
        Ok(())
    }

    fn shorten(&self, path: &Path, length: u64) -> io::Result<()> {
        // Another process, later: it only cuts off what is not used.
        let mut state = self.state();
        let file = state.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        file.shorten(length);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().files.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.state().files.get(path).map(|file| file.volatile.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(self.state().free)
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: Simulated,
    path: PathBuf,
}

impl OpenFile {
    fn file<'s>(&self, state: &'s mut State) -> io::Result<&'s mut Content> {
        state.files.get_mut(&self.path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl SegmentFile for OpenFile {
    fn append(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let failing = if state.down { Some(Failing::NotWritten) } else { state.fail_append.take() };
        let file = self.file(&mut state)?;
        file.touched_after_failure |= file.failed;
        if failing != Some(Failing::NotWritten) {
            let at = usize::try_from(at).unwrap();
            file.volatile[at..at + bytes.len()].copy_from_slice(bytes);
            file.unsynced.push((at, bytes.to_vec()));
        }
        file.failed |= failing.is_some();
        failing.map_or(Ok(()), |_| Err(io::ErrorKind::Other.into()))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.held += 1;
        self.disk.changed.notify_all();
        state = self.disk.changed.wait_while(state, |state| state.hold).unwrap();
        state.held -= 1;
        state.syncs += 1;
        let failing = if state.down { Some(Failing::NotWritten) } else { state.fail_sync.take() };
        let file = self.file(&mut state)?;
        file.touched_after_failure |= file.failed;
        match failing {
            None | Some(Failing::Written) => file.settle(),
            // The kernel has dropped the pages and calls them clean.
            Some(Failing::NotWritten) => file.unsynced.clear(),
        }
        file.failed |= failing.is_some();
        failing.map_or(Ok(()), |_| Err(io::ErrorKind::Other.into()))
    }

    fn shorten(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let file = self.file(&mut state)?;
        file.touched_after_failure |= file.failed;
        file.shorten(length);
        Ok(())
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(self.disk.state().files.contains_key(&self.path))
    }
}
