//! What people are told, in English or Japanese: what was verified and what was not, what is wrong, why there is no answer.

mod japanese;

use audit_verify::note::not_signed_by;
use audit_verify::time::{japan, utc};
use audit_verify::{
    By, Checkpoint, Continues, Error, ExportReport, Finding, Keys, ProofReport, Report, Seen, Tally, printable,
};
use clap::ValueEnum;

/// A longer error is cut off.
const ERROR_LIMIT: usize = 8_000;

/// The language of what people are told. `--json` is the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    En,
    Ja,
}

impl Language {
    /// The one that the environment asks for (POSIX, Environment Variables, 8.2).
    pub(crate) fn of_environment() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(|name| std::env::var(name).ok());
        let chosen = set.into_iter().find(|value| !value.is_empty());
        if chosen.is_some_and(|chosen| chosen.starts_with("ja")) { Self::Ja } else { Self::En }
    }

    fn or(self, english: impl Into<String>, japanese: impl Into<String>) -> String {
        match self {
            Self::En => english.into(),
            Self::Ja => japanese.into(),
        }
    }

    fn time(self, microseconds: i64) -> String {
        match self {
            Self::En => utc(microseconds),
            Self::Ja => japan(microseconds),
        }
    }

    fn period(self, first: Option<i64>, last: Option<i64>) -> String {
        let Some((first, last)) = first.zip(last) else { return String::new() };
        let (first, last) = (self.time(first), self.time(last));
        self.or(format!(", recorded from {first} to {last}"), format!("（{first} から {last} までの記録）"))
    }

    pub(crate) fn of_log(self, report: &Report, keys: &Keys) -> String {
        let Report { from, to, tally, .. } = report;
        let mut lines = vec![self.verified()];
        let (count, last) = (to - from, to.saturating_sub(1));
        let records = if count == 0 {
            self.or("no records", "記録はありません")
        } else {
            self.or(
                format!("records {from} to {last} ({count} in all)"),
                format!("{from} 番から {last} 番までの記録 {count} 件"),
            )
        };
        let whole = if report.whole {
            self.or("the whole log", "ログ全体")
        } else {
            self.or("a range of the log", "ログの一部")
        };
        let period = self.period(tally.first_at, tally.last_at);
        lines.push(self.or(
            format!("Verified: {whole}, {records}{period}."),
            format!("検証したもの：{whole}、{records}{period}。"),
        ));
        if let Some(resumed) = report.resumed_at {
            lines.push(self.or(
                format!("Of these, an earlier run had verified those before {resumed}; they were not read again."),
                format!("このうち {resumed} 番より前は前回検証済みで、読み直していません。"),
            ));
        }
        lines.extend(self.checkpoint(&report.checkpoint, &report.signatures, keys));
        lines.extend(self.kept(&report.kept));
        lines.push(self.or(
            format!("Daily tree heads in the folder that it continues: {}.", report.heads),
            format!("フォルダー内の日ごとのチェックポイントのうち、このログにつながるもの：{} 件。", report.heads),
        ));
        if report.heads_unjudged > 0 {
            lines.push(self.or(
                format!(
                    "Note: {} daily tree heads could not be judged (another key, or dropped hashes).",
                    report.heads_unjudged
                ),
                format!(
                    "注意：日ごとのチェックポイント {} 件は判定できませんでした（別の鍵、または消去済みのハッシュ）。",
                    report.heads_unjudged
                ),
            ));
        }
        lines.extend(self.dropped(report));
        if !report.strict {
            lines.push(self.or(
                "Note: of each record only the numbers and what the log's rules need were checked to be in form; --strict checks all \
                 of it.",
                "注意：各記録については、番号とログの規則に必要な部分の形式だけを確かめました。--strict を付けると全体を確かめます。",
            ));
        }
        lines.extend(self.tally(tally));
        text(&lines)
    }

    fn tally(self, tally: &Tally) -> Vec<String> {
        let mut lines = Vec::new();
        if tally.recoveries > 0 {
            let (ends, lost, unconfirmed) = (tally.recoveries, tally.declared_lost, tally.declared_unconfirmed);
            let ends_english = if ends == 1 {
                "1 end that was not clean".to_owned()
            } else {
                format!("{ends} ends that were not clean")
            };
            lines.push(self.or(
                format!(
                    "Note: the log tells of {ends_english}. Records that it declares lost: {lost}; never confirmed to anybody: {unconfirmed}."
                ),
                format!(
                    "注意：正常でない終了が {ends} 回あったとログにあります。失われたとされる記録：{lost} 件、書き込みの完了を誰にも返していない記録：{unconfirmed} 件。"
                ),
            ));
        }
        if tally.unjudged > 0 {
            lines.push(self.or(
                format!(
                    "Note: {} numbers are missing or refer to other records in a way that only records outside of what was looked at \
                     can explain; they were not judged.",
                    tally.unjudged
                ),
                format!(
                    "注意：{} 個の番号は、見た範囲の外の記録がなければ説明がつかないため（欠番、または他の記録への参照）、判定していません。",
                    tally.unjudged
                ),
            ));
        }
        lines
    }

    pub(crate) fn of_export(self, report: &ExportReport, keys: &Keys) -> String {
        let mut lines = vec![self.verified()];
        let range = report.first.zip(report.last).map_or(String::new(), |(first, last)| {
            self.or(
                format!(", between record {first} and {last} of the log"),
                format!("（ログの {first} 番から {last} 番の間）"),
            )
        });
        let period = self.period(report.first_at, report.last_at);
        lines.push(self.or(
            format!("Verified: {} records{range}{period}. Each is as it was sealed.", report.leaves),
            format!("検証したもの：記録 {} 件{range}{period}。どれも封印されたときのままです。", report.leaves),
        ));
        lines.push(self.or(
            "Note: that no record was left out of this bundle is not proven; the whole log proves that.",
            "注意：この束から抜かれた記録がないことは、これでは証明されません。それはログ全体で証明されます。",
        ));
        lines.push(self.or(
            format!("What was asked for (nothing vouches for it): {}", report.about),
            format!("求められた内容（これを保証するものはありません）：{}", report.about),
        ));
        lines.extend(self.checkpoint(&report.checkpoint, &report.signatures, keys));
        lines.extend(self.kept(&report.kept));
        text(&lines)
    }

    /// The record alone goes first, so that `head -1` has it.
    pub(crate) fn of_proof(self, report: &ProofReport, keys: &Keys) -> String {
        let at = self.time(report.at);
        let mut lines = vec![report.leaf.clone(), self.verified()];
        lines.push(self.or(
            format!("Verified: this is record {} of the log, as it was sealed; recorded {at}.", report.index),
            format!(
                "検証したもの：これはログの {} 番の記録で、封印されたときのままです（記録日時 {at}）。",
                report.index
            ),
        ));
        lines.extend(self.checkpoint(&report.checkpoint, &report.signatures, keys));
        lines.extend(self.kept(&report.kept));
        text(&lines)
    }

    pub(crate) fn of_consistency(self, older: &Checkpoint, newer: &Checkpoint) -> String {
        text(&[
            self.verified(),
            self.or(
                format!(
                    "Verified: the log {} with {} records continues the one with {}.",
                    newer.origin, newer.size, older.size
                ),
                format!(
                    "検証したもの：ログ {} の {} 件は、{} 件だったときのログの続きです。",
                    newer.origin, newer.size, older.size
                ),
            ),
            self.or(
                "The older records are, unchanged, the beginning of the newer log.",
                "古い記録はそのまま、新しいログの先頭になっています。",
            ),
        ])
    }

    /// What is wrong.
    pub(crate) fn of_findings(self, findings: &[Finding], of_log: bool) -> String {
        let mut lines = vec![self.or("NOT VERIFIED.", "NOT VERIFIED（問題が見つかりました）")];
        lines.extend(findings.iter().map(|finding| match self {
            Self::En => finding.to_string(),
            Self::Ja => japanese::finding(finding),
        }));
        if of_log && findings.iter().any(|finding| finding.place.leaf.is_some()) {
            lines.push(self.or(
                "What is named is the first of its kind. Records after it may be wrong, too: they were not looked at.",
                "示したのは、種類ごとに最初のものです。それより後の記録は調べていないため、ほかにも問題があるかもしれません。",
            ));
        }
        text(&lines)
    }

    /// Why there is no answer.
    pub(crate) fn of_error(self, error: &Error) -> String {
        let said = match self {
            Self::En => format!("Could not verify: {error}."),
            Self::Ja => japanese::error(error),
        };
        printable(&said, ERROR_LIMIT)
    }

    fn verified(self) -> String {
        self.or("VERIFIED.", "VERIFIED（検証できました）")
    }

    fn checkpoint(self, head: &Checkpoint, signatures: &[Seen], keys: &Keys) -> Vec<String> {
        let mut lines = vec![self.or(
            format!("Checkpoint: {}, {} records, root {}", head.origin, head.size, head.root),
            format!("チェックポイント：{}、記録 {} 件、ルートハッシュ {}", head.origin, head.size, head.root),
        )];
        lines.extend(signatures.iter().map(|seen| {
            let Seen { name, key_id, by } = seen;
            match by {
                By::Log => self.or(
                    format!("Signed by the log: {name}, key {key_id}."),
                    format!("ログの署名：{name}、鍵 {key_id}。"),
                ),
                By::Witness { time } => self.witness(seen, *time),
                By::Unknown => self.or(
                    format!("Note: also signed by {name}, key {key_id}, which was not given and counts for nothing."),
                    format!("注意：{name}（鍵 {key_id}）の署名もありますが、指定されていない鍵なので数えません。"),
                ),
            }
        }));
        for key in not_signed_by(&keys.log, signatures) {
            lines.push(self.or(
                format!(
                    "Note: the log's key {}, key {:08x}, was given, too, and has not signed this checkpoint. Who has stolen one of two \
                     keys signs with that one alone; if the facility signs with both, use --require-all-keys.",
                    key.name, key.id
                ),
                format!(
                    "注意：指定されたログの鍵 {}（{:08x}）は、このチェックポイントに署名していません。二つの鍵の一方を盗んだ人は、その鍵だけで\
                     署名します。施設が両方で署名しているなら --require-all-keys を付けてください。",
                    key.name, key.id
                ),
            ));
        }
        // It has signed a kept one, or there were no answer.
        for key in not_signed_by(&keys.witnesses, signatures) {
            lines.push(self.or(
                format!(
                    "Note: the witness {} has not signed this checkpoint, but a kept one (below): it has not seen what came after that.",
                    key.name
                ),
                format!(
                    "注意：証人 {} が署名したのはこのチェックポイントではなく、残されていたもの（下）です。それより後は見ていません。",
                    key.name
                ),
            ));
        }
        lines
    }

    fn witness(self, Seen { name, key_id, .. }: &Seen, time: u64) -> String {
        let time = i64::try_from(time).ok().and_then(|time| time.checked_mul(1_000_000));
        let time = time.map_or(String::new(), |time| self.time(time));
        self.or(
            format!("Seen by a witness: {name}, key {key_id}, {time}."),
            format!("証人の署名：{name}、鍵 {key_id}、{time}。"),
        )
    }

    fn kept(self, kept: &[Continues]) -> Vec<String> {
        if kept.is_empty() {
            return vec![self.or(
                "Note: no checkpoint kept elsewhere was given. Without one it can't be told whether whoever holds the log's key has \
                 written the log anew, or whether this is an older copy of it.",
                "注意：別の場所に残したチェックポイントが指定されていません。それがなければ、ログの鍵を持つ人がログを書き直したのか、\
                 これが古い写しなのかは分かりません。",
            )];
        }
        let mut lines = Vec::new();
        for Continues { source, size, signatures } in kept {
            lines.push(self.or(
                format!("Continues the kept checkpoint {source} ({size} records)."),
                format!("残されていたチェックポイント {source}（{size} 件）の続きです。"),
            ));
            lines.extend(signatures.iter().filter_map(|seen| match seen.by {
                By::Witness { time } => Some(format!("  {}", self.witness(seen, time))),
                By::Log | By::Unknown => None,
            }));
        }
        lines
    }

    fn dropped(self, report: &Report) -> Option<String> {
        let dropped = report.dropped;
        match (dropped, report.whole) {
            (0, _) => None,
            (_, true) => Some(self.or(
                format!(
                    "Note: the {dropped} oldest records were dropped because their time was over; a record of the log says so."
                ),
                format!("注意：古い記録 {dropped} 件は保存期間が過ぎたため消去されました。消去したことを示す記録がログにあります。"),
            )),
            (_, false) => Some(self.or(
                format!(
                    "Note: the records before {dropped} are not in this folder. Whether a record of the log says that they were dropped, \
                     only the verification of the whole log can tell."
                ),
                format!(
                    "注意：{dropped} 番より前の記録はこのフォルダーにありません。消去されたという記録がログにあるかどうかは、ログ全体の検証で\
                     分かります。"
                ),
            )),
        }
    }
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| printable(line, usize::MAX) + "\n").collect()
}
