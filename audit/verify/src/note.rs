//! Signed notes (C2SP signed-note) and the checkpoints that they hold (C2SP tlog-checkpoint).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::hash::{Hash, empty_root};
use crate::key::{Algorithm, Keys, VerifierKey, is_key_name};

/// No longer note is read. 16 post-quantum signatures take 110 kB.
pub const NOTE_LIMIT: usize = 512 * 1024;
/// No more signatures are looked at. signed-note wants at least 16.
const SIGNATURES_LIMIT: usize = 64;
/// No log is larger: records are numbered up to it.
const SIZE_LIMIT: u64 = i64::MAX as u64;

/// A log's tree head, and who signed it. Nothing is believed before [`Signed::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub checkpoint: Checkpoint,
    /// What is signed: the three lines.
    text: String,
    signatures: Vec<NoteSignature>,
}

/// How many leaves a log has, and the root of the tree over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: u32,
    bytes: Vec<u8>,
}

/// A signature that stands below a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub name: String,
    /// Eight hex digits.
    pub key_id: String,
    pub by: By,
}

/// Whose a signature is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The log's; it verifies.
    Log,
    /// A given witness's; it verifies.
    Witness {
        /// When it signed, in seconds since 1970.
        time: u64,
    },
    /// Of a key that was not given, and so without worth.
    Unknown,
}

impl Signed {
    /// Reads a note and the checkpoint in it. The error says what is not in form.
    pub fn parse(note: &[u8]) -> Result<Self, String> {
        if note.len() > NOTE_LIMIT {
            return Err(format!("it is longer than {NOTE_LIMIT} bytes"));
        }
        let note = std::str::from_utf8(note).map_err(|_| "it is not UTF-8")?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err("it holds control characters".to_owned());
        }
        let end = note.rfind("\n\n").ok_or("it has no empty line before the signatures")?;
        let (text, signatures) = (&note[..=end], &note[end + 2..]);
        let signatures = signatures.strip_suffix('\n').ok_or("its last line does not end, or it has no signature")?;
        let lines = signatures.split('\n').collect::<Vec<_>>();
        if lines.len() > SIGNATURES_LIMIT {
            return Err(format!("it has more than {SIGNATURES_LIMIT} signatures"));
        }
        let signatures = lines.into_iter().map(NoteSignature::parse).collect::<Result<_, _>>()?;
        Ok(Self { checkpoint: Checkpoint::parse(text)?, text: text.to_owned(), signatures })
    }

    /// Checks the signatures: at least one of the log's keys has to be there, under the log's name, and each that is by a
    /// given key has to verify. Gives what was seen, or says what is wrong.
    pub fn verify(&self, keys: &Keys) -> Result<Vec<Seen>, String> {
        let mut by_log = false;
        let mut seen = Vec::new();
        for signature in &self.signatures {
            let key_id = format!("{:08x}", signature.id);
            let mut candidates = keys.log.iter().chain(&keys.witnesses);
            let key = candidates.find(|key| key.name == signature.name && key.id == signature.id);
            let by = match key.map(|key| key.verify(&self.text, &signature.bytes)) {
                None => By::Unknown,
                Some(None) => {
                    return Err(format!(
                        "The signature of {} with the key ID {key_id} does not verify.",
                        signature.name
                    ));
                }
                Some(Some(Some(time))) => By::Witness { time },
                Some(Some(None)) => {
                    by_log |= signature.name == self.checkpoint.origin;
                    By::Log
                }
            };
            seen.push(Seen { name: signature.name.clone(), key_id, by });
        }
        if by_log {
            return Ok(seen);
        }
        let list = |names: Vec<String>| if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        let expected = list(keys.log.iter().map(|key| format!("{} ({:08x})", key.name, key.id)).collect());
        let signers = list(seen.iter().map(|seen| format!("{} ({})", seen.name, seen.key_id)).collect());
        Err(format!(
            "The log {} would have to be signed by {expected}; signed it is by {signers}.",
            self.checkpoint.origin
        ))
    }
}

impl Signed {
    /// The same for a newest checkpoint, which all of the log's given keys have to have signed if that was asked for.
    pub(crate) fn verify_newest(&self, keys: &Keys) -> Result<Vec<Seen>, String> {
        let seen = self.verify(keys)?;
        let missing = not_signed_by(&keys.log, &seen);
        if missing.is_empty() || !keys.require_all {
            return Ok(seen);
        }
        let missing = missing.iter().map(|key| format!("{} ({:08x})", key.name, key.id)).collect::<Vec<_>>();
        Err(format!(
            "All of the log's keys that were given have to have signed it (--require-all-keys), and {} has not. Either the facility \
             no longer signs with that key, or whoever signed this does not hold it.",
            missing.join(", ")
        ))
    }

    /// Whether a signature claims to be by one of the log's given keys.
    pub(crate) fn is_by_any(&self, keys: &Keys) -> bool {
        let is_by = |key: &VerifierKey| self.signatures.iter().any(|by| by.name == key.name && by.id == key.id);
        keys.log.iter().any(is_by)
    }
}

/// Those of the keys, each once, of which there is no signature that verifies.
#[must_use]
pub fn not_signed_by<'k>(keys: &'k [VerifierKey], seen: &[Seen]) -> Vec<&'k VerifierKey> {
    let is_by = |key: &VerifierKey, seen: &Seen| {
        let kind = match seen.by {
            By::Log => Some(Algorithm::Ed25519),
            By::Witness { .. } => Some(Algorithm::Cosignature),
            By::Unknown => None,
        };
        kind == Some(key.algorithm) && seen.name == key.name && seen.key_id == format!("{:08x}", key.id)
    };
    let mut missing = Vec::<&VerifierKey>::new();
    for key in keys {
        let known = missing.iter().any(|before| before.name == key.name && before.id == key.id);
        if !known && !seen.iter().any(|seen| is_by(key, seen)) {
            missing.push(key);
        }
    }
    missing
}

impl Checkpoint {
    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err("it has not exactly three lines: origin, size, root hash".to_owned());
        };
        if origin.is_empty() {
            return Err("its origin is empty".to_owned());
        }
        let size =
            decimal(size).filter(|size| *size <= SIZE_LIMIT).ok_or("its size is not a decimal number up to 2⁶³−1")?;
        let root = Hash::from_base64(root).ok_or("its root hash is not 32 bytes in base64")?;
        if size == 0 && root != empty_root() {
            return Err("it is of an empty log, but its root is not the empty tree's".to_owned());
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Result<Self, String> {
        let error = || "a signature is not of the form `— name base64`".to_owned();
        let (name, signature) =
            line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or_else(error)?;
        if !is_key_name(name) {
            return Err(error());
        }
        let bytes = STANDARD.decode(signature).map_err(|_| error())?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or_else(error)?;
        if bytes.is_empty() {
            return Err(error());
        }
        Ok(Self { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
    }
}

/// A decimal number without sign and leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { text.parse().ok() } else { None }
}
