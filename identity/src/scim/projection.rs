//! `attributes` and `excludedAttributes`: how much of a resource is shown (RFC 7644, 3.9).

use serde_json::{Map, Value};

use super::filter::AttributePath;
use super::path::{Resolved, Target, resolve};
use super::problem::Problem;
use super::schema::{COMMON, ResourceType};

#[derive(Debug, Default)]
pub(crate) struct Projection {
    only: Vec<String>,
    without: Vec<String>,
}

impl Projection {
    pub(crate) fn new(only: Vec<String>, without: Vec<String>) -> Result<Self, Problem> {
        match only.is_empty() || without.is_empty() {
            true => Ok(Self { only, without }),
            false => Err(Problem::value("`attributes` and `excludedAttributes` exclude each other")),
        }
    }

    /// Names as a query writes them: separated by commas.
    pub(crate) fn names(text: &str) -> Vec<String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    pub(crate) fn apply(&self, kind: &'static ResourceType, resource: Map<String, Value>) -> Map<String, Value> {
        if !self.only.is_empty() {
            return self.chosen(kind, &resource);
        }
        let mut resource = resource;
        for name in &self.without {
            exclude(kind, name, &mut resource);
        }
        resource
    }

    /// What is named, and what is always shown.
    fn chosen(&self, kind: &'static ResourceType, resource: &Map<String, Value>) -> Map<String, Value> {
        let always = COMMON.iter().filter(|a| a.always_returned).map(|a| a.name);
        let mut kept: Map<String, Value> =
            always.filter_map(|name| Some((name.to_owned(), resource.get(name)?.clone()))).collect();
        for name in &self.only {
            match named(kind, name) {
                Some(Named::Extension(id)) => {
                    kept.extend(resource.get(id).map(|object| (id.to_owned(), object.clone())));
                }
                Some(Named::Attribute(Target { extension: Some(schema), attribute, .. })) => {
                    if let Some(value) = resource.get(schema.id).and_then(|object| object.get(attribute.name)) {
                        let object = kept.entry(schema.id).or_insert_with(|| Map::new().into());
                        object[attribute.name] = value.clone();
                    }
                }
                Some(Named::Attribute(Target { attribute, sub, .. })) => {
                    let Some(value) = resource.get(attribute.name) else { continue };
                    match (sub, kept.get_mut(attribute.name)) {
                        (Some(sub), Some(there)) => add_part(there, value, sub.name),
                        (Some(sub), None) => {
                            let mut empty = match value {
                                Value::Array(items) => vec![Value::Object(Map::new()); items.len()].into(),
                                _ => Value::Object(Map::new()),
                            };
                            add_part(&mut empty, value, sub.name);
                            kept.insert(attribute.name.to_owned(), empty);
                        }
                        (None, _) => {
                            kept.insert(attribute.name.to_owned(), value.clone());
                        }
                    }
                }
                None => {}
            }
        }
        kept
    }
}

enum Named {
    Extension(&'static str),
    Attribute(Target),
}

/// Names that nobody knows are passed over, as servers commonly do.
fn named(kind: &'static ResourceType, name: &str) -> Option<Named> {
    if let Some(extension) = kind.extension.filter(|e| e.id.eq_ignore_ascii_case(name)) {
        return Some(Named::Extension(extension.id));
    }
    match resolve(kind, &AttributePath::parse(name).ok()?) {
        Resolved::Known(target) => Some(Named::Attribute(target)),
        Resolved::Dropped | Resolved::Unknown => None,
    }
}

fn add_part(to: &mut Value, from: &Value, part: &str) {
    match (to, from) {
        (Value::Array(to), Value::Array(from)) => {
            to.iter_mut().zip(from).for_each(|(to, from)| add_part(to, from, part));
        }
        (Value::Object(to), Value::Object(from)) => to.extend(from.get(part).map(|v| (part.to_owned(), v.clone()))),
        _ => {}
    }
}

fn exclude(kind: &'static ResourceType, name: &str, resource: &mut Map<String, Value>) {
    match named(kind, name) {
        Some(Named::Extension(id)) => {
            resource.remove(id);
        }
        Some(Named::Attribute(Target { attribute, .. })) if attribute.always_returned => {}
        Some(Named::Attribute(Target { extension: Some(schema), attribute, .. })) => {
            if let Some(Value::Object(object)) = resource.get_mut(schema.id) {
                object.remove(attribute.name);
            }
        }
        Some(Named::Attribute(Target { attribute, sub: Some(sub), .. })) => match resource.get_mut(attribute.name) {
            Some(Value::Object(object)) => {
                object.remove(sub.name);
            }
            Some(Value::Array(items)) => items.iter_mut().for_each(|item| {
                if let Value::Object(object) = item {
                    object.remove(sub.name);
                }
            }),
            _ => {}
        },
        Some(Named::Attribute(Target { attribute, .. })) => {
            resource.remove(attribute.name);
        }
        None => {}
    }
}
