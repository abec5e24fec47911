//! The report: ratios at the top, every run beneath.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::plan::Mode;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub round: usize,
    pub peer: String,
    pub mode: Mode,
    pub requests: usize,
    /// CPU of the proxy per request, in microseconds.
    pub cpu_us: f64,
    pub rps: f64,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// `target/bench/report.json`. Ratios are of CPU per request, ours over theirs, each the median over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub h1_vs_pingora: Option<f64>,
    pub h1_vs_nginx_auth_request: Option<f64>,
    pub h1_vs_nginx: Option<f64>,
    /// With 100,000 people and 20,000 live sessions, against one person.
    pub h1_100k_vs_one: Option<f64>,
    pub h2_vs_pingora: Option<f64>,
    pub newconn_vs_nginx: Option<f64>,
    /// Thousands of bytes of the gate's resident memory per idle TLS connection.
    pub kb_per_idle_conn: Option<f64>,
    #[serde(flatten)]
    pub decision: Decision,
    /// The same for every peer that was asked.
    pub kb_per_idle_conn_of: BTreeMap<String, f64>,
    pub medians: BTreeMap<String, BTreeMap<Mode, Median>>,
    pub machine: crate::machine::Machine,
    pub runs: Vec<Run>,
}

/// Nanoseconds to look an address up and to decide.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Decision {
    /// With 50 address ranges.
    #[serde(rename = "decision_ns_1000_rules")]
    pub many_rules: f64,
    /// With 50 rules, as the next.
    #[serde(rename = "decision_ns_10_networks")]
    pub few_networks: f64,
    #[serde(rename = "decision_ns_10000_networks")]
    pub many_networks: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Median {
    pub cpu_us: f64,
    pub rps: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

const OURS: &str = crate::sekisho::ONE;
const CROWDED: &str = crate::sekisho::CROWDED;

impl Report {
    pub fn new(
        runs: Vec<Run>,
        idle: BTreeMap<String, f64>,
        decision: Decision,
        machine: crate::machine::Machine,
    ) -> Self {
        Self {
            h1_vs_pingora: ratio(&runs, Mode::H1, "pingora"),
            h1_vs_nginx_auth_request: ratio(&runs, Mode::H1, "nginx_auth_request"),
            h1_vs_nginx: ratio(&runs, Mode::H1, "nginx"),
            h1_100k_vs_one: ratio_of(&runs, Mode::H1, CROWDED, OURS),
            h2_vs_pingora: ratio(&runs, Mode::H2, "pingora"),
            newconn_vs_nginx: ratio(&runs, Mode::Newconn, "nginx"),
            kb_per_idle_conn: idle.get(OURS).copied(),
            decision,
            kb_per_idle_conn_of: idle,
            medians: medians(&runs),
            machine,
            runs,
        }
    }
}

fn ratio(runs: &[Run], mode: Mode, theirs: &str) -> Option<f64> {
    ratio_of(runs, mode, OURS, theirs)
}

/// The median over the rounds of one / other; both stood next to each other in a round.
fn ratio_of(runs: &[Run], mode: Mode, one: &str, other: &str) -> Option<f64> {
    let of = |peer: &str, round| {
        runs.iter().find(|run| run.peer == peer && run.mode == mode && run.round == round).map(|run| run.cpu_us)
    };
    let rounds = runs.iter().map(|run| run.round).max()?;
    median((0..=rounds).filter_map(|round| Some(of(one, round)? / of(other, round)?)).collect())
}

fn medians(runs: &[Run]) -> BTreeMap<String, BTreeMap<Mode, Median>> {
    let mut groups: BTreeMap<String, BTreeMap<Mode, Vec<&Run>>> = BTreeMap::new();
    for run in runs {
        groups.entry(run.peer.clone()).or_default().entry(run.mode).or_default().push(run);
    }
    let of = |runs: &[&Run], value: fn(&Run) -> f64| median(runs.iter().map(|run| value(run)).collect()).unwrap_or(0.0);
    let one = |runs: Vec<&Run>| Median {
        cpu_us: of(&runs, |run| run.cpu_us),
        rps: of(&runs, |run| run.rps),
        p50_us: of(&runs, |run| run.p50_us as f64),
        p99_us: of(&runs, |run| run.p99_us as f64),
    };
    let modes = |modes: BTreeMap<Mode, Vec<&Run>>| modes.into_iter().map(|(mode, runs)| (mode, one(runs))).collect();
    groups.into_iter().map(|(peer, runs)| (peer, modes(runs))).collect()
}

/// The middle value, or the mean of the two; `None` of nothing.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, Run, median, ratio, ratio_of};

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_ratio_compares_within_a_round() {
        let run = |round, peer: &str, cpu_us| Run {
            round,
            peer: peer.to_owned(),
            mode: Mode::H1,
            requests: 1,
            cpu_us,
            rps: 0.0,
            p50_us: 0,
            p99_us: 0,
        };
        let runs = [run(0, "sekisho", 60.0), run(0, "nginx", 50.0), run(1, "sekisho", 120.0), run(1, "nginx", 100.0)];
        assert_eq!(ratio(&runs, Mode::H1, "nginx"), Some(1.2));
        assert_eq!(ratio_of(&runs, Mode::H1, "nginx", "sekisho"), Some(1.0 / 1.2));
        assert_eq!(ratio(&runs, Mode::H1, "haproxy"), None);
        assert_eq!(ratio(&runs, Mode::H2, "nginx"), None);
    }
}
