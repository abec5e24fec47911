//! The two ends a decision can have.

use vocabulary::{Reason, RuleName};

use crate::names::AppIndex;

/// How a request was judged.
#[derive(Debug)]
#[must_use = "a request whose decision is dropped is neither forwarded nor refused"]
pub enum Decision {
    Permit(Permit),
    Deny(Denial),
}

impl Decision {
    /// Why, in either case.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Permit(permit) => permit.reason,
            Self::Deny(denial) => denial.reason,
        }
    }

    /// The rule that decided, or that came closest.
    pub fn rule(&self) -> Option<&RuleName> {
        match self {
            Self::Permit(permit) => permit.rule.as_ref(),
            Self::Deny(denial) => denial.rule.as_ref(),
        }
    }

    pub fn is_permit(&self) -> bool {
        matches!(self, Self::Permit(_))
    }
}

/// Leave to forward one request. Only a decision makes it; it can't be copied.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    reason: Reason,
    rule: Option<RuleName>,
    app: Option<AppIndex>,
}

impl Permit {
    pub(crate) const fn new(reason: Reason, rule: Option<RuleName>, app: Option<AppIndex>) -> Self {
        Self { reason, rule, app }
    }

    /// [`Reason::Rule`], or the built-in permit's own.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The allow rule, where one permitted it: the first that matched, in the document's order.
    pub fn rule(&self) -> Option<&RuleName> {
        self.rule.as_ref()
    }

    /// The app it holds for; none on our own hosts.
    pub fn app(&self) -> Option<AppIndex> {
        self.app
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub reason: Reason,
    /// The deny rule that matched, or the allow rule that came closest.
    pub rule: Option<RuleName>,
}
