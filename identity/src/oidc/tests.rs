//! A provider in memory, so that time can be moved: what is asked when, and where leeway ends.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{Request, Response};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey};
use serde_json::{Value, json};
use store::Store;

use super::*;
use crate::{Identity, Provider as Offered, ProviderKind};

const ISSUER: &str = "https://idp.example";
const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const BACK: &str = "https://login.gw.example/oidc/workspace/callback";

/// The provider: its key, and what it puts into the next token.
struct Idp {
    key: Mutex<(String, CoreEdDsaPrivateSigningKey)>,
    claims: Mutex<Value>,
    away: AtomicBool,
    discoveries: AtomicUsize,
    key_reads: AtomicUsize,
    now: AtomicI64,
}

fn key(seed: u8) -> (String, CoreEdDsaPrivateSigningKey) {
    // PKCS#8, version 1 (RFC 8410, 7).
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend_from_slice(&[seed; 32]);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(&der));
    let kid = format!("key-{seed}");
    let key = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(kid.clone()))).unwrap();
    (kid, key)
}

impl Idp {
    fn rotate(&self, seed: u8) {
        *self.key.lock().unwrap() = key(seed);
    }

    fn token(&self) -> String {
        let (kid, key) = &*self.key.lock().unwrap();
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": kid})), part(&self.claims.lock().unwrap()));
        let signature = key.sign(&CoreJwsSigningAlgorithm::EdDsa, message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

#[async_trait::async_trait]
impl Fetch for Idp {
    async fn fetch(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(FetchError::Timeout);
        }
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => {
                self.discoveries.fetch_add(1, Ordering::Relaxed);
                json!({
                    "issuer": ISSUER, "authorization_endpoint": "https://idp.example/authorize",
                    "token_endpoint": "https://idp.example/token", "jwks_uri": "https://idp.example/jwks",
                    "response_types_supported": ["code"], "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["EdDSA"],
                })
            }
            "/jwks" => {
                self.key_reads.fetch_add(1, Ordering::Relaxed);
                json!(CoreJsonWebKeySet::new(vec![self.key.lock().unwrap().1.as_verification_key()]))
            }
            "/token" => json!({"access_token": "a", "token_type": "bearer", "id_token": self.token()}),
            _ => return Ok(Response::builder().status(404).body(Vec::new()).unwrap()),
        };
        Ok(Response::builder().header("content-type", "application/json").body(body.to_string().into()).unwrap())
    }
}

struct World {
    idp: Arc<Idp>,
    oidc: Oidc,
}

fn world() -> World {
    let identity = Identity::open(Store::in_memory().unwrap(), &Settings::default()).unwrap();
    let idp = Arc::new(Idp {
        key: Mutex::new(key(1)),
        claims: Mutex::default(),
        away: false.into(),
        discoveries: 0.into(),
        key_reads: 0.into(),
        now: NOW.secs().into(),
    });
    let oidc = OidcSettings {
        id: "workspace".into(),
        name: "Workspace".into(),
        issuer: openidconnect::IssuerUrl::new(ISSUER.into()).unwrap(),
        client_id: "sekisho".into(),
        client_secret_file: "secret".into(),
        client_secret: ClientSecret::new("hunter2"),
        domains: Vec::new(),
        scopes: vec!["openid".into(), "email".into()],
        acr_values: Vec::new(),
        prompt: None,
        groups: None,
        factors: ProviderFactors::default(),
        leeway: Duration::from_secs(60),
        timeout: Duration::from_secs(5),
        refresh: Duration::from_secs(3600),
        issuer_ca: None,
        roots: Vec::new(),
    };
    assert!(!format!("{oidc:?}").contains("hunter2"));
    let offered =
        Offered { id: "workspace".into(), kind: ProviderKind::Oidc, name: "Workspace".into(), oidc: Some(oidc) };
    let settings = Settings { providers: vec![offered], ..Settings::default() };
    let oidc = Oidc::new(&identity, &settings, |_| Ok::<_, ()>(idp.clone() as Arc<dyn Fetch>)).unwrap();
    World { idp, oidc }
}

impl World {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.idp.now.load(Ordering::Relaxed))
    }

    fn pass(&self, secs: i64) {
        self.idp.now.fetch_add(secs, Ordering::Relaxed);
    }

    async fn set_out(&self, within: Option<i64>) -> Result<HashMap<String, String>, OidcCause> {
        self.set_out_from(within, false).await
    }

    async fn set_out_from(&self, within: Option<i64>, anew: bool) -> Result<HashMap<String, String>, OidcCause> {
        let source = [203, 0, 113, 1].into();
        let (browser, redirect_uri, now) = ("browser", BACK, self.now());
        let out = SetOut { browser, handle: Some("h"), within, anew, redirect_uri, language: "ja", source, now };
        let url = url::Url::parse(&self.oidc.set_out("workspace", out).await?).unwrap();
        Ok(url.query_pairs().into_owned().collect())
    }

    /// There and back, with these claims changed.
    async fn sign_in(&self, within: Option<i64>, change: impl FnOnce(&mut Value, i64)) -> Result<Account, OidcCause> {
        self.come_back(&self.set_out(within).await?, change).await
    }

    async fn come_back(
        &self,
        sent: &HashMap<String, String>,
        change: impl FnOnce(&mut Value, i64),
    ) -> Result<Account, OidcCause> {
        let now = self.now().secs();
        let mut claims = json!({
            "iss": ISSUER, "aud": "sekisho", "sub": "1", "iat": now, "exp": now + 300, "nonce": sent["nonce"],
            "auth_time": now,
        });
        change(&mut claims, now);
        *self.idp.claims.lock().unwrap() = claims;
        let back = ComeBack {
            browser: "browser",
            state: &sent["state"],
            code: Some("code"),
            error: None,
            iss: None,
            redirect_uri: BACK,
            now: self.now(),
        };
        match self.oidc.come_back("workspace", back).await {
            Ok(arrived) => {
                assert_eq!(arrived.handle.as_deref(), Some("h"));
                Ok(arrived.account)
            }
            Err(failed) => Err(failed.cause),
        }
    }

    fn reads(&self) -> (usize, usize) {
        (self.idp.discoveries.load(Ordering::Relaxed), self.idp.key_reads.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn leeway_ends_to_the_second() {
    let world = world();
    for (claim, shift, cause) in [
        ("exp", -300 - 59, None),
        ("exp", -300 - 60, Some(OidcCause::Expired)),
        ("iat", 60, None),
        ("iat", 61, Some(OidcCause::NotYet)),
        ("auth_time", 60, None),
        ("auth_time", 61, Some(OidcCause::AuthTime)),
    ] {
        let change = |claims: &mut Value, _| claims[claim] = (claims[claim].as_i64().unwrap() + shift).into();
        let done = world.sign_in(None, change).await;
        assert_eq!(done.as_ref().err().copied(), cause, "{claim} {shift}");
        // A sign-in is never recorded as of the future.
        assert!(done.is_err() || done.unwrap().auth_time.unwrap() <= world.now());
    }
    let nbf = |secs: i64| move |claims: &mut Value, now: i64| claims["nbf"] = (now + secs).into();
    assert!(world.sign_in(None, nbf(60)).await.is_ok());
    assert_eq!(world.sign_in(None, nbf(61)).await.unwrap_err(), OidcCause::NotYet);
}

#[tokio::test]
async fn an_age_that_was_asked_for_is_checked_without_leeway_and_must_be_told() {
    let world = world();
    assert_eq!(world.set_out(Some(1800)).await.unwrap()["max_age"], "1680");
    assert_eq!(world.set_out(Some(60)).await.unwrap()["max_age"], "0");
    assert!(!world.set_out(None).await.unwrap().contains_key("max_age"));
    let aged = |secs: i64| move |claims: &mut Value, now: i64| claims["auth_time"] = (now - secs).into();
    assert!(world.sign_in(Some(1800), aged(1800)).await.is_ok());
    assert_eq!(world.sign_in(Some(1800), aged(1801)).await.unwrap_err(), OidcCause::AuthTime);
    let untold = |claims: &mut Value, _| claims["auth_time"] = Value::Null;
    assert_eq!(world.sign_in(Some(1800), untold).await.unwrap_err(), OidcCause::AuthTime);
    assert_eq!(world.sign_in(None, untold).await.unwrap().auth_time, None);
}

#[tokio::test]
async fn from_a_shared_device_the_provider_is_to_ask_whatever_it_remembers() {
    let world = world();
    assert!(!world.set_out_from(None, false).await.unwrap().contains_key("prompt"));
    for (asked, max_age) in [(None, "60"), (Some(3600), "60"), (Some(130), "10")] {
        let sent = world.set_out_from(asked, true).await.unwrap();
        assert_eq!((sent["prompt"].as_str(), sent["max_age"].as_str()), ("login", max_age), "{asked:?}");
    }
    // The address can be edited; what the provider says of the time can not.
    for (auth_time, good) in [(Some(-180), true), (Some(-181), false), (None, false)] {
        let sent = world.set_out_from(None, true).await.unwrap();
        let set = |claims: &mut Value, now| claims["auth_time"] = auth_time.map_or(Value::Null, |by| json!(now + by));
        let back = world.come_back(&sent, set).await;
        assert_eq!(back.err(), (!good).then_some(OidcCause::AuthTime), "{auth_time:?}");
    }
}

#[tokio::test]
async fn what_a_provider_says_of_itself_is_read_when_needed_kept_and_read_again() {
    let world = world();
    assert_eq!(world.reads(), (0, 0));
    for _ in 0..3 {
        world.sign_in(None, |_, _| ()).await.unwrap();
    }
    assert_eq!(world.reads(), (1, 1));
    world.pass(59);
    world.sign_in(None, |_, _| ()).await.unwrap();
    assert_eq!(world.reads(), (1, 1));
    // Who is about to be led there must not meet an address where nobody answers.
    world.pass(1);
    world.sign_in(None, |_, _| ()).await.unwrap();
    assert_eq!(world.reads(), (2, 2));
    world.idp.away.store(true, Ordering::Relaxed);
    world.pass(59);
    world.set_out(None).await.unwrap();
    world.pass(1);
    for _ in 0..2 {
        assert_eq!(world.set_out(None).await.unwrap_err(), OidcCause::Unavailable);
    }
    world.idp.away.store(false, Ordering::Relaxed);
    assert_eq!(world.set_out(None).await.unwrap_err(), OidcCause::Unavailable, "not asked within five seconds");
    world.pass(5);
    world.sign_in(None, |_, _| ()).await.unwrap();
    assert_eq!(world.reads(), (3, 3));

    // Who is on the way comes back to what was said last, if it is still true.
    let sent = world.set_out(None).await.unwrap();
    world.pass(3600);
    world.idp.away.store(true, Ordering::Relaxed);
    assert_eq!(world.come_back(&sent, |_, _| ()).await.unwrap_err(), OidcCause::State, "it took an hour");
}

#[tokio::test]
async fn a_provider_that_is_away_from_the_start_is_asked_again_after_a_moment() {
    let world = world();
    world.idp.away.store(true, Ordering::Relaxed);
    assert_eq!(world.set_out(None).await.unwrap_err(), OidcCause::Unavailable);
    world.idp.away.store(false, Ordering::Relaxed);
    assert_eq!(world.set_out(None).await.unwrap_err(), OidcCause::Unavailable, "not asked within five seconds");
    world.pass(5);
    world.set_out(None).await.unwrap();
}

#[tokio::test]
async fn a_new_key_is_found_at_once_but_unknown_ones_are_not_looked_for_all_the_time() {
    let world = world();
    world.sign_in(None, |_, _| ()).await.unwrap();
    world.idp.rotate(2);
    world.sign_in(None, |_, _| ()).await.unwrap();
    assert_eq!(world.reads(), (1, 2));
    world.idp.rotate(3);
    world.pass(29);
    assert_eq!(world.sign_in(None, |_, _| ()).await.unwrap_err(), OidcCause::UnknownKey);
    assert_eq!(world.reads(), (1, 2));
    world.pass(1);
    world.sign_in(None, |_, _| ()).await.unwrap();
    assert_eq!(world.reads(), (1, 3));
}
