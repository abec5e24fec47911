//! Durable writes, and the order of the system calls in them.
//!
//! A file: `open(O_CREAT|O_EXCL, mode) → write → fsync`. A folder: all of its files so, then `fsync` of the
//! folder itself, `rename` to its final name, and `fsync` of the parent. A crash at any moment leaves either no
//! certificate authority or a whole one. A file that is replaced: written so beside the old one, then `rename` over it,
//! and `fsync` of the folder; a crash leaves the old or the new.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{CertError, Result};

/// Readable by the owner only.
const SECRET: u32 = 0o600;
/// Certificates are public.
const PUBLIC: u32 = 0o644;

/// A folder under construction; what isn't finished is removed again.
#[derive(Debug)]
pub(crate) struct NewFolder {
    building: PathBuf,
    target: PathBuf,
    finished: bool,
}

impl NewFolder {
    /// Begins `target`, which must be absent or empty.
    pub(crate) fn begin(target: &Path) -> Result<Self> {
        match fs::read_dir(target).map(|mut entries| entries.next().is_some()) {
            Ok(true) => return Err(CertError::Exists { path: target.to_owned() }),
            Ok(false) => {}
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(io(target)(cause)),
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{}", std::process::id()));
        let building = parent(target).join(name);
        fs::create_dir_all(parent(target)).map_err(io(target))?;
        DirBuilder::new().mode(0o700).create(&building).map_err(io(&building))?;
        Ok(Self { building, target: target.to_owned(), finished: false })
    }

    pub(crate) fn write_public(&self, name: &str, content: &str) -> Result<()> {
        write_new(&self.building.join(name), content.as_bytes(), PUBLIC)
    }

    pub(crate) fn write_secret(&self, name: &str, content: &str) -> Result<()> {
        write_new(&self.building.join(name), content.as_bytes(), SECRET)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        sync_folder(&self.building)?;
        fs::rename(&self.building, &self.target).map_err(|cause| match cause.kind() {
            ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => CertError::Exists { path: self.target.clone() },
            _ => io(&self.target)(cause),
        })?;
        self.finished = true;
        sync_folder(parent(&self.target))
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.finished {
            // Nothing depends on it: at worst an unfinished folder stays, under a name nobody reads.
            let _ = fs::remove_dir_all(&self.building);
        }
    }
}

/// A secret file that did not exist before, with its name durable.
pub(crate) fn write_new_secret(path: &Path, content: &str) -> Result<()> {
    write_new(path, content.as_bytes(), SECRET)?;
    sync_folder(parent(path))
}

/// Holds a folder for one process at a time, until it is dropped. Readers don't ask: what they read is always whole.
pub(crate) struct Held {
    folder: File,
    path: PathBuf,
}

impl Held {
    pub(crate) fn hold(path: &Path) -> Result<Self> {
        let folder = File::open(path).map_err(io(path))?;
        folder.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => CertError::Busy { path: path.to_owned() },
            fs::TryLockError::Error(cause) => io(path)(cause),
        })?;
        Ok(Self { folder, path: path.to_owned() })
    }

    pub(crate) fn replace_public(&self, name: &str, content: &str) -> Result<()> {
        self.replace(name, content, PUBLIC)
    }

    pub(crate) fn replace_secret(&self, name: &str, content: &str) -> Result<()> {
        self.replace(name, content, SECRET)
    }

    fn replace(&self, name: &str, content: &str, mode: u32) -> Result<()> {
        let (path, beside) = (self.path.join(name), self.path.join(format!("{name}.new")));
        // Left by a crash; nobody else is at it, because the folder is held.
        match fs::remove_file(&beside) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(io(&beside)(cause)),
            _ => write_new(&beside, content.as_bytes(), mode)?,
        }
        fs::rename(&beside, &path).map_err(io(&path))?;
        sync_folder(&self.path)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing would not do while a process just being started still shares the file.
        let _ = self.folder.unlock();
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(io(path))
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(io(path))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(io(path))
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io(path))
}

/// The folder a path stands in; a bare name stands in the current one.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> CertError {
    let path = path.to_owned();
    |cause| CertError::Io { path, cause }
}
