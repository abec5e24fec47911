//! The files that `audit.checkpoints` names: roots, secrets, folders.

use std::path::{Path, PathBuf};

use audit::kept::{How, Mail, SecretSource, ServerRoots, Settings};
use vocabulary::{DocumentError, PathStep};

use super::{Findings, certificate};

/// Reads roots; what can't be read is an error. Secrets are read when they are used.
pub(super) fn files(mut settings: Settings, findings: &mut Findings<'_>) -> Settings {
    for (index, target) in settings.targets.iter_mut().enumerate() {
        let at = |key: &str| -> Vec<PathStep> {
            vec!["audit".into(), "checkpoints".into(), "kept".into(), index.into(), key.into()]
        };
        match &mut target.how {
            How::Mail(mail) => mail_files(mail, &at, findings),
            How::Webhook(webhook) => {
                server_roots(&mut webhook.server, &at("server_ca"), findings);
                if let Some(key) = &mut webhook.secret {
                    secret(key, &at("secret_file"), findings);
                }
            }
            How::File(folder) => *folder = findings.file(folder),
            How::Timestamp(authority) => {
                server_roots(&mut authority.server, &at("server_ca"), findings);
                authority.roots = roots(&authority.timestamp_ca, &at("timestamp_ca"), findings);
                authority.timestamp_ca = findings.file(&authority.timestamp_ca);
            }
            How::Witness(witness) => server_roots(&mut witness.server, &at("server_ca"), findings),
        }
    }
    settings
}

/// The files of a mail server; `at` says where a key of it stands.
pub(super) fn mail_files(mail: &mut Mail, at: &dyn Fn(&str) -> Vec<PathStep>, findings: &mut Findings<'_>) {
    server_roots(&mut mail.server, &at("server_ca"), findings);
    if let Some((_, password)) = &mut mail.account {
        secret(password, &at("password_file"), findings);
    }
}

fn server_roots(server: &mut ServerRoots, path: &[PathStep], findings: &mut Findings<'_>) {
    if let Some(file) = server.file.clone() {
        server.roots = roots(&file, path, findings);
        server.file = Some(findings.file(&file));
    }
}

fn roots(file: &Path, path: &[PathStep], findings: &mut Findings<'_>) -> Vec<Vec<u8>> {
    let chain = certificate::chain(file, path.to_vec(), findings).unwrap_or_default();
    chain.iter().map(|root| root.to_vec()).collect()
}

fn secret(source: &mut SecretSource, path: &[PathStep], findings: &mut Findings<'_>) {
    let SecretSource::File(written) = source else { return };
    let file: PathBuf = findings.file(written);
    // Only a warning: the file may come to be before it is used, and who checks may not see it.
    if !file.exists() {
        // Without what was written: it may be the secret itself.
        findings.warning(DocumentError::new(path.to_vec(), "", "names a file that is not there"));
    }
    *source = SecretSource::File(file);
}
