//! Where identity providers push people and groups: the bytes around `identity::scim`, and the record before its
//! changes.

use std::net::IpAddr;
use std::sync::Arc;

use audit::Record;
use http::{HeaderMap, header};
use identity::scim::{
    BASE_PATH, BODY_LIMIT, Handled, Problem, ScimAnswer, ScimChange, ScimRequest, ScimToken, Writing, needed_scope,
};
use identity::{EndCause, IdentityError};
use pingora_error::Result;
use pingora_proxy::Session;
use policy::{MachineFact, TokenFact};
use serde_json::Map;
use vocabulary::{PersonId, Reason, Timestamp};

use super::exchange::{Destination, Exchange};
use super::generation::Generation;
use super::{Passage, rejudge};
use crate::answer;
use crate::control::{self, Actor};
use crate::core::Core;
use crate::gate::Gate;

/// The client whose token came along. On other hosts a token is the app's business.
pub(super) fn client(passage: &Passage, headers: &HeaderMap, destination: &Destination) -> Option<Arc<ScimToken>> {
    let (Destination::Scim, Some(connection)) = (destination, &passage.connection) else { return None };
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    passage.gate.core.identity.scim().tokens().lookup(shown, connection.ip(), passage.now)
}

/// What the ladder asks of a machine client, looked up anew at every judgement.
pub(super) fn facts(
    core: &Core,
    generation: &Generation,
    from: IpAddr,
    exchange: &Exchange,
    now: Timestamp,
) -> MachineFact {
    let networks = generation.policy.networks();
    let sure = networks.sure(networks.lookup(from));
    let place = generation
        .settings
        .identity
        .scim
        .as_ref()
        .is_some_and(|scim| scim.from.is_empty() || scim.from.iter().any(|network| sure.contains(network)));
    let token = match &exchange.client {
        Some(token) if core.identity.scim().tokens().is_live(token, now) => {
            match token.scopes.contains(needed_scope(exchange.method.as_str(), below_base(&exchange.path))) {
                true => TokenFact::Good,
                false => TokenFact::Narrow,
            }
        }
        _ => TokenFact::None,
    };
    MachineFact { place, token }
}

/// How a token stands in records: its public name.
pub(super) fn actor(token: &ScimToken) -> String {
    format!("scim:{}", token.id)
}

fn below_base(path: &str) -> &str {
    path.strip_prefix(BASE_PATH).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or("//")
}

/// Answers a permitted request. What it changes is recorded before it is done.
pub(super) async fn answer(passage: &mut Passage, session: &mut Session, exchange: &Arc<Exchange>) -> Result<()> {
    let answer = match read(session).await? {
        Ok(body) => handle(passage, session, exchange, body).await,
        Err(problem) => ScimAnswer::from(&problem),
    };
    write(passage, session, &answer).await
}

/// Refuses in the protocol's form, with no more detail than a stranger may have.
pub(super) async fn refuse(passage: &mut Passage, session: &mut Session, reason: Reason) -> Result<()> {
    let detail = apps::words::of_reason(reason).what.get(apps::Lang::En);
    let problem = Problem::new(apps::status(reason), detail);
    write(passage, session, &ScimAnswer::from(&problem)).await
}

/// The body, if it may be one.
async fn read(session: &mut Session) -> Result<std::result::Result<Vec<u8>, Problem>> {
    let headers = &session.req_header().headers;
    let media = headers.get(header::CONTENT_TYPE).map(|v| String::from_utf8_lossy(v.as_bytes()).to_ascii_lowercase());
    let media = media.as_deref().map(|m| m.split(';').next().unwrap_or_default().trim());
    let wrong = media.is_some_and(|media| !matches!(media, "application/scim+json" | "application/json"));
    if headers.contains_key(header::EXPECT) {
        session.write_continue_response().await?;
    }
    let mut body = Vec::new();
    while body.len() <= BODY_LIMIT {
        match session.read_request_body().await? {
            Some(piece) => body.extend_from_slice(&piece),
            None => break,
        }
    }
    Ok(match body.len() {
        0 => Ok(body),
        length if length > BODY_LIMIT => Err(Problem::new(413, format!("the body is longer than {BODY_LIMIT} bytes"))),
        _ if wrong => Err(Problem::new(415, "the body's type is not application/scim+json")),
        _ => Ok(body),
    })
}

/// A request with all it needs, to be handled away from the connection: a client that goes away in the middle
/// leaves no change recorded and undone.
struct Asked {
    gate: Arc<Gate>,
    token: Arc<ScimToken>,
    method: String,
    path: String,
    query: Option<String>,
    if_match: Option<String>,
    if_none_match: Option<String>,
    body: Vec<u8>,
    origin: String,
}

async fn handle(passage: &Passage, session: &Session, exchange: &Exchange, body: Vec<u8>) -> ScimAnswer {
    let Some(token) = exchange.client.clone() else {
        return ScimAnswer::from(&Problem::new(401, "there is no token"));
    };
    let head = session.req_header();
    let text = |name: header::HeaderName| head.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let target = String::from_utf8_lossy(head.raw_path());
    let method = if exchange.method == http::Method::HEAD { "GET" } else { exchange.method.as_str() };
    let asked = Asked {
        gate: passage.gate.clone(),
        token,
        method: method.to_owned(),
        path: below_base(&exchange.path).to_owned(),
        query: target.split_once('?').map(|(_, query)| query.to_owned()),
        if_match: text(header::IF_MATCH),
        if_none_match: text(header::IF_NONE_MATCH),
        body,
        origin: passage.generation.scim_origin(),
    };
    match tokio::spawn(asked.handle()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => ScimAnswer::from(&problem),
        Err(_) => ScimAnswer::from(&failed()),
    }
}

fn failed() -> Problem {
    Problem::new(500, "the request could not be carried out; see the gate's log")
}

impl Asked {
    async fn handle(self) -> std::result::Result<ScimAnswer, Problem> {
        let scim = self.gate.core.identity.scim().clone();
        let writing = match self.method.as_str() {
            "GET" => None,
            _ => Some(scim.writing().await),
        };
        let gate = self.gate.clone();
        let actor = actor(&self.token);
        // The body, and others' changes, may have been waited for: what counts is the moment from which nobody else
        // changes anything.
        let now = gate.core.now();
        // Filters over ten thousand people take a while: not on the threads that serve everybody.
        let handled = tokio::task::spawn_blocking(move || {
            let handled = scim.answer(&self.gate.core.identity.roster(), &self.request(now), writing.as_ref());
            handled.map(|handled| (handled, writing))
        });
        match handled.await.map_err(|_| failed())?? {
            (Handled::Answer(answer), _) => Ok(answer),
            (Handled::Change(change), Some(writing)) => {
                let answer = carry_out(&gate.core, &actor, *change, writing).await?;
                rejudge(&gate);
                Ok(answer)
            }
            (Handled::Change(_), None) => Err(failed()),
        }
    }

    fn request(&self, now: Timestamp) -> ScimRequest<'_> {
        ScimRequest {
            token: &self.token,
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            if_match: self.if_match.as_deref(),
            if_none_match: self.if_none_match.as_deref(),
            body: &self.body,
            origin: &self.origin,
            now,
            today: self.gate.core.zone.local(now).date,
        }
    }
}

/// Record, durably; then do; then end the sessions of those who are out.
pub(crate) async fn carry_out(
    core: &Arc<Core>,
    actor: &str,
    change: ScimChange,
    writing: Writing,
) -> std::result::Result<ScimAnswer, Problem> {
    let by = Actor { who: actor.to_owned(), channel: "scim" };
    let first = change.records().first().cloned();
    match record_and_do(core, &by, change, writing).await {
        Ok(done) => Ok(end_sessions(core, done).await),
        Err(problem) => {
            // Some of it stands in the record, or gets there yet: a disk may be late.
            if let Some(first) = first {
                let details = Map::from_iter([("what".to_owned(), first.what.into())]);
                control::record_when_possible(core, &by, "scim-change-failed", &first.subject, details).await;
            }
            Err(problem)
        }
    }
}

async fn record_and_do(
    core: &Arc<Core>,
    by: &Actor,
    change: ScimChange,
    writing: Writing,
) -> std::result::Result<(ScimAnswer, Vec<PersonId>), Problem> {
    for record in change.records() {
        if let Err(error) = control::change(core, by, record.what, &record.subject, record.details.clone()).await {
            tracing::error!(?error, "a change by SCIM was refused because it could not be recorded");
            let detail = apps::words::of_reason(Reason::RecordUnavailable).what.get(apps::Lang::En);
            return Err(Problem::new(503, detail));
        }
    }
    let identity = core.identity.clone();
    match tokio::task::spawn_blocking(move || identity.carry_out_scim(change, &writing)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(IdentityError::Store(error))) => {
            tracing::error!(%error, "a change by SCIM was recorded and could not be stored");
            Err(failed())
        }
        Ok(Err(error)) => Err(Problem::new(409, error.to_string())),
        Err(_) => Err(failed()),
    }
}

async fn end_sessions(core: &Core, (answer, out): (ScimAnswer, Vec<PersonId>)) -> ScimAnswer {
    for person in out {
        match core.identity.sessions().end_person(&person, EndCause::Person).await {
            Ok(ended) => {
                for end in ended {
                    let record = Record::SignOut(control::sign_out(&end));
                    if let Err(error) = core.journal.append(core.now(), &record).await {
                        tracing::error!(%error, "a session's end could not be recorded");
                    }
                }
            }
            // The lock counts on the next request all the same.
            Err(error) => tracing::error!(%error, "the sessions of somebody who is locked could not be ended"),
        }
    }
    answer
}

/// After a start or a reload: the configuration may give other groups than when they were pushed.
pub(crate) async fn reconcile(core: &Arc<Core>) {
    let scim = core.identity.scim();
    let writing = scim.writing().await;
    if let Some(change) = scim.reconcile(&core.identity.roster(), &writing)
        && carry_out(core, "gate", change, writing).await.is_err()
    {
        tracing::error!("the groups of the configuration could not be given to people whom SCIM manages");
    }
}

async fn write(passage: &mut Passage, session: &mut Session, answer: &ScimAnswer) -> Result<()> {
    let mut headers = vec![("cache-control", "no-store".to_owned()), ("x-content-type-options", "nosniff".to_owned())];
    headers.extend(answer.body.as_ref().map(|_| ("content-type", "application/scim+json".to_owned())));
    if answer.status == 401 {
        headers.push(("www-authenticate", "Bearer realm=\"SCIM\"".to_owned()));
    }
    headers.extend(answer.location.iter().map(|location| ("location", location.clone())));
    headers.extend(answer.etag.iter().map(|etag| ("etag", etag.clone())));
    headers.extend(answer.allow.map(|allow| ("allow", allow.to_owned())));
    let body = answer.body.as_ref().map(ToString::to_string).unwrap_or_default();
    answer::write(session, passage, apps::Page { status: answer.status, headers, body }).await
}
