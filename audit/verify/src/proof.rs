//! One record with its proof (C2SP tlog-proof), and consistency proofs between two checkpoints.

use std::cmp::Ordering;
use std::iter;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::error::Error;
use crate::finding::{Failure, Finding, Place, What};
use crate::folder::read_given;
use crate::hash::{Hash, leaf_hash};
use crate::kept::{
    ADVICE_OF_PART, Compared, Continues, Earlier, against_head_of_part, all_proven, read_kept, read_signed,
    signatures_of, witnessed,
};
use crate::key::Keys;
use crate::leaf::{Checker, LEAF_LIMIT, Leaf};
use crate::note::{Checkpoint, NOTE_LIMIT, Seen, Signed, decimal};
use crate::taken::Taken;
use crate::tree::{verify_consistency, verify_inclusion};

/// A leaf in base64, hashes, a checkpoint.
const FILE_LIMIT: usize = LEAF_LIMIT * 2 + NOTE_LIMIT;
/// A tree of 2⁶³ leaves needs no more hashes; nor does C2SP tlog-witness allow more.
const HASHES_LIMIT: usize = 63;

/// What a proof of one record proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofReport {
    pub checkpoint: Checkpoint,
    pub signatures: Vec<Seen>,
    pub index: u64,
    /// When it was recorded, in microseconds since 1970 by the gateway's clock.
    pub at: i64,
    /// The record, without its newline.
    pub leaf: String,
    /// Checkpoints kept elsewhere.
    pub kept: Vec<Continues>,
}

/// A `.tlog-proof`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub index: u64,
    /// Newline included.
    pub leaf: Vec<u8>,
    pub hashes: Vec<Hash>,
    pub signed: Signed,
}

/// A `.tlog-consistency`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    pub old: u64,
    pub hashes: Vec<Hash>,
    pub newer: Signed,
}

/// Verifies one record's proof.
pub fn verify_proof(file: &Path, keys: &Keys, kept: &[PathBuf]) -> Result<ProofReport, Failure> {
    if keys.log.is_empty() {
        return Err(Error::NoKey.into());
    }
    let kept = read_kept(kept, keys)??;
    let name = file.display().to_string();
    let bytes = read_given(file, FILE_LIMIT)?;
    Taken::Proof.expect(&bytes, file)?;
    let proof = parse_proof(&bytes)
        .map_err(|why| Finding::in_file(What::Unreadable, &name, format!("It is not a proof of a record: {why}.")))?;
    let signatures =
        proof.signed.verify_newest(keys).map_err(|why| Finding::in_file(What::BadSignature, &name, why))?;
    let head = proof.signed.checkpoint;
    let contradictions = against_head_of_part(&kept, &head);
    if !contradictions.is_empty() {
        return Err(Failure::Tampered(contradictions));
    }
    let place = Place { file: Some(name), leaf: Some(proof.index), ..Place::default() };
    if !verify_inclusion(leaf_hash(&proof.leaf), proof.index, head.size, &proof.hashes, head.root) {
        let why = "The record and the hashes of this file do not lead to the root hash of its checkpoint.";
        return Err(Finding::new(What::Changed, place, why).into());
    }
    let parsed = Leaf::parse_strictly(&proof.leaf, &mut Checker::default());
    let in_form = parsed.and_then(|leaf| Ok((leaf, std::str::from_utf8(&proof.leaf).map_err(|_| "it is not UTF-8")?)));
    let (parsed, leaf) = in_form.map_err(|why| {
        Finding::new(What::NotInForm, place, format!("The record was sealed as it stands there, but {why}."))
    })?;
    let Leaf::Known(parsed, _) = parsed else {
        return Err(Error::LaterVersion { count: 1, first: proof.index }.into());
    };
    let leaf = leaf.trim_end_matches('\n').to_owned();
    let kept = all_proven(kept.iter().map(|kept| compared(kept, &head)).collect(), ADVICE_OF_PART)?;
    witnessed(keys, iter::once(signatures.as_slice()).chain(signatures_of(&kept)))?;
    Ok(ProofReport { checkpoint: head, signatures, index: proof.index, at: parsed.at, leaf, kept })
}

/// A kept checkpoint that does not contradict the one of a proof: only of the same tree does the proof say anything.
fn compared(kept: &Earlier, head: &Checkpoint) -> Compared {
    let why_not = match kept.checkpoint.size.cmp(&head.size) {
        Ordering::Equal => None,
        Ordering::Greater => Some("it is newer than this proof"),
        Ordering::Less => Some("the proof of one record does not hold the hashes for it"),
    };
    Compared::new(kept, why_not.map(str::to_owned))
}

/// Shows by a consistency proof that the log of the newer checkpoint is a continuation of the older one's.
pub fn verify_consistency_proof(older: &Path, proof: &Path, keys: &Keys) -> Result<(Checkpoint, Checkpoint), Failure> {
    if keys.log.is_empty() {
        return Err(Error::NoKey.into());
    }
    let (old, seen_old) = read_signed(older, keys)??;
    let name = proof.display().to_string();
    let bytes = read_given(proof, FILE_LIMIT)?;
    Taken::Consistency.expect(&bytes, proof)?;
    let proof = parse_consistency_proof(&bytes)
        .map_err(|why| Finding::in_file(What::Unreadable, &name, format!("It is not a consistency proof: {why}.")))?;
    let seen_new = proof.newer.verify_newest(keys).map_err(|why| Finding::in_file(What::BadSignature, &name, why))?;
    let new = proof.newer.checkpoint;
    let place = Place { file: Some(name.clone()), ..Place::default() };
    let finding = if old.origin != new.origin {
        Finding::new(What::BadSignature, place, format!("It is of the log {}, not of {}.", new.origin, old.origin))
    } else if new.size < old.size {
        let why = format!("The older checkpoint vouches for {} records, this one for {}.", old.size, new.size);
        Finding::new(What::CutOff, Place { leaf: Some(new.size), ..place }, why)
    } else if new.size == old.size && new.root != old.root {
        Finding::new(What::Forked, place, format!("Both checkpoints are for {} records, and differ.", new.size))
    } else if proof.old != old.size {
        let why = format!("It begins at {} records, the older checkpoint is for {}.", proof.old, old.size);
        Finding::new(What::NotInForm, place, why)
    } else if verify_consistency(old.size, old.root, new.size, new.root, &proof.hashes) {
        witnessed(keys, [seen_old.as_slice(), &seen_new])?;
        return Ok((old, new));
    } else {
        let why = "It does not show that the newer checkpoint continues the older one: the histories part, or the proof itself was \
                   altered. The log's folder tells which.";
        Finding::new(What::Forked, Place { before_leaf: Some(old.size), ..place }, why)
    };
    Err(finding.into())
}

/// Reads a `.tlog-proof` whose `extra` is the leaf. The error says what is not in form.
pub fn parse_proof(bytes: &[u8]) -> Result<Proof, String> {
    let (lines, signed) = head_and_checkpoint(bytes)?;
    let mut lines = lines.into_iter();
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err("it does not begin with `c2sp.org/tlog-proof@v1`".to_owned());
    }
    let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or("its second line is not `extra`")?;
    let leaf = STANDARD.decode(extra).map_err(|_| "`extra` is not base64")?;
    let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
    let index = index.ok_or("its third line is not `index` and a number")?;
    Ok(Proof { index, leaf, hashes: hashes(lines)?, signed })
}

/// Reads a `.tlog-consistency`. The error says what is not in form.
pub fn parse_consistency_proof(bytes: &[u8]) -> Result<ConsistencyProof, String> {
    let (lines, newer) = head_and_checkpoint(bytes)?;
    let mut lines = lines.into_iter();
    let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
    let old = old.ok_or("it does not begin with `old` and a number")?;
    Ok(ConsistencyProof { old, hashes: hashes(lines)?, newer })
}

fn head_and_checkpoint(bytes: &[u8]) -> Result<(Vec<&str>, Signed), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let (head, note) = text.split_once("\n\n").ok_or("it has no empty line before the checkpoint")?;
    let signed = Signed::parse(note.as_bytes()).map_err(|why| format!("of its checkpoint, {why}"))?;
    Ok((head.split('\n').collect(), signed))
}

fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, String> {
    let mut hashes = Vec::new();
    for line in lines {
        if hashes.len() == HASHES_LIMIT {
            return Err(format!("it has more than {HASHES_LIMIT} hashes"));
        }
        hashes.push(Hash::from_base64(line).ok_or("a hash is not 32 bytes in base64")?);
    }
    Ok(hashes)
}
