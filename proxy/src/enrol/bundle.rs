//! Keys that were made for somebody, on their way to the device: in memory, for the download only.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cert_authority::{PendingDevice, Serial};
use vocabulary::{DeviceId, Os, SessionId, Timestamp};
use zeroize::Zeroizing;

/// How long a file can be fetched, again if need be: a download may break off.
const KEPT_SECS: i64 = 15 * 60;
/// More at a time are not kept; the oldest goes.
const MOST: usize = 500;

/// Which files these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Invitation(String),
    /// By the certificate that was shown.
    Renewal(DeviceId, Serial),
}

/// A key with its certificate, for the browser that it was made for.
pub(crate) struct Bundle {
    pub(crate) of: Of,
    /// Whose session it is: nobody else's browser gets the files.
    pub(crate) session: SessionId,
    pub(crate) device: DeviceId,
    pub(crate) name: String,
    pub(crate) os: Os,
    pub(crate) p12: Zeroizing<Vec<u8>>,
    pub(crate) password: Zeroizing<String>,
    pub(crate) until: Timestamp,
}

impl Bundle {
    /// What was made a moment ago.
    pub(crate) fn new(of: Of, session: SessionId, os: Os, made: PendingDevice, now: Timestamp) -> Self {
        let PendingDevice { device, p12, password, .. } = made;
        let until = now.plus_secs(KEPT_SECS);
        Self { of, session, device: device.id, name: device.name, os, p12, password, until }
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("device", &self.device).finish_non_exhaustive()
    }
}

/// All of them. What is over is wiped.
#[derive(Default)]
pub(crate) struct Bundles(Mutex<Vec<Arc<Bundle>>>);

impl Bundles {
    pub(crate) fn keep(&self, bundle: Bundle, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept| kept.until > now && kept.of != bundle.of);
        if all.len() >= MOST {
            all.remove(0);
        }
        all.push(Arc::new(bundle));
    }

    pub(crate) fn get(&self, of: &Of, session: &SessionId, now: Timestamp) -> Option<Arc<Bundle>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|kept| kept.of == *of && kept.session == *session && kept.until > now).cloned()
    }

    /// Wipes what is over, and what is of a device that was shut out.
    pub(crate) fn sweep(&self, now: Timestamp, mut keep: impl FnMut(&DeviceId) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept| kept.until > now && keep(&kept.device));
    }
}
