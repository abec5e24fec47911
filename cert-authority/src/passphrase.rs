//! Passphrases, and files encrypted with them.
//!
//! The format is age's (`age-encryption.org/v1`, armoured), so that the stock `age` tool opens the files too
//! when the gateway is gone.

use std::fmt;
use std::fs;
use std::path::Path;

use age::secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::serial::random_text;
use crate::{CertError, Result};

/// Encrypts the exported roots: 2^18, as the `age` tool itself chooses. About half a second and 256 MiB.
pub(crate) const ROOT_WORK_FACTOR: u8 = 18;
/// Encrypts the CA keys, and is paid at every start: 2^17, the least OWASP's password storage sheet asks of
/// scrypt. About a quarter of a second and 128 MiB.
pub(crate) const ISSUING_WORK_FACTOR: u8 = 17;
/// A planted file must not be able to stall a start; whoever encrypts anew with `age -p` gets 2^18.
const MOST_WORK: u8 = 18;
/// Characters.
const SHORTEST: usize = 12;

/// A passphrase; wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct Passphrase(SecretString);

impl Passphrase {
    pub fn new(passphrase: impl Into<String>) -> Self {
        Self(SecretString::from(passphrase.into()))
    }

    /// A new one, for a machine or a piece of paper to keep: about 150 bits.
    ///
    /// # Errors
    /// The system gave no random numbers.
    pub fn random() -> Result<Self> {
        Ok(Self::new(random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 30)?))
    }

    /// Reads a file such as a systemd credential; line ends at its end don't belong to the passphrase.
    ///
    /// # Errors
    /// The file can't be read, is empty, or is not UTF-8.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map(Zeroizing::new);
        // Without the name: who takes the setting for the passphrase itself would find it in the log.
        let text = text.map_err(|cause| CertError::NoPassphrase(format!("its file can't be read: {cause}")))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(CertError::NoPassphrase("its file is empty".to_owned())),
            passphrase => Ok(Self::new(passphrase)),
        }
    }

    /// The passphrase itself: to show it once to who has to keep it.
    pub fn danger_expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn strong_enough(&self, what: &'static str) -> Result<()> {
        if self.danger_expose().chars().count() < SHORTEST {
            return Err(CertError::WeakPassphrase { what });
        }
        Ok(())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Encrypts `text`; `path` is only for the error.
pub(crate) fn seal(text: &str, passphrase: &Passphrase, work_factor: u8, path: &Path) -> Result<String> {
    let mut recipient = age::scrypt::Recipient::new(passphrase.0.clone());
    recipient.set_work_factor(work_factor);
    age::encrypt_and_armor(&recipient, text.as_bytes()).map_err(|error| CertError::Encrypt {
        path: path.to_owned(),
        cause: match error {
            age::EncryptError::Io(cause) => cause,
            other => std::io::Error::other(other),
        },
    })
}

/// Decrypts what [`seal`] made; `path` is only for the error.
pub(crate) fn unseal(sealed: &[u8], passphrase: &Passphrase, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut identity = age::scrypt::Identity::new(passphrase.0.clone());
    identity.set_max_work_factor(MOST_WORK);
    age::decrypt(&identity, sealed).map(Zeroizing::new).map_err(|error| match error {
        age::DecryptError::ExcessiveWork { required, .. } => {
            CertError::ExcessiveWork { path: path.to_owned(), work_factor: required }
        }
        _ => CertError::Decrypt { path: path.to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: u8 = 4;

    #[test]
    fn only_the_right_passphrase_opens_a_file() -> Result<()> {
        let path = Path::new("keys.age");
        let sealed = seal("secret", &Passphrase::new("right horse battery"), FAST, path)?;
        assert!(!sealed.contains("secret"));
        let opened = unseal(sealed.as_bytes(), &Passphrase::new("right horse battery"), path)?;
        assert_eq!(&**opened, b"secret");
        let wrong = unseal(sealed.as_bytes(), &Passphrase::new("wrong horse battery"), path);
        assert!(matches!(wrong, Err(CertError::Decrypt { .. })));
        Ok(())
    }

    #[test]
    fn a_planted_file_can_not_stall_a_start() {
        // A header that asks for 2^40; nothing behind it needs to be right.
        let planted = b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 40\n\
            AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n0123456789abcdef";
        let error = unseal(planted, &Passphrase::new("any"), Path::new("x")).map(|_| ()).unwrap_err();
        assert!(matches!(error, CertError::ExcessiveWork { work_factor: 40, .. }), "{error}");
    }

    #[test]
    fn a_credential_file_may_end_in_a_newline() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        fs::write(&path, "three word phrase\r\n").unwrap();
        assert_eq!(Passphrase::from_file(&path)?.danger_expose(), "three word phrase");
        fs::write(&path, "\n").unwrap();
        assert!(matches!(Passphrase::from_file(&path), Err(CertError::NoPassphrase(_))));
        Ok(())
    }

    #[test]
    fn a_passphrase_never_shows() {
        assert!(!format!("{:?}", Passphrase::new("hunter2hunter2")).contains("hunter2"));
    }
}
