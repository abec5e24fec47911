//! `sekisho audit reindex`: the index made anew from the log, by the running gate or, with none running, here.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use audit::{History, Index};
use config::Settings;

use super::watched::there_is_a_record;
use super::{ConfigFile, complain, counted, say, settings};
use crate::control::{self, ClientError, Command, Reply};
use crate::core::{audit_path, lock, socket_path};

pub(crate) fn run(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let settings = settings(&file.config)?.settings;
    there_is_a_record(&settings)?;
    let socket = socket_path(&settings.gateway.data);
    let ask = |anew: bool| -> anyhow::Result<Option<Standing>> {
        match control::ask(&socket, &Command::AuditIndex { anew }) {
            Ok(Reply::Done(value)) => {
                let number = |key: &str| value[key].as_u64().context("the gate's answer lacks a number");
                let text = |key: &str| value[key].as_str().map(str::to_owned);
                let (problem, sealing) = (text("problem"), text("sealing"));
                Ok(Some(Standing { indexed: number("indexed")?, size: number("size")?, problem, sealing }))
            }
            Ok(Reply::Refused(why) | Reply::Failed(why)) => anyhow::bail!("{why}"),
            Err(ClientError::NotRunning) => Ok(None),
            Err(error) => Err(error.into()),
        }
    };
    let mut progress = Progress::default();
    let Some(Standing { size, .. }) = ask(true)? else {
        return alone(&settings, &mut progress);
    };
    let (mut reached, mut since) = (0, Instant::now());
    // What is sealed meanwhile is indexed by the gate anyway.
    loop {
        let standing = ask(false)?.context("the gate was stopped; it goes on when it is started again")?;
        let Standing { indexed, problem, sealing, .. } = standing;
        progress.tell(indexed, size);
        if indexed >= size {
            break;
        }
        if indexed != reached {
            (reached, since) = (indexed, Instant::now());
        }
        // Between two tries at a log that can't be written, the gate leaves the index alone, too.
        let problem = problem.or_else(|| sealing.filter(|_| since.elapsed() > STANDS));
        if let Some(problem) = problem {
            anyhow::bail!("{problem}\n{indexed} of {size} records are indexed. {WHAT_NOW}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    done(size)
}

/// What a running gate says of its index.
struct Standing {
    indexed: u64,
    size: u64,
    /// Why the index can't be written.
    problem: Option<String>,
    /// Why records can't be sealed.
    sealing: Option<String>,
}

/// So long nothing may become of it while records can't be sealed.
const STANDS: Duration = Duration::from_secs(15);

const WHAT_NOW: &str = "Look at that file and its disk (full, read-only, not ours); the gate goes on by itself as soon as it \
    can, and until then searches read the log itself, which is slow.";

fn alone(settings: &Settings, progress: &mut Progress) -> anyhow::Result<ExitCode> {
    let audit = audit_path(&settings.gateway.data);
    let _lock = lock(&settings.gateway.data)?;
    let log = History::new(&audit).log();
    let size = log.checkpoint()?.map_or(0, |checkpoint| checkpoint.size);
    let mut index = Index::open(&audit, settings.gateway.time_zone.clone())?;
    index.clear()?;
    index.catch_up(&log, size, |indexed| {
        progress.tell(indexed, size);
        ControlFlow::Continue(())
    })?;
    progress.tell(size, size);
    done(size)
}

fn done(size: u64) -> anyhow::Result<ExitCode> {
    let are = if size == 1 { "is" } else { "are" };
    say(format_args!("{} {are} indexed.", counted(size, "record")));
    Ok(ExitCode::SUCCESS)
}

/// On one line of a terminal, else every tenth of the way.
#[derive(Default)]
struct Progress {
    told: Option<u64>,
}

impl Progress {
    fn tell(&mut self, indexed: u64, size: u64) {
        // What was sealed since it was begun is indexed with it.
        let indexed = indexed.min(size);
        let percent = (indexed * 100).checked_div(size).unwrap_or(100);
        let terminal = std::io::stderr().is_terminal();
        let step = if terminal { percent } else { percent / 10 };
        if self.told.replace(step) == Some(step) {
            return;
        }
        let line = format!("{indexed} of {} ({percent} %)", counted(size, "record"));
        if terminal {
            let end = if percent == 100 { "\n" } else { "" };
            let _ = write!(std::io::stderr().lock(), "\r{line}{end}");
        } else {
            complain(line);
        }
    }
}
