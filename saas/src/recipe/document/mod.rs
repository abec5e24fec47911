//! A recipe as it is written. What the text means is checked in `compile`.

mod exchange;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{Action, Span};

use crate::document::{HostDocument, OverridePlace, Shape};

pub use exchange::{
    ExpectDocument, ExpectLoginDocument, ExpectedResult, TestDocument, TestRequestDocument, TestResponseDocument,
};

/// What is known of one SaaS: its hosts, how a login to it looks on the wire, and what its screens are called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Sekisho recipe")]
pub struct RecipeDocument {
    /// The recipe's name, as `apps[].recipe` has it: the file's name without `.yaml`.
    pub recipe: String,
    /// What people call the SaaS.
    pub title: Text,
    pub confidence: Confidence,
    /// The SaaS's address, where `apps[].upstream` names none. `{account}` in it stands for `apps[].account`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Further hosts of the SaaS, where `apps[].hosts` names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostDocument>,
    /// Charset of forms and pages that don't say theirs: utf-8 (default), shift_jis or euc-jp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    #[serde(default, skip_serializing_if = "SessionDocument::is_empty")]
    pub session: SessionDocument,
    /// Requests that log in; the first that matches is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<LoginDocument>,
    /// Requests that go on with a login under way, such as one with a one-time code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second_steps: Vec<SecondStepDocument>,
    /// Requests that log out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logouts: Vec<LogoutDocument>,
    /// Answers to any other request that show that the SaaS has ended the session. Judged by their head alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<AnswerDocument>,
    /// What requests do; the first that matches decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationDocument>,
    /// As `apps[].tolerate`, for every app of this recipe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerate: Vec<Shape>,
    /// As `apps[].method_override`, for every app of this recipe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub method_override: Vec<OverridePlace>,
    /// Exchanges, and what the recipe must find in them. They are run whenever the recipe is loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestDocument>,
}

/// Words for people, in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    #[schemars(length(min = 1))]
    pub ja: String,
    #[schemars(length(min = 1))]
    pub en: String,
}

/// Where a recipe comes from and how far it can be trusted, so that nobody takes it for the vendor's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confidence {
    pub level: Level,
    /// The month or the day that it was true: `2026-11` or `2026-11-29`.
    pub as_of: String,
    /// What is known, in a sentence or two.
    #[schemars(length(min = 1))]
    pub known: String,
    /// What is not known.
    #[schemars(length(min = 1))]
    pub unknown: String,
    /// What has to be looked up in the vendor's terms before a proxy is put in front of the SaaS.
    #[schemars(length(min = 1))]
    pub terms: String,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Tried against the SaaS itself.
    Verified,
    /// Read off what others have published, such as scripts that work with the SaaS.
    Reported,
    /// Neither tried nor read.
    Guessed,
}

/// A session of the SaaS, as far as it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionDocument {
    /// Names of the cookies that stand for a login.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<String>,
    /// How long nothing may happen until the SaaS ends the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
}

impl SessionDocument {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data`
    Multipart,
    /// `application/json`, or another type that ends with `+json`
    Json,
}

/// One value of a request: exactly one of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelectorDocument {
    /// A segment of the path, counted from 1: 2 is `7` in `/residents/7/edit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub path: Option<u8>,
    /// A parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A field of a form, URL-encoded or multipart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// A parameter of the query or a field of a form, for a SaaS that makes no difference (PHP's `$_REQUEST`, Java's
    /// `getParameter`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// A value of a JSON body, as a JSON pointer (RFC 6901): `/login/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
}

/// Something that must hold of a request: that the value is there or, with `equals` or `one_of`, which one it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionDocument {
    /// As in a selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub path: Option<u8>,
    /// As in a selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// As in a selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// As in a selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// As in a selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// The value, in full and in its case. Excludes `one_of`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// The values that it may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
}

impl ConditionDocument {
    pub(super) fn selector(&self) -> SelectorDocument {
        SelectorDocument {
            path: self.path,
            query: self.query.clone(),
            form: self.form.clone(),
            parameter: self.parameter.clone(),
            json: self.json.clone(),
        }
    }
}

/// A request that logs in to the SaaS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginDocument {
    /// Methods in capitals. Default: POST.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// As in `apps[].actions`: `*` stands for anything within a segment, `**` for anything.
    pub path: String,
    /// How its body is written, where the SaaS takes one kind only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<BodyKind>,
    /// What must hold besides; all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub r#where: Vec<ConditionDocument>,
    /// Where the login ID stands; if in several values, they are joined.
    #[schemars(length(min = 1))]
    pub id: Vec<SelectorDocument>,
    /// What joins several values of the ID. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// Which account of the SaaS (法人ID, tenant) is meant. Another than `apps[].account` is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<SelectorDocument>,
    /// Where the password stands: the value that is never read into anything.
    pub password: SelectorDocument,
    /// Answers to a login that succeeded. `failed` is asked first, then `second_step`, then `ok`. Needed, unless every login
    /// takes a second step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ok: Vec<AnswerDocument>,
    /// Answers to a login that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<AnswerDocument>,
    /// Answers by which the SaaS asks for something more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second_step: Vec<AnswerDocument>,
}

/// A request that goes on with a login under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondStepDocument {
    /// Methods in capitals. Default: POST.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    pub path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub r#where: Vec<ConditionDocument>,
    /// Values that are never read into anything, such as the code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SelectorDocument>,
    #[schemars(length(min = 1))]
    pub ok: Vec<AnswerDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<AnswerDocument>,
    /// Answers by which the SaaS asks for yet another step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second_step: Vec<AnswerDocument>,
}

/// A request that logs out of the SaaS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutDocument {
    /// Methods in capitals; none written means every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    pub path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub r#where: Vec<ConditionDocument>,
}

/// What an answer of the SaaS looks like. All that is written must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerDocument {
    /// Its status is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// It has a Location whose path matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// It has a Location whose path does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_location: Option<String>,
    /// It sets this cookie, to something that has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// What its body says, where that is JSON of at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<AnswerJsonDocument>,
    /// This text stands in the first 64 KiB of its body, as the page's source has it, in the page's charset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why the login failed, as one word: `wrong-password`, `locked`. Only in `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// A value of a JSON answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerJsonDocument {
    /// JSON pointer (RFC 6901).
    pub pointer: String,
    /// The value: text, or a number or a word as it stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// Whether it is there, and not null. Default, without `equals`: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}

/// What people do with the SaaS, by one kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationDocument {
    /// Stands in the records: a-z, 0-9 and `-`.
    pub id: String,
    pub name: Text,
    /// Methods in capitals; none written means every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    pub path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub r#where: Vec<ConditionDocument>,
    /// Needed, unless `output` says it: an export is a download, a print a view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Takes records out of the SaaS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// What it is done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectDocument>,
}

/// How records leave the SaaS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// As a file.
    Export,
    /// On paper.
    Print,
}

impl Output {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Print => "print",
        }
    }
}

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectDocument {
    /// A word in a-z, 0-9 and `-`: `resident`.
    pub kind: String,
    /// Its ID, as the SaaS has it: letters, digits and `-_.@:`, at most 64.
    pub from: SelectorDocument,
}
