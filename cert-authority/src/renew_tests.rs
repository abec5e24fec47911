//! Renewals, and what is left of a folder when one breaks off.

use std::fs;

use super::*;
use crate::house::{DAY, House, NOW, WORK, house, must, nurse, passphrase, root_passphrase, said};
use crate::{DeviceRequest, RevocationCause, Revoked, SERVER_VALIDITY};

const LATER: Timestamp = Timestamp::from_secs(NOW.secs() + 9 * 365 * DAY);

fn renewal(house: &House) -> CaRenewal {
    let roots = house.dir.path().join("roots.age");
    CaRenewal { passphrase: passphrase(), roots, root_passphrase: root_passphrase(), now: LATER }
}

fn renew(house: &House, which: Which) -> Result<CaRenewed> {
    renew_with_work(&house.dir.path().join("ca"), &renewal(house), which, WORK)
}

fn open(house: &House) -> CertAuthority {
    CertAuthority::open(&house.dir.path().join("ca"), &passphrase()).unwrap()
}

fn verify(house: &House, certificate: &CertificateDer<'_>, family: &str, at: Timestamp) -> std::process::Output {
    fs::write(house.dir.path().join("leaf.pem"), pem(certificate)).unwrap();
    let (root, ca) = (format!("ca/{family}-root.pem"), format!("ca/{family}-ca.pem"));
    let at = at.secs().to_string();
    house.openssl(&["verify", "-x509_strict", "-attime", &at, "-CAfile", &root, "-untrusted", &ca, "leaf.pem"])
}

#[test]
fn a_new_device_ca_signs_and_the_former_is_trusted_until_it_ends() {
    let house = house();
    let request = DeviceRequest { now: LATER.plus_secs(-DAY), ..nurse() };
    let old = house.authority.issue_device(&request).unwrap();
    let renewed = renew(&house, Which::Device).unwrap();
    assert_eq!((renewed.former, renewed.not_after), (1, LATER.plus_secs(10 * 365 * DAY)));

    let authority = open(&house);
    assert_eq!(Fingerprint::of(authority.device_ca_der()), renewed.fingerprint);
    let anchors: Vec<_> = authority.device_anchors(LATER).cloned().collect();
    assert_eq!(anchors, [authority.device_ca_der().clone(), house.authority.device_ca_der().clone()]);
    assert_eq!(authority.device_anchors(house.authority.device_ca_not_after()).count(), 1, "the former has ended");

    let new = authority.issue_device(&DeviceRequest { now: LATER, ..nurse() }).unwrap();
    for certificate in [&old.certificate, &new.certificate] {
        must(&verify(&house, certificate, "device", LATER));
    }
    let subject = |ca: &CertAuthority| parse(ca.device_ca_der()).unwrap().subject().to_string();
    assert_ne!(subject(&authority), subject(&house.authority), "another name");
    assert_eq!(authority.organisation(), "さくら会");

    // Each CA's own list catches its own devices.
    let revoked = [&old, &new].map(|p| Revoked { serial: p.device.serial, at: LATER, cause: RevocationCause::Lost });
    let lists = authority.crls(revoked, 1, LATER, LATER.plus_secs(DAY)).unwrap();
    assert_eq!(lists.len(), 2);
    let lists: Vec<_> = lists.iter().map(|list| pem::encode(&pem::Pem::new("X509 CRL", list.as_slice()))).collect();
    fs::write(house.dir.path().join("crls.pem"), lists.concat()).unwrap();
    for certificate in [&old.certificate, &new.certificate] {
        fs::write(house.dir.path().join("leaf.pem"), pem(certificate)).unwrap();
        let at = LATER.secs().to_string();
        let verify = ["verify", "-crl_check", "-attime", &at, "-CAfile", "ca/device-root.pem", "-untrusted"];
        let rest = ["ca/device-ca.pem", "-CRLfile", "crls.pem", "leaf.pem"];
        assert!(said(&house.openssl(&[&verify[..], &rest].concat())).contains("certificate revoked"));
    }
}

#[test]
fn a_new_server_ca_has_the_same_constraints_and_the_former_key_is_gone() {
    let house = house();
    let hosts = ["a.gw.sakura-kai.example".to_owned()];
    renew(&house, Which::Server).unwrap();
    let authority = open(&house);
    assert_eq!(authority.domains(), house.authority.domains());
    let server = authority.issue_server(&hosts, LATER, SERVER_VALIDITY).unwrap();
    must(&verify(&house, &server.chain_der[0], "server", LATER));
    assert!(authority.issue_server(&["bank.example".to_owned()], LATER, SERVER_VALIDITY).is_err());
    let keys = unsealed_keys(&house.dir.path().join("ca").join(KEYS), &passphrase()).unwrap();
    assert_eq!(keys.len(), 2);
    renew(&house, Which::Device).unwrap();
    assert_eq!(renew(&house, Which::Device).unwrap().former, 2);
    assert_eq!(open(&house).device_anchors(LATER).count(), 3);
}

#[test]
fn a_crash_at_any_step_leaves_the_old_or_the_new() {
    let house = house();
    let ca = house.dir.path().join("ca");
    let before = fs::read(ca.join(DEVICE_CA)).unwrap();
    renew(&house, Which::Device).unwrap();
    let after = fs::read(ca.join(DEVICE_CA)).unwrap();
    // Between the two renames: the new keys with the old certificates.
    fs::write(ca.join(DEVICE_CA), &before).unwrap();
    assert_eq!(open(&house).device_ca_der(), house.authority.device_ca_der());
    // Within a write: something half beside the file. The next renewal starts over it.
    fs::write(ca.join("ca-keys.age.new"), "half").unwrap();
    fs::write(ca.join("device-ca.pem.new"), "half").unwrap();
    fs::write(ca.join(DEVICE_CA), &after).unwrap();
    assert_eq!(renew(&house, Which::Device).unwrap().former, 2);
    assert!(!ca.join("ca-keys.age.new").exists() && !ca.join("device-ca.pem.new").exists());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(ca.join(KEYS)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let (house, other) = (house(), house());
    let ca = house.dir.path().join("ca");
    let read = || [DEVICE_CA, KEYS].map(|name| fs::read(ca.join(name)).unwrap());
    let before = read();
    let with = |change: &dyn Fn(&mut CaRenewal)| {
        let mut renewal = renewal(&house);
        change(&mut renewal);
        renew_with_work(&ca, &renewal, Which::Device, WORK).unwrap_err()
    };
    assert!(matches!(with(&|r| r.passphrase = root_passphrase()), CertError::Decrypt { .. }));
    assert!(matches!(with(&|r| r.root_passphrase = passphrase()), CertError::Decrypt { .. }));
    let roots = other.dir.path().join("roots.age");
    assert!(matches!(with(&|r| r.roots = roots.clone()), CertError::NotThisRoot { .. }));
    assert!(matches!(with(&|r| r.now = NOW.plus_secs(20 * 365 * DAY)), CertError::CaExpired { ca: "device root" }));
    let held = Held::hold(&ca).unwrap();
    assert!(matches!(with(&|_| {}), CertError::Busy { .. }));
    drop(held);
    assert_eq!(read(), before);
    // A CA never outlives its root.
    let late = CaRenewal { now: NOW.plus_secs(15 * 365 * DAY), ..renewal(&house) };
    let renewed = renew_with_work(&ca, &late, Which::Device, WORK).unwrap();
    assert_eq!((renewed.not_after, renewed.former), (NOW.plus_secs(20 * 365 * DAY), 0), "the former has ended");
}
