//! Verifier keys, as in C2SP signed-note: `<name>+<key ID, hex>+<base64(type ‖ public key)>`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `0x01`: the note's text (C2SP signed-note).
    Ed25519,
    /// `0x04`: a witness's word for a checkpoint, with a time (C2SP tlog-cosignature).
    Cosignature,
}

/// A public key with the name under which it signs.
#[derive(Debug, Clone)]
pub struct VerifierKey {
    pub name: String,
    /// The first four bytes of `SHA-256(name ‖ 0x0A ‖ type ‖ public key)`.
    pub id: u32,
    pub algorithm: Algorithm,
    key: VerifyingKey,
}

/// The keys that a verifier believes in. They come from elsewhere than the log.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    pub log: Vec<VerifierKey>,
    pub witnesses: Vec<VerifierKey>,
    /// Whether each of the log's keys has to have signed the newest checkpoint; otherwise one is enough.
    pub require_all: bool,
}

/// No more is read of a file of keys: a post-quantum key takes 2 kB, a log has a handful.
const FILE_LIMIT: usize = 256 * 1024;

impl Keys {
    /// Adds a log's key, or all of a file that holds one per line.
    pub fn add_log(&mut self, key_or_file: &str) -> Result<(), Error> {
        for key in keys_of(key_or_file)? {
            self.not_taken_for(&key)?;
            match key.algorithm {
                Algorithm::Ed25519 => self.log.push(key),
                Algorithm::Cosignature => {
                    return Err(Error::Key(key.name, "it is a witness's; give it by --witness-key"));
                }
            }
        }
        Ok(())
    }

    /// Adds a witness's key, or all of a file.
    pub fn add_witness(&mut self, key_or_file: &str) -> Result<(), Error> {
        for key in keys_of(key_or_file)? {
            self.not_taken_for(&key)?;
            match key.algorithm {
                Algorithm::Cosignature => self.witnesses.push(key),
                Algorithm::Ed25519 => {
                    return Err(Error::Key(key.name, "it is a log's (type 0x01), not a witness's (0x04)"));
                }
            }
        }
        Ok(())
    }

    /// A signature names its key by name and ID, which has 32 bits: who makes keys until one has the ID of another could have
    /// its signatures taken for the other's.
    fn not_taken_for(&self, key: &VerifierKey) -> Result<(), Error> {
        let mut others = self.log.iter().chain(&self.witnesses);
        if others.any(|other| other.name == key.name && other.id == key.id && other.key != key.key) {
            return Err(Error::Key(
                format!("{} ({:08x})", key.name, key.id),
                "another key that was given has the same name and ID",
            ));
        }
        Ok(())
    }
}

fn keys_of(key_or_file: &str) -> Result<Vec<VerifierKey>, Error> {
    let given = key_or_file.trim();
    // What is a key is never the name of a file: whoever made the log could have put one there that has it.
    match VerifierKey::parse(given) {
        Ok(key) => return Ok(vec![key]),
        Err(error) if given.matches('+').count() >= 2 && !Path::new(given).exists() => return Err(error),
        Err(_) => {}
    }
    let bytes = crate::folder::read_given(Path::new(given), FILE_LIMIT)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::Key(given.to_owned(), "the file is not text"))?;
    let lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(VerifierKey::parse).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(Error::Key(given.to_owned(), "the file holds no key"));
    }
    Ok(keys)
}

impl VerifierKey {
    /// Reads one key.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let error = |why| Error::Key(text.chars().take(200).collect(), why);
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(error("it is not of the form name+ID+key"));
        };
        if !is_key_name(name) {
            return Err(error("its name is empty or holds white space or control characters"));
        }
        if id.len() != 8 || !id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error("its ID is not eight lower-case hex digits"));
        }
        let id = u32::from_str_radix(id, 16).map_err(|_| error("its ID is not hex"))?;
        let typed = STANDARD.decode(key).map_err(|_| error("its last part is not base64"))?;
        let (algorithm, public) = match typed.split_first() {
            Some((1, public)) => (Algorithm::Ed25519, public),
            Some((4, public)) => (Algorithm::Cosignature, public),
            _ => return Err(error("it is of a type that this program does not know (known: 0x01, 0x04)")),
        };
        let public: &[u8; 32] = public.try_into().map_err(|_| error("an Ed25519 key has 32 bytes"))?;
        let digest = Sha256::new_with_prefix(name).chain_update(b"\n").chain_update(&typed).finalize();
        if digest[..4] != id.to_be_bytes() {
            return Err(error("its ID does not belong to it: a character got lost or was changed"));
        }
        let key = VerifyingKey::from_bytes(public).map_err(|_| error("it is no point on the curve"))?;
        Ok(Self { name: name.to_owned(), id, algorithm, key })
    }

    /// Whether `signature`, without the key ID before it, is this key's for a note's text. For a cosignature also its time, in
    /// seconds since 1970.
    pub(crate) fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        match self.algorithm {
            Algorithm::Ed25519 => self.is_signature(text.as_bytes(), signature).then_some(None),
            Algorithm::Cosignature => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                if time > i64::MAX as u64 {
                    return None;
                }
                let message = format!("cosignature/v1\ntime {time}\n{text}");
                self.is_signature(message.as_bytes(), signature).then_some(Some(time))
            }
        }
    }

    fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        // Strict: refuses keys of small order, which would sign anything.
        self.key.verify_strict(message, &signature).is_ok()
    }
}

/// Whether signed-note allows it as a key's name.
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}
