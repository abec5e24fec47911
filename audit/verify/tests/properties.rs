//! Random histories, random tampering, against the tree by RFC 6962's recursion; and any bytes into every parser.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic: that is how it fails")]

mod support;

use std::cell::RefCell;

use audit_verify::hash::{Hash, leaf_hash, root_over};
use audit_verify::leaf::{Checker, Leaf};
use audit_verify::tree::{Frontier, verify_consistency, verify_inclusion};
use audit_verify::{Keys, Signed, VerifierKey, What, entries, parse_consistency_proof, parse_proof, verify_export};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use support::{Key, Log, Random, finding, gzip, history, leaf_hashes, mth, path, proof};

fn hashes(of: &[[u8; 32]]) -> Vec<Hash> {
    of.iter().map(|hash| Hash(*hash)).collect()
}

/// What is done to a log.
#[derive(Debug, Clone, Copy)]
enum Tampering {
    Change,
    Delete,
    Copy,
    Swap,
    Truncate,
    Rewrite,
    FlipTile,
}

fn tampering() -> impl Strategy<Value = Tampering> {
    use Tampering::{Change, Copy, Delete, FlipTile, Rewrite, Swap, Truncate};
    proptest::sample::select(vec![Change, Delete, Copy, Swap, Truncate, Rewrite, FlipTile])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_done_is_found(seed: u64, size in 2_usize..1400, how in tampering(), place: u64, second: u64, head: u64) {
        let mut leaves = history(seed, size);
        let original = leaves.clone();
        let log = Log::of(&leaves);
        let report = log.verify().map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        prop_assert_eq!(report.checkpoint.root, Hash(mth(&leaf_hashes(&leaves))));
        prop_assert_eq!(report.tally.unjudged, 0);
        let at = (place % size as u64) as usize;
        let other = (second % size as u64) as usize;
        let (first, expected): (usize, &[What]) = match how {
            Tampering::Change => {
                let end = leaves[at].len() - 3;
                leaves[at][end] ^= 1;
                (at, &[What::Changed])
            }
            Tampering::Delete => {
                leaves.remove(at);
                // The last one: nothing shows that something follows.
                (at, if at == size - 1 { &[What::CutOff] } else { &[What::Missing] })
            }
            Tampering::Copy => {
                let copy = leaves[other].clone();
                leaves.insert(at, copy);
                leaves.pop();
                // Before its original there is no difference yet: as if it had been put in behind.
                let first = original.iter().zip(&leaves).position(|(one, other)| one != other);
                let Some(first) = first else { return Ok(()) };
                // The last record gave way to it: in the last place that is all that was done, and a copy of that one was moved.
                (first, match other {
                    _ if first == size - 1 => &[What::Changed],
                    other if other == size - 1 => &[What::Reordered],
                    _ => &[What::Inserted],
                })
            }
            Tampering::Swap => {
                prop_assume!(at != other);
                leaves.swap(at, other);
                (at.min(other), &[What::Reordered])
            }
            Tampering::Truncate => {
                leaves.truncate(at);
                (at, &[What::CutOff])
            }
            Tampering::Rewrite => {
                leaves = history(seed ^ 1, size);
                (0, &[What::Rewritten])
            }
            Tampering::FlipTile => (at / 256 * 256, &[What::TileDamaged]),
        };
        match how {
            Tampering::Rewrite => {
                let log = Log::of(&leaves);
                log.verify().map_err(|failure| TestCaseError::fail(failure.to_string()))?;
                let kept = log.keep("kept", &original[..1 + (head % (size as u64 - 1)) as usize]);
                let found = finding(log.verify_against(&[kept]));
                prop_assert!(expected.contains(&found.what), "{}", found);
                return Ok(());
            }
            Tampering::FlipTile => {
                let width = (size - at / 256 * 256).min(256);
                let hash = (second % width as u64) as usize;
                log.flip(&format!("tile/0/{}", support::numbered(at / 256, width)), 32 * hash + (head % 32) as usize);
                let found = finding(log.verify());
                prop_assert!(expected.contains(&found.what), "{}", found);
                prop_assert_eq!(found.place.leaf, Some((first + hash) as u64));
                return Ok(());
            }
            _ => {}
        }
        std::fs::remove_dir_all(log.path("tile/entries")).unwrap();
        log.write_entries(&leaves);
        if leaves.len() < size && leaves.len() > size / 256 * 256 {
            log.write(&format!("tile/entries/{}", support::numbered(size / 256, size % 256)),
                gzip(&support::packed(&leaves[size / 256 * 256..])));
        }
        let found = finding(log.verify());
        prop_assert!(expected.contains(&found.what), "{:?} at {}: {}", how, first, found);
        // A file that is not there at all says only where it would begin.
        let leaf = found.place.leaf.unwrap() as usize;
        let whole_file = found.what == What::CutOff && leaf.is_multiple_of(256);
        prop_assert!(leaf == first || (whole_file && leaf <= first && first < leaf + 256), "{:?} at {}: {}", how, first, found);
    }

    #[test]
    fn the_tree_is_that_of_the_rfc(seed: u64, size in 1_usize..200, at: usize, old: usize, wrong in 0_usize..32) {
        let mut random = Random(seed);
        let d = (0..size).map(|_| support::sha(&[&random.next().to_be_bytes()])).collect::<Vec<_>>();
        let root = Hash(mth(&d));
        prop_assert_eq!(root_over(&hashes(&d)), Some(root));
        let mut frontier = Frontier::default();
        for hash in hashes(&d) {
            prop_assert!(frontier.push(0, hash));
        }
        prop_assert_eq!(frontier.root(), root);

        let (at, old) = (at % size, 1 + old % size);
        let inclusion = hashes(&path(at, &d));
        let (index, n) = (at as u64, size as u64);
        prop_assert!(verify_inclusion(Hash(d[at]), index, n, &inclusion, root));
        prop_assert!(!verify_inclusion(Hash(d[at]), index, n, &[&inclusion[..], &[root]].concat(), root));
        if size > 1 {
            prop_assert!(!verify_inclusion(Hash(d[at]), (index + 1) % n, n, &inclusion, root));
            prop_assert!(!verify_inclusion(Hash(d[at]), index, n, &inclusion[1..], root));
            let mut altered = inclusion.clone();
            let place = wrong % altered.len();
            altered[place].0[wrong] ^= 1;
            prop_assert!(!verify_inclusion(Hash(d[at]), index, n, &altered, root));
        }

        let consistency = hashes(&proof(old, &d));
        let old_root = Hash(mth(&d[..old]));
        prop_assert!(verify_consistency(old as u64, old_root, n, root, &consistency));
        prop_assert!(!verify_consistency(old as u64, old_root, n, root, &[&consistency[..], &[root]].concat()));
        let mut other = old_root;
        other.0[wrong] ^= 1;
        prop_assert!(!verify_consistency(old as u64, other, n, root, &consistency));
        prop_assert!(!verify_consistency(old as u64, old_root, n, other, &consistency));
        if !consistency.is_empty() {
            let mut altered = consistency.clone();
            let place = wrong % altered.len();
            altered[place].0[wrong] ^= 1;
            prop_assert!(!verify_consistency(old as u64, old_root, n, root, &altered));
            prop_assert!(!verify_consistency(old as u64, old_root, n, root, &consistency[1..]));
        }
    }
}

/// What serde_json writes is what the format says.
fn json() -> impl Strategy<Value = Value> {
    let text = || prop_oneof![any::<String>(), "[\\x00-\\x7f\"\\\\]{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 80, 40, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            // More names than are compared with each other one by one, now and then.
            proptest::collection::vec((text(), inner), 0..40).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

const HEAD: &str = "{\"v\":1,\"boot\":1,\"seq\":1,\"kind\":\"k\",\"at\":1,\"salt\":\"0011223344556677\"";

/// By one that has seen nothing, and by one that has seen what came before: they say the same.
fn strictly(leaf: impl AsRef<[u8]>) -> Result<Leaf, &'static str> {
    thread_local!(static EXPERIENCED: RefCell<Checker> = RefCell::default());
    let said = Leaf::parse_strictly(leaf.as_ref(), &mut Checker::default());
    let again = EXPERIENCED.with_borrow_mut(|checker| Leaf::parse_strictly(leaf.as_ref(), checker));
    assert_eq!(said, again, "{}", String::from_utf8_lossy(leaf.as_ref()));
    said
}

/// Whether it is in form by another way: as serde_json reads and writes it. It keeps the last of two fields of one name, and
/// writes numbers in its own way, so there are none but integers.
fn by_serde(fields: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(fields).is_ok_and(|map| {
        let written = serde_json::to_string(&map).unwrap();
        let mut of = [written.into_bytes(), fields.as_bytes().to_vec()];
        // It writes fields in another order.
        of.iter_mut().for_each(|bytes| bytes.sort_unstable());
        of[0] == of[1]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_serde_json_writes_is_in_form(value in json(), other in json()) {
        let leaf = format!("{HEAD},\"one\":{value},\"other\":{other}}}\n");
        prop_assume!(leaf.len() <= audit_verify::leaf::LEAF_LIMIT);
        prop_assert!(strictly(&leaf).is_ok(), "{}: {:?}", leaf, strictly(&leaf));
    }

    /// A space anywhere outside of a string, and a control character within one.
    #[test]
    fn white_space_is_not_in_form(value in json(), place: usize, space in proptest::sample::select(vec![' ', '\t', '\r'])) {
        let leaf = format!("{HEAD},\"one\":{value}}}\n");
        prop_assume!(leaf.len() < audit_verify::leaf::LEAF_LIMIT);
        let mut place = HEAD.len() + place % (leaf.len() - HEAD.len());
        while !leaf.is_char_boundary(place) {
            place -= 1;
        }
        let in_string = in_string(&leaf[..place]);
        let mut with = leaf.clone();
        with.insert(place, space);
        // In a string a space is a space, but behind a backslash.
        let allowed = in_string && space == ' ' && !ends_within_escape(&leaf[..place]);
        prop_assert_eq!(strictly(&with).is_ok(), allowed, "{}", with);
    }

    /// Any of a few tokens one after the other: what one parser takes, the other does.
    #[test]
    fn tokens(tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 0..14)) {
        let fields = format!("{{\"f\":{}}}", tokens.concat());
        let leaf = format!("{HEAD},{}\n", &fields[1..]);
        prop_assert_eq!(strictly(&leaf).is_ok(), by_serde(&fields), "{}", leaf);
    }

    #[test]
    fn no_leaf_makes_the_strict_one_panic(bytes in like(LEAF)) {
        let _ = strictly([HEAD.as_bytes(), &bytes].concat());
    }

    #[test]
    fn a_byte_more_or_less_or_another(value in json(), place: usize, byte: u8, how in 0..3) {
        let leaf = format!("{HEAD},\"one\":{value}}}\n");
        let mut bytes = leaf.clone().into_bytes();
        let place = place % bytes.len();
        match how {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            _ => { bytes.remove(place); }
        }
        // What is taken is JSON. With another digit at `v` it is
        // a leaf of a later version, of whose form nothing is known.
        let _ = strictly(&leaf);
        if let Ok(Leaf::Known(..)) = strictly(&bytes) {
            prop_assert!(serde_json::from_slice::<IgnoredAny>(&bytes).is_ok());
        }
    }
}

const TOKENS: &[&str] = &[
    "{", "}", "[", "]", ",", ",", "\"a\"", "\"b\":", "\"c\":", "\"c\":", "1", "0", "-", "true", "false", "null", "\"",
    "\\", "u001f", "u001F", "u0009", "n", "/", " ", "{}", "[]", "[1,", "tru", "\u{7f}",
];

/// Whether a leaf that is cut off here ends within a string.
fn in_string(cut: &str) -> bool {
    let mut within = false;
    let mut escaped = false;
    for c in cut.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => within = !within,
            _ => {}
        }
    }
    within
}

fn ends_within_escape(cut: &str) -> bool {
    let backslashes = |text: &str| text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
    backslashes(cut)
        || (1..=4).any(|digits| {
            let Some((before, after)) = cut.len().checked_sub(digits).and_then(|at| cut.split_at_checked(at)) else {
                return false;
            };
            after.starts_with('u') && backslashes(before)
        })
}

/// Each deviation alone, and the same without it.
#[test]
fn deviations_of_a_leaf() {
    let many = (0..300).map(|n| format!(",\"n{n}\":{n}")).collect::<String>();
    let deep = |depth: usize| format!(",\"d\":{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep_objects = |depth: usize| format!(",\"d\":{}1{}", "{\"d\":".repeat(depth), "}".repeat(depth));
    for (good, bad) in [
        (",\"a\":1", ",\"a\": 1"),
        (",\"a\":1", ",\"a\":1 "),
        (",\"a\":1", ", \"a\":1"),
        (",\"a\":1", ",\"a\":1,"),
        (",\"a\":1", ",\"a\":01"),
        (",\"a\":1", ",\"a\":+1"),
        (",\"a\":1500", ",\"a\":1.5e+3"),
        (",\"a\":100", ",\"a\":1e2"),
        (",\"a\":1", ",\"a\":1.0"),
        (",\"a\":0", ",\"a\":-0"),
        (",\"a\":-1", ",\"a\":-01"),
        (",\"a\":1", ",\"a\":-"),
        (",\"a\":9223372036854775807", ",\"a\":9223372036854775808"),
        (",\"a\":-9223372036854775808", ",\"a\":-9223372036854775809"),
        (",\"a\":1", ",\"a\":10000000000000000000"),
        (",\"a\":1", ",\"a\":123456789012345678901234567890"),
        (",\"a\":true", ",\"a\":True"),
        (",\"a\":null", ",\"a\":nul"),
        (",\"a\":\"x\"", ",\"a\":x"),
        (",\"a\":\"x\"", ",\"a\":\"x"),
        (",\"a\":[]", ",\"a\":[}"),
        (",\"a\":[1,2]", ",\"a\":[1 2]"),
        (",\"a\":{\"b\":1}", ",\"a\":{\"b\"}"),
        ("", "}{\"a\":1"),
        ("", "},{"),
        ("", "garbage"),
        // Raw control characters, and escapes that are none, or not the shortest.
        (",\"a\":\"\\t\"", ",\"a\":\"\t\""),
        (",\"a\":\"\\u0001\"", ",\"a\":\"\u{1}\""),
        (",\"a\":\"\\u001f\"", ",\"a\":\"\\u001F\""),
        (",\"a\":\"\\n\"", ",\"a\":\"\\u000a\""),
        (",\"a\":\"/\"", ",\"a\":\"\\/\""),
        (",\"a\":\"A\"", ",\"a\":\"\\u0041\""),
        (",\"a\":\"\\\\\"", ",\"a\":\"\\\""),
        (",\"a\":\"\u{1f600}\"", ",\"a\":\"\\ud83d\\ude00\""),
        // A name twice: at the top, in the outcome, in anything; also of the head; also among many.
        (",\"a\":1,\"b\":2", ",\"a\":1,\"a\":2"),
        (",\"person\":\"p1\"", ",\"person\":\"p1\",\"person\":\"p2\""),
        (",\"a\":1", ",\"kind\":\"request\""),
        (",\"w\":1", ",\"v\":1"),
        (",\"\":1,\"a\":1", ",\"\":1,\"\":1"),
        // The same end is not the same name.
        (",\"first_user_agent\":1,\"other_user_agent\":1", ",\"first_user_agent\":1,\"first_user_agent\":1"),
        (",\"outcome\":{\"end\":\"ok\",\"at\":1}", ",\"outcome\":{\"end\":\"ok\",\"end\":\"cut\"}"),
        (",\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}", ",\"a\":{\"b\":[{\"c\":1,\"c\":1}]}"),
        (&many, &format!("{many},\"n150\":1")),
        (&deep(63), &deep(64)),
        (&deep_objects(63), &deep_objects(64)),
        (&deep(63), &deep(30_000)),
    ] {
        let leaf = |fields: &str| format!("{HEAD}{fields}}}\n");
        strictly(leaf(good)).unwrap_or_else(|why| panic!("{good}: {why}"));
        assert!(strictly(leaf(bad)).is_err(), "{bad}");
    }
    // Of a later version nothing is known.
    strictly("{\"v\":2, \"a\":1}\n").unwrap();
}

/// Bytes that begin like something, and go on anyhow.
fn like(beginnings: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(beginnings).prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        "[ -~\u{2014}\n]{0,30}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

const LEAF: &[&str] = &[
    "{\"v\":1,\"boot\":",
    ",\"seq\":",
    ",\"outcome_seq\":",
    ",\"kind\":\"",
    "recovery",
    "outcome",
    "retention",
    "request",
    "\",\"at\":",
    "-",
    ",\"salt\":\"0011223344556677\"",
    ",\"of_boot\":",
    ",\"lost\":[[",
    "]]",
    ",\"of\":[",
    "}\n",
    "\n",
    "\"",
    "\\",
];
const NOTE: &[&str] = &[
    "gate.example.jp/audit\n",
    "\n",
    "\n\n",
    "\u{2014} ",
    "\u{2014} gate.example.jp/audit ",
    "AAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    "c2sp.org/tlog-proof@v1\n",
    "extra ",
    "index ",
    "old ",
    "+",
    "sekisho-export/v1\n",
    "about {}\n",
    "leaf ",
    "hash ",
    " ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_leaf_makes_it_panic(bytes in like(LEAF)) {
        let _ = Leaf::parse(&bytes);
    }

    #[test]
    fn no_note_makes_it_panic(bytes in like(NOTE)) {
        if let Ok(signed) = Signed::parse(&bytes) {
            let _ = signed.verify(&Key::of_log().keys());
        }
        let _ = parse_proof(&bytes);
        let _ = parse_consistency_proof(&bytes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = VerifierKey::parse(text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bundle_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500), compressed: bool) {
        let file = if compressed { gzip(&bytes) } else { bytes };
        let mut unpacker = entries::Unpacker::default();
        let unpacked = unpacker.unpack(&file);
        prop_assert!(unpacked.len() <= 256);
        unpacked.leaves().for_each(|leaf| { let _ = leaf_hash(leaf); });
    }

    #[test]
    fn no_export_makes_it_panic(bytes in like(NOTE)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bundle");
        std::fs::write(&file, [&b"sekisho-export/v1\nabout {}\n"[..], &bytes].concat()).unwrap();
        prop_assert!(verify_export(&file, &Key::of_log().keys(), &[]).is_err());
    }

    #[test]
    fn no_file_of_a_log_makes_it_panic(which in 0_usize..7, bytes in proptest::collection::vec(any::<u8>(), 0..9000), at: usize) {
        let log = Log::of(&history(11, 700));
        let file = ["checkpoint", "minimum-index", "heads/2026-01-01", "tile/entries/001", "tile/0/001", "tile/1/000.p/2",
            "tile/0/002.p/188"][which];
        // Instead of what stands there, or written over a part of it.
        let mut whole = std::fs::read(log.path(file)).unwrap_or_default();
        if at.is_multiple_of(2) || whole.is_empty() {
            whole = bytes;
        } else {
            let at = at % whole.len();
            let end = whole.len().min(at + bytes.len());
            whole[at..end].copy_from_slice(&bytes[..end - at]);
        }
        log.write(file, whole);
        let _ = log.verify();
    }
}

#[test]
fn keys_are_read_strictly() {
    let key = Key::of_log().vkey();
    VerifierKey::parse(&key).unwrap();
    VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    for bad in [
        String::new(),
        "a+b+c".to_owned(),
        key.replace("gate", "gale"),
        key[..key.len() - 2].to_owned(),
        key.replacen('+', "", 1),
        key.to_uppercase(),
        "example.com/foo+530d903a+A+kyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".to_owned(),
    ] {
        VerifierKey::parse(&bad).unwrap_err();
    }
    let mut keys = Keys::default();
    keys.add_log("/nowhere").unwrap_err();
    keys.add_witness(&key).unwrap_err();
}
