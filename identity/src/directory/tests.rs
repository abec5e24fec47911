//! The directory as sign-in pages use it.

use super::*;
use crate::{Identity, Person};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const PASSWORD: &str = "tsukue-kaban-enpitsu";

fn sato() -> PersonId {
    PersonId::new("sato").unwrap()
}

async fn identity() -> Identity {
    let identity = Identity::open(Store::in_memory().unwrap(), &Settings::default()).unwrap();
    identity.add(Person::new(sato(), "佐藤")).unwrap();
    identity.directory().set_password(&sato(), PASSWORD, NOW).await.unwrap();
    identity
}

fn attempt<'a>(login_id: &'a str, password: &'a str) -> Attempt<'a> {
    Attempt { login_id, password, totp: None, source: [203, 0, 113, 1].into(), now: NOW }
}

/// Enrols and confirms a second factor; codes up to a minute before `NOW` are used up.
async fn second_factor(directory: &Directory) -> TotpSecret {
    let secret = directory.totp_enrol(&sato()).await.unwrap().secret;
    let before = NOW.plus_secs(-60);
    directory.totp_confirm(&sato(), &secret.code_at(before), before).await.unwrap();
    secret
}

#[tokio::test]
async fn the_right_password_signs_in_and_nothing_else_does() {
    let identity = identity().await;
    let directory = identity.directory();
    let ok = Verdict::Ok { person: sato(), factors: 1 };
    assert_eq!(directory.authenticate(attempt("sato", PASSWORD)).await.unwrap(), ok);
    assert_eq!(directory.authenticate(attempt(" ｓａｔｏ ", PASSWORD)).await.unwrap(), ok);
    for (login_id, password) in [
        ("sato", "tsukue-kaban-enpits"),
        ("sato", ""),
        ("tanaka", PASSWORD),
        ("", PASSWORD),
        ("sato tanaka", PASSWORD),
        (PASSWORD, "sato"),
    ] {
        let verdict = directory.authenticate(attempt(login_id, password)).await.unwrap();
        assert_eq!(verdict, Verdict::Wrong, "{login_id}");
    }
    let long = "x".repeat(100_000);
    assert_eq!(directory.authenticate(attempt("suzuki", &long)).await.unwrap(), Verdict::Wrong);
}

#[tokio::test]
async fn an_unknown_id_is_throttled_exactly_like_a_known_one() {
    let identity = identity().await;
    let mut seen = [Vec::new(), Vec::new()];
    for (login_id, seen) in ["sato", "nobody"].iter().zip(&mut seen) {
        for _ in 0..6 {
            seen.push(identity.directory().authenticate(attempt(login_id, "wrong")).await.unwrap());
        }
    }
    assert_eq!(seen[0], seen[1]);
    assert!(matches!(seen[0][5], Verdict::Throttled { .. }));
}

#[tokio::test]
async fn a_throttled_attempt_is_not_checked_at_all() {
    let identity = identity().await;
    for _ in 0..4 {
        identity.directory().authenticate(attempt("sato", "wrong")).await.unwrap();
    }
    let verdict = identity.directory().authenticate(attempt("sato", PASSWORD)).await.unwrap();
    assert!(matches!(verdict, Verdict::Throttled { .. }));
    let later = Attempt { now: NOW.plus_secs(2), ..attempt("sato", PASSWORD) };
    assert!(matches!(identity.directory().authenticate(later).await.unwrap(), Verdict::Ok { .. }));
}

#[tokio::test]
async fn many_attempts_at_once_gain_nothing() {
    let identity = identity().await;
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let directory = identity.directory().clone();
            tokio::spawn(async move { directory.authenticate(attempt("sato", "wrong")).await.unwrap() })
        })
        .collect();
    let mut checked = 0;
    for verdict in tries {
        checked += usize::from(verdict.await.unwrap() == Verdict::Wrong);
    }
    assert_eq!(checked, 4);
}

/// Time is the runtime's own and jumps to the next timer, so nothing here really waits.
#[tokio::test(start_paused = true)]
async fn a_crowd_makes_answers_slow_and_the_person_at_home_notices_nothing() {
    let identity = identity().await;
    let directory = identity.directory();
    assert!(matches!(directory.authenticate(attempt("sato", PASSWORD)).await.unwrap(), Verdict::Ok { .. }));
    for n in 0..12 {
        let stranger = Attempt { source: [198, 51, 100, n].into(), ..attempt("sato", "wrong") };
        assert_eq!(directory.authenticate(stranger).await.unwrap(), Verdict::Wrong);
    }
    let begun = tokio::time::Instant::now();
    let elsewhere = Attempt { source: [198, 51, 100, 99].into(), ..attempt("sato", PASSWORD) };
    assert!(matches!(directory.authenticate(elsewhere).await.unwrap(), Verdict::Ok { .. }));
    assert!(begun.elapsed() >= Duration::from_millis(250));
    let begun = tokio::time::Instant::now();
    assert!(matches!(directory.authenticate(attempt("sato", PASSWORD)).await.unwrap(), Verdict::Ok { .. }));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_it_is_confirmed() {
    let identity = identity().await;
    let directory = identity.directory();
    let enrolment = directory.totp_enrol(&sato()).await.unwrap();
    assert_eq!(
        directory.factors(&sato()),
        Factors { password: true, long: true, totp_pending: true, ..Factors::default() }
    );
    assert!(matches!(directory.authenticate(attempt("sato", PASSWORD)).await.unwrap(), Verdict::Ok { factors: 1, .. }));
    let wrong = directory.totp_confirm(&sato(), "000 000x", NOW).await;
    assert!(matches!(wrong, Err(IdentityError::WrongCode)));

    let before = NOW.plus_secs(-60);
    directory.totp_confirm(&sato(), &enrolment.secret.code_at(before), before).await.unwrap();
    let again = directory.totp_confirm(&sato(), &enrolment.secret.code_at(before), before).await;
    assert!(matches!(again, Err(IdentityError::NothingToConfirm(_))));
    let verdict = directory.authenticate(attempt("sato", PASSWORD)).await.unwrap();
    let Verdict::NeedSecondFactor { challenge } = verdict else { panic!("{verdict:?}") };
    let answer = |code| Answer { challenge: challenge.as_str(), code, source: [203, 0, 113, 1].into(), now: NOW };
    assert_eq!(directory.answer(answer("123")).await.unwrap(), Verdict::Wrong);
    let code = enrolment.secret.code_at(NOW);
    assert_eq!(directory.answer(answer(&code)).await.unwrap(), Verdict::Ok { person: sato(), factors: 2 });
    assert_eq!(directory.answer(answer(&code)).await.unwrap(), Verdict::Expired);
}

#[tokio::test]
async fn a_code_is_good_once_however_many_try_it_at_once() {
    let identity = identity().await;
    let secret = second_factor(identity.directory()).await;
    let code = secret.code_at(NOW);
    let tries: Vec<_> = (0..4)
        .map(|_| {
            let (directory, code) = (identity.directory().clone(), code.clone());
            tokio::spawn(async move {
                let attempt = Attempt { totp: Some(&code), ..attempt("sato", PASSWORD) };
                directory.authenticate(attempt).await.unwrap()
            })
        })
        .collect();
    let mut good = 0;
    for verdict in tries {
        good += usize::from(matches!(verdict.await.unwrap(), Verdict::Ok { factors: 2, .. }));
    }
    assert_eq!(good, 1);
    // Nor is one of an earlier step, once a later one was used.
    let earlier = Attempt { totp: Some(&secret.code_at(NOW.plus_secs(-30))), ..attempt("sato", PASSWORD) };
    assert_eq!(identity.directory().authenticate(earlier).await.unwrap(), Verdict::Wrong);
}

#[tokio::test]
async fn a_right_code_does_not_help_a_wrong_password() {
    let identity = identity().await;
    let secret = second_factor(identity.directory()).await;
    let wrong = Attempt { totp: Some(&secret.code_at(NOW)), ..attempt("sato", "wrong") };
    assert_eq!(identity.directory().authenticate(wrong).await.unwrap(), Verdict::Wrong);
}

#[tokio::test]
async fn a_short_password_stands_only_beside_a_second_factor() {
    let identity = identity().await;
    let directory = identity.directory();
    let short = "tsukueka";
    let refused = directory.set_password(&sato(), short, NOW).await;
    assert!(matches!(refused, Err(IdentityError::Password(PasswordProblem::TooShort { needed: 13 }))));
    second_factor(directory).await;
    directory.set_password(&sato(), short, NOW).await.unwrap();
    let refused = directory.totp_remove(&sato()).await;
    assert!(matches!(refused, Err(IdentityError::PasswordNeedsSecondFactor(_))));
    assert!(directory.factors(&sato()).totp);
    directory.set_password(&sato(), PASSWORD, NOW).await.unwrap();
    directory.totp_remove(&sato()).await.unwrap();
    assert_eq!(directory.factors(&sato()), Factors { password: true, long: true, ..Factors::default() });
}

#[tokio::test]
async fn only_people_of_the_roster_get_passwords() {
    let identity = identity().await;
    let nobody = PersonId::new("nobody").unwrap();
    let refused = identity.directory().set_password(&nobody, PASSWORD, NOW).await;
    assert!(matches!(refused, Err(IdentityError::NoSuchPerson(_))));
    assert!(matches!(identity.directory().totp_enrol(&nobody).await, Err(IdentityError::NoPassword(_))));
}

#[tokio::test]
async fn passwords_factors_used_codes_and_known_sources_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let open = || Identity::open(Store::open(&path).unwrap(), &Settings::default()).unwrap();
    let secret = {
        let identity = open();
        identity.add(Person::new(sato(), "佐藤")).unwrap();
        identity.directory().set_password(&sato(), PASSWORD, NOW).await.unwrap();
        let secret = second_factor(identity.directory()).await;
        let code = secret.code_at(NOW);
        let attempt = Attempt { totp: Some(&code), ..attempt("sato", PASSWORD) };
        assert!(matches!(identity.directory().authenticate(attempt).await.unwrap(), Verdict::Ok { .. }));
        secret
    };
    let identity = open();
    let directory = identity.directory();
    assert!(directory.0.is_known(&sato(), Source::from(IpAddr::from([203, 0, 113, 1])), NOW));
    assert!(!directory.0.is_known(&sato(), Source::from(IpAddr::from([203, 0, 113, 2])), NOW));
    let used = Attempt { totp: Some(&secret.code_at(NOW)), ..attempt("sato", PASSWORD) };
    assert_eq!(directory.authenticate(used).await.unwrap(), Verdict::Wrong);
    let next = NOW.plus_secs(30);
    let fresh = Attempt { totp: Some(&secret.code_at(next)), now: next, ..attempt("sato", PASSWORD) };
    assert!(matches!(directory.authenticate(fresh).await.unwrap(), Verdict::Ok { factors: 2, .. }));
}

#[tokio::test]
async fn nothing_shows_what_was_typed() {
    let identity = identity().await;
    let attempt = Attempt { totp: Some("123456"), ..attempt("typed-into-the-wrong-field", PASSWORD) };
    let answer = Answer { challenge: "challenge", code: "654321", source: attempt.source, now: NOW };
    let shown = format!("{attempt:?} {answer:?} {:?} {:?}", identity.directory(), identity);
    for secret in ["typed", PASSWORD, "123456", "654321", "argon2", "challenge"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let refused = identity.directory().set_password(&sato(), "hunter2", NOW).await.unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("hunter2"));
}

/// Recovery codes of somebody who has one-time codes, and the challenge after the password.
async fn recovery(directory: &Directory) -> (RecoveryCodes, Token) {
    let codes = directory.make_recovery_codes(&sato()).await.unwrap();
    (codes, challenge(directory).await)
}

async fn challenge(directory: &Directory) -> Token {
    match directory.authenticate(attempt("sato", PASSWORD)).await.unwrap() {
        Verdict::NeedSecondFactor { challenge } => challenge,
        other => panic!("{other:?}"),
    }
}

fn with<'a>(challenge: &'a Token, code: &'a str) -> Answer<'a> {
    Answer { challenge: challenge.as_str(), code, source: [203, 0, 113, 1].into(), now: NOW }
}

#[tokio::test]
async fn a_recovery_code_stands_in_for_the_second_factor_once() {
    let identity = identity().await;
    let directory = identity.directory();
    second_factor(directory).await;
    let (codes, asked) = recovery(directory).await;
    assert_eq!(codes.0.len(), 10);
    let code = codes.0[3].to_lowercase().replace('-', " ");
    let answer = with(&asked, &code);
    // Checking uses nothing up; of two who spend it, one does.
    let Recovery::Right(first) = directory.check_recovery_code(answer).await.unwrap() else { panic!() };
    let Recovery::Right(second) = directory.check_recovery_code(answer).await.unwrap() else { panic!() };
    assert_eq!((first.person.clone(), first.left), (sato(), 9));
    assert!(directory.spend_recovery_code(answer, first).await.unwrap());
    assert!(!directory.spend_recovery_code(answer, second).await.unwrap());
    assert_eq!(directory.factors(&sato()).recovery_codes, 9);
    // The challenge is closed, and with a new one the code is wrong.
    let over = directory.check_recovery_code(answer).await.unwrap();
    assert!(matches!(over, Recovery::Not(Verdict::Expired)));
    let asked = challenge(directory).await;
    let used = directory.check_recovery_code(with(&asked, &code)).await.unwrap();
    assert!(matches!(used, Recovery::Not(Verdict::Wrong)));
    assert!(matches!(directory.check_recovery_code(with(&asked, &codes.0[4])).await.unwrap(), Recovery::Right(_)));
}

#[tokio::test]
async fn new_recovery_codes_replace_the_old_and_go_with_the_last_factor() {
    let identity = identity().await;
    let directory = identity.directory();
    let none = directory.make_recovery_codes(&sato()).await;
    assert!(matches!(none, Err(IdentityError::NoSecondFactor(_))));
    second_factor(directory).await;
    let (old, _) = recovery(directory).await;
    let (new, asked) = recovery(directory).await;
    assert!(matches!(
        directory.check_recovery_code(with(&asked, &old.0[0])).await.unwrap(),
        Recovery::Not(Verdict::Wrong)
    ));
    assert!(matches!(directory.check_recovery_code(with(&asked, &new.0[0])).await.unwrap(), Recovery::Right(_)));
    directory.totp_remove(&sato()).await.unwrap();
    assert_eq!(directory.factors(&sato()).recovery_codes, 0);
}

#[tokio::test]
async fn recovery_codes_are_throttled_like_one_time_codes() {
    let identity = identity().await;
    let directory = identity.directory();
    second_factor(directory).await;
    recovery(directory).await;
    let mut verdicts = Vec::new();
    for _ in 0..8 {
        let asked = challenge(directory).await;
        let Recovery::Not(verdict) = directory.check_recovery_code(with(&asked, "0000-0000-0000")).await.unwrap()
        else {
            panic!("a guess was right")
        };
        verdicts.push(verdict);
    }
    assert!(matches!(verdicts.last(), Some(Verdict::Throttled { .. })), "{verdicts:?}");
    // One count for both: who is told to wait can't go on with one-time codes.
    let asked = challenge(directory).await;
    assert!(matches!(directory.answer(with(&asked, "000000")).await.unwrap(), Verdict::Throttled { .. }));
}

#[tokio::test]
async fn recovery_codes_survive_a_restart_and_are_not_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let open = || Identity::open(Store::open(&path).unwrap(), &Settings::default()).unwrap();
    let codes = {
        let identity = open();
        identity.add(Person::new(sato(), "佐藤")).unwrap();
        identity.directory().set_password(&sato(), PASSWORD, NOW).await.unwrap();
        second_factor(identity.directory()).await;
        let (codes, asked) = recovery(identity.directory()).await;
        let answer = with(&asked, &codes.0[0]);
        let Recovery::Right(right) = identity.directory().check_recovery_code(answer).await.unwrap() else { panic!() };
        assert!(identity.directory().spend_recovery_code(answer, right).await.unwrap());
        codes
    };
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for code in &codes.0 {
            for code in [code.to_string(), code.replace('-', "")] {
                assert!(!bytes.windows(code.len()).any(|window| window == code.as_bytes()));
            }
        }
    }
    let identity = open();
    let asked = challenge(identity.directory()).await;
    let tried = |code: usize| identity.directory().check_recovery_code(with(&asked, &codes.0[code]));
    assert!(matches!(tried(0).await.unwrap(), Recovery::Not(Verdict::Wrong)));
    assert!(matches!(tried(1).await.unwrap(), Recovery::Right(_)));
}

#[tokio::test]
async fn a_password_set_by_somebody_else_is_to_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let open = || Identity::open(Store::open(&path).unwrap(), &Settings::default()).unwrap();
    let identity = open();
    identity.add(Person::new(sato(), "佐藤")).unwrap();
    identity.directory().set_first_password(&sato(), PASSWORD, NOW).await.unwrap();
    assert!(identity.directory().factors(&sato()).password_due);
    drop(identity);
    let identity = open();
    let directory = identity.directory();
    // One-time codes set up meanwhile change nothing about that.
    second_factor(directory).await;
    assert!(directory.factors(&sato()).password_due);
    directory.set_password(&sato(), "another-long-password", NOW).await.unwrap();
    assert!(!directory.factors(&sato()).password_due);
}

#[tokio::test]
async fn a_reset_takes_every_second_factor_and_only_beside_a_long_password() {
    let identity = identity().await;
    let directory = identity.directory();
    second_factor(directory).await;
    directory.make_recovery_codes(&sato()).await.unwrap();
    directory.set_password(&sato(), "tsukueka", NOW).await.unwrap();
    let refused = directory.reset_factors(&sato()).await;
    assert!(matches!(refused, Err(IdentityError::PasswordNeedsSecondFactor(_))));
    directory.set_password(&sato(), PASSWORD, NOW).await.unwrap();
    directory.reset_factors(&sato()).await.unwrap();
    assert_eq!(directory.factors(&sato()), Factors { password: true, long: true, ..Factors::default() });
    assert!(matches!(directory.authenticate(attempt("sato", PASSWORD)).await.unwrap(), Verdict::Ok { factors: 1, .. }));
}

#[tokio::test]
async fn a_confirmation_is_throttled_and_asks_for_no_second_factor() {
    let identity = identity().await;
    let directory = identity.directory();
    second_factor(directory).await;
    let confirm = |password: &'static str| directory.confirm_password(&SATO, password, [203, 0, 113, 1].into(), NOW);
    static SATO: std::sync::LazyLock<PersonId> = std::sync::LazyLock::new(sato);
    assert_eq!(confirm(PASSWORD).await.unwrap(), Verdict::Ok { person: sato(), factors: 1 });
    let mut last = Verdict::Expired;
    for _ in 0..8 {
        last = confirm("wrong").await.unwrap();
    }
    assert!(matches!(last, Verdict::Throttled { .. }), "{last:?}");
}
