//! Reading the journal back, also while it is being written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use vocabulary::Timestamp;

use crate::journal::frame::{self, Frame, FrameKind, HeaderProblem, SegmentHeader};
use crate::journal::runs::Runs;
use crate::journal::segments::parse_name;
use crate::record::VERSION;
use crate::{AuditError, Decision, End, Outcome, Position, Record};

/// A record with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub position: Position,
    /// When it happened, by the gateway's clock.
    pub at: Timestamp,
    /// 64 random bits in hex.
    pub salt: String,
    pub record: Record,
    /// What became of a request. None: it still goes on, or its outcome is not written yet, or it is not a
    /// request. A permitted request of a boot that has ended always has one, if only `outcome-unknown`.
    pub outcome: Option<Outcome>,
}

/// As the record is written, with `"boot"` and `"seq"` before and `"outcome"` behind.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.record.fields().map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("boot", &self.position.boot)?;
        map.serialize_entry("seq", &self.position.seq)?;
        map.serialize_entry("v", &VERSION)?;
        map.serialize_entry("kind", self.record.kind())?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("salt", &self.salt)?;
        for (key, value) in &fields {
            map.serialize_entry(key, value)?;
        }
        if let Some(outcome) = &self.outcome {
            map.serialize_entry("outcome", outcome)?;
        }
        map.end()
    }
}

/// What of the journal is not sealed yet.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pub(crate) entries: BTreeMap<Position, Entry>,
    /// Of requests that are sealed already.
    pub(crate) outcomes: BTreeMap<Position, Outcome>,
    /// Boots up to this one have ended: no outcome of theirs will come any more.
    pub(crate) ended: u32,
}

impl Tail {
    /// Its records, oldest first; those whose outcome will never come say so.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.entries.into_values().map(move |mut entry| {
            if entry.position.boot <= self.ended {
                entry.lose_track();
            }
            entry
        })
    }
}

/// Reads what stands in the journal in `dir` behind the position that the log reaches to. A folder that isn't there holds
/// nothing.
///
/// The gateway may be writing meanwhile: reading ends before what is not wholly written. A file that is removed meanwhile
/// has been sealed.
///
/// # Errors
/// The folder or a file can't be read, or is of a later version.
pub(crate) fn tail(dir: &Path, sealed: Option<Position>) -> Result<Tail, AuditError> {
    let mut tail = Tail::default();
    let (mut seen, mut seen_of) = (Runs::default(), 0);
    let segments = match segments(dir) {
        Err(AuditError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
        segments => segments?,
    };
    // The boot that goes on always has a file: without one, it ended and all of it was sealed.
    if let Some(sealed) = sealed
        && segments.last().is_none_or(|(boot, _)| *boot < sealed.boot)
    {
        tail.ended = sealed.boot;
    }
    for (boot, path) in segments {
        // A boot has ended when another one has begun.
        tail.ended = tail.ended.max(boot.saturating_sub(1));
        let Some(segment) = load(&path)? else { continue };
        if std::mem::replace(&mut seen_of, boot) != boot {
            seen = Runs::default();
        }
        for frame in frames(&segment.bytes, &segment.header) {
            let position = Position { boot, seq: frame.seq };
            if frame.kind == FrameKind::End {
                tail.ended = tail.ended.max(boot);
            }
            // After a failed write the unconfirmed frames stand in the next file once more; of the failed file any
            // of them may be there, and the order of what is left tells nothing.
            if !frame.kind.is_numbered() || sealed.is_some_and(|sealed| position <= sealed) || !seen.insert(frame.seq) {
                continue;
            }
            let payload = frame.payload(&segment.bytes);
            if frame.kind == FrameKind::Record {
                tail.entries.insert(position, read_record(payload, position)?);
            } else if let Some((of, outcome)) = read_outcome(payload, position, |_| true)? {
                match tail.entries.get_mut(&of) {
                    Some(entry) => entry.outcome = Some(outcome),
                    None => drop(tail.outcomes.insert(of, outcome)),
                }
            }
        }
    }
    Ok(tail)
}

impl Entry {
    /// Its outcome will never come.
    pub(crate) fn lose_track(&mut self) {
        if let Record::Request(request) = &self.record
            && request.decision == Decision::Permit
            && self.outcome.is_none()
        {
            self.outcome = Some(Outcome { at: self.at, end: End::OutcomeUnknown, ..Outcome::default() });
        }
    }
}

/// A segment in memory.
pub(crate) struct Loaded {
    pub(crate) header: SegmentHeader,
    pub(crate) bytes: Vec<u8>,
}

/// Boots and paths of all segments, in the order they were written.
pub(crate) fn segments(dir: &Path) -> Result<Vec<(u32, PathBuf)>, AuditError> {
    let listed = fs::read_dir(dir).map_err(AuditError::io("could not list", dir))?;
    let mut found = Vec::new();
    for entry in listed {
        let file = entry.map_err(AuditError::io("could not list", dir))?.file_name();
        if let Some(number) = file.to_str().and_then(parse_name) {
            found.push((number, dir.join(file)));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|((boot, _), path)| (boot, path)).collect())
}

/// None: it has gone meanwhile, or has no header (yet).
fn load(path: &Path) -> Result<Option<Loaded>, AuditError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AuditError::io("could not read", path)(error)),
    };
    match SegmentHeader::decode(&bytes) {
        Ok(header) => Ok(Some(Loaded { header, bytes })),
        Err(HeaderProblem::Newer(version)) => Err(AuditError::Newer { path: path.to_owned(), version }),
        Err(HeaderProblem::Unreadable) => Ok(None),
    }
}

/// All good frames, also those behind a damaged place.
fn frames<'s>(bytes: &'s [u8], header: &'s SegmentHeader) -> impl Iterator<Item = Frame> + 's {
    let mut at = frame::SEGMENT_HEADER;
    std::iter::from_fn(move || {
        let next = frame::read(bytes, header, at)
            .or_else(|| if frame::is_unused(bytes, at) { None } else { frame::find(bytes, header, at) })?;
        at = next.span.end;
        Some(next)
    })
}

/// Reads an outcome if it belongs to a record that is `wanted`.
pub(crate) fn read_outcome(
    payload: &[u8],
    position: Position,
    wanted: impl FnOnce(&Position) -> bool,
) -> Result<Option<(Position, Outcome)>, AuditError> {
    #[derive(serde::Deserialize)]
    struct Of {
        of: (u32, u64),
    }
    let problem = |error: serde_json::Error| unreadable(position, &error);
    let Of { of: (boot, seq) } = serde_json::from_slice(payload).map_err(problem)?;
    let of = Position { boot, seq };
    if !wanted(&of) {
        return Ok(None);
    }
    let mut outcome: Outcome = serde_json::from_slice(payload).map_err(problem)?;
    for key in ["v", "kind", "salt", "of"] {
        outcome.more.remove(key);
    }
    Ok(Some((of, outcome)))
}

/// Reads a record. One that this version can't make sense of becomes [`Record::Other`].
pub(crate) fn read_record(payload: &[u8], position: Position) -> Result<Entry, AuditError> {
    let mut fields: Map<String, Value> =
        serde_json::from_slice(payload).map_err(|error| unreadable(position, &error))?;
    Ok(entry(&mut fields, position))
}

/// A record of its fields, which are taken.
pub(crate) fn entry(fields: &mut Map<String, Value>, position: Position) -> Entry {
    let mut fields = std::mem::take(fields);
    let known = fields.remove("v").is_some_and(|v| v == VERSION);
    let mut text = |key| match fields.remove(key) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (kind, salt) = (text("kind"), text("salt"));
    let at = Timestamp(fields.remove("at").and_then(|at| at.as_i64()).unwrap_or_default());
    let record = if known { Record::from_fields(&kind, &fields) } else { None };
    let record = record.unwrap_or(Record::Other { kind, fields });
    Entry { position, at, salt, record, outcome: None }
}

fn unreadable(position: Position, error: &serde_json::Error) -> AuditError {
    AuditError::Record { boot: position.boot, seq: position.seq, problem: error.to_string() }
}

impl Record {
    fn from_fields(kind: &str, fields: &Map<String, Value>) -> Option<Self> {
        fn typed<T: DeserializeOwned>(fields: &Map<String, Value>) -> Option<T> {
            T::deserialize(Value::Object(fields.clone())).ok()
        }
        match kind {
            "request" => typed(fields).map(Self::Request),
            "aggregate" => typed(fields).map(Self::Aggregate),
            "sign-in" => typed(fields).map(Self::SignIn),
            "sign-out" => typed(fields).map(Self::SignOut),
            "login" => typed(fields).map(Self::Login),
            "login-end" => typed(fields).map(Self::LoginEnd),
            "change" => typed(fields).map(Self::Change),
            "reading" => typed(fields).map(Self::Reading),
            "start" => typed(fields).map(Self::Start),
            "stop" => typed(fields).map(Self::Stop),
            "recovery" => typed(fields).map(Self::Recovery),
            "reload" => typed(fields).map(Self::Reload),
            "clock-accepted" => typed(fields).map(Self::ClockAccepted),
            "heartbeat" => typed(fields).map(Self::Heartbeat),
            "retention" => typed(fields).map(Self::Retention),
            _ => None,
        }
    }

    fn fields(&self) -> serde_json::Result<Map<String, Value>> {
        let value = match self {
            Self::Request(fields) => serde_json::to_value(fields)?,
            Self::Aggregate(fields) => serde_json::to_value(fields)?,
            Self::SignIn(fields) => serde_json::to_value(fields)?,
            Self::SignOut(fields) => serde_json::to_value(fields)?,
            Self::Login(fields) => serde_json::to_value(fields)?,
            Self::LoginEnd(fields) => serde_json::to_value(fields)?,
            Self::Change(fields) => serde_json::to_value(fields)?,
            Self::Reading(fields) => serde_json::to_value(fields)?,
            Self::Start(fields) => serde_json::to_value(fields)?,
            Self::Stop(fields) => serde_json::to_value(fields)?,
            Self::Recovery(fields) => serde_json::to_value(fields)?,
            Self::Reload(fields) => serde_json::to_value(fields)?,
            Self::ClockAccepted(fields) => serde_json::to_value(fields)?,
            Self::Heartbeat(fields) => serde_json::to_value(fields)?,
            Self::Retention(fields) => serde_json::to_value(fields)?,
            Self::Other { fields, .. } => return Ok(fields.clone()),
        };
        match value {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }
}
