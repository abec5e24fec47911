//! The values of one request that its candidates ask for, and whether conditions hold of them.

use http::{Method, header};

use super::document::BodyKind;
use super::fields::{Fields, Selector};
use super::route::{Candidate, Condition};
use super::scan::{self, Cell, Parameters};
use super::{MOST_OF_BODY, Recipe, RequestHead, charset};
use crate::field;

/// What a request's body is, as far as it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    None,
    Read(BodyKind),
    /// There is one, or may be, that can't be read: too long, damaged, or of a kind that holds no values.
    Unread {
        /// Servers look for parameters in it.
        form: bool,
    },
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Yes,
    No,
    /// It can't be told.
    Unclear,
}

pub(super) struct Values<'a> {
    path: &'a str,
    query: Vec<Cell>,
    form: Vec<Cell>,
    json: Vec<Cell>,
    pub(super) body: Body,
}

impl<'a> Values<'a> {
    pub(super) fn read(
        recipe: &Recipe,
        head: &RequestHead<'a>,
        body: Option<&[u8]>,
        candidates: &[Candidate<'_>],
    ) -> Self {
        let mut values =
            Self { path: head.path, query: Vec::new(), form: Vec::new(), json: Vec::new(), body: state(head, body) };
        let fields = &recipe.fields;
        let mut wanted = Wanted::new(fields);
        for selector in candidates.iter().flat_map(|candidate| &candidate.rule.asks) {
            wanted.ask(*selector);
        }
        if wanted.parameter {
            let mut found = Parameters::new(fields, &wanted.slots);
            scan::form::pairs(head.query.unwrap_or_default(), recipe.charset, &mut found);
            values.query = found.cells;
        }
        let Body::Read(kind) = values.body else { return values };
        let body = body.unwrap_or_default();
        let content_type = field::get(head.headers, &header::CONTENT_TYPE).unwrap_or_default();
        let read = match charset::of_content_type(content_type).transpose() {
            Err(unreadable) => Err(unreadable),
            Ok(declared) => match kind {
                BodyKind::Json if !wanted.json => Ok(()),
                BodyKind::Form | BodyKind::Multipart if !wanted.parameter => Ok(()),
                // RFC 8259, 8.1: JSON is UTF-8, whatever its type says besides.
                BodyKind::Json if declared.is_some_and(|declared| declared != encoding_rs::UTF_8) => {
                    Err(charset::Unreadable)
                }
                BodyKind::Json => scan::json::values(body, &fields.pointers, |at| wanted.pointers[at])
                    .map(|cells| values.json = cells),
                BodyKind::Form => {
                    let mut found = Parameters::new(fields, &wanted.slots);
                    scan::form::body(body, declared, recipe.charset, &mut found).map(|()| values.form = found.cells)
                }
                BodyKind::Multipart => {
                    let mut found = Parameters::new(fields, &wanted.slots);
                    let encoding = declared.unwrap_or(recipe.charset);
                    scan::multipart::body(body, content_type, encoding, &mut found).map(|()| values.form = found.cells)
                }
            },
        };
        if read.is_err() {
            values.body = Body::Unread { form: kind != BodyKind::Json };
        }
        values
    }

    /// The value at `selector`.
    pub(super) fn get(&self, selector: Selector) -> Cell {
        let cell = |cells: &[Cell], at: usize| cells.get(at).cloned().unwrap_or_default();
        match selector {
            Selector::Segment(nth) => match self.path.split('/').nth(nth) {
                None | Some("") => Cell::Absent,
                Some(segment) if segment.len() > super::LONGEST_VALUE => Cell::Found(None),
                Some(segment) => Cell::Found(Some(segment.into())),
            },
            // Servers that read parameters from query and form alike take the one or the other: it must be the same.
            Selector::Query(slot) => match (cell(&self.query, slot), cell(&self.form, slot)) {
                (found, Cell::Absent) => found,
                (in_query, in_form) => same(in_query, &in_form),
            },
            Selector::Form(slot) => match (self.body, cell(&self.query, slot), cell(&self.form, slot)) {
                (Body::Unread { .. }, ..) => Cell::Unclear,
                (_, Cell::Absent, found) => found,
                (_, in_query, in_form) => same(in_query, &in_form),
            },
            Selector::Parameter(slot) => match (self.body, cell(&self.query, slot), cell(&self.form, slot)) {
                (Body::Unread { form: true }, ..) => Cell::Unclear,
                (_, found, Cell::Absent) | (_, Cell::Absent, found) => found,
                (_, in_query, in_form) => same(in_query, &in_form),
            },
            Selector::Json(at) => match self.body {
                Body::Unread { .. } => Cell::Unclear,
                _ => cell(&self.json, at),
            },
        }
    }

    /// Whether all of them hold. One that can't hold settles it, whatever is unclear besides.
    pub(super) fn hold(&self, conditions: &[Condition]) -> Held {
        let mut held = Held::Yes;
        for condition in conditions {
            match self.holds(condition) {
                Held::No => return Held::No,
                Held::Unclear => held = Held::Unclear,
                Held::Yes => {}
            }
        }
        held
    }

    fn holds(&self, condition: &Condition) -> Held {
        let by_query = matches!(condition.selector, Selector::Query(_));
        if by_query && self.body == (Body::Unread { form: true }) {
            return Held::Unclear;
        }
        let one_of = &condition.one_of;
        match self.get(condition.selector) {
            Cell::Unclear => Held::Unclear,
            Cell::Absent => Held::No,
            Cell::Found(_) if one_of.is_empty() => Held::Yes,
            // No value that is asked for is as long as that.
            Cell::Found(None) => Held::No,
            Cell::Found(Some(value)) if one_of.contains(&value) => Held::Yes,
            // Servers differ on case and blanks.
            Cell::Found(Some(value)) if one_of.iter().any(|wanted| is_nearly(&value, wanted)) => Held::Unclear,
            Cell::Found(Some(_)) => Held::No,
        }
    }
}

/// A value that stands in two places, if it is one.
fn same(one: Cell, other: &Cell) -> Cell {
    match (&one, other) {
        (Cell::Found(Some(value)), Cell::Found(Some(again))) if value == again => one,
        _ => Cell::Unclear,
    }
}

fn is_nearly(value: &str, wanted: &str) -> bool {
    let lax = |text: &str| text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_lowercase();
    lax(value) == lax(wanted)
}

/// The kind of body that a request says it has; None: one that holds no values, or it doesn't say.
pub(super) fn kind(head: &RequestHead<'_>) -> Option<BodyKind> {
    let coded = field::list(head.headers, &header::CONTENT_ENCODING).any(|c| !c.eq_ignore_ascii_case("identity"));
    let essence = field::get(head.headers, &header::CONTENT_TYPE).map(field::essence)?;
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    let ends = essence.len().checked_sub("+json".len()).and_then(|at| essence.get(at..));
    let kind = if is("application/x-www-form-urlencoded") {
        BodyKind::Form
    } else if is("multipart/form-data") {
        BodyKind::Multipart
    } else if is("application/json") || ends.is_some_and(|ends| ends.eq_ignore_ascii_case("+json")) {
        BodyKind::Json
    } else {
        return None;
    };
    (!coded).then_some(kind)
}

/// Whether a request has a body. None: it doesn't say, as HTTP/2 need not.
pub(super) fn has_body(head: &RequestHead<'_>) -> Option<bool> {
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        return Some(true);
    }
    match field::get(head.headers, &header::CONTENT_LENGTH) {
        Some(length) => Some(!length.bytes().all(|b| b == b'0')),
        None if matches!(*head.method, Method::GET | Method::HEAD | Method::OPTIONS) => Some(false),
        None => None,
    }
}

fn state(head: &RequestHead<'_>, body: Option<&[u8]>) -> Body {
    let form = || {
        let essence = field::get(head.headers, &header::CONTENT_TYPE).map(field::essence).unwrap_or_default();
        ["application/x-www-form-urlencoded", "multipart/form-data"].iter().any(|f| essence.eq_ignore_ascii_case(f))
    };
    match body {
        // It says that there is something, and nothing was read.
        Some([]) if has_body(head) == Some(true) => Body::Unread { form: form() },
        Some([]) => Body::None,
        Some(body) if body.len() > MOST_OF_BODY => Body::Unread { form: form() },
        Some(_) => kind(head).map_or_else(|| Body::Unread { form: form() }, Body::Read),
        None if has_body(head) == Some(false) => Body::None,
        None => Body::Unread { form: form() },
    }
}

/// What the candidates ask for.
struct Wanted {
    slots: Vec<bool>,
    pointers: Vec<bool>,
    parameter: bool,
    json: bool,
}

impl Wanted {
    fn new(fields: &Fields) -> Self {
        Self {
            slots: vec![false; fields.slots()],
            pointers: vec![false; fields.pointers.len()],
            parameter: false,
            json: false,
        }
    }

    fn ask(&mut self, selector: Selector) {
        match selector {
            Selector::Segment(_) => {}
            Selector::Query(slot) | Selector::Form(slot) | Selector::Parameter(slot) => {
                self.slots[slot] = true;
                self.parameter = true;
            }
            Selector::Json(at) => {
                self.pointers[at] = true;
                self.json = true;
            }
        }
    }
}
