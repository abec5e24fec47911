//! When what has been kept long enough is dropped: it is looked for once a day, in parts so that sealing goes on; then it is
//! recorded, then the record is sealed, then it goes.

use std::ops::Range;
use std::time::{Duration, Instant};

use vocabulary::{Clock as _, SystemClock, Timestamp};

use super::indexing::Indexing;
use super::keeping::Overdue;
use super::retention::{Due, HOLE_SECS, Look, SETTLED_SECS};
use super::work::Work;
use crate::{AuditError, Journal, Position, Record};

/// How often it is looked whether a month is over.
const DAILY: Duration = Duration::from_secs(86_400);
/// How long the sealing is held up at most.
const TURN: Duration = Duration::from_millis(300);

/// Where dropping stands.
#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    Looking(Look, Timestamp),
    /// The record of it stands there, and may not be sealed yet.
    Recorded(Due, Position),
    /// These bundles have yet to go.
    Dropping(Range<u64>),
}

#[derive(Debug)]
pub(super) struct Retaining {
    looked: Option<Instant>,
    /// Not before; none: at once.
    rests_until: Option<Instant>,
    /// It has to be said why it rests, should anything be due.
    untold: bool,
    stage: Stage,
}

impl Retaining {
    /// `sealed`: when the last run sealed for the last time. If that is long ago, the clock may be wrong, and be set right only
    /// after the start, again and again: what it drops meanwhile would be gone.
    pub(super) fn new(sealed: Timestamp) -> Self {
        let leapt = SystemClock.now().secs_since(sealed) > HOLE_SECS;
        let rests_until = leapt.then(|| Instant::now() + Duration::from_secs(SETTLED_SECS.unsigned_abs()));
        Self { looked: None, rests_until, untold: leapt, stage: Stage::Idle }
    }

    /// Goes on for a moment. True: there is more to do at once.
    pub(super) fn turn(
        &mut self,
        work: &mut Work,
        journal: &Journal,
        indexing: &mut Indexing,
    ) -> Result<bool, AuditError> {
        self.stage = self.step(work, journal, indexing).inspect_err(|_| {
            // It begins anew, tomorrow.
            self.looked = Some(Instant::now());
        })?;
        Ok(matches!(self.stage, Stage::Looking(..) | Stage::Dropping(..)))
    }

    fn step(&mut self, work: &mut Work, journal: &Journal, indexing: &mut Indexing) -> Result<Stage, AuditError> {
        let until = Instant::now() + TURN;
        match std::mem::take(&mut self.stage) {
            Stage::Idle => {
                let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
                let now = SystemClock.now();
                if rests
                    && std::mem::take(&mut self.untold)
                    && let Some(overdue) = work.overdue(now)?
                {
                    tracing::info!(
                        before = %overdue.before,
                        "records are older than they are to be kept, and stay for now: the last run sealed more than ten days ago, \
                         so the clock may be wrong. They are dropped a week after this start"
                    );
                }
                if rests || self.looked.is_some_and(|looked| looked.elapsed() < DAILY) {
                    return Ok(Stage::Idle);
                }
                if let Some(bundles) = work.left_over()? {
                    return Ok(Stage::Dropping(bundles));
                }
                if let Some(until) = work.keeping_rests_until(now)? {
                    if let Some(Overdue { before, months, .. }) = work.overdue(now)? {
                        tracing::warn!(
                            %before, months, from = %until, keep_months = work.parts.options.keep_months,
                            "audit.log.keep_months is new, or lower than it was: records of so many months are dropped for good from \
                             then on; raise it before if they are to stay"
                        );
                    }
                    let secs = u64::try_from(until.secs_since(now)).unwrap_or(0) + 1;
                    self.rests_until = Some(Instant::now() + Duration::from_secs(secs));
                    return Ok(Stage::Idle);
                }
                self.looked = Some(Instant::now());
                Ok(work.look_for_due(now)?.map_or(Stage::Idle, |look| Stage::Looking(look, now)))
            }
            Stage::Looking(mut look, now) => {
                let log = work.folder();
                while look.go_on(&log)? {
                    if Instant::now() >= until {
                        return Ok(Stage::Looking(look, now));
                    }
                }
                let Some(due) = look.found(&log, now)? else { return Ok(Stage::Idle) };
                let at = journal.append_blocking(now, &Record::Retention(due.record.clone()))?;
                Ok(Stage::Recorded(due, at))
            }
            Stage::Recorded(due, at) => {
                let after = &work.plan.after;
                if (at.boot, at.seq) >= (after.boot, after.next_seq) {
                    return Ok(Stage::Recorded(due, at));
                }
                work.begin_to_drop(&due)?;
                indexing.drop_before(due.record.dropped_to)?;
                Ok(Stage::Dropping(due.from..due.to))
            }
            Stage::Dropping(bundles) => {
                let left = work.remove_dropped(bundles, until)?;
                Ok(if left.is_empty() { Stage::Idle } else { Stage::Dropping(left) })
            }
        }
    }
}
