//! A compiled policy: what it knows, and the handles it gives out.

use std::fmt;

use vocabulary::{AppId, DocumentError, GroupName, RuleName};

use crate::compile::{Catalog, Compiled, compile};
use crate::criteria::{Effect, Rule};
use crate::document::RuleDocument;
use crate::facts::Facts;
use crate::index::Index;
use crate::names::{AppIndex, GroupSet, Names};
use crate::networks::NetworkTable;

/// The app id under which rules name the console.
const CONSOLE: &str = "console";

/// All rules of a configuration, ready to judge requests. It never changes: a reload makes another.
pub struct Policy {
    pub(crate) allows: Index,
    pub(crate) denies: Index,
    pub(crate) names: Names,
    pub(crate) networks: NetworkTable,
    pub(crate) console: Option<u32>,
    /// As written, for explanations.
    pub(crate) documents: Vec<RuleDocument>,
    app_stamp: u32,
    group_stamp: u32,
}

impl Policy {
    /// Compiles `rules` against the apps, networks and groups of `catalog`.
    ///
    /// # Errors
    /// Everything that is wrong with the rules and the networks, at paths from the configuration's root
    /// (`policy[3].apps[0]`, `networks.home.cidrs[1]`), with the candidates for a name that isn't known.
    pub fn compile(rules: &[RuleDocument], catalog: &Catalog) -> Result<Self, Vec<DocumentError>> {
        compile(rules, catalog).map(|compiled| Self::assemble(compiled, rules.to_vec()))
    }

    /// No policy at all: it knows no app and denies everything but what the ladder permits without a rule.
    pub fn denying() -> Self {
        Self::assemble(Compiled::default(), Vec::new())
    }

    fn assemble(compiled: Compiled, documents: Vec<RuleDocument>) -> Self {
        let Compiled { rules, names, networks } = compiled;
        let console = names.apps.values().iter().position(|app| app.as_str() == CONSOLE);
        let console = console.and_then(|app| u32::try_from(app).ok());
        let (allows, denies) = rules.into_iter().partition(|rule| rule.effect == Effect::Allow);
        Self {
            allows: Index::build(Effect::Allow, allows, &names, &networks, console),
            denies: Index::build(Effect::Deny, denies, &names, &networks, console),
            app_stamp: names.apps.stamp(),
            group_stamp: names.groups.stamp(),
            names,
            networks,
            console,
            documents,
        }
    }

    pub fn networks(&self) -> &NetworkTable {
        &self.networks
    }

    /// The handle for a person's groups. Worth keeping per person as long as the policy stays.
    pub fn groups<'n>(&self, names: impl Iterator<Item = &'n GroupName>) -> GroupSet {
        let mut groups: Vec<u32> = names.filter_map(|name| self.names.groups.number(name)).collect();
        groups.sort_unstable();
        groups.dedup();
        GroupSet { groups: groups.into(), stamp: self.group_stamp }
    }

    /// The handle for an app of the catalog.
    pub fn app(&self, id: &AppId) -> Option<AppIndex> {
        self.names.apps.number(id).map(|index| AppIndex { index, stamp: self.app_stamp })
    }

    /// The app a handle of this policy stands for.
    pub fn app_id(&self, app: AppIndex) -> Option<&AppId> {
        if app.stamp == self.app_stamp { self.names.apps.value(app.index) } else { None }
    }

    /// The rules as written, in the document's order.
    pub fn rules(&self) -> &[RuleDocument] {
        &self.documents
    }

    /// How many seconds ago the person may have signed in at most, for this rule; `None` if it doesn't ask.
    pub fn signed_in_within(&self, rule: &RuleName) -> Option<u32> {
        let rules = self.allows.rules.iter().chain(&self.denies.rules);
        rules.filter(|known| known.name == *rule).find_map(|known| known.signed_in_within)
    }

    /// Whether the handles in `facts` are this policy's own. A number of another policy may name another app,
    /// network or group here.
    pub(crate) fn made_handles_of(&self, facts: &Facts<'_>) -> bool {
        use crate::facts::{BuiltIn, Route};
        let app = match facts.route {
            Route::App(app) | Route::BuiltIn(BuiltIn::Ticket(app)) => app.stamp == self.app_stamp,
            Route::UnknownHost | Route::Misdirected | Route::BuiltIn(_) => true,
        };
        app && self.networks.made(facts.network) && facts.person.is_none_or(|p| p.groups.stamp == self.group_stamp)
    }

    /// All rules, parsed, in the document's order.
    pub(crate) fn parsed_rules(&self) -> Vec<&Rule> {
        let mut rules: Vec<&Rule> = self.allows.rules.iter().chain(&self.denies.rules).collect();
        rules.sort_unstable_by_key(|rule| rule.position);
        rules
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("rules", &self.documents.len())
            .field("apps", &self.names.apps.values().len())
            .field("networks", &self.networks.names().len())
            .finish_non_exhaustive()
    }
}
