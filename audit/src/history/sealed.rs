//! Reading what is sealed: by the index as far as it reaches, by the log itself behind that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::leaf::{self, Leaf};
use super::step::Step;
use super::{Bounds, Query};
use crate::index::leaf::Row;
use crate::index::month::MonthName;
use crate::index::search::{Columns, Search};
use crate::index::{BLOCK_BITS, Column, block_of, files, flag};
use crate::log::tiles::Bundle;
use crate::{AuditError, Entry, Filter, LogFolder, Outcome, Position, Record, TILE_WIDTH};

/// Records of the log in the order asked for. What comes may not fit; what fits comes.
#[derive(Debug)]
pub(super) struct Sealed {
    audit: PathBuf,
    log: LogFolder,
    size: u64,
    filter: Filter,
    bounds: Bounds,
    ascending: bool,
    /// Outcomes that came after their requests had been sealed, as far as they were met.
    later: BTreeMap<Position, Outcome>,
    /// Boots up to this one have ended.
    ended: u32,
    /// Files of the index that were not looked at yet, the next one last.
    files: Vec<MonthName>,
    stretch: Stretch,
    /// Leaves that are still to come: those behind `rest.start`, or before `rest.end` if the newest come first.
    rest: Range<u64>,
    /// What may fit, in the order asked for.
    found: VecDeque<Found>,
    /// Requests are told as the index has them, where it has them.
    in_short: bool,
    /// How many kept leaves are read at once; twice as many each time, since who wants one page wants few.
    batch: usize,
    bundle: Option<Bundle>,
}

#[derive(Debug)]
enum Found {
    Leaf(u64),
    /// It stands whole in the index.
    Kept(Box<Entry>),
    /// It is told by the index.
    Step(Box<Step>),
}

/// At most so many kept leaves are read at once.
const MOST_KEPT: usize = 2_048;

/// Leaves that are looked for in one way.
#[derive(Debug)]
enum Stretch {
    None,
    Log(Range<u64>),
    /// `changed`: requests whose outcomes the index does not know, where these may decide whether they fit.
    Index {
        path: PathBuf,
        search: Box<Search>,
        range: Range<u64>,
        changed: BTreeSet<u64>,
    },
}

impl Sealed {
    /// `index`: the folder of the index; none: it is not used.
    pub(super) fn new(
        index: Option<&Path>,
        log: LogFolder,
        size: u64,
        query: &Query,
        bounds: Bounds,
        later: BTreeMap<Position, Outcome>,
        ended: u32,
    ) -> Result<Self, AuditError> {
        let minimum = log.minimum_index()?.min(size);
        let mut sealed = Self {
            audit: index.map(Path::to_owned).unwrap_or_default(),
            log,
            size,
            filter: query.filter.clone(),
            bounds,
            ascending: !query.newest_first,
            later,
            ended,
            files: Vec::new(),
            stretch: Stretch::None,
            rest: minimum..size,
            found: VecDeque::new(),
            in_short: false,
            batch: 16,
            bundle: None,
        };
        sealed.files = index.map(files).transpose()?.unwrap_or_default();
        if sealed.ascending {
            sealed.files.reverse();
            // Outcomes stand behind their requests: those that the index does not know are looked for beforehand.
            let indexed = sealed.indexed().unwrap_or(minimum);
            sealed.meet_outcomes(indexed..size)?;
        }
        Ok(sealed)
    }

    /// Tells requests as [`Step`]s from now on; nothing may have been read yet.
    pub(super) fn in_short(mut self) -> Self {
        self.in_short = true;
        self
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>, AuditError> {
        while let Some(found) = self.next_found()? {
            match found {
                Found::Leaf(leaf) => {
                    if let Some(entry) = self.entry(leaf)? {
                        return Ok(Some(entry));
                    }
                }
                Found::Kept(entry) => return Ok(Some(*entry)),
                Found::Step(_) => {}
            }
        }
        Ok(None)
    }

    pub(super) fn next_step(&mut self) -> Result<Option<Step>, AuditError> {
        while let Some(found) = self.next_found()? {
            let step = match found {
                Found::Leaf(leaf) => self.entry(leaf)?.as_ref().and_then(Step::of),
                Found::Step(step) => Some(*step),
                Found::Kept(_) => None,
            };
            if step.is_some() {
                return Ok(step);
            }
        }
        Ok(None)
    }

    fn next_found(&mut self) -> Result<Option<Found>, AuditError> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Ok(Some(found));
            }
            if self.rest.is_empty() {
                return Ok(None);
            }
            match self.look_further() {
                Err(AuditError::Index { path, problem, .. }) => self.give_up_the_index(&path, &problem)?,
                looked => looked?,
            }
        }
    }

    /// Finds leaves that may fit, or gets on towards them.
    fn look_further(&mut self) -> Result<(), AuditError> {
        let ascending = self.ascending;
        match &self.stretch {
            Stretch::Index { path, search, range, .. } if !range.is_empty() && search.is_kept() => {
                let kept = search.kept(range, ascending, self.batch, leaf::read).map_err(AuditError::index(path))?;
                let done = match kept.to {
                    Some(to) if ascending => range.start..to + 1,
                    Some(to) => to..range.end,
                    None => range.clone(),
                };
                self.batch = (2 * self.batch).min(MOST_KEPT);
                self.found = kept
                    .leaves
                    .into_iter()
                    .filter_map(|(_, leaf)| match leaf {
                        Leaf::Record(entry) => Some(Found::Kept(entry)),
                        Leaf::Outcome { .. } => None,
                    })
                    .collect();
                self.done_with(&done);
            }
            Stretch::Index { path, search, range, changed } if !range.is_empty() => {
                let first = |block: u64| block << BLOCK_BITS;
                let from = block_of(if ascending { range.start } else { range.end - 1 });
                let found = search.next_block(from, ascending).map_err(AuditError::index(path))?;
                let mut changed_here = changed.range(range.clone());
                let changed_next = if ascending { changed_here.next() } else { changed_here.next_back() };
                let both = [found, changed_next.copied().map(block_of)].into_iter().flatten();
                let next = if ascending { both.min() } else { both.max() };
                let part = next.map(|next| first(next).max(range.start)..first(next + 1).min(range.end));
                let (done, leaves, told) = match part.filter(|part| !part.is_empty()) {
                    None => (range.clone(), BTreeSet::new(), Vec::new()),
                    Some(part) => {
                        let found = search.leaves(block_of(part.start), &part).map_err(AuditError::index(path))?;
                        let leaves: BTreeSet<u64> =
                            found.into_iter().chain(changed.range(part.clone()).copied()).collect();
                        let told = match self.in_short && !leaves.is_empty() {
                            true => search.columns(block_of(part.start), &leaves).map_err(AuditError::index(path))?,
                            false => Vec::new(),
                        };
                        (if ascending { range.start..part.end } else { part.start..range.end }, leaves, told)
                    }
                };
                let mut found: VecDeque<Found> = match self.in_short {
                    true => self.steps(told)?,
                    false => leaves.into_iter().map(Found::Leaf).collect(),
                };
                if !ascending {
                    found.make_contiguous().reverse();
                }
                self.found = found;
                self.done_with(&done);
            }
            Stretch::Log(range) if !range.is_empty() => {
                let part = if ascending {
                    range.start..range.end.min((range.start / TILE_WIDTH + 1) * TILE_WIDTH)
                } else {
                    range.start.max((range.end - 1) / TILE_WIDTH * TILE_WIDTH)..range.end
                };
                self.look_through(part.clone())?;
                self.done_with(&part);
            }
            _ => self.next_stretch()?,
        }
        Ok(())
    }

    /// Shortens the stretch by a part at its beginning, or at its end if the newest come first. The stretch itself is kept
    /// until its last leaves are read: the index knows their outcomes.
    fn done_with(&mut self, part: &Range<u64>) {
        let ascending = self.ascending;
        let shorten = |range: &mut Range<u64>| if ascending { range.start = part.end } else { range.end = part.start };
        shorten(&mut self.rest);
        if let Stretch::Log(range) | Stretch::Index { range, .. } = &mut self.stretch {
            shorten(range);
        }
    }

    fn next_stretch(&mut self) -> Result<(), AuditError> {
        self.stretch = Stretch::None;
        let Some(name) = self.files.last() else {
            return self.begin_log(self.rest.clone());
        };
        let path = self.audit.join(name.file());
        let search = Search::open(&path, &self.filter).map_err(AuditError::index(&path))?;
        let Some(search) = search else {
            return Err(AuditError::unfit_index(&path, "it is of another version"));
        };
        let span = search.span.first..search.span.next.min(self.size);
        if !self.ascending && self.rest.end == self.size && span.end < self.size {
            return self.begin_log(span.end.max(self.rest.start)..self.rest.end);
        }
        // Files follow one another without a gap, and the first one begins where the log does.
        let last_one = self.files.len() == 1;
        let fits = if self.ascending {
            span.start <= self.rest.start
        } else {
            span.end >= self.rest.end && (!last_one || span.start <= self.rest.start)
        };
        if !fits {
            return Err(AuditError::unfit_index(&path, "what stands beside it is missing"));
        }
        self.files.pop();
        let range = span.start.max(self.rest.start)..span.end.min(self.rest.end);
        if range.is_empty() {
            return Ok(());
        }
        let looked = || -> rusqlite::Result<_> {
            let (from, to) = (search.at_or_after(self.bounds.from)?, search.at_or_after(self.bounds.to)?);
            let clamp = |leaf: u64| leaf.clamp(range.start, range.end);
            Ok((clamp(from)..clamp(to), self.changed(&search)?))
        };
        let (within, changed) = looked().map_err(AuditError::index(&path))?;
        if self.enter(&range, &within) {
            self.stretch = Stretch::Index { path, search: Box::new(search), range: within, changed };
        }
        Ok(())
    }

    fn begin_log(&mut self, range: Range<u64>) -> Result<(), AuditError> {
        let within = self.leaf_at(&range, self.bounds.from)?..self.leaf_at(&range, self.bounds.to)?;
        if !self.ascending {
            // Outcomes of what comes stand in what is passed over as well.
            self.meet_outcomes(within.end..range.end)?;
        }
        if self.enter(&range, &within) {
            self.stretch = Stretch::Log(within);
        }
        Ok(())
    }

    /// Brings `rest`, which begins or ends with `range`, down to what lies `within` the bounds. False: nothing of the range does.
    fn enter(&mut self, range: &Range<u64>, within: &Range<u64>) -> bool {
        let rest = &mut self.rest;
        if self.ascending {
            rest.start = if within.is_empty() { range.end } else { within.start };
            if within.end < range.end {
                rest.end = within.end.max(rest.start);
            }
        } else {
            rest.end = if within.is_empty() { range.start } else { within.end };
            if within.start > range.start {
                rest.start = within.start.min(rest.end);
            }
        }
        !within.is_empty()
    }

    /// The first leaf of the range that stands at or after the position.
    fn leaf_at(&mut self, range: &Range<u64>, position: Position) -> Result<u64, AuditError> {
        let (mut low, mut high) = (range.start, range.end);
        if position == Position::default() {
            return Ok(low);
        }
        if position.boot == u32::MAX {
            return Ok(high);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            let there = self.read(middle)?.map(|leaf| leaf.position());
            if there.is_none_or(|there| there < position) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    fn changed(&self, search: &Search) -> rusqlite::Result<BTreeSet<u64>> {
        let Filter { action, decision, reason, rule, failed, .. } = &self.filter;
        if self.later.is_empty()
            || !(action.is_some() || decision.is_some() || reason.is_some() || rule.is_some() || *failed)
        {
            return Ok(BTreeSet::new());
        }
        let positions: Vec<_> = self.later.keys().copied().collect();
        Ok(search.open_ones(&positions)?.into_iter().map(|(_, leaf)| leaf).collect())
    }

    /// Looks at each leaf of a part of one bundle.
    fn look_through(&mut self, part: Range<u64>) -> Result<(), AuditError> {
        self.load(part.start / TILE_WIDTH)?;
        let Some(bundle) = &self.bundle else { return Ok(()) };
        let mut found = VecDeque::new();
        for index in part {
            let Some(leaf) = bundle.leaf(index) else { continue };
            let row = Row::read(leaf);
            if row.of.is_some() {
                if let Leaf::Outcome { of, outcome, .. } = leaf::read(leaf) {
                    self.later.insert(of, *outcome);
                }
            } else if may_fit(&row, &self.filter) {
                let leaf = Found::Leaf(index);
                if self.ascending { found.push_back(leaf) } else { found.push_front(leaf) }
            }
        }
        self.found = found;
        Ok(())
    }

    fn meet_outcomes(&mut self, range: Range<u64>) -> Result<(), AuditError> {
        if range.is_empty() {
            return Ok(());
        }
        for number in range.start / TILE_WIDTH..range.end.div_ceil(TILE_WIDTH) {
            self.load(number)?;
            for (index, leaf) in self.bundle.iter().flat_map(Bundle::iter) {
                if range.contains(&index)
                    && Row::read(leaf).of.is_some()
                    && let Leaf::Outcome { of, outcome, .. } = leaf::read(leaf)
                {
                    self.later.insert(of, *outcome);
                }
            }
        }
        Ok(())
    }

    /// How far the index reaches; none: there is none that can be used.
    fn indexed(&self) -> Option<u64> {
        let newest = self.audit.join(self.files.first()?.file());
        let search = Search::open(&newest, &Filter::default()).ok()??;
        Some(search.span.next.min(self.size))
    }

    /// Goes on without an index, with what was not handed out yet.
    fn give_up_the_index(&mut self, path: &Path, problem: &str) -> Result<(), AuditError> {
        tracing::warn!(
            file = %path.display(), problem,
            "an index file can't be used, so the log is searched, which takes longer; `sekisho audit reindex` makes it anew"
        );
        self.files.clear();
        self.stretch = Stretch::None;
        // Which outcomes came late is not known without it.
        self.meet_outcomes(self.log.minimum_index()?.min(self.size)..self.size)
    }

    fn entry(&mut self, index: u64) -> Result<Option<Entry>, AuditError> {
        let Some(Leaf::Record(mut entry)) = self.read(index)? else { return Ok(None) };
        if entry.outcome.is_none() && matches!(entry.record, Record::Request(_)) {
            entry.outcome = match self.later.get(&entry.position) {
                Some(outcome) => Some(outcome.clone()),
                None => self.late_outcome(index)?,
            };
            if entry.position.boot <= self.ended {
                entry.lose_track();
            }
        }
        Ok(Some(*entry))
    }

    /// Requests as the index tells them, with what became known of them since.
    fn steps(&mut self, told: Vec<Columns>) -> Result<VecDeque<Found>, AuditError> {
        let mut steps = VecDeque::with_capacity(told.len());
        for columns in told {
            let (leaf, open) = (columns.leaf, columns.flags & flag::OPEN != 0);
            let Some(mut step) = Step::of_columns(columns) else { continue };
            if open {
                let outcome = match self.later.get(&step.position) {
                    Some(outcome) => Some(outcome.clone()),
                    None => self.late_outcome(leaf)?,
                };
                outcome.iter().for_each(|outcome| step.settle(outcome));
            }
            steps.push_back(Found::Step(Box::new(step)));
        }
        Ok(steps)
    }

    fn late_outcome(&mut self, request: u64) -> Result<Option<Outcome>, AuditError> {
        let Stretch::Index { search, .. } = &self.stretch else { return Ok(None) };
        // If the index fails here, the next look into it tells.
        let Some(leaf) = search.outcome_of(request).ok().flatten() else { return Ok(None) };
        if leaf >= self.size {
            return Ok(None);
        }
        let kept = self.bundle.take();
        let read = self.read(leaf)?;
        self.bundle = kept;
        Ok(match read {
            Some(Leaf::Outcome { outcome, .. }) => Some(*outcome),
            _ => None,
        })
    }

    /// None: it was dropped meanwhile.
    fn read(&mut self, index: u64) -> Result<Option<Leaf>, AuditError> {
        self.load(index / TILE_WIDTH)?;
        Ok(self.bundle.as_ref().and_then(|bundle| bundle.leaf(index)).map(leaf::read))
    }

    fn load(&mut self, number: u64) -> Result<(), AuditError> {
        if self.bundle.as_ref().is_some_and(|bundle| bundle.first() == number * TILE_WIDTH && !bundle.is_empty()) {
            return Ok(());
        }
        self.bundle = match self.log.bundle(number, self.size) {
            Ok(bundle) => Some(bundle),
            // Its time is over since reading began.
            Err(AuditError::Io { cause, .. })
                if cause.kind() == io::ErrorKind::NotFound && self.log.minimum_index()? > number * TILE_WIDTH =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }
}

/// A first look at a leaf, without reading all of it.
fn may_fit(row: &Row<'_>, filter: &Filter) -> bool {
    let is = |column, wanted: Option<&str>| wanted.is_none_or(|wanted| row.text(column) == Some(wanted));
    let open = row.flags & flag::OPEN != 0;
    filter.takes_time(row.at)
        && filter.takes_kind(row.text(Column::Kind).unwrap_or_default())
        && filter.person.as_ref().is_none_or(|person| {
            [Column::Person, Column::Subject].into_iter().any(|column| row.text(column) == Some(person.as_str()))
        })
        && is(Column::App, filter.app.as_ref().map(AsRef::as_ref))
        && is(Column::Operation, filter.operation.as_deref())
        && is(Column::Subject, filter.subject.as_deref())
        && (!filter.named || row.flags & flag::NAMED != 0)
        && is(Column::Session, filter.session.as_ref().map(AsRef::as_ref))
        && is(Column::Device, filter.device.as_ref().map(AsRef::as_ref))
        && (open || is(Column::Action, filter.action.map(|action| action.as_str())))
        && (open || is(Column::Decision, filter.decision.map(|decision| decision.as_str())))
        && (open || is(Column::Reason, filter.reason.map(|reason| reason.as_str())))
}
