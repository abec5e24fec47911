//! Single cookies by their names: those that stand for a session of the SaaS.

use http::{HeaderMap, header};

use crate::cookie::split;

/// Those of a request, with their values; a name may come several times, for several paths.
pub fn cookies_sent<'h>(headers: &'h HeaderMap, names: &'h [String]) -> impl Iterator<Item = (&'h str, &'h [u8])> {
    let crumbs = headers.get_all(header::COOKIE).into_iter().flat_map(|line| split(line.as_bytes()));
    crumbs.filter_map(move |crumb| named(crumb, names))
}

/// Those that a response sets to something that stays, as far as can be told without a clock.
pub fn cookies_set<'h>(headers: &'h HeaderMap, names: &'h [String]) -> impl Iterator<Item = (&'h str, &'h [u8])> {
    headers.get_all(header::SET_COOKIE).into_iter().filter_map(move |line| {
        let mut parts = split(line.as_bytes());
        let (name, value) = named(parts.next().unwrap_or_default(), names)?;
        let stays = !matches!(value, b"" | b"\"\"") && !parts.any(ends_it);
        stays.then_some((name, value))
    })
}

fn named<'h>(pair: &'h [u8], names: &'h [String]) -> Option<(&'h str, &'h [u8])> {
    let equals = pair.iter().position(|b| *b == b'=')?;
    let name = names.iter().find(|name| name.as_bytes() == pair[..equals].trim_ascii())?;
    Some((name, pair[equals + 1..].trim_ascii()))
}

fn ends_it(attribute: &[u8]) -> bool {
    let Some(equals) = attribute.iter().position(|b| *b == b'=') else { return false };
    let (key, value) = (attribute[..equals].trim_ascii(), attribute[equals + 1..].trim_ascii());
    if key.eq_ignore_ascii_case(b"max-age") {
        return value.starts_with(b"-") || (!value.is_empty() && value.iter().all(|b| *b == b'0'));
    }
    // Who ends a cookie dates it to the beginning of the epoch, or thereabouts.
    let long_gone = |word: &[u8]| word.len() == 4 && (&b"1900"[..]..&b"2020"[..]).contains(&word);
    key.eq_ignore_ascii_case(b"expires") && value.split(|b| !b.is_ascii_digit()).any(long_gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &header::HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), line.parse().unwrap())).collect()
    }

    #[test]
    fn of_a_request_every_one_of_a_name_is_found() {
        let names = ["sid".to_owned(), "remember".to_owned()];
        let headers = headers(&header::COOKIE, &["sid=a; x=1; sid = b", "remember=c=d; SID=e; sid"]);
        let found: Vec<_> = cookies_sent(&headers, &names).collect();
        assert_eq!(found, [("sid", &b"a"[..]), ("sid", b"b"), ("remember", b"c=d")]);
    }

    #[test]
    fn of_a_response_only_what_stays_is_found() {
        let names = ["sid".to_owned()];
        let lines = [
            "sid=a; Path=/; HttpOnly",
            "sid=b; Max-Age=600",
            "sid=c; Max-Age=0",
            "sid=; Path=/",
            "sid=\"\"",
            "sid=d; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "sid=e; expires=Thu, 01 Jan 2099 00:00:00 GMT",
            "other=f",
        ];
        let headers = headers(&header::SET_COOKIE, &lines);
        let found: Vec<_> = cookies_set(&headers, &names).map(|(_, value)| value).collect();
        assert_eq!(found, [&b"a"[..], b"b", b"e"]);
    }
}
