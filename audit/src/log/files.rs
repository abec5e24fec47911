//! Every durable step of the log, and the order of its system calls. Nothing else in `log` touches a file that it
//! writes.
//!
//! | step | calls, in this order | what holds afterwards, power loss included |
//! |---|---|---|
//! | write | `open(O_CREAT\|O_EXCL)`, before it if need be `unlink` of a left-over, `write` | nothing; after `kill -9`, the temporary file's content, under a name that nobody reads |
//! | sync files | `fsync` of each; of very many, `syncfs` | their content |
//! | rename | `rename` | nothing yet; after `kill -9` of the process, the new name |
//! | sync folder | `fsync` of the folder | names in it |
//! | make folder | `mkdir`, `fsync` of its parent | the folder |
//! | remove | `unlink` or `rmdir` | nothing: a file that comes back after power loss is removed again |
//!
//! Content is on the disk before it gets its name, so a file that has its name is whole, whatever happened.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FsWord, fstatfs, syncfs};

/// From so many files on, the file system is synchronised instead of each of them, which costs a fraction: journals that
/// had to wait are long. A busy gate's batch stays below it, and so doesn't wait for what others wrote to the disk.
const VERY_MANY: usize = 64;

/// What `syncfs` is called on, if it can be relied on. Opened before the files are written: it tells of what failed since.
#[derive(Debug, Default)]
pub(crate) struct Barrier(Option<File>);

/// A file that was written. It stays open until it is on the disk: who opens it anew may not be told that this failed.
#[derive(Debug, Default)]
pub(crate) struct Written(Option<File>);

/// File systems whose `syncfs` is as good as `fsync` of each file: ext4, XFS, Btrfs, ZFS. FUSE's, for one, sends nothing.
const SURE: [FsWord; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1];

/// The steps above. There are two of these: the file system, and one in the tests that fails and loses power.
pub(crate) trait Files: Send + Sync + Debug {
    /// None: it is not there.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<Written>;
    /// Before files below this folder are written.
    fn barrier(&self, dir: &Path) -> io::Result<Barrier>;
    /// Files that were written since, and what they are called.
    fn sync_files(&self, barrier: &Barrier, written: &[(PathBuf, Written)]) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn sync_folder(&self, dir: &Path) -> io::Result<()>;
    /// One folder, whose parent is there; it may be there itself.
    fn make_folder(&self, dir: &Path) -> io::Result<()>;
    /// A file, or an empty folder; it may be gone.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names in a folder; none if it is not there.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
}

/// Puts a file in place as a whole, or leaves what was there. `folder`: the one in which it lies.
pub(super) fn replace(files: &dyn Files, folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let barrier = files.barrier(folder)?;
    let written = files.write(&temporary, content)?;
    files.sync_files(&barrier, &[(temporary.clone(), written)])?;
    files.rename(&temporary, path)?;
    files.sync_folder(folder)
}

/// The real one. Files of the log may be given to whoever serves or copies them; the folder above it is private.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnDisk;

const FILE_MODE: u32 = 0o644;
const DIR_MODE: u32 = 0o755;

impl Files for OnDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        found(fs::read(path))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<Written> {
        let create = || OpenOptions::new().create_new(true).write(true).mode(FILE_MODE).open(path);
        let mut file = match create() {
            // Never again a file whose synchronisation failed: the kernel may call the next one a success.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(path)?;
                create()?
            }
            created => created?,
        };
        file.write_all(content)?;
        Ok(Written(Some(file)))
    }

    fn barrier(&self, dir: &Path) -> io::Result<Barrier> {
        let dir = File::open(dir)?;
        let sure = syncfs_tells_failures() && SURE.contains(&fstatfs(&dir)?.f_type);
        Ok(Barrier(sure.then_some(dir)))
    }

    fn sync_files(&self, barrier: &Barrier, written: &[(PathBuf, Written)]) -> io::Result<()> {
        let mut files = written.iter().filter_map(|(_, written)| written.0.as_ref());
        if let Some(dir) = barrier.0.as_ref().filter(|_| written.len() >= VERY_MANY) {
            // A folder below may be another file system's.
            let device = dir.metadata()?.dev();
            if files.clone().all(|file| file.metadata().is_ok_and(|file| file.dev() == device)) {
                return Ok(syncfs(dir)?);
            }
        }
        files.try_for_each(File::sync_all)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn make_folder(&self, dir: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(DIR_MODE).create(dir) {
            // It may have been made just before power was lost, or before a synchronisation failed.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        dir.parent().map_or(Ok(()), |parent| self.sync_folder(parent))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => fs::remove_dir(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        found(removed).map(|_| ())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let listed = found(fs::read_dir(dir))?.into_iter().flatten();
        listed.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

/// Linux does so from 5.8 on (syncfs(2), "Errors").
fn syncfs_tells_failures() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let system = rustix::system::uname();
        let release = system.release().to_string_lossy();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        system.sysname().to_bytes() == b"Linux" && version >= (5, 8)
    })
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
