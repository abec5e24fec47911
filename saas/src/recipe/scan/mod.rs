//! Scanners of bodies and queries: they pass over what nobody asked for without building it.

pub(super) mod form;
pub(super) mod json;
pub(super) mod multipart;
#[cfg(test)]
mod tests;

use std::fmt;

use encoding_rs::Encoding;

use super::charset;
use super::fields::{Fields, Meets};

/// How deep JSON may be nested where values are looked for, and how deep it may be nested at all.
pub(super) const DEEPEST: usize = 32;

/// What was found of one value.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Cell {
    #[default]
    Absent,
    /// None: it is there, but too long to be taken.
    Found(Option<Box<str>>),
    /// It stands there twice, or under a name or in bytes that servers read differently.
    Unclear,
}

/// Without the value.
impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Found(_) => "Found",
            Self::Unclear => "Unclear",
        })
    }
}

impl Cell {
    /// A second sighting makes it unclear.
    fn see(&mut self, value: impl FnOnce() -> Self) {
        *self = if *self == Self::Absent { value() } else { Self::Unclear };
    }
}

/// Parameters that are looked for, by their slots, and what is found of them.
pub(super) struct Parameters<'f> {
    pub(super) fields: &'f Fields,
    pub(super) wanted: &'f [bool],
    pub(super) cells: Vec<Cell>,
}

impl<'f> Parameters<'f> {
    pub(super) fn new(fields: &'f Fields, wanted: &'f [bool]) -> Self {
        Self { fields, wanted, cells: vec![Cell::Absent; fields.slots()] }
    }

    /// A parameter of this name is there; `value` builds it, and is called only if it was asked for.
    fn see(&mut self, name: &str, value: impl Fn() -> Cell) {
        let (wanted, cells) = (self.wanted, &mut self.cells);
        self.fields.meet(name, |meets| match meets {
            Meets::Exactly(slot) if wanted.get(slot) == Some(&true) => cells[slot].see(&value),
            Meets::Nearly(slot) if wanted.get(slot) == Some(&true) => cells[slot] = Cell::Unclear,
            _ => {}
        });
    }

    /// Some servers find a parameter of this name, or another value in it than others do.
    fn doubt(&mut self, name: &str) {
        let (wanted, cells) = (self.wanted, &mut self.cells);
        self.fields.meet(name, |meets| {
            let (Meets::Exactly(slot) | Meets::Nearly(slot)) = meets;
            if wanted.get(slot) == Some(&true) {
                cells[slot] = Cell::Unclear;
            }
        });
    }
}

/// A value's bytes as text.
fn text(bytes: &[u8], encoding: &'static Encoding) -> Cell {
    if bytes.len() > super::LONGEST_VALUE {
        return Cell::Found(None);
    }
    match charset::decode(bytes, encoding) {
        None => Cell::Unclear,
        Some(text) if text.len() > super::LONGEST_VALUE => Cell::Found(None),
        Some(text) => Cell::Found(Some(text.as_ref().into())),
    }
}
