//! `sekisho audit checkpoint`: the newest tree head, and who keeps which one.

use std::path::Path;
use std::process::ExitCode;

use audit::kept::{Shelf, State, Target};
use audit::{Dropped, History, LogFolder};
use clap::Args;
use config::Settings;
use serde_json::{Value, json};
use vocabulary::{Clock as _, SystemClock, Timestamp};

use super::watched::there_is_a_record;
use super::{ConfigFile, NO, RefusedByGate, complain, lines, say, settings, table};
use crate::control::{self, ClientError, Command, Reply};
use crate::core::{audit_path, kept_path, log_path, socket_path};

#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    #[command(flatten)]
    file: ConfigFile,
    /// Have the running gate bring it to every place that keeps checkpoints, now
    #[arg(long)]
    send: bool,
    /// Print all of it as JSON, instead of the checkpoint on standard output and the rest beside it
    #[arg(long)]
    json: bool,
}

/// Exit code 1: nothing was sealed yet, or records can't be sealed; a place is overdue or contradicts the log; with `--send`, a place did not take it.
pub(crate) fn run(args: &Checkpoint) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    there_is_a_record(&settings)?;
    if args.send { send(&settings, args.json) } else { show(&settings, args.json) }
}

fn show(settings: &Settings, as_json: bool) -> anyhow::Result<ExitCode> {
    let data = &settings.gateway.data;
    let log = LogFolder::new(&log_path(data));
    let newest = log.checkpoint()?;
    let keys = newest.as_ref().map_or_else(Vec::new, |newest| signers(&log, newest));
    let signed = newest.as_ref().and_then(|_| written(&log.path().join("checkpoint")));
    let now = SystemClock.now();
    let dropped = dropped(settings)?;
    let sealing = sealing(settings);
    let mut good = newest.is_some() && sealing["problem"].is_null();
    let mut places = Vec::new();
    for target in &settings.audit.checkpoints.targets {
        let state = Shelf::new(&kept_path(data), &target.id).load()?;
        let overdue = state.is_overdue(newest.as_ref(), settings.audit.checkpoints.every, now);
        good &= !overdue && state.contradiction.is_none();
        places.push(Standing { target, state, overdue });
    }
    let display = |at: Timestamp| settings.gateway.time_zone.display(at);
    if as_json {
        let value = json!({
            "origin": newest.as_ref().map(|newest| &newest.origin),
            "size": newest.as_ref().map(|newest| newest.size),
            "root": newest.as_ref().map(|newest| newest.root.to_string()),
            "note": newest.as_ref().map(audit::Checkpoint::as_str),
            "signed": signed.map(display),
            "keys": keys,
            "dropped": dropped.map(|dropped| {
                json!({ "below": dropped.below, "before": dropped.before.map(display) })
            }),
            "sealing": sealing,
            "kept": places.iter().map(|place| place.value(&display)).collect::<Vec<_>>(),
        });
        say(serde_json::to_string_pretty(&value)?);
    } else {
        match &newest {
            Some(newest) => {
                tell(newest, signed.map(display), &keys);
                if let Some(dropped) = dropped {
                    let before = dropped.before.map_or_else(|| "a time not known".to_owned(), display);
                    complain(format_args!("dropped: records before {before} (leaves below {})", dropped.below));
                }
            }
            None => complain("Nothing was sealed yet, so there is no checkpoint. It comes with the first records."),
        }
        if !places.is_empty() {
            complain("");
            let rows: Vec<_> = places.iter().map(|place| place.row(&display)).collect();
            lines(&["PLACE", "KIND", "RECORDS", "KEPT", "STANDING"], &rows).into_iter().for_each(complain);
        }
    }
    if let Some(problem) = sealing["problem"].as_str() {
        let waiting = &sealing["waiting"];
        complain(format_args!("warning: records can't be sealed ({waiting} wait in the journal): {problem}"));
    }
    for advice in crate::kept::advice(settings) {
        complain(format_args!("warning: {advice}"));
    }
    for place in &places {
        if let Some(contradiction) = place.state.contradiction {
            complain(format_args!("warning: {}: {contradiction}", place.target.id));
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// What was dropped because its time was over, if there is a record at all.
fn dropped(settings: &Settings) -> anyhow::Result<Option<Dropped>> {
    let audit = audit_path(&settings.gateway.data);
    Ok(if audit.is_dir() { History::new(&audit).dropped()? } else { None })
}

/// What a running gate says of the sealing; nothing if none runs, or if it is of an earlier version.
fn sealing(settings: &Settings) -> Value {
    match control::ask(&socket_path(&settings.gateway.data), &Command::AuditSealing) {
        Ok(Reply::Done(sealing)) => sealing,
        _ => Value::Null,
    }
}

/// The keys that lie beside the log, as far as they have signed a checkpoint: whoever can write to the folder could
/// add others, and this is what an auditor is given.
pub(super) fn signers(log: &LogFolder, checkpoint: &audit::Checkpoint) -> Vec<String> {
    let published = std::fs::read_to_string(log.path().join("log.vkey")).unwrap_or_default();
    let signed = |line: &&str| audit::VerifierKey::parse(line).is_some_and(|key| key.verify(checkpoint).is_ok());
    published.lines().filter(signed).map(str::to_owned).collect()
}

/// Standard output holds the checkpoint as it was signed and nothing else, so that it can be kept as a file; the rest is for
/// who reads along.
fn tell(newest: &audit::Checkpoint, signed: Option<String>, keys: &[String]) {
    say(newest.as_str().trim_end());
    complain(format_args!("\nrecords: {}", newest.size));
    complain(format_args!("signed:  {}", signed.unwrap_or_else(|| "not known".to_owned())));
    for key in keys {
        complain(format_args!("key:     {key}"));
    }
}

struct Standing<'a> {
    target: &'a Target,
    state: State,
    overdue: bool,
}

impl Standing<'_> {
    fn word(&self) -> &'static str {
        match (self.state.contradiction, self.overdue, &self.state.kept) {
            (Some(contradiction), ..) => contradiction.as_str(),
            (None, true, _) => "overdue",
            (None, false, Some(_)) => "ok",
            (None, false, None) => "not yet",
        }
    }

    /// What went wrong last, if anything is on its way.
    fn error(&self) -> Option<&str> {
        self.state.pending.as_ref()?.error.as_deref()
    }

    fn value(&self, display: &impl Fn(Timestamp) -> String) -> Value {
        let kept = self.state.kept.as_ref();
        json!({
            "id": self.target.id,
            "kind": self.target.kind().as_str(),
            "standing": self.word(),
            "overdue": self.overdue,
            "size": kept.map(|kept| kept.size),
            "root": kept.map(|kept| &kept.root),
            "kept": kept.map(|kept| display(kept.at)),
            "word": kept.map(|kept| &kept.word),
            "receipt": kept.and_then(|kept| kept.receipt.as_ref()),
            "error": self.error(),
            "contradiction": self.state.contradiction,
        })
    }

    fn row(&self, display: &impl Fn(Timestamp) -> String) -> Vec<String> {
        let kept = self.state.kept.as_ref();
        let dash = || "-".to_owned();
        let standing = match self.error() {
            // What is kept is recent enough, and the next one is on its way.
            Some(error) if self.word() == "ok" => format!("ok, but the newest is not there yet: {error}"),
            Some(error) => format!("{}: {error}", self.word()),
            None => self.word().to_owned(),
        };
        vec![
            self.target.id.clone(),
            self.target.kind().as_str().to_owned(),
            kept.map_or_else(dash, |kept| kept.size.to_string()),
            kept.map_or_else(dash, |kept| display(kept.at)),
            standing,
        ]
    }
}

/// When a file was written: a checkpoint itself does not say.
fn written(path: &Path) -> Option<Timestamp> {
    let since = path.metadata().ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(Timestamp)
}

fn send(settings: &Settings, as_json: bool) -> anyhow::Result<ExitCode> {
    if settings.audit.checkpoints.targets.is_empty() {
        complain(format_args!("warning: {}", crate::kept::NOBODY));
        return Ok(ExitCode::from(NO));
    }
    let rows = match control::ask(&socket_path(&settings.gateway.data), &Command::CheckpointSend) {
        Ok(Reply::Done(rows)) => rows,
        Ok(Reply::Refused(why)) => return Err(RefusedByGate::new(why).into()),
        Ok(Reply::Failed(why)) => anyhow::bail!("{why}"),
        Err(ClientError::NotRunning) => anyhow::bail!("no gate is running, and only a running gate sends; start it"),
        Err(error) => return Err(error.into()),
    };
    let rows: Vec<Value> = rows.as_array().cloned().unwrap_or_default();
    let good = !rows.is_empty() && rows.iter().all(|row| matches!(row["result"].as_str(), Some("kept" | "there")));
    if as_json {
        say(serde_json::to_string_pretty(&rows)?);
    } else {
        let text = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let cells = |row: &Value| ["id", "kind", "result", "size", "word"].map(|key| text(&row[key])).to_vec();
        let cells: Vec<_> = rows.iter().map(cells).collect();
        table(&["PLACE", "KIND", "RESULT", "RECORDS", "WORD"], &cells);
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}
