//! `audit-verify`: what an auditor runs. Exit code 0: verified; 1: the answer is no; 2: it could not be verified.

mod words;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use audit_verify::{
    Error, Failure, Keys, LogOptions, printable_json, verify_consistency_by_log, verify_consistency_proof,
    verify_export, verify_log, verify_proof,
};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use words::Language;

/// Verifies Sekisho's audit log, or what was taken from it, without the gateway and without trusting who runs it.
///
/// Exit code 0: verified; 1: the answer is no; 2: it could not be verified.
#[derive(Debug, Parser)]
#[command(name = "audit-verify", version)]
struct Cli {
    #[command(subcommand)]
    what: Verify,
}

#[derive(Debug, Subcommand)]
enum Verify {
    /// A log's folder, the whole of it or a range of records
    Log {
        folder: PathBuf,
        #[command(flatten)]
        by: By,
        /// A checkpoint that was kept elsewhere; the log has to be a continuation of it. May be given several times
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
        /// Index of the first record to look at; the log's first one is 0
        #[arg(long, value_name = "N", requires = "to")]
        from: Option<u64>,
        /// Index of the last record to look at
        #[arg(long, value_name = "N", requires = "from")]
        to: Option<u64>,
        /// How many threads [default: one per core]
        #[arg(long, value_name = "N")]
        jobs: Option<usize>,
        /// Keeps in this file how far it has come, and goes on from there the next time, also when the log has grown
        #[arg(long, value_name = "FILE", conflicts_with = "from")]
        resume: Option<PathBuf>,
        /// Checks of each record that all of it is in form, as is always done for bundles and proofs. It takes about half as long again
        #[arg(long)]
        strict: bool,
    },
    /// An export bundle (.sekisho-export)
    Bundle {
        file: PathBuf,
        #[command(flatten)]
        by: By,
        /// A checkpoint that was kept elsewhere. It can be compared if the bundle holds the hashes for it
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
    },
    /// One record with its proof (.tlog-proof); prints the record
    Proof {
        file: PathBuf,
        #[command(flatten)]
        by: By,
        /// A checkpoint that was kept elsewhere. It can be compared if it is for as many records as the proof's
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
    },
    /// That a newer checkpoint continues an older one: by a proof (.tlog-consistency), or by the log
    Consistency {
        /// File of the older checkpoint
        older: PathBuf,
        /// A .tlog-consistency, or with --log the file of the newer checkpoint
        newer: PathBuf,
        /// The log's folder
        #[arg(long, value_name = "FOLDER")]
        log: Option<PathBuf>,
        #[command(flatten)]
        by: By,
    },
}

#[derive(Debug, Args)]
struct By {
    /// The log's key, or a file of such lines, got from elsewhere than the log. May be given several times
    #[arg(long = "key", value_name = "KEY|FILE", required = true)]
    keys: Vec<String>,
    /// Each of the log's keys that are given has to have signed the newest checkpoint; otherwise one is enough
    #[arg(long)]
    require_all_keys: bool,
    /// A witness's key, or a file of such lines. May be given several times
    #[arg(long = "witness-key", value_name = "KEY|FILE")]
    witness_keys: Vec<String>,
    /// Language of the answer [default: Japanese if LC_ALL, LC_MESSAGES or LANG asks for it, else English]
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<Language>,
    /// Writes the answer as JSON
    #[arg(long)]
    json: bool,
    /// Writes nothing if all is well
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

fn main() -> ExitCode {
    let what = Cli::parse().what;
    let of_log = matches!(what, Verify::Log { .. });
    let (by, answer) = match what {
        Verify::Log { folder, by, checkpoints, from, to, jobs, resume, strict } => {
            let range = from.zip(to).map(|(from, to)| from..to.saturating_add(1));
            let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
            let answer = by.keys().and_then(|keys| {
                let bar = by.progress_bar();
                let options = LogOptions { folder, keys, kept: checkpoints, range, jobs, resume, strict };
                let report = verify_log(&options, &|done, of| {
                    bar.set_length(of);
                    bar.set_position(done);
                });
                bar.finish_and_clear();
                report.map(|report| by.say(&report, || by.language().of_log(&report, &options.keys)))
            });
            (by, answer)
        }
        Verify::Bundle { file, by, checkpoints } => {
            let answer = by.keys().and_then(|keys| {
                let report = verify_export(&file, &keys, &checkpoints)?;
                Ok(by.say(&report, || by.language().of_export(&report, &keys)))
            });
            (by, answer)
        }
        Verify::Proof { file, by, checkpoints } => {
            let answer = by.keys().and_then(|keys| {
                let report = verify_proof(&file, &keys, &checkpoints)?;
                Ok(by.say(&report, || by.language().of_proof(&report, &keys)))
            });
            (by, answer)
        }
        Verify::Consistency { older, newer, log, by } => {
            let both = by.keys().and_then(|keys| match &log {
                Some(log) => verify_consistency_by_log(log, &keys, &older, &newer),
                None => verify_consistency_proof(&older, &newer, &keys),
            });
            let answer = both.map(|(older, newer)| {
                by.say(&serde_json::json!({ "older": older, "newer": newer }), || {
                    by.language().of_consistency(&older, &newer)
                })
            });
            (by, answer)
        }
    };
    match answer {
        Ok(answer) => by.print(&answer, ExitCode::SUCCESS),
        Err(Failure::Tampered(findings)) if by.json => {
            by.print(&json_line(&serde_json::json!({ "verified": false, "findings": findings })), ExitCode::from(1))
        }
        Err(Failure::Tampered(findings)) => by.print(&by.language().of_findings(&findings, of_log), ExitCode::from(1)),
        Err(Failure::CouldNotRun(error)) => {
            let error = if by.json {
                let not_compared = match &error {
                    Error::NotCompared { checkpoints, .. } => checkpoints.as_slice(),
                    _ => &[],
                };
                let json =
                    serde_json::json!({ "verified": null, "error": error.to_string(), "not_compared": not_compared });
                printable_json(&json.to_string())
            } else {
                by.language().of_error(&error)
            };
            let _ = writeln!(io::stderr().lock(), "{error}");
            ExitCode::from(2)
        }
    }
}

fn json_line(json: &serde_json::Value) -> String {
    printable_json(&json.to_string()) + "\n"
}

impl By {
    fn language(&self) -> Language {
        self.lang.unwrap_or_else(Language::of_environment)
    }

    fn keys(&self) -> Result<Keys, Failure> {
        let mut keys = Keys { require_all: self.require_all_keys, ..Keys::default() };
        self.keys.iter().try_for_each(|key| keys.add_log(key)).map_err(Failure::CouldNotRun)?;
        self.witness_keys.iter().try_for_each(|key| keys.add_witness(key)).map_err(Failure::CouldNotRun)?;
        Ok(keys)
    }

    fn say(&self, report: &impl serde::Serialize, words: impl FnOnce() -> String) -> String {
        if self.quiet {
            String::new()
        } else if self.json {
            json_line(&serde_json::json!({ "verified": true, "report": report }))
        } else {
            words()
        }
    }

    /// Writes the answer; if nobody can read it, that is no answer.
    fn print(&self, answer: &str, code: ExitCode) -> ExitCode {
        let mut out = io::stdout().lock();
        match out.write_all(answer.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => code,
            Err(source) => {
                let error = Error::Read { path: PathBuf::from("standard output"), source };
                let _ = writeln!(io::stderr().lock(), "{}", self.language().of_error(&error));
                ExitCode::from(2)
            }
        }
    }

    fn progress_bar(&self) -> ProgressBar {
        let shown = io::stderr().is_terminal() && !self.quiet && !self.json;
        let bar = ProgressBar::new(0);
        bar.set_draw_target(if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        let style = ProgressStyle::with_template("{wide_bar} {percent}% of {len} records, {per_sec}, {eta} left");
        style.map_or(bar.clone(), |style| bar.with_style(style))
    }
}
