//! Which rules an hour of the week satisfies.
//!
//! The week is cut where some rule's hours begin or end; within a stretch nothing changes. Rules with dates, and
//! those beyond a number of distinct schedules, are left possible and must be asked themselves.

use vocabulary::{Date, LocalTime};

use crate::bits::{Row, RowTable, Rows, clear, set};
use crate::criteria::{Rule, Schedule};

/// More distinct schedules than this are asked one by one: the table grows with their square.
const MOST_SCHEDULES: usize = 128;

/// Any Monday: which week it is makes no difference to a schedule without dates.
const MONDAY: Date = Date::constant(2026, 11, 2);

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// For each stretch of the week, the rules that hold in it.
#[derive(Debug, Default)]
pub(crate) struct TimeIndex {
    /// Minutes since Monday's midnight; the first is 0.
    starts: Vec<u16>,
    /// The row of each stretch.
    stretches: Vec<u32>,
    rows: Rows,
    /// Rules to be asked themselves.
    open: Row,
}

impl TimeIndex {
    pub(crate) fn build(rules: &[Rule]) -> Self {
        let mut always = clear(rules.len());
        let mut open = clear(rules.len());
        let mut distinct: Vec<(&Schedule, Row)> = Vec::new();
        for (position, rule) in rules.iter().enumerate() {
            match &rule.when {
                None => set(&mut always, position),
                Some(schedule) if schedule.has_dates() => set(&mut open, position),
                Some(schedule) => {
                    if let Some((_, row)) = distinct.iter_mut().find(|(known, _)| *known == schedule) {
                        set(row, position);
                    } else if distinct.len() < MOST_SCHEDULES {
                        let mut row = clear(rules.len());
                        set(&mut row, position);
                        distinct.push((schedule, row));
                    } else {
                        set(&mut open, position);
                    }
                }
            }
        }
        crate::bits::join(&mut always, &open);
        let mut starts: Vec<u16> = distinct.iter().flat_map(|(schedule, _)| schedule.edges()).chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut table = RowTable::new(rules.len());
        let stretches = starts.iter().map(|start| {
            let date = MONDAY.checked_add(std::time::Duration::from_secs(u64::from(start / DAY) * 86_400));
            let local = LocalTime { date: date.unwrap_or(MONDAY), minute: start % DAY };
            table.join(&always, &distinct, |schedule| schedule.holds(local))
        });
        Self { stretches: stretches.collect(), starts, rows: table.into_rows(), open }
    }

    /// The rules that hold at `local`, and those that must be asked.
    pub(crate) fn row(&self, local: LocalTime) -> &[u64] {
        let stretch = if self.starts.len() == 1 {
            0
        } else {
            let day = u16::from(local.weekday().to_monday_zero_offset().unsigned_abs());
            self.starts.partition_point(|start| *start <= day * DAY + local.minute).saturating_sub(1)
        };
        self.rows.row(self.stretches[stretch] as usize)
    }

    /// Rules to be asked themselves.
    pub(crate) fn open(&self) -> &[u64] {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vocabulary::{Action, ActionSet, RuleName};

    use super::*;
    use crate::bits::WORD;
    use crate::criteria::{Effect, parse_days, parse_hours};

    fn rule(when: Schedule) -> Rule {
        Rule {
            name: RuleName::new("r").unwrap(),
            position: 0,
            effect: Effect::Allow,
            actions: ActionSet::EMPTY.with(Action::View),
            apps: None,
            who: None,
            factors: 0,
            signed_in_within: None,
            from: None,
            when: Some(when),
            methods: Box::default(),
            paths: Box::default(),
        }
    }

    fn schedule(days: &str, hours: &str) -> Schedule {
        Schedule { days: parse_days(days).unwrap(), windows: parse_hours(hours).unwrap(), from: None, until: None }
    }

    fn agrees(rules: &[Rule], local: LocalTime) -> Result<(), TestCaseError> {
        let index = TimeIndex::build(rules);
        let bit = |row: &[u64], position: usize| row[position / WORD] >> (position % WORD) & 1 == 1;
        for (position, rule) in rules.iter().enumerate() {
            let holds = rule.when.as_ref().unwrap().holds(local);
            let told = bit(index.row(local), position);
            if bit(index.open(), position) {
                prop_assert!(told, "what must be asked is left possible");
            } else {
                prop_assert_eq!(told, holds, "{:?} at {:?}", rule.when, local);
            }
        }
        Ok(())
    }

    #[test]
    fn more_schedules_than_the_table_takes_are_asked_one_by_one() {
        let hours = |n: u16| format!("{:02}:{:02}-23:59", n / 60, n % 60);
        let rules: Vec<Rule> = (0..200).map(|n| rule(schedule("mon-fri", &hours(n)))).collect();
        let index = TimeIndex::build(&rules);
        assert_eq!(index.open().iter().map(|word| word.count_ones()).sum::<u32>(), 72);
        agrees(&rules, LocalTime { date: MONDAY, minute: 60 }).unwrap();
    }

    proptest! {
        #[test]
        fn a_row_agrees_with_the_schedules(
            schedules in prop::collection::vec((1_u8..128, prop::collection::vec((0_u16..1440, 0_u16..=1440), 1..3)), 1..6),
            day in 1_i8..29, minute in 0_u16..1440, on_edge in any::<prop::sample::Index>(),
        ) {
            let rules: Vec<Rule> = schedules.iter().filter_map(|(days, windows)| {
                let hours: Vec<String> = windows.iter().map(|(s, e)| {
                    format!("{:02}:{:02}-{:02}:{:02}", s / 60, s % 60, e / 60, e % 60)
                }).collect();
                Some(rule(Schedule { days: *days, windows: parse_hours(&hours.join(","))?, from: None, until: None }))
            }).collect();
            let date = Date::constant(2026, 11, day);
            agrees(&rules, LocalTime { date, minute })?;
            let (start, end) = on_edge.get(&schedules).1[0];
            for minute in [start, end % 1440, (end + 1439) % 1440] {
                agrees(&rules, LocalTime { date, minute })?;
            }
        }
    }
}
