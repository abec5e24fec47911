//! What can be asked of a gate. One JSON object on a line each way.

use cert_authority::Approval;
use identity::import::Encoding;
use serde::{Deserialize, Serialize};
use vocabulary::{DeviceId, DeviceKind, GroupName, Os, PersonId, RevocationCause, SessionId, Span};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub(crate) enum Command {
    StaffAdd(NewPerson),
    StaffList,
    StaffExport,
    StaffShow {
        person: PersonId,
    },
    StaffImport(Import),
    StaffRetire {
        person: PersonId,
        last_day: Option<String>,
        at_once: bool,
    },
    /// `cause` is for the record, in the operator's words.
    StaffLock {
        person: PersonId,
        cause: Option<String>,
    },
    StaffUnlock {
        person: PersonId,
    },
    StaffPassword {
        person: PersonId,
        password: Option<String>,
    },
    StaffTotp {
        person: PersonId,
    },
    StaffTotpConfirm {
        person: PersonId,
        code: String,
    },
    StaffLinks {
        person: Option<PersonId>,
    },
    StaffLink {
        person: PersonId,
        issuer: String,
        subject: String,
    },
    StaffUnlink {
        person: PersonId,
        issuer: Option<String>,
    },
    StaffFactors {
        person: PersonId,
    },
    StaffResetFactors {
        person: PersonId,
    },
    StaffRecoveryCodes {
        person: PersonId,
    },
    SessionList {
        person: Option<PersonId>,
    },
    SessionEnd {
        session: SessionId,
    },
    SessionEndPerson {
        person: PersonId,
    },
    DeviceIssue(NewDevice),
    /// `csr` in PEM.
    DeviceRenew {
        device: DeviceId,
        csr: String,
    },
    DeviceList,
    DeviceRevoke {
        device: DeviceId,
        cause: RevocationCause,
    },
    DeviceInvite(NewInvitation),
    DeviceInvitations,
    DeviceWithdraw {
        invitation: String,
    },
    DeviceApprove {
        code: String,
    },
    DeviceDecline {
        code: String,
    },
    ScimTokenAdd(NewScimToken),
    ScimTokenList,
    ScimTokenRevoke {
        token: String,
    },
    ScimRelease {
        person: PersonId,
    },
    ClockAccept,
    /// To all places that keep checkpoints, now.
    CheckpointSend,
    Reload,
    /// Records are about to be shown to who says this, who asked for what stands in the filter.
    AuditReading {
        what: String,
        filter: serde_json::Map<String, serde_json::Value>,
    },
    /// How far the index of the log is; with `anew`, it is thrown away before.
    AuditIndex {
        anew: bool,
    },
    /// How the sealing of records stands.
    AuditSealing,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewPerson {
    pub(crate) id: PersonId,
    pub(crate) name: String,
    pub(crate) kana: Option<String>,
    pub(crate) mail: Option<String>,
    pub(crate) facility: Option<String>,
    pub(crate) groups: Vec<GroupName>,
    /// As 2026-04-01.
    pub(crate) first_day: Option<String>,
    pub(crate) last_day: Option<String>,
    /// `None`: one is made and told once.
    pub(crate) password: Option<String>,
}

/// A device whose certificate is made at once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewDevice {
    pub(crate) kind: DeviceKind,
    pub(crate) owner: Option<PersonId>,
    /// Whom a shared device is for; none for everybody.
    pub(crate) groups: Vec<GroupName>,
    pub(crate) name: String,
    pub(crate) os: Option<Os>,
    pub(crate) aes: bool,
    /// A signing request in PEM, instead of a key of the gate's making.
    pub(crate) csr: Option<String>,
}

/// An invitation to be made. What is left out is as the configuration says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewInvitation {
    pub(crate) kind: DeviceKind,
    pub(crate) owner: Option<PersonId>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) name: Option<String>,
    pub(crate) valid: Option<Span>,
    pub(crate) approval: Option<Approval>,
    pub(crate) unattended: bool,
    /// Mailed to its owner; in English if true.
    pub(crate) mail: Option<bool>,
    /// Only tell whether it could be made.
    pub(crate) check: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewScimToken {
    pub(crate) name: String,
    /// Whose people and groups it sees; a name of the operator's choice.
    pub(crate) provider: String,
    pub(crate) scopes: identity::scim::Scopes,
    pub(crate) expires: Span,
}

/// A roster file. The file itself follows the command's line as it is, `size` bytes long.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Import {
    pub(crate) size: usize,
    #[serde(skip)]
    pub(crate) file: Vec<u8>,
    pub(crate) name: String,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) dry_run: bool,
    pub(crate) retire_missing: bool,
    /// People who left may come back, and others stay longer than was set.
    pub(crate) reinstate: bool,
    /// More than half may leave.
    pub(crate) force: bool,
    /// The difference that somebody agreed to, by the name that a dry run gave it.
    pub(crate) agreed: Option<String>,
}

impl Command {
    /// What follows the command's line.
    pub(crate) fn attachment(&self) -> &[u8] {
        match self {
            Self::StaffImport(import) => &import.file,
            _ => &[],
        }
    }

    /// How much follows, and where it goes.
    pub(crate) fn expects(&mut self) -> Option<(usize, &mut Vec<u8>)> {
        match self {
            Self::StaffImport(import) => Some((import.size, &mut import.file)),
            _ => None,
        }
    }
}

/// The answer: what was done or asked for, or why not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    Done(serde_json::Value),
    Refused(String),
    Failed(String),
}

/// Who says a command, and through what.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// `os:0`: the operating system's numeric user.
    pub(crate) who: String,
    pub(crate) channel: &'static str,
}

impl Actor {
    pub(crate) fn over_socket(uid: u32) -> Self {
        Self { who: format!("os:{uid}"), channel: "control-socket" }
    }

    /// With no gate running.
    pub(crate) fn offline(uid: u32) -> Self {
        Self { who: format!("os:{uid}"), channel: "offline" }
    }
}
