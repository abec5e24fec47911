//! The inventory of devices: in memory for every request, in the state database for every start.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use papaya::HashMap;
use store::{Migration, Row, Store, Transaction};
use vocabulary::{DeviceId, GroupName, PersonId, Timestamp};

use crate::device::{Former, LastSeen};
use crate::table::Table;
use crate::{
    CertError, Device, DeviceStanding, Fingerprint, Invitations, Os, Result, RevocationCause, Revoked, Serial, Status,
};

const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "devices",
        sql: "CREATE TABLE device (
        id TEXT PRIMARY KEY,
        serial BYTEA NOT NULL UNIQUE,
        owner TEXT,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        os TEXT,
        not_before BIGINT NOT NULL,
        not_after BIGINT NOT NULL,
        revoked_at BIGINT,
        revoked_by TEXT,
        revoked_cause TEXT,
        last_seen BIGINT)",
    },
    Migration {
        name: "shared devices",
        // Whom a shared device is for, one name per line; names hold no line breaks. None: everybody.
        sql: "ALTER TABLE device ADD COLUMN groups TEXT",
    },
    Migration {
        name: "fingerprints",
        // SHA-256 of the certificate. NULL for those that were issued before.
        sql: "ALTER TABLE device ADD COLUMN fingerprint BYTEA",
    },
    Migration {
        name: "former certificates",
        sql: "CREATE TABLE former_certificate (
        device TEXT PRIMARY KEY,
        serial BYTEA NOT NULL UNIQUE,
        fingerprint BYTEA,
        good_until BIGINT NOT NULL)",
    },
    Migration {
        name: "invitations",
        // `token` is SHA-256 of the link's secret, `body` JSON: nothing in it is looked for by the database.
        sql: "CREATE TABLE invitation (id TEXT PRIMARY KEY, token BYTEA NOT NULL UNIQUE, body TEXT NOT NULL)",
    },
    Migration { name: "where devices were seen", sql: "ALTER TABLE device ADD COLUMN last_seen_from TEXT" },
    Migration {
        name: "reminders",
        // Which was the last one sent, as the seconds before the end of the certificate with that serial number.
        sql: "CREATE TABLE reminder (device TEXT PRIMARY KEY, serial BYTEA NOT NULL, before BIGINT NOT NULL)",
    },
    Migration {
        name: "superseded certificates",
        // Refused since `at`, and on the list of revoked ones for as long as they might be taken for good elsewhere.
        sql: "CREATE TABLE superseded_certificate (serial BYTEA PRIMARY KEY, device TEXT NOT NULL, at BIGINT NOT NULL)",
    },
];

/// All devices ever enrolled. Clones share it. Reads take no lock; what changes it blocks on the state
/// database, so async code wraps that in `spawn_blocking`.
#[derive(Clone)]
pub struct Inventory(Arc<Inner>);

struct Inner {
    store: Store,
    by_serial: Table,
    serials: HashMap<DeviceId, Serial>,
    /// Held by whoever changes something, so that memory and database change in the same order.
    changing: Mutex<()>,
    /// How many seconds before its end the owner of a certificate was last reminded.
    reminded: Mutex<std::collections::HashMap<Serial, i64>>,
    /// Revoked, and the state database does not know.
    unkept: Mutex<HashSet<DeviceId>>,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inventory").field("devices", &self.0.serials.len()).finish_non_exhaustive()
    }
}

impl Inventory {
    /// Brings the table up to date and reads all of it.
    ///
    /// # Errors
    /// The state database fails or holds something that can't be a device.
    pub fn open(store: &Store) -> Result<Self> {
        store.migrate("cert-authority", MIGRATIONS)?;
        let rows = store.transaction(|tx| {
            tx.query(
                "SELECT d.id, d.serial, d.owner, d.name, d.kind, d.os, d.not_before, d.not_after,
                        d.revoked_at, d.revoked_by, d.revoked_cause, d.last_seen, d.groups, d.fingerprint,
                        f.serial, f.fingerprint, f.good_until, d.last_seen_from, r.before
                 FROM device d LEFT JOIN former_certificate f ON f.device = d.id
                 LEFT JOIN reminder r ON r.device = d.id AND r.serial = d.serial",
                &[],
            )
        })?;
        let (by_serial, serials) = (Table::default(), HashMap::new());
        let mut reminded = std::collections::HashMap::new();
        {
            let serials = serials.pin();
            for row in &rows {
                let device = read(row)?;
                let device = Arc::new(device);
                if let Some(before) = row.opt_int(18)? {
                    reminded.insert(device.serial, before);
                }
                serials.insert(device.id.clone(), device.serial);
                for serial in device.serials() {
                    by_serial.insert(serial, &device);
                }
            }
        }
        let (changing, reminded) = (Mutex::new(()), Mutex::new(reminded));
        Ok(Self(Arc::new(Inner {
            store: store.clone(),
            by_serial,
            serials,
            changing,
            reminded,
            unkept: Mutex::default(),
        })))
    }

    /// The invitations that stand in the same database, read anew: to be asked for once.
    ///
    /// # Errors
    /// The state database fails or holds something that can't be an invitation.
    pub fn invitations(&self) -> Result<Invitations> {
        Invitations::open(&self.0.store)
    }

    /// The device with this serial number (as in the certificate), also if it is revoked or expired. Well
    /// under a microsecond, and never waits for a writer.
    pub fn by_serial(&self, serial: &[u8]) -> Option<Arc<Device>> {
        self.get(Serial::from_bytes(serial)?)
    }

    /// The same for a serial number that was read before.
    pub fn get(&self, serial: Serial) -> Option<Arc<Device>> {
        self.0.by_serial.get(serial)
    }

    /// What a certificate is worth at `now`, without looking at anything else of its device; `None` if it is nobody's. One
    /// far read of memory, however many devices there are.
    pub fn standing(&self, serial: Serial, now: Timestamp) -> Option<DeviceStanding> {
        self.0.by_serial.standing(serial, now)
    }

    pub fn by_id(&self, id: &DeviceId) -> Option<Arc<Device>> {
        let serial = self.0.serials.pin().get(id).copied()?;
        self.get(serial)
    }

    /// All devices, the newest first.
    pub fn list(&self) -> Vec<Arc<Device>> {
        let mut devices = self.all();
        devices.sort_by(|a, b| b.not_before.cmp(&a.not_before).then_with(|| a.id.cmp(&b.id)));
        devices
    }

    /// All devices of one person, the newest first.
    pub fn of_owner(&self, owner: &PersonId) -> Vec<Arc<Device>> {
        self.list().into_iter().filter(|device| device.owner.as_ref() == Some(owner)).collect()
    }

    fn all(&self) -> Vec<Arc<Device>> {
        self.0.serials.pin().values().filter_map(|serial| self.get(*serial)).collect()
    }

    /// Lets a device in, once its issuing is recorded: first on disk, then in memory.
    ///
    /// # Errors
    /// Its id or serial number is known, or the state database fails; then it stays out.
    pub fn add(&self, device: &Device) -> Result<()> {
        self.add_and(device, |_| Ok(()))
    }

    /// The same, with something else that happens in the same transaction, or neither does.
    pub(crate) fn add_and(&self, device: &Device, also: impl FnOnce(&mut Transaction<'_>) -> Result<()>) -> Result<()> {
        let _changing = self.changing()?;
        if self.0.serials.pin().contains_key(&device.id) || self.get(device.serial).is_some() {
            return Err(CertError::DeviceExists(device.id.clone()));
        }
        self.0.store.transaction(|tx| {
            also(tx)?;
            insert(tx, device)
        })?;
        self.keep(&Arc::new(device.clone()));
        Ok(())
    }

    /// Gives a device its next certificate, as [`CertAuthority::renew_device`](crate::CertAuthority::renew_device) made
    /// it, once that is recorded. The one in
    /// hand stays good for a while; others are over.
    ///
    /// # Errors
    /// The device is gone, revoked, or was given another certificate meanwhile; or the state database fails. Then all
    /// stays as it was.
    pub fn replace(&self, next: &Device) -> Result<Arc<Device>> {
        let _changing = self.changing()?;
        let before = self.by_id(&next.id).ok_or_else(|| CertError::NoSuchDevice(next.id.clone()))?;
        let in_hand = next.former.as_ref().map(|former| former.serial);
        if before.is_revoked() || !before.serials().any(|serial| Some(serial) == in_hand) {
            return Err(CertError::Overtaken(next.id.clone()));
        }
        let over: Vec<_> = before.serials().filter(|serial| !next.serials().any(|kept| kept == *serial)).collect();
        self.0.store.transaction(|tx| update(tx, next, &over))?;
        let next = Arc::new(next.clone());
        for serial in over {
            self.0.by_serial.remove(serial);
        }
        self.keep(&next);
        Ok(next)
    }

    /// What a list of revoked certificates names at `now`: all of a revoked device, and of one that is good those that
    /// renewals put out of use. Those that end before the newest one of their device are named a while longer than need be.
    ///
    /// # Errors
    /// The state database fails.
    pub fn revoked(&self, now: Timestamp) -> Result<Vec<Revoked>> {
        let sql = "SELECT serial, device, at FROM superseded_certificate ORDER BY serial";
        let mut superseded = std::collections::HashMap::<String, Vec<(Serial, Timestamp)>>::new();
        for row in self.0.store.transaction(|tx| tx.query(sql, &[]))? {
            let serial = Serial::from_bytes(row.bytes(0)?)
                .ok_or_else(|| CertError::Inventory("a superseded serial number is not one of ours".to_owned()))?;
            superseded.entry(row.text(1)?.to_owned()).or_default().push((serial, Timestamp(row.int(2)?)));
        }
        let mut revoked = Vec::new();
        for device in self.list().into_iter().filter(|device| now <= device.not_after) {
            let over = superseded.remove(device.id.as_str()).unwrap_or_default();
            match device.status {
                Status::Revoked { at, cause, .. } => {
                    let serials = device.serials().chain(over.into_iter().map(|(serial, _)| serial));
                    revoked.extend(serials.map(|serial| Revoked { serial, at, cause }));
                }
                Status::Active => revoked.extend(over.into_iter().map(|(serial, at)| Revoked {
                    serial,
                    at,
                    cause: RevocationCause::Replaced,
                })),
            }
        }
        Ok(revoked)
    }

    /// Changes what is held in memory.
    fn keep(&self, device: &Arc<Device>) {
        for serial in device.serials() {
            self.0.by_serial.insert(serial, device);
        }
        self.0.serials.pin().insert(device.id.clone(), device.serial);
    }

    /// Refuses a device from now on, once its revocation is recorded: first in memory, so that it bites on the
    /// next request whatever the disk does, then on disk. A device revoked before keeps its first revocation.
    ///
    /// # Errors
    /// No such device; or [`CertError::RevokedInMemoryOnly`], after which calling again tries the disk again.
    pub fn revoke(&self, id: &DeviceId, now: Timestamp, by: &str, cause: RevocationCause) -> Result<Arc<Device>> {
        let _changing = self.changing()?;
        let mut device = self.by_id(id).ok_or_else(|| CertError::NoSuchDevice(id.clone()))?;
        if !device.is_revoked() {
            let status = Status::Revoked { at: now, by: by.to_owned(), cause };
            device = Arc::new(Device { status, ..Device::clone(&device) });
            self.keep(&device);
        }
        let stored = self.0.store.transaction(|tx| store_revocation(tx, &device));
        let mut unkept = self.0.unkept.lock().map_err(|_| CertError::Poisoned)?;
        match stored {
            Ok(()) => {
                unkept.remove(id);
                Ok(device)
            }
            Err(cause) => {
                unkept.insert(id.clone());
                Err(CertError::RevokedInMemoryOnly { device: id.clone(), cause })
            }
        }
    }

    /// Whether a device is revoked in memory alone, and would come back with a restart.
    pub fn is_unkept(&self, id: &DeviceId) -> bool {
        self.0.unkept.lock().is_ok_and(|unkept| unkept.contains(id))
    }

    /// Tries again to keep revocations that the state database did not take.
    ///
    /// # Errors
    /// It still does not; those that are left are tried next time.
    pub fn keep_revocations(&self) -> Result<()> {
        let unkept = self.0.unkept.lock().map(|unkept| unkept.clone()).unwrap_or_default();
        for id in unkept {
            let device = self.by_id(&id).ok_or_else(|| CertError::NoSuchDevice(id.clone()))?;
            if let Status::Revoked { at, by, cause } = &device.status {
                self.revoke(&id, *at, by, *cause)?;
            }
        }
        Ok(())
    }

    /// Notes that a device was let in. An atomic load, once a minute a store and a lock of its own; no disk.
    /// `serial`: of the certificate it showed.
    pub fn touch_last_seen(&self, device: &Device, serial: Serial, now: Timestamp, from: IpAddr) {
        device.last_seen.touch(now, from);
        if serial == device.serial {
            device.last_seen.shows_newest();
        }
    }

    /// Devices whose certificate ends within one of these times before its end and of which nobody was told yet, each
    /// with the time, in seconds, that is due: the shortest, where several are.
    pub fn reminders_due(&self, now: Timestamp, before: &[Duration]) -> Vec<(Arc<Device>, i64)> {
        let Ok(reminded) = self.0.reminded.lock() else { return Vec::new() };
        let due = |device: &Arc<Device>| {
            let left = device.not_after.secs_since(now);
            if device.is_revoked() || left <= 0 {
                return None;
            }
            let seconds = before.iter().filter_map(|span| i64::try_from(span.as_secs()).ok());
            let due = seconds.filter(|span| left <= *span).min()?;
            reminded.get(&device.serial).is_none_or(|last| due < *last).then_some(due)
        };
        let mut all = self.all();
        all.sort_by_key(|device| device.not_after);
        all.into_iter().filter_map(|device| due(&device).map(|due| (device, due))).collect()
    }

    /// Its owner is about to be reminded, `before` seconds before its end, and will not be again for that time.
    ///
    /// # Errors
    /// The state database fails.
    pub fn reminded(&self, device: &Device, before: i64) -> Result<()> {
        self.0.store.transaction(|tx| {
            tx.execute(
                "INSERT INTO reminder (device, serial, before) VALUES ($1, $2, $3)
                 ON CONFLICT (device) DO UPDATE SET serial = $2, before = $3",
                &[device.id.as_str().into(), device.serial.to_bytes()[..].into(), before.into()],
            )
        })?;
        self.0.reminded.lock().map_err(|_| CertError::Poisoned)?.insert(device.serial, before);
        Ok(())
    }

    /// Writes down when devices were last seen; returns how many had changed. To be called every minute or so
    /// and at the end: after a crash the times since are lost, which costs nothing but their freshness.
    ///
    /// # Errors
    /// The state database fails; the times stay to be written next time.
    pub fn flush_last_seen(&self) -> Result<usize> {
        let unflushed = |device: Arc<Device>| device.last_seen.unflushed().map(|at| (device, at));
        let changed: Vec<_> = self.all().into_iter().filter_map(unflushed).collect();
        if changed.is_empty() {
            return Ok(0);
        }
        self.0.store.transaction(|tx| {
            for (device, at) in &changed {
                tx.execute(
                    "UPDATE device SET last_seen = $1, last_seen_from = $2 WHERE id = $3",
                    &[
                        at.0.into(),
                        device.last_seen_from().map(|from| from.to_string()).as_deref().into(),
                        device.id.as_str().into(),
                    ],
                )?;
            }
            Ok::<_, CertError>(())
        })?;
        for (device, at) in &changed {
            device.last_seen.flushed(*at);
        }
        Ok(changed.len())
    }

    fn changing(&self) -> Result<MutexGuard<'_, ()>> {
        self.0.changing.lock().map_err(|_| CertError::Poisoned)
    }
}

fn insert(tx: &mut Transaction<'_>, device: &Device) -> Result<()> {
    let groups = device.groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join("\n");
    tx.execute(
        "INSERT INTO device (id, serial, owner, name, kind, os, not_before, not_after, groups, fingerprint)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            device.id.as_str().into(),
            device.serial.to_bytes()[..].into(),
            device.owner.as_ref().map(PersonId::as_str).into(),
            device.name.as_str().into(),
            device.kind.as_str().into(),
            device.os.map(Os::as_str).into(),
            device.not_before.0.into(),
            device.not_after.0.into(),
            Some(groups.as_str()).filter(|g| !g.is_empty()).into(),
            device.fingerprint.as_ref().map(|fingerprint| &fingerprint.0[..]).into(),
        ],
    )?;
    store_revocation(tx, device)?;
    Ok(())
}

/// The next certificate of a device that is there, which puts those of `over` out of use.
fn update(tx: &mut Transaction<'_>, device: &Device, over: &[Serial]) -> Result<()> {
    for serial in over {
        tx.execute(
            "INSERT INTO superseded_certificate (serial, device, at) VALUES ($1, $2, $3)",
            &[serial.to_bytes()[..].into(), device.id.as_str().into(), device.not_before.0.into()],
        )?;
    }
    tx.execute(
        "UPDATE device SET serial = $1, fingerprint = $2, not_before = $3, not_after = $4 WHERE id = $5",
        &[
            device.serial.to_bytes()[..].into(),
            device.fingerprint.as_ref().map(|fingerprint| &fingerprint.0[..]).into(),
            device.not_before.0.into(),
            device.not_after.0.into(),
            device.id.as_str().into(),
        ],
    )?;
    if let Some(former) = &device.former {
        tx.execute(
            "INSERT INTO former_certificate (device, serial, fingerprint, good_until) VALUES ($1, $2, $3, $4)
             ON CONFLICT (device) DO UPDATE SET serial = $2, fingerprint = $3, good_until = $4",
            &[
                device.id.as_str().into(),
                former.serial.to_bytes()[..].into(),
                former.fingerprint.as_ref().map(|fingerprint| &fingerprint.0[..]).into(),
                former.until.0.into(),
            ],
        )?;
    }
    Ok(())
}

fn store_revocation(tx: &mut Transaction<'_>, device: &Device) -> std::result::Result<(), store::StoreError> {
    if let Status::Revoked { at, by, cause } = &device.status {
        tx.execute(
            "UPDATE device SET revoked_at = $1, revoked_by = $2, revoked_cause = $3 WHERE id = $4",
            &[at.0.into(), by.as_str().into(), cause.as_str().into(), device.id.as_str().into()],
        )?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<Device> {
    let id = row.text(0)?;
    let fail = |what: String| CertError::Inventory(format!("device `{id}`: {what}"));
    let status = match row.opt_int(8)? {
        None => Status::Active,
        Some(at) => Status::Revoked {
            at: Timestamp(at),
            by: row.opt_text(9)?.unwrap_or_default().to_owned(),
            // A revocation stays one, also if a newer version wrote a cause that we don't know.
            cause: row.opt_text(10)?.and_then(|word| word.parse().ok()).unwrap_or(RevocationCause::Other),
        },
    };
    let serial =
        |bytes| Serial::from_bytes(bytes).ok_or_else(|| fail("its serial number is not one of ours".to_owned()));
    let fingerprint = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => {
            bytes.try_into().map(|b| Some(Fingerprint(b))).map_err(|_| fail("its fingerprint is none".into()))
        }
        None => Ok(None),
    };
    let former = match row.opt_bytes(14)? {
        Some(bytes) => Some(Former {
            serial: serial(bytes)?,
            fingerprint: fingerprint(row.opt_bytes(15)?)?,
            until: Timestamp(row.int(16)?),
        }),
        None => None,
    };
    Ok(Device {
        id: DeviceId::new(id).map_err(|e| fail(e.to_string()))?,
        serial: serial(row.bytes(1)?)?,
        fingerprint: fingerprint(row.opt_bytes(13)?)?,
        former,
        owner: row.opt_text(2)?.map(PersonId::new).transpose().map_err(|e| fail(e.to_string()))?,
        groups: row
            .opt_text(12)?
            .unwrap_or_default()
            .lines()
            .map(GroupName::new)
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| fail(e.to_string()))?,
        name: row.text(3)?.to_owned(),
        kind: row.text(4)?.parse().map_err(|e: crate::ParseWordError| fail(e.to_string()))?,
        // Once free text; what is none of our words says nothing to rules.
        os: row.opt_text(5)?.and_then(|word| word.parse().ok()),
        not_before: Timestamp(row.int(6)?),
        not_after: Timestamp(row.int(7)?),
        status,
        last_seen: LastSeen::stored(row.opt_int(11)?.map(Timestamp), row.opt_text(17)?.and_then(|ip| ip.parse().ok())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceKind, DeviceStanding};

    const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn device(number: u128) -> Device {
        Device {
            id: DeviceId::new(format!("d-{number}")).unwrap(),
            serial: Serial::from_bytes(&number.to_be_bytes()).unwrap(),
            fingerprint: (number % 2 == 1).then(|| Fingerprint::of(&number.to_be_bytes())),
            former: None,
            owner: Some(PersonId::new("hanako").unwrap()),
            groups: Vec::new(),
            name: "花子のiPhone".to_owned(),
            kind: DeviceKind::Byod,
            os: None,
            not_before: NOW,
            not_after: NOW.plus_secs(86_400),
            status: Status::Active,
            last_seen: LastSeen::default(),
        }
    }

    fn break_writes(store: &Store) {
        let sql = "ALTER TABLE device RENAME TO elsewhere";
        store.transaction(|tx| tx.execute(sql, &[])).unwrap();
    }

    fn mend_writes(store: &Store) {
        let sql = "ALTER TABLE elsewhere RENAME TO device";
        store.transaction(|tx| tx.execute(sql, &[])).unwrap();
    }

    #[test]
    fn what_was_added_and_revoked_is_there_after_a_restart() -> Result<()> {
        let store = Store::in_memory()?;
        let inventory = Inventory::open(&store)?;
        let (kept, revoked) = (device(1), device(2));
        inventory.add(&kept)?;
        inventory.add(&revoked)?;
        inventory.revoke(&revoked.id, NOW, "cli:root", RevocationCause::Lost)?;
        inventory.touch_last_seen(&kept, kept.serial, NOW, HOME);
        assert_eq!(inventory.flush_last_seen()?, 1);
        assert_eq!(inventory.flush_last_seen()?, 0, "nothing new");

        let again = Inventory::open(&store)?;
        assert_eq!(*again.by_id(&kept.id).unwrap(), kept);
        let seen = again.by_id(&kept.id).unwrap();
        assert_eq!((seen.last_seen(), seen.last_seen_from()), (Some(NOW), Some(HOME)));
        let read = again.by_serial(&revoked.serial.to_bytes()).unwrap();
        let status = Status::Revoked { at: NOW, by: "cli:root".to_owned(), cause: RevocationCause::Lost };
        assert_eq!(read.status, status);
        assert_eq!(again.list(), inventory.list());
        assert_eq!(again.of_owner(&PersonId::new("hanako").unwrap()).len(), 2);
        assert!(again.of_owner(&PersonId::new("taro").unwrap()).is_empty());
        Ok(())
    }

    #[test]
    fn whom_a_shared_device_is_for_is_there_after_a_restart() -> Result<()> {
        let store = Store::in_memory()?;
        let group = |name: &str| GroupName::new(name).unwrap();
        let tablet =
            Device { owner: None, kind: DeviceKind::Shared, groups: vec![group("staff"), group("night")], ..device(1) };
        Inventory::open(&store)?.add(&tablet)?;
        let read = Inventory::open(&store)?.by_id(&tablet.id).unwrap();
        assert_eq!(*read, tablet);
        assert!(read.serves(&[group("night")]) && !read.serves(&[group("kitchen")]) && !read.serves(&[]));
        assert!(device(2).serves(&[]), "a device for everybody is for who has no group, too");
        Ok(())
    }

    #[test]
    fn a_lookup_sees_a_revocation_at_once() -> Result<()> {
        let inventory = Inventory::open(&Store::in_memory()?)?;
        let device = device(1);
        assert!(inventory.get(device.serial).is_none());
        inventory.add(&device)?;
        assert_eq!(inventory.get(device.serial).unwrap().standing(NOW), DeviceStanding::Active);
        assert_eq!(inventory.get(device.serial).unwrap().standing(NOW.plus_secs(86_401)), DeviceStanding::Expired);
        inventory.revoke(&device.id, NOW, "cli:root", RevocationCause::Stolen)?;
        assert_eq!(inventory.get(device.serial).unwrap().standing(NOW), DeviceStanding::Revoked);
        Ok(())
    }

    #[test]
    fn after_a_renewal_both_certificates_are_the_device_s_until_the_former_is_over() -> Result<()> {
        let store = Store::in_memory()?;
        let inventory = Inventory::open(&store)?;
        let first = device(1);
        inventory.add(&first)?;
        let next = |number: u128, before: &Device, in_hand: Serial, until| Device {
            id: first.id.clone(),
            former: before.as_former(in_hand, until),
            not_after: NOW.plus_secs(200_000),
            last_seen: before.last_seen.of_next(),
            ..device(number)
        };
        let second = next(3, &first, first.serial, NOW.plus_secs(1_000));
        inventory.replace(&second)?;
        for inventory in [inventory.clone(), Inventory::open(&store)?] {
            assert_eq!(inventory.list().len(), 1);
            for (serial, standing) in [(first.serial, DeviceStanding::Expired), (second.serial, DeviceStanding::Active)]
            {
                let found = inventory.get(serial).unwrap();
                assert_eq!(*found, second);
                assert_eq!(found.standing_of(serial, NOW), DeviceStanding::Active);
                assert_eq!(found.standing_of(serial, NOW.plus_secs(1_001)), standing);
            }
            assert!(second.has_certificate(first.serial, first.fingerprint.unwrap()));
            assert!(!second.has_certificate(first.serial, Fingerprint::of(b"another")));
        }
        // The second did not get there: the first is still in hand, and the third follows it.
        let third = next(5, &second, first.serial, NOW.plus_secs(9_000));
        assert_eq!(third.former.unwrap().until, NOW.plus_secs(1_000), "no longer than it was");
        inventory.replace(&third)?;
        assert!(inventory.get(second.serial).is_none(), "nobody has shown it");
        assert!(inventory.get(first.serial).is_some());
        // Once the newest was shown, the former can't be renewed with.
        inventory.touch_last_seen(&third, third.serial, NOW, HOME);
        assert!(third.as_former(first.serial, NOW.plus_secs(9_000)).is_none());
        let fourth = next(7, &third, third.serial, NOW.plus_secs(2_000));
        inventory.replace(&fourth)?;
        assert!(inventory.get(first.serial).is_none(), "two before is over");
        assert!(matches!(inventory.replace(&third), Err(CertError::Overtaken(_))), "it was renewed meanwhile");
        // Elsewhere they might be taken for good: the list names them while the device is good, and all once it is not.
        let named = |inventory: &Inventory| {
            let revoked = inventory.revoked(NOW).unwrap();
            let mut named: Vec<_> = revoked.iter().map(|r| (r.serial, r.cause)).collect();
            named.sort_by_key(|(serial, _)| serial.to_bytes());
            named
        };
        let over = [first.serial, second.serial].map(|serial| (serial, RevocationCause::Replaced));
        assert_eq!(named(&inventory), over);
        inventory.revoke(&first.id, NOW, "cli:root", RevocationCause::Lost)?;
        let all = [&first, &second, &third, &fourth].map(|device| (device.serial, RevocationCause::Lost));
        assert_eq!(named(&inventory), all);
        assert_eq!(named(&Inventory::open(&store)?), all);
        for serial in fourth.serials() {
            assert_eq!(inventory.get(serial).unwrap().standing_of(serial, NOW), DeviceStanding::Revoked);
        }
        let late = next(9, &fourth, fourth.serial, NOW);
        assert!(matches!(inventory.replace(&late), Err(CertError::Overtaken(_))), "revoked");
        Ok(())
    }

    #[test]
    fn people_are_reminded_of_each_time_once() -> Result<()> {
        const DAY: i64 = 86_400;
        let store = Store::in_memory()?;
        let inventory = Inventory::open(&store)?;
        let ends = NOW.plus_secs(100 * DAY);
        let phone = Device { not_after: ends, ..device(1) };
        inventory.add(&phone)?;
        inventory.add(&Device { not_after: ends.plus_secs(400 * DAY), ..device(2) })?;
        let spans = [60, 30, 7].map(|days| Duration::from_secs(days * 86_400));
        let due = |inventory: &Inventory, days_left: i64| {
            let due = inventory.reminders_due(ends.plus_secs(-days_left * DAY), &spans);
            due.iter().map(|(device, before)| (device.id.to_string(), before / DAY)).collect::<Vec<_>>()
        };
        assert!(due(&inventory, 61).is_empty());
        for (left, before) in [(60, 60), (29, 30), (3, 7)] {
            assert_eq!(due(&inventory, left), [("d-1".to_owned(), before)], "{left} days before");
            inventory.reminded(&phone, before * DAY)?;
            assert!(due(&inventory, left).is_empty(), "once");
            assert!(due(&Inventory::open(&store)?, left).is_empty(), "also after a restart");
        }
        assert!(due(&inventory, 0).is_empty(), "over");
        let former = Former { serial: phone.serial, fingerprint: phone.fingerprint, until: NOW };
        inventory.replace(&Device { id: phone.id.clone(), former: Some(former), not_after: ends, ..device(3) })?;
        assert_eq!(due(&inventory, 20), [("d-1".to_owned(), 30)], "of the next certificate anew");
        Ok(())
    }

    #[test]
    fn the_first_revocation_stands() -> Result<()> {
        let store = Store::in_memory()?;
        let inventory = Inventory::open(&store)?;
        inventory.add(&device(1))?;
        let first = inventory.revoke(&device(1).id, NOW, "a", RevocationCause::Lost)?;
        let second = inventory.revoke(&device(1).id, NOW.plus_secs(60), "b", RevocationCause::Other)?;
        assert_eq!(first.status, second.status);
        assert_eq!(Inventory::open(&store)?.by_id(&device(1).id).unwrap().status, first.status);
        let nobody = inventory.revoke(&device(9).id, NOW, "a", RevocationCause::Lost);
        assert!(matches!(nobody, Err(CertError::NoSuchDevice(_))));
        Ok(())
    }

    #[test]
    fn when_the_disk_fails_a_revocation_bites_and_a_new_device_stays_out() -> Result<()> {
        let store = Store::in_memory()?;
        let inventory = Inventory::open(&store)?;
        inventory.add(&device(1))?;
        break_writes(&store);
        let revoked = inventory.revoke(&device(1).id, NOW, "cli:root", RevocationCause::Lost);
        assert!(matches!(revoked, Err(CertError::RevokedInMemoryOnly { .. })));
        assert!(inventory.by_id(&device(1).id).unwrap().is_revoked());
        assert!(inventory.add(&device(2)).is_err());
        assert!(inventory.get(device(2).serial).is_none());

        assert!(inventory.is_unkept(&device(1).id) && inventory.keep_revocations().is_err());
        mend_writes(&store);
        inventory.keep_revocations()?;
        assert!(!inventory.is_unkept(&device(1).id));
        assert!(Inventory::open(&store)?.by_id(&device(1).id).unwrap().is_revoked());
        Ok(())
    }

    #[test]
    fn neither_an_id_nor_a_serial_number_is_taken_twice() -> Result<()> {
        let inventory = Inventory::open(&Store::in_memory()?)?;
        inventory.add(&device(1))?;
        for twin in [Device { id: device(2).id, ..device(1) }, Device { serial: device(2).serial, ..device(1) }] {
            assert!(matches!(inventory.add(&twin), Err(CertError::DeviceExists(_))));
        }
        assert_eq!(inventory.list().len(), 1);
        Ok(())
    }

    #[test]
    fn a_device_seen_while_it_is_revoked_is_not_lost_from_view() -> Result<()> {
        let inventory = Inventory::open(&Store::in_memory()?)?;
        inventory.add(&device(1))?;
        let in_hand = inventory.get(device(1).serial).unwrap();
        inventory.revoke(&device(1).id, NOW, "a", RevocationCause::Lost)?;
        inventory.touch_last_seen(&in_hand, in_hand.serial, NOW, HOME);
        assert_eq!(inventory.get(device(1).serial).unwrap().last_seen(), Some(NOW));
        Ok(())
    }

    #[test]
    fn a_cause_from_a_newer_version_is_still_a_revocation() -> Result<()> {
        let store = Store::in_memory()?;
        let inventory = Inventory::open(&store)?;
        inventory.add(&device(1))?;
        let sql = "UPDATE device SET revoked_at = $1, revoked_by = 'x', revoked_cause = 'eaten'";
        store.transaction(|tx| tx.execute(sql, &[NOW.0.into()]))?;
        assert!(Inventory::open(&store)?.by_id(&device(1).id).unwrap().is_revoked());
        Ok(())
    }

    #[test]
    fn a_device_is_published_in_this_shape() {
        let json = serde_json::to_value(device(1)).unwrap();
        let expected = serde_json::json!({
            "id": "d-1", "serial": "00000000000000000000000000000001",
            "fingerprint": Fingerprint::of(&1u128.to_be_bytes()).to_string(), "owner": "hanako",
            "name": "花子のiPhone", "kind": "byod", "os": null, "not_before": 1_793_491_200_000_000i64,
            "not_after": 1_793_577_600_000_000i64, "status": {"state": "active"}, "last_seen": null,
        });
        assert_eq!(json, expected);
    }
}
