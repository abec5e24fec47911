//! Keeping the index up with the log.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use vocabulary::Zone;

use super::leaf::Row;
use super::month::{self, Late, Month, MonthName, Span};
use super::trim::Trimming;
use crate::{AuditError, LogFolder, TILE_WIDTH};

/// The index, to be written. One process at a time may: who holds the journal.
///
/// Nothing depends on it. After an error it has let go of what failed, and [`Index::catch_up`] makes up for it from the log;
/// a damaged file, or one of another version, is thrown away for that with all that are newer, since those only fit onto
/// what it held.
#[derive(Debug)]
pub struct Index {
    pub(super) dir: PathBuf,
    pub(super) zone: Zone,
    /// Complete files, oldest first.
    pub(super) older: Vec<(MonthName, Span)>,
    pub(super) month: Option<Month>,
    pub(super) trimming: Option<Trimming>,
}

impl Index {
    /// Opens what there is in the folder of the journal and the log. `zone` decides where months begin.
    ///
    /// # Errors
    /// The folder can't be read, or a file that must go can't be removed.
    pub fn open(audit: &Path, zone: Zone) -> Result<Self, AuditError> {
        let mut index = Self { dir: audit.to_owned(), zone, older: Vec::new(), month: None, trimming: None };
        index.reopen()?;
        Ok(index)
    }

    /// The first leaf that is not in the index yet; 0: nothing is.
    pub fn next_leaf(&self) -> u64 {
        let complete = self.older.last().map_or(0, |(_, span)| span.next);
        self.month.as_ref().map_or(complete, |month| month.span.next)
    }

    /// Takes in leaves as they stand in the log, newline included, the first of which has the index `first`. Those that
    /// are there already are passed over. Returns [`Index::next_leaf`]: if that is less than what was to be reached, leaves
    /// in between are missing, and [`Index::catch_up`] is needed.
    ///
    /// # Errors
    /// The disk refuses, or a file turned out damaged.
    pub fn append<'l>(&mut self, first: u64, leaves: impl IntoIterator<Item = &'l [u8]>) -> Result<u64, AuditError> {
        if self.is_empty() && first > 0 {
            return Ok(0);
        }
        if first > self.next_leaf() {
            return Ok(self.next_leaf());
        }
        self.take(first, leaves.into_iter())
    }

    /// Takes in from the log what is missing up to `size`, in parts, after each of which `progress` hears how far it is and may
    /// break it off. What does not fit the log (of another one, or longer) is thrown away before.
    ///
    /// # Errors
    /// The log can't be read, or as [`Index::append`].
    pub fn catch_up(
        &mut self,
        log: &LogFolder,
        size: u64,
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<u64, AuditError> {
        self.shed(log, size)?;
        loop {
            let at = if self.is_empty() { log.minimum_index()? } else { self.next_leaf() };
            if at >= size || progress(at).is_break() {
                return Ok(self.next_leaf());
            }
            let mut bundles = Vec::new();
            for bundle in at / TILE_WIDTH..size.div_ceil(TILE_WIDTH).min(at / TILE_WIDTH + PART) {
                bundles.push(log.bundle(bundle, size)?);
            }
            let first = bundles.first().map_or(at, |bundle| bundle.first());
            self.take(first.max(at), bundles.iter().flat_map(|b| b.iter()).filter(|(n, _)| *n >= at).map(|(_, l)| l))?;
        }
    }

    /// Throws everything away, to be made anew by [`Index::catch_up`].
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn clear(&mut self) -> Result<(), AuditError> {
        self.month = None;
        self.older.clear();
        files(&self.dir)?.into_iter().try_for_each(|name| month::remove(&self.dir.join(name.file())))
    }

    /// Removes the files whose leaves all lie below `leaf`.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn drop_before(&mut self, leaf: u64) -> Result<(), AuditError> {
        while let Some((name, span)) = self.older.first()
            && span.next <= leaf
        {
            month::remove(&self.dir.join(name.file()))?;
            self.older.remove(0);
        }
        Ok(())
    }

    /// Whether its files are there still: somebody may have taken one away.
    pub(crate) fn is_there(&self) -> bool {
        let newest = self.month.as_ref().map(|month| month.name);
        let mut names = self.older.iter().map(|(name, _)| *name).chain(newest);
        names.all(|name| self.dir.join(name.file()).exists())
    }

    fn is_empty(&self) -> bool {
        self.month.is_none() && self.older.is_empty()
    }

    fn take<'l>(&mut self, first: u64, leaves: impl Iterator<Item = &'l [u8]>) -> Result<u64, AuditError> {
        let taken = self.try_to_take(first, leaves);
        if let Err(error) = &taken {
            // What was begun is rolled back with the connection; what stands on disk counts.
            self.month = None;
            if let AuditError::Index { path, problem, damaged: true } = error {
                self.throw_away(path, problem)?;
            }
            self.reopen()?;
        }
        taken.map(|()| self.next_leaf())
    }

    fn try_to_take<'l>(&mut self, first: u64, leaves: impl Iterator<Item = &'l [u8]>) -> Result<(), AuditError> {
        let known = if self.is_empty() { first } else { self.next_leaf() };
        let mut lates: Vec<Late<'l>> = Vec::new();
        let (mut started, mut last) = (false, &[][..]);
        for (leaf, text) in (first..).zip(leaves).filter(|(leaf, _)| *leaf >= known) {
            let row = Row::read(text);
            let turns = self
                .month
                .as_ref()
                .is_none_or(|month| row.at >= month.ends && MonthName::of(row.at, &self.zone) > month.name);
            if turns {
                self.finish(&mut lates, started, last)?;
                let month = Month::create(&self.dir, MonthName::of(row.at, &self.zone), &self.zone, leaf)?;
                self.older.extend(self.month.replace(month).map(|full| (full.name, full.span)));
                started = false;
            }
            let Some(month) = &mut self.month else { continue };
            if !started {
                month.start()?;
                started = true;
            }
            month.push(&row, text)?;
            last = text;
            if let Some(of) = row.of {
                lates.push(Late { of, leaf, row });
            }
        }
        self.finish(&mut lates, started, last)
    }

    /// Brings what was taken in to disk. Older files first: if that is broken off, the same leaves come once more.
    fn finish(&mut self, lates: &mut Vec<Late<'_>>, started: bool, last: &[u8]) -> Result<(), AuditError> {
        let Some(month) = &mut self.month else { return Ok(()) };
        if !started {
            return Ok(());
        }
        let begins = month.first_position();
        let (here, before): (Vec<_>, Vec<_>) = lates.drain(..).partition(|late| late.of >= begins);
        if !before.is_empty() {
            for (name, _) in self.older.iter().rev() {
                let begins = Late::write_all(&self.dir.join(name.file()), &before)?;
                if before.iter().all(|late| late.of >= begins) {
                    break;
                }
            }
        }
        month.commit(&here, last)
    }

    /// Looks at what stands on disk.
    pub(super) fn reopen(&mut self) -> Result<(), AuditError> {
        (self.month, self.older) = (None, Vec::new());
        let names = files(&self.dir)?;
        for (place, name) in names.iter().enumerate() {
            let path = self.dir.join(name.file());
            let newest = place + 1 == names.len();
            let opened = month::open_to_read(&path).map_err(AuditError::index(&path));
            let problem = match opened {
                Ok(Some((_, span))) if self.older.last().is_some_and(|(_, last)| last.next != span.first) => {
                    "it does not begin where the one before it ends".to_owned()
                }
                Ok(Some((_, span))) if !newest => {
                    self.older.push((*name, span));
                    continue;
                }
                Ok(Some(_)) => match Month::open(&self.dir, *name, &self.zone) {
                    Ok(month) => {
                        self.month = month;
                        continue;
                    }
                    Err(AuditError::Index { problem, damaged: true, .. }) => problem,
                    Err(error) => return Err(error),
                },
                Ok(None) => "it is of another version".to_owned(),
                Err(AuditError::Index { problem, damaged: true, .. }) => problem,
                Err(error) => return Err(error),
            };
            self.throw_away(&path, &problem)?;
            return self.reopen();
        }
        Ok(())
    }

    /// Removes a file and all that are newer; these are made anew.
    pub(super) fn throw_away(&mut self, path: &Path, problem: &str) -> Result<(), AuditError> {
        tracing::warn!(file = %path.display(), problem, "an index file is made anew from the log, with those after it");
        self.month = None;
        for name in files(&self.dir)? {
            let file = self.dir.join(name.file());
            if file.as_path() >= path {
                month::remove(&file)?;
            }
        }
        Ok(())
    }

    /// Throws away what does not belong to this log.
    fn shed(&mut self, log: &LogFolder, size: u64) -> Result<(), AuditError> {
        let (minimum, begins) = (log.minimum_index()?, self.begins());
        if begins.is_some_and(|begins| begins > minimum) {
            let path = self.dir.join("index-");
            self.throw_away(&path, "its beginning is missing")?;
            self.reopen()?;
        }
        while let Some((name, span)) = self.month.as_ref().map(|month| (month.name, month.span)) {
            let fits = span.next <= size
                && (span.next == span.first || span.next <= minimum || {
                    let last = span.next - 1;
                    let bundle = log.bundle(last / TILE_WIDTH, size)?;
                    bundle.leaf(last).is_some_and(|leaf| crc32c::crc32c(leaf) == span.last_leaf)
                });
            if fits {
                break;
            }
            self.throw_away(&self.dir.join(name.file()), "it belongs to another log")?;
            self.reopen()?;
        }
        Ok(())
    }

    fn begins(&self) -> Option<u64> {
        self.older.first().map(|(_, span)| span.first).or(self.month.as_ref().map(|month| month.span.first))
    }
}

/// Bundles that are taken in together when catching up.
pub(super) const PART: u64 = 64;

/// The months that there are files of, oldest first.
pub(crate) fn files(dir: &Path) -> Result<Vec<MonthName>, AuditError> {
    let listed = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(AuditError::io("could not list", dir))?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let file = entry.map_err(AuditError::io("could not list", dir))?.file_name();
        names.extend(file.to_str().and_then(MonthName::read));
    }
    names.sort_unstable();
    Ok(names)
}
