//! Times as people read them.

/// Microseconds since 1970 as `2026-11-28 22:37:46 UTC`.
#[must_use]
pub fn utc(microseconds: i64) -> String {
    format!("{} UTC", plain(microseconds.div_euclid(1_000_000)))
}

/// The same in Japan, which has one time zone and no summer time: `2026-11-29 07:37:46 日本時間`.
#[must_use]
pub fn japan(microseconds: i64) -> String {
    format!("{} 日本時間", plain(microseconds.div_euclid(1_000_000) + 9 * 3600))
}

fn plain(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Gregorian date of a day since 1970. The year is taken to begin in March, so that the leap day comes last in it; 146097 days
/// make 400 years, and 153 days five months.
fn date(days: i64) -> (i64, i64, i64) {
    let from_march_0000 = days + 719_468;
    let (era, of_era) = (from_march_0000.div_euclid(146_097), from_march_0000.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{japan, utc};

    #[test]
    fn is_that_of_date() {
        // By `date -u -d @… '+%F %T UTC'`.
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_793_500_000, "2026-11-01 02:26:40 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(seconds * 1_000_000), expected);
            assert_eq!(japan((seconds - 9 * 3600) * 1_000_000), expected.replace("UTC", "日本時間"));
        }
        assert_eq!(utc(-1), "1969-12-31 23:59:59 UTC");
        let _ = (utc(i64::MIN), utc(i64::MAX));
    }
}
