//! What each part of a rule means, one file for each part that needs more than a comparison.
//!
//! This is the plain reading of one rule against one request. `index.rs` answers the same for all rules at once,
//! and must agree.

mod device;
mod fresh;
mod method;
mod path;
mod place;
mod schedule;

use std::fmt;

use serde::Serialize;
use vocabulary::{ActionSet, MachineName, PersonId, RuleName};

pub(crate) use device::{DeviceClasses, DeviceNeed};
pub(crate) use fresh::{seconds as fresh_seconds, within_problem};
pub(crate) use method::{KNOWN as KNOWN_METHODS, method_problem};
pub(crate) use path::Glob;
pub(crate) use place::{Place, Seen};
pub(crate) use schedule::{Schedule, Window, parse_date, parse_days, parse_hours};

use crate::facts::{DeviceFact, Facts, PersonFact};

/// What a rule does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Allow,
    Deny,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// One part of a rule that a request may fail to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Criterion {
    App = 0,
    Who = 1,
    Factors = 2,
    Network = 3,
    Device = 4,
    Time = 5,
    Method = 6,
    Path = 7,
    Action = 8,
    SignedIn = 9,
}

impl Criterion {
    pub const ALL: [Self; 10] = [
        Self::App,
        Self::Who,
        Self::Factors,
        Self::Network,
        Self::Device,
        Self::Time,
        Self::Method,
        Self::Path,
        Self::Action,
        Self::SignedIn,
    ];

    /// From what a person can mend at once to what only the operator can. Of several unmet criteria the last one
    /// is told, since mending the others would not help.
    pub(crate) const EASIEST_FIRST: [Self; 10] = [
        Self::SignedIn,
        Self::Factors,
        Self::Device,
        Self::Network,
        Self::Time,
        Self::Action,
        Self::Method,
        Self::Path,
        Self::Who,
        Self::App,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Who => "who",
            Self::Factors => "factors",
            Self::Network => "network",
            Self::Device => "device",
            Self::Time => "time",
            Self::Method => "method",
            Self::Path => "path",
            Self::Action => "action",
            Self::SignedIn => "signed-in",
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of criteria, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Criteria(u16);

impl Criteria {
    #[must_use]
    pub(crate) const fn with_if(self, criterion: Criterion, unmet: bool) -> Self {
        Self(self.0 | ((unmet as u16) << criterion as u8))
    }

    pub(crate) const fn contains(self, criterion: Criterion) -> bool {
        self.0 & (1 << criterion as u8) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// How hard the hardest of them is to mend, as a position in [`Criterion::EASIEST_FIRST`].
    pub(crate) fn hardest(self) -> Option<usize> {
        Criterion::EASIEST_FIRST.iter().rposition(|c| self.contains(*c))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Criterion> {
        Criterion::ALL.into_iter().filter(move |c| self.contains(*c))
    }
}

/// A rule, parsed: every name is a number of [`crate::names::Names`].
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: RuleName,
    /// Where it stands among all rules as written.
    pub(crate) position: usize,
    pub(crate) effect: Effect,
    pub(crate) actions: ActionSet,
    /// `None`: every app it may reach.
    pub(crate) apps: Option<Box<[u32]>>,
    pub(crate) who: Option<Named>,
    /// 0 asks for none.
    pub(crate) factors: u8,
    /// Seconds; `None` asks for nothing.
    pub(crate) signed_in_within: Option<u32>,
    pub(crate) from: Option<Place>,
    pub(crate) when: Option<Schedule>,
    pub(crate) methods: Box<[String]>,
    pub(crate) paths: Box<[Glob]>,
}

/// The people a rule names, themselves or by a group.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) people: Box<[PersonId]>,
    pub(crate) groups: Box<[u32]>,
    pub(crate) machines: Box<[MachineName]>,
}

impl Rule {
    /// Denies for everybody and everything behind an app, so that nobody needs to be known to see it.
    pub(crate) fn is_blanket(&self) -> bool {
        self.effect == Effect::Deny && self.who.is_none() && self.methods.is_empty() && self.paths.is_empty()
    }

    pub(crate) fn is_about_app(&self, app: u32, console: Option<u32>) -> bool {
        match &self.apps {
            Some(apps) => apps.contains(&app),
            // The console is ours, not a SaaS: "every app" must not open it by accident.
            None => self.effect == Effect::Deny || console != Some(app),
        }
    }

    pub(crate) fn names(&self, person: &PersonFact<'_>) -> bool {
        match &self.who {
            None => true,
            Some(named) => {
                named.people.contains(person.id) || named.groups.iter().any(|g| person.groups.groups.contains(g))
            }
        }
    }

    /// A rule that allows names machines one by one; one that denies to all denies to them too.
    pub(crate) fn names_machine(&self, machine: &MachineName) -> bool {
        match &self.who {
            None => self.effect == Effect::Deny,
            Some(named) => named.machines.contains(machine),
        }
    }

    /// About nobody who signs in.
    pub(crate) fn is_for_machines_alone(&self) -> bool {
        let of_people = |named: &Named| !named.people.is_empty() || !named.groups.is_empty();
        self.who.as_ref().is_some_and(|named| !of_people(named))
    }

    pub(crate) fn takes_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|m| method::matches(m, method, self.effect))
    }

    pub(crate) fn takes_path(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|glob| glob.matches(path, self.effect))
    }

    fn is_about(&self, facts: &Facts<'_>) -> bool {
        match facts.device {
            DeviceFact::Machine { name, .. } => self.names_machine(name),
            _ => facts.person.is_some_and(|person| self.names(&person)),
        }
    }

    /// What keeps the rule from matching. Nobody signed in meets no `who`.
    pub(crate) fn unmet(&self, facts: &Facts<'_>, seen: &Seen<'_>, app: Option<u32>, console: Option<u32>) -> Criteria {
        let (network, device) = self.from.as_ref().map_or((false, false), |from| from.unmet(seen, self.effect));
        Criteria::default()
            .with_if(Criterion::App, !app.is_some_and(|app| self.is_about_app(app, console)))
            .with_if(Criterion::Who, !self.is_about(facts))
            .with_if(Criterion::Factors, self.factors > facts.factors().total())
            .with_if(Criterion::Network, network)
            .with_if(Criterion::Device, device)
            .with_if(Criterion::Time, self.when.as_ref().is_some_and(|when| !when.holds(facts.local)))
            .with_if(Criterion::Method, !self.takes_method(facts.method))
            .with_if(Criterion::Path, !self.takes_path(facts.path))
            .with_if(Criterion::Action, !self.actions.contains(facts.action))
            .with_if(Criterion::SignedIn, !fresh::is_met(self.signed_in_within, signed_in_ago(facts)))
    }
}

/// A machine never did.
fn signed_in_ago(facts: &Facts<'_>) -> Option<u32> {
    let machine = matches!(facts.device, DeviceFact::Machine { .. });
    facts.person.filter(|_| !machine).map(|person| person.signed_in_ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hardest_of_several_criteria_is_the_one_told() {
        let unmet = Criteria::default().with_if(Criterion::Factors, true).with_if(Criterion::Who, true);
        assert_eq!(unmet.hardest().map(|p| Criterion::EASIEST_FIRST[p]), Some(Criterion::Who));
        assert_eq!(unmet.len(), 2);
        assert_eq!(unmet.iter().collect::<Vec<_>>(), [Criterion::Who, Criterion::Factors]);
        assert_eq!(Criteria::default().hardest(), None);
    }

    #[test]
    fn every_criterion_has_its_place_in_both_orders() {
        for criterion in Criterion::ALL {
            assert!(Criterion::EASIEST_FIRST.contains(&criterion));
            assert_eq!(serde_json::to_value(criterion).unwrap(), criterion.as_str());
        }
    }
}
