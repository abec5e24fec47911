//! Bringing checkpoints to where they are kept elsewhere: a task for each place, which outlives failures of all others.
//!
//! ```text
//! <data>/audit/log/checkpoint ─→ place.rs ─→ mail.rs, webhook.rs, folder.rs, timestamp.rs, witness.rs
//!                                   ↕
//!                       <data>/audit/kept/<id>/
//! ```
//!
//! When a place is due, and what is remembered of it, is said in `audit::kept`.

mod advice;
mod folder;
mod mail;
mod place;
mod timestamp;
mod webhook;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use audit::LogFolder;
use config::Settings;
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub(crate) use advice::{NOBODY, advice};
use place::{Place, Told};

use crate::core::{kept_path, log_path};
use crate::forward::RootsError;
use crate::gate::Gate;

/// How often it is looked whether a place is due.
const LOOK: Duration = Duration::from_secs(1);
/// How long the end of the gate waits for the last checkpoint to be kept.
const FAREWELL: Duration = Duration::from_secs(5);

/// The places of a configuration.
#[derive(Debug)]
pub(crate) struct Keeping {
    places: Vec<Arc<Place>>,
}

impl Keeping {
    /// Reads what is known of each place. Blocks.
    pub(crate) fn new(settings: &Settings, gate: &Arc<Gate>) -> Result<Self, RootsError> {
        let (data, checkpoints) = (&settings.gateway.data, &settings.audit.checkpoints);
        let (log, kept) = (LogFolder::new(&log_path(data)), kept_path(data));
        let place = |target: &audit::kept::Target| {
            Place::new(target.clone(), checkpoints.every, &log, &kept, gate.clone()).map(Arc::new)
        };
        Ok(Self { places: checkpoints.targets.iter().map(place).collect::<Result<_, _>>()? })
    }

    /// Begins to bring checkpoints, each place for itself, until the runtime ends.
    pub(crate) fn begin(&self) {
        for place in &self.places {
            let place = place.clone();
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(LOOK);
                ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    place.when_due().await;
                }
            });
        }
    }

    /// Brings the newest checkpoint everywhere now; a row for each place, in the order of the configuration.
    pub(crate) async fn send_now(&self) -> Vec<Value> {
        let mut going = JoinSet::new();
        for (index, place) in self.places.iter().cloned().enumerate() {
            going.spawn(async move { (index, row(&place, place.now().await)) });
        }
        let mut rows = going.join_all().await;
        rows.sort_by_key(|(index, _)| *index);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// The last checkpoint, once nothing is recorded any more: what lies between two visits would else be in the hands
    /// of who holds the machine while the gate is off. Places that fail are not waited for.
    pub(crate) async fn farewell(&self) {
        let mut going = JoinSet::new();
        for place in &self.places {
            let place = place.clone();
            going.spawn(async move {
                if !place.is_failing().await {
                    let _ = place.now().await;
                }
            });
        }
        let _ = tokio::time::timeout(FAREWELL, going.join_all()).await;
    }
}

fn row(place: &Place, told: Result<Told, String>) -> Value {
    let (result, size, word) = match told {
        Ok(Told::Kept { size, word }) => ("kept", Some(size), word),
        Ok(Told::There { size }) => ("there", Some(size), "has it already".to_owned()),
        Ok(Told::Nothing) => ("nothing", None, "nothing was sealed yet".to_owned()),
        Err(why) => ("failed", None, why),
    };
    json!({ "id": place.id(), "kind": place.kind().as_str(), "result": result, "size": size, "word": word })
}

/// What others wrote, on one line and not much of it: it goes to logs and screens.
fn one_line(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    spaced.take(300).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}
