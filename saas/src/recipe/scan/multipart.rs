//! `multipart/form-data` (RFC 7578): text fields only; files are passed over.
//!
//! As browsers write it and in no other way: what is written otherwise, servers read differently.

use std::borrow::Cow;

use encoding_rs::Encoding;
use memchr::memmem;

use super::{Cell, Parameters, text};
use crate::field;
use crate::recipe::charset::{self, Unreadable};

/// Reads all of `bytes`. `default`: the charset of names and values, if no `_charset_` comes first.
///
/// # Errors
/// It is not written as browsers write it, or says a charset that can't be read.
pub(in crate::recipe) fn body(
    bytes: &[u8],
    content_type: &str,
    default: &'static Encoding,
    found: &mut Parameters<'_>,
) -> Result<(), Unreadable> {
    let delimiter = [b"\r\n--", boundary(content_type)?].concat();
    let finder = memmem::Finder::new(&delimiter);
    let mut encoding = default;
    let mut named_before = false;
    let mut rest = bytes.strip_prefix(&delimiter[2..]).ok_or(Unreadable)?;
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            return if end.is_empty() || end.starts_with(b"\r\n") { Ok(()) } else { Err(Unreadable) };
        }
        rest = rest.strip_prefix(b"\r\n").ok_or(Unreadable)?;
        let head_end = memmem::find(rest, b"\r\n\r\n").ok_or(Unreadable)?;
        let part = head(&rest[..head_end], encoding)?;
        rest = &rest[head_end + 4..];
        // A delimiter begins with the line break that an empty value shares with its head.
        let end = if rest.starts_with(&delimiter[2..]) { 0 } else { finder.find(rest).ok_or(Unreadable)? };
        let value = &rest[..end];
        rest = if end == 0 && rest.starts_with(&delimiter[2..]) {
            &rest[delimiter.len() - 2..]
        } else {
            &rest[end + delimiter.len()..]
        };
        if part.name == "_charset_" && !part.is_file {
            let said = charset::named(value).ok_or(Unreadable)?;
            // What was read before it was read in another one.
            if named_before && said != encoding {
                return Err(Unreadable);
            }
            encoding = said;
        } else {
            let encoding = part.encoding.unwrap_or(encoding);
            found.see(&part.name, || if part.is_file { Cell::Unclear } else { text(value, encoding) });
        }
        named_before = true;
    }
}

struct Part<'b> {
    name: Cow<'b, str>,
    is_file: bool,
    encoding: Option<&'static Encoding>,
}

fn head<'b>(head: &'b [u8], encoding: &'static Encoding) -> Result<Part<'b>, Unreadable> {
    let mut disposition = None;
    let mut part = Part { name: Cow::Borrowed(""), is_file: false, encoding: None };
    let mut typed = false;
    let mut lines = head;
    while !lines.is_empty() {
        let end = memmem::find(lines, b"\r\n").unwrap_or(lines.len());
        let line = &lines[..end];
        lines = lines.get(end + 2..).unwrap_or_default();
        let colon = memchr::memchr(b':', line).ok_or(Unreadable)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            return Err(Unreadable);
        }
        if name.eq_ignore_ascii_case(b"content-disposition") {
            if disposition.replace(value).is_some() {
                return Err(Unreadable);
            }
        } else if name.eq_ignore_ascii_case(b"content-type") {
            if std::mem::replace(&mut typed, true) {
                return Err(Unreadable);
            }
            let value = std::str::from_utf8(value).map_err(|_| Unreadable)?;
            part.encoding = charset::of_content_type(value).transpose()?;
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            let plain = [&b"7bit"[..], b"8bit", b"binary"];
            if !plain.iter().any(|plain| value.trim_ascii().eq_ignore_ascii_case(plain)) {
                return Err(Unreadable);
            }
        }
    }
    let mut name = None;
    for (key, value) in parameters(disposition.ok_or(Unreadable)?)? {
        if key.eq_ignore_ascii_case(b"name") {
            if name.replace(value).is_some() {
                return Err(Unreadable);
            }
        } else if key.eq_ignore_ascii_case(b"filename") || key.eq_ignore_ascii_case(b"filename*") {
            part.is_file = true;
        } else {
            // `name*` and whatever else a server may take for a name.
            return Err(Unreadable);
        }
    }
    let name = name.ok_or(Unreadable)?;
    part.name = charset::decode(name, encoding).ok_or(Unreadable)?;
    if part.name.contains('%') {
        // HTML, 4.10.21.8: quotes and line breaks in names.
        part.name = Cow::Owned(part.name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"));
    }
    Ok(part)
}

/// The parameters of a Content-Disposition of type form-data.
fn parameters(value: &[u8]) -> Result<Vec<Parameter<'_>>, Unreadable> {
    let value = value.trim_ascii();
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    if !value[..end].trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return Err(Unreadable);
    }
    let mut parameters = Vec::new();
    let mut rest = &value[end..];
    while let Some(after) = rest.strip_prefix(b";") {
        let after = after.trim_ascii_start();
        let equals = memchr::memchr(b'=', after).ok_or(Unreadable)?;
        let (key, after) = (after[..equals].trim_ascii(), &after[equals + 1..]);
        // Quoted, without escapes: browsers write none, and servers read them differently.
        let quoted = after.strip_prefix(b"\"").ok_or(Unreadable)?;
        let end = memchr::memchr(b'"', quoted).ok_or(Unreadable)?;
        if quoted[..end].contains(&b'\\') && key.eq_ignore_ascii_case(b"name") {
            return Err(Unreadable);
        }
        parameters.push((key, &quoted[..end]));
        rest = quoted[end + 1..].trim_ascii_start();
    }
    if rest.is_empty() { Ok(parameters) } else { Err(Unreadable) }
}

/// Name and value.
type Parameter<'b> = (&'b [u8], &'b [u8]);

/// RFC 2046, 5.1.1: at most 70 characters, none of which needs a look twice.
fn boundary(content_type: &str) -> Result<&[u8], Unreadable> {
    let mut boundaries = content_type.split(';').skip(1).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    });
    let boundary = boundaries.next().ok_or(Unreadable)?;
    let boundary = boundary.strip_prefix('"').and_then(|b| b.strip_suffix('"')).unwrap_or(boundary);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    let is_one = (1..=70).contains(&boundary.len()) && boundary.bytes().all(plain);
    if !is_one || boundaries.next().is_some() || field::essence(content_type).contains('"') {
        return Err(Unreadable);
    }
    Ok(boundary.as_bytes())
}
