//! What is known of one SaaS, compiled: how a login to it looks on the wire, and what its screens are called.
//!
//! ```text
//! request ─→ route.rs ─→ values.rs ─────────────→ recognise.rs ─→ Recognised
//!            rules that   path, query, body, of     the first rule
//!            may match    which scan/ builds only   that holds
//!                         what a rule asks for
//! answer to a login ────────────────────────────→ answer.rs ────→ Answered
//! ```
//!
//! Bodies come from strangers and hold passwords. So a value that no rule asks for is passed over without being built,
//! no rule can ask for a password ([`secret`]), and nothing here shows a value in its `Debug`. What can't be read in one
//! way (a field twice, a charset unknown, a body too long) is *unclear*, and an unclear condition makes the action
//! `unknown`.
//!
//! Here is no input or output and no clock. Files are read by `config`; what is recorded is decided by the proxy.

mod answer;
mod charset;
mod compile;
pub mod document;
mod exchange;
mod fields;
mod recognise;
mod route;
mod scan;
mod secret;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use vocabulary::Action;

use crate::document::HostDocument;
use crate::method::OverrideSet;
use crate::request::ShapeSet;

pub use answer::{Answer, Answered, Attempt};
pub use document::{Confidence, Level, Output, RecipeDocument, Text};

pub(crate) use recognise::is_plain;

use answer::Answers;
use fields::Fields;
use route::Rule;

/// The most of a body that is looked at, in bytes.
pub const MOST_OF_BODY: usize = 64 * 1024;
/// The longest value that is taken from a request, in bytes.
pub(crate) const LONGEST_VALUE: usize = 256;

/// One SaaS, as far as it is known.
pub struct Recipe {
    id: Box<str>,
    title: Text,
    confidence: Confidence,
    upstream: Option<String>,
    hosts: Vec<HostDocument>,
    charset: &'static encoding_rs::Encoding,
    session_cookies: Vec<String>,
    idle: Option<Duration>,
    tolerate: ShapeSet,
    overrides: OverrideSet,
    /// Logins, then further steps, then logouts, then operations, each as written.
    rules: Vec<Rule>,
    fields: Fields,
    expired: Arc<Answers>,
    operations: Vec<Arc<Operation>>,
}

/// What people do with a SaaS, by one kind of request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Stands in the records.
    pub id: Arc<str>,
    pub name: Text,
    pub action: Action,
    /// It takes records out of the SaaS.
    pub output: Option<Output>,
}

/// A request without its body.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The one that the SaaS executes.
    pub method: &'a Method,
    /// [`crate::Shaped::path`].
    pub path: &'a str,
    /// What follows `?`, as it came.
    pub query: Option<&'a [u8]>,
    pub headers: &'a HeaderMap,
}

/// Without path, query and headers, which may carry secrets.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead").field("method", self.method).finish_non_exhaustive()
    }
}

/// What a request was found to be.
#[derive(Debug, Default)]
pub struct Recognised {
    pub operation: Option<Arc<Operation>>,
    /// What the recipe says that it does. None: it says nothing, so it is guessed. `Some(Unknown)`: the recipe tells such
    /// requests apart by something that can't be read here.
    pub action: Option<Action>,
    /// `<kind>/<id>`
    pub subject: Option<String>,
    /// It is a login, or goes on with one.
    pub login: Option<Attempt>,
    pub logout: bool,
    /// It logs in to another account than the facility's, or it can't be told to be the facility's.
    pub wrong_account: bool,
}

impl Recipe {
    /// The recipe's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn title(&self) -> &Text {
        &self.title
    }

    pub fn confidence(&self) -> &Confidence {
        &self.confidence
    }

    /// In the order written.
    pub fn operations(&self) -> &[Arc<Operation>] {
        &self.operations
    }

    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| &*operation.id == id).map(Arc::as_ref)
    }

    /// Whether logins to this SaaS can be told at all.
    pub fn knows_logins(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.kind, route::Kind::Login(_)))
    }

    /// Whether a login shows which of the SaaS's accounts is meant.
    pub fn tells_accounts(&self) -> bool {
        self.rules.iter().any(|rule| matches!(&rule.kind, route::Kind::Login(login) if login.account.is_some()))
    }

    /// Names of the cookies that stand for a login.
    pub fn session_cookies(&self) -> &[String] {
        &self.session_cookies
    }

    /// How long nothing may happen until the SaaS ends the session.
    pub fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// Whether this answer, to any request but a login, shows that the SaaS has ended the session.
    pub fn has_expired(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.expired.hold_by_head(status, headers)
    }

    /// Reads what the SaaS answers to a login that [`Self::recognise`] found.
    pub fn answer(&self, attempt: &Attempt) -> Answer {
        Answer::new(attempt)
    }

    pub(crate) fn upstream(&self) -> Option<&str> {
        self.upstream.as_deref()
    }

    pub(crate) fn hosts(&self) -> &[HostDocument] {
        &self.hosts
    }

    pub(crate) fn tolerate(&self) -> ShapeSet {
        self.tolerate
    }

    pub(crate) fn overrides(&self) -> OverrideSet {
        self.overrides
    }
}

/// Stands for `apps[].account` in an address.
pub(crate) const ACCOUNT: &str = "{account}";

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("id", &self.id).field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

/// Every recipe that apps may name.
#[derive(Clone, Debug, Default)]
pub struct RecipeSet(BTreeMap<String, Option<Arc<Recipe>>>);

impl RecipeSet {
    /// `recipe`: none if its document is wrong. Apps that name it are then not complained about as well.
    /// False if there is one of this name; it stays.
    pub fn insert(&mut self, id: &str, recipe: Option<Arc<Recipe>>) -> bool {
        if self.0.contains_key(id) {
            return false;
        }
        self.0.insert(id.to_owned(), recipe);
        true
    }

    /// None: there is none of this name. `Some(None)`: its document is wrong.
    pub fn get(&self, id: &str) -> Option<Option<&Arc<Recipe>>> {
        self.0.get(id).map(Option::as_ref)
    }

    /// In the order of their names.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Those whose documents are right, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Recipe>> {
        self.0.values().flatten()
    }
}
