//! All rules of one effect at once: a row of bits for each value of each dimension, joined word by word.
//!
//! A row says which rules a value satisfies. What no row can say (dates, and paths behind their fixed
//! beginning) is asked of the few rules that are left. The plain reading of one rule is in `criteria/`.

use std::collections::HashMap;

use vocabulary::{Action, ActionSet, LocalTime, MachineName};

use crate::bits::{Row, RowTable, Rows, WORD, clear, ones, set, words_for};
use crate::criteria::{DeviceClasses, Effect, Place, Rule, Seen};
use crate::facts::{Facts, PersonFact};
use crate::names::Names;
use crate::networks::NetworkTable;
use crate::paths::PathIndex;
use crate::times::TimeIndex;

/// Factors beyond this count as this many; a rule can't ask for more.
pub(crate) const MOST_FACTORS: u8 = 3;

/// The allow rules, or the deny rules, of a policy.
#[derive(Debug)]
pub(crate) struct Index {
    effect: Effect,
    pub(crate) rules: Vec<Rule>,
    words: usize,
    all: Row,
    apps: Rows,
    everybody: Row,
    people: Rows,
    /// Rules that a machine meets without being named.
    every_machine: Row,
    machines: Rows,
    /// Rules about people.
    human: Row,
    groups: Rows,
    factors: Rows,
    /// The times within which rules want people to have signed in, shortest first; a row for each, and a last one for
    /// who signed in longer ago than any.
    within: Vec<u32>,
    fresh: Rows,
    devices_told_apart: DeviceClasses,
    /// For each set of networks and each class of device: which row of `networks` and of `devices`.
    places: Places,
    networks: Rows,
    devices: Rows,
    /// One row for each method that a rule names, and a last one for every other.
    methods: Rows,
    paths: PathIndex,
    times: TimeIndex,
    actions: Rows,
    blanket: Row,
}

/// By set of networks, then by class of device: numbers of rows.
type Places = Vec<Box<[(u32, u32)]>>;

/// One request's row in every dimension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'p> {
    pub(crate) app: &'p [u64],
    pub(crate) who: WhoRows<'p>,
    pub(crate) factors: &'p [u64],
    pub(crate) fresh: &'p [u64],
    pub(crate) network: &'p [u64],
    pub(crate) device: &'p [u64],
    pub(crate) time: &'p [u64],
    pub(crate) method: &'p [u64],
    pub(crate) path: &'p [u64],
    pub(crate) action: &'p [u64],
    /// To be matched exactly where the row leaves a rule possible; `None`: paths don't count.
    pub(crate) exact_path: Option<&'p str>,
    pub(crate) local: LocalTime,
}

/// Rules that name nobody, that name the person, and that name one of the person's groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WhoRows<'p> {
    named: [&'p [u64]; 2],
    groups: &'p Rows,
    member_of: &'p [u32],
}

impl WhoRows<'_> {
    pub(crate) fn word(&self, word: usize) -> u64 {
        let named = self.named[0][word] | self.named[1][word];
        self.member_of.iter().fold(named, |bits, group| bits | self.groups.row(*group as usize)[word])
    }
}

impl Index {
    pub(crate) fn build(
        effect: Effect,
        rules: Vec<Rule>,
        names: &Names,
        networks: &NetworkTable,
        console: Option<u32>,
    ) -> Self {
        let count = rules.len();
        let mut all = clear(count);
        let mut everybody = clear(count);
        let mut every_machine = clear(count);
        let mut machines = Rows::new(names.machines.values().len(), count);
        let mut human = clear(count);
        let mut blanket = clear(count);
        let mut apps = Rows::new(names.apps.values().len(), count);
        let mut people = Rows::new(names.people.values().len(), count);
        let mut groups = Rows::new(names.groups.values().len(), count);
        let mut factors = Rows::new(usize::from(MOST_FACTORS) + 1, count);
        let mut within: Vec<u32> = rules.iter().filter_map(|rule| rule.signed_in_within).collect();
        within.sort_unstable();
        within.dedup();
        let mut fresh = Rows::new(within.len() + 1, count);
        let mut methods = Rows::new(names.methods.values().len() + 1, count);
        let mut actions = Rows::new(Action::ALL.len(), count);
        for (position, rule) in rules.iter().enumerate() {
            set(&mut all, position);
            if rule.is_blanket() {
                set(&mut blanket, position);
            }
            match &rule.who {
                None => {
                    set(&mut everybody, position);
                    if effect == Effect::Deny {
                        set(&mut every_machine, position);
                    }
                }
                Some(named) => {
                    let numbers = named.machines.iter().filter_map(|m| names.machines.number(m));
                    numbers.for_each(|m| machines.set(m as usize, position));
                    named.groups.iter().for_each(|g| groups.set(*g as usize, position));
                    let numbers = named.people.iter().filter_map(|p| names.people.number(p));
                    numbers.for_each(|p| people.set(p as usize, position));
                }
            }
            if !rule.is_for_machines_alone() {
                set(&mut human, position);
            }
            for app in 0..names.apps.values().len() {
                if u32::try_from(app).is_ok_and(|app| rule.is_about_app(app, console)) {
                    apps.set(app, position);
                }
            }
            for enough in rule.factors..=MOST_FACTORS {
                factors.set(usize::from(enough), position);
            }
            // Whoever is fresh enough for a shorter time is so for a longer one.
            let rows = rule.signed_in_within.map_or(within.len() + 1, |own| within.partition_point(|w| *w <= own));
            (0..rows).for_each(|row| fresh.set(row, position));
            for (row, method) in names.methods.values().iter().enumerate() {
                if rule.takes_method(method) {
                    methods.set(row, position);
                }
            }
            if rule.methods.is_empty() {
                methods.set(names.methods.values().len(), position);
            }
            rule.actions.iter().for_each(|action| actions.set(action as usize, position));
        }
        let devices_told_apart =
            DeviceClasses::of(rules.iter().filter_map(|rule| rule.from.as_ref()).flat_map(Place::device_needs));
        let (places, networks, devices) = places(effect, &rules, networks, &devices_told_apart);
        let paths = PathIndex::build(&rules);
        let times = TimeIndex::build(&rules);
        let words = words_for(count);
        Self {
            effect,
            rules,
            words,
            all,
            apps,
            everybody,
            people,
            every_machine,
            machines,
            human,
            groups,
            factors,
            within,
            fresh,
            devices_told_apart,
            places,
            networks,
            devices,
            methods,
            paths,
            times,
            actions,
            blanket,
        }
    }

    /// For a request of `person` to `app`: every part of a rule counts.
    pub(crate) fn request<'p>(
        &'p self,
        names: &Names,
        app: u32,
        facts: &Facts<'p>,
        person: &PersonFact<'p>,
    ) -> Probe<'p> {
        let named = names.people.number(person.id).map_or(&*self.everybody, |p| self.people.row(p as usize));
        Probe {
            who: WhoRows { named: [&self.everybody, named], groups: &self.groups, member_of: &person.groups.groups },
            factors: self.factors.row(usize::from(facts.factors_of(person).total().min(MOST_FACTORS))),
            fresh: self.fresh.row(self.within.partition_point(|within| *within < person.signed_in_ago)),
            ..self.asked(names, app, facts)
        }
    }

    /// For a request of a program to `app`. It has no factors and never signed in: rules that ask for either are not for
    /// machines.
    pub(crate) fn machine_request<'p>(
        &'p self,
        names: &Names,
        app: u32,
        facts: &Facts<'p>,
        machine: &MachineName,
    ) -> Probe<'p> {
        let unnamed = &*self.every_machine;
        let named = names.machines.number(machine).map_or(unnamed, |m| self.machines.row(m as usize));
        Probe {
            who: WhoRows { named: [unnamed, named], groups: &self.groups, member_of: &[] },
            factors: self.factors.row(0),
            fresh: self.fresh.row(self.within.len()),
            ..self.asked(names, app, facts)
        }
    }

    /// What is asked, whoever asks.
    fn asked<'p>(&'p self, names: &Names, app: u32, facts: &Facts<'p>) -> Probe<'p> {
        let other = names.methods.values().len();
        let method = match names.methods.values().iter().position(|m| m.eq_ignore_ascii_case(facts.method)) {
            Some(row) if self.effect == Effect::Deny || names.methods.values()[row] == facts.method => row,
            _ => other,
        };
        Probe {
            method: self.methods.row(method),
            path: self.paths.row(facts.path),
            action: self.actions.row(facts.action as usize),
            exact_path: Some(facts.path),
            ..self.arrival(Some(app), facts)
        }
    }

    /// For somebody, whoever it may be, who comes from this place at this hour to `app` (`None`: to any app).
    pub(crate) fn arrival<'p>(&'p self, app: Option<u32>, facts: &Facts<'p>) -> Probe<'p> {
        let class = self.devices_told_apart.class(facts.device.about());
        let (network, device) =
            self.places.get(facts.network.set as usize).and_then(|place| place.get(class)).copied().unwrap_or_default();
        let (all, human) = (&*self.all, &*self.human);
        Probe {
            app: app.map_or(all, |app| self.apps.row(app as usize)),
            who: WhoRows { named: [human, human], groups: &self.groups, member_of: &[] },
            factors: all,
            fresh: all,
            network: self.networks.row(network as usize),
            device: self.devices.row(device as usize),
            time: self.times.row(facts.local),
            method: all,
            path: all,
            action: all,
            exact_path: None,
            local: facts.local,
        }
    }

    /// The first rule, in the document's order, that meets the probe and that `accept` takes.
    pub(crate) fn first(&self, probe: &Probe<'_>, mut accept: impl FnMut(&Rule) -> bool) -> Option<&Rule> {
        let words = self.words;
        let rows =
            [probe.app, probe.factors, probe.fresh, probe.network, probe.device, probe.time, probe.method, probe.path]
                .map(|row| &row[..words]);
        let action = &probe.action[..words];
        for word in 0..words {
            let left = rows.iter().fold(action[word], |left, row| left & row[word]);
            if left == 0 {
                continue;
            }
            for bit in ones(left & probe.who.word(word)) {
                let rule = &self.rules[word * WORD + bit];
                if self.holds(word, bit, probe)
                    && probe.exact_path.is_none_or(|path| rule.takes_path(path))
                    && accept(rule)
                {
                    return Some(rule);
                }
            }
        }
        None
    }

    /// The actions denied to everybody who comes from this place at this hour to `app`.
    pub(crate) fn denied_to_all(&self, app: u32, facts: &Facts<'_>) -> ActionSet {
        let mut denied = ActionSet::EMPTY;
        let probe = Probe { action: &self.blanket, ..self.arrival(Some(app), facts) };
        self.first(&probe, |rule| {
            denied = rule.actions.iter().fold(denied, ActionSet::with);
            false
        });
        denied
    }

    /// The first rule that denies to everybody who comes from this place at this hour to `app`.
    pub(crate) fn first_denied_to_all(&self, app: Option<u32>, facts: &Facts<'_>) -> Option<&Rule> {
        self.first(&Probe { action: &self.blanket, ..self.arrival(app, facts) }, |_| true)
    }

    /// Whether a rule that `probe.time` leaves possible holds at that hour.
    pub(crate) fn holds(&self, word: usize, bit: usize, probe: &Probe<'_>) -> bool {
        let told_by_row = self.times.open()[word] >> bit & 1 == 0;
        told_by_row || self.rules[word * WORD + bit].when.as_ref().is_none_or(|when| when.holds(probe.local))
    }

    pub(crate) fn words(&self) -> usize {
        self.words
    }
}

/// For each distinct set of networks and each class of device, which rules' `from` is met: by the network, and
/// by the device.
fn places(effect: Effect, rules: &[Rule], networks: &NetworkTable, told_apart: &DeviceClasses) -> (Places, Rows, Rows) {
    // Many rules share a few distinct places: read each of those once per set of networks.
    let mut distinct: HashMap<&Place, Row> = HashMap::new();
    let mut anywhere = clear(rules.len());
    for (position, rule) in rules.iter().enumerate() {
        match &rule.from {
            Some(place) => set(distinct.entry(place).or_insert_with(|| clear(rules.len())), position),
            None => set(&mut anywhere, position),
        }
    }
    let distinct: Vec<(&Place, Row)> = distinct.into_iter().collect();
    let (mut by_network, mut by_device) = (RowTable::new(rules.len()), RowTable::new(rules.len()));
    let places = networks.sets().iter().map(|set| {
        let classes = told_apart.all().map(|device| {
            let seen = Seen { sure: &set.sure, unsure: &set.unsure, device };
            let network = by_network.join(&anywhere, &distinct, |place| !place.unmet(&seen, effect).0);
            let device = by_device.join(&anywhere, &distinct, |place| !place.unmet(&seen, effect).1);
            (network, device)
        });
        classes.collect()
    });
    (places.collect(), by_network.into_rows(), by_device.into_rows())
}
