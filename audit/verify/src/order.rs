//! The rules that a log obeys (FORMAT.md), checked leaf by leaf with bounded memory.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Place, Record, What};
use crate::gaps::{Gap, Gaps};
use crate::leaf::{Head, Leaf, OUTCOME_REACH, Role};

/// Outcomes that may be owed at once. A gateway owes those of about ten seconds.
const OWED_LIMIT: usize = 4_000_000;
/// Gaps that may wait for a `recovery` leaf. One such leaf has room for a few thousand.
const GAPS_LIMIT: usize = 65_536;
/// Requests without an outcome that are remembered; beyond that the oldest are forgotten, and an outcome of them isn't judged.
/// As many outcomes of missing requests are remembered.
const OPEN_LIMIT: usize = 1_000_000;

/// How far the rules have been followed. All of it can be written down and taken up again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Order {
    last: Option<(u32, u64)>,
    /// The next number that this boot owes.
    next: u64,
    /// Whether all of this boot's leaves were seen, so that a gap is one.
    judged: bool,
    /// If not: from which number on it is one all the same, because no outcome of an unseen request reaches so far. Not known
    /// behind a leaf of a later version.
    judged_from: Option<u64>,
    /// Numbers of outcomes that come later in this boot.
    owed: BinaryHeap<Reverse<u64>>,
    gaps: Gaps,
    open: BTreeSet<(u32, u64)>,
    /// Missing numbers whose outcome has come all the same: the request's frame was lost, and the outcome's was not. They lie in
    /// `gaps`, which a `recovery` leaf has to explain; until then no second outcome may come.
    claimed: BTreeSet<(u32, u64)>,
    /// Outcomes of requests up to this one are not judged: they were not seen, or have been forgotten.
    forgotten: Option<(u32, u64)>,
    /// How many leaves are of a later version of the format, and the first of them. Nothing can be said of what they mean, so there
    /// is neither a report nor a state of a log that has some.
    #[serde(skip)]
    pub(crate) later_version: u64,
    #[serde(skip)]
    pub(crate) first_later: Option<u64>,
    pub(crate) seen: Tally,
}

/// What was seen on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many leaves.
    pub leaves: u64,
    /// Time of the first leaf and of the last one, in microseconds since 1970 by the gateway's clock.
    pub first_at: Option<i64>,
    pub last_at: Option<i64>,
    /// Crashes that a `recovery` leaf tells of.
    pub recoveries: u64,
    /// Numbers that the log itself declares lost after a crash, although they may have been confirmed to somebody.
    pub declared_lost: u64,
    /// Numbers that it declares never confirmed.
    pub declared_unconfirmed: u64,
    /// Missing numbers, and outcomes, that can't be judged without leaves which were not looked at.
    pub unjudged: u64,
}

impl Order {
    /// Follows the rules over one more leaf.
    pub(crate) fn push(&mut self, index: u64, leaf: &Leaf) -> Result<(), Finding> {
        self.seen.leaves += 1;
        let (head, role) = match leaf {
            Leaf::Known(head, role) => (head, role),
            Leaf::UnknownVersion(_) => {
                self.later_version += 1;
                self.first_later.get_or_insert(index);
                self.lose_track();
                return Ok(());
            }
        };
        self.seen.first_at.get_or_insert(head.at);
        self.seen.last_at = Some(head.at);
        self.number(index, head)?;
        let Record { boot, seq } = head.record;
        match role {
            Role::Plain | Role::Retention { .. } => {}
            Role::Open => {
                self.open.insert((boot, seq));
                if self.open.len() > OPEN_LIMIT {
                    self.forgotten = self.open.pop_first().max(self.forgotten);
                }
            }
            Role::Outcome { of } => self.outcome(index, head, *of)?,
            Role::Recovery { of_boot, lost, unconfirmed } => {
                self.seen.recoveries += 1;
                self.account(head, *of_boot, lost, unconfirmed);
            }
        }
        Ok(())
    }

    /// The end of a request that was sealed without one, or that is missing: rule 3.
    fn outcome(&mut self, index: u64, head: &Head, of: Record) -> Result<(), Finding> {
        let request = (of.boot, of.seq);
        if self.open.remove(&request) {
            return Ok(());
        }
        if self.gaps.contains(request) && self.claimed.insert(request) {
            if self.claimed.len() > OPEN_LIMIT {
                self.claimed.pop_first();
            }
            return Ok(());
        }
        if self.forgotten.is_some_and(|forgotten| request <= forgotten) {
            self.seen.unjudged += 1;
            return Ok(());
        }
        let why = format!(
            "It is the outcome of record {} of boot {}, and no earlier request with that number waits for one.",
            of.seq, of.boot
        );
        Err(at_leaf(What::NotInForm, index, head, why))
    }

    /// What is left unexplained at the end. `end_of_log`: no leaf comes after, that could explain it.
    pub(crate) fn finish(&mut self, end_of_log: bool) -> Result<(), Finding> {
        if !end_of_log {
            self.leave_gaps();
        }
        self.owed_twice()?;
        self.first_gap().map_or(Ok(()), Err)
    }

    /// Of what is still owed at the end, too, each number is that of one outcome.
    fn owed_twice(&self) -> Result<(), Finding> {
        let Some((boot, _)) = self.last else { return Ok(()) };
        let mut owed: Vec<u64> = self.owed.iter().map(|Reverse(owed)| *owed).collect();
        owed.sort_unstable();
        let twice = owed.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0]));
        twice.map_or(Ok(()), |seq| Err(twice_the_outcome(None, boot, seq)))
    }

    /// The first gap that nothing has explained so far.
    pub(crate) fn first_gap(&self) -> Option<Finding> {
        let gap = self.gaps.first()?;
        let numbers = if gap.first == gap.last {
            format!("Record {} of boot {} is", gap.first, gap.boot)
        } else {
            format!("Records {} to {} of boot {} are", gap.first, gap.last, gap.boot)
        };
        let place = Place {
            leaf: Some(gap.before),
            record: Some(Record { boot: gap.boot, seq: gap.first }),
            ..Place::default()
        };
        Some(Finding::new(
            What::SequenceGap,
            place,
            format!("{numbers} not in the log: the leaf that would come next has a later number."),
        ))
    }

    /// Takes the numbers of one leaf: rules 1 and 2.
    fn number(&mut self, index: u64, head: &Head) -> Result<(), Finding> {
        let Record { boot, seq } = head.record;
        match self.last {
            None => self.begin(index, boot, seq),
            Some(last) if (boot, seq) == last => {
                return Err(at_leaf(What::Inserted, index, head, "The leaf before has the same number."));
            }
            Some((last_boot, last_seq)) if (boot, seq) < (last_boot, last_seq) => {
                let why = format!("The leaf before is record {last_seq} of boot {last_boot}, which comes later.");
                return Err(at_leaf(What::Reordered, index, head, why));
            }
            Some((last_boot, _)) if last_boot < boot => {
                self.close_boot(index, last_boot)?;
                self.next = 1;
                self.judged = true;
            }
            Some(_) => {}
        }
        while let Some(&Reverse(owed)) = self.owed.peek()
            && owed < seq
        {
            self.owed.pop();
            if owed < self.next {
                return Err(twice_the_outcome(Some(index), boot, owed));
            }
            self.skip_to(owed, boot, index);
            self.next = owed + 1;
        }
        if self.owed.peek() == Some(&Reverse(seq)) {
            let why = "Its number is that of the outcome of an earlier leaf.";
            return Err(at_leaf(What::Inserted, index, head, why));
        }
        self.skip_to(seq, boot, index);
        self.next = seq + 1;
        if let Some(outcome) = head.outcome_seq {
            self.owed.push(Reverse(outcome));
            if self.owed.len() > OWED_LIMIT {
                let why =
                    format!("More than {OWED_LIMIT} leaves before it give an outcome's number that has not come.");
                return Err(at_leaf(What::NotInForm, index, head, why));
            }
        }
        self.last = Some((boot, seq));
        if self.gaps.len() > GAPS_LIMIT {
            return self.first_gap().map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// The first leaf that is seen, or the first one after one that could not be read.
    fn begin(&mut self, index: u64, boot: u32, seq: u64) {
        self.next = seq;
        // Rule 5: a log may begin anywhere. What is not the log's beginning may stand on what came before.
        // Before the first record of a boot there is nothing of it.
        self.judged = index == 0 || seq == 1;
        if index == 0 {
            self.forgotten = Some((boot, seq - 1));
        } else {
            self.forgotten = Some((boot, seq));
            let all_versions_known = self.later_version == 0;
            self.judged_from = all_versions_known.then(|| seq.saturating_add(OUTCOME_REACH));
        }
    }

    /// Nothing that was seen explains the gaps, and what was not seen might.
    fn leave_gaps(&mut self) {
        self.seen.unjudged = self.seen.unjudged.saturating_add(self.gaps.take());
    }

    fn lose_track(&mut self) {
        self.leave_gaps();
        self.claimed.clear();
        self.owed.clear();
        self.last = None;
    }

    /// The numbers from `next` on up to, but without, this one are missing.
    fn skip_to(&mut self, number: u64, boot: u32, before: u64) {
        if self.next >= number {
            return;
        }
        let gap_from =
            if self.judged { self.next } else { self.judged_from.unwrap_or(number).clamp(self.next, number) };
        if gap_from < number {
            self.gaps.add(Gap { boot, first: gap_from, last: number - 1, before });
        }
        if gap_from > self.next {
            self.seen.unjudged = self.seen.unjudged.saturating_add(gap_from - self.next);
            // What is missing without being a gap may be a lost request, whose outcome then comes.
            self.forgotten = self.forgotten.max(Some((boot, gap_from - 1)));
        }
    }

    /// A boot's last number may be that of an outcome.
    fn close_boot(&mut self, index: u64, boot: u32) -> Result<(), Finding> {
        while let Some(Reverse(owed)) = self.owed.pop() {
            if owed < self.next {
                return Err(twice_the_outcome(Some(index), boot, owed));
            }
            self.skip_to(owed, boot, index);
            self.next = owed + 1;
        }
        Ok(())
    }

    /// A `recovery` leaf explains gaps. What it names may stand in the log all the same: the journal's frame of an outcome may be
    /// damaged after it was sealed with its request.
    fn account(&mut self, head: &Head, of_boot: u32, lost: &[(u64, u64)], unconfirmed: &[(u64, u64)]) {
        if of_boot < head.record.boot {
            for &(first, last) in lost.iter().chain(unconfirmed) {
                self.gaps.remove(of_boot, first, last);
                // What is explained is no longer asked about; nor can a later leaf claim it, for it is in no gap any more.
                while let Some(&claimed) = self.claimed.range((of_boot, first)..=(of_boot, last)).next() {
                    self.claimed.remove(&claimed);
                }
            }
        }
        let count = |ranges: &[(u64, u64)]| {
            ranges.iter().fold(0_u64, |sum, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
        };
        self.seen.declared_lost = self.seen.declared_lost.saturating_add(count(lost));
        self.seen.declared_unconfirmed = self.seen.declared_unconfirmed.saturating_add(count(unconfirmed));
    }
}

/// `leaf`: by which it is known at last; at the end of what was looked at there is none.
fn twice_the_outcome(leaf: Option<u64>, boot: u32, seq: u64) -> Finding {
    let place = Place { leaf, record: Some(Record { boot, seq }), ..Place::default() };
    let why = format!("Two leaves of boot {boot} give {seq} as the number of their outcome.");
    Finding::new(What::Inserted, place, why)
}

pub(crate) fn at_leaf(what: What, index: u64, head: &Head, why: impl Into<String>) -> Finding {
    let place = Place { leaf: Some(index), record: Some(head.record), at: Some(head.at), ..Place::default() };
    Finding::new(what, place, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(order: &mut Order, index: u64, leaf: &str) -> Result<(), Finding> {
        let (numbers, fields) = leaf.split_once(' ').unwrap();
        let leaf = format!("{{{numbers},\"at\":1,\"salt\":\"0011223344556677\"{fields}}}\n");
        order.push(index, &Leaf::parse(leaf.as_bytes()).unwrap())
    }

    /// A log whose request 2 was lost, and its outcome was not.
    fn with_a_lost_request() -> Order {
        let mut order = Order::default();
        push(&mut order, 0, "\"v\":1,\"boot\":1,\"seq\":1,\"kind\":\"heartbeat\" ").unwrap();
        push(&mut order, 1, "\"v\":1,\"boot\":1,\"seq\":3,\"kind\":\"outcome\" ,\"of\":[1,2]").unwrap();
        order
    }

    const AGAIN: &str = "\"v\":1,\"boot\":1,\"seq\":4,\"kind\":\"outcome\" ,\"of\":[1,2]";
    const RECOVERY: &str = "\"v\":1,\"boot\":2,\"seq\":1,\"kind\":\"recovery\" ,\"of_boot\":1,\"lost\":[[2,2]]";

    #[test]
    fn what_a_state_keeps_of_a_lost_request() {
        let json = serde_json::to_value(with_a_lost_request()).unwrap();
        let taken_up = || serde_json::from_value::<Order>(json.clone()).unwrap();
        assert_eq!(push(&mut taken_up(), 2, AGAIN).unwrap_err().what, What::NotInForm);
        let mut order = taken_up();
        assert_eq!(order.clone().finish(true).unwrap_err().what, What::SequenceGap);
        push(&mut order, 2, RECOVERY).unwrap();
        order.finish(true).unwrap();
        assert!(order.claimed.is_empty());
    }
}
