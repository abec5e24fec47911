//! From a request to an answer or a planned change: the protocol's endpoints (RFC 7644, 3.2).

use std::sync::Arc;

use serde_json::{Value, json};

use super::change::ScimChange;
use super::directory::{Resources, Scim};
use super::list::{self, Query};
use super::problem::Problem;
use super::request::{ScimAnswer, ScimRequest};
use super::resource::{Group, User};
use super::schema::{GROUPS, ResourceType, USERS};
use super::{ScimSettings, Writing, discovery, groups, render, users};
use crate::Roster;

/// What becomes of a request.
#[derive(Debug)]
pub enum Handled {
    Answer(ScimAnswer),
    /// To be recorded, then carried out.
    Change(Box<ScimChange>),
}

/// What stands still while one request is handled.
pub(super) struct Context<'a> {
    pub(super) request: &'a ScimRequest<'a>,
    pub(super) resources: &'a Resources,
    pub(super) roster: &'a Roster,
    pub(super) settings: &'a ScimSettings,
    projection: super::projection::Projection,
}

impl Scim {
    /// Answers a request, or plans the change it asks for. The change is worth something only while `_held` is.
    ///
    /// # Errors
    /// What the client did wrong.
    pub fn answer(
        &self,
        roster: &Roster,
        request: &ScimRequest<'_>,
        _held: Option<&Writing>,
    ) -> Result<Handled, Problem> {
        let Some(settings) = self.settings.load_full() else { return Err(Problem::not_found("address")) };
        // It was found good before the body came and before others' changes were waited for.
        if !request.token.is_live(request.now) {
            return Err(Problem::new(401, "the token is not good any more"));
        }
        let resources = self.resources.load();
        let projection = Default::default();
        let mut context = Context { request, resources: &resources, roster, settings: &settings, projection };
        let path = request.path.strip_suffix('/').unwrap_or(request.path);
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (&segments[..], request.method) {
            (["ServiceProviderConfig"], "GET") => found(context.discovery()?, discovery::config(request.origin)),
            (["ResourceTypes"], "GET") => {
                found(context.discovery()?, document_list(&discovery::resource_types(request.origin)))
            }
            (["Schemas"], "GET") => found(context.discovery()?, document_list(&discovery::schemas(request.origin))),
            (["ResourceTypes", id], "GET") => one(discovery::resource_types(request.origin), id, "resource type"),
            (["Schemas", id], "GET") => one(discovery::schemas(request.origin), id, "schema"),
            (["ServiceProviderConfig"] | ["ResourceTypes", ..] | ["Schemas", ..], _) => not_allowed("GET"),
            (["Me", ..], _) => Err(Problem::new(501, "a token is nobody, so there is no `/Me`")),
            (["Bulk"], _) => Err(Problem::new(501, "bulk operations are not served; send requests one by one")),
            ([".search"], "POST") => context.list(&[&USERS, &GROUPS], &Query::of_search(&body(request)?)?),
            (["Users", ".search"], "POST") => context.list(&[&USERS], &Query::of_search(&body(request)?)?),
            (["Groups", ".search"], "POST") => context.list(&[&GROUPS], &Query::of_search(&body(request)?)?),
            ([".search"] | [_, ".search"], _) => not_allowed("POST"),
            (["Users"], "GET") => context.list(&[&USERS], &Query::of_address(request.query)?),
            (["Groups"], "GET") => context.list(&[&GROUPS], &Query::of_address(request.query)?),
            (["Users"], "POST") => users::create(context.projecting()?, &body(request)?),
            (["Groups"], "POST") => groups::create(context.projecting()?, &body(request)?),
            (["Users" | "Groups"], _) => not_allowed("GET, POST"),
            (["Users", id], method) => context.on_user(method, id),
            (["Groups", id], method) => context.on_group(method, id),
            _ => Err(Problem::not_found("address")),
        }
    }
}

fn found(status: u16, body: Value) -> Result<Handled, Problem> {
    Ok(Handled::Answer(ScimAnswer::of(status, body)))
}

fn one(documents: Vec<Value>, id: &str, what: &str) -> Result<Handled, Problem> {
    let document = discovery::by_id(documents, id).ok_or_else(|| Problem::not_found(what))?;
    found(200, document)
}

fn document_list(documents: &[Value]) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": documents.len(), "startIndex": 1, "itemsPerPage": documents.len(), "Resources": documents,
    })
}

fn not_allowed(allow: &'static str) -> Result<Handled, Problem> {
    let problem = Problem::new(405, format!("only {allow} is served here"));
    Ok(Handled::Answer(ScimAnswer { allow: Some(allow), ..ScimAnswer::from(&problem) }))
}

/// The depth of what is read is bounded by `serde_json`, at 128.
fn body(request: &ScimRequest<'_>) -> Result<Value, Problem> {
    serde_json::from_slice(request.body).map_err(|error| {
        // Its own text may repeat what was sent.
        Problem::syntax(format!("the body is not JSON (line {}, column {})", error.line(), error.column()))
    })
}

impl Context<'_> {
    pub(super) fn provider(&self) -> &str {
        &self.request.token.provider
    }

    pub(super) fn user(&self, id: &str) -> Result<&Arc<User>, Problem> {
        self.resources.user(self.provider(), id).ok_or_else(|| Problem::not_found("user"))
    }

    pub(super) fn group(&self, id: &str) -> Result<&Arc<Group>, Problem> {
        self.resources.group(self.provider(), id).ok_or_else(|| Problem::not_found("group"))
    }

    /// Documents about ourselves can't be filtered (RFC 7644, 4).
    fn discovery(&self) -> Result<u16, Problem> {
        match Query::of_address(self.request.query)?.filter {
            Some(_) => Err(Problem::new(403, "these documents can't be filtered")),
            None => Ok(200),
        }
    }

    fn list(&self, kinds: &[&'static ResourceType], query: &Query) -> Result<Handled, Problem> {
        found(200, list::answer(self, kinds, query)?)
    }

    /// Answers show what `attributes` or `excludedAttributes` of the address ask for.
    fn projecting(&mut self) -> Result<&Self, Problem> {
        self.projection = Query::of_address(self.request.query)?.projection;
        Ok(self)
    }

    fn on_user(&mut self, method: &str, id: &str) -> Result<Handled, Problem> {
        self.projecting()?;
        match method {
            "GET" => {
                let shown = self.show_user(self.user(id)?, 200);
                Ok(self.unless_known(shown))
            }
            "PUT" | "PATCH" | "DELETE" => {
                self.expected(&self.show_user(self.user(id)?, 200))?;
                match method {
                    "PUT" => users::replace(self, id, &body(self.request)?),
                    "PATCH" => users::patch(self, id, &body(self.request)?),
                    _ => users::delete(self, id),
                }
            }
            _ => not_allowed("GET, PUT, PATCH, DELETE"),
        }
    }

    fn on_group(&mut self, method: &str, id: &str) -> Result<Handled, Problem> {
        self.projecting()?;
        match method {
            "GET" => {
                let shown = self.show_group(self.group(id)?, 200);
                Ok(self.unless_known(shown))
            }
            "PUT" | "PATCH" | "DELETE" => {
                self.expected(&self.show_group(self.group(id)?, 200))?;
                match method {
                    "PUT" => groups::replace(self, id, &body(self.request)?),
                    "PATCH" => groups::patch(self, id, &body(self.request)?),
                    _ => groups::delete(self, id),
                }
            }
            _ => not_allowed("GET, PUT, PATCH, DELETE"),
        }
    }

    pub(super) fn show_user(&self, user: &User, status: u16) -> ScimAnswer {
        self.show(&USERS, &user.id, users::show(self, user), status)
    }

    pub(super) fn show_group(&self, group: &Group, status: u16) -> ScimAnswer {
        self.show(&GROUPS, &group.id, groups::show(self, group), status)
    }

    fn show(
        &self,
        kind: &'static ResourceType,
        id: &str,
        resource: serde_json::Map<String, Value>,
        status: u16,
    ) -> ScimAnswer {
        let etag = resource.get("meta").and_then(|meta| meta["version"].as_str()).map(str::to_owned);
        ScimAnswer {
            status,
            body: Some(self.projection.apply(kind, resource).into()),
            location: Some(render::location(self.request.origin, kind, id)),
            etag,
            allow: None,
        }
    }

    /// `If-None-Match` names what the client has already (RFC 9110, 13.1.2).
    fn unless_known(&self, shown: ScimAnswer) -> Handled {
        let known = self.request.if_none_match.zip(shown.etag.as_deref()).is_some_and(|(held, now)| names(held, now));
        match known {
            true => Handled::Answer(ScimAnswer { etag: shown.etag, ..ScimAnswer::empty(304) }),
            false => Handled::Answer(shown),
        }
    }

    /// `If-Match` names the version the client means to change. RFC 7644, 3.14 compares weak ETags.
    fn expected(&self, shown: &ScimAnswer) -> Result<(), Problem> {
        match (self.request.if_match, shown.etag.as_deref()) {
            (Some(held), Some(now)) if !names(held, now) => {
                Err(Problem::new(412, "the resource has changed; read it again"))
            }
            _ => Ok(()),
        }
    }
}

fn names(header: &str, version: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    header.trim() == "*" || header.split(',').any(|tag| opaque(tag) == opaque(version))
}
