//! From a request to what is done about it: RFC 8555 §7, in the order in which a client goes through it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::json;

use super::jws::{Request, Signer};
use super::order::{Challenge, Progress};
use super::problem::{Kind, Problem, Result};
use super::{AcmeReply, AcmeRequest, AcmeStep, Issue, LONGEST_BODY, Permission, State, attestation};
use crate::DeviceKey;

pub(super) fn answer(
    state: &mut State,
    roots: &[CertificateDer<'static>],
    request: &AcmeRequest<'_>,
    gate: &dyn Permission,
) -> Result<AcmeStep> {
    let segments: Vec<&str> = request.path.strip_prefix('/').unwrap_or_default().split('/').collect();
    let reply = match (request.method, segments.as_slice()) {
        ("GET" | "HEAD", ["directory"]) => directory(request.base_url),
        // §7.2.
        ("HEAD", ["new-nonce"]) => AcmeReply::empty(200),
        ("GET", ["new-nonce"]) => AcmeReply::empty(204),
        ("POST", segments) => return post(state, roots, request, segments, gate),
        _ => {
            return Err(
                Problem::malformed("everything but the directory and nonces is asked for with POST").with_status(405)
            );
        }
    };
    Ok(AcmeStep::Reply(reply))
}

/// §7.1.1. The last two are in every directory, so they are in this one; nothing is behind them.
fn directory(base: &str) -> AcmeReply {
    let document = json!({
        "newNonce": format!("{base}/new-nonce"),
        "newAccount": format!("{base}/new-account"),
        "newOrder": format!("{base}/new-order"),
        "revokeCert": format!("{base}/revoke-cert"),
        "keyChange": format!("{base}/key-change"),
    });
    AcmeReply::json(200, &document)
}

fn post(
    state: &mut State,
    roots: &[CertificateDer<'static>],
    http: &AcmeRequest<'_>,
    segments: &[&str],
    gate: &dyn Permission,
) -> Result<AcmeStep> {
    if http.body.len() > LONGEST_BODY {
        return Err(Problem::malformed("the body is over 64 KiB").with_status(413));
    }
    let media = http.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/jose+json") {
        return Err(Problem::malformed("the body must be application/jose+json").with_status(415));
    }
    let request = Request::read(http.body)?;
    let nonce = state.nonces.check(&request.header.nonce, http.now);
    let nonce = nonce.ok_or_else(|| Problem::new(Kind::BadNonce, "the nonce is not of use any more"))?;
    // §6.4: what was signed for one place is good for no other.
    if request.header.url != format!("{}{}", http.base_url, http.path) {
        return Err(Problem::new(Kind::Unauthorized, "the header names another URL"));
    }
    // §6.2: only who has no account yet shows a key.
    let account = match (request.signer()?, segments) {
        (Signer::Key(key), ["new-account"]) => {
            request.verify(&key)?;
            spend(state, nonce, http)?;
            return new_account(state, http, &request, key).map(AcmeStep::Reply);
        }
        (Signer::Account(kid), segments) if segments != ["new-account"] => {
            let unknown = || Problem::new(Kind::AccountDoesNotExist, "there is no such account, or not any more");
            let id =
                kid.strip_prefix(http.base_url).and_then(|path| path.strip_prefix("/acct/")).ok_or_else(unknown)?;
            request.verify(&state.book.account(id).ok_or_else(unknown)?.key)?;
            id.to_owned()
        }
        _ => return Err(Problem::malformed("new-account takes a `jwk`, and everything else a `kid`")),
    };
    spend(state, nonce, http)?;
    match segments {
        ["new-order"] => new_order(state, http, &request, &account, gate),
        ["acct", id] if *id == account => account_of(state, http, &request, id),
        ["acct", id, "orders"] if *id == account => {
            let orders: Vec<_> = state.book.orders_of(id).map(|id| format!("{}/order/{id}", http.base_url)).collect();
            Ok(AcmeReply::json(200, &json!({ "orders": orders })))
        }
        ["order", id] => {
            let order = state.book.order(id, &account)?;
            let reply = AcmeReply::json(200, &order.document(http.base_url, id));
            // §7.4: in seconds, as long as the caller is at it.
            let busy = matches!(order.progress, Progress::Processing);
            Ok(if busy { reply.header("Retry-After", "3".to_owned()) } else { reply })
        }
        ["authz", id] => {
            let order = state.book.order(id, &account)?;
            Ok(AcmeReply::json(200, &order.authorization(http.base_url, id)))
        }
        ["chall", id] => challenge(state, roots, http, &request, id, &account),
        ["order", id, "finalize"] => return finalize(state, http, &request, id, &account, gate),
        ["cert", id] => certificate(state, id, &account),
        _ => Err(Problem::malformed("there is nothing here").with_status(404)),
    }
    .map(AcmeStep::Reply)
}

fn spend(state: &mut State, nonce: super::nonce::Nonce, http: &AcmeRequest<'_>) -> Result<()> {
    let spent = state.nonces.spend(nonce, http.now);
    spent.then_some(()).ok_or_else(|| Problem::new(Kind::RateLimited, "too much is going on; try again in a while"))
}

/// §7.3.
fn new_account(
    state: &mut State,
    http: &AcmeRequest<'_>,
    request: &Request,
    key: super::jws::Key,
) -> Result<AcmeReply> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        #[serde(default)]
        only_return_existing: bool,
    }
    let payload: Payload = request.json()?;
    let (status, id) = match state.book.account_of(&key) {
        Some(id) => (200, id.to_owned()),
        None if payload.only_return_existing => {
            return Err(Problem::new(Kind::AccountDoesNotExist, "there is no account with this key"));
        }
        None => (201, state.book.open_account(key, http.now)?),
    };
    Ok(account_document(status, http.base_url, &id, "valid"))
}

/// §7.3.2 and §7.3.6. There are no contacts to change.
fn account_of(state: &mut State, http: &AcmeRequest<'_>, request: &Request, id: &str) -> Result<AcmeReply> {
    #[derive(Default, Deserialize)]
    struct Payload {
        status: Option<String>,
    }
    let payload: Payload = if request.payload.is_empty() { Payload::default() } else { request.json()? };
    if payload.status.as_deref() == Some("deactivated") {
        state.book.close_account(id);
        return Ok(account_document(200, http.base_url, id, "deactivated"));
    }
    Ok(account_document(200, http.base_url, id, "valid"))
}

fn account_document(status: u16, base: &str, id: &str, standing: &str) -> AcmeReply {
    let document = json!({ "status": standing, "orders": format!("{base}/acct/{id}/orders") });
    AcmeReply::json(status, &document).header("Location", format!("{base}/acct/{id}"))
}

/// §7.4.
fn new_order(
    state: &mut State,
    http: &AcmeRequest<'_>,
    request: &Request,
    account: &str,
    gate: &dyn Permission,
) -> Result<AcmeReply> {
    #[derive(Deserialize)]
    struct Payload {
        identifiers: Vec<Identifier>,
    }
    #[derive(Deserialize)]
    struct Identifier {
        r#type: String,
        value: String,
    }
    let payload: Payload = request.json()?;
    let [identifier] = payload.identifiers.as_slice() else {
        return Err(Problem::malformed("an order is for exactly one identifier"));
    };
    if identifier.r#type != "permanent-identifier" {
        return Err(Problem::new(Kind::UnsupportedIdentifier, "only a permanent-identifier can be ordered for"));
    }
    // The same words whether it never was good or is used: nobody is to find out by trying.
    let rejected = || Problem::new(Kind::RejectedIdentifier, "no enrolment goes by this identifier now");
    let permit = gate.permit(&identifier.value).ok_or_else(rejected)?;
    if state.book.is_taken(&identifier.value) {
        return Err(rejected());
    }
    let id = state.book.open_order(account, &identifier.value, permit.attestation_required, http.now)?;
    let order = state.book.order(&id, account)?;
    Ok(AcmeReply::json(201, &order.document(http.base_url, &id))
        .header("Location", format!("{}/order/{id}", http.base_url)))
}

/// §7.5.1, with the payload of draft-ietf-acme-device-attest §5. Answered once, for better or worse.
fn challenge(
    state: &mut State,
    roots: &[CertificateDer<'static>],
    http: &AcmeRequest<'_>,
    request: &Request,
    id: &str,
    account: &str,
) -> Result<AcmeReply> {
    let order = state.book.order(id, account)?;
    if matches!(order.challenge, Challenge::Pending) && !request.payload.is_empty() {
        order.challenge = match attested(request, roots, &order.token, http.now) {
            Ok(None) if order.attestation_required => {
                let problem =
                    Problem::new(Kind::BadAttestationStatement, "an attestation is required, and there is none");
                Challenge::Invalid(problem)
            }
            Ok(attested) => Challenge::Valid { at: http.now, attested },
            Err(problem) => Challenge::Invalid(problem),
        };
    }
    Ok(AcmeReply::json(200, &order.challenge_document(http.base_url, id))
        .header("Link", format!("<{}/authz/{id}>;rel=\"up\"", http.base_url)))
}

fn attested(
    request: &Request,
    roots: &[CertificateDer<'static>],
    token: &str,
    now: vocabulary::Timestamp,
) -> Result<Option<attestation::Attested>> {
    /// `error` is what Apple's client says if it could not have its key attested; the draft doesn't know it.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        #[serde(default)]
        att_obj: String,
        #[serde(default)]
        error: Option<serde_json::Value>,
    }
    let payload: Payload = request.json()?;
    if payload.error.is_some() {
        return Err(Problem::new(Kind::BadAttestationStatement, "the device says that it could not attest its key"));
    }
    let object = URL_SAFE_NO_PAD.decode(payload.att_obj.trim_end_matches('='));
    let object = object.map_err(|_| Problem::new(Kind::BadAttestationStatement, "attObj is not base64url"))?;
    let Some(chain) = attestation::read(&object)? else { return Ok(None) };
    attestation::verify(&chain, roots, token, now).map(Some)
}

/// §7.4, the second half.
fn finalize(
    state: &mut State,
    http: &AcmeRequest<'_>,
    request: &Request,
    id: &str,
    account: &str,
    gate: &dyn Permission,
) -> Result<AcmeStep> {
    #[derive(Deserialize)]
    struct Payload {
        csr: String,
    }
    let order = state.book.order(id, account)?;
    let (Challenge::Valid { attested, .. }, Progress::Open) = (&order.challenge, &order.progress) else {
        return Err(Problem::new(Kind::OrderNotReady, format!("the order is {}", order.status())));
    };
    let (attested, identifier) = (attested.clone(), order.identifier.clone());
    let bad = |detail: String| Problem::new(Kind::BadCsr, detail);
    let payload: Payload = request.json()?;
    let csr =
        URL_SAFE_NO_PAD.decode(payload.csr).map_err(|_| bad("the certificate request is not base64url".to_owned()))?;
    let key = DeviceKey::from_csr(&csr).map_err(|error| bad(error.to_string()))?;
    // A request with another key would have what was attested vouch for what was not.
    if attested.as_ref().is_some_and(|attested| attested.key != key) {
        return Err(bad("the request is not for the key that was attested".to_owned()));
    }
    // Minutes may have gone by, and another order may have been faster.
    let permit = gate.permit(&identifier).filter(|permit| !permit.attestation_required || attested.is_some());
    if permit.is_none() || state.book.is_taken(&identifier) {
        return Err(Problem::new(Kind::Unauthorized, "no enrolment goes by this identifier now"));
    }
    state.book.order(id, account)?.progress = Progress::Processing;
    Ok(AcmeStep::Issue(Issue {
        client_identifier: identifier,
        key,
        attested,
        order: id.to_owned(),
        base_url: http.base_url.to_owned(),
    }))
}

/// §7.4.2.
fn certificate(state: &mut State, id: &str, account: &str) -> Result<AcmeReply> {
    match &state.book.order(id, account)?.progress {
        Progress::Issued { chain_pem } => Ok(AcmeReply {
            content_type: Some("application/pem-certificate-chain"),
            body: chain_pem.clone().into_bytes(),
            ..AcmeReply::empty(200)
        }),
        _ => Err(Problem::malformed("there is no certificate here yet").with_status(404)),
    }
}
