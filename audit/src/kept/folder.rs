//! A checkpoint as a file in a folder that others keep.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::{Checkpoint, VerifierKey};

/// What became of a checkpoint that was to be a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filed {
    /// It is there now, under this name.
    Written(String),
    /// It was there already.
    There(String),
    /// Another checkpoint of the same log and size is there: one of the two is a forgery.
    Other(String),
}

/// Writes a checkpoint into a folder that others keep, durably: temporary file, `fsync`, rename that replaces nothing,
/// `fsync` of the folder. The folder itself is not made: a mount that is missing must not go unnoticed.
///
/// # Errors
/// It can't be written. Nothing of it is left then, if that can be had.
pub fn file(folder: &Path, checkpoint: &Checkpoint) -> io::Result<Filed> {
    // In the order of their sizes when they are listed.
    let name = format!("{}-{:020}.checkpoint", plain(&checkpoint.origin), checkpoint.size);
    let path = folder.join(&name);
    if let Some(found) = compared(&path, &name, checkpoint)? {
        return Ok(found);
    }
    let draft = folder.join(format!(".{name}.tmp"));
    let written = write_draft(&draft, checkpoint.as_str().as_bytes()).and_then(|()| move_to(&draft, &path));
    if let Err(error) = written {
        drop(std::fs::remove_file(&draft));
        // Somebody else's, between looking and moving.
        return match error.kind() {
            io::ErrorKind::AlreadyExists => compared(&path, &name, checkpoint)?.ok_or(error),
            _ => Err(error),
        };
    }
    std::fs::File::open(folder)?.sync_all()?;
    Ok(Filed::Written(name))
}

/// The largest checkpoint of the same log that lies in the folder, by its size. Only those that one of the `keys` has signed count:
/// others may write to the folder, too.
///
/// # Errors
/// The folder can't be read.
pub fn largest(folder: &Path, origin: &str, keys: &[VerifierKey]) -> io::Result<Option<u64>> {
    let mut sizes = Vec::new();
    let begin = format!("{}-", plain(origin));
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let size = name.to_str().and_then(|name| name.strip_prefix(&begin)?.strip_suffix(".checkpoint")?.parse().ok());
        sizes.extend(size.map(|size: u64| (size, name.clone())));
    }
    sizes.sort_unstable();
    // What merely bears such a name says nothing.
    Ok(sizes.into_iter().rev().find_map(|(size, name)| {
        let mut text = String::new();
        std::fs::File::open(folder.join(name)).ok()?.take(LONGEST_NOTE).read_to_string(&mut text).ok()?;
        let there = Checkpoint::parse(&text).ok()?;
        let is_ours = there.origin == origin && there.size == size && keys.iter().any(|key| key.verify(&there).is_ok());
        is_ours.then_some(size)
    }))
}

/// No more is read of a file that claims to be one.
const LONGEST_NOTE: u64 = 1 << 20;

/// An origin in a file's name.
fn plain(origin: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
    origin.chars().map(plain).collect()
}

fn compared(path: &Path, name: &str, checkpoint: &Checkpoint) -> io::Result<Option<Filed>> {
    match std::fs::read(path) {
        Ok(there) if there == checkpoint.as_str().as_bytes() => Ok(Some(Filed::There(name.to_owned()))),
        Ok(there) => {
            // The same tree head, signed another time or by another key besides, says the same.
            let same = std::str::from_utf8(&there).ok().and_then(|note| Checkpoint::parse(note).ok());
            let same = same.is_some_and(|there| there.text() == checkpoint.text());
            Ok(Some(if same { Filed::There(name.to_owned()) } else { Filed::Other(name.to_owned()) }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    // Others read it: that is what it is there for.
    let mut file = options.create(true).truncate(true).write(true).mode(0o644).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn move_to(draft: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        // Network file systems don't know the flag. It was looked before that nothing is there.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => std::fs::rename(draft, path),
        other => other.map_err(io::Error::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hash, SigningKey};

    fn checkpoint(size: u64, leaf: &[u8]) -> Checkpoint {
        let key = SigningKey::new("gw.example/audit", &[1; 32]).unwrap();
        Checkpoint::sign(&[key], size, Hash::leaf(leaf))
    }

    #[test]
    fn a_file_is_never_overwritten_with_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let (sent, name) = (checkpoint(7, b"x"), "gw.example_audit-00000000000000000007.checkpoint".to_owned());
        assert_eq!(file(dir.path(), &sent).unwrap(), Filed::Written(name.clone()));
        assert_eq!(file(dir.path(), &sent).unwrap(), Filed::There(name.clone()));
        let cosigned = sent.with_signatures("\u{2014} w AAAA\n");
        assert_eq!(file(dir.path(), &cosigned).unwrap(), Filed::There(name.clone()));
        assert_eq!(file(dir.path(), &checkpoint(7, b"y")).unwrap(), Filed::Other(name.clone()));
        assert_eq!(std::fs::read_to_string(dir.path().join(&name)).unwrap(), sent.as_str());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        assert!(file(&dir.path().join("missing"), &sent).is_err(), "the folder is not made");
        assert!(!dir.path().join("missing").exists());
    }

    #[test]
    fn the_largest_one_of_this_log_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let largest = |folder: &Path, origin: &str| {
            let key = SigningKey::new("gw.example/audit", &[1; 32]).unwrap();
            largest(folder, origin, &[key.verifier()])
        };
        assert_eq!(largest(dir.path(), "gw.example/audit").unwrap(), None);
        for size in [9, 7, 12] {
            file(dir.path(), &checkpoint(size, b"x")).unwrap();
        }
        std::fs::write(dir.path().join("gw.example_audit-00000000000000000099.checkpoint"), "not one\n").unwrap();
        let forged = checkpoint(12, b"x").as_str().replacen("\n12\n", "\n97\n", 1);
        std::fs::write(dir.path().join("gw.example_audit-00000000000000000097.checkpoint"), forged).unwrap();
        std::fs::write(dir.path().join("other-00000000000000000098.checkpoint"), "not one\n").unwrap();
        assert_eq!(largest(dir.path(), "gw.example/audit").unwrap(), Some(12));
        assert_eq!(largest(dir.path(), "gw.example/other").unwrap(), None);
        assert!(largest(&dir.path().join("missing"), "gw.example/audit").is_err());
    }

    #[test]
    fn moving_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (draft, there) = (dir.path().join("draft"), dir.path().join("there"));
        std::fs::write(&draft, "new").unwrap();
        std::fs::write(&there, "old").unwrap();
        assert_eq!(move_to(&draft, &there).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&there).unwrap(), b"old");
    }
}
