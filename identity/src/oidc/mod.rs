//! Signing in at an OpenID Connect provider: the code flow with PKCE, nonce and state (OpenID Connect Core 1.0, 3.1).
//!
//! What lives here: talking to a provider through a [`Fetch`] ([`Oidc`]), checking what it answers, what its claims
//! mean for groups ([`claims`]) and factors ([`factors`]), whose account it is ([`Links`]), and what it says about
//! people who signed out there. What does not: connections (the `proxy` brings the [`Fetch`]), pages (`apps`), and
//! records: whoever calls something with an effect here has recorded it before.
//!
//! | file | what |
//! |---|---|
//! | `provider.rs` | one provider: the way there and back |
//! | `known.rs` | what a provider says of itself: metadata and keys |
//! | `token.rs` | ID tokens |
//! | `jws.rs` | signatures of tokens that the library has no type for |
//! | `logout.rs` | logout tokens, and the way to the provider's own sign-out |
//! | `under_way.rs` | who is on the way to a provider |
//! | `claims.rs`, `factors.rs` | what claims mean |
//! | `link.rs` | accounts of providers and the people they belong to |

mod cause;
mod claims;
mod document;
mod factors;
mod fetch;
mod jws;
mod known;
mod link;
mod logout;
mod provider;
mod token;
mod under_way;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use vocabulary::{GroupName, Timestamp};

use crate::Settings;
use provider::Provider;

pub use cause::OidcCause;
pub use document::{ClientSecret, FactorsDocument, GroupClaims, GroupsDocument, OidcSettings, Prompt, ProviderFactors};
pub(crate) use document::{out_of_place, resolve};
pub use fetch::{Fetch, FetchError};
pub use link::{Link, LinkDecision, Links};
pub use logout::LogoutScope;
pub(crate) use under_way::{SeenTokens, UnderWay};

/// Somebody sets out for a provider.
pub struct SetOut<'a> {
    /// Marks the browser; the one that comes back must show the same.
    pub browser: &'a str,
    /// Of the sign-in under way ([`crate::SignIns`]), to go on with afterwards.
    pub handle: Option<&'a str>,
    /// The sign-in at the provider must not be older than so many seconds.
    pub within: Option<i64>,
    /// The provider is to ask anew, whatever it remembers: the device is shared.
    pub anew: bool,
    /// Where the provider sends the browser back to.
    pub redirect_uri: &'a str,
    /// `ja` or `en`.
    pub language: &'a str,
    pub source: IpAddr,
    pub now: Timestamp,
}

/// Somebody comes back from a provider (OpenID Connect Core 1.0, 3.1.2.5 and 3.1.2.6; RFC 9207).
pub struct ComeBack<'a> {
    pub browser: &'a str,
    pub state: &'a str,
    pub code: Option<&'a str>,
    pub error: Option<&'a str>,
    pub iss: Option<&'a str>,
    pub redirect_uri: &'a str,
    pub now: Timestamp,
}

/// What a provider vouches for.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Id of the configuration.
    pub provider: String,
    pub issuer: String,
    /// What the provider calls the person, for ever; at most 255 bytes.
    pub subject: String,
    /// The provider's own name of its session, by which it may end ours.
    pub sid: Option<String>,
    pub mail: Option<String>,
    pub mail_verified: bool,
    /// From the claims that the configuration maps.
    pub groups: Vec<GroupName>,
    pub factors: u8,
    /// When the person signed in there, if the provider says so; never in the future.
    pub auth_time: Option<Timestamp>,
}

/// Without the mail address, and without what could be told to end sessions.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl From<Account> for crate::SessionAccount {
    fn from(account: Account) -> Self {
        Self {
            provider: account.provider,
            issuer: account.issuer,
            subject: account.subject,
            sid: account.sid,
            groups: account.groups,
            signed_in: account.auth_time,
        }
    }
}

/// A provider vouched for somebody.
#[derive(Debug)]
pub struct Arrived {
    pub handle: Option<String>,
    pub account: Account,
}

/// Nobody was signed in.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed {
    pub cause: OidcCause,
    /// To try again with.
    pub handle: Option<String>,
    /// As far as it was known.
    pub subject: Option<String>,
}

/// The providers of a configuration. Clones share them.
#[derive(Clone, Default)]
pub struct Oidc(Arc<Vec<Arc<Provider>>>);

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.offered().map(|(id, _)| id)).finish()
    }
}

impl Oidc {
    /// `fetch` gives each provider its connections: it must verify TLS, follow no redirect, and be bounded in time
    /// and size. Nothing is asked of a provider before somebody wants to sign in there.
    ///
    /// # Errors
    /// What `fetch` says.
    pub fn new<E>(
        identity: &crate::Identity,
        settings: &Settings,
        fetch: impl Fn(&OidcSettings) -> Result<Arc<dyn Fetch>, E>,
    ) -> Result<Self, E> {
        let of = |settings: &OidcSettings| {
            let (under_way, seen) = identity.oidc_state();
            Ok(Arc::new(Provider::new(settings.clone(), fetch(settings)?, under_way, seen)))
        };
        let providers = settings.providers.iter().filter_map(|p| p.oidc.as_ref()).map(of).collect::<Result<_, E>>()?;
        Ok(Self(Arc::new(providers)))
    }

    /// Id and name of each, in the order of the configuration.
    pub fn offered(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|p| (p.settings.id.as_str(), p.settings.name.as_str()))
    }

    pub fn settings(&self, id: &str) -> Option<&OidcSettings> {
        self.provider(id).map(|p| &p.settings)
    }

    /// Where the browser goes to sign in at a provider.
    ///
    /// # Errors
    /// The provider is not known, or can't be asked what it needs.
    pub async fn set_out(&self, id: &str, set_out: SetOut<'_>) -> Result<String, OidcCause> {
        match self.provider(id) {
            Some(provider) => provider.set_out(set_out).await,
            None => Err(OidcCause::State),
        }
    }

    /// Takes somebody back. The state is used up whatever the outcome.
    ///
    /// # Errors
    /// Says what doesn't fit.
    pub async fn come_back(&self, id: &str, back: ComeBack<'_>) -> Result<Arrived, Failed> {
        match self.provider(id) {
            Some(provider) => provider.come_back(back).await,
            None => Err(Failed { cause: OidcCause::State, handle: None, subject: None }),
        }
    }

    /// Where somebody who signed out here may sign out at the provider too, if it offers that.
    pub async fn sign_out_url(&self, id: &str, back: &str, state: &str, now: Timestamp) -> Option<String> {
        self.provider(id)?.sign_out_url(back, state, now).await
    }

    /// Whose sessions a logout token ends (OpenID Connect Back-Channel Logout 1.0, 2.6). A token is good once.
    ///
    /// # Errors
    /// Says what doesn't fit.
    pub async fn logout_token(&self, id: &str, token: &str, now: Timestamp) -> Result<LogoutScope, OidcCause> {
        match self.provider(id) {
            Some(provider) => provider.logout_token(token, now).await,
            None => Err(OidcCause::State),
        }
    }

    /// To be called if what a token asked for could not be done: it may come again.
    pub fn logout_failed(&self, id: &str, scope: &LogoutScope) {
        if let Some(provider) = self.provider(id) {
            provider.logout_failed(scope);
        }
    }

    fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.0.iter().find(|p| p.settings.id == id)
    }
}

macro_rules! opaque {
    ($($name:ident),*) => { $(
        /// Shows nothing: states and codes are secrets while they are worth something.
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )* };
}
opaque!(SetOut, ComeBack);

#[cfg(test)]
mod tests;
