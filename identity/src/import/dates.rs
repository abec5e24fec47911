//! Days as they are written in Japan.

use vocabulary::Date;

use super::cell::half_width;

/// An era: its names, and the years of its first and last day (Emperor's edicts and government orders of 1926, 1989
/// and 2019).
struct Era {
    names: [&'static str; 2],
    begins: (i16, i8, i8),
    /// None: it goes on.
    ends: Option<(i16, i8, i8)>,
}

const ERAS: [Era; 3] = [
    Era { names: ["令和", "R"], begins: (2019, 5, 1), ends: None },
    Era { names: ["平成", "H"], begins: (1989, 1, 8), ends: Some((2019, 4, 30)) },
    Era { names: ["昭和", "S"], begins: (1926, 12, 25), ends: Some((1989, 1, 7)) },
];

const NO_DATE: &str = "is not a date; write 2026-04-01, 2026/4/1 or 令和8年4月1日";

/// Reads `2026-04-01`, `2026/4/1`, `2026年4月1日`, `令和8年4月1日`, `R8.4.1` and the like.
///
/// # Errors
/// Says what is wrong with it, to stand behind the text.
pub fn parse(text: &str) -> Result<Date, &'static str> {
    let text = half_width(text);
    let text = text.trim();
    let era = ERAS.iter().find_map(|era| {
        era.names.iter().find_map(|name| {
            let begins = text.get(..name.len())?;
            begins.eq_ignore_ascii_case(name).then(|| (era, text.get(name.len()..).unwrap_or_default()))
        })
    });
    match era {
        Some((era, rest)) => {
            let (year, month, day) = numbers(rest).ok_or(NO_DATE)?;
            // Year 1 begins with the era's first day.
            let year = era.begins.0.checked_add(year - 1).filter(|_| year > 0).ok_or(NO_DATE)?;
            let date = Date::new(year, month, day).map_err(|_| NO_DATE)?;
            let outside = date < civil(era.begins)? || era.ends.is_some_and(|end| civil(end).is_ok_and(|e| date > e));
            if outside { Err("lies outside of its era; write the year as 2026") } else { Ok(date) }
        }
        None => {
            let (year, month, day) = numbers(text).ok_or(NO_DATE)?;
            if !(1900..=2200).contains(&year) {
                return Err("has a year that can't be meant; write it with four digits, as 2026");
            }
            Date::new(year, month, day).map_err(|_| NO_DATE)
        }
    }
}

fn civil((year, month, day): (i16, i8, i8)) -> Result<Date, &'static str> {
    Date::new(year, month, day).map_err(|_| NO_DATE)
}

/// Year, month and day, between `-`, `/`, `.` or 年月日, the same throughout.
fn numbers(text: &str) -> Option<(i16, i8, i8)> {
    let (year, month, day) = match text.split_once('年') {
        Some((year, rest)) => {
            let (month, day) = rest.split_once('月')?;
            (year, month, day.strip_suffix('日')?)
        }
        None => {
            let separator = text.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
            let mut parts = text.split(separator);
            let three = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() {
                return None;
            }
            three
        }
    };
    let number = |text: &str| -> Option<i16> {
        let text = text.trim();
        let digits = matches!(text.len(), 1..=4) && text.bytes().all(|b| b.is_ascii_digit());
        if digits { text.parse().ok() } else { None }
    };
    // 元年 is the first year of an era.
    let year = if year.trim() == "元" { 1 } else { number(year)? };
    Some((year, number(month)?.try_into().ok()?, number(day)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_written_in_japan() {
        for (text, day) in [
            ("2026-04-01", "2026-04-01"),
            ("2026/4/1", "2026-04-01"),
            ("2026.4.1", "2026-04-01"),
            ("2026年4月1日", "2026-04-01"),
            ("２０２６年４月１日", "2026-04-01"),
            ("令和8年4月1日", "2026-04-01"),
            ("令和元年5月1日", "2019-05-01"),
            ("R8.4.1", "2026-04-01"),
            ("r8/4/1", "2026-04-01"),
            ("Ｒ８．４．１", "2026-04-01"),
            ("H31.4.30", "2019-04-30"),
            ("平成30年12月31日", "2018-12-31"),
            ("昭和64年1月7日", "1989-01-07"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), day, "{text}");
        }
    }

    #[test]
    fn what_could_be_read_otherwise_or_never_was_is_refused() {
        for text in [
            "",
            "4/1",
            "26/4/1",
            "4/1/2026",
            "2026-04",
            "2026-13-01",
            "2026-02-30",
            "2026/4/1/1",
            "46113",
            "R8",
            "R0.1.1",
            "平成31年5月1日",
            "令和元年4月30日",
            "昭和64年1月8日",
            "R8.-4.1",
            "２０２６年",
            "明日",
            "R99999.1.1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
