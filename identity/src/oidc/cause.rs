//! Why signing in at a provider, or what a provider said, came to nothing: one closed list.

use std::fmt;

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident => $word:literal,)*) => {
        /// Why not. The word stands in records and logs; people read something plainer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum OidcCause {
            $($(#[$doc])* $name,)*
        }

        impl OidcCause {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

causes! {
    /// The state is not known: expired, used before, another browser's, or made up.
    State => "state",
    /// The provider can't be reached, or not in time, or says that it is broken.
    Unavailable => "provider-unavailable",
    /// The provider answered something that can't be read.
    Answer => "provider-answer",
    /// An answer or a token of the provider is too long.
    Oversized => "oversized",
    /// The token endpoint refused the code or the client secret.
    CodeRefused => "code-refused",
    /// `access_denied`: the person, or the provider's own rules, said no.
    AccessDenied => "access-denied",
    /// `login_required`, `interaction_required`, `consent_required`, `account_selection_required`.
    LoginRequired => "login-required",
    /// `temporarily_unavailable` or `server_error`.
    TemporarilyUnavailable => "temporarily-unavailable",
    /// Any other error the provider sent the browser back with.
    ProviderError => "provider-error",
    /// The answer is another provider's, or does not say whose it is (RFC 9207).
    ResponseIssuer => "response-issuer",
    /// No ID token came.
    NoToken => "no-token",
    /// The token can't be read.
    Malformed => "malformed",
    /// Not an asymmetric algorithm that the provider announces.
    Algorithm => "algorithm",
    /// The provider has no key of that name.
    UnknownKey => "unknown-key",
    Signature => "signature",
    Issuer => "issuer",
    Audience => "audience",
    /// `azp` names another client.
    AuthorizedParty => "authorized-party",
    Expired => "expired",
    /// `iat` or `nbf` lies in the future.
    NotYet => "not-yet",
    Nonce => "nonce",
    /// The sign-in at the provider is older than was asked for, or it doesn't say how old.
    AuthTime => "auth-time",
    /// The subject is missing, too long, or another one in the user info.
    Subject => "subject",
    /// No link, and the provider names no mail address.
    NoMail => "no-mail",
    /// No link, and the provider doesn't say that the mail address is verified.
    MailUnverified => "mail-unverified",
    /// No link, and the mail's domain is none of the provider's `domains`.
    MailDomain => "mail-domain",
    /// No link, and nobody on the roster has the mail address.
    MailUnknown => "mail-unknown",
    /// No link, and several people on the roster have the mail address.
    MailAmbiguous => "mail-ambiguous",
    /// The person who has the mail address is linked to another account of this provider.
    LinkedOtherwise => "linked-otherwise",
    /// A logout token that is none, or names nobody.
    LogoutToken => "logout-token",
    /// A logout token that came before.
    Replayed => "replayed",
    /// The operating system gave no random bytes.
    Random => "random",
}

impl fmt::Display for OidcCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for OidcCause {}
