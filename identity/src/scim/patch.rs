//! PATCH (RFC 7644, 3.5.2): operations on a resource as we keep it. All of them succeed, or nothing has happened.
//!
//! What Entra ID and Okta send beside the RFC is understood: `"op": "Add"`, `"active": "False"`, values without a
//! path whose keys are paths themselves, and `remove` of members that names them in `value`.

mod values;

use serde_json::{Map, Value};

use super::filter::Filter;
use super::path::{Aim, Target, aim};
use super::problem::Problem;
use super::schema::{Attribute, Kind, ResourceType, Schema};
use super::shape;

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The most operations of one request.
const MOST_OPERATIONS: usize = 1_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// The resource as it is after all operations.
pub(crate) fn apply(
    kind: &'static ResourceType,
    resource: &Map<String, Value>,
    body: &Value,
) -> Result<Map<String, Value>, Problem> {
    let schemas = field(body, "schemas").and_then(Value::as_array);
    if !schemas.is_some_and(|s| s.iter().any(|urn| urn.as_str().is_some_and(|u| u.eq_ignore_ascii_case(SCHEMA)))) {
        return Err(Problem::syntax(format!("`schemas` does not name {SCHEMA}")));
    }
    let operations = field(body, "Operations").and_then(Value::as_array);
    let operations = operations.ok_or_else(|| Problem::syntax("`Operations` is not a list"))?;
    if operations.len() > MOST_OPERATIONS {
        return Err(Problem::value(format!("there are more than {MOST_OPERATIONS} operations")));
    }
    let mut patched = resource.clone();
    for operation in operations {
        carry_out(kind, &mut patched, operation)?;
    }
    shape::complete(kind, &patched)?;
    Ok(patched)
}

fn field<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn carry_out(kind: &'static ResourceType, resource: &mut Map<String, Value>, operation: &Value) -> Result<(), Problem> {
    let op = match field(operation, "op").and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
        Some("add") => Op::Add,
        Some("replace") => Op::Replace,
        Some("remove") => Op::Remove,
        _ => return Err(Problem::syntax("`op` is not add, replace or remove")),
    };
    let value = field(operation, "value");
    match field(operation, "path") {
        Some(Value::String(path)) => at_path(kind, resource, op, path, value, true),
        None | Some(Value::Null) => match (op, value) {
            (Op::Remove, _) => Err(Problem::no_target("remove needs a `path`")),
            (_, Some(Value::Object(parts))) => {
                for (key, value) in parts {
                    at_key(kind, resource, op, key, value)?;
                }
                Ok(())
            }
            _ => Err(Problem::value("without a `path`, `value` must be an object of attributes")),
        },
        Some(_) => Err(Problem::path("`path` is not a string")),
    }
}

/// One key of a value without a path: an attribute, a dotted path, or an extension. Okta sends the resource's own
/// `id` and `schemas` along, so what clients can't write is passed over, and so is what nobody knows.
fn at_key(
    kind: &'static ResourceType,
    resource: &mut Map<String, Value>,
    op: Op,
    key: &str,
    value: &Value,
) -> Result<(), Problem> {
    match aim(kind, key) {
        Err(_) | Ok(Aim::Dropped) => Ok(()),
        Ok(_) => at_path(kind, resource, op, key, Some(value), false),
    }
}

fn at_path(
    kind: &'static ResourceType,
    resource: &mut Map<String, Value>,
    op: Op,
    path: &str,
    value: Option<&Value>,
    strict: bool,
) -> Result<(), Problem> {
    let value = match op {
        Op::Remove => value,
        _ => Some(value.ok_or_else(|| Problem::value("add and replace need a `value`"))?),
    };
    match aim(kind, path)? {
        Aim::Dropped => Ok(()),
        Aim::Extension(schema) => on_extension(resource, op, schema, value),
        Aim::At(target, filter) => {
            if target.attribute.read_only || target.sub.is_some_and(|sub| sub.read_only) {
                return if strict { Err(Problem::mutability(target.attribute.name)) } else { Ok(()) };
            }
            let mut detached = Map::new();
            let holder = match target.extension {
                Some(schema) => match resource.entry(schema.id).or_insert_with(|| Map::new().into()) {
                    Value::Object(object) => object,
                    _ => &mut detached,
                },
                None => &mut *resource,
            };
            on_attribute(holder, op, &target, filter.as_ref(), value)?;
            if let Some(schema) = target.extension {
                drop_if_empty(resource, schema.id);
            }
            Ok(())
        }
    }
}

fn drop_if_empty(map: &mut Map<String, Value>, name: &str) {
    let empty = match map.get(name) {
        Some(Value::Object(object)) => object.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => false,
    };
    if empty {
        map.remove(name);
    }
}

fn on_extension(
    resource: &mut Map<String, Value>,
    op: Op,
    schema: &'static Schema,
    value: Option<&Value>,
) -> Result<(), Problem> {
    if op == Op::Remove {
        resource.remove(schema.id);
        return Ok(());
    }
    let Some(Value::Object(parts)) = value else { return Err(shape::wrong_type(schema.name, "an object")) };
    merge(resource, schema.id, schema.attributes, parts)
}

/// Parts that are named replace the old ones, `null` takes them away, the others stay.
fn merge(
    holder: &mut Map<String, Value>,
    name: &str,
    attributes: &'static [Attribute],
    parts: &Map<String, Value>,
) -> Result<(), Problem> {
    let kept = shape::object(attributes, parts)?;
    let old = holder.entry(name).or_insert_with(|| Map::new().into());
    if let Value::Object(old) = old {
        for attribute in attributes.iter().filter(|a| parts.keys().any(|k| k.eq_ignore_ascii_case(a.name))) {
            match kept.get(attribute.name) {
                Some(value) => old.insert(attribute.name.to_owned(), value.clone()),
                None => old.remove(attribute.name),
            };
        }
    }
    drop_if_empty(holder, name);
    Ok(())
}

fn on_attribute(
    holder: &mut Map<String, Value>,
    op: Op,
    target: &Target,
    filter: Option<&Filter>,
    value: Option<&Value>,
) -> Result<(), Problem> {
    let attribute = target.attribute;
    if attribute.multi {
        return values::change(holder, op, target, filter, value);
    }
    match (op, target.sub, attribute.kind, value) {
        (Op::Remove, Some(sub), ..) => {
            if let Some(Value::Object(object)) = holder.get_mut(attribute.name) {
                object.remove(sub.name);
            }
            drop_if_empty(holder, attribute.name);
        }
        (Op::Remove, None, ..) => {
            holder.remove(attribute.name);
        }
        (_, Some(sub), Kind::Complex(parts), Some(value)) => {
            merge(holder, attribute.name, parts, &Map::from_iter([(sub.name.to_owned(), value.clone())]))?;
        }
        (_, None, Kind::Complex(parts), Some(Value::Object(given))) => merge(holder, attribute.name, parts, given)?,
        (_, _, _, value) => match shape::value_of(attribute, value.unwrap_or(&Value::Null))? {
            Some(value) => {
                holder.insert(attribute.name.to_owned(), value);
            }
            None => {
                holder.remove(attribute.name);
            }
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests;
