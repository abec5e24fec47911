//! The `identity` part of the configuration: as an operator writes it, and as resolved.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{DocumentError, GroupName, PathStep, Span};

use crate::oidc::{self, FactorsDocument, GroupsDocument, OidcSettings, Prompt};
use crate::scim::{ScimDocument, ScimSettings};
use crate::{NoticeDocument, Session, SessionAccount};

/// Who may vouch for people, and how long a sign-in lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityDocument {
    /// Where people sign in, in the order in which the sign-in page offers it. Default: the built-in directory alone.
    /// A list without a `directory` means that nobody signs in with a password of ours.
    pub providers: Vec<ProviderDocument>,
    pub session: SessionDocument,
    /// SCIM 2.0, for identity providers that push people and groups. Default: not served.
    pub scim: Option<ScimDocument>,
    /// Read and confirmed after signing in, before any app opens. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<NoticeDocument>,
}

/// One place where people sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderDocument {
    /// A short name for records and addresses: a-z, 0-9 and `-`. An `oidc` provider sends people back to
    /// `https://<login host>/oidc/<id>/callback`: that address has to be registered there.
    pub id: String,
    pub kind: ProviderKind,
    /// What the sign-in page calls it. Default: 職員ID for the directory, else the id.
    #[serde(default)]
    pub name: Option<String>,
    /// `oidc` only, required: the provider's issuer, exactly as its discovery document writes it. Metadata and keys are
    /// read from `<issuer>/.well-known/openid-configuration` when somebody first wants to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `oidc` only, required: what the provider calls this gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `oidc` only, required: the file that holds the client secret, and nothing else; read at start and at each reload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// `oidc` only: an account that is not linked yet is linked to the one person of the roster who has its mail
    /// address, if the provider says that the address is verified and its domain is one of these. Default: none, and
    /// accounts are linked by `sekisho staff link` alone. List only domains whose addresses the facility gives out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// `oidc` only: the scopes asked for. Default: openid, email, profile; `openid` is always among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// `oidc` only: `acr_values` asked for, the most wanted first. Default: none. Asking is no promise: what counts is
    /// what comes back, see `factors`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
    /// `oidc` only: what the provider is to ask although it knows the person. Default: nothing; on a shared device
    /// always `login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// `oidc` only: the claim that gives a person groups beside those of the roster, for as long as the session lasts.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupsDocument>,
    /// `oidc` only: how many factors the provider's own words stand for. Default: as RFC 8176 has it, each kind of
    /// method in `amr` is one, and `mfa` is two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factors: Option<FactorsDocument>,
    /// `oidc` only: how far the provider's clock may differ from ours. Default 60s, at most 5m. Tokens are good for so
    /// much longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leeway: Option<Span>,
    /// `oidc` only: how long one request to the provider may take; somebody waits for it. Default 5s, from 1s to 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// `oidc` only: metadata and keys older than this are read again. Default 1h, from 1m to 24h. A key that is not
    /// known is looked for at once, so this is how long a withdrawn one stays good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Span>,
    /// `oidc` only: a PEM file of the roots that the provider's certificate is verified against, instead of the public
    /// ones. For providers of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ca: Option<PathBuf>,
}

/// How a provider checks people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Built in: passwords and one-time codes kept by the gate.
    Directory,
    /// OpenID Connect: Google Workspace, Microsoft Entra, Keycloak and others.
    Oidc,
}

/// How long a sign-in lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionDocument {
    /// Without activity a session ends after this long. Activity is a page opened or anything but a GET that
    /// repeats. Default 15m; from 1m to `absolute`. Longer leaves unattended screens open.
    pub idle: Span,
    /// A session ends this long after the sign-in, whatever happens. Default 10h, at most 24h.
    pub absolute: Span,
}

impl Default for SessionDocument {
    fn default() -> Self {
        Self { idle: Span::secs(15 * 60), absolute: Span::secs(10 * 3600) }
    }
}

/// The `identity` part, checked and with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At least one; ids are unique.
    pub providers: Vec<Provider>,
    pub idle: Duration,
    pub absolute: Duration,
    pub notice: Option<NoticeDocument>,
    /// What authenticator apps show beside a one-time code, such as the gateway's domain.
    pub issuer: String,
    /// How many passwords are hashed at once, for people coming from where they came from before and as many
    /// again for everybody else. Each takes 19 MiB while it lasts. Default 2.
    pub hashing: usize,
    /// None: not served.
    pub scim: Option<ScimSettings>,
}

/// One place where people sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub id: String,
    pub kind: ProviderKind,
    pub name: String,
    /// Of an `oidc` provider, and of no other.
    pub oidc: Option<OidcSettings>,
}

impl Settings {
    /// The built-in directory, if people may sign in with it.
    pub fn directory(&self) -> Option<&Provider> {
        self.providers.iter().find(|p| p.kind == ProviderKind::Directory)
    }

    /// Whether people still sign in the way this session began: with the directory, or at that provider. A provider
    /// that was taken out of the configuration, or whose issuer is another one now, vouches for nobody.
    pub fn offers(&self, session: &Session) -> bool {
        match session.account() {
            None => self.directory().is_some(),
            Some(account) => self.oidc(account).is_some(),
        }
    }

    /// Of the groups that a provider gave with a session, those that it may give.
    pub fn given<'a>(&'a self, session: &'a Session) -> impl Iterator<Item = &'a GroupName> {
        let account = session.account();
        let claims = account.and_then(|account| self.oidc(account)?.groups.as_ref());
        let groups = account.into_iter().flat_map(|account| account.groups.iter());
        groups.filter(move |group| claims.is_some_and(|claims| claims.may_give(group)))
    }

    fn oidc(&self, account: &SessionAccount) -> Option<&OidcSettings> {
        let oidc = self.providers.iter().find(|p| p.id == account.provider)?.oidc.as_ref()?;
        (oidc.issuer.as_str() == account.issuer).then_some(oidc)
    }
}

impl Default for Settings {
    fn default() -> Self {
        let session = SessionDocument::default();
        let directory =
            Provider { id: "staff".into(), kind: ProviderKind::Directory, name: "職員ID".into(), oidc: None };
        Self {
            providers: vec![directory],
            idle: session.idle.0,
            absolute: session.absolute.0,
            notice: None,
            issuer: "Sekisho".into(),
            hashing: 2,
            scim: None,
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl IdentityDocument {
    /// Checks and fills in. `issuer` is what authenticator apps will show: the gateway's domain.
    ///
    /// # Errors
    /// Everything that is wrong, with paths from the whole document's root (`identity.providers[0].kind`).
    pub fn resolve(&self, issuer: &str) -> Result<Settings, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let providers = self.providers(&mut errors);
        self.session.check(&mut errors);
        let scim = self.scim.as_ref().and_then(|scim| scim.resolve(issuer, &mut errors));
        if let Some(notice) = &self.notice {
            notice.check(&mut errors);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut settings = Settings {
            idle: self.session.idle.0,
            absolute: self.session.absolute.0,
            notice: self.notice.clone(),
            issuer: issuer.to_owned(),
            scim,
            ..Settings::default()
        };
        if !providers.is_empty() {
            settings.providers = providers;
        }
        Ok(settings)
    }

    fn providers(&self, errors: &mut Vec<DocumentError>) -> Vec<Provider> {
        let mut ids = HashSet::new();
        let mut directories = 0;
        let mut resolved = Vec::new();
        for (index, provider) in self.providers.iter().enumerate() {
            let mut wrong = |key: &str, value: &str, problem: &str| {
                let path: [PathStep; 4] = ["identity".into(), "providers".into(), index.into(), key.into()];
                errors.push(DocumentError::new(path, value, problem));
            };
            if !is_short_name(&provider.id) {
                wrong("id", &provider.id, "is not a short name; write 1 to 63 characters of a-z, 0-9 and `-`");
            }
            if !ids.insert(provider.id.as_str()) {
                wrong("id", &provider.id, "is the id of another provider too; ids must differ");
            }
            let oidc = match provider.kind {
                ProviderKind::Oidc => oidc::resolve(provider, &mut wrong),
                ProviderKind::Directory => {
                    directories += 1;
                    for key in oidc::out_of_place(provider) {
                        wrong(key, key, "stands in a `directory`; it belongs to providers of kind `oidc`");
                    }
                    None
                }
            };
            if directories > 1 && provider.kind == ProviderKind::Directory {
                wrong("kind", "directory", "is there twice; the gate has one built-in directory");
            }
            if provider.name.as_ref().is_some_and(|n| n.trim().is_empty() || n.chars().any(char::is_control)) {
                wrong("name", provider.name.as_deref().unwrap_or_default(), "is not a name on one line");
            }
            let name = oidc.as_ref().map(|oidc| oidc.name.clone()).or_else(|| provider.name.clone());
            let name = name.unwrap_or_else(|| "職員ID".to_owned());
            resolved.push(Provider { id: provider.id.clone(), kind: provider.kind, name, oidc });
        }
        resolved
    }
}

impl SessionDocument {
    fn check(&self, errors: &mut Vec<DocumentError>) {
        let mut wrong = |key: &str, span: Span, problem: &str| {
            let path: [PathStep; 3] = ["identity".into(), "session".into(), key.into()];
            errors.push(DocumentError::new(path, span.to_string(), problem));
        };
        if self.idle.0 < MINUTE {
            wrong("idle", self.idle, "is shorter than 1m: people would be signed out while they read");
        }
        if self.idle > self.absolute {
            wrong("idle", self.idle, "is longer than `absolute`, so it would never end a session");
        }
        if self.absolute.0 < MINUTE {
            wrong("absolute", self.absolute, "is shorter than 1m: people would be signed out while they read");
        }
        if self.absolute.0 > DAY {
            wrong("absolute", self.absolute, "is longer than 24h: a session must not outlive the day it began");
        }
    }
}

fn is_short_name(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use vocabulary::DisplayPath;

    use super::*;

    fn document(json: &str) -> IdentityDocument {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn nothing_written_means_the_built_in_directory_and_the_documented_times() {
        let settings = document("{}").resolve("gw.example").unwrap();
        assert_eq!(settings.providers.len(), 1);
        assert_eq!(settings.idle, Duration::from_secs(900));
        assert_eq!(settings.absolute, Duration::from_secs(36_000));
        assert_eq!(settings.issuer, "gw.example");
    }

    #[test]
    fn every_problem_is_told_at_once_and_with_its_place() {
        let errors = document(
            r#"{"providers":[{"id":"Google","kind":"oidc","issuer":"http://idp.example","client_id":"x"},{"id":"a","kind":"directory"},{"id":"a","kind":"directory"}],
                "session":{"idle":"30s","absolute":"48h"}}"#,
        )
        .resolve("gw.example")
        .unwrap_err();
        let places: Vec<_> = errors.iter().map(|e| DisplayPath(&e.path).to_string()).collect();
        assert_eq!(
            places,
            [
                "identity.providers[0].id",
                "identity.providers[0].issuer",
                "identity.providers[0].client_secret_file",
                "identity.providers[2].id",
                "identity.providers[2].kind",
                "identity.session.idle",
                "identity.session.absolute",
            ]
        );
        assert!(errors[1].problem.contains("https"));
    }

    #[test]
    fn idle_may_not_be_longer_than_absolute() {
        let errors = document(r#"{"session":{"idle":"2h","absolute":"1h"}}"#).resolve("x").unwrap_err();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].problem.contains("absolute"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<IdentityDocument>(r#"{"provider":[]}"#).is_err());
        assert!(serde_json::from_str::<IdentityDocument>(r#"{"session":{"idel":"15m"}}"#).is_err());
    }
}
