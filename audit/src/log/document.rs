//! The `audit.log` part of the configuration: how records are sealed, and how long they are kept.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{DocumentError, Span};

use super::sealer::SealOptions;

/// The log that records are sealed into, for anybody to verify.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogDocument {
    /// The log's name in its checkpoints and keys, for good: it can't change once there is a log. No white space and no
    /// `+`. Default `<gateway.domain>/audit`.
    pub origin: Option<String>,
    /// The file with the key that signs checkpoints, readable by the gateway alone. Default `audit/log.key` in the data
    /// folder, made at the first start.
    pub key_file: Option<PathBuf>,
    /// A second key that signs every checkpoint too, such as one that is kept apart from the data; made with
    /// `sekisho audit new-key`. Default: none.
    pub second_key_file: Option<PathBuf>,
    /// How often a checkpoint is signed while records come. `1s` to `1m`, default `5s`.
    pub seal_every: Option<Span>,
    /// How many whole months records are kept. The month that runs is not counted. `1` to `1200`, default `60`.
    #[schemars(range(min = 1, max = 1_200))]
    pub keep_months: Option<u32>,
}

/// `audit.log`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub origin: String,
    /// None: in the data folder.
    pub key_file: Option<PathBuf>,
    pub second_key_file: Option<PathBuf>,
    pub seal: SealOptions,
}

impl LogDocument {
    /// Fills in what is not written.
    ///
    /// # Errors
    /// All values that are out of their range, with paths from the whole configuration's root.
    pub fn resolve(&self, domain: &str) -> Result<LogSettings, Vec<DocumentError>> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, value: String, what: &str| {
            problems.push(DocumentError::new(["audit".into(), "log".into(), key.into()], value, what));
        };
        let origin = self.origin.clone().unwrap_or_else(|| format!("{domain}/audit"));
        if origin.is_empty() || origin.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
            problem("origin", origin.clone(), "must be one word without `+`, such as gw.example.jp/audit");
        }
        let mut seal = SealOptions::default();
        if let Some(every) = self.seal_every {
            if !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&every.0) {
                problem("seal_every", every.to_string(), "is not between 1s and 1m");
            }
            seal.every = every.0;
        }
        if let Some(months) = self.keep_months {
            if !(1..=1_200).contains(&months) {
                problem("keep_months", months.to_string(), "is not between 1 and 1200");
            }
            seal.keep_months = months;
        }
        let (key_file, second_key_file) = (self.key_file.clone(), self.second_key_file.clone());
        match problems.is_empty() {
            true => Ok(LogSettings { origin, key_file, second_key_file, seal }),
            false => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_a_good_one_and_wrong_values_are_told_at_once() {
        let settings = LogDocument::default().resolve("gw.example").unwrap();
        assert_eq!((settings.origin.as_str(), settings.seal.keep_months), ("gw.example/audit", 60));
        assert_eq!(settings.seal, SealOptions::default());
        let written = r#"{"origin": "two words", "seal_every": "2m", "keep_months": 0}"#;
        let document: LogDocument = serde_json::from_str(written).unwrap();
        let problems = document.resolve("gw.example").unwrap_err();
        let paths: Vec<_> = problems.iter().map(|p| vocabulary::DisplayPath(&p.path).to_string()).collect();
        assert_eq!(paths, ["audit.log.origin", "audit.log.seal_every", "audit.log.keep_months"]);
    }
}
