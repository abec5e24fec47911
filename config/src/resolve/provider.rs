//! The files that identity providers name: client secrets, and roots of providers of one's own.

use std::path::PathBuf;

use identity::{ClientSecret, OidcSettings};
use vocabulary::{DocumentError, PathStep};

use super::{Findings, certificate};

/// The longest client secret, in bytes. What is longer is another file.
const LONGEST: usize = 4096;

/// Reads what each provider names. What can't be read is an error; then nothing is served with these settings.
pub(super) fn files(mut settings: identity::Settings, findings: &mut Findings<'_>) -> identity::Settings {
    for (index, provider) in settings.providers.iter_mut().enumerate() {
        if let Some(oidc) = &mut provider.oidc {
            let at =
                |key: &str| -> Vec<PathStep> { vec!["identity".into(), "providers".into(), index.into(), key.into()] };
            secret(oidc, &at("client_secret_file"), findings);
            if let Some(file) = oidc.issuer_ca.clone() {
                let roots = certificate::chain(&file, at("issuer_ca"), findings).unwrap_or_default();
                oidc.roots = roots.iter().map(|root| root.to_vec()).collect();
                oidc.issuer_ca = Some(findings.file(&file));
            }
        }
    }
    settings
}

/// Line ends around it are the editor's. Nothing of it is ever shown.
fn secret(oidc: &mut OidcSettings, path: &[PathStep], findings: &mut Findings<'_>) {
    let written: PathBuf = oidc.client_secret_file.clone();
    let file = findings.file(&written);
    // Nor what stands in the place of its name, which may be the secret itself.
    let mut wrong = |problem: String| findings.error(DocumentError::new(path.to_vec(), "", problem));
    match std::fs::read_to_string(&file) {
        Err(cause) => wrong(format!("names a file that can't be read: {cause}")),
        Ok(text) => {
            let text = text.trim_matches(['\r', '\n']);
            if text.is_empty() {
                wrong("names an empty file; it has to hold the client secret".to_owned());
            } else if text.len() > LONGEST || text.contains(char::is_control) {
                wrong(
                    "names a file of more than one line; it has to hold the client secret, and nothing else".to_owned(),
                );
            }
            oidc.client_secret = ClientSecret::new(text);
            oidc.client_secret_file = file;
        }
    }
}
