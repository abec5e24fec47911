//! A recipe's tests as they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::Action;

/// An exchange, and what must be found in it. What is not expected must not be found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestDocument {
    pub name: String,
    /// The facility's account, as `apps[].account` would have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    pub request: TestRequestDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<TestResponseDocument>,
    #[serde(default)]
    pub expect: ExpectDocument,
}

/// A request. At most one of `form`, `json` and `body`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequestDocument {
    /// Default: POST with a body, GET without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path and query, as they stand on the wire.
    pub path: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Fields of a URL-encoded form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<BTreeMap<String, String>>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
    /// Any other body, byte by byte; its Content-Type stands in `headers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What `form` or `body` is encoded in. Default: the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
}

/// The SaaS's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestResponseDocument {
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// What `body` is encoded in. Default: the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
}

/// What is found in an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<ExpectLoginDocument>,
    /// An operation's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only compared if it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// `<kind>/<id>`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub logout: bool,
    pub expired: bool,
    pub wrong_account: bool,
}

/// A login that is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectLoginDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// It goes on with one under way.
    pub further_step: bool,
    /// What the answer says; needs `response`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ExpectedResult>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What the answer to a login says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedResult {
    Ok,
    Failed,
    SecondStep,
    Unknown,
}
