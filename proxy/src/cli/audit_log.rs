//! `sekisho audit`: reading the record, also while the gate writes it.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use audit::{Entry, Filter, Follow, Position, Record};
use clap::{Args, Subcommand};
use vocabulary::{AppId, PersonId, Timestamp, Zone};

use super::sign_ins::SignIns;
use super::{ConfigFile, say, settings, table};
use crate::core::journal_path;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// The requests that were judged, oldest first
    Requests(Requests),
    /// The gate's own login history: who signed in, who could not and why, how each session ended
    SignIns(SignIns),
    /// Every record as it is written, until interrupted
    Tail(Tail),
}

#[derive(Debug, Args)]
pub(crate) struct Requests {
    #[command(flatten)]
    file: ConfigFile,
    /// Only this person's
    #[arg(long)]
    person: Option<PersonId>,
    /// Only this app's
    #[arg(long)]
    app: Option<AppId>,
    /// From this time on: 2026-11-01, 2026-11-01T09:00 (the gate's time zone) or 2026-11-01T00:00:00Z
    #[arg(long)]
    from: Option<String>,
    /// Before this time
    #[arg(long)]
    to: Option<String>,
    /// Only what was so decided
    #[arg(long, value_parser = ["permit", "deny"])]
    decision: Option<String>,
    /// Only the request that a page's short code names, such as 3F-7K2Q
    #[arg(long)]
    code: Option<String>,
    /// At most this many, the newest
    #[arg(long, short = 'n')]
    limit: Option<usize>,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
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
        AuditCommand::Requests(args) => requests(args),
        AuditCommand::SignIns(args) => super::sign_ins::run(args),
        AuditCommand::Tail(args) => tail(args),
    }
}

fn requests(args: &Requests) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let zone = &settings.gateway.time_zone;
    let time = |text: &Option<String>| text.as_deref().map(|t| Timestamp::parse(t, zone)).transpose();
    let wanted = args.code.as_deref().map(apps::code::decode).transpose()?;
    let filter = Filter {
        kind: Some("request".to_owned()),
        kinds: Vec::new(),
        person: args.person.clone(),
        app: args.app.clone(),
        from: time(&args.from)?,
        to: time(&args.to)?,
        decision: match args.decision.as_deref() {
            Some("permit") => Some(audit::Decision::Permit),
            Some("deny") => Some(audit::Decision::Deny),
            _ => None,
        },
        position: wanted.map(|(boot, seq)| Position { boot, seq }),
        limit: args.limit,
    };
    let entries = audit::read(&journal_path(&settings.gateway.data), &filter)?;
    let mut rows = Vec::new();
    for entry in entries {
        if args.json {
            say(serde_json::to_string(&entry)?);
        } else {
            rows.push(row(&entry, zone));
        }
    }
    if !args.json {
        table(
            &["TIME", "PERSON", "APP", "ACTION", "DECISION", "REASON", "STATUS", "SOURCE", "DEVICE", "REQUEST"],
            &rows,
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &Entry, zone: &Zone) -> Vec<String> {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let Record::Request(request) = &entry.record else { return Vec::new() };
    let outcome = entry.outcome.as_ref();
    let reason = outcome.and_then(|o| o.reason).unwrap_or(request.reason);
    let action = outcome.and_then(|o| o.action).unwrap_or(request.action);
    let source: IpAddr = request.source;
    // Judged twice: a download that was refused on the response's head was refused.
    let decision = match outcome.map(|o| o.end) {
        Some(audit::End::DeniedResponse) => audit::Decision::Deny.as_str(),
        _ => request.decision.as_str(),
    };
    vec![
        zone.display(entry.at),
        or_dash(request.person.as_ref().map(PersonId::as_str)),
        or_dash(request.app.as_ref().map(AppId::as_str)),
        if request.guessed { format!("{action}?") } else { action.to_string() },
        decision.to_owned(),
        reason.to_string(),
        outcome.and_then(|o| o.status).map_or_else(|| "-".to_owned(), |s| s.to_string()),
        source.to_string(),
        or_dash(request.device.as_ref().map(vocabulary::DeviceId::as_str)),
        format!("{} {}", request.method, request.path),
    ]
}

fn tail(args: &Tail) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let mut follow = Follow::from_end(&journal_path(&settings.gateway.data), Filter::default())?;
    loop {
        for entry in follow.poll()? {
            if args.json {
                say(serde_json::to_string(&entry)?);
            } else if matches!(entry.record, Record::Request(_)) {
                say(row(&entry, &settings.gateway.time_zone).join("  "));
            } else {
                say(format_args!("{}  {}", settings.gateway.time_zone.display(entry.at), entry.record.kind()));
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
