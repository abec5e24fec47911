//! A log's folder for tests of what reads it: bundles and a checkpoint, without tiles and without a key.

use std::fs;
use std::path::{Path, PathBuf};

use crate::TILE_WIDTH;
use crate::log::tiles::{Bundle, Gzip, bundle_path};
use crate::log::tree::Hash;

#[derive(Debug)]
pub(crate) struct WrittenLog {
    dir: PathBuf,
    open: Bundle,
    pub(crate) size: u64,
}

impl WrittenLog {
    /// Below the audit folder `audit`.
    pub(crate) fn new(audit: &Path) -> Self {
        Self { dir: audit.join("log"), open: Bundle::new(0), size: 0 }
    }

    /// Adds leaves and writes a checkpoint.
    pub(crate) fn seal<'l>(&mut self, leaves: impl IntoIterator<Item = &'l [u8]>) {
        for leaf in leaves {
            self.open.push(leaf);
            self.size += 1;
            if self.size.is_multiple_of(TILE_WIDTH) {
                self.write_open();
                self.open = Bundle::new(self.size);
            }
        }
        if !self.open.is_empty() {
            self.write_open();
        }
        let checkpoint = format!("test\n{}\n{}\n\n\u{2014} test AAAAAA==\n", self.size, Hash::default());
        fs::create_dir_all(&self.dir).unwrap();
        fs::write(self.dir.join("checkpoint.new"), checkpoint).unwrap();
        fs::rename(self.dir.join("checkpoint.new"), self.dir.join("checkpoint")).unwrap();
    }

    /// Drops whole bundles before a leaf.
    pub(crate) fn drop_before(&self, leaf: u64) {
        fs::write(self.dir.join("minimum-index"), leaf.to_string()).unwrap();
        for number in 0..leaf / TILE_WIDTH {
            let _ = fs::remove_file(self.dir.join(bundle_path(number, TILE_WIDTH)));
        }
    }

    fn write_open(&self) {
        let path = self.dir.join(bundle_path(self.open.first() / TILE_WIDTH, self.open.len() as u64));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, Gzip::default().bundle(&self.open).unwrap()).unwrap();
    }
}
