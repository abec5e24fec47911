//! What the record keeps of a request's target: enough to tell what was done, nothing that opens a door.
//!
//! Query values and path parameters become `*`, their names stay; segments and parts of segments that look like
//! tokens become `*`. A UUID stays: it names a record more often than it opens one. A `*` that was really sent
//! stands as `%2A`.

/// The most of a path that is kept, in bytes.
const LONGEST_PATH: usize = 1_000;
/// The most names of a query that are kept.
const MOST_NAMES: usize = 30;
/// The longest name that is kept, in bytes.
const LONGEST_NAME: usize = 60;
/// Runs shorter than this are never taken for tokens: 128 bits take 22 characters of base64.
const SHORTEST_TOKEN: usize = 20;

/// Masks a target that could not be read in one way only, for the record of its refusal.
pub fn mask_target(raw: &[u8]) -> String {
    let Some(rest) = without_authority(raw) else { return "-".to_owned() };
    let rest = rest.split(|b| *b == b'#').next().unwrap_or_default();
    let mut parts = rest.splitn(2, |b| *b == b'?');
    let raw_path = parts.next().unwrap_or_default();
    let mut out = String::new();
    for (nth, segment) in raw_path.split(|b| *b == b'/').enumerate() {
        if nth > 0 {
            out.push('/');
        }
        push_segment(&mut out, &decoded(segment.split(|b| *b == b';').next().unwrap_or_default()));
        if out.len() > LONGEST_PATH {
            break;
        }
    }
    cut(&mut out);
    push_parameters(&mut out, raw_path);
    push_query(&mut out, parts.next());
    out
}

/// `path` is canonical; `raw` is what it was read from.
pub(crate) fn masked(path: &str, raw: &[u8], query: Option<&[u8]>) -> String {
    let mut out = String::with_capacity(path.len() + query.map_or(0, <[u8]>::len));
    for (nth, segment) in path.split('/').enumerate() {
        if nth > 0 {
            out.push('/');
        }
        push_segment(&mut out, segment);
        if out.len() > LONGEST_PATH {
            break;
        }
    }
    cut(&mut out);
    if raw.contains(&b';') {
        push_parameters(&mut out, raw);
    }
    push_query(&mut out, query);
    out
}

/// What follows the authority of an absolute form, or the whole of an origin form. Anything else may be a
/// password in the wrong place.
fn without_authority(raw: &[u8]) -> Option<&[u8]> {
    if raw.first() == Some(&b'/') {
        return Some(raw);
    }
    let start = raw.windows(3).position(|w| w == b"://")? + 3;
    let rest = &raw[start..];
    Some(rest.iter().position(|b| *b == b'/').map_or(&b"/"[..], |end| &rest[end..]))
}

fn decoded(segment: &[u8]) -> String {
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let [first, after @ ..] = rest {
        rest = after;
        match (*first, hex(rest.first()), hex(rest.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high * 16 + low);
                rest = &rest[2..];
            }
            (byte, ..) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn cut(out: &mut String) {
    if out.len() > LONGEST_PATH {
        let end = (0..=LONGEST_PATH).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
        out.truncate(end);
        out.push('…');
    }
}

fn push_segment(out: &mut String, segment: &str) {
    let run_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=' | '~');
    if segment.len() < SHORTEST_TOKEN && segment.bytes().all(|b| run_char(char::from(b)) || b == b'.') {
        out.push_str(segment);
        return;
    }
    if is_jwt(segment) {
        out.push('*');
        return;
    }
    let mut rest = segment;
    while let Some(first) = rest.chars().next() {
        let run = rest.find(|c| !run_char(c)).unwrap_or(rest.len());
        if run > 0 {
            out.push_str(if is_token(&rest[..run]) { "*" } else { &rest[..run] });
            rest = &rest[run..];
        } else {
            push_char(out, first);
            rest = &rest[first.len_utf8()..];
        }
    }
}

/// Characters that would read as something else in a record stand percent-encoded.
fn push_char(out: &mut String, c: char) {
    let structural = matches!(c, '%' | '?' | '#' | ';' | '*' | '/' | '\\');
    // Controls, spaces and what reorders or hides text (bidi marks, zero width).
    let unseen = c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if structural || unseen {
        let mut buffer = [0; 4];
        for byte in c.encode_utf8(&mut buffer).bytes() {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    } else {
        out.push(c);
    }
}

/// Names of all path parameters, at the path's end: `/a;jsessionid=x/b` → `/a/b;jsessionid=*`.
fn push_parameters(out: &mut String, raw_path: &[u8]) {
    let parameters = raw_path.split(|b| *b == b'/').flat_map(|segment| segment.split(|b| *b == b';').skip(1));
    for parameter in parameters.take(MOST_NAMES) {
        out.push(';');
        push_pair(out, parameter);
    }
}

fn push_query(out: &mut String, query: Option<&[u8]>) {
    let Some(query) = query else { return };
    out.push('?');
    let mut pairs = query.split(|b| *b == b'&');
    for (nth, pair) in pairs.by_ref().take(MOST_NAMES).enumerate() {
        if nth > 0 {
            out.push('&');
        }
        if !pair.is_empty() {
            push_pair(out, pair);
        }
    }
    if pairs.next().is_some() {
        out.push_str("&…");
    }
}

/// `name=*`. A pair without `=`, or with nothing behind it, may be all value: base64 ends so. It has no name to show.
fn push_pair(out: &mut String, pair: &[u8]) {
    let has_value = |end: &usize| pair[*end..].iter().any(|b| *b != b'=');
    let Some(end) = pair.iter().position(|b| *b == b'=').filter(has_value) else { return out.push('*') };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'[' | b']' | b'$');
    match std::str::from_utf8(&pair[..end]) {
        Ok(name) if name.len() <= LONGEST_NAME && name.bytes().all(|b| plain(&b)) && !holds_token(name) => {
            out.push_str(name);
        }
        _ => out.push('*'),
    }
    out.push_str("=*");
}

pub(crate) fn holds_token(name: &str) -> bool {
    name.len() >= SHORTEST_TOKEN && (is_jwt(name) || name.split(['.', ':', '[', ']', '$']).any(is_token))
}

/// RFC 7519: a header that begins with `{"` in base64url, then at least one dot.
fn is_jwt(segment: &str) -> bool {
    segment.len() >= SHORTEST_TOKEN && segment.starts_with("eyJ") && segment.contains('.')
}

/// Whether a run of `A-Za-z0-9-_+=~` looks random rather than written by somebody: long hexadecimal, or changing
/// between upper case, lower case and digits more often than words do. A token of 128 random bits escapes about once in a
/// hundred times; recipes that know where tokens stand don't depend on this.
fn is_token(run: &str) -> bool {
    let run = run.trim_matches('=');
    if run.len() < SHORTEST_TOKEN || is_uuid(run) {
        return false;
    }
    if run.len() >= 32 && run.bytes().all(|b| b.is_ascii_hexdigit()) {
        return true;
    }
    let class = |b: u8| match b {
        b'A'..=b'Z' => Some(0),
        b'a'..=b'z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let classes = run.bytes().filter_map(class);
    let changes = classes.clone().zip(classes.skip(1)).filter(|(a, b)| a != b).count();
    // Names in camel case change about every third letter at most, and rarely hold digits.
    let needed = if run.bytes().any(|b| b.is_ascii_digit()) { run.len() / 4 } else { run.len() / 2 };
    changes >= needed
}

fn is_uuid(run: &str) -> bool {
    run.len() == 36
        && run.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_keep_ids_and_words_and_lose_tokens() {
        for kept in [
            "/residents/1234/care-plan",
            "/kaipokebiz/common/COM020101.do",
            "/k/api/record/download/file-2026-11-01.csv",
            "/r/123e4567-e89b-12d3-a456-426614174000",
            "/bizhnc/monthlyShiftsListForTheWholeFacility",
            "/利用者/佐藤",
        ] {
            assert_eq!(masked(kept, b"", None), kept);
        }
        for (token, masked_as) in [
            ("/reset/0123456789abcdef0123456789abcdef", "/reset/*"),
            ("/f/0123456789ABCDEF0123456789abcdef.pdf", "/f/*.pdf"),
            ("/t/dGhpcyBpcyBhIHNlY3JldA", "/t/*"),
            ("/t/Zm9vYmFyQmF6cXV4MTIzNDU2Nzg5MA==", "/t/*"),
            ("/j/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", "/j/*"),
            ("/a b*", "/a%20b%2A"),
            ("/a\u{202e}b", "/a%E2%80%AEb"),
        ] {
            assert_eq!(masked(token, b"", None), masked_as);
        }
    }

    #[test]
    fn of_a_query_only_names_stay() {
        let query = |q: &str| masked("/", b"/", Some(q.as_bytes()));
        assert_eq!(query("id=7&q=%E4%BD%90&form:id=x&a[]=1"), "/?id=*&q=*&form:id=*&a[]=*");
        assert_eq!(query("hunter2"), "/?*");
        assert_eq!(query("a b=1&0123456789abcdef0123456789abcdef=1"), "/?*=*&*=*");
        assert_eq!(query("cGFzc3dvcmQ="), "/?*");
        assert_eq!(query("aGk==&q="), "/?*&*");
        assert_eq!(query(""), "/?");
        assert!(query(&"a=1&".repeat(100)).ends_with("&…"));
    }

    #[test]
    fn path_parameters_keep_their_names_only() {
        assert_eq!(masked("/a/b", b"/a;jsessionid=SECRET/b;x", None), "/a/b;jsessionid=*;*");
    }

    #[test]
    fn a_target_that_was_refused_is_masked_too() {
        assert_eq!(mask_target(b"/a%2fb/../c\\d?x=1#f"), "/a%2Fb/../c%5Cd?x=*");
        assert_eq!(mask_target(b"https://u:pw@h.example/x?y=z"), "/x?y=*");
        assert_eq!(mask_target(b"u:pw@h.example:443"), "-");
        assert_eq!(mask_target(b"/%"), "/%25");
    }

    proptest! {
        #[test]
        fn query_values_and_parameters_never_appear(name in "[a-z]{1,8}", value in "[A-Z0-9]{3,40}", path in "/[a-z]{0,8}") {
            let raw = format!("{path};{name}={value};{value}=/x?{name}={value}&{value}&{value}==");
            prop_assert!(!mask_target(raw.as_bytes()).contains(&value));
        }

        #[test]
        fn random_tokens_never_appear(bytes in proptest::array::uniform16(any::<u8>())) {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            prop_assert_eq!(masked(&format!("/x/{hex}"), b"", None), "/x/*");
        }

        // 64 of them at once, since one in a hundred may look like a word.
        #[test]
        fn random_base64_of_128_bits_rarely_appears(tokens in proptest::collection::vec("[A-Za-z0-9_-]{22}", 64)) {
            let shown = tokens.iter().filter(|t| !masked(&format!("/x/{t}"), b"", None).contains('*')).count();
            prop_assert!(shown <= 8, "{}", shown);
        }

        #[test]
        fn anything_is_masked_to_one_bounded_line(raw in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let masked = mask_target(&raw);
            prop_assert!(masked.len() < 4_000);
            prop_assert!(!masked.chars().any(char::is_control));
        }
    }
}
