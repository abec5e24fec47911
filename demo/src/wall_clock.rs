//! Japan's wall clock: UTC+9, no daylight saving since 1951, so that no time-zone table is needed.

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, offset};

/// What the clock on the office wall shows now.
pub(crate) fn now() -> DateTime {
    TimeZone::fixed(offset(9)).to_datetime(jiff::Timestamp::now())
}

pub(crate) fn today() -> Date {
    now().date()
}

/// `11月1日 09:05`
pub(crate) fn short(at: DateTime) -> String {
    format!("{}月{}日 {:02}:{:02}", at.month(), at.day(), at.hour(), at.minute())
}

/// `2026年11月1日（日）`
pub(crate) fn long_date(date: Date) -> String {
    const DAYS: [&str; 7] = ["月", "火", "水", "木", "金", "土", "日"];
    let day = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
    format!("{}年{}月{}日（{}）", date.year(), date.month(), date.day(), DAYS[day])
}

/// Whole years between `birth` and `on`.
pub(crate) fn age(birth: Date, on: Date) -> i16 {
    let had_birthday = (on.month(), on.day()) >= (birth.month(), birth.day());
    on.year() - birth.year() - i16::from(!had_birthday)
}

/// `昭和12年4月3日`.
pub(crate) fn era(date: Date) -> String {
    let (name, first) = match date {
        d if d >= jiff::civil::date(2019, 5, 1) => ("令和", 2019),
        d if d >= jiff::civil::date(1989, 1, 8) => ("平成", 1989),
        d if d >= jiff::civil::date(1926, 12, 25) => ("昭和", 1926),
        _ => ("大正", 1912),
    };
    format!("{name}{}年{}月{}日", date.year() - first + 1, date.month(), date.day())
}

#[cfg(test)]
mod tests {
    use super::{age, era, long_date};
    use jiff::civil::date;

    #[test]
    fn an_age_changes_on_the_birthday() {
        assert_eq!(age(date(1937, 4, 3), date(2026, 4, 2)), 88);
        assert_eq!(age(date(1937, 4, 3), date(2026, 4, 3)), 89);
    }

    #[test]
    fn eras_begin_on_their_first_day() {
        assert_eq!(era(date(1926, 12, 24)), "大正15年12月24日");
        assert_eq!(era(date(1926, 12, 25)), "昭和1年12月25日");
        assert_eq!(era(date(1989, 1, 7)), "昭和64年1月7日");
    }

    #[test]
    fn a_long_date_names_the_day_of_the_week() {
        assert_eq!(long_date(date(2026, 11, 1)), "2026年11月1日（日）");
    }
}
