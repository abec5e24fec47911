//! From what a client sent to what we keep: names in their right case, values of their right type, the rest dropped.

use serde_json::{Map, Value};

use super::problem::Problem;
use super::schema::{self, Attribute, Kind, ResourceType};

/// The longest text of an attribute, in bytes.
const LONGEST: usize = 1_000;
/// The most values of an attribute, groups' members apart.
const MOST_VALUES: usize = 50;
/// The most members of a group, as one request may name them.
const MOST_MEMBERS: usize = 20_000;

/// A whole resource, as POST and PUT send it. What clients can't write is left out, and so is what we don't keep.
pub(crate) fn resource(kind: &'static ResourceType, body: &Value) -> Result<Map<String, Value>, Problem> {
    let Value::Object(body) = body else { return Err(Problem::syntax("the body is not a JSON object")) };
    let mut kept = Map::new();
    let mut schemas = false;
    for (key, value) in body {
        if key.eq_ignore_ascii_case("schemas") {
            schemas = names_schema(value, kind);
            continue;
        }
        if let Some(extension) = kind.extension.filter(|e| e.id.eq_ignore_ascii_case(key)) {
            let Value::Object(parts) = value else { return Err(wrong_type(extension.name, "an object")) };
            let object = object(extension.attributes, parts)?;
            if !object.is_empty() {
                put(&mut kept, extension.id, object.into())?;
            }
            continue;
        }
        let attributes = [schema::find(kind.schema.attributes, key), schema::find(schema::COMMON, key)];
        let Some(attribute) = attributes.into_iter().flatten().next() else { continue };
        if let Some(value) = value_of(attribute, value)? {
            put(&mut kept, attribute.name, value)?;
        }
    }
    if !schemas {
        return Err(Problem::syntax(format!("`schemas` does not name {}", kind.schema.id)));
    }
    complete(kind, &kept)?;
    Ok(kept)
}

/// Required attributes are there.
pub(crate) fn complete(kind: &'static ResourceType, kept: &Map<String, Value>) -> Result<(), Problem> {
    match kind.schema.attributes.iter().find(|a| a.required && !kept.contains_key(a.name)) {
        Some(missing) => Err(Problem::value(format!("`{}` is required", missing.name))),
        None => Ok(()),
    }
}

fn names_schema(value: &Value, kind: &'static ResourceType) -> bool {
    let is_ours = |v: &Value| v.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(kind.schema.id));
    value.as_array().is_some_and(|urns| urns.iter().any(is_ours))
}

/// Names are without case, so two keys may be one attribute: then nobody can tell what was meant.
fn put(map: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), Problem> {
    match map.insert(name.to_owned(), value) {
        Some(_) => Err(Problem::syntax(format!("`{name}` is there twice"))),
        None => Ok(()),
    }
}

pub(crate) fn object(
    attributes: &'static [Attribute],
    parts: &Map<String, Value>,
) -> Result<Map<String, Value>, Problem> {
    let mut kept = Map::new();
    for (key, value) in parts {
        let Some(attribute) = schema::find(attributes, key) else { continue };
        if let Some(value) = value_of(attribute, value)? {
            put(&mut kept, attribute.name, value)?;
        }
    }
    Ok(kept)
}

/// The value as we keep it; none if it is unassigned (RFC 7643, 2.5) or not for clients to say.
pub(crate) fn value_of(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, Problem> {
    if attribute.read_only || value.is_null() {
        return Ok(None);
    }
    if !attribute.multi {
        return one(attribute, value);
    }
    let single = std::slice::from_ref(value);
    let items = value.as_array().map_or(single, Vec::as_slice);
    let most = if attribute.name == "members" { MOST_MEMBERS } else { MOST_VALUES };
    if items.len() > most {
        return Err(Problem::value(format!("`{}` has more than {most} values", attribute.name)));
    }
    let mut kept: Vec<Value> = Vec::with_capacity(items.len());
    for item in items {
        if let Some(item) = one(attribute, item)? {
            kept.push(item);
        }
    }
    if kept.iter().filter(|item| is_primary(item)).count() > 1 {
        return Err(Problem::value(format!("more than one value of `{}` is primary", attribute.name)));
    }
    Ok((!kept.is_empty()).then(|| kept.into()))
}

pub(crate) fn is_primary(item: &Value) -> bool {
    item.get("primary").and_then(Value::as_bool).unwrap_or(false)
}

/// One value of an attribute, be there one or several.
pub(crate) fn one(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, Problem> {
    let name = attribute.name;
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (Kind::Text | Kind::DateTime | Kind::Reference(_), Value::String(text)) => {
            if text.len() > LONGEST {
                return Err(Problem::value(format!("`{name}` is longer than {LONGEST} bytes")));
            }
            if text.chars().any(char::is_control) {
                return Err(Problem::value(format!("`{name}` holds a control character")));
            }
            Ok((!text.trim().is_empty()).then(|| text.trim().into()))
        }
        (Kind::Text | Kind::DateTime | Kind::Reference(_), _) => Err(wrong_type(name, "a string")),
        (Kind::Boolean, Value::Bool(_)) => Ok(Some(value.clone())),
        // Entra ID sends "True" and "False".
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true.into())),
        (Kind::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false.into())),
        (Kind::Boolean, _) => Err(wrong_type(name, "true or false")),
        (Kind::Complex(parts), Value::Object(map)) => {
            let kept = object(parts, map)?;
            Ok((!kept.is_empty()).then(|| kept.into()))
        }
        // A bare value stands for an object with that `value`.
        (Kind::Complex(parts), Value::String(_)) if attribute.multi => match schema::find(parts, "value") {
            Some(part) => Ok(one(part, value)?.map(|v| Map::from_iter([("value".to_owned(), v)]).into())),
            None => Err(wrong_type(name, "an object")),
        },
        (Kind::Complex(_), _) => Err(wrong_type(name, "an object")),
    }
}

pub(crate) fn wrong_type(name: &str, wanted: &str) -> Problem {
    Problem::value(format!("`{name}` is not {wanted}"))
}
