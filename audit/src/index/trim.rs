//! What dropped leaves have left behind in the index goes, too: the texts of a file are those of all its leaves, so the file
//! in which the log begins now is made anew from what is left of it.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::leaf::Row;
use super::month::{self, Late, Month, MonthName, Span};
use super::writer::{Index, PART};
use crate::{AuditError, LogFolder, TILE_WIDTH};

/// A file that is being made anew.
#[derive(Debug)]
pub(super) struct Trimming {
    name: MonthName,
    made: Month,
}

impl Index {
    /// Lets go of everything that only leaves used that were dropped from the log, in parts, after each of which `progress`
    /// hears how far it is and may break it off. True: there is more to do. Broken off for good, it begins anew.
    ///
    /// # Errors
    /// The log can't be read, or the disk refuses.
    pub fn trim(
        &mut self,
        log: &LogFolder,
        size: u64,
        progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<bool, AuditError> {
        let minimum = log.minimum_index()?;
        self.drop_before(minimum)?;
        let Some((name, span)) = self.older.first().copied().filter(|(_, span)| span.first < minimum) else {
            self.trimming = None;
            if self.older.is_empty() && self.month.as_ref().is_some_and(|month| month.span.first < minimum) {
                // The only one: catching up makes it anew.
                self.clear()?;
            }
            return remove_folder(&self.anew()).map(|()| false);
        };
        let trimmed = self.trim_file((name, span), log, (minimum, size), progress);
        if let Err(AuditError::Index { path, problem, damaged: true }) = &trimmed {
            self.throw_away(path, problem)?;
            self.reopen()?;
        }
        trimmed
    }

    fn trim_file(
        &mut self,
        (name, span): (MonthName, Span),
        log: &LogFolder,
        (minimum, size): (u64, u64),
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<bool, AuditError> {
        let begun = self.trimming.take().filter(|begun| begun.name == name && begun.made.span.first == minimum);
        let Trimming { mut made, .. } = match begun {
            Some(begun) => begun,
            None => Trimming { name, made: self.begin_anew(name, minimum)? },
        };
        let path = self.dir.join(name.file());
        while made.span.next < span.next {
            let at = made.span.next;
            if at > minimum && progress(at).is_break() {
                self.trimming = Some(Trimming { name, made });
                return Ok(true);
            }
            let first = at / TILE_WIDTH;
            let bundles: Vec<_> = (first..span.next.div_ceil(TILE_WIDTH).min(first + PART))
                .map(|bundle| log.bundle(bundle, size))
                .collect::<Result<_, _>>()?;
            let leaves = bundles.iter().flat_map(|bundle| bundle.iter());
            let (mut lates, mut last) = (Vec::new(), &[][..]);
            made.start()?;
            for (leaf, text) in leaves.filter(|(leaf, _)| (at..span.next).contains(leaf)) {
                let row = Row::read(text);
                made.push(&row, text)?;
                last = text;
                lates.extend(row.of.map(|of| Late { of, leaf, row }));
            }
            let outside =
                if made.span.next < span.next { Vec::new() } else { outcomes_outside(&path, minimum, span.next)? };
            let texts: Vec<_> = outside
                .into_iter()
                .map(|leaf| log.bundle(leaf / TILE_WIDTH, size).map(|bundle| (leaf, bundle)))
                .collect::<Result<_, _>>()?;
            lates.extend(texts.iter().filter_map(|(leaf, bundle)| {
                let row = Row::read(bundle.leaf(*leaf)?);
                Some(Late { of: row.of?, leaf: *leaf, row })
            }));
            made.commit(&lates, last)?;
        }
        let (span, new) = (made.span, made.close()?);
        put_in_place(&new, &path)?;
        if let Some(first) = self.older.first_mut() {
            first.1 = span;
        }
        remove_folder(&self.anew())?;
        Ok(false)
    }

    fn begin_anew(&self, name: MonthName, first: u64) -> Result<Month, AuditError> {
        let folder = self.anew();
        remove_folder(&folder)?;
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(AuditError::io("could not make", &folder))?;
        Month::create(&folder, name, &self.zone, first)
    }

    /// Where it is made.
    fn anew(&self) -> PathBuf {
        self.dir.join("index-anew")
    }
}

/// Outcomes in later files whose requests stand in this one, from the leaf `from` on.
fn outcomes_outside(path: &Path, from: u64, end: u64) -> Result<Vec<u64>, AuditError> {
    let read = || -> rusqlite::Result<Vec<u64>> {
        let Some((connection, _)) = month::open_to_read(path)? else { return Ok(Vec::new()) };
        let mut late =
            connection.prepare("SELECT outcome FROM late WHERE leaf >= ?1 AND outcome >= ?2 ORDER BY outcome")?;
        let rows = late.query_map((from.cast_signed(), end.cast_signed()), |row| row.get::<_, i64>(0))?;
        rows.map(|row| row.map(i64::cast_unsigned)).collect()
    };
    read().map_err(AuditError::index(path))
}

/// What lies beside the old file is SQLite's of that file: with the new one it would be taken for changes of that.
fn put_in_place(new: &Path, old: &Path) -> Result<(), AuditError> {
    let settle = || -> rusqlite::Result<()> {
        let connection = Connection::open(old)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)
    };
    settle().map_err(AuditError::index(old))?;
    month::remove_beside(old)?;
    fs::rename(new, old).map_err(AuditError::io("could not replace", old))
}

fn remove_folder(folder: &Path) -> Result<(), AuditError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(AuditError::io("could not remove", folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::history::model::{Happened, tokyo};
    use crate::history::written::WrittenLog;
    use crate::{Filter, History, Query};

    /// All texts of a file.
    fn texts(path: &Path) -> BTreeSet<String> {
        let (connection, _) = month::open_to_read(path).unwrap().unwrap();
        let mut all = connection.prepare("SELECT text FROM value").unwrap();
        all.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_only_dropped_records_used_goes_with_them_and_what_is_left_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let happened = Happened::by_chance(3, 6_000);
        // Each leaf with a path of its own.
        let leaves: Vec<String> = happened
            .leaves(6_000)
            .iter()
            .enumerate()
            .map(|(n, leaf)| leaf.replace("\"path\":\"", &format!("\"path\":\"/own-{n:05}")))
            .collect();
        let bytes = || leaves.iter().map(String::as_bytes);
        let mut written = WrittenLog::new(dir.path());
        written.seal(bytes());
        let mut index = Index::open(dir.path(), tokyo()).unwrap();
        index.append(0, bytes()).unwrap();
        let size = index.next_leaf();
        let (name, span) = index.older[0];
        assert!(index.older.len() > 1 && span.next > 600, "{:?}", index.older);
        let path = dir.path().join(name.file());
        let history = History::new(dir.path());
        let all = |thorough| -> Vec<_> {
            let query = Query { filter: Filter { failed: true, ..Filter::default() }, ..Query::default() };
            let read = history.clone().thorough(thorough).read(query).unwrap();
            read.map(|entry| entry.unwrap().position).collect()
        };
        let minimum = span.next / 2 / TILE_WIDTH * TILE_WIDTH;
        written.drop_before(minimum);
        drop(index);
        // As after a restart, part by part.
        let mut index = Index::open(dir.path(), tokyo()).unwrap();
        assert!(texts(&path).iter().any(|text| text.starts_with("/own-000")));
        let mut turns = 0;
        while index.trim(&history.log(), size, |_| ControlFlow::Break(())).unwrap() {
            turns += 1;
        }
        assert!(turns < 2 && index.older[0].1.first == minimum && index.next_leaf() == size);
        let first = format!("/own-{minimum:05}");
        for text in texts(&path).iter().filter(|text| text.starts_with("/own-")) {
            assert!(**text >= *first, "{text} stayed");
        }
        assert!(texts(&path).iter().any(|text| text.starts_with("/own-")));
        assert!(!all(false).is_empty());
        assert_eq!(all(false), all(true));
        assert!(!dir.path().join("index-anew").exists());
        // It goes on from there, and after a restart.
        drop(index);
        let mut index = Index::open(dir.path(), tokyo()).unwrap();
        assert!(!index.trim(&history.log(), size, |_| ControlFlow::Continue(())).unwrap());
        assert_eq!(
            (index.older[0].1.first, index.catch_up(&history.log(), size, |_| ControlFlow::Continue(())).unwrap()),
            (minimum, size)
        );
    }
}
