//! When a place is due, and what is known of it. A small file that outlives restarts: nothing goes out twice for one
//! stretch of time, and nothing that could not be brought is forgotten.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vocabulary::Timestamp;

use crate::{Checkpoint, Hash};

/// The first attempt after one that failed; doubled each time.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// No longer than this, nor than until the next one is due anyway.
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);
/// How far a clock may have been set back without everything being due at once.
const CLOCK_LEEWAY_SECS: i64 = 5 * 60;
/// How late something may be that is not called overdue yet: it is retried within.
const GRACE: Duration = Duration::from_secs(5 * 60);

/// What is known of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The newest checkpoint that is kept there.
    pub kept: Option<Kept>,
    /// The one that is to be brought there. It stands here before anything is sent.
    pub pending: Option<Pending>,
    /// The log once did not go on from what is kept there.
    pub contradiction: Option<Contradiction>,
    /// One that could not be recorded when it was found: the gate was stopping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<Contradiction>,
    /// A folder that once lay on another file system than the data.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub apart: bool,
}

/// A checkpoint that is kept in a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub size: u64,
    /// Base64.
    pub root: String,
    /// When the place confirmed it.
    pub at: Timestamp,
    /// The checkpoint with what the place gave back, below the place's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// What the place said, in words for people.
    pub word: String,
}

/// A checkpoint on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The whole note.
    pub note: String,
    /// When it was taken.
    pub since: Timestamp,
    /// Attempts that failed since the last that succeeded, whichever checkpoint they were for.
    pub tries: u32,
    /// When it is tried next.
    pub next: Timestamp,
    /// Since when attempts fail, whichever checkpoint they were for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How the log contradicts what was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Contradiction {
    #[error(
        "the log has {size} records, but {held} had been vouched for: the log was rolled back, by restoring an old copy \
         or by somebody who removed records"
    )]
    RolledBack { held: u64, size: u64 },
    #[error(
        "the log's first {held} records are not those that had been vouched for: the log was rewritten, or another one \
         goes by the same name"
    )]
    Forked { held: u64, size: u64 },
}

impl Contradiction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RolledBack { .. } => "rolled-back",
            Self::Forked { .. } => "forked",
        }
    }

    /// How many records the place vouches for.
    pub const fn held(self) -> u64 {
        match self {
            Self::RolledBack { held, .. } | Self::Forked { held, .. } => held,
        }
    }
}

impl State {
    /// Whether something may be due: cheaper to ask than [`State::due`], which wants the newest checkpoint read.
    pub fn is_time(&self, every: Duration, now: Timestamp) -> bool {
        match (&self.pending, &self.kept) {
            (Some(pending), _) => now >= pending.next || set_back(pending.since, now),
            (None, Some(kept)) => passed(kept.at, every, now),
            (None, None) => true,
        }
    }

    /// What is to be brought now, if anything: what could not be brought, once its wait is over, or `newest` when the
    /// last one was brought `every` ago. The state must be stored before it is sent.
    pub fn due(&mut self, newest: &Checkpoint, every: Duration, now: Timestamp) -> Option<Checkpoint> {
        let is_time = self.is_time(every, now);
        if let Some(pending) = &self.pending {
            if passed(pending.since, every, now) && pending.note != newest.as_str() {
                // A newer one takes its place; the wait goes on.
                let note = newest.as_str().to_owned();
                self.pending = Some(Pending { note, since: now, ..pending.clone() });
            }
            return is_time.then(|| self.pending_checkpoint()).flatten();
        }
        (is_time && !self.has(newest)).then(|| self.take(newest, now))
    }

    /// Makes `newest` the one that is brought now, whether or not it is time.
    pub fn take(&mut self, newest: &Checkpoint, now: Timestamp) -> Checkpoint {
        let note = newest.as_str().to_owned();
        let first = Pending { note: String::new(), since: now, tries: 0, next: now, failing_since: None, error: None };
        self.pending = Some(Pending { note, since: now, next: now, ..self.pending.take().unwrap_or(first) });
        newest.clone()
    }

    /// The place has it.
    pub fn succeeded(&mut self, checkpoint: &Checkpoint, receipt: Option<String>, word: String, now: Timestamp) {
        let (size, root) = (checkpoint.size, checkpoint.root.to_string());
        self.kept = Some(Kept { size, root, at: now, receipt, word });
        self.pending = None;
    }

    /// It did not work, for the reason told; when it is tried again.
    pub fn failed(&mut self, error: String, every: Duration, now: Timestamp) {
        let Some(pending) = &mut self.pending else { return };
        pending.tries = pending.tries.saturating_add(1);
        let wait = FIRST_RETRY.saturating_mul(1 << (pending.tries - 1).min(16));
        pending.next = now.plus_secs(secs(wait.min(LONGEST_RETRY).min(every)));
        pending.failing_since.get_or_insert(now);
        pending.error = Some(error);
    }

    /// Whether this very checkpoint is kept there.
    pub fn has(&self, checkpoint: &Checkpoint) -> bool {
        let same = |kept: &Kept| kept.size == checkpoint.size && kept.root == checkpoint.root.to_string();
        self.kept.as_ref().is_some_and(same)
    }

    /// There is something newer than what is kept there, and has been for too long.
    pub fn is_overdue(&self, newest: Option<&Checkpoint>, every: Duration, now: Timestamp) -> bool {
        if newest.is_none_or(|newest| self.has(newest)) {
            return false;
        }
        match &self.kept {
            Some(kept) => passed(kept.at, every.saturating_add(GRACE), now),
            None => {
                let since = self.pending.as_ref().and_then(|pending| pending.failing_since);
                since.is_some_and(|since| passed(since, GRACE, now))
            }
        }
    }

    /// Whether the log still goes on from what is kept there. `root_at` is asked for the root of the log's first so
    /// many records.
    ///
    /// # Errors
    /// The root can't be computed.
    pub fn contradicted_by<E>(
        &self,
        newest: &Checkpoint,
        root_at: impl FnOnce(u64) -> Result<Hash, E>,
    ) -> Result<Option<Contradiction>, E> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let (held, size) = (kept.size, newest.size);
        if held > size {
            return Ok(Some(Contradiction::RolledBack { held, size }));
        }
        let root = if held == size { newest.root } else { root_at(held)? };
        Ok((root.to_string() != kept.root).then_some(Contradiction::Forked { held, size }))
    }

    fn pending_checkpoint(&self) -> Option<Checkpoint> {
        Checkpoint::parse(&self.pending.as_ref()?.note).ok()
    }
}

/// Whether `span` has passed since then; a clock that was set back counts as that, or nothing would happen for long.
fn passed(since: Timestamp, span: Duration, now: Timestamp) -> bool {
    now >= since.plus_secs(secs(span)) || set_back(since, now)
}

fn set_back(since: Timestamp, now: Timestamp) -> bool {
    now.secs_since(since) < -CLOCK_LEEWAY_SECS
}

fn secs(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    const HOUR: Duration = Duration::from_secs(3600);

    fn checkpoint(size: u64) -> Checkpoint {
        let key = SigningKey::new("gw.example/audit", &[1; 32]).unwrap();
        Checkpoint::sign(&[key], size, Hash::leaf(&size.to_be_bytes()))
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_793_500_000 + secs)
    }

    fn kept(size: u64, secs: i64) -> State {
        let mut state = State::default();
        state.take(&checkpoint(size), at(secs));
        state.succeeded(&checkpoint(size), None, String::new(), at(secs));
        state
    }

    #[test]
    fn the_newest_goes_out_at_once_and_then_once_an_hour() {
        let mut state = State::default();
        assert_eq!(state.due(&checkpoint(5), HOUR, at(0)), Some(checkpoint(5)));
        state.succeeded(&checkpoint(5), None, "ok".to_owned(), at(1));
        // As after a restart.
        state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(state.due(&checkpoint(9), HOUR, at(3600)), None);
        assert_eq!(state.due(&checkpoint(9), HOUR, at(3601)), Some(checkpoint(9)));
        state.succeeded(&checkpoint(9), None, "ok".to_owned(), at(3602));
        assert_eq!(state.due(&checkpoint(9), HOUR, at(9_000)), None, "nothing new");
        assert_eq!(state.due(&checkpoint(10), HOUR, at(9_001)), Some(checkpoint(10)));
    }

    #[test]
    fn what_failed_is_tried_again_later_and_later_until_a_newer_one_takes_its_place() {
        let mut state = State::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..10 {
            assert_eq!(state.due(&checkpoint(7), HOUR, at(now)), Some(checkpoint(7)), "{now}");
            state.failed("down".to_owned(), HOUR, at(now));
            state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
            let next = state.pending.as_ref().unwrap().next.secs_since(at(0));
            assert_eq!(state.due(&checkpoint(8), HOUR, at(next - 1)), None);
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        // 3,075 s have passed: still the first one. After an hour, the newest.
        assert_eq!(state.due(&checkpoint(8), HOUR, at(3_599)), Some(checkpoint(7)));
        assert_eq!(state.due(&checkpoint(8), HOUR, at(3_600)), Some(checkpoint(8)));
        assert_eq!(state.pending.as_ref().unwrap().tries, 10, "the wait is not begun anew");
        state.failed("down".to_owned(), HOUR, at(3_600));
        assert_eq!(state.due(&checkpoint(9), HOUR, at(3_601)), None);
        state.succeeded(&checkpoint(8), None, String::new(), at(4_000));
        assert_eq!(state.pending, None);
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up() {
        let mut state = kept(5, 0);
        assert_eq!(state.due(&checkpoint(6), HOUR, at(-300)), None);
        assert_eq!(state.due(&checkpoint(6), HOUR, at(-301)), Some(checkpoint(6)));
        state.failed("down".to_owned(), HOUR, at(-301));
        assert_eq!(state.due(&checkpoint(6), HOUR, at(-10_000)), Some(checkpoint(6)));
    }

    #[test]
    fn overdue_is_what_should_have_been_brought_and_was_not() {
        let state = kept(5, 0);
        assert!(!state.is_overdue(Some(&checkpoint(5)), HOUR, at(1_000_000)), "nothing new");
        assert!(!state.is_overdue(Some(&checkpoint(6)), HOUR, at(3_899)));
        assert!(state.is_overdue(Some(&checkpoint(6)), HOUR, at(3_900)));
        let mut never = State::default();
        assert!(!never.is_overdue(Some(&checkpoint(6)), HOUR, at(0)) && !never.is_overdue(None, HOUR, at(0)));
        never.take(&checkpoint(6), at(0));
        never.failed("down".to_owned(), HOUR, at(0));
        assert!(!never.is_overdue(Some(&checkpoint(6)), HOUR, at(299)));
        never.take(&checkpoint(7), at(200));
        never.failed("down".to_owned(), HOUR, at(200));
        assert!(never.is_overdue(Some(&checkpoint(7)), HOUR, at(300)), "it has failed for five minutes");
    }

    #[test]
    fn a_log_that_does_not_go_on_from_what_is_kept_is_noticed() {
        let state = kept(5, 0);
        let right = |_| Ok::<_, ()>(Hash::leaf(&5u64.to_be_bytes()));
        let wrong = |_| Ok::<_, ()>(Hash::leaf(b"other"));
        assert_eq!(state.contradicted_by(&checkpoint(5), wrong), Ok(None), "its own root is asked nobody");
        assert_eq!(state.contradicted_by(&checkpoint(8), right), Ok(None));
        let forked = Some(Contradiction::Forked { held: 5, size: 8 });
        assert_eq!(state.contradicted_by(&checkpoint(8), wrong), Ok(forked));
        let key = SigningKey::new("gw.example/audit", &[1; 32]).unwrap();
        let other = Checkpoint::sign(&[key], 5, Hash::leaf(b"other"));
        assert_eq!(state.contradicted_by(&other, right), Ok(Some(Contradiction::Forked { held: 5, size: 5 })));
        let back = Some(Contradiction::RolledBack { held: 5, size: 4 });
        assert_eq!(state.contradicted_by(&checkpoint(4), right), Ok(back));
        assert_eq!(State::default().contradicted_by(&checkpoint(4), wrong), Ok(None));
    }
}
