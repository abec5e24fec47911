//! Why a decision fell as it did, rule by rule. Slower than deciding and told in full; for people.

use std::fmt;

use serde::Serialize;
use vocabulary::{Reason, RuleName};

use crate::criteria::{Criterion, Effect, Seen};
use crate::decision::Decision;
use crate::document::{DeviceRequirement, From, RuleDocument};
use crate::facts::{BuiltIn, DeviceFact, Facts, Route};
use crate::ladder::Rung;
use crate::policy::Policy;

/// Permit or deny, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Permit,
    Deny,
}

/// A decision with all its grounds. It is no permit: nothing can be forwarded with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub decision: Verdict,
    pub reason: Reason,
    /// The rule that decided, or the allow rule that came closest.
    pub rule: Option<RuleName>,
    /// Which rung of the ladder decided.
    pub rung: Rung,
    /// Every rule in the document's order, also where a rung above the rules decided.
    pub rules: Vec<RuleFinding>,
}

/// What one rule has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFinding {
    pub rule: RuleName,
    pub effect: Effect,
    pub matched: bool,
    /// Empty if it matched.
    pub unmet: Vec<Unmet>,
}

/// A part of a rule that the request doesn't meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmet {
    pub criterion: Criterion,
    /// What the rule asks for.
    pub asks: String,
    /// What the request has instead.
    pub found: String,
}

impl Policy {
    /// Judges as [`Policy::decide`] does, and says why.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        let (rung, decision) = self.judge(facts);
        let rules = if self.made_handles_of(facts) { self.findings(facts) } else { Vec::new() };
        Explanation {
            decision: if decision.is_permit() { Verdict::Permit } else { Verdict::Deny },
            reason: decision.reason(),
            rule: match &decision {
                Decision::Permit(permit) => permit.rule().cloned(),
                Decision::Deny(denial) => denial.rule.clone(),
            },
            rung,
            rules,
        }
    }

    fn findings(&self, facts: &Facts<'_>) -> Vec<RuleFinding> {
        let app = match facts.route {
            Route::App(app) | Route::BuiltIn(BuiltIn::Ticket(app)) => Some(app.index),
            Route::BuiltIn(BuiltIn::Console) => self.console,
            Route::BuiltIn(BuiltIn::Login | BuiltIn::Enroll | BuiltIn::Scim(_) | BuiltIn::ProviderLogout)
            | Route::UnknownHost
            | Route::Misdirected => None,
        };
        let Some(set) = self.networks.sets().get(facts.network.set as usize) else { return Vec::new() };
        let seen = Seen { sure: &set.sure, unsure: &set.unsure, device: facts.device.about() };
        let explain = |rule: &crate::criteria::Rule, document| {
            let unmet = rule.unmet(facts, &seen, app, self.console);
            RuleFinding {
                rule: rule.name.clone(),
                effect: rule.effect,
                matched: unmet.is_empty(),
                unmet: unmet.iter().map(|criterion| self.unmet(criterion, document, facts, app)).collect(),
            }
        };
        self.parsed_rules().into_iter().zip(&self.documents).map(|(rule, document)| explain(rule, document)).collect()
    }

    fn unmet(&self, criterion: Criterion, rule: &RuleDocument, facts: &Facts<'_>, app: Option<u32>) -> Unmet {
        let person = facts.person;
        let (asks, found) = match criterion {
            Criterion::App => {
                let asks = if rule.apps.is_empty() { "every app but the console".to_owned() } else { list(&rule.apps) };
                let app = app.and_then(|app| self.names.apps.value(app));
                (asks, app.map_or_else(|| "no app".to_owned(), ToString::to_string))
            }
            Criterion::Who => {
                let who = rule.who.clone().unwrap_or_default();
                let mut asks = Vec::new();
                if !who.people.is_empty() {
                    asks.push(list(&who.people));
                }
                if !who.groups.is_empty() {
                    asks.push(format!("group {}", list(&who.groups)));
                }
                if !who.machines.is_empty() {
                    asks.push(format!("machine {}", list(&who.machines)));
                }
                if asks.is_empty() {
                    asks.push("somebody who is signed in".to_owned());
                }
                let found = match (facts.device, person) {
                    (DeviceFact::Machine { name, .. }, _) => format!("machine {name}"),
                    (_, Some(person)) => self.describe(person),
                    (_, None) => "nobody is signed in".to_owned(),
                };
                (asks.join(", or "), found)
            }
            Criterion::Factors => {
                let asks = rule.who.as_ref().and_then(|who| who.factors).unwrap_or(0);
                (count(asks, "factor"), factors(facts))
            }
            Criterion::SignedIn => {
                let within = rule.who.as_ref().and_then(|who| who.signed_in_within);
                let asks = within.map_or_else(|| "any sign-in".to_owned(), |w| format!("a sign-in within {w}"));
                let found = match person.map(|p| p.signed_in_ago) {
                    None => "nobody is signed in".to_owned(),
                    Some(u32::MAX) => "a sign-in of unknown age".to_owned(),
                    Some(ago) => format!("one {ago} seconds ago"),
                };
                (asks, found)
            }
            Criterion::Network => (place(rule.from.as_ref()), self.describe_network(facts)),
            Criterion::Device => (place(rule.from.as_ref()), device(facts.device)),
            Criterion::Time => {
                let when = rule.when.clone().unwrap_or_default();
                let dates = [("from", when.from_date), ("until", when.until_date)];
                let dates = dates.into_iter().filter_map(|(word, date)| date.map(|date| format!("{word} {date}")));
                let asks: Vec<String> = when.days.into_iter().chain(when.hours).chain(dates).collect();
                let (hour, minute) = (facts.local.minute / 60, facts.local.minute % 60);
                let day = format!("{:?}", facts.local.weekday()).to_lowercase();
                (asks.join(" "), format!("{} {} {hour:02}:{minute:02}", facts.local.date, &day[..3]))
            }
            Criterion::Method => (list(&rule.methods), facts.method.to_owned()),
            // The path itself is not told: a segment of it may be a token.
            Criterion::Path => (list(&rule.paths), "another path".to_owned()),
            Criterion::Action => (list(rule.allow.iter().chain(&rule.deny)), facts.action.to_string()),
        };
        Unmet { criterion, asks, found }
    }

    fn describe(&self, person: crate::facts::PersonFact<'_>) -> String {
        let groups: Vec<_> = person.groups.groups.iter().filter_map(|g| self.names.groups.value(*g)).collect();
        let id = person.id;
        if groups.is_empty() {
            format!("{id}, in no group that a rule names")
        } else {
            format!("{id}, in {}", list(groups))
        }
    }

    fn describe_network(&self, facts: &Facts<'_>) -> String {
        let (sure, unsure) = (self.networks.sure(facts.network), self.networks.unsure(facts.network));
        match (sure.is_empty(), unsure.is_empty()) {
            (true, true) => "no network of ours".to_owned(),
            (false, true) => list(sure),
            (true, false) => format!("perhaps {} (shared with others)", list(unsure)),
            (false, false) => format!("{}, perhaps {} (shared with others)", list(sure), list(unsure)),
        }
    }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn count(number: u8, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// How many there are and what they are made of: `1 factor (1 from the sign-in; a shared device counts for nobody)`.
fn factors(facts: &Facts<'_>) -> String {
    let counted = facts.factors();
    let device = match facts.device {
        _ if counted.device => "1 from their own device",
        DeviceFact::Enrolled { owner: None, .. } => "a shared device counts for nobody",
        DeviceFact::Enrolled { owner: Some(_), .. } => "another person's device counts for nobody",
        DeviceFact::Machine { .. } => "a machine's certificate counts for nobody",
        DeviceFact::None
        | DeviceFact::Expired
        | DeviceFact::Revoked
        | DeviceFact::Unknown
        | DeviceFact::OwnerOut(_) => "no device of their own",
    };
    match facts.person {
        Some(_) => format!("{} ({} from the sign-in; {device})", count(counted.total(), "factor"), counted.sign_in),
        None => count(0, "factor"),
    }
}

fn place(from: Option<&From>) -> String {
    let Some(from) = from else { return "anywhere".to_owned() };
    let mut parts = Vec::new();
    if !from.networks.is_empty() {
        parts.push(list(&from.networks));
    }
    match &from.device {
        Some(DeviceRequirement::Any(_)) => parts.push("an enrolled device".to_owned()),
        Some(DeviceRequirement::Of(of)) => {
            let mut asks = Vec::new();
            asks.extend(Some(of.kind.to_vec()).filter(|kinds| !kinds.is_empty()).map(|kinds| list(&kinds)));
            asks.extend(Some(of.os.to_vec()).filter(|oses| !oses.is_empty()).map(|oses| list(&oses)));
            asks.extend(of.not_seen_for.map(|span| format!("not seen for {span}")));
            parts.push(format!("an enrolled device ({})", asks.join("; ")));
        }
        None => {}
    }
    if let Some(not) = &from.not {
        parts.push(format!("not ({})", place(Some(not))));
    }
    parts.join(" and ")
}

fn device(device: DeviceFact<'_>) -> String {
    let what = match device {
        DeviceFact::None => "no certificate",
        DeviceFact::Expired => "an expired certificate",
        DeviceFact::Revoked => "a revoked certificate",
        DeviceFact::Unknown => "a certificate that is not in the inventory",
        DeviceFact::Enrolled { owner: Some(_), .. } => "an enrolled device",
        DeviceFact::Enrolled { owner: None, serves: true, .. } => "an enrolled shared device",
        DeviceFact::Enrolled { owner: None, serves: false, .. } => "an enrolled shared device of other groups",
        DeviceFact::Machine { .. } => "a machine's certificate",
        DeviceFact::OwnerOut(_) => "the device of somebody who may not come in today",
    };
    let Some(about) = device.about() else { return what.to_owned() };
    let os = about.os.map_or("system not known", vocabulary::Os::as_str);
    format!("{what} ({}; {os}; last let in {} seconds ago)", about.kind, about.unseen)
}

/// The decision on the first line, then a line for each rule.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = match self.decision {
            Verdict::Permit => "permit",
            Verdict::Deny => "deny",
        };
        write!(f, "{decision}: {} (decided at: {}", self.reason, self.rung)?;
        if let Some(rule) = &self.rule {
            let decided = matches!(self.reason, Reason::Rule | Reason::ActionDenied);
            write!(f, "; {} \"{rule}\"", if decided { "by rule" } else { "closest rule" })?;
        }
        writeln!(f, ")")?;
        for finding in &self.rules {
            write!(f, "  {} \"{}\": ", finding.effect, finding.rule)?;
            if finding.matched {
                writeln!(f, "matches")?;
                continue;
            }
            writeln!(f, "does not match")?;
            for unmet in &finding.unmet {
                writeln!(f, "    {}: asks for {}; found {}", unmet.criterion, unmet.asks, unmet.found)?;
            }
        }
        Ok(())
    }
}
