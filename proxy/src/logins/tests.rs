use http::header::{COOKIE, SET_COOKIE};

use super::*;

const IDLE: Option<Duration> = Some(Duration::from_secs(1800));

fn names() -> Vec<String> {
    vec!["sid".to_owned()]
}

fn person(id: &str) -> PersonId {
    PersonId::new(id).unwrap()
}

fn app() -> AppId {
    AppId::new("care").unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp(secs * 1_000_000)
}

fn set(lines: &[&str]) -> HeaderMap {
    lines.iter().map(|line| (SET_COOKIE, line.parse().unwrap())).collect()
}

/// A browser's request: its cookies of the SaaS, and the gate's mark.
fn came(logins: &Logins, who: &str, cookies: &str, mark: Option<&str>) -> SaasCookies {
    let mut headers = HeaderMap::new();
    headers.append(COOKIE, cookies.parse().unwrap());
    if let Some(mark) = mark {
        headers.append(COOKIE, format!("{}={mark}", cookies::SAAS).parse().unwrap());
    }
    logins.read(&app(), &person(who), &headers, &names())
}

fn mark(logins: &Logins, before: &SaasCookies, lines: &[&str], whose: Whose) -> Option<String> {
    logins.mark(&app(), &person("sato"), before, (&set(lines), &names()), whose, false)
}

#[test]
fn a_login_is_known_by_its_cookies_through_changes_and_a_restart() {
    let store = Store::in_memory().unwrap();
    let logins = Logins::open(&store).unwrap();
    let (sato, id) = (person("sato"), Logins::new_id().unwrap());
    // The login page sets a cookie that stands for nobody yet.
    let first = mark(&logins, &SaasCookies::default(), &["sid=anonymous"], Whose::Before).unwrap();
    let before = came(&logins, "sato", "sid=anonymous", Some(&first));
    assert!(before.login.is_none() && !before.foreign);
    // Many a SaaS keeps the cookie that came.
    let second = mark(&logins, &before, &[], Whose::Login(id.clone())).unwrap();
    logins.begin(&id, &app(), &sato, IDLE, None, at(0));
    let now = came(&logins, "sato", "sid=anonymous", Some(&second));
    assert_eq!(now.login.as_ref(), Some(&id));
    // And many change it with each answer.
    let third = mark(&logins, &now, &["sid=changed; Path=/"], Whose::Before).unwrap();
    logins.flush().unwrap();
    let logins = Logins::open(&store).unwrap();
    assert_eq!(came(&logins, "sato", "sid=changed", Some(&third)).login.as_ref(), Some(&id));
    assert_eq!(mark(&logins, &now, &["other=1"], Whose::Before), None, "nothing to say");
    // What somebody else, another app or nobody set is not theirs.
    for (who, cookies, mark) in
        [("sato", "sid=stolen", Some(&third)), ("sato", "sid=changed", None), ("suzuki", "sid=changed", Some(&third))]
    {
        let found = came(&logins, who, cookies, mark.map(String::as_str));
        assert!(found.foreign && found.login.is_none(), "{who} {cookies}");
    }
    assert!(!came(&logins, "sato", "lang=ja", None).foreign);
}

#[test]
fn a_new_session_of_the_saas_is_nobodys_until_somebody_logs_in() {
    let logins = Logins::open(&Store::in_memory().unwrap()).unwrap();
    let (sato, id) = (person("sato"), Logins::new_id().unwrap());
    let old = mark(&logins, &SaasCookies::default(), &["sid=1"], Whose::Login(id.clone())).unwrap();
    logins.begin(&id, &app(), &sato, IDLE, None, at(0));
    // The browser was closed: the SaaS's cookie has gone, the mark has not.
    let again = came(&logins, "sato", "lang=ja", Some(&old));
    let new = mark(&logins, &again, &["sid=2"], Whose::Before).unwrap();
    assert_eq!(came(&logins, "sato", "sid=2", Some(&new)).login, None);
}

#[test]
fn a_login_ends_once_and_what_was_only_quiet_goes_on() {
    let logins = Logins::open(&Store::in_memory().unwrap()).unwrap();
    let (sato, first, second) = (person("sato"), Logins::new_id().unwrap(), Logins::new_id().unwrap());
    assert_eq!(logins.begin(&first, &app(), &sato, IDLE, None, at(0)), None);
    logins.request(&first, &app(), &sato, IDLE, at(600));
    assert!(logins.sweep(at(2_400)).is_empty());
    let ends = logins.sweep(at(2_401));
    let [end] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!((end.cause.as_str(), end.ended, end.requests), ("idle", at(2_400), 1));
    assert!(logins.sweep(at(9_000)).is_empty(), "told once");
    // The SaaS has not ended it after all.
    logins.request(&first, &app(), &sato, IDLE, at(9_000));
    let end = logins.begin(&second, &app(), &sato, IDLE, Some(&first), at(9_100)).unwrap();
    assert_eq!((end.cause.as_str(), end.login, end.requests), ("replaced", first.clone(), 2));
    assert_eq!(logins.end(&first, "logout", at(9_200)), None);
    assert_eq!(logins.end(&second, "logout", at(9_300)).unwrap().cause, "logout");
    assert_eq!(logins.end(&second, "expired", at(9_400)), None);
}

#[test]
fn a_refused_login_leaves_what_went_on() {
    let logins = Logins::open(&Store::in_memory().unwrap()).unwrap();
    let (sato, first, second) = (person("sato"), Logins::new_id().unwrap(), Logins::new_id().unwrap());
    let old = mark(&logins, &SaasCookies::default(), &["sid=1"], Whose::Login(first.clone())).unwrap();
    logins.begin(&first, &app(), &sato, IDLE, None, at(0));
    // Only its body will tell that it failed, when the mark is set already.
    let before = came(&logins, "sato", "sid=1", Some(&old));
    let new = mark(&logins, &before, &[], Whose::Login(second.clone())).unwrap();
    logins.refuse(&second, &app(), &sato, before.login.clone(), at(1));
    assert_eq!(came(&logins, "sato", "sid=1", Some(&new)).login, Some(first));
}

#[test]
fn what_was_typed_is_named_only_once_the_saas_has_accepted_it() {
    let store = Store::in_memory().unwrap();
    let logins = Logins::open(&store).unwrap();
    let hash = logins.name(&app(), "sato01").unwrap_err();
    assert_eq!(logins.name(&app(), "sato01"), Err(hash.clone()));
    assert_ne!(logins.name(&app(), "sato02"), Err(hash.clone()));
    assert_ne!(logins.name(&AppId::new("other").unwrap(), "sato01"), Err(hash));
    logins.accept(&app(), "sato01");
    logins.flush().unwrap();
    let logins = Logins::open(&store).unwrap();
    assert_eq!(logins.name(&app(), "sato01"), Ok(()));
    assert!(logins.name(&app(), "sato02").is_err());
}

#[test]
fn a_login_from_elsewhere_is_found_once_for_all_of_its_requests() {
    let logins = Logins::open(&Store::in_memory().unwrap()).unwrap();
    let cookies = came(&logins, "sato", "sid=foreign", None);
    let (id, first) = logins.found(&cookies).unwrap();
    assert!(first);
    assert_eq!(logins.found(&cookies), Some((id, false)));
}
