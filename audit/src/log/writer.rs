//! Adding leaves to the log's folder: bundles, tiles, then the checkpoint. Whatever breaks off is done again with the
//! same result, and what is there already must be the same.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Barrier, Files, Written};
use super::note::{Checkpoint, SigningKey};
use super::tiles::{Bundle, Gzip, bundle_path, encode_tile, tile_path};
use super::tree::{Edge, FullTile, Hash, TILE_WIDTH};
use crate::AuditError;

/// The log's folder, to be added to.
#[derive(Debug)]
pub(crate) struct Writer {
    dir: PathBuf,
    files: Arc<dyn Files>,
    keys: Arc<[SigningKey]>,
    edge: Edge,
    /// The leaves of the last, partial bundle.
    tail: Bundle,
    gzip: Gzip,
    checkpoint: Option<Checkpoint>,
    /// Folders that are known to be there.
    folders: HashSet<PathBuf>,
}

/// Files on their way to their names.
struct Pending {
    barrier: Barrier,
    /// Under names that nobody reads. `[n]` will be `paths[n]`.
    temporary: Vec<(PathBuf, Written)>,
    paths: Vec<PathBuf>,
    /// Have their names already, but these may not be on the disk yet.
    named: Vec<PathBuf>,
}

impl Writer {
    /// Opens the folder, which is made if need be, and checks that its newest leaves are those that were signed.
    pub(crate) fn open(dir: &Path, files: Arc<dyn Files>, keys: Arc<[SigningKey]>) -> Result<Self, AuditError> {
        let mut writer = Self {
            dir: dir.to_owned(),
            files,
            keys,
            edge: Edge::default(),
            tail: Bundle::new(0),
            gzip: Gzip::default(),
            checkpoint: None,
            folders: HashSet::new(),
        };
        writer.folder(dir)?;
        if let Some(checkpoint) = writer.read_checkpoint()? {
            writer.load(checkpoint)?;
        }
        // Not before: a key that this log was never signed with must not stand beside it.
        writer.publish_keys()?;
        Ok(writer)
    }

    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(crate) fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Adds leaves and signs the tree with them. Afterwards all of it is on the disk.
    pub(crate) fn add<'l>(&mut self, leaves: impl Iterator<Item = &'l [u8]>) -> Result<&Checkpoint, AuditError> {
        let mut pending = self.pending()?;
        let mut full = Vec::new();
        let mut finished: Vec<PathBuf> = Vec::new();
        for leaf in leaves {
            self.edge.push(Hash::leaf(leaf), &mut full);
            self.tail.push(leaf);
            if self.tail.len() as u64 == TILE_WIDTH {
                let index = self.tail.first() / TILE_WIDTH;
                let next = self.tail.next();
                let bundle = std::mem::replace(&mut self.tail, next);
                finished.push(self.dir.join(bundle_path(index, TILE_WIDTH)));
                self.bundle(&bundle, &mut pending)?;
            }
            for FullTile { level, index, hashes } in full.drain(..) {
                finished.push(self.dir.join(tile_path(level, index, TILE_WIDTH)));
                self.tile(&tile_path(level, index, TILE_WIDTH), &hashes, &mut pending)?;
            }
        }
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            let written = self.bundle(&tail, &mut pending);
            self.tail = tail;
            written?;
        }
        let partial: Vec<_> =
            self.edge.partial().map(|(level, index, hashes)| (level, index, hashes.to_vec())).collect();
        for (level, index, hashes) in partial {
            self.tile(&tile_path(level, index, hashes.len() as u64), &hashes, &mut pending)?;
        }
        self.settle(pending)?;
        self.sign()?;
        finished.iter().for_each(|path| self.remove_partial(path));
        self.checkpoint.as_ref().ok_or_else(|| AuditError::log(&self.dir, "nothing was signed"))
    }

    /// Writes a file that never changes, unless it is there; then it must be the same.
    pub(crate) fn keep(&mut self, name: &str, content: &[u8]) -> Result<(), AuditError> {
        let mut pending = self.pending()?;
        self.write(name, content, |found| found == content, &mut pending)?;
        self.settle(pending)
    }

    /// Replaces a small file as a whole.
    pub(crate) fn replace(&mut self, name: &str, content: &[u8]) -> Result<(), AuditError> {
        let mut pending = self.pending()?;
        self.prepare(self.dir.join(name), content, &mut pending)?;
        self.settle(pending)
    }

    fn read_checkpoint(&self) -> Result<Option<Checkpoint>, AuditError> {
        let path = self.dir.join("checkpoint");
        let Some(bytes) = self.files.read(&path).map_err(AuditError::io("could not read", &path))? else {
            return Ok(None);
        };
        let wrong = |problem: &dyn std::fmt::Display| AuditError::log(&path, problem);
        let text = String::from_utf8(bytes).map_err(|error| wrong(&error))?;
        let checkpoint = Checkpoint::parse(&text).map_err(|error| wrong(&error))?;
        let key = self.keys.first().map(SigningKey::verifier);
        if let Some(key) = key {
            key.verify(&checkpoint).map_err(|error| wrong(&error))?;
            if !key.to_string().starts_with(&format!("{}+", checkpoint.origin)) {
                return Err(wrong(&format!("it is of another log: {}", checkpoint.origin)));
            }
        }
        Ok(Some(checkpoint))
    }

    /// Takes the right edge of what was signed from its files.
    fn load(&mut self, checkpoint: Checkpoint) -> Result<(), AuditError> {
        let folder = Reader { dir: &self.dir, files: &*self.files };
        let size = checkpoint.size;
        let edge = Edge::load(size, |level, index, width| folder.tile(level, index, width))?;
        if edge.root() != checkpoint.root {
            return Err(AuditError::log(
                &self.dir,
                format!(
                    "its tiles give {}, but {} was signed for {size} records: they were changed",
                    edge.root(),
                    checkpoint.root
                ),
            ));
        }
        let width = size % TILE_WIDTH;
        self.tail = if width == 0 { Bundle::new(size) } else { folder.bundle(size / TILE_WIDTH, width)? };
        let hashes: Vec<Hash> = self.tail.iter().map(|(_, leaf)| Hash::leaf(leaf)).collect();
        if edge.partial().find(|(level, _, _)| *level == 0).map_or(&[][..], |(_, _, hashes)| hashes) != hashes {
            let path = self.dir.join(bundle_path(size / TILE_WIDTH, width));
            return Err(AuditError::log(&path, "its records are not those that were signed: they were changed"));
        }
        self.edge = edge;
        self.checkpoint = Some(checkpoint);
        // Partial files that a crash left beside their full one.
        for (level, index, _) in self.edge.partial() {
            if let Some(before) = index.checked_sub(1) {
                self.remove_partial(&self.dir.join(tile_path(level, before, TILE_WIDTH)));
                if level == 0 {
                    self.remove_partial(&self.dir.join(bundle_path(before, TILE_WIDTH)));
                }
            }
        }
        // It may have its name only since just before a crash.
        self.files.sync_folder(&self.dir).map_err(AuditError::io("could not synchronise", &self.dir))
    }

    fn sign(&mut self) -> Result<(), AuditError> {
        let signed = Checkpoint::sign(&self.keys, self.edge.size(), self.edge.root());
        if let Some(last) = self.checkpoint.as_ref().filter(|last| last.size >= signed.size) {
            return Err(AuditError::log(
                &self.dir,
                format!("{} records were signed already, these are {}", last.size, signed.size),
            ));
        }
        self.replace("checkpoint", signed.as_str().as_bytes())?;
        self.checkpoint = Some(signed);
        Ok(())
    }

    /// The keys that were ever used, for who looks at the folder alone.
    fn publish_keys(&mut self) -> Result<(), AuditError> {
        let path = self.dir.join("log.vkey");
        let found = self.files.read(&path).map_err(AuditError::io("could not read", &path))?.unwrap_or_default();
        let mut text = String::from_utf8_lossy(&found).into_owned();
        let known = text.len();
        for key in self.keys.iter().map(|key| key.verifier().to_string()) {
            if !text.lines().any(|line| line == key) {
                text = format!("{text}{key}\n");
            }
        }
        if text.len() == known { Ok(()) } else { self.replace("log.vkey", text.as_bytes()) }
    }

    fn bundle(&mut self, bundle: &Bundle, pending: &mut Pending) -> Result<(), AuditError> {
        let (index, width) = (bundle.first() / TILE_WIDTH, bundle.len() as u64);
        let name = bundle_path(index, width);
        let path = self.dir.join(&name);
        let content = self.gzip.bundle(bundle).map_err(AuditError::io("could not compress", &path))?;
        // Another version of the compressor may write the same leaves otherwise.
        let same =
            |found: &[u8]| Bundle::decompress(index, width, found).is_some_and(|found| found.same_leaves(bundle));
        self.write(&name, &content, same, pending)
    }

    fn tile(&mut self, name: &str, hashes: &[Hash], pending: &mut Pending) -> Result<(), AuditError> {
        let content = encode_tile(hashes);
        self.write(name, &content, |found| found == content, pending)
    }

    fn write(
        &mut self,
        name: &str,
        content: &[u8],
        same: impl Fn(&[u8]) -> bool,
        pending: &mut Pending,
    ) -> Result<(), AuditError> {
        let path = self.dir.join(name);
        match self.files.read(&path).map_err(AuditError::io("could not read", &path))? {
            Some(found) if same(&found) => {
                pending.named.push(path);
                Ok(())
            }
            Some(_) => Err(AuditError::log(&path, "it is there already and holds something else: it was changed")),
            None => self.prepare(path, content, pending),
        }
    }

    fn pending(&self) -> Result<Pending, AuditError> {
        let barrier = self.files.barrier(&self.dir).map_err(AuditError::io("could not open", &self.dir))?;
        Ok(Pending { barrier, temporary: Vec::new(), paths: Vec::new(), named: Vec::new() })
    }

    /// Writes a file's content, under a name that nobody reads.
    fn prepare(&mut self, path: PathBuf, content: &[u8], pending: &mut Pending) -> Result<(), AuditError> {
        if let Some(folder) = path.parent() {
            self.folder(folder)?;
        }
        let temporary = path.with_added_extension("tmp");
        let written = self.files.write(&temporary, content);
        let written = written.map_err(AuditError::io("could not write", &temporary))?;
        pending.temporary.push((temporary, written));
        pending.paths.push(path);
        Ok(())
    }

    /// Brings files to the disk, gives them their names, and brings the names to the disk.
    fn settle(&self, pending: Pending) -> Result<(), AuditError> {
        let Pending { barrier, temporary, paths, named } = pending;
        let synchronised = self.files.sync_files(&barrier, &temporary);
        synchronised.map_err(AuditError::io("could not synchronise files below", &self.dir))?;
        for ((temporary, _), path) in temporary.iter().zip(&paths) {
            self.files.rename(temporary, path).map_err(AuditError::io("could not rename to", path))?;
        }
        let folders: BTreeSet<_> = paths.iter().chain(&named).filter_map(|path| path.parent()).collect();
        for folder in folders {
            self.files.sync_folder(folder).map_err(AuditError::io("could not synchronise", folder))?;
        }
        Ok(())
    }

    /// Makes a folder and those above it, down from the log's own.
    fn folder(&mut self, dir: &Path) -> Result<(), AuditError> {
        if self.folders.contains(dir) {
            return Ok(());
        }
        if let Some(parent) = dir.parent().filter(|parent| parent.starts_with(&self.dir)) {
            self.folder(parent)?;
        }
        self.files.make_folder(dir).map_err(AuditError::io("could not make the folder", dir))?;
        self.folders.insert(dir.to_owned());
        Ok(())
    }

    /// Removes the partial files of a tile or bundle whose full one is there. What stays does no harm.
    fn remove_partial(&self, full: &Path) {
        let folder = full.with_added_extension("p");
        let Ok(names) = self.files.list(&folder) else { return };
        if names.is_empty() {
            return;
        }
        let removed = names.iter().try_for_each(|name| self.files.remove(&folder.join(name)));
        if let Err(error) = removed.and_then(|()| self.files.remove(&folder)) {
            tracing::debug!(%error, "partial files of the log stay");
        }
    }
}

/// Reads through the same files that are written.
struct Reader<'w> {
    dir: &'w Path,
    files: &'w dyn Files,
}

impl Reader<'_> {
    fn read(&self, name: &str) -> Result<(PathBuf, Vec<u8>), AuditError> {
        let path = self.dir.join(name);
        let found = self.files.read(&path).map_err(AuditError::io("could not read", &path))?;
        let found = found.ok_or_else(|| AuditError::log(&path, "it is missing"))?;
        Ok((path, found))
    }

    fn tile(&self, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, AuditError> {
        let (path, bytes) = self.read(&tile_path(level, index, width))?;
        let hashes = super::tiles::decode_tile(&bytes).filter(|hashes| hashes.len() as u64 == width);
        hashes.ok_or_else(|| AuditError::log(&path, "it does not hold the hashes that it should"))
    }

    fn bundle(&self, index: u64, width: u64) -> Result<Bundle, AuditError> {
        let (path, bytes) = self.read(&bundle_path(index, width))?;
        let bundle = Bundle::decompress(index, width, &bytes);
        bundle.ok_or_else(|| AuditError::log(&path, "it does not hold the leaves that it should"))
    }
}
