//! Tables for a spreadsheet, as Excel in Japan reads them: UTF-8 with a byte order mark, CRLF, and nothing that it would take
//! for a formula, a number or a date where a text is meant.

use std::io::{self, Write};

use identity::import::{guarded, guarded_id};

/// Excel shows so many rows, the head included.
const MOST_ROWS: u64 = 1_048_576;

pub(super) struct Csv<'c, W> {
    out: W,
    /// Columns of ids, which stay texts also where they look like numbers.
    ids: &'c [usize],
    rows: u64,
}

impl<'c, W: Write> Csv<'c, W> {
    pub(super) fn begin(mut out: W, head: &[&str], ids: &'c [usize]) -> io::Result<Self> {
        out.write_all("\u{feff}".as_bytes())?;
        let mut csv = Self { out, ids, rows: 0 };
        csv.row(head)?;
        Ok(csv)
    }

    pub(super) fn row(&mut self, cells: &[impl AsRef<str>]) -> io::Result<()> {
        for (place, cell) in cells.iter().map(AsRef::as_ref).enumerate() {
            if place > 0 {
                self.out.write_all(b",")?;
            }
            let safe = if self.ids.contains(&place) { guarded_id(cell) } else { guarded(cell) };
            if safe.contains([',', '"', '\n', '\r']) {
                write!(self.out, "\"{}\"", safe.replace('"', "\"\""))?;
            } else {
                self.out.write_all(safe.as_bytes())?;
            }
        }
        self.rows += 1;
        self.out.write_all(b"\r\n")
    }

    /// True: a spreadsheet shows all of it.
    pub(super) fn end(mut self) -> io::Result<bool> {
        self.out.flush()?;
        Ok(self.rows <= MOST_ROWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_takes_every_cell_for_a_text() {
        let mut out = Vec::new();
        let mut csv = Csv::begin(&mut out, &["ID", "text"], &[0]).unwrap();
        for row in [
            ["0012", "0012"],
            ["20001", "=1+1"],
            ["1-2", "+81"],
            ["12E4", "-"],
            ["a", "@SUM(A1)"],
            ["", "\t=1"],
            ["x,y", "say \"あ\"\r\n=2"],
        ] {
            csv.row(&row).unwrap();
        }
        assert!(csv.end().unwrap());
        let lines = [
            "ID,text",
            "'0012,0012",
            "20001,'=1+1",
            "'1-2,'+81",
            "'12E4,'-",
            "a,'@SUM(A1)",
            ",'\t=1",
            "\"x,y\",\"say \"\"あ\"\"\r\n=2\"",
            "",
        ];
        assert_eq!(String::from_utf8(out).unwrap(), format!("\u{feff}{}", lines.join("\r\n")));
    }
}
