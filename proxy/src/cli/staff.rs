//! `sekisho staff`: the roster and what people sign in with.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::Value;
use vocabulary::{Date, GroupName, PersonId};

use super::ask::carry_out;
use super::output::{Output, listed, told, warn_of_groups};
use super::staff_import::StaffImport;
use super::{say, table};
use crate::control::{Command, NewPerson};

#[derive(Debug, Subcommand)]
pub(crate) enum StaffCommand {
    /// Put somebody on the roster
    Add(StaffAdd),
    /// Bring the roster in line with a file; people whom it does not name stay
    Import(StaffImport),
    /// Everybody on the roster
    List {
        /// As a file that `staff import` reads
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        #[command(flatten)]
        output: Output,
    },
    /// What is known of one person: standing, factors, links, sessions, devices
    Show(OnePerson),
    /// Give somebody a last day, today if none is named; they may come in until midnight
    Retire {
        person: PersonId,
        /// The last day, as 2027-03-31 or 令和9年3月31日
        #[arg(long, value_parser = date)]
        last_day: Option<Date>,
        /// At once: sessions end, the person's devices are revoked and invitations withdrawn
        #[arg(long, conflicts_with = "last_day")]
        now: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Lock somebody out, from the next request on, and end their sessions
    Lock {
        #[command(flatten)]
        one: OnePerson,
        /// Why, for the record
        #[arg(long)]
        cause: Option<String>,
    },
    /// Take a lock away
    Unlock(OnePerson),
    #[command(flatten)]
    Links(super::links::LinkCommand),
    /// Set a new password; without --stdin one is made, printed, and has to be changed at the next sign-in
    Password(Password),
    /// Set up one-time codes for an authenticator app; prints the secret once
    Totp(OnePerson),
    /// Put the one-time codes in force with a first code of the app
    TotpConfirm {
        person: PersonId,
        /// The six digits that the app shows now
        code: String,
        #[command(flatten)]
        output: Output,
    },
    /// What somebody signs in with: password, one-time codes, passkeys, recovery codes
    Factors(OnePerson),
    /// The phone is lost: take one-time codes, passkeys and recovery codes away, and end the sessions
    ResetFactors(OnePerson),
    /// Make ten recovery codes in place of those there were; prints them once
    RecoveryCodes(OnePerson),
}

#[derive(Debug, Args)]
pub(crate) struct StaffAdd {
    /// Staff number or sign-in name
    id: PersonId,
    /// Full name
    #[arg(long)]
    name: String,
    /// Reading of the name
    #[arg(long)]
    kana: Option<String>,
    #[arg(long)]
    mail: Option<String>,
    #[arg(long)]
    facility: Option<String>,
    /// Groups that rules name; may be given several times
    #[arg(long = "group")]
    groups: Vec<GroupName>,
    /// First day, as 2026-04-01 or 令和8年4月1日
    #[arg(long, value_parser = date)]
    first_day: Option<Date>,
    /// Last day, as 2027-03-31 or 令和9年3月31日
    #[arg(long, value_parser = date)]
    last_day: Option<Date>,
    /// Read the password from standard input. Without this one is made, which has to be changed at the first sign-in
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct OnePerson {
    person: PersonId,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Password {
    person: PersonId,
    /// Read the password from standard input instead of making one
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(command: &StaffCommand) -> anyhow::Result<ExitCode> {
    match command {
        StaffCommand::Add(add) => {
            let value = carry_out(
                &add.output.file,
                Command::StaffAdd(NewPerson {
                    id: add.id.clone(),
                    name: add.name.clone(),
                    kana: add.kana.clone(),
                    mail: add.mail.clone(),
                    facility: add.facility.clone(),
                    groups: add.groups.clone(),
                    first_day: add.first_day.map(|d| d.to_string()),
                    last_day: add.last_day.map(|d| d.to_string()),
                    password: add.password_stdin.then(password_from_stdin).transpose()?,
                }),
            )?;
            warn_of_groups(&add.output.file, &add.groups)?;
            told(&add.output, &value, || {
                say(format_args!("{} is on the roster.", add.id));
                if let Some(password) = value["password"].as_str() {
                    say(format_args!(
                        "First password (shown only now, to be changed at the first sign-in): {password}"
                    ));
                }
            })
        }
        StaffCommand::Import(args) => super::staff_import::run(args),
        StaffCommand::Show(one) => {
            let value = carry_out(&one.output.file, Command::StaffShow { person: one.person.clone() })?;
            told(&one.output, &value, || shown(&value))
        }
        StaffCommand::Retire { person, last_day, now, output } => {
            let last_day = last_day.map(|d| d.to_string());
            let command = Command::StaffRetire { person: person.clone(), last_day, at_once: *now };
            let value = carry_out(&output.file, command)?;
            told(output, &value, || {
                say(format_args!(
                    "The last day of {person} is {}; {} session(s) ended, {} device(s) revoked, {} invitation(s) withdrawn.",
                    value["last_day"].as_str().unwrap_or_default(),
                    value["sessions_ended"],
                    value["devices_revoked"],
                    value["invitations_withdrawn"]
                ));
            })
        }
        StaffCommand::List { csv: true, output } => {
            let value = carry_out(&output.file, Command::StaffExport)?;
            let csv = value["csv"].as_str().context("the answer held no file")?;
            std::io::stdout().lock().write_all(csv.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        StaffCommand::List { csv: false, output } => {
            let value = carry_out(&output.file, Command::StaffList)?;
            listed(output, &value, &["id", "name", "groups", "facility", "first_day", "last_day", "standing"])
        }
        StaffCommand::Lock { one, cause } => {
            let command = Command::StaffLock { person: one.person.clone(), cause: cause.clone() };
            let value = carry_out(&one.output.file, command)?;
            told(&one.output, &value, || {
                say(format_args!("{} is locked; {} session(s) ended.", one.person, value["sessions_ended"]));
            })
        }
        StaffCommand::Unlock(one) => {
            let value = carry_out(&one.output.file, Command::StaffUnlock { person: one.person.clone() })?;
            told(&one.output, &value, || {
                if value["deactivated"] == true {
                    say(format_args!(
                        "{0} has no lock of yours any more, but the identity provider keeps {0} out. It has to let them in \
                         again; or take the person out of its hands: sekisho scim release {0}",
                        one.person
                    ));
                } else {
                    say(format_args!("{} is not locked: {}.", one.person, value["why"].as_str().unwrap_or_default()));
                }
            })
        }
        StaffCommand::Links(command) => super::links::run(command),
        StaffCommand::Password(args) => {
            let password = args.stdin.then(password_from_stdin).transpose()?;
            let value = carry_out(&args.output.file, Command::StaffPassword { person: args.person.clone(), password })?;
            told(&args.output, &value, || {
                say(format_args!("The password of {} was changed.", args.person));
                if let Some(password) = value["password"].as_str() {
                    say(format_args!("New password (shown only now, to be changed at the next sign-in): {password}"));
                }
            })
        }
        StaffCommand::Totp(one) => {
            let value = carry_out(&one.output.file, Command::StaffTotp { person: one.person.clone() })?;
            told(&one.output, &value, || {
                say(format_args!("For the authenticator app of {}, shown only now:", one.person));
                say(value["url"].as_str().unwrap_or_default());
                say(format_args!("Then: sekisho staff totp-confirm {} CODE", one.person));
            })
        }
        StaffCommand::TotpConfirm { person, code, output } => {
            let command = Command::StaffTotpConfirm { person: person.clone(), code: code.clone() };
            let value = carry_out(&output.file, command)?;
            told(output, &value, || say(format_args!("{person} now signs in with a one-time code as well.")))
        }
        StaffCommand::Factors(one) => {
            let value = carry_out(&one.output.file, Command::StaffFactors { person: one.person.clone() })?;
            told(&one.output, &value, || factors(&value, ""))
        }
        StaffCommand::ResetFactors(one) => {
            let value = carry_out(&one.output.file, Command::StaffResetFactors { person: one.person.clone() })?;
            told(&one.output, &value, || {
                let ended = &value["sessions_ended"];
                say(format_args!("{} has no second factor any more; {ended} session(s) ended.", one.person));
                if let Some(password) = value["password"].as_str() {
                    say("The password was too short to stand alone, so there is a new one.");
                    say(format_args!("New password (shown only now, to be changed at the next sign-in): {password}"));
                }
            })
        }
        StaffCommand::RecoveryCodes(one) => {
            let value = carry_out(&one.output.file, Command::StaffRecoveryCodes { person: one.person.clone() })?;
            told(&one.output, &value, || {
                say(format_args!("Recovery codes of {}, each good once, shown only now:", one.person));
                for code in value["codes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    say(format_args!("  {code}"));
                }
            })
        }
    }
}

/// One line for each thing somebody signs in with, behind a margin.
fn factors(value: &Value, margin: &str) {
    let password =
        match (value["password"].as_bool(), value["password_long"].as_bool(), value["password_due"].as_bool()) {
            (Some(true), _, Some(true)) => "set; has to be changed at the next sign-in",
            (Some(true), Some(true), _) => "set",
            (Some(true), _, _) => "set; shorter than 13 characters, so a second factor must stay",
            _ => "none",
        };
    let totp = match (value["totp"].as_bool(), value["totp_pending"].as_bool()) {
        (Some(true), _) => "in force",
        (_, Some(true)) => "waiting for a first code",
        _ => "none",
    };
    say(format_args!("{margin}Password:        {password}"));
    say(format_args!("{margin}One-time codes:  {totp}"));
    say(format_args!("{margin}Recovery codes:  {} left", value["recovery_codes"]));
    let passkeys = value["passkeys"].as_array().map(Vec::as_slice).unwrap_or_default();
    say(format_args!("{margin}Passkeys:        {}", passkeys.len()));
    let text = |key: &Value, name: &str| key[name].as_str().unwrap_or("never").to_owned();
    for key in passkeys {
        let (id, name) = (text(key, "id"), text(key, "name"));
        say(format_args!("{margin}  {id}  {name}  added {}  last used {}", text(key, "added"), text(key, "used")));
    }
}

fn shown(value: &Value) {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    say(format_args!("{}  {}", text(&value["person"]["id"]), text(&value["person"]["name"])));
    for key in ["kana", "mail", "facility", "groups", "first_day", "last_day"] {
        say(format_args!("  {:<10} {}", key.replace('_', " "), text(&value["person"][key])));
    }
    say(format_args!("  {:<10} {}", "standing", text(&value["why"])));
    factors(&value["factors"], "  ");
    for (key, columns) in [
        ("links", &["issuer", "account", "made"][..]),
        ("sessions", &["id", "device", "source", "started", "last_active"]),
        ("devices", &["id", "name", "status", "not_after", "last_seen"]),
    ] {
        let rows = value[key].as_array().map(Vec::as_slice).unwrap_or_default();
        say(format_args!("  {key}: {}", rows.len()));
        if !rows.is_empty() {
            let rows: Vec<Vec<_>> = rows.iter().map(|row| columns.iter().map(|c| text(&row[*c])).collect()).collect();
            let head: Vec<_> = columns.iter().map(|c| c.to_uppercase()).collect();
            table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
        }
    }
}

/// As roster files have it.
fn date(text: &str) -> Result<Date, String> {
    identity::import::parse_date(text).map_err(|problem| format!("it {problem}"))
}

fn password_from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text).context("no password on standard input")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
