//! What is taken out of the log for somebody who verifies it elsewhere: one record with its proof, many records in a
//! bundle, the continuation of an earlier checkpoint. `audit/verify/FORMAT.md` is their specification.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::note::{Checkpoint, base64};
use super::tiles::{Bundle, LogFolder};
use super::tree::{Subtrees as _, TILE_WIDTH, subtrees};
use crate::AuditError;

/// One record, its place, and the audit path up to the checkpoint's root: a C2SP tlog-proof.
///
/// # Errors
/// The log holds no such record any more or yet, or its files can't be read.
pub fn inclusion(folder: &LogFolder, checkpoint: &Checkpoint, index: u64) -> Result<String, AuditError> {
    let size = checkpoint.size;
    if index >= size {
        return Err(AuditError::log(
            folder.path(),
            format!("record {index} is not in it: it holds {size}, counted from 0"),
        ));
    }
    let bundle = folder.bundle(index / TILE_WIDTH, size)?;
    let leaf = bundle.leaf(index).unwrap_or_default();
    let path = folder.hashes(size).inclusion_proof(index)?;
    let mut proof = format!("c2sp.org/tlog-proof@v1\nextra {}\nindex {index}\n", base64(leaf));
    path.iter().for_each(|hash| proof.push_str(&format!("{hash}\n")));
    Ok(format!("{proof}\n{}", checkpoint.as_str()))
}

/// Proof that the checkpoint continues the log of the first `old` records: a request of C2SP tlog-witness.
///
/// # Errors
/// The log is shorter, or its files can't be read.
pub fn consistency(folder: &LogFolder, checkpoint: &Checkpoint, old: u64) -> Result<String, AuditError> {
    if old > checkpoint.size {
        let problem =
            format!("it holds {} records, fewer than the {old} that it held once: it was cut off", checkpoint.size);
        return Err(AuditError::log(folder.path(), problem));
    }
    let mut proof = format!("old {old}\n");
    for hash in folder.hashes(checkpoint.size).consistency_proof(old)? {
        proof.push_str(&format!("{hash}\n"));
    }
    Ok(format!("{proof}\n{}", checkpoint.as_str()))
}

/// Writes the records of the given indices (ascending) as a bundle that proves each of them; returns how many there are.
/// `about`: what was asked for, when and by whom.
///
/// # Errors
/// A record is not in the log, its files can't be read, or `out` can't be written.
pub fn export(
    folder: &LogFolder,
    checkpoint: &Checkpoint,
    about: &Value,
    indices: impl IntoIterator<Item = u64>,
    out: &mut impl Write,
) -> Result<u64, AuditError> {
    let size = checkpoint.size;
    let failed = || AuditError::io("could not write", Path::new("the export"));
    writeln!(out, "sekisho-export/v1\nabout {about}").map_err(failed())?;
    let mut bundle: Option<(u64, Bundle)> = None;
    let mut gaps = Vec::new();
    let (mut next, mut rows) = (0, 0);
    for index in indices {
        let which = index / TILE_WIDTH;
        if bundle.as_ref().is_none_or(|(at, _)| *at != which) {
            bundle = Some((which, folder.bundle(which, size)?));
        }
        let leaf = bundle.as_ref().and_then(|(_, bundle)| bundle.leaf(index)).filter(|_| index >= next);
        let leaf = leaf.ok_or_else(|| AuditError::log(folder.path(), format!("record {index} is not in it")))?;
        write_leaf(out, index, leaf).map_err(failed())?;
        if index > next {
            gaps.push((next, index));
        }
        (next, rows) = (index + 1, rows + 1);
    }
    gaps.push((next, size));
    let mut hashes = folder.hashes(size);
    for (level, index) in gaps.into_iter().flat_map(|(lo, hi)| subtrees(lo, hi)) {
        let hash = hashes.subtree(level, index)?;
        writeln!(out, "hash {level} {index} {hash}").map_err(failed())?;
    }
    write!(out, "\n{}", checkpoint.as_str()).map_err(failed())?;
    Ok(rows)
}

fn write_leaf(out: &mut impl Write, index: u64, leaf: &[u8]) -> io::Result<()> {
    write!(out, "leaf {index} ")?;
    out.write_all(leaf)
}
