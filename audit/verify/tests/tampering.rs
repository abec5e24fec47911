//! Each kind of tampering, and the word for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic: that is how it fails")]

mod support;

use std::fs;

use audit_verify::{Error, Failure, Finding, LogOptions, What, verify_export, verify_log, verify_proof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::{
    Gate, Key, Leaf, Log, assert_found, assert_not_compared, finding, gzip, heartbeats, history, packed, verify,
};

/// Six full bundles and a part of one.
const SIZE: usize = 1700;

fn leaves() -> Vec<Leaf> {
    history(1, SIZE)
}

/// Another leaf with the same number.
fn altered(leaf: &Leaf) -> Leaf {
    let mut text = String::from_utf8(leaf.clone()).unwrap();
    let salt = text.find("\"salt\":\"").unwrap() + 8;
    text.replace_range(salt..salt + 4, "beef");
    text.into_bytes()
}

fn remove_all_entries(log: &Log) {
    fs::remove_dir_all(log.path("tile/entries")).unwrap();
}

#[test]
fn an_untouched_log_is_verified() {
    let log = Log::of(&leaves());
    for jobs in [1, 2, 7] {
        let report = verify(&LogOptions { jobs, ..log.options() }).unwrap();
        assert_eq!((report.from, report.to, report.whole, report.tally.leaves), (0, 1700, true, 1700));
    }
}

#[test]
fn a_changed_record() {
    for at in [0, 255, 256, 700, 1699] {
        let mut leaves = leaves();
        let log = Log::of(&leaves);
        leaves[at] = altered(&leaves[at]);
        log.write_entries(&leaves);
        for jobs in [1, 3] {
            let found = finding(verify(&LogOptions { jobs, ..log.options() }));
            assert_eq!((found.what, found.place.leaf), (What::Changed, Some(at as u64)), "{found}");
            assert!(found.place.record.is_some() && found.place.at.is_some());
        }
    }
}

#[test]
fn a_flipped_bit_of_a_compressed_file() {
    let leaves = leaves();
    let log = Log::of(&leaves);
    let file = "tile/entries/003";
    let bytes = fs::read(log.path(file)).unwrap();
    // From behind the header on, which has a time and a system in it that are not part of the log.
    for at in (10..bytes.len()).step_by(97).chain(bytes.len() - 8..bytes.len()) {
        log.flip(file, at);
        let found = finding(log.verify());
        assert!(
            matches!(found.what, What::Changed | What::Unreadable | What::Missing | What::Inserted | What::Reordered),
            "{found}"
        );
        assert!(found.place.leaf.is_none_or(|leaf| (768..1024).contains(&leaf)), "{found}");
        log.write(file, &bytes);
    }
    log.verify().unwrap();
}

#[test]
fn a_flipped_bit_of_a_tile() {
    let leaves = leaves();
    for (file, byte, leaf) in [
        ("tile/0/000", 5, 0),
        ("tile/0/003", 32 * 7, 768 + 7),
        ("tile/0/006.p/164", 32 * 163 + 31, 1699),
        ("tile/1/000.p/6", 32 * 2, 512),
    ] {
        let log = Log::of(&leaves);
        log.flip(file, byte);
        let found = assert_found(log.verify(), What::TileDamaged, Some(leaf));
        assert_eq!(found.place.file.as_deref(), Some(file));
        log.remove(file);
        assert_eq!(finding(log.verify()).what, What::TileDamaged);
        log.write(file, "short");
        assert_eq!(finding(log.verify()).what, What::TileDamaged);
    }
}

#[test]
fn tiles_of_a_large_log() {
    // A full tile of level 1, and a part of one; a part of one of level 2. Of the leaves a few are looked at.
    let mut leaves = heartbeats(2, 66_000);
    let log = Log::of(&leaves);
    let of = |range| verify(&LogOptions { range: Some(range), ..log.options() });
    of(0..66_000).unwrap();
    for (file, byte, leaf) in [("tile/1/000", 32 * 9, 9 * 256), ("tile/1/001.p/1", 0, 65_536), ("tile/2/000.p/1", 3, 0)]
    {
        log.flip(file, byte);
        let found = assert_found(of(leaf..leaf + 300), What::TileDamaged, Some(leaf));
        assert_eq!(found.place.file.as_deref(), Some(file));
        log.flip(file, byte);
    }
    leaves[40_000] = altered(&leaves[40_000]);
    let forged = Log::of(&leaves);
    let forge = |file: &str| fs::copy(forged.path(file), log.path(file)).unwrap();
    // A record and a tile at once: the record is what matters.
    forge("tile/entries/156");
    log.flip("tile/1/001.p/1", 0);
    assert_found(of(39_000..41_000), What::Changed, Some(40_000));
    log.flip("tile/1/001.p/1", 0);
    // The hashes above it, too: the higher, the less is known.
    forge("tile/0/156");
    let found = assert_found(of(39_000..41_000), What::Changed, Some(39_936));
    assert_eq!(found.place.before_leaf, Some(40_192));
    forge("tile/1/000");
    let found = assert_found(of(39_000..41_000), What::Changed, Some(0));
    assert_eq!(found.place.before_leaf, Some(65_536));
    forge("tile/2/000.p/1");
    let found = assert_found(of(39_000..41_000), What::Changed, Some(0));
    assert_eq!(found.place.before_leaf, Some(66_000));
}

#[test]
fn a_changed_record_whose_hashes_were_made_anew() {
    let mut leaves = leaves();
    let log = Log::of(&leaves);
    log.write("heads/2026-11-01", Key::of_log().checkpoint(&leaves[..1000]));
    log.write("heads/2026-11-02", Key::of_log().checkpoint(&leaves[..1400]));
    leaves[1100] = altered(&leaves[1100]);
    log.write_bundle(4, &leaves[1024..1280]);
    // Its tile alone.
    let forged = Log::of(&leaves);
    fs::copy(forged.path("tile/0/004"), log.path("tile/0/004")).unwrap();
    let found = assert_found(log.verify(), What::Changed, Some(1024));
    assert_eq!(found.place.before_leaf, Some(1280));
    // All of them: two daily tree heads narrow it down.
    log.write_tiles(&leaves);
    let found = assert_found(log.verify(), What::Changed, Some(1000));
    assert_eq!(found.place.before_leaf, Some(1400));
}

#[test]
fn exchanged_records() {
    for (one, other) in [(300, 301), (300, 500), (300, 520), (100, 1600), (0, 1699)] {
        let mut leaves = leaves();
        let log = Log::of(&leaves);
        leaves.swap(one, other);
        log.write_entries(&leaves);
        assert_found(log.verify(), What::Reordered, Some(one as u64));
    }
}

#[test]
fn a_deleted_record() {
    for at in [0, 254, 255, 256, 1000, 1690] {
        let mut leaves = leaves();
        let log = Log::of(&leaves);
        leaves.remove(at);
        remove_all_entries(&log);
        log.write_entries(&leaves);
        // So that the last file has the right name.
        let last = &leaves[1536..];
        log.write("tile/entries/006.p/164", gzip(&packed(last)));
        assert_found(log.verify(), What::Missing, Some(at as u64));
        // And the hashes made anew: the records' own numbers tell.
        log.write_tiles(&leaves);
        fs::remove_dir_all(log.path("tile/0/006.p")).unwrap();
        log.write_tiles(&leaves);
        let found = finding(log.verify());
        if at > 0 {
            assert_eq!((found.what, found.place.leaf), (What::Missing, Some(at as u64)), "{found}");
        } else {
            // A log may begin with any number.
            assert_eq!(found.what, What::CutOff, "{found}");
        }
    }
    // Within its bundle alone.
    let mut leaves = leaves();
    let log = Log::of(&leaves);
    leaves.remove(400);
    log.write("tile/entries/001", gzip(&packed(&leaves[256..511])));
    assert_found(log.verify(), What::Missing, Some(400));
    // Many.
    let mut leaves = self::leaves();
    leaves.drain(300..1100);
    remove_all_entries(&log);
    log.write_entries(&leaves);
    assert_found(log.verify(), What::Missing, Some(300));
}

#[test]
fn a_record_put_in() {
    for at in [0, 255, 256, 1000, 1690] {
        let mut leaves = leaves();
        let log = Log::of(&leaves);
        let new = altered(&leaves[at]);
        leaves.insert(at, new);
        leaves.truncate(SIZE);
        log.write_entries(&leaves);
        assert_found(log.verify(), What::Inserted, Some(at as u64));
        // A copy of a later one.
        leaves[at] = leaves[(at + 5).min(SIZE - 1)].clone();
        log.write_entries(&leaves);
        assert_found(log.verify(), What::Inserted, Some(at as u64));
        // And the hashes made anew: its number is there twice, or out of order.
        log.write_tiles(&leaves);
        let found = finding(log.verify());
        assert!(matches!(found.what, What::Inserted | What::Reordered | What::Missing), "{found}");
    }
    // At the end of a bundle.
    let mut leaves = leaves();
    let log = Log::of(&leaves);
    leaves.insert(512, altered(&leaves[500]));
    log.write("tile/entries/001", gzip(&packed(&leaves[256..513])));
    let found = finding(log.verify());
    assert!(matches!(found.what, What::Unreadable | What::Inserted), "{found}");
}

#[test]
fn the_end_cut_off() {
    let leaves = leaves();
    // Entries alone; in the middle of a bundle; at the border of one.
    for keep in [0, 1, 1000, 1024, 1536, 1690] {
        let log = Log::of(&leaves);
        remove_all_entries(&log);
        log.write_entries(&leaves[..keep]);
        if keep == 1690 {
            log.write("tile/entries/006.p/164", gzip(&packed(&leaves[1536..keep])));
        }
        let found = finding(log.verify());
        assert_eq!(found.what, What::CutOff, "{keep}: {found}");
        assert_eq!(found.place.leaf, Some(if keep == 1690 { 1690 } else { keep as u64 / 256 * 256 }));
        // With the hashes: all that is left is a checkpoint for more.
        fs::remove_dir_all(log.path("tile")).unwrap();
        log.write_entries(&leaves[..keep]);
        log.write_tiles(&leaves[..keep]);
        let found = assert_found(log.verify(), What::CutOff, Some(keep as u64));
        assert!(found.to_string().contains("1700 records"), "{found}");
    }
}

#[test]
fn the_end_cut_off_and_a_record_changed_before() {
    let mut leaves = leaves();
    let log = Log::of(&leaves);
    log.write("heads/2026-11-01", Key::of_log().checkpoint(&leaves[..1400]));
    log.remove("tile/entries/006.p/164");
    log.remove("tile/0/006.p/164");
    assert_found(log.verify(), What::CutOff, Some(1536));
    // What an earlier tree head vouches for is judged by that one.
    leaves[1300] = altered(&leaves[1300]);
    log.write_bundle(5, &leaves[1280..1536]);
    assert_found(log.verify(), What::Changed, Some(1300));
}

#[test]
fn a_bundle_in_the_middle_is_gone() {
    let log = Log::of(&leaves());
    log.remove("tile/entries/002");
    log.remove("tile/entries/003");
    let found = assert_found(log.verify(), What::Missing, Some(512));
    assert_eq!(found.place.before_leaf, Some(1024));
}

#[test]
fn rolled_back_to_an_older_folder() {
    let leaves = leaves();
    let log = Log::of(&leaves[..1200]);
    log.verify().unwrap();
    let kept = [log.keep("1100", &leaves[..1100]), log.keep("1500", &leaves[..1500])];
    assert_eq!(log.verify_against(&kept[..1]).unwrap().kept.len(), 1);
    let found = assert_found(log.verify_against(&kept), What::CutOff, Some(1200));
    assert!(found.place.file.as_deref().is_some_and(|file| file.ends_with("kept-1500")));
    // The folder itself still has a newer daily tree head.
    log.write("heads/2026-11-03", Key::of_log().checkpoint(&leaves));
    assert_found(log.verify(), What::CutOff, Some(1200));
}

#[test]
fn forked() {
    let old = leaves();
    let mut new = old[..1000].to_vec();
    new.extend(history(9, SIZE).into_iter().map(|leaf| altered(&leaf)).skip(1000));
    let new = renumbered(&new);
    let log = Log::of(&new);
    log.verify().unwrap();
    let kept = [log.keep("600", &old[..600]), log.keep("1300", &old[..1300]), log.keep("1500", &old[..1500])];
    let found = assert_found(log.verify_against(&kept), What::Forked, Some(600));
    assert_eq!(found.place.before_leaf, Some(1300));
    // Two tree heads of the same size.
    let same_size = [log.keep("1700", &old)];
    assert_found(log.verify_against(&same_size), What::Forked, None);
    // By the folder's own daily tree head.
    log.write("heads/2026-11-01", Key::of_log().checkpoint(&old[..900]));
    log.write("heads/2026-11-02", Key::of_log().checkpoint(&old[..1300]));
    assert_found(log.verify(), What::Forked, Some(900));
}

/// The same leaves as plain records with numbers in order.
fn renumbered(leaves: &[Leaf]) -> Vec<Leaf> {
    let end = leaves.iter().zip(leaves_of_one_boot(leaves.len()));
    end.enumerate().map(|(at, (leaf, plain))| if at < 1000 { leaf.clone() } else { plain }).collect()
}

fn leaves_of_one_boot(count: usize) -> Vec<Leaf> {
    let mut gate = Gate::new(77);
    gate.boot = 1000;
    (0..1000.min(count)).for_each(|_| gate.leaves.push(Vec::new()));
    (gate.leaves.len()..count).for_each(|_| gate.heartbeat());
    gate.leaves
}

#[test]
fn rewritten_with_the_same_key() {
    let old = leaves();
    let log = Log::of(&history(3, SIZE));
    // Nobody can tell by the log alone.
    log.verify().unwrap();
    let kept = [log.keep("500", &old[..500]), log.keep("1500", &old[..1500])];
    let found = assert_found(log.verify_against(&kept), What::Rewritten, Some(0));
    assert_eq!(found.place.before_leaf, Some(500));
    assert!(found.place.file.as_deref().is_some_and(|file| file.ends_with("kept-500")));
    // One record, everything from there on hashed and signed anew.
    let mut new = old.clone();
    new[700] = altered(&new[700]);
    let log = Log::of(&new);
    log.verify().unwrap();
    let kept = [log.keep("1500", &old[..1500])];
    assert_found(log.verify_against(&kept), What::Rewritten, Some(0));
    let kept = [log.keep("1500", &old[..1500]), log.keep("600", &old[..600])];
    assert_found(log.verify_against(&kept), What::Forked, Some(600));
}

#[test]
fn signed_with_another_key() {
    let leaves = leaves();
    let log = Log::of(&leaves);
    log.write("checkpoint", Key::new("another").checkpoint(&leaves));
    let found = assert_found(log.verify(), What::BadSignature, None);
    assert!(found.to_string().contains("signed by"), "{found}");
    // Or a kept checkpoint.
    let log = Log::of(&leaves);
    log.write("kept", Key::new("another").checkpoint(&leaves[..10]));
    assert_found(log.verify_against(&[log.path("kept")]), What::BadSignature, None);
    // The size changed after signing.
    let checkpoint = Key::of_log().checkpoint(&leaves);
    log.write("checkpoint", checkpoint.replace("\n1700\n", "\n1701\n"));
    assert_found(log.verify(), What::BadSignature, None);
    // A signature of the right key that does not verify counts, whatever else stands there.
    let other = Key::of_log().checkpoint(&leaves[..5]);
    let signature = other.lines().last().unwrap();
    log.write("checkpoint", format!("{checkpoint}{signature}\n"));
    assert_found(log.verify(), What::BadSignature, None);
    // A key that nobody asked about doesn't.
    let stranger = Key::new("another").checkpoint(&leaves);
    log.write("checkpoint", format!("{checkpoint}{}\n", stranger.lines().last().unwrap()));
    log.verify().unwrap();
    // A daily tree head whose signature is wrong.
    log.write("heads/2026-11-01", Key::of_log().checkpoint(&leaves[..900]).replace("\n900\n", "\n901\n"));
    assert_found(log.verify(), What::BadSignature, None);
}

/// Logs whose writer was dishonest, or whose key was stolen: all hashes and signatures are right.
#[test]
fn sealed_wrongly() {
    const TOLD: &str = ",\"outcome\":{\"at\":1,\"end\":\"ok\"}";
    let of = |write: &dyn Fn(&mut Gate)| {
        let mut gate = Gate::new(5);
        (0..300).for_each(|_| gate.heartbeat());
        write(&mut gate);
        (0..300).for_each(|_| gate.heartbeat());
        Log::of(&gate.leaves).verify()
    };
    of(&|_| {}).unwrap();
    let gap = assert_found(of(&|gate| gate.seq += 2), What::SequenceGap, Some(300));
    assert_eq!(gap.place.record.map(|record| (record.boot, record.seq)), Some((1, 301)));
    // The farthest number that an outcome may have.
    of(&|gate| {
        gate.leaf(301, Some(301 + audit_verify::leaf::OUTCOME_REACH), "request", TOLD);
        gate.boot = 2;
        gate.leaf(1, None, "recovery", ",\"of_boot\":1,\"lost\":[[302,262444]]");
        gate.seq = 2;
    })
    .unwrap();
    // A record with the number of an outcome; an outcome's number twice; one that leaves a gap.
    let owes = |outcome: u64, next: u64| {
        move |gate: &mut Gate| {
            gate.leaf(301, Some(outcome), "request", TOLD);
            gate.seq = next;
        }
    };
    of(&owes(302, 303)).unwrap();
    assert_found(of(&owes(303, 302)), What::Inserted, Some(302));
    assert_found(of(&owes(303, 304)), What::SequenceGap, Some(301));
    assert_found(
        of(&|gate| {
            gate.leaf(301, Some(303), "request", TOLD);
            gate.leaf(302, Some(303), "request", TOLD);
            gate.seq = 304;
        }),
        What::Inserted,
        Some(302),
    );
    assert_found(of(&|gate| gate.seq -= 1), What::Inserted, Some(300));
    assert_found(of(&|gate| gate.seq -= 100), What::Reordered, Some(300));
    assert_found(of(&|gate| gate.leaf(301, None, "outcome", ",\"of\":[1,7]")), What::NotInForm, Some(300));
    assert_found(
        of(&|gate| {
            gate.leaf(301, None, "request", "");
            gate.leaf(302, None, "outcome", ",\"of\":[1,301]");
            gate.leaf(303, None, "outcome", ",\"of\":[1,301]");
        }),
        What::NotInForm,
        Some(302),
    );
    // A new boot whose first records are gone.
    assert_found(
        of(&|gate| {
            gate.boot = 2;
            gate.seq = 3;
        }),
        What::SequenceGap,
        Some(300),
    );
    // A recovery that explains a part only, or the gap of another boot.
    let recovery = |ranges: &'static str| {
        move |gate: &mut Gate| {
            gate.seq += 4;
            gate.heartbeat();
            gate.boot = 3;
            gate.leaf(1, None, "recovery", ranges);
            gate.seq = 2;
        }
    };
    of(&recovery(",\"of_boot\":1,\"lost\":[[301,302]],\"unconfirmed\":[[303,304],[900,950]]")).unwrap();
    let part =
        assert_found(of(&recovery(",\"of_boot\":1,\"lost\":[[301,301],[303,304]]")), What::SequenceGap, Some(300));
    assert_eq!(part.place.record.map(|record| record.seq), Some(302));
    assert_found(of(&recovery(",\"of_boot\":2,\"lost\":[[301,304]]")), What::SequenceGap, Some(300));
    // It may name what is there: the journal's frame of an outcome may be damaged after it was sealed with its request.
    of(&recovery(",\"of_boot\":1,\"lost\":[[300,304],[303,305]]")).unwrap();
}

/// A request may be lost whose outcome is not, be it that its frame was damaged or that the batch was torn.
#[test]
fn the_outcome_of_a_lost_request() {
    let of = |claims: &'static [u64], ranges: &'static str, after: &'static [u64]| {
        let mut gate = Gate::new(5);
        (0..300).for_each(|_| gate.heartbeat());
        gate.seq += 4;
        let outcome = |gate: &mut Gate, of: u64| {
            let seq = gate.take();
            gate.leaf(seq, None, "outcome", &format!(",\"of\":[1,{of}],\"end\":\"ok\""));
        };
        claims.iter().for_each(|of| outcome(&mut gate, *of));
        gate.boot = 2;
        gate.seq = 2;
        gate.leaf(1, None, "recovery", &format!(",\"of_boot\":1{ranges}"));
        after.iter().for_each(|of| outcome(&mut gate, *of));
        (0..300).for_each(|_| gate.heartbeat());
        Log::of(&gate.leaves).verify()
    };
    let lost = ",\"lost\":[[301,303]],\"unconfirmed\":[[304,304]]";
    for claims in [&[301][..], &[304], &[303, 301, 304, 302]] {
        assert_eq!(of(claims, lost, &[]).unwrap().tally.unjudged, 0);
    }
    // Once, and before the leaf that accounts for it; nor is it the outcome of what was there.
    assert_found(of(&[302, 302], lost, &[]), What::NotInForm, Some(301));
    assert_found(of(&[], lost, &[302]), What::NotInForm, Some(301));
    assert_found(of(&[300], lost, &[]), What::NotInForm, Some(300));
    assert_found(of(&[306], lost, &[]), What::NotInForm, Some(300));
    // Nothing accounts for its number: then that is what is wrong.
    let gap = assert_found(of(&[303], ",\"lost\":[[301,302],[304,304]]", &[]), What::SequenceGap, Some(300));
    assert_eq!(gap.place.record.map(|record| record.seq), Some(303));
}

/// It may have been a request.
#[test]
fn the_outcome_of_an_unreadable_record() {
    let mut gate = Gate::new(5);
    (0..300).for_each(|_| gate.heartbeat());
    gate.leaf(301, None, "unreadable", ",\"sha256\":\"00\"");
    gate.leaf(302, None, "outcome", ",\"of\":[1,301],\"end\":\"ok\"");
    Log::of(&gate.leaves).verify().unwrap();
    gate.leaf(303, None, "outcome", ",\"of\":[1,301],\"end\":\"ok\"");
    assert_found(Log::of(&gate.leaves).verify(), What::NotInForm, Some(302));
}

/// Of a boot that is seen in part, numbers may be missing that are those of outcomes of unseen requests: so far, and no farther.
#[test]
fn a_gap_in_a_boot_that_is_seen_in_part() {
    let reach = audit_verify::leaf::OUTCOME_REACH;
    // The folder or the range begins at leaf 256, which is record 257.
    let first = 257;
    let write = |skips: &[(u64, u64)], recovery: &str, folder: bool| {
        let mut gate = Gate::new(5);
        (0..300).for_each(|_| gate.heartbeat());
        for (at, count) in skips {
            gate.seq = *at;
            gate.heartbeat();
            gate.seq += count;
            gate.heartbeat();
        }
        if !recovery.is_empty() {
            gate.boot = 2;
            gate.leaf(1, None, "recovery", &format!(",\"of_boot\":1,{recovery}"));
            gate.seq = 2;
        }
        if folder {
            retention(&mut gate, 256);
        }
        (0..300).for_each(|_| gate.heartbeat());
        gate.leaves
    };
    let of = |skips: &[(u64, u64)], recovery: &str| {
        let leaves = write(skips, recovery, true);
        let log = Log::of(&leaves);
        log.remove("tile/entries/000");
        log.remove("tile/0/000");
        log.write("minimum-index", "256");
        let pruned = log.verify();
        let leaves = write(skips, recovery, false);
        let range = Some(256..leaves.len() as u64);
        let range = verify(&LogOptions { range, ..Log::of(&leaves).options() });
        [pruned, range]
    };
    // Not one, but as many as there are.
    for report in of(&[(301, 7), (400, 3)], "") {
        assert_eq!(report.unwrap().tally.unjudged, 7 + 90 + 3);
    }
    // The last that may be an outcome, and the first that can't be.
    let near = first + reach - 1;
    for report in of(&[(near - 1, 1)], "") {
        assert_eq!(report.unwrap().tally.unjudged, near - 1 - 301 + 1);
    }
    for report in of(&[(near, 1)], "") {
        let found = assert_found(report, What::SequenceGap, Some(301));
        assert_eq!(found.place.record.map(|record| record.seq), Some(near + 1));
    }
    // A later leaf may account for it.
    let lost = format!("\"lost\":[[{0},{0}]]", near + 1);
    for report in of(&[(near, 1)], &lost) {
        report.unwrap();
    }
}

/// What begins with the first record of a boot holds all of that boot.
#[test]
fn a_gap_in_the_boot_with_which_a_range_begins() {
    let mut gate = Gate::new(5);
    (0..256).for_each(|_| gate.heartbeat());
    (gate.boot, gate.seq) = (2, 1);
    (0..10).for_each(|_| gate.heartbeat());
    gate.seq += 1;
    (0..10).for_each(|_| gate.heartbeat());
    let log = Log::of(&gate.leaves);
    let of = |from: u64| verify(&LogOptions { range: Some(from..276), ..log.options() });
    assert_found(of(256), What::SequenceGap, Some(266));
    assert_eq!(of(257).unwrap().tally.unjudged, 1);
}

/// Of a request that is missing from what was seen, the outcome may come: it is not judged.
#[test]
fn the_outcome_of_a_lost_request_in_a_range() {
    let mut gate = Gate::new(5);
    (0..300).for_each(|_| gate.heartbeat());
    gate.leaf(302, None, "outcome", ",\"of\":[1,301],\"end\":\"ok\"");
    gate.boot = 2;
    gate.leaf(1, None, "recovery", ",\"of_boot\":1,\"lost\":[[301,301]]");
    let log = Log::of(&gate.leaves);
    log.verify().unwrap();
    let range = LogOptions { range: Some(100..302), ..log.options() };
    // The number, and the outcome.
    assert_eq!(verify(&range).unwrap().tally.unjudged, 2);
}

#[test]
fn a_leaf_not_in_form() {
    for bad in [
        "{\"v\":1}\n",
        "{\"v\":0,\"boot\":1}\n",
        "{\"v\":1,\"boot\":1,\"seq\":301,\"kind\":\"heartbeat\",\"at\":1,\"salt\":\"0011\"}\n",
        "{\"v\":1, \"boot\":1,\"seq\":301,\"kind\":\"heartbeat\",\"at\":1,\"salt\":\"0011223344556677\"}\n",
        "{\"v\":1,\"boot\":01,\"seq\":301,\"kind\":\"heartbeat\",\"at\":1,\"salt\":\"0011223344556677\"}\n",
        "{\"v\":1,\"boot\":1,\"seq\":301,\"outcome_seq\":301,\"kind\":\"request\",\"at\":1,\"salt\":\"0011223344556677\"}\n",
        "{\"v\":1,\"boot\":1,\"seq\":301,\"outcome_seq\":262446,\"kind\":\"request\",\"at\":1,\"salt\":\"0011223344556677\"}\n",
        "{\"v\":1,\"boot\":1,\"seq\":301,\"kind\":\"heartbeat\",\"at\":1,\"salt\":\"0011223344556677\"}",
        "{\"v\":1,\"boot\":1,\"seq\":301,\"kind\":\"heartbeat\",\"at\":1,\n\"salt\":\"0011223344556677\"}\n",
        "{\"v\":1,\"boot\":1,\"seq\":301,\"kind\":\"recovery\",\"at\":1,\"salt\":\"0011223344556677\"}\n",
        "{\"v\":1,\"boot\":1,\"seq\":301,\"kind\":\"recovery\",\"at\":1,\"salt\":\"0011223344556677\",\"of_boot\":1,\"of_boot\":1}\n",
        "",
    ] {
        let mut leaves = heartbeats(5, 600);
        leaves[300] = bad.as_bytes().to_vec();
        assert_found(Log::of(&leaves).verify(), What::NotInForm, Some(300));
    }
}

/// Otherwise its number would be accounted for, and its record be nowhere.
#[test]
fn an_outcome_that_is_not_there() {
    let (told, outcome) = (",\"outcome\":{\"at\":1,\"end\":\"ok\"}", ",\"outcome\":");
    let of = |kind: &str, fields: &str| {
        let mut gate = Gate::new(5);
        gate.leaf(1, Some(2), kind, fields);
        gate.leaf(3, None, "heartbeat", "");
        let log = Log::of(&gate.leaves);
        [false, true].map(|strict| verify(&LogOptions { strict, ..log.options() }))
    };
    let _ = of("request", told).map(Result::unwrap);
    let _ =
        of("request", &format!(",\"path\":\"\\\",\\\"outcome\\\":{{\\\"at\\\":\"{told},\"new\":1")).map(Result::unwrap);
    // What can't be read may have had one.
    let _ = of("unreadable", "").map(Result::unwrap);
    let unknown = format!("{outcome}{{\"at\":1,\"end\":\"outcome-unknown\"}}");
    let in_text = format!(",\"path\":\"{}\"", told.replace('"', "\\\""));
    for (kind, fields) in [
        ("request", ""),
        ("request", &format!("{outcome}{{}}")),
        ("request", &format!("{outcome}\"gone\"")),
        ("request", &format!("{outcome}null")),
        ("request", &format!("{outcome}{{\"end\":\"ok\"}}")),
        ("request", &unknown),
        ("request", &in_text),
        ("heartbeat", ""),
        ("heartbeat", told),
        ("outcome", ",\"of\":[1,1]"),
    ] {
        for answer in of(kind, fields) {
            assert_found(answer, What::NotInForm, Some(0));
        }
    }
    // Within something else. Only who looks at all of the form sees that.
    let [_, strict] = of("request", &format!(",\"new\":{{\"a\":1{told}}}"));
    assert_found(strict, What::NotInForm, Some(0));
}

#[test]
fn an_outcome_that_two_requests_have() {
    let fields = ",\"outcome\":{\"at\":1,\"end\":\"ok\"}";
    let mut gate = Gate::new(5);
    gate.leaf(1, Some(3), "request", fields);
    gate.leaf(2, Some(3), "request", fields);
    // At the end of the log, of a boot, and before another record.
    assert_found(Log::of(&gate.leaves).verify(), What::Inserted, None);
    gate.boot = 2;
    gate.leaf(1, None, "heartbeat", "");
    assert_found(Log::of(&gate.leaves).verify(), What::Inserted, Some(2));
    gate.leaves.pop();
    gate.boot = 1;
    gate.leaf(4, None, "heartbeat", "");
    assert_found(Log::of(&gate.leaves).verify(), What::Inserted, Some(2));
}

/// Recoveries of so many ranges that bundles with them are read once more in their turn.
#[test]
fn many_ranges() {
    let ranges =
        |from: u64, to: u64| (from..to).map(|n| format!("[{},{}]", 2 * n, 2 * n)).collect::<Vec<_>>().join(",");
    let log = |last: u64| {
        let mut gate = Gate::new(5);
        (0..2_000).for_each(|n| gate.leaf(2 * n + 1, None, "heartbeat", ""));
        gate.boot = 2;
        gate.seq = 1;
        for from in (1..2_000).step_by(500) {
            let seq = gate.take();
            let lost = ranges(from, (from + 500).min(last));
            gate.leaf(seq, None, "recovery", &format!(",\"of_boot\":1,\"lost\":[{lost}]"));
        }
        (0..600).for_each(|_| gate.heartbeat());
        Log::of(&gate.leaves)
    };
    for jobs in [1, 2] {
        let report = verify(&LogOptions { jobs, ..log(2_000).options() }).unwrap();
        assert_eq!(report.tally.declared_lost, 1_999);
        assert_found(verify(&LogOptions { jobs, ..log(1_999).options() }), What::SequenceGap, Some(1_999));
    }
}

/// What somebody claims is not gone through, only what is there.
#[test]
fn a_log_of_immense_size() {
    let root = STANDARD.encode([7; 32]);
    for size in [1 << 40, 1 << 62, i64::MAX as u64] {
        let log = Log::of(&heartbeats(5, 600));
        log.write("checkpoint", Key::of_log().sign(&format!("{}\n{size}\n{root}\n", support::ORIGIN)));
        assert_found(log.verify(), What::CutOff, Some(600));
        assert_found(verify(&LogOptions { range: Some(0..5), ..log.options() }), What::CutOff, Some(600));
    }
    let log = Log::of(&heartbeats(5, 600));
    log.write("checkpoint", Key::of_log().sign(&format!("{}\n{}\n{root}\n", support::ORIGIN, 1_u64 << 63)));
    assert_found(log.verify(), What::Unreadable, None);
}

/// Who reads a log by hand does not know which of two files counts.
#[test]
fn another_file_beside_the_one_that_counts() {
    let leaves = heartbeats(5, 700);
    let other = heartbeats(6, 300);
    for (file, good, bad, leaf) in [
        ("tile/entries/001.p/7", &leaves[256..263], &other[..7], 256),
        ("tile/entries/002.p/3", &leaves[512..515], &other[..3], 512),
        ("tile/entries/002.p/189", &[&leaves[512..], &other[..1]].concat(), &other[..189], 512),
        ("tile/entries/002", &[&leaves[512..], &other[..68]].concat(), &other[..256], 512),
    ] {
        let log = Log::of(&leaves);
        log.write(file, gzip(&packed(good)));
        log.verify().unwrap();
        log.write(file, gzip(&packed(bad)));
        assert_found(log.verify(), What::Changed, Some(leaf));
        // It is being written just now.
        log.write(file, &gzip(&packed(good))[..20]);
        log.verify().unwrap();
    }
}

/// Sealed so that two programs show two records: found when all of each leaf is checked.
#[test]
fn a_leaf_with_two_meanings() {
    let mut leaves = heartbeats(5, 600);
    let end = leaves[300].len() - 2;
    leaves[300].splice(end.., *b",\"person\":\"p1\",\"person\":\"p2\"}\n");
    let log = Log::of(&leaves);
    let state = log.path("state");
    let of = |strict: bool, range: Option<std::ops::Range<u64>>, resume: Option<std::path::PathBuf>| {
        verify(&LogOptions { strict, range, resume, jobs: 2, ..log.options() })
    };
    assert!(!of(false, None, None).unwrap().strict);
    assert_found(of(true, None, None), What::NotInForm, Some(300));
    assert!(of(true, Some(512..600), None).unwrap().strict);
    // A run that did not look is no beginning for one that has to.
    of(false, None, Some(state.clone())).unwrap();
    assert!(matches!(of(true, None, Some(state.clone())), Err(Failure::CouldNotRun(Error::State { .. }))));

    let log = Log::of(&heartbeats(5, 600));
    let of = |strict: bool| verify(&LogOptions { strict, resume: Some(log.path("state")), ..log.options() });
    of(true).unwrap();
    of(true).unwrap();
    of(false).unwrap();
    assert!(matches!(of(true), Err(Failure::CouldNotRun(Error::State { .. }))));
}

/// What is taken from a log is made to be shown: there all of each leaf is always checked.
#[test]
fn a_leaf_with_two_meanings_in_what_is_taken() {
    let mut leaves = heartbeats(5, 1);
    let of = |leaves: &[Leaf]| {
        let folder = tempfile::tempdir().unwrap();
        let (bundle, proof) = (folder.path().join("bundle"), folder.path().join("proof"));
        let (leaf, head) = (&leaves[0], Key::of_log().checkpoint(leaves));
        let text = String::from_utf8(leaf.clone()).unwrap();
        fs::write(&bundle, format!("sekisho-export/v1\nabout {{}}\nleaf 0 {text}\n{head}")).unwrap();
        let extra = STANDARD.encode(leaf);
        fs::write(&proof, format!("c2sp.org/tlog-proof@v1\nextra {extra}\nindex 0\n\n{head}")).unwrap();
        let keys = Key::of_log().keys();
        (verify_export(&bundle, &keys, &[]), verify_proof(&proof, &keys, &[]))
    };
    let (bundle, proof) = of(&leaves);
    assert_eq!((bundle.unwrap().leaves, proof.unwrap().index), (1, 0));
    let end = leaves[0].len() - 2;
    leaves[0].splice(end.., *b",\"person\":\"p1\",\"person\":\"p2\"}\n");
    let (bundle, proof) = of(&leaves);
    assert_found(bundle, What::NotInForm, Some(0));
    assert_found(proof, What::NotInForm, Some(0));
    // Of a later version, nothing is known of the form.
    leaves[0] = b"{\"v\":2,\"a\":1,\"a\":2}\n".to_vec();
    let (bundle, proof) = of(&leaves);
    assert_later_version(bundle, 0);
    assert_later_version(proof, 0);
}

fn assert_later_version<T: std::fmt::Debug>(answer: Result<T, Failure>, leaf: u64) {
    let answer = answer.unwrap_err();
    assert!(
        matches!(answer, Failure::CouldNotRun(Error::LaterVersion { count: 1, first }) if first == leaf),
        "{answer:?}"
    );
}

#[test]
fn a_leaf_of_a_later_version_is_hashed_and_no_more() {
    let mut leaves = heartbeats(5, 600);
    leaves[300] = b"{\"v\":2,\"something\":\"new\"}\n".to_vec();
    let log = Log::of(&leaves);
    let of = |range| verify(&LogOptions { range, resume: None, ..log.options() });
    assert_later_version(of(None), 300);
    assert_later_version(of(Some(290..310)), 300);
    of(Some(0..300)).unwrap();
    // The program that knows it has to look at it: nothing is kept that would pass it over.
    let state = log.path("state");
    assert_later_version(verify(&LogOptions { resume: Some(state.clone()), ..log.options() }), 300);
    assert!(!state.exists());
    leaves[300] = b"{\"v\":2,\"something\":\"old\"}\n".to_vec();
    log.write_entries(&leaves);
    assert_found(log.verify(), What::Changed, Some(300));
}

fn retention(gate: &mut Gate, dropped_to: usize) {
    let root = audit_verify::hash::Hash(support::mth(&support::leaf_hashes(&gate.leaves[..dropped_to])));
    let seq = gate.take();
    gate.leaf(seq, None, "retention", &format!(",\"before\":1,\"dropped_to\":{dropped_to},\"root\":\"{root}\""));
}

fn dropped(record: bool) -> (Log, Vec<Leaf>) {
    let mut gate = Gate::new(8);
    (0..1000).for_each(|_| gate.any());
    if record {
        retention(&mut gate, 512);
    }
    (0..300).for_each(|_| gate.any());
    let log = Log::of(&gate.leaves);
    for file in ["tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001"] {
        log.remove(file);
    }
    log.write("minimum-index", "512\n");
    (log, gate.leaves)
}

#[test]
fn dropped_with_and_without_a_record() {
    let (log, leaves) = dropped(true);
    let report = log.verify().unwrap();
    assert_eq!((report.from, report.dropped, report.whole), (512, 512, true));
    // Tree heads from before stay good where the hashes are there.
    let kept = [log.keep("512", &leaves[..512]), log.keep("700", &leaves[..700]), log.keep("300", &leaves[..300])];
    let report = log.verify_against(&kept[..2]).unwrap();
    assert_eq!(report.kept.iter().map(|kept| kept.size).collect::<Vec<_>>(), [512, 700]);
    // Where not, there is no answer: whoever has the key may have made it so.
    assert_not_compared(log.verify_against(&kept), &[300]);
    // Without the file, what is missing is missing.
    log.remove("minimum-index");
    assert_found(log.verify(), What::Missing, Some(0));
    let (log, _) = dropped(false);
    assert_found(log.verify(), What::DroppedWithoutRecord, None);
    // More than was recorded.
    let (log, _) = dropped(true);
    log.remove("tile/entries/002");
    log.write("minimum-index", "768\n");
    assert_found(log.verify(), What::DroppedWithoutRecord, None);
    for nonsense in ["", "12", "x", "00", "-1", "999999999999999999999999", "1280000"] {
        log.write("minimum-index", nonsense);
        assert_found(log.verify(), What::Unreadable, None);
    }
    // A record that nobody could check afterwards.
    let mut gate = Gate::new(8);
    (0..1000).for_each(|_| gate.any());
    retention(&mut gate, 300);
    assert_found(Log::of(&gate.leaves).verify(), What::NotInForm, Some(gate.leaves.len() as u64 - 1));
    // A record that gives another root.
    let mut gate = Gate::new(8);
    (0..600).for_each(|_| gate.heartbeat());
    gate.leaf(
        601,
        None,
        "retention",
        &format!(",\"before\":1,\"dropped_to\":256,\"root\":\"{}\"", "A".repeat(43) + "="),
    );
    assert_found(Log::of(&gate.leaves).verify(), What::NotInForm, Some(600));
}

/// Who has the key writes the log anew, and a record that says that just those hashes were dropped by which it would show.
#[test]
fn rewritten_so_that_nothing_can_be_compared() {
    let (log, _) = dropped(true);
    let kept = [log.keep("300", &history(3, 300))];
    log.verify().unwrap();
    assert_not_compared(log.verify_against(&kept), &[300]);
    // A checkpoint that contradicts the log is the answer all the same, and so is a changed record.
    let contradicted = [kept[0].clone(), log.keep("700", &history(3, 700))];
    assert_found(log.verify_against(&contradicted), What::Rewritten, Some(0));
    log.flip("tile/entries/003", 50);
    assert_eq!(finding(log.verify_against(&kept)).place.leaf.map(|leaf| leaf / 256), Some(3));
}

#[test]
fn no_log_at_all() {
    let log = Log::of(&leaves());
    log.remove("checkpoint");
    assert_found(log.verify(), What::Unreadable, None);
    for nonsense in ["", "\n\n", "hello", "a\n1\nb\n\n— c d\n"] {
        log.write("checkpoint", nonsense);
        assert_found(log.verify(), What::Unreadable, None);
    }
    let nowhere = LogOptions { folder: log.path("nowhere"), ..log.options() };
    assert!(matches!(verify(&nowhere), Err(Failure::CouldNotRun(_))));
    let no_key = LogOptions { keys: audit_verify::Keys::default(), ..log.options() };
    assert!(matches!(verify(&no_key), Err(Failure::CouldNotRun(_))));
}

/// Files that would take memory, or lead elsewhere, or never end.
#[test]
fn files_made_to_hurt() {
    let leaves = leaves();
    let log = Log::of(&leaves);
    let file = "tile/entries/002";
    let good = fs::read(log.path(file)).unwrap();
    let unreadable = |bytes: &[u8]| {
        log.write(file, bytes);
        let found = finding(log.verify());
        assert!(matches!(found.what, What::Unreadable | What::Changed | What::Missing), "{found}");
        assert_eq!(found.place.leaf.unwrap_or(512), 512, "{found}");
    };
    // A bomb, one of many members, and nothing.
    unreadable(&gzip(&vec![0; 100 << 20]));
    unreadable(&gzip(&[]).repeat(100_000));
    unreadable(&[]);
    unreadable(&good[..good.len() / 50]);
    // Two members are as good as one (RFC 1952, section 2.2).
    let whole = packed(&leaves[512..768]);
    log.write(file, [gzip(&whole[..1000]), gzip(&whole[1000..])].concat());
    log.verify().unwrap();
    // What follows the leaves, and what is no length.
    log.write(file, gzip(&[&whole[..], &[0]].concat()));
    assert_eq!(finding(log.verify()).what, What::Unreadable);
    #[cfg(unix)]
    {
        log.remove(file);
        std::os::unix::fs::symlink("/etc/passwd", log.path(file)).unwrap();
        let found = finding(log.verify());
        assert!(found.to_string().contains("not a plain file"), "{found}");
    }
    // A folder where a file should be.
    log.remove(file);
    fs::create_dir(log.path(file)).unwrap();
    assert_eq!(finding(log.verify()).place.leaf, Some(512));
    // Names in heads/ that are no dates are not looked at.
    let log = Log::of(&leaves);
    log.write("heads/..passwd", "x");
    log.write("heads/2026-11-1x", "x");
    log.verify().unwrap();
    log.write("heads/2026-11-11", "x");
    assert_found(log.verify(), What::Unreadable, None);
}

#[test]
fn a_range() {
    let mut gate = Gate::new(6);
    (0..1500).for_each(|_| gate.any());
    let mut leaves = gate.leaves;
    let log = Log::of(&leaves);
    let size = leaves.len() as u64;
    let of = |range: std::ops::Range<u64>| verify(&LogOptions { range: Some(range), ..log.options() });
    for range in [0..1, 255..257, 300..900, size - 1..size, 0..size] {
        let report = of(range.clone()).unwrap();
        assert_eq!((report.from, report.to, report.tally.leaves), (range.start, range.end, range.end - range.start));
        assert_eq!(report.whole, range == (0..size));
    }
    for range in [5..5, size..size + 1, 0..size + 1, u64::MAX - 1..u64::MAX] {
        assert!(matches!(of(range), Err(Failure::CouldNotRun(_))));
    }
    leaves[700] = altered(&leaves[700]);
    log.write_entries(&leaves);
    of(0..512).unwrap();
    of(768..size).unwrap();
    assert_found(of(600..1000), What::Changed, Some(700));
}

#[test]
fn resumed() {
    let leaves = leaves();
    let log = Log::of(&leaves[..1000]);
    let state = log.path("state");
    let options = LogOptions { resume: Some(state.clone()), ..log.options() };
    assert_eq!(verify(&options).unwrap().resumed_at, None);
    // Grown: what was verified is not read again, and the rules go on where they were.
    log.write_entries(&leaves);
    log.write_tiles(&leaves);
    log.write("checkpoint", Key::of_log().checkpoint(&leaves));
    let first_state = fs::read(&state).unwrap();
    log.flip("tile/entries/001", 100);
    let report = verify(&options).unwrap();
    assert_eq!((report.resumed_at, report.tally.leaves), (Some(1000), 1700));
    assert_eq!(finding(log.verify()).place.leaf.map(|leaf| leaf / 256), Some(1));
    // What is new is judged as if nothing had been left out.
    fs::write(&state, &first_state).unwrap();
    let mut changed = leaves.clone();
    changed[1200] = altered(&changed[1200]);
    log.write_entries(&changed);
    assert_found(verify(&options), What::Changed, Some(1200));
    assert_eq!(fs::read(&state).unwrap(), first_state, "a run that found something leaves the state alone");
    // Another log, a shorter one, a damaged state.
    let other = Log::of(&history(4, 1700));
    assert_found(verify(&LogOptions { resume: Some(state.clone()), ..other.options() }), What::Rewritten, Some(0));
    let shorter = Log::of(&leaves[..900]);
    assert_found(verify(&LogOptions { resume: Some(state.clone()), ..shorter.options() }), What::CutOff, Some(900));
    log.flip("state", 300);
    assert!(matches!(verify(&options), Err(Failure::CouldNotRun(_))));
    let range = LogOptions { range: Some(0..10), ..options };
    assert!(matches!(verify(&range), Err(Failure::CouldNotRun(_))));
}

/// A log may begin in the middle of things (rule 5): what came before is not judged, and that is said.
#[test]
fn begun_late() {
    let of = |request: u64| {
        let mut gate = Gate::new(5);
        gate.boot = 4;
        gate.seq = 100;
        (0..300).for_each(|_| gate.heartbeat());
        let seq = gate.take();
        gate.leaf(seq, None, "outcome", &format!(",\"of\":[4,{request}],\"end\":\"ok\""));
        Log::of(&gate.leaves).verify()
    };
    assert_eq!(of(99).unwrap().tally.unjudged, 1);
    assert_found(of(100), What::NotInForm, Some(300));
}

/// The gap is only there if the state was really taken along.
#[test]
fn resumed_within_a_gap() {
    let mut gate = Gate::new(5);
    (0..300).for_each(|_| gate.heartbeat());
    let log = Log::of(&gate.leaves);
    let options = LogOptions { resume: Some(log.path("state")), ..log.options() };
    verify(&options).unwrap();
    gate.seq += 1;
    (0..300).for_each(|_| gate.heartbeat());
    log.write_entries(&gate.leaves);
    log.write_tiles(&gate.leaves);
    log.write("checkpoint", Key::of_log().checkpoint(&gate.leaves));
    assert_found(verify(&options), What::SequenceGap, Some(300));
}

/// What an earlier run did not see, nobody has seen, whatever `minimum-index` says now.
#[test]
fn resumed_with_less_dropped_than_before() {
    let (log, _) = dropped(true);
    let options = LogOptions { resume: Some(log.path("state")), ..log.options() };
    verify(&options).unwrap();
    let refused = || match verify(&options) {
        Err(Failure::CouldNotRun(error @ Error::State { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    };
    log.write("minimum-index", "256\n");
    assert!(refused().contains("leaves from 256 on"), "{}", refused());
    log.remove("minimum-index");
    assert!(refused().contains("began at leaf 512"), "{}", refused());
    // More dropped than before is well, if a record says so: here none does.
    log.write("minimum-index", "768\n");
    assert_found(verify(&options), What::DroppedWithoutRecord, None);
    log.write("minimum-index", "512\n");
    assert_eq!(verify(&options).unwrap().resumed_at, Some(verify(&log.options()).unwrap().to));
}

#[test]
fn progress_is_told() {
    let log = Log::of(&leaves());
    let last = std::cell::Cell::new((0, 0));
    verify_log(&log.options(), &|done, of| last.set((done, of))).unwrap();
    assert_eq!(last.get(), (1700, 1700));
}

/// What stands in sentences: what, where, what it means, what to do.
#[test]
fn sentences() {
    let mut leaves = leaves();
    let log = Log::of(&leaves);
    leaves.remove(700);
    log.write_entries(&leaves);
    let found: Finding = finding(log.verify());
    assert_eq!(
        found.to_string(),
        "MISSING: at leaf 700, in tile/entries/002. 1 record that were sealed here are not there. Records that were sealed have \
         been taken out. Keep this as it is, get an earlier copy, and compare the two from this record on."
    );
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["what"], "missing");
    assert_eq!(json["where"]["leaf"], 700);
}
