//! Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint), and the keys that sign them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::tree::Hash;

/// An Ed25519 signature over the note's text, as C2SP signed-note numbers it.
const ED25519_NOTE: u8 = 0x01;
/// A note has a log's and its witnesses' signatures; more than this is none of ours.
const LONGEST: usize = 64 << 10;

/// RFC 4648, section 4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A text is no checkpoint, or not one of this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("it is not a signed note")]
    Form,
    #[error("it is not a checkpoint: origin, size and root hash, one per line")]
    Checkpoint,
    #[error("no signature in it is of the log's key, or that signature does not hold")]
    Signature,
    #[error("a key's name must be one word without `+`")]
    Name,
    #[error("it is not an Ed25519 key of 32 bytes")]
    Key,
}

/// A signed tree head.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
    /// The whole note, signatures included.
    note: String,
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({} {} {})", self.origin, self.size, self.root)
    }
}

impl Checkpoint {
    /// Reads a note's form. Its signatures are looked at by [`VerifierKey::verify`].
    ///
    /// # Errors
    /// It is no note, or no checkpoint.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let control = |c: char| c.is_ascii_control() && c != '\n';
        if note.len() > LONGEST || note.contains(control) || !note.ends_with('\n') {
            return Err(NoteError::Form);
        }
        let (text, _) = split(note).ok_or(NoteError::Form)?;
        let mut lines = text.lines();
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Checkpoint);
        let (origin, size, root) = (line()?.to_owned(), line()?, line()?);
        let number: u64 = size.parse().map_err(|_| NoteError::Checkpoint)?;
        if number.to_string() != size {
            return Err(NoteError::Checkpoint);
        }
        let root = from_base64(root).and_then(|bytes| bytes.try_into().ok()).ok_or(NoteError::Checkpoint)?;
        Ok(Self { origin, size: number, root: Hash(root), note: note.to_owned() })
    }

    /// The note as it was signed, to keep and to send.
    pub fn as_str(&self) -> &str {
        &self.note
    }

    /// What is signed: three lines.
    pub fn text(&self) -> &str {
        split(&self.note).map_or("", |(text, _)| text)
    }

    /// Adds signature lines, such as a witness returns, each ending with a newline.
    #[must_use]
    pub fn with_signatures(&self, lines: &str) -> Self {
        Self { note: format!("{}{lines}", self.note), ..self.clone() }
    }

    /// Signs a tree head with all `keys`; the first one's name is the origin.
    pub(crate) fn sign(keys: &[SigningKey], size: u64, root: Hash) -> Self {
        let origin = keys.first().map(|key| key.name.clone()).unwrap_or_default();
        let text = format!("{origin}\n{size}\n{root}\n");
        let signatures: String = keys.iter().map(|key| key.signature_line(&text)).collect();
        Self { origin, size, root, note: format!("{text}\n{signatures}") }
    }
}

/// Text and signature lines.
fn split(note: &str) -> Option<(&str, &str)> {
    let at = note.rfind("\n\n")?;
    Some((&note[..=at], &note[at + 2..]))
}

/// A key that signs checkpoints.
pub struct SigningKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifier())
    }
}

impl SigningKey {
    /// From a name, which is the log's origin, and an Ed25519 seed (RFC 8032).
    ///
    /// # Errors
    /// The name has white space or a `+`, or the seed is not one.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
            return Err(NoteError::Name);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key)?;
        Ok(Self { name: name.to_owned(), pair })
    }

    pub fn verifier(&self) -> VerifierKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        VerifierKey { name: self.name.clone(), key }
    }

    fn signature_line(&self, text: &str) -> String {
        let mut bytes = self.verifier().id().to_vec();
        bytes.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("\u{2014} {} {}\n", self.name, base64(&bytes))
    }
}

/// The public half, to be given to whoever verifies. Written as C2SP signed-note has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: [u8; 32],
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        write!(f, "{}+{id:08x}+{}", self.name, base64(&[&[ED25519_NOTE], &self.key[..]].concat()))
    }
}

impl VerifierKey {
    fn id(&self) -> [u8; 4] {
        let named = [self.name.as_bytes(), &[b'\n', ED25519_NOTE], &self.key].concat();
        let mut id = [0; 4];
        id.copy_from_slice(&digest(&SHA256, &named).as_ref()[..4]);
        id
    }

    /// As it is written (C2SP signed-note); none: it is not one, or of another algorithm.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let bytes = from_base64(rest.split_once('+')?.1)?;
        let (algorithm, key) = bytes.split_first()?;
        let key = Self { name: name.to_owned(), key: key.try_into().ok()? };
        (*algorithm == ED25519_NOTE && key.to_string() == text).then_some(key)
    }

    /// # Errors
    /// The note has no signature of this key, or one that does not hold.
    pub fn verify(&self, checkpoint: &Checkpoint) -> Result<(), NoteError> {
        let (text, signatures) = split(&checkpoint.note).ok_or(NoteError::Form)?;
        let mut holds = false;
        for line in signatures.lines() {
            let Some((name, signature)) = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')) else {
                return Err(NoteError::Form);
            };
            let bytes = from_base64(signature).ok_or(NoteError::Form)?;
            if name != self.name || bytes.get(..4) != Some(&self.id()[..]) {
                continue;
            }
            let key = UnparsedPublicKey::new(&ED25519, &self.key);
            key.verify(text.as_bytes(), &bytes[4..]).map_err(|_| NoteError::Signature)?;
            holds = true;
        }
        if holds { Ok(()) } else { Err(NoteError::Signature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::new(name, &[seed; 32]).unwrap()
    }

    #[test]
    fn a_checkpoint_reads_back_and_holds_for_each_of_its_keys() {
        let written = key("gw.example/audit", 7).verifier().to_string();
        assert_eq!(VerifierKey::parse(&written).unwrap().to_string(), written);
        for wrong in [&written[1..], &written[..written.len() - 4], "x+00000000+AQ==", "", &written.replace("+A", "+B")]
        {
            assert!(VerifierKey::parse(wrong).is_none(), "{wrong}");
        }
        let keys = [key("gw.example/audit", 1), key("gw.example/audit", 2)];
        let signed = Checkpoint::sign(&keys, 20_852_163, Hash::leaf(b"x"));
        let read = Checkpoint::parse(signed.as_str()).unwrap();
        assert_eq!(read, signed);
        for key in &keys {
            assert_eq!(key.verifier().verify(&read), Ok(()));
        }
        assert_eq!(key("gw.example/audit", 3).verifier().verify(&read), Err(NoteError::Signature));
        assert_eq!(key("other.example/audit", 1).verifier().verify(&read), Err(NoteError::Signature));
        let other = Checkpoint::parse(&signed.as_str().replace("20852163", "20852164")).unwrap();
        assert_eq!(keys[0].verifier().verify(&other), Err(NoteError::Signature));
    }

    /// The note and key of the C2SP page.
    #[test]
    fn the_example_of_the_specification_holds() {
        let key = "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let public = from_base64(key).unwrap();
        let verifier = VerifierKey { name: "example.com/foo".to_owned(), key: public[1..].try_into().unwrap() };
        assert_eq!(verifier.to_string(), format!("example.com/foo+530d903a+{key}"));
        let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
        let checkpoint = Checkpoint { origin: String::new(), size: 0, root: Hash::default(), note: note.to_owned() };
        assert_eq!(verifier.verify(&checkpoint), Ok(()));
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let good = Checkpoint::sign(&[key("a/b", 1)], 7, Hash::leaf(b"x"));
        for (from, to) in [("\n7\n", "\n07\n"), ("\n7\n", "\n-7\n"), ("\n7\n", "\n\n"), ("a/b\n", "\n"), ("\n\n", "\n")]
        {
            let wrong = good.as_str().replacen(from, to, 1);
            assert!(Checkpoint::parse(&wrong).is_err(), "{wrong}");
        }
        assert!(SigningKey::new("a b", &[0; 32]).is_err() && SigningKey::new("a+b", &[0; 32]).is_err());
    }
}
