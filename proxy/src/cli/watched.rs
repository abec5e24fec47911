//! Looking at the record is itself recorded, before anything is shown.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, ensure};
use config::Settings;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::control::{self, Actor, ClientError, Command, Reply};
use crate::core::{audit_path, record_alone, socket_path};

/// Who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    ByTheGate,
    /// No gate is running.
    WithoutIt,
}

/// What was asked for, as the record of it has it.
#[derive(Debug, Default)]
pub(super) struct Asked(Map<String, Value>);

impl Asked {
    /// Nothing is noted of what was not given.
    pub(super) fn note(mut self, key: &str, value: Option<impl Serialize>) -> Self {
        if let Some(value) = value
            && let Ok(value) = serde_json::to_value(value)
        {
            self.0.insert(key.to_owned(), value);
        }
        self
    }

    pub(super) fn flag(self, key: &str, given: bool) -> Self {
        self.note(key, given.then_some(true))
    }

    pub(super) fn as_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// Records it durably: over the running gate's socket, or, with none running, under its lock.
    pub(super) fn record(&self, settings: &Settings, what: &str) -> anyhow::Result<Recorded> {
        there_is_a_record(settings)?;
        let done = || -> anyhow::Result<Recorded> {
            let command = Command::AuditReading { what: what.to_owned(), filter: self.0.clone() };
            match control::ask(&socket_path(&settings.gateway.data), &command) {
                Ok(Reply::Done(_)) => Ok(Recorded::ByTheGate),
                Ok(Reply::Refused(why) | Reply::Failed(why)) => anyhow::bail!("{why}"),
                Err(ClientError::NotRunning) => {
                    let actor = Actor::offline(rustix::process::geteuid().as_raw());
                    record_alone(settings, &control::reading(&actor, what.to_owned(), self.0.clone()))?;
                    Ok(Recorded::WithoutIt)
                }
                Err(error) => Err(error.into()),
            }
        };
        done().context("nothing is shown, because that somebody looks at the record could not be recorded")
    }
}

/// Another folder than the gate's looks like one in which nothing was recorded yet, so it is told apart first.
pub(super) fn there_is_a_record(settings: &Settings) -> anyhow::Result<()> {
    let data = &settings.gateway.data;
    let there = |path: &Path| path.try_exists().with_context(|| format!("{} can't be looked into", path.display()));
    let named = "`gateway.data` in the configuration (--config) names it";
    ensure!(there(data)?, "the data folder {} does not exist; {named}", data.display());
    ensure!(
        there(&audit_path(data))?,
        "the data folder {} holds no record: no gate has run with it; {named}",
        data.display()
    );
    Ok(())
}

/// An address, or a network as `203.0.113.0/24`.
pub(super) fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let address = IpAddr::from_str(text).map(|address| ipnet::IpNet::from(address.to_canonical()));
    address
        .or_else(|_| ipnet::IpNet::from_str(text).map(|net| net.trunc()))
        .map_err(|_| "it is neither an address nor a network, such as 203.0.113.10 or 203.0.113.0/24".to_owned())
}
