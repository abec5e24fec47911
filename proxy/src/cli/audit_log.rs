//! `sekisho audit`: reading the record, also while the gate writes it. Each look at it is itself recorded first.

use std::process::ExitCode;
use std::time::Duration;

use audit::{Entry, Filter, Follow, Record};
use clap::{Args, Subcommand};
use vocabulary::{PersonId, Zone};

use super::checkpoint::Checkpoint;
use super::logins::{Logins, SharedIds};
use super::operations::{Operations, Subject};
use super::person::Person;
use super::proofs::{Export, NewKey, Prove};
use super::readings::Acts;
use super::requests::{Requests, row};
use super::sheet::words;
use super::sign_ins::SignIns;
use super::strangers::StrangersArgs;
use super::watched::{Asked, Recorded};
use super::{ConfigFile, complain, say, settings};
use crate::core::audit_path;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// The requests that were judged, oldest first
    Requests(Box<Requests>),
    /// The gate's own login history: who signed in, who could not and why, how each session ended
    SignIns(SignIns),
    /// Logins to the SaaS: who, as which login ID, from where, and when it ended
    Logins(Box<Logins>),
    /// What was done in the SaaS
    Operations(Box<Operations>),
    /// One person's timeline; today's, if no time is given
    Person(Person),
    /// Login IDs that several people use, and people who use several
    SharedIds(SharedIds),
    /// Who opened or changed one record, such as resident/1234
    Subject(Box<Subject>),
    /// Requests of strangers beyond the rate, which were only counted, by source and minute
    Strangers(StrangersArgs),
    /// Who looked at records or took some away
    Readings(Acts),
    /// Who changed, issued or revoked something
    Changes(Acts),
    /// Every record as it is written, until interrupted
    Tail(Tail),
    /// The newest checkpoint of the log, and where it is kept elsewhere
    Checkpoint(Checkpoint),
    /// Take one record out of the log, with the proof that it stands there
    Prove(Prove),
    /// Take records out of the log into a bundle that proves each of them
    Export(Export),
    /// Make a second key that signs the log's checkpoints
    NewKey(NewKey),
    /// Make the index anew, by which requests are found; the log itself is not touched
    Reindex(ConfigFile),
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    file: ConfigFile,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Requests(args) => super::requests::run(args),
        AuditCommand::SignIns(args) => super::sign_ins::run(args),
        AuditCommand::Logins(args) => super::logins::run(args),
        AuditCommand::Operations(args) => super::operations::run(args),
        AuditCommand::Person(args) => super::person::run(args),
        AuditCommand::SharedIds(args) => super::logins::shared(args),
        AuditCommand::Subject(args) => super::operations::subject(args),
        AuditCommand::Strangers(args) => super::strangers::run(args),
        AuditCommand::Readings(args) => super::readings::readings(args),
        AuditCommand::Changes(args) => super::readings::changes(args),
        AuditCommand::Tail(args) => tail(args),
        AuditCommand::Checkpoint(args) => super::checkpoint::run(args),
        AuditCommand::Prove(args) => super::proofs::prove(args),
        AuditCommand::Export(args) => super::proofs::export(args),
        AuditCommand::NewKey(args) => super::proofs::new_key(args),
        AuditCommand::Reindex(file) => super::reindex::run(file),
    }
}

fn tail(args: &Tail) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let recorded = Asked::default().flag("json", args.json).record(&settings, "tail")?;
    if recorded == Recorded::WithoutIt {
        complain("No gate is running. This waits until one is started, and shows what it records.");
    }
    let mut follow = Follow::from_end(&audit_path(&settings.gateway.data), Filter::default())?;
    loop {
        for entry in follow.poll()? {
            match args.json {
                true => say(serde_json::to_string(&entry)?),
                false => say(line(&entry, &settings.gateway.time_zone).join("  ")),
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// One record on one line: a request as in the table, anything else as who, what and how it came out.
fn line(entry: &Entry, zone: &Zone) -> Vec<String> {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let told = match &entry.record {
        Record::Request(_) => return row(entry, zone),
        Record::Aggregate(counted) => {
            let of = if counted.count == 1 { "request of a stranger" } else { "requests of strangers" };
            let requests = format!("{} {of}", counted.count);
            vec![
                or_dash(counted.source.as_deref()),
                requests,
                format!("the minute from {}", zone.display(counted.minute)),
            ]
        }
        Record::SignIn(sign_in) => {
            let result = serde_json::to_value(sign_in.result).ok();
            let why = sign_in.reason.map(|reason| reason.as_str()).or(sign_in.cause.as_deref());
            let by = [Some(sign_in.provider.as_str()), sign_in.method.as_deref()];
            vec![
                or_dash(sign_in.person.as_ref().map(PersonId::as_str)),
                or_dash(result.as_ref().and_then(|result| result.as_str())),
                or_dash(why),
                by.into_iter().flatten().filter(|by| !by.is_empty()).collect::<Vec<_>>().join("/"),
                sign_in.source.to_string(),
                or_dash(sign_in.device.as_ref().map(vocabulary::DeviceId::as_str)),
            ]
        }
        Record::SignOut(out) => vec![out.person.to_string(), out.cause.clone()],
        Record::Login(login) => vec![
            or_dash(login.person.as_ref().map(PersonId::as_str)),
            login.app.to_string(),
            login.result.as_str().to_owned(),
            or_dash(login.cause.as_deref()),
            or_dash(login.saas_id.as_deref()),
            login.source.to_string(),
            or_dash(login.device.as_ref().map(vocabulary::DeviceId::as_str)),
        ],
        Record::LoginEnd(end) => vec![
            or_dash(end.person.as_ref().map(PersonId::as_str)),
            end.app.to_string(),
            end.login.to_string(),
            end.cause.clone(),
            zone.display(end.ended),
        ],
        Record::Change(change) => vec![change.by.clone(), change.what.clone(), change.subject.clone()],
        Record::Reading(reading) => {
            vec![reading.by.clone(), reading.what.clone(), words(&reading.filter)]
        }
        Record::Start(start) => vec![format!("version {}", start.version), sha256(start.configuration.as_deref())],
        Record::Stop(stop) => vec![stop.cause.clone()],
        Record::Recovery(found) => {
            let lost: u64 = found.lost.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1)).sum();
            let (cut, damaged) = (found.truncated_bytes, found.quarantined.len());
            vec![
                format!("boot {}", found.of_boot),
                format!("{cut} bytes cut off, {damaged} damaged files, {lost} lost"),
            ]
        }
        Record::Reload(reload) => {
            let result = if reload.accepted { "in force" } else { "not valid: the last good one stays" };
            vec![result.to_owned(), sha256(reload.configuration.as_deref())]
        }
        Record::ClockAccepted(accepted) => {
            vec![accepted.by.clone(), format!("the newest record is of {}", zone.display(accepted.newest))]
        }
        Record::Retention(dropped) => {
            vec![format!("what lay before {} was dropped, its time was over", zone.display(dropped.before))]
        }
        Record::Heartbeat(_) | Record::Other { .. } => Vec::new(),
    };
    [zone.display(entry.at), entry.record.kind().to_owned()].into_iter().chain(told).collect()
}

fn sha256(digest: Option<&str>) -> String {
    digest.map_or_else(|| "-".to_owned(), |digest| format!("configuration {digest}"))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use audit::{Aggregate, Change, Position, Reading, Recovered, Reload, SignIn, SignInResult, SignOut};
    use serde_json::Map;
    use vocabulary::{Reason, SessionId, Timestamp};

    use super::*;

    fn told(record: Record) -> String {
        let position = Position { boot: 1, seq: 1 };
        let at = Timestamp::from_secs(1_793_500_000);
        line(&Entry { position, at, salt: String::new(), record, outcome: None }, &Zone::UTC).join("  ")
    }

    #[test]
    fn what_is_no_request_says_who_what_and_how_it_came_out() {
        let tanaka = PersonId::new("tanaka").unwrap();
        let sign_in = SignIn {
            result: SignInResult::NotAllowed,
            reason: Some(Reason::StaffRetired),
            name: None,
            facility: None,
            person: Some(tanaka.clone()),
            provider: "staff".to_owned(),
            account: None,
            cause: None,
            factors: 0,
            method: Some("password".to_owned()),
            passkey: None,
            session: None,
            device: None,
            serial: None,
            source: IpAddr::from([203, 0, 113, 10]),
            networks: Vec::new(),
            inside: false,
            user_agent: None,
            more: Map::new(),
        };
        let session = SessionId::new("s-1").unwrap();
        let change = Change {
            by: "os:root(0)".to_owned(),
            channel: "control-socket".to_owned(),
            what: "staff-locked".to_owned(),
            subject: "tanaka".to_owned(),
            details: Map::new(),
            more: Map::new(),
        };
        let minute = Timestamp::from_secs(1_793_499_960);
        let counted = Aggregate { source: None, minute, count: 57, first: minute, last: minute, more: Map::new() };
        let recovered = Recovered { of_boot: 3, truncated_bytes: 12, lost: vec![(5, 6)], ..Recovered::default() };
        for (record, expected) in [
            (
                Record::SignIn(Box::new(sign_in)),
                "sign-in  tanaka  not-allowed  staff-retired  staff/password  203.0.113.10  -",
            ),
            (
                Record::SignOut(SignOut {
                    person: tanaka,
                    session,
                    cause: "idle".to_owned(),
                    source: None,
                    more: Map::new(),
                }),
                "sign-out  tanaka  idle",
            ),
            (
                Record::Reading(Reading {
                    by: "os:0".to_owned(),
                    channel: "offline".to_owned(),
                    what: "requests".to_owned(),
                    filter: serde_json::from_str(r#"{"person":"tanaka","limit":5}"#).unwrap(),
                    rows: None,
                    more: Map::new(),
                }),
                "reading  os:0  requests  person=tanaka limit=5",
            ),
            (Record::Change(change), "change  os:root(0)  staff-locked  tanaka"),
            (Record::Aggregate(counted), "aggregate  -  57 requests of strangers  the minute from"),
            (
                Record::Reload(Reload { accepted: false, configuration: None, more: Map::new() }),
                "reload  not valid: the last good one stays  -",
            ),
            (Record::Recovery(recovered), "recovery  boot 3  12 bytes cut off, 0 damaged files, 2 lost"),
        ] {
            let line = told(record);
            let (time, rest) = line.split_once("  ").unwrap();
            assert!(time.starts_with("2026"), "{time}");
            assert!(rest.starts_with(expected), "{rest}");
        }
    }
}
