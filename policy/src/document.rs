//! Rules and networks as an operator writes them. What they mean is compiled in `compile.rs`.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use vocabulary::{Action, AppId, DeviceKind, GroupName, MachineName, NetworkName, Os, PersonId, RuleName, Span};

/// One rule. All its parts must be met for it to match; a part left out asks for nothing.
///
/// Deny wins over allow, whatever the order; where nothing matches, the request is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleDocument {
    /// What records and explanations call the rule; unique among the rules.
    pub name: RuleName,
    /// The apps it is about. Left out: every app (but an allow rule reaches the console only by name).
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub apps: Vec<AppId>,
    /// Whom it is about. Left out: everybody who is signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// Where the request must come from. Left out: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<From>,
    /// When, by the wall clock of the facility's time zone. Left out: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// HTTP methods in capitals, such as `GET`. Left out: all. A deny rule also meets other spellings (`get`).
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub methods: Vec<String>,
    /// Paths without query, written decoded: `*` stands for anything within a segment, `**` for any number of
    /// whole segments, so that `/admin/**` is `/admin` and all beneath. Left out: all. A deny rule doesn't tell
    /// `/Admin` and `/admin/` from `/admin`, because some servers don't; where one serves `/admin.json` as well, or
    /// what stands beneath, write `/admin*` or `/admin/**`.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub paths: Vec<String>,
    /// The actions it allows. Exactly one of `allow` and `deny` is written.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub allow: Vec<Action>,
    /// The actions it denies.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub deny: Vec<Action>,
}

/// Whom a rule is about: anybody named by `people` *or* by `groups`, who also has enough factors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// People by their id of the roster.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub people: Vec<PersonId>,
    /// Groups of the roster.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub groups: Vec<GroupName>,
    /// Programs with a certificate of their own, by name. An allow rule is for those that it names; a deny rule that
    /// names nobody is for them too.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub machines: Vec<MachineName>,
    /// How many factors must stand behind a request, 1 to 3: 1 for a password, 2 with a second factor or a passkey,
    /// and one more on an enrolled device of the person's own. A network or a shared device is not a factor. Only in
    /// an allow rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3))]
    pub factors: Option<u8>,
    /// The person must have shown who they are at most this long ago, such as `30m`: then the rule asks to sign in
    /// again, and an open stream is cut. From 1m to 24h, in whole seconds. Only in an allow rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_within: Option<Span>,
}

/// Where a request must come from: every part written must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// One of these networks.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub networks: Vec<NetworkName>,
    /// What the device must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceRequirement>,
    /// What must *not* hold as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<From>>,
}

/// What a rule asks of the device. Whose device it is, is checked for every rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DeviceRequirement {
    Any(AnyDevice),
    Of(DeviceDocument),
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnyDevice {
    /// It presented a valid certificate of our inventory.
    Enrolled,
}

/// An enrolled device of which every part written holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeviceDocument {
    /// One of these kinds: `lent`, `byod`, `shared`, `machine`.
    #[serde(default, skip_serializing_if = "OneOrMore::is_empty")]
    pub kind: OneOrMore<DeviceKind>,
    /// One of these systems, as its browser said when it was enrolled: `ios`, `android`, `windows`, `macos`,
    /// `chromeos`, `linux`.
    #[serde(default, skip_serializing_if = "OneOrMore::is_empty")]
    pub os: OneOrMore<Os>,
    /// It has not been let in for at least this long, such as `30d`, the request itself not counted. For deny rules; a
    /// device that such a rule keeps out stays out until it is enrolled anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_seen_for: Option<Span>,
}

/// A value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

impl<T: Clone> OneOrMore<T> {
    fn is_empty(&self) -> bool {
        matches!(self, Self::More(list) if list.is_empty())
    }

    /// Without telling one from a list of one.
    pub fn to_vec(&self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::More(more) => more.clone(),
        }
    }
}

/// When a rule holds, by the wall clock: where daylight saving skips an hour, that hour doesn't occur; where it
/// repeats one, the hour counts twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// `mon-fri`, `mon,wed,fri` or `sat-mon`. Left out: every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<String>,
    /// `06:00-22:00`, several with commas; the end is exclusive. `22:00-05:00` crosses midnight and belongs, as a
    /// whole, to the day it begins on. Left out: the whole day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// The first day, such as `2026-11-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_date: Option<String>,
    /// The last day; a window that begins on it may end on the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_date: Option<String>,
}

/// A network that rules can name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkDocument {
    /// Ranges such as `203.0.113.0/24` or `2001:db8:1::/48`, or single addresses.
    #[schemars(length(min = 1))]
    pub cidrs: Vec<String>,
    /// Others use these addresses too (MAP-E, DS-Lite): whoever comes from them *may* be in the facility. That is
    /// never enough for an allow rule and always enough for a deny rule. Default: false.
    #[serde(default)]
    pub shared: bool,
}

/// A list that is written must name something: `groups: []` could be read as nobody and as everybody.
fn named<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    if list.is_empty() {
        return Err(D::Error::custom("an empty list names nothing: leave the key out, or name something"));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_back_as_written() {
        let text = r#"{"name":"visiting nurses","apps":["kaipoke"],"who":{"groups":["visiting-nurses"],"factors":2},
            "from":{"device":"enrolled","not":{"networks":["sakura-home"]}},
            "when":{"days":"mon-sun","hours":"06:00-22:00"},"allow":["view","edit"]}"#;
        let rule: RuleDocument = serde_json::from_str(text).unwrap();
        assert_eq!(rule.allow, [Action::View, Action::Edit]);
        let again: RuleDocument = serde_json::from_str(&serde_json::to_string(&rule).unwrap()).unwrap();
        assert_eq!(again, rule);
    }

    #[test]
    fn an_unknown_key_and_an_empty_list_are_refused() {
        for text in [
            r#"{"name":"a","allow":["view"],"app":["kaipoke"]}"#,
            r#"{"name":"a","allow":["view"],"apps":[]}"#,
            r#"{"name":"a","allow":["view"],"who":{"groups":[],"factors":2}}"#,
            r#"{"name":"a","allow":["view"],"from":{"device":"any"}}"#,
            r#"{"name":"a","allow":["see"]}"#,
        ] {
            assert!(serde_json::from_str::<RuleDocument>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_schema_knows_what_an_empty_list_is() {
        let schema = serde_json::to_value(schemars::schema_for!(RuleDocument)).unwrap();
        assert_eq!(schema["properties"]["apps"]["minItems"], 1);
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["name"]));
    }
}
