//! From an address to the networks it belongs to.
//!
//! All ranges of all networks are cut into disjoint stretches when the table is made, each with its set of
//! networks; looking an address up is one binary search, so ten thousand ranges cost a few steps more than ten.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use vocabulary::{DocumentError, NetworkName, PathStep};

use crate::document::NetworkDocument;
use crate::names::stamp;

/// All networks of a configuration, ready to look addresses up.
#[derive(Debug, Default)]
pub struct NetworkTable {
    names: Vec<NetworkName>,
    examples: Vec<IpAddr>,
    v4: Stretches<u32>,
    v6: Stretches<u128>,
    sets: Vec<NetworkSet>,
    stamp: u32,
}

/// The networks an address belongs to: a small handle, made by [`NetworkTable::lookup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkFact {
    pub(crate) set: u32,
    pub(crate) stamp: u32,
}

/// A distinct answer: network numbers (sorted) and their names.
#[derive(Debug, Default)]
pub(crate) struct NetworkSet {
    pub(crate) sure: Box<[u32]>,
    pub(crate) unsure: Box<[u32]>,
    sure_names: Box<[NetworkName]>,
    unsure_names: Box<[NetworkName]>,
}

/// Where a stretch begins, and which set holds up to the next.
#[derive(Debug, Default)]
struct Stretches<A> {
    starts: Vec<A>,
    sets: Vec<u32>,
}

impl NetworkTable {
    /// # Errors
    /// Every range that can't be read and every network without one, at `networks.<name>.cidrs[<n>]`.
    pub fn compile(networks: &[(NetworkName, NetworkDocument)]) -> Result<Self, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let mut names: Vec<NetworkName> = Vec::new();
        let mut written = HashSet::new();
        let mut examples = Vec::new();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (name, document) in networks {
            let network = u32::try_from(names.len()).unwrap_or(u32::MAX);
            let at = |steps: &[PathStep]| {
                ["networks".into(), name.as_str().into()].into_iter().chain(steps.iter().cloned()).collect::<Vec<_>>()
            };
            if !written.insert(name) {
                errors.push(DocumentError::new(at(&[]), name.as_str(), "is written twice"));
            }
            if document.cidrs.is_empty() {
                errors.push(DocumentError::new(
                    at(&["cidrs".into()]),
                    "",
                    "names no address; write at least one range",
                ));
            }
            let mut example = None;
            for (position, text) in document.cidrs.iter().enumerate() {
                match parse(text) {
                    Ok(range) => {
                        example.get_or_insert(range.network());
                        match range {
                            IpNet::V4(r) => v4.push((u32::from(r.network()), u32::from(r.broadcast()), network)),
                            IpNet::V6(r) => v6.push((u128::from(r.network()), u128::from(r.broadcast()), network)),
                        }
                    }
                    Err((problem, candidates)) => errors.push(
                        DocumentError::new(at(&["cidrs".into(), position.into()]), text, problem)
                            .candidates(candidates),
                    ),
                }
            }
            names.push(name.clone());
            examples.extend(example);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut sets = Sets::default();
        sets.number(Vec::new());
        let v4 = stretches(&v4, |a| a.checked_add(1), &mut sets);
        let v6 = stretches(&v6, |a| a.checked_add(1), &mut sets);
        let shared: Vec<bool> = networks.iter().map(|(_, d)| d.shared).collect();
        let stamp = stamp(&(&names, &shared, &v4.starts, &v4.sets, &v6.starts, &v6.sets));
        let sets = sets.into_sets(&names, &shared);
        Ok(Self { names, examples, v4, v6, sets, stamp })
    }

    /// The networks of `address`. An IPv4 address inside IPv6 (`::ffff:203.0.113.10`) counts as the IPv4 address.
    pub fn lookup(&self, address: IpAddr) -> NetworkFact {
        let set = match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.at(u32::from(v4)),
            IpAddr::V6(v6) => self.v6.at(u128::from(v6)),
        };
        NetworkFact { set, stamp: self.stamp }
    }

    /// The networks that the address certainly belongs to.
    pub fn sure(&self, fact: NetworkFact) -> &[NetworkName] {
        self.set(fact).map_or(&[], |set| &set.sure_names)
    }

    /// The networks marked `shared`, whose addresses others use too.
    pub fn unsure(&self, fact: NetworkFact) -> &[NetworkName] {
        self.set(fact).map_or(&[], |set| &set.unsure_names)
    }

    /// All networks, in the order of the configuration.
    pub fn names(&self) -> &[NetworkName] {
        &self.names
    }

    /// The first address of the network's first range, for explanations that start from a network's name.
    pub fn example_address(&self, name: &NetworkName) -> Option<IpAddr> {
        self.examples.get(self.number(name)? as usize).copied()
    }

    pub(crate) fn number(&self, name: &NetworkName) -> Option<u32> {
        self.names.iter().position(|n| n == name).and_then(|n| u32::try_from(n).ok())
    }

    /// Every distinct answer; [`NetworkFact::set`] is the position in it.
    pub(crate) fn sets(&self) -> &[NetworkSet] {
        &self.sets
    }

    pub(crate) fn made(&self, fact: NetworkFact) -> bool {
        fact.stamp == self.stamp
    }

    fn set(&self, fact: NetworkFact) -> Option<&NetworkSet> {
        if self.made(fact) { self.sets.get(fact.set as usize) } else { None }
    }
}

impl<A: Ord + Copy> Stretches<A> {
    fn at(&self, address: A) -> u32 {
        let after = self.starts.partition_point(|start| *start <= address);
        after.checked_sub(1).and_then(|i| self.sets.get(i)).copied().unwrap_or(0)
    }
}

/// A range or a single address.
fn parse(text: &str) -> Result<IpNet, (String, Vec<String>)> {
    let range = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            let problem = "is not an address range; write 203.0.113.0/24, 2001:db8::/48 or a single address";
            (problem.to_owned(), Vec::new())
        })?,
    };
    if range.addr() != range.network() {
        // Whether the network or the one address was meant, only the operator knows.
        let meant = vec![range.trunc().to_string(), IpNet::from(range.addr()).to_string()];
        return Err((format!("has bits set behind its prefix; write {} or {}", meant[0], meant[1]), meant));
    }
    // Lookups turn ::ffff:a.b.c.d into a.b.c.d, so ranges of that form must follow.
    if let IpNet::V6(v6) = range
        && let Some(v4) = v6.network().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = ipnet::Ipv4Net::new(v4, prefix)
    {
        return Ok(IpNet::V4(v4));
    }
    Ok(range)
}

/// Cuts possibly overlapping inclusive ranges into disjoint stretches.
fn stretches<A: Ord + Copy>(ranges: &[(A, A, u32)], next: fn(A) -> Option<A>, sets: &mut Sets) -> Stretches<A> {
    let mut edges: Vec<(A, bool, u32)> = Vec::with_capacity(ranges.len() * 2);
    for (first, last, network) in ranges {
        edges.push((*first, true, *network));
        // A range up to the very last address has no end.
        edges.extend(next(*last).map(|end| (end, false, *network)));
    }
    edges.sort_unstable();
    let mut cut = Stretches { starts: Vec::new(), sets: Vec::new() };
    let mut open: BTreeMap<u32, u32> = BTreeMap::new();
    for edges in edges.chunk_by(|a, b| a.0 == b.0) {
        for (_, opens, network) in edges {
            let count = open.entry(*network).or_default();
            // Ends sort before beginnings, but each end's range began earlier: the count never falls below zero.
            *count = if *opens { *count + 1 } else { count.saturating_sub(1) };
        }
        open.retain(|_, count| *count > 0);
        let set = sets.number(open.keys().copied().collect());
        if cut.sets.last() != Some(&set) {
            cut.starts.push(edges[0].0);
            cut.sets.push(set);
        }
    }
    cut
}

/// Distinct sets of networks in the order they were met; the first is the empty one.
#[derive(Default)]
struct Sets(HashMap<Vec<u32>, u32>);

impl Sets {
    fn number(&mut self, networks: Vec<u32>) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(networks).or_insert(next)
    }

    fn into_sets(self, names: &[NetworkName], shared: &[bool]) -> Vec<NetworkSet> {
        let mut numbered: Vec<(u32, Vec<u32>)> = self.0.into_iter().map(|(set, number)| (number, set)).collect();
        numbered.sort_unstable();
        let named = |set: &[u32]| set.iter().map(|n| names[*n as usize].clone()).collect();
        numbered
            .into_iter()
            .map(|(_, set)| {
                let (unsure, sure): (Vec<u32>, Vec<u32>) = set.into_iter().partition(|n| shared[*n as usize]);
                NetworkSet {
                    sure_names: named(&sure),
                    unsure_names: named(&unsure),
                    sure: sure.into(),
                    unsure: unsure.into(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;
    use vocabulary::DisplayPath;

    use super::*;

    fn network(name: &str, cidrs: &[&str]) -> (NetworkName, NetworkDocument) {
        let cidrs = cidrs.iter().map(|c| (*c).to_owned()).collect();
        (NetworkName::new(name).unwrap(), NetworkDocument { cidrs, shared: false })
    }

    fn names(table: &NetworkTable, address: &str) -> Vec<String> {
        table.sure(table.lookup(address.parse().unwrap())).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_belongs_to_every_network_that_holds_it() {
        let table = NetworkTable::compile(&[
            network("all", &["0.0.0.0/0", "::/0"]),
            network("home", &["203.0.113.8/29", "2001:db8:1::/48"]),
            network("desk", &["203.0.113.10"]),
        ])
        .unwrap();
        assert_eq!(names(&table, "203.0.113.10"), ["all", "home", "desk"]);
        assert_eq!(names(&table, "203.0.113.11"), ["all", "home"]);
        assert_eq!(names(&table, "203.0.113.16"), ["all"]);
        assert_eq!(names(&table, "255.255.255.255"), ["all"]);
        assert_eq!(names(&table, "2001:db8:1:ffff:ffff:ffff:ffff:ffff"), ["all", "home"]);
        assert_eq!(names(&table, "2001:db8:2::"), ["all"]);
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_the_ipv4_address() {
        let table = NetworkTable::compile(&[
            network("home", &["203.0.113.0/24"]),
            network("mapped", &["::ffff:198.51.100.0/120"]),
            network("six", &["::/0"]),
        ])
        .unwrap();
        assert_eq!(names(&table, "::ffff:203.0.113.7"), ["home"]);
        assert_eq!(names(&table, "198.51.100.7"), ["mapped"]);
        assert_eq!(names(&table, "2001:db8::1"), ["six"]);
    }

    #[test]
    fn a_shared_network_is_unsure() {
        let mut shared = network("ds-lite", &["192.0.2.0/24"]);
        shared.1.shared = true;
        let table = NetworkTable::compile(&[shared, network("home", &["192.0.2.7"])]).unwrap();
        let fact = table.lookup("192.0.2.7".parse().unwrap());
        assert_eq!(table.sure(fact), [NetworkName::new("home").unwrap()]);
        assert_eq!(table.unsure(fact), [NetworkName::new("ds-lite").unwrap()]);
    }

    #[test]
    fn a_fact_of_another_table_is_in_no_network() {
        let one = NetworkTable::compile(&[network("home", &["203.0.113.0/24"])]).unwrap();
        let other = NetworkTable::compile(&[network("cafe", &["203.0.113.0/24"])]).unwrap();
        assert!(other.sure(one.lookup("203.0.113.1".parse().unwrap())).is_empty());
    }

    #[test]
    fn every_wrong_range_is_reported_with_its_place() {
        let errors = NetworkTable::compile(&[
            network("home", &["203.0.113.0/24", "203.0.113.10/24", "10.0.0.0/33"]),
            network("none", &[]),
            network("home", &["sakura.example"]),
        ])
        .unwrap_err();
        let told: Vec<String> =
            errors.iter().map(|e| format!("{}: {:?} {}", DisplayPath(&e.path), e.value, e.problem)).collect();
        assert_eq!(
            told,
            [
                "networks.home.cidrs[1]: \"203.0.113.10/24\" has bits set behind its prefix; \
                 write 203.0.113.0/24 or 203.0.113.10/32",
                "networks.home.cidrs[2]: \"10.0.0.0/33\" is not an address range; \
                 write 203.0.113.0/24, 2001:db8::/48 or a single address",
                "networks.none.cidrs: \"\" names no address; write at least one range",
                "networks.home: \"home\" is written twice",
                "networks.home.cidrs[0]: \"sakura.example\" is not an address range; \
                 write 203.0.113.0/24, 2001:db8::/48 or a single address",
            ]
        );
        assert_eq!(errors[0].candidates, ["203.0.113.0/24", "203.0.113.10/32"]);
    }

    #[test]
    fn a_network_has_an_example_address() {
        let home = network("home", &["203.0.113.8/29"]);
        let table = NetworkTable::compile(std::slice::from_ref(&home)).unwrap();
        assert_eq!(table.example_address(&home.0), Some("203.0.113.8".parse().unwrap()));
        assert_eq!(table.example_address(&NetworkName::new("cafe").unwrap()), None);
    }

    /// Prefixes crowded into a corner of the address space, so that they overlap often.
    fn prefix() -> impl Strategy<Value = IpNet> {
        prop_oneof![
            (any::<u32>(), 0_u8..=32, any::<bool>()).prop_map(|(bits, length, crowded)| {
                let bits = if crowded { bits & 0xff } else { bits };
                IpNet::V4(ipnet::Ipv4Net::new(Ipv4Addr::from(bits), length).unwrap().trunc())
            }),
            (any::<u128>(), 0_u8..=128, any::<bool>()).prop_map(|(bits, length, crowded)| {
                let bits = if crowded { bits & 0xff } else { bits };
                IpNet::V6(ipnet::Ipv6Net::new(Ipv6Addr::from(bits), length).unwrap().trunc())
            }),
        ]
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|a| Ipv4Addr::from(a).into()),
            (0_u32..300).prop_map(|a| Ipv4Addr::from(a).into()),
            any::<u128>().prop_map(|a| Ipv6Addr::from(a).into()),
            (0_u128..300).prop_map(|a| Ipv6Addr::from(a).into()),
            any::<u32>().prop_map(|a| Ipv4Addr::from(a).to_ipv6_mapped().into()),
        ]
    }

    proptest! {
        #[test]
        fn a_lookup_finds_what_a_linear_scan_finds(
            networks in prop::collection::vec((prop::collection::vec(prefix(), 1..6), any::<bool>()), 0..8),
            random in prop::collection::vec(address(), 1..20),
        ) {
            let documents: Vec<_> = networks.iter().enumerate().map(|(n, (ranges, shared))| {
                let cidrs = ranges.iter().map(ToString::to_string).collect();
                (NetworkName::new(format!("n{n}")).unwrap(), NetworkDocument { cidrs, shared: *shared })
            }).collect();
            let table = NetworkTable::compile(&documents).unwrap();
            let edges = networks.iter().flat_map(|(ranges, _)| ranges).flat_map(|r| [r.network(), r.broadcast()]);
            for address in random.iter().copied().chain(edges) {
                let fact = table.lookup(address);
                for (n, (ranges, shared)) in networks.iter().enumerate() {
                    let held = ranges.iter().any(|r| r.contains(&address.to_canonical()));
                    let name = &documents[n].0;
                    prop_assert_eq!(table.sure(fact).contains(name), held && !shared, "{} in {:?}", address, ranges);
                    prop_assert_eq!(table.unsure(fact).contains(name), held && *shared, "{} in {:?}", address, ranges);
                }
            }
        }
    }
}
