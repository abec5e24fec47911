//! Writing records as JSON into a reused buffer.
//!
//! The request path writes by hand, because it does so for every request; everything else goes through
//! `serde_json`. A property test holds the two to the same bytes.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::IpAddr;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use vocabulary::Timestamp;

use crate::record::VERSION;
use crate::{Outcome, Position, Record, RequestIntent, Unavailable};

/// Writes a request; absent and false values are left out.
pub(crate) fn request(out: &mut Vec<u8>, intent: &RequestIntent<'_>) -> Result<(), Unavailable> {
    head(out, "request", intent.at)?;
    optional(out, "app", intent.app.map(AsRef::as_ref));
    string(out, "host", intent.host());
    string(out, "method", intent.method());
    string(out, "path", intent.path());
    word(out, "action", intent.action.as_str());
    flag(out, "guessed", intent.guessed);
    word(out, "decision", intent.decision.as_str());
    word(out, "reason", intent.reason.as_str());
    optional(out, "rule", intent.rule.map(AsRef::as_ref));
    optional(out, "person", intent.person.map(AsRef::as_ref));
    optional(out, "session", intent.session.map(AsRef::as_ref));
    if let Some(factors) = intent.factors {
        count(out, "factors", u64::from(factors));
    }
    flag(out, "factor_device", intent.factor_device);
    optional(out, "device", intent.device.map(AsRef::as_ref));
    optional(out, "client", intent.client);
    optional(out, "serial", intent.serial);
    address(out, "source", intent.source);
    if let Some((first, others)) = intent.networks.split_first() {
        out.extend_from_slice(b",\"networks\":[");
        quoted(out, first.as_str());
        for network in others {
            out.push(b',');
            quoted(out, network.as_str());
        }
        out.push(b']');
    }
    key(out, "inside");
    out.extend_from_slice(if intent.inside { b"true" } else { b"false" });
    optional(out, "tls", intent.tls);
    string(out, "http", intent.http);
    optional(out, "user_agent", intent.user_agent());
    flag(out, "navigation", intent.navigation);
    optional(out, "operation", intent.operation);
    optional(out, "subject", intent.subject);
    optional(out, "login", intent.login.map(AsRef::as_ref));
    out.push(b'}');
    Ok(())
}

/// Writes what became of the record at `of`.
pub(crate) fn outcome(out: &mut Vec<u8>, of: Position, outcome: &Outcome) -> Result<(), Unavailable> {
    head(out, "outcome", outcome.at)?;
    out.extend_from_slice(b",\"of\":[");
    number(out, u64::from(of.boot));
    out.push(b',');
    number(out, of.seq);
    out.push(b']');
    word(out, "end", outcome.end.as_str());
    if let Some(status) = outcome.status {
        count(out, "status", u64::from(status));
    }
    count(out, "bytes_in", outcome.bytes_in);
    count(out, "bytes_out", outcome.bytes_out);
    if let Some(upstream) = outcome.upstream_us {
        count(out, "upstream_us", upstream);
    }
    count(out, "total_us", outcome.total_us);
    if let Some(action) = outcome.action {
        word(out, "action", action.as_str());
    }
    if let Some(reason) = outcome.reason {
        word(out, "reason", reason.as_str());
    }
    optional(out, "rule", outcome.rule.as_ref().map(AsRef::as_ref));
    out.push(b'}');
    Ok(())
}

/// Writes any other record.
pub(crate) fn record(out: &mut Vec<u8>, at: Timestamp, record: &Record) -> Result<(), Unavailable> {
    head(out, record.kind(), at)?;
    match record {
        Record::Request(fields) => body(out, fields),
        Record::Aggregate(fields) => body(out, fields),
        Record::SignIn(fields) => body(out, fields),
        Record::SignOut(fields) => body(out, fields),
        Record::Login(fields) => body(out, fields),
        Record::LoginEnd(fields) => body(out, fields),
        Record::Change(fields) => body(out, fields),
        Record::Reading(fields) => body(out, fields),
        Record::Start(fields) => body(out, fields),
        Record::Stop(fields) => body(out, fields),
        Record::Recovery(fields) => body(out, fields),
        Record::Reload(fields) => body(out, fields),
        Record::ClockAccepted(fields) => body(out, fields),
        Record::Heartbeat(fields) => body(out, fields),
        Record::Retention(fields) => body(out, fields),
        Record::Other { fields, .. } => body(out, fields),
    }
}

/// Continues an object begun by [`head`] with the fields of `value`, which serialises as an object.
fn body(out: &mut Vec<u8>, value: &impl Serialize) -> Result<(), Unavailable> {
    let brace = out.len();
    // A map with string keys into memory can't fail; should it, the record is refused and nothing is hidden.
    serde_json::to_writer(&mut *out, value).map_err(|_| Unavailable::TooLong)?;
    if out.len() - brace == 2 {
        out.remove(brace);
    } else if let Some(first) = out.get_mut(brace) {
        *first = b',';
    }
    Ok(())
}

/// `{"v":1,"kind":"…","at":…,"salt":"…"`
/// Writes what others have put together, as the log's format allows it (FORMAT.md, Leaves): numbers are integers of 64 bits with a
/// sign, and nothing lies deep in another. What is not so becomes text. Once sealed it could not be mended.
pub(crate) fn plain<S: Serializer>(map: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(name, value)| (name, in_form(value, NESTED))))
}

/// So deep may objects and arrays lie in each other there.
const NESTED: u32 = 16;

fn in_form(value: &Value, deeper: u32) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none() => number.to_string().into(),
        Value::Array(_) | Value::Object(_) if deeper == 0 => value.to_string().into(),
        Value::Array(values) => values.iter().map(|value| in_form(value, deeper - 1)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), in_form(value, deeper - 1))).collect()
        }
        _ => value.clone(),
    }
}

fn head(out: &mut Vec<u8>, kind: &str, at: Timestamp) -> Result<(), Unavailable> {
    out.extend_from_slice(b"{\"v\":");
    number(out, u64::from(VERSION));
    out.extend_from_slice(b",\"kind\":");
    quoted(out, kind);
    out.extend_from_slice(b",\"at\":");
    if at.0 < 0 {
        out.push(b'-');
    }
    number(out, at.0.unsigned_abs());
    out.extend_from_slice(b",\"salt\":\"");
    for byte in salt()? {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    out.push(b'"');
    Ok(())
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A value that needs no escaping.
fn word(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn string(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    quoted(out, value);
}

fn optional(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        string(out, name, value);
    }
}

fn flag(out: &mut Vec<u8>, name: &str, value: bool) {
    if value {
        key(out, name);
        out.extend_from_slice(b"true");
    }
}

fn count(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    number(out, value);
}

pub(crate) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

fn address(out: &mut Vec<u8>, name: &str, address: IpAddr) {
    key(out, name);
    out.push(b'"');
    match address {
        IpAddr::V4(v4) => {
            let mut dot = false;
            for part in v4.octets() {
                if std::mem::replace(&mut dot, true) {
                    out.push(b'.');
                }
                number(out, u64::from(part));
            }
        }
        // Writing to memory can't fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
    out.push(b'"');
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Escapes exactly what RFC 8259 §7 asks for, in `serde_json`'s spelling.
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (position, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[plain..position]);
        plain = position + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

const SALT: usize = 8;

/// Random bytes of the operating system, fetched for 256 records at a time.
struct Salts {
    bytes: [u8; 256 * SALT],
    used: usize,
}

fn salt() -> Result<[u8; SALT], Unavailable> {
    thread_local! {
        static SALTS: RefCell<Salts> =
            const { RefCell::new(Salts { bytes: [0; 256 * SALT], used: 256 * SALT }) };
    }
    SALTS.with_borrow_mut(|salts| {
        if salts.used == salts.bytes.len() {
            SystemRandom::new().fill(&mut salts.bytes).map_err(|_| Unavailable::Random)?;
            salts.used = 0;
        }
        let mut salt = [0; SALT];
        salt.copy_from_slice(&salts.bytes[salts.used..salts.used + SALT]);
        salts.used += SALT;
        Ok(salt)
    })
}

#[cfg(test)]
mod tests {
    use proptest::option::of;
    use proptest::prelude::*;
    use serde_json::Map;
    use vocabulary::{Action, AppId, DeviceId, LoginId, NetworkName, PersonId, Reason, RuleName, SessionId};

    use super::*;
    use crate::journal::reader::{read_outcome, read_record};
    use crate::{Decision, End, Request};

    const HERE: Position = Position { boot: 3, seq: 9 };

    /// The bytes with the salt, which is another one each time, blanked.
    fn unsalted(mut bytes: Vec<u8>) -> String {
        let key = b"\"salt\":\"";
        let start = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
        bytes[start..start + 16].fill(b'0');
        String::from_utf8(bytes).unwrap()
    }

    fn reason() -> impl Strategy<Value = Reason> {
        prop::sample::select(Reason::ALL)
    }

    fn action() -> impl Strategy<Value = Action> {
        prop::sample::select(&Action::ALL[..])
    }

    fn rule() -> impl Strategy<Value = RuleName> {
        "[a-z \"\\\\あ]{0,20}x".prop_map(|name| RuleName::new(name).unwrap())
    }

    prop_compose! {
        fn outcomes()(
            at in any::<i64>(), end in prop::sample::select(&End::ALL[..]), status in of(any::<u16>()),
            (bytes_in, bytes_out, total_us) in any::<(u64, u64, u64)>(), upstream_us in of(any::<u64>()),
            action in of(action()), reason in of(reason()), rule in of(rule()),
        ) -> Outcome {
            let (at, more) = (Timestamp(at), Map::new());
            Outcome { at, end, status, bytes_in, bytes_out, upstream_us, total_us, action, reason, rule, more }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_by_hand_is_what_serde_writes_and_reads_back(
            at in any::<i64>(),
            (host, method, path, agent) in (".{0,300}", ".{0,40}", ".{0,40}", of(".{0,300}")),
            controls in "[\u{0}-\u{20}\"\\\\\u{7f}]{0,10}",
            (action, reason, rule) in (action(), reason(), of(rule())),
            (guessed, permit, inside, navigation) in any::<(bool, bool, bool, bool)>(),
            (factors, factor_device) in any::<(Option<u8>, bool)>(),
            ids in of("[a-z0-9あ.@-]{1,20}"),
            source in any::<IpAddr>(),
            networks in prop::collection::vec("[a-z0-9-]{1,10}", 0..3),
            tls in of(prop::sample::select(&["1.2", "1.3"][..])),
        ) {
            let path = format!("/{path}{controls}");
            let app = ids.as_ref().map(|_| AppId::new("kaipoke").unwrap());
            let person = ids.as_ref().map(|id| PersonId::new(id).unwrap());
            let session = ids.as_ref().map(|id| SessionId::new(id).unwrap());
            let device = ids.as_ref().map(|id| DeviceId::new(id).unwrap());
            let login = ids.as_ref().map(|id| LoginId::new(id).unwrap());
            let networks: Vec<_> = networks.iter().map(|name| NetworkName::new(name).unwrap()).collect();
            let intent = RequestIntent {
                at: Timestamp(at), app: app.as_ref(), host: &host, method: &method, path: &path, action, guessed,
                decision: if permit { Decision::Permit } else { Decision::Deny }, reason, rule: rule.as_ref(),
                person: person.as_ref(), session: session.as_ref(), factors, factor_device, device: device.as_ref(),
                serial: ids.as_deref(), client: ids.as_deref(),
                source, networks: &networks, inside, tls, http: "1.1", user_agent: agent.as_deref(), navigation,
                operation: ids.as_deref(), subject: ids.as_deref(), login: login.as_ref(),
            };
            let owned = Record::Request(Box::new(Request::from(&intent)));
            let (mut by_hand, mut by_serde) = (Vec::new(), Vec::new());
            request(&mut by_hand, &intent).unwrap();
            record(&mut by_serde, intent.at, &owned).unwrap();
            let read = read_record(&by_hand, HERE).unwrap();
            prop_assert_eq!((read.at, read.position, &read.record), (intent.at, HERE, &owned));
            prop_assert_eq!(unsalted(by_hand), unsalted(by_serde));
        }

        #[test]
        fn an_outcome_reads_back(given in outcomes(), boot in any::<u32>(), seq in any::<u64>()) {
            let of = Position { boot, seq };
            let mut bytes = Vec::new();
            outcome(&mut bytes, of, &given).unwrap();
            prop_assert_eq!(read_outcome(&bytes, HERE, |_| true).unwrap(), Some((of, given)));
        }
    }

    #[test]
    fn a_reader_keeps_what_it_does_not_know() {
        let read = |text: &str| read_record(text.as_bytes(), HERE).unwrap().record;
        let stop = read(r#"{"v":1,"kind":"stop","at":5,"salt":"00","cause":"terminated","after":"9h"}"#);
        let Record::Stop(stop) = stop else { panic!("{stop:?}") };
        assert_eq!((stop.cause.as_str(), &stop.more["after"]), ("terminated", &"9h".into()));

        for later in [
            r#"{"v":1,"kind":"vote","at":5,"salt":"00","for":"x"}"#,
            r#"{"v":2,"kind":"stop","at":5,"salt":"00","for":"x"}"#,
            r#"{"v":1,"kind":"stop","at":5,"salt":"00","for":"x"}"#,
        ] {
            let Record::Other { kind, fields } = read(later) else { panic!("{later}") };
            assert_eq!(fields["for"], "x");
            assert!(later.contains(&format!("\"{kind}\"")));
        }
    }

    /// Whatever somebody asks for or changes, the verifier finds its record in form.
    #[test]
    fn what_others_put_together_is_in_form() {
        let mut deep = serde_json::json!(1.5);
        for _ in 0..100 {
            deep = serde_json::json!([deep]);
        }
        let Value::Object(odd) = serde_json::json!({
            "large": u64::MAX, "least": i64::MIN, "fraction": 0.5, "zero": -0.0, "exponent": 1e300, "deep": deep,
            "text": "\u{7f}\u{1}\u{2028}", "nested": { "a": [1, 2.5, { "b": u64::MAX }] }, "none": null,
        }) else {
            panic!()
        };
        let words = || ("x".to_owned(), "y".to_owned(), "z".to_owned());
        let ((by, channel, what), (subject, ..)) = (words(), words());
        let reading = crate::record::Reading { by, channel, what, filter: odd.clone(), rows: None, more: Map::new() };
        let (by, channel, what) = words();
        let change = crate::Change { by, channel, what, subject, details: odd, more: Map::new() };
        for record in [Record::Reading(reading), Record::Change(change)] {
            let (mut written, mut leaf) = (Vec::new(), Vec::new());
            super::record(&mut written, Timestamp(1), &record).unwrap();
            let position = Position { boot: 1, seq: 1 };
            crate::log::leaf::compose(&mut leaf, position, &written, crate::log::leaf::Ending::Open).unwrap();
            let text = String::from_utf8_lossy(&leaf);
            let read = audit_verify::leaf::Leaf::parse_strictly(&leaf, &mut audit_verify::leaf::Checker::default());
            assert!(read.is_ok(), "{read:?}: {text}");
            for kept in ["\"18446744073709551615\"", "-9223372036854775808", "\"0.5\"", "[1,\"2.5\",{\"b\":"] {
                assert!(text.contains(kept), "{kept}: {text}");
            }
        }
    }

    #[test]
    fn salts_differ() {
        let salts: std::collections::HashSet<_> = (0..1000).map(|_| salt().unwrap()).collect();
        assert_eq!(salts.len(), 1000);
    }

    #[test]
    fn an_empty_body_is_still_an_object() {
        let mut bytes = Vec::new();
        let other = Record::Other { kind: "later".to_owned(), fields: Map::new() };
        record(&mut bytes, Timestamp(-5), &other).unwrap();
        assert_eq!(unsalted(bytes), r#"{"v":1,"kind":"later","at":-5,"salt":"0000000000000000"}"#);
    }
}
