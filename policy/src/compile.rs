//! From rules as written to rules parsed: every mistake is found, each with its place.

use std::collections::HashMap;

use vocabulary::{AppId, DocumentError, GroupName, NetworkName, PathStep};

use crate::criteria::{
    DeviceNeed, Effect, Glob, KNOWN_METHODS, Named, Place, Rule, Schedule, Window, fresh_seconds, method_problem,
    parse_date, parse_days, parse_hours, within_problem,
};
use crate::document::{DeviceDocument, DeviceRequirement, From, NetworkDocument, RuleDocument, When, Who};
use crate::index::MOST_FACTORS;
use crate::names::Names;
use crate::networks::NetworkTable;

/// What rules may name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Every app, the console included (as `console`) if it is to be reached.
    pub apps: Vec<AppId>,
    pub networks: Vec<(NetworkName, NetworkDocument)>,
    /// The groups that exist; `None` if that isn't known, and then any may be named.
    pub groups: Option<Vec<GroupName>>,
}

/// Everything a policy is made of.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    pub(crate) rules: Vec<Rule>,
    pub(crate) names: Names,
    pub(crate) networks: NetworkTable,
}

pub(crate) fn compile(documents: &[RuleDocument], catalog: &Catalog) -> Result<Compiled, Vec<DocumentError>> {
    let (networks, mut errors) = match NetworkTable::compile(&catalog.networks) {
        Ok(networks) => (networks, Vec::new()),
        Err(errors) => (NetworkTable::default(), errors),
    };
    let mut names = Names::default();
    for app in &catalog.apps {
        names.apps.intern(app);
    }
    let network_numbers = (0..).zip(&catalog.networks).map(|(number, (name, _))| (name, number)).collect();
    let mut compiler = Compiler { catalog, names, network_numbers, errors: Vec::new(), first_named: HashMap::new() };
    let rules = documents.iter().enumerate().map(|(position, document)| compiler.rule(position, document)).collect();
    errors.append(&mut compiler.errors);
    if errors.is_empty() { Ok(Compiled { rules, names: compiler.names, networks }) } else { Err(errors) }
}

struct Compiler<'c> {
    catalog: &'c Catalog,
    names: Names,
    network_numbers: HashMap<&'c NetworkName, u32>,
    errors: Vec<DocumentError>,
    /// Where a rule's name was written first.
    first_named: HashMap<&'c str, usize>,
}

/// A place in the document, on the way down.
#[derive(Clone)]
struct At(Vec<PathStep>);

impl At {
    fn rule(position: usize) -> Self {
        Self(vec!["policy".into(), position.into()])
    }

    fn step(&self, step: impl Into<PathStep>) -> Self {
        Self(self.0.iter().cloned().chain([step.into()]).collect())
    }
}

impl<'c> Compiler<'c> {
    /// What is wrong is noted; the rule that comes back then is only a stand-in.
    fn rule(&mut self, position: usize, document: &'c RuleDocument) -> Rule {
        let at = At::rule(position);
        if let Some(first) = self.first_named.insert(document.name.as_str(), position) {
            self.first_named.insert(document.name.as_str(), first);
            let problem = format!("is the name of policy[{first}] too; records name rules, so each needs its own");
            self.wrong(at.step("name"), document.name.as_str(), problem);
        }
        let (effect, actions) = match (document.allow.is_empty(), document.deny.is_empty()) {
            (false, true) => (Effect::Allow, &document.allow),
            (true, false) => (Effect::Deny, &document.deny),
            (true, true) => {
                self.wrong(at.clone(), document.name.as_str(), "says neither `allow` nor `deny`; write one of them");
                (Effect::Deny, &document.deny)
            }
            (false, false) => {
                let problem = "stands beside `allow`; write two rules, one for each";
                self.wrong(at.step("deny"), document.name.as_str(), problem);
                (Effect::Deny, &document.deny)
            }
        };
        let apps: Box<[u32]> =
            (0..).zip(&document.apps).filter_map(|(n, app)| self.app(&at.step("apps").step(n), app)).collect();
        Rule {
            name: document.name.clone(),
            position,
            effect,
            actions: actions.iter().copied().collect(),
            apps: (!document.apps.is_empty()).then_some(apps),
            who: document.who.as_ref().and_then(|who| self.who(&at.step("who"), who)),
            factors: document.who.as_ref().map_or(0, |who| self.factors(&at.step("who"), who, effect)),
            signed_in_within: document.who.as_ref().and_then(|who| self.fresh(&at.step("who"), who, effect)),
            from: document.from.as_ref().map(|from| self.from(&at.step("from"), from)),
            when: document.when.as_ref().map(|when| self.when(&at.step("when"), when)),
            methods: self.methods(&at.step("methods"), &document.methods),
            paths: self.paths(&at.step("paths"), &document.paths),
        }
    }

    fn app(&mut self, at: &At, app: &AppId) -> Option<u32> {
        let number = self.names.apps.number(app);
        if number.is_none() {
            let known = self.catalog.apps.iter().map(ToString::to_string);
            self.wrong_among(at, app.as_str(), "is not an app", known);
        }
        number
    }

    fn who(&mut self, at: &At, who: &Who) -> Option<Named> {
        if *who == Who::default() {
            self.wrong(at.clone(), "", "names nobody; leave it out to mean everybody who is signed in");
        }
        for (n, group) in who.groups.iter().enumerate() {
            if let Some(known) = &self.catalog.groups
                && !known.contains(group)
            {
                let at = at.step("groups").step(n);
                self.wrong_among(&at, group.as_str(), "is not a group", known.iter().map(ToString::to_string));
            }
        }
        if !who.machines.is_empty() && (who.factors.is_some() || who.signed_in_within.is_some()) {
            let problem = "can't stand beside `factors` or `signed_in_within`, which a program can't have; write a rule of its own";
            self.wrong(at.step("machines"), who.machines[0].as_str(), problem);
        }
        if who.people.is_empty() && who.groups.is_empty() && who.machines.is_empty() {
            return None;
        }
        for machine in &who.machines {
            self.names.machines.intern(machine);
        }
        for person in &who.people {
            self.names.people.intern(person);
        }
        let groups = who.groups.iter().map(|group| self.names.groups.intern(group)).collect();
        Some(Named { people: who.people.clone().into(), groups, machines: who.machines.clone().into() })
    }

    fn factors(&mut self, at: &At, who: &Who, effect: Effect) -> u8 {
        let Some(factors) = who.factors else { return 0 };
        let at = at.step("factors");
        if !(1..=MOST_FACTORS).contains(&factors) {
            self.wrong(at, factors.to_string(), "is not a number of factors; write 1, 2 or 3");
        } else if effect == Effect::Deny {
            // "Deny who has two factors" is never meant, and "deny who has fewer" is what an allow rule's does.
            let problem = "can't stand in a deny rule; ask for factors in the allow rules";
            self.wrong(at, factors.to_string(), problem);
        }
        factors.min(MOST_FACTORS)
    }

    fn fresh(&mut self, at: &At, who: &Who, effect: Effect) -> Option<u32> {
        let within = who.signed_in_within?;
        let at = at.step("signed_in_within");
        if let Some(problem) = within_problem(within) {
            self.wrong(at, within.to_string(), problem);
        } else if effect == Effect::Deny {
            let problem = "can't stand in a deny rule; ask for a recent sign-in in the allow rules";
            self.wrong(at, within.to_string(), problem);
        }
        Some(fresh_seconds(within))
    }

    fn from(&mut self, at: &At, from: &From) -> Place {
        if *from == From::default() {
            self.wrong(at.clone(), "", "names no place; write `networks`, `device` or `not`, or leave it out");
        }
        let mut networks = Vec::new();
        for (n, name) in from.networks.iter().enumerate() {
            if let Some(number) = self.network_numbers.get(name) {
                networks.push(*number);
            } else {
                let known = self.catalog.networks.iter().map(|(known, _)| known.to_string());
                self.wrong_among(&at.step("networks").step(n), name.as_str(), "is not a network", known);
            }
        }
        networks.sort_unstable();
        networks.dedup();
        Place {
            networks: networks.into(),
            device: from.device.as_ref().map(|device| self.device(&at.step("device"), device)),
            not: from.not.as_ref().map(|not| Box::new(self.from(&at.step("not"), not))),
        }
    }

    fn device(&mut self, at: &At, device: &DeviceRequirement) -> DeviceNeed {
        let DeviceRequirement::Of(document) = device else { return DeviceNeed::default() };
        if *document == DeviceDocument::default() {
            self.wrong(at.clone(), "", "asks for nothing; write `enrolled` to mean any enrolled device");
        }
        let not_seen_for = document.not_seen_for.map_or(0, |span| {
            let seconds = u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX);
            // A device's times are kept to the minute.
            if seconds < 3_600 {
                self.wrong(at.step("not-seen-for"), span.to_string(), "is under an hour; write 30d or so");
            }
            seconds
        });
        DeviceNeed { kinds: document.kind.to_vec().into(), oses: document.os.to_vec().into(), not_seen_for }
    }

    fn when(&mut self, at: &At, when: &When) -> Schedule {
        if *when == When::default() {
            self.wrong(at.clone(), "", "names no time; leave it out to mean always");
        }
        let days = when.days.as_ref().map(|text| {
            parse_days(text).unwrap_or_else(|| {
                self.wrong(at.step("days"), text, "is not a list of days; write mon-fri, mon,wed,fri or sat-mon");
                0
            })
        });
        let windows = when.hours.as_ref().map(|text| {
            parse_hours(text).unwrap_or_else(|| {
                let problem = "is not a list of hours; write 06:00-22:00, 22:00-05:00 (to the next day) or \
                               08:30-12:00,13:00-17:30, and 00:00-24:00 for the whole day";
                self.wrong(at.step("hours"), text, problem);
                Box::default()
            })
        });
        let mut date = |key: &str, text: &Option<String>| {
            let text = text.as_ref()?;
            let date = parse_date(text);
            if date.is_none() {
                self.wrong(at.step(key), text, "is not a date; write 2026-11-01");
            }
            date
        };
        let (from, until) = (date("from_date", &when.from_date), date("until_date", &when.until_date));
        if let (Some(from), Some(until)) = (from, until)
            && until < from
        {
            self.wrong(at.step("until_date"), until.to_string(), format!("lies before `from_date` {from}"));
        }
        Schedule {
            days: days.unwrap_or(Schedule::EVERY_DAY),
            windows: windows.unwrap_or_else(|| [Window::WHOLE_DAY].into()),
            from,
            until,
        }
    }

    fn methods(&mut self, at: &At, methods: &[String]) -> Box<[String]> {
        for (n, method) in methods.iter().enumerate() {
            match method_problem(method) {
                Some(problem) => {
                    self.wrong_among(&at.step(n), method, problem, KNOWN_METHODS.iter().map(ToString::to_string));
                }
                None => {
                    self.names.methods.intern(method);
                }
            }
        }
        methods.into()
    }

    fn paths(&mut self, at: &At, paths: &[String]) -> Box<[Glob]> {
        let mut globs = Vec::new();
        for (n, pattern) in paths.iter().enumerate() {
            match Glob::parse(pattern) {
                Ok(glob) => globs.push(glob),
                Err(problem) => self.wrong(at.step(n), pattern, problem),
            }
        }
        globs.into()
    }

    fn wrong(&mut self, at: At, value: impl Into<String>, problem: impl Into<String>) {
        self.errors.push(DocumentError::new(at.0, value, problem));
    }

    fn wrong_among(&mut self, at: &At, value: &str, problem: &str, known: impl Iterator<Item = String>) {
        self.errors.push(DocumentError::new(at.0.clone(), value, problem).candidates(known));
    }
}
