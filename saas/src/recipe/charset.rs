//! Charsets of forms and pages (WHATWG Encoding, by encoding_rs).

use std::borrow::Cow;

use encoding_rs::Encoding;

/// The charset that a label names, if text in it can be looked at byte by byte as far as it is ASCII.
pub(super) fn named(label: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label(label.trim_ascii()).filter(|encoding| encoding.is_ascii_compatible())
}

/// The `charset` of a Content-Type. `Some(Err)`: one that can't be read here, or two of them.
pub(super) fn of_content_type(content_type: &str) -> Option<Result<&'static Encoding, Unreadable>> {
    let mut labels = content_type.split(';').skip(1).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let label = labels.next()?;
    if labels.next().is_some() {
        return Some(Err(Unreadable));
    }
    Some(named(label.as_bytes()).ok_or(Unreadable))
}

/// It can't be read in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// None: the bytes are no text in this charset.
pub(super) fn decode<'b>(bytes: &'b [u8], encoding: &'static Encoding) -> Option<Cow<'b, str>> {
    // Most text is ASCII, which is the same in all of them.
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Some(Cow::Borrowed(text)),
        _ => encoding.decode_without_bom_handling_and_without_replacement(bytes),
    }
}
