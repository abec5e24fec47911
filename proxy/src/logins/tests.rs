use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};

use super::*;

const IDLE: Option<Duration> = Some(Duration::from_secs(1800));

fn names() -> Vec<String> {
    vec!["sid".to_owned(), "remember".to_owned()]
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

/// A gate's logins, and what one browser of Sato's does with them.
struct World {
    logins: Logins,
    app: AppId,
    sato: PersonId,
    mark: Option<String>,
}

impl World {
    fn new() -> Self {
        Self::on(&Store::in_memory().unwrap())
    }

    fn on(store: &Store) -> Self {
        Self { logins: Logins::open(store).unwrap(), app: app(), sato: person("sato"), mark: None }
    }

    fn of(&self, secs: i64) -> Of<'_> {
        Of { app: &self.app, person: &self.sato, idle: IDLE, now: at(secs) }
    }

    fn begin(&self, id: &LoginId, replaced: Option<&LoginId>, secs: i64) -> Option<LoginEnd> {
        self.logins.begin(id, self.of(secs), replaced)
    }

    fn came_of(&self, who: &str, cookies: &str, mark: Option<&str>) -> SaasCookies {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, cookies.parse().unwrap());
        if let Some(mark) = mark {
            headers.append(COOKIE, format!("{}={mark}", cookies::SAAS).parse().unwrap());
        }
        self.logins.read(&self.app, &person(who), &headers, &names(), false)
    }

    /// A request with these cookies of the SaaS.
    fn came(&self, cookies: &str) -> SaasCookies {
        self.came_of("sato", cookies, self.mark.as_deref())
    }

    fn login(&self, cookies: &str) -> Option<LoginId> {
        self.came(cookies).login
    }

    /// The answer to it sets these cookies, and the browser takes them. Whether there was a mark among them.
    fn answer(&mut self, came: &SaasCookies, lines: &[&str], whose: Whose, host: u8) -> bool {
        let set: HeaderMap = lines.iter().map(|line| (SET_COOKIE, line.parse().unwrap())).collect();
        let mark = self.logins.mark(&self.app, &self.sato, came, (&set, &names()), whose, host);
        let any = mark.is_some();
        self.mark = mark.or(self.mark.take());
        any
    }
}

fn new_id() -> LoginId {
    Logins::new_id().unwrap()
}

fn sure(id: &LoginId) -> Whose {
    Whose::Login { id: id.clone(), sure: true }
}

fn unsure(id: &LoginId) -> Whose {
    Whose::Login { id: id.clone(), sure: false }
}

#[test]
fn a_login_is_known_by_its_cookies_through_changes_and_a_restart() {
    let store = Store::in_memory().unwrap();
    let (mut world, id) = (World::on(&store), new_id());
    // The login page sets a cookie that stands for nobody yet.
    world.answer(&SaasCookies::default(), &["sid=anonymous", "remember=1"], Whose::Before, 0);
    let before = world.came("sid=anonymous; remember=1");
    assert!(before.login.is_none() && !before.foreign);
    // Many a SaaS keeps the cookie that came.
    assert!(world.answer(&before, &[], unsure(&id), 0));
    assert_eq!(world.login("sid=anonymous"), None, "its answer is still under way");
    world.begin(&id, None, 0);
    assert_eq!(world.login("sid=anonymous; remember=1"), Some(id.clone()));
    // And many change it with each answer, for weeks.
    for n in 0..100 {
        let before = if n == 0 { "anonymous".to_owned() } else { format!("{}", n - 1) };
        let now = world.came(&format!("sid={before}; remember=1"));
        assert!(!now.foreign, "{n}");
        world.answer(&now, &[&format!("sid={n}; Path=/")], Whose::Before, 0);
    }
    let now = world.came("sid=99; remember=1");
    assert!(!world.answer(&now, &["other=1"], Whose::Before, 0), "nothing to say");
    world.logins.flush().unwrap();
    let world = World { mark: world.mark, ..World::on(&store) };
    assert_eq!(world.login("sid=99; remember=1"), Some(id));
    // What somebody else, another app or nobody set is not theirs.
    let mark = world.mark.as_deref();
    for (who, cookies, mark) in [
        ("sato", "sid=stolen", mark),
        ("sato", "sid=99; sid=stolen", mark),
        ("sato", "sid=99", None),
        ("suzuki", "sid=99", mark),
    ] {
        let found = world.came_of(who, cookies, mark);
        assert!(found.foreign && found.login.is_none(), "{who} {cookies}");
    }
    assert!(!world.came_of("sato", "lang=ja", None).foreign);
}

#[test]
fn a_new_session_of_the_saas_is_nobodys_until_somebody_logs_in() {
    let (mut world, id) = (World::new(), new_id());
    world.answer(&SaasCookies::default(), &["sid=1"], sure(&id), 0);
    world.begin(&id, None, 0);
    // Another host of the app has nothing of its own, and belongs to the same login.
    let elsewhere = world.came("lang=ja");
    world.answer(&elsewhere, &["sid=2"], Whose::Before, 1);
    assert_eq!(world.login("sid=2"), Some(id.clone()));
    assert_eq!(world.login("sid=1"), Some(id));
    // The browser was closed: the SaaS's cookie has gone, the mark has not.
    let again = world.came("lang=ja");
    world.answer(&again, &["sid=3"], Whose::Before, 0);
    let came = world.came("sid=3");
    assert!(came.login.is_none() && !came.foreign);
}

#[test]
fn a_login_ends_once_and_what_was_only_quiet_goes_on() {
    let (world, first, second) = (World::new(), new_id(), new_id());
    let logins = &world.logins;
    assert_eq!(world.begin(&first, None, 0), None);
    logins.request(&first, at(600));
    assert!(logins.sweep(at(2_400)).is_empty());
    let ends = logins.sweep(at(2_401));
    let [end] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!((end.cause.as_str(), end.ended, end.requests), ("idle", at(2_400), 1));
    assert!(logins.sweep(at(9_000)).is_empty(), "told once");
    // The SaaS has not ended it after all.
    logins.request(&first, at(9_000));
    let end = world.begin(&second, Some(&first), 9_100).unwrap();
    assert_eq!((end.cause.as_str(), end.login, end.requests), ("replaced", first.clone(), 2));
    assert_eq!(logins.end(&first, "logout", at(9_200)), None);
    assert_eq!(logins.end(&second, "logout", at(9_300)).unwrap().cause, "logout");
    assert_eq!(logins.end(&second, "expired", at(9_400)), None);
}

#[test]
fn a_refused_login_leaves_what_went_on_through_a_restart_too() {
    let store = Store::in_memory().unwrap();
    let (mut world, first, second, third) = (World::on(&store), new_id(), new_id(), new_id());
    world.answer(&SaasCookies::default(), &["sid=1"], sure(&first), 0);
    world.begin(&first, None, 0);
    // Only its body will tell that it failed, when the mark is set already.
    let before = world.came("sid=1");
    world.answer(&before, &[], unsure(&second), 0);
    world.logins.put_off(&second, world.of(1), before.login.clone(), None);
    // So does one that waits for a code, and nobody finds it.
    let again = world.came("sid=1");
    assert_eq!(again.login, Some(first.clone()));
    world.answer(&again, &[], unsure(&third), 0);
    let typed = Typed { id: Some("sato01".into()), account: None };
    world.logins.put_off(&third, world.of(2), again.login.clone(), Some(typed.clone()));
    assert_eq!(world.login("sid=1"), Some(first.clone()));
    assert_eq!(world.logins.waiting(&third), Some((typed, Some(first.clone()))));
    world.logins.flush().unwrap();
    let world = World { mark: world.mark, ..World::on(&store) };
    assert_eq!(world.login("sid=1"), Some(first));
    assert_eq!(world.logins.waiting(&third), None, "what was typed is nowhere written");
}

#[test]
fn what_nobody_has_heard_of_is_no_login() {
    let (mut world, id) = (World::new(), new_id());
    world.answer(&SaasCookies::default(), &["sid=1"], sure(&id), 0);
    let came = world.came("sid=1");
    assert!(came.login.is_none() && !came.foreign);
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
fn a_login_from_elsewhere_is_found_once_for_all_of_its_requests_and_for_each_person() {
    let world = World::new();
    let (foreign, suzuki) = (world.came("sid=foreign"), person("suzuki"));
    let (id, first) = world.logins.found(&world.sato, &foreign).unwrap();
    assert!(first);
    world.begin(&id, None, 0);
    assert_eq!(world.logins.found(&world.sato, &foreign), Some((id.clone(), false)));
    let (theirs, first) = world.logins.found(&suzuki, &foreign).unwrap();
    assert!(first && theirs != id);
    // Ended, it is another one that comes.
    world.logins.end(&id, "expired", at(1));
    assert!(world.logins.found(&world.sato, &foreign).unwrap().1);
    // A program that makes up cookies does not fill the memory.
    for n in 0..2_000 {
        let (id, first) = world.logins.found(&world.sato, &world.came(&format!("sid={n}"))).unwrap();
        assert!(!first || n < 300, "{n}");
        if first {
            world.begin(&id, None, 2);
        }
    }
}

#[test]
fn cookies_from_elsewhere_stay_so_until_a_login_is_known_to_be_good() {
    let (mut world, failed, good) = (World::new(), new_id(), new_id());
    // A page that is no screen; the SaaS sets its cookie anew with every answer.
    let came = world.came("sid=foreign");
    world.answer(&came, &["sid=foreign"], Whose::Before, 0);
    let came = world.came("sid=foreign");
    assert!(came.foreign);
    // A wrong password, which only the body tells.
    world.answer(&came, &[], unsure(&failed), 0);
    world.logins.put_off(&failed, world.of(0), None, None);
    let came = world.came("sid=foreign");
    assert!(came.foreign && came.login.is_none());
    // And a right one.
    world.answer(&came, &[], unsure(&good), 0);
    world.begin(&good, None, 1);
    let came = world.came("sid=foreign");
    assert!(!came.foreign && came.login == Some(good));
}

#[test]
fn that_a_login_has_ended_does_not_undo_what_came_meanwhile() {
    let (mut world, old, new) = (World::new(), new_id(), new_id());
    world.answer(&SaasCookies::default(), &["sid=1"], sure(&old), 0);
    world.begin(&old, None, 0);
    let poll = world.came("sid=1");
    world.logins.end(&old, "expired", at(1));
    let login = world.came("sid=1");
    world.answer(&login, &["sid=2"], sure(&new), 0);
    world.begin(&new, None, 2);
    // The poll that was sent before the login comes back.
    assert!(!world.answer(&poll, &[], Whose::Nobody, 0));
    assert_eq!(world.login("sid=2"), Some(new));
}
