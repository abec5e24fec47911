use std::collections::{BTreeMap, BTreeSet};

use audit::inside;

use crate::source::Source;

pub fn frames(data: &[u8]) {
    // As it is, and with a header before it whose salt the data say, so that frames can be reached at all.
    let mut source = Source::new(data);
    let salt = u32::from(source.byte() % 2) * 0xDEAD_BEEF;
    let mut headed = inside::header(7, 1, salt);
    headed.extend_from_slice(data.get(1..).unwrap_or_default());
    for segment in [data, &headed] {
        let Some(((boot, number, salt), frames)) = inside::read(segment) else { continue };
        let _ = number;
        let mut at = inside::header(0, 0, 0).len();
        for frame in frames {
            assert_eq!(frame.at, at, "a gap between frames");
            at += frame.bytes.len();
            assert!(!frame.payload.is_empty(), "a frame of nothing");
            let written = inside::write(boot, salt, (frame.kind, frame.seq, frame.place), &frame.payload);
            assert_eq!(written.as_deref(), Some(&frame.bytes[..]), "read, but not what is written");
        }
    }
}

/// What is written, and then happens to the files.
pub fn recovery(data: &[u8]) {
    let mut source = Source::new(data);
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    // (file, place) of every numbered frame, and which batch it came in.
    struct Written {
        file: String,
        at: usize,
        length: usize,
        seq: u64,
        payload: Vec<u8>,
    }
    let mut written: Vec<Written> = Vec::new();
    for boot in 1..=1 + u32::try_from(source.below(2)).unwrap() {
        // A boot begins by bringing the one before in order.
        inside::recover(&mut files).unwrap();
        let mut seq = 1u64;
        written.clear();
        for number in 1..=1 + u32::try_from(source.below(3)).unwrap() {
            let salt = 0x1234_5678 ^ number << 8 ^ boot;
            let file = inside::name(boot, number);
            let mut bytes = inside::header(boot, number, salt);
            bytes.extend(inside::write(boot, salt, (128, seq, 0), &1_000i64.to_le_bytes()).unwrap());
            for _ in 0..source.below(6) {
                for place in 0..1 + u32::try_from(source.below(3)).unwrap() {
                    let kind = if source.chance(80) { 2 } else { 1 };
                    let payload = format!("{{\"v\":1,\"kind\":\"x\",\"at\":{},\"n\":{seq}}}", 1_000 + seq).into_bytes();
                    let frame = inside::write(boot, salt, (kind, seq, place), &payload).unwrap();
                    written.push(Written { file: file.clone(), at: bytes.len(), length: frame.len(), seq, payload });
                    bytes.extend(frame);
                    seq += 1;
                }
            }
            if source.chance(120) {
                bytes.extend([0; 200]);
            }
            files.insert(file, bytes);
        }
    }
    let before = files.clone();
    let last_written = before.keys().next_back().map_or(String::new(), |name| name[..7].to_owned());
    // What was brought in order before is not looked at again. Damage to the last boot: bits turned, stretches wiped, ends cut, files gone, something foreign behind.
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for _ in 0..source.below(4) {
        let names: Vec<String> = files.keys().filter(|name| name.starts_with(&last_written)).cloned().collect();
        if names.is_empty() {
            break;
        }
        let name = source.pick(&names);
        let bytes = files.get_mut(&name).unwrap();
        let at = (usize::from(source.byte()) << 8 | usize::from(source.byte())) % bytes.len().max(1);
        match source.below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << source.below(8),
            1 => {
                let end = bytes.len().min(at + source.below(200));
                bytes[at.min(end)..end].fill(0);
            }
            2 => bytes.truncate(at),
            3 => bytes.extend_from_slice(source.take(40)),
            _ => {
                files.remove(&name);
                gone.insert(name);
            }
        }
    }
    let damaged = files.clone();
    let Ok(found) = inside::recover(&mut files) else { return };
    // Only files of the last boot are brought in order; its number follows from what is left.
    let last = format!("{:06}-", found.last_boot);

    let mut left: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut proven = 0;
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(&last) && !name.contains('.')) {
        let Some((_, frames)) = inside::read(bytes) else { panic!("{name} is left without a header") };
        for frame in frames.iter().filter(|frame| frame.kind < 128) {
            proven = proven.max(frame.seq.saturating_sub(u64::from(frame.place)));
            left.insert(frame.seq, frame.payload.clone());
        }
        let end = frames.last().map_or(0, |frame| frame.at + frame.bytes.len());
        assert_eq!(end, bytes.len(), "{name}: something stands behind the last good frame");
    }
    // 1. Nothing is made up.
    let known: BTreeMap<u64, &Vec<u8>> =
        written.iter().filter(|frame| frame.file.starts_with(&last)).map(|frame| (frame.seq, &frame.payload)).collect();
    let is_last = last == last_written;
    if is_last {
        for (seq, payload) in &left {
            assert_eq!(known.get(seq), Some(&payload), "{seq} was never written");
        }
        // 2. What nothing happened to is there.
        for frame in &written {
            let whole = |files: &BTreeMap<String, Vec<u8>>, from: usize, to: usize| {
                files.get(&frame.file).and_then(|bytes| Some(bytes.get(from..to)?.to_vec()))
            };
            let end = frame.at + frame.length;
            let untouched = whole(&damaged, frame.at, end) == whole(&before, frame.at, end)
                && whole(&damaged, 0, 64) == whole(&before, 0, 64);
            assert!(!untouched || left.contains_key(&frame.seq), "{} is lost though nothing happened to it", frame.seq);
        }
        // 3. What is missing before a later batch is reported, and nothing else.
        let first = left.keys().next().copied().unwrap_or(u64::MAX);
        for seq in first..proven {
            let reported = found.lost.iter().any(|(from, to)| (*from..=*to).contains(&seq));
            assert_eq!(reported, !left.contains_key(&seq), "{seq} of {proven}: {:?}", found.lost);
        }
    }
    // 4. A damaged file is kept as it was found.
    for copy in &found.quarantined {
        let name = copy.file_name().unwrap().to_str().unwrap().to_owned();
        let of = name.split('.').next().unwrap();
        assert_eq!(files.get(&name), damaged.get(of), "{name}");
    }
    // 5. Done once, it is done: a second time, because it was broken off before it was told, changes nothing and says the same.
    let mut again = files.clone();
    if let Ok(second) = inside::recover(&mut again) {
        assert_eq!(again, files, "recovering twice changes more");
        assert_eq!((&second.lost, &second.unconfirmed, second.truncated_bytes), (&found.lost, &found.unconfirmed, 0));
        assert!(left.is_empty() || second.last_boot == found.last_boot);
        assert!(found.quarantined.iter().all(|copy| second.quarantined.contains(copy)), "{second:?}");
        assert!(found.quarantined.is_empty() || !found.clean, "{found:?}");
    }
}
