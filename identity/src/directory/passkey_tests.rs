//! Passkeys against an authenticator of the tests' own: a P-256 key, and CBOR written by hand.

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use store::Store;

use super::*;
use crate::{Identity, Person, Settings};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const PASSWORD: &str = "tsukue-kaban-enpitsu";
const HOST: &str = "login.gw.example";
const ORIGIN: &str = "https://login.gw.example:8443";
const BROWSER: &str = "the cookie of this browser";
const SOURCE: [u8; 4] = [203, 0, 113, 1];

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// A phone. What a test wants wrong, it sets.
struct Phone {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    handle: Option<String>,
    counter: u32,
    flags: u8,
    origin: &'static str,
}

impl Phone {
    fn new(id: u8) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { key, id: vec![id; 16], handle: None, counter: 1, flags: PRESENT | VERIFIED, origin: ORIGIN }
    }

    fn client_data(&self, kind: &str, question: &PasskeyQuestion) -> Vec<u8> {
        let challenge = &question.options["challenge"];
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, HOST.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn make(&mut self, question: &PasskeyQuestion) -> String {
        self.handle = question.options["user"]["id"].as_str().map(str::to_owned);
        let mut data = self.authenticator_data(self.flags | ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        // COSE: {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
        let point = self.key.public_key().as_ref();
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..65]);
        // {"fmt": "none", "attStmt": {}, "authData": …}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(data);
        let response = json!({
            "clientDataJSON": BASE64URL_NOPAD.encode(&self.client_data("webauthn.create", question)),
            "attestationObject": BASE64URL_NOPAD.encode(&object),
        });
        self.credential(&response)
    }

    fn show(&mut self, question: &PasskeyQuestion) -> String {
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", question);
        let data = self.authenticator_data(self.flags);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let response = json!({
            "clientDataJSON": BASE64URL_NOPAD.encode(&client_data),
            "authenticatorData": BASE64URL_NOPAD.encode(&data),
            "signature": BASE64URL_NOPAD.encode(signature.as_ref()),
            "userHandle": self.handle,
        });
        self.credential(&response)
    }

    fn credential(&self, response: &Value) -> String {
        let id = BASE64URL_NOPAD.encode(&self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response }).to_string()
    }
}

struct World {
    identity: Identity,
    rp: RelyingParty,
}

fn person(id: &str) -> PersonId {
    PersonId::new(id).unwrap()
}

async fn world_on(store: Store) -> World {
    let identity = Identity::open(store, &Settings::default()).unwrap();
    for id in ["sato", "tanaka"] {
        if identity.roster().get(&person(id)).is_none() {
            identity.add(Person::new(person(id), id)).unwrap();
            identity.directory().set_password(&person(id), PASSWORD, NOW).await.unwrap();
        }
    }
    World { identity, rp: RelyingParty::new(HOST, ORIGIN, "Sekisho").unwrap() }
}

async fn world() -> World {
    world_on(Store::in_memory().unwrap()).await
}

impl World {
    fn directory(&self) -> &Directory {
        self.identity.directory()
    }

    async fn ask_to_make(&self, id: &str) -> PasskeyQuestion {
        self.directory().ask_for_new_passkey(&self.rp, &person(id), BROWSER, NOW).await.unwrap()
    }

    fn check(&self, id: &str, question: &PasskeyQuestion, credential: &str) -> Option<NewPasskey> {
        self.directory().check_new_passkey(&self.rp, &person(id), &answer(question, credential, None))
    }

    async fn register(&self, id: &str, phone: &mut Phone) -> PasskeySummary {
        let question = self.ask_to_make(id).await;
        let new = self.check(id, &question, &phone.make(&question)).unwrap();
        self.directory().add_passkey(&person(id), new, "  iPhone \n", NOW).await.unwrap()
    }

    fn ask(&self, challenge: Option<&str>) -> PasskeyQuestion {
        self.directory().ask_for_passkey(&self.rp, challenge, BROWSER, SOURCE.into(), NOW).unwrap().unwrap()
    }

    async fn answered(&self, answer: PasskeyAnswer<'_>) -> PasskeyVerdict {
        self.directory().answer_with_passkey(&self.rp, answer).await.unwrap()
    }

    async fn sign_in(&self, phone: &mut Phone) -> PasskeyVerdict {
        let question = self.ask(None);
        self.answered(answer(&question, &phone.show(&question), None)).await
    }

    async fn challenge(&self, id: &str) -> Token {
        let attempt =
            super::super::Attempt { login_id: id, password: PASSWORD, totp: None, source: SOURCE.into(), now: NOW };
        match self.directory().authenticate(attempt).await.unwrap() {
            Verdict::NeedSecondFactor { challenge } => challenge,
            other => panic!("{other:?}"),
        }
    }
}

fn answer<'a>(question: &'a PasskeyQuestion, credential: &'a str, challenge: Option<&'a str>) -> PasskeyAnswer<'a> {
    let ceremony = question.ceremony.as_str();
    PasskeyAnswer { challenge, ceremony, credential, browser: BROWSER, source: SOURCE.into(), now: NOW }
}

fn is_ok(verdict: &PasskeyVerdict, id: &str) -> bool {
    matches!(verdict, PasskeyVerdict::Ok { person: who, .. } if *who == person(id))
}

#[tokio::test]
async fn a_passkey_is_added_and_signs_in_alone_and_after_the_password() {
    let world = world().await;
    let mut phone = Phone::new(1);
    let made = world.register("sato", &mut phone).await;
    assert_eq!((made.name.as_str(), made.used), ("iPhone", None));
    assert!(world.directory().factors(&person("sato")).second());
    assert!(is_ok(&world.sign_in(&mut phone).await, "sato"));
    assert_eq!(world.directory().passkeys(&person("sato"))[0].used, Some(NOW));

    let challenge = world.challenge("sato").await;
    let question = world.ask(Some(challenge.as_str()));
    assert_eq!(question.options["allowCredentials"].as_array().unwrap().len(), 1);
    let shown = phone.show(&question);
    assert!(is_ok(&world.answered(answer(&question, &shown, Some(challenge.as_str()))).await, "sato"));
    // The challenge is closed with it.
    let asked = world.directory().ask_for_passkey(&world.rp, Some(challenge.as_str()), BROWSER, SOURCE.into(), NOW);
    assert!(matches!(asked.unwrap(), Err(Verdict::Expired)));
}

#[tokio::test]
async fn the_questions_are_what_the_pages_promise() {
    let world = world().await;
    let making = world.ask_to_make("sato").await.options;
    assert_eq!(making["rp"]["id"], HOST);
    assert_eq!(making["attestation"], "none");
    assert_eq!(making["authenticatorSelection"]["residentKey"], "preferred");
    assert_eq!(making["authenticatorSelection"]["userVerification"], "required");
    // What authenticators know the person by tells nothing about the person.
    let handle = BASE64URL_NOPAD.decode(making["user"]["id"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(handle.len(), 16);
    assert_ne!(world.ask_to_make("tanaka").await.options["user"]["id"], making["user"]["id"]);
    assert_eq!(world.ask_to_make("sato").await.options["user"]["id"], making["user"]["id"]);
    let question = world.ask(None).options;
    assert_eq!(question["userVerification"], "required");
    assert!(question["allowCredentials"].as_array().is_none_or(Vec::is_empty), "a list would say who has passkeys");
    assert_ne!(question["challenge"], world.ask(None).options["challenge"]);
}

#[tokio::test]
async fn an_answer_is_good_once_in_its_browser_in_time() {
    let world = world().await;
    let mut phone = Phone::new(1);
    world.register("sato", &mut phone).await;
    let question = world.ask(None);
    let shown = phone.show(&question);
    assert!(is_ok(&world.answered(answer(&question, &shown, None)).await, "sato"));
    assert!(matches!(world.answered(answer(&question, &shown, None)).await, PasskeyVerdict::Expired));

    let question = world.ask(None);
    let shown = phone.show(&question);
    let stolen = PasskeyAnswer { browser: "another browser", ..answer(&question, &shown, None) };
    assert!(matches!(world.answered(stolen).await, PasskeyVerdict::Expired));

    let question = world.ask(None);
    let shown = phone.show(&question);
    let late = PasskeyAnswer { now: NOW.plus_secs(300), ..answer(&question, &shown, None) };
    assert!(matches!(world.answered(late).await, PasskeyVerdict::Expired));
}

#[tokio::test]
async fn wrong_origins_unverified_holders_strangers_and_copies_are_refused() {
    let world = world().await;
    let mut phone = Phone::new(1);
    world.register("sato", &mut phone).await;
    let wrong = |verdict: &PasskeyVerdict| matches!(verdict, PasskeyVerdict::Wrong { person: None });

    // Another port is another origin; an app's page is one, too.
    for origin in ["https://login.gw.example", "https://kaipoke.gw.example:8443", "http://login.gw.example:8443"] {
        phone.origin = origin;
        assert!(wrong(&world.sign_in(&mut phone).await), "{origin}");
    }
    phone.origin = ORIGIN;
    phone.flags = PRESENT;
    assert!(wrong(&world.sign_in(&mut phone).await), "nobody was verified");
    phone.flags = PRESENT | VERIFIED;

    let mut stranger = Phone::new(2);
    stranger.handle.clone_from(&phone.handle);
    assert!(wrong(&world.sign_in(&mut stranger).await), "a key that nobody added");
    stranger.id.clone_from(&phone.id);
    assert!(wrong(&world.sign_in(&mut stranger).await), "another key under a known id");

    let handle = phone.handle.replace(BASE64URL_NOPAD.encode(&[7; 16]));
    assert!(wrong(&world.sign_in(&mut phone).await), "a handle that is nobody's");
    phone.handle = None;
    assert!(wrong(&world.sign_in(&mut phone).await), "no handle");
    phone.handle = handle;

    assert!(is_ok(&world.sign_in(&mut phone).await, "sato"));
    phone.counter -= 1;
    assert!(wrong(&world.sign_in(&mut phone).await), "the count stands still: a copy signs in, too");
    assert!(is_ok(&world.sign_in(&mut phone).await, "sato"));
    assert!(matches!(
        world.answered(answer(&world.ask(None), "{\"id\": 1}", None)).await,
        PasskeyVerdict::Wrong { person: None }
    ));
}

#[tokio::test]
async fn a_copy_that_was_asked_at_the_same_time_is_refused() {
    let world = world().await;
    let mut phone = Phone::new(1);
    world.register("sato", &mut phone).await;
    let (first, second) = (world.challenge("sato").await, world.challenge("sato").await);
    let ask = |challenge: &Token, browser: &str| {
        let asked = world.directory().ask_for_passkey(&world.rp, Some(challenge.as_str()), browser, SOURCE.into(), NOW);
        asked.unwrap().unwrap()
    };
    let (one, two) = (ask(&first, "one"), ask(&second, "two"));
    let shown = phone.show(&one);
    phone.counter -= 1;
    let copy = phone.show(&two);
    let one = PasskeyAnswer { browser: "one", ..answer(&one, &shown, Some(first.as_str())) };
    assert!(is_ok(&world.answered(one).await, "sato"));
    let two = PasskeyAnswer { browser: "two", ..answer(&two, &copy, Some(second.as_str())) };
    assert!(matches!(world.answered(two).await, PasskeyVerdict::Wrong { person: Some(_) }));
}

#[tokio::test]
async fn one_persons_passkey_is_no_second_factor_for_another() {
    let world = world().await;
    let (mut satos, mut tanakas) = (Phone::new(1), Phone::new(2));
    world.register("sato", &mut satos).await;
    world.register("tanaka", &mut tanakas).await;
    let challenge = world.challenge("sato").await;
    let question = world.ask(Some(challenge.as_str()));
    let shown = tanakas.show(&question);
    let verdict = world.answered(answer(&question, &shown, Some(challenge.as_str()))).await;
    assert!(matches!(verdict, PasskeyVerdict::Wrong { person: Some(who) } if who == person("sato")));
    // Nor does an answer to one kind of question fit the other.
    let question = world.ask(None);
    let shown = satos.show(&question);
    let verdict = world.answered(answer(&question, &shown, Some(challenge.as_str()))).await;
    assert!(matches!(verdict, PasskeyVerdict::Expired));
    let question = world.ask(Some(challenge.as_str()));
    let shown = satos.show(&question);
    assert!(matches!(world.answered(answer(&question, &shown, None)).await, PasskeyVerdict::Expired));
}

#[tokio::test]
async fn what_is_made_for_one_person_is_not_kept_for_another_nor_twice_nor_unverified() {
    let world = world().await;
    let mut phone = Phone::new(1);
    let question = world.ask_to_make("sato").await;
    let made = phone.make(&question);
    assert!(world.check("tanaka", &question, &made).is_none());
    assert!(world.check("sato", &question, &made).is_none(), "tanaka's try has closed it");
    phone.flags = PRESENT;
    let question = world.ask_to_make("sato").await;
    let made = phone.make(&question);
    assert!(world.check("sato", &question, &made).is_none());
    phone.flags = PRESENT | VERIFIED;
    world.register("sato", &mut phone).await;
    let question = world.ask_to_make("tanaka").await;
    let made = phone.make(&question);
    let new = world.check("tanaka", &question, &made).unwrap();
    let refused = world.directory().add_passkey(&person("tanaka"), new, "x", NOW).await;
    assert!(matches!(refused, Err(IdentityError::PasskeyExists)));
    for id in 2..=10 {
        world.register("sato", &mut Phone::new(id)).await;
    }
    let refused = world.directory().ask_for_new_passkey(&world.rp, &person("sato"), BROWSER, NOW).await;
    assert!(matches!(refused, Err(IdentityError::TooManyPasskeys(10))));
}

#[tokio::test]
async fn a_removed_passkey_signs_in_no_more_and_the_last_factor_of_a_short_password_stays() {
    let world = world().await;
    let (mut phone, mut laptop) = (Phone::new(1), Phone::new(2));
    let first = world.register("sato", &mut phone).await;
    let second = world.register("sato", &mut laptop).await;
    world.directory().make_recovery_codes(&person("sato")).await.unwrap();
    world.directory().remove_passkey(&person("sato"), &first.id).await.unwrap();
    assert!(matches!(world.sign_in(&mut phone).await, PasskeyVerdict::Wrong { .. }));
    assert!(is_ok(&world.sign_in(&mut laptop).await, "sato"));
    assert_eq!(world.directory().factors(&person("sato")).recovery_codes, 10);

    world.directory().set_password(&person("sato"), "tsukueka", NOW).await.unwrap();
    let refused = world.directory().remove_passkey(&person("sato"), &second.id).await;
    assert!(matches!(refused, Err(IdentityError::PasswordNeedsSecondFactor(_))));
    world.directory().set_password(&person("sato"), PASSWORD, NOW).await.unwrap();
    world.directory().remove_passkey(&person("sato"), &second.id).await.unwrap();
    let factors = world.directory().factors(&person("sato"));
    assert_eq!((factors.passkeys, factors.recovery_codes, factors.second()), (0, 0, false));
    let refused = world.directory().remove_passkey(&person("sato"), &second.id).await;
    assert!(matches!(refused, Err(IdentityError::NoSuchPasskey(_))));
}

#[tokio::test]
async fn passkeys_and_their_counters_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let mut phone = Phone::new(1);
    {
        let world = world_on(Store::open(&path).unwrap()).await;
        world.register("sato", &mut phone).await;
        assert!(is_ok(&world.sign_in(&mut phone).await, "sato"));
    }
    let world = world_on(Store::open(&path).unwrap()).await;
    phone.counter -= 1;
    assert!(matches!(world.sign_in(&mut phone).await, PasskeyVerdict::Wrong { .. }), "the count is known");
    assert!(is_ok(&world.sign_in(&mut phone).await, "sato"));
    assert_eq!(world.directory().passkeys(&person("sato"))[0].name, "iPhone");
}

#[tokio::test]
async fn who_asks_again_and_again_without_a_password_is_told_to_wait() {
    let world = world().await;
    let ask = |source: [u8; 4]| world.directory().ask_for_passkey(&world.rp, None, BROWSER, source.into(), NOW);
    let waits = (0..50).filter(|_| matches!(ask(SOURCE).unwrap(), Err(Verdict::Throttled { .. }))).count();
    assert!(waits > 10, "{waits}");
    assert!(ask([203, 0, 113, 2]).unwrap().is_ok());
}

#[test]
fn a_host_and_an_origin_must_fit() {
    assert!(RelyingParty::new(HOST, "https://kaipoke.gw.example", "x").is_err());
    assert!(RelyingParty::new(HOST, "not an origin", "x").is_err());
    assert!(RelyingParty::new("login.gw.localhost", "https://login.gw.localhost:40123", "x").is_ok());
}
