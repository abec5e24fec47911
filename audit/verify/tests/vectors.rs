//! The golden vectors, which another program wrote from the same page.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic: that is how it fails")]

mod support;

use std::path::{Path, PathBuf};

use audit_verify::hash::leaf_hash;
use audit_verify::leaf::{Checker, Leaf, Role};
use audit_verify::{
    By, Keys, LogOptions, What, verify_consistency_by_log, verify_consistency_proof, verify_export, verify_proof,
};
use support::{assert_found, assert_not_compared, vectors, verify};

fn file(name: &str) -> PathBuf {
    vectors().join(name)
}

fn keys(names: &[&str]) -> Keys {
    let mut keys = Keys::default();
    for name in names {
        let path = file(&format!("keys/{name}.vkey"));
        let path = path.to_str().unwrap();
        if *name == "witness" { keys.add_witness(path).unwrap() } else { keys.add_log(path).unwrap() }
    }
    keys
}

fn log(name: &str) -> LogOptions {
    LogOptions { folder: file("logs").join(name), keys: keys(&["log"]), jobs: 1, ..LogOptions::default() }
}

/// A copy of a file with something in it replaced.
fn altered(name: &str, from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(file(name)).unwrap();
    assert!(text.contains(from), "{name} has no {from}");
    let path = folder.path().join("altered");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    (folder, path)
}

/// A checkpoint of the same key for another history of so many records.
fn of_another_log(size: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other");
    std::fs::write(&path, support::Key::of_log().checkpoint(&support::heartbeats(1, size))).unwrap();
    (folder, path)
}

#[test]
fn logs() {
    for (name, from, to) in [
        ("empty", 0, 0),
        ("1", 0, 1),
        ("255", 0, 255),
        ("256", 0, 256),
        ("257", 0, 257),
        ("700", 0, 700),
        ("lost", 0, 40),
        ("pruned", 512, 1024),
    ] {
        let report = verify(&LogOptions { strict: true, ..log(name) }).unwrap();
        assert_eq!((report.from, report.to, report.whole, report.dropped), (from, to, true, from), "{name}");
    }
    let tally = verify(&log("700")).unwrap().tally;
    assert_eq!((tally.recoveries, tally.declared_lost, tally.declared_unconfirmed, tally.unjudged), (1, 2, 5, 0));
    assert!(tally.first_at < tally.last_at);
    let tally = verify(&log("lost")).unwrap().tally;
    assert_eq!((tally.recoveries, tally.declared_lost, tally.declared_unconfirmed, tally.unjudged), (1, 1, 1, 0));
    let pruned = verify(&log("pruned")).unwrap();
    assert_eq!((pruned.heads, pruned.heads_unjudged), (2, 1));
}

#[test]
fn signatures() {
    let of = |names: &[&str]| {
        let report = verify(&LogOptions { keys: keys(names), ..log("700") })?;
        Ok(report.signatures.into_iter().map(|seen| seen.by).collect::<Vec<_>>())
    };
    let witness = || By::Witness { time: 1_793_600_000 };
    assert_eq!(of(&["log"]).unwrap(), [By::Log, By::Unknown, By::Unknown]);
    assert_eq!(of(&["log", "second", "witness"]).unwrap(), [By::Log, By::Log, witness()]);
    assert_eq!(of(&["second"]).unwrap(), [By::Unknown, By::Log, By::Unknown]);
    assert_found(of(&["other"]), What::BadSignature, None);
    // A witness's word alone says nothing about whose log it is.
    assert_found(of(&["other", "witness"]), What::BadSignature, None);
}

#[test]
fn kept_checkpoints() {
    let kept = [1, 256, 257, 512, 699, 700].map(|size| file(&format!("kept/700-at-{size}")));
    let report = verify(&LogOptions { kept: kept.to_vec(), ..log("700") }).unwrap();
    assert_eq!(report.kept.len(), 6);
    assert_found(verify(&LogOptions { kept: vec![kept[3].clone()], ..log("257") }), What::CutOff, Some(257));
    assert_found(verify(&LogOptions { kept: vec![kept[2].clone()], ..log("257") }), What::Forked, None);
    assert_found(verify(&LogOptions { kept: vec![kept[0].clone()], ..log("257") }), What::Rewritten, Some(0));
}

#[test]
fn leaves() {
    let text = std::fs::read_to_string(file("leaves.json")).unwrap();
    let leaves = serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap();
    assert!(leaves.len() > 10);
    for leaf in &leaves {
        let bytes = [leaf["leaf"].as_str().unwrap(), "\n"].concat();
        let hash = leaf_hash(bytes.as_bytes()).0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(leaf["hash"], hash);
        assert_eq!(Leaf::parse_strictly(bytes.as_bytes(), &mut Checker::default()), Leaf::parse(bytes.as_bytes()));
        let Leaf::Known(head, role) = Leaf::parse(bytes.as_bytes()).unwrap() else { panic!("{bytes}") };
        let json = serde_json::from_str::<serde_json::Value>(&bytes).unwrap();
        assert_eq!(json["seq"], head.record.seq);
        assert_eq!(json["at"], head.at);
        let open = json["kind"] == "request" && json.get("outcome").is_none();
        assert_eq!(role == Role::Open, open);
    }
}

#[test]
fn bad_leaves() {
    let text = std::fs::read_to_string(file("bad-leaves.json")).unwrap();
    let leaves = serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap();
    assert!(leaves.len() > 10);
    // It has seen every field, and each name at the place that it may stand at.
    let mut experienced = Checker::default();
    let good = std::fs::read_to_string(file("leaves.json")).unwrap();
    let good = serde_json::from_str::<Vec<serde_json::Value>>(&good).unwrap();
    for leaf in &good {
        let bytes = [leaf["leaf"].as_str().unwrap(), "\n"].concat();
        assert!(Leaf::parse_strictly(bytes.as_bytes(), &mut experienced).is_ok(), "{leaf}");
        // Each field once more, at the end.
        let fields = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&bytes).unwrap();
        for (name, value) in fields {
            let twice = format!("{},\"{name}\":{value}}}\n", bytes.trim_end().strip_suffix('}').unwrap());
            assert!(Leaf::parse_strictly(twice.as_bytes(), &mut experienced).is_err(), "{twice}");
        }
    }
    for leaf in &leaves {
        let bytes = [leaf["leaf"].as_str().unwrap(), "\n"].concat();
        let fresh = Leaf::parse_strictly(bytes.as_bytes(), &mut Checker::default());
        assert!(fresh.is_err(), "{leaf}");
        assert_eq!(Leaf::parse_strictly(bytes.as_bytes(), &mut experienced), fresh, "{leaf}");
    }
}

#[test]
fn proofs() {
    let keys = keys(&["log", "witness"]);
    for index in [14, 699] {
        let report = verify_proof(&file(&format!("taken/{index}.tlog-proof")), &keys, &[]).unwrap();
        assert_eq!(report.index, index);
        assert!(report.leaf.starts_with("{\"v\":1,") && report.leaf.ends_with('}'));
    }
    let name = "taken/14.tlog-proof";
    let of = |from: &str, to: &str| {
        let (_folder, path) = altered(name, from, to);
        verify_proof(&path, &keys, &[])
    };
    assert_found(of("index 14\n", "index 15\n"), What::Changed, Some(15));
    assert_found(of("index 14\n", "index 700\n"), What::Changed, Some(700));
    assert_found(of("extra ey", "extra ez"), What::Changed, Some(14));
    assert_found(of("\n700\n", "\n701\n"), What::BadSignature, None);
    assert_found(of("index 14\n", "index 014\n"), What::Unreadable, None);
    assert_found(of("extra ", "extra"), What::Unreadable, None);
    assert_found(of("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"), What::Unreadable, None);

    let against = |kept: PathBuf| verify_proof(&file(name), &keys, &[kept]);
    assert_eq!(against(file("kept/700-at-700")).unwrap().kept[0].size, 700);
    assert_not_compared(against(file("kept/700-at-256")), &[256]);
    assert_not_compared(against(file("logs/pruned/checkpoint")), &[1024]);
    let (_folder, other) = of_another_log(700);
    assert_found(against(other), What::Forked, None);
}

#[test]
fn consistency() {
    let keys = keys(&["log"]);
    let kept = |size: u64| file(&format!("kept/700-at-{size}"));
    for old in [1, 256, 257, 699, 700] {
        let proof = file(&format!("taken/{old}.tlog-consistency"));
        let (older, newer) = verify_consistency_proof(&kept(old), &proof, &keys).unwrap();
        assert_eq!((older.size, newer.size), (old, 700));
        let other = if old == 1 { 256 } else { 1 };
        assert_found(verify_consistency_proof(&kept(other), &proof, &keys), What::NotInForm, None);
    }
    let of_257 = "taken/257.tlog-consistency";
    let (_folder, path) = altered(of_257, "old 257\n", "old 256\n");
    assert_found(verify_consistency_proof(&kept(256), &path, &keys), What::Forked, None);
    let (_folder, path) = altered(of_257, "\n700\n", "\n701\n");
    assert_found(verify_consistency_proof(&kept(257), &path, &keys), What::BadSignature, None);
    // Another log of the same key.
    let other = file("logs/257/checkpoint");
    assert_found(verify_consistency_proof(&other, &file(of_257), &keys), What::Forked, None);

    let by_log = |older: &Path, newer: &Path| verify_consistency_by_log(&file("logs/700"), &keys, older, newer);
    let (older, newer) = by_log(&kept(257), &kept(699)).unwrap();
    assert_eq!((older.size, newer.size), (257, 699));
    by_log(&kept(700), &kept(1)).unwrap();
    let heads = file("logs/pruned/heads");
    let of_pruned =
        verify_consistency_by_log(&file("logs/pruned"), &keys, &heads.join("2026-10-31"), &heads.join("2026-11-01"));
    assert_not_compared(of_pruned, &[300]);
    assert_found(by_log(&other, &kept(699)), What::Rewritten, Some(0));
    assert_found(by_log(&kept(257), &file("logs/pruned/checkpoint")), What::CutOff, Some(700));
}

#[test]
fn exports() {
    let keys = keys(&["log"]);
    let name = "taken/p001.sekisho-export";
    let report = verify_export(&file(name), &keys, &[file("kept/700-at-700")]).unwrap();
    assert_eq!((report.leaves, report.first, report.last), (24, Some(1), Some(684)));
    assert_eq!(report.kept[0].size, 700);
    assert_eq!(report.about["person"], "p001");
    assert_eq!(verify_export(&file("taken/nothing.sekisho-export"), &keys, &[]).unwrap().leaves, 0);
    assert_found(verify_export(&file(name), &self::keys(&["other"]), &[]), What::BadSignature, None);
    // What it has no hashes for, and what is newer than it, is not compared; another history is found out.
    let of_kept = |kept: &str| verify_export(&file(name), &keys, &[file("kept/700-at-700"), file(kept)]);
    assert_not_compared(of_kept("kept/700-at-699"), &[699]);
    assert_not_compared(of_kept("logs/pruned/checkpoint"), &[1024]);
    let (_folder, other) = of_another_log(700);
    assert_found(verify_export(&file(name), &keys, &[other]), What::Forked, None);

    let of = |from: &str, to: &str| {
        let (_folder, path) = altered(name, from, to);
        verify_export(&path, &keys, &[])
    };
    let text = std::fs::read_to_string(file(name)).unwrap();
    let lines = |kind: &str| {
        text.lines().filter(|line| line.starts_with(kind)).map(|line| format!("{line}\n")).collect::<Vec<_>>()
    };
    let (leaves, hashes) = (lines("leaf "), lines("hash "));
    let second = leaves[1].split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    assert_found(of("\"person\":\"p001\",\"provider\"", "\"person\":\"p002\",\"provider\""), What::Changed, Some(1));
    assert_found(of(&leaves[1], ""), What::Missing, Some(second));
    assert_found(of(&leaves[1], &leaves[1].repeat(2)), What::Inserted, Some(second));
    let swapped = [leaves[2].as_str(), &leaves[1]].concat();
    assert_found(of(&[leaves[1].as_str(), &leaves[2]].concat(), &swapped), What::Reordered, Some(second));
    assert_found(of(hashes.last().unwrap(), ""), What::CutOff, Some(696));
    assert_eq!(support::finding(of(&hashes[0], "")).what, What::Missing);
    assert_found(of("\n700\n", "\n701\n"), What::BadSignature, None);
    assert_found(of("sekisho-export/v1", "sekisho-export/v2"), What::Unreadable, None);
    assert_found(of("about {", "about ["), What::Unreadable, None);
    assert_found(of("hash 0 ", "hash 64 "), What::NotInForm, None);
    assert_found(of("hash 0 ", "what 0 "), What::NotInForm, None);
}
