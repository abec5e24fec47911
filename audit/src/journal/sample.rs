//! Requests and changes for tests.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Map;
use vocabulary::{Action, AppId, PersonId, Reason, Timestamp};

use crate::{Change, Decision, Entry, Record, RequestIntent};

pub(crate) const NOON: Timestamp = Timestamp::from_secs(1_793_500_000);

static APP: LazyLock<AppId> = LazyLock::new(|| AppId::new("kaipoke").unwrap());
static PERSON: LazyLock<PersonId> = LazyLock::new(|| PersonId::new("佐藤.花子").unwrap());

/// A permitted request of a person.
pub(crate) fn request(path: &str) -> RequestIntent<'_> {
    RequestIntent {
        at: NOON,
        app: Some(&APP),
        host: "kaipoke.gw.sakura-kai.example",
        method: "GET",
        path,
        action: Action::View,
        guessed: true,
        decision: Decision::Permit,
        reason: Reason::Rule,
        rule: None,
        person: Some(&PERSON),
        session: None,
        factors: Some(1),
        factor_device: false,
        device: None,
        client: None,
        serial: None,
        source: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)),
        networks: &[],
        inside: true,
        tls: Some("1.3"),
        http: "2",
        user_agent: Some("Mozilla/5.0"),
        navigation: true,
        operation: None,
        subject: None,
        login: None,
    }
}

/// The same of a stranger, refused.
pub(crate) fn stranger(path: &str) -> RequestIntent<'_> {
    let (decision, reason) = (Decision::Deny, Reason::UnknownNetwork);
    RequestIntent { app: None, person: None, factors: None, inside: false, decision, reason, ..request(path) }
}

pub(crate) fn change(subject: &str) -> Record {
    let (by, channel, what) = ("root(0)".to_owned(), "control-socket".to_owned(), "device-revoked".to_owned());
    Record::Change(Change { by, channel, what, subject: subject.to_owned(), details: Map::new(), more: Map::new() })
}

pub(crate) fn all(dir: &Path) -> Vec<Entry> {
    let tail = crate::journal::reader::tail(dir, None).unwrap();
    tail.into_entries().collect()
}
