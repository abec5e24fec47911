//! Which of the two languages somebody reads.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    #[default]
    Ja,
    En,
}

impl Lang {
    pub const ALL: [Self; 2] = [Self::Ja, Self::En];

    /// Japanese or English, whichever `Accept-Language` (RFC 9110, 12.5.4) likes better; the earlier one if it
    /// likes both alike. Japanese if it names neither.
    pub fn from_accept_language(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT_LANGUAGE).into_iter().filter_map(|v| v.to_str().ok());
        let mut best: Option<(u16, Self)> = None;
        for (lang, weight) in values.flat_map(|v| v.split(',')).filter_map(range) {
            if weight > best.map_or(0, |(w, _)| w) {
                best = Some((weight, lang));
            }
        }
        best.map_or(Self::Ja, |(_, lang)| lang)
    }

    /// The tag for `lang=` and `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

/// One language range and its weight in thousandths, if it is for one of ours. A weight that can't be read counts
/// as none.
fn range(text: &str) -> Option<(Lang, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next()?.to_ascii_lowercase();
    let lang = match tag.split('-').next()? {
        "ja" | "*" => Lang::Ja,
        "en" => Lang::En,
        _ => return None,
    };
    let weight = match parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q="))) {
        None => 1000,
        Some(q) => thousandths(q)?,
    };
    Some((lang, weight))
}

fn thousandths(q: &str) -> Option<u16> {
    let (whole, part) = q.split_once('.').unwrap_or((q, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lang(accept: &str) -> Lang {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, accept.parse().unwrap());
        Lang::from_accept_language(&headers)
    }

    #[test]
    fn the_better_liked_of_the_two_is_taken() {
        for (accept, expected) in [
            ("ja", Lang::Ja),
            ("en-US,en;q=0.9,ja;q=0.8", Lang::En),
            ("ja,en-US;q=0.9,en;q=0.8", Lang::Ja),
            ("vi-VN,vi;q=0.9,en;q=0.5", Lang::En),
            ("en;q=0.1,ja-JP;q=0.2", Lang::Ja),
            ("en;q=0, ja;q=0.001", Lang::Ja),
            ("en;q=0", Lang::Ja),
            ("fr,*;q=0.5", Lang::Ja),
            ("JA-jp", Lang::Ja),
            ("EN", Lang::En),
            ("en;q=nonsense", Lang::Ja),
            ("english", Lang::Ja),
            ("", Lang::Ja),
        ] {
            assert_eq!(lang(accept), expected, "{accept}");
        }
        assert_eq!(Lang::from_accept_language(&HeaderMap::new()), Lang::Ja);
    }
}
