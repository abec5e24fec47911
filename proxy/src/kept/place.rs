//! One place: what is due there, brought, remembered, counted and told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audit::kept::{Contradiction, HiddenUrl, How, KeptKind, Receipt, Shelf, State, Target};
use audit::{AuditError, Checkpoint, LogFolder};
use serde_json::Map;
use tokio::sync::Mutex;

use super::folder::{Folder, Found};
use super::mail::Mailer;
use super::timestamp::Stamper;
use super::webhook::Caller;
use super::witness::Witnessed;
use crate::control::{Actor, change};
use crate::forward::RootsError;
use crate::gate::Gate;

/// A place keeps a checkpoint.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) receipt: Option<Receipt>,
    /// What the place said, in words for people.
    pub(super) word: String,
}

/// It could not be brought.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    No(String),
    #[error("{0}")]
    Contradicted(#[from] Contradiction),
}

impl Failure {
    pub(super) fn no(why: impl std::fmt::Display) -> Self {
        Self::No(super::one_line(&why.to_string()))
    }

    /// Of the address only the host: what follows may be a secret.
    pub(super) fn unanswered(url: &HiddenUrl, error: impl std::fmt::Display) -> Self {
        Self::no(format!("{}: {error}", url.host()))
    }
}

/// Who goes there.
#[derive(Debug)]
enum Courier {
    Mail(Mailer),
    Webhook(Caller),
    File(Folder),
    Timestamp(Stamper),
    Witness(Witnessed),
}

/// What became of a visit.
#[derive(Debug)]
pub(super) enum Told {
    Kept {
        size: u64,
        word: String,
    },
    There {
        size: u64,
    },
    /// There is no checkpoint yet.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Place {
    target: Target,
    every: Duration,
    courier: Courier,
    log: LogFolder,
    shelf: Shelf,
    /// Held while somebody goes there: one at a time.
    state: Mutex<State>,
    gate: Arc<Gate>,
}

impl Place {
    pub(super) fn new(
        target: Target,
        every: Duration,
        log: &LogFolder,
        kept: &Path,
        gate: Arc<Gate>,
    ) -> Result<Self, RootsError> {
        let resolver = &gate.resolver;
        let courier = match &target.how {
            How::Mail(mail) => Courier::Mail(Mailer::new(&target.id, mail.clone(), resolver)?),
            How::Webhook(webhook) => Courier::Webhook(Caller::new(webhook.clone(), resolver)?),
            How::File(folder) => Courier::File(Folder::new(folder, log.path())),
            How::Timestamp(authority) => Courier::Timestamp(Stamper::new(authority.clone(), resolver)?),
            How::Witness(witness) => Courier::Witness(Witnessed::new(witness.clone(), log.clone(), resolver)?),
        };
        let shelf = Shelf::new(kept, &target.id);
        let state = shelf.load().unwrap_or_else(|error| {
            tracing::error!(place = target.id, %error, "what is known of this place is lost; it is begun anew");
            State::default()
        });
        let place = Self { target, every, courier, log: log.clone(), shelf, state: Mutex::default(), gate };
        place.measure(&state);
        place.gate.metrics.checkpoint_failures.with_label_values(&[place.id()]).inc_by(0);
        // One that stands from before goes on being told.
        let known = u64::from(state.contradiction.is_some());
        place.gate.metrics.checkpoint_contradictions.with_label_values(&[place.id()]).inc_by(known);
        Ok(Self { state: Mutex::new(state), ..place })
    }

    pub(super) fn id(&self) -> &str {
        &self.target.id
    }

    pub(super) fn kind(&self) -> KeptKind {
        self.target.kind()
    }

    pub(super) async fn is_failing(&self) -> bool {
        self.state.lock().await.pending.as_ref().is_some_and(|pending| pending.error.is_some())
    }

    /// Goes there if it is time.
    pub(super) async fn when_due(&self) {
        let mut state = self.state.lock().await;
        if let Some(found) = state.unrecorded.take() {
            self.contradicted(&mut state, found).await;
            self.store_or_tell(&state).await;
        }
        if !state.is_time(self.every, self.gate.core.now()) {
            return;
        }
        let Some(newest) = self.newest().await else { return };
        if let Some(checkpoint) = state.due(&newest, self.every, self.gate.core.now()) {
            // Told, counted and remembered.
            let _ = self.bring(&mut state, &checkpoint).await;
        }
    }

    /// Goes there now with the newest checkpoint, unless it is there.
    pub(super) async fn now(&self) -> Result<Told, String> {
        let mut state = self.state.lock().await;
        let Some(newest) = self.newest().await else { return Ok(Told::Nothing) };
        if state.has(&newest) {
            return Ok(Told::There { size: newest.size });
        }
        let checkpoint = state.take(&newest, self.gate.core.now());
        let word = self.bring(&mut state, &checkpoint).await.map_err(|failure| failure.to_string())?;
        Ok(Told::Kept { size: checkpoint.size, word })
    }

    async fn bring(&self, state: &mut State, checkpoint: &Checkpoint) -> Result<String, Failure> {
        // Before anything is sent: whoever starts again after a crash knows that it was on its way.
        self.store(state).await.map_err(Failure::no)?;
        let own = self.against_what_is_kept(state, checkpoint).await;
        if let Some(contradiction) = own {
            self.contradicted(state, contradiction).await;
        }
        let brought = match tokio::time::timeout(self.target.timeout, self.visit(state, checkpoint)).await {
            Ok(brought) => brought,
            Err(_) => Err(Failure::No(format!("no answer within {} s", self.target.timeout.as_secs()))),
        };
        let kept = match brought {
            Ok(Brought { receipt, word }) => self.keep(checkpoint, receipt).await.map(|receipt| (receipt, word)),
            Err(failure) => Err(failure),
        };
        let (id, now) = (self.id(), self.gate.core.now());
        let result = match kept {
            Ok((receipt, word)) => {
                state.succeeded(checkpoint, receipt, word.clone(), now);
                tracing::info!(place = id, size = checkpoint.size, "a checkpoint is kept");
                Ok(word)
            }
            Err(failure) => {
                self.gate.metrics.checkpoint_failures.with_label_values(&[id]).inc();
                if let Failure::Contradicted(contradiction) = &failure {
                    self.contradicted(state, *contradiction).await;
                }
                state.failed(failure.to_string(), self.every, now);
                tracing::warn!(place = id, size = checkpoint.size, %failure, "a checkpoint could not be brought");
                Err(failure)
            }
        };
        self.measure(state);
        self.store_or_tell(state).await;
        result
    }

    async fn visit(&self, state: &mut State, checkpoint: &Checkpoint) -> Result<Brought, Failure> {
        match &self.courier {
            Courier::Mail(mailer) => mailer.bring(checkpoint).await,
            Courier::Webhook(caller) => caller.bring(checkpoint).await,
            Courier::File(folder) => {
                let Found { brought, apart, contradiction } = folder.bring(checkpoint, state.apart).await?;
                state.apart |= apart;
                if let Some(contradiction) = contradiction {
                    self.contradicted(state, contradiction).await;
                }
                Ok(brought)
            }
            Courier::Timestamp(stamper) => stamper.bring(checkpoint).await,
            Courier::Witness(witnessed) => {
                witnessed.bring(checkpoint, state.kept.as_ref().map_or(0, |kept| kept.size)).await
            }
        }
    }

    async fn keep(&self, checkpoint: &Checkpoint, receipt: Option<Receipt>) -> Result<Option<String>, Failure> {
        let Some(receipt) = receipt else { return Ok(None) };
        let (shelf, checkpoint, now) = (self.shelf.clone(), checkpoint.clone(), self.gate.core.now());
        let kept = tokio::task::spawn_blocking(move || shelf.keep(&checkpoint, &receipt, now)).await;
        kept.map_err(Failure::no)?.map(Some).map_err(Failure::no)
    }

    /// The log, against what this place confirmed before.
    async fn against_what_is_kept(&self, state: &State, checkpoint: &Checkpoint) -> Option<Contradiction> {
        let (state, checkpoint, log) = (state.clone(), checkpoint.clone(), self.log.clone());
        let looked = tokio::task::spawn_blocking(move || {
            state.contradicted_by(&checkpoint, |size| log.hashes(checkpoint.size).root_at(size))
        });
        match looked.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::error!(place = self.id(), %error, "the log could not be compared with what is kept");
                None
            }
            Err(_) => None,
        }
    }

    /// Loud, recorded and counted; once for each size that is vouched for.
    async fn contradicted(&self, state: &mut State, found: Contradiction) {
        let known = |known: Contradiction| known.as_str() == found.as_str() && known.held() == found.held();
        if state.contradiction.is_some_and(known) {
            return;
        }
        tracing::error!(place = self.id(), "{found}");
        self.gate.metrics.checkpoint_contradictions.with_label_values(&[self.id()]).inc();
        let actor = Actor { who: "gate".to_owned(), channel: "gate" };
        let details = match serde_json::to_value(found) {
            Ok(serde_json::Value::Object(details)) => details,
            _ => Map::new(),
        };
        match change(&self.gate.core, &actor, "checkpoint-contradicted", self.id(), details).await {
            Ok(()) => state.contradiction = Some(found),
            Err(_) if self.gate.core.journal.is_closed() => {
                state.unrecorded = Some(found);
                tracing::warn!(place = self.id(), "the gate is stopping; this is recorded when it is started again");
            }
            // Told again, and tried again, with the next visit.
            Err(error) => tracing::error!(place = self.id(), ?error, "this could not be recorded"),
        }
    }

    async fn newest(&self) -> Option<Checkpoint> {
        let log = self.log.clone();
        match tokio::task::spawn_blocking(move || log.checkpoint()).await {
            Ok(Ok(newest)) => newest,
            Ok(Err(error)) => {
                tracing::error!(place = self.id(), %error, "the newest checkpoint can't be read");
                None
            }
            Err(_) => None,
        }
    }

    async fn store(&self, state: &State) -> Result<(), AuditError> {
        let (shelf, state) = (self.shelf.clone(), state.clone());
        // A task that was cancelled belongs to a runtime that ends.
        tokio::task::spawn_blocking(move || shelf.store(&state)).await.unwrap_or(Ok(()))
    }

    async fn store_or_tell(&self, state: &State) {
        if let Err(error) = self.store(state).await {
            tracing::error!(place = self.id(), %error, "what is known of this place could not be written down");
        }
    }

    fn measure(&self, state: &State) {
        let kept = state.kept.as_ref();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (at, size) = (kept.map_or(0, |kept| kept.at.secs()) as f64, kept.map_or(0, |kept| kept.size) as f64);
        self.gate.metrics.checkpoint_kept.with_label_values(&[self.id()]).set(at);
        self.gate.metrics.checkpoint_kept_size.with_label_values(&[self.id()]).set(size);
    }
}
