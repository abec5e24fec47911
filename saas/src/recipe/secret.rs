//! Values that are never read: by what the recipe says, and by what they are called.

use super::document::SelectorDocument;

/// Words that name a secret wherever they stand in a name.
const WITHIN: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "パスワード",
    "パスフレーズ",
    "ﾊﾟｽﾜｰﾄﾞ",
    "暗証",
    "合言葉",
];
/// Words that name one where they stand alone: `login_pass`, `userPin`, but not `shipping`.
const ALONE: [&str; 7] = ["pass", "pin", "pw", "otp", "totp", "cvc", "csrf"];

/// Whether a name says that its value is a secret, in whatever spelling.
pub(super) fn is_called_so(name: &str) -> bool {
    let folded = folded(name);
    let joined: String = folded.chars().filter(|c| c.is_alphanumeric()).collect();
    WITHIN.iter().any(|word| joined.contains(word)) || words(name).any(|word| ALONE.contains(&word.as_str()))
}

/// Two names that some server takes for one.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    // PHP reads `a.b` and `a b` as `a_b`.
    let lax = |name| folded(name).replace([' ', '.'], "_");
    lax(one) == lax(other)
}

/// Every name that a selector reads by; a JSON pointer's last token and the whole of it.
pub(super) fn names(selector: &SelectorDocument) -> impl Iterator<Item = String> {
    let last = selector.json.as_deref().map(|pointer| {
        let token = pointer.rsplit('/').next().unwrap_or_default();
        token.replace("~1", "/").replace("~0", "~")
    });
    // An index says nothing of what it holds.
    let last = last.filter(|token| !token.bytes().all(|b| b.is_ascii_digit()));
    let SelectorDocument { query, form, parameter, json, .. } = selector.clone();
    [query, form, parameter, json, last].into_iter().flatten()
}

/// Percent-decoded, in small letters, full-width ASCII as ASCII, blanks around it cut off.
fn folded(name: &str) -> String {
    let bytes = crate::method::decoded(name.as_bytes());
    let text = String::from_utf8_lossy(&bytes);
    let half = |c: char| match c {
        '！'..='～' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    text.trim().chars().map(half).flat_map(char::to_lowercase).collect()
}

/// `form:memberLogin_pass2` → form, member, login, pass
fn words(name: &str) -> impl Iterator<Item = String> {
    let bytes = crate::method::decoded(name.as_bytes());
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut words = vec![String::new()];
    let mut before = '_';
    for c in text.chars() {
        let begins = !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase());
        if begins {
            words.push(String::new());
        }
        if c.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.into_iter().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_server_takes_for_one_are_one() {
        for other in ["kouza_no", "Kouza.No", " kouza no ", "kouza%5fno", "ｋｏｕｚａ＿ｎｏ"] {
            assert!(is_same("kouza_no", other), "{other}");
        }
        assert!(!is_same("kouza_no", "kouzano"));
    }

    #[test]
    fn a_secret_is_known_by_its_name_in_any_spelling() {
        for secret in [
            "password",
            "form:password",
            "PASSWD",
            "new_pass-word",
            "userPwd",
            "ｐａｓｓｗｏｒｄ",
            "ログインパスワード",
            "ﾊﾟｽﾜｰﾄﾞ",
            "pass%77ord",
            "login_pass",
            "userPin",
            "pin2",
            "__REQUEST_TOKEN__",
            "client_secret",
            "暗証番号",
        ] {
            assert!(is_called_so(secret), "{secret}");
        }
        for plain in ["shipping", "spin", "form:member_login_id", "passenger", "compass", "利用者番号", "opinion"]
        {
            assert!(!is_called_so(plain), "{plain}");
        }
    }
}
