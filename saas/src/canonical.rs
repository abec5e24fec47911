//! The one path that rules match: decoded once, without path parameters, or refused.

use std::borrow::Cow;

use crate::document::Shape;
use crate::request::{Ambiguity, ShapeSet};

/// Decodes once and drops path parameters, segment by segment.
pub(crate) fn path(raw: &[u8], tolerate: ShapeSet) -> Result<String, Ambiguity> {
    let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'%' | b';' | b'\\');
    let text = if raw.iter().all(plain) {
        // The usual path: nothing to decode.
        String::from_utf8_lossy(raw)
    } else {
        let bytes = decoded(raw, tolerate)?;
        check_encoded_again(&bytes, tolerate)?;
        utf8(bytes, tolerate)?
    };
    if !text.is_ascii() && text.chars().any(char::is_control) {
        return Err(Ambiguity::Control);
    }
    let backslash = text.contains('\\');
    let dotted = |segment: &str| matches!(segment, "." | "..");
    if text.split('/').any(dotted) || (backslash && text.split(['/', '\\']).any(dotted)) {
        return Err(Ambiguity::DotSegment);
    }
    if !text.is_ascii() {
        check_alike(&text, tolerate)?;
    }
    let tolerated = tolerate.contains(Shape::TrimmedName);
    let trimmed = |segment: &str| is_trimmed(segment) && (!tolerated || leaves_folder(segment));
    if text.split('/').any(trimmed) || (!tolerated && text.contains("::$")) {
        return Err(Ambiguity::TrimmedName);
    }
    if !text.contains("//") {
        return Ok(text.into_owned());
    }
    if !tolerate.contains(Shape::DoubleSlash) {
        return Err(Ambiguity::DoubleSlash);
    }
    let mut single = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '/' || !single.ends_with('/') {
            single.push(c);
        }
    }
    Ok(single)
}

/// Whether some servers cut something off this name: Windows dots and blanks at its end, others blanks.
fn is_trimmed(segment: &str) -> bool {
    segment.ends_with('.') || segment.starts_with(char::is_whitespace) || segment.ends_with(char::is_whitespace)
}

/// `/files../x` leaves the folder where `location /files` stands for `/srv/files/` in nginx.
fn leaves_folder(segment: &str) -> bool {
    segment.ends_with("..") && !segment.ends_with("...")
}

/// Characters that turn into `.`, `/` or `\` where names are normalised (NFKC) or written in another code page: CP932 has no
/// `¥` but a `\` that looks like one. Their words and slashes are usual in Japanese names; dots between them are not.
fn check_alike(text: &str, tolerate: ShapeSet) -> Result<(), Ambiguity> {
    if text.contains(['¥', '₩', '＼', '﹨']) && !tolerate.contains(Shape::Backslash) {
        return Err(Ambiguity::Backslash);
    }
    let dots = |segment: &str| {
        let dots = segment.chars().map(|c| match c {
            '.' | '．' | '․' | '﹒' => Some(1),
            '‥' => Some(2),
            _ => None,
        });
        matches!(dots.sum::<Option<u32>>(), Some(1 | 2))
    };
    if text.split(['/', '\\', '／', '＼', '﹨', '¥', '₩', '⁄', '∕']).any(dots) {
        return Err(Ambiguity::DotSegment);
    }
    Ok(())
}

fn decoded(raw: &[u8], tolerate: ShapeSet) -> Result<Vec<u8>, Ambiguity> {
    let allowed = |shape, ambiguity| if tolerate.contains(shape) { Ok(()) } else { Err(ambiguity) };
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, after @ ..] = rest {
        rest = after;
        match *first {
            b';' => {
                // A path parameter lasts to the segment's end and takes no part in matching.
                let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
                check_parameter(&rest[..end])?;
                rest = &rest[end..];
            }
            b'%' => {
                let byte = hex_pair(rest).ok_or(Ambiguity::InvalidPercent)?;
                rest = &rest[2..];
                match byte {
                    b'/' => allowed(Shape::EncodedSlash, Ambiguity::EncodedSlash)?,
                    b'\\' => allowed(Shape::Backslash, Ambiguity::Backslash)?,
                    b';' => allowed(Shape::EncodedSemicolon, Ambiguity::EncodedSemicolon)?,
                    b'?' | b'#' => allowed(Shape::EncodedDelimiter, Ambiguity::EncodedDelimiter)?,
                    byte if byte.is_ascii_control() => return Err(Ambiguity::Control),
                    _ => {}
                }
                out.push(byte);
            }
            b'\\' => {
                allowed(Shape::Backslash, Ambiguity::Backslash)?;
                out.push(b'\\');
            }
            byte if byte.is_ascii_control() || byte == b' ' => return Err(Ambiguity::Control),
            byte => out.push(byte),
        }
    }
    Ok(out)
}

/// What is decoded must not be an encoding still, however it came about: `%2541`, but also `%25%34%31` and `%25%341`.
fn check_encoded_again(decoded: &[u8], tolerate: ShapeSet) -> Result<(), Ambiguity> {
    for at in memchr::memchr_iter(b'%', decoded) {
        match hex_pair(&decoded[at + 1..]) {
            None => {}
            // What a second decoding would turn into structure stays refused.
            Some(b'/' | b'\\' | b'.' | b';' | b'%' | b'?' | b'#' | 0..=0x1f | 0x7f) => {
                return Err(Ambiguity::DoubleEncoding);
            }
            Some(_) if tolerate.contains(Shape::DoubleEncoding) => {}
            Some(_) => return Err(Ambiguity::DoubleEncoding),
        }
    }
    Ok(())
}

/// A parameter is passed on unread, so it must not hold what another server could read as structure.
fn check_parameter(raw: &[u8]) -> Result<(), Ambiguity> {
    let mut rest = raw;
    while let [first, after @ ..] = rest {
        rest = after;
        match *first {
            b'%' => match hex_pair(rest).ok_or(Ambiguity::InvalidPercent)? {
                b'/' => return Err(Ambiguity::EncodedSlash),
                b'\\' => return Err(Ambiguity::Backslash),
                b'%' => return Err(Ambiguity::DoubleEncoding),
                byte if byte.is_ascii_control() => return Err(Ambiguity::Control),
                _ => {}
            },
            b'\\' => return Err(Ambiguity::Backslash),
            byte if byte.is_ascii_control() || byte == b' ' => return Err(Ambiguity::Control),
            _ => {}
        }
    }
    Ok(())
}

fn utf8(bytes: Vec<u8>, tolerate: ShapeSet) -> Result<Cow<'static, str>, Ambiguity> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(error) if tolerate.contains(Shape::InvalidUtf8) => {
            Ok(Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()))
        }
        Err(_) => Err(Ambiguity::InvalidUtf8),
    }
}

pub(crate) fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(bytes.first()?)? * 16 + digit(bytes.get(1)?)?)
}
