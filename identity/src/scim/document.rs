//! The `identity.scim` part of the configuration.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{DocumentError, GroupName, NetworkName, PathStep};

/// An identity provider pushes people and groups by SCIM 2.0. Without this part there is no such host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScimDocument {
    /// The host providers push to. Default: `scim.<domain>`. It can't be a host of an app or that of the sign-in pages.
    pub host: Option<String>,
    /// Networks that may push. Default: any, since a provider's cloud has no fixed address; the token is what counts.
    pub from: Vec<NetworkName>,
    /// Groups of the roster by the names of the provider's groups. What is not listed gives nothing.
    pub groups: BTreeMap<String, GroupName>,
    /// Groups that are not listed give the roster's group of this prefix and their name in small letters, so that
    /// with `idp-` the group "Visiting Nurses" gives `idp-visiting-nurses`. Default: they give nothing.
    pub group_prefix: Option<String>,
    /// Whether a provider may take over an entry that an operator made, if exactly one has the same user name or mail
    /// address. Default false: the provider is told that the name is taken. Costs: whoever has a token for users can take
    /// over any such entry, that of a manager too, lock the person out, write another name and facility, and let the
    /// groups in that `groups` and `group_prefix` give. Passwords, factors, the mail address and the groups that an
    /// operator gave stay.
    pub adopt: bool,
}

/// `identity.scim`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimSettings {
    /// Lower case.
    pub host: String,
    /// Empty: from anywhere.
    pub from: Vec<NetworkName>,
    /// By the provider's name in small letters.
    pub(crate) groups: BTreeMap<String, GroupName>,
    pub(crate) group_prefix: Option<String>,
    pub(crate) adopt: bool,
}

impl ScimDocument {
    /// Checks and fills in; `domain` is the gateway's. That the networks exist is checked with all parts at hand.
    pub(crate) fn resolve(&self, domain: &str, errors: &mut Vec<DocumentError>) -> Option<ScimSettings> {
        let before = errors.len();
        let mut wrong = |steps: &[PathStep], value: &str, problem: &str| {
            let path = ["identity".into(), "scim".into()].into_iter().chain(steps.iter().cloned());
            errors.push(DocumentError::new(path, value, problem));
        };
        let host = match &self.host {
            Some(host) => host.to_ascii_lowercase(),
            None => format!("scim.{domain}"),
        };
        if !is_host_name(&host) {
            wrong(&["host".into()], &host, "is not a host name; write one such as scim.gw.example.jp, without a port");
        }
        if host == domain {
            wrong(&["host".into()], &host, "is the gateway's domain itself; providers push to a host of their own");
        }
        if let Some(prefix) = &self.group_prefix
            && GroupName::new(prefix).is_err()
        {
            let problem = "can't begin a group's name; write letters, digits, `.`, `_` and `-`, such as idp-";
            wrong(&["group_prefix".into()], prefix, problem);
        }
        let mut groups = BTreeMap::new();
        for (name, group) in &self.groups {
            if groups.insert(folded(name), group.clone()).is_some() {
                wrong(&["groups".into(), name.as_str().into()], name, "is there twice; capitals don't count");
            }
        }
        (errors.len() == before).then(|| ScimSettings {
            host,
            from: self.from.clone(),
            groups,
            group_prefix: self.group_prefix.clone(),
            adopt: self.adopt,
        })
    }
}

impl ScimSettings {
    /// The roster's group that a provider's group gives, if the configuration lets it give one.
    pub(crate) fn gives(&self, display_name: &str) -> Option<GroupName> {
        if let Some(group) = self.groups.get(&folded(display_name)) {
            return Some(group.clone());
        }
        let prefix = self.group_prefix.as_ref()?;
        let mut name = prefix.clone();
        for c in display_name.chars().flat_map(char::to_lowercase) {
            match c.is_alphanumeric() {
                true => name.push(c),
                false if name.len() > prefix.len() && !name.ends_with('-') => name.push('-'),
                false => {}
            }
        }
        let slug = name.get(prefix.len()..)?.trim_end_matches('-');
        if slug.is_empty() {
            return None;
        }
        GroupName::new(format!("{prefix}{slug}")).ok()
    }
}

fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(document: &ScimDocument) -> Result<ScimSettings, Vec<DocumentError>> {
        let mut errors = Vec::new();
        document.resolve("gw.example", &mut errors).ok_or(errors)
    }

    #[test]
    fn a_group_gives_what_the_configuration_says_and_nothing_else() {
        let listed = BTreeMap::from([("Visiting Nurses".to_owned(), "visiting-nurses".parse().unwrap())]);
        let only_listed = settings(&ScimDocument { groups: listed.clone(), ..ScimDocument::default() }).unwrap();
        assert_eq!(only_listed.gives(" visiting NURSES").unwrap().as_str(), "visiting-nurses");
        assert_eq!(only_listed.gives("managers"), None);

        let prefix = Some("idp-".to_owned());
        let with_prefix =
            settings(&ScimDocument { groups: listed, group_prefix: prefix, ..Default::default() }).unwrap();
        assert_eq!(with_prefix.gives("Visiting Nurses").unwrap().as_str(), "visiting-nurses");
        assert_eq!(with_prefix.gives("Managers / 管理者 ").unwrap().as_str(), "idp-managers-管理者");
        assert_eq!(with_prefix.gives("/// "), None);
        assert_eq!(with_prefix.gives(&"x".repeat(100)), None, "longer than a group's name may be");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let document = ScimDocument {
            host: Some("gw.example".to_owned()),
            group_prefix: Some("a b".to_owned()),
            groups: BTreeMap::from([("A".to_owned(), "x".parse().unwrap()), ("a".to_owned(), "y".parse().unwrap())]),
            ..ScimDocument::default()
        };
        let places: Vec<_> =
            settings(&document).unwrap_err().iter().map(|e| vocabulary::DisplayPath(&e.path).to_string()).collect();
        assert_eq!(places, ["identity.scim.host", "identity.scim.group_prefix", "identity.scim.groups.a"]);
    }
}
