//! Export bundles: many records, and the hashes of all the others, under one checkpoint.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::iter;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;
use crate::finding::{Failure, Finding, Place, What};
use crate::hash::{Hash, leaf_hash};
use crate::kept::{
    ADVICE_OF_PART, Compared, Continues, Earlier, against_head_of_part, all_proven, read_kept, signatures_of, witnessed,
};
use crate::key::Keys;
use crate::leaf::{Checker, LEAF_LIMIT, Leaf};
use crate::note::{Checkpoint, NOTE_LIMIT, Seen, Signed, decimal};
use crate::order::at_leaf;
use crate::taken::Taken;
use crate::tree::Frontier;

/// No line is longer: a leaf, and its index before it; or `about`.
const LINE_LIMIT: usize = 1 << 20;

/// What an export bundle proves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportReport {
    pub checkpoint: Checkpoint,
    pub signatures: Vec<Seen>,
    /// How many records it holds. That none was left out is not proven.
    pub leaves: u64,
    /// Index of the first and of the last one.
    pub first: Option<u64>,
    pub last: Option<u64>,
    /// Their times, in microseconds since 1970 by the gateway's clock.
    pub first_at: Option<i64>,
    pub last_at: Option<i64>,
    /// What was asked for, when and by whom. Nothing vouches for it.
    pub about: serde_json::Value,
    /// Checkpoints kept elsewhere.
    pub kept: Vec<Continues>,
}

/// Verifies an export bundle.
pub fn verify_export(file: &Path, keys: &Keys, kept: &[PathBuf]) -> Result<ExportReport, Failure> {
    if keys.log.is_empty() {
        return Err(Error::NoKey.into());
    }
    let kept = read_kept(kept, keys)??;
    let name = file.display().to_string();
    let opened = File::open(file).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    let mut lines = Lines { from: BufReader::with_capacity(1 << 16, opened), path: file.to_owned(), line: Vec::new() };
    let mut parts = Parts::default();
    let about = read_about(&mut lines, &name)?;
    while let Some(line) = lines.next(&name)? {
        if line == b"\n" {
            break;
        }
        parts.take(line, &name)?;
    }
    let note = lines.rest()?;
    let signed = Signed::parse(&note).map_err(|why| {
        Finding::in_file(What::Unreadable, &name, format!("It does not end with a checkpoint: {why}."))
    })?;
    let signatures = signed.verify_newest(keys).map_err(|why| Finding::in_file(What::BadSignature, &name, why))?;
    let head = signed.checkpoint;
    let contradictions = against_head_of_part(&kept, &head);
    if !contradictions.is_empty() {
        return Err(Failure::Tampered(contradictions));
    }
    let kept = parts.verify(&head, &kept, &name)?;
    if let Some(wrong) = parts.wrong {
        return Err(wrong.into());
    }
    if let Some(first) = parts.first_later {
        return Err(Error::LaterVersion { count: parts.later_version, first }.into());
    }
    let kept = all_proven(kept, ADVICE_OF_PART)?;
    witnessed(keys, iter::once(signatures.as_slice()).chain(signatures_of(&kept)))?;
    Ok(ExportReport {
        checkpoint: head,
        signatures,
        leaves: parts.leaves.len() as u64,
        first: parts.leaves.first().map(|(index, _)| *index),
        last: parts.leaves.last().map(|(index, _)| *index),
        first_at: parts.first_at,
        last_at: parts.last_at,
        about,
        kept,
    })
}

/// What stands between the head and the checkpoint.
#[derive(Debug, Default)]
struct Parts {
    leaves: Vec<(u64, Hash)>,
    /// Level, first leaf, hash.
    hashes: Vec<(u32, u64, Hash)>,
    /// The first leaf that is not in form, or out of order by its number. Judged once the hashes are.
    wrong: Option<Finding>,
    last_record: Option<crate::finding::Record>,
    first_at: Option<i64>,
    last_at: Option<i64>,
    /// How many leaves are of a later version of the format, and the first of them.
    later_version: u64,
    first_later: Option<u64>,
    checker: Checker,
}

impl Parts {
    fn take(&mut self, line: &[u8], name: &str) -> Result<(), Finding> {
        let error = |why: &str| Finding::in_file(What::NotInForm, name, format!("A line is not in form: {why}."));
        if let Some(rest) = line.strip_prefix(b"leaf ") {
            let space =
                memchr::memchr(b' ', rest).ok_or_else(|| error("after `leaf` has to come an index and the leaf"))?;
            let (index, leaf) = (&rest[..space], &rest[space + 1..]);
            let index = number(index).ok_or_else(|| error("a leaf's index is not a number"))?;
            if leaf.len() > LEAF_LIMIT {
                return Err(error("a leaf is longer than 65,535 bytes"));
            }
            self.leaf(index, leaf, name)
        } else if let Some(rest) = line.strip_prefix(b"hash ") {
            let text = std::str::from_utf8(rest).ok().and_then(|text| text.strip_suffix('\n'));
            let mut parts = text.unwrap_or_default().splitn(3, ' ');
            let (level, index, hash) = (parts.next(), parts.next(), parts.next());
            let level = level.and_then(decimal).and_then(|level| u32::try_from(level).ok()).filter(|level| *level < 63);
            let (Some(level), Some(index), Some(hash)) =
                (level, index.and_then(decimal), hash.and_then(Hash::from_base64))
            else {
                return Err(error("after `hash` have to come level, index and 32 bytes in base64"));
            };
            let first = index.checked_mul(1 << level).ok_or_else(|| error("a hash lies beyond any tree"))?;
            if self.hashes.last().is_some_and(|(_, before, _)| *before >= first) {
                return Err(Finding::new(
                    What::Reordered,
                    in_line(name, first),
                    "`hash` lines are not in ascending order.",
                ));
            }
            self.hashes.push((level, first, hash));
            Ok(())
        } else {
            Err(error("it begins neither with `leaf` nor with `hash`"))
        }
    }

    fn leaf(&mut self, index: u64, leaf: &[u8], name: &str) -> Result<(), Finding> {
        match self.leaves.last() {
            Some((before, _)) if *before == index => {
                return Err(Finding::new(
                    What::Inserted,
                    in_line(name, index),
                    "There are two leaves with this index.",
                ));
            }
            Some((before, _)) if *before > index => {
                let why = format!("This leaf stands after leaf {before}.");
                return Err(Finding::new(What::Reordered, in_line(name, index), why));
            }
            _ => {}
        }
        self.leaves.push((index, leaf_hash(leaf)));
        match Leaf::parse_strictly(leaf, &mut self.checker) {
            Ok(Leaf::UnknownVersion(_)) => {
                self.later_version += 1;
                self.first_later.get_or_insert(index);
            }
            Ok(Leaf::Known(head, _)) => {
                self.first_at.get_or_insert(head.at);
                self.last_at = Some(head.at);
                if self.last_record.is_some_and(|before| before >= head.record) && self.wrong.is_none() {
                    let why = "The leaf was sealed as it stands there, but its number does not come after that of the one before.";
                    self.wrong = Some(at_leaf(What::Reordered, index, &head, why));
                }
                self.last_record = Some(head.record);
            }
            Err(why) => {
                let why = format!("The leaf was sealed as it stands there, but {why}.");
                self.wrong.get_or_insert(Finding::new(What::NotInForm, in_line(name, index), why));
            }
        }
        Ok(())
    }

    /// Puts leaves and hashes together to the tree of the checkpoint.
    fn verify(&self, head: &Checkpoint, kept: &[Earlier], name: &str) -> Result<Vec<Compared>, Failure> {
        let mut tree = Frontier::default();
        let mut compared = Vec::new();
        let (mut leaves, mut hashes) = (self.leaves.iter().peekable(), self.hashes.iter().peekable());
        let mut before = None;
        while tree.size() < head.size {
            proven(&tree, kept, &mut compared)?;
            let at = tree.size();
            let leaf_at = leaves.peek().map(|(index, _)| *index);
            let hash_at = hashes.peek().map(|(_, first, _)| *first);
            let (level, hash) = if leaf_at == Some(at) && hash_at != Some(at) {
                before = None;
                (0, leaves.next().map(|(_, hash)| *hash))
            } else if hash_at == Some(at) && leaf_at != Some(at) {
                let next = hashes.next();
                let level = next.map_or(0, |(level, ..)| *level);
                let is_right_half = (at >> level) & 1 == 1;
                if before == Some(level) && is_right_half {
                    let why = "Two `hash` lines are the halves of one complete subtree; they have to be one line.";
                    return Err(Finding::new(What::NotInForm, in_line(name, at), why).into());
                }
                before = Some(level);
                (level, next.map(|(.., hash)| *hash))
            } else {
                return Err(uncovered(at, leaf_at, hash_at, head.size, name).into());
            };
            if !hash.is_some_and(|hash| tree.push(level, hash)) || tree.size() > head.size {
                let why = "A `hash` line covers leaves that the tree does not have, or does not begin where its subtree does.";
                return Err(Finding::new(What::NotInForm, in_line(name, at), why).into());
            }
        }
        if let Some(beyond) = leaves.peek().map(|(index, _)| *index).or(hashes.peek().map(|(_, first, _)| *first)) {
            let why = format!("The checkpoint is for {} records, or an earlier line covers this leaf.", head.size);
            return Err(Finding::new(What::Inserted, in_line(name, beyond), why).into());
        }
        if tree.root() != head.root {
            let mut place = Place { file: Some(name.to_owned()), ..Place::default() };
            if let [(only, _)] = self.leaves.as_slice() {
                place.leaf = Some(*only);
            } else if let (Some((first, _)), Some((last, _))) = (self.leaves.first(), self.leaves.last()) {
                (place.leaf, place.before_leaf) = (Some(*first), Some(last + 1));
            }
            let why = "The records and hashes of this file do not lead to the root hash of its checkpoint: at least one of these \
                       lines was altered. Which one can only be told from the log itself.";
            return Err(Finding::new(What::Changed, place, why).into());
        }
        proven(&tree, kept, &mut compared)?;
        for kept in kept {
            if !compared.iter().any(|done: &Compared| done.is_of(&kept.source)) {
                let why = if kept.checkpoint.size > head.size {
                    "it is newer than this bundle"
                } else {
                    "this bundle does not hold the hashes for it"
                };
                compared.push(Compared::new(kept, Some(why.to_owned())));
            }
        }
        Ok(compared)
    }
}

/// Looks whether the tree so far is the one that a kept checkpoint vouches for.
fn proven(tree: &Frontier, kept: &[Earlier], compared: &mut Vec<Compared>) -> Result<(), Finding> {
    for earlier in kept {
        let Earlier { source, checkpoint, .. } = earlier;
        if checkpoint.size != tree.size() {
            continue;
        }
        if checkpoint.root != tree.root() {
            let why = format!("The first {} records are not those that this checkpoint vouches for.", checkpoint.size);
            return Err(Finding::new(
                What::Rewritten,
                Place { before_leaf: Some(checkpoint.size), ..in_line(source, 0) },
                why,
            ));
        }
        compared.push(Compared::new(earlier, None));
    }
    Ok(())
}

fn uncovered(at: u64, leaf: Option<u64>, hash: Option<u64>, size: u64, name: &str) -> Finding {
    let place = in_line(name, at);
    match [leaf, hash].into_iter().flatten().min() {
        None => Finding::new(What::CutOff, place, format!("Nothing covers the leaves from here to {}.", size - 1)),
        Some(next) if next > at => Finding::new(
            What::Missing,
            place,
            format!("Neither a leaf nor a hash covers the leaves from here to {}.", next - 1),
        ),
        Some(next) => Finding::new(What::Inserted, in_line(name, next), "Two lines cover this leaf."),
    }
}

fn in_line(name: &str, leaf: u64) -> Place {
    Place { file: Some(name.to_owned()), leaf: Some(leaf), ..Place::default() }
}

fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok().and_then(decimal)
}

fn read_about(lines: &mut Lines, name: &str) -> Result<serde_json::Value, Failure> {
    let unreadable = |why: &str| Finding::in_file(What::Unreadable, name, why);
    let path = lines.path.clone();
    match lines.next(name)? {
        Some(b"sekisho-export/v1\n") => {}
        Some(line) => {
            Taken::Bundle.expect(line, &path)?;
            let why = if line.ends_with(b"\r\n") {
                "Its lines end otherwise than they were written: a mail program or an editor changed them. Get it again, as a file."
            } else {
                "It is not an export bundle: it does not begin with `sekisho-export/v1`."
            };
            return Err(unreadable(why).into());
        }
        None => return Err(unreadable("It is empty.").into()),
    }
    let about = lines.next(name)?.and_then(|line| line.strip_prefix(b"about "));
    let about = about.and_then(|json| serde_json::from_slice::<serde_json::Value>(json).ok());
    Ok(about
        .filter(serde_json::Value::is_object)
        .ok_or_else(|| unreadable("Its second line is not `about` and a JSON object."))?)
}

/// Lines of a file, one at a time, none too long.
struct Lines {
    from: BufReader<File>,
    path: PathBuf,
    line: Vec<u8>,
}

impl Lines {
    /// The next line, newline included; `None` at the end.
    fn next(&mut self, name: &str) -> Result<Option<&[u8]>, Failure> {
        self.line.clear();
        let path = &self.path;
        let failed = |source| Error::Read { path: path.clone(), source };
        self.from.by_ref().take(LINE_LIMIT as u64).read_until(b'\n', &mut self.line).map_err(failed)?;
        match self.line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(&self.line)),
            Some(_) => {
                Err(Finding::in_file(What::Unreadable, name, "A line is too long, or the file ends within one.").into())
            }
        }
    }

    fn rest(&mut self) -> Result<Vec<u8>, Error> {
        let mut rest = Vec::new();
        let limit = NOTE_LIMIT as u64 + 1;
        let read = self.from.by_ref().take(limit).read_to_end(&mut rest);
        read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(rest)
    }
}
