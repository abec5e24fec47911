//! How a command reaches the state: over the running gate's socket, or, with none running, under its lock.

use std::sync::Arc;

use serde_json::Value;

use super::{ConfigFile, settings};
use crate::control::{self, Actor, ClientError, Command, Refused, Reply};
use crate::core::{Core, socket_path};

/// The gate said no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RefusedByGate(String);

impl RefusedByGate {
    pub(super) fn new(why: String) -> Self {
        Self(why)
    }
}

/// Carries a command out and returns what it answers.
pub(crate) fn carry_out(file: &ConfigFile, command: Command) -> anyhow::Result<Value> {
    let settings = settings(&file.config)?.settings;
    match control::ask(&socket_path(&settings.gateway.data), &command) {
        Ok(Reply::Done(value)) => Ok(value),
        Ok(Reply::Refused(why)) => Err(RefusedByGate(why).into()),
        Ok(Reply::Failed(why)) => anyhow::bail!("{why}"),
        Err(ClientError::NotRunning) => {
            let core = Arc::new(Core::open(&settings)?);
            let actor = Actor::offline(rustix::process::geteuid().as_raw());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let done = runtime.block_on(control::execute(&core, &actor, command));
            core.journal.clone().close()?;
            done.map_err(|error| match error {
                Refused::No(why) => RefusedByGate(why).into(),
                Refused::Failed(error) => error,
            })
        }
        Err(error) => Err(error.into()),
    }
}
