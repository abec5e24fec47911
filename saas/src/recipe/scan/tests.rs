use encoding_rs::{EUC_JP, SHIFT_JIS, UTF_8};
use proptest::prelude::*;

use super::*;
use crate::recipe::charset::Unreadable;
use crate::recipe::fields::Pointer;

const FIELDS: [&str; 3] = ["user", "氏名", "a[b]"];

/// What is found of [`FIELDS`]: the value, `-` for none, `?` for unclear, `…` for too long.
fn found(scan: impl FnOnce(&mut Parameters<'_>) -> Result<(), Unreadable>) -> Result<[String; 3], Unreadable> {
    let mut fields = Fields::default();
    let slots = FIELDS.map(|name| fields.slot(name));
    let mut parameters = Parameters::new(&fields, &[true; 3]);
    scan(&mut parameters)?;
    Ok(slots.map(|slot| shown(&parameters.cells[slot])))
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Absent => "-".to_owned(),
        Cell::Unclear => "?".to_owned(),
        Cell::Found(None) => "…".to_owned(),
        Cell::Found(Some(value)) => value.to_string(),
    }
}

fn form(body: &[u8]) -> Result<[String; 3], Unreadable> {
    found(|parameters| form::body(body, None, UTF_8, parameters))
}

fn multipart(body: &str) -> Result<[String; 3], Unreadable> {
    found(|parameters| multipart::body(body.as_bytes(), "multipart/form-data; boundary=x", UTF_8, parameters))
}

fn part(head: &str, value: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
}

#[test]
fn a_form_is_read_as_browsers_write_it() {
    let read = form(b"x=1&user=sa+to%2B1&%E6%B0%8F%E5%90%8D=%e4%bd%90%E8%97%a4&a%5Bb%5D=100%&y");
    assert_eq!(read.unwrap(), ["sa to+1", "佐藤", "100%"]);
    assert_eq!(form(b"").unwrap(), ["-", "-", "-"]);
    assert_eq!(form(b"user&&=&").unwrap(), ["", "-", "-"]);
}

#[test]
fn what_servers_read_in_two_ways_is_unclear() {
    for twice in [
        "user=a&user=b",
        "user=a&User=b",
        "USER=a",
        "user=a&user[]=b",
        "user[x]=a",
        "user%00x=a",
        "+user=a",
        "user=a;b=c",
        "x=a;user=b",
        "user=%ff",
    ] {
        assert_eq!(form(twice.as_bytes()).unwrap()[0], "?", "{twice}");
    }
    for other in ["users=a", "x=user", "x=%26user=a", "x=a%3Buser=b", "a[c]=1"] {
        assert_eq!(form(other.as_bytes()).unwrap()[0], "-", "{other}");
    }
}

#[test]
fn a_value_that_nobody_asks_for_is_not_even_built() {
    let mut fields = Fields::default();
    for name in ["user", "other"] {
        fields.slot(name);
    }
    let mut parameters = Parameters::new(&fields, &[true, false]);
    for name in ["pw", "other", "users"] {
        parameters.see(name, || panic!("{name} is built"));
    }
}

#[test]
fn a_long_value_is_there_and_not_taken() {
    let long = |length: usize| form(format!("user={}", "a".repeat(length)).as_bytes()).unwrap()[0].clone();
    assert_eq!(long(256).len(), 256);
    assert_eq!(long(257), "…");
    assert_eq!(form(&[&b"user="[..], &b"%61".repeat(257)].concat()).unwrap()[0], "…");
}

#[test]
fn names_and_values_are_read_in_their_charset() {
    let percent = |bytes: &[u8]| bytes.iter().map(|b| format!("%{b:02X}")).collect::<String>();
    for encoding in [SHIFT_JIS, EUC_JP] {
        let text = |text| encoding.encode(text).0.into_owned();
        let body = format!("{}={}", percent(&text("氏名")), percent(&text("表示 能力")));
        let read = |declared, default| found(|p| form::body(body.as_bytes(), declared, default, p)).unwrap()[1].clone();
        assert_eq!(read(Some(encoding), UTF_8), "表示 能力");
        assert_eq!(read(None, encoding), "表示 能力");
        assert_eq!(read(None, UTF_8), "-");
        let said = format!("{body}&_charset_={}", encoding.name());
        assert_eq!(found(|p| form::body(said.as_bytes(), None, UTF_8, p)).unwrap()[1], "表示 能力");
        // As it stands on the wire, where the second byte of a character may be a `\` or an `=`.
        let raw = [&text("氏名")[..], b"=", &text("ソ十")].concat();
        assert_eq!(found(|p| form::body(&raw, Some(encoding), UTF_8, p)).unwrap()[1], "ソ十");
    }
    assert_eq!(form(b"user=a&_charset_=no-such"), Err(Unreadable));
    assert_eq!(form(b"_charset_=euc-jp&user=a&_charset_=shift_jis"), Err(Unreadable));
    assert_eq!(form(b"user=a&x_charset_=no-such").unwrap()[0], "a");
}

#[test]
fn of_a_multipart_body_text_fields_are_read_and_files_passed_over() {
    let body = [
        part("name=\"user\"", "佐藤\r\n--y"),
        part("name=\"file\"; filename=\"a.csv\"", "name=\"user\""),
        part("name=\"a[b]\"", ""),
        "--x--\r\n".to_owned(),
    ];
    assert_eq!(multipart(&body.concat()).unwrap(), ["佐藤\r\n--y", "-", ""]);
    let as_file = [part("name=\"user\"; filename=\"u\"", "a"), "--x--".to_owned()].concat();
    assert_eq!(multipart(&as_file).unwrap()[0], "?", "a server may take it for text");
    let typed = "--x\r\nContent-Disposition: form-data; name=\"user\"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\na\r\n--x--";
    assert_eq!(multipart(typed).unwrap()[0], "a");
}

#[test]
fn a_multipart_body_that_no_browser_writes_is_not_read() {
    let end = "--x--";
    for odd in [
        String::new(),
        "preamble\r\n--x--".to_owned(),
        part("name=\"user\"", "a"),
        [part("name=user", "a"), end.to_owned()].concat(),
        [part("name=\"user\"; name=\"x\"", "a"), end.to_owned()].concat(),
        [part("name*=utf-8''user", "a"), end.to_owned()].concat(),
        [part("name=\"us\\\"er\"", "a"), end.to_owned()].concat(),
        [part("filename=\"a\"", "a"), end.to_owned()].concat(),
        part("name=\"user\"", "a").replace("\r\n", "\n") + end,
        "--x\r\nContent-Disposition: attachment; name=\"user\"\r\n\r\na\r\n--x--".to_owned(),
        "--x\r\nContent-Disposition: form-data; name=\"user\"\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--x--".to_owned(),
        "--x\r\nContent-Disposition: form-data; name=\"user\"\r\n folded: x\r\n\r\na\r\n--x--".to_owned(),
        "--x\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\na\r\n--x-\r\n".to_owned(),
    ] {
        assert_eq!(multipart(&odd), Err(Unreadable), "{odd}");
    }
    let body = [part("name=\"user\"", "a"), end.to_owned()].concat();
    for content_type in
        ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x; boundary=y"]
    {
        let read = found(|p| multipart::body(body.as_bytes(), content_type, UTF_8, p));
        assert_eq!(read, Err(Unreadable), "{content_type}");
    }
}

fn json(text: &str, pointers: &[&str]) -> Result<Vec<String>, Unreadable> {
    let pointers: Vec<Pointer> = pointers.iter().map(|pointer| Pointer::parse(pointer).unwrap()).collect();
    Ok(json::values(text.as_bytes(), &pointers, |_| true)?.iter().map(shown).collect())
}

#[test]
fn pointers_lead_to_values_of_json() {
    let text = r#" { "login": {"name":"\u4f50\u85E4\t\ud867\udE3D","tries": -1.5e+3, "of": ["a", true, null]}, "a/b~c": "", "x": {} } "#;
    let read =
        json(text, &["/login/name", "/login/tries", "/login/of/1", "/login/of/2", "/a~1b~0c", "/x", "/login/of/01"]);
    assert_eq!(read.unwrap(), ["佐藤\t𩸽", "-1.5e+3", "true", "-", "", "…", "-"]);
    assert_eq!(json("\u{feff}\"x\"", &["/a"]).unwrap(), ["-"]);
}

#[test]
fn what_readers_of_json_differ_on_is_unclear() {
    for unclear in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"A":2}"#,
        r#"{"A":1}"#,
        r#"{"a":1,"\u0061":null}"#,
        r#"{"a":null,"a":1}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\u0041"}"#,
    ] {
        assert_eq!(json(unclear, &["/a"]).unwrap(), ["?"], "{unclear}");
    }
    assert_eq!(json(r#"{"b":{"a":1},"b":{"c":2}}"#, &["/b/a"]).unwrap(), ["?"]);
    assert_eq!(json(r#"{"a":1,"b":{"a":2}}"#, &["/a"]).unwrap(), ["1"]);
}

#[test]
fn json_nested_deeper_than_any_pointer_leads_is_not_read() {
    let nested = |depth: usize| json(&format!("{}1{}", "[".repeat(depth), "]".repeat(depth)), &["/0"]);
    assert!(nested(DEEPEST).is_ok());
    assert_eq!(nested(DEEPEST + 1), Err(Unreadable));
    assert_eq!(nested(30_000), Err(Unreadable));
}

/// Keys that no reader takes for one another.
fn document() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop_oneof![Just("a"), Just("b"), Just("c~/d"), Just("0"), Just("利用者")].prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..4).prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_read_as_another_reader_has_it(document in document(), spaced in any::<bool>()) {
        let pointers = ["/a", "/a/b", "/0", "/0/a", "/c~0~1d/a", "/利用者/0"];
        let text = if spaced { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let wanted = pointers.map(|pointer| match document.pointer(pointer) {
            None | Some(serde_json::Value::Null) => "-".to_owned(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Array(_) | serde_json::Value::Object(_)) => "…".to_owned(),
            Some(other) => other.to_string(),
        });
        prop_assert_eq!(json(&text.unwrap(), &pointers).unwrap(), wanted);
    }

    #[test]
    fn what_is_json_to_another_reader_is_json_here(text in "[\\[\\]{},:\"a1.eE+\\-\\\\u0dtrfalsn \t]{0,24}") {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(json(&text, &["/a"]).is_ok(), theirs, "{}", text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = form(&bytes);
        let pointers = [Pointer::parse("/a/0").unwrap()];
        let _ = json::values(&bytes, &pointers, |_| true);
        let _ = multipart(&String::from_utf8_lossy(&[&b"--x\r\n"[..], &bytes].concat()));
    }

    #[test]
    fn a_form_is_read_as_a_plain_reader_has_it(
        pairs in proptest::collection::vec(("(user|x|氏名)", "[a-z0-9 &=%;+佐]{0,6}"), 0..6)
    ) {
        let percent = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
        let body: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect();
        let read = form(body.join("&").as_bytes()).unwrap();
        for (nth, name) in FIELDS.iter().take(2).enumerate() {
            let values: Vec<&String> = pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| value).collect();
            let wanted = match values[..] {
                [] => "-",
                [one] => one,
                _ => "?",
            };
            prop_assert_eq!(&read[nth], wanted);
        }
    }
}
