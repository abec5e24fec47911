//! What an operator should hear about how checkpoints are kept.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use audit::kept::How;
use config::Settings;

/// Said when no place is configured.
pub(crate) const NOBODY: &str = "audit.checkpoints.kept: no checkpoint is kept elsewhere, so whoever holds the gateway \
    could rewrite the record unnoticed; write at least one place, such as { id: auditor, kind: mail, to: \
    [audit@example.jp], from: sekisho@example.jp, server: \"smtp.example.jp:587\" } or a file on another mount, a \
    webhook, a timestamp, a witness";

/// What is hardly meant. Looks at folders.
pub(crate) fn advice(settings: &Settings) -> Vec<String> {
    let targets = &settings.audit.checkpoints.targets;
    if targets.is_empty() {
        return vec![NOBODY.to_owned()];
    }
    let files = targets.iter().filter_map(|target| match &target.how {
        How::File(folder) => of_folder(&target.id, folder, &settings.gateway.data),
        _ => None,
    });
    files.collect()
}

fn of_folder(id: &str, folder: &Path, data: &Path) -> Option<String> {
    let shown = folder.display();
    let Ok(there) = folder.metadata() else {
        return Some(format!("audit.checkpoints.kept `{id}`: the folder {shown} is not there; mount or make it"));
    };
    // Where the data folder will be, if it isn't there yet.
    let own = data.ancestors().find_map(|part| part.metadata().ok())?;
    (there.dev() == own.dev()).then(|| {
        format!(
            "audit.checkpoints.kept `{id}`: {shown} lies on the same file system as gateway.data, so whoever can rewrite \
             the record can rewrite it too; name a folder on another mount"
        )
    })
}
