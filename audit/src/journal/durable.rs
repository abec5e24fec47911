//! Every durable step of the journal, and the order of its system calls. Nothing else in this crate touches a file
//! that it writes.
//!
//! | step | calls, in this order | what holds afterwards, power loss included |
//! |---|---|---|
//! | create | `open(O_CREAT\|O_EXCL)`, `fallocate`, write header and zeros, `fsync`, `fsync` of the folder | the file is there, at full length, with its header |
//! | append | `pwrite` into the written-ahead zeros | nothing yet; after `kill -9` of the process, all of it |
//! | sync | `fdatasync` | all that was appended; no length and no block map changes, so nothing else is needed |
//! | shorten | `ftruncate`, `fsync` | the file ends after its last frame |
//! | replace | write a new file, `fsync`, `rename`, `fsync` of the folder | the old or the new content, never a mixture |
//! | copy | as replace, from another file's bytes | as replace |
//! | remove | `unlink`, `fsync` of the folder | the file is gone |
//!
//! After an append or a sync has failed, the kernel may have dropped the pages it could not write and call the next
//! sync a success: such a file is never written or synchronised again.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, statvfs};
use rustix::io::Errno;

use crate::AuditError;

/// The steps above. There are two of these: the file system, and one in the tests that fails and loses power.
pub(crate) trait Disk: Send + Sync + Debug {
    /// Makes the folder if need be and takes it for this process alone.
    fn lock(&self, dir: &Path) -> Result<Lock, AuditError>;
    fn create(&self, path: &Path, header: &[u8], length: u64) -> io::Result<Box<dyn SegmentFile>>;
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;
    fn shorten(&self, path: &Path, length: u64) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Names of the files in the folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Bytes that an unprivileged process may still write.
    fn free(&self, dir: &Path) -> io::Result<u64>;
}

/// An open segment.
pub(crate) trait SegmentFile: Send + Debug {
    fn append(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn shorten(&mut self, length: u64) -> io::Result<()>;
    /// The file still stands in its folder: what is written to it can be found again.
    fn is_linked(&self) -> io::Result<bool>;
}

/// The journal's folder is ours while this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: Option<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Said, not left to the closing: a child that was just forked and has not become another program yet holds the
        // file open, too.
        if let Some(file) = &self.file {
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}

impl Lock {
    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self { file: None }
    }
}

/// The real one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileSystem;

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

impl Disk for FileSystem {
    fn lock(&self, dir: &Path) -> Result<Lock, AuditError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(dir)
            .map_err(AuditError::io("could not make the folder", dir))?;
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(AuditError::io("could not open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { file: Some(file) }),
            Err(Errno::WOULDBLOCK) => Err(AuditError::Locked(dir.to_owned())),
            Err(errno) => Err(AuditError::io("could not lock", &path)(errno.into())),
        }
    }

    fn create(&self, path: &Path, header: &[u8], length: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().create_new(true).read(true).write(true).mode(FILE_MODE).open(path)?;
        let write_ahead = || -> io::Result<()> {
            // Reserves the blocks at once and side by side; a file system that can't is told by the writes.
            match fallocate(&file, FallocateFlags::empty(), 0, length) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                Err(errno) => return Err(errno.into()),
            }
            file.write_all_at(header, 0)?;
            let zeros = vec![0; 256 << 10];
            let mut at = header.len() as u64;
            while at < length {
                let part = usize::try_from(length - at).unwrap_or(usize::MAX).min(zeros.len());
                file.write_all_at(&zeros[..part], at)?;
                at += part as u64;
            }
            file.sync_all()?;
            sync_folder(path)
        };
        if let Err(error) = write_ahead() {
            // It was never used, so it may go; if it can't, opening the journal removes it.
            drop(fs::remove_file(path));
            return Err(error);
        }
        Ok(Box::new(OpenSegment { file }))
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let new = temporary(path);
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(FILE_MODE).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_folder(path)
    }

    fn shorten(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        sync_folder(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        let volume = statvfs(dir)?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }
}

#[derive(Debug)]
struct OpenSegment {
    file: File,
}

impl SegmentFile for OpenSegment {
    fn append(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn shorten(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.sync_all()
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() > 0)
    }
}

/// `x` → `x.tmp`; opening the journal removes what is left of these.
fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_again_though_somebody_else_holds_its_lock_file_open() {
        let dir = tempfile::tempdir().unwrap();
        let lock = FileSystem.lock(dir.path()).unwrap();
        // As a child has it between its fork and the program that it becomes.
        let held = lock.file.as_ref().unwrap().try_clone().unwrap();
        assert!(matches!(FileSystem.lock(dir.path()), Err(AuditError::Locked(_))));
        drop(lock);
        assert!(FileSystem.lock(dir.path()).is_ok());
        drop(held);
    }
}
