//! HTTP methods of a rule.

use super::Effect;

/// The methods offered when one is mistyped: RFC 9110, PATCH, and those of WebDAV that SaaS use.
pub(crate) const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "REPORT"];

/// What is wrong with a method as written, if anything.
pub(crate) fn method_problem(method: &str) -> Option<&'static str> {
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
        return Some("is not an HTTP method");
    }
    // Methods are case-sensitive (RFC 9110, 9.1): `get` would never match.
    method.bytes().any(|b| b.is_ascii_lowercase()).then_some("is not an HTTP method; methods are written in capitals")
}

/// Exact for an allow rule. A deny rule also meets `post` for `POST`, because some servers don't tell them apart.
pub(crate) fn matches(written: &str, method: &str, effect: Effect) -> bool {
    match effect {
        Effect::Allow => written == method,
        Effect::Deny => written.eq_ignore_ascii_case(method),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deny_rule_is_not_evaded_by_another_spelling() {
        assert!(matches("POST", "POST", Effect::Allow));
        assert!(!matches("POST", "post", Effect::Allow));
        assert!(matches("POST", "pOsT", Effect::Deny));
        assert!(!matches("POST", "PUT", Effect::Deny));
    }

    #[test]
    fn a_method_is_a_token_in_capitals() {
        for right in KNOWN {
            assert_eq!(method_problem(right), None);
        }
        for wrong in ["", "get", "Get", "GET POST", "GET,POST", "ゲット"] {
            assert!(method_problem(wrong).is_some(), "{wrong}");
        }
    }
}
