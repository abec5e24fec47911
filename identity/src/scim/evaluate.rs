//! What a filter means: evaluated over a resource as clients see it.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use vocabulary::{Timestamp, Zone};

use super::filter::{AttributePath, Filter, Literal, Operator};
use super::path::{Resolved, Target, resolve};
use super::problem::Problem;
use super::schema::{Attribute, Kind, ResourceType};

/// Whether a resource meets the filter. What the resource doesn't have is absent.
pub(crate) fn matches(filter: &Filter, kind: &'static ResourceType, resource: &Map<String, Value>) -> bool {
    meets(filter, &Scope::Resource(kind, resource))
}

/// Whether one value of a multi-valued attribute meets the filter in its brackets.
pub(crate) fn element_matches(filter: &Filter, attribute: &'static Attribute, element: &Value) -> bool {
    meets(filter, &Scope::Element(attribute, element))
}

/// Refuses what could never match: names that none of the resource types has, and comparisons of no sense.
pub(crate) fn check(filter: &Filter, kinds: &[&'static ResourceType]) -> Result<(), Problem> {
    let known = |path: &AttributePath| -> Result<Option<Target>, Problem> {
        let mut dropped = false;
        for kind in kinds {
            match resolve(kind, path) {
                Resolved::Known(target) => return Ok(Some(target)),
                Resolved::Dropped => dropped = true,
                Resolved::Unknown => {}
            }
        }
        match dropped {
            true => Ok(None),
            false => Err(Problem::filter("the filter names an attribute that is not known here")),
        }
    };
    match filter {
        Filter::Present(path) => known(path).map(|_| ()),
        Filter::Compare(path, operator, literal) => match known(path)? {
            Some(target) => comparable(leaf(target.attribute, target.sub), *operator, literal),
            None => Ok(()),
        },
        Filter::Where(path, inner) => match known(path)? {
            Some(target) => check_element(inner, target.attribute).map_err(|_| {
                Problem::filter(format!("the filter names a part that `{}` does not have", target.attribute.name))
            }),
            None => Ok(()),
        },
        Filter::Not(inner) => check(inner, kinds),
        Filter::And(left, right) | Filter::Or(left, right) => {
            check(left, kinds)?;
            check(right, kinds)
        }
    }
}

/// The name that the attribute has no part of, if the filter uses one.
pub(crate) fn check_element<'f>(filter: &'f Filter, attribute: &'static Attribute) -> Result<(), &'f str> {
    match filter {
        Filter::Present(path) | Filter::Compare(path, ..) => {
            let known = path.urn.is_none() && path.sub.is_none() && part(attribute, &path.name).is_some();
            if known { Ok(()) } else { Err(&path.name) }
        }
        Filter::Where(path, _) => Err(&path.name),
        Filter::Not(inner) => check_element(inner, attribute),
        Filter::And(left, right) | Filter::Or(left, right) => {
            check_element(left, attribute)?;
            check_element(right, attribute)
        }
    }
}

/// Greater and less mean nothing for booleans (RFC 7644, 3.4.2.2).
fn comparable(leaf: Option<&'static Attribute>, operator: Operator, literal: &Literal) -> Result<(), Problem> {
    let boolean = matches!(leaf, Some(Attribute { kind: Kind::Boolean, .. })) || matches!(literal, Literal::Bool(_));
    match operator {
        Operator::Equal | Operator::NotEqual => Ok(()),
        _ if boolean => Err(Problem::filter(format!("`{}` can't compare true and false", operator.as_str()))),
        _ => Ok(()),
    }
}

enum Scope<'r> {
    Resource(&'static ResourceType, &'r Map<String, Value>),
    Element(&'static Attribute, &'r Value),
}

fn meets(filter: &Filter, scope: &Scope<'_>) -> bool {
    match filter {
        Filter::Present(path) => values(path, scope).is_some_and(|(_, values)| values.iter().any(|v| is_there(v))),
        Filter::Compare(path, operator, literal) => {
            let (leaf, values) = values(path, scope).unwrap_or_default();
            let equal = |literal: &Literal| match literal {
                Literal::Null => !values.iter().any(|v| is_there(v)),
                literal => values.iter().any(|v| compare(leaf, Operator::Equal, v, literal)),
            };
            match operator {
                Operator::Equal => equal(literal),
                Operator::NotEqual => !equal(literal),
                operator => values.iter().any(|v| compare(leaf, *operator, v, literal)),
            }
        }
        Filter::Where(path, inner) => match scope {
            Scope::Resource(kind, resource) => {
                let Resolved::Known(target) = resolve(kind, path) else { return false };
                elements(&target, resource).iter().any(|element| element_matches(inner, target.attribute, element))
            }
            Scope::Element(..) => false,
        },
        Filter::Not(inner) => !meets(inner, scope),
        Filter::And(left, right) => meets(left, scope) && meets(right, scope),
        Filter::Or(left, right) => meets(left, scope) || meets(right, scope),
    }
}

fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// The values that a path leads to, and the attribute whose values they are.
fn values<'r>(path: &AttributePath, scope: &Scope<'r>) -> Option<(Option<&'static Attribute>, Vec<&'r Value>)> {
    match scope {
        Scope::Resource(kind, resource) => {
            let Resolved::Known(target) = resolve(kind, path) else { return None };
            let elements = elements(&target, resource);
            match leaf(target.attribute, target.sub) {
                Some(leaf) if matches!(target.attribute.kind, Kind::Complex(_)) => {
                    Some((Some(leaf), elements.into_iter().filter_map(|e| e.get(leaf.name)).collect()))
                }
                leaf => Some((leaf, elements)),
            }
        }
        Scope::Element(attribute, element) => {
            let part = part(attribute, &path.name)?;
            let value = match attribute.kind {
                Kind::Complex(_) => element.get(part.name),
                _ => Some(*element),
            };
            Some((Some(part), value.into_iter().collect()))
        }
    }
}

fn elements<'r>(target: &Target, resource: &'r Map<String, Value>) -> Vec<&'r Value> {
    let value = match target.extension {
        Some(schema) => resource.get(schema.id).and_then(|object| object.get(target.attribute.name)),
        None => resource.get(target.attribute.name),
    };
    match value {
        Some(Value::Array(items)) => items.iter().collect(),
        other => other.into_iter().collect(),
    }
}

/// What is compared: the part that is named, or of a complex attribute its `value` (RFC 7643, 2.4).
fn leaf(attribute: &'static Attribute, sub: Option<&'static Attribute>) -> Option<&'static Attribute> {
    match (sub, attribute.kind) {
        (Some(sub), _) => Some(sub),
        (None, Kind::Complex(_)) => attribute.sub("value"),
        (None, _) => Some(attribute),
    }
}

/// Within brackets: a part of a complex value, or `value` for a simple one itself.
fn part(attribute: &'static Attribute, name: &str) -> Option<&'static Attribute> {
    match attribute.kind {
        Kind::Complex(_) => attribute.sub(name),
        _ => name.eq_ignore_ascii_case("value").then_some(attribute),
    }
}

fn compare(leaf: Option<&'static Attribute>, operator: Operator, value: &Value, literal: &Literal) -> bool {
    match (value, literal) {
        (Value::Bool(value), Literal::Bool(literal)) => operator == Operator::Equal && value == literal,
        // Entra ID and others write booleans as strings.
        (Value::Bool(value), Literal::Text(text)) => {
            operator == Operator::Equal && text.eq_ignore_ascii_case(if *value { "true" } else { "false" })
        }
        (Value::String(value), Literal::Text(text)) => {
            if let Some(Attribute { kind: Kind::DateTime, .. }) = leaf
                && let (Ok(value), Ok(text)) = (Timestamp::parse(value, &Zone::UTC), Timestamp::parse(text, &Zone::UTC))
                && let Some(holds) = ordered(operator, value.cmp(&text))
            {
                return holds;
            }
            match leaf {
                Some(leaf) if leaf.case_exact => text_compare(operator, value, text),
                _ => text_compare(operator, &value.to_lowercase(), &text.to_lowercase()),
            }
        }
        _ => false,
    }
}

fn text_compare(operator: Operator, value: &str, text: &str) -> bool {
    match operator {
        Operator::Contains => value.contains(text),
        Operator::StartsWith => value.starts_with(text),
        Operator::EndsWith => value.ends_with(text),
        _ => ordered(operator, value.cmp(text)).unwrap_or(false),
    }
}

fn ordered(operator: Operator, found: Ordering) -> Option<bool> {
    Some(match operator {
        Operator::Equal => found.is_eq(),
        Operator::NotEqual => found.is_ne(),
        Operator::Greater => found.is_gt(),
        Operator::GreaterOrEqual => found.is_ge(),
        Operator::Less => found.is_lt(),
        Operator::LessOrEqual => found.is_le(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => return None,
    })
}
