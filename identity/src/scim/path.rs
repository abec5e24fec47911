//! From an attribute's name, as a client writes it, to the attribute we keep.

use super::filter::{self, AttributePath, Filter};
use super::problem::Problem;
use super::schema::{self, Attribute, ResourceType, Schema};

/// An attribute of a resource type, or a part of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Set if the attribute stands in the extension's object.
    pub(crate) extension: Option<&'static Schema>,
    pub(crate) attribute: &'static Attribute,
    pub(crate) sub: Option<&'static Attribute>,
}

pub(crate) enum Resolved {
    Known(Target),
    /// RFC 7643 has it, we don't keep it.
    Dropped,
    Unknown,
}

pub(crate) fn resolve(kind: &'static ResourceType, path: &AttributePath) -> Resolved {
    let Some(schema) = kind.schema_of(path.urn.as_deref()) else { return Resolved::Unknown };
    let extension = kind.is_extension(schema).then_some(schema);
    let common = || extension.is_none().then(|| schema::find(schema::COMMON, &path.name)).flatten();
    let Some(attribute) = schema::find(schema.attributes, &path.name).or_else(common) else {
        return if kind.drops(&path.name) { Resolved::Dropped } else { Resolved::Unknown };
    };
    let sub = match &path.sub {
        None => None,
        Some(name) => match attribute.sub(name) {
            Some(sub) => Some(sub),
            None => return Resolved::Unknown,
        },
    };
    Resolved::Known(Target { extension, attribute, sub })
}

/// Where a PATCH operation aims (RFC 7644, 3.5.2).
pub(crate) enum Aim {
    At(Target, Option<Filter>),
    /// The extension's object as a whole, named by its URN alone.
    Extension(&'static Schema),
    /// What we don't keep: the operation is done by leaving it undone.
    Dropped,
}

pub(crate) fn aim(kind: &'static ResourceType, text: &str) -> Result<Aim, Problem> {
    let (path, filter) = filter::patch_path(text).map_err(|error| Problem::path(error.to_string()))?;
    if let Some(extension) = kind.extension.filter(|e| e.id.eq_ignore_ascii_case(text.trim())) {
        return Ok(Aim::Extension(extension));
    }
    match resolve(kind, &path) {
        Resolved::Known(target) => {
            if let Some(filter) = &filter {
                if !target.attribute.multi {
                    return Err(Problem::path(format!("`{}` has one value at most", target.attribute.name)));
                }
                super::evaluate::check_element(filter, target.attribute)
                    .map_err(|name| Problem::path(format!("`{}` has no part `{name}`", target.attribute.name)))?;
            }
            Ok(Aim::At(target, filter))
        }
        Resolved::Dropped => Ok(Aim::Dropped),
        Resolved::Unknown => Err(Problem::path(format!("a {} has no attribute of this name here", kind.name))),
    }
}
