//! Tables for a spreadsheet, as Excel in Japan reads them: UTF-8 with a byte order mark or CP932, CRLF, and nothing that it
//! would take for a formula, a number or a date where a text is meant.

use std::borrow::Cow;
use std::io::{self, Write};

use clap::ValueEnum;
use encoding_rs::{EncoderResult, SHIFT_JIS};
use identity::import::{guarded, guarded_id};
use serde::Serialize;

/// Excel shows so many rows, the head included.
pub(super) const MOST_ROWS: u64 = 1_048_576;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
pub(super) enum Encoding {
    /// With a byte order mark
    #[default]
    #[value(name = "utf-8")]
    #[serde(rename = "utf-8")]
    Utf8,
    /// Shift_JIS as Windows in Japan has it
    #[value(name = "cp932")]
    #[serde(rename = "cp932")]
    Cp932,
}

/// What stands for a character that CP932 does not have, as print shops mark it.
const MISSING: &str = "〓";

pub(super) struct Csv<'c, W> {
    out: W,
    /// Columns of ids, which stay texts also where they look like numbers.
    ids: Cow<'c, [usize]>,
    encoding: Encoding,
    rows: u64,
    replaced: u64,
}

impl<'c, W: Write> Csv<'c, W> {
    pub(super) fn begin(out: W, head: &[&str], ids: &'c [usize]) -> io::Result<Self> {
        Self::begin_in(Encoding::Utf8, out, head, ids)
    }

    pub(super) fn begin_in(
        encoding: Encoding,
        out: W,
        head: &[&str],
        ids: impl Into<Cow<'c, [usize]>>,
    ) -> io::Result<Self> {
        let mut csv = Self { out, ids: ids.into(), encoding, rows: 0, replaced: 0 };
        if encoding == Encoding::Utf8 {
            csv.out.write_all("\u{feff}".as_bytes())?;
        }
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
                self.put(&format!("\"{}\"", safe.replace('"', "\"\"")))?;
            } else {
                self.put(&safe)?;
            }
        }
        self.rows += 1;
        self.out.write_all(b"\r\n")
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        if self.encoding == Encoding::Utf8 {
            return self.out.write_all(text.as_bytes());
        }
        // The two wave dashes look alike, and only one of them is in CP932.
        let text = text.replace('\u{301c}', "\u{ff5e}");
        let mut encoder = SHIFT_JIS.new_encoder();
        let mut rest = text.as_str();
        let mut bytes = [0; 512];
        loop {
            let (result, read, written) = encoder.encode_from_utf8_without_replacement(rest, &mut bytes, true);
            self.out.write_all(bytes.get(..written).unwrap_or_default())?;
            rest = rest.get(read..).unwrap_or_default();
            match result {
                EncoderResult::InputEmpty => return Ok(()),
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(_) => {
                    self.replaced += 1;
                    self.out.write_all(&SHIFT_JIS.encode(MISSING).0)?;
                }
            }
        }
    }

    /// How many rows it has, the head included.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// True: a spreadsheet shows all of it.
    pub(super) fn end(self) -> io::Result<bool> {
        let rows = self.rows;
        self.finish()?;
        Ok(rows <= MOST_ROWS)
    }

    /// What it was written to, and how many characters were replaced.
    pub(super) fn finish(mut self) -> io::Result<(W, u64)> {
        self.out.flush()?;
        Ok((self.out, self.replaced))
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

    #[test]
    fn what_cp932_does_not_have_is_marked_and_counted() {
        let mut out = Vec::new();
        let mut csv = Csv::begin_in(Encoding::Cp932, &mut out, &["氏名"], &[][..]).unwrap();
        // 髙 and ① are Windows' own; 𠮷 and the emoji are not in it, the wave dash is by another number.
        csv.row(&["髙橋①〜𠮷野🙂"]).unwrap();
        let long = "あ".repeat(2_000);
        csv.row(&[&long]).unwrap();
        assert_eq!(csv.finish().unwrap().1, 2);
        let (text, _, bad) = SHIFT_JIS.decode(&out);
        assert_eq!((text.into_owned(), bad), (format!("氏名\r\n髙橋①～〓野〓\r\n{long}\r\n"), false));
        assert_eq!(out[..2], [0x8e, 0x81]);
    }
}
