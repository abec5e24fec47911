//! The command line: what can be said, and which file answers it.

mod ask;
mod audit_log;
mod ca;
mod check;
mod checkpoint;
mod csv;
mod devices;
mod explain;
mod filters;
mod gate;
mod invitations;
mod links;
mod logins;
mod names;
mod operations;
mod output;
mod period;
mod person;
mod proofs;
mod readings;
mod recipe;
mod recipes;
mod reindex;
mod requests;
mod scim;
mod sessions;
mod sheet;
mod sign_ins;
mod staff;
mod staff_import;
mod strangers;
mod watched;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub(crate) use ask::RefusedByGate;

/// The answer is no: denied, invalid, refused.
pub(crate) const NO: u8 = 1;
/// It could not be found out, or not be done.
pub(crate) const COULD_NOT: u8 = 2;

#[derive(Debug, Parser)]
#[command(name = "sekisho", version, about = "A zero-trust gate in front of the SaaS you don't control", long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the gate's configuration stands.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(long, short, env = "SEKISHO_CONFIG", default_value = "/etc/sekisho/sekisho.yaml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a care SaaS, the gate and a few staff on this machine, to try it out
    Demo(crate::demo::DemoArgs),
    /// Run the gate
    Serve(crate::serve::ServeArgs),
    /// Find every error of a configuration file
    Check(check::CheckArgs),
    /// Make the running gate read its configuration again
    Reload(ConfigFile),
    /// Ask the policy
    #[command(subcommand)]
    Policy(explain::PolicyCommand),
    /// The bundled certificate authority
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Devices and their certificates
    #[command(subcommand)]
    Device(devices::DeviceCommand),
    /// The people of the roster
    #[command(subcommand)]
    Staff(staff::StaffCommand),
    /// Who is signed in
    #[command(subcommand)]
    Session(sessions::SessionCommand),
    /// Identity providers that push people and groups
    #[command(subcommand)]
    Scim(scim::ScimCommand),
    /// The record of every request
    #[command(subcommand)]
    Audit(audit_log::AuditCommand),
    /// What is known of the SaaS behind the apps
    #[command(subcommand)]
    Recipe(recipe::RecipeCommand),
    /// The gate's clock
    #[command(subcommand)]
    Clock(gate::ClockCommand),
}

/// Runs what the command line says. Exit codes: 0 done, 1 the answer is no, 2 could not.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => crate::demo::run(&args),
        Command::Serve(args) => crate::serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Reload(file) => gate::reload(&file),
        Command::Policy(command) => explain::run(&command),
        Command::Ca(command) => ca::run(&command),
        Command::Device(command) => devices::run(&command),
        Command::Staff(command) => staff::run(&command),
        Command::Session(command) => sessions::run(&command),
        Command::Scim(command) => scim::run(&command),
        Command::Audit(command) => audit_log::run(&command),
        Command::Recipe(command) => recipe::run(&command),
        Command::Clock(command) => gate::clock(&command),
    };
    match result {
        Ok(code) => code,
        Err(error) if error.is::<RefusedByGate>() => {
            complain(format_args!("sekisho: {error}"));
            ExitCode::from(NO)
        }
        Err(error) => {
            complain(format_args!("sekisho: {error:#}"));
            ExitCode::from(COULD_NOT)
        }
    }
}

/// A line for people, on standard output. A closed pipe ends the program quietly.
pub(crate) fn say(line: impl std::fmt::Display) {
    if writeln!(std::io::stdout().lock(), "{line}").is_err() {
        std::process::exit(0);
    }
}

pub(crate) fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Loads and resolves a configuration, or fails with its whole report.
pub(crate) fn settings(path: &Path) -> anyhow::Result<config::Loaded> {
    config::load(path).map_err(|report| anyhow::anyhow!("{report}"))
}

/// `1 record`, `2 records`.
pub(crate) fn counted(many: u64, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}

pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    lines(head, rows).into_iter().for_each(say);
}

/// Rows in columns, wide enough for each; double-width characters count two. What moves a terminal's cursor or turns its writing round
/// is shown as a sign: cells hold what others have written.
fn lines(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let fit = |cell: &String| cell.chars().map(|c| if is_unfit(c) { '\u{fffd}' } else { c }).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(fit).collect()).collect();
    let width = |text: &str| text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum::<usize>();
    let mut widths: Vec<usize> = head.iter().map(|h| width(h)).collect();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            if let Some(w) = widths.get_mut(column) {
                *w = (*w).max(width(cell));
            }
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for (cell, w) in cells.zip(&widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', w - width(cell) + 2));
        }
        out.truncate(out.trim_end().len());
        out
    };
    let head = line(&mut head.iter().copied());
    [head].into_iter().chain(rows.iter().map(|row| line(&mut row.iter().map(String::as_str)))).collect()
}

fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// East Asian wide characters, near enough for columns: CJK, kana, Hangul and full-width forms.
const fn is_wide(c: char) -> bool {
    matches!(c as u32, 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x2_0000..=0x3_fffd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_move_the_cursor() {
        let shown = lines(&["PATH"], &[vec!["a\u{1b}[2J\nb\u{202e}c\u{9b}日本".to_owned()]]).join("|");
        assert_eq!(shown, "PATH|a\u{fffd}[2J\u{fffd}b\u{fffd}c\u{fffd}日本");
    }
}
