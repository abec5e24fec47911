//! The method that the SaaS executes, where a POST may name another than its own.
//!
//! Frameworks let forms and old proxies do what only GET and POST can carry: a header or a parameter says DELETE, and the
//! POST is one. Rules that judged the POST would be gone around, so that word is believed where the app's configuration
//! says that its SaaS does, and a request that says it anywhere else is refused.

use http::{HeaderMap, HeaderName, Method};

use crate::canonical::hex_pair;
use crate::document::OverridePlace;
use crate::request::Ambiguity;

/// Where an app's SaaS lets a POST name another method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverrideSet(u8);

impl OverrideSet {
    pub const NONE: Self = Self(0);

    pub const fn contains(self, place: OverridePlace) -> bool {
        self.0 & (1 << place as u8) != 0
    }

    /// These, and those of `other`.
    pub(crate) fn with(self, other: Option<Self>) -> Self {
        Self(self.0 | other.unwrap_or_default().0)
    }
}

impl FromIterator<OverridePlace> for OverrideSet {
    fn from_iter<I: IntoIterator<Item = OverridePlace>>(places: I) -> Self {
        Self(places.into_iter().fold(0, |set, place| set | (1 << place as u8)))
    }
}

const HEADERS: [(HeaderName, OverridePlace); 3] = [
    (HeaderName::from_static("x-http-method-override"), OverridePlace::XHttpMethodOverride),
    (HeaderName::from_static("x-http-method"), OverridePlace::XHttpMethod),
    (HeaderName::from_static("x-method-override"), OverridePlace::XMethodOverride),
];

/// The method named instead of the request's own; `None`: there is none.
///
/// # Errors
/// It is named where the SaaS is not said to look for it, twice in different words, not by a POST, or is no method that
/// frameworks take.
pub(crate) fn overriding(
    own: &Method,
    headers: &HeaderMap,
    query: Option<&[u8]>,
    honoured: OverrideSet,
) -> Result<Option<Method>, Ambiguity> {
    let mut named: Option<Method> = None;
    let mut take = |place, value: &[u8]| {
        if !honoured.contains(place) || *own != Method::POST {
            return Err(Ambiguity::MethodOverride);
        }
        let method = read(value).ok_or(Ambiguity::MethodOverride)?;
        match named.replace(method.clone()) {
            Some(before) if before != method => Err(Ambiguity::MethodOverride),
            _ => Ok(()),
        }
    };
    for (name, place) in HEADERS {
        if headers.contains_key(&name) {
            headers.get_all(&name).iter().try_for_each(|value| take(place, value.as_bytes()))?;
        }
    }
    // Some servers end a pair at `;` as well.
    for pair in query.unwrap_or_default().split(|b| matches!(b, b'&' | b';')) {
        // Usual names begin with none of these, so that nothing is decoded for them.
        if matches!(pair.first(), Some(b'_' | b'x' | b'X' | b'%' | b'+' | b' ' | b'.' | b'[' | b'?')) {
            let (name, value) = pair.split_at(pair.iter().position(|b| *b == b'=').unwrap_or(pair.len()));
            if is_parameter(&decoded(name)) {
                take(OverridePlace::Query, &decoded(value.strip_prefix(b"=").unwrap_or_default()))?;
            }
        }
    }
    Ok(named)
}

/// Whether a framework may take the name for `_method`, or for the header of that purpose. PHP ends names at NUL and at `[`,
/// leaves blanks before them out, and reads `.`, `[` and blank as `_`.
fn is_parameter(name: &[u8]) -> bool {
    let name = name.split(|b| *b == 0).next().unwrap_or_default().trim_ascii();
    let name = name.strip_prefix(b"?").unwrap_or(name);
    let end = name.iter().skip(1).position(|b| *b == b'[').map_or(name.len(), |at| at + 1);
    let name = &name[..end];
    name.split_first()
        .is_some_and(|(first, rest)| matches!(first, b'_' | b'.' | b'[') && rest.eq_ignore_ascii_case(b"method"))
        || HEADERS.iter().any(|(header, _)| header.as_str().as_bytes().eq_ignore_ascii_case(name))
}

/// In any case, because frameworks put it into capitals.
fn read(value: &[u8]) -> Option<Method> {
    const KNOWN: [Method; 7] =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    KNOWN.into_iter().find(|method| value.eq_ignore_ascii_case(method.as_str().as_bytes()))
}

pub(crate) fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (*first, hex_pair(rest)) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &rest[2..];
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(
        own: &Method,
        header: &[(&'static str, &str)],
        query: &str,
        honoured: &[OverridePlace],
    ) -> Result<Option<Method>, Ambiguity> {
        let headers = header.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect();
        overriding(own, &headers, Some(query.as_bytes()), honoured.iter().copied().collect())
    }

    #[test]
    fn who_is_not_said_to_listen_is_not_told() {
        for query in [
            "_method=DELETE",
            "x=y&_method=DELETE",
            "x=y;_method=delete",
            "_METHOD=DELETE",
            "%5fmethod=DELETE",
            "_%6dethod=DELETE",
            "_method%00x=DELETE",
            "+_method=DELETE",
            "%20_method=DELETE",
            ".method=DELETE",
            "%5Bmethod=DELETE",
            "_method[]=DELETE",
            "_method",
            "?_method=DELETE",
            "&&_method=DELETE",
            "X-HTTP-Method-Override=DELETE",
            "x-http-method=PUT",
        ] {
            for own in [Method::POST, Method::GET] {
                assert_eq!(of(&own, &[], query, &[]), Err(Ambiguity::MethodOverride), "{query}");
            }
        }
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            assert_eq!(
                of(&Method::POST, &[(name, "DELETE")], "", &[OverridePlace::Query]),
                Err(Ambiguity::MethodOverride)
            );
        }
        for query in ["", "method=DELETE", "x_method=DELETE", "_methods=DELETE", "a=_method=DELETE", "_m=1&x=_method"] {
            assert_eq!(of(&Method::POST, &[], query, &[]), Ok(None), "{query}");
        }
    }

    #[test]
    fn who_listens_is_told_one_thing_by_a_post() {
        let places = [OverridePlace::XHttpMethodOverride, OverridePlace::Query];
        let header = |value| [("x-http-method-override", value)];
        assert_eq!(of(&Method::POST, &header("DELETE"), "", &places), Ok(Some(Method::DELETE)));
        assert_eq!(of(&Method::POST, &[], "a=b&_meth%6fd=%64elete", &places), Ok(Some(Method::DELETE)));
        assert_eq!(of(&Method::POST, &header("get"), "_method=GET", &places), Ok(Some(Method::GET)));
        for (own, value, query) in [
            (Method::GET, "DELETE", ""),
            (Method::PUT, "DELETE", ""),
            (Method::POST, "TRACE", ""),
            (Method::POST, "", ""),
            (Method::POST, " DELETE", ""),
            (Method::POST, "PUT", "_method=DELETE"),
            (Method::POST, "PUT", "_method=PUT&_method=DELETE"),
        ] {
            assert_eq!(of(&own, &header(value), query, &places), Err(Ambiguity::MethodOverride), "{value} {query}");
        }
    }

    proptest! {
        #[test]
        fn however_the_name_is_encoded_it_is_seen(which in any::<u16>(), upper in any::<u16>(), before in "([a-z]=[a-z]?&){0,3}") {
            let name: String = "_method"
                .chars()
                .enumerate()
                .map(|(at, c)| {
                    let c = if upper >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
                    if which >> at & 1 == 1 { format!("%{:02x}", u32::from(c)) } else { c.to_string() }
                })
                .collect();
            prop_assert_eq!(of(&Method::POST, &[], &format!("{before}{name}=DELETE"), &[]), Err(Ambiguity::MethodOverride));
            let honoured = [OverridePlace::Query];
            prop_assert_eq!(of(&Method::POST, &[], &format!("{before}{name}=DELETE"), &honoured), Ok(Some(Method::DELETE)));
        }

        #[test]
        fn any_query_is_read(query in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = overriding(&Method::POST, &HeaderMap::new(), Some(&query), OverrideSet::NONE);
        }
    }
}
