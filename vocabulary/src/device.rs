//! What is said of devices: whose they are, what runs on them, why they are shut out.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The word is not in its closed list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not {what}; choose one of {choices}")]
pub struct ParseWordError {
    pub word: String,
    what: &'static str,
    choices: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $($(#[$item_doc:meta])* $item:ident => $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$item_doc])* #[serde(rename = $word)] $item,)*
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$item,)*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$item => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ParseWordError;

            fn from_str(word: &str) -> Result<Self, ParseWordError> {
                Self::ALL.iter().copied().find(|item| item.as_str() == word).ok_or_else(|| ParseWordError {
                    word: word.to_owned(),
                    what: $what,
                    choices: Self::ALL.iter().map(|item| item.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

words! {
    /// Whose a device is.
    DeviceKind, "a kind of device",
    /// The facility's, lent to one person.
    Lent => "lent",
    /// The person's own.
    Byod => "byod",
    /// The facility's, used by whoever is on duty.
    Shared => "shared",
    /// A program's (RPA, a script): nobody signs in on it, and it has rules of its own.
    Machine => "machine",
}

words! {
    /// What runs on a device.
    Os, "an operating system",
    /// iPhone and iPad.
    Ios => "ios",
    Android => "android",
    Windows => "windows",
    Macos => "macos",
    Chromeos => "chromeos",
    Linux => "linux",
}

words! {
    /// Why a device is no longer trusted.
    RevocationCause, "a cause of revocation",
    Lost => "lost",
    Stolen => "stolen",
    /// Another device, or another certificate, took its place.
    Replaced => "replaced",
    /// Its owner left.
    OwnerLeft => "owner-left",
    /// Its key may be in other hands.
    Compromised => "compromised",
    Other => "other",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for cause in RevocationCause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(*cause));
        }
        for kind in DeviceKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for os in Os::ALL {
            assert_eq!(os.as_str().parse(), Ok(*os));
        }
        let error = "lsot".parse::<RevocationCause>().unwrap_err().to_string();
        assert!(error.contains("lost") && error.contains("owner-left"), "{error}");
    }
}
