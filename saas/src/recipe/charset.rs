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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_names_one_charset_or_none() {
        let of = |content_type: &str| of_content_type(content_type).map(|named| named.map(Encoding::name));
        assert_eq!(of("text/html"), None);
        assert_eq!(of("text/html; charset=Windows-31J"), Some(Ok("Shift_JIS")));
        assert_eq!(of("text/html;CHARSET=\"utf8\"; x=y"), Some(Ok("UTF-8")));
        // Not readable byte by byte, or not known.
        for unreadable in ["utf-16", "iso-2022-jp", "klingon", "utf-8; charset=euc-jp"] {
            let content_type = format!("text/html; charset={unreadable}");
            assert_eq!(of(&content_type), Some(Err(Unreadable)), "{unreadable}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_of_the_charset_are_no_text() {
        assert_eq!(decode(b"\x8d\x82\x82\xb3", encoding_rs::SHIFT_JIS).as_deref(), Some("高さ"));
        assert_eq!(decode(b"\xe9", encoding_rs::UTF_8), None);
        assert_eq!(decode(b"plain", encoding_rs::EUC_JP).as_deref(), Some("plain"));
    }
}
