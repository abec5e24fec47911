//! How answers are printed: as JSON, as words, as a table.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{ConfigFile, complain, say, settings, table};

#[derive(Debug, Args)]
pub(crate) struct Output {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn told(output: &Output, value: &Value, words: impl FnOnce()) -> anyhow::Result<ExitCode> {
    if output.json {
        say(serde_json::to_string_pretty(value)?);
    } else {
        words();
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn listed(output: &Output, value: &Value, columns: &[&str]) -> anyhow::Result<ExitCode> {
    if output.json {
        say(serde_json::to_string_pretty(value)?);
        return Ok(ExitCode::SUCCESS);
    }
    let cell = |row: &Value, column: &str| match &row[column] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> = value
        .as_array()
        .map(|rows| rows.iter().map(|row| columns.iter().map(|c| cell(row, c)).collect()).collect())
        .unwrap_or_default();
    let head: Vec<String> = columns.iter().map(|c| c.replace('_', " ").to_uppercase()).collect();
    table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
    Ok(ExitCode::SUCCESS)
}

/// A group that no rule names lets nobody in anywhere; more often than not it is a slip.
pub(super) fn warn_of_groups<'g>(
    file: &ConfigFile,
    groups: impl IntoIterator<Item = &'g (impl AsRef<str> + 'g)>,
) -> anyhow::Result<()> {
    let settings = settings(&file.config)?.settings;
    let rules = settings.policy.rules().iter().filter_map(|rule| rule.who.as_ref());
    let known: Vec<String> = rules.flat_map(|who| who.groups.iter()).map(ToString::to_string).collect();
    for group in groups.into_iter().map(AsRef::as_ref) {
        if !known.iter().any(|known| known == group) {
            let hint = config::did_you_mean(group, &known);
            complain(format_args!("warning: no rule names the group `{group}`{hint}"));
        }
    }
    Ok(())
}
