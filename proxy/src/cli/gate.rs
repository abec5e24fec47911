//! `sekisho clock` and `sekisho reload`: what is said to the gate itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::ask::carry_out;
use super::{ConfigFile, say};
use crate::control::{self, Command, Reply};

#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// Say that the clock is right although it stands before the newest record
    Accept(ConfigFile),
}

pub(crate) fn clock(command: &ClockCommand) -> anyhow::Result<ExitCode> {
    let ClockCommand::Accept(file) = command;
    carry_out(file, Command::ClockAccept)?;
    say("The clock is accepted as it is.");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn reload(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    // A broken file must reach the gate as well, so that its log, metrics and record say so; all that is needed
    // of it here is where the gate's data lies.
    let data = match super::settings(&file.config) {
        Ok(loaded) => loaded.settings.gateway.data,
        Err(report) => data_folder(&file.config).ok_or(report)?,
    };
    match control::ask(&crate::core::socket_path(&data), &Command::Reload)? {
        Reply::Done(value) => {
            say(format_args!("Configuration {} is in force.", value["generation"]));
            Ok(ExitCode::SUCCESS)
        }
        Reply::Refused(why) | Reply::Failed(why) => {
            super::complain(why);
            Ok(ExitCode::from(super::NO))
        }
    }
}

/// `gateway.data` of a file that is not valid otherwise.
fn data_folder(config: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(config).ok()?;
    let tree: serde_yaml::Value = serde_yaml::from_str(&text).ok()?;
    let data = tree.get("gateway")?.get("data")?.as_str()?;
    Some(config.parent().unwrap_or(Path::new("")).join(data))
}
