//! Secrets of places that checkpoints are brought to: never in the configuration, never shown.

use std::fmt;
use std::path::{Path, PathBuf};

/// What is longer is another file.
const LONGEST: usize = 4096;

/// Where a secret comes from. It is read each time it is used, so a new one needs no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    File(PathBuf),
    /// The name of a systemd credential.
    Credential(String),
}

/// A password or key. It is not shown by `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Only to hand it to whom it is for.
    pub fn danger_expose(&self) -> &str {
        &self.0
    }
}

/// A secret can't be had. Nothing of it is told.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret in {} can't be read: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{} must hold the secret on one line, and nothing else", .0.display())]
    Form(PathBuf),
    #[error(
        "the secret should be the systemd credential `{0}`, but there are none (CREDENTIALS_DIRECTORY is not set); \
         outside of systemd name a file"
    )]
    NoCredentials(String),
}

impl SecretSource {
    /// Reads it; line ends around it are the editor's. `credentials` is the folder that systemd names in
    /// `CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// The file can't be read, is empty or has several lines; a credential is asked for and there is no folder of them.
    pub fn read(&self, credentials: Option<&Path>) -> Result<Secret, SecretError> {
        let path = match (self, credentials) {
            (Self::File(path), _) => path.clone(),
            (Self::Credential(name), Some(folder)) => folder.join(name),
            (Self::Credential(name), None) => return Err(SecretError::NoCredentials(name.clone())),
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) => return Err(SecretError::Unreadable { path, cause }),
        };
        let secret = text.trim_matches(['\r', '\n']);
        if secret.is_empty() || secret.len() > LONGEST || secret.contains(char::is_control) {
            return Err(SecretError::Form(path));
        }
        Ok(Secret(secret.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_from_where_it_is_said_to_be_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mail");
        std::fs::write(&file, "hunter2\r\n").unwrap();
        let secret = SecretSource::File(file.clone()).read(None).unwrap();
        assert_eq!((secret.danger_expose(), format!("{secret:?}").as_str()), ("hunter2", "Secret(…)"));
        let credential = SecretSource::Credential("mail".to_owned());
        assert_eq!(credential.read(Some(dir.path())).unwrap(), secret);
        assert!(matches!(credential.read(None), Err(SecretError::NoCredentials(_))));
        for wrong in ["", "\n", "two\nlines"] {
            std::fs::write(&file, wrong).unwrap();
            let error = credential.read(Some(dir.path())).unwrap_err();
            assert!(matches!(error, SecretError::Form(_)) && !error.to_string().contains("lines\""), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(credential.read(Some(dir.path())), Err(SecretError::Unreadable { .. })));
    }
}
