//! A record made up of chance, in all three layers, and what reading it must give.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use vocabulary::{Action, Reason, Timestamp, Zone};

use super::leaf::{self, Leaf};
use super::written::WrittenLog;
use crate::journal::frame::FrameKind;
use crate::journal::inside;
use crate::{Decision, Entry, Filter, Index, LoginResult, PathPattern, Position, Record};

pub(crate) const PEOPLE: [&str; 4] = ["sato", "0012", "佐藤.花子", "suzuki"];
const PATHS: [&str; 6] = ["/", "/residents/1", "/residents/2?tab=*", "/a\\\"b", "/export/*.csv", "/あ"];
const SOURCES: [&str; 5] = ["192.0.2.1", "192.0.2.77", "198.51.100.9", "2001:db8::1", "2001:db8:0:1::2"];
const KINDS: [&str; 8] = ["request", "sign-in", "sign-out", "login", "login-end", "change", "aggregate", "vote"];
const SUBJECTS: [&str; 4] = ["resident/1234", "resident/7", "staff/sato", "利用者/あ"];
/// Shortly before a month ends in Tokyo.
const START: i64 = 1_793_458_700_000_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its outcome came before it was sealed.
    Merged,
    /// It was sealed without one, which came later.
    Late,
    /// None came, and it was sealed as lost.
    Lost,
    /// None came.
    Open,
}

#[derive(Clone, Debug)]
struct Frame {
    position: Position,
    /// Of an outcome: which frame its request is.
    of: Option<usize>,
    kind: &'static str,
    head: String,
    fields: String,
    fate: Fate,
}

impl Frame {
    fn payload(&self, frames: &[Self]) -> String {
        let of = self.of.map(|of| frames[of].position);
        let of = of.map(|of| format!(",\"of\":[{},{}]", of.boot, of.seq)).unwrap_or_default();
        format!("{{\"v\":1,\"kind\":\"{}\"{}{of}{}}}", self.kind, self.head, self.fields)
    }

    fn leaf(&self, frames: &[Self], outcome: Option<&Self>) -> String {
        let Position { boot, seq } = self.position;
        let outcome_seq = outcome.map(|o| format!(",\"outcome_seq\":{}", o.position.seq)).unwrap_or_default();
        let of = self.of.map(|of| frames[of].position);
        let of = of.map(|of| format!(",\"of\":[{},{}]", of.boot, of.seq)).unwrap_or_default();
        let at = |frame: &Self| frame.head.split(",\"salt\"").next().unwrap_or_default()[1..].to_owned();
        let end = match (outcome, self.fate) {
            (Some(outcome), _) => format!(",\"outcome\":{{{}{}}}", at(outcome), outcome.fields),
            (None, Fate::Lost) => ",\"outcome\":{\"end\":\"outcome-unknown\"}".to_owned(),
            _ => String::new(),
        };
        let (kind, head, fields) = (self.kind, &self.head, &self.fields);
        format!("{{\"v\":1,\"boot\":{boot},\"seq\":{seq}{outcome_seq},\"kind\":\"{kind}\"{head}{of}{fields}{end}}}\n")
    }
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) % end
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// All that happened.
#[derive(Debug)]
pub(crate) struct Happened {
    frames: Vec<Frame>,
    /// Which frame is the outcome of each.
    outcomes: Vec<Option<usize>>,
}

impl Happened {
    /// So many frames, or a few more.
    pub(crate) fn by_chance(seed: u64, many: usize) -> Self {
        let mut chance = Chance(seed);
        let mut frames: Vec<Frame> = Vec::new();
        let mut at = START;
        let mut next = Position { boot: 1, seq: 1 };
        // Requests whose outcomes are still to come.
        let mut open: Vec<usize> = Vec::new();
        while frames.len() < many {
            at += [0, 3, 1_000_000, 60_000_000, -500_000_000][usize::try_from(chance.below(5)).unwrap()];
            if chance.below(400) == 0 {
                at += 20 * 86_400 * 1_000_000;
            }
            let head = format!(",\"at\":{at},\"salt\":\"{:016x}\"", chance.below(u64::MAX));
            if !open.is_empty() && chance.below(3) == 0 {
                let of = open.remove(usize::try_from(chance.below(open.len() as u64)).unwrap());
                let end = chance.one(&["ok", "ok", "ok", "aborted", "upstream-failed", "cut", "refused"]);
                let mut fields = format!(",\"end\":\"{end}\",\"status\":{}", chance.one(&[200, 200, 304, 404, 500]));
                if chance.below(6) == 0 {
                    fields = ",\"end\":\"denied-response\",\"status\":403".to_owned();
                }
                fields.push_str(",\"bytes_in\":0,\"bytes_out\":7,\"total_us\":9");
                if chance.below(5) == 0 {
                    fields.push_str(",\"action\":\"download\",\"reason\":\"action-denied\",\"rule\":\"none outside\"");
                }
                frames.push(Frame { position: next, of: Some(of), kind: "outcome", head, fields, fate: Fate::Open });
            } else {
                let kind = if chance.below(3) > 0 { "request" } else { chance.one(&KINDS) };
                let fate = match kind {
                    "request" => chance.one(&[Fate::Merged, Fate::Merged, Fate::Late, Fate::Lost, Fate::Open]),
                    _ => Fate::Open,
                };
                if matches!(fate, Fate::Merged | Fate::Late) {
                    open.push(frames.len());
                }
                let fields = fields(&mut chance, kind);
                frames.push(Frame { position: next, of: None, kind, head, fields, fate });
            }
            next.seq += 1;
            if chance.below(500) == 0 {
                // Nobody hears of what was going on any more.
                open.drain(..).for_each(|at| frames[at].fate = Fate::Lost);
                next = Position { boot: next.boot + 1 + u32::try_from(chance.below(2)).unwrap(), seq: 1 };
            }
        }
        // These go on.
        open.into_iter().for_each(|at| frames[at].fate = Fate::Open);
        let last = frames.last().map_or(1, |frame| frame.position.boot);
        for frame in &mut frames {
            // Only a permitted request of a boot that has ended is ever called lost.
            if frame.fate == Fate::Lost && (frame.position.boot == last || frame.fields.contains("\"deny\"")) {
                frame.fate = Fate::Open;
            }
        }
        let mut outcomes = vec![None; frames.len()];
        for (at, frame) in frames.iter().enumerate() {
            if let Some(of) = frame.of {
                outcomes[of] = Some(at);
            }
        }
        Self { frames, outcomes }
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    fn last_boot(&self) -> u32 {
        self.frames.last().map_or(1, |frame| frame.position.boot)
    }

    fn outcome_of(&self, frame: usize) -> Option<&Frame> {
        self.outcomes[frame].map(|outcome| &self.frames[outcome])
    }

    /// Leaves of the frames before `end`, as they are sealed.
    pub(crate) fn leaves(&self, end: usize) -> Vec<String> {
        let of = |frame: &Frame| frame.of.map(|of| &self.frames[of]);
        let sealed = self.frames[..end].iter().enumerate();
        let sealed = sealed.filter(|(_, frame)| of(frame).is_none_or(|request| request.fate == Fate::Late));
        sealed
            .map(|(at, frame)| {
                let merged = (frame.fate == Fate::Merged).then(|| self.outcome_of(at)).flatten();
                frame.leaf(&self.frames, merged)
            })
            .collect()
    }

    /// Writes the journal's files with the frames from `begin` on.
    pub(crate) fn write_journal(&self, audit: &Path, begin: usize) {
        let dir = audit.join("journal");
        fs::create_dir_all(&dir).unwrap();
        let last = self.last_boot();
        for boot in 1..=last {
            let frames: Vec<_> = self.frames[begin..].iter().filter(|frame| frame.position.boot == boot).collect();
            if frames.is_empty() && boot < last {
                continue;
            }
            let mut bytes = inside::header(boot, 1, 77);
            let first = frames.first().map_or(1, |frame| frame.position.seq);
            let kind = FrameKind::Begin as u8;
            bytes.extend(inside::write(boot, 77, (kind, first, 0), &0i64.to_le_bytes()).unwrap());
            for frame in frames {
                let kind = if frame.of.is_some() { FrameKind::Outcome } else { FrameKind::Record } as u8;
                let payload = frame.payload(&self.frames);
                bytes.extend(inside::write(boot, 77, (kind, frame.position.seq, 0), payload.as_bytes()).unwrap());
            }
            fs::write(dir.join(inside::name(boot, 1)), bytes).unwrap();
        }
    }

    /// Seals the frames before `sealed`, indexes the first `indexed` leaves in parts, and leaves in the journal what comes from
    /// `kept` on.
    pub(crate) fn lay_out(&self, audit: &Path, (kept, sealed, indexed): (usize, usize, usize), part: usize) {
        fs::create_dir_all(audit).unwrap();
        self.write_journal(audit, kept.min(sealed));
        let leaves = self.leaves(sealed);
        if !leaves.is_empty() {
            WrittenLog::new(audit).seal(leaves.iter().map(String::as_bytes));
        }
        let indexed = indexed.min(leaves.len());
        if indexed > 0 {
            let mut index = Index::open(audit, tokyo()).unwrap();
            for (n, leaves) in leaves[..indexed].chunks(part).enumerate() {
                index.append((n * part) as u64, leaves.iter().map(String::as_bytes)).unwrap();
            }
            assert_eq!(index.next_leaf(), indexed as u64);
        }
    }

    /// What reading must give, oldest first.
    pub(crate) fn expected(&self, filter: &Filter) -> Vec<Entry> {
        let last = self.last_boot();
        let records = self.frames.iter().enumerate().filter(|(_, frame)| frame.of.is_none());
        let entries = records.map(|(at, frame)| {
            let Leaf::Record(mut entry) = leaf::read(frame.leaf(&self.frames, self.outcome_of(at)).as_bytes()) else {
                panic!("{frame:?}");
            };
            // Of the boot that goes on, nothing is lost.
            if let Record::Request(request) = &entry.record
                && request.decision == Decision::Permit
                && entry.outcome.is_none()
                && entry.position.boot < last
            {
                entry.lose_track();
            }
            *entry
        });
        entries.filter(|entry| filter.takes(entry)).collect()
    }
}

fn fields(chance: &mut Chance, kind: &str) -> String {
    let person = chance.one(&PEOPLE);
    let source = chance.one(&SOURCES);
    let inside = chance.below(2) == 0;
    match kind {
        "request" => {
            let mut fields = match chance.below(5) {
                0 => String::new(),
                n => format!(",\"app\":\"app-{}\"", n % 3),
            };
            let action = chance.one(&Action::ALL);
            let (decision, reason) = chance.one(&[
                (Decision::Permit, Reason::Rule),
                (Decision::Permit, Reason::BuiltIn),
                (Decision::Deny, Reason::NoRule),
                (Decision::Deny, Reason::UnknownNetwork),
            ]);
            fields.push_str(&format!(
                ",\"host\":\"h\",\"method\":\"GET\",\"path\":\"{}\",\"action\":\"{action}\",\"decision\":\"{}\",\"reason\":\"{reason}\"",
                chance.one(&PATHS),
                decision.as_str(),
            ));
            if chance.below(2) == 0 {
                fields.push_str(",\"rule\":\"in the facility\"");
            }
            if chance.below(4) > 0 {
                fields.push_str(&format!(",\"person\":\"{person}\",\"session\":\"s-{}\"", chance.below(6)));
            }
            if chance.below(3) == 0 {
                fields.push_str(",\"device\":\"phone\"");
            }
            fields.push_str(&format!(",\"source\":\"{source}\",\"inside\":{inside},\"http\":\"2\""));
            if chance.below(2) == 0 {
                fields.push_str(&format!(",\"operation\":\"{}\"", chance.one(&["care-plan", "export"])));
                if chance.below(2) == 0 {
                    fields.push_str(&format!(",\"subject\":\"{}\"", chance.one(&SUBJECTS)));
                }
            }
            fields
        }
        "sign-in" => {
            let result = chance.one(&["ok", "wrong", "second-factor", "not-allowed"]);
            format!(
                ",\"result\":\"{result}\",\"reason\":\"staff-locked\",\"person\":\"{person}\",\"provider\":\"staff\",\"factors\":1,\"session\":\"s-1\",\"source\":\"{source}\",\"inside\":{inside}"
            )
        }
        "sign-out" => format!(",\"person\":\"{person}\",\"session\":\"s-2\",\"cause\":\"idle\""),
        "login" => {
            let result = chance.one(&LoginResult::ALL).as_str();
            let mut fields = format!(",\"app\":\"app-{}\",\"result\":\"{result}\"", chance.below(3));
            if matches!(result, "ok" | "elsewhere") {
                fields.push_str(&format!(",\"login\":\"l-{}\"", chance.below(40)));
            }
            fields.push_str(&format!(",\"request\":[1,{}]", chance.below(90)));
            match chance.below(3) {
                0 => fields.push_str(",\"saas_id_hash\":\"c0ffee\""),
                n => fields.push_str(&format!(",\"account\":\"hojin\",\"saas_id\":\"kyoyu-{n}\"")),
            }
            if chance.below(5) > 0 {
                fields.push_str(&format!(",\"person\":\"{person}\",\"name\":\"名前{}\"", chance.below(3)));
            }
            format!("{fields},\"session\":\"s-{}\",\"source\":\"{source}\",\"inside\":{inside}", chance.below(6))
        }
        "login-end" => format!(
            ",\"app\":\"app-1\",\"login\":\"l-{}\",\"person\":\"{person}\",\"cause\":\"idle\",\"ended\":{START},\"requests\":3",
            chance.below(40)
        ),
        "change" => {
            format!(",\"by\":\"os:0\",\"channel\":\"offline\",\"what\":\"staff-locked\",\"subject\":\"{person}\"")
        }
        "aggregate" => ",\"source\":\"2001:db8:0:1::/64\",\"minute\":0,\"count\":3,\"first\":1,\"last\":2".to_owned(),
        // Of a later version; fields may be anything there.
        _ => format!(",\"person\":{{\"id\":\"{person}\"}},\"source\":7"),
    }
}

pub(crate) fn tokyo() -> Zone {
    Zone::named("Asia/Tokyo").unwrap()
}

fn rarely<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.2, strategy)
}

prop_compose! {
    /// A filter that asks for a few things.
    pub(crate) fn filters()(
        from in rarely(0i64..8_000_000_000), to in rarely(0i64..8_000_000_000),
        kinds in rarely(prop::collection::vec(select(&KINDS[..]), 1..3)),
        person in rarely(select(&["sato", "0012", "佐藤.花子", "nobody"][..])),
        app in rarely(select(&["app-0", "app-1", "other"][..])),
        action in rarely(select(&Action::ALL[..])), permit in rarely(any::<bool>()),
        reason in rarely(select(&[Reason::Rule, Reason::NoRule, Reason::ActionDenied, Reason::StaffLocked][..])),
        (rule, session) in (rarely(select(&["in the facility", "none outside"][..])), rarely("s-[0-7]")),
        device in rarely(Just("phone")),
        source in rarely(select(&["192.0.2.0/24", "192.0.2.77/32", "2001:db8::/48", "2001:db8:0:1::/64"][..])),
        path in rarely(prop_oneof![
            select(&["/residents", "/", "/none"][..]).prop_map(|path| PathPattern::Prefix(path.to_owned())),
            select(&["a\"", "a\\", "2", "csv", "あ"][..]).prop_map(|path| PathPattern::Contains(path.to_owned())),
        ]),
        operation in rarely(select(&["care-plan", "export", "none"][..])),
        subject in rarely(select(&["resident/1234", "staff/sato", "利用者/あ", "sato"][..])), named in rarely(Just(())),
        (outside, failed, night) in (rarely(Just(())), rarely(Just(())), rarely(Just(()))),
    ) -> Filter {
        Filter {
            from: from.map(|after| Timestamp(START + after)),
            to: to.map(|after| Timestamp(START + after)),
            kinds: kinds.unwrap_or_default().into_iter().map(str::to_owned).collect(),
            person: person.map(|id| id.parse().unwrap()),
            app: app.map(|id| id.parse().unwrap()),
            action,
            decision: permit.map(|permit| if permit { Decision::Permit } else { Decision::Deny }),
            reason,
            rule: rule.map(|name| name.parse().unwrap()),
            session: session.map(|id| id.parse().unwrap()),
            device: device.map(|id| id.parse().unwrap()),
            source: source.map(|net| net.parse().unwrap()),
            path,
            operation: operation.map(str::to_owned),
            subject: subject.map(str::to_owned),
            named: named.is_some(),
            outside: outside.is_some(),
            failed: failed.is_some(),
            night: night.map(|()| tokyo()),
            position: None,
        }
    }
}
