//! Goes along the leaves: bundles are checked by several threads, the rules of the log by one, in order.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bundle::{Checked, Reader};
use crate::error::Error;
use crate::finding::{Finding, What};
use crate::folder::{Folder, TILE_WIDTH};
use crate::leaf::{Leaf, Role};
use crate::log::Progress;
use crate::note::Checkpoint;
use crate::order::{Order, Tally, at_leaf};
use crate::resume::State;
use crate::tiles::{Cache, Tree};

/// Bundles that each thread has on its hands before their leaves are followed in order: a few megabytes.
const BUNDLES_PER_JOB: u64 = 64;
/// Ranges in the `recovery` leaves of a bundle that waits with others.
const MANY_RANGES: usize = 1024;
/// How often the state is written.
const STATE_EVERY: Duration = Duration::from_secs(10);

/// A walk along a tree's leaves.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    tree: &'a Tree<'a>,
    readers: Vec<Reader>,
    cache: Cache,
    state: State,
    state_file: Option<PathBuf>,
}

type Batch = Vec<(u64, Result<Checked, Error>)>;

impl<'a> Walk<'a> {
    pub(crate) fn new(tree: &'a Tree<'a>, jobs: usize, state: State) -> Self {
        let readers = (0..jobs.clamp(1, 256)).map(|_| Reader::default()).collect();
        Self { tree, readers, cache: Cache::default(), state, state_file: None }
    }

    /// Checks all of each leaf, and not only what the rules need.
    pub(crate) fn check_form(&mut self, strict: bool) {
        self.readers.iter_mut().for_each(|reader| reader.strict = strict);
        self.state.strict = strict;
    }

    pub(crate) fn keep_state_in(&mut self, file: Option<&Path>, head: &Checkpoint) {
        self.state_file = file.map(Path::to_owned);
        self.state.size = head.size;
        self.state.root = head.root;
    }

    /// Checks these leaves, from where the state is on. Stops after the first bundle in which something is wrong.
    pub(crate) fn run(&mut self, range: Range<u64>, progress: Progress<'_>) -> Result<Result<(), Finding>, Error> {
        let last = range.end.div_ceil(TILE_WIDTH);
        let mut next = self.state.verified.max(range.start) / TILE_WIDTH;
        let mut saved = Instant::now();
        let leaves = range.end - range.start;
        while next < last && range.start < range.end {
            let batch = next..last.min(next + BUNDLES_PER_JOB * self.readers.len() as u64);
            next = batch.end;
            for (index, checked) in self.check(batch)? {
                let mut checked = checked?;
                if checked.bundle.put_aside {
                    checked = self.readers[0].check(self.tree, index)?;
                }
                if let Err(finding) = self.follow(index, checked, &range)? {
                    return Ok(Err(finding));
                }
            }
            self.state.verified = range.end.min(next * TILE_WIDTH);
            progress(self.state.verified.saturating_sub(range.start), leaves);
            if saved.elapsed() >= STATE_EVERY {
                self.save_state()?;
                saved = Instant::now();
            }
        }
        Ok(Ok(()))
    }

    /// What can be judged at the end only.
    pub(crate) fn finish(&mut self, whole: bool, minimum: u64) -> Result<(), Finding> {
        // The rules go on from here if the log has grown, so the state's own end stays open.
        self.state.order.clone().finish(self.state.verified == self.tree.size)?;
        if self.state.verified < self.tree.size {
            let _ = self.state.order.finish(false);
        }
        if whole && minimum > self.state.dropped_to {
            let why = format!("The leaves below {minimum} are gone, and no record of kind `retention` says so.");
            return Err(Finding::in_file(What::DroppedWithoutRecord, "minimum-index", why));
        }
        Ok(())
    }

    pub(crate) fn save_state(&mut self) -> Result<(), Error> {
        let Some(file) = &self.state_file else { return Ok(()) };
        // A program that knows that version has to judge those records.
        if self.all_known().is_err() {
            return Ok(());
        }
        if let Ok(root) = self.tree.root_of(self.state.verified, &mut self.cache)? {
            self.state.verified_root = root;
            self.state.save(file)?;
        }
        Ok(())
    }

    /// Whether this program knows what all of the leaves say.
    pub(crate) fn all_known(&self) -> Result<(), Error> {
        let Order { first_later, later_version, .. } = &self.state.order;
        first_later.map_or(Ok(()), |first| Err(Error::LaterVersion { count: *later_version, first }))
    }

    pub(crate) fn into_tally(self) -> Tally {
        self.state.order.seen
    }

    fn check(&mut self, bundles: Range<u64>) -> Result<Batch, Error> {
        let tree = self.tree;
        if let [reader] = self.readers.as_mut_slice() {
            return Ok(bundles.map(|index| (index, check_light(reader, tree, index))).collect());
        }
        let next = AtomicU64::new(bundles.start);
        let work = |reader: &mut Reader| {
            let mut done = Batch::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= bundles.end {
                    return done;
                }
                done.push((index, check_light(reader, tree, index)));
            }
        };
        let mut batch = Batch::new();
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for reader in &mut self.readers {
                threads.push(thread::Builder::new().spawn_scoped(scope, || work(reader)).map_err(Error::Thread)?);
            }
            for thread in threads {
                batch.append(&mut thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            Ok::<_, Error>(())
        })?;
        batch.sort_by_key(|(index, _)| *index);
        Ok(batch)
    }

    /// Follows the rules over the leaves of one bundle.
    fn follow(&mut self, index: u64, checked: Checked, range: &Range<u64>) -> Result<Result<(), Finding>, Error> {
        let first = index * TILE_WIDTH;
        let leaves = (first..).zip(&checked.bundle.leaves);
        let from = self.state.verified.max(range.start);
        let mut leaves = leaves.filter(|(leaf, _)| (from..range.end).contains(leaf));
        if let Some(mut finding) = checked.finding {
            if finding.what == What::NotInForm
                && let Err(earlier) = leaves.try_for_each(|(at, leaf)| self.state.order.push(at, leaf))
            {
                finding = earlier;
            } else if finding.what == What::Changed && finding.place.before_leaf.is_some() {
                finding = narrowed(&self.state.order, leaves, finding);
            }
            return Ok(Err(finding));
        }
        for (at, leaf) in leaves {
            if let Err(finding) = self.state.order.push(at, leaf) {
                return Ok(Err(finding));
            }
            if let Leaf::Known(head, Role::Retention { dropped_to, root }) = leaf {
                // It is a multiple of 256, so this needs no tile that may be dropped.
                let right = *dropped_to <= at
                    && match self.tree.root_of(*dropped_to, &mut self.cache)? {
                        Ok(computed) => computed == *root,
                        Err(broken) => return Ok(Err(crate::diagnose::tile(self.tree, &broken)?)),
                    };
                if !right {
                    let why = format!(
                        "It says that leaves below {dropped_to} were dropped, but gives another root hash for them."
                    );
                    return Ok(Err(at_leaf(What::NotInForm, at, head, why)));
                }
                self.state.dropped_to = self.state.dropped_to.max(*dropped_to);
            }
        }
        Ok(Ok(()))
    }
}

/// Bundles whose leaves take much memory are read once more when it is their turn. An honest log has hardly any; another one could
/// have nothing else.
fn check_light(reader: &mut Reader, tree: &Tree<'_>, index: u64) -> Result<Checked, Error> {
    let mut checked = reader.check(tree, index)?;
    if checked.bundle.ranges() > MANY_RANGES {
        checked.bundle.leaves = Vec::new();
        checked.bundle.put_aside = true;
    }
    Ok(checked)
}

/// Where hashes can't tell which leaf was changed, the leaves' numbers may.
fn narrowed<'l>(order: &Order, leaves: impl Iterator<Item = (u64, &'l Leaf)>, coarse: Finding) -> Finding {
    let mut order = order.clone();
    let gaps_before = order.first_gap();
    for (at, leaf) in leaves {
        if let Err(finding) = order.push(at, leaf) {
            return told_by_number(finding, &coarse.why);
        }
    }
    match order.first_gap() {
        Some(gap) if gaps_before.is_none() => told_by_number(gap, &coarse.why),
        _ => coarse,
    }
}

/// In leaves that nothing vouches for, a gap is a record that was taken out.
fn told_by_number(mut finding: Finding, coarse: &str) -> Finding {
    if finding.what == What::SequenceGap {
        finding.what = What::Missing;
    }
    finding.why = format!("{} That is told by the records' numbers. {coarse}", finding.why);
    finding
}

/// Looks at leaves that nothing vouches for: do they contradict their own tiles, or their own numbers?
pub(crate) fn by_numbers(
    folder: &Folder,
    reader: &mut Reader,
    range: Range<u64>,
    size: u64,
) -> Result<Option<Finding>, Error> {
    const COARSE: &str = "The hashes in the folder do not lead to the signed tree head.";
    let mut order = Order::default();
    let bundles = range.start / TILE_WIDTH..range.end.div_ceil(TILE_WIDTH);
    for index in folder.bundles()?.range(bundles).copied() {
        let width = range.end.min(size).saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH);
        let bundle = reader.read(folder, index, width)?;
        for (at, leaf) in (index * TILE_WIDTH..).zip(&bundle.leaves) {
            if !range.contains(&at) {
                continue;
            }
            if let Err(finding) = order.push(at, leaf) {
                return Ok(Some(told_by_number(finding, COARSE)));
            }
        }
        if let Some(why) = bundle.form {
            let leaf = index * TILE_WIDTH + bundle.leaves.len() as u64;
            let place = crate::finding::Place { file: Some(bundle.file), leaf: Some(leaf), ..Default::default() };
            let why = format!("What stands here is not a record: {why}. {COARSE}");
            return Ok(Some(Finding::new(What::Changed, place, why)));
        }
    }
    Ok(order.finish(true).err().map(|gap| told_by_number(gap, COARSE)))
}
