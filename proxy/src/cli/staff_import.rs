//! `sekisho staff import`: a file, what it would change, a question, the change.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use identity::import::{Encoding, MAX_BYTES};
use serde_json::Value;

use super::ask::carry_out;
use super::output::Output;
use super::{NO, complain, say};
use crate::control::{Command, Import};

/// How many people of each kind are shown; `--all` shows the others too.
const SHOWN: usize = 50;

#[derive(Debug, Args)]
pub(crate) struct StaffImport {
    /// CSV with a row of heads: id, name, kana, mail, facility, groups, first_day, last_day, or 職員ID, 氏名, フリガナ,
    /// メール, 事業所, グループ, 入職日, 退職日; `-` reads standard input
    roster: PathBuf,
    /// utf-8 or cp932; found out if not given
    #[arg(long)]
    encoding: Option<Encoding>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Make today the last day of everybody whom the file does not name, save those whom a provider pushes
    #[arg(long)]
    retire_missing: bool,
    /// Let people come back who left, and others stay longer than was set, if the file has no last day for them or a
    /// later one
    #[arg(long)]
    reinstate: bool,
    /// Let more than half of the people leave
    #[arg(long)]
    force: bool,
    /// Show every person, however many they are
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(args: &StaffImport) -> anyhow::Result<ExitCode> {
    let file = read(args)?;
    let ask = !args.yes && !args.dry_run;
    if ask && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        bail!("there is nobody to ask; look at it with --dry-run, then say --yes");
    }
    let command = |dry_run, agreed| {
        Command::StaffImport(Import {
            size: file.len(),
            file: file.clone(),
            name: args.roster.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            encoding: args.encoding,
            dry_run,
            retire_missing: args.retire_missing,
            reinstate: args.reinstate,
            force: args.force,
            agreed,
        })
    };
    let mut answer = carry_out(&args.output.file, command(args.dry_run || ask, None))?;
    if answer.get("problems").is_some() {
        return problems(args, &answer);
    }
    if ask {
        // The question and what it is about go to the terminal; standard output may be a file.
        show(&answer, args.all, &complain_line);
        if !agrees()? {
            complain("Nothing was changed.");
            return Ok(ExitCode::from(NO));
        }
        let agreed = answer["difference"].as_str().map(str::to_owned);
        answer = carry_out(&args.output.file, command(false, agreed))?;
    }
    if args.output.json {
        say(serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    if !ask {
        show(&answer, args.all, &|line| say(line));
    }
    match answer["applied"].as_bool() {
        Some(true) => say(format_args!("Imported; {} session(s) ended.", answer["sessions_ended"])),
        _ => say("Dry run: nothing was changed."),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(args: &StaffImport) -> anyhow::Result<Vec<u8>> {
    let mut file = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    if args.roster.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_end(&mut file).context("standard input can't be read")?;
    } else {
        let whence = || format!("{} can't be read", args.roster.display());
        let from = std::fs::File::open(&args.roster).with_context(whence)?;
        from.take(limit).read_to_end(&mut file).with_context(whence)?;
    }
    if file.len() > MAX_BYTES {
        bail!("{} has more than {} MiB; divide it", args.roster.display(), MAX_BYTES >> 20);
    }
    Ok(file)
}

fn problems(args: &StaffImport, answer: &Value) -> anyhow::Result<ExitCode> {
    if args.output.json {
        say(serde_json::to_string_pretty(answer)?);
        return Ok(ExitCode::from(NO));
    }
    let problems = rows(&answer["problems"]);
    for problem in problems {
        let mut line = format!("{}:{}", args.roster.display(), problem["line"]);
        if let Some(column) = problem["column"].as_str() {
            line.push_str(&format!(": {column}"));
        }
        if let Some(value) = problem["value"].as_str() {
            line.push_str(&format!(" {value:?}"));
        }
        complain(format_args!("{line}: {}", text(&problem["problem"])));
    }
    let all = answer["problems_in_all"].as_u64().unwrap_or_default();
    if all > problems.len() as u64 {
        complain(format_args!("… and {} more", all - problems.len() as u64));
    }
    complain(format_args!("{all} problem(s); nothing was changed."));
    Ok(ExitCode::from(NO))
}

fn show(answer: &Value, all: bool, say: &dyn Fn(&dyn std::fmt::Display)) {
    let list = |title: &str, key: &str, mark: char, more: &dyn Fn(&Value)| {
        let people = rows(&answer[key]);
        if people.is_empty() {
            return;
        }
        say(&format_args!("{title}: {}", people.len()));
        let shown = if all { people.len() } else { SHOWN };
        for person in people.iter().take(shown) {
            let by =
                person["provider"].as_str().map(|provider| format!("  (pushed by {provider})")).unwrap_or_default();
            say(&format_args!("  {mark} {}  {}{by}", text(&person["id"]), text(&person["name"])));
            more(person);
        }
        if people.len() > shown {
            say(&format_args!("  … and {} more (--all shows them)", people.len() - shown));
        }
    };
    let fields = |person: &Value| {
        for field in rows(&person["fields"]) {
            let value = |key: &str| field[key].as_str().unwrap_or("(none)").to_owned();
            say(&format_args!("      {}: {} → {}", text(&field["field"]), value("old"), value("new")));
        }
    };
    // First, because a slip in a head leaves everybody's column out.
    let unused: Vec<_> = rows(&answer["file"]["unused_columns"]).iter().map(text).collect();
    if !unused.is_empty() {
        say(&format_args!("Columns not used: {}", unused.join(", ")));
    }
    list("Added", "added", '+', &fields);
    list("Changed", "changed", '~', &fields);
    list("Retired, because the file does not name them", "retired", '-', &fields);
    if rows(&answer["retired"]).is_empty() {
        list("Not in the file (they stay as they are)", "missing", '?', &|_| {});
    }
    let pushed = ["changed", "missing"].iter().flat_map(|key| rows(&answer[*key]));
    let pushed = pushed.filter(|person| person["provider"].is_string()).count();
    if pushed > 0 {
        say(&format_args!(
            "Attention: a provider pushes {pushed} of these people, and its word counts again with its next push. A file \
             that does not name them retires none of them (sekisho scim release makes them yours)."
        ));
    }
    say(&format_args!("Unchanged: {}", answer["unchanged"]));
    let returning: Vec<_> = rows(&answer["returning"]).iter().map(text).collect();
    if !returning.is_empty() {
        say(&format_args!("Attention: people who left come back (--reinstate): {}", returning.join(", ")));
    }
    let longer: Vec<_> = rows(&answer["staying_longer"]).iter().map(text).collect();
    if !longer.is_empty() {
        say(&format_args!("Attention: people stay longer than was set (--reinstate): {}", longer.join(", ")));
    }
    for pair in rows(&answer["lost_zeros"]) {
        let (new, known) = (text(&pair[0]), text(&pair[1]));
        say(&format_args!("Attention: {new} is new and {known} is missing; did a spreadsheet take the zeros away?"));
    }
}

fn complain_line(line: &dyn std::fmt::Display) {
    complain(line);
}

fn agrees() -> anyhow::Result<bool> {
    let mut terminal = std::io::stderr().lock();
    terminal.write_all("Change the roster so? Type yes: ".as_bytes())?;
    terminal.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().take(100).read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
