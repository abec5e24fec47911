//! Leaves: what the journal holds, put into the form of the log. Text in, text out; a leaf is a pure function of the
//! journal's bytes and of what was known of the request's end when it was sealed.

use std::io::Write as _;

use ring::digest::{SHA256, digest};
use vocabulary::Timestamp;

use super::plan::End;
use super::tiles::LONGEST_LEAF;
use crate::Position;
use crate::json::number;

/// What a request's leaf says of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending<'p> {
    /// It is no request, or still goes on: its outcome will be a leaf of its own.
    Open,
    /// Its outcome was lost.
    Unknown,
    /// Number and payload of its outcome, of the same boot.
    Told(u64, &'p [u8]),
}

/// A payload of the journal is not what the journal writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the journal holds at {0} is not a record")]
pub(crate) struct NotARecord(pub(crate) Position);

/// Appends the leaf of the record at `position`.
pub(crate) fn compose(
    out: &mut Vec<u8>,
    position: Position,
    record: &[u8],
    ending: Ending<'_>,
) -> Result<(), NotARecord> {
    let start = out.len();
    let done = write(out, position, record, ending);
    if done.is_none() || out.len() - start > LONGEST_LEAF {
        out.truncate(start);
        return Err(NotARecord(position));
    }
    Ok(())
}

/// Appends a leaf for what the journal holds under a number, and is no record.
pub(crate) fn unreadable(out: &mut Vec<u8>, position: Position, end: End, payload: &[u8]) {
    let Position { boot, seq } = position;
    let outcome = match end {
        End::Told(outcome_seq) => format!("\"outcome_seq\":{outcome_seq},"),
        End::Open | End::Unknown => String::new(),
    };
    let hash: String = digest(&SHA256, payload).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let rest = format!("\"kind\":\"unreadable\",\"at\":0,\"salt\":\"0000000000000000\",\"sha256\":\"{hash}\"");
    let _ = writeln!(out, "{{\"v\":1,\"boot\":{boot},\"seq\":{seq},{outcome}{rest}}}");
}

fn write(out: &mut Vec<u8>, position: Position, record: &[u8], ending: Ending<'_>) -> Option<()> {
    let (version, fields) = split_version(record)?;
    let Position { boot, seq } = position;
    out.extend_from_slice(version);
    out.extend_from_slice(b",\"boot\":");
    number(out, boot.into());
    out.extend_from_slice(b",\"seq\":");
    number(out, seq);
    out.push(b',');
    if let Ending::Told(outcome_seq, _) = ending {
        out.extend_from_slice(b"\"outcome_seq\":");
        number(out, outcome_seq);
        out.push(b',');
    }
    let fields = fields.strip_suffix(b"}")?;
    out.extend_from_slice(fields);
    match ending {
        Ending::Open => {}
        Ending::Unknown => out.extend_from_slice(b",\"outcome\":{\"end\":\"outcome-unknown\"}"),
        Ending::Told(_, outcome) => {
            let outcome = Outcome::read(outcome)?;
            out.extend_from_slice(b",\"outcome\":{\"at\":");
            out.extend_from_slice(outcome.at);
            out.extend_from_slice(outcome.fields);
        }
    }
    out.extend_from_slice(b"}\n");
    Some(())
}

/// `{"v":1` and what follows the comma.
fn split_version(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = record.strip_prefix(b"{\"v\":")?;
    let comma = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    let at = record.len() - digits.len() + comma;
    (comma > 0 && record.get(at) == Some(&b',')).then(|| (&record[..at], &record[at + 1..]))
}

/// The parts of an outcome's payload, as `json::outcome` writes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<'p> {
    /// Microseconds, as written.
    at: &'p [u8],
    /// The record that it belongs to.
    pub(crate) of: Position,
    /// `,"end":…}`
    fields: &'p [u8],
}

impl<'p> Outcome<'p> {
    /// None: it is not in the form that the journal writes.
    pub(crate) fn read(payload: &'p [u8]) -> Option<Self> {
        let (_, rest) = split_version(payload)?;
        let rest = rest.strip_prefix(b"\"kind\":\"outcome\",\"at\":")?;
        let (at, rest) = digits(rest)?;
        let rest = rest.strip_prefix(b",\"salt\":\"")?;
        let rest = rest.get(16..)?.strip_prefix(b"\",\"of\":[")?;
        let (boot, rest) = digits(rest)?;
        let (seq, rest) = digits(rest.strip_prefix(b",")?)?;
        let fields = rest.strip_prefix(b"]")?;
        let of = Position { boot: u32::try_from(parse(boot)?).ok()?, seq: parse(seq)? };
        fields.starts_with(b",\"end\":").then_some(Self { at, of, fields })
    }
}

fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
    (digits > 0).then(|| text.split_at(digits))
}

fn parse(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The record is a permitted request: its outcome is owed.
pub(crate) fn is_permitted_request(record: &[u8]) -> bool {
    is_request(record) && contains(record, b",\"decision\":\"permit\",")
}

/// The record is a request: an outcome will come for it.
pub(crate) fn is_request(record: &[u8]) -> bool {
    split_version(record).is_some_and(|(_, fields)| fields.starts_with(b"\"kind\":\"request\","))
}

/// Within strings every quote is escaped, so this can't stand in one.
fn contains(record: &[u8], wanted: &[u8]) -> bool {
    record.windows(wanted.len()).any(|window| window == wanted)
}

/// What stands at the head of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) position: Position,
    pub(crate) outcome_seq: Option<u64>,
    pub(crate) at: Timestamp,
}

/// None: it is not a leaf.
pub(crate) fn head(leaf: &[u8]) -> Option<Head> {
    let (_, rest) = split_version(leaf)?;
    let (boot, rest) = digits(rest.strip_prefix(b"\"boot\":")?)?;
    let (seq, rest) = digits(rest.strip_prefix(b",\"seq\":")?)?;
    let (outcome_seq, rest) = match rest.strip_prefix(b",\"outcome_seq\":") {
        Some(rest) => digits(rest).map(|(number, rest)| Some((Some(parse(number)?), rest)))??,
        None => (None, rest),
    };
    let rest = rest.strip_prefix(b",\"kind\":\"")?;
    let rest = rest.get(rest.iter().position(|byte| *byte == b'"')?..)?;
    let (at, _) = digits(rest.strip_prefix(b"\",\"at\":")?)?;
    let at = Timestamp(std::str::from_utf8(at).ok()?.parse().ok()?);
    let position = Position { boot: u32::try_from(parse(boot)?).ok()?, seq: parse(seq)? };
    Some(Head { position, outcome_seq, at })
}

/// The leaf is the outcome of the request that `of` names, as it is written: `"of":[boot,seq],`.
pub(crate) fn is_outcome_of(leaf: &[u8], of: &[u8]) -> bool {
    contains(leaf, b"\"kind\":\"outcome\",") && contains(leaf, of)
}

/// When a leaf's record was made.
pub(crate) fn at(leaf: &[u8]) -> Option<Timestamp> {
    head(leaf).map(|head| head.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::sample::{NOON, request};
    use crate::{End, json};

    const AT: Position = Position { boot: 3, seq: 17 };

    fn composed(record: &[u8], ending: Ending<'_>) -> String {
        let mut out = Vec::new();
        compose(&mut out, AT, record, ending).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn record() -> Vec<u8> {
        let mut out = Vec::new();
        json::request(&mut out, &request("/a?b=\",\\\"decision\\\":")).unwrap();
        out
    }

    #[test]
    fn a_leaf_is_the_record_with_its_place_and_end() {
        let record = record();
        let mut outcome = Vec::new();
        let ended = crate::Outcome { at: Timestamp(NOON.0 + 5), end: End::Ok, status: Some(200), ..Default::default() };
        json::outcome(&mut outcome, AT, &ended).unwrap();

        let leaf = composed(&record, Ending::Told(21, &outcome));
        assert!(
            leaf.starts_with("{\"v\":1,\"boot\":3,\"seq\":17,\"outcome_seq\":21,\"kind\":\"request\",\"at\":"),
            "{leaf}"
        );
        assert!(leaf.ends_with("\"navigation\":true,\"outcome\":{\"at\":1793500000000005,\"end\":\"ok\",\"status\":200,\"bytes_in\":0,\"bytes_out\":0,\"total_us\":0}}\n"), "{leaf}");
        assert_eq!(head(leaf.as_bytes()), Some(Head { position: AT, outcome_seq: Some(21), at: NOON }));
        let value: serde_json::Value = serde_json::from_str(&leaf).unwrap();
        assert_eq!(serde_json::to_string(&value["outcome"]["status"]).unwrap(), "200");

        let open = composed(&record, Ending::Open);
        assert_eq!(
            open,
            String::from_utf8(record.clone()).unwrap().replacen("{\"v\":1,", "{\"v\":1,\"boot\":3,\"seq\":17,", 1)
                + "\n"
        );
        assert_eq!(head(open.as_bytes()), Some(Head { position: AT, outcome_seq: None, at: NOON }));
        let unknown = composed(&record, Ending::Unknown);
        assert!(unknown.ends_with(",\"outcome\":{\"end\":\"outcome-unknown\"}}\n"), "{unknown}");
        assert!(is_permitted_request(&record) && is_request(&record) && !is_request(&outcome));
        assert_eq!(Outcome::read(&outcome).unwrap().of, AT);
    }

    #[test]
    fn what_is_no_record_makes_no_leaf() {
        let mut out = b"before".to_vec();
        for wrong in [&b""[..], b"{}", b"{\"v\":1}", b"{\"v\":,\"a\":1}", b"{\"v\":1,\"a\":1"] {
            assert_eq!(compose(&mut out, AT, wrong, Ending::Open), Err(NotARecord(AT)));
        }
        let long = format!("{{\"v\":1,\"a\":\"{}\"}}", "x".repeat(LONGEST_LEAF));
        assert!(compose(&mut out, AT, long.as_bytes(), Ending::Open).is_err());
        assert!(compose(&mut out, AT, &record(), Ending::Told(18, b"{\"v\":1,\"kind\":\"request\"}")).is_err());
        assert_eq!(out, b"before");
    }
}
