//! Which time is asked for.

use clap::{Args, ValueEnum};
use serde::Serialize;
use vocabulary::{TimeError, Timestamp, Zone};

use super::watched::Asked;

#[derive(Debug, Args)]
pub(super) struct Period {
    /// From this time on: 2026-11-01, 2026-11-01T09:00 (the gate's time zone) or 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// A day, night (22:00 to 05:00) or month of the gate's time zone
    #[arg(long, conflicts_with_all = ["from", "to"])]
    period: Option<Preset>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Preset {
    Today,
    Yesterday,
    LastNight,
    ThisMonth,
    LastMonth,
}

impl Period {
    /// At or after the first, before the second.
    pub(super) fn bounds(
        &self,
        now: Timestamp,
        zone: &Zone,
    ) -> Result<(Option<Timestamp>, Option<Timestamp>), TimeError> {
        let time = |text: &Option<String>| text.as_deref().map(|text| Timestamp::parse(text, zone)).transpose();
        Ok(match self.period {
            None => (time(&self.from)?, time(&self.to)?),
            Some(Preset::Today) => (Some(zone.day_start(now)), None),
            Some(Preset::Yesterday) => {
                let today = zone.day_start(now);
                (Some(zone.day_start(today.plus_secs(-1))), Some(today))
            }
            Some(Preset::LastNight) => {
                let midnight = zone.day_start(now);
                (Some(midnight.plus_secs(-2 * 3600)), Some(midnight.plus_secs(5 * 3600)))
            }
            Some(Preset::ThisMonth) => (Some(zone.month_start(now, 0)), None),
            Some(Preset::LastMonth) => (Some(zone.month_start(now, 1)), Some(zone.month_start(now, 0))),
        })
    }

    pub(super) fn note(&self, asked: Asked) -> Asked {
        asked.note("from", self.from.as_ref()).note("to", self.to.as_ref()).note("period", self.period)
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
        assert_eq!(bounds(Preset::Today), [midnight("12/01"), None]);
        assert_eq!(bounds(Preset::Yesterday), [midnight("11/30"), midnight("12/01")]);
        let night = ["2026/11/30 22:00:00", "2026/12/01 05:00:00"].map(|time| Some(time.to_owned()));
        assert_eq!(bounds(Preset::LastNight), night);
        assert_eq!(bounds(Preset::ThisMonth), [midnight("12/01"), None]);
        assert_eq!(bounds(Preset::LastMonth), [midnight("11/01"), midnight("12/01")]);
        let given = Period { from: Some("2026-11-01".to_owned()), to: None, period: None };
        assert_eq!(given.bounds(now, &tokyo).unwrap().0, Timestamp::parse("2026-10-31T15:00:00Z", &tokyo).ok());
    }
}
