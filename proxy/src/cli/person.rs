//! `sekisho audit person`: what one person did, as a timeline.

use std::process::ExitCode;

use apps::Lang;
use apps::words::heads;
use audit::{Called, Decision, Filter, Happening, History, Moment, Query, Step};
use clap::Args;
use config::Settings;
use vocabulary::{Clock as _, PersonId, SystemClock, Timestamp};

use super::names::Names;
use super::period::Period;
use super::recipes::Recipes;
use super::sheet::{Cell, Column, Form, Sheet, column, id};
use super::watched::Asked;
use super::{ConfigFile, complain, settings};
use crate::core::audit_path;

#[derive(Debug, Args)]
pub(crate) struct Person {
    #[command(flatten)]
    file: ConfigFile,
    /// The person's ID, on the roster or not any more
    person: PersonId,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    form: Form,
}

const TIMELINE: &[Column] = &[
    column("time", heads::TIME),
    column("until", heads::UNTIL),
    column("event", heads::EVENT),
    column("app", heads::APP),
    column("result", heads::RESULT),
    column("detail", heads::DETAIL),
    id("operation", heads::OPERATION_ID),
    id("subject", heads::SUBJECT),
    column("times", heads::TIMES),
    column("source", heads::SOURCE),
    column("inside", heads::PLACE),
    id("device", heads::DEVICE),
];

pub(crate) fn run(args: &Person) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let zone = &settings.gateway.time_zone;
    let bounds = args.period.bounds(SystemClock.now(), zone)?;
    let (from, to) = if bounds == (None, None) { (Some(zone.day_start(SystemClock.now())), None) } else { bounds };
    let asked = args.form.note(args.period.note(Asked::default().note("person", Some(&args.person)), (from, to)));
    asked.record(&settings, "person")?;
    let mut sheet = Sheet::begin(&args.form, TIMELINE, &asked)?;
    let history = History::new(&audit_path(&settings.gateway.data));
    let names = Names::open(&settings.gateway.data);
    let moments = history.timeline(&args.person, from, to)?;
    if let Some(last) = moments.last() {
        let then = history.names(from, to, Some(&args.person))?.at(&args.person, last.position)?.cloned();
        let Called { name, facility } = then.unwrap_or_else(|| names.called(Some(&args.person)));
        let parts = [Some(args.person.to_string()), name, facility];
        complain(parts.into_iter().flatten().collect::<Vec<_>>().join("  "));
    }
    for moment in &moments {
        sheet.row(row(moment, &settings, args.form.lang()))?;
    }
    if sheet.end()? == 0 {
        complain(nothing(&args.person, &history, &names)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Why there is nothing to show; where there is something at another time, when the last of it was.
fn nothing(person: &PersonId, history: &History, names: &Names) -> anyhow::Result<String> {
    let filter = Filter { person: Some(person.clone()), ..Filter::default() };
    let last =
        history.read(Query { filter, newest_first: true, limit: Some(1), ..Query::default() })?.next().transpose()?;
    Ok(match last {
        Some(last) => format!("Nothing of {person} in this time; the last record of theirs is of {}.", last.at),
        None if names.roster.get(person).is_some() => {
            format!("{person} is on the roster, and nothing of theirs is recorded.")
        }
        None => {
            let known: Vec<String> = names.roster.people().iter().map(|person| person.id.to_string()).collect();
            let hint = config::did_you_mean(person.as_str(), &known);
            format!("Nobody on the roster has the ID {person}, and nothing of such a person is recorded{hint}")
        }
    })
}

/// What of a moment stands in the columns, in their order.
#[derive(Default)]
struct Told {
    until: Option<Timestamp>,
    event: &'static str,
    app: Option<String>,
    result: Option<String>,
    detail: Option<String>,
    operation: Option<String>,
    subject: Option<String>,
    times: Option<i64>,
    source: Option<String>,
    inside: Option<bool>,
    device: Option<String>,
}

fn row(moment: &Moment, settings: &Settings, lang: Lang) -> Vec<Cell> {
    let zone = &settings.gateway.time_zone;
    let told = tell(&moment.what, settings, lang);
    vec![
        Cell::time(Some(moment.at), zone),
        Cell::time(told.until, zone),
        Cell::word(told.event),
        Cell::text(told.app),
        Cell::text(told.result),
        Cell::text(told.detail),
        Cell::text(told.operation),
        Cell::text(told.subject),
        Cell::number(told.times),
        Cell::text(told.source),
        Cell::inside(told.inside, lang),
        Cell::text(told.device),
    ]
}

fn tell(what: &Happening, settings: &Settings, lang: Lang) -> Told {
    let text = |text: Option<&str>| text.map(str::to_owned);
    match what {
        Happening::SignIn(sign_in) => Told {
            event: "sign-in",
            result: serde_json::to_value(sign_in.result).ok().and_then(|word| text(word.as_str())),
            detail: text(sign_in.reason.map(|reason| reason.as_str()).or(sign_in.method.as_deref())),
            source: Some(sign_in.source.to_string()),
            inside: Some(sign_in.inside),
            device: sign_in.device.as_ref().map(ToString::to_string),
            ..Told::default()
        },
        Happening::SignOut(out) => Told { event: "sign-out", detail: Some(out.cause.clone()), ..Told::default() },
        Happening::Login(login) => Told {
            event: "login",
            app: Some(login.app.to_string()),
            result: text(Some(login.result.as_str())),
            detail: login.saas_id.clone().or_else(|| login.cause.clone()),
            source: Some(login.source.to_string()),
            inside: Some(login.inside),
            device: login.device.as_ref().map(ToString::to_string),
            ..Told::default()
        },
        Happening::LoginEnd(end) => Told {
            event: "login-end",
            app: Some(end.app.to_string()),
            detail: Some(end.cause.clone()),
            until: Some(end.ended),
            times: i64::try_from(end.requests).ok(),
            ..Told::default()
        },
        Happening::Change(change) => Told {
            event: "change",
            result: Some(change.what.clone()),
            detail: Some(format!("{} → {}", change.by, change.subject)),
            ..Told::default()
        },
        Happening::Operation { step, times, last } => operation(step, *times, *last, settings, lang),
        Happening::Unnamed { app, requests, last } => Told {
            event: "requests",
            until: Some(*last),
            detail: Some(Recipes::of(settings).operation(app.as_deref(), None, lang)).filter(|told| !told.is_empty()),
            app: text(app.as_deref()),
            times: i64::try_from(*requests).ok(),
            ..Told::default()
        },
        Happening::Gap { until } => Told { event: "gap", until: Some(*until), ..Told::default() },
    }
}

fn operation(step: &Step, times: u64, last: Timestamp, settings: &Settings, lang: Lang) -> Told {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let refused = step.decision == Decision::Deny;
    let reason = step.reason.filter(|_| refused).map(|reason| reason.as_str());
    let name = Recipes::of(settings).operation(step.app.as_deref(), step.operation.as_deref(), lang);
    let place = format!("{} {}", step.method, step.path);
    Told {
        until: (times > 1).then_some(last),
        event: if refused { "refused" } else { step.action.as_str() },
        app: text(step.app.as_deref()),
        result: text(reason.or(step.failed.then_some("failed"))),
        detail: Some(if step.operation.is_some() { name } else { place }),
        operation: text(step.operation.as_deref()),
        subject: text(step.subject.as_deref()),
        times: i64::try_from(times).ok(),
        source: text(Some(&step.source)),
        inside: Some(!step.outside),
        device: text(step.device.as_deref()),
    }
}
