//! Every property, over the kept corpora (`fuzz/seeds/`) and bounded random changes of them. `make fuzz` looks for longer
//! and further; what it finds is kept there as well.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic: that is how it fails")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many changed inputs a target meets at most, and for how long; `SEKISHO_SOAK=1` for a minute, with other changes.
fn bounds() -> (usize, Duration, u64) {
    match std::env::var_os("SEKISHO_SOAK") {
        None => (4_000, Duration::from_millis(1_500), 0),
        Some(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            (usize::MAX, Duration::from_secs(60), now.as_secs() << 20)
        }
    }
}

fn kept(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// xorshift64*: the same changes in every run, so that a failure is seen again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % limit
    }

    fn change(&mut self, input: &mut Vec<u8>, others: &[(PathBuf, Vec<u8>)], words: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 => input.insert(at, u8::try_from(self.below(256)).unwrap()),
            2 if at < input.len() => {
                input.drain(at..input.len().min(at + 1 + self.below(8)));
            }
            3 => input.truncate(at),
            4 => {
                let other = &others[self.below(others.len())].1;
                let from = self.below(other.len() + 1);
                let to = other.len().min(from + self.below(40));
                input.splice(at..at, other[from..to].iter().copied());
            }
            5 if !words.is_empty() => {
                let word = &words[self.below(words.len())];
                input.splice(at..at, word.iter().copied());
            }
            _ => {
                let to = input.len().min(at + self.below(16));
                let copied = input[at.min(to)..to].to_vec();
                input.splice(at..at, copied);
            }
        }
        input.truncate(8 << 10);
    }
}

/// The words of a libFuzzer dictionary: `name="value"` with `\xNN`, `\\` and `\"`.
fn words(name: &str) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/dictionaries").join(format!("{name}.dict"));
    let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
    let word = |line: &str| {
        let value = line.trim().strip_suffix('"')?.split_once('"')?.1.to_owned();
        let mut out = Vec::new();
        let mut rest = value.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            match (first, after) {
                (b'\\', [b'x', high, low, after @ ..]) => {
                    out.push(u8::from_str_radix(std::str::from_utf8(&[*high, *low]).ok()?, 16).ok()?);
                    rest = after;
                }
                (b'\\', [escaped, after @ ..]) => {
                    out.push(*escaped);
                    rest = after;
                }
                _ => out.push(*first),
            }
        }
        Some(out)
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(word).collect()
}

fn hold(name: &str) {
    let (_, property) = *properties::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let kept = kept(name);
    assert!(kept.len() >= 3, "{name} keeps {} inputs", kept.len());
    let size: usize = kept.iter().map(|(_, input)| input.len()).sum();
    assert!(size < 64 << 10, "{name} keeps {size} bytes");
    let check = |input: &[u8], what: &str| {
        let held = catch_unwind(AssertUnwindSafe(|| property(input)));
        assert!(held.is_ok(), "{name} doesn't hold of {what}: {}", input.escape_ascii());
    };
    for (path, input) in &kept {
        check(input, &path.display().to_string());
    }
    let words = words(name);
    let (changes, longest, start) = bounds();
    let mut random = Random(0x5EC1_5405_EED5_EED5 ^ start);
    let began = Instant::now();
    for number in 0..changes {
        if began.elapsed() > longest {
            break;
        }
        let mut input = kept[number % kept.len()].1.clone();
        for _ in 0..1 + random.below(6) {
            random.change(&mut input, &kept, &words);
        }
        check(&input, "a changed input");
    }
}

macro_rules! properties {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { hold(stringify!($name)); })*

        #[test]
        fn every_property_is_held_here_and_has_a_target() {
            let here = [$(stringify!($name)),*];
            assert_eq!(here.to_vec(), properties::ALL.map(|(name, _)| name).to_vec());
            for name in here {
                let target = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fuzz/fuzz_targets/{name}.rs"));
                assert!(std::fs::read_to_string(target).unwrap().contains(&format!("properties::{name}(")), "{name}");
            }
        }
    };
}

properties!(
    cookies,
    set_cookie,
    tickets,
    forwarded,
    request_target,
    mask,
    configuration,
    recipe_file,
    recipe,
    policy,
    ladder,
    frames,
    recovery,
    certificate,
    signing_request,
    roster,
    scim_filter,
);
