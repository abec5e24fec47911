//! An app as an operator writes it. What the text means is checked in `app`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{Action, AppId, Span};

/// One app: a SaaS behind the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppDocument {
    /// The app's name; people reach it at `<id>.<gateway.domain>`.
    pub id: AppId,
    /// What is known of this SaaS: the name of a shipped recipe, or of one of `recipes`. Default: nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// The facility's account at the SaaS (法人ID, sub-domain), where the recipe tells which. A login to another one is
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The SaaS's address, `https://host` or `https://host:port`. Its certificate is always verified for this host. Needed,
    /// unless the recipe has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Further hosts of the same SaaS, such as the one its style sheets come from. Default: the recipe's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostDocument>,
    /// The app's whole public host name, instead of `<id>.<gateway.domain>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// PEM file of the CA certificates to verify the SaaS against, instead of the public roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_ca: Option<PathBuf>,
    /// HTTP version spoken to the SaaS; `auto` takes what its server prefers.
    #[serde(default)]
    pub protocol: Protocol,
    /// What requests do, by method and path; the first that matches decides. Without a match the action is guessed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionDocument>,
    /// Shapes of requests that are refused as ambiguous unless named here. Each widens what an attacker can try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerate: Vec<Shape>,
    /// Where the SaaS lets a POST name another method. Requests that do so elsewhere are refused as ambiguous. Name only
    /// what the SaaS does: a POST that says GET here is judged as a GET.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub method_override: Vec<OverridePlace>,
    #[serde(default)]
    pub timeouts: TimeoutsDocument,
    /// PEM file of the app's certificate chain, leaf first. Needs `key`. Without both, the bundled CA makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file of the private key to `certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// A further host of an app; people's browsers reach it at `<name>.<the app's host>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostDocument {
    /// One DNS label, such as `assets`.
    pub name: String,
    /// `https://host` or `https://host:port`.
    pub upstream: String,
    /// It serves style sheets, fonts and scripts only, which browsers partly fetch without any cookie: a GET without one
    /// is let through from where somebody is signed in.
    #[serde(default, rename = "static", skip_serializing_if = "std::ops::Not::not")]
    pub is_static: bool,
}

/// HTTP version towards the SaaS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// By ALPN, HTTP/2 preferred.
    #[default]
    Auto,
    H1,
    H2,
}

/// Requests that do one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionDocument {
    /// Methods in capitals; none written means every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// A path such as `/residents/*/delete`: `*` stands for anything within a segment, `**` for anything.
    pub path: String,
    pub action: Action,
    /// What people call it, for the record: `利用者の削除`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A shape of requests that two servers may read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Shape {
    /// `%2f` in a path; rules then see `/`.
    EncodedSlash = 0,
    /// `\` or `%5c` in a path; rules then see `\`.
    Backslash = 1,
    /// `//` in a path, or an empty segment left by a path parameter; rules then see one `/`.
    DoubleSlash = 2,
    /// `%25` followed by two hexadecimal digits; rules see it decoded once.
    DoubleEncoding = 3,
    /// `%3b` in a path; rules then see `;`.
    EncodedSemicolon = 4,
    /// Percent-encoded bytes of a path that are not UTF-8 (Shift_JIS, EUC-JP); rules see U+FFFD for them.
    InvalidUtf8 = 5,
    /// `%3f` or `%23` in a path, as a title with a question mark has it; rules then see `?` or `#`.
    EncodedDelimiter = 6,
    /// A segment that begins or ends with a blank, ends with `.` or holds `::$`; rules see it as it stands. Servers on
    /// Windows, and some others, cut that off, and `/admin./x` is `/admin/x` to them.
    TrimmedName = 7,
}

/// Where a POST may name the method that the SaaS executes instead. Rules, actions and records then see that method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum OverridePlace {
    /// The header `X-HTTP-Method-Override` (Rails, Laravel, Symfony, Google, kintone).
    XHttpMethodOverride = 0,
    /// The header `X-HTTP-Method` (OData).
    XHttpMethod = 1,
    /// The header `X-Method-Override`.
    XMethodOverride = 2,
    /// A parameter `_method` of the query (Symfony, Spring).
    Query = 3,
    /// A field `_method` of the body (Rails, Laravel, Spring). It is not looked for there, so what a POST does is then
    /// `unknown`, which rules allow only by name, unless `actions` gives its path one action for POST, PUT, PATCH and DELETE
    /// alike.
    Body = 4,
}

/// How long the gate waits for the SaaS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsDocument {
    /// TCP connection and TLS handshake, each. Default 10s.
    pub connect: Span,
    /// From the request's end to the response's head, and from piece to piece of its body. Default 60s.
    pub response: Span,
    /// The longest silence of the SaaS on an event stream or a WebSocket, and the longest time it may take nothing of a
    /// request's body. Default 10m.
    pub idle: Span,
    /// How long an unused connection to the SaaS is kept for the next request. Default 60s.
    pub keep: Span,
}

impl Default for TimeoutsDocument {
    fn default() -> Self {
        Self { connect: Span::secs(10), response: Span::secs(60), idle: Span::secs(600), keep: Span::secs(60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_app_gets_every_default_and_a_misspelt_key_is_refused() {
        let app: AppDocument = serde_yaml::from_str("{ id: records, upstream: https://records.example.jp }").unwrap();
        assert_eq!(app.protocol, Protocol::Auto);
        assert_eq!(app.timeouts, TimeoutsDocument::default());
        assert!(serde_yaml::from_str::<AppDocument>("{ id: records, upstram: https://records.example.jp }").is_err());
    }

    #[test]
    fn a_full_app_reads() {
        let app: AppDocument = serde_yaml::from_str(
            "id: records\nrecipe: generic\nupstream: https://records.example.jp\nprotocol: h2\n\
             hosts: [{ name: assets, upstream: 'https://assets.example.jp:8443' }]\n\
             actions: [{ methods: [POST], path: '/residents/*/delete', action: delete, name: 利用者の削除 }]\n\
             tolerate: [encoded-slash, invalid-utf8]\ntimeouts: { response: 5m }\n",
        )
        .unwrap();
        assert_eq!(app.tolerate, [Shape::EncodedSlash, Shape::InvalidUtf8]);
        assert_eq!(app.timeouts.response, Span::secs(300));
        assert_eq!(app.timeouts.connect, Span::secs(10));
    }
}
