//! The `ca` part of the configuration, as written and as resolved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{DocumentError, Span};

use crate::profile::{DEVICE_VALIDITY, DEVICE_VALIDITY_MAX, SERVER_VALIDITY, SERVER_VALIDITY_MAX};
use crate::{CertError, Passphrase, Result};

/// The gateway's own certificate authority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaDocument {
    /// How long a device's certificate lives. Default `365d`, at most `1095d`. Shorter means that a lost device
    /// nobody reports is out sooner, and that people renew more often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_validity: Option<Span>,
    /// How long a certificate for the gateway's own hosts lives. Default `90d`, at most `397d`. It is renewed
    /// by itself after two thirds of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_validity: Option<Span>,
    /// The file that holds the passphrase of the CA keys, readable by the gateway alone. Excludes `credential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// The systemd credential that holds the passphrase of the CA keys. Default `sekisho-ca-passphrase`. Where there are
    /// no credentials and the gate is started at a terminal, it asks.
    /// Excludes `passphrase_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// The credential that is looked for when the configuration names none.
const CREDENTIAL: &str = "sekisho-ca-passphrase";

/// `ca`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaSettings {
    pub device_validity: Duration,
    pub server_validity: Duration,
    pub passphrase: PassphraseSource,
}

/// Where the passphrase of the CA keys comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassphraseSource {
    File(PathBuf),
    /// The name of a systemd credential.
    Credential(String),
}

impl CaDocument {
    /// Fills in the defaults and checks the values.
    ///
    /// # Errors
    /// Every problem at once, with paths from the whole document's root (`ca.…`).
    pub fn resolve(&self) -> std::result::Result<CaSettings, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let mut validity = |key: &str, written: Option<Span>, default: Duration, most: Duration| {
            let Some(span) = written else { return default };
            if span.0 < Duration::from_secs(60) || span.0 > most {
                let problem = format!("must lie between 1m and {}", Span(most));
                errors.push(DocumentError::new(["ca".into(), key.into()], span.to_string(), problem));
            }
            span.0
        };
        let device_validity = validity("device_validity", self.device_validity, DEVICE_VALIDITY, DEVICE_VALIDITY_MAX);
        let server_validity = validity("server_validity", self.server_validity, SERVER_VALIDITY, SERVER_VALIDITY_MAX);
        let mut error = |key: &str, value: &str, problem: &str| {
            errors.push(DocumentError::new(["ca".into(), key.into()], value, problem));
        };
        let passphrase = match (&self.passphrase_file, &self.credential) {
            (Some(_), Some(name)) => {
                error("credential", "", "excludes `passphrase_file`: keep one of the two");
                PassphraseSource::Credential(name.clone())
            }
            (Some(file), None) => PassphraseSource::File(file.clone()),
            (None, name) => PassphraseSource::Credential(name.clone().unwrap_or_else(|| CREDENTIAL.to_owned())),
        };
        if let PassphraseSource::Credential(name) = &passphrase
            && (name.is_empty() || name.starts_with('.') || name.contains('/'))
        {
            error("credential", "", "is not a credential's name: it may not be empty, begin with `.` or hold `/`");
        }
        if errors.is_empty() { Ok(CaSettings { device_validity, server_validity, passphrase }) } else { Err(errors) }
    }
}

impl PassphraseSource {
    /// Reads it. `credentials` is the folder systemd names in `CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// The file can't be read or is empty, or a credential is asked for and there is no folder of them.
    pub fn read(&self, credentials: Option<&Path>) -> Result<Passphrase> {
        match (self, credentials) {
            (Self::File(path), _) => Passphrase::from_file(path),
            (Self::Credential(name), Some(folder)) => Passphrase::from_file(&folder.join(name)),
            (Self::Credential(name), None) => Err(CertError::NoPassphrase(format!(
                "it should be the systemd credential `{name}`, but there are none (CREDENTIALS_DIRECTORY is not set); \
                 outside of systemd set `ca.passphrase_file`"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use vocabulary::DisplayPath;

    use super::*;

    fn resolve(json: serde_json::Value) -> std::result::Result<CaSettings, Vec<String>> {
        let document: CaDocument = serde_json::from_value(json).unwrap();
        document
            .resolve()
            .map_err(|errors| errors.iter().map(|e| format!("{} {}", DisplayPath(&e.path), e.value)).collect())
    }

    #[test]
    fn defaults_are_filled_in() {
        let expected = CaSettings {
            device_validity: Duration::from_secs(365 * 86_400),
            server_validity: Duration::from_secs(90 * 86_400),
            passphrase: PassphraseSource::Credential("sekisho-ca-passphrase".to_owned()),
        };
        assert_eq!(resolve(serde_json::json!({})), Ok(expected));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let errors = resolve(serde_json::json!({
            "device_validity": "3000d", "server_validity": "1s", "passphrase_file": "/p", "credential": "../x",
        }));
        let expected = ["ca.device_validity 3000d", "ca.server_validity 1s", "ca.credential ", "ca.credential "];
        assert_eq!(errors, Err(expected.map(str::to_owned).to_vec()));
        assert!(serde_json::from_str::<CaDocument>(r#"{"validity": "1d"}"#).is_err(), "an unknown key");
    }

    #[test]
    fn the_passphrase_is_read_from_where_it_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca"), "from systemd\n").unwrap();
        let source = PassphraseSource::Credential("ca".to_owned());
        assert_eq!(source.read(Some(dir.path())).unwrap().danger_expose(), "from systemd");
        assert!(matches!(source.read(None), Err(CertError::NoPassphrase(_))));
        let file = PassphraseSource::File(dir.path().join("ca"));
        assert_eq!(file.read(None).unwrap().danger_expose(), "from systemd");
    }
}
