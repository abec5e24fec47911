//! Which time is asked for.

use clap::Args;
use serde::{Serialize, Serializer};
use vocabulary::{Date, TimeError, Timestamp, Zone};

use super::watched::Asked;

/// At or after the first, before the second.
pub(super) type Bounds = (Option<Timestamp>, Option<Timestamp>);

#[derive(Debug, Args)]
pub(super) struct Period {
    /// From this time on: 2026-11-01, 2026-11-01T09:00 or 2026/11/01 09:00:00 (the gate's time zone), 2026-11-01T00:00:00Z; a
    /// month, as 2026-11, is its beginning
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// today, yesterday, last-night (22:00 to 05:00), this-month, last-month, or a day or month of the gate's time zone, as
    /// 2026-11-30 or 2026-11
    #[arg(long, value_parser = named, conflicts_with_all = ["from", "to"])]
    period: Option<Named>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Today,
    Yesterday,
    LastNight,
    ThisMonth,
    LastMonth,
    Day(Date),
    /// By its first day.
    Month(Date),
}

const NAMES: [(&str, Named); 5] = [
    ("today", Named::Today),
    ("yesterday", Named::Yesterday),
    ("last-night", Named::LastNight),
    ("this-month", Named::ThisMonth),
    ("last-month", Named::LastMonth),
];

fn named(text: &str) -> Result<Named, String> {
    let known = NAMES.into_iter().find(|(name, _)| *name == text).map(|(_, named)| named);
    let day = || dashed(text).parse().ok().filter(|_| text.len() == 10).map(Named::Day);
    known.or_else(|| month(text).map(Named::Month)).or_else(day).ok_or_else(|| {
        format!("write {}, a day as 2026-11-30 or a month as 2026-11", NAMES.map(|(name, _)| name).join(", "))
    })
}

/// `2026/11/30 09:05:12`, as times are printed here, in the form in which they are read.
fn dashed(text: &str) -> String {
    if text.get(4..5) == Some("/") { text.replacen('/', "-", 2) } else { text.to_owned() }
}

/// The first day of a month as `2026-11` or `2026/11`.
fn month(text: &str) -> Option<Date> {
    format!("{}-01", dashed(text)).parse().ok().filter(|_| text.len() == 7)
}

fn time(text: &str, zone: &Zone) -> Result<Timestamp, TimeError> {
    match month(text) {
        Some(first) => day(first, zone),
        None => Timestamp::parse(&dashed(text), zone).map_err(|_| TimeError::Time(text.to_owned())),
    }
}

/// When a day begins.
fn day(date: Date, zone: &Zone) -> Result<Timestamp, TimeError> {
    Timestamp::parse(&date.to_string(), zone)
}

fn next_day(date: Date, zone: &Zone) -> Option<Timestamp> {
    date.tomorrow().ok().and_then(|next| day(next, zone).ok())
}

impl Period {
    /// # Errors
    /// A time can't be read, or the end does not lie behind the beginning.
    pub(super) fn bounds(&self, now: Timestamp, zone: &Zone) -> anyhow::Result<Bounds> {
        let given = |text: &Option<String>| text.as_deref().map(|text| time(text, zone)).transpose();
        Ok(match self.period {
            None => {
                let (from, to) = (given(&self.from)?, given(&self.to)?);
                if let (Some(from), Some(to)) = (from, to) {
                    anyhow::ensure!(
                        from < to,
                        "--from {} is not before --to {}, so nothing can lie between them",
                        zone.display(from),
                        zone.display(to)
                    );
                }
                (from, to)
            }
            Some(Named::Today) => (Some(zone.day_start(now)), None),
            Some(Named::Yesterday) => {
                let today = zone.day_start(now);
                (Some(zone.day_start(today.plus_secs(-1))), Some(today))
            }
            Some(Named::LastNight) => {
                let midnight = zone.day_start(now);
                (Some(midnight.plus_secs(-2 * 3600)), Some(midnight.plus_secs(5 * 3600)))
            }
            Some(Named::ThisMonth) => (Some(zone.month_start(now, 0)), None),
            Some(Named::LastMonth) => (Some(zone.month_start(now, 1)), Some(zone.month_start(now, 0))),
            Some(Named::Day(date)) => (Some(day(date, zone)?), next_day(date, zone)),
            Some(Named::Month(first)) => (Some(day(first, zone)?), next_day(first.last_of_month(), zone)),
        })
    }

    /// The words, and the times that they meant when they were said.
    pub(super) fn note(&self, asked: Asked, (from, to): Bounds) -> Asked {
        let asked = asked.note("from", self.from.as_ref()).note("to", self.to.as_ref()).note("period", self.period);
        let utc = |at: Option<Timestamp>| at.map(|at| at.to_string());
        asked.note("from_at", utc(from)).note("to_at", utc(to))
    }

    /// As it is written on a command line, with a space before each.
    pub(super) fn options(&self) -> String {
        let quoted = |text: &String| if text.contains(' ') { format!("'{text}'") } else { text.clone() };
        let from = self.from.as_ref().map(|from| format!(" --from {}", quoted(from)));
        let to = self.to.as_ref().map(|to| format!(" --to {}", quoted(to)));
        let period = self.period.map(|named| format!(" --period {}", named.word()));
        [from, to, period].into_iter().flatten().collect()
    }
}

impl Named {
    fn word(self) -> String {
        match self {
            Self::Day(date) => date.to_string(),
            Self::Month(first) => first.to_string().chars().take(7).collect(),
            _ => NAMES.into_iter().find(|(_, named)| *named == self).map_or("", |(name, _)| name).to_owned(),
        }
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_those_of_the_gate_s_zone() {
        let tokyo = Zone::named("Asia/Tokyo").unwrap();
        // In UTC it is still November.
        let now = Timestamp::parse("2026-12-01T08:30", &tokyo).unwrap();
        let bounds = |period| {
            let told = Period { from: None, to: None, period: Some(period) }.bounds(now, &tokyo).unwrap();
            [told.0, told.1].map(|bound| bound.map(|at| tokyo.display(at)))
        };
        let midnight = |day: &str| Some(format!("2026/{day} 00:00:00"));
        assert_eq!(bounds(Named::Today), [midnight("12/01"), None]);
        assert_eq!(bounds(Named::Yesterday), [midnight("11/30"), midnight("12/01")]);
        let night = ["2026/11/30 22:00:00", "2026/12/01 05:00:00"].map(|time| Some(time.to_owned()));
        assert_eq!(bounds(Named::LastNight), night);
        assert_eq!(bounds(Named::ThisMonth), [midnight("12/01"), None]);
        assert_eq!(bounds(Named::LastMonth), [midnight("11/01"), midnight("12/01")]);
        let given = Period { from: Some("2026-11-01".to_owned()), to: None, period: None };
        assert_eq!(given.bounds(now, &tokyo).unwrap().0, Timestamp::parse("2026-10-31T15:00:00Z", &tokyo).ok());
    }

    #[test]
    fn times_are_taken_as_they_are_printed_and_months_as_they_are_called() {
        let tokyo = Zone::named("Asia/Tokyo").unwrap();
        let given = |from: &str, to: &str| {
            let [from, to] = [from, to].map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
            Period { from, to, period: None }.bounds(Timestamp(0), &tokyo)
        };
        let printed = |at: Option<Timestamp>| at.map(|at| tokyo.display(at)).unwrap_or_default();
        for (text, meant) in [
            ("2026/11/30", "2026/11/30 00:00:00"),
            ("2026/11/30 09:05", "2026/11/30 09:05:00"),
            ("2026/11/30 09:05:12", "2026/11/30 09:05:12"),
            ("2026-11", "2026/11/01 00:00:00"),
            ("2026/11", "2026/11/01 00:00:00"),
        ] {
            assert_eq!(printed(given(text, "").unwrap().0), meant, "{text}");
        }
        let october = given("2026-10", "2026-11").unwrap();
        assert_eq!(
            (printed(october.0), printed(october.1)),
            ("2026/10/01 00:00:00".into(), "2026/11/01 00:00:00".into())
        );
        for (text, from, to) in [
            ("2026-12", "2026/12/01 00:00:00", "2027/01/01 00:00:00"),
            ("2026/02/28", "2026/02/28 00:00:00", "2026/03/01 00:00:00"),
        ] {
            let bounds = Period { from: None, to: None, period: Some(named(text).unwrap()) };
            let bounds = bounds.bounds(Timestamp(0), &tokyo).unwrap();
            assert_eq!((printed(bounds.0), printed(bounds.1)), (from.into(), to.into()));
        }
        for wrong in ["2026", "2026-13", "2026-11-31", "2026-11-01T09:00", "tomorrow", ""] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
        for (from, to) in [("2026-11-02", "2026-11-01"), ("2026-11-01", "2026-11-01")] {
            assert!(given(from, to).unwrap_err().to_string().contains("is not before"));
        }
    }
}
