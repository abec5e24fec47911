//! The file with the key that signs checkpoints.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::note::{SigningKey, base64, from_base64};
use crate::AuditError;

/// Begins the file, as Go's `note` package writes private keys.
const PREFIX: &str = "PRIVATE+KEY+";
const ED25519: u8 = 0x01;

/// Reads the key from its file.
///
/// # Errors
/// The file can't be read or holds no Ed25519 key.
pub fn read_key(path: &Path) -> Result<SigningKey, AuditError> {
    let text = fs::read_to_string(path).map_err(AuditError::io("could not read the log's key", path))?;
    parse(&text).ok_or_else(|| AuditError::log(path, "it does not hold a key as `PRIVATE+KEY+<name>+<id>+<seed>`"))
}

/// Reads the key from its file, or makes one of this name (which is the log's origin) if there is no file yet.
///
/// # Errors
/// As [`read_key`]; or the file can't be made.
pub fn read_or_make_key(path: &Path, name: &str) -> Result<SigningKey, AuditError> {
    if path.exists() {
        return read_key(path);
    }
    let mut seed = [0; 32];
    let random = SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("no random numbers"));
    random.map_err(AuditError::io("could not make the log's key", path))?;
    let key = SigningKey::new(name, &seed).map_err(|problem| AuditError::log(path, format!("`{name}`: {problem}")))?;
    let verifier = key.verifier().to_string();
    let id = verifier.rsplit('+').nth(1).unwrap_or_default();
    let text = format!("{PREFIX}{name}+{id}+{}\n", base64(&[&[ED25519], &seed[..]].concat()));
    let made = || -> io::Result<()> {
        let new = path.with_added_extension("tmp");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    made().map_err(AuditError::io("could not make the log's key", path))?;
    Ok(key)
}

fn parse(text: &str) -> Option<SigningKey> {
    let rest = text.trim_end().strip_prefix(PREFIX)?;
    let (rest, seed) = rest.split_once('+').and_then(|(name, rest)| Some((name, rest.split_once('+')?.1)))?;
    let bytes = from_base64(seed)?;
    let (kind, seed) = bytes.split_first()?;
    let seed: [u8; 32] = seed.try_into().ok()?;
    (*kind == ED25519).then(|| SigningKey::new(rest, &seed).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.key");
        let made = read_or_make_key(&path, "gw.example/audit").unwrap();
        let read = read_or_make_key(&path, "another name").unwrap();
        assert_eq!(read.verifier(), made.verifier());
        assert!(read.verifier().to_string().starts_with("gw.example/audit+"));
        fs::write(&path, "PRIVATE+KEY+x+00+AA==\n").unwrap();
        assert!(read_key(&path).is_err());
    }
}
