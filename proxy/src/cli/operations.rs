//! `sekisho audit operations`: what was done in the SaaS, by whom, to what; `audit subject`: who opened or changed one record;
//! `recipe coverage`: how much of it has a name.

use std::process::ExitCode;

use apps::words::heads;
use apps::{Lang, code};
use audit::{Called, Entry, Filter, History, NamesThen, Query, Record, Request};
use clap::Args;
use config::Settings;
use vocabulary::{Action, AppId, Clock as _, DeviceId, PersonId, RuleName, SessionId, SystemClock};

use super::filters::{Filters, at_least_one, no_app, nothing};
use super::names::Names;
use super::period::Period;
use super::recipes::Recipes;
use super::sheet::{Cell, Column, Form, Sheet, column, id};
use super::watched::Asked;
use super::{ConfigFile, complain, say, settings};
use crate::core::audit_path;

#[derive(Debug, Args)]
pub(crate) struct Operations {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    asked: What,
    /// Only what was done to this, as kind/id, such as resident/1234
    #[arg(long, value_name = "KIND/ID")]
    subject: Option<String>,
}

/// What a subject's record was opened with.
#[derive(Debug, Args)]
pub(crate) struct Subject {
    #[command(flatten)]
    file: ConfigFile,
    /// What it was done to, as kind/id, such as resident/1234
    #[arg(value_name = "KIND/ID")]
    subject: String,
    #[command(flatten)]
    asked: What,
}

#[derive(Debug, Args)]
struct What {
    #[command(flatten)]
    filters: Filters,
    /// Only this operation, by its id in the app's recipe
    #[arg(long)]
    operation: Option<String>,
    /// Only what takes data out: downloads, exports and prints
    #[arg(long)]
    exports: bool,
    /// Leave out what no recipe names
    #[arg(long)]
    named: bool,
    /// At most this many, the newest
    #[arg(long, short = 'n', value_parser = at_least_one())]
    limit: Option<usize>,
    #[command(flatten)]
    form: Form,
}

const OPERATIONS: &[Column] = &[
    column("time", heads::TIME),
    id("code", heads::CODE),
    id("person", heads::PERSON),
    column("name", heads::NAME),
    column("facility", heads::FACILITY),
    column("app", heads::APP),
    column("action", heads::CATEGORY),
    column("operation_name", heads::OPERATION),
    id("operation", heads::OPERATION_ID),
    id("subject", heads::SUBJECT),
    column("decision", heads::DECISION),
    column("reason", heads::REASON),
    column("method", heads::METHOD),
    column("path", heads::PATH),
    column("status", heads::STATUS),
    column("bytes_in", heads::BYTES_IN),
    column("bytes_out", heads::BYTES_OUT),
    column("source", heads::SOURCE),
    column("inside", heads::PLACE),
    column("device_name", heads::DEVICE_NAME),
    id("device", heads::DEVICE),
    id("session", heads::SESSION),
    column("rule", heads::RULE),
];

pub(crate) fn run(args: &Operations) -> anyhow::Result<ExitCode> {
    show(&args.file, &args.asked, args.subject.as_deref(), "operations")
}

pub(crate) fn subject(args: &Subject) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.subject.contains('/'),
        "`{}` is not a subject: write kind/id, such as resident/{}",
        args.subject,
        args.subject
    );
    show(&args.file, &args.asked, Some(&args.subject), "subject")
}

fn show(file: &ConfigFile, asked: &What, subject: Option<&str>, what: &str) -> anyhow::Result<ExitCode> {
    let settings = settings(&file.config)?.settings;
    let filter = Filter {
        kinds: vec!["request".to_owned()],
        operation: asked.operation.clone(),
        subject: subject.map(str::to_owned),
        action: asked.exports.then_some(Action::Download),
        named: asked.named || asked.operation.is_some() || subject.is_some(),
        ..asked.filters.filter(&settings.gateway.time_zone)?
    };
    let noted = asked.filters.asked(&filter).note("operation", asked.operation.as_ref()).note("subject", subject);
    let noted = noted.flag("exports", asked.exports).flag("named", asked.named).note("limit", asked.limit);
    let noted = asked.form.note(noted);
    noted.record(&settings, what)?;
    let mut sheet = Sheet::begin(&asked.form, OPERATIONS, &noted)?;
    let history = History::new(&audit_path(&settings.gateway.data));
    let mut teller = Teller {
        then: history.names(filter.from, filter.to, filter.person.as_ref())?,
        names: Names::open(&settings.gateway.data),
        settings: &settings,
        lang: asked.form.lang(),
    };
    let newest_first = asked.limit.is_some();
    let mut page = Vec::new();
    for entry in history.read(Query { filter, newest_first, ..Query::default() })? {
        let entry = entry?;
        let Record::Request(request) = &entry.record else { continue };
        if !teller.is_of_a_saas(request) {
            continue;
        }
        let called = teller.called(&entry, request)?;
        if !asked.filters.takes_facility(called.facility.as_deref()) {
            continue;
        }
        let row = teller.row(&entry, request, called);
        match asked.limit {
            None => sheet.row(row)?,
            Some(limit) if page.len() < limit => page.push(row),
            Some(_) => {}
        }
        if asked.limit.is_some_and(|limit| page.len() >= limit) {
            break;
        }
    }
    page.into_iter().rev().try_for_each(|row| sheet.row(row))?;
    if sheet.end()? == 0 {
        complain(match subject {
            Some(subject) if !occurs(&history, subject)? => {
                format!("Nothing that was done to {subject} is recorded; subjects are what an app's recipe names.")
            }
            _ => nothing(&asked.filters, ("request", "request"), &history, &settings)?,
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn occurs(history: &History, subject: &str) -> anyhow::Result<bool> {
    let filter = Filter { subject: Some(subject.to_owned()), ..Filter::default() };
    Ok(history.read(Query { filter, newest_first: true, limit: Some(1), ..Query::default() })?.next().is_some())
}

struct Teller<'s> {
    then: NamesThen,
    names: Names,
    settings: &'s Settings,
    lang: Lang,
}

impl Teller<'_> {
    /// The gate's own pages are none of its operations.
    fn is_of_a_saas(&self, request: &Request) -> bool {
        request.operation.is_some()
            || request.app.as_ref().is_some_and(|app| self.settings.apps.iter().any(|known| known.saas.id == *app))
    }

    /// As it was at the time of the event; as it is now, if no record tells.
    fn called(&mut self, entry: &Entry, request: &Request) -> anyhow::Result<Called> {
        let Some(person) = &request.person else { return Ok(Called::default()) };
        let then = self.then.at(person, entry.position)?.cloned();
        Ok(then.unwrap_or_else(|| self.names.called(Some(person))))
    }

    /// In the order of [`OPERATIONS`].
    fn row(&self, entry: &Entry, request: &Request, called: Called) -> Vec<Cell> {
        let (zone, outcome) = (&self.settings.gateway.time_zone, entry.outcome.as_ref());
        let bytes = |bytes: Option<u64>| Cell::number(bytes.and_then(|bytes| i64::try_from(bytes).ok()));
        let app = request.app.as_ref().map(AppId::as_str);
        let name = Recipes::of(self.settings).operation(app, request.operation.as_deref(), self.lang);
        vec![
            Cell::time(Some(entry.at), zone),
            Cell::word(&code::encode(entry.position.boot, entry.position.seq)),
            Cell::text(request.person.as_ref().map(PersonId::as_str)),
            Cell::text(called.name),
            Cell::text(called.facility),
            Cell::text(app),
            Cell::word(entry.action(request).as_str()),
            Cell::text(Some(name).filter(|name| !name.is_empty())),
            Cell::text(request.operation.as_deref()),
            Cell::text(request.subject.as_deref()),
            Cell::word(entry.decision(request).as_str()),
            Cell::word(entry.reason(request).as_str()),
            Cell::word(&request.method),
            Cell::word(&request.path),
            Cell::number(outcome.and_then(|outcome| outcome.status)),
            bytes(outcome.map(|outcome| outcome.bytes_in)),
            bytes(outcome.map(|outcome| outcome.bytes_out)),
            Cell::word(&request.source.to_string()),
            Cell::inside(Some(request.inside), self.lang),
            Cell::text(request.device.as_ref().and_then(|id| self.names.device(id))),
            Cell::text(request.device.as_ref().map(DeviceId::as_str)),
            Cell::text(request.session.as_ref().map(SessionId::as_str)),
            Cell::text(entry.rule(request).map(RuleName::as_str)),
        ]
    }
}

#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    #[command(flatten)]
    file: ConfigFile,
    app: AppId,
    #[command(flatten)]
    period: Period,
    /// So many of those without a name
    #[arg(long, short = 'n', value_parser = at_least_one(), default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    form: Form,
}

const UNNAMED: &[Column] = &[
    column("requests", heads::REQUESTS),
    column("method", heads::METHOD),
    column("path", heads::PATH),
    column("action", heads::CATEGORY),
];

pub(crate) fn coverage(args: &CoverageArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let (from, to) = args.period.bounds(SystemClock.now(), &settings.gateway.time_zone)?;
    let asked = args.form.note(args.period.note(Asked::default(), (from, to)).note("app", Some(&args.app)));
    asked.record(&settings, "coverage")?;
    let mut sheet = Sheet::begin(&args.form, UNNAMED, &asked)?;
    let history = History::new(&audit_path(&settings.gateway.data));
    let filter = Filter { from, to, app: Some(args.app.clone()), ..Filter::default() };
    let coverage = history.coverage(filter, args.limit)?;
    let Some(share) = coverage.share() else {
        complain(no_app(&args.app, "permitted request", &settings));
        return Ok(ExitCode::SUCCESS);
    };
    let (named, requests) = (coverage.named, coverage.requests);
    let told = format!("{named} of {requests} requests of {} have a name ({:.1} %).", args.app, share * 100.0);
    if args.form.is_for_machines() {
        complain(told);
    } else {
        say(told);
    }
    for of in &coverage.unnamed {
        sheet.row(vec![
            Cell::number(i64::try_from(of.requests).ok()),
            Cell::word(&of.method),
            Cell::word(&of.path),
            Cell::word(of.action.as_str()),
        ])?;
    }
    sheet.end()?;
    Ok(ExitCode::SUCCESS)
}
