//! Verifies a log's folder: the whole of it, or a range.

use std::iter;
use std::ops::Range;
use std::path::PathBuf;

use serde::Serialize;

use crate::bundle::Reader;
use crate::edge::{self, Edge};
use crate::error::Error;
use crate::finding::{Failure, Finding, Place, What};
use crate::folder::{Folder, Read, TILE_WIDTH};
use crate::kept::{
    Compared, Continues, Earlier, against_head, against_tree, all_proven, read_heads, read_kept, signatures_of,
    witnessed,
};
use crate::key::Keys;
use crate::note::{Checkpoint, NOTE_LIMIT, Seen, Signed};
use crate::order::Tally;
use crate::resume::State;
use crate::tiles::{Cache, Tree};
use crate::walk::Walk;

/// What to verify, and by what.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// The folder that holds `checkpoint` and `tile/`.
    pub folder: PathBuf,
    pub keys: Keys,
    /// Files of checkpoints that were kept elsewhere: the log has to be a continuation of each.
    pub kept: Vec<PathBuf>,
    /// Leaves to look at; without it, all that the log holds.
    pub range: Option<Range<u64>>,
    /// Threads; 0 and 1 are one.
    pub jobs: usize,
    /// File to keep the state in. If there is one, it is gone on from there. Not together with a range.
    pub resume: Option<PathBuf>,
    /// Whether all of each record is checked to be in form, and not only what the rules of the log need. It takes about half as long again.
    pub strict: bool,
}

/// What was verified. There is one only if nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub checkpoint: Checkpoint,
    /// The signatures below the checkpoint.
    pub signatures: Vec<Seen>,
    /// Leaves that were verified: from the first one up to, but without, the second one.
    pub from: u64,
    pub to: u64,
    /// Whether that is all that the log holds.
    pub whole: bool,
    /// Leaves below this one are not in the folder. If the whole was verified, a `retention` leaf says so; of a range, nobody
    /// looked for one.
    pub dropped: u64,
    /// Leaves below this one were verified by the earlier run whose state was given.
    pub resumed_at: Option<u64>,
    /// Whether all of each record was checked to be in form.
    pub strict: bool,
    /// Checkpoints kept elsewhere.
    pub kept: Vec<Continues>,
    /// How many checkpoints of `heads/` were shown to be beginnings of the log, and how many could not be judged.
    pub heads: u64,
    pub heads_unjudged: u64,
    pub tally: Tally,
}

/// What to do about a kept checkpoint that the folder can't be compared with.
const ADVICE: &str = "Nothing else is wrong; but whoever holds the log's key could have written the log anew, and this checkpoint can't \
     show it. Ask for an older copy of the folder, which still holds these hashes, or for a consistency proof made from one \
     (`audit-verify consistency`). Or verify without this checkpoint, knowing that nothing vouches then for what came before it but \
     the log's key and the other checkpoints";

/// Told now and then how many leaves are done, and of how many.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// Verifies a log.
pub fn verify_log(options: &LogOptions, progress: Progress<'_>) -> Result<Report, Failure> {
    let folder = Folder::new(&options.folder);
    if options.keys.log.is_empty() {
        return Err(Error::NoKey.into());
    }
    // Before the checkpoint: if the log is being written just now, none of them knows more than the checkpoint does.
    let minimum = read_minimum(&folder)?;
    let (heads, unknown, mut findings) = read_heads(&folder, &options.keys)?;
    let (head, signatures) = read_head(&folder, options)?;
    let kept = read_kept(&options.kept, &options.keys)??;
    let minimum = minimum?;
    if minimum > head.size {
        return Err(Finding::in_file(What::Unreadable, "minimum-index", "It is more than the log has leaves.").into());
    }
    let range = chosen(options, head.size, minimum)?;
    if let (Some(_), Some(path)) = (&options.range, &options.resume) {
        return Err(Error::State {
            path: path.clone(),
            why: "a state goes with a whole log, not with a range".to_owned(),
        }
        .into());
    }
    let earlier = kept.iter().chain(&heads).cloned().collect::<Vec<_>>();
    let mut contradictions = against_head(&earlier, &head);
    contradictions.append(&mut findings);
    let mut reader = Reader::default();
    let edge = edge::read(&folder, &mut reader, head.size, head.root)?;
    if !edge.vouched {
        contradictions.push(unvouched(&folder, &mut reader, &head, &edge, &earlier, range)?);
        return Err(Failure::Tampered(sorted(contradictions)));
    }
    let tree = Tree { folder: &folder, size: head.size, edge: edge.tiles };
    let state = match &options.resume {
        None => None,
        Some(path) => {
            let state = State::load(path, &head.origin)?;
            if options.strict && state.as_ref().is_some_and(|state| !state.strict) {
                let why = "the earlier run did not check the form of the records, which --strict asks for".to_owned();
                return Err(Error::State { path: path.clone(), why }.into());
            }
            state.map(|state| bound(state, path, &tree, minimum)).transpose()?.transpose()?
        }
    };
    let (compared, mut forks) = against_tree(&earlier, &tree)?;
    contradictions.append(&mut forks);
    contradictions.extend(edge.damaged);

    let resumed_at = state.as_ref().map(|state| state.verified);
    let state = state.unwrap_or_else(|| State::new(&head.origin, range.start, head.size, head.root));
    let mut walk = Walk::new(&tree, options.jobs, state);
    walk.check_form(options.strict);
    walk.keep_state_in(options.resume.as_deref(), &head);
    let end = walk.run(range.clone(), progress)?;
    let whole = range.start == minimum && range.end == head.size;
    let mut walked = end.err().into_iter().collect::<Vec<_>>();
    if walked.is_empty() {
        walked.extend(walk.finish(whole, minimum).err());
    }
    contradictions.append(&mut walked);
    if !contradictions.is_empty() {
        return Err(Failure::Tampered(sorted(contradictions)));
    }
    walk.save_state()?;
    walk.all_known()?;
    let (kept, heads) = compared.into_iter().partition::<Vec<_>, _>(Compared::is_kept);
    let kept = all_proven(kept, ADVICE)?;
    witnessed(&options.keys, iter::once(signatures.as_slice()).chain(signatures_of(&kept)))?;
    let proven = heads.iter().filter(|head| head.is_proven()).count() as u64;
    Ok(Report {
        checkpoint: head,
        signatures,
        from: range.start,
        to: range.end,
        whole,
        dropped: minimum,
        resumed_at,
        strict: options.strict,
        kept,
        heads: proven,
        heads_unjudged: heads.len() as u64 - proven + unknown,
        tally: walk.into_tally(),
    })
}

/// Shows that a log holds both of two signed tree heads, and so that the newer one continues the older one.
pub fn verify_consistency_by_log(
    folder: &std::path::Path,
    keys: &Keys,
    older: &std::path::Path,
    newer: &std::path::Path,
) -> Result<(Checkpoint, Checkpoint), Failure> {
    let options = LogOptions { folder: folder.to_owned(), keys: keys.clone(), ..LogOptions::default() };
    let folder = Folder::new(folder);
    let (head, signatures) = read_head(&folder, &options)?;
    let both = read_kept(&[older.to_owned(), newer.to_owned()], keys)??;
    let mut findings = against_head(&both, &head);
    let edge = edge::read(&folder, &mut Reader::default(), head.size, head.root)?;
    if !edge.vouched && findings.is_empty() {
        findings.push(Finding::in_file(
            What::TileDamaged,
            "tile",
            "The hashes in the folder do not lead to the log's own signed tree head. Verify the log first.",
        ));
    }
    let mut compared = Vec::new();
    if edge.vouched {
        let tree = Tree { folder: &folder, size: head.size, edge: edge.tiles };
        let mut forks;
        (compared, forks) = against_tree(&both, &tree)?;
        findings.append(&mut forks);
    }
    if !findings.is_empty() {
        return Err(Failure::Tampered(sorted(findings)));
    }
    let compared = all_proven(compared, ADVICE)?;
    witnessed(keys, iter::once(signatures.as_slice()).chain(signatures_of(&compared)))?;
    match <[Earlier; 2]>::try_from(both) {
        Ok([older, newer]) if older.checkpoint.size <= newer.checkpoint.size => {
            Ok((older.checkpoint, newer.checkpoint))
        }
        Ok([older, newer]) => Ok((newer.checkpoint, older.checkpoint)),
        Err(_) => Err(Error::NoKey.into()),
    }
}

/// The first of each kind is enough, and what contradicts a checkpoint kept elsewhere comes first.
fn sorted(findings: Vec<Finding>) -> Vec<Finding> {
    let rank = |finding: &Finding| match finding.what {
        What::BadSignature => 0,
        What::Forked | What::Rewritten => 1,
        What::CutOff => 2,
        What::TileDamaged => 4,
        _ => 3,
    };
    let mut first = Vec::<Finding>::new();
    let mut findings = findings;
    findings.sort_by_key(|finding| (rank(finding), finding.first_leaf()));
    for finding in findings {
        if !first.iter().any(|earlier| earlier.what == finding.what) {
            first.push(finding);
        }
    }
    first
}

fn read_head(folder: &Folder, options: &LogOptions) -> Result<(Checkpoint, Vec<Seen>), Failure> {
    if options.keys.log.is_empty() {
        return Err(Error::NoKey.into());
    }
    if let Err(source) = std::fs::read_dir(&options.folder) {
        return Err(Error::Read { path: options.folder.clone(), source }.into());
    }
    let note = match folder.read("checkpoint", NOTE_LIMIT)? {
        Read::Is(note) => note,
        Read::Absent if !folder.is_there("tile") => return Err(Error::NoLog { path: options.folder.clone() }.into()),
        Read::Absent => {
            let why = "The file is not there, and so nothing vouches for what else there is.";
            return Err(Finding::in_file(What::Unreadable, "checkpoint", why).into());
        }
        Read::Bad(why) => return Err(Finding::in_file(What::Unreadable, "checkpoint", format!("{why}.")).into()),
    };
    let signed = Signed::parse(&note)
        .map_err(|why| Finding::in_file(What::Unreadable, "checkpoint", format!("It is not a checkpoint: {why}.")))?;
    let seen =
        signed.verify_newest(&options.keys).map_err(|why| Finding::in_file(What::BadSignature, "checkpoint", why))?;
    Ok((signed.checkpoint, seen))
}

fn read_minimum(folder: &Folder) -> Result<Result<u64, Finding>, Error> {
    let error = |why: &str| Finding::in_file(What::Unreadable, "minimum-index", why);
    let text = match folder.read("minimum-index", 64)? {
        Read::Absent => return Ok(Ok(0)),
        Read::Bad(why) => return Ok(Err(error(&format!("{why}.")))),
        Read::Is(text) => text,
    };
    let number = std::str::from_utf8(&text).ok().map(|text| text.strip_suffix('\n').unwrap_or(text));
    Ok(match number.and_then(crate::note::decimal) {
        None => Err(error("It is not a decimal number.")),
        Some(minimum) if minimum % TILE_WIDTH != 0 => Err(error("It is not a multiple of 256.")),
        Some(minimum) => Ok(minimum),
    })
}

fn chosen(options: &LogOptions, size: u64, minimum: u64) -> Result<Range<u64>, Error> {
    match &options.range {
        None => Ok(minimum..size),
        Some(range) if minimum <= range.start && range.start < range.end && range.end <= size => Ok(range.clone()),
        Some(range) => Err(Error::Range { from: range.start, to: range.end.saturating_sub(1), size, minimum }),
    }
}

/// Whether what an earlier run verified is a beginning of this log.
fn bound(state: State, path: &std::path::Path, tree: &Tree<'_>, minimum: u64) -> Result<Result<State, Failure>, Error> {
    let unfit = |why: String| Error::State { path: path.to_owned(), why };
    if state.verified < minimum {
        return Err(unfit("leaves it had not come to were dropped since".to_owned()));
    }
    // What is dropped stays dropped. If less is said to be, nobody has ever seen the leaves between.
    if minimum < state.began {
        return Err(unfit(format!(
            "the earlier run began at leaf {}, as those before had been dropped; now `minimum-index` says that the folder holds \
             leaves from {minimum} on, and nobody has verified those",
            state.began
        )));
    }
    let source = path.display().to_string();
    let checkpoint = Checkpoint { origin: state.origin.clone(), size: state.size, root: state.root };
    let earlier = [Earlier { source, checkpoint, signatures: Vec::new(), kept: true }];
    let head =
        Checkpoint { origin: state.origin.clone(), size: tree.size, root: crate::tiles::root_of_edge(&tree.edge) };
    let mut findings = against_head(&earlier, &head);
    findings.append(&mut against_tree(&earlier, tree)?.1);
    if !findings.is_empty() {
        return Ok(Err(Failure::Tampered(sorted(findings))));
    }
    match tree.root_of(state.verified, &mut Cache::default())? {
        Ok(root) if root == state.verified_root || state.verified == state.began => Ok(Ok(state)),
        _ => Err(unfit("what it says was verified is not in this log".to_owned())),
    }
}

/// The hashes in the folder don't lead to the signed root. What can still be said?
fn unvouched(
    folder: &Folder,
    reader: &mut Reader,
    head: &Checkpoint,
    edge: &Edge,
    earlier: &[Earlier],
    range: Range<u64>,
) -> Result<Finding, Failure> {
    let there = if edge.incomplete { edge::leaves_there(folder, reader, head.size)? } else { head.size };
    // A signed tree head of the folder that its hashes do lead to vouches for a part of it.
    let whole = Tree { folder, size: head.size, edge: edge.tiles.clone() };
    let mut earlier = earlier.iter().filter(|earlier| earlier.checkpoint.size <= there).collect::<Vec<_>>();
    earlier.sort_by_key(|earlier| earlier.checkpoint.size);
    let (mut vouched, mut contradicted) = (None, there);
    for Earlier { checkpoint, .. } in earlier {
        let edge = edge::prefix(&whole, checkpoint.size)?;
        match edge.filter(|edge| crate::tiles::root_of_edge(edge) == checkpoint.root) {
            Some(edge) => vouched = Some((checkpoint.size, edge)),
            None => {
                contradicted = checkpoint.size;
                break;
            }
        }
    }
    let from = vouched.as_ref().map_or(0, |(size, _)| *size);
    if let Some((size, edge)) = vouched {
        let tree = Tree { folder, size, edge };
        let start = range.start.min(size);
        let mut walk = Walk::new(&tree, 1, State::new(&head.origin, start, size, head.root));
        if let Err(finding) = walk.run(start..size, &|_, _| {})? {
            return Ok(finding);
        }
    }
    // From here on only the records' own numbers say something.
    let numbers = crate::walk::by_numbers(folder, reader, range.start..there, head.size)?;
    if let Some(finding) = numbers {
        return Ok(finding);
    }
    let place = Place { leaf: Some(from), ..Place::default() };
    if there < head.size {
        let place = Place { leaf: Some(there), ..place };
        let why = format!(
            "The log has {} records by its signed tree head; those from here on are not there. Without them it can't be told \
             whether the ones before are as they were sealed{}.",
            head.size,
            if from > 0 {
                format!(", but for the first {from}, for which an earlier tree head vouches")
            } else {
                String::new()
            }
        );
        return Ok(Finding::new(What::CutOff, place, why));
    }
    let why = "The records and the hashes in the folder fit each other, but not the signed tree head: they were changed together. \
               Which record it is can't be told more exactly.";
    Ok(Finding::new(What::Changed, Place { before_leaf: Some(contradicted), ..place }, why))
}
