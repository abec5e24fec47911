//! A roster file of ours: what [`super::read`] reads back, and what a spreadsheet opens without harm.

use super::cell::{guarded, guarded_id};
use super::columns::Column;
use super::difference::written;
use crate::Person;

/// UTF-8 with a byte order mark, for Excel; CRLF (RFC 4180); cells that would be formulas begin with `'`.
pub fn write<'p>(people: impl IntoIterator<Item = &'p Person>) -> String {
    let mut out = String::from("\u{feff}");
    line(&mut out, Column::ALL.into_iter().map(|column| column.word().to_owned()));
    for person in people {
        line(
            &mut out,
            Column::ALL.into_iter().map(|column| {
                let value = written(person, column).unwrap_or_default();
                match column {
                    Column::Id => guarded_id(&value).into_owned(),
                    Column::FirstDay | Column::LastDay => value,
                    _ => guarded(&value).into_owned(),
                }
            }),
        );
    }
    out
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}
