//! `sekisho audit prove` and `audit export`: records taken out of the log, with what somebody needs who checks them
//! elsewhere with `audit-verify`. `audit new-key`: a second key for the log.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use audit::{Checkpoint, Filter, History, LogFolder, Position, Query, TILE_WIDTH, proof};
use clap::Args;
use serde_json::json;
use vocabulary::{AppId, Clock as _, PersonId, SystemClock};

use super::checkpoint::signers;
use super::filters::nothing_of;
use super::period::Period;
use super::watched::{Asked, there_is_a_record};
use super::{ConfigFile, NO, complain, counted, say, settings};
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
            if let Some(contradiction) = contradiction(&log, &checkpoint, &old)? {
                complain(format_args!("{}: {contradiction}", kept.display()));
                return Ok(ExitCode::from(NO));
            }
            proof::consistency(&log, &checkpoint, old.size)?
        }
        (None, record) => match which(record.as_deref().unwrap_or_default(), &history, &checkpoint)? {
            Ok(index) => proof::inclusion(&log, &checkpoint, index)?,
            Err(why) => {
                complain(why);
                return Ok(ExitCode::from(NO));
            }
        },
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
    let asked = args.period.note(Asked::default(), (from, to)).note("person", args.person.as_ref());
    let asked = asked.note("app", args.app.as_ref());
    let about = json!({
        "filter": asked.as_value(),
        "made_at": SystemClock.now().to_string(),
        "time_zone": zone.name(),
        "by": format!("uid {}", rustix::process::geteuid().as_raw()),
    });
    there_is_a_record(&settings)?;
    let log = history.log();
    let checkpoint = newest(&log)?;
    let filter = Filter { from, to, person: args.person.clone(), app: args.app.clone(), ..Filter::default() };
    // Looked up before the record of this look is made, which would fit, and could not be sealed yet.
    let leaves = history.leaves(Query { filter, ..Query::default() }, checkpoint.size)?;
    asked.record(&settings, "export")?;
    if leaves.indices.is_empty() {
        complain(match leaves.records {
            0 => {
                let (person, app) = (args.person.as_ref(), args.app.as_ref());
                let why = nothing_of(person, app, None, "record", &history, &settings)?;
                format!("{}\nNothing is written.", why.unwrap_or_else(|| "No record fits.".to_owned()))
            }
            _ => format!("What fits is so new that it is not sealed yet; nothing is written. {AGAIN}"),
        });
        return Ok(ExitCode::from(NO));
    }
    let mut held = 0;
    write_new(&args.output, |out| {
        held = proof::export(&log, &checkpoint, &about, leaves.indices, out)?;
        Ok(())
    })?;
    say(format_args!(
        "{} holds {} under the checkpoint of {}. `audit-verify bundle` checks it, offline.",
        args.output.display(),
        counted(held, "record"),
        checkpoint.size
    ));
    if leaves.unsealed > 0 {
        let (many, are) = (counted(leaves.unsealed, "record"), if leaves.unsealed == 1 { "is" } else { "are" });
        complain(format_args!("{many} that would fit {are} not in it, being too new to be sealed yet. {AGAIN}"));
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

/// Why the log does not continue a checkpoint of its name; None: it does.
fn contradiction(log: &LogFolder, newest: &Checkpoint, old: &Checkpoint) -> anyhow::Result<Option<String>> {
    if old.size > newest.size {
        return Ok(Some(format!(
            "the log holds {}, and held {} when this checkpoint was signed: it was cut off or put back to an older state.",
            counted(newest.size, "record"),
            old.size
        )));
    }
    // What was dropped leaves the hashes of whole tiles, and none within them.
    if old.size < log.minimum_index()? && !old.size.is_multiple_of(TILE_WIDTH) {
        bail!(
            "what the log's first {} records hash to can't be told any more: their hashes were dropped with them, because their \
             time was over. A checkpoint of {} records or more can be compared",
            old.size,
            log.minimum_index()?
        );
    }
    let root = log.hashes(newest.size).root_at(old.size)?;
    if root == old.root {
        return Ok(None);
    }
    let why = match signers(log, old).is_empty() {
        false => {
            "A key of this log has signed the checkpoint: history was rewritten since, or the log was put back and went on."
        }
        true => {
            "No key of this log has signed the checkpoint: it is of another log of this name, or this one was made anew."
        }
    };
    Ok(Some(format!(
        "the log contradicts this checkpoint. Its first {} hash to {root}, the checkpoint says {}. {why}",
        counted(old.size, "record"),
        old.root
    )))
}

const AGAIN: &str = "Ask again in half a minute; the gate must be running.";

fn newest(log: &LogFolder) -> anyhow::Result<Checkpoint> {
    log.checkpoint()?.context("nothing is sealed yet: the gate seals some seconds after it has begun to record")
}

/// The record's index in the log, or why it has none.
fn which(record: &str, history: &History, checkpoint: &Checkpoint) -> anyhow::Result<Result<u64, String>> {
    const DROPPED: &str = "This record was dropped, because its time was over.";
    let first = history.log().minimum_index()?;
    if let Ok(index) = record.parse::<u64>() {
        if index >= checkpoint.size {
            let holds = counted(checkpoint.size, "record");
            bail!("the log holds {holds}, counted from 0; there is no record {index}");
        }
        return Ok(if index >= first { Ok(index) } else { Err(DROPPED.to_owned()) });
    }
    let (boot, seq) =
        apps::code::decode(record).with_context(|| format!("`{record}` is neither a number nor a code"))?;
    let position = Position { boot, seq };
    if let Some(index) = history.leaf(position, checkpoint.size)? {
        return Ok(Ok(index));
    }
    let filter = Filter { position: Some(position), ..Filter::default() };
    if history.read(Query { filter, ..Query::default() })?.next().transpose()?.is_some() {
        return Ok(Err(
            "This record is not sealed yet. What is new is sealed within seconds, a request that still goes on after \
                       ten; the gate must be running."
                .to_owned(),
        ));
    }
    let oldest = history.read(Query { limit: Some(1), ..Query::default() })?.next().transpose()?;
    let may_be_gone = first > 0 && oldest.is_some_and(|oldest| position < oldest.position);
    let code = apps::code::encode(boot, seq);
    Ok(Err(match may_be_gone {
        true => format!("If a record had the code {code}, it was dropped, because its time was over."),
        false => format!("No record has the code {code}."),
    }))
}

/// Writes a file that was not there before, for the eyes of who writes it: it tells of people. Half of one does not stay.
fn write_new(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let file = match File::options().write(true).create_new(true).mode(0o600).open(path) {
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
    written.with_context(|| format!("{} could not be written", path.display()))
}
