//! Single cells: what a spreadsheet would take for a formula, and what may stand in a text.

use std::borrow::Cow;

/// Characters at which a spreadsheet begins to calculate (OWASP, "CSV Injection"; the wide ones are taken so by
/// Japanese input methods).
const CALCULATES: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

fn begins_to_calculate(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(CALCULATES)
}

/// A cell that no spreadsheet calculates: with `'` before what would begin a formula. [`unguarded`] takes it away.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if begins_to_calculate(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// As [`guarded`], for ids: also before what a spreadsheet would read as a number or date and write otherwise,
/// such as `0012`, `1-2` or `12E45`.
pub fn guarded_id(text: &str) -> Cow<'_, str> {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '/' | ':' | 'e' | 'E'));
    // Numbers keep 15 digits.
    let plain = text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if numeric && !plain { Cow::Owned(format!("'{text}")) } else { guarded(text) }
}

/// The cell without the `'` that [`guarded`] put there, and without space around it.
pub(super) fn unguarded(cell: &str) -> &str {
    let cell = cell.trim();
    match cell.strip_prefix('\'') {
        Some(rest) if begins_to_calculate(cell) => rest,
        _ => cell,
    }
}

/// As [`unguarded`], for ids, which hold no `'` of their own.
pub(super) fn unguarded_id(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// Full-width letters, digits and signs as the half-width ones that are meant.
pub(super) fn half_width(text: &str) -> String {
    let half = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => c,
    };
    text.chars().map(half).collect()
}

/// No cell goes over several lines, not even at its ends: a quotation mark that was never meant may have swallowed rows.
pub(super) fn on_one_line(cell: &str) -> Result<(), &'static str> {
    match cell.contains(['\n', '\r']) {
        true => {
            Err("holds a line break; write it on one line, or look whether a quotation mark is missing or too many")
        }
        false => Ok(()),
    }
}

/// A text of at most 200 bytes; `None` if there is none.
pub(super) fn text(cell: &str) -> Result<Option<String>, &'static str> {
    let text = unguarded(cell);
    if text.is_empty() {
        return Ok(None);
    }
    if text.chars().any(char::is_control) {
        return Err("holds a control character; write it anew");
    }
    if text.chars().any(|c| matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fffd}')) {
        return Err("holds a character that only the computer it was written on knows; write it with another one");
    }
    if text.len() > 200 {
        return Err("is longer than 200 bytes (about 66 Japanese characters); shorten it");
    }
    Ok(Some(text.to_owned()))
}
