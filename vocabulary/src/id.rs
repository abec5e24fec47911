//! Identifiers, checked once where they enter and trusted from there on.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An identifier is not of the shape its kind asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{value}` {problem}")]
pub struct IdError {
    pub kind: &'static str,
    pub value: String,
    pub problem: &'static str,
}

/// Letters, digits, `.`, `_`, `@` and `-`, and any letter outside ASCII; no spaces, no control characters.
fn plain(value: &str, kind: &'static str, longest: usize) -> Result<(), IdError> {
    let fail = |problem| Err(IdError { kind, value: value.chars().take(80).collect(), problem });
    if value.is_empty() {
        return fail("is empty");
    }
    if value.len() > longest {
        return fail("is too long");
    }
    if value.chars().any(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '@' | '-'))) {
        return fail("may hold only letters, digits, `.`, `_`, `@` and `-`");
    }
    Ok(())
}

/// One DNS label in lower case, since it becomes part of a host name.
fn label(value: &str, kind: &'static str) -> Result<(), IdError> {
    let fail = |problem| Err(IdError { kind, value: value.chars().take(80).collect(), problem });
    if value.is_empty() || value.len() > 63 {
        return fail("must be 1 to 63 characters long, because it becomes part of a host name");
    }
    if !value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return fail("may hold only a-z, 0-9 and `-`, because it becomes part of a host name");
    }
    if value.starts_with('-') || value.ends_with('-') {
        return fail("may not begin or end with `-`");
    }
    Ok(())
}

/// Free text on one line, such as a rule's name.
fn line(value: &str, kind: &'static str) -> Result<(), IdError> {
    let fail = |problem| Err(IdError { kind, value: value.chars().take(80).collect(), problem });
    if value.trim().is_empty() {
        return fail("is empty");
    }
    if value.len() > 200 {
        return fail("is longer than 200 bytes");
    }
    if value.chars().any(char::is_control) {
        return fail("holds a control character");
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the shape.
            ///
            /// # Errors
            /// Says what is wrong with the value.
            pub fn new(value: impl AsRef<str>) -> Result<Self, IdError> {
                let value = value.as_ref();
                let check: fn(&str, &'static str) -> Result<(), IdError> = $check;
                check(value, $kind)?;
                Ok(Self(value.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(value: String) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

id!(/** A person of the roster: the staff number or sign-in name the facility uses. */ PersonId, "person", |v, k| plain(v, k, 64));
id!(/** An application behind the gate; also its label in host names. */ AppId, "app", label);
id!(/** An enrolled device, as made when its certificate is issued. */ DeviceId, "device", |v, k| plain(v, k, 64));
id!(/** A program that comes with a certificate of its own, as rules name it. */ MachineName, "machine", |v, k| plain(v, k, 64));
id!(/** A session's public name: it identifies, it does not authenticate. */ SessionId, "session", |v, k| plain(v, k, 64));
id!(/** A login to a SaaS, as made when the gate saw it succeed. */ LoginId, "login", |v, k| plain(v, k, 64));
id!(/** A group of people, from the roster. */ GroupName, "group", |v, k| plain(v, k, 64));
id!(/** A network of the configuration. */ NetworkName, "network", |v, k| plain(v, k, 64));
id!(/** A policy rule's name. */ RuleName, "rule", line);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_a_host_label() {
        assert!(AppId::new("kaipoke").is_ok());
        for wrong in ["", "Kaipoke", "-a", "a-", "a.b", "a_b", "カイポケ"] {
            assert!(AppId::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_person_may_be_japanese_but_not_carry_spaces_or_controls() {
        assert!(PersonId::new("佐藤.花子").is_ok());
        for wrong in ["", "a b", "a\nb", "a\u{0}", "a,b", "a\"b"] {
            assert!(PersonId::new(wrong).is_err(), "{wrong:?}");
        }
    }
}
