//! How a history is shown: as a table, as JSON, or as CSV on standard output or in files with a paper that says what they are.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use apps::words::Text;
use apps::{Lang, words};
use clap::Args;
use ring::digest::{Context as Sha256, SHA256};
use serde_json::{Map, Value, json};
use vocabulary::{Clock as _, SystemClock, Timestamp, Zone};

use super::csv::{Csv, Encoding, MOST_ROWS};
use super::watched::Asked;
use super::{complain, counted, say, table};
use crate::control::Actor;

#[derive(Debug, Args)]
pub(super) struct Form {
    /// One JSON object per line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// CSV for a spreadsheet: UTF-8 with a byte order mark, CRLF
    #[arg(long)]
    csv: bool,
    /// The CSV's encoding; what cp932 does not have becomes 〓, and is counted
    #[arg(long, value_enum, requires = "csv", default_value = "utf-8")]
    csv_encoding: Encoding,
    /// Write the CSV into this file, and beside it FILE.about.json: what was asked for, by whom, and the SHA-256. Beyond 1,048,576
    /// rows there are several files
    #[arg(long, value_name = "FILE", requires = "csv")]
    out: Option<PathBuf>,
    /// The language of names and of the CSV's heads
    #[arg(long, value_parser = ["ja", "en"], default_value = "ja")]
    lang: String,
}

impl Form {
    /// Tables on the terminal have English heads, and so English words.
    pub(super) fn lang(&self) -> Lang {
        if self.lang == "en" { Lang::En } else { Lang::Ja }
    }

    /// Standard output holds rows and nothing else.
    pub(super) fn is_for_machines(&self) -> bool {
        self.json || self.csv
    }

    pub(super) fn note(&self, asked: Asked) -> Asked {
        let form = if self.csv { Some("csv") } else { self.json.then_some("json") };
        asked.note("as", form).note("out", self.out.as_ref().map(|out| out.display().to_string()))
    }
}

/// A column: its key in JSON, its head, and whether ids stand in it, which must stay texts.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) key: &'static str,
    pub(super) head: Text,
    pub(super) id: bool,
}

pub(super) const fn column(key: &'static str, head: Text) -> Column {
    Column { key, head, id: false }
}

/// A column of identifiers, which a spreadsheet must not take for numbers.
pub(super) const fn id(key: &'static str, head: Text) -> Column {
    Column { key, head, id: true }
}

/// What stands in a column of a row.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    json: Value,
    text: String,
}

impl Cell {
    pub(super) fn text(text: Option<impl Into<String>>) -> Self {
        match text {
            Some(text) => {
                let text = text.into();
                Self { json: Value::from(text.clone()), text }
            }
            None => Self { json: Value::Null, text: String::new() },
        }
    }

    pub(super) fn word(word: &str) -> Self {
        Self::text(Some(word))
    }

    pub(super) fn number(number: Option<impl Into<i64>>) -> Self {
        let number = number.map(Into::into);
        let text = number.map(|number| number.to_string()).unwrap_or_default();
        Self { json: number.into(), text }
    }

    /// As it is in JSON, else in [`words`].
    pub(super) fn object(fields: &Map<String, Value>) -> Self {
        let json = if fields.is_empty() { Value::Null } else { Value::Object(fields.clone()) };
        Self { json, text: words(fields) }
    }

    /// In the facility's zone.
    pub(super) fn time(at: Option<Timestamp>, zone: &Zone) -> Self {
        Self::text(at.map(|at| zone.display(at)))
    }

    pub(super) fn inside(inside: Option<bool>, lang: Lang) -> Self {
        let text = inside.map(|inside| if inside { words::INSIDE } else { words::OUTSIDE }.get(lang).to_owned());
        Self { json: inside.into(), text: text.unwrap_or_default() }
    }
}

/// `person=tanaka limit=5`
pub(super) fn words(fields: &Map<String, Value>) -> String {
    let word = |(key, value): (&String, &Value)| match value.as_str() {
        Some(text) => format!("{key}={text}"),
        None => format!("{key}={value}"),
    };
    fields.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A history as it is shown, row by row.
pub(super) struct Sheet<'s> {
    form: &'s Form,
    columns: &'static [Column],
    rows: usize,
    kept: Vec<Vec<String>>,
    csv: Option<Files<'s>>,
}

impl<'s> Sheet<'s> {
    /// `asked`: what the paper beside the files says.
    pub(super) fn begin(form: &'s Form, columns: &'static [Column], asked: &Asked) -> anyhow::Result<Self> {
        let csv = form.csv.then(|| Files::begin(form, columns, asked)).transpose()?;
        Ok(Self { form, columns, rows: 0, kept: Vec::new(), csv })
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) -> anyhow::Result<()> {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows += 1;
        if let Some(csv) = &mut self.csv {
            let texts: Vec<String> = cells.into_iter().map(|cell| cell.text).collect();
            return csv.row(&texts);
        }
        if self.form.json {
            let keys = self.columns.iter().map(|column| column.key.to_owned());
            let object: Map<String, Value> =
                keys.zip(cells).filter(|(_, cell)| !cell.json.is_null()).map(|(key, cell)| (key, cell.json)).collect();
            say(Value::Object(object));
        } else {
            let texts = cells.into_iter().map(|cell| if cell.text.is_empty() { "-".to_owned() } else { cell.text });
            self.kept.push(texts.collect());
        }
        Ok(())
    }

    /// How many rows there were. Columns of a table that are empty throughout are left out.
    pub(super) fn end(self) -> anyhow::Result<usize> {
        if let Some(csv) = self.csv {
            csv.end()?;
        }
        if !self.kept.is_empty() {
            let is_used = |place: usize| self.kept.iter().any(|row| row.get(place).is_some_and(|cell| cell != "-"));
            let used: Vec<bool> = (0..self.columns.len()).map(is_used).collect();
            let heads: Vec<String> = self.columns.iter().map(|column| column.head.en.to_uppercase()).collect();
            let heads: Vec<&str> =
                heads.iter().zip(&used).filter(|(_, u)| **u).map(|(head, _)| head.as_str()).collect();
            let pick =
                |row: Vec<String>| row.into_iter().zip(&used).filter(|(_, u)| **u).map(|(cell, _)| cell).collect();
            table(&heads, &self.kept.into_iter().map(pick).collect::<Vec<_>>());
        }
        Ok(self.rows)
    }
}

/// Where CSV goes to.
struct Files<'s> {
    form: &'s Form,
    heads: Vec<&'static str>,
    ids: Vec<usize>,
    asked: Value,
    /// Rows of one file, the head included.
    most: u64,
    open: Option<Part>,
    done: Vec<Value>,
    replaced: u64,
    rows: u64,
}

type Part = (Option<PathBuf>, Csv<'static, Box<dyn Hashed>>);

/// Somewhere to write to that knows the hash of what was written.
trait Hashed: Write {
    fn sha256(self: Box<Self>) -> String;
}

struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Hashed for Hashing<W> {
    fn sha256(self: Box<Self>) -> String {
        self.hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<'s> Files<'s> {
    fn begin(form: &'s Form, columns: &'static [Column], asked: &Asked) -> anyhow::Result<Self> {
        let heads = columns.iter().map(|column| column.head.get(form.lang())).collect();
        let ids = columns.iter().enumerate().filter(|(_, column)| column.id).map(|(place, _)| place).collect();
        let asked = asked.as_value();
        let most = if form.out.is_some() { MOST_ROWS } else { u64::MAX };
        let mut files = Self { form, heads, ids, asked, most, open: None, done: Vec::new(), replaced: 0, rows: 0 };
        files.next()?;
        Ok(files)
    }

    /// Begins the first file, or one that goes on where the last one is full.
    fn next(&mut self) -> anyhow::Result<()> {
        self.close()?;
        let path = self.form.out.as_deref().map(|out| part(out, self.done.len()));
        let hash = Sha256::new(&SHA256);
        let out: Box<dyn Hashed> = match &path {
            Some(path) => {
                let made = File::options().write(true).create_new(true).mode(0o600).open(path);
                let file = made.with_context(|| format!("{} can't be made", path.display()))?;
                Box::new(Hashing { out: BufWriter::new(file), hash })
            }
            None => Box::new(Hashing { out: BufWriter::new(io::stdout()), hash }),
        };
        let csv = Csv::begin_in(self.form.csv_encoding, out, &self.heads, self.ids.clone())?;
        self.open = Some((path, csv));
        Ok(())
    }

    fn row(&mut self, cells: &[String]) -> anyhow::Result<()> {
        if self.open.as_ref().is_some_and(|(_, csv)| csv.rows() >= self.most) {
            self.next()?;
        }
        self.rows += 1;
        if let Some((_, csv)) = &mut self.open {
            csv.row(cells)?;
        }
        Ok(())
    }

    fn close(&mut self) -> anyhow::Result<()> {
        let Some((path, csv)) = self.open.take() else { return Ok(()) };
        let rows = csv.rows() - 1;
        let (out, replaced) = csv.finish()?;
        self.replaced += replaced;
        let name = path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        self.done.push(json!({ "file": name, "rows": rows, "sha256": out.sha256() }));
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.close()?;
        if self.replaced > 0 {
            let were = if self.replaced == 1 { "was" } else { "were" };
            let many = counted(self.replaced, "character");
            complain(format_args!("{many} that CP932 does not have {were} replaced by 〓."));
        }
        let Some(out) = &self.form.out else {
            if self.rows >= MOST_ROWS {
                complain("A spreadsheet shows the first 1,048,576 rows only; --out FILE makes several files.");
            }
            return Ok(());
        };
        let exporter = Actor::offline(rustix::process::geteuid().as_raw()).who;
        let about = json!({
            "asked": self.asked, "rows": self.rows, "files": self.done, "exporter": exporter,
            "exported_at": SystemClock.now().to_string(), "encoding": self.form.csv_encoding, "replaced": self.replaced,
        });
        let mut path = out.as_os_str().to_owned();
        path.push(".about.json");
        let path = PathBuf::from(path);
        let made = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path);
        made.and_then(|mut file| file.write_all(format!("{about:#}\n").as_bytes()))
            .with_context(|| format!("{} can't be written", path.display()))?;
        let files = counted(self.done.len() as u64, "file");
        complain(format_args!("{} in {files}, told about in {}.", counted(self.rows, "row"), path.display()));
        Ok(())
    }
}

/// `history.csv`, `history-2.csv`, …
fn part(out: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return out.to_owned();
    }
    let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let ending = text(out.extension()).map(|ending| format!(".{ending}")).unwrap_or_default();
    out.with_file_name(format!("{}-{}{ending}", text(out.file_stem()).unwrap_or_default(), number + 1))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_long_history_is_split_and_the_paper_beside_it_names_each_file() {
        const COLUMNS: &[Column] = &[Column { key: "id", head: Text { ja: "番号", en: "id" }, id: true }];
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("history.csv");
        let form = Form {
            json: false,
            csv: true,
            csv_encoding: Encoding::Cp932,
            out: Some(out.clone()),
            lang: "ja".to_owned(),
        };
        let asked = Asked::default().note("person", Some("sato"));
        let mut files = Files::begin(&form, COLUMNS, &asked).unwrap();
        files.most = 3;
        for row in ["0012", "𠮷", "3", "4", "5"] {
            files.row(&[row.to_owned()]).unwrap();
        }
        files.end().unwrap();
        let about: Value =
            serde_json::from_slice(&fs::read(dir.path().join("history.csv.about.json")).unwrap()).unwrap();
        assert_eq!(
            (&about["asked"]["person"], &about["rows"], &about["replaced"]),
            (&json!("sato"), &json!(5), &json!(1))
        );
        let mut lines = Vec::new();
        for (file, rows) in [("history.csv", 2), ("history-2.csv", 2), ("history-3.csv", 1)] {
            let bytes = fs::read(dir.path().join(file)).unwrap();
            let hash: String =
                ring::digest::digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            let told = about["files"].as_array().unwrap().iter().find(|told| told["file"] == file).unwrap();
            assert_eq!((&told["rows"], &told["sha256"]), (&json!(rows), &json!(hash)));
            lines.push(encoding_rs::SHIFT_JIS.decode(&bytes).0.into_owned());
        }
        assert_eq!(lines, ["番号\r\n'0012\r\n〓\r\n", "番号\r\n3\r\n4\r\n", "番号\r\n5\r\n"]);
        // Nothing that is there is written over.
        assert!(Files::begin(&form, COLUMNS, &asked).is_err());
    }
}
