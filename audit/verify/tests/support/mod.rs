//! Writes logs for the tests: the tree by the recursion of RFC 6962, section 2.1, as it stands there, and nothing of the
//! verifier.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic: that is how it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use audit_verify::{Error, Failure, Finding, Keys, LogOptions, Report, What, verify_log};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub type Leaf = Vec<u8>;
pub type Sha = [u8; 32];

pub const ORIGIN: &str = "gate.example.jp/audit";

pub fn sha(parts: &[&[u8]]) -> Sha {
    let mut sha = Sha256::new();
    parts.iter().for_each(|part| sha.update(part));
    sha.finalize().into()
}

pub fn leaf_hashes(leaves: &[Leaf]) -> Vec<Sha> {
    leaves.iter().map(|leaf| sha(&[&[0], leaf])).collect()
}

/// MTH(D[n]) over the hashes of the leaves.
pub fn mth(d: &[Sha]) -> Sha {
    match d {
        [] => sha(&[]),
        [one] => *one,
        _ => {
            let (left, right) = d.split_at(split(d.len()));
            sha(&[&[1], &mth(left), &mth(right)])
        }
    }
}

/// The largest power of two smaller than n.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// PATH(m, D[n]).
pub fn path(m: usize, d: &[Sha]) -> Vec<Sha> {
    if d.len() == 1 {
        return Vec::new();
    }
    let k = split(d.len());
    let (mut path, other) = if m < k { (path(m, &d[..k]), mth(&d[k..])) } else { (path(m - k, &d[k..]), mth(&d[..k])) };
    path.push(other);
    path
}

/// PROOF(m, D[n]).
pub fn proof(m: usize, d: &[Sha]) -> Vec<Sha> {
    subproof(m, d, true)
}

fn subproof(m: usize, d: &[Sha], whole: bool) -> Vec<Sha> {
    if m == d.len() {
        return if whole { Vec::new() } else { vec![mth(d)] };
    }
    let k = split(d.len());
    let (mut proof, other) = if m <= k {
        (subproof(m, &d[..k], whole), mth(&d[k..]))
    } else {
        (subproof(m - k, &d[k..], false), mth(&d[..k]))
    };
    proof.push(other);
    proof
}

/// Signs checkpoints.
pub struct Key(SigningKey);

impl Key {
    pub fn new(seed: &str) -> Self {
        Self(SigningKey::from_bytes(&sha(&[seed.as_bytes()])))
    }

    pub fn of_log() -> Self {
        Self::new("the log's key")
    }

    fn typed(&self) -> Vec<u8> {
        [&[1], self.0.verifying_key().as_bytes().as_slice()].concat()
    }

    fn id(&self) -> [u8; 4] {
        sha(&[ORIGIN.as_bytes(), b"\n", &self.typed()])[..4].try_into().unwrap()
    }

    pub fn vkey(&self) -> String {
        let id = u32::from_be_bytes(self.id());
        format!("{ORIGIN}+{id:08x}+{}", STANDARD.encode(self.typed()))
    }

    pub fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        keys.add_log(&self.vkey()).unwrap();
        keys
    }

    pub fn sign(&self, text: &str) -> String {
        let signature = [self.id().as_slice(), &self.0.sign(text.as_bytes()).to_bytes()].concat();
        format!("{text}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(signature))
    }

    pub fn checkpoint(&self, leaves: &[Leaf]) -> String {
        self.sign(&format!("{ORIGIN}\n{}\n{}\n", leaves.len(), STANDARD.encode(mth(&leaf_hashes(leaves)))))
    }
}

/// A folder with a log.
pub struct Log {
    pub folder: TempDir,
}

impl Log {
    /// Writes a whole log, signed with the log's key.
    pub fn of(leaves: &[Leaf]) -> Self {
        let log = Self { folder: tempfile::tempdir().unwrap() };
        log.write_entries(leaves);
        log.write_tiles(leaves);
        log.write("checkpoint", Key::of_log().checkpoint(leaves));
        log
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let file = self.path(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }

    pub fn write_entries(&self, leaves: &[Leaf]) {
        for (index, bundle) in leaves.chunks(256).enumerate() {
            self.write_bundle(index, bundle);
        }
    }

    pub fn write_bundle(&self, index: usize, bundle: &[Leaf]) {
        self.write(&format!("tile/entries/{}", numbered(index, bundle.len())), gzip(&packed(bundle)));
    }

    pub fn write_tiles(&self, leaves: &[Leaf]) {
        let all = leaf_hashes(leaves);
        let mut hashes = all.clone();
        for level in 0.. {
            if hashes.is_empty() {
                break;
            }
            for (index, tile) in hashes.chunks(256).enumerate() {
                self.write(&format!("tile/{level}/{}", numbered(index, tile.len())), tile.concat());
            }
            hashes = hashes.chunks_exact(256).map(mth).collect();
        }
    }

    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    /// Turns a bit of a file over.
    pub fn flip(&self, file: &str, byte: usize) {
        let mut bytes = fs::read(self.path(file)).unwrap();
        bytes[byte] ^= 1;
        self.write(file, bytes);
    }

    /// A checkpoint that was kept elsewhere.
    pub fn keep(&self, name: &str, leaves: &[Leaf]) -> PathBuf {
        let name = format!("kept-{name}");
        self.write(&name, Key::of_log().checkpoint(leaves));
        self.path(&name)
    }

    pub fn options(&self) -> LogOptions {
        LogOptions {
            folder: self.folder.path().to_owned(),
            keys: Key::of_log().keys(),
            jobs: 1,
            ..LogOptions::default()
        }
    }

    pub fn verify(&self) -> Result<Report, Failure> {
        verify(&self.options())
    }

    pub fn verify_against(&self, kept: &[PathBuf]) -> Result<Report, Failure> {
        verify(&LogOptions { kept: kept.to_vec(), ..self.options() })
    }
}

pub fn verify(options: &LogOptions) -> Result<Report, Failure> {
    verify_log(options, &|_, _| {})
}

/// What is wrong first.
pub fn finding<T: std::fmt::Debug>(answer: Result<T, Failure>) -> Finding {
    let failure = answer.expect_err("nothing was found");
    failure.finding().unwrap_or_else(|| panic!("no answer: {failure}")).clone()
}

#[track_caller]
pub fn assert_found<T: std::fmt::Debug>(answer: Result<T, Failure>, what: What, leaf: Option<u64>) -> Finding {
    let found = finding(answer);
    assert_eq!((found.what, found.place.leaf), (what, leaf), "{found}");
    found
}

/// No answer, because these kept checkpoints could not be compared.
#[track_caller]
pub fn assert_not_compared<T: std::fmt::Debug>(answer: Result<T, Failure>, sizes: &[u64]) {
    match answer {
        Err(Failure::CouldNotRun(Error::NotCompared { checkpoints, .. })) => {
            assert_eq!(checkpoints.iter().map(|one| one.size).collect::<Vec<_>>(), sizes);
        }
        other => panic!("{other:?}"),
    }
}

pub fn packed(bundle: &[Leaf]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for leaf in bundle {
        bytes.extend_from_slice(&u16::try_from(leaf.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; bytes.len() + bytes.len() / 100 + 1000];
    let config = zlib_rs::DeflateConfig { window_bits: 31, ..zlib_rs::DeflateConfig::default() };
    let (out, code) = zlib_rs::compress_slice(&mut out, bytes, config);
    assert_eq!(code as i32, 0);
    out.to_vec()
}

pub fn numbered(index: usize, width: usize) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < 256 { format!("{path}.p/{width}") } else { path }
}

/// Random numbers from a seed (splitmix64), so that a failing history can be had again.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Writes leaves that obey the rules.
pub struct Gate {
    pub random: Random,
    pub boot: u32,
    pub seq: u64,
    at: i64,
    open: Vec<(u32, u64)>,
    pub leaves: Vec<Leaf>,
}

impl Gate {
    pub fn new(seed: u64) -> Self {
        Self { random: Random(seed), boot: 1, seq: 1, at: 1_793_500_000_000_000, open: Vec::new(), leaves: Vec::new() }
    }

    pub fn leaf(&mut self, seq: u64, outcome: Option<u64>, kind: &str, fields: &str) {
        self.at += i64::try_from(self.random.below(1_000_000)).unwrap();
        let outcome = outcome.map_or(String::new(), |seq| format!(",\"outcome_seq\":{seq}"));
        let (boot, at, salt) = (self.boot, self.at, self.random.next());
        let head = format!(
            "{{\"v\":1,\"boot\":{boot},\"seq\":{seq}{outcome},\"kind\":\"{kind}\",\"at\":{at},\"salt\":\"{salt:016x}\""
        );
        self.leaves.push(format!("{head}{fields}}}\n").into_bytes());
    }

    pub fn take(&mut self) -> u64 {
        self.seq += 1;
        self.seq - 1
    }

    pub fn heartbeat(&mut self) {
        let seq = self.take();
        self.leaf(seq, None, "heartbeat", "");
    }

    pub fn request(&mut self) {
        let seq = self.take();
        let outcome = self.take();
        let fields = format!(
            ",\"app\":\"kaipoke\",\"path\":\"/{}\",\"outcome\":{{\"at\":1,\"end\":\"ok\"}}",
            self.random.below(99)
        );
        self.leaf(seq, Some(outcome), "request", &fields);
    }

    /// Killed, with records lost; the next boot says so.
    pub fn crash(&mut self) {
        let (of_boot, first) = (self.boot, self.seq);
        let lost = self.random.below(3);
        self.seq += lost + 1;
        self.heartbeat();
        self.boot += 1 + u32::try_from(self.random.below(2)).unwrap();
        self.seq = 1;
        let (last, unconfirmed) = (first + lost, self.random.below(1000));
        let ranges = if lost == 0 {
            format!("\"unconfirmed\":[[{first},{last}]]")
        } else {
            format!(
                "\"lost\":[[{first},{}]],\"unconfirmed\":[[{last},{last}],[{},{}]]",
                last - 1,
                last + 5000,
                last + 5000 + unconfirmed
            )
        };
        let seq = self.take();
        self.leaf(seq, None, "recovery", &format!(",\"of_boot\":{of_boot},\"truncated_bytes\":7,{ranges}"));
    }

    pub fn any(&mut self) {
        match self.random.below(40) {
            0 => self.crash(),
            1..=3 => {
                let seq = self.take();
                self.open.push((self.boot, seq));
                self.leaf(seq, None, "request", ",\"path\":\"/ws\"");
            }
            4..=6 => {
                let Some((boot, seq)) = self.open.pop() else { return };
                let own = self.take();
                self.leaf(own, None, "outcome", &format!(",\"of\":[{boot},{seq}],\"end\":\"ok\""));
            }
            7..=12 => self.heartbeat(),
            13..=20 => {
                // The outcome comes after other records.
                let seq = self.take();
                let others = self.random.below(4);
                let first_other = self.seq;
                self.seq += others;
                let outcome = self.take();
                self.leaf(seq, Some(outcome), "request", ",\"outcome\":{\"at\":1,\"end\":\"ok\"}");
                for other in 0..others {
                    self.leaf(first_other + other, None, "heartbeat", "");
                }
            }
            _ => self.request(),
        }
    }
}

/// A history of so many leaves. It does not end within a crash: no checkpoint is signed before the leaf that tells of it.
pub fn history(seed: u64, size: usize) -> Vec<Leaf> {
    let mut gate = Gate::new(seed);
    while gate.leaves.len() < size {
        if size - gate.leaves.len() > 5 { gate.any() } else { gate.heartbeat() }
    }
    gate.leaves
}

/// So many heartbeats and nothing else.
pub fn heartbeats(seed: u64, size: usize) -> Vec<Leaf> {
    let mut gate = Gate::new(seed);
    (0..size).for_each(|_| gate.heartbeat());
    gate.leaves
}

pub fn vectors() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
}
