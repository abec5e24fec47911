//! The record: the one place where its written form is written down.
//!
//! A record is one JSON object, fields in the order of the types below, no white space, absent values left
//! out. It begins with `"v":1`, `"kind"`, `"at"` (microseconds, UTC) and `"salt"` (64 random bits in hex, so
//! that a record's hash tells nothing to guess). An [`Outcome`] is an object of its own, of kind `outcome`,
//! which names the record it belongs to; readers merge the two.
//!
//! The form is open: later versions add optional fields, and a reader keeps what it doesn't know in `more`.
//! Nothing secret has a field here: no cookie, token, password, header or body.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vocabulary::{Action, AppId, DeviceId, LoginId, NetworkName, PersonId, Reason, RuleName, SessionId, Timestamp};

use crate::Position;

/// Version of the written form. It changes only if an old reader would misread the new form.
pub(crate) const VERSION: u8 = 1;

/// Longest host kept, in characters.
const HOST_CHARS: usize = 255;
/// Longest method kept, in bytes.
const METHOD_CHARS: usize = 32;
/// Longest path kept, in characters. A stranger decides how long a path is, so something must bound it.
const PATH_CHARS: usize = 2_048;
/// Longest user agent kept, in characters.
const USER_AGENT_CHARS: usize = 200;

/// What was decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Permit,
    Deny,
}

impl Decision {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        }
    }
}

/// A request as it is about to be answered or forwarded; borrowed, because one is made per request.
#[derive(Clone, Copy, Debug)]
pub struct RequestIntent<'a> {
    pub at: Timestamp,
    /// None: no app has the host name. Built-in pages have their own ids (`login`, …).
    pub app: Option<&'a AppId>,
    /// As the client named it; kept up to 255 characters.
    pub host: &'a str,
    /// Kept up to 32 characters.
    pub method: &'a str,
    /// Already masked; kept up to 2,048 characters.
    pub path: &'a str,
    pub action: Action,
    /// The action was guessed from method, path and type; no recipe named it.
    pub guessed: bool,
    pub decision: Decision,
    pub reason: Reason,
    pub rule: Option<&'a RuleName>,
    pub person: Option<&'a PersonId>,
    pub session: Option<&'a SessionId>,
    /// How many factors were counted, 1 to 3; None: nobody is signed in.
    pub factors: Option<u8>,
    /// One of them is the person's own device, the others are the sign-in's.
    pub factor_device: bool,
    pub device: Option<&'a DeviceId>,
    /// The machine client whose token was good, such as `scim:k3f9x2ab`.
    pub client: Option<&'a str>,
    /// Serial number of the client certificate, in hex, whether or not the inventory knows it.
    pub serial: Option<&'a str>,
    pub source: IpAddr,
    /// The configuration's networks that the source lies in.
    pub networks: &'a [NetworkName],
    /// The source lies in a network that stands for a facility.
    pub inside: bool,
    /// `1.3` or `1.2`.
    pub tls: Option<&'a str>,
    /// `1.1` or `2`.
    pub http: &'a str,
    /// Kept up to 200 characters.
    pub user_agent: Option<&'a str>,
    /// A person's navigation to a page, as told apart from what a page fetches by itself.
    pub navigation: bool,
    /// Id of what was done, in the app's recipe. None: no recipe names it.
    pub operation: Option<&'a str>,
    /// What it was done to, as `<kind>/<id>`: `resident/1234`.
    pub subject: Option<&'a str>,
    /// The login to the SaaS under which it was done.
    pub login: Option<&'a LoginId>,
}

impl RequestIntent<'_> {
    /// Nobody signed in, no device and no machine client of ours: who can't be told, and has no claim on reserved
    /// disk space.
    pub const fn is_stranger(&self) -> bool {
        self.person.is_none() && self.device.is_none() && self.client.is_none()
    }

    pub(crate) fn host(&self) -> &str {
        cut(self.host, HOST_CHARS)
    }

    /// Methods are words (RFC 9110, 9.1). What else stands in their place may be the end of somebody's form, with a password
    /// in it, that a client sent as the next request.
    pub(crate) fn method(&self) -> &str {
        let word = |b: u8| b.is_ascii_alphabetic() || b == b'-';
        if self.method.len() <= METHOD_CHARS && self.method.bytes().all(word) { self.method } else { "*" }
    }

    pub(crate) fn path(&self) -> &str {
        cut(self.path, PATH_CHARS)
    }

    pub(crate) fn user_agent(&self) -> Option<&str> {
        self.user_agent.map(|agent| cut(agent, USER_AGENT_CHARS))
    }
}

fn cut(text: &str, chars: usize) -> &str {
    // Most texts are shorter in bytes already; then nothing is counted.
    if text.len() <= chars {
        return text;
    }
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

/// A recorded request, read back. The fields are those of [`RequestIntent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    pub host: String,
    pub method: String,
    pub path: String,
    pub action: Action,
    #[serde(default, skip_serializing_if = "is_false")]
    pub guessed: bool,
    pub decision: Decision,
    pub reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factors: Option<u8>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub factor_device: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    pub source: IpAddr,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkName>,
    pub inside: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    pub http: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub navigation: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginId>,
    /// Fields of later versions.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl From<&RequestIntent<'_>> for Request {
    fn from(intent: &RequestIntent<'_>) -> Self {
        Self {
            app: intent.app.cloned(),
            host: intent.host().to_owned(),
            method: intent.method().to_owned(),
            path: intent.path().to_owned(),
            action: intent.action,
            guessed: intent.guessed,
            decision: intent.decision,
            reason: intent.reason,
            rule: intent.rule.cloned(),
            person: intent.person.cloned(),
            session: intent.session.cloned(),
            factors: intent.factors,
            factor_device: intent.factor_device,
            device: intent.device.cloned(),
            client: intent.client.map(str::to_owned),
            serial: intent.serial.map(str::to_owned),
            source: intent.source,
            networks: intent.networks.to_vec(),
            inside: intent.inside,
            tls: intent.tls.map(str::to_owned),
            http: intent.http.to_owned(),
            user_agent: intent.user_agent().map(str::to_owned),
            navigation: intent.navigation,
            operation: intent.operation.map(str::to_owned),
            subject: intent.subject.map(str::to_owned),
            login: intent.login.cloned(),
            more: Map::new(),
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Answered in full.
    Ok,
    /// The client went away.
    Aborted,
    /// The SaaS could not be reached or broke off.
    UpstreamFailed,
    /// We cut it: a device, session or person was revoked.
    Cut,
    /// The SaaS answered, and its answer was not permitted.
    DeniedResponse,
    /// It never left: its record came too late, or nobody waited for it any more.
    Refused,
    /// The outcome was lost; whether the SaaS acted is not known.
    #[default]
    OutcomeUnknown,
}

impl End {
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Aborted,
        Self::UpstreamFailed,
        Self::Cut,
        Self::DeniedResponse,
        Self::Refused,
        Self::OutcomeUnknown,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Aborted => "aborted",
            Self::UpstreamFailed => "upstream-failed",
            Self::Cut => "cut",
            Self::DeniedResponse => "denied-response",
            Self::Refused => "refused",
            Self::OutcomeUnknown => "outcome-unknown",
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub at: Timestamp,
    pub end: End,
    /// What the client was told; None if it was told nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Body bytes from the client.
    #[serde(default)]
    pub bytes_in: u64,
    /// Body bytes to the client.
    #[serde(default)]
    pub bytes_out: u64,
    /// Microseconds from forwarding to the response's head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_us: Option<u64>,
    /// Microseconds from the request's head to the end.
    #[serde(default)]
    pub total_us: u64,
    /// The action, where the response's head showed another one than the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Why the response was refused, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The rule that refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleName>,
    /// Fields of later versions.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Requests of strangers beyond the rate, counted instead of recorded one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Where they came from: an IPv4 address or an IPv6 /64; None: all sources beyond the limit of sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Beginning of the minute they came in.
    pub minute: Timestamp,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// How an attempt to sign in ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInResult {
    Ok,
    /// Unknown login ID or wrong password or second factor; the same to who tries.
    Wrong,
    /// The password was right, and the second factor is asked for.
    SecondFactor,
    /// Too many attempts.
    Throttled,
    /// Right, but the person may not sign in (left, locked, not on the roster).
    NotAllowed,
    /// The identity provider said no, could not be reached, or its word was not good.
    ProviderFailed,
}

/// An attempt to sign in to the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignIn {
    pub result: SignInResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Only a person of the roster. What else was typed is not recorded: people type passwords there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// The person's name on the roster at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The person's facility at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    /// Id of the identity provider, from the configuration.
    pub provider: String,
    /// What the identity provider calls the person (`sub`), once it has vouched for somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Why it came to nothing, in one word: `nonce`, `provider-unavailable`, `mail-unverified`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How many factors were proven.
    pub factors: u8,
    /// What with, in words joined by `+`: `password`, `password+totp`, `password+recovery-code`, `password+passkey`,
    /// `passkey`; after a failure, what was wrong: `password`, `code`, `passkey`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The passkey's id, if one was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    pub source: IpAddr,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkName>,
    pub inside: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// How an attempt to log in to a SaaS ended, as its answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginResult {
    Ok,
    Failed,
    /// The SaaS asks for something more, such as a one-time code.
    SecondStep,
    /// The answer is none of those that the recipe knows.
    Unknown,
    /// Nobody logged in through the gate: the browser came with a session of the SaaS that it has from elsewhere.
    Elsewhere,
}

impl LoginResult {
    pub const ALL: [Self; 5] = [Self::Ok, Self::Failed, Self::SecondStep, Self::Unknown, Self::Elsewhere];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::SecondStep => "second-step",
            Self::Unknown => "unknown",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// A login to a SaaS, read off the wire by the app's recipe. Written when the SaaS has answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Login {
    pub app: AppId,
    pub result: LoginResult,
    /// Why it failed, in the recipe's word: `wrong-password`, `locked`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Names the login in the requests that follow. None: it is none that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginId>,
    /// The request that asked for it, as `[boot, seq]`.
    #[serde(with = "pair")]
    pub request: Position,
    /// The SaaS's account of the facility (法人ID, sub-domain), if the recipe tells which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The SaaS's login ID, if the SaaS accepted it now or before. What else was typed there may be a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saas_id: Option<String>,
    /// A keyed hash of what was typed, where `saas_id` can't stand: the same text gives the same hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saas_id_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// The person's name on the roster at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The person's facility at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    pub source: IpAddr,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkName>,
    pub inside: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The end of a login to a SaaS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginEnd {
    pub app: AppId,
    pub login: LoginId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// One word: `logout`, `idle` (the SaaS ends it by then), `expired` (the SaaS said so), `replaced` (by another login in
    /// the same browser), `unknown`.
    pub cause: String,
    /// When it ended, or when it was last seen.
    pub ended: Timestamp,
    /// Requests under it.
    pub requests: u64,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A session's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOut {
    pub person: PersonId,
    pub session: SessionId,
    /// One word: `signed-out`, `idle`, `expired`, `ended`, …
    pub cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Somebody changed something: a device was issued or revoked, a person locked, a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Who: a person's id, or a system user as `root(0)`.
    pub by: String,
    /// Through what: `control-socket`, `console`, `offline`.
    pub channel: String,
    /// What, as one word: `device-revoked`, `staff-locked`, …
    pub what: String,
    /// To what: the id of the thing changed.
    pub subject: String,
    /// What else is worth knowing, never a secret.
    #[serde(default, skip_serializing_if = "Map::is_empty", serialize_with = "crate::json::plain")]
    pub details: Map<String, Value>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Somebody looked at records, or took some away. It is written before anything is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Who: a person's id, or a system user as `os:0`.
    pub by: String,
    /// Through what: `control-socket`, `console`, `offline`.
    pub channel: String,
    /// What, as one word: `requests`, `sign-ins`, `tail`, `export`, …
    pub what: String,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Map::is_empty", serialize_with = "crate::json::plain")]
    pub filter: Map<String, Value>,
    /// How many records were shown; None: not known when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The gateway began to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The program's version.
    pub version: String,
    /// SHA-256 of the configuration, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The gateway was asked to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// One word: `terminated`, `upgraded`, …
    pub cause: String,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What was found when the journal was opened after an end that was not clean. The journal writes it itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// The boot that ended so.
    pub of_boot: u32,
    /// Bytes cut off after the last good record; none of them was ever confirmed to anybody.
    pub truncated_bytes: u64,
    /// Files with damage before good records; the damaged files are kept under these names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<String>,
    /// Numbers of records lost to the damage, as far as they can be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<(u64, u64)>,
    /// Numbers that are missing as well, and were never confirmed to anybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unconfirmed: Vec<(u64, u64)>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The configuration was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// False: it was not valid, and the last good one stays.
    pub accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// An operator accepted a clock that stands before the newest record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAccepted {
    pub by: String,
    /// The newest record's time, which the clock stood before.
    pub newest: Timestamp,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Nothing else was recorded for an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Sealed records were dropped because their time was over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// What lay before this time went.
    pub before: Timestamp,
    /// Leaves below this index are gone.
    pub dropped_to: u64,
    /// Root hash of the tree of so many leaves, base64.
    pub root: String,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What a record says, by its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    Request(Box<Request>),
    Aggregate(Aggregate),
    SignIn(Box<SignIn>),
    SignOut(SignOut),
    Login(Box<Login>),
    LoginEnd(LoginEnd),
    Change(Change),
    Reading(Reading),
    Start(Start),
    Stop(Stop),
    Recovery(Recovered),
    Reload(Reload),
    ClockAccepted(ClockAccepted),
    Heartbeat(Heartbeat),
    Retention(Retention),
    /// A kind of a later version.
    Other {
        kind: String,
        fields: Map<String, Value>,
    },
}

impl Record {
    /// The word that stands in `"kind"`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Request(_) => "request",
            Self::Aggregate(_) => "aggregate",
            Self::SignIn(_) => "sign-in",
            Self::SignOut(_) => "sign-out",
            Self::Login(_) => "login",
            Self::LoginEnd(_) => "login-end",
            Self::Change(_) => "change",
            Self::Reading(_) => "reading",
            Self::Start(_) => "start",
            Self::Stop(_) => "stop",
            Self::Recovery(_) => "recovery",
            Self::Reload(_) => "reload",
            Self::ClockAccepted(_) => "clock-accepted",
            Self::Heartbeat(_) => "heartbeat",
            Self::Retention(_) => "retention",
            Self::Other { kind, .. } => kind,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// A position as `[boot, seq]`, as an outcome's `of` stands.
mod pair {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::Position;

    pub(super) fn serialize<S: Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
        (position.boot, position.seq).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Position, D::Error> {
        <(u32, u64)>::deserialize(deserializer).map(|(boot, seq)| Position { boot, seq })
    }
}
