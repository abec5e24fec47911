//! `sekisho audit sign-ins`: the gate's own login history, out of the record. A session's end stands with its
//! beginning; what was done to people and sessions by others stands in lines of its own.

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;

use apps::{Lang, words};
use audit::{Change, Entry, Filter, History, Query, Record, SignIn, SignOut};
use clap::Args;
use serde::Serialize;
use vocabulary::{Clock as _, DeviceId, PersonId, SystemClock, Timestamp, Zone};

use super::csv::Csv;
use super::names::Names;
use super::period::Period;
use super::watched::Asked;
use super::{ConfigFile, complain, say, settings, table};
use crate::core::audit_path;

#[derive(Debug, Args)]
pub(crate) struct SignIns {
    #[command(flatten)]
    file: ConfigFile,
    /// Only this person's
    #[arg(long)]
    person: Option<PersonId>,
    #[command(flatten)]
    period: Period,
    /// Only attempts that ended so
    #[arg(long, value_parser = ["ok", "wrong", "second-factor", "throttled", "not-allowed", "provider-failed"])]
    result: Option<String>,
    /// Only attempts with this provider, by its id in the configuration
    #[arg(long)]
    provider: Option<String>,
    /// One JSON object per line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// CSV for a spreadsheet: UTF-8 with a byte order mark, CRLF
    #[arg(long)]
    csv: bool,
    /// The language of the CSV's heads
    #[arg(long, requires = "csv", value_parser = ["ja", "en"], default_value = "ja")]
    lang: String,
}

/// Sessions last a day at most; their end is recorded once the gate runs again.
const LONGEST_SESSION_SECS: i64 = 8 * 86_400;

/// A line of the history.
#[derive(Clone, Debug, Default, Serialize)]
struct Line {
    /// In the gate's time zone.
    time: String,
    at: Timestamp,
    /// `sign-in`, `sign-out` (of a session whose beginning is not in the record any more), or the change's word.
    event: String,
    person: Option<String>,
    name: Option<String>,
    facility: Option<String>,
    result: Option<String>,
    /// Why somebody was not let in, as requests have it: `staff-locked`.
    reason: Option<String>,
    /// What was wrong with a provider's answer or account: `nonce`, `mail-unverified`.
    detail: Option<String>,
    provider: Option<String>,
    /// What the provider calls the person.
    account: Option<String>,
    /// `password+totp`; after a failure, what was wrong.
    method: Option<String>,
    factors: Option<u8>,
    source: Option<String>,
    inside: Option<bool>,
    device_name: Option<String>,
    device: Option<String>,
    serial: Option<String>,
    session: Option<String>,
    signed_out: Option<String>,
    cause: Option<String>,
    duration_s: Option<i64>,
    by: Option<String>,
}

pub(crate) fn run(args: &SignIns) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let zone = &settings.gateway.time_zone;
    let (from, to) = args.period.bounds(SystemClock.now(), zone)?;
    let asked = args.period.note(Asked::default(), (from, to)).note("person", args.person.as_ref());
    let asked = asked.note("result", args.result.as_ref()).note("provider", args.provider.as_ref());
    let format = if args.csv { Some("csv") } else { args.json.then_some("json") };
    asked.note("as", format).record(&settings, "sign-ins")?;
    // A session's end may stand long after its beginning, so times are looked at when all is read.
    let filter = Filter {
        kinds: ["sign-in", "sign-out", "change"].map(str::to_owned).to_vec(),
        from: from.map(|from| from.plus_secs(-LONGEST_SESSION_SECS)),
        to: to.map(|to| to.plus_secs(LONGEST_SESSION_SECS)),
        ..Filter::default()
    };
    let names = Names::open(&settings.gateway.data);
    let query = Query { filter, ..Query::default() };
    let entries = History::new(&audit_path(&settings.gateway.data)).read(query)?.collect::<Result<Vec<_>, _>>()?;
    let lines = history(entries.into_iter(), zone, &names);
    let is = |wanted: &Option<String>, value: &Option<String>| wanted.is_none() || wanted == value;
    let lines: Vec<_> = lines
        .into_iter()
        .filter(|line| from.is_none_or(|from| line.at >= from) && to.is_none_or(|to| line.at < to))
        .filter(|line| args.person.as_ref().is_none_or(|p| line.person.as_deref() == Some(p.as_str())))
        .filter(|line| is(&args.result, &line.result) && is(&args.provider, &line.provider))
        .collect();
    if args.json {
        for line in &lines {
            say(serde_json::to_string(line)?);
        }
    } else if args.csv {
        let lang = if args.lang == "en" { Lang::En } else { Lang::Ja };
        csv(std::io::BufWriter::new(std::io::stdout().lock()), &lines, lang)?;
    } else if lines.is_empty() {
        complain(nothing(args, &names));
    } else {
        let head = words::LOGIN_HISTORY.map(|head| head.en.to_uppercase());
        let rows: Vec<_> = lines
            .iter()
            .map(|line| line.cells(Lang::En).map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }).to_vec())
            .collect();
        table(&head.each_ref().map(String::as_str), &rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// Why there is nothing to show, as far as it can be told.
fn nothing(args: &SignIns, names: &Names) -> String {
    match &args.person {
        Some(person) if names.roster.get(person).is_none() => {
            let known: Vec<String> = names.roster.people().iter().map(|person| person.id.to_string()).collect();
            let hint = config::did_you_mean(person.as_str(), &known);
            format!("Nobody on the roster has the ID {person}, and no sign-in of such a person fits{hint}")
        }
        Some(person) => format!("No sign-in of {person} fits."),
        None => "No sign-in fits.".to_owned(),
    }
}

/// Fills in what ids are called now, where the record does not say what they were called then.
fn fill_in(names: &Names, line: &mut Line) {
    let person = line.person.as_deref().and_then(|id| PersonId::new(id).ok());
    if line.name.is_none()
        && line.facility.is_none()
        && let Some((name, facility)) = person.and_then(|id| names.person(&id))
    {
        (line.name, line.facility) = (Some(name), facility);
    }
    let device = line.device.as_deref().and_then(|id| DeviceId::new(id).ok());
    line.device_name = device.and_then(|id| names.device(&id));
}

/// The records as lines, oldest first.
fn history(entries: impl Iterator<Item = Entry>, zone: &Zone, names: &Names) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    // Where the lines of a session are that has not ended yet: a second tab signs in to the first one's.
    let mut open: HashMap<String, Vec<usize>> = HashMap::new();
    for entry in entries {
        let mut line = match &entry.record {
            Record::SignIn(sign_in) => of_sign_in(sign_in),
            Record::SignOut(sign_out) => {
                if let Some(begun) = open.remove(sign_out.session.as_str()) {
                    for at in begun {
                        lines[at].ends(entry.at, &sign_out.cause, zone);
                    }
                    continue;
                }
                of_sign_out(sign_out, entry.at, zone)
            }
            Record::Change(change) if concerns_sign_ins(change) => of_change(change),
            _ => continue,
        };
        line.at = entry.at;
        line.time = zone.display(entry.at);
        fill_in(names, &mut line);
        if let (Some(session), "sign-in") = (&line.session, line.event.as_str()) {
            open.entry(session.clone()).or_default().push(lines.len());
        }
        lines.push(line);
    }
    lines
}

/// Locks, leavers, sessions ended by others, links, and what people sign in with.
fn concerns_sign_ins(change: &Change) -> bool {
    let begins = |begin: &&str| change.what.starts_with(begin);
    let names = |list: &str, wanted: &[&str]| {
        let names = change.details.get(list).and_then(|names| names.as_array());
        names.is_some_and(|names| names.iter().filter_map(|name| name.as_str()).any(|name| wanted.contains(&name)))
    };
    match change.what.as_str() {
        "staff-locked"
        | "staff-unlocked"
        | "staff-retired"
        | "session-ended"
        | "sessions-ended"
        | "factors-reset"
        | "scim-user-deleted"
        | "scim-user-returned"
        | "scim-released"
        | "scim-change-failed"
        | "staff-import-failed" => true,
        // A provider locks and unlocks by one attribute among many.
        "scim-user-changed" => names("changed", &["active"]),
        "scim-user-created" | "scim-user-adopted" => change.details.get("active").is_some_and(|active| active == false),
        // Of a roster file.
        "staff-changed" => names("fields", &["first_day", "last_day"]),
        _ => ["account-", "password-", "totp-", "passkey-", "recovery-", "notice-"].iter().any(begins),
    }
}

fn of_sign_in(sign_in: &SignIn) -> Line {
    let word = |value: serde_json::Result<serde_json::Value>| value.ok()?.as_str().map(str::to_owned);
    Line {
        event: "sign-in".to_owned(),
        person: sign_in.person.as_ref().map(ToString::to_string),
        result: word(serde_json::to_value(sign_in.result)),
        name: sign_in.name.clone(),
        facility: sign_in.facility.clone(),
        reason: sign_in.reason.map(|reason| reason.as_str().to_owned()),
        detail: sign_in.cause.clone(),
        provider: Some(sign_in.provider.clone()),
        account: sign_in.account.clone(),
        method: sign_in.method.clone(),
        factors: Some(sign_in.factors),
        source: Some(sign_in.source.to_string()),
        inside: Some(sign_in.inside),
        device: sign_in.device.as_ref().map(ToString::to_string),
        serial: sign_in.serial.clone(),
        session: sign_in.session.as_ref().map(ToString::to_string),
        ..Line::default()
    }
}

fn of_sign_out(sign_out: &SignOut, at: Timestamp, zone: &Zone) -> Line {
    let mut line = Line {
        event: "sign-out".to_owned(),
        person: Some(sign_out.person.to_string()),
        source: sign_out.source.map(|source| source.to_string()),
        session: Some(sign_out.session.to_string()),
        ..Line::default()
    };
    line.at = at;
    line.ends(at, &sign_out.cause, zone);
    line.duration_s = None;
    line
}

fn of_change(change: &Change) -> Line {
    let person = change.details.get("person").and_then(|person| person.as_str());
    let of_session = change.what == "session-ended";
    let text = |key: &str| change.details.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    Line {
        event: change.what.clone(),
        person: Some(person.unwrap_or(if of_session { "" } else { &change.subject }).to_owned())
            .filter(|p| !p.is_empty()),
        session: of_session.then(|| change.subject.clone()),
        provider: text("provider"),
        account: text("account"),
        detail: detail(change),
        by: Some(change.by.clone()),
        ..Line::default()
    }
}

/// Which way it went, where the word alone does not say.
fn detail(change: &Change) -> Option<String> {
    if let Some(active) = change.details.get("active").and_then(serde_json::Value::as_bool) {
        return Some(if active { "active" } else { "inactive" }.to_owned());
    }
    if let Some(cause) = change.details.get("cause").and_then(|cause| cause.as_str()) {
        return Some(cause.to_owned());
    }
    let new = change.details.get("new")?.as_object()?;
    let days = ["first_day", "last_day"].into_iter().filter_map(|day| {
        let to = new.get(day)?;
        Some(format!("{day}={}", to.as_str().unwrap_or("none")))
    });
    Some(days.collect::<Vec<_>>().join(" ")).filter(|days| !days.is_empty())
}

impl Line {
    fn ends(&mut self, at: Timestamp, cause: &str, zone: &Zone) {
        self.signed_out = Some(zone.display(at));
        self.cause = Some(cause.to_owned());
        self.duration_s = Some(at.secs_since(self.at));
    }

    /// In the order of [`words::LOGIN_HISTORY`].
    fn cells(&self, lang: Lang) -> [String; 22] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let place = |inside| if inside { words::INSIDE } else { words::OUTSIDE }.get(lang).to_owned();
        [
            self.time.clone(),
            self.event.clone(),
            text(&self.person),
            text(&self.name),
            text(&self.facility),
            text(&self.result),
            text(&self.reason),
            text(&self.detail),
            text(&self.provider),
            text(&self.account),
            text(&self.method),
            self.factors.map(|n| n.to_string()).unwrap_or_default(),
            text(&self.source),
            self.inside.map(place).unwrap_or_default(),
            text(&self.device_name),
            text(&self.device),
            text(&self.serial),
            text(&self.session),
            text(&self.signed_out),
            text(&self.cause),
            self.duration_s.map(|secs| secs.to_string()).unwrap_or_default(),
            text(&self.by),
        ]
    }
}

/// Where ids stand that a spreadsheet must not read as numbers: person, account, device, serial number, session.
const IDS: [usize; 5] = [2, 9, 15, 16, 17];

fn csv(out: impl Write, lines: &[Line], lang: Lang) -> std::io::Result<bool> {
    let head = words::LOGIN_HISTORY.map(|head| head.get(lang));
    let mut csv = Csv::begin(out, &head, &IDS)?;
    lines.iter().try_for_each(|line| csv.row(&line.cells(lang)))?;
    csv.end()
}

#[cfg(test)]
mod tests {
    use audit::Position;

    use super::*;

    fn entry(seq: u64, secs: i64, record: Record) -> Entry {
        let position = Position { boot: 1, seq };
        Entry { position, at: Timestamp::from_secs(secs), salt: String::new(), record, outcome: None }
    }

    fn sign_in(session: Option<&str>) -> Record {
        let fields = serde_json::json!({
            "result": if session.is_some() { "ok" } else { "wrong" }, "person": "0012", "provider": "staff",
            "factors": 1, "session": session, "source": "203.0.113.1", "inside": true,
        });
        Record::SignIn(Box::new(serde_json::from_value(fields).unwrap()))
    }

    fn sign_out(session: &str, cause: &str) -> Record {
        let fields = serde_json::json!({ "person": "0012", "session": session, "cause": cause });
        Record::SignOut(serde_json::from_value(fields).unwrap())
    }

    #[test]
    fn a_session_is_one_line_and_each_end_belongs_to_its_beginning() {
        let entries = [
            entry(1, 5, sign_out("s-old", "idle")),
            entry(2, 10, sign_in(Some("s-1"))),
            // A second tab.
            entry(2, 12, sign_in(Some("s-1"))),
            entry(3, 20, sign_in(Some("s-2"))),
            entry(4, 30, sign_in(None)),
            entry(5, 100, sign_out("s-2", "sign-out")),
            entry(6, 910, sign_out("s-1", "idle")),
        ];
        let lines = history(entries.into_iter(), &Zone::UTC, &Names::default());
        let told: Vec<_> =
            lines.iter().map(|l| (l.event.as_str(), l.session.as_deref(), l.cause.as_deref(), l.duration_s)).collect();
        assert_eq!(
            told,
            [
                ("sign-out", Some("s-old"), Some("idle"), None),
                ("sign-in", Some("s-1"), Some("idle"), Some(900)),
                ("sign-in", Some("s-1"), Some("idle"), Some(898)),
                ("sign-in", Some("s-2"), Some("sign-out"), Some(80)),
                ("sign-in", None, None, None),
            ]
        );
    }

    #[test]
    fn what_keeps_people_out_is_told_whoever_did_it_and_the_rest_is_not() {
        let change = |what: &str, details: serde_json::Value| {
            let fields = serde_json::json!({
                "by": "scim:entra", "channel": "scim", "what": what, "subject": "0012", "details": details,
            });
            Record::Change(serde_json::from_value(fields).unwrap())
        };
        let json = |text: &str| serde_json::from_str(text).unwrap();
        let entries = [
            entry(1, 1, change("scim-user-changed", json(r#"{"changed":["active","displayName"],"active":false}"#))),
            entry(2, 2, change("scim-user-changed", json(r#"{"changed":["displayName"],"active":true}"#))),
            entry(3, 3, change("staff-changed", json(r#"{"fields":["last_day"],"new":{"last_day":"2026-11-30"}}"#))),
            entry(4, 4, change("staff-changed", json(r#"{"fields":["mail"],"new":{"mail":"a@b.example"}}"#))),
            entry(5, 5, change("account-linked", json(r#"{"provider":"idp","account":"117"}"#))),
            entry(6, 6, change("factors-reset", json("{}"))),
            entry(7, 7, change("device-issued", json("{}"))),
        ];
        let lines = history(entries.into_iter(), &Zone::UTC, &Names::default());
        assert!(lines.iter().all(|l| l.person.as_deref() == Some("0012") && l.by.as_deref() == Some("scim:entra")));
        let told: Vec<_> =
            lines.iter().map(|l| (l.event.as_str(), l.detail.as_deref(), l.account.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("scim-user-changed", Some("inactive"), None),
                ("staff-changed", Some("last_day=2026-11-30"), None),
                ("account-linked", None, Some("117")),
                ("factors-reset", None, None),
            ]
        );
    }

    #[test]
    fn a_spreadsheet_takes_the_history_for_text() {
        let mut line = history([entry(1, 0, sign_in(Some("s-1")))].into_iter(), &Zone::UTC, &Names::default());
        line[0].name = Some("=1+1".to_owned());
        line[0].facility = Some("さくら, \"本部\"".to_owned());
        let mut out = Vec::new();
        csv(&mut out, &line, Lang::Ja).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("\u{feff}日時,種別,職員ID,"), "{text}");
        assert!(text.contains("\r\n1970/01/01 00:00:00,sign-in,'0012,'=1+1,\"さくら, \"\"本部\"\"\",ok,"), "{text}");
    }
}
