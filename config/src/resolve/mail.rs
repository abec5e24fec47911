//! The `mail` part: how the gate sends mail to people.

use std::path::PathBuf;

use audit::kept::{CheckpointsDocument, How, KeptDocument, KeptKind};
use vocabulary::{DocumentError, PathStep};

use super::{Findings, kept};
use crate::settings::Mail;
use crate::written::MailDocument;

/// Held to the same as a mail that keeps checkpoints, and told under its own name.
pub(super) fn resolve(written: &MailDocument, findings: &mut Findings<'_>) -> Option<Mail> {
    let document = CheckpointsDocument { kept: vec![as_kept(written)], ..CheckpointsDocument::default() };
    let mut settings = match document.resolve() {
        Ok(settings) => settings,
        Err(errors) => {
            errors.into_iter().map(renamed).for_each(|error| findings.error(error));
            return None;
        }
    };
    let target = settings.targets.pop()?;
    let How::Mail(mut server) = target.how else { return None };
    kept::mail_files(&mut server, &|key| vec!["mail".into(), key.into()], findings);
    Some(Mail { operators: std::mem::take(&mut server.to), server })
}

fn as_kept(written: &MailDocument) -> KeptDocument {
    let MailDocument { server, security, from, operators, user, password_file, credential, server_ca } =
        written.clone();
    KeptDocument {
        id: "mail".to_owned(),
        kind: KeptKind::Mail,
        timeout: None,
        url: None,
        server_ca,
        server: Some(server),
        security,
        from: Some(from),
        to: operators,
        user,
        password_file,
        secret_file: None,
        credential,
        folder: None::<PathBuf>,
        timestamp_ca: None,
        key: None,
    }
}

/// `audit.checkpoints.kept[0].to` is `mail.operators` here.
fn renamed(error: DocumentError) -> DocumentError {
    let rest = error.path.iter().skip(4).cloned().map(|step| match step {
        PathStep::Key(key) if key == "to" => PathStep::Key("operators".to_owned()),
        step => step,
    });
    DocumentError { path: [PathStep::from("mail")].into_iter().chain(rest).collect(), ..error }
}
