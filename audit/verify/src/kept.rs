//! Checkpoints kept elsewhere, and those in `heads/`: each has to be a beginning of the log.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, NotCompared};
use crate::finding::{Finding, Place, What};
use crate::folder::{Folder, Read, read_given};
use crate::key::Keys;
use crate::note::{Checkpoint, NOTE_LIMIT, Seen, Signed, not_signed_by};
use crate::taken::Taken;
use crate::tiles::{Cache, Tree};

/// Heads that are looked at: the newest. Three hundred years of days.
const HEADS_LIMIT: usize = 100_000;

/// What to do about a kept checkpoint that what was taken from a log can't be compared with.
pub(crate) const ADVICE_OF_PART: &str = "Nothing else is wrong; but whoever holds the log's key could have written the log anew. \
     Ask for a consistency proof between the two checkpoints, or for the log's folder (`audit-verify consistency`). Or verify without \
     this checkpoint, knowing that nothing vouches then for these records but the log's key";

/// An earlier tree head that somebody vouches for.
#[derive(Debug, Clone)]
pub(crate) struct Earlier {
    /// As it was given, or `heads/<date>`.
    pub(crate) source: String,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) signatures: Vec<Seen>,
    /// It came from outside of the folder.
    pub(crate) kept: bool,
}

/// A checkpoint kept elsewhere of which the log was shown to be a continuation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Continues {
    /// The checkpoint's file.
    pub source: String,
    pub size: u64,
    /// The signatures below it: witnesses may have signed it, and not the newest one.
    pub signatures: Vec<Seen>,
}

/// An earlier tree head that nothing contradicts.
#[derive(Debug, Clone)]
pub(crate) struct Compared {
    earlier: Earlier,
    /// Why it could not be compared, if that is so.
    why_not: Option<String>,
}

impl Compared {
    pub(crate) fn new(earlier: &Earlier, why_not: Option<String>) -> Self {
        Self { earlier: earlier.clone(), why_not }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.earlier.kept
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.why_not.is_none()
    }

    /// Whether it is the one that was given so.
    pub(crate) fn is_of(&self, source: &str) -> bool {
        self.earlier.source == source
    }
}

/// Who gives a checkpoint wants to know whether it holds: one that can't be compared is no answer, whatever else was shown.
/// Otherwise a thief of the key could write the log anew and have just those hashes dropped that would show it.
pub(crate) fn all_proven(kept: Vec<Compared>, advice: &'static str) -> Result<Vec<Continues>, Error> {
    let (proven, not) = kept.into_iter().partition::<Vec<_>, _>(Compared::is_proven);
    if not.is_empty() {
        let continues = |Compared { earlier, .. }: Compared| Continues {
            source: earlier.source,
            size: earlier.checkpoint.size,
            signatures: earlier.signatures,
        };
        return Ok(proven.into_iter().map(continues).collect());
    }
    let not_compared = |Compared { earlier, why_not }: Compared| NotCompared {
        source: earlier.source,
        size: earlier.checkpoint.size,
        why: why_not.unwrap_or_default(),
    };
    Err(Error::NotCompared { checkpoints: not.into_iter().map(not_compared).collect(), advice })
}

/// Who gives a witness's key wants its word: each of the witnesses has to have signed one of the checkpoints that were looked at.
pub(crate) fn witnessed<'s>(keys: &Keys, seen: impl IntoIterator<Item = &'s [Seen]>) -> Result<(), Error> {
    let seen = seen.into_iter().flatten().cloned().collect::<Vec<_>>();
    let missing = not_signed_by(&keys.witnesses, &seen);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::NotWitnessed(missing.iter().map(|key| format!("{} ({:08x})", key.name, key.id)).collect()))
}

/// The signatures below kept checkpoints, for [`witnessed`].
pub(crate) fn signatures_of(kept: &[Continues]) -> impl Iterator<Item = &[Seen]> {
    kept.iter().map(|kept| kept.signatures.as_slice())
}

/// Reads checkpoints that were given.
pub(crate) fn read_kept(paths: &[PathBuf], keys: &Keys) -> Result<Result<Vec<Earlier>, Finding>, Error> {
    let mut kept = Vec::new();
    for path in paths {
        match read_signed(path, keys)? {
            Ok((checkpoint, signatures)) => {
                kept.push(Earlier { source: path.display().to_string(), checkpoint, signatures, kept: true });
            }
            Err(finding) => return Ok(Err(finding)),
        }
    }
    Ok(Ok(kept))
}

/// Reads a checkpoint that was given, and checks its signatures.
pub(crate) fn read_signed(path: &Path, keys: &Keys) -> Result<Result<(Checkpoint, Vec<Seen>), Finding>, Error> {
    let note = read_given(path, NOTE_LIMIT)?;
    let kind = Taken::of(&note);
    let signed =
        Signed::parse(&as_signed(note)).map_err(|why| Error::NoCheckpoint { path: path.to_owned(), why, is: kind })?;
    Ok(match signed.verify(keys) {
        Err(why) => Err(Finding::in_file(What::BadSignature, path.display().to_string(), why)),
        Ok(signatures) => Ok((signed.checkpoint, signatures)),
    })
}

/// A checkpoint as it was before a mail program or an editor had it: without a byte order mark, lines ending as they were signed.
/// Nothing is believed for that: if the signature verifies, this is what was signed.
fn as_signed(note: Vec<u8>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(note.clone()) else { return note };
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    (text.trim_end_matches('\n').to_owned() + "\n").into_bytes()
}

/// Reads `heads/`. Those that no given key signed are counted only: an older key may have signed them, and whoever could
/// replace them could as well have taken them away.
pub(crate) fn read_heads(folder: &Folder, keys: &Keys) -> Result<(Vec<Earlier>, u64, Vec<Finding>), Error> {
    let (mut heads, mut unknown, mut findings) = (Vec::new(), 0, Vec::new());
    for date in folder.heads(HEADS_LIMIT)? {
        let source = format!("heads/{date}");
        let note = match folder.read(&source, NOTE_LIMIT)? {
            Read::Is(note) => Signed::parse(&note),
            Read::Absent => continue,
            Read::Bad(why) => Err(why),
        };
        match note {
            Err(why) => {
                findings.push(Finding::in_file(What::Unreadable, source, format!("It is not a checkpoint: {why}.")));
            }
            Ok(signed) => match signed.verify(keys) {
                Ok(signatures) => {
                    heads.push(Earlier { source, checkpoint: signed.checkpoint, signatures, kept: false });
                }
                Err(why) if signed.is_by_any(keys) => findings.push(Finding::in_file(What::BadSignature, source, why)),
                Err(_) => unknown += 1,
            },
        }
    }
    Ok((heads, unknown, findings))
}

/// Compares earlier tree heads with the newest one: what needs no tree.
pub(crate) fn against_head(earlier: &[Earlier], head: &Checkpoint) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Earlier { source, checkpoint, .. } in earlier {
        let place = |leaf| Place { file: Some(source.clone()), leaf: Some(leaf), ..Place::default() };
        if checkpoint.origin != head.origin {
            let why = format!("It belongs to the log {}, not to {}.", checkpoint.origin, head.origin);
            findings.push(Finding::in_file(What::BadSignature, source, why));
        } else if checkpoint.size > head.size {
            let why =
                format!("This checkpoint vouches for {} records; the log has only {}.", checkpoint.size, head.size);
            findings.push(Finding::new(What::CutOff, place(head.size), why));
        } else if checkpoint.size == head.size && checkpoint.root != head.root {
            let why = format!("It and the log's newest checkpoint are both for {} records, and differ.", head.size);
            findings.push(Finding::new(What::Forked, Place { file: Some(source.clone()), ..Place::default() }, why));
        }
    }
    findings
}

/// The same for the tree head of what was taken from a log, which may well be older than what was kept.
pub(crate) fn against_head_of_part(kept: &[Earlier], head: &Checkpoint) -> Vec<Finding> {
    let not_newer =
        kept.iter().filter(|kept| kept.checkpoint.size <= head.size || kept.checkpoint.origin != head.origin);
    against_head(&not_newer.cloned().collect::<Vec<_>>(), head)
}

/// Compares earlier tree heads with the tree.
pub(crate) fn against_tree(earlier: &[Earlier], tree: &Tree<'_>) -> Result<(Vec<Compared>, Vec<Finding>), Error> {
    let mut sorted = earlier.iter().filter(|earlier| earlier.checkpoint.size <= tree.size).collect::<Vec<_>>();
    // By size; among equals what was kept elsewhere comes first.
    sorted.sort_by_key(|earlier| (earlier.checkpoint.size, !earlier.kept));
    let (mut cache, mut compared, mut findings) = (Cache::default(), Vec::new(), Vec::new());
    // Up to where a checkpoint of the same provenance shows that nothing was changed.
    let mut common = [0, 0];
    for earlier in sorted {
        let size = earlier.checkpoint.size;
        let common = &mut common[usize::from(earlier.kept)];
        match tree.root_of(size, &mut cache)? {
            Ok(root) if root == earlier.checkpoint.root => {
                *common = size;
                compared.push(Compared::new(earlier, None));
            }
            Ok(_) => findings.push(contradiction(&earlier.source, size, *common)),
            Err(broken) => {
                let (level, index) = (broken.level, broken.index);
                let why = format!(
                    "hashes that are needed for it were dropped from the folder, or are damaged (tile {index} of level {level})"
                );
                compared.push(Compared::new(earlier, Some(why)));
            }
        }
    }
    Ok((compared, findings))
}

fn contradiction(source: &str, size: u64, common: u64) -> Finding {
    let place =
        Place { file: Some(source.to_owned()), leaf: Some(common), before_leaf: Some(size), ..Place::default() };
    if common > 0 {
        let why = format!(
            "Up to leaf {} the log is what earlier checkpoints vouch for; then, before leaf {size}, it parts from what this \
             checkpoint vouches for.",
            common - 1
        );
        Finding::new(What::Forked, place, why)
    } else {
        let why = format!("The first {size} records of this log are not those that this checkpoint vouches for.");
        Finding::new(What::Rewritten, place, why)
    }
}
