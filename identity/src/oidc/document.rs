//! A provider's part of the configuration, beyond what every provider has: as written, and as resolved.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use openidconnect::IssuerUrl;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{GroupName, Span};
use zeroize::Zeroizing;

use crate::document::ProviderDocument;

/// Which claim names a person's groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupsDocument {
    /// The claim, as a path: dots separate keys, as in `realm_access.roles`. A key that holds dots itself, such as
    /// `https://example.com/groups`, is written as it is.
    pub claim: String,
    /// The provider's word for a group: ours. Default: every value counts under its own name, so that whoever may
    /// name groups at the provider may name any of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<BTreeMap<String, GroupName>>,
}

/// How many factors (1 to 3) the provider's words stand for, where RFC 8176 does not say so already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactorsDocument {
    /// By value of `acr`.
    pub acr: BTreeMap<String, u8>,
    /// By a value among `amr`.
    pub amr: BTreeMap<String, u8>,
}

/// What the provider is asked to do although it knows the person (OpenID Connect Core 1.0, 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Ask for the password again.
    Login,
    /// Ask which account.
    SelectAccount,
    /// Ask for consent.
    Consent,
}

/// A provider, checked and with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSettings {
    pub id: String,
    pub name: String,
    pub issuer: IssuerUrl,
    pub client_id: String,
    /// As written; who loads the configuration fills in [`Self::client_secret`].
    pub client_secret_file: PathBuf,
    pub client_secret: ClientSecret,
    /// Lower case.
    pub domains: Vec<String>,
    pub scopes: Vec<String>,
    pub acr_values: Vec<String>,
    pub prompt: Option<Prompt>,
    pub groups: Option<GroupClaims>,
    pub factors: ProviderFactors,
    pub leeway: Duration,
    pub timeout: Duration,
    pub refresh: Duration,
    /// As written; who loads the configuration fills in [`Self::roots`].
    pub issuer_ca: Option<PathBuf>,
    /// DER. Empty: the public roots.
    pub roots: Vec<Vec<u8>>,
}

/// See [`GroupsDocument`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupClaims {
    pub claim: String,
    pub map: Option<BTreeMap<String, GroupName>>,
}

impl GroupClaims {
    /// Whether the claims could give this group, whatever they say.
    pub(crate) fn may_give(&self, group: &GroupName) -> bool {
        self.map.as_ref().is_none_or(|map| map.values().any(|given| given == group))
    }
}

/// See [`FactorsDocument`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderFactors {
    pub acr: BTreeMap<String, u8>,
    pub amr: BTreeMap<String, u8>,
}

/// What the gate shows the provider's token endpoint. `Debug` shows nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    pub fn danger_expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// The longest time that clocks may differ.
const MOST_LEEWAY: Duration = Duration::from_secs(300);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);
const SHORTEST_REFRESH: Duration = Duration::from_secs(60);
const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 3600);

/// Checks what an `oidc` provider needs. `wrong` takes key, value and problem.
pub(crate) fn resolve(document: &ProviderDocument, wrong: &mut dyn FnMut(&str, &str, &str)) -> Option<OidcSettings> {
    let mut good = true;
    let mut wrong = |key: &str, value: &str, problem: &str| {
        good = false;
        wrong(key, value, problem);
    };
    let issuer = match document.issuer.as_deref() {
        None => {
            wrong("issuer", "", "is missing; write what the provider's discovery document calls `issuer`");
            None
        }
        Some(text) => {
            let issuer = IssuerUrl::new(text.to_owned()).ok();
            let whole = issuer.as_ref().is_some_and(|issuer| {
                let url = issuer.url();
                url.scheme() == "https" && url.host().is_some() && url.query().is_none() && url.fragment().is_none()
            });
            if !whole {
                wrong("issuer", text, "is not an issuer; write an https address without query, as the provider does");
            }
            issuer
        }
    };
    let client_id = document.client_id.clone().unwrap_or_default();
    if client_id.trim().is_empty() {
        wrong("client_id", "", "is missing; write the client id that the provider gave to this gate");
    }
    if document.client_secret_file.is_none() {
        wrong("client_secret_file", "", "is missing; write the file that holds the client secret, and nothing else");
    }
    for domain in &document.domains {
        let labels = domain.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii())
        });
        if !labels || !domain.contains('.') {
            wrong("domains", domain, "is not a mail domain; write it as it stands after the @");
        }
    }
    for scope in &document.scopes {
        // RFC 6749, 3.3.
        if scope.is_empty() || !scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            wrong("scopes", scope, "is not a scope");
        }
    }
    if document.groups.as_ref().is_some_and(|groups| groups.claim.is_empty()) {
        wrong("groups", "", "names no claim");
    }
    let factors = document.factors.clone().unwrap_or_default();
    for (value, count) in factors.acr.iter().chain(&factors.amr) {
        if !(1..=3).contains(count) {
            wrong("factors", value, "stands for no number of factors; write 1, 2 or 3");
        }
    }
    let span = |written: Option<Span>, default: u64| written.unwrap_or(Span::secs(default));
    let (leeway, timeout, refresh) =
        (span(document.leeway, 60), span(document.timeout, 5), span(document.refresh, 3600));
    if leeway.0 > MOST_LEEWAY {
        wrong("leeway", &leeway.to_string(), "is longer than 5m: expired tokens would stay good");
    }
    if timeout.0 < Duration::from_secs(1) || timeout.0 > LONGEST_TIMEOUT {
        wrong("timeout", &timeout.to_string(), "is not between 1s and 30s");
    }
    if refresh.0 < SHORTEST_REFRESH || refresh.0 > LONGEST_REFRESH {
        wrong("refresh", &refresh.to_string(), "is not between 1m and 24h");
    }
    if !good {
        return None;
    }
    Some(OidcSettings {
        id: document.id.clone(),
        name: document.name.clone().unwrap_or_else(|| document.id.clone()),
        issuer: issuer?,
        client_id,
        client_secret_file: document.client_secret_file.clone()?,
        client_secret: ClientSecret::default(),
        domains: document.domains.iter().map(|d| d.to_lowercase()).collect(),
        scopes: match document.scopes.is_empty() {
            true => ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            false => document.scopes.clone(),
        },
        acr_values: document.acr_values.clone(),
        prompt: document.prompt,
        groups: document.groups.as_ref().map(|g| GroupClaims { claim: g.claim.clone(), map: g.map.clone() }),
        factors: ProviderFactors { acr: factors.acr, amr: factors.amr },
        leeway: leeway.0,
        timeout: timeout.0,
        refresh: refresh.0,
        issuer_ca: document.issuer_ca.clone(),
        roots: Vec::new(),
    })
}

/// Which keys of an `oidc` provider stand where none can.
pub(crate) fn out_of_place(document: &ProviderDocument) -> Vec<&'static str> {
    let present = [
        ("issuer", document.issuer.is_some()),
        ("client_id", document.client_id.is_some()),
        ("client_secret_file", document.client_secret_file.is_some()),
        ("domains", !document.domains.is_empty()),
        ("scopes", !document.scopes.is_empty()),
        ("acr_values", !document.acr_values.is_empty()),
        ("prompt", document.prompt.is_some()),
        ("groups", document.groups.is_some()),
        ("factors", document.factors.is_some()),
        ("leeway", document.leeway.is_some()),
        ("timeout", document.timeout.is_some()),
        ("refresh", document.refresh.is_some()),
        ("issuer_ca", document.issuer_ca.is_some()),
    ];
    present.into_iter().filter(|(_, present)| *present).map(|(key, _)| key).collect()
}
