//! `sekisho audit strangers`: requests of strangers beyond the rate, which were counted instead of recorded one by one.

use std::collections::BTreeSet;
use std::process::ExitCode;

use apps::words::heads;
use audit::{Aggregate, Filter, History, Query, Record};
use clap::Args;
use ipnet::IpNet;
use vocabulary::{Clock as _, SystemClock, Timestamp, Zone};

use super::period::Period;
use super::sheet::{Cell, Column, Form, Sheet, column};
use super::watched::{Asked, network};
use super::{ConfigFile, complain, counted as many, settings};
use crate::core::audit_path;

#[derive(Debug, Args)]
pub(crate) struct StrangersArgs {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    period: Period,
    /// Only from this address or network; IPv6 is counted by /64
    #[arg(long, value_name = "ADDRESS", value_parser = network)]
    source: Option<IpNet>,
    #[command(flatten)]
    form: Form,
}

const COUNTED: &[Column] = &[
    column("minute", heads::MINUTE),
    column("source", heads::SOURCE),
    column("requests", heads::REQUESTS),
    column("first", heads::FIRST),
    column("last", heads::LAST),
];

pub(crate) fn run(args: &StrangersArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let zone = &settings.gateway.time_zone;
    let (from, to) = args.period.bounds(SystemClock.now(), zone)?;
    let asked = args.period.note(Asked::default(), (from, to)).note("source", args.source.map(|net| net.to_string()));
    let asked = args.form.note(asked);
    asked.record(&settings, "strangers")?;
    let mut sheet = Sheet::begin(&args.form, COUNTED, &asked)?;
    let history = History::new(&audit_path(&settings.gateway.data));
    let filter = Filter { from, to, source: args.source, ..Filter::default() };
    let found = counted(Query { filter, ..Query::default() }, &history)?;
    for Counted { of, .. } in &found {
        sheet.row(vec![
            Cell::time(Some(of.minute), zone),
            // Beyond the number of sources that are told apart.
            Cell::text(of.source.as_deref()),
            Cell::number(i64::try_from(of.count).ok()),
            Cell::time(Some(of.first), zone),
            Cell::time(Some(of.last), zone),
        ])?;
    }
    if sheet.end()? == 0 {
        complain("No request of a stranger was counted in this time and from there: each has a record of its own.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The count of a minute, and whether all of it is certain to lie in the time and to come from where it was asked for.
pub(super) struct Counted {
    of: Aggregate,
    sure: bool,
}

/// A count is recorded when its minute is over, or once there is room on the disk again.
const RECORDED_WITHIN_SECS: i64 = 3_600;

/// What was counted in the time, in the part of the record and from the source that are asked for.
pub(super) fn counted(asked: Query, history: &History) -> anyhow::Result<Vec<Counted>> {
    // Not when the count was recorded, which is later, but when the requests came.
    let Filter { from, to, source, night, .. } = asked.filter;
    let night = Filter { night, ..Filter::default() };
    let filter = Filter {
        kinds: vec!["aggregate".to_owned()],
        from,
        to: to.map(|to| to.plus_secs(RECORDED_WITHIN_SECS)),
        ..Filter::default()
    };
    let mut found = Vec::new();
    for entry in history.read(Query { filter, ..asked })? {
        let Record::Aggregate(of) = entry?.record else { continue };
        let lies_in =
            |at: Timestamp| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to) && night.is_at_night(at);
        let overlaps = from.is_none_or(|from| of.last >= from)
            && to.is_none_or(|to| of.first < to)
            && (night.is_at_night(of.first) || night.is_at_night(of.last));
        let place = source.map_or(Some(true), |wanted| came_from(&of, &wanted));
        if let Some(certain) = place.filter(|_| overlaps) {
            found.push(Counted { sure: certain && lies_in(of.first) && lies_in(of.last), of });
        }
    }
    Ok(found)
}

/// None: from elsewhere; false: it can't be told.
fn came_from(of: &Aggregate, wanted: &IpNet) -> Option<bool> {
    let Some(source) = &of.source else { return Some(false) };
    let net = network(source).ok()?;
    if wanted.contains(&net) { Some(true) } else { net.contains(wanted).then_some(false) }
}

/// All that was counted.
pub(super) struct Total {
    requests: u64,
    sure: bool,
    sources: BTreeSet<String>,
    others: bool,
    first: Timestamp,
    last: Timestamp,
}

impl Total {
    /// None: nothing was.
    pub(super) fn of(counted: &[Counted]) -> Option<Self> {
        Some(Self {
            requests: counted.iter().map(|counted| counted.of.count).sum(),
            sure: counted.iter().all(|counted| counted.sure),
            sources: counted.iter().filter_map(|counted| counted.of.source.clone()).collect(),
            others: counted.iter().any(|counted| counted.of.source.is_none()),
            first: counted.iter().map(|counted| counted.of.first).min()?,
            last: counted.iter().map(|counted| counted.of.last).max()?,
        })
    }

    pub(super) fn told(&self, zone: &Zone) -> String {
        let sources = match (u64::try_from(self.sources.len()).unwrap_or(u64::MAX), self.others) {
            (0, _) => "from sources that were not told apart".to_owned(),
            (one_or_more, false) => format!("from {}", many(one_or_more, "source")),
            (one_or_more, true) => format!("from {} and others that were not told apart", many(one_or_more, "source")),
        };
        format!(
            "{}{} more {} only counted, {sources}, between {} and {}",
            if self.sure { "" } else { "Up to " },
            self.requests,
            if self.requests == 1 { "request of a stranger was" } else { "requests of strangers were" },
            zone.display(self.first),
            zone.display(self.last)
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_count_is_told_as_exactly_as_it_is_known() {
        let at = Timestamp::from_secs;
        let of = |source: Option<&str>, count: u64| Aggregate {
            source: source.map(str::to_owned),
            minute: at(60),
            count,
            first: at(61),
            last: at(70),
            more: Map::new(),
        };
        let net = |text: &str| network(text).unwrap();
        for (source, wanted, answer) in [
            (Some("127.0.0.9"), "127.0.0.9", Some(true)),
            (Some("127.0.0.9"), "127.0.0.0/24", Some(true)),
            (Some("127.0.0.9"), "127.0.0.8", None),
            (Some("2001:db8:1:2::/64"), "2001:db8:1:2::7", Some(false)),
            (Some("2001:db8:1:2::/64"), "2001:db8:1::/48", Some(true)),
            (None, "127.0.0.9", Some(false)),
        ] {
            assert_eq!(came_from(&of(source, 1), &net(wanted)), answer, "{source:?} {wanted}");
        }
        let told = |counted: &[Counted]| Total::of(counted).map(|total| total.told(&Zone::UTC));
        assert_eq!(told(&[]), None);
        let sure = |of| Counted { of, sure: true };
        let when = "between 1970/01/01 00:01:01 and 1970/01/01 00:01:10";
        assert_eq!(
            told(&[sure(of(Some("127.0.0.9"), 15))]).unwrap(),
            format!("15 more requests of strangers were only counted, from 1 source, {when}")
        );
        assert_eq!(
            told(&[sure(of(Some("127.0.0.9"), 15)), Counted { of: of(None, 5), sure: false }]).unwrap(),
            format!(
                "Up to 20 more requests of strangers were only counted, from 1 source and others that were not told apart, {when}"
            )
        );
    }
}
