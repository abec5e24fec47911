//! Reading header fields: lists, tokens and the names that matter here.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(crate) const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(crate) const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(crate) const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// The value as text; a value outside visible ASCII reads as empty, which matches nothing.
pub(crate) fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// The first value of `name` as text.
pub(crate) fn get<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(text)
}

/// The elements of a comma-separated field over all its lines, trimmed, without the empty ones.
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().flat_map(|v| text(v).split(',')).map(str::trim).filter(|e| !e.is_empty())
}

/// A media type's essence: `text/html` of `Text/HTML; charset=…`, still in its own case.
pub(crate) fn essence(content_type: &str) -> &str {
    content_type.split([';', ',']).next().unwrap_or_default().trim()
}
