//! Sessions as requests, sign-in pages and administrators use them.

use std::time::Duration;

use store::Store;

use super::*;
use crate::{Identity, IdentityError, LogoutScope, Settings, Token};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const LOGIN: &str = "login.gw.example";
const APP: &str = "kaipoke.gw.example";
const IDLE: i64 = 15 * 60;
const ABSOLUTE: i64 = 10 * 3600;

fn open(store: Store) -> Identity {
    Identity::open(store, &Settings::default()).unwrap()
}

fn sato() -> BeginSession {
    BeginSession {
        id: map::new_id().unwrap(),
        person: PersonId::new("sato").unwrap(),
        factors: 2,
        device: Some(DeviceId::new("phone-1").unwrap()),
        source: [203, 0, 113, 1].into(),
        host: LOGIN.into(),
        account: None,
        now: NOW,
    }
}

fn of_provider(subject: &str, sid: Option<&str>) -> BeginSession {
    let account = SessionAccount {
        provider: "workspace".into(),
        issuer: "https://idp.example".into(),
        subject: subject.into(),
        sid: sid.map(str::to_owned),
        groups: vec!["night".parse().unwrap(), "staff".parse().unwrap()],
        signed_in: Some(NOW.plus_secs(-600)),
    };
    BeginSession { account: Some(account), ..sato() }
}

#[tokio::test]
async fn what_a_provider_vouched_for_is_there_after_a_restart() {
    let store = Store::in_memory().unwrap();
    let (id, _) = open(store.clone()).sessions().begin(of_provider("1", Some("a"))).await.unwrap();
    let identity = open(store.clone());
    let session = identity.sessions().get(&id).unwrap();
    assert_eq!(session.account().cloned(), of_provider("1", Some("a")).account);
    assert!(session.is_fresh(600, NOW) && !session.is_fresh(599, NOW));
    identity.sessions().end(&id, EndCause::BackChannel).await.unwrap();
    assert!(open(store).sessions().is_empty());
}

#[tokio::test]
async fn a_sign_in_of_unknown_age_is_never_fresh() {
    let identity = open(Store::in_memory().unwrap());
    let mut begin = of_provider("1", None);
    begin.account.as_mut().unwrap().signed_in = None;
    let (id, _) = identity.sessions().begin(begin).await.unwrap();
    assert!(!identity.sessions().get(&id).unwrap().is_fresh(86_400, NOW));
    let (id, _) = identity.sessions().begin(sato()).await.unwrap();
    assert!(identity.sessions().get(&id).unwrap().is_fresh(0, NOW), "a password was shown when it began");
}

#[tokio::test]
async fn a_providers_sign_out_ends_one_session_or_all_of_a_subject_and_nobody_elses() {
    let identity = open(Store::in_memory().unwrap());
    let sessions = identity.sessions();
    for (subject, sid) in [("1", Some("a")), ("1", Some("b")), ("1", None), ("2", Some("c"))] {
        sessions.begin(of_provider(subject, sid)).await.unwrap();
    }
    sessions.begin(sato()).await.unwrap();
    let found = |issuer: &str, sid: Option<&str>, subject: Option<&str>| {
        let scope = LogoutScope {
            issuer: issuer.into(),
            sid: sid.map(str::to_owned),
            subject: subject.map(str::to_owned),
            token: None,
        };
        sessions.of_account(&scope).len()
    };
    let issuer = "https://idp.example";
    assert_eq!(found(issuer, Some("a"), None), 1);
    assert_eq!(found(issuer, Some("a"), Some("1")), 2, "and the one whose name at the provider is not known");
    assert_eq!(found(issuer, Some("a"), Some("2")), 0);
    assert_eq!(found(issuer, None, Some("1")), 3);
    assert_eq!(found(issuer, None, None), 0);
    assert_eq!(found("https://other.example", None, Some("1")), 0);
}

async fn begun() -> (Identity, Store, SessionId, Token) {
    let store = Store::in_memory().unwrap();
    let identity = open(store.clone());
    let (id, token) = identity.sessions().begin(sato()).await.unwrap();
    (identity, store, id, token)
}

#[tokio::test]
async fn a_token_finds_its_session_on_its_own_host_only() {
    let (identity, _store, id, login) = begun().await;
    let sessions = identity.sessions();
    let app = sessions.token_for_host(&id, APP).await.unwrap();
    let found = sessions.lookup(login.as_str(), LOGIN, NOW).unwrap();
    assert_eq!((found.id(), found.person().as_str(), found.factors()), (&id, "sato", 2));
    assert_eq!(sessions.lookup(app.as_str(), APP, NOW).unwrap().id(), &id);
    assert!(sessions.lookup(app.as_str(), LOGIN, NOW).is_none());
    assert!(sessions.lookup(login.as_str(), APP, NOW).is_none());
    assert!(sessions.lookup(id.as_str(), LOGIN, NOW).is_none());
    for wrong in ["", "x", Token::random().unwrap().as_str()] {
        assert!(sessions.lookup(wrong, LOGIN, NOW).is_none());
    }
    assert_eq!(found.summary().hosts, [APP, LOGIN]);
}

#[tokio::test]
async fn a_session_ends_when_nobody_is_there() {
    let (identity, _store, _id, token) = begun().await;
    let sessions = identity.sessions();
    let at = |secs| sessions.lookup(token.as_str(), LOGIN, NOW.plus_secs(secs));
    let session = at(IDLE - 1).unwrap();
    assert!(at(IDLE).is_none());
    sessions.touch(&session, NOW.plus_secs(IDLE - 1));
    assert!(at(2 * IDLE - 2).is_some());
    assert!(at(2 * IDLE - 1).is_none());
    // A clock that steps back takes nothing away.
    sessions.touch(&session, NOW);
    assert!(at(2 * IDLE - 2).is_some());
}

#[tokio::test]
async fn a_session_ends_after_its_longest_time_whatever_happens() {
    let (identity, _store, _id, token) = begun().await;
    let sessions = identity.sessions();
    let session = sessions.lookup(token.as_str(), LOGIN, NOW).unwrap();
    sessions.touch(&session, NOW.plus_secs(ABSOLUTE - 1));
    assert!(sessions.lookup(token.as_str(), LOGIN, NOW.plus_secs(ABSOLUTE - 1)).is_some());
    assert!(sessions.lookup(token.as_str(), LOGIN, NOW.plus_secs(ABSOLUTE)).is_none());
}

#[tokio::test]
async fn new_settings_are_felt_at_once() {
    let (identity, _store, _id, token) = begun().await;
    identity.apply(&Settings { idle: Duration::from_secs(60), ..Settings::default() });
    assert!(identity.sessions().lookup(token.as_str(), LOGIN, NOW.plus_secs(60)).is_none());
}

#[tokio::test]
async fn an_ended_session_is_found_by_nothing() {
    let (identity, _store, id, login) = begun().await;
    let sessions = identity.sessions();
    let app = sessions.token_for_host(&id, APP).await.unwrap();
    let held = sessions.lookup(app.as_str(), APP, NOW).unwrap();
    let ended = sessions.end(&id, EndCause::SignOut).await.unwrap().unwrap();
    assert_eq!((&ended.id, ended.person.as_str(), ended.cause), (&id, "sato", EndCause::SignOut));
    assert!(sessions.lookup(app.as_str(), APP, NOW).is_none());
    assert!(sessions.lookup(login.as_str(), LOGIN, NOW).is_none());
    assert!(held.has_ended() && !sessions.is_live(&held, NOW));
    assert!(sessions.get(&id).is_none() && sessions.is_empty());
    assert!(sessions.end(&id, EndCause::SignOut).await.unwrap().is_none());
    let gone = sessions.token_for_host(&id, APP).await;
    assert!(matches!(gone, Err(IdentityError::NoSuchSession(_))));
}

/// The disk may fail; a session that was ended must not go on for that.
#[tokio::test]
async fn ending_bites_even_if_the_store_fails() {
    let (identity, store, id, token) = begun().await;
    store.transaction(|tx| tx.execute("ALTER TABLE session RENAME TO gone", &[])).unwrap();
    assert!(identity.sessions().end(&id, EndCause::Administrator).await.is_err());
    assert!(identity.sessions().lookup(token.as_str(), LOGIN, NOW).is_none());
}

#[tokio::test]
async fn a_session_that_could_not_be_stored_has_not_begun() {
    let (identity, store, _id, _token) = begun().await;
    store.transaction(|tx| tx.execute("ALTER TABLE session RENAME TO gone", &[])).unwrap();
    assert!(identity.sessions().begin(sato()).await.is_err());
    assert_eq!(identity.sessions().len(), 1);
}

#[tokio::test]
async fn a_person_and_a_device_lose_all_their_sessions_and_nobody_elses() {
    let (identity, _store, _id, _token) = begun().await;
    let sessions = identity.sessions();
    sessions.begin(BeginSession { device: None, ..sato() }).await.unwrap();
    let tanaka = PersonId::new("tanaka").unwrap();
    sessions.begin(BeginSession { person: tanaka.clone(), device: None, ..sato() }).await.unwrap();
    let phone = DeviceId::new("phone-1").unwrap();
    assert_eq!(sessions.end_device(&phone, EndCause::Device).await.unwrap().len(), 1);
    let ended = sessions.end_person(&PersonId::new("sato").unwrap(), EndCause::Person).await.unwrap();
    assert_eq!(ended.len(), 1);
    let left = sessions.list();
    assert_eq!(left.iter().map(|s| s.person()).collect::<Vec<_>>(), [&tanaka]);
}

#[tokio::test]
async fn sessions_survive_a_restart_and_what_ended_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let later = NOW.plus_secs(IDLE - 1);
    let (id, ended, token, app) = {
        let identity = open(Store::open(&path).unwrap());
        let sessions = identity.sessions();
        let (id, token) = sessions.begin(sato()).await.unwrap();
        let app = sessions.token_for_host(&id, APP).await.unwrap();
        let (over, ended) = sessions.begin(sato()).await.unwrap();
        sessions.end(&over, EndCause::SignOut).await.unwrap();
        sessions.touch(&sessions.get(&id).unwrap(), later);
        assert!(sessions.maintain(later).await.unwrap().is_empty());
        (id, ended, token, app)
    };
    let identity = open(Store::open(&path).unwrap());
    let sessions = identity.sessions();
    let at = later.plus_secs(IDLE - 1);
    let found = sessions.lookup(token.as_str(), LOGIN, at).unwrap();
    let expected = SessionSummary {
        provider: None,
        id,
        person: PersonId::new("sato").unwrap(),
        factors: 2,
        device: Some(DeviceId::new("phone-1").unwrap()),
        source: [203, 0, 113, 1].into(),
        started: NOW,
        last_active: later,
        hosts: vec![APP.into(), LOGIN.into()],
    };
    assert_eq!(found.summary(), expected);
    assert!(sessions.lookup(app.as_str(), APP, at).is_some());
    assert!(sessions.lookup(ended.as_str(), LOGIN, at).is_none());
    assert_eq!(sessions.len(), 1);
}

#[tokio::test]
async fn no_token_is_on_disk_or_in_what_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let identity = open(Store::open(&path).unwrap());
    let (id, token) = identity.sessions().begin(sato()).await.unwrap();
    let app = identity.sessions().token_for_host(&id, APP).await.unwrap();
    let holds = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|w| w == wanted);
    let mut seen_id = false;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        seen_id |= holds(&bytes, id.as_str().as_bytes());
        for secret in [&token, &app] {
            assert!(!holds(&bytes, secret.as_str().as_bytes()));
            assert!(!holds(&bytes, &crate::secret::parse(secret.as_str()).unwrap()));
        }
    }
    assert!(seen_id, "the test looked at the wrong files");
    let session = identity.sessions().get(&id).unwrap();
    let shown = format!("{session:?} {:?} {:?} {token:?}", identity.sessions(), session.summary());
    assert!(!shown.contains(token.as_str()));
}

#[tokio::test]
async fn a_host_keeps_its_newest_four_tokens() {
    let (identity, store, id, login) = begun().await;
    let sessions = identity.sessions();
    let mut tokens = Vec::new();
    for _ in 0..6 {
        tokens.push(sessions.token_for_host(&id, APP).await.unwrap());
    }
    let live: Vec<_> = tokens.iter().map(|t| sessions.lookup(t.as_str(), APP, NOW).is_some()).collect();
    assert_eq!(live, [false, false, true, true, true, true]);
    assert!(sessions.lookup(login.as_str(), LOGIN, NOW).is_some());
    let again = open(store);
    let live: Vec<_> = tokens.iter().map(|t| again.sessions().lookup(t.as_str(), APP, NOW).is_some()).collect();
    assert_eq!(live, [false, false, true, true, true, true]);
}

#[tokio::test]
async fn maintenance_tells_what_ran_out_and_why_once() {
    let (identity, store, id, _token) = begun().await;
    let sessions = identity.sessions();
    let (old, _) = sessions.begin(sato()).await.unwrap();
    let end = NOW.plus_secs(ABSOLUTE);
    sessions.touch(&sessions.get(&old).unwrap(), end.plus_secs(-1));
    let ended = sessions.maintain(NOW.plus_secs(IDLE)).await.unwrap();
    assert_eq!(ended.iter().map(|e| (&e.id, e.cause)).collect::<Vec<_>>(), [(&id, EndCause::Idle)]);
    let ended = sessions.maintain(end).await.unwrap();
    assert_eq!(ended.iter().map(|e| (&e.id, e.cause)).collect::<Vec<_>>(), [(&old, EndCause::Absolute)]);
    assert!(sessions.maintain(end).await.unwrap().is_empty());
    assert!(sessions.is_empty());
    assert!(open(store).sessions().is_empty());
}

#[tokio::test]
async fn a_page_left_open_is_no_activity() {
    let (identity, _store, id, _token) = begun().await;
    let session = identity.sessions().get(&id).unwrap();
    for target in 2..2 + REMEMBERED as u64 {
        assert!(session.is_activity("GET", target, false));
    }
    for _ in 0..3 {
        for target in 2..2 + REMEMBERED as u64 {
            assert!(!session.is_activity("GET", target, false), "{target}");
        }
    }
    assert!(!session.is_activity("HEAD", 2, false));
    assert!(session.is_activity("GET", 2, true));
    assert!(session.is_activity("POST", 2, false));
    assert!(session.is_activity("GET", 0, false));
    assert!(!session.is_activity("GET", 0, false));
}

#[tokio::test]
async fn a_cookie_carried_to_another_device_is_worth_nothing() {
    let (identity, _store, id, _token) = begun().await;
    let session = identity.sessions().get(&id).unwrap();
    assert!(session.matches_device(Some(&DeviceId::new("phone-1").unwrap())));
    assert!(!session.matches_device(Some(&DeviceId::new("phone-2").unwrap())));
    assert!(!session.matches_device(None));
}

/// Requests, sign-ins and an administrator at once: what was ended is found by nobody, and nothing is left over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_made_while_a_session_ends_open_nothing() {
    for _ in 0..20 {
        let (identity, _store, id, _token) = begun().await;
        let maker = {
            let (sessions, id) = (identity.sessions().clone(), id.clone());
            tokio::spawn(async move {
                let mut tokens = Vec::new();
                while let Ok(token) = sessions.token_for_host(&id, APP).await {
                    tokens.push(token);
                }
                tokens
            })
        };
        identity.sessions().end(&id, EndCause::SignOut).await.unwrap();
        for token in maker.await.unwrap() {
            assert!(identity.sessions().lookup(token.as_str(), APP, NOW).is_none());
        }
    }
}
