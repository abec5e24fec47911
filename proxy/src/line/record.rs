//! Station: record. The intent is on disk before anything happens; the outcome follows when all is over.

use std::sync::Arc;

use apps::{Cause, LoginEvent, Recorder, Unavailable};
use audit::{
    Admit, Change, Decision, End, Login, LoginResult, Position, Record, RequestIntent, SignIn, SignInResult, SignOut,
};
use pingora_error::Error;
use pingora_proxy::Session;
use vocabulary::{DeviceId, NetworkName, PersonId, Reason};

use super::Passage;
use super::exchange::{Destination, Exchange};
use super::facts::Known;
use super::generation::Generation;
use super::judge::{Judged, Page, Refusal, Verdict};
use crate::answer;
use crate::gate::Gate;
use crate::listener::Connection;

/// Makes the request's record durable and passes the verdict on; a request that can't be recorded is refused.
pub(super) async fn intent(
    passage: &mut Passage,
    session: &Session,
    exchange: &Arc<Exchange>,
    judged: Judged,
) -> Verdict {
    let Judged { verdict, reason, rule, known } = judged;
    let generation = passage.generation.clone();
    let Some(connection) = passage.connection.clone() else { return unavailable(exchange) };
    if !known.is_stranger() {
        connection.becomes_known();
    }
    if reason == Reason::Preflight && is_flood(passage, &known, &connection) {
        generation.count(exchange, Decision::Deny, Reason::TooMany);
        passage.gate.metrics.aggregated.inc();
        passage.permit = None;
        return Verdict::Refuse(Refusal { reason: Reason::TooMany, rule: None, action: exchange.guess.action });
    }
    let decision = match verdict {
        Verdict::Refuse(_) => Decision::Deny,
        Verdict::Forward | Verdict::BuiltIn(_) => Decision::Permit,
    };
    generation.count(exchange, decision, reason);

    if matches!(reason, Reason::RecordUnavailable) {
        passage.gate.core.count_stranger(connection.ip(), passage.now);
        return verdict;
    }
    // Strangers beyond the rate are counted, unless what they ask has an effect.
    let countable =
        known.is_stranger() && matches!(verdict, Verdict::Refuse(_) | Verdict::BuiltIn(Page::Login | Page::Enroll));
    if countable {
        let core = &passage.gate.core;
        if !core.journal.has_room_for_strangers() {
            core.count_stranger(connection.ip(), passage.now);
            passage.gate.metrics.aggregated.inc();
            return verdict;
        }
        if core.admit_stranger(connection.ip(), passage.now) == Admit::Counted {
            passage.gate.metrics.aggregated.inc();
            return verdict;
        }
    }

    let headers = &session.req_header().headers;
    let person = known.person.as_ref();
    let device = known.device.device();
    let client = match known.device.machine() {
        Some(machine) => Some(format!("machine:{machine}")),
        None => exchange.client.as_ref().filter(|_| known.client).map(|token| super::scim::actor(token)),
    };
    let serial = connection.certificate.as_ref().map(|c| c.serial_hex.as_str());
    let networks = generation.policy.networks().sure(known.network);
    let factors = known.facts(exchange, exchange.guess.action).factors();
    let intent = RequestIntent {
        at: passage.now,
        app: app_id(&generation, &exchange.destination),
        host: &exchange.host,
        method: exchange.method.as_str(),
        path: &exchange.masked,
        action: exchange.guess.action,
        guessed: exchange.guess.guessed,
        decision,
        reason,
        rule: rule.as_ref(),
        person: person.map(|p| &p.id),
        session: exchange.session.as_ref().filter(|_| person.is_some()).map(|s| s.id()),
        factors: person.map(|_| factors.total()),
        factor_device: factors.device,
        device: device.map(|d| &d.id),
        client: client.as_deref(),
        serial,
        source: connection.ip(),
        networks,
        inside: !networks.is_empty(),
        tls: Some(connection.tls_version),
        http: if connection.http2 { "2" } else { "1.1" },
        user_agent: headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()),
        navigation: exchange.navigation,
        operation: operation(exchange),
        subject: exchange.recognised.subject.as_deref(),
        login: exchange.saas_cookies.login.as_ref(),
    };
    let began = std::time::Instant::now();
    let recorded = match countable {
        // Goes nowhere, so nobody needs to wait for the disk, and a flood of it holds nobody up.
        true => passage.gate.core.journal.note(&intent),
        false => passage.gate.core.journal.intent(&intent).await,
    };
    match recorded {
        Ok(position) => {
            if !countable {
                generation.timers.commit.observe(began.elapsed().as_secs_f64());
            }
            passage.position = Some(position);
            if exchange.recognised.login.is_some() || exchange.saas_cookies.foreign {
                passage.login_record = login(passage, &intent, &known, position);
            }
            verdict
        }
        // Refused anyway, and counted at least.
        Err(_) if decision == Decision::Deny => {
            passage.gate.core.count_stranger(connection.ip(), passage.now);
            verdict
        }
        Err(error) => {
            tracing::error!(%error, "a request was refused because its record could not be written");
            passage.permit = None;
            unavailable(exchange)
        }
    }
}

/// What operators call it, else what the recipe does; what logs in or out needs no name there.
fn operation(exchange: &Exchange) -> Option<&str> {
    let recognised = &exchange.recognised;
    let by_kind = || match (&recognised.login, recognised.logout) {
        (Some(_), _) => Some("login"),
        (None, true) => Some("logout"),
        (None, false) => None,
    };
    let by_recipe = recognised.operation.as_ref().map(|operation| &*operation.id);
    exchange.guess.name.as_deref().or(by_recipe).or_else(by_kind)
}

/// A record of a login to the SaaS, in which only what the SaaS answers is missing.
fn login(passage: &Passage, intent: &RequestIntent<'_>, known: &Known, request: Position) -> Option<Box<Login>> {
    let roster = passage.gate.core.identity.roster();
    let entry = known.person.as_ref().and_then(|person| roster.get(&person.id));
    Some(Box::new(Login {
        app: intent.app?.clone(),
        result: LoginResult::Unknown,
        cause: None,
        login: None,
        request,
        account: None,
        saas_id: None,
        saas_id_hash: None,
        person: intent.person.cloned(),
        name: entry.map(|entry| entry.name.clone()),
        facility: entry.and_then(|entry| entry.facility.clone()),
        session: intent.session.cloned(),
        device: intent.device.cloned(),
        serial: intent.serial.map(str::to_owned),
        source: intent.source,
        networks: intent.networks.to_vec(),
        inside: intent.inside,
        user_agent: intent.user_agent.map(|agent| agent.chars().take(200).collect()),
        more: serde_json::Map::new(),
    }))
}

/// A preflight of a stranger goes to the SaaS, so it needs a record of its own; beyond the rate it does not go. Within
/// our networks there is no rate: browsers send preflights without cookie and certificate, so those of a whole facility
/// look like those of one stranger.
fn is_flood(passage: &Passage, known: &Known, connection: &Connection) -> bool {
    known.is_stranger()
        && passage.generation.policy.networks().sure(known.network).is_empty()
        && passage.gate.core.admit_stranger(connection.ip(), passage.now) == Admit::Counted
}

fn unavailable(exchange: &Exchange) -> Verdict {
    Verdict::Refuse(Refusal { reason: Reason::RecordUnavailable, rule: None, action: exchange.guess.action })
}

fn app_id<'a>(generation: &'a Generation, destination: &'a Destination) -> Option<&'a vocabulary::AppId> {
    match destination {
        Destination::Login => Some(&generation.login_id),
        Destination::Scim => Some(&generation.scim_id),
        Destination::Enroll | Destination::Device => Some(&generation.enroll_id),
        other => other.app_id(),
    }
}

/// All is over, well or not.
pub(super) fn outcome(passage: &mut Passage, session: &Session, error: Option<&Error>) {
    let status = session.response_written().map_or(passage.status, |response| response.status.as_u16());
    passage.status = status;
    let end = match error {
        None => End::Ok,
        Some(error) if answer::ends_a_websocket(session, error) => End::Ok,
        Some(error) if *error.esource() == pingora_error::ErrorSource::Upstream => End::UpstreamFailed,
        Some(_) if passage.refused_response().is_some() => End::DeniedResponse,
        Some(_) => End::Aborted,
    };
    passage.ends(end);
    passage.conclude();
}

/// Writes the events of the sign-in pages down before they take effect.
pub(super) struct SignInRecorder {
    gate: Arc<Gate>,
    device: Option<DeviceId>,
    serial: Option<String>,
    source: std::net::IpAddr,
    networks: Vec<NetworkName>,
    user_agent: Option<String>,
    provider: String,
}

impl SignInRecorder {
    pub(super) fn new(passage: &Passage, session: &Session, known: &Known, connection: &Connection) -> Self {
        let headers = &session.req_header().headers;
        let agent = headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok());
        Self {
            gate: passage.gate.clone(),
            device: known.device.device().map(|d| d.id.clone()),
            serial: connection.certificate.as_ref().map(|c| c.serial_hex.clone()),
            source: connection.ip(),
            networks: passage.generation.policy.networks().sure(known.network).to_vec(),
            user_agent: agent.map(|a| a.chars().take(200).collect()),
            provider: passage.generation.provider.clone(),
        }
    }

    fn of_provider(
        &self,
        result: SignInResult,
        provider: String,
        account: Option<String>,
        person: Option<PersonId>,
        factors: u8,
    ) -> SignIn {
        SignIn { provider, account, ..self.sign_in(result, person, factors, None) }
    }

    fn sign_in(&self, result: SignInResult, person: Option<PersonId>, factors: u8, reason: Option<Reason>) -> SignIn {
        let roster = self.gate.core.identity.roster();
        let entry = person.as_ref().and_then(|id| roster.get(id));
        SignIn {
            result,
            reason,
            person,
            name: entry.map(|entry| entry.name.clone()),
            facility: entry.and_then(|entry| entry.facility.clone()),
            provider: self.provider.clone(),
            account: None,
            cause: None,
            factors,
            method: None,
            passkey: None,
            session: None,
            device: self.device.clone(),
            serial: self.serial.clone(),
            source: self.source,
            networks: self.networks.clone(),
            inside: !self.networks.is_empty(),
            user_agent: self.user_agent.clone(),
            more: serde_json::Map::new(),
        }
    }

    /// A change that somebody made to what they sign in with.
    fn change(&self, person: &PersonId, what: &str, details: Vec<(&str, serde_json::Value)>) -> Record {
        let details = details.into_iter().map(|(name, value)| (name.to_owned(), value));
        let source = ("source".to_owned(), self.source.to_string().into());
        Record::Change(Change {
            by: person.as_str().to_owned(),
            channel: "login".to_owned(),
            what: what.to_owned(),
            subject: person.as_str().to_owned(),
            details: details.chain([source]).collect(),
            more: serde_json::Map::new(),
        })
    }
}

/// A session's end as a record.
fn ended(session: identity::SessionSummary, cause: identity::EndCause, source: std::net::IpAddr) -> Record {
    Record::SignOut(SignOut {
        person: session.person,
        session: session.id,
        cause: cause.as_str().to_owned(),
        source: Some(source),
        more: serde_json::Map::new(),
    })
}

/// A sign-in as a record.
fn of(sign_in: SignIn) -> Record {
    Record::SignIn(Box::new(sign_in))
}

#[async_trait::async_trait]
impl Recorder for SignInRecorder {
    async fn record(&self, event: LoginEvent) -> Result<(), Unavailable> {
        let core = &self.gate.core;
        let now = core.now();
        let record = match event {
            LoginEvent::SignedIn { person, factors, method, session, .. } => of(SignIn {
                method: Some(method.as_str().to_owned()),
                passkey: method.passkey().map(str::to_owned),
                session: Some(session),
                ..self.sign_in(SignInResult::Ok, Some(person), factors, None)
            }),
            LoginEvent::CodeAsked { person } => of(self.sign_in(SignInResult::SecondFactor, Some(person), 1, None)),
            LoginEvent::RecoveryCodeUsed { person, left } => {
                self.change(&person, "recovery-code-used", vec![("left", left.into())])
            }
            LoginEvent::Failed { person, cause } => {
                // Nothing was tried, so nothing is lost by counting: a stranger must not fill the disk with it.
                let nothing_tried = cause == Cause::Throttled
                    || person.is_none() && matches!(cause, Cause::Code | Cause::CodeExpired | Cause::Passkey);
                if nothing_tried && core.admit_stranger(self.source, now) == Admit::Counted {
                    return Ok(());
                }
                let (result, reason) = match cause {
                    Cause::Password
                    | Cause::Code
                    | Cause::CodeExpired
                    | Cause::RecoveryCode
                    | Cause::Passkey
                    | Cause::Confirmation => (SignInResult::Wrong, None),
                    Cause::Throttled => (SignInResult::Throttled, Some(Reason::TooMany)),
                    Cause::Refused(reason) => (SignInResult::NotAllowed, Some(reason)),
                };
                let method = (result == SignInResult::Wrong).then(|| cause.as_str().to_owned());
                let cause = reason.is_none().then(|| cause.as_str().to_owned());
                of(SignIn { method, cause, ..self.sign_in(result, person, 0, reason) })
            }
            LoginEvent::SignedOut { session } => ended(session, identity::EndCause::SignOut, self.source),
            LoginEvent::EndedByChange { session } => ended(session, identity::EndCause::Credential, self.source),
            LoginEvent::Changed { person, session, change } => {
                let session = ("session", session.as_str().into());
                let passkey = change.passkey().map(|id| ("passkey", id.into()));
                self.change(&person, change.as_str(), [session].into_iter().chain(passkey).collect())
            }
            LoginEvent::ProviderSignedIn { provider, subject, person, factors, session } => of(SignIn {
                session: Some(session),
                ..self.of_provider(SignInResult::Ok, provider, Some(subject), Some(person), factors)
            }),
            LoginEvent::ProviderFailed { provider, subject, person, cause, reason } => {
                // Nothing took effect; a stranger must not fill the disk with it. Once a provider has vouched for an
                // account it is no stranger: a whole facility may stand behind one address.
                if person.is_none() && subject.is_none() && core.admit_stranger(self.source, now) == Admit::Counted {
                    return Ok(());
                }
                let result = if reason.is_some() { SignInResult::NotAllowed } else { SignInResult::ProviderFailed };
                let cause = cause.map(|cause| cause.as_str().to_owned());
                of(SignIn { reason, cause, ..self.of_provider(result, provider, subject, person, 0) })
            }
            LoginEvent::Linked { provider, subject, person } => Record::Change(Change {
                by: format!("provider:{provider}"),
                channel: "sign-in".to_owned(),
                what: "account-linked".to_owned(),
                subject: person.as_str().to_owned(),
                details: serde_json::Map::from_iter([
                    ("provider".to_owned(), provider.into()),
                    ("account".to_owned(), subject.into()),
                ]),
                more: serde_json::Map::new(),
            }),
            LoginEvent::EndedByProvider { session, cause } => ended(session, cause, self.source),
            LoginEvent::NoticeAcknowledged { person, session, digest } => Record::Change(Change {
                by: person.to_string(),
                channel: "login".to_owned(),
                what: "notice-acknowledged".to_owned(),
                subject: person.to_string(),
                details: serde_json::Map::from_iter([
                    ("text_sha256".to_owned(), digest.into()),
                    ("session".to_owned(), session.as_str().into()),
                ]),
                more: serde_json::Map::new(),
            }),
        };
        core.journal.append(now, &record).await.map(|_| ()).map_err(|error| {
            tracing::error!(%error, "a sign-in could not be recorded");
            Unavailable
        })
    }
}
