//! The ladder: in which order a request is judged. The first rung that has something to say decides.

use std::fmt;

use serde::Serialize;
use vocabulary::{Action, MachineName, Reason};

use crate::closest::Closest;
use crate::criteria::Criterion;
use crate::decision::{Decision, Denial, Permit};
use crate::facts::{BuiltIn, DeviceFact, Facts, MachineFact, PersonFact, Route, Standing, TokenFact};
use crate::index::Probe;
use crate::names::AppIndex;
use crate::policy::Policy;

/// A step of the ladder, top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// Can the record be written?
    Record,
    /// Does the clock stand where it may?
    Clock,
    /// Does the Host belong to an app, and to the one the TLS server name asked for?
    Route,
    /// Can the request be read in one way only?
    Ambiguity,
    /// Did a page of another site make it?
    CrossSite,
    /// Were the facts made with this policy?
    Handles,
    /// Is it a built-in page with a rule of its own?
    BuiltIn,
    /// Is it a CORS preflight?
    Preflight,
    /// Is the device's certificate revoked or not ours?
    Device,
    /// Is somebody signed in?
    SignIn,
    /// May this person work today, on this device?
    Person,
    /// Is it about the facility's own account at the SaaS?
    Account,
    /// What do the rules say?
    Rules,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "record",
            Self::Clock => "clock",
            Self::Route => "route",
            Self::Ambiguity => "ambiguity",
            Self::CrossSite => "cross-site",
            Self::Handles => "handles",
            Self::BuiltIn => "built-in",
            Self::Preflight => "preflight",
            Self::Device => "device",
            Self::SignIn => "sign-in",
            Self::Person => "person",
            Self::Account => "account",
            Self::Rules => "rules",
        })
    }
}

impl Policy {
    /// Judges a request.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        self.judge(facts).1
    }

    /// Judges once more, when the response's head shows what the request really did. `facts` are those that
    /// led to `permit`, save what has changed since; `action` takes the place of theirs.
    pub fn decide_response(&self, permit: &Permit, facts: &Facts<'_>, action: Action) -> Decision {
        let facts = Facts { action, ..*facts };
        // A permit for one app says nothing of another's response.
        if permit.app() != facts.route.app() {
            return Decision::Deny(Denial { reason: Reason::NoRule, rule: None });
        }
        self.decide(&facts)
    }

    pub(crate) fn judge(&self, facts: &Facts<'_>) -> (Rung, Decision) {
        // 1. Nothing passes that can't be recorded, or not under its right time.
        if !facts.record_ready {
            return deny(Rung::Record, Reason::RecordUnavailable);
        }
        if !facts.clock_ok {
            return deny(Rung::Clock, Reason::Clock);
        }

        // 2. Where it goes must be certain.
        match facts.route {
            Route::UnknownHost => return deny(Rung::Route, Reason::NoApp),
            Route::Misdirected => return deny(Rung::Route, Reason::Misdirected),
            Route::App(_) | Route::BuiltIn(_) => {}
        }
        if facts.ambiguous {
            return deny(Rung::Ambiguity, Reason::Ambiguous);
        }
        if facts.cross_site && matches!(facts.route, Route::App(_) | Route::BuiltIn(BuiltIn::Console)) {
            return deny(Rung::CrossSite, Reason::CrossSite);
        }
        if !self.made_handles_of(facts) {
            return deny(Rung::Handles, Reason::NoRule);
        }

        // 3. Built-in pages by rules of their own; the console takes the rest of the ladder like an app.
        let app = match facts.route {
            Route::BuiltIn(BuiltIn::Enroll) => return permit(Rung::BuiltIn, Reason::BuiltIn, None),
            Route::BuiltIn(BuiltIn::Login) => return self.judge_login(facts),
            // An identity provider's servers come from any network, without a device; what they say carries its own
            // proof, and no page is shown.
            Route::BuiltIn(BuiltIn::ProviderLogout) => return permit(Rung::BuiltIn, Reason::BuiltIn, None),
            Route::BuiltIn(BuiltIn::Ticket(app)) => return self.judge_ticket(app, facts),
            Route::BuiltIn(BuiltIn::Scim(machine)) => return judge_machine(machine, facts.device),
            Route::BuiltIn(BuiltIn::Console) => self.console,
            Route::App(app) => Some(app.index),
            Route::UnknownHost | Route::Misdirected => None,
        };
        let Some(app) = app else { return deny(Rung::Rules, Reason::NoRule) };

        // 4. A preflight carries no credentials, so nothing below could be asked of it.
        if facts.preflight && facts.method == "OPTIONS" && matches!(facts.route, Route::App(_)) {
            return permit(Rung::Preflight, Reason::Preflight, facts.route.app());
        }

        // 5. A revoked or foreign certificate.
        if let Some(reason) = refused_device(facts.device) {
            return deny(Rung::Device, reason);
        }

        // A program is who its certificate says: nobody signs in, and it has rules of its own.
        if let DeviceFact::Machine { name, .. } = facts.device {
            return match facts.wrong_account {
                true => deny(Rung::Account, Reason::WrongAccount),
                false => (Rung::Rules, self.judge_machine_by_rules(app, facts, name)),
            };
        }

        // 6. Nobody signed in: is there any use in signing in here and now?
        let Some(person) = facts.person else {
            if facts.static_ok && facts.method == "GET" && matches!(facts.route, Route::App(_)) {
                return permit(Rung::SignIn, Reason::Static, facts.route.app());
            }
            if self.could_allow_somebody(app, facts) {
                return deny(Rung::SignIn, Reason::SignInNeeded);
            }
            return (Rung::SignIn, self.refuse_arrival(Some(app), facts));
        };

        // 7. The person and the device in their hands.
        if let Some(reason) = refused_person(&person, facts.device) {
            return deny(Rung::Person, reason);
        }

        // No rule can allow what is another's: the records of another facility are not for the rules of this one.
        if facts.wrong_account {
            return deny(Rung::Account, Reason::WrongAccount);
        }

        // 8. The rules: deny wins, then allow, then nothing.
        (Rung::Rules, self.judge_by_rules(app, facts, &person))
    }

    fn judge_by_rules(&self, app: u32, facts: &Facts<'_>, person: &PersonFact<'_>) -> Decision {
        let denying = self.denies.request(&self.names, app, facts, person);
        let allowing = self.allows.request(&self.names, app, facts, person);
        self.held_against(facts, &denying, &allowing)
    }

    fn judge_machine_by_rules(&self, app: u32, facts: &Facts<'_>, machine: &MachineName) -> Decision {
        let denying = self.denies.machine_request(&self.names, app, facts, machine);
        let allowing = self.allows.machine_request(&self.names, app, facts, machine);
        self.held_against(facts, &denying, &allowing)
    }

    fn held_against(&self, facts: &Facts<'_>, denying: &Probe<'_>, allowing: &Probe<'_>) -> Decision {
        if let Some(rule) = self.denies.first(denying, |_| true) {
            return Decision::Deny(Denial { reason: Reason::ActionDenied, rule: Some(rule.name.clone()) });
        }
        if let Some(rule) = self.allows.first(allowing, |_| true) {
            return Decision::Permit(Permit::new(Reason::Rule, Some(rule.name.clone()), facts.route.app()));
        }
        Decision::Deny(denial_of(self.allows.closest(allowing), facts.device))
    }

    /// Sign-in and sign-out: for who is signed in, and for whom signing in could help with some app.
    fn judge_login(&self, facts: &Facts<'_>) -> (Rung, Decision) {
        match facts.device {
            // Who is invited may hold a certificate that was shut out: that may be why.
            DeviceFact::None | DeviceFact::Expired | DeviceFact::Revoked | DeviceFact::Unknown if facts.invited => {
                return permit(Rung::BuiltIn, Reason::BuiltIn, None);
            }
            // Nobody signs in on a program's certificate.
            DeviceFact::Machine { .. } => return deny(Rung::BuiltIn, Reason::NotForYou),
            _ => {}
        }
        if let Some(reason) = refused_device(facts.device) {
            return deny(Rung::Device, reason);
        }
        let apps = u32::try_from(self.names.apps.values().len()).unwrap_or(u32::MAX);
        if facts.person.is_some() || facts.invited || (0..apps).any(|app| self.could_allow_somebody(app, facts)) {
            return permit(Rung::BuiltIn, Reason::BuiltIn, None);
        }
        (Rung::BuiltIn, self.refuse_arrival(None, facts))
    }

    /// Where a ticket is redeemed nobody is signed in yet: it is open to whom signing in could help.
    fn judge_ticket(&self, app: AppIndex, facts: &Facts<'_>) -> (Rung, Decision) {
        if let Some(reason) = refused_device(facts.device) {
            return deny(Rung::Device, reason);
        }
        if self.could_allow_somebody(app.index, facts) {
            return permit(Rung::BuiltIn, Reason::Ticket, Some(app));
        }
        (Rung::BuiltIn, self.refuse_arrival(Some(app.index), facts))
    }

    /// Some allow rule of the app is met by this place and hour, and not all it allows is denied here to everybody.
    fn could_allow_somebody(&self, app: u32, facts: &Facts<'_>) -> bool {
        let denied = self.denies.denied_to_all(app, facts);
        let arrival = self.allows.arrival(Some(app), facts);
        self.allows.first(&arrival, |rule| rule.actions.iter().any(|action| !denied.contains(action))).is_some()
    }

    /// The refusal where signing in would not help: by place and hour alone.
    fn refuse_arrival(&self, app: Option<u32>, facts: &Facts<'_>) -> Decision {
        let closest = self.allows.closest(&self.allows.arrival(app, facts));
        if closest.is_some_and(|closest| closest.unmet.is_empty()) {
            let rule = self.denies.first_denied_to_all(app, facts).map(|rule| rule.name.clone());
            return Decision::Deny(Denial { reason: Reason::ActionDenied, rule });
        }
        Decision::Deny(denial_of(closest, facts.device))
    }
}

impl Route {
    /// The app that a permit for this route is for.
    fn app(self) -> Option<AppIndex> {
        match self {
            Self::App(app) | Self::BuiltIn(BuiltIn::Ticket(app)) => Some(app),
            Self::UnknownHost | Self::Misdirected | Self::BuiltIn(_) => None,
        }
    }
}

fn permit(rung: Rung, reason: Reason, app: Option<AppIndex>) -> (Rung, Decision) {
    (rung, Decision::Permit(Permit::new(reason, None, app)))
}

fn deny(rung: Rung, reason: Reason) -> (Rung, Decision) {
    (rung, Decision::Deny(Denial { reason, rule: None }))
}

/// A program: where it comes from, then its token. Who is signed in means nothing to it, and no rule is asked.
fn judge_machine(machine: MachineFact, device: DeviceFact<'_>) -> (Rung, Decision) {
    if let Some(reason) = refused_device(device) {
        return deny(Rung::Device, reason);
    }
    match machine {
        MachineFact { place: false, .. } => deny(Rung::BuiltIn, Reason::UnknownNetwork),
        MachineFact { token: TokenFact::None, .. } => deny(Rung::BuiltIn, Reason::TokenNeeded),
        MachineFact { token: TokenFact::Narrow, .. } => deny(Rung::BuiltIn, Reason::TokenScope),
        MachineFact { token: TokenFact::Good, .. } => permit(Rung::BuiltIn, Reason::BuiltIn, None),
    }
}

fn refused_device(device: DeviceFact<'_>) -> Option<Reason> {
    match device {
        DeviceFact::Revoked => Some(Reason::DeviceRevoked),
        DeviceFact::Unknown => Some(Reason::DeviceUnknown),
        DeviceFact::OwnerOut(standing) => refused_standing(standing),
        DeviceFact::None | DeviceFact::Expired | DeviceFact::Enrolled { .. } | DeviceFact::Machine { .. } => None,
    }
}

const fn refused_standing(standing: Standing) -> Option<Reason> {
    match standing {
        Standing::NotOnRoster => Some(Reason::NotOnRoster),
        Standing::NotYet => Some(Reason::StaffNotYet),
        Standing::Retired => Some(Reason::StaffRetired),
        Standing::Locked => Some(Reason::StaffLocked),
        Standing::Active => None,
    }
}

fn refused_person(person: &PersonFact<'_>, device: DeviceFact<'_>) -> Option<Reason> {
    if let Some(reason) = refused_standing(person.standing) {
        return Some(reason);
    }
    if let DeviceFact::Enrolled { owner, serves, .. } = device
        && (!serves || owner.is_some_and(|owner| owner != person.id))
    {
        return Some(Reason::DeviceNotYours);
    }
    (!person.session_matches_device).then_some(Reason::SessionElsewhere)
}

/// The reason of the rule that came closest: of what it lacks, the hardest to mend.
fn denial_of(closest: Option<Closest<'_>>, device: DeviceFact<'_>) -> Denial {
    let Some(Closest { rule, unmet }) = closest else { return Denial { reason: Reason::NoRule, rule: None } };
    let hardest = unmet.hardest().map(|position| Criterion::EASIEST_FIRST[position]);
    let reason = match hardest {
        None | Some(Criterion::App) => Reason::NoRule,
        Some(Criterion::Who) => Reason::NotForYou,
        Some(Criterion::Factors) => Reason::FactorsNeeded,
        Some(Criterion::SignedIn) => Reason::SignInStale,
        Some(Criterion::Network) => Reason::UnknownNetwork,
        Some(Criterion::Device) => match device {
            DeviceFact::Expired => Reason::DeviceExpired,
            // The rule wants no enrolled device here: getting one would not help.
            DeviceFact::Enrolled { .. } | DeviceFact::Machine { .. } => Reason::NoRule,
            DeviceFact::None | DeviceFact::Revoked | DeviceFact::Unknown | DeviceFact::OwnerOut(_) => {
                Reason::DeviceNeeded
            }
        },
        Some(Criterion::Time) => Reason::OutsideHours,
        Some(Criterion::Method | Criterion::Path) => Reason::PathNotAllowed,
        Some(Criterion::Action) => Reason::ActionNotAllowed,
    };
    Denial { reason, rule: Some(rule.name.clone()) }
}
