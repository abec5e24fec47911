//! What requests are found to be, by a recipe that has something of everything.

use http::{HeaderMap, HeaderName, Method};
use proptest::prelude::*;

use super::*;

/// # Panics
/// The recipe is wrong.
pub(super) fn recipe(yaml: &str) -> Recipe {
    let document: RecipeDocument = serde_yaml::from_str(yaml).unwrap();
    Recipe::compile(&document).unwrap_or_else(|errors| panic!("{errors:?}"))
}

pub(super) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), http::HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    lines.iter().map(line).collect()
}

const HEAD: &str = r#"
recipe: care
title: { ja: ケア, en: Care }
confidence: { level: guessed, as_of: 2026-11, known: a, unknown: b, terms: c }
"#;

const RULES: &str = r#"
session: { cookies: [SID], idle: 30m }
logins:
  - path: /login
    content_type: form
    id: [{ form: office }, { form: user }]
    account: { form: office }
    password: { form: pw }
    ok: [{ status: [302] }]
  - path: /login.json
    id: [{ json: /user }]
    account: { json: /office }
    password: { json: /pw }
    ok: [{ status: [200] }]
  - path: /any
    where: [{ form: user }]
    id: [{ form: user }]
    join: "@"
    password: { form: pw }
    ok: [{ status: [302] }]
second_steps:
  - { path: /code, secrets: [{ form: code }], ok: [{ status: [302] }] }
logouts:
  - { path: /logout }
expired: [{ status: [302], location: "/login**" }]
operations:
  - { id: save, name: { ja: 保存, en: Save }, path: /screen, where: [{ form: save }], action: edit,
      subject: { kind: resident, from: { form: id } } }
  - { id: delete, name: { ja: 削除, en: Delete }, path: /screen, where: [{ form: do, one_of: [delete, remove] }], action: delete }
  - { id: print, name: { ja: 印刷, en: Print }, path: /screen, where: [{ query: print }], output: print }
  - { id: screen, name: { ja: 画面, en: Screen }, methods: [GET], path: /screen, action: view }
  - { id: export, name: { ja: 出力, en: Export }, path: /export, output: export }
  - { id: resident, name: { ja: 利用者, en: Resident }, methods: [GET], path: "/residents/*", action: view,
      subject: { kind: resident, from: { path: 2 } } }
  - { id: resident-data, name: { ja: 利用者, en: Resident }, methods: [PUT], path: "/residents/*", action: edit,
      subject: { kind: resident, from: { json: /resident/id } } }
  - { id: list, name: { ja: 一覧, en: List }, methods: [GET], path: /list, action: view,
      subject: { kind: page, from: { query: page } } }
"#;

/// A request, and what the sample recipe finds in it.
struct Asked<'a> {
    method: Method,
    path: &'a str,
    query: Option<&'a str>,
    content_type: &'a str,
    body: Option<&'a [u8]>,
    account: Option<&'a str>,
}

const FORM: &str = "application/x-www-form-urlencoded";

fn get(path: &str) -> Asked<'_> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    Asked { method: Method::GET, path, query, content_type: "", body: None, account: None }
}

fn post<'a>(path: &'a str, body: &'a str) -> Asked<'a> {
    Asked { method: Method::POST, content_type: FORM, body: Some(body.as_bytes()), ..get(path) }
}

impl Asked<'_> {
    fn found(&self) -> Recognised {
        self.found_by(&recipe(&format!("{HEAD}{RULES}")))
    }

    fn found_by(&self, recipe: &Recipe) -> Recognised {
        let mut headers = HeaderMap::new();
        if !self.content_type.is_empty() {
            headers.insert(http::header::CONTENT_TYPE, self.content_type.parse().unwrap());
        }
        if let Some(body) = self.body {
            headers.insert(http::header::CONTENT_LENGTH, body.len().into());
        }
        let query = self.query.map(str::as_bytes);
        let head = RequestHead { method: &self.method, path: self.path, query, headers: &headers };
        let wanted = recipe.wants_body(&head);
        recipe.recognise(&head, self.body.filter(|_| wanted), self.account)
    }

    /// Operation, action and subject.
    fn does(&self) -> (String, Option<Action>, String) {
        let found = self.found();
        let operation = found.operation.map_or("-".to_owned(), |operation| operation.id.to_string());
        (operation, found.action, found.subject.unwrap_or("-".to_owned()))
    }

    /// Login ID and account; none: it is no login.
    fn logs_in(&self) -> Option<(String, String)> {
        let shown = |part: Option<&str>| part.unwrap_or("-").to_owned();
        self.found().login.map(|login| (shown(login.id()), shown(login.account())))
    }
}

fn is(operation: &str, action: Action, subject: &str) -> (String, Option<Action>, String) {
    (operation.to_owned(), Some(action), subject.to_owned())
}

fn nothing() -> (String, Option<Action>, String) {
    ("-".to_owned(), None, "-".to_owned())
}

#[test]
fn what_is_known_of_a_saas_is_told() {
    let recipe = recipe(&format!("{HEAD}{RULES}"));
    assert_eq!((recipe.id(), recipe.title().ja.as_str()), ("care", "ケア"));
    assert!(recipe.knows_logins() && recipe.tells_accounts());
    assert_eq!((recipe.session_cookies(), recipe.idle()), (&["SID".to_owned()][..], Some(Duration::from_secs(1800))));
    assert_eq!(
        recipe.operation("export").map(|o| (o.action, o.output)),
        Some((Action::Download, Some(Output::Export)))
    );
    assert_eq!(recipe.operation("print").map(|o| o.action), Some(Action::View));
    assert!(!self::recipe(HEAD).knows_logins());
}

#[test]
fn an_operation_is_told_by_path_query_and_body() {
    assert_eq!(post("/screen", "save=1&id=12").does(), is("save", Action::Edit, "resident/12"));
    assert_eq!(post("/screen", "do=remove").does(), is("delete", Action::Delete, "-"));
    assert_eq!(get("/screen?print").does(), is("print", Action::View, "-"));
    assert_eq!(get("/screen").does(), is("screen", Action::View, "-"));
    assert_eq!(get("/residents/12").does(), is("resident", Action::View, "resident/12"));
    assert_eq!(get("/list?page=3&x=y").does(), is("list", Action::View, "page/3"));
    let put = |body| Asked {
        method: Method::PUT,
        content_type: "application/merge-patch+json",
        ..post("/residents/12", body)
    };
    assert_eq!(put(r#"{"resident":{"id":12}}"#).does(), is("resident-data", Action::Edit, "resident/12"));
    assert_eq!(get("/other").does(), nothing());
    assert_eq!(post("/residents/12", "a=b").does(), nothing(), "another method");
}

#[test]
fn a_form_that_says_nothing_of_what_is_known_makes_the_action_unknown() {
    for body in ["", "x=y", "do=other", "do=DELETE", "save=1&save=2", "SAVE=1", "save[]=1"] {
        let does = post("/screen", body).does();
        let wanted = if body.is_empty() { nothing() } else { is("-", Action::Unknown, "-") };
        assert_eq!(does, wanted, "{body}");
    }
}

#[test]
fn a_body_that_can_not_be_read_makes_the_action_unknown() {
    let long = format!("save=1&x={}", "a".repeat(MOST_OF_BODY));
    assert_eq!(post("/screen", &long).does(), is("-", Action::Unknown, "-"));
    for content_type in
        ["", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded; charset=utf-16"]
    {
        let asked = Asked { content_type, ..post("/screen", "save=1") };
        assert_eq!(asked.does(), is("-", Action::Unknown, "-"), "{content_type}");
    }
    // HTTP/2 need not say beforehand how long it is.
    let (recipe, lines) = (recipe(&format!("{HEAD}{RULES}")), headers(&[("content-type", FORM)]));
    let head = RequestHead { method: &Method::POST, path: "/screen", query: None, headers: &lines };
    assert_eq!(recipe.recognise(&head, Some(long.as_bytes()), None).action, Some(Action::Unknown));
    // Only some servers look there, but they do.
    assert_eq!(post("/screen?save=2", "save=1").does(), is("-", Action::Unknown, "-"), "in two places");
    assert_eq!(post("/screen?print=2", "print=1").does(), is("-", Action::Unknown, "-"), "in two places");
}

#[test]
fn a_path_that_some_servers_take_for_a_known_one_is_unknown() {
    assert_eq!(post("/Export", "").does(), is("-", Action::Unknown, "-"));
    assert_eq!(post("/export/", "").does(), is("-", Action::Unknown, "-"));
    assert_eq!(get("/LIST").does(), nothing(), "it would be a view as well");
    assert_eq!(get("/export/x").does(), nothing());
}

#[test]
fn a_subject_is_an_id_and_nothing_else() {
    for plain in ["12", "A-1_2.3", "佐藤", "a@b:c", &"1".repeat(31)] {
        assert_eq!(get(&format!("/residents/{plain}")).does().2, format!("resident/{plain}"));
    }
    for odd in [
        "a b",
        "a=b",
        "<b>",
        "0123456789abcdef0123456789abcdef",
        "eyJhbGciOiJIUzI1NiJ9.x",
        &"a".repeat(65),
        "a\u{202e}b",
    ] {
        assert_eq!(get(&format!("/residents/{odd}")).does(), is("resident", Action::View, "-"), "{odd}");
    }
    assert_eq!(get("/list?page=1&page=2").does(), is("list", Action::View, "-"));
}

#[test]
fn a_login_is_read_without_its_password() {
    let login = post("/login", "office=17&user=+sato+&pw=hunter2");
    assert_eq!(login.logs_in(), Some(("17/sato".to_owned(), "17".to_owned())));
    let found = login.found();
    assert_eq!((found.action, found.wrong_account), (Some(Action::Login), false));
    assert!(!format!("{found:?}").contains("sato"), "{found:?}");

    let json = Asked { content_type: "application/json", ..post("/login.json", r#"{"user":"sato","pw":"hunter2"}"#) };
    assert_eq!(json.logs_in(), Some(("sato".to_owned(), "-".to_owned())));
    let body = "--x\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n佐藤\r\n--x--";
    let multipart = Asked { content_type: "multipart/form-data; boundary=x", ..post("/any", body) };
    assert_eq!(multipart.logs_in(), Some(("佐藤".to_owned(), "-".to_owned())));
    assert_eq!(post("/any", "x=y").logs_in(), None);
    assert_eq!(get("/login").logs_in(), None);
}

#[test]
fn an_id_that_can_not_be_read_in_one_way_is_none_but_the_login_is_one() {
    let long = format!("office=17&user={}&pw=x", "a".repeat(257));
    for body in
        ["office=17&pw=x", "office=17&user=&pw=x", "office=17&user=a&user=b", "office=17&user=a%0ab", long.as_str()]
    {
        assert_eq!(post("/login", body).logs_in().unwrap().0, "-", "{body}");
    }
    let padded = format!("office=17&user=sato&pw=x&pad={}", "a".repeat(MOST_OF_BODY));
    let padded = post("/login", &padded);
    assert_eq!(padded.logs_in().unwrap().0, "-");
    assert_eq!(padded.found().action, Some(Action::Unknown), "and not let through as a login");
    let other_kind = Asked { content_type: "application/json", ..post("/login", "{}") };
    assert_eq!((other_kind.logs_in().unwrap().0.as_str(), other_kind.found().action), ("-", Some(Action::Unknown)));
    assert!(post("/login", "").logs_in().is_none(), "nothing was sent");
    assert_eq!(post("/LOGIN", "office=17&user=sato&pw=x").found().action, Some(Action::Unknown));
}

#[test]
fn a_login_to_another_account_is_told() {
    let to = |body: &str| Asked { account: Some("Sakura"), ..post("/login", body) }.found().wrong_account;
    assert!(!to("office=sakura&user=a"));
    assert!(!to("office=+SAKURA&user=a"));
    assert!(!to("user=a"), "the address names it");
    for wrong in [
        "office=momo&user=a",
        "office=&user=a",
        "office=sakura&office=momo",
        "Office=sakura",
        "office=sakura;office=momo",
    ] {
        assert!(to(wrong), "{wrong}");
    }
    let long = format!("office=sakura&x={}", "a".repeat(MOST_OF_BODY));
    assert!(to(&long), "it can't be told");
    assert!(!Asked { account: None, ..post("/login", "office=momo") }.found().wrong_account);
}

#[test]
fn further_steps_logouts_and_ends_are_told() {
    let step = post("/code", "code=123456").found();
    assert_eq!((step.login.map(|login| login.is_further_step()), step.action), (Some(true), Some(Action::Login)));
    let logout = get("/logout").found();
    assert_eq!((logout.logout, logout.action), (true, Some(Action::Login)));
    assert!(!get("/list").found().logout);
    let recipe = recipe(&format!("{HEAD}{RULES}"));
    let ended = |status, location| {
        recipe.has_expired(StatusCode::from_u16(status).unwrap(), &headers(&[("location", location)]))
    };
    assert!(ended(302, "/login?next=/") && ended(302, "https://care.example/login"));
    assert!(!ended(200, "/login") && !ended(302, "/home"));
}

/// Far above what it takes, and far below what it took if each byte were looked at once more for every other one.
#[test]
fn no_body_stalls() {
    let begun = std::time::Instant::now();
    let fill = |piece: &str| piece.repeat(MOST_OF_BODY / piece.len());
    let part = "--x\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n\r\n";
    for (content_type, body) in [
        (FORM, fill("&")),
        (FORM, fill(";")),
        (FORM, fill("user&")),
        (FORM, fill("user;=")),
        (FORM, fill("%61")),
        (FORM, fill("&_charset_=utf-8")),
        (FORM, fill("_charset_=")),
        ("application/json", fill("[")),
        ("application/json", fill("[0,")),
        ("application/json", format!("{{\"user\":[{}0]}}", "0,".repeat(32_000))),
        ("application/json", format!("{{\"user\":\"{}\"}}", "\\u0041".repeat(10_000))),
        ("application/json", format!("{{{}\"user\":1}}", "\"user\":1,".repeat(6_000))),
        ("multipart/form-data; boundary=x", fill(part)),
        ("multipart/form-data; boundary=x", part.to_owned() + &fill("\r\n--")),
        ("multipart/form-data; boundary=x", "--x\r\n".to_owned() + &fill("a: b\r\n")),
    ] {
        for path in ["/login", "/login.json", "/any", "/screen"] {
            let _ = Asked { content_type, ..post(path, &body) }.found();
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_body_is_wanted_only_where_something_of_it_is_asked_for() {
    let recipe = recipe(&format!("{HEAD}{RULES}"));
    let wants = |method: Method, path: &str, lines: &[(&str, &str)]| {
        recipe.wants_body(&RequestHead { method: &method, path, query: None, headers: &headers(lines) })
    };
    let form = ("content-type", FORM);
    assert!(wants(Method::POST, "/login", &[form, ("content-length", "9")]));
    assert!(wants(Method::POST, "/screen", &[form]), "HTTP/2 need not say how long it is");
    assert!(wants(Method::POST, "/screen", &[form, ("transfer-encoding", "chunked")]));
    for (path, lines) in [
        ("/export", &[form, ("content-length", "9")][..]),
        ("/other", &[form, ("content-length", "9")]),
        ("/login", &[form, ("content-length", "65537")]),
        ("/login", &[form, ("content-length", "0")]),
        ("/login", &[form, ("content-length", "9"), ("content-encoding", "gzip")]),
        ("/login", &[("content-type", "image/png"), ("content-length", "9")]),
    ] {
        assert!(!wants(Method::POST, path, lines), "{path} {lines:?}");
    }
    assert!(!wants(Method::GET, "/screen", &[]));
}

/// A body in which the password is `mark`, however it and its surroundings are written.
fn body_with(mark: &str, kind: usize, before: &str, after: &str, shape: usize) -> (String, String) {
    let percent = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    match kind {
        0 => {
            let name = ["pw", "p%77", "PW", "pw[]", "pw&pw"][shape % 5];
            let mark = if shape.is_multiple_of(2) { percent(mark) } else { mark.to_owned() };
            (FORM.to_owned(), format!("user={}&{name}={mark}&office={}&id=1&save=1", percent(before), percent(after)))
        }
        1 => {
            let value = [
                format!("\"{mark}\""),
                format!("[\"{mark}\"]"),
                format!("{{\"user\":\"{mark}\"}}"),
                mark.chars().map(|c| format!("\\u{:04x}", u32::from(c))).fold("\"".to_owned(), |all, c| all + &c)
                    + "\"",
            ];
            let (before, after) = (serde_json::to_string(before).unwrap(), serde_json::to_string(after).unwrap());
            let body = format!("{{\"user\":{before},\"pw\":{},\"office\":{after}}}", value[shape % 4]);
            ("application/json".to_owned(), body)
        }
        _ => {
            let part = |name: &str, value: &str| {
                format!("--x-y\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let file = if shape.is_multiple_of(2) { "pw" } else { "pw\"; filename=\"a" };
            let body = part("user", before) + &part(file, mark) + &part("office", after) + "--x-y--\r\n";
            ("multipart/form-data; boundary=x-y".to_owned(), body)
        }
    }
}

proptest! {
    #[test]
    fn a_mark_in_the_password_appears_in_nothing_that_comes_out(
        mark in "MARK[A-Z]{8}", kind in 0..3_usize, shape in any::<usize>(), path in "(/login|/login\\.json|/any|/screen|/code)",
        before in "[a-z佐藤 ]{0,12}", after in "[a-z佐藤 ]{0,12}", query in "[a-z=&]{0,8}", account in any::<bool>()
    ) {
        let (content_type, body) = body_with(&mark, kind, &before, &after, shape);
        let asked = Asked {
            query: Some(&query), content_type: &content_type, account: account.then_some("sakura"), ..post(&path, &body)
        };
        let recipe = recipe(&format!("{HEAD}{RULES}"));
        let found = asked.found_by(&recipe);
        let mut out = format!("{found:?}{:?}{:?}", found.subject, found.operation);
        if let Some(login) = &found.login {
            out.push_str(&format!("{:?}{:?}{:?}{:?}", login, login.id(), login.account(), recipe.answer(login)));
        }
        prop_assert!(!out.to_uppercase().contains(&mark), "{}", out);
        prop_assert!(found.login.is_some() || path != "/login");
    }

    #[test]
    fn any_request_is_told_and_shows_no_id_in_its_debug(
        post in any::<bool>(), path in "/(login|login\\.json|any|screen|residents/[a-z0-9]{1,4}|LIST|export/)?",
        query in proptest::option::of("[a-z=&;%0-9]{0,30}"), account in proptest::option::of("[a-z]{1,4}"),
        content_type in "(application/x-www-form-urlencoded|application/json|multipart/form-data; boundary=x|text/plain)(; charset=(utf-8|shift_jis|x))?",
        body in prop_oneof![
            "(user|pw|office|save|do|id|print|=|&|;|%|\\[|\\]|a|0){0,20}".prop_map(String::into_bytes),
            "[{}\\[\\]\":,a-z0-9\\\\]{0,60}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..200),
        ]
    ) {
        let method = if post { Method::POST } else { Method::GET };
        let asked = Asked {
            method, path: &path, query: query.as_deref(), content_type: &content_type, body: Some(&body),
            account: account.as_deref(),
        };
        let found = asked.found();
        if let Some(subject) = &found.subject {
            let (kind, id) = subject.split_once('/').unwrap();
            prop_assert!(matches!(kind, "resident" | "page") && is_plain(id), "{}", subject);
        }
        // An operation says the action, and an unclear one has none.
        prop_assert!(found.operation.is_none() || found.action.is_some());
        let shown = format!("{:?}", found.login);
        prop_assert!(shown == "None" || shown.starts_with("Some(Attempt { further:"), "{}", shown);
    }
}

#[test]
fn a_parameter_stands_in_the_query_or_in_a_form() {
    let rules = r#"
operations:
  - { id: upload, name: { ja: 保存, en: Upload }, path: /ajax, where: [{ parameter: call, equals: upload }], action: upload }
  - { id: list, name: { ja: 一覧, en: List }, path: /ajax, where: [{ parameter: call, equals: list }], action: view }
"#;
    let recipe = recipe(&format!("{HEAD}{rules}"));
    let found = |asked: Asked<'_>| {
        let found = asked.found_by(&recipe);
        (found.operation.map(|operation| operation.id.to_string()), found.action)
    };
    let upload = (Some("upload".to_owned()), Some(Action::Upload));
    let list = (Some("list".to_owned()), Some(Action::View));
    assert_eq!(found(get("/ajax?call=list")), list);
    assert_eq!(found(post("/ajax", "call=list")), list);
    assert_eq!(found(post("/ajax?call=upload", "ns=ward")), upload);
    let file = Asked { content_type: "application/octet-stream", ..post("/ajax?call=upload", "bytes") };
    assert_eq!(found(file), upload);
    for unclear in [
        post("/ajax?call=list", "call=upload"),
        post("/ajax", "call=list&call=upload"),
        Asked { body: None, ..post("/ajax?call=list", "") },
        post("/ajax", "call=other"),
    ] {
        let shown = (unclear.query, unclear.body.map(String::from_utf8_lossy).map(|body| body.into_owned()));
        assert_eq!(found(unclear), (None, Some(Action::Unknown)), "{shown:?}");
    }
}

#[test]
fn nobody_logs_in_unseen_by_what_can_not_be_read() {
    let unclear = |asked: Asked<'_>| asked.found().login.map(|login| (login.is_unclear(), login.id().is_some()));
    assert_eq!(unclear(post("/any", "user=a")), Some((false, true)));
    let long = format!("user=a&pad={}", "x".repeat(MOST_OF_BODY));
    for asked in [
        post("/any", "user=a&user=b"),
        post("/any", &long),
        Asked { body: None, ..post("/any", "") },
        Asked { content_type: "application/x-www-form-urlencoded; charset=unheard-of", ..post("/any", "user=a") },
    ] {
        assert_eq!(unclear(asked), Some((true, false)));
    }
    // What says that it is there and was not read is not taken for nothing.
    let lines = headers(&[("content-type", FORM), ("content-length", "58")]);
    let head = RequestHead { method: &Method::POST, path: "/screen", query: None, headers: &lines };
    assert_eq!(recipe(&format!("{HEAD}{RULES}")).recognise(&head, Some(b""), None).action, Some(Action::Unknown));
}
