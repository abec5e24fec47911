use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;

use super::*;
use crate::recipe::{Recipe, RequestHead, tests as samples};

const RECIPE: &str = r#"
recipe: care
title: { ja: ケア, en: Care }
confidence: { level: guessed, as_of: 2026-11, known: a, unknown: b, terms: c }
charset: shift_jis
logins:
  - path: /in/login
    id: [{ form: user }]
    password: { form: pw }
    failed:
      - { status: [200], text: パスワードが違います, cause: wrong-password }
      - { status: [200], json: { pointer: /error/code, equals: E7 }, cause: locked }
      - { status: [302], location: "/in/login*", cause: again }
      - { status: [403] }
    second_step:
      - { status: [200], json: { pointer: /step } , text: code }
      - { location: /in/code }
    ok:
      - { status: [302, 303], not_location: "/in/**" }
      - { cookie: SID }
      - { status: [200], json: { pointer: /error, present: false } }
"#;

fn answer() -> Answer {
    let recipe = samples::recipe(RECIPE);
    recipe.answer(&attempt(&recipe))
}

fn attempt(recipe: &Recipe) -> Attempt {
    let headers = samples::headers(&[("content-type", "application/x-www-form-urlencoded")]);
    let head = RequestHead { method: &http::Method::POST, path: "/in/login", query: None, headers: &headers };
    recipe.recognise(&head, Some(b"user=sato&pw=x"), None).login.unwrap()
}

/// `body`: in pieces.
fn answered(status: u16, headers: &[(&str, &str)], body: &[&[u8]]) -> Answered {
    let mut answer = answer();
    let early = answer.head(StatusCode::from_u16(status).unwrap(), &samples::headers(headers));
    let early = body.iter().fold(early, |early, piece| {
        let now = answer.body(piece);
        assert!(early.is_none() || early == now, "it was {early:?} and became {now:?}");
        now
    });
    let end = answer.end();
    assert!(early.is_none_or(|early| early == end), "it became {end:?} at the end");
    end
}

fn failed(cause: &str) -> Answered {
    Answered::Failed(Some(cause.into()))
}

#[test]
fn a_location_is_read_wherever_it_leads() {
    let of = |location: &str| answered(302, &[("location", location)], &[]);
    for home in [
        "/home",
        "/",
        "https://care.example/home?x=/in/login",
        "HTTPS://care.example",
        "//care.example/home",
        "/%69nn/x",
        "/家",
    ] {
        assert_eq!(of(home), Answered::Ok, "{home}");
    }
    for login in
        ["/in/login", "/in/login2?error=1", "https://care.example/in/login#x", "login", "./login", "", "?error=1"]
    {
        assert_eq!(of(login), failed("again"), "{login}");
    }
    assert_eq!(of("code"), Answered::SecondStep);
    // Not read in one way, or no place of the SaaS.
    for odd in ["/in/../home", "../home", "/a%2fb", "//care.example//home", "javascript:alert(1)", "mailto:x@y"] {
        assert_eq!(of(odd), Answered::Unknown, "{odd}");
    }
    assert_eq!(answered(302, &[("location", "/home"), ("location", "/in/login")], &[]), Answered::Unknown);
    assert_eq!(answered(302, &[], &[]), Answered::Unknown);
}

#[test]
fn a_cookie_counts_if_it_is_set_and_stays() {
    let of = |cookie: &str| answered(201, &[("set-cookie", "other=1"), ("set-cookie", cookie)], &[]);
    for set in ["SID=x", "SID=x; Path=/; Secure", "SID=x; Max-Age=60", "SID = x; Expires=Wed, 21 Oct 2099 07:28:00 GMT"]
    {
        assert_eq!(of(set), Answered::Ok, "{set}");
    }
    for ended in [
        "SID=",
        "SID=\"\"; Path=/",
        "SID=x; Max-Age=0",
        "SID=x; max-age=-1",
        "SID=x; expires=Thu, 01-Jan-1970 00:00:01 GMT",
        "sid=x",
        "SID",
        "XSID=x",
    ] {
        assert_eq!(of(ended), Answered::Unknown, "{ended}");
    }
}

#[test]
fn a_failure_goes_before_a_success_that_it_looks_like() {
    let page = encoding_rs::SHIFT_JIS.encode("<p>パスワードが違います</p>").0;
    assert_eq!(answered(200, &[("set-cookie", "SID=x")], &[&page]), failed("wrong-password"));
    assert_eq!(
        answered(200, &[("set-cookie", "SID=x")], &[b"<p>welcome</p>"]),
        Answered::Unknown,
        "no JSON to rule out"
    );
    assert_eq!(answered(403, &[("set-cookie", "SID=x")], &[]), Answered::Failed(None));
}

#[test]
fn text_is_looked_for_in_the_pages_own_charset() {
    let utf8 = "…パスワードが違います…".as_bytes();
    assert_eq!(answered(200, &[("content-type", "text/html; charset=utf-8")], &[utf8]), failed("wrong-password"));
    assert_eq!(answered(200, &[("content-type", "text/html")], &[utf8]), Answered::Unknown);
    // What can't be read may be a failure, so it is no success.
    let odd = [("content-type", "text/html; charset=klingon"), ("set-cookie", "SID=x")];
    assert_eq!(answered(200, &odd, &[utf8]), Answered::Unknown);
    assert_eq!(answered(200, &[("content-encoding", "gzip"), ("set-cookie", "SID=x")], &[utf8]), Answered::Unknown);
}

#[test]
fn json_is_looked_into_when_all_of_it_is_there() {
    let of = |body: &str| answered(200, &[("content-type", "application/json")], &[body.as_bytes()]);
    assert_eq!(of(r#"{"error":{"code":"E7"}}"#), failed("locked"));
    assert_eq!(of(r#"{"error":null}"#), Answered::Ok);
    assert_eq!(of(r#"{"step":"code"}"#), Answered::SecondStep);
    assert_eq!(of(r#"{"step":"mail"}"#), Answered::Ok);
    assert_eq!(of(r#"{"error":{"code":"E8"}}"#), Answered::Unknown);
    assert_eq!(of(r#"{"error":{"code":"E7","code":"E8"}}"#), Answered::Unknown);
    assert_eq!(of(r#"{"error":"#), Answered::Unknown);
}

#[test]
fn no_more_than_64_kib_are_looked_at() {
    let text = encoding_rs::SHIFT_JIS.encode("パスワードが違います").0;
    let at = |before: usize| answered(200, &[], &[&vec![b' '; before], &text]);
    assert_eq!(at(MOST_OF_BODY - text.len()), failed("wrong-password"));
    assert_eq!(at(MOST_OF_BODY - text.len() + 1), Answered::Unknown);
    let long = format!("{}{{}}", " ".repeat(MOST_OF_BODY));
    assert_eq!(answered(200, &[], &[long.as_bytes()]), Answered::Unknown);

    // What stands behind them may say that it failed, whatever the head looks like.
    let by_text: Vec<_> = RECIPE.lines().filter(|line| !line.contains("json:")).collect();
    let recipe = samples::recipe(&by_text.join("\n"));
    let of = |length: usize| {
        let mut answer = recipe.answer(&attempt(&recipe));
        assert_eq!(answer.head(StatusCode::OK, &samples::headers(&[("set-cookie", "SID=1")])), None);
        answer.body(&vec![b' '; length]);
        answer.end()
    };
    assert_eq!((of(MOST_OF_BODY), of(MOST_OF_BODY + 1)), (Answered::Ok, Answered::Unknown));

    let mut answer = answer();
    assert_eq!(answer.head(StatusCode::OK, &HeaderMap::new()), None);
    for _ in 0..1_000 {
        let _ = answer.body(&[b'['; 1_000]);
        assert!(answer.tail.capacity() + answer.json.as_ref().map_or(0, Vec::capacity) < 4 * MOST_OF_BODY);
    }
}

#[test]
fn an_answer_that_never_came_is_unknown() {
    assert_eq!(answer().end(), Answered::Unknown);
    let mut answer = answer();
    assert_eq!(answer.body(b"{}"), None);
    assert_eq!(answer.end(), Answered::Unknown);
}

#[test]
fn only_who_reads_bodies_wants_them_uncompressed() {
    assert!(answer().wants_text());
    let by_head = RECIPE.split("    failed:").next().unwrap().to_owned() + "    ok: [{ status: [302] }]\n";
    let recipe = samples::recipe(&by_head);
    assert!(!recipe.answer(&attempt(&recipe)).wants_text());
}

/// A body of what the recipe looks for, of halves of it, and of anything else.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let failure = encoding_rs::SHIFT_JIS.encode("パスワードが違います").0.into_owned();
    let piece = prop_oneof![
        3 => Just(failure.clone()),
        2 => (0..failure.len()).prop_map(move |end| failure[..end].to_vec()),
        2 => Just(b"code".to_vec()),
        2 => Just(br#"{"step":"code"}"#.to_vec()),
        1 => Just(br#"{"error":{"code":"E7"}}"#.to_vec()),
        1 => Just("\u{feff}パスワードが違います".as_bytes().to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => (60_000_usize..66_000).prop_map(|length| vec![b' '; length]),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same(
        body in body(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8), utf8 in any::<bool>(),
        set in any::<bool>()
    ) {
        let mut headers = vec![];
        if utf8 {
            headers.push(("content-type", "text/html; charset=utf-8"));
        }
        if set {
            headers.push(("set-cookie", "SID=x"));
        }
        let whole = answered(200, &headers, &[&body]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = vec![];
        let mut from = 0;
        for to in cuts.into_iter().chain([body.len()]) {
            pieces.push(&body[from..to]);
            from = to;
        }
        prop_assert_eq!(&answered(200, &headers, &pieces), &whole);
        if body.len() < 2_000 {
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            prop_assert_eq!(&answered(200, &headers, &bytes), &whole);
        }
    }

    #[test]
    fn any_head_is_read(status in 100_u16..1000, lines in proptest::collection::vec((0..5_usize, proptest::collection::vec(32_u8..=255, 0..40)), 0..6)) {
        let names = [header::LOCATION, header::SET_COOKIE, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH];
        let value = |bytes: &Vec<u8>| HeaderValue::from_bytes(bytes).ok();
        let headers: HeaderMap = lines.iter().filter_map(|(name, bytes)| Some((names[*name].clone(), value(bytes)?))).collect();
        let mut answer = answer();
        let early = answer.head(StatusCode::from_u16(status).unwrap(), &headers);
        let end = answer.end();
        prop_assert!(early.is_none_or(|early| early == end));
    }
}
