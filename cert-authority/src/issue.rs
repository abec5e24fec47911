//! Making certificates. Pure in that nothing is stored: the caller records what was made, then stores it,
//! then hands it out.

use std::fmt;
use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use vocabulary::{DeviceId, GroupName, MachineName, PersonId, Timestamp};
use zeroize::Zeroizing;

use crate::authority::{Ca, parse};
use crate::device::{Former, LastSeen};
use crate::key::DeviceKey;
use crate::p12::{P12Cipher, bundle, password};
use crate::profile::{self, BACKDATE, DEVICE_VALIDITY_MAX, SERVER_VALIDITY_MAX, check_name};
use crate::serial::random_text;
use crate::{CertAuthority, CertError, Device, DeviceKind, Fingerprint, Os, Result, Serial, Status, host};

/// What a device's certificate is made from.
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    /// `None` exactly for a shared device.
    pub owner: Option<PersonId>,
    /// Whom a shared device is for; empty means everybody on the roster, and is so for any other device.
    pub groups: Vec<GroupName>,
    /// What people call it, 1 to 64 characters; stands in the certificate.
    pub name: String,
    pub kind: DeviceKind,
    pub os: Option<Os>,
    pub now: Timestamp,
    /// At most [`DEVICE_VALIDITY_MAX`](crate::DEVICE_VALIDITY_MAX); usually
    /// [`DEVICE_VALIDITY`](crate::DEVICE_VALIDITY). Cut at the device CA's own end.
    pub validity: Duration,
    pub cipher: P12Cipher,
}

/// A device whose certificate is made, but not in the inventory: until it is added there, the gate refuses it.
pub struct PendingDevice {
    pub device: Device,
    /// To be handed out once. Holds the key and the certificate, no CA.
    pub p12: Zeroizing<Vec<u8>>,
    /// Opens `p12`: four groups of five lower-case letters and digits. To be handed out apart from it.
    pub password: Zeroizing<String>,
    pub certificate: CertificateDer<'static>,
    /// The key in `p12`, for a client within the process (the demo's tour, tests).
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for PendingDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingDevice").field("device", &self.device).finish_non_exhaustive()
    }
}

/// As [`PendingDevice`], for a key that we never had.
#[derive(Clone, Debug)]
pub struct Issued {
    pub device: Device,
    pub certificate: CertificateDer<'static>,
}

/// How a device's next certificate is made.
#[derive(Clone, Copy, Debug)]
pub struct Renewal {
    pub now: Timestamp,
    /// As of [`DeviceRequest`].
    pub validity: Duration,
    pub cipher: P12Cipher,
    /// The certificate in hand, which stays good for a while as well.
    pub former: Former,
}

/// A certificate for the gateway's own hosts.
pub struct ServerCertificate {
    /// The certificate, then the server CA: what a listener sends.
    pub chain_der: Vec<CertificateDer<'static>>,
    pub key_der: PrivateKeyDer<'static>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl ServerCertificate {
    /// When to make the next one: two thirds of its life are over.
    pub const fn renew_at(&self) -> Timestamp {
        Timestamp(self.not_before.0 + (self.not_after.0 - self.not_before.0) / 3 * 2)
    }
}

impl Clone for ServerCertificate {
    fn clone(&self) -> Self {
        Self { chain_der: self.chain_der.clone(), key_der: self.key_der.clone_key(), ..*self }
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl CertAuthority {
    /// Makes a key, a certificate and the file that carries both to the device. Takes some milliseconds.
    ///
    /// # Errors
    /// The request is not acceptable, or the device CA has ended.
    pub fn issue_device(&self, request: &DeviceRequest) -> Result<PendingDevice> {
        let key = profile::new_key()?;
        let Issued { device, certificate } = self.sign_device(request, new_id()?, &key)?;
        bundled(device, certificate, &key, request.cipher)
    }

    /// Makes a certificate for a key that the device made itself and that never travels.
    ///
    /// # Errors
    /// The request is not acceptable, or the device CA has ended.
    pub fn issue_device_for(&self, request: &DeviceRequest, key: &DeviceKey) -> Result<Issued> {
        self.sign_device(request, new_id()?, key)
    }

    /// Makes the next certificate of a device, with a key and the file that carries both to it.
    ///
    /// # Errors
    /// The validity is not acceptable, or the device CA has ended.
    pub fn renew_device(&self, device: &Device, renewal: Renewal) -> Result<PendingDevice> {
        let key = profile::new_key()?;
        let Issued { device, certificate } = self.sign_next(device, renewal, &key)?;
        bundled(device, certificate, &key, renewal.cipher)
    }

    /// The same for a key that the device made itself.
    ///
    /// # Errors
    /// As of [`renew_device`](Self::renew_device).
    pub fn renew_device_for(&self, device: &Device, renewal: Renewal, key: &DeviceKey) -> Result<Issued> {
        self.sign_next(device, renewal, key)
    }

    fn sign_next(&self, device: &Device, renewal: Renewal, key: &impl PublicKeyData) -> Result<Issued> {
        let request = DeviceRequest {
            owner: device.owner.clone(),
            groups: device.groups.clone(),
            name: device.name.clone(),
            kind: device.kind,
            os: device.os,
            now: renewal.now,
            validity: renewal.validity,
            cipher: renewal.cipher,
        };
        let mut issued = self.sign_device(&request, device.id.clone(), key)?;
        issued.device.last_seen = device.last_seen.of_next();
        issued.device.former = Some(renewal.former);
        Ok(issued)
    }

    fn sign_device(&self, request: &DeviceRequest, id: DeviceId, key: &impl PublicKeyData) -> Result<Issued> {
        check_device(request)?;
        let until = self.devices.usable("device CA", request.now, request.validity)?;
        let params = profile::device(&self.organisation, &request.name, &id, request.now, until)?;
        let certificate = params.signed_by(key, &self.devices.issuer)?.der().clone();
        let device = Device {
            id,
            serial: serial_of(&certificate)?,
            fingerprint: Some(Fingerprint::of(&certificate)),
            former: None,
            owner: request.owner.clone(),
            groups: request.groups.clone(),
            name: request.name.clone(),
            kind: request.kind,
            os: request.os,
            not_before: Timestamp::from_secs(request.now.plus_secs(-BACKDATE).secs()),
            not_after: Timestamp::from_secs(until.secs()),
            status: Status::Active,
            last_seen: LastSeen::default(),
        };
        Ok(Issued { device, certificate })
    }

    /// Makes a certificate for `hosts`, of which `*` may be the first label. `validity` is at most
    /// [`SERVER_VALIDITY_MAX`](crate::SERVER_VALIDITY_MAX), usually
    /// [`SERVER_VALIDITY`](crate::SERVER_VALIDITY), and cut at the server CA's own end.
    ///
    /// # Errors
    /// A host is no DNS name or outside of [`domains`](Self::domains), or the server CA has ended.
    pub fn issue_server(&self, hosts: &[String], now: Timestamp, validity: Duration) -> Result<ServerCertificate> {
        host::check_all(hosts, &self.domains)?;
        self.sign_server(hosts, now, validity)
    }

    /// Leaves the names to the name constraints.
    pub(crate) fn sign_server(
        &self,
        hosts: &[String],
        now: Timestamp,
        validity: Duration,
    ) -> Result<ServerCertificate> {
        check_validity(validity, SERVER_VALIDITY_MAX)?;
        let until = self.servers.usable("server CA", now, validity)?;
        let params = profile::server(&self.organisation, hosts, now, until)?;
        let key = profile::new_key()?;
        let certificate = params.signed_by(&key, &self.servers.issuer)?;
        Ok(ServerCertificate {
            chain_der: vec![certificate.der().clone(), self.servers.der.clone()],
            key_der: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            not_before: Timestamp::from_secs(now.plus_secs(-BACKDATE).secs()),
            not_after: Timestamp::from_secs(until.secs()),
        })
    }
}

impl Ca {
    /// When a certificate made at `now` ends.
    fn usable(&self, ca: &'static str, now: Timestamp, validity: Duration) -> Result<Timestamp> {
        if now < self.not_before || now >= self.not_after {
            return Err(CertError::CaExpired { ca });
        }
        Ok(profile::end(now, validity, self.not_after))
    }
}

/// Key and certificate in one file, with a password of its own.
fn bundled(
    device: Device,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    cipher: P12Cipher,
) -> Result<PendingDevice> {
    let password = password()?;
    let p12 = bundle(&device.name, device.serial, &certificate, key.serialized_der(), &password, cipher)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    Ok(PendingDevice { device, p12, password, certificate, key })
}

fn check_device(request: &DeviceRequest) -> Result<()> {
    check_name_of(request.kind, &request.name)?;
    check_whose(request.kind, request.owner.as_ref(), &request.groups)?;
    check_validity(request.validity, DEVICE_VALIDITY_MAX)
}

/// What a device of this kind may be called.
pub(crate) fn check_name_of(kind: DeviceKind, name: &str) -> Result<()> {
    if kind == DeviceKind::Machine {
        // Rules name it.
        MachineName::new(name).map_err(|error| CertError::invalid("the machine's name", error.problem))?;
    }
    check_name("the device's name", name)
}

/// Whose a device of this kind can be.
pub(crate) fn check_whose(kind: DeviceKind, owner: Option<&PersonId>, groups: &[GroupName]) -> Result<()> {
    match (kind, owner) {
        (DeviceKind::Shared, Some(_)) => {
            return Err(CertError::invalid("a shared device", "belongs to the facility, not to a person"));
        }
        (DeviceKind::Machine, Some(_)) => {
            return Err(CertError::invalid("a machine's certificate", "is a program's, not a person's"));
        }
        (DeviceKind::Lent | DeviceKind::Byod, None) => {
            return Err(CertError::invalid("the device", "needs an owner, unless it is shared"));
        }
        _ => {}
    }
    if kind != DeviceKind::Shared && !groups.is_empty() {
        return Err(CertError::invalid("the device's groups", "are for a shared device"));
    }
    Ok(())
}

fn check_validity(validity: Duration, most: Duration) -> Result<()> {
    if validity < Duration::from_secs(60) {
        return Err(CertError::invalid("the validity", "is under a minute"));
    }
    if validity > most {
        let days = most.as_secs() / 86_400;
        return Err(CertError::invalid("the validity", format!("is over {days} days, the most we sign")));
    }
    Ok(())
}

/// Short enough to say on the telephone: `d-` and ten letters and digits, about 49 bits.
fn new_id() -> Result<DeviceId> {
    let id = format!("d-{}", random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 10)?);
    DeviceId::new(id).map_err(|error| CertError::invalid("the device's id", error.to_string()))
}

fn serial_of(certificate: &CertificateDer<'_>) -> Result<Serial> {
    parse(certificate)
        .and_then(|parsed| Serial::from_bytes(parsed.raw_serial()))
        .ok_or(CertError::NotAClientCertificate("its serial number is not one of ours"))
}
