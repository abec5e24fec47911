//! What is said when all is well: what was verified, and what was not.

use audit_verify::note::not_signed_by;
use audit_verify::time::utc;
use audit_verify::{By, Checkpoint, Continues, ExportReport, Keys, ProofReport, Report, Seen, printable};

pub(crate) fn of_log(report: &Report, keys: &Keys) -> String {
    let Report { from, to, tally, .. } = report;
    let mut lines = vec!["VERIFIED.".to_owned()];
    let records = if from == to {
        "no records".to_owned()
    } else {
        format!("records {from} to {} ({} in all)", to - 1, to - from)
    };
    let whole = if report.whole { "the whole log" } else { "a range of the log" };
    lines.push(format!("Verified: {whole}, {records}{}.", period(tally.first_at, tally.last_at)));
    if let Some(resumed) = report.resumed_at {
        lines.push(format!("Of these, an earlier run had verified those before {resumed}; they were not read again."));
    }
    lines.extend(checkpoint(&report.checkpoint, &report.signatures, keys));
    lines.extend(kept(&report.kept));
    lines.push(format!("Daily tree heads in the folder that it continues: {}.", report.heads));
    if report.heads_unjudged > 0 {
        lines.push(format!(
            "Note: {} daily tree heads could not be judged (another key, or dropped hashes).",
            report.heads_unjudged
        ));
    }
    lines.extend(dropped(report));
    if !report.strict {
        let note = "Note: of each record only the numbers and what the log's rules need were checked to be in form; --strict checks all of it.";
        lines.push(note.to_owned());
    }
    if tally.recoveries > 0 {
        lines.push(format!(
            "Note: the log tells of {} ends that were not clean. Records that it declares lost: {}; never confirmed to anybody: {}.",
            tally.recoveries, tally.declared_lost, tally.declared_unconfirmed
        ));
    }
    if tally.unjudged > 0 {
        lines.push(format!(
            "Note: {} numbers are missing or refer to other records in a way that only records outside of what was looked at can \
             explain; they were not judged.",
            tally.unjudged
        ));
    }
    text(&lines)
}

pub(crate) fn of_export(report: &ExportReport, keys: &Keys) -> String {
    let mut lines = vec!["VERIFIED.".to_owned()];
    let range = report
        .first
        .zip(report.last)
        .map_or(String::new(), |(first, last)| format!(", between record {first} and {last} of the log"));
    lines.push(format!(
        "Verified: {} records{range}{}. Each is as it was sealed.",
        report.leaves,
        period(report.first_at, report.last_at)
    ));
    lines.push("Note: that no record was left out of this bundle is not proven; the whole log proves that.".to_owned());
    lines.push(format!("What was asked for (nothing vouches for it): {}", report.about));
    lines.extend(checkpoint(&report.checkpoint, &report.signatures, keys));
    lines.extend(kept(&report.kept));
    text(&lines)
}

/// The record alone goes first, so that `head -1` has it.
pub(crate) fn of_proof(report: &ProofReport, keys: &Keys) -> String {
    let mut lines = vec![report.leaf.clone(), "VERIFIED.".to_owned()];
    lines.push(format!("Verified: this is record {} of the log, as it was sealed.", report.index));
    lines.extend(checkpoint(&report.checkpoint, &report.signatures, keys));
    lines.extend(kept(&report.kept));
    text(&lines)
}

pub(crate) fn of_consistency(older: &Checkpoint, newer: &Checkpoint) -> String {
    let lines = [
        "VERIFIED.".to_owned(),
        format!(
            "Verified: the log {} with {} records continues the one with {}.",
            newer.origin, newer.size, older.size
        ),
        "The older records are, unchanged, the beginning of the newer log.".to_owned(),
    ];
    text(&lines)
}

fn checkpoint(head: &Checkpoint, signatures: &[Seen], keys: &Keys) -> Vec<String> {
    let mut lines = vec![format!("Checkpoint: {}, {} records, root {}", head.origin, head.size, head.root)];
    lines.extend(signatures.iter().map(|seen| match seen.by {
        By::Log => format!("Signed by the log: {}, key {}.", seen.name, seen.key_id),
        By::Witness { time } => witness(seen, time),
        By::Unknown => {
            let Seen { name, key_id, .. } = seen;
            format!("Note: also signed by {name}, key {key_id}, which was not given and counts for nothing.")
        }
    }));
    for key in not_signed_by(&keys.log, signatures) {
        lines.push(format!(
            "Note: the log's key {}, key {:08x}, was given, too, and has not signed this checkpoint. Who has stolen one of two keys signs \
             with that one alone; if the facility signs with both, use --require-all-keys.",
            key.name, key.id
        ));
    }
    // It has signed a kept one, or there were no answer.
    for key in not_signed_by(&keys.witnesses, signatures) {
        lines.push(format!(
            "Note: the witness {} has not signed this checkpoint, but a kept one (below): it has not seen what came after that.",
            key.name
        ));
    }
    lines
}

fn witness(Seen { name, key_id, .. }: &Seen, time: u64) -> String {
    let time = i64::try_from(time).ok().and_then(|time| time.checked_mul(1_000_000)).map_or(String::new(), utc);
    format!("Seen by a witness: {name}, key {key_id}, {time}.")
}

fn kept(kept: &[Continues]) -> Vec<String> {
    if kept.is_empty() {
        let note = "Note: no checkpoint kept elsewhere was given. Without one it can't be told whether whoever holds the log's key has \
                    written the log anew, or whether this is an older copy of it.";
        return vec![note.to_owned()];
    }
    let mut lines = Vec::new();
    for Continues { source, size, signatures } in kept {
        lines.push(format!("Continues the kept checkpoint {source} ({size} records)."));
        lines.extend(signatures.iter().filter_map(|seen| match seen.by {
            By::Witness { time } => Some(format!("  {}", witness(seen, time))),
            By::Log | By::Unknown => None,
        }));
    }
    lines
}

fn dropped(report: &Report) -> Option<String> {
    let dropped = report.dropped;
    match (dropped, report.whole) {
        (0, _) => None,
        (_, true) => Some(format!(
            "Note: the {dropped} oldest records were dropped because their time was over; a record of the log says so."
        )),
        (_, false) => Some(format!(
            "Note: the records before {dropped} are not in this folder. Whether a record of the log says that they were dropped, only \
             the verification of the whole log can tell."
        )),
    }
}

fn period(first: Option<i64>, last: Option<i64>) -> String {
    first.zip(last).map_or(String::new(), |(first, last)| format!(", recorded from {} to {}", utc(first), utc(last)))
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| printable(line, usize::MAX) + "\n").collect()
}
