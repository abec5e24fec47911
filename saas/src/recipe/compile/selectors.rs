//! Selectors and conditions: which values a recipe may ask for.

use vocabulary::PathStep;

use super::{Compile, at};
use crate::recipe::document::{ConditionDocument, SelectorDocument};
use crate::recipe::fields::{Pointer, Selector};
use crate::recipe::route::Condition;
use crate::recipe::{LONGEST_VALUE, secret};

impl Compile {
    pub(super) fn condition(&mut self, place: &[PathStep], document: &ConditionDocument) -> Option<Condition> {
        let selector = self.selector(place, &document.selector());
        if document.equals.is_some() && !document.one_of.is_empty() {
            self.error(at(place, ["one_of".into()]), "", "stands beside `equals`; leave one of them out");
        }
        let values = document.equals.iter().map(|value| (at(place, ["equals".into()]), value));
        let several = document.one_of.iter().enumerate();
        let several = several.map(|(nth, value)| (at(place, ["one_of".into(), nth.into()]), value));
        let mut one_of: Vec<Box<str>> = Vec::new();
        for (place, value) in values.chain(several) {
            if value.len() > LONGEST_VALUE {
                self.error(place, value, "is longer than 256 bytes, and no such value is taken from a request");
            }
            one_of.push(value.as_str().into());
        }
        Some(Condition { selector: selector?, one_of })
    }

    /// A selector of something that is read.
    pub(super) fn selector(&mut self, place: &[PathStep], document: &SelectorDocument) -> Option<Selector> {
        let (key, name) = self.only_key(place, document)?;
        let problem = secret::names(document).find_map(|name| {
            if self.secrets.iter().any(|secret| secret::is_same(secret, &name)) {
                Some("is what `password` or `secrets` names, or is to some servers; that is never read, so choose another value")
            } else if secret::is_called_so(&name) {
                Some("is called as a password or another secret is, and those are never read; choose another value")
            } else {
                None
            }
        });
        if let Some(problem) = problem {
            self.error(at(place, [key.into()]), &name, problem);
            return None;
        }
        match key {
            "path" => Some(Selector::Segment(usize::from(document.path.unwrap_or_default()))),
            "query" => Some(Selector::Query(self.fields.slot(&name))),
            "form" => Some(Selector::Form(self.fields.slot(&name))),
            "parameter" => Some(Selector::Parameter(self.fields.slot(&name))),
            _ => match self.fields.pointer(&name) {
                Ok(at) => Some(Selector::Json(at)),
                Err(problem) => {
                    self.error(at(place, [key.into()]), &name, problem);
                    None
                }
            },
        }
    }

    /// A selector of something that is never read: only its shape matters.
    pub(super) fn of_secret(&mut self, place: &[PathStep], document: &SelectorDocument) {
        let Some((key, name)) = self.only_key(place, document) else { return };
        match key {
            "path" => self.error(at(place, [key.into()]), &name, "can't be a secret: paths are recorded"),
            "json" => {
                if let Err(problem) = Pointer::parse(&name) {
                    self.error(at(place, [key.into()]), &name, problem);
                }
            }
            _ => {}
        }
    }

    /// The one key of a selector, and its value.
    fn only_key(&mut self, place: &[PathStep], document: &SelectorDocument) -> Option<(&'static str, String)> {
        let path = document.path.map(|nth| nth.to_string());
        let all = [
            ("path", &path),
            ("query", &document.query),
            ("form", &document.form),
            ("parameter", &document.parameter),
            ("json", &document.json),
        ];
        let mut written = all.into_iter().filter_map(|(key, value)| value.clone().map(|value| (key, value)));
        let Some((key, value)) = written.next() else {
            let problem = "says not where the value stands; write one of path, query, form, parameter or json";
            self.error(place.to_vec(), "", problem);
            return None;
        };
        if let Some((second, _)) = written.next() {
            let problem = format!("stands beside `{key}`; a value stands in one place, so leave one of them out");
            self.error(at(place, [second.into()]), "", problem);
            return None;
        }
        let problem = match value.as_str() {
            "" => "is empty; write the name of the value",
            "0" if key == "path" => "is too small; segments are counted from 1",
            name if name.len() > LONGEST_VALUE => "is longer than 256 bytes",
            _ => return Some((key, value)),
        };
        self.error(at(place, [key.into()]), &value, problem);
        None
    }
}
