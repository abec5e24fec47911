//! The state of a gate, opened: roster and sessions, devices, the authority's keys, the journal. One process
//! holds it at a time, the running gate or a command when none runs.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use audit::{Admit, Change, Journal, Record, Recovery, Sealer, Strangers};
use cert_authority::{CertAuthority, Inventory, Passphrase, PassphraseSource};
use config::Settings;
use identity::{EndCause, Ended, Identity, IdentityError, Session};
use store::Store;
use vocabulary::{Clock, SystemClock, Timestamp, Zone};

use crate::control::Actor;
use crate::enrol::{self, Enrolment};
use crate::logins::Logins;
use crate::terminal::Unseen;

/// How far the clock may stand before the newest record until somebody has to look.
const CLOCK_LEEWAY_SECS: i64 = 5 * 60;

pub(crate) struct Core {
    clock: Arc<dyn Clock>,
    pub(crate) zone: Zone,
    pub(crate) journal: Journal,
    pub(crate) recovery: Recovery,
    pub(crate) identity: Identity,
    pub(crate) inventory: Inventory,
    pub(crate) enrol: Enrolment,
    pub(crate) logins: Logins,
    /// `None` until `sekisho ca init`.
    pub(crate) authority: Option<CertAuthority>,
    pub(crate) device_validity: std::time::Duration,
    pub(crate) server_validity: std::time::Duration,
    clock_accepted: AtomicBool,
    serving: AtomicBool,
    /// When devices were last looked after, in seconds.
    looked_after: AtomicI64,
    strangers: Mutex<Strangers>,
    /// Held open: the lock goes with it.
    _lock: File,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Core")
    }
}

/// Another process holds the data folder.
#[derive(Debug, thiserror::Error)]
#[error("{0} is in use by another process; with the gate running, commands reach it over its control socket")]
pub(crate) struct InUse(pub(crate) PathBuf);

pub(crate) fn socket_path(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Journal, log and index lie below it.
pub(crate) fn audit_path(data: &Path) -> PathBuf {
    data.join("audit")
}

pub(crate) fn journal_path(data: &Path) -> PathBuf {
    audit_path(data).join("journal")
}

pub(crate) fn log_path(data: &Path) -> PathBuf {
    audit_path(data).join("log")
}

/// What is known of the places that checkpoints are kept in, and their receipts.
pub(crate) fn kept_path(data: &Path) -> PathBuf {
    audit_path(data).join("kept")
}

pub(crate) fn authority_path(data: &Path) -> PathBuf {
    data.join("ca")
}

impl Core {
    /// Opens everything below the data folder, creating what is not there yet. Blocks.
    pub(crate) fn open(settings: &Settings) -> anyhow::Result<Self> {
        let data = &settings.gateway.data;
        create_private(data)?;
        let lock = lock(data)?;
        create_private(&audit_path(data))?;
        let store = Store::open(&data.join("state.db"))?;
        let identity = Identity::open(store.clone(), &settings.identity)?;
        let inventory = Inventory::open(&store)?;
        let logins = Logins::open(&store)?;
        let (journal, recovery) = open_journal(settings)?;
        let authority = open_authority(settings, &journal)?;
        let enrol = Enrolment::open(&inventory, settings, authority.as_ref())?;
        Ok(Self {
            clock: Arc::new(SystemClock),
            zone: settings.gateway.time_zone.clone(),
            journal,
            recovery,
            identity,
            inventory,
            enrol,
            logins,
            authority,
            device_validity: settings.ca.device_validity,
            server_validity: settings.ca.server_validity,
            clock_accepted: AtomicBool::new(false),
            serving: AtomicBool::new(false),
            looked_after: AtomicI64::new(0),
            strangers: Mutex::new(Strangers::new(settings.audit.strangers)),
            _lock: lock,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// False while the clock stands more than five minutes before the newest record and nobody has said that
    /// this is as it should be.
    pub(crate) fn clock_is_right(&self) -> bool {
        self.clock_accepted.load(Ordering::Relaxed)
            || self.now().secs_since(self.journal.newest()) >= -CLOCK_LEEWAY_SECS
    }

    /// Whether a gate runs on it, or a command alone.
    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    pub(crate) fn serves(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    /// Whether a stranger's request gets a record of its own, or is counted.
    pub(crate) fn admit_stranger(&self, source: IpAddr, now: Timestamp) -> Admit {
        self.strangers().admit(source, now)
    }

    /// Counts a request whose own record could not be written.
    pub(crate) fn count_stranger(&self, source: IpAddr, now: Timestamp) {
        self.strangers().count(source, now);
    }

    /// Hands the counts of the minutes that are over to the journal; with `all`, of the current one as well.
    pub(crate) async fn record_aggregates(&self, all: bool) {
        let now = self.now();
        let counted = {
            let mut strangers = self.strangers();
            let mut counted = strangers.drain(now);
            if all {
                counted.extend(strangers.finish());
            }
            counted
        };
        for aggregate in counted {
            if let Err(error) = self.journal.append(now, &Record::Aggregate(aggregate)).await {
                tracing::error!(%error, "counted requests could not be recorded");
            }
        }
    }

    /// Sessions that ran out, each with a record of its end, and what is written now and then.
    pub(crate) async fn sweep(self: &Arc<Self>) {
        // By a clock that is wrong nobody's session ends: no request passes anyway until it is right.
        if self.clock_is_right() {
            let today = self.zone.local(self.now()).date;
            self.record_ended(self.identity.end_departed(today).await).await;
            self.record_ended(self.identity.sessions().maintain(self.now()).await).await;
            for end in self.logins.sweep(self.now()) {
                self.observe(&Record::LoginEnd(end));
            }
        }
        self.look_after_devices().await;
        self.keep_logins().await;
        let core = self.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || core.inventory.flush_last_seen()).await {
            tracing::error!(%error, "when devices were last seen could not be kept");
        }
        self.keep_token_uses().await;
    }

    /// Devices of leavers, reminders, old invitations, the list of what is revoked.
    async fn look_after_devices(self: &Arc<Self>) {
        let now = self.now();
        // There may be a hundred thousand of them, and none of it is in a hurry.
        if now.secs() - self.looked_after.load(Ordering::Relaxed) < 60 {
            return;
        }
        self.looked_after.store(now.secs(), Ordering::Relaxed);
        let inventory = self.inventory.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || inventory.keep_revocations()).await {
            tracing::error!(%error, "a revocation is in memory alone, and would be lost by a restart");
        }
        if self.clock_is_right() {
            enrol::shut_out_leavers(self).await;
            enrol::remind(self).await;
            if self.enrol.crl.is_stale(now) {
                enrol::republish(self).await;
            }
        }
        let inventory = self.inventory.clone();
        self.enrol.bundles.sweep(now, |device| inventory.by_id(device).is_some_and(|device| !device.is_revoked()));
        let core = self.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || core.enrol.invitations.sweep(now)).await {
            tracing::error!(%error, "old invitations could not be forgotten");
        }
    }

    /// When and from where tokens of providers were last used, to the state database.
    pub(crate) async fn keep_token_uses(&self) {
        let tokens = self.identity.scim().tokens().clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || tokens.flush()).await {
            tracing::error!(%error, "when tokens were last used could not be kept");
        }
    }

    /// How logins to SaaS stand, to the state database.
    pub(crate) async fn keep_logins(&self) {
        let logins = self.logins.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || logins.flush()).await {
            tracing::error!(%error, "how logins to SaaS stand could not be kept");
        }
    }

    /// Records what was seen to happen; what can't be recorded is told in the log.
    pub(crate) fn observe(&self, record: &Record) {
        if let Err(error) = self.journal.observe(self.now(), record) {
            tracing::error!(%error, "what was seen of a login to a SaaS could not be recorded");
        }
    }

    /// Sessions that stand on a provider, or a directory, which the configuration does not have any more.
    pub(crate) async fn end_unoffered(&self, settings: &identity::Settings) {
        let unoffered = |session: &Session| (!settings.offers(session)).then_some(EndCause::Provider);
        self.record_ended(self.identity.sessions().end_where(unoffered).await).await;
    }

    async fn record_ended(&self, ended: Result<Vec<Ended>, IdentityError>) {
        match ended {
            Ok(ended) => {
                for end in ended {
                    let record = Record::SignOut(crate::control::sign_out(&end));
                    if let Err(error) = self.journal.append(self.now(), &record).await {
                        tracing::error!(%error, "a session's end could not be recorded");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "sessions could not be kept"),
        }
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn accept_clock(&self) {
        self.clock_accepted.store(true, Ordering::Relaxed);
    }
}

/// Unlocks the authority's keys; recorded before (promise 7).
fn open_authority(settings: &Settings, journal: &Journal) -> anyhow::Result<Option<CertAuthority>> {
    let dir = authority_path(&settings.gateway.data);
    if !CertAuthority::exists(&dir) {
        return Ok(None);
    }
    let passphrase = passphrase(settings)?;
    journal.append_blocking(SystemClock.now(), &Record::Change(unlock("authority-unlocked", None)))?;
    match CertAuthority::open(&dir, &passphrase) {
        Ok(authority) => Ok(Some(authority)),
        Err(error) => {
            let failed = unlock("authority-not-unlocked", Some(error.to_string()));
            journal.append_blocking(SystemClock.now(), &Record::Change(failed))?;
            Err(error).with_context(|| format!("the certificate authority in {} can't be opened", dir.display()))
        }
    }
}

fn unlock(what: &str, cause: Option<String>) -> Change {
    let Actor { who, channel } = Actor::offline(rustix::process::geteuid().as_raw());
    Change {
        by: who,
        channel: channel.to_owned(),
        what: what.to_owned(),
        subject: "ca".to_owned(),
        details: cause.map(|cause| ("cause".to_owned(), cause.into())).into_iter().collect(),
        more: serde_json::Map::new(),
    }
}

/// Writes one record with no gate running, without what else a gate is made of.
pub(crate) fn record_alone(settings: &Settings, record: &Record) -> anyhow::Result<()> {
    let data = &settings.gateway.data;
    anyhow::ensure!(audit_path(data).is_dir(), "there is no record in {}", data.display());
    let _lock = lock(data)?;
    let journal = open_journal(settings)?.0;
    journal.append_blocking(SystemClock.now(), record)?;
    Ok(journal.close()?)
}

fn open_journal(settings: &Settings) -> anyhow::Result<(Journal, Recovery)> {
    let data = &settings.gateway.data;
    let options = audit::Options { sealed: audit::sealed_to(&audit_path(data))?, ..settings.audit.options };
    Journal::open(&journal_path(data), options)
        .with_context(|| format!("the journal in {} can't be opened", journal_path(data).display()))
}

/// Begins to seal what the journal holds. Blocks while the log is opened and what was broken off is finished.
pub(crate) fn start_sealing(settings: &Settings, core: &Core) -> anyhow::Result<Sealer> {
    let (data, log) = (&settings.gateway.data, &settings.audit.log);
    let own = log.key_file.clone().unwrap_or_else(|| audit_path(data).join("log.key"));
    // A log that goes on under another key would be another log.
    if !own.exists() && log_path(data).join("checkpoint").exists() {
        bail!(
            "{} is missing, and the log in {} was signed with the key in it: bring it back from a backup, or move `log` and \
             `sealing.json` away to begin a new log",
            own.display(),
            log_path(data).display()
        );
    }
    let mut keys = vec![audit::read_or_make_key(&own, &log.origin)?];
    if let Some(second) = &log.second_key_file {
        keys.push(audit::read_key(second)?);
    }
    Sealer::start(&audit_path(data), &core.journal, keys, &core.zone, log.seal)
        .with_context(|| format!("the log in {} can't be added to", log_path(data).display()))
}

/// Whether somebody is asked for the passphrase.
pub(crate) fn passphrase_is_typed(settings: &Settings) -> bool {
    matches!(settings.ca.passphrase, PassphraseSource::Credential(_))
        && std::env::var_os("CREDENTIALS_DIRECTORY").is_none()
        && io::stdin().is_terminal()
}

/// The passphrase of the authority's keys: a file or a systemd credential, as configured. Where systemd hands out no
/// credentials and somebody sits at a terminal, it is asked for.
pub(crate) fn passphrase(settings: &Settings) -> anyhow::Result<Passphrase> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    if passphrase_is_typed(settings) {
        return Ok(Passphrase::new(&Unseen::begin()?.ask("Passphrase of the authority's keys: ")?));
    }
    Ok(settings.ca.passphrase.read(credentials.as_deref())?)
}

/// Only the gate's own user may look inside.
pub(crate) fn create_private(dir: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("the folder {} can't be created", dir.display()))
}

/// Takes the data folder for this process, while what is returned lives.
pub(crate) fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{} can't be opened", path.display()))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Err(InUse(data.to_owned()).into()),
        Err(error) => Err(io::Error::from(error)).with_context(|| format!("{} can't be locked", path.display())),
    }
}
