//! `application/x-www-form-urlencoded`, which is also how queries are written (WHATWG URL, 5.1).

use encoding_rs::Encoding;
use smallvec::SmallVec;

use super::{Cell, Parameters, text};
use crate::canonical::hex_pair;
use crate::recipe::LONGEST_VALUE;
use crate::recipe::charset::{self, Unreadable};

/// A name longer than this is none that a recipe asks for.
const LONGEST_NAME: usize = 1024;

/// Reads all of `bytes`. `declared`: by the Content-Type; `default`: if nothing else says.
///
/// # Errors
/// The form says a charset that can't be read.
pub(in crate::recipe) fn body(
    bytes: &[u8],
    declared: Option<&'static Encoding>,
    default: &'static Encoding,
    found: &mut Parameters<'_>,
) -> Result<(), Unreadable> {
    let encoding = match declared {
        Some(encoding) => encoding,
        None => said(bytes)?.unwrap_or(default),
    };
    pairs(bytes, encoding, found);
    Ok(())
}

pub(in crate::recipe) fn pairs(bytes: &[u8], encoding: &'static Encoding, found: &mut Parameters<'_>) {
    for pair in bytes.split(|b| *b == b'&') {
        if pair.is_empty() {
            continue;
        }
        let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = (&pair[..end], pair.get(end + 1..).unwrap_or_default());
        let Some(name) = decoded(name, LONGEST_NAME) else { continue };
        let Some(name) = charset::decode(&name, encoding) else {
            // Servers differ on what such a name is; it is none that a recipe has.
            continue;
        };
        found.see(&name, || match decoded(value, LONGEST_VALUE) {
            None => Cell::Found(None),
            Some(value) => text(&value, encoding),
        });
        // Browsers write none in a form. Some servers end a pair there, and others don't.
        if memchr::memchr(b';', pair).is_some() {
            for part in pair.split(|b| *b == b';') {
                let name = part.split(|b| *b == b'=').next().unwrap_or_default();
                if let Some(name) = decoded(name, LONGEST_NAME)
                    && let Some(name) = charset::decode(&name, encoding)
                {
                    found.doubt(&name);
                }
            }
        }
    }
}

/// What browsers write into a field `_charset_` (HTML, 4.10.21.5).
fn said(bytes: &[u8]) -> Result<Option<&'static Encoding>, Unreadable> {
    const NAME: &[u8] = b"_charset_=";
    let mut said = None;
    for at in memchr::memmem::find_iter(bytes, NAME) {
        if at > 0 && bytes[at - 1] != b'&' {
            continue;
        }
        let value = bytes[at + NAME.len()..].split(|b| *b == b'&').next().unwrap_or_default();
        let encoding = charset::named(value).ok_or(Unreadable)?;
        if said.replace(encoding).is_some_and(|before| before != encoding) {
            return Err(Unreadable);
        }
    }
    Ok(said)
}

/// None: it is longer than `most`. A `%` without two digits behind it stands for itself.
fn decoded(raw: &[u8], most: usize) -> Option<SmallVec<[u8; 64]>> {
    let mut out = SmallVec::new();
    let mut rest = raw;
    while let [first, after @ ..] = rest {
        rest = after;
        let byte = match *first {
            b'%' => match hex_pair(rest) {
                Some(byte) => {
                    rest = &rest[2..];
                    byte
                }
                None => b'%',
            },
            b'+' => b' ',
            byte => byte,
        };
        if out.len() == most {
            return None;
        }
        out.push(byte);
    }
    Some(out)
}
