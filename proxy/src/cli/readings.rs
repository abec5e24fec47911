//! `sekisho audit readings`: who looked at records or took some away; `audit changes`: who changed, issued or revoked something.

use std::process::ExitCode;

use apps::code;
use apps::words::heads;
use audit::{Entry, Filter, History, Query, Record};
use clap::Args;
use vocabulary::{Clock as _, SystemClock, Zone};

use super::filters::at_least_one;
use super::period::Period;
use super::sheet::{Cell, Column, Form, Sheet, column, id};
use super::watched::Asked;
use super::{ConfigFile, complain, settings};
use crate::core::audit_path;

#[derive(Debug, Args)]
pub(crate) struct Acts {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    period: Period,
    /// Only by this one, as the record has it: os:0 is root, and everybody who uses sudo
    #[arg(long)]
    by: Option<String>,
    /// Only of this word, such as requests, export or staff-locked
    #[arg(long, value_name = "WORD")]
    what: Option<String>,
    /// At most this many, the newest
    #[arg(long, short = 'n', value_parser = at_least_one())]
    limit: Option<usize>,
    #[command(flatten)]
    form: Form,
}

const READINGS: &[Column] = &[
    column("time", heads::TIME),
    id("code", heads::CODE),
    id("by", heads::BY),
    column("channel", heads::CHANNEL),
    column("what", heads::WHAT),
    column("filter", heads::FILTER),
];

const CHANGES: &[Column] = &[
    column("time", heads::TIME),
    id("code", heads::CODE),
    id("by", heads::BY),
    column("channel", heads::CHANNEL),
    column("what", heads::WHAT),
    id("subject", heads::SUBJECT),
    column("details", heads::DETAIL),
];

pub(crate) fn readings(args: &Acts) -> anyhow::Result<ExitCode> {
    show(args, ("reading", "readings"), READINGS)
}

pub(crate) fn changes(args: &Acts) -> anyhow::Result<ExitCode> {
    show(args, ("change", "changes"), CHANGES)
}

fn show(args: &Acts, (kind, command): (&str, &str), columns: &'static [Column]) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let zone = &settings.gateway.time_zone;
    let (from, to) = args.period.bounds(SystemClock.now(), zone)?;
    let asked = args.period.note(Asked::default(), (from, to)).note("by", args.by.as_ref());
    let asked = args.form.note(asked.note("what", args.what.as_ref()).note("limit", args.limit));
    asked.record(&settings, command)?;
    let mut sheet = Sheet::begin(&args.form, columns, &asked)?;
    let history = History::new(&audit_path(&settings.gateway.data));
    let filter = Filter { kinds: vec![kind.to_owned()], from, to, ..Filter::default() };
    let newest_first = args.limit.is_some();
    let found = history.read(Query { filter, newest_first, ..Query::default() })?;
    let rows = found.filter_map(|entry| entry.map(|entry| args.row(&entry, zone)).transpose());
    if let Some(limit) = args.limit {
        let page = rows.take(limit).collect::<Result<Vec<_>, _>>()?;
        page.into_iter().rev().try_for_each(|row| sheet.row(row))?;
    } else {
        for row in rows {
            sheet.row(row?)?;
        }
    }
    if sheet.end()? == 0 {
        complain(format_args!("No {kind} fits."));
    }
    Ok(ExitCode::SUCCESS)
}

impl Acts {
    /// In the order of [`READINGS`] or [`CHANGES`]; None: it is not asked for.
    fn row(&self, entry: &Entry, zone: &Zone) -> Option<Vec<Cell>> {
        let (by, channel, what, rest) = match &entry.record {
            Record::Reading(of) => (&of.by, &of.channel, &of.what, vec![Cell::object(&of.filter)]),
            Record::Change(of) => {
                (&of.by, &of.channel, &of.what, vec![Cell::word(&of.subject), Cell::object(&of.details)])
            }
            _ => return None,
        };
        let is = |wanted: &Option<String>, there: &String| wanted.as_ref().is_none_or(|wanted| wanted == there);
        if !is(&self.by, by) || !is(&self.what, what) {
            return None;
        }
        let head = [
            Cell::time(Some(entry.at), zone),
            Cell::word(&code::encode(entry.position.boot, entry.position.seq)),
            Cell::word(by),
            Cell::word(channel),
            Cell::word(what),
        ];
        Some(head.into_iter().chain(rest).collect())
    }
}
