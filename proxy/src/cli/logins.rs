//! `sekisho audit logins`: who logged in to which SaaS, as whom, from where, and when it ended. `audit shared-ids`: which login
//! IDs several people use, and who uses several.

use std::process::ExitCode;

use apps::words::{self, heads};
use apps::{Lang, code};
use audit::{AppLogin, Called, Filter, History, Login, LoginResult, Query, Use};
use clap::Args;
use config::Settings;
use vocabulary::{DeviceId, PersonId, Zone};

use super::filters::{Filters, at_least_one, nothing, tell_of_dropped};
use super::names::Names;
use super::sheet::{Cell, Column, Form, Sheet, column, id};
use super::{ConfigFile, complain, settings};
use crate::core::audit_path;

#[derive(Debug, Args)]
pub(crate) struct Logins {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    filters: Filters,
    /// Only attempts that ended so; elsewhere: the browser came with a session of the SaaS that did not begin here
    #[arg(long, value_parser = LoginResult::ALL.map(LoginResult::as_str))]
    result: Option<String>,
    /// Only with this login ID of the SaaS
    #[arg(long, value_name = "ID")]
    saas_id: Option<String>,
    /// At most this many, the newest
    #[arg(long, short = 'n', value_parser = at_least_one())]
    limit: Option<usize>,
    #[command(flatten)]
    form: Form,
}

const LOGINS: &[Column] = &[
    column("time", heads::TIME),
    id("code", heads::CODE),
    id("person", heads::PERSON),
    column("name", heads::NAME),
    column("facility", heads::FACILITY),
    column("app", heads::APP),
    column("result", heads::RESULT),
    column("cause", heads::REASON),
    id("account", heads::ACCOUNT),
    id("saas_id", heads::SAAS_ID),
    column("source", heads::SOURCE),
    column("inside", heads::PLACE),
    column("device_name", heads::DEVICE_NAME),
    id("device", heads::DEVICE),
    id("serial", heads::SERIAL),
    id("session", heads::SESSION),
    column("ended", heads::ENDED),
    column("end_cause", heads::END_CAUSE),
    column("duration_s", heads::DURATION),
    column("requests", heads::REQUESTS),
];

pub(crate) fn run(args: &Logins) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let zone = &settings.gateway.time_zone;
    let filter = args.filters.filter(zone)?;
    let asked = args.filters.asked(&filter).note("result", args.result.as_ref()).note("saas_id", args.saas_id.as_ref());
    let asked = args.form.note(asked.note("limit", args.limit));
    asked.record(&settings, "logins")?;
    let mut sheet = Sheet::begin(&args.form, LOGINS, &asked)?;
    let history = History::new(&audit_path(&settings.gateway.data));
    let names = Names::open(&settings.gateway.data);
    let fits = |login: &Login| {
        args.result.as_deref().is_none_or(|result| login.result.as_str() == result)
            && args.saas_id.is_none_or_is(&login.saas_id)
            && args.filters.takes_facility(called(login, &names).facility.as_deref())
    };
    let show = |found: &AppLogin| row(found, called(&found.login, &names), &names, zone, args.form.lang());
    let newest_first = args.limit.is_some();
    let found = history.logins(Query { filter: filter.clone(), newest_first, ..Query::default() })?;
    let mut found = found.filter(|found| found.as_ref().map_or(true, |found| fits(&found.login)));
    if let Some(limit) = args.limit {
        let page = found.take(limit).collect::<Result<Vec<_>, _>>()?;
        page.iter().rev().try_for_each(|found| sheet.row(show(found)))?;
    } else {
        found.try_for_each(|found| sheet.row(show(&found?)))?;
    }
    let rows = sheet.end()?;
    tell_of_dropped(&filter, &history, zone)?;
    if rows == 0 {
        complain(nothing(&args.filters, ("login", "login to a SaaS"), &history, &settings)?);
    }
    Ok(ExitCode::SUCCESS)
}

trait Fits<T> {
    fn is_none_or_is(&self, there: &Option<T>) -> bool;
}

impl<T: PartialEq> Fits<T> for Option<T> {
    fn is_none_or_is(&self, there: &Option<T>) -> bool {
        self.is_none() || self == there
    }
}

/// As the record has it; older ones have no names, then as the roster has it now.
fn called(login: &Login, names: &Names) -> Called {
    if login.name.is_some() || login.facility.is_some() {
        return Called { name: login.name.clone(), facility: login.facility.clone() };
    }
    names.called(login.person.as_ref())
}

/// The login ID, or `#` and its keyed hash where only that may be kept.
fn saas_id(login: &Login) -> Option<String> {
    login.saas_id.clone().or(login.saas_id_hash.as_ref().map(|hash| format!("#{hash}")))
}

/// In the order of [`LOGINS`].
fn row(found: &AppLogin, called: Called, names: &Names, zone: &Zone, lang: Lang) -> Vec<Cell> {
    let AppLogin { position, at, login, end } = found;
    let open = found.is_open().then(|| words::STILL_OPEN.get(lang).to_owned());
    let cause = end.as_ref().map(|end| end.cause.clone()).or(open);
    vec![
        Cell::time(Some(*at), zone),
        Cell::word(&code::encode(position.boot, position.seq)),
        Cell::text(login.person.as_ref().map(PersonId::as_str)),
        Cell::text(called.name),
        Cell::text(called.facility),
        Cell::word(login.app.as_str()),
        Cell::word(login.result.as_str()),
        Cell::text(login.cause.as_deref()),
        Cell::text(login.account.as_deref()),
        Cell::text(saas_id(login)),
        Cell::word(&login.source.to_string()),
        Cell::inside(Some(login.inside), lang),
        Cell::text(login.device.as_ref().and_then(|id| names.device(id))),
        Cell::text(login.device.as_ref().map(DeviceId::as_str)),
        Cell::text(login.serial.as_deref()),
        Cell::text(login.session.as_ref().map(|session| session.as_str())),
        Cell::time(end.as_ref().map(|end| end.ended), zone),
        Cell::text(cause),
        Cell::number(found.duration_secs()),
        Cell::number(end.as_ref().and_then(|end| i64::try_from(end.requests).ok())),
    ]
}

#[derive(Debug, Args)]
pub(crate) struct SharedIds {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    form: Form,
}

const SHARED: &[Column] = &[
    column("shared", heads::SHARED),
    column("app", heads::APP),
    id("account", heads::ACCOUNT),
    id("saas_id", heads::SAAS_ID),
    id("person", heads::PERSON),
    column("name", heads::NAME),
    column("facility", heads::FACILITY),
    column("logins", heads::LOGINS),
    column("failed", heads::FAILED),
    column("first", heads::FIRST),
    column("last", heads::LAST),
];

pub(crate) fn shared(args: &SharedIds) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let filter = args.filters.filter(&settings.gateway.time_zone)?;
    let asked = args.form.note(args.filters.asked(&filter));
    asked.record(&settings, "shared-ids")?;
    let mut sheet = Sheet::begin(&args.form, SHARED, &asked)?;
    let history = History::new(&audit_path(&settings.gateway.data));
    let names = Names::open(&settings.gateway.data);
    // Who shares with whom is a question about everybody; the person's own lines are picked afterwards.
    let shared = history.shared_ids(Filter { person: None, ..filter })?;
    let of_person = |uses: &[Use], of: &Use, together: fn(&Use, &Use) -> bool| {
        args.filters
            .person
            .as_ref()
            .is_none_or(|id| uses.iter().any(|other| other.person == *id && together(other, of)))
    };
    for (word, uses, together) in [
        ("id", &shared.by_several, (|a, b| a.account == b.account) as fn(&Use, &Use) -> bool),
        ("person", &shared.several_of_one, |a, b| a.person == b.person),
    ] {
        for of in uses.iter().filter(|of| of_person(uses, of, together)) {
            let called = names.called(Some(&of.person));
            if args.filters.takes_facility(called.facility.as_deref()) {
                sheet.row(shared_row(word, of, called, &settings))?;
            }
        }
    }
    if sheet.end()? == 0 {
        complain(match history.logins(Query { limit: Some(1), ..Query::default() })?.next() {
            None => "No login to a SaaS is recorded yet.",
            Some(_) => {
                "No login ID of a SaaS is used by several people, and nobody uses several, as far as was asked for."
            }
        });
    }
    Ok(ExitCode::SUCCESS)
}

/// In the order of [`SHARED`].
fn shared_row(shared: &str, of: &Use, called: Called, settings: &Settings) -> Vec<Cell> {
    let (zone, account) = (&settings.gateway.time_zone, &of.account);
    let count = |many: u64| Cell::number(i64::try_from(many).ok());
    vec![
        Cell::word(shared),
        Cell::word(account.app.as_str()),
        Cell::text(account.account.as_deref()),
        Cell::word(&if account.hashed { format!("#{}", account.id) } else { account.id.clone() }),
        Cell::word(of.person.as_str()),
        Cell::text(called.name),
        Cell::text(called.facility),
        count(of.logins),
        count(of.failed),
        Cell::time(Some(of.first), zone),
        Cell::time(Some(of.last), zone),
    ]
}
