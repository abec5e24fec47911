//! What tests of the whole certificate authority begin with.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use vocabulary::{PersonId, Timestamp};

use crate::init::{Work, init_with_work};
use crate::*;

/// 2026-11-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);
pub(crate) const DAY: i64 = 86_400;
/// Quick to decrypt.
pub(crate) const WORK: Work = Work { root: 4, issuing: 4 };

pub(crate) struct House {
    pub(crate) dir: TempDir,
    pub(crate) authority: CertAuthority,
}

pub(crate) fn passphrase() -> Passphrase {
    Passphrase::new("gateway passphrase")
}

pub(crate) fn root_passphrase() -> Passphrase {
    Passphrase::new("the roots' passphrase")
}

pub(crate) fn house() -> House {
    house_at(NOW)
}

pub(crate) fn house_at(now: Timestamp) -> House {
    let dir = tempfile::tempdir().unwrap();
    let init = Init {
        organisation: "さくら会".to_owned(),
        domain: "gw.sakura-kai.example".to_owned(),
        other_domains: Vec::new(),
        passphrase: passphrase(),
        root_passphrase: root_passphrase(),
        export_to: dir.path().join("roots.age"),
        now,
    };
    init_with_work(&dir.path().join("ca"), &init, WORK).unwrap();
    let authority = CertAuthority::open(&dir.path().join("ca"), &passphrase()).unwrap();
    House { dir, authority }
}

pub(crate) fn nurse() -> DeviceRequest {
    DeviceRequest {
        owner: Some(PersonId::new("hanako").unwrap()),
        groups: Vec::new(),
        name: "花子のiPhone".to_owned(),
        kind: DeviceKind::Byod,
        os: Some(Os::Ios),
        now: NOW,
        validity: DEVICE_VALIDITY,
        cipher: P12Cipher::TripleDes,
    }
}

impl House {
    pub(crate) fn openssl(&self, args: &[&str]) -> Output {
        openssl(self.dir.path(), args)
    }
}

pub(crate) fn openssl(dir: &Path, args: &[&str]) -> Output {
    Command::new("openssl").args(args).current_dir(dir).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn must(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}
