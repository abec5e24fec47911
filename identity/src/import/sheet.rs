//! The rows of a roster file, each checked; all that is wrong is told at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use csv::StringRecord;
use vocabulary::{Date, GroupName, PersonId};

use super::cell::{half_width, on_one_line, text, unguarded, unguarded_id};
use super::columns::Column;
use super::encoding::decode;
use super::{Encoding, Problem, dates};
use crate::Person;

/// A larger file is none of ours: 100,000 people with everything known of them take about a third.
pub const MAX_BYTES: usize = 32 << 20;
/// More rows than this are not read.
const MAX_ROWS: usize = 200_000;

/// A file that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    pub encoding: Encoding,
    /// In the order of the file; no id twice.
    pub rows: Vec<SheetRow>,
    /// Heads of columns that mean nothing to us, in the order of the file.
    pub unused: Vec<String>,
}

/// What a file says of one person. The outer `None`: there is no such column, so that nothing is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetRow {
    pub line: u64,
    pub id: PersonId,
    pub name: String,
    pub kana: Option<Option<String>>,
    pub mail: Option<Option<String>>,
    pub facility: Option<Option<String>>,
    pub groups: Option<Vec<GroupName>>,
    pub first_day: Option<Option<Date>>,
    pub last_day: Option<Option<Date>>,
}

impl SheetRow {
    /// The entry that comes of it: a new one, or a known one with what the file says. A lock stays as it is.
    pub(super) fn over(&self, known: Option<&Person>) -> Person {
        let mut person = known.cloned().unwrap_or_else(|| Person::new(self.id.clone(), ""));
        let told = self.clone();
        person.name = told.name;
        person.kana = told.kana.unwrap_or(person.kana);
        person.mail = told.mail.unwrap_or(person.mail);
        person.facility = told.facility.unwrap_or(person.facility);
        person.first_day = told.first_day.unwrap_or(person.first_day);
        person.last_day = told.last_day.unwrap_or(person.last_day);
        if let Some(groups) = told.groups {
            // In another order they are the same groups.
            let sorted = |groups: &[GroupName]| {
                let mut sorted = groups.to_vec();
                sorted.sort();
                sorted
            };
            if sorted(&groups) != sorted(&person.groups) {
                person.groups = groups;
            }
        }
        person
    }
}

/// Reads a file; the encoding is found out unless it is `said`.
///
/// # Errors
/// All that is wrong, in the order of the file.
pub fn read(bytes: &[u8], said: Option<Encoding>) -> Result<Sheet, Vec<Problem>> {
    if bytes.len() > MAX_BYTES {
        let what = format!("the file has more than {} MiB; divide it", MAX_BYTES >> 20);
        return Err(vec![Problem::of_line(1, what)]);
    }
    let (text, encoding) = decode(bytes, said)?;
    if let Some(line) = open_quotation(&text) {
        let what = "a quotation mark opens here and none closes it: all that follows would be one cell; take it out, or \
                    close it";
        return Err(vec![Problem::of_line(line, what)]);
    }
    let mut records = Records::new(&text);
    let mut record = StringRecord::new();
    let Some(at) = records.next(&mut record)? else {
        return Err(vec![Problem::of_line(1, "the file is empty; its first row names the columns: id,name,…")]);
    };
    let head = Head::read(&record, at)?;
    let mut problems = Vec::new();
    let (mut rows, mut lines) = (Vec::new(), HashMap::new());
    while let Some(at) = records.next(&mut record)? {
        if rows.len() >= MAX_ROWS {
            problems.push(Problem::of_line(at, format!("is beyond {MAX_ROWS} rows; divide the file")));
            break;
        }
        let Some(row) = head.row(&record, at, &mut problems) else { continue };
        match lines.entry(row.id.clone()) {
            Entry::Vacant(place) => {
                place.insert(row.line);
                rows.push(row);
            }
            Entry::Occupied(first) => {
                let what = format!("stands on line {} already; one row per person", first.get());
                problems.push(Problem::of_cell(row.line, &head.name_of(Column::Id), row.id.as_str(), what));
            }
        }
    }
    if problems.is_empty() { Ok(Sheet { encoding, rows, unused: head.unused }) } else { Err(problems) }
}

/// The line of a quotation mark that is still open where the text ends. Quotes open at a cell's beginning only, and two
/// of them within quotes are one: as `csv` reads, which takes the end of the text for the end of the quotes.
pub(super) fn open_quotation(text: &str) -> Option<u64> {
    enum At {
        Beginning,
        Plain,
        Quoted,
        /// After a quotation mark within quotes: it closed them, unless another one follows.
        Closed,
    }
    let (mut at, mut line, mut opened) = (At::Beginning, 1, 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        at = match (at, c) {
            (At::Beginning, '"') => {
                opened = line;
                At::Quoted
            }
            (At::Quoted, '"') => At::Closed,
            (At::Quoted, _) | (At::Closed, '"') => At::Quoted,
            (_, ',' | '\r' | '\n') => At::Beginning,
            _ => At::Plain,
        };
        line += u64::from(c == '\n' || c == '\r' && chars.peek() != Some(&'\n'));
    }
    matches!(at, At::Quoted).then_some(opened)
}

/// The rows of a text, and on which lines they begin.
struct Records<'t> {
    bytes: &'t [u8],
    reader: csv::Reader<&'t [u8]>,
    /// Up to where lines are counted, and the line that begins there or goes on.
    counted: usize,
    line: u64,
}

impl<'t> Records<'t> {
    fn new(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        Self { bytes, reader, counted: 0, line: 1 }
    }

    /// The next row that is not blank, and the line it begins on. Blank ones are what a spreadsheet leaves behind.
    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, Vec<Problem>> {
        loop {
            let more = self.reader.read_record(record);
            if !more.map_err(|e| vec![Problem::of_line(self.line, format!("is no CSV: {e}"))])? {
                return Ok(None);
            }
            let line = self.line_of(record.position().map_or(0, csv::Position::byte));
            if record.iter().any(|cell| !cell.trim().is_empty()) {
                return Ok(Some(line));
            }
        }
    }

    /// The reader places a row where the one before ends: before the line feed of CRLF and before empty lines.
    fn line_of(&mut self, byte: u64) -> u64 {
        let place = usize::try_from(byte).unwrap_or(usize::MAX).min(self.bytes.len());
        let breaks = |b: &&u8| matches!(b, b'\r' | b'\n');
        let begin = place + self.bytes.iter().skip(place).take_while(breaks).count();
        for at in self.counted..begin {
            let ends_line = match self.bytes.get(at) {
                Some(b'\n') => true,
                Some(b'\r') => self.bytes.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends_line);
        }
        self.counted = self.counted.max(begin);
        self.line
    }
}

/// Where which column stands.
struct Head {
    /// As the file writes them.
    names: Vec<String>,
    places: Vec<(Column, usize)>,
    unused: Vec<String>,
}

impl Head {
    fn read(record: &StringRecord, at: u64) -> Result<Self, Vec<Problem>> {
        let names: Vec<String> = record.iter().map(|head| unguarded(head).to_owned()).collect();
        let (mut places, mut unused, mut problems) = (Vec::<(Column, usize)>::new(), Vec::new(), Vec::new());
        for (place, name) in names.iter().enumerate() {
            match Column::named(name) {
                None if name.is_empty() => {}
                None => unused.push(super::short(name)),
                Some(column) => match places.iter().find(|(known, _)| *known == column) {
                    Some((_, first)) => {
                        let first = names.get(*first).map(String::as_str).unwrap_or_default();
                        let what = format!("says the same as the column {first:?}; leave one of them out");
                        problems.push(Problem::of_cell(at, name, name, what));
                    }
                    None => places.push((column, place)),
                },
            }
        }
        for (column, words) in [(Column::Id, "`id` or `職員ID`"), (Column::Name, "`name` or `氏名`")] {
            if !places.iter().any(|(known, _)| *known == column) {
                let what = format!("there is no column {words}; the first row names the columns");
                problems.push(Problem::of_line(at, what));
            }
        }
        if problems.is_empty() { Ok(Self { names, places, unused }) } else { Err(problems) }
    }

    fn place(&self, column: Column) -> Option<usize> {
        self.places.iter().find(|(known, _)| *known == column).map(|(_, place)| *place)
    }

    fn name_of(&self, column: Column) -> String {
        self.place(column).and_then(|place| self.names.get(place)).cloned().unwrap_or_default()
    }

    /// `None`: something is wrong with the row, and stands in `problems`.
    fn row(&self, record: &StringRecord, at: u64, problems: &mut Vec<Problem>) -> Option<SheetRow> {
        if record.len() != self.names.len() {
            let what = format!(
                "has {} cells where the first row has {}; look for a comma or quotation mark too many or too few",
                record.len(),
                self.names.len()
            );
            problems.push(Problem::of_line(at, what));
            return None;
        }
        let before = problems.len();
        let mut cells = Cells { head: self, record, at, problems };
        cells.check_unused();
        let id = cells.read(Column::Id, id);
        let name = cells.read(Column::Name, |cell| text(cell)?.ok_or("is empty; every person has a name"));
        let kana = cells.read(Column::Kana, text);
        let mail = cells.read(Column::Mail, mail);
        let facility = cells.read(Column::Facility, text);
        let groups = cells.read(Column::Groups, groups);
        let first_day = cells.read(Column::FirstDay, day);
        let last_day = cells.read(Column::LastDay, day);
        if let (Some(Some(first)), Some(Some(last))) = (first_day, last_day)
            && last < first
        {
            cells.complain(Column::LastDay, "is before the first day; correct one of them");
        }
        if problems.len() > before {
            return None;
        }
        Some(SheetRow { line: at, id: id?, name: name?, kana, mail, facility, groups, first_day, last_day })
    }
}

struct Cells<'a> {
    head: &'a Head,
    record: &'a StringRecord,
    at: u64,
    problems: &'a mut Vec<Problem>,
}

impl Cells<'_> {
    fn read<T, E: Into<String>>(&mut self, column: Column, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let cell = self.record.get(self.head.place(column)?)?;
        if let Err(what) = on_one_line(cell) {
            self.complain(column, what);
            return None;
        }
        match read(cell) {
            Ok(value) => Some(value),
            Err(what) => {
                self.complain(column, what);
                None
            }
        }
    }

    /// What stands in the other columns is nothing to us, but rows must not disappear in them.
    fn check_unused(&mut self) {
        for (place, cell) in self.record.iter().enumerate() {
            if self.head.places.iter().any(|(_, used)| *used == place) {
                continue;
            }
            if let Err(what) = on_one_line(cell) {
                let name = self.head.names.get(place).filter(|name| !name.is_empty()).cloned();
                let name = name.unwrap_or_else(|| (place + 1).to_string());
                self.problems.push(Problem::of_cell(self.at, &name, cell, what));
            }
        }
    }

    fn complain(&mut self, column: Column, what: impl Into<String>) {
        let cell = self.head.place(column).and_then(|place| self.record.get(place)).unwrap_or_default();
        self.problems.push(Problem::of_cell(self.at, &self.head.name_of(column), cell, what));
    }
}

fn id(cell: &str) -> Result<PersonId, String> {
    let id = half_width(unguarded_id(cell));
    PersonId::new(id.trim()).map_err(|error| match error.problem {
        "is empty" => "is empty; every person has an id".to_owned(),
        "is too long" => "is longer than 64 bytes; shorten it".to_owned(),
        problem => problem.to_owned(),
    })
}

fn mail(cell: &str) -> Result<Option<String>, &'static str> {
    let Some(address) = text(&half_width(unguarded(cell)))? else { return Ok(None) };
    let good = address
        .split_once('@')
        .is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.') && !domain.contains('@'));
    if good && !address.contains(char::is_whitespace) {
        Ok(Some(address))
    } else {
        Err("is not a mail address; write name@example.jp, or nothing")
    }
}

fn groups(cell: &str) -> Result<Vec<GroupName>, String> {
    let mut groups = Vec::new();
    for name in unguarded(cell).split([';', '；', '、']).map(str::trim).filter(|name| !name.is_empty()) {
        let group = GroupName::new(name).map_err(|error| {
            format!("the group `{}` {}; divide groups by `;` or `、`", super::short(name), error.problem)
        })?;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(groups)
}

fn day(cell: &str) -> Result<Option<Date>, &'static str> {
    let text = unguarded(cell);
    if text.is_empty() { Ok(None) } else { dates::parse(text).map(Some) }
}
