//! Instants in UTC and what the facility's wall clock showed at them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use jiff::civil::{Date, Weekday};

/// Microseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A time or zone can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("`{0}` is not a time zone of the IANA database (such as Asia/Tokyo)")]
    Zone(String),
    #[error("`{0}` is not a time; write 2026-11-01, 2026-11-01T09:00 or 2026-11-01T00:00:00Z")]
    Time(String),
}

impl Timestamp {
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1_000_000)
    }

    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1_000_000)))
    }

    /// Seconds from `earlier` to `self`, rounded down; negative if `earlier` is later.
    pub const fn secs_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(1_000_000)
    }

    /// Reads RFC 3339, or a civil date or date-time in `zone` (the first instant it names).
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str, zone: &Zone) -> Result<Self, TimeError> {
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(instant.as_microsecond()));
        }
        let civil = text
            .parse::<jiff::civil::DateTime>()
            .or_else(|_| text.parse::<Date>().map(|d| d.at(0, 0, 0, 0)))
            .map_err(|_| TimeError::Time(text.to_owned()))?;
        let zoned = civil.to_zoned_datetime(zone.0.clone()).map_err(|_| TimeError::Time(text.to_owned()))?;
        Ok(Self(zoned.timestamp().as_microsecond()))
    }
}

/// RFC 3339 in UTC with microseconds: `2026-11-01T00:05:12.000000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t:.6}"),
            Err(_) => write!(f, "@{}us", self.0),
        }
    }
}

/// Where "now" comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// An IANA time zone; its rules are compiled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    pub const UTC: Self = Self(jiff::tz::TimeZone::UTC);

    /// # Errors
    /// No zone of the IANA database has this name.
    pub fn named(name: &str) -> Result<Self, TimeError> {
        jiff::tz::TimeZone::get(name).map(Self).map_err(|_| TimeError::Zone(name.to_owned()))
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What a wall clock in this zone shows at `at`.
    pub fn local(&self, at: Timestamp) -> LocalTime {
        let instant = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let civil = self.0.to_datetime(instant);
        LocalTime {
            date: civil.date(),
            minute: u16::try_from(i32::from(civil.hour()) * 60 + i32::from(civil.minute())).unwrap_or(0),
        }
    }

    /// When the day of `at` began.
    pub fn day_start(&self, at: Timestamp) -> Timestamp {
        let midnight = self.local(at).date.to_datetime(jiff::civil::Time::midnight());
        let begun = self.0.to_ambiguous_timestamp(midnight).compatible();
        begun.map_or(Timestamp(i64::MIN), |begun| Timestamp(begun.as_microsecond()))
    }

    /// When the month began that lies so many months before the one of `at`.
    pub fn month_start(&self, at: Timestamp, months_before: u32) -> Timestamp {
        let first = self.local(at).date.first_of_month();
        let months = jiff::Span::new().try_months(i64::from(months_before)).unwrap_or_default();
        let first = first.checked_sub(months).unwrap_or(Date::MIN);
        let midnight = self.0.to_ambiguous_timestamp(first.to_datetime(jiff::civil::Time::midnight())).compatible();
        midnight.map_or(Timestamp(i64::MIN), |begun| Timestamp(begun.as_microsecond()))
    }

    /// `2026/11/01 09:05:12`, as reports write it.
    pub fn display(&self, at: Timestamp) -> String {
        let instant = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.0.to_datetime(instant).strftime("%Y/%m/%d %H:%M:%S").to_string()
    }
}

/// A wall clock's reading, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    pub date: Date,
    /// Minutes since midnight on the wall clock, 0 to 1439.
    pub minute: u16,
}

impl LocalTime {
    pub fn weekday(self) -> Weekday {
        self.date.weekday()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokyo_is_nine_hours_ahead() -> Result<(), TimeError> {
        let tokyo = Zone::named("Asia/Tokyo")?;
        let t = Timestamp::parse("2026-10-31T15:05:12Z", &Zone::UTC)?;
        assert_eq!(tokyo.display(t), "2026/11/01 00:05:12");
        assert_eq!(tokyo.local(t).minute, 5);
        assert_eq!(t.to_string(), "2026-10-31T15:05:12.000000Z");
        assert_eq!(Timestamp::parse("2026-11-01T00:05:12", &tokyo)?, t);
        Ok(())
    }

    #[test]
    fn months_begin_at_midnight_in_the_zone() -> Result<(), TimeError> {
        let tokyo = Zone::named("Asia/Tokyo")?;
        let at = Timestamp::parse("2026-03-31T14:59:59Z", &Zone::UTC)?;
        for (months, begun) in [(0, "2026-03-01T00:00"), (1, "2026-02-01T00:00"), (15, "2024-12-01T00:00")] {
            assert_eq!(tokyo.month_start(at, months), Timestamp::parse(begun, &tokyo)?);
        }
        assert_eq!(tokyo.month_start(at.plus_secs(1), 0), Timestamp::parse("2026-04-01T00:00", &tokyo)?);
        Ok(())
    }

    #[test]
    fn an_unknown_zone_says_what_one_looks_like() {
        let error = Zone::named("Tokyo/Japan").map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("Asia/Tokyo"));
    }
}
