//! What a provider says of itself: read when it is first needed, kept fresh, and kept while the provider is away.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, DiscoveryError, ProviderMetadata};
use serde::{Deserialize, Serialize};
use vocabulary::Timestamp;

use super::fetch::{self, FetchError};
use super::provider::{Provider, unreachable};
use super::{OidcCause, jws};

/// A provider that failed is not asked again for so many seconds: everybody who waits would wait anew.
const RETRY: i64 = 5;
/// A key that is not known makes us read the keys again, at most once in so many seconds: anybody can name a key.
const KEYS_AGAIN: i64 = 30;
/// Who is about to be sent to a provider that was not heard of for so many seconds makes us ask it first.
const HEARD_OF: i64 = 60;

pub(super) type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Metadata that the library has no names for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct More {
    /// OpenID Connect RP-Initiated Logout 1.0, 2.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end_session_endpoint: Option<String>,
    /// RFC 9207, 3.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

/// What the provider said of itself.
pub(super) struct Known {
    pub(super) metadata: Metadata,
    pub(super) keys: CoreJsonWebKeySet,
    read: Timestamp,
}

impl Known {
    /// What tokens may be signed with: what the provider announces, as far as it is asymmetric.
    pub(super) fn algorithms(&self) -> Vec<CoreJwsSigningAlgorithm> {
        let announced = self.metadata.id_token_signing_alg_values_supported();
        announced.iter().filter(|alg| jws::ASYMMETRIC.contains(alg)).cloned().collect()
    }
}

/// What is known now.
#[derive(Default)]
pub(super) struct Current {
    known: ArcSwapOption<Known>,
    /// Held while the provider is asked, so that one asks for all.
    asking: tokio::sync::Mutex<()>,
    tried: Mutex<Tried>,
}

#[derive(Default)]
struct Tried {
    failed: Option<(Timestamp, OidcCause)>,
    keys_again: Option<Timestamp>,
}

impl Current {
    fn tried(&self) -> std::sync::MutexGuard<'_, Tried> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why asking came to nothing a moment ago.
    fn recent_failure(&self, now: Timestamp) -> Option<OidcCause> {
        self.tried().failed.filter(|(at, _)| (0..RETRY).contains(&now.secs_since(*at))).map(|(_, cause)| cause)
    }
}

impl Provider {
    /// What the provider says of itself: from memory while it is fresh; else one asks for all. While the provider is
    /// away, what it said last still stands.
    pub(super) async fn known(&self, now: Timestamp) -> Result<Arc<Known>, OidcCause> {
        if let Some(known) = self.current.known.load_full().filter(|k| self.is_fresh(k, now)) {
            return Ok(known);
        }
        let _asking = self.current.asking.lock().await;
        let earlier = self.current.known.load_full();
        if let Some(known) = earlier.clone().filter(|k| self.is_fresh(k, now)) {
            return Ok(known);
        }
        if let Some(cause) = self.current.recent_failure(now) {
            return earlier.ok_or(cause);
        }
        self.discover_and_keep(now).await.or_else(|cause| earlier.ok_or(cause))
    }

    async fn discover_and_keep(&self, now: Timestamp) -> Result<Arc<Known>, OidcCause> {
        match self.discover(now).await {
            Ok(known) => {
                let known = Arc::new(known);
                self.current.known.store(Some(known.clone()));
                self.current.tried().failed = None;
                Ok(known)
            }
            Err(cause) => {
                self.current.tried().failed = Some((now, cause));
                Err(cause)
            }
        }
    }

    /// The same, for somebody who is about to be sent there: if it was not heard of for a moment, it is asked, so that
    /// nobody is led to an address where nobody answers.
    pub(super) async fn known_to_answer(&self, now: Timestamp) -> Result<Arc<Known>, OidcCause> {
        let known = self.known(now).await?;
        let _asking = self.current.asking.lock().await;
        // Somebody else may have asked meanwhile.
        let known = self.current.known.load_full().unwrap_or(known);
        if (0..HEARD_OF).contains(&now.secs_since(known.read)) {
            return Ok(known);
        }
        match self.current.recent_failure(now) {
            Some(OidcCause::Unavailable) => return Err(OidcCause::Unavailable),
            Some(_) => return Ok(known),
            None => {}
        }
        match self.discover_and_keep(now).await {
            Err(OidcCause::Unavailable) => Err(OidcCause::Unavailable),
            // It answers, if not with what we could read: what it said last stands.
            read => Ok(read.unwrap_or(known)),
        }
    }

    /// The keys once more, unless somebody did so a moment ago.
    pub(super) async fn keys_again(&self, than: &Known, now: Timestamp) -> Result<Arc<Known>, OidcCause> {
        let _asking = self.current.asking.lock().await;
        if let Some(known) = self.current.known.load_full()
            && known.keys != than.keys
        {
            return Ok(known);
        }
        let last = self.current.tried().keys_again.replace(now);
        if let Some(last) = last.filter(|last| (0..KEYS_AGAIN).contains(&now.secs_since(*last))) {
            self.current.tried().keys_again = Some(last);
            return Err(OidcCause::UnknownKey);
        }
        let http = |request| fetch::call(self.fetch.clone(), request);
        let keys = CoreJsonWebKeySet::fetch_async(than.metadata.jwks_uri(), &http).await;
        let keys = keys.map_err(|error| self.failed(&error))?;
        let known = Arc::new(Known { metadata: than.metadata.clone(), keys, read: than.read });
        self.current.known.store(Some(known.clone()));
        Ok(known)
    }

    async fn discover(&self, now: Timestamp) -> Result<Known, OidcCause> {
        let http = |request| fetch::call(self.fetch.clone(), request);
        let metadata = Metadata::discover_async(self.issuer.clone(), &http).await;
        let metadata = metadata.map_err(|error| self.failed(&error))?;
        let keys = metadata.jwks().clone();
        Ok(Known { metadata, keys, read: now })
    }

    fn failed(&self, error: &DiscoveryError<FetchError>) -> OidcCause {
        let (cause, why) = match error {
            DiscoveryError::Request(error) => (unreachable(error), error.to_string()),
            DiscoveryError::Response(status, ..) => (OidcCause::Answer, format!("status {status}, or not JSON")),
            DiscoveryError::Parse(error) => (OidcCause::Answer, format!("unreadable at `{}`", error.path())),
            DiscoveryError::Validation(_) => (OidcCause::Answer, "it calls itself by another issuer".to_owned()),
            _ => (OidcCause::Answer, "unreadable".to_owned()),
        };
        tracing::warn!(provider = %self.settings.id, %cause, why, "the provider's metadata or keys can't be read");
        cause
    }

    fn is_fresh(&self, known: &Known, now: Timestamp) -> bool {
        let refresh = i64::try_from(self.settings.refresh.as_secs()).unwrap_or(i64::MAX);
        (0..refresh).contains(&now.secs_since(known.read))
    }
}
