//! What a client did wrong, in the form the protocol has for it.

use std::fmt;

use serde_json::{Value, json};

/// An error answer (RFC 7644, 3.12). Its text never repeats a value that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    /// A word of the RFC's closed list, for 400 and 409.
    pub scim_type: Option<&'static str>,
    pub detail: String,
}

impl Problem {
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into() }
    }

    fn typed(status: u16, scim_type: &'static str, detail: impl Into<String>) -> Self {
        Self { status, scim_type: Some(scim_type), detail: detail.into() }
    }

    pub(crate) fn syntax(detail: impl Into<String>) -> Self {
        Self::typed(400, "invalidSyntax", detail)
    }

    pub(crate) fn value(detail: impl Into<String>) -> Self {
        Self::typed(400, "invalidValue", detail)
    }

    pub(crate) fn filter(detail: impl Into<String>) -> Self {
        Self::typed(400, "invalidFilter", detail)
    }

    pub(crate) fn path(detail: impl Into<String>) -> Self {
        Self::typed(400, "invalidPath", detail)
    }

    pub(crate) fn no_target(detail: impl Into<String>) -> Self {
        Self::typed(400, "noTarget", detail)
    }

    pub(crate) fn mutability(attribute: &str) -> Self {
        Self::typed(400, "mutability", format!("`{attribute}` can't be changed by clients"))
    }

    pub(crate) fn taken(detail: impl Into<String>) -> Self {
        Self::typed(409, "uniqueness", detail)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, format!("there is no such {what}"))
    }

    pub fn body(&self) -> Value {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.status.to_string(),
            "detail": self.detail,
        });
        if let Some(word) = self.scim_type {
            body["scimType"] = word.into();
        }
        body
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}
