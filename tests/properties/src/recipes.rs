use std::path::Path;
use std::sync::LazyLock;

use http::{HeaderMap, Method, StatusCode, header};
use saas::{Answered, Attempt, Recipe, Recognised, RequestHead};

use crate::source::Source;

const RECIPE: &str = r#"
recipe: care
title: { ja: ケア, en: Care }
confidence: { level: guessed, as_of: 2026-11, known: a, unknown: b, terms: c }
logins:
  - path: /login
    id: [{ form: user }]
    account: { form: office }
    password: { form: pw }
    ok: [{ status: [302], not_location: "/login**" }, { status: [200], json: { pointer: /ok, equals: "true" } }]
    failed: [{ text: 違います, cause: wrong-password }, { status: [200], json: { pointer: /error/0 } }]
    second_step: [{ text: code }, { cookie: step }]
  - path: /login.json
    id: [{ json: /user }, { json: /of/0 }]
    password: { json: /pw }
    ok: [{ status: [200] }]
operations:
  - { id: save, name: { ja: 保存, en: Save }, path: /screen, where: [{ form: save }], action: edit,
      subject: { kind: resident, from: { form: id } } }
  - { id: erase, name: { ja: 削除, en: Erase }, path: /screen, where: [{ form: do, equals: erase }], action: delete }
  - { id: data, name: { ja: 資料, en: Data }, path: "/data/*", where: [{ json: /kind }], action: edit,
      subject: { kind: resident, from: { json: /id } } }
"#;

static COMPILED: LazyLock<Recipe> =
    LazyLock::new(|| config::read_recipe(RECIPE, Path::new("care.yaml")).unwrap_or_else(|report| panic!("{report}")));

const PATHS: [&str; 6] = ["/login", "/login.json", "/screen", "/data/7", "/Screen/", "/other"];
const TYPES: [&str; 6] = [
    "application/x-www-form-urlencoded",
    "application/json",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded; charset=shift_jis",
    "application/x-www-form-urlencoded; charset=euc-jp",
    "text/plain",
];

/// Method, path, type, account, the query's length and the query, the answer's status; the rest is the body of the request
/// and that of the answer.
pub fn recipe(data: &[u8]) {
    let mut source = Source::new(data);
    let method = source.pick(&[Method::POST, Method::PUT]);
    let (path, content_type) = (source.pick(&PATHS), source.pick(&TYPES));
    let account = source.chance(128).then_some("sakura");
    let length = source.below(32);
    let query = source.take(length);
    let (status, size) = (source.pick(&[200, 302, 401]), 1 + source.below(40));
    let body = source.take(usize::MAX);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
    let head = RequestHead { method: &method, path, query: Some(query), headers: &headers };

    let recipe = &*COMPILED;
    let found = recipe.recognise(&head, Some(body), account);
    let login = found.login.as_ref();
    let debug = format!("{found:?}");
    for typed in [login.and_then(Attempt::id), login.and_then(Attempt::account)].into_iter().flatten() {
        assert!(typed.len() <= 2 * 256 + 1 && !typed.chars().any(char::is_control), "{typed:?}");
        assert!(typed.len() < 8 || !debug.contains(typed), "{debug} shows {typed:?}");
    }
    if let Some(subject) = &found.subject {
        let id = subject.strip_prefix("resident/").unwrap();
        assert!((1..=64).contains(&id.chars().count()), "{subject}");
        assert!(id.chars().all(|c| c.is_alphanumeric() || "-_.@:".contains(c)), "{subject}");
    }
    if content_type == TYPES[0] {
        a_form_has_what_was_found(&found, path, query, body);
        let other = recipe.recognise(&head, Some(&with_other_password(body)), account);
        assert_eq!(compared(&found), compared(&other), "the password changes what is found");
    }
    if let Some(attempt) = login {
        answers_alike(attempt, status, body, size);
    }
}

fn compared(found: &Recognised) -> impl PartialEq + std::fmt::Debug {
    let login = found.login.as_ref();
    let login = login.map(|login| (login.id().map(str::to_owned), login.account().map(str::to_owned)));
    let operation = found.operation.as_ref().map(|operation| operation.id.to_string());
    (operation, found.action, found.subject.clone(), login, found.logout, found.wrong_account)
}

/// A plain reader of the same form finds the ID there, and once.
fn a_form_has_what_was_found(found: &Recognised, path: &str, query: &[u8], body: &[u8]) {
    let Some(id) = found.login.as_ref().and_then(Attempt::id) else { return };
    assert_eq!(path, "/login");
    let users: Vec<Vec<u8>> = [query, body]
        .into_iter()
        .flat_map(|part| part.split(|b| *b == b'&'))
        .map(|pair| match pair.iter().position(|b| *b == b'=') {
            Some(equals) => (decoded(&pair[..equals]), decoded(&pair[equals + 1..])),
            None => (decoded(pair), Vec::new()),
        })
        .filter(|(name, _)| name == b"user")
        .map(|(_, value)| value)
        .collect();
    // `_charset_` may say another one.
    if body.windows(9).any(|window| window == b"_charset_") {
        return;
    }
    let [user] = &users[..] else { panic!("{} users, and {id:?} is found", users.len()) };
    assert_eq!(std::str::from_utf8(user).unwrap().trim(), id);
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let pair = text.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let pair = pair.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match (text[at], pair) {
            (b'%', Some(digits)) => {
                out.push(u8::from_str_radix(digits, 16).unwrap());
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    out
}

/// With something else in every field `pw`, unless a server may find further fields in there.
fn with_other_password(body: &[u8]) -> Vec<u8> {
    let changed = body.split(|b| *b == b'&').map(|pair| {
        let secret = pair.strip_prefix(b"pw=").is_some_and(|value| !value.contains(&b';'));
        if secret { b"pw=MARK" } else { pair }
    });
    changed.collect::<Vec<_>>().join(&b'&')
}

/// The answer means the same in one piece and in many, and once it is settled it stays so.
fn answers_alike(attempt: &Attempt, status: u16, body: &[u8], size: usize) {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, "/home".parse().unwrap());
    let status = StatusCode::from_u16(status).unwrap();
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut answer = COMPILED.answer(attempt);
        let mut settled: Option<Answered> = answer.head(status, &headers);
        for piece in pieces {
            let now = answer.body(piece);
            assert!(settled.is_none() || settled == now, "{settled:?} became {now:?}");
            settled = now;
        }
        let end = answer.end();
        assert!(settled.is_none_or(|settled| settled == end));
        end
    };
    assert_eq!(read(&mut std::iter::once(body)), read(&mut body.chunks(size)));
}
