//! Searching one file of the index.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, ffi};
use vocabulary::Timestamp;

use super::block::{Block, View};
use super::kept::Kept;
use super::month::{self, Span, look_up};
use super::{COLUMNS, Column, TEXTS, block_of, flag, kept, posting};
use crate::history::filter::source_lies_in;
use crate::{Filter, PathPattern, Position};

/// More texts than that don't lead to blocks any more; they are only looked for in them.
const LEADING: usize = 4_096;

/// What a filter means in one file.
#[derive(Debug)]
pub(crate) struct Search {
    connection: Connection,
    pub(crate) span: Span,
    leads: Vec<Lead>,
    checks: Vec<Check>,
    time: Option<Filter>,
    outcomes: Option<u32>,
    /// False: something that is looked for isn't in the file at all.
    possible: bool,
    /// What is looked for, if all of it is kept whole.
    kept: Option<kept::Wanted>,
    /// The first and the last block that may hold what happened in the time asked for.
    blocks: RangeInclusive<u64>,
    /// Texts by their numbers, as far as they were needed.
    texts: RefCell<HashMap<u32, Arc<str>>>,
}

/// What the columns say of a leaf.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) leaf: u64,
    pub(crate) position: Position,
    pub(crate) at: Timestamp,
    /// By column.
    pub(crate) texts: [Option<Arc<str>>; TEXTS],
    pub(crate) flags: u32,
}

/// What leads to blocks.
#[derive(Debug)]
enum Lead {
    Value(u32),
    Blocks(BTreeSet<u64>),
}

/// What a leaf must have in one of the columns.
#[derive(Debug)]
struct Check {
    columns: &'static [Column],
    wanted: Wanted,
    /// A late outcome may have changed it.
    settled_late: bool,
}

#[derive(Debug)]
enum Wanted {
    /// One of these, in ascending order.
    Values(Vec<u32>),
    /// One of these bits.
    Flag(u32),
}

impl Search {
    /// None: the file is of another version.
    pub(crate) fn open(path: &Path, filter: &Filter) -> rusqlite::Result<Option<Self>> {
        let Some((connection, span)) = month::open_to_read(path)? else { return Ok(None) };
        let timed = filter.from.is_some() || filter.to.is_some() || filter.night.is_some();
        let time = timed.then(|| Filter {
            from: filter.from,
            to: filter.to,
            night: filter.night.clone(),
            ..Filter::default()
        });
        let outcomes = look_up(&connection, Column::Kind as u8, "outcome")?;
        let mut search = Self {
            connection,
            span,
            leads: Vec::new(),
            checks: Vec::new(),
            time,
            outcomes,
            possible: true,
            kept: kept::Wanted::of(filter),
            blocks: 0..=u64::MAX,
            texts: RefCell::default(),
        };
        search.possible = filter.from.is_none_or(|from| span.max_at >= from)
            && filter.to.is_none_or(|to| span.min_at < to)
            && search.look_for(filter)?;
        if search.possible && (filter.from.is_some() || filter.to.is_some()) {
            search.blocks = search.blocks_within(filter.from, filter.to)?;
        }
        Ok(Some(search))
    }

    /// False: something that is looked for isn't in the file at all.
    fn look_for(&mut self, filter: &Filter) -> rusqlite::Result<bool> {
        let word = |text: Option<&'static str>| text.map(str::to_owned);
        let exact = [
            (&[Column::Person, Column::Subject][..], filter.person.as_ref().map(ToString::to_string)),
            (&[Column::Session][..], filter.session.as_ref().map(ToString::to_string)),
            (&[Column::Device], filter.device.as_ref().map(ToString::to_string)),
            (&[Column::App], filter.app.as_ref().map(ToString::to_string)),
            (&[Column::Operation], filter.operation.clone()),
            (&[Column::Subject], filter.subject.clone()),
            (&[Column::Rule], filter.rule.as_ref().map(ToString::to_string)),
            (&[Column::Reason], word(filter.reason.map(|reason| reason.as_str()))),
            (&[Column::Action], word(filter.action.map(|action| action.as_str()))),
            (&[Column::Decision], word(filter.decision.map(|decision| decision.as_str()))),
        ];
        for (columns, text) in exact {
            let Some(text) = text else { continue };
            let dimension = columns.first().map_or(0, |column| column.dimension());
            let Some(value) = look_up(&self.connection, dimension, &text)? else { return Ok(false) };
            if let Some(kept) = self.kept.as_mut().filter(|_| columns.contains(&Column::Person)) {
                kept.person = Some(value);
            }
            self.add(columns, vec![value])?;
        }
        let flags = [(filter.outside, flag::OUTSIDE), (filter.failed, flag::FAILED), (filter.named, flag::NAMED)];
        for (wanted, bit) in flags {
            if wanted && !self.add_flag(bit)? {
                return Ok(false);
            }
        }
        if !filter.kinds.is_empty() {
            let mut values = Vec::new();
            for kind in &filter.kinds {
                values.extend(look_up(&self.connection, Column::Kind as u8, kind)?);
            }
            self.add(&[Column::Kind], values)?;
        }
        if let Some(net) = &filter.source {
            let values = self.matching(Column::Source, "", |text| Some(source_lies_in(text, net)))?;
            self.add(&[Column::Source], values)?;
        }
        match &filter.path {
            Some(PathPattern::Prefix(prefix)) => {
                // In the order of bytes, those that begin so stand together.
                let values =
                    self.matching(Column::Path, prefix, |path| path.starts_with(prefix.as_str()).then_some(true))?;
                self.add(&[Column::Path], values)?;
            }
            Some(PathPattern::Contains(part)) => {
                let values = self.matching(Column::Path, "", |path| Some(path.contains(part.as_str())))?;
                self.add(&[Column::Path], values)?;
            }
            None => {}
        }
        Ok(self.checks.iter().all(|check| !matches!(&check.wanted, Wanted::Values(values) if values.is_empty())))
    }

    /// Texts from `from` on that are taken; none ends it.
    fn matching(
        &self,
        column: Column,
        from: &str,
        mut takes: impl FnMut(&str) -> Option<bool>,
    ) -> rusqlite::Result<Vec<u32>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, text FROM value WHERE dimension = ?1 AND text >= ?2 ORDER BY text")?;
        let mut rows = statement.query((column.dimension(), from))?;
        let mut values = Vec::new();
        while let Some(row) = rows.next()? {
            match takes(row.get_ref(1)?.as_str()?) {
                Some(true) => values.push(row.get(0)?),
                Some(false) => {}
                None => break,
            }
        }
        Ok(values)
    }

    fn add(&mut self, columns: &'static [Column], mut values: Vec<u32>) -> rusqlite::Result<()> {
        values.sort_unstable();
        values.dedup();
        match values[..] {
            [value] => self.leads.push(Lead::Value(value)),
            [] => {}
            _ if values.len() > LEADING => {}
            _ => {
                let blocks = posting::all(&self.connection, &values)?;
                self.leads.push(Lead::Blocks(blocks));
            }
        }
        let settled_late =
            columns.iter().all(|c| matches!(c, Column::Action | Column::Decision | Column::Reason | Column::Rule));
        self.checks.push(Check { columns, wanted: Wanted::Values(values), settled_late });
        Ok(())
    }

    fn add_flag(&mut self, bit: u32) -> rusqlite::Result<bool> {
        let word = flag::ALL.iter().find(|(known, _)| *known == bit).map_or("", |(_, word)| word);
        let Some(value) = look_up(&self.connection, Column::Flags as u8, word)? else { return Ok(false) };
        self.leads.push(Lead::Value(value));
        let (columns, settled_late) = (&[Column::Flags][..], bit == flag::FAILED);
        self.checks.push(Check { columns, wanted: Wanted::Flag(bit), settled_late });
        Ok(true)
    }

    /// The last block at or before the one given in which leaves may fit; with `ascending`, the first at or after it.
    pub(crate) fn next_block(&self, from: u64, ascending: bool) -> rusqlite::Result<Option<u64>> {
        if !self.possible || self.span.first == self.span.next {
            return Ok(None);
        }
        let first = block_of(self.span.first).max(*self.blocks.start());
        let last = block_of(self.span.next - 1).min(*self.blocks.end());
        let mut block = if ascending { from.max(first) } else { from.min(last) };
        'again: while (first..=last).contains(&block) {
            for lead in &self.leads {
                let Some(next) = self.follow(lead, block, ascending)? else { return Ok(None) };
                if next != block {
                    block = next;
                    continue 'again;
                }
            }
            if self.time.is_none() || self.may_lie_in(block)? {
                return Ok(Some(block));
            }
            match if ascending { block.checked_add(1) } else { block.checked_sub(1) } {
                Some(next) => block = next,
                None => break,
            }
        }
        Ok(None)
    }

    fn follow(&self, lead: &Lead, from: u64, ascending: bool) -> rusqlite::Result<Option<u64>> {
        match lead {
            Lead::Blocks(blocks) if ascending => Ok(blocks.range(from..).next().copied()),
            Lead::Blocks(blocks) => Ok(blocks.range(..=from).next_back().copied()),
            Lead::Value(value) => posting::next(&self.connection, *value, from, ascending),
        }
    }

    fn blocks_within(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> rusqlite::Result<RangeInclusive<u64>> {
        let sql = "SELECT min(block), max(block) FROM span WHERE (?1 IS NULL OR max_at >= ?1) AND (?2 IS NULL OR min_at < ?2)";
        let times = (from.map(|from| from.0), to.map(|to| to.0));
        let (first, last): (Option<i64>, Option<i64>) =
            self.connection.query_row(sql, times, |row| Ok((row.get(0)?, row.get(1)?)))?;
        // An empty range, if none of them may.
        Ok(first.map_or(1, i64::cast_unsigned)..=last.map_or(0, i64::cast_unsigned))
    }

    fn may_lie_in(&self, block: u64) -> rusqlite::Result<bool> {
        let Some(filter) = &self.time else { return Ok(true) };
        let mut statement = self.connection.prepare_cached("SELECT min_at, max_at FROM span WHERE block = ?1")?;
        let (min, max) =
            statement.query_row([block.cast_signed()], |row| Ok((Timestamp(row.get(0)?), Timestamp(row.get(1)?))))?;
        Ok(filter.from.is_none_or(|from| max >= from) && filter.to.is_none_or(|to| min < to))
    }

    /// Leaves of the block within `range` that may fit, in ascending order.
    pub(crate) fn leaves(&self, number: u64, range: &Range<u64>) -> rusqlite::Result<Vec<u64>> {
        let (first, rows, data) = read(&self.connection, number)?.ok_or_else(|| damaged(number))?;
        let view = View::new(&data, rows).ok_or_else(|| damaged(number))?;
        let end = first + rows as u64;
        let late = self.late(first..=end)?;
        let mut takes = vec![true; rows];
        for (leaf, takes) in (first..).zip(&mut takes) {
            *takes = range.contains(&leaf);
        }
        if let Some(filter) = &self.time {
            for (at, takes) in view.times().ok_or_else(|| damaged(number))?.into_iter().zip(&mut takes) {
                *takes = *takes && filter.takes_time(Timestamp(at));
            }
        }
        if let Some(outcomes) = self.outcomes {
            let kinds = view.column(Column::Kind).ok_or_else(|| damaged(number))?;
            if kinds.distinct.contains(&outcomes) {
                for (row, takes) in takes.iter_mut().enumerate() {
                    *takes = *takes && kinds.value(row) != outcomes;
                }
            }
        }
        for check in &self.checks {
            check.look(&view, &mut takes, |row| late.contains(&(first + row as u64))).ok_or_else(|| damaged(number))?;
        }
        Ok((first..).zip(takes).filter_map(|(leaf, takes)| takes.then_some(leaf)).collect())
    }

    /// Whether all that is looked for is kept whole, so that [`Search::kept`] finds it.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Kept leaves within `range` that may fit, as `take` reads their texts, the lowest or the highest ones, at most so many of
    /// each kind.
    pub(crate) fn kept<T>(
        &self,
        range: &Range<u64>,
        ascending: bool,
        most: usize,
        take: impl FnMut(&[u8]) -> T,
    ) -> rusqlite::Result<Kept<T>> {
        match &self.kept {
            Some(wanted) if self.possible => kept::read(&self.connection, wanted, range, ascending, most, take),
            _ => Ok(Kept { leaves: Vec::new(), to: None }),
        }
    }

    /// What the columns say of these leaves of the block, which are in ascending order.
    pub(crate) fn columns(&self, number: u64, leaves: &BTreeSet<u64>) -> rusqlite::Result<Vec<Columns>> {
        let (first, rows, data) = read(&self.connection, number)?.ok_or_else(|| damaged(number))?;
        let broken = || damaged(number);
        let view = View::new(&data, rows).ok_or_else(broken)?;
        let (positions, times) = (view.positions().ok_or_else(broken)?, view.times().ok_or_else(broken)?);
        let columns: Option<Vec<_>> = Column::ALL.into_iter().map(|column| view.column(column)).collect();
        let columns: [_; COLUMNS] = columns.and_then(|columns| columns.try_into().ok()).ok_or_else(broken)?;
        let mut found = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let row = usize::try_from(leaf.wrapping_sub(first)).unwrap_or(usize::MAX);
            let (Some(position), Some(at)) = (positions.get(row), times.get(row)) else { continue };
            let mut texts = [const { None }; TEXTS];
            for (text, column) in texts.iter_mut().zip(&columns) {
                *text = self.text(column.value(row))?;
            }
            let flags = columns[Column::Flags as usize].value(row);
            found.push(Columns { leaf: *leaf, position: *position, at: Timestamp(*at), texts, flags });
        }
        Ok(found)
    }

    /// The text that has the number; 0 stands for none.
    fn text(&self, value: u32) -> rusqlite::Result<Option<Arc<str>>> {
        if value == 0 {
            return Ok(None);
        }
        let mut texts = self.texts.borrow_mut();
        if let Some(text) = texts.get(&value) {
            return Ok(Some(Arc::clone(text)));
        }
        let mut statement = self.connection.prepare_cached("SELECT text FROM value WHERE id = ?1")?;
        let text: Arc<str> =
            statement.query_row([value], |row| row.get_ref(0)?.as_str().map(Arc::from).map_err(Into::into))?;
        if texts.len() >= LEADING * 16 {
            texts.clear();
        }
        texts.insert(value, Arc::clone(&text));
        Ok(Some(text))
    }

    /// Requests that have late outcomes.
    fn late(&self, leaves: RangeInclusive<u64>) -> rusqlite::Result<BTreeSet<u64>> {
        let mut statement = self.connection.prepare_cached("SELECT leaf FROM late WHERE leaf BETWEEN ?1 AND ?2")?;
        let rows = statement.query_map((leaves.start().cast_signed(), leaves.end().cast_signed()), |row| {
            row.get::<_, i64>(0).map(i64::cast_unsigned)
        })?;
        rows.collect()
    }

    /// The leaf that holds the outcome of a request that was sealed without one.
    pub(crate) fn outcome_of(&self, request: u64) -> rusqlite::Result<Option<u64>> {
        self.connection
            .prepare_cached("SELECT outcome FROM late WHERE leaf = ?1")?
            .query_row([request.cast_signed()], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
            .optional()
    }

    /// The first leaf that stands at or after the position.
    pub(crate) fn at_or_after(&self, position: Position) -> rusqlite::Result<u64> {
        at_or_after(&self.connection, &self.span, position)
    }

    /// Those of the positions, which are in ascending order, whose leaves are requests without an outcome.
    pub(crate) fn open_ones(&self, positions: &[Position]) -> rusqlite::Result<Vec<(Position, u64)>> {
        let mut open = Vec::new();
        let mut rest = positions;
        while let Some(position) = rest.first() {
            let leaf = at_or_after(&self.connection, &self.span, *position)?;
            if leaf >= self.span.next {
                break;
            }
            let number = block_of(leaf);
            let (first, rows, data) = read(&self.connection, number)?.ok_or_else(|| damaged(number))?;
            let view = View::new(&data, rows).ok_or_else(|| damaged(number))?;
            let there = view.positions().ok_or_else(|| damaged(number))?;
            let flags = view.column(Column::Flags).ok_or_else(|| damaged(number))?;
            let last = there.last().copied().unwrap_or_default();
            let here = rest.partition_point(|position| *position <= last).max(1);
            for position in &rest[..here] {
                if let Ok(row) = there.binary_search(position)
                    && flags.value(row) & flag::OPEN != 0
                {
                    open.push((*position, first + row as u64));
                }
            }
            rest = &rest[here..];
        }
        Ok(open)
    }
}

impl Check {
    /// Leaves in `takes` what has one of the values in one of the columns. None: the block is damaged.
    fn look(&self, view: &View<'_>, takes: &mut [bool], is_late: impl Fn(usize) -> bool) -> Option<()> {
        let mut found = vec![false; view.rows()];
        for column in self.columns {
            let values = view.column(*column)?;
            let wanted: Vec<bool> = match &self.wanted {
                Wanted::Values(wanted) => values.distinct.iter().map(|v| wanted.binary_search(v).is_ok()).collect(),
                Wanted::Flag(bit) => values.distinct.iter().map(|value| value & bit != 0).collect(),
            };
            if wanted.iter().any(|wanted| *wanted) {
                for (row, found) in found.iter_mut().enumerate() {
                    *found |= wanted.get(values.place(row)).copied().unwrap_or(false);
                }
            }
        }
        for (row, (takes, found)) in takes.iter_mut().zip(found).enumerate() {
            *takes = *takes && (found || (self.settled_late && is_late(row)));
        }
        Some(())
    }
}

fn damaged(block: u64) -> rusqlite::Error {
    let problem = format!("block {block} can't be read");
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(problem))
}

/// First leaf, number of leaves and bytes of a block.
fn read(connection: &Connection, number: u64) -> rusqlite::Result<Option<(u64, usize, Vec<u8>)>> {
    let sql = "SELECT first, rows, data FROM block JOIN span ON block = number WHERE number = ?1";
    connection
        .prepare_cached(sql)?
        .query_row([number.cast_signed()], |row| {
            let rows: u32 = row.get(1)?;
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), rows as usize, row.get(2)?))
        })
        .optional()
}

/// A block to go on with.
pub(super) fn block(connection: &Connection, number: u64) -> rusqlite::Result<Option<Block>> {
    let Some((_, rows, data)) = read(connection, number)? else { return Ok(None) };
    Block::decode(&data, rows).map(Some).ok_or_else(|| damaged(number))
}

/// Where the first leaf stands in the journal.
pub(super) fn first_position(connection: &Connection) -> rusqlite::Result<Option<Position>> {
    connection
        .query_row("SELECT boot, seq FROM span ORDER BY block LIMIT 1", [], |row| {
            Ok(Position { boot: row.get(0)?, seq: row.get::<_, i64>(1)?.cast_unsigned() })
        })
        .optional()
}

/// Where the last leaf stands in the journal.
pub(super) fn last_position(connection: &Connection) -> rusqlite::Result<Option<Position>> {
    let newest: Option<i64> = connection.query_row("SELECT max(number) FROM block", [], |row| row.get(0))?;
    let Some(newest) = newest else { return Ok(None) };
    Ok(block(connection, newest.cast_unsigned())?.and_then(|block| block.positions.last().copied()))
}

/// The leaf that stands at this place of the journal, if the file being written has it.
pub(super) fn leaf_of(connection: &Connection, position: Position) -> rusqlite::Result<Option<u64>> {
    let end = |sql: &str| -> rusqlite::Result<Option<u64>> {
        let end = connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)).optional()?;
        Ok(end.map(i64::cast_unsigned))
    };
    let first = end("SELECT first FROM span ORDER BY block LIMIT 1")?;
    let next = end("SELECT first + rows FROM span JOIN block ON number = block ORDER BY block DESC LIMIT 1")?;
    let (Some(first), Some(next)) = (first, next) else { return Ok(None) };
    let (min_at, max_at) = (Timestamp(0), Timestamp(0));
    let span = Span { first, next, min_at, max_at, last_leaf: 0 };
    let leaf = at_or_after(connection, &span, position)?;
    let Some((first, rows, data)) = read(connection, block_of(leaf))? else { return Ok(None) };
    let positions = View::new(&data, rows).and_then(|view| view.positions()).ok_or_else(|| damaged(block_of(leaf)))?;
    let row = usize::try_from(leaf.saturating_sub(first)).unwrap_or(usize::MAX);
    Ok((positions.get(row) == Some(&position)).then_some(leaf))
}

fn at_or_after(connection: &Connection, span: &Span, position: Position) -> rusqlite::Result<u64> {
    if span.first == span.next {
        return Ok(span.next);
    }
    // The last block that begins at or before the position.
    let (mut low, mut high) = (block_of(span.first), block_of(span.next - 1) + 1);
    let lowest = low;
    let mut begins = connection.prepare_cached("SELECT boot, seq FROM span WHERE block = ?1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let first = begins.query_row([middle.cast_signed()], |row| {
            Ok(Position { boot: row.get(0)?, seq: row.get::<_, i64>(1)?.cast_unsigned() })
        })?;
        if first <= position { low = middle + 1 } else { high = middle }
    }
    let number = low.saturating_sub(1).max(lowest);
    let (first, rows, data) = read(connection, number)?.ok_or_else(|| damaged(number))?;
    let positions = View::new(&data, rows).and_then(|view| view.positions()).ok_or_else(|| damaged(number))?;
    Ok(first + positions.partition_point(|there| *there < position) as u64)
}
