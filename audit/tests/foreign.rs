//! The log as a library reads it that nobody here wrote: Cloudflare's `tlog_tiles` and `signed_note` (a port of the Go
//! checksum database's). It fetches tiles by C2SP's paths, checks each against the signed root, and with them every record,
//! our proofs of inclusion and our proofs of consistency.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic: that is how it fails")]

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use audit::{Change, Journal, LogFolder, Options, Record, SealOptions, Sealer, SigningKey, TILE_WIDTH, proof};
use sekisho_audit as audit;
use serde_json::Map;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint, Error, Hash, HashReader as _, Tile, TileHashReader, TileReader};
use vocabulary::{Clock as _, SystemClock, Zone};

const ORIGIN: &str = "foreign.example/audit";

fn sealed(audit: &Path, many: usize) -> Vec<String> {
    let options = Options { sealed: audit::sealed_to(audit).unwrap(), ..Options::default() };
    let journal = Journal::open(&audit.join("journal"), options).unwrap().0;
    let keys = || vec![SigningKey::new(ORIGIN, &[5; 32]).unwrap(), SigningKey::new(ORIGIN, &[6; 32]).unwrap()];
    let seal = SealOptions { every: Duration::from_millis(1), ..SealOptions::default() };
    let sealer = Sealer::start(audit, &journal, keys(), &Zone::UTC, seal).unwrap();
    for number in 0..many {
        let (by, channel, what) = ("root(0)".to_owned(), "control-socket".to_owned(), "device-revoked".to_owned());
        let (subject, details, more) = (format!("device-{number}"), Map::new(), Map::new());
        let record = Record::Change(Change { by, channel, what, subject, details, more });
        let _ = journal.append_blocking(SystemClock.now(), &record).unwrap();
    }
    journal.close().unwrap();
    sealer.finish();
    keys().iter().map(|key| key.verifier().to_string()).collect()
}

/// The folder, as C2SP tlog-tiles names its files; the library's own names are Go's.
struct Folder<'p>(&'p Path);

impl Folder<'_> {
    fn path(kind: &str, mut index: u64, width: u32) -> String {
        let mut path = format!("{:03}", index % 1_000);
        while index >= 1_000 {
            index /= 1_000;
            path = format!("x{:03}/{path}", index % 1_000);
        }
        let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
        format!("tile/{kind}/{path}{partial}")
    }
}

impl TileReader for Folder<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| {
            let path = Self::path(&tile.level().to_string(), tile.level_index(), tile.width());
            std::fs::read(self.0.join(path)).map_err(|error| Error::InvalidInput(error.to_string()))
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn head(note: &[u8], keys: &[String]) -> Checkpoint {
    let note = Note::from_bytes(note).unwrap();
    let verifier = |key: &String| Box::new(StandardVerifier::new(key).unwrap()) as Box<dyn signed_note::Verifier>;
    let (verified, unverified) = note.verify(&VerifierList::new(keys.iter().map(verifier).collect())).unwrap();
    assert_eq!((verified.len(), unverified.len()), (keys.len(), 0));
    Checkpoint::from_bytes(note.text()).unwrap()
}

/// The hashes at the end of lines between `first` and the empty line.
fn hashes(proof: &str, first: &str) -> Vec<Hash> {
    let lines = proof.lines().skip_while(|line| !line.starts_with(first)).skip(1);
    lines.take_while(|line| !line.is_empty()).map(|line| Hash::parse_hash(line).unwrap()).collect()
}

#[test]
fn a_library_that_nobody_here_wrote_reads_the_log_and_checks_its_proofs() {
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path();
    let log = audit.join("log");
    sealed(audit, 300);
    let old = std::fs::read(log.join("checkpoint")).unwrap();
    let keys = sealed(audit, 700);

    let old = head(&old, &keys);
    let new = head(&std::fs::read(log.join("checkpoint")).unwrap(), &keys);
    assert_eq!((new.origin(), new.extension(), old.size(), new.size()), (ORIGIN, "", 300, 1_000));

    // Each record, by the entry bundles of C2SP tlog-tiles.
    let folder = Folder(&log);
    let reader = TileHashReader::new(new.size(), *new.hash(), &folder);
    let mut records = 0;
    for bundle in 0..new.size().div_ceil(256) {
        let width = u32::try_from((new.size() - bundle * 256).min(256)).unwrap();
        let mut bytes = Vec::new();
        let file = File::open(log.join(Folder::path("entries", bundle, width))).unwrap();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        let mut rest = &bytes[..];
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (record, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            let proven = reader.read_hashes(&[tlog_tiles::stored_hash_index(0, records)]).unwrap();
            assert_eq!(proven[0].0, tlog_tiles::record_hash(record).0, "{records}");
            (rest, records) = (after, records + 1);
        }
    }
    assert_eq!(records, new.size());

    // Our proofs.
    let ours = LogFolder::new(&log);
    let checkpoint = ours.checkpoint().unwrap().unwrap();
    for index in [0, 1, 255, 256, 511, 767, 768, 998, 999] {
        let proof = proof::inclusion(&ours, &checkpoint, index).unwrap();
        let leaf = ours.bundle(index / TILE_WIDTH, new.size()).unwrap().leaf(index).unwrap().to_vec();
        let path = hashes(&proof, "index");
        tlog_tiles::check_record(&path, new.size(), *new.hash(), index, tlog_tiles::record_hash(&leaf)).unwrap();
        assert!(
            tlog_tiles::check_record(&path, new.size(), *new.hash(), index ^ 1, tlog_tiles::record_hash(&leaf))
                .is_err()
        );
    }
    let consistency = proof::consistency(&ours, &checkpoint, old.size()).unwrap();
    tlog_tiles::check_tree(&hashes(&consistency, "old"), new.size(), *new.hash(), old.size(), *old.hash()).unwrap();
}
