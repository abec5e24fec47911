//! `sekisho check`: every error of a configuration at once, or its schema.

use std::path::PathBuf;
use std::process::ExitCode;

use audit::LogFolder;
use clap::Args;
use config::Settings;
use vocabulary::{Clock as _, SystemClock};

use super::{ConfigFile, NO, complain, say};
use crate::core::log_path;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration file
    file: Option<PathBuf>,
    #[command(flatten)]
    default: ConfigFile,
    /// Print the JSON Schema of configuration files instead
    #[arg(long)]
    schema: bool,
}

/// What the setting would have dropped from the log that is there. Who may not look there is told nothing.
fn dropping(settings: &Settings) -> Option<String> {
    let (zone, months) = (&settings.gateway.time_zone, settings.audit.log.seal.keep_months);
    let log = LogFolder::new(&log_path(&settings.gateway.data));
    let overdue = audit::overdue(&log, zone, months, SystemClock.now()).ok()??;
    let date = |at| zone.local(at).date;
    Some(format!(
        "audit.log.keep_months: {months} drops for good what was recorded before {}, that is {} month(s) of the log in {}, which \
         begins on {}; if the setting was lowered, a day after the gate was started with it",
        date(overdue.before),
        overdue.months,
        log.path().display(),
        date(overdue.oldest)
    ))
}

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.schema {
        say(serde_json::to_string_pretty(&config::schema())?);
        return Ok(ExitCode::SUCCESS);
    }
    let file = args.file.as_ref().unwrap_or(&args.default.config);
    match config::load(file) {
        Ok(loaded) => {
            let settings = &loaded.settings;
            say(format_args!(
                "{}: valid ({} app(s), {} network(s), {} rule(s))",
                file.display(),
                settings.apps.len(),
                settings.policy.networks().names().len(),
                settings.policy.rules().len(),
            ));
            for warning in &loaded.warnings {
                say(format_args!("warning: {warning}"));
            }
            for advice in crate::kept::advice(settings).into_iter().chain(dropping(settings)) {
                say(format_args!("warning: {advice}"));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(report) => {
            complain(format_args!("{report}"));
            Ok(ExitCode::from(if report.unreadable { super::COULD_NOT } else { NO }))
        }
    }
}
