//! The values of a multi-valued attribute, and which of them an operation means.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Op, merge};
use crate::scim::evaluate::element_matches;
use crate::scim::filter::{Filter, Literal, Operator};
use crate::scim::path::Target;
use crate::scim::problem::Problem;
use crate::scim::schema::{Attribute, Kind};
use crate::scim::shape;

pub(super) fn change(
    holder: &mut Map<String, Value>,
    op: Op,
    target: &Target,
    filter: Option<&Filter>,
    value: Option<&Value>,
) -> Result<(), Problem> {
    let attribute = target.attribute;
    let mut values = match holder.remove(attribute.name) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    };
    let primaries: Vec<Value> = values.iter().filter(|v| shape::is_primary(v)).cloned().collect();
    let chosen = |item: &Value| filter.is_none_or(|f| element_matches(f, attribute, item));
    match (op, target.sub) {
        (Op::Remove, None) => remove(&mut values, attribute, filter, value)?,
        (Op::Remove, Some(sub)) => {
            for item in values.iter_mut().filter(|item| chosen(item)) {
                if let Value::Object(object) = item {
                    object.remove(sub.name);
                }
            }
        }
        (Op::Replace, None) if filter.is_none() => {
            values = match shape::value_of(attribute, value.unwrap_or(&Value::Null))? {
                Some(Value::Array(values)) => values,
                _ => Vec::new(),
            };
        }
        (Op::Add, None) if filter.is_none() => {
            let added = shape::value_of(attribute, value.unwrap_or(&Value::Null))?;
            for item in added.as_ref().and_then(Value::as_array).into_iter().flatten() {
                append(&mut values, attribute, item.clone());
            }
        }
        (op, sub) => {
            let given = value.unwrap_or(&Value::Null);
            let given = match (sub, given) {
                (Some(sub), given) => Map::from_iter([(sub.name.to_owned(), given.clone())]),
                (None, Value::Object(object)) => object.clone(),
                (None, _) => return Err(shape::wrong_type(attribute.name, "an object")),
            };
            if !values.iter().any(chosen) {
                // RFC 7644, 3.5.2.3: to replace what is not there fails. To add makes it, as Entra ID expects.
                let Some(base) = filter.filter(|_| op == Op::Add).and_then(described) else {
                    return Err(Problem::no_target(format!("no value of `{}` is meant by the path", attribute.name)));
                };
                let base = shape::one(attribute, &base.into())?;
                values.extend(base.filter(chosen));
            }
            for item in values.iter_mut().filter(|item| chosen(item)) {
                if let (Value::Object(item), Kind::Complex(parts)) = (item, attribute.kind) {
                    let mut wrapped = Map::from_iter([("value".to_owned(), Value::Object(std::mem::take(item)))]);
                    merge(&mut wrapped, "value", parts, &given)?;
                    if let Some(Value::Object(merged)) = wrapped.remove("value") {
                        *item = merged;
                    }
                }
            }
        }
    }
    values.retain(|item| item.as_object().is_none_or(|object| !object.is_empty()));
    settle_primary(attribute, &mut values, &primaries)?;
    if !values.is_empty() {
        holder.insert(attribute.name.to_owned(), values.into());
    }
    Ok(())
}

/// With a filter, what it chooses; with values, these; else all.
fn remove(
    values: &mut Vec<Value>,
    attribute: &'static Attribute,
    filter: Option<&Filter>,
    value: Option<&Value>,
) -> Result<(), Problem> {
    if let Some(filter) = filter {
        values.retain(|item| !element_matches(filter, attribute, item));
        return Ok(());
    }
    match value {
        None | Some(Value::Null) => values.clear(),
        Some(value) => {
            let named = shape::value_of(attribute, value)?;
            let named = named.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let keys: HashSet<&str> = named.iter().filter_map(key).collect();
            values.retain(|item| !key(item).is_some_and(|k| keys.contains(k)));
        }
    }
    Ok(())
}

fn key(item: &Value) -> Option<&str> {
    item.get("value").and_then(Value::as_str)
}

/// The same value again is no second one (RFC 7644, 3.5.2.1); of what has an id, the id alone tells.
fn append(values: &mut Vec<Value>, attribute: &'static Attribute, item: Value) {
    let by_id = attribute.sub("value").is_some_and(|value| value.immutable);
    let there = match by_id {
        true => values.iter().any(|old| key(old) == key(&item)),
        false => values.contains(&item),
    };
    if !there {
        values.push(item);
    }
}

/// Whoever becomes primary takes it from the others (RFC 7644, 3.5.2).
fn settle_primary(attribute: &'static Attribute, values: &mut [Value], before: &[Value]) -> Result<(), Problem> {
    let primaries: Vec<usize> = (0..values.len()).filter(|i| shape::is_primary(&values[*i])).collect();
    if primaries.len() < 2 {
        return Ok(());
    }
    let new: Vec<usize> = primaries.iter().copied().filter(|i| !before.contains(&values[*i])).collect();
    let [keeper] = new[..] else {
        return Err(Problem::value(format!("more than one value of `{}` is primary", attribute.name)));
    };
    for index in primaries.into_iter().filter(|i| *i != keeper) {
        if let Some(Value::Object(object)) = values.get_mut(index) {
            object.insert("primary".to_owned(), false.into());
        }
    }
    Ok(())
}

/// The value that a filter of `eq` joined by `and` describes.
fn described(filter: &Filter) -> Option<Map<String, Value>> {
    match filter {
        Filter::Compare(path, Operator::Equal, literal) => {
            let value = match literal {
                Literal::Text(text) => text.as_str().into(),
                Literal::Bool(bool) => (*bool).into(),
                Literal::Number(_) | Literal::Null => return None,
            };
            Some(Map::from_iter([(path.name.clone(), value)]))
        }
        Filter::And(left, right) => {
            let mut both = described(left)?;
            both.extend(described(right)?);
            Some(both)
        }
        _ => None,
    }
}
