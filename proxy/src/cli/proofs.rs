//! `sekisho audit prove` and `audit export`: records taken out of the log, with what somebody needs who checks them
//! elsewhere with `audit-verify`. `audit new-key`: a second key for the log.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use audit::{Checkpoint, Filter, History, LogFolder, Query, proof};
use clap::Args;
use serde_json::json;
use vocabulary::{AppId, Clock as _, PersonId, SystemClock};

use super::period::Period;
use super::watched::Asked;
use super::{ConfigFile, NO, complain, say, settings};
use crate::core::audit_path;

#[derive(Debug, Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    file: ConfigFile,
    /// Which record: its number in the log, counted from 0, or the short code of a page, such as 3F-7K2Q
    #[arg(required_unless_present = "since")]
    record: Option<String>,
    /// Instead: prove that the log continues the checkpoint in this file, which somebody kept
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    since: Option<PathBuf>,
    /// Where to write it; standard output without it
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    period: Period,
    /// Only what this person did, or what was done to them
    #[arg(long)]
    person: Option<PersonId>,
    /// Only requests to this app
    #[arg(long)]
    app: Option<AppId>,
    /// With the proof that each record stands in the log as it is
    #[arg(long, required = true)]
    proof: bool,
    /// Read the whole log instead of asking its index where to look, which takes minutes where there are millions of records
    #[arg(long)]
    thorough: bool,
    /// Where to write it, such as tanaka-2026-11.sekisho-export
    #[arg(long, short = 'o', value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    #[command(flatten)]
    file: ConfigFile,
    /// The file to make; nobody but the gate's user may read it
    key: PathBuf,
}

pub(crate) fn prove(args: &Prove) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let history = History::new(&audit_path(&settings.gateway.data));
    let asked = Asked::default().note("record", args.record.as_ref());
    asked.flag("since", args.since.is_some()).record(&settings, "prove")?;
    let log = history.log();
    let checkpoint = newest(&log)?;
    let text = match (&args.since, &args.record) {
        (Some(kept), _) => {
            let note = std::fs::read_to_string(kept).with_context(|| format!("{} can't be read", kept.display()))?;
            let old = Checkpoint::parse(&note).map_err(|why| anyhow::anyhow!("{}: {why}", kept.display()))?;
            if old.origin != checkpoint.origin {
                bail!("{} is a checkpoint of {}, this log is {}", kept.display(), old.origin, checkpoint.origin);
            }
            if old.size > checkpoint.size {
                complain(format_args!(
                    "The log holds {} records, and held {} when the checkpoint was signed: it was cut off or put back to an older \
                     state.",
                    checkpoint.size, old.size
                ));
                return Ok(ExitCode::from(NO));
            }
            proof::consistency(&log, &checkpoint, old.size)?
        }
        (None, record) => {
            let Some(index) = which(record.as_deref().unwrap_or_default(), &history, &checkpoint)? else {
                complain(
                    "This record is not sealed yet, or was dropped because its time was over. What is new is sealed within seconds, a request that still goes on after ten.",
                );
                return Ok(ExitCode::from(NO));
            };
            proof::inclusion(&log, &checkpoint, index)?
        }
    };
    match &args.output {
        Some(path) => {
            write_new(path, |out| Ok(out.write_all(text.as_bytes())?))?;
            say(format_args!("{} is written. `audit-verify` checks it, offline.", path.display()));
        }
        None => say(text.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn export(args: &Export) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let zone = &settings.gateway.time_zone;
    let history = History::new(&audit_path(&settings.gateway.data)).thorough(args.thorough);
    let (from, to) = args.period.bounds(SystemClock.now(), zone)?;
    let asked = args.period.note(Asked::default()).note("person", args.person.as_ref());
    let asked = asked.note("app", args.app.as_ref());
    let about = json!({
        "filter": asked.as_value(),
        "made_at": SystemClock.now().to_string(),
        "time_zone": zone.name(),
        "by": format!("uid {}", rustix::process::geteuid().as_raw()),
    });
    asked.record(&settings, "export")?;
    let log = history.log();
    let checkpoint = newest(&log)?;
    let filter = Filter { from, to, person: args.person.clone(), app: args.app.clone(), ..Filter::default() };
    let leaves = history.leaves(Query { filter, ..Query::default() }, checkpoint.size)?;
    if leaves.indices.is_empty() {
        complain(match leaves.records {
            0 => "No record fits; nothing is written.",
            _ => "What fits is so new that it is not sealed yet; nothing is written. Ask again in half a minute.",
        });
        return Ok(ExitCode::from(NO));
    }
    write_new(&args.output, |out| Ok(proof::export(&log, &checkpoint, &about, leaves.indices, out).map(drop)?))?;
    say(format_args!(
        "{} holds {} records under the checkpoint of {}. `audit-verify bundle` checks it, offline.",
        args.output.display(),
        leaves.records - leaves.unsealed,
        checkpoint.size
    ));
    if leaves.unsealed > 0 {
        complain(format_args!(
            "{} records are not in it: they are so new that they are not sealed yet. Ask again in half a minute.",
            leaves.unsealed
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn new_key(args: &NewKey) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    if args.key.exists() {
        bail!("{} is there already; it is left as it is", args.key.display());
    }
    let key = audit::read_or_make_key(&args.key, &settings.audit.log.origin)?;
    say(format_args!("{} is made. Write it into the configuration:", args.key.display()));
    say(format_args!("  audit:\n    log:\n      second_key_file: {}", args.key.display()));
    say("Whoever verifies needs its other half:");
    say(format_args!("  {}", key.verifier()));
    Ok(ExitCode::SUCCESS)
}

fn newest(log: &LogFolder) -> anyhow::Result<Checkpoint> {
    log.checkpoint()?.context("nothing is sealed yet: the gate seals some seconds after it has begun to record")
}

/// The record's index in the log; None: there is none yet, or no more.
fn which(record: &str, history: &History, checkpoint: &Checkpoint) -> anyhow::Result<Option<u64>> {
    if let Ok(index) = record.parse::<u64>() {
        if index >= checkpoint.size {
            bail!("the log holds {} records, counted from 0; there is no record {index}", checkpoint.size);
        }
        return Ok((index >= history.log().minimum_index()?).then_some(index));
    }
    let (boot, seq) =
        apps::code::decode(record).with_context(|| format!("`{record}` is neither a number nor a code"))?;
    Ok(history.leaf(audit::Position { boot, seq }, checkpoint.size)?)
}

/// Writes a file that was not there before; half of one does not stay.
fn write_new(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let file = match File::options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already; it is left as it is", path.display());
        }
        opened => opened.with_context(|| format!("{} can't be written", path.display()))?,
    };
    let mut out = BufWriter::new(file);
    let written = write(&mut out).and_then(|()| {
        out.flush()?;
        Ok(out.get_ref().sync_all()?)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}
