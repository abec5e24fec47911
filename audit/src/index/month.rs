//! One file of the index, as it is written.

use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use vocabulary::{Timestamp, Zone};

use super::block::Block;
use super::leaf::Row;
use super::{BLOCK_BITS, COLUMNS, Column, FORMAT, TEXTS, block_of, flag, kept, posting, search};
use crate::{AuditError, Position};

const SCHEMA: &str = "
    CREATE TABLE meta (
        first INTEGER NOT NULL, next INTEGER NOT NULL, min_at INTEGER NOT NULL, max_at INTEGER NOT NULL,
        last_leaf INTEGER NOT NULL);
    CREATE TABLE value (
        id INTEGER PRIMARY KEY, dimension INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (dimension, text));
    CREATE TABLE block (number INTEGER PRIMARY KEY, rows INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE TABLE span (
        block INTEGER PRIMARY KEY, first INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
        min_at INTEGER NOT NULL, max_at INTEGER NOT NULL);
    CREATE TABLE late (leaf INTEGER PRIMARY KEY, outcome INTEGER NOT NULL);
    CREATE TABLE kept (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE TABLE kept_of (
        person INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (person, number)) WITHOUT ROWID;";

/// So many texts of one dimension are kept in memory; beyond, they are looked up in the file.
const KEPT: usize = 1 << 16;

/// A month of the wall clock in the gateway's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MonthName {
    year: i16,
    month: i8,
}

impl MonthName {
    pub(crate) fn of(at: Timestamp, zone: &Zone) -> Self {
        let date = zone.local(at).date;
        Self { year: date.year().max(0), month: date.month() }
    }

    /// The first instant after it.
    fn end(self, zone: &Zone) -> Timestamp {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        Timestamp::parse(&format!("{year:04}-{month:02}-01"), zone).unwrap_or(Timestamp(i64::MAX))
    }

    pub(crate) fn file(self) -> String {
        format!("index-{:04}-{:02}.db", self.year, self.month)
    }

    /// Of a file's name.
    pub(crate) fn read(file: &str) -> Option<Self> {
        let (year, month) = file.strip_prefix("index-")?.strip_suffix(".db")?.split_once('-')?;
        let name = Self { year: year.parse().ok()?, month: month.parse().ok()? };
        (name.file() == file && (1..=12).contains(&name.month)).then_some(name)
    }
}

/// Which leaves a file holds, and when they happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) min_at: Timestamp,
    pub(crate) max_at: Timestamp,
    /// CRC-32C of the last leaf: a file that belongs to another log shows.
    pub(crate) last_leaf: u32,
}

/// Opens a file that is there, to be read beside who writes it. None: it is of another version.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Option<(Connection, Span)>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    read_span(&connection).map(|span| span.map(|span| (connection, span)))
}

fn read_span(connection: &Connection) -> rusqlite::Result<Option<Span>> {
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format != FORMAT {
        return Ok(None);
    }
    let span = connection.prepare("SELECT first, next, min_at, max_at, last_leaf FROM meta")?.query_row([], |row| {
        let (min_at, max_at) = (Timestamp(row.get(2)?), Timestamp(row.get(3)?));
        let (first, next) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned());
        Ok(Span { first, next, min_at, max_at, last_leaf: row.get(4)? })
    });
    span.optional()
}

/// A file being written. Nothing is in it for good before [`Month::commit`]; after an error it must be let go of.
#[derive(Debug)]
pub(crate) struct Month {
    pub(crate) name: MonthName,
    pub(crate) path: PathBuf,
    /// The month is over then.
    pub(crate) ends: Timestamp,
    pub(crate) span: Span,
    connection: Connection,
    values: Values,
    block: Block,
    /// Values that have their posting for the block that is being filled.
    posted: HashSet<u32>,
    postings: Vec<(u32, u64)>,
    begins: Position,
    last: Position,
}

impl Month {
    /// Begins a file; one that stands there is replaced.
    pub(crate) fn create(dir: &Path, name: MonthName, zone: &Zone, first: u64) -> Result<Self, AuditError> {
        let path = dir.join(name.file());
        remove(&path)?;
        // For the owner alone; SQLite gives its side files the same mode.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        drop(made.map_err(AuditError::io("could not make", &path))?);
        let create = || -> rusqlite::Result<(Connection, Span)> {
            let connection = Connection::open(&path)?;
            prepare(&connection)?;
            let (min_at, max_at) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
            let span = Span { first, next: first, min_at, max_at, last_leaf: 0 };
            connection.execute_batch("BEGIN IMMEDIATE")?;
            connection.execute_batch(SCHEMA)?;
            connection.execute_batch(posting::SCHEMA)?;
            connection
                .execute("INSERT INTO meta VALUES (?1, ?1, ?2, ?3, 0)", (first.cast_signed(), min_at.0, max_at.0))?;
            connection.pragma_update(None, "user_version", FORMAT)?;
            connection.execute_batch("COMMIT")?;
            Ok((connection, span))
        };
        let (connection, span) = create().map_err(AuditError::index(&path))?;
        Self::begin(connection, path, name, zone, span)
    }

    /// Opens a file to go on with it. None: it is of another version.
    pub(crate) fn open(dir: &Path, name: MonthName, zone: &Zone) -> Result<Option<Self>, AuditError> {
        let path = dir.join(name.file());
        let open = || -> rusqlite::Result<Option<(Connection, Span)>> {
            let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let Some(span) = read_span(&connection)? else { return Ok(None) };
            prepare(&connection)?;
            Ok(Some((connection, span)))
        };
        match open().map_err(AuditError::index(&path))? {
            Some((connection, span)) => Self::begin(connection, path, name, zone, span).map(Some),
            None => Ok(None),
        }
    }

    fn begin(
        connection: Connection,
        path: PathBuf,
        name: MonthName,
        zone: &Zone,
        span: Span,
    ) -> Result<Self, AuditError> {
        let load = || -> rusqlite::Result<_> {
            let mut block = Block::default();
            // The last block goes on unless it is full.
            if span.next > span.first
                && span.next & ((1 << BLOCK_BITS) - 1) != 0
                && let Some(read) = search::block(&connection, block_of(span.next))?
            {
                block = read;
            }
            let last = match block.positions.last() {
                Some(last) => *last,
                None => search::last_position(&connection)?.unwrap_or_default(),
            };
            let begins = search::first_position(&connection)?.unwrap_or_default();
            let values = Values::new(&connection)?;
            Ok((block, begins, last, values))
        };
        let (block, begins, last, values) = load().map_err(AuditError::index(&path))?;
        let mut posted = HashSet::new();
        block.encode(|column, value| {
            values.posts(column, value, |value| {
                posted.insert(value);
            });
        });
        let (ends, postings) = (name.end(zone), Vec::new());
        Ok(Self { name, path, ends, span, connection, values, block, posted, postings, begins, last })
    }

    /// Begins what [`Month::commit`] ends.
    pub(crate) fn start(&mut self) -> Result<(), AuditError> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(AuditError::index(&self.path))
    }

    /// Takes in the leaf `span.next`: what was read of it, and its text.
    pub(crate) fn push(&mut self, row: &Row<'_>, text: &[u8]) -> Result<(), AuditError> {
        let Self { path, .. } = self;
        let values = self.values.of_row(&self.connection, row).map_err(AuditError::index(path))?;
        if let Some(kind) = row.text(Column::Kind).and_then(kept::place) {
            let people = [values[Column::Person as usize], values[Column::Subject as usize]];
            kept::write(&self.connection, (kind, self.span.next, row.at), people, text)
                .map_err(AuditError::index(path))?;
        }
        // A leaf whose position can't be read stands where the one before it does.
        self.last = self.last.max(row.position);
        if self.span.next == self.span.first {
            self.begins = self.last;
        }
        self.block.push(self.last, row.at, &values);
        self.span.next += 1;
        self.span.min_at = self.span.min_at.min(row.at);
        self.span.max_at = self.span.max_at.max(row.at);
        if block_of(self.span.next) > block_of(self.span.next - 1) {
            self.write_block().map_err(AuditError::index(&self.path))?;
            self.block.clear();
            self.posted.clear();
        }
        Ok(())
    }

    /// Brings the file to an end: all of it stands in it, and nothing beside it. Returns where it lies.
    pub(crate) fn close(self) -> Result<PathBuf, AuditError> {
        let Self { connection, path, .. } = self;
        let close = || -> rusqlite::Result<()> {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            connection.close().map_err(|(_, error)| error)
        };
        close().map_err(AuditError::index(&path))?;
        Ok(path)
    }

    /// Where its first leaf stands in the journal.
    pub(crate) fn first_position(&self) -> Position {
        self.begins
    }

    /// Brings everything into the file. `last`: the last leaf.
    pub(crate) fn commit(&mut self, lates: &[Late<'_>], last: &[u8]) -> Result<(), AuditError> {
        self.span.last_leaf = crc32c::crc32c(last);
        let mut write = || -> rusqlite::Result<()> {
            if !self.block.is_empty() {
                self.write_block()?;
            }
            posting::write(&self.connection, &mut self.postings)?;
            for late in lates {
                late.write(&self.connection)?;
            }
            let Span { next, min_at, max_at, last_leaf, .. } = self.span;
            self.connection
                .prepare_cached("UPDATE meta SET next = ?1, min_at = ?2, max_at = ?3, last_leaf = ?4")?
                .execute((next.cast_signed(), min_at.0, max_at.0, last_leaf))?;
            self.connection.execute_batch("COMMIT")
        };
        write().map_err(AuditError::index(&self.path))
    }

    fn write_block(&mut self) -> rusqlite::Result<()> {
        let Self { block, values, posted, postings, connection, span, .. } = self;
        let number = block_of(span.next - 1);
        let data = block.encode(|column, value| {
            values.posts(column, value, |value| {
                if posted.insert(value) {
                    postings.push((value, number));
                }
            });
        });
        connection.prepare_cached("INSERT OR REPLACE INTO block VALUES (?1, ?2, ?3)")?.execute((
            number.cast_signed(),
            u32::try_from(block.len()).unwrap_or(u32::MAX),
            data,
        ))?;
        let first = span.next - block.len() as u64;
        let position = block.positions.first().copied().unwrap_or_default();
        let min = block.times.iter().min().copied().unwrap_or_default();
        let max = block.times.iter().max().copied().unwrap_or_default();
        connection.prepare_cached("INSERT OR REPLACE INTO span VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
            number.cast_signed(),
            first.cast_signed(),
            position.boot,
            position.seq.cast_signed(),
            min,
            max,
        ))?;
        Ok(())
    }
}

/// An outcome that was sealed after its request had been, open.
#[derive(Debug)]
pub(crate) struct Late<'l> {
    /// The request's.
    pub(crate) of: Position,
    /// The outcome's leaf.
    pub(crate) leaf: u64,
    pub(crate) row: Row<'l>,
}

impl Late<'_> {
    /// Notes it in the file that holds the request, whose block can then be found by what the outcome says as well. May be
    /// done twice.
    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Some(request) = search::leaf_of(connection, self.of)? else { return Ok(()) };
        connection
            .prepare_cached("INSERT OR REPLACE INTO late VALUES (?1, ?2)")?
            .execute((request.cast_signed(), self.leaf.cast_signed()))?;
        let texts = [Column::Action, Column::Decision, Column::Reason, Column::Rule]
            .into_iter()
            .filter_map(|column| Some((column, self.row.text(column)?)));
        let failed = (self.row.flags & flag::FAILED != 0).then_some((Column::Flags, "failed"));
        let mut postings = Vec::new();
        for (column, text) in texts.chain(failed) {
            let value = match look_up(connection, column.dimension(), text)? {
                Some(value) => value,
                None => connection
                    .prepare_cached("INSERT INTO value (dimension, text) VALUES (?1, ?2) RETURNING id")?
                    .query_row((column.dimension(), text), |row| row.get(0))?,
            };
            postings.push((value, block_of(request)));
        }
        posting::write(connection, &mut postings)
    }

    /// [`Late::write`] into a file that is complete. Returns where its first leaf stands in the journal.
    pub(crate) fn write_all(path: &Path, lates: &[Late<'_>]) -> Result<Position, AuditError> {
        let write = || -> rusqlite::Result<Position> {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            prepare(&connection)?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            lates.iter().try_for_each(|late| late.write(&connection))?;
            connection.execute_batch("COMMIT")?;
            Ok(search::first_position(&connection)?.unwrap_or_default())
        };
        write().map_err(AuditError::index(path))
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // Who reads never waits for who writes. After a power loss the file is as it was some commits ago, which is soon made
    // up for; it is never half written.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -16_384)
}

/// Takes a file and its side files away.
pub(crate) fn remove(path: &Path) -> Result<(), AuditError> {
    remove_with(path, &["", "-wal", "-shm"])
}

/// Takes its side files away.
pub(super) fn remove_beside(path: &Path) -> Result<(), AuditError> {
    remove_with(path, &["-wal", "-shm"])
}

fn remove_with(path: &Path, suffixes: &[&str]) -> Result<(), AuditError> {
    for suffix in suffixes {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AuditError::io("could not remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn look_up(connection: &Connection, dimension: u8, text: &str) -> rusqlite::Result<Option<u32>> {
    connection
        .prepare_cached("SELECT id FROM value WHERE dimension = ?1 AND text = ?2")?
        .query_row((dimension, text), |row| row.get(0))
        .optional()
}

/// The numbers that texts have in one file.
#[derive(Debug)]
struct Values {
    /// By dimension.
    known: [HashMap<Box<str>, u32>; TEXTS],
    /// The last text of each column: neighbours are often alike.
    last: [(String, u32); TEXTS],
    flags: [u32; flag::ALL.len()],
}

impl Values {
    fn new(connection: &Connection) -> rusqlite::Result<Self> {
        let mut values = Self {
            known: std::array::from_fn(|_| HashMap::new()),
            last: std::array::from_fn(|_| (String::new(), 0)),
            flags: [0; flag::ALL.len()],
        };
        for (number, (_, word)) in values.flags.iter_mut().zip(flag::ALL) {
            *number = number_of(connection, Column::Flags as u8, word)?;
        }
        Ok(values)
    }

    fn of_row(&mut self, connection: &Connection, row: &Row<'_>) -> rusqlite::Result<[u32; COLUMNS]> {
        let mut values = [0; COLUMNS];
        for (column, text) in Column::ALL.into_iter().zip(&row.texts) {
            let Some(text) = text.as_deref() else { continue };
            let (last, number) = &mut self.last[column as usize];
            if last != text || *number == 0 {
                let dimension = column.dimension();
                let known = &mut self.known[usize::from(dimension)];
                *number = match known.get(text) {
                    Some(number) => *number,
                    None => {
                        let number = number_of(connection, dimension, text)?;
                        if known.len() >= KEPT {
                            known.clear();
                        }
                        known.insert(text.into(), number);
                        number
                    }
                };
                last.clear();
                last.push_str(text);
            }
            values[column as usize] = *number;
        }
        values[Column::Flags as usize] = row.flags;
        Ok(values)
    }

    /// Which values a column's value is found by.
    fn posts(&self, column: Column, value: u32, mut post: impl FnMut(u32)) {
        if column == Column::Flags {
            for (number, (bit, _)) in self.flags.iter().zip(flag::ALL) {
                if value & bit != 0 {
                    post(*number);
                }
            }
        } else if value != 0 {
            post(value);
        }
    }
}

fn number_of(connection: &Connection, dimension: u8, text: &str) -> rusqlite::Result<u32> {
    if let Some(number) = look_up(connection, dimension, text)? {
        return Ok(number);
    }
    connection
        .prepare_cached("INSERT INTO value (dimension, text) VALUES (?1, ?2) RETURNING id")?
        .query_row((dimension, text), |row| row.get(0))
}
