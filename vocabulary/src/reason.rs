//! Why a decision fell as it did: one closed list.
//!
//! The same word stands in tests, records, metrics and `policy explain`; the sentence a person reads for it
//! is in `apps`. A reason, once published, keeps its word and its meaning.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $word:literal,)*) => {
        /// Why a request was permitted or refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word, as it stands in records, metrics and tests.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

reasons! {
    // Permits.
    /// An allow rule matched.
    Rule => "rule",
    /// A built-in page, by its own documented rule.
    BuiltIn => "built-in",
    /// A one-time ticket is redeemed on an app's host.
    Ticket => "ticket",
    /// A CORS preflight for the app's own origins; it carries no credentials.
    Preflight => "preflight",
    /// A cookieless GET on a static host from an address with a live session.
    Static => "static",

    // Refusals, in the order of the ladder.
    /// The record can't be written, so nothing may pass.
    RecordUnavailable => "record-unavailable",
    /// The clock stands before the newest record.
    Clock => "clock",
    /// No app has this host name.
    NoApp => "no-app",
    /// The Host belongs to another app than the TLS server name; answered with 421.
    Misdirected => "misdirected",
    /// The request can't be read in one way only.
    Ambiguous => "ambiguous",
    /// A page of another site or app made this request.
    CrossSite => "cross-site",
    /// A machine client showed no token that is good now.
    TokenNeeded => "token-needed",
    /// The machine client's token is not good for this.
    TokenScope => "token-scope",
    /// The device's certificate was revoked.
    DeviceRevoked => "device-revoked",
    /// The certificate is not in the inventory.
    DeviceUnknown => "device-unknown",
    /// Nobody is signed in, and signing in could help.
    SignInNeeded => "sign-in-needed",
    /// The person is not on the roster.
    NotOnRoster => "not-on-roster",
    /// An account of an identity provider that could be several people's, or somebody's who has another one.
    LinkAmbiguous => "link-ambiguous",
    /// The person's first day is yet to come.
    StaffNotYet => "staff-not-yet",
    /// The person's last day has passed.
    StaffRetired => "staff-retired",
    /// The person is locked.
    StaffLocked => "staff-locked",
    /// The device belongs to somebody else.
    DeviceNotYours => "device-not-yours",
    /// The session began on another device.
    SessionElsewhere => "session-elsewhere",
    /// It is a login to, or a page of, another facility's account at the SaaS.
    WrongAccount => "wrong-account",
    /// A deny rule matched.
    ActionDenied => "action-denied",
    /// No allow rule comes near.
    NoRule => "no-rule",
    /// The closest allow rule asks for another network.
    UnknownNetwork => "unknown-network",
    /// The closest allow rule asks for an enrolled device.
    DeviceNeeded => "device-needed",
    /// The closest allow rule asks for a valid device certificate, and this one has expired.
    DeviceExpired => "device-expired",
    /// The closest allow rule is for other people.
    NotForYou => "not-for-you",
    /// The closest allow rule asks for a second factor.
    FactorsNeeded => "factors-needed",
    /// The closest allow rule asks for a sign-in that is not so long ago.
    SignInStale => "sign-in-stale",
    /// The closest allow rule holds at other days or hours.
    OutsideHours => "outside-hours",
    /// The closest allow rule doesn't allow this action.
    ActionNotAllowed => "action-not-allowed",
    /// The closest allow rule is for other methods or paths.
    PathNotAllowed => "path-not-allowed",

    // Refusals after the decision.
    /// The SaaS could not be reached or did not answer rightly.
    UpstreamFailed => "upstream-failed",
    /// Too many strangers' requests from one source.
    TooMany => "too-many",
}

/// The word is not in the closed list of reasons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason")]
pub struct ParseReasonError(pub String);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = ParseReasonError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|r| r.as_str() == s).ok_or_else(|| ParseReasonError(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_unique_and_read_back() {
        let words: HashSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert_eq!(serde_json_word(*reason), reason.as_str());
        }
    }

    fn serde_json_word(reason: Reason) -> String {
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StrDeserializer};
        let de: StrDeserializer<'_, Error> = reason.as_str().into_deserializer();
        Reason::deserialize(de).map(|r| r.as_str().to_owned()).unwrap_or_default()
    }
}
