//! Witnesses: what is asked of one (C2SP tlog-witness, `add-checkpoint`) and what its word is worth (C2SP
//! tlog-cosignature, Ed25519). Bytes in, bytes out.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use vocabulary::Timestamp;

use crate::log::note::{base64, from_base64};
use crate::{Checkpoint, Hash};

/// Type of an Ed25519 cosignature's key, as signed-note numbers it.
const COSIGNATURE: u8 = 0x04;
/// 8 bytes of time and 64 of signature, after 4 of key ID.
const LENGTH: usize = 4 + 8 + 64;
/// More lines than any tree of 2^63 leaves needs; a witness refuses more.
const LONGEST_PROOF: usize = 63;

/// A witness's word can't be believed, or its key not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    #[error("it is not a verifier key; it is written <name>+<8 hex digits>+<base64>")]
    KeyForm,
    #[error("it is not a key for Ed25519 cosignatures (type 0x04), the one kind that is known here")]
    KeyType,
    #[error("its ID is not that of its name and key, so something in it was mistyped")]
    KeyId,
    #[error("the answer holds no cosignature of the witness's key")]
    Missing,
    #[error("the cosignature does not hold")]
    Signature,
    #[error("the answer is not a signature line of a note")]
    Form,
    #[error("the proof is longer than a witness takes")]
    Proof,
}

/// A witness's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignerKey {
    name: String,
    key: [u8; 32],
}

/// As C2SP signed-note writes it: `<name>+<key ID>+<base64(0x04 ‖ key)>`.
impl FromStr for CosignerKey {
    type Err = WitnessError;

    fn from_str(text: &str) -> Result<Self, WitnessError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(WitnessError::KeyForm);
        };
        let hex = id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) || !hex {
            return Err(WitnessError::KeyForm);
        }
        let bytes = from_base64(key).ok_or(WitnessError::KeyForm)?;
        let (COSIGNATURE, Ok(key)) = (*bytes.first().ok_or(WitnessError::KeyForm)?, bytes[1..].try_into()) else {
            return Err(WitnessError::KeyType);
        };
        let read = Self { name: name.to_owned(), key };
        match id.eq_ignore_ascii_case(&format!("{:08x}", u32::from_be_bytes(read.id()))) {
            true => Ok(read),
            false => Err(WitnessError::KeyId),
        }
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        write!(f, "{}+{id:08x}+{}", self.name, base64(&[&[COSIGNATURE], &self.key[..]].concat()))
    }
}

impl CosignerKey {
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let named = [self.name.as_bytes(), &[b'\n', COSIGNATURE], &self.key].concat();
        let mut id = [0; 4];
        id.copy_from_slice(&digest(&SHA256, &named).as_ref()[..4]);
        id
    }

    /// Finds this witness's line in an answer to `add-checkpoint` and checks it; lines of other keys are passed over.
    ///
    /// # Errors
    /// There is none, or it does not hold for this checkpoint.
    pub fn verify(&self, checkpoint: &Checkpoint, answer: &str) -> Result<Cosignature, WitnessError> {
        let mut found = None;
        for line in answer.split_terminator('\n') {
            let line_of = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '));
            let (name, signature) = line_of.ok_or(WitnessError::Form)?;
            let bytes = from_base64(signature).ok_or(WitnessError::Form)?;
            if name != self.name || bytes.get(..4) != Some(&self.id()[..]) {
                continue;
            }
            if bytes.len() != LENGTH {
                return Err(WitnessError::Signature);
            }
            let mut time = [0; 8];
            time.copy_from_slice(&bytes[4..12]);
            let time = u64::from_be_bytes(time);
            // A time there must be, and one that is a POSIX time.
            let at = i64::try_from(time).ok().filter(|secs| *secs > 0).ok_or(WitnessError::Signature)?;
            let message = format!("cosignature/v1\ntime {time}\n{}", checkpoint.text());
            let key = UnparsedPublicKey::new(&ED25519, &self.key);
            key.verify(message.as_bytes(), &bytes[12..]).map_err(|_| WitnessError::Signature)?;
            found = Some(Cosignature { line: format!("{line}\n"), at: Timestamp(at.saturating_mul(1_000_000)) });
        }
        found.ok_or(WitnessError::Missing)
    }
}

/// A cosignature that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// As a line of a note, newline included.
    pub line: String,
    /// When the witness says that it made it.
    pub at: Timestamp,
}

/// The body of `add-checkpoint`: the size the witness holds, the proof from there on, and the checkpoint.
///
/// # Errors
/// The proof is longer than any can be.
pub fn request(old: u64, proof: &[Hash], checkpoint: &Checkpoint) -> Result<String, WitnessError> {
    if proof.len() > LONGEST_PROOF {
        return Err(WitnessError::Proof);
    }
    let proof: String = proof.iter().map(|hash| format!("{hash}\n")).collect();
    Ok(format!("old {old}\n{proof}\n{}", checkpoint.as_str()))
}

/// What a witness that holds another size than it was told (409) says that it holds.
pub fn size_of_conflict(body: &str) -> Option<u64> {
    let text = body.strip_suffix('\n')?;
    text.parse().ok().filter(|size: &u64| size.to_string() == text)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::SigningKey;

    fn checkpoint(size: u64) -> Checkpoint {
        let key = SigningKey::new("gw.example/audit", &[1; 32]).unwrap();
        Checkpoint::sign(&[key], size, Hash::leaf(b"x"))
    }

    /// A witness written anew from the page, with `ring` alone in common.
    struct Cosigner {
        pair: Ed25519KeyPair,
        name: &'static str,
    }

    impl Cosigner {
        fn new(name: &'static str, seed: u8) -> Self {
            Self { pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), name }
        }

        fn key(&self) -> CosignerKey {
            CosignerKey { name: self.name.to_owned(), key: self.pair.public_key().as_ref().try_into().unwrap() }
        }

        fn line(&self, time: u64, text: &str) -> String {
            let signature = self.pair.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
            let bytes = [&self.key().id()[..], &time.to_be_bytes(), signature.as_ref()].concat();
            format!("\u{2014} {} {}\n", self.name, base64(&bytes))
        }
    }

    /// The checkpoint and the cosignature that the C2SP tlog-cosignature page shows. Its key is not on the page, so
    /// only the form can be held against it.
    #[test]
    fn the_form_is_that_of_the_specification() {
        let line = "\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==";
        let bytes = from_base64(line.rsplit(' ').next().unwrap()).unwrap();
        assert_eq!(bytes.len(), LENGTH);
        assert_eq!(u64::from_be_bytes(bytes[4..12].try_into().unwrap()), 1_679_315_147);
        let own = Cosigner::new("witness.example.com/w1", 7);
        let made = own.line(1_679_315_147, checkpoint(5).text());
        assert_eq!(made.len(), line.len() + 1);
    }

    #[test]
    fn a_cosignature_holds_for_its_checkpoint_and_no_other() {
        let (own, other) = (Cosigner::new("w.example/1", 7), Cosigner::new("w.example/1", 8));
        let key: CosignerKey = own.key().to_string().parse().unwrap();
        assert_eq!(key, own.key());
        let good = own.line(1_700_000_000, checkpoint(5).text());
        let answer = format!("{}{good}", other.line(1_700_000_000, checkpoint(5).text()));
        let cosignature = key.verify(&checkpoint(5), &answer).unwrap();
        assert_eq!((cosignature.line.as_str(), cosignature.at), (good.as_str(), Timestamp::from_secs(1_700_000_000)));
        assert_eq!(key.verify(&checkpoint(6), &good), Err(WitnessError::Signature));
        assert_eq!(other.key().verify(&checkpoint(5), &good), Err(WitnessError::Missing));
        assert_eq!(key.verify(&checkpoint(5), ""), Err(WitnessError::Missing));
        assert_eq!(key.verify(&checkpoint(5), "<html>\n"), Err(WitnessError::Form));
        for time in [0, u64::MAX] {
            let line = own.line(time, checkpoint(5).text());
            assert_eq!(key.verify(&checkpoint(5), &line), Err(WitnessError::Signature), "{time}");
        }
        // The time is signed.
        let bytes = from_base64(good.trim_end().rsplit(' ').next().unwrap()).unwrap();
        let later = [&bytes[..11], &[bytes[11] + 1], &bytes[12..]].concat();
        let later = format!("\u{2014} w.example/1 {}\n", base64(&later));
        assert_eq!(key.verify(&checkpoint(5), &later), Err(WitnessError::Signature));
        let short = format!("\u{2014} w.example/1 {}\n", base64(&bytes[..bytes.len() - 1]));
        assert_eq!(key.verify(&checkpoint(5), &short), Err(WitnessError::Signature));
    }

    #[test]
    fn keys_of_other_kinds_and_mistyped_ones_are_refused() {
        let good = Cosigner::new("w.example/1", 7).key().to_string();
        let log = SigningKey::new("w.example/1", &[7; 32]).unwrap().verifier().to_string();
        for (text, problem) in [
            ("", WitnessError::KeyForm),
            ("w.example/1", WitnessError::KeyForm),
            (&log, WitnessError::KeyType),
            (&good.replacen("w.example/1", "w.example/2", 1), WitnessError::KeyId),
            (&good[..good.len() - 4], WitnessError::KeyType),
            (&good.replacen("w.", "w .", 1), WitnessError::KeyForm),
        ] {
            assert_eq!(text.parse::<CosignerKey>(), Err(problem), "{text}");
        }
    }

    #[test]
    fn the_request_is_the_pages_and_conflicts_are_read_strictly() {
        let (one, two) = (Hash::leaf(b"1"), Hash::leaf(b"2"));
        let checkpoint = checkpoint(9);
        let body = request(4, &[one, two], &checkpoint).unwrap();
        assert_eq!(body, format!("old 4\n{one}\n{two}\n\n{}", checkpoint.as_str()));
        assert_eq!(request(0, &[], &checkpoint).unwrap(), format!("old 0\n\n{}", checkpoint.as_str()));
        assert_eq!(request(4, &[one; 64], &checkpoint), Err(WitnessError::Proof));
        assert_eq!(size_of_conflict("20852163\n"), Some(20_852_163));
        assert_eq!(size_of_conflict("0\n"), Some(0));
        for wrong in ["", "7", "07\n", "-1\n", "7\n\n", "x\n", "+7\n"] {
            assert_eq!(size_of_conflict(wrong), None, "{wrong:?}");
        }
    }
}
