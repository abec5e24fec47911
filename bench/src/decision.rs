//! How long one decision takes at many rules and in many networks.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use policy::document::{From, When, Who};
use policy::{
    Catalog, DeviceAbout, DeviceFact, Facts, NetworkDocument, PersonFact, Policy, Route, RuleDocument, Standing,
};
use vocabulary::{Action, AppId, Date, DeviceKind, GroupName, LocalTime, NetworkName, PersonId};

use crate::report::median;

const APPS: usize = 20;
const GROUPS: usize = 40;
const NETWORKS: usize = 50;
const BATCH: u32 = 20_000;
const BATCHES: usize = 15;

/// Rules and address ranges that stand in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub rules: usize,
    /// Ten or more, of [`NETWORKS`] networks at most.
    pub cidrs: usize,
}

/// Nanoseconds to look an address up and to decide, the median of [`BATCHES`] batches: half of the requests are permitted
/// by one of many rules, half fall through all of them and get the reason of the closest.
///
/// # Errors
/// The rules don't compile.
pub fn nanoseconds(size: Size) -> Result<f64> {
    let policy = compile(size)?;
    let groups = policy.groups([name::<GroupName>("group-7")?].iter());
    let person = name::<PersonId>("tanaka")?;
    let app = policy.app(&name::<AppId>("app-7")?).context("the app is known")?;
    let addresses = [7, 8].map(|third| IpAddr::V4(Ipv4Addr::new(10, 0, third, 9)));
    let facts = |address, action| Facts {
        record_ready: true,
        clock_ok: true,
        route: Route::App(app),
        ambiguous: false,
        cross_site: false,
        preflight: false,
        network: policy.networks().lookup(address),
        device: DeviceFact::Enrolled {
            owner: Some(&person),
            serves: true,
            about: DeviceAbout { kind: DeviceKind::Lent, os: None, unseen: 60 },
        },
        person: Some(PersonFact {
            id: &person,
            groups: &groups,
            standing: Standing::Active,
            factors: 2,
            signed_in_ago: 60,
            session_matches_device: true,
        }),
        local: LocalTime { date: Date::constant(2026, 11, 4), minute: 10 * 60 },
        method: "GET",
        path: "/residents/101",
        action,
        static_ok: false,
        wrong_account: false,
        invited: false,
    };
    let mut asked = [facts(addresses[0], Action::View), facts(addresses[1], Action::Delete)];
    let verdicts = asked.each_ref().map(|facts| policy.decide(facts).is_permit());
    anyhow::ensure!(verdicts == [true, false], "the sample asks for one permit and one denial, not {verdicts:?}");
    let mut batch = || {
        let begun = Instant::now();
        for _ in 0..BATCH / 2 {
            for (facts, address) in asked.iter_mut().zip(addresses) {
                facts.network = policy.networks().lookup(black_box(address));
                let _ = black_box(policy.decide(black_box(facts)));
            }
        }
        begun.elapsed().as_nanos() as f64 / f64::from(BATCH)
    };
    median((0..BATCHES).map(|_| batch()).collect()).context("at least one batch")
}

/// Rules as an operator of many facilities would have them: by app, group, network, hour and path.
fn compile(Size { rules, cidrs }: Size) -> Result<Policy> {
    let all = |prefix: &str, count| (0..count).map(move |number| format!("{prefix}-{number}")).collect::<Vec<_>>();
    let count = cidrs.min(NETWORKS);
    let networks = all("network", count).into_iter().enumerate().map(|(number, text)| {
        let further = (count..cidrs).filter(|n| n % count == number);
        // Every other address range, so that none can be joined with its neighbour.
        let further = further.map(|n| format!("10.{}.{}.0/25", 1 + n / 256, n % 256));
        let cidrs = std::iter::once(format!("10.0.{number}.0/24")).chain(further).collect();
        Ok((name::<NetworkName>(&text)?, NetworkDocument { cidrs, shared: false }))
    });
    let catalog = Catalog {
        apps: all("app", APPS).iter().map(|text| name(text)).collect::<Result<_>>()?,
        networks: networks.collect::<Result<_>>()?,
        groups: None,
    };
    let rules = (0..rules).map(|number| rule(number, rules, count)).collect::<Result<Vec<_>>>()?;
    Policy::compile(&rules, &catalog).map_err(|errors| anyhow!("{errors:?}"))
}

fn rule(number: usize, count: usize, networks: usize) -> Result<RuleDocument> {
    // The last rule is the one that permits; nothing before it does.
    let last = number + 1 == count;
    let pick = |many: usize| if last { 7 } else { number % many };
    let network = if last { 7 } else { 9 + number % (networks - 9) };
    Ok(RuleDocument {
        name: name(&format!("rule {number}"))?,
        apps: vec![name(&format!("app-{}", pick(APPS)))?],
        who: Some(Who { groups: vec![name(&format!("group-{}", pick(GROUPS)))?], ..Who::default() }),
        from: Some(From { networks: vec![name(&format!("network-{network}"))?], ..From::default() }),
        when: Some(When { days: Some("mon-sun".to_owned()), hours: Some("06:00-22:00".to_owned()), ..When::default() }),
        methods: Vec::new(),
        paths: if number.is_multiple_of(5) { vec!["/residents/**".to_owned()] } else { Vec::new() },
        allow: vec![Action::View, Action::Edit],
        deny: Vec::new(),
    })
}

fn name<N: TryFrom<String>>(text: &str) -> Result<N> {
    N::try_from(text.to_owned()).map_err(|_| anyhow!("`{text}` is not a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_permits_once_and_denies_once() {
        for (rules, cidrs) in [(1, 10), (50, 10), (1000, 50), (50, 10_000)] {
            assert!(nanoseconds(Size { rules, cidrs }).unwrap() > 0.0);
        }
    }

    #[test]
    fn there_are_as_many_ranges_as_asked_for() {
        let policy = compile(Size { rules: 1, cidrs: 10_000 }).unwrap();
        let found = |address: [u8; 4]| policy.networks().sure(policy.networks().lookup(address.into())).len();
        let ranges = (0..NETWORKS).map(|n| [10, 0, n as u8, 9]);
        let further = (NETWORKS..10_000).map(|n| [10, 1 + (n / 256) as u8, (n % 256) as u8, 9]);
        assert_eq!(ranges.chain(further).filter(|address| found(*address) == 1).count(), 10_000);
        assert_eq!(found([10, 1, 200, 200]), 0, "between two ranges");
    }
}
