//! What every history can be narrowed to, and why nothing is left of it.

use audit::{Dropped, Filter, History, Query};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use config::Settings;
use vocabulary::{AppId, Clock as _, DeviceId, PersonId, SystemClock, Zone};

use super::complain;
use super::names::Names;
use super::period::Period;
use super::watched::Asked;

#[derive(Debug, Args)]
pub(super) struct Filters {
    #[command(flatten)]
    pub(super) period: Period,
    /// Only this person's, on the roster or not any more
    #[arg(long)]
    pub(super) person: Option<PersonId>,
    /// Only this app's
    #[arg(long)]
    pub(super) app: Option<AppId>,
    /// Only of people who belonged to this facility then
    #[arg(long)]
    pub(super) facility: Option<String>,
    /// Only from outside of all facilities
    #[arg(long)]
    outside: bool,
    /// Only what was refused or went wrong
    #[arg(long)]
    failures: bool,
    /// Only between 22:00 and 05:00
    #[arg(long)]
    night: bool,
    /// Only from this device, by its id
    #[arg(long)]
    device: Option<DeviceId>,
}

impl Filters {
    /// All of it but for the facility, which no record of a request has.
    pub(super) fn filter(&self, zone: &Zone) -> anyhow::Result<Filter> {
        let (from, to) = self.period.bounds(SystemClock.now(), zone)?;
        Ok(Filter {
            from,
            to,
            person: self.person.clone(),
            app: self.app.clone(),
            device: self.device.clone(),
            outside: self.outside,
            failed: self.failures,
            night: self.night.then(|| zone.clone()),
            ..Filter::default()
        })
    }

    /// With the times of the filter that it became.
    pub(super) fn asked(&self, filter: &Filter) -> Asked {
        self.period
            .note(Asked::default(), (filter.from, filter.to))
            .note("person", self.person.as_ref())
            .note("app", self.app.as_ref())
            .note("facility", self.facility.as_ref())
            .flag("outside", self.outside)
            .flag("failures", self.failures)
            .flag("night", self.night)
            .note("device", self.device.as_ref())
    }

    pub(super) fn takes_facility(&self, facility: Option<&str>) -> bool {
        self.facility.as_deref().is_none_or(|wanted| facility == Some(wanted))
    }
}

/// How many are shown: none would be no question.
pub(super) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=u64::from(u32::MAX))
}

/// Why there is nothing of this `kind` to show, as far as it can be told. `what`: what it is called, in the singular.
pub(super) fn nothing(
    asked: &Filters,
    (kind, what): (&str, &str),
    history: &History,
    settings: &Settings,
) -> anyhow::Result<String> {
    let (person, app) = (asked.person.as_ref(), asked.app.as_ref());
    if let Some(why) = nothing_of(person, app, Some(kind), what, history, settings)? {
        return Ok(why);
    }
    if let Some(facility) = &asked.facility {
        let roster = Names::open(&settings.gateway.data).roster;
        let mut known: Vec<String> = roster.people().iter().filter_map(|person| person.facility.clone()).collect();
        known.sort_unstable();
        known.dedup();
        if !known.contains(facility) {
            let hint = config::did_you_mean(facility, &known);
            return Ok(format!("No {what} fits, and nobody on the roster belongs to {facility}{hint}"));
        }
    }
    Ok(format!("No {what} fits."))
}

/// That nothing of this kind (None: of any) is recorded of the person or the app, if that is why.
pub(super) fn nothing_of(
    person: Option<&PersonId>,
    app: Option<&AppId>,
    kind: Option<&str>,
    what: &str,
    history: &History,
    settings: &Settings,
) -> anyhow::Result<Option<String>> {
    let occurs = |filter: Filter| -> anyhow::Result<bool> {
        let filter = Filter { kinds: kind.into_iter().map(str::to_owned).collect(), ..filter };
        let query = Query { filter, newest_first: true, limit: Some(1), ..Query::default() };
        Ok(history.read(query)?.next().transpose()?.is_some())
    };
    if let Some(person) = person
        && !occurs(Filter { person: Some(person.clone()), ..Filter::default() })?
    {
        let roster = Names::open(&settings.gateway.data).roster;
        if roster.get(person).is_some() {
            return Ok(Some(format!("{person} is on the roster, and no {what} of theirs is recorded.")));
        }
        let known: Vec<String> = roster.people().iter().map(|person| person.id.to_string()).collect();
        let hint = config::did_you_mean(person.as_str(), &known);
        return Ok(Some(format!("Nobody on the roster has the ID {person}, and no {what} is of such a person{hint}")));
    }
    if let Some(app) = app
        && !occurs(Filter { app: Some(app.clone()), ..Filter::default() })?
    {
        return Ok(Some(no_app(app, what, settings)));
    }
    Ok(None)
}

/// Says that what was asked for reaches back to a time of which records were dropped.
pub(super) fn tell_of_dropped(filter: &Filter, history: &History, zone: &Zone) -> anyhow::Result<()> {
    let asked = filter.from.into_iter().chain(filter.to).min();
    if let Some(asked) = asked
        && let Some(Dropped { before: Some(before), .. }) = history.dropped()?
        && asked < before
    {
        let before = zone.display(before);
        complain(format_args!(
            "Records before {before} were dropped (audit.log.keep_months); what lies before is incomplete."
        ));
    }
    Ok(())
}

/// Nothing is recorded of the app.
pub(super) fn no_app(app: &AppId, what: &str, settings: &Settings) -> String {
    let known: Vec<String> = settings.apps.iter().map(|app| app.saas.id.to_string()).collect();
    if known.iter().any(|known| known == app.as_str()) {
        return format!("No {what} of {app} is recorded yet.");
    }
    let hint = config::did_you_mean(app.as_str(), &known);
    format!("The configuration has no app {app}, and no {what} of one of that name is recorded{hint}")
}
