//! When a rule holds: days, windows of hours and dates, by the wall clock.

use vocabulary::{Date, LocalTime, Weekday};

/// Minutes of a day; a window's end may stand on it.
const DAY: u16 = 24 * 60;

/// A rule's `when`. A window that crosses midnight belongs, as a whole, to the day it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// One bit per weekday, Monday lowest.
    pub(crate) days: u8,
    pub(crate) windows: Box<[Window]>,
    /// First day.
    pub(crate) from: Option<Date>,
    /// Last day.
    pub(crate) until: Option<Date>,
}

/// Minutes since midnight, the end exclusive. An end at or before the start lies on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    start: u16,
    end: u16,
}

impl Window {
    pub(crate) const WHOLE_DAY: Self = Self { start: 0, end: DAY };

    fn crosses_midnight(self) -> bool {
        self.end <= self.start
    }
}

impl Schedule {
    pub(crate) const EVERY_DAY: u8 = 0b111_1111;

    pub(crate) fn holds(&self, local: LocalTime) -> bool {
        let minute = local.minute;
        let begins_today = self.windows.iter().any(|w| w.start <= minute && (w.crosses_midnight() || minute < w.end));
        if begins_today && self.has_day(local.date) {
            return true;
        }
        let began_yesterday = self.windows.iter().any(|w| w.crosses_midnight() && minute < w.end);
        began_yesterday && local.date.yesterday().is_ok_and(|yesterday| self.has_day(yesterday))
    }

    pub(crate) fn has_dates(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }

    /// The minutes of the week, from Monday's midnight, at which a window may begin or end.
    pub(crate) fn edges(&self) -> impl Iterator<Item = u16> {
        let of_a_day = self.windows.iter().flat_map(|window| [window.start, window.end]);
        of_a_day.flat_map(|minute| (0..7).map(move |day| (day * DAY + minute) % (7 * DAY)))
    }

    fn has_day(&self, date: Date) -> bool {
        self.days & bit(date.weekday()) != 0
            && self.from.is_none_or(|from| from <= date)
            && self.until.is_none_or(|until| date <= until)
    }
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

/// `mon-fri`, `mon,wed,fri`, `sat-mon`: one bit per weekday. `None`: it can't be read.
pub(crate) fn parse_days(text: &str) -> Option<u8> {
    let number = |word: &str| WEEK.iter().position(|w| *w == word.trim());
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        let length = (last + 7 - first) % 7;
        for day in first..=first + length {
            days |= 1 << (day % 7);
        }
    }
    Some(days)
}

/// `06:00-22:00, 23:00-01:00`. `None`: it can't be read, or a window is empty.
pub(crate) fn parse_hours(text: &str) -> Option<Box<[Window]>> {
    text.split(',').map(|part| parse_window(part.trim())).collect()
}

fn parse_window(text: &str) -> Option<Window> {
    let (start, end) = text.split_once('-')?;
    let (start, end) = (parse_minute(start.trim())?, parse_minute(end.trim())?);
    // `09:00-09:00` may mean nothing or a whole day; `00:00-24:00` says the latter.
    (start < DAY && start != end).then_some(Window { start, end })
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !matches!(hour.len(), 1 | 2) || minute.len() != 2 || !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60).then_some(hour * 60 + minute).filter(|m| *m <= DAY)
}

/// `2026-11-01`, nothing else.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    if text.len() != "2026-11-01".len() { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use vocabulary::{Timestamp, Zone};

    use super::*;

    fn schedule(days: &str, hours: &str) -> Schedule {
        Schedule { days: parse_days(days).unwrap(), windows: parse_hours(hours).unwrap(), from: None, until: None }
    }

    /// 2026-11-02 is a Monday.
    fn local(day: i8, hour: u16, minute: u16) -> LocalTime {
        LocalTime { date: Date::constant(2026, 11, day), minute: hour * 60 + minute }
    }

    #[test]
    fn a_window_ends_before_its_end() {
        let day = schedule("mon-sun", "06:00-22:00");
        assert!(!day.holds(local(2, 5, 59)));
        assert!(day.holds(local(2, 6, 0)));
        assert!(day.holds(local(2, 21, 59)));
        assert!(!day.holds(local(2, 22, 0)));
    }

    #[test]
    fn a_window_across_midnight_belongs_to_the_day_it_begins_on() {
        let night = schedule("fri", "22:00-05:00");
        assert!(!night.holds(local(6, 4, 59)), "the small hours of Friday belong to Thursday");
        assert!(night.holds(local(6, 22, 0)));
        assert!(night.holds(local(6, 23, 59)));
        assert!(night.holds(local(7, 0, 0)), "Saturday's small hours belong to Friday");
        assert!(night.holds(local(7, 4, 59)));
        assert!(!night.holds(local(7, 5, 0)));
        assert!(!night.holds(local(7, 22, 0)));
    }

    #[test]
    fn midnight_may_be_written_as_24_00_or_00_00_and_means_the_same() {
        for hours in ["22:00-24:00", "22:00-00:00"] {
            let evening = schedule("mon", hours);
            assert!(evening.holds(local(2, 23, 59)), "{hours}");
            assert!(!evening.holds(local(3, 0, 0)), "{hours}");
            assert!(!evening.holds(local(2, 0, 0)), "{hours}");
        }
    }

    #[test]
    fn several_windows_each_count() {
        let shifts = schedule("mon-sun", "08:30-12:00, 13:00-17:30,23:00-01:00");
        for (hour, minute, holds) in
            [(8, 30, true), (12, 0, false), (13, 0, true), (17, 30, false), (0, 59, true), (1, 0, false)]
        {
            assert_eq!(shifts.holds(local(4, hour, minute)), holds, "{hour}:{minute}");
        }
    }

    #[test]
    fn the_last_day_lasts_until_the_window_that_began_on_it_ends() {
        let nights = Schedule {
            from: Some(Date::constant(2026, 11, 5)),
            until: Some(Date::constant(2026, 11, 6)),
            ..schedule("mon-sun", "22:00-05:00")
        };
        assert!(!nights.holds(local(5, 1, 0)), "that night began before the first day");
        assert!(nights.holds(local(5, 22, 0)));
        assert!(nights.holds(local(7, 4, 59)));
        assert!(!nights.holds(local(7, 22, 0)));
        let days = Schedule { until: Some(Date::constant(2026, 11, 6)), ..schedule("mon-sun", "00:00-24:00") };
        assert!(days.holds(local(6, 23, 59)));
        assert!(!days.holds(local(7, 0, 0)));
    }

    #[test]
    fn days_are_read_as_lists_and_ranges_that_may_wrap() {
        assert_eq!(parse_days("mon-sun"), Some(Schedule::EVERY_DAY));
        assert_eq!(parse_days("mon,wed,fri"), Some(0b001_0101));
        assert_eq!(parse_days("sat-mon"), Some(0b110_0001));
        assert_eq!(parse_days("tue, thu-fri"), Some(0b001_1010));
        assert_eq!(parse_days("sun-sun"), Some(0b100_0000));
        for wrong in ["", "Mon", "monday", "mon-", "mon--fri", "mon;tue", "mon,", "1-5"] {
            assert_eq!(parse_days(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hours_that_can_be_read_two_ways_are_refused() {
        assert!(parse_hours("6:00-22:00").is_some());
        let wrong = [
            "",
            "09:00",
            "09:00-09:00",
            "24:00-05:00",
            "09:00-24:01",
            "09:60-10:00",
            "9-17",
            "09:00-1700",
            "+9:00-10:00",
        ];
        for wrong in wrong {
            assert!(parse_hours(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn only_a_whole_date_is_a_date() {
        assert_eq!(parse_date("2026-11-01"), Some(Date::constant(2026, 11, 1)));
        for wrong in ["", "2026-02-30", "2026/11/01", "20261101", "2026-11-01T00:00", "01.11.2026"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }

    fn holds_at(schedule: &Schedule, utc: &str) -> bool {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        schedule.holds(berlin.local(Timestamp::parse(utc, &Zone::UTC).unwrap()))
    }

    #[test]
    fn an_hour_that_daylight_saving_skips_does_not_occur() {
        // 2026-03-29: 01:59:59 is followed by 03:00.
        let skipped = schedule("mon-sun", "02:00-03:00");
        assert!(!holds_at(&skipped, "2026-03-29T00:59:00Z"));
        assert!(!holds_at(&skipped, "2026-03-29T01:00:00Z"));
        let night = schedule("sat", "22:00-03:00");
        assert!(holds_at(&night, "2026-03-29T00:59:00Z"));
        assert!(!holds_at(&night, "2026-03-29T01:00:00Z"), "the clock shows 03:00, an hour early");
    }

    #[test]
    fn an_hour_that_daylight_saving_repeats_counts_twice() {
        // 2026-10-25: 02:59:59 summer time is followed by 02:00 winter time.
        let repeated = schedule("mon-sun", "02:00-03:00");
        for (utc, holds) in [
            ("2026-10-24T23:59:00Z", false),
            ("2026-10-25T00:00:00Z", true),
            ("2026-10-25T01:30:00Z", true),
            ("2026-10-25T01:59:00Z", true),
            ("2026-10-25T02:00:00Z", false),
        ] {
            assert_eq!(holds_at(&repeated, utc), holds, "{utc}");
        }
    }
}
