//! A device that speaks the whole protocol with an attestation CA of its own, and everything it may do wrong.

use std::cell::{Cell, RefCell};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use rcgen::{CertificateParams, CertifiedIssuer, CustomExtension, IsCa, KeyPair, PublicKeyData, SigningKey};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_cbor_2::Value as Cbor;
use serde_json::{Value, json};
use vocabulary::Timestamp;

use super::*;
use crate::house::{DAY, NOW, house, nurse};
use crate::profile::{instant, new_key};

const BASE: &str = "https://gw.example/acme";

/// Stands for Apple's servers: a root, and the CA below it that signs.
struct Maker {
    root: CertificateDer<'static>,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Maker {
    fn new() -> Self {
        let params = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params
        };
        let root = CertifiedIssuer::self_signed(params("root"), new_key().unwrap()).unwrap();
        let ca = CertifiedIssuer::signed_by(params("ca"), new_key().unwrap(), &root).unwrap();
        Self { root: root.der().clone(), ca }
    }

    fn root(&self) -> CertificateDer<'static> {
        self.root.clone()
    }

    /// An attestation object for a key, fresh for a token, good until a day after `now`.
    fn attest(&self, key: &impl PublicKeyData, token: &str, now: Timestamp) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.not_before = instant(now.plus_secs(-60)).unwrap();
        params.not_after = instant(now.plus_secs(DAY)).unwrap();
        let apple = |last: [u64; 2], content: &[u8]| {
            let oid = [&[1, 2, 840, 113_635, 100, 8], &last[..]].concat();
            CustomExtension::from_oid_content(&oid, content.to_vec())
        };
        params.custom_extensions = vec![
            apple([9, 1], b"C02XK0ABJG5H"),
            apple([9, 2], b"00008103-000123456789001E"),
            apple([10, 2], b"22.1.0"),
            apple([11, 1], digest(&SHA256, token.as_bytes()).as_ref()),
        ];
        let leaf = params.signed_by(key, &self.ca).unwrap();
        object(&[leaf.der().to_vec(), self.ca.der().to_vec()])
    }
}

fn object(chain: &[Vec<u8>]) -> Vec<u8> {
    let text = |text: &str| Cbor::Text(text.to_owned());
    let chain = chain.iter().map(|der| Cbor::Bytes(der.clone())).collect();
    let statement = Cbor::Map([(text("x5c"), Cbor::Array(chain))].into());
    serde_cbor_2::to_vec(&Cbor::Map([(text("fmt"), text("apple")), (text("attStmt"), statement)].into())).unwrap()
}

/// One enrolment, `one-time`.
struct Gate {
    live: Cell<bool>,
    attestation_required: bool,
}

impl Permission for Gate {
    fn permit(&self, client_identifier: &str) -> Option<Permit> {
        let good = client_identifier == "one-time" && self.live.get();
        good.then_some(Permit { attestation_required: self.attestation_required })
    }
}

struct Device<'a> {
    acme: &'a Acme,
    gate: &'a Gate,
    account: EcdsaKeyPair,
    kid: RefCell<Option<String>>,
    nonce: RefCell<String>,
    now: Timestamp,
}

struct Order {
    url: String,
    challenge: String,
    finalize: String,
    token: String,
}

impl<'a> Device<'a> {
    fn new(acme: &'a Acme, gate: &'a Gate) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let account =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &SystemRandom::new()).unwrap();
        let device = Self { acme, gate, account, kid: None.into(), nonce: String::new().into(), now: NOW };
        device.send("HEAD", "/new-nonce", None, b"");
        device
    }

    fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: &[u8]) -> AcmeStep {
        let request = AcmeRequest { method, path, content_type, body, base_url: BASE, now: self.now };
        let step = self.acme.answer(&request, self.gate);
        if let AcmeStep::Reply(reply) = &step {
            self.keep(reply);
        }
        step
    }

    fn keep(&self, reply: &AcmeReply) {
        *self.nonce.borrow_mut() = header(reply, "Replay-Nonce");
        assert!(reply.headers.contains(&("Link", format!("<{BASE}/directory>;rel=\"index\""))));
    }

    fn header(&self, path: &str) -> Value {
        let mut header = json!({ "alg": "ES256", "nonce": *self.nonce.borrow(), "url": format!("{BASE}{path}") });
        match &*self.kid.borrow() {
            Some(kid) => header["kid"] = json!(kid),
            None => {
                use ring::signature::KeyPair as _;
                let point = self.account.public_key().as_ref();
                let (x, y) = (B64.encode(&point[1..33]), B64.encode(&point[33..]));
                header["jwk"] = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
            }
        }
        header
    }

    fn sign(&self, header: &Value, payload: &str) -> Vec<u8> {
        let (protected, payload) = (B64.encode(header.to_string()), B64.encode(payload));
        let signed = format!("{protected}.{payload}");
        let signature = self.account.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let jws = json!({ "protected": protected, "payload": payload, "signature": B64.encode(signature) });
        jws.to_string().into_bytes()
    }

    fn post_signed(&self, path: &str, body: &[u8]) -> AcmeStep {
        self.send("POST", path, Some("application/jose+json"), body)
    }

    fn post_step(&self, url: &str, payload: &str) -> AcmeStep {
        let path = url.strip_prefix(BASE).unwrap_or(url);
        self.post_signed(path, &self.sign(&self.header(path), payload))
    }

    fn post(&self, url: &str, payload: &str) -> AcmeReply {
        reply(self.post_step(url, payload))
    }

    fn open_account(&self) {
        let reply = self.post("/new-account", r#"{"termsOfServiceAgreed":true}"#);
        assert_eq!(reply.status, 201, "{reply:?}");
        *self.kid.borrow_mut() = Some(header(&reply, "Location"));
    }

    fn try_order(&self, identifier: &str) -> AcmeReply {
        let identifiers = json!({ "identifiers": [{ "type": "permanent-identifier", "value": identifier }] });
        self.post("/new-order", &identifiers.to_string())
    }

    fn order(&self) -> Order {
        let reply = self.try_order("one-time");
        assert_eq!(reply.status, 201, "{reply:?}");
        let order = body(&reply);
        assert_eq!((&order["status"], &order["expires"]), (&json!("pending"), &json!("2026-11-01T01:00:00Z")));
        let authz = body(&self.post(order["authorizations"][0].as_str().unwrap(), ""));
        assert_eq!(authz["identifier"], json!({ "type": "permanent-identifier", "value": "one-time" }));
        let challenge = &authz["challenges"][0];
        assert_eq!(challenge["type"], "device-attest-01");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Order {
            url: header(&reply, "Location"),
            challenge: text(&challenge["url"]),
            finalize: text(&order["finalize"]),
            token: text(&challenge["token"]),
        }
    }

    /// Answers the challenge with an attestation object.
    fn answer(&self, order: &Order, object: &[u8]) -> Value {
        let reply = self.post(&order.challenge, &json!({ "attObj": B64.encode(object) }).to_string());
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.headers.iter().any(|(name, value)| *name == "Link" && value.ends_with(";rel=\"up\"")));
        body(&reply)
    }

    fn finalize(&self, order: &Order, key: &KeyPair) -> AcmeStep {
        let csr = CertificateParams::default().serialize_request(key).unwrap();
        self.post_step(&order.finalize, &json!({ "csr": B64.encode(csr.der()) }).to_string())
    }

    fn ready(&self, maker: &Maker, key: &KeyPair) -> Order {
        self.open_account();
        let order = self.order();
        assert_eq!(self.answer(&order, &maker.attest(key, &order.token, NOW))["status"], "valid");
        order
    }
}

fn reply(step: AcmeStep) -> AcmeReply {
    match step {
        AcmeStep::Reply(reply) => reply,
        AcmeStep::Issue(issue) => panic!("{issue:?}"),
    }
}

fn issue(step: AcmeStep) -> Issue {
    match step {
        AcmeStep::Issue(issue) => issue,
        AcmeStep::Reply(reply) => panic!("{}", String::from_utf8_lossy(&reply.body)),
    }
}

fn body(reply: &AcmeReply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn header(reply: &AcmeReply, name: &str) -> String {
    reply.headers.iter().find(|(other, _)| *other == name).unwrap().1.clone()
}

/// The kind of a problem document, `-` if it is none.
fn problem(reply: &AcmeReply) -> String {
    if reply.content_type != Some("application/problem+json") {
        return "-".to_owned();
    }
    let document = body(reply);
    assert_eq!(document["status"], reply.status);
    document["type"].as_str().unwrap().strip_prefix("urn:ietf:params:acme:error:").unwrap().to_owned()
}

fn gate(attestation_required: bool) -> Gate {
    Gate { live: Cell::new(true), attestation_required }
}

fn trusting(maker: &Maker) -> Acme {
    Acme::trusting(vec![maker.root()]).unwrap()
}

#[test]
fn a_device_comes_by_its_certificate() {
    let (house, maker, gate) = (house(), Maker::new(), gate(true));
    let acme = trusting(&maker);
    let device = Device::new(&acme, &gate);
    let directory = body(&reply(device.send("GET", "/directory", None, b"")));
    assert_eq!(directory["newOrder"], format!("{BASE}/new-order"));
    assert_eq!(reply(device.send("GET", "/new-nonce", None, b"")).status, 204);

    let key = new_key().unwrap();
    let order = device.ready(&maker, &key);
    assert_eq!(body(&device.post(&order.url, ""))["status"], "ready");
    let issue = issue(device.finalize(&order, &key));
    assert_eq!(issue.client_identifier, "one-time");
    let attested = issue.attested.clone().unwrap();
    assert_eq!(attested.serial_number.as_deref(), Some("C02XK0ABJG5H"));
    assert_eq!(attested.udid.as_deref(), Some("00008103-000123456789001E"));
    assert_eq!(attested.sep_os_version.as_deref(), Some("22.1.0"));
    assert_eq!(attested.key, issue.key);

    device.send("HEAD", "/new-nonce", None, b"");
    assert_eq!(body(&device.post(&order.url, ""))["status"], "processing");
    let issued = house.authority.issue_device_for(&nurse(), &issue.key).unwrap();
    let chain = [issued.certificate.clone(), house.authority.device_ca_der().clone()];
    let finished = acme.issued(&issue, &chain, NOW);
    device.keep(&finished);
    let document = body(&finished);
    assert_eq!((&document["status"], header(&finished, "Location")), (&json!("valid"), order.url.clone()));
    let download = device.post(document["certificate"].as_str().unwrap(), "");
    assert_eq!(download.content_type, Some("application/pem-certificate-chain"));
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&download.body).map(std::result::Result::unwrap).collect();
    assert_eq!(certificates, chain);
    assert_eq!(body(&device.post(&order.url, ""))["status"], "valid");

    let again = acme.issued(&issue, &chain, NOW);
    assert_eq!((again.status, problem(&again).as_str()), (404, "malformed"), "answered once");
    // Used, even while the gate does not know it yet.
    assert_eq!(problem(&device.try_order("one-time")), "rejectedIdentifier");
}

#[test]
fn a_device_that_needs_no_attestation_may_have_none_but_no_false_one() {
    let (maker, gate) = (Maker::new(), gate(false));
    let acme = trusting(&maker);
    for object in [&b"{}"[..], b""] {
        let device = Device::new(&acme, &gate);
        device.open_account();
        let order = device.order();
        assert_eq!(device.answer(&order, object)["status"], "valid");
        let issue = issue(device.finalize(&order, &new_key().unwrap()));
        assert_eq!(issue.attested, None);
        let refused = acme.refused(&issue, "the facility has changed its mind", NOW);
        device.keep(&refused);
        assert_eq!(body(&refused)["status"], "invalid");
        assert_eq!(body(&refused)["error"]["detail"], "the facility has changed its mind");
    }
    let device = Device::new(&acme, &gate);
    device.open_account();
    let order = device.order();
    let other = Maker::new().attest(&new_key().unwrap(), &order.token, NOW);
    assert_eq!(device.answer(&order, &other)["status"], "invalid");
}

#[test]
fn an_attestation_that_does_not_fit_ends_the_order() {
    let (maker, gate) = (Maker::new(), gate(true));
    let acme = trusting(&maker);
    let key = new_key().unwrap();
    type Attempt<'a> = (&'a str, &'a dyn Fn(&str) -> Vec<u8>);
    let attempts: [Attempt<'_>; 7] = [
        ("none", &|_: &str| b"{}".to_vec()),
        ("for another challenge", &|_: &str| maker.attest(&key, "another", NOW)),
        ("of another root", &|token: &str| Maker::new().attest(&key, token, NOW)),
        ("that has ended", &|token: &str| maker.attest(&key, token, NOW.plus_secs(-2 * DAY))),
        ("from the future", &|token: &str| maker.attest(&key, token, NOW.plus_secs(2 * DAY))),
        ("that is the root itself", &|_: &str| object(&[maker.root().to_vec()])),
        ("that is no certificate", &|_: &str| object(&[b"0\x00".to_vec()])),
    ];
    for (case, attempt) in attempts {
        let device = Device::new(&acme, &gate);
        device.open_account();
        let order = device.order();
        let challenge = device.answer(&order, &attempt(&order.token));
        assert_eq!(challenge["status"], "invalid", "{case}");
        let kind = "urn:ietf:params:acme:error:badAttestationStatement";
        assert_eq!(challenge["error"]["type"], kind, "{case}");
        // A second try with the right one comes too late.
        assert_eq!(device.answer(&order, &maker.attest(&key, &order.token, NOW))["status"], "invalid", "{case}");
        assert_eq!(body(&device.post(&order.url, ""))["status"], "invalid", "{case}");
        assert_eq!(problem(&reply(device.finalize(&order, &key))), "orderNotReady", "{case}");
    }
}

#[test]
fn only_the_attested_key_is_certified_and_only_while_the_enrolment_lives() {
    let (maker, gate) = (Maker::new(), gate(true));
    let acme = trusting(&maker);
    let (device, key) = (Device::new(&acme, &gate), new_key().unwrap());
    let order = device.ready(&maker, &key);
    assert_eq!(problem(&reply(device.finalize(&order, &new_key().unwrap()))), "badCSR", "another key");
    assert_eq!(problem(&device.post(&order.finalize, r#"{"csr":"MAA"}"#)), "badCSR");
    let second = device.order();
    assert_eq!(device.answer(&second, &maker.attest(&key, &second.token, NOW))["status"], "valid");

    gate.live.set(false);
    assert_eq!(problem(&reply(device.finalize(&order, &key))), "unauthorized", "taken back");
    gate.live.set(true);
    issue(device.finalize(&order, &key));
    device.send("HEAD", "/new-nonce", None, b"");
    assert_eq!(problem(&reply(device.finalize(&order, &key))), "orderNotReady", "once");
    assert_eq!(problem(&reply(device.finalize(&second, &key))), "unauthorized", "one certificate for one identifier");
}

#[test]
fn strangers_and_others_get_nothing() {
    let (maker, gate) = (Maker::new(), gate(true));
    let acme = trusting(&maker);
    let device = Device::new(&acme, &gate);
    assert_eq!(problem(&device.post("/new-account", r#"{"onlyReturnExisting":true}"#)), "accountDoesNotExist");
    device.open_account();
    assert_eq!(problem(&device.try_order("guessed")), "rejectedIdentifier");
    let dns = r#"{"identifiers":[{"type":"dns","value":"gw.example"}]}"#;
    assert_eq!(problem(&device.post("/new-order", dns)), "unsupportedIdentifier");
    assert_eq!(problem(&device.post("/new-order", r#"{"identifiers":[]}"#)), "malformed");
    assert_eq!(problem(&device.post("/revoke-cert", "{}")), "malformed");
    let order = device.order();

    let other = Device::new(&acme, &gate);
    other.open_account();
    for url in [&order.url, &order.challenge, &order.finalize, device.kid.borrow().as_ref().unwrap()] {
        assert_ne!(problem(&other.post(url, "")), "-", "{url}");
    }
    // With another's account, but one's own key.
    *other.kid.borrow_mut() = device.kid.borrow().clone();
    assert_eq!(problem(&other.post(&order.url, "")), "unauthorized");

    let existing = Device { kid: None.into(), ..device };
    let reply = existing.post("/new-account", "{}");
    assert_eq!((reply.status, header(&reply, "Location")), (200, other.kid.borrow().clone().unwrap()));
}

#[test]
fn a_request_is_good_once_at_one_place_and_as_it_was_signed() {
    let (maker, gate) = (Maker::new(), gate(true));
    let acme = trusting(&maker);
    let device = Device::new(&acme, &gate);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut header = device.header("/new-account");
        change(&mut header);
        problem(&reply(device.post_signed("/new-account", &device.sign(&header, "{}"))))
    };
    assert_eq!(with(&|h| h["url"] = json!(format!("{BASE}/new-order"))), "unauthorized");
    assert_eq!(with(&|h| h["nonce"] = json!("AAAA")), "badNonce");
    assert_eq!(with(&|h| h["alg"] = json!("none")), "badSignatureAlgorithm");
    assert_eq!(with(&|h| h["alg"] = json!("ES384")), "badSignatureAlgorithm", "not the key's");
    assert_eq!(with(&|h| h["kid"] = json!(format!("{BASE}/acct/x"))), "malformed", "both");
    assert_eq!(with(&|h| h["crit"] = json!(["b64"])), "malformed");
    assert_eq!(with(&|h| h["jwk"]["y"] = h["jwk"]["x"].clone()), "unauthorized", "another key");
    assert_eq!(with(&|h| h["jwk"] = json!({"kty": "oct", "k": "AA"})), "badPublicKey");
    assert_eq!(with(&|h| h["jwk"] = json!({"kty": "RSA", "n": "A".repeat(342), "e": "AQAB"})), "badPublicKey");

    let signed = device.sign(&device.header("/new-account"), "{}");
    let mut changed: Value = serde_json::from_slice(&signed).unwrap();
    changed["payload"] = json!(B64.encode(r#"{"onlyReturnExisting":true}"#));
    assert_eq!(problem(&reply(device.post_signed("/new-account", changed.to_string().as_bytes()))), "unauthorized");
    changed["header"] = json!({});
    assert_eq!(problem(&reply(device.post_signed("/new-account", changed.to_string().as_bytes()))), "malformed");
    let first = reply(device.post_signed("/new-account", &signed));
    assert_eq!(first.status, 201);
    assert_eq!(problem(&reply(device.post_signed("/new-account", &signed))), "badNonce", "replayed");

    let long = vec![b' '; LONGEST_BODY + 1];
    assert_eq!(reply(device.post_signed("/new-account", &long)).status, 413);
    assert_eq!(reply(device.send("POST", "/new-account", Some("application/json"), &signed)).status, 415);
    assert_eq!(reply(device.send("GET", "/new-account", None, b"")).status, 405);
}

#[test]
fn everything_is_forgotten_after_an_hour() {
    let (maker, gate) = (Maker::new(), gate(true));
    let acme = trusting(&maker);
    let mut device = Device::new(&acme, &gate);
    device.open_account();
    let order = device.order();
    device.now = NOW.plus_secs(3_600);
    assert_eq!(problem(&device.post(&order.url, "")), "badNonce");
    assert_eq!(problem(&device.post(&order.url, "")), "accountDoesNotExist");
}

#[test]
fn a_flood_of_accounts_pushes_nobodys_order_out() {
    let (maker, gate) = (Maker::new(), gate(true));
    let acme = trusting(&maker);
    let device = Device::new(&acme, &gate);
    device.open_account();
    let order = device.order();
    let mut book = acme.lock();
    for number in 0..1_500_u32 {
        let mut point = [4; 65];
        point[1..5].copy_from_slice(&number.to_be_bytes());
        book.book.open_account(jws::Key::P256(point), NOW.plus_secs(1)).unwrap();
    }
    drop(book);
    assert_eq!(body(&device.post(&order.url, ""))["status"], "pending");
    assert!((0..20).any(|_| problem(&device.try_order("one-time")) == "rateLimited"));
}

#[test]
fn rsa_and_p384_accounts_are_taken_too() {
    let gate = gate(true);
    let acme = Acme::new().unwrap();
    let device = Device::new(&acme, &gate);
    let dir = tempfile::tempdir().unwrap();
    crate::house::must(&crate::house::openssl(dir.path(), &["genpkey", "-algorithm", "RSA", "-out", "rsa.pem"]));
    let pem = std::fs::read_to_string(dir.path().join("rsa.pem")).unwrap();
    let rsa = KeyPair::from_pem(&pem).unwrap();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let part = |bytes: &[u8]| B64.encode(bytes);
    for (key, algorithm) in [(&rsa, "RS256"), (&p384, "ES384")] {
        let public = key.der_bytes();
        let jwk = match algorithm {
            // RSAPublicKey: a SEQUENCE of two INTEGERs, the first of 257 octets.
            "RS256" => json!({ "kty": "RSA", "n": part(&public[9..265]), "e": part(&public[267..]) }),
            _ => json!({ "kty": "EC", "crv": "P-384", "x": part(&public[1..49]), "y": part(&public[49..]) }),
        };
        let mut header = device.header("/new-account");
        (header["alg"], header["jwk"]) = (json!(algorithm), jwk);
        let (protected, payload) = (B64.encode(header.to_string()), B64.encode("{}"));
        let mut signature = key.sign(format!("{protected}.{payload}").as_bytes()).unwrap();
        if algorithm == "ES384" {
            signature = fixed(&signature);
        }
        let jws = json!({ "protected": protected, "payload": payload, "signature": B64.encode(signature) });
        let reply = reply(device.post_signed("/new-account", jws.to_string().as_bytes()));
        assert_eq!(reply.status, 201, "{algorithm}: {}", String::from_utf8_lossy(&reply.body));
    }
}

/// An ECDSA-Sig-Value in DER as `r` and `s` of 48 octets.
fn fixed(der: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let length = usize::from(der[at + 1]);
        let digits = &der[at + 2..at + 2 + length];
        let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
        ([&vec![0; 48 - digits.len()], digits].concat(), at + 2 + length)
    };
    let (r, next) = number(2);
    [r, number(next).0].concat()
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic_or_issue(
        method in "GET|HEAD|POST|PUT|",
        path in "(/(directory|new-nonce|new-account|new-order|acct|order|authz|chall|cert|finalize|[a-z]{0,3})){0,4}",
        content_type in proptest::option::of("application/jose\\+json|text/plain"),
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        let (acme, gate) = (Acme::new().unwrap(), gate(false));
        let content_type = content_type.as_deref();
        let request =
            AcmeRequest { method: &method, path: &path, content_type, body: &body, base_url: BASE, now: NOW };
        let reply = reply(acme.answer(&request, &gate));
        proptest::prop_assert!(reply.status < 300 || problem(&reply) != "-");
    }
}
