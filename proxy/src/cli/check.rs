//! `sekisho check`: every error of a configuration at once, or its schema.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{ConfigFile, NO, complain, say};

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
            for advice in crate::kept::advice(settings) {
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
