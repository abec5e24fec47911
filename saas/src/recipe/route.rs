//! Which of a recipe's rules a request may be, by method and path alone.

use std::sync::Arc;

use http::Method;
use smallvec::SmallVec;

use super::answer::Answers;
use super::document::BodyKind;
use super::fields::Selector;
use super::{Operation, RequestHead};
use crate::glob::Glob;

/// Requests of one kind.
pub(super) struct Rule {
    /// None: every method.
    pub(super) methods: Vec<Method>,
    pub(super) path: Glob,
    pub(super) conditions: Vec<Condition>,
    pub(super) kind: Kind,
    /// All that it asks for, beyond the path.
    pub(super) asks: Vec<Selector>,
}

pub(super) enum Kind {
    Login(Login),
    /// A further step of a login under way.
    Step(Arc<Answers>),
    Logout,
    Operation {
        operation: Arc<Operation>,
        subject: Option<(Box<str>, Selector)>,
    },
}

pub(super) struct Login {
    pub(super) body: Option<BodyKind>,
    pub(super) id: Vec<Selector>,
    pub(super) join: Box<str>,
    pub(super) account: Option<Selector>,
    pub(super) answers: Arc<Answers>,
}

/// Something that must hold of a value.
pub(super) struct Condition {
    pub(super) selector: Selector,
    /// One of these; none: anything, if it is there.
    pub(super) one_of: Vec<Box<str>>,
}

impl Rule {
    /// Whether it is told by something that may stand in a body.
    pub(super) fn is_told_by_body(&self) -> bool {
        self.conditions.iter().any(|condition| condition.selector.is_of_body())
    }

    /// Whether a body is needed to tell everything about the request. A parameter that stands both in the query and in a
    /// form is unclear, so the form is looked at for either.
    pub(super) fn asks_for_body(&self) -> bool {
        let by_query = |condition: &Condition| matches!(condition.selector, Selector::Query(_));
        self.asks.iter().any(|selector| selector.is_of_body()) || self.conditions.iter().any(by_query)
    }
}

/// A rule that a request may be.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'r> {
    pub(super) rule: &'r Rule,
    /// Not only as servers have it that tell neither capitals from small letters nor `/a/` from `/a`.
    pub(super) exact: bool,
}

/// In the rules' order.
pub(super) fn candidates<'r>(rules: &'r [Rule], head: &RequestHead<'_>) -> SmallVec<[Candidate<'r>; 8]> {
    rules
        .iter()
        .filter(|rule| rule.methods.is_empty() || rule.methods.contains(head.method))
        .filter(|rule| rule.path.may_match(head.path) && rule.path.matches_alike(head.path))
        .map(|rule| Candidate { rule, exact: rule.path.matches(head.path) })
        .collect()
}
