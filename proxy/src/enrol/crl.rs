//! The list of revoked certificates (RFC 5280, 5), for whoever else wants to know. The gate itself asks its inventory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwapOption;
use cert_authority::CertAuthority;
use vocabulary::Timestamp;

use crate::core::{Core, authority_path};

/// When the next list is promised at the latest.
const NEXT_SECS: i64 = 7 * 86_400;
/// A list as old as this is made anew.
const FRESH_SECS: i64 = 86_400;

/// After a failure.
const AGAIN_SECS: i64 = 3600;

/// The newest lists: one of each device CA that is trusted, each signed with its key (RFC 5280, 6.3.3), and each naming
/// all that is revoked.
#[derive(Debug)]
pub(crate) struct Crl {
    folder: PathBuf,
    newest: ArcSwapOption<(Timestamp, Vec<Vec<u8>>)>,
    /// When it was last tried, in seconds.
    tried: AtomicI64,
}

impl Crl {
    pub(super) fn new(data: &Path) -> Self {
        Self { folder: authority_path(data), newest: ArcSwapOption::empty(), tried: AtomicI64::new(0) }
    }

    /// DER, by the name of its file; none before there is an authority.
    pub(crate) fn der(&self, name: &str) -> Option<Vec<u8>> {
        let newest = self.newest.load();
        let lists = &newest.as_ref()?.1;
        (0..lists.len()).find(|place| file_name(*place) == name).map(|place| lists[place].clone())
    }

    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        // One that can't be made is not tried again all the time.
        now.secs() - self.tried.load(Ordering::Relaxed) >= AGAIN_SECS
            && self.newest.load().as_ref().is_none_or(|newest| now.secs_since(newest.0) >= FRESH_SECS)
    }
}

/// Makes the list anew. That it could not be made changes nothing for the gate: it is told, and tried again.
pub(crate) async fn republish(core: &Arc<Core>) {
    let making = core.clone();
    let made = tokio::task::spawn_blocking(move || {
        let Some(authority) = &making.authority else { return Ok(()) };
        make(&making, authority)
    });
    match made.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the list of revoked certificates could not be made"),
        Err(error) => tracing::error!(%error, "the list of revoked certificates could not be made"),
    }
}

fn make(core: &Core, authority: &CertAuthority) -> anyhow::Result<()> {
    let now = core.now();
    core.enrol.crl.tried.store(now.secs(), Ordering::Relaxed);
    let revoked = core.inventory.revoked(now)?;
    // Grows with time, whatever was made before.
    let number = u64::try_from(now.0).unwrap_or(0);
    let lists = authority.crls(revoked, number, now, now.plus_secs(NEXT_SECS))?;
    let crl = &core.enrol.crl;
    for (place, der) in lists.iter().enumerate() {
        write(&crl.folder.join(file_name(place)), der)?;
    }
    // Those of CAs that ended meanwhile.
    for place in lists.len().. {
        if std::fs::remove_file(crl.folder.join(file_name(place))).is_err() {
            break;
        }
    }
    crl.newest.store(Some(Arc::new((now, lists))));
    Ok(())
}

/// The list of the CA that signs first, then those of former ones, the newest first.
pub(crate) fn file_name(place: usize) -> String {
    match place {
        0 => "device-ca.crl".to_owned(),
        former => format!("device-ca-former-{former}.crl"),
    }
}

/// Beside it first: readers see the old list or the new one.
fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("crl.new");
    std::fs::write(&beside, content)?;
    std::fs::rename(&beside, path)
}
