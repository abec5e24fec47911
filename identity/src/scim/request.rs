//! A request and an answer, without HTTP's machinery around them.

use serde_json::Value;
use vocabulary::{Date, Timestamp};

use super::problem::Problem;
use super::token::{ScimToken, Scope, Scopes};

/// What a client asks, its token already found good for it ([`needed_scope`]).
#[derive(Clone, Copy)]
pub struct ScimRequest<'a> {
    pub token: &'a ScimToken,
    pub method: &'a str,
    /// What follows [`BASE_PATH`](super::BASE_PATH), decoded.
    pub path: &'a str,
    /// As sent, without `?`.
    pub query: Option<&'a str>,
    pub if_match: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
    pub body: &'a [u8],
    /// `https://scim.gw.example`, for addresses in answers.
    pub origin: &'a str,
    pub now: Timestamp,
    /// The date in the gateway's time zone.
    pub today: Date,
}

/// Without body and query: people's data.
impl std::fmt::Debug for ScimRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScimRequest").field("token", &self.token).field("method", &self.method).finish_non_exhaustive()
    }
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScimAnswer {
    pub status: u16,
    pub body: Option<Value>,
    /// For `Location` and `Content-Location`.
    pub location: Option<String>,
    pub etag: Option<String>,
    pub allow: Option<&'static str>,
}

impl ScimAnswer {
    pub(crate) fn of(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), ..Self::default() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

impl From<&Problem> for ScimAnswer {
    fn from(problem: &Problem) -> Self {
        Self::of(problem.status, problem.body())
    }
}

/// What a token must be good for. Paths that don't exist need any token: only its holder learns that they don't.
pub fn needed_scope(method: &str, path: &str) -> Scopes {
    let reads = matches!(method, "GET" | "HEAD") || path.ends_with("/.search");
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match (first, reads) {
        ("Users", true) => Scope::UsersRead.into(),
        ("Users", false) => Scope::UsersWrite.into(),
        ("Groups", true) => Scope::GroupsRead.into(),
        ("Groups", false) => Scope::GroupsWrite.into(),
        (".search" | "Bulk", true) => Scopes::from(Scope::UsersRead).and(Scope::GroupsRead),
        ("Bulk", false) => Scopes::from(Scope::UsersWrite).and(Scope::GroupsWrite),
        _ => Scopes::NONE,
    }
}
